//! Entries as bytes, and the sum that a set of them has.
//!
//! | entry | bytes |
//! |---|---|
//! | present | `03`, version u64, commit u64, sum before (32), slot u32, nonce (24), ciphertext, tag (16) |
//! | deleted | `04`, version u64, commit u64, sum of the entry before (32) |
//!
//! Numbers are little-endian. The ciphertext is the signature (64) and the profile's text under
//! XChaCha20-Poly1305, with the key in the slot of the key file. The public key and all bytes up to the
//! ciphertext are the associated data.

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce};
use rand::RngCore as _;

use super::super::entry::KeyEntry;
use super::super::record::{Record, is_version};
use crate::PublicKey;
use crate::wire::hash::hash;

/// The key of one profile.
pub(super) type SlotKey = [u8; 32];

/// An entry as it is stored, split into its parts. Nothing is decrypted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored<'a> {
    pub(super) version: u64,
    /// The group of changes that the entry was written in.
    pub(super) commit: u64,
    /// The sum of the entry that was durable before that group; zero if there was none.
    pub(super) before: Sum,
    body: Option<Sealed<'a>>,
}

#[derive(Clone, Copy, Debug)]
struct Sealed<'a> {
    slot: u32,
    nonce: &'a [u8; 24],
    associated: &'a [u8],
    ciphertext: &'a [u8],
    tag: &'a [u8; 16],
}

impl<'a> Stored<'a> {
    /// Splits bytes; `None` if [`seal`] and [`delete`] did not write them.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (tag, rest) = bytes.split_first()?;
        let (version, rest) = rest.split_first_chunk()?;
        let version = Some(u64::from_le_bytes(*version)).filter(|version| is_version(*version))?;
        let (commit, rest) = rest.split_first_chunk()?;
        let (before, rest) = rest.split_first_chunk()?;
        let body = match *tag {
            PRESENT => {
                let (slot, rest) = rest.split_first_chunk()?;
                let (nonce, rest) = rest.split_first_chunk()?;
                let (ciphertext, tag) = rest.split_last_chunk()?;
                let associated = &bytes[..HEAD];
                Some(Sealed { slot: u32::from_le_bytes(*slot), nonce, associated, ciphertext, tag })
            }
            DELETED if rest.is_empty() => None,
            _ => return None,
        };
        Some(Self { version, commit: u64::from_le_bytes(*commit), before: Sum::from_bytes(before), body })
    }

    /// Returns where the key is that the entry is encrypted with; `None` for a deleted one.
    pub(super) fn slot(&self) -> Option<u32> {
        self.body.map(|sealed| sealed.slot)
    }

    /// Decrypts the entry of a public key. `slot_key` is the content of [`Self::slot`].
    pub(super) fn open(&self, key: &PublicKey, slot_key: Option<&SlotKey>) -> Option<KeyEntry> {
        let Some(sealed) = self.body else {
            return Some(KeyEntry::Deleted { version: self.version });
        };
        let mut text = sealed.ciphertext.to_vec();
        XChaCha20Poly1305::new(slot_key?.into())
            .decrypt_inout_detached(
                &XNonce::from(*sealed.nonce),
                &[key.as_bytes(), sealed.associated].concat(),
                text.as_mut_slice().into(),
                &Tag::from(*sealed.tag),
            )
            .ok()?;
        let (signature, text) = text.split_first_chunk::<64>()?;
        let text = std::str::from_utf8(text).ok()?;
        Record::from_store(*key, self.version, text, *signature).ok().map(KeyEntry::Present)
    }
}

/// Encrypts a record.
pub(super) fn seal(record: &Record, commit: u64, before: Sum, slot: u32, slot_key: &SlotKey) -> Vec<u8> {
    let text = record.profile().text().as_bytes();
    let mut bytes = Vec::with_capacity(HEAD + 64 + text.len() + 16);
    head(&mut bytes, PRESENT, record.version(), commit, before);
    bytes.extend_from_slice(&slot.to_le_bytes());
    let mut nonce = [0; 24];
    rand::rngs::OsRng.fill_bytes(&mut nonce);
    bytes.extend_from_slice(&nonce);
    let associated = [record.key().as_bytes(), bytes.as_slice()].concat();
    bytes.extend_from_slice(record.signature());
    bytes.extend_from_slice(text);
    let tag = XChaCha20Poly1305::new(slot_key.into())
        .encrypt_inout_detached(&XNonce::from(nonce), &associated, (&mut bytes[HEAD..]).into())
        .expect("a profile is far shorter than the cipher's limit");
    bytes.extend_from_slice(&tag);
    bytes
}

/// Writes the entry of a deleted profile.
pub(super) fn delete(version: u64, commit: u64, before: Sum) -> Vec<u8> {
    let mut bytes = Vec::new();
    head(&mut bytes, DELETED, version, commit, before);
    bytes
}

fn head(bytes: &mut Vec<u8>, tag: u8, version: u64, commit: u64, before: Sum) {
    bytes.push(tag);
    bytes.extend_from_slice(&version.to_le_bytes());
    bytes.extend_from_slice(&commit.to_le_bytes());
    bytes.extend_from_slice(&before.to_bytes());
}

/// The sum of a set of entries: four sums modulo 2^64 of BLAKE2b-256 hashes. Another set has the same sum
/// with a chance of 2^-256.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum([u64; 4]);

impl Sum {
    /// Returns the sum of one entry: of its bytes and of the key that they are encrypted with.
    pub(super) fn of(key: &PublicKey, bytes: &[u8], slot_key: Option<&SlotKey>) -> Self {
        Self::from_bytes(&hash(&[key.as_bytes(), slot_key.map_or(&[], |key| key), bytes]))
    }

    pub(super) fn from_bytes(bytes: &[u8; 32]) -> Self {
        let (words, _) = bytes.as_chunks();
        Self(std::array::from_fn(|n| u64::from_le_bytes(words[n])))
    }

    pub(super) fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (place, word) in bytes.as_chunks_mut().0.iter_mut().zip(self.0) {
            *place = word.to_le_bytes();
        }
        bytes
    }

    pub(super) fn is_zero(self) -> bool {
        self == Self::default()
    }
}

impl std::ops::Add for Sum {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(std::array::from_fn(|n| self.0[n].wrapping_add(other.0[n])))
    }
}

impl std::ops::Sub for Sum {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(std::array::from_fn(|n| self.0[n].wrapping_sub(other.0[n])))
    }
}

const PRESENT: u8 = 3;
const DELETED: u8 = 4;
/// Length of a present entry up to its ciphertext.
const HEAD: usize = 1 + 8 + 8 + 32 + 4 + 24;

#[cfg(test)]
mod tests {
    use super::super::super::entry::tests::record;
    use super::*;

    const SLOT_KEY: SlotKey = [5; 32];

    fn open(key: &PublicKey, bytes: &[u8]) -> Option<KeyEntry> {
        Stored::parse(bytes)?.open(key, Some(&SLOT_KEY))
    }

    #[test]
    fn entries_read_back_and_their_prefixes_do_not() {
        let before = Sum([1, 2, 3, 4]);
        let key = *record(7, "Ada").key();
        let present = seal(&record(7, "Ada"), 3, before, 9, &SLOT_KEY);
        let deleted = delete(9, 4, before);
        for (bytes, entry, commit, slot) in [
            (present, KeyEntry::Present(record(7, "Ada")), 3, Some(9)),
            (deleted, KeyEntry::Deleted { version: 9 }, 4, None),
        ] {
            let stored = Stored::parse(&bytes).unwrap();
            assert_eq!((stored.commit, stored.before, stored.slot()), (commit, before, slot));
            assert_eq!(open(&key, &bytes), Some(entry));
            for length in 0..bytes.len() {
                assert_eq!(open(&key, &bytes[..length]), None, "{length}");
            }
        }
    }

    #[test]
    fn a_present_entry_opens_for_its_owner_with_its_key_and_unchanged_alone() {
        let key = *record(7, "Ada").key();
        let bytes = seal(&record(7, "Ada"), 3, Sum::default(), 9, &SLOT_KEY);
        assert!(!bytes.windows(3).any(|window| window == b"Ada"));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(open(&key, &damaged), None, "{at}");
        }
        assert_eq!(open(&PublicKey::from_bytes([0; 32]), &bytes), None);
        assert_eq!(Stored::parse(&bytes).unwrap().open(&key, Some(&[6; 32])), None);
        assert_eq!(Stored::parse(&bytes).unwrap().open(&key, None), None);
    }

    #[test]
    fn damaged_bytes_are_noticed() {
        let mut no_version = delete(1, 1, Sum::default());
        no_version[1] = 0;
        let mut longer = delete(1, 1, Sum::default());
        longer.push(0);
        let mut unknown = delete(1, 1, Sum::default());
        unknown[0] = 5;
        for bytes in [no_version, longer, unknown, vec![]] {
            assert!(Stored::parse(&bytes).is_none(), "{bytes:?}");
        }
    }

    #[test]
    fn a_sum_loses_what_is_taken_from_it_and_differs_by_each_part() {
        let key = PublicKey::from_bytes([1; 32]);
        let one = Sum::of(&key, b"one", None);
        let other = Sum::of(&key, b"two", Some(&SLOT_KEY));
        assert_eq!(one + other - one, other);
        assert_eq!(Sum::from_bytes(&one.to_bytes()), one);
        assert_ne!(one, Sum::of(&PublicKey::from_bytes([2; 32]), b"one", None));
        assert_ne!(other, Sum::of(&key, b"two", Some(&[6; 32])));
        assert!((one - one).is_zero());
    }
}
