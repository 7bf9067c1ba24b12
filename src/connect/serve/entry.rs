//! One message 1, and what has become of it.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use tracing::debug;

use super::punching::Punching;
use super::return_path::{Answer, ReturnPath};
use crate::connect::core::Core;
use crate::connect::event::{Established, Event, Moved, Origin, RelayDial};
use crate::connect::ids::{EntryId, Path, Place};
use crate::connect::intake::Phase;
use crate::connect::noise::Session;
use crate::connect::path::{Action, Candidate, Kind, PathAgent, Side};
use crate::connect::report::{Report, Stage};
use crate::keys::PublicKey;
use crate::slots::Source;
use crate::udx::{Admission, StreamId};
use crate::wire::address::is_private;
use crate::wire::handshake::{NoisePayload, RelayThrough};

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) noise: Vec<u8>,
    pub(super) started: Instant,
    /// Whose budget it counts against.
    pub(super) source: Source,
    pub(super) state: State,
}

#[derive(Debug)]
pub(super) enum State {
    /// Its turn to be computed has not come.
    Waiting {
        /// Where the answer goes.
        routes: Vec<ReturnPath>,
    },
    /// The cryptography is under way.
    Computing {
        stream: StreamId,
        /// Where the answer goes.
        routes: Vec<ReturnPath>,
        /// The relay that the answer offers.
        offer: Option<RelayThrough>,
    },
    /// Answered. The stream waits for the client, or runs through a relay and may leave it.
    Connecting(Box<Connecting>),
    /// Answered, and nothing is expected any more: the stream is its owner's, or never came to be.
    Answered(Answer),
    /// Unreadable or refused: never answered.
    Silent,
}

/// A client that has been answered, until its stream has a path that does not change any more.
#[derive(Debug)]
pub(super) struct Connecting {
    pub(super) stream: StreamId,
    pub(super) answer: Answer,
    handover: Handover,
    agent: PathAgent,
    client: Client,
    /// Where to meet, and whether that is the server's offer.
    relay: Option<(RelayThrough, bool)>,
    /// The place of the relay, once it has paired the stream.
    relay_place: Option<Place>,
    /// How the client is punched to, if it can be.
    pub(super) punching: Option<Box<Punching>>,
    answered: Instant,
    /// How long the client took to send something after the answer.
    round_trip: Option<Duration>,
}

/// Whether the stream is still the entry's, or its owner has it.
#[derive(Debug)]
enum Handover {
    Waiting(Box<Session>),
    Done,
}

/// What the client has named in message 1.
#[derive(Debug)]
pub(super) struct Client {
    /// The id of its stream.
    pub(super) stream: u32,
    /// Its key, if both sides reuse the socket of the connection.
    pub(super) reusable: Option<PublicKey>,
    /// Where it may be, by what it has named and where it was seen.
    pub(super) hosts: Vec<Ipv4Addr>,
    /// Its hosts in the local network: what comes from there takes the path that the client takes for one of
    /// the local network.
    pub(super) inside: Vec<Ipv4Addr>,
}

/// What an entry has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Nothing has changed.
    Same,
    /// The stream runs through a relay and was handed out. It may still get a direct path.
    Relayed,
    /// The stream has the path that it keeps.
    Final,
}

impl State {
    pub(super) fn phase(&self) -> Phase {
        match self {
            Self::Waiting { .. } => Phase::Waiting,
            Self::Computing { .. } => Phase::HalfOpen,
            Self::Connecting(connecting) if connecting.is_half_open() => Phase::HalfOpen,
            Self::Connecting(_) | Self::Answered(_) | Self::Silent => Phase::Over,
        }
    }

    /// Returns the answer that repetitions of message 1 get.
    pub(super) fn answer(&self) -> Option<&Answer> {
        match self {
            Self::Connecting(connecting) => Some(&connecting.answer),
            Self::Answered(answer) => Some(answer),
            Self::Waiting { .. } | Self::Computing { .. } | Self::Silent => None,
        }
    }
}

impl Connecting {
    pub(super) fn new(
        now: Instant,
        stream: StreamId,
        answer: Answer,
        session: Session,
        client: Client,
        relay: Option<(RelayThrough, bool)>,
        punching: Option<Punching>,
    ) -> Self {
        let mut candidates = vec![Candidate::checked(Kind::Incoming)];
        candidates.extend(relay.as_ref().map(|_| Candidate::checked(Kind::Relayed)));
        Self {
            stream,
            answer,
            handover: Handover::Waiting(Box::new(session)),
            agent: PathAgent::new(now, Side::Following, candidates),
            client,
            relay,
            relay_place: None,
            punching: punching.map(Box::new),
            answered: now,
            round_trip: None,
        }
    }

    /// Returns whether the client's packets have not come yet.
    pub(super) const fn is_half_open(&self) -> bool {
        matches!(self.handover, Handover::Waiting(_))
    }

    /// Returns whether the client is to be met at a relay.
    pub(super) const fn dials_relay(&self) -> bool {
        self.relay.is_some()
    }

    /// Returns whether the client of a relayed stream may still come directly: it punches, or is about to.
    pub(super) fn may_leave_relay(&self) -> bool {
        let punching = self.punching.as_ref();
        self.agent.may_leave_relay() && punching.is_some_and(|punching| !punching.is_over())
    }

    /// Notes that the client has sent something after the answer.
    pub(super) fn note_heard(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.answered);
        self.round_trip.get_or_insert(passed);
    }

    /// Handles the outcome of meeting the client at a relay. Its packets have to come through the relay
    /// before that is a path.
    pub(super) fn handle_relay(&mut self, now: Instant, core: &mut Core, paired: Option<(Place, u32)>) {
        let Some((place, id)) = paired else {
            debug!(kind = %Kind::Relayed, "candidate failed");
            return;
        };
        let streams = &mut core.cx.streams;
        if !self.is_half_open() || streams.path(self.stream).is_some() {
            return;
        }
        debug!(kind = %Kind::Relayed, address = %place.address, "candidate opened");
        self.relay_place = Some(place);
        streams.connect(now, self.stream, place.socket, place.address, id);
        // A relay of the reference learns from the first packet where the server is (`connect.md` §11.3).
        // Should the client come directly after all, that is its path.
        streams.set_keep_alive(now, self.stream, Some(OPENER_INTERVAL));
        // Only a closed stream refuses.
        let _ = streams.send_message(now, self.stream, &[]);
    }

    /// Handles packets of the client from a place: the first ones, or the first ones from there.
    pub(super) fn handle_heard(
        &mut self,
        now: Instant,
        core: &mut Core,
        id: EntryId,
        started: Instant,
        place: Place,
    ) -> Progress {
        let relayed = self.relay_place.is_some_and(|relay| relay.address == place.address);
        let kind = match (relayed, is_private(*place.address.ip())) {
            (true, _) => Kind::Relayed,
            (false, true) => Kind::Lan,
            (false, false) => Kind::Incoming,
        };
        let migrates = !self.is_half_open();
        if migrates && (relayed || !core.cx.may_send_to(place.address)) {
            return Progress::Same;
        }
        if !migrates {
            if !relayed {
                core.cx.streams.set_remote_id(self.stream, self.client.stream);
            }
            self.note_heard(now);
            if let Some(round_trip) = self.round_trip {
                core.cx.streams.expect_rtt(self.stream, round_trip);
            }
        }
        self.agent.heard(kind, place);
        self.advance(now, core, id, started)
    }

    /// Carries out what the agent has decided.
    pub(super) fn advance(
        &mut self,
        now: Instant,
        core: &mut Core,
        id: EntryId,
        started: Instant,
    ) -> Progress {
        let mut progress = Progress::Same;
        while let Some(action) = self.agent.poll_action() {
            match action {
                Action::Check { kind: Kind::Relayed, .. } => self.dial_relay(core),
                Action::Select { kind, place } => {
                    debug!(%kind, address = %place.address, "candidate selected");
                    self.select(now, core, id, started, kind, place);
                    progress = Progress::Relayed;
                }
                Action::StopChecks { won } => self.stop_punching(now, core, won),
                Action::LeaveRelay => core.cx.emit(Event::LeaveRelay(self.stream)),
                Action::Done => progress = Progress::Final,
                // The entry's deadline ends what the client does not.
                Action::Check { .. } | Action::Probe { .. } | Action::Overdue { .. } | Action::Exhausted => {}
            }
        }
        progress
    }

    /// Allows packets of a relayed client's stream from the hosts that the client has named and is seen at.
    pub(super) fn name_candidates(&self, core: &mut Core) {
        if self.agent.may_leave_relay() {
            let punching = self.punching.iter().flat_map(|punching| punching.hosts());
            let hosts = self.client.hosts.iter().copied().chain(punching).collect();
            core.cx.streams.set_candidates(self.stream, hosts);
        }
    }

    pub(super) fn stop_punching(&mut self, now: Instant, core: &mut Core, won: bool) {
        if let Some(mut punching) = self.punching.take() {
            punching.stop(now, core, won);
        }
    }

    /// Ends the wait for the client: destroys the stream, unless its owner has it.
    pub(super) fn forget(&mut self, now: Instant, core: &mut Core) {
        self.stop_punching(now, core, false);
        if self.is_half_open() {
            core.cx.destroy_stream(now, self.stream);
        } else {
            core.cx.streams.set_candidates(self.stream, Vec::new());
            core.cx.disown_stream(self.stream);
        }
    }

    fn dial_relay(&self, core: &mut Core) {
        if let Some((through, is_initiator)) = &self.relay {
            core.cx.emit(Event::DialRelay(RelayDial {
                stream: self.stream,
                relay: through.public_key,
                token: through.token,
                is_initiator: *is_initiator,
            }));
        }
    }

    fn select(
        &mut self,
        now: Instant,
        core: &mut Core,
        id: EntryId,
        started: Instant,
        kind: Kind,
        place: Place,
    ) {
        let mut report = Report {
            total: now.saturating_duration_since(started),
            stage: Stage::Path,
            path: Some((self.client.path(kind, place), place.address)),
            ..Report::default()
        };
        if let Some(punching) = &self.punching {
            punching.describe(core, &mut report);
        }
        let (stream, path, remote) = (self.stream, self.client.path(kind, place), place.address);
        core.punch.sockets.hold(now, place.socket, stream);
        let event = match std::mem::replace(&mut self.handover, Handover::Done) {
            Handover::Waiting(session) => Event::Established(Box::new(Established {
                origin: Origin::Server(id.server),
                stream,
                session: *session,
                path,
                remote,
                report,
            })),
            Handover::Done => {
                core.exits.begin(now, &mut core.cx, stream, place, self.client.stream);
                Event::Moved(Box::new(Moved { stream, path, remote, report }))
            }
        };
        if kind != Kind::Relayed
            && let Some(client) = self.client.reusable
        {
            core.remembered.set_place(&core.cx, client, stream);
        }
        core.cx.emit(event);
        self.name_candidates(core);
    }
}

impl Client {
    /// Takes over what a client has named. Its hosts matter only to a stream that may leave a relay.
    pub(super) fn of(
        payload: &NoisePayload,
        seen: SocketAddrV4,
        lan: bool,
        reusable: Option<PublicKey>,
        relayed: bool,
    ) -> Self {
        let named = payload.addresses4.iter().copied();
        let named = named.filter(|address| lan && is_private(*address.ip()));
        let hosts = [seen].into_iter().chain(named).take(MAX_HOSTS);
        Self {
            stream: payload.udx.as_ref().map_or(0, |udx| udx.id),
            reusable,
            hosts: hosts.filter(|_| relayed).map(|address| *address.ip()).collect(),
            inside: Vec::new(),
        }
    }

    /// Takes over which of its hosts are in the local network. `one_router` where others see both sides at
    /// the same address.
    pub(super) fn inside(mut self, payload: &NoisePayload, seen: SocketAddrV4, one_router: bool) -> Self {
        let named = payload.addresses4.iter().map(|address| *address.ip());
        let inside = named.filter(|host| is_private(*host) && !host.is_loopback());
        self.inside = inside.filter(|host| one_router || host != seen.ip()).take(MAX_HOSTS).collect();
        self
    }

    /// Returns how the packets travel.
    fn path(&self, kind: Kind, place: Place) -> Path {
        match kind.path_to(place.address) {
            Path::Direct if self.inside.contains(place.address.ip()) => Path::Lan,
            path => path,
        }
    }
}

/// Lets a stream of a client that waits for the server send a few empty packets, and nothing else before the
/// client has answered: no packet can make the node send more to a third party.
pub(super) fn open_towards(now: Instant, core: &mut Core, stream: StreamId, place: Place, remote_id: u32) {
    let streams = &mut core.cx.streams;
    streams.connect(now, stream, place.socket, place.address, remote_id);
    streams.set_credit(stream, OPENER_CREDIT);
    streams.set_keep_alive(now, stream, Some(OPENER_INTERVAL));
    // Only a closed stream refuses.
    let _ = streams.send_message(now, stream, &[]);
}

/// Lets the client's packets come from anywhere: who has the stream's id was sent the answer.
pub(super) fn expect_packets(core: &mut Core, stream: StreamId) {
    core.cx.streams.set_admission(stream, Admission::LearnPath);
}

/// What a client that waits for the server is sent before it has answered: a few empty packets, less than the
/// answer to its handshake.
const OPENER_CREDIT: usize = 5 * crate::wire::packet::HEADER_LEN;
/// Between two of these packets.
const OPENER_INTERVAL: Duration = Duration::from_millis(300);
/// Hosts of a client that are taken from its noise payload.
const MAX_HOSTS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_hosts_of_a_client_count_and_the_first_is_where_it_was_seen() {
        let named = |host: u8| SocketAddrV4::new(Ipv4Addr::new(192, 168, 1, host), 5000);
        let payload = NoisePayload { addresses4: (1..=40).map(named).collect(), ..NoisePayload::default() };
        let seen = SocketAddrV4::new(Ipv4Addr::new(25, 1, 1, 1), 5000);
        let client = Client::of(&payload, seen, true, None, true);
        assert_eq!(client.hosts.len(), MAX_HOSTS);
        assert_eq!(client.hosts[..2], [*seen.ip(), *named(1).ip()]);
    }
}
