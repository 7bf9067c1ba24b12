//! The interface of a store of records, and a store in memory.

use std::collections::BTreeMap;
use std::future::Future;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::changes::Changes;
#[cfg(test)]
use super::entry::is_newer;
use super::entry::{Change, Dated, Decision, KeyEntry, decide_rotation};
use super::inventory::Inventory;
use super::limits::{Use, Verdict};
use super::message::Refusal;
use super::record::Record;
use super::rotation::Rotation;
use crate::PublicKey;
use crate::api::ProvenKey;

/// Keeps one [`KeyEntry`] per key.
///
/// A change takes a [`ProvenKey`]: a store cannot be changed in the name of a key that was only claimed. A
/// rotation proves itself. [`Self::page`] and [`Self::remove`] are for the operator.
pub trait Store: Send + Sync + 'static {
    /// Returns the durable entry of a key: the one that a power failure would leave.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the entry cannot be read.
    fn load(&self, key: &PublicKey) -> impl Future<Output = Result<KeyEntry, StoreError>> + Send;

    /// Applies a change to the entry of its owner, in one step, and returns the new entry once it is durable.
    ///
    /// A repeated change succeeds like the first one.
    ///
    /// # Errors
    ///
    /// [`ApplyError::Refused`] if the change does not fit the entry; [`ApplyError::Store`] if it could not be
    /// made durable: the entry may then be either one.
    ///
    /// # Cancel safety
    ///
    /// The change may or may not be made when the future is dropped.
    fn apply(
        &self,
        owner: &ProvenKey,
        change: Change,
    ) -> impl Future<Output = Result<KeyEntry, ApplyError>> + Send;

    /// Returns whom the store notifies of each entry that has changed, once it is durable.
    fn changes(&self) -> &Changes;

    /// Moves a profile to the new key of its owner, in one step: the old key keeps the statement, the new one
    /// gets `record`. Returns the entry of the new key once both are durable.
    ///
    /// The signatures of both keys are all that speaks for it. A repeated rotation succeeds like the first
    /// one, and changes nothing.
    ///
    /// # Errors
    ///
    /// [`ApplyError::Refused`] if the rotation does not fit the entries; [`ApplyError::Store`] if it could
    /// not be made durable: it may then be made or not.
    ///
    /// # Cancel safety
    ///
    /// The profile may or may not be moved when the future is dropped.
    fn rotate(
        &self,
        rotation: Rotation,
        record: Record,
    ) -> impl Future<Output = Result<KeyEntry, ApplyError>> + Send;

    /// Returns at most `limit` durable entries in the order of their keys, those after a key if one is given.
    /// No entry is [`KeyEntry::Unknown`]. Fewer than `limit` are the last ones.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if an entry cannot be read.
    fn page(
        &self,
        after: Option<PublicKey>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<(PublicKey, Dated)>, StoreError>> + Send;

    /// Removes the record of a key, as its owner could; returns whether there was one, once that is durable.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it could not be made durable: the record may then be there or not.
    ///
    /// # Cancel safety
    ///
    /// The record may or may not be removed when the future is dropped.
    fn remove(&self, key: &PublicKey) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Counts uses of limits for all processes that use the store; if one of them is beyond its limit, none
    /// need be counted. Returns `None` if only one process uses it, which counts by itself.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the uses could not be counted.
    ///
    /// # Cancel safety
    ///
    /// The uses may or may not be counted when the future is dropped.
    fn take(&self, uses: &[Use]) -> impl Future<Output = Result<Option<Verdict>, StoreError>> + Send {
        let _ = uses;
        std::future::ready(Ok(None))
    }
}

impl<S: Store> Store for Arc<S> {
    fn load(&self, key: &PublicKey) -> impl Future<Output = Result<KeyEntry, StoreError>> + Send {
        S::load(self, key)
    }

    fn apply(
        &self,
        owner: &ProvenKey,
        change: Change,
    ) -> impl Future<Output = Result<KeyEntry, ApplyError>> + Send {
        S::apply(self, owner, change)
    }

    fn changes(&self) -> &Changes {
        S::changes(self)
    }

    fn rotate(
        &self,
        rotation: Rotation,
        record: Record,
    ) -> impl Future<Output = Result<KeyEntry, ApplyError>> + Send {
        S::rotate(self, rotation, record)
    }

    fn page(
        &self,
        after: Option<PublicKey>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<(PublicKey, Dated)>, StoreError>> + Send {
        S::page(self, after, limit)
    }

    fn remove(&self, key: &PublicKey) -> impl Future<Output = Result<bool, StoreError>> + Send {
        S::remove(self, key)
    }

    fn take(&self, uses: &[Use]) -> impl Future<Output = Result<Option<Verdict>, StoreError>> + Send {
        S::take(self, uses)
    }
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The change does not fit the entry.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a store cannot be opened or used.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The folder holds `blobs/`, whose content no acknowledgement has made durable.
    #[error("{} is not empty: values were stored there that may not be on disk", .0.display())]
    Blobs(PathBuf),
    /// A stored entry cannot be read back.
    #[error("the stored profile of {key} is damaged")]
    Damaged {
        /// The key, as text.
        key: String,
    },
    /// The disk is so full that writing could fail. Nothing was changed, reading goes on.
    #[error("the disk is full: {} MiB free, {} MiB needed", available >> 20, needed.div_ceil(1 << 20))]
    Full {
        /// The bytes that are free.
        available: u64,
        /// The bytes that are needed, with those that are kept in reserve.
        needed: u64,
    },
    /// A write failed earlier; what is on disk is unknown until the store is opened again.
    #[error("an earlier write failed, restart to read what is on disk")]
    Failed,
    /// The file system failed.
    #[error("{what}: {cause}")]
    Io {
        /// The operation that failed.
        what: String,
        /// The error of the system.
        cause: Arc<std::io::Error>,
    },
    /// The engine failed.
    #[error("the storage engine failed: {0}")]
    Engine(String),
    /// Another process uses the folder.
    #[error("{} is locked: another server is using it", .0.display())]
    Locked(PathBuf),
    /// The files do not hold what was acknowledged. Nothing in the folder was changed.
    #[error("the profiles in {} are damaged: {inventory}", folder.display())]
    Lost {
        /// The folder.
        folder: PathBuf,
        /// What is there and what should be.
        inventory: Arc<Inventory>,
    },
    /// The database does not make durable what it acknowledges.
    #[error("the database runs with fsync = off: turn it on in its configuration and restart it")]
    NotDurable,
    /// More was written while the snapshot was read than is kept for it.
    #[error("too much was written while the profiles were read, try again")]
    Outdated,
    /// The folder was written by another version of this program.
    #[error("the stored profiles have format {found}, this program reads format {expected}")]
    Schema {
        /// The format found.
        found: String,
        /// The format expected.
        expected: u32,
    },
    /// The database cannot be reached or does not answer. A change may have been made or not. Later calls try
    /// again.
    #[error("the database cannot be used at present: {0}")]
    Unavailable(String),
}

/// A store in memory, for tests and demonstrations.
#[derive(Debug, Default)]
pub struct MemoryStore {
    entries: Mutex<BTreeMap<PublicKey, Dated>>,
    changes: Changes,
}

impl MemoryStore {
    /// Stores an entry of a backup, unless the one that is there is as new or newer; returns whether it was
    /// stored.
    #[cfg(test)]
    pub(super) fn restore(&self, key: PublicKey, held: Dated) -> bool {
        let mut entries = self.entries();
        let is_newer = is_newer(&held.entry, &entry_of(&entries, &key));
        if is_newer {
            entries.insert(key, held);
        }
        is_newer
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<PublicKey, Dated>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    async fn load(&self, key: &PublicKey) -> Result<KeyEntry, StoreError> {
        Ok(entry_of(&self.entries(), key))
    }

    async fn apply(&self, owner: &ProvenKey, change: Change) -> Result<KeyEntry, ApplyError> {
        let mut entries = self.entries();
        let entry = entry_of(&entries, owner.public_key());
        match entry.decide(&change) {
            Decision::Repeated => Ok(entry),
            Decision::Write(next) => {
                entries.insert(*owner.public_key(), dated(next.clone()));
                drop(entries);
                self.changes.notify(owner.public_key());
                Ok(next)
            }
            Decision::Refuse(refusal) => Err(refusal.into()),
        }
    }

    fn changes(&self) -> &Changes {
        &self.changes
    }

    async fn rotate(&self, rotation: Rotation, record: Record) -> Result<KeyEntry, ApplyError> {
        let mut entries = self.entries();
        let (from, to) = (entry_of(&entries, rotation.from()), entry_of(&entries, rotation.to()));
        match decide_rotation(&from, &to, &rotation, &record) {
            Decision::Repeated => Ok(to),
            Decision::Write((moved, taken)) => {
                entries.insert(*rotation.from(), dated(moved));
                entries.insert(*rotation.to(), dated(taken.clone()));
                drop(entries);
                self.changes.notify(rotation.from());
                self.changes.notify(rotation.to());
                Ok(taken)
            }
            Decision::Refuse(refusal) => Err(refusal.into()),
        }
    }

    async fn page(
        &self,
        after: Option<PublicKey>,
        limit: usize,
    ) -> Result<Vec<(PublicKey, Dated)>, StoreError> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let entries = self.entries();
        let page = entries.range((from, Bound::Unbounded)).take(limit);
        Ok(page.map(|(key, entry)| (*key, entry.clone())).collect())
    }

    async fn remove(&self, key: &PublicKey) -> Result<bool, StoreError> {
        let mut entries = self.entries();
        let Some(removed) = entry_of(&entries, key).removed() else { return Ok(false) };
        entries.insert(*key, dated(removed));
        drop(entries);
        self.changes.notify(key);
        Ok(true)
    }
}

fn entry_of(entries: &BTreeMap<PublicKey, Dated>, key: &PublicKey) -> KeyEntry {
    entries.get(key).map(|found| found.entry.clone()).unwrap_or_default()
}

fn dated(entry: KeyEntry) -> Dated {
    Dated { entry, changed: unix_time() }
}

/// Returns the time of day, in seconds of Unix time.
pub(super) fn unix_time() -> u64 {
    // A clock before 1970 is wrong in any case.
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs())
}
