//! Bounds the connections of proven keys: per key, where the newest win, and in all, shared by source.

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::PublicKey;
use crate::api::ProvenKey;
use crate::slots::{Slots, Source};

/// The address that a peer's packets come from: its own, or that of the relay in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddress {
    /// The address.
    pub ip: Ipv4Addr,
    /// Whether it is a relay's.
    pub is_relay: bool,
}

/// An open connection whose peer has proven its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenConnection {
    /// The number of the connection at its service, greater than that of each older one.
    pub id: u64,
    /// The peer's key.
    pub key: PublicKey,
    /// Where its packets came from when it sent its last request.
    pub address: PeerAddress,
    /// Since when it is open.
    pub age: Duration,
    /// How many requests it has sent.
    pub requests: u64,
}

/// All open connections whose peer has proven its key.
#[derive(Clone, Debug, Default)]
pub(super) struct Peers(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// The open connections of each key, the oldest first.
    keys: BTreeMap<ProvenKey, VecDeque<u64>>,
    open: Slots<u64>,
    /// Connections that are ending, until what they were sent last has arrived.
    leaving: Slots<u64>,
    members: BTreeMap<u64, Member>,
    next: u64,
}

#[derive(Debug)]
struct Member {
    key: ProvenKey,
    address: PeerAddress,
    since: Instant,
    requests: u64,
    signals: Arc<Signals>,
}

/// What the task of a connection is told.
#[derive(Debug, Default)]
struct Signals {
    /// It has lost its slot, and ends in order.
    lost: CancellationToken,
    loss: OnceLock<Loss>,
    /// It ends at once.
    cut: CancellationToken,
}

/// Why a connection has lost its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// A newer connection of the key has it.
    Replaced,
    /// All were taken, and a connection from a less busy source has it.
    Displaced,
    /// The operator has banned the key or its network.
    Banned,
    /// The operator has ended the connection.
    Disconnected,
}

/// The right to one open connection of a key; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Slot {
    peers: Peers,
    id: u64,
    signals: Arc<Signals>,
}

impl PeerAddress {
    /// Returns the address of a peer that comes without a relay.
    pub const fn direct(ip: Ipv4Addr) -> Self {
        Self { ip, is_relay: false }
    }

    const fn source(self) -> Source {
        Source::direct(self.ip)
    }
}

impl Peers {
    /// Takes a slot. If the key has `each` already, it takes that of its oldest connection. If all keys
    /// together have `total`, it takes that of the newest connection from the busiest source.
    ///
    /// # Errors
    ///
    /// If the newcomer itself is from the busiest source: a slot among those that are leaving.
    pub(super) fn enter(
        &self,
        key: ProvenKey,
        address: PeerAddress,
        each: usize,
        total: usize,
    ) -> Result<Slot, Slot> {
        let mut state = self.state();
        let (id, signals) = state.add(key, address);
        while let Some(oldest) = state.oldest_above(&key, each.max(1)) {
            state.lose(oldest, Loss::Replaced);
        }
        let mut has_room = state.open.len() < total;
        if !has_room && let Some(rival) = state.open.rival(address.source()) {
            state.lose(rival, Loss::Displaced);
            has_room = true;
        }
        if has_room {
            state.keys.entry(key).or_default().push_back(id);
            state.open.insert(id, address.source());
        } else {
            state.let_leave(id, address.source());
        }
        drop(state);
        let slot = Slot { peers: self.clone(), id, signals };
        if has_room { Ok(slot) } else { Err(slot) }
    }

    /// Lets a connection leave at once; returns a slot among those that are leaving.
    pub(super) fn refuse(&self, key: ProvenKey, address: PeerAddress) -> Slot {
        let mut state = self.state();
        let (id, signals) = state.add(key, address);
        state.let_leave(id, address.source());
        drop(state);
        Slot { peers: self.clone(), id, signals }
    }

    /// Takes the slots of the connections of some keys at some addresses; returns how many those were.
    pub(super) fn end(&self, loss: Loss, mut is_one: impl FnMut(&PublicKey, PeerAddress) -> bool) -> usize {
        let mut state = self.state();
        let open = state.members.iter().filter(|(id, _)| state.open.contains(id));
        let ends = open.filter(|(_, member)| is_one(member.key.public_key(), member.address));
        let ends: Vec<u64> = ends.map(|(id, _)| *id).collect();
        for id in &ends {
            state.lose(*id, loss);
        }
        ends.len()
    }

    /// Returns the open connections with a greater number than `after`, at most so many, the oldest first.
    pub(super) fn list(&self, after: u64, most: usize) -> Vec<OpenConnection> {
        let state = self.state();
        let members = state.members.range(after.saturating_add(1)..);
        let open = members.filter(|(id, _)| state.open.contains(id));
        let shown = open.map(|(id, member)| OpenConnection {
            id: *id,
            key: *member.key.public_key(),
            address: member.address,
            age: member.since.elapsed(),
            requests: member.requests,
        });
        shown.take(most).collect()
    }

    /// Returns how many connections are open.
    pub(super) fn count(&self) -> usize {
        self.state().open.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, key: ProvenKey, address: PeerAddress) -> (u64, Arc<Signals>) {
        self.next += 1;
        let signals: Arc<Signals> = Arc::default();
        let own = Arc::clone(&signals);
        let member = Member { key, address, since: Instant::now(), requests: 0, signals: own };
        self.members.insert(self.next, member);
        (self.next, signals)
    }

    /// Returns the oldest connection of a key that has so many.
    fn oldest_above(&self, key: &ProvenKey, each: usize) -> Option<u64> {
        let open = self.keys.get(key).filter(|open| open.len() >= each)?;
        open.front().copied()
    }

    /// Takes the slot of a connection, which ends in order.
    fn lose(&mut self, id: u64, loss: Loss) {
        if let Some(member) = self.members.get(&id) {
            // The first reason stays.
            let _ = member.signals.loss.set(loss);
            member.signals.lost.cancel();
        }
        self.close(id);
    }

    /// Gives the slot of a connection back; it is leaving now.
    fn close(&mut self, id: u64) {
        if let Some(source) = self.open.source(&id) {
            self.forget_open(id);
            self.let_leave(id, source);
        }
    }

    fn let_leave(&mut self, id: u64, source: Source) {
        self.leaving.insert(id, source);
        if self.leaving.len() > MAX_LEAVING
            && let Some(oldest) = self.leaving.oldest_of_the_busiest()
        {
            self.leaving.remove(&oldest);
            if let Some(member) = self.members.get(&oldest) {
                member.signals.cut.cancel();
            }
        }
    }

    fn forget_open(&mut self, id: u64) {
        self.open.remove(&id);
        let Some(key) = self.members.get(&id).map(|member| member.key) else {
            return;
        };
        if let Some(open) = self.keys.get_mut(&key) {
            open.retain(|other| *other != id);
            if open.is_empty() {
                self.keys.remove(&key);
            }
        }
    }
}

impl Slot {
    /// Completes when the connection has lost this slot, and returns why.
    pub(super) async fn lost(&self) -> Loss {
        self.signals.lost.cancelled().await;
        // It is set before.
        self.signals.loss.get().copied().unwrap_or(Loss::Displaced)
    }

    /// Counts a request, and the connection for the address that its packets come from now.
    pub(super) fn count_for(&self, address: PeerAddress) {
        let mut state = self.peers.state();
        if let Some(member) = state.members.get_mut(&self.id) {
            member.address = address;
            member.requests += 1;
        }
        if state.open.contains(&self.id) {
            state.open.insert(self.id, address.source());
        }
    }

    /// Gives the slot back before the connection has ended.
    pub(super) fn leave(&self) {
        self.peers.state().close(self.id);
    }

    /// Completes when the connection has to end at once, because too many are leaving.
    pub(super) async fn cut(&self) {
        self.signals.cut.cancelled().await;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.peers.state();
        state.forget_open(self.id);
        state.leaving.remove(&self.id);
        state.members.remove(&self.id);
    }
}

/// Connections that are ending at the same time, beyond those that are open: a peer gets two seconds to take
/// what it was sent last, and keeps nobody out meanwhile. Beyond it the oldest of the busiest source are cut.
const MAX_LEAVING: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u16) -> ProvenKey {
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&n.to_le_bytes());
        ProvenKey::new(PublicKey::from_bytes(bytes))
    }

    fn from(address: [u8; 4]) -> PeerAddress {
        PeerAddress::direct(address.into())
    }

    fn is_lost(slot: &Slot) -> bool {
        slot.signals.lost.is_cancelled()
    }

    const HERE: [u8; 4] = [9, 9, 9, 9];

    #[test]
    fn the_fifth_connection_closes_the_oldest() {
        let peers = Peers::default();
        let slots: Vec<_> = (0..5).map(|_| peers.enter(key(1), from(HERE), 4, 99).unwrap()).collect();
        let other = peers.enter(key(2), from(HERE), 4, 99).unwrap();
        let lost: Vec<_> = slots.iter().map(is_lost).collect();
        assert_eq!(lost, [true, false, false, false, false]);
        assert!(!is_lost(&other));
        assert_eq!(peers.count(), 5);
    }

    #[test]
    fn a_slot_given_back_is_free_again() {
        let peers = Peers::default();
        let mut slots: Vec<_> = (0..4).map(|_| peers.enter(key(1), from(HERE), 4, 99).unwrap()).collect();
        drop(slots.remove(2));
        slots.push(peers.enter(key(1), from(HERE), 4, 99).unwrap());
        assert!(!slots.iter().any(is_lost));
        drop(slots);
        let state = peers.state();
        assert!(state.keys.is_empty() && state.members.is_empty() && state.open.is_empty());
    }

    #[test]
    fn all_keys_together_have_a_bound() {
        let peers = Peers::default();
        let mut slots: Vec<_> = (0..6).map(|n| peers.enter(key(n), from(HERE), 4, 6).unwrap()).collect();
        assert!(peers.enter(key(9), from(HERE), 4, 6).is_err(), "the busiest source itself");
        assert_eq!(peers.count(), 6);
        slots.pop();
        assert!(peers.enter(key(9), from(HERE), 4, 6).is_ok());
    }

    #[test]
    fn one_host_with_all_slots_gives_way_to_every_other() {
        let peers = Peers::default();
        let slots: Vec<_> = (0..100).map(|n| peers.enter(key(n), from(HERE), 4, 100).unwrap()).collect();
        let others: Vec<_> =
            (0..50).map(|n| peers.enter(key(200 + n), from([n as u8, 1, 1, 1]), 4, 100).unwrap()).collect();
        assert_eq!(slots.iter().filter(|slot| is_lost(slot)).count(), 50);
        assert!(is_lost(&slots[99]) && !is_lost(&slots[0]), "the newest go first");
        assert!(!others.iter().any(is_lost));
        assert_eq!(slots[99].signals.loss.get(), Some(&Loss::Displaced));
        assert!(peers.enter(key(999), from(HERE), 4, 100).is_err());
        assert_eq!(peers.count(), 100);
    }

    #[test]
    fn a_relays_connections_share_one_slot_budget_until_they_leave_it() {
        let peers = Peers::default();
        let relay = PeerAddress { ip: HERE.into(), is_relay: true };
        let slots: Vec<_> = (0..10).map(|n| peers.enter(key(n), relay, 4, 10).unwrap()).collect();
        slots[9].count_for(from([8, 8, 8, 8]));
        let other = peers.enter(key(20), from([7, 7, 7, 7]), 4, 10);
        assert!(other.is_ok());
        assert!(!is_lost(&slots[9]) && is_lost(&slots[8]));
    }

    #[test]
    fn connections_are_listed_in_pages_and_ended_by_key_or_address() {
        let peers = Peers::default();
        let elsewhere = from([8, 8, 8, 8]);
        let slots: Vec<_> = (0..6).map(|n| peers.enter(key(n % 3), from(HERE), 4, 99).unwrap()).collect();
        let refused = peers.refuse(key(7), from(HERE));
        slots[4].count_for(elsewhere);
        slots[4].count_for(elsewhere);
        let first = peers.list(0, 4);
        assert_eq!(first.len(), 4);
        let rest = peers.list(first[3].id, 4);
        assert_eq!(rest.iter().map(|open| open.requests).collect::<Vec<_>>(), [2, 0]);
        assert_eq!((rest[0].address, rest[0].key), (elsewhere, *key(1).public_key()));
        assert!(peers.list(rest[1].id, 4).is_empty() && peers.list(u64::MAX, 4).is_empty());

        let of_key = |wanted: u16| move |found: &PublicKey, _| found == key(wanted).public_key();
        assert_eq!(peers.end(Loss::Disconnected, of_key(0)), 2);
        assert_eq!(peers.end(Loss::Disconnected, of_key(0)), 0, "they are leaving already");
        assert_eq!(peers.end(Loss::Banned, |_, address| address == elsewhere), 1);
        let lost: Vec<_> = slots.iter().map(|slot| slot.signals.loss.get().copied()).collect();
        let (ended, banned) = (Some(Loss::Disconnected), Some(Loss::Banned));
        assert_eq!(lost, [ended, None, None, ended, banned, None]);
        assert!(!is_lost(&refused));
        assert_eq!(peers.count(), 3);
        drop((slots, refused));
        assert!(peers.state().members.is_empty() && peers.state().leaving.is_empty());
    }

    #[test]
    fn those_that_are_leaving_are_bounded_and_the_busiest_source_is_cut() {
        let peers = Peers::default();
        let _held = peers.enter(key(1), from(HERE), 4, 1).unwrap();
        let honest = peers.enter(key(2), from([7, 7, 7, 7]), 4, 1).unwrap_err();
        let mut refused = Vec::new();
        for n in 0..2 * MAX_LEAVING {
            refused.push(peers.enter(key(n as u16), from(HERE), 4, 1).unwrap_err());
        }
        assert_eq!(peers.state().leaving.len(), MAX_LEAVING);
        assert!(refused[0].signals.cut.is_cancelled());
        assert!(!honest.signals.cut.is_cancelled());
    }
}
