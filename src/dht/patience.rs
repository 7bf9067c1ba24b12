//! How long answers usually take, and so from when on one is late.

use std::time::Duration;

/// Estimates the time within which nine of ten answers come, from the answers themselves.
#[derive(Debug)]
pub(super) struct Patience {
    estimate: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { estimate: START }
    }
}

impl Patience {
    /// Counts an answer. Of ten, nine lower the estimate by as much together as one raises it.
    pub(super) fn note(&mut self, rtt: Duration) {
        let step = self.estimate / STEPS;
        if rtt > self.estimate {
            self.estimate += step * 9 / 10;
        } else {
            self.estimate -= step / 10;
        }
        self.estimate = self.estimate.clamp(SHORTEST, LONGEST);
    }

    /// Returns the time after which an answer is late.
    pub(super) const fn limit(&self) -> Duration {
        self.estimate
    }
}

/// Before anything is known.
const START: Duration = Duration::from_millis(500);
/// A scheduler may delay anybody by so much.
const SHORTEST: Duration = Duration::from_millis(30);
/// Then the request is sent again anyway.
const LONGEST: Duration = Duration::from_millis(900);
/// One answer changes the estimate by a fraction of this.
const STEPS: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settles_where_nine_of_ten_answers_have_come() {
        let mut patience = Patience::default();
        for round in 0..5000_u64 {
            // All whole milliseconds from 100 to 299, in no order.
            patience.note(Duration::from_millis(100 + round * 7919 % 200));
        }
        let limit = patience.limit().as_millis();
        assert!((250..=299).contains(&limit), "{limit} ms");
        for _ in 0..1000 {
            patience.note(Duration::from_micros(50));
        }
        assert_eq!(patience.limit(), SHORTEST);
        for _ in 0..1000 {
            patience.note(Duration::from_secs(9));
        }
        assert_eq!(patience.limit(), LONGEST);
    }
}
