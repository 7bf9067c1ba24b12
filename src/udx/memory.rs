//! The memory that received bytes take, of all streams of a table together.

/// What is held, and what may be.
#[derive(Debug)]
pub(super) struct Memory {
    limit: usize,
    /// Held by the streams.
    streams: usize,
    /// Held by the owner of the table: bytes that it has read and not used yet.
    elsewhere: usize,
}

/// What one stream may hold at the moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    /// The most that it holds, whatever its window is.
    pub(super) share: usize,
    /// How much more all streams together may hold in order, and ahead of a gap.
    pub(super) free: usize,
    pub(super) free_ahead: usize,
}

impl Memory {
    pub(super) const fn new(limit: usize) -> Self {
        Self { limit, streams: 0, elsewhere: 0 }
    }

    /// Counts a stream that held `before` bytes and now holds `after`.
    pub(super) const fn count(&mut self, before: usize, after: usize) {
        self.streams = self.streams + after - before;
    }

    pub(super) const fn set_elsewhere(&mut self, bytes: usize) {
        self.elsewhere = bytes;
    }

    /// Returns all that is held.
    pub(super) const fn held(&self) -> usize {
        self.streams + self.elsewhere
    }

    /// Returns what one stream may hold: a part of what is free. So few large ones never fill the memory, a
    /// new one always gets as much as the others, and none notices it before the memory is nearly full
    /// (Choudhury and Hahne, "Dynamic Queue Length Thresholds for Shared-Memory Packet Switches", 1998).
    pub(super) fn allowance(&self) -> Allowance {
        let free = self.limit.saturating_sub(self.held());
        let share = (free / SHARE).max(MIN_SHARE);
        // What waits for a gap to close may wait for ever. What comes in order goes on to its reader.
        Allowance { share, free, free_ahead: free.saturating_sub(self.limit / SHARE) }
    }
}

/// One stream holds at most so small a part of what is free.
const SHARE: usize = 8;
/// Two packets: a stream that takes them in order goes on.
const MIN_SHARE: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_streams_leave_room_and_many_get_equal_shares() {
        let mut memory = Memory::new(256 << 20);
        assert_eq!(memory.allowance().share, 32 << 20, "more than the widest window");
        for _ in 0..1000 {
            let allowance = memory.allowance();
            memory.count(0, allowance.share.min(allowance.free));
        }
        assert!(memory.held() <= 256 << 20);
        assert_eq!(memory.allowance().share, MIN_SHARE);
        memory.set_elsewhere(256 << 20);
        assert_eq!((memory.allowance().free, memory.allowance().free_ahead), (0, 0));
        memory.set_elsewhere(0);
        memory.count(memory.held(), 0);
        assert_eq!(memory.allowance().share, 32 << 20);
    }
}
