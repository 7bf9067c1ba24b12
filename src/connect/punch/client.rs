//! The client's part: it leads, round by round, until a probe comes through.

use std::collections::VecDeque;
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use super::remote::Remote;
use super::running::Running;
use super::sockets::Purpose;
use super::strategy::Strategy;
use crate::connect::nat::Firewall;
use crate::connect::report::{Lost, Report};
use crate::connect::router::may_follow_host;
use crate::connect::secure_payload::SecurePayload;
use crate::connect::shared::{Core, Owner};
use crate::connect::types::AttemptId;
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
pub(in crate::connect) enum Verdict {
    Pending,
    /// This is the way.
    Take(SocketId, SocketAddrV4),
    /// No probe will come any more.
    GaveUp(Lost),
}

/// Who is punched to, and through whom.
#[derive(Debug)]
pub(in crate::connect) struct Peer {
    pub(in crate::connect) attempt: AttemptId,
    /// The server's key, hashed.
    pub(in crate::connect) target: [u8; 32],
    /// The node that our handshake went through.
    pub(in crate::connect) asked: SocketAddrV4,
    /// The server as that node sees it.
    pub(in crate::connect) server: SocketAddrV4,
    /// How long our handshake took, repetitions included.
    pub(in crate::connect) round_trip: Duration,
}

/// One attempt's punch.
#[derive(Debug)]
pub(in crate::connect) struct Punch {
    peer: Peer,
    /// The server's number for our handshake.
    number: u64,
    secure: SecurePayload,
    /// Nodes at which the server is announced; the first is the one in use.
    relays: VecDeque<RelayInfo>,
    round: u64,
    state: State,
    may_repeat: bool,
    examinations: u32,
    turns: u32,
    own: Firewall,
    remote: Remote,
    /// What proves to the server that we are where it sees us.
    token: Option<[u8; 32]>,
    running: Option<Running>,
    strategy: Option<Strategy>,
    opened: u32,
    /// A probe from a port of the server's host that it did not name, and until when a better one may come.
    odd: Option<(Instant, SocketId, SocketAddrV4)>,
}

#[derive(Debug)]
enum State {
    /// Waits for the socket.
    Opening,
    /// Has asked how the server sees itself.
    Asking(RequestId),
    /// Gives a server that knows nothing of its NAT a moment: the first probe may be all that it takes.
    Pausing(Instant),
    /// Waits until our NAT is known.
    Examining,
    /// Waits for a random punch of before to be long enough ago.
    Throttled(Instant),
    /// Has said that we punch now, to an address of the server.
    Announcing(RequestId, SocketAddrV4),
    Punching,
    Over,
}

impl Punch {
    /// Begins. Without a relay that may be asked there is nothing to begin with.
    pub(in crate::connect) fn start(
        now: Instant,
        core: &mut Core,
        peer: Peer,
        info: &HolepunchInfo,
        holepunch_secret: &[u8; 32],
    ) -> Option<Self> {
        let usable =
            |relay: &&RelayInfo| core.may_send_to(relay.relay_address) && relay.peer_address.port() != 0;
        let mut relays: VecDeque<_> = info.relays.iter().filter(usable).copied().collect();
        relays.truncate(MAX_RELAYS);
        // The node that has just passed our handshake on is the best choice.
        if let Some(index) = relays.iter().position(|relay| relay.relay_address == peer.asked) {
            relays.rotate_left(index);
        }
        if relays.is_empty() {
            return None;
        }
        let secure = SecurePayload::new(holepunch_secret, core.random_seed());
        core.want_puncher(now);
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
            running: None,
            strategy: None,
            opened: 0,
            odd: None,
        };
        if core.puncher.socket().is_some() {
            punch.ask(now, core);
        }
        Some(punch)
    }

    pub(in crate::connect) const fn owns(&self, request: RequestId) -> bool {
        match self.state {
            State::Asking(own) | State::Announcing(own, _) => own.0 == request.0,
            _ => false,
        }
    }

    /// Takes the news that the socket is open or its NAT better known.
    pub(in crate::connect) fn handle_news(&mut self, now: Instant, core: &mut Core) -> Verdict {
        match self.state {
            State::Opening if core.puncher.socket().is_some() => {
                self.ask(now, core);
                Verdict::Pending
            }
            State::Opening if core.puncher.is_closed() => self.give_up(Lost::NoSocket),
            State::Examining => self.decide(now, core),
            _ => Verdict::Pending,
        }
    }

    pub(in crate::connect) fn handle_answer(
        &mut self,
        now: Instant,
        core: &mut Core,
        result: Result<Answer, RequestError>,
    ) -> Verdict {
        let read = result
            .ok()
            .map(|answer| (self.read(&answer), answer.socket, answer.to, answer.from));
        let (destination, asking) = match self.state {
            State::Asking(_) => (self.relays[0].peer_address, true),
            State::Announcing(_, to) => (to, false),
            _ => return Verdict::Pending,
        };
        let (payload, server) = match read {
            Some((Some(read), socket, seen_as, relay)) => {
                core.add_sample(socket, seen_as, relay);
                read
            }
            // Said and damaged, or never said: another node may do better.
            Some((None, ..)) | None => return self.try_next_relay(now, core, asking),
        };
        match payload.error {
            ERROR_NONE => {}
            ERROR_TRY_LATER if !asking && self.turns < MAX_TURNS => {
                self.turns += 1;
                self.state = State::Throttled(now + TURN);
                return Verdict::Pending;
            }
            ERROR_TRY_LATER => return self.give_up(Lost::TryLater),
            _ => return self.give_up(Lost::Aborted),
        }
        let echoed = payload.remote_token == Some(self.secure.token(*destination.ip()));
        let private = core.private;
        self.remote
            .update(&payload, destination, echoed && !asking, |host| {
                may_follow_host(host, private)
            });
        self.token = payload.token.or(self.token);
        if !asking {
            return self.punch(now, core);
        }
        if self.relays[0].relay_address == self.peer.asked
            && server != self.peer.server
            && let Some(socket) = core.puncher.socket()
        {
            // The server has moved to another socket, and this node sees which.
            self.peer.server = server;
            self.opened += u32::from(core.probe(now, socket, server, true, false));
        }
        if self.remote.firewall() == Firewall::Unknown {
            self.state = State::Pausing(now + PAUSE);
            return Verdict::Pending;
        }
        self.state = State::Examining;
        self.decide(now, core)
    }

    pub(in crate::connect) fn handle_timeout(&mut self, now: Instant, core: &mut Core) -> Verdict {
        if let Some((_, socket, from)) = self.odd.filter(|(until, ..)| *until <= now) {
            return Verdict::Take(socket, from);
        }
        match self.state {
            State::Pausing(until) if until <= now => {
                self.state = State::Examining;
                self.decide(now, core)
            }
            State::Throttled(until) if until <= now => self.announce(now, core),
            State::Punching => {
                let Some(running) = &mut self.running else {
                    return Verdict::Pending;
                };
                core.go_on_punching(now, running, self.remote.targets());
                if running.is_over() {
                    return self.give_up(Lost::NoProbe);
                }
                Verdict::Pending
            }
            _ => Verdict::Pending,
        }
    }

    pub(in crate::connect) fn poll_timeout(&self) -> Option<Instant> {
        let step = match self.state {
            State::Pausing(until) | State::Throttled(until) => Some(until),
            State::Punching => self.running.as_ref().and_then(Running::poll_timeout),
            _ => None,
        };
        step.into_iter().chain(self.odd.map(|(at, ..)| at)).min()
    }

    /// Tells whether a socket of ours could be opened.
    pub(in crate::connect) fn handle_socket(
        &mut self,
        now: Instant,
        core: &mut Core,
        socket: SocketId,
        opened: bool,
    ) {
        if let Some(running) = &mut self.running {
            core.handle_punch_socket(now, running, self.remote.targets(), socket, opened);
        }
    }

    /// Returns whether a probe on this socket from this address can be the server's: it has named the host,
    /// or proven to be there.
    pub(in crate::connect) fn takes_probe(&self, core: &Core, socket: SocketId, from: SocketAddrV4) -> bool {
        let ours = core.puncher.socket() == Some(socket)
            || self.running.as_ref().is_some_and(|own| own.uses(socket));
        let named = from.ip() == self.peer.server.ip() || self.remote.names(*from.ip());
        ours && named && !matches!(self.state, State::Over)
    }

    /// Takes a probe of the server's. Where the server has named the address, or its NAT gives out ports that
    /// it can't know, it is the way at once; another port of the same host may be another peer's, so that it
    /// is the way only if nothing better comes.
    pub(in crate::connect) fn handle_probe(
        &mut self,
        now: Instant,
        socket: SocketId,
        from: SocketAddrV4,
    ) -> Verdict {
        if self.expects(from) || self.remote.firewall() == Firewall::Random {
            return Verdict::Take(socket, from);
        }
        self.odd.get_or_insert((now + BETTER, socket, from));
        Verdict::Pending
    }

    /// Returns whether this is the very address that the server has named.
    pub(in crate::connect) fn expects(&self, from: SocketAddrV4) -> bool {
        let mut targets = self.remote.targets().iter();
        from == self.peer.server || targets.any(|target| target.address == from)
    }

    /// Adds what is known to a report.
    pub(in crate::connect) fn tell(&self, core: &Core, report: &mut Report) {
        report.own_nat = Some(self.own);
        report.own_samples = core.puncher.samples().to_vec();
        self.remote.tell(report);
        report.strategy = self.strategy;
        report.probes_sent = self.opened + self.running.as_ref().map_or(0, Running::probes);
    }

    /// Stops. Sockets that carry no stream close.
    pub(in crate::connect) fn stop(&mut self, now: Instant, core: &mut Core, won: bool) {
        if let State::Asking(request) | State::Announcing(request, _) = self.state {
            core.cancel_request(now, request);
        }
        self.state = State::Over;
        if let Some(running) = self.running.take() {
            core.stop_punching(now, &running, won);
            self.opened += running.probes();
        }
    }

    /// First round: how does the server see itself? A probe on the way opens our NAT for one that the server
    /// may send at once.
    fn ask(&mut self, now: Instant, core: &mut Core) {
        let Some(socket) = core.puncher.socket() else {
            return;
        };
        let mut fast = None;
        if core.fast_open && core.probe(now, socket, self.peer.server, true, false) {
            self.opened += 1;
            fast = Some(self.peer.server);
        }
        let payload = HolepunchPayload {
            firewall: core.puncher.firewall().to_wire(),
            addresses: core.puncher.addresses().map(<[_]>::to_vec),
            remote_address: fast,
            ..HolepunchPayload::default()
        };
        let relay = self.relays[0];
        let request = self.send(now, core, payload, relay);
        self.state = State::Asking(request);
    }

    /// Decides once both NATs are known, as far as they ever will be.
    fn decide(&mut self, now: Instant, core: &mut Core) -> Verdict {
        if !core.puncher.is_settled() {
            return Verdict::Pending;
        }
        let (own, remote) = (core.puncher.firewall(), self.remote.firewall());
        self.own = own;
        if own == Firewall::Unknown && self.examinations < MAX_EXAMINATIONS {
            self.examinations += 1;
            core.examine(now);
            if !core.puncher.is_settled() {
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
        // The server need not wait for us. Whether it hears that does not matter.
        let payload = HolepunchPayload {
            error: ERROR_ABORTED,
            ..HolepunchPayload::default()
        };
        let relay = self.relays[0];
        let request = self.send(now, core, payload, relay);
        core.let_go(request);
        self.give_up(lost)
    }

    /// Second round: says that we punch now. The server begins when it hears that, and we when it answers.
    fn announce(&mut self, now: Instant, core: &mut Core) -> Verdict {
        let own = core.puncher.firewall();
        self.own = own;
        let random = own == Firewall::Random || self.remote.firewall() == Firewall::Random;
        if random {
            match core.throttle.free_at(now) {
                Some(free) if free <= now => {}
                Some(free) if free <= now + PATIENCE => {
                    self.state = State::Throttled(free);
                    return Verdict::Pending;
                }
                _ => return self.give_up(Lost::Throttled),
            }
        }
        let mut relay = self.relays[0];
        if relay.relay_address == self.peer.asked {
            // As the node of our handshake sees the server: at the socket that it punches with, which has a
            // way open to that node.
            relay.peer_address = self.peer.server;
        }
        let payload = HolepunchPayload {
            firewall: core.puncher.firewall().to_wire(),
            addresses: core.puncher.addresses().map(<[_]>::to_vec),
            punching: true,
            token: Some(self.secure.token(*relay.peer_address.ip())),
            remote_token: self.token,
            ..HolepunchPayload::default()
        };
        let request = self.send(now, core, payload, relay);
        self.state = State::Announcing(request, relay.peer_address);
        Verdict::Pending
    }

    /// The server punches: so do we.
    fn punch(&mut self, now: Instant, core: &mut Core) -> Verdict {
        if !self.remote.is_punching() {
            return self.give_up(Lost::Aborted);
        }
        let own = core.puncher.firewall();
        let purpose = Purpose::Attempt(self.peer.attempt);
        self.running = core.punch(now, purpose, own, &self.remote);
        let Some(running) = &self.running else {
            return self.give_up(Lost::NotVerified);
        };
        self.strategy = Some(running.strategy());
        self.state = State::Punching;
        Verdict::Pending
    }

    /// The node in use does not bring our messages through. Each gets one go.
    fn try_next_relay(&mut self, now: Instant, core: &mut Core, asking: bool) -> Verdict {
        if self.turns > 0 {
            // The reference says that it is not our turn and forgets us.
            return self.give_up(Lost::TryLater);
        }
        if self.relays.len() < 2 {
            return self.give_up(Lost::NoAnswer);
        }
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
        let payload = HolepunchPayload {
            round: self.round.min(HolepunchPayload::MAX_ROUND),
            ..payload
        };
        self.round += 1;
        let message = HolepunchMessage {
            mode: Mode::FromClient,
            id: self.number,
            payload: self.secure.seal(&payload, &core.random_nonce()),
            peer_address: Some(relay.peer_address),
        };
        let outgoing = Outgoing {
            value: Some(message.to_bytes()),
            socket: core.puncher.socket(),
            // Where there is another node to try, not for long; but an answer may be late if it is not our
            // turn yet.
            retries: if self.relays.len() > 1 && self.turns == 0 {
                3
            } else {
                Outgoing::RETRIES_IN_HURRY + 1
            },
            // The way is that of our handshake. If that had to be repeated, nobody knows whether it got lost
            // or the way is long.
            hurry: Some((2 * self.peer.round_trip).clamp(SOON, Outgoing::HURRY)),
            ..Outgoing::application(relay.relay_address, PEER_HOLEPUNCH, self.peer.target)
        };
        core.request(now, Owner::Attempt(self.peer.attempt), outgoing)
    }

    /// Returns what the server said, and where the node in between sees it.
    fn read(&self, answer: &Answer) -> Option<(HolepunchPayload, SocketAddrV4)> {
        let message = HolepunchMessage::from_bytes(answer.value.as_deref()?).ok()?;
        let payload = self.secure.open(&message.payload)?;
        let usable = answer.error == 0 && message.mode == Mode::Reply;
        usable.then_some((payload, message.peer_address.unwrap_or(answer.from)))
    }

    const fn give_up(&mut self, lost: Lost) -> Verdict {
        self.state = State::Over;
        Verdict::GaveUp(lost)
    }
}

/// When a message to the server is repeated at the earliest: it may first have to ask others how they see it.
const SOON: Duration = Duration::from_millis(100);
/// Nodes that the server's word makes us try, one after the other.
const MAX_RELAYS: usize = 3;
/// How long a probe from the right host and an unknown port waits for a better one.
const BETTER: Duration = Duration::from_millis(500);
/// How long a server that does not know its NAT gets, as the reference.
const PAUSE: Duration = Duration::from_secs(1);
/// How often nodes are asked anew how they see us when they have not agreed, as the reference.
const MAX_EXAMINATIONS: u32 = 3;
/// How often a server that punches through its random NAT for somebody else is asked again, and when.
const MAX_TURNS: u32 = 10;
const TURN: Duration = Duration::from_secs(2);
/// How long we wait for our turn at punching through a random NAT: the server keeps its side ready for 10 s.
const PATIENCE: Duration = Duration::from_secs(8);
