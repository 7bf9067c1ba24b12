//! Writes the entries of a snapshot as a backup.

use std::io::{self, Write};
use std::time::SystemTime;

use tokio::runtime::Handle;

use super::super::exit::{Exit, Failure};
use super::super::store::StoreSnapshot;
use crate::profile::StoreError;
use crate::profile::backup::{Closing, Entry, FaultKind, Writer};

/// Why a backup was not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum BackupError {
    /// The file does not take it.
    #[error("cannot write the backup: {0}")]
    Write(#[from] io::Error),
    /// Standard output does not take it.
    #[error("cannot write the backup to standard output: {0}")]
    Output(io::Error),
    /// The profiles cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The running server broke off.
    #[error("the server has broken off its answer: {0}")]
    Server(FaultKind),
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        match error {
            BackupError::Store(error) => error.into(),
            BackupError::Write(_) => Self::from_error(Exit::Storage, error),
            BackupError::Output(_) => Self::from_error(Exit::Internal, error),
            BackupError::Server(_) => {
                Self::from_error(Exit::Storage, error).hint("look into the log of the server, and try again")
            }
        }
    }
}

/// Writes all entries of a snapshot. Blocks on the store and on the output, on a thread that may.
///
/// # Panics
///
/// If the thread drives tasks of the runtime.
pub(super) fn write_snapshot<W: Write>(
    mut snapshot: StoreSnapshot,
    output: W,
) -> Result<(W, Closing), BackupError> {
    let runtime = Handle::current();
    let mut writer = Writer::begin(output, now())?;
    loop {
        let chunk = runtime.block_on(snapshot.next_chunk())?;
        if chunk.is_empty() {
            return Ok(writer.close()?);
        }
        for (key, held) in chunk {
            if let Some(entry) = Entry::of(&key, held) {
                writer.entry(entry)?;
            }
        }
    }
}

/// Returns the Unix time in seconds.
pub(super) fn now() -> u64 {
    // A clock before 1970 is wrong in any case.
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs())
}
