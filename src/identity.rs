//! Who a peer is: a key pair in memory, or a key that is kept elsewhere and does there what it is needed for.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::keys::{KeyPair, PublicKey};

/// What a [`Signer`] does, or why it does not.
pub type Signing<T> = Pin<Box<dyn Future<Output = Result<T, SignerError>> + Send>>;

/// Why a [`Signer`] does not do what it was asked for. It is logged as a warning.
pub type SignerError = Box<dyn Error + Send + Sync>;

/// Keeps a secret key outside of this process: an agent, a token, a security module.
///
/// An [`Identity`] made of a signer dials, listens, announces and stores values like a key pair. The library
/// asks for
///
/// * one signature for each node that an announcement goes to, some twenty each time a server or a topic is
///   announced, and one for each value that is stored;
/// * two exchanges for each handshake. Every host that knows a server's key can make it ask for them, and a
///   node that a client dials through can answer in the server's place and make the client ask for more.
///
/// Up to [`Limits::decisions`](crate::Limits::decisions) questions wait at a time, and each has
/// [`Limits::decide_for`](crate::Limits::decide_for) to be answered. Beyond that, and where the signer fails
/// or panics, the handshake or the request fails. Futures run in tasks of their own, and are dropped when
/// they are late. [`Dht::mutable_put`](crate::Dht::mutable_put) waits for its signature without a limit.
pub trait Signer: Send + Sync {
    /// Returns the Ed25519 public key. It is asked for once, when the [`Identity`] is made.
    fn public_key(&self) -> PublicKey;

    /// Signs a message with Ed25519, detached (RFC 8032 §5.1.6, without a context). Its first half is the
    /// namespace of what is signed: announcing, withdrawing, or storing a value; the second is the hash of
    /// that (`docs/protocol/hyperdht-rpc.md` §4).
    fn sign(&self, message: [u8; 64]) -> Signing<[u8; 64]>;

    /// Multiplies a point of the curve by the secret scalar: the first half of the SHA-512 of the seed,
    /// clamped (RFC 8032 §5.1.5), which is also the scalar of signatures. Points and results are compressed
    /// Edwards points and not those of X25519, as in libsodium's `crypto_scalarmult_ed25519_noclamp`. The
    /// library has checked that the point is canonical and of the prime-order subgroup.
    fn exchange(&self, point: [u8; 32]) -> Signing<[u8; 32]>;
}

/// Who a peer is. Made from a [`KeyPair`], or from an `Arc` of a [`Signer`].
#[derive(Clone)]
pub struct Identity(Kind);

#[derive(Clone)]
enum Kind {
    Here(KeyPair),
    Elsewhere(PublicKey, Arc<dyn Signer>),
}

impl Identity {
    /// Returns the public key.
    pub const fn public_key(&self) -> &PublicKey {
        match &self.0 {
            Kind::Here(key_pair) => key_pair.public_key(),
            Kind::Elsewhere(key, _) => key,
        }
    }

    /// Returns the key pair, or who keeps the secret key.
    pub(crate) const fn secret(&self) -> Result<&KeyPair, &Arc<dyn Signer>> {
        match &self.0 {
            Kind::Here(key_pair) => Ok(key_pair),
            Kind::Elsewhere(_, signer) => Err(signer),
        }
    }
}

impl From<KeyPair> for Identity {
    fn from(key_pair: KeyPair) -> Self {
        Self(Kind::Here(key_pair))
    }
}

impl From<&KeyPair> for Identity {
    fn from(key_pair: &KeyPair) -> Self {
        key_pair.clone().into()
    }
}

impl<S: Signer + 'static> From<Arc<S>> for Identity {
    fn from(signer: Arc<S>) -> Self {
        Self(Kind::Elsewhere(signer.public_key(), signer))
    }
}

impl From<&Self> for Identity {
    fn from(identity: &Self) -> Self {
        identity.clone()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(self.public_key()).finish()
    }
}
