//! The present state of a node, in numbers.

use std::net::SocketAddrV4;

/// The present state of a node.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) connections: usize,
    pub(crate) unproven: usize,
    pub(crate) unproven_dropped: u64,
    pub(crate) refused: u64,
    pub(crate) servers: usize,
    pub(crate) nodes: usize,
    pub(crate) persistent: bool,
    pub(crate) firewalled: bool,
    pub(crate) remote_address: Option<SocketAddrV4>,
    pub(crate) traffic: Traffic,
    pub(crate) dht: crate::dht::Stats,
}

/// What has gone through the sockets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) datagrams_sent: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) sends: u64,
    pub(crate) send_errors: u64,
    pub(crate) datagrams_received: u64,
    pub(crate) bytes_received: u64,
}
