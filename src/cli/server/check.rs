//! Compares the profiles with what was acknowledged, and with a backup.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::json;

use super::super::exit::{Exit, Failure};
use super::super::key_access::{ModesArgs, quoted};
use super::super::output::Output;
use super::ask;
use super::backup;
use super::folder::{cannot, refuse_interrupted};
use super::place::Place;
use super::schedule::Files;
use crate::PublicKey;
use crate::api::key_file::utc;
use crate::profile::backup::{Entry, Reader};
use crate::profile::entry::Age;
use crate::profile::{Inventory, SledStore};

/// How new what is held for each key is.
type Held = BTreeMap<PublicKey, Age>;

/// What a backup holds, beside the store.
#[derive(Debug, Default)]
struct Comparison {
    /// When the backup was begun, in seconds of Unix time.
    created: Option<u64>,
    entries: u64,
    faults: Vec<String>,
    refused: u64,
    /// Keys that the store does not hold, or that cannot be read there.
    missing_in_store: u64,
    /// Keys of which the store holds something newer, or that the backup does not hold.
    newer_in_store: u64,
    /// Keys of which the backup holds something newer.
    newer_in_backup: u64,
    /// Keys of both together.
    together: u64,
}

/// Prints what is there. Fails if acknowledged profiles cannot be read, or if the backup is damaged. Blocks.
///
/// The backup is `file`, or else the newest one of this server in `folder`.
pub(super) async fn run(
    place: &Place,
    file: Option<PathBuf>,
    folder: Option<&Path>,
    modes: ModesArgs,
    output: &Output,
) -> Result<(), Failure> {
    let path = match (file, folder) {
        (None, Some(folder)) => newest(&place.data, folder, modes)?,
        (file, _) => file,
    };
    let spinner = output.spinner("reading the profiles");
    let (held, inventory) = match running(place)? {
        Some(held) => {
            let inventory = Inventory { readable: held.len() as u64, ..Inventory::default() };
            drop(spinner);
            say(output, "server", "running; its profiles were verified when it started");
            (held, inventory)
        }
        None => {
            let read = stopped(place).await?;
            drop(spinner);
            read
        }
    };
    show(&inventory, place, output);
    let comparison = match &path {
        Some(path) => {
            let spinner = output.spinner(&format!("comparing with {}", path.display()));
            let comparison = compare(held, path)?;
            drop(spinner);
            show_backup(&comparison, path, &inventory, output);
            Some(comparison)
        }
        None => {
            let none = match folder {
                Some(folder) => format!("none of this server in {}", folder.display()),
                None => "none named: give a FILE, or --backup-dir".into(),
            };
            say(output, "backup", &none);
            None
        }
    };
    output.json(&json!({
        "is_whole": inventory.is_whole(),
        "commit": inventory.promised.map(|promised| promised.commit),
        "keys": inventory.promised.map(|promised| promised.entries),
        "readable": inventory.readable,
        "unreadable": inventory.unreadable,
        "faults": inventory.faults,
        "backup": comparison.as_ref().zip(path.as_ref()).map(|(comparison, path)| json!({
            "file": path.display().to_string(),
            "created": comparison.created,
            "entries": comparison.entries,
            "refused": comparison.refused,
            "faults": comparison.faults,
            "missing_in_store": comparison.missing_in_store,
            "newer_in_store": comparison.newer_in_store,
            "newer_in_backup": comparison.newer_in_backup,
            "together": comparison.together,
        })),
    }));
    if !inventory.is_whole() {
        let file = path.as_ref().map(|path| format!(" {}", quoted(path))).unwrap_or_default();
        return Err(Failure::new(Exit::Storage, "the profiles are damaged")
            .hint(format!("profile-server restore{file}{}", place.options())));
    }
    match comparison.filter(|comparison| comparison.refused > 0) {
        Some(_) => Err(Failure::new(Exit::Storage, "the backup is damaged").hint("write another one")),
        None => Ok(()),
    }
}

/// Returns the newest backup of a server in a folder.
fn newest(data: &Path, folder: &Path, modes: ModesArgs) -> Result<Option<PathBuf>, Failure> {
    // Without an identity the server has never run, and has written no backup.
    let Some(own) = modes.file(&data.join("identity")).load()? else { return Ok(None) };
    Files::new(folder, own.public_key()).newest().map_err(|error| cannot("read", folder, error))
}

/// Returns what a running server holds; `None` if none runs.
fn running(place: &Place) -> Result<Option<Held>, Failure> {
    if !place.is_of_data() {
        return Ok(None);
    }
    let Some(answer) = ask::backup(&place.data)? else { return Ok(None) };
    let mut held = Held::new();
    for step in Reader::new(answer) {
        let entry = step.map_err(|fault| {
            Failure::new(Exit::Storage, format!("the server has broken off its answer: {fault}"))
        })?;
        held.insert(*entry.key(), entry.entry().age());
    }
    Ok(Some(held))
}

/// Returns what the files of a stopped server hold, or a database.
async fn stopped(place: &Place) -> Result<(Held, Inventory), Failure> {
    let mut held = Held::new();
    let Some(folder) = place.folder() else {
        let inventory = verify(place, &mut held).await?;
        return Ok((held, inventory));
    };
    if !folder.exists() {
        refuse_interrupted(folder, &place.options())?;
        return Err(place.is_empty());
    }
    let inventory = SledStore::check(folder, |key, found| {
        let age = held.entry(key).or_default();
        *age = found.entry.age().max(*age);
    })?;
    Ok((held, inventory))
}

/// Reads all entries of a database and verifies their signatures.
async fn verify(place: &Place, held: &mut Held) -> Result<Inventory, Failure> {
    let mut inventory = Inventory::default();
    let store = Arc::new(place.open_stopped().await?);
    let mut snapshot = store.snapshot().await?;
    loop {
        let chunk = snapshot.next_chunk().await?;
        if chunk.is_empty() {
            break;
        }
        for entry in chunk.into_iter().filter_map(|(key, found)| Entry::of(&key, found)) {
            inventory.readable += 1;
            match Entry::parse(entry.to_line().trim_ascii_end()) {
                Ok(_) => held.insert(*entry.key(), entry.entry().age()),
                Err(error) if inventory.faults.len() < MAX_NAMED => {
                    inventory.faults.push(format!("the entry of {}: {error}", entry.key()));
                    None
                }
                Err(_) => None,
            };
        }
    }
    drop(snapshot);
    store.close().await;
    Ok(inventory)
}

fn compare(mut held: Held, path: &Path) -> Result<Comparison, Failure> {
    let mut reader = backup::open(path).map_err(|error| cannot("read", path, error))?;
    let mut comparison = Comparison { together: held.len() as u64, ..Comparison::default() };
    for step in reader.by_ref() {
        let entry = match step {
            Ok(entry) => entry,
            Err(fault) => {
                comparison.refused += 1;
                if comparison.faults.len() < MAX_NAMED {
                    comparison.faults.push(fault.to_string());
                }
                continue;
            }
        };
        comparison.entries += 1;
        match held.remove(entry.key()) {
            None => {
                comparison.missing_in_store += 1;
                comparison.together += 1;
            }
            Some(stored) if entry.entry().age() > stored => comparison.newer_in_backup += 1,
            Some(stored) if entry.entry().age() < stored => comparison.newer_in_store += 1,
            Some(_) => {}
        }
    }
    // What the backup does not hold at all.
    comparison.newer_in_store += held.len() as u64;
    comparison.created = reader.header().map(|header| header.created);
    Ok(comparison)
}

fn show(inventory: &Inventory, place: &Place, output: &Output) {
    say(output, if place.folder().is_some() { "folder" } else { "database" }, &place.to_string());
    if let Some(promised) = &inventory.promised {
        let text = format!("{} keys, at commit {}", promised.entries, promised.commit);
        say(output, "witness", &text);
    }
    say(output, "readable", &format!("{} keys", inventory.readable));
    if inventory.unreadable > 0 {
        let named = inventory.named.join(", ");
        say(output, "damaged", &format!("{} keys: {named}", inventory.unreadable));
    }
    for fault in &inventory.faults {
        say(output, "fault", fault);
    }
    for mended in &inventory.mended {
        say(output, "mended", mended);
    }
    if inventory.is_whole() {
        say(
            output,
            "result",
            match place.folder().is_some() {
                true => "every acknowledged version can be read",
                false => "every profile can be read, and has the signature of its owner",
            },
        );
    }
}

fn show_backup(comparison: &Comparison, path: &Path, inventory: &Inventory, output: &Output) {
    let created =
        comparison.created.map(|seconds| utc(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)));
    let created = created.map(|time| format!(", of {time}")).unwrap_or_default();
    say(output, "backup", &format!("{}{created}: {} keys", path.display(), comparison.entries));
    for fault in &comparison.faults {
        say(output, "fault", &format!("backup, {fault}"));
    }
    let Comparison { missing_in_store, newer_in_store, newer_in_backup, together, .. } = comparison;
    say(
        output,
        "compared",
        &format!(
            "{missing_in_store} keys only in the backup, {newer_in_backup} newer there, {newer_in_store} \
             only or newer in the store"
        ),
    );
    if let Some(promised) = inventory.promised.filter(|_| !inventory.is_whole()) {
        let text = match *together >= promised.entries {
            true => format!(
                "all {} keys are there; those damaged come back as they were at the time of the backup",
                promised.entries
            ),
            false => format!("{together} of {} keys are there", promised.entries),
        };
        say(output, "together", &text);
    }
}

fn say(output: &Output, label: &str, text: &str) {
    output.line(&format!("{label:<9} {text}"));
}

/// Damaged lines that are named.
const MAX_NAMED: usize = 20;
