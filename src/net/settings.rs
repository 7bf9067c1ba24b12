//! How a node is set up.

use std::net::SocketAddrV4;
use std::time::Duration;

use super::bootstrap::Entry;
use crate::connect::Config;
use crate::keys::KeyPair;

/// The choices of the builder.
pub(crate) struct Settings {
    pub(crate) bootstrap: Vec<Entry>,
    pub(crate) bind: SocketAddrV4,
    /// Whether another port serves if that of `bind` is taken.
    pub(crate) other_port: bool,
    pub(crate) endpoint: Config,
    pub(crate) seed: [u8; 32],
    /// The identity of the node towards blind relays.
    pub(crate) key_pair: KeyPair,
    /// Connections that wait to be accepted, per server.
    pub(crate) backlog: usize,
    pub(crate) unproven: usize,
    pub(crate) unproven_for: Duration,
    /// How long a connection goes on that its user has dropped.
    pub(crate) linger_for: Duration,
    /// What such connections hold together, in bytes.
    pub(crate) linger_memory: usize,
    /// Handshakes whose cryptography runs at the same time.
    pub(crate) jobs: usize,
    /// Decisions of servers on clients that are under way.
    pub(crate) decisions: usize,
    /// How long each may take.
    pub(crate) decide_for: Duration,
    /// The largest message that is received, in bytes.
    pub(crate) message: usize,
    /// Received datagrams that wait, per connection.
    pub(crate) datagrams: usize,
    /// The memory for received bytes of all connections, in bytes.
    pub(crate) receive_memory: usize,
    /// Whether the driver looks for datagrams for a moment before it sleeps.
    pub(crate) low_latency: bool,
}

#[cfg(test)]
impl Settings {
    /// Returns settings for a node on loopback whose bootstrap node can't be resolved.
    pub(super) fn for_tests() -> Self {
        Self {
            bootstrap: Entry::parse("name.invalid:1").into_iter().collect(),
            bind: SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 0),
            other_port: true,
            endpoint: Config::default(),
            seed: [1; 32],
            key_pair: KeyPair::from_seed(&[3; 32]),
            backlog: 1,
            unproven: 1,
            unproven_for: Duration::from_secs(1),
            linger_for: Duration::from_secs(30),
            linger_memory: 1 << 20,
            jobs: 1,
            decisions: 1,
            decide_for: Duration::from_secs(5),
            message: 1,
            datagrams: 1,
            receive_memory: 1 << 20,
            low_latency: false,
        }
    }
}
