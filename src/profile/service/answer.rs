//! Answers the requests of proven keys.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use super::super::changes::Watch;
use super::super::entry::{Change, Decision, KeyEntry};
use super::super::follow::{Followed, follow};
use super::super::limits::{Counters, Use, Verdict};
use super::super::message::{Call, Refusal, Request, Success, answer_line, bad_call_line, changed_line};
use super::super::peers::PeerAddress;
use super::super::record::{RawRecord, Record};
use super::super::store::{ApplyError, Store, StoreError};
use super::{Admission, ServiceConfig};
use crate::PublicKey;
use crate::api::ProvenKey;

/// The peer that a request comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    pub(super) key: ProvenKey,
    pub(super) address: PeerAddress,
}

/// What a line leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// A line for the peer.
    Line(Vec<u8>),
    /// Nothing: the line was a notification.
    Nothing,
    /// The end of the connection, after a line if the peer expects one: its key has been refused too often,
    /// or it is banned at the address that it has now.
    Last(Option<Vec<u8>>, Refusal),
}

/// What the operator has set.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    pub(super) config: ServiceConfig,
    pub(super) admission: Admission,
}

/// Answers the requests of proven keys.
#[derive(Debug)]
pub(super) struct Answerer<S> {
    pub(super) store: S,
    settings: RwLock<Arc<Settings>>,
    counters: Mutex<Counters>,
}

impl<S: Store> Answerer<S> {
    pub(super) fn new(store: S, config: ServiceConfig) -> Self {
        let counters = Mutex::new(Counters::new(&config.limits));
        let settings = Settings { config, ..Settings::default() };
        Self { store, settings: RwLock::new(Arc::new(settings)), counters }
    }

    /// Returns what holds now. What goes on for long asks again.
    pub(super) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the settings for every request from now on; what was counted counts on.
    pub(super) fn set(&self, change: impl FnOnce(&mut Settings)) {
        let mut settings = self.settings.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut settings));
        self.counters().configure(&settings.config.limits);
    }

    /// Refuses a key that is banned, itself or by its address: the caller's, or one that it speaks for.
    pub(super) fn admit_key(&self, key: &PublicKey, address: PeerAddress) -> Result<(), Refusal> {
        match self.settings().admission.is_banned(key, address) {
            true => Err(Refusal::Banned),
            false => Ok(()),
        }
    }

    /// Answers a line. A notification counts as a refused request: it asks for work and gets nothing.
    pub(super) async fn answer(&self, caller: &Caller, line: &[u8], watch: &mut Watch) -> Answer {
        let now = Instant::now();
        let admitted = self
            .admit_key(caller.key.public_key(), caller.address)
            .and_then(|()| too_many(self.counters().check_refusals(now, &caller.key)));
        let read = Call::read(line);
        if let Err(refusal) = admitted {
            let id = match &read {
                Ok(None) => return Answer::Last(None, refusal),
                Ok(Some(call)) => Some(&call.id),
                Err(bad) => bad.id.as_ref(),
            };
            return Answer::Last(Some(answer_line(id, &Err(refusal.clone()))), refusal);
        }
        match read {
            Ok(None) => {
                debug!("notification ignored");
                self.counters().refused(now, &caller.key);
                Answer::Nothing
            }
            Err(bad) => {
                debug!(error = %bad.error, "line refused");
                self.counters().refused(now, &caller.key);
                Answer::Line(bad_call_line(&bad))
            }
            Ok(Some(call)) => {
                let outcome = match self.carry_out(caller, call.request, watch).await {
                    Err(refusal) => Err(self.complete(refusal).await),
                    outcome => outcome,
                };
                if let Err(refusal) = &outcome {
                    debug!(kind = refusal.kind(), "request refused");
                    self.counters().refused(now, &caller.key);
                }
                Answer::Line(answer_line(Some(&call.id), &outcome))
            }
        }
    }

    /// Returns the line that shows what a watched key has now; `None` if the operator has closed lookups to
    /// the caller since.
    pub(super) async fn change_of(
        &self,
        caller: &ProvenKey,
        key: &PublicKey,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        if self.admit_lookup(caller).is_err() {
            return Ok(None);
        }
        let Followed { chain, entry } = follow(&self.store, key).await?;
        Ok(Some(changed_line(key, entry.record(), &chain)))
    }

    async fn carry_out(
        &self,
        caller: &Caller,
        request: Request,
        watch: &mut Watch,
    ) -> Result<Success, Refusal> {
        let owned = |record: &RawRecord| owned_record(&caller.key, record);
        match request {
            Request::Ping => Ok(Success::Empty),
            Request::Get => record_of(&self.load(caller.key.public_key()).await?),
            Request::Lookup { key, follow } => {
                self.admit_lookup(&caller.key)?;
                too_many(self.counters().lookup(Instant::now(), &caller.key))?;
                match follow {
                    true => self.find(&key).await,
                    false => record_of(&self.load(&key).await?),
                }
            }
            Request::Rotate { rotation, record } => self.rotate(caller, rotation, &record).await,
            Request::Watch { keys } => {
                self.admit_lookup(&caller.key)?;
                for _ in &keys {
                    too_many(self.counters().lookup(Instant::now(), &caller.key))?;
                }
                watch.set(keys);
                Ok(Success::Empty)
            }
            Request::Register { record, after } => {
                let record = owned(&record)?;
                self.change(caller, Change::Register { record, after }).await
            }
            Request::Update { record, after } => {
                let record = owned(&record)?;
                self.change(caller, Change::Update { record, after }).await
            }
            Request::Delete { version } => self.change(caller, Change::Delete { version }).await,
        }
    }

    fn admit_lookup(&self, key: &ProvenKey) -> Result<(), Refusal> {
        let settings = self.settings();
        match settings.admission.may_use(settings.config.lookup, key.public_key()) {
            true => Ok(()),
            false => Err(Refusal::Closed),
        }
    }

    async fn change(&self, caller: &Caller, change: Change) -> Result<Success, Refusal> {
        // Only writes are limited, so the entry shows whether this is one. The store decides again when it
        // writes.
        let entry = self.load(caller.key.public_key()).await?;
        match entry.decide(&change) {
            Decision::Refuse(refusal) => return Err(refusal),
            // What is there may not be durable yet if several servers use the store.
            Decision::Repeated => {}
            Decision::Write(_) => self.admit(caller, &change).await?,
        }
        let what = match &change {
            Change::Register { .. } => "registered",
            Change::Update { .. } => "updated",
            Change::Delete { .. } => "deleted",
        };
        let entry = match self.store.apply(&caller.key, change).await {
            Ok(entry) => entry,
            Err(ApplyError::Refused(refusal)) => return Err(refusal),
            Err(ApplyError::Store(error)) => return Err(storage(&error)),
        };
        info!(version = entry.version(), "{what}");
        Ok(success(&entry))
    }

    async fn admit(&self, caller: &Caller, change: &Change) -> Result<(), Refusal> {
        let registers = matches!(change, Change::Register { .. });
        let settings = self.settings();
        let access = settings.config.registration;
        if registers && !settings.admission.may_use(access, caller.key.public_key()) {
            return Err(Refusal::Closed);
        }
        match registers {
            true => self.count_registration(caller).await,
            false => self.count_write(caller).await,
        }
    }

    async fn count_registration(&self, caller: &Caller) -> Result<(), Refusal> {
        too_many(self.counters().registration(Instant::now(), &caller.key, caller.address))?;
        self.count(&self.settings().config.limits.registration(&caller.key, caller.address)).await
    }

    pub(super) async fn count_write(&self, caller: &Caller) -> Result<(), Refusal> {
        too_many(self.counters().write(Instant::now(), &caller.key))?;
        self.count(&[self.settings().config.limits.write(&caller.key)]).await
    }

    /// Counts for all servers together what is within the limits here.
    async fn count(&self, uses: &[Use]) -> Result<(), Refusal> {
        match self.store.take(uses).await {
            Ok(verdict) => too_many(verdict.unwrap_or(Ok(()))),
            Err(error) => Err(storage(&error)),
        }
    }

    pub(super) async fn load(&self, key: &PublicKey) -> Result<KeyEntry, Refusal> {
        self.store.load(key).await.map_err(|error| storage(&error))
    }

    pub(super) fn counters(&self) -> MutexGuard<'_, Counters> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Verifies a record that must belong to the caller.
fn owned_record(key: &ProvenKey, record: &RawRecord) -> Result<Record, Refusal> {
    if record.key != *key.public_key() {
        return Err(Refusal::BadSignature);
    }
    Ok(record.verify()?)
}

fn record_of(entry: &KeyEntry) -> Result<Success, Refusal> {
    match entry {
        KeyEntry::Present(record) => Ok(Success::Record(record.clone())),
        KeyEntry::Moved { rotation, .. } => Err(Refusal::Moved { chain: vec![rotation.clone()] }),
        KeyEntry::Unknown | KeyEntry::Deleted { .. } => Err(Refusal::NotRegistered),
    }
}

fn success(entry: &KeyEntry) -> Success {
    match entry.record() {
        Some(record) => Success::Record(record.clone()),
        None => Success::Deleted,
    }
}

pub(super) fn too_many(verdict: Verdict) -> Result<(), Refusal> {
    verdict.map_err(|retry_after| Refusal::TooMany { retry_after })
}

pub(super) fn storage(error: &StoreError) -> Refusal {
    match error {
        StoreError::Full { .. } => {
            warn!(%error, "a change was refused");
            Refusal::DiskFull
        }
        // The store logs when that begins and when it ends.
        StoreError::Unavailable(_) => {
            debug!(%error, "the store is away");
            Refusal::Storage
        }
        _ => {
            error!(%error, "the store failed");
            Refusal::Storage
        }
    }
}
