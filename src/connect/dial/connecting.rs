//! The last phase of an attempt: handshake messages are exchanged, and the stream needs a path.
//!
//! [`Connecting`] carries out what its [`PathAgent`] decides.

use std::net::SocketAddrV4;
use std::time::Instant;

use tracing::debug;
use zeroize::Zeroizing;

use super::call::{Call, Turn};
use super::handshakes::Handshakes;
use super::lan::{self, LanCheck};
use super::punching::{Peer, Punch, Verdict};
use super::reply::ServerAnswer;
use super::step::{End, Input, Step};
use crate::connect::core::Core;
use crate::connect::event::{Event, Moved, RelayDial};
use crate::connect::ids::Place;
use crate::connect::noise::Session;
use crate::connect::path::{Action, Facts, Gathered, Kind, PathAgent, Side, gather};
use crate::connect::report::{Failure, Lost, Report, Stage};
use crate::dht::{Answer, RequestError, RequestId};
use crate::udx::{self, Admission, Closed};
use crate::wire::handshake::{FIREWALL_OPEN, HolepunchInfo, NoisePayload, RelayThrough};
use crate::wire::transmit::SocketId;

#[derive(Debug)]
pub(super) struct Connecting {
    agent: PathAgent,
    handover: Handover,
    server: Server,
    lan: Option<LanCheck>,
    punch: Option<Box<Punch>>,
    /// The id under which the relay takes packets, once it has paired the stream.
    relay_id: Option<u32>,
    /// Whether the search can start again, with a punch, if the server does not reach this node.
    may_punch_instead: bool,
    handshakes: Handshakes,
}

/// Whether the stream is still the attempt's, or its owner has it.
#[derive(Debug)]
enum Handover {
    Waiting(Box<Session>),
    Done,
}

/// What the handshake has brought.
struct Server {
    /// The id of the server's stream.
    remote_id: u32,
    /// Nodes to ask for the server next time.
    routes: Vec<SocketAddrV4>,
    /// Whether both sides reuse the socket of this connection.
    reusable: bool,
    /// The exact bytes of message 1 and of the server's answer to it.
    messages: [Vec<u8>; 2],
    secret: Zeroizing<[u8; 32]>,
    punch: Option<(Peer, HolepunchInfo)>,
    /// Where to meet, and whether that is the client's offer.
    relay: Option<(RelayThrough, bool)>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("remote_id", &self.remote_id).finish_non_exhaustive()
    }
}

impl Connecting {
    /// Lists the candidates and begins their checks.
    pub(super) fn start(turn: &mut Turn<'_>, handshakes: Handshakes, answer: ServerAnswer) -> Self {
        let ServerAnswer { reply, message1, payload, session, remote_id } = answer;
        let streams = &mut turn.core.cx.streams;
        streams.expect_prefix(turn.call.stream, session.keys.remote_prefix().to_vec());
        streams.set_remote_id(turn.call.stream, remote_id);
        streams.expect_rtt(turn.call.stream, reply.rtt);
        let server = reply.peer_address.unwrap_or(reply.asked);
        let heard = streams.held_path(turn.call.stream, |address| may_be(*address, server, &payload));
        let theirs = payload.relay_through.clone().map(|offer| (offer, false));
        let relay = theirs.or_else(|| turn.call.own_relay.clone().map(|offer| (offer, true)));
        let local = turn.core.cx.own.lan_addresses(turn.call.dial.lan);
        let facts = Facts {
            local: local.as_deref(),
            claims_open: turn.call.claims_open,
            request_socket: turn.core.cx.node.request_socket(),
            heard: heard.map(|(socket, address)| Place::new(socket, address)),
            asked: Place::new(reply.socket, reply.asked),
            server: reply.peer_address,
            client: reply.client_address,
            payload: &payload,
            relay: relay.is_some(),
        };
        let peer = Peer {
            attempt: turn.call.id,
            target: turn.call.dial.remote.target(),
            asked: reply.asked,
            server,
            round_trip: reply.round_trip,
        };
        let Gathered { candidates, expects_packets, may_punch_instead } = gather(turn.now, &facts);
        if expects_packets {
            // A firewalled server has another port there, and seldom another host.
            let admission = Admission::LearnFrom(*server.ip());
            turn.core.cx.streams.set_admission(turn.call.stream, admission);
        }
        Self {
            agent: PathAgent::new(turn.now, Side::Leading, candidates),
            server: Server {
                remote_id,
                routes: routes(turn.call, &handshakes, &payload),
                reusable: turn.call.dial.reusable_socket
                    && payload.udx.is_some_and(|udx| udx.reusable_socket),
                messages: [message1, reply.noise],
                secret: session.holepunch_secret.clone(),
                punch: payload.holepunch.map(|info| (peer, info)),
                relay,
            },
            handover: Handover::Waiting(Box::new(session)),
            lan: None,
            punch: None,
            relay_id: None,
            may_punch_instead,
            handshakes,
        }
    }

    /// Carries out what the agent has decided.
    pub(super) fn advance(&mut self, turn: &mut Turn<'_>) -> Step {
        while let Some(action) = self.agent.poll_action() {
            match action {
                Action::Check { kind, place } => self.check(turn, kind, place),
                Action::Select { kind, place } => self.select(turn, kind, place),
                Action::Probe { kind, place, is_first } => self.probe(turn, kind, place, is_first),
                Action::Overdue { kind, place } => {
                    debug!(%kind, "candidate has not opened in time");
                    if kind == Kind::Incoming && self.may_punch_instead && !self.agent.has_selected() {
                        return Step::StartAgain;
                    }
                    let elapsed = turn.call.elapsed(turn.now);
                    turn.call.report.unanswered = place.map(|place| (place.address, elapsed));
                }
                Action::StopChecks { won } => self.stop_checks(turn, won),
                Action::LeaveRelay => turn.core.cx.emit(Event::LeaveRelay(turn.call.stream)),
                Action::Exhausted if self.agent.has_selected() => {
                    debug!("no candidate is left, and the advertised address never answered");
                    turn.core.cx.emit(Event::Unreachable {
                        stream: turn.call.stream,
                        report: Box::new(self.report(turn.now, turn.core, turn.call)),
                    });
                    return Step::End(End::Over);
                }
                Action::Exhausted => return Step::fail(Failure::NoPath),
                Action::Done => return Step::End(End::Over),
            }
        }
        Step::Continue
    }

    pub(super) fn handle(&mut self, turn: &mut Turn<'_>, input: Input) -> Step {
        match input {
            Input::Answer(request, result) => self.handle_answer(turn, request, result),
            Input::Relay(paired) => self.handle_relay(turn, paired),
            Input::Stream(event) => return self.handle_stream_event(turn, event),
            Input::Puncher => self.punching(turn, |punch, turn| punch.handle_puncher(turn.now, turn.core)),
            Input::Probe(place) => self.punching(turn, |punch, turn| punch.handle_probe(turn.now, place)),
            Input::Socket(socket, opened) => {
                if let Some(punch) = &mut self.punch {
                    punch.handle_socket(turn.now, turn.core, socket, opened);
                }
            }
            Input::Timeout => {
                self.agent.handle_timeout(turn.now);
                self.punching(turn, |punch, turn| punch.handle_timeout(turn.now, turn.core));
            }
            Input::Initiated(_) | Input::Finished(..) | Input::QueryAnswer(_) | Input::QueryDone(_) => {}
        }
        self.advance(turn)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let punch = self.punch.as_ref().and_then(|punch| punch.poll_timeout());
        punch.into_iter().chain(self.agent.poll_timeout()).min()
    }

    /// Returns the punch that waits for probes.
    pub(super) fn punch(&self) -> Option<&Punch> {
        self.punch.as_deref()
    }

    /// Returns whether the stream is its owner's, so that the attempt can't fail any more.
    pub(super) const fn is_handed_out(&self) -> bool {
        matches!(self.handover, Handover::Done)
    }

    /// Returns whether a better path may still be found.
    pub(super) fn is_looking(&self) -> bool {
        self.agent.is_looking()
    }

    /// Returns the report as of now.
    pub(super) fn report(&self, now: Instant, core: &Core, call: &Call) -> Report {
        let mut report = Report { stage: Stage::Path, ..call.report(now) };
        if let Some(punch) = &self.punch {
            punch.describe(core, &mut report);
        }
        report
    }

    /// Ends everything that looks for a path.
    pub(super) fn stop(&mut self, turn: &mut Turn<'_>) {
        self.stop_checks(turn, false);
    }

    /// Ends the phase for a new search: leaves the relay, and returns what is known of the nodes.
    pub(super) fn stop_to_search(mut self, turn: &mut Turn<'_>) -> Handshakes {
        if self.agent.uses_relay() {
            turn.core.cx.emit(Event::LeaveRelay(turn.call.stream));
        }
        self.stop_checks(turn, false);
        self.handshakes
    }

    /// Handles an answer to a request of one of the checks.
    fn handle_answer(
        &mut self,
        turn: &mut Turn<'_>,
        request: RequestId,
        result: Result<Answer, RequestError>,
    ) {
        let Some(check) = self.lan.take_if(|check| check.owns(request)) else {
            if self.punch.as_ref().is_some_and(|punch| punch.owns(request)) {
                self.punching(turn, |punch, turn| punch.handle_answer(turn.now, turn.core, result));
            }
            return;
        };
        match check.handle_answer(turn, &self.server.messages[1], result) {
            lan::Verdict::Pending(check) => self.lan = Some(check),
            lan::Verdict::Open(address) => {
                debug!(%address, kind = %Kind::Lan, "candidate opened");
                let place = Place::new(SocketId::SERVER, address);
                self.agent.opened(turn.now, Kind::Lan, place);
            }
            lan::Verdict::Failed => {
                debug!(kind = %Kind::Lan, "candidate failed");
                self.agent.failed(turn.now, Kind::Lan);
            }
        }
    }

    /// Handles the outcome of meeting at the relay: the place and the id through which the server can be
    /// reached, or nothing.
    fn handle_relay(&mut self, turn: &mut Turn<'_>, paired: Option<(Place, u32)>) {
        match paired {
            Some((place, id)) => {
                debug!(kind = %Kind::Relayed, "candidate opened");
                turn.call.report.relay_paired = Some(turn.call.elapsed(turn.now));
                self.relay_id = Some(id);
                self.agent.opened(turn.now, Kind::Relayed, place);
            }
            None => {
                debug!(kind = %Kind::Relayed, "candidate failed");
                self.agent.failed(turn.now, Kind::Relayed);
            }
        }
    }

    /// Handles an event of the stream, and passes it on if its owner needs it.
    fn handle_stream_event(&mut self, turn: &mut Turn<'_>, event: udx::Event) -> Step {
        let stream = turn.call.stream;
        let waiting = !self.is_handed_out();
        match event {
            udx::Event::PathLearned { .. } if waiting => {
                if let Some(place) = turn.core.cx.path_of(stream) {
                    self.agent.heard(Kind::Incoming, place);
                }
                return self.advance(turn);
            }
            udx::Event::PathOffered { socket, address } => {
                self.agent.heard(Kind::Incoming, Place::new(socket, address));
                return self.advance(turn);
            }
            udx::Event::Closed(Closed::Left | Closed::Reset) if waiting => {
                return Step::fail(Failure::Refused);
            }
            udx::Event::Closed(_) if waiting => return Step::fail(Failure::NoPath),
            udx::Event::PathValidated if self.agent.is_provisional() => {
                if self.server.reusable {
                    let (cx, peer) = (&turn.core.cx, turn.call.dial.remote);
                    turn.core.remembered.set_place(cx, peer, stream);
                }
                turn.core.cx.streams.set_candidates(stream, Vec::new());
                self.agent.validated();
            }
            _ => {}
        }
        let step = self.advance(turn);
        if self.is_handed_out() {
            turn.core.cx.emit(Event::Stream(stream, event));
        } else {
            turn.call.keep_event(event);
        }
        step
    }

    /// Lets the punch take a step, if there is one.
    fn punching(&mut self, turn: &mut Turn<'_>, step: impl FnOnce(&mut Punch, &mut Turn<'_>) -> Verdict) {
        if let Some(punch) = &mut self.punch {
            let verdict = step(punch, turn);
            self.conclude(turn, verdict);
        }
    }

    fn check(&mut self, turn: &mut Turn<'_>, kind: Kind, place: Option<Place>) {
        debug!(
            %kind,
            address = place.map(|place| place.address.to_string()),
            "candidate checked"
        );
        match (kind, place) {
            (Kind::Lan, Some(place)) => {
                let message1 = &self.server.messages[0];
                self.lan = Some(LanCheck::start(turn, place, message1));
            }
            (Kind::Punched, _) => {
                let punch = self.server.punch.take();
                let punch = punch.and_then(|(peer, info)| {
                    Punch::start(turn.now, turn.core, peer, &info, &self.server.secret)
                });
                self.punch = punch.map(Box::new);
                if self.punch.is_none() {
                    debug!(
                        %kind,
                        "candidate failed: no node to lead the punch through"
                    );
                    self.agent.failed(turn.now, kind);
                }
            }
            (Kind::Relayed, _) => {
                if let Some((through, is_initiator)) = self.server.relay.clone() {
                    turn.call.report.relay = Some(through.public_key);
                    turn.core.cx.emit(Event::DialRelay(RelayDial {
                        stream: turn.call.stream,
                        relay: through.public_key,
                        token: through.token,
                        is_initiator,
                    }));
                }
            }
            // The server's packets are the check.
            (Kind::Incoming | Kind::Advertised | Kind::Observed | Kind::Lan, _) => {}
        }
    }

    fn select(&mut self, turn: &mut Turn<'_>, kind: Kind, place: Place) {
        debug!(
            %kind,
            address = %place.address,
            after_ms = turn.call.elapsed(turn.now).as_millis() as u64,
            "candidate selected"
        );
        match std::mem::replace(&mut self.handover, Handover::Done) {
            Handover::Waiting(session) => self.connect(turn, *session, kind, place),
            Handover::Done => self.migrate(turn, kind, place),
        }
    }

    /// Gives the stream its first path, and hands it out.
    fn connect(&mut self, turn: &mut Turn<'_>, session: Session, kind: Kind, place: Place) {
        let (stream, remote_id, cx) = (turn.call.stream, self.remote_id(kind), &mut turn.core.cx);
        match kind {
            Kind::Relayed => {
                cx.streams.set_admission(stream, Admission::Refuse);
                cx.connect_stream(turn.now, stream, place, remote_id);
            }
            Kind::Advertised => {
                // A server of the reference may send its first data from its other socket, and takes the
                // client's there as well (`connect.md` §6.2 step 7 row b).
                cx.streams.set_admission(stream, Admission::LearnPath);
                cx.connect_stream(turn.now, stream, place, remote_id);
            }
            Kind::Incoming | Kind::Punched | Kind::Observed | Kind::Lan => {
                cx.connect_stream(turn.now, stream, place, remote_id);
                if turn.call.was_unreachable {
                    cx.doubt_reachability(turn.now);
                }
                turn.core.punch.sockets.hold(turn.now, place.socket, stream);
                if self.server.reusable {
                    turn.core.remembered.set_place(&turn.core.cx, session.remote_public_key, stream);
                }
            }
        }
        let report = self.report_of_path(turn, kind, place);
        turn.core.remembered.set_routes(turn.call.dial.remote, self.server.routes.clone());
        turn.call.hand_out(&mut turn.core.cx, session, kind.path_to(place.address), place.address, report);
    }

    /// Moves the stream to another path. Its owner has it already.
    fn migrate(&mut self, turn: &mut Turn<'_>, kind: Kind, place: Place) {
        let report = self.report_of_path(turn, kind, place);
        let (stream, remote_id, cx) = (turn.call.stream, self.remote_id(kind), &mut turn.core.cx);
        if kind == Kind::Relayed {
            cx.streams.set_admission(stream, Admission::Refuse);
            cx.streams.change_remote(turn.now, stream, place.socket, place.address, remote_id);
        } else {
            turn.core.punch.sockets.hold(turn.now, place.socket, stream);
            turn.core.exits.begin(turn.now, cx, stream, place, remote_id);
        }
        turn.core.cx.emit(Event::Moved(Box::new(Moved {
            stream,
            path: kind.path_to(place.address),
            remote: place.address,
            report,
        })));
        if kind != Kind::Relayed && self.server.reusable {
            turn.core.remembered.set_place(&turn.core.cx, turn.call.dial.remote, stream);
        }
    }

    /// Asks the server to answer at a place that the stream may migrate to.
    fn probe(&mut self, turn: &mut Turn<'_>, kind: Kind, place: Place, is_first: bool) {
        let streams = &mut turn.core.cx.streams;
        if is_first {
            debug!(%kind, address = %place.address, "candidate probed");
            turn.core.punch.sockets.hold(turn.now, place.socket, turn.call.stream);
            streams.set_candidates(turn.call.stream, vec![*place.address.ip()]);
        }
        streams.probe_path(turn.call.stream, place.socket, place.address, self.server.remote_id);
    }

    /// Handles what a step of the punch has come to.
    fn conclude(&mut self, turn: &mut Turn<'_>, verdict: Verdict) {
        match verdict {
            Verdict::Pending => {}
            Verdict::Open(place) => {
                debug!(address = %place.address, kind = %Kind::Punched, "candidate opened");
                self.agent.opened(turn.now, Kind::Punched, place);
            }
            Verdict::GaveUp(lost) => {
                // What either side took for its NAT was a guess then.
                let guessed = matches!(lost, Lost::NatUnknown | Lost::NoProbe | Lost::Aborted);
                let lost = match guessed && turn.core.punch.puncher.lacks_nodes() {
                    true => Lost::TooFewNodes,
                    false => lost,
                };
                debug!(reason = %lost, kind = %Kind::Punched, "candidate failed");
                turn.call.report.punch_lost = Some(lost);
                self.stop_punch(turn, false);
                self.agent.failed(turn.now, Kind::Punched);
            }
        }
    }

    fn stop_checks(&mut self, turn: &mut Turn<'_>, won: bool) {
        if let Some(check) = self.lan.take() {
            check.stop(turn);
        }
        self.stop_punch(turn, won);
    }

    fn stop_punch(&mut self, turn: &mut Turn<'_>, won: bool) {
        if let Some(mut punch) = self.punch.take() {
            punch.stop(turn.now, turn.core, won);
            punch.describe(turn.core, &mut turn.call.report);
        }
    }

    /// Returns the id under which a place takes packets of the stream.
    fn remote_id(&self, kind: Kind) -> u32 {
        match (kind, self.relay_id) {
            (Kind::Relayed, Some(id)) => id,
            _ => self.server.remote_id,
        }
    }

    fn report_of_path(&self, turn: &Turn<'_>, kind: Kind, place: Place) -> Report {
        Report {
            path: Some((kind.path_to(place.address), place.address)),
            routes: self.server.routes.clone(),
            ..self.report(turn.now, turn.core, turn.call)
        }
    }
}

/// Returns whether packets that prove nothing may be those of the server that has answered, which others see
/// at `server`. All servers of a key get message 1 where nodes lead to different ones, and send something to
/// the stream that it names.
fn may_be(address: SocketAddrV4, server: SocketAddrV4, payload: &NoisePayload) -> bool {
    let is_firewalled = payload.firewall != FIREWALL_OPEN;
    address == server
        || payload.addresses4.contains(&address)
        || (is_firewalled && address.ip() == server.ip())
}

/// Returns the nodes to ask for the server next time: those that it names, or those that led to it.
fn routes(call: &Call, handshakes: &Handshakes, payload: &NoisePayload) -> Vec<SocketAddrV4> {
    match (payload.relay_addresses.as_deref(), handshakes.tried()) {
        (None | Some([]), []) => call.dial.nodes.clone(),
        (None | Some([]), tried) => tried.to_vec(),
        (Some(named), _) => named.to_vec(),
    }
}
