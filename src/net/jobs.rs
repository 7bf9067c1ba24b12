//! Handshake cryptography beside the driver, a bounded number at a time.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::sync::mpsc;

use super::driver::News;
use crate::connect::Job;

/// The jobs under way and those that wait.
#[derive(Debug)]
pub(super) struct Jobs {
    running: usize,
    limit: usize,
    waiting: Waiting<Job>,
    outbox: mpsc::UnboundedSender<News>,
}

impl Jobs {
    pub(super) const fn new(limit: usize, outbox: mpsc::UnboundedSender<News>) -> Self {
        Self {
            running: 0,
            limit,
            waiting: Waiting::new(),
            outbox,
        }
    }

    /// Starts a job, or queues it if enough are running; returns whether it will be run.
    pub(super) fn push(&mut self, job: Job) -> bool {
        if self.running < self.limit {
            self.start(job);
            return true;
        }
        let asked_by_us = job.is_ours();
        self.waiting.push(job, asked_by_us)
    }

    /// Takes note that a job has ended.
    pub(super) fn ended(&mut self) {
        self.running -= 1;
        if let Some(job) = self.waiting.pop() {
            self.start(job);
        }
    }

    fn start(&mut self, job: Job) {
        self.running += 1;
        let outbox = self.outbox.clone();
        tokio::spawn(async move {
            // A user's firewall hook runs in there, and its panic must not take the slot along.
            let done = catch_unwind(AssertUnwindSafe(|| job.run())).ok();
            // Without a driver nobody wants to know.
            let _ = outbox.send(News::Job(done.map(Box::new)));
        });
    }
}

/// Jobs that wait: those of our own attempts go first, strangers' only as many as make sense to answer.
#[derive(Debug)]
struct Waiting<T> {
    /// Bounded by the attempts that the endpoint lets be under way.
    ours: VecDeque<T>,
    strangers: VecDeque<T>,
}

impl<T> Waiting<T> {
    const fn new() -> Self {
        Self {
            ours: VecDeque::new(),
            strangers: VecDeque::new(),
        }
    }

    /// Queues a job, unless it is a stranger's and enough of those wait.
    fn push(&mut self, job: T, is_ours: bool) -> bool {
        if is_ours {
            self.ours.push_back(job);
            return true;
        }
        if self.strangers.len() >= MAX_WAITING {
            return false;
        }
        self.strangers.push_back(job);
        true
    }

    fn pop(&mut self) -> Option<T> {
        self.ours.pop_front().or_else(|| self.strangers.pop_front())
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
