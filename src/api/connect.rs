//! The builder of a connection.

use std::future::{Future, IntoFuture};
use std::net::SocketAddrV4;
use std::pin::Pin;
use std::time::Duration;

use super::config::MAX_DURATION;
use super::{ConnectError, Connection, Dht};
use crate::connect::Dial;
use crate::net::Command;
use crate::{KeyPair, PublicKey};

/// Connects to a server once awaited. Dropping it, or the future made from it, gives the attempt up.
#[derive(Debug)]
#[must_use = "nothing happens until this is awaited"]
pub struct Connect {
    dht: Dht,
    server: PublicKey,
    key_pair: Option<KeyPair>,
    addresses: Vec<SocketAddrV4>,
    only_addresses: bool,
    relay_through: Option<PublicKey>,
    reusable_socket: bool,
    timeout: Duration,
}

impl Connect {
    pub(crate) fn new(dht: Dht, server: PublicKey) -> Self {
        Self {
            dht,
            server,
            key_pair: None,
            addresses: Vec::new(),
            only_addresses: false,
            relay_through: None,
            reusable_socket: false,
            timeout: Duration::from_secs(30),
        }
    }

    /// Chooses our identity towards the server. The default is one that the node made up when it was spawned.
    pub fn key_pair(mut self, key_pair: &KeyPair) -> Self {
        self.key_pair = Some(key_pair.clone());
        self
    }

    /// Names DHT nodes that probably know the server, as a connect address does; they are tried beside the
    /// lookup.
    pub fn addresses(mut self, nodes: impl IntoIterator<Item = SocketAddrV4>) -> Self {
        self.addresses.extend(nodes);
        self
    }

    /// Asks the nodes given to [`Self::addresses`] and nobody else: the DHT plays no part. One of them is the
    /// server itself, or knows it. The server still proves its key.
    pub fn only_addresses(mut self) -> Self {
        self.only_addresses = true;
        self
    }

    /// Names a blind relay through which packets may travel until a direct path is found; it can't read them.
    /// One that the server names goes first.
    pub fn relay_through(mut self, relay: &PublicKey) -> Self {
        self.relay_through = Some(*relay);
        self
    }

    /// Lets this connection take the way of an earlier one to the same server, and a later one the way of
    /// this: the server is asked right where it was, without lookup and punch, and if it does not answer
    /// there at once, everything else is tried.
    ///
    /// Both connections have to be set so, and the server as well
    /// ([`Listen::reusable_socket`](super::Listen::reusable_socket), or `reusableSocket` in JavaScript). The
    /// way lasts while a connection runs on it and for some 20 s more, 3 s if the other side is in
    /// JavaScript.
    pub fn reusable_socket(mut self) -> Self {
        self.reusable_socket = true;
        self
    }

    /// Limits how long the whole attempt may take, to a day at most. The default is 30 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.min(MAX_DURATION);
        self
    }

    async fn run(self) -> Result<Connection, ConnectError> {
        let key_pair = self
            .key_pair
            .unwrap_or_else(|| self.dht.default_key_pair().clone());
        let dial = Box::new(Dial {
            remote: self.server,
            key_pair,
            nodes: self.addresses,
            only_nodes: self.only_addresses,
            relay_through: self.relay_through,
            reusable_socket: self.reusable_socket,
            timeout: self.timeout,
        });
        let outcome = self
            .dht
            .ask(|token, answer| Command::Connect { token, dial, answer })
            .await;
        match outcome {
            Some(Ok(handle)) => Ok(Connection::new(handle)),
            Some(Err((failure, report))) => Err(ConnectError::new(&self.server, failure, report)),
            None => Err(ConnectError::Closed),
        }
    }
}

impl IntoFuture for Connect {
    type Output = Result<Connection, ConnectError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
