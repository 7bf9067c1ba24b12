//! The builder of a node, its defaults and its limits.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, SystemTime};

use rand::RngCore;

use super::{KeptAnnouncement, SpawnError};
use crate::net::{Entry, Settings};
use crate::wire::address::is_bogon;
use crate::{KeyPair, connect, dht};

/// Bootstrap nodes of the public HyperDHT (`hyperdht lib/constants.js`, `BOOTSTRAP_NODES`).
pub const DEFAULT_BOOTSTRAP: [&str; 3] = [
    "88.99.3.86@node1.hyperdht.org:49737",
    "142.93.90.113@node2.hyperdht.org:49737",
    "138.68.147.8@node3.hyperdht.org:49737",
];

/// The longest duration that a user can set: a clock has an end.
pub(super) const MAX_DURATION: Duration = Duration::from_secs(24 * 60 * 60);
/// With less, no stream gets its first packets.
const MIN_MEMORY: usize = 1 << 20;
/// A window is often shut for some round trips.
const MIN_STALL: Duration = Duration::from_secs(1);

/// Whether a node serves others: answers their queries and stores records for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// Starts as a client and becomes a full node once it has been reachable for a while.
    #[default]
    Adaptive,
    /// Stays a client.
    Ephemeral,
    /// Becomes a full node while it bootstraps, or never.
    Persistent,
}

/// Limits on what strangers can make a node keep. The defaults suit a server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Connections that wait for [`Server::accept`](super::Server::accept), per server; beyond them the
    /// newest from the busiest source is refused. Default 1,024.
    pub backlog: usize,
    /// Half-open handshakes, answered and without a packet of their stream yet, per node; the oldest of the
    /// busiest source goes. Default 4,096.
    pub half_open: usize,
    /// Accepted streams on which nothing has decrypted yet, per node; the oldest of the busiest source goes.
    /// Default 4,096.
    pub unproven: usize,
    /// How long an accepted stream may go on whose peer has sent nothing that decrypts and
    /// acknowledged nothing, a day at most. Default 15 s.
    ///
    /// A peer that acknowledges may stay unproven for longer, within [`Self::unproven`]: a client in
    /// JavaScript that waits for the server to speak is one. Its host is there, and its key is still only a
    /// claim.
    pub unproven_for: Duration,
    /// How long a connection goes on that its user has dropped, a day at most: until the peer has
    /// acknowledged what was written and ended its direction. Then it is reset. Default 30 s.
    pub linger_for: Duration,
    /// Memory of such connections, per node, in bytes: what they still send and 8 KiB for each. Beyond it the
    /// oldest of the busiest source is reset. Default 64 MiB.
    pub linger_memory: usize,
    /// Handshakes whose cryptography runs at the same time, per node, and at most two for each thread of the
    /// runtime. Default 64.
    pub jobs: usize,
    /// Decisions of [`Listen::allow`](super::Listen::allow) and
    /// [`Listen::allow_punch`](super::Listen::allow_punch) under way, and answers of a
    /// [`Signer`](crate::Signer), per node; beyond them clients and punches are refused, and what has to be
    /// signed fails. Default 1,024.
    pub decisions: usize,
    /// How long such a decision or answer may take until it counts as refused, a day at most. Default 5 s;
    /// after 10 s the handshake is forgotten.
    pub decide_for: Duration,
    /// Servers of one node. Default 256.
    pub servers: usize,
    /// The largest message that is received, in bytes. Default 16,777,198, the largest of the protocol.
    pub message: usize,
    /// Received datagrams that wait in [`Connection::recv_datagram`](super::Connection::recv_datagram), per
    /// connection; further ones are dropped. Default 128.
    pub datagrams: usize,
    /// Memory for received bytes of all connections that no reader has taken yet, in bytes. Default 256 MiB,
    /// at least 1 MiB.
    ///
    /// A connection holds at most a quarter of what is free of it. As it fills up, windows shrink, and what
    /// waits for lost packets is refused before what comes in order. Connections that hold much and get no
    /// further end, the largest first, with [`StreamError::Overloaded`](super::StreamError::Overloaded).
    pub receive_memory: usize,
    /// Memory for what was sent on all connections and is not acknowledged yet, in bytes, and 4 KiB more for
    /// each connection. Default 256 MiB, at least 1 MiB.
    ///
    /// A connection holds at most a quarter of what is free of it, and never more than 64 MiB: twice what
    /// 1 Gbit/s needs at a round trip of 250 ms. What it may not send waits with the writer.
    pub send_memory: usize,
    /// How long a peer that is there may take no data while some waits for it, a second to a day. Default 10
    /// minutes. Peers in JavaScript always take data; others stop when their reader does.
    pub stalled_for: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            backlog: 1024,
            half_open: 4096,
            unproven: 4096,
            unproven_for: Duration::from_secs(15),
            linger_for: Duration::from_secs(30),
            linger_memory: 64 << 20,
            jobs: 64,
            decisions: 1024,
            decide_for: Duration::from_secs(5),
            servers: 256,
            message: 16_777_198,
            datagrams: 128,
            receive_memory: 256 << 20,
            send_memory: 256 << 20,
            stalled_for: Duration::from_secs(600),
        }
    }
}

/// Sets up a [`Dht`](super::Dht).
#[derive(Clone)]
#[must_use = "a builder does nothing until `spawn`"]
pub struct DhtBuilder {
    pub(crate) bootstrap: Vec<String>,
    pub(crate) known: Vec<SocketAddrV4>,
    pub(crate) bind: String,
    pub(crate) other_port: bool,
    pub(crate) mode: Mode,
    pub(crate) firewalled: bool,
    pub(crate) quick_firewall: bool,
    pub(crate) public_ip: Option<Ipv4Addr>,
    pub(crate) lan: bool,
    pub(crate) limits: Limits,
    pub(crate) low_latency: bool,
    pub(crate) keeps_announcements: bool,
    pub(crate) announcements: Vec<KeptAnnouncement>,
    pub(crate) seed: Option<[u8; 32]>,
}

/// Without the seed, from which keys follow.
impl fmt::Debug for DhtBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DhtBuilder")
            .field("bootstrap", &self.bootstrap)
            .field("bind", &self.bind)
            .field("mode", &self.mode)
            .field("firewalled", &self.firewalled)
            .field("public_ip", &self.public_ip)
            .field("lan", &self.lan)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Default for DhtBuilder {
    fn default() -> Self {
        Self {
            bootstrap: DEFAULT_BOOTSTRAP.map(String::from).to_vec(),
            known: Vec::new(),
            bind: "0.0.0.0:49737".into(),
            other_port: true,
            mode: Mode::Adaptive,
            firewalled: true,
            quick_firewall: true,
            public_ip: None,
            lan: true,
            limits: Limits::default(),
            low_latency: false,
            keeps_announcements: false,
            announcements: Vec::new(),
            seed: None,
        }
    }
}

impl DhtBuilder {
    /// Sets the nodes to join through, each as `HOST:PORT` or `IP@HOST:PORT` (the address is tried first, the
    /// name is resolved if it does not answer). Without any, the node is the first one of a private network.
    /// The default is [`DEFAULT_BOOTSTRAP`].
    pub fn bootstrap<I>(mut self, nodes: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.bootstrap = nodes.into_iter().map(Into::into).collect();
        self
    }

    /// Adds nodes of an earlier run, from [`Dht::known_nodes`](super::Dht::known_nodes). They are asked
    /// beside the bootstrap nodes, and replace those that are gone. The first 200 count.
    pub fn known_nodes(mut self, nodes: impl IntoIterator<Item = SocketAddrV4>) -> Self {
        self.known = nodes.into_iter().collect();
        self
    }

    /// Keeps the announcements of others with their signatures, for
    /// [`Dht::announcements`](super::Dht::announcements), and takes up those of an earlier run. They hold at
    /// the address that they were made for, for as long as they had left. Each takes some 300 bytes more than
    /// without. Off by default.
    pub fn keep_announcements(mut self, earlier: impl IntoIterator<Item = KeptAnnouncement>) -> Self {
        self.keeps_announcements = true;
        self.announcements = earlier.into_iter().collect();
        self
    }

    /// Sets the IPv4 address and port of the server socket, as `IP:PORT`. The default is `0.0.0.0:49737`. If
    /// the port is taken, the four ports that follow are tried, then any.
    pub fn bind(mut self, address: impl Into<String>) -> Self {
        self.bind = address.into();
        self
    }

    /// Fails rather than taking another port than the one given to [`Self::bind`].
    pub fn exact_port(mut self) -> Self {
        self.other_port = false;
        self
    }

    /// Sets whether the node serves others. The default is [`Mode::Adaptive`].
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Sets whether the node takes itself to be behind a firewall until it has found out. The default is
    /// `true`.
    pub fn firewalled(mut self, firewalled: bool) -> Self {
        self.firewalled = firewalled;
        self
    }

    /// Sets whether the node checks for a firewall while it joins, rather than minutes later. In
    /// [`Mode::Ephemeral`] it never does. The default is `true`.
    pub fn quick_firewall(mut self, quick: bool) -> Self {
        self.quick_firewall = quick;
        self
    }

    /// Sets the IPv4 address that others see, for hosts whose provider maps one public address to them.
    pub fn public_ip(mut self, address: Ipv4Addr) -> Self {
        self.public_ip = Some(address);
        self
    }

    /// Sets whether peers in the same local network may connect by their local addresses. The default is
    /// `true`.
    pub fn lan(mut self, lan: bool) -> Self {
        self.lan = lan;
        self
    }

    /// Sets the limits on what strangers can make the node keep.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Whether the node looks for datagrams for up to 100 µs after each one that has come or gone, before it
    /// sleeps. By default it sleeps at once.
    ///
    /// That saves the time in which the system wakes a thread, most of a round trip on the same host or in a
    /// fast local network; on longer paths it gains nothing. The price: while datagrams come and go, the
    /// thread of the runtime that the node runs on uses a whole core, and other tasks on that thread run up
    /// to 100 µs later. Give the runtime a thread more than it would otherwise need. Without traffic the
    /// node sleeps as always.
    pub fn low_latency(mut self, low_latency: bool) -> Self {
        self.low_latency = low_latency;
        self
    }

    /// Derives the node's random choices from a seed, so that a run can be repeated. Only for tests.
    pub fn seed(mut self, seed: [u8; 32]) -> Self {
        self.seed = Some(seed);
        self
    }

    pub(super) fn into_settings(self) -> Result<Settings, SpawnError> {
        let bind: SocketAddrV4 = self.bind.parse().map_err(|_| SpawnError::Address { given: self.bind })?;
        let entries = self
            .bootstrap
            .into_iter()
            .map(|given| Entry::parse(&given).ok_or(SpawnError::Bootstrap { given }));
        let bootstrap: Vec<Entry> = entries.collect::<Result<_, _>>()?;
        // The first node of a network knows it by its own address, if that is given.
        let first = bootstrap.is_empty();
        let own = self.public_ip.unwrap_or_else(|| *bind.ip());
        let private_network = bootstrap.iter().all(Entry::is_private) && (!first || is_bogon(own));
        let mut endpoint = connect::Config { lan: self.lan, ..connect::Config::default() };
        endpoint.limits.max_half_open = self.limits.half_open;
        endpoint.limits.max_servers = self.limits.servers;
        let receive_memory = self.limits.receive_memory.max(MIN_MEMORY);
        endpoint.udx.receive_memory = receive_memory;
        endpoint.udx.send_memory = self.limits.send_memory.max(MIN_MEMORY);
        endpoint.udx.stall_timeout = self.limits.stalled_for.clamp(MIN_STALL, MAX_DURATION);
        // Half a millisecond and what a timer is late by stay under the 2 ms that peers allow for.
        endpoint.udx.ack_delay = Duration::from_micros(500);
        endpoint.dht = dht::Config {
            bootstrap: bootstrap.iter().filter_map(Entry::address).collect(),
            known: self.known,
            mode: match self.mode {
                Mode::Adaptive => dht::Mode::Adaptive,
                Mode::Ephemeral => dht::Mode::Ephemeral,
                Mode::Persistent => dht::Mode::Persistent,
            },
            firewalled: self.firewalled,
            quick_firewall_check: self.quick_firewall,
            public_address: self.public_ip.map(|ip| SocketAddrV4::new(ip, 0)),
            private_network,
            keeps_announcements: self.keeps_announcements,
            announcements: self.announcements,
            // With a clock before 1970 it is 1970: no time stamp of an announcement counts then.
            unix_time: SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default(),
            ..dht::Config::default()
        };
        let seed = self.seed.unwrap_or_else(|| {
            let mut seed = [0; 32];
            rand::rngs::OsRng.fill_bytes(&mut seed);
            seed
        });
        Ok(Settings {
            bootstrap,
            bind,
            other_port: self.other_port,
            endpoint,
            seed,
            key_pair: KeyPair::generate(),
            backlog: self.limits.backlog,
            unproven: self.limits.unproven,
            unproven_for: self.limits.unproven_for.min(MAX_DURATION),
            linger_for: self.limits.linger_for.min(MAX_DURATION),
            linger_memory: self.limits.linger_memory,
            jobs: self.limits.jobs,
            decisions: self.limits.decisions,
            decide_for: self.limits.decide_for.min(MAX_DURATION),
            message: self.limits.message,
            low_latency: self.low_latency,
            datagrams: self.limits.datagrams,
            receive_memory,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_addresses_that_make_no_sense() {
        let refused = DhtBuilder::default().bind("localhost").into_settings();
        assert!(matches!(refused, Err(SpawnError::Address { given }) if given == "localhost"));
        let refused = DhtBuilder::default().bootstrap(["nowhere"]).into_settings();
        assert!(matches!(refused, Err(SpawnError::Bootstrap { given }) if given == "nowhere"));
    }

    #[test]
    fn the_public_bootstrap_nodes_read_and_make_a_public_network() {
        let settings = DhtBuilder::default().into_settings().expect("the defaults are valid");
        assert_eq!(settings.bootstrap.len(), 3);
        assert_eq!(settings.endpoint.dht.bootstrap.len(), 3);
        assert!(!settings.endpoint.dht.private_network);
    }

    #[test]
    fn loopback_or_nobody_makes_a_private_network() {
        let is_private = |nodes: &[&str]| {
            let settings = DhtBuilder::default().bootstrap(nodes.iter().copied()).into_settings();
            settings.expect("valid").endpoint.dht.private_network
        };
        for nodes in [&[][..], &["127.0.0.1:5"], &["localhost:5"], &["LocalHost:5", "10.0.0.1:5"]] {
            assert!(is_private(nodes), "{nodes:?}");
        }
        for nodes in [&["node.example:5"][..], &["localhost:5", "8.8.8.8:5"], &["8.8.8.8@localhost:5"]] {
            assert!(!is_private(nodes), "{nodes:?}");
        }
    }
}
