//! What a received packet does.
//!
//! The steps are those of the reference (`udx.md` §8, `libudx src/udx.c process_packet`), but numbers and
//! source are checked before any of them.

use std::time::{Duration, Instant};

use tracing::{debug, trace};

use super::state::{Stream, StreamContext};
use crate::udx::claims::Foreign;
use crate::udx::paths::Admitted;
use crate::udx::recv::{Arrival, MAX_AHEAD};
use crate::udx::seq::expand;
use crate::udx::types::{Closed, Config, Event, Place};
use crate::wire::packet::{
    DATA, DESTROY, END, HEADER_LEN, HEARTBEAT, MAX_PAYLOAD, MESSAGE, PacketHeader, SACK,
};

impl Stream {
    /// Handles a packet for this stream from `place`. A packet that can't be the peer's has no effect at all.
    pub(in crate::udx) fn handle_packet(
        &mut self,
        now: Instant,
        context: &mut StreamContext<'_>,
        place: Place,
        header: &PacketHeader,
        rest: &[u8],
    ) {
        let seq = expand(header.seq, self.receiver.next());
        let ack = expand(header.ack, self.sender.packets().next());
        let is_possible = self.closed().is_none() && self.is_plausible(seq, ack);
        if !is_possible || !self.admit(now, context, place, header, seq, rest) {
            let address = place.1;
            trace!(kind = header.kind, seq = header.seq, %address, "packet refused");
            if is_possible {
                self.claim(now, context, place, header, seq, rest);
            }
            return;
        }
        trace!(kind = header.kind, seq = header.seq, bytes = HEADER_LEN + rest.len(), "packet received");
        self.traffic.received(HEADER_LEN + rest.len());
        let is_plain = header.kind & (DATA | END | MESSAGE | DESTROY | HEARTBEAT) == 0;
        let outstanding = self.sender.packets().len() > 0;
        self.liveness.heard(now, is_plain && !outstanding, outstanding);
        self.paths.heard(place, HEADER_LEN + rest.len(), is_plain);
        if header.has(HEARTBEAT) {
            // The reference looks at nothing else in such a packet (step 4).
            return self.acks.answer();
        }
        let Some(payload) = header.payload(rest) else {
            return;
        };
        if header.has(DESTROY) && seq >= self.receiver.next() {
            self.handle_acknowledgement(now, header, ack, &[]);
            let left = self.receiver.ended() && self.sender.packets().len() == 0 && self.buffered() == 0;
            // What has come before is reported first.
            self.report(context);
            return self.close(context, if left { Closed::Left } else { Closed::Reset });
        }
        if header.has(DATA | END) {
            self.handle_data(context, seq, header.kind, payload);
        }
        if header.has(MESSAGE) {
            context.events.push(self.id, Event::Message(payload.to_vec()));
        }
        if ack >= self.sender.packets().oldest() {
            self.peer_window.update(header.window, seq, ack);
        }
        self.handle_acknowledgement(now, header, ack, rest);
        if self.receiver.ended() && !self.reported.is_remote_finished() {
            self.report(context);
        }
    }

    /// Ends a batch of received datagrams: learns from what it acknowledged, and lets the acknowledgement for
    /// it leave.
    pub(in crate::udx) fn flush(&mut self, now: Instant, context: &mut StreamContext<'_>) {
        self.acks.flush(now, self.ack_delay(context.config));
        let packets = self.sender.packets_mut();
        if let Some(batch) = packets.take_batch() {
            self.control.handle_batch(now, packets, &batch);
            self.sender.reclaim(context.pool);
            self.probe_window(now);
        }
        self.report(context);
    }

    /// Returns how long an acknowledgement may wait for data. Not at all for a peer that has just begun: it
    /// measures the path by the answers.
    const fn ack_delay(&self, config: &Config) -> Duration {
        if self.receiver.received() < PROMPTLY_ANSWERED { Duration::ZERO } else { config.ack_delay }
    }

    /// Checks the numbers: nothing that was not sent can be acknowledged, and nothing is taken from beyond
    /// any window.
    fn is_plausible(&self, seq: u64, ack: u64) -> bool {
        let (next, packets) = (self.receiver.next(), self.sender.packets());
        seq < next + self.receiver.max_ahead() as u64
            && seq + MAX_AHEAD as u64 >= next
            && ack <= packets.next()
            && ack + MAX_AHEAD as u64 >= packets.oldest()
    }

    /// Decides by where a packet comes from, and reports what follows for the path.
    fn admit(
        &mut self,
        now: Instant,
        context: &mut StreamContext<'_>,
        place: Place,
        header: &PacketHeader,
        seq: u64,
        rest: &[u8],
    ) -> bool {
        let is_next = header.has(DATA) && !header.has(HEARTBEAT) && seq == self.receiver.next();
        let next = is_next.then(|| header.payload(rest).unwrap_or_default());
        let admitted = self.paths.admit(now, &mut self.receiver, place, next);
        let (socket, address) = place;
        let number = if header.has(DATA | END) { seq } else { 0 };
        if admitted == Admitted::Accepted && self.paths.go_back(place, number, self.control.is_timed_out()) {
            self.report_move(now, context, place);
        }
        match admitted {
            Admitted::Refused => return false,
            Admitted::Accepted => {}
            Admitted::Offered => {
                debug!(socket = socket.0, %address, "path offered");
                let event = Event::PathOffered { socket, address };
                context.events.push(self.id, event);
            }
            Admitted::Learned => {
                debug!(socket = socket.0, %address, "path learned");
                self.limit_payload(context.config, place);
                let event = Event::PathLearned { socket, address };
                context.events.push(self.id, event);
            }
        }
        true
    }

    /// Keeps a packet with data from elsewhere that may be the peer's, until that is known.
    fn claim(
        &mut self,
        now: Instant,
        context: &mut StreamContext<'_>,
        place: Place,
        header: &PacketHeader,
        seq: u64,
        rest: &[u8],
    ) {
        let may_be_the_peers = self.claims.is_enabled()
            // A router that changes the address of the peer does not change this one.
            && self.paths.current().is_some_and(|(socket, _)| socket == place.0)
            && self.paths.is_validated(&self.receiver);
        if !may_be_the_peers {
            return;
        }
        let is_data = header.has(DATA | END) && !header.has(DESTROY | HEARTBEAT | MESSAGE);
        let Some(payload) = header.payload(rest).filter(|_| is_data) else {
            return self.claims.heard(now, place);
        };
        let payload = if header.has(DATA) { payload } else { &[] };
        let (next, free) = (self.receiver.next(), self.receiver.free_ahead());
        if self.claims.hold(now, &Foreign { place, seq, header, payload }, next, free) {
            context.events.push(self.id, Event::PathClaimed);
        }
    }

    /// Moves the path to a place from which the peer's own bytes have come, and takes what else has come from
    /// there.
    pub(in crate::udx) fn trust(&mut self, now: Instant, context: &mut StreamContext<'_>, place: Place) {
        let (Some(claim), Some((_, home))) = (self.claims.take(place), self.paths.current()) else {
            return;
        };
        let newest = claim.packets.last_key_value().map_or(0, |(seq, _)| *seq);
        let is_far = home.ip() != place.1.ip();
        self.paths.follow(place, newest, is_far.then_some(claim.received));
        let outstanding = self.sender.packets().len() > 0;
        self.liveness.heard(now, false, outstanding);
        let header = claim.latest;
        let ack = expand(header.ack, self.sender.packets().next());
        if ack >= self.sender.packets().oldest() && ack <= self.sender.packets().next() {
            self.peer_window.update(header.window, expand(header.seq, self.receiver.next()), ack);
            self.handle_acknowledgement(now, &header, ack, &[]);
        }
        for (seq, packet) in claim.packets {
            self.handle_data(context, seq, packet.kind, &packet.payload);
        }
        self.acks.owe();
        self.flush(now, context);
        if is_far {
            self.limit_payload(context.config, place);
            let packets = self.sender.packets_mut();
            packets.change_path(context.config.max_payload(place.1));
            self.control.reset(now, packets.in_flight_bytes());
            self.liveness.ask();
        }
        self.report_move(now, context, place);
    }

    /// Goes on at the place that the path has moved to: what is out went to where the peer is no more.
    fn report_move(&mut self, now: Instant, context: &mut StreamContext<'_>, place: Place) {
        let (socket, address) = place;
        debug!(socket = socket.0, %address, "path followed");
        self.control.relaunch(now, self.sender.packets_mut());
        let event = Event::PathLearned { socket, address };
        context.events.push(self.id, event);
    }

    fn handle_data(&mut self, context: &mut StreamContext<'_>, seq: u64, kind: u8, payload: &[u8]) {
        let had_gaps = self.receiver.has_gaps();
        let proven = self.receiver.is_proven();
        let readable = self.receiver.readable();
        match self.receiver.receive(context.pool, seq, kind, payload) {
            Arrival::Contradicts => return,
            Arrival::Delivered if !had_gaps && kind & END == 0 => self.acks.count(),
            Arrival::Delivered | Arrival::Kept | Arrival::Repeated | Arrival::Refused => self.acks.owe(),
        }
        if self.receiver.is_expecting() && !proven && self.receiver.is_proven() {
            self.path_validated(context);
        }
        self.liveness.data();
        if self.receiver.is_held_up() {
            // The peer would have to wait until the lost packet has come.
            self.receiver.grow();
        }
        if self.receiver.readable() > readable && self.reported.readable() {
            context.events.push(self.id, Event::Readable);
        }
    }

    fn handle_acknowledgement(&mut self, now: Instant, header: &PacketHeader, ack: u64, rest: &[u8]) {
        let minimum = self.control.minimum_rtt();
        self.sender.acknowledge_below(now, ack, minimum);
        if header.has(SACK) {
            let packets = self.sender.packets_mut();
            let (oldest, end) = (packets.oldest(), packets.next());
            for (from, to) in header.ranges(rest).take(MAX_PAYLOAD / 8) {
                if packets.len() > 0 {
                    let (from, to) = (expand(from, oldest), expand(to, end));
                    packets.acknowledge_range(now, from, to, minimum);
                }
            }
        }
        if header.kind == 0 {
            self.sender.packets_mut().handle_report(ack);
        }
    }
}

/// Packets at the beginning that are acknowledged without delay.
const PROMPTLY_ANSWERED: u64 = 16;

/// The reference cuts longer datagrams and acknowledges them as whole (`udx.md` P1).
const _: () = assert!(HEADER_LEN + MAX_PAYLOAD == 2048);
