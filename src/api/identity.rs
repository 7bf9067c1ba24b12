//! Who a peer says it is, and who it has shown to be.

use std::fmt;

use crate::PublicKey;

/// A key that the peer named in its handshake and has not yet shown to own.
///
/// Anyone who recorded a handshake can send its first message again, so a claimed key must not be written,
/// counted, limited or logged. The one thing that is safe is to send something to it: only the owner of the
/// key can read what the stream carries.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ClaimedKey(PublicKey);

impl ClaimedKey {
    pub(crate) const fn new(key: PublicKey) -> Self {
        Self(key)
    }

    /// Returns the key for the sole purpose of sending its owner something that only the owner can read.
    pub const fn to_address_reply(&self) -> &PublicKey {
        &self.0
    }
}

impl fmt::Debug for ClaimedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClaimedKey(not proven)")
    }
}

/// A key whose owner is at the other end: a frame that only the owner could have made has decrypted.
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
