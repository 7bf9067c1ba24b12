//! What an [`Endpoint`](super::Endpoint) reports to its driver.

use std::fmt;
use std::net::SocketAddrV4;

use super::ids::{AttemptId, Path, ServerId};
use super::noise::Session;
use super::report::{Failure, Report};
use crate::dht;
use crate::keys::PublicKey;
use crate::udx::{self, StreamId};
use crate::wire::rpc::Token;
use crate::wire::transmit::SocketId;

/// Which command a stream belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The own node dialled.
    Attempt(AttemptId),
    /// A peer dialled a server of the own node.
    Server(ServerId),
}

/// A stream whose path is known and whose keys are agreed.
///
/// The receiver of this value sends the header frame of the secret stream at once.
#[derive(Debug)]
pub struct Established {
    /// The attempt or the server that the stream belongs to.
    pub origin: Origin,
    /// The raw stream.
    pub stream: StreamId,
    /// Keys of the secret stream, and the remote key: proven if the own node dialled, else claimed.
    pub session: Session,
    /// How its packets travel.
    pub path: Path,
    /// The peer's address on that path.
    pub remote: SocketAddrV4,
    /// What led to it.
    pub report: Report,
}

/// A stream that has migrated to another path.
#[derive(Debug)]
pub struct Moved {
    /// The raw stream.
    pub stream: StreamId,
    /// How its packets travel now.
    pub path: Path,
    /// The peer's address on that path.
    pub remote: SocketAddrV4,
    /// What led to it, from the start of the attempt.
    pub report: Report,
}

/// A request to meet the peer of a stream at a blind relay.
#[derive(Clone)]
pub struct RelayDial {
    /// The own stream.
    pub stream: StreamId,
    /// The relay's key.
    pub relay: PublicKey,
    /// What both sides show at the relay.
    pub token: Token,
    /// Which of the two sides the own node is.
    pub is_initiator: bool,
}

/// Without the token: who has it takes the place of one side at the relay.
impl fmt::Debug for RelayDial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelayDial")
            .field("stream", &self.stream)
            .field("relay", &self.relay)
            .field("is_initiator", &self.is_initiator)
            .finish_non_exhaustive()
    }
}

/// Where the socket of a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerAddress {
    /// The IPv4 address that the nodes of the DHT agree on, and the local port of the socket. A router may
    /// give the socket another port, and another one for each peer.
    pub address: SocketAddrV4,
    /// Whether the server takes itself to be reachable at this address by every host, without a punch.
    pub is_reachable: bool,
}

/// Where a server is found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerState {
    /// The server's own address where every host can reach it, then the nodes that have its announcement.
    pub relay_addresses: Vec<SocketAddrV4>,
    /// Where its socket is, once enough nodes have been heard of that.
    pub address: Option<ServerAddress>,
}

/// What an endpoint reports to its driver.
#[derive(Debug)]
pub enum Event {
    /// Connect to this relay under the node's own key, ask it to pair the stream, and pass the outcome to
    /// [`super::Endpoint::handle_relay`]. The connection is needed until [`Self::LeaveRelay`] or the end of
    /// the stream.
    DialRelay(RelayDial),
    /// The stream does not need its relay any more.
    LeaveRelay(StreamId),
    /// A stream has migrated to another path.
    Moved(Box<Moved>),
    /// Nothing has come back on a stream that was handed out, and no other path to the server has opened.
    Unreachable {
        /// The stream.
        stream: StreamId,
        /// What was tried.
        report: Box<Report>,
    },
    /// A link of the own relay has ended; both of its ids.
    Unlinked([u32; 2]),
    /// Bind another socket and pass the outcome to [`super::Endpoint::handle_socket`].
    OpenSocket(SocketId),
    /// Close a socket.
    CloseSocket(SocketId),
    /// The server is announced and reachable.
    Listening(ServerId),
    /// The announcements of a server that was suspended have been withdrawn.
    Suspended(ServerId),
    /// The server's announcements have been withdrawn.
    Unlistened(ServerId),
    /// A stream is ready.
    Established(Box<Established>),
    /// An attempt failed.
    Failed {
        /// Which one.
        attempt: AttemptId,
        /// Why.
        failure: Failure,
        /// What was tried.
        report: Box<Report>,
    },
    /// Something happened to an established stream.
    Stream(StreamId, udx::Event),
    /// The end of bootstrapping, answers to what was asked of [`super::Endpoint::node`] directly, and
    /// requests of free commands, to be answered there.
    Dht(dht::Event),
}
