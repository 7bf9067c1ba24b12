//! A profile under its owner's signature: what travels and what is stored.

use std::fmt;
use std::sync::Arc;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, Serializer};

use super::content::{InvalidProfile, Profile};
use crate::wire::hash;
use crate::{KeyPair, PublicKey};

/// A version of a profile that its owner has signed. Every existing record is verified, its signature
/// included.
///
/// Clones share their content.
#[derive(Clone, PartialEq, Eq)]
pub struct Record(Arc<Signed>);

#[derive(PartialEq, Eq)]
struct Signed {
    key: PublicKey,
    version: u64,
    profile: Profile,
    signature: [u8; 64],
}

impl Record {
    /// Signs a version of a profile.
    ///
    /// # Panics
    ///
    /// Panics if `version` is 0 or above [`MAX_VERSION`].
    pub fn sign(owner: &KeyPair, version: u64, profile: Profile) -> Self {
        assert!(is_version(version), "versions count from 1 to 2^53-1: {version}");
        let signature = owner.sign(&signable(version, profile.text()));
        Self::of(*owner.public_key(), version, profile, signature)
    }

    /// Verifies the parts of a record: the profile first, then the signature. Strict, as `profile.md`
    /// requires: small-order keys and non-canonical S are refused.
    ///
    /// # Errors
    ///
    /// [`RecordError`] names the part that is wrong.
    pub fn verify(
        key: PublicKey,
        version: u64,
        text: &str,
        signature: [u8; 64],
    ) -> Result<Self, RecordError> {
        if !is_version(version) {
            return Err(RecordError::Version);
        }
        let profile = Profile::parse(text)?;
        if !key.verify(&signable(version, text), &signature) {
            return Err(RecordError::Signature);
        }
        Ok(Self::of(key, version, profile, signature))
    }

    /// Returns a record that was verified before it was stored.
    pub(crate) fn from_store(
        key: PublicKey,
        version: u64,
        text: &str,
        signature: [u8; 64],
    ) -> Result<Self, RecordError> {
        Ok(Self::of(key, version, Profile::parse(text)?, signature))
    }

    fn of(key: PublicKey, version: u64, profile: Profile, signature: [u8; 64]) -> Self {
        Self(Arc::new(Signed { key, version, profile, signature }))
    }

    /// Returns the owner's key.
    pub fn key(&self) -> &PublicKey {
        &self.0.key
    }

    /// Returns the version, from 1.
    pub fn version(&self) -> u64 {
        self.0.version
    }

    /// Returns the profile.
    pub fn profile(&self) -> &Profile {
        &self.0.profile
    }

    /// Returns the signature.
    pub fn signature(&self) -> &[u8; 64] {
        &self.0.signature
    }

    /// Returns whether owner, version and text are equal. Signatures may differ: a randomized signer makes
    /// another one each time.
    pub fn has_same_content_as(&self, other: &Self) -> bool {
        self.0.key == other.0.key
            && self.0.version == other.0.version
            && self.0.profile.text() == other.0.profile.text()
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Record({} version {})", self.0.key.short(), self.0.version)
    }
}

/// A record as it travels: its parts are well formed, the profile and the signature are not verified.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct RawRecord {
    /// The key that the record names as its owner.
    #[serde(with = "hex_key")]
    pub key: PublicKey,
    /// The version, in range.
    #[serde(deserialize_with = "version")]
    pub version: u64,
    /// The profile's text.
    #[serde(rename = "profile")]
    pub text: String,
    /// The signature.
    #[serde(with = "hex_signature")]
    pub signature: [u8; 64],
}

impl RawRecord {
    /// Checks the record; see [`Record::verify`].
    ///
    /// # Errors
    ///
    /// [`RecordError`] names the part that is wrong.
    pub fn verify(&self) -> Result<Record, RecordError> {
        Record::verify(self.key, self.version, &self.text, self.signature)
    }
}

impl From<&Record> for RawRecord {
    fn from(record: &Record) -> Self {
        Self {
            key: record.0.key,
            version: record.0.version,
            text: record.0.profile.text().to_owned(),
            signature: record.0.signature,
        }
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawRecord::from(self).serialize(serializer)
    }
}

/// Why a record is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The version is 0 or above 2^53-1.
    #[error("a version is a number from 1 to 2^53-1")]
    Version,
    /// The profile breaks a rule.
    #[error(transparent)]
    Profile(#[from] InvalidProfile),
    /// The signature is not the owner's over this version and text.
    #[error("the signature is not the owner's")]
    Signature,
}

/// A key as 64 hexadecimal digits.
pub(super) mod hex_key {
    use super::*;

    pub(in crate::profile) fn serialize<S: Serializer>(
        key: &PublicKey,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        write_hex(key.as_bytes(), serializer)
    }

    pub(in crate::profile) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<PublicKey, D::Error> {
        read_hex(deserializer).map(PublicKey::from_bytes)
    }
}

/// A signature as 128 hexadecimal digits.
pub(super) mod hex_signature {
    pub(in crate::profile) use super::{read_hex as deserialize, write_hex as serialize};
}

pub(super) fn write_hex<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&HEXLOWER.encode(bytes))
}

/// Reads the hexadecimal digits, upper or lower case, of exactly `N` bytes.
pub(super) fn read_hex<'de, D: Deserializer<'de>, const N: usize>(
    deserializer: D,
) -> Result<[u8; N], D::Error> {
    HEXLOWER_PERMISSIVE
        .decode(String::deserialize(deserializer)?.as_bytes())
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| D::Error::custom("not the hexadecimal digits of as many bytes"))
}

/// Reads a version in range.
pub(super) fn version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let version = u64::deserialize(deserializer)?;
    is_version(version).then_some(version).ok_or_else(|| D::Error::custom("not a version"))
}

/// Returns whether a number is a version, 1 to 2^53-1.
pub const fn is_version(version: u64) -> bool {
    1 <= version && version <= MAX_VERSION
}

fn signable(version: u64, text: &str) -> [u8; 72] {
    let mut bytes = [0; 72];
    bytes[..32].copy_from_slice(&hash::hash(&[NAMESPACE]));
    bytes[32..40].copy_from_slice(&version.to_le_bytes());
    bytes[40..].copy_from_slice(&hash::hash(&[text.as_bytes()]));
    bytes
}

/// Separates signatures of records from all other signatures of the same key.
const NAMESPACE: &[u8] = b"hyperprofile/record/1";

/// The greatest version: the greatest integer that every JSON reader keeps exactly.
pub const MAX_VERSION: u64 = (1 << 53) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn ada() -> KeyPair {
        KeyPair::from_seed(&[1; 32])
    }

    fn record(version: u64) -> Record {
        Record::sign(&ada(), version, Profile::parse(TEXT).unwrap())
    }

    #[test]
    fn a_signed_record_verifies_and_travels() {
        let record = record(MAX_VERSION);
        let raw: RawRecord = serde_json::from_slice(&serde_json::to_vec(&record).unwrap()).unwrap();
        assert_eq!(raw.verify(), Ok(record));
    }

    #[test]
    fn any_changed_part_fails() {
        let good = record(3);
        let verify = |key, version, text: &str, signature| Record::verify(key, version, text, signature);
        assert_eq!(verify(good.0.key, 3, TEXT, good.0.signature), Ok(good.clone()));
        let other = *KeyPair::from_seed(&[2; 32]).public_key();
        assert_eq!(verify(other, 3, TEXT, good.0.signature), Err(RecordError::Signature));
        assert_eq!(verify(good.0.key, 4, TEXT, good.0.signature), Err(RecordError::Signature));
        let spaced = TEXT.replace(':', ": ");
        assert_eq!(verify(good.0.key, 3, &spaced, good.0.signature), Err(RecordError::Signature));
        for bit in 0..512 {
            let mut damaged = good.0.signature;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(verify(good.0.key, 3, TEXT, damaged), Err(RecordError::Signature));
        }
        assert_eq!(verify(good.0.key, 0, TEXT, good.0.signature), Err(RecordError::Version));
        assert_eq!(verify(good.0.key, MAX_VERSION + 1, TEXT, good.0.signature), Err(RecordError::Version));
    }

    #[test]
    fn small_order_keys_and_a_raised_s_are_refused() {
        // Under the identity element as key, R = identity and S = 0 satisfy the equation for every message.
        let mut identity = [0; 32];
        identity[0] = 1;
        let mut forged = [0; 64];
        forged[0] = 1;
        assert_eq!(
            Record::verify(PublicKey::from_bytes(identity), 1, TEXT, forged),
            Err(RecordError::Signature)
        );
        // S + L satisfies it as well: the order of the group, little-endian.
        let order =
            HEXLOWER.decode(b"edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").unwrap();
        let good = record(1);
        let mut raised = good.0.signature;
        let mut carry = 0;
        for (byte, add) in raised[32..].iter_mut().zip(order) {
            let sum = u16::from(*byte) + u16::from(add) + carry;
            *byte = sum.to_le_bytes()[0];
            carry = sum >> 8;
        }
        assert_eq!(Record::verify(good.0.key, 1, TEXT, raised), Err(RecordError::Signature));
    }

    #[test]
    fn a_record_in_a_message_has_four_well_formed_members() {
        let good = serde_json::to_string(&record(1)).unwrap();
        let read = |text: &str| serde_json::from_str::<RawRecord>(text);
        assert!(read(&good).is_ok());
        assert!(read(&good.replace("\"version\":1", "\"version\":0")).is_err());
        assert!(read(&good.replace("\"version\":1", "\"version\":9007199254740992")).is_err());
        assert!(read(&good.replace("\"version\":1", "\"version\":\"1\"")).is_err());
        assert!(read(&good.replace("\"version\":1", "\"version\":1,\"x\":1")).is_err());
        assert!(read(&good.replace("\"key\":\"", "\"key\":\"0")).is_err());
        assert!(read(&good.replace("\"signature\"", "\"sig\"")).is_err());
    }

    const TEXT: &str = r#"{"name":"Ada"}"#;
}
