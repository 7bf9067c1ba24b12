//! Three servers with one key and a database with a synchronous standby, killed one after the other while
//! clients write. `HYPERPROFILE_FULL=1` makes it 50 rounds.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddrV4;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use hyperprofile::profile::{MemoryVersions, ProfileClient, Record, ThroughDht};
use hyperprofile::{KeyPair, PublicKey, Testnet};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::postgres::{Cluster, PASSWORD};
use crate::support::{DEADLINE, Process};
use crate::writers::{Visitor, Writer};

const CLIENTS: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_that_was_acknowledged_is_lost_when_servers_and_databases_are_killed() {
    let Some(mut database) = Database::start() else { return };
    let network = Testnet::new(6).await.unwrap();
    let mut servers = Servers::start(&network, &database).await;
    let mut writers = Vec::new();
    for _ in 0..CLIENTS {
        writers.push(Writer::start(&network, servers.key).await);
    }
    all_write(&mut writers).await;
    let rounds = if std::env::var_os("HYPERPROFILE_FULL").is_some() { 50 } else { 4 };
    let mut outages: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    for round in 1..=rounds {
        writers.iter().for_each(|writer| drop(writer.take()));
        let kind = if round % 4 == 0 { "the primary" } else { "a server" };
        let killed = match round % 4 {
            0 => {
                database.kill_primary();
                all_write(&mut writers).await;
                None
            }
            _ => {
                let visitor = Visitor::start(&network, servers.key);
                let number = servers.busiest(&writers);
                servers.kill(number).await;
                all_write(&mut writers).await;
                visitor.end().await;
                Some(number)
            }
        };
        let ended: Vec<_> = writers.iter().map(Writer::take).collect();
        let errors: Vec<_> = ended.iter().flat_map(|(_, errors)| errors).collect();
        let longest = ended.iter().map(|(longest, _)| *longest).max().unwrap();
        eprintln!("round {round}: {kind} killed, {longest:.1?} without, {} errors", errors.len());
        assert!(killed.is_none() || errors.is_empty(), "{errors:?}");
        outages.entry(kind).or_default().extend(ended.iter().map(|(longest, _)| *longest));
        if let Some(number) = killed {
            servers.run(number).await;
        }
        let known: Vec<_> = writers.iter().map(|writer| (writer.key, writer.acknowledged())).collect();
        check(&network, servers.key, &known, |stored, known| stored >= known).await;
    }
    writers.iter().for_each(Writer::stop);
    let mut known = Vec::new();
    for writer in writers {
        known.push(writer.end().await);
    }
    // Nothing is under way any more.
    check(&network, servers.key, &known, |stored, known| stored == known).await;
    for (kind, mut outages) in outages {
        outages.sort();
        let p95 = outages[outages.len() * 95 / 100];
        let longest = outages[outages.len() - 1];
        eprintln!("{kind} killed, {} outages: p95 {p95:.1?}, longest {longest:.1?}", outages.len());
    }
}

/// Waits until each client has begun and finished a change.
async fn all_write(writers: &mut [Writer]) {
    let now = Instant::now();
    for (number, writer) in writers.iter_mut().enumerate() {
        let written = timeout(DEADLINE, writer.writes_after(now)).await;
        written.unwrap_or_else(|_| panic!("client {number} does not get on: {:?}", writer.take().1));
    }
}

/// Reads what was acknowledged as another client, which finds this version or, while they write, a later one.
async fn check(
    network: &Testnet,
    server: PublicKey,
    known: &[(PublicKey, Record)],
    is_right: fn(u64, u64) -> bool,
) {
    let (dht, identity) = (network.builder().spawn().await.unwrap(), KeyPair::generate());
    let dial = ThroughDht { dht: dht.clone(), server, identity: identity.clone() };
    let mut client = ProfileClient::connect(identity, dial, MemoryVersions::default()).await.unwrap();
    for (key, known) in known {
        let stored = client.lookup(*key).await.unwrap().record;
        assert!(is_right(stored.version(), known.version()), "{key}: {stored:?}, acknowledged {known:?}");
        assert!(stored.version() > known.version() || stored == *known, "{key}: {stored:?}, {known:?}");
    }
    client.close().await;
    dht.close().await;
}

/// A primary and its synchronous standby.
struct Database {
    primary: Cluster,
    standby: Cluster,
}

impl Database {
    fn start() -> Option<Self> {
        let primary = Cluster::start()?;
        primary.sql("postgres", "CREATE DATABASE profiles");
        let standby = Cluster::standby_of(&primary)?;
        let database = Self { primary, standby };
        database.wait_for_standby();
        Some(database)
    }

    /// Has each commit wait for the standby from now on.
    fn wait_for_standby(&self) {
        self.primary.sql("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'");
        self.primary.sql("postgres", "SELECT pg_reload_conf()");
        // Once this is committed, the standby has all that was before.
        self.primary.sql("postgres", "COMMENT ON DATABASE profiles IS 'has a standby'");
    }

    fn url(&self) -> String {
        let (password, ports) = (PASSWORD.replace(' ', "%20"), [self.primary.port, self.standby.port]);
        format!("postgres://postgres:{password}@127.0.0.1:{},127.0.0.1:{}/profiles", ports[0], ports[1])
    }

    /// Kills the primary with `kill -9`, promotes the standby, and makes a new one where the primary was.
    /// Until it is there, commits wait for none, as where a manager of clusters switches that off.
    fn kill_primary(&mut self) {
        self.primary.kill();
        self.standby.promote();
        std::mem::swap(&mut self.primary, &mut self.standby);
        self.standby.follow(&self.primary);
        self.wait_for_standby();
    }
}

/// The processes.
struct Servers {
    folder: TempDir,
    bootstrap: String,
    key: PublicKey,
    ports: [u16; 3],
    running: [Option<Process>; 3],
}

impl Servers {
    async fn start(network: &Testnet, database: &Database) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("url");
        fs::write(&file, database.url()).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let identity = KeyPair::load_or_create(folder.path().join("identity")).unwrap();
        for number in 0..3 {
            let data = folder.path().join(number.to_string());
            fs::create_dir(&data).unwrap();
            fs::copy(folder.path().join("identity"), data.join("identity")).unwrap();
        }
        let bootstrap = network.bootstrap().remove(0);
        let (key, ports) = (*identity.public_key(), [(); 3].map(|()| free_port()));
        let mut servers = Self { folder, bootstrap, key, ports, running: [const { None }; 3] };
        for number in 0..3 {
            servers.run(number).await;
        }
        servers
    }

    /// Starts a server and waits until it is announced.
    async fn run(&mut self, number: usize) {
        let at = |name: &str| self.folder.path().join(name).to_str().unwrap().to_owned();
        let bind = format!("127.0.0.1:{}", self.ports[number]);
        let arguments = [
            ["--data-dir", &at(&number.to_string())],
            ["--store", &at("url")],
            ["--bootstrap", &self.bootstrap],
            ["--bind", &bind],
            ["--writes-per-minute", "1000000"],
            ["--registrations-per-hour", "1000000"],
            ["--lookups-per-minute", "1000000"],
        ];
        let mut process = Process::program(env!("CARGO_BIN_EXE_profile-server"), arguments.as_flattened());
        assert_eq!(process.first_line().await, self.key.to_z32());
        self.running[number] = Some(process);
    }

    /// Returns the server that most clients use.
    fn busiest(&self, writers: &[Writer]) -> usize {
        let clients = |port: &u16| {
            let used = writers.iter().filter_map(Writer::server);
            used.filter(|server: &SocketAddrV4| server.port() == *port).count()
        };
        (0..3).max_by_key(|number| clients(&self.ports[*number])).unwrap()
    }

    /// Kills a server with `kill -9`.
    async fn kill(&mut self, number: usize) {
        let mut process = self.running[number].take().expect("it runs");
        process.child.kill().await.unwrap();
    }
}

/// Returns a UDP port that nothing has.
fn free_port() -> u16 {
    std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
