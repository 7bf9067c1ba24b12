//! A message through an endpoint with one server and with a thousand: what an established stream costs must
//! not depend on them.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use hyperprofile::KeyPair;
use hyperprofile::connect::{Config, Endpoint, Event, Listen};
use hyperprofile::udx::{self, Admission, StreamId, Streams};
use hyperprofile::wire::transmit::SocketId;

fn servers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("endpoint");
    for count in [1, 1000] {
        let mut pair = Pair::new(count);
        group.bench_function(format!("message, {count} servers"), |bencher| {
            bencher.iter(|| pair.message());
        });
    }
    group.finish();
}

/// An endpoint that reads from a stream, and the other end of that.
struct Pair {
    now: Instant,
    endpoint: Endpoint,
    peer: Streams,
    ids: [StreamId; 2],
    buffer: Vec<u8>,
}

impl Pair {
    fn new(servers: u32) -> Self {
        let now = Instant::now();
        let mut endpoint = Endpoint::new(now, Config::default(), [1; 32]);
        endpoint.handle_sockets(now, address(0), address(1));
        for number in 0..servers {
            let mut seed = [0; 32];
            seed[..4].copy_from_slice(&number.to_le_bytes());
            let listen = Listen {
                identity: KeyPair::from_seed(&seed).into(),
                allow: None,
                allow_punch: None,
                relay_through: None,
                reusable_socket: false,
                lan: None,
                stream_options: udx::StreamOptions::default(),
            };
            endpoint.listen(now, listen).expect("fewer than the limit");
        }
        let mut peer = Streams::new(udx::Config::default(), [2; 32]);
        let ids = [endpoint.streams().open(Admission::Refuse), peer.open(Admission::Refuse)];
        endpoint.streams().connect(now, ids[0], SocketId::SERVER, address(2), ids[1].0);
        peer.connect(now, ids[1], SocketId::SERVER, address(0), ids[0].0);
        let buffer = Vec::new();
        Self { now, endpoint, peer, ids, buffer }
    }

    /// Takes a message of a hundred bytes from the peer and acknowledges it.
    fn message(&mut self) {
        let written = self.peer.write(self.now, self.ids[1], &[7; 100]);
        assert_eq!(written, Ok(100));
        let mut readable = false;
        for _ in 0..2 {
            self.now += Duration::from_micros(50);
            self.buffer.clear();
            while self.peer.poll_transmit(self.now, 1, &mut self.buffer).is_some() {
                self.endpoint.handle_datagram(self.now, SocketId::SERVER, address(2), &self.buffer);
                self.buffer.clear();
            }
            self.endpoint.flush(self.now);
            while let Some(event) = self.endpoint.poll_event() {
                readable |= matches!(event, Event::Stream(_, udx::Event::Readable));
            }
            let streams = self.endpoint.streams();
            streams.read(self.now, self.ids[0], usize::MAX, &mut self.buffer);
            self.buffer.clear();
            while let Some(train) = self.endpoint.poll_transmit(self.now, 1, &mut self.buffer) {
                if train.destination == address(2) {
                    self.peer.handle_datagram(self.now, SocketId::SERVER, address(0), &self.buffer);
                }
                self.buffer.clear();
            }
            self.peer.flush(self.now);
            while self.peer.poll_event().is_some() {}
            if self.endpoint.poll_timeout().is_some_and(|(at, _)| at <= self.now) {
                self.endpoint.handle_timeout(self.now);
            }
            if self.peer.poll_timeout().is_some_and(|(at, _)| at <= self.now) {
                self.peer.handle_timeout(self.now);
            }
        }
        assert!(readable, "the message has come");
    }
}

fn address(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, 5000 + port)
}

criterion_group!(benches, servers);
criterion_main!(benches);
