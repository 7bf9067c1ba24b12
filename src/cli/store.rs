//! The store of a server, of whichever kind.

use std::sync::Arc;
#[cfg(feature = "postgres")]
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::PublicKey;
use crate::api::ProvenKey;
use crate::profile::changes::Changes;
use crate::profile::entry::{Change, Dated, KeyEntry};
use crate::profile::sled_store::Snapshot;
use crate::profile::{ApplyError, Record, Rotation, SledStore, Store, StoreError, StoreStats, Use, Verdict};
#[cfg(feature = "postgres")]
pub(super) use crate::profile::{Membership, PostgresSnapshot, PostgresStore};

/// The store of a server.
#[derive(Debug)]
pub(super) enum ServerStore {
    /// A folder of this computer.
    Sled(SledStore),
    /// A database, which other servers may use as well.
    #[cfg(feature = "postgres")]
    Postgres(Database),
}

/// A database, and what is known about those who use it.
#[cfg(feature = "postgres")]
#[derive(Debug)]
pub(super) struct Database {
    store: Arc<PostgresStore>,
    /// Other servers of the same key.
    others: AtomicUsize,
}

/// All entries of a store as they were at one time.
#[derive(Debug)]
pub(super) enum StoreSnapshot {
    Sled(Snapshot),
    #[cfg(feature = "postgres")]
    Postgres(Box<PostgresSnapshot>),
}

/// The place among the servers of one key; in this build there is none.
#[cfg(not(feature = "postgres"))]
#[derive(Debug)]
pub(super) enum Membership {}

impl ServerStore {
    /// Returns what this process has written since it opened the store. The number of profiles in a database
    /// is that of the last [`Self::profiles`].
    pub(super) fn stats(&self) -> StoreStats {
        match self {
            Self::Sled(store) => store.stats(),
            #[cfg(feature = "postgres")]
            Self::Postgres(database) => database.store.stats(),
        }
    }

    /// Returns how many profiles there are. Those of a database are counted.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database does not answer.
    pub(super) async fn profiles(&self) -> Result<usize, StoreError> {
        match self {
            Self::Sled(_) => {}
            #[cfg(feature = "postgres")]
            Self::Postgres(database) => drop(database.store.count().await?),
        }
        Ok(self.stats().profiles)
    }

    /// Returns the name of the kind.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Sled(_) => "sled",
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => "postgres",
        }
    }

    /// Returns how many other servers of the same key use the store; `None` if none can.
    pub(super) fn others(&self) -> Option<usize> {
        match self {
            Self::Sled(_) => None,
            #[cfg(feature = "postgres")]
            Self::Postgres(database) => Some(database.others.load(Ordering::Relaxed)),
        }
    }

    /// Returns whether the store can be read now.
    #[cfg(feature = "web")]
    pub(super) async fn answers(&self) -> bool {
        let any = PublicKey::from_bytes([0; 32]);
        timeout(ANSWER, self.load(&any)).await.is_ok_and(|loaded| loaded.is_ok())
    }

    /// Waits until the store fails for good, and returns why. A database that is away may come back.
    pub(super) async fn failed(&self) -> StoreError {
        match self {
            Self::Sled(store) => store.failed().await,
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => std::future::pending().await,
        }
    }

    /// Joins the servers of a key that use the store; `None` if no other one can.
    pub(super) async fn join(&self, server: &PublicKey) -> Option<Membership> {
        match self {
            Self::Sled(_) => {
                // Without databases nothing uses it.
                let _ = server;
                None
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(database) => Some(database.store.join(*server).await),
        }
    }

    /// Waits until another server of the key has gone, and keeps count of them.
    pub(super) async fn lost(&self, member: &mut Membership) {
        match self {
            Self::Sled(_) => {
                // Without databases nothing uses it.
                let _ = member;
                std::future::pending().await
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(database) => loop {
                database.others.store(member.others(), Ordering::Relaxed);
                if timeout(BEAT, member.lost()).await.is_ok() {
                    return;
                }
            },
        }
    }

    /// Returns all entries as they are durable now.
    pub(super) async fn snapshot(&self) -> Result<StoreSnapshot, StoreError> {
        match self {
            Self::Sled(store) => store.snapshot().await.map(StoreSnapshot::Sled),
            #[cfg(feature = "postgres")]
            Self::Postgres(database) => {
                database.store.snapshot().await.map(|snapshot| StoreSnapshot::Postgres(snapshot.into()))
            }
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
                            #[cfg(feature = "postgres")]
                            Self::Postgres(_) => Err(StoreError::Failed),
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
            #[cfg(feature = "postgres")]
            Self::Postgres(database) => database.store.restore_entries(entries).await,
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

#[cfg(feature = "postgres")]
impl ServerStore {
    pub(super) fn database(store: PostgresStore) -> Self {
        Self::Postgres(Database { store: Arc::new(store), others: AtomicUsize::new(0) })
    }
}

impl StoreSnapshot {
    /// Returns some of the next entries, in the order of their keys; none at the end. Blocks on the disk
    /// where the store is a folder.
    pub(super) async fn next_chunk(&mut self) -> Result<Vec<(PublicKey, Dated)>, StoreError> {
        match self {
            Self::Sled(snapshot) => snapshot.next_chunk(),
            #[cfg(feature = "postgres")]
            Self::Postgres(snapshot) => snapshot.next_chunk().await,
        }
    }
}

#[cfg(not(feature = "postgres"))]
impl Membership {
    pub(super) async fn leave(self) {
        match self {}
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
            #[cfg(feature = "postgres")]
            Self::Postgres(database) => database.store.load(key).await,
        }
    }

    async fn apply(&self, owner: &ProvenKey, change: Change) -> Result<KeyEntry, ApplyError> {
        match self {
            Self::Sled(store) => store.apply(owner, change).await,
            #[cfg(feature = "postgres")]
            Self::Postgres(database) => database.store.apply(owner, change).await,
        }
    }

    fn changes(&self) -> &Changes {
        match self {
            Self::Sled(store) => store.changes(),
            #[cfg(feature = "postgres")]
            Self::Postgres(database) => database.store.changes(),
        }
    }

    async fn rotate(&self, rotation: Rotation, record: Record) -> Result<KeyEntry, ApplyError> {
        match self {
            Self::Sled(store) => store.rotate(rotation, record).await,
            #[cfg(feature = "postgres")]
            Self::Postgres(database) => database.store.rotate(rotation, record).await,
        }
    }

    async fn page(
        &self,
        after: Option<PublicKey>,
        limit: usize,
    ) -> Result<Vec<(PublicKey, Dated)>, StoreError> {
        match self {
            Self::Sled(store) => store.page(after, limit).await,
            #[cfg(feature = "postgres")]
            Self::Postgres(database) => database.store.page(after, limit).await,
        }
    }

    async fn remove(&self, key: &PublicKey) -> Result<bool, StoreError> {
        match self {
            Self::Sled(store) => store.remove(key).await,
            #[cfg(feature = "postgres")]
            Self::Postgres(database) => database.store.remove(key).await,
        }
    }

    async fn take(&self, uses: &[Use]) -> Result<Option<Verdict>, StoreError> {
        match self {
            Self::Sled(store) => store.take(uses).await,
            #[cfg(feature = "postgres")]
            Self::Postgres(database) => database.store.take(uses).await,
        }
    }
}

/// Longest time for the store to answer whether it can be read.
#[cfg(feature = "web")]
const ANSWER: Duration = Duration::from_secs(2);
/// Time in which other servers are counted again.
#[cfg(feature = "postgres")]
const BEAT: Duration = Duration::from_secs(1);
