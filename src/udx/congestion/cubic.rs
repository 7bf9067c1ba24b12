//! CUBIC (RFC 9438), as most of the Internet's flows behave: a rival to measure against, and what a stream
//! can be compared with. Connections use BBR.

use std::time::{Duration, Instant};

use super::controller::{Beliefs, Controller, Outcome};

/// The controller of a stream.
#[derive(Debug)]
pub(in crate::udx) struct Cubic {
    window: u64,
    slow_start_threshold: u64,
    /// The window before the last reduction, in packets, and when that was.
    maximum: f64,
    reduced_at: Option<Instant>,
    /// Losses of packets sent before this much was delivered belong to the last reduction.
    recovery: u64,
    /// What a Reno flow would have (§4.3).
    reno: f64,
    minimum_rtt: Option<Duration>,
    smoothed_rtt: Duration,
}

impl Cubic {
    pub(in crate::udx) const fn new() -> Self {
        Self {
            window: 10 * PACKET,
            slow_start_threshold: u64::MAX,
            maximum: 0.0,
            reduced_at: None,
            recovery: 0,
            reno: 0.0,
            minimum_rtt: None,
            smoothed_rtt: Duration::ZERO,
        }
    }

    fn reduce(&mut self, now: Instant, outcome: &Outcome) {
        let packets = self.window as f64 / PACKET as f64;
        // Fast convergence (§4.7): a flow that loses before it has come as far as last time makes room.
        self.maximum = if packets < self.maximum { packets * (1.0 + BETA) / 2.0 } else { packets };
        self.window = ((self.window as f64 * BETA) as u64).max(2 * PACKET);
        self.slow_start_threshold = self.window;
        self.reno = self.window as f64 / PACKET as f64;
        self.reduced_at = Some(now);
        self.recovery = outcome.delivered + outcome.in_flight;
    }

    fn grow(&mut self, now: Instant, acked: u64) {
        let packets = self.window as f64 / PACKET as f64;
        let since = *self.reduced_at.get_or_insert(now);
        self.maximum = self.maximum.max(if self.maximum == 0.0 { packets } else { 0.0 });
        let k = (self.maximum * (1.0 - BETA) / C).cbrt();
        let t = (now.saturating_duration_since(since) + self.smoothed_rtt).as_secs_f64() - k;
        let target = (C * t.powi(3) + self.maximum).clamp(packets, packets * 1.5);
        let acked = acked as f64 / PACKET as f64;
        self.reno += 3.0 * (1.0 - BETA) / (1.0 + BETA) * acked / packets;
        let grown = (packets + (target - packets) / packets * acked).max(self.reno);
        self.window = (grown * PACKET as f64) as u64;
    }
}

impl Controller for Cubic {
    fn window(&self) -> u64 {
        self.window
    }

    /// Not paced: acknowledgements are its clock.
    fn pacing_rate(&self) -> f64 {
        f64::MAX
    }

    fn update(&mut self, now: Instant, outcome: &Outcome) {
        if let Some(rtt) = outcome.rtt {
            self.minimum_rtt = Some(self.minimum_rtt.map_or(rtt, |minimum| minimum.min(rtt)));
            self.smoothed_rtt =
                if self.smoothed_rtt.is_zero() { rtt } else { (self.smoothed_rtt * 7 + rtt) / 8 };
        }
        if outcome.loss.is_some() && outcome.delivered >= self.recovery {
            return self.reduce(now, outcome);
        }
        let is_limited = outcome.in_flight + outcome.acked + 3 * PACKET >= self.window;
        if outcome.acked == 0 || !is_limited || outcome.delivered < self.recovery {
            return;
        }
        if self.window < self.slow_start_threshold {
            self.window += outcome.acked;
        } else {
            self.grow(now, outcome.acked);
        }
    }

    fn time_out(&mut self, _: u64) {
        self.slow_start_threshold = (self.window / 2).max(2 * PACKET);
        self.window = PACKET;
    }

    fn leave_recovery(&mut self) {}

    fn expect_rtt(&mut self, _: Duration) {}

    fn beliefs(&self) -> Beliefs {
        let phase = if self.window < self.slow_start_threshold { "slow start" } else { "avoidance" };
        Beliefs { phase, bandwidth: 0.0, minimum_rtt: self.minimum_rtt }
    }
}

const PACKET: u64 = 1472;
/// `Beta_cubic` and `C` of §4.6 and §5.
const BETA: f64 = 0.7;
const C: f64 = 0.4;
