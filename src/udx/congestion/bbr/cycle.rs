//! The cycle of probes (§5.3.3), and the measurement of the shortest round trip (§5.3.4).

use std::time::{Duration, Instant};

use super::output::train;
use super::state::{Bbr, PACKET, Phase};
use crate::udx::congestion::Outcome;
use crate::udx::congestion::probe::elapsed;

impl Bbr {
    /// Moves through the cycle of probes (§5.3.3).
    pub(super) fn advance(&mut self, now: Instant, outcome: &Outcome, new_round: bool) {
        let Some(rtt) = self.shortest.get() else {
            return;
        };
        if self.timed_out {
            return;
        }
        // What the probe has sent is delivered.
        if new_round && self.probe.ended.is_some() && self.round == self.probe.ended_in + 1 {
            self.bandwidth.forget_older();
        }
        match self.phase {
            Phase::Drain if outcome.in_flight <= self.held(self.bandwidth(), 1.0) => {
                self.await_probe(now, false);
                self.enter(now, Phase::Cruise);
            }
            Phase::Down | Phase::Cruise if self.is_time_to_probe(now) => {
                if self.bounds.is_set() {
                    self.bounds.forget_short();
                    self.enter(now, Phase::Refill);
                } else {
                    self.start_up(now);
                }
            }
            Phase::Down => {
                let train = train(self.max_bandwidth());
                let room = self.held(self.max_bandwidth(), 1.0);
                let room = (room + train).min(self.bounds.with_headroom(train));
                if outcome.in_flight <= room {
                    self.enter(now, Phase::Cruise);
                }
            }
            Phase::Refill if self.round > self.began_in => self.start_up(now),
            Phase::Up => self.climb(now, outcome, rtt, new_round),
            _ => {}
        }
    }

    fn is_time_to_probe(&self, now: Instant) -> bool {
        let packets = self.held(self.max_bandwidth(), 1.0).min(self.window) / PACKET;
        self.probe.is_due(now, self.round, packets)
    }

    fn start_up(&mut self, now: Instant) {
        self.bounds.start_probe();
        self.probe.start();
        self.full_rate = self.max_bandwidth();
        self.enter(now, Phase::Up);
    }

    /// Returns the pace of a probe (§5.6.1): a quarter more, and for flows of few packets the root of them,
    /// so that of flows that share a queue the smaller ones grow faster.
    pub(super) fn up_gain(&self) -> f64 {
        let packets = (self.held(self.max_bandwidth(), 1.0) / PACKET).max(1) as f64;
        1.0 + (UP_STEP / packets.sqrt()).clamp(LEAST_UP, MOST_UP)
    }

    /// Raises what is in flight, waits for what that brings, and goes on as long as it brings more.
    fn climb(&mut self, now: Instant, outcome: &Outcome, rtt: Duration, new_round: bool) {
        if outcome.in_flight + outcome.acked + 3 * PACKET >= self.window {
            self.bounds.probe(outcome.acked, self.window, new_round, PACKET);
        }
        let rounds = self.round - self.began_in;
        let Some(at) = self.probe.verdict_at else {
            let enough = self.held(self.full_rate, self.up_gain());
            let filled = outcome.in_flight + outcome.acked >= enough && elapsed(self.since, now) >= rtt;
            if filled || rounds >= UP_ROUNDS {
                self.probe.verdict_at = Some(outcome.delivered);
            }
            return;
        };
        if outcome.sample.is_none_or(|sample| sample.delivered_before < at) {
            return;
        }
        let found = (self.max_bandwidth() / self.full_rate - 1.0) / (self.up_gain() - 1.0);
        let is_clear = !self.probe.queue_stood && !self.losses.is_inflated() && !self.losses.is_losing();
        if found >= CLIMB_SHARE && is_clear {
            // A path that delivers all that was sent more may have room for far more.
            if found >= ROOM_SHARE {
                self.probe.climbs += 1;
            }
            self.full_rate = self.max_bandwidth();
            // What leaves from now on is measured by what leaves a round trip later.
            self.probe.verdict_at = Some(outcome.delivered + outcome.in_flight);
            self.bounds.set_long(u64::MAX);
        } else {
            self.end_probe(now, false);
        }
    }

    pub(super) fn end_probe(&mut self, now: Instant, congested: bool) {
        self.await_probe(now, congested);
        self.enter(now, Phase::Down);
    }

    /// Starts the wait for the next probe.
    fn await_probe(&mut self, now: Instant, congested: bool) {
        self.probe.end(now, self.round, self.round_end, congested);
    }

    /// Keeps the shortest round trip, and measures it anew with little in flight when it is old (§5.3.4).
    pub(super) fn probe_rtt(&mut self, now: Instant, outcome: &Outcome, new_round: bool) {
        let shown = self.shortest.update(now, outcome.rtt, self.losses.is_inflated());
        if shown.taken && self.pipe_full && outcome.sample.is_some_and(|sample| !sample.app_limited) {
            self.bandwidth.replace(self.latest[0].0.max(self.latest[1].0));
        }
        if self.phase != Phase::ProbeRtt {
            // Where others send little it is time to do the same: what they leave free is theirs, and the
            // path becomes empty for all. With little in flight the samples are of an empty path anyway.
            let due = shown.expired || shown.emptied && self.pipe_full;
            if due && outcome.in_flight > self.probe_rtt_window() {
                self.saved_window = self.saved_window.max(self.window);
                self.probe_rtt_until = None;
                self.enter(now, Phase::ProbeRtt);
            }
            return;
        }
        match self.probe_rtt_until {
            None if outcome.in_flight <= self.probe_rtt_window() => {
                self.probe_rtt_until = Some(now + RTT_PROBE);
                self.began_in = self.round;
            }
            Some(until) if now >= until && new_round => {
                self.shortest.renew(now);
                self.window = self.window.max(std::mem::take(&mut self.saved_window));
                self.bounds.forget_short();
                if self.pipe_full {
                    // Flows that measure together should not probe together.
                    self.await_probe(now, self.probe.congested);
                    self.enter(now, Phase::Cruise);
                } else {
                    self.enter(now, Phase::Startup);
                }
            }
            _ => {}
        }
    }
}

/// What a probe sends more, in roots of the packets that the path holds, and as a share of them.
const UP_STEP: f64 = 2.5;
const LEAST_UP: f64 = 0.25;
const MOST_UP: f64 = 2.0;
/// Which share of what it has sent more a probe finds at least to go on, and to go on at a higher pace.
const CLIMB_SHARE: f64 = 0.48;
const ROOM_SHARE: f64 = 0.85;
/// A probe that cannot fill the path ends after so many rounds.
const UP_ROUNDS: u64 = 4;
/// How long PROBE_RTT lasts (§2.14.2).
const RTT_PROBE: Duration = Duration::from_millis(200);
