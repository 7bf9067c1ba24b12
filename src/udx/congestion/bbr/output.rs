//! What follows from the state: the pacing rate and the window.

use super::state::{Bbr, INITIAL_WINDOW, MIN_WINDOW, PACKET, Phase};
use crate::udx::congestion::Outcome;
use crate::udx::congestion::acceleration::Acceleration;

impl Bbr {
    pub(super) fn set_pacing_rate(&mut self) {
        let bandwidth = self.bandwidth();
        if bandwidth <= 0.0 {
            return;
        }
        let gain = match self.phase {
            Phase::Startup => STARTUP_GAIN,
            Phase::Drain => DRAIN_GAIN,
            Phase::Down => DOWN_GAIN,
            Phase::Up if self.probe.climbs > 0 => CLIMB_GAIN,
            Phase::Up if self.probe.verdict_at.is_none() => self.up_gain(),
            Phase::Up | Phase::Cruise | Phase::Refill | Phase::ProbeRtt => 1.0,
        };
        // While little is sent little is measured, but the first window may always leave within a round trip.
        let least = match self.shortest.get() {
            Some(rtt) if self.is_accelerated() => Acceleration::pace(self.window, rtt),
            Some(rtt) if !self.pipe_full => INITIAL_WINDOW as f64 / rtt.as_secs_f64().max(0.001),
            _ => MIN_RATE,
        };
        let rate = (PACING_MARGIN * gain * bandwidth).max(least);
        if self.pipe_full || rate > self.pacing_rate || !self.acceleration.is_on() {
            self.pacing_rate = rate;
        }
    }

    pub(super) fn set_window(&mut self, outcome: &Outcome) {
        let gain = match self.phase {
            Phase::Up if self.probe.climbs > 0 => CLIMB_WINDOW,
            Phase::Up => 1.0 + self.up_gain(),
            Phase::ProbeRtt => 1.0,
            // Others may take most of the rate in the next moment.
            _ if self.bandwidth.is_doubtful() => ESTIMATE_WINDOW,
            _ => WINDOW_GAIN,
        };
        let bandwidth = self.bandwidth();
        // The sender, the path and the receiver each have a train.
        let trains = 3 * train(bandwidth);
        let excess = if self.pipe_full { self.aggregation.excess() } else { 0 };
        let most = self.held(bandwidth, gain) + trains + excess;
        let is_first = outcome.delivered < INITIAL_WINDOW && !self.losses.is_inflated();
        if self.pipe_full {
            self.window = (self.window + outcome.acked).min(most);
        } else if self.is_accelerated()
            && let Some(shortest) = self.shortest.get()
        {
            self.window += self.acceleration.growth(outcome.acked, outcome.rtt, shortest);
        } else if self.window < most || is_first {
            self.window += outcome.acked;
        }
        let bound = match self.phase {
            Phase::Startup => u64::MAX,
            Phase::Cruise => self.bounds.with_headroom(train(bandwidth)),
            Phase::ProbeRtt => self.probe_rtt_window(),
            // The bound alone would rise by single packets, where others take all that they find.
            Phase::Up if self.shortest.is_occupied() => (self.bounds.long() as f64 * self.up_gain()) as u64,
            _ => self.bounds.long(),
        };
        self.window = self.window.min(bound.min(self.bounds.short())).max(MIN_WINDOW);
    }

    fn is_accelerated(&self) -> bool {
        self.phase == Phase::Startup && self.acceleration.is_on()
    }

    pub(super) fn probe_rtt_window(&self) -> u64 {
        self.held(self.bandwidth(), PROBE_RTT_WINDOW).max(MIN_WINDOW)
    }
}

/// Returns how many bytes leave at once, and count as in flight until all are acknowledged.
pub(super) fn train(bandwidth: f64) -> u64 {
    ((bandwidth * TRAIN_SECONDS) as u64).clamp(PACKET, MAX_TRAIN)
}

/// What leaves at once: a millisecond's worth, as timers go, of at most what segmentation offload takes.
const TRAIN_SECONDS: f64 = 0.001;
const MAX_TRAIN: u64 = 65_536;
/// The least pace in bytes per second.
const MIN_RATE: f64 = 2_000.0;
/// `BBRPacingMarginPercent` of §2.5: a pace a little below the rate drains queues.
const PACING_MARGIN: f64 = 0.99;
/// 4 ln 2, the least gain that doubles the rate every round (`BBRStartupPacingGain` of §2.4).
const STARTUP_GAIN: f64 = 2.77;
const DRAIN_GAIN: f64 = 0.5;
const WINDOW_GAIN: f64 = 2.0;
/// The same with a rate that is yet to be confirmed.
const ESTIMATE_WINDOW: f64 = 1.25;
/// What a probe of a quarter has put in flight drains within a round trip.
const DOWN_GAIN: f64 = 0.75;
/// The pace of a probe that finds all that it has sent more.
const CLIMB_GAIN: f64 = 2.0;
const CLIMB_WINDOW: f64 = 3.0;
/// How much of what the path holds PROBE_RTT leaves in flight (§2.14.2).
const PROBE_RTT_WINDOW: f64 = 0.5;
