//! Flow control, and what memory a peer can make us hold.

use std::time::{Duration, Instant};

use super::helpers::{read, written};
use super::transfer::text;
use crate::sim::link::{Direction, Link, Side};
use crate::udx::recv::SLACK;
use crate::udx::stream::MAX_OUTGOING_MESSAGES;
use crate::udx::{Admission, Closed, Config, Event, Streams, WriteError};
use crate::wire::packet::PacketHeader;
use crate::wire::transmit::SocketId;

#[test]
fn a_stopped_reader_holds_the_writer_at_the_window_and_lets_go_at_once() {
    let window = 100_000;
    let mut link = link(Config { receive_window: window, send_buffer: 50_000, ..Config::default() });
    let total = fill(&mut link, Duration::from_secs(30));
    let arrived = {
        let end = link.end(Side::B);
        end.streams.readable(end.id)
    };
    assert!((50_000..=100_000).contains(&arrived), "{arrived} bytes arrived");
    assert!(total <= arrived + 50_000, "{total} bytes were taken");
    let (before, now) = (link.end(Side::A).sent, link.now);
    assert!(before < 300, "{before} packets for a window of 100 kB");
    // An update follows the read, so nothing waits for the next probe.
    read(&mut link, Side::B, usize::MAX);
    link.run_for(Duration::from_millis(40));
    assert!(link.end(Side::A).sent > before + 10);
    assert!(link.end(Side::A).events.contains(&Event::Writable));
    assert!(link.now - now < Duration::from_millis(50));
}

#[test]
fn the_window_widens_for_a_reader_that_keeps_up_and_only_for_one() {
    let config = Config { receive_window: 100_000, max_receive_window: 400_000, ..Config::default() };
    for (pause, widest) in [(Duration::ZERO, 400_000), (Duration::from_millis(200), 100_000)] {
        let mut link = link(config.clone());
        // As every connection does, the receiver says something first.
        written(&mut link, Side::B, b"header");
        link.run_for(Duration::from_millis(100));
        let bytes = text();
        let end_at = link.now + Duration::from_secs(5);
        while link.now < end_at {
            let (now, end) = (link.now, link.end(Side::A));
            end.streams.write(now, end.id, &bytes).unwrap();
            link.run_for(pause);
            read(&mut link, Side::B, usize::MAX);
            link.step();
        }
        let end = link.end(Side::B);
        let window = end.streams.stream(end.id).unwrap().full_window();
        assert_eq!(window, widest);
        // What a reader that stops costs is the window that it had.
        fill(&mut link, Duration::from_secs(10));
        let end = link.end(Side::B);
        assert!(end.streams.readable(end.id) <= window + SLACK);
    }
}

#[test]
fn a_small_write_waits_for_one_train_of_every_other_stream_and_no_more() {
    let (now, bulk) = (Instant::now(), 10);
    let mut streams = Streams::new(Config::default(), [1; 32]);
    let mut open = || {
        let id = streams.open(Admission::Refuse);
        let address = Side::B.address();
        streams.connect(now, id, SocketId::SERVER, address, id.0);
        id
    };
    let busy: Vec<_> = (0..bulk).map(|_| open()).collect();
    let small = open();
    for id in busy {
        assert_eq!(streams.write(now, id, &[1; 100_000]), Ok(100_000));
    }
    let mut train = Vec::new();
    let mut next = |streams: &mut Streams| {
        train.clear();
        streams.poll_transmit(now, 2, &mut train)?;
        let header = PacketHeader::split(&train).expect("a packet").0;
        Some(header.stream_id)
    };
    for _ in 0..bulk / 2 {
        next(&mut streams).expect("the first window may leave at once");
    }
    assert_eq!(streams.write(now, small, b"hello"), Ok(5));
    let before = (0..).take_while(|_| next(&mut streams).expect("it waits") != small.0);
    assert!(before.count() <= bulk);
}

#[test]
fn a_lost_window_update_is_found_by_a_probe() {
    let mut link = link(Config { receive_window: 50_000, send_buffer: 50_000, ..Config::default() });
    fill(&mut link, Duration::from_secs(10));
    link.drop_if(|from, _| from == Side::B);
    read(&mut link, Side::B, usize::MAX);
    link.send();
    link.drop_nothing();
    let before = link.end(Side::A).sent_bytes;
    link.run_for(Duration::from_secs(6));
    assert!(link.end(Side::A).sent_bytes > before + 30_000);
}

#[test]
fn a_window_that_stays_shut_costs_a_heartbeat_now_and_then_and_closes_nothing() {
    let mut link = link(Config { receive_window: 20_000, send_buffer: 50_000, ..Config::default() });
    fill(&mut link, Duration::from_secs(10));
    let before = link.end(Side::A).sent;
    link.run_for(Duration::from_secs(300));
    let probes = link.end(Side::A).sent - before;
    assert!((50..80).contains(&probes), "{probes}");
    assert!(link.end(Side::A).events.iter().all(|event| !matches!(event, Event::Closed(_))));
}

#[test]
fn a_peer_that_answers_and_takes_no_data_is_given_up_in_time() {
    let stall_timeout = Duration::from_secs(600);
    let mut link = link(Config { receive_window: 20_000, send_buffer: 50_000, ..Config::default() });
    assert_eq!(Config::default().stall_timeout, stall_timeout);
    fill(&mut link, Duration::from_secs(10));
    // A reader that pauses for minutes, and takes something then, is no such peer.
    for _ in 0..3 {
        link.run_for(stall_timeout - Duration::from_secs(20));
        let closed = |event: &Event| matches!(event, Event::Closed(_));
        assert!(!link.end(Side::A).events.iter().any(closed));
        assert!(!read(&mut link, Side::B, usize::MAX).is_empty());
        fill(&mut link, Duration::from_secs(10));
    }
    link.run_for(stall_timeout);
    assert_eq!(link.end(Side::A).events.last(), Some(&Event::Closed(Closed::Stalled)));
}

#[test]
fn an_idle_stream_holds_no_buffers_and_no_timers() {
    let mut link = link(Config::default());
    let bytes = text();
    for _ in 0..5 {
        written(&mut link, Side::A, &bytes);
        link.run_for(Duration::from_secs(1));
        assert_eq!(read(&mut link, Side::B, usize::MAX).len(), bytes.len());
    }
    link.run_for(Duration::from_secs(1));
    for end in &link.ends {
        assert_eq!(end.streams.poll_timeout(), None);
        assert_eq!(end.streams.stream(end.id).unwrap().buffered(), 0);
    }
    assert!(!link.step());
}

#[test]
fn written_bytes_are_bounded_without_a_reader_and_without_a_path() {
    let config = Config { send_buffer: 30_000, ..Config::default() };
    let mut link = Link::unconnected(1, config, Direction::clean(Duration::from_millis(1)));
    let (now, end) = (link.now, link.end(Side::A));
    assert_eq!(end.streams.write(now, end.id, &[1; 20_000]), Ok(20_000));
    assert_eq!(end.streams.write(now, end.id, &[1; 20_000]), Ok(10_000));
    assert_eq!(end.streams.write(now, end.id, &[1; 20_000]), Ok(0));
    link.connect(Side::A);
    link.connect(Side::B);
    link.run_for(Duration::from_secs(1));
    assert!(link.end(Side::A).events.contains(&Event::Writable));
}

/// Otherwise an owner that writes at each report would never stop.
#[test]
fn room_is_not_reported_before_there_is_any_however_small_the_buffer_is() {
    for send_buffer in 0..4 {
        let mut link = link(Config { send_buffer, ..Config::default() });
        let (now, end) = (link.now, link.end(Side::A));
        assert_eq!(end.streams.write(now, end.id, &text()[..10]), Ok(send_buffer));
        assert_eq!(end.streams.poll_event(), None, "{send_buffer}");
        link.run_for(Duration::from_millis(50));
        assert_eq!(link.end(Side::A).events.contains(&Event::Writable), send_buffer > 0, "{send_buffer}");
    }
}

#[test]
fn many_streams_share_what_waits_to_be_sent_and_one_has_its_buffer() {
    let config = Config { send_buffer: 1 << 20, ..Config::default() };
    let (mut streams, now) = (Streams::new(config, [1; 32]), Instant::now());
    let bytes = vec![7; 2 << 20];
    let first = streams.open(Admission::Refuse);
    assert_eq!(streams.write(now, first, &bytes), Ok(1 << 20));
    let others: Vec<_> = (0..100).map(|_| streams.open(Admission::Refuse)).collect();
    let mut waiting = 1 << 20;
    for id in &others {
        let taken = streams.write(now, *id, &bytes).expect("it is open");
        assert!(taken > 0, "each gets something");
        waiting += taken;
    }
    assert!(waiting < 5 << 20, "{waiting}");
    assert!(streams.send_share() < 64 << 10, "{}", streams.send_share());
    for id in others {
        streams.destroy(now, id);
    }
    assert_eq!(streams.send_share(), 1 << 20, "what is gone counts no more");
}

#[test]
fn the_first_write_leaves_at_once() {
    let mut link = link(Config::default());
    written(&mut link, Side::A, b"hello");
    link.send();
    assert_eq!(link.end(Side::A).sent, 1);
    link.run_for(Duration::from_millis(10));
    assert_eq!(link.end(Side::B).events, [Event::Readable]);
}

#[test]
fn messages_are_sent_once_and_their_queue_is_bounded() {
    let mut link = link(Config::default());
    let (now, end) = (link.now, link.end(Side::A));
    for n in 0..MAX_OUTGOING_MESSAGES {
        assert_eq!(end.streams.send_message(now, end.id, &[n as u8]), Ok(()));
    }
    assert_eq!(end.streams.send_message(now, end.id, b""), Err(WriteError::Full));
    assert_eq!(end.streams.send_message(now, end.id, &[0; 1500]), Err(WriteError::TooLarge));
    link.run_for(Duration::from_secs(5));
    let end = link.end(Side::B);
    let expected: Vec<Event> = (0..MAX_OUTGOING_MESSAGES).map(|n| Event::Message(vec![n as u8])).collect();
    assert_eq!(end.events, expected);
    assert_eq!(end.sent, 0, "messages are not acknowledged");
}

#[test]
fn a_batch_of_packets_is_acknowledged_once() {
    let mut link = link(Config::default());
    written(&mut link, Side::A, &[7; 11_000]);
    link.run_for(Duration::from_millis(15));
    assert!(link.end(Side::A).sent >= 10);
    assert_eq!(link.end(Side::B).sent, 1);
}

#[test]
fn an_answer_carries_the_acknowledgement_and_one_without_an_answer_leaves_in_time() {
    // A shorter packet is sent twice.
    const SHORT: [u8; 400] = [7; 400];
    let delay = Duration::from_millis(1);
    let mut link = link(Config { ack_delay: delay, ..Config::default() });
    let sent = |link: &Link| link.ends.each_ref().map(|end| end.sent);
    let mut answered = sent(&link);
    for round in 0..50 {
        for side in Side::BOTH {
            written(&mut link, side, &SHORT);
            link.send();
            link.run_for(Duration::from_millis(10));
        }
        if round == 20 {
            answered = sent(&link);
        }
    }
    assert_eq!(sent(&link), answered.map(|before| before + 29), "one datagram each way");

    let alone = sent(&link);
    written(&mut link, Side::A, &SHORT);
    link.run_for(Duration::from_millis(10) + delay / 2);
    assert_eq!(sent(&link), [alone[0] + 1, alone[1]]);
    link.run_for(delay);
    assert_eq!(sent(&link), [alone[0] + 1, alone[1] + 1]);

    // Two packets have told the peer's pace: the second is not held back.
    written(&mut link, Side::A, &[7; 2000]);
    link.run_for(Duration::from_millis(10));
    assert_eq!(sent(&link), [alone[0] + 3, alone[1] + 2]);

    let (now, end) = (link.now, link.end(Side::A));
    end.streams.finish(now, end.id);
    link.run_for(Duration::from_millis(10));
    assert_eq!(sent(&link)[1], alone[1] + 3, "an end is acknowledged at once");
}

fn link(config: Config) -> Link {
    Link::new(5, config, Direction::clean(Duration::from_millis(10)))
}

/// Writes whatever is taken, while nobody reads. Returns how much that was.
fn fill(link: &mut Link, duration: Duration) -> usize {
    let bytes = text();
    let end_at = link.now + duration;
    let mut total = 0;
    while link.now < end_at {
        let (now, end) = (link.now, link.end(Side::A));
        total += end.streams.write(now, end.id, &bytes).unwrap();
        link.run_for(Duration::from_millis(50));
    }
    total
}
