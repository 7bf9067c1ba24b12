//! What is left of closed streams: enough to answer peers that have not heard of the end.
//!
//! The reference forgets a stream at once (`udx.md` §17, `libudx src/udx.c close_stream_internal`); if its
//! last packet is lost, the peer repeats its own end for 13 s and then reports a time-out although all data
//! arrived.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::types::{BarePacket, Place};
use crate::wire::packet::{DATA, DESTROY, END, HEARTBEAT, PacketHeader};

/// The tombstones of a node.
#[derive(Debug, Default)]
pub(super) struct Tombstones {
    by_id: BTreeMap<u32, Tombstone>,
    /// In the order in which they expire.
    order: VecDeque<(Instant, u32)>,
}

#[derive(Debug)]
struct Tombstone {
    expires: Instant,
    places: [Option<Place>; 2],
    answer: BarePacket,
}

impl Tombstones {
    /// Remembers for a while how to answer packets for `id` from `places`.
    pub(super) fn add(&mut self, now: Instant, id: u32, places: [Option<Place>; 2], answer: BarePacket) {
        if self.order.len() >= MAX_TOMBSTONES {
            self.remove_first();
        }
        let expires = now + LIFETIME;
        self.by_id.insert(id, Tombstone { expires, places, answer });
        self.order.push_back((expires, id));
    }

    /// Returns the answer to a packet for a closed stream; the inner `None` if it has none.
    pub(super) fn handle_packet(
        &mut self,
        now: Instant,
        place: Place,
        header: &PacketHeader,
    ) -> Option<Option<BarePacket>> {
        while self.order.front().is_some_and(|(expires, _)| *expires <= now) {
            self.remove_first();
        }
        let tombstone = self.by_id.get(&header.stream_id)?;
        let asks = header.has(DATA | END | HEARTBEAT) && !header.has(DESTROY);
        let known = tombstone.places.contains(&Some(place));
        Some((asks && known).then_some(tombstone.answer))
    }

    pub(super) fn contains(&self, id: u32) -> bool {
        self.by_id.contains_key(&id)
    }

    fn remove_first(&mut self) {
        if let Some((expires, id)) = self.order.pop_front()
            && self.by_id.get(&id).is_some_and(|tombstone| tombstone.expires == expires)
        {
            self.by_id.remove(&id);
        }
    }
}

/// Closed streams that are remembered at a time.
pub(super) const MAX_TOMBSTONES: usize = 1024;
/// The 13 s for which the reference repeats (`udx.md` §12), and some more.
const LIFETIME: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddrV4};

    use super::*;
    use crate::wire::packet::HEADER_LEN;
    use crate::wire::transmit::SocketId;

    #[test]
    fn the_oldest_goes_when_there_are_too_many() {
        let now = Instant::now();
        let place = (SocketId::SERVER, SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1));
        let mut tombstones = Tombstones::default();
        for id in 0..2 * MAX_TOMBSTONES as u32 {
            tombstones.add(now, id, [Some(place), None], (place, [0; HEADER_LEN]));
        }
        assert_eq!(tombstones.by_id.len(), MAX_TOMBSTONES);
        assert!(!tombstones.contains(0) && tombstones.contains(2 * MAX_TOMBSTONES as u32 - 1));
        let header = PacketHeader { kind: END, data_offset: 0, stream_id: 2000, window: 0, seq: 0, ack: 0 };
        assert!(matches!(tombstones.handle_packet(now, place, &header), Some(Some(_))));
        assert_eq!(tombstones.handle_packet(now + LIFETIME, place, &header), None);
        assert!(tombstones.order.is_empty());
    }
}
