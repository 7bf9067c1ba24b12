//! What a node hands out: datagrams and events, in order.

use std::collections::VecDeque;

use super::types::Event;
use crate::wire::transmit::{Train, Transmit};

/// The datagrams and events that the driver has not taken yet.
#[derive(Default)]
pub(super) struct Outbox {
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
    /// What found a queue full.
    dropped: u64,
}

impl Outbox {
    /// Queues a datagram.
    pub(super) fn transmit(&mut self, transmit: Transmit) {
        if self.transmits.len() >= MAX_TRANSMITS {
            self.dropped += 1;
            return;
        }
        self.transmits.push_back(transmit);
    }

    /// Queues an event. Only requests of strangers can pile up while the driver is busy, so only they are
    /// dropped.
    pub(super) fn emit(&mut self, event: Event) {
        if self.events.len() >= MAX_EVENTS && matches!(event, Event::Incoming(_)) {
            self.dropped += 1;
            return;
        }
        self.events.push_back(event);
    }

    pub(super) fn next_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// Returns the next datagram if it fits one system call with `first`.
    pub(super) fn next_transmit_beside(&mut self, first: &Train) -> Option<Transmit> {
        let next = self.transmits.front()?;
        let fits = first.segment_size <= MAX_COUPLED
            && next.payload.len() <= first.segment_size
            && next.destination == first.destination
            && next.socket == first.socket
            && next.ttl == first.ttl;
        fits.then(|| self.transmits.pop_front()).flatten()
    }

    pub(super) fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Drops the datagrams.
    pub(super) fn clear_transmits(&mut self) {
        self.transmits.clear();
    }

    /// Returns how much found a queue full.
    pub(super) const fn dropped(&self) -> u64 {
        self.dropped
    }
}

/// Events that may wait before requests of strangers are dropped.
const MAX_EVENTS: usize = 4096;
/// Datagrams that may wait to be sent.
const MAX_TRANSMITS: usize = 4096;
/// The longest datagram that shares a system call with others: the system refuses such a call if one of them
/// does not fit a packet of the path.
const MAX_COUPLED: usize = 512;
