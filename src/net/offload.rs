//! To whom trains of datagrams are sent with one call (segmentation offload).
//!
//! A system refuses a train for reasons of its route: the interface computes no checksums, or the packets are
//! encrypted on the way. What one host refuses says nothing about others.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// How many datagrams a train may have, by host.
#[derive(Debug)]
pub(super) struct Offload {
    max_segments: usize,
    /// Hosts that take datagrams and no trains of them, and until when that is believed: routes change.
    refusing: BTreeMap<Ipv4Addr, Instant>,
}

impl Offload {
    /// With 1 the system has no offload.
    pub(super) const fn new(max_segments: usize) -> Self {
        Self { max_segments, refusing: BTreeMap::new() }
    }

    /// Returns how many datagrams a train may have at most.
    pub(super) const fn max_segments(&self) -> usize {
        self.max_segments
    }

    /// Returns how many datagrams a train to a host may have.
    pub(super) fn segments(&mut self, now: Instant, host: Ipv4Addr) -> usize {
        match self.refusing.get(&host) {
            None => return self.max_segments,
            Some(until) if now < *until => return 1,
            Some(_) => self.refusing.remove(&host),
        };
        self.max_segments
    }

    /// Notes that the system has refused a train to a host, and then has taken a datagram of it.
    pub(super) fn refuse(&mut self, now: Instant, host: Ipv4Addr) {
        if self.refusing.len() >= MAX_REFUSING {
            let first = self.refusing.iter().min_by_key(|(_, until)| **until);
            if let Some(host) = first.map(|(host, _)| *host) {
                self.refusing.remove(&host);
            }
        }
        self.refusing.insert(host, now + BELIEVED);
    }
}

/// How long a refusal is believed.
const BELIEVED: Duration = Duration::from_secs(60);

/// Hosts whose refusal is remembered. A train to another one costs one call more than its datagrams.
const MAX_REFUSING: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_without_offload_are_bounded_and_the_oldest_is_tried_again() {
        let mut offload = Offload::new(44);
        let now = Instant::now();
        let host = |number: usize| Ipv4Addr::from(0x1900_0000 + number as u32);
        for number in 0..=MAX_REFUSING {
            offload.refuse(now + Duration::from_millis(number as u64), host(number));
        }
        assert_eq!(offload.refusing.len(), MAX_REFUSING);
        assert_eq!(offload.segments(now, host(0)), 44);
        assert_eq!(offload.segments(now, host(1)), 1);
        assert_eq!(offload.segments(now + Duration::from_secs(61), host(1)), 44);
        assert_eq!(offload.refusing.len(), MAX_REFUSING - 1, "what is over is forgotten");
    }
}
