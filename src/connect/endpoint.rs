//! A peer: a DHT node, the streams on its sockets, and what turns two keys into one of these streams.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Instant;

use super::announcer::News;
use super::client::Attempt;
use super::job::{Done, JobDone};
use super::limits::Limits;
use super::nat::Firewall;
use super::punch::Purpose;
use super::recent::Recent;
use super::relay::Forwarded;
use super::report::Failure;
use super::server::Server;
use super::shared::Core;
use super::types::{AttemptId, Config, Dial, Event, Listen, ListenError, ServerId};
use crate::dht;
use crate::udx::{self, Admission, StreamId};
use crate::wire::hash;
use crate::wire::transmit::{SocketId, Train};

/// A peer of the HyperDHT without sockets or clock.
///
/// **After every `handle_*` and every command, drain:** [`Self::poll_transmit`] and [`Self::poll_event`]
/// until both are `None`, then arm the timer with [`Self::poll_timeout`].
#[derive(Debug)]
pub struct Endpoint {
    pub(super) core: Core,
    pub(super) limits: Limits,
    pub(super) attempts: BTreeMap<AttemptId, Attempt>,
    pub(super) attempt_streams: BTreeMap<StreamId, AttemptId>,
    pub(super) attempt_deadlines: BTreeSet<(Instant, AttemptId)>,
    pub(super) servers: BTreeMap<ServerId, Server>,
    pub(super) by_target: BTreeMap<[u8; 32], ServerId>,
    /// Nodes through which servers were reached before.
    pub(super) routes: Recent<Vec<SocketAddrV4>>,
    pub(super) next_id: u64,
}

impl Endpoint {
    /// Makes an endpoint that has no sockets yet. Equal seeds and inputs give equal behaviour.
    pub fn new(now: Instant, config: Config, seed: [u8; 32]) -> Self {
        let part = |name: &[u8]| hash::keyed_hash(&seed, &[name]);
        let node = dht::Node::new(now, config.dht.clone(), part(b"dht"));
        let streams = udx::Streams::new(config.udx.clone(), part(b"udx"));
        Self {
            core: Core::new(node, streams, &config, part(b"connect")),
            limits: config.limits,
            attempts: BTreeMap::new(),
            attempt_streams: BTreeMap::new(),
            attempt_deadlines: BTreeSet::new(),
            servers: BTreeMap::new(),
            by_target: BTreeMap::new(),
            routes: Recent::new(config.limits.max_routes),
            next_id: 0,
        }
    }

    /// Tells the local addresses of the two main sockets. Requests made before, or while suspended, wait for
    /// this.
    pub fn handle_sockets(&mut self, now: Instant, server: SocketAddrV4, client: SocketAddrV4) {
        self.core.set_bound(server);
        self.core.node.handle_sockets(now, server, client);
        self.settle(now);
    }

    /// Stops: what is under way in the DHT fails, and nothing is answered or announced until
    /// [`Self::handle_sockets`]. Streams stay.
    pub fn suspend(&mut self, now: Instant) {
        self.core.close_puncher(now);
        self.core.node.suspend();
        self.settle(now);
    }

    /// Tells that the host is in another network than before, or was asleep: servers are announced anew, NATs
    /// examined anew.
    pub fn handle_network_change(&mut self, now: Instant) {
        self.core.examine(now);
        self.core.ways.retain(|_| false);
        for server in self.servers.values_mut() {
            server.announcer.restart(now, &mut self.core);
        }
        self.settle(now);
    }

    /// Tells the IPv4 addresses of this host's interfaces, loopback left out.
    pub fn handle_interfaces(&mut self, _now: Instant, addresses: &[Ipv4Addr]) {
        self.core.set_interfaces(addresses);
    }

    /// Tells the local address of a socket asked for with [`Event::OpenSocket`], or `None` if it can't be
    /// had.
    pub fn handle_socket(&mut self, now: Instant, socket: SocketId, local: Option<SocketAddrV4>) {
        let opened = local.is_some();
        match self.core.sockets.purpose(socket) {
            Some(Purpose::Shared) => self.core.handle_puncher_socket(now, opened),
            Some(Purpose::Attempt(id)) => self.with_attempt(now, id, |attempt, core| {
                attempt.handle_socket(now, core, socket, opened)
            }),
            Some(Purpose::Entry(id)) => {
                if let Some(server) = self.servers.get_mut(&id.server) {
                    server.handle_socket(now, &mut self.core, id, socket, opened);
                }
            }
            // Nobody wants it any more; its closing has been asked for.
            None => {}
        }
        self.settle(now);
    }

    /// Takes a datagram. Call [`Self::flush`] after the last one of a batch.
    pub fn handle_datagram(&mut self, now: Instant, socket: SocketId, from: SocketAddrV4, datagram: &[u8]) {
        // A port of 0 can't be answered.
        if from.port() == 0 {
            return;
        }
        if datagram.len() < 2 {
            self.handle_probe(now, socket, from);
        } else if datagram[0] == STREAM_MAGIC {
            let core = &mut self.core;
            match core.forwards.handle_packet(now, (socket, from), datagram) {
                Forwarded::NotOurs => {
                    core.streams.handle_datagram(now, socket, from, datagram);
                }
                Forwarded::Taken => {}
                Forwarded::Last(ids) => self.end_link(now, ids),
            }
        } else {
            self.core.node.handle_datagram(now, socket, from, datagram);
        }
        self.settle(now);
    }

    /// Ends a batch of received datagrams: acknowledges, detects losses, sends.
    pub fn flush(&mut self, now: Instant) {
        self.core.streams.flush(now);
        self.settle(now);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.core.node.handle_timeout(now);
        self.core.streams.handle_timeout(now);
        while let Some((at, id)) = self.attempt_deadlines.first().copied()
            && at <= now
        {
            self.with_attempt(now, id, |attempt, core| attempt.handle_timeout(now, core));
        }
        for server in self.servers.values_mut() {
            server.handle_timeout(now, &mut self.core);
        }
        self.core.finish_moves(now);
        let in_use = !self.by_target.is_empty() && self.core.node.remote_address().is_none();
        self.core.keep_puncher(now, in_use);
        let core = &mut self.core;
        core.sockets.handle_timeout(now, &core.streams, &mut core.events);
        self.settle(now);
    }

    /// Takes the outcome of a job.
    pub fn handle_job(&mut self, now: Instant, done: JobDone) {
        match done.0 {
            Done::Initiated { attempt, result } => self.with_attempt(now, attempt, |this, core| {
                this.handle_initiated(now, core, result)
            }),
            Done::Finished {
                attempt,
                initiator,
                result,
            } => self.with_attempt(now, attempt, |this, core| {
                this.handle_finished(now, core, initiator, result)
            }),
            Done::Responded { entry, result } => {
                if let Some(server) = self.servers.get_mut(&entry.server) {
                    server.handle_responded(now, &mut self.core, entry, result);
                }
            }
        }
        self.settle(now);
    }

    /// Appends the datagrams of the next train to `buffer`, at most `max_segments` of them.
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        max_segments: usize,
        buffer: &mut Vec<u8>,
    ) -> Option<Train> {
        let core = &mut self.core;
        let first = core.probes.pop_front();
        let first = first.or_else(|| core.forwards.poll_transmit());
        if let Some(transmit) = first {
            buffer.extend_from_slice(&transmit.payload);
            return Some(Train::of(&transmit));
        }
        let Some(transmit) = core.node.poll_transmit() else {
            return core.streams.poll_transmit(now, max_segments, buffer);
        };
        let train = Train::of(&transmit);
        buffer.extend_from_slice(&transmit.payload);
        // Only the last one may be shorter.
        while buffer.len().is_multiple_of(train.segment_size)
            && buffer.len() / train.segment_size < max_segments
            && let Some(next) = core.node.poll_transmit_beside(&train)
        {
            buffer.extend_from_slice(&next.payload);
        }
        Some(train)
    }

    /// Returns when to call [`Self::handle_timeout`] next and why, or `None` while nothing is pending.
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        let attempt = self
            .attempt_deadlines
            .first()
            .map(|(at, _)| (*at, "attempt to connect"));
        let server = self.servers.values().filter_map(Server::poll_timeout).min();
        self.core
            .node
            .poll_timeout()
            .into_iter()
            .chain(self.core.streams.poll_timeout())
            .chain(attempt)
            .chain(server.map(|at| (at, "server")))
            .chain(self.core.puncher.poll_timeout().map(|at| (at, "puncher")))
            .chain(self.core.moves.poll_timeout().map(|at| (at, "move")))
            .chain(self.core.sockets.poll_timeout().map(|at| (at, "sockets")))
            .min_by_key(|(at, _)| *at)
    }

    /// Returns what has happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.core.events.pop_front()
    }

    /// Starts to join the network; [`dht::Event::Bootstrapped`] follows.
    pub fn bootstrap(&mut self, now: Instant) {
        self.core.node.bootstrap(now);
        self.settle(now);
    }

    /// Starts to connect; [`Event::Established`] or [`Event::Failed`] follows.
    pub fn connect(&mut self, now: Instant, mut dial: Dial) -> AttemptId {
        let id = AttemptId(self.take_id());
        let known = self.routes.get(&dial.remote).into_iter().flatten().copied();
        for node in known.filter(|_| !dial.only_nodes) {
            if !dial.nodes.contains(&node) {
                dial.nodes.push(node);
            }
        }
        if self.attempts.len() >= self.limits.max_attempts {
            self.core.events.push_back(Event::Failed {
                attempt: id,
                failure: Failure::TooMany,
                report: Box::default(),
            });
            return id;
        }
        let attempt = Attempt::start(now, &mut self.core, id, dial);
        self.attempt_streams.insert(attempt.stream(), id);
        self.attempt_deadlines.insert((attempt.poll_timeout(), id));
        self.attempts.insert(id, attempt);
        self.settle(now);
        id
    }

    /// Gives an attempt up; no event follows.
    pub fn abort(&mut self, now: Instant, attempt: AttemptId) {
        self.end_attempt(now, attempt, true);
        self.settle(now);
    }

    /// Starts to listen; [`Event::Listening`] follows once the server is announced.
    ///
    /// # Errors
    ///
    /// [`ListenError::KeyInUse`] if a server of this node has the key, [`ListenError::TooMany`] beyond
    /// [`Limits::max_servers`].
    pub fn listen(&mut self, now: Instant, listen: Listen) -> Result<ServerId, ListenError> {
        let target = listen.key_pair.public_key().target();
        if self.by_target.contains_key(&target) {
            return Err(ListenError::KeyInUse);
        }
        if self.servers.len() >= self.limits.max_servers {
            return Err(ListenError::TooMany);
        }
        // A withdrawal that arrived after the new announcement would undo it.
        let old = self.servers.iter().find(|(_, old)| old.target() == target);
        if let Some(old) = old.map(|(old, _)| *old) {
            if let Some(server) = self.servers.get_mut(&old) {
                server.announcer.cancel_withdrawals(now, &mut self.core);
            }
            self.take_news(old, Some(News::Withdrawn));
        }
        let id = ServerId(self.take_id());
        let mut server = Server::new(id, listen);
        self.core.node.set_server(target, Some(server.record()));
        server.announcer.update(now, &mut self.core);
        self.by_target.insert(target, id);
        self.servers.insert(id, server);
        self.settle(now);
        Ok(id)
    }

    /// Stops listening and withdraws the announcements; [`Event::Unlistened`] follows. Streams live on.
    pub fn unlisten(&mut self, now: Instant, id: ServerId) {
        let Some(server) = self.servers.get_mut(&id) else {
            return;
        };
        let target = server.target();
        // Otherwise it is withdrawing already, and the key may be a newer server's.
        if self.by_target.get(&target) == Some(&id) {
            let news = server.close(now, &mut self.core);
            self.by_target.remove(&target);
            self.core.node.set_server(target, None);
            self.take_news(id, news);
        }
        self.settle(now);
    }

    /// Tells what became of [`Event::DialRelay`]: the stream of the connection to the relay, and the id under
    /// which the relay takes our packets; or nothing.
    pub fn handle_relay(&mut self, now: Instant, stream: StreamId, paired: Option<(StreamId, u32)>) {
        let place = paired.and_then(|(connection, id)| {
            let (socket, address) = self.core.streams.path(connection)?;
            Some((socket, address, id))
        });
        if let Some(id) = self.attempt_streams.get(&stream).copied() {
            self.with_attempt(now, id, |attempt, core| attempt.handle_relay(now, core, place));
        } else {
            let mut servers = self.servers.values_mut();
            if let Some(server) = servers.find(|server| server.owns_stream(stream)) {
                server.handle_relay(now, &mut self.core, stream, place);
            }
        }
        self.settle(now);
    }

    /// Returns whether a stream that runs over a relay may still find a direct path.
    pub fn may_leave_relay(&self, stream: StreamId) -> bool {
        let attempt = self.attempt_streams.get(&stream);
        let attempt = attempt.and_then(|id| self.attempts.get(id));
        let mut servers = self.servers.values();
        attempt.is_some_and(Attempt::looks_for_path) || servers.any(|server| server.expects_move(stream))
    }

    /// Links two clients of a relay of ours: the stream of each one's connection, and the id under which it
    /// takes packets. Returns the ids under which their packets are taken, or nothing if a connection is
    /// gone.
    ///
    /// [`Event::Unlinked`] follows when one of them ends its stream or `bytes` are used up or `until` has
    /// passed.
    pub fn link(&mut self, sides: [(StreamId, u32); 2], bytes: u64, until: Instant) -> Option<[u32; 2]> {
        let [a, b] = sides.map(|(connection, id)| Some((self.core.streams.path(connection)?, id)));
        let (a, b) = (a?, b?);
        // They reserve the ids.
        let ids = [(); 2].map(|()| self.core.streams.open(Admission::Refuse).0);
        let sides = [(ids[0], a.0, a.1), (ids[1], b.0, b.1)];
        self.core.forwards.link(sides, bytes, until);
        Some(ids)
    }

    /// Ends a link, named by either of its ids.
    pub fn unlink(&mut self, now: Instant, id: u32) {
        if let Some(ids) = self.core.forwards.unlink(id) {
            self.end_link(now, ids);
        }
        self.settle(now);
    }

    fn end_link(&mut self, now: Instant, ids: [u32; 2]) {
        for id in ids {
            self.core.streams.destroy(now, StreamId(id));
        }
        self.core.events.push_back(Event::Unlinked(ids));
    }

    /// Returns what NAT the node's socket for punching is behind, as far as that was examined.
    pub const fn firewall(&self) -> Firewall {
        self.core.puncher.firewall()
    }

    /// Returns the streams, to write, read, finish and destroy established ones.
    pub const fn streams(&mut self) -> &mut udx::Streams {
        &mut self.core.streams
    }

    /// Returns the DHT node, for lookups and announcements of the user's own.
    pub const fn node(&mut self) -> &mut dht::Node {
        &mut self.core.node
    }

    /// Returns how many handshakes of all servers wait for their client's first packet.
    pub fn half_open(&self) -> usize {
        self.servers.values().map(Server::half_open).sum()
    }
}

/// First byte of every stream packet; DHT packets begin with 03 or 13.
const STREAM_MAGIC: u8 = 0xff;
