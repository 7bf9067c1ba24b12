//! What the tasks beside the driver report to it.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddrV4};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::panics;
use crate::connect::{Job, JobDone, Question};
use crate::udx::StreamId;

/// What a task beside the driver has done or seen.
#[derive(Debug)]
pub(super) enum TaskEvent {
    /// A job has ended; `None` if it panicked.
    Job(Option<Box<JobDone>>),
    /// A job goes on once a server has decided.
    Question(Box<Question>),
    /// A server has decided: the rest of the job.
    Decided(Box<Job>),
    /// The addresses of this host's interfaces that carry datagrams.
    Interfaces(Vec<Ipv4Addr>),
    /// Whether the peer of a stream was met at its relay: the stream of the connection to the relay, and the
    /// id under which the relay takes packets.
    Relay(StreamId, Option<(StreamId, u32)>),
    /// The relay has ended the connection that a stream needs.
    RelayGone(StreamId),
    /// The addresses of the bootstrap nodes.
    Bootstrap(Vec<SocketAddrV4>),
    /// A task has panicked, and what it would have reported never comes.
    Panicked,
}

/// Where those tasks report to. Sending fails once the driver has ended, and then no report is needed.
pub(super) type TaskEvents = mpsc::UnboundedSender<TaskEvent>;

/// Spawns a task beside the driver, whose panic ends the node.
pub(super) fn spawn(tasks: &TaskEvents, work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    let tasks = tasks.clone();
    tokio::spawn(panics::watched(work, move || {
        // Without a driver the node has ended already.
        let _ = tasks.send(TaskEvent::Panicked);
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_is_reported() {
        let (tasks, mut events) = mpsc::unbounded_channel();
        spawn(&tasks, async {}).await.expect("it ends in order");
        spawn(&tasks, async { panic!("a bug") }).await.expect_err("it panics");
        drop(tasks);
        assert!(matches!(events.recv().await, Some(TaskEvent::Panicked)));
        assert!(events.recv().await.is_none());
    }
}
