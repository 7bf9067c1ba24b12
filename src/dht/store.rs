//! What a persistent node keeps for others: announcements, forwards to servers, and values.
//!
//! Everything here ages in two generations. A sweep forgets the old one and makes the young one old, so a
//! record lives between one and two sweeps. All records of all kinds share one limit. When it is reached, the
//! network that uses most loses its oldest record: a flood displaces itself.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;

use super::kept::{ANNOUNCEMENT_SWEEP, Kept};
use super::ledger::{Charge, Ledger};
use super::topics::{Announced, Topics};
use crate::keys::PublicKey;
use crate::wire::compact::Encode;
use crate::wire::rpc::Target;

/// All records and values of a node.
pub(super) struct Store {
    topics: Topics,
    /// Where to forward messages for a server, by the target of its key.
    forwards: Cache<Forward>,
    /// What a refresh token renews.
    refreshes: Cache<Refresh>,
    /// Signed values, by the target of the key that signed them.
    mutables: Cache<Vec<u8>>,
    /// Values by their hash.
    immutables: Cache<Vec<u8>>,
    ledger: Ledger<Place>,
    announcements: Age,
    values: Age,
}

/// The records of one kind. Reading one makes it young again (hyperdht-rpc.md §5.6; xache).
struct Cache<V> {
    entries: HashMap<Target, Held<V>>,
    place: fn(Target) -> Place,
}

/// A stored item, and what it takes.
struct Held<V> {
    value: V,
    generation: u64,
    charge: Charge,
}

/// Where a record is.
#[derive(Clone, Copy, Debug)]
enum Place {
    Topic(Target, PublicKey),
    Forward(Target),
    Refresh(Target),
    Mutable(Target),
    Immutable(Target),
}

/// The generation of records that are stored now, and when it began.
struct Age {
    generation: u64,
    swept: Instant,
}

/// A server that announced itself.
struct Forward {
    /// The address that the announcement came from.
    relay: SocketAddrV4,
    /// Its record as it is handed out.
    record: Vec<u8>,
    /// What proves it, if that is to outlive the node.
    kept: Option<Box<Kept>>,
}

/// What a refresh token renews.
#[derive(Clone, Debug)]
pub(super) struct Refresh {
    pub(super) target: Target,
    pub(super) public_key: PublicKey,
    pub(super) record: Vec<u8>,
}

/// The network of the source has as many records as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SourceFull;

impl Store {
    pub(super) fn new(now: Instant) -> Self {
        Self::with_limits(now, MAX_BYTES, MAX_BYTES_PER_SOURCE)
    }

    /// Makes a store for `limit` bytes in all and `budget` bytes of each public /24.
    pub(super) fn with_limits(now: Instant, limit: usize, budget: usize) -> Self {
        let age = || Age { generation: 1, swept: now };
        Self {
            topics: Topics::default(),
            forwards: Cache::new(Place::Forward),
            refreshes: Cache::new(Place::Refresh),
            mutables: Cache::new(Place::Mutable),
            immutables: Cache::new(Place::Immutable),
            ledger: Ledger::new(limit, budget),
            announcements: age(),
            values: age(),
        }
    }

    /// Ages what is due. Called once per tick.
    pub(super) fn sweep(&mut self, now: Instant) {
        if now.saturating_duration_since(self.announcements.swept) >= ANNOUNCEMENT_SWEEP {
            self.sweep_announcements(now);
        }
        if now.saturating_duration_since(self.values.swept) >= VALUE_SWEEP {
            self.sweep_values(now);
        }
    }

    /// Forgets the old announcements and makes the young ones old.
    pub(super) fn sweep_announcements(&mut self, now: Instant) {
        let oldest = self.announcements.advance(now);
        self.topics.sweep(oldest, |charge| self.ledger.release(charge));
        self.forwards.sweep(oldest, &mut self.ledger);
        self.refreshes.sweep(oldest, &mut self.ledger);
    }

    /// Forgets the old values and makes the young ones old.
    pub(super) fn sweep_values(&mut self, now: Instant) {
        let oldest = self.values.advance(now);
        self.mutables.sweep(oldest, &mut self.ledger);
        self.immutables.sweep(oldest, &mut self.ledger);
    }

    /// Returns the generation of announcements that are stored now. The one before it is old.
    pub(super) const fn generation(&self) -> u64 {
        self.announcements.generation
    }

    /// Sets when the last sweep of announcements was, as of an earlier run.
    pub(super) const fn set_swept(&mut self, at: Instant) {
        self.announcements.swept = at;
    }

    /// Stores an announcement of `generation`: a server under its own key is a forward, everything else
    /// belongs to a topic.
    pub(super) fn announce(
        &mut self,
        from: SocketAddrV4,
        entry: Refresh,
        kept: Option<Box<Kept>>,
        generation: u64,
    ) -> Result<(), SourceFull> {
        let Refresh { target, public_key, record } = entry;
        let cost = cost(record.len() + kept.as_ref().map_or(0, |kept| KEPT + kept.announce.encoded_len()));
        if public_key.target() == target {
            self.remove(Place::Topic(target, public_key));
            let forward = Forward { relay: from, record, kept };
            self.forwards.set(&mut self.ledger, generation, (*from.ip(), target), forward, cost)?;
        } else {
            let known = self.topics.get_mut(&target, &public_key);
            if let Some(known) = known.filter(|known| known.generation >= generation) {
                // A record that is in the young generation stays as it is (hyperdht-rpc.md §5.6; record-cache
                // index.js).
                known.kept = kept;
                return Ok(());
            }
            let known = self.topics.get_mut(&target, &public_key).map(|known| known.charge);
            let place = Place::Topic(target, public_key);
            let charge = self.ledger.charge(*from.ip(), place, cost, known).ok_or(SourceFull)?;
            self.topics.put(target, Announced { key: public_key, record, kept, generation, charge });
        }
        self.make_room();
        Ok(())
    }

    /// Returns whether `key` has announced something under `target`.
    pub(super) fn has_announced(&mut self, target: &Target, key: &PublicKey) -> bool {
        let is_server = key.target() == *target && self.forwards.entries.contains_key(target);
        is_server || self.topics.get_mut(target, key).is_some()
    }

    /// Stores what a refresh token renews; what proves it stays.
    pub(super) fn renew(&mut self, from: SocketAddrV4, entry: Refresh) -> Result<(), SourceFull> {
        let (target, key) = (&entry.target, &entry.public_key);
        let kept = match self.topics.get_mut(target, key) {
            Some(known) => known.kept.take(),
            None => self.forwards.entries.get_mut(target).and_then(|held| held.value.kept.take()),
        };
        self.announce(from, entry, kept, self.announcements.generation)
    }

    /// Removes what `key` announced under `target`.
    pub(super) fn forget_announcement(&mut self, target: &Target, key: &PublicKey) {
        if key.target() == *target {
            self.remove(Place::Forward(*target));
        }
        self.remove(Place::Topic(*target, *key));
    }

    /// Returns the address from which the server with this target announced itself, and its record.
    pub(super) fn server(&mut self, target: &Target) -> Option<(SocketAddrV4, &[u8])> {
        let forward = self.forwards.read(target, self.announcements.generation)?;
        Some((forward.relay, &forward.record))
    }

    /// Returns up to `count` records of a topic, picked at random if there are more.
    pub(super) fn sample(&self, target: &Target, count: usize, rng: &mut StdRng) -> Vec<&[u8]> {
        self.topics.sample(target, count, rng)
    }

    /// Notes a time stamp announced to a topic.
    pub(super) fn bump(&mut self, target: &Target, stamp: u64) {
        self.topics.bump(target, stamp);
    }

    /// Returns the highest time stamp announced to a topic; 0 if there is none.
    pub(super) fn bump_of(&self, target: &Target) -> u64 {
        self.topics.bump_of(target)
    }

    /// Notes what the token that hashes to `hash` renews.
    pub(super) fn set_refresh(
        &mut self,
        source: Ipv4Addr,
        hash: Target,
        entry: Refresh,
    ) -> Result<(), SourceFull> {
        let (generation, cost) = (self.announcements.generation, cost(entry.record.len()));
        self.refreshes.set(&mut self.ledger, generation, (source, hash), entry, cost)?;
        self.make_room();
        Ok(())
    }

    /// Returns what the token that hashes to `hash` renews, once.
    pub(super) fn take_refresh(&mut self, hash: &Target) -> Option<Refresh> {
        let held = self.refreshes.entries.remove(hash)?;
        self.ledger.release(held.charge);
        Some(held.value)
    }

    /// Stores a signed value.
    pub(super) fn set_mutable(
        &mut self,
        source: Ipv4Addr,
        target: Target,
        value: Vec<u8>,
    ) -> Result<(), SourceFull> {
        let (generation, cost) = (self.values.generation, cost(value.len()));
        self.mutables.set(&mut self.ledger, generation, (source, target), value, cost)?;
        self.make_room();
        Ok(())
    }

    /// Returns a signed value.
    pub(super) fn mutable(&mut self, target: &Target) -> Option<&Vec<u8>> {
        self.mutables.read(target, self.values.generation)
    }

    /// Stores a value under its hash.
    pub(super) fn set_immutable(
        &mut self,
        source: Ipv4Addr,
        target: Target,
        value: Vec<u8>,
    ) -> Result<(), SourceFull> {
        let (generation, cost) = (self.values.generation, cost(value.len()));
        self.immutables.set(&mut self.ledger, generation, (source, target), value, cost)?;
        self.make_room();
        Ok(())
    }

    /// Returns the value with this hash.
    pub(super) fn immutable(&mut self, target: &Target) -> Option<&Vec<u8>> {
        self.immutables.read(target, self.values.generation)
    }

    /// Returns the announcements that are kept, each with how long it is still handed out.
    pub(super) fn kept_announcements(&self, now: Instant) -> Vec<Kept> {
        let since = now.saturating_duration_since(self.announcements.swept);
        let until_sweep = ANNOUNCEMENT_SWEEP.saturating_sub(since);
        let forwards = self.forwards.entries.values().map(|held| (&held.value.kept, held.generation));
        let topics = self.topics.iter().map(|record| (&record.kept, record.generation));
        let kept = forwards.chain(topics).filter_map(|(kept, generation)| {
            let more = if generation == self.generation() { ANNOUNCEMENT_SWEEP } else { Duration::ZERO };
            let kept = kept.as_deref()?;
            Some(Kept { remaining: until_sweep + more, ..kept.clone() })
        });
        kept.collect()
    }

    /// Returns how many records are held.
    pub(super) const fn len(&self) -> usize {
        self.ledger.records()
    }

    /// Returns how many bytes the records count for.
    pub(super) const fn used(&self) -> usize {
        self.ledger.used()
    }

    /// Drops records until the rest fits the limit.
    fn make_room(&mut self) {
        while let Some(place) = self.ledger.victim() {
            self.remove(place);
        }
    }

    fn remove(&mut self, place: Place) {
        let charge = match place {
            Place::Topic(target, key) => self.topics.remove(&target, &key).map(|record| record.charge),
            Place::Forward(target) => self.forwards.remove(&target),
            Place::Refresh(target) => self.refreshes.remove(&target),
            Place::Mutable(target) => self.mutables.remove(&target),
            Place::Immutable(target) => self.immutables.remove(&target),
        };
        if let Some(charge) = charge {
            self.ledger.release(charge);
        }
    }
}

impl<V> Cache<V> {
    fn new(place: fn(Target) -> Place) -> Self {
        Self { entries: HashMap::new(), place }
    }

    /// Sets an entry on behalf of a source, at a cost.
    fn set(
        &mut self,
        ledger: &mut Ledger<Place>,
        generation: u64,
        (source, target): (Ipv4Addr, Target),
        value: V,
        cost: usize,
    ) -> Result<(), SourceFull> {
        let known = self.entries.get(&target).map(|held| held.charge);
        let charge = ledger.charge(source, (self.place)(target), cost, known).ok_or(SourceFull)?;
        self.entries.insert(target, Held { value, generation, charge });
        Ok(())
    }

    fn read(&mut self, target: &Target, generation: u64) -> Option<&V> {
        let held = self.entries.get_mut(target)?;
        held.generation = generation;
        Some(&held.value)
    }

    fn remove(&mut self, target: &Target) -> Option<Charge> {
        self.entries.remove(target).map(|held| held.charge)
    }

    /// Drops the entries of generations before `oldest`.
    fn sweep(&mut self, oldest: u64, ledger: &mut Ledger<Place>) {
        self.entries.retain(|_, held| {
            let stays = held.generation >= oldest;
            if !stays {
                ledger.release(held.charge);
            }
            stays
        });
    }
}

impl Age {
    /// Begins the next generation; returns the oldest one that stays.
    const fn advance(&mut self, now: Instant) -> u64 {
        self.swept = now;
        self.generation += 1;
        self.generation - 1
    }
}

/// Returns what a record costs that has this length.
fn cost(length: usize) -> usize {
    (length + OVERHEAD).max(MIN_COST)
}

/// Bytes of all records of a node, of all kinds and both generations. The reference keeps up to 65,536
/// records of each kind in each generation (hyperdht-rpc.md §5.6).
pub(super) const MAX_BYTES: usize = 64 << 20;
/// What a record costs at least, in bytes: no more than 65,536 fit.
pub(super) const MIN_COST: usize = 1024;
/// Bytes of the records from 256 neighbouring addresses: 1,024 small ones.
pub(super) const MAX_BYTES_PER_SOURCE: usize = 1024 * MIN_COST;
/// What a record takes beside its own length: places in maps and in the ledger.
const OVERHEAD: usize = 256;
/// What a kept announcement takes beside its own length.
const KEPT: usize = 256;
/// Between two sweeps of values: two thirds of 48 hours (hyperdht-rpc.md §5.6).
const VALUE_SWEEP: Duration = Duration::from_secs(32 * 3600);
