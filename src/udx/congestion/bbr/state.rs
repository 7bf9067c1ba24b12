//! What the controller knows, and how it learns.

use std::time::{Duration, Instant};

use tracing::debug;

use crate::udx::congestion::acceleration::Acceleration;
use crate::udx::congestion::aggregation::Aggregation;
use crate::udx::congestion::bandwidth::Bandwidth;
use crate::udx::congestion::bounds::{Bounds, Losses};
use crate::udx::congestion::probe::Probe;
use crate::udx::congestion::shortest::ShortestRtt;
use crate::udx::congestion::{Beliefs, Controller, Outcome};

/// The states (§3.3). Those of `ProbeBW` are the four from `Down` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The rate doubles each round until it stops growing.
    Startup,
    /// The queue that STARTUP has built drains.
    Drain,
    /// What a probe has put in flight drains.
    Down,
    /// The rate is kept, with room left for others.
    Cruise,
    /// The room is used again for a round, before more is tried.
    Refill,
    /// More is sent than the path is known to carry.
    Up,
    /// Little is sent, to see the shortest round trip.
    ProbeRtt,
}

/// The controller of a stream.
#[derive(Debug)]
pub(in crate::udx) struct Bbr {
    pub(super) phase: Phase,
    /// When the phase began, and in which round.
    pub(super) since: Option<Instant>,
    pub(super) began_in: u64,
    pub(super) round: u64,
    /// What is delivered when the round ends.
    pub(super) round_end: u64,
    pub(super) bandwidth: Bandwidth,
    /// The highest rate and the most in flight that was delivered in this round and in the one before.
    pub(super) latest: [(f64, u64); 2],
    /// The rate that the next must exceed for STARTUP, or a probe, to go on, and for how many rounds none
    /// has.
    pub(super) full_rate: f64,
    pub(super) full_rounds: u32,
    pub(super) pipe_full: bool,
    /// The round in which STARTUP ended.
    pub(super) filled_in: u64,
    pub(super) acceleration: Acceleration,
    pub(super) losses: Losses,
    pub(super) bounds: Bounds,
    pub(super) probe: Probe,
    pub(super) shortest: ShortestRtt,
    /// PROBE_RTT lasts until then, once little is in flight.
    pub(super) probe_rtt_until: Option<Instant>,
    pub(super) window: u64,
    pub(super) saved_window: u64,
    /// Nothing was acknowledged for a time-out, and not all sent before has arrived yet.
    pub(super) timed_out: bool,
    pub(super) aggregation: Aggregation,
    pub(super) pacing_rate: f64,
}

impl Bbr {
    /// Begins on a path of which nothing is known, with `in_flight` bytes of another path still out.
    pub(in crate::udx) const fn new(in_flight: u64) -> Self {
        Self {
            phase: Phase::Startup,
            since: None,
            began_in: 0,
            round: 0,
            round_end: 0,
            bandwidth: Bandwidth::new(),
            latest: [(0.0, 0); 2],
            full_rate: 0.0,
            full_rounds: 0,
            pipe_full: false,
            filled_in: 0,
            acceleration: Acceleration::On,
            losses: Losses::new(),
            bounds: Bounds::new(),
            probe: Probe::new(),
            shortest: ShortestRtt::new(),
            probe_rtt_until: None,
            window: INITIAL_WINDOW + in_flight,
            saved_window: 0,
            timed_out: false,
            aggregation: Aggregation::new(),
            pacing_rate: INITIAL_WINDOW as f64 / UNKNOWN_RTT,
        }
    }

    pub(super) fn max_bandwidth(&self) -> f64 {
        self.bandwidth.max()
    }

    /// Returns the rate to keep: the highest, unless others take a part of it at the moment (`BBR.bw`).
    pub(super) fn bandwidth(&self) -> f64 {
        (self.max_bandwidth() * self.losses.surplus()).min(self.bounds.short_bandwidth())
    }

    /// Returns `gain` times what a path with this bandwidth holds.
    pub(super) fn held(&self, bandwidth: f64, gain: f64) -> u64 {
        match self.shortest.get() {
            Some(rtt) if bandwidth > 0.0 => (gain * bandwidth * rtt.as_secs_f64()) as u64,
            _ => INITIAL_WINDOW,
        }
    }

    pub(super) fn enter(&mut self, now: Instant, phase: Phase) {
        debug!(from = ?self.phase, to = ?phase, cwnd = self.window, "BBR");
        self.phase = phase;
        self.since = Some(now);
        self.began_in = self.round;
    }
}

impl Controller for Bbr {
    fn window(&self) -> u64 {
        self.window
    }

    fn pacing_rate(&self) -> f64 {
        self.pacing_rate
    }

    fn update(&mut self, now: Instant, outcome: &Outcome) {
        let minimum = self.shortest.get();
        // What a time-out finds lost is not known to be lost by a queue.
        let congested = self.losses.count(outcome, minimum, self.pipe_full) && !self.timed_out;
        let round = self.count_round(outcome);
        let bandwidth = self.bandwidth();
        self.aggregation.measure(now, outcome.acked, bandwidth, minimum, self.window, round.is_some());
        self.check_startup(now, outcome, round);
        self.adapt(now, outcome, congested, round);
        self.advance(now, outcome, round.is_some());
        self.probe_rtt(now, outcome, round.is_some());
        self.set_pacing_rate();
        self.set_window(outcome);
    }

    fn time_out(&mut self, in_flight: u64) {
        self.timed_out = true;
        self.saved_window = self.saved_window.max(self.window);
        self.window = (in_flight + PACKET).max(MIN_WINDOW / 2);
    }

    fn leave_recovery(&mut self) {
        self.timed_out = false;
        if self.phase != Phase::ProbeRtt {
            self.window = self.window.max(std::mem::take(&mut self.saved_window));
        }
    }

    fn expect_rtt(&mut self, rtt: Duration) {
        if self.shortest.get().is_none() {
            let rtt = rtt.max(Duration::from_millis(1)).min(LONGEST_FIRST_RTT);
            self.pacing_rate = INITIAL_WINDOW as f64 / rtt.as_secs_f64();
        }
    }

    fn beliefs(&self) -> Beliefs {
        let phase = match self.phase {
            Phase::Startup => "startup",
            Phase::Drain => "drain",
            Phase::Down => "down",
            Phase::Cruise => "cruise",
            Phase::Refill => "refill",
            Phase::Up => "up",
            Phase::ProbeRtt => "probe rtt",
        };
        Beliefs { phase, bandwidth: self.bandwidth(), minimum_rtt: self.shortest.get() }
    }
}

/// A full packet of Ethernet as a datagram.
pub(super) const PACKET: u64 = 1472;
/// Three times the ten packets of RFC 6928, but paced over a round trip.
pub(super) const INITIAL_WINDOW: u64 = 32 * PACKET;
/// What a round trip is taken to be before anything is known of it, for the pace of the first window.
const UNKNOWN_RTT: f64 = 0.05;
const LONGEST_FIRST_RTT: Duration = Duration::from_millis(100);
/// `BBRMinPipeCwnd` of §2.7.
pub(super) const MIN_WINDOW: u64 = 4 * PACKET;
