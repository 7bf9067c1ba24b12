//! The bytes that go to the peer: written, sent, and held until they are acknowledged.

use std::time::{Duration, Instant};

use super::outstanding::Outstanding;
use super::packet::RECORD;
use crate::buffer::{ByteQueue, MAX_SPARES, Pool};
use crate::wire::packet::{DATA, END};

/// The sending side of a stream.
#[derive(Debug)]
pub(super) struct Sender {
    buffer: ByteQueue<MAX_SPARES>,
    /// Stream offset of the first byte in `buffer`.
    base: u64,
    /// Stream offset of the first byte that no packet has taken.
    unsent: u64,
    end_queued: bool,
    end_sent: bool,
    packets: Outstanding,
    /// What the packets that are out may take.
    limit: usize,
}

impl Sender {
    pub(super) fn new(start: u64, max_payload: usize, may_divide: bool) -> Self {
        Self {
            buffer: ByteQueue::default(),
            base: 0,
            unsent: 0,
            end_queued: false,
            end_sent: false,
            packets: Outstanding::new(start, max_payload, may_divide),
            limit: MAX_UNACKNOWLEDGED,
        }
    }

    pub(super) const fn packets(&self) -> &Outstanding {
        &self.packets
    }

    pub(super) const fn packets_mut(&mut self) -> &mut Outstanding {
        &mut self.packets
    }

    /// Sets what may be sent and not acknowledged at the moment.
    pub(super) fn allow(&mut self, share: usize) {
        self.limit = share.min(MAX_UNACKNOWLEDGED);
    }

    /// Returns how much memory is held of what was sent, for as long as it is not acknowledged.
    pub(super) fn memory(&self) -> usize {
        self.buffer.memory().saturating_sub(self.unsent_bytes()) + RECORD * self.packets.len()
    }

    /// Copies what fits of `bytes` and returns how much: at most `waiting` bytes wait for their first
    /// transmission.
    pub(super) fn write(&mut self, pool: &mut Pool, bytes: &[u8], waiting: usize) -> usize {
        let taken = bytes.len().min(self.room(waiting));
        self.buffer.extend(pool, &bytes[..taken]);
        taken
    }

    /// Takes `chunk` whole, and leaves an empty one in its place, if [`Self::write`] would take any of it.
    pub(super) fn write_chunk(&mut self, pool: &mut Pool, chunk: &mut Vec<u8>, waiting: usize) -> bool {
        let fits = self.room(waiting) > 0;
        if fits {
            self.buffer.push_or_copy(pool, chunk);
        }
        fits
    }

    fn room(&self, waiting: usize) -> usize {
        waiting.saturating_sub(self.unsent_bytes())
    }

    /// Ends the stream after the bytes written so far.
    pub(super) const fn queue_end(&mut self) {
        self.end_queued = true;
    }

    /// Handles a cumulative acknowledgement, which must not be beyond what was sent.
    pub(super) fn acknowledge_below(&mut self, now: Instant, ack: u64, minimum: Option<Duration>) {
        if self.packets.acknowledge_below(now, ack, minimum) {
            let first = self.packets.first();
            let freed = first.map_or(self.unsent, |packet| packet.offset);
            self.buffer.remove((freed - self.base) as usize);
            self.base = freed;
        }
    }

    /// Makes the next packet, padded to a size if it probes the path, and returns its number. `None` if there
    /// is nothing to send for the first time.
    pub(super) fn make(&mut self, now: Instant, padded_to: Option<usize>) -> Option<u64> {
        let length = self.next_length(self.packets.mtu().payload())?;
        let mut kind = if length > 0 { DATA } else { 0 };
        let offset = self.unsent;
        self.unsent += length as u64;
        if self.end_queued && self.unsent_bytes() == 0 {
            kind |= END;
            self.end_sent = true;
        }
        Some(self.packets.add(now, offset, length, kind, padded_to))
    }

    /// Returns how long the payload of the next new packet is; `None` if there is none to make.
    pub(super) fn next_length(&self, max: usize) -> Option<usize> {
        let length = self.unsent_bytes().min(max);
        let has_packet = length > 0 || (self.end_queued && !self.end_sent);
        (has_packet && self.packets.len() < MAX_OUTSTANDING && self.may_hold(length)).then_some(length)
    }

    /// Returns whether a packet with `length` bytes more may be out. A single one may in any case: what
    /// acknowledges it wakes the stream again.
    fn may_hold(&self, length: usize) -> bool {
        let (sent, packets) = ((self.unsent - self.base) as usize, self.packets.len());
        packets == 0 || sent + length + RECORD * (packets + 1) <= self.limit
    }

    /// Appends the payload of a packet.
    pub(super) fn copy_payload(&mut self, seq: u64, out: &mut Vec<u8>) {
        let packet = self.packets.get(seq);
        let start = (packet.offset - self.base) as usize;
        self.buffer.copy(start, packet.length.into(), out);
    }

    /// Gives back memory that is not needed any more.
    pub(super) fn reclaim(&mut self, pool: &mut Pool) {
        self.buffer.reclaim(pool);
        self.packets.reclaim();
    }

    /// Gives back all memory.
    pub(super) fn clear(&mut self, pool: &mut Pool) {
        self.buffer.clear(pool);
        self.packets.clear();
        self.end_queued = false;
        self.unsent = 0;
        self.base = 0;
        self.reclaim(pool);
    }

    pub(super) fn unsent_bytes(&self) -> usize {
        self.buffer.len() - (self.unsent - self.base) as usize
    }

    /// Returns whether [`Self::write`] would take half of the bytes that may wait, or more, and one at least.
    pub(super) fn has_room(&self, waiting: usize) -> bool {
        self.room(waiting) >= (waiting / 2).max(1)
    }

    pub(super) const fn end_queued(&self) -> bool {
        self.end_queued
    }

    /// Returns whether the own end, and everything before it, is acknowledged.
    pub(super) fn end_acknowledged(&self) -> bool {
        self.end_sent && self.packets.len() == 0
    }

    /// Returns whether the own end, without data, is the only thing that is not acknowledged.
    pub(super) fn only_end_is_out(&self) -> bool {
        let first = self.packets.first();
        self.end_sent && self.packets.len() == 1 && first.is_some_and(|packet| packet.kind == END)
    }

    /// Returns how many bytes are held, sent or not.
    pub(super) fn buffered(&self) -> usize {
        self.buffer.len()
    }
}

/// The most bytes that a stream has sent and holds until they are acknowledged, whatever window the peer
/// claims: twice what a gigabit needs at 250 ms.
pub(super) const MAX_UNACKNOWLEDGED: usize = 64 << 20;
/// The most packets without acknowledgement.
pub(super) const MAX_OUTSTANDING: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::udx::seq::START;

    #[test]
    fn a_peer_that_acknowledges_nothing_bounds_what_we_hold() {
        let (mut pool, now) = (Pool::default(), Instant::now());
        let mut sender = Sender::new(START, 1452, false);
        sender.allow(usize::MAX);
        let mut bytes = vec![7; MAX_UNACKNOWLEDGED];
        assert!(sender.write_chunk(&mut pool, &mut bytes, 1 << 20));
        while sender.make(now, None).is_some() {}
        let held = MAX_UNACKNOWLEDGED - sender.unsent_bytes() + RECORD * sender.packets.len();
        assert!((MAX_UNACKNOWLEDGED - 2000..=MAX_UNACKNOWLEDGED).contains(&held), "{held}");
        assert!(sender.memory() >= held);
    }

    #[test]
    fn packets_are_bounded_however_small_they_are_and_leave_no_memory_behind() {
        let (mut pool, now) = (Pool::default(), Instant::now());
        let mut sender = Sender::new(START, 1452, false);
        let small = |sender: &mut Sender, pool: &mut Pool| {
            assert_eq!(sender.write(pool, b"x", 1), 1);
            sender.make(now, None)
        };
        for seq in START..START + MAX_OUTSTANDING as u64 {
            assert_eq!(small(&mut sender, &mut pool), Some(seq));
        }
        assert_eq!(small(&mut sender, &mut pool), None);
        assert!(sender.memory() > RECORD * MAX_OUTSTANDING);
        assert!(sender.packets.memory() > 64 * MAX_OUTSTANDING);
        // Those that are out alone need little, though they never all go.
        sender.acknowledge_below(now, START + MAX_OUTSTANDING as u64 - 3, None);
        sender.packets.detect(|_| false);
        sender.reclaim(&mut pool);
        assert!(sender.packets.memory() < 32 * RECORD, "{}", sender.packets.memory());
    }

    #[test]
    fn one_packet_may_always_be_out_and_more_as_far_as_is_allowed() {
        let (mut pool, now) = (Pool::default(), Instant::now());
        let mut sender = Sender::new(START, 1000, false);
        sender.write(&mut pool, &[7; 10_000], usize::MAX);
        sender.allow(0);
        assert!(sender.make(now, None).is_some());
        assert_eq!(sender.make(now, None), None);
        sender.allow(3 * (sender.packets.mtu().payload() + RECORD));
        assert!(sender.make(now, None).is_some() && sender.make(now, None).is_some());
        assert_eq!(sender.make(now, None), None);
        sender.acknowledge_below(now, START + 1, None);
        assert!(sender.make(now, None).is_some());
    }
}
