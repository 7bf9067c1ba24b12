//! The server's part of a punch: it answers each message of its client, and punches when asked to
//! (`connect.md` §9.3).

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use tracing::debug;

use crate::connect::core::Core;
use crate::connect::ids::EntryId;
use crate::connect::nat::Firewall;
use crate::connect::noise::Session;
use crate::connect::options::PunchRequest;
use crate::connect::punch::{Probe, Purpose, Remote, Run};
use crate::connect::report::Report;
use crate::connect::router::may_follow_host;
use crate::connect::secure_payload::SecurePayload;
use crate::dht::Incoming;
use crate::keys::PublicKey;
use crate::wire::compact::Encode;
use crate::wire::handshake::{
    ERROR_ABORTED, ERROR_NONE, ERROR_TRY_LATER, HolepunchMessage, HolepunchPayload, Mode,
};
use crate::wire::transmit::SocketId;

/// What punching to one client has come to.
#[derive(Debug)]
pub(super) struct Punching {
    secure: SecurePayload,
    round: u64,
    remote: Remote,
    /// The host of the client's last message.
    seen_at: Option<Ipv4Addr>,
    phase: Phase,
    waiting: Waiting,
    /// Probes that have left before the plan.
    fast_probes: u32,
    /// The key that the client claims.
    claimed_key: PublicKey,
    permission: Permission,
}

/// Whether the server lets a punch begin. Until it does, no probe leaves and none is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Permission {
    Needed,
    Asked,
    Given,
    Refused,
}

#[derive(Debug)]
enum Phase {
    /// Answers messages.
    Answering,
    Punching(Run),
    Over,
}

/// A message that can't be answered yet. A later one replaces it, as the client has given it up then.
#[derive(Debug)]
enum Waiting {
    None,
    /// For the own NAT to be known.
    ForNat(Message),
    /// For the server to decide.
    ForPermission(Message),
    /// For another punch through the random NAT to be long enough ago.
    ForTurn(Message, Instant),
}

/// A holepunch message, as a node has passed it on.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) incoming: Incoming,
    pub(super) message: HolepunchMessage,
    /// Whether the server is announced at that node, so that the message proves where the client is.
    pub(super) announced: bool,
}

/// When a punch may begin.
enum Begin {
    Now,
    At(Instant),
    Later,
}

/// What a message has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handled {
    /// Answered, or kept, or not worth an answer.
    Answered,
    /// Punching has begun.
    Punching,
    /// The client was asked to come again later.
    Later,
    /// The server has to be asked whether it punches ([`Punching::request`]).
    Asks,
}

impl Punching {
    /// `asks` where the server decides on each punch.
    pub(super) fn new(session: &Session, local_secret: [u8; 32], asks: bool) -> Self {
        Self {
            secure: SecurePayload::new(&session.holepunch_secret, local_secret),
            round: 0,
            remote: Remote::default(),
            seen_at: None,
            phase: Phase::Answering,
            waiting: Waiting::None,
            fast_probes: 0,
            claimed_key: session.remote_public_key,
            permission: if asks { Permission::Needed } else { Permission::Given },
        }
    }

    /// Returns what the server is to decide on.
    pub(super) fn request(&self, core: &Core) -> PunchRequest {
        PunchRequest {
            claimed_key: self.claimed_key,
            own_nat: core.punch.puncher.firewall(),
            client_nat: self.remote.firewall(),
            // None are known before the NAT is judged.
            own_addresses: core.punch.puncher.addresses().map(<[_]>::to_vec).unwrap_or_default(),
            client_addresses: self.remote.targets().iter().map(|target| target.address).collect(),
        }
    }

    /// Notes what the server has decided. The message that has waited for it can be handled.
    pub(super) const fn permit(&mut self, is_allowed: bool) {
        self.permission = if is_allowed { Permission::Given } else { Permission::Refused };
    }

    pub(super) fn handle_message(
        &mut self,
        now: Instant,
        core: &mut Core,
        id: EntryId,
        message: Message,
    ) -> Handled {
        let named = message.message.peer_address;
        let Some(client) = named.filter(|address| core.cx.may_send_to(*address)) else {
            return Handled::Answered;
        };
        // What can't be read gets no answer, nor what comes when all is over (`connect.md` §9.3).
        let Some(payload) = self.secure.open(&message.message.payload).filter(|_| !self.is_over()) else {
            debug!("holepunch message dropped");
            return Handled::Answered;
        };
        debug!(round = payload.round, punching = payload.punching, "holepunch message");
        if payload.error != ERROR_NONE {
            return self.abort(now, core, &message.incoming, client, "the client gave up");
        }
        let token = self.secure.token(*client.ip());
        let proven = message.announced && payload.remote_token == Some(token);
        self.learn(now, core, &message, &payload, client, proven);
        if !core.punch.puncher.is_judged() {
            self.waiting = Waiting::ForNat(message);
            return Handled::Answered;
        }
        let own = core.punch.puncher.firewall();
        if self.is_hopeless(core, own) {
            return self.abort(now, core, &message.incoming, client, "the NATs do not match");
        }
        self.send_fast_probe(now, core, &payload, client);
        let mut error = ERROR_NONE;
        if self.remote.is_punching() && !matches!(self.phase, Phase::Punching(_)) {
            match self.permission {
                Permission::Given => {}
                Permission::Refused => {
                    return self.abort(now, core, &message.incoming, client, "the server does not punch");
                }
                Permission::Needed | Permission::Asked => return self.ask(message),
            }
            match self.may_begin(now, core, own) {
                Begin::Now => {
                    let (cx, kit) = (&mut core.cx, &mut core.punch);
                    let run = Run::start(now, cx, kit, Purpose::Entry(id), own, &self.remote);
                    let Some(run) = run else {
                        return self.abort(now, core, &message.incoming, client, "no address is proven");
                    };
                    self.phase = Phase::Punching(run);
                }
                Begin::At(until) => {
                    // The client still waits for the answer by then.
                    self.waiting = Waiting::ForTurn(message, until);
                    return Handled::Answered;
                }
                // The reference ends such a punch unless there is a relay. Its clients give up at any error,
                // others may ask again (`connect.md` §9.3 step 6, §9.5).
                Begin::Later => error = ERROR_TRY_LATER,
            }
        }
        let punching = matches!(self.phase, Phase::Punching(_));
        let answer = HolepunchPayload {
            error,
            firewall: own.to_wire(),
            round: self.round.min(HolepunchPayload::MAX_ROUND),
            punching,
            addresses: core.punch.puncher.addresses().map(<[_]>::to_vec),
            token: message.announced.then_some(token),
            remote_token: payload.token,
            ..HolepunchPayload::default()
        };
        let socket = core.punch.puncher.socket();
        self.answer(now, core, &message.incoming, client, &answer, socket);
        match (punching, error) {
            (true, _) => Handled::Punching,
            (false, ERROR_TRY_LATER) => Handled::Later,
            (false, _) => Handled::Answered,
        }
    }

    fn is_hopeless(&self, core: &Core, own: Firewall) -> bool {
        own == Firewall::Unknown
            || (own == Firewall::Random && self.remote.firewall() == Firewall::Random)
            || core.punch.puncher.socket().is_none()
    }

    /// Keeps a message until the server has decided on the punch, for which it is asked once.
    fn ask(&mut self, message: Message) -> Handled {
        let before = std::mem::replace(&mut self.permission, Permission::Asked);
        self.waiting = Waiting::ForPermission(message);
        if before == Permission::Needed { Handled::Asks } else { Handled::Answered }
    }

    /// Returns when a punch may begin: those through random NATs take turns.
    fn may_begin(&self, now: Instant, core: &Core, own: Firewall) -> Begin {
        let random = own == Firewall::Random || self.remote.firewall() == Firewall::Random;
        match core.punch.throttle.free_at(now) {
            _ if !random => Begin::Now,
            Some(free) if free <= now => Begin::Now,
            Some(free) if free <= now + HELD_BACK => Begin::At(free),
            _ => Begin::Later,
        }
    }

    /// Returns the message that has waited.
    pub(super) fn take_waiting(&mut self) -> Option<Message> {
        match std::mem::replace(&mut self.waiting, Waiting::None) {
            Waiting::ForNat(message) | Waiting::ForPermission(message) | Waiting::ForTurn(message, _) => {
                Some(message)
            }
            Waiting::None => None,
        }
    }

    /// Returns whether a message waits for the own NAT to be known.
    pub(super) const fn awaits_nat(&self) -> bool {
        matches!(self.waiting, Waiting::ForNat(_))
    }

    /// Returns whether a message has waited for its turn, which has come.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        matches!(&self.waiting, Waiting::ForTurn(_, until) if *until <= now)
    }

    /// Returns whether punching to this client has come to nothing.
    pub(super) const fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// Sends the probes that are due.
    pub(super) fn handle_timeout(&mut self, now: Instant, core: &mut Core) {
        if let Phase::Punching(run) = &mut self.phase {
            run.advance(now, &mut core.cx, &mut core.punch, self.remote.targets());
            if run.is_over() {
                self.stop(now, core, false);
            }
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let run = match &self.phase {
            Phase::Punching(run) => run.poll_timeout(),
            Phase::Answering | Phase::Over => None,
        };
        let turn = match &self.waiting {
            Waiting::ForTurn(_, until) => Some(*until),
            Waiting::None | Waiting::ForNat(_) | Waiting::ForPermission(_) => None,
        };
        run.into_iter().chain(turn).min()
    }

    /// Handles the outcome of opening a socket for this client.
    pub(super) fn handle_socket(&mut self, now: Instant, core: &mut Core, socket: SocketId, opened: bool) {
        if let Phase::Punching(run) = &mut self.phase {
            let (cx, kit) = (&mut core.cx, &mut core.punch);
            run.handle_socket(now, cx, kit, self.remote.targets(), socket, opened);
        }
    }

    /// Stops punching. Sockets that carry no stream close.
    pub(super) fn stop(&mut self, now: Instant, core: &mut Core, won: bool) {
        self.waiting = Waiting::None;
        if let Phase::Punching(run) = std::mem::replace(&mut self.phase, Phase::Over) {
            run.stop(now, &mut core.cx, &mut core.punch, won);
        }
    }

    /// Returns the hosts that the client has named, or was seen at with its last message.
    pub(super) fn hosts(&self) -> impl Iterator<Item = Ipv4Addr> + '_ {
        let targets = self.remote.targets().iter();
        let named = targets.map(|target| *target.address.ip());
        named.chain(self.seen_at)
    }

    /// Adds what is known to a report.
    pub(super) fn describe(&self, core: &Core, report: &mut Report) {
        report.own_nat = Some(core.punch.puncher.firewall());
        report.own_samples = core.punch.puncher.samples().to_vec();
        self.remote.describe(report);
        let (strategy, probes) = match &self.phase {
            Phase::Punching(run) => (Some(run.strategy()), run.probes()),
            _ => (None, 0),
        };
        report.strategy = strategy;
        report.probes_sent = self.fast_probes + probes;
    }

    /// Takes over what a message shows of either side.
    fn learn(
        &mut self,
        now: Instant,
        core: &mut Core,
        message: &Message,
        payload: &HolepunchPayload,
        client: SocketAddrV4,
        proven: bool,
    ) {
        let incoming = &message.incoming;
        if message.announced {
            let puncher = &mut core.punch.puncher;
            puncher.add_sample(incoming.socket, incoming.to, incoming.from);
        }
        if payload.round >= self.round {
            self.round = payload.round;
            self.seen_at = Some(*client.ip());
            let private = core.cx.private;
            self.remote.update(payload, client, proven, |host| may_follow_host(host, private));
            if self.permission == Permission::Given {
                self.expect_probes(now, core, client);
            }
        }
    }

    /// The client has sent a probe to an own address, which has opened its NAT: one back gets through at
    /// once.
    fn send_fast_probe(
        &mut self,
        now: Instant,
        core: &mut Core,
        payload: &HolepunchPayload,
        to: SocketAddrV4,
    ) {
        let puncher = &core.punch.puncher;
        let own = puncher.addresses().unwrap_or_default();
        let opened = payload.remote_address.is_some_and(|address| own.contains(&address));
        if opened
            && puncher.firewall().is_consistent()
            && self.fast_probes < MAX_FAST_PROBES
            && self.permission == Permission::Given
            && let Some(socket) = puncher.socket()
        {
            self.fast_probes += 1;
            let (low_ttl, verified) = (false, self.remote.is_verified(*to.ip()));
            let probe = Probe { socket, to, low_ttl, verified };
            core.punch.probe(now, &core.cx, probe);
        }
    }

    /// Lets the client's probes be answered: the answer opens its path.
    fn expect_probes(&self, now: Instant, core: &mut Core, client: SocketAddrV4) {
        let named = self.remote.targets().iter().map(|target| *target.address.ip());
        let mut hosts: Vec<_> = named.chain([*client.ip()]).collect();
        hosts.sort_unstable();
        hosts.dedup();
        for host in hosts {
            let verified = self.remote.is_verified(host);
            let count = if verified { ECHOES_VERIFIED } else { ECHOES };
            core.punch.expect_probes(now, host, count);
        }
    }

    fn abort(
        &mut self,
        now: Instant,
        core: &mut Core,
        incoming: &Incoming,
        client: SocketAddrV4,
        reason: &str,
    ) -> Handled {
        debug!(reason, "punch given up");
        self.stop(now, core, false);
        let answer = HolepunchPayload {
            error: ERROR_ABORTED,
            round: self.round.min(HolepunchPayload::MAX_ROUND),
            ..HolepunchPayload::default()
        };
        let socket = core.cx.node.request_socket();
        self.answer(now, core, incoming, client, &answer, Some(socket));
        Handled::Answered
    }

    fn answer(
        &self,
        now: Instant,
        core: &mut Core,
        incoming: &Incoming,
        client: SocketAddrV4,
        payload: &HolepunchPayload,
        socket: Option<SocketId>,
    ) {
        let message = HolepunchMessage {
            mode: Mode::FromServer,
            id: 0,
            payload: self.secure.seal(payload, &core.cx.random_nonce()),
            peer_address: Some(client),
        };
        let node = &mut core.cx.node;
        node.relay(now, incoming, incoming.from, message.to_bytes(), socket);
    }
}

/// Probes that one client's messages draw at once, whatever they claim.
const MAX_FAST_PROBES: u32 = 4;
/// How long the answer to a client may be held back that wants to punch through a random NAT a little too
/// soon.
const HELD_BACK: Duration = Duration::from_secs(3);
/// Answers to probes per message, from a host that is named and from one that has proven to be the client's.
const ECHOES: u32 = 16;
const ECHOES_VERIFIED: u32 = 256;
