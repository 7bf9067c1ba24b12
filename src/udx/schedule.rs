//! Which streams want to be woken, want to send, or have received.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

/// Where a stream stands in the [`Schedule`].
#[derive(Debug, Default)]
pub(super) struct Scheduled {
    deadline: Option<Instant>,
    queued: bool,
    received: bool,
}

/// The streams of a table by what is to be done for them.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    deadlines: BTreeSet<(Instant, u32)>,
    /// Those that may have something to send, each once.
    queue: VecDeque<u32>,
    /// Those that have received since the last flush, each once.
    received: Vec<u32>,
    received_since: Option<Instant>,
}

impl Schedule {
    /// Files a stream under its next deadline, or under none.
    pub(super) fn set_deadline(&mut self, id: u32, stream: &mut Scheduled, deadline: Option<Instant>) {
        if deadline != stream.deadline {
            if let Some(at) = stream.deadline {
                self.deadlines.remove(&(at, id));
            }
            if let Some(at) = deadline {
                self.deadlines.insert((at, id));
            }
            stream.deadline = deadline;
        }
    }

    /// Returns the first deadline and its stream.
    pub(super) fn first_deadline(&self) -> Option<(Instant, u32)> {
        self.deadlines.first().copied()
    }

    /// Takes out a stream whose deadline has come. The caller notes that in its [`Scheduled`].
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<u32> {
        let (at, id) = self.first_deadline()?;
        (at <= now).then(|| {
            self.deadlines.pop_first();
            id
        })
    }

    /// Queues a stream that may have something to send.
    pub(super) fn enqueue(&mut self, id: u32, stream: &mut Scheduled) {
        if !std::mem::replace(&mut stream.queued, true) {
            self.queue.push_back(id);
        }
    }

    /// Takes the next stream out of the queue. The caller notes that in its [`Scheduled`].
    pub(super) fn pop_queued(&mut self) -> Option<u32> {
        self.queue.pop_front()
    }

    /// Notes that a stream has received a packet.
    pub(super) fn mark_received(&mut self, now: Instant, id: u32, stream: &mut Scheduled) {
        if !std::mem::replace(&mut stream.received, true) {
            self.received.push(id);
            self.received_since.get_or_insert(now);
        }
    }

    /// Takes out the streams that have received. Their list comes back with [`Self::restore`].
    pub(super) fn take_received(&mut self) -> Vec<u32> {
        self.received_since = None;
        std::mem::take(&mut self.received)
    }

    /// Gives back the memory of an emptied list.
    pub(super) fn restore(&mut self, list: Vec<u32>) {
        self.received = list;
    }

    /// Returns when those that have received must be flushed.
    pub(super) fn flush_deadline(&self) -> Option<Instant> {
        self.received_since.map(|since| since + MAX_HELD_BACK)
    }
}

impl Scheduled {
    pub(super) const fn is_queued(&self) -> bool {
        self.queued
    }

    pub(super) const fn woken(&mut self) {
        self.deadline = None;
    }

    pub(super) const fn dequeued(&mut self) {
        self.queued = false;
    }

    pub(super) const fn flushed(&mut self) {
        self.received = false;
    }
}

/// As long as the reference expects an acknowledgement to be held back at most (`udx.md` §19, P9).
const MAX_HELD_BACK: Duration = Duration::from_millis(2);
