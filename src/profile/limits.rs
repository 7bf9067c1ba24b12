//! Limits on what a peer may ask for, counted per proven key and per network.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

use super::peers::PeerAddress;
use crate::api::ProvenKey;
use crate::wire::address::{is_private, network};

/// What the operator of a service sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Stored writes a minute and key.
    pub writes_per_minute: u32,
    /// Lookups a minute and key.
    pub lookups_per_minute: u32,
    /// Refused requests a minute and key, notifications and malformed lines included. The next request is
    /// answered with `too_many`, and its connection is closed.
    pub refusals_per_minute: u32,
    /// Registrations an hour and public /24, and through each relay; private and loopback addresses have no
    /// limit.
    pub registrations_per_hour: u32,
    /// Open connections of one key; one more closes the oldest.
    pub connections_per_key: usize,
    /// Open connections of all keys. One more takes the slot of the newest from the busiest source, or is
    /// refused if it is from there itself.
    pub connections: usize,
    /// Longest time from the first byte of a line to its line break.
    pub line_timeout: Duration,
    /// Longest time without a request.
    pub idle: Duration,
    /// Longest time that writing an answer may be blocked by a peer that does not read.
    pub write_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            writes_per_minute: 10,
            lookups_per_minute: 60,
            refusals_per_minute: 60,
            registrations_per_hour: 20,
            connections_per_key: 4,
            connections: 10_000,
            line_timeout: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            write_timeout: Duration::from_secs(60),
        }
    }
}

/// Counts requests per proven key, and registrations per network.
#[derive(Debug)]
pub(super) struct Counters {
    writes: Windows<ProvenKey>,
    lookups: Windows<ProvenKey>,
    refusals: Windows<ProvenKey>,
    registrations: Windows<Network>,
}

/// A use of a limit: a write of a key, or a registration from a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// What is counted, a letter and a key or a network.
    pub id: Vec<u8>,
    /// How often it may be used in a window.
    pub share: u32,
    /// How long a window is from the first use in it.
    pub length: Duration,
}

impl Limits {
    /// Returns the use that a write of a key is.
    pub(super) fn write(&self, key: &ProvenKey) -> Use {
        let id = [b"w", &key.public_key().as_bytes()[..]].concat();
        Use { id, share: self.writes_per_minute, length: MINUTE }
    }

    /// Returns the uses that a registration is.
    pub(super) fn registration(&self, key: &ProvenKey, address: PeerAddress) -> Vec<Use> {
        let network = Network::of(address).map(|network| {
            let (kind, network) = match network {
                Network::Peer(network) => (b"p", network),
                Network::Relay(network) => (b"r", network),
            };
            let id = [kind, &network[..]].concat();
            Use { id, share: self.registrations_per_hour, length: HOUR }
        });
        network.into_iter().chain([self.write(key)]).collect()
    }
}

/// `Err` holds the whole seconds until the limit allows another request.
pub type Verdict = Result<(), u64>;

impl Counters {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            writes: Windows::new(limits.writes_per_minute, MINUTE),
            lookups: Windows::new(limits.lookups_per_minute, MINUTE),
            refusals: Windows::new(limits.refusals_per_minute, MINUTE),
            registrations: Windows::new(limits.registrations_per_hour, HOUR),
        }
    }

    /// Sets other limits; what was counted counts on.
    pub(super) fn configure(&mut self, limits: &Limits) {
        self.writes.share = limits.writes_per_minute;
        self.lookups.share = limits.lookups_per_minute;
        self.refusals.share = limits.refusals_per_minute;
        self.registrations.share = limits.registrations_per_hour;
    }

    /// Counts a write, or refuses it if the limit of the key is reached.
    pub(super) fn write(&mut self, now: Instant, key: &ProvenKey) -> Verdict {
        self.writes.take(now, *key)
    }

    /// Counts a registration, which is a write as well, or refuses it if the limit of the key or of its
    /// network is reached.
    pub(super) fn registration(&mut self, now: Instant, key: &ProvenKey, address: PeerAddress) -> Verdict {
        let network = Network::of(address);
        // Both limits are checked before either count is raised.
        self.writes.check(now, key)?;
        if let Some(network) = network {
            self.registrations.take(now, network)?;
        }
        self.writes.take(now, *key)
    }

    /// Counts a lookup, or refuses it if the limit of the key is reached.
    pub(super) fn lookup(&mut self, now: Instant, key: &ProvenKey) -> Verdict {
        self.lookups.take(now, *key)
    }

    /// Refuses a key whose requests have been refused too often.
    pub(super) fn check_refusals(&self, now: Instant, key: &ProvenKey) -> Verdict {
        self.refusals.check(now, key)
    }

    /// Counts a refused request.
    pub(super) fn refused(&mut self, now: Instant, key: &ProvenKey) {
        // Beyond the limit the request has been refused by `check_refusals`.
        let _ = self.refusals.take(now, *key);
    }
}

/// The /24 of a peer, or of the relay that it comes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Network {
    Peer([u8; 3]),
    Relay([u8; 3]),
}

impl Network {
    /// Returns the network to count for, `None` for loopback and private addresses, which have no limit.
    fn of(address: PeerAddress) -> Option<Self> {
        match address {
            PeerAddress { ip, is_relay: true } => Some(Self::Relay(network(ip))),
            PeerAddress { ip, .. } if is_private(ip) => None,
            PeerAddress { ip, .. } => Some(Self::Peer(network(ip))),
        }
    }
}

/// Counts uses per key in fixed windows: each begins with the first use of its key and has the same length.
#[derive(Debug)]
struct Windows<K> {
    share: u32,
    length: Duration,
    counts: HashMap<K, Window>,
    /// The keys of `counts`, the window that ends first in front.
    order: VecDeque<K>,
}

#[derive(Debug)]
struct Window {
    ends: Instant,
    used: u32,
}

impl<K: Copy + Eq + Hash> Windows<K> {
    fn new(share: u32, length: Duration) -> Self {
        Self { share, length, counts: HashMap::new(), order: VecDeque::new() }
    }

    fn check(&self, now: Instant, key: &K) -> Verdict {
        match self.counts.get(key) {
            Some(window) if window.ends > now => {
                if window.used < self.share {
                    Ok(())
                } else {
                    Err(whole_seconds(window.ends - now))
                }
            }
            _ if self.share == 0 => Err(whole_seconds(self.length)),
            _ => Ok(()),
        }
    }

    fn take(&mut self, now: Instant, key: K) -> Verdict {
        self.check(now, &key)?;
        self.forget(now);
        if let Some(window) = self.counts.get_mut(&key) {
            window.used += 1;
            return Ok(());
        }
        let ends = now + self.length;
        self.counts.insert(key, Window { ends, used: 1 });
        self.order.push_back(key);
        Ok(())
    }

    /// Drops the windows that have ended, and the one that ends next if there is no room for another.
    fn forget(&mut self, now: Instant) {
        while let Some(first) = self.order.front() {
            let ended = self.counts.get(first).is_none_or(|window| window.ends <= now);
            if !ended && self.order.len() < MAX_WINDOWS {
                break;
            }
            self.counts.remove(first);
            self.order.pop_front();
        }
    }
}

fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Most keys, or networks, counted at once for one limit. Beyond it the oldest count is dropped: keys cost
/// nothing to make, so the limits keep one key from disturbing others, not one person from making keys.
pub const MAX_WINDOWS: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PublicKey;

    fn key(n: u64) -> ProvenKey {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&n.to_le_bytes());
        ProvenKey::new(PublicKey::from_bytes(bytes))
    }

    fn after(now: Instant, seconds: u64) -> Instant {
        now + Duration::from_secs(seconds)
    }

    #[test]
    fn a_key_has_its_share_a_minute_and_another_has_its_own() {
        let now = Instant::now();
        let mut counters = Counters::new(&Limits::default());
        for _ in 0..10 {
            assert_eq!(counters.write(now, &key(1)), Ok(()));
        }
        assert_eq!(counters.write(after(now, 20), &key(1)), Err(40));
        assert_eq!(counters.write(now, &key(2)), Ok(()));
        assert_eq!(counters.lookup(now, &key(1)), Ok(()));
        assert_eq!(counters.write(after(now, 60), &key(1)), Ok(()));
    }

    #[test]
    fn a_public_network_has_twenty_registrations_an_hour() {
        let now = Instant::now();
        let mut counters = Counters::new(&Limits::default());
        let mut register = |n: u64, at, source: [u8; 4]| {
            counters.registration(at, &key(n), PeerAddress::direct(source.into()))
        };
        for n in 0..20 {
            assert_eq!(register(n, now, [1, 2, 3, n.to_le_bytes()[0]]), Ok(()));
        }
        assert_eq!(register(20, now, [1, 2, 3, 200]), Err(3600));
        assert_eq!(register(20, now, [1, 2, 4, 200]), Ok(()));
        assert_eq!(register(21, after(now, 3600), [1, 2, 3, 4]), Ok(()));
    }

    #[test]
    fn loopback_and_private_networks_have_no_limit() {
        let now = Instant::now();
        let mut counters = Counters::new(&Limits::default());
        for source in [[127, 0, 0, 1], [10, 0, 0, 1], [192, 168, 1, 1], [172, 16, 0, 1]] {
            for n in 0..100 {
                let verdict = counters.registration(now, &key(n), PeerAddress::direct(source.into()));
                assert_eq!(verdict, Ok(()));
            }
        }
    }

    #[test]
    fn peers_at_one_relay_share_one_limit() {
        let now = Instant::now();
        let mut counters = Counters::new(&Limits::default());
        let at = |relay: [u8; 4]| PeerAddress { ip: relay.into(), is_relay: true };
        for n in 0..20 {
            assert_eq!(counters.registration(now, &key(n), at([10, 0, 0, 1])), Ok(()));
        }
        assert_eq!(counters.registration(now, &key(20), at([10, 0, 0, 1])), Err(3600));
        assert_eq!(counters.registration(now, &key(20), at([10, 0, 1, 1])), Ok(()));
    }

    #[test]
    fn what_was_counted_counts_for_other_limits_too() {
        let now = Instant::now();
        let mut counters = Counters::new(&Limits::default());
        for _ in 0..10 {
            counters.write(now, &key(1)).unwrap();
        }
        counters.configure(&Limits { writes_per_minute: 12, ..Limits::default() });
        for verdict in [Ok(()), Ok(()), Err(60)] {
            assert_eq!(counters.write(now, &key(1)), verdict);
        }
        counters.configure(&Limits { writes_per_minute: 3, ..Limits::default() });
        assert_eq!(counters.write(now, &key(1)), Err(60));
        assert_eq!(counters.write(after(now, 60), &key(1)), Ok(()));
    }

    #[test]
    fn a_limit_of_zero_refuses_all_keys() {
        let limits = Limits { writes_per_minute: 0, ..Limits::default() };
        let mut counters = Counters::new(&limits);
        assert_eq!(counters.write(Instant::now(), &key(1)), Err(60));
    }

    #[test]
    fn the_maps_are_bounded_and_forget_what_has_ended() {
        let now = Instant::now();
        let mut windows = Windows::new(1, MINUTE);
        for n in 0..MAX_WINDOWS as u64 + 500 {
            windows.take(now, key(n)).unwrap();
        }
        assert_eq!(windows.counts.len(), MAX_WINDOWS);
        assert_eq!(windows.order.len(), MAX_WINDOWS);
        assert_eq!(windows.check(now, &key(MAX_WINDOWS as u64)), Err(60));
        windows.take(after(now, 61), key(1)).unwrap();
        assert_eq!((windows.counts.len(), windows.order.len()), (1, 1));
    }
}
