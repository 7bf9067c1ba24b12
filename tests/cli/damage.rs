//! Damage to the files of a database: what can be made anew is, and nothing stands in for what is lost.

use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use hyperprofile::profile::backup::Entry;
use hyperprofile::profile::entry::KeyEntry;
use hyperprofile::profile::{Profile, Record, SledStore};
use hyperprofile::{KeyPair, Testnet};
use tempfile::TempDir;

use crate::backup::{command, stop};
use crate::harness::{DEADLINE, text};
use crate::network::serve;

const PROFILES: u8 = 20;

/// The formats of a folder: that before the last one, and the last one.
#[derive(Clone, Copy, Debug)]
enum Format {
    One,
    Two,
}

/// Makes a folder of data with a store that has a snapshot of its database.
async fn folder(format: Format) -> TempDir {
    let data = tempfile::tempdir().unwrap();
    let store = data.path().join("profiles");
    // Twice: the second time a snapshot is made of what the first one wrote.
    for _ in 0..2 {
        match format {
            Format::One => {
                fs::create_dir_all(&store).unwrap();
                let records = sled::Config::default().path(store.join("records")).segment_size(2 << 20);
                let records = again(|| records.open());
                records.insert("schema", &1_u32.to_le_bytes()).unwrap();
                let entries = records.open_tree("entries").unwrap();
                for record in records_of_all() {
                    let (version, text) = (record.version().to_le_bytes(), record.profile().text());
                    let bytes = [&[1], &version[..], record.signature(), text.as_bytes()].concat();
                    entries.insert(record.key().as_bytes(), bytes).unwrap();
                }
                records.flush().unwrap();
            }
            Format::Two => {
                let store = again(|| SledStore::open(&store));
                for record in records_of_all() {
                    store.restore_entry(*record.key(), KeyEntry::Present(record)).await.unwrap();
                }
            }
        }
    }
    data
}

/// Opens a database that was closed a moment ago. Programs that other tests start hold all files of this
/// process between fork and exec, the lock of the database among them, and nothing reports the end of that.
fn again<T, E: Debug>(open: impl Fn() -> Result<T, E>) -> T {
    let until = Instant::now() + DEADLINE;
    loop {
        match open() {
            Ok(opened) => return opened,
            Err(error) => assert!(Instant::now() < until, "{error:?}"),
        }
        thread::sleep(Duration::from_millis(2));
    }
}

fn records_of_all() -> impl Iterator<Item = Record> {
    (0..PROFILES).map(|seed| {
        let profile = Profile::parse(&format!(r#"{{"name":"Person {seed}"}}"#)).unwrap();
        Record::sign(&KeyPair::from_seed(&[seed; 32]), 3, profile)
    })
}

/// Returns the one file of the database whose name begins with a word.
fn file(data: &Path, start: &str) -> PathBuf {
    let store = data.join("profiles");
    let is_database = |path: &PathBuf| path.is_dir() && path.to_string_lossy().contains("records");
    let database = fs::read_dir(store).unwrap().map(|file| file.unwrap().path()).find(is_database);
    let files = fs::read_dir(database.expect("a database")).unwrap().map(|file| file.unwrap().path());
    let mut found = files.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(start));
    let file = found.next().unwrap_or_else(|| panic!("there is no {start}"));
    assert_eq!(found.next(), None);
    file
}

/// Fails unless a backup of the folder, by its server or without one, holds every profile.
async fn assert_all_there(data: &Path) {
    let backup = command(data, &["backup", "-"]).await.ended(0).stdout;
    for record in records_of_all() {
        let line = Entry::of(&record.key().clone(), KeyEntry::Present(record)).unwrap().to_line();
        assert!(backup.contains(std::str::from_utf8(&line).unwrap()), "{backup}");
    }
    assert_eq!(backup.lines().count(), usize::from(PROFILES) + 2);
}

#[tokio::test]
async fn a_damaged_snapshot_of_the_database_is_made_anew_with_a_warning() {
    let network = Testnet::new(5).await.unwrap();
    for format in [Format::One, Format::Two] {
        for damage in ["empty", "cut", "overwritten"] {
            let data = folder(format).await;
            let snapshot = file(data.path(), "snap.");
            let mut bytes = fs::read(&snapshot).unwrap();
            let half = bytes.len() / 2;
            match damage {
                "empty" => bytes.clear(),
                "cut" => bytes.truncate(half),
                _ => bytes[half..].fill(0xff),
            }
            fs::write(&snapshot, bytes).unwrap();

            let mut server = serve(&network, data.path(), &[]);
            server.line().await;
            assert_all_there(data.path()).await;
            server.signal("-TERM").await;
            let first = server.end().await.ended(0);
            let warning = "WARN";
            let named = "the snapshot of the database was damaged and is made anew (";
            let warned = first.stderr.lines().any(|line| line.contains(warning) && line.contains(named));
            assert!(warned, "{format:?}, {damage}: {first:?}");
            assert!(!first.stderr.contains("backtrace"), "{first:?}");

            let mut server = serve(&network, data.path(), &[]);
            server.line().await;
            assert_all_there(data.path()).await;
            server.signal("-TERM").await;
            let second = server.end().await.ended(0);
            assert!(!second.stderr.contains(named), "{format:?}, {damage}: {second:?}");
        }
    }
}

#[tokio::test]
async fn a_database_without_data_is_never_taken_for_a_new_one() {
    let network = Testnet::new(5).await.unwrap();
    let bootstrap = network.bootstrap().remove(0);
    for format in [Format::One, Format::Two] {
        for damage in ["empty", "missing", "empty, without snapshot"] {
            let data = folder(format).await;
            let outside = tempfile::tempdir().unwrap();
            let backup = outside.path().join("backup.jsonl");
            // Opening the store of format 1 would rewrite it.
            let twin = folder(format).await;
            command(twin.path(), &["backup", text(&backup)]).await.ended(0);
            assert!(file(data.path(), "conf").exists());
            let database = file(data.path(), "db");
            match damage {
                "missing" => fs::remove_file(&database).unwrap(),
                _ => fs::write(&database, "").unwrap(),
            }
            if damage == "empty, without snapshot" {
                fs::remove_file(file(data.path(), "snap.")).unwrap();
            }

            let refused = command(data.path(), &["--bootstrap", &bootstrap]).await.ended(10);
            let word = if damage == "missing" { "missing" } else { "empty" };
            let named = format!("{} is {word}", database.display());
            for part in [&named, "`profile-server check --data-dir ", "`profile-server restore FILE "] {
                assert!(refused.stderr.contains(part), "{format:?}, {damage}: {refused:?}");
            }
            let checked = command(data.path(), &["check", text(&backup)]).await.ended(10);
            assert!(checked.stdout.contains(&named), "{checked:?}");
            assert!(checked.stdout.contains("20 keys only in the backup"), "{checked:?}");
            assert_eq!(database.exists(), damage != "missing", "{format:?}");

            let nothing = command(data.path(), &["restore"]).await.ended(10);
            assert!(nothing.stderr.contains("lets the server begin anew"), "{nothing:?}");
            command(data.path(), &["restore", text(&backup)]).await.ended(0);
            let mut server = serve(&network, data.path(), &[]);
            server.line().await;
            assert_all_there(data.path()).await;
            stop(server).await;
        }
    }
}
