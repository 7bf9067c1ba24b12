//! The first phase of an attempt: find nodes that know the server, and exchange handshake messages through
//! them.

use std::collections::VecDeque;
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use tracing::debug;

use super::call::Call;
use super::handshakes::{Handshakes, Kind};
use super::reply::{Reply, first_message, refusal};
use crate::connect::context::{Asker, Context};
use crate::connect::core::Core;
use crate::connect::event::Event;
use crate::connect::ids::Place;
use crate::connect::job::{Initiate, Job, Work};
use crate::connect::noise::{Initiator, NoiseError, Session};
use crate::connect::report::{Failure, Stage};
use crate::dht::{Answer, QueryError, QueryId, QueryOutcome, RequestError, RequestId};
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
    /// Whether the lookup may run again from the own table, because it began with nodes that were named and
    /// led nowhere.
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

/// What the search has come to.
#[derive(Debug)]
pub(super) enum Found {
    Nothing,
    Answer(Box<ServerAnswer>),
    Failed(Failure),
}

/// A server's answer that could be read, and the exact messages.
#[derive(Debug)]
pub(super) struct ServerAnswer {
    pub(super) reply: Reply,
    pub(super) message1: Vec<u8>,
    pub(super) payload: NoisePayload,
    pub(super) session: Session,
    /// The id of the server's stream.
    pub(super) remote_id: u32,
}

impl Search {
    pub(super) fn start(now: Instant, core: &mut Core, call: &mut Call) -> Self {
        let mut search = Self {
            message: Message1::Computing,
            remembered: None,
            head_start: None,
            query: None,
            query_failed: false,
            may_look_again: !call.dial.nodes.is_empty() && !call.dial.only_nodes,
            handshakes: Handshakes::default(),
            replies: VecDeque::new(),
        };
        initiate(&mut core.cx, call);
        // A persistent node may hold the server's announcement itself.
        let own_entry = core.cx.node.forward(&call.dial.remote.target());
        let own_entry = own_entry.filter(|_| !call.dial.only_nodes);
        for node in own_entry.into_iter().chain(call.dial.nodes.clone()) {
            search.handshakes.add_known(node);
        }
        if call.dial.reusable_socket && !call.dial.only_nodes {
            search.remembered = core.remembered.place(&call.dial.remote, &core.punch.sockets);
        }
        if search.remembered.is_none() {
            search.look_up(now, &mut core.cx, call);
        }
        search
    }

    /// Starts again with the nodes that led to the server a moment ago.
    pub(super) fn start_again(cx: &mut Context, call: &mut Call, mut handshakes: Handshakes) -> Self {
        handshakes.start_over();
        initiate(cx, call);
        Self {
            message: Message1::Computing,
            remembered: None,
            head_start: None,
            query: None,
            query_failed: false,
            may_look_again: !call.dial.only_nodes,
            handshakes,
            replies: VecDeque::new(),
        }
    }

    pub(super) fn handle_initiated(
        &mut self,
        now: Instant,
        core: &mut Core,
        call: &mut Call,
        result: Result<(Box<Initiator>, Vec<u8>), NoiseError>,
    ) -> Found {
        match result {
            Ok((initiator, noise)) => {
                let reader = Reader::Idle(initiator);
                self.message = Message1::Written { noise, reader };
                self.advance(now, core, call)
            }
            // Only a key that is no point of the curve gets here: no server can have it.
            Err(_) => Found::Failed(Failure::BadKey),
        }
    }

    /// Handles an answer of the lookup: a node that holds a record of the server can pass messages on to it.
    pub(super) fn handle_query_answer(
        &mut self,
        now: Instant,
        core: &mut Core,
        call: &mut Call,
        answer: &Answer,
    ) -> Found {
        call.nodes_answered += 1;
        // A node that is answered by the DHT is in it, though bootstrapping may go on for a while.
        call.note_joined(now);
        let record = answer.value.as_deref().map(Peer::from_bytes);
        if matches!(record, Some(Ok(peer)) if peer.public_key == call.dial.remote) {
            debug!(node = %answer.from, after_ms = call.elapsed(now).as_millis() as u64, "record found");
            call.records_found += 1;
            let elapsed = call.elapsed(now);
            call.report.lookup.get_or_insert(elapsed);
            self.handshakes.add_found(answer.from);
        }
        self.advance(now, core, call)
    }

    pub(super) fn handle_query_done(
        &mut self,
        now: Instant,
        core: &mut Core,
        call: &mut Call,
        result: Result<QueryOutcome, QueryError>,
    ) -> Found {
        self.query = None;
        match result {
            Ok(outcome) => {
                debug!(asked = outcome.asked, answered = outcome.answered, "lookup ended");
                call.report.nodes_asked = outcome.asked;
                call.nodes_answered = call.nodes_answered.max(outcome.answered);
            }
            Err(error) => {
                debug!(%error, "lookup failed");
                self.query_failed = true;
            }
        }
        self.advance(now, core, call)
    }

    pub(super) fn handle_answer(
        &mut self,
        now: Instant,
        core: &mut Core,
        call: &mut Call,
        request: RequestId,
        result: Result<Answer, RequestError>,
    ) -> Found {
        let Some((asked, since)) = self.handshakes.finish(request) else {
            return Found::Nothing;
        };
        match result.map(|answer| Reply::accept(answer, now.saturating_duration_since(since))) {
            Ok(Some(reply)) if self.replies.len() < MAX_REPLIES => {
                debug!(node = %asked, rtt_ms = reply.round_trip.as_millis() as u64, "handshake answered");
                call.note_answered(now, asked);
                self.replies.push_back(reply);
            }
            Ok(Some(_)) => debug!(node = %asked, "handshake answer dropped: too many wait"),
            Ok(None) => debug!(node = %asked, "handshake answer does not come from the server"),
            Err(error) => debug!(node = %asked, %error, "handshake unanswered"),
        }
        self.advance(now, core, call)
    }

    pub(super) fn handle_finished(
        &mut self,
        now: Instant,
        core: &mut Core,
        call: &mut Call,
        initiator: Box<Initiator>,
        result: Result<Box<(NoisePayload, Session)>, NoiseError>,
    ) -> Found {
        let Message1::Written { noise, reader } = &mut self.message else {
            return Found::Nothing;
        };
        let Reader::Busy(reply) = std::mem::replace(reader, Reader::Idle(initiator)) else {
            return Found::Nothing;
        };
        let Ok(read) = result else {
            debug!(node = %reply.asked, "handshake answer unreadable");
            // A forged or damaged answer ends only this exchange.
            return self.advance(now, core, call);
        };
        let (payload, session) = *read;
        let elapsed = call.elapsed(now);
        call.report.handshake = Some(elapsed);
        call.report.own_address = Some(reply.client_address);
        call.report.server_address = reply.peer_address.or(Some(reply.asked));
        if let Some(failure) = refusal(&payload) {
            return Found::Failed(failure);
        }
        let Some(udx) = &payload.udx else {
            return Found::Failed(Failure::Protocol(ERROR_NONE));
        };
        Found::Answer(Box::new(ServerAnswer {
            remote_id: udx.id,
            message1: std::mem::take(noise),
            reply,
            payload,
            session,
        }))
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, core: &mut Core, call: &mut Call) -> Found {
        self.advance(now, core, call)
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
    pub(super) fn stop(mut self, now: Instant, cx: &mut Context) -> Handshakes {
        if let Some(query) = self.query.take() {
            cx.cancel_query(query);
        }
        for request in self.handshakes.withdraw() {
            cx.cancel_request(now, request);
        }
        self.handshakes
    }

    /// Asks the DHT which nodes know the server.
    fn look_up(&mut self, now: Instant, cx: &mut Context, call: &Call) {
        if !call.dial.only_nodes {
            let (asker, seeds) = (Asker::Attempt(call.id), call.dial.nodes.clone());
            self.query = Some(cx.find_peer(now, asker, &call.dial.remote, seeds));
        }
    }

    /// Reads the next answer, starts the handshakes that may run, and notices when nothing is left to wait
    /// for.
    fn advance(&mut self, now: Instant, core: &mut Core, call: &mut Call) -> Found {
        let Message1::Written { noise, reader } = &mut self.message else {
            return Found::Nothing;
        };
        if let Reader::Idle(_) = reader
            && let Some(reply) = self.replies.pop_front()
        {
            let noise = reply.noise.clone();
            if let Reader::Idle(initiator) = std::mem::replace(reader, Reader::Busy(reply)) {
                let work = Work::Finish {
                    attempt: call.id,
                    initiator,
                    noise,
                };
                core.cx.emit(Event::Job(Job(work)));
            }
        }
        let noise = noise.clone();
        if self.tries_remembered_place(now, core, call, &noise) {
            return Found::Nothing;
        }
        while let Some((node, kind)) = self.handshakes.next(now) {
            self.send_message1(now, core, call, &noise, (node, None), kind);
        }
        if self.query.is_some() || self.awaits_answer() {
            return Found::Nothing;
        }
        if std::mem::take(&mut self.may_look_again) {
            debug!("lookup repeated without the named nodes");
            self.query_failed = false;
            let asker = Asker::Attempt(call.id);
            self.query = Some(core.cx.find_peer(now, asker, &call.dial.remote, Vec::new()));
            return Found::Nothing;
        }
        Found::Failed(if call.records_found > 0 || call.dial.only_nodes {
            Failure::NoAnswer
        } else if self.query_failed || call.nodes_answered == 0 {
            Failure::NoNetwork
        } else {
            Failure::NotFound
        })
    }

    /// Tries the place of an earlier connection, alone for a moment: where a connection ran, both routers let
    /// packets through for a while after its end (`connect.md` §12.3). Returns whether everything else waits.
    fn tries_remembered_place(
        &mut self,
        now: Instant,
        core: &mut Core,
        call: &mut Call,
        noise: &[u8],
    ) -> bool {
        if let Some(place) = self.remembered.take() {
            call.report.remembered = Some(place.address);
            let to = (place.address, Some(place.socket));
            self.send_message1(now, core, call, noise, to, Kind::Remembered);
            self.head_start = Some(now + HEAD_START);
        }
        let Some(until) = self.head_start else {
            return false;
        };
        if now < until && self.awaits_answer() {
            return true;
        }
        self.head_start = None;
        self.look_up(now, &mut core.cx, call);
        false
    }

    /// Sends message 1 to a node, or to the server itself.
    fn send_message1(
        &mut self,
        now: Instant,
        core: &mut Core,
        call: &mut Call,
        noise: &[u8],
        (node, socket): (SocketAddrV4, Option<SocketId>),
        kind: Kind,
    ) {
        debug!(%node, ?kind, "handshake sent");
        let outgoing = first_message(node, socket, call.dial.remote.target(), noise.to_vec());
        let request = core.cx.request(now, Asker::Attempt(call.id), outgoing);
        self.handshakes.begin(now, request, node, kind);
        call.note_asked(now, node);
    }

    /// Returns whether an answer to message 1 may come or is being read.
    fn awaits_answer(&self) -> bool {
        let reading = matches!(
            &self.message,
            Message1::Written {
                reader: Reader::Busy(_),
                ..
            }
        );
        reading || self.handshakes.is_under_way()
    }
}

/// Has message 1 written.
fn initiate(cx: &mut Context, call: &mut Call) {
    let payload = call.payload(cx);
    let work = Initiate {
        attempt: call.id,
        key_pair: call.dial.key_pair.clone(),
        remote: call.dial.remote,
        ephemeral_seed: cx.random_seed(),
        payload,
    };
    cx.emit(Event::Job(Job(Work::Initiate(Box::new(work)))));
}

/// Answers to message 1 that wait while another one is read.
const MAX_REPLIES: usize = 8;
/// How long nothing else is tried than a remembered place: the first repetition of a lost message is answered
/// by then, and users do not notice the wait. (The reference tries for 4 s, `connect.md` §12.3.)
const HEAD_START: Duration = Duration::from_millis(400);
