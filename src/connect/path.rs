//! The last part of an attempt: both sides have shaken hands, and stream packets need a way.

use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use super::client::{Attempt, Outcome, Phase};
use super::moving::Candidate;
use super::neighbours::{NEIGHBOUR_FIRST, Neighbour};
use super::noise::Session;
use super::punch::{Peer, Punch, Verdict};
use super::reply::Reply;
use super::report::{Failure, Lost};
use super::shared::Core;
use super::straight::Straight;
use super::types::{Established, Event, Origin, Path, RelayDial};
use crate::dht::{Answer, Outgoing, RequestError, RequestId};
use crate::udx::Admission;
use crate::wire::address::{is_bogon, is_private, is_reserved};
use crate::wire::handshake::{FIREWALL_OPEN, NoisePayload, RelayThrough};
use crate::wire::transmit::SocketId;

#[derive(Debug)]
pub(super) struct Choosing {
    /// `None` once the stream runs over a relay: then only a better path is looked for.
    pub(super) session: Option<Session>,
    pub(super) remote_id: u32,
    pub(super) routes: Vec<SocketAddrV4>,
    /// Whether both sides reuse the socket of this connection.
    pub(super) reusable: bool,
    /// The exact bytes of message 1 and of the server's answer to it.
    pub(super) messages: [Vec<u8>; 2],
    /// The address in our own network at which the server is looked for, beside everything else.
    pub(super) lan: Option<Neighbour>,
    pub(super) punch: Option<Box<Punch>>,
    /// How long we wait for a server that comes to us.
    pub(super) deadline: Option<Instant>,
    /// Whether the server can be punched to if it does not come.
    punchable: bool,
    /// Where to go, and when at the latest, if the local network is only tried first.
    pub(super) otherwise: Option<(Instant, SocketId, SocketAddrV4)>,
    relay: Option<Relaying>,
    /// The direct path that a stream which is its owner's already is about to take, if the server answers
    /// there.
    pub(super) candidate: Option<Candidate>,
    /// Until the server has answered where it says to be reachable.
    pub(super) straight: Option<Box<Straight>>,
}

/// How far we are at a relay.
#[derive(Clone, Copy, Debug)]
enum Relaying {
    Dialled,
    /// The server can be reached through this place, under this id.
    Paired(SocketId, SocketAddrV4, u32),
}

impl Choosing {
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let punch = self.punch.as_ref().and_then(|punch| punch.poll_timeout());
        let otherwise = self.otherwise.map(|(at, ..)| at);
        let candidate = self.candidate.and_then(|one| one.poll_timeout());
        let deadline = self.deadline.into_iter().chain(candidate);
        deadline.chain(otherwise).chain(punch).min()
    }

    /// Returns whether we are at a relay or on our way to one.
    pub(super) const fn dials_relay(&self) -> bool {
        self.relay.is_some()
    }

    /// Returns whether nothing is under way that could lead to a direct path.
    fn is_hopeless(&self) -> bool {
        self.lan.is_none()
            && self.punch.is_none()
            && self.deadline.is_none()
            && self.otherwise.is_none()
            && self.candidate.is_none()
    }

    /// Ends everything that looks for a path.
    pub(super) fn stop(&mut self, now: Instant, core: &mut Core, won: bool) {
        if let Some(lan) = self.lan.take() {
            core.cancel_request(now, lan.request);
        }
        if let Some(mut punch) = self.punch.take() {
            punch.stop(now, core, won);
        }
    }
}

impl Attempt {
    /// Chooses how stream packets travel. If that is not clear at once and either side has named a relay, we
    /// meet there at the same time.
    pub(super) fn settle(
        &mut self,
        now: Instant,
        core: &mut Core,
        reply: &Reply,
        payload: &NoisePayload,
        remote_id: u32,
        session: Session,
    ) -> Outcome {
        let outcome = self.choose(now, core, reply, payload, remote_id, session);
        let theirs = payload.relay_through.clone().map(|offer| (offer, false));
        let named = theirs.or_else(|| self.own_relay.clone().map(|offer| (offer, true)));
        let (Some(named), Phase::Choosing(choosing)) = (named, &mut self.phase) else {
            return outcome;
        };
        if let Some(straight) = &mut choosing.straight {
            straight.relay = Some(named);
            return outcome;
        }
        if matches!(outcome, Outcome::Pending | Outcome::Failed(Failure::NoPath)) {
            self.dial_relay(core, named);
            return Outcome::Pending;
        }
        outcome
    }

    pub(super) fn dial_relay(&mut self, core: &mut Core, (through, is_initiator): (RelayThrough, bool)) {
        if let Phase::Choosing(choosing) = &mut self.phase {
            choosing.relay = Some(Relaying::Dialled);
            self.report.relay = Some(through.public_key);
            core.events.push_back(Event::DialRelay(RelayDial {
                stream: self.stream,
                relay: through.public_key,
                token: through.token,
                is_initiator,
            }));
        }
    }

    /// Takes the first row of the reference's table that fits.
    fn choose(
        &mut self,
        now: Instant,
        core: &mut Core,
        reply: &Reply,
        payload: &NoisePayload,
        remote_id: u32,
        session: Session,
    ) -> Outcome {
        let hello = match &mut self.phase {
            Phase::Shaking { noise, .. } => std::mem::take(noise),
            _ => Vec::new(),
        };
        self.cancel(now, core);
        let target = self.remote().target();
        core.streams
            .expect_prefix(self.stream, session.keys.remote_prefix().to_vec());
        core.streams.set_remote_id(self.stream, remote_id);
        core.streams.expect_rtt(self.stream, reply.rtt);
        let relays = payload.relay_addresses.clone().unwrap_or_default();
        let routes = if relays.is_empty() {
            self.own_routes()
        } else {
            relays
        };
        self.phase = Phase::Choosing(Box::new(Choosing {
            session: Some(session),
            remote_id,
            routes,
            reusable: self.dial.reusable_socket
                && payload.udx.as_ref().is_some_and(|udx| udx.reusable_socket),
            messages: [hello, reply.noise.clone()],
            lan: None,
            punch: None,
            deadline: None,
            punchable: false,
            otherwise: None,
            relay: None,
            candidate: None,
            straight: None,
        }));
        // Packets that came before the handshake's answer already show the way.
        if let Some((socket, address)) = core.streams.held_path(self.stream) {
            return self.connect_to(now, core, socket, address, Path::Direct);
        }
        let Some(server) = reply.peer_address else {
            return self.connect_to(now, core, reply.socket, reply.asked, Path::Direct);
        };
        let punchable = payload
            .holepunch
            .as_ref()
            .is_some_and(|holepunch| !holepunch.relays.is_empty());
        let behind_itself = server == reply.asked;
        let peer = Peer {
            attempt: self.id,
            target,
            asked: reply.asked,
            server,
            round_trip: self.round_trip(reply.asked),
        };
        if payload.firewall == FIREWALL_OPEN || (!behind_itself && !punchable) {
            let public = payload
                .addresses4
                .iter()
                .find(|address| !is_bogon(*address.ip()) && address.port() != 0);
            let address = public.copied().unwrap_or(server);
            let socket = core.node.request_socket();
            if let Phase::Choosing(choosing) = &mut self.phase {
                choosing.straight = Some(Box::new(Straight::new(peer, payload)));
            }
            // Behind one router, the address that it has outside often leads nowhere from inside. That may be
            // a private one, too.
            let neighbours: Vec<SocketAddrV4> = payload
                .addresses4
                .iter()
                .filter(|address| is_private(*address.ip()) && address.ip() != server.ip())
                .filter(|address| address.port() != 0)
                .copied()
                .collect();
            let one_router = reply.client_address.ip() == server.ip() && !server.ip().is_loopback();
            if core.lan && one_router && !neighbours.is_empty() {
                self.try_neighbours(now, core, &neighbours);
                if let Phase::Choosing(choosing) = &mut self.phase {
                    choosing.otherwise = Some((now + NEIGHBOUR_FIRST, socket, address));
                }
                return Outcome::Pending;
            }
            return self.go_straight(now, core, socket, address);
        }
        // From here on the server, or a packet of its, may reach us first.
        core.streams.set_admission(self.stream, Admission::LearnPath);
        let Phase::Choosing(choosing) = &mut self.phase else {
            return Outcome::Pending;
        };
        if self.told_open {
            choosing.punchable = punchable;
            let wait = if punchable {
                WAIT_BEFORE_PUNCHING
            } else {
                WAIT_FOR_SERVER
            };
            choosing.deadline = Some(now + wait);
            return Outcome::Pending;
        }
        let usable: Vec<SocketAddrV4> = payload
            .addresses4
            .iter()
            .filter(|address| !is_reserved(*address.ip()) && address.port() != 0)
            .copied()
            .collect();
        let one_host = reply.client_address.ip() == server.ip();
        if core.lan && one_host && !behind_itself && !usable.is_empty() {
            self.try_neighbours(now, core, &usable);
        }
        let Phase::Choosing(choosing) = &mut self.phase else {
            return Outcome::Pending;
        };
        if let (Some(info), Some(session)) = (&payload.holepunch, &choosing.session) {
            let secret = &session.holepunch_secret;
            choosing.punch = Punch::start(now, core, peer, info, secret).map(Box::new);
        }
        self.unless_hopeless(now, core)
    }

    /// Returns how long the handshake through a node took.
    fn round_trip(&self, asked: SocketAddrV4) -> Duration {
        let exchanges = self.report.exchanges.iter().rev();
        let took = exchanges
            .filter(|exchange| exchange.node == asked)
            .find_map(|exchange| Some(exchange.answered?.saturating_sub(exchange.started)));
        took.unwrap_or(Outgoing::HURRY)
    }

    /// Takes the answer to a question that looks for a path.
    pub(super) fn handle_path_answer(
        &mut self,
        now: Instant,
        core: &mut Core,
        request: RequestId,
        result: Result<Answer, RequestError>,
    ) -> Outcome {
        let Phase::Choosing(choosing) = &mut self.phase else {
            return Outcome::Pending;
        };
        if let Some(neighbour) = choosing.lan.take_if(|lan| lan.request == request) {
            return self.handle_neighbour(now, core, neighbour, result);
        }
        match &mut choosing.punch {
            Some(punch) if punch.owns(request) => {
                let verdict = punch.handle_answer(now, core, result);
                self.conclude(now, core, verdict)
            }
            _ => Outcome::Pending,
        }
    }

    /// Takes what became of meeting at the relay: the place and the id through which the server can be
    /// reached, or nothing.
    pub(super) fn handle_relay(
        &mut self,
        now: Instant,
        core: &mut Core,
        paired: Option<(SocketId, SocketAddrV4, u32)>,
    ) -> Outcome {
        let elapsed = self.elapsed(now);
        let Phase::Choosing(choosing) = &mut self.phase else {
            return Outcome::Pending;
        };
        choosing.relay = paired.map(|(socket, address, id)| Relaying::Paired(socket, address, id));
        if paired.is_some() {
            self.report.relay_paired = Some(elapsed);
        }
        self.unless_hopeless(now, core)
    }

    pub(super) fn handle_path_timeout(&mut self, now: Instant, core: &mut Core) -> Outcome {
        let Phase::Choosing(choosing) = &mut self.phase else {
            return Outcome::Pending;
        };
        if choosing.deadline.is_some_and(|deadline| deadline <= now) {
            choosing.deadline = None;
            if choosing.punchable && choosing.session.is_some() {
                return self.start_over(now, core);
            }
            if choosing.straight.is_some() && self.report.unanswered.is_none() {
                return self.fall_back(now, core);
            }
            return self.unless_hopeless(now, core);
        }
        if let Some(candidate) = &mut choosing.candidate
            && !candidate.ask(now, core, self.stream, choosing.remote_id)
        {
            choosing.candidate = None;
            return self.unless_hopeless(now, core);
        }
        if let Some((_, socket, address)) = choosing.otherwise.take_if(|(at, ..)| *at <= now) {
            return self.go_straight(now, core, socket, address);
        }
        match &mut choosing.punch {
            Some(punch) => {
                let verdict = punch.handle_timeout(now, core);
                self.conclude(now, core, verdict)
            }
            None => Outcome::Pending,
        }
    }

    /// Takes the news that our socket for punching is open or its NAT better known.
    pub(super) fn handle_puncher_news(&mut self, now: Instant, core: &mut Core) -> Outcome {
        if let Phase::Choosing(choosing) = &mut self.phase
            && let Some(punch) = &mut choosing.punch
        {
            let verdict = punch.handle_news(now, core);
            return self.conclude(now, core, verdict);
        }
        Outcome::Pending
    }

    /// Tells whether a socket of the attempt's own could be opened.
    pub(super) fn handle_socket(
        &mut self,
        now: Instant,
        core: &mut Core,
        socket: SocketId,
        opened: bool,
    ) -> Outcome {
        if let Phase::Choosing(choosing) = &mut self.phase
            && let Some(punch) = &mut choosing.punch
        {
            punch.handle_socket(now, core, socket, opened);
        }
        Outcome::Pending
    }

    /// Returns whether something is under way that could lead to a direct path.
    pub(super) fn looks_for_path(&self) -> bool {
        match &self.phase {
            Phase::Choosing(choosing) => !choosing.is_hopeless(),
            _ => true,
        }
    }

    /// Returns the punch that waits for probes.
    pub(super) fn punch(&self) -> Option<&Punch> {
        match &self.phase {
            Phase::Choosing(choosing) => choosing.punch.as_deref(),
            _ => None,
        }
    }

    /// Takes a probe: the way that it came may be the way for stream packets.
    pub(super) fn handle_probe(
        &mut self,
        now: Instant,
        core: &mut Core,
        socket: SocketId,
        from: SocketAddrV4,
    ) -> Outcome {
        if let Phase::Choosing(choosing) = &mut self.phase
            && let Some(punch) = &mut choosing.punch
        {
            let verdict = punch.handle_probe(now, socket, from);
            return self.conclude(now, core, verdict);
        }
        Outcome::Pending
    }

    fn conclude(&mut self, now: Instant, core: &mut Core, verdict: Verdict) -> Outcome {
        let Phase::Choosing(choosing) = &mut self.phase else {
            return Outcome::Pending;
        };
        let lost = match verdict {
            Verdict::Pending => return Outcome::Pending,
            Verdict::Take(socket, from) => {
                return self.connect_to(now, core, socket, from, Path::Direct);
            }
            Verdict::GaveUp(lost) => lost,
        };
        if let Some(mut punch) = choosing.punch.take() {
            punch.stop(now, core, false);
            punch.tell(core, &mut self.report);
        }
        // What either side took for its NAT was a guess then.
        let guessed = matches!(lost, Lost::NatUnknown | Lost::NoProbe | Lost::Aborted);
        self.report.punch_lost = Some(match guessed && core.puncher.lacks_nodes() {
            true => Lost::TooFewNodes,
            false => lost,
        });
        self.unless_hopeless(now, core)
    }

    /// Takes the relay if nothing is left that could lead to a direct path, and fails if there is none.
    pub(super) fn unless_hopeless(&mut self, now: Instant, core: &mut Core) -> Outcome {
        let Phase::Choosing(choosing) = &self.phase else {
            return Outcome::Pending;
        };
        let (hopeless, handed_out) = (choosing.is_hopeless(), choosing.session.is_none());
        let provisional = self.is_provisional();
        match choosing.relay {
            Some(Relaying::Paired(socket, address, id)) if provisional => {
                self.take_to_relay(now, core, (socket, address, id))
            }
            Some(Relaying::Dialled) if provisional => Outcome::Pending,
            None if hopeless && provisional => self.give_up_stream(now, core),
            _ if handed_out && hopeless => Outcome::Over,
            _ if handed_out => Outcome::Pending,
            None if hopeless => Outcome::Failed(Failure::NoPath),
            Some(Relaying::Paired(..)) => self.connect_through_relay(now, core),
            _ => Outcome::Pending,
        }
    }

    fn connect_through_relay(&mut self, now: Instant, core: &mut Core) -> Outcome {
        let Phase::Choosing(choosing) = &mut self.phase else {
            return Outcome::Pending;
        };
        let Some(Relaying::Paired(socket, address, id)) = choosing.relay else {
            return Outcome::Pending;
        };
        let Some(session) = choosing.session.take() else {
            return Outcome::Pending;
        };
        core.streams.set_admission(self.stream, Admission::Refuse);
        core.streams.connect(now, self.stream, socket, address, id);
        let (routes, hopeless) = (choosing.routes.clone(), choosing.is_hopeless());
        self.tell_established(now, core, session, address, Path::Relayed);
        if hopeless {
            Outcome::Connected { routes }
        } else {
            Outcome::HandedOut { routes }
        }
    }

    pub(super) fn connect_to(
        &mut self,
        now: Instant,
        core: &mut Core,
        socket: SocketId,
        address: SocketAddrV4,
        path: Path,
    ) -> Outcome {
        let Phase::Choosing(choosing) = &mut self.phase else {
            return Outcome::Pending;
        };
        if choosing.session.is_none() {
            return self.ask_to_move(now, core, Candidate::new(now, socket, address, path));
        }
        core.streams
            .connect(now, self.stream, socket, address, choosing.remote_id);
        self.established(now, core, address, path)
    }

    pub(super) fn established(
        &mut self,
        now: Instant,
        core: &mut Core,
        remote: SocketAddrV4,
        path: Path,
    ) -> Outcome {
        let Phase::Choosing(choosing) = &mut self.phase else {
            return Outcome::Pending;
        };
        let Some(session) = choosing.session.take() else {
            return Outcome::Pending;
        };
        let routes = choosing.routes.clone();
        if self.report.unreachable.is_some() {
            core.doubt_reachability(now);
        }
        let Phase::Choosing(choosing) = &mut self.phase else {
            return Outcome::Pending;
        };
        if choosing.relay.take().is_some() {
            core.events.push_back(Event::LeaveRelay(self.stream));
        }
        if let Some((socket, _)) = core.streams.path(self.stream) {
            core.sockets.hold(now, socket, self.stream);
        }
        if choosing.reusable {
            core.remember_way(session.remote_public_key, self.stream);
        }
        self.tell_established(now, core, session, remote, path);
        if let Phase::Choosing(mut choosing) = std::mem::replace(&mut self.phase, Phase::Over) {
            choosing.stop(now, core, true);
        }
        Outcome::Connected { routes }
    }

    pub(super) fn tell_established(
        &self,
        now: Instant,
        core: &mut Core,
        session: Session,
        remote: SocketAddrV4,
        path: Path,
    ) {
        let mut report = self.report(now, core);
        report.path = Some((path, remote));
        if let Phase::Choosing(choosing) = &self.phase {
            report.routes.clone_from(&choosing.routes);
        }
        core.events.push_back(Event::Established(Box::new(Established {
            origin: Origin::Attempt(self.id),
            stream: self.stream,
            session,
            path,
            remote,
            report,
        })));
    }
}

/// How long a server gets that could be punched to as well: the reference repeats its first packet after a
/// second.
const WAIT_BEFORE_PUNCHING: Duration = Duration::from_millis(2500);

/// How long a server gets that has to reach us, as the reference.
const WAIT_FOR_SERVER: Duration = Duration::from_secs(10);
