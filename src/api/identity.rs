//! The key that a peer claims, and the key that it has proven.

use std::fmt;

use crate::PublicKey;

/// A key that the peer claims in its handshake and has not yet proven to own.
///
/// Anyone who recorded a handshake can send its first message again, so a claimed key must not be written,
/// counted, limited or logged. It is safe only to send something to it: what the stream carries only the
/// owner of the key can read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ClaimedKey(PublicKey);

impl ClaimedKey {
    pub(crate) const fn new(key: PublicKey) -> Self {
        Self(key)
    }

    /// Returns the key, only to send its owner something that only the owner can read.
    pub const fn to_address_reply(&self) -> &PublicKey {
        &self.0
    }
}

impl fmt::Debug for ClaimedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClaimedKey(not proven)")
    }
}

/// A key that the peer has proven to own: a frame that only the owner can make has decrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProvenKey(PublicKey);

impl ProvenKey {
    pub(crate) const fn new(key: PublicKey) -> Self {
        Self(key)
    }

    /// Returns the key.
    pub const fn public_key(&self) -> &PublicKey {
        &self.0
    }
}
