//! The client's part of a punch: it leads, round by round, until a probe comes through (`connect.md` §9.2).

use std::collections::VecDeque;
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use tracing::debug;

use crate::connect::context::Asker;
use crate::connect::core::Core;
use crate::connect::ids::{AttemptId, Place};
use crate::connect::nat::Firewall;
use crate::connect::punch::{Probe, Purpose, Remote, Run, Strategy};
use crate::connect::report::{Lost, Report};
use crate::connect::router::may_follow_host;
use crate::connect::secure_payload::SecurePayload;
use crate::dht::{Answer, Outgoing, RequestError, RequestId};
use crate::wire::compact::{Decode, Encode};
use crate::wire::handshake::{
    ERROR_ABORTED, ERROR_NONE, ERROR_TRY_LATER, HolepunchInfo, HolepunchMessage, HolepunchPayload, Mode,
    RelayInfo,
};
use crate::wire::rpc::PEER_HOLEPUNCH;
use crate::wire::transmit::SocketId;

/// What a step has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Pending,
    /// A probe of the server has come through.
    Open(Place),
    /// No probe will come any more.
    GaveUp(Lost),
}

/// The server that is punched to, and the node in between.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) attempt: AttemptId,
    /// The server's key, hashed.
    pub(super) target: [u8; 32],
    /// The node that the handshake went through.
    pub(super) asked: SocketAddrV4,
    /// The server as that node sees it.
    pub(super) server: SocketAddrV4,
    /// How long the handshake took, repetitions included.
    pub(super) round_trip: Duration,
}

/// One attempt's punch.
#[derive(Debug)]
pub(super) struct Punch {
    peer: Peer,
    /// The server's number for the handshake.
    number: u64,
    secure: SecurePayload,
    /// Nodes at which the server is announced. The first one is in use.
    relays: VecDeque<RelayInfo>,
    round: u64,
    state: State,
    may_repeat: bool,
    examinations: u32,
    turns: u32,
    own: Firewall,
    remote: Remote,
    /// Proves to the server that the client receives at the address where it is seen.
    token: Option<[u8; 32]>,
    strategy: Option<Strategy>,
    /// Probes that have left outside of the plan that is under way.
    probes: u32,
    /// A probe from a port of the server's host that it did not name, and until when a better one may come.
    unnamed: Option<(Instant, Place)>,
}

#[derive(Debug)]
enum State {
    /// Waits for the socket.
    Opening,
    /// The first round is under way: what is the server's NAT?
    Asking(RequestId),
    /// Gives a server that does not know its NAT a moment: the first probe may be enough.
    Pausing(Instant),
    /// Waits until the own NAT is known.
    Examining,
    /// Waits until an earlier punch through a random NAT is long enough ago.
    Throttled(Instant),
    /// The second round is under way, to this address of the server: both punch now.
    Announcing(RequestId, SocketAddrV4),
    Punching(Run),
    Over,
}

impl Punch {
    /// Starts the first round. Returns `None` without a node that may be asked.
    pub(super) fn start(
        now: Instant,
        core: &mut Core,
        peer: Peer,
        info: &HolepunchInfo,
        holepunch_secret: &[u8; 32],
    ) -> Option<Self> {
        let usable =
            |relay: &&RelayInfo| core.cx.may_send_to(relay.relay_address) && relay.peer_address.port() != 0;
        let mut relays: VecDeque<_> = info.relays.iter().filter(usable).copied().collect();
        relays.truncate(MAX_RELAYS);
        // The node that has just passed the handshake on is the best choice.
        if let Some(index) = relays.iter().position(|relay| relay.relay_address == peer.asked) {
            relays.rotate_left(index);
        }
        if relays.is_empty() {
            return None;
        }
        let secure = SecurePayload::new(holepunch_secret, core.cx.random_seed());
        core.punch.want_puncher(now, &mut core.cx);
        let mut punch = Self {
            peer,
            number: info.id,
            secure,
            relays,
            round: 0,
            state: State::Opening,
            may_repeat: true,
            examinations: 0,
            turns: 0,
            own: Firewall::Unknown,
            remote: Remote::default(),
            token: None,
            strategy: None,
            probes: 0,
            unnamed: None,
        };
        if core.punch.puncher.socket().is_some() {
            punch.ask(now, core);
        }
        Some(punch)
    }

    pub(super) const fn owns(&self, request: RequestId) -> bool {
        match &self.state {
            State::Asking(own) | State::Announcing(own, _) => own.0 == request.0,
            _ => false,
        }
    }

    /// Handles a puncher socket that is open, or whose NAT is better known.
    pub(super) fn handle_puncher(&mut self, now: Instant, core: &mut Core) -> Verdict {
        match self.state {
            State::Opening if core.punch.puncher.socket().is_some() => {
                self.ask(now, core);
                Verdict::Pending
            }
            State::Opening if core.punch.puncher.is_closed() => self.give_up(Lost::NoSocket),
            State::Examining => self.decide(now, core),
            _ => Verdict::Pending,
        }
    }

    pub(super) fn handle_answer(
        &mut self,
        now: Instant,
        core: &mut Core,
        result: Result<Answer, RequestError>,
    ) -> Verdict {
        let read = result.ok().map(|answer| (self.read(&answer), answer.socket, answer.to, answer.from));
        let (destination, asking) = match self.state {
            State::Asking(_) => (self.relays[0].peer_address, true),
            State::Announcing(_, to) => (to, false),
            _ => return Verdict::Pending,
        };
        let (payload, server) = match read {
            Some((Some(read), socket, seen_as, relay)) => {
                core.punch.puncher.add_sample(socket, seen_as, relay);
                read
            }
            // The answer is damaged, or there was none: another node may do better.
            Some((None, ..)) | None => return self.try_next_relay(now, core, asking),
        };
        match payload.error {
            ERROR_NONE => {}
            ERROR_TRY_LATER if !asking && self.turns < MAX_TURNS => {
                self.turns += 1;
                debug!(round = self.round, "the server punches for another client: waiting");
                self.state = State::Throttled(now + TURN);
                return Verdict::Pending;
            }
            ERROR_TRY_LATER => return self.give_up(Lost::TryLater),
            _ => return self.give_up(Lost::Aborted),
        }
        let echoed = payload.remote_token == Some(self.secure.token(*destination.ip()));
        let private = core.cx.private;
        debug!(
            asking,
            remote = %Firewall::from_wire(payload.firewall),
            punching = payload.punching,
            verified = echoed && !asking,
            "holepunch answer"
        );
        self.remote.update(&payload, destination, echoed && !asking, |host| may_follow_host(host, private));
        self.token = payload.token.or(self.token);
        if !asking {
            return self.punch(now, core);
        }
        if self.relays[0].relay_address == self.peer.asked
            && server != self.peer.server
            && let Some(socket) = core.punch.puncher.socket()
        {
            // The server has moved to another socket, and this node sees which.
            self.peer.server = server;
            self.probe_unproven(now, core, socket, server);
        }
        if self.remote.firewall() == Firewall::Unknown {
            self.state = State::Pausing(now + PAUSE);
            return Verdict::Pending;
        }
        self.state = State::Examining;
        self.decide(now, core)
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, core: &mut Core) -> Verdict {
        if let Some((_, place)) = self.unnamed.filter(|(until, _)| *until <= now) {
            return Verdict::Open(place);
        }
        match &mut self.state {
            State::Pausing(until) if *until <= now => {
                self.state = State::Examining;
                self.decide(now, core)
            }
            State::Throttled(until) if *until <= now => self.announce(now, core),
            State::Punching(run) => {
                run.advance(now, &mut core.cx, &mut core.punch, self.remote.targets());
                match run.is_over() {
                    true => Verdict::GaveUp(Lost::NoProbe),
                    false => Verdict::Pending,
                }
            }
            _ => Verdict::Pending,
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let step = match &self.state {
            State::Pausing(until) | State::Throttled(until) => Some(*until),
            State::Punching(run) => run.poll_timeout(),
            _ => None,
        };
        step.into_iter().chain(self.unnamed.map(|(at, _)| at)).min()
    }

    /// Handles the outcome of opening a socket of this punch.
    pub(super) fn handle_socket(&mut self, now: Instant, core: &mut Core, socket: SocketId, opened: bool) {
        if let State::Punching(run) = &mut self.state {
            let (cx, kit) = (&mut core.cx, &mut core.punch);
            run.handle_socket(now, cx, kit, self.remote.targets(), socket, opened);
        }
    }

    /// Returns whether a probe at this place can be the server's: it has named the host, or proven to be
    /// there.
    pub(super) fn takes_probe(&self, core: &Core, place: Place) -> bool {
        let Place { socket, address: from } = place;
        let is_own = core.punch.puncher.socket() == Some(socket)
            || matches!(&self.state, State::Punching(run) if run.uses(socket));
        let named = from.ip() == self.peer.server.ip() || self.remote.names(*from.ip());
        is_own && named && !matches!(self.state, State::Over)
    }

    /// Handles a probe of the server. From an address that the server has named, or through a NAT whose ports
    /// it can't know, the path is open at once. Another port of the same host may be another peer's, and
    /// counts only if no better probe comes.
    pub(super) fn handle_probe(&mut self, now: Instant, place: Place) -> Verdict {
        if self.expects(place.address) || self.remote.firewall() == Firewall::Random {
            return Verdict::Open(place);
        }
        debug!(from = %place.address, "probe from a port that was not named: waiting for a better one");
        self.unnamed.get_or_insert((now + BETTER, place));
        Verdict::Pending
    }

    /// Returns whether this is the very address that the server has named.
    pub(super) fn expects(&self, from: SocketAddrV4) -> bool {
        let mut targets = self.remote.targets().iter();
        from == self.peer.server || targets.any(|target| target.address == from)
    }

    /// Adds what is known to a report.
    pub(super) fn describe(&self, core: &Core, report: &mut Report) {
        report.own_nat = Some(self.own);
        report.own_samples = core.punch.puncher.samples().to_vec();
        self.remote.describe(report);
        report.strategy = self.strategy;
        let planned = match &self.state {
            State::Punching(run) => run.probes(),
            _ => 0,
        };
        report.probes_sent = self.probes + planned;
    }

    /// Stops. Sockets that carry no stream close.
    pub(super) fn stop(&mut self, now: Instant, core: &mut Core, won: bool) {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Asking(request) | State::Announcing(request, _) => core.cx.cancel_request(now, request),
            State::Punching(run) => {
                run.stop(now, &mut core.cx, &mut core.punch, won);
                self.probes += run.probes();
            }
            _ => {}
        }
    }

    /// Sends the first round: what is the server's NAT? A probe beside it opens the own NAT for one that the
    /// server may send at once.
    fn ask(&mut self, now: Instant, core: &mut Core) {
        let Some(socket) = core.punch.puncher.socket() else {
            return;
        };
        let mut fast = None;
        if core.punch.fast_open && self.probe_unproven(now, core, socket, self.peer.server) {
            fast = Some(self.peer.server);
        }
        let payload = HolepunchPayload {
            firewall: core.punch.puncher.firewall().to_wire(),
            addresses: core.punch.puncher.addresses().map(<[_]>::to_vec),
            remote_address: fast,
            ..HolepunchPayload::default()
        };
        let relay = self.relays[0];
        let own = core.punch.puncher.firewall();
        debug!(node = %relay.relay_address, %own, "asking for the server's NAT");
        let request = self.send(now, core, payload, relay);
        self.state = State::Asking(request);
    }

    /// Decides once both NATs are known, as far as they ever will be.
    fn decide(&mut self, now: Instant, core: &mut Core) -> Verdict {
        if !core.punch.puncher.is_judged() {
            return Verdict::Pending;
        }
        let (own, remote) = (core.punch.puncher.firewall(), self.remote.firewall());
        self.own = own;
        if own == Firewall::Unknown && self.examinations < MAX_EXAMINATIONS {
            self.examinations += 1;
            core.punch.puncher.examine(now, &mut core.cx);
            if !core.punch.puncher.is_judged() {
                return Verdict::Pending;
            }
        }
        if (remote == Firewall::Unknown || self.token.is_none()) && self.may_repeat {
            self.may_repeat = false;
            self.ask(now, core);
            return Verdict::Pending;
        }
        let lost = match (own, remote) {
            (Firewall::Unknown, _) | (_, Firewall::Unknown) => Lost::NatUnknown,
            (Firewall::Random, Firewall::Random) => Lost::BothRandom,
            _ => return self.announce(now, core),
        };
        // The server need not wait. Whether it gets the message does not matter.
        let payload = HolepunchPayload { error: ERROR_ABORTED, ..HolepunchPayload::default() };
        let relay = self.relays[0];
        let request = self.send(now, core, payload, relay);
        core.cx.detach_request(request);
        self.give_up(lost)
    }

    /// Sends the second round: both sides punch. The server begins when it gets the message, and this node
    /// when the answer comes.
    fn announce(&mut self, now: Instant, core: &mut Core) -> Verdict {
        let own = core.punch.puncher.firewall();
        self.own = own;
        let random = own == Firewall::Random || self.remote.firewall() == Firewall::Random;
        if random {
            match core.punch.throttle.free_at(now) {
                Some(free) if free <= now => {}
                Some(free) if free <= now + WAIT_FOR_TURN => {
                    debug!("waiting for the turn to punch through a random NAT");
                    self.state = State::Throttled(free);
                    return Verdict::Pending;
                }
                _ => return self.give_up(Lost::Throttled),
            }
        }
        let mut relay = self.relays[0];
        if relay.relay_address == self.peer.asked {
            // The node that the handshake went through sees the server at its puncher socket, whose NAT is
            // open to that node.
            relay.peer_address = self.peer.server;
        }
        let payload = HolepunchPayload {
            firewall: core.punch.puncher.firewall().to_wire(),
            addresses: core.punch.puncher.addresses().map(<[_]>::to_vec),
            punching: true,
            token: Some(self.secure.token(*relay.peer_address.ip())),
            remote_token: self.token,
            ..HolepunchPayload::default()
        };
        debug!(node = %relay.relay_address, %own, to = %relay.peer_address, "announcing the punch");
        let request = self.send(now, core, payload, relay);
        self.state = State::Announcing(request, relay.peer_address);
        Verdict::Pending
    }

    /// Starts to punch, as the server does.
    fn punch(&mut self, now: Instant, core: &mut Core) -> Verdict {
        if !self.remote.is_punching() {
            return self.give_up(Lost::Aborted);
        }
        let own = core.punch.puncher.firewall();
        let purpose = Purpose::Attempt(self.peer.attempt);
        let Some(run) = Run::start(now, &mut core.cx, &mut core.punch, purpose, own, &self.remote) else {
            return self.give_up(Lost::NotVerified);
        };
        self.strategy = Some(run.strategy());
        self.state = State::Punching(run);
        Verdict::Pending
    }

    /// Goes on with the next node: the one in use does not bring messages through.
    fn try_next_relay(&mut self, now: Instant, core: &mut Core, asking: bool) -> Verdict {
        if self.turns > 0 {
            // A server of the reference that refuses a turn forgets the client (`connect.md` §9.3 step 6).
            return self.give_up(Lost::TryLater);
        }
        if self.relays.len() < 2 {
            return self.give_up(Lost::NoAnswer);
        }
        debug!(node = %self.relays[0].relay_address, "holepunch unanswered: trying the next node");
        self.relays.pop_front();
        if asking {
            self.ask(now, core);
            return Verdict::Pending;
        }
        self.announce(now, core)
    }

    fn send(
        &mut self,
        now: Instant,
        core: &mut Core,
        payload: HolepunchPayload,
        relay: RelayInfo,
    ) -> RequestId {
        let payload = HolepunchPayload { round: self.round.min(HolepunchPayload::MAX_ROUND), ..payload };
        self.round += 1;
        let message = HolepunchMessage {
            mode: Mode::FromClient,
            id: self.number,
            payload: self.secure.seal(&payload, &core.cx.random_nonce()),
            peer_address: Some(relay.peer_address),
        };
        let outgoing = Outgoing {
            value: Some(message.to_bytes()),
            socket: core.punch.puncher.socket(),
            // Where there is another node to try, not for long; but an answer may be late if it is not the
            // client's turn yet.
            retries: if self.relays.len() > 1 && self.turns == 0 {
                3
            } else {
                Outgoing::RETRIES_IN_HURRY + 1
            },
            // The route is that of the handshake. If that was repeated, it is not known whether a message got
            // lost or the route is long.
            hurry: Some((2 * self.peer.round_trip).clamp(SOON, Outgoing::HURRY)),
            ..Outgoing::application(relay.relay_address, PEER_HOLEPUNCH, self.peer.target)
        };
        core.cx.request(now, Asker::Attempt(self.peer.attempt), outgoing)
    }

    /// Returns what the server has answered, and where the node in between sees it.
    fn read(&self, answer: &Answer) -> Option<(HolepunchPayload, SocketAddrV4)> {
        let message = HolepunchMessage::from_bytes(answer.value.as_deref()?).ok()?;
        let payload = self.secure.open(&message.payload)?;
        let usable = answer.error == 0 && message.mode == Mode::Reply;
        usable.then_some((payload, message.peer_address.unwrap_or(answer.from)))
    }

    /// Sends a probe that opens the own NAT for the server, to an address that is not proven to be its own.
    fn probe_unproven(&mut self, now: Instant, core: &mut Core, socket: SocketId, to: SocketAddrV4) -> bool {
        let (low_ttl, verified) = (true, false);
        let probe = Probe { socket, to, low_ttl, verified };
        let sent = core.punch.probe(now, &core.cx, probe);
        self.probes += u32::from(sent);
        sent
    }

    fn give_up(&mut self, lost: Lost) -> Verdict {
        self.state = State::Over;
        Verdict::GaveUp(lost)
    }
}

/// When a message to the server is repeated at the earliest: it may first have to ask others how they see it.
const SOON: Duration = Duration::from_millis(100);
/// Nodes that the server names which are tried, one after the other.
const MAX_RELAYS: usize = 3;
/// How long a probe from the right host and an unknown port waits for a better one.
const BETTER: Duration = Duration::from_millis(500);
/// How long a server that does not know its NAT gets (`connect.md` §9.2, §13.1).
const PAUSE: Duration = Duration::from_secs(1);
/// How often the own NAT is examined anew when nodes have not agreed (`connect.md` §9.1, §13.1).
const MAX_EXAMINATIONS: u32 = 3;
/// How often a server that punches through its random NAT for another client is asked again, and when.
const MAX_TURNS: u32 = 10;
const TURN: Duration = Duration::from_secs(2);
/// How long the own turn at punching through a random NAT is waited for: the server keeps its side ready for
/// 10 s.
const WAIT_FOR_TURN: Duration = Duration::from_secs(8);
