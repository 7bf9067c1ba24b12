//! Which packets are lost, and when to find out: RACK and tail-loss probes after RFC 8985, and the
//! retransmission time-out.

use std::time::{Duration, Instant};

use super::mtu::Mtu;
use super::rtt::{MAX_TIMEOUT, Rtt};
use super::send::{Batch, Sender};

/// What the timer of a stream with packets in flight is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Packets that may only have been overtaken are lost by then.
    Reordering,
    /// A packet provokes an answer that tells what became of the last ones.
    Probe,
    /// Nothing was answered at all.
    TimeOut,
}

impl Due {
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::Reordering => "reordering",
            Self::Probe => "tail loss probe",
            Self::TimeOut => "retransmission",
        }
    }
}

/// Loss detection of one stream.
#[derive(Debug, Default)]
pub(super) struct Loss {
    /// The latest sent packet that was acknowledged: its transmission and how long the answer took.
    newest: Option<(u64, Duration)>,
    highest: Option<u64>,
    reordering: bool,
    /// Quarters of the shortest round trip that a packet may be overtaken by.
    patience: u32,
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
    /// Takes what a batch has acknowledged and marks packets lost. Returns how many bytes were.
    pub(super) fn update(
        &mut self,
        now: Instant,
        batch: &Batch,
        sender: &mut Sender,
        rtt: &Rtt,
        mtu: &mut Mtu,
    ) -> u64 {
        if batch.advanced || batch.bytes > 0 {
            self.since = Some(now);
            self.probed = false;
            self.timeouts = 0;
        }
        if batch.spurious {
            self.patience = (self.patience + 1).min(MAX_PATIENCE);
            self.reordering = true;
        }
        if let (Some(lowest), Some(highest)) = (batch.lowest, self.highest)
            && lowest < highest
        {
            self.reordering = true;
        }
        self.highest = self.highest.max(batch.highest);
        if let Some(latest) = batch.latest
            && self
                .newest
                .is_none_or(|(transmission, _)| latest.transmission > transmission)
        {
            self.newest = Some((latest.transmission, now.saturating_duration_since(latest.sent_at)));
        }
        self.detect(now, sender, rtt, mtu)
    }

    /// Marks the packets lost that left before an acknowledged one, and long enough ago.
    pub(super) fn detect(&mut self, now: Instant, sender: &mut Sender, rtt: &Rtt, mtu: &mut Mtu) -> u64 {
        self.reordering_due = None;
        let Some((newest, took)) = self.newest else {
            return 0;
        };
        let patience = self.window(sender, rtt);
        let due = &mut self.reordering_due;
        sender.detect(mtu, |packet| {
            if packet.transmission >= newest {
                return false;
            }
            let lost_at = packet.sent_at + took + patience;
            if lost_at > now {
                *due = Some(lost_at);
                return false;
            }
            true
        })
    }

    /// Returns by how much a packet may be overtaken before it counts as lost.
    fn window(&self, sender: &Sender, rtt: &Rtt) -> Duration {
        if !self.reordering && (self.recovery.is_some() || sender.sacked_at_least(3)) {
            return Duration::ZERO;
        }
        let minimum = rtt.minimum().unwrap_or_default();
        (minimum * (1 + self.patience) / 4).min(rtt.smoothed().unwrap_or_default())
    }

    /// Takes note that losses were found; tells whether they begin a recovery.
    pub(super) fn enter_recovery(&mut self, sender: &Sender) -> bool {
        let begins = self.recovery.is_none();
        if begins {
            self.recovery = Some(sender.next());
        }
        begins
    }

    /// Tells whether a recovery has ended.
    pub(super) fn leave_recovery(&mut self, sender: &Sender) -> bool {
        let over = self.recovery.is_some_and(|point| sender.oldest() >= point);
        if over {
            self.recovery = None;
        }
        over
    }

    /// Takes note that a packet with a number is sent; `first` if none was in flight.
    pub(super) const fn sent(&mut self, now: Instant, first: bool) {
        self.last_sent = Some(now);
        if first {
            self.since = Some(now);
        }
    }

    /// Takes note that the tail was probed.
    pub(super) const fn probed(&mut self, now: Instant) {
        self.probed = true;
        self.since = Some(now);
    }

    /// Takes the retransmission time-out: marks lost what should have been answered. Returns how many have
    /// passed in a row.
    pub(super) fn time_out(&mut self, now: Instant, sender: &mut Sender, mtu: &mut Mtu) -> u32 {
        self.timeouts += 1;
        self.since = Some(now);
        self.recovery = Some(sender.next());
        self.reordering_due = None;
        let took = self.newest.map_or(Duration::ZERO, |(_, took)| took);
        let mut first = true;
        sender.detect(mtu, |packet| {
            std::mem::take(&mut first) || packet.sent_at + took < now
        });
        sender.sort_lost();
        self.timeouts
    }

    /// Starts over: the path is another one.
    pub(super) fn reset(&mut self, now: Instant) {
        let (highest, recovery, last_sent) = (self.highest, self.recovery, self.last_sent);
        *self = Self {
            highest,
            recovery,
            last_sent,
            since: Some(now),
            ..Self::default()
        };
    }

    /// Returns when something is to be done about packets in flight.
    ///
    /// Unlike in the RFC the tail is probed during a recovery as well: a window that is full of packets which
    /// wait for one lost twice would otherwise stand still until the time-out.
    pub(super) fn due(&self, sender: &Sender, rtt: &Rtt) -> Option<(Instant, Due)> {
        if sender.in_flight() == 0 {
            return None;
        }
        if let Some(at) = self.reordering_due {
            return Some((at, Due::Reordering));
        }
        let since = self.since?;
        let backed_off = rtt.timeout() * 2u32.saturating_pow(self.timeouts.min(8));
        let time_out = since + backed_off.min(MAX_TIMEOUT);
        if let (Some(smoothed), Some(sent)) = (rtt.smoothed(), self.last_sent)
            && !self.probed
        {
            let probe = sent.max(since) + smoothed * 2 + HELD_BACK;
            if probe < time_out {
                return Some((probe, Due::Probe));
            }
        }
        Some((time_out, Due::TimeOut))
    }
}

/// How long a peer may hold an acknowledgement back, with something for its scheduler.
const HELD_BACK: Duration = Duration::from_millis(4);
const MAX_PATIENCE: u32 = 7;
