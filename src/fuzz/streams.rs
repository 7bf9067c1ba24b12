//! Two tables of streams, joined by a link that an adversary runs.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use arbitrary::{Result, Unstructured};

use super::meter::{PER_DATAGRAM, keeps_at_most};
use crate::udx::{Admission, Closed, Config, Event, StreamId, Streams};
use crate::wire::packet::PacketHeader;
use crate::wire::transmit::SocketId;

/// The adversary loses, repeats, delays and reorders datagrams, and sends others from elsewhere. Each side
/// gets the beginning of what the other has written; once the link works, all of it or a typed end.
pub(super) fn transfer(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let mut link = Link::new();
    // Without bytes the adversary has no more ideas.
    while !u.is_empty() && link.turn(&mut u, false).is_ok() {}
    link.settle();
}

/// The adversary also changes and makes up datagrams of the stream's path. Nothing panics, spins or grows.
pub(super) fn forged(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let mut link = Link::new();
    while !u.is_empty() && link.turn(&mut u, true).is_ok() {}
}

struct End {
    streams: Streams,
    id: StreamId,
    written: usize,
    read: usize,
    finished: bool,
    remote_finished: bool,
    closed: Option<Closed>,
    /// Whether the peer never answered a heartbeat: then its owner looks after the stream.
    unanswered: bool,
    /// Whether this side has destroyed its stream.
    destroyed: bool,
    /// Datagrams on their way to this end.
    coming: VecDeque<Vec<u8>>,
}

struct Link {
    now: Instant,
    ends: [End; 2],
    /// Whether bytes may be others than were written.
    forged: bool,
}

impl Link {
    fn new() -> Self {
        let now = Instant::now();
        let config = Config { receive_window: 60_000, send_buffer: 20_000, ..Config::default() };
        let ends = [1, 2].map(|id| {
            let mut streams = Streams::new(config.clone(), [id; 32]);
            let id = streams.open_as(id.into(), Admission::Refuse);
            End {
                streams,
                id,
                written: 0,
                read: 0,
                finished: false,
                remote_finished: false,
                closed: None,
                unanswered: false,
                destroyed: false,
                coming: VecDeque::new(),
            }
        });
        let mut link = Self { now, ends, forged: false };
        for side in [0, 1] {
            let end = &mut link.ends[side];
            end.streams.connect(now, end.id, SocketId::SERVER, address(1 - side), 2 - side as u32);
        }
        link
    }

    /// Takes the next idea of the adversary, or lets an end do something.
    fn turn(&mut self, u: &mut Unstructured<'_>, may_forge: bool) -> Result<()> {
        let side = usize::from(u.arbitrary::<bool>()?);
        let now = self.now;
        match u.int_in_range(0..=15u8)? {
            0..=2 => {
                let length = u.int_in_range(0..=4000usize)?;
                self.write(side, length);
            }
            3 => {
                let most = u.int_in_range(0..=9000usize)?;
                self.read(side, most);
            }
            4..=7 => {
                let at = u.int_in_range(0..=3)?.min(self.ends[side].coming.len());
                if let Some(datagram) = self.ends[side].coming.remove(at) {
                    self.deliver(side, address(1 - side), &datagram);
                }
            }
            8 => {
                let at = u.int_in_range(0..=3)?.min(self.ends[side].coming.len());
                self.ends[side].coming.remove(at);
            }
            9 => {
                // Once more, and kept.
                if let Some(datagram) = self.ends[side].coming.front().cloned() {
                    self.deliver(side, address(1 - side), &datagram);
                }
            }
            10 => {
                let datagram = packet(u, &self.ends[side])?;
                let from = if may_forge { address(1 - side) } else { address(7) };
                self.forged |= may_forge;
                self.deliver(side, from, &datagram);
            }
            11 if may_forge => {
                if let Some(datagram) = self.ends[side].coming.front_mut() {
                    *datagram = super::secrets::damage(u, datagram)?;
                    self.forged = true;
                }
            }
            12 => self.wait(Duration::from_micros(u.int_in_range(0..=400_000)?)),
            13 => {
                let length = u.int_in_range(0..=1300usize)?;
                // A message may be refused.
                let _ = self.ends[side].streams.send_message(now, self.ends[side].id, &vec![9; length]);
            }
            14 if u.ratio(1, 4)? => {
                let end = &mut self.ends[side];
                end.finished = true;
                end.streams.finish(now, end.id);
            }
            15 if u.ratio(1, 12)? => {
                let end = &mut self.ends[side];
                end.destroyed = true;
                end.streams.destroy(now, end.id);
            }
            _ => self.wait(Duration::from_millis(5)),
        }
        self.drain();
        Ok(())
    }

    fn write(&mut self, side: usize, length: usize) {
        let end = &mut self.ends[side];
        if end.finished {
            return;
        }
        let bytes: Vec<u8> = (end.written..end.written + length).map(pattern).collect();
        // A closed stream takes nothing.
        end.written += end.streams.write(self.now, end.id, &bytes).unwrap_or(0);
    }

    fn read(&mut self, side: usize, most: usize) {
        let end = &mut self.ends[side];
        let mut out = Vec::new();
        end.streams.read(self.now, end.id, most, &mut out);
        if !self.forged {
            let exact = out.iter().enumerate().all(|(at, byte)| *byte == pattern(end.read + at));
            assert!(exact, "other bytes than were written, after {}", end.read);
        }
        end.read += out.len();
        let read = end.read;
        assert!(self.forged || read <= self.ends[1 - side].written);
    }

    fn deliver(&mut self, side: usize, from: SocketAddrV4, datagram: &[u8]) {
        let (now, end) = (self.now, &mut self.ends[side]);
        keeps_at_most(PER_DATAGRAM, || {
            end.streams.handle_datagram(now, SocketId::SERVER, from, datagram);
            end.streams.flush(now);
        });
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        for side in [0, 1] {
            // A timer that is due may set the next one to now once or twice, not for ever.
            for round in 0.. {
                let streams = &mut self.ends[side].streams;
                assert!(round < 50, "a timer spins: {:?}", streams.poll_timeout());
                match streams.poll_timeout() {
                    Some((at, _)) if at <= self.now => streams.handle_timeout(self.now),
                    _ => break,
                }
                self.drain();
            }
        }
    }

    fn drain(&mut self) {
        for side in [0, 1] {
            let sent = self.ends[side].drain(self.now);
            let coming = &mut self.ends[1 - side].coming;
            coming.extend(sent);
            // The network holds only so much.
            let excess = coming.len().saturating_sub(256);
            coming.drain(..excess);
        }
    }

    /// Returns whether one side is gone, its last word and what answers for it as well, and the other knows.
    fn is_abandoned(&self) -> bool {
        let [one, other] = &self.ends;
        (one.unanswered && !other.is_open()) || (other.unanswered && !one.is_open())
    }

    /// Lets the link work until nothing moves: all that was written arrives, or the end has a name.
    fn settle(&mut self) {
        let until = self.now + Duration::from_secs(3600);
        for side in [0, 1] {
            let end = &mut self.ends[side];
            end.finished = true;
            end.streams.finish(self.now, end.id);
            // The last word of the other side may have been lost.
            end.streams.set_keep_alive(self.now, end.id, Some(Duration::from_secs(5)));
        }
        while self.ends.iter().any(|end| end.is_open()) && !self.is_abandoned() {
            self.drain();
            let mut moved = false;
            for side in [0, 1] {
                while let Some(datagram) = self.ends[side].coming.pop_front() {
                    self.deliver(side, address(1 - side), &datagram);
                    moved = true;
                }
                self.read(side, usize::MAX);
            }
            if !moved {
                let timers = self.ends.iter().filter_map(|end| end.streams.poll_timeout());
                let Some(next) = timers.map(|(at, _)| at).min() else { break };
                assert!(next < until, "the streams do not come to an end");
                self.wait(next.saturating_duration_since(self.now));
            }
        }
        self.drain();
        for side in [0, 1] {
            self.read(side, usize::MAX);
            let end = &self.ends[side];
            let other = &self.ends[1 - side];
            match end.closed {
                Some(Closed::Ended) => assert_eq!(end.read, other.written, "cut short without a word"),
                Some(Closed::Left | Closed::Reset | Closed::Stalled | Closed::TimedOut | Closed::Narrow) => {
                    assert!(!other.is_open())
                }
                None => assert!(end.destroyed || self.is_abandoned()),
            }
        }
    }
}

impl End {
    const fn is_open(&self) -> bool {
        self.closed.is_none() && !self.destroyed
    }

    /// Takes the events out, and the datagrams to send.
    fn drain(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let mut sent = Vec::new();
        let mut buffer = Vec::new();
        loop {
            buffer.clear();
            let Some(train) = self.streams.poll_transmit(now, 16, &mut buffer) else { break };
            assert!(!buffer.is_empty() && buffer.len() <= 65_507);
            sent.extend(buffer.chunks(train.segment_size).map(<[u8]>::to_vec));
            assert!(sent.len() < 4096, "it never stops sending");
        }
        while let Some((id, event)) = self.streams.poll_event() {
            assert_eq!(id, self.id);
            assert!(self.closed.is_none(), "{event:?} after the last event");
            match event {
                Event::Closed(closed) => self.closed = Some(closed),
                Event::HeartbeatUnanswered => self.unanswered = true,
                Event::RemoteFinished => {
                    assert!(!self.remote_finished, "an end is reported once");
                    self.remote_finished = true;
                }
                _ => {}
            }
        }
        sent
    }
}

/// Makes a packet for an end, with numbers near those in use.
fn packet(u: &mut Unstructured<'_>, to: &End) -> Result<Vec<u8>> {
    let near = |u: &mut Unstructured<'_>| -> Result<u32> {
        Ok(if u.ratio(1, 8)? { u.arbitrary()? } else { u.int_in_range(0..=40u32)?.wrapping_sub(3) })
    };
    let header = PacketHeader {
        kind: if u.ratio(1, 8)? { u.arbitrary()? } else { *u.choose(&[0, 1, 2, 3, 4, 5, 8, 16, 32])? },
        data_offset: if u.ratio(1, 8)? { u.arbitrary()? } else { 0 },
        stream_id: if u.ratio(1, 8)? { u.arbitrary()? } else { to.id.0 },
        window: *u.choose(&[0, 1000, 4 << 20, u32::MAX])?,
        seq: near(u)?,
        ack: near(u)?,
    };
    let mut datagram = header.to_bytes().to_vec();
    if u.arbitrary()? {
        for _ in 0..u.int_in_range(0..=20)? {
            datagram.extend_from_slice(&near(u)?.to_le_bytes());
        }
    } else {
        let length = u.int_in_range(0..=2100usize)?;
        datagram.resize(datagram.len() + length, 7);
    }
    Ok(datagram)
}

const fn pattern(at: usize) -> u8 {
    (at * 31 + (at >> 8) * 7 + 11) as u8
}

const fn address(side: usize) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 1 + side as u8), 7000)
}
