//! When an acknowledgement leaves.
//!
//! The reference acknowledges each packet at once (`udx.md` §9). One acknowledgement per batch is compatible
//! (§21) and most of the speed (`udx-speed.md` §2).

use std::time::{Duration, Instant};

/// The acknowledgement that a peer is owed.
#[derive(Debug, Default)]
pub(super) struct Acks {
    owed: bool,
    /// It leaves with the next poll.
    due: bool,
    /// The peer has asked for it: it leaves as a packet of its own.
    is_answer: bool,
    /// Packets received since the last one.
    packets: u32,
    /// When one that waits for data to carry it leaves at the latest.
    at: Option<Instant>,
}

impl Acks {
    pub(super) const fn is_owed(&self) -> bool {
        self.owed
    }

    pub(super) const fn is_due(&self) -> bool {
        self.due
    }

    /// Counts a packet that came in order. Its acknowledgement leaves after [`Self::flush`].
    pub(super) const fn count(&mut self) {
        self.owed = true;
        self.packets += 1;
    }

    /// Makes an acknowledgement leave with the next poll.
    pub(super) const fn owe(&mut self) {
        self.owed = true;
        self.due = true;
    }

    /// Makes the answer to a heartbeat leave with the next poll.
    pub(super) const fn answer(&mut self) {
        self.owe();
        self.is_answer = true;
    }

    pub(super) const fn is_answer(&self) -> bool {
        self.is_answer
    }

    /// Ends a batch: what is owed leaves, or waits up to `delay` for data if it is for a single packet.
    pub(super) fn flush(&mut self, now: Instant, delay: Duration) {
        if self.owed && !self.due {
            if !delay.is_zero() && self.packets < 2 {
                self.at.get_or_insert(now + delay);
            } else {
                self.due = true;
            }
        }
    }

    /// Clears what is owed: a packet that leaves carries it.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Returns when an acknowledgement stops waiting for data.
    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.at
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.at.take_if(|at| *at <= now).is_some() {
            self.due = true;
        }
    }
}
