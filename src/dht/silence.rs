//! Which addresses have not answered lately, so that the same dead node is not waited for again and again.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

/// Counts the tries in a row that addresses left unanswered.
#[derive(Debug, Default)]
pub(super) struct Silence {
    addresses: BTreeMap<SocketAddrV4, Silent>,
}

#[derive(Debug)]
struct Silent {
    tries: u32,
    last: Instant,
}

impl Silence {
    /// Notes a try that was not answered in time.
    pub(super) fn note_timeout(&mut self, now: Instant, address: SocketAddrV4) {
        if self.addresses.len() >= MAX_SILENT {
            self.addresses.retain(|_, silent| silent.counts(now));
        }
        if self.addresses.len() >= MAX_SILENT && !self.addresses.contains_key(&address) {
            return;
        }
        let silent = self
            .addresses
            .entry(address)
            .or_insert(Silent { tries: 0, last: now });
        if !silent.counts(now) {
            silent.tries = 0;
        }
        silent.tries += 1;
        silent.last = now;
    }

    /// Notes that a packet came from `address`; returns whether it had been silent.
    pub(super) fn note_heard(&mut self, address: &SocketAddrV4) -> bool {
        !self.addresses.is_empty() && self.addresses.remove(address).is_some()
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.addresses.clear();
    }

    /// Returns how many tries in a row `address` has not answered.
    pub(super) fn tries(&self, now: Instant, address: &SocketAddrV4) -> u32 {
        let silent = self.addresses.get(address).filter(|silent| silent.counts(now));
        silent.map_or(0, |silent| silent.tries)
    }
}

impl Silent {
    fn counts(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) < FORGET
    }
}

/// Addresses that are remembered at once.
pub(super) const MAX_SILENT: usize = 512;
/// For how long an unanswered try counts.
const FORGET: Duration = Duration::from_secs(60);
