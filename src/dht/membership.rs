//! The nodes that this node knows: who enters the table, whose place is checked, and who leaves.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use tracing::debug;

use super::budget::first_of_busiest;
use super::policy::Policy;
use super::table::{Table, TableEntry};
use crate::wire::address::{Scope, is_bogon, network};
use crate::wire::rpc::{NodeId, Target};

/// The routing table, the id that it is built around, and the checks that keep it alive. Times are ticks.
pub(super) struct Membership {
    table: Table,
    /// Counts packets heard, which puts table entries in order of age.
    heard: u64,
    /// Whether this node shows its id and serves others.
    persistent: bool,
    /// Nodes that are pinged because they could enter the table, and the requests: later ones have greater
    /// numbers.
    greetings: BTreeMap<SocketAddrV4, u64>,
    /// Checks under way of rows that have no room for a newcomer.
    row_checks: u32,
    /// Checks under way that down hints caused.
    hint_checks: u32,
    /// See [`Policy::thin_row`].
    thin_row: usize,
    /// See [`Policy::names_by_row`].
    names_by_row: bool,
}

/// What the table makes of the sender of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Learned {
    /// It is in the table; its sample of the own address counts if `samples`.
    Known { samples: bool },
    /// It is new, and its row is full.
    Full,
    /// It is new, and there is room.
    New,
}

impl Membership {
    pub(super) fn new(id: NodeId, per_network: usize, policy: &Policy) -> Self {
        Self {
            table: Table::new(id, per_network),
            heard: 0,
            persistent: false,
            greetings: BTreeMap::new(),
            row_checks: 0,
            hint_checks: 0,
            thin_row: policy.thin_row,
            names_by_row: policy.names_by_row,
        }
    }

    pub(super) const fn id(&self) -> &NodeId {
        self.table.id()
    }

    /// Builds the table around another id; returns whether it is another one.
    pub(super) fn set_id(&mut self, id: NodeId) -> bool {
        let changes = id != *self.table.id();
        if changes {
            debug!(node = %id, "id changed");
            self.table.set_id(id);
        }
        changes
    }

    pub(super) const fn is_persistent(&self) -> bool {
        self.persistent
    }

    pub(super) fn set_persistent(&mut self, persistent: bool) {
        debug!(node = %self.id(), persistent, "persistence changed");
        self.persistent = persistent;
    }

    /// Returns the id that this node shows: only persistent nodes show one.
    pub(super) fn shown_id(&self) -> Option<NodeId> {
        self.persistent.then(|| *self.table.id())
    }

    /// Returns whether `id` is the one that this node shows.
    pub(super) fn is_own(&self, id: &NodeId) -> bool {
        self.persistent && id == self.table.id()
    }

    pub(super) const fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn contains(&mut self, id: &NodeId) -> bool {
        self.table.get_mut(id).is_some()
    }

    /// Returns the nodes that a walk starts from.
    pub(super) fn closest(&self, target: &Target) -> Vec<SocketAddrV4> {
        if self.names_by_row { self.table.closest_by_row(target) } else { self.table.closest(target) }
    }

    /// Returns the nodes that a response names to a node that reaches addresses of `reach` and wider scopes:
    /// this node itself first, if `own` is its address. `home` is its address whether it is named or not.
    pub(super) fn closest_for(
        &self,
        target: &Target,
        reach: Scope,
        home: Option<SocketAddrV4>,
        own: Option<SocketAddrV4>,
    ) -> Vec<SocketAddrV4> {
        if self.names_by_row {
            self.table.closest_by_row(target)
        } else {
            self.table.named(target, reach, home, own)
        }
    }

    /// Returns whether a response also names this node itself, at the address that its id stands for.
    pub(super) const fn names_itself(&self) -> bool {
        self.persistent && !self.names_by_row
    }

    /// Returns all nodes, the one heard of last first, those beyond the share of their network behind others.
    pub(super) fn recent(&self) -> Vec<SocketAddrV4> {
        self.table.recent()
    }

    /// Returns all nodes with their ids, the one heard of last first.
    pub(super) fn all(&self) -> Vec<(NodeId, SocketAddrV4)> {
        self.table.by_age().into_iter().rev().map(|entry| (entry.id, entry.address)).collect()
    }

    /// Returns whether the table has no node near `target` although there should be one.
    pub(super) fn lacks(&self, target: &Target) -> bool {
        self.thin_row > 0 && self.table.lacks(target)
    }

    /// Handles what a packet shows about its sender, whose id is valid.
    pub(super) fn learn(&mut self, tick: u64, id: &NodeId, from: &SocketAddrV4, has_sample: bool) -> Learned {
        self.heard += 1;
        if let Some(known) = self.table.get_mut(id) {
            known.pinged = tick;
            known.heard = self.heard;
            let samples = has_sample && (known.sampled == 0 || tick - known.sampled >= OLD_NODE);
            if samples {
                known.sampled = tick;
            }
            Learned::Known { samples }
        } else if self.table.is_full_for(id, from) {
            Learned::Full
        } else {
            Learned::New
        }
    }

    /// Puts a node into the table; returns whether it was added.
    pub(super) fn admit(&mut self, tick: u64, id: NodeId, address: SocketAddrV4, has_sample: bool) -> bool {
        let added = self.table.insert(TableEntry {
            id,
            address,
            added: tick,
            pinged: tick,
            sampled: if has_sample { tick } else { 0 },
            down_hints: 0,
            heard: self.heard,
        });
        if added {
            debug!(node = %id, %address, "node added");
        }
        added
    }

    /// Removes a node from the table.
    pub(super) fn drop_node(&mut self, id: &NodeId, reason: &'static str) {
        if let Some(dropped) = self.table.remove(id) {
            debug!(node = %id, address = %dropped.address, reason, "node dropped");
        }
    }

    /// Returns whether a node that sent a request is worth a ping: it could enter the table, and neither its
    /// network nor all strangers together have used up the pings under way. `can_check` is whether rows
    /// are checked for room.
    pub(super) fn may_greet(&self, tick: u64, id: &NodeId, node: &SocketAddrV4, can_check: bool) -> bool {
        !is_bogon(*node.ip())
            && !is_stray(node)
            && !self.greetings.contains_key(node)
            && self.greetings_of(network(*node.ip())) < MAX_GREETINGS_PER_NETWORK
            && (self.greetings.len() < MAX_GREETINGS || self.displaced_greeting(node).is_some())
            && (!self.table.is_full_for(id, node) || can_check && self.replaceable(tick, id, node).is_some())
    }

    /// Notes that a node is pinged, by a request with this number. Returns the number of a ping that has to
    /// end for that, if there are too many.
    pub(super) fn begin_greeting(&mut self, node: SocketAddrV4, request: u64) -> Option<u64> {
        let displaced =
            if self.greetings.len() < MAX_GREETINGS { None } else { self.displaced_greeting(&node) };
        let ended = displaced.and_then(|displaced| self.greetings.remove(&displaced));
        self.greetings.insert(node, request);
        ended
    }

    pub(super) fn end_greeting(&mut self, node: &SocketAddrV4) {
        self.greetings.remove(node);
    }

    fn greetings_of(&self, ours: [u8; 3]) -> usize {
        self.greetings.keys().filter(|other| network(*other.ip()) == ours).count()
    }

    /// Returns the node whose ping ends for one of a newcomer: the first of the network with the most.
    fn displaced_greeting(&self, newcomer: &SocketAddrV4) -> Option<SocketAddrV4> {
        let mut by_request: Vec<_> = self.greetings.iter().map(|(node, request)| (*request, *node)).collect();
        by_request.sort_unstable();
        let networks = by_request.iter().map(|(_, node)| network(*node.ip()));
        let first = first_of_busiest(networks, network(*newcomer.ip()))?;
        by_request.get(first).map(|(_, node)| *node)
    }

    /// Returns the node that leaves for a newcomer if it does not respond to a ping.
    pub(super) fn replaceable(
        &self,
        tick: u64,
        id: &NodeId,
        newcomer: &SocketAddrV4,
    ) -> Option<(NodeId, SocketAddrV4)> {
        if self.row_checks >= MAX_ROW_CHECKS {
            return None;
        }
        let weakest = self.table.weakest(id, newcomer, tick)?;
        let proven = tick - weakest.pinged < RECENT_NODE && tick - weakest.added > OLD_NODE;
        (!proven).then_some((weakest.id, weakest.address))
    }

    pub(super) const fn begin_row_check(&mut self) {
        self.row_checks += 1;
    }

    /// Ends the check of `incumbent`; returns whether its place is free now.
    pub(super) fn end_row_check(&mut self, incumbent: &NodeId, is_alive: bool) -> bool {
        self.row_checks -= 1;
        if !is_alive {
            self.drop_node(incumbent, "replaced");
        }
        !is_alive
    }

    /// Counts a down hint; returns whether it is worth a check.
    pub(super) fn begin_hint_check(&mut self, tick: u64, id: &NodeId) -> bool {
        if self.hint_checks >= MAX_HINT_CHECKS {
            return false;
        }
        let Some(entry) = self.table.get_mut(id) else {
            return false;
        };
        let checks = entry.pinged < tick || entry.down_hints == 0;
        if checks {
            entry.down_hints += 1;
            self.hint_checks += 1;
        }
        checks
    }

    pub(super) const fn end_hint_check(&mut self) {
        self.hint_checks -= 1;
    }

    /// Notes that a node is pinged in this tick; returns its address if it is in the table.
    pub(super) fn mark_pinged(&mut self, tick: u64, id: &NodeId) -> Option<SocketAddrV4> {
        let entry = self.table.get_mut(id)?;
        entry.pinged = tick;
        Some(entry.address)
    }

    /// Forgets the pings under way, because their requests are dropped.
    pub(super) fn forget_checks(&mut self) {
        self.greetings.clear();
        self.row_checks = 0;
        self.hint_checks = 0;
    }

    /// Returns the nodes that a tick pings: those not heard of for longest.
    pub(super) fn stalest(&self, tick: u64, is_busy: bool) -> Vec<NodeId> {
        let by_age = self.table.by_age();
        let Some(oldest) = by_age.first() else {
            return Vec::new();
        };
        let fresh = tick - oldest.pinged < RECENT_NODE;
        let count = match (fresh, is_busy) {
            (true, _) => 2,
            (false, true) => 3,
            (false, false) => 5,
        };
        by_age.into_iter().take(count).map(|entry| entry.id).collect()
    }

    /// Returns the rows that have few nodes although the network must have more for them.
    pub(super) fn thin_rows(&self) -> Vec<usize> {
        self.table.thin_rows(self.thin_row)
    }

    /// Returns a random id of a row.
    pub(super) fn random_id(&self, row: usize, rng: &mut StdRng) -> NodeId {
        self.table.random_id(row, rng)
    }

    /// Returns where a refresh walks to: a thin row, or else a random known node.
    pub(super) fn refresh_target(&self, rng: &mut StdRng) -> NodeId {
        if let Some(row) = self.thin_rows().choose(rng) {
            return self.table.random_id(*row, rng);
        }
        let random = self.table.random(rng);
        random.map_or_else(|| *self.table.id(), |entry| entry.id)
    }
}

/// Returns whether a node is one of those on the public network that respond and yet belong to another one
/// (hyperdht-rpc.md §6.2; hyperdht index.js `filterNode`).
pub(super) fn is_stray(node: &SocketAddrV4) -> bool {
    matches!(
        (node.ip().octets(), node.port()),
        ([134, 209, 28, 98] | [167, 99, 142, 185], 49738)
            | ([35, 233, 47, 252], 9400)
            | ([150, 136, 142, 116], _)
    )
}

/// Nodes that are pinged at once because they could enter the table.
pub(super) const MAX_GREETINGS: usize = 32;
/// Of these, nodes of one /24 network: more than start together there, and few enough to leave room for
/// others.
pub(super) const MAX_GREETINGS_PER_NETWORK: usize = 8;
/// Ticks after which a node counts as old, and its sample of the own address counts again: half an hour
/// (dht-rpc.md §10.2, §15).
const OLD_NODE: u64 = 360;
/// A node heard of within this many ticks counts as alive: a minute (dht-rpc.md §15).
const RECENT_NODE: u64 = 12;
/// Rows of the table that are checked for room at once (dht-rpc.md §10.3).
const MAX_ROW_CHECKS: u32 = 3;
/// Nodes that are pinged at once because of down hints (dht-rpc.md §15).
pub(super) const MAX_HINT_CHECKS: u32 = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dht::table::K;

    #[test]
    fn so_many_rows_are_checked_for_room_at_once() {
        let mut members = Membership::new(NodeId([0; 32]), usize::MAX, &Policy::default());
        let id = |number: usize| NodeId([0x80 | number as u8; 32]);
        let address = |number: usize| SocketAddrV4::new([25, 0, 0, number as u8].into(), 1);
        for number in 0..K {
            assert!(members.admit(1, id(number), address(number), false));
        }
        let can_check = |members: &Membership| members.replaceable(2, &id(K), &address(K)).is_some();
        for _ in 0..MAX_ROW_CHECKS {
            assert!(can_check(&members));
            members.begin_row_check();
        }
        assert!(!can_check(&members));
        assert!(!members.end_row_check(&id(0), true));
        assert!(can_check(&members));
    }
}
