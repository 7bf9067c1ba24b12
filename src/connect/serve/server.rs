//! A listening server: answers handshakes, each distinct one once, and waits for the clients' packets.

use std::collections::BTreeSet;
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{debug, debug_span};

use super::announcer::Announcer;
pub(in crate::connect) use super::announcer::Notice;
use super::claims::{client_address, is_local};
use super::entries::Entries;
use super::entry::{Client, Connecting, Entry, Progress, State, expect_packets, open_towards};
use super::punching::{Handled, Message, Punching};
use super::return_path::{Answer, ReturnPath};
use crate::connect::context::{Context, StreamOwner};
use crate::connect::core::Core;
use crate::connect::done::{Responded, Unanswered};
use crate::connect::event::Event;
use crate::connect::handshake::{Handshake, Respond};
use crate::connect::ids::{EntryId, Place, ServerId};
use crate::connect::intake::Phase;
use crate::connect::job::{Job, Work};
use crate::connect::options::{AllowHook, Listen, PunchHook};
use crate::connect::punch;
use crate::connect::timers::Timers;
use crate::dht::Incoming;
use crate::identity::Identity;
use crate::keys::PublicKey;
use crate::slots::Source;
use crate::udx::{self, Admission, StreamId, StreamOptions};
use crate::wire::compact::Encode;
use crate::wire::handshake::{
    ERROR_NONE, FIREWALL_OPEN, HandshakeMessage, HolepunchInfo, HolepunchMessage, NoisePayload, RelayThrough,
};
use crate::wire::records::Peer;
use crate::wire::transmit::SocketId;

#[derive(Debug)]
pub(in crate::connect) struct Server {
    id: ServerId,
    announcer: Announcer,
    identity: Identity,
    allow: Option<Hook<AllowHook>>,
    allow_punch: Option<Hook<PunchHook>>,
    relay_through: Option<PublicKey>,
    reusable_socket: bool,
    lan: Option<bool>,
    stream_options: StreamOptions,
    entries: Entries,
    next_entry: u64,
    /// When punching to a client has something to do.
    punching: Timers<EntryId>,
    /// Entries whose message waits for the own NAT to be known.
    await_nat: BTreeSet<EntryId>,
}

#[derive(Clone)]
struct Hook<F>(F);

impl<F> std::fmt::Debug for Hook<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hook")
    }
}

impl Server {
    pub(in crate::connect) fn new(id: ServerId, listen: Listen) -> Self {
        Self {
            id,
            announcer: Announcer::new(id, listen.identity.clone()),
            identity: listen.identity,
            allow: listen.allow.map(Hook),
            allow_punch: listen.allow_punch.map(Hook),
            relay_through: listen.relay_through,
            reusable_socket: listen.reusable_socket,
            lan: listen.lan,
            stream_options: listen.stream_options,
            entries: Entries::default(),
            next_entry: 0,
            punching: Timers::default(),
            await_nat: BTreeSet::new(),
        }
    }

    pub(in crate::connect) fn public_key(&self) -> &PublicKey {
        self.identity.public_key()
    }

    pub(in crate::connect) fn target(&self) -> [u8; 32] {
        self.identity.public_key().target()
    }

    pub(in crate::connect) const fn announcer(&mut self) -> &mut Announcer {
        &mut self.announcer
    }

    #[cfg(test)]
    pub(in crate::connect) fn is_announced_at(&self, node: SocketAddrV4) -> bool {
        self.announcer.is_relay(node)
    }

    /// Returns where clients find the server: itself where every host can reach it, then the nodes that have
    /// its announcement.
    pub(in crate::connect) fn relay_addresses(&self, cx: &Context) -> Vec<SocketAddrV4> {
        let own = cx.node.remote_address();
        let nodes = self.announcer.nodes().filter(|node| Some(*node) != own);
        own.into_iter().chain(nodes).collect()
    }

    /// Returns what the own node answers when it is asked for this server.
    pub(in crate::connect) fn record(&self) -> Vec<u8> {
        Peer { public_key: *self.identity.public_key(), relay_addresses: Vec::new() }.to_bytes()
    }

    /// Handles a handshake message for this server's key (`connect.md` §6.2).
    pub(in crate::connect) fn handle_handshake(
        &mut self,
        now: Instant,
        core: &mut Core,
        mut incoming: Incoming,
        message: HandshakeMessage,
    ) {
        let Some(client_address) = client_address(&core.cx, &incoming, &message) else {
            return;
        };
        // It has been read, and would be kept as long as the message waits.
        incoming.value = None;
        let route = ReturnPath {
            mode: message.mode,
            peer_address: message.peer_address,
            relay_address: message.relay_address,
            incoming,
        };
        if let Some(entry) = self.entries.with_noise(&message.noise) {
            match &mut entry.state {
                State::Waiting { routes } | State::Computing { routes, .. } => {
                    if routes.len() < MAX_WAITING_ROUTES {
                        routes.push(route);
                    }
                }
                state => {
                    if let Some(answer) = state.answer() {
                        route.send(now, core, answer);
                    }
                }
            }
            return;
        }
        let source = Source::through(*route.incoming.from.ip(), *client_address.ip());
        let id = self.take_entry_id();
        debug!(entry = id.number, from = %route.incoming.from, address = %client_address, "handshake");
        let state = State::Waiting { routes: vec![route] };
        let entry = Entry { noise: message.noise, started: now, source, state };
        self.entries.insert(&mut core.intake, id, now + WAIT_FOR_CLIENT, entry);
    }

    /// Begins to answer a handshake whose turn has come: opens its stream, and returns what is to be
    /// computed.
    pub(in crate::connect) fn begin(&mut self, now: Instant, core: &mut Core, id: EntryId) -> Option<Job> {
        let entry = self.entries.get_mut(id)?;
        let State::Waiting { routes } = &mut entry.state else {
            return None;
        };
        let routes = std::mem::take(routes);
        let noise = entry.noise.clone();
        let first = first_of(&routes);
        let (from, client_address) = (first.incoming.from, first.client_address());
        let is_forwarded = first.is_forwarded();
        let stream = core.cx.open_stream(StreamOwner::Entry(id), Admission::Refuse, self.stream_options);
        let offer = self.relay_through.map(|key| core.cx.relay_through(key));
        let work = Respond {
            entry: id,
            secret: self.identity.clone().into(),
            noise,
            ephemeral_seed: core.cx.random_seed().into(),
            allow: self.allow.clone().map(|hook| hook.0),
            client_address,
            is_forwarded,
            payload: NoisePayload {
                relay_through: offer.clone(),
                ..self.payload(&core.cx, id, stream, from)
            },
        };
        if let Some(entry) = self.entries.get_mut(id) {
            entry.state = State::Computing { stream, routes, offer };
        }
        self.entries.update(&mut core.intake, id, now + WAIT_FOR_CLIENT);
        Some(Job(Work::Handshake(Handshake::Respond(Box::new(work)))))
    }

    /// Handles the outcome of the cryptography: answers, and prepares the stream for the client's packets.
    pub(in crate::connect) fn handle_responded(
        &mut self,
        now: Instant,
        core: &mut Core,
        id: EntryId,
        result: Result<Box<Responded>, Unanswered>,
    ) {
        let Some(entry) = self.entries.get_mut(id) else {
            return;
        };
        let _span = debug_span!("handshake", entry = id.number).entered();
        let (stream, routes, offer) = match std::mem::replace(&mut entry.state, State::Silent) {
            State::Computing { stream, routes, offer } => (stream, routes, offer),
            other => {
                entry.state = other;
                return;
            }
        };
        let started = entry.started;
        let state = match result {
            Ok(responded) if responded.error == ERROR_NONE && responded.client.udx.is_some() => {
                let connecting = self.accept(now, core, stream, &routes, offer, *responded);
                State::Connecting(Box::new(connecting))
            }
            Ok(responded) => {
                debug!(error = responded.error, "handshake refused");
                core.cx.destroy_stream(now, stream);
                let answer = Answer { noise: responded.noise, from_puncher: false };
                for route in &routes {
                    route.send(now, core, &answer);
                }
                State::Answered(answer)
            }
            Err(reason) => {
                debug!(?reason, "handshake not answered");
                core.cx.destroy_stream(now, stream);
                State::Silent
            }
        };
        let Some(entry) = self.entries.get_mut(id) else {
            return;
        };
        entry.state = state;
        let mut wait = REMEMBER;
        if let State::Connecting(connecting) = &mut entry.state {
            connecting.advance(now, core, id, started);
            wait = if connecting.dials_relay() { WAIT_FOR_RELAY } else { WAIT_FOR_CLIENT };
        }
        self.entries.update(&mut core.intake, id, now + wait);
    }

    /// Handles the server's decision on a punch.
    pub(in crate::connect) fn handle_punch_decided(
        &mut self,
        now: Instant,
        core: &mut Core,
        id: EntryId,
        is_allowed: bool,
    ) {
        if let Some(punching) = self.punching(id) {
            punching.permit(is_allowed);
        }
        self.take_up(now, core, id);
    }

    /// Handles the outcome of meeting a client at a relay.
    pub(in crate::connect) fn handle_relay(
        &mut self,
        now: Instant,
        core: &mut Core,
        id: EntryId,
        paired: Option<(Place, u32)>,
    ) {
        let _span = debug_span!("handshake", entry = id.number).entered();
        if let Some(State::Connecting(connecting)) = self.entries.get_mut(id).map(|entry| &mut entry.state) {
            connecting.handle_relay(now, core, paired);
        }
    }

    /// Handles an event of a stream of this server that has not its last path yet.
    pub(in crate::connect) fn handle_stream_event(
        &mut self,
        now: Instant,
        core: &mut Core,
        id: EntryId,
        stream: StreamId,
        event: udx::Event,
    ) {
        let Some(entry) = self.entries.get_mut(id) else {
            return;
        };
        let _span = debug_span!("handshake", entry = id.number).entered();
        let is_half_open = entry.state.phase() == Phase::HalfOpen;
        let place = match event {
            udx::Event::PathOffered { socket, address } => Some(Place::new(socket, address)),
            // Learned from the client's packets, or known before, and the client has answered on it.
            udx::Event::PathLearned { .. } | udx::Event::PathValidated if is_half_open => {
                core.cx.path_of(stream)
            }
            udx::Event::Closed(_) if is_half_open => {
                self.forget(now, core, id);
                return;
            }
            _ if is_half_open => return,
            event => {
                core.cx.emit(Event::Stream(stream, event));
                return;
            }
        };
        if let (State::Connecting(connecting), Some(place)) = (&mut entry.state, place) {
            let progress = connecting.handle_heard(now, core, id, entry.started, place);
            self.follow(now, core, id, progress);
        }
    }

    /// Handles a holepunch message that a node has passed on to this server.
    pub(in crate::connect) fn handle_holepunch(
        &mut self,
        now: Instant,
        core: &mut Core,
        incoming: Incoming,
        message: HolepunchMessage,
    ) {
        let id = EntryId { server: self.id, number: message.id };
        let announced = self.announcer.is_relay(incoming.from);
        let message = Message { incoming, message, announced };
        self.handle_punch_message(now, core, id, message);
    }

    /// Handles a puncher socket that is open, or whose NAT is better known.
    pub(in crate::connect) fn handle_puncher(&mut self, now: Instant, core: &mut Core) {
        if core.punch.puncher.is_judged() {
            for id in std::mem::take(&mut self.await_nat) {
                self.take_up(now, core, id);
            }
        }
    }

    /// Handles the outcome of opening a socket for one client.
    pub(in crate::connect) fn handle_socket(
        &mut self,
        now: Instant,
        core: &mut Core,
        id: EntryId,
        socket: SocketId,
        opened: bool,
    ) {
        if let Some(punching) = self.punching(id) {
            punching.handle_socket(now, core, socket, opened);
            self.arm(id);
        }
    }

    pub(in crate::connect) fn handle_timeout(&mut self, now: Instant, core: &mut Core) {
        self.announcer.handle_timeout(now, core);
        while let Some(id) = self.punching.due(now) {
            let _span = debug_span!("handshake", entry = id.number).entered();
            self.punching.set(id, None);
            if let Some(punching) = self.punching(id) {
                punching.handle_timeout(now, core);
                if punching.is_due(now) {
                    self.take_up(now, core, id);
                }
            }
            self.arm(id);
        }
        while let Some(id) = self.entries.next_due(now) {
            self.forget(now, core, id);
        }
    }

    pub(in crate::connect) fn poll_timeout(&self) -> Option<Instant> {
        let announcer = self.announcer.poll_timeout();
        let timers = self.entries.next_deadline().into_iter().chain(self.punching.next());
        timers.chain(announcer).min()
    }

    /// Forgets its clients and withdraws the announcements; `then` follows. Streams that were handed out live
    /// on.
    pub(in crate::connect) fn withdraw(
        &mut self,
        now: Instant,
        core: &mut Core,
        then: Notice,
    ) -> Option<Notice> {
        for id in self.entries.ids() {
            self.forget(now, core, id);
        }
        self.announcer.withdraw(now, core, then)
    }

    /// Returns whether handshakes are answered.
    pub(in crate::connect) const fn is_open(&self) -> bool {
        !self.announcer.is_withdrawn()
    }

    /// Returns whether the client of a relayed stream may still come directly.
    pub(in crate::connect) fn may_leave_relay(&self, id: EntryId) -> bool {
        match self.entries.get(id).map(|entry| &entry.state) {
            Some(State::Connecting(connecting)) => connecting.may_leave_relay(),
            _ => false,
        }
    }

    fn take_entry_id(&mut self) -> EntryId {
        let number = self.next_entry;
        self.next_entry += 1;
        EntryId { server: self.id, number }
    }

    /// Answers a client, and makes its stream ready for its packets (`connect.md` §6.2 step 7).
    fn accept(
        &self,
        now: Instant,
        core: &mut Core,
        stream: StreamId,
        routes: &[ReturnPath],
        offer: Option<RelayThrough>,
        responded: Responded,
    ) -> Connecting {
        let Responded { noise, session, client, .. } = responded;
        let first = first_of(routes);
        let seen = first.client_address();
        let remote_id = client.udx.as_ref().map_or(0, |udx| udx.id);
        let (forwarded, open) = (first.is_forwarded(), client.firewall == FIREWALL_OPEN);
        core.cx.streams.set_remote_id(stream, remote_id);
        let prefix = session.keys.remote_prefix().to_vec();
        core.cx.streams.expect_prefix(stream, prefix);
        // Packets can follow the answer closely, so the stream is ready for them before the answer leaves.
        // The client sends first, so that no message 1 makes this node send to another host: a client that
        // was answered knows where the server is. (The reference sends at once, `connect.md` §6.2 step 7 row
        // b.)
        if !forwarded {
            // The socket of an earlier connection must not close meanwhile.
            core.punch.sockets.hold(now, first.incoming.socket, stream);
        } else if open {
            // This client waits for the server.
            let place = Place::new(core.cx.node.request_socket(), seen);
            open_towards(now, core, stream, place, remote_id);
        }
        // Also for an open client: a node that has just found out to be reachable may come to the socket that
        // was used before.
        expect_packets(core, stream);
        let punching =
            forwarded.then(|| Punching::new(&session, core.cx.random_seed(), self.allow_punch.is_some()));
        let mut from_puncher = false;
        if forwarded && core.cx.node.remote_address().is_none() {
            // In a local network the client has to see the address of the server socket.
            from_puncher = !open && !is_local(self.lan, &core.cx, first, &client);
            core.punch.want_puncher(now, &mut core.cx);
        }
        let answer = Answer { noise, from_puncher };
        for route in routes {
            route.send(now, core, &answer);
        }
        debug!(stream = %stream, from_puncher, "handshake answered");
        let reuse = client.udx.as_ref().is_some_and(|udx| udx.reusable_socket) && self.reusable_socket;
        let reusable = reuse.then_some(session.remote_public_key);
        let theirs = client.relay_through.clone().map(|offer| (offer, false));
        let relay = offer.map(|offer| (offer, true)).or(theirs);
        let relay = relay.filter(|_| forwarded && !open);
        let lan = core.cx.own.lan_addresses(self.lan).is_some();
        let one_router = seen.ip() == first.incoming.to.ip();
        let told = Client::of(&client, seen, lan, reusable, relay.is_some());
        let client = told.inside(&client, seen, one_router);
        Connecting::new(now, stream, answer, session, client, relay, punching)
    }

    fn payload(&self, cx: &Context, entry: EntryId, stream: StreamId, through: SocketAddrV4) -> NoisePayload {
        let relays = self.announcer.relays(through);
        let own_address = cx.node.remote_address().into_iter();
        let relay_addresses: Vec<SocketAddrV4> = own_address
            .chain(relays.iter().map(|relay| relay.relay_address))
            .take(MAX_RELAY_ADDRESSES)
            .collect();
        NoisePayload {
            // Also where this node takes itself for reachable: should that be wrong, a client of this
            // implementation punches. The reference looks at it only otherwise (`connect.md` §5.3 row 1).
            holepunch: Some(HolepunchInfo { id: entry.number, relays }),
            relay_addresses: (!relay_addresses.is_empty()).then_some(relay_addresses),
            ..cx.payload(stream, self.reusable_socket, self.lan)
        }
    }

    /// Takes up the message of a client that has waited.
    fn take_up(&mut self, now: Instant, core: &mut Core, id: EntryId) {
        let message = self.punching(id).and_then(Punching::take_waiting);
        if let Some(message) = message {
            self.handle_punch_message(now, core, id, message);
        }
    }

    fn handle_punch_message(&mut self, now: Instant, core: &mut Core, id: EntryId, message: Message) {
        let Some(State::Connecting(connecting)) = self.entries.get_mut(id).map(|entry| &mut entry.state)
        else {
            return;
        };
        let _span = debug_span!("handshake", entry = id.number).entered();
        connecting.note_heard(now);
        let Some(punching) = &mut connecting.punching else {
            return;
        };
        // A server that takes itself for reachable has no puncher socket yet.
        core.punch.want_puncher(now, &mut core.cx);
        let handled = punching.handle_message(now, core, id, message);
        if punching.awaits_nat() {
            self.await_nat.insert(id);
        }
        if let (Handled::Asks, Some(Hook(hook))) = (handled, &self.allow_punch) {
            let (hook, request) = (Arc::clone(hook), Box::new(punching.request(core)));
            core.cx.queue_job(Job(Work::AskForPunch { entry: id, hook, request }));
        }
        connecting.name_candidates(core);
        match handled {
            Handled::Punching => self.entries.update(&mut core.intake, id, now + punch::LONGEST),
            Handled::Later => self.entries.update(&mut core.intake, id, now + WAIT_FOR_TURN),
            Handled::Answered | Handled::Asks => {}
        }
        self.arm(id);
    }

    /// Arms the timer of a punch.
    fn arm(&mut self, id: EntryId) {
        let due = self.punching(id).and_then(|punching| punching.poll_timeout());
        self.punching.set(id, due);
    }

    fn punching(&mut self, id: EntryId) -> Option<&mut Punching> {
        match &mut self.entries.get_mut(id)?.state {
            State::Connecting(connecting) => connecting.punching.as_deref_mut(),
            _ => None,
        }
    }

    /// Keeps an entry for as long as its progress asks for.
    fn follow(&mut self, now: Instant, core: &mut Core, id: EntryId, progress: Progress) {
        match progress {
            Progress::Same => {}
            // The client may still be punching, or find the server in its own network.
            Progress::Relayed => self.entries.update(&mut core.intake, id, now + punch::LONGEST),
            Progress::Final => {
                if let Some(entry) = self.entries.get_mut(id)
                    && let State::Connecting(connecting) = &entry.state
                {
                    core.cx.disown_stream(connecting.stream);
                    entry.state = State::Answered(connecting.answer.clone());
                }
                self.await_nat.remove(&id);
                self.punching.set(id, None);
                self.entries.update(&mut core.intake, id, now + REMEMBER);
            }
        }
    }

    /// Forgets a handshake: what it has begun ends, and a message 1 that repeats it counts as a new one.
    pub(in crate::connect) fn forget(&mut self, now: Instant, core: &mut Core, id: EntryId) {
        self.await_nat.remove(&id);
        self.punching.set(id, None);
        match self.entries.remove(&mut core.intake, id).map(|entry| entry.state) {
            Some(State::Computing { stream, .. }) => core.cx.destroy_stream(now, stream),
            Some(State::Connecting(mut connecting)) => connecting.forget(now, core),
            Some(State::Waiting { .. } | State::Answered(_) | State::Silent) | None => {}
        }
    }
}

/// Returns the route of the message that made an entry.
fn first_of(routes: &[ReturnPath]) -> &ReturnPath {
    routes.first().expect("an entry begins with the route of the message that made it")
}

/// How long a client gets until its first packet (`connect.md` §13.1).
const WAIT_FOR_CLIENT: Duration = Duration::from_secs(10);
/// The same for a client that is met at a relay (`connect.md` §11.1).
const WAIT_FOR_RELAY: Duration = Duration::from_secs(15);
/// How long a client may wait for its turn at a punch through a random NAT.
const WAIT_FOR_TURN: Duration = Duration::from_secs(25);
/// How long an answered message 1 is remembered after that, so that a retransmission gets the same answer
/// (`connect.md` §6.2, §13.1).
const REMEMBER: Duration = Duration::from_secs(10);
/// Copies of one message 1, forwarded by other nodes or retransmitted, that wait for its answer.
const MAX_WAITING_ROUTES: usize = 8;
/// Addresses that a noise payload names at most as reachable ones of the server.
const MAX_RELAY_ADDRESSES: usize = 3;
