//! Opening a folder of records: nothing is changed before all of it is verified.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use tracing::{debug, warn};

use super::super::entry::Dated;
use super::super::inventory::Inventory;
use super::super::store::StoreError;
use super::codec::SlotKey;
use super::committer::Disk as _;
use super::database::{Database, check_room, guarded, is_log, missing_data};
use super::files::{
    copy_database, create_folder, folder_size, lock, refuse_others, remove_folder, sync_names, sync_tree,
};
use super::folder::Folder;
use super::known::Known;
use super::migrate;
use super::slots::Slots;
use super::survey::{self, Survey, read_all, survey};
use super::witness::{FORMAT, Found, Witness, WitnessFile};
use crate::PublicKey;

/// The parts of a store that is open.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) lock: File,
    pub(super) database: Database,
    pub(super) slots: Slots,
    pub(super) file: WitnessFile,
    pub(super) witness: Witness,
    pub(super) known: Known,
}

/// Opens a folder; creates it if it does not exist.
///
/// sled repairs what it takes for the end of a log that a crash cut short, and so destroys what comes after
/// damage. Therefore it only opens a copy. The copy becomes the database if its entries are those that the
/// witness names; otherwise it is removed, and everything else is as it was.
pub(super) fn open(path: &Path) -> Result<Parts, StoreError> {
    create_folder(path)?;
    let folder = Folder::new(path);
    // The lock first: files of another server come and go.
    let lock = lock(&folder.lock())?;
    refuse_others(path)?;
    let (mut file, witness) = match WitnessFile::read(&folder.witness())? {
        Found::Whole(file, witness) => (file, witness),
        Found::Missing if folder.old_records().is_dir() => {
            return migrate(&folder, lock);
        }
        Found::Missing if folder.is_new()? => {
            let witness = Witness::default();
            (WitnessFile::create(&folder.witness(), &witness)?, witness)
        }
        found => return Err(refusal(&folder, examine(&folder, &found, &mut |_, _| {})?)),
    };
    let (database, slots, witness, known) = match witness.generation {
        0 => begin(&folder)?,
        _ => take_over(&folder, &witness)?,
    };
    file.write_both(&witness)?;
    let parts = Parts { lock, database, slots, file, witness, known };
    clean(&folder, &parts.witness)?;
    Ok(parts)
}

/// Compares a folder with its witness and visits every entry that can be read. Changes nothing.
pub(super) fn check(path: &Path, visit: &mut dyn FnMut(PublicKey, Dated)) -> Result<Inventory, StoreError> {
    let folder = Folder::new(path);
    let _lock = lock(&folder.lock())?;
    refuse_others(path)?;
    examine(&folder, &WitnessFile::read(&folder.witness())?, visit)
}

/// Makes an empty database.
fn begin(folder: &Folder) -> Result<(Database, Slots, Witness, Known), StoreError> {
    folder.keep_only(0)?;
    let witness = Witness { generation: 1, ..Witness::default() };
    let mut database = Database::open(&folder.records(witness.generation))?;
    database.sync()?;
    let mut slots = Slots::create(&folder.keys())?;
    slots.replenish()?;
    sync_tree(&folder.records(witness.generation))?;
    sync_names(folder.path())?;
    Ok((database, slots, witness, Known::default()))
}

/// Copies the database, verifies the copy and makes it durable.
fn take_over(folder: &Folder, witness: &Witness) -> Result<(Database, Slots, Witness, Known), StoreError> {
    let keys = Slots::read(&folder.keys())?;
    let (generation, mut database, survey) = match attempts(folder, witness, &keys, &mut |_, _| {})? {
        Ok(verified) => verified,
        Err(inventory) => return Err(refusal(folder, inventory)),
    };
    for mended in &survey.inventory.mended {
        warn!("{mended}");
    }
    let prepare = || {
        database.sync()?;
        sync_tree(&folder.records(generation))?;
        let slots = Slots::adopt(&folder.keys(), keys, &survey.used)?;
        sync_names(folder.path())?;
        Ok(slots)
    };
    match prepare() {
        Ok(slots) => Ok((database, slots, Witness { generation, ..survey.next }, survey.known)),
        Err(error) => {
            drop(database);
            discard(folder, generation);
            Err(error)
        }
    }
}

type Verified = (u64, Database, Survey);

/// Tries the database as it is, then without what sled can make anew from its log. If neither is whole,
/// visits what can be read.
fn attempts(
    folder: &Folder,
    witness: &Witness,
    keys: &[SlotKey],
    visit: &mut dyn FnMut(PublicKey, Dated),
) -> Result<Result<Verified, Inventory>, StoreError> {
    let (generation, whole, survey) = attempt(folder, witness, keys, &|_| true)?;
    let mut inventory = survey.inventory.clone();
    let whole = match whole {
        Some(database) if inventory.is_whole() => return Ok(Ok((generation, database, survey))),
        other => Copy { folder, generation, database: other },
    };
    let (generation, rebuilt, mut survey) = attempt(folder, witness, keys, &is_log)?;
    let rebuilt = match rebuilt {
        Some(database) if survey.inventory.is_whole() => {
            survey.inventory.mend_snapshot(&inventory.faults);
            return Ok(Ok((generation, database, survey)));
        }
        other => Copy { folder, generation, database: other },
    };
    if let Some(database) = whole.database.as_ref().or(rebuilt.database.as_ref()) {
        read_guarded(database, keys, &mut inventory, visit);
    }
    Ok(Err(inventory))
}

/// A copy of the database that is removed when dropped.
struct Copy<'a> {
    folder: &'a Folder,
    generation: u64,
    database: Option<Database>,
}

impl Drop for Copy<'_> {
    fn drop(&mut self) {
        self.database = None;
        discard(self.folder, self.generation);
    }
}

fn read_guarded(
    database: &Database,
    keys: &[SlotKey],
    inventory: &mut Inventory,
    visit: &mut dyn FnMut(PublicKey, Dated),
) {
    let read = guarded(|| {
        read_all(&database.entries, inventory, |key, bytes| survey::open(key, bytes, keys), visit);
        Ok(())
    });
    if let Err(error) = read {
        inventory.add_fault(error.to_string());
    }
}

/// Opens a copy of the database that the witness names, of the files that are `wanted`, and surveys it.
fn attempt(
    folder: &Folder,
    witness: &Witness,
    keys: &[SlotKey],
    wanted: &dyn Fn(&str) -> bool,
) -> Result<(u64, Option<Database>, Survey), StoreError> {
    let source = folder.records(witness.generation);
    let generation = folder.next_generation(witness.generation)?;
    let opened = match missing_data(&source)? {
        Some(fault) => Err(fault),
        None => {
            let copy = folder.records(generation);
            check_room(folder.path(), folder_size(&source)?)?;
            copy_database(&source, &copy, wanted).inspect_err(|_| discard(folder, generation))?;
            let opened = guarded(|| {
                let database = Database::open(&copy)?;
                let survey = survey(&database.entries, witness, keys);
                Ok((database, survey))
            });
            opened.map_err(|error| error.to_string())
        }
    };
    match opened {
        Ok((database, survey)) => Ok((generation, Some(database), survey)),
        Err(fault) => {
            let promised = Some(witness.promised());
            let inventory = Inventory { promised, faults: vec![fault], ..Inventory::default() };
            Ok((generation, None, Survey { inventory, ..Survey::default() }))
        }
    }
}

/// Reads what can be read.
fn examine(
    folder: &Folder,
    found: &Found,
    visit: &mut dyn FnMut(PublicKey, Dated),
) -> Result<Inventory, StoreError> {
    let keys = Slots::read(&folder.keys())?;
    let what = match found {
        Found::Foreign(format) => {
            return Err(StoreError::Schema { found: format.to_string(), expected: FORMAT.into() });
        }
        Found::Missing if folder.old_records().is_dir() => return migrate::examine(folder, visit),
        Found::Missing if folder.is_new()? => return Ok(Inventory::default()),
        Found::Whole(_, witness) if witness.generation == 0 => return Ok(Inventory::default()),
        Found::Whole(_, witness) => {
            return Ok(match attempts(folder, witness, &keys, visit)? {
                Ok((generation, database, survey)) => {
                    let copy = Copy { folder, generation, database: Some(database) };
                    let mut inventory = survey.inventory;
                    if let Some(database) = &copy.database {
                        read_guarded(database, &keys, &mut inventory, visit);
                    }
                    inventory
                }
                Err(inventory) => inventory,
            });
        }
        Found::Missing => "missing",
        Found::Damaged => "damaged",
    };
    let mut inventory = read_unwitnessed(folder, &keys, visit)?;
    inventory.faults.insert(0, format!("{} is {what}", folder.witness().display()));
    Ok(inventory)
}

/// Visits what sled makes of its files, without a witness: of every database, since one may be a copy that
/// was not completed. Counts the entries of the one that has the most.
fn read_unwitnessed(
    folder: &Folder,
    keys: &[SlotKey],
    visit: &mut dyn FnMut(PublicKey, Dated),
) -> Result<Inventory, StoreError> {
    let mut most = Inventory::default();
    for generation in folder.generations()? {
        let witness = Witness { generation, ..Witness::default() };
        for wanted in [&(|_: &str| true) as &dyn Fn(&str) -> bool, &is_log] {
            let (generation, database, _) = attempt(folder, &witness, keys, wanted)?;
            let copy = Copy { folder, generation, database };
            if let Some(database) = &copy.database {
                let mut inventory = Inventory::default();
                read_guarded(database, keys, &mut inventory, visit);
                if inventory.readable >= most.readable {
                    most = inventory;
                }
                break;
            }
        }
    }
    Ok(most)
}

/// Rewrites a store of format 1.
fn migrate(folder: &Folder, lock: File) -> Result<Parts, StoreError> {
    folder.keep_only(0)?;
    let mut slots = Slots::create(&folder.keys())?;
    let mut known = Known::default();
    let (database, witness) = match migrate::rewrite(folder, &mut slots, &mut known) {
        Ok(rewritten) => rewritten,
        Err(error) => {
            // As it was: without a witness, these would be taken for damage.
            folder.keep_only(0)?;
            fs::remove_file(folder.keys())
                .map_err(|error| super::files::io_error("remove", &folder.keys(), error))?;
            return Err(error);
        }
    };
    sync_tree(&folder.records(witness.generation))?;
    sync_names(folder.path())?;
    let file = WitnessFile::create(&folder.witness(), &witness)?;
    warn!(
        entries = witness.entries,
        "the profiles were rewritten, encrypted; older programs cannot read them"
    );
    clean(folder, &witness)?;
    Ok(Parts { lock, database, slots, file, witness, known })
}

/// Removes what the current generation does not need.
fn clean(folder: &Folder, witness: &Witness) -> Result<(), StoreError> {
    folder.close_old()?;
    folder.keep_only(witness.generation)?;
    sync_names(folder.path())
}

/// Removes a copy. What is left of it is removed the next time that the store opens.
fn discard(folder: &Folder, generation: u64) {
    if let Err(error) = remove_folder(&folder.records(generation)) {
        debug!(%error, "a copy of the database stays");
    }
}

fn refusal(folder: &Folder, mut inventory: Inventory) -> StoreError {
    if inventory.is_whole() {
        inventory.faults.push("they cannot be verified".into());
    }
    StoreError::Lost { folder: folder.path().to_owned(), inventory: Arc::new(inventory) }
}
