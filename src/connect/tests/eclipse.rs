//! An attacker who has a few addresses, and with all their ports ids nearer to any key than any other node.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use super::world::{Peer, dial_to, firewalled, key, listen_as, reachable_at, sockets};
use crate::connect::{Config, Failure};
use crate::dht;
use crate::keys::KeyPair;
use crate::sim::attacker::Attacker;
use crate::sim::network::{Host, HostId, Link, Network, SocketOrder};
use crate::wire::transmit::{SocketId, Transmit};

#[test]
fn a_server_is_reached_although_an_attacker_is_nearer_to_its_key_than_everybody() {
    let outcome = Siege::new(1, 60, 4).run(4, 5);
    assert_eq!(outcome.reached, outcome.dials, "{outcome:?}");
    // Nodes that claim to know the server and stay silent delay no client for long.
    assert!(outcome.slowest < Duration::from_secs(5), "{outcome:?}");
}

/// As above, with a thousand nodes; takes a minute in a release build.
#[test]
#[ignore = "long"]
fn a_thousand_nodes_and_an_attacker() {
    let outcome = Siege::new(2, 1000, 4).run(20, 10);
    println!("{outcome:?}");
    assert!(outcome.reached * 100 >= outcome.dials * 95, "{outcome:?}");
}

/// What came of some dials by clients that knew the bootstrap nodes only.
#[derive(Debug, Default)]
struct Outcome {
    dials: usize,
    reached: usize,
    failures: Vec<Failure>,
    slowest: Duration,
}

/// Honest nodes, and an attacker whose names are as near to the servers' keys as they get.
struct Siege {
    network: Network<Machine>,
    bootstrap: Vec<SocketAddrV4>,
    honest: Vec<SocketAddrV4>,
    attacker: Option<HostId>,
    hosts: u32,
}

impl Siege {
    fn new(seed: u64, honest: usize, addresses: u8) -> Self {
        let link = Link { delay: Duration::from_millis(20), ..Link::default() };
        let mut siege = Self {
            network: Network::new(seed, link),
            bootstrap: Vec::new(),
            honest: Vec::new(),
            attacker: None,
            hosts: 0,
        };
        for number in 0..honest {
            let address = siege.free_address();
            siege.add(address, reachable_at(address));
            siege.honest.push(address);
            if number < 3 {
                siege.bootstrap.push(address);
            }
        }
        let addresses = (0..addresses).map(|_| *siege.free_address().ip()).collect();
        let attacker = Attacker::new(addresses);
        let sockets = attacker.sockets();
        let attacker = Machine::Attacker(Box::new(attacker));
        siege.attacker = Some(siege.network.add(attacker, &sockets));
        siege
    }

    /// Lets so many servers come, and so many clients for each.
    fn run(mut self, servers: u8, clients: usize) -> Outcome {
        let mut outcome = Outcome::default();
        for number in 0..servers {
            let key_pair = key(number);
            self.surround(&key_pair.public_key().target());
            let server = self.guest();
            let listen = listen_as(key_pair.clone());
            let id =
                self.peer(server, |peer, now| peer.endpoint.listen(now, listen).expect("the key is new"));
            self.network.run_until(LIMIT, |network| peer(network.host(server)).listening.contains(&id));
            // The last announcements are acknowledged.
            self.network.run_for(Duration::from_secs(2));
            for _ in 0..clients {
                self.dial(&key_pair, server, &mut outcome);
            }
        }
        outcome
    }

    fn dial(&mut self, key_pair: &KeyPair, server: HostId, outcome: &mut Outcome) {
        let client = self.guest();
        let dial = dial_to(*key_pair.public_key());
        let accepted = peer(self.network.host(server)).established.len();
        let attempt = self.peer(client, |peer, now| peer.endpoint.connect(now, dial));
        let took = self.network.run_until(LIMIT, |network| peer(network.host(client)).has_ended(attempt));
        outcome.dials += 1;
        outcome.slowest = outcome.slowest.max(took);
        if peer(self.network.host(client)).find(attempt).is_some() {
            outcome.reached += 1;
            // And it is that server, not another.
            self.network.run_until(LIMIT, |network| peer(network.host(server)).established.len() > accepted);
        }
        let failed = peer(self.network.host(client)).failed.get(&attempt);
        outcome.failures.extend(failed);
        self.network.retire(client);
    }

    /// Makes the attacker's nearest names known to every node.
    fn surround(&mut self, target: &[u8; 32]) {
        let Some(Machine::Attacker(attacker)) = self.attacker.map(|id| self.network.host(id)) else {
            return;
        };
        for (id, own) in attacker.nearest(target, NAMES) {
            for victim in &self.honest {
                let ping = Attacker::introduction(id, *victim);
                self.network.inject(own, *victim, ping);
            }
            self.network.run_for(Duration::from_millis(100));
        }
    }

    /// Adds a peer that knows the bootstrap nodes only, and does not wait to know more.
    fn guest(&mut self) -> HostId {
        let address = self.free_address();
        self.add(address, firewalled())
    }

    fn add(&mut self, server: SocketAddrV4, config: dht::Config) -> HostId {
        let config =
            Config { dht: dht::Config { bootstrap: self.bootstrap.clone(), ..config }, ..Config::default() };
        let (now, seed) = (self.network.now(), self.network.seed());
        let peer = Peer::join(now, config, seed, server);
        let machine = Machine::Peer(Box::new(peer));
        let id = self.network.add(machine, &sockets(server));
        if self.attacker.is_none() {
            self.network.run_for(Duration::from_millis(500));
        }
        id
    }

    fn peer<T>(&mut self, id: HostId, change: impl FnOnce(&mut Peer, Instant) -> T) -> T {
        self.network.with(id, |machine, now| match machine {
            Machine::Peer(peer) => change(peer, now),
            Machine::Attacker(_) => panic!("not a peer"),
        })
    }

    /// Returns an address in a network of its own.
    fn free_address(&mut self) -> SocketAddrV4 {
        self.hosts += 1;
        let [_, a, b, _] = (self.hosts << 8).to_be_bytes();
        SocketAddrV4::new(Ipv4Addr::new(88, a, b, 1), 49737)
    }
}

fn peer(machine: &Machine) -> &Peer {
    match machine {
        Machine::Peer(peer) => peer,
        Machine::Attacker(_) => panic!("not a peer"),
    }
}

enum Machine {
    Peer(Box<Peer>),
    Attacker(Box<Attacker>),
}

impl Host for Machine {
    fn handle_datagram(&mut self, now: Instant, socket: SocketId, from: SocketAddrV4, datagram: &[u8]) {
        match self {
            Self::Peer(peer) => peer.handle_datagram(now, socket, from, datagram),
            Self::Attacker(attacker) => attacker.handle_datagram(now, socket, from, datagram),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if let Self::Peer(peer) = self {
            peer.handle_timeout(now);
        }
    }

    fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        match self {
            Self::Peer(peer) => peer.poll_transmit(now),
            Self::Attacker(attacker) => attacker.poll_transmit(now),
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Peer(peer) => peer.poll_timeout(),
            Self::Attacker(_) => None,
        }
    }

    fn poll_socket(&mut self) -> Option<SocketOrder> {
        match self {
            Self::Peer(peer) => peer.poll_socket(),
            Self::Attacker(_) => None,
        }
    }

    fn handle_socket(&mut self, now: Instant, socket: SocketId, local: Option<SocketAddrV4>) {
        if let Self::Peer(peer) = self {
            peer.handle_socket(now, socket, local);
        }
    }
}

/// Names next to a key that the attacker makes known.
const NAMES: usize = 40;
/// Longer than anything here may take.
const LIMIT: Duration = Duration::from_secs(60);
