//! The counters and the present state of a node.

use crate::net::Snapshot;

/// The counters of a node since it was started, and its present state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
    pub remote_address: Option<std::net::SocketAddrV4>,
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
    /// Connections refused because the backlog of a server was full, or too many handshakes waited.
    pub refused: u64,
    /// Streams destroyed because their peer did not prove its key in time.
    pub unproven_dropped: u64,
    /// What the node does for the DHT.
    pub dht: crate::dht::Stats,
}

impl From<Snapshot> for Stats {
    fn from(snapshot: Snapshot) -> Self {
        let traffic = snapshot.traffic;
        Self {
            connections: snapshot.connections,
            unproven: snapshot.unproven,
            servers: snapshot.servers,
            nodes: snapshot.nodes,
            persistent: snapshot.persistent,
            firewalled: snapshot.firewalled,
            remote_address: snapshot.remote_address,
            datagrams_sent: traffic.datagrams_sent,
            bytes_sent: traffic.bytes_sent,
            sends: traffic.sends,
            send_errors: traffic.send_errors,
            datagrams_received: traffic.datagrams_received,
            bytes_received: traffic.bytes_received,
            refused: snapshot.refused,
            unproven_dropped: snapshot.unproven_dropped,
            dht: snapshot.dht,
        }
    }
}
