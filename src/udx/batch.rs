//! What a batch of received datagrams has acknowledged.

use std::time::Instant;

use super::rate::Snapshot;

/// An acknowledged packet as loss detection and the measurements see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Acked {
    /// Counts all transmissions of the stream, so it orders them.
    pub(super) transmission: u64,
    pub(super) sent_at: Instant,
    pub(super) snapshot: Snapshot,
}

/// The packets acknowledged since the last flush.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Bytes acknowledged, headers included.
    pub(super) bytes: u64,
    /// The oldest outstanding number went up.
    pub(super) advanced: bool,
    /// The packet that was sent last.
    pub(super) latest: Option<Acked>,
    /// The packet sent last of those sent once, by which the round trip is measured.
    pub(super) measured: Option<Acked>,
    /// Lowest number acknowledged that was sent once.
    pub(super) lowest: Option<u64>,
    /// Highest number acknowledged.
    pub(super) highest: Option<u64>,
    /// A packet sent again was acknowledged sooner than any answer to the second copy can come.
    pub(super) spurious: bool,
}

impl Batch {
    /// Adds a packet of `size` bytes, which was `repeated`, in vain if that was `spurious`.
    pub(super) fn add(&mut self, seq: u64, size: u64, acked: Acked, repeated: bool, spurious: bool) {
        self.bytes += size;
        self.highest = self.highest.max(Some(seq));
        if spurious {
            // The first copy was only late. Nothing can be learned from this pair of times.
            self.spurious = true;
            return;
        }
        let is_later = |other: &Acked| acked.transmission > other.transmission;
        if !repeated {
            self.lowest = Some(self.lowest.map_or(seq, |lowest| lowest.min(seq)));
            if self.measured.as_ref().is_none_or(is_later) {
                self.measured = Some(acked);
            }
        }
        if self.latest.as_ref().is_none_or(is_later) {
            self.latest = Some(acked);
        }
    }
}
