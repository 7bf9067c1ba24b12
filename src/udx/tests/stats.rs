//! What streams measure and count.

use std::time::Duration;

use super::helpers::{read, written};
use crate::sim::link::{Direction, Link, Side};
use crate::udx::{Config, Traffic};

const DELAY: Duration = Duration::from_millis(20);

/// Sends from one end to the other, and ends both directions in order. Returns what both have counted.
fn transfer(link: &mut Link, bytes: usize) -> [Traffic; 2] {
    written(link, Side::A, &vec![7; bytes]);
    for side in Side::BOTH {
        let (now, end) = (link.now, link.end(side));
        end.streams.finish(now, end.id);
    }
    let mut left = bytes;
    while link.ends.iter().any(|end| end.measured.is_none()) {
        assert!(link.step(), "{left} of {bytes} bytes left");
        left -= read(link, Side::B, usize::MAX).len();
    }
    assert_eq!(left, 0);
    link.ends.each_ref().map(|end| end.measured.expect("both have ended").traffic)
}

#[test]
fn what_one_side_sends_over_a_clean_path_the_other_receives() {
    let mut link = Link::new(1, Config::default(), Direction::clean(DELAY));
    let [sender, receiver] = transfer(&mut link, 500_000);
    assert!(sender.bytes_sent > 500_000, "{sender:?}");
    assert_eq!(sender.packets_sent, receiver.packets_received);
    assert_eq!(sender.bytes_sent, receiver.bytes_received);
    assert_eq!((sender.packets_lost, sender.packets_resent), (0, 0));
    let stats = link.end(Side::A).measured.expect("it has ended");
    assert!(stats.rtt >= Some(2 * DELAY) && stats.rtt < Some(3 * DELAY), "{stats:?}");
    assert_eq!(stats.minimum_rtt, Some(2 * DELAY));
    assert!(stats.rtt_variation < Some(DELAY), "{stats:?}");
}

#[test]
fn packets_that_were_lost_and_sent_again_are_counted() {
    let direction = Direction { loss: 0.05, ..Direction::clean(DELAY) };
    let mut link = Link::new(2, Config::default(), direction);
    let [sender, receiver] = transfer(&mut link, 1_000_000);
    let missing = sender.packets_sent - receiver.packets_received;
    assert!(missing > sender.packets_sent / 40, "{sender:?}, {receiver:?}");
    // Some acknowledgements, probes and copies are among what is missing.
    assert!(sender.packets_lost.abs_diff(missing) < 10, "{missing} missing, {sender:?}");
    assert!(sender.packets_resent >= sender.packets_lost, "{sender:?}");
    assert!(sender.packets_resent < sender.packets_lost + 10, "{sender:?}");
}

#[test]
fn a_table_counts_the_streams_that_are_gone_as_well() {
    let mut link = Link::new(3, Config::default(), Direction::clean(DELAY));
    let [before, _] = transfer(&mut link, 10_000);
    let end = link.end(Side::A);
    assert!(end.streams.stats(end.id).is_none(), "it is gone");
    assert_eq!(end.streams.traffic(), before);
    end.id = end.streams.open(crate::udx::Admission::Refuse);
    link.connect(Side::A);
    written(&mut link, Side::A, b"more");
    link.send();
    let end = link.end(Side::A);
    let own = end.streams.stats(end.id).expect("it is open").traffic;
    assert_eq!(own.packets_sent, 1);
    assert_eq!(end.streams.traffic().packets_sent, before.packets_sent + 1);
    assert_eq!(end.streams.traffic().bytes_sent, before.bytes_sent + own.bytes_sent);
    let (now, id) = (link.now, link.end(Side::A).id);
    link.end(Side::A).streams.destroy(now, id);
    assert_eq!(link.end(Side::A).streams.traffic().packets_sent, before.packets_sent + 1);
}
