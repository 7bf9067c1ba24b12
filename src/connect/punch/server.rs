//! The server's part: it answers each message of its client, and punches when told to.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use super::remote::Remote;
use super::running::Running;
use super::sockets::Purpose;
use crate::connect::job::EntryId;
use crate::connect::nat::Firewall;
use crate::connect::report::Report;
use crate::connect::router::may_follow_host;
use crate::connect::secure_payload::SecurePayload;
use crate::connect::shared::Core;
use crate::dht::Incoming;
use crate::wire::compact::Encode;
use crate::wire::handshake::{
    ERROR_ABORTED, ERROR_NONE, ERROR_TRY_LATER, HolepunchMessage, HolepunchPayload, Mode,
};
use crate::wire::transmit::SocketId;

/// A client of a server, while it has no path yet.
#[derive(Debug)]
pub(in crate::connect) struct Guest {
    secure: SecurePayload,
    round: u64,
    remote: Remote,
    /// The host of the client's last message.
    seen_at: Option<Ipv4Addr>,
    running: Option<Running>,
    /// A message that waits until our NAT is known, or until its time.
    waiting: Option<(Incoming, HolepunchMessage, bool)>,
    waits_until: Option<Instant>,
    fast_probes: u32,
    is_over: bool,
}

/// What a message from a guest has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::connect) enum Handled {
    /// Answered, or kept, or not worth an answer.
    Answered,
    /// Punching has begun.
    Punching,
    /// Told to ask again later.
    Later,
}

impl Guest {
    pub(in crate::connect) fn new(holepunch_secret: &[u8; 32], local_secret: [u8; 32]) -> Self {
        Self {
            secure: SecurePayload::new(holepunch_secret, local_secret),
            round: 0,
            remote: Remote::default(),
            seen_at: None,
            running: None,
            waiting: None,
            waits_until: None,
            fast_probes: 0,
            is_over: false,
        }
    }

    /// Takes a message that a node has passed on; `announced` tells whether we are announced there, so that
    /// it proves where the client is.
    pub(in crate::connect) fn handle_message(
        &mut self,
        now: Instant,
        core: &mut Core,
        id: EntryId,
        incoming: Incoming,
        message: HolepunchMessage,
        announced: bool,
    ) -> Handled {
        let Some(client) = message.peer_address.filter(|at| core.may_send_to(*at)) else {
            return Handled::Answered;
        };
        // What can't be read gets no answer, nor what comes when all is over.
        let Some(payload) = self.secure.open(&message.payload).filter(|_| !self.is_over) else {
            return Handled::Answered;
        };
        let reply = Reply {
            client,
            incoming: &incoming,
        };
        if payload.error != ERROR_NONE {
            return self.abort(now, core, &reply);
        }
        let token = self.secure.token(*client.ip());
        let proven = announced && payload.remote_token == Some(token);
        if announced {
            core.add_sample(incoming.socket, incoming.to, incoming.from);
        }
        if payload.round >= self.round {
            self.round = payload.round;
            self.seen_at = Some(*client.ip());
            let private = core.private;
            self.remote
                .update(&payload, client, proven, |host| may_follow_host(host, private));
            self.expect_probes(now, core, client);
        }
        if !core.puncher.is_settled() {
            // A later message replaces an earlier one, as its sender has given that up.
            self.waiting = Some((incoming, message, announced));
            return Handled::Answered;
        }
        let (own, remote) = (core.puncher.firewall(), self.remote.firewall());
        let hopeless = own == Firewall::Unknown
            || (own == Firewall::Random && remote == Firewall::Random)
            || core.puncher.socket().is_none();
        if hopeless {
            return self.abort(now, core, &reply);
        }
        self.send_fast_probe(now, core, &payload, client);
        let mut error = ERROR_NONE;
        if self.remote.is_punching() && self.running.is_none() {
            let random = own == Firewall::Random || remote == Firewall::Random;
            let free = core.throttle.free_at(now);
            if random && free.is_some_and(|free| now < free && free <= now + HELD_BACK) {
                // The client still waits for the answer by then.
                self.waits_until = free;
                self.waiting = Some((incoming, message, announced));
                return Handled::Answered;
            }
            if random && free.is_none_or(|free| free > now) {
                // The reference ends such a punch unless there is a relay. Its clients give up at any error,
                // others may ask again.
                error = ERROR_TRY_LATER;
            } else {
                self.running = core.punch(now, Purpose::Entry(id), own, &self.remote);
                if self.running.is_none() {
                    return self.abort(now, core, &reply);
                }
            }
        }
        let answer = HolepunchPayload {
            error,
            firewall: own.to_wire(),
            round: self.round.min(HolepunchPayload::MAX_ROUND),
            punching: self.running.is_some(),
            addresses: core.puncher.addresses().map(<[_]>::to_vec),
            token: announced.then_some(token),
            remote_token: payload.token,
            ..HolepunchPayload::default()
        };
        let socket = core.puncher.socket();
        self.answer(now, core, &reply, &answer, socket);
        match (&self.running, error) {
            (Some(_), _) => Handled::Punching,
            (None, ERROR_TRY_LATER) => Handled::Later,
            (None, _) => Handled::Answered,
        }
    }

    /// Takes up the message that has waited for our NAT to be known.
    pub(in crate::connect) fn take_waiting(&mut self) -> Option<(Incoming, HolepunchMessage, bool)> {
        self.waits_until = None;
        self.waiting.take()
    }

    /// Returns whether a message waits for our NAT to be known.
    pub(in crate::connect) const fn awaits_nat(&self) -> bool {
        self.waiting.is_some() && self.waits_until.is_none()
    }

    /// Returns whether a message has waited for its time, which has come.
    pub(in crate::connect) fn is_due(&self, now: Instant) -> bool {
        self.waits_until.is_some_and(|until| until <= now)
    }

    /// Returns whether punching to this client has come to nothing.
    pub(in crate::connect) const fn is_over(&self) -> bool {
        self.is_over
    }

    /// Sends the probes that are due.
    pub(in crate::connect) fn handle_timeout(&mut self, now: Instant, core: &mut Core) {
        if let Some(running) = &mut self.running {
            core.go_on_punching(now, running, self.remote.targets());
            if running.is_over() {
                self.stop(now, core, false);
            }
        }
    }

    pub(in crate::connect) fn poll_timeout(&self) -> Option<Instant> {
        let running = self.running.as_ref().and_then(Running::poll_timeout);
        running.into_iter().chain(self.waits_until).min()
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

    /// Stops punching. Sockets that carry no stream close.
    pub(in crate::connect) fn stop(&mut self, now: Instant, core: &mut Core, won: bool) {
        self.is_over = true;
        self.waiting = None;
        self.waits_until = None;
        if let Some(running) = self.running.take() {
            core.stop_punching(now, &running, won);
        }
    }

    /// Returns the hosts that the client has named, or was seen at when it last said something.
    pub(in crate::connect) fn hosts(&self) -> impl Iterator<Item = Ipv4Addr> + '_ {
        let targets = self.remote.targets().iter();
        let named = targets.map(|target| *target.address.ip());
        named.chain(self.seen_at)
    }

    /// Adds what is known to a report.
    pub(in crate::connect) fn tell(&self, core: &Core, report: &mut Report) {
        report.own_nat = Some(core.puncher.firewall());
        report.own_samples = core.puncher.samples().to_vec();
        self.remote.tell(report);
        report.strategy = self.running.as_ref().map(Running::strategy);
        report.probes_sent = self.fast_probes + self.running.as_ref().map_or(0, Running::probes);
    }

    /// The client has sent a probe to an address of ours, which opened its NAT: one of ours gets through at
    /// once.
    fn send_fast_probe(
        &mut self,
        now: Instant,
        core: &mut Core,
        payload: &HolepunchPayload,
        client: SocketAddrV4,
    ) {
        let ours = |address: &SocketAddrV4| {
            let own = core.puncher.addresses();
            own.is_some_and(|own| own.contains(address))
        };
        let opened = payload.remote_address.is_some_and(|address| ours(&address));
        if opened
            && core.puncher.firewall().is_consistent()
            && self.fast_probes < MAX_FAST_PROBES
            && let Some(socket) = core.puncher.socket()
        {
            self.fast_probes += 1;
            let verified = self.remote.is_verified(*client.ip());
            core.probe(now, socket, client, false, verified);
        }
    }

    /// Lets the client's probes be answered: it takes our answer for the way.
    fn expect_probes(&self, now: Instant, core: &mut Core, client: SocketAddrV4) {
        let named = self.remote.targets().iter().map(|target| *target.address.ip());
        let mut hosts: Vec<_> = named.chain([*client.ip()]).collect();
        hosts.sort_unstable();
        hosts.dedup();
        for host in hosts {
            let count = if self.remote.is_verified(host) {
                ECHOES_VERIFIED
            } else {
                ECHOES
            };
            core.echoes.grant(now, host, count);
        }
    }

    fn abort(&mut self, now: Instant, core: &mut Core, reply: &Reply<'_>) -> Handled {
        self.stop(now, core, false);
        let answer = HolepunchPayload {
            error: ERROR_ABORTED,
            round: self.round.min(HolepunchPayload::MAX_ROUND),
            ..HolepunchPayload::default()
        };
        let socket = core.node.request_socket();
        self.answer(now, core, reply, &answer, Some(socket));
        Handled::Answered
    }

    fn answer(
        &self,
        now: Instant,
        core: &mut Core,
        reply: &Reply<'_>,
        payload: &HolepunchPayload,
        socket: Option<SocketId>,
    ) {
        let message = HolepunchMessage {
            mode: Mode::FromServer,
            id: 0,
            payload: self.secure.seal(payload, &core.random_nonce()),
            peer_address: Some(reply.client),
        };
        let to = reply.incoming.from;
        core.node
            .relay(now, reply.incoming, to, message.to_bytes(), socket);
    }
}

/// Where an answer goes.
struct Reply<'a> {
    client: SocketAddrV4,
    incoming: &'a Incoming,
}

/// Probes that one client's messages draw at once, whatever it says.
const MAX_FAST_PROBES: u32 = 4;
/// How long the answer to a client may be late that wants to punch through a random NAT a little too soon.
const HELD_BACK: Duration = Duration::from_secs(3);
/// Answers to probes per message, from a host that is named and from one that has proven to be the client's.
const ECHOES: u32 = 16;
const ECHOES_VERIFIED: u32 = 256;
