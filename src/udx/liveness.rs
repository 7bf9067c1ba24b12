//! Whether the peer is still there: keep-alive, probes of a closed window, and giving up.

use std::time::{Duration, Instant};

use super::rtt::MAX_TIMEOUT;

/// What is to be done about a silent peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Duty {
    /// Send a heartbeat, because nothing else was sent.
    KeepAlive,
    /// Send a heartbeat, to learn whether the window has opened.
    WindowProbe,
    /// Tell the owner that heartbeats are not answered.
    Complain,
    /// Close.
    GiveUp,
}

impl Duty {
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::KeepAlive => "keep-alive",
            Self::WindowProbe => "window probe",
            Self::Complain => "heartbeat without answer",
            Self::GiveUp => "peer without answer",
        }
    }
}

/// The liveness of one peer.
#[derive(Debug, Default)]
pub(super) struct Liveness {
    interval: Option<Duration>,
    keep_alive_at: Option<Instant>,
    probe: Option<(Instant, Duration)>,
    /// A heartbeat leaves with the next poll.
    pub(super) heartbeat_due: bool,
    heartbeat_sent: Option<Instant>,
    answers: bool,
    complained: bool,
    /// Since when something that the peer has to answer is out without a packet of the peer's.
    unanswered: Option<Instant>,
}

impl Liveness {
    pub(super) fn connected(&mut self, now: Instant) {
        if self.unanswered.is_some() {
            self.unanswered = Some(now);
        }
    }

    pub(super) fn set_interval(&mut self, now: Instant, interval: Option<Duration>) {
        // An interval of nothing is no interval: as a timer it would spin.
        self.interval = interval.filter(|interval| !interval.is_zero());
        self.keep_alive_at = self.interval.map(|interval| now + interval);
    }

    /// Takes note of a packet of the peer's. `answer` if it is a plain acknowledgement and no data is out
    /// that it could be for.
    pub(super) fn heard(&mut self, now: Instant, answer: bool, outstanding: bool) {
        self.answers |= answer && self.heartbeat_sent.is_some();
        self.heartbeat_sent = None;
        self.unanswered = outstanding.then_some(now);
    }

    /// Takes note that data is sent.
    pub(super) fn sent(&mut self, now: Instant) {
        self.unanswered.get_or_insert(now);
        self.keep_alive_at = None;
    }

    /// Takes note that a heartbeat is sent.
    pub(super) fn heartbeat(&mut self, now: Instant) {
        self.heartbeat_due = false;
        self.heartbeat_sent.get_or_insert(now);
        if self.answers {
            self.unanswered.get_or_insert(now);
        }
    }

    /// Takes note that data waits for the peer's window alone.
    pub(super) fn window_shut(&mut self, now: Instant, timeout: Duration) {
        if self.probe.is_none() {
            self.heartbeat_due = true;
            self.probe = Some((now + timeout, timeout));
        }
    }

    /// Brings the timers in line with whether data is out, and whether it waits for the window.
    pub(super) fn arm(&mut self, now: Instant, outstanding: bool, window_shut: bool) {
        if !window_shut {
            self.probe = None;
        }
        if !outstanding && self.heartbeat_sent.is_none() {
            self.unanswered = None;
        }
        if outstanding || self.probe.is_some() {
            self.keep_alive_at = None;
        } else if let Some(interval) = self.interval {
            self.keep_alive_at.get_or_insert(now + interval);
        }
    }

    /// Expects nothing more of the peer: both directions have ended.
    pub(super) fn stop(&mut self) {
        *self = Self::default();
    }

    /// Returns what is to be done next, and when.
    pub(super) fn due(&self) -> Option<(Instant, Duty)> {
        let complain = self.heartbeat_sent.filter(|_| !self.answers && !self.complained);
        [
            self.keep_alive_at.map(|at| (at, Duty::KeepAlive)),
            self.probe.map(|(at, _)| (at, Duty::WindowProbe)),
            complain.map(|at| (at + HEARTBEAT_PATIENCE, Duty::Complain)),
            self.unanswered.map(|at| (at + PATIENCE, Duty::GiveUp)),
        ]
        .into_iter()
        .flatten()
        .min_by_key(|(at, _)| *at)
    }

    /// Takes note that a duty is done.
    pub(super) fn done(&mut self, now: Instant, duty: Duty) {
        match duty {
            Duty::KeepAlive => {
                self.heartbeat_due = true;
                self.keep_alive_at = self.interval.map(|interval| now + interval);
            }
            Duty::WindowProbe => {
                self.heartbeat_due = true;
                self.probe = self.probe.map(|(_, wait)| {
                    let wait = (wait * 2).min(MAX_TIMEOUT);
                    (now + wait, wait)
                });
            }
            Duty::Complain => self.complained = true,
            Duty::GiveUp => self.unanswered = None,
        }
    }
}

/// How long data and heartbeats may go without any packet of the peer's. With a keep-alive of up to 10 s, a
/// peer that has vanished is noticed within 30 s.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// How long the first heartbeat may go unanswered before the peer is taken for one that does not know
/// heartbeats.
const HEARTBEAT_PATIENCE: Duration = Duration::from_secs(3);
