//! Streams that share one bottleneck, in virtual time: what congestion control does, alone and beside others.
//!
//! Everything follows from the seed, so a failing run can be repeated.

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::udx::{Admission, Config, CongestionControl, Event, StreamId, StreamStats, Streams};
use crate::wire::transmit::SocketId;

/// What the flows share.
#[derive(Clone, Copy, Debug)]
pub struct Path {
    /// Bytes per second.
    pub rate: f64,
    /// Bytes that wait at most; what does not fit is dropped.
    pub queue: usize,
    /// The round trip of the empty path.
    pub rtt: Duration,
    /// How likely a packet is lost behind the queue.
    pub loss: f64,
    /// Packets that have passed are handed on together, so often; zero is at once.
    pub gathers: Duration,
    /// Bytes per second and bytes of a token bucket in front of the queue that drops what it does not cover.
    pub policer: Option<(f64, f64)>,
}

impl Path {
    /// A path with a queue of `depth` times what it holds.
    #[must_use]
    pub fn new(rate: f64, rtt: Duration, depth: f64) -> Self {
        let queue = (rate * rtt.as_secs_f64() * depth) as usize;
        Self { rate, queue: queue.max(15_000), rtt, loss: 0.0, gathers: Duration::ZERO, policer: None }
    }
}

/// One flow: a sender that always has something to send, and its receiver.
#[derive(Debug)]
pub struct Flow {
    sender: Streams,
    receiver: Streams,
    id: StreamId,
    peer: StreamId,
    /// From when on it sends.
    starts: Instant,
    /// Bytes that the receiver has read.
    pub received: u64,
    /// Packets that the queue, or the policer, has dropped.
    pub dropped: u64,
    /// Packets sent.
    pub sent: u64,
}

/// What is under way, by its flow.
#[derive(Debug)]
enum Datagram {
    Data(usize, Vec<u8>),
    Answer(usize, Vec<u8>),
}

/// A bottleneck and its flows.
#[derive(Debug)]
pub struct Bottleneck {
    /// What they share; may change between two runs.
    pub path: Path,
    /// The time.
    pub now: Instant,
    /// The flows in the order in which they were added.
    pub flows: Vec<Flow>,
    rng: StdRng,
    queue: VecDeque<(usize, Vec<u8>)>,
    waiting: usize,
    /// When what leaves the queue now has left.
    busy_until: Option<Instant>,
    tokens: (f64, Instant),
    under_way: BTreeMap<(Instant, u64), Datagram>,
    count: u64,
}

impl Bottleneck {
    /// Makes a path without flows.
    #[must_use]
    pub fn new(seed: u64, path: Path) -> Self {
        let now = Instant::now();
        Self {
            path,
            now,
            flows: Vec::new(),
            rng: StdRng::seed_from_u64(seed),
            queue: VecDeque::new(),
            waiting: 0,
            busy_until: None,
            tokens: (path.policer.map_or(0.0, |(_, bucket)| bucket), now),
            under_way: BTreeMap::new(),
            count: 0,
        }
    }

    /// Opens a flow that has much to send from `after` on. Returns its index.
    ///
    /// Real connections carry little at first: after [`OPENING`] a flow knows the path's MTU.
    pub fn add(&mut self, algorithm: CongestionControl, after: Duration) -> usize {
        let config = Config { congestion_control: algorithm, is_protected: true, ..Config::default() };
        let mut sender = Streams::new(config.clone(), self.rng.r#gen());
        let mut receiver = Streams::new(config, self.rng.r#gen());
        let (id, peer) = (sender.open(Admission::Refuse), receiver.open(Admission::Refuse));
        sender.connect(self.now, id, SocketId::SERVER, RECEIVER, peer.0);
        sender.expect_rtt(id, self.path.rtt);
        receiver.connect(self.now, peer, SocketId::SERVER, SENDER, id.0);
        // As in every connection, both say something first, and so know the round trip and the path's MTU.
        sender.write(self.now, id, b"header").expect("the stream is open");
        receiver.write(self.now, peer, b"header").expect("the stream is open");
        let starts = self.now + after;
        self.flows.push(Flow { sender, receiver, id, peer, starts, received: 0, dropped: 0, sent: 0 });
        self.flows.len() - 1
    }

    /// Returns what the sender of a flow measures and believes.
    #[must_use]
    pub fn stats(&self, flow: usize) -> Option<StreamStats> {
        let flow = &self.flows[flow];
        flow.sender.stats(flow.id)
    }

    /// Returns how many bytes wait in the queue.
    #[must_use]
    pub const fn waiting(&self) -> usize {
        self.waiting
    }

    /// Runs until `duration` has passed.
    ///
    /// # Panics
    ///
    /// Panics if a stream ends.
    pub fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            for flow in 0..self.flows.len() {
                self.drive(flow);
            }
            match self.next() {
                Some(next) if next <= end => self.now = self.now.max(next),
                _ => break,
            }
            self.pass();
            self.deliver();
        }
        self.now = end;
    }

    /// Returns when something happens next.
    fn next(&self) -> Option<Instant> {
        let timers = self.flows.iter().flat_map(|flow| {
            let timers =
                [&flow.sender, &flow.receiver].map(|streams| streams.poll_timeout().map(|(at, _)| at));
            let starts = Some(flow.starts).filter(|starts| *starts > self.now);
            timers.into_iter().chain([starts]).flatten()
        });
        let arrival = self.under_way.first_key_value().map(|((at, _), _)| *at);
        timers.chain(arrival).chain(self.busy_until).min()
    }

    /// Lets a flow do all it can at this time.
    fn drive(&mut self, index: usize) {
        let now = self.now;
        let flow = &mut self.flows[index];
        for streams in [&mut flow.sender, &mut flow.receiver] {
            if streams.poll_timeout().is_some_and(|(at, _)| at <= now) {
                streams.handle_timeout(now);
            }
            while let Some((_, event)) = streams.poll_event() {
                assert!(!matches!(event, Event::Closed(_)), "{event:?}");
            }
        }
        let mut out = Vec::new();
        flow.received += flow.receiver.read(now, flow.peer, usize::MAX, &mut out) as u64;
        if flow.starts <= now {
            while flow.sender.write(now, flow.id, &CHUNK).expect("the stream is open") == CHUNK.len() {}
        }
        let (mut data, mut answers) = (Vec::new(), Vec::new());
        let mut buffer = Vec::new();
        while let Some(train) = flow.sender.poll_transmit(now, 64, &mut buffer) {
            data.extend(buffer.chunks(train.segment_size).map(<[u8]>::to_vec));
            buffer.clear();
        }
        while let Some(train) = flow.receiver.poll_transmit(now, 64, &mut buffer) {
            answers.extend(buffer.chunks(train.segment_size).map(<[u8]>::to_vec));
            buffer.clear();
        }
        flow.sent += data.len() as u64;
        for datagram in data {
            self.enqueue(index, datagram);
        }
        for datagram in answers {
            self.put(now + self.path.rtt / 2, Datagram::Answer(index, datagram));
        }
    }

    fn enqueue(&mut self, flow: usize, datagram: Vec<u8>) {
        let size = datagram.len() + OVERHEAD;
        if !self.police(size) || self.waiting + size > self.path.queue {
            self.flows[flow].dropped += 1;
            return;
        }
        self.waiting += size;
        self.queue.push_back((flow, datagram));
        if self.busy_until.is_none() {
            self.start_next();
        }
    }

    fn police(&mut self, size: usize) -> bool {
        let Some((rate, bucket)) = self.path.policer else {
            return true;
        };
        let (tokens, at) = self.tokens;
        let tokens = (tokens + rate * (self.now - at).as_secs_f64()).min(bucket);
        let passes = tokens >= size as f64;
        self.tokens = (if passes { tokens - size as f64 } else { tokens }, self.now);
        passes
    }

    fn start_next(&mut self) {
        self.busy_until = self.queue.front().map(|(_, datagram)| {
            let size = (datagram.len() + OVERHEAD) as f64;
            self.now + Duration::from_secs_f64(size / self.path.rate)
        });
    }

    /// Lets what has left the queue travel on.
    fn pass(&mut self) {
        if self.busy_until.is_none_or(|at| at > self.now) {
            return;
        }
        let (flow, datagram) = self.queue.pop_front().expect("what leaves was in the queue");
        self.waiting -= datagram.len() + OVERHEAD;
        self.start_next();
        if self.rng.gen_bool(self.path.loss) {
            return;
        }
        let mut at = self.now + self.path.rtt / 2;
        let every = self.path.gathers.as_nanos();
        if every > 0 {
            let since = (at - self.flows[0].starts).as_nanos();
            at += Duration::from_nanos((every - since % every) as u64);
        }
        self.put(at, Datagram::Data(flow, datagram));
    }

    fn put(&mut self, at: Instant, datagram: Datagram) {
        self.count += 1;
        self.under_way.insert((at, self.count), datagram);
    }

    fn deliver(&mut self) {
        let now = self.now;
        let mut touched = Vec::new();
        while let Some(entry) = self.under_way.first_entry()
            && entry.key().0 <= now
        {
            match entry.remove() {
                Datagram::Data(index, datagram) => {
                    self.flows[index].receiver.handle_datagram(now, SocketId::SERVER, SENDER, &datagram);
                    touched.push(index);
                }
                Datagram::Answer(index, datagram) => {
                    self.flows[index].sender.handle_datagram(now, SocketId::SERVER, RECEIVER, &datagram);
                    touched.push(index);
                }
            }
        }
        for index in touched {
            let flow = &mut self.flows[index];
            flow.sender.flush(now);
            flow.receiver.flush(now);
        }
    }
}

/// How long a flow should be open before it has much to send.
pub const OPENING: Duration = Duration::from_secs(1);
const SENDER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 1), 7000);
const RECEIVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 2), 7000);
const CHUNK: [u8; 16 << 10] = [7; 16 << 10];
/// The headers of IPv4 and UDP.
const OVERHEAD: usize = 28;
