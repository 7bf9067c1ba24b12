//! A swarm as the user holds it.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use futures_core::Stream;
use rand::RngCore as _;
use tokio::runtime::Handle;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, oneshot};

use super::builder::SwarmBuilder;
use super::command::Command;
use super::core::{Core, Join, SessionId};
use super::driver::{Driver, Parts};
use super::info::{PeerInfo, SwarmEvent, SwarmStats};
use super::outlet::Outlet;
use crate::api::{Connection, Dht, ListenError, SpawnError};
use crate::{KeyPair, PublicKey};

/// Finds the peers of topics, and keeps connections with them.
///
/// Clones share the swarm. It runs until [`Self::close`], until its node is closed, or until the last clone
/// and the last [`Discovery`] is dropped: then it finds and accepts no more peers, and connections that the
/// user has stay. [The module](crate::swarm) has the life of a swarm, and an example.
#[derive(Clone)]
pub struct Swarm {
    inner: Arc<Inner>,
}

struct Inner {
    dht: Dht,
    public_key: PublicKey,
    commands: mpsc::UnboundedSender<Command>,
    outlet: Arc<Outlet>,
    events: broadcast::WeakSender<SwarmEvent>,
    sessions: AtomicU64,
}

impl fmt::Debug for Swarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Swarm").field("public_key", &self.inner.public_key).finish_non_exhaustive()
    }
}

/// One call of [`Swarm::join`]. A topic is joined for as long as one of its calls has not been left: dropping
/// this changes nothing.
///
/// The topic is announced if one of its calls asks for that, and looked up likewise.
#[derive(Clone, Debug)]
pub struct Discovery {
    swarm: Swarm,
    topic: [u8; 32],
    session: SessionId,
}

/// What happens in a swarm, from [`Swarm::events`].
#[derive(Debug)]
pub struct SwarmEvents {
    events: broadcast::Receiver<SwarmEvent>,
}

/// The connections of a swarm as a [`Stream`], from [`Swarm::connections`].
#[derive(Debug)]
#[must_use = "a stream yields nothing unless it is polled"]
pub struct Connections {
    outlet: Arc<Outlet>,
}

impl Swarm {
    /// Returns a builder for a swarm on a node, with the defaults.
    pub fn builder(dht: &Dht) -> SwarmBuilder {
        SwarmBuilder::new(dht)
    }

    fn new(
        dht: Dht,
        public_key: PublicKey,
        commands: mpsc::UnboundedSender<Command>,
        outlet: Arc<Outlet>,
        events: broadcast::WeakSender<SwarmEvent>,
    ) -> Self {
        let sessions = AtomicU64::new(0);
        Self { inner: Arc::new(Inner { dht, public_key, commands, outlet, events, sessions }) }
    }

    /// Returns the key under which the swarm listens and dials.
    pub fn public_key(&self) -> &PublicKey {
        &self.inner.public_key
    }

    /// Returns the node of the swarm.
    pub fn dht(&self) -> &Dht {
        &self.inner.dht
    }

    /// Joins a topic: announces the swarm's key, looks for peers, or both, at once and every ten to twelve
    /// minutes. Does nothing once the swarm is closed.
    pub fn join(&self, topic: [u8; 32], join: Join) -> Discovery {
        let session = SessionId(self.inner.sessions.fetch_add(1, Ordering::Relaxed));
        self.send(Command::Join { topic, session, join });
        Discovery { swarm: self.clone(), topic, session }
    }

    /// Leaves a topic, however often it was joined, and waits until its announcement is withdrawn, which
    /// takes at most a few seconds. Connections stay; peers that were found under this topic alone are not
    /// dialled any more.
    ///
    /// # Cancel safety
    ///
    /// The topic is left even if the future is dropped.
    pub async fn leave(&self, topic: [u8; 32]) {
        self.ask(|answer| Command::Leave { topic, answer }).await;
    }

    /// Connects to a peer by its key, and again when the connection ends. Neither
    /// [`max_peers`](super::SwarmBuilder::max_peers) nor the number of failures keeps it from being dialled:
    /// after three, it is every ten minutes. The own key is ignored.
    pub fn join_peer(&self, peer: &PublicKey) {
        self.send(Command::JoinPeer(*peer));
    }

    /// Ends [`Self::join_peer`]. A connection stays.
    pub fn leave_peer(&self, peer: &PublicKey) {
        self.send(Command::LeavePeer(*peer));
    }

    /// Keeps a peer away: it is not dialled, a dial under way is given up, and it is refused when it dials.
    /// An open connection with it stays.
    pub fn ban(&self, peer: &PublicKey) {
        self.send(Command::Ban(*peer, true));
    }

    /// Ends [`Self::ban`]. A peer that is explicit, or was found under a topic meanwhile, is dialled.
    pub fn unban(&self, peer: &PublicKey) {
        self.send(Command::Ban(*peer, false));
    }

    /// Sets whether a peer is dialled again when a connection that this side has dialled ends. The default is
    /// `true`, which has a peer dialled that has lost its connection. A lookup that finds the peer has it
    /// dialled in any case.
    pub fn set_reconnect(&self, peer: &PublicKey, reconnects: bool) {
        self.send(Command::SetReconnect(*peer, reconnects));
    }

    /// Listens, so that peers which know the swarm's key can connect, and waits until the key is announced.
    /// Joining a topic as a server does so by itself.
    ///
    /// # Errors
    ///
    /// [`ListenError`]: the node has a server with this key, has too many servers, or the swarm is closed.
    ///
    /// # Cancel safety
    ///
    /// The swarm listens even if the future is dropped.
    pub async fn listen(&self) -> Result<(), ListenError> {
        self.ask(Command::Listen).await.unwrap_or(Err(ListenError::Closed))
    }

    /// Waits for the next connection, dialled by either side. `None` once the swarm has ended.
    ///
    /// Its peer has proven its key. A client in JavaScript that waits for the server to speak proves it by
    /// its keep-alive after 5 s, and is returned then.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no connection is lost. Several tasks may wait at once.
    pub async fn next(&self) -> Option<(Connection, PeerInfo)> {
        poll_fn(|cx| self.inner.outlet.poll_next(cx)).await
    }

    /// Returns the same as a stream.
    pub fn connections(&self) -> Connections {
        Connections { outlet: Arc::clone(&self.inner.outlet) }
    }

    /// Waits until the refreshes of topics that are under way are over, and each peer that waits then has
    /// been dialled once, or as many connections are open as may be.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn flush(&self) {
        self.ask(Command::Flush).await;
    }

    /// Returns what is known of a peer; `None` if that is nothing.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn peer(&self, peer: &PublicKey) -> Option<PeerInfo> {
        self.ask(|answer| Command::Peer(*peer, answer)).await?
    }

    /// Returns all peers that are known, in the order of their keys.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn peers(&self) -> Vec<PeerInfo> {
        self.ask(Command::Peers).await.unwrap_or_default()
    }

    /// Returns the topics that are joined, in the order of their bytes.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn topics(&self) -> Vec<[u8; 32]> {
        self.ask(Command::Topics).await.unwrap_or_default()
    }

    /// Returns counters, all zero once the swarm is closed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn stats(&self) -> SwarmStats {
        self.ask(Command::Stats).await.unwrap_or_default()
    }

    /// Returns what happens from now on.
    pub fn events(&self) -> SwarmEvents {
        let events = self.inner.events.upgrade().map(|events| events.subscribe());
        // A swarm that has ended has a channel without a sender.
        SwarmEvents { events: events.unwrap_or_else(|| broadcast::channel(1).1) }
    }

    /// Ends all connections, withdraws what is announced, and neither dials nor accepts, until
    /// [`Self::resume`]. Topics and explicit peers are kept. The node goes on: see
    /// [`Dht::suspend`](crate::Dht::suspend), which is to follow if it is to rest as well.
    ///
    /// # Cancel safety
    ///
    /// The swarm is suspended even if the future is dropped.
    pub async fn suspend(&self) {
        self.ask(Command::Suspend).await;
    }

    /// Goes on after [`Self::suspend`], and waits until the swarm listens again, if it did.
    ///
    /// # Cancel safety
    ///
    /// The swarm goes on even if the future is dropped.
    pub async fn resume(&self) {
        self.ask(Command::Resume).await;
    }

    /// Ends all connections, and waits until what is announced is withdrawn, which takes at most a few
    /// seconds. The node goes on.
    ///
    /// # Cancel safety
    ///
    /// Closing goes on when the future is dropped.
    pub async fn close(&self) {
        self.ask(Command::Close).await;
    }

    fn send(&self, command: Command) {
        // A swarm that has ended does nothing more.
        let _ = self.inner.commands.send(command);
    }

    /// Sends a command and waits for its answer; `None` once the swarm has ended.
    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.inner.commands.send(command(answer)).ok()?;
        answered.await.ok()
    }
}

impl Discovery {
    /// Returns the topic.
    pub const fn topic(&self) -> &[u8; 32] {
        &self.topic
    }

    /// Changes how this call joins the topic, which refreshes it. Does nothing once the call or the topic was
    /// left.
    pub fn change(&self, join: Join) {
        let (topic, session) = (self.topic, self.session);
        self.swarm.send(Command::Change { topic, session, join });
    }

    /// Announces and looks up now, and waits until that is done. A refresh that is under way counts. Returns
    /// whether it has succeeded: a node has answered, and one has taken the announcement.
    ///
    /// # Cancel safety
    ///
    /// The topic is refreshed even if the future is dropped.
    pub async fn refresh(&self) -> bool {
        let topic = self.topic;
        self.swarm.ask(|answer| Command::Refresh { topic, answer }).await.unwrap_or(false)
    }

    /// Waits until no refresh is under way: after [`Swarm::join`], until the topic is announced and has been
    /// looked up. Returns whether the last refresh has succeeded, as [`Self::refresh`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn flushed(&self) -> bool {
        let topic = self.topic;
        self.swarm.ask(|answer| Command::AwaitRefresh { topic, answer }).await.unwrap_or(false)
    }

    /// Takes this call back, and waits until the announcement is withdrawn if no other call needs it.
    ///
    /// # Cancel safety
    ///
    /// The call is taken back even if the future is dropped.
    pub async fn leave(self) {
        let (topic, session) = (self.topic, self.session);
        self.swarm.ask(|answer| Command::LeaveSession { topic, session, answer }).await;
    }
}

impl SwarmEvents {
    /// Waits for the next event; `None` once the swarm has ended. Who takes them too slowly misses the
    /// oldest: 256 wait.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no event is lost.
    pub async fn next(&mut self) -> Option<SwarmEvent> {
        loop {
            match self.events.recv().await {
                Ok(event) => return Some(event),
                // Those that are missing were too many to wait.
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

impl Stream for Connections {
    type Item = (Connection, PeerInfo);

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.outlet.poll_next(cx)
    }
}

impl SwarmBuilder {
    /// Starts the swarm on the current tokio runtime. It joins no topic yet, and does not listen.
    ///
    /// # Errors
    ///
    /// [`SpawnError::NoRuntime`] if there is no tokio runtime.
    pub fn spawn(self) -> Result<Swarm, SpawnError> {
        let runtime = Handle::try_current().map_err(|_| SpawnError::NoRuntime)?;
        let key_pair = self.key_pair.unwrap_or_else(KeyPair::generate);
        let public_key = *key_pair.public_key();
        let seed = self.seed.unwrap_or_else(|| {
            let mut seed = [0; 32];
            rand::rngs::OsRng.fill_bytes(&mut seed);
            seed
        });
        let (commands, received) = mpsc::unbounded_channel();
        let (events, _) = broadcast::channel(EVENTS);
        let outlet = Arc::new(Outlet::default());
        let weak = events.downgrade();
        let parts = Parts {
            dht: self.dht.clone(),
            core: Core::new(public_key, self.settings, seed),
            key_pair,
            commands: received,
            outlet: Arc::clone(&outlet),
            events,
            allow: self.allow,
            relay: self.relay,
        };
        runtime.spawn(Driver::new(parts).run());
        Ok(Swarm::new(self.dht, public_key, commands, outlet, weak))
    }
}

/// Events that wait for a slow observer.
const EVENTS: usize = 256;
