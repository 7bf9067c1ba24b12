//! Sequence numbers that never wrap, and sets of them. On the wire they have 32 bits and do (`udx.md` §4).

/// Where numbers start: so far from zero that numbers of old packets stay positive.
pub(super) const START: u64 = 1 << 32;

/// Returns the number nearest to `near` whose low 32 bits are `wire`.
pub(super) const fn expand(wire: u32, near: u64) -> u64 {
    let ahead = wire.wrapping_sub(near as u32) as i32;
    near.wrapping_add_signed(ahead as i64)
}

/// Numbers as disjoint, ascending ranges `[start, end)` that do not touch.
#[derive(Debug)]
pub(super) struct RangeSet(Vec<(u64, u64)>);

impl RangeSet {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a range and calls `fresh` with each part of it that was not in the set.
    pub(super) fn insert(&mut self, start: u64, end: u64, mut fresh: impl FnMut(u64, u64)) {
        let first = self.0.partition_point(|range| range.1 < start);
        let touching = self.0[first..].partition_point(|range| range.0 <= end);
        let last = first + touching;
        let (mut at, mut low, mut high) = (start, start, end);
        for &(from, to) in &self.0[first..last] {
            if from > at {
                fresh(at, from);
            }
            at = at.max(to);
            low = low.min(from);
            high = high.max(to);
        }
        if at < end {
            fresh(at, end);
        }
        if touching == 1 {
            self.0[first] = (low, high);
        } else {
            self.0.splice(first..last, [(low, high)]);
        }
    }

    /// Forgets all numbers below `bound`.
    pub(super) fn remove_below(&mut self, bound: u64) {
        let gone = self.0.partition_point(|range| range.1 <= bound);
        self.0.drain(..gone);
        if let Some(first) = self.0.first_mut() {
            first.0 = first.0.max(bound);
        }
        if self.0.is_empty() {
            self.0 = Vec::new();
        }
    }

    pub(super) fn clear(&mut self) {
        self.0 = Vec::new();
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter().copied()
    }

    /// Returns at most `count` ranges: all, or the lowest half and the highest half.
    pub(super) fn edges(&self, count: usize) -> impl Iterator<Item = (u64, u64)> + '_ {
        let (low, high) = if self.0.len() <= count {
            (self.0.len(), self.0.len())
        } else {
            (count / 2, self.0.len() - count / 2)
        };
        self.0[..low].iter().chain(&self.0[high..]).copied()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_expand_across_the_wrap() {
        let near = (7 << 32) - 1;
        assert_eq!(expand(0, near), 7 << 32);
        assert_eq!(expand(u32::MAX - 1, near), near - 1);
        assert_eq!(expand(u32::MAX, near), near);
    }

    #[test]
    fn of_many_ranges_the_lowest_and_the_highest_are_reported() {
        let mut ranges = RangeSet::new();
        for at in 0..9 {
            ranges.insert(10 * at, 10 * at + 1, |_, _| {});
        }
        let reported = |count| ranges.edges(count).map(|(from, _)| from / 10).collect::<Vec<_>>();
        assert_eq!(reported(4), [0, 1, 7, 8]);
        assert_eq!(reported(9), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(reported(100).len(), 9);
    }

    proptest! {
        #[test]
        fn ranges_hold_what_a_plain_set_holds(
            ops in proptest::collection::vec((0u64..60, 1u64..9, 0u64..40), 0..60),
        ) {
            let (mut ranges, mut model) = (RangeSet::new(), BTreeSet::new());
            for (start, length, bound) in ops {
                let mut fresh = Vec::new();
                ranges.insert(start, start + length, |from, to| fresh.extend(from..to));
                let expected: Vec<u64> = (start..start + length).filter(|n| model.insert(*n)).collect();
                prop_assert_eq!(fresh, expected);
                if bound < 5 {
                    ranges.remove_below(bound);
                    model.retain(|n| *n >= bound);
                }
                let held: Vec<u64> = ranges.iter().flat_map(|(from, to)| from..to).collect();
                prop_assert_eq!(held, model.iter().copied().collect::<Vec<_>>());
                prop_assert!(ranges.0.windows(2).all(|pair| pair[0].1 < pair[1].0));
            }
        }
    }
}
