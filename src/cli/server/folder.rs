//! Folders of profiles, as the commands find them.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::super::exit::{Exit, Failure};
use super::super::key_access::quoted;
use crate::profile::{SledStore, StoreError};

/// Returns the folder of the profiles in a folder of data.
pub(super) fn profiles(data: &Path) -> PathBuf {
    data.join("profiles")
}

/// Fails if there are no profiles because a restore or a move was interrupted: a server would begin anew.
/// `options` are those that name the place.
pub(super) fn refuse_interrupted(folder: &Path, options: &str) -> Result<(), Failure> {
    if !folder.exists() && moving(folder).exists() {
        let what =
            format!("moving profiles here was interrupted: {} is not complete", moving(folder).display());
        let again = format!("run it again: profile-server move-store FROM {}", quoted(folder));
        return Err(Failure::new(Exit::Storage, what).hint(again));
    }
    let left = [restoring(folder), restored(folder)];
    let left = left.iter().find(|left| left.exists());
    match left.filter(|_| !folder.exists()) {
        None => Ok(()),
        Some(left) => {
            let what = format!("a restore was interrupted: {} is not in its place", left.display());
            let again = format!("run it again: profile-server restore FILE{options}");
            Err(Failure::new(Exit::Storage, what).hint(again))
        }
    }
}

/// Opens the profiles for a server, which makes the folder. Blocks on the disk.
pub(super) fn open(folder: &Path, options: &str) -> Result<SledStore, Failure> {
    refuse_interrupted(folder, options)?;
    SledStore::open(folder).map_err(|error| match error {
        StoreError::Lost { .. } => Failure::from(error).hint(format!(
            "nothing was changed; `profile-server check{options}` lists what is there, `profile-server \
             restore FILE{options}` brings a backup back"
        )),
        error => error.into(),
    })
}

/// Opens the profiles of a server that does not run. Blocks on the disk.
pub(super) fn open_stopped(folder: &Path, options: &str) -> Result<SledStore, Failure> {
    open(folder, options).map_err(|failure| match failure.error.downcast_ref() {
        Some(StoreError::Locked(_)) => {
            failure.hint("the server is starting or ending, or cannot be asked: try again, or stop it first")
        }
        _ => failure,
    })
}

/// Returns whether a server uses a folder of profiles.
pub(super) fn is_used(folder: &Path) -> bool {
    // Where it cannot be opened, opening the profiles reports why.
    let lock = File::open(folder.join("lock")).map(|lock| lock.try_lock());
    matches!(lock, Ok(Err(TryLockError::WouldBlock)))
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

/// Returns where profiles are while they are restored.
pub(super) fn restoring(folder: &Path) -> PathBuf {
    beside(folder, ".restoring")
}

/// Returns where profiles are while they are carried over from another place.
pub(super) fn moving(folder: &Path) -> PathBuf {
    beside(folder, ".moving")
}

/// Returns where they are when they are complete, until they take the place of the others.
pub(super) fn restored(folder: &Path) -> PathBuf {
    beside(folder, ".restored")
}

fn beside(folder: &Path, end: &str) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    name.push(end);
    name.into()
}
