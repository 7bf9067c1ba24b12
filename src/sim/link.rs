//! Two stream tables joined by a link with delay, loss, disorder and a queue, in virtual time.
//!
//! Everything follows from the seed, so a failing run can be repeated.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::udx::{Config, Event, StreamId, StreamStats, Streams};
use crate::wire::packet::{DATA, END, PacketHeader};
use crate::wire::transmit::SocketId;

/// How one direction of a link treats datagrams.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Direction {
    /// The least time that a datagram takes.
    pub(crate) delay: Duration,
    /// By how much it may be later, which also puts datagrams out of order.
    pub(crate) jitter: Duration,
    /// How likely it is lost.
    pub(crate) loss: f64,
    /// How likely it comes twice.
    pub(crate) duplicate: f64,
    /// Bytes per second, and how many bytes may wait; more are dropped.
    pub(crate) rate: Option<(f64, usize)>,
    /// Longer datagrams are dropped, unless they may be divided.
    pub(crate) mtu: usize,
    /// Those are dropped as well.
    pub(crate) drops_fragments: bool,
}

impl Direction {
    /// A link with delay and nothing else.
    pub(crate) const fn clean(delay: Duration) -> Self {
        Self {
            delay,
            jitter: Duration::ZERO,
            loss: 0.0,
            duplicate: 0.0,
            rate: None,
            mtu: 65_535,
            drops_fragments: false,
        }
    }
}

/// One end of a link.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) streams: Streams,
    /// The stream on this end that is joined to one on the other.
    pub(crate) id: StreamId,
    /// What was polled of it, without what it has measured.
    pub(crate) events: Vec<Event>,
    /// That, at its end.
    pub(crate) measured: Option<StreamStats>,
    pub(crate) direction: Direction,
    /// Datagrams that this end has sent, and of these the ones with the longest size.
    pub(crate) sent: usize,
    pub(crate) sent_bytes: usize,
    pub(crate) longest: usize,
    /// Datagrams sent that took a number, repetitions included, and the highest of their numbers.
    pub(crate) numbered: usize,
    pub(crate) highest: u32,
    /// When the link has passed on what waits.
    busy_until: Instant,
}

/// Which end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    A,
    B,
}

impl Side {
    pub(crate) const BOTH: [Self; 2] = [Self::A, Self::B];

    const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// Returns the address that the other end sees.
    pub(crate) const fn address(self) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 1 + self as u8), 7000)
    }
}

/// The link and its two ends.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) now: Instant,
    pub(crate) began: Instant,
    pub(crate) ends: [End; 2],
    rng: StdRng,
    under_way: BTreeMap<(Instant, u64), (Side, Vec<u8>)>,
    count: u64,
    /// Datagrams under way at most so many times more are dropped if they match: for tests that lose certain
    /// ones.
    filter: Option<fn(Side, &[u8]) -> bool>,
    idle_wakes: usize,
}

impl Link {
    /// Joins two new tables by a link, and a stream on each by paths.
    pub(crate) fn new(seed: u64, config: Config, direction: Direction) -> Self {
        let mut link = Self::unconnected(seed, config, direction);
        for side in Side::BOTH {
            link.connect(side);
        }
        link
    }

    /// Joins two new tables by a link; their streams have ids but no paths.
    pub(crate) fn unconnected(seed: u64, config: Config, direction: Direction) -> Self {
        let now = Instant::now();
        let mut rng = StdRng::seed_from_u64(seed);
        let ends = Side::BOTH.map(|_| {
            let mut streams = Streams::new(config.clone(), rng.r#gen());
            let id = streams.open(crate::udx::Admission::Refuse);
            End {
                streams,
                id,
                events: Vec::new(),
                measured: None,
                direction,
                sent: 0,
                sent_bytes: 0,
                longest: 0,
                numbered: 0,
                highest: 0,
                busy_until: now,
            }
        });
        Self { now, began: now, ends, rng, under_way: BTreeMap::new(), count: 0, filter: None, idle_wakes: 0 }
    }

    /// Gives the stream of one side its path to the other.
    pub(crate) fn connect(&mut self, side: Side) {
        let remote = self.end(side.other()).id.0;
        let (now, end) = (self.now, self.end(side));
        end.streams.connect(now, end.id, SocketId::SERVER, side.other().address(), remote);
    }

    pub(crate) fn end(&mut self, side: Side) -> &mut End {
        &mut self.ends[side as usize]
    }

    /// Drops datagrams from now on for which `filter` returns true.
    pub(crate) fn drop_if(&mut self, filter: fn(Side, &[u8]) -> bool) {
        self.filter = Some(filter);
    }

    pub(crate) fn drop_nothing(&mut self) {
        self.filter = None;
    }

    /// Sends what is to be sent and moves time to the next thing that happens. Returns false if nothing ever
    /// will.
    pub(crate) fn step(&mut self) -> bool {
        self.send();
        let arrival = self.under_way.first_key_value().map(|((at, _), _)| *at);
        let timers = self.ends.iter().filter_map(|end| end.streams.poll_timeout()).map(|(at, _)| at).min();
        let Some(next) = arrival.into_iter().chain(timers).min() else {
            return false;
        };
        let moved = next > self.now;
        self.now = self.now.max(next);
        let mut arrived = [false; 2];
        while let Some(entry) = self.under_way.first_entry()
            && entry.key().0 <= self.now
        {
            let (to, datagram) = entry.remove();
            arrived[to as usize] = true;
            let (now, from) = (self.now, to.other().address());
            self.end(to).streams.handle_datagram(now, SocketId::SERVER, from, &datagram);
        }
        for (end, arrived) in self.ends.iter_mut().zip(arrived) {
            if arrived {
                end.streams.flush(self.now);
            }
            if end.streams.poll_timeout().is_some_and(|(at, _)| at <= self.now) {
                end.streams.handle_timeout(self.now);
            }
        }
        let sent = self.ends[0].sent + self.ends[1].sent;
        self.send();
        // A wake that moves nothing, again and again, is a timer that spins.
        let idle = !moved && arrived == [false; 2] && sent == self.ends[0].sent + self.ends[1].sent;
        self.idle_wakes = if idle { self.idle_wakes + 1 } else { 0 };
        assert!(
            self.idle_wakes < 20,
            "a timer spins: {:?}",
            self.ends.each_ref().map(|end| end.streams.poll_timeout())
        );
        true
    }

    /// Runs until `duration` has passed.
    pub(crate) fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            self.send();
            let arrival = self.under_way.first_key_value().map(|((at, _), _)| *at);
            let timers = self.ends.iter().filter_map(|end| end.streams.poll_timeout()).map(|(at, _)| at);
            match arrival.into_iter().chain(timers).min() {
                Some(next) if next <= end => self.step(),
                _ => break,
            };
        }
        self.now = self.now.max(end);
    }

    /// Sends what the ends have to send, and drains their events.
    pub(crate) fn send(&mut self) {
        for side in Side::BOTH {
            let mut buffer = Vec::new();
            loop {
                buffer.clear();
                let now = self.now;
                let Some(train) = self.end(side).streams.poll_transmit(now, 64, &mut buffer) else {
                    break;
                };
                assert!(!buffer.is_empty() && buffer.len() <= 65_507, "a train of {} bytes", buffer.len());
                assert!(train.segment_size <= 2048, "libudx cuts longer datagrams (udx.md §2)");
                let lost = train.destination != side.other().address();
                assert!(
                    buffer.chunks(train.segment_size).rev().skip(1).all(|datagram| datagram[3] == 0),
                    "a padded packet ends its train"
                );
                for datagram in buffer.chunks(train.segment_size) {
                    assert!(!train.may_fragment || datagram[3] == 0, "a probe may be divided");
                    let direction = self.end(side).direction;
                    let may_divide = train.may_fragment && !direction.drops_fragments;
                    let too_long = datagram.len() > direction.mtu && !may_divide;
                    self.put(side, datagram, lost || too_long);
                }
            }
            let end = self.end(side);
            while let Some((id, event)) = end.streams.poll_event() {
                assert_eq!(id, end.id);
                match event {
                    Event::Measured(stats) => end.measured = Some(*stats),
                    event => end.events.push(event),
                }
            }
        }
    }

    fn put(&mut self, from: Side, datagram: &[u8], mut lost: bool) {
        let now = self.now;
        let end = &mut self.ends[from as usize];
        let direction = end.direction;
        end.sent += 1;
        end.sent_bytes += datagram.len();
        end.longest = end.longest.max(datagram.len());
        if let Some((header, _)) = PacketHeader::split(datagram)
            && header.has(DATA | END)
        {
            end.numbered += 1;
            end.highest = end.highest.max(header.seq);
        }
        lost |= self.rng.gen_bool(direction.loss);
        lost |= self.filter.is_some_and(|filter| filter(from, datagram));
        let mut leaves = now;
        if let Some((rate, queue)) = direction.rate {
            let waiting = end.busy_until.saturating_duration_since(now).as_secs_f64() * rate;
            if waiting as usize + datagram.len() > queue {
                return;
            }
            leaves = end.busy_until.max(now) + Duration::from_secs_f64(datagram.len() as f64 / rate);
            end.busy_until = leaves;
        }
        if lost {
            return;
        }
        let copies = 1 + usize::from(self.rng.gen_bool(direction.duplicate));
        for _ in 0..copies {
            let late = direction.jitter.mul_f64(self.rng.r#gen());
            self.count += 1;
            self.under_way
                .insert((leaves + direction.delay + late, self.count), (from.other(), datagram.to_vec()));
        }
    }
}
