//! Sequence numbers that never wrap, and sets of them. On the wire they have 32 bits and do (`udx.md` §4).

use std::collections::VecDeque;

/// Where numbers start: so far from zero that numbers of old packets stay positive.
pub(super) const START: u64 = 1 << 32;

/// Returns the number nearest to `near` whose low 32 bits are `wire`.
pub(super) const fn expand(wire: u32, near: u64) -> u64 {
    let ahead = wire.wrapping_sub(near as u32) as i32;
    near.wrapping_add_signed(ahead as i64)
}

/// Numbers as disjoint, ascending ranges `[start, end)` that do not touch. A peer can make very many of them,
/// and the lowest go first.
#[derive(Debug)]
pub(super) struct RangeSet(VecDeque<(u64, u64)>);

impl RangeSet {
    pub(super) const fn new() -> Self {
        Self(VecDeque::new())
    }

    /// Adds a range and calls `fresh` with each part of it that was not in the set.
    pub(super) fn insert(&mut self, start: u64, end: u64, mut fresh: impl FnMut(u64, u64)) {
        let first = self.0.partition_point(|range| range.1 < start);
        let (mut at, mut low, mut high) = (start, start, end);
        let mut last = first;
        while let Some(&(from, to)) = self.0.get(last).filter(|range| range.0 <= end) {
            if from > at {
                fresh(at, from);
            }
            at = at.max(to);
            low = low.min(from);
            high = high.max(to);
            last += 1;
        }
        if at < end {
            fresh(at, end);
        }
        if last == first {
            self.0.insert(first, (low, high));
        } else {
            self.0[first] = (low, high);
            self.0.drain(first + 1..last);
        }
    }

    /// Forgets all numbers below `bound`.
    pub(super) fn remove_below(&mut self, bound: u64) {
        while let Some(first) = self.0.front_mut().filter(|range| range.0 < bound) {
            first.0 = bound;
            if first.1 > bound {
                break;
            }
            self.0.pop_front();
        }
        if self.0.is_empty() {
            self.0 = VecDeque::new();
        }
    }

    pub(super) fn clear(&mut self) {
        self.0 = VecDeque::new();
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
        self.0.range(..low).chain(self.0.range(high..)).copied()
    }

    pub(super) fn is_empty(&self) -> bool {
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
                let ranges: Vec<_> = ranges.iter().collect();
                prop_assert!(ranges.windows(2).all(|pair| pair[0].1 < pair[1].0));
            }
        }
    }
}
