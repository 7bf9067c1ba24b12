//! What sits at an address: a node, or an attacker.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::time::Instant;

use hyperprofile::PublicKey;
use hyperprofile::dht::{Event, Node, QueryError, QueryId, QueryOutcome};
use hyperprofile::sim::attacker::Attacker;
use hyperprofile::sim::network::Host;
use hyperprofile::wire::compact::Decode;
use hyperprofile::wire::records::LookupReply;
use hyperprofile::wire::transmit::{SocketId, Transmit};

/// A host of the simulated network.
pub(crate) enum Machine {
    Node(Box<Guest>),
    Attacker(Box<Attacker>),
    /// One that has left.
    Gone,
}

/// A node and the queries that it runs for the measurement.
pub(crate) struct Guest {
    pub(crate) node: Node,
    pub(crate) bootstrapped: bool,
    pub(crate) lookups: BTreeMap<QueryId, Lookup>,
    pub(crate) done: Vec<Done>,
    clock: Instant,
}

/// A lookup under way.
pub(crate) struct Lookup {
    pub(crate) key: PublicKey,
    pub(crate) started: Instant,
    pub(crate) found: Option<Instant>,
}

/// How a lookup ended.
pub(crate) struct Done {
    pub(crate) lookup: Lookup,
    pub(crate) ended: Instant,
    pub(crate) result: Result<QueryOutcome, QueryError>,
}

impl Guest {
    pub(crate) fn new(node: Node, now: Instant) -> Self {
        Self { node, bootstrapped: false, lookups: BTreeMap::new(), done: Vec::new(), clock: now }
    }

    fn take_events(&mut self) {
        while let Some(event) = self.node.poll_event() {
            match event {
                Event::Bootstrapped { reached } => self.bootstrapped = reached > 0,
                Event::QueryAnswer { query, answer } => {
                    let Some(lookup) = self.lookups.get_mut(&query) else {
                        continue;
                    };
                    let reply = answer.value.as_deref().map(LookupReply::from_bytes);
                    let Some(Ok(reply)) = reply else {
                        continue;
                    };
                    // The attacker's records are of another key. One of the right key would lead nowhere: it
                    // takes the secret key to answer.
                    if reply.peers.iter().any(|peer| peer.public_key == lookup.key) {
                        lookup.found.get_or_insert(self.clock);
                    }
                }
                Event::QueryDone { query, result } => {
                    if let Some(lookup) = self.lookups.remove(&query) {
                        self.done.push(Done { lookup, ended: self.clock, result });
                    }
                }
                _ => {}
            }
        }
    }
}

impl Host for Machine {
    fn handle_datagram(&mut self, now: Instant, socket: SocketId, from: SocketAddrV4, datagram: &[u8]) {
        match self {
            Self::Node(guest) => {
                guest.clock = now;
                guest.node.handle_datagram(now, socket, from, datagram);
                guest.take_events();
            }
            Self::Attacker(attacker) => attacker.handle_datagram(now, socket, from, datagram),
            Self::Gone => {}
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if let Self::Node(guest) = self {
            guest.clock = now;
            guest.node.handle_timeout(now);
            guest.take_events();
        }
    }

    fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        match self {
            Self::Node(guest) => {
                guest.clock = now;
                guest.take_events();
                guest.node.poll_transmit()
            }
            Self::Attacker(attacker) => attacker.poll_transmit(now),
            Self::Gone => None,
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Node(guest) => guest.node.poll_timeout().map(|next| next.0),
            _ => None,
        }
    }
}
