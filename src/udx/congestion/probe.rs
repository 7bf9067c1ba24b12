//! When a stream tries whether the path carries more, and what the last try has met (draft-ietf-ccwg-bbr
//! §5.3.3).

use std::time::{Duration, Instant};

/// The cycle of probes for bandwidth.
#[derive(Debug)]
pub(super) struct Probe {
    /// When the last one ended, and in which round.
    pub(super) ended: Option<Instant>,
    pub(super) ended_in: u64,
    /// It met congestion.
    pub(super) congested: bool,
    /// What it has sent may be found lost.
    pub(super) is_out: bool,
    /// Enough is in flight; what that brings is known when so much is delivered.
    pub(super) verdict_at: Option<u64>,
    /// A queue has stood for a round since the last one, and not that of the probe: what the next one finds,
    /// others leave free for a moment, to measure the path.
    pub(super) queue_stood: bool,
    /// Rounds in which the probe has found more.
    pub(super) climbs: u32,
    /// How long to wait for the next.
    wait: Duration,
    wait_rounds: u64,
}

impl Probe {
    pub(super) const fn new() -> Self {
        Self {
            ended: None,
            ended_in: 0,
            congested: false,
            is_out: false,
            verdict_at: None,
            queue_stood: false,
            climbs: 0,
            wait: Duration::ZERO,
            wait_rounds: 0,
        }
    }

    pub(super) const fn start(&mut self) {
        self.verdict_at = None;
        self.is_out = true;
        self.climbs = 0;
    }

    /// Starts the wait for the next probe. What differs from flow to flow is drawn from `delivered`.
    pub(super) fn end(&mut self, now: Instant, round: u64, delivered: u64, congested: bool) {
        // Flows that share a queue should not probe together.
        let chance = (delivered / 97 + round) % 8;
        self.ended = Some(now);
        self.ended_in = round;
        self.congested = congested;
        self.wait = MIN_WAIT + WAIT_SPREAD * chance as u32 / 8;
        self.wait_rounds = WAIT_ROUNDS + chance % 4;
        self.verdict_at = None;
        self.queue_stood = false;
    }

    /// Returns whether what is found lost in this round may be what the last probe has sent too much.
    pub(super) const fn may_be_out(&self, round: u64) -> bool {
        self.is_out && round <= self.ended_in + 1
    }

    /// Returns whether what the last probe has sent too much is acknowledged, or lost.
    pub(super) const fn has_drained(&self, round: u64) -> bool {
        round > self.ended_in + DRAINED_ROUNDS
    }

    /// Notes that a queue has stood for a round.
    pub(super) const fn note_queue(&mut self, round: u64) {
        self.queue_stood |= self.has_drained(round);
    }

    /// Returns whether it is time for the next probe of a flow that has so many packets in flight.
    pub(super) fn is_due(&self, now: Instant, round: u64, packets: u64) -> bool {
        let rounds = round - self.ended_in;
        if !self.congested {
            return rounds >= self.wait_rounds;
        }
        // Probes that meet congestion are as rare as losses of a Reno flow with this rate (§5.3.3.5.1).
        let reno = packets.clamp(self.wait_rounds, RENO_ROUNDS);
        elapsed(self.ended, now) >= self.wait || rounds >= reno
    }
}

pub(super) fn elapsed(since: Option<Instant>, now: Instant) -> Duration {
    since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
}

/// Rounds from the end of a probe to the next, as the cycle of the first version.
const WAIT_ROUNDS: u64 = 6;
/// Rounds from the end of a probe until nothing of it waits in a queue.
const DRAINED_ROUNDS: u64 = 2;
/// The wait after a probe that has met congestion, 2 to 3 s, or this many rounds (§5.3.3.5.1).
const MIN_WAIT: Duration = Duration::from_secs(2);
const WAIT_SPREAD: Duration = Duration::from_secs(1);
const RENO_ROUNDS: u64 = 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_probe_has_put_in_a_queue_is_not_taken_for_that_of_others() {
        for (round, stood) in [(11, false), (12, false), (13, true)] {
            let mut probe = Probe::new();
            probe.end(Instant::now(), 10, 0, false);
            probe.note_queue(round);
            assert_eq!(probe.queue_stood, stood, "in round {round}");
        }
    }
}
