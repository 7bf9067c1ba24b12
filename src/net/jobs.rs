//! Handshake cryptography beside the driver, a bounded number at a time.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tracing::debug;

use super::task_event::{TaskEvent, TaskEvents};
use crate::connect::Job;

/// The jobs under way and those that wait.
#[derive(Debug)]
pub(super) struct Jobs {
    running: usize,
    limit: usize,
    waiting: Waiting<Job>,
    /// Jobs that were dropped because too many waited.
    refused: u64,
    tasks: TaskEvents,
}

impl Jobs {
    /// At most `limit` jobs run at the same time, but at least one.
    pub(super) fn new(limit: usize, tasks: TaskEvents) -> Self {
        Self { running: 0, limit: limit.max(1), waiting: Waiting::new(), refused: 0, tasks }
    }

    /// Starts a job, or queues it if enough are running. One for a stranger is dropped if enough wait.
    pub(super) fn push(&mut self, job: Job) {
        if self.running < self.limit {
            self.start(job);
            return;
        }
        let is_own = job.is_ours();
        if !self.waiting.push(job, is_own) {
            debug!("handshake dropped: too many wait");
            self.refused += 1;
        }
    }

    /// Returns how many jobs were dropped.
    pub(super) const fn refused(&self) -> u64 {
        self.refused
    }

    /// Starts the next job in place of one that has ended.
    pub(super) fn ended(&mut self) {
        self.running -= 1;
        if let Some(job) = self.waiting.pop() {
            self.start(job);
        }
    }

    fn start(&mut self, job: Job) {
        self.running += 1;
        let tasks = self.tasks.clone();
        tokio::spawn(async move {
            // A user's firewall hook runs in there, and its panic must not take the slot along.
            let done = catch_unwind(AssertUnwindSafe(|| job.run())).ok();
            let _ = tasks.send(TaskEvent::Job(done.map(Box::new)));
        });
    }
}

/// Jobs that wait: those of the node's own attempts go first, and of strangers' only as many wait as can be
/// answered in time.
#[derive(Debug)]
struct Waiting<T> {
    /// Bounded by the attempts that the endpoint allows at the same time.
    own: VecDeque<T>,
    strangers: VecDeque<T>,
}

impl<T> Waiting<T> {
    const fn new() -> Self {
        Self { own: VecDeque::new(), strangers: VecDeque::new() }
    }

    /// Queues a job, unless it is a stranger's and enough of those wait.
    fn push(&mut self, job: T, is_own: bool) -> bool {
        if is_own {
            self.own.push_back(job);
            return true;
        }
        if self.strangers.len() >= MAX_WAITING {
            return false;
        }
        self.strangers.push_back(job);
        true
    }

    fn pop(&mut self) -> Option<T> {
        self.own.pop_front().or_else(|| self.strangers.pop_front())
    }
}

/// Strangers' jobs that wait at the same time: about what a core does in the time for which a client waits
/// for its answer.
const MAX_WAITING: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_fill_the_queue_and_no_more() {
        let mut waiting = Waiting::new();
        let taken = (0..3 * MAX_WAITING).filter(|job| waiting.push(*job, false));
        assert_eq!(taken.count(), MAX_WAITING);
        assert!(waiting.pop().is_some());
        assert!(waiting.push(1, false), "there is room again");
    }

    #[test]
    fn our_own_jobs_are_taken_and_go_first_however_many_strangers_wait() {
        let mut waiting = Waiting::new();
        while waiting.push("stranger", false) {}
        assert!(waiting.push("first", true));
        assert!(waiting.push("second", true));
        let order: Vec<_> = std::iter::from_fn(|| waiting.pop()).take(3).collect();
        assert_eq!(order, ["first", "second", "stranger"]);
    }
}
