//! Peers that vanish, and peers that only look like it.

use std::time::Duration;

use super::helpers::written;
use crate::sim::link::{Direction, Link, Side};
use crate::udx::{Closed, Config, Event, StreamOptions};
use crate::wire::packet::HEARTBEAT;

#[test]
fn an_idle_peer_that_vanishes_is_noticed_within_thirty_seconds() {
    let mut link = link();
    keep_alive(&mut link, Side::A, Some(5));
    link.run_for(Duration::from_secs(60));
    assert!(link.end(Side::A).events.is_empty());
    link.drop_if(|_, _| true);
    let vanished = link.now;
    link.run_for(Duration::from_secs(30));
    assert_eq!(link.end(Side::A).events, [Event::Closed(Closed::TimedOut)]);
    assert!(link.now - vanished <= Duration::from_secs(30));
}

#[test]
fn a_peer_that_vanishes_while_data_is_out_is_noticed_within_thirty_seconds() {
    for after in [0, 10] {
        let mut link = link();
        link.run_for(Duration::from_secs(after));
        if after > 0 {
            written(&mut link, Side::A, b"warm up");
            link.run_for(Duration::from_secs(1));
        }
        link.drop_if(|_, _| true);
        written(&mut link, Side::A, b"into the void");
        link.run_for(Duration::from_secs(30));
        assert_eq!(link.end(Side::A).events.last(), Some(&Event::Closed(Closed::TimedOut)));
        let sent = link.end(Side::A).sent;
        assert!((4..=12).contains(&sent), "{sent} datagrams");
    }
}

#[test]
fn a_peer_that_is_heard_and_acknowledges_nothing_is_given_up() {
    let mut link = link();
    // It sends heartbeats, and nothing reaches it.
    link.drop_if(|from, _| from == Side::A);
    keep_alive(&mut link, Side::B, Some(5));
    written(&mut link, Side::A, b"into the void");
    link.run_for(Duration::from_secs(40));
    assert!(link.end(Side::A).events.is_empty(), "it is there");
    link.run_for(Duration::from_secs(300));
    assert_eq!(link.end(Side::A).events, [Event::Closed(Closed::TimedOut)]);
}

#[test]
fn a_pause_of_ten_seconds_closes_nothing() {
    let mut link = link();
    keep_alive(&mut link, Side::A, Some(5));
    written(&mut link, Side::A, b"before");
    link.run_for(Duration::from_secs(12));
    link.drop_if(|_, _| true);
    written(&mut link, Side::A, b"during");
    link.run_for(Duration::from_secs(10));
    link.drop_nothing();
    link.run_for(Duration::from_secs(60));
    assert_eq!(super::helpers::read(&mut link, Side::B, 100), b"beforeduring");
    assert!(link.end(Side::A).events.is_empty());
}

#[test]
fn a_stream_that_waits_longer_outlives_a_minute_of_silence() {
    for with_data in [false, true] {
        let mut link = link();
        for side in Side::BOTH {
            let end = link.end(side);
            let idle_timeout = Duration::from_secs(90);
            end.streams.set_options(end.id, StreamOptions { idle_timeout, ..StreamOptions::default() });
        }
        keep_alive(&mut link, Side::A, Some(5));
        link.run_for(Duration::from_secs(12));
        link.drop_if(|_, _| true);
        if with_data {
            written(&mut link, Side::A, b"during");
        }
        link.run_for(Duration::from_secs(80));
        link.drop_nothing();
        link.run_for(Duration::from_secs(20));
        if with_data {
            assert_eq!(super::helpers::read(&mut link, Side::B, 100), b"during");
        }
        for side in Side::BOTH {
            let closed = link.end(side).events.iter().any(|event| matches!(event, Event::Closed(_)));
            assert!(!closed, "{side:?}, data {with_data}");
        }
        link.drop_if(|_, _| true);
        link.run_for(Duration::from_secs(100));
        assert_eq!(link.end(Side::A).events.last(), Some(&Event::Closed(Closed::TimedOut)));
    }
}

#[test]
fn a_process_that_was_stopped_gives_its_peer_the_whole_time_again() {
    for with_data in [false, true] {
        let mut link = link();
        keep_alive(&mut link, Side::A, Some(5));
        link.run_for(Duration::from_secs(12));
        link.drop_if(|_, _| true);
        if with_data {
            written(&mut link, Side::A, b"during");
        }
        // A heartbeat is out, and lost, when the process stops.
        link.run_for(Duration::from_secs(7));
        link.drop_nothing();
        link.now += Duration::from_secs(120);
        link.run_for(Duration::from_secs(60));
        assert!(link.end(Side::A).events.is_empty(), "{:?}", link.end(Side::A).events);
        link.drop_if(|_, _| true);
        link.run_for(Duration::from_secs(30));
        assert_eq!(link.end(Side::A).events, [Event::Closed(Closed::TimedOut)]);
    }
}

#[test]
fn a_peer_too_old_for_heartbeats_is_complained_about_once_and_kept() {
    let mut link = link();
    // Such a peer ignores the bit.
    link.drop_if(|_, datagram| datagram[2] & HEARTBEAT != 0);
    keep_alive(&mut link, Side::A, Some(5));
    link.run_for(Duration::from_secs(8));
    assert_eq!(link.end(Side::A).events, [Event::HeartbeatUnanswered]);
    link.run_for(Duration::from_secs(300));
    assert_eq!(link.end(Side::A).events.len(), 1);
    // What the owner then sends is acknowledged like any data, and its absence is noticed.
    written(&mut link, Side::A, b"still there?");
    link.run_for(Duration::from_secs(10));
    link.drop_if(|_, _| true);
    written(&mut link, Side::A, b"and now?");
    link.run_for(Duration::from_secs(22));
    assert_eq!(link.end(Side::A).events.last(), Some(&Event::Closed(Closed::TimedOut)));
}

#[test]
fn keep_alive_costs_one_heartbeat_and_its_answer_per_interval() {
    let mut link = link();
    keep_alive(&mut link, Side::A, Some(5));
    link.run_for(Duration::from_millis(100_500));
    assert_eq!((link.end(Side::A).sent, link.end(Side::B).sent), (20, 20));
    let timer = link.end(Side::A).streams.poll_timeout();
    assert!(timer.is_some_and(|(_, reason)| reason == "keep-alive"), "{timer:?}");
    assert_eq!(link.end(Side::B).streams.poll_timeout(), None);
    keep_alive(&mut link, Side::A, None);
    assert_eq!(link.end(Side::A).streams.poll_timeout(), None);
}

#[test]
fn an_interval_of_nothing_is_no_keep_alive() {
    let mut link = link();
    keep_alive(&mut link, Side::A, Some(0));
    assert!(!link.step());
}

#[test]
fn a_lost_tail_is_repaired_long_before_the_time_out() {
    let mut link = link();
    for _ in 0..5 {
        written(&mut link, Side::A, b"warm up");
        link.run_for(Duration::from_millis(100));
    }
    link.drop_if(|_, _| true);
    written(&mut link, Side::A, b"!");
    link.send();
    link.drop_nothing();
    link.run_for(Duration::from_millis(150));
    assert_eq!(super::helpers::read(&mut link, Side::B, 100).last(), Some(&b'!'));
}

fn link() -> Link {
    Link::new(9, Config::default(), Direction::clean(Duration::from_millis(20)))
}

fn keep_alive(link: &mut Link, side: Side, seconds: Option<u64>) {
    let (now, end) = (link.now, link.end(side));
    end.streams.set_keep_alive(now, end.id, seconds.map(Duration::from_secs));
}
