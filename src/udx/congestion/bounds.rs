//! Which losses are congestion, and how much they let be in flight (draft-ietf-ccwg-bbr §5.5.10).
//!
//! The draft takes any loss of more than 2 % in a round for a full queue. Radio links lose as much for other
//! reasons, so here a loss counts only while the round trip shows that something waits in a queue, and only
//! the part beyond what the path loses with empty queues.

use std::time::Duration;

use super::controller::{Loss, Outcome};
use super::shortest::HOST;

/// The judgement of losses, round by round.
#[derive(Debug)]
pub(super) struct Losses {
    /// Bytes of this round.
    lost: u64,
    acked: u64,
    recent: Recent,
    /// The latest round trips were inflated by a queue, and any of this round was.
    inflated: bool,
    round_inflated: bool,
    /// Any ever was: the known round trip is not that of a queue that is always full.
    has_risen: bool,
    /// Any of this round was not.
    uninflated: bool,
    /// The share of bytes that the path loses with empty queues, and of how many bytes that is known.
    radio: f64,
    seen: u64,
    /// Losses of this round, few as they may be, came from a queue, or were very many.
    congested: bool,
    /// More than 2 % was lost at once, from a queue.
    overflowed: bool,
}

/// The shortest of the latest round trips: a queue delays each packet, what disturbs a radio link only some.
#[derive(Debug)]
struct Recent {
    /// The shortest of this group and of the one before.
    least: [Duration; 2],
    count: u32,
}

impl Recent {
    const fn new() -> Self {
        Self { least: [Duration::MAX; 2], count: 0 }
    }

    /// Adds a round trip and returns the shortest of the latest.
    fn least(&mut self, rtt: Duration) -> Duration {
        if self.count == GROUP {
            self.least = [Duration::MAX, self.least[0]];
            self.count = 0;
        }
        self.count += 1;
        self.least[0] = self.least[0].min(rtt);
        self.shortest()
    }

    fn shortest(&self) -> Duration {
        self.least[0].min(self.least[1])
    }
}

/// Four to eight round trips are looked at.
const GROUP: u32 = 4;

/// What has ended with a round.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    /// The share of bytes that was lost, of those lost and acknowledged, and the bytes.
    pub(super) share: f64,
    pub(super) lost: u64,
    pub(super) congested: bool,
    pub(super) overflowed: bool,
    /// The round trip was inflated from its beginning to its end.
    pub(super) inflated: bool,
}

impl Losses {
    pub(super) const fn new() -> Self {
        Self {
            lost: 0,
            acked: 0,
            recent: Recent::new(),
            inflated: false,
            round_inflated: false,
            has_risen: false,
            uninflated: true,
            radio: 0.0,
            seen: 0,
            congested: false,
            overflowed: false,
        }
    }

    /// Counts `outcome`. Returns whether it shows that what is in flight is too much: more than 2 % of it is
    /// lost. Once `settled`, a flow that has never seen a queue rise takes its losses for those of a full
    /// one.
    pub(super) fn count(&mut self, outcome: &Outcome, minimum: Option<Duration>, settled: bool) -> bool {
        self.acked += outcome.acked;
        if let (Some(rtt), Some(minimum)) = (outcome.rtt, minimum) {
            self.inflated = self.recent.least(rtt) > minimum + slack(minimum);
            self.has_risen |= self.inflated;
            self.round_inflated |= self.may_be_queued(settled);
            self.uninflated |= !self.inflated;
        }
        let Some(loss) = outcome.loss else {
            return false;
        };
        self.lost += loss.bytes;
        let queued = self.may_be_queued(settled);
        let congested = self.is_excessive(&loss, if queued { THRESHOLD } else { UNQUEUED_THRESHOLD });
        self.overflowed |= congested && self.inflated;
        self.congested |= congested || queued && self.is_excessive(&loss, 0.0);
        congested
    }

    /// Returns whether packets may wait in a queue: one that is always full delays all alike.
    const fn may_be_queued(&self, settled: bool) -> bool {
        self.inflated || settled && !self.has_risen
    }

    fn is_excessive(&self, loss: &Loss, threshold: f64) -> bool {
        loss.lost_since as f64 > (threshold + 2.0 * self.radio) * loss.in_flight_then as f64
    }

    /// Returns whether more was lost in this round so far than the path loses with empty queues.
    pub(super) fn is_losing(&self) -> bool {
        self.is_losing_more_than(THRESHOLD, 1)
    }

    /// Returns whether at least so many bytes, and a larger share than the path loses with empty queues by
    /// this much, were lost in this round so far.
    pub(super) fn is_losing_more_than(&self, share: f64, least: u64) -> bool {
        let total = (self.lost + self.acked) as f64;
        self.lost >= least && self.lost as f64 > (share + 2.0 * self.radio) * total
    }

    /// Returns whether the path loses packets with empty queues.
    pub(super) fn are_random(&self) -> bool {
        self.radio > RANDOM
    }

    /// Returns how much must be sent for what arrives to be one, if no queue overflows.
    pub(super) fn surplus(&self) -> f64 {
        1.0 / (1.0 - self.radio)
    }

    /// Returns how long packets wait in the queue, in round trips of the empty path, and one at most. What
    /// hosts take to answer is left out.
    pub(super) fn queue(&self, minimum: Duration) -> f64 {
        match self.recent.shortest() {
            Duration::MAX => 0.0,
            least => {
                let queue = least.saturating_sub(minimum + HOST);
                (queue.as_secs_f64() / minimum.as_secs_f64()).min(1.0)
            }
        }
    }

    /// Returns whether the latest round trip shows that something waits in a queue.
    pub(super) const fn is_inflated(&self) -> bool {
        self.inflated
    }

    /// Ends a round.
    pub(super) fn end_round(&mut self) -> Round {
        let total = (self.lost + self.acked).max(1);
        let share = self.lost as f64 / total as f64;
        let Self { lost, congested, overflowed, .. } = *self;
        let round = Round { share, lost, congested, overflowed, inflated: !self.uninflated };
        if !self.round_inflated {
            self.seen += total;
            // Few rounds are enough at first, as each is larger than all before. What is lost in very large
            // shares may have overflowed a queue that is too short to be seen.
            let weight = if share < DOUBTFUL { total as f64 / self.seen as f64 } else { 0.0 };
            self.radio += (share.min(MOST_RADIO) - self.radio) * weight.max(1.0 / 16.0);
        }
        self.lost = 0;
        self.acked = 0;
        self.round_inflated = self.inflated;
        self.uninflated = !self.inflated;
        self.congested = false;
        self.overflowed = false;
        round
    }
}

/// Returns by how much a round trip varies without a queue.
fn slack(minimum: Duration) -> Duration {
    minimum / 10 + HOST.min(minimum / 4)
}

/// `BBRLossThresh` of draft §2.4.
const THRESHOLD: f64 = 0.02;
/// The same where no queue shows: in a crowd that has filled the queue before, a flow knows no empty one.
const UNQUEUED_THRESHOLD: f64 = 0.15;
/// Less may as well come from a queue that overflows for a moment.
const RANDOM: f64 = 0.005;
/// More is not a radio link that somebody uses.
const MOST_RADIO: f64 = 0.12;
/// Such a share is not taken for that of the path at once.
const DOUBTFUL: f64 = 0.1;

/// The bounds that congestion has set.
#[derive(Debug)]
pub(super) struct Bounds {
    /// What the path has carried in the long run without excessive losses: `inflight_longterm`.
    long: u64,
    /// What it has carried while another flow took more of it: `inflight_shortterm` and `bw_shortterm`.
    short: u64,
    short_bandwidth: f64,
    /// Rounds of a probe that has raised the long-term bound, and bytes acknowledged towards the next rise.
    raised: u32,
    towards: u64,
}

impl Bounds {
    pub(super) const fn new() -> Self {
        Self { long: u64::MAX, short: u64::MAX, short_bandwidth: f64::INFINITY, raised: 0, towards: 0 }
    }

    pub(super) const fn long(&self) -> u64 {
        self.long
    }

    pub(super) const fn short(&self) -> u64 {
        self.short
    }

    pub(super) const fn short_bandwidth(&self) -> f64 {
        self.short_bandwidth
    }

    /// Returns whether congestion has been met at all.
    pub(super) const fn is_set(&self) -> bool {
        self.long != u64::MAX || self.short != u64::MAX
    }

    /// Returns the long-term bound less what is left to others for their probes (`BBRHeadroom`). On a short
    /// path a `train` alone takes more than that, and comes and goes as a whole.
    pub(super) const fn with_headroom(&self, train: u64) -> u64 {
        let headroom = self.long / 100 * HEADROOM_PERCENT;
        if self.long == u64::MAX { self.long } else { self.long - headroom.saturating_sub(train) }
    }

    pub(super) const fn set_long(&mut self, bytes: u64) {
        self.long = bytes;
    }

    /// Takes what was delivered without congestion: the bound is not below it.
    pub(super) const fn raise_to(&mut self, bytes: u64) {
        if self.long != u64::MAX && bytes > self.long {
            self.long = bytes;
        }
    }

    /// Starts a probe: the bound rises slowly at first.
    pub(super) const fn start_probe(&mut self) {
        self.raised = 0;
        self.towards = 0;
    }

    /// Raises the long-term bound while all of it is used (draft §5.3.3.6): by a packet in the first round of
    /// a probe, by twice as many in each that follows.
    pub(super) fn probe(&mut self, acked: u64, window: u64, new_round: bool, packet: u64) {
        if self.long == u64::MAX {
            return;
        }
        self.towards += acked;
        let step = window / (1 << self.raised.min(16));
        let step = step.max(packet);
        let times = self.towards / step;
        self.towards -= times * step;
        self.long = self.long.saturating_add(times * packet);
        if new_round {
            self.raised += 1;
        }
    }

    /// Gives way to others after a round with congestion (draft §5.5.10.3): to a little less than what was
    /// delivered, and at most by three tenths at once. The draft stops at what was delivered, so that a crowd
    /// keeps its queue full for good.
    pub(super) fn give_way(&mut self, bandwidth: f64, window: u64, latest_bandwidth: f64, latest: u64) {
        let (held, rate) =
            (if self.short == u64::MAX { window } else { self.short }, self.short_bandwidth.min(bandwidth));
        let latest = (latest as f64 * YIELD) as u64;
        self.short = latest.max(by_beta(held));
        self.short_bandwidth = (latest_bandwidth * YIELD).max(rate * BETA);
    }

    /// Forgets the short-term bounds before a probe.
    pub(super) const fn forget_short(&mut self) {
        self.short = u64::MAX;
        self.short_bandwidth = f64::INFINITY;
    }
}

pub(super) fn by_beta(bytes: u64) -> u64 {
    (bytes as f64 * BETA) as u64
}

/// `BBRBeta` of draft §2.4.
const BETA: f64 = 0.7;
const YIELD: f64 = 0.9;
/// `BBRHeadroom` of draft §2.4.
const HEADROOM_PERCENT: u64 = 15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_path_loses_is_known_after_few_rounds() {
        let after = |shares: &[u64]| {
            let mut losses = Losses::new();
            for (round, share) in shares.iter().enumerate() {
                let bytes = 40_000 << (2 * round);
                losses.lost = bytes * share / 100;
                losses.acked = bytes - losses.lost;
                losses.end_round();
            }
            losses.radio
        };
        let known = after(&[3, 3, 3]);
        assert!((0.028..0.032).contains(&known), "{known}");
        let doubtful = after(&[0, 0, 30]);
        assert!(doubtful < 0.01, "a short queue may have overflowed: {doubtful}");
    }
}
