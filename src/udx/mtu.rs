//! How much a packet may carry: path MTU discovery by probes, as RFC 8899.
//!
//! A probe is a full packet of new data, padded in front of its payload as in the reference (`udx.md` §14).
//! The padding is at most 255 bytes, so the search takes steps of that size upwards and halves the rest after
//! a failure, where the reference takes steps of 32. A lost probe is sent again without its padding and does
//! not count as congestion.
//!
//! A packet keeps its number and its borders as long as the peer may have it or one behind it (see
//! [`division`](super::division)), so one that has become too large for the path cannot always be divided by
//! its sender. Routers may divide it: that is allowed for every packet which is larger than what the path is
//! known to carry, and measures nothing.

use tracing::debug;

/// The search for the largest payload that the path carries.
#[derive(Debug)]
pub(super) struct Mtu {
    /// What the path is known to carry (`PLPMTU` of RFC 8899).
    current: usize,
    /// Where the search ends (`MAX_PLPMTU`).
    ceiling: usize,
    /// The least size that the path does not carry.
    failed: Option<usize>,
    /// Probes of one size lost in a row (`PROBE_COUNT`).
    failures: u32,
    /// Packets lost in a row that are too large for the level below, while smaller ones arrive.
    large_lost: u32,
    /// The last transmission of such a packet that arrived.
    large_arrived: u64,
    /// A probe is out.
    outstanding: bool,
    /// It was sent before the last fall-back, and says nothing about the path as it is now.
    is_outdated: bool,
    /// The peer has acknowledged something.
    started: bool,
}

impl Mtu {
    pub(super) const fn new(ceiling: usize) -> Self {
        Self {
            current: BASE_PAYLOAD,
            ceiling,
            failed: None,
            failures: 0,
            large_lost: 0,
            large_arrived: 0,
            outstanding: false,
            is_outdated: false,
            started: false,
        }
    }

    /// Sets how far the search goes, for a path that is known only now.
    pub(super) fn set_ceiling(&mut self, ceiling: usize) {
        self.ceiling = ceiling;
        let most = ceiling.max(BASE_PAYLOAD);
        if self.current > most {
            self.current = most;
            debug!(mtu = self.current, "payload reduced to what the path may carry");
        }
    }

    /// Returns the most bytes of payload in a new packet.
    pub(super) const fn payload(&self) -> usize {
        self.current
    }

    /// Returns whether routers may divide a packet with `size` bytes of payload and no padding.
    pub(super) const fn may_fragment(&self, size: usize) -> bool {
        size > self.current
    }

    /// Allows probes: the peer has acknowledged something.
    pub(super) const fn start(&mut self) {
        self.started = true;
    }

    /// Returns the number of bytes after the header that the next probe is to have, if one is wanted.
    pub(super) fn wanted(&self) -> Option<usize> {
        if !self.started || self.outstanding {
            return None;
        }
        let size = self.failed.map_or(self.ceiling, |failed| self.current.midpoint(failed));
        let size = size.min(self.current + usize::from(u8::MAX));
        let step = if self.failed.is_some() { MIN_STEP } else { 1 };
        (size >= self.current + step).then_some(size)
    }

    /// Notes that a probe is sent.
    pub(super) const fn sent(&mut self) {
        self.outstanding = true;
    }

    /// Notes that nothing will be learned from the probe.
    pub(super) const fn abandon(&mut self) {
        self.outstanding = false;
        self.is_outdated = false;
    }

    /// Notes that a probe with `size` bytes after the header has arrived.
    pub(super) fn acknowledged(&mut self, size: usize) {
        self.outstanding = false;
        if std::mem::take(&mut self.is_outdated) {
            return;
        }
        self.failures = 0;
        let found = size.min(self.ceiling);
        if found > self.current && self.failed.is_none_or(|failed| size < failed) {
            self.current = found;
            debug!(mtu = found, "larger payload found");
        }
    }

    /// Notes that a probe with `size` bytes after the header was lost.
    pub(super) fn lost(&mut self, size: usize) {
        self.outstanding = false;
        if std::mem::take(&mut self.is_outdated) {
            return;
        }
        self.failures += 1;
        if self.failures >= MAX_FAILURES {
            self.failures = 0;
            self.failed = Some(size);
            debug!(bytes = size, mtu = self.current, "payload found too large");
        }
    }

    /// Notes that a packet with `size` bytes of payload and no padding has arrived.
    pub(super) fn packet_arrived(&mut self, size: usize, transmission: u64) {
        if size > self.below() && !self.may_fragment(size) {
            self.large_arrived = self.large_arrived.max(transmission);
            self.large_lost = 0;
        }
    }

    /// Notes that such a packet was lost. Falls back when large ones are lost again and again and small ones
    /// arrive, which congestion does not explain.
    pub(super) fn packet_lost(&mut self, size: usize, transmission: u64) {
        // A packet that routers may divide says nothing about the path.
        let is_large = size > self.below() && !self.may_fragment(size);
        if is_large && transmission > self.large_arrived {
            self.large_lost += 1;
            if self.large_lost >= MAX_FAILURES {
                self.fall_back(self.below());
            }
        }
    }

    /// Notes a time-out while a packet with `size` bytes of payload is the first one out: a path that has
    /// shrunk would explain it (RFC 8899 §4.3).
    pub(super) fn time_out(&mut self, size: usize) {
        if size > MIN_PAYLOAD {
            self.fall_back(level_below(size));
        }
    }

    /// Falls back to a size, from where the search begins anew.
    fn fall_back(&mut self, current: usize) {
        if current < self.current {
            debug!(mtu = current, "payload reduced: large packets do not arrive");
            *self = Self {
                current,
                large_arrived: self.large_arrived,
                outstanding: self.outstanding,
                is_outdated: self.outstanding,
                started: self.started,
                ..Self::new(self.ceiling)
            };
        }
    }

    const fn below(&self) -> usize {
        level_below(self.current)
    }
}

/// Returns the level below a size: the base, or what every host must take.
const fn level_below(size: usize) -> usize {
    if size > BASE_PAYLOAD { BASE_PAYLOAD } else { MIN_PAYLOAD }
}

/// What fits 1200 bytes of IPv4 (`BASE_PLPMTU` of RFC 8899 §5.1.2), where the reference begins too (`udx.md`
/// §19).
pub(super) const BASE_PAYLOAD: usize = 1152;
/// What fits the 576 bytes of IPv4 that every host takes (RFC 791 §3.2), fragmented or not.
pub(super) const MIN_PAYLOAD: usize = 528;
/// Losses of probes of one size after which the path does not carry it: `MAX_PROBES` of RFC 8899 §5.1.2,
/// three in the reference too (`udx.md` §19).
const MAX_FAILURES: u32 = 3;
/// The search ends when the sizes known good and bad are this close.
const MIN_STEP: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_the_path_carries_to_within_a_step() {
        for carries in [1152, 1200, 1300, 1400, 1452, 1800, 2028] {
            let mut mtu = Mtu::new(2028);
            mtu.start();
            let mut probes = 0;
            while let Some(size) = mtu.wanted() {
                assert!(size <= mtu.payload() + 255, "padding is one byte long");
                mtu.sent();
                assert_eq!(mtu.wanted(), None, "one probe at a time");
                if size <= carries {
                    mtu.acknowledged(size)
                } else {
                    mtu.lost(size)
                }
                probes += 1;
                assert!(probes < 40, "the search ends");
            }
            assert!(
                mtu.payload() <= carries && mtu.payload() + MIN_STEP >= carries,
                "{} of {carries}",
                mtu.payload()
            );
        }
    }

    #[test]
    fn two_probes_reach_ethernet_on_a_clean_path() {
        let mut mtu = Mtu::new(1452);
        assert_eq!(mtu.wanted(), None, "not before the peer has answered");
        mtu.start();
        for _ in 0..2 {
            let size = mtu.wanted().unwrap();
            mtu.sent();
            mtu.acknowledged(size);
        }
        assert_eq!((mtu.payload(), mtu.wanted()), (1452, None));
    }

    #[test]
    fn a_path_that_turns_out_smaller_takes_what_was_found_back() {
        let mut mtu = Mtu::new(2028);
        mtu.start();
        mtu.acknowledged(1662);
        mtu.set_ceiling(1452);
        assert_eq!((mtu.payload(), mtu.wanted()), (1452, None));
        mtu.set_ceiling(1000);
        assert_eq!(mtu.payload(), BASE_PAYLOAD, "every path carries that");
    }

    #[test]
    fn time_outs_with_large_packets_out_reduce_the_payload_and_the_search_begins_anew() {
        let mut mtu = Mtu::new(1452);
        mtu.start();
        mtu.acknowledged(1407);
        mtu.time_out(MIN_PAYLOAD);
        assert_eq!(mtu.payload(), 1407, "a small packet is out, so the path has another fault");
        mtu.time_out(1407);
        assert_eq!((mtu.payload(), mtu.wanted()), (BASE_PAYLOAD, Some(1407)));
        assert!(mtu.may_fragment(1407) && !mtu.may_fragment(BASE_PAYLOAD));
        mtu.sent();
        mtu.time_out(1407);
        assert_eq!(mtu.payload(), BASE_PAYLOAD, "routers may divide it: one of its parts is lost");
        // Packets made meanwhile do not cross either, whatever the search has found since.
        mtu.acknowledged(1407);
        mtu.sent();
        mtu.time_out(BASE_PAYLOAD);
        mtu.acknowledged(1452);
        assert_eq!((mtu.payload(), mtu.wanted()), (MIN_PAYLOAD, Some(MIN_PAYLOAD + 255)));
        assert!(mtu.may_fragment(BASE_PAYLOAD));
        mtu.time_out(1407);
        assert_eq!(mtu.payload(), MIN_PAYLOAD, "every host takes that");
    }

    #[test]
    fn large_packets_that_are_lost_while_small_ones_arrive_reduce_the_payload() {
        let mut mtu = Mtu::new(1452);
        mtu.start();
        mtu.acknowledged(1452);
        for transmission in 1..3 {
            mtu.packet_lost(1452, transmission);
        }
        mtu.packet_arrived(1452, 4);
        for transmission in [3, 5, 6] {
            mtu.packet_lost(1452, transmission);
        }
        assert_eq!(mtu.payload(), 1452, "a later one has arrived, so it is congestion");
        mtu.packet_arrived(100, 7);
        mtu.packet_lost(1452, 8);
        assert_eq!(mtu.payload(), BASE_PAYLOAD);
    }
}
