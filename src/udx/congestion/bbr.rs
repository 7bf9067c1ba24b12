//! BBR, third version (draft-ietf-ccwg-bbr-03), whose sections are cited below.
//!
//! A model of the path, its bandwidth and its shortest round trip, decides, and not each loss: UDX streams
//! run over home uplinks and radio links, where random loss would hold a loss-based controller far under what
//! the path carries. What queues overflow with bounds the model ([`bounds`](super::bounds)), so that flows
//! beside get their part. The reference has the first version (`udx.md` §15), which sees no losses at all.
//!
//! Apart from the draft:
//!
//! * losses count while a queue delays packets, see [`bounds`](super::bounds);
//! * probes for bandwidth follow each other after eight round trips as long as none meets congestion, and
//!   after the draft's time otherwise;
//! * a probe waits for what it has sent to be acknowledged, and doubles its pace as long as it finds more,
//!   unless a queue stood before it: then others leave room for a moment only, in PROBE_RTT;
//! * after STARTUP the rate of a round is the mean of its samples, and what the path loses with empty queues
//!   is sent in addition;
//! * two rounds with a queue that deliver far less than the known rate replace it: the link has become
//!   narrower;
//! * a probe sends more in flows of few packets, the rate that it has reached counts at once, and a queue
//!   takes from each flow in proportion to its rate: so flows converge that share one;
//! * beside flows that keep a queue of more than a round trip, as loss-based control does, the rate is
//!   measured anew, no part of it is left to them, and probes have room;
//! * the shortest round trip is measured as soon as others do so;
//! * the first window is larger and paced, and STARTUP grows faster while no queue shows, and ends with the
//!   rate that the first queue shows, see [`acceleration`](super::acceleration).

use std::time::{Duration, Instant};

use tracing::debug;

use super::acceleration::{Acceleration, OVERFLOWED, OVERFLOWED_SHARE};
use super::aggregation::Aggregation;
use super::bandwidth::Bandwidth;
use super::bounds::{Bounds, Losses, Round, by_beta};
use super::controller::{Beliefs, Controller, Outcome};
use super::probe::{Probe, elapsed};
use super::shortest::ShortestRtt;
use crate::udx::rate::Sample;

/// The states (§3.3). Those of `ProbeBW` are the four from `Down` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
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
    phase: Phase,
    /// When the phase began, and in which round.
    since: Option<Instant>,
    began_in: u64,
    round: u64,
    /// What is delivered when the round ends.
    round_end: u64,
    bandwidth: Bandwidth,
    /// The highest rate and the most in flight that was delivered in this round and in the one before.
    latest: [(f64, u64); 2],
    /// The rate that the next must exceed for STARTUP, or a probe, to go on, and for how many rounds none
    /// has.
    full_rate: f64,
    full_rounds: u32,
    pipe_full: bool,
    acceleration: Acceleration,
    losses: Losses,
    bounds: Bounds,
    probe: Probe,
    shortest: ShortestRtt,
    /// PROBE_RTT lasts until then, once little is in flight.
    probe_rtt_until: Option<Instant>,
    window: u64,
    saved_window: u64,
    /// Nothing was acknowledged for a time-out, and not all sent before has arrived yet.
    timed_out: bool,
    aggregation: Aggregation,
    pacing_rate: f64,
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

    fn max_bandwidth(&self) -> f64 {
        self.bandwidth.max()
    }

    /// Returns the rate to keep: the highest, unless others take a part of it at the moment (`BBR.bw`).
    fn bandwidth(&self) -> f64 {
        (self.max_bandwidth() * self.losses.surplus()).min(self.bounds.short_bandwidth())
    }

    /// Returns `gain` times what a path with this bandwidth holds.
    fn held(&self, bandwidth: f64, gain: f64) -> u64 {
        match self.shortest.get() {
            Some(rtt) if bandwidth > 0.0 => (gain * bandwidth * rtt.as_secs_f64()) as u64,
            _ => INITIAL_WINDOW,
        }
    }

    fn enter(&mut self, now: Instant, phase: Phase) {
        debug!(from = ?self.phase, to = ?phase, cwnd = self.window, "BBR");
        self.phase = phase;
        self.since = Some(now);
        self.began_in = self.round;
    }

    /// Takes the sample's rate, and counts rounds. Returns what has ended if a round has.
    fn count_round(&mut self, outcome: &Outcome) -> Option<Round> {
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
        if matches!(self.phase, Phase::Cruise | Phase::Refill)
            && round.inflated
            && let Some(rtt) = self.shortest.get()
        {
            self.probe.queue_stood = true;
            // A queue that others keep becomes no shorter by that.
            if !self.shortest.is_occupied() {
                self.bandwidth.share(self.losses.queue(rtt), rtt, PACKET);
            }
        }
        // What the round has delivered is kept all the same.
        let settled = matches!(self.phase, Phase::Down | Phase::Cruise) && round.inflated;
        if self.bandwidth.end_round(settled) {
            self.phase = Phase::Down;
        }
    }

    /// Returns the pace of a probe (§5.6.1): a quarter more, and for flows of few packets the root of them,
    /// so that of flows that share a queue the smaller ones grow faster.
    fn up_gain(&self) -> f64 {
        let packets = (self.held(self.max_bandwidth(), 1.0) / PACKET).max(1) as f64;
        1.0 + (UP_STEP / packets.sqrt()).clamp(LEAST_UP, MOST_UP)
    }

    /// Ends STARTUP when the rate has stopped growing, when queues overflow (§5.3.1), or when the queue that
    /// the acceleration has built shows the rate.
    fn check_startup(&mut self, now: Instant, outcome: &Outcome, round: Option<Round>) {
        if self.pipe_full {
            return;
        }
        let over = self.full_rounds > 0 || self.timed_out;
        self.acceleration.update(now, outcome, &self.losses, over);
        if let Some(rate) = self.acceleration.measure(now, outcome, self.shortest.get()) {
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

    /// Learns from congestion (§5.5.10).
    fn adapt(&mut self, now: Instant, outcome: &Outcome, congested: bool, round: Option<Round>) {
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
        // What a probe, or STARTUP, has sent too much is acknowledged, or lost, until the second round after.
        let settled = self.round > self.probe.ended_in + 2 && !self.bandwidth.is_doubtful();
        if round.congested && !probes && settled && !self.timed_out {
            let (rate, delivered) = self.latest[1];
            self.bounds.give_way(self.max_bandwidth(), self.window, rate, delivered);
        }
        self.latest = [self.latest[1], (0.0, 0)];
    }

    /// Moves through the cycle of probes (§5.3.3).
    fn advance(&mut self, now: Instant, outcome: &Outcome, new_round: bool) {
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

    fn end_probe(&mut self, now: Instant, congested: bool) {
        self.await_probe(now, congested);
        self.enter(now, Phase::Down);
    }

    /// Starts the wait for the next probe.
    fn await_probe(&mut self, now: Instant, congested: bool) {
        self.probe.end(now, self.round, self.round_end, congested);
    }

    /// Keeps the shortest round trip, and measures it anew with little in flight when it is old (§5.3.4).
    fn probe_rtt(&mut self, now: Instant, outcome: &Outcome, new_round: bool) {
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

    fn set_pacing_rate(&mut self) {
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

    fn set_window(&mut self, outcome: &Outcome) {
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
        } else if self.window < most || is_first || self.is_accelerated() {
            self.window += outcome.acked;
        }
        if self.is_accelerated() {
            self.window += self.acceleration.growth(outcome.acked, outcome.rtt, self.shortest.get());
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

    fn probe_rtt_window(&self) -> u64 {
        self.held(self.bandwidth(), PROBE_RTT_WINDOW).max(MIN_WINDOW)
    }
}

/// Returns how many bytes leave at once, and count as in flight until all are acknowledged.
fn train(bandwidth: f64) -> u64 {
    ((bandwidth * TRAIN_SECONDS) as u64).clamp(PACKET, MAX_TRAIN)
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
const PACKET: u64 = 1472;
/// Three times the ten packets of RFC 6928, but paced over a round trip.
const INITIAL_WINDOW: u64 = 32 * PACKET;
/// What a round trip is taken to be before anything is known of it, for the pace of the first window.
const UNKNOWN_RTT: f64 = 0.05;
const LONGEST_FIRST_RTT: Duration = Duration::from_millis(100);
/// `BBRMinPipeCwnd` of §2.7.
const MIN_WINDOW: u64 = 4 * PACKET;
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
/// What a probe sends more, in roots of the packets that the path holds, and as a share of them. What a probe
/// of a quarter has put in flight drains within a round trip.
const UP_STEP: f64 = 2.5;
const LEAST_UP: f64 = 0.25;
const MOST_UP: f64 = 2.0;
const DOWN_GAIN: f64 = 0.75;
/// The pace of a probe that finds all that it has sent more. Shares of that: what it finds at least to go on,
/// and what to go on at this pace.
const CLIMB_GAIN: f64 = 2.0;
const CLIMB_WINDOW: f64 = 3.0;
const CLIMB_SHARE: f64 = 0.48;
const ROOM_SHARE: f64 = 0.85;
/// A probe that cannot fill the path ends after so many rounds.
const UP_ROUNDS: u64 = 4;
/// STARTUP ends when the rate grows by less than this in so many rounds (§5.3.1.2).
const FULL_GROWTH: f64 = 1.25;
const FULL_ROUNDS: u32 = 3;
/// STARTUP ends with so many losses in a round (`BBRStartupFullLossCnt` of §2.4) that are so much of it.
const STARTUP_LOSSES: u64 = 6;
const STARTUP_SHARE: f64 = 0.02;
/// Or as soon as so many are lost of a round: what follows is lost too.
const AT_ONCE: u64 = 8 * PACKET;
const AT_ONCE_SHARE: f64 = 0.15;
/// How long PROBE_RTT lasts, and with how much of what the path holds (§2.14.2).
const RTT_PROBE: Duration = Duration::from_millis(200);
const PROBE_RTT_WINDOW: f64 = 0.5;
