//! The folder of a server's data, as the commands find it.

use std::io;
use std::path::{Path, PathBuf};

use super::super::exit::{Exit, Failure};
use super::super::key_access::quoted;
use super::super::store::ServerStore;
use crate::profile::{SledStore, StoreError};

/// Returns the folder of the profiles in a folder of data.
pub(super) fn profiles(data: &Path) -> PathBuf {
    data.join("profiles")
}

/// Fails if there are no profiles because a restore was interrupted: a server would begin anew.
pub(super) fn refuse_interrupted(data: &Path) -> Result<(), Failure> {
    let left = [RESTORING, RESTORED].map(|name| data.join(name));
    let left = left.iter().find(|left| left.exists());
    match left.filter(|_| !profiles(data).exists()) {
        None => Ok(()),
        Some(left) => {
            let what = format!("a restore was interrupted: {} is not in its place", left.display());
            let again = format!("run it again: profile-server restore FILE --data-dir {}", quoted(data));
            Err(Failure::new(Exit::Storage, what).hint(again))
        }
    }
}

/// Opens the profiles of a server that does not run.
pub(super) fn open_stopped(data: &Path) -> Result<ServerStore, Failure> {
    let folder = profiles(data);
    if !folder.exists() {
        refuse_interrupted(data)?;
        return Err(none_in(data));
    }
    SledStore::open(&folder).map(Into::into).map_err(|error| match error {
        StoreError::Locked(_) => Failure::from(error)
            .hint("the server is starting or ending, or cannot be asked: try again, or stop it first"),
        error => error.into(),
    })
}

/// Makes the failure for a folder of data without profiles.
pub(super) fn none_in(data: &Path) -> Failure {
    let what = format!("there are no profiles in {}", data.display());
    Failure::new(Exit::Storage, what).hint("name the server's folder with --data-dir")
}

/// Makes the failure for something in the file system.
pub(super) fn cannot(verb: &str, path: &Path, error: io::Error) -> Failure {
    let what = format!("cannot {verb} {}: {error}", path.display());
    Failure::from_error(Exit::Storage, anyhow::Error::from(error).context(what))
}

/// Where profiles are while they are restored.
pub(super) const RESTORING: &str = "profiles.restoring";
/// Where they are when they are complete, until they take the place of the others.
pub(super) const RESTORED: &str = "profiles.restored";
