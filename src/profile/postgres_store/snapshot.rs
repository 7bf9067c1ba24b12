//! All entries as they were at one time.

use super::super::entry::Dated;
use super::super::store::StoreError;
use super::failure::Failure;
use super::rows::{self, PAGE};
use super::session::Session;
use crate::PublicKey;

/// All entries of a database as they were at one time, in a session of their own.
pub struct PostgresSnapshot {
    session: Session,
    passed: Vec<u8>,
}

impl PostgresSnapshot {
    pub(super) async fn begin(mut session: Session) -> Result<Self, Failure> {
        session.begin("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        Ok(Self { session, passed: Vec::new() })
    }

    /// Returns some of the next entries, in the order of their keys; none at the end.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] if the database has ended the session: what is left cannot be read any
    /// more. [`StoreError::Damaged`] if an entry can't be read.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the snapshot can't be read any more.
    pub async fn next_chunk(&mut self) -> Result<Vec<(PublicKey, Dated)>, StoreError> {
        let rows = self.session.query(PAGE, &[&self.passed, &CHUNK]).await.map_err(Failure::into_error)?;
        let entries = rows.iter().map(rows::read).collect::<Result<Vec<_>, _>>()?;
        if let Some((key, _)) = entries.last() {
            self.passed = key.as_bytes().to_vec();
        }
        Ok(entries)
    }
}

impl std::fmt::Debug for PostgresSnapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresSnapshot").field("passed", &self.passed).finish_non_exhaustive()
    }
}

/// Entries that are read at a time.
const CHUNK: i64 = 128;
