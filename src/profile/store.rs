//! The interface of a store of records, and a store in memory.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::changes::Changes;
use super::entry::{Change, Decision, KeyEntry};
use super::inventory::Inventory;
use super::message::Refusal;
use crate::PublicKey;
use crate::api::ProvenKey;

/// Keeps one [`KeyEntry`] per key.
///
/// Writing takes a [`ProvenKey`]: a store cannot be changed in the name of a key that was only claimed.
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
        /// The first digits of the key.
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
}

/// A store in memory, for tests and demonstrations.
#[derive(Debug, Default)]
pub struct MemoryStore {
    entries: Mutex<BTreeMap<PublicKey, KeyEntry>>,
    changes: Changes,
}

impl Store for MemoryStore {
    async fn load(&self, key: &PublicKey) -> Result<KeyEntry, StoreError> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(entries.get(key).cloned().unwrap_or_default())
    }

    async fn apply(&self, owner: &ProvenKey, change: Change) -> Result<KeyEntry, ApplyError> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.entry(*owner.public_key()).or_default();
        match entry.decide(&change) {
            Decision::Repeated => Ok(entry.clone()),
            Decision::Write(next) => {
                *entry = next.clone();
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
}
