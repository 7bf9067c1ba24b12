//! The only writer: takes changes in batches and makes each batch durable with one sync.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, oneshot};

use super::super::entry::{Change, Decision, KeyEntry};
use super::super::store::{ApplyError, StoreError};
use super::codec;
use crate::PublicKey;

/// A change to be made durable.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) key: PublicKey,
    pub(super) change: Change,
    pub(super) answer: oneshot::Sender<Result<KeyEntry, ApplyError>>,
}

/// What readers and the writer share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) entries: sled::Tree,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The entries before the batch that is being written: a power failure may leave these, so readers see
    /// them.
    before: BTreeMap<PublicKey, KeyEntry>,
    failed: bool,
}

impl Shared {
    pub(super) fn new(entries: sled::Tree) -> Self {
        Self { entries, state: Mutex::default() }
    }

    /// Returns the durable entry of a key. May block on the disk.
    pub(super) fn load(&self, key: &PublicKey) -> Result<KeyEntry, StoreError> {
        // In this order: the writer notes the old entry before it writes the new one, and drops the note
        // after the sync.
        let latest = self.latest(key);
        let state = self.state();
        if state.failed {
            return Err(StoreError::Failed);
        }
        match state.before.get(key) {
            Some(before) => Ok(before.clone()),
            None => latest,
        }
    }

    fn latest(&self, key: &PublicKey) -> Result<KeyEntry, StoreError> {
        let bytes = self.entries.get(key.as_bytes()).map_err(engine)?;
        match bytes {
            None => Ok(KeyEntry::Unknown),
            Some(bytes) => codec::decode(key, &bytes).ok_or_else(|| StoreError::Damaged { key: key.short() }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs until every sender of jobs is gone. `sync` makes everything written before durable.
pub(super) fn run(
    shared: &Arc<Shared>,
    mut jobs: mpsc::Receiver<Job>,
    mut sync: impl FnMut() -> Result<(), StoreError>,
) {
    let mut batch = Vec::new();
    // What arrives while one batch is being synced makes up the next.
    while jobs.blocking_recv_many(&mut batch, MAX_BATCH) > 0 {
        let mut answers = Vec::with_capacity(batch.len());
        let mut written = false;
        for job in batch.drain(..) {
            let outcome = apply(shared, &job.key, &job.change);
            written |= matches!(outcome, Ok((_, true)));
            answers.push((job.answer, outcome.map(|(entry, _)| entry)));
        }
        let synced = if written { sync() } else { Ok(()) };
        let mut state = shared.state();
        match &synced {
            Ok(()) => state.before.clear(),
            // A failed sync may have dropped the written pages: trying again would report success for data
            // that is gone.
            Err(_) => state.failed = true,
        }
        drop(state);
        for (answer, outcome) in answers {
            let outcome = outcome.and_then(|entry| Ok(synced.clone().map(|()| entry)?));
            // The caller may have gone; the change stays made.
            let _ = answer.send(outcome);
        }
    }
}

/// Applies a change without making it durable; returns whether anything was written.
fn apply(shared: &Shared, key: &PublicKey, change: &Change) -> Result<(KeyEntry, bool), ApplyError> {
    if shared.state().failed {
        return Err(StoreError::Failed.into());
    }
    let entry = shared.latest(key)?;
    match entry.decide(change) {
        // A repeat within the batch of the first attempt waits for the same sync.
        Decision::Repeated => Ok((entry, false)),
        Decision::Refuse(refusal) => Err(refusal.into()),
        Decision::Write(next) => {
            shared.state().before.entry(*key).or_insert(entry);
            let bytes = codec::encode(&next).expect("a written entry is present or deleted");
            if let Err(error) = shared.entries.insert(key.as_bytes(), bytes) {
                shared.state().failed = true;
                return Err(ApplyError::Store(engine(error)));
            }
            Ok((next, true))
        }
    }
}

#[allow(clippy::needless_pass_by_value)]
pub(super) fn engine(error: sled::Error) -> StoreError {
    StoreError::Engine(error.to_string())
}

/// Most changes that share one sync.
pub(super) const MAX_BATCH: usize = 256;
