//! How STARTUP finds the size of a long path sooner than by doubling.
//!
//! From 32 packets, a path that holds thousands is filled after six or seven round trips. But the first
//! rounds show more than they use: what leaves within a quarter of a round trip and is acknowledged without
//! delay has crossed the path at four times the pace that the window asks for, so four times as much fits.
//! So while no acknowledgement is late, each lets four times leave what it acknowledges, instead of twice.
//! The idea is that of SUSS (Arghavani et al., SIGCOMM 2024), which looks at the length of a train of
//! acknowledgements where this looks at the delay of each.
//!
//! The first queue that shows ends it for good, and so do losses that are too many for a radio link.

use std::time::Duration;

use super::bounds::Losses;

/// Whether STARTUP is accelerated.
#[derive(Debug)]
pub(super) struct Acceleration {
    is_on: bool,
    /// The last round in which it was.
    until: u64,
}

impl Acceleration {
    pub(super) const fn new() -> Self {
        Self { is_on: true, until: 0 }
    }

    pub(super) const fn is_on(&self) -> bool {
        self.is_on
    }

    /// Ends it if this round shows a queue or losses, or `over` if something else does.
    pub(super) fn update(&mut self, round: u64, losses: &Losses, over: bool) {
        if self.is_on {
            self.until = round;
            self.is_on = !(over || losses.is_inflated() || losses.is_losing_more_than(LOST_SHARE, LOST));
        }
    }

    /// Returns whether what is found in this round may come from the high pace: what was sent at it is
    /// found lost one round later, or two.
    pub(super) const fn counts_in(&self, round: u64) -> bool {
        round <= self.until + 2
    }

    /// Returns the least pace at which a window leaves on a path with this round trip.
    pub(super) fn pace(&self, window: u64, rtt: Duration) -> f64 {
        PACE * window as f64 / rtt.as_secs_f64().max(0.001)
    }

    /// Returns how many bytes more may be in flight, beside those that STARTUP allows for these `acked` ones.
    pub(super) fn growth(&self, acked: u64, rtt: Option<Duration>, shortest: Option<Duration>) -> u64 {
        let is_prompt = rtt.zip(shortest).is_some_and(|(rtt, shortest)| rtt <= shortest + shortest / 16);
        if self.is_on && is_prompt { GROWTH * acked } else { 0 }
    }
}

/// How often the window would leave within a round trip.
const PACE: f64 = 4.0;
/// How much more may be in flight for each byte that is acknowledged. STARTUP allows one, so that the window
/// quadruples.
const GROWTH: u64 = 2;
/// What a radio link does not lose in a round: eight packets, and as a share.
const LOST: u64 = 8 * 1472;
const LOST_SHARE: f64 = 0.1;

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(count: u64) -> Option<Duration> {
        Some(Duration::from_millis(count))
    }

    #[test]
    fn only_what_is_acknowledged_without_delay_lets_more_leave() {
        let acceleration = Acceleration::new();
        assert_eq!(acceleration.growth(1000, ms(105), ms(100)), 2000);
        assert_eq!(acceleration.growth(1000, ms(110), ms(100)), 0, "it has waited in a queue");
        assert_eq!(acceleration.growth(1000, None, ms(100)), 0, "it was sent twice");
    }

    #[test]
    fn it_ends_for_good() {
        let (mut acceleration, losses) = (Acceleration::new(), Losses::new());
        acceleration.update(1, &losses, false);
        acceleration.update(2, &losses, true);
        acceleration.update(3, &losses, false);
        assert!(!acceleration.is_on());
        assert_eq!(acceleration.growth(1000, ms(100), ms(100)), 0);
        assert_eq!([2, 4, 5].map(|round| acceleration.counts_in(round)), [true, true, false]);
    }
}
