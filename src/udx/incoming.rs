//! What a packet does to its stream.

use std::time::Instant;

use super::recv::{Arrival, MAX_AHEAD};
use super::seq::expand;
use super::stream::{Place, Shared, Stream};
use super::types::{Admission, Closed, Event};
use crate::wire::packet::{
    DATA, DESTROY, END, HEADER_LEN, HEARTBEAT, MAX_PAYLOAD, MESSAGE, PacketHeader, SACK,
};

impl Stream {
    /// Takes a packet for this stream from `place`. A packet that can't be the peer's has no effect at all.
    pub(super) fn handle_packet(
        &mut self,
        now: Instant,
        shared: &mut Shared<'_>,
        place: Place,
        header: &PacketHeader,
        rest: &[u8],
    ) {
        let seq = expand(header.seq, self.receiver.next());
        let ack = expand(header.ack, self.sender.next());
        if self.closed.is_some()
            || !self.is_plausible(seq, ack)
            || !self.admit(now, shared, place, header, seq, rest)
        {
            return;
        }
        if self.path == Some(place) {
            self.credit.lift();
        }
        let is_plain = header.kind & (DATA | END | MESSAGE | DESTROY | HEARTBEAT) == 0;
        let outstanding = self.sender.outstanding() > 0;
        self.liveness.heard(now, is_plain && !outstanding, outstanding);
        if header.has(HEARTBEAT) {
            // The reference looks at nothing else in such a packet.
            self.ack_owed = true;
            self.ack_due = true;
            return;
        }
        let Some(payload) = header.payload(rest) else {
            return;
        };
        if header.has(DESTROY) && seq >= self.receiver.next() {
            return self.close(shared, Closed::Reset);
        }
        if header.has(DATA | END) {
            self.take_data(shared, seq, header.kind, payload);
        }
        if header.has(MESSAGE) {
            shared.events.push(self.id, Event::Message(payload.to_vec()));
        }
        self.take_window(header.window, seq, ack);
        self.take_acknowledgement(now, header, ack, rest);
        if self.receiver.ended() && !self.remote_finished_told {
            self.report(shared);
        }
    }

    /// Checks the numbers: nothing that was not sent can be acknowledged, and nothing is taken from beyond
    /// any window.
    fn is_plausible(&self, seq: u64, ack: u64) -> bool {
        let next = self.receiver.next();
        seq < next + self.receiver.max_ahead() as u64
            && seq + MAX_AHEAD as u64 >= next
            && ack <= self.sender.next()
            && ack + MAX_AHEAD as u64 >= self.sender.oldest()
    }

    /// Decides by where a packet came from, and moves the path if it is to be learned.
    fn admit(
        &mut self,
        now: Instant,
        shared: &mut Shared<'_>,
        place: Place,
        header: &PacketHeader,
        seq: u64,
        rest: &[u8],
    ) -> bool {
        let settled = self.is_settled();
        let next = header.has(DATA) && !header.has(HEARTBEAT) && seq == self.receiver.next();
        let payload = header.payload(rest).unwrap_or_default();
        if !settled && next && !self.receiver.agrees(payload) {
            return false;
        }
        if self.path == Some(place) {
            return true;
        }
        if self.alternate == Some(place) {
            self.alternate_heard = Some(now);
            return true;
        }
        if self.path.is_some() && self.candidates.contains(place.1.ip()) {
            if self.offered != Some(place) {
                self.offered = Some(place);
                let (socket, address) = place;
                shared
                    .events
                    .push(self.id, Event::PathOffered { socket, address });
            }
            return true;
        }
        let learn = match self.admission {
            Admission::Only(socket, address) => return place == (socket, address),
            Admission::Refuse => return false,
            Admission::HoldAndAccept => false,
            Admission::LearnPath => true,
        };
        if settled && (self.path.is_some() || self.held.is_some_and(|held| held != place)) {
            return false;
        }
        let proves = self.expecting && next && !payload.is_empty();
        if !settled && !proves && self.path.or(self.held).is_some_and(|known| known != place) {
            return false;
        }
        if self.path.or(self.held).is_some_and(|known| known != place) {
            // What others sent ahead of the proof is not the peer's.
            self.receiver.forget_kept();
        }
        if !learn {
            if self.path.is_some() {
                self.alternate = Some(place);
            } else {
                self.held = Some(place);
            }
            return true;
        }
        if self.remote_id.is_none() {
            return false;
        }
        self.set_path(shared.config, place);
        let (socket, address) = place;
        shared
            .events
            .push(self.id, Event::PathLearned { socket, address });
        true
    }

    fn take_data(&mut self, shared: &mut Shared<'_>, seq: u64, kind: u8, payload: &[u8]) {
        let had_gaps = self.receiver.has_gaps();
        let proven = self.receiver.is_proven();
        let readable = self.receiver.readable();
        match self.receiver.receive(shared.pool, seq, kind, payload) {
            Arrival::Contradicts => return,
            Arrival::Delivered if !had_gaps && kind & END == 0 => {
                self.ack_owed = true;
                self.unacknowledged += 1;
            }
            Arrival::Delivered | Arrival::Kept | Arrival::Repeated | Arrival::Refused => {
                self.ack_owed = true;
                self.ack_due = true;
            }
        }
        if self.expecting && !proven && self.receiver.is_proven() {
            shared.events.push(self.id, Event::PathValidated);
        }
        if self.receiver.readable() > readable && !self.readable_told {
            self.readable_told = true;
            shared.events.push(self.id, Event::Readable);
        }
    }

    /// Takes the window unless a newer packet has told it.
    fn take_window(&mut self, window: u32, seq: u64, ack: u64) {
        if ack < self.sender.oldest() {
            return;
        }
        if seq > self.window_seq || (seq == self.window_seq && ack >= self.window_ack) {
            self.peer_window = window;
            self.window_seq = seq;
            self.window_ack = ack;
        }
    }

    fn take_acknowledgement(&mut self, now: Instant, header: &PacketHeader, ack: u64, rest: &[u8]) {
        let minimum = self.rtt.minimum();
        self.sender
            .acknowledge_below(now, ack, minimum, &mut self.batch, &mut self.mtu);
        if header.has(SACK) {
            let (oldest, end) = (self.sender.oldest(), self.sender.next());
            for (from, to) in header.ranges(rest).take(MAX_PAYLOAD / 8) {
                if self.sender.outstanding() > 0 {
                    let (from, to) = (expand(from, oldest), expand(to, end));
                    self.sender
                        .acknowledge_range(now, from, to, minimum, &mut self.batch, &mut self.mtu);
                }
            }
        }
    }
}

const _: () = assert!(HEADER_LEN + MAX_PAYLOAD == 2048);
