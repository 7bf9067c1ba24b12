//! Whatever comes in whatever order: no panic, no spin, no growth.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use crate::udx::streams::{MAX_FAREWELLS, MAX_UNREAD};
use crate::udx::{Admission, Config, StreamId, Streams};
use crate::wire::packet::{DATA, DESTROY, HEADER_LEN, PacketHeader};
use crate::wire::transmit::SocketId;

/// One thing that may happen to a table of four streams.
#[derive(Clone, Debug)]
enum Op {
    Datagram { stream: u8, from: u16, kind: u8, offset: u8, window: u32, seq: i32, ack: i32, rest: Vec<u8> },
    Bytes(Vec<u8>),
    Write(u8, u16),
    Read(u8, u16),
    Finish(u8),
    Destroy(u8),
    Message(u8, u16),
    Connect(u8, u16),
    ChangeRemote(u8, u16),
    KeepAlive(u8, u16),
    Expect(u8, Vec<u8>),
    Admit(u8, u8),
    Open(u8),
    Wait(u32),
    Timeout,
    Flush,
    Transmit(u8),
}

fn op() -> impl Strategy<Value = Op> {
    let near = prop_oneof![6 => -3..40i32, 1 => any::<i32>()];
    let kind = prop_oneof![6 => prop::sample::select(vec![0u8, 1, 2, 3, 4, 8, 32]), 1 => any::<u8>()];
    let rest = prop_oneof![
        3 => prop::collection::vec(any::<u8>(), 0..40),
        2 => prop::collection::vec(0..30u32, 0..20)
            .prop_map(|words| words.into_iter().flat_map(u32::to_le_bytes).collect()),
        1 => (0..3000usize).prop_map(|length| vec![7; length]),
    ];
    let offset = prop_oneof![8 => Just(0u8), 1 => any::<u8>()];
    let window = prop_oneof![Just(0u32), Just(4 << 20), any::<u32>()];
    prop_oneof![
        12 => (0..4u8, 0..3u16, kind, offset, window, near.clone(), near, rest).prop_map(
            |(stream, from, kind, offset, window, seq, ack, rest)| {
                Op::Datagram { stream, from, kind, offset, window, seq, ack, rest }
            }
        ),
        1 => prop::collection::vec(any::<u8>(), 0..60).prop_map(Op::Bytes),
        4 => (0..4u8, any::<u16>()).prop_map(|(s, n)| Op::Write(s, n)),
        3 => (0..4u8, any::<u16>()).prop_map(|(s, n)| Op::Read(s, n)),
        1 => (0..4u8).prop_map(Op::Finish),
        1 => (0..4u8).prop_map(Op::Destroy),
        1 => (0..4u8, 0..2000u16).prop_map(|(s, n)| Op::Message(s, n)),
        2 => (0..4u8, 0..3u16).prop_map(|(s, n)| Op::Connect(s, n)),
        1 => (0..4u8, 0..3u16).prop_map(|(s, n)| Op::ChangeRemote(s, n)),
        1 => (0..4u8, 0..9000u16).prop_map(|(s, n)| Op::KeepAlive(s, n)),
        1 => (0..4u8, prop::collection::vec(any::<u8>(), 0..5)).prop_map(|(s, p)| Op::Expect(s, p)),
        1 => (0..4u8, 0..4u8).prop_map(|(s, n)| Op::Admit(s, n)),
        1 => (0..4u8).prop_map(Op::Open),
        4 => (0..2_000_000u32).prop_map(Op::Wait),
        4 => Just(Op::Timeout),
        6 => Just(Op::Flush),
        6 => (0..70u8).prop_map(Op::Transmit),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_calls_and_packets_panics_or_spins(ops in prop::collection::vec(op(), 1..120)) {
        let config = Config { receive_window: 60_000, send_buffer: 90_000, ..Config::default() };
        let mut streams = Streams::new(config, [5; 32]);
        let mut now = Instant::now();
        for id in 0..4 {
            streams.open_as(id, Admission::LearnPath);
        }
        for op in ops {
            apply(&mut streams, &mut now, op);
        }
        // Left alone, everything comes to rest.
        let end = now + Duration::from_secs(400);
        let mut wakes = 0;
        let mut buffer = Vec::new();
        loop {
            while streams.poll_transmit(now, 64, &mut buffer).is_some() {
                buffer.clear();
            }
            while streams.poll_event().is_some() {}
            let Some((at, reason)) = streams.poll_timeout().filter(|(at, _)| *at <= end) else {
                break;
            };
            now = now.max(at);
            streams.handle_timeout(now);
            wakes += 1;
            // A keep-alive of a millisecond wakes that often until the peer counts as gone.
            prop_assert!(wakes < 2_000_000, "a timer spins: {reason}");
        }
    }
}

#[test]
fn farewells_and_unread_streams_are_bounded() {
    let mut streams = Streams::new(Config::default(), [5; 32]);
    let now = Instant::now();
    for id in 0..(MAX_UNREAD + MAX_FAREWELLS) as u32 {
        let id = streams.open_as(id, Admission::Refuse);
        streams.connect(now, id, SocketId::SERVER, address(1), 1);
        for (seq, kind) in [(0, DATA), (1, DESTROY)] {
            let header = PacketHeader { kind, data_offset: 0, stream_id: id.0, window: 0, seq, ack: 0 };
            let mut datagram = header.to_bytes().to_vec();
            datagram.push(7);
            streams.handle_datagram(now, SocketId::SERVER, address(1), &datagram);
        }
    }
    streams.flush(now);
    let unread = (0..10_000).filter(|id| streams.readable(StreamId(*id)) > 0).count();
    assert_eq!(unread, MAX_UNREAD);
    for id in 20_000..20_000 + 2 * MAX_FAREWELLS as u32 {
        let id = streams.open_as(id, Admission::Refuse);
        streams.connect(now, id, SocketId::SERVER, address(1), 1);
        streams.destroy(now, id);
    }
    let mut buffer = Vec::new();
    while streams.poll_transmit(now, 1, &mut buffer).is_some() {}
    assert_eq!(buffer.len(), MAX_FAREWELLS * HEADER_LEN);
}

#[test]
fn a_path_that_is_not_known_gets_no_more_than_the_first_window() {
    let mut streams = Streams::new(Config::default(), [5; 32]);
    let now = Instant::now();
    let id = streams.open_as(1, Admission::Refuse);
    streams.connect(now, id, SocketId::SERVER, address(1), 1);
    assert_eq!(streams.write(now, id, &[7; 1 << 20]), Ok(1 << 20));
    let mut buffer = Vec::new();
    while streams.poll_transmit(now, 64, &mut buffer).is_some() {}
    assert!(buffer.len() < 40_000, "{}", buffer.len());
}

fn apply(streams: &mut Streams, now: &mut Instant, op: Op) {
    let id = |id: u8| StreamId(u32::from(id));
    match op {
        Op::Datagram { stream, from, kind, offset, window, seq, ack, rest } => {
            let header = PacketHeader {
                kind,
                data_offset: offset,
                stream_id: stream.into(),
                window,
                seq: seq as u32,
                ack: ack as u32,
            };
            let mut datagram = header.to_bytes().to_vec();
            datagram.extend(rest);
            streams.handle_datagram(*now, SocketId::SERVER, address(from), &datagram);
        }
        Op::Bytes(bytes) => {
            streams.handle_datagram(*now, SocketId::SERVER, address(0), &bytes);
        }
        Op::Write(stream, length) => {
            let _ = streams.write(*now, id(stream), &vec![7; length.into()]);
        }
        Op::Read(stream, max) => {
            streams.read(*now, id(stream), max.into(), &mut Vec::new());
        }
        Op::Finish(stream) => streams.finish(*now, id(stream)),
        Op::Destroy(stream) => streams.destroy(*now, id(stream)),
        Op::Message(stream, length) => {
            let _ = streams.send_message(*now, id(stream), &vec![7; length.into()]);
        }
        Op::Connect(stream, to) => streams.connect(*now, id(stream), SocketId::SERVER, address(to), 9),
        Op::ChangeRemote(stream, to) => {
            streams.change_remote(*now, id(stream), SocketId::SERVER, address(to), 9)
        }
        Op::KeepAlive(stream, millis) => {
            streams.set_keep_alive(*now, id(stream), Some(Duration::from_millis(millis.into())));
        }
        Op::Expect(stream, prefix) => streams.expect_prefix(id(stream), prefix),
        Op::Admit(stream, kind) => {
            let admission = match kind {
                0 => Admission::Refuse,
                1 => Admission::HoldAndAccept,
                2 => Admission::LearnPath,
                _ => Admission::Only(SocketId::SERVER, address(2)),
            };
            streams.set_admission(id(stream), admission);
        }
        Op::Open(stream) => {
            streams.open_as(stream.into(), Admission::HoldAndAccept);
            streams.set_remote_id(id(stream), 9);
        }
        Op::Wait(micros) => *now += Duration::from_micros(micros.into()),
        Op::Timeout => streams.handle_timeout(*now),
        Op::Flush => streams.flush(*now),
        Op::Transmit(segments) => {
            let mut buffer = Vec::new();
            if let Some(train) = streams.poll_transmit(*now, segments.into(), &mut buffer) {
                assert!(!buffer.is_empty() && train.segment_size <= 2048 && buffer.len() <= 65_507);
            }
        }
    }
}

const fn address(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1000 + port)
}
