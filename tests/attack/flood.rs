//! A flood of first messages: each is valid, distinct, and costs a server some hundred microseconds of
//! Diffie-Hellman. Every other client connects all the same.
//!
//! The sources are addresses of 127.0.0.0/8, which one socket names as its own, so that no privileges are
//! needed. `HYPERPROFILE_SERVER` names another build of `profile-server`, to compare.

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hyperprofile::connect::noise::Initiator;
use hyperprofile::wire::compact::Encode as _;
use hyperprofile::wire::handshake::{HandshakeMessage, Mode, NoisePayload, UdxInfo, VERSION};
use hyperprofile::wire::rpc::{PEER_HANDSHAKE, Request};
use hyperprofile::{Dht, KeyPair, PublicKey, Testnet};
use quinn_udp::{Transmit, UdpSocketState};
use tokio::io::AsyncReadExt as _;

use crate::amount;
use crate::harness::{Running, SERVER, text};
use crate::process::Process;

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_handshakes_from_one_source_keeps_nobody_else_out() {
    let world = World::start().await;
    for rate in amount(vec![5_000], vec![5_000, 20_000]) {
        let clients = amount(10, 100);
        let connected = world.under_flood(rate, clients, "one source", |_| (at([127, 66, 6, 6]), None)).await;
        assert!(connected * 100 >= clients * 99, "{connected} of {clients} at {rate}/s");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_from_ten_thousand_spoofed_sources_leaves_four_of_five_clients_in() {
    let world = World::start().await;
    let spoofed = |number: u32| {
        let (network, host) = ((number % 200) as u8, (number / 200 % 50 + 1) as u8);
        (at([127, 90, network, host]), None)
    };
    for rate in amount(vec![5_000], vec![5_000, 20_000]) {
        let clients = amount(10, 100);
        let connected = world.under_flood(rate, clients, "10,000 sources in 200 /24", spoofed).await;
        assert!(connected * 100 >= clients * 80, "{connected} of {clients} at {rate}/s");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forwarding_node_that_invents_clients_keeps_nobody_else_out() {
    let world = World::start().await;
    let invented =
        |number: u32| (at([127, 66, 6, 6]), Some(Ipv4Addr::from(number.wrapping_mul(0x9e37_79b1))));
    let (rate, clients) = amount((5_000, 10), (20_000, 100));
    let connected = world.under_flood(rate, clients, "invented clients", invented).await;
    assert!(connected * 100 >= clients * 99, "{connected} of {clients} at {rate}/s");
}

/// A network in this process and a server in one of its own.
struct World {
    network: Testnet,
    _folder: tempfile::TempDir,
    _server: Running,
    process: Process,
    key: PublicKey,
    address: SocketAddrV4,
    messages: Vec<Vec<u8>>,
}

impl World {
    async fn start() -> Self {
        let network = Testnet::new(5).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (bind, bootstrap) = (format!("127.0.0.1:{port}"), network.bootstrap().remove(0));
        let arguments = ["--data-dir", text(folder.path()), "--bootstrap", &bootstrap, "--bind", &bind, "-q"];
        let program = std::env::var("HYPERPROFILE_SERVER").unwrap_or_else(|_| SERVER.to_owned());
        let mut server = Running::start(&program, &arguments);
        let key: PublicKey = server.line().await.parse().unwrap();
        let process = Process(server.child.id().unwrap());
        let address = bind.parse().unwrap();
        let messages = first_messages(amount(10_000, 100_000), &key);
        Self { network, _folder: folder, _server: server, process, key, address, messages }
    }

    /// Floods the server while so many clients connect, each from a network of its own; returns how many have
    /// read a greeting within five seconds of their start.
    async fn under_flood(
        &self,
        rate: u32,
        clients: usize,
        what: &str,
        source: impl Fn(u32) -> (Ipv4Addr, Option<Ipv4Addr>),
    ) -> usize {
        let (memory, sockets) = (self.process.memory(), self.process.sockets());
        let datagrams = self.datagrams(source);
        let flood = Flood::start(self.address, datagrams, rate);
        flood.reaches(u64::from(rate)).await;
        let (sent, since, busy) = (flood.sent(), Instant::now(), self.process.busy());
        let (mut connected, mut slowest) = (0, Duration::ZERO);
        let (mut most_memory, mut most_sockets) = (0, 0);
        for number in 0..clients {
            let start = Instant::now();
            let network = 100 + number % 100;
            let greeted = tokio::time::timeout(PATIENCE, self.greeted(&format!("127.7.{network}.1:0"))).await;
            if greeted.is_ok() {
                connected += 1;
                slowest = slowest.max(start.elapsed());
            }
            most_memory = most_memory.max(self.process.memory());
            most_sockets = most_sockets.max(self.process.sockets());
        }
        let seconds = since.elapsed().as_secs_f64();
        let busy = (self.process.busy() - busy).as_secs_f64() / seconds;
        let sent = (flood.sent() - sent) as f64 / seconds;
        let generator = flood.stop().as_secs_f64() / seconds;
        eprintln!(
            "{what}, {rate}/s asked, {sent:.0}/s sent: {connected} of {clients} connected, slowest {} ms; \
             server {:.0} % of a core, {} MiB more, {} sockets more; generator {:.0} % of a core",
            slowest.as_millis(),
            busy * 100.0,
            most_memory.saturating_sub(memory) >> 20,
            most_sockets.saturating_sub(sockets),
            generator * 100.0,
        );
        assert!(most_memory <= memory + (64 << 20), "{most_memory} bytes, before {memory}");
        assert!(most_sockets <= sockets + 2, "{most_sockets} sockets, before {sockets}");
        connected
    }

    /// Joins the network from an address, connects to the server and reads its greeting.
    async fn greeted(&self, bind: &str) {
        let dht = Dht::builder().bootstrap(self.network.bootstrap()).bind(bind).spawn().await.unwrap();
        loop {
            let connection = dht.connect(self.key).key_pair(KeyPair::generate()).timeout(PATIENCE).await;
            if let Ok(mut connection) = connection
                && connection.read_u8().await.is_ok()
            {
                break;
            }
        }
        dht.close().await;
    }

    /// Addresses the messages, each from its source.
    fn datagrams(&self, source: impl Fn(u32) -> (Ipv4Addr, Option<Ipv4Addr>)) -> Vec<(Ipv4Addr, Vec<u8>)> {
        let target = self.key.target();
        let numbered = (0..).zip(&self.messages);
        numbered
            .map(|(number, noise)| {
                let (from, client) = source(number);
                let mode = if client.is_some() { Mode::FromRelay } else { Mode::FromClient };
                let peer_address = client.map(|client| SocketAddrV4::new(client, 1000));
                let value =
                    HandshakeMessage { mode, noise: noise.clone(), peer_address, relay_address: None };
                let request = Request {
                    tid: number as u16,
                    to: self.address,
                    id: None,
                    token: None,
                    internal: false,
                    command: PEER_HANDSHAKE,
                    target: Some(target),
                    value: Some(value.to_bytes()),
                };
                (from, request.to_bytes())
            })
            .collect()
    }
}

/// Sends datagrams in turn, at a rate, from a thread of its own.
struct Flood {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    /// Returns the processor time that it took.
    thread: JoinHandle<Duration>,
}

impl Flood {
    fn start(to: SocketAddrV4, datagrams: Vec<(Ipv4Addr, Vec<u8>)>, rate: u32) -> Self {
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (is_over, count) = (Arc::clone(&stop), Arc::clone(&sent));
        let thread = std::thread::spawn(move || {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            let state = UdpSocketState::new((&socket).into()).unwrap();
            let start = Instant::now();
            let mut datagrams = datagrams.iter().cycle();
            while !is_over.load(Ordering::Relaxed) {
                let due = (start.elapsed().as_secs_f64() * f64::from(rate)) as u64;
                for _ in count.load(Ordering::Relaxed)..due {
                    let (from, contents) = datagrams.next().unwrap();
                    let src_ip = Some(IpAddr::V4(*from));
                    let destination = to.into();
                    let transmit = Transmit { destination, ecn: None, contents, segment_size: None, src_ip };
                    // The buffer of the socket may be full.
                    let _ = state.send((&socket).into(), &transmit);
                }
                count.store(due, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(1));
            }
            Process::this_thread()
        });
        Self { stop, sent, thread }
    }

    fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Waits until so many datagrams are sent.
    async fn reaches(&self, sent: u64) {
        while self.sent() < sent {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn stop(self) -> Duration {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Makes distinct valid first messages to a server: one client key, ephemeral keys of their own.
fn first_messages(count: u32, server: &PublicKey) -> Vec<Vec<u8>> {
    let client = KeyPair::generate();
    let payload = NoisePayload {
        version: VERSION,
        udx: Some(UdxInfo { version: 1, reusable_socket: false, id: 77, seq: 0 }),
        secret_stream: Some(1),
        ..NoisePayload::default()
    };
    let message = |number: u32| {
        let mut seed = client.public_key().target();
        seed[..4].copy_from_slice(&number.to_le_bytes());
        Initiator::start(&client, server, seed, &payload).unwrap().1
    };
    let halves = [0..count / 2, count / 2..count];
    std::thread::scope(|scope| {
        let threads = halves.map(|half| scope.spawn(|| half.map(message).collect::<Vec<_>>()));
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

fn at(address: [u8; 4]) -> Ipv4Addr {
    address.into()
}

/// How long a client has from its start to the greeting.
const PATIENCE: Duration = Duration::from_secs(5);
