//! The end of STARTUP (§5.3.1).

use std::time::Instant;

use tracing::debug;

use super::state::{Bbr, PACKET, Phase};
use crate::udx::congestion::Outcome;
use crate::udx::congestion::acceleration::{OVERFLOWED, OVERFLOWED_SHARE};
use crate::udx::congestion::bounds::Round;

impl Bbr {
    /// Ends STARTUP when the rate has stopped growing, when queues overflow (§5.3.1), or when the queue that
    /// the acceleration has built shows the rate.
    pub(super) fn check_startup(&mut self, now: Instant, outcome: &Outcome, round: Option<Round>) {
        if self.pipe_full {
            return;
        }
        let over = self.full_rounds > 0 || self.timed_out;
        self.acceleration.update(now, outcome, &self.losses, over);
        if let Some(rate) = self.acceleration.measure(now, outcome, self.shortest.get(), self.window) {
            self.bandwidth.estimate(rate);
            self.pipe_full = true;
            debug!(cwnd = self.window, reason = "queue", "STARTUP left");
        } else if let Some(is_known) = self.overrun(now, round) {
            self.pipe_full = true;
            if is_known {
                let latest = self.latest[0].1.max(self.latest[1].1);
                self.bounds.set_long(self.held(self.max_bandwidth(), 1.0).max(latest));
            }
            debug!(cwnd = self.window, reason = "losses", "STARTUP left");
            // Where others had filled the queue before, no round trip was that of the empty path.
            self.shortest.doubt(now);
        } else if let Some(round) = round {
            if self.max_bandwidth() >= self.full_rate * FULL_GROWTH {
                self.full_rate = self.max_bandwidth();
                self.full_rounds = 0;
            } else if round.inflated || outcome.sample.is_some_and(|sample| !sample.app_limited) {
                // Where a queue stands, the path is full, whatever limits the sender.
                self.full_rounds += 1;
                self.pipe_full = self.full_rounds >= FULL_ROUNDS;
            }
        }
        if self.pipe_full && self.phase == Phase::Startup {
            self.filled_in = self.round;
            self.enter(now, Phase::Drain);
        }
    }

    /// Returns whether what the path carries is known, if a queue overflows or a policer drops: it is after a
    /// round, and not when so much is lost at once that the end of the round cannot be waited for.
    fn overrun(&self, now: Instant, round: Option<Round>) -> Option<bool> {
        let is_lossy = self.losses.is_inflated() && self.losses.is_losing_more_than(AT_ONCE_SHARE, AT_ONCE);
        if is_lossy && !self.acceleration.is_measuring(now, self.shortest.get()) {
            return Some(false);
        }
        let round = round?;
        let overflowed = round.overflowed && round.share > STARTUP_SHARE;
        let policed = round.share > OVERFLOWED_SHARE && round.lost >= OVERFLOWED;
        (overflowed && round.lost >= STARTUP_LOSSES * PACKET || policed).then_some(true)
    }
}

/// STARTUP ends when the rate grows by less than this in so many rounds (§5.3.1.2).
const FULL_GROWTH: f64 = 1.25;
const FULL_ROUNDS: u32 = 3;
/// STARTUP ends with so many losses in a round (`BBRStartupFullLossCnt` of §2.4) that are so much of it.
const STARTUP_LOSSES: u64 = 6;
const STARTUP_SHARE: f64 = 0.02;
/// Or as soon as so many are lost of a round: what follows is lost too.
const AT_ONCE: u64 = 8 * PACKET;
const AT_ONCE_SHARE: f64 = 0.15;
