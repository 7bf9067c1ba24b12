//! What goes to the peer: written bytes, and the packets made of them until they are acknowledged.
//!
//! A packet keeps its number and its borders for ever, so it is a view of the byte queue and holds no bytes
//! itself. Packets are found by their distance from the oldest unacknowledged one.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::chunks::Chunks;
use super::mtu::Mtu;
use super::pool::Pool;
use super::rate::{Delivery, Snapshot};
use super::seq::RangeSet;
use crate::wire::packet::{DATA, END, HEADER_LEN};

/// Where a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Acknowledged,
    InFlight,
    /// To be sent again.
    Lost,
}

/// A packet that took a number.
#[derive(Debug)]
pub(super) struct Packet {
    offset: u64,
    length: u16,
    pub(super) kind: u8,
    /// Zeros before the payload, only in a probe of the path.
    pub(super) padding: u8,
    pub(super) state: State,
    repeated: bool,
    /// Counts all transmissions of the stream, so it orders them.
    pub(super) transmission: u64,
    pub(super) sent_at: Instant,
    snapshot: Snapshot,
}

impl Packet {
    /// Returns its size as a datagram.
    pub(super) const fn size(&self) -> usize {
        HEADER_LEN + self.padding as usize + self.length as usize
    }

    /// Returns the length of its payload.
    pub(super) const fn unpadded(&self) -> usize {
        self.length as usize
    }
}

/// An acknowledged packet as loss detection sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Acked {
    pub(super) transmission: u64,
    pub(super) sent_at: Instant,
    pub(super) repeated: bool,
    snapshot: Snapshot,
}

/// What a batch of received datagrams has acknowledged.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Bytes acknowledged, headers included.
    pub(super) bytes: u64,
    /// The oldest outstanding number went up.
    pub(super) advanced: bool,
    /// The one that was sent last.
    pub(super) latest: Option<Acked>,
    /// The one sent last of those sent once, by which the round trip is measured.
    pub(super) measured: Option<Acked>,
    /// Lowest number acknowledged that was sent once.
    pub(super) lowest: Option<u64>,
    /// Highest number acknowledged.
    pub(super) highest: Option<u64>,
    /// A packet sent again was acknowledged sooner than any answer to the second copy can come.
    pub(super) spurious: bool,
}

/// The sending side of a stream.
#[derive(Debug)]
pub(super) struct Sender {
    oldest: u64,
    packets: VecDeque<Packet>,
    buffer: Chunks,
    /// Stream offset of the first byte in `buffer`.
    base: u64,
    /// Stream offset of the first byte that no packet has taken.
    unsent: u64,
    end_queued: bool,
    end_sent: bool,
    sacked: RangeSet,
    order: VecDeque<(u64, u64)>,
    lost: VecDeque<u64>,
    transmissions: u64,
    in_flight_bytes: u64,
    in_flight: usize,
    pub(super) delivery: Delivery,
}

impl Sender {
    pub(super) fn new(start: u64) -> Self {
        Self {
            oldest: start,
            packets: VecDeque::new(),
            buffer: Chunks::default(),
            base: 0,
            unsent: 0,
            end_queued: false,
            end_sent: false,
            sacked: RangeSet::new(),
            order: VecDeque::new(),
            lost: VecDeque::new(),
            transmissions: 0,
            in_flight_bytes: 0,
            in_flight: 0,
            delivery: Delivery::default(),
        }
    }

    /// Takes what fits of `bytes`: at most `waiting` bytes wait for their first transmission.
    pub(super) fn write(&mut self, pool: &mut Pool, bytes: &[u8], waiting: usize) -> usize {
        let taken = bytes.len().min(self.room(waiting));
        self.buffer.extend(pool, &bytes[..taken]);
        taken
    }

    /// Takes `chunk` whole, and leaves an empty one in its place, if [`Self::write`] would take any of it.
    pub(super) fn write_chunk(&mut self, pool: &mut Pool, chunk: &mut Vec<u8>, waiting: usize) -> bool {
        let fits = self.room(waiting) > 0;
        if fits {
            self.buffer.push(pool, chunk);
        }
        fits
    }

    fn room(&self, waiting: usize) -> usize {
        waiting
            .saturating_sub(self.unsent_bytes())
            .min(MAX_SEND_BUFFER.saturating_sub(self.buffer.len()))
    }

    pub(super) const fn queue_end(&mut self) {
        self.end_queued = true;
    }

    /// Takes a cumulative acknowledgement, which must not be beyond [`Self::next`].
    pub(super) fn acknowledge_below(
        &mut self,
        now: Instant,
        ack: u64,
        minimum: Option<Duration>,
        batch: &mut Batch,
        mtu: &mut Mtu,
    ) {
        if ack <= self.oldest {
            return;
        }
        while self.oldest < ack {
            self.acknowledge(now, self.oldest, minimum, batch, mtu);
            self.packets.pop_front();
            self.oldest += 1;
        }
        batch.advanced = true;
        self.sacked.remove_below(self.oldest);
        let freed = self.packets.front().map_or(self.unsent, |packet| packet.offset);
        self.buffer.remove((freed - self.base) as usize);
        self.base = freed;
    }

    /// Takes a selective acknowledgement of `[start, end)`. Ranges that can't be are ignored.
    pub(super) fn acknowledge_range(
        &mut self,
        now: Instant,
        start: u64,
        end: u64,
        minimum: Option<Duration>,
        batch: &mut Batch,
        mtu: &mut Mtu,
    ) {
        if start >= end || end > self.next() || start < self.oldest {
            return;
        }
        let mut sacked = std::mem::replace(&mut self.sacked, RangeSet::new());
        sacked.insert(start, end, |from, to| {
            for seq in from..to {
                self.acknowledge(now, seq, minimum, batch, mtu);
            }
        });
        self.sacked = sacked;
    }

    fn acknowledge(
        &mut self,
        now: Instant,
        seq: u64,
        minimum: Option<Duration>,
        batch: &mut Batch,
        mtu: &mut Mtu,
    ) {
        let packet = &mut self.packets[(seq - self.oldest) as usize];
        if packet.state == State::Acknowledged {
            return;
        }
        let size = packet.size() as u64;
        if packet.state == State::InFlight {
            self.in_flight -= 1;
            self.in_flight_bytes -= size;
        }
        packet.state = State::Acknowledged;
        if packet.padding > 0 {
            mtu.acknowledged(packet.size() - HEADER_LEN);
        }
        self.delivery.add(now, size);
        batch.bytes += size;
        batch.highest = batch.highest.max(Some(seq));
        let acked = Acked {
            transmission: packet.transmission,
            sent_at: packet.sent_at,
            repeated: packet.repeated,
            snapshot: packet.snapshot,
        };
        if acked.repeated {
            if minimum.is_some_and(|minimum| now.saturating_duration_since(acked.sent_at) < minimum) {
                // The first copy was only late. Nothing can be learned from this pair of times.
                batch.spurious = true;
                return;
            }
        } else {
            batch.lowest = Some(batch.lowest.map_or(seq, |lowest| lowest.min(seq)));
            if batch
                .measured
                .is_none_or(|other| acked.transmission > other.transmission)
            {
                batch.measured = Some(acked);
            }
        }
        if batch
            .latest
            .is_none_or(|other| acked.transmission > other.transmission)
        {
            batch.latest = Some(acked);
        }
    }

    /// Measures the delivery rate with what a batch has acknowledged.
    pub(super) fn sample(
        &mut self,
        now: Instant,
        acked: &Acked,
        minimum: Option<Duration>,
    ) -> Option<super::rate::Sample> {
        self.delivery.sample(now, &acked.snapshot, acked.sent_at, minimum)
    }

    /// Calls `is_lost` with the packets in flight, the one that left earliest first, until it returns false,
    /// and marks the others lost. Returns how many bytes were lost, without probes of the path.
    pub(super) fn detect(&mut self, mtu: &mut Mtu, mut is_lost: impl FnMut(&Packet) -> bool) -> u64 {
        let mut bytes = 0;
        while let Some(&(transmission, seq)) = self.order.front() {
            let packet = seq
                .checked_sub(self.oldest)
                .and_then(|at| self.packets.get_mut(at as usize));
            if let Some(packet) = packet
                && packet.state == State::InFlight
                && packet.transmission == transmission
            {
                if !is_lost(packet) {
                    break;
                }
                self.in_flight -= 1;
                self.in_flight_bytes -= packet.size() as u64;
                packet.state = State::Lost;
                self.lost.push_back(seq);
                if packet.padding > 0 {
                    mtu.lost(packet.size() - HEADER_LEN);
                    packet.padding = 0;
                } else {
                    bytes += packet.size() as u64;
                }
            }
            self.order.pop_front();
        }
        if self.order.len() > 4 * self.packets.len() + 64 {
            self.forget_old_transmissions();
        }
        bytes
    }

    fn forget_old_transmissions(&mut self) {
        let (oldest, packets) = (self.oldest, &self.packets);
        self.order.retain(|(transmission, seq)| {
            let packet = seq.checked_sub(oldest).and_then(|at| packets.get(at as usize));
            packet
                .is_some_and(|packet| packet.state == State::InFlight && packet.transmission == *transmission)
        });
    }

    /// Puts the packets that wait for being sent again in the order of their numbers.
    pub(super) fn sort_lost(&mut self) {
        self.lost.make_contiguous().sort_unstable();
    }

    /// Returns the number of the next packet to send again.
    pub(super) fn next_lost(&mut self) -> Option<u64> {
        while let Some(&seq) = self.lost.front() {
            let packet = seq
                .checked_sub(self.oldest)
                .and_then(|at| self.packets.get(at as usize));
            if packet.is_some_and(|packet| packet.state == State::Lost) {
                return Some(seq);
            }
            self.lost.pop_front();
        }
        None
    }

    /// Returns the highest number in flight.
    pub(super) fn last_in_flight(&self) -> Option<u64> {
        let at = self
            .packets
            .iter()
            .rposition(|packet| packet.state == State::InFlight)?;
        Some(self.oldest + at as u64)
    }

    /// Makes the next packet of at most `max` bytes of payload. `None` if there is nothing to send for the
    /// first time.
    pub(super) fn make(&mut self, now: Instant, max: usize, padded_to: Option<usize>) -> Option<u64> {
        let length = self.next_length(max)?;
        let mut kind = if length > 0 { DATA } else { 0 };
        let offset = self.unsent;
        self.unsent += length as u64;
        if self.end_queued && self.unsent_bytes() == 0 {
            kind |= END;
            self.end_sent = true;
        }
        let padding = padded_to.map_or(0, |size| size.saturating_sub(length));
        let snapshot = self.delivery.snapshot(now, self.in_flight == 0);
        let seq = self.next();
        self.packets.push_back(Packet {
            offset,
            length: u16::try_from(length).expect("a payload is far smaller than 64 KiB"),
            kind,
            padding: u8::try_from(padding).unwrap_or(0),
            state: State::Lost,
            repeated: false,
            transmission: 0,
            sent_at: now,
            snapshot,
        });
        self.launch(now, seq);
        Some(seq)
    }

    /// Takes note that `seq` is sent again now.
    pub(super) fn repeat(&mut self, now: Instant, seq: u64) {
        let snapshot = self.delivery.snapshot(now, self.in_flight == 0);
        let packet = &mut self.packets[(seq - self.oldest) as usize];
        if packet.state == State::InFlight {
            self.in_flight -= 1;
            self.in_flight_bytes -= packet.size() as u64;
        }
        packet.repeated = true;
        packet.padding = 0;
        packet.snapshot = snapshot;
        self.launch(now, seq);
    }

    /// Forgets that packets in flight probe the path: it is another one now.
    pub(super) fn abandon_probes(&mut self) {
        for packet in &mut self.packets {
            if packet.state == State::InFlight {
                self.in_flight_bytes -= u64::from(packet.padding);
            }
            packet.padding = 0;
        }
    }

    fn launch(&mut self, now: Instant, seq: u64) {
        let packet = &mut self.packets[(seq - self.oldest) as usize];
        self.transmissions += 1;
        packet.transmission = self.transmissions;
        packet.sent_at = now;
        packet.state = State::InFlight;
        self.order.push_back((self.transmissions, seq));
        self.in_flight += 1;
        self.in_flight_bytes += packet.size() as u64;
    }

    /// Returns how long the payload of the next new packet is; `None` if there is none to make.
    pub(super) fn next_length(&self, max: usize) -> Option<usize> {
        let length = self.unsent_bytes().min(max);
        let has_packet = length > 0 || (self.end_queued && !self.end_sent);
        (has_packet && self.packets.len() < MAX_OUTSTANDING).then_some(length)
    }

    /// Appends the payload of a packet.
    pub(super) fn copy_payload(&mut self, seq: u64, out: &mut Vec<u8>) {
        let packet = &self.packets[(seq - self.oldest) as usize];
        let start = (packet.offset - self.base) as usize;
        self.buffer.copy(start, packet.length.into(), out);
    }

    /// Gives back memory that an idle stream does not need.
    pub(super) fn reclaim(&mut self, pool: &mut Pool) {
        self.buffer.reclaim(pool);
        if self.packets.is_empty() && self.buffer.is_empty() && self.packets.capacity() > SMALL {
            self.packets = VecDeque::new();
            self.order = VecDeque::new();
            self.lost = VecDeque::new();
        }
    }

    /// Gives back all memory.
    pub(super) fn clear(&mut self, pool: &mut Pool) {
        self.buffer.clear(pool);
        self.packets.clear();
        self.in_flight = 0;
        self.in_flight_bytes = 0;
        self.end_queued = false;
        self.unsent = 0;
        self.base = 0;
        self.reclaim(pool);
    }

    pub(super) fn get(&self, seq: u64) -> &Packet {
        &self.packets[(seq - self.oldest) as usize]
    }

    /// Returns the next number to be used.
    pub(super) fn next(&self) -> u64 {
        self.oldest + self.packets.len() as u64
    }

    /// Returns the oldest number that is not acknowledged.
    pub(super) const fn oldest(&self) -> u64 {
        self.oldest
    }

    pub(super) fn unsent_bytes(&self) -> usize {
        self.buffer.len() - (self.unsent - self.base) as usize
    }

    /// Returns how many packets have numbers and no acknowledgement, gaps included.
    pub(super) fn outstanding(&self) -> usize {
        self.packets.len()
    }

    pub(super) const fn in_flight(&self) -> usize {
        self.in_flight
    }

    pub(super) const fn in_flight_bytes(&self) -> u64 {
        self.in_flight_bytes
    }

    /// Tells whether more bytes can be held.
    pub(super) fn has_room(&self) -> bool {
        self.buffer.len() < MAX_SEND_BUFFER / 2
    }

    /// Tells whether `count` packets were acknowledged before older ones.
    pub(super) fn sacked_at_least(&self, count: u64) -> bool {
        let mut sum = 0;
        self.sacked.iter().any(|(from, to)| {
            sum += to - from;
            sum >= count
        })
    }

    pub(super) const fn end_queued(&self) -> bool {
        self.end_queued
    }

    /// Tells whether our end, and everything before it, is acknowledged.
    pub(super) fn end_acknowledged(&self) -> bool {
        self.end_sent && self.packets.is_empty()
    }

    /// Tells whether our end, without data, is the only thing that is not acknowledged.
    pub(super) fn only_end_is_out(&self) -> bool {
        self.end_sent
            && self.packets.len() == 1
            && self.packets.front().is_some_and(|packet| packet.kind == END)
    }

    /// Returns how many bytes are held, sent or not.
    #[cfg(test)]
    pub(super) fn buffered(&self) -> usize {
        self.buffer.len()
    }
}

/// The most bytes that a stream holds for its peer, whatever window the peer claims.
pub(super) const MAX_SEND_BUFFER: usize = 16 << 20;
/// The most packets without acknowledgement.
pub(super) const MAX_OUTSTANDING: usize = 32_768;
/// An idle stream may keep room for this many packets.
const SMALL: usize = 16;
