//! Encryption of the messages that two peers exchange through relays while they punch, and the tokens inside
//! them.
//!
//! | box | size |
//! |---|---|
//! | nonce | 24 |
//! | authenticator | 16 |
//! | XSalsa20 of the encoded [`HolepunchPayload`] | at least 1 |

use std::fmt;
use std::net::Ipv4Addr;

use zeroize::Zeroizing;

use crate::crypto::secretbox::{MAC_LEN, NONCE_LEN, SecretBox};
use crate::wire::handshake::HolepunchPayload;
use crate::wire::rpc::Token;
use crate::wire::{Decode, Encode, hash};

/// Seals and opens the holepunch messages of one handshake, and proves hosts with tokens.
pub struct SecurePayload {
    cipher: SecretBox,
    local_secret: Zeroizing<[u8; 32]>,
}

impl SecurePayload {
    /// Takes the secret that both peers have derived from their handshake, and a random one for the own
    /// tokens.
    pub fn new(holepunch_secret: &[u8; 32], local_secret: [u8; 32]) -> Self {
        Self { cipher: SecretBox::new(*holepunch_secret), local_secret: Zeroizing::new(local_secret) }
    }

    /// Encrypts a message. A nonce is random and never used twice.
    pub fn seal(&self, payload: &HolepunchPayload, nonce: &[u8; NONCE_LEN]) -> Vec<u8> {
        let mut message = payload.to_bytes();
        let mac = self.cipher.seal(nonce, &mut message);
        [nonce.as_slice(), &mac, &message].concat()
    }

    /// Decrypts a message; `None` if it is too short, not from the peer, or not a payload. A server does not
    /// answer these.
    pub fn open(&self, sealed_box: &[u8]) -> Option<HolepunchPayload> {
        let (nonce, sealed) = sealed_box.split_first_chunk::<NONCE_LEN>()?;
        let (mac, message) = sealed.split_first_chunk::<MAC_LEN>()?;
        let mut message = message.to_vec();
        if message.is_empty() || !self.cipher.open(nonce, &mut message, mac) {
            return None;
        }
        HolepunchPayload::from_bytes(&message).ok()
    }

    /// Returns the token that proves, when it comes back, that its sender receives at `host`; ports play no
    /// part.
    pub fn token(&self, host: Ipv4Addr) -> Token {
        hash::keyed_hash(&*self.local_secret, &[host.to_string().as_bytes()])
    }
}

impl fmt::Debug for SecurePayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecurePayload").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::vectors::{fixed, hex, list, load, text};

    #[test]
    fn boxes_match_the_reference() {
        let boxes = &load("holepunch-payload.json")["boxes"];
        let secure = SecurePayload::new(&fixed(&boxes["key"]), [0; 32]);
        for case in list(&boxes["cases"]) {
            let payload = HolepunchPayload::from_bytes(&hex(&case["plaintext"])).unwrap();
            let sealed = hex(&case["box"]);
            assert_eq!(secure.seal(&payload, &fixed(&boxes["nonce"])), sealed, "{case}");
            assert_eq!(secure.open(&sealed), Some(payload), "{case}");
        }
    }

    #[test]
    fn tokens_match_the_reference() {
        for case in list(&load("holepunch-payload.json")["tokens"]) {
            let secure = SecurePayload::new(&[0; 32], fixed(&case["localSecret"]));
            let host = text(&case["host"]).parse().unwrap();
            assert_eq!(secure.token(host), fixed(&case["token"]), "{case}");
        }
    }

    #[test]
    fn every_damage_is_noticed() {
        let secure = SecurePayload::new(&[1; 32], [2; 32]);
        let sealed = secure.seal(&HolepunchPayload::default(), &[3; 24]);
        assert_eq!(sealed.len(), 44);
        for len in 0..sealed.len() {
            assert_eq!(secure.open(&sealed[..len]), None, "{len}");
        }
        for index in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[index] ^= 0x10;
            assert_eq!(secure.open(&damaged), None, "{index}");
        }
        assert_eq!(SecurePayload::new(&[4; 32], [2; 32]).open(&sealed), None);
    }

    #[test]
    fn an_authentic_box_without_a_whole_payload_is_not_opened() {
        let secure = SecurePayload::new(&[1; 32], [2; 32]);
        let nonce = [3; NONCE_LEN];
        for plaintext in [&[][..], &[0x08, 0, 0, 0, 1, 2]] {
            let mut message = plaintext.to_vec();
            let mac = secure.cipher.seal(&nonce, &mut message);
            assert_eq!(secure.open(&[&nonce[..], &mac, &message].concat()), None);
        }
    }
}
