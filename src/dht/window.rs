//! The congestion window of requests.

use std::time::{Duration, Instant};

/// Bounds the requests in flight: what was sent in the last three seconds and has no response (dht-rpc.md §9,
/// §15 "congestion window").
pub(super) struct Window {
    slots: [u32; SLOTS],
    current: usize,
    since: Instant,
}

impl Window {
    pub(super) const fn new(now: Instant) -> Self {
        Self { slots: [0; SLOTS], current: 0, since: now }
    }

    /// Returns whether the next request must wait.
    pub(super) fn is_full(&mut self, now: Instant) -> bool {
        self.advance(now);
        self.slots[self.current] >= MAX_PER_SLOT || self.slots.iter().sum::<u32>() >= MAX_TOTAL
    }

    /// Returns when the window opens next by itself.
    pub(super) fn opens(&self) -> Instant {
        self.since + SLOT
    }

    pub(super) fn sent(&mut self, now: Instant) {
        self.advance(now);
        self.slots[self.current] += 1;
    }

    pub(super) fn answered(&mut self) {
        // The newest slot with a count, because most responses come soon after the request.
        let newest = (0..SLOTS).map(|age| (self.current + SLOTS - age) % SLOTS);
        if let Some(slot) = newest.into_iter().find(|slot| self.slots[*slot] > 0) {
            self.slots[slot] -= 1;
        }
    }

    fn advance(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.since).as_millis() / SLOT.as_millis();
        let passed = u32::try_from(passed).unwrap_or(u32::MAX);
        self.since += SLOT * passed;
        for _ in 0..passed.min(SLOTS as u32) {
            self.current = (self.current + 1) % SLOTS;
            self.slots[self.current] = 0;
        }
    }
}

/// Slots of the window, and the time that each stands for.
const SLOTS: usize = 4;
const SLOT: Duration = Duration::from_millis(750);
/// Requests in one slot, and in all.
const MAX_PER_SLOT: u32 = 80;
const MAX_TOTAL: u32 = 160;
