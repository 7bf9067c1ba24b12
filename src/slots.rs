//! Slots that strangers share.
//!
//! What strangers can take is bounded in all: open connections, half-open handshakes, handshakes that wait.
//! [`Slots`] shares such a bound by [`Source`], at three levels: the busiest network loses first, inside of
//! it the busiest client network, and inside of that the busiest address. So many addresses of one network
//! take no more than one, and the neighbours in a network are still told apart.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use crate::wire::address::network;

/// Where something comes from: the /24 of the host that has sent it, and inside of that the client, by its
/// /24 and its address.
///
/// The two differ where a node passes on what a client has sent. The address of the sender is then all that
/// is sure: a node that invents clients divides its own share among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    sender: [u8; 3],
    client: Ipv4Addr,
}

impl Source {
    /// Returns the source of what comes straight from its client.
    pub const fn direct(client: Ipv4Addr) -> Self {
        Self::through(client, client)
    }

    /// Returns the source of what `sender` has passed on for `client`.
    pub const fn through(sender: Ipv4Addr, client: Ipv4Addr) -> Self {
        Self { sender: network(sender), client }
    }

    /// Returns the group at each level, the coarsest first.
    const fn groups(self) -> [Group; 3] {
        let none = [0; 3];
        let (client, address) = (network(self.client), self.client.octets()[3]);
        [(1, self.sender, none, 0), (2, self.sender, client, 0), (3, self.sender, client, address)]
    }
}

/// Level, sender, client, and the last octet of the client's address; zero below the level.
type Group = (u8, [u8; 3], [u8; 3], u8);

/// What all groups of the first level are in.
const ALL: Group = (0, [0; 3], [0; 3], 0);
const FIRST: Group = ALL;
const LAST: Group = (u8::MAX, [u8::MAX; 3], [u8::MAX; 3], u8::MAX);

/// Who holds slots, by source. The bound is the owner's: it asks for who has to go.
#[derive(Debug)]
pub struct Slots<T> {
    groups: BTreeMap<Group, State>,
    /// The groups inside of each, by how many slots they hold and since when.
    ranks: BTreeSet<(Group, usize, Reverse<u64>, Group)>,
    /// The groups inside of each, by whose turn it is.
    turns: BTreeSet<(Group, u64, Group)>,
    /// The holders of each address, by age.
    holders: BTreeMap<(Group, u64), T>,
    by_id: BTreeMap<T, (Source, u64)>,
    /// Counts every change.
    clock: u64,
}

/// Which of equally busy groups counts as the busiest: the one that became so first, or last.
#[derive(Clone, Copy, Debug)]
enum Tie {
    First,
    Last,
}

#[derive(Clone, Copy, Debug)]
struct State {
    held: usize,
    /// When that became so.
    since: u64,
    /// When it had its last turn, or came.
    turn: u64,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self {
            groups: BTreeMap::new(),
            ranks: BTreeSet::new(),
            turns: BTreeSet::new(),
            holders: BTreeMap::new(),
            by_id: BTreeMap::new(),
            clock: 0,
        }
    }
}

impl<T: Copy + Ord> Slots<T> {
    /// Gives a slot to `id`, or counts the slot that it holds for another source.
    pub fn insert(&mut self, id: T, source: Source) {
        if self.by_id.get(&id).is_some_and(|(before, _)| *before == source) {
            return;
        }
        self.remove(&id);
        self.clock += 1;
        let age = self.clock;
        self.count(source, 1);
        let [_, _, address] = source.groups();
        self.holders.insert((address, age), id);
        self.by_id.insert(id, (source, age));
    }

    /// Takes a slot back; returns whether `id` held one.
    pub fn remove(&mut self, id: &T) -> bool {
        let Some((source, age)) = self.by_id.remove(id) else {
            return false;
        };
        let [_, _, address] = source.groups();
        self.holders.remove(&(address, age));
        self.clock += 1;
        self.count(source, -1);
        true
    }

    /// Returns how many slots are held.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Returns whether no slot is held.
    #[cfg_attr(not(feature = "unstable-core"), allow(dead_code))]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Returns the source for which `id` holds a slot.
    #[cfg_attr(not(feature = "unstable-core"), allow(dead_code))]
    pub fn source(&self, id: &T) -> Option<Source> {
        self.by_id.get(id).map(|(source, _)| *source)
    }

    /// Returns whether `id` holds a slot.
    pub fn contains(&self, id: &T) -> bool {
        self.by_id.contains_key(id)
    }

    /// Returns the oldest holder of the busiest source.
    pub fn oldest_of_the_busiest(&self) -> Option<T> {
        let mut group = ALL;
        while let Some((_, next)) = self.busiest_in(group, Tie::First) {
            group = next;
        }
        self.held_by(group).next().copied()
    }

    /// Returns the newest holder of a source so much busier than `newcomer` that it gives way; `None` if the
    /// newcomer is of the busiest source itself.
    ///
    /// No group gives way to one that would then hold as much, so that two of them never displace each
    /// other's holders in turn.
    pub fn rival(&self, newcomer: Source) -> Option<T> {
        let mut within = ALL;
        for own in newcomer.groups() {
            let (held, mut busiest) = self.busiest_in(within, Tie::Last)?;
            let holds = self.groups.get(&own).map_or(0, |state| state.held);
            if holds + 1 < held {
                while let Some((_, next)) = self.busiest_in(busiest, Tie::Last) {
                    busiest = next;
                }
                return self.held_by(busiest).next_back().copied();
            }
            within = own;
        }
        None
    }

    /// Takes the slot of the newest holder of the source whose turn it is, at each level.
    pub fn take_next(&mut self) -> Option<T> {
        let mut group = ALL;
        self.clock += 1;
        while let Some((_, before, next)) = self.turns.range(turns_in(group)).next().copied() {
            self.turns.remove(&(group, before, next));
            self.turns.insert((group, self.clock, next));
            if let Some(state) = self.groups.get_mut(&next) {
                state.turn = self.clock;
            }
            group = next;
        }
        let id = self.held_by(group).next_back().copied()?;
        self.remove(&id);
        Some(id)
    }

    /// Adds to what the groups of a source hold.
    fn count(&mut self, source: Source, change: isize) {
        let mut within = ALL;
        for group in source.groups() {
            let fresh = State { held: 0, since: 0, turn: self.clock };
            let before = self.groups.get(&group).copied().unwrap_or(fresh);
            self.ranks.remove(&(within, before.held, Reverse(before.since), group));
            let held = before.held.saturating_add_signed(change);
            if held == 0 {
                self.groups.remove(&group);
                self.turns.remove(&(within, before.turn, group));
            } else {
                self.groups.insert(group, State { held, since: self.clock, ..before });
                self.ranks.insert((within, held, Reverse(self.clock), group));
                self.turns.insert((within, before.turn, group));
            }
            within = group;
        }
    }

    /// Returns how many slots the busiest of the groups inside of one holds, and which that is.
    fn busiest_in(&self, group: Group, tie: Tie) -> Option<(usize, Group)> {
        let with = |held| (group, held, Reverse(u64::MAX), FIRST)..=(group, usize::MAX, Reverse(0), LAST);
        let (_, held, _, first) = self.ranks.range(with(0)).next_back()?;
        let busiest = match tie {
            Tie::First => first,
            Tie::Last => self.ranks.range(with(*held)).next().map_or(first, |(.., last)| last),
        };
        Some((*held, *busiest))
    }

    /// Returns the holders of one address, the oldest first.
    fn held_by(&self, address: Group) -> impl DoubleEndedIterator<Item = &T> {
        self.holders.range((address, 0)..=(address, u64::MAX)).map(|(_, id)| id)
    }
}

const fn turns_in(group: Group) -> RangeInclusive<(Group, u64, Group)> {
    (group, 0, FIRST)..=(group, u64::MAX, LAST)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn direct(address: [u8; 4]) -> Source {
        Source::direct(address.into())
    }

    #[test]
    fn the_busiest_network_gives_way_however_many_addresses_it_has() {
        let mut slots = Slots::default();
        for n in 0..100u8 {
            slots.insert(u32::from(n), direct([9, 9, 9, n]));
        }
        for n in 0..10u8 {
            slots.insert(1000 + u32::from(n), direct([5, 5, n, 1]));
        }
        assert_eq!(slots.rival(direct([7, 7, 7, 7])), Some(99), "the newest of the busiest");
        assert_eq!(slots.oldest_of_the_busiest(), Some(0));
    }

    #[test]
    fn neighbours_in_the_busiest_network_are_told_apart() {
        let mut slots = Slots::default();
        for n in 0..100u32 {
            slots.insert(n, direct([9, 9, 9, 1]));
        }
        slots.insert(100, direct([9, 9, 9, 2]));
        assert_eq!(slots.rival(direct([9, 9, 9, 1])), None, "the busiest address itself");
        assert_eq!(slots.rival(direct([9, 9, 9, 3])), Some(99));
    }

    #[test]
    fn equally_busy_sources_do_not_displace_each_other() {
        let mut slots = Slots::default();
        for n in 0..100u8 {
            slots.insert(n, direct([9, 9, n, 1]));
        }
        assert_eq!(slots.rival(direct([8, 8, 8, 8])), None, "each holds one");
        slots.insert(200, direct([9, 9, 7, 2]));
        assert_eq!(slots.rival(direct([8, 8, 8, 8])), Some(200), "the newest of the busiest");
        assert_eq!(slots.rival(direct([9, 9, 8, 1])), None, "it would hold as much then");
    }

    #[test]
    fn a_node_that_invents_clients_divides_its_own_share() {
        let mut slots = Slots::default();
        let node = Ipv4Addr::new(9, 9, 9, 9);
        for n in 0..100u8 {
            slots.insert(u32::from(n), Source::through(node, Ipv4Addr::new(n, n, n, n)));
        }
        slots.insert(1000, direct([5, 5, 5, 5]));
        assert_eq!(slots.rival(direct([6, 6, 6, 6])), Some(99));
        let order: Vec<_> = std::iter::from_fn(|| slots.take_next()).take(4).collect();
        assert!(order.contains(&1000), "{order:?}");
    }

    #[test]
    fn sources_have_turns_and_the_newest_of_each_goes_first() {
        let mut slots = Slots::default();
        for n in 0..1000u32 {
            slots.insert(n, direct([9, 9, 9, 9]));
        }
        for n in 0..3u32 {
            slots.insert(2000 + n, direct([5, 5, 5, 5]));
        }
        let order: Vec<_> = std::iter::from_fn(|| slots.take_next()).take(7).collect();
        assert_eq!(order, [999, 2002, 998, 2001, 997, 2000, 996]);
        slots.insert(3000, direct([6, 6, 6, 6]));
        assert!(
            [slots.take_next(), slots.take_next()].contains(&Some(3000)),
            "a fresh source waits one turn"
        );
    }

    #[test]
    fn a_holder_counts_for_the_source_that_it_was_seen_at_last() {
        let mut slots = Slots::default();
        slots.insert(1, direct([9, 9, 9, 9]));
        slots.insert(1, direct([5, 5, 5, 5]));
        assert_eq!(slots.len(), 1);
        slots.insert(2, direct([5, 5, 5, 5]));
        assert_eq!(slots.rival(direct([9, 9, 9, 9])), Some(2));
    }

    proptest! {
        #[test]
        fn what_is_taken_and_given_back_in_any_order_leaves_nothing(
            steps in prop::collection::vec((0u8..4, 0u8..40, 0u8..3, 0u8..3), 0..300),
        ) {
            let mut slots = Slots::default();
            let mut model = BTreeMap::new();
            for (what, id, net, host) in steps {
                match what {
                    0 | 1 => {
                        slots.insert(id, direct([net, net, net, host]));
                        model.insert(id, (net, host));
                    }
                    2 => prop_assert_eq!(slots.remove(&id), model.remove(&id).is_some()),
                    _ => {
                        let next = slots.take_next();
                        prop_assert_eq!(next.is_some(), !model.is_empty());
                        if let Some(id) = next {
                            prop_assert!(model.remove(&id).is_some());
                        }
                    }
                }
                prop_assert_eq!(slots.len(), model.len());
                let held = |of: u8| model.values().filter(|(net, _)| *net == of).count();
                let most = (0..3).map(held).max().unwrap_or(0);
                if let Some(victim) = slots.oldest_of_the_busiest() {
                    prop_assert_eq!(held(model[&victim].0), most);
                }
                if let Some(rival) = slots.rival(direct([0, 0, 0, 0])) {
                    let (net, host) = model[&rival];
                    let at_host = |of| model.values().filter(|at| **at == of).count();
                    let fairer = if net == 0 {
                        at_host((0, 0)) + 1 < at_host((0, host))
                    } else {
                        held(0) + 1 < held(net)
                    };
                    prop_assert!(fairer);
                }
            }
            for id in 0..40 {
                slots.remove(&id);
            }
            prop_assert!(slots.is_empty() && slots.groups.is_empty() && slots.ranks.is_empty());
            prop_assert!(slots.turns.is_empty() && slots.holders.is_empty());
        }
    }
}
