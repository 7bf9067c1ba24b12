//! The cipher and the hash of the handshake, for snow: kept crates, in the versions that the rest of this
//! crate uses.

use blake2::Blake2b512;
use blake2::digest::{Digest, FixedOutputReset, Reset, Update};
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Nonce, Tag};
use snow::types::{Cipher, Hash};
use zeroize::Zeroizing;

const TAG_LEN: usize = 16;

/// ChaCha20-Poly1305 with the nonces of Noise.
#[derive(Default)]
pub(super) struct ChaChaPoly {
    key: Zeroizing<[u8; 32]>,
}

impl ChaChaPoly {
    pub(super) fn cipher(&self) -> ChaCha20Poly1305 {
        ChaCha20Poly1305::new(&(*self.key).into())
    }
}

impl Cipher for ChaChaPoly {
    fn name(&self) -> &'static str {
        "ChaChaPoly"
    }

    fn set(&mut self, key: &[u8; 32]) {
        *self.key = *key;
    }

    fn encrypt(&self, nonce: u64, authtext: &[u8], plaintext: &[u8], out: &mut [u8]) -> usize {
        let (message, rest) = out.split_at_mut(plaintext.len());
        message.copy_from_slice(plaintext);
        let tag = self
            .cipher()
            .encrypt_inout_detached(&nonce_bytes(nonce), authtext, message.into())
            .expect("a handshake message is far shorter than the cipher's limit");
        rest[..TAG_LEN].copy_from_slice(&tag);
        plaintext.len() + TAG_LEN
    }

    fn decrypt(
        &self,
        nonce: u64,
        authtext: &[u8],
        ciphertext: &[u8],
        out: &mut [u8],
    ) -> Result<usize, snow::Error> {
        let (sealed, tag) = ciphertext.split_last_chunk::<TAG_LEN>().ok_or(snow::Error::Decrypt)?;
        let message = out.get_mut(..sealed.len()).ok_or(snow::Error::Decrypt)?;
        message.copy_from_slice(sealed);
        self.cipher()
            .decrypt_inout_detached(&nonce_bytes(nonce), authtext, message.into(), &Tag::from(*tag))
            .map_err(|_| snow::Error::Decrypt)?;
        Ok(sealed.len())
    }
}

/// Four zeros, then the counter, lowest byte first: the Noise specification, §12.3.
fn nonce_bytes(nonce: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&nonce.to_le_bytes());
    bytes.into()
}

/// BLAKE2b with 64 bytes of output.
#[derive(Default)]
pub(super) struct Blake2b(Blake2b512);

impl Hash for Blake2b {
    fn name(&self) -> &'static str {
        "BLAKE2b"
    }

    fn block_len(&self) -> usize {
        128
    }

    fn hash_len(&self) -> usize {
        <Blake2b512 as Digest>::output_size()
    }

    fn reset(&mut self) {
        Reset::reset(&mut self.0);
    }

    fn input(&mut self, data: &[u8]) {
        Update::update(&mut self.0, data);
    }

    fn result(&mut self, out: &mut [u8]) {
        let hash = self.0.finalize_fixed_reset();
        out[..hash.len()].copy_from_slice(&hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forged_or_shortened_message_is_not_opened() {
        let mut cipher = ChaChaPoly::default();
        cipher.set(&[7; 32]);
        let mut sealed = [0; 21];
        assert_eq!(cipher.encrypt(3, b"header", b"hello", &mut sealed), 21);

        let mut opened = [0; 5];
        assert_eq!(cipher.decrypt(3, b"header", &sealed, &mut opened), Ok(5));
        assert_eq!(&opened, b"hello");

        assert!(cipher.decrypt(4, b"header", &sealed, &mut opened).is_err());
        assert!(cipher.decrypt(3, b"other", &sealed, &mut opened).is_err());
        assert!(cipher.decrypt(3, b"header", &sealed[..15], &mut opened).is_err());
        assert!(cipher.decrypt(3, b"header", &sealed, &mut opened[..4]).is_err());
        sealed[0] ^= 1;
        assert!(cipher.decrypt(3, b"header", &sealed, &mut opened).is_err());
    }
}
