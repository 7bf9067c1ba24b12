//! The only writer: takes changes in batches and makes each batch durable with one sync of each file.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use tokio::sync::{mpsc, oneshot};

use super::super::entry::{Change, Decision, KeyEntry, is_newer};
use super::super::store::{ApplyError, StoreError};
use super::codec::{self, Sum};
use super::shared::{Latest, Shared, engine};
use super::slots::SPARES_AT_LEAST;
use super::witness::{Witness, WitnessFile};
use crate::PublicKey;

/// Something for the writer to do.
#[derive(Debug)]
pub(super) enum Job {
    /// Makes a change durable.
    Change { key: PublicKey, change: Change, answer: oneshot::Sender<Result<KeyEntry, ApplyError>> },
    /// Makes an entry durable unless the one that is there is as new; answers whether it was written.
    Restore { key: PublicKey, entry: KeyEntry, answer: oneshot::Sender<Result<bool, StoreError>> },
    /// Begins a snapshot; answers its number and what it is a snapshot of.
    Snapshot { answer: oneshot::Sender<(u64, Witness)> },
}

/// What the writer needs of the disk.
pub(super) trait Disk: Send + 'static {
    /// Makes everything that was written to the database durable.
    fn sync(&mut self) -> Result<(), StoreError>;

    /// Fails with [`StoreError::Full`] if there is no room for a batch that adds about `bytes`.
    fn check_room(&mut self, bytes: usize) -> Result<(), StoreError>;
}

/// The writer.
#[derive(Debug)]
pub(super) struct Committer<D> {
    pub(super) shared: Arc<Shared>,
    pub(super) file: WitnessFile,
    /// The last durable state.
    pub(super) witness: Witness,
    pub(super) disk: D,
}

/// A group of changes that becomes durable together.
#[derive(Debug)]
struct Batch {
    /// Whether the disk has room for it; otherwise why not.
    room: Result<(), StoreError>,
    /// The sums of each changed key: of its durable entry and of its latest one.
    sums: BTreeMap<PublicKey, (Sum, Sum)>,
    /// The slots whose keys are erased when the batch is durable.
    erased: Vec<u32>,
    answers: Vec<Answer>,
}

#[derive(Debug)]
enum Answer {
    Change(oneshot::Sender<Result<KeyEntry, ApplyError>>, Result<KeyEntry, ApplyError>),
    Restore(oneshot::Sender<Result<bool, StoreError>>, Result<bool, StoreError>),
}

impl<D: Disk> Committer<D> {
    /// Runs until every sender of jobs is gone.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut waiting = Vec::new();
        // What arrives while one batch is being synced makes up the next.
        while jobs.blocking_recv_many(&mut waiting, MAX_BATCH) > 0 {
            let room = self.room(&waiting);
            let (sums, erased, answers) = (BTreeMap::new(), Vec::new(), Vec::new());
            let mut batch = Batch { room, sums, erased, answers };
            let mut snapshots = Vec::new();
            for job in waiting.drain(..) {
                match job {
                    Job::Change { key, change, answer } => {
                        let outcome = self.change(&mut batch, &key, &change);
                        batch.answers.push(Answer::Change(answer, outcome));
                    }
                    Job::Restore { key, entry, answer } => {
                        let outcome = self.restore(&mut batch, &key, &entry);
                        batch.answers.push(Answer::Restore(answer, outcome));
                    }
                    Job::Snapshot { answer } => snapshots.push(answer),
                }
            }
            let synced = self.commit(&batch);
            for answer in batch.answers {
                answer.send(&synced);
            }
            for answer in snapshots {
                // A caller that has gone leaves no snapshot behind.
                if let Err((number, _)) = answer.send((self.shared.begin_snapshot(), self.witness)) {
                    self.shared.end_snapshot(number);
                }
            }
        }
    }

    /// Returns whether there is room for a batch, and makes room in the key file.
    fn room(&mut self, jobs: &[Job]) -> Result<(), StoreError> {
        self.shared.check()?;
        let bytes = jobs.iter().map(Job::bytes).sum();
        if bytes == 0 {
            return Ok(());
        }
        self.disk.check_room(bytes)?;
        let mut slots = self.shared.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.replenish().inspect_err(|error| self.shared.fail(error))
    }

    fn change(&self, batch: &mut Batch, key: &PublicKey, change: &Change) -> Result<KeyEntry, ApplyError> {
        self.shared.check()?;
        let latest = self.shared.latest(key)?;
        match latest.entry.decide(change) {
            // A repeat within the batch of the first attempt waits for the same sync.
            Decision::Repeated => Ok(latest.entry),
            Decision::Refuse(refusal) => Err(refusal.into()),
            Decision::Write(next) => {
                self.write(batch, key, &latest, &next)?;
                Ok(next)
            }
        }
    }

    fn restore(&self, batch: &mut Batch, key: &PublicKey, entry: &KeyEntry) -> Result<bool, StoreError> {
        self.shared.check()?;
        let latest = self.shared.latest(key)?;
        let is_newer = is_newer(entry, &latest.entry);
        if is_newer {
            self.write(batch, key, &latest, entry)?;
        }
        Ok(is_newer)
    }

    /// Writes an entry without making it durable.
    fn write(
        &self,
        batch: &mut Batch,
        key: &PublicKey,
        latest: &Latest,
        next: &KeyEntry,
    ) -> Result<(), StoreError> {
        batch.room.clone()?;
        self.shared.note(key, &latest.entry);
        let sums = batch.sums.entry(*key).or_insert((latest.sum, latest.sum));
        let commit = self.witness.commit + 1;
        let bytes = match next {
            KeyEntry::Unknown => return Ok(()),
            KeyEntry::Present(record) => {
                let mut slots = self.shared.slots.lock().unwrap_or_else(PoisonError::into_inner);
                let slot = latest.slot.or_else(|| slots.take());
                let found = slot.and_then(|slot| Some((slot, slots.get(slot)?)));
                let (slot, slot_key) = found.expect("there are more free slots than changes in a batch");
                let bytes = codec::seal(record, commit, sums.0, slot, slot_key);
                sums.1 = Sum::of(key, &bytes, Some(slot_key));
                bytes
            }
            KeyEntry::Deleted { version } => {
                batch.erased.extend(latest.slot);
                let bytes = codec::delete(*version, commit, sums.0);
                sums.1 = Sum::of(key, &bytes, None);
                bytes
            }
        };
        let written = self.shared.entries.insert(key.as_bytes(), bytes).map_err(engine);
        written.map(|_| ()).inspect_err(|error| self.shared.fail(error))
    }

    /// Makes a batch durable: first the entries, then the witness of them, then the erased keys.
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        if batch.sums.is_empty() {
            return Ok(());
        }
        let synced = self.shared.check().and_then(|()| self.make_durable(batch));
        match &synced {
            Ok(()) => {
                self.shared.publish();
                for key in batch.sums.keys() {
                    self.shared.changes.notify(key);
                }
            }
            // A failed sync may have dropped the written pages: trying again would report success for data
            // that is gone.
            Err(error) => self.shared.fail(error),
        }
        synced
    }

    fn make_durable(&mut self, batch: &Batch) -> Result<(), StoreError> {
        self.disk.sync()?;
        let mut next = self.witness;
        next.commit += 1;
        for (before, after) in batch.sums.values() {
            next.entries += u64::from(before.is_zero());
            next.sum = next.sum - *before + *after;
        }
        self.file.write(&next)?;
        self.witness = next;
        let mut slots = self.shared.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.erase(&batch.erased)
    }
}

impl Job {
    /// Returns about how many bytes the job adds to the database.
    fn bytes(&self) -> usize {
        let text = match self {
            Self::Change {
                change: Change::Register { record, .. } | Change::Update { record, .. }, ..
            }
            | Self::Restore { entry: KeyEntry::Present(record), .. } => record.profile().text().len(),
            Self::Change { change: Change::Delete { .. }, .. } | Self::Restore { .. } => 0,
            Self::Snapshot { .. } => return 0,
        };
        text + 256
    }
}

impl Answer {
    /// Answers with the outcome once it is durable. The caller may have gone; the change stays made.
    fn send(self, synced: &Result<(), StoreError>) {
        match self {
            Self::Change(answer, outcome) => {
                let _ = answer.send(outcome.and_then(|entry| Ok(synced.clone().map(|()| entry)?)));
            }
            Self::Restore(answer, outcome) => {
                let _ = answer.send(outcome.and_then(|written| synced.clone().map(|()| written)));
            }
        }
    }
}

/// Most changes that share one sync.
pub(super) const MAX_BATCH: usize = 256;

const _: () = assert!(MAX_BATCH < SPARES_AT_LEAST);
