//! The node and its verbs.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddrV4;
use std::time::Instant;

use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};

use super::bootstrap::{Bootstrap, NetworkCheck, Quick};
use super::budget::{Budget, RELAY_BURST, RELAY_RATE, UNPROVEN_BURST, UNPROVEN_RATE};
use super::config::{Config, Mode};
use super::inflight::Inflight;
use super::nat::Sampler;
use super::patience::Patience;
use super::queries::Running;
use super::requests::Owner;
use super::serve::Delayed;
use super::silence::Silence;
use super::store::Store;
use super::table::Table;
use super::token::Tokens;
use super::types::{Event, Outgoing, RequestError, RequestId, Stats};
use super::upkeep::Upkeep;
use crate::wire::address::is_private;
use crate::wire::rpc::{MAX_DATAGRAM, NodeId};
use crate::wire::transmit::{SocketId, Train, Transmit};

/// A node of the distributed hash table. See the [module](super) for how to drive it.
pub struct Node {
    pub(super) config: Config,
    pub(super) rng: StdRng,
    pub(super) started: Instant,
    /// The local addresses of the server and the client socket, once they are bound.
    pub(super) sockets: Option<(SocketAddrV4, SocketAddrV4)>,
    suspended: bool,
    pub(super) table: Table,
    /// Counts packets heard, to put table entries in order of age.
    pub(super) heard: u64,
    pub(super) persistent: bool,
    pub(super) firewalled: bool,
    pub(super) sampler: Sampler,
    /// Nodes without id that have contributed a sample.
    pub(super) sampled_strangers: Vec<SocketAddrV4>,
    /// What [`Node::remote_address`] was when the layer above was last told of a change.
    pub(super) known_address: Option<SocketAddrV4>,
    pub(super) tokens: Tokens,
    pub(super) inflight: Inflight<Owner>,
    pub(super) silence: Silence,
    /// How long answers to walks take.
    pub(super) patience: Patience,
    pub(super) queries: BTreeMap<u64, Running>,
    pub(super) next_query: u64,
    pub(super) bootstrap: Bootstrap,
    pub(super) quick: Quick,
    pub(super) check: Option<NetworkCheck>,
    pub(super) upkeep: Upkeep,
    pub(super) delayed: Delayed,
    /// The nodes that are pinged because they could enter the table.
    pub(super) greetings: BTreeSet<SocketAddrV4>,
    /// What requests without token may get back.
    pub(super) unproven: Budget,
    /// What strangers may send on through us.
    pub(super) relays: Budget,
    /// Created when the node first turns persistent, kept when it is ephemeral for a while.
    pub(super) store: Option<Store>,
    /// The records of our own servers, by target.
    pub(super) servers: BTreeMap<[u8; 32], Vec<u8>>,
    pub(super) stats: Stats,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
}

impl Node {
    /// Makes a node that waits for its sockets. All randomness comes from `seed`, which nobody else may know
    /// or guess.
    pub fn new(now: Instant, config: Config, seed: [u8; 32]) -> Self {
        let mut rng = StdRng::from_seed(seed);
        let mut id = NodeId([0; 32]);
        rng.fill_bytes(&mut id.0);
        Self {
            firewalled: config.firewalled,
            started: now,
            sockets: None,
            suspended: false,
            table: Table::new(id, config.per_network()),
            heard: 0,
            persistent: false,
            sampler: Sampler::default(),
            sampled_strangers: Vec::new(),
            known_address: None,
            tokens: Tokens::new(now, &mut rng),
            inflight: Inflight::new(now),
            silence: Silence::default(),
            patience: Patience::default(),
            queries: BTreeMap::new(),
            next_query: 0,
            bootstrap: Bootstrap::Idle,
            quick: Quick::Unasked,
            check: None,
            upkeep: Upkeep::new(now, config.down_hints_per_tick, &mut rng),
            delayed: Delayed::default(),
            greetings: BTreeSet::new(),
            unproven: Budget::new(UNPROVEN_BURST, UNPROVEN_RATE),
            relays: Budget::new(RELAY_BURST, RELAY_RATE),
            store: None,
            servers: BTreeMap::new(),
            stats: Stats::default(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            config,
            rng,
        }
    }

    /// Takes the local addresses of the sockets, now bound (again). Requests made before leave now.
    pub fn handle_sockets(&mut self, now: Instant, server: SocketAddrV4, client: SocketAddrV4) {
        let resumed = std::mem::take(&mut self.suspended);
        self.sockets = Some((server, client));
        self.upkeep.restart(now);
        if resumed {
            self.wake_up();
        }
        if self.config.mode == Mode::Persistent
            && !self.firewalled
            && !self.persistent
            && let Some(address) = self.own_address_told(server)
        {
            self.sampler.add(address);
            self.turn_persistent(now, address);
        }
        self.flush_queue(now);
        if resumed && self.is_bootstrapped() {
            self.refresh(now);
        }
        self.note_address();
    }

    /// Replaces the nodes that queries start from.
    pub fn set_bootstrap(&mut self, nodes: Vec<SocketAddrV4>) {
        self.config.bootstrap = nodes;
    }

    /// Takes a datagram that is not stream traffic. Whatever it holds, the worst it can do is be dropped.
    pub fn handle_datagram(&mut self, now: Instant, socket: SocketId, from: SocketAddrV4, datagram: &[u8]) {
        if from.port() == 0 || datagram.len() > MAX_DATAGRAM || self.sockets.is_none() {
            self.stats.drops.oversized += 1;
            return;
        }
        match datagram.first() {
            Some(0x03) => self.handle_request(now, socket, from, datagram),
            Some(0x13) => self.handle_response(now, socket, from, datagram),
            _ => self.stats.drops.malformed += 1,
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.sockets.is_none() {
            return;
        }
        self.expire_requests(now);
        self.flush_queue(now);
        self.send_delayed(now);
        self.run_upkeep(now);
    }

    /// Returns when to call [`Node::handle_timeout`] next and why, or `None` before the sockets are bound.
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        self.sockets?;
        let retry = self.inflight.next_deadline().map(|at| (at, "request"));
        let queue = self.inflight.has_queue();
        let window = queue.then(|| (self.inflight.window.opens(), "request window"));
        let delayed = self.delayed.next().map(|at| (at, "put off"));
        let tick = Some((self.upkeep.next(), "tick"));
        [retry, window, delayed, tick].into_iter().flatten().min()
    }

    /// Returns the next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// Returns the next datagram if it goes the same way as `first` and is no longer, so that one call to the
    /// system takes both.
    ///
    /// Who asks several things at once gets the answers at once.
    pub fn poll_transmit_beside(&mut self, first: &Train) -> Option<Transmit> {
        self.transmits.pop_front_if(|next| {
            first.segment_size <= MAX_COUPLED
                && next.payload.len() <= first.segment_size
                && next.destination == first.destination
                && next.socket == first.socket
                && next.ttl == first.ttl
        })
    }

    /// Returns the next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Sends a request to one node. Its [`Event::Answered`] follows.
    pub fn request(&mut self, now: Instant, request: Outgoing) -> RequestId {
        let key = self.issue(now, Owner::Caller, request, None);
        RequestId(key.unwrap_or_else(|error| {
            let request = RequestId(self.inflight.skip());
            self.emit(Event::Answered {
                request,
                result: Err(error),
            });
            request.0
        }))
    }

    /// Forgets a request; no event follows.
    pub fn cancel(&mut self, now: Instant, request: RequestId) {
        let own = |pending: &mut super::inflight::Pending<Owner>| matches!(pending.owner, Owner::Caller);
        if self.inflight.get_mut(request.0).is_some_and(own) {
            self.inflight.remove(request.0);
            self.flush_queue(now);
        }
    }

    /// Stops: all requests and queries fail, input is ignored, and nothing happens until the sockets are
    /// bound again.
    pub fn suspend(&mut self) {
        self.sockets = None;
        self.suspended = true;
        self.delayed = Delayed::default();
        if self.bootstrap != Bootstrap::Done {
            self.bootstrap = Bootstrap::Idle;
        }
        self.check = None;
        self.fail_all(RequestError::TimedOut);
        self.transmits.clear();
    }

    /// Sets or removes the record of a server on this node, by the target of its key. It is found through us
    /// from now on.
    pub fn set_server(&mut self, target: [u8; 32], record: Option<Vec<u8>>) {
        match record {
            Some(record) => self.servers.insert(target, record),
            None => self.servers.remove(&target),
        };
    }

    /// Returns the address from which the server with this target announced itself here, if it did.
    pub fn forward(&mut self, target: &[u8; 32]) -> Option<SocketAddrV4> {
        let forward = self.store.as_mut()?.forwards.get(target);
        forward.map(|forward| forward.relay)
    }

    /// Returns the id that the table is built around: ours, or a random one while we do not know ours.
    pub fn id(&self) -> NodeId {
        *self.table.id()
    }

    /// Returns how many nodes the table holds.
    pub const fn table_len(&self) -> usize {
        self.table.len()
    }

    /// Returns whether this node tells its id and keeps records for others.
    pub const fn is_persistent(&self) -> bool {
        self.persistent
    }

    /// Returns whether requests leave from the client socket because the server socket is taken to be out of
    /// reach.
    pub const fn is_firewalled(&self) -> bool {
        self.firewalled
    }

    /// Returns whether [`Node::bootstrap`] has come to an end.
    pub const fn is_bootstrapped(&self) -> bool {
        matches!(self.bootstrap, Bootstrap::Done)
    }

    /// Returns the address at which everybody can reach us, if there is one and we know it.
    pub fn remote_address(&self) -> Option<SocketAddrV4> {
        let (server, _) = self.sockets?;
        let address = self.sampler.address()?;
        (!self.firewalled && address.port() == server.port()).then_some(address)
    }

    /// Returns what others agree on about our address on the socket that requests leave from, port 0 where
    /// they see different ones.
    pub fn sampled_address(&self) -> Option<SocketAddrV4> {
        let port = self.sampler.address().map_or(0, |address| address.port());
        self.sampler.host().map(|host| SocketAddrV4::new(host, port))
    }

    /// Returns the socket that requests leave from.
    pub const fn request_socket(&self) -> SocketId {
        if self.firewalled {
            SocketId::CLIENT
        } else {
            SocketId::SERVER
        }
    }

    /// Returns up to `count` nodes of the table, the one heard of last first; on the public network, what one
    /// network of 256 addresses has beyond two nodes comes behind all others.
    pub fn recent_nodes(&self, count: usize) -> Vec<SocketAddrV4> {
        let mut nodes = self.table.recent();
        nodes.truncate(count);
        nodes
    }

    /// Returns the nodes of the table that are nearest to `target`, nearest first, and with the same
    /// exception as [`Self::recent_nodes`].
    pub fn closest_nodes(&self, target: &[u8; 32]) -> Vec<SocketAddrV4> {
        self.closest(target)
    }

    /// Returns what to name to others, or to start a walk from.
    pub(super) fn closest(&self, target: &[u8; 32]) -> Vec<SocketAddrV4> {
        if self.config.is_reference() {
            self.table.closest_by_row(target)
        } else {
            self.table.closest(target)
        }
    }

    /// Returns the counters.
    pub fn stats(&self) -> Stats {
        Stats {
            records: self.store.as_ref().map_or(0, Store::len),
            nodes: self.table.len(),
            ..self.stats
        }
    }

    /// Hands an event to the layer above.
    pub(super) fn emit(&mut self, event: Event) {
        // Only requests of strangers can pile up while nobody drains, so only they are dropped.
        if self.events.len() >= MAX_EVENTS && matches!(event, Event::Incoming(_)) {
            self.stats.drops.full += 1;
            return;
        }
        self.events.push_back(event);
    }

    /// Hands a datagram to the driver.
    pub(super) fn transmit(&mut self, socket: SocketId, destination: SocketAddrV4, payload: Vec<u8>) {
        if self.transmits.len() >= MAX_TRANSMITS {
            self.stats.drops.full += 1;
            return;
        }
        self.transmits.push_back(Transmit {
            socket,
            destination,
            ttl: None,
            payload,
        });
    }

    /// Returns the id to tell in a packet that leaves from `socket`: only the server socket's address is what
    /// the id stands for.
    pub(super) fn told_id(&self, socket: SocketId) -> Option<NodeId> {
        (self.persistent && socket == SocketId::SERVER).then(|| *self.table.id())
    }

    /// Returns our own address if we were told, or if nothing can translate it: on loopback, and for the
    /// first node of a private network.
    fn own_address_told(&self, server: SocketAddrV4) -> Option<SocketAddrV4> {
        let first = self.config.private_network && self.config.bootstrap.is_empty();
        let plain = server.ip().is_loopback() || (first && is_private(*server.ip()));
        let address = self.config.public_address.or_else(|| plain.then_some(server))?;
        let port = match address.port() {
            0 => server.port(),
            port => port,
        };
        Some(SocketAddrV4::new(*address.ip(), port))
    }

    /// Tells the layer above if our address is not what it was.
    pub(super) fn note_address(&mut self) {
        let address = self.remote_address();
        if address != self.known_address {
            self.known_address = address;
            self.emit(Event::AddressChanged);
        }
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node")
            .field("id", self.table.id())
            .field("persistent", &self.persistent)
            .field("firewalled", &self.firewalled)
            .field("nodes", &self.table.len())
            .finish_non_exhaustive()
    }
}

/// Events that may wait before requests of strangers are dropped.
const MAX_EVENTS: usize = 4096;
/// Datagrams that may wait to be sent.
const MAX_TRANSMITS: usize = 4096;
/// The longest datagram that shares a call with others: the system refuses such a call if one of them does
/// not fit a packet of the path.
const MAX_COUPLED: usize = 512;
