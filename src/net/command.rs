//! What the user's handles ask of the driver.

use std::net::SocketAddrV4;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::link::Handle;
use super::servers::Listening;
use crate::connect::{Dial, Failure, Listen, ListenError, Report, ServerId};
use crate::dht::{Kept, ValueError};
use crate::keys::{KeyPair, PublicKey};
use crate::udx::StreamId;
use crate::wire::records::Peer;

/// Names a command whose answer somebody waits for, so that it can be given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Token(pub(crate) u64);

/// How an attempt to connect ended.
pub(crate) type DialOutcome = Result<Handle, (Failure, Box<Report>)>;

/// How a node sees us and how long its answer took; nothing if it is not there.
pub(crate) type Pong = Option<(SocketAddrV4, Duration)>;

/// What the user's handles ask of the driver. Dropping the sender of an answer means that the node has ended.
pub(crate) enum Command {
    /// Connect to a server.
    Connect {
        token: Token,
        dial: Box<Dial>,
        answer: oneshot::Sender<DialOutcome>,
    },
    /// Listen, and answer once the server is announced.
    Listen {
        token: Token,
        listen: Box<Listen>,
        answer: oneshot::Sender<Result<Listening, ListenFailure>>,
    },
    /// Stop listening, and answer once the announcements are withdrawn.
    Unlisten {
        server: ServerId,
        answer: Option<oneshot::Sender<()>>,
    },
    /// Run a query.
    Query {
        token: Token,
        query: Box<Query>,
        answer: oneshot::Sender<Result<Found, QueryFailure>>,
    },
    /// Carry packets between two clients of a relay: the stream of each one's connection, and the id under
    /// which it takes packets. The answer is the ids under which theirs are taken; `ended` is dropped when
    /// the link is over.
    Link {
        sides: [(StreamId, u32); 2],
        bytes: u64,
        lifetime: Duration,
        answer: oneshot::Sender<Option<[u32; 2]>>,
        ended: oneshot::Sender<()>,
    },
    /// Stop that, for the link with this id.
    Unlink(u32),
    /// Ask a node whether it is there.
    Ping {
        node: SocketAddrV4,
        answer: oneshot::Sender<Pong>,
    },
    /// Nobody waits for the answer any more.
    GiveUp(Token),
    /// Stop until resumed, and answer when that is done.
    Suspend(oneshot::Sender<()>),
    /// Go on.
    Resume(oneshot::Sender<()>),
    /// Tell the present state.
    Stats(oneshot::Sender<super::driver::Snapshot>),
    /// Name the nodes of the routing table, the one heard of last first.
    Nodes(oneshot::Sender<Vec<SocketAddrV4>>),
    /// Hand out the announcements that the node gives out.
    Announcements(oneshot::Sender<Vec<Kept>>),
    /// End the node in order.
    Close(oneshot::Sender<()>),
}

impl Command {
    /// Whether there is somebody to ask even while the bootstrap nodes are not known.
    pub(super) fn knows_nodes(&self) -> bool {
        matches!(self, Self::Connect { dial, .. } if !dial.nodes.is_empty())
    }

    /// Returns the token of a command that can be given up.
    pub(super) const fn token(&self) -> Option<Token> {
        match self {
            Self::Connect { token, .. } | Self::Listen { token, .. } | Self::Query { token, .. } => {
                Some(*token)
            }
            Self::Link { .. }
            | Self::Unlink(_)
            | Self::Ping { .. }
            | Self::Unlisten { .. }
            | Self::GiveUp(_)
            | Self::Suspend(_)
            | Self::Resume(_)
            | Self::Stats(_)
            | Self::Nodes(_)
            | Self::Announcements(_)
            | Self::Close(_) => None,
        }
    }
}

/// A query of the user's own.
#[derive(Clone, Debug)]
pub(crate) enum Query {
    FindPeer(PublicKey),
    Lookup([u8; 32]),
    Announce {
        target: [u8; 32],
        key_pair: KeyPair,
        relays: Vec<SocketAddrV4>,
        bump: u64,
    },
    Unannounce {
        target: [u8; 32],
        key_pair: KeyPair,
    },
    ImmutablePut(Vec<u8>),
    ImmutableGet([u8; 32]),
    MutablePut {
        key_pair: KeyPair,
        seq: u64,
        value: Vec<u8>,
    },
    MutableGet {
        key: PublicKey,
        /// The lowest sequence number that counts.
        least: u64,
        /// Whether to go on to the end for the highest one.
        latest: bool,
    },
}

/// What a query found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// Peers.
    pub(crate) peers: Vec<FoundPeer>,
    /// A value, with its sequence number if it is a mutable one.
    pub(crate) value: Option<FoundValue>,
    /// Nodes that took an announcement or a value.
    pub(crate) committed: usize,
    /// Nodes that refused it.
    pub(crate) refused: usize,
}

/// A peer that a node named.
#[derive(Clone, Debug)]
pub(crate) struct FoundPeer {
    pub(crate) from: SocketAddrV4,
    pub(crate) peer: Peer,
    /// The latest time stamp of the topic, as that node knows it.
    pub(crate) bump: u64,
}

/// A value that a node held and that is what it should be.
#[derive(Clone, Debug)]
pub(crate) struct FoundValue {
    pub(crate) from: SocketAddrV4,
    pub(crate) seq: u64,
    pub(crate) value: Vec<u8>,
}

/// Why a query gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QueryFailure {
    NoNetwork,
    NotStored,
    TooMany,
    Value(ValueError),
    /// Another value has the same sequence number.
    SeqReused,
    /// There is a value with a higher sequence number, this one if a node showed it.
    SeqTooLow(Option<u64>),
}

/// Why a server does not listen.
pub(crate) type ListenFailure = ListenError;

pub(super) type Commands = mpsc::UnboundedReceiver<Command>;
