//! The task of a swarm: does what the core decides.

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, pending};
use std::net::SocketAddrV4;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet};
use tracing::debug;

use super::command::{Command, Report};
use super::core::{Action, ConnectionId, Core, QueryId, Step};
use super::info::SwarmEvent;
use super::listener::Listener;
use super::outlet::Outlet;
use super::tasks;
use super::waiters::{Waiters, answer};
use crate::api::connection_watch::ConnectionWatch;
use crate::api::{Applicant, Connection, Dht, Firewall, NodeState, NodeWatch};
use crate::slots::Source;
use crate::{KeyPair, PublicKey};

/// Decides by its key whether a peer may connect, and is dialled.
pub(super) type Allow = Arc<dyn Fn(&PublicKey) -> bool + Send + Sync>;

/// What a swarm is made of.
pub(super) struct Parts {
    pub(super) dht: Dht,
    pub(super) key_pair: KeyPair,
    pub(super) core: Core,
    pub(super) commands: mpsc::UnboundedReceiver<Command>,
    pub(super) outlet: Arc<Outlet>,
    pub(super) events: broadcast::Sender<SwarmEvent>,
    pub(super) allow: Option<Allow>,
    pub(super) relay: Option<PublicKey>,
}

/// The state of the task.
pub(super) struct Driver {
    dht: Dht,
    key_pair: KeyPair,
    core: Core,
    commands: mpsc::UnboundedReceiver<Command>,
    outlet: Arc<Outlet>,
    events: broadcast::Sender<SwarmEvent>,
    allow: Option<Allow>,
    relay: Option<PublicKey>,
    /// Keys whose handshakes are not answered.
    banned: Arc<Mutex<BTreeSet<PublicKey>>>,
    listener: Listener,
    node: NodeWatch,
    network: Network,
    reports: mpsc::UnboundedSender<Report>,
    reported: mpsc::UnboundedReceiver<Report>,
    tasks: JoinSet<()>,
    dials: BTreeMap<ConnectionId, AbortHandle>,
    queries: BTreeMap<QueryId, AbortHandle>,
    held: BTreeMap<ConnectionId, Held>,
    waiters: Waiters,
    /// Calls that wait until the swarm is suspended, or closed.
    suspending: Vec<oneshot::Sender<()>>,
    closing: Vec<oneshot::Sender<()>>,
}

/// A connection that is open.
struct Held {
    watch: ConnectionWatch,
    /// Until the user gets it.
    connection: Option<Connection>,
}

/// Whether the node has a network.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Network {
    Joining,
    Online,
    Lost,
}

/// Whether the task goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    GoOn,
    End,
}

impl Driver {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { dht, key_pair, core, commands, outlet, events, allow, relay } = parts;
        let (reports, reported) = mpsc::unbounded_channel();
        Self {
            node: dht.watch(),
            listener: Listener::default(),
            dht,
            key_pair,
            core,
            commands,
            outlet,
            events,
            allow,
            relay,
            banned: Arc::default(),
            network: Network::Joining,
            reports,
            reported,
            tasks: JoinSet::new(),
            dials: BTreeMap::new(),
            queries: BTreeMap::new(),
            held: BTreeMap::new(),
            waiters: Waiters::default(),
            suspending: Vec::new(),
            closing: Vec::new(),
        }
    }

    /// Runs until the swarm is closed, its node is, or no handle is left.
    pub(super) async fn run(mut self) {
        // Whatever ends the task, a panic included: nobody waits for connections any more.
        let _closes = ClosesOutlet(Arc::clone(&self.outlet));
        while self.turn().await == Turn::GoOn {
            if self.drain() == Turn::End {
                break;
            }
        }
        self.listener.close().await;
        for waiter in std::mem::take(&mut self.closing) {
            answer(waiter, ());
        }
    }

    /// Waits for something, and hands it to the core.
    async fn turn(&mut self) -> Turn {
        let deadline = self.core.poll_timeout();
        tokio::select! {
            command = self.commands.recv() => match command {
                Some(command) => self.command(command),
                None => return Turn::End,
            },
            Some(report) = self.reported.recv() => self.report(report),
            connection = self.listener.accept() => self.accepted(connection),
            state = self.node.changed() => match state {
                Some(state) if !state.closed => self.node_changed(state),
                _ => return Turn::End,
            },
            () = sleep_until(deadline) => self.core.handle_timeout(Instant::now()),
            Some(ended) = self.tasks.join_next(), if !self.tasks.is_empty() => {
                // What was aborted is not missed. A bug ends the swarm.
                if let Some(panic) = ended.err().and_then(|error| error.try_into_panic().ok()) {
                    std::panic::resume_unwind(panic);
                }
            }
        }
        Turn::GoOn
    }

    fn command(&mut self, command: Command) {
        let now = Instant::now();
        match command {
            Command::Join { topic, session, join } => self.core.join(topic, session, join, now),
            Command::Change { topic, session, join } => self.core.change(topic, session, join, now),
            Command::LeaveSession { topic, session, answer } => {
                self.core.leave_session(topic, session, now);
                self.waiters.await_end(topic, answer, &self.core);
            }
            Command::Leave { topic, answer } => {
                self.core.leave(topic, now);
                self.waiters.await_end(topic, answer, &self.core);
            }
            Command::Refresh { topic, answer } => {
                self.core.refresh(topic, now);
                self.waiters.await_refresh(topic, answer, &self.core);
            }
            Command::AwaitRefresh { topic, answer } => self.waiters.await_refresh(topic, answer, &self.core),
            Command::JoinPeer(key) if !self.allows(&key) => debug!(key = %key.short(), "not allowed"),
            Command::JoinPeer(key) => self.core.join_peer(key, now),
            Command::LeavePeer(key) => self.core.leave_peer(key, now),
            Command::Ban(key, banned) => self.ban(key, banned),
            Command::SetReconnect(key, reconnects) => self.core.set_reconnect(key, reconnects, now),
            Command::Listen(waiter) => {
                self.listener.wait(waiter);
                self.listen();
            }
            Command::Flush(answer) => {
                let id = self.waiters.await_flush(answer);
                self.core.flush(id);
            }
            Command::Peer(key, waiter) => answer(waiter, self.core.peer(&key)),
            Command::Peers(waiter) => answer(waiter, self.core.peers()),
            Command::Topics(waiter) => answer(waiter, self.core.joined()),
            Command::Stats(waiter) => answer(waiter, self.core.stats()),
            Command::Suspend(answer) => {
                self.suspending.push(answer);
                self.core.suspend();
            }
            Command::Resume(answer) => {
                self.core.resume(now);
                // A suspension that has not come to its end will not.
                let mut waiters = std::mem::take(&mut self.suspending);
                waiters.push(answer);
                self.listener.resume(waiters);
            }
            Command::Close(answer) => {
                self.closing.push(answer);
                self.core.close();
            }
        }
    }

    fn report(&mut self, report: Report) {
        let now = Instant::now();
        match report {
            Report::Opened(id, connection) => match self.dials.remove(&id) {
                Some(_) => {
                    self.hold(id, connection, tasks::Side::Dialled);
                    self.core.dial_opened(id, now);
                }
                // It was given up while the report was under way.
                None => connection.abort(),
            },
            Report::DialFailed { id, pathless } => {
                self.dials.remove(&id);
                self.core.dial_failed(id, pathless, now);
            }
            Report::Proven(id) => self.core.proven(id, now),
            Report::Heard(id) => self.core.heard(id),
            Report::Closed(id) => {
                self.held.remove(&id);
                self.outlet.ended(id);
                self.core.closed(id, now);
            }
            Report::Found { topic, query, key, relay_addresses } => {
                if self.allows(&key) {
                    self.core.found(topic, query, key, relay_addresses, now);
                }
            }
            Report::QueryOver { topic, query, succeeded } => {
                self.queries.remove(&query);
                self.core.query_over(topic, query, succeeded, now);
            }
            Report::Listening(outcome) => self.listener.started(outcome, self.core.is_suspended()),
        }
    }

    /// Carries the decisions of the core out.
    fn drain(&mut self) -> Turn {
        while let Some(action) = self.core.poll_action() {
            match action {
                Action::Dial { id, key, relay_addresses, relayed } => {
                    self.dial(id, key, relay_addresses, relayed);
                }
                Action::Use { id, info } => {
                    let held = self.held.get_mut(&id);
                    if let Some(connection) = held.and_then(|held| held.connection.take()) {
                        self.outlet.push(id, connection, info);
                    }
                }
                Action::Drop(id) => self.end(id),
                Action::Query { topic, query, step } => self.query(topic, query, step),
                Action::Cancel(query) => {
                    if let Some(task) = self.queries.remove(&query) {
                        task.abort();
                    }
                }
                // Nobody may listen.
                Action::Event(event) => drop(self.events.send(event)),
                Action::Refreshed { topic, succeeded } => self.waiters.refreshed(topic, succeeded),
                Action::Left(topic) => self.waiters.ended(topic),
                Action::Flushed(id) => self.waiters.flushed(id),
                Action::Quiet if self.core.is_closed() => return Turn::End,
                Action::Quiet => self.listener.suspend(std::mem::take(&mut self.suspending)),
            }
        }
        Turn::GoOn
    }

    fn dial(&mut self, id: ConnectionId, key: PublicKey, relay_addresses: Vec<SocketAddrV4>, relayed: bool) {
        let is_random = self.node.current().nat == Firewall::Random;
        let mut connect = self.dht.connect(key).key_pair(&self.key_pair).addresses(relay_addresses);
        if let Some(relay) = self.relay.filter(|_| relayed || is_random) {
            connect = connect.relay_through(&relay);
        }
        let task = self.spawn(tasks::dial(id, connect, self.reports.clone()));
        self.dials.insert(id, task);
    }

    fn query(&mut self, topic: [u8; 32], query: QueryId, step: Step) {
        let reports = self.reports.clone();
        let task = match step {
            Step::Lookup => self.spawn(tasks::lookup(topic, query, self.dht.lookup(topic), reports)),
            Step::Announce => {
                self.listen();
                let (dht, key_pair) = (self.dht.clone(), self.key_pair.clone());
                let server = self.listener.server();
                self.spawn(tasks::announce(topic, query, dht, key_pair, server, reports))
            }
            Step::Unannounce => {
                let (dht, key_pair) = (self.dht.clone(), self.key_pair.clone());
                self.spawn(tasks::unannounce(topic, query, dht, key_pair, reports))
            }
        };
        self.queries.insert(query, task);
    }

    /// Listens, unless that is under way.
    fn listen(&mut self) {
        if !self.listener.begin() {
            return;
        }
        let (allow, banned) = (self.allow.clone(), Arc::clone(&self.banned));
        let admits = move |client: Applicant| {
            let key = client.claimed_key;
            let is_banned = banned.lock().unwrap_or_else(PoisonError::into_inner).contains(&key);
            let is_admitted = !is_banned && allow.as_ref().is_none_or(|allow| allow(&key));
            async move { is_admitted }
        };
        let mut listen = self.dht.listen(&self.key_pair).allow(admits);
        if let Some(relay) = &self.relay {
            listen = listen.relay_through(relay);
        }
        let reports = self.reports.clone();
        self.spawn(tasks::listen(listen, reports));
    }

    fn accepted(&mut self, connection: Connection) {
        // The core displaces nothing by a key that is only claimed.
        let key = *connection.claimed_key().to_address_reply();
        let source = Source::direct(*connection.remote_addr().ip());
        match self.core.came(key, source, Instant::now()) {
            Some(id) => self.hold(id, connection, tasks::Side::Accepted),
            None => connection.abort(),
        }
    }

    fn hold(&mut self, id: ConnectionId, connection: Connection, side: tasks::Side) {
        let watch = connection.watch();
        self.spawn(tasks::watch(id, watch.clone(), side, self.reports.clone()));
        self.held.insert(id, Held { watch, connection: Some(connection) });
    }

    fn end(&mut self, id: ConnectionId) {
        if let Some(task) = self.dials.remove(&id) {
            task.abort();
        }
        if let Some(held) = self.held.remove(&id) {
            held.watch.abort();
        }
        self.outlet.remove(id);
    }

    fn node_changed(&mut self, state: NodeState) {
        let before = self.network;
        self.network = match before {
            _ if state.is_online() => Network::Online,
            Network::Joining => Network::Joining,
            Network::Online | Network::Lost => Network::Lost,
        };
        if before == Network::Lost && self.network == Network::Online {
            debug!("online again");
            self.core.refresh_all(Instant::now());
        }
    }

    fn allows(&self, key: &PublicKey) -> bool {
        self.allow.as_ref().is_none_or(|allow| allow(key))
    }

    fn ban(&mut self, key: PublicKey, is_banned: bool) {
        let mut banned = self.banned.lock().unwrap_or_else(PoisonError::into_inner);
        if is_banned {
            banned.insert(key);
        } else {
            banned.remove(&key);
        }
        drop(banned);
        self.core.ban(key, is_banned, Instant::now());
    }

    fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        self.tasks.spawn(task)
    }
}

/// Closes the outlet when it is dropped.
struct ClosesOutlet(Arc<Outlet>);

impl Drop for ClosesOutlet {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Waits until a time, without one for ever.
async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => pending().await,
    }
}
