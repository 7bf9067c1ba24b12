//! The store: readers, and the queue of the writer.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};
use tracing::debug;

use super::super::changes::Changes;
use super::super::entry::{Change, Dated, KeyEntry};
use super::super::inventory::Inventory;
use super::super::record::Record;
use super::super::rotation::Rotation;
use super::super::store::{ApplyError, Store, StoreError};
use super::committer::{Committer, Disk, Job, MAX_BATCH};
use super::files::{io_error, lock};
use super::folder::Folder;
use super::meter::StoreStats;
use super::open::{self, Parts};
use super::shared::Shared;
use super::snapshot::Snapshot;
use super::witness::{Witness, WitnessFile};
use crate::PublicKey;
use crate::api::ProvenKey;

/// Records in a folder. One process at a time may have it open.
#[derive(Debug)]
pub struct SledStore {
    shared: Arc<Shared>,
    /// `None` only while the store is being dropped.
    jobs: Option<mpsc::Sender<Job>>,
    writer: Option<JoinHandle<()>>,
    /// Released last: until then no other process opens the folder.
    pub(super) lock: File,
}

impl SledStore {
    /// Opens the folder; creates it, for its owner alone, if it does not exist. Blocks on the disk: all
    /// entries are copied and verified.
    ///
    /// # Errors
    ///
    /// [`StoreError::Lost`] if the files do not hold every acknowledged version: then nothing in the folder
    /// is changed. [`StoreError::Locked`] if another process has it open; [`StoreError::Schema`] and
    /// [`StoreError::Blobs`] if this version cannot use its content safely; [`StoreError::Full`] if there is
    /// no room for the copy; otherwise the error of the file system or the engine.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let Parts { lock, database, slots, file, witness, known } = open::open(folder)?;
        let shared = Shared::new(database.entries.clone(), slots, known);
        Self::start(shared, file, witness, database, lock)
    }

    pub(super) fn start(
        shared: Shared,
        file: WitnessFile,
        witness: Witness,
        disk: impl Disk,
        lock: File,
    ) -> Result<Self, StoreError> {
        let shared = Arc::new(shared);
        let (jobs, queue) = mpsc::channel(MAX_BATCH);
        let committer = Committer { shared: Arc::clone(&shared), file, witness, disk };
        let writer = std::thread::Builder::new()
            .name("profile-store".into())
            .spawn(move || {
                let shared = Arc::clone(&committer.shared);
                // Without its writer, a store must not go on as if it could be written to.
                if catch_unwind(AssertUnwindSafe(|| committer.run(queue))).is_err() {
                    shared.fail(&StoreError::Engine("the writing thread has panicked".into()));
                }
            })
            .map_err(|error| StoreError::Io {
                what: "start the writing thread".into(),
                cause: Arc::new(error),
            })?;
        Ok(Self { shared, jobs: Some(jobs), writer: Some(writer), lock })
    }

    /// Returns how many keys have a record or had one.
    pub fn count(&self) -> usize {
        self.shared.entries.len()
    }

    /// Returns what was written since the store was opened. Reads no file.
    pub fn stats(&self) -> StoreStats {
        let profiles = self.shared.slots.lock().unwrap_or_else(PoisonError::into_inner).used();
        self.shared.meter.stats(profiles)
    }

    /// Waits until the store fails, and returns why: a write or a sync failed, or an entry can't be read any
    /// more. Every later call fails. What is on disk is unknown until the store is opened again.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn failed(&self) -> StoreError {
        self.shared.failed().await
    }

    /// Returns all entries as they are durable now. What is written meanwhile does not show in them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Failed`] if the store has failed.
    ///
    /// # Cancel safety
    ///
    /// Nothing is changed when the future is dropped.
    pub async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let (number, witness) = self.ask(|answer| Job::Snapshot { answer }).await?;
        Ok(Snapshot::new(Arc::clone(&self.shared), number, witness.promised()))
    }

    /// Stores an entry that was taken from a backup, unless the one that is there is as new or newer; returns
    /// whether it was stored, once it is durable. The record's own signature is all that speaks for it. An
    /// entry keeps the time of its change.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the entry could not be made durable.
    ///
    /// # Cancel safety
    ///
    /// The entry may or may not be stored when the future is dropped.
    pub async fn restore_entry(
        &self,
        key: PublicKey,
        entry: impl Into<Dated> + Send,
    ) -> Result<bool, StoreError> {
        let held = entry.into();
        self.ask(|answer| Job::Restore { key, held, answer }).await?
    }

    /// Compares a folder with its witness, and visits every entry that can be read, the damaged parts of a
    /// store included. A key may be visited more than once, with an older entry after a newer one. Works on a
    /// copy, which is removed; nothing else is changed. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// [`StoreError::Locked`] if a server is using the folder; otherwise as [`Self::open`], but for
    /// [`StoreError::Lost`]: the [`Inventory`] says what is lost.
    pub fn check(folder: &Path, mut visit: impl FnMut(PublicKey, Dated)) -> Result<Inventory, StoreError> {
        open::check(folder, &mut visit)
    }

    /// Renames a folder, so that a new store can take its place; returns its new name, which ends in
    /// `.aside-` and a number.
    ///
    /// # Errors
    ///
    /// [`StoreError::Locked`] if a server is using the folder; otherwise the error of the file system.
    pub fn set_aside(folder: &Path) -> Result<PathBuf, StoreError> {
        let _lock = lock(&Folder::new(folder).lock())?;
        let name = |number: u32| {
            let mut name = folder.as_os_str().to_owned();
            name.push(format!(".aside-{number}"));
            PathBuf::from(name)
        };
        let aside = (1..).map(name).find(|path| !path.exists()).expect("some number is free");
        std::fs::rename(folder, &aside).map_err(|error| io_error("rename", folder, error))?;
        Ok(aside)
    }

    async fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<T>) -> Job) -> Result<T, StoreError> {
        self.shared.check()?;
        let (answer, outcome) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or(StoreError::Failed)?;
        jobs.send(job(answer)).await.map_err(|_| StoreError::Failed)?;
        outcome.await.map_err(|_| StoreError::Failed)
    }
}

impl Store for SledStore {
    async fn load(&self, key: &PublicKey) -> Result<KeyEntry, StoreError> {
        if !self.shared.may_hold(key) {
            return self.shared.check().map(|()| KeyEntry::Unknown);
        }
        let (shared, key) = (Arc::clone(&self.shared), *key);
        let loaded = tokio::task::spawn_blocking(move || shared.load(&key)).await;
        // It has panicked in the engine, or the runtime ends.
        loaded.unwrap_or(Err(StoreError::Failed))
    }

    async fn apply(&self, owner: &ProvenKey, change: Change) -> Result<KeyEntry, ApplyError> {
        let key = *owner.public_key();
        self.ask(|answer| Job::Change { key, change, answer }).await?
    }

    fn changes(&self) -> &Changes {
        &self.shared.changes
    }

    async fn rotate(&self, rotation: Rotation, record: Record) -> Result<KeyEntry, ApplyError> {
        self.ask(|answer| Job::Rotate { rotation, record, answer }).await?
    }

    async fn page(
        &self,
        after: Option<PublicKey>,
        limit: usize,
    ) -> Result<Vec<(PublicKey, Dated)>, StoreError> {
        let shared = Arc::clone(&self.shared);
        let read = tokio::task::spawn_blocking(move || shared.page(after, limit)).await;
        // As above.
        read.unwrap_or(Err(StoreError::Failed))
    }

    async fn remove(&self, key: &PublicKey) -> Result<bool, StoreError> {
        let key = *key;
        self.ask(|answer| Job::Remove { key, answer }).await?
    }
}

impl Drop for SledStore {
    /// Waits until accepted changes are on disk, then lets others open the folder.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(writer) = self.writer.take() {
            // What panics there is caught there.
            let _ = writer.join();
        }
        // Closing the file is not enough: a child that this process is just starting holds a copy of it until
        // it runs its own program.
        if let Err(error) = self.lock.unlock() {
            debug!(%error, "cannot unlock the folder of the store");
        }
    }
}
