//! Folders of format 1: a database in `records`, in the clear, without witness and keys.
//!
//! | entry | bytes |
//! |---|---|
//! | present | `01`, version u64 little-endian, signature (64), profile text |
//! | deleted | `02`, version u64 little-endian |

use std::sync::Arc;

use tracing::warn;

use super::super::entry::{Dated, KeyEntry};
use super::super::inventory::Inventory;
use super::super::record::{Record, is_version};
use super::super::store::StoreError;
use super::codec::{self, Head, Sum};
use super::committer::Disk as _;
use super::database::{Database, check_room, guarded, is_log, missing_data};
use super::files::{copy_database, folder_size, remove_folder};
use super::folder::Folder;
use super::known::Known;
use super::shared::engine;
use super::slots::Slots;
use super::survey::read_all;
use super::witness::Witness;
use crate::PublicKey;

/// Rewrites all entries into a new database, and syncs it. Fails with [`StoreError::Lost`] if one can't be
/// read. The old database is not changed.
pub(super) fn rewrite(
    folder: &Folder,
    slots: &mut Slots,
    known: &mut Known,
) -> Result<(Database, Witness), StoreError> {
    check_room(folder.path(), folder_size(&folder.old_records())? * 3)?;
    let mut witness = Witness { generation: 2, commit: 1, ..Witness::default() };
    let mut database = Database::open(&folder.records(witness.generation))?;
    let mut failed = Ok(());
    let inventory = examine(folder, &mut |key, held| {
        if failed.is_ok() {
            known.add(&key);
            failed = add(&database, slots, &mut witness, &key, &held.entry);
        }
    })?;
    failed?;
    if !inventory.is_whole() {
        let inventory = Arc::new(inventory);
        return Err(StoreError::Lost { folder: folder.path().to_owned(), inventory });
    }
    for mended in &inventory.mended {
        warn!("{mended}");
    }
    database.sync()?;
    Ok((database, witness))
}

fn add(
    database: &Database,
    slots: &mut Slots,
    witness: &mut Witness,
    key: &PublicKey,
    entry: &KeyEntry,
) -> Result<(), StoreError> {
    let head = Head { commit: witness.commit, ..Head::default() };
    let (bytes, sum) = match entry {
        KeyEntry::Present(record) => {
            slots.replenish()?;
            let slot = slots.take();
            let found = slot.and_then(|slot| Some((slot, slots.get(slot)?)));
            let (slot, slot_key) = found.expect("free slots were made");
            let bytes = codec::seal(record, head, slot, slot_key);
            let sum = Sum::of(key, &bytes, Some(slot_key));
            (bytes, sum)
        }
        KeyEntry::Deleted { version } => {
            let bytes = codec::delete(*version, head);
            let sum = Sum::of(key, &bytes, None);
            (bytes, sum)
        }
        // Format 1 has neither.
        KeyEntry::Unknown | KeyEntry::Moved { .. } => return Ok(()),
    };
    database.entries.insert(key.as_bytes(), bytes).map_err(engine)?;
    witness.entries += 1;
    witness.sum = witness.sum + sum;
    Ok(())
}

/// Visits every entry of a copy, which is removed again.
///
/// No witness says what should be there. The entries of the log alone are used if there are at least as many
/// as those of all files.
pub(super) fn examine(
    folder: &Folder,
    visit: &mut dyn FnMut(PublicKey, Dated),
) -> Result<Inventory, StoreError> {
    // Entries are visited only after it is known which files to read.
    let inventory = read(folder, &|_| true, &mut |_, _| {})?;
    if inventory.is_whole() {
        return read(folder, &|_| true, visit);
    }
    let rebuilt = read(folder, &is_log, &mut |_, _| {})?;
    if rebuilt.is_whole() && rebuilt.readable >= inventory.readable + inventory.unreadable {
        let mut rebuilt = read(folder, &is_log, visit)?;
        rebuilt.mend_snapshot(&inventory.faults);
        return Ok(rebuilt);
    }
    match rebuilt.readable > inventory.readable {
        true => {
            let rebuilt = read(folder, &is_log, visit)?;
            Ok(Inventory { faults: [inventory.faults, rebuilt.faults].concat(), ..rebuilt })
        }
        false => read(folder, &|_| true, visit),
    }
}

/// Reads a copy of those files of the database that are `wanted`.
fn read(
    folder: &Folder,
    wanted: &dyn Fn(&str) -> bool,
    visit: &mut dyn FnMut(PublicKey, Dated),
) -> Result<Inventory, StoreError> {
    let mut inventory = Inventory::default();
    if let Some(fault) = missing_data(&folder.old_records())? {
        inventory.add_fault(fault);
        return Ok(inventory);
    }
    let copy = folder.records(folder.next_generation(0)?);
    let read = copy_database(&folder.old_records(), &copy, wanted).and_then(|()| {
        guarded(|| {
            let database = Database::open(&copy)?;
            if check_schema(&database, &mut inventory)? {
                read_all(&database.entries, &mut inventory, decode, visit);
            }
            Ok(())
        })
    });
    remove_folder(&copy)?;
    match read {
        Err(StoreError::Engine(fault)) => inventory.add_fault(StoreError::Engine(fault).to_string()),
        read => read?,
    }
    if inventory.unreadable > 0 {
        inventory.add_fault("some of them cannot be read");
    }
    Ok(inventory)
}

/// Returns whether the database names its format. Fails if it is another one.
fn check_schema(database: &Database, inventory: &mut Inventory) -> Result<bool, StoreError> {
    match database.note("schema")?.as_deref().map(<[u8; 4]>::try_from) {
        Some(Ok(found)) if found == SCHEMA.to_le_bytes() => return Ok(true),
        Some(Ok(found)) => {
            let found = u32::from_le_bytes(found).to_string();
            return Err(StoreError::Schema { found, expected: SCHEMA });
        }
        Some(Err(_)) => inventory.add_fault("what names the format of the database is damaged"),
        None => inventory.add_fault("nothing names the format of the database"),
    }
    Ok(false)
}

/// Reads an entry and verifies its signature.
fn decode(key: &PublicKey, bytes: &[u8]) -> Option<Dated> {
    // What cannot be read is counted as such, whatever the reason.
    let (tag, rest) = bytes.split_first()?;
    let (version, rest) = rest.split_first_chunk()?;
    let version = Some(u64::from_le_bytes(*version)).filter(|version| is_version(*version))?;
    let entry = match *tag {
        1 => {
            let (signature, text) = rest.split_first_chunk()?;
            let text = std::str::from_utf8(text).ok()?;
            KeyEntry::Present(Record::verify(*key, version, text, *signature).ok()?)
        }
        2 if rest.is_empty() => KeyEntry::Deleted { version },
        _ => return None,
    };
    Some(entry.into())
}

const SCHEMA: u32 = 1;

#[cfg(test)]
mod tests {
    use super::super::super::entry::tests::record;
    use super::super::super::store::Store as _;
    use super::super::SledStore;
    use super::*;
    use std::path::Path;

    /// Makes a folder as the version before did.
    fn old_folder(folder: &Path, schema: u32, entries: &[(PublicKey, Vec<u8>)]) {
        let config = sled::Config::default().path(folder.join("records")).segment_size(2 << 20);
        let db = config.open().unwrap();
        db.insert("schema", &schema.to_le_bytes()).unwrap();
        let tree = db.open_tree("entries").unwrap();
        for (key, bytes) in entries {
            tree.insert(key.as_bytes(), bytes.as_slice()).unwrap();
        }
        db.flush().unwrap();
    }

    fn present(version: u64, name: &str) -> Vec<u8> {
        let record = record(version, name);
        let text = record.profile().text().as_bytes();
        [&[1], &version.to_le_bytes()[..], record.signature(), text].concat()
    }

    fn deleted(version: u64) -> Vec<u8> {
        [&[2], &version.to_le_bytes()[..]].concat()
    }

    #[tokio::test]
    async fn a_folder_of_format_1_is_rewritten_once() {
        let folder = tempfile::tempdir().unwrap();
        let (ada, gone) = (*record(1, "Ada").key(), PublicKey::from_bytes([4; 32]));
        old_folder(folder.path(), 1, &[(ada, present(5, "Ada")), (gone, deleted(3))]);
        assert_eq!(SledStore::check(folder.path(), |_, _| {}).unwrap().readable, 2);
        for _ in 0..2 {
            let store = SledStore::open(folder.path()).unwrap();
            assert_eq!(store.load(&ada).await.unwrap(), KeyEntry::Present(record(5, "Ada")));
            assert_eq!(store.load(&gone).await.unwrap(), KeyEntry::Deleted { version: 3 });
            assert_eq!(store.count(), 2);
        }
        // A program of the version before cannot make a new database here.
        assert!(folder.path().join("records").is_file());
        assert!(SledStore::check(folder.path(), |_, _| {}).unwrap().is_whole());
    }

    #[tokio::test]
    async fn a_folder_of_format_1_with_a_damaged_entry_stays_as_it_is() {
        let mut forged = present(5, "Ada");
        forged[20] ^= 1;
        for damaged in [forged, deleted(0), vec![3; 40]] {
            let folder = tempfile::tempdir().unwrap();
            old_folder(folder.path(), 1, &[(*record(1, "Ada").key(), damaged)]);
            for _ in 0..2 {
                let opened = SledStore::open(folder.path());
                assert!(
                    matches!(&opened, Err(StoreError::Lost { inventory, .. })
                    if inventory.unreadable == 1 && inventory.promised.is_none()),
                    "{opened:?}"
                );
            }
            let names = std::fs::read_dir(folder.path()).unwrap();
            let mut names: Vec<_> = names.map(|name| name.unwrap().file_name()).collect();
            names.sort();
            assert_eq!(names, ["lock", "records"]);
        }
    }

    #[test]
    fn another_format_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        old_folder(folder.path(), 7, &[]);
        let opened = SledStore::open(folder.path());
        assert!(
            matches!(&opened, Err(StoreError::Schema { found, expected: 1 }) if found == "7"),
            "{opened:?}"
        );
    }
}
