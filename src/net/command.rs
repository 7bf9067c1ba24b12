//! What the user's handles ask of the driver.

use std::net::SocketAddrV4;

use tokio::sync::{mpsc, oneshot};

use super::link::Handle;
use super::servers::Listening;
use crate::connect::{Dial, Failure, Listen, ListenError, Report, ServerId};
use crate::keys::{KeyPair, PublicKey};

/// Names a command whose answer somebody waits for, so that it can be given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Token(pub(crate) u64);

/// How an attempt to connect ended.
pub(crate) type DialOutcome = Result<Handle, (Failure, Box<Report>)>;

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
    /// Nobody waits for the answer any more.
    GiveUp(Token),
    /// Tell the present state.
    Stats(oneshot::Sender<super::driver::Snapshot>),
    /// End the node in order.
    Close(oneshot::Sender<()>),
}

impl Command {
    /// Returns the token of a command that can be given up.
    pub(super) const fn token(&self) -> Option<Token> {
        match self {
            Self::Connect { token, .. }
            | Self::Listen { token, .. }
            | Self::Query { token, .. } => Some(*token),
            Self::Unlisten { .. } | Self::GiveUp(_) | Self::Stats(_) | Self::Close(_) => None,
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
    },
    Unannounce {
        target: [u8; 32],
        key_pair: KeyPair,
    },
}

/// What a query found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// Records with the node that gave them.
    pub(crate) records: Vec<(SocketAddrV4, crate::wire::records::Peer)>,
    /// Nodes that took an announcement.
    pub(crate) committed: usize,
}

/// Why a query gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QueryFailure {
    NoNetwork,
    NotStored,
    TooMany,
}

/// Why a server does not listen.
pub(crate) type ListenFailure = ListenError;

pub(super) type Commands = mpsc::UnboundedReceiver<Command>;
