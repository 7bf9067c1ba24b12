//! Clients that change their profiles all the time, and know what was acknowledged.

use std::net::SocketAddrV4;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hyperprofile::profile::{
    ClientError, Denied, MemoryVersions, ProfileClient, ProfileDraft, Record, ThroughDht,
};
use hyperprofile::{Dht, KeyPair, PublicKey, Testnet};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

/// A client in a task of its own.
pub(crate) struct Writer {
    pub(crate) key: PublicKey,
    /// What the others see of it.
    shared: Arc<Mutex<Shared>>,
    /// When the last acknowledged change began.
    begun: watch::Receiver<Instant>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

struct Shared {
    acknowledged: Option<Record>,
    /// When that was.
    at: Instant,
    longest: Duration,
    errors: Vec<String>,
    server: Option<SocketAddrV4>,
}

impl Writer {
    /// Joins the network with a node of its own, and begins.
    pub(crate) async fn start(network: &Testnet, server: PublicKey) -> Self {
        let dht = network.builder().spawn().await.unwrap();
        let identity = KeyPair::generate();
        let key = *identity.public_key();
        let shared = Shared {
            acknowledged: None,
            at: Instant::now(),
            longest: Duration::ZERO,
            errors: Vec::new(),
            server: None,
        };
        let shared = Arc::new(Mutex::new(shared));
        let (sender, begun) = watch::channel(Instant::now());
        let (stop, is_stopped) = watch::channel(false);
        let work = write(dht, server, identity, Arc::clone(&shared), sender, is_stopped);
        Self { key, shared, begun, stop, task: tokio::spawn(work) }
    }

    /// Waits for the acknowledgement of a change that began after an instant.
    pub(crate) async fn writes_after(&mut self, instant: Instant) {
        self.begun.wait_for(|begun| *begun > instant).await.expect("the writer goes on");
    }

    /// Returns what was acknowledged last.
    pub(crate) fn acknowledged(&self) -> Record {
        self.shared.lock().unwrap().acknowledged.clone().expect("something was")
    }

    /// Returns the longest time between two acknowledgements, and the errors, since the last call.
    pub(crate) fn take(&self) -> (Duration, Vec<String>) {
        let mut shared = self.shared.lock().unwrap();
        (std::mem::take(&mut shared.longest), std::mem::take(&mut shared.errors))
    }

    /// Returns where its server is.
    pub(crate) fn server(&self) -> Option<SocketAddrV4> {
        self.shared.lock().unwrap().server
    }

    /// Has it end after the change that is under way.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits for its end, and returns what was acknowledged last.
    pub(crate) async fn end(self) -> (PublicKey, Record) {
        self.task.await.unwrap();
        let acknowledged = self.shared.lock().unwrap().acknowledged.clone();
        (self.key, acknowledged.expect("something was"))
    }
}

/// A client that comes anew again and again, and must always be greeted.
pub(crate) struct Visitor {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Visitor {
    pub(crate) fn start(network: &Testnet, server: PublicKey) -> Self {
        let (stop, is_stopped) = watch::channel(false);
        let builder = network.builder();
        let visits = async move {
            let dht = builder.spawn().await.unwrap();
            let identity = KeyPair::generate();
            while !*is_stopped.borrow() {
                let dial = ThroughDht { dht: dht.clone(), server, identity: identity.clone() };
                let visit = ProfileClient::connect(identity.clone(), dial, MemoryVersions::default());
                let mut client = visit.await.unwrap();
                client.ping().await.unwrap();
                client.close().await;
            }
            dht.close().await;
        };
        Self { stop, task: tokio::spawn(visits) }
    }

    /// Waits for the end of a last visit; fails if one did.
    pub(crate) async fn end(self) {
        self.stop.send_replace(true);
        self.task.await.unwrap();
    }
}

async fn write(
    dht: Dht,
    server: PublicKey,
    identity: KeyPair,
    shared: Arc<Mutex<Shared>>,
    begun: watch::Sender<Instant>,
    is_stopped: watch::Receiver<bool>,
) {
    let dial = ThroughDht { dht: dht.clone(), server, identity: identity.clone() };
    let mut client = ProfileClient::connect(identity, dial, MemoryVersions::default()).await.unwrap();
    // A person is slower. This leaves the machine to the servers.
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in 0_u64.. {
        pace.tick().await;
        if *is_stopped.borrow() {
            break;
        }
        let since = Instant::now();
        let draft = ProfileDraft { name: number.to_string(), ..ProfileDraft::default() };
        let profile = draft.check().unwrap();
        let record = loop {
            let outcome = match number {
                0 => client.register(profile.clone()).await,
                _ => client.update(|_| Ok(profile.clone())).await,
            };
            match outcome {
                Ok(record) => break record,
                Err(
                    error @ (ClientError::Denied(Denied::Storage)
                    | ClientError::Dial(_)
                    | ClientError::Lost(_)
                    | ClientError::TimedOut),
                ) => shared.lock().unwrap().errors.push(error.to_string()),
                Err(error) => panic!("{error}"),
            }
        };
        let mut shared = shared.lock().unwrap();
        if let Some(last) = &shared.acknowledged {
            assert!(record.version() > last.version(), "a version that was acknowledged is given again");
        }
        assert_eq!(record.profile().text(), profile.text());
        shared.longest = shared.longest.max(shared.at.elapsed());
        shared.at = Instant::now();
        shared.server = client.stream().map(|connection| connection.remote_addr());
        shared.acknowledged = Some(record);
        // Nobody waits once the test has failed.
        begun.send_replace(since);
    }
    client.close().await;
    dht.close().await;
}

/// Between two changes of a client.
const PACE: Duration = Duration::from_millis(50);
