//! What readers and the writer share.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::super::changes::Changes;
use super::super::entry::{Dated, KeyEntry};
use super::super::store::StoreError;
use super::codec::{SlotKey, Stored, Sum};
use super::known::Known;
use super::meter::Meter;
use super::slots::Slots;
use crate::PublicKey;

/// What readers and the writer share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) entries: sled::Tree,
    pub(super) slots: Mutex<Slots>,
    pub(super) changes: Changes,
    pub(super) meter: Meter,
    known: Mutex<Known>,
    state: Mutex<State>,
    /// The first failed write, which is final.
    failure: watch::Sender<Option<StoreError>>,
}

#[derive(Debug, Default)]
struct State {
    /// The entries before the batch that is being written: a power failure may leave these, so readers see
    /// them.
    before: BTreeMap<PublicKey, Dated>,
    /// The snapshots that are being read, by a number.
    snapshots: BTreeMap<u64, Kept>,
    next_snapshot: u64,
}

/// What was overwritten since a snapshot was taken and has not been read for it.
#[derive(Debug, Default)]
struct Kept {
    /// The last key that was read; `None` before the first.
    passed: Option<PublicKey>,
    entries: BTreeMap<PublicKey, Dated>,
    bytes: usize,
    outdated: bool,
}

impl Shared {
    pub(super) fn new(entries: sled::Tree, slots: Slots, known: Known) -> Self {
        let failure = watch::Sender::new(None);
        let (slots, changes, meter) = (Mutex::new(slots), Changes::default(), Meter::default());
        let (known, state) = (Mutex::new(known), Mutex::default());
        Self { entries, slots, changes, meter, known, state, failure }
    }

    /// Returns whether a key may have an entry. Reads no file.
    pub(super) fn may_hold(&self, key: &PublicKey) -> bool {
        self.known().may_hold(key)
    }

    /// Returns the durable entry of a key. May block on the disk.
    pub(super) fn load(&self, key: &PublicKey) -> Result<KeyEntry, StoreError> {
        // In this order: the writer notes the old entry before it writes the new one, and drops the note
        // after the sync.
        let latest = self.latest(key);
        let before = self.state().before.get(key).cloned();
        if self.failure.borrow().is_some() {
            return Err(StoreError::Failed);
        }
        match before {
            Some(before) => Ok(before.entry),
            None => Ok(latest?.held.entry),
        }
    }

    /// Returns the entry of a key that was written last, durable or not.
    pub(super) fn latest(&self, key: &PublicKey) -> Result<Latest, StoreError> {
        if !self.may_hold(key) {
            return Ok(Latest::default());
        }
        let mut bytes = self.get(key)?;
        loop {
            let Some(found) = &bytes else { return Ok(Latest::default()) };
            if let Some(latest) = self.open(key, found) {
                return Ok(latest);
            }
            // The profile may have been deleted, and its key erased, since the bytes were read.
            let again = self.get(key)?;
            if again == bytes {
                let error = StoreError::Damaged { key: key.to_z32() };
                self.fail(&error);
                return Err(error);
            }
            bytes = again;
        }
    }

    fn get(&self, key: &PublicKey) -> Result<Option<sled::IVec>, StoreError> {
        self.entries.get(key.as_bytes()).map_err(|error| {
            let error = engine(error);
            self.fail(&error);
            error
        })
    }

    fn open(&self, key: &PublicKey, bytes: &[u8]) -> Option<Latest> {
        let stored = Stored::parse(bytes)?;
        let slot_key = match stored.slot() {
            Some(slot) => Some(self.slot_key(slot)?),
            None => None,
        };
        let slot_key: Option<&SlotKey> = slot_key.as_deref();
        let held = stored.open(key, slot_key)?;
        Some(Latest { held, sum: Sum::of(key, bytes, slot_key), slot: stored.slot() })
    }

    fn slot_key(&self, slot: u32) -> Option<zeroize::Zeroizing<SlotKey>> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.get(slot).map(|key| zeroize::Zeroizing::new(*key))
    }

    /// Notes the entry that is about to be overwritten, for readers and for snapshots.
    pub(super) fn note(&self, key: &PublicKey, entry: &Dated) {
        self.known().add(key);
        let mut state = self.state();
        let state = &mut *state;
        state.before.entry(*key).or_insert_with(|| entry.clone());
        // The first of several writes in a batch notes the durable entry.
        let durable = &state.before[key];
        for kept in state.snapshots.values_mut() {
            kept.note(key, durable);
        }
    }

    /// Shows readers what was written: it is durable.
    pub(super) fn publish(&self) {
        self.state().before.clear();
    }

    /// Ends all reading and writing. The first failure is the one that [`Self::failed`] reports.
    pub(super) fn fail(&self, error: &StoreError) {
        self.failure.send_if_modified(|failure| {
            let first = failure.is_none();
            failure.get_or_insert_with(|| error.clone());
            first
        });
    }

    /// Fails if a write has failed.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match *self.failure.borrow() {
            Some(_) => Err(StoreError::Failed),
            None => Ok(()),
        }
    }

    /// Waits for the first failure.
    pub(super) async fn failed(&self) -> StoreError {
        let mut failure = self.failure.subscribe();
        let failure = failure.wait_for(Option::is_some).await;
        // The sender lives as long as `self`.
        failure.ok().and_then(|failure| failure.clone()).unwrap_or(StoreError::Failed)
    }

    /// Begins to keep what is overwritten, for a snapshot of the current state; returns its number. Called
    /// between two batches.
    pub(super) fn begin_snapshot(&self) -> u64 {
        let mut state = self.state();
        let number = state.next_snapshot;
        state.next_snapshot += 1;
        state.snapshots.insert(number, Kept::default());
        number
    }

    pub(super) fn end_snapshot(&self, number: u64) {
        self.state().snapshots.remove(&number);
    }

    /// Returns the next `most` entries of a snapshot, in the order of their keys; none at its end.
    pub(super) fn read_snapshot(
        &self,
        number: u64,
        most: usize,
    ) -> Result<Vec<(PublicKey, Dated)>, StoreError> {
        let mut entries = Vec::new();
        // Until a chunk has something else than entries that are newer than the snapshot.
        while entries.is_empty() {
            // While this is held, the writer can neither overwrite an entry nor erase a key.
            let mut state = self.state();
            self.check()?;
            let kept = state.snapshots.get_mut(&number).ok_or(StoreError::Outdated)?;
            if kept.outdated {
                return Err(StoreError::Outdated);
            }
            let taken = &mut kept.entries;
            let last = self.read(kept.passed, most, |key| taken.remove(key), &mut entries)?;
            match last {
                Some(_) => kept.passed = last,
                None => break,
            }
        }
        Ok(entries)
    }

    /// Returns `most` durable entries, in the order of their keys, after a key.
    pub(super) fn page(
        &self,
        mut after: Option<PublicKey>,
        most: usize,
    ) -> Result<Vec<(PublicKey, Dated)>, StoreError> {
        let mut entries = Vec::new();
        while entries.len() < most {
            // As for a snapshot. Not for long: the writer waits.
            let state = self.state();
            self.check()?;
            let chunk = (most - entries.len()).min(CHUNK);
            let last = self.read(after, chunk, |key| state.before.get(key).cloned(), &mut entries)?;
            match last {
                Some(_) => after = last,
                None => break,
            }
        }
        Ok(entries)
    }

    /// Adds the next `most` entries after a key to a list, without those that were never registered; returns
    /// the last key. In place of what was overwritten since, there is what `before` returns. Called with the
    /// state locked.
    fn read(
        &self,
        after: Option<PublicKey>,
        most: usize,
        mut before: impl FnMut(&PublicKey) -> Option<Dated>,
        entries: &mut Vec<(PublicKey, Dated)>,
    ) -> Result<Option<PublicKey>, StoreError> {
        let from = after.map_or(Bound::Unbounded, |after| Bound::Excluded(*after.as_bytes()));
        let mut last = None;
        for pair in self.entries.range((from, Bound::Unbounded)).take(most) {
            let (key, bytes) = pair.map_err(engine)?;
            let key = PublicKey::from_bytes(
                key.as_ref()
                    .try_into()
                    .map_err(|_| StoreError::Engine("the database holds something that is no key".into()))?,
            );
            let held = match before(&key) {
                Some(held) => held,
                None => {
                    let opened = self.open(&key, &bytes);
                    opened.ok_or_else(|| StoreError::Damaged { key: key.to_z32() })?.held
                }
            };
            if held.entry != KeyEntry::Unknown {
                entries.push((key, held));
            }
            last = Some(key);
        }
        Ok(last)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn note(&mut self, key: &PublicKey, held: &Dated) {
        if self.outdated || self.passed.is_some_and(|passed| *key <= passed) || self.entries.contains_key(key)
        {
            return;
        }
        self.bytes += 200 + held.entry.record().map_or(0, |record| record.profile().text().len());
        if self.bytes > MAX_KEPT {
            (self.outdated, self.entries) = (true, BTreeMap::new());
            return;
        }
        self.entries.insert(*key, held.clone());
    }
}

/// An entry with what the writer needs to replace it.
#[derive(Clone, Debug, Default)]
pub(super) struct Latest {
    pub(super) held: Dated,
    /// Zero if there is none.
    pub(super) sum: Sum,
    /// The slot of its key, if it is present.
    pub(super) slot: Option<u32>,
}

#[allow(clippy::needless_pass_by_value)]
pub(super) fn engine(error: sled::Error) -> StoreError {
    match error {
        // Its own text has places in the file and an empty backtrace.
        sled::Error::Corruption { .. } => StoreError::Engine("it reads damaged data".into()),
        error => StoreError::Engine(error.to_string()),
    }
}

/// Most bytes that are kept for a snapshot, about: what is written while it is read.
const MAX_KEPT: usize = 64 << 20;
/// Entries that are read at a time: the writer waits so long.
pub(super) const CHUNK: usize = 128;

#[cfg(test)]
mod tests {
    use super::super::super::entry::tests::record;
    use super::*;

    fn key(number: u32) -> PublicKey {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        PublicKey::from_bytes(bytes)
    }

    #[test]
    fn a_snapshot_that_is_overtaken_ends() {
        let mut kept = Kept { passed: Some(key(9)), ..Kept::default() };
        let entry = KeyEntry::Present(record(1, "Ada")).into();
        for number in 0..10 {
            kept.note(&key(number), &entry);
        }
        assert!(kept.entries.is_empty(), "what was read is not kept");
        let mut number = 10;
        while !kept.outdated {
            kept.note(&key(number), &entry);
            kept.note(&key(number), &Dated::default());
            assert!(kept.bytes <= MAX_KEPT || kept.outdated);
            number += 1;
        }
        assert!(number as usize > MAX_KEPT / 300);
        assert!(kept.entries.is_empty());
    }
}
