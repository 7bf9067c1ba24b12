//! One attempt to connect: find nodes that know the server, shake hands through them. The way for stream
//! packets is chosen in `path`.

use std::collections::VecDeque;
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use super::handshakes::{Handshakes, Kind};
use super::job::{Initiate, Job, Work};
use super::noise::{Initiator, NoiseError, Session};
use super::path::Choosing;
use super::reply::{Reply, first_message, refusal};
use super::report::{Exchange, Failure, Report, Stage};
use super::reuse::Way;
use super::shared::{Core, Owner};
use super::types::{AttemptId, Dial, Event, Path};
use crate::dht::{Answer, Outgoing, QueryError, QueryId, QueryOutcome, RequestError, RequestId};
use crate::udx::{self, Admission, StreamId};
use crate::wire::compact::Decode;
use crate::wire::handshake::{ERROR_NONE, FIREWALL_OPEN, FIREWALL_UNKNOWN, NoisePayload, RelayThrough};
use crate::wire::records::Peer;
use crate::wire::transmit::SocketId;

/// Answers to message 1 that wait while another one is read.
const MAX_REPLIES: usize = 8;
/// How long a direct path is looked for at least while the stream runs over a relay.
const LONGEST_SEARCH: Duration = Duration::from_secs(60);
/// Events of a stream kept until it is established; beyond it go unordered messages, which may get lost, and
/// repeated news of data.
const MAX_EARLY_EVENTS: usize = 64;

/// An attempt's end: what the endpoint does with it.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Still under way.
    Pending,
    /// The stream has a path; the event is queued. The nodes are worth trying first next time.
    Connected {
        routes: Vec<SocketAddrV4>,
    },
    /// The same, and the attempt goes on: to look for a direct path, or until the server has answered.
    HandedOut {
        routes: Vec<SocketAddrV4>,
    },
    /// A stream that was handed out has moved, or stays where it is.
    Over,
    Failed(Failure),
}

#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) id: AttemptId,
    pub(super) dial: Dial,
    pub(super) stream: StreamId,
    started: Instant,
    pub(super) phase: Phase,
    /// The way of an earlier connection, until it is tried; and until when nothing else is.
    pub(super) way: Option<Way>,
    pub(super) head_start: Option<Instant>,
    query: Option<QueryId>,
    query_failed: bool,
    /// Whether the lookup may run again from our own table, because it began with nodes that were named and
    /// led nowhere.
    may_look_again: bool,
    pub(super) handshakes: Handshakes,
    /// Whether message 1 says that we are reachable: then the server comes to us. What we learn later it does
    /// not know.
    pub(super) told_open: bool,
    /// The relay that message 1 offers.
    pub(super) own_relay: Option<RelayThrough>,
    replies: VecDeque<Reply>,
    /// What the stream had to say before it was established, for its later owner.
    events: Vec<udx::Event>,
    pub(super) report: Report,
}

#[derive(Debug)]
pub(super) enum Phase {
    /// Message 1 is being made.
    Initiating,
    /// Looking for the server and shaking hands. The initiator is away while an answer is being read.
    Shaking {
        initiator: Option<Box<Initiator>>,
        noise: Vec<u8>,
        reading: Option<Reply>,
    },
    /// Shaken hands; waiting for a path.
    Choosing(Box<Choosing>),
    Over,
}

impl Attempt {
    pub(super) fn start(now: Instant, core: &mut Core, id: AttemptId, dial: Dial) -> Self {
        let mut attempt = Self {
            id,
            stream: core.streams.open(Admission::HoldAndAccept),
            told_open: core.is_reachable(now),
            own_relay: None,
            started: now,
            phase: Phase::Initiating,
            way: None,
            head_start: None,
            query: None,
            query_failed: false,
            may_look_again: !dial.nodes.is_empty() && !dial.only_nodes,
            handshakes: Handshakes::default(),
            replies: VecDeque::new(),
            events: Vec::new(),
            report: Report {
                // A node that has found nobody is done bootstrapping as well.
                joined: (core.node.table_len() > 0).then_some(Duration::ZERO),
                ..Report::default()
            },
            dial,
        };
        attempt.initiate(core);
        // A persistent node may hold the server's announcement itself.
        let own_entry = core
            .node
            .forward(&attempt.dial.remote.target())
            .filter(|_| !attempt.dial.only_nodes);
        for node in own_entry.into_iter().chain(attempt.dial.nodes.clone()) {
            attempt.handshakes.add_known(node);
        }
        if attempt.dial.reusable_socket && !attempt.dial.only_nodes {
            attempt.way = core.way(&attempt.dial.remote);
        }
        if attempt.way.is_none() {
            attempt.look_up(now, core);
        }
        attempt
    }

    /// Begins to ask the DHT who knows the server.
    pub(super) fn look_up(&mut self, now: Instant, core: &mut Core) {
        if !self.dial.only_nodes {
            let (owner, seeds) = (Owner::Attempt(self.id), self.dial.nodes.clone());
            self.query = Some(core.find_peer(now, owner, &self.dial.remote, seeds));
        }
    }

    /// Has message 1 written.
    fn initiate(&mut self, core: &mut Core) {
        let relay = self.dial.relay_through;
        self.own_relay = relay.map(|key| core.relay_through(key));
        let mut payload = NoisePayload {
            relay_through: self.own_relay.clone(),
            ..core.payload(self.stream, self.dial.reusable_socket)
        };
        if !self.told_open && payload.firewall == FIREWALL_OPEN {
            payload.firewall = FIREWALL_UNKNOWN;
            let public = core.node.remote_address();
            payload.addresses4.retain(|address| Some(*address) != public);
        }
        let work = Initiate {
            attempt: self.id,
            key_pair: self.dial.key_pair.clone(),
            remote: self.dial.remote,
            ephemeral_seed: core.random_seed(),
            payload,
        };
        core.events
            .push_back(Event::Job(Job(Work::Initiate(Box::new(work)))));
    }

    /// Shakes hands anew, on another stream, as a client behind a firewall: the server has not reached us
    /// where we said that it can.
    pub(super) fn start_over(&mut self, now: Instant, core: &mut Core) -> Outcome {
        let elapsed = self.elapsed(now);
        if let Phase::Choosing(choosing) = &self.phase
            && choosing.dials_relay()
        {
            core.events.push_back(Event::LeaveRelay(self.stream));
        }
        self.cancel(now, core);
        self.report.unreachable = Some(elapsed);
        self.told_open = false;
        self.stream = core.streams.open(Admission::HoldAndAccept);
        self.phase = Phase::Initiating;
        self.events.clear();
        self.replies.clear();
        // Those that led to the server a moment ago.
        self.handshakes.start_over();
        self.head_start = None;
        self.may_look_again = !self.dial.only_nodes;
        self.initiate(core);
        Outcome::Pending
    }

    pub(super) const fn stream(&self) -> StreamId {
        self.stream
    }

    pub(super) const fn remote(&self) -> &crate::keys::PublicKey {
        &self.dial.remote
    }

    /// Returns the nodes that led to the server, or would have.
    pub(super) fn own_routes(&self) -> Vec<SocketAddrV4> {
        match self.handshakes.tried() {
            [] => self.dial.nodes.clone(),
            tried => tried.to_vec(),
        }
    }

    /// Keeps an event of the stream until it is established.
    pub(super) fn keep_event(&mut self, event: udx::Event) {
        let droppable = matches!(event, udx::Event::Message(_) | udx::Event::Readable);
        if !droppable || self.events.len() < MAX_EARLY_EVENTS {
            self.events.push(event);
        }
    }

    pub(super) fn take_events(&mut self) -> Vec<udx::Event> {
        std::mem::take(&mut self.events)
    }

    /// Returns the report as of now.
    pub(super) fn report(&self, now: Instant, core: &Core) -> Report {
        let mut report = Report {
            total: self.elapsed(now),
            stage: self.stage(),
            ..self.report.clone()
        };
        if let Phase::Choosing(choosing) = &self.phase
            && let Some(punch) = &choosing.punch
        {
            punch.tell(core, &mut report);
        }
        report
    }

    pub(super) fn elapsed(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started)
    }

    /// Takes the news that the node has joined the network.
    pub(super) fn handle_joined(&mut self, now: Instant) {
        let elapsed = self.elapsed(now);
        self.report.joined.get_or_insert(elapsed);
    }

    pub(super) fn handle_initiated(
        &mut self,
        now: Instant,
        core: &mut Core,
        result: Result<(Box<Initiator>, Vec<u8>), NoiseError>,
    ) -> Outcome {
        match result {
            Ok((initiator, noise)) => {
                self.phase = Phase::Shaking {
                    initiator: Some(initiator),
                    noise,
                    reading: None,
                };
                self.go_on(now, core)
            }
            // Only a key that is no point of the curve gets here: nobody can listen with it.
            Err(_) => Outcome::Failed(Failure::BadKey),
        }
    }

    /// Takes an answer of the query: a node that holds a record of the server can pass messages on to it.
    pub(super) fn handle_query_answer(&mut self, now: Instant, core: &mut Core, answer: &Answer) -> Outcome {
        self.report.nodes_answered += 1;
        // Whom a node of the DHT answers is in it, though bootstrapping may go on for a while.
        self.handle_joined(now);
        let record = answer
            .value
            .as_deref()
            .and_then(|value| Peer::from_bytes(value).ok());
        if record.is_some_and(|peer| peer.public_key == self.dial.remote) {
            self.report.records_found += 1;
            let elapsed = self.elapsed(now);
            self.report.lookup.get_or_insert(elapsed);
            self.handshakes.add_found(answer.from);
        }
        self.go_on(now, core)
    }

    pub(super) fn handle_query_done(
        &mut self,
        now: Instant,
        core: &mut Core,
        result: Result<QueryOutcome, QueryError>,
    ) -> Outcome {
        self.query = None;
        match result {
            Ok(outcome) => {
                self.report.nodes_asked = outcome.asked;
                self.report.nodes_answered = self.report.nodes_answered.max(outcome.answered);
            }
            Err(_) => self.query_failed = true,
        }
        self.go_on(now, core)
    }

    pub(super) fn handle_answer(
        &mut self,
        now: Instant,
        core: &mut Core,
        request: RequestId,
        result: Result<Answer, RequestError>,
    ) -> Outcome {
        if let Some(asked) = self.handshakes.finish(request) {
            if let Some(reply) = result.ok().and_then(Reply::accept)
                && self.replies.len() < MAX_REPLIES
            {
                self.note_answered(now, asked);
                self.replies.push_back(reply);
            }
            return self.go_on(now, core);
        }
        self.handle_path_answer(now, core, request, result)
    }

    /// Notes in the report that a node is sent message 1.
    pub(super) fn note_asked(&mut self, now: Instant, node: SocketAddrV4) {
        self.report.exchanges.push(Exchange {
            node,
            started: self.elapsed(now),
            answered: None,
        });
    }

    /// Notes in the report that a node has answered message 1.
    pub(super) fn note_answered(&mut self, now: Instant, node: SocketAddrV4) {
        let elapsed = self.elapsed(now);
        let mut exchanges = self.report.exchanges.iter_mut().rev();
        if let Some(exchange) = exchanges.find(|exchange| exchange.node == node) {
            exchange.answered = Some(elapsed);
        }
    }

    pub(super) fn handle_finished(
        &mut self,
        now: Instant,
        core: &mut Core,
        initiator: Box<Initiator>,
        result: Result<Box<(NoisePayload, Session)>, NoiseError>,
    ) -> Outcome {
        let Phase::Shaking {
            initiator: place,
            reading,
            ..
        } = &mut self.phase
        else {
            return Outcome::Pending;
        };
        *place = Some(initiator);
        let reply = reading.take();
        let (Ok(read), Some(reply)) = (result, reply) else {
            // A forged or damaged answer ends only this exchange.
            return self.go_on(now, core);
        };
        let (payload, session) = *read;
        let elapsed = self.elapsed(now);
        self.report.handshake = Some(elapsed);
        self.report.own_address = Some(reply.client_address);
        self.report.server_address = reply.peer_address.or(Some(reply.asked));
        if let Some(failure) = refusal(&payload) {
            return Outcome::Failed(failure);
        }
        let Some(udx) = payload.udx else {
            return Outcome::Failed(Failure::Protocol(ERROR_NONE));
        };
        self.settle(now, core, &reply, &payload, udx.id, session)
    }

    /// Takes the news that packets with our stream id have come from somewhere.
    pub(super) fn handle_path(&mut self, now: Instant, core: &mut Core, address: SocketAddrV4) -> Outcome {
        if matches!(self.phase, Phase::Choosing(_)) {
            return self.established(now, core, address, Path::Direct);
        }
        Outcome::Pending
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, core: &mut Core) -> Outcome {
        if self.end() <= now {
            return if self.is_handed_out() {
                Outcome::Over
            } else {
                Outcome::Failed(Failure::TimedOut(self.stage()))
            };
        }
        if matches!(self.phase, Phase::Shaking { .. }) {
            return self.go_on(now, core);
        }
        self.handle_path_timeout(now, core)
    }

    /// Returns whether the stream is its owner's already, so that there is no failing any more.
    pub(super) const fn is_handed_out(&self) -> bool {
        match &self.phase {
            Phase::Choosing(choosing) => choosing.session.is_none(),
            _ => false,
        }
    }

    /// Returns when the attempt ends, whatever it has come to.
    fn end(&self) -> Instant {
        if self.is_handed_out() {
            self.started + self.dial.timeout.max(LONGEST_SEARCH)
        } else {
            self.started + self.dial.timeout
        }
    }

    pub(super) fn poll_timeout(&self) -> Instant {
        let end = self.end();
        match &self.phase {
            Phase::Choosing(choosing) => choosing.poll_timeout().map_or(end, |at| at.min(end)),
            _ => {
                let waits = self.handshakes.crowded_until().into_iter().chain(self.head_start);
                waits.fold(end, Instant::min)
            }
        }
    }

    /// Withdraws every question that is still open. The stream is left to whoever has it next.
    pub(super) fn cancel(&mut self, now: Instant, core: &mut Core) {
        if let Some(query) = self.query.take() {
            core.cancel_query(query);
        }
        for request in self.handshakes.withdraw() {
            core.cancel_request(now, request);
        }
        if let Phase::Choosing(mut choosing) = std::mem::replace(&mut self.phase, Phase::Over) {
            choosing.stop(now, core, false);
        }
    }

    fn stage(&self) -> Stage {
        match &self.phase {
            Phase::Choosing(_) | Phase::Over => Stage::Path,
            _ if self.report.records_found > 0 || !self.handshakes.tried().is_empty() => Stage::Handshake,
            _ if self.report.joined.is_some() || self.report.nodes_answered > 0 => Stage::Lookup,
            _ => Stage::Bootstrap,
        }
    }

    /// Sends message 1 to a node, or to the server itself.
    pub(super) fn shake(
        &mut self,
        now: Instant,
        core: &mut Core,
        noise: &[u8],
        node: SocketAddrV4,
        socket: Option<SocketId>,
        kind: Kind,
    ) {
        let outgoing = Outgoing {
            socket,
            ..first_message(node, self.dial.remote.target(), noise.to_vec())
        };
        let request = core.request(now, Owner::Attempt(self.id), outgoing);
        self.handshakes.begin(now, request, node, kind);
        self.note_asked(now, node);
    }

    /// Returns whether an answer to message 1 may come or is being read.
    pub(super) fn is_shaking(&self) -> bool {
        let reading = matches!(&self.phase, Phase::Shaking { reading: Some(_), .. });
        reading || self.handshakes.is_under_way()
    }

    /// Reads the next answer, starts the handshakes that may run, and notices when nothing is left to wait
    /// for.
    fn go_on(&mut self, now: Instant, core: &mut Core) -> Outcome {
        let Phase::Shaking {
            initiator,
            noise,
            reading,
        } = &mut self.phase
        else {
            return Outcome::Pending;
        };
        if let Some(reply) = self.replies.pop_front_if(|_| initiator.is_some())
            && let Some(initiator) = initiator.take()
        {
            let work = Work::Finish {
                attempt: self.id,
                initiator,
                noise: reply.noise.clone(),
            };
            core.events.push_back(Event::Job(Job(work)));
            *reading = Some(reply);
        }
        let noise = noise.clone();
        if self.tries_way(now, core, &noise) {
            return Outcome::Pending;
        }
        while let Some((node, kind)) = self.handshakes.next(now) {
            self.shake(now, core, &noise, node, None, kind);
        }
        if self.query.is_some() || self.is_shaking() {
            return Outcome::Pending;
        }
        if std::mem::take(&mut self.may_look_again) {
            self.query_failed = false;
            let query = core.find_peer(now, Owner::Attempt(self.id), &self.dial.remote, Vec::new());
            self.query = Some(query);
            return Outcome::Pending;
        }
        Outcome::Failed(if self.report.records_found > 0 || self.dial.only_nodes {
            Failure::NoAnswer
        } else if self.query_failed || self.report.nodes_answered == 0 {
            Failure::NoNetwork
        } else {
            Failure::NotFound
        })
    }
}
