//! How other nodes see the address of this one, and when that counts (dht-rpc.md §11; nat-sampler index.js).

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddrV4};

/// Collects how nodes see this one. The last sixteen samples count.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sampler {
    /// For each sample the counters that it raised.
    samples: VecDeque<(u64, u64)>,
    addresses: Counters<SocketAddrV4>,
    hosts: Counters<Ipv4Addr>,
}

/// What the samples agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sampled {
    /// Too few samples agree.
    Unknown,
    /// The host is known, and different nodes see different ports.
    Host(Ipv4Addr),
    /// Nearly all nodes see the same address.
    Address(SocketAddrV4),
}

impl Sampler {
    /// Counts a sample: the address of this node as one other saw it.
    pub(crate) fn add(&mut self, seen_as: SocketAddrV4) {
        let recent = || self.samples.iter().rev().take(LOOK_BACK);
        let address = self.addresses.find(seen_as, recent().map(|sample| sample.0));
        let host = self.hosts.find(*seen_as.ip(), recent().map(|sample| sample.1));
        let address = self.addresses.hit(address, seen_as);
        let host = self.hosts.hit(host, *seen_as.ip());
        self.samples.push_back((address, host));
        if self.samples.len() > MAX_SAMPLES
            && let Some((address, host)) = self.samples.pop_front()
        {
            self.addresses.release(address);
            self.hosts.release(host);
        }
        self.addresses.elect(address);
        self.hosts.elect(host);
    }

    /// Returns what the samples agree on.
    pub(crate) fn sampled(&self) -> Sampled {
        let count = self.samples.len();
        let dissenters = match count {
            0..4 => 0,
            4..8 => 1,
            8..12 => 2,
            _ => 3,
        };
        let enough = |best: usize| count > 0 && best >= count - dissenters;
        match (self.addresses.best(), self.hosts.best()) {
            (Some((address, hits)), _) if enough(hits) => Sampled::Address(address),
            (_, Some((host, hits))) if enough(hits) => Sampled::Host(host),
            _ => Sampled::Unknown,
        }
    }

    /// Returns the addresses of the samples that count, and how many samples each has.
    pub(crate) fn seen_as(&self) -> Vec<(SocketAddrV4, usize)> {
        let counters = self.addresses.counters.iter().filter(|counter| counter.hits > 0);
        counters.map(|counter| (counter.value, counter.hits)).collect()
    }

    /// Returns the host that nearly all nodes see.
    pub(crate) fn host(&self) -> Option<Ipv4Addr> {
        match self.sampled() {
            Sampled::Unknown => None,
            Sampled::Host(host) => Some(host),
            Sampled::Address(address) => Some(*address.ip()),
        }
    }

    /// Returns the address that nearly all nodes see, host and port.
    pub(crate) fn address(&self) -> Option<SocketAddrV4> {
        match self.sampled() {
            Sampled::Address(address) if address.port() != 0 => Some(address),
            _ => None,
        }
    }
}

/// Hit counters of one kind. A value that was not among the latest samples gets a counter of its own, so that
/// an earlier address does not win by its past.
#[derive(Clone, Debug)]
struct Counters<T> {
    counters: Vec<Counter<T>>,
    next: u64,
    best: Option<u64>,
}

#[derive(Clone, Debug)]
struct Counter<T> {
    number: u64,
    value: T,
    hits: usize,
}

impl<T> Default for Counters<T> {
    fn default() -> Self {
        Self { counters: Vec::new(), next: 0, best: None }
    }
}

impl<T: Copy + PartialEq> Counters<T> {
    fn find(&self, value: T, mut recent: impl Iterator<Item = u64>) -> Option<u64> {
        recent.find(|number| self.get(*number).is_some_and(|counter| counter.value == value))
    }

    fn hit(&mut self, found: Option<u64>, value: T) -> u64 {
        if let Some(counter) = self.counters.iter_mut().find(|counter| Some(counter.number) == found) {
            counter.hits += 1;
            return counter.number;
        }
        let number = self.next;
        self.next += 1;
        self.counters.push(Counter { number, value, hits: 1 });
        number
    }

    fn release(&mut self, number: u64) {
        if let Some(counter) = self.counters.iter_mut().find(|counter| counter.number == number) {
            counter.hits -= 1;
        }
        let best = self.best;
        self.counters.retain(|counter| counter.hits > 0 || Some(counter.number) == best);
    }

    /// Makes the counter that was just hit the best one if it is ahead.
    fn elect(&mut self, number: u64) {
        let hits = |number| self.get(number).map_or(0, |counter| counter.hits);
        if self.best.is_none_or(|best| hits(best) < hits(number)) {
            self.best = Some(number);
        }
    }

    fn best(&self) -> Option<(T, usize)> {
        self.best.and_then(|number| self.get(number)).map(|counter| (counter.value, counter.hits))
    }

    fn get(&self, number: u64) -> Option<&Counter<T>> {
        self.counters.iter().find(|counter| counter.number == number)
    }
}

/// How many samples count (dht-rpc.md §11).
const MAX_SAMPLES: usize = 16;
/// How many samples back an equal value shares the counter.
const LOOK_BACK: usize = 4;
