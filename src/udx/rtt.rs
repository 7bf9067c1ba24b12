//! How long the path takes: the estimator of RFC 6298 §2, and the shortest round trip for RACK and BBR.

use std::time::{Duration, Instant};

/// The estimate of a path's round-trip time.
#[derive(Debug, Default)]
pub(super) struct Rtt {
    smoothed: Option<Duration>,
    /// What the path is thought to take before the first sample.
    expected: Option<Duration>,
    variation: Duration,
    /// The two latest windowed minima: the current window's and the one before it.
    minima: [Option<Duration>; 2],
    window_began: Option<Instant>,
}

impl Rtt {
    /// Starts with a path that is thought to take `expected`.
    pub(super) fn expecting(expected: Option<Duration>) -> Self {
        Self { expected, ..Self::default() }
    }

    /// Sets what the path is thought to take.
    pub(super) const fn expect(&mut self, expected: Duration) {
        self.expected = Some(expected);
    }

    /// Adds a sample of a packet that was sent once (Karn: RFC 6298 §3).
    pub(super) fn update(&mut self, now: Instant, sample: Duration) {
        let sample = sample.clamp(Duration::from_micros(1), MAX_RTT);
        match self.smoothed {
            None => {
                self.smoothed = Some(sample);
                self.variation = sample / 2;
            }
            Some(smoothed) => {
                self.variation = (self.variation * 3 + smoothed.abs_diff(sample)) / 4;
                self.smoothed = Some((smoothed * 7 + sample) / 8);
            }
        }
        let began = *self.window_began.get_or_insert(now);
        if now.saturating_duration_since(began) > MINIMUM_WINDOW {
            self.minima = [None, self.minima[0]];
            self.window_began = Some(now);
        }
        self.minima[0] = Some(self.minima[0].map_or(sample, |minimum| minimum.min(sample)));
    }

    /// Returns the smoothed round-trip time, or `None` before the first sample.
    pub(super) const fn smoothed(&self) -> Option<Duration> {
        self.smoothed
    }

    /// Returns by how much samples differ from that, or `None` before the first one.
    pub(super) fn variation(&self) -> Option<Duration> {
        self.smoothed.map(|_| self.variation)
    }

    /// Returns the shortest round-trip time of the last minutes.
    pub(super) fn minimum(&self) -> Option<Duration> {
        self.minima.iter().flatten().min().copied()
    }

    /// Returns within what time nearly all packets are answered, or `None` before the first sample (the probe
    /// time-out of RFC 9002 §6.2.1).
    pub(super) fn usual(&self) -> Option<Duration> {
        self.smoothed.map(|smoothed| smoothed + (self.variation * 4).max(MIN_VARIATION))
    }

    /// Returns after what time no packet is answered any more, or `None` before the first sample: a usual
    /// round trip that has become longer by half of the shortest.
    pub(super) fn latest(&self) -> Option<Duration> {
        self.usual().zip(self.minimum()).map(|(usual, minimum)| usual + minimum / 2)
    }

    /// Returns the time after which a packet without answer is taken for lost.
    pub(super) fn timeout(&self) -> Duration {
        match (self.smoothed, self.expected) {
            (Some(smoothed), _) => (smoothed + self.variation * 4).clamp(MIN_TIMEOUT, MAX_TIMEOUT),
            // What a first sample of that length would give.
            (None, Some(expected)) => (expected.min(INITIAL_TIMEOUT) * 3).clamp(MIN_TIMEOUT, INITIAL_TIMEOUT),
            (None, None) => INITIAL_TIMEOUT,
        }
    }
}

/// 1 s before the first sample where nothing is known (RFC 6298 §2.1), as the reference (`udx.md` §10).
const INITIAL_TIMEOUT: Duration = Duration::from_secs(1);
/// A third of the second that RFC 6298 §2.4 asks for and the reference takes (`udx.md` §10): acknowledgements
/// are held back by milliseconds, not by the timers of TCP.
const MIN_TIMEOUT: Duration = Duration::from_millis(300);
/// What schedulers and clocks add to round trips that do not vary.
const MIN_VARIATION: Duration = Duration::from_millis(2);
/// Short enough for several attempts before a stream gives up, where the reference goes to 30 s (`udx.md`
/// §13).
pub(super) const MAX_TIMEOUT: Duration = Duration::from_secs(5);
/// The clamp of the reference (`udx.md` §19).
const MAX_RTT: Duration = Duration::from_secs(30);
/// Half of the reference's 300 s (`udx.md` §10), since two windows are looked at.
const MINIMUM_WINDOW: Duration = Duration::from_secs(150);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_sample_sets_the_estimate_and_the_timeout_has_a_floor() {
        let now = Instant::now();
        let mut rtt = Rtt::default();
        assert_eq!(rtt.timeout(), INITIAL_TIMEOUT);
        rtt.update(now, Duration::from_millis(40));
        assert_eq!(rtt.smoothed(), Some(Duration::from_millis(40)));
        assert_eq!(rtt.timeout(), MIN_TIMEOUT);
        rtt.update(now, Duration::from_secs(100));
        assert_eq!(rtt.timeout(), MAX_TIMEOUT);
        assert_eq!(rtt.minimum(), Some(Duration::from_millis(40)));
    }

    #[test]
    fn before_the_first_sample_the_expectation_counts_if_it_is_short() {
        let timeout = |expected| Rtt::expecting(Some(Duration::from_millis(expected))).timeout();
        assert_eq!(timeout(1), MIN_TIMEOUT);
        assert_eq!(timeout(200), Duration::from_millis(600));
        assert_eq!(timeout(u64::MAX), INITIAL_TIMEOUT);
        let mut rtt = Rtt::expecting(Some(Duration::from_millis(1)));
        rtt.update(Instant::now(), Duration::from_millis(200));
        assert_eq!(rtt.timeout(), Duration::from_millis(600));
    }

    #[test]
    fn an_old_minimum_is_forgotten() {
        let start = Instant::now();
        let mut rtt = Rtt::default();
        rtt.update(start, Duration::from_millis(1));
        for minutes in [3, 6] {
            rtt.update(start + Duration::from_secs(minutes * 60), Duration::from_millis(50));
        }
        assert_eq!(rtt.minimum(), Some(Duration::from_millis(50)));
    }
}
