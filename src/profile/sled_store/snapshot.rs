//! All entries as they were at one time, while the store is written to.

use std::sync::Arc;

use super::super::entry::Dated;
use super::super::inventory::Promised;
use super::super::store::StoreError;
use super::shared::{CHUNK, Shared};
use crate::PublicKey;

/// All entries of a store as they were durable at one time.
///
/// What is overwritten while they are read is kept in memory for them, up to 64 MiB.
#[derive(Debug)]
pub struct Snapshot {
    shared: Arc<Shared>,
    number: u64,
    taken: Promised,
}

impl Snapshot {
    pub(super) fn new(shared: Arc<Shared>, number: u64, taken: Promised) -> Self {
        Self { shared, number, taken }
    }

    /// Returns which commit this is a snapshot of, and how many entries it has.
    pub fn taken(&self) -> Promised {
        self.taken
    }

    /// Returns some of the next entries, in the order of their keys; none at the end. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// [`StoreError::Outdated`] if more was overwritten than is kept; [`StoreError::Damaged`] if an entry
    /// can't be read; [`StoreError::Failed`] if the store has failed.
    pub fn next_chunk(&mut self) -> Result<Vec<(PublicKey, Dated)>, StoreError> {
        self.shared.read_snapshot(self.number, CHUNK)
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        self.shared.end_snapshot(self.number);
    }
}
