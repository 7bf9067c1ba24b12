//! The handshakes that a server has answered or is answering, each distinct message 1 once.

use std::collections::BTreeMap;
use std::time::Instant;

use super::entry::Entry;
use crate::connect::ids::EntryId;
use crate::connect::intake::Intake;
use crate::connect::timers::Timers;

/// Entries by id, by message and by the time at which they are forgotten.
#[derive(Debug, Default)]
pub(super) struct Entries {
    all: BTreeMap<EntryId, Entry>,
    by_noise: BTreeMap<Vec<u8>, EntryId>,
    timers: Timers<EntryId>,
}

impl Entries {
    pub(super) fn insert(&mut self, intake: &mut Intake, id: EntryId, forget: Instant, entry: Entry) {
        self.by_noise.insert(entry.noise.clone(), id);
        intake.set(id, entry.source, entry.state.phase());
        self.timers.set(id, Some(forget));
        self.all.insert(id, entry);
    }

    pub(super) fn remove(&mut self, intake: &mut Intake, id: EntryId) -> Option<Entry> {
        let entry = self.all.remove(&id)?;
        self.timers.set(id, None);
        self.by_noise.remove(&entry.noise);
        intake.remove(id);
        Some(entry)
    }

    pub(super) fn get(&self, id: EntryId) -> Option<&Entry> {
        self.all.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: EntryId) -> Option<&mut Entry> {
        self.all.get_mut(&id)
    }

    pub(super) fn with_noise(&mut self, noise: &[u8]) -> Option<&mut Entry> {
        let id = *self.by_noise.get(noise)?;
        self.get_mut(id)
    }

    /// Counts an entry anew whose state has changed, and keeps it until a given time.
    pub(super) fn update(&mut self, intake: &mut Intake, id: EntryId, forget: Instant) {
        if let Some(entry) = self.all.get(&id) {
            intake.set(id, entry.source, entry.state.phase());
            self.timers.set(id, Some(forget));
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    pub(super) fn next_due(&self, now: Instant) -> Option<EntryId> {
        self.timers.due(now)
    }

    pub(super) fn ids(&self) -> Vec<EntryId> {
        self.all.keys().copied().collect()
    }
}
