//! What the tasks beside the driver report to it.

use std::net::{Ipv4Addr, SocketAddrV4};

use tokio::sync::mpsc;

use crate::connect::JobDone;
use crate::udx::StreamId;

/// What a task beside the driver has done or seen.
#[derive(Debug)]
pub(super) enum TaskEvent {
    /// A job has ended; `None` if it panicked.
    Job(Option<Box<JobDone>>),
    /// The addresses of this host's interfaces that carry datagrams.
    Interfaces(Vec<Ipv4Addr>),
    /// Whether the peer of a stream was met at its relay: the stream of the connection to the relay, and the
    /// id under which the relay takes packets.
    Relay(StreamId, Option<(StreamId, u32)>),
    /// The relay has ended the connection that a stream needs.
    RelayGone(StreamId),
    /// The addresses of the bootstrap nodes.
    Bootstrap(Vec<SocketAddrV4>),
}

/// Where those tasks report to. Sending fails once the driver has ended, and then no report is needed.
pub(super) type TaskEvents = mpsc::UnboundedSender<TaskEvent>;
