//! Damaged files: every acknowledged version is served, or the store does not open and nothing is changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use hyperprofile::profile::{SledStore, Store as _, StoreError};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::writer::{Acknowledged, Writer};
use crate::amount;

/// A folder and what was acknowledged for it.
struct Base {
    folder: tempfile::TempDir,
    acknowledged: Acknowledged,
    /// The files as they were some changes ago.
    older: BTreeMap<PathBuf, Vec<u8>>,
}

impl Base {
    /// Has a store written to by a process that is then killed, or closes it.
    fn new(changes: u64, kill: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut acknowledged = Acknowledged::new();
        // Twice, so that there is a snapshot of the database, and a log after it.
        let mut writer = Writer::start(folder.path(), 0, &[]);
        writer.write(changes / 2, &mut acknowledged);
        writer.end(kill);
        let mut writer = Writer::start(folder.path(), changes / 2, &[]);
        writer.write(changes / 4, &mut acknowledged);
        let older = files(folder.path());
        writer.write(changes / 4, &mut acknowledged);
        writer.end(kill);
        Self { folder, acknowledged, older }
    }
}

#[test]
fn no_damage_loses_an_acknowledged_version_silently() {
    let (changes, damages) = amount((400, 60), (4000, 1000));
    let mut chance = StdRng::seed_from_u64(11);
    let mut outcomes = BTreeMap::<_, u32>::new();
    for kill in [true, false] {
        let base = Base::new(changes, kill);
        for number in 0..damages / 2 {
            let folder = tempfile::tempdir().unwrap();
            let mut damaged = files(base.folder.path());
            let what = damage(&mut damaged, &base.older, number, &mut chance);
            lay_out(folder.path(), &damaged);
            let served = opens(folder.path(), &base.acknowledged).unwrap_or_else(|wrong| {
                panic!("{}, {what}: {wrong}", if kill { "killed" } else { "closed" })
            });
            if !served {
                assert!(files(folder.path()) == damaged, "{what}: refused, but the folder was changed");
            }
            let kind = what.split(' ').next().unwrap().to_owned();
            *outcomes.entry((kind, served)).or_default() += 1;
        }
    }
    println!("damages by kind, and whether everything was served: {outcomes:?}");
    assert!(outcomes.keys().any(|(_, served)| *served) && outcomes.keys().any(|(_, served)| !*served));
}

#[test]
fn a_lost_or_damaged_snapshot_of_the_database_is_made_anew() {
    let base = Base::new(400, true);
    let whole = files(base.folder.path());
    let is_snapshot = |path: &&PathBuf| path.to_string_lossy().contains("/snap.");
    let snapshot = whole.keys().find(is_snapshot).expect("a snapshot").clone();
    for content in [None, Some(vec![]), Some(vec![7; 100])] {
        let folder = tempfile::tempdir().unwrap();
        let mut damaged = whole.clone();
        match content {
            Some(content) => damaged.insert(snapshot.clone(), content),
            None => damaged.remove(&snapshot),
        };
        lay_out(folder.path(), &damaged);
        assert_eq!(opens(folder.path(), &base.acknowledged), Ok(true));
    }
}

#[test]
fn what_is_missing_is_named() {
    let base = Base::new(400, true);
    for (file, named) in
        [("keys", "cannot"), ("witness", "is missing"), ("records", ""), ("db", "is missing")]
    {
        let folder = tempfile::tempdir().unwrap();
        let mut damaged = files(base.folder.path());
        damaged.retain(|path, _| path.file_name().is_none_or(|name| name != file));
        lay_out(folder.path(), &damaged);
        match SledStore::open(folder.path()) {
            // The notice for older programs is written again.
            Ok(_) => assert_eq!(file, "records"),
            Err(StoreError::Lost { inventory, .. }) => {
                let message = inventory.to_string();
                assert!(message.contains(named), "{file}: {message}");
                let checked = SledStore::check(folder.path(), |_, _| {}).unwrap();
                assert!(!checked.is_whole());
                assert_eq!(checked.to_string(), message);
            }
            Err(error) => panic!("{file}: {error}"),
        }
        assert!(file == "records" || files(folder.path()) == damaged, "{file}");
    }
}

/// Damages one file, or two, in a way that its number decides; returns what was done.
fn damage(
    files: &mut BTreeMap<PathBuf, Vec<u8>>,
    older: &BTreeMap<PathBuf, Vec<u8>>,
    number: u64,
    chance: &mut StdRng,
) -> String {
    let names: Vec<_> = files.keys().cloned().collect();
    let name = match chance.gen_bool(0.5) {
        true => names.iter().find(|name| name.ends_with("db")).unwrap().clone(),
        false => names[chance.gen_range(0..names.len())].clone(),
    };
    let shown = name.display();
    let bytes = files.get_mut(&name).unwrap();
    let place = if bytes.is_empty() { 0 } else { chance.gen_range(0..bytes.len()) };
    match number % 6 {
        0 if !bytes.is_empty() => {
            bytes[place] ^= 1 << chance.gen_range(0..8);
            format!("flip at {place} of {shown}")
        }
        1 => {
            let size = chance.gen_range(1..17);
            let length = chance.gen_range(1..1 << size).min(bytes.len() - place);
            bytes[place..place + length].fill(0);
            format!("zeros at {place}, {length}, of {shown}")
        }
        2 => {
            bytes.truncate(place);
            format!("truncated to {place} {shown}")
        }
        3 => {
            let other = names[chance.gen_range(0..names.len())].clone();
            let content = bytes.clone();
            let swapped = std::mem::replace(files.get_mut(&other).unwrap(), content);
            files.insert(name.clone(), swapped);
            format!("swapped {shown} and {}", other.display())
        }
        4 => {
            // A file that was not there goes away.
            match older.get(&name) {
                Some(old) => files.insert(name.clone(), old.clone()),
                None => files.remove(&name),
            };
            format!("stale {shown}")
        }
        _ => {
            files.remove(&name);
            format!("removed {shown}")
        }
    }
}

/// Opens a store within a minute. Returns whether it serves everything; `Err` is a fault.
fn opens(folder: &Path, acknowledged: &Acknowledged) -> Result<bool, String> {
    let (done, outcome) = mpsc::channel();
    let (path, expected) = (folder.to_owned(), acknowledged.clone());
    let opening = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let opened = match SledStore::open(&path) {
            Err(_) => Ok(false),
            Ok(store) => runtime.block_on(async {
                if store.count() != expected.len() {
                    return Err(format!("{} entries of {}", store.count(), expected.len()));
                }
                for (key, entry) in &expected {
                    let found = store.load(key).await;
                    if !found.as_ref().is_ok_and(|found| found == entry) {
                        return Err(format!("{found:?} in place of {entry:?}"));
                    }
                }
                Ok(true)
            }),
        };
        // The test may have given up.
        let _ = done.send(opened);
    });
    let outcome = outcome.recv_timeout(Duration::from_secs(60));
    let outcome = outcome.map_err(|error| format!("opening panicked or hung: {error}"))?;
    opening.join().map_err(|_| "closing panicked".to_owned())?;
    outcome
}

/// Reads all files in a folder, by their paths in it.
pub(super) fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => {
                    let name = path.strip_prefix(folder).unwrap().to_owned();
                    found.insert(name, fs::read(path).unwrap());
                }
            }
        }
    }
    found
}

pub(super) fn lay_out(folder: &Path, files: &BTreeMap<PathBuf, Vec<u8>>) {
    for (name, bytes) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}
