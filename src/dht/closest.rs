//! The responses of the nodes nearest to the target of a walk.

use super::table::K;
use super::types::Answer;

/// The XOR of an id and a target; arrays compare as the numbers they are (Kademlia §2.1).
pub(super) type Distance = [u8; 32];

/// The up to [`K`] nearest nodes that have responded with an id.
#[derive(Default)]
pub(super) struct Closest {
    /// Nearest first.
    nodes: Vec<CloseNode>,
    /// Nodes beyond the share of their network.
    spare: Vec<CloseNode>,
}

struct CloseNode {
    distance: Distance,
    answer: Answer,
    /// How many nodes led to it, itself included.
    hops: u32,
}

impl Closest {
    /// Keeps a response if its node is among the closest.
    pub(super) fn keep(&mut self, distance: Distance, answer: &Answer, hops: u32, is_spare: bool) {
        let nodes = if is_spare { &mut self.spare } else { &mut self.nodes };
        let position = nodes.partition_point(|known| known.distance < distance);
        if position < K {
            let answer = answer.clone();
            nodes.insert(position, CloseNode { distance, answer, hops });
            nodes.truncate(K);
        }
    }

    /// Returns whether a node at this distance would be kept.
    pub(super) fn is_closer(&self, distance: &Distance) -> bool {
        !self.is_full() || self.nodes.last().is_some_and(|last| *distance < last.distance)
    }

    pub(super) const fn is_full(&self) -> bool {
        self.nodes.len() >= K
    }

    /// Returns how many nodes have been found, those beyond the share of their network included.
    pub(super) const fn len(&self) -> usize {
        self.nodes.len() + self.spare.len()
    }

    /// Returns how many nodes led to the nearest one, itself included.
    pub(super) fn hops(&self) -> u32 {
        self.nodes.first().map_or(0, |nearest| nearest.hops)
    }

    /// Takes the responses out, nearest first. Nodes beyond the share of their network are among them only
    /// where there are too few others.
    pub(super) fn take(&mut self) -> Vec<Answer> {
        let mut closest = std::mem::take(&mut self.nodes);
        let mut spare = std::mem::take(&mut self.spare);
        spare.truncate(K - closest.len());
        closest.append(&mut spare);
        closest.sort_by_key(|node| node.distance);
        closest.into_iter().map(|node| node.answer).collect()
    }
}
