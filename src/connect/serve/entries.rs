//! The handshakes that a server has answered or is answering, each distinct message 1 once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::entry::{Entry, Source};
use crate::connect::ids::EntryId;
use crate::connect::limits::Limits;
use crate::connect::timers::Timers;

/// Entries by id, by message and by the time at which they are forgotten.
#[derive(Debug, Default)]
pub(super) struct Entries {
    all: BTreeMap<EntryId, Entry>,
    by_noise: BTreeMap<Vec<u8>, EntryId>,
    /// Those whose stream has not been handed out, and how many of them come from public addresses.
    half_open: BTreeSet<EntryId>,
    public: usize,
    timers: Timers<EntryId>,
}

impl Entries {
    pub(super) fn insert(&mut self, id: EntryId, forget: Instant, entry: Entry) {
        self.by_noise.insert(entry.noise.clone(), id);
        if entry.state.half_open().is_some() {
            self.half_open.insert(id);
            self.public += usize::from(entry.source.public);
        }
        self.timers.set(id, Some(forget));
        self.all.insert(id, entry);
    }

    pub(super) fn remove(&mut self, id: EntryId) -> Option<Entry> {
        let entry = self.all.remove(&id)?;
        self.timers.set(id, None);
        self.by_noise.remove(&entry.noise);
        self.close(id, entry.source);
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
    pub(super) fn update(&mut self, id: EntryId, forget: Instant) {
        let Some(entry) = self.all.get(&id) else {
            return;
        };
        let (is_half_open, source) = (entry.state.half_open().is_some(), entry.source);
        if !is_half_open {
            self.close(id, source);
        }
        self.timers.set(id, Some(forget));
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    pub(super) fn next_due(&self, now: Instant) -> Option<EntryId> {
        self.timers.due(now)
    }

    /// Returns how many wait for their client's first packet.
    pub(super) fn half_open(&self) -> usize {
        self.half_open.len()
    }

    pub(super) fn ids(&self) -> Vec<EntryId> {
        self.all.keys().copied().collect()
    }

    /// Returns an entry that has to make room for another one from `source`, if the limits say so.
    pub(super) fn victim(&self, limits: &Limits, source: Source) -> Option<EntryId> {
        if source.public && self.public >= limits.max_half_open {
            self.oldest_of_the_busiest(true)
        } else if self.half_open.len() >= limits.max_half_open_anywhere {
            self.oldest_of_the_busiest(false)
        } else if self.all.len() - self.half_open.len() >= limits.max_remembered {
            let mut by_deadline = self.timers.by_deadline();
            by_deadline.find(|id| !self.half_open.contains(id))
        } else {
            None
        }
    }

    fn close(&mut self, id: EntryId, source: Source) {
        if self.half_open.remove(&id) {
            self.public -= usize::from(source.public);
        }
    }

    /// Returns the oldest half-open entry of the busiest source: of the sending network with the most of
    /// them, and inside of that of the client network with the most of them.
    fn oldest_of_the_busiest(&self, public_only: bool) -> Option<EntryId> {
        let half_open = || {
            let all = self.half_open.iter().map(|id| (*id, &self.all[id]));
            all.filter(|(_, entry)| entry.source.public || !public_only)
        };
        let transport = busiest(half_open().map(|(_, entry)| entry.source.transport))?;
        let of_it = || half_open().filter(|(_, entry)| entry.source.transport == transport);
        let client = busiest(of_it().map(|(_, entry)| entry.source.client))?;
        of_it()
            .filter(|(_, entry)| entry.source.client == client)
            .min_by_key(|(id, entry)| (entry.started, *id))
            .map(|(id, _)| id)
    }
}

/// Returns the network that occurs most often.
fn busiest(networks: impl Iterator<Item = [u8; 3]>) -> Option<[u8; 3]> {
    let mut counts: BTreeMap<[u8; 3], usize> = BTreeMap::new();
    for network in networks {
        *counts.entry(network).or_default() += 1;
    }
    let most = counts.into_iter().max_by_key(|(_, count)| *count)?;
    Some(most.0)
}
