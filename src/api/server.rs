//! A listening server.

use std::future::{Future, IntoFuture};
use std::net::SocketAddrV4;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::node::NodeHandle;
use super::{ConnectAddress, Connection, ListenError};
use crate::connect::{
    self, AllowHook, Applicant, PunchHook, PunchRequest, ServerAddress, ServerId, ServerState,
};
use crate::net::{Command, Order, ServerHandle};
use crate::udx::StreamOptions;
use crate::{Identity, PublicKey};

/// Listens once awaited, from [`Dht::listen`](super::Dht::listen): when it returns, the server is announced
/// and reachable.
///
/// Without a network it waits until there is one. To fail instead, await
/// [`Dht::bootstrapped`](super::Dht::bootstrapped) first, or limit the time. Another node may listen with the
/// same key: clients reach either.
///
/// # Errors
///
/// [`ListenError`]: the node has a server with this key, has too many servers, or has been closed.
///
/// # Cancel safety
///
/// Dropping it, or the future made from it, stops listening.
#[must_use = "nothing happens until this is awaited"]
pub struct Listen {
    node: NodeHandle,
    identity: Identity,
    allow: Option<AllowHook>,
    allow_punch: Option<PunchHook>,
    relay_through: Option<PublicKey>,
    reusable_socket: bool,
    lan: Option<bool>,
    stream_options: StreamOptions,
}

impl std::fmt::Debug for Listen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listen").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl Listen {
    pub(super) fn new(node: NodeHandle, identity: Identity) -> Self {
        Self {
            node,
            identity,
            allow: None,
            allow_punch: None,
            relay_through: None,
            reusable_socket: false,
            lan: None,
            stream_options: StreamOptions::default(),
        }
    }

    /// Decides which clients may connect: `true` admits, `false` refuses without an answer. By default all
    /// are admitted.
    ///
    /// It is asked once for each handshake, before anything is answered, on a task of the runtime. Nothing of
    /// an [`Applicant`] is proven: use its key to refuse, never to count or to store. A refusal is what a
    /// panic counts as, and what takes longer than [`Limits::decide_for`](super::Limits::decide_for); at most
    /// [`Limits::decisions`](super::Limits::decisions) are under way. The function itself must not block;
    /// what it returns may wait.
    ///
    /// [`Connection::proven`] returns the key that was admitted, or an error, so a list that was asked here
    /// need not be asked again. An open connection stays when its key leaves the list. A refused client gets
    /// [`ConnectError::NoAnswer`](super::ConnectError::NoAnswer) after about ten seconds: it takes the server
    /// for one that has died, and asks for another one with its key.
    ///
    /// In JavaScript the option `firewall` has the opposite sense: `true` refuses there.
    ///
    /// ```no_run
    /// # async fn example(dht: hyperprofile::Dht, key_pair: hyperprofile::KeyPair) {
    /// # async fn is_member(key: hyperprofile::PublicKey) -> bool { true }
    /// let listen = dht.listen(&key_pair).allow(|client| async move { is_member(client.claimed_key).await });
    /// # let _ = listen.await;
    /// # }
    /// ```
    pub fn allow<F, D>(mut self, admits: F) -> Self
    where
        F: Fn(Applicant) -> D + Send + Sync + 'static,
        D: Future<Output = bool> + Send + 'static,
    {
        self.allow = Some(Arc::new(move |client| Box::pin(admits(client))));
        self
    }

    /// Decides on each punch: `true` lets it begin, `false` ends it, so that the client has to reach the
    /// server another way or fails with [`ConnectError::Unreachable`](super::ConnectError::Unreachable). By
    /// default all begin.
    ///
    /// It is asked once for a client that [`Self::allow`] has admitted, that has no direct path yet and
    /// begins to punch, and under the same bounds. Until it has decided, the server sends the client no
    /// probe, which costs a round trip. The option `holepunch` of a server in JavaScript has the same sense.
    pub fn allow_punch<F, D>(mut self, allows: F) -> Self
    where
        F: Fn(PunchRequest) -> D + Send + Sync + 'static,
        D: Future<Output = bool> + Send + 'static,
    {
        self.allow_punch = Some(Arc::new(move |punch| Box::pin(allows(punch))));
        self
    }

    /// Sets a blind relay through which clients may reach the server until a direct path is found; it can't
    /// read the packets.
    pub fn relay_through(mut self, relay: &PublicKey) -> Self {
        self.relay_through = Some(*relay);
        self
    }

    /// Lets a client that has the same set ([`Connect::reusable_socket`](super::Connect::reusable_socket))
    /// reuse the path of its last connection, without lookup and holepunch.
    pub fn reusable_socket(mut self) -> Self {
        self.reusable_socket = true;
        self
    }

    /// Sets whether clients learn the server's addresses in its local network, so that those in the same one
    /// may connect by them. Each client that is admitted learns them. The default is what
    /// [`DhtBuilder::lan`](super::DhtBuilder::lan) was given.
    pub fn lan(mut self, lan: bool) -> Self {
        self.lan = Some(lan);
        self
    }

    /// Limits how many received bytes of each connection wait for its reader, as
    /// [`Connect::receive_window`](super::Connect::receive_window).
    pub fn receive_window(mut self, bytes: u32) -> Self {
        self.stream_options.set_receive_window(bytes);
        self
    }

    /// Sets after what time without own data a client is asked for a sign of life, as
    /// [`Connect::keep_alive`](super::Connect::keep_alive). The default is 5 s.
    pub fn keep_alive(mut self, interval: Option<Duration>) -> Self {
        self.stream_options.set_keep_alive(interval);
        self
    }

    /// Sets how long nothing may come from a client that has something to answer, as
    /// [`Connect::idle_timeout`](super::Connect::idle_timeout). The default is 20 s.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.stream_options.set_idle_timeout(timeout);
        self
    }

    async fn run(self) -> Result<Server, ListenError> {
        let listen = Box::new(connect::Listen {
            identity: self.identity,
            allow: self.allow,
            allow_punch: self.allow_punch,
            relay_through: self.relay_through,
            reusable_socket: self.reusable_socket,
            lan: self.lan,
            stream_options: self.stream_options,
        });
        let outcome = self.node.run(|token, answer| Command::Listen { token, listen, answer }).await;
        match outcome {
            Some(Ok(handle)) => Ok(Server { handle }),
            Some(Err(connect::ListenError::KeyInUse)) => Err(ListenError::KeyInUse),
            Some(Err(connect::ListenError::TooMany)) => Err(ListenError::TooMany),
            None => Err(ListenError::Closed),
        }
    }
}

impl IntoFuture for Listen {
    type Output = Result<Server, ListenError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// A server that clients connect to by its public key. Dropping it stops listening; its connections stay.
#[derive(Debug)]
pub struct Server {
    handle: ServerHandle,
}

impl Server {
    /// Returns the key that clients connect to.
    pub fn public_key(&self) -> &PublicKey {
        &self.handle.public_key
    }

    /// Waits for the next connection. `None` once the server or its node has been closed, and only then.
    ///
    /// The peer's key is [claimed](Connection::claimed_key), not proven, when this returns, and a client in
    /// JavaScript that does not speak first leaves it so: [`Connection::proven`]. Connections wait
    /// to be accepted in a backlog of [`Limits::backlog`](super::Limits::backlog); when it is full, the
    /// newest from the busiest source is refused.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no connection is lost. Several tasks may accept at once.
    pub async fn accept(&self) -> Option<Connection> {
        let handle = self.handle.connections.next().await?;
        Some(Connection::new(handle))
    }

    /// Returns where clients find the server now: its own address first where every host can reach it, then
    /// the DHT nodes that have its announcement, three to about ten of them, the quickest to answer first.
    /// Given to [`Connect::addresses`](super::Connect::addresses), or to `relayAddresses` in JavaScript, they
    /// are asked beside the lookup. Empty once the server or its node has been closed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn relay_addresses(&self) -> Vec<SocketAddrV4> {
        self.state().await.relay_addresses
    }

    /// Returns the IPv4 address at which the nodes of the DHT see the server, with the port that its socket
    /// has on this host: a router may show another one outside. `None` while too few nodes have been heard or
    /// they see different IPv4 addresses, and once the server or its node has been closed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn address(&self) -> Option<ServerAddress> {
        self.state().await.address
    }

    /// Returns the key with the first of [`Self::relay_addresses`], to be handed to clients as a value or as
    /// text: with it they need neither bootstrap nodes nor a lookup for as long as one of these nodes has the
    /// announcement. Once the server has been closed, it is the key alone.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn connect_address(&self) -> ConnectAddress {
        let mut address = ConnectAddress::from(self.public_key());
        for node in self.relay_addresses().await {
            // What has no place there is left out.
            let _ = address.add(node);
        }
        address
    }

    /// Announces the server anew, on the nodes that are closest to its key now, and waits until that is done;
    /// without a network it waits until there is one. An announcement that is under way counts. Servers do so
    /// by themselves when nodes are lost or the network changes. Returns at once where the server is
    /// [suspended](Self::suspend), or it or its node has been closed.
    ///
    /// # Cancel safety
    ///
    /// The server is announced even if the future is dropped.
    pub async fn refresh(&self) {
        self.order(Order::Refresh).await;
    }

    /// Takes no new clients until [`Self::resume`], and waits until the announcements are withdrawn, which
    /// takes at most a few seconds: clients that look for the server get
    /// [`ConnectError::NotFound`](super::ConnectError::NotFound). Connections stay, and those that wait to be
    /// accepted as well; clients in the middle of connecting fail. The key stays taken.
    ///
    /// A node that is [suspended](super::Dht::suspend) withdraws nothing, and this returns at once: the
    /// announcements expire after about 20 minutes, and clients that find one get no answer until then.
    ///
    /// # Cancel safety
    ///
    /// The server is suspended even if the future is dropped.
    pub async fn suspend(&self) {
        self.order(Order::Suspend).await;
    }

    /// Takes clients again after [`Self::suspend`], and waits until the server is announced, as when it began
    /// to listen. Returns at once where it is not suspended, or it or its node has been closed.
    ///
    /// # Cancel safety
    ///
    /// The server goes on even if the future is dropped.
    pub async fn resume(&self) {
        self.order(Order::Resume).await;
    }

    /// Stops listening and waits until the announcements are withdrawn. Connections stay. Takes at most
    /// a few seconds. Where the node is suspended, the announcements expire as with [`Self::suspend`].
    ///
    /// # Cancel safety
    ///
    /// Closing goes on when the future is dropped.
    pub async fn close(&self) {
        self.ask(|server, answer| Command::Unlisten { server, answer: Some(answer) }).await;
    }

    async fn order(&self, order: Order) {
        self.ask(|server, answer| Command::Order { server, order, answer }).await;
    }

    async fn state(&self) -> ServerState {
        // A closed server is found nowhere.
        self.ask(|server, answer| Command::ServerState { server, answer }).await.unwrap_or_default()
    }

    /// Sends a command and waits for its answer; `None` once the server or its node has been closed.
    async fn ask<T>(&self, command: impl FnOnce(ServerId, oneshot::Sender<T>) -> Command) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.handle.node.send(command(self.handle.server, answer)).ok()?;
        answered.await.ok()
    }
}
