//! The walk towards a target: which node to request next, which ones are closest, and when it is over.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddrV4;

use super::closest::{Closest, Distance};
use super::table::K;
use super::types::Answer;
use crate::wire::address::network;
use crate::wire::rpc::NodeId;

/// One walk (a node lookup of Kademlia §2.3). It knows addresses and responses, and nothing of requests and
/// timers.
pub(super) struct Walk {
    target: [u8; 32],
    /// Nodes to request, those of [`Rank::First`] in front, then by distance.
    pending: BTreeMap<(Rank, Distance), Candidate>,
    seen: HashMap<SocketAddrV4, Seen>,
    inflight: BTreeMap<SocketAddrV4, Asked>,
    closest: Closest,
    /// Nodes beyond the share of their network.
    spare: BTreeMap<Distance, Candidate>,
    /// After how many time-outs the walk goes on without a node.
    max_timeouts: u32,
    /// How many nodes are requested at most.
    limit: usize,
    /// The share of one /24 network: nodes beyond it are requested only if there are too few others.
    per_network: usize,
    /// Nodes requested that have not failed, by network.
    networks: HashMap<[u8; 3], usize>,
    asked: usize,
    answered: usize,
    successes: usize,
    /// See [`Policy::newest_first`](super::Policy::newest_first).
    newest_first: bool,
    /// Nodes added, for the order of `newest_first`.
    added: u64,
}

/// A node to request.
struct Candidate {
    node: SocketAddrV4,
    distance: Distance,
    /// How many nodes led to it, itself included.
    hops: u32,
}

/// Whether a node is requested before those that are merely near.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// A bootstrap node, or one that the caller named.
    First,
    /// Any other node.
    ByDistance,
}

/// A node that the walk has come across.
struct Seen {
    /// Kept because most nodes are named again and again, and an id takes a hash.
    distance: Distance,
    fate: Fate,
}

enum Fate {
    /// Has not responded yet; these nodes named it.
    Open(Vec<SocketAddrV4>),
    Done,
    Down,
}

/// A node whose response is awaited.
struct Asked {
    distance: Distance,
    timeouts: u32,
    /// Tries of earlier requests without response.
    doubts: u32,
    /// Whether its response takes longer than most.
    late: bool,
    hops: u32,
    /// Whether its network had its share already.
    is_spare: bool,
}

/// A message for `namer`: the node `dead`, which it named, does not respond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DownHint {
    pub(super) namer: SocketAddrV4,
    pub(super) dead: SocketAddrV4,
}

impl Walk {
    pub(super) fn new(target: [u8; 32], max_timeouts: u32, per_network: usize) -> Self {
        Self {
            target,
            pending: BTreeMap::new(),
            seen: HashMap::new(),
            inflight: BTreeMap::new(),
            closest: Closest::default(),
            spare: BTreeMap::new(),
            max_timeouts,
            limit: MAX_SEEN,
            per_network,
            networks: HashMap::new(),
            asked: 0,
            answered: 0,
            successes: 0,
            newest_first: false,
            added: 0,
        }
    }

    /// Sets the order of the walk, see [`Policy::newest_first`](super::Policy::newest_first).
    pub(super) const fn set_newest_first(&mut self, newest_first: bool) {
        self.newest_first = newest_first;
    }

    /// Ends the walk early, once so many nodes were requested.
    pub(super) const fn limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Adds a node to request, if it is new and could be among the closest.
    pub(super) fn add(&mut self, node: SocketAddrV4, rank: Rank) {
        let distance = self.distance(&NodeId::of(node));
        if self.has_room() && self.closest.is_closer(&distance) && !self.seen.contains_key(&node) {
            self.note(node, distance, Fate::Open(Vec::new()));
            self.push(rank, node, distance, 1);
        }
    }

    fn push(&mut self, rank: Rank, node: SocketAddrV4, distance: Distance, hops: u32) {
        let key = if self.newest_first {
            self.added += 1;
            let mut order = [0; 32];
            order[..8].copy_from_slice(&(u64::MAX - self.added).to_be_bytes());
            (Rank::First, order)
        } else {
            (rank, distance)
        };
        let candidate = Candidate { node, distance, hops };
        self.pending.insert(key, candidate);
    }

    /// Returns the next node to request while fewer than `concurrency` are awaited, late ones not counted.
    pub(super) fn next(&mut self, concurrency: usize) -> Option<SocketAddrV4> {
        let slow = self.inflight.values().filter(|asked| asked.is_slow()).count();
        while self.asked < self.limit && self.inflight.len() < concurrency + slow {
            let Some(((rank, _), candidate)) = self.pending.pop_first() else {
                return self.next_spare();
            };
            if !self.closest.is_closer(&candidate.distance) {
                continue;
            }
            if self.enter_network(rank, &candidate.node) {
                return Some(self.ask(candidate, false));
            }
            self.spare.insert(candidate.distance, candidate);
        }
        None
    }

    /// Returns the nearest node beyond the share of its network, if no other is left to request and too few
    /// have been found.
    fn next_spare(&mut self) -> Option<SocketAddrV4> {
        let mut inflight = self.inflight.values();
        let may_name_others = inflight.any(|asked| !asked.is_spare && !asked.is_slow());
        if may_name_others || !self.needs_spare() {
            return None;
        }
        let (_, candidate) = self.spare.pop_first()?;
        Some(self.ask(candidate, true))
    }

    /// Returns whether nodes beyond the share of their network must make up for others.
    fn needs_spare(&self) -> bool {
        let asked = self.inflight.values().filter(|asked| asked.is_spare);
        let found = self.closest.len() + asked.count();
        !self.spare.is_empty() && found < K
    }

    fn ask(&mut self, candidate: Candidate, is_spare: bool) -> SocketAddrV4 {
        let Candidate { node, distance, hops } = candidate;
        self.asked += 1;
        let asked = Asked { distance, timeouts: 0, doubts: 0, late: false, hops, is_spare };
        self.inflight.insert(node, asked);
        node
    }

    /// Handles the response of a node that was requested, and returns the down hints that follow. `skip`
    /// picks the nodes that are never requested.
    pub(super) fn on_answer(
        &mut self,
        answer: &Answer,
        skip: impl Fn(&SocketAddrV4) -> bool,
    ) -> Vec<DownHint> {
        let from = answer.from;
        let asked = self.inflight.remove(&from);
        let (hops, is_spare) = asked.map_or((1, false), |asked| (asked.hops, asked.is_spare));
        self.mark(from, Fate::Done);
        self.answered += 1;
        if answer.error == 0 {
            self.successes += 1;
            if let Some(id) = &answer.id {
                self.closest.keep(self.distance(id), answer, hops, is_spare);
            }
        }
        let mut hints = Vec::new();
        for node in answer.closer.iter().take(K) {
            if node.port() == 0 || skip(node) {
                continue;
            }
            let known = self.seen.get(node).map(|known| known.distance);
            let distance = known.unwrap_or_else(|| self.distance(&NodeId::of(*node)));
            if !self.closest.is_closer(&distance) {
                if self.newest_first {
                    break;
                }
                continue;
            }
            let room = self.has_room();
            match self.seen.get_mut(node).map(|known| &mut known.fate) {
                None if room => {
                    self.note(*node, distance, Fate::Open(vec![from]));
                    self.push(Rank::ByDistance, *node, distance, hops + 1);
                }
                Some(Fate::Open(namers)) if namers.len() < MAX_NAMERS => namers.push(from),
                Some(Fate::Down) => hints.push(DownHint { namer: from, dead: *node }),
                _ => {}
            }
        }
        hints
    }

    /// Handles a response that came from another address than the node was named by; returns whether the walk
    /// does not know that address yet.
    pub(super) fn on_moved(&mut self, named: SocketAddrV4, from: SocketAddrV4) -> bool {
        let asked = self.inflight.remove(&named);
        self.mark(named, Fate::Done);
        let is_new = !self.seen.contains_key(&from);
        if let Some(asked) = asked.filter(|_| is_new) {
            self.inflight.insert(from, asked);
        }
        is_new
    }

    /// Counts the `tries` that a node has left without response lately.
    pub(super) fn doubt(&mut self, node: SocketAddrV4, tries: u32) {
        if let Some(asked) = self.inflight.get_mut(&node) {
            asked.doubts = tries;
        }
    }

    /// Waits for all awaited nodes as if they had always responded.
    pub(super) fn trust(&mut self) {
        for asked in self.inflight.values_mut() {
            asked.doubts = 0;
        }
    }

    /// Notes that the response of `node` takes longer than most.
    pub(super) fn on_late(&mut self, node: SocketAddrV4) {
        if let Some(asked) = self.inflight.get_mut(&node) {
            asked.late = true;
        }
    }

    /// Notes that a try to reach `node` timed out, and another one follows.
    pub(super) fn on_timeout(&mut self, node: SocketAddrV4) {
        if let Some(asked) = self.inflight.get_mut(&node) {
            asked.timeouts += 1;
        }
    }

    /// Notes that the request to `node` failed, and returns the down hints that follow.
    pub(super) fn on_failure(&mut self, node: SocketAddrV4) -> Vec<DownHint> {
        let asked = self.inflight.remove(&node);
        if asked.is_some_and(|asked| !asked.is_spare) {
            self.leave_network(&node);
        }
        let Some(Fate::Open(namers)) = self.mark(node, Fate::Down) else {
            return Vec::new();
        };
        let hint = |namer| DownHint { namer, dead: node };
        namers.into_iter().map(hint).collect()
    }

    /// Returns whether nothing that may still come is worth waiting for.
    ///
    /// That is when no node is left to request, and each awaited one either is too far away to matter or is
    /// late while others have responded. (dht-rpc.md §12.3 "End" waits for late ones too unless it has twenty
    /// responses, which in a network of fewer nodes costs six seconds per dead one.) A `hurried` walk does
    /// not wait either for responses that take longer than most, once twenty have come.
    pub(super) fn is_over(&self, hurried: bool) -> bool {
        let full = self.closest.is_full();
        if self.newest_first {
            let mut waiting = self.inflight.values();
            return self.pending.is_empty() && waiting.all(|asked| full && asked.timeouts > 0);
        }
        let max_timeouts = if full { 1 } else { self.max_timeouts };
        let late = |asked: &Asked| {
            (hurried && full && asked.late) || (self.successes > 0 && asked.lateness() >= max_timeouts)
        };
        let mut pending = self.pending.values();
        let all_asked = self.asked >= self.limit
            || !(self.needs_spare() || pending.any(|candidate| self.closest.is_closer(&candidate.distance)));
        let matters = |asked: &Asked| !full || (!asked.is_spare && self.closest.is_closer(&asked.distance));
        let mut inflight = self.inflight.values();
        all_asked && inflight.all(|asked| late(asked) || !matters(asked))
    }

    /// Returns whether no node has responded yet, and only one could.
    pub(super) fn hangs_on_one(&self) -> bool {
        self.answered == 0 && self.inflight.len() == 1 && self.pending.is_empty()
    }

    /// Returns whether no request of this walk is in flight any more.
    pub(super) fn is_drained(&self) -> bool {
        self.inflight.is_empty()
    }

    /// Returns how many nodes led to the nearest one, itself included.
    pub(super) fn hops(&self) -> u32 {
        self.closest.hops()
    }

    /// Takes the responses of the closest nodes, nearest first, out of a walk that is over.
    pub(super) fn take_closest(&mut self) -> Vec<Answer> {
        self.closest.take()
    }

    /// Notes that `node` responded after the end of the walk.
    pub(super) fn forget(&mut self, node: SocketAddrV4) {
        self.inflight.remove(&node);
        self.mark(node, Fate::Done);
    }

    pub(super) const fn asked(&self) -> usize {
        self.asked
    }

    pub(super) const fn answered(&self) -> usize {
        self.answered
    }

    pub(super) const fn successes(&self) -> usize {
        self.successes
    }

    fn note(&mut self, node: SocketAddrV4, distance: Distance, fate: Fate) {
        self.seen.insert(node, Seen { distance, fate });
    }

    /// Notes the fate of a node; returns the one before.
    fn mark(&mut self, node: SocketAddrV4, fate: Fate) -> Option<Fate> {
        if let Some(known) = self.seen.get_mut(&node) {
            return Some(std::mem::replace(&mut known.fate, fate));
        }
        let distance = self.distance(&NodeId::of(node));
        self.note(node, distance, fate);
        None
    }

    /// Counts a node that is about to be requested, unless its network has its share. Those of
    /// [`Rank::First`] are requested all the same.
    fn enter_network(&mut self, rank: Rank, node: &SocketAddrV4) -> bool {
        if self.per_network == usize::MAX {
            return true;
        }
        let asked = self.networks.entry(network(*node.ip())).or_default();
        let enters = rank == Rank::First || *asked < self.per_network;
        *asked += usize::from(enters);
        enters
    }

    /// Gives the place of a node that failed to the nearest one of its network.
    fn leave_network(&mut self, node: &SocketAddrV4) {
        let left = network(*node.ip());
        if let Some(asked) = self.networks.get_mut(&left) {
            *asked = asked.saturating_sub(1);
        }
        let mut spare = self.spare.values();
        let next = spare.find(|candidate| network(*candidate.node.ip()) == left);
        let next = next.map(|candidate| candidate.distance);
        if let Some(next) = next.and_then(|distance| self.spare.remove(&distance)) {
            self.push(Rank::ByDistance, next.node, next.distance, next.hops);
        }
    }

    fn has_room(&self) -> bool {
        self.seen.len() < MAX_SEEN
    }

    fn distance(&self, id: &NodeId) -> Distance {
        id.distance(&self.target)
    }
}

impl Asked {
    /// Returns whether the walk goes on meanwhile.
    const fn is_slow(&self) -> bool {
        self.late || self.lateness() > 0
    }

    const fn lateness(&self) -> u32 {
        self.timeouts + self.doubts
    }
}

/// Nodes that one walk looks at: hostile responses could name new ones for ever.
pub(super) const MAX_SEEN: usize = 1024;
/// Nodes that are remembered to have named the same one.
pub(super) const MAX_NAMERS: usize = 10;
