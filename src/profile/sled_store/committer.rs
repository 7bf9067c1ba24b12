//! The only writer: takes changes in batches and makes each batch durable with one sync of each file.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

use super::super::entry::{Change, Dated, Decision, KeyEntry, decide_rotation, is_newer};
use super::super::record::Record;
use super::super::rotation::Rotation;
use super::super::store::{ApplyError, StoreError, unix_time};
use super::codec::{self, Head, Sum};
use super::shared::{Latest, Shared, engine};
use super::slots::SPARES_AT_LEAST;
use super::witness::{Witness, WitnessFile};
use crate::PublicKey;

/// Something for the writer to do.
#[derive(Debug)]
pub(super) enum Job {
    /// Makes a change durable.
    Change { key: PublicKey, change: Change, answer: oneshot::Sender<Result<KeyEntry, ApplyError>> },
    /// Moves a profile to another key; answers the entry of that.
    Rotate { rotation: Rotation, record: Record, answer: oneshot::Sender<Result<KeyEntry, ApplyError>> },
    /// Removes the record of a key; answers whether there was one.
    Remove { key: PublicKey, answer: oneshot::Sender<Result<bool, StoreError>> },
    /// Makes an entry durable unless the one that is there is as new; answers whether it was written.
    Restore { key: PublicKey, held: Dated, answer: oneshot::Sender<Result<bool, StoreError>> },
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
    /// When its changes are made, in seconds of Unix time.
    now: u64,
    /// The sums of each changed key: of its durable entry and of its latest one.
    sums: BTreeMap<PublicKey, (Sum, Sum)>,
    /// The slots whose keys are erased when the batch is durable.
    erased: Vec<u32>,
    answers: Vec<Answer>,
}

#[derive(Debug)]
enum Answer {
    Entry(oneshot::Sender<Result<KeyEntry, ApplyError>>, Result<KeyEntry, ApplyError>),
    Written(oneshot::Sender<Result<bool, StoreError>>, Result<bool, StoreError>),
}

impl<D: Disk> Committer<D> {
    /// Runs until every sender of jobs is gone.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut waiting = Vec::new();
        // What arrives while one batch is being synced makes up the next.
        while jobs.blocking_recv_many(&mut waiting, MAX_BATCH) > 0 {
            let mut batch = Batch {
                room: self.room(&waiting),
                now: unix_time(),
                sums: BTreeMap::new(),
                erased: Vec::new(),
                answers: Vec::new(),
            };
            let mut snapshots = Vec::new();
            for job in waiting.drain(..) {
                match job {
                    Job::Change { key, change, answer } => {
                        let outcome = self.change(&mut batch, &key, &change);
                        batch.answers.push(Answer::Entry(answer, outcome));
                    }
                    Job::Rotate { rotation, record, answer } => {
                        let outcome = self.rotate(&mut batch, &rotation, &record);
                        batch.answers.push(Answer::Entry(answer, outcome));
                    }
                    Job::Remove { key, answer } => {
                        let outcome = self.remove(&mut batch, &key);
                        batch.answers.push(Answer::Written(answer, outcome));
                    }
                    Job::Restore { key, held, answer } => {
                        let outcome = self.restore(&mut batch, &key, &held);
                        batch.answers.push(Answer::Written(answer, outcome));
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
        let latest = self.latest(key)?;
        match latest.held.entry.decide(change) {
            // A repeat within the batch of the first attempt waits for the same sync.
            Decision::Repeated => Ok(latest.held.entry),
            Decision::Refuse(refusal) => Err(refusal.into()),
            Decision::Write(next) => {
                let changed = batch.now;
                self.write(batch, key, &latest, &Dated { entry: next.clone(), changed })?;
                Ok(next)
            }
        }
    }

    fn rotate(
        &self,
        batch: &mut Batch,
        rotation: &Rotation,
        record: &Record,
    ) -> Result<KeyEntry, ApplyError> {
        let (from, to) = (self.latest(rotation.from())?, self.latest(rotation.to())?);
        match decide_rotation(&from.held.entry, &to.held.entry, rotation, record) {
            Decision::Repeated => Ok(to.held.entry),
            Decision::Refuse(refusal) => Err(refusal.into()),
            Decision::Write((moved, taken)) => {
                batch.room.clone()?;
                let changed = batch.now;
                let mut both = sled::Batch::default();
                for (key, latest, entry) in
                    [(rotation.from(), &from, moved), (rotation.to(), &to, taken.clone())]
                {
                    let bytes = self.encode(batch, key, latest, &Dated { entry, changed });
                    both.insert(key.as_bytes(), bytes);
                }
                // After a power failure the database has both, or neither.
                self.written(self.shared.entries.apply_batch(both))?;
                Ok(taken)
            }
        }
    }

    fn remove(&self, batch: &mut Batch, key: &PublicKey) -> Result<bool, StoreError> {
        let latest = self.latest(key)?;
        let Some(entry) = latest.held.entry.removed() else { return Ok(false) };
        let changed = batch.now;
        self.write(batch, key, &latest, &Dated { entry, changed })?;
        Ok(true)
    }

    fn restore(&self, batch: &mut Batch, key: &PublicKey, held: &Dated) -> Result<bool, StoreError> {
        let latest = self.latest(key)?;
        let is_newer = is_newer(&held.entry, &latest.held.entry);
        if is_newer {
            self.write(batch, key, &latest, held)?;
        }
        Ok(is_newer)
    }

    fn latest(&self, key: &PublicKey) -> Result<Latest, StoreError> {
        self.shared.check()?;
        self.shared.latest(key)
    }

    /// Writes an entry without making it durable.
    fn write(
        &self,
        batch: &mut Batch,
        key: &PublicKey,
        latest: &Latest,
        next: &Dated,
    ) -> Result<(), StoreError> {
        batch.room.clone()?;
        let bytes = self.encode(batch, key, latest, next);
        self.written(self.shared.entries.insert(key.as_bytes(), bytes).map(|_| ()))
    }

    /// Ends all writing if something could not be written.
    fn written(&self, outcome: Result<(), sled::Error>) -> Result<(), StoreError> {
        outcome.map_err(engine).inspect_err(|error| self.shared.fail(error))
    }

    /// Returns the bytes of an entry that is about to be written, and notes what it changes.
    fn encode(&self, batch: &mut Batch, key: &PublicKey, latest: &Latest, next: &Dated) -> Vec<u8> {
        self.shared.note(key, &latest.held);
        let sums = batch.sums.entry(*key).or_insert((latest.sum, latest.sum));
        let head = Head { commit: self.witness.commit + 1, before: sums.0, changed: next.changed };
        let bytes = match &next.entry {
            KeyEntry::Present(record) => {
                let mut slots = self.shared.slots.lock().unwrap_or_else(PoisonError::into_inner);
                let slot = latest.slot.or_else(|| slots.take());
                let found = slot.and_then(|slot| Some((slot, slots.get(slot)?)));
                let (slot, slot_key) = found.expect("there are more free slots than changes in a batch");
                let bytes = codec::seal(record, head, slot, slot_key);
                sums.1 = Sum::of(key, &bytes, Some(slot_key));
                return bytes;
            }
            KeyEntry::Moved { rotation, version } => codec::moved(rotation, *version, head),
            KeyEntry::Deleted { version } => codec::delete(*version, head),
            KeyEntry::Unknown => unreachable!("nothing becomes what was never registered"),
        };
        batch.erased.extend(latest.slot);
        sums.1 = Sum::of(key, &bytes, None);
        bytes
    }

    /// Makes a batch durable: first the entries, then the witness of them, then the erased keys.
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        if batch.sums.is_empty() {
            return Ok(());
        }
        let begun = Instant::now();
        let synced = self.shared.check().and_then(|()| self.make_durable(batch));
        match &synced {
            Ok(()) => {
                self.shared.meter.count(batch.sums.len(), begun.elapsed());
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
        let text = |record: &Record| record.profile().text().len();
        match self {
            Self::Change {
                change: Change::Register { record, .. } | Change::Update { record, .. }, ..
            }
            | Self::Restore { held: Dated { entry: KeyEntry::Present(record), .. }, .. } => {
                256 + text(record)
            }
            Self::Rotate { record, .. } => 768 + text(record),
            Self::Restore { .. } => 512,
            Self::Change { change: Change::Delete { .. }, .. } | Self::Remove { .. } => 256,
            Self::Snapshot { .. } => 0,
        }
    }
}

impl Answer {
    /// Answers with the outcome once it is durable. The caller may have gone; the change stays made.
    fn send(self, synced: &Result<(), StoreError>) {
        match self {
            Self::Entry(answer, outcome) => {
                let _ = answer.send(outcome.and_then(|entry| Ok(synced.clone().map(|()| entry)?)));
            }
            Self::Written(answer, outcome) => {
                let _ = answer.send(outcome.and_then(|written| synced.clone().map(|()| written)));
            }
        }
    }
}

/// Most changes that share one sync.
pub(super) const MAX_BATCH: usize = 256;

const _: () = assert!(MAX_BATCH < SPARES_AT_LEAST);
