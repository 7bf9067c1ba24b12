//! Entries as bytes.
//!
//! | entry | bytes |
//! |---|---|
//! | present | `01`, version u64 little-endian, signature (64), profile text |
//! | deleted | `02`, version u64 little-endian |

use super::super::entry::KeyEntry;
use super::super::record::{Record, is_version};
use crate::PublicKey;

pub(super) fn encode(entry: &KeyEntry) -> Option<Vec<u8>> {
    match entry {
        KeyEntry::Unknown => None,
        KeyEntry::Present(record) => {
            let text = record.profile().text().as_bytes();
            let mut bytes = Vec::with_capacity(73 + text.len());
            bytes.push(PRESENT);
            bytes.extend_from_slice(&record.version().to_le_bytes());
            bytes.extend_from_slice(record.signature());
            bytes.extend_from_slice(text);
            Some(bytes)
        }
        KeyEntry::Deleted { version } => {
            let mut bytes = vec![DELETED];
            bytes.extend_from_slice(&version.to_le_bytes());
            Some(bytes)
        }
    }
}

/// Reads an entry; `None` if the bytes are none that [`encode`] wrote.
pub(super) fn decode(key: &PublicKey, bytes: &[u8]) -> Option<KeyEntry> {
    let (tag, rest) = bytes.split_first()?;
    let (version, rest) = rest.split_first_chunk::<8>()?;
    let version = u64::from_le_bytes(*version);
    match *tag {
        PRESENT if is_version(version) => {
            let (signature, text) = rest.split_first_chunk::<64>()?;
            let text = std::str::from_utf8(text).ok()?;
            Record::from_store(*key, version, text, *signature).ok().map(KeyEntry::Present)
        }
        DELETED if is_version(version) && rest.is_empty() => Some(KeyEntry::Deleted { version }),
        _ => None,
    }
}

const PRESENT: u8 = 1;
const DELETED: u8 = 2;

#[cfg(test)]
mod tests {
    use super::super::super::entry::tests::record;
    use super::*;

    #[test]
    fn entries_read_back_and_their_prefixes_do_not() {
        for entry in [KeyEntry::Present(record(7, "Ada")), KeyEntry::Deleted { version: 9 }] {
            let key = *record(7, "Ada").key();
            let bytes = encode(&entry).unwrap();
            assert_eq!(decode(&key, &bytes), Some(entry));
            for length in 0..bytes.len() {
                assert_eq!(decode(&key, &bytes[..length]), None, "{length}");
            }
        }
    }

    #[test]
    fn damaged_bytes_are_noticed() {
        let key = PublicKey::from_bytes([0; 32]);
        for bytes in [
            &[3, 1, 0, 0, 0, 0, 0, 0, 0][..],
            &[2, 0, 0, 0, 0, 0, 0, 0, 0],
            &[2, 1, 0, 0, 0, 0, 0, 0, 0, 0],
            &[2, 255, 255, 255, 255, 255, 255, 255, 255],
        ] {
            assert_eq!(decode(&key, bytes), None, "{bytes:?}");
        }
    }
}
