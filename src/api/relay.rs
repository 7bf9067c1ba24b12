//! A blind relay: forwards packets between peers that have no direct path, and can read none of them.

use std::collections::{HashMap, VecDeque};
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tracing::debug;

use super::node::NodeHandle;
use super::{Connection, Listen, ListenError, Server};
use crate::connect::relay::{RelayAction, RelayLimits, RelayService, SessionId};
use crate::net::Command;
use crate::slots::{Slots, Source};
use crate::udx::StreamId;
use crate::wire::rpc::Token;
use crate::{KeyPair, PublicKey};

/// Serves as a blind relay once awaited, from [`Dht::relay`](super::Dht::relay): when it returns, the relay
/// is announced and reachable.
///
/// # Errors
///
/// As [`Listen`].
///
/// # Cancel safety
///
/// Dropping it, or the future made from it, ends the relay.
#[derive(Debug)]
#[must_use = "nothing happens until this is awaited"]
pub struct ServeRelay {
    node: NodeHandle,
    key_pair: KeyPair,
    limits: RelayLimits,
}

impl ServeRelay {
    pub(super) fn new(node: NodeHandle, key_pair: KeyPair) -> Self {
        Self { node, key_pair, limits: RelayLimits::default() }
    }

    /// Sets the limits on what clients can make the relay hold and carry. The default is
    /// [`RelayLimits::default`].
    pub fn limits(mut self, limits: RelayLimits) -> Self {
        self.limits = limits;
        self
    }

    async fn run(self) -> Result<Relay, ListenError> {
        let server = Listen::new(self.node.clone(), self.key_pair.into()).await?;
        let public_key = *server.public_key();
        let state = Arc::new(State {
            node: self.node,
            limits: self.limits,
            shared: Mutex::new(Shared {
                service: RelayService::new(self.limits),
                sessions: HashMap::new(),
                links: HashMap::new(),
                slots: Slots::default(),
                displace: HashMap::new(),
            }),
        });
        let task = tokio::spawn(state.node.watch(accept(server, Arc::clone(&state))));
        Ok(Relay { public_key, state, task })
    }
}

impl IntoFuture for ServeRelay {
    type Output = Result<Relay, ListenError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// A running blind relay. Dropping it ends the relay, and with it the streams that it carries.
#[derive(Debug)]
pub struct Relay {
    public_key: PublicKey,
    state: Arc<State>,
    task: JoinHandle<()>,
}

/// The present state of a relay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct RelayStats {
    /// Clients that are connected.
    pub sessions: usize,
    /// Clients that wait for the other side of their pair.
    pub pending: usize,
    /// Pairs of clients whose packets are forwarded.
    pub links: usize,
}

impl Relay {
    /// Returns the key that peers pass to `relay_through`.
    pub const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// Returns the present state.
    pub fn stats(&self) -> RelayStats {
        let shared = self.state.lock();
        RelayStats {
            sessions: shared.sessions.len(),
            pending: shared.service.pending(),
            links: shared.service.links(),
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
        for id in std::mem::take(&mut self.state.lock().links).into_values() {
            // Without a driver there is no link either.
            let _ = self.state.node.commands().send(Command::Unlink(id));
        }
    }
}

#[derive(Debug)]
struct State {
    node: NodeHandle,
    limits: RelayLimits,
    shared: Mutex<Shared>,
}

#[derive(Debug)]
struct Shared {
    service: RelayService,
    sessions: HashMap<SessionId, Client>,
    /// An id of the link of each pair.
    links: HashMap<Token, u32>,
    /// Those that are served, by source, whether or not they have proven their keys.
    slots: Slots<SessionId>,
    /// Dropping one ends the session.
    displace: HashMap<SessionId, oneshot::Sender<()>>,
}

#[derive(Debug)]
struct Client {
    stream: StreamId,
    outbox: mpsc::Sender<Vec<u8>>,
}

impl Client {
    /// Makes a client, and the end that its messages come out of.
    fn new(stream: StreamId) -> (Self, mpsc::Receiver<Vec<u8>>) {
        let (outbox, inbox) = mpsc::channel(MAX_OUTGOING);
        (Self { stream, outbox }, inbox)
    }
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        // A panic elsewhere leaves these values consistent: each change is a single step.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a new client a slot, that of the newest client from the busiest source if all are taken, and
    /// returns what the end of that one takes. A session ends when the sender of its receiver is dropped.
    /// `None` if the client itself is of that source.
    fn admit(&self, id: SessionId, source: Source) -> Option<(oneshot::Receiver<()>, Vec<RelayAction>)> {
        let mut shared = self.lock();
        let mut actions = Vec::new();
        if shared.slots.len() >= self.limits.sessions {
            let rival = shared.slots.rival(source)?;
            actions = shared.end(rival);
        }
        let (displace, displaced) = oneshot::channel();
        shared.slots.insert(id, source);
        shared.displace.insert(id, displace);
        Some((displaced, actions))
    }

    /// Carries out the actions of the service.
    async fn carry_out(self: &Arc<Self>, actions: Vec<RelayAction>) {
        let mut actions = VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            match action {
                RelayAction::Send(to, message) => {
                    if let Some(client) = self.lock().sessions.get(&to) {
                        // Messages to a client that does not read are dropped.
                        let _ = client.outbox.try_send(message);
                    }
                }
                RelayAction::Link { token, sides } => actions.extend(self.link(token, sides).await),
                RelayAction::Unlink { token } => {
                    let id = self.lock().links.remove(&token);
                    if let Some(id) = id {
                        // Without a driver there is no link either.
                        let _ = self.node.commands().send(Command::Unlink(id));
                    }
                }
            }
        }
    }

    async fn link(self: &Arc<Self>, token: Token, sides: [(SessionId, u32); 2]) -> Vec<RelayAction> {
        let streams = sides.map(|(session, id)| {
            let stream = self.lock().sessions.get(&session)?.stream;
            Some((stream, id))
        });
        let ids = match streams {
            [Some(a), Some(b)] => self.ask_for_link(token, [a, b]).await,
            _ => None,
        };
        let mut shared = self.lock();
        match ids {
            Some(ids) => {
                shared.links.insert(token, ids[0]);
                shared.service.linked(&token, ids)
            }
            None => {
                shared.service.unlinked(&token);
                Vec::new()
            }
        }
    }

    async fn ask_for_link(self: &Arc<Self>, token: Token, sides: [(StreamId, u32); 2]) -> Option<[u32; 2]> {
        let (ended, end) = oneshot::channel();
        let ids = self.node.ask(|answer| Command::Link {
            sides,
            bytes: self.limits.bytes,
            lifetime: self.limits.lifetime,
            answer,
            ended,
        });
        let ids = ids.await??;
        let state = Arc::downgrade(self);
        tokio::spawn(self.node.watch(async move {
            // Its sender is dropped when the link is over.
            let _ = end.await;
            if let Some(state) = state.upgrade() {
                let mut shared = state.lock();
                if shared.links.get(&token) == Some(&ids[0]) {
                    shared.links.remove(&token);
                    shared.service.unlinked(&token);
                }
            }
        }));
        Some(ids)
    }
}

async fn accept(server: Server, state: Arc<State>) {
    let mut clients = JoinSet::new();
    let mut next = 0;
    while let Some(connection) = server.accept().await {
        while clients.try_join_next().is_some() {}
        next += 1;
        let id = SessionId(next);
        // Those that have not proven their key yet count as well.
        let source = Source::direct(*connection.remote_addr().ip());
        let Some((displaced, actions)) = state.admit(id, source) else {
            debug!("relay client refused: too many");
            continue;
        };
        state.carry_out(actions).await;
        let own = Arc::clone(&state);
        clients.spawn(state.node.watch(async move {
            serve(id, connection, displaced, &own).await;
            let actions = own.lock().end(id);
            own.carry_out(actions).await;
        }));
    }
}

impl Shared {
    /// Forgets a session, which ends it if it has not ended, and returns what that takes.
    fn end(&mut self, id: SessionId) -> Vec<RelayAction> {
        self.slots.remove(&id);
        self.displace.remove(&id);
        self.sessions.remove(&id);
        self.service.disconnect(id)
    }
}

/// Serves one client until its connection ends, or another client displaces it.
async fn serve(
    id: SessionId,
    mut connection: Connection,
    mut displaced: oneshot::Receiver<()>,
    state: &Arc<State>,
) {
    let proven = tokio::select! {
        proven = connection.proven() => proven,
        _ = &mut displaced => return,
    };
    let Ok(key) = proven else {
        return;
    };
    let source = Source::direct(*connection.remote_addr().ip());
    let (client, inbox) = Client::new(connection.stream());
    let opening = {
        let mut shared = state.lock();
        if !shared.slots.contains(&id) {
            return;
        }
        let opening = shared.service.connect(id, *key.public_key(), source);
        shared.sessions.insert(id, client);
        opening
    };
    if let Some(opening) = opening
        && connection.write_message(&opening).await.is_ok()
    {
        talk(id, &mut connection, inbox, displaced, state).await;
    }
}

async fn talk(
    id: SessionId,
    connection: &mut Connection,
    mut inbox: mpsc::Receiver<Vec<u8>>,
    mut displaced: oneshot::Receiver<()>,
    state: &Arc<State>,
) {
    loop {
        let message: Option<Bytes> = tokio::select! {
            _ = &mut displaced => {
                debug!("relay client displaced");
                return;
            }
            Some(message) = inbox.recv() => {
                if connection.write_message(&message).await.is_err() {
                    return;
                }
                continue;
            }
            message = connection.read_message() => message.ok().flatten(),
        };
        let Some(message) = message else { return };
        let actions = state.lock().service.handle_message(id, &message);
        match actions {
            Ok(actions) => state.carry_out(actions).await,
            Err(error) => {
                debug!(%error, "relay client breaks the protocol");
                return;
            }
        }
    }
}

/// Messages that may wait for a client; all of them are short.
const MAX_OUTGOING: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Testnet;

    #[tokio::test]
    async fn messages_that_a_client_does_not_take_are_bounded_and_hold_nobody_up() {
        let network = Testnet::new(1).await.unwrap();
        let relay = network.nodes()[0].relay(&KeyPair::generate()).await.unwrap();
        let (id, (client, mut inbox)) = (SessionId(1), Client::new(StreamId(1)));
        relay.state.lock().sessions.insert(id, client);
        let sent = (0..2 * MAX_OUTGOING).map(|number| RelayAction::Send(id, vec![number as u8]));
        relay.state.carry_out(sent.collect()).await;
        assert_eq!(inbox.len(), MAX_OUTGOING);
        assert_eq!(inbox.recv().await, Some(vec![0]), "the first ones are kept");
    }
}
