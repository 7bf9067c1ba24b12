//! The settings of a node.

use std::net::SocketAddrV4;
use std::time::Duration;

use super::kept::Kept;
use super::policy::Policy;

/// How a node decides whether it serves others under an id of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Starts ephemeral and turns persistent after twenty minutes of being reachable at one address.
    #[default]
    Adaptive,
    /// Never shows its id, so no node keeps it in a table or stores records on it.
    Ephemeral,
    /// Turns persistent as soon as it knows its own address.
    Persistent,
}

/// The settings of a [`Node`](crate::dht::Node).
#[derive(Clone, Debug)]
pub struct Config {
    /// The nodes that queries start from while the table is small. Without any, the node is the first of its
    /// network.
    pub bootstrap: Vec<SocketAddrV4>,
    /// Nodes of an earlier run, requested beside the bootstrap nodes at the start; they make up for those
    /// that have gone.
    pub known: Vec<SocketAddrV4>,
    /// Whether and when the node turns persistent.
    pub mode: Mode,
    /// Whether the node assumes at the start that unsolicited datagrams do not reach its server socket.
    pub firewalled: bool,
    /// The address under which others reach the server socket, where it is known in advance. Port 0 stands
    /// for the local port of the server socket. With [`Mode::Persistent`] the node is persistent as soon as
    /// its sockets are bound.
    pub public_address: Option<SocketAddrV4>,
    /// Whether a firewalled node requests one response to its server socket during bootstrap, and if that
    /// arrives checks its firewall at once (dht-rpc.md §13.2).
    pub quick_firewall_check: bool,
    /// Whether the network lives on loopback or private addresses, which nodes of the public network ignore
    /// when others name them.
    pub private_network: bool,
    /// The Unix time at the instant passed to [`Node::new`](crate::dht::Node::new). Announcements may carry a
    /// time stamp, and one too far in the future is ignored.
    pub unix_time: Duration,
    /// Whether announcements are kept with their signatures, for
    /// [`Node::announcements`](crate::dht::Node::announcements).
    pub keeps_announcements: bool,
    /// Announcements of an earlier run.
    pub announcements: Vec<Kept>,
    /// How the node walks and keeps its table.
    pub policy: Policy,
    /// How many down hints may be sent per tick of five seconds (dht-rpc.md §12.4); 0 switches them off.
    pub down_hints_per_tick: u32,
    /// The longest delay that a delayed ping may request.
    pub max_ping_delay: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bootstrap: Vec::new(),
            known: Vec::new(),
            mode: Mode::Adaptive,
            firewalled: true,
            public_address: None,
            quick_firewall_check: true,
            private_network: false,
            unix_time: Duration::ZERO,
            keeps_announcements: false,
            announcements: Vec::new(),
            policy: Policy::default(),
            down_hints_per_tick: 50,
            max_ping_delay: Duration::from_secs(10),
        }
    }
}

impl Config {
    /// Returns the share of one /24 network, see [`Policy::per_network`]. A private network may have a single
    /// one.
    pub(super) const fn per_network(&self) -> usize {
        if self.private_network { usize::MAX } else { self.policy.per_network }
    }
}
