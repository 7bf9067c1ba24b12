//! The driver's state and its beginning.

use std::collections::{BTreeMap, HashMap};
use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Sleep;

use super::ready::Ready;
use super::settings::{Settings, Started, Traffic};
use crate::connect::{AttemptId, Endpoint, JobDone};
use crate::dht::RequestId;
use crate::net::bootstrap::BootstrapState;
use crate::net::command::{Command, Commands, DialOutcome, Pong, Token};
use crate::net::interfaces;
use crate::net::jobs::Jobs;
use crate::net::queries::Queries;
use crate::net::relays::Relays;
use crate::net::servers::Servers;
use crate::net::socket::Socket;
use crate::net::spares::Spares;
use crate::net::streams::Table;
use crate::udx::StreamId;
use crate::wire::transmit::{SocketId, Train};

/// What the driver's own tasks tell it.
#[derive(Debug)]
pub(in crate::net) enum News {
    /// A job has ended, or panicked.
    Job(Option<Box<JobDone>>),
    /// The addresses of this host's interfaces.
    Interfaces(Vec<Ipv4Addr>),
    /// What became of meeting the peer of a stream at a relay: the stream of the connection to the relay, and
    /// the id that it gave us.
    Relay(StreamId, Option<(StreamId, u32)>),
    /// The relay has ended the connection that a stream needs.
    RelayGone(StreamId),
    /// The addresses of the bootstrap nodes.
    Bootstrap(Vec<SocketAddrV4>),
}

/// Binds the sockets of a node and starts its task. Must be called on a tokio runtime.
pub(crate) fn start(settings: Settings) -> io::Result<Started> {
    let (mut driver, started) = bind(settings)?;
    driver.start(Instant::now());
    tokio::spawn(poll_fn(move |cx| driver.poll(cx)));
    Ok(started)
}

/// Binds the sockets of a node and makes its driver, which does nothing yet.
pub(super) fn bind(settings: Settings) -> io::Result<(Driver, Started)> {
    let mut server = Socket::bind_near(settings.bind, settings.other_port)?;
    let mut client = Socket::bind(SocketAddrV4::new(*settings.bind.ip(), 0))?;
    let public = settings.endpoint.dht.public_address;
    if let Some(own) = public.map(|address| *address.ip())
        && interfaces::is_own(own)
    {
        server.prefer(own);
        client.prefer(own);
    }
    let local = server.local();
    let now = Instant::now();

    let (commands, receiver) = mpsc::unbounded_channel();
    let (bell, bells) = mpsc::unbounded_channel();
    let (outbox, inbox) = mpsc::unbounded_channel();
    let (joined, bootstrap) = watch::channel(BootstrapState::Joining);
    let mut endpoint = Endpoint::new(now, settings.endpoint.clone(), settings.seed);
    endpoint.handle_sockets(now, local, client.local());

    let driver = Driver {
        endpoint,
        sockets: BTreeMap::from([(SocketId::SERVER, server), (SocketId::CLIENT, client)]),
        ready: Ready::default(),
        buffer: Vec::new(),
        blocked: None,
        timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
        armed: None,
        commands: receiver,
        handles: commands.downgrade(),
        bells,
        bell,
        spares: Arc::default(),
        inbox,
        jobs: Jobs::new(settings.jobs.max(1), outbox.clone()),
        outbox,
        table: Table::new(settings.unproven, settings.unproven_for),
        servers: Servers::default(),
        queries: Queries::default(),
        relays: Relays::default(),
        pings: HashMap::new(),
        links: HashMap::new(),
        relay_dials: 0,
        dials: HashMap::new(),
        attempts: HashMap::new(),
        joined,
        join_failures: 0,
        held: Some(Vec::new()),
        interfaces_at: None,
        listed: None,
        watch_at: None,
        closing: None,
        traffic: Traffic::default(),
        refused: 0,
        settings,
    };
    let started = Started {
        commands,
        local,
        bootstrap,
    };
    Ok((driver, started))
}

pub(super) struct Driver {
    pub(super) settings: Settings,
    pub(super) endpoint: Endpoint,
    pub(super) sockets: BTreeMap<SocketId, Socket>,
    /// Those beside the main ones that have something to read.
    pub(super) ready: Ready,
    /// The train that is being sent.
    pub(super) buffer: Vec<u8>,
    /// A train in `buffer` that the system has not taken whole; nothing overtakes it.
    pub(super) blocked: Option<Blocked>,
    pub(super) timer: Pin<Box<Sleep>>,
    /// What the timer is set to.
    pub(super) armed: Option<Instant>,
    pub(super) commands: Commands,
    /// Makes the senders that connections and servers hold; the driver itself holds none, so that it notices
    /// when all are gone.
    pub(super) handles: mpsc::WeakUnboundedSender<Command>,
    /// Connections that have something to do.
    pub(super) bells: mpsc::UnboundedReceiver<StreamId>,
    pub(super) bell: mpsc::UnboundedSender<StreamId>,
    /// Memory for the connections.
    pub(super) spares: Arc<Spares>,
    pub(super) inbox: mpsc::UnboundedReceiver<News>,
    pub(super) outbox: mpsc::UnboundedSender<News>,
    pub(super) jobs: Jobs,
    pub(super) table: Table,
    pub(super) servers: Servers,
    pub(super) queries: Queries,
    pub(super) relays: Relays,
    /// Nodes that were asked whether they are there, since when and for whom.
    pub(super) pings: HashMap<RequestId, (Instant, oneshot::Sender<Pong>)>,
    /// The links of a relay of ours, by either id, with who wants to know their end.
    pub(super) links: HashMap<u32, Arc<oneshot::Sender<()>>>,
    pub(super) relay_dials: u64,
    pub(super) dials: HashMap<AttemptId, (Token, oneshot::Sender<DialOutcome>)>,
    pub(super) attempts: HashMap<Token, AttemptId>,
    pub(super) joined: watch::Sender<BootstrapState>,
    pub(super) join_failures: u32,
    /// Commands that wait for the addresses of the bootstrap nodes.
    pub(super) held: Option<Vec<Held>>,
    pub(super) interfaces_at: Option<Instant>,
    /// The addresses of this host at the last look, and when the next one is due.
    pub(super) listed: Option<Vec<Ipv4Addr>>,
    pub(super) watch_at: Option<Instant>,
    pub(super) closing: Option<Closing>,
    pub(super) traffic: Traffic,
    pub(super) refused: u64,
}

/// A command that waits, and since when.
pub(super) struct Held {
    pub(super) command: Command,
    pub(super) since: Instant,
}

impl Held {
    /// Returns when its user wants to know what became of it.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.command {
            Command::Connect { dial, .. } => Some(self.since + dial.timeout),
            _ => None,
        }
    }
}

pub(super) struct Blocked {
    pub(super) train: Train,
    pub(super) sent: usize,
}

pub(super) struct Closing {
    pub(super) answers: Vec<oneshot::Sender<()>>,
    pub(super) deadline: Instant,
}
