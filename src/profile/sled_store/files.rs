//! Folders and files: create, lock, copy, sync, remove.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::super::store::StoreError;
use crate::api::durable;

/// Creates a folder, for its owner alone, if it does not exist.
pub(super) fn create_folder(folder: &Path) -> Result<(), StoreError> {
    durable::create_folder(folder).map_err(|error| io_error("create", folder, error))
}

/// Takes the lock. The system releases it when this process ends, also after a crash.
pub(super) fn lock(path: &Path) -> Result<File, StoreError> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => return Err(no_file(path)),
        // It is made then; whatever else is wrong, opening reports it.
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    let file = options.open(path).map_err(|error| io_error("open", path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked(durable::folder_of(path).to_owned())),
        Err(TryLockError::Error(error)) => Err(io_error("lock", path, error)),
    }
}

/// Fails if a folder holds anything but files and folders: opening a pipe could wait for ever, and a link
/// could lead anywhere.
pub(super) fn refuse_others(folder: &Path) -> Result<(), StoreError> {
    for entry in fs::read_dir(folder).map_err(|error| io_error("read", folder, error))? {
        let entry = entry.map_err(|error| io_error("read", folder, error))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(|error| io_error("read", &path, error))?;
        if kind.is_dir() {
            refuse_others(&path)?;
        } else if !kind.is_file() {
            return Err(no_file(&path));
        }
    }
    Ok(())
}

fn no_file(path: &Path) -> StoreError {
    let error = io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file");
    io_error("use", path, error)
}

/// Copies the files of a database for which `wanted` returns whether they are. Not durable before
/// [`sync_tree`].
pub(super) fn copy_database(from: &Path, to: &Path, wanted: impl Fn(&str) -> bool) -> Result<(), StoreError> {
    create_folder(to)?;
    for entry in fs::read_dir(from).map_err(|error| io_error("read", from, error))? {
        let entry = entry.map_err(|error| io_error("read", from, error))?;
        let name = entry.file_name();
        let (source, target) = (entry.path(), to.join(&name));
        if entry.file_type().map_err(|error| io_error("read", &source, error))?.is_dir() {
            create_folder(&target)?;
        } else if name.to_str().is_some_and(&wanted) {
            fs::copy(&source, &target).map_err(|error| io_error("copy", &source, error))?;
        }
    }
    Ok(())
}

/// Returns the length of all files in a folder together, without those in folders of it.
pub(super) fn folder_size(folder: &Path) -> Result<u64, StoreError> {
    let mut size = 0;
    for entry in fs::read_dir(folder).map_err(|error| io_error("read", folder, error))? {
        let metadata = entry.and_then(|entry| entry.metadata());
        size += metadata.map_err(|error| io_error("read", folder, error))?.len();
    }
    Ok(size)
}

/// Syncs all files in a folder, and the names.
pub(super) fn sync_tree(folder: &Path) -> Result<(), StoreError> {
    for entry in fs::read_dir(folder).map_err(|error| io_error("read", folder, error))? {
        let path = entry.map_err(|error| io_error("read", folder, error))?.path();
        match path.is_dir() {
            true => sync_tree(&path)?,
            false => sync_file(&path)?,
        }
    }
    sync_names(folder)
}

/// Syncs the names in a folder, where the file system can.
pub(super) fn sync_names(folder: &Path) -> Result<(), StoreError> {
    durable::sync_folder(folder).map_err(|error| io_error("sync", folder, error))
}

fn sync_file(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(|error| io_error("sync", path, error))
}

/// Removes a folder with all it holds, if it is there.
pub(super) fn remove_folder(folder: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("remove", folder, error)),
        _ => Ok(()),
    }
}

pub(super) fn io_error(verb: &str, path: &Path, error: io::Error) -> StoreError {
    StoreError::Io { what: format!("cannot {verb} {}", path.display()), cause: Arc::new(error) }
}
