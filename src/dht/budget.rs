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
/// A network's level is found by a keyed hash among a fixed number of levels. So no number of networks,
/// which are free to forge, makes room for a fresh level of one that has spent its own; two networks that
/// share a level share what it allows.
pub(super) struct Budget {
    /// When each level will have fallen to nothing, in nanoseconds since the start. A level of nothing needs
    /// no entry.
    empty_at: BTreeMap<u16, u64>,
    /// How many entries there may be before those of nothing are removed.
    sweep_at: usize,
    /// Odd and secret.
    key: u64,
    started: Instant,
    /// How long the highest level takes to fall, and one unit, in nanoseconds.
    highest: u64,
    unit: u64,
}

impl Budget {
    /// Makes levels of at most `burst`, which fall by `rate` per second.
    pub(super) fn new(now: Instant, rng: &mut StdRng, burst: u64, rate: u64) -> Self {
        let unit = NANOSECONDS / rate;
        Self {
            empty_at: BTreeMap::new(),
            sweep_at: SWEEP_LEVELS,
            key: rng.next_u64() | 1,
            started: now,
            highest: burst * unit,
            unit,
        }
    }

    /// Spends `cost` on behalf of `source`, if that much is left.
    pub(super) fn spend(&mut self, now: Instant, source: Ipv4Addr, cost: usize) -> bool {
        let cost = (cost as u64).saturating_mul(self.unit);
        let latest = self.since_start(now).saturating_add(self.highest);
        let Some(empty_at) = self.level(now, source) else {
            return true;
        };
        let spent = empty_at.saturating_add(cost);
        let affordable = spent <= latest;
        if affordable {
            *empty_at = spent;
        }
        affordable
    }

    /// Returns whether `source` has spent less than half of what it may.
    pub(super) fn has_plenty(&mut self, now: Instant, source: Ipv4Addr) -> bool {
        let half = self.since_start(now) + self.highest / 2;
        self.level(now, source).is_none_or(|empty_at| *empty_at < half)
    }

    /// Returns when the level of a source will be empty, `now` at the earliest; `None` if it has none.
    fn level(&mut self, now: Instant, source: Ipv4Addr) -> Option<&mut u64> {
        if is_private(source) {
            return None;
        }
        let [a, b, c] = network(source);
        let number = u64::from(u32::from_be_bytes([0, a, b, c]));
        // Multiply-shift, a universal hash (Dietzfelbinger et al. 1997).
        let place = number.wrapping_mul(self.key) >> (64 - MAX_LEVELS.ilog2());
        let now = self.since_start(now);
        if self.empty_at.len() >= self.sweep_at {
            self.empty_at.retain(|_, empty_at| *empty_at > now);
            // Twice what is left, so that few are looked at for each that is added.
            self.sweep_at = SWEEP_LEVELS.max(2 * self.empty_at.len());
        }
        let empty_at = self.empty_at.entry(place as u16).or_insert(now);
        *empty_at = now.max(*empty_at);
        Some(empty_at)
    }

    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.empty_at.len()
    }

    fn since_start(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.started).as_nanos() as u64
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

/// Levels of one budget: so many networks have their own, in at most some 200 KiB.
pub(super) const MAX_LEVELS: usize = 8192;
/// Levels that are kept before those that have fallen to nothing are looked for.
pub(super) const SWEEP_LEVELS: usize = 64;
const NANOSECONDS: u64 = 1_000_000_000;
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
