//! The walk towards a target: whom to ask next, who is closest, and when it is over.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddrV4;

use super::config::Algorithm;
use super::table::K;
use super::types::Answer;
use crate::wire::address::network;
use crate::wire::rpc::NodeId;

/// One walk. It knows addresses and answers, and nothing of requests and timers.
pub(super) struct Walk {
    target: [u8; 32],
    /// Nodes to ask, those that must be asked first in front, then by distance.
    pending: BTreeMap<(Rank, Distance), Candidate>,
    seen: HashMap<SocketAddrV4, Known>,
    inflight: BTreeMap<SocketAddrV4, Asked>,
    closest: Vec<(Distance, Answer, u32)>,
    /// Nodes beyond the share of their network, and the answers of those that were asked all the same.
    spare: BTreeMap<Distance, Candidate>,
    spare_closest: Vec<(Distance, Answer, u32)>,
    /// After how many timeouts a node is not waited for any more.
    patience: u32,
    /// How many nodes are asked at most.
    limit: usize,
    /// The share of one network of 256 addresses: nodes beyond it are asked only if there are too few others.
    per_network: usize,
    /// Nodes asked that have not failed, by network.
    networks: HashMap<[u8; 3], usize>,
    asked: usize,
    answered: usize,
    successes: usize,
    algorithm: Algorithm,
    /// Nodes added, for the reference's order: the last one first.
    added: u64,
}

/// A node to ask.
struct Candidate {
    node: SocketAddrV4,
    distance: Distance,
    /// How many nodes led to it, itself included.
    hops: u32,
}

/// Whether a node is asked before those that are merely near.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// A bootstrap node: the way in while we know few others.
    First,
    /// Any other node.
    ByDistance,
}

type Distance = [u8; 32];

/// A node that the walk has come across.
struct Known {
    /// Kept because most nodes are named again and again, and an id takes a hash.
    distance: Distance,
    seen: Seen,
}

enum Seen {
    /// Not answered yet; these nodes named it.
    Open(Vec<SocketAddrV4>),
    Done,
    Down,
}

struct Asked {
    distance: Distance,
    timeouts: u32,
    /// Tries of earlier requests that it left unanswered.
    doubts: u32,
    /// Whether its answer takes longer than most.
    late: bool,
    hops: u32,
    /// Whether its network had its share already.
    is_spare: bool,
}

/// That `namer` should hear that `dead` does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DownHint {
    pub(super) namer: SocketAddrV4,
    pub(super) dead: SocketAddrV4,
}

impl Walk {
    pub(super) fn new(target: [u8; 32], patience: u32, per_network: usize) -> Self {
        Self {
            target,
            pending: BTreeMap::new(),
            seen: HashMap::new(),
            inflight: BTreeMap::new(),
            closest: Vec::new(),
            spare: BTreeMap::new(),
            spare_closest: Vec::new(),
            patience,
            limit: MAX_SEEN,
            per_network,
            networks: HashMap::new(),
            asked: 0,
            answered: 0,
            successes: 0,
            algorithm: Algorithm::Nearest,
            added: 0,
        }
    }

    /// Walks as this says.
    pub(super) const fn follow(&mut self, algorithm: Algorithm) {
        self.algorithm = algorithm;
    }

    /// Ends the walk early, once so many nodes were asked.
    pub(super) const fn limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Adds a node to ask, if it is new and could be among the closest.
    pub(super) fn add(&mut self, node: SocketAddrV4, rank: Rank) {
        let distance = self.distance(&NodeId::of(node));
        if self.has_room() && self.is_closer(&distance) && !self.seen.contains_key(&node) {
            self.note(node, distance, Seen::Open(Vec::new()));
            self.push(rank, node, distance, 1);
        }
    }

    fn push(&mut self, rank: Rank, node: SocketAddrV4, distance: Distance, hops: u32) {
        let key = match self.algorithm {
            Algorithm::Nearest => (rank, distance),
            Algorithm::Reference => {
                self.added += 1;
                let mut order = [0; 32];
                order[..8].copy_from_slice(&(u64::MAX - self.added).to_be_bytes());
                (Rank::First, order)
            }
        };
        let candidate = Candidate { node, distance, hops };
        self.pending.insert(key, candidate);
    }

    /// Returns the next node to ask while fewer than `concurrency` are being asked, those that are late not
    /// counted.
    pub(super) fn next(&mut self, concurrency: usize) -> Option<SocketAddrV4> {
        let slow = self.inflight.values().filter(|asked| asked.is_slow()).count();
        while self.asked < self.limit && self.inflight.len() < concurrency + slow {
            let Some(((rank, _), candidate)) = self.pending.pop_first() else {
                return self.next_spare();
            };
            if !self.is_closer(&candidate.distance) {
                continue;
            }
            if self.enter_network(rank, &candidate.node) {
                return Some(self.ask(candidate, false));
            }
            self.spare.insert(candidate.distance, candidate);
        }
        None
    }

    /// Returns the nearest node beyond the share of its network, if nobody else is left to ask and too few
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

    /// Returns whether nodes beyond the share of their network have to make up for others. They never do
    /// where there are enough others.
    fn needs_spare(&self) -> bool {
        let asked = self.inflight.values().filter(|asked| asked.is_spare);
        let found = self.closest.len() + self.spare_closest.len() + asked.count();
        !self.spare.is_empty() && found < K
    }

    fn ask(&mut self, candidate: Candidate, is_spare: bool) -> SocketAddrV4 {
        let Candidate { node, distance, hops } = candidate;
        self.asked += 1;
        let asked = Asked {
            distance,
            timeouts: 0,
            doubts: 0,
            late: false,
            hops,
            is_spare,
        };
        self.inflight.insert(node, asked);
        node
    }

    /// Takes the answer of a node that was asked, and returns the down hints that it gives rise to. `skip`
    /// names the nodes that are not to be asked.
    pub(super) fn on_answer(
        &mut self,
        answer: &Answer,
        skip: impl Fn(&SocketAddrV4) -> bool,
    ) -> Vec<DownHint> {
        let from = answer.from;
        let asked = self.inflight.remove(&from);
        let (hops, is_spare) = asked.map_or((1, false), |asked| (asked.hops, asked.is_spare));
        self.mark(from, Seen::Done);
        self.answered += 1;
        if answer.error == 0 {
            self.successes += 1;
            self.keep(answer, hops, is_spare);
        }
        let mut hints = Vec::new();
        for node in answer.closer.iter().take(K) {
            if node.port() == 0 || skip(node) {
                continue;
            }
            let known = self.seen.get(node).map(|known| known.distance);
            let distance = known.unwrap_or_else(|| self.distance(&NodeId::of(*node)));
            if !self.is_closer(&distance) {
                match self.algorithm {
                    Algorithm::Nearest => continue,
                    Algorithm::Reference => break,
                }
            }
            let room = self.has_room();
            match self.seen.get_mut(node).map(|known| &mut known.seen) {
                None if room => {
                    self.note(*node, distance, Seen::Open(vec![from]));
                    self.push(Rank::ByDistance, *node, distance, hops + 1);
                }
                Some(Seen::Open(namers)) if namers.len() < MAX_NAMERS => namers.push(from),
                Some(Seen::Down) => hints.push(DownHint {
                    namer: from,
                    dead: *node,
                }),
                _ => {}
            }
        }
        hints
    }

    /// Notes that a node that is asked answers from another address than it was named by; returns whether the
    /// walk does not know that address yet.
    pub(super) fn on_moved(&mut self, named: SocketAddrV4, from: SocketAddrV4) -> bool {
        let asked = self.inflight.remove(&named);
        self.mark(named, Seen::Done);
        let is_new = !self.seen.contains_key(&from);
        if let Some(asked) = asked.filter(|_| is_new) {
            self.inflight.insert(from, asked);
        }
        is_new
    }

    /// Takes into account that a node that is asked has left `tries` unanswered lately.
    pub(super) fn doubt(&mut self, node: SocketAddrV4, tries: u32) {
        if let Some(asked) = self.inflight.get_mut(&node) {
            asked.doubts = tries;
        }
    }

    /// Waits for all who are asked as if they had never been silent.
    pub(super) fn trust(&mut self) {
        for asked in self.inflight.values_mut() {
            asked.doubts = 0;
        }
    }

    /// Notes that the answer of `node` takes longer than most.
    pub(super) fn on_late(&mut self, node: SocketAddrV4) {
        if let Some(asked) = self.inflight.get_mut(&node) {
            asked.late = true;
        }
    }

    /// Notes that a try to reach `node` was not answered in time, and another one follows.
    pub(super) fn on_timeout(&mut self, node: SocketAddrV4) {
        if let Some(asked) = self.inflight.get_mut(&node) {
            asked.timeouts += 1;
        }
    }

    /// Notes that `node` is given up, and returns the down hints that this gives rise to.
    pub(super) fn on_failure(&mut self, node: SocketAddrV4) -> Vec<DownHint> {
        let asked = self.inflight.remove(&node);
        if asked.is_some_and(|asked| !asked.is_spare) {
            self.leave_network(&node);
        }
        let Some(Seen::Open(namers)) = self.mark(node, Seen::Down) else {
            return Vec::new();
        };
        let hint = |namer| DownHint { namer, dead: node };
        namers.into_iter().map(hint).collect()
    }

    /// Returns whether nothing that may still come is worth waiting for.
    ///
    /// That is when nobody is left to ask, and each node that still owes an answer either is too far away to
    /// matter or is late while others have answered. (The reference waits for late ones too unless it has
    /// twenty answers, which in a network of fewer nodes costs six seconds per dead one.) Who is `hurried`
    /// does not wait either for answers that take longer than most, once twenty have come.
    pub(super) fn is_over(&self, hurried: bool) -> bool {
        let full = self.closest.len() >= K;
        if self.algorithm == Algorithm::Reference {
            let mut waiting = self.inflight.values();
            return self.pending.is_empty() && waiting.all(|asked| full && asked.timeouts > 0);
        }
        let patience = if full { 1 } else { self.patience };
        let late = |asked: &Asked| {
            (hurried && full && asked.late) || (self.successes > 0 && asked.lateness() >= patience)
        };
        let mut pending = self.pending.values();
        let all_asked = self.asked >= self.limit
            || !(self.needs_spare() || pending.any(|candidate| self.is_closer(&candidate.distance)));
        let matters = |asked: &Asked| !full || (!asked.is_spare && self.is_closer(&asked.distance));
        let mut inflight = self.inflight.values();
        all_asked && inflight.all(|asked| late(asked) || !matters(asked))
    }

    /// Returns whether nobody has answered yet, and only one node could.
    pub(super) fn hangs_on_one(&self) -> bool {
        self.answered == 0 && self.inflight.len() == 1 && self.pending.is_empty()
    }

    /// Returns whether no request of this walk is on the way any more.
    pub(super) fn is_drained(&self) -> bool {
        self.inflight.is_empty()
    }

    /// Returns how many nodes led to the nearest one, itself included.
    pub(super) fn hops(&self) -> u32 {
        self.closest.first().map_or(0, |nearest| nearest.2)
    }

    /// Takes the answers of the closest nodes, nearest first, out of a walk that is over.
    ///
    /// Nodes beyond the share of their network are among them only where there are too few others.
    pub(super) fn take_closest(&mut self) -> Vec<Answer> {
        let mut closest = std::mem::take(&mut self.closest);
        let mut spare = std::mem::take(&mut self.spare_closest);
        spare.truncate(K - closest.len());
        closest.append(&mut spare);
        closest.sort_by_key(|(distance, ..)| *distance);
        closest.into_iter().map(|(_, answer, _)| answer).collect()
    }

    /// Notes that `node` answered when nobody was waiting any more.
    pub(super) fn forget(&mut self, node: SocketAddrV4) {
        self.inflight.remove(&node);
        self.mark(node, Seen::Done);
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

    fn note(&mut self, node: SocketAddrV4, distance: Distance, seen: Seen) {
        self.seen.insert(node, Known { distance, seen });
    }

    /// Notes what has become of a node; returns what was known of it.
    fn mark(&mut self, node: SocketAddrV4, seen: Seen) -> Option<Seen> {
        if let Some(known) = self.seen.get_mut(&node) {
            return Some(std::mem::replace(&mut known.seen, seen));
        }
        let distance = self.distance(&NodeId::of(node));
        self.note(node, distance, seen);
        None
    }

    /// Keeps the answer of a node with an id among the closest, if it belongs there.
    fn keep(&mut self, answer: &Answer, hops: u32, is_spare: bool) {
        let Some(id) = &answer.id else {
            return;
        };
        let distance = self.distance(id);
        let closest = if is_spare {
            &mut self.spare_closest
        } else {
            &mut self.closest
        };
        let position = closest.partition_point(|known| known.0 < distance);
        if position < K {
            closest.insert(position, (distance, answer.clone(), hops));
            closest.truncate(K);
        }
    }

    /// Counts a node that is about to be asked, unless its network has its share. Those that the caller named
    /// are asked all the same.
    fn enter_network(&mut self, rank: Rank, node: &SocketAddrV4) -> bool {
        if self.per_network == usize::MAX {
            return true;
        }
        let asked = self.networks.entry(network(*node.ip())).or_default();
        let enters = rank == Rank::First || *asked < self.per_network;
        *asked += usize::from(enters);
        enters
    }

    /// Takes back the place of a node that did not answer, and lets the nearest of its network have it.
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

    fn is_closer(&self, distance: &Distance) -> bool {
        self.closest.len() < K || self.closest.last().is_some_and(|last| *distance < last.0)
    }

    fn has_room(&self) -> bool {
        self.seen.len() < MAX_SEEN
    }

    fn distance(&self, id: &NodeId) -> Distance {
        std::array::from_fn(|byte| id.0[byte] ^ self.target[byte])
    }
}

impl Asked {
    /// Returns whether others need not wait for it.
    const fn is_slow(&self) -> bool {
        self.late || self.lateness() > 0
    }

    const fn lateness(&self) -> u32 {
        self.timeouts + self.doubts
    }
}

/// Nodes that one walk looks at: hostile answers could name new ones for ever.
pub(super) const MAX_SEEN: usize = 1024;
/// Nodes that are remembered to have named the same one.
const MAX_NAMERS: usize = 10;
