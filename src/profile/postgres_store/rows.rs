//! Entries as rows, and what must be stored for a change. Pure.
//!
//! | state | version | profile | proof |
//! |---|---|---|---|
//! | 1, present | of the record | its text | its signature (64) |
//! | 2, deleted | the one that was deleted | none | none |
//! | 3, moved | the last one of the key | none | new key (32), signatures of both keys (64 each) |

use tokio_postgres::Row;

use super::super::entry::{Change, Dated, KeyEntry};
use super::super::record::Record;
use super::super::rotation::{RawRotation, Rotation};
use super::super::store::StoreError;
use crate::PublicKey;

pub(super) const PRESENT: i16 = 1;
pub(super) const DELETED: i16 = 2;
pub(super) const MOVED: i16 = 3;

/// Entries after a key, in the order of their keys.
pub(super) const PAGE: &str = "SELECT key, state, version, changed, profile, proof FROM profiles
    WHERE key > $1 ORDER BY key LIMIT $2";

/// The values of a row, beside its key and its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Values {
    pub(super) state: i16,
    pub(super) version: i64,
    pub(super) profile: Option<Vec<u8>>,
    pub(super) proof: Option<Vec<u8>>,
}

impl Values {
    /// Returns the values of an entry; `None` for one that has no row.
    pub(super) fn of(entry: &KeyEntry) -> Option<Self> {
        let version = number(entry.version());
        let (state, profile, proof) = match entry {
            KeyEntry::Unknown => return None,
            KeyEntry::Present(record) => {
                let text = record.profile().text().as_bytes().to_vec();
                (PRESENT, Some(text), Some(record.signature().to_vec()))
            }
            KeyEntry::Deleted { .. } => (DELETED, None, None),
            KeyEntry::Moved { rotation, .. } => {
                let RawRotation { to, from_signature, to_signature, .. } = rotation.raw();
                let proof = [&to.as_bytes()[..], &from_signature[..], &to_signature[..]].concat();
                (MOVED, None, Some(proof))
            }
        };
        Some(Self { state, version, profile, proof })
    }

    /// Returns the entry of a key; `None` if no version of this program has written the values.
    fn entry(&self, key: &PublicKey) -> Option<KeyEntry> {
        let version = u64::try_from(self.version).ok()?;
        match (self.state, self.profile.as_deref(), self.proof.as_deref()) {
            (PRESENT, Some(text), Some(signature)) => {
                let text = std::str::from_utf8(text).ok()?;
                let record = Record::from_store(*key, version, text, signature.try_into().ok()?);
                record.ok().map(KeyEntry::Present)
            }
            (DELETED, None, None) => Some(KeyEntry::Deleted { version }),
            (MOVED, None, Some(proof)) => {
                let (to, proof) = proof.split_first_chunk()?;
                let (from_signature, to_signature) = proof.split_first_chunk()?;
                let rotation = Rotation::from_store(RawRotation {
                    from: *key,
                    to: PublicKey::from_bytes(*to),
                    from_signature: *from_signature,
                    to_signature: to_signature.try_into().ok()?,
                });
                Some(KeyEntry::Moved { rotation, version })
            }
            _ => None,
        }
    }
}

/// Reads a row of `key, state, version, changed, profile, proof`.
pub(super) fn read(row: &Row) -> Result<(PublicKey, Dated), StoreError> {
    let engine = |error: tokio_postgres::Error| StoreError::Engine(error.to_string());
    let key: &[u8] = row.try_get(0).map_err(engine)?;
    let key = PublicKey::try_from(key)
        .map_err(|_| StoreError::Engine("the database holds something that is no key".into()))?;
    let values = Values {
        state: row.try_get(1).map_err(engine)?,
        version: row.try_get(2).map_err(engine)?,
        profile: row.try_get(4).map_err(engine)?,
        proof: row.try_get(5).map_err(engine)?,
    };
    let changed: i64 = row.try_get(3).map_err(engine)?;
    let entry = values.entry(&key).ok_or_else(|| StoreError::Damaged { key: key.to_z32() })?;
    Ok((key, Dated { entry, changed: u64::try_from(changed).unwrap_or(0) }))
}

/// What must be stored for a change to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// No row.
    Nothing,
    /// A row of this state and version.
    Row(i16, i64),
}

/// Returns what must be stored for a change to be made, as [`KeyEntry::decide`] has it; `None` if there is
/// nothing that it fits.
pub(super) fn expected(change: &Change) -> Option<Expected> {
    let (state, record, after) = match change {
        Change::Register { record, after } => (DELETED, record, after),
        Change::Update { record, after } => (PRESENT, record, after),
        Change::Delete { version } => return Some(Expected::Row(PRESENT, i64::try_from(*version).ok()?)),
    };
    match after.unwrap_or(record.version() - 1) {
        before if before >= record.version() => None,
        0 => (state == DELETED).then_some(Expected::Nothing),
        before => Some(Expected::Row(state, number(before))),
    }
}

/// Returns what a change leaves where it is made.
pub(super) fn outcome(change: &Change) -> KeyEntry {
    match change {
        Change::Register { record, .. } | Change::Update { record, .. } => KeyEntry::Present(record.clone()),
        Change::Delete { version } => KeyEntry::Deleted { version: *version },
    }
}

/// Returns a version or a time as the database has it.
pub(super) fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::super::entry::Decision;
    use super::super::super::entry::tests::record;
    use super::super::super::rotation::tests::rotation;
    use super::*;

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        let key = *record(1, "Ada").key();
        let moved = KeyEntry::Moved { rotation: rotation(1, 2), version: 7 };
        for entry in [KeyEntry::Present(record(3, "Ada")), KeyEntry::Deleted { version: 4 }, moved] {
            let values = Values::of(&entry).unwrap();
            assert_eq!(values.entry(&key), Some(entry));
            for damaged in [
                Values { state: 4, ..values.clone() },
                Values { version: -1, ..values.clone() },
                Values { proof: Some(vec![1; 63]), ..values.clone() },
                Values { profile: Some(b"{".to_vec()), ..values },
            ] {
                assert_eq!(damaged.entry(&key), None, "{damaged:?}");
            }
        }
        assert_eq!(Values::of(&KeyEntry::Unknown), None);
    }

    /// All changes of small numbers on all entries of small numbers.
    #[test]
    fn what_is_expected_is_what_the_decision_accepts() {
        let entries = (1..6).flat_map(|version| {
            let moved = KeyEntry::Moved { rotation: rotation(1, 2), version };
            [KeyEntry::Present(record(version, "a")), KeyEntry::Deleted { version }, moved]
        });
        let entries: Vec<_> = entries.chain([KeyEntry::Unknown]).collect();
        let mut made = 0;
        for version in 1..6 {
            let afters = [None, Some(0), Some(1), Some(2), Some(3), Some(4), Some(5), Some(u64::MAX)];
            let changes = ["a", "b"].into_iter().flat_map(|name| {
                afters.into_iter().flat_map(move |after| {
                    let record = record(version, name);
                    [Change::Register { record: record.clone(), after }, Change::Update { record, after }]
                })
            });
            for change in changes.chain([Change::Delete { version }]) {
                for entry in &entries {
                    let there = Values::of(entry)
                        .map_or(Expected::Nothing, |values| Expected::Row(values.state, values.version));
                    let decision = entry.decide(&change);
                    let fits = expected(&change) == Some(there);
                    assert_eq!(matches!(decision, Decision::Write(_)), fits, "{change:?} of {entry:?}");
                    if fits {
                        assert_eq!(decision, Decision::Write(outcome(&change)));
                        made += 1;
                    }
                }
            }
        }
        assert!(made > 40, "{made}");
    }
}
