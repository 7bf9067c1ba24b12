//! The first phase of an attempt: find nodes that know the server, and exchange handshake messages through
//! them.

use std::collections::VecDeque;
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use tracing::debug;

use super::call::{Call, Turn};
use super::handshakes::{Handshakes, Kind};
use super::reply::{Reply, ServerAnswer, first_message, refusal};
use super::step::{Input, Step};
use crate::connect::context::Asker;
use crate::connect::handshake::{Finish, Handshake, Initiate};
use crate::connect::ids::Place;
use crate::connect::job::{Job, Work};
use crate::connect::noise::{Initiator, NoiseError, Session};
use crate::connect::report::{Failure, Stage};
use crate::dht::{Answer, QueryError, QueryId, QueryOutcome, RequestError, RequestId};
use crate::udx::{self, Closed};
use crate::wire::compact::Decode;
use crate::wire::handshake::{ERROR_NONE, NoisePayload};
use crate::wire::records::Peer;
use crate::wire::transmit::SocketId;

#[derive(Debug)]
pub(super) struct Search {
    message: Message1,
    /// Where an earlier connection ran, until it is tried; and until when nothing else is.
    remembered: Option<Place>,
    head_start: Option<Instant>,
    query: Option<QueryId>,
    query_failed: bool,
    /// Whether the lookup may run again, from the own table: it began with nodes that were named and led
    /// nowhere, or what it found does not answer.
    may_look_again: bool,
    handshakes: Handshakes,
    replies: VecDeque<Reply>,
}

#[derive(Debug)]
enum Message1 {
    /// The cryptography is under way.
    Computing,
    Written {
        noise: Vec<u8>,
        reader: Reader,
    },
}

/// What reads answers to message 1: one at a time, beside the driver.
#[derive(Debug)]
enum Reader {
    Idle(Box<Initiator>),
    Busy(Reply),
}

impl Search {
    pub(super) fn start(turn: &mut Turn<'_>) -> Self {
        let mut search = Self {
            message: Message1::Computing,
            remembered: None,
            head_start: None,
            query: None,
            query_failed: false,
            may_look_again: !turn.call.dial.only_nodes,
            handshakes: Handshakes::default(),
            replies: VecDeque::new(),
        };
        initiate(turn);
        // A persistent node may hold the server's announcement itself.
        let own_entry = turn.core.cx.node.forward(&turn.call.dial.remote.target());
        let own_entry = own_entry.filter(|_| !turn.call.dial.only_nodes);
        for node in own_entry.into_iter().chain(turn.call.dial.nodes.clone()) {
            search.handshakes.add_known(node);
        }
        if turn.call.dial.reusable_socket && !turn.call.dial.only_nodes {
            search.remembered = turn.core.remembered.place(&turn.call.dial.remote, &turn.core.punch.sockets);
        }
        if search.remembered.is_none() {
            search.look_up(turn);
        }
        search
    }

    /// Exchanges handshakes anew, on another stream, as a client behind a firewall: the server has not
    /// reached this node at the address that it claims. Starts with the nodes that led to the server a moment
    /// ago.
    pub(super) fn start_again(turn: &mut Turn<'_>, mut handshakes: Handshakes) -> Self {
        debug!("the server does not reach this node: starting again, to punch");
        handshakes.start_over();
        turn.call.claim_no_more(turn.now, &mut turn.core.cx);
        initiate(turn);
        Self {
            message: Message1::Computing,
            remembered: None,
            head_start: None,
            query: None,
            query_failed: false,
            may_look_again: !turn.call.dial.only_nodes,
            handshakes,
            replies: VecDeque::new(),
        }
    }

    pub(super) fn handle(&mut self, turn: &mut Turn<'_>, input: Input) -> Step {
        match input {
            Input::Initiated(Ok((initiator, noise))) => {
                let reader = Reader::Idle(initiator);
                self.message = Message1::Written { noise, reader };
            }
            Input::Initiated(Err(NoiseError::Signer)) => return Step::fail(Failure::Signer),
            // Only a key that is no point of the curve gets here: no server can have it.
            Input::Initiated(Err(_)) => return Step::fail(Failure::BadKey),
            Input::Finished(initiator, result) => return self.handle_finished(turn, initiator, result),
            Input::QueryAnswer(answer) => self.handle_query_answer(turn, &answer),
            Input::QueryDone(result) => self.handle_query_done(turn, result),
            Input::Answer(request, result) => self.handle_answer(turn, request, result),
            Input::Stream(udx::Event::Closed(Closed::Left | Closed::Reset)) => {
                return Step::fail(Failure::Refused);
            }
            Input::Stream(udx::Event::Closed(_)) => return Step::fail(Failure::NoPath),
            // The path is asked for once the server has answered.
            Input::Stream(udx::Event::PathLearned { .. }) => return Step::Continue,
            Input::Stream(event) => {
                turn.call.keep_event(event);
                return Step::Continue;
            }
            Input::Timeout => {}
            Input::Relay(_) | Input::Puncher | Input::Socket(..) | Input::Probe(_) => return Step::Continue,
        }
        self.advance(turn)
    }

    /// Handles an answer of the lookup: a node that holds a record of the server can pass messages on to it.
    fn handle_query_answer(&mut self, turn: &mut Turn<'_>, answer: &Answer) {
        turn.call.nodes_answered += 1;
        // A node that is answered by the DHT is in it, though bootstrapping may go on for a while.
        turn.call.note_joined(turn.now);
        let record = answer.value.as_deref().map(Peer::from_bytes);
        if matches!(record, Some(Ok(peer)) if peer.public_key == turn.call.dial.remote) {
            let after_ms = turn.call.elapsed(turn.now).as_millis() as u64;
            debug!(node = %answer.from, after_ms, "record found");
            turn.call.records_found += 1;
            let elapsed = turn.call.elapsed(turn.now);
            turn.call.report.lookup.get_or_insert(elapsed);
            self.handshakes.add_found(answer.from);
        }
    }

    fn handle_query_done(&mut self, turn: &mut Turn<'_>, result: Result<QueryOutcome, QueryError>) {
        self.query = None;
        match result {
            Ok(outcome) => {
                debug!(asked = outcome.asked, answered = outcome.answered, "lookup ended");
                turn.call.report.nodes_asked = outcome.asked;
                turn.call.nodes_answered = turn.call.nodes_answered.max(outcome.answered);
            }
            Err(error) => {
                debug!(%error, "lookup failed");
                self.query_failed = true;
            }
        }
    }

    fn handle_answer(
        &mut self,
        turn: &mut Turn<'_>,
        request: RequestId,
        result: Result<Answer, RequestError>,
    ) {
        let Some((asked, since)) = self.handshakes.finish(request) else {
            return;
        };
        match result.map(|answer| Reply::accept(answer, turn.now.saturating_duration_since(since))) {
            Ok(Some(reply)) if self.replies.len() < MAX_REPLIES => {
                debug!(node = %asked, rtt_ms = reply.round_trip.as_millis() as u64, "handshake answered");
                turn.call.note_answered(turn.now, asked);
                self.replies.push_back(reply);
            }
            Ok(Some(_)) => debug!(node = %asked, "handshake answer dropped: too many wait"),
            Ok(None) => debug!(node = %asked, "handshake answer does not come from the server"),
            Err(error) => debug!(node = %asked, %error, "handshake unanswered"),
        }
    }

    fn handle_finished(
        &mut self,
        turn: &mut Turn<'_>,
        initiator: Box<Initiator>,
        result: Result<Box<(NoisePayload, Session)>, NoiseError>,
    ) -> Step {
        let Message1::Written { noise, reader } = &mut self.message else {
            return Step::Continue;
        };
        let Reader::Busy(reply) = std::mem::replace(reader, Reader::Idle(initiator)) else {
            return Step::Continue;
        };
        let read = match result {
            Ok(read) => read,
            Err(NoiseError::Signer) => return Step::fail(Failure::Signer),
            Err(_) => {
                debug!(node = %reply.asked, "handshake answer unreadable");
                // A forged or damaged answer ends only this exchange.
                return self.advance(turn);
            }
        };
        let (payload, session) = *read;
        let elapsed = turn.call.elapsed(turn.now);
        turn.call.report.handshake = Some(elapsed);
        turn.call.report.own_address = Some(reply.client_address);
        turn.call.report.server_address = reply.peer_address.or(Some(reply.asked));
        if let Some(failure) = refusal(&payload) {
            return Step::fail(failure);
        }
        let Some(udx) = &payload.udx else {
            return Step::fail(Failure::Protocol(ERROR_NONE));
        };
        let (remote_id, message1) = (udx.id, std::mem::take(noise));
        let answer = ServerAnswer { reply, message1, payload, session, remote_id };
        Step::Answered(Box::new(answer))
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let waits = self.handshakes.crowded_until().into_iter();
        waits.chain(self.head_start).min()
    }

    pub(super) fn stage(&self, call: &Call) -> Stage {
        if call.records_found > 0 || !self.handshakes.tried().is_empty() {
            Stage::Handshake
        } else if call.joined.is_some() || call.nodes_answered > 0 {
            Stage::Lookup
        } else {
            Stage::Bootstrap
        }
    }

    /// Withdraws every request, and returns what is known of the nodes.
    pub(super) fn stop(mut self, turn: &mut Turn<'_>) -> Handshakes {
        if let Some(query) = self.query.take() {
            turn.core.cx.cancel_query(query);
        }
        for request in self.handshakes.withdraw() {
            turn.core.cx.cancel_request(turn.now, request);
        }
        self.handshakes
    }

    /// Asks the DHT which nodes know the server.
    fn look_up(&mut self, turn: &mut Turn<'_>) {
        if !turn.call.dial.only_nodes {
            let seeds = turn.call.dial.nodes.clone();
            self.find_peer(turn, seeds);
        }
    }

    fn find_peer(&mut self, turn: &mut Turn<'_>, seeds: Vec<SocketAddrV4>) {
        let (asker, key) = (Asker::Attempt(turn.call.id), &turn.call.dial.remote);
        self.query = Some(turn.core.cx.find_peer(turn.now, asker, key, seeds));
    }

    /// Reads the next answer, starts the handshakes that may run, and notices when nothing is left to wait
    /// for.
    fn advance(&mut self, turn: &mut Turn<'_>) -> Step {
        let Message1::Written { noise, reader } = &mut self.message else {
            return Step::Continue;
        };
        if let Reader::Idle(_) = reader
            && let Some(reply) = self.replies.pop_front()
        {
            let noise = reply.noise.clone();
            if let Reader::Idle(initiator) = std::mem::replace(reader, Reader::Busy(reply)) {
                let work = Finish { attempt: turn.call.id, initiator, noise };
                turn.core.cx.queue_job(Job(Work::Handshake(Handshake::Finish(Box::new(work)))));
            }
        }
        let noise = noise.clone();
        if self.tries_remembered_place(turn, &noise) {
            return Step::Continue;
        }
        while let Some((node, kind)) = self.handshakes.next(turn.now) {
            self.send_message1(turn, &noise, (node, None), kind);
        }
        if self.query.is_some() || self.awaits_answer() {
            return Step::Continue;
        }
        let began_elsewhere = turn.call.was_unreachable || !turn.call.dial.nodes.is_empty();
        let is_worth_it = began_elsewhere || turn.call.records_found > 0;
        if is_worth_it && std::mem::take(&mut self.may_look_again) {
            debug!("lookup repeated without the named nodes");
            self.query_failed = false;
            // A server that has died stays announced until another one with its key, or itself again, is
            // announced on the same nodes: they are asked once more.
            turn.call.records_found = 0;
            self.handshakes = Handshakes::default();
            self.find_peer(turn, Vec::new());
            return Step::Continue;
        }
        Step::fail(if turn.call.records_found > 0 {
            Failure::NoAnswer
        } else if turn.call.dial.only_nodes {
            Failure::Silent
        } else if self.query_failed || turn.call.nodes_answered == 0 {
            Failure::NoNetwork
        } else {
            Failure::NotFound
        })
    }

    /// Tries the place of an earlier connection, alone for a moment: where a connection ran, both routers let
    /// packets through for a while after its end (`connect.md` §12.3). Returns whether everything else waits.
    fn tries_remembered_place(&mut self, turn: &mut Turn<'_>, noise: &[u8]) -> bool {
        if let Some(place) = self.remembered.take() {
            turn.call.report.remembered = Some(place.address);
            let to = (place.address, Some(place.socket));
            self.send_message1(turn, noise, to, Kind::Remembered);
            self.head_start = Some(turn.now + HEAD_START);
        }
        let Some(until) = self.head_start else {
            return false;
        };
        if turn.now < until && self.awaits_answer() {
            return true;
        }
        self.head_start = None;
        self.look_up(turn);
        false
    }

    /// Sends message 1 to a node, or to the server itself.
    fn send_message1(
        &mut self,
        turn: &mut Turn<'_>,
        noise: &[u8],
        (node, socket): (SocketAddrV4, Option<SocketId>),
        kind: Kind,
    ) {
        debug!(%node, ?kind, "handshake sent");
        let outgoing = first_message(node, socket, turn.call.dial.remote.target(), noise.to_vec());
        let request = turn.core.cx.request(turn.now, Asker::Attempt(turn.call.id), outgoing);
        self.handshakes.begin(turn.now, request, node, kind);
        turn.call.note_asked(turn.now, node);
    }

    /// Returns whether an answer to message 1 may come or is being read.
    fn awaits_answer(&self) -> bool {
        let reading = matches!(&self.message, Message1::Written { reader: Reader::Busy(_), .. });
        reading || self.handshakes.is_under_way()
    }
}

/// Has message 1 written.
fn initiate(turn: &mut Turn<'_>) {
    let payload = turn.call.payload(&mut turn.core.cx);
    let work = Initiate {
        attempt: turn.call.id,
        secret: turn.call.dial.identity.clone().into(),
        remote: turn.call.dial.remote,
        ephemeral_seed: turn.core.cx.random_seed().into(),
        payload,
    };
    turn.core.cx.queue_job(Job(Work::Handshake(Handshake::Initiate(Box::new(work)))));
}

/// Answers to message 1 that wait while another one is read.
const MAX_REPLIES: usize = 8;
/// How long nothing else is tried than a remembered place: the first repetition of a lost message is answered
/// by then, and users do not notice the wait. (The reference tries for 4 s, `connect.md` §13.1.)
const HEAD_START: Duration = Duration::from_millis(400);
