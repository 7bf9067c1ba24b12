//! What goes into a node and the numbers that come out.

use std::net::SocketAddrV4;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::connect::Config;
use crate::keys::KeyPair;
use crate::net::bootstrap::{BootstrapState, Entry};
use crate::net::command::Command;

/// How a node is started.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) bootstrap: Vec<Entry>,
    pub(crate) bind: SocketAddrV4,
    pub(crate) other_port: bool,
    pub(crate) endpoint: Config,
    pub(crate) seed: [u8; 32],
    /// Who the node is towards relays.
    pub(crate) key_pair: KeyPair,
    pub(crate) backlog: usize,
    pub(crate) unproven: usize,
    pub(crate) unproven_for: Duration,
    pub(crate) jobs: usize,
    pub(crate) message: usize,
    pub(crate) datagrams: usize,
}

/// A node that runs.
#[derive(Clone, Debug)]
pub(crate) struct Started {
    pub(crate) commands: mpsc::UnboundedSender<Command>,
    pub(crate) local: SocketAddrV4,
    pub(crate) bootstrap: watch::Receiver<BootstrapState>,
}

/// The present state of a node, in numbers.
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
