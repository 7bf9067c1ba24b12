//! The packets that have numbers and no acknowledgement.
//!
//! Numbers count packets (`udx.md` §4), so a packet is found by its distance from the oldest one out.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tracing::debug;

use super::batch::{Acked, Batch};
use super::congestion::Loss;
use super::division::Question;
use super::mtu::{MIN_PAYLOAD, Mtu};
use super::packet::{Packet, PacketState};
use super::rate::{Delivery, Sample};
use super::seq::RangeSet;
use crate::wire::packet::{DATA, HEADER_LEN};

/// All packets of a stream that are out.
#[derive(Debug)]
pub(super) struct Outstanding {
    oldest: u64,
    packets: VecDeque<Packet>,
    /// Numbers acknowledged before older ones.
    sacked: RangeSet,
    /// Transmissions with their numbers in the order in which they left; some are outdated.
    order: VecDeque<(u64, u64)>,
    /// Numbers to be sent again; some are outdated.
    lost: VecDeque<u64>,
    transmissions: u64,
    in_flight_bytes: u64,
    in_flight: usize,
    delivery: Delivery,
    batch: Batch,
    mtu: Mtu,
    /// When a packet was sent last.
    sent_at: Option<Instant>,
    /// Set while only the first packet is sent again, until it is known whether all can be divided anew.
    question: Option<Question>,
    /// Packets below went over another path, whose delays are not known any more.
    path_began: u64,
    /// The owner of the stream notices wrong bytes.
    may_divide: bool,
}

impl Outstanding {
    pub(super) fn new(start: u64, max_payload: usize, may_divide: bool) -> Self {
        Self {
            oldest: start,
            packets: VecDeque::new(),
            sacked: RangeSet::new(),
            order: VecDeque::new(),
            lost: VecDeque::new(),
            transmissions: 0,
            in_flight_bytes: 0,
            in_flight: 0,
            delivery: Delivery::default(),
            batch: Batch::default(),
            mtu: Mtu::new(max_payload),
            sent_at: None,
            question: None,
            path_began: start,
            may_divide,
        }
    }

    /// Sets the first number, before anything was sent.
    pub(super) const fn start_at(&mut self, first: u64) {
        self.oldest = first;
    }

    /// Handles a cumulative acknowledgement, which must not be beyond [`Self::next`]. Returns whether the
    /// oldest number went up.
    pub(super) fn acknowledge_below(&mut self, now: Instant, ack: u64, minimum: Option<Duration>) -> bool {
        if ack <= self.oldest {
            return false;
        }
        while self.oldest < ack {
            self.acknowledge(now, self.oldest, minimum);
            self.packets.pop_front();
            self.oldest += 1;
        }
        self.batch.advanced = true;
        self.sacked.remove_below(self.oldest);
        true
    }

    /// Handles a selective acknowledgement of `[start, end)`. Ranges that can't be are ignored.
    pub(super) fn acknowledge_range(
        &mut self,
        now: Instant,
        start: u64,
        end: u64,
        minimum: Option<Duration>,
    ) {
        if start >= end || end > self.next() || start < self.oldest {
            return;
        }
        let mut sacked = std::mem::replace(&mut self.sacked, RangeSet::new());
        sacked.insert(start, end, |from, to| {
            for seq in from..to {
                self.acknowledge(now, seq, minimum);
            }
        });
        self.sacked = sacked;
    }

    fn acknowledge(&mut self, now: Instant, seq: u64, minimum: Option<Duration>) {
        let packet = &mut self.packets[(seq - self.oldest) as usize];
        if packet.state == PacketState::Acknowledged {
            return;
        }
        self.question = None;
        let size = packet.size() as u64;
        if packet.state == PacketState::InFlight {
            self.in_flight -= 1;
            self.in_flight_bytes -= size;
        }
        packet.state = PacketState::Acknowledged;
        if packet.padding > 0 {
            self.mtu.acknowledged(packet.size() - HEADER_LEN);
        } else {
            self.mtu.packet_arrived(packet.length.into(), packet.transmission);
        }
        let repeated = packet.repeated;
        let acked =
            Acked { transmission: packet.transmission, sent_at: packet.sent_at, snapshot: packet.snapshot };
        self.delivery.add(now, size);
        // An answer to the second copy can't come sooner than the shortest round trip.
        let is_early = |minimum| now.saturating_duration_since(acked.sent_at) < minimum;
        let spurious = repeated && minimum.is_some_and(is_early);
        self.batch.add(seq, size, acked, repeated, spurious);
    }

    /// Returns what was acknowledged since the last call, if anything was.
    pub(super) fn take_batch(&mut self) -> Option<Batch> {
        (self.batch.bytes > 0 || self.batch.advanced).then(|| std::mem::take(&mut self.batch))
    }

    /// Measures the delivery rate by a packet of the last batch.
    pub(super) fn sample(
        &mut self,
        now: Instant,
        acked: &Acked,
        minimum: Option<Duration>,
    ) -> Option<Sample> {
        self.delivery.sample(now, &acked.snapshot, acked.sent_at, minimum)
    }

    /// Returns what was ever delivered and lost.
    pub(super) const fn delivery(&self) -> &Delivery {
        &self.delivery
    }

    /// Notes that there is too little to send, so that the rate measured is not the path's.
    pub(super) fn limit_delivery(&mut self) {
        self.delivery.limit(self.in_flight_bytes);
    }

    /// Calls `is_lost` with the packets in flight, the one that left earliest first, until it returns false,
    /// and marks the others lost. Returns what was lost, if anything was, without probes of the path.
    pub(super) fn detect(&mut self, mut is_lost: impl FnMut(&Packet) -> bool) -> Option<Loss> {
        let mut loss = None;
        while let Some(&(transmission, seq)) = self.order.front() {
            let packet = seq.checked_sub(self.oldest).and_then(|at| self.packets.get_mut(at as usize));
            if let Some(packet) = packet
                && packet.state == PacketState::InFlight
                && packet.transmission == transmission
            {
                if !is_lost(packet) {
                    break;
                }
                self.in_flight -= 1;
                self.in_flight_bytes -= packet.size() as u64;
                packet.state = PacketState::Lost;
                self.lost.push_back(seq);
                if packet.padding > 0 {
                    self.mtu.lost(packet.size() - HEADER_LEN);
                    packet.padding = 0;
                } else {
                    self.mtu.packet_lost(packet.length.into(), transmission);
                    let size = packet.size() as u64;
                    let lost_since = self.delivery.lose(size) - packet.snapshot.lost;
                    let bytes = loss.map_or(0, |loss: Loss| loss.bytes) + size;
                    loss = Some(Loss { bytes, in_flight_then: packet.snapshot.in_flight, lost_since });
                }
            }
            self.order.pop_front();
        }
        if self.order.len() > 4 * self.packets.len() + 64 {
            self.forget_old_transmissions();
        }
        loss
    }

    fn forget_old_transmissions(&mut self) {
        let (oldest, packets) = (self.oldest, &self.packets);
        self.order.retain(|(transmission, seq)| {
            let packet = seq.checked_sub(oldest).and_then(|at| packets.get(at as usize));
            packet.is_some_and(|packet| {
                packet.state == PacketState::InFlight && packet.transmission == *transmission
            })
        });
    }

    /// Marks all packets in flight lost, of which the path is not the reason.
    pub(super) fn lose_flight(&mut self) {
        for (packet, seq) in self.packets.iter_mut().zip(self.oldest..) {
            if packet.state == PacketState::InFlight {
                packet.state = PacketState::Lost;
                if packet.padding > 0 {
                    self.mtu.abandon();
                    packet.padding = 0;
                }
                self.lost.push_back(seq);
            }
        }
        self.question = None;
        self.in_flight = 0;
        self.in_flight_bytes = 0;
        self.order.clear();
        self.sort_lost();
    }

    /// Puts the packets that wait to be sent again in the order of their numbers.
    pub(super) fn sort_lost(&mut self) {
        self.lost.make_contiguous().sort_unstable();
    }

    /// Returns the number of the next packet to send again.
    pub(super) fn next_lost(&mut self) -> Option<u64> {
        while let Some(&seq) = self.lost.front() {
            let packet = seq.checked_sub(self.oldest).and_then(|at| self.packets.get(at as usize));
            if packet.is_some_and(|packet| packet.state == PacketState::Lost) {
                return Some(seq);
            }
            self.lost.pop_front();
        }
        None
    }

    /// Returns the highest number in flight.
    pub(super) fn last_in_flight(&self) -> Option<u64> {
        let at = self.packets.iter().rposition(|packet| packet.state == PacketState::InFlight)?;
        Some(self.oldest + at as u64)
    }

    /// Adds a packet of `length` bytes from `offset` on, which is sent now. One that is padded probes the
    /// path. Returns its number.
    pub(super) fn add(
        &mut self,
        now: Instant,
        offset: u64,
        length: usize,
        kind: u8,
        padded_to: Option<usize>,
    ) -> u64 {
        let padding = padded_to.map_or(0, |size| size.saturating_sub(length));
        if padded_to.is_some() {
            self.mtu.sent();
        }
        let in_flight = self.in_flight_bytes + (HEADER_LEN + length + padding) as u64;
        let snapshot = self.delivery.snapshot(now, in_flight, self.in_flight == 0);
        let seq = self.next();
        self.packets.push_back(Packet {
            offset,
            length: u16::try_from(length).expect("a payload is far smaller than 64 KiB"),
            kind,
            padding: u8::try_from(padding).unwrap_or(0),
            state: PacketState::Lost,
            repeated: false,
            copied: false,
            transmission: 0,
            sent_at: now,
            snapshot,
        });
        self.launch(now, seq);
        seq
    }

    /// Notes that `seq` is sent again now, without padding.
    pub(super) fn repeat(&mut self, now: Instant, seq: u64) {
        let idle = self.in_flight == 0;
        let packet = &mut self.packets[(seq - self.oldest) as usize];
        if packet.state == PacketState::InFlight {
            self.in_flight -= 1;
            self.in_flight_bytes -= packet.size() as u64;
        }
        if packet.padding > 0 {
            self.mtu.abandon();
        }
        packet.repeated = true;
        packet.padding = 0;
        let in_flight = self.in_flight_bytes + packet.size() as u64;
        packet.snapshot = self.delivery.snapshot(now, in_flight, idle);
        self.launch(now, seq);
    }

    fn launch(&mut self, now: Instant, seq: u64) {
        let packet = &mut self.packets[(seq - self.oldest) as usize];
        self.transmissions += 1;
        packet.transmission = self.transmissions;
        packet.sent_at = now;
        self.sent_at = Some(now);
        if let Some(question) = &mut self.question {
            question.sent();
        }
        packet.state = PacketState::InFlight;
        self.order.push_back((self.transmissions, seq));
        self.in_flight += 1;
        self.in_flight_bytes += packet.size() as u64;
    }

    /// Starts the search for the largest payload over, on another path: packets in flight probe it no more.
    pub(super) fn change_path(&mut self, max_payload: usize) {
        for packet in &mut self.packets {
            if packet.state == PacketState::InFlight {
                self.in_flight_bytes -= u64::from(packet.padding);
            }
            packet.padding = 0;
        }
        self.mtu = Mtu::new(max_payload);
        self.path_began = self.next();
        self.question = None;
    }

    /// Notes a time-out: the path may have shrunk. If its round trip is known, and the packets are too large,
    /// the peer is asked whether they can be divided anew.
    pub(super) fn time_out(&mut self, is_measured: bool) {
        let Some(size) = self.first().map(|packet| usize::from(packet.length)) else {
            return;
        };
        self.mtu.time_out(size);
        let is_lost = self.sacked.is_empty() && self.oldest >= self.path_began && is_measured;
        let asks = self.may_divide && is_lost && size > self.mtu.payload();
        self.question = asks.then(Question::default);
    }

    /// Returns whether nothing but the first packet may be sent, see [`division`](super::division).
    pub(super) const fn is_in_question(&self) -> bool {
        self.question.is_some()
    }

    /// Notes that a heartbeat leaves on a path where nothing comes later than after `latest`.
    pub(super) fn ask(&mut self, now: Instant, latest: Option<Duration>) {
        if let (Some(question), Some(since), Some(latest)) = (&mut self.question, self.sent_at, latest) {
            question.ask(now, since, latest);
        }
    }

    /// Handles a report of everything that the peer has, which is all below `ack`: divides the packets anew
    /// if it shows that the peer gets none of them any more.
    pub(super) fn handle_report(&mut self, ack: u64) {
        if ack == self.oldest && self.question.as_ref().is_some_and(Question::is_answered) {
            self.divide();
        }
    }

    /// Divides all packets into those that the path seems to carry, which wait to be sent under the same
    /// first number.
    fn divide(&mut self) {
        debug_assert!(self.sacked.is_empty() && self.packets.iter().all(|packet| !packet.is_acknowledged()));
        let most = self.mtu.payload();
        let mut divided = VecDeque::with_capacity(self.packets.len());
        for packet in self.packets.drain(..) {
            if packet.padding > 0 {
                self.mtu.abandon();
            }
            let (mut offset, mut left) = (packet.offset, usize::from(packet.length));
            // Of one size: a short part that crosses a path too narrow for the others would end all this.
            let size = left.div_ceil(left.div_ceil(most).max(1));
            while left > size {
                divided.push_back(packet.part(offset, size, DATA));
                offset += size as u64;
                left -= size;
            }
            divided.push_back(packet.part(offset, left, packet.kind));
        }
        debug!(packets = divided.len(), mtu = most, "packets divided anew");
        self.packets = divided;
        self.order.clear();
        self.lost = (self.oldest..self.next()).collect();
        self.in_flight = 0;
        self.in_flight_bytes = 0;
        self.question = None;
    }

    /// Drops all packets.
    pub(super) fn clear(&mut self) {
        self.packets.clear();
        self.question = None;
        self.in_flight = 0;
        self.in_flight_bytes = 0;
    }

    /// Gives back memory that the packets which are out do not need.
    pub(super) fn reclaim(&mut self) {
        shrink(&mut self.packets);
        shrink(&mut self.order);
        shrink(&mut self.lost);
    }

    /// Returns how much memory the packets take, without their bytes.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        let orders = (self.order.capacity() + self.lost.capacity()) * size_of::<u64>();
        self.packets.capacity() * size_of::<Packet>() + orders
    }

    pub(super) fn get(&self, seq: u64) -> &Packet {
        &self.packets[(seq - self.oldest) as usize]
    }

    pub(super) fn first(&self) -> Option<&Packet> {
        self.packets.front()
    }

    /// Returns the packet that is out if it is a small one, sent once, and no other is out.
    pub(super) fn alone(&self) -> Option<&Packet> {
        let first = self.first().filter(|_| self.packets.len() == 1)?;
        (first.state == PacketState::InFlight && !first.repeated && first.size() <= MAX_COPIED)
            .then_some(first)
    }

    /// Returns when the packet left that may be sent a second time.
    pub(super) fn to_copy(&self) -> Option<Instant> {
        self.alone().filter(|packet| !packet.copied).map(|packet| packet.sent_at)
    }

    /// Notes that the only packet has had its second copy, or is to have none.
    ///
    /// Nothing else is noted: what acknowledges either copy is taken for the answer to the first. If that was
    /// lost, the round trip is measured too long by what lies between both, which is little and errs on the
    /// safe side; by Karn's rule a stream that sends single packets would measure nothing at all.
    pub(super) fn copied(&mut self) {
        if let Some(first) = self.packets.front_mut() {
            first.copied = true;
        }
    }

    /// Returns the next number to be used.
    pub(super) fn next(&self) -> u64 {
        self.oldest + self.packets.len() as u64
    }

    /// Returns the oldest number that is not acknowledged.
    pub(super) const fn oldest(&self) -> u64 {
        self.oldest
    }

    /// Returns how many packets have numbers and no acknowledgement, gaps included.
    pub(super) fn len(&self) -> usize {
        self.packets.len()
    }

    pub(super) const fn in_flight(&self) -> usize {
        self.in_flight
    }

    pub(super) const fn in_flight_bytes(&self) -> u64 {
        self.in_flight_bytes
    }

    /// Returns whether `count` packets were acknowledged before older ones.
    pub(super) fn sacked_at_least(&self, count: u64) -> bool {
        let mut sum = 0;
        self.sacked.iter().any(|(from, to)| {
            sum += to - from;
            sum >= count
        })
    }

    /// Returns when the oldest packet was sent last, if it is larger than what the path seems to carry at
    /// most.
    pub(super) fn large_since(&self) -> Option<Instant> {
        let first = self.first().filter(|_| self.mtu.payload() == MIN_PAYLOAD)?;
        (usize::from(first.length) > MIN_PAYLOAD).then_some(first.sent_at)
    }

    pub(super) const fn mtu(&self) -> &Mtu {
        &self.mtu
    }

    pub(super) const fn mtu_mut(&mut self) -> &mut Mtu {
        &mut self.mtu
    }
}

/// The longest datagram that is sent a second time without being known as lost.
const MAX_COPIED: usize = 400;
/// An idle stream may keep room for this many packets.
const SMALL: usize = 16;

/// Gives back what is far more room than is used: so much has come and gone meanwhile that it costs little.
fn shrink<T>(queue: &mut VecDeque<T>) {
    if queue.capacity() > SMALL + 8 * queue.len() {
        queue.shrink_to(2 * queue.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes three packets of these lengths, loses them, asks and gets an answer. Returns the packets.
    fn answered(sacked: bool, lengths: [usize; 3]) -> Outstanding {
        let (start, rtt) = (Instant::now(), Duration::from_millis(50));
        let mut packets = Outstanding::new(100, 1452, true);
        let mut offset = 0;
        for length in lengths {
            packets.add(start, offset, length, DATA, None);
            offset += length as u64;
        }
        if sacked {
            packets.acknowledge_range(start, 102, 103, None);
        }
        packets.time_out(true);
        packets.detect(|_| true);
        let [sent, asked] = [1, 2].map(|times| start + rtt * times);
        packets.repeat(sent, 100);
        packets.ask(asked, Some(rtt));
        packets.handle_report(100);
        packets
    }

    #[test]
    fn large_packets_are_divided_and_small_ones_are_not() {
        let mut packets = answered(false, [1452, 100, 3000]);
        let pieces: Vec<_> = (100..packets.next()).map(|seq| packets.get(seq)).collect();
        let pieces: Vec<_> = pieces.iter().map(|packet| (packet.offset, packet.length)).collect();
        assert_eq!(pieces, [(0, 726), (726, 726), (1452, 100), (1552, 1000), (2552, 1000), (3552, 1000)]);
        assert_eq!((packets.in_flight(), packets.in_flight_bytes()), (0, 0));
        let now = Instant::now();
        for seq in 100..106 {
            assert_eq!(packets.next_lost(), Some(seq));
            packets.repeat(now, seq);
        }
        assert_eq!((packets.next_lost(), packets.in_flight()), (None, 6));
        packets.acknowledge_below(now, 106, None);
        assert_eq!((packets.in_flight(), packets.in_flight_bytes(), packets.len()), (0, 0, 0));
    }

    #[test]
    fn packets_keep_their_borders_if_the_peer_has_a_later_one_or_small_ones_are_out() {
        assert_eq!(answered(true, [1452, 100, 100]).len(), 3);
        assert_eq!(answered(false, [100, 1452, 100]).len(), 3, "another fault");
    }

    #[test]
    fn packets_that_went_over_another_path_keep_their_borders() {
        let (now, rtt) = (Instant::now(), Duration::from_millis(50));
        let mut packets = Outstanding::new(100, 1452, true);
        packets.add(now, 0, 1452, DATA, None);
        packets.change_path(1452);
        packets.time_out(true);
        assert!(!packets.is_in_question());
        packets.ask(now + rtt, Some(rtt));
        packets.handle_report(100);
        assert_eq!(packets.len(), 1);
    }
}
