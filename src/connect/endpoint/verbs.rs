//! What the driver of an endpoint calls.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Instant;

use tracing::{debug, trace};

use crate::connect::context::StreamOwner;
use crate::connect::core::Core;
use crate::connect::dial::{Attempt, Input};
use crate::connect::done::Done;
use crate::connect::event::{Event, ServerAddress, ServerState};
use crate::connect::ids::{AttemptId, ServerId};
use crate::connect::job::{Job, JobDone};
use crate::connect::limits::Limits;
use crate::connect::nat::Firewall;
use crate::connect::options::{Config, Dial, Listen, ListenError};
use crate::connect::punch::Purpose;
use crate::connect::relay::{Forwarded, Forwards};
use crate::connect::report::Failure;
use crate::connect::serve::{Notice, Server};
use crate::connect::timers::Timers;
use crate::dht::{self, Fill};
use crate::keys::PublicKey;
use crate::udx::{self, Admission, StreamId};
use crate::wire::hash;
use crate::wire::transmit::{SocketId, Train};

/// A peer of the HyperDHT without sockets or clock.
///
/// **After every `handle_*` and every command, drain:** [`Self::poll_transmit`] and [`Self::poll_event`]
/// until both are `None`, start what [`Self::poll_job`] has as far as it can run, then arm the timer with
/// [`Self::poll_timeout`].
#[derive(Debug)]
pub struct Endpoint {
    pub(super) core: Core,
    pub(super) limits: Limits,
    pub(super) attempts: BTreeMap<AttemptId, Attempt>,
    pub(super) attempt_timers: Timers<AttemptId>,
    pub(super) servers: BTreeMap<ServerId, Server>,
    pub(super) server_timers: Timers<ServerId>,
    pub(super) by_target: BTreeMap<[u8; 32], ServerId>,
    /// Servers that have been announced.
    pub(super) announced: BTreeSet<ServerId>,
    /// The links of the own relay.
    forwards: Forwards,
    next_id: u64,
}

impl Endpoint {
    /// Makes an endpoint that has no sockets yet. Equal seeds and inputs give equal behaviour.
    pub fn new(now: Instant, config: Config, seed: [u8; 32]) -> Self {
        let part = |name: &[u8]| hash::keyed_hash(&seed, &[name]);
        let node = dht::Node::new(now, config.dht.clone(), part(b"dht"));
        // Every stream is encrypted.
        let udx = udx::Config { is_protected: true, ..config.udx.clone() };
        let streams = udx::Streams::new(udx, part(b"udx"));
        Self {
            core: Core::new(node, streams, &config, part(b"connect")),
            limits: config.limits,
            attempts: BTreeMap::new(),
            attempt_timers: Timers::default(),
            servers: BTreeMap::new(),
            server_timers: Timers::default(),
            by_target: BTreeMap::new(),
            announced: BTreeSet::new(),
            forwards: Forwards::default(),
            next_id: 0,
        }
    }

    /// Sets the local addresses of the two main sockets. Requests made before, or while suspended, wait for
    /// this.
    pub fn handle_sockets(&mut self, now: Instant, server: SocketAddrV4, client: SocketAddrV4) {
        self.core.cx.own.set_bound(server);
        self.core.cx.node.handle_sockets(now, server, client);
        self.drain(now);
    }

    /// Stops: what is under way in the DHT fails, and nothing is answered or announced until
    /// [`Self::handle_sockets`]. Streams stay.
    pub fn suspend(&mut self, now: Instant) {
        self.core.punch.close_puncher(now, &mut self.core.cx);
        self.core.cx.node.suspend();
        self.drain(now);
    }

    /// Handles a host that was asleep, or stood still for another reason: as [`Self::handle_network_change`],
    /// and what is known of the DHT's nodes is old.
    pub fn handle_wake(&mut self, now: Instant) {
        self.core.cx.node.handle_wake(now);
        self.handle_network_change(now);
    }

    /// Handles a host that is in another network than before: servers are announced anew, NATs examined anew.
    pub fn handle_network_change(&mut self, now: Instant) {
        debug!("network changed");
        self.core.punch.puncher.examine(now, &mut self.core.cx);
        self.core.remembered.forget_places();
        let servers: Vec<_> = self.servers.keys().copied().collect();
        for id in servers {
            self.with_server(id, |server, core| {
                server.announcer().restart(now, core);
                None
            });
        }
        self.drain(now);
    }

    /// Sets the IPv4 addresses of this host's interfaces, loopback left out.
    pub fn handle_interfaces(&mut self, _now: Instant, addresses: &[Ipv4Addr]) {
        self.core.cx.own.set_interfaces(addresses);
    }

    /// Handles the outcome of [`Event::OpenSocket`]: the local address of the socket, or `None` if it can't
    /// be had.
    pub fn handle_socket(&mut self, now: Instant, socket: SocketId, local: Option<SocketAddrV4>) {
        let opened = local.is_some();
        match self.core.punch.sockets.purpose(socket) {
            Some(Purpose::Shared) => {
                self.core.punch.handle_puncher_socket(now, &mut self.core.cx, opened);
            }
            Some(Purpose::Attempt(id)) => self.step_attempt(now, id, Input::Socket(socket, opened)),
            Some(Purpose::Entry(id)) => self.with_server(id.server, |server, core| {
                server.handle_socket(now, core, id, socket, opened);
                None
            }),
            // It is not needed any more, and its closing has been asked for.
            None => {}
        }
        self.drain(now);
    }

    /// Handles a datagram. Call [`Self::flush`] after the last one of a batch.
    pub fn handle_datagram(&mut self, now: Instant, socket: SocketId, from: SocketAddrV4, datagram: &[u8]) {
        // A port of 0 can't be answered.
        if from.port() == 0 {
            return;
        }
        if datagram.len() < 2 {
            self.handle_probe(now, socket, from);
        } else if datagram[0] == STREAM_MAGIC {
            match self.forwards.handle_packet(now, (socket, from), datagram) {
                Forwarded::NotOurs => {
                    let streams = &mut self.core.cx.streams;
                    streams.handle_datagram(now, socket, from, datagram);
                }
                Forwarded::Taken => trace!(%from, bytes = datagram.len(), "packet of a relayed stream"),
                Forwarded::Last(ids) => self.end_link(now, ids),
            }
        } else {
            self.core.cx.node.handle_datagram(now, socket, from, datagram);
        }
        self.drain(now);
    }

    /// Ends a batch of received datagrams: acknowledges, detects losses, sends.
    pub fn flush(&mut self, now: Instant) {
        self.core.cx.streams.flush(now);
        self.drain(now);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.core.cx.node.handle_timeout(now);
        self.core.cx.streams.handle_timeout(now);
        while let Some(id) = self.attempt_timers.due(now) {
            self.step_attempt(now, id, Input::Timeout);
        }
        while let Some(id) = self.server_timers.due(now) {
            self.with_server(id, |server, core| {
                server.handle_timeout(now, core);
                None
            });
        }
        let core = &mut self.core;
        core.exits.handle_timeout(now, &mut core.cx);
        let in_use = self.servers.values().any(Server::is_open) && core.cx.node.remote_address().is_none();
        core.punch.handle_timeout(now, &mut core.cx, in_use);
        self.drain(now);
    }

    /// Handles the outcome of a job.
    pub fn handle_job(&mut self, now: Instant, done: JobDone) {
        match done.0 {
            Done::Initiated { attempt, result } => self.step_attempt(now, attempt, Input::Initiated(result)),
            Done::Finished { attempt, initiator, result } => {
                self.step_attempt(now, attempt, Input::Finished(initiator, result));
            }
            Done::PunchDecided { entry, is_allowed } => self.with_server(entry.server, |server, core| {
                server.handle_punch_decided(now, core, entry, is_allowed);
                None
            }),
            Done::Signed { request, signature } => self.core.cx.node.signed(now, request, signature),
            Done::Responded { entry, result } => self.with_server(entry.server, |server, core| {
                server.handle_responded(now, core, entry, result);
                None
            }),
        }
        self.drain(now);
    }

    /// Appends the datagrams of the next train to `buffer`, at most `max_segments` of them.
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        max_segments: usize,
        buffer: &mut Vec<u8>,
    ) -> Option<Train> {
        let core = &mut self.core;
        let first = core.punch.poll_transmit();
        let first = first.or_else(|| self.forwards.poll_transmit());
        if let Some(transmit) = first {
            buffer.extend_from_slice(&transmit.payload);
            return Some(Train::of(&transmit));
        }
        let Some(transmit) = core.cx.node.poll_transmit() else {
            return core.cx.streams.poll_transmit(now, max_segments, buffer);
        };
        let train = Train::of(&transmit);
        buffer.extend_from_slice(&transmit.payload);
        // Only the last one may be shorter.
        while buffer.len().is_multiple_of(train.segment_size)
            && buffer.len() / train.segment_size < max_segments
            && let Some(next) = core.cx.node.poll_transmit_beside(&train)
        {
            buffer.extend_from_slice(&next.payload);
        }
        Some(train)
    }

    /// Returns when to call [`Self::handle_timeout`] next and why, or `None` while nothing is pending.
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        let core = &self.core;
        let own = [
            (self.attempt_timers.next(), "attempt to connect"),
            (self.server_timers.next(), "server"),
            (core.punch.puncher.poll_timeout(), "puncher"),
            (core.exits.poll_timeout(), "relay exit"),
            (core.punch.sockets.poll_timeout(), "sockets"),
        ];
        let own = own.into_iter().filter_map(|(at, reason)| Some((at?, reason)));
        let node = core.cx.node.poll_timeout().into_iter();
        node.chain(core.cx.streams.poll_timeout()).chain(own).min_by_key(|(at, _)| *at)
    }

    /// Returns what has happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.core.cx.poll_event()
    }

    /// Returns the next computation to run beside the driver, whose outcome is passed to
    /// [`Self::handle_job`]: those of the own attempts first, then those of remote clients, whose sources
    /// have turns. Ask for no more at a time than can run: what waits here can still be forgotten.
    pub fn poll_job(&mut self, now: Instant) -> Option<Job> {
        let mut job = self.core.cx.take_job();
        while job.is_none()
            && let Some(id) = self.core.intake.take_next()
        {
            self.with_server(id.server, |server, core| {
                job = server.begin(now, core, id);
                None
            });
        }
        job
    }

    /// Starts to join the network; [`dht::Event::Bootstrapped`] follows.
    pub fn bootstrap(&mut self, now: Instant) {
        self.core.cx.node.bootstrap(now);
        self.drain(now);
    }

    /// Starts to connect; [`Event::Established`] or [`Event::Failed`] follows.
    pub fn connect(&mut self, now: Instant, mut dial: Dial) -> AttemptId {
        let id = AttemptId(self.take_id());
        let known = self.core.remembered.routes(&dial.remote).iter();
        for node in known.filter(|_| !dial.only_nodes) {
            if !dial.nodes.contains(node) {
                dial.nodes.push(*node);
            }
        }
        if self.attempts.len() >= self.limits.max_attempts {
            let failure = Failure::TooMany;
            let report = Box::default();
            self.core.cx.emit(Event::Failed { attempt: id, failure, report });
            return id;
        }
        let attempt = Attempt::start(now, &mut self.core, id, dial);
        self.attempt_timers.set(id, Some(attempt.poll_timeout()));
        self.attempts.insert(id, attempt);
        self.drain(now);
        id
    }

    /// Gives an attempt up; no event follows.
    pub fn abort(&mut self, now: Instant, attempt: AttemptId) {
        self.end_attempt(now, attempt, true);
        self.drain(now);
    }

    /// Starts to listen; [`Event::Listening`] follows once the server is announced.
    ///
    /// # Errors
    ///
    /// [`ListenError::KeyInUse`] if a server of this node has the key, [`ListenError::TooMany`] beyond
    /// [`Limits::max_servers`].
    pub fn listen(&mut self, now: Instant, listen: Listen) -> Result<ServerId, ListenError> {
        let target = listen.identity.public_key().target();
        if self.by_target.contains_key(&target) {
            return Err(ListenError::KeyInUse);
        }
        if self.servers.len() >= self.limits.max_servers {
            return Err(ListenError::TooMany);
        }
        // A withdrawal that arrives after the new announcement would undo it.
        let old = self.servers.iter().find(|(_, old)| old.target() == target);
        if let Some(old) = old.map(|(old, _)| *old) {
            self.with_server(old, |server, core| {
                server.announcer().cancel_withdrawals(now, core);
                Some(Notice::Withdrawn)
            });
        }
        let id = ServerId(self.take_id());
        debug!(server = id.0, key = %listen.identity.public_key().short(), "listening");
        let server = Server::new(id, listen);
        self.core.cx.node.set_server(target, Some(server.record()));
        self.by_target.insert(target, id);
        self.servers.insert(id, server);
        self.with_server(id, |server, core| {
            server.announcer().update(now, core);
            None
        });
        self.drain(now);
        Ok(id)
    }

    /// Announces a server anew at once; [`Event::Listening`] follows again. Returns whether it does: not
    /// where the announcements are withdrawn.
    pub fn refresh_server(&mut self, now: Instant, id: ServerId) -> bool {
        let mut follows = false;
        self.with_server(id, |server, core| {
            follows = server.announcer().refresh(now, core);
            None
        });
        self.drain(now);
        follows
    }

    /// Withdraws the announcements of a server and answers no handshake until [`Self::resume_server`];
    /// [`Event::Suspended`] follows. Its key stays taken, streams live on. Returns whether the event follows:
    /// not of a server that is closed.
    pub fn suspend_server(&mut self, now: Instant, id: ServerId) -> bool {
        let Some(target) =
            self.servers.get(&id).map(Server::target).filter(|target| self.listens(target, id))
        else {
            return false;
        };
        self.core.cx.node.set_server(target, None);
        self.with_server(id, |server, core| server.withdraw(now, core, Notice::Suspended));
        self.drain(now);
        true
    }

    /// Goes on after [`Self::suspend_server`]; [`Event::Listening`] follows. Returns whether it does: only of
    /// a server that is suspended.
    pub fn resume_server(&mut self, now: Instant, id: ServerId) -> bool {
        let mut resumed = None;
        self.with_server(id, |server, core| {
            if server.announcer().resume(now, core) {
                resumed = Some((server.target(), server.record()));
            }
            None
        });
        let follows = resumed.is_some();
        if let Some((target, record)) = resumed {
            self.core.cx.node.set_server(target, Some(record));
        }
        self.drain(now);
        follows
    }

    /// Returns whether a server has the key with this target; one that is closing has it no longer.
    fn listens(&self, target: &[u8; 32], id: ServerId) -> bool {
        self.by_target.get(target) == Some(&id)
    }

    /// Returns where a server is found, and nothing of one that is closed.
    pub fn server_state(&self, id: ServerId) -> ServerState {
        let cx = &self.core.cx;
        let server = self.servers.get(&id).filter(|server| self.listens(&server.target(), id));
        let Some(server) = server else {
            return ServerState::default();
        };
        let reachable = cx.node.remote_address();
        let local = || Some(SocketAddrV4::new(*cx.node.sampled_address()?.ip(), cx.own.port()?));
        let address = reachable.or_else(local);
        ServerState {
            relay_addresses: if server.is_open() { server.relay_addresses(cx) } else { Vec::new() },
            address: address.map(|address| ServerAddress { address, is_reachable: reachable.is_some() }),
        }
    }

    /// Stops listening and withdraws the announcements; [`Event::Unlistened`] follows. Streams live on.
    pub fn unlisten(&mut self, now: Instant, id: ServerId) {
        let target = self.servers.get(&id).map(Server::target);
        // Otherwise it is withdrawing already, and the key may be a newer server's.
        if let Some(target) = target
            && self.listens(&target, id)
        {
            self.by_target.remove(&target);
            self.core.cx.node.set_server(target, None);
            self.with_server(id, |server, core| server.withdraw(now, core, Notice::Withdrawn));
        }
        self.drain(now);
    }

    /// Handles the outcome of [`Event::DialRelay`]: the stream of the connection to the relay, and the id
    /// under which the relay takes packets; or nothing.
    pub fn handle_relay(&mut self, now: Instant, stream: StreamId, paired: Option<(StreamId, u32)>) {
        let paired = paired.and_then(|(connection, id)| Some((self.core.cx.path_of(connection)?, id)));
        match self.core.cx.stream_owner(stream) {
            Some(StreamOwner::Attempt(id)) => self.step_attempt(now, id, Input::Relay(paired)),
            Some(StreamOwner::Entry(id)) => self.with_server(id.server, |server, core| {
                server.handle_relay(now, core, id, paired);
                None
            }),
            None => {}
        }
        self.drain(now);
    }

    /// Returns whether a stream that runs through a relay may still find a direct path.
    pub fn may_leave_relay(&self, stream: StreamId) -> bool {
        match self.core.cx.stream_owner(stream) {
            Some(StreamOwner::Attempt(id)) => self.attempts.get(&id).is_some_and(Attempt::is_looking),
            Some(StreamOwner::Entry(id)) => {
                let server = self.servers.get(&id.server);
                server.is_some_and(|server| server.may_leave_relay(id))
            }
            None => false,
        }
    }

    /// Links two clients of the own relay: the stream of each one's connection, and the id under which it
    /// takes packets. Returns the ids under which their packets are taken, or nothing if a connection is
    /// gone.
    ///
    /// [`Event::Unlinked`] follows when one of them ends its stream or `bytes` are used up or `until` has
    /// passed.
    pub fn link(&mut self, sides: [(StreamId, u32); 2], bytes: u64, until: Instant) -> Option<[u32; 2]> {
        let [a, b] = sides.map(|(connection, id)| Some((self.core.cx.streams.path(connection)?, id)));
        let (a, b) = (a?, b?);
        // They reserve the ids.
        let ids = [(); 2].map(|()| self.core.cx.streams.open(Admission::Refuse).0);
        let sides = [(ids[0], a.0, a.1), (ids[1], b.0, b.1)];
        self.forwards.link(sides, bytes, until);
        Some(ids)
    }

    /// Ends a link, named by either of its ids.
    pub fn unlink(&mut self, now: Instant, id: u32) {
        if let Some(ids) = self.forwards.unlink(id) {
            self.end_link(now, ids);
        }
        self.drain(now);
    }

    fn end_link(&mut self, now: Instant, ids: [u32; 2]) {
        for id in ids {
            self.core.cx.streams.destroy(now, StreamId(id));
        }
        self.core.cx.emit(Event::Unlinked(ids));
    }

    /// Returns what NAT the node is behind: none if every host can reach its server socket, else the one of
    /// its socket for punching, as far as that was examined.
    pub fn firewall(&self) -> Firewall {
        match self.core.cx.node.remote_address() {
            Some(_) => Firewall::Open,
            None => self.core.punch.puncher.firewall(),
        }
    }

    /// Returns by what that NAT was judged: nodes, and how each sees the socket for punching.
    pub fn nat_samples(&self) -> &[(SocketAddrV4, SocketAddrV4)] {
        self.core.punch.puncher.samples()
    }

    /// Returns the servers that listen, and their keys.
    pub fn servers(&self) -> impl Iterator<Item = (ServerId, PublicKey)> {
        let listening = self.servers.iter().filter(|(id, server)| self.listens(&server.target(), **id));
        listening.map(|(id, server)| (*id, *server.public_key()))
    }

    /// Returns how full the bounds are.
    pub fn fills(&self) -> Vec<Fill> {
        let fill = |what, used, bound| Fill { what, used, bound };
        let mut fills = vec![
            fill("handshakes half open", self.core.intake.half_open(), self.limits.max_half_open),
            fill("attempts to connect", self.attempts.len(), self.limits.max_attempts),
            fill("servers", self.servers.len(), self.limits.max_servers),
        ];
        fills.extend(self.core.cx.node.fills());
        fills
    }

    /// Returns the streams, to write, read, finish and destroy established ones.
    pub const fn streams(&mut self) -> &mut udx::Streams {
        &mut self.core.cx.streams
    }

    /// Returns the DHT node, for lookups and announcements of the user's own.
    pub const fn node(&mut self) -> &mut dht::Node {
        &mut self.core.cx.node
    }

    const fn take_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Returns how many handshakes of all servers wait for their client's first packet.
    #[cfg(test)]
    pub fn half_open(&self) -> usize {
        self.core.intake.half_open()
    }

    /// Returns how many handshakes of remote clients were forgotten for others.
    pub const fn handshakes_dropped(&self) -> u64 {
        self.core.intake.dropped()
    }
}

/// First byte of every stream packet; DHT packets begin with 03 or 13.
const STREAM_MAGIC: u8 = 0xff;
