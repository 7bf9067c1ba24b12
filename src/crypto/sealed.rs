//! Sealed boxes: messages that only the owner of a key can read, from a sender who stays unknown.
//!
//! | box | size |
//! |---|---|
//! | public key that was made for this box | 32 |
//! | authenticator | 16 |
//! | XSalsa20 of the message | as the message |
//!
//! The nonce is BLAKE2b-192 of both public keys, the key HSalsa20 of what the two keys share by X25519.

use std::fmt;
use std::sync::Arc;

use blake2::Blake2b;
use blake2::digest::consts::{U10, U24};
use blake2::digest::{Digest as _, FixedOutput as _};
use curve25519_dalek::MontgomeryPoint;
use ed25519_dalek::Sha512;
use rand::RngCore as _;
use salsa20::hsalsa;
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, Zeroizing};

use super::secretbox::{MAC_LEN, NONCE_LEN, SecretBox};

/// By how much a sealed box is longer than its message, in bytes.
pub const SEAL_OVERHEAD: usize = KEY_LEN + MAC_LEN;

const KEY_LEN: usize = 32;

/// An X25519 key pair, for sealed boxes only: it is no identity and signs nothing.
///
/// All clones share one copy of the secret, which is never printed. It is wiped from memory when the last
/// clone is dropped.
#[derive(Clone)]
pub struct EncryptionKeyPair {
    secret: Arc<Zeroizing<[u8; 32]>>,
    public: [u8; 32],
}

impl EncryptionKeyPair {
    /// Makes a new pair from the system's randomness.
    ///
    /// # Panics
    ///
    /// Panics if the system has no randomness to give.
    pub fn generate() -> Self {
        Self::fill(|secret| rand::rngs::OsRng.fill_bytes(secret))
    }

    /// Derives the pair that belongs to a seed: its secret key is the first half of SHA-512 of the seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self::fill(|secret| {
            let mut hashed = Sha512::digest(seed);
            secret.copy_from_slice(&hashed[..32]);
            hashed.zeroize();
        })
    }

    /// Takes a secret key, as `secretKey` of an encryption key pair in JavaScript.
    pub fn from_secret_key_bytes(secret_key: &[u8; 32]) -> Self {
        Self::fill(|secret| secret.copy_from_slice(secret_key))
    }

    fn fill(write: impl FnOnce(&mut [u8; 32])) -> Self {
        let mut secret = Arc::new(Zeroizing::new([0; 32]));
        write(Arc::get_mut(&mut secret).expect("nobody else has the new value"));
        let public = MontgomeryPoint::mul_base_clamped(**secret).to_bytes();
        Self { secret, public }
    }

    /// Returns the public half, which senders need.
    pub const fn public_key(&self) -> &[u8; 32] {
        &self.public
    }

    /// Returns the secret key. It opens all boxes for this pair: keep it secret, and wipe copies.
    pub fn secret_key_bytes(&self) -> &[u8; 32] {
        &self.secret
    }

    /// Returns the cipher between this pair and another public key; `None` if the other key is of small
    /// order: anyone knows what is shared with that.
    fn cipher(&self, other: &[u8; 32]) -> Option<SecretBox> {
        let mut point = MontgomeryPoint(*other).mul_clamped(**self.secret);
        let shared = Zeroizing::new(point.to_bytes());
        point.zeroize();
        let mut key = hsalsa::<U10>((&*shared).into(), &[0; 16].into());
        let cipher = SecretBox::new(key.into());
        key.zeroize();
        (!bool::from(shared.ct_eq(&[0; 32]))).then_some(cipher)
    }
}

/// Compares the secret keys in constant time.
impl PartialEq for EncryptionKeyPair {
    fn eq(&self, other: &Self) -> bool {
        bool::from(self.secret_key_bytes().ct_eq(other.secret_key_bytes()))
    }
}

impl Eq for EncryptionKeyPair {}

impl fmt::Debug for EncryptionKeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptionKeyPair").finish_non_exhaustive()
    }
}

/// The public key is of small order: no pair has it, and anyone could read what is sealed for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing can be sealed for this public key: it is of small order")]
pub struct EncryptError;

/// Seals a message for the owner of an encryption key. Nobody learns who has sealed it, its owner neither.
///
/// The box is [`SEAL_OVERHEAD`] bytes longer than the message, and another one each time.
///
/// # Errors
///
/// [`EncryptError`] for a key that libsodium refuses too.
///
/// # Panics
///
/// Panics if the system has no randomness to give.
pub fn encrypt(message: &[u8], public_key: &[u8; 32]) -> Result<Vec<u8>, EncryptError> {
    seal(message, public_key, &EncryptionKeyPair::generate())
}

/// Seals a message with a pair that is used for nothing else.
pub(super) fn seal(
    message: &[u8],
    public_key: &[u8; 32],
    ephemeral: &EncryptionKeyPair,
) -> Result<Vec<u8>, EncryptError> {
    let cipher = ephemeral.cipher(public_key).ok_or(EncryptError)?;
    let mut message = message.to_vec();
    let mac = cipher.seal(&nonce(ephemeral.public_key(), public_key), &mut message);
    Ok([ephemeral.public_key().as_slice(), &mac, &message].concat())
}

/// Opens a sealed box; `None` if it is too short, was changed, or is sealed for another key.
pub fn decrypt(ciphertext: &[u8], key_pair: &EncryptionKeyPair) -> Option<Vec<u8>> {
    let (ephemeral, sealed) = ciphertext.split_first_chunk::<KEY_LEN>()?;
    let (mac, message) = sealed.split_first_chunk::<MAC_LEN>()?;
    let cipher = key_pair.cipher(ephemeral)?;
    let mut message = message.to_vec();
    cipher.open(&nonce(ephemeral, key_pair.public_key()), &mut message, mac).then_some(message)
}

fn nonce(ephemeral: &[u8; 32], receiver: &[u8; 32]) -> [u8; NONCE_LEN] {
    let state = Blake2b::<U24>::new().chain_update(ephemeral).chain_update(receiver);
    state.finalize_fixed().into()
}
