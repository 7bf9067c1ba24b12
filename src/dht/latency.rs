//! How long responses usually take, and so when one is late.

use std::time::Duration;

/// Estimates the time within which nine of ten responses come: a stochastic approximation of the 0.9 quantile
/// (Robbins and Monro 1951), with steps in proportion to the estimate.
#[derive(Debug)]
pub(super) struct Latency {
    estimate: Duration,
}

impl Default for Latency {
    fn default() -> Self {
        Self { estimate: START }
    }
}

impl Latency {
    /// Counts a response. Of ten, nine lower the estimate by as much together as one raises it.
    pub(super) fn note(&mut self, rtt: Duration) {
        let step = self.estimate / STEPS;
        if rtt > self.estimate {
            self.estimate += step * 9 / 10;
        } else {
            self.estimate -= step / 10;
        }
        self.estimate = self.estimate.clamp(SHORTEST, LONGEST);
    }

    /// Returns the time after which a response is late.
    pub(super) const fn limit(&self) -> Duration {
        self.estimate
    }
}

/// Before anything is known.
const START: Duration = Duration::from_millis(500);
/// A scheduler may delay any host by so much.
const SHORTEST: Duration = Duration::from_millis(30);
/// A request is sent again after a second anyway.
const LONGEST: Duration = Duration::from_millis(900);
/// A response changes the estimate by its `STEPS`th part at most.
const STEPS: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn converges_to_where_nine_of_ten_responses_have_come() {
        let mut latency = Latency::default();
        for round in 0..5000_u64 {
            // All whole milliseconds from 100 to 299, in no order.
            latency.note(Duration::from_millis(100 + round * 7919 % 200));
        }
        let limit = latency.limit().as_millis();
        assert!((250..=299).contains(&limit), "{limit} ms");
        for _ in 0..1000 {
            latency.note(Duration::from_micros(50));
        }
        assert_eq!(latency.limit(), SHORTEST);
        for _ in 0..1000 {
            latency.note(Duration::from_secs(9));
        }
        assert_eq!(latency.limit(), LONGEST);
    }
}
