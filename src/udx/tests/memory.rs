//! What all streams together hold for their readers.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use crate::sim::link::{Direction, Link, Side};
use crate::udx::{Admission, Config, StreamId, StreamOptions, Streams};
use crate::wire::packet::{DATA, PacketHeader};
use crate::wire::transmit::SocketId;

#[test]
fn packets_with_gaps_on_many_streams_take_no_more_than_the_memory() {
    let (mut streams, now) = (table(LIMIT), Instant::now());
    for number in 0..1000 {
        assert!(streams.contains(StreamId(number)));
        for ahead in 1..200 {
            receive(&mut streams, now, number, ahead, &[7; 1400]);
        }
        assert!(streams.memory() <= LIMIT, "{} bytes after {number} streams", streams.memory());
    }
    assert!(streams.memory() > LIMIT / 2);

    // What comes in order is still taken, and what it has filled is its own.
    for seq in 0..100 {
        receive(&mut streams, now, HONEST, seq, &[7; 1400]);
        assert_eq!(streams.readable(StreamId(HONEST)), 1400, "packet {seq}");
        streams.read(now, StreamId(HONEST), usize::MAX, &mut Vec::new());
        assert!(windows(&mut streams, now).iter().all(|window| *window >= 2 * 1400));
    }

    for number in 0..1000 {
        streams.destroy(now, StreamId(number));
    }
    streams.destroy(now, StreamId(HONEST));
    assert_eq!(streams.memory(), 0);
}

#[test]
fn small_packets_count_as_what_they_take() {
    let (mut streams, now) = (table(LIMIT), Instant::now());
    for ahead in 1..100 {
        receive(&mut streams, now, 1, ahead, b"x");
    }
    let held = streams.held(StreamId(1)).expect("it is open");
    assert!(held.memory >= 99 * 128 && held.has_gaps, "{held:?}");
    // One byte in order takes a whole piece of memory at most.
    receive(&mut streams, now, 2, 0, b"x");
    let held = streams.held(StreamId(2)).expect("it is open");
    assert!((1..=70_000).contains(&held.memory) && held.received == 1, "{held:?}");
}

#[test]
fn what_the_owner_holds_leaves_less_for_the_streams() {
    let (mut streams, now) = (table(LIMIT), Instant::now());
    let before = streams.share();
    streams.set_held_elsewhere(LIMIT / 2);
    assert_eq!(streams.share(), before / 2);
    streams.set_held_elsewhere(LIMIT);
    receive(&mut streams, now, 1, 0, b"x");
    assert_eq!(streams.readable(StreamId(1)), 0, "not acknowledged: the peer repeats it");
    streams.set_held_elsewhere(0);
    receive(&mut streams, now, 1, 0, b"x");
    assert_eq!(streams.readable(StreamId(1)), 1);
}

#[test]
fn a_window_that_is_asked_for_does_not_widen() {
    let mut link = Link::new(5, Config::default(), Direction::clean(Duration::from_millis(10)));
    let options = StreamOptions { receive_window: Some(64 << 10), ..StreamOptions::default() };
    let end = link.end(Side::B);
    end.streams.set_options(end.id, options);
    let bytes = vec![7; 1 << 20];
    let until = link.now + Duration::from_secs(5);
    let (mut read, mut most) = (0, 0);
    while link.now < until {
        let (now, end) = (link.now, link.end(Side::A));
        end.streams.write(now, end.id, &bytes).unwrap();
        link.run_for(Duration::from_millis(10));
        let (now, end) = (link.now, link.end(Side::B));
        most = most.max(end.streams.readable(end.id));
        read += end.streams.read(now, end.id, usize::MAX, &mut Vec::new());
    }
    assert!(most <= 80 << 10, "{most}");
    assert!(read > 4 << 20, "a window in each round trip: {read}");
    let end = link.end(Side::B);
    assert_eq!(end.streams.stream(end.id).unwrap().full_window(), 64 << 10);
}

#[test]
fn a_transfer_goes_on_beside_streams_that_fill_the_memory() {
    let config = Config { receive_memory: LIMIT, ..Config::default() };
    let mut link = Link::new(5, config, Direction::clean(Duration::from_millis(10)));
    let now = link.now;
    let streams = &mut link.end(Side::B).streams;
    for number in 0..500 {
        open(streams, now, number);
        for ahead in 1..200 {
            receive(streams, now, number, ahead, &[7; 1400]);
        }
    }
    // Their acknowledgements go elsewhere, and their ends are not looked at.
    let mut buffer = Vec::new();
    while streams.poll_transmit(now, 64, &mut buffer).is_some() {}
    let bytes: Vec<u8> = (0..300_000_u32).map(|index| (index * 7) as u8).collect();
    let (now, end) = (link.now, link.end(Side::A));
    assert_eq!(end.streams.write(now, end.id, &bytes), Ok(bytes.len()));
    let mut read = Vec::new();
    for _ in 0..500 {
        link.run_for(Duration::from_millis(10));
        let (now, end) = (link.now, link.end(Side::B));
        let mut part = Vec::new();
        end.streams.read(now, end.id, usize::MAX, &mut part);
        read.extend(part);
        assert!(end.streams.memory() <= LIMIT);
    }
    assert!(read == bytes, "{} of {} bytes", read.len(), bytes.len());
}

/// Opens streams 0 to 999 and an honest one.
fn table(limit: usize) -> Streams {
    let mut streams = Streams::new(Config { receive_memory: limit, ..Config::default() }, [5; 32]);
    for number in (0..1000).chain([HONEST]) {
        open(&mut streams, Instant::now(), number);
    }
    streams
}

fn open(streams: &mut Streams, now: Instant, number: u32) {
    let id = streams.open_as(number, Admission::Refuse);
    streams.connect(now, id, SocketId::SERVER, PEER, 1);
}

fn receive(streams: &mut Streams, now: Instant, stream: u32, seq: u32, payload: &[u8]) {
    let header = PacketHeader { kind: DATA, data_offset: 0, stream_id: stream, window: 4 << 20, seq, ack: 0 };
    let datagram = [&header.to_bytes(), payload].concat();
    streams.handle_datagram(now, SocketId::SERVER, PEER, &datagram);
    streams.flush(now);
}

/// Returns the windows that the waiting packets advertise.
fn windows(streams: &mut Streams, now: Instant) -> Vec<u32> {
    let mut windows = Vec::new();
    let mut buffer = Vec::new();
    while streams.poll_transmit(now, 1, &mut buffer).is_some() {
        windows.extend(PacketHeader::split(&buffer).map(|(header, _)| header).map(|header| {
            // Those of the others are full, and say so.
            if header.ack == 0 { u32::MAX } else { header.window }
        }));
        buffer.clear();
    }
    windows
}

const LIMIT: usize = 8 << 20;
const HONEST: u32 = 5000;
const PEER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1000);
