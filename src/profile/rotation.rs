//! The statement that one key replaces another one, signed by both.

use std::fmt;
use std::sync::Arc;

use serde::ser::{Serialize, Serializer};

use super::record::{hex_key, hex_signature};
use crate::wire::hash;
use crate::{KeyPair, PublicKey};

/// The statement that the owner of a key goes on under another one. Every existing statement is verified:
/// both keys have signed it.
///
/// Clones share their content.
#[derive(Clone, PartialEq, Eq)]
pub struct Rotation(Arc<RawRotation>);

impl Rotation {
    /// Signs a statement with the old and the new key.
    ///
    /// # Panics
    ///
    /// Panics if both keys are the same.
    pub fn sign(from: &KeyPair, to: &KeyPair) -> Self {
        assert_ne!(from.public_key(), to.public_key(), "a key does not replace itself");
        let signed = signable(from.public_key(), to.public_key());
        Self(Arc::new(RawRotation {
            from: *from.public_key(),
            to: *to.public_key(),
            from_signature: from.sign(&signed),
            to_signature: to.sign(&signed),
        }))
    }

    /// Returns a statement that was verified before it was stored.
    pub(crate) fn from_store(raw: RawRotation) -> Self {
        Self(Arc::new(raw))
    }

    /// Returns the key that is replaced.
    pub fn from(&self) -> &PublicKey {
        &self.0.from
    }

    /// Returns the key that replaces it.
    pub fn to(&self) -> &PublicKey {
        &self.0.to
    }

    /// Returns the parts as they travel.
    pub fn raw(&self) -> &RawRotation {
        &self.0
    }

    /// Returns whether both keys are equal. Signatures may differ: a randomized signer makes another one each
    /// time.
    pub fn has_same_keys_as(&self, other: &Self) -> bool {
        (self.from(), self.to()) == (other.from(), other.to())
    }
}

impl fmt::Debug for Rotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rotation({} to {})", self.from().short(), self.to().short())
    }
}

impl Serialize for Rotation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// A statement as it travels: its parts are well formed, the signatures are not verified.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RawRotation {
    /// The key that is replaced.
    #[serde(with = "hex_key")]
    pub from: PublicKey,
    /// The key that replaces it.
    #[serde(with = "hex_key")]
    pub to: PublicKey,
    /// The signature of the replaced key.
    #[serde(with = "hex_signature")]
    pub from_signature: [u8; 64],
    /// The signature of the key that replaces it.
    #[serde(with = "hex_signature")]
    pub to_signature: [u8; 64],
}

impl RawRotation {
    /// Verifies both signatures, strictly: small-order keys and non-canonical S are refused.
    ///
    /// # Errors
    ///
    /// [`RotationError`] names what is wrong.
    pub fn verify(self) -> Result<Rotation, RotationError> {
        if self.from == self.to {
            return Err(RotationError::SameKey);
        }
        let signed = signable(&self.from, &self.to);
        if !self.from.verify(&signed, &self.from_signature) || !self.to.verify(&signed, &self.to_signature) {
            return Err(RotationError::Signature);
        }
        Ok(Rotation(Arc::new(self)))
    }
}

/// Verifies the statements that lead from a key to the one that replaces it now: each is signed, and goes on
/// where the one before ends. At most [`MAX_CHAIN`] of them, and no key twice.
///
/// # Errors
///
/// [`RotationError`] names what is wrong.
pub fn verify_chain(from: &PublicKey, chain: Vec<RawRotation>) -> Result<Vec<Rotation>, RotationError> {
    if chain.len() > MAX_CHAIN {
        return Err(RotationError::Long);
    }
    let mut keys = vec![*from];
    let mut verified = Vec::with_capacity(chain.len());
    for raw in chain {
        if keys.last() != Some(&raw.from) || keys.contains(&raw.to) {
            return Err(RotationError::Broken);
        }
        keys.push(raw.to);
        verified.push(raw.verify()?);
    }
    Ok(verified)
}

/// Why a statement, or a chain of them, is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RotationError {
    /// A statement does not begin at the key where the one before ends, or leads back.
    #[error("the statements do not lead from one key to another")]
    Broken,
    /// There are too many statements.
    #[error("there are more than {MAX_CHAIN} statements")]
    Long,
    /// The statement names one key twice.
    #[error("a key cannot replace itself")]
    SameKey,
    /// One of the two signatures is not that of its key.
    #[error("the statement is not signed by both keys")]
    Signature,
}

fn signable(from: &PublicKey, to: &PublicKey) -> [u8; 96] {
    let mut bytes = [0; 96];
    bytes[..32].copy_from_slice(&hash::hash(&[NAMESPACE]));
    bytes[32..64].copy_from_slice(from.as_bytes());
    bytes[64..].copy_from_slice(to.as_bytes());
    bytes
}

/// Separates signatures of statements from all other signatures of the same key.
const NAMESPACE: &[u8] = b"hyperprofile/rotation/1";

/// Most statements that are followed from one key.
pub const MAX_CHAIN: usize = 8;

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn rotation(from: u8, to: u8) -> Rotation {
        Rotation::sign(&KeyPair::from_seed(&[from; 32]), &KeyPair::from_seed(&[to; 32]))
    }

    #[test]
    fn a_signed_statement_verifies_and_travels() {
        let rotation = rotation(1, 2);
        let text = serde_json::to_string(&rotation).unwrap();
        let raw: RawRotation = serde_json::from_str(&text).unwrap();
        assert_eq!(raw.verify(), Ok(rotation));
        for member in ["from", "to", "fromSignature", "toSignature"] {
            let without = text.replacen(&format!("\"{member}\":"), "\"x\":", 1);
            assert!(serde_json::from_str::<RawRotation>(&without).is_err(), "{member}");
        }
    }

    #[test]
    fn any_changed_part_fails() {
        let good = rotation(1, 2).raw().clone();
        let refused = |raw: RawRotation| raw.verify().unwrap_err();
        let third = *KeyPair::from_seed(&[3; 32]).public_key();
        assert_eq!(refused(RawRotation { from: third, ..good.clone() }), RotationError::Signature);
        assert_eq!(refused(RawRotation { to: third, ..good.clone() }), RotationError::Signature);
        assert_eq!(refused(RawRotation { to: good.from, ..good.clone() }), RotationError::SameKey);
        for bit in 0..512 {
            let damage = |mut signature: [u8; 64]| {
                signature[bit / 8] ^= 1 << (bit % 8);
                signature
            };
            let from_signature = damage(good.from_signature);
            assert_eq!(refused(RawRotation { from_signature, ..good.clone() }), RotationError::Signature);
            let to_signature = damage(good.to_signature);
            assert_eq!(refused(RawRotation { to_signature, ..good.clone() }), RotationError::Signature);
        }
        // Neither key can speak for the other one, nor the other way round.
        let (to_signature, from_signature) = (good.from_signature, good.to_signature);
        let crossed = RawRotation { from_signature, to_signature, ..good.clone() };
        assert_eq!(refused(crossed), RotationError::Signature);
        let RawRotation { from, to, from_signature, to_signature } = good;
        let turned =
            RawRotation { from: to, to: from, from_signature: to_signature, to_signature: from_signature };
        assert_eq!(refused(turned), RotationError::Signature);
    }

    #[test]
    fn a_chain_leads_from_key_to_key() {
        let raw = |keys: &[(u8, u8)]| -> Vec<_> {
            keys.iter().map(|(from, to)| rotation(*from, *to).raw().clone()).collect()
        };
        let one = *rotation(1, 2).from();
        let check = |keys: &[(u8, u8)]| verify_chain(&one, raw(keys)).map(|chain| chain.len());
        assert_eq!(check(&[]), Ok(0));
        assert_eq!(check(&[(1, 2), (2, 3), (3, 4)]), Ok(3));
        for broken in [&[(2, 3)][..], &[(1, 2), (3, 4)], &[(1, 2), (2, 1)], &[(1, 2), (2, 3), (3, 2)]] {
            assert_eq!(check(broken), Err(RotationError::Broken), "{broken:?}");
        }
        let long: Vec<_> = (1..=9).map(|key| (key, key + 1)).collect();
        assert_eq!(check(&long[..8]), Ok(8));
        assert_eq!(check(&long), Err(RotationError::Long));
        let mut forged = raw(&[(1, 2), (2, 3)]);
        forged[1].to_signature[5] ^= 1;
        assert_eq!(verify_chain(&one, forged), Err(RotationError::Signature));
    }

    #[test]
    fn a_key_of_small_order_signs_nothing() {
        let mut identity = [0; 32];
        identity[0] = 1;
        let mut forged = [0; 64];
        forged[0] = 1;
        let good = rotation(1, 2).raw().clone();
        let from = PublicKey::from_bytes(identity);
        let raw = RawRotation { from, from_signature: forged, ..good.clone() };
        assert_eq!(raw.verify(), Err(RotationError::Signature));
        let raw = RawRotation { to: from, to_signature: forged, ..good };
        assert_eq!(raw.verify(), Err(RotationError::Signature));
    }
}
