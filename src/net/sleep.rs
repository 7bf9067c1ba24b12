//! Notices that the host was asleep.
//!
//! The clock that timers go by stands still while a host sleeps, on Linux and macOS, and on a virtual machine
//! that is paused. The time of day goes on, or is set right afterwards. To set it by hand looks the same, and
//! costs an announcement.

use std::time::{Duration, Instant, SystemTime};

use tracing::debug;

/// Compares the two clocks from time to time.
#[derive(Debug)]
pub(super) struct Sleep {
    compared: Instant,
    time_of_day: SystemTime,
}

impl Sleep {
    pub(super) fn new(now: Instant) -> Self {
        Self { compared: now, time_of_day: SystemTime::now() }
    }

    /// Returns whether the host has slept since the last comparison, if one is due.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> bool {
        now >= self.poll_timeout() && self.compare(now, SystemTime::now())
    }

    pub(super) fn poll_timeout(&self) -> Instant {
        self.compared + INTERVAL
    }

    fn compare(&mut self, now: Instant, time_of_day: SystemTime) -> bool {
        // A clock that was set back has no such duration, and is no sign of sleep.
        let of_day = time_of_day.duration_since(self.time_of_day).unwrap_or_default();
        let passed = now.saturating_duration_since(self.compared);
        (self.compared, self.time_of_day) = (now, time_of_day);
        let slept = of_day.saturating_sub(passed);
        let has_slept = slept >= SHORTEST;
        if has_slept {
            debug!(seconds = slept.as_secs(), "the host was asleep");
        }
        has_slept
    }
}

/// Between two comparisons. With the announcement that follows, a server is reachable again in ten seconds.
const INTERVAL: Duration = Duration::from_secs(3);
/// A shorter sleep leaves mappings of routers and announcements in place, and a clock that is slightly off
/// may be set right at any time.
const SHORTEST: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what a comparison finds after so many seconds on the clock of timers and of the day.
    fn compared(passed: u64, of_day: i64) -> bool {
        let now = Instant::now();
        let mut sleep = Sleep::new(now);
        let seconds = Duration::from_secs(of_day.unsigned_abs());
        let time_of_day = if of_day < 0 { sleep.time_of_day - seconds } else { sleep.time_of_day + seconds };
        let found = sleep.compare(now + Duration::from_secs(passed), time_of_day);
        assert!(
            !sleep.compare(now + Duration::from_secs(passed + 3), time_of_day + INTERVAL),
            "is noticed once"
        );
        found
    }

    #[test]
    fn sleep_is_noticed_and_neither_a_late_turn_nor_a_clock_that_is_set_back() {
        assert!(compared(3, 45 * 60));
        assert!(compared(3, 13));
        assert!(!compared(3, 12));
        assert!(!compared(45 * 60, 45 * 60), "the process was stopped, or the clock counts sleep");
        assert!(!compared(3, -3600));
        assert!(!compared(3, 3));
    }
}
