//! Connections that their users have dropped, while what they wrote is still on its way.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use crate::slots::{Slots, Source};
use crate::udx::StreamId;

/// Bounds such connections in time and memory. Where there is no more room, the oldest of the busiest source
/// goes.
#[derive(Debug)]
pub(super) struct Lingering {
    /// By the time at which each ends.
    deadlines: BTreeSet<(Instant, StreamId)>,
    entries: HashMap<StreamId, Entry>,
    slots: Slots<StreamId>,
    /// What all of them hold.
    memory: usize,
    max_memory: usize,
    time: Duration,
}

#[derive(Debug)]
struct Entry {
    deadline: Instant,
    memory: usize,
}

impl Lingering {
    pub(super) fn new(time: Duration, max_memory: usize) -> Self {
        Self {
            deadlines: BTreeSet::new(),
            entries: HashMap::new(),
            slots: Slots::default(),
            memory: 0,
            max_memory,
            time,
        }
    }

    /// Adds a connection with so many unsent or unacknowledged bytes, once.
    pub(super) fn add(&mut self, now: Instant, stream: StreamId, source: Source, bytes: usize) {
        if self.entries.contains_key(&stream) {
            return;
        }
        let (deadline, memory) = (now + self.time, bytes + OVERHEAD);
        self.deadlines.insert((deadline, stream));
        self.slots.insert(stream, source);
        self.entries.insert(stream, Entry { deadline, memory });
        self.memory += memory;
    }

    pub(super) fn remove(&mut self, stream: StreamId) {
        if let Some(entry) = self.entries.remove(&stream) {
            self.deadlines.remove(&(entry.deadline, stream));
            self.slots.remove(&stream);
            self.memory -= entry.memory;
        }
    }

    pub(super) fn contains(&self, stream: StreamId) -> bool {
        self.entries.contains_key(&stream)
    }

    /// Returns a connection that must end: its time is over, or all of them hold too much.
    pub(super) fn victim(&self, now: Instant) -> Option<StreamId> {
        let late = self.deadlines.first().filter(|(deadline, _)| *deadline <= now);
        let crowded = || self.slots.oldest_of_the_busiest().filter(|_| self.memory > self.max_memory);
        late.map(|(_, stream)| *stream).or_else(crowded)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }
}

/// What a connection takes that has nothing to send any more, in bytes: this bounds their number. 5 KiB were
/// measured.
const OVERHEAD: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_of_the_busiest_source_goes_where_there_is_no_room_and_each_in_time() {
        let (now, time) = (Instant::now(), Duration::from_secs(30));
        let mut lingering = Lingering::new(time, 3 * OVERHEAD + 100);
        let from = |host| Source::direct([host, 9, 9, 9].into());
        lingering.add(now, StreamId(1), from(1), 50);
        lingering.add(now, StreamId(2), from(2), 0);
        let later = now + Duration::from_secs(1);
        lingering.add(later, StreamId(3), from(2), 50);
        lingering.add(later, StreamId(3), from(2), 1 << 20);
        assert_eq!(lingering.victim(later), None, "there is room, and one is counted once");
        lingering.add(later, StreamId(4), from(3), 0);
        assert_eq!(lingering.victim(later), Some(StreamId(2)));
        lingering.remove(StreamId(2));
        assert!(!lingering.contains(StreamId(2)));
        assert_eq!(lingering.victim(later), None);
        assert_eq!(lingering.poll_timeout(), Some(now + time));
        assert_eq!(lingering.victim(now + time), Some(StreamId(1)));
        for stream in [1, 3, 4].map(StreamId) {
            lingering.remove(stream);
        }
        assert_eq!((lingering.memory, lingering.slots.len(), lingering.poll_timeout()), (0, 0, None));
    }
}
