//! What users hold of connections and servers, and the commands that their handles send to the driver.

use std::fmt;
use std::net::SocketAddrV4;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::backlog::Backlog;
use super::link::Link;
use super::overview::Overview;
use super::requests::{IncomingRequests, OpenRequest};
use super::stats::Stats;
use crate::connect::{Dial, Failure, Listen, ListenError, Report, ServerId, ServerState};
use crate::dht::{Answer, Found, FoundPeer, Kept, Operation, OperationError, Outgoing, Reply, RequestError};
use crate::keys::PublicKey;
use crate::udx::{StreamId, StreamStats};

/// Names a command that can be given up before it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Token(pub(crate) u64);

/// How an attempt to connect ended.
pub(crate) type DialOutcome = Result<ConnectionHandle, (Failure, Box<Report>)>;

/// How an operation of the DHT ended; `None` if too many are under way.
pub(crate) type OperationOutcome = Option<Result<Found, OperationError>>;

/// Why a server does not listen.
pub(crate) type ListenFailure = ListenError;

/// The user's hold on a connection; it keeps the node running. Dropping it destroys the stream, unless the
/// user has ended the sending direction and reads no more: then what was written is still delivered.
pub(crate) struct ConnectionHandle {
    link: Arc<Link>,
    node: mpsc::UnboundedSender<Command>,
}

impl ConnectionHandle {
    pub(super) const fn new(link: Arc<Link>, node: mpsc::UnboundedSender<Command>) -> Self {
        Self { link, node }
    }

    /// Returns what the stream measures, or has measured by its end; `None` if the driver has ended without
    /// that.
    pub(crate) async fn stats(&self) -> Option<StreamStats> {
        if self.end().is_none() {
            let (answer, answered) = oneshot::channel();
            // Without a driver there is no answer.
            let _ = self.node.send(Command::StreamStats { stream: self.stream(), answer });
            if let Ok(stats) = answered.await {
                return Some(stats);
            }
            // Neither is there one of a stream that has ended. The link learns of that later in the turn.
            self.ended().await;
        }
        self.last_stats()
    }
}

impl fmt::Debug for ConnectionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.link.fmt(f)
    }
}

impl std::ops::Deref for ConnectionHandle {
    type Target = Link;

    fn deref(&self) -> &Link {
        &self.link
    }
}

impl Drop for ConnectionHandle {
    fn drop(&mut self) {
        if !self.link.has_left() {
            self.link.abandon();
        }
    }
}

/// The user's hold on a listening server. Dropping it stops listening; until then it keeps the node running.
#[derive(Debug)]
pub(crate) struct ServerHandle {
    pub(crate) server: ServerId,
    pub(crate) public_key: PublicKey,
    pub(crate) connections: Arc<Backlog<ConnectionHandle>>,
    pub(crate) node: mpsc::UnboundedSender<Command>,
}

impl Drop for ServerHandle {
    fn drop(&mut self) {
        self.connections.clear();
        // Without a driver there is no server either.
        let _ = self.node.send(Command::Unlisten { server: self.server, answer: None });
    }
}

/// What becomes of a request to listen.
pub(crate) type ListenOutcome = Result<ServerHandle, ListenFailure>;

/// What is to become of the announcements of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// They are made anew.
    Refresh,
    /// They are withdrawn, and no client is answered, until [`Self::Resume`].
    Suspend,
    /// They are made anew if the server was suspended.
    Resume,
}

/// A request to the driver. It drops the sender of an answer that it can't give because the node has ended.
pub(crate) enum Command {
    /// Connects to a server.
    Connect { token: Token, dial: Box<Dial>, answer: oneshot::Sender<DialOutcome> },
    /// Listens, and answers once the server is announced.
    Listen { token: Token, listen: Box<Listen>, answer: oneshot::Sender<ListenOutcome> },
    /// Stops listening, and answers once the announcements are withdrawn.
    Unlisten { server: ServerId, answer: Option<oneshot::Sender<()>> },
    /// Changes whether a server is announced, and answers once that is done.
    Order { server: ServerId, order: Order, answer: oneshot::Sender<()> },
    /// Answers with where a server is found.
    ServerState { server: ServerId, answer: oneshot::Sender<ServerState> },
    /// Runs an operation of the DHT.
    Operation {
        token: Token,
        operation: Box<Operation>,
        /// Gets each peer as soon as a node has named it. The outcome has none then.
        peers: Option<mpsc::UnboundedSender<FoundPeer>>,
        answer: oneshot::Sender<OperationOutcome>,
    },
    /// Carries packets between two clients of a relay: the stream of each one's connection, and the id under
    /// which the client takes packets. The answer holds the ids under which the relay takes theirs. `ended`
    /// is dropped when the link is over.
    Link {
        sides: [(StreamId, u32); 2],
        bytes: u64,
        lifetime: Duration,
        answer: oneshot::Sender<Option<[u32; 2]>>,
        ended: oneshot::Sender<()>,
    },
    /// Ends the link with this id.
    Unlink(u32),
    /// Sends a request to one node.
    Request { token: Token, outgoing: Box<Outgoing>, answer: oneshot::Sender<Result<Answer, RequestError>> },
    /// Hands requests of free commands over from now on.
    ServeRequests(Weak<IncomingRequests>),
    /// Answers such a request.
    Reply { request: Box<OpenRequest>, reply: Reply },
    /// Gives up the command with this token: its answer is not needed any more.
    GiveUp(Token),
    /// Stops until resumed, and answers when that is done.
    Suspend(oneshot::Sender<()>),
    /// Goes on after [`Self::Suspend`], and answers when that is done.
    Resume(oneshot::Sender<()>),
    /// Answers with the counters and the present state.
    Stats(oneshot::Sender<Stats>),
    /// Answers with what a stream measures, if it is there.
    StreamStats { stream: StreamId, answer: oneshot::Sender<StreamStats> },
    /// Answers with what the node knows and holds, and so many of its connections at most.
    Overview { connections: usize, answer: oneshot::Sender<Overview> },
    /// Answers with the nodes of the routing table, the one heard of last first.
    Nodes(oneshot::Sender<Vec<SocketAddrV4>>),
    /// Answers with the announcements that the node stores for others.
    Announcements(oneshot::Sender<Vec<Kept>>),
    /// Closes the node, and answers when it has ended.
    Close(oneshot::Sender<()>),
    /// Ends the node: one of its tasks has panicked.
    Panicked,
}

impl Command {
    /// Returns whether the command needs nodes of the DHT and names none itself.
    pub(super) fn needs_nodes(&self) -> bool {
        match self {
            Self::Connect { dial, .. } => dial.nodes.is_empty(),
            Self::Listen { .. } | Self::Operation { .. } => true,
            _ => false,
        }
    }

    /// Returns the token of a command that can be given up.
    pub(super) const fn token(&self) -> Option<Token> {
        match self {
            Self::Connect { token, .. }
            | Self::Listen { token, .. }
            | Self::Operation { token, .. }
            | Self::Request { token, .. } => Some(*token),
            _ => None,
        }
    }
}

/// Answers a command. The task that waits may have left.
pub(super) fn reply<T>(answer: oneshot::Sender<T>, value: T) {
    let _ = answer.send(value);
}
