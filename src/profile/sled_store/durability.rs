//! Kills a writing process repeatedly: every acknowledged write is found afterwards.
//!
//! The writer is this test program, started anew for one of its tests. It reports each acknowledged write on
//! standard output.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::super::content::Profile;
use super::super::entry::{Change, KeyEntry};
use super::super::record::Record;
use super::super::store::Store as _;
use super::SledStore;
use crate::KeyPair;
use crate::api::ProvenKey;

const FOLDER: &str = "HYPERPROFILE_TEST_WRITER";
const KILLS: usize = 50;
const WRITERS: u8 = 6;

#[tokio::test]
async fn fifty_kills_lose_no_acknowledged_write() {
    let folder = tempfile::tempdir().unwrap();
    let mut chance = StdRng::seed_from_u64(7);
    let mut acknowledged = BTreeMap::new();
    let mut total = 0;
    for kill in 0..KILLS {
        total += write_and_kill(folder.path(), chance.gen_range(1..60), &mut acknowledged);
        let store = SledStore::open(folder.path()).unwrap();
        for (seed, progress) in &acknowledged {
            let key = *KeyPair::from_seed(&[*seed; 32]).public_key();
            let entry = store.load(&key).await.unwrap();
            assert!(
                progress_of(&entry) >= *progress,
                "kill {kill}, writer {seed}: {entry:?} is older than {progress}"
            );
            if let Some(record) = entry.record() {
                let text = record.profile().text();
                let version = record.version();
                Record::verify(key, version, text, *record.signature()).unwrap();
            }
        }
    }
    assert!(total >= KILLS, "only {total} writes were acknowledged");
}

/// Runs a writer until it has reported `count` writes, kills it, and reads what it reported meanwhile.
/// Returns the number of reports.
fn write_and_kill(folder: &Path, reports: usize, acknowledged: &mut BTreeMap<u8, u64>) -> usize {
    let mut writer = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "--test-threads=1"])
        .arg("profile::sled_store::durability::writer")
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(writer.stdout.take().unwrap());
    let mut count = 0;
    for line in output.lines() {
        // A line that the kill cut off reports nothing.
        let line = line.unwrap();
        let mut words = line.split(' ');
        let (Some("stored"), Some(seed), Some(progress), Some("on_disk")) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            continue;
        };
        let progress: u64 = progress.parse().unwrap();
        acknowledged.insert(seed.parse().unwrap(), progress);
        count += 1;
        if count == reports {
            // SIGKILL; the loop goes on with what is still in the pipe.
            writer.kill().unwrap();
        }
    }
    let status = writer.wait().unwrap();
    assert!(!status.success(), "the writer ended by itself");
    count
}

/// Orders the states that a writer passes through: each version is stored, and some are then deleted.
fn progress_of(entry: &KeyEntry) -> u64 {
    match entry {
        KeyEntry::Unknown => 0,
        KeyEntry::Present(record) => record.version() * 2,
        KeyEntry::Deleted { version } => version * 2 + 1,
        KeyEntry::Moved { .. } => unreachable!("no writer replaces its key"),
    }
}

/// The writing process; passes at once when it is run as a test.
#[test]
fn writer() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let store = SledStore::open(Path::new(&folder)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(async {
        let writers = (0..WRITERS).map(|seed| write_for_ever(&store, seed));
        let mut writers: Vec<_> = writers.map(Box::pin).collect();
        // All in one task, so that their commits meet and share syncs.
        std::future::poll_fn(|cx| {
            for writer in &mut writers {
                let _ = writer.as_mut().poll(cx);
            }
            std::task::Poll::<()>::Pending
        })
        .await;
    });
}

async fn write_for_ever(store: &SledStore, seed: u8) {
    let owner = KeyPair::from_seed(&[seed; 32]);
    let proven = ProvenKey::new(*owner.public_key());
    let mut entry = store.load(owner.public_key()).await.unwrap();
    loop {
        let next = entry.version() + 1;
        let text = format!(r#"{{"name":"writer {seed}","bio":"{}"}}"#, "b".repeat(500));
        let record = Record::sign(&owner, next, Profile::parse(&text).unwrap());
        let change = match &entry {
            KeyEntry::Present(record) if record.version() % 7 == 0 => {
                Change::Delete { version: record.version() }
            }
            KeyEntry::Present(_) => Change::Update { record, after: None },
            _ => Change::Register { record, after: None },
        };
        entry = store.apply(&proven, change).await.unwrap();
        let report = format!("stored {seed} {} on_disk\n", progress_of(&entry));
        // One system call for the line, so that it is reported whole or not at all.
        std::io::stdout().write_all(report.as_bytes()).unwrap();
        std::io::stdout().flush().unwrap();
    }
}
