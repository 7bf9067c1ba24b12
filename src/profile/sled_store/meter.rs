//! What the writer measures.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What a store has written since it was opened, and how long that took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreStats {
    /// Profiles that are there now.
    pub profiles: usize,
    /// Entries made durable: of registrations, updates, deletions, moves and restored entries.
    pub writes: u64,
    /// Groups of them, each made durable by one sync of each file.
    pub syncs: u64,
    /// The time of all syncs.
    pub sync_time: Duration,
    /// The times of the last syncs, the last one last; at most 32.
    pub latest: VecDeque<Duration>,
}

/// Counts what the writer does.
#[derive(Debug, Default)]
pub(in super::super) struct Meter(Mutex<StoreStats>);

impl Meter {
    /// Counts entries that became durable together, and how long that took.
    pub(in super::super) fn count(&self, entries: usize, took: Duration) {
        let mut stats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stats.writes += entries as u64;
        stats.syncs += 1;
        stats.sync_time += took;
        if stats.latest.len() == LATEST {
            stats.latest.pop_front();
        }
        stats.latest.push_back(took);
    }

    pub(in super::super) fn stats(&self, profiles: usize) -> StoreStats {
        let stats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        StoreStats { profiles, ..stats.clone() }
    }
}

/// Syncs whose times are kept.
const LATEST: usize = 32;
