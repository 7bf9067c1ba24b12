//! What a node knows and holds, as a person looks at it.

use std::net::SocketAddrV4;

use crate::connect::ServerAddress;
use crate::dht::Fill;
use crate::keys::PublicKey;
use crate::net::connections::OpenStream;

/// What a node knows and holds, in detail, from [`Dht::overview`](crate::Dht::overview).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Overview {
    /// The id that the routing table is built around: that of the own address, or a random one while the
    /// address is not known.
    pub id: [u8; 32],
    /// The nodes of the routing table, the one heard of last first: their ids and their addresses.
    pub table: Vec<([u8; 32], SocketAddrV4)>,
    /// How the nodes that answered last see the socket that requests leave from, and how many of them see
    /// each address. One address for nearly all of them is the node's own; different ports are a NAT's.
    pub seen_as: Vec<(SocketAddrV4, usize)>,
    /// By what [`NodeState::nat`](super::NodeState::nat) was judged: nodes, and how each sees the socket for
    /// punching. Empty while that was not examined.
    pub nat_samples: Vec<(SocketAddrV4, SocketAddrV4)>,
    /// The newest connections, the newest first.
    pub connections: Vec<OpenStream>,
    /// The servers that listen.
    pub servers: Vec<Listening>,
    /// How full the bounds of the node are.
    pub fills: Vec<Fill>,
}

/// A server that listens on a node.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Listening {
    /// The key that clients connect to.
    pub key: PublicKey,
    /// The nodes that have its announcement; none while it is not announced.
    pub announced_at: Vec<SocketAddrV4>,
    /// Where it can be reached, if that is known.
    pub address: Option<ServerAddress>,
}
