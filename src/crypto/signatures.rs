//! Signatures and key pairs as slices of bytes, of any length.

use subtle::ConstantTimeEq as _;

use crate::PublicKey;

/// Verifies a detached signature as libsodium does, and so as `verify` in JavaScript.
///
/// It is `false` for a signature that does not have 64 bytes and for a key that does not have 32. Refused as
/// well are keys that are no point of the curve, of small order or not canonical, an R of small order, and an
/// S that is not below the group's order.
pub fn verify(message: &[u8], signature: &[u8], public_key: &[u8]) -> bool {
    match (signature.try_into(), PublicKey::try_from(public_key)) {
        (Ok(signature), Ok(key)) => key.verify(message, signature),
        _ => false,
    }
}

/// Returns whether a secret key of 64 bytes names this public key: its second half is equal to it.
///
/// This is all that `validateKeyPair` checks in JavaScript: the first half, which signs, may belong to
/// another key. [`KeyPair::from_secret_key_bytes`](crate::KeyPair::from_secret_key_bytes) checks that too. A
/// slice of another length is not valid.
pub fn validate_key_pair(public_key: &[u8], secret_key: &[u8]) -> bool {
    match secret_key.split_last_chunk::<32>() {
        Some((seed, named)) => seed.len() == 32 && bool::from(named.as_slice().ct_eq(public_key)),
        None => false,
    }
}
