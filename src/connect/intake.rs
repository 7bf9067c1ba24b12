//! The handshakes of remote clients, over all servers of a node: which is computed next, which is forgotten
//! for others.
//!
//! A distinct message 1 costs a server some hundred microseconds of Diffie-Hellman, and a stranger nothing.
//! So nothing is computed, and no stream opened, before its turn comes: it waits with what was received. The
//! sources have turns, the newest message of each goes first, as the oldest is the least likely to be waited
//! for. What has to make room is forgotten whole, and never computed.

use super::ids::EntryId;
use super::limits::Limits;
use crate::slots::{Slots, Source};

/// What a handshake waits for, which decides about its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// For its computation.
    Waiting,
    /// For its computation to end, or the client's first packet.
    HalfOpen,
    /// For nothing: only its answer is kept.
    Over,
}

#[derive(Debug)]
pub(super) struct Intake {
    waiting: Slots<EntryId>,
    half_open: Slots<EntryId>,
    over: Slots<EntryId>,
    max_waiting: usize,
    max_half_open: usize,
    max_over: usize,
    /// Handshakes that were forgotten before they were computed.
    dropped: u64,
}

impl Intake {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            waiting: Slots::default(),
            half_open: Slots::default(),
            over: Slots::default(),
            max_waiting: limits.max_waiting,
            max_half_open: limits.max_half_open,
            max_over: limits.max_remembered,
            dropped: 0,
        }
    }

    /// Counts a handshake, in place of how it was counted before.
    pub(super) fn set(&mut self, id: EntryId, source: Source, phase: Phase) {
        for (slots, of) in [
            (&mut self.waiting, Phase::Waiting),
            (&mut self.half_open, Phase::HalfOpen),
            (&mut self.over, Phase::Over),
        ] {
            if of == phase {
                slots.insert(id, source);
            } else {
                slots.remove(&id);
            }
        }
    }

    pub(super) fn remove(&mut self, id: EntryId) {
        // It is in one of them, or was forgotten.
        let _ = self.waiting.remove(&id) || self.half_open.remove(&id) || self.over.remove(&id);
    }

    /// Takes the handshake that is to be computed next.
    pub(super) fn take_next(&mut self) -> Option<EntryId> {
        self.waiting.take_next()
    }

    /// Takes a handshake that has to make room for others: the oldest of the busiest source.
    pub(super) fn take_victim(&mut self) -> Option<EntryId> {
        for (slots, limit) in [
            (&mut self.waiting, self.max_waiting),
            (&mut self.half_open, self.max_half_open),
            (&mut self.over, self.max_over),
        ] {
            if slots.len() > limit {
                return slots.oldest_of_the_busiest().inspect(|id| {
                    slots.remove(id);
                    self.dropped += 1;
                });
            }
        }
        None
    }

    /// Returns how many wait for their client's first packet.
    pub(super) fn half_open(&self) -> usize {
        self.half_open.len()
    }

    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.over.len()
    }

    /// Returns how many were forgotten for others.
    pub(super) const fn dropped(&self) -> u64 {
        self.dropped
    }
}
