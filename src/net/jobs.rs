//! Handshake cryptography beside the driver, a bounded number at a time.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tracing::debug;

use super::settings::Settings;
use super::task_event::{TaskEvent, TaskEvents};
use crate::connect::{Job, Question, Reply, Step};

/// The jobs under way. Those that wait stay with the endpoint, which can still forget them.
#[derive(Debug)]
pub(super) struct Jobs {
    running: usize,
    limit: usize,
    /// Decisions of servers under way.
    deciding: usize,
    max_deciding: usize,
    decide_for: Duration,
    /// Jobs that go on after a decision.
    decided: VecDeque<Job>,
    tasks: TaskEvents,
}

impl Jobs {
    /// At most `settings.jobs` jobs run at the same time, but at least one, and no more than keep the threads
    /// of the runtime busy: the driver and the tasks of connections wait behind all that run. Must be called
    /// on a tokio runtime.
    pub(super) fn new(settings: &Settings, tasks: TaskEvents) -> Self {
        let useful = PER_THREAD * Handle::current().metrics().num_workers();
        Self {
            running: 0,
            limit: settings.jobs.clamp(1, useful.max(1)),
            deciding: 0,
            max_deciding: settings.decisions.max(1),
            decide_for: settings.decide_for,
            decided: VecDeque::new(),
            tasks,
        }
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
            let event = match catch_unwind(AssertUnwindSafe(|| job.start())).ok() {
                Some(Step::Asks(question)) => TaskEvent::Question(Box::new(question)),
                Some(Step::Done(done)) => TaskEvent::Job(Some(Box::new(done))),
                None => TaskEvent::Job(None),
            };
            // Without a driver no outcome is needed.
            let _ = tasks.send(event);
        });
    }

    /// Lets a server decide on a client or a punch, or a signer answer, beside the driver and for so long at
    /// most. Where too many wait for that, it is refused.
    pub(super) fn ask(&mut self, mut question: Question) {
        if self.deciding >= self.max_deciding {
            debug!("refused: too many wait for a decision");
            self.decided.push_back(question.answered(None));
            return;
        }
        self.deciding += 1;
        let (tasks, decide_for) = (self.tasks.clone(), self.decide_for);
        tokio::spawn(async move {
            let reply = std::mem::replace(&mut question.reply, Box::pin(std::future::pending()));
            // A task of its own: its panic, as what is not decided in time, is a refusal.
            let mut reply = AbortOnDrop(tokio::spawn(reply));
            let replied = tokio::time::timeout(decide_for, &mut reply.0).await;
            let reply = replied.ok().and_then(Result::ok);
            // Without a driver no outcome is needed.
            let _ = tasks.send(TaskEvent::Decided(Box::new(question.answered(reply))));
        });
    }

    /// Takes up what goes on after a decision.
    pub(super) fn go_on(&mut self, job: Job) {
        self.deciding -= 1;
        self.decided.push_back(job);
    }

    /// Returns a job that goes on after a decision.
    pub(super) fn take_decided(&mut self) -> Option<Job> {
        self.decided.pop_front()
    }

    /// Notes that a job has ended.
    pub(super) const fn ended(&mut self) {
        self.running -= 1;
    }
}

struct AbortOnDrop(JoinHandle<Reply>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
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
            let settings = Settings { jobs: limit, ..Settings::for_tests() };
            let mut jobs = Jobs::new(&settings, tasks);
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
