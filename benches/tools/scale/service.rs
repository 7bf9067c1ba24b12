//! A server and its clients, both on this machine.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hyperprofile::profile::{Limits, MemoryVersions, Profile, ProfileClient, Service, ServiceConfig};
use hyperprofile::profile::{SledStore, Store, ThroughDht};
use hyperprofile::{Dht, KeyPair, PublicKey, Testnet};
use tokio::task::JoinSet;

use crate::options::Options;
use crate::profiles::{owner, profile};
use crate::support::{Result, microseconds, processor_time, processor_time_of};

/// Serves a store to the nodes of a network, and prints the server's key.
pub(crate) async fn serve(options: &Options) -> Result<()> {
    #[cfg(feature = "postgres")]
    if options.is_database() {
        return serve_store(Arc::new(options.database().await?), &options.bootstrap).await;
    }
    serve_store(Arc::new(SledStore::open(Path::new(&options.store))?), &options.bootstrap).await
}

async fn serve_store<S: Store>(store: Arc<S>, bootstrap: &str) -> Result<()> {
    let dht = Dht::builder().bootstrap([bootstrap]).bind("127.0.0.1:0").spawn().await?;
    dht.bootstrapped().await?;
    let server = dht.listen(KeyPair::generate()).await?;
    // The one who measures has many keys.
    let limits = Limits {
        writes_per_minute: u32::MAX,
        lookups_per_minute: u32::MAX,
        registrations_per_hour: u32::MAX,
        ..Limits::default()
    };
    let service = Service::new(store, ServiceConfig { limits, ..ServiceConfig::default() });
    println!("{}", server.public_key());
    service.run(&server).await;
    Ok(())
}

/// The server, which ends with this.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Measures one kind of request.
pub(crate) async fn run(options: Options) -> Result<()> {
    let testnet = Testnet::new(2).await?;
    let bootstrap = testnet.bootstrap().concat();
    let mut server = Command::new(std::env::current_exe()?)
        .args(["serve", &options.store, "--bootstrap", &bootstrap])
        .args(["--threads", &options.threads.to_string()])
        .args(["--connections", &options.connections.to_string()])
        .stdout(Stdio::piped())
        .spawn()?;
    let output = server.stdout.take().ok_or("no output")?;
    let server = Running(server);
    // The nodes of the network go on meanwhile.
    let line = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).map(|_| line)
    });
    let key: PublicKey = line.await??.trim().parse()?;
    let dht = testnet.builder().spawn().await?;
    dht.bootstrapped().await?;
    let owners = (0..options.count).map(|number| (owner(number), profile(number, 1, options.bytes)));
    let (owners, next) = (Arc::new(owners.collect()), Arc::default());
    let clients = Clients { dht, server: key, clients: options.clients, owners, next };
    let pid = server.0.id();
    match options.command.as_str() {
        "registrations" => clients.measure(pid, Kind::Register).await,
        "greetings" => {
            clients.measure(pid, Kind::Register).await?;
            clients.measure(pid, Kind::Greet).await
        }
        _ => {
            clients.measure(pid, Kind::Register).await?;
            clients.measure(pid, Kind::LookUp).await
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A new connection of a new key, which registers.
    Register,
    /// A new connection of a registered key, which gets its record.
    Greet,
    /// A request on a connection that is open.
    LookUp,
}

#[derive(Clone)]
struct Clients {
    dht: Dht,
    server: PublicKey,
    clients: usize,
    owners: Arc<Vec<(KeyPair, Profile)>>,
    /// The number of the next owner.
    next: Arc<AtomicUsize>,
}

type Client = ProfileClient<ThroughDht, MemoryVersions>;

impl Clients {
    async fn measure(&self, pid: u32, kind: Kind) -> Result<()> {
        self.next.store(0, Ordering::Relaxed);
        let before = (processor_time_of(pid), processor_time());
        let began = Instant::now();
        let mut tasks = JoinSet::new();
        for _ in 0..self.clients {
            let clients = self.clone();
            tasks.spawn(async move { clients.work(kind).await });
        }
        let mut took = Vec::new();
        while let Some(times) = tasks.join_next().await {
            took.extend(times??);
        }
        let (count, seconds) = (took.len() as f64, began.elapsed().as_secs_f64());
        let each = |time: Duration| time.as_secs_f64() / count * 1e6;
        println!(
            "{kind:?} {:.0} a second, {}; processor time each: server {:.0} us, client {:.0} us",
            count / seconds,
            microseconds(took),
            each(processor_time_of(pid) - before.0),
            each(processor_time() - before.1)
        );
        Ok(())
    }

    /// Does one after the other, as long as there are owners left; returns how long each took.
    async fn work(&self, kind: Kind) -> Result<Vec<Duration>> {
        let (mut took, mut open) = (Vec::new(), None);
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let Some((identity, content)) = self.owners.get(number) else { return Ok(took) };
            let began = Instant::now();
            match kind {
                Kind::Register => {
                    let mut client = self.connect(identity).await?;
                    client.register(content.clone()).await?;
                    took.push(began.elapsed());
                    client.close().await;
                }
                Kind::Greet => {
                    let client = self.connect(identity).await?;
                    let record = client.record().ok_or("a greeting without a record")?;
                    assert_eq!(record.profile(), content);
                    took.push(began.elapsed());
                    client.close().await;
                }
                Kind::LookUp => {
                    let client = match &mut open {
                        Some(client) => client,
                        none => none.insert(self.connect(&KeyPair::generate()).await?),
                    };
                    let began = Instant::now();
                    let found = client.lookup(*identity.public_key()).await?;
                    took.push(began.elapsed());
                    assert_eq!(found.record.profile(), content);
                }
            }
        }
    }

    async fn connect(&self, identity: &KeyPair) -> Result<Client> {
        let (dht, server) = (self.dht.clone(), self.server);
        let dial = ThroughDht { dht, server, identity: identity.clone() };
        Ok(ProfileClient::connect(identity.clone(), dial, MemoryVersions::default()).await?)
    }
}
