//! DHT nodes, virtual time, and what happens to datagrams.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use super::homes::{persistent, reachable_at};
use super::peer::Peer;
use crate::connect::{Config, Limits};
use crate::dht;
use crate::keys::{KeyPair, PublicKey};
use crate::sim::nat::NatId;
use crate::sim::network::{Datagram, HostId, Link, Network};
use crate::wire::transmit::SocketId;

/// DHT nodes on `10.0.0.x`, and peers that join through the first one.
pub(crate) struct World {
    pub(super) network: Network<Peer>,
    pub(crate) nodes: Vec<HostId>,
    /// Of the peers that are added from now on.
    pub(crate) limits: Limits,
    /// Whether the peers added from now on know that the network is a private one.
    pub(crate) private: bool,
    /// Whether the peers added from now on name and try local addresses.
    pub(crate) lan: bool,
    /// Whether the peers added from now on send a probe with their first holepunch message.
    pub(crate) fast_open: bool,
    /// Whether what listens and dials from now on reuses its sockets.
    pub(crate) reusable: bool,
    pub(super) addresses: BTreeMap<HostId, SocketAddrV4>,
    /// The keys under which hosts listen.
    pub(super) keys: BTreeMap<HostId, PublicKey>,
    pub(super) peers: u8,
    pub(super) homes: u8,
    pub(super) routers_inside: u8,
    /// The first number of all addresses.
    pub(super) first: u8,
}

/// Who joins the network, and where.
pub(super) struct Machine {
    pub(super) nat: Option<NatId>,
    pub(super) address: SocketAddrV4,
    /// Whether it has no node to join through.
    pub(super) first: bool,
    pub(super) config: dht::Config,
}

impl Machine {
    pub(super) const fn new(nat: Option<NatId>, address: SocketAddrV4, config: dht::Config) -> Self {
        Self { nat, address, first: false, config }
    }
}

impl World {
    /// Makes a world of so many nodes on a fast link without loss.
    pub(crate) fn new(seed: u64, nodes: u8) -> Self {
        Self::over(seed, nodes, Link::default())
    }

    /// Makes a world on [`TOWNS`].
    pub(crate) fn of_towns(seed: u64, nodes: u8) -> Self {
        Self::over(seed, nodes, TOWNS)
    }

    pub(crate) fn over(seed: u64, nodes: u8, link: Link) -> Self {
        Self::on(true, seed, nodes, link)
    }

    /// Makes a world on addresses that look public.
    pub(crate) fn public(seed: u64, nodes: u8) -> Self {
        Self::on(false, seed, nodes, Link::default())
    }

    fn on(private: bool, seed: u64, nodes: u8, link: Link) -> Self {
        let mut world = Self {
            network: Network::new(seed, link),
            nodes: Vec::new(),
            limits: Limits::default(),
            private,
            lan: true,
            fast_open: true,
            reusable: false,
            addresses: BTreeMap::new(),
            keys: BTreeMap::new(),
            peers: 0,
            homes: 0,
            routers_inside: 0,
            first: if private { 10 } else { 88 },
        };
        for number in 0..nodes {
            let node = world.node(number);
            let id = world.add(node);
            world.nodes.push(id);
        }
        world
    }

    fn node(&self, number: u8) -> Machine {
        let address = self.node_address(number);
        let first = number == 0;
        let config = if first { reachable_at(address) } else { persistent() };
        Machine { first, ..Machine::new(None, address, config) }
    }

    pub(super) const fn node_address(&self, number: u8) -> SocketAddrV4 {
        // On public addresses, only a few nodes of each network are believed.
        let ip = if self.private {
            Ipv4Addr::new(self.first, 0, 0, number + 1)
        } else {
            Ipv4Addr::new(self.first, number + 1, 0, 1)
        };
        SocketAddrV4::new(ip, 49737)
    }

    /// Restarts every node of the DHT: where it was, and without what it knew.
    pub(crate) fn restart_nodes(&mut self) {
        for (number, id) in (0..).zip(self.nodes.clone()) {
            let node = self.node(number);
            let fresh = self.join(node.address, node.first, node.config);
            self.with(id, |peer, _| *peer = fresh);
            self.run_ms(100);
        }
    }

    /// Adds a host and waits until it has joined the network.
    pub(super) fn add(&mut self, machine: Machine) -> HostId {
        let id = self.start(machine);
        self.run_until(60, |world| world.host(id).bootstrapped);
        id
    }

    pub(super) fn start(&mut self, machine: Machine) -> HostId {
        let server = machine.address;
        let peer = self.join(server, machine.first, machine.config);
        let id = self.network.add_behind(machine.nat, peer, &sockets(server));
        self.addresses.insert(id, server);
        id
    }

    /// Makes a peer that joins the network.
    fn join(&mut self, server: SocketAddrV4, first: bool, mut config: dht::Config) -> Peer {
        if !first && config.bootstrap.is_empty() {
            config.bootstrap = vec![self.node_address(0)];
        }
        config.private_network = self.private;
        let config = Config {
            dht: config,
            limits: self.limits,
            lan: self.lan,
            fast_open: self.fast_open,
            ..Config::default()
        };
        Peer::join(self.network.now(), config, self.network.seed(), server)
    }

    pub(crate) fn host(&self, host: HostId) -> &Peer {
        self.network.host(host)
    }

    /// Changes a host and sends what it then wants to send.
    pub(crate) fn with<T>(&mut self, host: HostId, change: impl FnOnce(&mut Peer, Instant) -> T) -> T {
        self.network.with(host, |peer, now| {
            let _recording = peer.record(now);
            change(peer, now)
        })
    }

    /// Records what a host logs from now on.
    pub(crate) fn record(&mut self, host: HostId) {
        self.with(host, |peer, now| peer.recorded_from = Some(now));
    }

    /// Returns where a host's server socket is.
    pub(crate) fn address(&self, host: HostId) -> SocketAddrV4 {
        self.addresses[&host]
    }

    /// Returns where a host's client socket is.
    pub(crate) fn client_address(&self, host: HostId) -> SocketAddrV4 {
        client_address(self.address(host))
    }

    /// Returns where the first socket is that a host opens to punch with.
    pub(crate) fn puncher_address(&self, host: HostId) -> SocketAddrV4 {
        SocketAddrV4::new(*self.address(host).ip(), 30_000)
    }

    pub(crate) fn run_ms(&mut self, ms: u64) {
        self.network.run_for(Duration::from_millis(ms));
    }

    pub(crate) fn run_secs(&mut self, secs: u64) {
        self.network.run_for(Duration::from_secs(secs));
    }

    pub(crate) fn run_for(&mut self, duration: Duration) {
        self.network.run_for(duration);
    }

    /// Lets time pass until `done`, for so many seconds at most; returns how long that took.
    #[track_caller]
    pub(crate) fn run_until(&mut self, secs: u64, mut done: impl FnMut(&mut Self) -> bool) -> Duration {
        let start = self.network.now();
        let until = start + Duration::from_secs(secs);
        while !done(self) {
            assert!(self.network.step(until), "not done within {secs} s");
        }
        self.network.now() - start
    }

    /// Loses such datagrams from now on, as they are when they leave their host, and no others.
    pub(crate) fn drops(&mut self, lost: fn(&Datagram) -> bool) {
        self.network.lost = Some(lost);
    }

    pub(crate) fn drops_nothing(&mut self) {
        self.network.lost = None;
    }

    /// Loses this share of all datagrams from now on.
    pub(crate) const fn loses(&mut self, share: f64) {
        self.network.link.loss = share;
    }

    /// Begins to keep a copy of every datagram that is sent.
    pub(crate) fn capture(&mut self) {
        self.network.capture = Some(Vec::new());
    }

    /// Ends [`Self::capture`] after so many seconds and returns the datagrams.
    pub(crate) fn captured_in(&mut self, secs: u64) -> Vec<Datagram> {
        self.run_secs(secs);
        self.captured()
    }

    /// Ends [`Self::capture`] and returns the datagrams.
    pub(crate) fn captured(&mut self) -> Vec<Datagram> {
        self.network.capture.take().expect("the test captures")
    }

    /// Loses all requests of this command that come to these hosts, or none.
    pub(crate) fn deaf(&mut self, hosts: &[HostId], command: Option<u64>) {
        for host in hosts {
            self.with(*host, |peer, _| peer.deaf_to = command);
        }
    }

    /// Sends a datagram as if it came from `from`.
    pub(crate) fn inject(&mut self, from: SocketAddrV4, to: SocketAddrV4, payload: Vec<u8>) {
        self.network.inject(from, to, payload);
    }

    /// Cuts a host off.
    pub(crate) fn down(&mut self, host: HostId) {
        self.network.set_up(host, false);
    }

    /// Connects a host again that was [`Self::down`].
    pub(crate) fn up(&mut self, host: HostId) {
        self.network.set_up(host, true);
    }

    /// Puts a host to sleep: it is cut off, and its clock stands still.
    pub(crate) fn sleep(&mut self, host: HostId) {
        self.network.sleep(host);
    }

    /// Ends the sleep of a host, which does not notice it by itself.
    pub(crate) fn end_sleep(&mut self, host: HostId) {
        self.network.end_sleep(host);
    }

    /// Lets a router forget its mappings.
    pub(crate) fn restart_router(&mut self, nat: NatId) {
        self.network.restart_nat(nat);
    }

    /// Moves a host's server socket to another address, unknown to the host.
    pub(crate) fn rebind(&mut self, host: HostId, address: SocketAddrV4) {
        self.network.close(host, SocketId::SERVER);
        self.network.bind(host, SocketId::SERVER, address);
    }
}

/// Returns the two main sockets of a peer.
pub(crate) const fn sockets(server: SocketAddrV4) -> [(SocketId, SocketAddrV4); 2] {
    [(SocketId::SERVER, server), (SocketId::CLIENT, client_address(server))]
}

pub(super) const fn client_address(server: SocketAddrV4) -> SocketAddrV4 {
    SocketAddrV4::new(*server.ip(), server.port() + 1000)
}

pub(crate) fn at(text: &str) -> SocketAddrV4 {
    text.parse().unwrap()
}

pub(crate) fn key(number: u8) -> KeyPair {
    KeyPair::from_seed(&[number; 32])
}

/// The key under which servers listen where a test names no other.
pub(crate) fn server_key() -> KeyPair {
    key(1)
}

/// As fast as between two towns.
const TOWNS: Link =
    Link { delay: Duration::from_millis(10), jitter: Duration::ZERO, loss: 0.0, duplication: 0.0 };

pub(crate) const LOSSY: Link = Link {
    delay: Duration::from_millis(10),
    jitter: Duration::from_millis(10),
    loss: 0.05,
    duplication: 0.02,
};
