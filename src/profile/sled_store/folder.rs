//! What lies where in the folder of a store.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::super::store::StoreError;
use super::files::{io_error, remove_folder};

/// The folder of a store.
#[derive(Clone, Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    pub(super) fn witness(&self) -> PathBuf {
        self.0.join("witness")
    }

    pub(super) fn keys(&self) -> PathBuf {
        self.0.join("keys")
    }

    /// Returns the folder of the database of a generation.
    pub(super) fn records(&self, generation: u64) -> PathBuf {
        self.0.join(format!("{PREFIX}{generation}"))
    }

    /// Returns where format 1 has its database. Later it is a file, so that an old program can't begin anew
    /// beside a newer folder.
    pub(super) fn old_records(&self) -> PathBuf {
        self.0.join("records")
    }

    /// Returns whether the folder holds nothing of a store.
    pub(super) fn is_new(&self) -> Result<bool, StoreError> {
        Ok(self.generations()?.is_empty() && !self.keys().exists() && !self.old_records().exists())
    }

    /// Returns the generations that have a database, in order. Only the one that the witness names counts.
    pub(super) fn generations(&self) -> Result<Vec<u64>, StoreError> {
        let files = fs::read_dir(&self.0).map_err(|error| io_error("read", &self.0, error))?;
        let mut generations = Vec::new();
        for file in files {
            let name = file.map_err(|error| io_error("read", &self.0, error))?.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
            // A name with something else than a number belongs to no store.
            generations.extend(number.and_then(|number| number.parse::<u64>().ok()));
        }
        generations.sort_unstable();
        Ok(generations)
    }

    /// Returns a generation that has no database and never had one.
    pub(super) fn next_generation(&self, current: u64) -> Result<u64, StoreError> {
        let last = self.generations()?.last().copied().unwrap_or(0);
        Ok(last.max(current) + 1)
    }

    /// Removes every database but that of a generation.
    pub(super) fn keep_only(&self, generation: u64) -> Result<(), StoreError> {
        for other in self.generations()? {
            if other != generation {
                remove_folder(&self.records(other))?;
            }
        }
        Ok(())
    }

    /// Makes `records` a file: removes the database of format 1.
    pub(super) fn close_old(&self) -> Result<(), StoreError> {
        let path = self.old_records();
        if path.is_dir() {
            remove_folder(&path)?;
        }
        match fs::read(&path) {
            Ok(found) if found == NOTICE.as_bytes() => Ok(()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("read", &path, error)),
            _ => fs::write(&path, NOTICE).map_err(|error| io_error("write", &path, error)),
        }
    }
}

const PREFIX: &str = "records.";
const NOTICE: &str = "The profiles have format 3. An older program cannot use this folder.\n";
