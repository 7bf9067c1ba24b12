//! Endpoints on a virtual network, their handshakes computed inline.

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use crate::connect::{
    AttemptId, Config, Dial, Endpoint, Established, Event, Failure, FirewallHook, Limits, Listen, Moved,
    Origin, RelayDial, Report, ServerId,
};
use crate::dht;
use crate::keys::{KeyPair, PublicKey};
use crate::sim::nat::NatId;
use crate::sim::network::{Host, HostId, Link, Network, SocketOrder};
use crate::udx::{self, StreamId};
use crate::wire::compact::Decode;
use crate::wire::rpc::Packet;
use crate::wire::transmit::{SocketId, Transmit};

/// An endpoint, what it has said, and a rudimentary owner of its streams that writes the prefix of the secret
/// stream.
pub(super) struct Peer {
    pub(super) endpoint: Endpoint,
    pub(super) established: Vec<Established>,
    pub(super) failed: BTreeMap<AttemptId, Failure>,
    pub(super) reports: BTreeMap<AttemptId, Report>,
    orders: VecDeque<SocketOrder>,
    pub(super) listening: Vec<ServerId>,
    pub(super) unlistened: Vec<ServerId>,
    pub(super) stream_events: Vec<(StreamId, udx::Event)>,
    pub(super) bootstrapped: bool,
    pub(super) relay_dials: Vec<RelayDial>,
    pub(super) unlinked: Vec<[u32; 2]>,
    pub(super) moved: Vec<Moved>,
    /// Streams that were handed out in vain, and what was tried.
    pub(super) unreachable: Vec<(StreamId, Report)>,
    /// Streams that need no relay any more.
    pub(super) left: Vec<StreamId>,
    /// A command of the DHT that does not reach this peer.
    pub(super) deaf_to: Option<u64>,
    buffer: Vec<u8>,
}

impl Peer {
    pub(super) fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            established: Vec::new(),
            failed: BTreeMap::new(),
            reports: BTreeMap::new(),
            orders: VecDeque::new(),
            listening: Vec::new(),
            unlistened: Vec::new(),
            stream_events: Vec::new(),
            bootstrapped: false,
            relay_dials: Vec::new(),
            unlinked: Vec::new(),
            moved: Vec::new(),
            unreachable: Vec::new(),
            left: Vec::new(),
            deaf_to: None,
            buffer: Vec::new(),
        }
    }

    fn drain_events(&mut self, now: Instant) {
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                Event::Job(job) => self.endpoint.handle_job(now, job.run()),
                Event::Established(established) => {
                    let mut frame = vec![56, 0, 0];
                    frame.extend_from_slice(&established.session.keys.stream_id());
                    frame.extend_from_slice(&[0; 24]);
                    let written = self.endpoint.streams().write(now, established.stream, &frame);
                    assert_eq!(written.unwrap(), frame.len());
                    self.established.push(*established);
                }
                Event::Failed {
                    attempt,
                    failure,
                    report,
                } => {
                    self.failed.insert(attempt, failure);
                    self.reports.insert(attempt, *report);
                }
                Event::Listening(server) => self.listening.push(server),
                Event::Unlistened(server) => self.unlistened.push(server),
                Event::Stream(stream, event) => self.stream_events.push((stream, event)),
                Event::Dht(dht::Event::Bootstrapped { .. }) => self.bootstrapped = true,
                Event::OpenSocket(id) => self.orders.push_back(SocketOrder::Open(id)),
                Event::CloseSocket(id) => self.orders.push_back(SocketOrder::Close(id)),
                Event::DialRelay(dial) => self.relay_dials.push(dial),
                Event::LeaveRelay(stream) => self.left.push(stream),
                Event::Moved(moved) => self.moved.push(*moved),
                Event::Unreachable { stream, report } => self.unreachable.push((stream, *report)),
                Event::Unlinked(ids) => self.unlinked.push(ids),
                Event::Dht(_) => {}
            }
        }
    }

    pub(super) fn find(&self, attempt: AttemptId) -> Option<&Established> {
        self.established
            .iter()
            .find(|one| one.origin == Origin::Attempt(attempt))
    }

    /// Reads everything that a stream holds.
    pub(super) fn read(&mut self, now: Instant, stream: StreamId) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.endpoint.streams().read(now, stream, usize::MAX, &mut bytes);
        bytes
    }
}

impl Host for Peer {
    fn handle_datagram(&mut self, now: Instant, socket: SocketId, from: SocketAddrV4, datagram: &[u8]) {
        if let Some(command) = self.deaf_to
            && let Ok(Packet::Request(request)) = Packet::from_bytes(datagram)
            && (request.internal, request.command) == (false, command)
        {
            return;
        }
        self.endpoint.handle_datagram(now, socket, from, datagram);
        self.endpoint.flush(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.endpoint.handle_timeout(now);
    }

    fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        self.drain_events(now);
        self.buffer.clear();
        let train = self.endpoint.poll_transmit(now, 1, &mut self.buffer)?;
        Some(Transmit {
            socket: train.socket,
            destination: train.destination,
            ttl: train.ttl,
            payload: self.buffer.clone(),
        })
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.endpoint.poll_timeout().map(|(at, _)| at)
    }

    fn poll_socket(&mut self) -> Option<SocketOrder> {
        self.orders.pop_front()
    }

    fn handle_socket(&mut self, now: Instant, socket: SocketId, local: Option<SocketAddrV4>) {
        self.endpoint.handle_socket(now, socket, local);
    }
}

/// DHT nodes on `10.0.0.x`, and peers that join through the first one.
pub(super) struct World {
    pub(super) network: Network<Peer>,
    pub(super) nodes: Vec<HostId>,
    /// Of the peers that are added from now on.
    pub(super) limits: Limits,
    /// Whether the peers added from now on know that the network is a private one.
    pub(super) private: bool,
    /// Whether they tell and try local addresses, and whether they send a probe with their first holepunch
    /// message.
    pub(super) lan: bool,
    pub(super) fast_open: bool,
    /// Whether what listens and dials from now on reuses its sockets.
    pub(super) reusable: bool,
    addresses: BTreeMap<HostId, SocketAddrV4>,
    peers: u8,
    /// The first number of all addresses.
    first: u8,
}

impl World {
    pub(super) fn new(seed: u64, nodes: u8, link: Link) -> Self {
        Self::on(true, seed, nodes, link)
    }

    /// Makes a world on addresses that look public.
    pub(super) fn public(seed: u64, nodes: u8, link: Link) -> Self {
        Self::on(false, seed, nodes, link)
    }

    fn on(private: bool, seed: u64, nodes: u8, link: Link) -> Self {
        let mut world = Self {
            network: Network::new(seed, link),
            nodes: Vec::new(),
            limits: Limits::default(),
            private,
            first: if private { 10 } else { 88 },
            lan: true,
            fast_open: true,
            reusable: false,
            addresses: BTreeMap::new(),
            peers: 0,
        };
        for number in 0..nodes {
            let config = world.node_config(number);
            let id = world.add(None, world.node_address(number), number == 0, config);
            world.nodes.push(id);
        }
        world
    }

    fn node_config(&self, number: u8) -> dht::Config {
        dht::Config {
            mode: dht::Mode::Persistent,
            firewalled: false,
            public_address: (number == 0).then(|| self.node_address(0)),
            ..dht::Config::default()
        }
    }

    /// Restarts every node of the DHT: where it was, and without what it knew.
    pub(super) fn restart_nodes(&mut self) {
        for (number, id) in (0..).zip(self.nodes.clone()) {
            let config = self.node_config(number);
            let fresh = self.endpoint(self.node_address(number), number == 0, config);
            self.network.with(id, |peer, _| *peer = Peer::new(fresh));
            self.network.run_for(Duration::from_millis(100));
        }
    }

    /// Adds a peer of its own home that believes to be behind a firewall.
    pub(super) fn peer(&mut self) -> HostId {
        self.peers += 1;
        let address = SocketAddrV4::new(Ipv4Addr::new(self.first, 0, 1, self.peers), 49737);
        self.peer_at(address)
    }

    pub(super) fn peer_at(&mut self, address: SocketAddrV4) -> HostId {
        self.peer_behind(None, address)
    }

    /// Adds a peer at an address inside of a router's network.
    pub(super) fn peer_behind(&mut self, nat: Option<NatId>, address: SocketAddrV4) -> HostId {
        self.add(nat, address, false, firewalled())
    }

    /// Adds one that has just started, and does not wait until it has joined the network.
    pub(super) fn start_behind(&mut self, nat: Option<NatId>, address: SocketAddrV4) -> HostId {
        self.start(nat, address, false, firewalled())
    }

    /// Adds a peer that has not joined the network yet, and will take long for it: one of the nodes that it
    /// was told of is dead.
    pub(super) fn newcomer(&mut self) -> HostId {
        self.peers += 1;
        let address = SocketAddrV4::new(Ipv4Addr::new(self.first, 0, 1, self.peers), 49737);
        let config = dht::Config {
            bootstrap: vec![
                SocketAddrV4::new(Ipv4Addr::new(self.first, 0, 2, 1), 49737),
                self.node_address(0),
            ],
            ..firewalled()
        };
        self.start(None, address, false, config)
    }

    /// Adds a peer that knows its public address.
    pub(super) fn open_peer(&mut self) -> HostId {
        self.peers += 1;
        let address = SocketAddrV4::new(Ipv4Addr::new(self.first, 0, 1, self.peers), 49737);
        let config = dht::Config {
            mode: dht::Mode::Persistent,
            firewalled: false,
            public_address: Some(address),
            ..dht::Config::default()
        };
        self.add(None, address, false, config)
    }

    /// Adds a DHT node that knows nobody.
    pub(super) fn lonely_node(&mut self) -> SocketAddrV4 {
        self.peers += 1;
        let address = SocketAddrV4::new(Ipv4Addr::new(self.first, 0, 2, self.peers), 49737);
        let config = dht::Config {
            mode: dht::Mode::Persistent,
            firewalled: false,
            public_address: Some(address),
            ..dht::Config::default()
        };
        self.add(None, address, true, config);
        address
    }

    /// Adds a peer that takes itself to be reachable at its router's address, which it is not.
    pub(super) fn mistaken_peer(&mut self, nat: NatId, address: SocketAddrV4, public: Ipv4Addr) -> HostId {
        let config = dht::Config {
            mode: dht::Mode::Persistent,
            firewalled: false,
            public_address: Some(SocketAddrV4::new(public, address.port())),
            ..dht::Config::default()
        };
        self.add(Some(nat), address, false, config)
    }

    fn add(&mut self, nat: Option<NatId>, server: SocketAddrV4, first: bool, config: dht::Config) -> HostId {
        let id = self.start(nat, server, first, config);
        self.network
            .run_until(LIMIT, |network| network.host(id).bootstrapped);
        id
    }

    fn start(
        &mut self,
        nat: Option<NatId>,
        server: SocketAddrV4,
        first: bool,
        config: dht::Config,
    ) -> HostId {
        let endpoint = self.endpoint(server, first, config);
        let sockets = [
            (SocketId::SERVER, server),
            (SocketId::CLIENT, client_address(server)),
        ];
        let id = self.network.add_behind(nat, Peer::new(endpoint), &sockets);
        self.addresses.insert(id, server);
        id
    }

    /// Makes an endpoint that joins the network.
    fn endpoint(&mut self, server: SocketAddrV4, first: bool, config: dht::Config) -> Endpoint {
        let config = Config {
            dht: dht::Config {
                bootstrap: if first || !config.bootstrap.is_empty() {
                    config.bootstrap
                } else {
                    vec![self.node_address(0)]
                },
                private_network: self.private,
                ..config
            },
            limits: self.limits,
            lan: self.lan,
            fast_open: self.fast_open,
            ..Config::default()
        };
        let now = self.network.now();
        let seed = self.network.seed();
        let mut endpoint = Endpoint::new(now, config, seed);
        endpoint.handle_sockets(now, server, client_address(server));
        endpoint.bootstrap(now);
        endpoint
    }

    /// Starts a server and waits until it is announced.
    pub(super) fn listen(&mut self, host: HostId, key_pair: &KeyPair) -> ServerId {
        self.listen_with(host, key_pair, None)
    }

    pub(super) fn listen_with(
        &mut self,
        host: HostId,
        key_pair: &KeyPair,
        firewall: Option<FirewallHook>,
    ) -> ServerId {
        let id = self.start_listening_with(host, key_pair, firewall);
        self.network
            .run_until(LIMIT, |network| network.host(host).listening.contains(&id));
        id
    }

    /// Starts a server that nobody may ever hear of.
    pub(super) fn start_listening(&mut self, host: HostId, key_pair: &KeyPair) -> ServerId {
        self.start_listening_with(host, key_pair, None)
    }

    fn start_listening_with(
        &mut self,
        host: HostId,
        key_pair: &KeyPair,
        firewall: Option<FirewallHook>,
    ) -> ServerId {
        let listen = Listen {
            key_pair: key_pair.clone(),
            firewall,
            relay_through: None,
            reusable_socket: self.reusable,
        };
        self.network
            .with(host, |peer, now| peer.endpoint.listen(now, listen))
            .unwrap()
    }

    pub(super) fn dial(&mut self, host: HostId, remote: &PublicKey) -> AttemptId {
        self.dial_with(host, remote, |_| {})
    }

    pub(super) fn dial_as(&mut self, host: HostId, remote: &PublicKey, key_pair: &KeyPair) -> AttemptId {
        self.dial_with(host, remote, |dial| dial.key_pair = key_pair.clone())
    }

    /// Dials with a wish of the test's own.
    pub(super) fn dial_with(
        &mut self,
        host: HostId,
        remote: &PublicKey,
        change: impl FnOnce(&mut Dial),
    ) -> AttemptId {
        let mut dial = Dial {
            remote: *remote,
            key_pair: KeyPair::from_seed(&[99; 32]),
            nodes: Vec::new(),
            only_nodes: false,
            relay_through: None,
            reusable_socket: self.reusable,
            timeout: Duration::from_secs(30),
        };
        change(&mut dial);
        self.network
            .with(host, |peer, now| peer.endpoint.connect(now, dial))
    }

    /// Waits until an attempt has ended, and returns how long that took.
    pub(super) fn wait(&mut self, host: HostId, attempt: AttemptId) -> Duration {
        self.network.run_until(LIMIT, |network| {
            let peer = network.host(host);
            peer.find(attempt).is_some() || peer.failed.contains_key(&attempt)
        })
    }

    /// Connects, waits until both sides have the stream, and returns the two of them.
    pub(super) fn connect(
        &mut self,
        client: HostId,
        server: HostId,
        remote: &PublicKey,
    ) -> (StreamId, StreamId) {
        let accepted = self.network.host(server).established.len();
        let attempt = self.dial(client, remote);
        self.wait(client, attempt);
        self.network
            .run_until(LIMIT, |network| network.host(server).established.len() > accepted);
        let near = self.network.host(client).find(attempt);
        let near = near.expect("the attempt succeeded").stream;
        (near, self.network.host(server).established[accepted].stream)
    }

    const fn node_address(&self, number: u8) -> SocketAddrV4 {
        // On public addresses, only a few nodes of each network are believed.
        let ip = if self.private {
            Ipv4Addr::new(self.first, 0, 0, number + 1)
        } else {
            Ipv4Addr::new(self.first, number + 1, 0, 1)
        };
        SocketAddrV4::new(ip, 49737)
    }

    /// Returns where a host's server socket is.
    pub(super) fn address(&self, host: HostId) -> SocketAddrV4 {
        self.addresses[&host]
    }

    pub(super) fn failure(&self, host: HostId, attempt: AttemptId) -> Option<Failure> {
        self.network.host(host).failed.get(&attempt).copied()
    }
}

/// The settings of a node that believes to be behind a firewall.
/// Returns where the client socket of a peer is.
const fn client_address(server: SocketAddrV4) -> SocketAddrV4 {
    SocketAddrV4::new(*server.ip(), server.port() + 1000)
}

fn firewalled() -> dht::Config {
    dht::Config {
        mode: dht::Mode::Ephemeral,
        quick_firewall_check: false,
        ..dht::Config::default()
    }
}

/// Longer than anything here may take.
const LIMIT: Duration = Duration::from_secs(60);
