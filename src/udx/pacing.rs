//! When the next train may leave: pacing as RFC 9002 §7.7 recommends it, by a bucket of tokens.
//!
//! The reference has a bucket of a millisecond's grain without a cap (`udx.md` §15), whose bursts overflow
//! shallow queues (`udx-speed.md` §3). Here credit grows with time at the pacing rate and every datagram
//! takes its size from it. It is capped, so that a pause is not followed by a burst, but not under a few
//! milliseconds' worth: timers of operating systems are no finer. What accrues while a train waits for it is
//! not saved up but owed, and capped less.

use std::time::{Duration, Instant};

/// The credit of a stream, in bytes.
#[derive(Debug)]
pub(super) struct Pacer {
    credit: f64,
    refilled: Option<Instant>,
    /// A train waits for credit, so that what accrues meanwhile is owed and not saved up in a pause.
    owes: bool,
}

impl Pacer {
    pub(super) const fn new() -> Self {
        Self { credit: INITIAL_CREDIT, refilled: None, owes: false }
    }

    /// Adds what has accrued until `now` at `rate` bytes per second, and returns whether anything may be
    /// sent.
    pub(super) fn refill(&mut self, now: Instant, rate: f64) -> bool {
        let elapsed = self.refilled.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.refilled = Some(now);
        let (seconds, bytes) =
            if self.owes { (MAX_OWED_SECONDS, MAX_OWED) } else { (MAX_BURST_SECONDS, MAX_BURST) };
        let cap = (rate * seconds).clamp(INITIAL_CREDIT, bytes);
        self.credit = (self.credit + rate * elapsed.as_secs_f64()).min(cap);
        self.may_send()
    }

    pub(super) fn may_send(&self) -> bool {
        self.credit > 0.0
    }

    pub(super) fn spend(&mut self, bytes: usize) {
        self.credit -= bytes as f64;
    }

    /// Notes that something else than credit holds the stream back.
    pub(super) const fn rest(&mut self) {
        self.owes = false;
    }

    /// Returns when a train is worth sending again, after credit has run out.
    pub(super) fn ready_at(&mut self, now: Instant, rate: f64) -> Instant {
        self.owes = true;
        let train = (rate * TRAIN_SECONDS).clamp(1.0, MAX_TRAIN);
        let wait = ((train - self.credit) / rate.max(1.0)).clamp(1e-6, 1.0);
        now + Duration::from_secs_f64(wait)
    }
}

/// What may leave at once: ten packets, the initial window of RFC 6928.
const INITIAL_CREDIT: f64 = 16_384.0;
/// What a pause may save up at most.
const MAX_BURST: f64 = 262_144.0;
const MAX_BURST_SECONDS: f64 = 0.004;
/// A busy machine wakes its tasks late. Without what is owed for that, the stream would be slower than its
/// rate, measure that as the path's, and become slower again.
const MAX_OWED: f64 = 2_097_152.0;
const MAX_OWED_SECONDS: f64 = 0.02;
/// Trains are a quarter of a millisecond long, and no longer than segmentation offload takes (`udx-speed.md`
/// §5).
const MAX_TRAIN: f64 = 65_536.0;
const TRAIN_SECONDS: f64 = 0.000_25;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_not_followed_by_a_burst() {
        let start = Instant::now();
        let mut pacer = Pacer::new();
        assert!(pacer.refill(start, 1e6));
        pacer.spend(INITIAL_CREDIT as usize);
        assert!(!pacer.may_send());
        let ready = pacer.ready_at(start, 1e6);
        assert!(pacer.refill(ready, 1e6));
        pacer.rest();
        assert!(pacer.refill(start + Duration::from_secs(60), 1e6));
        assert!(pacer.credit <= INITIAL_CREDIT);
    }

    #[test]
    fn a_machine_that_wakes_its_tasks_late_does_not_slow_a_stream() {
        let start = Instant::now();
        let (mut now, mut sent, rate) = (start, 0, 50e6);
        let mut pacer = Pacer::new();
        while now < start + Duration::from_secs(1) {
            while pacer.refill(now, rate) {
                pacer.spend(1472);
                sent += 1472;
            }
            now = pacer.ready_at(now, rate) + Duration::from_millis(8);
        }
        assert!((49_000_000..51_000_000).contains(&sent), "{sent}");
        // Nothing waits any more: what a pause would bring is not owed.
        pacer.rest();
        pacer.refill(now + Duration::from_secs(1), rate);
        assert!(pacer.credit <= MAX_BURST, "{}", pacer.credit);
    }

    #[test]
    fn the_rate_is_kept_over_many_trains() {
        let start = Instant::now();
        let (mut now, mut sent, rate) = (start, 0, 10e6);
        let mut pacer = Pacer::new();
        while now < start + Duration::from_secs(1) {
            while pacer.refill(now, rate) {
                pacer.spend(1472);
                sent += 1472;
            }
            now = pacer.ready_at(now, rate);
        }
        assert!((9_900_000..10_100_000).contains(&sent), "{sent}");
    }
}
