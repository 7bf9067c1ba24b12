//! One core and what its tests do with it.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::PublicKey;
use crate::slots::Source;
use crate::swarm::core::{Action, ConnectionId, Core, Join, QueryId, SessionId, Step};
use crate::swarm::info::{PeerInfo, SwarmEvent};
use crate::swarm::settings::Settings;

pub(super) const TOPIC: [u8; 32] = [1; 32];

/// A core with the key 100, so that it wins ties against smaller keys and loses against greater ones.
pub(super) struct Script {
    pub(super) core: Core,
    pub(super) now: Instant,
    pub(super) events: Vec<SwarmEvent>,
}

/// What a script is interested in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Did {
    Dial(ConnectionId, PublicKey),
    Use(ConnectionId),
    Drop(ConnectionId),
    Query(Step, QueryId),
    Cancel(QueryId),
    Refreshed(bool),
    Left,
    Flushed,
    Quiet,
}

impl Script {
    pub(super) fn new() -> Self {
        Self::with(Settings::default())
    }

    pub(super) fn with(settings: Settings) -> Self {
        Self { core: Core::new(key(100), settings, [7; 32]), now: Instant::now(), events: Vec::new() }
    }

    /// Joins the topic as a client, and ends the lookup after it has named peers.
    pub(super) fn finds(&mut self, keys: impl IntoIterator<Item = u8>) -> Vec<Did> {
        self.core.join(TOPIC, SessionId(0), Join::client(), self.now);
        let query = query_of(&self.did());
        for name in keys {
            self.core.found(TOPIC, query, key(name), Vec::new(), self.now);
        }
        self.core.query_over(TOPIC, query, true, self.now);
        let mut did = self.did();
        // Another lookup that finds nobody new: the next one is ten minutes away.
        self.core.refresh(TOPIC, self.now);
        did.extend(self.did());
        self.core.query_over(TOPIC, query_of(&did), true, self.now);
        did.extend(self.did());
        did.retain(|did| !matches!(did, Did::Query(..) | Did::Refreshed(_)));
        did
    }

    /// A peer dials, from an address of its own; returns the name of the connection.
    pub(super) fn came(&mut self, name: u8) -> ConnectionId {
        let source = Source::direct(Ipv4Addr::new(10, name, 0, 1));
        self.core.came(key(name), source, self.now).expect("it is admitted")
    }

    /// Lets time pass, and does all that becomes due.
    pub(super) fn wait(&mut self, time: Duration) -> Vec<Did> {
        let end = self.now + time;
        let mut did = Vec::new();
        while let Some(at) = self.core.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.core.handle_timeout(self.now);
            did.extend(self.did());
        }
        self.now = end;
        did
    }

    /// Returns what is to be done, and keeps the events.
    pub(super) fn did(&mut self) -> Vec<Did> {
        let mut did = Vec::new();
        while let Some(action) = self.core.poll_action() {
            did.push(match action {
                Action::Dial { id, key, .. } => Did::Dial(id, key),
                Action::Use { id, .. } => Did::Use(id),
                Action::Drop(id) => Did::Drop(id),
                Action::Query { query, step, .. } => Did::Query(step, query),
                Action::Cancel(query) => Did::Cancel(query),
                Action::Refreshed { succeeded, .. } => Did::Refreshed(succeeded),
                Action::Left(_) => Did::Left,
                Action::Flushed(_) => Did::Flushed,
                Action::Quiet => Did::Quiet,
                Action::Event(event) => {
                    self.events.push(event);
                    continue;
                }
            });
        }
        did
    }

    pub(super) fn peer(&self, name: u8) -> Option<PeerInfo> {
        self.core.peer(&key(name))
    }
}

pub(super) fn key(name: u8) -> PublicKey {
    PublicKey::from_bytes([name; 32])
}

/// Returns the query that is begun.
pub(super) fn query_of(did: &[Did]) -> QueryId {
    let begun = did.iter().find_map(|did| match did {
        Did::Query(_, query) => Some(*query),
        _ => None,
    });
    begun.unwrap_or_else(|| panic!("no query in {did:?}"))
}

/// Returns the steps that are begun.
pub(super) fn steps(did: &[Did]) -> Vec<Step> {
    let steps = did.iter().filter_map(|did| match did {
        Did::Query(step, _) => Some(*step),
        _ => None,
    });
    steps.collect()
}

/// Returns whom is dialled, and under which name.
pub(super) fn dials(did: &[Did]) -> Vec<(ConnectionId, PublicKey)> {
    let dials = did.iter().filter_map(|did| match did {
        Did::Dial(id, key) => Some((*id, *key)),
        _ => None,
    });
    dials.collect()
}

/// Returns the one dial.
pub(super) fn dial(did: &[Did]) -> ConnectionId {
    let dials = dials(did);
    assert_eq!(dials.len(), 1, "{did:?}");
    dials[0].0
}
