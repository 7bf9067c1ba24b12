//! Bulk transfers over links of all kinds.

use std::time::Duration;

use crate::sim::link::{Direction, Link, Side};
use crate::udx::{Closed, Config, Event};
use crate::wire::packet::MAX_PAYLOAD;

#[test]
fn a_transfer_survives_loss_disorder_and_duplicates_in_both_directions_at_once() {
    survive(0..25);
}

// In two halves, so that they run side by side.
#[test]
fn a_transfer_survives_loss_disorder_and_duplicates_with_other_seeds() {
    survive(25..50);
}

#[test]
fn a_clean_path_is_filled_and_little_is_sent_twice() {
    let direction =
        Direction { rate: Some((12.5e6, 400_000)), ..Direction::clean(Duration::from_millis(10)) };
    let mut link = Link::new(1, Config::default(), direction);
    let bytes = 16 << 20;
    let took = exchange(&mut link, bytes);
    let rate = bytes as f64 / took.as_secs_f64();
    assert!(rate > 0.8 * 12.5e6, "{rate} bytes per second");
    for end in &link.ends {
        assert!(end.sent_bytes < bytes * 115 / 100, "{} for {bytes}", end.sent_bytes);
    }
}

#[test]
fn a_chat_does_not_slow_down_what_follows() {
    let direction =
        Direction { rate: Some((12.5e6, 400_000)), ..Direction::clean(Duration::from_millis(10)) };
    let mut fresh = Link::new(1, Config::default(), direction);
    let expected = exchange(&mut fresh, 8 << 20);
    let mut link = Link::new(1, Config::default(), direction);
    for _ in 0..200 {
        for side in Side::BOTH {
            super::helpers::written(&mut link, side, b"a few words");
            link.run_for(Duration::from_millis(15));
            super::helpers::read(&mut link, Side::A, usize::MAX);
            super::helpers::read(&mut link, Side::B, usize::MAX);
        }
    }
    let began = link.now;
    exchange(&mut link, 8 << 20);
    let took = link.now - began;
    // Three times as long where the chat wears the measurements out.
    assert!(took < expected * 2, "{took:?} of {expected:?}");
}

#[test]
fn packets_grow_further_on_a_path_that_stays_on_this_host() {
    let config = Config::default();
    let payload = |address: &str| config.max_payload(address.parse().expect("valid"));
    assert_eq!(payload("127.0.0.1:9"), MAX_PAYLOAD);
    assert_eq!(payload("198.51.100.1:9"), Config::ETHERNET_PAYLOAD);
    let excessive = Config { max_payload: 60_000, max_loopback_payload: 60_000, ..config };
    for address in ["127.0.0.1:9", "198.51.100.1:9"] {
        let address = address.parse().expect("valid");
        assert_eq!(excessive.max_payload(address), MAX_PAYLOAD);
    }
}

#[test]
fn packets_grow_to_what_the_path_carries() {
    for (mtu, longest) in [(1472, 1472), (1400, 1400), (1172, 1172), (9000, 2048)] {
        let direction = Direction { mtu, ..Direction::clean(Duration::from_millis(5)) };
        let config = Config { max_payload: 60_000, ..Config::default() };
        let mut link = Link::new(1, config, direction);
        exchange(&mut link, 2 << 20);
        let packets = (2 << 20) / (longest - 20);
        assert!(link.ends[0].longest <= 2048);
        // Little more than the fewest packets possible, and as many acknowledgements.
        let sent = link.ends[0].sent;
        assert!(sent < packets * 21 / 10 + 200, "{sent} packets of {packets} at {mtu}");
    }
}

#[test]
fn sequence_numbers_wrap() {
    let direction = Direction {
        loss: 0.02,
        jitter: Duration::from_millis(1),
        ..Direction::clean(Duration::from_millis(5))
    };
    let mut link = Link::unconnected(3, Config::default(), direction);
    for side in Side::BOTH {
        let (own, remote) =
            if side == Side::A { (u32::MAX - 40, u32::MAX) } else { (u32::MAX, u32::MAX - 40) };
        let end = link.end(side);
        end.streams.set_sequence(end.id, own, remote);
        link.connect(side);
    }
    exchange(&mut link, 1 << 20);
}

fn survive(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let direction = Direction {
            jitter: Duration::from_millis(4),
            loss: 0.05,
            duplicate: 0.02,
            ..Direction::clean(Duration::from_millis(10))
        };
        let mut link = Link::new(seed, Config::default(), direction);
        let took = exchange(&mut link, 16 << 20);
        assert!(took < Duration::from_secs(6), "seed {seed} took {took:?}");
    }
}

/// Sends `bytes` bytes each way at once, ends both directions, and returns how long that took.
pub(super) fn exchange(link: &mut Link, bytes: usize) -> Duration {
    let (mut written, mut read) = ([0; 2], [0; 2]);
    let mut finished = [None; 2];
    let mut out = Vec::new();
    let text = text();
    loop {
        let now = link.now;
        for side in Side::BOTH {
            let (at, end) = (side as usize, link.end(side));
            if finished[at].is_some() {
                continue;
            }
            while written[at] < bytes {
                let chunk = (bytes - written[at]).min(PERIOD);
                let chunk = &text[written[at] % PERIOD..][..chunk];
                let taken = end.streams.write(now, end.id, chunk);
                let taken = taken.unwrap_or_else(|e| panic!("{e} {read:?} {side:?} {now:?}"));
                written[at] += taken;
                if written[at] == bytes {
                    end.streams.finish(now, end.id);
                }
                if taken < chunk.len() {
                    break;
                }
            }
            out.clear();
            end.streams.read(now, end.id, usize::MAX, &mut out);
            for part in out.chunks(PERIOD) {
                let expected = &text[read[at] % PERIOD..][..part.len()];
                assert!(part == expected, "wrong bytes after {}", read[at]);
                read[at] += part.len();
            }
        }
        link.send();
        for side in Side::BOTH {
            if let Some(Event::Closed(closed)) = link.end(side).events.last() {
                assert_eq!(closed, &Closed::Ended);
                finished[side as usize].get_or_insert(now);
            }
        }
        if finished.iter().all(Option::is_some) {
            assert_eq!(read, [bytes; 2]);
            return link.now - link.began;
        }
        assert!(link.step(), "the transfer stands still at {read:?} of {bytes}");
        assert!(
            link.now - link.began < Duration::from_secs(3600),
            "the transfer crawls: {read:?} of {bytes}"
        );
    }
}

pub(super) fn pattern(at: usize) -> u8 {
    (at * 31 + (at >> 8) * 7 + 11) as u8
}

/// Returns the pattern, twice its period long.
pub(super) fn text() -> Vec<u8> {
    (0..2 * PERIOD).map(pattern).collect()
}

/// After so many bytes the pattern repeats.
pub(super) const PERIOD: usize = 1 << 16;

/// The path carries less from the middle of a transfer on, and no router reports it.
#[test]
fn a_transfer_goes_on_when_the_path_carries_less_than_before() {
    for (mtu, rtt) in [(1252, 5), (1252, 100), (1000, 20), (548, 20)] {
        let mut link = Link::new(1, Config::default(), Direction::clean(Duration::from_millis(rtt / 2)));
        carry(&mut link, 2 << 20);
        assert_eq!(link.ends[0].longest, 1472);
        link.ends[0].direction.mtu = mtu;
        let (began, sent) = (link.now, link.ends[0].sent);
        carry(&mut link, 2 << 20);
        let took = link.now - began;
        assert!(took < Duration::from_millis(1500 + 20 * rtt), "{took:?} at {mtu}");
        let packets = (2 << 20) / (mtu - 20);
        let sent = link.ends[0].sent - sent;
        // All may be under way; it is sent again, and a part of it twice.
        assert!(sent < packets * 3, "{sent} packets of {packets} at {mtu}");
    }
}

/// What reports them is longer than the path carries, and nothing else acknowledges what was received.
#[test]
fn an_acknowledgement_of_many_gaps_crosses_a_narrow_path() {
    let mut link = Link::new(1, Config::default(), Direction::clean(Duration::from_millis(10)));
    link.ends[1].direction.mtu = 548;
    carry(&mut link, 1 << 20);
    // Half of what is under way, for a while.
    link.drop_if(|side, datagram| side == Side::A && datagram[12] % 2 == 1);
    link.run_for(Duration::from_millis(30));
    link.drop_nothing();
    let began = link.now;
    carry(&mut link, 1 << 20);
    assert!(link.ends[1].longest > 548, "{}", link.ends[1].longest);
    assert!(link.now - began < Duration::from_secs(2), "{:?}", link.now - began);
}

/// A firewall drops what routers have divided.
#[test]
fn a_stream_whose_large_packets_never_arrive_ends_with_that_reason() {
    for is_there in [true, false] {
        let mut link = Link::new(1, Config::default(), Direction::clean(Duration::from_millis(10)));
        carry(&mut link, 1000);
        match is_there {
            true => link.drop_if(|_, datagram| datagram.len() > 548),
            false => link.drop_if(|_, _| true),
        }
        let (now, end) = (link.now, link.end(Side::A));
        assert!(end.streams.write(now, end.id, &text()).is_ok_and(|taken| taken > 1000));
        let began = link.now;
        while !matches!(link.end(Side::A).events.last(), Some(Event::Closed(_))) {
            assert!(link.step(), "the stream stays");
        }
        let closed = if is_there { Closed::Narrow } else { Closed::TimedOut };
        assert_eq!(link.end(Side::A).events.last(), Some(&Event::Closed(closed)));
        assert_eq!(link.now - began < Duration::from_secs(8), is_there, "{:?}", link.now - began);
        link.drop_nothing();
        link.run_for(Duration::from_millis(50));
        let is_reset = link.end(Side::B).events.last() == Some(&Event::Closed(Closed::Reset));
        assert_eq!(is_reset, is_there, "the peer need not find out by itself");
    }
}

/// The peer is heard first when the path comes back, before the packets that wait for their time-out.
#[test]
fn a_transfer_outlives_an_outage_whatever_comes_first_after_it() {
    // Time-outs take packets of this size down to the smallest.
    let direction = Direction { mtu: 1180, ..Direction::clean(Duration::from_millis(10)) };
    for outage in [1000, 2000, 3000, 4000, 6000, 9000] {
        let mut link = Link::new(1, Config::default(), direction);
        let (now, end) = (link.now, link.end(Side::B));
        end.streams.set_keep_alive(now, end.id, Some(Duration::from_millis(100)));
        carry(&mut link, 1 << 20);
        link.drop_if(|_, _| true);
        link.run_for(Duration::from_millis(outage));
        link.drop_nothing();
        carry(&mut link, 1 << 20);
    }
}

/// No packet of the usual first size crosses.
#[test]
fn a_stream_begins_on_a_path_that_carries_no_more_than_every_host_must_take() {
    for mtu in [548, 700, 1100] {
        let direction = Direction { mtu, ..Direction::clean(Duration::from_millis(10)) };
        let mut link = Link::new(1, Config::default(), direction);
        exchange(&mut link, 1 << 20);
        let took = link.now - link.began;
        assert!(took < Duration::from_secs(3), "{took:?} at {mtu}");
    }
}

/// Carries so many bytes from A to B; neither end finishes.
fn carry(link: &mut Link, bytes: usize) {
    let (mut read, mut out, text) = (0, Vec::new(), text());
    while read < bytes {
        let now = link.now;
        let end = link.end(Side::A);
        while end.streams.write(now, end.id, &text).expect("the stream is open") > 0 {}
        let end = link.end(Side::B);
        out.clear();
        read += end.streams.read(now, end.id, usize::MAX, &mut out);
        assert!(link.step(), "nothing more happens");
    }
}
