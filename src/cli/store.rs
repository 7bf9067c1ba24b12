//! The store of a server, of whichever kind.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::PublicKey;
use crate::api::ProvenKey;
use crate::profile::changes::Changes;
use crate::profile::entry::{Change, Dated, KeyEntry};
use crate::profile::sled_store::Snapshot;
use crate::profile::{ApplyError, Record, Rotation, SledStore, Store, StoreError, StoreStats};

/// The store of a server.
#[derive(Debug)]
pub(super) enum ServerStore {
    /// A folder of this computer.
    Sled(SledStore),
}

/// All entries of a store as they were at one time.
#[derive(Debug)]
pub(super) enum StoreSnapshot {
    Sled(Snapshot),
}

impl ServerStore {
    /// Returns what was written since the store was opened.
    pub(super) fn stats(&self) -> StoreStats {
        match self {
            Self::Sled(store) => store.stats(),
        }
    }

    /// Waits until the store fails for good, and returns why.
    pub(super) async fn failed(&self) -> StoreError {
        match self {
            Self::Sled(store) => store.failed().await,
        }
    }

    /// Returns all entries as they are durable now.
    pub(super) async fn snapshot(&self) -> Result<StoreSnapshot, StoreError> {
        match self {
            Self::Sled(store) => store.snapshot().await.map(StoreSnapshot::Sled),
        }
    }

    /// Stores entries of a backup, but for those that are there as new or newer; returns how many were
    /// stored, once they are durable.
    pub(super) async fn restore(
        self: &Arc<Self>,
        entries: Vec<(PublicKey, Dated)>,
    ) -> Result<usize, StoreError> {
        match &**self {
            Self::Sled(_) => {
                // All at once: those that wait together share a sync.
                let mut writes = JoinSet::new();
                for (key, held) in entries {
                    let store = Arc::clone(self);
                    writes.spawn(async move {
                        match &*store {
                            Self::Sled(store) => store.restore_entry(key, held).await,
                        }
                    });
                }
                let mut stored = 0;
                while let Some(written) = writes.join_next().await {
                    // It has panicked, or the runtime ends.
                    stored += usize::from(written.unwrap_or(Err(StoreError::Failed))?);
                }
                Ok(stored)
            }
        }
    }

    /// Closes the store: waits for the tasks that still hold it, and for the disk.
    pub(super) async fn close(self: Arc<Self>) {
        // Nothing else holds it any more, but a task that has ended may not be freed yet.
        while Arc::strong_count(&self) > 1 {
            tokio::task::yield_now().await;
        }
        // Waits for the disk; a thread of its own may. Everything that counts is durable before.
        let _ = tokio::task::spawn_blocking(move || drop(self)).await;
    }
}

impl StoreSnapshot {
    /// Returns some of the next entries; none at the end. Blocks on the disk where the store is a folder.
    pub(super) async fn next_chunk(&mut self) -> Result<Vec<(PublicKey, Dated)>, StoreError> {
        match self {
            Self::Sled(snapshot) => snapshot.next_chunk(),
        }
    }
}

impl From<SledStore> for ServerStore {
    fn from(store: SledStore) -> Self {
        Self::Sled(store)
    }
}

impl Store for ServerStore {
    async fn load(&self, key: &PublicKey) -> Result<KeyEntry, StoreError> {
        match self {
            Self::Sled(store) => store.load(key).await,
        }
    }

    async fn apply(&self, owner: &ProvenKey, change: Change) -> Result<KeyEntry, ApplyError> {
        match self {
            Self::Sled(store) => store.apply(owner, change).await,
        }
    }

    fn changes(&self) -> &Changes {
        match self {
            Self::Sled(store) => store.changes(),
        }
    }

    async fn rotate(&self, rotation: Rotation, record: Record) -> Result<KeyEntry, ApplyError> {
        match self {
            Self::Sled(store) => store.rotate(rotation, record).await,
        }
    }

    async fn page(
        &self,
        after: Option<PublicKey>,
        limit: usize,
    ) -> Result<Vec<(PublicKey, Dated)>, StoreError> {
        match self {
            Self::Sled(store) => store.page(after, limit).await,
        }
    }

    async fn remove(&self, key: &PublicKey) -> Result<bool, StoreError> {
        match self {
            Self::Sled(store) => store.remove(key).await,
        }
    }
}
