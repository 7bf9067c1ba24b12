//! A node of the HyperDHT as the user holds it.

use std::net::SocketAddrV4;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::{
    BootstrapError, Connect, DhtBuilder, KeptAnnouncement, Listen, QueryError, ServeRelay, SpawnError, Stats,
};
use crate::net::{self, BootstrapState, Command, Started, Token};
use crate::{KeyPair, PublicKey};

/// A node of the HyperDHT: connects to servers by their public key and lets others connect.
///
/// Clones share the node. It runs until [`Self::close`], or until the last clone and everything made by it
/// (servers, connections) are dropped.
#[derive(Clone, Debug)]
pub struct Dht {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    node: Started,
    key_pair: KeyPair,
    next_token: AtomicU64,
}

/// The end of bootstrapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bootstrapped {
    /// Nodes that answered. 0 only in the first node of a network of its own.
    pub nodes: usize,
}

/// The answer of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pong {
    /// Our address as the node sees it.
    pub seen_as: SocketAddrV4,
    /// How long the answer took.
    pub round_trip: Duration,
}

impl Dht {
    /// Starts to set up a node.
    pub fn builder() -> DhtBuilder {
        DhtBuilder::default()
    }

    pub(crate) fn spawn(builder: DhtBuilder) -> Result<Self, SpawnError> {
        let settings = builder.into_settings()?;
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(SpawnError::NoRuntime);
        }
        let address = settings.bind;
        let key_pair = settings.key_pair.clone();
        let node = net::start(settings).map_err(|source| SpawnError::Bind { address, source })?;
        Ok(Self {
            inner: Arc::new(Inner {
                node,
                key_pair,
                next_token: AtomicU64::new(0),
            }),
        })
    }

    /// Waits until the node has joined the network.
    ///
    /// # Errors
    ///
    /// [`BootstrapError::NoNetwork`] if no bootstrap node answered; the node keeps trying, and a later call
    /// may succeed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn bootstrapped(&self) -> Result<Bootstrapped, BootstrapError> {
        let mut state = self.inner.node.bootstrap.clone();
        let state = state
            .wait_for(|state| *state != BootstrapState::Joining)
            .await
            .map_err(|_| BootstrapError::Closed)?;
        match *state {
            BootstrapState::Joined(nodes) => Ok(Bootstrapped { nodes }),
            BootstrapState::Joining | BootstrapState::Unreachable => Err(BootstrapError::NoNetwork),
        }
    }

    /// Starts to connect to a server; await the result.
    pub fn connect(&self, server: &PublicKey) -> Connect {
        Connect::new(self.clone(), *server)
    }

    /// Starts to serve as a blind relay with a key pair; await the result.
    pub fn relay(&self, key_pair: &KeyPair) -> ServeRelay {
        ServeRelay::new(self.clone(), key_pair.clone())
    }

    /// Starts to listen with a key pair; await the result.
    pub fn listen(&self, key_pair: &KeyPair) -> Listen {
        Listen::new(self.clone(), key_pair.clone())
    }

    /// Returns the local address of the server socket.
    pub fn local_addr(&self) -> SocketAddrV4 {
        self.inner.node.local
    }

    /// Returns counters and the present state. Zeros after the node has been closed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn stats(&self) -> Stats {
        let (answer, stats) = oneshot::channel();
        // A closed node drops the sender of the answer.
        let _ = self.commands().send(Command::Stats(answer));
        stats.await.map(Stats::from).unwrap_or_default()
    }

    /// Returns the nodes of the routing table, the one heard of last first. Given to
    /// [`DhtBuilder::known_nodes`] of a later run they lead back into the network. Empty after the node has
    /// been closed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn known_nodes(&self) -> Vec<SocketAddrV4> {
        let (answer, nodes) = oneshot::channel();
        // A closed node drops the sender of the answer.
        let _ = self.commands().send(Command::Nodes(answer));
        nodes.await.unwrap_or_default()
    }

    /// Returns the announcements of others that this node gives out, if it was told to keep them. Given to
    /// [`DhtBuilder::keep_announcements`] of a later run at the same address they are given out again. Empty
    /// after the node has been closed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn announcements(&self) -> Vec<KeptAnnouncement> {
        let (answer, announcements) = oneshot::channel();
        // A closed node drops the sender of the answer.
        let _ = self.commands().send(Command::Announcements(answer));
        announcements.await.unwrap_or_default()
    }

    /// Asks a node whether it is there, and how it sees us.
    ///
    /// # Errors
    ///
    /// [`QueryError::NoNetwork`] if it does not answer, [`QueryError::Closed`] if our node has been closed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn ping(&self, node: SocketAddrV4) -> Result<Pong, QueryError> {
        let (answer, pong) = oneshot::channel();
        // A closed node drops the sender of the answer.
        let _ = self.commands().send(Command::Ping { node, answer });
        let pong = pong.await.map_err(|_| QueryError::Closed)?;
        let (seen_as, round_trip) = pong.ok_or(QueryError::NoNetwork)?;
        Ok(Pong { seen_as, round_trip })
    }

    /// Stops using the network until [`Self::resume`], as a program does that goes to the background: lookups
    /// under way fail, later ones wait, servers can't be reached. Connections that are open stay, as far as
    /// their peers' patience goes.
    ///
    /// # Cancel safety
    ///
    /// The node stops though the future is dropped.
    pub async fn suspend(&self) {
        let (answer, suspended) = oneshot::channel();
        // A closed node drops the sender of the answer.
        let _ = self.commands().send(Command::Suspend(answer));
        let _ = suspended.await;
    }

    /// Goes on after [`Self::suspend`], or after the host was asleep: servers are announced anew at once.
    /// Changes of the host's addresses are noticed without it.
    ///
    /// # Cancel safety
    ///
    /// The node goes on though the future is dropped.
    pub async fn resume(&self) {
        let (answer, resumed) = oneshot::channel();
        // A closed node drops the sender of the answer.
        let _ = self.commands().send(Command::Resume(answer));
        let _ = resumed.await;
    }

    /// Ends the node: withdraws the announcements of its servers, ends its connections, closes its sockets.
    /// Takes at most a few seconds.
    ///
    /// # Cancel safety
    ///
    /// Closing goes on when the future is dropped.
    pub async fn close(&self) {
        let (answer, closed) = oneshot::channel();
        // A closed node drops the sender of the answer.
        let _ = self.commands().send(Command::Close(answer));
        let _ = closed.await;
    }

    /// Returns the identity for connections that name none.
    pub(super) fn default_key_pair(&self) -> &KeyPair {
        &self.inner.key_pair
    }

    pub(super) fn commands(&self) -> &mpsc::UnboundedSender<Command> {
        &self.inner.node.commands
    }

    /// Sends a command and waits for its answer; `None` once the node has been closed. Dropping the future
    /// gives the command up.
    pub(super) async fn ask<T>(
        &self,
        command: impl FnOnce(Token, oneshot::Sender<T>) -> Command,
    ) -> Option<T> {
        let token = Token(self.inner.next_token.fetch_add(1, Ordering::Relaxed));
        let (answer, answered) = oneshot::channel();
        self.commands().send(command(token, answer)).ok()?;
        let mut guard = GiveUp {
            dht: self,
            token: Some(token),
        };
        let answer = answered.await.ok();
        guard.token = None;
        answer
    }
}

/// Tells the driver that nobody waits any more.
struct GiveUp<'a> {
    dht: &'a Dht,
    token: Option<Token>,
}

impl Drop for GiveUp<'_> {
    fn drop(&mut self) {
        if let Some(token) = self.token {
            // Without a driver there is nothing to give up.
            let _ = self.dht.commands().send(Command::GiveUp(token));
        }
    }
}
