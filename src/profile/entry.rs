//! What a store holds for a key, and how a request changes it. Pure.

use super::message::Refusal;
use super::record::Record;
use super::rotation::Rotation;

/// What a store holds for a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum KeyEntry {
    /// The key was never registered.
    #[default]
    Unknown,
    /// The key's record.
    Present(Record),
    /// The record of the key was deleted. Its version is kept, so that no older record can be replayed.
    Deleted {
        /// The version that was deleted.
        version: u64,
    },
    /// The owner goes on under another key. This one can never be registered, updated or deleted again.
    Moved {
        /// The statement of both keys.
        rotation: Rotation,
        /// The last version that was stored for this key.
        version: u64,
    },
}

/// What a store holds for a key, and since when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dated {
    /// What is held.
    pub entry: KeyEntry,
    /// When it was changed last, by the clock of the server, in seconds of Unix time; 0 if that is unknown.
    pub changed: u64,
}

/// Of an unknown time.
impl From<KeyEntry> for Dated {
    fn from(entry: KeyEntry) -> Self {
        Self { entry, changed: 0 }
    }
}

/// A change that the owner of a key asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Stores a first record.
    Register {
        /// The record.
        record: Record,
        /// The last version known to the server, as the caller believes, 0 for none. If given, the record may
        /// have any greater version.
        after: Option<u64>,
    },
    /// Replaces the record.
    Update {
        /// The record.
        record: Record,
        /// The stored version, as the caller believes. If given, the record may have any greater version.
        after: Option<u64>,
    },
    /// Removes the record.
    Delete {
        /// The stored version, as the caller believes.
        version: u64,
    },
}

/// What a change does to an entry, or a rotation to the entries of its two keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision<T = KeyEntry> {
    /// The entry already has the content that the change asks for: a repeated request.
    Repeated,
    /// The change replaces the entry by this one.
    Write(T),
    /// The change does not fit the entry.
    Refuse(Refusal),
}

/// Returns whether an entry of a key is newer than another one: of a greater version, or the deletion of that
/// version. That the key has moved is newer than everything else, and nothing is newer than that.
pub fn is_newer(entry: &KeyEntry, than: &KeyEntry) -> bool {
    entry.age() > than.age()
}

/// How new an entry of a key is; see [`is_newer`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Age(bool, u64, bool);

impl KeyEntry {
    /// Returns the record, if there is one.
    pub const fn record(&self) -> Option<&Record> {
        match self {
            Self::Present(record) => Some(record),
            Self::Unknown | Self::Deleted { .. } | Self::Moved { .. } => None,
        }
    }

    /// Returns the last version that was stored, 0 if none.
    pub fn version(&self) -> u64 {
        match self {
            Self::Unknown => 0,
            Self::Present(record) => record.version(),
            Self::Deleted { version } | Self::Moved { version, .. } => *version,
        }
    }

    /// Returns how new the entry is.
    pub fn age(&self) -> Age {
        match self {
            // Whichever statement came first stays.
            Self::Moved { .. } => Age(true, 0, false),
            Self::Unknown | Self::Present(_) => Age(false, self.version(), false),
            Self::Deleted { version } => Age(false, *version, true),
        }
    }

    /// Returns what the entry becomes if the operator removes the record; `None` if there is none.
    pub fn removed(&self) -> Option<Self> {
        self.record().map(|record| Self::Deleted { version: record.version() })
    }

    /// Decides what a change does to this entry.
    pub fn decide(&self, change: &Change) -> Decision {
        let version = self.version();
        match (change, self) {
            (_, Self::Moved { rotation, .. }) => {
                Decision::Refuse(Refusal::Moved { chain: vec![rotation.clone()] })
            }
            (Change::Register { record, .. } | Change::Update { record, .. }, Self::Present(stored))
                if stored.has_same_content_as(record) =>
            {
                Decision::Repeated
            }
            (Change::Register { .. }, Self::Present(_)) => {
                Decision::Refuse(Refusal::AlreadyRegistered { version })
            }
            (Change::Update { .. }, Self::Unknown | Self::Deleted { .. }) => {
                Decision::Refuse(Refusal::NotRegistered)
            }
            (Change::Register { record, after } | Change::Update { record, after }, _) => {
                let follows = match after {
                    Some(after) => *after == version && record.version() > version,
                    None => record.version() == version + 1,
                };
                if follows {
                    Decision::Write(Self::Present(record.clone()))
                } else {
                    Decision::Refuse(Refusal::VersionConflict { version })
                }
            }
            (Change::Delete { version: known }, Self::Present(_)) if *known == version => {
                Decision::Write(Self::Deleted { version })
            }
            (Change::Delete { version: known }, Self::Deleted { .. }) if *known == version => {
                Decision::Repeated
            }
            (Change::Delete { .. }, Self::Present(_)) => {
                Decision::Refuse(Refusal::VersionConflict { version })
            }
            (Change::Delete { .. }, Self::Unknown | Self::Deleted { .. }) => {
                Decision::Refuse(Refusal::NotRegistered)
            }
        }
    }
}

/// Decides what a rotation does to the entries of its two keys. `record` is the new key's.
pub fn decide_rotation(
    from: &KeyEntry,
    to: &KeyEntry,
    rotation: &Rotation,
    record: &Record,
) -> Decision<(KeyEntry, KeyEntry)> {
    match (from, to) {
        _ if record.key() != rotation.to() => Decision::Refuse(Refusal::BadSignature),
        (KeyEntry::Moved { rotation: stored, .. }, _) if stored.has_same_keys_as(rotation) => {
            Decision::Repeated
        }
        (KeyEntry::Moved { rotation: stored, .. }, _) => {
            Decision::Refuse(Refusal::Moved { chain: vec![stored.clone()] })
        }
        (KeyEntry::Unknown | KeyEntry::Deleted { .. }, _) => Decision::Refuse(Refusal::NotRegistered),
        (KeyEntry::Present(old), KeyEntry::Unknown) => {
            let moved = KeyEntry::Moved { rotation: rotation.clone(), version: old.version() };
            Decision::Write((moved, KeyEntry::Present(record.clone())))
        }
        (KeyEntry::Present(_), _) => Decision::Refuse(Refusal::AlreadyRegistered { version: to.version() }),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::content::Profile;
    use super::*;
    use crate::KeyPair;
    use proptest::prelude::*;

    /// A record of the key made from seed 1.
    pub(in super::super) fn record(version: u64, name: &str) -> Record {
        let profile = Profile::parse(&format!(r#"{{"name":"{name}"}}"#)).unwrap();
        Record::sign(&KeyPair::from_seed(&[1; 32]), version, profile)
    }

    fn register(version: u64, name: &str) -> Change {
        Change::Register { record: record(version, name), after: None }
    }

    fn update(version: u64, name: &str, after: Option<u64>) -> Change {
        Change::Update { record: record(version, name), after }
    }

    fn present(version: u64, name: &str) -> KeyEntry {
        KeyEntry::Present(record(version, name))
    }

    fn conflict(version: u64) -> Decision {
        Decision::Refuse(Refusal::VersionConflict { version })
    }

    #[test]
    fn a_key_registers_once_at_version_one() {
        let written = KeyEntry::Unknown.decide(&register(1, "Ada"));
        assert_eq!(written, Decision::Write(present(1, "Ada")));
        assert_eq!(KeyEntry::Unknown.decide(&register(2, "Ada")), conflict(0));
        assert_eq!(present(1, "Ada").decide(&register(1, "Ada")), Decision::Repeated);
        let other = present(3, "Ada").decide(&register(1, "Bob"));
        assert_eq!(other, Decision::Refuse(Refusal::AlreadyRegistered { version: 3 }));
    }

    #[test]
    fn an_update_follows_the_stored_version() {
        let stored = present(3, "Ada");
        assert_eq!(stored.decide(&update(4, "B", None)), Decision::Write(present(4, "B")));
        assert_eq!(stored.decide(&update(3, "Ada", None)), Decision::Repeated);
        for version in [1, 2, 3, 5] {
            assert_eq!(stored.decide(&update(version, "B", None)), conflict(3));
        }
        assert_eq!(stored.decide(&update(9, "B", Some(3))), Decision::Write(present(9, "B")));
        for (version, after) in [(9, 2), (9, 4), (3, 3), (2, 3)] {
            assert_eq!(stored.decide(&update(version, "B", Some(after))), conflict(3));
        }
        for absent in [KeyEntry::Unknown, KeyEntry::Deleted { version: 3 }] {
            assert_eq!(absent.decide(&update(4, "B", None)), Decision::Refuse(Refusal::NotRegistered));
        }
    }

    #[test]
    fn a_deletion_can_be_repeated_and_leaves_its_version() {
        let stored = present(3, "Ada");
        let deleted = KeyEntry::Deleted { version: 3 };
        assert_eq!(stored.decide(&Change::Delete { version: 3 }), Decision::Write(deleted.clone()));
        assert_eq!(stored.decide(&Change::Delete { version: 2 }), conflict(3));
        assert_eq!(deleted.decide(&Change::Delete { version: 3 }), Decision::Repeated);
        for (entry, version) in [(&deleted, 2), (&KeyEntry::Unknown, 1)] {
            let refused = entry.decide(&Change::Delete { version });
            assert_eq!(refused, Decision::Refuse(Refusal::NotRegistered));
        }
    }

    #[test]
    fn an_old_record_cannot_be_played_back_after_a_deletion() {
        let deleted = KeyEntry::Deleted { version: 3 };
        for version in 1..=3 {
            assert_eq!(deleted.decide(&register(version, "Ada")), conflict(3));
        }
        assert_eq!(deleted.decide(&register(4, "Ada")), Decision::Write(present(4, "Ada")));
        let above = Change::Register { record: record(8, "Ada"), after: Some(3) };
        assert_eq!(deleted.decide(&above), Decision::Write(present(8, "Ada")));
    }

    proptest! {
        /// Whatever an owner sends in whatever order, versions only grow and no version ever names two texts.
        #[test]
        fn versions_never_go_back(
            changes in proptest::collection::vec(
                (0..3, 1..6u64, 0..2usize, proptest::option::of(0..6u64)),
                0..40,
            )
        ) {
            let mut entry = KeyEntry::Unknown;
            let mut seen = std::collections::BTreeMap::new();
            for (kind, version, name, after) in changes {
                let record = record(version, ["a", "b"][name]);
                let change = match kind {
                    0 => Change::Register { record, after },
                    1 => Change::Update { record, after },
                    _ => Change::Delete { version },
                };
                if let Decision::Write(next) = entry.decide(&change) {
                    prop_assert!(next.version() >= entry.version());
                    if let Some(record) = next.record() {
                        prop_assert!(next.version() > entry.version());
                        let text = record.profile().text().to_owned();
                        prop_assert!(seen.insert(next.version(), text).is_none());
                    }
                    entry = next;
                }
            }
        }
    }
}
