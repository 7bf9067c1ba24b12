//! The counters and the present state of a node.

use std::net::SocketAddrV4;

/// The counters of a node since it was started, and its present state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Stats {
    /// Open connections, dialled ones and those that clients opened, in the backlog too.
    pub connections: usize,
    /// Accepted connections whose peer has not yet proven its key.
    pub unproven: usize,
    /// Servers that listen.
    pub servers: usize,
    /// Nodes in the routing table.
    pub nodes: usize,
    /// Whether the node serves others under an id of its own.
    pub persistent: bool,
    /// Whether the node seems to be behind a firewall.
    pub firewalled: bool,
    /// The address of the node as others see it, if they agree.
    pub remote_address: Option<SocketAddrV4>,
    /// Datagrams sent.
    pub datagrams_sent: u64,
    /// Bytes of those datagrams.
    pub bytes_sent: u64,
    /// Calls to the system that sent them; fewer than datagrams where segmentation offload works.
    pub sends: u64,
    /// Datagrams that the system refused to send.
    pub send_errors: u64,
    /// Datagrams received.
    pub datagrams_received: u64,
    /// Bytes of those datagrams.
    pub bytes_received: u64,
    /// What has gone over all connections, those that have ended included. The datagrams that carried it are
    /// among those above.
    pub streams: crate::udx::Traffic,
    /// Connections refused because the backlog of a server was full, or too many handshakes waited.
    pub refused: u64,
    /// Streams destroyed because their peer did not prove its key in time.
    pub unproven_dropped: u64,
    /// What the node does for the DHT.
    pub dht: crate::dht::Stats,
}

/// What has gone through the sockets of a node.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Traffic {
    pub(super) datagrams_sent: u64,
    pub(super) bytes_sent: u64,
    pub(super) sends: u64,
    pub(super) send_errors: u64,
    pub(super) datagrams_received: u64,
    pub(super) bytes_received: u64,
}

impl Traffic {
    /// Returns how many datagrams have come and gone.
    pub(super) const fn datagrams(&self) -> u64 {
        self.datagrams_received + self.datagrams_sent
    }
}
