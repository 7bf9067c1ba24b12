//! What a persistent node keeps for others: announcements, forwards to servers, and values.
//!
//! Everything here ages in two generations. A sweep forgets the old one and makes the young one old; a full
//! young one is swept early. A record therefore lives between one and two sweeps, and memory has a bound
//! without any bookkeeping per record.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::index;

use super::kept::{ANNOUNCEMENT_SWEEP, Kept};
use crate::keys::PublicKey;
use crate::wire::address::{is_private, network};
use crate::wire::compact::Encode;
use crate::wire::rpc::Target;

/// All records and values of a node.
pub(super) struct Store {
    /// Announcements to topics.
    pub(super) topics: Topics,
    /// Where to forward messages for a server, by the target of its key.
    pub(super) forwards: Generations<Forward>,
    /// What a refresh token renews.
    pub(super) refreshes: Generations<Refresh>,
    /// The highest time stamp announced to a topic.
    pub(super) bumps: Generations<u64>,
    /// Signed values, by the target of the key that signed them.
    pub(super) mutables: Generations<Vec<u8>>,
    /// Values by their hash.
    pub(super) immutables: Generations<Vec<u8>>,
    /// The announcements behind `topics` and `forwards`, if they are to outlive the node.
    pub(super) kept: Generations<Kept>,
    announcements_swept: Instant,
    values_swept: Instant,
}

/// A server that announced itself.
#[derive(Clone, Debug)]
pub(super) struct Forward {
    /// The address that the announcement came from.
    pub(super) relay: SocketAddrV4,
    /// Its record as it is handed out.
    pub(super) record: Vec<u8>,
}

/// What a refresh token renews.
#[derive(Clone, Debug)]
pub(super) struct Refresh {
    pub(super) target: Target,
    pub(super) public_key: PublicKey,
    pub(super) record: Vec<u8>,
}

impl Store {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            topics: Topics::new(MAX_ANNOUNCEMENTS),
            forwards: Generations::new(MAX_ANNOUNCEMENTS, MAX_ANNOUNCEMENT_BYTES),
            refreshes: Generations::new(MAX_ANNOUNCEMENTS, MAX_ANNOUNCEMENT_BYTES),
            bumps: Generations::new(MAX_ANNOUNCEMENTS, MAX_ANNOUNCEMENT_BYTES),
            mutables: Generations::new(MAX_VALUES, MAX_VALUE_BYTES),
            immutables: Generations::new(MAX_VALUES, MAX_VALUE_BYTES),
            kept: Generations::new(MAX_ANNOUNCEMENTS, MAX_KEPT_BYTES),
            announcements_swept: now,
            values_swept: now,
        }
    }

    /// Ages what is due. Called once per tick.
    pub(super) fn sweep(&mut self, now: Instant) {
        if now.saturating_duration_since(self.announcements_swept) >= ANNOUNCEMENT_SWEEP {
            self.sweep_announcements(now);
        }
        if now.saturating_duration_since(self.values_swept) >= VALUE_SWEEP {
            self.values_swept = now;
            self.mutables.sweep();
            self.immutables.sweep();
        }
    }

    /// Forgets the old announcements and makes the young ones old.
    pub(super) fn sweep_announcements(&mut self, now: Instant) {
        self.announcements_swept = now;
        self.topics.sweep();
        self.forwards.sweep();
        self.refreshes.sweep();
        self.bumps.sweep();
        self.kept.sweep();
    }

    /// Returns the announcements that are kept, each with how long it is still handed out.
    pub(super) fn kept_announcements(&self, now: Instant) -> Vec<Kept> {
        let since = now.saturating_duration_since(self.announcements_swept);
        let until_sweep = ANNOUNCEMENT_SWEEP.saturating_sub(since);
        let kept = self.kept.iter().map(|(kept, is_young)| {
            let more = if is_young { ANNOUNCEMENT_SWEEP } else { Duration::ZERO };
            Kept { remaining: until_sweep + more, ..kept.clone() }
        });
        kept.collect()
    }

    /// Returns how many records are held.
    pub(super) fn len(&self) -> usize {
        self.topics.len() + self.forwards.len() + self.mutables.len() + self.immutables.len()
    }
}

/// How much memory a value takes beside its own size.
pub(super) trait Weight {
    fn weight(&self) -> usize;
}

impl Weight for u64 {
    fn weight(&self) -> usize {
        0
    }
}

impl Weight for Vec<u8> {
    fn weight(&self) -> usize {
        self.len()
    }
}

impl Weight for Kept {
    fn weight(&self) -> usize {
        self.announce.encoded_len()
    }
}

impl Weight for Forward {
    fn weight(&self) -> usize {
        self.record.len()
    }
}

impl Weight for Refresh {
    fn weight(&self) -> usize {
        self.record.len()
    }
}

/// A map whose entries live on while they are read: a read makes an old entry young again.
pub(super) struct Generations<V> {
    young: HashMap<Target, V>,
    old: HashMap<Target, V>,
    /// Bytes of the values in the young generation.
    weight: usize,
    sources: Sources,
    max_entries: usize,
    max_bytes: usize,
}

impl<V: Weight> Generations<V> {
    pub(super) fn new(max_entries: usize, max_bytes: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            weight: 0,
            sources: Sources::default(),
            max_entries,
            max_bytes,
        }
    }

    /// Sets an entry on behalf of `source`; returns whether that source may have another one.
    pub(super) fn set(&mut self, source: Ipv4Addr, target: Target, value: V) -> bool {
        let known = self.young.contains_key(&target);
        if !known && !self.sources.admit(source) {
            return false;
        }
        self.old.remove(&target);
        self.put(target, value);
        true
    }

    pub(super) fn get(&mut self, target: &Target) -> Option<&V> {
        if let Some(value) = self.old.remove(target) {
            self.put(*target, value);
        }
        self.young.get(target)
    }

    pub(super) fn remove(&mut self, target: &Target) -> Option<V> {
        let old = self.old.remove(target);
        let young = self.young.remove(target);
        self.weight -= young.as_ref().map_or(0, Weight::weight);
        young.or(old)
    }

    /// Returns the entries, each with whether it is young.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&V, bool)> {
        let young = self.young.values().map(|value| (value, true));
        young.chain(self.old.values().map(|value| (value, false)))
    }

    pub(super) fn sweep(&mut self) {
        self.old = std::mem::take(&mut self.young);
        self.weight = 0;
        self.sources = Sources::default();
    }

    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    fn put(&mut self, target: Target, value: V) {
        let weight = value.weight();
        let full = self.young.len() >= self.max_entries || self.weight + weight > self.max_bytes;
        if full && !self.young.contains_key(&target) {
            self.sweep();
        }
        self.weight += weight;
        if let Some(replaced) = self.young.insert(target, value) {
            self.weight -= replaced.weight();
        }
    }
}

/// Announcements: for each topic the records of those who announced themselves.
pub(super) struct Topics {
    young: Generation,
    old: Generation,
    sources: Sources,
    max: usize,
}

#[derive(Default)]
struct Generation {
    topics: HashMap<Target, Topic>,
    len: usize,
}

/// The records of one topic, in a list for sampling and with an index for replacing.
#[derive(Default)]
struct Topic {
    records: Vec<(PublicKey, Vec<u8>)>,
    positions: HashMap<PublicKey, usize>,
}

impl Topics {
    pub(super) fn new(max: usize) -> Self {
        Self { young: Generation::default(), old: Generation::default(), sources: Sources::default(), max }
    }

    /// Adds a record on behalf of `source`; returns whether that source may have another one.
    ///
    /// A record that is already in the young generation stays as it is (hyperdht-rpc.md §5.6; record-cache
    /// index.js).
    pub(super) fn add(&mut self, source: Ipv4Addr, topic: Target, key: PublicKey, record: Vec<u8>) -> bool {
        let known = self.young.topics.get(&topic);
        if known.is_some_and(|topic| topic.positions.contains_key(&key)) {
            return true;
        }
        if !self.sources.admit(source) {
            return false;
        }
        self.old.remove(&topic, &key);
        if self.young.len >= self.max {
            self.sweep();
        }
        self.young.insert(topic, key, record);
        true
    }

    pub(super) fn remove(&mut self, topic: &Target, key: &PublicKey) {
        self.young.remove(topic, key);
        self.old.remove(topic, key);
    }

    /// Returns up to `count` records of a topic, picked at random if there are more.
    pub(super) fn sample(&self, topic: &Target, count: usize, rng: &mut StdRng) -> Vec<&[u8]> {
        let records =
            |generation: &'_ Generation| generation.topics.get(topic).map_or(0, |topic| topic.records.len());
        let (young, old) = (records(&self.young), records(&self.old));
        let pick = |position: usize| {
            let (generation, position) =
                if position < young { (&self.young, position) } else { (&self.old, position - young) };
            let topic = generation.topics.get(topic)?;
            topic.records.get(position).map(|record| record.1.as_slice())
        };
        let total = young + old;
        if total <= count {
            return (0..total).filter_map(pick).collect();
        }
        index::sample(rng, total, count).into_iter().filter_map(pick).collect()
    }

    pub(super) fn sweep(&mut self) {
        self.old = std::mem::take(&mut self.young);
        self.sources = Sources::default();
    }

    pub(super) const fn len(&self) -> usize {
        self.young.len + self.old.len
    }
}

impl Generation {
    fn insert(&mut self, topic: Target, key: PublicKey, record: Vec<u8>) {
        let topic = self.topics.entry(topic).or_default();
        topic.positions.insert(key, topic.records.len());
        topic.records.push((key, record));
        self.len += 1;
    }

    fn remove(&mut self, target: &Target, key: &PublicKey) {
        let Some(topic) = self.topics.get_mut(target) else {
            return;
        };
        let Some(position) = topic.positions.remove(key) else {
            return;
        };
        topic.records.swap_remove(position);
        if let Some((moved, _)) = topic.records.get(position) {
            topic.positions.insert(*moved, position);
        }
        self.len -= 1;
        if topic.records.is_empty() {
            self.topics.remove(target);
        }
    }
}

/// How many entries of the young generation came from each /24 network.
#[derive(Default)]
struct Sources {
    entries: HashMap<[u8; 3], usize>,
}

impl Sources {
    /// Counts one more entry, unless the source has as many as it may. Loopback and private networks have no
    /// limit.
    fn admit(&mut self, source: Ipv4Addr) -> bool {
        if is_private(source) {
            return true;
        }
        let entries = self.entries.entry(network(source)).or_default();
        let admitted = *entries < MAX_ENTRIES_PER_SOURCE;
        *entries += usize::from(admitted);
        admitted
    }
}

/// Announcements to topics, and self announcements, in one generation (hyperdht-rpc.md §5.6 rows "topic
/// records" and "router forwards").
const MAX_ANNOUNCEMENTS: usize = 65536;
/// Bytes of self announcements in one generation: a record has 33 bytes and three addresses at most.
const MAX_ANNOUNCEMENT_BYTES: usize = MAX_ANNOUNCEMENTS * 64;
/// Bytes of kept announcements in one generation: a signature, a key, a refresh token, three addresses and
/// some bytes between them.
const MAX_KEPT_BYTES: usize = MAX_ANNOUNCEMENTS * 192;
/// Values of one kind in one generation (hyperdht-rpc.md §5.6 row "mutables, immutables").
const MAX_VALUES: usize = 32768;
/// Bytes of values of one kind in one generation.
const MAX_VALUE_BYTES: usize = 16 << 20;
/// Entries in one generation from 256 neighbouring addresses.
pub(super) const MAX_ENTRIES_PER_SOURCE: usize = 1024;
/// Between two sweeps of values: two thirds of 48 hours (hyperdht-rpc.md §5.6).
const VALUE_SWEEP: Duration = Duration::from_secs(32 * 3600);
