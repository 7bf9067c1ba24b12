//! What the store and its tasks share: the sessions, and how often a call is tried.

use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use deadpool::managed::{Object, Pool, PoolError};
use lru::LruCache;
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use super::super::changes::Changes;
use super::super::entry::KeyEntry;
use super::super::sled_store::Meter;
use super::super::store::StoreError;
use super::failure::{Cause, Failure, Patience};
use super::outbox::Outbox;
use super::rows::Values;
use super::session::Sessions;
use super::url::PostgresUrl;
use crate::PublicKey;

/// What the store and its tasks share.
pub(super) struct Shared {
    /// For what must be durable when it is acknowledged, and for reading.
    pub(super) sessions: Pool<Sessions>,
    /// For the rest.
    pub(super) relaxed: Pool<Sessions>,
    pub(super) shown: String,
    pub(super) changes: Changes,
    pub(super) outbox: Outbox,
    pub(super) meter: Meter,
    pub(super) profiles: AtomicUsize,
    is_away: AtomicBool,
    /// The state and version of entries of which it is known that they are durable.
    confirmed: Mutex<LruCache<PublicKey, (i16, i64)>>,
}

impl Shared {
    /// Connects to nothing yet.
    pub(super) fn new(url: &PostgresUrl, connections: usize) -> Result<Self, StoreError> {
        let pool = |is_durable, size: usize| {
            let pool = Pool::builder(Sessions::new(url, is_durable)?).max_size(size.max(1)).build();
            Ok(pool.expect("it has no time-outs, so it needs no clock"))
        };
        Ok(Self {
            sessions: pool(true, connections)?,
            relaxed: pool(false, connections / 4)?,
            shown: url.to_string(),
            changes: Changes::default(),
            outbox: Outbox::default(),
            meter: Meter::default(),
            profiles: AtomicUsize::new(0),
            is_away: AtomicBool::new(false),
            confirmed: Mutex::new(LruCache::new(MAX_CONFIRMED)),
        })
    }

    pub(super) async fn session(&self) -> Result<Object<Sessions>, Failure> {
        session_of(&self.sessions).await
    }

    pub(super) async fn relaxed(&self) -> Result<Object<Sessions>, Failure> {
        session_of(&self.relaxed).await
    }

    pub(super) fn sessions(&self) -> &Sessions {
        self.sessions.manager()
    }

    /// Makes tries until one succeeds, one fails for good, or the time is up.
    pub(super) async fn retry<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        attempt: impl Fn() -> F,
    ) -> Result<T, StoreError> {
        let mut patience = Patience::new();
        let mut failed = (Cause::Silent, "the database does not answer".to_owned());
        loop {
            match timeout_at(patience.deadline, attempt()).await {
                Ok(Ok(done)) => {
                    if self.is_away.load(Ordering::Relaxed) && self.is_away.swap(false, Ordering::Relaxed) {
                        info!(database = self.shown, "the database is back");
                        // What could not be read is read again.
                        self.changes.notify_all();
                    }
                    return Ok(done);
                }
                Ok(Err(Failure::Lasting(error))) => return Err(error),
                Ok(Err(Failure::Passing(cause, why))) => failed = (cause, why),
                Err(_) => {}
            }
            self.forget_sessions(failed.0);
            if !patience.pause().await {
                let (cause, why) = failed;
                if cause != Cause::Conflict && !self.is_away.swap(true, Ordering::Relaxed) {
                    warn!(database = self.shown, reason = why, "the database cannot be used");
                }
                return Err(StoreError::Unavailable(why));
            }
        }
    }

    /// Ends the sessions that are not in use: they may be lost as well, and another server takes over that
    /// has not all that this one had.
    fn forget_sessions(&self, cause: Cause) {
        if cause == Cause::Conflict {
            return;
        }
        self.confirmed().clear();
        for pool in [&self.sessions, &self.relaxed] {
            pool.retain(|_, _| false);
            if cause == Cause::Silent {
                pool.manager().suspect();
            }
        }
    }

    /// Notes that an entry is durable now.
    pub(super) fn durable(&self, key: &PublicKey, entry: &KeyEntry, began: Instant) {
        self.meter.count(1, began.elapsed());
        if let Some(Values { state, version, .. }) = Values::of(entry) {
            self.confirmed().put(*key, (state, version));
        }
    }

    /// Notifies those who watch a key, here and elsewhere.
    pub(super) fn changed(&self, key: &PublicKey) {
        self.changes.notify(key);
        self.outbox.add(key);
    }

    pub(super) fn confirmed(&self) -> MutexGuard<'_, LruCache<PublicKey, (i16, i64)>> {
        self.confirmed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn session_of(pool: &Pool<Sessions>) -> Result<Object<Sessions>, Failure> {
    pool.get().await.map_err(|error| match error {
        PoolError::Backend(failure) => failure,
        _ => Failure::Lasting(StoreError::Unavailable("the store was closed".into())),
    })
}

/// Most entries that are known to be durable. A repeated change of another one takes a write.
const MAX_CONFIRMED: NonZeroUsize = NonZeroUsize::new(16_384).expect("it is not 0");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_durable_entries_are_noted() {
        let shared = Shared::new(&"postgres://localhost/x".parse().unwrap(), 1).unwrap();
        for number in 0..MAX_CONFIRMED.get() + 10 {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&number.to_le_bytes());
            let entry = KeyEntry::Deleted { version: 1 };
            shared.durable(&PublicKey::from_bytes(bytes), &entry, Instant::now());
        }
        assert_eq!(shared.confirmed().len(), MAX_CONFIRMED.get());
    }
}
