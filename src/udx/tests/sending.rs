//! What all streams together hold that was sent and is not acknowledged.

use std::collections::{BTreeSet, VecDeque};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use crate::udx::{Admission, Config, StreamId, Streams};
use crate::wire::packet::{HEADER_LEN, PacketHeader};
use crate::wire::transmit::SocketId;

#[test]
fn a_few_streams_without_acknowledgements_stay_within_the_memory_and_leave_a_part_for_a_new_one() {
    let mut world = World::new();
    let first: Vec<_> = (0..8).map(|number| world.open(number)).collect();
    // The windows become wide, and then the peers fall silent.
    world.run(400, &first, |_| true);
    let before = world.delivered(first[0]);
    assert!(before > 1 << 20, "{before}");
    world.run(100, &first, |_| false);
    let held = world.streams.sent_memory();
    assert!((LIMIT / 2..LIMIT).contains(&held), "{held}");

    let new = world.open(8);
    world.run(200, &[new], |id| id == new);
    let delivered = world.delivered(new);
    assert!(delivered > 1 << 20, "{delivered}");
    world.run(100, &[new], |_| false);
    let part = world.streams.sent_memory() - held;
    assert!(part > LIMIT / 20, "{part}");

    // What is gone is free again.
    for id in first.into_iter().chain([new]) {
        world.streams.destroy(world.now, id);
    }
    assert_eq!(world.streams.sent_memory(), 0);
}

#[test]
fn streams_that_are_very_many_have_a_packet_each_and_little_more() {
    let mut world = World::new();
    let many: Vec<_> = (0..2000).map(|number| world.open(number)).collect();
    world.run(1, &many, |_| false);
    let held = world.streams.sent_memory();
    assert!(held < LIMIT + many.len() * (4 << 10), "{held}");
    assert_eq!(world.out.len(), many.len(), "each has sent something");
    // A late one gets on, packet by packet, as fast as it is answered.
    let new = world.open(2000);
    world.run(100, &[new], |id| id == new);
    assert!(world.delivered(new) > 20_000, "{}", world.delivered(new));
}

/// Streams of one table, and peers that acknowledge everything after 5 ms, or nothing.
struct World {
    streams: Streams,
    now: Instant,
    /// When which stream's peer has everything below which number.
    under_way: VecDeque<(Instant, StreamId, u32)>,
    /// The streams that have sent packets with numbers.
    out: BTreeSet<StreamId>,
}

impl World {
    fn new() -> Self {
        let config = Config { send_memory: LIMIT, max_loopback_payload: 1452, ..Config::default() };
        let streams = Streams::new(config, [5; 32]);
        Self { streams, now: Instant::now(), under_way: VecDeque::new(), out: BTreeSet::new() }
    }

    fn open(&mut self, number: u32) -> StreamId {
        let id = self.streams.open_as(number, Admission::Refuse);
        self.streams.connect(self.now, id, SocketId::SERVER, PEER, number);
        id
    }

    fn delivered(&self, id: StreamId) -> u64 {
        self.streams.stats(id).expect("it is open").delivered
    }

    /// Runs for so many milliseconds, in which `writers` write as much as is taken, and the peers of those
    /// answer for which `answers` returns true.
    fn run(&mut self, millis: u32, writers: &[StreamId], answers: impl Fn(StreamId) -> bool) {
        for _ in 0..millis {
            for id in writers {
                self.streams.write(self.now, *id, &BYTES).expect("it is open");
            }
            self.transmit(&answers);
            assert!(self.streams.sent_memory() < LIMIT + self.out.len() * (4 << 10));
            self.now += Duration::from_millis(1);
            while let Some((at, id, ack)) = self.under_way.front().copied()
                && at <= self.now
            {
                self.under_way.pop_front();
                let (stream_id, window) = (id.0, u32::MAX);
                let header = PacketHeader { kind: 0, data_offset: 0, stream_id, window, seq: 0, ack };
                self.streams.handle_datagram(self.now, SocketId::SERVER, PEER, &header.to_bytes());
            }
            self.streams.flush(self.now);
            self.streams.handle_timeout(self.now);
        }
    }

    fn transmit(&mut self, answers: impl Fn(StreamId) -> bool) {
        let mut train = Vec::new();
        while let Some(sent) = self.streams.poll_transmit(self.now, 64, &mut train) {
            for datagram in train.chunks(sent.segment_size).filter(|datagram| datagram.len() > HEADER_LEN) {
                let (header, _) = PacketHeader::split(datagram).expect("a packet");
                // Both sides have the same ids.
                let id = StreamId(header.stream_id);
                self.out.insert(id);
                if answers(id) {
                    self.under_way.push_back((self.now + Duration::from_millis(5), id, header.seq + 1));
                }
            }
            train.clear();
        }
    }
}

const BYTES: [u8; 16 << 10] = [7; 16 << 10];
const LIMIT: usize = 4 << 20;
const PEER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1000);
