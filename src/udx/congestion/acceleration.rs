//! How STARTUP finds the size of a long path sooner than by doubling.
//!
//! From 32 packets, a path that holds thousands is filled after six or seven round trips. But the first
//! rounds show more than they use: what leaves within a quarter of a round trip and is acknowledged without
//! delay has crossed the path at four times the pace that the window asks for, so four times as much fits.
//! So while no acknowledgement is late, each lets four times leave what it acknowledges, instead of twice.
//! The idea is that of SUSS (Arghavani et al., SIGCOMM 2024), which looks at the length of a train of
//! acknowledgements where this looks at the delay of each.
//!
//! The first queue that shows ends it for good, and so do losses that are too many for a radio link. While a
//! queue stands, packets leave it, and acknowledgements come, as fast as the path delivers. So a sixth of a
//! round trip is enough to see that rate (packet dispersion: Dovrolis et al., IEEE/ACM ToN 12(6), 2004),
//! where a sample of the delivery rate takes a whole one, in which a short queue overflows again.

use std::time::{Duration, Instant};

use super::bounds::Losses;
use super::controller::Outcome;
use super::shortest::HOST;

/// Whether STARTUP is accelerated, and what has ended that.
#[derive(Debug)]
pub(super) enum Acceleration {
    On,
    /// A queue stands: what the path delivers can be measured.
    Queued(Dispersion),
    Over,
}

/// How far apart acknowledgements come that a queue has set apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dispersion {
    /// When the queue was seen.
    seen: Instant,
    /// When the first one came, and what was delivered by then.
    began: Instant,
    delivered: u64,
    latest: Instant,
}

impl Acceleration {
    pub(super) const fn is_on(&self) -> bool {
        matches!(self, Self::On)
    }

    /// Ends it if this round shows a queue or losses, or `over` if something else does.
    pub(super) fn update(&mut self, now: Instant, outcome: &Outcome, losses: &Losses, over: bool) {
        // A queue that is too short to be seen loses most of what comes too fast.
        let is_queued = losses.is_inflated() && self.is_on() && !over
            || losses.is_losing_more_than(OVERFLOWED_SHARE, OVERFLOWED);
        if is_queued && !matches!(self, Self::Queued(_)) {
            *self = Self::Queued(Dispersion::new(now, outcome.delivered));
        } else if self.is_on() && (over || losses.is_losing_more_than(LOST_SHARE, LOST)) {
            *self = Self::Over;
        }
    }

    /// Returns what the path delivers in bytes per second, once and as soon as it is known, with a `window`
    /// of bytes that may be in flight.
    pub(super) fn measure(
        &mut self,
        now: Instant,
        outcome: &Outcome,
        rtt: Option<Duration>,
        window: u64,
    ) -> Option<f64> {
        let Self::Queued(dispersion) = self else {
            return None;
        };
        // All of the first window counts as limited by the header that was sent before it.
        let is_limited = outcome.sample.is_some_and(|sample| sample.app_limited);
        if is_limited && outcome.in_flight < window / 2 {
            *self = Self::Over;
            return None;
        }
        let shortest = rtt?;
        let rate = dispersion.measure(now, outcome.delivered, shortest)?;
        *self = Self::Over;
        if !is_limited {
            return Some(rate);
        }
        // Where many flows begin together, the first burst of one comes back as fast as the path delivers for
        // all of them.
        let round_trip = outcome.rtt.unwrap_or(shortest).as_secs_f64();
        Some(rate.min((outcome.in_flight + outcome.acked) as f64 / round_trip))
    }

    /// Returns whether the rate is about to be known.
    pub(super) fn is_measuring(&self, now: Instant, rtt: Option<Duration>) -> bool {
        match (self, rtt) {
            (Self::Queued(dispersion), Some(rtt)) => now < dispersion.seen + 2 * least_time(rtt),
            _ => false,
        }
    }

    /// Returns the least pace at which a window leaves on a path with this round trip.
    pub(super) fn pace(window: u64, rtt: Duration) -> f64 {
        PACE * window as f64 / rtt.as_secs_f64().max(0.001)
    }

    /// Returns how many bytes more may be in flight for these `acked` ones.
    pub(super) fn growth(&self, acked: u64, rtt: Option<Duration>, shortest: Duration) -> u64 {
        // Sent twice, it shows nothing.
        let late = rtt.map(|rtt| rtt.saturating_sub(shortest));
        match late {
            _ if !self.is_on() => 0,
            Some(late) if late <= shortest / PROMPT_PART => PROMPT_GROWTH * acked,
            Some(late) if late > shortest / LATE_PART + HOST => 0,
            _ => acked,
        }
    }
}

impl Dispersion {
    const fn new(now: Instant, delivered: u64) -> Self {
        Self { seen: now, began: now, delivered, latest: now }
    }

    /// Takes an acknowledgement. Returns the rate once enough have come.
    fn measure(&mut self, now: Instant, delivered: u64, rtt: Duration) -> Option<f64> {
        let gap = now.saturating_duration_since(self.latest);
        self.latest = now;
        if gap > rtt / 4 {
            // The queue has drained meanwhile.
            *self = Self { seen: self.seen, ..Self::new(now, delivered) };
            return None;
        }
        let elapsed = now.saturating_duration_since(self.began);
        let bytes = delivered - self.delivered;
        let is_enough = elapsed >= least_time(rtt) && bytes >= LEAST_BYTES;
        is_enough.then(|| bytes as f64 / elapsed.as_secs_f64())
    }
}

/// Returns how long a rate is measured on a path with this round trip: hosts answer in bursts.
fn least_time(rtt: Duration) -> Duration {
    (rtt / PART).max(Duration::from_millis(2))
}

/// How often the window would leave within a round trip.
const PACE: f64 = 4.0;
/// How much more may be in flight for each byte that is acknowledged promptly, so that the window quadruples.
const PROMPT_GROWTH: u64 = 3;
/// By which part of the shortest round trip an acknowledgement may be late that is prompt.
const PROMPT_PART: u32 = 16;
/// By which part, beside what hosts take, one may be late that lets the window grow at all: a queue is seen
/// once the shortest of several round trips shows it, and a window that grows until then overflows it.
const LATE_PART: u32 = 4;
/// What a radio link does not lose in a round: eight packets, and as a share.
const LOST: u64 = 8 * 1472;
const LOST_SHARE: f64 = 0.1;
/// What none loses: 48 packets in a round, and as a share. A queue that is too short to be seen drops so
/// many, or a policer.
pub(super) const OVERFLOWED: u64 = 48 * 1472;
pub(super) const OVERFLOWED_SHARE: f64 = 0.2;
/// The part of a round trip in which a rate is measured, and what arrives meanwhile at least.
const PART: u32 = 6;
const LEAST_BYTES: u64 = 8 * 1472;

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    const fn outcome(delivered: u64) -> Outcome {
        Outcome { acked: 1472, in_flight: 1 << 20, delivered, sample: None, rtt: None, loss: None }
    }

    #[test]
    fn only_what_is_acknowledged_without_delay_lets_more_leave() {
        let acceleration = Acceleration::On;
        let growth = |rtt: Option<u64>| acceleration.growth(1000, rtt.map(ms), ms(100));
        assert_eq!(growth(Some(105)), 3000);
        assert_eq!(growth(Some(110)), 1000, "it has waited in a queue");
        assert_eq!(growth(None), 1000, "it was sent twice");
        assert_eq!(growth(Some(130)), 0, "more would wait there too");
    }

    #[test]
    fn it_ends_for_good() {
        let (mut acceleration, losses, now) = (Acceleration::On, Losses::new(), Instant::now());
        acceleration.update(now, &outcome(0), &losses, false);
        assert!(acceleration.is_on());
        acceleration.update(now, &outcome(0), &losses, true);
        acceleration.update(now, &outcome(0), &losses, false);
        assert!(!acceleration.is_on());
        assert_eq!(acceleration.growth(1000, Some(ms(100)), ms(100)), 0);
    }

    /// What becomes of a packet that was sent when there was too little to send.
    const fn limited(delivered: u64) -> Outcome {
        let sample = crate::udx::rate::Sample {
            rate: 1e6,
            delivered_before: 0,
            delivered: 1472,
            in_flight_then: 1472,
            app_limited: true,
        };
        Outcome { sample: Some(sample), ..outcome(delivered) }
    }

    /// Returns the rate that is measured when a packet arrives after each of these gaps, in milliseconds.
    fn measure(gaps: impl IntoIterator<Item = u64>) -> Option<f64> {
        let mut now = Instant::now();
        let mut acceleration = Acceleration::Queued(Dispersion::new(now, 0));
        let mut delivered = 0;
        gaps.into_iter().find_map(|gap| {
            now += ms(gap);
            delivered += 1472;
            acceleration.measure(now, &outcome(delivered), Some(ms(60)), 0)
        })
    }

    #[test]
    fn acknowledgements_from_a_queue_show_the_rate_of_the_path() {
        assert_eq!(measure([1; 20]), Some(1_472_000.0));
        assert_eq!(measure([2; 20]), Some(736_000.0), "eight packets");
        assert_eq!(measure([1; 9]), None, "a sixth of a round trip");
    }

    #[test]
    fn the_first_window_shows_no_more_than_what_is_in_flight_in_a_round_trip() {
        let measure = |outcome: fn(u64) -> Outcome| {
            let start = Instant::now();
            let mut acceleration = Acceleration::Queued(Dispersion::new(start, 0));
            (1..=20).find_map(|tick| {
                let in_flight = 40_000 - 1472;
                let outcome = Outcome { in_flight, rtt: Some(ms(80)), ..outcome(tick * 1472) };
                acceleration.measure(start + ms(tick), &outcome, Some(ms(40)), 0)
            })
        };
        assert_eq!(measure(limited), Some(500_000.0));
        assert_eq!(measure(outcome), Some(1_472_000.0), "1472 bytes each millisecond");
    }

    #[test]
    fn a_rate_is_waited_for_during_a_third_of_a_round_trip() {
        let now = Instant::now();
        let acceleration = Acceleration::Queued(Dispersion::new(now, 0));
        let is_measuring = |after| acceleration.is_measuring(now + ms(after), Some(ms(60)));
        assert_eq!([0, 19, 20].map(is_measuring), [true, true, false]);
    }

    #[test]
    fn a_pause_is_not_part_of_the_rate() {
        let gaps = [1; 5].into_iter().chain([40]).chain([1; 20]);
        assert_eq!(measure(gaps), Some(1_472_000.0));
    }

    #[test]
    fn a_sender_that_has_begun_with_little_measures_once_it_has_filled_its_window() {
        for (in_flight, is_measured) in [(6_000, true), (4_000, false)] {
            let start = Instant::now();
            let mut acceleration = Acceleration::Queued(Dispersion::new(start, 0));
            let measured = (1..=20).find_map(|tick| {
                let outcome = Outcome { in_flight, ..limited(tick * 1472) };
                acceleration.measure(start + ms(tick), &outcome, Some(ms(60)), 10_000)
            });
            assert_eq!(measured.is_some(), is_measured, "{in_flight} bytes in flight");
        }
    }

    #[test]
    fn a_sender_with_too_little_to_send_measures_nothing() {
        let mut acceleration = Acceleration::Queued(Dispersion::new(Instant::now(), 0));
        let later = Instant::now() + ms(100);
        let limited = Outcome { in_flight: 0, ..limited(100_000) };
        assert_eq!(acceleration.measure(later, &limited, Some(ms(60)), 10_000), None);
        assert!(matches!(acceleration, Acceleration::Over));
    }
}
