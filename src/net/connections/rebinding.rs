//! Connections of which one side's router gives it another address in the middle.

use std::net::SocketAddrV4;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::io::ReadBuf;
use tokio::sync::mpsc;

use super::Connections;
use crate::connect::noise::Session;
use crate::connect::{AttemptId, Config, Endpoint, Established, Event, Origin, Path, Report, ServerId};
use crate::keys::KeyPair;
use crate::net::link::Link;
use crate::net::settings::Settings;
use crate::secret_stream::Keys;
use crate::sim::nat::{NatId, Router};
use crate::sim::network::{self, Host, HostId, Network};
use crate::udx::{Admission, StreamId};
use crate::wire::packet::{DATA, DESTROY, END, HEARTBEAT, MESSAGE, PacketHeader};
use crate::wire::transmit::{SocketId, Transmit};

#[test]
fn an_upload_goes_on_within_a_round_trip_when_the_senders_router_forgets_it() {
    for seed in 0..20 {
        let mut world = World::new(seed, 0.0);
        let gap = world.transfer_and_rebind(world.client, world.server);
        assert!(gap <= ROUND_TRIP + Duration::from_millis(200), "seed {seed}: {gap:?}");
    }
}

#[test]
fn a_download_goes_on_within_a_round_trip_when_the_receivers_router_forgets_it() {
    for seed in 0..20 {
        let mut world = World::new(seed, 0.0);
        let gap = world.transfer_and_rebind(world.server, world.client);
        assert!(gap <= ROUND_TRIP + Duration::from_millis(200), "seed {seed}: {gap:?}");
    }
}

#[test]
fn a_transfer_goes_on_though_packets_are_lost_when_a_router_forgets_it() {
    for seed in 0..20 {
        for up in [true, false] {
            let mut world = World::new(100 + seed, 0.02);
            let (from, to) = if up { (world.client, world.server) } else { (world.server, world.client) };
            let gap = world.transfer_and_rebind(from, to);
            assert!(gap <= Duration::from_secs(2), "seed {seed}, up {up}: {gap:?}");
        }
    }
}

#[test]
fn a_router_may_forget_a_transfer_again_and_again() {
    for (seed, up) in [(0, true), (1, false), (2, true), (3, false)] {
        let mut world = World::new(seed, 0.01);
        let (from, to) = if up { (world.client, world.server) } else { (world.server, world.client) };
        world.start(from);
        for _ in 0..10 {
            world.network.run_for(Duration::from_millis(700));
            world.network.restart_nat(world.nat);
        }
        world.finish(from, to);
    }
}

#[test]
fn a_silent_connection_is_found_again_by_its_keep_alive() {
    for seed in 0..20 {
        let mut world = World::new(seed, 0.0);
        world.network.run_for(Duration::from_secs(12) + Duration::from_millis(173 * seed));
        let before = world.seen_at();
        world.network.restart_nat(world.nat);
        // A keep-alive, its time-out, and the way of what shows the new address.
        world.network.run_for(Duration::from_secs(6));
        assert_ne!(world.seen_at(), before, "seed {seed}");
        world.write(world.server, 1000);
        world.network.run_for(ROUND_TRIP);
        assert_eq!(world.network.host(world.client).read, 1000, "seed {seed}");
        world.network.run_for(Duration::from_secs(60));
        assert!(world.ends().iter().all(Option::is_none), "seed {seed}: {:?}", world.ends());
    }
}

#[test]
fn what_waits_for_a_peer_that_was_silent_comes_when_its_keep_alive_does() {
    for seed in 0..20 {
        let mut world = World::new(seed, 0.0);
        world.network.run_for(Duration::from_secs(12) + Duration::from_millis(173 * seed));
        world.network.restart_nat(world.nat);
        world.write(world.server, 60_000);
        world.network.run_for(Duration::from_secs(8));
        assert_eq!(world.network.host(world.client).read, 60_000, "seed {seed}");
    }
}

#[test]
fn a_hundred_thousand_packets_from_wrong_places_move_nothing() {
    let mut world = World::new(3, 0.0);
    world.network.capture = Some(Vec::new());
    world.start(world.client);
    world.network.run_for(Duration::from_secs(1));
    let (server, before) = (world.server, world.seen_at());
    // All that the peer has sent, which a host on the path has kept.
    let seen = world.network.capture.take().unwrap();
    let seen: Vec<_> = seen.into_iter().filter(|packet| packet.to == SERVER).collect();
    world.network.capture = Some(Vec::new());
    let stream = world.network.host(server).link().stream();
    let mut rng = StdRng::seed_from_u64(7);
    let memory = world.network.with(server, |peer, _| peer.endpoint.streams().memory());
    for count in 0..100_000_u32 {
        let from = SocketAddrV4::new(rng.gen_range(0x0b00_0000..0x0c00_0000_u32).into(), rng.r#gen());
        let packet = if count % 2 == 0 {
            seen[rng.gen_range(0..seen.len())].payload.clone()
        } else {
            forged(&mut rng, stream, seen.last().unwrap().payload[12..20].try_into().unwrap())
        };
        world.network.inject(from, SERVER, packet);
        if count % 100 == 0 {
            world.network.run_for(Duration::from_millis(2));
        }
    }
    world.network.run_for(Duration::from_millis(100));
    assert_eq!(world.seen_at(), before);
    let held = world.network.with(server, |peer, _| peer.endpoint.streams().memory());
    assert!(held < memory + (1 << 20), "{held} bytes");
    let sent = world.network.capture.take().unwrap();
    let strays = sent.iter().filter(|packet| packet.from == SERVER && packet.to != before);
    let strays: Vec<_> = strays.map(|packet| packet.payload.len()).collect();
    // 2.1 s, one each 20 ms.
    assert!(strays.len() <= 110 && strays.iter().all(|length| *length == 20), "{strays:?}");
    world.finish(world.client, server);
}

#[test]
fn a_host_that_passes_on_the_peers_packets_sooner_holds_the_path_until_its_next_one() {
    let mut world = World::new(4, 0.0);
    world.network.capture = Some(Vec::new());
    world.start(world.client);
    world.network.run_for(Duration::from_secs(1));
    let (before, elsewhere) = (world.seen_at(), "11.0.0.1:7".parse().unwrap());
    // Those on the way come from elsewhere as well, a moment before.
    let recent = world.network.capture.take().unwrap();
    for packet in recent.into_iter().rev().take(200).rev().filter(|packet| packet.to == SERVER) {
        world.network.with(world.server, |peer, now| {
            peer.handle_datagram(now, SocketId::SERVER, elsewhere, &packet.payload);
        });
    }
    assert_eq!(world.seen_at(), elsewhere);
    world.network.run_for(Duration::from_millis(100));
    assert_eq!(world.seen_at(), before);
    world.finish(world.client, world.server);
}

/// A packet that would matter if it were the peer's, with numbers near the right ones.
fn forged(rng: &mut StdRng, stream: StreamId, numbers: [u8; 8]) -> Vec<u8> {
    let [seq, ack] = [0, 4].map(|at| u32::from_le_bytes(numbers[at..at + 4].try_into().unwrap()));
    let kind = [0, DATA, DATA | END, END, MESSAGE, HEARTBEAT, DESTROY][rng.gen_range(0..7)];
    let header = PacketHeader {
        kind,
        data_offset: 0,
        stream_id: stream.0,
        window: rng.r#gen(),
        seq: seq.wrapping_add(rng.gen_range(0..200)),
        ack,
    };
    let mut packet = header.to_bytes().to_vec();
    // As often as not a whole frame.
    packet.extend_from_slice(&[if rng.r#gen() { 17 } else { 200 }, 0, 0]);
    packet.resize(40 + rng.gen_range(0..200), rng.r#gen());
    packet
}

/// A client behind a router, and a server that is connected with it.
struct World {
    network: Network<Peer>,
    nat: NatId,
    client: HostId,
    server: HostId,
}

impl World {
    fn new(seed: u64, loss: f64) -> Self {
        let delay = ROUND_TRIP / 2;
        let link = network::Link { delay, jitter: Duration::ZERO, loss: 0.0, duplication: 0.0 };
        let mut network = Network::new(seed, link);
        let nat = network.add_nat(Router::CONE, [198, 51, 100, 9].into(), None);
        let now = network.now();
        let [mut client, mut server] = [(); 2].map(|()| Peer::new(now, network.seed()));
        let ids = [&mut client, &mut server].map(|peer| peer.endpoint.streams().open(Admission::Refuse));
        let streams = server.endpoint.streams();
        streams.set_admission(ids[1], Admission::LearnPath);
        streams.set_remote_id(ids[1], ids[0].0);
        client.endpoint.streams().connect(now, ids[0], SocketId::SERVER, SERVER, ids[1].0);
        client.open(now, ids[0], true);
        server.open(now, ids[1], false);
        let client =
            network.add_behind(Some(nat), client, &[(SocketId::SERVER, "10.0.0.2:5000".parse().unwrap())]);
        let server = network.add(server, &[(SocketId::SERVER, SERVER)]);
        network.run_for(Duration::from_millis(500));
        network.link.loss = loss;
        Self { network, nat, client, server }
    }

    /// Sends at 300 kB/s from one to the other, drops the mappings of the router in the middle, and checks
    /// that all comes. Returns the longest time in which nothing did.
    fn transfer_and_rebind(&mut self, from: HostId, to: HostId) -> Duration {
        self.start(from);
        let seed: u64 = self.network.seed()[0].into();
        self.network.run_for(Duration::from_millis(1000 + seed));
        self.network.with(to, |peer, _| peer.longest = Duration::ZERO);
        let before = self.seen_at();
        self.network.restart_nat(self.nat);
        self.network.run_for(Duration::from_secs(3));
        assert_ne!(self.seen_at(), before);
        let longest = self.network.host(to).longest;
        self.finish(from, to);
        longest
    }

    fn start(&mut self, from: HostId) {
        self.network.with(from, |peer, now| peer.writes_at = Some(now));
    }

    /// Waits until all that was written has come.
    fn finish(&mut self, from: HostId, to: HostId) {
        self.network.with(from, |peer, _| peer.writes_at = None);
        let written = self.network.host(from).written;
        self.network.run_until(Duration::from_secs(20), |network| network.host(to).read == written);
        assert!(self.ends().iter().all(Option::is_none));
    }

    fn write(&mut self, from: HostId, count: usize) {
        self.network.with(from, |peer, now| {
            peer.write(count);
            peer.work(now);
        });
    }

    /// Returns where the client is for the server.
    fn seen_at(&self) -> SocketAddrV4 {
        self.network.host(self.server).link().route().1
    }

    fn ends(&self) -> [Option<crate::net::link::End>; 2] {
        [self.client, self.server].map(|id| self.network.host(id).link().end())
    }
}

/// A node with one connection, and what its user does.
struct Peer {
    endpoint: Endpoint,
    connections: Connections,
    wakeups: mpsc::UnboundedReceiver<StreamId>,
    link: Option<Arc<Link>>,
    /// When the user writes again.
    writes_at: Option<Instant>,
    written: usize,
    read: usize,
    read_at: Option<Instant>,
    longest: Duration,
}

impl Peer {
    fn new(now: Instant, seed: [u8; 32]) -> Self {
        let (wake, wakeups) = mpsc::unbounded_channel();
        let settings = Settings { message: 1 << 20, receive_memory: 256 << 20, ..Settings::for_tests() };
        Self {
            endpoint: Endpoint::new(now, Config::default(), seed),
            connections: Connections::new(&settings, wake),
            wakeups,
            link: None,
            writes_at: None,
            written: 0,
            read: 0,
            read_at: None,
            longest: Duration::ZERO,
        }
    }

    /// Begins the connection, as after the handshake.
    fn open(&mut self, now: Instant, stream: StreamId, is_client: bool) {
        let (tx, rx) = if is_client { ([1; 32], [2; 32]) } else { ([2; 32], [1; 32]) };
        let keys = Keys::new(&tx, &rx, &[3; 64], is_client);
        self.endpoint.streams().expect_prefix(stream, keys.remote_prefix().to_vec());
        let established = Established {
            origin: if is_client { Origin::Attempt(AttemptId(1)) } else { Origin::Server(ServerId(1)) },
            stream,
            session: Session {
                keys,
                holepunch_secret: [0; 32].into(),
                own_key: *KeyPair::from_seed(&[6; 32]).public_key(),
                remote_public_key: *KeyPair::from_seed(&[4; 32]).public_key(),
            },
            path: Path::Direct,
            remote: SERVER,
            report: Report::default(),
        };
        self.link = Some(self.connections.open(now, &mut self.endpoint, &established));
    }

    fn link(&self) -> &Link {
        self.link.as_deref().expect("it is open")
    }

    /// Does what the driver and the user do.
    fn work(&mut self, now: Instant) {
        self.endpoint.flush(now);
        loop {
            let mut idle = true;
            while let Some(event) = self.endpoint.poll_event() {
                idle = false;
                if let Event::Stream(stream, event) = event {
                    self.connections.handle_event(now, &mut self.endpoint, stream, event);
                }
            }
            while let Ok(stream) = self.wakeups.try_recv() {
                idle = false;
                self.connections.service(now, &mut self.endpoint, stream);
            }
            if self.read(now) == 0 && idle {
                return;
            }
        }
    }

    /// Writes so many bytes, or as many as the link takes.
    fn write(&mut self, count: usize) {
        let end = self.written + count;
        while self.written < end {
            let bytes: Vec<u8> = (self.written..end).map(byte).collect();
            match self.link().poll_write(&mut Context::from_waker(Waker::noop()), &bytes) {
                Poll::Ready(written) => self.written += written.expect("it goes on"),
                Poll::Pending => break,
            }
        }
    }

    fn read(&mut self, now: Instant) -> usize {
        let mut bytes = vec![0; 1 << 16];
        let mut buffer = ReadBuf::new(&mut bytes);
        let link = self.link.clone().expect("it is open");
        // What was read is in the buffer; an end, or an error, leaves it empty, and the transfer incomplete.
        let _ = link.poll_read(&mut Context::from_waker(Waker::noop()), &mut buffer);
        let count = buffer.filled().len();
        if count > 0 {
            let expected = (self.read..self.read + count).map(byte);
            assert!(buffer.filled().iter().copied().eq(expected), "other bytes came");
            self.read += count;
            let pause = now - self.read_at.replace(now).unwrap_or(now);
            self.longest = self.longest.max(pause);
        }
        count
    }
}

impl Host for Peer {
    fn handle_datagram(&mut self, now: Instant, socket: SocketId, from: SocketAddrV4, datagram: &[u8]) {
        self.endpoint.handle_datagram(now, socket, from, datagram);
        self.work(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.endpoint.poll_timeout().is_some_and(|(at, _)| at <= now) {
            self.endpoint.handle_timeout(now);
        }
        if let Some(at) = self.writes_at.filter(|at| *at <= now) {
            self.writes_at = Some(at + Duration::from_millis(10));
            self.write(3_000);
        }
        self.work(now);
    }

    fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        let mut payload = Vec::new();
        let train = self.endpoint.poll_transmit(now, 1, &mut payload)?;
        let (ttl, may_fragment) = (train.ttl, train.may_fragment);
        Some(Transmit { socket: train.socket, destination: train.destination, ttl, may_fragment, payload })
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.endpoint.poll_timeout().map(|(at, _)| at).into_iter().chain(self.writes_at).min()
    }
}

fn byte(place: usize) -> u8 {
    ((place as u32).wrapping_mul(2_654_435_761) >> 24) as u8
}

const ROUND_TRIP: Duration = Duration::from_millis(50);
const SERVER: SocketAddrV4 = SocketAddrV4::new(std::net::Ipv4Addr::new(203, 0, 113, 5), 4000);
