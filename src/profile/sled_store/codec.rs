//! Entries as bytes, and the sum that a set of them has.
//!
//! | entry | bytes |
//! |---|---|
//! | present | `05`, head, slot u32, nonce (24), ciphertext, tag (16) |
//! | deleted | `06`, head |
//! | moved | `07`, head, new key (32), signature of the old key (64), of the new key (64) |
//! | head | version u64, commit u64, sum of the entry before (32), time of the change u64 |
//!
//! Numbers are little-endian. The ciphertext is the signature (64) and the profile's text under
//! XChaCha20-Poly1305, with the key in the slot of the key file. The public key and all bytes up to the
//! ciphertext are the associated data.
//!
//! Entries that format 2 has left are `03` for present and `04` for deleted, and their head has no time.

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce};
use rand::RngCore as _;

use super::super::entry::{Dated, KeyEntry};
use super::super::record::{Record, is_version};
use super::super::rotation::{RawRotation, Rotation};
use crate::PublicKey;
use crate::wire::hash::hash;

/// The key of one profile.
pub(super) type SlotKey = [u8; 32];

/// An entry as it is stored, split into its parts. Nothing is decrypted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored<'a> {
    /// The group of changes that the entry was written in.
    pub(super) commit: u64,
    /// The sum of the entry that was durable before that group; zero if there was none.
    pub(super) before: Sum,
    version: u64,
    /// In seconds of Unix time, 0 if it is unknown.
    changed: u64,
    body: Body<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Body<'a> {
    Present(Sealed<'a>),
    Deleted,
    Moved { to: &'a [u8; 32], from_signature: &'a [u8; 64], to_signature: &'a [u8; 64] },
}

#[derive(Clone, Copy, Debug)]
struct Sealed<'a> {
    slot: u32,
    nonce: &'a [u8; 24],
    associated: &'a [u8],
    ciphertext: &'a [u8],
    tag: &'a [u8; 16],
}

/// What an entry is written with, beside its content.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Head {
    pub(super) commit: u64,
    pub(super) before: Sum,
    pub(super) changed: u64,
}

impl<'a> Stored<'a> {
    /// Splits bytes; `None` if neither this version nor the one before wrote them.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (tag, rest) = bytes.split_first()?;
        let (version, rest) = rest.split_first_chunk()?;
        let version = Some(u64::from_le_bytes(*version)).filter(|version| is_version(*version))?;
        let (commit, rest) = rest.split_first_chunk()?;
        let (before, rest) = rest.split_first_chunk()?;
        let (changed, rest) = match *tag {
            OLD_PRESENT | OLD_DELETED => (&[0; 8], rest),
            _ => rest.split_first_chunk()?,
        };
        let body = match *tag {
            PRESENT | OLD_PRESENT => {
                let (slot, rest) = rest.split_first_chunk()?;
                let (nonce, rest) = rest.split_first_chunk()?;
                let associated = &bytes[..bytes.len() - rest.len()];
                let (ciphertext, tag) = rest.split_last_chunk()?;
                Body::Present(Sealed { slot: u32::from_le_bytes(*slot), nonce, associated, ciphertext, tag })
            }
            DELETED | OLD_DELETED if rest.is_empty() => Body::Deleted,
            MOVED => {
                let (to, rest) = rest.split_first_chunk()?;
                let (from_signature, rest) = rest.split_first_chunk()?;
                Body::Moved { to, from_signature, to_signature: rest.try_into().ok()? }
            }
            _ => return None,
        };
        Some(Self {
            commit: u64::from_le_bytes(*commit),
            before: Sum::from_bytes(before),
            version,
            changed: u64::from_le_bytes(*changed),
            body,
        })
    }

    /// Returns where the key is that the entry is encrypted with; `None` for one without a profile.
    pub(super) fn slot(&self) -> Option<u32> {
        match self.body {
            Body::Present(sealed) => Some(sealed.slot),
            Body::Deleted | Body::Moved { .. } => None,
        }
    }

    /// Decrypts the entry of a public key. `slot_key` is the content of [`Self::slot`].
    pub(super) fn open(&self, key: &PublicKey, slot_key: Option<&SlotKey>) -> Option<Dated> {
        let version = self.version;
        let entry = match self.body {
            Body::Present(sealed) => KeyEntry::Present(sealed.open(key, version, slot_key?)?),
            Body::Deleted => KeyEntry::Deleted { version },
            Body::Moved { to, from_signature, to_signature } => {
                let rotation = Rotation::from_store(RawRotation {
                    from: *key,
                    to: PublicKey::from_bytes(*to),
                    from_signature: *from_signature,
                    to_signature: *to_signature,
                });
                KeyEntry::Moved { rotation, version }
            }
        };
        Some(Dated { entry, changed: self.changed })
    }
}

impl Sealed<'_> {
    fn open(&self, key: &PublicKey, version: u64, slot_key: &SlotKey) -> Option<Record> {
        let mut text = self.ciphertext.to_vec();
        XChaCha20Poly1305::new(slot_key.into())
            .decrypt_inout_detached(
                &XNonce::from(*self.nonce),
                &[key.as_bytes(), self.associated].concat(),
                text.as_mut_slice().into(),
                &Tag::from(*self.tag),
            )
            .ok()?;
        let (signature, text) = text.split_first_chunk::<64>()?;
        let text = std::str::from_utf8(text).ok()?;
        Record::from_store(*key, version, text, *signature).ok()
    }
}

/// Encrypts a record.
pub(super) fn seal(record: &Record, head: Head, slot: u32, slot_key: &SlotKey) -> Vec<u8> {
    let text = record.profile().text().as_bytes();
    let mut bytes = Vec::with_capacity(ASSOCIATED + 64 + text.len() + 16);
    head.write(&mut bytes, PRESENT, record.version());
    bytes.extend_from_slice(&slot.to_le_bytes());
    let mut nonce = [0; 24];
    rand::rngs::OsRng.fill_bytes(&mut nonce);
    bytes.extend_from_slice(&nonce);
    let associated = [record.key().as_bytes(), bytes.as_slice()].concat();
    bytes.extend_from_slice(record.signature());
    bytes.extend_from_slice(text);
    let tag = XChaCha20Poly1305::new(slot_key.into())
        .encrypt_inout_detached(&XNonce::from(nonce), &associated, (&mut bytes[ASSOCIATED..]).into())
        .expect("a profile is far shorter than the cipher's limit");
    bytes.extend_from_slice(&tag);
    bytes
}

/// Writes the entry of a deleted profile.
pub(super) fn delete(version: u64, head: Head) -> Vec<u8> {
    let mut bytes = Vec::new();
    head.write(&mut bytes, DELETED, version);
    bytes
}

/// Writes the entry of a key that was replaced.
pub(super) fn moved(rotation: &Rotation, version: u64, head: Head) -> Vec<u8> {
    let mut bytes = Vec::new();
    head.write(&mut bytes, MOVED, version);
    let RawRotation { to, from_signature, to_signature, .. } = rotation.raw();
    bytes.extend_from_slice(to.as_bytes());
    bytes.extend_from_slice(from_signature);
    bytes.extend_from_slice(to_signature);
    bytes
}

impl Head {
    fn write(&self, bytes: &mut Vec<u8>, tag: u8, version: u64) {
        bytes.push(tag);
        bytes.extend_from_slice(&version.to_le_bytes());
        bytes.extend_from_slice(&self.commit.to_le_bytes());
        bytes.extend_from_slice(&self.before.to_bytes());
        bytes.extend_from_slice(&self.changed.to_le_bytes());
    }
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

const OLD_PRESENT: u8 = 3;
const OLD_DELETED: u8 = 4;
const PRESENT: u8 = 5;
const DELETED: u8 = 6;
const MOVED: u8 = 7;
/// Length of a present entry up to its ciphertext.
const ASSOCIATED: usize = 1 + 8 + 8 + 32 + 8 + 4 + 24;

#[cfg(test)]
mod tests {
    use super::super::super::entry::tests::record;
    use super::super::super::rotation::tests::rotation;
    use super::*;

    const SLOT_KEY: SlotKey = [5; 32];

    fn head(commit: u64) -> Head {
        Head { commit, before: Sum([1, 2, 3, 4]), changed: 1_796_000_000 + commit }
    }

    fn open(key: &PublicKey, bytes: &[u8]) -> Option<Dated> {
        Stored::parse(bytes)?.open(key, Some(&SLOT_KEY))
    }

    #[test]
    fn entries_read_back_and_their_prefixes_do_not() {
        let key = *record(7, "Ada").key();
        let present = seal(&record(7, "Ada"), head(3), 9, &SLOT_KEY);
        let rotation = rotation(1, 2);
        let moved_entry = KeyEntry::Moved { rotation: rotation.clone(), version: 9 };
        for (bytes, entry, commit, slot) in [
            (present, KeyEntry::Present(record(7, "Ada")), 3, Some(9)),
            (delete(9, head(4)), KeyEntry::Deleted { version: 9 }, 4, None),
            (moved(&rotation, 9, head(5)), moved_entry, 5, None),
        ] {
            let stored = Stored::parse(&bytes).unwrap();
            assert_eq!((stored.commit, stored.before, stored.slot()), (commit, head(0).before, slot));
            assert_eq!(open(&key, &bytes), Some(Dated { entry, changed: 1_796_000_000 + commit }));
            for length in 0..bytes.len() {
                assert_eq!(open(&key, &bytes[..length]), None, "{length}");
            }
        }
    }

    #[test]
    fn a_present_entry_opens_for_its_owner_with_its_key_and_unchanged_alone() {
        let key = *record(7, "Ada").key();
        let bytes = seal(&record(7, "Ada"), head(3), 9, &SLOT_KEY);
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
        let mut no_version = delete(1, head(1));
        no_version[1] = 0;
        let mut longer = delete(1, head(1));
        longer.push(0);
        let mut unknown = delete(1, head(1));
        unknown[0] = 8;
        let mut longer_move = moved(&rotation(1, 2), 1, head(1));
        longer_move.push(0);
        for bytes in [no_version, longer, longer_move, unknown, vec![]] {
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
