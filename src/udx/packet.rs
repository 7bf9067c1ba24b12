//! One packet that has a number.

use std::time::Instant;

use super::rate::Snapshot;
use crate::wire::packet::HEADER_LEN;

/// Where a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PacketState {
    Acknowledged,
    InFlight,
    /// It waits to be sent again.
    Lost,
}

/// A packet that took a number. It keeps its number and its borders, so it is a view of the byte queue.
#[derive(Debug)]
pub(super) struct Packet {
    /// The offset of its payload in the stream.
    pub(super) offset: u64,
    pub(super) length: u16,
    pub(super) kind: u8,
    /// Zeros before the payload, only in a probe of the path.
    pub(super) padding: u8,
    pub(super) state: PacketState,
    pub(super) repeated: bool,
    /// A second copy was sent right after the first one.
    pub(super) copied: bool,
    /// Counts all transmissions of the stream, so it orders them.
    pub(super) transmission: u64,
    pub(super) sent_at: Instant,
    pub(super) snapshot: Snapshot,
}

impl Packet {
    /// Returns its size as a datagram.
    pub(super) const fn size(&self) -> usize {
        HEADER_LEN + self.padding as usize + self.length as usize
    }

    /// Returns a part of it as a packet that waits to be sent.
    pub(super) fn part(&self, offset: u64, length: usize, kind: u8) -> Self {
        let length = u16::try_from(length).expect("a part is no longer than the whole");
        let state = PacketState::Lost;
        Self { offset, length, kind, padding: 0, state, transmission: 0, ..*self }
    }

    pub(super) fn is_acknowledged(&self) -> bool {
        self.state == PacketState::Acknowledged
    }
}

/// What a packet takes beside its payload: its place among those that are out, and in the orders in which
/// they left and go again.
pub(super) const RECORD: usize = size_of::<Packet>() + 2 * size_of::<(u64, u64)>();
