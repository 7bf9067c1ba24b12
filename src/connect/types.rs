//! What goes in and out of an [`Endpoint`](super::Endpoint).

use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;

use super::job::Job;
use super::limits::Limits;
use super::noise::Session;
use super::report::{Failure, Report};
use crate::dht;
use crate::keys::{KeyPair, PublicKey};
use crate::udx::{self, StreamId};
use crate::wire::rpc::Token;
use crate::wire::transmit::SocketId;

/// An attempt to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId(pub u64);

/// A listening server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(pub u64);

/// How stream packets travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Path {
    /// Straight to the peer's address.
    Direct,
    /// Straight to an address of the same local network.
    Lan,
    /// Through a blind relay.
    Relayed,
}

/// Decides whether a peer may connect: its claimed key and the address that it seems to have. Runs off the
/// driver.
pub type FirewallHook = Arc<dyn Fn(&PublicKey, SocketAddrV4) -> bool + Send + Sync>;

/// How an endpoint behaves.
#[derive(Clone, Debug)]
pub struct Config {
    /// The DHT node.
    pub dht: dht::Config,
    /// The streams.
    pub udx: udx::Config,
    /// Whether peers are told our addresses in the local network and theirs are tried.
    pub lan: bool,
    /// Whether a punch begins with a probe, so that the server's answer to it can be the way already.
    pub fast_open: bool,
    /// What strangers can make us hold.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            dht: dht::Config::default(),
            udx: udx::Config::default(),
            lan: true,
            fast_open: true,
            limits: Limits::default(),
        }
    }
}

/// What to connect to, and as whom.
#[derive(Clone, Debug)]
pub struct Dial {
    /// The server's key.
    pub remote: PublicKey,
    /// Our identity towards the server.
    pub key_pair: KeyPair,
    /// Nodes that probably know the server, tried beside the lookup.
    pub nodes: Vec<SocketAddrV4>,
    /// Whether only these nodes are asked and the DHT is not: the server's own address is among them.
    pub only_nodes: bool,
    /// The blind relay that we offer the server to meet at until a direct path is found.
    pub relay_through: Option<PublicKey>,
    /// Whether the socket of the connection may serve a later one to the same server, and that of an earlier
    /// one this.
    pub reusable_socket: bool,
    /// How long the whole attempt may take.
    pub timeout: Duration,
}

/// What to listen as.
#[derive(Clone)]
pub struct Listen {
    /// The server's identity.
    pub key_pair: KeyPair,
    /// Asked for each handshake; `None` lets everybody in.
    pub firewall: Option<FirewallHook>,
    /// The blind relay that clients are offered to meet at until a direct path is found.
    pub relay_through: Option<PublicKey>,
    /// Whether the sockets of connections may serve later ones with the same client.
    pub reusable_socket: bool,
}

/// Why an endpoint can't listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListenError {
    /// Another server of this node has the same key.
    #[error("this node already listens with this key")]
    KeyInUse,
    /// The node has as many servers as its limits allow.
    #[error("this node already has as many servers as its limits allow")]
    TooMany,
}

/// Which command a stream belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// We dialled.
    Attempt(AttemptId),
    /// A peer dialled one of our servers.
    Server(ServerId),
}

/// A stream whose path is known and whose keys are agreed.
///
/// The receiver of this value sends the header frame of the secret stream at once.
#[derive(Debug)]
pub struct Established {
    /// The attempt or the server it belongs to.
    pub origin: Origin,
    /// The raw stream.
    pub stream: StreamId,
    /// Keys of the secret stream, and the remote key: proven if we dialled, claimed if we accepted.
    pub session: Session,
    /// How its packets travel.
    pub path: Path,
    /// The peer's address on that path.
    pub remote: SocketAddrV4,
    /// What it took.
    pub report: Report,
}

/// A stream that has left the relay which it began at.
#[derive(Debug)]
pub struct Moved {
    /// The raw stream.
    pub stream: StreamId,
    /// How its packets travel now.
    pub path: Path,
    /// The peer's address on that path.
    pub remote: SocketAddrV4,
    /// What it took, from the start of the attempt.
    pub report: Report,
}

/// A wish to meet the peer of a stream at a blind relay.
#[derive(Clone, Debug)]
pub struct RelayDial {
    /// Our stream.
    pub stream: StreamId,
    /// The relay's key.
    pub relay: PublicKey,
    /// What both sides show there.
    pub token: Token,
    /// Which of the two sides we are.
    pub is_initiator: bool,
}

/// What an endpoint tells its driver.
#[derive(Debug)]
pub enum Event {
    /// Connect to this relay under the node's own key, ask it to pair the stream, and tell
    /// [`super::Endpoint::handle_relay`]. The connection is of use until [`Self::LeaveRelay`] or the end of
    /// the stream.
    DialRelay(RelayDial),
    /// The stream needs no relay any more.
    LeaveRelay(StreamId),
    /// A stream travels otherwise than before.
    Moved(Box<Moved>),
    /// Nothing has come back on a stream that is its owner's already, and no other way to the server has
    /// opened.
    Unreachable {
        /// The stream.
        stream: StreamId,
        /// What was tried.
        report: Box<Report>,
    },
    /// A relay's link is over; both of its ids.
    Unlinked([u32; 2]),
    /// Bind another socket and report it with [`super::Endpoint::handle_socket`].
    OpenSocket(SocketId),
    /// Close a socket.
    CloseSocket(SocketId),
    /// Run this and give the outcome to [`super::Endpoint::handle_job`].
    Job(Job),
    /// The server is announced and reachable.
    Listening(ServerId),
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
    /// The end of bootstrapping, and answers to what was asked of [`super::Endpoint::node`] directly.
    Dht(dht::Event),
}
