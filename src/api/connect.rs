//! The builder of a connection.

use std::future::{Future, IntoFuture};
use std::net::SocketAddrV4;
use std::pin::Pin;
use std::time::Duration;

use super::config::MAX_DURATION;
use super::node::NodeHandle;
use super::{ConnectAddress, ConnectError, Connection};
use crate::connect::Dial;
use crate::net::Command;
use crate::udx::StreamOptions;
use crate::{Identity, PublicKey};

/// Connects to a server once awaited, from [`Dht::connect`](super::Dht::connect).
///
/// # Errors
///
/// [`ConnectError`]: the server is not announced, does not answer, refuses, or no path to it carries packets;
/// most variants hold a [`Report`](super::Report) of what was tried.
///
/// # Cancel safety
///
/// Dropping it, or the future made from it, ends the attempt.
#[derive(Debug)]
#[must_use = "nothing happens until this is awaited"]
pub struct Connect {
    node: NodeHandle,
    server: PublicKey,
    identity: Option<Identity>,
    addresses: Vec<SocketAddrV4>,
    only_addresses: bool,
    relay_through: Option<PublicKey>,
    reusable_socket: bool,
    lan: Option<bool>,
    stream_options: StreamOptions,
    timeout: Duration,
}

impl Connect {
    pub(super) fn new(node: NodeHandle, address: ConnectAddress) -> Self {
        let (server, addresses) = address.into_parts();
        Self {
            node,
            server,
            identity: None,
            addresses,
            only_addresses: false,
            relay_through: None,
            reusable_socket: false,
            lan: None,
            stream_options: StreamOptions::default(),
            timeout: Duration::from_secs(30),
        }
    }

    /// Sets the identity that the server sees: a [`KeyPair`](crate::KeyPair), or a [`Signer`](crate::Signer).
    /// The default is a key pair that the node generated when it was spawned.
    pub fn key_pair(mut self, identity: impl Into<Identity>) -> Self {
        self.identity = Some(identity.into());
        self
    }

    /// Adds DHT nodes that probably know the server; they are asked beside the lookup.
    pub fn addresses(mut self, nodes: impl IntoIterator<Item = SocketAddrV4>) -> Self {
        self.addresses.extend(nodes);
        self
    }

    /// Asks only the nodes given to [`Self::addresses`], without a lookup in the DHT. One of them must be the
    /// server itself, or know it. The server still proves its key.
    pub fn only_addresses(mut self) -> Self {
        self.only_addresses = true;
        self
    }

    /// Sets a blind relay that may carry packets until a direct path is found; it can't read them. A relay
    /// that the server names takes precedence.
    pub fn relay_through(mut self, relay: &PublicKey) -> Self {
        self.relay_through = Some(*relay);
        self
    }

    /// Lets this connection reuse the path of an earlier one to the same server, and a later one the path of
    /// this: the handshake goes straight to the earlier address, without lookup and holepunch. If the server
    /// does not answer there at once, everything else is tried.
    ///
    /// Both connections must have this set, and the server as well
    /// ([`Listen::reusable_socket`](super::Listen::reusable_socket), or `reusableSocket` in JavaScript). The
    /// path lasts while a connection uses it and for some 20 s more, 3 s if the other side is in JavaScript.
    pub fn reusable_socket(mut self) -> Self {
        self.reusable_socket = true;
        self
    }

    /// Sets whether the server learns this node's addresses in its local network, and whether its own are
    /// tried. The default is what [`DhtBuilder::lan`](super::DhtBuilder::lan) was given.
    pub fn lan(mut self, lan: bool) -> Self {
        self.lan = Some(lan);
        self
    }

    /// Limits how many received bytes of this connection wait for its reader in the stream; up to 256 KiB
    /// more wait outside of it. The peer sends no more, so at most so many bytes come in a round trip. The
    /// default is 4 MiB, and up to 64 MiB while the reader takes so many in a round trip, or they wait for a
    /// lost packet; the minimum 4 KiB.
    pub fn receive_window(mut self, bytes: u32) -> Self {
        self.stream_options.set_receive_window(bytes);
        self
    }

    /// Sets after what time without own data the peer is asked for a sign of life; `None` is never. The
    /// default is 5 s, which also keeps the mappings of routers; the minimum is 100 ms, the maximum a day.
    ///
    /// Without it, and without data to send, a peer that has vanished is never noticed.
    pub fn keep_alive(mut self, interval: Option<Duration>) -> Self {
        self.stream_options.set_keep_alive(interval);
        self
    }

    /// Sets how long nothing may come from the peer while it has something to answer: data, or the question
    /// of the keep-alive. Then the connection ends with
    /// [`StreamError::TimedOut`](super::StreamError::TimedOut). The default is 20 s, the minimum a second,
    /// the maximum a day.
    ///
    /// A longer time lets the connection outlive an interrupted network. Both sides need it: the peer has a
    /// time-out of its own. One in JavaScript never gives up an idle stream, and one with data under way
    /// after 13 time-outs of the path, which are 13 s on short paths.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.stream_options.set_idle_timeout(timeout);
        self
    }

    /// Limits how long the whole attempt may take. The default is 30 s, the maximum a day.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.min(MAX_DURATION);
        self
    }

    async fn run(self) -> Result<Connection, ConnectError> {
        let identity = self.identity.unwrap_or_else(|| self.node.default_key_pair().into());
        let dial = Box::new(Dial {
            remote: self.server,
            identity,
            nodes: self.addresses,
            only_nodes: self.only_addresses,
            relay_through: self.relay_through,
            reusable_socket: self.reusable_socket,
            lan: self.lan,
            stream_options: self.stream_options,
            timeout: self.timeout,
        });
        let outcome = self.node.run(|token, answer| Command::Connect { token, dial, answer }).await;
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
