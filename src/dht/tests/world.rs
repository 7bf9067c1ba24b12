//! A world of nodes in virtual time, for the tests of this folder.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use crate::dht::{
    Answer, Config, Event, Mode, Node, Operation, QueryError, QueryId, QueryOutcome, RequestError, RequestId,
    Target,
};
use crate::keys::{KeyPair, PublicKey};
use crate::sim::network::{Host, HostId, Link, Network};
use crate::wire::transmit::{SocketId, Transmit};

/// A node together with the events that it has emitted.
pub(crate) struct Machine {
    pub(crate) node: Node,
    pub(crate) events: Vec<Event>,
}

impl Host for Machine {
    fn handle_datagram(&mut self, now: Instant, socket: SocketId, from: SocketAddrV4, datagram: &[u8]) {
        self.node.handle_datagram(now, socket, from, datagram);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.node.handle_timeout(now);
    }

    fn poll_transmit(&mut self, _now: Instant) -> Option<Transmit> {
        while let Some(event) = self.node.poll_event() {
            self.events.push(event);
        }
        self.node.poll_transmit()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.node.poll_timeout().map(|next| next.0)
    }
}

impl Machine {
    pub(crate) fn bootstrapped(&self) -> Option<usize> {
        self.events.iter().find_map(|event| match event {
            Event::Bootstrapped { reached } => Some(*reached),
            _ => None,
        })
    }

    pub(crate) fn done(&self, query: QueryId) -> Option<&Result<QueryOutcome, QueryError>> {
        self.events.iter().find_map(|event| match event {
            Event::QueryDone { query: ended, result } if *ended == query => Some(result),
            _ => None,
        })
    }

    pub(crate) fn answers(&self, query: QueryId) -> impl Iterator<Item = &Answer> {
        self.events.iter().filter_map(move |event| match event {
            Event::QueryAnswer { query: of, answer } if *of == query => Some(answer),
            _ => None,
        })
    }

    pub(crate) fn answered(&self, request: RequestId) -> Option<&Result<Answer, RequestError>> {
        self.events.iter().find_map(|event| match event {
            Event::Answered { request: of, result } if *of == request => Some(result),
            _ => None,
        })
    }
}

/// Nodes that know each other through the first one.
pub(crate) struct World {
    pub(crate) network: Network<Machine>,
    pub(crate) nodes: Vec<HostId>,
}

impl World {
    /// Starts `count` persistent nodes one after the other, each bootstrapping from the first.
    pub(crate) fn new(seed: u64, count: usize, link: Link) -> Self {
        let mut world = Self { network: Network::new(seed, link), nodes: Vec::new() };
        for _ in 0..count {
            world.join(server());
        }
        world
    }

    /// Starts another node and waits until it has bootstrapped.
    pub(crate) fn join(&mut self, config: Config) -> HostId {
        let id = self.start(config);
        let done = |network: &mut Network<Machine>| network.host(id).bootstrapped().is_some();
        self.network.run_until(Duration::from_secs(60), done);
        id
    }

    /// Starts another node, bootstrapping from the first.
    pub(crate) fn start(&mut self, config: Config) -> HostId {
        self.start_at(config, address(self.nodes.len()))
    }

    /// Starts another node that takes `local` for the address of its server socket.
    pub(crate) fn start_at(&mut self, config: Config, local: SocketAddrV4) -> HostId {
        let number = self.nodes.len();
        let seed = self.network.seed();
        let bootstrap = if number == 0 { Vec::new() } else { vec![address(0)] };
        let bootstrap = if config.bootstrap.is_empty() { bootstrap } else { config.bootstrap.clone() };
        let config = Config { bootstrap, private_network: true, ..config };
        let (server, client) = (address(number), client_address(number));
        let mut node = Node::new(self.network.now(), config, seed);
        node.handle_sockets(self.network.now(), local, client);
        node.bootstrap(self.network.now());
        let machine = Machine { node, events: Vec::new() };
        let sockets = [(SocketId::SERVER, server), (SocketId::CLIENT, client)];
        let id = self.network.add(machine, &sockets);
        self.nodes.push(id);
        id
    }

    pub(crate) fn node(&self, id: HostId) -> &Node {
        &self.network.host(id).node
    }

    /// Starts an operation on a node, waits for its end and returns what came of its query.
    pub(crate) fn run(
        &mut self,
        id: HostId,
        operation: Operation,
    ) -> (Vec<Answer>, Result<QueryOutcome, QueryError>, Duration) {
        self.query(id, |node, now| node.start(now, operation).expect("it fits").0)
    }

    /// Starts a query on a node, waits for its end and returns what came of it.
    pub(crate) fn query(
        &mut self,
        id: HostId,
        start: impl FnOnce(&mut Node, Instant) -> QueryId,
    ) -> (Vec<Answer>, Result<QueryOutcome, QueryError>, Duration) {
        let query = self.network.with(id, |machine, now| start(&mut machine.node, now));
        let done = |network: &mut Network<Machine>| network.host(id).done(query).is_some();
        let took = self.network.run_until(Duration::from_secs(60), done);
        let machine = self.network.host(id);
        let answers = machine.answers(query).cloned().collect();
        let result = machine.done(query).cloned().expect("the query is done");
        (answers, result, took)
    }
}

/// Announces a key under a target, without relay addresses and bump.
pub(crate) fn announce(target: Target, key_pair: &KeyPair) -> Operation {
    Operation::Announce { target, identity: key_pair.into(), relays: Vec::new(), bump: 0 }
}

/// Takes announcements of a key back.
pub(crate) fn unannounce(target: Target, key_pair: &KeyPair) -> Operation {
    Operation::Unannounce { target, identity: key_pair.into() }
}

/// Stores a signed value.
pub(crate) fn mutable_put(key_pair: &KeyPair, seq: u64, value: Vec<u8>) -> Operation {
    let key_pair = key_pair.clone();
    Operation::MutablePut { key_pair, seq, value }
}

/// Finds the latest signed value.
pub(crate) const fn mutable_get(key: &PublicKey, least: u64) -> Operation {
    Operation::MutableGet { key: *key, least, latest: true }
}

/// The settings of a node that serves, as in a test network.
pub(crate) fn server() -> Config {
    Config { mode: Mode::Persistent, firewalled: false, ..Config::default() }
}

/// The server socket of the node with this number.
pub(crate) fn address(number: usize) -> SocketAddrV4 {
    let [_, _, high, low] = u32::try_from(number).expect("few nodes").to_be_bytes();
    SocketAddrV4::new(Ipv4Addr::new(127, 0, high, low), 3000)
}

/// The client socket of the node with this number.
pub(crate) fn client_address(number: usize) -> SocketAddrV4 {
    SocketAddrV4::new(*address(number).ip(), 4000)
}

impl Node {
    /// Forgets all records, as a node does that has no room for them.
    pub(crate) fn forget_all(&mut self) {
        self.service().forget_records();
    }
}
