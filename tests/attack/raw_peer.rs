//! A peer that shakes hands like any other and then writes its packets itself.

use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

use hyperprofile::connect::{Config, Dial, Endpoint, Established, Event};
use hyperprofile::secret_stream::Push;
use hyperprofile::udx::{self, StreamId};
use hyperprofile::wire::packet::{DATA, PacketHeader};
use hyperprofile::wire::transmit::SocketId;
use hyperprofile::{KeyPair, PublicKey};

/// Many clients on two sockets, each with a key and a stream of its own.
pub(crate) struct RawPeer {
    endpoint: Endpoint,
    sockets: [(SocketId, UdpSocket); 2],
    server: SocketAddrV4,
    key: PublicKey,
    pub(crate) streams: Vec<RawStream>,
    /// Streams that the server has ended.
    pub(crate) closed: usize,
    attempts_failed: usize,
}

/// An established stream whose key is proven.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawStream {
    id: StreamId,
    /// The id that the server gave the stream.
    remote_id: u32,
    socket: SocketId,
}

impl RawPeer {
    /// Makes a peer that connects to the server with `key` at `server`, on loopback.
    pub(crate) fn new(server: SocketAddrV4, key: &str) -> Self {
        let now = Instant::now();
        let mut config = Config::default();
        config.dht.private_network = true;
        let mut endpoint = Endpoint::new(now, config, rand::random());
        let sockets = [SocketId::SERVER, SocketId::CLIENT].map(|id| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_nonblocking(true).unwrap();
            (id, socket)
        });
        let local = |socket: &UdpSocket| match socket.local_addr().unwrap() {
            SocketAddr::V4(address) => address,
            SocketAddr::V6(_) => unreachable!("bound to an IPv4 address"),
        };
        endpoint.handle_sockets(now, local(&sockets[0].1), local(&sockets[1].1));
        let key = key.parse().unwrap();
        Self { endpoint, sockets, server, key, streams: Vec::new(), closed: 0, attempts_failed: 0 }
    }

    /// Connects under so many keys that nobody has seen, `at_once` of them at a time; returns how many
    /// streams were established.
    pub(crate) fn connect(&mut self, count: usize, at_once: usize) -> usize {
        let before = self.streams.len();
        let (mut begun, failed) = (0, self.attempts_failed);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ended = self.streams.len() - before + self.attempts_failed - failed;
            if ended == count || Instant::now() > deadline {
                return self.streams.len() - before;
            }
            while begun < count && begun - ended < at_once {
                let dial = Dial {
                    nodes: vec![self.server],
                    only_nodes: true,
                    timeout: Duration::from_secs(20),
                    ..Dial::new(self.key, KeyPair::generate())
                };
                self.endpoint.connect(Instant::now(), dial);
                begun += 1;
            }
            self.turn();
        }
    }

    /// Answers what the server asks, for a time.
    pub(crate) fn live(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.turn();
        }
    }

    /// Sends a packet of a stream that follows the first unsent one at a distance.
    pub(crate) fn send_ahead(&self, stream: &RawStream, distance: u32, payload: &[u8]) {
        let header = PacketHeader {
            kind: DATA,
            data_offset: 0,
            stream_id: stream.remote_id,
            window: 4 << 20,
            // The first packet had the number 0.
            seq: 1 + distance,
            ack: 0,
        };
        let datagram = [&header.to_bytes(), payload].concat();
        // A packet that the system does not take is lost.
        let _ = self.socket(stream.socket).send_to(&datagram, self.server);
    }

    /// Ends all streams at once, as a program does that closes.
    pub(crate) fn destroy_all(&mut self) {
        let now = Instant::now();
        for stream in self.streams.drain(..) {
            self.endpoint.streams().destroy(now, stream.id);
            Self::drain(&mut self.endpoint, &self.sockets, now, |_| {});
        }
    }

    fn socket(&self, id: SocketId) -> &UdpSocket {
        &self.sockets[usize::from(id != SocketId::SERVER)].1
    }

    /// Takes what has come, does what is due, sends.
    fn turn(&mut self) {
        let now = Instant::now();
        let mut any = false;
        let mut buffer = [0; 2048];
        for (id, socket) in &self.sockets {
            while let Ok((length, SocketAddr::V4(from))) = socket.recv_from(&mut buffer) {
                self.endpoint.handle_datagram(now, *id, from, &buffer[..length]);
                any = true;
            }
        }
        if any {
            self.endpoint.flush(now);
        }
        if self.endpoint.poll_timeout().is_some_and(|(at, _)| at <= now) {
            self.endpoint.handle_timeout(now);
        }
        while let Some(job) = self.endpoint.poll_job(now) {
            self.endpoint.handle_job(now, job.run());
        }
        while let Some(event) = self.endpoint.poll_event() {
            any = true;
            match event {
                Event::Established(established) => self.prove(now, &established),
                Event::Failed { .. } => self.attempts_failed += 1,
                Event::Stream(_, udx::Event::Closed(_)) => self.closed += 1,
                _ => {}
            }
        }
        Self::drain(&mut self.endpoint, &self.sockets, now, |_| {});
        if !any {
            std::thread::yield_now();
        }
    }

    /// Sends the header of the encrypted stream and an empty message, which prove the key.
    fn prove(&mut self, now: Instant, established: &Established) {
        let mut push = Push::new(&established.session.keys, &mut rand::rngs::OsRng);
        let mut first = push.header().to_vec();
        push.seal(&[], &mut first).unwrap();
        Self::drain(&mut self.endpoint, &self.sockets, now, |_| {});
        let id = established.stream;
        self.endpoint.streams().write(now, id, &first).unwrap();
        let mut remote_id = None;
        Self::drain(&mut self.endpoint, &self.sockets, now, |datagram| {
            let header = PacketHeader::split(datagram).map(|(header, _)| header);
            if let Some(header) = header.filter(|header| header.has(DATA)) {
                remote_id = Some(header.stream_id);
            }
        });
        let (socket, _) = self.endpoint.streams().path(id).unwrap();
        let remote_id = remote_id.expect("an established stream sends at once");
        self.streams.push(RawStream { id, remote_id, socket });
    }

    fn drain(
        endpoint: &mut Endpoint,
        sockets: &[(SocketId, UdpSocket); 2],
        now: Instant,
        mut see: impl FnMut(&[u8]),
    ) {
        let mut buffer = Vec::new();
        while let Some(train) = endpoint.poll_transmit(now, 1, &mut buffer) {
            see(&buffer);
            let socket = &sockets[usize::from(train.socket != SocketId::SERVER)].1;
            // A datagram that the system does not take is lost.
            let _ = socket.send_to(&buffer, train.destination);
            buffer.clear();
        }
    }
}

/// How long the server may take for all handshakes.
const PATIENCE: Duration = Duration::from_secs(60);
