//! The state of a swarm, and what concerns all of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddrV4;
use std::time::Instant;

use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::peers::Peers;
use super::rivals::{ConnectionId, Rivals};
use super::topic::{QueryId, Step, Topic};
use crate::PublicKey;
use crate::slots::Slots;
use crate::swarm::info::{PeerInfo, SwarmEvent, SwarmStats};
use crate::swarm::settings::Settings;

/// Something to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::swarm) enum Action {
    /// Dial a peer; answered with `dial_opened` or `dial_failed`.
    Dial {
        id: ConnectionId,
        key: PublicKey,
        /// Nodes of the DHT that probably know the peer.
        relay_addresses: Vec<SocketAddrV4>,
        /// Whether a direct path could not be opened before.
        relayed: bool,
    },
    /// Hand a connection to the user.
    Use { id: ConnectionId, info: PeerInfo },
    /// Reset a connection, or end a dial. Nothing more is to be said of it.
    Drop(ConnectionId),
    /// Run a query; answered with `found` and `query_over`.
    Query { topic: [u8; 32], query: QueryId, step: Step },
    /// End a query. Nothing more is to be said of it.
    Cancel(QueryId),
    /// Tell the user.
    Event(SwarmEvent),
    /// The refresh of a topic is over; `succeeded` if no query of it has failed or was given up.
    Refreshed { topic: [u8; 32], succeeded: bool },
    /// A topic that was left is not announced any more.
    Left([u8; 32]),
    /// A flush is over.
    Flushed(FlushId),
    /// A swarm that was suspended or closed has nothing under way any more.
    Quiet,
}

/// Names one call of `flush`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::swarm) struct FlushId(pub(in crate::swarm) u64);

/// A call that waits: first for the refreshes under way, then for one try of each peer that waits by then.
#[derive(Debug)]
pub(super) struct Flush {
    pub(super) id: FlushId,
    pub(super) topics: BTreeSet<[u8; 32]>,
    pub(super) peers: Option<BTreeSet<PublicKey>>,
}

/// The decisions of a swarm.
#[derive(Debug)]
pub(in crate::swarm) struct Core {
    pub(super) settings: Settings,
    pub(super) own: PublicKey,
    pub(super) rng: StdRng,
    pub(super) topics: BTreeMap<[u8; 32], Topic>,
    pub(super) peers: Peers,
    /// Whose each connection and dial is.
    pub(super) keys: BTreeMap<ConnectionId, PublicKey>,
    /// The connections that peers have dialled, by source.
    pub(super) inbound: Slots<ConnectionId>,
    pub(super) counts: Counts,
    pub(super) flushes: Vec<Flush>,
    pub(super) next_id: u64,
    pub(super) stats: SwarmStats,
    pub(super) phase: Phase,
    actions: VecDeque<Action>,
}

/// What counts towards the bounds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    /// Dials under way.
    pub(super) dialling: usize,
    /// Those of them that have taken long already.
    pub(super) slow: usize,
    /// Connections in use that this side has dialled.
    pub(super) dialled: usize,
    /// Connections in use that peers have dialled.
    pub(super) served: usize,
    /// Explicit peers.
    pub(super) explicit: usize,
}

/// What a swarm does at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    Suspended,
    Closed,
}

impl Core {
    pub(in crate::swarm) fn new(own: PublicKey, settings: Settings, seed: [u8; 32]) -> Self {
        Self {
            settings,
            own,
            rng: StdRng::from_seed(seed),
            topics: BTreeMap::new(),
            peers: Peers::new(own),
            keys: BTreeMap::new(),
            inbound: Slots::default(),
            counts: Counts::default(),
            flushes: Vec::new(),
            next_id: 0,
            stats: SwarmStats::default(),
            phase: Phase::Running,
            actions: VecDeque::new(),
        }
    }

    /// Returns what is to be done next.
    pub(in crate::swarm) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Returns when to call [`Self::handle_timeout`].
    pub(in crate::swarm) fn poll_timeout(&self) -> Option<Instant> {
        if self.phase != Phase::Running {
            return None;
        }
        let topics = self.topics.values().filter_map(Topic::deadline);
        topics.chain(self.peers.next_alarm()).min()
    }

    /// Does what is due.
    pub(in crate::swarm) fn handle_timeout(&mut self, now: Instant) {
        for key in self.peers.ringing(now) {
            self.peer_timeout(key, now);
        }
        for topic in self.topics.keys().copied().collect::<Vec<_>>() {
            self.topic_timeout(topic, now);
        }
        self.dial_more(now);
    }

    pub(in crate::swarm) fn is_suspended(&self) -> bool {
        self.phase == Phase::Suspended
    }

    pub(in crate::swarm) fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    pub(in crate::swarm) fn stats(&self) -> SwarmStats {
        SwarmStats {
            connections: self.counts.dialled + self.counts.served,
            dialling: self.counts.dialling,
            peers: self.peers.len(),
            queued: self.peers.queued().count(),
            topics: self.topics.values().filter(|topic| !topic.is_left()).count(),
            ..self.stats
        }
    }

    /// Returns what is known of a peer. A key that was only claimed is not.
    pub(in crate::swarm) fn peer(&self, key: &PublicKey) -> Option<PeerInfo> {
        self.peers.get(key).filter(|peer| peer.is_known()).map(|peer| peer.info(*key))
    }

    /// Returns what is known of all peers.
    pub(in crate::swarm) fn peers(&self) -> Vec<PeerInfo> {
        let known = self.peers.iter().filter(|(_, peer)| peer.is_known());
        known.map(|(key, peer)| peer.info(*key)).collect()
    }

    /// Ends all connections and dials, withdraws what is announced, and plans nothing, until
    /// [`Self::resume`]. [`Action::Quiet`] follows.
    pub(in crate::swarm) fn suspend(&mut self) {
        if self.phase == Phase::Running {
            self.phase = Phase::Suspended;
            self.stop();
        }
        self.settle_down();
    }

    /// Goes on after [`Self::suspend`].
    pub(in crate::swarm) fn resume(&mut self, now: Instant) {
        if self.phase != Phase::Suspended {
            return;
        }
        self.phase = Phase::Running;
        self.refresh_all(now);
        for key in self.peers.keys() {
            if self.peers.get(&key).is_some_and(|peer| peer.explicit) {
                self.peers.enqueue(key, &mut self.rng);
            }
        }
        self.dial_more(now);
    }

    /// Ends all for good. [`Action::Quiet`] follows.
    pub(in crate::swarm) fn close(&mut self) {
        if self.phase != Phase::Closed {
            let was_running = self.phase == Phase::Running;
            self.phase = Phase::Closed;
            if was_running {
                self.stop();
            }
        }
        self.settle_down();
    }

    fn stop(&mut self) {
        for id in std::mem::take(&mut self.keys).into_keys() {
            self.inbound.remove(&id);
            self.push(Action::Drop(id));
        }
        self.stats.client_closed += self.counts.dialled as u64;
        self.stats.server_closed += self.counts.served as u64;
        self.counts = Counts { explicit: self.counts.explicit, ..Counts::default() };
        for key in self.peers.keys() {
            self.peers.forget_plans(&key);
            let own = self.own;
            if let Some(peer) = self.peers.get_mut(&key) {
                let was_connected = peer.rivals.used().is_some();
                peer.rivals = Rivals::new(own > key);
                peer.disconnected();
                peer.dial_over();
                let info = peer.info(key);
                if was_connected {
                    self.push(Action::Event(SwarmEvent::Disconnected(info)));
                }
            }
            self.settle(key);
        }
        for topic in self.topics.keys().copied().collect::<Vec<_>>() {
            let given_up = self.topics.get_mut(&topic).and_then(Topic::suspend);
            self.cancel(given_up);
            self.step(topic);
            if self.is_refreshed(&topic) {
                self.push(Action::Refreshed { topic, succeeded: false });
            }
        }
        self.flush_all();
    }

    /// Reports the end of a suspension's or a close's work.
    pub(super) fn settle_down(&mut self) {
        if self.phase != Phase::Running && self.topics.values().all(Topic::is_idle) {
            self.push(Action::Quiet);
        }
    }

    pub(super) fn push(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    pub(super) fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }
}
