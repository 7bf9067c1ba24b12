//! The peers of a swarm: what is known of each, which one is dialled next, and when one is tried again.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddrV4;
use std::time::Instant;

use rand::Rng as _;
use rand::rngs::StdRng;

use super::rivals::{ConnectionId, Rivals};
use crate::PublicKey;
use crate::swarm::info::{PeerInfo, Priority};
use crate::swarm::settings::{SLOW_DIAL, STABLE};

/// What is known of a peer.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) rivals: Rivals,
    pub(super) topics: BTreeSet<[u8; 32]>,
    /// Nodes of the DHT that probably know the peer.
    pub(super) relay_addresses: Vec<SocketAddrV4>,
    pub(super) explicit: bool,
    pub(super) banned: bool,
    /// Whether it is dialled again after a connection has ended.
    pub(super) reconnects: bool,
    /// No direct path has opened: dialled through the relay, if there is one.
    pub(super) relayed: bool,
    /// Whether this side has dialled the last connection.
    client: bool,
    /// A dial has opened a connection since the peer was found.
    proven: bool,
    attempts: u32,
    priority: Priority,
    connected: Option<Instant>,
    /// When a dial of this side last gave way to one of the peer.
    yielded: Option<Instant>,
    /// When the dial under way counts as slow.
    slow: Option<Instant>,
    queued: Option<Place>,
    retry: Option<Instant>,
    /// What the alarms hold for it.
    alarm: Option<Instant>,
}

/// The place in the queue: explicit peers first, then by priority, then by chance.
type Place = (Reverse<bool>, Reverse<Priority>, u64);

/// All peers, the queue of those to dial, and the alarms of all.
#[derive(Debug)]
pub(super) struct Peers {
    own: PublicKey,
    known: BTreeMap<PublicKey, Peer>,
    queue: BTreeMap<Place, PublicKey>,
    alarms: BTreeSet<(Instant, PublicKey)>,
}

impl Peer {
    fn new(initiates: bool) -> Self {
        Self {
            rivals: Rivals::new(initiates),
            topics: BTreeSet::new(),
            relay_addresses: Vec::new(),
            explicit: false,
            banned: false,
            reconnects: true,
            relayed: false,
            client: false,
            proven: false,
            attempts: 0,
            priority: Priority::Normal,
            connected: None,
            yielded: None,
            slow: None,
            queued: None,
            retry: None,
            alarm: None,
        }
    }

    /// Returns whether nothing needs the record.
    fn is_idle(&self) -> bool {
        let kept = self.explicit || self.banned || !self.reconnects;
        self.rivals.is_empty() && self.queued.is_none() && self.retry.is_none() && !kept
    }

    /// Returns whether there is more of it than claims of its key.
    pub(super) fn is_known(&self) -> bool {
        let is_here = self.rivals.used().is_some() || self.rivals.dial().is_some();
        is_here || !self.topics.is_empty() || self.explicit || self.banned || !self.reconnects
    }

    /// Returns whether the peer waits to be dialled, or to be tried again.
    pub(super) const fn is_planned(&self) -> bool {
        self.queued.is_some() || self.retry.is_some()
    }

    /// Returns whether the peer waits to be tried again.
    pub(super) const fn waits(&self) -> bool {
        self.retry.is_some()
    }

    /// Notes that a lookup has found the peer again: unless this side is the one that retries, it starts anew
    /// (`hyperswarm index.js`, `_handlePeer`).
    pub(super) fn found_again(&mut self) {
        if self.priority < Priority::Normal || !self.client {
            self.client = false;
            self.proven = false;
            self.attempts = 0;
        }
    }

    /// Notes that a connection is used.
    pub(super) fn opened(&mut self, dialled: bool, now: Instant) {
        self.client = dialled;
        if dialled {
            self.proven = true;
            self.connected = Some(now);
        }
    }

    /// Notes that the peer is dialled.
    pub(super) fn dialled(&mut self, id: ConnectionId, now: Instant) {
        self.rivals.dialled(id);
        self.slow = Some(now + SLOW_DIAL);
    }

    /// Returns whether the dial under way has just become slow.
    pub(super) fn becomes_slow(&mut self, now: Instant) -> bool {
        self.slow.take_if(|at| *at <= now).is_some()
    }

    /// Notes the end of a dial; returns whether it was slow.
    pub(super) fn dial_over(&mut self) -> bool {
        self.slow.take().is_none()
    }

    /// Notes that a dial has failed, or that the connection which it had opened has ended.
    pub(super) fn ended(&mut self, now: Instant) {
        let connected = self.connected.take();
        if connected.is_some_and(|since| now.saturating_duration_since(since) >= STABLE) {
            self.attempts = 0;
        }
        self.attempts += 1;
    }

    /// Notes that nothing is connected any more, for no fault of the peer.
    pub(super) fn disconnected(&mut self) {
        self.connected = None;
    }

    /// Notes that another connection has taken the place of the one that this side has dialled, or dials.
    pub(super) fn replaced(&mut self, now: Instant) {
        self.connected = None;
        self.yielded = Some(now);
    }

    /// Returns whether that was a short time ago.
    pub(super) fn has_yielded(&self, now: Instant) -> bool {
        self.yielded.is_some_and(|at| now.saturating_duration_since(at) < STABLE)
    }

    /// Lets the next dial go through the relay, and soon.
    pub(super) fn relay(&mut self) {
        if !self.relayed {
            self.relayed = true;
            self.attempts = 0;
        }
    }

    /// Returns which of the times to wait applies before the peer is dialled again; `None` if it is not.
    pub(super) const fn backoff(&self) -> Option<usize> {
        if self.banned || !self.reconnects {
            return None;
        }
        match (self.attempts, self.proven) {
            (0, _) | (1, true) => Some(0),
            (1, false) | (2, true) => Some(1),
            (2, false) | (3, _) => Some(2),
            _ if self.explicit => Some(3),
            _ => None,
        }
    }

    /// Sets the priority; returns whether the peer may be dialled.
    fn prioritize(&mut self) -> bool {
        if self.explicit && self.attempts > 3 {
            self.attempts = 3;
        }
        self.priority = match self.attempts {
            0 => Priority::Normal,
            // As `peerIsStale` of the reference means it, which never sets `tried`: those that nobody answers
            // for, of which a stranger can announce many, do not hold up the others.
            _ if !self.proven => Priority::VeryLow,
            1 => Priority::VeryHigh,
            2 => Priority::High,
            3 => Priority::Low,
            _ => Priority::VeryLow,
        };
        !self.banned && self.attempts <= 3
    }

    pub(super) fn info(&self, key: PublicKey) -> PeerInfo {
        PeerInfo {
            public_key: key,
            topics: self.topics.iter().copied().collect(),
            client: self.client,
            connected: self.rivals.used().is_some(),
            explicit: self.explicit,
            banned: self.banned,
            priority: self.priority,
            attempts: self.attempts,
        }
    }
}

impl Peers {
    pub(super) const fn new(own: PublicKey) -> Self {
        Self { own, known: BTreeMap::new(), queue: BTreeMap::new(), alarms: BTreeSet::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    pub(super) fn queued(&self) -> impl Iterator<Item = &PublicKey> {
        self.queue.values()
    }

    pub(super) fn get(&self, key: &PublicKey) -> Option<&Peer> {
        self.known.get(key)
    }

    pub(super) fn get_mut(&mut self, key: &PublicKey) -> Option<&mut Peer> {
        self.known.get_mut(key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&PublicKey, &Peer)> {
        self.known.iter()
    }

    pub(super) fn keys(&self) -> Vec<PublicKey> {
        self.known.keys().copied().collect()
    }

    /// Returns the record of a peer, made if there is none.
    pub(super) fn upsert(&mut self, key: PublicKey) -> &mut Peer {
        let initiates = self.own > key;
        self.known.entry(key).or_insert_with(|| Peer::new(initiates))
    }

    /// Puts a peer into the queue, unless it is there or may not be dialled. Returns whether it was put
    /// there.
    pub(super) fn enqueue(&mut self, key: PublicKey, rng: &mut StdRng) -> bool {
        let Some(peer) = self.known.get_mut(&key) else {
            return false;
        };
        if peer.queued.is_some() || !peer.prioritize() || !peer.rivals.may_dial() {
            return false;
        }
        peer.retry = None;
        let place = (Reverse(peer.explicit), Reverse(peer.priority), rng.r#gen());
        peer.queued = Some(place);
        self.queue.insert(place, key);
        true
    }

    /// Takes the peer to be dialled next out of the queue; where there are enough connections already, an
    /// explicit one or none.
    pub(super) fn take_next(&mut self, only_explicit: bool) -> Option<PublicKey> {
        let entry = self.queue.first_entry()?;
        let (Reverse(explicit), ..) = *entry.key();
        if only_explicit && !explicit {
            return None;
        }
        let key = entry.remove();
        if let Some(peer) = self.known.get_mut(&key) {
            peer.queued = None;
        }
        Some(key)
    }

    /// Takes a peer out of the queue and lets nothing wait for it.
    pub(super) fn forget_plans(&mut self, key: &PublicKey) {
        if let Some(peer) = self.known.get_mut(key) {
            peer.retry = None;
            if let Some(place) = peer.queued.take() {
                self.queue.remove(&place);
            }
        }
    }

    /// Has a peer tried again at a time.
    pub(super) fn retry(&mut self, key: &PublicKey, at: Instant) {
        if let Some(peer) = self.known.get_mut(key) {
            peer.retry = Some(at);
        }
    }

    /// Returns whether a retry is due, and takes it.
    pub(super) fn take_retry(&mut self, key: &PublicKey, now: Instant) -> bool {
        let peer = self.known.get_mut(key);
        peer.is_some_and(|peer| peer.retry.take_if(|at| *at <= now).is_some())
    }

    /// Brings the alarm of a peer up to date, and forgets a peer that nothing needs: returns its topics then.
    pub(super) fn settle(&mut self, key: &PublicKey) -> Option<BTreeSet<[u8; 32]>> {
        let peer = self.known.get_mut(key)?;
        let alarm = peer.retry.into_iter().chain(peer.rivals.deadline()).chain(peer.slow).min();
        if peer.alarm != alarm {
            if let Some(before) = peer.alarm {
                self.alarms.remove(&(before, *key));
            }
            self.alarms.extend(alarm.map(|at| (at, *key)));
            peer.alarm = alarm;
        }
        if !peer.is_idle() {
            return None;
        }
        self.known.remove(key).map(|peer| peer.topics)
    }

    /// Returns when the next alarm rings.
    pub(super) fn next_alarm(&self) -> Option<Instant> {
        self.alarms.first().map(|(at, _)| *at)
    }

    /// Returns the peers whose alarm has rung. They stay until [`Self::settle`] sets another one.
    pub(super) fn ringing(&self, now: Instant) -> Vec<PublicKey> {
        self.alarms.iter().take_while(|(at, _)| *at <= now).map(|(_, key)| *key).collect()
    }
}
