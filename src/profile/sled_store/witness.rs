//! The witness: what the last acknowledged state was, kept apart from the database.
//!
//! The file `witness` has two slots of 512 bytes, written in turn, so that a write that a power failure cuts
//! short leaves the one before. The one with the greater sequence number counts.
//!
//! | bytes of a slot | content |
//! |---|---|
//! | 0 to 6 | `hpwitns` |
//! | 7 | the format of the folder, 3; 2 until a folder of that format is opened |
//! | 8 | sequence number of the write, u64 |
//! | 16 | generation: the number in the name of the folder of records, u64; 0 while the store is being made |
//! | 24 | commit: the number of the group of changes that was made durable last, u64 |
//! | 32 | number of entries, u64 |
//! | 40 to 71 | their sum |
//! | 72 to 479 | zeros |
//! | 480 to 511 | BLAKE2b-256 of the bytes before |

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::super::inventory::Promised;
use super::super::store::StoreError;
use super::codec::Sum;
use super::files::{io_error, sync_names};
use crate::api::durable::folder_of;
use crate::wire::hash::hash;

/// The last acknowledged state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Witness {
    pub(super) generation: u64,
    pub(super) commit: u64,
    pub(super) entries: u64,
    pub(super) sum: Sum,
}

impl Witness {
    pub(super) fn promised(&self) -> Promised {
        Promised { commit: self.commit, entries: self.entries }
    }
}

/// The file of the witness.
#[derive(Debug)]
pub(super) struct WitnessFile {
    file: File,
    path: PathBuf,
    sequence: u64,
}

/// What the file holds.
#[derive(Debug)]
pub(super) enum Found {
    Missing,
    /// No slot of it can be trusted.
    Damaged,
    /// The folder has another format, of this number.
    Foreign(u8),
    Whole(WitnessFile, Witness),
}

impl WitnessFile {
    /// Reads the file. Changes nothing.
    pub(super) fn read(path: &Path) -> Result<Found, StoreError> {
        let mut file = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Missing),
            Err(error) => return Err(io_error("open", path, error)),
        };
        let mut bytes = Vec::new();
        let longest = (2 * SLOT + 1) as u64;
        (&mut file).take(longest).read_to_end(&mut bytes).map_err(|error| io_error("read", path, error))?;
        let slots = bytes.chunks_exact(SLOT).filter_map(decode);
        Ok(match slots.max_by_key(|slot| slot.sequence) {
            Some(Slot { format, .. }) if ![FORMAT, BEFORE].contains(&format) => Found::Foreign(format),
            Some(Slot { sequence, witness, .. }) => {
                Found::Whole(Self { file, path: path.to_owned(), sequence }, witness)
            }
            None => Found::Damaged,
        })
    }

    /// Writes a file that is there whole or not at all. Its folder is synced.
    pub(super) fn create(path: &Path, witness: &Witness) -> Result<Self, StoreError> {
        let aside = path.with_extension("new");
        let mut options = OpenOptions::new();
        options.create(true).truncate(true).read(true).write(true);
        let file = options.open(&aside).map_err(|error| io_error("create", &aside, error))?;
        let mut created = Self { file, path: path.to_owned(), sequence: 0 };
        created.write_both(witness)?;
        fs::rename(&aside, path).map_err(|error| io_error("create", path, error))?;
        sync_names(folder_of(path))?;
        Ok(created)
    }

    /// Makes a state the last acknowledged one, durably.
    pub(super) fn write(&mut self, witness: &Witness) -> Result<(), StoreError> {
        let sequence = self.sequence + 1;
        let place = SeekFrom::Start((sequence % 2) * SLOT as u64);
        self.file
            .seek(place)
            .and_then(|_| self.file.write_all(&encode(sequence, witness)))
            .map_err(|error| io_error("write", &self.path, error))?;
        self.file.sync_data().map_err(|error| io_error("sync", &self.path, error))?;
        self.sequence = sequence;
        Ok(())
    }

    /// Makes a state the only one in the file, so that damage to either slot loses nothing.
    pub(super) fn write_both(&mut self, witness: &Witness) -> Result<(), StoreError> {
        self.write(witness)?;
        self.write(witness)
    }
}

fn encode(sequence: u64, witness: &Witness) -> [u8; SLOT] {
    let mut slot = Vec::with_capacity(SLOT);
    slot.extend_from_slice(MAGIC);
    slot.push(FORMAT);
    for number in [sequence, witness.generation, witness.commit, witness.entries] {
        slot.extend_from_slice(&number.to_le_bytes());
    }
    slot.extend_from_slice(&witness.sum.to_bytes());
    slot.resize(CHECKED, 0);
    slot.extend_from_slice(&hash(&[&slot]));
    slot.try_into().expect("the checksum fills the slot")
}

/// A slot whose checksum is right.
#[derive(Clone, Copy, Debug)]
struct Slot {
    format: u8,
    sequence: u64,
    witness: Witness,
}

fn decode(slot: &[u8]) -> Option<Slot> {
    let (checked, checksum) = slot.split_at(CHECKED);
    if hash(&[checked]) != *checksum {
        return None;
    }
    let (format, rest) = checked.strip_prefix(MAGIC)?.split_first()?;
    let (numbers, rest) = rest.split_first_chunk::<32>()?;
    let (numbers, _) = numbers.as_chunks();
    let [sequence, generation, commit, entries] = std::array::from_fn(|n| u64::from_le_bytes(numbers[n]));
    let sum = Sum::from_bytes(rest.first_chunk()?);
    Some(Slot { format: *format, sequence, witness: Witness { generation, commit, entries, sum } })
}

const MAGIC: &[u8; 7] = b"hpwitns";
/// The format of the folder and all files in it; raised when an older program could misread a newer folder.
pub(super) const FORMAT: u8 = 3;
/// The format that is taken over by writing a witness of the newer one. Its entries stay as they are until
/// they are changed.
const BEFORE: u8 = 2;
const SLOT: usize = 512;
const CHECKED: usize = SLOT - 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path) -> Option<Witness> {
        match WitnessFile::read(path).unwrap() {
            Found::Whole(_, witness) => Some(witness),
            Found::Missing | Found::Damaged | Found::Foreign(_) => None,
        }
    }

    fn witness(commit: u64) -> Witness {
        let sum = Sum::from_bytes(&[commit as u8; 32]);
        Witness { generation: 7, commit, entries: commit * 2, sum }
    }

    #[test]
    fn the_last_write_counts_and_a_damaged_one_leaves_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("witness");
        assert!(matches!(WitnessFile::read(&path).unwrap(), Found::Missing));
        let mut file = WitnessFile::create(&path, &witness(1)).unwrap();
        assert_eq!(read(&path), Some(witness(1)));
        file.write(&witness(2)).unwrap();
        file.write(&witness(3)).unwrap();
        assert_eq!(read(&path), Some(witness(3)));

        let whole = fs::read(&path).unwrap();
        assert_eq!(whole.len(), 2 * SLOT);
        let mut outcomes = [0, 0];
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            fs::write(&path, damaged).unwrap();
            let found = read(&path).unwrap();
            assert!([witness(2), witness(3)].contains(&found), "{at}");
            outcomes[usize::from(found == witness(3))] += 1;
        }
        assert_eq!(outcomes, [SLOT, SLOT]);
        for length in 0..SLOT {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(matches!(WitnessFile::read(&path).unwrap(), Found::Damaged), "{length}");
        }
    }

    #[test]
    fn after_both_are_written_damage_to_either_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("witness");
        let mut file = WitnessFile::create(&path, &witness(1)).unwrap();
        file.write(&witness(2)).unwrap();
        file.write_both(&witness(3)).unwrap();
        let whole = fs::read(&path).unwrap();
        for at in [0, SLOT] {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            fs::write(&path, damaged).unwrap();
            assert_eq!(read(&path), Some(witness(3)));
        }
    }
}
