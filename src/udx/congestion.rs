//! How much may be in flight, and how fast it leaves: BBR, first version
//! (draft-cardwell-iccrg-bbr-congestion-control-00).
//!
//! A model of the path, its bandwidth and its shortest round trip, decides, and not the losses: UDX streams
//! run over home uplinks and radio links, where random loss would hold a loss-based controller far under what
//! the path carries (at 1 % loss and 20 ms CUBIC stays under 2 MB/s whatever the link). The reference does
//! the same since 2025 (`udx.md` §15, `libudx src/udx_bbr.c`), so both share a bottleneck as equals. Apart
//! from it: a round that loses a fifth ends STARTUP, PROBE_RTT keeps half of the window instead of four
//! packets, and the window leaves room for trains.

use std::time::{Duration, Instant};

use tracing::debug;

use super::aggregation::Aggregation;
use super::rate::{MaxRate, Sample};

/// What became of packets since the last call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    /// Bytes acknowledged.
    pub(super) acked: u64,
    /// Bytes found lost.
    pub(super) lost: u64,
    /// Bytes in flight after both.
    pub(super) in_flight: u64,
    /// All bytes ever delivered.
    pub(super) delivered: u64,
    pub(super) sample: Option<Sample>,
    /// The shortest round trip among the acknowledged packets.
    pub(super) rtt: Option<Duration>,
}

/// The states of BBR (draft §4.3).
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    /// The rate doubles each round until it stops growing.
    Startup,
    /// The queue that STARTUP has built drains.
    Drain,
    /// The pace goes around [`CYCLE`].
    ProbeBandwidth { phase: usize, since: Instant },
    /// Little is sent, to see the shortest round trip; `until` is set once little is in flight.
    ProbeRtt { until: Option<Instant> },
}

/// The controller of a stream.
#[derive(Debug)]
pub(super) struct Bbr {
    mode: Mode,
    rates: MaxRate,
    round: u64,
    /// What is delivered when the round ends.
    round_end: u64,
    round_lost: u64,
    round_began_delivered: u64,
    /// The rate that the next must exceed for STARTUP to go on, and for how many rounds none has.
    full_rate: f64,
    full_rounds: u32,
    pipe_full: bool,
    minimum_rtt: Option<(Duration, Instant)>,
    window: u64,
    saved_window: u64,
    /// The first round of a recovery sends what was delivered and no more.
    conserving: bool,
    aggregation: Aggregation,
    pacing_rate: f64,
}

impl Bbr {
    /// Begins on a path of which nothing is known, with `in_flight` bytes of another path still out.
    pub(super) const fn new(in_flight: u64) -> Self {
        Self {
            mode: Mode::Startup,
            rates: MaxRate::new(),
            round: 0,
            round_end: 0,
            round_lost: 0,
            round_began_delivered: 0,
            full_rate: 0.0,
            full_rounds: 0,
            pipe_full: false,
            minimum_rtt: None,
            window: INITIAL_WINDOW + in_flight,
            saved_window: 0,
            conserving: false,
            aggregation: Aggregation::new(),
            pacing_rate: HIGH_GAIN * INITIAL_WINDOW as f64 * 1000.0,
        }
    }

    /// Returns how many bytes may be in flight.
    pub(super) const fn window(&self) -> u64 {
        self.window
    }

    /// Returns the pacing rate in bytes per second.
    pub(super) const fn pacing_rate(&self) -> f64 {
        self.pacing_rate
    }

    /// Learns from a batch of acknowledgements and losses.
    pub(super) fn update(&mut self, now: Instant, outcome: &Outcome) {
        let new_round = self.count_round(outcome);
        let bandwidth = self.bandwidth();
        let rtt = self.minimum_rtt.map(|(rtt, _)| rtt);
        self.aggregation.measure(now, outcome.acked, bandwidth, rtt, self.window, new_round);
        self.advance_phase(now, outcome);
        if new_round {
            self.check_full_pipe(outcome, bandwidth);
        }
        self.check_drain(now, outcome.in_flight);
        self.probe_rtt(now, outcome, new_round);
        self.set_pacing_rate(bandwidth);
        self.set_window(outcome, bandwidth);
    }

    /// Notes that losses began after a time without any.
    pub(super) const fn enter_recovery(&mut self, in_flight: u64, acked: u64) {
        self.save_window();
        self.conserving = true;
        self.window = if in_flight + acked > MIN_WINDOW { in_flight + acked } else { MIN_WINDOW };
    }

    /// Notes that everything sent before the losses has arrived.
    pub(super) fn leave_recovery(&mut self) {
        self.conserving = false;
        self.window = self.window.max(self.saved_window);
    }

    /// Notes that nothing was acknowledged for a whole time-out.
    pub(super) fn time_out(&mut self, in_flight: u64) {
        self.save_window();
        self.conserving = false;
        self.window = (in_flight + PACKET).max(MIN_WINDOW / 2);
    }

    const fn save_window(&mut self) {
        let shrunken = self.conserving || matches!(self.mode, Mode::ProbeRtt { .. });
        if !shrunken || self.window > self.saved_window {
            self.saved_window = self.window;
        }
    }

    /// Counts the rate sample. Returns whether a round has ended.
    fn count_round(&mut self, outcome: &Outcome) -> bool {
        self.round_lost += outcome.lost;
        let Some(sample) = outcome.sample else {
            return false;
        };
        let new_round = sample.delivered_before >= self.round_end;
        if new_round {
            self.round += 1;
            self.rates.start_round();
            self.round_end = outcome.delivered;
            self.conserving = false;
        }
        if !sample.app_limited || sample.rate >= self.bandwidth() {
            self.rates.add(sample.rate);
        }
        new_round
    }

    /// Returns the highest rate of the last rounds, in bytes per second.
    fn bandwidth(&self) -> f64 {
        self.rates.max()
    }

    fn advance_phase(&mut self, now: Instant, outcome: &Outcome) {
        let Mode::ProbeBandwidth { phase, since } = self.mode else {
            return;
        };
        let Some((rtt, _)) = self.minimum_rtt else {
            return;
        };
        let over = now.saturating_duration_since(since) > rtt;
        let done = match CYCLE[phase] {
            gain if gain > 1.0 => {
                over && (outcome.lost > 0 || outcome.in_flight + outcome.acked >= self.target(gain))
            }
            gain if gain < 1.0 => over || outcome.in_flight <= self.target(1.0),
            _ => over,
        };
        if done {
            self.mode = Mode::ProbeBandwidth { phase: (phase + 1) % CYCLE.len(), since: now };
        }
    }

    /// Ends STARTUP when the rate has stopped growing, or when the growth is bought with losses.
    fn check_full_pipe(&mut self, outcome: &Outcome, bandwidth: f64) {
        let delivered = outcome.delivered - self.round_began_delivered;
        let lossy = self.round_lost >= 8 * PACKET && self.round_lost * 5 > delivered;
        self.round_lost = 0;
        self.round_began_delivered = outcome.delivered;
        if self.pipe_full {
            return;
        }
        if lossy {
            self.pipe_full = true;
            debug!(cwnd = self.window, reason = "losses", "STARTUP left");
        } else if bandwidth >= self.full_rate * FULL_GROWTH {
            self.full_rate = bandwidth;
            self.full_rounds = 0;
        } else if outcome.sample.is_some_and(|sample| !sample.app_limited) {
            self.full_rounds += 1;
            self.pipe_full = self.full_rounds >= FULL_ROUNDS;
            if self.pipe_full {
                debug!(cwnd = self.window, reason = "the rate stopped growing", "STARTUP left");
            }
        }
    }

    fn check_drain(&mut self, now: Instant, in_flight: u64) {
        if self.mode == Mode::Startup && self.pipe_full {
            self.mode = Mode::Drain;
        }
        if self.mode == Mode::Drain && in_flight <= self.target(1.0) {
            self.mode = Mode::ProbeBandwidth { phase: CRUISE, since: now };
            debug!(cwnd = self.window, "DRAIN left");
        }
    }

    fn probe_rtt(&mut self, now: Instant, outcome: &Outcome, new_round: bool) {
        let expired =
            self.minimum_rtt.is_some_and(|(_, at)| now.saturating_duration_since(at) > RTT_LIFETIME);
        if let Some(rtt) = outcome.rtt
            && self.minimum_rtt.is_none_or(|(minimum, _)| rtt <= minimum || expired)
        {
            self.minimum_rtt = Some((rtt, now));
        }
        if let Mode::ProbeRtt { until } = self.mode {
            match until {
                None if outcome.in_flight <= self.probe_window() => {
                    self.mode = Mode::ProbeRtt { until: Some(now + RTT_PROBE) };
                }
                Some(until) if now >= until && new_round => {
                    self.minimum_rtt = self.minimum_rtt.map(|(rtt, _)| (rtt, now));
                    self.window = self.window.max(self.saved_window);
                    debug!(cwnd = self.window, "PROBE_RTT left");
                    self.mode = if self.pipe_full {
                        Mode::ProbeBandwidth { phase: CRUISE, since: now }
                    } else {
                        Mode::Startup
                    };
                }
                _ => {}
            }
        } else if expired && outcome.in_flight > self.probe_window() {
            // With little in flight the samples are of an empty path anyway.
            self.save_window();
            self.mode = Mode::ProbeRtt { until: None };
            debug!(cwnd = self.window, "PROBE_RTT entered");
        }
    }

    fn set_pacing_rate(&mut self, bandwidth: f64) {
        if bandwidth <= 0.0 {
            return;
        }
        let gain = match self.mode {
            Mode::Startup => HIGH_GAIN,
            Mode::Drain => 1.0 / HIGH_GAIN,
            Mode::ProbeBandwidth { phase, .. } => CYCLE[phase],
            Mode::ProbeRtt { .. } => 1.0,
        };
        // While little is sent little is measured, but the first window may always leave within a round trip.
        let least = match self.minimum_rtt {
            Some((rtt, _)) if !self.pipe_full => {
                HIGH_GAIN * INITIAL_WINDOW as f64 / rtt.as_secs_f64().max(0.001)
            }
            _ => MIN_RATE,
        };
        let rate = (0.99 * gain * bandwidth).max(least);
        if self.pipe_full || rate > self.pacing_rate || self.round < 2 {
            self.pacing_rate = rate;
        }
    }

    fn set_window(&mut self, outcome: &Outcome, bandwidth: f64) {
        if outcome.lost > 0 {
            self.window = self.window.saturating_sub(outcome.lost);
        }
        if self.conserving {
            self.window = self.window.max(outcome.in_flight + outcome.acked);
        } else {
            let gain = match self.mode {
                Mode::Startup | Mode::Drain => HIGH_GAIN,
                Mode::ProbeBandwidth { .. } => 2.0,
                Mode::ProbeRtt { .. } => 1.0,
            };
            // A train is on its way as a whole, so three of them must fit besides what the path holds.
            let trains = 3 * ((bandwidth * 0.001) as u64).clamp(2 * PACKET, MAX_TRAIN);
            let excess = if self.pipe_full { self.aggregation.excess() } else { 0 };
            let target = self.target(gain) + trains + excess;
            if self.pipe_full {
                self.window = (self.window + outcome.acked).min(target);
            } else if self.window < target || outcome.delivered < INITIAL_WINDOW {
                self.window += outcome.acked;
            }
        }
        self.window = self.window.max(MIN_WINDOW);
        if matches!(self.mode, Mode::ProbeRtt { .. }) {
            self.window = self.window.min(self.probe_window());
        }
    }

    /// Returns `gain` times what the path holds.
    fn target(&self, gain: f64) -> u64 {
        match self.minimum_rtt {
            Some((rtt, _)) if self.bandwidth() > 0.0 => (gain * self.bandwidth() * rtt.as_secs_f64()) as u64,
            _ => INITIAL_WINDOW,
        }
    }

    fn probe_window(&self) -> u64 {
        (self.target(1.0) / 2).max(MIN_WINDOW)
    }
}

/// A full packet of Ethernet as a datagram.
const PACKET: u64 = 1472;
/// Ten packets, as RFC 6928 and the reference (`udx.md` §19).
const INITIAL_WINDOW: u64 = 10 * PACKET;
/// `BBRMinPipeCwnd` of draft §4.2.3.
const MIN_WINDOW: u64 = 4 * PACKET;
const MAX_TRAIN: u64 = 65_536;
/// The least pace in bytes per second.
const MIN_RATE: f64 = 2_000.0;
/// 2 / ln 2, the least gain that doubles the rate every round: `BBRHighGain` of draft §4.2.1.
const HIGH_GAIN: f64 = 2.885_39;
/// The pacing gains of PROBE_BW (draft §4.3.4).
const CYCLE: [f64; 8] = [1.25, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0];
/// Where the cycle is entered: in the fifth phase, as in the reference (`udx.md` §15).
const CRUISE: usize = 4;
/// STARTUP ends when the rate grows by less than this in so many rounds (draft §4.3.2).
const FULL_GROWTH: f64 = 1.25;
const FULL_ROUNDS: u32 = 3;
/// After this time the shortest round trip is measured anew: `RTpropFilterLen` of draft §4.1.2.
const RTT_LIFETIME: Duration = Duration::from_secs(10);
/// How long PROBE_RTT lasts: `ProbeRTTDuration` of draft §4.3.5.
const RTT_PROBE: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_rate_of_a_steady_path_and_keeps_twice_what_it_holds() {
        let (rate, rtt) = (5e6, Duration::from_millis(40));
        let bbr = run(rate, rtt, 2_000, |_| 0);
        assert!((4.5e6..5.5e6).contains(&bbr.bandwidth()), "{}", bbr.bandwidth());
        assert!((200_000..600_000).contains(&bbr.window()), "{}", bbr.window());
    }

    #[test]
    fn random_loss_does_not_slow_it() {
        let bbr = run(5e6, Duration::from_millis(40), 2_000, |n| if n % 20 == 0 { 1472 } else { 0 });
        assert!(bbr.bandwidth() > 4e6, "{}", bbr.bandwidth());
        assert!(bbr.window() > 200_000, "{}", bbr.window());
    }

    /// Feeds acknowledgements of one packet each, as a path with this rate makes them.
    fn run(rate: f64, rtt: Duration, packets: u64, lost: impl Fn(u64) -> u64) -> Bbr {
        let start = Instant::now();
        let mut bbr = Bbr::new(0);
        let held = (rate * rtt.as_secs_f64()) as u64;
        for n in 1..=packets {
            let delivered = n * 1472;
            let now = start + rtt + Duration::from_secs_f64(delivered as f64 / rate);
            bbr.update(
                now,
                &Outcome {
                    acked: 1472,
                    lost: lost(n),
                    in_flight: held,
                    delivered,
                    sample: Some(Sample {
                        rate,
                        delivered_before: delivered.saturating_sub(held),
                        app_limited: false,
                    }),
                    rtt: Some(rtt),
                },
            );
        }
        bbr
    }
}
