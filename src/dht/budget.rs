//! What strangers of one network of 256 addresses may make us send: so much at once, and so much per second.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::wire::address::{is_private, network};

/// Levels that rise with what is spent and fall with time, one for each network. Loopback and private
/// networks have none.
pub(super) struct Budget {
    networks: HashMap<[u8; 3], Level>,
    /// The highest level.
    burst: u64,
    /// By how much a level falls per second.
    rate: u64,
}

struct Level {
    spent: u64,
    at: Instant,
}

impl Budget {
    pub(super) fn new(burst: u64, rate: u64) -> Self {
        Self {
            networks: HashMap::new(),
            burst,
            rate,
        }
    }

    /// Spends `cost` on behalf of `source`, if that much is left.
    pub(super) fn spend(&mut self, now: Instant, source: Ipv4Addr, cost: usize) -> bool {
        if is_private(source) {
            return true;
        }
        let key = network(source);
        if self.networks.len() >= MAX_NETWORKS && !self.networks.contains_key(&key) {
            self.make_room(now);
        }
        let (burst, rate) = (self.burst, self.rate);
        let level = self.networks.entry(key).or_insert(Level { spent: 0, at: now });
        level.fall(now, rate);
        let spent = level.spent + cost as u64;
        let affordable = spent <= burst;
        if affordable {
            level.spent = spent;
        }
        affordable
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.networks.len()
    }

    /// Forgets the networks whose level is back to nothing, and if there are none, all of them: who fills
    /// this with made-up sources gains another burst against each.
    fn make_room(&mut self, now: Instant) {
        let rate = self.rate;
        self.networks.retain(|_, level| {
            level.fall(now, rate);
            level.spent > 0
        });
        if self.networks.len() >= MAX_NETWORKS {
            self.networks.clear();
        }
    }
}

impl Level {
    fn fall(&mut self, now: Instant, rate: u64) {
        let passed = now.saturating_duration_since(self.at);
        let passed = passed.min(Duration::from_secs(3600)).as_millis() as u64;
        let fallen = passed * rate / 1000;
        if fallen > 0 {
            self.spent = self.spent.saturating_sub(fallen);
            self.at = now;
        }
    }
}

/// Networks with a level, at most.
pub(super) const MAX_NETWORKS: usize = 16384;
/// Bytes of replies to requests without token, beyond three times the request, that a network gets at once
/// and per second.
pub(super) const UNPROVEN_BURST: u64 = 64 * 1024;
pub(super) const UNPROVEN_RATE: u64 = 16 * 1024;
/// Packets to third parties that a network makes us send at once and per second.
pub(super) const RELAY_BURST: u64 = 1024;
pub(super) const RELAY_RATE: u64 = 256;
/// How many times the bytes of an unproven source it gets back when its budget is spent.
pub(super) const AMPLIFICATION: usize = 3;
