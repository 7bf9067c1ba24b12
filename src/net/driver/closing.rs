//! The end of a node.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::net::command::reply;

/// Whether the node is closing, and the tasks that wait for its end.
#[derive(Debug, Default)]
pub(super) struct Closing {
    /// When the node ends though its announcements are not withdrawn.
    deadline: Option<Instant>,
    answers: Vec<oneshot::Sender<()>>,
}

impl Closing {
    /// Starts to close; returns whether it had not started before.
    pub(super) fn start(&mut self, now: Instant) -> bool {
        let is_first = self.deadline.is_none();
        self.deadline.get_or_insert(now + TIMEOUT);
        is_first
    }

    /// Adds a task that waits for the end.
    pub(super) fn add(&mut self, answer: oneshot::Sender<()>) {
        self.answers.push(answer);
    }

    pub(super) const fn has_started(&self) -> bool {
        self.deadline.is_some()
    }

    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    /// Returns whether the node has ended: something is left to wait for only until the deadline.
    pub(super) fn is_over(&self, now: Instant, is_busy: bool) -> bool {
        self.deadline.is_some_and(|deadline| !is_busy || now >= deadline)
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
        assert!(!closing.is_over(now, false), "it is not closing");
        assert!(closing.start(now));
        assert!(!closing.start(now + Duration::from_secs(1)));
        assert!(!closing.is_over(now, true));
        assert!(closing.is_over(now, false));
        assert!(closing.is_over(now + Duration::from_secs(3), true));
    }
}
