//! Measures what a store of many profiles keeps in memory. Run by hand, one case to a process: `cargo test
//! --lib -- --ignored --nocapture --exact profile::sled_store::memory::thirty_thousand_small_profiles`.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use super::super::content::Profile;
use super::super::entry::Change;
use super::super::record::Record;
use super::super::store::Store as _;
use super::SledStore;
use crate::KeyPair;
use crate::api::ProvenKey;

const FOLDER: &str = "HYPERPROFILE_TEST_FILLER";
const BYTES: &str = "HYPERPROFILE_TEST_BYTES";
const PROFILES: u32 = 30_000;

#[test]
#[ignore = "measures, and asserts little"]
fn thirty_thousand_small_profiles() {
    measure(150);
}

#[test]
#[ignore = "measures, and asserts little"]
fn thirty_thousand_large_profiles() {
    measure(7000);
}

/// Fills a store in a process of its own, so that what filling costs does not count, then opens and reads it
/// in this one.
fn measure(bytes: usize) {
    let folder = tempfile::tempdir().unwrap();
    let filled = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .arg("profile::sled_store::memory::filler")
        .env(FOLDER, folder.path())
        .env(BYTES, bytes.to_string())
        .status();
    assert!(filled.unwrap().success());
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.unwrap();
    let before = resident();
    let store = SledStore::open(folder.path()).unwrap();
    let opened = resident();
    assert_eq!(store.count(), PROFILES as usize);
    let counted = resident();
    runtime.block_on(async {
        for number in 0..PROFILES {
            store.load(owner(number).public_key()).await.unwrap();
        }
    });
    let read = resident();
    let disk = std::fs::metadata(folder.path().join("records.2/db")).unwrap();
    println!(
        "{PROFILES} profiles of {bytes} bytes, resident KiB: before {before}, opened {opened}, counted \
         {counted}, \
         all read {read}; {} KiB on disk",
        disk.len() / 1024
    );
}

/// The filling process; passes at once when it is run as a test.
#[test]
#[ignore = "part of a measurement"]
fn filler() {
    let (Some(folder), Ok(bytes)) = (std::env::var_os(FOLDER), std::env::var(BYTES)) else {
        return;
    };
    let before = resident();
    let store = Arc::new(SledStore::open(Path::new(&folder)).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let bytes = bytes.parse().unwrap();
    runtime.unwrap().block_on(fill(&store, bytes));
    println!("filling, resident KiB: before {before}, after {}", resident());
}

async fn fill(store: &Arc<SledStore>, bytes: usize) {
    let text = format!(
        r#"{{"name":"a","fields":{{{}}}}}"#,
        (0..bytes.div_ceil(1000))
            .map(|n| format!(r#""{n}":"{}""#, "v".repeat(bytes.min(990))))
            .collect::<Vec<_>>()
            .join(",")
    );
    let profile = Profile::parse(&text).unwrap();
    for first in (0..PROFILES).step_by(250) {
        let mut writes = tokio::task::JoinSet::new();
        for number in first..first + 250 {
            let owner = owner(number);
            let proven = ProvenKey::new(*owner.public_key());
            let record = Record::sign(&owner, 1, profile.clone());
            let change = Change::Register { record, after: None };
            let store = Arc::clone(store);
            writes.spawn(async move { store.apply(&proven, change).await.map(|_| ()) });
        }
        for outcome in writes.join_all().await {
            outcome.unwrap();
        }
    }
}

fn owner(number: u32) -> KeyPair {
    let mut seed = [0; 32];
    seed[..4].copy_from_slice(&number.to_le_bytes());
    KeyPair::from_seed(&seed)
}

/// Returns the resident memory of this process in KiB, 0 where the system does not report it.
fn resident() -> u64 {
    let status = std::fs::read_to_string(Path::new("/proc/self/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
