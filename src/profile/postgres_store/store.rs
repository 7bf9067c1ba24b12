//! The store.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;
use tracing::debug;

use super::super::changes::Changes;
use super::super::entry::{Change, Dated, KeyEntry, is_newer};
use super::super::limits::{Use, Verdict};
use super::super::record::Record;
use super::super::rotation::Rotation;
use super::super::sled_store::StoreStats;
use super::super::store::{ApplyError, Store, StoreError};
use super::calls::load;
use super::failure::Failure;
use super::notifications;
use super::rows::{self, PAGE};
use super::schema::migrate;
use super::shared::Shared;
use super::snapshot::PostgresSnapshot;
use super::url::PostgresUrl;
use crate::PublicKey;
use crate::api::ProvenKey;

/// Records in a database that speaks PostgreSQL's protocol. Several processes may use one database at once.
///
/// A call waits for a database that is away for five seconds, then fails with [`StoreError::Unavailable`]; a
/// later call tries again. Changes that other processes make are shown to those who watch their keys.
pub struct PostgresStore {
    shared: Arc<Shared>,
    tasks: [AbortOnDropHandle<()>; 3],
}

impl PostgresStore {
    /// Connects to a database, and makes its tables or brings them to the newest version. Uses `connections`
    /// sessions for reading and writing, at least one, a quarter as many for what need not be durable, and
    /// one for notifications.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] if no host accepts a session that can write within five seconds;
    /// [`StoreError::NotDurable`] if the server runs without `fsync`; [`StoreError::Schema`] if a newer
    /// version of this program has made the tables; [`StoreError::Io`] if the certificates cannot be read;
    /// otherwise the error of the database.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the tables may have been made or not.
    pub async fn connect(url: &PostgresUrl, connections: usize) -> Result<Self, StoreError> {
        let shared = Arc::new(Shared::new(url, connections)?);
        shared.retry(|| async { migrate(&mut *shared.session().await?).await }).await?;
        let tasks = [
            tokio::spawn(notifications::listen(Arc::clone(&shared))),
            tokio::spawn(notifications::send(Arc::clone(&shared))),
            tokio::spawn(notifications::sweep(Arc::clone(&shared))),
        ];
        Ok(Self { shared, tasks: tasks.map(AbortOnDropHandle::new) })
    }

    /// Returns how many keys have a record or had one. Reads the whole table.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database cannot be read, or does not answer within ten minutes.
    ///
    /// # Cancel safety
    ///
    /// Nothing is changed when the future is dropped.
    pub async fn count(&self) -> Result<u64, StoreError> {
        let sql = "SELECT count(*), count(CASE WHEN state = 1 THEN 1 END) FROM profiles";
        let rows = async {
            let mut session = self.shared.sessions.manager().begin(|_: &str| ()).await?;
            session.answer_timeout = COUNT_TIMEOUT;
            session.query(sql, &[]).await
        };
        let rows = rows.await.map_err(Failure::into_error)?;
        let [all, present]: [i64; 2] = [0, 1].map(|column| rows.first().map_or(0, |row| row.get(column)));
        self.shared.profiles.store(usize::try_from(present).unwrap_or(0), Ordering::Relaxed);
        Ok(u64::try_from(all).unwrap_or(0))
    }

    /// Returns what this process has written. The number of profiles is that of the last [`Self::count`].
    pub fn stats(&self) -> StoreStats {
        self.shared.meter.stats(self.shared.profiles.load(Ordering::Relaxed))
    }

    /// Returns all entries as they are now, in a session of their own. What is written meanwhile does not
    /// show in them.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the database cannot be read.
    ///
    /// # Cancel safety
    ///
    /// Nothing is changed when the future is dropped.
    pub async fn snapshot(&self) -> Result<PostgresSnapshot, StoreError> {
        let sessions = self.shared.sessions.manager();
        let begin = || async { PostgresSnapshot::begin(sessions.begin(|_: &str| ()).await?).await };
        self.shared.retry(begin).await
    }

    /// Stores entries that were taken from a backup or another store, except those of keys that have an entry
    /// as new or newer; returns how many were stored, once they are durable. The records' own signatures are
    /// all that speaks for them. Entries keep the times of their changes.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the entries could not be made durable: all of them may be stored, or none.
    ///
    /// # Cancel safety
    ///
    /// All entries or none are stored when the future is dropped.
    pub async fn restore_entries(&self, entries: Vec<(PublicKey, Dated)>) -> Result<usize, StoreError> {
        let mut newest: BTreeMap<PublicKey, Dated> = BTreeMap::new();
        for (key, held) in entries {
            let there = newest.entry(key).or_default();
            if is_newer(&held.entry, &there.entry) {
                *there = held;
            }
        }
        let stored = self.shared.retry(|| self.shared.try_restore(&newest)).await?;
        for key in &stored {
            self.shared.changed(key);
        }
        Ok(stored.len())
    }

    /// Notifies the other processes of what was changed last, and ends all sessions. Every later call fails.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the sessions end with the store.
    pub async fn close(&self) {
        if let Err(error) = notifications::send_now(&self.shared).await {
            debug!(%error, "others are not notified");
        }
        self.tasks.iter().for_each(AbortOnDropHandle::abort);
        self.shared.sessions.close();
        self.shared.relaxed.close();
    }

    pub(super) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Store for PostgresStore {
    async fn load(&self, key: &PublicKey) -> Result<KeyEntry, StoreError> {
        let load = || async { load(&mut *self.shared.session().await?, key).await };
        self.shared.retry(load).await
    }

    async fn apply(&self, owner: &ProvenKey, change: Change) -> Result<KeyEntry, ApplyError> {
        self.shared.change(owner.public_key(), &change).await
    }

    fn changes(&self) -> &Changes {
        &self.shared.changes
    }

    async fn rotate(&self, rotation: Rotation, record: Record) -> Result<KeyEntry, ApplyError> {
        let rotated = self.shared.retry(|| self.shared.try_rotate(&rotation, &record)).await;
        if !matches!(rotated, Ok(Err(_))) {
            self.shared.changed(rotation.from());
            self.shared.changed(rotation.to());
        }
        Ok(rotated??)
    }

    async fn page(
        &self,
        after: Option<PublicKey>,
        limit: usize,
    ) -> Result<Vec<(PublicKey, Dated)>, StoreError> {
        let after = after.map_or_else(Vec::new, |after| after.as_bytes().to_vec());
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let page = || async { self.shared.session().await?.query(PAGE, &[&after, &limit]).await };
        self.shared.retry(page).await?.iter().map(rows::read).collect()
    }

    async fn remove(&self, key: &PublicKey) -> Result<bool, StoreError> {
        for _ in 0..MAX_REMOVALS {
            let Some(KeyEntry::Deleted { version }) = self.load(key).await?.removed() else {
                return Ok(false);
            };
            match self.shared.change(key, &Change::Delete { version }).await {
                Ok(_) => return Ok(true),
                // Its owner has changed it meanwhile.
                Err(ApplyError::Refused(_)) => {}
                Err(ApplyError::Store(error)) => return Err(error),
            }
        }
        Err(StoreError::Unavailable("the profile is changed all the time".into()))
    }

    async fn take(&self, uses: &[Use]) -> Result<Option<Verdict>, StoreError> {
        self.shared.retry(|| self.shared.try_take(uses)).await.map(Some)
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresStore({})", self.shared.shown)
    }
}

/// Longest time for counting all entries.
const COUNT_TIMEOUT: Duration = Duration::from_secs(600);
/// Times that the removal of a record is tried which its owner changes meanwhile.
const MAX_REMOVALS: usize = 8;
