//! What a node does later.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Instant;

use crate::dht::types::Incoming;
use crate::wire::address::{is_private, network};
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
    pub(in crate::dht) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Returns whether one more ping of a host may be delayed: its network has less than its share.
    pub(in crate::dht) fn may_add_ping(&self, host: Ipv4Addr) -> bool {
        let of_network = |later: &&Later| match later {
            Later::Done(incoming) => network(*incoming.from.ip()) == network(host),
            Later::Nodes(_) | Later::Send(..) => false,
        };
        is_private(host) || self.waiting.values().filter(of_network).count() < MAX_DELAYED_PER_SOURCE
    }

    /// Delays something until `at`; gives it back if too much is delayed.
    pub(in crate::dht) fn add(&mut self, at: Instant, later: Later) -> Option<Later> {
        if self.len() >= MAX_DELAYED {
            return Some(later);
        }
        self.count += 1;
        self.waiting.insert((at, self.count), later);
        None
    }

    /// Returns when the next thing is due.
    pub(in crate::dht) fn next(&self) -> Option<Instant> {
        self.waiting.first_key_value().map(|first| first.0.0)
    }

    /// Returns one thing that is due.
    pub(in crate::dht) fn due(&mut self, now: Instant) -> Option<Later> {
        let first = self.waiting.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}

/// What may be delayed at once. Each takes a datagram's worth of memory at most.
pub(in crate::dht) const MAX_DELAYED: usize = 1024;
/// Pings of one public /24 network that may be delayed at once: one source does not keep others out.
pub(in crate::dht) const MAX_DELAYED_PER_SOURCE: usize = 64;
