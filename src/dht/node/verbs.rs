//! The node and its verbs.

use std::net::SocketAddrV4;
use std::time::Instant;

use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use tracing::debug;

use crate::dht::address::OwnAddress;
use crate::dht::config::{Config, Mode};
use crate::dht::health::Health;
use crate::dht::joining::Joining;
use crate::dht::kept::Kept;
use crate::dht::membership::Membership;
use crate::dht::outbox::Outbox;
use crate::dht::pending::RequestOwner;
use crate::dht::queries::Queries;
use crate::dht::requests::{MAX_PENDING, Requests};
use crate::dht::responsiveness::Responsiveness;
use crate::dht::serve::{Delayed, Service};
use crate::dht::stats::{Fill, Stats};
use crate::dht::types::{Event, Outgoing, RequestError, RequestId};
use crate::dht::upkeep::Upkeep;
use crate::wire::address::is_private;
use crate::wire::rpc::{MAX_DATAGRAM, NodeId};
use crate::wire::transmit::{SocketId, Train, Transmit};

/// A node of the distributed hash table. See the [module](crate::dht) for how to drive it.
pub struct Node {
    pub(super) config: Config,
    pub(super) rng: StdRng,
    pub(super) address: OwnAddress,
    pub(super) members: Membership,
    pub(super) requests: Requests,
    pub(super) responses: Responsiveness,
    pub(super) queries: Queries,
    pub(super) joining: Joining,
    pub(super) upkeep: Upkeep,
    pub(super) service: Service,
    pub(super) delayed: Delayed,
    pub(super) stats: Stats,
    pub(super) outbox: Outbox,
    /// Whether requests of free commands go to the layer above.
    pub(super) serves_free_commands: bool,
}

impl Node {
    /// Makes a node that waits for its sockets. All randomness comes from `seed`, which must be secret and
    /// unpredictable.
    pub fn new(now: Instant, config: Config, seed: [u8; 32]) -> Self {
        let mut rng = StdRng::from_seed(seed);
        let mut id = NodeId([0; 32]);
        rng.fill_bytes(&mut id.0);
        Self {
            address: OwnAddress::new(config.firewalled),
            members: Membership::new(id, config.per_network(), &config.policy),
            requests: Requests::new(now),
            responses: Responsiveness::new(&config.policy),
            queries: Queries::default(),
            joining: Joining::default(),
            service: Service::new(now, &config, &mut rng),
            delayed: Delayed::default(),
            upkeep: Upkeep::new(now, config.down_hints_per_tick, &mut rng),
            stats: Stats::default(),
            outbox: Outbox::default(),
            serves_free_commands: false,
            config,
            rng,
        }
    }

    /// Handles that the sockets are bound (again), at these local addresses. Sends the requests made before.
    pub fn handle_sockets(&mut self, now: Instant, server: SocketAddrV4, client: SocketAddrV4) {
        let resumed = self.address.bind(server, client);
        self.upkeep.restart(now);
        if resumed {
            self.wake_up();
        }
        if self.config.mode == Mode::Persistent
            && !self.address.is_firewalled()
            && !self.members.is_persistent()
            && let Some(address) = self.configured_address(server)
        {
            self.address.sample(address);
            self.turn_persistent(now, address);
        }
        self.flush_queue(now);
        if resumed && self.is_bootstrapped() {
            self.refresh(now);
        }
        self.note_address();
    }

    /// Handles a host that was asleep: everything known is old, and this node may be elsewhere.
    pub fn handle_wake(&mut self, now: Instant) {
        self.wake_up();
        if self.is_bootstrapped() {
            self.refresh(now);
        }
    }

    /// Replaces the nodes that queries start from.
    pub fn set_bootstrap(&mut self, nodes: Vec<SocketAddrV4>) {
        self.config.bootstrap = nodes;
    }

    /// Handles a datagram that is not stream traffic. Drops it if it is malformed.
    pub fn handle_datagram(&mut self, now: Instant, socket: SocketId, from: SocketAddrV4, datagram: &[u8]) {
        if from.port() == 0 || datagram.len() > MAX_DATAGRAM || !self.address.is_bound() {
            self.stats.drops.oversized += 1;
            return;
        }
        match datagram.first() {
            Some(0x03) => self.handle_request(now, socket, from, datagram),
            Some(0x13) => self.handle_response(now, socket, from, datagram),
            _ => self.stats.drops.malformed += 1,
        }
    }

    /// Handles what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if !self.address.is_bound() {
            return;
        }
        self.expire_requests(now);
        self.flush_queue(now);
        self.send_delayed(now);
        self.service.restore_some(now, self.members.id());
        self.run_upkeep(now);
    }

    /// Returns when to call [`Node::handle_timeout`] next and why, or `None` before the sockets are bound.
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        if !self.address.is_bound() {
            return None;
        }
        let retry = self.requests.next_deadline().map(|at| (at, "request"));
        let window = self.requests.next_opening().map(|at| (at, "request window"));
        let delayed = self.delayed.next().map(|at| (at, "put off"));
        let restore = self.service.next_restore().map(|at| (at, "restore"));
        let tick = Some((self.upkeep.next(), "tick"));
        [retry, window, delayed, restore, tick].into_iter().flatten().min()
    }

    /// Returns the next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.outbox.next_transmit()
    }

    /// Returns the next datagram if it has the same places as `first` and is no longer, so that one system
    /// call sends both: a peer that requests several things at once gets the responses at once.
    pub fn poll_transmit_beside(&mut self, first: &Train) -> Option<Transmit> {
        self.outbox.next_transmit_beside(first)
    }

    /// Returns the next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.outbox.next_event()
    }

    /// Sends a request to one node. Its [`Event::Answered`] follows.
    pub fn request(&mut self, now: Instant, request: Outgoing) -> RequestId {
        match self.issue(now, RequestOwner::Caller, request, None) {
            Ok(key) => RequestId(key),
            Err(error) => {
                let request = RequestId(self.requests.skip());
                self.outbox.emit(Event::Answered { request, result: Err(error) });
                request
            }
        }
    }

    /// Forgets a request; no event follows.
    pub fn cancel(&mut self, now: Instant, request: RequestId) {
        if self.requests.cancel(request.0) {
            self.flush_queue(now);
        }
    }

    /// Stops: all requests and queries fail, input is ignored, and nothing happens until the sockets are
    /// bound again.
    pub fn suspend(&mut self) {
        debug!("suspended");
        self.address.suspend();
        self.delayed = Delayed::default();
        self.joining.suspend();
        self.fail_all(RequestError::TimedOut);
        self.outbox.clear_transmits();
    }

    /// Sets or removes the record of a server on this node, by the target of its key. This node hands it out
    /// from now on.
    pub fn set_server(&mut self, target: [u8; 32], record: Option<Vec<u8>>) {
        self.service.set_server(target, record);
    }

    /// Sets whether requests of commands that the protocol does not use go to the layer above, as
    /// [`Event::Incoming`]. They are unknown commands otherwise.
    pub const fn serve_free_commands(&mut self, serves: bool) {
        self.serves_free_commands = serves;
    }

    /// Returns the address from which the server with this target announced itself here, if it did.
    pub fn forward(&mut self, target: &[u8; 32]) -> Option<SocketAddrV4> {
        self.service.forward(target)
    }

    /// Returns the announcements of others that this node hands out; none unless
    /// [`Config::keeps_announcements`].
    pub fn announcements(&self, now: Instant) -> Vec<Kept> {
        self.service.announcements(now)
    }

    /// Returns the id that the table is built around: that of the own address, or a random one while it is
    /// not known.
    pub const fn id(&self) -> NodeId {
        *self.members.id()
    }

    /// Returns how many nodes the table holds.
    pub const fn table_len(&self) -> usize {
        self.members.len()
    }

    /// Returns whether this node shows its id and keeps records for others.
    pub const fn is_persistent(&self) -> bool {
        self.members.is_persistent()
    }

    /// Returns whether this is the only node of its network, as far as it knows: it knows none to join
    /// through, or has never heard any. One that has lost all others is cut off instead.
    pub fn is_only_node(&self) -> bool {
        let has_heard_none = self.config.bootstrap.is_empty() || self.stats.responses_received == 0;
        self.is_persistent() && !self.is_suspended() && self.table_len() == 0 && has_heard_none
    }

    /// Returns whether requests leave from the client socket because the server socket is assumed to be out
    /// of reach.
    pub const fn is_firewalled(&self) -> bool {
        self.address.is_firewalled()
    }

    /// Returns whether the node does nothing until its sockets are bound again.
    pub const fn is_suspended(&self) -> bool {
        self.address.is_suspended()
    }

    /// Returns whether [`Node::bootstrap`] has come to an end.
    pub const fn is_bootstrapped(&self) -> bool {
        self.joining.is_done()
    }

    /// Returns the address at which every host can reach this node, if there is one and it is known.
    pub fn remote_address(&self) -> Option<SocketAddrV4> {
        self.address.remote()
    }

    /// Returns what others agree on about the address of the socket that requests leave from, port 0 where
    /// they see different ones.
    pub fn sampled_address(&self) -> Option<SocketAddrV4> {
        let sampler = self.address.sampler();
        let port = sampler.address().map_or(0, |address| address.port());
        sampler.host().map(|host| SocketAddrV4::new(host, port))
    }

    /// Returns the socket that requests leave from.
    pub const fn request_socket(&self) -> SocketId {
        self.address.request_socket()
    }

    /// Returns up to `count` nodes of the table, the one heard of last first; on the public network, nodes
    /// beyond two of one /24 network come behind all others.
    pub fn recent_nodes(&self, count: usize) -> Vec<SocketAddrV4> {
        let mut nodes = self.members.recent();
        nodes.truncate(count);
        nodes
    }

    /// Returns the nodes of the table that are nearest to `target`, nearest first, and with the same
    /// exception as [`Self::recent_nodes`].
    #[cfg(any(test, feature = "unstable-core"))]
    pub fn closest_nodes(&self, target: &[u8; 32]) -> Vec<SocketAddrV4> {
        self.members.closest(target)
    }

    /// Returns how the requests of this node have fared lately.
    pub const fn health(&self) -> Health {
        self.responses.health()
    }

    /// Returns the counters.
    pub fn stats(&self) -> Stats {
        let mut stats = self.stats;
        stats.drops.full += self.outbox.dropped();
        Stats { records: self.service.records(), nodes: self.members.len(), ..stats }
    }

    /// Returns the nodes of the table, the one heard of last first.
    pub fn table(&self) -> Vec<(NodeId, SocketAddrV4)> {
        self.members.all()
    }

    /// Returns how the nodes that answered last see the socket that requests leave from, and how many of them
    /// see each address.
    pub fn seen_as(&self) -> Vec<(SocketAddrV4, usize)> {
        self.address.sampler().seen_as()
    }

    /// Returns how full the bounds are.
    pub fn fills(&self) -> [Fill; 2] {
        let waiting = Fill { what: "own requests that wait", used: self.requests.len(), bound: MAX_PENDING };
        [self.service.fill(), waiting]
    }

    /// Sends a datagram.
    pub(super) fn transmit(&mut self, socket: SocketId, destination: SocketAddrV4, payload: Vec<u8>) {
        self.outbox.transmit(Transmit { socket, destination, ttl: None, may_fragment: true, payload });
    }

    /// Emits an event if the remote address has changed.
    pub(super) fn note_address(&mut self) {
        if self.address.take_change() {
            self.outbox.emit(Event::AddressChanged);
        }
    }

    /// Returns the own address if it was configured, or if nothing can translate it: on loopback, and for the
    /// first node of a private network.
    fn configured_address(&self, server: SocketAddrV4) -> Option<SocketAddrV4> {
        let first = self.config.private_network && self.config.bootstrap.is_empty();
        let plain = server.ip().is_loopback() || (first && is_private(*server.ip()));
        let address = self.config.public_address.or_else(|| plain.then_some(server))?;
        let port = match address.port() {
            0 => server.port(),
            port => port,
        };
        Some(SocketAddrV4::new(*address.ip(), port))
    }

    #[cfg(test)]
    pub(in crate::dht) const fn service(&mut self) -> &mut Service {
        &mut self.service
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node")
            .field("id", self.members.id())
            .field("persistent", &self.is_persistent())
            .field("firewalled", &self.is_firewalled())
            .field("nodes", &self.table_len())
            .finish_non_exhaustive()
    }
}
