//! libsodium's `crypto_secretbox`: XSalsa20 and Poly1305, with the authenticator apart from the message.
//!
//! Written on both directly, as there is no release of a crate of that name for the present version of
//! `salsa20`. What a connection seals with it is shorter than a datagram, so the authenticator is computed
//! block by block (see `secret_stream/cipher.rs`).

use cryptoxide::poly1305::Poly1305;
use salsa20::XSalsa20;
use salsa20::cipher::{KeyIvInit, StreamCipher};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Length of a nonce.
pub(crate) const NONCE_LEN: usize = 24;

/// Length of an authenticator.
pub(crate) const MAC_LEN: usize = 16;

/// A key for boxes.
pub(crate) struct SecretBox {
    key: Zeroizing<[u8; 32]>,
}

impl SecretBox {
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self { key: Zeroizing::new(key) }
    }

    /// Encrypts a message where it is and returns its authenticator. A nonce must not be used twice.
    pub(crate) fn seal(&self, nonce: &[u8; NONCE_LEN], message: &mut [u8]) -> [u8; MAC_LEN] {
        let (mut cipher, mut authenticator) = self.start(nonce);
        cipher.apply_keystream(message);
        authenticator.update_mut(message);
        authenticator.finalize().0
    }

    /// Decrypts a message where it is, unless its authenticator is another: then returns `false` and leaves
    /// it as it was.
    pub(crate) fn open(&self, nonce: &[u8; NONCE_LEN], message: &mut [u8], mac: &[u8; MAC_LEN]) -> bool {
        let (mut cipher, mut authenticator) = self.start(nonce);
        authenticator.update_mut(message);
        let authentic = bool::from(authenticator.finalize().0.ct_eq(mac));
        if authentic {
            cipher.apply_keystream(message);
        }
        authentic
    }

    /// The first 32 bytes of the key stream are the authenticator's key, and the message's begins behind
    /// them.
    fn start(&self, nonce: &[u8; NONCE_LEN]) -> (XSalsa20, Poly1305) {
        let mut cipher = XSalsa20::new((&*self.key).into(), nonce.into());
        let mut key = Zeroizing::new([0; 32]);
        cipher.apply_keystream(&mut *key);
        (cipher, Poly1305::new(&key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto_secretbox::aead::{AeadInPlace, KeyInit as _};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn boxes_are_those_of_another_implementation(
            key: [u8; 32],
            nonce: [u8; NONCE_LEN],
            message in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut theirs = message.clone();
            let mac = crypto_secretbox::XSalsa20Poly1305::new(&key.into())
                .encrypt_in_place_detached(&nonce.into(), &[], &mut theirs)
                .expect("the message is short");

            let secret_box = SecretBox::new(key);
            let mut ours = message.clone();
            prop_assert_eq!(secret_box.seal(&nonce, &mut ours), <[u8; MAC_LEN]>::from(mac));
            prop_assert_eq!(&ours, &theirs);
            prop_assert!(secret_box.open(&nonce, &mut ours, &mac.into()));
            prop_assert_eq!(&ours, &message);
        }
    }

    #[test]
    fn a_forged_box_is_left_as_it_was() {
        let secret_box = SecretBox::new([1; 32]);
        let mut message = *b"a message";
        let mut mac = secret_box.seal(&[2; NONCE_LEN], &mut message);
        let sealed = message;
        mac[15] ^= 1;
        assert!(!secret_box.open(&[2; NONCE_LEN], &mut message, &mac));
        assert_eq!(message, sealed);
        mac[15] ^= 1;
        assert!(secret_box.open(&[2; NONCE_LEN], &mut message, &mac));
        assert_eq!(&message, b"a message");
    }
}
