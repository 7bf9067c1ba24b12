//! Which packets are lost, and when to find out: RACK and tail-loss probes after RFC 8985, and the
//! retransmission time-out of RFC 6298.
//!
//! The reference does the same with a clock of milliseconds (`udx.md` §12, `libudx src/udx.c
//! rack_detect_loss, udx_tlp_timeout, udx_rto_timeout`).

use std::time::{Duration, Instant};

use super::batch::Batch;
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
    /// Since when the retransmission time-out runs.
    since: Option<Instant>,
    last_sent: Option<Instant>,
}

impl Loss {
    /// Handles what a batch has acknowledged and marks packets lost. Returns how many bytes were.
    pub(super) fn update(
        &mut self,
        now: Instant,
        batch: &Batch,
        packets: &mut Outstanding,
        rtt: &Rtt,
    ) -> u64 {
        self.since = Some(now);
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
    /// 5). Returns how many bytes were.
    pub(super) fn detect(&mut self, now: Instant, packets: &mut Outstanding, rtt: &Rtt) -> u64 {
        self.reordering_due = None;
        let Some((newest, took)) = self.newest else {
            return 0;
        };
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
        let took = self.newest.map_or(Duration::ZERO, |(_, took)| took);
        let mut first = true;
        packets.detect(|packet| std::mem::take(&mut first) || packet.sent_at + took < now);
        packets.sort_lost();
        self.timeouts
    }

    /// Starts over on another path.
    pub(super) fn reset(&mut self, now: Instant) {
        let (highest, recovery, last_sent) = (self.highest, self.recovery, self.last_sent);
        *self = Self { highest, recovery, last_sent, since: Some(now), ..Self::default() };
    }

    /// Returns when something is to be done about packets in flight.
    ///
    /// Unlike in RFC 8985 §7.2 the tail is probed during a recovery as well: a window that is full of packets
    /// which wait for one lost twice would otherwise stand still until the time-out. The time-out doubles
    /// (RFC 6298 §5.5), where that of the reference stays at twice the first (`udx.md` P15).
    pub(super) fn deadline(&self, packets: &Outstanding, rtt: &Rtt) -> Option<(Instant, Timer)> {
        if packets.in_flight() == 0 {
            return None;
        }
        if let Some(at) = self.reordering_due {
            return Some((at, Timer::Reordering));
        }
        let since = self.since?;
        let backed_off = rtt.timeout() * 2u32.saturating_pow(self.timeouts.min(8));
        let time_out = since + backed_off.min(MAX_TIMEOUT);
        if let (Some(smoothed), Some(sent)) = (rtt.smoothed(), self.last_sent)
            && !self.probed
        {
            let probe = sent.max(since) + smoothed * 2 + HELD_BACK;
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
/// The reordering window is two of the shortest round trips at most.
const MAX_EXTRA_QUARTERS: u32 = 7;
