//! What a path gets that has not spoken yet.

use std::time::Duration;

use super::helpers::{read, written};
use crate::sim::link::{Direction, Link, Side};
use crate::udx::{Closed, Config, Event};
use crate::wire::packet::DESTROY;

#[test]
fn a_silent_path_gets_no_more_than_was_allowed() {
    for credit in [0, 19, 20, 100, 1171, 1172, 3600, 5000] {
        let mut link = silenced(credit);
        written(&mut link, Side::A, &[7; 50_000]);
        let (now, end) = (link.now, link.end(Side::A));
        for length in [1000, 10, 0] {
            assert_eq!(end.streams.send_message(now, end.id, &[1; 1000][..length]), Ok(()));
        }
        end.streams.set_keep_alive(now, end.id, Some(Duration::from_secs(1)));
        end.streams.finish(now, end.id);
        link.run_for(Duration::from_secs(15));
        let (now, end) = (link.now, link.end(Side::A));
        end.streams.destroy(now, end.id);
        link.run_for(Duration::from_secs(30));
        let sent = link.end(Side::A).sent_bytes;
        assert!(sent <= credit, "{sent} bytes of {credit}");
        assert!(sent + 1172 > credit, "{sent} bytes of {credit}");
    }
}

#[test]
fn repetitions_and_probes_are_counted() {
    let mut link = silenced(300);
    written(&mut link, Side::A, &[7; 60]);
    link.run_for(Duration::from_secs(15));
    assert_eq!((link.end(Side::A).sent, link.end(Side::A).sent_bytes), (3, 240));
    link.run_for(Duration::from_secs(15));
    assert_eq!(
        link.end(Side::A).events,
        [Event::Closed(Closed::TimedOut)],
        "a silent peer is given up on as ever"
    );
}

#[test]
fn the_first_packet_of_the_peer_lets_everything_go() {
    let mut link = silenced(2400);
    written(&mut link, Side::A, &[7; 50_000]);
    link.run_for(Duration::from_secs(5));
    assert!(link.end(Side::A).sent_bytes <= 2400);
    link.drop_nothing();
    // It says nothing about what was sent, only that there is somebody.
    let (now, end) = (link.now, link.end(Side::B));
    assert_eq!(end.streams.send_message(now, end.id, b"hello"), Ok(()));
    link.run_for(Duration::from_secs(2));
    assert_eq!(read(&mut link, Side::B, usize::MAX).len(), 50_000);
    // Whoever has spoken is not limited any more.
    let end = link.end(Side::A);
    end.streams.set_credit(end.id, 0);
    written(&mut link, Side::A, &[7; 5000]);
    link.run_for(Duration::from_secs(1));
    assert_eq!(read(&mut link, Side::B, usize::MAX).len(), 5000);
}

#[test]
fn a_destroy_that_credit_does_not_cover_waits_for_a_packet() {
    let mut link = silenced(19);
    let (now, end) = (link.now, link.end(Side::A));
    end.streams.destroy(now, end.id);
    link.drop_nothing();
    link.run_for(Duration::from_secs(1));
    assert_eq!(link.end(Side::A).sent, 0);
    link.drop_if(|_, datagram| datagram[2] & DESTROY == 0 && datagram[2] == 0);
    written(&mut link, Side::B, b"anyone there?");
    link.run_for(Duration::from_secs(1));
    assert_eq!(link.end(Side::B).events, [Event::Closed(Closed::Reset)]);
}

/// A link whose A may send `credit` bytes and never hears anything.
fn silenced(credit: usize) -> Link {
    let mut link = Link::new(3, Config::default(), Direction::clean(Duration::from_millis(10)));
    let end = link.end(Side::A);
    end.streams.set_credit(end.id, credit);
    link.drop_if(|_, _| true);
    link
}
