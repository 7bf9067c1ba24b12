//! Paths that become too narrow for packets that are out, and drop what routers divide.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::helpers::{read, written};
use super::transfer::{PERIOD, text};
use crate::sim::link::{Direction, Link, Side};
use crate::udx::{Closed, Config, Event};

#[test]
fn packets_are_divided_anew_when_the_path_becomes_too_narrow() {
    for (mtu, rtt) in [(1300, 5), (1300, 50), (1300, 200), (1000, 50), (548, 50)] {
        let mut link = Link::new(1, protected(), shrinking(rtt));
        let mut transfer = Transfer::default();
        // Until no queue of the beginning is left.
        assert!(transfer.carry(&mut link, 16 << 20));
        assert_eq!(link.ends[0].longest, 1472);
        link.ends[0].direction.mtu = mtu;
        let began = link.now;
        assert!(transfer.carry(&mut link, 2 << 20));
        let took = link.now - began;
        // Two levels below Ethernet are two time-outs.
        let levels = if mtu < 1172 { 2 } else { 1 };
        assert!(took < levels * Duration::from_millis(1000 + 10 * rtt), "{took:?} at {mtu} and {rtt} ms");
    }
}

/// Nothing is acknowledged after the change, so nothing else than what leaves makes room for the writer. A
/// short packet at the end of what it has written would cross, and keep the numbers of all before it.
#[test]
fn a_writer_goes_on_while_nothing_is_acknowledged() {
    for offset in 0..16 {
        let mut link = Link::new(1, protected(), shrinking(50));
        let mut transfer = Transfer::default();
        assert!(transfer.carry(&mut link, (8 << 20) + offset * 37_000));
        link.ends[0].direction.mtu = 1300;
        let began = link.now;
        assert!(transfer.carry(&mut link, 1 << 20), "ended: {offset}");
        let took = link.now - began;
        assert!(took < Duration::from_millis(1500), "{took:?}: {offset}");
    }
}

/// Round trips are measured while hosts are busy with the handshake, and are much shorter then.
#[test]
fn packets_are_divided_anew_on_a_path_that_has_become_faster() {
    let mut link = Link::new(1, protected(), shrinking(40));
    let mut transfer = Transfer::default();
    assert!(transfer.carry(&mut link, 1000));
    for end in &mut link.ends {
        end.direction = Direction { mtu: 548, ..shrinking(2) };
    }
    let began = link.now;
    assert!(transfer.carry(&mut link, 1 << 20), "the stream ends");
    assert!(link.now - began < Duration::from_secs(3), "{:?}", link.now - began);
}

/// What the peer sends all the while acknowledges nothing before gaps, but its answer to a heartbeat does.
#[test]
fn packets_are_divided_anew_while_the_peer_sends() {
    let mut link = Link::new(1, protected(), shrinking(50));
    let [mut there, mut back] = [Side::A, Side::B].map(|from| Transfer { from, ..Transfer::default() });
    for mtu in [1472, 1300] {
        link.ends[0].direction.mtu = mtu;
        there.progress = 0;
        let until = link.now + Duration::from_secs(2);
        while link.now < until {
            for transfer in [&mut there, &mut back] {
                transfer.write(&mut link);
                transfer.read(&mut link);
            }
            assert!(link.step(), "nothing more happens");
        }
    }
    assert!(there.progress > 1 << 20, "{}", there.progress);
}

/// Loss, disorder and paths that widen and narrow again and again. A stream may end, if the peer has a small
/// packet behind a large one.
#[test]
fn bytes_arrive_as_they_were_written_whatever_the_path_carries() {
    let mut divided = 0;
    for seed in 0..60 {
        let mut rng = StdRng::seed_from_u64(seed);
        let direction = Direction {
            loss: 0.02,
            duplicate: 0.02,
            jitter: Duration::from_millis(rng.gen_range(0..8)),
            ..shrinking(rng.gen_range(2..80))
        };
        let mut link = Link::new(seed, protected(), direction);
        let mut transfer = Transfer::default();
        for _ in 0..6 {
            let mtu = [1472, 1300, 1172, 1000, 548][rng.gen_range(0..5)];
            link.ends[0].direction.mtu = mtu;
            let longest = std::mem::take(&mut link.ends[0].longest);
            if !transfer.carry(&mut link, rng.gen_range(1..1 << 20)) {
                break;
            }
            divided += usize::from(longest > mtu);
        }
    }
    assert!(divided > 12, "{divided}");
}

/// The peer may have what follows, so the numbers of what it has not cannot change.
#[test]
fn packets_before_one_that_has_arrived_are_not_divided() {
    let direction = shrinking(20);
    let mut link = Link::new(1, protected(), direction);
    assert!(Transfer::default().carry(&mut link, 1 << 20));
    link.run_for(Duration::from_secs(1));
    read(&mut link, Side::B, usize::MAX);
    link.ends[0].direction.mtu = 548;
    // One packet that does not cross, and a short one that does.
    written(&mut link, Side::A, &text()[..1452 + 100]);
    while !matches!(link.end(Side::A).events.last(), Some(Event::Closed(_))) {
        assert!(link.step(), "the stream stays");
    }
    assert_eq!(link.end(Side::A).events.last(), Some(&Event::Closed(Closed::TimedOut)));
    assert!(read(&mut link, Side::B, usize::MAX).is_empty());
}

/// Nobody would notice the bytes of a packet that comes after the division.
#[test]
fn packets_of_a_stream_without_protection_are_not_divided() {
    let direction = shrinking(20);
    let mut link = Link::new(1, Config::default(), direction);
    let mut transfer = Transfer::default();
    assert!(transfer.carry(&mut link, 1 << 20));
    link.ends[0].direction.mtu = 1300;
    transfer.write(&mut link);
    while !matches!(link.end(Side::A).events.last(), Some(Event::Closed(_))) {
        assert!(link.step(), "the stream stays");
    }
    assert_eq!(link.end(Side::A).events.last(), Some(&Event::Closed(Closed::TimedOut)));
}

/// One direction of a stream, whose bytes follow a pattern.
struct Transfer {
    from: Side,
    /// The last write was cut short; the stream reports when there is room.
    is_blocked: bool,
    written: usize,
    read: usize,
    /// Bytes read since this was set to none.
    progress: usize,
    text: Vec<u8>,
}

impl Default for Transfer {
    fn default() -> Self {
        Self { from: Side::A, is_blocked: false, written: 0, read: 0, progress: 0, text: text() }
    }
}

impl Transfer {
    /// Carries so many bytes; what is written is more. Returns false if the stream has ended.
    fn carry(&mut self, link: &mut Link, bytes: usize) -> bool {
        self.progress = 0;
        while self.progress < bytes {
            if matches!(link.end(self.from).events.last(), Some(Event::Closed(_))) {
                return false;
            }
            self.write(link);
            assert!(link.step(), "nothing more happens");
            self.read(link);
        }
        true
    }

    fn write(&mut self, link: &mut Link) {
        let now = link.now;
        let end = link.end(self.from);
        if self.is_blocked && !end.events.contains(&Event::Writable) {
            return;
        }
        end.events.retain(|event| *event != Event::Writable);
        self.is_blocked = false;
        // A closed stream takes nothing.
        while let Ok(taken) = end.streams.write(now, end.id, &self.text[self.written % PERIOD..][..PERIOD]) {
            self.written += taken;
            if taken < PERIOD {
                self.is_blocked = true;
                break;
            }
        }
    }

    fn read(&mut self, link: &mut Link) {
        let to = if self.from == Side::A { Side::B } else { Side::A };
        for part in read(link, to, usize::MAX).chunks(PERIOD) {
            let expected = &self.text[self.read % PERIOD..][..part.len()];
            assert!(part == expected, "wrong bytes after {}", self.read);
            self.read += part.len();
            self.progress += part.len();
        }
    }
}

fn protected() -> Config {
    Config { is_protected: true, ..Config::default() }
}

/// A path of 100 Mbit/s. A writer that keeps up with it leaves no short packet behind long ones.
const fn shrinking(rtt: u64) -> Direction {
    let clean = Direction::clean(Duration::from_millis(rtt / 2));
    Direction { rate: Some((12.5e6, 4_000_000)), drops_fragments: true, ..clean }
}
