//! Handshake cryptography beside the driver, a bounded number at a time.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::runtime::Handle;

use super::task_event::{TaskEvent, TaskEvents};
use crate::connect::Job;

/// The jobs under way. Those that wait stay with the endpoint, which can still forget them.
#[derive(Debug)]
pub(super) struct Jobs {
    running: usize,
    limit: usize,
    tasks: TaskEvents,
}

impl Jobs {
    /// At most `limit` jobs run at the same time, but at least one, and no more than keep the threads of the
    /// runtime busy: the driver and the tasks of connections wait behind all that run. Must be called on a
    /// tokio runtime.
    pub(super) fn new(limit: usize, tasks: TaskEvents) -> Self {
        let useful = PER_THREAD * Handle::current().metrics().num_workers();
        Self { running: 0, limit: limit.clamp(1, useful.max(1)), tasks }
    }

    /// Returns whether another job may start.
    pub(super) const fn has_room(&self) -> bool {
        self.running < self.limit
    }

    pub(super) fn start(&mut self, job: Job) {
        self.running += 1;
        let tasks = self.tasks.clone();
        tokio::spawn(async move {
            // What a stranger sent is computed in there: a panic ends this handshake alone, and its attempt
            // times out.
            let done = catch_unwind(AssertUnwindSafe(|| job.run())).ok();
            // Without a driver no outcome is needed.
            let _ = tasks.send(TaskEvent::Job(done.map(Box::new)));
        });
    }

    /// Notes that a job has ended.
    pub(super) const fn ended(&mut self) {
        self.running -= 1;
    }
}

/// Jobs per thread of the runtime: one that runs, and one that is ready when it ends.
const PER_THREAD: usize = 2;

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::sync::mpsc;

    use super::*;
    use crate::connect::{Config, Dial, Endpoint};
    use crate::keys::KeyPair;

    #[tokio::test]
    async fn jobs_at_once_are_bounded_by_the_setting_and_by_the_threads() {
        for (limit, most) in [(1, 1), (64, PER_THREAD)] {
            let (tasks, mut events) = mpsc::unbounded_channel();
            let mut jobs = Jobs::new(limit, tasks);
            for _ in 0..most {
                assert!(jobs.has_room(), "{limit}");
                jobs.start(job());
            }
            assert!(!jobs.has_room(), "{limit}");
            assert!(matches!(events.recv().await, Some(TaskEvent::Job(Some(_)))));
            jobs.ended();
            assert!(jobs.has_room());
        }
    }

    fn job() -> Job {
        let now = Instant::now();
        let mut endpoint = Endpoint::new(now, Config::default(), [1; 32]);
        let remote = *KeyPair::from_seed(&[1; 32]).public_key();
        let dial = Dial::new(remote, KeyPair::from_seed(&[2; 32]));
        endpoint.connect(now, dial);
        endpoint.poll_job(now).expect("message 1 is written")
    }
}
