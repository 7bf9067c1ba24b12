//! The builder of a swarm.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::driver::Allow;
use super::settings::{MAX_BACKOFF, Settings};
use crate::api::Dht;
use crate::{KeyPair, PublicKey};

/// Sets up a [`Swarm`](super::Swarm).
#[must_use = "a builder does nothing until `spawn`"]
pub struct SwarmBuilder {
    pub(super) dht: Dht,
    pub(super) key_pair: Option<KeyPair>,
    pub(super) settings: Settings,
    pub(super) allow: Option<Allow>,
    pub(super) relay: Option<PublicKey>,
    pub(super) seed: Option<[u8; 32]>,
}

impl fmt::Debug for SwarmBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SwarmBuilder").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl SwarmBuilder {
    pub(super) fn new(dht: &Dht) -> Self {
        let settings = Settings::default();
        Self { dht: dht.clone(), key_pair: None, settings, allow: None, relay: None, seed: None }
    }

    /// Sets the identity under which the swarm listens and dials. The default is a new one.
    pub fn key_pair(mut self, key_pair: &KeyPair) -> Self {
        self.key_pair = Some(key_pair.clone());
        self
    }

    /// Sets beyond how many connections no peer of a topic is dialled. Connections that peers have dialled
    /// count, and are taken beyond it. With one explicit peer ([`Swarm::join_peer`](super::Swarm::join_peer))
    /// the bound is a half of it, with two or three a third, with more a quarter, so that topics leave room
    /// for them. The default is 64.
    pub fn max_peers(mut self, peers: usize) -> Self {
        self.settings.max_peers = peers;
        self
    }

    /// Sets how many dials are under way at once. The default is 3, the least 1. A dial that has taken 1 s
    /// makes room for another; four times as many are under way at most.
    pub fn max_parallel(mut self, dials: usize) -> Self {
        self.settings.max_parallel = dials.max(1);
        self
    }

    /// Sets beyond how many connections that this side has dialled no peer of a topic is dialled. Dials
    /// under way count. There is no bound by default.
    pub fn max_client_connections(mut self, connections: usize) -> Self {
        self.settings.max_client_connections = connections;
        self
    }

    /// Sets how many connections that peers have dialled there are at most. Beyond it the newest one from
    /// the busiest network is ended, if that has more than the network of the newcomer; else the newcomer is.
    /// The default is 1,024; in JavaScript it has no effect.
    pub fn max_server_connections(mut self, connections: usize) -> Self {
        self.settings.max_server_connections = connections;
        self
    }

    /// Sets how long to wait before a peer is dialled again: after one, two and three attempts, and after
    /// more than that if it is explicit. Each time a random part between 0.66 and 1.32 of it is waited. The
    /// default is 1 s, 5 s, 15 s and 10 minutes.
    pub fn backoffs(mut self, backoffs: [Duration; 4]) -> Self {
        self.settings.backoffs = backoffs.map(|backoff| backoff.min(MAX_BACKOFF));
        self
    }

    /// Decides by their keys which peers may connect and which are dialled. By default all are.
    ///
    /// A client's key is not proven when this is asked: use it to refuse, never to count or to store. The
    /// option `firewall` in JavaScript has the opposite sense, and bans whom it refuses; here a peer is
    /// asked about again each time. A panic of it ends the swarm.
    pub fn allow(mut self, allows: impl Fn(&PublicKey) -> bool + Send + Sync + 'static) -> Self {
        self.allow = Some(Arc::new(allows));
        self
    }

    /// Sets a blind relay. Peers that dial this swarm may reach it through the relay; this swarm uses it for
    /// a dial if the node's NAT is random, or an earlier dial to that peer found no path.
    pub fn relay_through(mut self, relay: &PublicKey) -> Self {
        self.settings.relays = true;
        self.relay = Some(*relay);
        self
    }

    /// Derives the swarm's random choices from a seed. Only for tests.
    pub fn seed(mut self, seed: [u8; 32]) -> Self {
        self.seed = Some(seed);
        self
    }
}
