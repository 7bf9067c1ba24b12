//! What the phases of an attempt share.

use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use crate::connect::context::{Context, StreamOwner};
use crate::connect::core::Core;
use crate::connect::event::{Established, Event, Origin};
use crate::connect::ids::{AttemptId, Path};
use crate::connect::noise::Session;
use crate::connect::options::Dial;
use crate::connect::report::{Exchange, Report};
use crate::udx::{self, Admission, StreamId};
use crate::wire::handshake::{FIREWALL_OPEN, FIREWALL_UNKNOWN, NoisePayload, RelayThrough};

/// One step of an attempt: the time, and what it works with.
pub(super) struct Turn<'a> {
    pub(super) now: Instant,
    pub(super) core: &'a mut Core,
    pub(super) call: &'a mut Call,
}

/// One call of [`Endpoint::connect`](crate::connect::Endpoint::connect).
#[derive(Debug)]
pub(super) struct Call {
    pub(super) id: AttemptId,
    pub(super) dial: Dial,
    pub(super) stream: StreamId,
    /// Whether message 1 claims that this node is reachable by any host: then the server comes to it. What
    /// is found out later the server does not know.
    pub(super) claims_open: bool,
    /// Whether a server that was to come did not reach this node.
    pub(super) was_unreachable: bool,
    /// The relay that message 1 offers.
    pub(super) own_relay: Option<RelayThrough>,
    /// When the node had joined the network, and what the lookup has brought.
    pub(super) joined: Option<Duration>,
    pub(super) nodes_answered: usize,
    pub(super) records_found: usize,
    /// What has happened. It is written here and read by the owner of the attempt only.
    pub(super) report: Report,
    started: Instant,
    /// Events of the stream before it was handed out.
    early_events: Vec<udx::Event>,
}

impl Call {
    pub(super) fn new(now: Instant, cx: &mut Context, id: AttemptId, dial: Dial) -> Self {
        Self {
            id,
            stream: open_stream(cx, id, &dial),
            claims_open: cx.is_reachable(now),
            was_unreachable: false,
            own_relay: None,
            // A node that has found no other one is done bootstrapping as well.
            joined: (cx.node.table_len() > 0).then_some(Duration::ZERO),
            nodes_answered: 0,
            records_found: 0,
            report: Report::default(),
            started: now,
            early_events: Vec::new(),
            dial,
        }
    }

    pub(super) fn elapsed(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started)
    }

    pub(super) const fn started(&self) -> Instant {
        self.started
    }

    /// Notes that the node has joined the network: bootstrapping has ended, or a node of the DHT has
    /// answered.
    pub(super) fn note_joined(&mut self, now: Instant) {
        let elapsed = self.elapsed(now);
        self.joined.get_or_insert(elapsed);
    }

    /// Notes that a node is sent message 1.
    pub(super) fn note_asked(&mut self, now: Instant, node: SocketAddrV4) {
        self.report.exchanges.push(Exchange { node, started: self.elapsed(now), answered: None });
    }

    /// Notes that a node has answered message 1.
    pub(super) fn note_answered(&mut self, now: Instant, node: SocketAddrV4) {
        let elapsed = self.elapsed(now);
        let mut exchanges = self.report.exchanges.iter_mut().rev();
        if let Some(exchange) = exchanges.find(|exchange| exchange.node == node) {
            exchange.answered = Some(elapsed);
        }
    }

    /// Returns the report as of now, without what a phase adds.
    pub(super) fn report(&self, now: Instant) -> Report {
        Report {
            total: self.elapsed(now),
            joined: self.joined,
            nodes_answered: self.nodes_answered,
            records_found: self.records_found,
            ..self.report.clone()
        }
    }

    /// Returns the payload of message 1 (`connect.md` §3).
    pub(super) fn payload(&mut self, cx: &mut Context) -> NoisePayload {
        self.own_relay = self.dial.relay_through.map(|key| cx.relay_through(key));
        let mut payload = NoisePayload {
            relay_through: self.own_relay.clone(),
            ..cx.payload(self.stream, self.dial.reusable_socket, self.dial.lan)
        };
        if !self.claims_open && payload.firewall == FIREWALL_OPEN {
            payload.firewall = FIREWALL_UNKNOWN;
            let public = cx.node.remote_address();
            payload.addresses4.retain(|address| Some(*address) != public);
        }
        payload
    }

    /// Claims to be reachable no more, and takes another stream in place of the one that the server was
    /// given.
    pub(super) fn claim_no_more(&mut self, now: Instant, cx: &mut Context) {
        self.report.unreachable = Some(self.elapsed(now));
        self.claims_open = false;
        self.was_unreachable = true;
        let old = std::mem::replace(&mut self.stream, open_stream(cx, self.id, &self.dial));
        cx.destroy_stream(now, old);
        self.early_events.clear();
    }

    /// Keeps an event of the stream until it is handed out.
    pub(super) fn keep_event(&mut self, event: udx::Event) {
        let droppable = matches!(event, udx::Event::Message(_) | udx::Event::Readable);
        if !droppable || self.early_events.len() < MAX_EARLY_EVENTS {
            self.early_events.push(event);
        }
    }

    /// Hands the stream out to the owner of the attempt.
    pub(super) fn hand_out(
        &mut self,
        cx: &mut Context,
        session: Session,
        path: Path,
        remote: SocketAddrV4,
        report: Report,
    ) {
        let (origin, stream) = (Origin::Attempt(self.id), self.stream);
        let established = Established { origin, stream, session, path, remote, report };
        cx.emit(Event::Established(Box::new(established)));
        for event in self.early_events.drain(..) {
            cx.emit(Event::Stream(stream, event));
        }
    }
}

/// Opens a stream for an attempt, whose path may be anywhere.
fn open_stream(cx: &mut Context, id: AttemptId, dial: &Dial) -> StreamId {
    cx.open_stream(StreamOwner::Attempt(id), Admission::HoldAndAccept, dial.stream_options)
}

/// Events of a stream kept until it is handed out. Beyond it unordered messages go, which may get lost, and
/// repeated announcements of data.
const MAX_EARLY_EVENTS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::KeyPair;
    use crate::udx::Closed;

    #[test]
    fn early_events_are_bounded_and_the_end_is_among_them() {
        let now = Instant::now();
        let remote = *KeyPair::from_seed(&[1; 32]).public_key();
        let dial = Dial::new(remote, KeyPair::from_seed(&[2; 32]));
        let mut call = Call::new(now, &mut Context::for_tests(now), AttemptId(1), dial);
        for _ in 0..2 * MAX_EARLY_EVENTS {
            call.keep_event(udx::Event::Message(vec![1]));
            call.keep_event(udx::Event::Readable);
        }
        assert_eq!(call.early_events.len(), MAX_EARLY_EVENTS);
        call.keep_event(udx::Event::Closed(Closed::Reset));
        assert_eq!(call.early_events.last(), Some(&udx::Event::Closed(Closed::Reset)));
    }
}
