//! What the strangers of one source may make this node send: so much at once, and so much per second.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::wire::address::{is_private, network};

/// What each source has used, for a bounded number of sources. A source is whatever counts as one to the
/// user: a network, a host, a relay.
#[derive(Debug)]
pub(crate) struct PerSource<S, U> {
    sources: HashMap<S, U>,
    max: usize,
}

impl<S: Copy + Eq + Hash, U> PerSource<S, U> {
    pub(crate) fn new(max: usize) -> Self {
        Self { sources: HashMap::new(), max }
    }

    /// Returns the entry of `source`, `fresh` if it has none. Entries that `is_over` picks, because time has
    /// given back what they used, make room for a new one; returns `None` if it picks none of a full map.
    pub(crate) fn entry(
        &mut self,
        source: S,
        fresh: U,
        mut is_over: impl FnMut(&mut U) -> bool,
    ) -> Option<&mut U> {
        if self.sources.len() >= self.max && !self.sources.contains_key(&source) {
            self.sources.retain(|_, usage| !is_over(usage));
            if self.sources.len() >= self.max {
                return None;
            }
        }
        Some(self.sources.entry(source).or_insert(fresh))
    }

    pub(crate) fn get_mut(&mut self, source: &S) -> Option<&mut U> {
        self.sources.get_mut(source)
    }

    pub(crate) fn clear(&mut self) {
        self.sources.clear();
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.sources.len()
    }
}

/// Levels that rise with what is spent and fall with time (a leaky bucket), one for each /24 network.
/// Loopback and private networks have none.
pub(super) struct Budget {
    networks: PerSource<[u8; 3], Level>,
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
        Self { networks: PerSource::new(MAX_NETWORKS), burst, rate }
    }

    /// Spends `cost` on behalf of `source`, if that much is left.
    pub(super) fn spend(&mut self, now: Instant, source: Ipv4Addr, cost: usize) -> bool {
        if is_private(source) {
            return true;
        }
        let key = network(source);
        let (burst, rate) = (self.burst, self.rate);
        let is_over = |level: &mut Level| {
            level.fall(now, rate);
            level.spent == 0
        };
        let fresh = || Level { spent: 0, at: now };
        if self.networks.entry(key, fresh(), is_over).is_none() {
            // An attacker that fills the map with forged sources gains another burst against each of them.
            self.networks.clear();
        }
        let Some(level) = self.networks.entry(key, fresh(), is_over) else {
            return false;
        };
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
/// Packets to third parties that a network makes this node send at once and per second.
pub(super) const FORWARD_BURST: u64 = 1024;
pub(super) const FORWARD_RATE: u64 = 256;
/// How many times the bytes of an unproven source it gets back when its budget is spent: the limit of
/// RFC 9000 §8.1 before an address is validated.
pub(super) const AMPLIFICATION: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_bounded_and_those_that_are_over_make_room() {
        let mut sources = PerSource::new(3);
        for source in 0..3 {
            assert!(sources.entry(source, source, |_| true).is_some());
        }
        assert!(sources.entry(3, 3, |_| false).is_none(), "all count");
        assert!(sources.entry(2, 9, |_| true).is_some_and(|used| *used == 2), "is known");
        assert_eq!(sources.len(), 3);
        assert!(sources.entry(3, 3, |used| *used == 0).is_some());
        assert!(sources.entry(0, 0, |_| false).is_none(), "has made room");
        assert_eq!(sources.len(), 3);
        sources.clear();
        assert_eq!(sources.len(), 0);
    }
}
