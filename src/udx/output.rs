//! What a stream sends, and when it wants to be woken.

use std::time::Instant;

use super::loss::Due;
use super::mtu::BASE_PAYLOAD;
use super::send::MAX_OUTSTANDING;
use super::stream::{Place, Shared, Stream};
use super::types::{Closed, Event};
use crate::wire::packet::{DESTROY, HEADER_LEN, HEARTBEAT, MESSAGE, PacketHeader, SACK, encode_range};
use crate::wire::transmit::Train;

/// The next packet with a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// One that was sent before.
    Again(u64),
    /// A new one with this many bytes of payload, padded to a size if it probes the path.
    New(usize, Option<usize>),
    /// None, because credit has run out.
    Paced,
    None,
}

impl Stream {
    /// Appends the next datagrams to `out`: one that has no number, or a train of those that have.
    pub(super) fn poll_transmit(
        &mut self,
        now: Instant,
        max_segments: usize,
        out: &mut Vec<u8>,
    ) -> Option<Train> {
        let path = self.path?;
        let remote_id = self.remote_id?;
        if self.closed.is_some() {
            return None;
        }
        if self.pacing_due.is_some_and(|at| at <= now) {
            self.pacing_due = None;
        }
        let start = out.len();
        if let Some(message) = self.next_message() {
            self.put_header(out, remote_id, MESSAGE, 0, self.sender.next());
            out.extend_from_slice(&message);
            self.credit.spend(out.len() - start);
            return Some(train(path, out.len() - start));
        }
        if self.liveness.heartbeat_due && self.credit.affords(HEADER_LEN) {
            self.liveness.heartbeat(now);
            self.credit.spend(HEADER_LEN);
            self.put_header(out, remote_id, HEARTBEAT, 0, self.sender.next());
            return Some(train(path, HEADER_LEN));
        }
        self.pacer.refill(now, self.congestion.pacing_rate());
        // Data carries the acknowledgement as well, unless there are gaps to report.
        let gathers = self.is_gathering();
        let next = if gathers { Next::None } else { self.next() };
        let carried = !self.receiver.has_gaps() && matches!(next, Next::Again(_) | Next::New(..));
        if self.may_acknowledge() && !carried {
            self.put_acknowledgement(out, remote_id);
            self.credit.spend(out.len() - start);
            return Some(train(path, out.len() - start));
        }
        if gathers {
            return None;
        }
        let segment = self.put_train(now, max_segments, out, remote_id);
        self.note_limits(now);
        Some(train(path, segment?))
    }

    /// Appends packets of one size; returns it, or `None` if there are none.
    fn put_train(
        &mut self,
        now: Instant,
        max_segments: usize,
        out: &mut Vec<u8>,
        remote_id: u32,
    ) -> Option<usize> {
        let start = out.len();
        let mut segment = None;
        for _ in 0..max_segments.max(1) {
            let next = self.next();
            let Some(size) = self.size(next) else {
                break;
            };
            if segment.is_some_and(|segment| size > segment)
                || (segment.is_some() && out.len() - start + size > MAX_TRAIN)
            {
                break;
            }
            let first = self.sender.in_flight() == 0;
            let seq = match next {
                Next::Again(seq) => {
                    if self.sender.get(seq).padding > 0 {
                        self.mtu.abandon();
                    }
                    self.sender.repeat(now, seq);
                    seq
                }
                _ => {
                    let padded = if let Next::New(_, padded) = next {
                        padded
                    } else {
                        None
                    };
                    if padded.is_some() {
                        self.mtu.sent();
                    }
                    let made = self.sender.make(now, self.mtu.payload(), padded);
                    made.expect("a new packet was chosen because there is something to send")
                }
            };
            if std::mem::take(&mut self.probe_due) {
                self.loss.probed(now);
            }
            self.loss.sent(now, first);
            self.liveness.sent(now);
            self.put_packet(out, remote_id, seq);
            self.pacer.spend(size);
            self.credit.spend(size);
            let segment = *segment.get_or_insert(size);
            // Nothing follows a probe: a path too small for it would lose the whole train.
            if size < segment || matches!(next, Next::New(_, Some(_))) {
                break;
            }
        }
        segment
    }

    /// Returns the next message if it may leave.
    fn next_message(&mut self) -> Option<Vec<u8>> {
        self.may_send_message()
            .then(|| self.messages.pop_front())
            .flatten()
    }

    fn may_send_message(&self) -> bool {
        self.messages
            .front()
            .is_some_and(|message| self.credit.affords(HEADER_LEN + message.len()))
    }

    fn may_acknowledge(&self) -> bool {
        let ranges = self.receiver.gaps().count();
        self.ack_due && self.credit.affords(HEADER_LEN + RANGE_LEN * ranges)
    }

    /// Returns how long a datagram is.
    fn size(&self, next: Next) -> Option<usize> {
        match next {
            Next::Again(seq) => Some(HEADER_LEN + self.sender.get(seq).unpadded()),
            Next::New(_, Some(padded)) => Some(HEADER_LEN + padded),
            Next::New(length, None) => Some(HEADER_LEN + length),
            Next::Paced | Next::None => None,
        }
    }

    /// Chooses what to send next. What credit does not cover waits for the peer.
    fn next(&mut self) -> Next {
        let next = self.choose();
        match self.size(next) {
            Some(size) if !self.credit.affords(size) => Next::None,
            _ => next,
        }
    }

    fn choose(&mut self) -> Next {
        let max = self.mtu.payload();
        if self.probe_due {
            // The tail of what is out is asked about with something new if there is any, past all limits but
            // the peer's.
            if let Some(length) = self.sender.next_length(max)
                && self.peer_window > 0
            {
                return Next::New(length, None);
            }
            match self.sender.last_in_flight() {
                Some(seq) => return Next::Again(seq),
                None => self.probe_due = false,
            }
        }
        if self.sender.in_flight_bytes() >= self.congestion.window() {
            return Next::None;
        }
        let next = if let Some(seq) = self.sender.next_lost() {
            Next::Again(seq)
        } else {
            match self.sender.next_length(max) {
                Some(length) if self.window_allows() => {
                    let padded = self
                        .mtu
                        .wanted()
                        .filter(|size| size - length <= usize::from(u8::MAX));
                    Next::New(length, padded.filter(|_| self.changing.is_none()))
                }
                _ => Next::None,
            }
        };
        if next != Next::None && !self.pacer.may_send() {
            Next::Paced
        } else {
            next
        }
    }

    /// The window is compared in packets, as the reference does: less than a packet still lets one through.
    fn window_allows(&self) -> bool {
        let packets = self.peer_window as usize / self.mtu.payload();
        let limit = if self.peer_window == 0 { 0 } else { packets.max(1) };
        self.sender.in_flight() < limit
            && self.sender.outstanding() < MAX_OUTSTANDING.min(2 * limit + MIN_SPAN)
    }

    /// Remembers what sending waits for.
    fn note_limits(&mut self, now: Instant) {
        match self.next() {
            Next::Paced => self.pacing_due = Some(self.pacer.ready_at(now, self.congestion.pacing_rate())),
            Next::None => {
                self.pacer.rest();
                if self.sender.in_flight_bytes() < self.congestion.window() {
                    self.sender.delivery.limit(self.sender.in_flight_bytes());
                }
            }
            _ => {}
        }
    }

    fn put_packet(&mut self, out: &mut Vec<u8>, remote_id: u32, seq: u64) {
        let packet = self.sender.get(seq);
        let (kind, padding) = (packet.kind, packet.padding);
        self.put_header(out, remote_id, kind, padding, seq);
        out.resize(out.len() + usize::from(padding), 0);
        self.sender.copy_payload(seq, out);
        if !self.receiver.has_gaps() {
            self.acknowledged();
        }
    }

    fn put_acknowledgement(&mut self, out: &mut Vec<u8>, remote_id: u32) {
        let kind = if self.receiver.has_gaps() { SACK } else { 0 };
        self.put_header(out, remote_id, kind, 0, self.sender.next());
        for (from, to) in self.receiver.gaps() {
            encode_range(from as u32, to as u32, out);
        }
        self.acknowledged();
    }

    const fn acknowledged(&mut self) {
        self.ack_owed = false;
        self.ack_due = false;
        self.unacknowledged = 0;
        self.ack_at = None;
    }

    fn put_header(&mut self, out: &mut Vec<u8>, remote_id: u32, kind: u8, data_offset: u8, seq: u64) {
        self.advertised = self.receiver.window();
        let window = u32::try_from(self.advertised).unwrap_or(u32::MAX);
        let (seq, ack) = (seq as u32, self.receiver.next() as u32);
        let header = PacketHeader {
            kind,
            data_offset,
            stream_id: remote_id,
            window,
            seq,
            ack,
        };
        out.extend_from_slice(&header.to_bytes());
    }

    /// Returns a packet that acknowledges everything, or a DESTROY, and where it goes.
    pub(super) fn last_packet(&mut self, destroy: bool) -> Option<(Place, [u8; HEADER_LEN])> {
        let (path, remote_id) = (self.path?, self.remote_id?);
        let kind = if destroy { DESTROY } else { 0 };
        Some((path, self.bare_packet(remote_id, kind)?))
    }

    /// Returns a packet without payload that repeats what is known: nothing is owed less for it.
    fn bare_packet(&mut self, remote_id: u32, kind: u8) -> Option<[u8; HEADER_LEN]> {
        let mut packet = Vec::with_capacity(HEADER_LEN);
        self.put_header(&mut packet, remote_id, kind, 0, self.sender.next());
        packet.try_into().ok()
    }

    /// Returns a packet that a peer answers wherever it comes from.
    pub(super) fn path_probe(&mut self, remote_id: u32) -> Option<[u8; HEADER_LEN]> {
        let advertised = self.advertised;
        let packet = self.bare_packet(remote_id, HEARTBEAT);
        // It may never arrive.
        self.advertised = advertised;
        packet
    }

    /// Tells whether nothing is missing but the acknowledgement of our bare end by a peer that has ended
    /// before. The reference closes as soon as it has both ends and answers nothing any more, so if its last
    /// answer was lost, none will ever come.
    fn waits_for_last_answer(&self) -> bool {
        self.receiver.ended() && self.sender.only_end_is_out()
    }

    /// Tells whether `poll_transmit` may have something.
    pub(super) fn has_output(&mut self, now: Instant) -> bool {
        if self.path.is_none() || self.remote_id.is_none() || self.closed.is_some() {
            return false;
        }
        self.may_send_message()
            || (self.liveness.heartbeat_due && self.credit.affords(HEADER_LEN))
            || self.may_acknowledge()
            || ((self.probe_due || self.pacing_due.is_none_or(|at| at <= now))
                && !self.is_gathering()
                && self.next() != Next::None)
    }

    /// Tells whether new data waits until the window has opened a good part: many short trains cost more than
    /// a long one.
    fn is_gathering(&mut self) -> bool {
        let (in_flight, window) = (self.sender.in_flight_bytes(), self.congestion.window());
        let room = window.saturating_sub(in_flight);
        room < (window / GATHERED_SHARE).min(MAX_GATHERED)
            && in_flight > 0
            && self.sender.unsent_bytes() as u64 > room
            && !self.probe_due
            && self.sender.next_lost().is_none()
    }

    /// Brings the timers in line with the state.
    pub(super) fn arm(&mut self, now: Instant) {
        if self.path.is_none() || self.closed.is_some() {
            return;
        }
        if self.finished_told && self.remote_finished_told {
            // What is left is for the reader. The peer may have closed already, and answers nothing any more.
            return self.liveness.stop();
        }
        let shut = self.is_window_shut();
        self.liveness.arm(now, self.sender.outstanding() > 0, shut);
    }

    /// Returns when the stream is to be woken, and why.
    pub(super) fn due(&self) -> Option<(Instant, &'static str)> {
        if self.path.is_none() || self.closed.is_some() {
            return None;
        }
        let loss = self
            .loss
            .due(&self.sender, &self.rtt)
            .map(|(at, due)| (at, due.reason()));
        let liveness = self.liveness.due().map(|(at, duty)| (at, duty.reason()));
        let pacing = self.pacing_due.map(|at| (at, "pacing"));
        let ack = self.ack_at.map(|at| (at, "acknowledgement"));
        [loss, liveness, pacing, ack]
            .into_iter()
            .flatten()
            .min_by_key(|(at, _)| *at)
    }

    /// Does what is due.
    pub(super) fn handle_timeout(&mut self, now: Instant, shared: &mut Shared<'_>) {
        if self.closed.is_some() || self.path.is_none() {
            return;
        }
        if self.pacing_due.is_some_and(|at| at <= now) {
            self.pacing_due = None;
        }
        if self.ack_at.is_some_and(|at| at <= now) {
            self.ack_at = None;
            self.ack_due = true;
        }
        if let Some((at, due)) = self.loss.due(&self.sender, &self.rtt)
            && at <= now
        {
            match due {
                Due::Reordering => {
                    let lost = self.loss.detect(now, &mut self.sender, &self.rtt, &mut self.mtu);
                    self.learn(now, &super::send::Batch::default(), lost);
                }
                Due::Probe => {
                    self.loss.probed(now);
                    self.probe_due = true;
                }
                Due::TimeOut => {
                    let timeouts = self.loss.time_out(now, &mut self.sender, &mut self.mtu);
                    self.congestion.time_out(self.sender.in_flight_bytes());
                    if timeouts >= BLACK_HOLE_TIMEOUTS {
                        self.mtu.black_hole();
                    }
                    if timeouts >= LONELY_END_TIMEOUTS && self.waits_for_last_answer() {
                        return self.close(shared, Closed::Ended);
                    }
                    if timeouts >= MAX_TIMEOUTS {
                        return self.close(shared, Closed::TimedOut);
                    }
                }
            }
        }
        while let Some((at, duty)) = self.liveness.due()
            && at <= now
        {
            self.liveness.done(now, duty);
            match duty {
                super::liveness::Duty::GiveUp => {
                    let ended = self.waits_for_last_answer();
                    let closed = if ended { Closed::Ended } else { Closed::TimedOut };
                    return self.close(shared, closed);
                }
                super::liveness::Duty::Complain => shared.events.push(self.id, Event::HeartbeatUnanswered),
                _ => {}
            }
        }
    }
}

const fn train(path: Place, segment_size: usize) -> Train {
    Train {
        socket: path.0,
        destination: path.1,
        ttl: None,
        segment_size,
    }
}

/// The length of a range of numbers in an acknowledgement.
const RANGE_LEN: usize = 8;
/// How much of the window, and how many bytes at most, are gathered for a train.
const GATHERED_SHARE: u64 = 8;
const MAX_GATHERED: u64 = 16 << 10;
/// What segmentation offload takes in one piece.
const MAX_TRAIN: usize = 65_000;
/// Numbers beyond twice the window that may be out: small windows still allow for lost packets.
const MIN_SPAN: usize = 64;
/// Time-outs in a row that a path which carries only small packets would explain.
const BLACK_HOLE_TIMEOUTS: u32 = 3;
/// Time-outs in a row after which a peer that has ended is taken to have our end: 2 to 7 s.
const LONELY_END_TIMEOUTS: u32 = 3;
/// A peer that answers but never acknowledges: some 50 s.
const MAX_TIMEOUTS: u32 = 12;

const _: () = assert!(BASE_PAYLOAD + HEADER_LEN < MAX_TRAIN);
