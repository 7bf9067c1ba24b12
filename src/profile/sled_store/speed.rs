//! Measures how fast a store opens and writes. Run by hand, in a release build: `cargo test --release --lib
//! --
//! --ignored --nocapture profile::sled_store::speed`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::super::content::Profile;
use super::super::entry::KeyEntry;
use super::super::record::Record;
use super::SledStore;
use crate::KeyPair;

const PROFILES: u64 = 100_000;
const WRITERS: u64 = 64;
const WRITES: u64 = 500;

fn entry(owner: u64, version: u64) -> (crate::PublicKey, KeyEntry) {
    let mut seed = [3; 32];
    seed[..8].copy_from_slice(&owner.to_le_bytes());
    let owner = KeyPair::from_seed(&seed);
    let text = format!(r#"{{"name":"a","bio":"{}"}}"#, "b".repeat(400));
    let record = Record::sign(&owner, version, Profile::parse(&text).unwrap());
    (*owner.public_key(), KeyEntry::Present(record))
}

#[tokio::test]
#[ignore = "measures a release build"]
async fn a_hundred_thousand_profiles_open_in_two_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SledStore::open(folder.path()).unwrap());
    for first in (0..PROFILES).step_by(200) {
        let mut writes = JoinSet::new();
        for owner in first..first + 200 {
            let store = Arc::clone(&store);
            let (key, entry) = entry(owner, 1);
            writes.spawn(async move { store.restore_entry(key, entry).await.unwrap() });
        }
        writes.join_all().await;
    }
    drop(store);
    for _ in 0..3 {
        let began = Instant::now();
        let store = SledStore::open(folder.path()).unwrap();
        let took = began.elapsed();
        println!("{PROFILES} profiles: open after {took:?}");
        drop(store);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures a release build"]
async fn sixty_four_writers() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SledStore::open(folder.path()).unwrap());
    let entries: Vec<Vec<_>> =
        (0..WRITERS).map(|owner| (1..=WRITES).map(|version| entry(owner, version)).collect()).collect();
    let began = Instant::now();
    let mut writers = JoinSet::new();
    for entries in entries {
        let store = Arc::clone(&store);
        writers.spawn(async move {
            let mut took = Vec::new();
            for (key, entry) in entries {
                let began = Instant::now();
                store.restore_entry(key, entry).await.unwrap();
                took.push(began.elapsed());
            }
            took
        });
    }
    let mut took: Vec<Duration> = writers.join_all().await.into_iter().flatten().collect();
    let all = began.elapsed();
    took.sort_unstable();
    println!(
        "{:.0} durable writes a second with {WRITERS} writers; median {:?}, p99 {:?}",
        took.len() as f64 / all.as_secs_f64(),
        took[took.len() / 2],
        took[took.len() * 99 / 100]
    );
}
