//! What passes between a node and the layer above it.

use std::net::SocketAddrV4;
use std::time::Duration;

use crate::keys::{KeyPair, PublicKey};
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
    /// The node that is asked.
    pub to: SocketAddrV4,
    /// Whether `command` is one of the RPC layer rather than of HyperDHT.
    pub internal: bool,
    /// The command number.
    pub command: u64,
    /// The key that the request is about.
    pub target: Option<[u8; 32]>,
    /// The payload.
    pub value: Option<Vec<u8>>,
    /// A token that `to` gave us.
    pub token: Option<Token>,
    /// The socket to send from; `None` is the node's choice.
    pub socket: Option<SocketId>,
    /// How often the datagram is sent again, one second apart, before the request fails.
    pub retries: u32,
    /// After how long the first repetition follows already, the next after twice as long and so on up to a
    /// second, because somebody waits.
    pub hurry: Option<Duration>,
}

impl Reply {
    /// Answers with a value, if there is one, a token, and nodes near the target.
    pub(super) fn with_value(value: Option<Vec<u8>>) -> Self {
        Self {
            value,
            token: true,
            closer: true,
            ..Self::default()
        }
    }

    /// Answers with an error code and, if the request has a target, nodes near it.
    pub(super) fn with_error(error: u64) -> Self {
        Self {
            closer: true,
            error,
            ..Self::default()
        }
    }
}

impl Stats {
    /// Counts a request that was received.
    pub(super) fn count_request(&mut self, internal: bool, command: u64) {
        self.requests_received += 1;
        let counters: &mut [u64] = if internal {
            &mut self.internal_received
        } else {
            &mut self.application_received
        };
        let command = usize::try_from(command).unwrap_or(usize::MAX);
        let command = command.min(counters.len() - 1);
        counters[command] += 1;
    }

    /// Counts a message that was forwarded to another node, or its answer.
    pub(super) const fn count_forwarded(&mut self, command: u64) {
        match command {
            rpc::PEER_HANDSHAKE => self.relayed_handshakes += 1,
            rpc::PEER_HOLEPUNCH => self.relayed_holepunches += 1,
            _ => {}
        }
    }

    /// Returns the requests received by layer, name of the command and count; `other` stands for all unknown
    /// ones.
    pub fn requests_by_command(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let counts = |internal, counts: &[u64]| {
            let layer = if internal { "internal" } else { "application" };
            let named = counts.iter().enumerate();
            let named = named.map(move |(command, count)| {
                let name = rpc::command_name(internal, command as u64);
                (layer, name.unwrap_or("other"), *count)
            });
            named.collect::<Vec<_>>()
        };
        let internal = counts(true, &self.internal_received);
        let application = counts(false, &self.application_received);
        internal.into_iter().chain(application)
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
    /// Who sent it.
    pub from: SocketAddrV4,
    /// The transaction id, which the answer repeats.
    pub tid: u16,
    /// This node as the sender sees it.
    pub to: SocketAddrV4,
    /// The sender's node id, if it told one that belongs to its address.
    pub id: Option<NodeId>,
    /// The command number.
    pub command: u64,
    /// The key that the request is about.
    pub target: Option<[u8; 32]>,
    /// The payload.
    pub value: Option<Vec<u8>>,
    /// The length of the datagram.
    pub length: usize,
    /// Whether the sender has shown a token, which proves that it receives at its address.
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

/// A response to a request of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The node that answered.
    pub from: SocketAddrV4,
    /// This node as `from` sees it.
    pub to: SocketAddrV4,
    /// The socket that the response arrived on.
    pub socket: SocketId,
    /// The answering node's id, if it told one that belongs to its address.
    pub id: Option<NodeId>,
    /// A token for a later request to this node.
    pub token: Option<Token>,
    /// Nodes near the target, as the answering node named them.
    pub closer: Vec<SocketAddrV4>,
    /// The error code; 0 is none.
    pub error: u64,
    /// The payload.
    pub value: Option<Vec<u8>>,
    /// The time since the datagram that is most likely being answered, the last one sent.
    pub rtt: Duration,
}

/// A walk towards a target, as the caller describes it.
#[derive(Clone, Debug)]
pub struct Query {
    /// Whether `command` is one of the RPC layer.
    pub internal: bool,
    /// The command that every node on the way is sent.
    pub command: u64,
    /// The key that the walk leads to.
    pub target: [u8; 32],
    /// The payload that every node on the way is sent.
    pub value: Option<Vec<u8>>,
    /// Nodes to ask first.
    pub seeds: Vec<SocketAddrV4>,
    /// How often each request is sent again.
    pub retries: u32,
    /// What the closest nodes are sent once the walk is over.
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

/// What a query does with the up to twenty closest nodes that it found.
#[derive(Clone, Debug)]
pub enum Commit {
    /// Nothing: the walk is the point.
    Nothing,
    /// Sends each an announcement, signed for its id and token.
    Announce {
        /// The key that is announced, and that signs.
        key_pair: KeyPair,
        /// Where the announced peer can be reached; nodes keep the first three.
        relays: Vec<SocketAddrV4>,
        /// A time stamp in Unix milliseconds by which lookups notice news; 0 is none.
        bump: u64,
    },
    /// Takes announcements back, from each node on the way that holds one.
    Unannounce {
        /// The key whose announcements go, and that signs.
        key_pair: KeyPair,
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
    /// How many nodes were asked.
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
    /// No try was answered.
    #[error("the node did not answer")]
    TimedOut,
    /// The node already has as many requests waiting as it may.
    #[error("too many requests are waiting")]
    Overloaded,
    /// The request would be longer than a datagram may be.
    #[error("the request is longer than a datagram may be")]
    TooLarge,
}

/// Why a query failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// No node answered at all, so this is most likely not connected to a network.
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

/// What a node tells the layer above.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Bootstrapping is over.
    Bootstrapped {
        /// How many nodes answered; 0 for a first node, or where the network is out of reach.
        reached: usize,
    },
    /// A handshake or holepunch request came in, whether this node is persistent or not.
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
    /// The node turned persistent (`true`) or ephemeral.
    Persistent(bool),
    /// Our address or firewall state is not what it was.
    AddressChanged,
}

/// Datagrams dropped since the start, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drops {
    /// Received ones that are no RPC packet, or none that decodes.
    pub malformed: u64,
    /// Received responses to no request of ours.
    pub unmatched: u64,
    /// Received or own ones that are longer than a datagram may be, or have no port to go to.
    pub oversized: u64,
    /// Those that found a queue full.
    pub full: u64,
    /// Those that a network of strangers had no budget for.
    pub budget: u64,
}

/// Counters since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Requests received.
    pub requests_received: u64,
    /// Those of the RPC layer by command number, then those with any other number.
    pub internal_received: [u64; rpc::DELAYED_PING as usize + 2],
    /// Those of HyperDHT by command number, then those with any other number.
    pub application_received: [u64; rpc::PLUGIN as usize + 2],
    /// Requests answered with a response.
    pub replies_sent: u64,
    /// Replies that were cut to three times the request, because the sender's network had spent its budget
    /// and the sender showed no token.
    pub trimmed: u64,
    /// Handshake messages passed on to another node, and their answers.
    pub relayed_handshakes: u64,
    /// Holepunch messages passed on to another node, and their answers.
    pub relayed_holepunches: u64,
    /// Responses received that matched a request of ours.
    pub responses_received: u64,
    /// Requests of ours, retries not counted.
    pub requests_sent: u64,
    /// Datagrams of the walks that the layer above asked for, commits left out.
    pub walk_datagrams: u64,
    /// Requests of ours sent again.
    pub retries_sent: u64,
    /// Requests of ours that nobody answered.
    pub timeouts: u64,
    /// Datagrams dropped, by reason.
    pub drops: Drops,
    /// Records held for others: announcements, servers and values.
    pub records: usize,
    /// Nodes in the routing table.
    pub nodes: usize,
}
