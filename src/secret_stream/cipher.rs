//! libsodium's `crypto_secretstream_xchacha20poly1305`, one direction.
//!
//! Written on ChaCha20 and Poly1305 directly: a third faster in bulk than the crate of that name, because the MAC takes
//! many blocks at once and nothing is moved to make room for the tag byte, and like libsodium after a FINAL tag, where that
//! crate does not change the key. The tests compare both, byte for byte.

use chacha20::cipher::{KeyIvInit, StreamCipher};
use chacha20::{ChaCha20, R20, hchacha};
use poly1305::Poly1305;
use poly1305::universal_hash::{KeyInit, UniversalHash};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// The tag of every message that is sent here; the others are only understood.
pub(super) const TAG_MESSAGE: u8 = 0;

/// The bit of a tag that asks for a new key: set in REKEY (2) and FINAL (3).
const TAG_REKEY: u8 = 2;

/// Length of the authenticator that ends each message.
pub(super) const MAC_LEN: usize = 16;

/// Bytes of key stream that the cipher makes in one go on the machines that matter: four blocks.
const STRIDE: usize = 256;

/// Where the key stream for the message begins: block 0 keys the MAC, block 1 hides the tag.
const MESSAGE_START: usize = 128;

pub(super) struct Cipher {
    key: [u8; 32],
    counter: u32,
    inonce: [u8; 8],
}

impl Cipher {
    pub(super) fn new(key: &[u8; 32], header: &[u8; 24]) -> Self {
        let (nonce, inonce) = header
            .split_first_chunk::<16>()
            .expect("a header is longer than that");
        Self {
            key: hchacha::<R20>(key.into(), nonce.into()).into(),
            counter: 1,
            inonce: inonce.try_into().expect("24 less 16 is 8"),
        }
    }

    /// Appends encrypted tag, encrypted message and MAC.
    pub(super) fn seal(&mut self, tag: u8, message: &[u8], out: &mut Vec<u8>) {
        let (mut cipher, head) = self.key_stream();
        let mut tag_block = tag_block(&head);
        tag_block[0] ^= tag;

        out.push(tag_block[0]);
        let start = out.len();
        out.extend_from_slice(message);
        apply(&mut cipher, &head, &mut out[start..]);
        let mac = authenticate(&head, &tag_block, &out[start..]);
        out.extend_from_slice(&mac);
        self.advance(tag, &mac);
    }

    /// Verifies a frame's content and then decrypts the message inside it, which begins at its second byte and ends before
    /// the MAC. Returns the tag.
    ///
    /// A forged frame is left as it is and `None` returned. So is one too short to hold a tag and a MAC.
    pub(super) fn open(&mut self, content: &mut [u8]) -> Option<u8> {
        let (body, mac) = content.split_last_chunk_mut::<MAC_LEN>()?;
        let (sealed_tag, message) = body.split_first_mut()?;

        let (mut cipher, head) = self.key_stream();
        let mut tag_block = tag_block(&head);
        let tag = tag_block[0] ^ *sealed_tag;
        tag_block[0] = *sealed_tag;

        let expected = authenticate(&head, &tag_block, message);
        if !bool::from(expected.ct_eq(mac)) {
            return None;
        }
        apply(&mut cipher, &head, message);
        self.advance(tag, &expected);
        Some(tag)
    }

    /// Returns the first four blocks of this message's key stream and the cipher that goes on behind them.
    fn key_stream(&self) -> (ChaCha20, [u8; STRIDE]) {
        let mut nonce = [0; 12];
        nonce[..4].copy_from_slice(&self.counter.to_le_bytes());
        nonce[4..].copy_from_slice(&self.inonce);
        let mut cipher = ChaCha20::new(&self.key.into(), &nonce.into());
        let mut head = [0; STRIDE];
        cipher.apply_keystream(&mut head);
        (cipher, head)
    }

    /// Chains the next message to this one, with a new key where that is due.
    fn advance(&mut self, tag: u8, mac: &[u8; MAC_LEN]) {
        xor(&mut self.inonce, mac);
        self.counter = self.counter.wrapping_add(1);
        if tag & TAG_REKEY != 0 || self.counter == 0 {
            let (_, mut head) = self.key_stream();
            xor(&mut self.key, &head[..32]);
            xor(&mut self.inonce, &head[32..40]);
            self.counter = 1;
            head.zeroize();
        }
    }

    #[cfg(test)]
    pub(super) fn state(&self) -> ([u8; 32], u32, [u8; 8]) {
        (self.key, self.counter, self.inonce)
    }

    #[cfg(test)]
    pub(super) fn set_counter(&mut self, counter: u32) {
        self.counter = counter;
    }
}

impl Drop for Cipher {
    fn drop(&mut self) {
        self.key.zeroize();
        self.inonce.zeroize();
    }
}

fn tag_block(head: &[u8; STRIDE]) -> [u8; 64] {
    head[64..MESSAGE_START]
        .try_into()
        .expect("block 1 has 64 bytes")
}

/// Encrypts or decrypts a message.
fn apply(cipher: &mut ChaCha20, head: &[u8; STRIDE], message: &mut [u8]) {
    let (first, rest) = message.split_at_mut(message.len().min(STRIDE - MESSAGE_START));
    xor(first, &head[MESSAGE_START..]);
    let (bulk, tail) = rest.split_at_mut(rest.len() - rest.len() % STRIDE);
    cipher.apply_keystream(bulk);
    if !tail.is_empty() {
        // Block by block, the tail would cost as much as a whole stride for each of its blocks.
        let mut last = [0; STRIDE];
        cipher.apply_keystream(&mut last);
        xor(tail, &last);
    }
}

fn authenticate(head: &[u8; STRIDE], tag_block: &[u8; 64], ciphertext: &[u8]) -> [u8; MAC_LEN] {
    let mut mac = Poly1305::new_from_slice(&head[..32]).expect("its keys have 32 bytes");
    mac.update_padded(tag_block);
    let (whole, partial) = ciphertext.split_at(ciphertext.len() - ciphertext.len() % 16);
    mac.update_padded(whole);

    // The padding is as long as the partial block, not what would fill it: an oversight in libsodium that every peer shares.
    let mut end = [0; 48];
    end[..partial.len()].copy_from_slice(partial);
    let lengths = 2 * partial.len() + 8;
    let covered = (tag_block.len() + ciphertext.len()) as u64;
    end[lengths..lengths + 8].copy_from_slice(&covered.to_le_bytes());
    mac.compute_unpadded(&end[..lengths + 8]).into()
}

/// Combines as many bytes as the shorter slice has.
fn xor(target: &mut [u8], with: &[u8]) {
    for (byte, other) in target.iter_mut().zip(with) {
        *byte ^= other;
    }
}
