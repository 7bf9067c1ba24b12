//! What has come from the peer: bytes for the reader, and packets that wait for a gap to close (`udx.md` §8).

use std::collections::BTreeMap;

use super::memory::Allowance;
use super::seq::RangeSet;
use crate::buffer::{ByteQueue, MAX_SPARES, Pool};
use crate::wire::packet::{DATA, END, MAX_PAYLOAD, MAX_SACK_RANGES};

/// What became of a packet with DATA or END.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It was the next one.
    Delivered,
    /// It waits for packets before it.
    Kept,
    /// It came before, or after the end; the peer may have missed the acknowledgement.
    Repeated,
    /// It is not acknowledged because it does not fit the window.
    Refused,
    /// It can't be the peer's.
    Contradicts,
}

/// The receiving side of a stream.
#[derive(Debug)]
pub(super) struct Receiver {
    /// The first number of the peer.
    first: u64,
    /// The next number expected.
    next: u64,
    /// Packets ahead of `next`, by number: far ahead costs no more than near.
    ahead: BTreeMap<u64, Early>,
    ranges: RangeSet,
    early_bytes: usize,
    ready: ByteQueue<MAX_SPARES>,
    end: Option<u64>,
    ended: bool,
    window: usize,
    /// The widest that the window gets.
    max_window: usize,
    allowance: Allowance,
    /// What the stream must begin with, and how much of it has come.
    expected: Vec<u8>,
    matched: usize,
}

/// A packet that came before one with a lower number.
#[derive(Debug)]
struct Early {
    kind: u8,
    payload: Box<[u8]>,
}

impl Early {
    /// Tiny packets are charged as larger ones, so that the window bounds their number too.
    fn charge(&self) -> usize {
        self.payload.len().max(MIN_CHARGE)
    }
}

impl Receiver {
    /// A window of `window` bytes, which widens to `max_window`.
    pub(super) fn new(start: u64, window: usize, max_window: usize) -> Self {
        Self {
            first: start,
            next: start,
            ahead: BTreeMap::new(),
            ranges: RangeSet::new(),
            early_bytes: 0,
            ready: ByteQueue::default(),
            end: None,
            ended: false,
            window,
            max_window: max_window.max(window),
            allowance: Allowance { share: usize::MAX, free: usize::MAX, free_ahead: usize::MAX },
            expected: Vec::new(),
            matched: 0,
        }
    }

    /// Forgets what has come: it was not the peer's.
    pub(super) fn restart(&mut self, pool: &mut Pool) {
        self.clear(pool);
        *self = Self::new(self.first, self.window, self.max_window);
    }

    /// Begins at another number, before anything has come.
    pub(super) fn start_at(&mut self, start: u64) {
        *self = Self::new(start, self.window, self.max_window);
    }

    /// Sets the window, which does not widen.
    pub(super) const fn fix_window(&mut self, window: usize) {
        self.window = window;
        self.max_window = window;
    }

    /// Sets what the stream may hold at the moment.
    pub(super) const fn allow(&mut self, allowance: Allowance) {
        self.allowance = allowance;
    }

    /// Returns how much memory is held.
    pub(super) fn memory(&self) -> usize {
        self.early_bytes + self.ahead.len() * EARLY_OVERHEAD + self.ready.memory()
    }

    /// Returns how many more bytes may be held that cannot be delivered yet.
    pub(super) const fn free_ahead(&self) -> usize {
        self.allowance.free_ahead
    }

    /// Returns what the reader has not taken yet.
    pub(super) fn unread(&self) -> impl Iterator<Item = &[u8]> {
        self.ready.pieces(0, self.ready.len())
    }

    /// Returns what packet `seq` holds, if it waits for others.
    pub(super) fn early(&self, seq: u64) -> Option<&[u8]> {
        self.ahead.get(&seq).map(|early| &*early.payload)
    }

    /// Sets the bytes that the stream must begin with. Returns false if other ones have come already.
    pub(super) fn expect(&mut self, expected: Vec<u8>) -> bool {
        let here = self.ready.len().min(expected.len());
        let agrees = self.ready.agrees(&expected);
        self.matched = here;
        self.expected = expected;
        agrees
    }

    /// Returns whether the stream must begin with known bytes.
    pub(super) const fn is_expecting(&self) -> bool {
        !self.expected.is_empty()
    }

    /// Returns whether the bytes that the stream must begin with have come.
    pub(super) const fn is_proven(&self) -> bool {
        self.matched >= self.expected.len()
    }

    /// Returns whether `payload` may come next.
    pub(super) fn agrees(&self, payload: &[u8]) -> bool {
        let rest = &self.expected[self.matched..];
        let common = rest.len().min(payload.len());
        rest[..common] == payload[..common]
    }

    /// Handles a packet with DATA or END whose number is known to be plausible.
    pub(super) fn receive(&mut self, pool: &mut Pool, seq: u64, kind: u8, payload: &[u8]) -> Arrival {
        let payload = if kind & DATA != 0 { payload } else { &[] };
        if seq < self.next || self.ended || self.end.is_some_and(|end| seq > end) {
            return Arrival::Repeated;
        }
        let distance = (seq - self.next) as usize;
        if self.ahead.contains_key(&seq) {
            return Arrival::Repeated;
        }
        // Acknowledgements overtake each other, so a sender may overrun the window. What fills a gap is taken
        // beyond it, and the next packet in any case: it is what all kept ones wait for.
        let full = self.full_window();
        let slack = SLACK.min(self.allowance.share);
        let fills_gap = self.ahead.last_key_value().is_some_and(|(last, _)| seq < *last);
        let (held, limit) = match distance {
            0 => (self.ready.len(), full + slack),
            _ if fills_gap => (self.held(), full + full / 4 + slack),
            _ => (self.held(), full + slack),
        };
        let free = if distance == 0 { self.allowance.free } else { self.allowance.free_ahead };
        if held + payload.len() > limit || payload.len() > free || distance >= self.max_ahead() {
            return Arrival::Refused;
        }
        if distance > 0 {
            let early = Early { kind, payload: payload.into() };
            self.early_bytes += early.charge();
            self.ahead.insert(seq, early);
            self.ranges.insert(seq, seq + 1, |_, _| {});
            if kind & END != 0 {
                self.end = Some(seq);
            }
            return Arrival::Kept;
        }
        if !self.deliver(pool, kind, payload) {
            return Arrival::Contradicts;
        }
        self.drain(pool);
        Arrival::Delivered
    }

    /// Delivers the packet numbered `next`.
    fn deliver(&mut self, pool: &mut Pool, kind: u8, payload: &[u8]) -> bool {
        if !self.agrees(payload) {
            return false;
        }
        self.matched = self.expected.len().min(self.matched + payload.len());
        self.ready.extend(pool, payload);
        self.next += 1;
        if kind & END != 0 {
            self.end = Some(self.next - 1);
            self.ended = true;
        }
        true
    }

    fn drain(&mut self, pool: &mut Pool) {
        while let Some(early) = self.ahead.remove(&self.next) {
            self.early_bytes -= early.charge();
            if !self.deliver(pool, early.kind, &early.payload) {
                return self.forget_early();
            }
        }
        if self.ended {
            self.forget_early();
        }
        self.ranges.remove_below(self.next);
    }

    /// Drops all packets that wait for others: their sender was not the peer, or they are beyond the end.
    pub(super) fn forget_early(&mut self) {
        self.ahead.clear();
        self.ranges.clear();
        self.early_bytes = 0;
        if !self.ended {
            self.end = None;
        }
    }

    /// Moves at most `max` bytes to `out`, without a copy where that goes, and returns how many.
    pub(super) fn read(&mut self, pool: &mut Pool, max: usize, out: &mut Vec<u8>) -> usize {
        self.ready.read(pool, max, out)
    }

    /// Gives back the memory.
    pub(super) fn clear(&mut self, pool: &mut Pool) {
        self.forget_early();
        self.ready.clear(pool);
    }

    pub(super) const fn readable(&self) -> usize {
        self.ready.len()
    }

    /// Returns whether anything has come.
    pub(super) fn has_begun(&self) -> bool {
        self.received() > 0 || self.has_gaps()
    }

    /// Returns how many packets have come in order.
    pub(super) const fn received(&self) -> u64 {
        self.next - self.first
    }

    /// Returns the next number expected.
    pub(super) const fn next(&self) -> u64 {
        self.next
    }

    /// Returns whether everything up to the peer's end has come.
    pub(super) const fn ended(&self) -> bool {
        self.ended
    }

    /// Returns the window to advertise.
    pub(super) fn window(&self) -> usize {
        self.full_window().saturating_sub(self.held())
    }

    /// Doubles the window as far as it may widen, unless something else holds the peer up.
    pub(super) fn grow(&mut self) {
        if self.full_window() == self.window {
            self.window = self.max_window.min(2 * self.window);
        }
    }

    /// Returns whether most of the window holds what waits for a lost packet, and nothing for the reader.
    pub(super) fn is_held_up(&self) -> bool {
        self.ready.is_empty() && self.early_bytes > self.full_window() / 2
    }

    /// Returns the window of an empty stream. A sender that has not proven to be the peer gets little, and
    /// nobody more than the memory of all streams allows.
    pub(super) fn full_window(&self) -> usize {
        let window = if self.is_proven() { self.window } else { self.window.min(UNPROVEN_WINDOW) };
        window.min(self.allowance.share)
    }

    /// Returns how far ahead of the next number a packet may be: what full windows of full packets need, and
    /// as much again.
    pub(super) fn max_ahead(&self) -> usize {
        if self.is_proven() { (2 * self.window / MIN_CHARGE).clamp(MIN_AHEAD, MAX_AHEAD) } else { MIN_AHEAD }
    }

    /// Returns the packets that wait, lowest first, as far as an acknowledgement reports them: with very
    /// many gaps, those in the middle were reported when they were the highest.
    pub(super) fn gaps(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.ranges.edges(MAX_SACK_RANGES)
    }

    pub(super) fn has_gaps(&self) -> bool {
        !self.ranges.is_empty()
    }

    fn held(&self) -> usize {
        self.ready.len() + self.early_bytes
    }
}

/// What a waiting packet counts at least.
const MIN_CHARGE: usize = 1024;
/// What a waiting packet takes beside its bytes: its place in the tables, and what allocations round up to.
const EARLY_OVERHEAD: usize = 128;
/// By how much the window may be overdrawn: packets of peers that probe a closed window with data.
pub(super) const SLACK: usize = 8 * MAX_PAYLOAD;
/// How far ahead packets are kept at least, and at most before the peer has proven itself.
const MIN_AHEAD: usize = 128;
/// The window before the peer has proven itself.
pub(super) const UNPROVEN_WINDOW: usize = 128 << 10;
/// The most numbers ahead of the next expected one at which a packet is kept.
pub(super) const MAX_AHEAD: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::udx::seq::START;

    #[test]
    fn waiting_packets_are_bounded_by_the_window_however_small_they_are() {
        let mut pool = Pool::default();
        let mut receiver = Receiver::new(START, 64 << 10, 64 << 10);
        let mut kept = 0;
        for distance in 1..MAX_AHEAD as u64 {
            if receiver.receive(&mut pool, START + distance, DATA, b"x") == Arrival::Kept {
                kept += 1;
            }
        }
        assert!(kept <= ((64 << 10) + SLACK).div_ceil(MIN_CHARGE), "{kept}");
        assert!(receiver.ahead.len() <= receiver.max_ahead());
        assert_eq!(receiver.window(), 0);
    }

    #[test]
    fn unread_bytes_are_bounded_by_the_window() {
        let mut pool = Pool::default();
        let mut receiver = Receiver::new(START, 16 << 10, 16 << 10);
        let mut seq = START;
        while receiver.receive(&mut pool, seq, DATA, &[7; 1000]) == Arrival::Delivered {
            seq += 1;
        }
        assert!(receiver.readable() <= (16 << 10) + SLACK);
        assert_eq!(receiver.window(), 0);
        let mut out = Vec::new();
        assert_eq!(receiver.read(&mut pool, usize::MAX, &mut out), (seq - START) as usize * 1000);
        assert_eq!(receiver.window(), 16 << 10);
        assert_eq!(receiver.ready.capacity(), 0, "an empty stream holds no buffer");
    }

    #[test]
    fn the_packet_that_all_wait_for_is_taken_even_if_they_fill_the_window() {
        let mut pool = Pool::default();
        let mut receiver = Receiver::new(START, 16 << 10, 16 << 10);
        let mut last = START;
        while receiver.receive(&mut pool, last + 1, DATA, &[7; 1200]) == Arrival::Kept {
            last += 1;
        }
        assert_eq!(receiver.window(), 0);
        assert_eq!(receiver.receive(&mut pool, START, DATA, &[7; 1200]), Arrival::Delivered);
        assert_eq!(receiver.next(), last + 1);
    }

    #[test]
    fn a_sender_without_proof_gets_a_small_window() {
        let mut pool = Pool::default();
        let mut receiver = Receiver::new(START, 4 << 20, 4 << 20);
        assert!(receiver.expect(b"abcdef".to_vec()));
        assert_eq!(receiver.window(), UNPROVEN_WINDOW);
        let mut held = 0;
        for distance in 1..MAX_AHEAD as u64 {
            if receiver.receive(&mut pool, START + distance, DATA, &[7; MAX_PAYLOAD]) == Arrival::Kept {
                held += MAX_PAYLOAD;
            }
        }
        assert!(held <= UNPROVEN_WINDOW + SLACK, "{held}");
        receiver.forget_early();
        let far = START + MIN_AHEAD as u64;
        let arrival = receiver.receive(&mut pool, far, DATA, b"x");
        assert_eq!(arrival, Arrival::Refused);
        receiver.receive(&mut pool, START, DATA, b"abcdef");
        assert_eq!(receiver.window(), (4 << 20) - 6);
        assert!(receiver.max_ahead() > MIN_AHEAD);
    }

    #[test]
    fn a_packet_far_ahead_costs_no_more_than_a_near_one() {
        let mut pool = Pool::default();
        let mut receiver = Receiver::new(START, 4 << 20, 4 << 20);
        let far = START + receiver.max_ahead() as u64 - 1;
        assert_eq!(receiver.receive(&mut pool, far, DATA, b"x"), Arrival::Kept);
        assert_eq!(receiver.ahead.len(), 1);
    }

    #[test]
    fn a_beginning_that_contradicts_is_no_beginning() {
        let mut pool = Pool::default();
        let mut receiver = Receiver::new(START, 1 << 20, 1 << 20);
        assert!(receiver.expect(b"abcdef".to_vec()));
        assert_eq!(receiver.receive(&mut pool, START, DATA, b"abX"), Arrival::Contradicts);
        assert_eq!(receiver.receive(&mut pool, START, DATA, b"abc"), Arrival::Delivered);
        assert!(!receiver.is_proven());
        assert_eq!(receiver.receive(&mut pool, START + 2, DATA, b"more"), Arrival::Kept);
        assert_eq!(receiver.receive(&mut pool, START + 1, DATA, b"defghi"), Arrival::Delivered);
        assert!(receiver.is_proven());
        assert_eq!(receiver.next(), START + 3);
        assert!(!receiver.has_gaps());
    }
}
