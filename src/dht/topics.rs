//! Announcements to topics: for each topic the records of those who announced themselves.

use std::collections::HashMap;

use rand::rngs::StdRng;
use rand::seq::index;

use super::kept::Kept;
use super::ledger::Charge;
use crate::keys::PublicKey;
use crate::wire::rpc::Target;

/// The records of all topics.
#[derive(Default)]
pub(super) struct Topics {
    topics: HashMap<Target, Topic>,
}

/// The records of one topic, in a list for sampling and with an index for replacing.
#[derive(Default)]
struct Topic {
    records: Vec<Announced>,
    positions: HashMap<PublicKey, usize>,
    /// The highest time stamp announced.
    bump: u64,
}

/// One who announced itself.
pub(super) struct Announced {
    pub(super) key: PublicKey,
    /// The record as it is handed out.
    pub(super) record: Vec<u8>,
    /// What proves it, if that is to outlive the node.
    pub(super) kept: Option<Box<Kept>>,
    pub(super) generation: u64,
    pub(super) charge: Charge,
}

impl Topics {
    /// Puts a record, in place of what its key has there.
    pub(super) fn put(&mut self, target: Target, announced: Announced) {
        let topic = self.topics.entry(target).or_default();
        match topic.positions.get(&announced.key) {
            Some(position) => topic.records[*position] = announced,
            None => {
                topic.positions.insert(announced.key, topic.records.len());
                topic.records.push(announced);
            }
        }
    }

    pub(super) fn get_mut(&mut self, target: &Target, key: &PublicKey) -> Option<&mut Announced> {
        let topic = self.topics.get_mut(target)?;
        let position = topic.positions.get(key)?;
        topic.records.get_mut(*position)
    }

    pub(super) fn remove(&mut self, target: &Target, key: &PublicKey) -> Option<Announced> {
        let topic = self.topics.get_mut(target)?;
        let position = topic.positions.remove(key)?;
        let removed = topic.records.swap_remove(position);
        if let Some(moved) = topic.records.get(position) {
            topic.positions.insert(moved.key, position);
        }
        if topic.records.is_empty() {
            self.topics.remove(target);
        }
        Some(removed)
    }

    /// Returns up to `count` records of a topic, picked at random if there are more.
    pub(super) fn sample(&self, target: &Target, count: usize, rng: &mut StdRng) -> Vec<&[u8]> {
        let Some(topic) = self.topics.get(target) else {
            return Vec::new();
        };
        let record = |position: usize| topic.records[position].record.as_slice();
        let total = topic.records.len();
        if total <= count {
            return (0..total).map(record).collect();
        }
        index::sample(rng, total, count).into_iter().map(record).collect()
    }

    /// Notes a time stamp of a topic that has records.
    pub(super) fn bump(&mut self, target: &Target, stamp: u64) {
        if let Some(topic) = self.topics.get_mut(target) {
            topic.bump = topic.bump.max(stamp);
        }
    }

    /// Returns the highest time stamp of a topic; 0 if there is none.
    pub(super) fn bump_of(&self, target: &Target) -> u64 {
        self.topics.get(target).map_or(0, |topic| topic.bump)
    }

    /// Returns the records of all topics.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Announced> {
        self.topics.values().flat_map(|topic| &topic.records)
    }

    /// Drops the records of generations before `oldest`; hands over what they took.
    pub(super) fn sweep(&mut self, oldest: u64, mut dropped: impl FnMut(Charge)) {
        self.topics.retain(|_, topic| {
            let before = topic.records.len();
            topic.records.retain(|record| {
                let stays = record.generation >= oldest;
                if !stays {
                    dropped(record.charge);
                }
                stays
            });
            if topic.records.len() < before {
                let positions = topic.records.iter().enumerate();
                topic.positions = positions.map(|(position, record)| (record.key, position)).collect();
            }
            !topic.records.is_empty()
        });
    }
}
