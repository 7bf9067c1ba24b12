//! What the records of a node take, and which one goes when there is no room: one account for all kinds of
//! records, by source.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::Ipv4Addr;

use crate::wire::address::{is_private, network};

/// Counts the records of each /24 network. A record is known by its place, `P`.
///
/// What a network uses is given back only when its records go.
pub(super) struct Ledger<P> {
    sources: HashMap<[u8; 3], Usage<P>>,
    /// The networks by what they use, the busiest last; of equals the one that stored something last is
    /// first.
    by_usage: BTreeSet<(usize, Reverse<u64>, [u8; 3])>,
    used: usize,
    records: usize,
    next: u64,
    limit: usize,
    budget: usize,
}

/// What one network uses.
struct Usage<P> {
    used: usize,
    latest: u64,
    /// Its records, the oldest first.
    records: BTreeMap<u64, P>,
}

/// What a record takes of a ledger until it is given back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Charge {
    source: [u8; 3],
    number: u64,
    cost: usize,
}

impl<P: Copy> Ledger<P> {
    /// Makes a ledger for `limit` bytes in all and `budget` bytes of each public /24.
    pub(super) fn new(limit: usize, budget: usize) -> Self {
        Self {
            sources: HashMap::new(),
            by_usage: BTreeSet::new(),
            used: 0,
            records: 0,
            next: 0,
            limit,
            budget,
        }
    }

    /// Accounts for a record of `cost` bytes at `place` on behalf of `source`, in place of what was `known`
    /// there. Returns `None`, and changes nothing, if that is beyond the budget of its network. Loopback and
    /// private networks have no budget.
    ///
    /// A record that is stored again belongs to the network that uses less: a flood can neither make the
    /// record of another one its own, and lose it, nor own a record that another one stores as well.
    pub(super) fn charge(
        &mut self,
        source: Ipv4Addr,
        place: P,
        cost: usize,
        known: Option<Charge>,
    ) -> Option<Charge> {
        let own = network(source);
        let owner = known.map_or(own, |known| {
            let used = self.used_by(known.source) - known.cost;
            if used <= self.used_by(own) { known.source } else { own }
        });
        let before = known.filter(|known| known.source == owner).map_or(0, |known| known.cost);
        let [a, b, c] = owner;
        let has_budget = !is_private(Ipv4Addr::new(a, b, c, 0));
        if has_budget && cost > before && self.used_by(owner) - before + cost > self.budget {
            return None;
        }
        if let Some(known) = known {
            self.release(known);
        }
        self.next += 1;
        let number = self.next;
        self.change(owner, |usage| {
            usage.used += cost;
            usage.latest = number;
            usage.records.insert(number, place);
        });
        self.used += cost;
        self.records += 1;
        Some(Charge { source: owner, number, cost })
    }

    /// Gives back what a record took.
    pub(super) fn release(&mut self, charge: Charge) {
        self.change(charge.source, |usage| {
            usage.used -= charge.cost;
            usage.records.remove(&charge.number);
        });
        self.used -= charge.cost;
        self.records -= 1;
    }

    /// Returns the record that must go, as long as there are too many: the oldest of the busiest network.
    pub(super) fn victim(&self) -> Option<P> {
        if self.used <= self.limit {
            return None;
        }
        let (_, _, busiest) = self.by_usage.last()?;
        self.sources.get(busiest)?.records.first_key_value().map(|(_, place)| *place)
    }

    /// Returns how many records there are.
    pub(super) const fn records(&self) -> usize {
        self.records
    }

    pub(super) const fn used(&self) -> usize {
        self.used
    }

    fn used_by(&self, source: [u8; 3]) -> usize {
        self.sources.get(&source).map_or(0, |usage| usage.used)
    }

    fn change(&mut self, source: [u8; 3], change: impl FnOnce(&mut Usage<P>)) {
        let fresh = || Usage { used: 0, latest: 0, records: BTreeMap::new() };
        let usage = self.sources.entry(source).or_insert_with(fresh);
        self.by_usage.remove(&(usage.used, Reverse(usage.latest), source));
        change(usage);
        if usage.records.is_empty() {
            self.sources.remove(&source);
        } else {
            self.by_usage.insert((usage.used, Reverse(usage.latest), source));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_record_of_the_busiest_network_goes_first() {
        let mut ledger = Ledger::new(100, 1000);
        let mut charge = |ip: [u8; 4], place| ledger.charge(ip.into(), place, 20, None);
        charge([8, 8, 1, 1], "honest");
        for place in ["first", "second", "third", "fourth"] {
            charge([8, 8, 2, 1], place);
        }
        assert_eq!((ledger.victim(), ledger.records()), (None, 5));
        ledger.charge([8, 8, 3, 1].into(), "late", 20, None);
        assert_eq!(ledger.victim(), Some("first"));
    }

    #[test]
    fn of_networks_that_use_as_much_the_one_that_stored_last_keeps_its_own() {
        let mut ledger = Ledger::new(20, 1000);
        for (network, place) in [(1, "first"), (2, "second"), (3, "third")] {
            ledger.charge([8, 8, network, 1].into(), place, 10, None);
        }
        assert_eq!(ledger.victim(), Some("first"));
    }

    #[test]
    fn a_record_stored_again_belongs_to_the_network_that_uses_less() {
        let mut ledger = Ledger::new(100, 1000);
        let honest = ledger.charge([8, 8, 1, 1].into(), "honest", 20, None);
        for place in ["a", "b", "c"] {
            ledger.charge([8, 8, 2, 1].into(), place, 20, None);
        }
        let again = ledger.charge([8, 8, 2, 1].into(), "honest", 20, honest).expect("has room");
        assert_eq!(again.source, [8, 8, 1]);
        let claimed = ledger.charge([8, 8, 2, 1].into(), "claimed", 20, None);
        let stored = ledger.charge([8, 8, 3, 1].into(), "claimed", 20, claimed).expect("has room");
        assert_eq!((stored.source, ledger.records(), ledger.used()), ([8, 8, 3], 5, 100));
    }

    #[test]
    fn what_is_given_back_leaves_nothing() {
        let mut ledger = Ledger::new(100, 100);
        let charges: Vec<_> =
            (0..5).filter_map(|place| ledger.charge([8, 8, place % 2, 1].into(), place, 20, None)).collect();
        for charge in charges {
            ledger.release(charge);
        }
        assert_eq!((ledger.records(), ledger.used()), (0, 0));
        assert!(ledger.sources.is_empty() && ledger.by_usage.is_empty());
    }
}
