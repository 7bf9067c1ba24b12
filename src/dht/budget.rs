//! What the strangers of one source may make this node send: so much at once, and so much per second.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use rand::RngCore as _;
use rand::rngs::StdRng;

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

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.sources.len()
    }
}

/// Returns the position of the first entry of the source that has the most, if those are more than `newcomer`
/// will have: it makes room, and nobody who has as little as the newcomer does.
pub(super) fn first_of_busiest<S: Copy + Ord>(
    entries: impl IntoIterator<Item = S>,
    newcomer: S,
) -> Option<usize> {
    let mut sources: BTreeMap<S, (usize, usize)> = BTreeMap::new();
    for (position, source) in entries.into_iter().enumerate() {
        sources.entry(source).or_insert((0, position)).0 += 1;
    }
    let of_newcomer = sources.get(&newcomer).map_or(0, |(count, _)| *count) + 1;
    let busiest = sources.into_values().max_by_key(|(count, first)| (*count, Reverse(*first)));
    busiest.filter(|(count, _)| *count > of_newcomer).map(|(_, first)| first)
}

/// Levels that rise with what is spent and fall with time (a leaky bucket), for each /24 network. Loopback
/// and private networks have none.
///
/// A network's level is found by a keyed hash in a table of fixed size. So no number of networks, which are
/// free to forge, makes room for a fresh level of one that has spent its own; two networks that share a level
/// share what it allows.
pub(super) struct Budget {
    /// Empty until a network spends something.
    levels: Vec<Level>,
    /// Odd and secret.
    key: u64,
    started: Instant,
    /// The highest level.
    burst: u64,
    /// By how much a level falls per second.
    rate: u64,
}

#[derive(Clone, Copy, Default)]
struct Level {
    /// In thousandths.
    spent: u64,
    /// Milliseconds since the start.
    at: u64,
}

impl Budget {
    pub(super) fn new(now: Instant, rng: &mut StdRng, burst: u64, rate: u64) -> Self {
        Self { levels: Vec::new(), key: rng.next_u64() | 1, started: now, burst, rate }
    }

    /// Spends `cost` on behalf of `source`, if that much is left.
    pub(super) fn spend(&mut self, now: Instant, source: Ipv4Addr, cost: usize) -> bool {
        let most = self.burst * 1000;
        let Some(level) = self.level(now, source) else {
            return true;
        };
        let spent = level.spent + cost as u64 * 1000;
        let affordable = spent <= most;
        if affordable {
            level.spent = spent;
        }
        affordable
    }

    /// Returns whether `source` has spent less than half of what it may.
    pub(super) fn has_plenty(&mut self, now: Instant, source: Ipv4Addr) -> bool {
        let half = self.burst * 500;
        self.level(now, source).is_none_or(|level| level.spent < half)
    }

    /// Returns the level of a source as it is now; `None` if it has none.
    fn level(&mut self, now: Instant, source: Ipv4Addr) -> Option<&mut Level> {
        if is_private(source) {
            return None;
        }
        if self.levels.is_empty() {
            self.levels = vec![Level::default(); MAX_LEVELS];
        }
        let [a, b, c] = network(source);
        let number = u64::from(u32::from_be_bytes([0, a, b, c]));
        // Multiply-shift, a universal hash (Dietzfelbinger et al. 1997).
        let place = number.wrapping_mul(self.key) >> (64 - MAX_LEVELS.ilog2());
        let level = self.levels.get_mut(place as usize)?;
        let passed = now.saturating_duration_since(self.started).as_millis() as u64;
        let fallen = passed.saturating_sub(level.at).saturating_mul(self.rate);
        level.spent = level.spent.saturating_sub(fallen);
        level.at = passed;
        Some(level)
    }
}

/// What strangers may make this node send to third parties.
///
/// Each message counts for the network that it comes from. A message that is passed on allows its receiver
/// one in return, so a server answers as many clients as it is sent, while those who send pay.
pub(super) struct Forwarding {
    budget: Budget,
    /// How many messages each network may answer, and until when.
    owed: PerSource<[u8; 3], (Instant, u32)>,
}

impl Forwarding {
    pub(super) fn new(now: Instant, rng: &mut StdRng) -> Self {
        Self { budget: Budget::new(now, rng, FORWARD_BURST, FORWARD_RATE), owed: PerSource::new(MAX_OWED) }
    }

    /// Takes one message from `source`. Returns whether it may be passed on.
    pub(super) fn take(&mut self, now: Instant, source: Ipv4Addr) -> bool {
        if let Some((until, left)) = self.owed.get_mut(&network(source))
            && *until > now
            && *left > 0
        {
            *left -= 1;
            return true;
        }
        self.budget.spend(now, source, 1)
    }

    /// Notes that a message was passed on to `receiver`.
    pub(super) fn note_passed(&mut self, now: Instant, receiver: Ipv4Addr) {
        if is_private(receiver) {
            return;
        }
        let entry = self.owed.entry(network(receiver), (now, 0), |(until, _)| *until <= now);
        // Without an entry the receiver answers on its own budget.
        if let Some((until, left)) = entry {
            let before = if *until <= now { 0 } else { *left };
            *left = (before + 1).min(MAX_ANSWERS);
            *until = now + OWED_FOR;
        }
    }

    #[cfg(test)]
    pub(super) fn owed(&self) -> usize {
        self.owed.len()
    }
}

/// Levels of one budget: so many networks have their own.
pub(super) const MAX_LEVELS: usize = 16384;
/// Bytes to a network whose hosts have shown no token, at once and per second: at most 64 KiB in any second.
/// Anybody can write an address of the network on a request. A walk asks a node once or twice, for some 200
/// bytes each: two hundred walks a second from one network have room.
pub(super) const STRANGER_BURST: u64 = 16 * 1024;
pub(super) const STRANGER_RATE: u64 = 48 * 1024;
/// How many times the bytes of an unproven source it gets back when half of its budget is spent: the limit of
/// RFC 9000 §8.1 before an address is validated.
pub(super) const AMPLIFICATION: usize = 3;
/// Messages to third parties that a network makes this node send at once and per second. To connect takes a
/// handshake and two to three holepunch messages of the client, through one or two of the twenty nodes that
/// know the server: a network begins a dozen connections at once and five in each second through one node.
/// The servers' answers are not counted, see [`Forwarding`].
pub(super) const FORWARD_BURST: u64 = 50;
pub(super) const FORWARD_RATE: u64 = 20;
/// Networks that may answer what was passed on to them, and how many messages of each: what a busy server is
/// sent in a second.
pub(super) const MAX_OWED: usize = 16384;
pub(super) const MAX_ANSWERS: u32 = 1024;
/// For how long: a handshake is answered at once, a holepunch message after the server has examined its NAT.
const OWED_FOR: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_source_makes_room_for_one_that_has_less() {
        assert_eq!(first_of_busiest(['a', 'b', 'c', 'b', 'b'], 'd'), Some(1));
        assert_eq!(first_of_busiest(['a', 'b', 'c', 'b', 'b'], 'a'), Some(1));
        assert_eq!(first_of_busiest(['a', 'b', 'c', 'b', 'b'], 'b'), None);
        assert_eq!(first_of_busiest(['a', 'b', 'c'], 'd'), None, "all have as little");
        assert_eq!(first_of_busiest(['a', 'a', 'b', 'b'], 'd'), Some(0), "the one that came first");
        assert_eq!(first_of_busiest([], 'd'), None);
    }

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
    }
}
