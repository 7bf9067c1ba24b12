//! What the fate of requests shows: which nodes do not respond, how long responses take, and whether the
//! network responds at all.

use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use super::health::Health;
use super::health::Monitor;
use super::latency::Latency;
use super::policy::Policy;
use super::unresponsive::Unresponsive;

/// How the requests of this node fare.
pub(super) struct Responsiveness {
    unresponsive: Unresponsive,
    /// How long responses to walks take.
    latency: Latency,
    notices_late: bool,
    health: Monitor,
}

impl Responsiveness {
    pub(super) fn new(policy: &Policy) -> Self {
        Self {
            unresponsive: Unresponsive::new(policy.unresponsive_for),
            latency: Latency::default(),
            notices_late: policy.notices_late,
            health: Monitor::default(),
        }
    }

    /// Counts a try that timed out and is followed by another one.
    pub(super) fn note_timeout(&mut self, now: Instant, node: SocketAddrV4) {
        self.unresponsive.note_timeout(now, node);
    }

    /// Counts a request that no try got a response to.
    pub(super) fn note_failure(&mut self, now: Instant, node: SocketAddrV4) {
        self.unresponsive.note_timeout(now, node);
        self.health.timed_out();
    }

    /// Notes a request of `node`.
    pub(super) fn note_request(&mut self, node: &SocketAddrV4) {
        self.unresponsive.note_heard(node);
    }

    /// Counts a response of `node`, after `rtt` if that is of the first try of a walk; returns whether the
    /// node was unresponsive.
    pub(super) fn note_response(&mut self, node: &SocketAddrV4, rtt: Option<Duration>) -> bool {
        self.health.answered();
        if let Some(rtt) = rtt {
            self.latency.note(rtt);
        }
        let was_unresponsive = self.unresponsive.note_heard(node);
        if was_unresponsive {
            // Perhaps this node was cut off and not the other one, so nothing counts any more.
            self.unresponsive.clear();
        }
        was_unresponsive
    }

    /// Returns how many tries in a row `node` has left without response.
    pub(super) fn unanswered_tries(&self, now: Instant, node: &SocketAddrV4) -> u32 {
        self.unresponsive.tries(now, node)
    }

    /// Returns after how long a response is late, if walks care.
    pub(super) fn late_after(&self) -> Option<Duration> {
        self.notices_late.then(|| self.latency.limit())
    }

    pub(super) const fn health(&self) -> Health {
        self.health.health()
    }

    /// Judges the health of the network at the end of a tick.
    pub(super) fn tick(&mut self) {
        self.health.tick();
    }

    /// Forgets how requests have fared, as after sleep.
    pub(super) fn reset_health(&mut self) {
        self.health.reset();
    }
}
