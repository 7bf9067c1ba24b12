//! What peers make a server hold: packets with gaps under keys that are thrown away, and connections where
//! memory is short.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

use hyperprofile::Testnet;
use tempfile::TempDir;

use crate::amount;
use crate::harness::{Person, Running, SERVER, text};
use crate::raw_peer::RawPeer;

/// Each stream is sent a thousand packets behind one that never comes.
#[tokio::test(flavor = "multi_thread")]
async fn packets_with_gaps_take_bounded_memory_and_it_goes_back_to_the_system() {
    let (streams, packets) = amount((300, 200), (1000, 1000));
    let world = World::start().await;
    let ada = Person::new();
    world.client(&ada, "register --name Ada").await.ended(0);
    let base = world.resident();

    let (address, key) = (world.address, world.key.clone());
    let mut raw = tokio::task::spawn_blocking(move || {
        let mut raw = RawPeer::new(address, &key);
        assert_eq!(raw.connect(streams, 32), streams, "all keys are welcome");
        raw
    })
    .await
    .unwrap();

    let flooded = tokio::task::spawn_blocking(move || {
        for first in (0..packets).step_by(ROUND) {
            for index in 0..raw.streams.len() {
                let stream = raw.streams[index];
                for packet in first..(first + ROUND).min(packets) {
                    raw.send_ahead(&stream, 1 + packet as u32, &[7; 1400]);
                }
                raw.live(Duration::from_micros(200));
            }
        }
        raw
    });
    let mut most = base;
    while !flooded.is_finished() {
        world.client(&ada, "update --bio busy").await.ended(0);
        most = most.max(world.resident());
        world.client(&ada, "update --bio still").await.ended(0);
        most = most.max(world.resident());
    }
    let mut raw = flooded.await.unwrap();
    let shown = world.client(&ada, "show").await.ended(0).json();
    assert_eq!(shown["profile"]["bio"], "still");
    most = most.max(world.resident());
    eprintln!("{streams} streams: {} MiB more than {} MiB", (most - base) >> 20, base >> 20);
    assert!(most <= base + (64 << 20));

    raw.destroy_all();
    drop(raw);
    let gone = Instant::now();
    while world.resident() > base + (16 << 20) {
        let held = (world.resident() - base) >> 20;
        assert!(gone.elapsed() < Duration::from_secs(10), "{held} MiB more are still held");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    world.client(&ada, "show").await.ended(0);
}

/// The limit of `ulimit -v`, in kilobytes, and how many clients come.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_little_memory_takes_fewer_connections_and_goes_on() {
    let (kilobytes, clients) = amount((210_000, 1000), (600_000, 12_000));
    assert_goes_on(kilobytes, clients, 2).await;
}

/// Each core has a thread, whose stack counts as address space.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_little_memory_and_many_cores_goes_on() {
    assert_goes_on(400_000, 8000, 64).await;
}

async fn assert_goes_on(kilobytes: u64, clients: usize, cores: u32) {
    let world = World::limited(&kilobytes.to_string(), cores).await;
    let (address, key) = (world.address, world.key.clone());
    let (mut raw, connected) = tokio::task::spawn_blocking(move || {
        let mut raw = RawPeer::new(address, &key);
        let connected = raw.connect(clients, 32);
        (raw, connected)
    })
    .await
    .unwrap();
    let held = raw.streams.len() - raw.closed;
    eprintln!("{kilobytes} KB: {connected} of {clients} connected, {held} still are");
    let resident = world.resident();
    assert!(resident > 0, "the server runs");
    // Those who are served make room, and the next ones find it.
    tokio::task::spawn_blocking(move || {
        raw.destroy_all();
        raw.live(Duration::from_millis(500));
    })
    .await
    .unwrap();
    let ada = Person::new();
    world.client(&ada, "register --name Ada").await.ended(0);
}

/// A network in this process, and a server in one of its own.
struct World {
    network: Testnet,
    _folder: TempDir,
    server: Running,
    key: String,
    address: SocketAddrV4,
}

impl World {
    async fn start() -> Self {
        Self::limited("unlimited", 2).await
    }

    /// Starts a server, with a limit on its address space in kilobytes, as on a computer with so many cores.
    async fn limited(limit: &str, cores: u32) -> Self {
        let network = Testnet::new(5).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, free_port());
        let (bootstrap, bind) = (network.bootstrap().remove(0), address.to_string());
        let program = std::env::var("HYPERPROFILE_SERVER").unwrap_or_else(|_| SERVER.to_owned());
        let line = format!("ulimit -v {limit} && TOKIO_WORKER_THREADS={cores} exec \"$0\" \"$@\"");
        let arguments = ["-c", &line, &program, "--quiet", "--data-dir", text(folder.path())];
        let more = ["--bootstrap", &bootstrap, "--bind", &bind, "--writes-per-minute", "6000"];
        let arguments = [&arguments[..], &more].concat();
        let mut server = Running::start("sh", &arguments);
        let key = server.line().await;
        Self { network, _folder: folder, server, key, address }
    }

    /// Runs the client of a person.
    async fn client(&self, who: &Person, words: &str) -> crate::harness::Outcome {
        let bootstrap = self.network.bootstrap().remove(0);
        who.run(&format!("--server {} --bootstrap {bootstrap} {words}", self.key)).await
    }

    /// Returns how many bytes of memory the server takes.
    fn resident(&self) -> u64 {
        let pid = self.server.child.id().expect("the server runs");
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the server runs");
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }
}

/// Returns a port that is free at the moment.
fn free_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}

/// Packets that one stream is sent in a row.
const ROUND: usize = 50;
