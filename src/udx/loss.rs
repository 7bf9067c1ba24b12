//! Which packets are lost, and when to find out: RACK and tail-loss probes after RFC 8985, and the
//! retransmission time-out of RFC 6298.
//!
//! The reference does the same with a clock of milliseconds (`udx.md` §12, `libudx src/udx.c
//! rack_detect_loss, udx_tlp_timeout, udx_rto_timeout`).

use std::time::{Duration, Instant};

use super::batch::Batch;
use super::congestion;
use super::outstanding::Outstanding;
use super::rtt::{MAX_TIMEOUT, Rtt};
use super::timer::Timer;

/// Loss detection of one stream.
#[derive(Debug, Default)]
pub(super) struct Loss {
    /// The latest sent packet that was acknowledged: its transmission and how long the answer took
    /// (`RACK.segment` and `RACK.rtt`).
    newest: Option<(u64, Duration)>,
    /// Highest number acknowledged (`RACK.fack`).
    highest: Option<u64>,
    /// A packet was acknowledged after a later one (`RACK.reordering_seen`).
    reordering: bool,
    /// Quarters of the shortest round trip added to the reordering window (`RACK.reo_wnd_mult` less one).
    extra_quarters: u32,
    reordering_due: Option<Instant>,
    /// Recovery lasts until everything below this is acknowledged.
    recovery: Option<u64>,
    probed: bool,
    timeouts: u32,
    /// Answers in a row to packets sent more than once, which measure nothing.
    unmeasured: u32,
    /// Since when the retransmission time-out runs.
    since: Option<Instant>,
    last_sent: Option<Instant>,
}

impl Loss {
    /// Handles what a batch has acknowledged and marks packets lost. Returns what was lost.
    pub(super) fn update(
        &mut self,
        now: Instant,
        batch: &Batch,
        packets: &mut Outstanding,
        rtt: &Rtt,
    ) -> Option<congestion::Loss> {
        self.since = Some(now);
        self.unmeasured = match batch.measured {
            None if self.probed || self.timeouts > 0 => self.unmeasured + 1,
            None => self.unmeasured,
            Some(_) => 0,
        };
        self.probed = false;
        self.timeouts = 0;
        if batch.spurious {
            self.extra_quarters = (self.extra_quarters + 1).min(MAX_EXTRA_QUARTERS);
            self.reordering = true;
        }
        if let (Some(lowest), Some(highest)) = (batch.lowest, self.highest)
            && lowest < highest
        {
            self.reordering = true;
        }
        self.highest = self.highest.max(batch.highest);
        if let Some(latest) = batch.latest
            && self.newest.is_none_or(|(transmission, _)| latest.transmission > transmission)
        {
            self.newest = Some((latest.transmission, now.saturating_duration_since(latest.sent_at)));
        }
        self.detect(now, packets, rtt)
    }

    /// Marks the packets lost that left before an acknowledged one, and long enough ago (RFC 8985 §6.2 step
    /// 5). Returns what was lost.
    pub(super) fn detect(
        &mut self,
        now: Instant,
        packets: &mut Outstanding,
        rtt: &Rtt,
    ) -> Option<congestion::Loss> {
        self.reordering_due = None;
        let (newest, took) = self.newest?;
        let window = self.reordering_window(packets, rtt);
        let due = &mut self.reordering_due;
        packets.detect(|packet| {
            if packet.transmission >= newest {
                return false;
            }
            let lost_at = packet.sent_at + took + window;
            if lost_at > now {
                *due = Some(lost_at);
                return false;
            }
            true
        })
    }

    /// Returns by how much a packet may be overtaken before it counts as lost (RFC 8985 §6.2 step 4).
    fn reordering_window(&self, packets: &Outstanding, rtt: &Rtt) -> Duration {
        if !self.reordering && (self.recovery.is_some() || packets.sacked_at_least(SACKED_THRESHOLD)) {
            return Duration::ZERO;
        }
        let minimum = rtt.minimum().unwrap_or_default();
        (minimum * (1 + self.extra_quarters) / 4).min(rtt.smoothed().unwrap_or_default())
    }

    /// Notes that losses were found. Returns whether they begin a recovery.
    pub(super) fn enter_recovery(&mut self, packets: &Outstanding) -> bool {
        let begins = self.recovery.is_none();
        if begins {
            self.recovery = Some(packets.next());
        }
        begins
    }

    /// Returns whether a recovery has ended.
    pub(super) fn leave_recovery(&mut self, packets: &Outstanding) -> bool {
        self.recovery.take_if(|point| packets.oldest() >= *point).is_some()
    }

    /// Notes that a packet with a number is sent; `first` if none was in flight.
    pub(super) const fn sent(&mut self, now: Instant, first: bool) {
        self.last_sent = Some(now);
        if first {
            self.since = Some(now);
        }
    }

    /// Notes that the tail was probed.
    pub(super) const fn probed(&mut self, now: Instant) {
        self.probed = true;
        self.since = Some(now);
    }

    /// Handles the retransmission time-out: marks lost what should have been answered. Returns how many have
    /// passed in a row.
    pub(super) fn time_out(&mut self, now: Instant, packets: &mut Outstanding) -> u32 {
        self.timeouts += 1;
        self.since = Some(now);
        self.recovery = Some(packets.next());
        self.reordering_due = None;
        if packets.is_in_question() {
            // What is asked next is asked like a probe.
            self.probed = false;
        }
        let took = self.newest.map_or(Duration::ZERO, |(_, took)| took);
        let mut first = true;
        packets.detect(|packet| std::mem::take(&mut first) || packet.sent_at + took < now);
        packets.sort_lost();
        self.timeouts
    }

    /// Returns whether a time-out has passed since the last acknowledgement.
    pub(super) const fn is_timed_out(&self) -> bool {
        self.timeouts > 0
    }

    /// Starts over on another path.
    pub(super) fn reset(&mut self, now: Instant) {
        let (highest, recovery, last_sent) = (self.highest, self.recovery, self.last_sent);
        *self = Self { highest, recovery, last_sent, since: Some(now), ..Self::default() };
    }

    /// Returns when something is to be done about packets in flight.
    ///
    /// A small packet that is out alone is sent twice: no later one shows that it was lost, and a request or
    /// an answer would wait for the probe. The copy follows after a moment, because losses come in bursts.
    ///
    /// The tail is probed after a usual round trip, as in RFC 9002 §6.2.1, where RFC 8985 §7.2 waits for two,
    /// and during a recovery as well: a window that is full of packets which wait for one lost twice would
    /// otherwise stand still until the time-out. That doubles (RFC 6298 §5.5), where that of the reference
    /// stays at twice the first (`udx.md` P15). Both wait twice as long after each answer that measures
    /// nothing: a path that has become slower would otherwise never be measured again.
    pub(super) fn deadline(&self, packets: &Outstanding, rtt: &Rtt) -> Option<(Instant, Timer)> {
        if packets.in_flight() == 0 {
            return None;
        }
        if let Some(at) = self.reordering_due {
            return Some((at, Timer::Reordering));
        }
        let since = self.since?;
        let times = |doublings: u32| 2u32.pow(doublings.min(MAX_DOUBLINGS));
        let backed_off = rtt.timeout() * times(self.timeouts.max(self.unmeasured));
        let time_out = since + backed_off.min(MAX_TIMEOUT);
        if let Some(sent_at) = packets.to_copy()
            && rtt.smoothed().is_some_and(|smoothed| smoothed > COPY_WORTH)
        {
            return Some((sent_at + COPY_AFTER, Timer::Copy));
        }
        // An answer that came earlier would not answer the question.
        let wait = if packets.is_in_question() { rtt.latest() } else { rtt.usual() };
        if let (Some(wait), Some(sent)) = (wait, self.last_sent)
            && !self.probed
        {
            let probe = sent.max(since) + wait * times(self.unmeasured) + HELD_BACK;
            if probe < time_out {
                return Some((probe, Timer::TailLossProbe));
            }
        }
        Some((time_out, Timer::Retransmission))
    }
}

/// Packets acknowledged before older ones that end the tolerance of reordering: `DupThresh` of RFC 8985 §6.2.
const SACKED_THRESHOLD: u64 = 3;
/// How long a peer may hold an acknowledgement back, 2 ms in the reference (`udx.md` §12), with as much again
/// for its scheduler.
const HELD_BACK: Duration = Duration::from_millis(4);
/// Later time-outs are no longer.
const MAX_DOUBLINGS: u32 = 8;
/// When a small packet that is out alone is sent a second time.
pub(super) const COPY_AFTER: Duration = Duration::from_millis(5);
/// On paths no longer than that a copy would come little sooner than the probe of the tail.
const COPY_WORTH: Duration = Duration::from_millis(10);
/// The reordering window is two of the shortest round trips at most.
const MAX_EXTRA_QUARTERS: u32 = 7;
