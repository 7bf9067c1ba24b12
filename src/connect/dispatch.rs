//! What the node and the streams have to say becomes steps of attempts and servers.

use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use super::Endpoint;
use super::announcer::News;
use super::client::{Attempt, Outcome};
use super::report::Failure;
use super::router::{self, Forward};
use super::server::Server;
use super::shared::{Core, Owner};
use super::types::{AttemptId, Event, ServerId};
use crate::dht;
use crate::keys::PublicKey;
use crate::udx::{self, StreamId};
use crate::wire::compact::{Decode, Encode};
use crate::wire::handshake::{HandshakeMessage, HolepunchMessage, Mode};
use crate::wire::rpc::{PEER_HANDSHAKE, PEER_HOLEPUNCH};
use crate::wire::transmit::SocketId;

impl Endpoint {
    /// Turns what the node and the streams have to say into steps of attempts and servers, until they have
    /// nothing more to say.
    pub(super) fn settle(&mut self, now: Instant) {
        loop {
            if let Some(event) = self.core.node.poll_event() {
                self.handle_dht_event(now, event);
            } else if let Some((stream, event)) = self.core.streams.poll_event() {
                self.handle_stream_event(now, stream, event);
            } else if self.core.puncher.take_news() {
                self.handle_puncher_news(now);
            } else {
                self.prepare_puncher(now);
                return;
            }
        }
    }

    /// Opens the socket for punching before the first client needs it.
    fn prepare_puncher(&mut self, now: Instant) {
        let firewalled = self.core.puncher.is_closed() && self.core.node.remote_address().is_none();
        if firewalled && self.servers.values().any(|one| one.announcer.is_announced()) {
            self.core.want_puncher(now);
        }
    }

    fn handle_puncher_news(&mut self, now: Instant) {
        let attempts: Vec<_> = self.attempts.keys().copied().collect();
        for id in attempts {
            self.with_attempt(now, id, |attempt, core| attempt.handle_puncher_news(now, core));
        }
        for server in self.servers.values_mut() {
            server.handle_puncher_news(now, &mut self.core);
        }
    }

    /// Takes a datagram of 0 or 1 byte. It tells an attempt of ours the way, and a client that we know gets
    /// it back.
    pub(super) fn handle_probe(&mut self, now: Instant, socket: SocketId, from: SocketAddrV4) {
        if self.core.sockets.purpose(socket).is_none() {
            return;
        }
        let core = &self.core;
        let takes = |attempt: &Attempt| {
            let punch = attempt.punch();
            punch.is_some_and(|punch| punch.takes_probe(core, socket, from))
        };
        let mut takers = self.attempts.iter().filter(|(_, attempt)| takes(attempt));
        let expects = |attempt: &Attempt| attempt.punch().is_some_and(|punch| punch.expects(from));
        let first = takers.next();
        let taker = match first {
            Some((_, attempt)) if !expects(attempt) => {
                // Several servers may share a host; the one that named this very address comes first.
                takers.find(|(_, other)| expects(other)).or(first)
            }
            _ => first,
        };
        if let Some((id, _)) = taker {
            let id = *id;
            self.with_attempt(now, id, |attempt, core| {
                attempt.handle_probe(now, core, socket, from)
            });
        }
        if self.core.echoes.take(now, *from.ip()) {
            self.core.probe(now, socket, from, false, true);
        }
    }

    fn handle_dht_event(&mut self, now: Instant, event: dht::Event) {
        match event {
            dht::Event::Incoming(incoming) => self.handle_incoming(now, incoming),
            dht::Event::Answered { request, result } => match self.core.requests.remove(&request) {
                Some(Owner::Attempt(id)) => self.with_attempt(now, id, |attempt, core| {
                    attempt.handle_answer(now, core, request, result)
                }),
                Some(Owner::Server(id)) => self.with_server(id, |server, core| {
                    server.announcer.handle_answer(now, core, request, result)
                }),
                Some(Owner::Puncher) => self.core.handle_sample(now, request, result),
                Some(Owner::Nobody) => {}
                None => self.pass_on(dht::Event::Answered { request, result }),
            },
            dht::Event::QueryAnswer { query, answer } => match self.core.queries.get(&query).copied() {
                Some(Owner::Attempt(id)) => self.with_attempt(now, id, |attempt, core| {
                    attempt.handle_query_answer(now, core, &answer)
                }),
                Some(Owner::Server(_) | Owner::Puncher | Owner::Nobody) => {}
                None => self.pass_on(dht::Event::QueryAnswer { query, answer }),
            },
            dht::Event::QueryDone { query, result } => match self.core.queries.remove(&query) {
                Some(Owner::Attempt(id)) => self.with_attempt(now, id, |attempt, core| {
                    attempt.handle_query_done(now, core, result)
                }),
                Some(Owner::Server(id)) => self.with_server(id, |server, core| {
                    server.announcer.handle_query_done(now, core, query, result.ok())
                }),
                Some(Owner::Puncher | Owner::Nobody) => {}
                None => self.pass_on(dht::Event::QueryDone { query, result }),
            },
            dht::Event::Bootstrapped { reached } => {
                self.core.handle_joined(now);
                if reached > 0 {
                    for attempt in self.attempts.values_mut() {
                        attempt.handle_joined(now);
                    }
                }
                self.pass_on(dht::Event::Bootstrapped { reached });
            }
            other => self.pass_on(other),
        }
    }

    fn handle_stream_event(&mut self, now: Instant, stream: StreamId, event: udx::Event) {
        if let udx::Event::RemoteChanged = event {
            self.core.handle_moved(now, stream);
        }
        if let udx::Event::Closed(udx::Closed::TimedOut) = event {
            self.core.forget_way_of(stream);
        }
        let attempt = self.attempt_streams.get(&stream).copied();
        if let Some(id) = attempt
            && self.attempts.get(&id).is_some_and(Attempt::is_handed_out)
        {
            match event {
                udx::Event::PathOffered { socket, address } => {
                    self.with_attempt(now, id, |attempt, core| {
                        attempt.handle_offer(now, core, (socket, address))
                    });
                    return;
                }
                udx::Event::PathValidated => {
                    self.with_attempt(now, id, |attempt, core| attempt.handle_settled(now, core))
                }
                udx::Event::Closed(_) => self.end_attempt(now, id, false),
                _ => {}
            }
        } else if let Some(id) = attempt {
            match event {
                udx::Event::PathLearned { address, .. } => {
                    self.with_attempt(now, id, |attempt, core| attempt.handle_path(now, core, address));
                }
                udx::Event::Closed(udx::Closed::Reset) => {
                    self.fail_attempt(now, id, Failure::Refused);
                }
                udx::Event::Closed(_) => self.fail_attempt(now, id, Failure::NoPath),
                early => {
                    if let Some(attempt) = self.attempts.get_mut(&id) {
                        attempt.keep_event(early);
                    }
                }
            }
            return;
        }
        if let udx::Event::PathOffered { socket, address } = event {
            let mut servers = self.servers.values_mut();
            if let Some(server) = servers.find(|server| server.moves_stream(stream)) {
                server.handle_offer(now, &mut self.core, stream, (socket, address));
            }
            return;
        }
        let server = self
            .servers
            .values_mut()
            .find(|server| server.owns_stream(stream));
        if let Some(server) = server {
            match event {
                udx::Event::PathLearned { address, .. } => {
                    server.handle_path(now, &mut self.core, stream, address);
                }
                // The path was known, and now the client has answered on it.
                udx::Event::PathValidated => {
                    if let Some((_, address)) = self.core.streams.path(stream) {
                        server.handle_path(now, &mut self.core, stream, address);
                    }
                }
                udx::Event::Closed(_) => server.handle_closed(now, &mut self.core, stream),
                _ => {}
            }
            return;
        }
        self.core.events.push_back(Event::Stream(stream, event));
    }

    fn handle_incoming(&mut self, now: Instant, incoming: dht::Incoming) {
        let (Some(target), Some(value)) = (incoming.target, incoming.value.as_deref()) else {
            return;
        };
        let own = self.by_target.get(&target).copied();
        let entry = self.core.node.forward(&target);
        match incoming.command {
            PEER_HANDSHAKE => {
                let Ok(message) = HandshakeMessage::from_bytes(value) else {
                    return;
                };
                if let Some(server) = own.and_then(|id| self.servers.get_mut(&id)) {
                    server.handle_handshake(now, &mut self.core, &self.limits, incoming, message);
                    return;
                }
                let forward = router::handshake(&message, incoming.from, entry, self.core.private);
                self.forward(now, &incoming, forward);
            }
            PEER_HOLEPUNCH => {
                let Ok(message) = HolepunchMessage::from_bytes(value) else {
                    return;
                };
                // A message from a client is passed on even if the server is ours: it names a node in
                // between.
                if let Some(server) = own.and_then(|id| self.servers.get_mut(&id))
                    && message.mode == Mode::FromRelay
                {
                    server.handle_holepunch(now, &mut self.core, incoming, message);
                    return;
                }
                let forward = router::holepunch(&message, incoming.from, entry, self.core.private);
                self.forward(now, &incoming, forward);
            }
            _ => {}
        }
    }

    fn forward<M: Encode>(&mut self, now: Instant, incoming: &dht::Incoming, forward: Forward<M>) {
        let node = &mut self.core.node;
        match forward {
            Forward::Relay { to, message } => {
                // Two peers of one address most likely find each other in their own network, which a punch
                // must not overtake: where a reference client turns out to be reachable in the middle of
                // connecting, the punch makes its server end what has just begun.
                let neighbours = incoming.command == PEER_HOLEPUNCH && incoming.from.ip() == to.ip();
                let at = if neighbours { now + NEIGHBOURS_FIRST } else { now };
                node.relay_at(now, at, incoming, to, message.to_bytes(), None);
            }
            Forward::Reply { to, message } => {
                let reply = dht::Reply {
                    value: Some(message.to_bytes()),
                    to: Some(to),
                    ..dht::Reply::default()
                };
                node.reply(now, incoming, reply);
            }
            Forward::Unknown => {
                let reply = dht::Reply {
                    closer: true,
                    ..dht::Reply::default()
                };
                node.reply(now, incoming, reply);
            }
            Forward::Drop => {}
        }
    }

    /// Lets an attempt take a step and does what the step asks for.
    pub(super) fn with_attempt(
        &mut self,
        now: Instant,
        id: AttemptId,
        step: impl FnOnce(&mut Attempt, &mut Core) -> Outcome,
    ) {
        let Some(attempt) = self.attempts.get_mut(&id) else {
            return;
        };
        let (before, stream) = (attempt.poll_timeout(), attempt.stream());
        let outcome = if attempt.is_handed_out() && !self.core.streams.contains(attempt.stream()) {
            Outcome::Over
        } else {
            step(attempt, &mut self.core)
        };
        let after = attempt.poll_timeout();
        if before != after {
            self.attempt_deadlines.remove(&(before, id));
            self.attempt_deadlines.insert((after, id));
        }
        if attempt.stream() != stream {
            self.attempt_streams.remove(&stream);
            self.attempt_streams.insert(attempt.stream(), id);
            self.core.streams.destroy(now, stream);
        }
        match outcome {
            Outcome::Pending => {}
            Outcome::Connected { routes } => {
                let remote = *attempt.remote();
                let stream = attempt.stream();
                for event in attempt.take_events() {
                    self.core.events.push_back(Event::Stream(stream, event));
                }
                self.remember_routes(&remote, routes);
                self.end_attempt(now, id, false);
            }
            Outcome::HandedOut { routes } => {
                let (remote, stream) = (*attempt.remote(), attempt.stream());
                for event in attempt.take_events() {
                    self.core.events.push_back(Event::Stream(stream, event));
                }
                self.remember_routes(&remote, routes);
            }
            Outcome::Over => self.end_attempt(now, id, false),
            Outcome::Failed(failure) => self.fail_attempt(now, id, failure),
        }
    }

    /// Remembers through which nodes a server can be reached.
    fn remember_routes(&mut self, server: &PublicKey, mut nodes: Vec<SocketAddrV4>) {
        nodes.retain(|node| node.port() != 0);
        nodes.truncate(MAX_NODES);
        if nodes.is_empty() {
            self.routes.forget(server);
        } else {
            self.routes.insert(*server, nodes);
        }
    }

    fn fail_attempt(&mut self, now: Instant, id: AttemptId, failure: Failure) {
        if let Some(attempt) = self.attempts.get(&id) {
            let report = Box::new(attempt.report(now, &self.core));
            self.routes.forget(attempt.remote());
            self.core.ways.forget(attempt.remote());
            self.end_attempt(now, id, true);
            self.core.events.push_back(Event::Failed {
                attempt: id,
                failure,
                report,
            });
        }
    }

    pub(super) fn end_attempt(&mut self, now: Instant, id: AttemptId, destroy: bool) {
        let Some(mut attempt) = self.attempts.remove(&id) else {
            return;
        };
        self.attempt_deadlines.remove(&(attempt.poll_timeout(), id));
        self.attempt_streams.remove(&attempt.stream());
        // One that was handed out is its owner's already.
        let destroy = destroy && !attempt.is_handed_out();
        attempt.cancel(now, &mut self.core);
        if destroy {
            self.core.streams.destroy(now, attempt.stream());
        }
    }

    fn with_server(&mut self, id: ServerId, step: impl FnOnce(&mut Server, &mut Core) -> Option<News>) {
        if let Some(server) = self.servers.get_mut(&id) {
            let news = step(server, &mut self.core);
            self.take_news(id, news);
        }
    }

    pub(super) fn take_news(&mut self, id: ServerId, news: Option<News>) {
        match news {
            Some(News::Announced) => self.core.events.push_back(Event::Listening(id)),
            Some(News::Withdrawn) => {
                self.servers.remove(&id);
                self.core.events.push_back(Event::Unlistened(id));
            }
            None => {}
        }
    }

    fn pass_on(&mut self, event: dht::Event) {
        self.core.events.push_back(Event::Dht(event));
    }

    pub(super) const fn take_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }
}

/// Nodes remembered per server.
const MAX_NODES: usize = 4;

/// By how much a holepunch message to a peer of the sender's own address is put off: a few round trips in a
/// local network, and the time that a Node process takes to answer.
const NEIGHBOURS_FIRST: Duration = Duration::from_millis(10);
