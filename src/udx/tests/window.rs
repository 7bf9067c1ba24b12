//! Flow control, and what memory a peer can make us hold.

use std::time::Duration;

use super::helpers::{read, written};
use super::transfer::text;
use crate::sim::link::{Direction, Link, Side};
use crate::udx::stream::MAX_OUTGOING_MESSAGES;
use crate::udx::{Config, Event, WriteError};

#[test]
fn a_stopped_reader_holds_the_writer_at_the_window_and_lets_go_at_once() {
    let window = 100_000;
    let mut link = link(Config {
        receive_window: window,
        send_buffer: 50_000,
        ..Config::default()
    });
    let total = fill(&mut link, Duration::from_secs(30));
    let arrived = {
        let end = link.end(Side::B);
        end.streams.readable(end.id)
    };
    assert!(
        (50_000..=100_000).contains(&arrived),
        "{arrived} bytes arrived"
    );
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
fn a_lost_window_update_is_found_by_a_probe() {
    let mut link = link(Config {
        receive_window: 50_000,
        send_buffer: 50_000,
        ..Config::default()
    });
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
    let mut link = link(Config {
        receive_window: 20_000,
        send_buffer: 50_000,
        ..Config::default()
    });
    fill(&mut link, Duration::from_secs(10));
    let before = link.end(Side::A).sent;
    link.run_for(Duration::from_secs(300));
    let probes = link.end(Side::A).sent - before;
    assert!((50..80).contains(&probes), "{probes}");
    assert!(
        link.end(Side::A)
            .events
            .iter()
            .all(|event| !matches!(event, Event::Closed(_)))
    );
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
        assert_eq!(end.streams.stream(end.id).unwrap().sender.buffered(), 0);
    }
    assert!(!link.step());
}

#[test]
fn written_bytes_are_bounded_without_a_reader_and_without_a_path() {
    let config = Config {
        send_buffer: 30_000,
        ..Config::default()
    };
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
    assert_eq!(
        end.streams.send_message(now, end.id, b""),
        Err(WriteError::Full)
    );
    assert_eq!(
        end.streams.send_message(now, end.id, &[0; 1500]),
        Err(WriteError::TooLarge)
    );
    link.run_for(Duration::from_secs(5));
    let end = link.end(Side::B);
    let expected: Vec<Event> = (0..MAX_OUTGOING_MESSAGES)
        .map(|n| Event::Message(vec![n as u8]))
        .collect();
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
