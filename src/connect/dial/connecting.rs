//! The last phase of an attempt: handshake messages are exchanged, and the stream needs a path.
//!
//! [`Connecting`] carries out what its [`PathAgent`] decides.

use std::net::SocketAddrV4;
use std::time::Instant;

use tracing::debug;
use zeroize::Zeroizing;

use super::call::{Call, End};
use super::handshakes::Handshakes;
use super::lan::{self, LanCheck};
use super::punching::{Peer, Punch, Verdict};
use super::search::ServerAnswer;
use crate::connect::core::Core;
use crate::connect::event::{Event, Moved, RelayDial};
use crate::connect::ids::Place;
use crate::connect::noise::Session;
use crate::connect::path::{Action, Facts, Gathered, Kind, PathAgent, Side, gather};
use crate::connect::report::{Failure, Lost, Report, Stage};
use crate::dht::{Answer, RequestError, RequestId};
use crate::udx::{self, Admission, Closed};
use crate::wire::handshake::{HolepunchInfo, RelayThrough};
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
#[derive(Debug)]
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

/// What comes of a step.
#[derive(Debug)]
pub(super) enum Step {
    Continue,
    /// The server has not reached this node, which has to search and punch.
    StartAgain,
    End(End),
}

impl Connecting {
    /// Lists the candidates and begins their checks.
    pub(super) fn start(
        now: Instant,
        core: &mut Core,
        call: &mut Call,
        handshakes: Handshakes,
        answer: ServerAnswer,
    ) -> Self {
        let ServerAnswer {
            reply,
            message1,
            payload,
            session,
            remote_id,
        } = answer;
        let streams = &mut core.cx.streams;
        streams.expect_prefix(call.stream, session.keys.remote_prefix().to_vec());
        streams.set_remote_id(call.stream, remote_id);
        streams.expect_rtt(call.stream, reply.rtt);
        let heard = streams.held_path(call.stream);
        let theirs = payload.relay_through.clone().map(|offer| (offer, false));
        let relay = theirs.or_else(|| call.own_relay.clone().map(|offer| (offer, true)));
        let local = core.cx.own.lan_addresses();
        let facts = Facts {
            local: local.as_deref(),
            claims_open: call.claims_open,
            request_socket: core.cx.node.request_socket(),
            heard: heard.map(|(socket, address)| Place::new(socket, address)),
            asked: Place::new(reply.socket, reply.asked),
            server: reply.peer_address,
            client: reply.client_address,
            payload: &payload,
            relay: relay.is_some(),
        };
        let Gathered {
            candidates,
            expects_packets,
            may_punch_instead,
        } = gather(now, &facts);
        if expects_packets {
            core.cx.streams.set_admission(call.stream, Admission::LearnPath);
        }
        let routes = payload.relay_addresses.unwrap_or_default();
        let routes = match (routes.is_empty(), handshakes.tried()) {
            (false, _) => routes,
            (true, []) => call.dial.nodes.clone(),
            (true, tried) => tried.to_vec(),
        };
        let peer = Peer {
            attempt: call.id,
            target: call.dial.remote.target(),
            asked: reply.asked,
            server: reply.peer_address.unwrap_or(reply.asked),
            round_trip: reply.round_trip,
        };
        Self {
            agent: PathAgent::new(now, Side::Leading, candidates),
            server: Server {
                remote_id,
                routes,
                reusable: call.dial.reusable_socket && payload.udx.is_some_and(|udx| udx.reusable_socket),
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
    pub(super) fn advance(&mut self, now: Instant, core: &mut Core, call: &mut Call) -> Step {
        while let Some(action) = self.agent.poll_action() {
            match action {
                Action::Check { kind, place } => self.check(now, core, call, kind, place),
                Action::Select { kind, place } => self.select(now, core, call, kind, place),
                Action::Probe {
                    kind,
                    place,
                    is_first,
                } => self.probe(now, core, call, kind, place, is_first),
                Action::Overdue(kind) => {
                    debug!(kind = kind.name(), "candidate has not opened in time");
                    if kind == Kind::Incoming && self.may_punch_instead && !self.agent.has_selected() {
                        return Step::StartAgain;
                    }
                    if kind == Kind::Advertised
                        && let Some(place) = core.cx.path_of(call.stream)
                    {
                        call.report.unanswered = Some((place.address, call.elapsed(now)));
                    }
                }
                Action::StopChecks { won } => self.stop_checks(now, core, call, won),
                Action::LeaveRelay => core.cx.emit(Event::LeaveRelay(call.stream)),
                Action::Exhausted if self.agent.has_selected() => {
                    debug!("no candidate is left, and the advertised address never answered");
                    core.cx.emit(Event::Unreachable {
                        stream: call.stream,
                        report: Box::new(self.report(now, core, call)),
                    });
                    return Step::End(End::Over);
                }
                Action::Exhausted => return Step::End(End::Failed(Failure::NoPath)),
                Action::Done => return Step::End(End::Over),
            }
        }
        Step::Continue
    }

    /// Handles an answer to a request of one of the checks.
    pub(super) fn handle_answer(
        &mut self,
        now: Instant,
        core: &mut Core,
        call: &mut Call,
        request: RequestId,
        result: Result<Answer, RequestError>,
    ) -> Step {
        if let Some(check) = self.lan.take_if(|check| check.owns(request)) {
            match check.handle_answer(now, &mut core.cx, call, &self.server.messages[1], result) {
                lan::Verdict::Pending(check) => self.lan = Some(check),
                lan::Verdict::Open(server) => {
                    debug!(address = %server, kind = "lan", "candidate opened");
                    self.agent
                        .opened(now, Kind::Lan, Place::new(SocketId::SERVER, server));
                }
                lan::Verdict::Failed => {
                    debug!(kind = "lan", "candidate failed");
                    self.agent.failed(now, Kind::Lan);
                }
            }
        } else if let Some(punch) = &mut self.punch
            && punch.owns(request)
        {
            let verdict = punch.handle_answer(now, core, result);
            self.conclude(now, core, call, verdict);
        }
        self.advance(now, core, call)
    }

    /// Handles the outcome of meeting at the relay: the place and the id through which the server can be
    /// reached, or nothing.
    pub(super) fn handle_relay(
        &mut self,
        now: Instant,
        core: &mut Core,
        call: &mut Call,
        paired: Option<(Place, u32)>,
    ) -> Step {
        match paired {
            Some((place, id)) => {
                debug!(kind = "relayed", "candidate opened");
                call.report.relay_paired = Some(call.elapsed(now));
                self.relay_id = Some(id);
                self.agent.opened(now, Kind::Relayed, place);
            }
            None => {
                debug!(kind = "relayed", "candidate failed");
                self.agent.failed(now, Kind::Relayed);
            }
        }
        self.advance(now, core, call)
    }

    /// Handles an event of the stream. Returns it if its owner needs to have it.
    pub(super) fn handle_stream_event(
        &mut self,
        now: Instant,
        core: &mut Core,
        call: &mut Call,
        event: udx::Event,
    ) -> (Step, Option<udx::Event>) {
        let waiting = matches!(self.handover, Handover::Waiting(_));
        match event {
            udx::Event::PathLearned { .. } if waiting => {
                if let Some(place) = core.cx.path_of(call.stream) {
                    self.agent.heard(Kind::Incoming, place);
                }
            }
            udx::Event::PathOffered { socket, address } => {
                self.agent.heard(Kind::Incoming, Place::new(socket, address));
            }
            udx::Event::Closed(Closed::Reset) if waiting => {
                return (Step::End(End::Failed(Failure::Refused)), None);
            }
            udx::Event::Closed(_) if waiting => {
                return (Step::End(End::Failed(Failure::NoPath)), None);
            }
            udx::Event::Closed(_) => return (Step::End(End::Over), Some(event)),
            udx::Event::PathValidated if self.agent.is_provisional() => {
                if self.server.reusable {
                    core.remembered.set_place(&core.cx, call.dial.remote, call.stream);
                }
                core.cx.streams.set_candidates(call.stream, Vec::new());
                self.agent.validated();
                return (self.advance(now, core, call), Some(event));
            }
            other => return (Step::Continue, Some(other)),
        }
        (self.advance(now, core, call), None)
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, core: &mut Core, call: &mut Call) -> Step {
        self.agent.handle_timeout(now);
        if let Some(punch) = &mut self.punch {
            let verdict = punch.handle_timeout(now, core);
            self.conclude(now, core, call, verdict);
        }
        self.advance(now, core, call)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let punch = self.punch.as_ref().and_then(|punch| punch.poll_timeout());
        punch.into_iter().chain(self.agent.poll_timeout()).min()
    }

    /// Handles a puncher socket that is open, or whose NAT is better known.
    pub(super) fn handle_puncher(&mut self, now: Instant, core: &mut Core, call: &mut Call) -> Step {
        if let Some(punch) = &mut self.punch {
            let verdict = punch.handle_puncher(now, core);
            self.conclude(now, core, call, verdict);
        }
        self.advance(now, core, call)
    }

    /// Handles the outcome of opening a socket of this attempt.
    pub(super) fn handle_socket(&mut self, now: Instant, core: &mut Core, socket: SocketId, opened: bool) {
        if let Some(punch) = &mut self.punch {
            punch.handle_socket(now, core, socket, opened);
        }
    }

    pub(super) fn handle_probe(
        &mut self,
        now: Instant,
        core: &mut Core,
        call: &mut Call,
        place: Place,
    ) -> Step {
        if let Some(punch) = &mut self.punch {
            let verdict = punch.handle_probe(now, place);
            self.conclude(now, core, call, verdict);
        }
        self.advance(now, core, call)
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
        let mut report = Report {
            stage: Stage::Path,
            ..call.report(now)
        };
        if let Some(punch) = &self.punch {
            punch.describe(core, &mut report);
        }
        report
    }

    /// Ends everything that looks for a path.
    pub(super) fn stop(&mut self, now: Instant, core: &mut Core, call: &mut Call) {
        self.stop_checks(now, core, call, false);
    }

    /// Ends the phase for a new search: leaves the relay, and returns what is known of the nodes.
    pub(super) fn stop_to_search(mut self, now: Instant, core: &mut Core, call: &mut Call) -> Handshakes {
        if self.agent.uses_relay() {
            core.cx.emit(Event::LeaveRelay(call.stream));
        }
        self.stop_checks(now, core, call, false);
        self.handshakes
    }

    fn check(&mut self, now: Instant, core: &mut Core, call: &mut Call, kind: Kind, place: Option<Place>) {
        debug!(
            kind = kind.name(),
            address = place.map(|place| place.address.to_string()),
            "candidate checked"
        );
        match (kind, place) {
            (Kind::Lan, Some(place)) => {
                let message1 = &self.server.messages[0];
                self.lan = Some(LanCheck::start(now, &mut core.cx, call, place, message1));
            }
            (Kind::Punched, _) => {
                let punch = self.server.punch.take();
                let punch =
                    punch.and_then(|(peer, info)| Punch::start(now, core, peer, &info, &self.server.secret));
                self.punch = punch.map(Box::new);
                if self.punch.is_none() {
                    debug!(
                        kind = kind.name(),
                        "candidate failed: no node to lead the punch through"
                    );
                    self.agent.failed(now, kind);
                }
            }
            (Kind::Relayed, _) => {
                if let Some((through, is_initiator)) = self.server.relay.clone() {
                    call.report.relay = Some(through.public_key);
                    core.cx.emit(Event::DialRelay(RelayDial {
                        stream: call.stream,
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

    fn select(&mut self, now: Instant, core: &mut Core, call: &mut Call, kind: Kind, place: Place) {
        debug!(
            kind = kind.name(),
            address = %place.address,
            after_ms = call.elapsed(now).as_millis() as u64,
            "candidate selected"
        );
        match std::mem::replace(&mut self.handover, Handover::Done) {
            Handover::Waiting(session) => self.connect(now, core, call, *session, kind, place),
            Handover::Done => self.migrate(now, core, call, kind, place),
        }
    }

    /// Gives the stream its first path, and hands it out.
    fn connect(
        &mut self,
        now: Instant,
        core: &mut Core,
        call: &mut Call,
        session: Session,
        kind: Kind,
        place: Place,
    ) {
        let (stream, cx) = (call.stream, &mut core.cx);
        match kind {
            Kind::Relayed => {
                cx.streams.set_admission(stream, Admission::Refuse);
                cx.connect_stream(now, stream, place, self.relay_id.unwrap_or(self.server.remote_id));
            }
            Kind::Advertised => {
                // A server of the reference may send its first data from its other socket, and takes the
                // client's there as well (`connect.md` §6.2 step 7 row b).
                cx.streams.set_admission(stream, Admission::LearnPath);
                cx.connect_stream(now, stream, place, self.server.remote_id);
            }
            Kind::Incoming | Kind::Punched | Kind::Observed | Kind::Lan => {
                cx.connect_stream(now, stream, place, self.server.remote_id);
                if call.was_unreachable {
                    cx.doubt_reachability(now);
                }
                core.punch.sockets.hold(now, place.socket, stream);
                if self.server.reusable {
                    core.remembered
                        .set_place(&core.cx, session.remote_public_key, stream);
                }
            }
        }
        let report = self.report_of_path(now, core, call, kind, place);
        call.hand_out(core, session, report);
    }

    /// Moves the stream to another path. Its owner has it already.
    fn migrate(&mut self, now: Instant, core: &mut Core, call: &mut Call, kind: Kind, place: Place) {
        let report = self.report_of_path(now, core, call, kind, place);
        let (stream, cx) = (call.stream, &mut core.cx);
        if kind == Kind::Relayed {
            let relay_id = self.relay_id.unwrap_or(self.server.remote_id);
            cx.streams.set_admission(stream, Admission::Refuse);
            cx.streams
                .change_remote(now, stream, place.socket, place.address, relay_id);
        } else {
            core.punch.sockets.hold(now, place.socket, stream);
            core.exits.begin(now, cx, stream, place, self.server.remote_id);
        }
        core.cx.emit(Event::Moved(Box::new(Moved {
            stream,
            path: kind.path(),
            remote: place.address,
            report,
        })));
        if kind != Kind::Relayed && self.server.reusable {
            core.remembered.set_place(&core.cx, call.dial.remote, stream);
        }
    }

    /// Asks the server to answer at a place that the stream may migrate to.
    fn probe(
        &mut self,
        now: Instant,
        core: &mut Core,
        call: &Call,
        kind: Kind,
        place: Place,
        is_first: bool,
    ) {
        let streams = &mut core.cx.streams;
        if is_first {
            debug!(kind = kind.name(), address = %place.address, "candidate probed");
            core.punch.sockets.hold(now, place.socket, call.stream);
            streams.set_candidates(call.stream, vec![*place.address.ip()]);
        }
        streams.probe_path(call.stream, place.socket, place.address, self.server.remote_id);
    }

    /// Handles what a step of the punch has come to.
    fn conclude(&mut self, now: Instant, core: &mut Core, call: &mut Call, verdict: Verdict) {
        match verdict {
            Verdict::Pending => {}
            Verdict::Open(place) => {
                debug!(address = %place.address, kind = "punched", "candidate opened");
                self.agent.opened(now, Kind::Punched, place);
            }
            Verdict::GaveUp(lost) => {
                // What either side took for its NAT was a guess then.
                let guessed = matches!(lost, Lost::NatUnknown | Lost::NoProbe | Lost::Aborted);
                let lost = match guessed && core.punch.puncher.lacks_nodes() {
                    true => Lost::TooFewNodes,
                    false => lost,
                };
                debug!(reason = %lost, kind = "punched", "candidate failed");
                call.report.punch_lost = Some(lost);
                self.stop_punch(now, core, call, false);
                self.agent.failed(now, Kind::Punched);
            }
        }
    }

    fn stop_checks(&mut self, now: Instant, core: &mut Core, call: &mut Call, won: bool) {
        if let Some(check) = self.lan.take() {
            check.stop(now, &mut core.cx);
        }
        self.stop_punch(now, core, call, won);
    }

    fn stop_punch(&mut self, now: Instant, core: &mut Core, call: &mut Call, won: bool) {
        if let Some(mut punch) = self.punch.take() {
            punch.stop(now, core, won);
            punch.describe(core, &mut call.report);
        }
    }

    fn report_of_path(&self, now: Instant, core: &Core, call: &Call, kind: Kind, place: Place) -> Report {
        Report {
            path: Some((kind.path(), place.address)),
            routes: self.server.routes.clone(),
            ..self.report(now, core, call)
        }
    }
}
