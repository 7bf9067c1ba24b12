//! Whether the peer is still there: keep-alive, probes of a closed window, and giving up.
//!
//! Heartbeats are the reference's (`udx.md` §13); that their answers count is not: there an idle stream never
//! times out.

use std::time::{Duration, Instant};

use super::rtt::MAX_TIMEOUT;
use super::timer::Timer;

/// The liveness of one peer.
#[derive(Debug)]
pub(super) struct Liveness {
    /// How long data and heartbeats may go without any packet of the peer's.
    idle_timeout: Duration,
    /// How long the peer may keep its window shut.
    stall_timeout: Duration,
    interval: Option<Duration>,
    keep_alive_at: Option<Instant>,
    /// When the closed window is probed again, and how long that took to come.
    probe: Option<(Instant, Duration)>,
    /// A heartbeat leaves with the next poll.
    heartbeat_due: bool,
    heartbeat_sent: Option<Instant>,
    /// When the last packet of the peer's came.
    heard_at: Option<Instant>,
    /// How often in a row a large packet timed out while the peer was heard.
    large_unanswered: u32,
    /// The peer has answered a heartbeat.
    answers: bool,
    reported: bool,
    /// Since when something that the peer has to answer is out without a packet of the peer's.
    unanswered: Option<Instant>,
    /// Since when data waits for the peer's window alone.
    shut_since: Option<Instant>,
    /// Whether a silence is reported before it counts as the end.
    watches: bool,
    /// Packets of data that came without a pause.
    run: u32,
    /// When a pause after many of them is a silence.
    quiet_at: Option<Instant>,
    /// When a heartbeat without an answer is one.
    answer_by: Option<Instant>,
}

impl Liveness {
    pub(super) const fn new(idle_timeout: Duration, stall_timeout: Duration) -> Self {
        Self {
            idle_timeout,
            stall_timeout,
            interval: None,
            keep_alive_at: None,
            probe: None,
            heartbeat_due: false,
            heartbeat_sent: None,
            heard_at: None,
            large_unanswered: 0,
            answers: false,
            reported: false,
            unanswered: None,
            shut_since: None,
            watches: false,
            run: 0,
            quiet_at: None,
            answer_by: None,
        }
    }

    /// Sets whether a silence is reported that a change of the own address explains.
    pub(super) const fn watch(&mut self, watches: bool) {
        self.watches = watches;
    }

    pub(super) const fn watches(&self) -> bool {
        self.watches
    }

    /// Notes a packet of data.
    pub(super) const fn data(&mut self) {
        self.run = self.run.saturating_add(1);
    }

    /// Expects no more data.
    pub(super) const fn no_more_data(&mut self) {
        self.run = 0;
    }

    pub(super) const fn set_idle_timeout(&mut self, timeout: Duration) {
        self.idle_timeout = timeout;
    }

    /// Returns how many usual time-outs the peer is waited for.
    pub(super) fn patience(&self) -> u32 {
        let times = self.idle_timeout.as_secs().div_ceil(USUAL_IDLE_TIMEOUT.as_secs());
        u32::try_from(times).unwrap_or(u32::MAX).max(1)
    }

    pub(super) const fn heartbeat_due(&self) -> bool {
        self.heartbeat_due
    }

    /// Starts the time-out over: the path is new.
    pub(super) const fn connected(&mut self, now: Instant) {
        if self.unanswered.is_some() {
            self.unanswered = Some(now);
        }
    }

    pub(super) fn set_interval(&mut self, now: Instant, interval: Option<Duration>) {
        // An interval of nothing is no interval: as a timer it would spin (`udx.md` P8).
        self.interval = interval.filter(|interval| !interval.is_zero());
        self.keep_alive_at = self.interval.map(|interval| now + interval);
    }

    /// Notes a packet of the peer's. `answer` if it is a plain acknowledgement and no data is out that it
    /// could be for.
    pub(super) fn heard(&mut self, now: Instant, answer: bool, outstanding: bool) {
        self.answers |= answer && self.heartbeat_sent.is_some();
        self.heartbeat_sent = None;
        self.heard_at = Some(now);
        self.answer_by = None;
        self.unanswered = outstanding.then_some(now);
    }

    /// Asks the peer for a sign of life with the next poll.
    pub(super) const fn ask(&mut self) {
        self.heartbeat_due = true;
    }

    /// Notes a time-out of a large packet, the `count`th in a row, and asks for a sign of life with the next
    /// poll: it is answered before the next time-out if only large packets are lost. Returns how many times
    /// in a row the peer was heard between two of these time-outs.
    pub(super) fn large_timed_out(&mut self, sent_at: Instant, count: u32) -> u32 {
        self.heartbeat_due = true;
        let was_heard = self.heard_at.is_some_and(|at| at > sent_at);
        self.large_unanswered = if count > 1 && was_heard { self.large_unanswered + 1 } else { 0 };
        self.large_unanswered
    }

    /// Notes that data is sent.
    pub(super) fn sent(&mut self, now: Instant) {
        self.unanswered.get_or_insert(now);
        self.keep_alive_at = None;
    }

    /// Notes that a heartbeat is sent, of which the answer takes less than `timeout`.
    pub(super) fn heartbeat(&mut self, now: Instant, timeout: Duration) {
        self.heartbeat_due = false;
        self.heartbeat_sent.get_or_insert(now);
        if self.answers {
            self.unanswered.get_or_insert(now);
            if self.watches {
                self.answer_by.get_or_insert(now + timeout);
            }
        }
    }

    /// Notes that data waits for the peer's window alone, and probes it at once.
    pub(super) fn window_shut(&mut self, now: Instant, timeout: Duration) {
        if self.probe.is_none() {
            self.heartbeat_due = true;
            self.probe = Some((now + timeout, timeout));
            self.shut_since = Some(now);
        }
    }

    /// Arms the timers by whether data is out, and whether it waits for the window.
    pub(super) fn arm(&mut self, now: Instant, outstanding: bool, window_shut: bool) {
        if !window_shut {
            self.probe = None;
            self.shut_since = None;
        }
        if !outstanding && self.heartbeat_sent.is_none() {
            self.unanswered = None;
        }
        let flows = self.watches && self.run >= LONG_RUN && !outstanding;
        self.quiet_at = match self.heard_at {
            // What comes meanwhile moves it when it is due.
            Some(at) if flows => Some(self.quiet_at.unwrap_or(at + PAUSE)),
            _ => None,
        };
        if outstanding || self.probe.is_some() {
            self.keep_alive_at = None;
        } else if let Some(interval) = self.interval {
            self.keep_alive_at.get_or_insert(now + interval);
        }
    }

    /// Expects nothing more of the peer: both directions have ended.
    pub(super) const fn stop(&mut self) {
        *self = Self::new(self.idle_timeout, self.stall_timeout);
    }

    /// Returns the next deadline and its timer.
    pub(super) fn deadline(&self) -> Option<(Instant, Timer)> {
        let unknown = self.heartbeat_sent.filter(|_| !self.answers && !self.reported);
        [
            self.keep_alive_at.map(|at| (at, Timer::KeepAlive)),
            self.probe.map(|(at, _)| (at, Timer::WindowProbe)),
            unknown.map(|at| (at + HEARTBEAT_TIMEOUT, Timer::Heartbeat)),
            self.unanswered.map(|at| (at + self.idle_timeout, Timer::Silence)),
            self.shut_since.map(|at| (at + self.stall_timeout, Timer::Stall)),
            self.quiet_at.map(|at| (at, Timer::Pause)),
            self.answer_by.map(|at| (at, Timer::Pause)),
        ]
        .into_iter()
        .flatten()
        .min_by_key(|(at, _)| *at)
    }

    /// Returns a timer that has expired; to be called until there is none.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<Timer> {
        let (at, timer) = self.deadline().filter(|(at, _)| *at <= now)?;
        match timer {
            Timer::KeepAlive => {
                self.heartbeat_due = true;
                self.keep_alive_at = self.interval.map(|interval| now + interval);
            }
            Timer::WindowProbe => {
                self.heartbeat_due = true;
                self.probe = self.probe.map(|(_, wait)| {
                    let wait = (wait * 2).min(MAX_TIMEOUT);
                    (now + wait, wait)
                });
            }
            Timer::Heartbeat => self.reported = true,
            Timer::Pause if self.answer_by.take_if(|at| *at <= now).is_some() => {}
            Timer::Pause => {
                self.quiet_at = self.heard_at.map(|at| at + PAUSE).filter(|at| *at > now);
                if self.quiet_at.is_some() {
                    return self.handle_timeout(now);
                }
                self.run = 0;
            }
            // This process, or its host, was stopped: what the peer has answered meanwhile may be lost, and
            // what it was to answer may not have left. It gets its whole time again.
            Timer::Silence if now - at > HELD_UP => {
                self.unanswered = Some(now);
                self.heartbeat_due = true;
                return Some(Timer::KeepAlive);
            }
            Timer::Stall => self.shut_since = None,
            _ => self.unanswered = None,
        }
        Some(timer)
    }
}

/// How many packets of data in a row make a pause a silence, and how long that is. A peer that has nothing to
/// send for so long gets one small message.
const LONG_RUN: u32 = 32;
const PAUSE: Duration = Duration::from_millis(100);
/// The idle time-out for which the other bounds are made.
const USUAL_IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// A timer so late was not held up by work.
const HELD_UP: Duration = Duration::from_secs(2);
/// How long the first heartbeat may go unanswered before the peer counts as one that does not know
/// heartbeats: older than February 2026 (`udx.md` §1).
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(3);
