//! What a node does later.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::time::Instant;

use crate::dht::types::Incoming;
use crate::wire::transmit::SocketId;

/// Something that is delayed.
pub(in crate::dht) enum Later {
    /// An empty response.
    Done(Incoming),
    /// A response that names nodes near the target.
    Nodes(Incoming),
    /// A datagram.
    Send(SocketId, SocketAddrV4, Vec<u8>),
}

/// What is delayed, in the order of time.
#[derive(Default)]
pub(in crate::dht) struct Delayed {
    waiting: BTreeMap<(Instant, u64), Later>,
    count: u64,
}

impl Delayed {
    pub(super) fn has_room(&self) -> bool {
        self.len() < MAX_DELAYED
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Delays something until `at`. There must be room.
    pub(super) fn add(&mut self, at: Instant, later: Later) {
        self.count += 1;
        self.waiting.insert((at, self.count), later);
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.waiting.first_key_value().map(|first| first.0.0)
    }

    pub(super) fn due(&mut self, now: Instant) -> Option<Later> {
        let first = self.waiting.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}

/// What may be delayed at once. Each takes a datagram's worth of memory at most.
pub(in crate::dht) const MAX_DELAYED: usize = 1024;
