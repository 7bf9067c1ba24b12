//! What a stream sends, when, and what its timers do.

use std::time::Instant;

use tracing::{debug, trace};

use super::state::{Stream, StreamContext};
use crate::udx::control::Probe;
use crate::udx::mtu::BASE_PAYLOAD;
use crate::udx::send::MAX_OUTSTANDING;
use crate::udx::timer::Timer;
use crate::udx::types::{Closed, Event, Place};
use crate::wire::packet::{
    DESTROY, HEADER_LEN, HEARTBEAT, MAX_SACK_RANGES, MESSAGE, PacketHeader, RANGE_LEN, SACK, encode_range,
};
use crate::wire::transmit::Train;

/// The next packet with a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// One that was sent before.
    Again(u64),
    /// A second copy of one that is in flight.
    Copy(u64),
    /// A new one with this many bytes of payload, padded to a size if it probes the path.
    New(usize, Option<usize>),
    /// None, because the pace does not allow any.
    Paced,
    None,
}

impl Stream {
    /// Appends the next datagrams to `out`: one that has no number, or a train of those that have.
    pub(in crate::udx) fn poll_transmit(
        &mut self,
        now: Instant,
        max_segments: usize,
        out: &mut Vec<u8>,
    ) -> Option<Train> {
        let start = out.len();
        let train = self.put_datagrams(now, max_segments, out)?;
        self.traffic.sent(out.len() - start, train.segment_size);
        Some(train)
    }

    fn put_datagrams(&mut self, now: Instant, max_segments: usize, out: &mut Vec<u8>) -> Option<Train> {
        let (path, remote_id) = self.paths.target()?;
        if self.closed().is_some() {
            return None;
        }
        self.control.resume(now);
        if let Some(train) = self.poll_elsewhere(now, out, remote_id) {
            return Some(train);
        }
        if let Some(message) = self.next_message() {
            self.put_header(out, remote_id, MESSAGE, 0, self.next_seq());
            out.extend_from_slice(&message);
            return Some(self.single(path, "message", HEADER_LEN + message.len()));
        }
        if self.may_send_heartbeat() {
            self.liveness.heartbeat(now, self.control.timeout());
            self.sender.packets_mut().ask(now, self.control.latest_rtt());
            self.paths.asked();
            self.put_header(out, remote_id, HEARTBEAT, 0, self.next_seq());
            return Some(self.single(path, "heartbeat", HEADER_LEN));
        }
        self.control.start_train(now);
        // Data carries the acknowledgement as well, unless there are gaps to report or the peer has asked.
        let gathers = self.is_gathering();
        let next = if gathers { Next::None } else { self.next() };
        let may_carry = !self.receiver.has_gaps() && !self.acks.is_answer();
        let carried = may_carry && !matches!(next, Next::Paced | Next::None);
        if self.may_acknowledge() && !carried {
            let size = self.put_acknowledgement(out, remote_id);
            return Some(self.single(path, "acknowledgement", size));
        }
        if gathers {
            return None;
        }
        let sent = self.put_train(now, max_segments, out, remote_id);
        self.note_limits(now);
        let (segment, may_fragment) = sent?;
        Some(Train { may_fragment, ..train(path, segment) })
    }

    /// Appends a packet for another place than the path's. It may be lost, so no window counts as advertised
    /// by it.
    fn poll_elsewhere(&mut self, now: Instant, out: &mut Vec<u8>, remote_id: u32) -> Option<Train> {
        let former = std::mem::take(&mut self.former_due).then(|| self.paths.former()).flatten();
        if let Some(place) = former {
            out.extend_from_slice(&self.path_probe(remote_id));
            return Some(train(place, HEADER_LEN));
        }
        let next = self.receiver.next();
        let (place, ranges) = self.claims.take_answer(now, next, self.receiver.gaps())?;
        let kind = if ranges.is_empty() { 0 } else { SACK };
        let header = PacketHeader { kind, ..self.probe_header(remote_id) };
        let start = out.len();
        out.extend_from_slice(&header.to_bytes());
        for (from, to) in ranges.edges(MAX_SACK_RANGES) {
            encode_range(from as u32, to as u32, out);
        }
        trace!(kind, to = %place.1, "packet from elsewhere answered");
        Some(Train { may_fragment: true, ..train(place, out.len() - start) })
    }

    /// Returns a packet that acknowledges everything, or a DESTROY, and where it goes.
    pub(in crate::udx) fn last_packet(&mut self, destroy: bool) -> Option<(Place, [u8; HEADER_LEN])> {
        let (path, remote_id) = self.paths.target()?;
        let kind = if destroy { DESTROY } else { 0 };
        let window = self.own_window.advertise(self.receiver.window());
        let header = self.header(remote_id, kind, 0, self.next_seq(), window);
        Some((path, header.to_bytes()))
    }

    /// Returns whether the last packet of an orderly end is still owed, and may be sent.
    pub(in crate::udx) fn owes_last_packet(&self) -> bool {
        self.acks.is_owed() && self.paths.affords(HEADER_LEN)
    }

    /// Returns a packet that a peer answers wherever it comes from. It may be lost, so no window counts as
    /// advertised by it.
    pub(in crate::udx) fn path_probe(&self, remote_id: u32) -> [u8; HEADER_LEN] {
        self.probe_header(remote_id).to_bytes()
    }

    fn probe_header(&self, remote_id: u32) -> PacketHeader {
        let window = u32::try_from(self.receiver.window()).unwrap_or(u32::MAX);
        self.header(remote_id, HEARTBEAT, 0, self.next_seq(), window)
    }

    /// Returns whether `poll_transmit` may have something.
    pub(in crate::udx) fn has_output(&mut self, now: Instant) -> bool {
        if self.paths.target().is_none() || self.closed().is_some() {
            return false;
        }
        self.former_due
            || self.claims.owes_answer(now)
            || self.may_send_message()
            || self.may_send_heartbeat()
            || self.may_acknowledge()
            || ((self.control.probe_due().is_some() || self.control.is_ready(now))
                && !self.is_gathering()
                && self.next() != Next::None)
    }

    /// Arms the timers that depend on the state as a whole.
    pub(in crate::udx) fn arm(&mut self, now: Instant) {
        if self.paths.current().is_none() || self.closed().is_some() {
            return;
        }
        if self.reported.both_finished() {
            // What is left is for the reader. The peer may have closed already, and answers nothing any more.
            return self.liveness.stop();
        }
        let shut = self.is_window_shut();
        if self.receiver.ended() {
            self.liveness.no_more_data();
        }
        self.liveness.arm(now, self.sender.packets().len() > 0, shut);
    }

    /// Returns the next deadline and its timer.
    pub(in crate::udx) fn deadline(&self) -> Option<(Instant, Timer)> {
        if self.paths.current().is_none() || self.closed().is_some() {
            return None;
        }
        [
            self.control.deadline(self.sender.packets()),
            self.liveness.deadline(),
            self.acks.deadline().map(|at| (at, Timer::Acknowledgement)),
            self.claims.deadline().map(|at| (at, Timer::Claim)),
        ]
        .into_iter()
        .flatten()
        .min_by_key(|(at, _)| *at)
    }

    /// Handles what is due.
    pub(in crate::udx) fn handle_timeout(&mut self, now: Instant, context: &mut StreamContext<'_>) {
        if self.closed().is_some() || self.paths.current().is_none() {
            return;
        }
        self.acks.handle_timeout(now);
        self.claims.handle_timeout(now);
        let timeouts = self.control.handle_timeout(now, self.sender.packets_mut());
        if self.sender.packets().is_in_question() && self.control.probe_due() == Some(Probe::Tail) {
            self.control.cancel_probe();
            self.liveness.ask();
        }
        if timeouts.is_some_and(|count| count >= LONELY_END_TIMEOUTS) && self.waits_for_last_answer() {
            return self.close(context, Closed::Ended);
        }
        if timeouts.is_some_and(|count| count >= MAX_TIMEOUTS.saturating_mul(self.liveness.patience())) {
            return self.close(context, Closed::TimedOut);
        }
        if let Some(count) = timeouts
            && let Some(sent_at) = self.sender.packets().large_since()
        {
            let answers = self.liveness.large_timed_out(sent_at, count);
            if answers >= NARROW_ANSWERS {
                return self.close(context, Closed::Narrow);
            }
        }
        if timeouts.is_some() {
            self.handle_silence(context);
        }
        while let Some(timer) = self.liveness.handle_timeout(now) {
            match timer {
                Timer::Silence => {
                    let ended = self.waits_for_last_answer();
                    let closed = if ended { Closed::Ended } else { Closed::TimedOut };
                    return self.close(context, closed);
                }
                Timer::Stall => return self.close(context, Closed::Stalled),
                Timer::Heartbeat => {
                    debug!("heartbeat unanswered");
                    context.events.push(self.id, Event::HeartbeatUnanswered);
                }
                Timer::Pause => self.handle_silence(context),
                _ => debug!(kind = timer.reason(), "heartbeat due"),
            }
        }
    }

    /// Does what finds a peer again that has moved, or for which this node has.
    fn handle_silence(&mut self, context: &mut StreamContext<'_>) {
        self.former_due = self.paths.former().is_some();
        if self.liveness.watches() {
            debug!("peer silent");
            context.events.push(self.id, Event::Silent);
        }
    }

    /// Counts a datagram that has no number.
    fn single(&mut self, path: Place, kind: &'static str, size: usize) -> Train {
        self.paths.spend(size);
        trace!(kind, bytes = size, "packet sent");
        // It measures nothing, and an acknowledgement of many gaps may be too long for a path.
        Train { may_fragment: true, ..train(path, size) }
    }

    /// Appends packets of one size; returns it, and whether routers may divide them, or `None` if there are
    /// none.
    fn put_train(
        &mut self,
        now: Instant,
        max_segments: usize,
        out: &mut Vec<u8>,
        remote_id: u32,
    ) -> Option<(usize, bool)> {
        let start = out.len();
        let mut segment = None;
        let mut may_fragment = false;
        for _ in 0..max_segments.max(1) {
            let next = self.next();
            let Some(size) = self.size(next) else {
                break;
            };
            // Routers must not divide a probe.
            let joins_divided = may_fragment && matches!(next, Next::New(_, Some(_)));
            if joins_divided
                || segment.is_some_and(|segment| size > segment)
                || (segment.is_some() && out.len() - start + size > MAX_TRAIN)
            {
                break;
            }
            let first = self.sender.packets().in_flight() == 0;
            let (seq, is_probe) = self.launch(now, next);
            self.control.sent(now, size, first);
            self.liveness.sent(now);
            self.put_packet(out, remote_id, seq);
            self.paths.spend(size);
            trace!(seq = seq as u32, bytes = size, "packet sent");
            if segment.is_none() && !is_probe {
                may_fragment = self.sender.packets().mtu().may_fragment(size - HEADER_LEN);
            }
            let segment = *segment.get_or_insert(size);
            // Nothing follows a probe: a path too small for it would lose the whole train.
            if size < segment || is_probe {
                break;
            }
        }
        segment.map(|segment| (segment, may_fragment))
    }

    /// Takes the next packet out of the queue. Returns its number, and whether it probes the path.
    fn launch(&mut self, now: Instant, next: Next) -> (u64, bool) {
        match next {
            Next::Again(seq) => {
                self.sender.packets_mut().repeat(now, seq);
                self.traffic.packets_resent += 1;
                (seq, false)
            }
            Next::Copy(seq) => (seq, false),
            Next::New(_, padded) => {
                let made = self.sender.make(now, padded);
                let seq = made.expect("a new packet was chosen because there is something to send");
                (seq, padded.is_some())
            }
            Next::Paced | Next::None => unreachable!("what has no size is not sent"),
        }
    }

    /// Returns the next message if it may leave.
    fn next_message(&mut self) -> Option<Vec<u8>> {
        self.may_send_message().then(|| self.messages.pop_front()).flatten()
    }

    fn may_send_message(&self) -> bool {
        let next = self.messages.front();
        next.is_some_and(|message| self.paths.affords(HEADER_LEN + message.len()))
    }

    fn may_send_heartbeat(&self) -> bool {
        self.liveness.heartbeat_due() && self.paths.affords(HEADER_LEN)
    }

    fn may_acknowledge(&self) -> bool {
        let ranges = self.receiver.gaps().count();
        self.acks.is_due() && self.paths.affords(HEADER_LEN + RANGE_LEN * ranges)
    }

    /// Returns how long a datagram is.
    fn size(&self, next: Next) -> Option<usize> {
        match next {
            Next::Again(seq) | Next::Copy(seq) => {
                Some(HEADER_LEN + usize::from(self.sender.packets().get(seq).length))
            }
            Next::New(_, Some(padded)) => Some(HEADER_LEN + padded),
            Next::New(length, None) => Some(HEADER_LEN + length),
            Next::Paced | Next::None => None,
        }
    }

    /// Chooses what to send next. What credit does not cover waits for the peer.
    fn next(&mut self) -> Next {
        let next = self.choose();
        match self.size(next) {
            Some(size) if !self.paths.affords(size) => Next::None,
            _ => next,
        }
    }

    fn choose(&mut self) -> Next {
        let max = self.sender.packets().mtu().payload();
        if self.control.probe_due() == Some(Probe::Copy) {
            if self.sender.packets().alone().is_some() {
                return Next::Copy(self.sender.packets().oldest());
            }
            self.control.cancel_probe();
        }
        if self.control.probe_due() == Some(Probe::Tail) {
            // New data, if there is any, probes the tail past all limits but the peer's (RFC 8985 §7.3).
            if let Some(length) = self.sender.next_length(max)
                && !self.peer_window.is_shut()
            {
                return Next::New(length, None);
            }
            match self.sender.packets().last_in_flight() {
                Some(seq) => return Next::Again(seq),
                None => self.control.cancel_probe(),
            }
        }
        if self.sender.packets().in_flight_bytes() >= self.control.window() {
            return Next::None;
        }
        let packets = self.sender.packets();
        let (is_in_question, oldest) = (packets.is_in_question(), packets.oldest());
        let next = match self.sender.packets_mut().next_lost() {
            Some(seq) if seq == oldest || !is_in_question => Next::Again(seq),
            _ if is_in_question => Next::None,
            _ => match self.sender.next_length(max) {
                Some(length) if self.window_allows(max) => Next::New(length, self.probe_size(length)),
                _ => Next::None,
            },
        };
        if next != Next::None && !self.control.may_send() { Next::Paced } else { next }
    }

    /// Returns what a packet of `length` bytes is padded to if it can probe the path.
    fn probe_size(&self, length: usize) -> Option<usize> {
        let wanted = self.sender.packets().mtu().wanted()?;
        (wanted - length <= usize::from(u8::MAX) && !self.paths.is_changing()).then_some(wanted)
    }

    fn window_allows(&self, payload: usize) -> bool {
        let limit = self.peer_window.packets(payload);
        let packets = self.sender.packets();
        packets.in_flight() < limit && packets.len() < MAX_OUTSTANDING.min(2 * limit + MIN_SPAN)
    }

    /// Returns whether new data waits until the window has opened a good part: many short trains cost more
    /// than a long one.
    fn is_gathering(&mut self) -> bool {
        let in_flight = self.sender.packets().in_flight_bytes();
        let window = self.control.window();
        let room = window.saturating_sub(in_flight);
        room < (window / GATHERED_SHARE).min(MAX_GATHERED)
            && in_flight > 0
            && self.sender.unsent_bytes() as u64 > room
            && self.control.probe_due().is_none()
            && self.sender.packets_mut().next_lost().is_none()
    }

    /// Remembers what sending waits for.
    fn note_limits(&mut self, now: Instant) {
        match self.next() {
            Next::Paced => self.control.pause(now),
            Next::None => self.control.rest(self.sender.packets_mut()),
            _ => {}
        }
    }

    fn put_packet(&mut self, out: &mut Vec<u8>, remote_id: u32, seq: u64) {
        let packet = self.sender.packets().get(seq);
        let (kind, padding) = (packet.kind, packet.padding);
        self.put_header(out, remote_id, kind, padding, seq);
        out.resize(out.len() + usize::from(padding), 0);
        self.sender.copy_payload(seq, out);
        if !self.receiver.has_gaps() {
            self.acks.clear();
        }
    }

    /// Appends an acknowledgement and returns its size.
    fn put_acknowledgement(&mut self, out: &mut Vec<u8>, remote_id: u32) -> usize {
        let start = out.len();
        let kind = if self.receiver.has_gaps() { SACK } else { 0 };
        self.put_header(out, remote_id, kind, 0, self.next_seq());
        for (from, to) in self.receiver.gaps() {
            encode_range(from as u32, to as u32, out);
        }
        self.acks.clear();
        out.len() - start
    }

    fn put_header(&mut self, out: &mut Vec<u8>, remote_id: u32, kind: u8, data_offset: u8, seq: u64) {
        let window = self.own_window.advertise(self.receiver.window());
        let header = self.header(remote_id, kind, data_offset, seq, window);
        out.extend_from_slice(&header.to_bytes());
    }

    const fn header(&self, remote_id: u32, kind: u8, data_offset: u8, seq: u64, window: u32) -> PacketHeader {
        PacketHeader {
            kind,
            data_offset,
            stream_id: remote_id,
            window,
            seq: seq as u32,
            ack: self.receiver.next() as u32,
        }
    }

    /// Returns whether nothing is missing but the acknowledgement of the own bare end by a peer that has
    /// ended before. The reference closes as soon as it has both ends and answers nothing any more, so if its
    /// last answer was lost, none will ever come (`udx.md` §17, P14).
    fn waits_for_last_answer(&self) -> bool {
        self.receiver.ended() && self.sender.only_end_is_out()
    }

    /// Returns the number that packets without one of their own carry.
    fn next_seq(&self) -> u64 {
        self.sender.packets().next()
    }
}

const fn train((socket, destination): Place, segment_size: usize) -> Train {
    Train { socket, destination, ttl: None, may_fragment: false, segment_size }
}

/// How much of the window, and how many bytes at most, are gathered for a train.
const GATHERED_SHARE: u64 = 8;
const MAX_GATHERED: u64 = 16 << 10;
/// What segmentation offload takes in one piece.
const MAX_TRAIN: usize = 65_000;
/// Numbers beyond twice the window that may be out: small windows still allow for lost packets.
const MIN_SPAN: usize = 64;
/// Time-outs in a row after which a peer that has ended counts as having received the own end: 2 to 7 s.
const LONELY_END_TIMEOUTS: u32 = 3;
/// Time-outs in a row after which a stream closes: some 50 s for a peer that answers but never acknowledges,
/// and longer in proportion for a stream that waits longer for a silent peer. The reference closes on the 7th
/// (`udx.md` §12).
const MAX_TIMEOUTS: u32 = 12;

/// How often in a row the peer answers a small packet, and not the large one that was sent with it, before
/// the stream ends. Once is not enough: the path may have come back in between.
const NARROW_ANSWERS: u32 = 3;

const _: () = assert!(BASE_PAYLOAD + HEADER_LEN < MAX_TRAIN);
