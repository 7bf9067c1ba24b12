//! What passes between a node and the layer above it: requests, responses, queries and events.

use std::net::SocketAddrV4;
use std::time::Duration;

use super::unsigned::Unsigned;
use crate::identity::Identity;
use crate::keys::PublicKey;
use crate::wire::rpc::{self, NodeId, Token};
use crate::wire::transmit::SocketId;

/// A request that this node sent, until its [`Event::Answered`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// A query that this node runs, until its [`Event::QueryDone`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueryId(pub u64);

/// A single request to one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The node that gets the request.
    pub to: SocketAddrV4,
    /// Whether `command` is one of the RPC layer rather than of HyperDHT.
    pub internal: bool,
    /// The command number.
    pub command: u64,
    /// The key that the request is about.
    pub target: Option<[u8; 32]>,
    /// The payload.
    pub value: Option<Vec<u8>>,
    /// A token that `to` gave out.
    pub token: Option<Token>,
    /// The socket to send from; `None` leaves it to the node.
    pub socket: Option<SocketId>,
    /// The announcement that `value` will be once its signer has signed it: until then it is not sent.
    pub unsigned: Option<Box<Unsigned>>,
    /// How often the datagram is sent again, one second apart, before the request fails.
    pub retries: u32,
    /// After how long the first repetition follows, the next after twice as long and so on up to a second,
    /// where a user waits. `None` is a second each.
    pub hurry: Option<Duration>,
}

impl Reply {
    /// Answers with a value, if there is one, a token, and nodes near the target.
    pub fn with_value(value: Option<Vec<u8>>) -> Self {
        Self { value, token: true, closer: true, ..Self::default() }
    }

    /// Answers with an error code and, if the request has a target, nodes near it.
    pub fn with_error(error: u64) -> Self {
        Self { closer: true, error, ..Self::default() }
    }

    /// Answers that the command is not served here.
    pub fn unknown_command() -> Self {
        Self::with_error(rpc::ERROR_UNKNOWN_COMMAND)
    }
}

impl Outgoing {
    /// How often a plain request is sent again (dht-rpc.md §9 table row 1, §15).
    pub const RETRIES: u32 = 3;

    /// When a request in a hurry is sent again where nothing is known of the path: later than after most
    /// round trips through a node to a peer and back.
    pub const HURRY: Duration = Duration::from_millis(300);

    /// How often such a request is sent again, which takes as long as the four tries of a plain one.
    pub const RETRIES_IN_HURRY: u32 = 4;

    /// Makes a request of the RPC layer without target, value and token, with the usual retries.
    pub const fn internal(to: SocketAddrV4, command: u64) -> Self {
        Self {
            to,
            internal: true,
            command,
            target: None,
            value: None,
            unsigned: None,
            token: None,
            socket: None,
            retries: Self::RETRIES,
            hurry: None,
        }
    }

    /// Makes a HyperDHT request without value and token, with the usual retries.
    pub const fn application(to: SocketAddrV4, command: u64, target: [u8; 32]) -> Self {
        Self {
            to,
            internal: false,
            command,
            target: Some(target),
            value: None,
            unsigned: None,
            token: None,
            socket: None,
            retries: Self::RETRIES,
            hurry: None,
        }
    }
}

/// A request of another node that the layer above answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// The socket it arrived on, which is the one to answer from.
    pub socket: SocketId,
    /// Where it came from.
    pub from: SocketAddrV4,
    /// The transaction id, which the answer repeats.
    pub tid: u16,
    /// This node as the sender sees it.
    pub to: SocketAddrV4,
    /// The node id of the sender, if it claims one that belongs to its address (dht-rpc.md §5).
    pub id: Option<NodeId>,
    /// The command number.
    pub command: u64,
    /// The key that the request is about.
    pub target: Option<[u8; 32]>,
    /// The payload.
    pub value: Option<Vec<u8>>,
    /// The length of the datagram.
    pub length: usize,
    /// Whether the sender has shown a token, which proves that it receives at its address (dht-rpc.md §6).
    pub proven: bool,
}

/// What to answer to an [`Incoming`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// The payload.
    pub value: Option<Vec<u8>>,
    /// Whether the answer carries a fresh token.
    pub token: bool,
    /// Whether the answer names nodes near the request's target.
    pub closer: bool,
    /// The error code; 0 is none.
    pub error: u64,
    /// Where the answer goes, if not to the sender of the request.
    pub to: Option<SocketAddrV4>,
    /// The socket that the answer leaves from, if not the one that the request arrived on.
    pub socket: Option<SocketId>,
}

/// A response to a request of this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The node that answered.
    pub from: SocketAddrV4,
    /// This node as `from` sees it.
    pub to: SocketAddrV4,
    /// The socket that the response arrived on.
    pub socket: SocketId,
    /// The id of the node that answered, if it claims one that belongs to its address.
    pub id: Option<NodeId>,
    /// A token for a later request to this node.
    pub token: Option<Token>,
    /// Nodes near the target, as the answering node named them.
    pub closer: Vec<SocketAddrV4>,
    /// The error code; 0 is none.
    pub error: u64,
    /// The payload.
    pub value: Option<Vec<u8>>,
    /// The time since the latest try, which is most likely the one that is answered.
    pub rtt: Duration,
}

/// A walk towards a target, and what follows it.
#[derive(Clone, Debug)]
pub struct Query {
    /// Whether `command` is one of the RPC layer.
    pub internal: bool,
    /// The command that every node on the way gets.
    pub command: u64,
    /// The key that the walk leads to.
    pub target: [u8; 32],
    /// The payload that every node on the way gets.
    pub value: Option<Vec<u8>>,
    /// Nodes to request first.
    pub seeds: Vec<SocketAddrV4>,
    /// How often each request is sent again.
    pub retries: u32,
    /// What the closest nodes get once the walk is over.
    pub commit: Commit,
}

impl Query {
    /// How often a request of a query is sent again (dht-rpc.md §9 table row 2, §15).
    pub const RETRIES: u32 = 5;

    /// Makes the query for the nodes nearest to a target.
    pub const fn find_node(target: [u8; 32]) -> Self {
        let mut query = Self::application(rpc::FIND_NODE, target);
        query.internal = true;
        query
    }

    /// Makes the query for the server with this key.
    pub fn find_peer(key: &PublicKey) -> Self {
        let mut query = Self::application(rpc::FIND_PEER, key.target());
        query.retries = Outgoing::RETRIES;
        query
    }

    /// Makes a query of a HyperDHT command without value, seeds and commit.
    pub const fn application(command: u64, target: [u8; 32]) -> Self {
        Self {
            internal: false,
            command,
            target,
            value: None,
            seeds: Vec::new(),
            retries: Self::RETRIES,
            commit: Commit::Nothing,
        }
    }
}

/// What a query does with the up to twenty closest nodes that it found (dht-rpc.md §12.6).
#[derive(Clone, Debug)]
pub enum Commit {
    /// Nothing: the walk is the point.
    Nothing,
    /// Sends each an announcement, signed for its id and token.
    Announce {
        /// Whose key is announced, and who signs.
        identity: Identity,
        /// Where the announced peer can be reached; nodes keep the first three.
        relays: Vec<SocketAddrV4>,
        /// A time stamp in Unix milliseconds by which lookups notice changes; 0 is none.
        bump: u64,
    },
    /// Takes announcements back, from each node on the way that holds one.
    Unannounce {
        /// Whose announcements go, and who signs.
        identity: Identity,
    },
    /// Sends each the same command and value with the token that it gave.
    Send {
        /// The command number.
        command: u64,
        /// The payload.
        value: Option<Vec<u8>>,
    },
}

/// How a query ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryOutcome {
    /// The answers of up to twenty nodes with an id, nearest to the target first.
    pub closest: Vec<Answer>,
    /// How many nodes got a request.
    pub asked: usize,
    /// How many of them answered, errors included.
    pub answered: usize,
    /// How many datagrams that took, those sent again included.
    pub sent: usize,
    /// How many nodes led to the nearest one, itself included.
    pub hops: u32,
    /// How many accepted the commit.
    pub committed: usize,
    /// The error codes of those that refused it.
    pub refused: Vec<u64>,
}

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// No try got a response.
    #[error("the node did not answer")]
    TimedOut,
    /// As many requests wait as may.
    #[error("too many requests are waiting")]
    Overloaded,
    /// The request would be longer than a datagram may be.
    #[error("the request is longer than a datagram may be")]
    TooLarge,
    /// The signer of an announcement has not signed it.
    #[error("the signer has not signed the announcement")]
    Unsigned,
}

/// Why a query failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// No node answered at all, so this one is most likely not connected to a network.
    #[error("no node of the network answered")]
    NoNodes,
    /// Nodes answered, but none that could take the commit.
    #[error("no node near the target could be committed to")]
    TooFewNodes,
    /// None of the closest nodes accepted the commit.
    #[error("none of the closest nodes accepted the commit")]
    NotCommitted {
        /// The error code that most of those that answered gave, if any answered.
        error: Option<u64>,
    },
}

/// What a node reports to the layer above.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Bootstrapping is over.
    Bootstrapped {
        /// How many nodes answered; 0 for a first node, or where the network is out of reach.
        reached: usize,
    },
    /// A handshake or holepunch request came in, or one of a free command that this node serves, whether it
    /// is persistent or not.
    Incoming(Incoming),
    /// A request ended.
    Answered {
        /// The request.
        request: RequestId,
        /// The response, or why there is none. An error code in the response is not an error here.
        result: Result<Answer, RequestError>,
    },
    /// A node on the way of a query answered without error.
    QueryAnswer {
        /// The query.
        query: QueryId,
        /// The response.
        answer: Answer,
    },
    /// A query ended, its commit included.
    QueryDone {
        /// The query.
        query: QueryId,
        /// How it ended.
        result: Result<QueryOutcome, QueryError>,
    },
    /// A request waits until its signer has signed it: answer with `Node::signed`.
    Sign {
        /// The request.
        request: RequestId,
        /// What is to be signed, and who signs.
        unsigned: Box<Unsigned>,
    },
    /// The node turned persistent (`true`) or ephemeral.
    Persistent(bool),
    /// The remote address or the firewall state of this node has changed.
    AddressChanged,
}
