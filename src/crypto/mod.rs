//! The functions of npm `hypercore-crypto` 3.7: hashes, signatures, sealed boxes. Equal inputs give equal
//! bytes in both (pure).
//!
//! The [guide from JavaScript](crate::guide::from_javascript#hypercore-crypto) names the counterpart of each
//! function. Key pairs that sign are [`KeyPair`](crate::KeyPair)s.
//!
//! A topic of the DHT is 32 bytes. Applications of the reference make one from a text, or from a public key
//! that outsiders do not learn:
//!
//! ```
//! use hyperprofile::{KeyPair, crypto};
//!
//! let topic = crypto::hash("a room that anyone can find");
//! let hidden = crypto::discovery_key(KeyPair::generate().public_key().as_bytes());
//! assert_ne!(topic, hidden);
//! ```
//!
//! The rules for signatures and boxes are those of libsodium 1.0.21, which the package runs on
//! (`sodium-native` 5.1.0).

mod hashes;
mod sealed;
pub(crate) mod secretbox;
mod signatures;
#[cfg(test)]
mod tests;

pub use hashes::{
    TreeNode, data, discovery_key, hash, hash_parts, keyed_hash, namespace, parent, random_bytes, tree,
};
pub use sealed::{EncryptError, EncryptionKeyPair, SEAL_OVERHEAD, decrypt, encrypt};
pub use signatures::{validate_key_pair, verify};
