//! What repairs the loss of the last packets, which no later one shows.

use std::time::Duration;

use super::helpers::{read, written};
use crate::sim::link::{Direction, Link, Side};
use crate::udx::Config;

/// An answer that is lost once comes little later than one that is not.
#[test]
fn requests_and_answers_that_are_lost_once_are_hardly_late() {
    let direction = Direction { loss: 0.01, ..Direction::clean(Duration::from_millis(25)) };
    let mut link = Link::new(1, Config::default(), direction);
    let mut times = round_trips(&mut link, 10_000);
    times.sort_unstable();
    let [middle, late, latest] = [5_000, 9_900, 9_990].map(|at| times[at].as_millis());
    assert!(middle == 50 && late <= 60 && latest <= 110, "{middle}, {late}, {latest} ms");
}

/// Not one of the copies is taken for a repetition, so the round trip is measured throughout.
#[test]
fn a_small_packet_that_is_out_alone_is_sent_twice_and_measured_once() {
    let mut link = Link::new(1, Config::default(), Direction::clean(Duration::from_millis(25)));
    round_trips(&mut link, 10);
    for one_way in [25, 75, 25] {
        for end in &mut link.ends {
            end.direction.delay = Duration::from_millis(one_way);
        }
        // The tail is probed until the longer time is known.
        round_trips(&mut link, 20);
        let sent = link.ends.each_ref().map(|end| end.numbered);
        round_trips(&mut link, 100);
        let sent = [0, 1].map(|at| link.ends[at].numbered - sent[at]);
        assert_eq!(sent, [200; 2], "{one_way} ms");
    }
}

#[test]
fn nothing_is_sent_twice_where_answers_come_soon_or_packets_are_large() {
    let sent = |rtt: u64, bytes: usize| {
        let mut link = Link::new(1, Config::default(), Direction::clean(Duration::from_millis(rtt / 2)));
        round_trips(&mut link, 10);
        link.run_for(Duration::from_millis(rtt));
        let sent = link.end(Side::A).numbered;
        written(&mut link, Side::A, &vec![7; bytes]);
        // Not even the probe of the tail leaves in that time.
        link.run_for(Duration::from_millis(rtt - 1));
        link.end(Side::A).numbered - sent
    };
    assert_eq!(sent(50, 380), 2);
    assert_eq!(sent(50, 381), 1);
    assert_eq!(sent(50, 1152 + 380), 2, "not alone");
    assert_eq!(sent(8, 64), 1);
}

#[test]
fn a_packet_that_nobody_answers_has_one_copy_before_the_tail_is_probed() {
    let mut link = Link::new(1, Config::default(), Direction::clean(Duration::from_millis(25)));
    round_trips(&mut link, 10);
    link.run_for(Duration::from_millis(50));
    link.drop_if(|_, _| true);
    let sent = link.end(Side::A).numbered;
    written(&mut link, Side::A, &[7; 64]);
    link.run_for(Duration::from_millis(50));
    assert_eq!(link.end(Side::A).numbered - sent, 2);
    link.run_for(Duration::from_millis(20));
    assert_eq!(link.end(Side::A).numbered - sent, 3);
}

/// Makes round trips of 64 bytes, 10 ms apart, and returns how long each took.
fn round_trips(link: &mut Link, count: usize) -> Vec<Duration> {
    let mut times = Vec::new();
    for _ in 0..count {
        let began = link.now;
        written(link, Side::A, &[7; 64]);
        let mut got = 0;
        while got < 64 {
            assert!(link.step(), "nothing more happens");
            let request = read(link, Side::B, usize::MAX);
            written(link, Side::B, &request);
            got += read(link, Side::A, usize::MAX).len();
        }
        times.push(link.now - began);
        link.run_for(Duration::from_millis(10));
    }
    times
}
