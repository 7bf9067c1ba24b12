//! The keys of the profiles, in a file in which they can be erased.
//!
//! The file `keys` is a row of slots of 32 random bytes. A profile takes a slot when it is registered and
//! keeps it through its updates. Deleting the profile writes fresh random bytes over the slot, which is free
//! again after that: what is left of the profile in the database can't be decrypted any more.
//!
//! Free slots are synced before they are used, so that a registration needs no sync of this file.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use rand::RngCore as _;
use zeroize::Zeroizing;

use super::super::store::StoreError;
use super::codec::SlotKey;
use super::files::io_error;

/// The keys of the profiles.
#[derive(Debug)]
pub(super) struct Slots {
    file: File,
    path: PathBuf,
    keys: Zeroizing<Vec<SlotKey>>,
    /// The slots that no profile uses. Their content is random and durable.
    free: Vec<u32>,
}

impl Slots {
    /// Makes an empty file, or empties it.
    pub(super) fn create(path: &Path) -> Result<Self, StoreError> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(true).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path).map_err(|error| io_error("create", path, error))?;
        Ok(Self { file, path: path.to_owned(), keys: Zeroizing::default(), free: Vec::new() })
    }

    /// Reads the keys in a file; none if it is missing. Changes nothing.
    pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<SlotKey>>, StoreError> {
        match fs::read(path) {
            Ok(bytes) => Ok(Zeroizing::new(Zeroizing::new(bytes).as_chunks().0.to_vec())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Zeroizing::default()),
            Err(error) => Err(io_error("read", path, error)),
        }
    }

    /// Takes over the keys of a file of which some slots are used. All others get fresh content: one may hold
    /// the key of a profile that was deleted a moment before a crash.
    pub(super) fn adopt(
        path: &Path,
        mut keys: Zeroizing<Vec<SlotKey>>,
        used: &BTreeSet<u32>,
    ) -> Result<Self, StoreError> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path).map_err(|error| io_error("open", path, error))?;
        let longest = (keys.len() * SLOT) as u64;
        file.set_len(longest).map_err(|error| io_error("write", path, error))?;
        keys.reserve(SPARES);
        let mut slots = Self { file, path: path.to_owned(), keys, free: Vec::new() };
        // So many slots, 128 GiB of them, fit into no memory; those beyond would stay unused.
        let count = u32::try_from(slots.keys.len()).unwrap_or(u32::MAX);
        let unused: Vec<_> = (0..count).filter(|slot| !used.contains(slot)).collect();
        slots.erase(&unused)?;
        slots.replenish()?;
        Ok(slots)
    }

    /// Returns the key in a slot, if there is one.
    pub(super) fn get(&self, slot: u32) -> Option<&SlotKey> {
        self.keys.get(slot as usize)
    }

    /// Returns how many slots profiles use.
    pub(super) fn used(&self) -> usize {
        self.keys.len() - self.free.len()
    }

    /// Takes a free slot. [`Self::replenish`] has been called since the last [`SPARES_AT_LEAST`] were taken.
    pub(super) fn take(&mut self) -> Option<u32> {
        self.free.pop()
    }

    /// Makes free slots, durably, if there are few.
    pub(super) fn replenish(&mut self) -> Result<(), StoreError> {
        if self.free.len() >= SPARES_AT_LEAST {
            return Ok(());
        }
        let first = self.keys.len();
        self.keys.resize(first + SPARES, [0; SLOT]);
        for key in &mut self.keys[first..] {
            rand::rngs::OsRng.fill_bytes(key);
        }
        self.write(first, SPARES)?;
        self.sync()?;
        let added = first..first + SPARES;
        // A slot beyond the numbers of slots stays unused.
        self.free.extend(added.rev().filter_map(|slot| u32::try_from(slot).ok()));
        Ok(())
    }

    /// Overwrites slots with fresh keys, durably; they are free after that.
    pub(super) fn erase(&mut self, slots: &[u32]) -> Result<(), StoreError> {
        if slots.is_empty() {
            return Ok(());
        }
        for slot in slots {
            rand::rngs::OsRng.fill_bytes(&mut self.keys[*slot as usize]);
            self.write(*slot as usize, 1)?;
        }
        self.sync()?;
        self.free.extend_from_slice(slots);
        Ok(())
    }

    fn write(&mut self, first: usize, count: usize) -> Result<(), StoreError> {
        let bytes = self.keys[first..first + count].as_flattened();
        self.file
            .seek(SeekFrom::Start((first * SLOT) as u64))
            .and_then(|_| self.file.write_all(bytes))
            .map_err(|error| io_error("write", &self.path, error))
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.file.sync_data().map_err(|error| io_error("sync", &self.path, error))
    }
}

/// Bytes of a slot.
const SLOT: usize = size_of::<SlotKey>();
/// Slots that are made at a time.
const SPARES: usize = 1024;
/// Free slots that the next group of changes finds: more than it can take.
pub(super) const SPARES_AT_LEAST: usize = 512;
