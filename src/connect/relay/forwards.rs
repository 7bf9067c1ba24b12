//! The packets that a blind relay passes on: only the stream id changes.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddrV4;
use std::time::Instant;

use crate::wire::packet::{DESTROY, HEADER_LEN, PacketHeader};
use crate::wire::transmit::{SocketId, Transmit};

/// Packets that may wait to be passed on; further ones are lost, as on any path.
const MAX_WAITING: usize = 1024;

/// Packets for a side that has not sent anything yet: it does not expect any before it has.
const MAX_EARLY: usize = 8;

/// Where the packets of one side come from and go to.
type Place = (SocketId, SocketAddrV4);

/// The links of a relay, by the id under which each side's packets are taken.
#[derive(Debug, Default)]
pub(in crate::connect) struct Forwards {
    sides: BTreeMap<u32, Side>,
    waiting: VecDeque<Transmit>,
}

/// One direction.
#[derive(Debug)]
struct Side {
    /// Who may send here.
    from: Place,
    /// Where that goes, under which id.
    to: Place,
    to_id: u32,
    /// The id of the other direction.
    other: u32,
    /// Whether it has sent anything; until then packets to it wait.
    has_spoken: bool,
    early: Vec<Transmit>,
    bytes_left: u64,
    until: Instant,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::connect) enum Forwarded {
    /// It is for no link.
    NotOurs,
    /// It is passed on, or lost.
    Taken,
    /// It is passed on as the last one: the link is over.
    Last([u32; 2]),
}

impl Forwards {
    /// Links two places: the id under which packets are taken from each, the place, and the id under which it
    /// takes packets.
    pub(in crate::connect) fn link(&mut self, sides: [(u32, Place, u32); 2], bytes: u64, until: Instant) {
        let [a, b] = sides;
        for ((own, from, _), (other, to, to_id)) in [(a, b), (b, a)] {
            self.sides.insert(
                own,
                Side {
                    from,
                    to,
                    to_id,
                    other,
                    has_spoken: false,
                    early: Vec::new(),
                    bytes_left: bytes,
                    until,
                },
            );
        }
    }

    /// Ends a link, named by the id of either side; returns both ids.
    pub(in crate::connect) fn unlink(&mut self, id: u32) -> Option<[u32; 2]> {
        let other = self.sides.remove(&id)?.other;
        self.sides.remove(&other);
        Some([id, other])
    }

    /// Passes a packet on if it belongs to a link. Only the peer itself can use its link: no other
    /// packets travel on.
    pub(in crate::connect) fn handle_packet(
        &mut self,
        now: Instant,
        from: Place,
        packet: &[u8],
    ) -> Forwarded {
        let Some((header, _)) = PacketHeader::split(packet).filter(|_| !self.sides.is_empty()) else {
            return Forwarded::NotOurs;
        };
        let id = header.stream_id;
        let Some(side) = self.sides.get_mut(&id) else {
            return Forwarded::NotOurs;
        };
        if side.from != from {
            return Forwarded::Taken;
        }
        let length = packet.len() as u64;
        let (other, over) = (side.other, side.bytes_left < length || side.until <= now);
        if over {
            self.unlink(id);
            return Forwarded::Last([id, other]);
        }
        side.bytes_left -= length;
        let mut payload = packet.to_vec();
        payload[ID_AT..ID_AT + 4].copy_from_slice(&side.to_id.to_le_bytes());
        let transmit = Transmit {
            socket: side.to.0,
            destination: side.to.1,
            ttl: None,
            // Padding makes a packet measure the path, and it is the whole path that counts.
            may_fragment: header.data_offset == 0,
            payload,
        };
        side.has_spoken = true;
        let released = std::mem::take(&mut side.early);
        self.waiting.extend(released);
        if let Some(back) = self.sides.get_mut(&other) {
            back.bytes_left = back.bytes_left.saturating_sub(length);
            if !back.has_spoken {
                if back.early.len() < MAX_EARLY {
                    back.early.push(transmit);
                }
            } else if self.waiting.len() < MAX_WAITING {
                self.waiting.push_back(transmit);
            }
        }
        if header.has(DESTROY) {
            self.unlink(id);
            return Forwarded::Last([id, other]);
        }
        Forwarded::Taken
    }

    pub(in crate::connect) fn poll_transmit(&mut self) -> Option<Transmit> {
        self.waiting.pop_front()
    }
}

/// Where the stream id is in a packet.
const ID_AT: usize = 4;
const _: () = assert!(ID_AT + 4 <= HEADER_LEN);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::wire::packet::DATA;

    #[test]
    fn only_the_id_changes_on_the_way() {
        let (now, mut forwards) = linked(1000, Duration::from_secs(1));
        let packet = packet(11, DATA, b"sealed");
        assert_eq!(forwards.handle_packet(now, place(1), &packet), Forwarded::Taken);
        let sent = forwards.poll_transmit().unwrap();
        assert_eq!((sent.socket, sent.destination), place(2));
        assert_eq!(sent.payload[4..8], 200_u32.to_le_bytes());
        assert_eq!((&sent.payload[..4], &sent.payload[8..]), (&packet[..4], &packet[8..]));
        assert_eq!(forwards.poll_transmit(), None);
    }

    #[test]
    fn strangers_can_use_no_link() {
        let (now, mut forwards) = linked(1000, Duration::from_secs(1));
        for from in [place(2), place(3)] {
            let packet = packet(11, DATA, b"x");
            assert_eq!(forwards.handle_packet(now, from, &packet), Forwarded::Taken);
        }
        assert_eq!(forwards.poll_transmit(), None);
        let unknown = packet(13, DATA, b"x");
        assert_eq!(forwards.handle_packet(now, place(1), &unknown), Forwarded::NotOurs);
    }

    #[test]
    fn the_end_of_a_stream_ends_its_link() {
        let (now, mut forwards) = linked(1000, Duration::from_secs(1));
        let last = forwards.handle_packet(now, place(2), &packet(12, DESTROY, b""));
        assert_eq!(last, Forwarded::Last([12, 11]));
        assert!(forwards.poll_transmit().is_some(), "the peer learns of it");
        let late = forwards.handle_packet(now, place(1), &packet(11, DATA, b""));
        assert_eq!(late, Forwarded::NotOurs);
    }

    #[test]
    fn a_link_ends_when_its_bytes_or_its_time_are_used_up() {
        let length = packet(11, DATA, b"").len() as u64;
        let (now, mut forwards) = linked(2 * length, Duration::from_secs(1));
        forwards.handle_packet(now, place(1), &packet(11, DATA, b""));
        forwards.handle_packet(now, place(2), &packet(12, DATA, b""));
        let over = forwards.handle_packet(now, place(1), &packet(11, DATA, b""));
        assert_eq!(over, Forwarded::Last([11, 12]));
        let (now, mut forwards) = linked(1000, Duration::from_secs(1));
        let late = now + Duration::from_secs(1);
        let over = forwards.handle_packet(late, place(1), &packet(11, DATA, b""));
        assert_eq!(over, Forwarded::Last([11, 12]));
    }

    #[test]
    fn a_side_that_has_not_spoken_gets_the_first_packets_when_it_does() {
        let now = Instant::now();
        let mut forwards = Forwards::default();
        let sides = [(11, place(1), 100), (12, place(2), 200)];
        forwards.link(sides, u64::MAX, now + Duration::from_secs(1));
        for _ in 0..MAX_EARLY + 5 {
            forwards.handle_packet(now, place(1), &packet(11, DATA, b"early"));
        }
        assert_eq!(forwards.poll_transmit(), None);
        forwards.handle_packet(now, place(2), &packet(12, DATA, b""));
        let sent: Vec<_> = std::iter::from_fn(|| forwards.poll_transmit()).collect();
        let to_second = sent.iter().filter(|sent| sent.destination == place(2).1);
        assert_eq!((to_second.count(), sent.len()), (MAX_EARLY, MAX_EARLY + 1));
    }

    #[test]
    fn packets_wait_up_to_a_bound() {
        let (now, mut forwards) = linked(u64::MAX, Duration::from_secs(1));
        for _ in 0..MAX_WAITING + 10 {
            forwards.handle_packet(now, place(1), &packet(11, DATA, b""));
        }
        assert_eq!(forwards.waiting.len(), MAX_WAITING);
    }

    fn linked(bytes: u64, lifetime: Duration) -> (Instant, Forwards) {
        let now = Instant::now();
        let mut forwards = Forwards::default();
        let sides = [(11, place(1), 100), (12, place(2), 200)];
        forwards.link(sides, bytes, now + lifetime);
        for side in forwards.sides.values_mut() {
            side.has_spoken = true;
        }
        (now, forwards)
    }

    fn place(last: u8) -> Place {
        (SocketId::SERVER, SocketAddrV4::new([10, 0, 0, last].into(), 5))
    }

    fn packet(id: u32, kind: u8, payload: &[u8]) -> Vec<u8> {
        let header = PacketHeader { kind, data_offset: 0, stream_id: id, window: 1, seq: 2, ack: 3 };
        let mut packet = header.to_bytes().to_vec();
        packet.extend_from_slice(payload);
        packet
    }
}
