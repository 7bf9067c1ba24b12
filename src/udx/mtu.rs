//! How much a packet may carry: path MTU discovery by probes, as RFC 8899.
//!
//! A probe is a full packet of new data, padded in front of its payload as in the reference (`udx.md` §14).
//! The padding is at most 255 bytes, so the search takes steps of that size upwards and halves the rest after
//! a failure, where the reference takes steps of 32. A lost probe is sent again without its padding and does
//! not count as congestion.

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
    /// A probe is out.
    outstanding: bool,
    /// The peer has acknowledged something.
    started: bool,
}

impl Mtu {
    pub(super) const fn new(ceiling: usize) -> Self {
        Self { current: BASE_PAYLOAD, ceiling, failed: None, failures: 0, outstanding: false, started: false }
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
    }

    /// Notes that a probe with `size` bytes after the header has arrived.
    pub(super) fn acknowledged(&mut self, size: usize) {
        self.outstanding = false;
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
        self.failures += 1;
        if self.failures >= MAX_FAILURES {
            self.failures = 0;
            self.failed = Some(size);
            debug!(bytes = size, mtu = self.current, "payload found too large");
        }
    }

    /// Falls back to the size that every path carries, after time-outs that a shrunken path would explain
    /// (RFC 8899 §4.3).
    pub(super) fn black_hole(&mut self) {
        if self.current > BASE_PAYLOAD {
            self.failed = Some(BASE_PAYLOAD);
            self.current = BASE_PAYLOAD;
            debug!(mtu = BASE_PAYLOAD, "payload reduced after time-outs");
        }
    }
}

/// What fits 1200 bytes of IPv4 (`BASE_PLPMTU` of RFC 8899 §5.1.2), where the reference begins too (`udx.md`
/// §19).
pub(super) const BASE_PAYLOAD: usize = 1152;
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
    fn a_black_hole_ends_the_search_at_the_base() {
        let mut mtu = Mtu::new(1452);
        mtu.start();
        mtu.acknowledged(1407);
        mtu.black_hole();
        assert_eq!((mtu.payload(), mtu.wanted()), (BASE_PAYLOAD, None));
    }
}
