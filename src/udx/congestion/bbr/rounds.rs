//! Rounds: what each has delivered and lost, and what follows from that.

use std::time::Instant;

use super::state::{Bbr, PACKET, Phase};
use crate::udx::congestion::Outcome;
use crate::udx::congestion::bounds::{Round, by_beta};
use crate::udx::rate::Sample;

impl Bbr {
    /// Takes the sample's rate, and counts rounds. Returns what has ended if a round has.
    pub(super) fn count_round(&mut self, outcome: &Outcome) -> Option<Round> {
        let sample = outcome.sample?;
        self.take_rate(&sample);
        let now = &mut self.latest[1];
        now.0 = now.0.max(sample.rate);
        now.1 = now.1.max(sample.delivered);
        if sample.delivered_before < self.round_end {
            return None;
        }
        self.round += 1;
        self.round_end = outcome.delivered;
        let round = self.losses.end_round();
        self.end_rate_round(&round);
        Some(round)
    }

    /// Takes a sample's rate, if it shows what the path delivers.
    fn take_rate(&mut self, sample: &Sample) {
        // After a time-out the window is what limits the rate.
        if (sample.app_limited || self.timed_out) && sample.rate < self.max_bandwidth() {
            return;
        }
        // What a probe has reached counts at once, or nothing would remain of it in a queue that is shared.
        // Where packets are lost at random, the highest of many samples is too high.
        let probed = self.phase == Phase::Up
            && self.probe.verdict_at.is_some_and(|at| sample.delivered_before >= at)
            && !self.losses.are_random();
        self.bandwidth.add(sample.rate, !self.pipe_full || probed);
    }

    fn end_rate_round(&mut self, round: &Round) {
        let keeps = matches!(self.phase, Phase::Cruise | Phase::Refill);
        if keeps && round.inflated {
            self.probe.note_queue(self.round);
        }
        // What a flow has got in STARTUP, where many begin together, is chance.
        let is_young = self.round < self.filled_in + YOUNG_ROUNDS;
        let gives = keeps || self.phase == Phase::Down && is_young;
        // A queue that others keep becomes no shorter by that.
        if gives
            && round.inflated
            && !self.shortest.is_occupied()
            && let Some(rtt) = self.shortest.get()
        {
            self.bandwidth.share(self.losses.queue(rtt), rtt, PACKET);
        }
        // What the round has delivered is kept all the same.
        let settled = matches!(self.phase, Phase::Down | Phase::Cruise) && round.inflated;
        if self.bandwidth.end_round(settled) {
            self.phase = Phase::Down;
        }
    }

    /// Learns from congestion (§5.5.10).
    pub(super) fn adapt(&mut self, now: Instant, outcome: &Outcome, congested: bool, round: Option<Round>) {
        if let Some(sample) = outcome.sample
            && !congested
            && self.pipe_full
            && (!self.losses.is_inflated() || self.shortest.is_occupied())
        {
            self.bounds.raise_to(sample.in_flight_then);
        }
        let probes = matches!(self.phase, Phase::Refill | Phase::Up);
        // What a probe has sent last is found lost after its end.
        let has_probed = self.probe.may_be_out(self.round);
        if congested && (probes || has_probed) {
            // What has survived of it is what fits.
            let in_flight =
                outcome.loss.map_or(0, |loss| loss.in_flight_then.saturating_sub(loss.lost_since));
            let target = self.held(self.bandwidth(), 1.0).min(self.window);
            self.bounds.set_long(in_flight.max(by_beta(target)));
            (self.probe.congested, self.probe.is_out) = (true, false);
            if probes {
                self.end_probe(now, true);
            }
            return;
        }
        let Some(round) = round else {
            return;
        };
        let probes = matches!(self.phase, Phase::Startup | Phase::Refill | Phase::Up);
        let settled = self.probe.has_drained(self.round) && !self.bandwidth.is_doubtful();
        if round.congested && !probes && settled && !self.timed_out {
            let (rate, delivered) = self.latest[1];
            self.bounds.give_way(self.max_bandwidth(), self.window, rate, delivered);
        }
        self.latest = [self.latest[1], (0.0, 0)];
    }
}

/// Rounds after STARTUP in which a flow gives a part of its rate after probes as well.
const YOUNG_ROUNDS: u64 = 80;
