//! What handles ask of the task of a swarm, and what its tasks report.

use std::net::SocketAddrV4;

use tokio::sync::oneshot;

use super::core::{ConnectionId, Join, QueryId, SessionId};
use super::info::{PeerInfo, SwarmStats};
use crate::PublicKey;
use crate::api::{Connection, ListenError, Server};

/// A request of a handle. An answer that is dropped says that the swarm is closed.
#[derive(Debug)]
pub(super) enum Command {
    Join {
        topic: [u8; 32],
        session: SessionId,
        join: Join,
    },
    Change {
        topic: [u8; 32],
        session: SessionId,
        join: Join,
    },
    LeaveSession {
        topic: [u8; 32],
        session: SessionId,
        answer: oneshot::Sender<()>,
    },
    Leave {
        topic: [u8; 32],
        answer: oneshot::Sender<()>,
    },
    Refresh {
        topic: [u8; 32],
        answer: oneshot::Sender<bool>,
    },
    /// Answers once no refresh of the topic is under way.
    AwaitRefresh {
        topic: [u8; 32],
        answer: oneshot::Sender<bool>,
    },
    JoinPeer(PublicKey),
    LeavePeer(PublicKey),
    Ban(PublicKey, bool),
    SetReconnect(PublicKey, bool),
    Listen(oneshot::Sender<Result<(), ListenError>>),
    Flush(oneshot::Sender<()>),
    Peer(PublicKey, oneshot::Sender<Option<PeerInfo>>),
    Peers(oneshot::Sender<Vec<PeerInfo>>),
    Topics(oneshot::Sender<Vec<[u8; 32]>>),
    Stats(oneshot::Sender<SwarmStats>),
    Suspend(oneshot::Sender<()>),
    Resume(oneshot::Sender<()>),
    Close(oneshot::Sender<()>),
}

/// What a task of a swarm has seen.
#[derive(Debug)]
pub(super) enum Report {
    Opened(ConnectionId, Connection),
    DialFailed { id: ConnectionId, pathless: bool },
    Proven(ConnectionId),
    Heard(ConnectionId),
    Closed(ConnectionId),
    Found { topic: [u8; 32], query: QueryId, key: PublicKey, relay_addresses: Vec<SocketAddrV4> },
    QueryOver { topic: [u8; 32], query: QueryId, succeeded: bool },
    Listening(Result<Server, ListenError>),
}
