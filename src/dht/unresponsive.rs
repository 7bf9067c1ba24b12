//! Which addresses have not responded lately, so that the same dead node is not waited for again and again.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

/// Counts the tries in a row that addresses left without response.
#[derive(Debug)]
pub(super) struct Unresponsive {
    addresses: BTreeMap<SocketAddrV4, Unanswered>,
    /// For how long an unanswered try counts.
    counts_for: Duration,
}

#[derive(Debug)]
struct Unanswered {
    tries: u32,
    last: Instant,
}

impl Unresponsive {
    pub(super) const fn new(counts_for: Duration) -> Self {
        Self { addresses: BTreeMap::new(), counts_for }
    }

    /// Notes a try that timed out.
    pub(super) fn note_timeout(&mut self, now: Instant, address: SocketAddrV4) {
        let counts_for = self.counts_for;
        if self.addresses.len() >= MAX_UNRESPONSIVE {
            self.addresses.retain(|_, tries| tries.count(now, counts_for));
        }
        if self.addresses.len() >= MAX_UNRESPONSIVE && !self.addresses.contains_key(&address) {
            return;
        }
        let unanswered = self.addresses.entry(address).or_insert(Unanswered { tries: 0, last: now });
        if !unanswered.count(now, counts_for) {
            unanswered.tries = 0;
        }
        unanswered.tries += 1;
        unanswered.last = now;
    }

    /// Notes that a packet came from `address`; returns whether it had been unresponsive.
    pub(super) fn note_heard(&mut self, address: &SocketAddrV4) -> bool {
        !self.addresses.is_empty() && self.addresses.remove(address).is_some()
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.addresses.clear();
    }

    /// Returns how many tries in a row `address` has left without response.
    pub(super) fn tries(&self, now: Instant, address: &SocketAddrV4) -> u32 {
        let unanswered = self.addresses.get(address);
        unanswered
            .filter(|unanswered| unanswered.count(now, self.counts_for))
            .map_or(0, |unanswered| unanswered.tries)
    }
}

impl Unanswered {
    fn count(&self, now: Instant, counts_for: Duration) -> bool {
        now.saturating_duration_since(self.last) < counts_for
    }
}

/// Addresses that are remembered at once.
pub(super) const MAX_UNRESPONSIVE: usize = 512;
