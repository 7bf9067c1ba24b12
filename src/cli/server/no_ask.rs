//! Where there are no sockets in folders, no running server is asked.

use std::io::{self, BufReader};
use std::path::Path;

use super::super::exit::Failure;
use super::admin::{Answer, Request};

/// What no server sends.
pub(super) type Backup = BufReader<io::Empty>;

/// Returns that no server runs: a running one holds the lock of the store, and opening it fails.
pub(super) fn backup(_data: &Path) -> Result<Option<Backup>, Failure> {
    Ok(None)
}

/// Does the same.
pub(super) fn request(_data: &Path, _request: &Request) -> Result<Option<Answer>, Failure> {
    Ok(None)
}

/// Returns the number of this user, which there is none of.
pub(super) fn own_user() -> Option<u32> {
    None
}
