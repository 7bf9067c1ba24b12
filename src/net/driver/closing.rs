//! The end of a node.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::net::command::reply;

/// Whether the node is closing, and the tasks that wait for its end.
#[derive(Debug, Default)]
pub(super) struct Closing {
    /// When the node ends though its announcements are not withdrawn.
    deadline: Option<Instant>,
    /// The same, until then.
    timer: Option<Instant>,
    /// Whether connections may still send what was written after that, each within its own time.
    is_patient: bool,
    answers: Vec<oneshot::Sender<()>>,
}

impl Closing {
    /// Starts to close; returns whether it had not started before.
    ///
    /// `is_patient` where no task waits for the end: connections that their users have dropped then get all
    /// their time.
    pub(super) fn start(&mut self, now: Instant, is_patient: bool) -> bool {
        if self.has_started() {
            return false;
        }
        self.deadline = Some(now + TIMEOUT);
        self.timer = self.deadline;
        self.is_patient = is_patient;
        true
    }

    /// Adds a task that waits for the end.
    pub(super) fn add(&mut self, answer: oneshot::Sender<()>) {
        self.answers.push(answer);
    }

    pub(super) const fn has_started(&self) -> bool {
        self.deadline.is_some()
    }

    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        self.timer
    }

    /// Returns whether the node has ended: something is left to wait for only until the deadline.
    pub(super) fn is_over(&mut self, now: Instant, is_busy: bool, has_connections: bool) -> bool {
        let Some(deadline) = self.deadline else {
            return false;
        };
        let in_time = now < deadline;
        if !in_time {
            self.timer = None;
        }
        let waits = is_busy && in_time;
        let delivers = has_connections && (in_time || self.is_patient);
        !waits && !delivers
    }

    /// Wakes the tasks that wait. Call it once the sockets are closed.
    pub(super) fn finish(&mut self) {
        for answer in self.answers.drain(..) {
            reply(answer, ());
        }
    }
}

/// How long closing waits for announcements to be withdrawn.
const TIMEOUT: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_does_not_end_while_something_is_unsent() {
        let (mut closing, now) = (Closing::default(), Instant::now());
        assert!(!closing.is_over(now, false, false), "it is not closing");
        assert!(closing.start(now, false));
        assert!(!closing.start(now + Duration::from_secs(1), true));
        assert!(!closing.is_over(now, true, false));
        assert!(!closing.is_over(now, false, true));
        assert!(closing.is_over(now, false, false));
        assert!(closing.is_over(now + TIMEOUT, true, true));
    }

    #[test]
    fn a_node_that_nobody_holds_ends_once_its_connections_have_and_is_not_woken_meanwhile() {
        let (mut closing, now) = (Closing::default(), Instant::now());
        assert!(closing.start(now, true));
        let late = now + TIMEOUT;
        assert_eq!(closing.poll_timeout(), Some(late));
        assert!(!closing.is_over(late, true, true));
        assert_eq!(closing.poll_timeout(), None);
        assert!(closing.is_over(late, true, false));
    }
}
