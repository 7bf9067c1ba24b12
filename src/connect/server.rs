//! A listening server: answers handshakes, each distinct one once, and waits for the client's packets.

use std::collections::BTreeSet;
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use super::announcer::{Announcer, News};
use super::entries::{Entries, Entry, Source, State};
use super::job::{EntryId, Job, Respond, Responded, Unanswered, Work};
use super::limits::Limits;
use super::moving;
use super::punch::{self, Guest};
use super::report::{Report, Stage};
use super::route::Route;
use super::shared::Core;
use super::types::{Established, Event, FirewallHook, Listen, Origin, Path, RelayDial, ServerId};
use crate::dht::Incoming;
use crate::keys::{KeyPair, PublicKey};
use crate::udx::{Admission, StreamId};
use crate::wire::address::{best_match, is_private};
use crate::wire::compact::Encode;
use crate::wire::handshake::{
    ERROR_NONE, FIREWALL_OPEN, HandshakeMessage, HolepunchInfo, Mode, NoisePayload,
};
use crate::wire::packet::HEADER_LEN;
use crate::wire::records::Peer;
use crate::wire::transmit::SocketId;

/// How long a client gets until its first packet, as the reference.
const WAIT_FOR_CLIENT: Duration = Duration::from_secs(10);
/// The same for one that we meet at a relay, as the reference.
const WAIT_FOR_RELAY: Duration = Duration::from_secs(15);
/// How long an answered message 1 is remembered after that, so that a retransmission gets the same answer, as
/// the reference.
pub(super) const REMEMBER: Duration = Duration::from_secs(10);
/// Message 1 is two keys, one of them sealed, and a sealed payload: what is shorter is not worth a
/// computation.
const MIN_NOISE: usize = 96;
/// What a client that waits for us is sent before it has answered: a few empty packets, less than the answer
/// to its handshake.
const OPENER_CREDIT: usize = 5 * HEADER_LEN;
/// Between two of these packets.
const OPENER_INTERVAL: Duration = Duration::from_millis(300);
/// Copies of one message 1, by other relays or retransmitted, that wait for its answer.
const MAX_WAITING_ROUTES: usize = 8;
/// Addresses that a noise payload names at most as reachable ones of ours.
const MAX_RELAY_ADDRESSES: usize = 3;

#[derive(Debug)]
pub(super) struct Server {
    pub(super) id: ServerId,
    pub(super) announcer: Announcer,
    key_pair: KeyPair,
    firewall: Option<Hook>,
    relay_through: Option<PublicKey>,
    reusable_socket: bool,
    pub(super) entries: Entries,
    next_entry: u64,
    /// Clients that are punched to, by when they have something to do; and those whose message waits for our
    /// NAT to be known.
    pub(super) guests: BTreeSet<(Instant, EntryId)>,
    pub(super) waiting: BTreeSet<EntryId>,
}

#[derive(Clone)]
struct Hook(FirewallHook);

impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hook")
    }
}

impl Server {
    pub(super) fn new(id: ServerId, listen: Listen) -> Self {
        Self {
            id,
            announcer: Announcer::new(id, listen.key_pair.clone()),
            key_pair: listen.key_pair,
            firewall: listen.firewall.map(Hook),
            relay_through: listen.relay_through,
            reusable_socket: listen.reusable_socket,
            entries: Entries::default(),
            next_entry: 0,
            guests: BTreeSet::new(),
            waiting: BTreeSet::new(),
        }
    }

    pub(super) fn target(&self) -> [u8; 32] {
        self.key_pair.public_key().target()
    }

    /// Returns what our own node answers when it is asked for this server.
    pub(super) fn record(&self) -> Vec<u8> {
        Peer {
            public_key: *self.key_pair.public_key(),
            relay_addresses: Vec::new(),
        }
        .to_bytes()
    }

    /// Takes a handshake message for this server's key.
    pub(super) fn handle_handshake(
        &mut self,
        now: Instant,
        core: &mut Core,
        limits: &Limits,
        incoming: Incoming,
        message: HandshakeMessage,
    ) {
        if !matches!(
            message.mode,
            Mode::FromClient | Mode::FromRelay | Mode::FromSecondRelay
        ) {
            return;
        }
        let relayed = message.mode != Mode::FromClient;
        let client_address = match message.peer_address {
            Some(address) if relayed => address,
            None if !relayed => incoming.from,
            // A client that names somebody else as itself, or a relay that names nobody.
            _ => return,
        };
        if message.noise.len() < MIN_NOISE
            || (relayed && !core.may_send_to(client_address))
            || message
                .relay_address
                .is_some_and(|first| !core.may_send_to(first))
        {
            return;
        }
        let route = Route {
            mode: message.mode,
            peer_address: message.peer_address,
            relay_address: message.relay_address,
            incoming,
        };
        if let Some(entry) = self.entries.with_noise(&message.noise) {
            match &mut entry.state {
                State::Computing(routes) if routes.len() < MAX_WAITING_ROUTES => {
                    routes.push(route);
                }
                State::HalfOpen { answer, .. } | State::Settled { answer } => {
                    route.answer(now, core, answer.clone(), entry.from_puncher);
                }
                State::Computing(_) | State::Silent => {}
            }
            return;
        }
        let source = Source::of(route.incoming.from, client_address);
        while let Some(victim) = self.entries.victim(limits, source) {
            self.forget(now, core, victim);
        }
        let id = EntryId {
            server: self.id,
            number: self.next_entry,
        };
        self.next_entry += 1;
        let stream = core.streams.open(Admission::Refuse);
        let offer = self.relay_through.map(|key| core.relay_through(key));
        let through = route.incoming.from;
        let work = Respond {
            entry: id,
            key_pair: self.key_pair.clone(),
            noise: message.noise.clone(),
            ephemeral_seed: core.random_seed(),
            firewall: self.firewall.clone().map(|hook| hook.0),
            client_address,
            payload: NoisePayload {
                relay_through: offer.clone(),
                ..self.payload(core, id, stream, through)
            },
        };
        core.events
            .push_back(Event::Job(Job(Work::Respond(Box::new(work)))));
        self.entries.insert(
            id,
            now + WAIT_FOR_CLIENT,
            Entry {
                noise: message.noise,
                started: now,
                answered: None,
                round_trip: None,
                source,
                stream: Some(stream),
                state: State::Computing(vec![route]),
                client_id: 0,
                reusable: None,
                offer,
                relay_dialled: false,
                relayed: None,
                moving: None,
                hosts: Vec::new(),
                guest: None,
                from_puncher: false,
                guest_due: None,
            },
        );
    }

    /// Takes the outcome of the cryptography: answers, and prepares for the client's packets.
    pub(super) fn handle_responded(
        &mut self,
        now: Instant,
        core: &mut Core,
        id: EntryId,
        result: Result<Box<Responded>, Unanswered>,
    ) {
        let Some(entry) = self.entries.get_mut(id) else {
            return;
        };
        let State::Computing(routes) = std::mem::replace(&mut entry.state, State::Silent) else {
            return;
        };
        let accepted = match result {
            Ok(responded) => {
                if responded.error == ERROR_NONE
                    && let (Some(stream), Some(udx)) = (entry.stream, &responded.client.udx)
                {
                    Ok((stream, udx.id, responded))
                } else {
                    Err(Some(responded.noise))
                }
            }
            Err(_) => Err(None),
        };
        let (stream, remote_id, responded) = match accepted {
            Ok(accepted) => accepted,
            Err(answer) => {
                if let Some(noise) = answer {
                    for route in &routes {
                        route.answer(now, core, noise.clone(), false);
                    }
                    entry.state = State::Settled { answer: noise };
                }
                if let Some(stream) = self.entries.release_stream(id) {
                    core.streams.destroy(now, stream);
                }
                self.entries.set_deadline(id, now + REMEMBER);
                return;
            }
        };
        let first = routes
            .first()
            .expect("an entry begins with the route of the message that made it");
        let client_address = first.client_address();
        core.streams.set_remote_id(stream, remote_id);
        core.streams
            .expect_prefix(stream, responded.session.keys.remote_prefix().to_vec());
        // Packets can follow the answer closely, so the stream is ready for them before the answer leaves.
        // Who sends first is not us, so that nobody can make us send to somebody else: a client that was
        // answered knows where we are. (The reference sends at once.)
        let relayed = first.peer_address.is_some();
        if !relayed {
            // One of an earlier connection must not close meanwhile.
            core.sockets.hold(now, first.incoming.socket, stream);
        }
        if relayed && responded.client.firewall == FIREWALL_OPEN {
            // This client waits for us. A few empty packets show it the way; everything else waits until it
            // has answered.
            let socket = core.node.request_socket();
            core.streams
                .connect(now, stream, socket, client_address, remote_id);
            core.streams.set_credit(stream, OPENER_CREDIT);
            core.streams.set_keep_alive(now, stream, Some(OPENER_INTERVAL));
            // Only a closed stream refuses.
            let _ = core.streams.send_message(now, stream, &[]);
        }
        // Also then: if we have just found out to be reachable, it may come to the socket that we used
        // before.
        core.streams.set_admission(stream, Admission::LearnPath);
        if relayed {
            let secret = &responded.session.holepunch_secret;
            let guest = Guest::new(secret, core.random_seed());
            entry.guest = Some(Box::new(guest));
        }
        if relayed && core.node.remote_address().is_none() {
            // In a local network the client has to see the address of our main socket.
            entry.from_puncher =
                responded.client.firewall != FIREWALL_OPEN && !is_neighbour(core, first, &responded.client);
            core.want_puncher(now);
        }
        for route in &routes {
            route.answer(now, core, responded.noise.clone(), entry.from_puncher);
        }
        entry.client_id = remote_id;
        let client = responded.client.udx.as_ref();
        entry.reusable = client
            .filter(|udx| udx.reusable_socket && self.reusable_socket)
            .map(|_| responded.session.remote_public_key);
        entry.answered = Some(now);
        let mut patience = WAIT_FOR_CLIENT;
        let own = entry.offer.clone().map(|offer| (offer, true));
        let theirs = responded.client.relay_through.clone();
        let named = own.or_else(|| theirs.map(|offer| (offer, false)));
        if relayed
            && responded.client.firewall != FIREWALL_OPEN
            && let Some((through, is_initiator)) = named
        {
            patience = WAIT_FOR_RELAY;
            entry.relay_dialled = true;
            entry.hosts = moving::hosts(core, client_address, &responded.client);
            core.events.push_back(Event::DialRelay(RelayDial {
                stream,
                relay: through.public_key,
                token: through.token,
                is_initiator,
            }));
        }
        let Responded { noise, session, .. } = *responded;
        entry.state = State::HalfOpen {
            answer: noise,
            session: Box::new(session),
        };
        self.entries.set_deadline(id, now + patience);
    }

    /// Takes what became of meeting a client at a relay.
    pub(super) fn handle_relay(
        &mut self,
        now: Instant,
        core: &mut Core,
        stream: StreamId,
        paired: Option<(SocketId, SocketAddrV4, u32)>,
    ) {
        let Some((socket, address, relay_id)) = paired else {
            return;
        };
        let entry = self.entries.with_stream(stream);
        let Some(entry) = entry.and_then(|id| self.entries.get_mut(id)) else {
            return;
        };
        if !matches!(entry.state, State::HalfOpen { .. }) || core.streams.path(stream).is_some() {
            return;
        }
        entry.relayed = Some(address);
        core.streams.connect(now, stream, socket, address, relay_id);
        // A relay of the reference learns from the first packet where we are. Should the client come directly
        // after all, that is its path.
        core.streams.set_keep_alive(now, stream, Some(OPENER_INTERVAL));
        // Only a closed stream refuses.
        let _ = core.streams.send_message(now, stream, &[]);
    }

    /// Takes the news that the client's packets have arrived from `address`.
    pub(super) fn handle_path(
        &mut self,
        now: Instant,
        core: &mut Core,
        stream: StreamId,
        address: SocketAddrV4,
    ) {
        let Some(id) = self.entries.with_stream(stream) else {
            return;
        };
        let Some(entry) = self.entries.get_mut(id) else {
            return;
        };
        let path = if entry.relayed == Some(address) {
            Path::Relayed
        } else if is_private(*address.ip()) {
            Path::Lan
        } else {
            Path::Direct
        };
        if path != Path::Relayed {
            core.streams.set_remote_id(stream, entry.client_id);
        }
        entry.note_heard(now);
        if let Some(round_trip) = entry.round_trip {
            core.streams.expect_rtt(stream, round_trip);
        }
        self.establish(now, core, id, address, path);
    }

    /// Takes the news that a stream which waited for its client is gone.
    pub(super) fn handle_closed(&mut self, now: Instant, core: &mut Core, stream: StreamId) {
        if let Some(id) = self.entries.with_stream(stream) {
            self.forget(now, core, id);
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, core: &mut Core) {
        self.announcer.handle_timeout(now, core);
        while let Some((at, id)) = self.guests.first().copied()
            && at <= now
        {
            self.guests.pop_first();
            if let Some(entry) = self.entries.get_mut(id) {
                entry.guest_due = None;
                if let Some(guest) = &mut entry.guest {
                    guest.handle_timeout(now, core);
                    if guest.is_due(now) {
                        self.take_up(now, core, id);
                    }
                }
            }
            self.file_guest(id);
        }
        while let Some(id) = self.entries.next_due(now) {
            self.forget(now, core, id);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let forget = self.entries.next_deadline();
        forget
            .into_iter()
            .chain(self.announcer.poll_timeout())
            .chain(self.guests.first().map(|(at, _)| *at))
            .min()
    }

    /// Stops answering; streams that are open live on.
    pub(super) fn close(&mut self, now: Instant, core: &mut Core) -> Option<News> {
        for id in self.entries.ids() {
            self.forget(now, core, id);
        }
        self.announcer.withdraw(now, core)
    }

    /// Returns how many handshakes wait for their client's first packet.
    pub(super) fn half_open(&self) -> usize {
        self.entries.half_open()
    }

    pub(super) fn owns_stream(&self, stream: StreamId) -> bool {
        self.entries.with_stream(stream).is_some()
    }

    fn payload(&self, core: &Core, entry: EntryId, stream: StreamId, through: SocketAddrV4) -> NoisePayload {
        let own_address = core.node.remote_address();
        let relays = self.announcer.relays(through);
        let relay_addresses: Vec<SocketAddrV4> = own_address
            .into_iter()
            .chain(relays.iter().map(|relay| relay.relay_address))
            .take(MAX_RELAY_ADDRESSES)
            .collect();
        NoisePayload {
            // Also where we take ourselves to be reachable: should that be wrong, a client of ours punches.
            // The reference looks at it only if we are not.
            holepunch: Some(HolepunchInfo {
                id: entry.number,
                relays,
            }),
            relay_addresses: (!relay_addresses.is_empty()).then_some(relay_addresses),
            ..core.payload(stream, self.reusable_socket)
        }
    }

    fn establish(&mut self, now: Instant, core: &mut Core, id: EntryId, remote: SocketAddrV4, path: Path) {
        let Some(entry) = self.entries.get_mut(id) else {
            return;
        };
        let started = entry.started;
        let session = match std::mem::replace(&mut entry.state, State::Silent) {
            State::HalfOpen { answer, session } => {
                entry.state = State::Settled { answer };
                session
            }
            other => {
                entry.state = other;
                return;
            }
        };
        let Some(stream) = self.entries.release_stream(id) else {
            return;
        };
        if let Some((socket, _)) = core.streams.path(stream) {
            core.sockets.hold(now, socket, stream);
        }
        let mut report = Report {
            total: now.saturating_duration_since(started),
            stage: Stage::Path,
            path: Some((path, remote)),
            ..Report::default()
        };
        if let Some(guest) = self.entries.get_mut(id).and_then(|one| one.guest.as_ref()) {
            guest.tell(core, &mut report);
        }
        if path == Path::Relayed {
            // The client may still be punching, or find us in its own network.
            self.entries.set_moving(id, stream, report.clone());
            self.entries.set_deadline(id, now + punch::LONGEST);
            self.name_candidates(core, id);
        } else {
            if self.entries.get_mut(id).is_some_and(|one| one.relay_dialled) {
                core.events.push_back(Event::LeaveRelay(stream));
            }
            if let Some(client) = self.entries.get_mut(id).and_then(|one| one.reusable) {
                core.remember_way(client, stream);
            }
            self.dismiss(now, core, id, true);
            self.entries.set_deadline(id, now + REMEMBER);
        }
        core.events.push_back(Event::Established(Box::new(Established {
            origin: Origin::Server(self.id),
            stream,
            session: *session,
            path,
            remote,
            report,
        })));
    }

    fn forget(&mut self, now: Instant, core: &mut Core, id: EntryId) {
        self.dismiss(now, core, id, false);
        let Some(entry) = self.entries.remove(id) else {
            return;
        };
        if let Some((stream, _)) = entry.moving {
            core.streams.set_candidates(stream, Vec::new());
        }
        if let Some(stream) = entry.stream {
            core.streams.destroy(now, stream);
        }
    }
}

/// Returns whether a client seems to sit in our own network: nobody has to punch then, it only needs to see
/// where we are.
fn is_neighbour(core: &Core, route: &Route, client: &NoisePayload) -> bool {
    let private: Vec<SocketAddrV4> = client
        .addresses4
        .iter()
        .filter(|address| is_private(*address.ip()))
        .copied()
        .collect();
    let own: Vec<_> = core.local_addresses().iter().map(|a| *a.ip()).collect();
    core.lan && route.client_address().ip() == route.incoming.to.ip() && best_match(&own, &private).is_some()
}
