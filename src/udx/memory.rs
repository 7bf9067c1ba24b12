//! The memory that received bytes take, sent ones until they are acknowledged, and written ones until they
//! are sent, of all streams of a table together.

/// What is held, and what may be: of what was received, or of what was sent.
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

/// The written bytes that wait to be sent for the first time.
///
/// What waits long is no longer in the processor's cache when it is sent, and a stream that always has
/// something to send is no faster for having more.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    bytes: usize,
}

impl Unsent {
    /// Counts a stream of which `before` bytes waited and now `after`.
    pub(super) const fn count(&mut self, before: usize, after: usize) {
        self.bytes = self.bytes + after - before;
    }

    /// Returns how many bytes of one stream may wait: `most` if no other has any, and all together hardly
    /// more than three times as many, however many streams there are.
    pub(super) fn share(&self, most: usize) -> usize {
        let free = (UNSENT_BUFFERS * most).saturating_sub(self.bytes);
        (free / (UNSENT_BUFFERS - 1)).clamp(MIN_UNSENT.min(most), most)
    }
}

/// Three buffers for all streams: one stream that has filled its own may still have half of the other two.
const UNSENT_BUFFERS: usize = 3;
/// Written bytes come in pieces of 64 KiB, the last of which may exceed what is left.
const MIN_UNSENT: usize = 16 << 10;
/// One stream holds at most so small a part of what is free.
const SHARE: usize = 4;
/// Two packets: a stream that takes them in order, or gets them acknowledged, goes on.
const MIN_SHARE: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_stream_has_a_whole_buffer_and_many_share_three() {
        let mut unsent = Unsent::default();
        assert_eq!(unsent.share(1 << 20), 1 << 20);
        unsent.count(0, 1 << 20);
        assert_eq!(unsent.share(1 << 20), 1 << 20, "its own bytes do not make it less");
        for _ in 0..100 {
            unsent.count(0, unsent.share(1 << 20));
        }
        assert!(unsent.bytes <= (3 << 20) + 100 * MIN_UNSENT, "{}", unsent.bytes);
        assert_eq!(unsent.share(1 << 20), MIN_UNSENT);
        assert_eq!(unsent.share(1000), 1000, "no more than a stream may have");
        unsent.count(unsent.bytes, 0);
        assert_eq!(unsent.share(1 << 20), 1 << 20);
    }

    #[test]
    fn a_few_streams_leave_room_and_many_get_equal_shares() {
        let mut memory = Memory::new(256 << 20);
        assert_eq!(memory.allowance().share, 64 << 20, "the widest window");
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
        assert_eq!(memory.allowance().share, 64 << 20);
    }
}
