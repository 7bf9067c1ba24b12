//! The rate that the path is known to deliver: `max_bw` of the draft (§5.5.5).

use std::time::Duration;

use tracing::debug;

/// The rates of a sender, in bytes per second.
#[derive(Debug)]
pub(super) struct Bandwidth {
    /// The highest of the last cycle of probes and of this one.
    rates: [f64; 2],
    /// The sum and the number of this round's samples.
    round: (f64, u32),
    /// Rounds in a row that have delivered far less than the highest, with a queue.
    slow_rounds: u32,
    /// Rounds until an estimate must be confirmed; zero if there is none.
    doubtful_rounds: u32,
}

impl Bandwidth {
    pub(super) const fn new() -> Self {
        Self { rates: [0.0; 2], round: (0.0, 0), slow_rounds: 0, doubtful_rounds: 0 }
    }

    /// Returns the highest rate of the last cycles.
    pub(super) fn max(&self) -> f64 {
        self.rates[0].max(self.rates[1])
    }

    /// Adds a sample, which counts at once or as a part of the mean of its round: of many samples the highest
    /// shows how unevenly acknowledgements come, and not the path.
    pub(super) fn add(&mut self, rate: f64, at_once: bool) {
        if at_once {
            self.rates[1] = self.rates[1].max(rate);
        }
        self.round.0 += rate;
        self.round.1 += 1;
    }

    /// Takes a rate that was not measured over a whole round trip. If the second round from now on delivers
    /// far less, it was that of a moment in which others had sent nothing, and is forgotten.
    pub(super) const fn estimate(&mut self, rate: f64) {
        self.rates[1] = self.rates[1].max(rate);
        self.doubtful_rounds = ESTIMATE_ROUNDS;
    }

    /// Returns whether an estimate is still to be confirmed.
    pub(super) const fn is_doubtful(&self) -> bool {
        self.doubtful_rounds > 0
    }

    /// Takes a rate in place of all that was known.
    pub(super) const fn replace(&mut self, rate: f64) {
        self.rates = [rate; 2];
        self.slow_rounds = 0;
    }

    /// Ends a round, `settled` if nothing was probed and a queue stood all the time. Returns whether all that
    /// was known is forgotten: the link has become narrower, and what is sent too much waits in its queue.
    pub(super) fn end_round(&mut self, settled: bool) -> bool {
        let (sum, count) = std::mem::take(&mut self.round);
        if count == 0 {
            return false;
        }
        let rate = sum / f64::from(count);
        if self.is_doubtful() {
            self.doubtful_rounds -= 1;
            if !self.is_doubtful() && rate < CONFIRMED_SHARE * self.max() {
                debug!(rate = rate as u64, "bandwidth not confirmed");
                self.replace(rate);
            }
        }
        self.rates[1] = self.rates[1].max(rate);
        self.slow_rounds = if settled && rate < SLOW_SHARE * self.max() { self.slow_rounds + 1 } else { 0 };
        if self.slow_rounds < SLOW_ROUNDS {
            return false;
        }
        debug!(rate = rate as u64, "bandwidth forgotten");
        self.replace(rate);
        true
    }

    /// Forgets what was measured before the last probe.
    pub(super) const fn forget_older(&mut self) {
        if self.rates[1] > 0.0 {
            self.rates = [self.rates[1], 0.0];
        }
    }

    /// Leaves some of the rate to others after a round with a `queue`, in round trips: a share that grows
    /// with the queue, less a step that grows with the root of the rate only. All flows see the same queue,
    /// so the larger ones give more than the step brings them, and the smaller ones less.
    pub(super) fn share(&mut self, queue: f64, rtt: Duration, packet: u64) {
        let round_trip = rtt.as_secs_f64();
        let packets = (self.max() * round_trip / packet as f64).max(1.0);
        let step = STEP * packets.sqrt() * packet as f64 / round_trip;
        let kept = 1.0 - GIVEN * queue;
        self.rates = self.rates.map(|rate| if rate > 0.0 { rate * kept + step } else { rate });
    }
}

/// The round after an estimate that confirms it, and which share of it that round delivers at least.
const ESTIMATE_ROUNDS: u32 = 2;
const CONFIRMED_SHARE: f64 = 0.4;
/// After so many rounds in a row that have delivered less than this, with a queue, the link is another.
const SLOW_ROUNDS: u32 = 2;
const SLOW_SHARE: f64 = 0.4;
/// What a flow gives of its rate each round while a queue of one round trip stands, and what it takes.
const GIVEN: f64 = 0.2;
const STEP: f64 = 0.2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_that_is_not_confirmed_is_forgotten() {
        for (delivered, known) in [(6e6, 10e6), (3e6, 3e6)] {
            let mut bandwidth = Bandwidth::new();
            bandwidth.estimate(10e6);
            // The first round contains what was sent before.
            for (rate, is_doubtful) in [(1e6, true), (delivered, false), (delivered, false)] {
                bandwidth.add(rate, false);
                assert!(!bandwidth.end_round(false));
                assert_eq!(bandwidth.is_doubtful(), is_doubtful);
            }
            assert_eq!(bandwidth.max(), known, "delivered {delivered}");
        }
    }

    #[test]
    fn flows_that_share_a_queue_converge() {
        let rtt = Duration::from_millis(40);
        let mut flows = [4e6, 1e6].map(|rate| {
            let mut bandwidth = Bandwidth::new();
            bandwidth.add(rate, true);
            bandwidth
        });
        for _ in 0..100 {
            // The more both send, the longer the queue.
            let queue = (flows[0].max() + flows[1].max()) / 5e6 - 0.9;
            for flow in &mut flows {
                flow.share(queue.clamp(0.0, 1.0), rtt, 1472);
            }
        }
        let [large, small] = flows.map(|flow| flow.max());
        assert!(large < 1.5 * small, "{large} and {small}");
    }
}
