//! A node of the HyperDHT as the user holds it.

use std::net::SocketAddrV4;
use std::time::Duration;

use super::node::NodeHandle;
use super::{
    BootstrapError, Connect, ConnectAddress, DhtBuilder, Joined, KeptAnnouncement, Listen, NodeError,
    NodeState, NodeWatch, Overview, RequestError, ServeRelay, SpawnError, Stats,
};
use crate::dht::Outgoing;
use crate::net::{self, Command};
use crate::wire::rpc::PING;
use crate::{Identity, KeyPair};

/// A node of the HyperDHT: connects to servers by their public key and lets others connect.
///
/// Operations wait by themselves until the node has joined. Where no node answers, they fail after some
/// seconds with the `NoNetwork` of their error; only [`Listen`] waits for a network.
///
/// Clones share the node. It runs until [`Self::close`], or until the last clone is dropped, and everything
/// made by it that holds the node:
///
/// * servers, connections and a [`Relay`](super::Relay),
/// * [`Requests`](super::Requests) and each [`Request`](super::Request),
/// * [`Peers`](super::Peers) until the query is over,
/// * what is to be awaited, until it is over or dropped: [`Listen`], [`Connect`],
///   [`Lookup`](super::Lookup), [`Announce`](super::Announce) and others.
///
/// A [`NodeWatch`] does not hold it.
#[derive(Clone, Debug)]
pub struct Dht {
    node: NodeHandle,
}

/// The result of joining the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bootstrapped {
    /// Nodes that answered. 0 only in the first node of a private network.
    pub nodes: usize,
}

/// The answer of a node to [`Dht::ping`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pong {
    /// The address of this node as the other one sees it.
    pub seen_as: SocketAddrV4,
    /// Time from the latest try to the answer.
    pub round_trip: Duration,
}

impl Dht {
    /// Returns a builder with the defaults, which [`DhtBuilder::spawn`] starts.
    pub fn builder() -> DhtBuilder {
        DhtBuilder::default()
    }

    /// Waits until the node has joined the network.
    ///
    /// # Errors
    ///
    /// [`BootstrapError::NoNetwork`] if no bootstrap node answered; the node keeps trying, and a later call
    /// may succeed. [`BootstrapError::Closed`] if the node has been closed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn bootstrapped(&self) -> Result<Bootstrapped, BootstrapError> {
        let is_over = |state: &NodeState| state.closed || state.joined != Joined::Pending;
        let state = self.watch().wait_for(is_over).await.ok_or(BootstrapError::Closed)?;
        match state.joined {
            _ if state.closed => Err(BootstrapError::Closed),
            Joined::Done { nodes } => Ok(Bootstrapped { nodes }),
            Joined::Pending | Joined::Unreachable => Err(BootstrapError::NoNetwork),
        }
    }

    /// Returns the present state of the node: joined or not, its public address, its NAT.
    ///
    /// Costs no message to the node; [`Self::stats`] has counters.
    pub fn state(&self) -> NodeState {
        *self.node.started().state.borrow()
    }

    /// Returns an observer of the state, which returns each state that follows the present one:
    ///
    /// ```no_run
    /// # async fn example(dht: hyperprofile::Dht) {
    /// let mut watch = dht.watch();
    /// while let Some(state) = watch.changed().await {
    ///     println!("online: {}, NAT: {}", state.is_online(), state.nat);
    /// }
    /// # }
    /// ```
    pub fn watch(&self) -> NodeWatch {
        NodeWatch::new(self.node.started().state.clone())
    }

    /// Returns a builder that connects to a server once awaited. The server is named by its
    /// [`PublicKey`](crate::PublicKey), or by a [`ConnectAddress`], whose addresses are asked beside the
    /// lookup.
    pub fn connect(&self, server: impl Into<ConnectAddress>) -> Connect {
        Connect::new(self.node.clone(), server.into())
    }

    /// Returns a builder that serves as a blind relay under a key pair once awaited.
    pub fn relay(&self, key_pair: &KeyPair) -> ServeRelay {
        ServeRelay::new(self.node.clone(), key_pair.clone())
    }

    /// Returns a builder that listens with a [`KeyPair`] once awaited, or with a key that a
    /// [`Signer`](crate::Signer) keeps.
    pub fn listen(&self, identity: impl Into<Identity>) -> Listen {
        Listen::new(self.node.clone(), identity.into())
    }

    /// Returns the local address of the server socket: with the IP address given to [`DhtBuilder::bind`],
    /// `0.0.0.0` by default.
    pub fn local_addr(&self) -> SocketAddrV4 {
        self.node.started().local
    }

    /// Returns counters since the node was started and its present state. All zero after the node has been
    /// closed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn stats(&self) -> Stats {
        // Only a closed node does not answer.
        self.node.ask(Command::Stats).await.unwrap_or_default()
    }

    /// Returns what the node knows and holds, in detail: its routing table, how others see it, its newest
    /// connections, at most so many, its servers, and how full its bounds are. `None` after the node has been
    /// closed.
    ///
    /// For a person to look at: it takes the node some microseconds for each node of the table and each open
    /// connection. [`Self::stats`] and [`Self::state`] cost less.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn overview(&self, connections: usize) -> Option<Overview> {
        self.node.ask(|answer| Command::Overview { connections, answer }).await
    }

    /// Returns the nodes of the routing table, the one heard of last first. Given to
    /// [`DhtBuilder::known_nodes`] of a later run they lead back into the network. Empty after the node has
    /// been closed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn known_nodes(&self) -> Vec<SocketAddrV4> {
        // Only a closed node does not answer.
        self.node.ask(Command::Nodes).await.unwrap_or_default()
    }

    /// Returns the announcements of others that this node stores, if it was built with
    /// [`DhtBuilder::keep_announcements`]. Given to that of a later run at the same address they are served
    /// again. Empty after the node has been closed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn announcements(&self) -> Vec<KeptAnnouncement> {
        // Only a closed node does not answer.
        self.node.ask(Command::Announcements).await.unwrap_or_default()
    }

    /// Pings a node; returns how it sees this node and how long the answer took.
    ///
    /// # Errors
    ///
    /// [`RequestError::NoAnswer`] if it does not answer or this node is suspended,
    /// [`RequestError::TooMany`] if too many requests are under way, and [`RequestError::Closed`] if this
    /// node has been closed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future ends the tries.
    pub async fn ping(&self, node: SocketAddrV4) -> Result<Pong, RequestError> {
        let answer = self.node.request(Outgoing::internal(node, PING)).await?;
        Ok(Pong { seen_as: answer.to, round_trip: answer.rtt })
    }

    /// Stops using the network until [`Self::resume`], as a program does that goes to the background: lookups
    /// under way fail, later ones wait, servers can't be reached. Open connections stay as long as their
    /// peers keep them without an answer.
    ///
    /// # Cancel safety
    ///
    /// The node stops even if the future is dropped.
    pub async fn suspend(&self) {
        self.node.ask(Command::Suspend).await;
    }

    /// Goes on after [`Self::suspend`]: servers are announced anew at once. The node notices by itself,
    /// within a few seconds, that the host was asleep or has other addresses; it compares the time of day
    /// with the clock that timers go by.
    ///
    /// # Cancel safety
    ///
    /// The node goes on even if the future is dropped.
    pub async fn resume(&self) {
        self.node.ask(Command::Resume).await;
    }

    /// Closes the node: withdraws the announcements of its servers, ends its connections, closes its sockets.
    /// Takes at most 3 s.
    ///
    /// # Cancel safety
    ///
    /// Closing goes on when the future is dropped.
    pub async fn close(&self) {
        self.node.ask(Command::Close).await;
    }

    /// Waits until the node has ended. `Ok` if it was closed.
    ///
    /// # Errors
    ///
    /// [`NodeError::Panicked`] if a bug has ended it. All that was made by it has failed then as if it had
    /// been closed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn closed(&self) -> Result<(), NodeError> {
        let mut panic = self.node.started().panic.clone();
        match panic.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(message)) => Err(NodeError::Panicked { message: message.as_ref().into() }),
            // The driver is gone, and so is the sender.
            Ok(None) | Err(_) => Ok(()),
        }
    }

    /// Makes the driver panic.
    #[cfg(test)]
    pub(crate) fn panic(&self) {
        self.node.commands().send(Command::Panicked).expect("the node runs");
    }

    pub(super) const fn node(&self) -> &NodeHandle {
        &self.node
    }
}

impl DhtBuilder {
    /// Binds the sockets and starts the node on the current tokio runtime. The node joins the network in the
    /// background; [`Dht::bootstrapped`] waits for that.
    ///
    /// # Errors
    ///
    /// [`SpawnError`] if an address is malformed, the sockets can't be bound, or there is no tokio runtime
    /// with I/O and time enabled.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn spawn(self) -> Result<Dht, SpawnError> {
        let settings = self.into_settings()?;
        if !net::has_runtime() {
            return Err(SpawnError::NoRuntime);
        }
        let address = settings.bind;
        let key_pair = settings.key_pair.clone();
        let node = net::start(settings).map_err(|source| SpawnError::Bind { address, source })?;
        Ok(Dht { node: NodeHandle::new(node, key_pair) })
    }
}
