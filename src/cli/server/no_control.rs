//! Where there are no sockets in folders, a running server takes no commands: they need it stopped.

use std::convert::Infallible;
use std::io::{self, BufReader};
use std::path::Path;
use std::sync::Arc;

use super::super::exit::Failure;
use crate::profile::SledStore;

/// What no server sends.
pub(super) type Answer = BufReader<io::Empty>;

pub(super) const BACKUP: &str = "backup";

#[derive(Debug)]
pub(super) struct Control(Infallible);

#[derive(Debug)]
pub(super) struct Name(Infallible);

impl Control {
    pub(super) fn listen(_data: &Path) -> io::Result<(Self, Name)> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) async fn serve(&self, _store: &Arc<SledStore>) {
        match self.0 {}
    }
}

/// Returns that no server runs: one that does holds the lock of the store, which says so.
pub(super) fn ask(_data: &Path, _command: &str) -> Result<Option<Answer>, Failure> {
    Ok(None)
}
