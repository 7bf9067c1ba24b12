//! The driver's state and its beginning.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tracing::debug;

use super::closing::Closing;
use super::io::Io;
use super::joining::Joining;
use super::spin::Spin;
use super::timer::Timer;
use super::waiters::Waiters;
use crate::connect::Endpoint;
use crate::net::command::{Command, Token};
use crate::net::connections::Connections;
use crate::net::interfaces::{self, Interfaces};
use crate::net::jobs::Jobs;
use crate::net::node_state::{NodeState, Publisher};
use crate::net::overview::{Listening, Overview};
use crate::net::queries::Queries;
use crate::net::relays::Relays;
use crate::net::requests::Requests;
use crate::net::servers::Servers;
use crate::net::settings::Settings;
use crate::net::sleep::Sleep;
use crate::net::stats::Stats;
use crate::net::task_event::TaskEvent;
use crate::udx::StreamId;

/// A node that runs.
#[derive(Clone, Debug)]
pub(crate) struct Started {
    pub(crate) commands: mpsc::UnboundedSender<Command>,
    /// The local address of the server socket.
    pub(crate) local: SocketAddrV4,
    pub(crate) state: watch::Receiver<NodeState>,
    /// Closed once the node has ended.
    pub(crate) panic: watch::Receiver<Panic>,
}

/// The message of the panic that has ended the node, if one has.
pub(super) type Panic = Option<Arc<str>>;

/// Binds the sockets of a node and starts its task. Must be called on a tokio runtime.
pub(crate) fn start(settings: Settings) -> io::Result<Started> {
    let (mut driver, started, panicked) = Driver::bind(settings)?;
    driver.start(Instant::now());
    tokio::spawn(driver.run(panicked));
    Ok(started)
}

/// Returns whether the current thread is on a tokio runtime that has all that a node needs.
pub(crate) fn has_runtime() -> bool {
    if Handle::try_current().is_err() {
        return false;
    }
    // The runtime answers a question about its parts only by a panic, which the panic hook may print.
    let needed = catch_unwind(|| {
        drop(tokio::time::sleep(Duration::ZERO));
        // Of an error of the system the sockets of the node bring the report.
        let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
        let socket = socket.and_then(|socket| socket.set_nonblocking(true).map(|()| socket));
        socket.and_then(tokio::net::UdpSocket::from_std).map(drop)
    });
    needed.is_ok()
}

/// The state of the task that owns the sockets and the endpoint.
pub(super) struct Driver {
    pub(super) endpoint: Endpoint,
    pub(super) io: Io,
    pub(super) timer: Timer,
    pub(super) spin: Spin,
    pub(super) inbox: Inbox,
    /// Makes the senders that connections and servers hold; the driver itself holds none, so that it notices
    /// when all are gone.
    pub(super) handles: mpsc::WeakUnboundedSender<Command>,
    pub(super) joining: Joining,
    pub(super) interfaces: Interfaces,
    pub(super) sleep: Sleep,
    pub(super) jobs: Jobs,
    pub(super) connections: Connections,
    pub(super) servers: Servers,
    pub(super) queries: Queries,
    pub(super) relays: Relays,
    pub(super) requests: Requests,
    pub(super) waiters: Waiters,
    pub(super) closing: Closing,
    pub(super) publisher: Publisher,
}

/// What reaches the driver from other tasks.
pub(super) struct Inbox {
    pub(super) commands: mpsc::UnboundedReceiver<Command>,
    pub(super) task_events: mpsc::UnboundedReceiver<TaskEvent>,
    /// Connections that have something to do.
    pub(super) wakeups: mpsc::UnboundedReceiver<StreamId>,
}

impl Drop for Driver {
    fn drop(&mut self) {
        // The runtime ends the driver at any time, and so does a bug, which may be met again here.
        let told = catch_unwind(AssertUnwindSafe(|| self.farewell()));
        if told.is_err() {
            debug!("peers not told of the end of the node");
        }
    }
}

impl Inbox {
    /// Returns whether anything waits.
    pub(super) fn has_any(&self) -> bool {
        !(self.commands.is_empty() && self.task_events.is_empty() && self.wakeups.is_empty())
    }
}

impl Driver {
    /// Binds the sockets of a node and makes its driver, which does nothing yet.
    fn bind(settings: Settings) -> io::Result<(Self, Started, watch::Sender<Panic>)> {
        let now = Instant::now();
        let io = Io::bind(&settings)?;
        let (server, client) = io.main_addresses().expect("they have just been bound");
        let (commands, commands_in) = mpsc::unbounded_channel();
        let (tasks, task_events) = mpsc::unbounded_channel();
        let (wake, wakeups) = mpsc::unbounded_channel();
        let mut endpoint = Endpoint::new(now, settings.endpoint.clone(), settings.seed);
        endpoint.handle_sockets(now, server, client);
        let connections = Connections::new(&settings, wake);
        let jobs = Jobs::new(&settings, tasks.clone());
        let joining = Joining::new(settings.bootstrap, tasks.clone());
        let (publisher, state) = Publisher::new();
        let driver = Self {
            endpoint,
            io,
            timer: Timer::new(),
            spin: Spin::new(settings.low_latency),
            inbox: Inbox { commands: commands_in, task_events, wakeups },
            handles: commands.downgrade(),
            joining,
            interfaces: Interfaces::new(*settings.bind.ip(), tasks.clone()),
            sleep: Sleep::new(now),
            jobs,
            connections,
            servers: Servers::new(settings.backlog),
            queries: Queries::default(),
            relays: Relays::new(settings.key_pair, tasks),
            requests: Requests::default(),
            waiters: Waiters::default(),
            closing: Closing::default(),
            publisher,
        };
        let (panicked, panic) = watch::channel(None);
        let started = Started { commands, local: server, state, panic };
        Ok((driver, started, panicked))
    }

    /// Joins the network as soon as the addresses of the bootstrap nodes are known.
    fn start(&mut self, now: Instant) {
        if self.interfaces.are_needed() {
            // Until it is known which of them carry datagrams, the first attempt names all of them.
            match interfaces::listed() {
                Ok(listed) => self.endpoint.handle_interfaces(now, &listed),
                Err(error) => debug!(%error, "the addresses of this host cannot be listed"),
            }
        }
        if self.joining.start() {
            self.join(now);
        }
    }

    /// Starts to join the network, and handles the commands that have waited for that.
    pub(super) fn join(&mut self, now: Instant) {
        self.endpoint.bootstrap(now);
        for command in self.joining.release(now) {
            self.handle_command(now, command);
        }
    }

    /// Gives up a command for whose answer no task waits any more.
    pub(super) fn give_up(&mut self, now: Instant, token: Token) {
        self.joining.give_up(token);
        if let Some(attempt) = self.waiters.give_up(token) {
            self.endpoint.abort(now, attempt);
        }
        if let Some(request) = self.waiters.give_up_request(token) {
            self.endpoint.node().cancel(now, request);
        }
        self.servers.give_up(token);
        self.queries.give_up(&mut self.endpoint, token);
    }

    /// Starts to end the node: connections once what is written and ended has arrived, servers once their
    /// announcements are withdrawn.
    pub(super) fn close(&mut self, now: Instant) {
        if self.closing.start(now, false) {
            self.connections.close();
            self.end(now);
        }
    }

    /// Starts to end a node that nobody holds any more.
    pub(super) fn leave(&mut self, now: Instant) {
        if self.closing.start(now, true) {
            self.end(now);
        }
    }

    fn end(&mut self, now: Instant) {
        debug!("node closing");
        self.joining.close();
        for server in self.servers.ids() {
            self.servers.close(server, None);
            self.endpoint.unlisten(now, server);
        }
        self.publish();
    }

    /// Publishes the state of the node, if it has changed.
    pub(super) fn publish(&mut self) {
        let nat = self.endpoint.firewall();
        let node = self.endpoint.node();
        self.publisher.publish(NodeState {
            joined: self.joining.joined(),
            health: node.health(),
            public_address: node.remote_address(),
            nat,
            persistent: node.is_persistent(),
            suspended: node.is_suspended(),
            closed: self.closing.has_started(),
        });
    }

    /// Ends all connections, and lets their peers know at once: those that have all that was written in
    /// order, the others with a reset. Waits for nothing but room in the sockets.
    pub(super) fn farewell(&mut self) {
        let now = Instant::now();
        self.io.block();
        self.connections.finish_all(now, &mut self.endpoint);
        self.io.send_now(now, &mut self.endpoint);
        while self.connections.destroy_some(now, &mut self.endpoint) {
            self.io.send_now(now, &mut self.endpoint);
        }
    }

    /// Returns what the node knows and holds, and so many of its connections at most.
    pub(super) fn overview(&mut self, now: Instant, connections: usize) -> Overview {
        let connections = self.connections.newest(now, &mut self.endpoint, connections);
        let servers = self.endpoint.servers().map(|(id, key)| {
            let state = self.endpoint.server_state(id);
            Listening { key, announced_at: state.relay_addresses, address: state.address }
        });
        let servers = servers.collect();
        let nat_samples = self.endpoint.nat_samples().to_vec();
        let mut fills = self.endpoint.fills();
        fills.push(self.connections.fill());
        let node = self.endpoint.node();
        let table = node.table().into_iter().map(|(id, address)| (id.0, address)).collect();
        let seen_as = node.seen_as();
        Overview { id: node.id().0, table, seen_as, nat_samples, connections, servers, fills }
    }

    pub(super) fn stats(&mut self) -> Stats {
        let streams = self.endpoint.streams().traffic();
        let refused = self.servers.refused() + self.endpoint.handshakes_dropped();
        let node = self.endpoint.node();
        let traffic = self.io.traffic();
        Stats {
            connections: self.connections.len(),
            unproven: self.connections.unproven(),
            unproven_dropped: self.connections.unproven_dropped(),
            refused,
            servers: self.servers.len(),
            nodes: node.table_len(),
            persistent: node.is_persistent(),
            firewalled: node.is_firewalled(),
            remote_address: node.remote_address(),
            datagrams_sent: traffic.datagrams_sent,
            bytes_sent: traffic.bytes_sent,
            sends: traffic.sends,
            send_errors: traffic.send_errors,
            datagrams_received: traffic.datagrams_received,
            bytes_received: traffic.bytes_received,
            streams,
            dht: node.stats(),
        }
    }
}
