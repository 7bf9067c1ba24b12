//! The bytes that go to the peer: written, sent, and held until they are acknowledged.

use std::time::{Duration, Instant};

use super::outstanding::Outstanding;
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
        }
    }

    pub(super) const fn packets(&self) -> &Outstanding {
        &self.packets
    }

    pub(super) const fn packets_mut(&mut self) -> &mut Outstanding {
        &mut self.packets
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
        waiting.saturating_sub(self.unsent_bytes()).min(MAX_SEND_BUFFER.saturating_sub(self.buffer.len()))
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
        (has_packet && self.packets.len() < MAX_OUTSTANDING).then_some(length)
    }

    /// Appends the payload of a packet.
    pub(super) fn copy_payload(&mut self, seq: u64, out: &mut Vec<u8>) {
        let packet = self.packets.get(seq);
        let start = (packet.offset - self.base) as usize;
        self.buffer.copy(start, packet.length.into(), out);
    }

    /// Gives back memory that an idle stream does not need.
    pub(super) fn reclaim(&mut self, pool: &mut Pool) {
        self.buffer.reclaim(pool);
        if self.buffer.is_empty() {
            self.packets.reclaim();
        }
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

    /// Returns whether [`Self::write`] would take half of the bytes that may wait, or more.
    pub(super) fn has_room(&self, waiting: usize) -> bool {
        self.room(waiting) >= waiting / 2
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

/// The most bytes that a stream holds for its peer, whatever window the peer claims.
pub(super) const MAX_SEND_BUFFER: usize = 16 << 20;
/// The most packets without acknowledgement.
pub(super) const MAX_OUTSTANDING: usize = 32_768;
