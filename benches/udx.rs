//! The stream engine by itself: bytes through two tables that hand each other their trains, without sockets.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hyperprofile::udx::{Admission, Config, StreamId, Streams};
use hyperprofile::wire::transmit::SocketId;

/// Bytes per run of a transfer.
const BYTES: usize = 16 << 20;

/// Virtual time that a train takes.
const DELAY: Duration = Duration::from_micros(50);

fn transfer(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("udx");
    group.throughput(Throughput::Bytes(BYTES as u64));
    group.sample_size(20);
    for (name, lose) in [("transfer", 0), ("transfer, 1 % lost", 100)] {
        let mut pair = Pair::new(lose);
        group.bench_function(name, |bencher| bencher.iter(|| pair.transfer(BYTES)));
    }
    for (side, name) in ["send path", "receive path"].into_iter().enumerate() {
        let mut pair = Pair::new(0);
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|runs| {
                pair.spent = [Duration::ZERO; 2];
                for _ in 0..runs {
                    pair.transfer(BYTES);
                }
                pair.spent[side]
            });
        });
    }
    group.finish();
}

/// A sender and a receiver.
struct Pair {
    now: Instant,
    ends: [Streams; 2],
    ids: [StreamId; 2],
    /// Every so many datagrams one is lost; none if zero.
    lose: usize,
    count: usize,
    /// Real time that each side has worked.
    spent: [Duration; 2],
    read: Vec<u8>,
    chunk: Vec<u8>,
    train: Vec<u8>,
}

impl Pair {
    fn new(lose: usize) -> Self {
        let now = Instant::now();
        let mut ends = [1, 2].map(|seed| Streams::new(Config::default(), [seed; 32]));
        let ids = ends.each_mut().map(|end| end.open(Admission::Refuse));
        for side in 0..2 {
            let remote = ids[1 - side].0;
            ends[side].connect(now, ids[side], SocketId::SERVER, address(1 - side), remote);
        }
        Self {
            now,
            ends,
            ids,
            lose,
            count: 0,
            spent: [Duration::ZERO; 2],
            read: Vec::new(),
            chunk: vec![7; 64 << 10],
            train: Vec::new(),
        }
    }

    fn transfer(&mut self, bytes: usize) {
        let (mut written, mut read) = (0, 0);
        while read < bytes {
            let start = Instant::now();
            while written < bytes {
                let chunk = &self.chunk[..self.chunk.len().min(bytes - written)];
                let taken = self.ends[0].write(self.now, self.ids[0], chunk).expect("the stream is open");
                written += taken;
                if taken < chunk.len() {
                    break;
                }
            }
            self.spent[0] += start.elapsed();
            let moved = self.exchange(0) | self.exchange(1);
            let start = Instant::now();
            self.read.clear();
            read += self.ends[1].read(self.now, self.ids[1], usize::MAX, &mut self.read);
            self.spent[1] += start.elapsed();
            for end in &mut self.ends {
                while end.poll_event().is_some() {}
            }
            self.advance(moved);
        }
    }

    /// Hands all trains of one side to the other, as one batch.
    fn exchange(&mut self, from: usize) -> bool {
        let [a, b] = &mut self.ends;
        let (sender, receiver) = if from == 0 { (a, b) } else { (b, a) };
        let mut moved = false;
        for _ in 0..4 {
            self.train.clear();
            let start = Instant::now();
            let train = sender.poll_transmit(self.now, 64, &mut self.train);
            self.spent[from] += start.elapsed();
            let Some(train) = train else {
                break;
            };
            moved = true;
            let start = Instant::now();
            for datagram in self.train.chunks(train.segment_size) {
                self.count += 1;
                if self.lose == 0 || !self.count.is_multiple_of(self.lose) {
                    receiver.handle_datagram(self.now + DELAY, SocketId::SERVER, address(from), datagram);
                }
            }
            self.spent[1 - from] += start.elapsed();
        }
        let start = Instant::now();
        receiver.flush(self.now + DELAY);
        self.spent[1 - from] += start.elapsed();
        moved
    }

    fn advance(&mut self, moved: bool) {
        self.now += DELAY;
        if !moved && let Some(at) = self.ends.iter().filter_map(Streams::poll_timeout).map(|(at, _)| at).min()
        {
            self.now = self.now.max(at);
        }
        for end in &mut self.ends {
            end.handle_timeout(self.now);
        }
    }
}

const fn address(side: usize) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, 4000 + side as u16)
}

criterion_group!(benches, transfer);
criterion_main!(benches);
