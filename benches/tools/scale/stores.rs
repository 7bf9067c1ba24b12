//! A store of many profiles: filling it, opening it, reading it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use hyperprofile::profile::entry::KeyEntry;
use hyperprofile::profile::{SledStore, Store};
use tokio::task::JoinSet;

use crate::options::Options;
use crate::profiles::{owner, record};
use crate::support::{Result, resident};

/// Writers at once: as many as the writing thread takes into one group of changes.
const WRITERS: usize = 256;
/// Readers at once.
const READERS: usize = 16;

pub(crate) async fn fill(options: &Options) -> Result<()> {
    let began = Instant::now();
    let store = Arc::new(SledStore::open(Path::new(&options.store))?);
    let (next, bytes, profiles) = (Arc::new(AtomicUsize::new(0)), options.bytes, options.profiles);
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let (store, next) = (Arc::clone(&store), Arc::clone(&next));
        writers.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= profiles {
                    return Ok(());
                }
                let record = record(number, 1, bytes);
                store.restore_entry(*record.key(), KeyEntry::Present(record)).await?;
            }
        });
    }
    while let Some(written) = writers.join_next().await {
        written?.map_err(|error: hyperprofile::profile::StoreError| error)?;
    }
    println!("filled with {profiles} profiles of {bytes} bytes in {:.1} s", began.elapsed().as_secs_f64());
    Ok(())
}

pub(crate) async fn open(options: &Options) -> Result<()> {
    let before = resident();
    let began = Instant::now();
    let store = Arc::new(SledStore::open(Path::new(&options.store))?);
    let (opening, opened) = (began.elapsed(), resident());
    assert_eq!(store.stats().profiles, options.profiles, "the store was filled with another number");
    let began = Instant::now();
    let mut readers = JoinSet::new();
    let (next, profiles) = (Arc::new(AtomicUsize::new(0)), options.profiles);
    for _ in 0..READERS {
        let (store, next) = (Arc::clone(&store), Arc::clone(&next));
        readers.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= profiles {
                    return;
                }
                let entry = store.load(owner(number).public_key()).await.unwrap();
                assert!(entry.record().is_some(), "profile {number} is missing");
            }
        });
    }
    readers.join_all().await;
    let (reading, read) = (began.elapsed(), resident());
    println!(
        "{profiles} profiles: opened in {:.1} s; resident MB: before {:.0}, opened {:.0}, all read {:.0}, at \
         most {:.0}; {:.0} reads/s; {:.0} MB on disk",
        opening.as_secs_f64(),
        megabytes(before),
        megabytes(opened),
        megabytes(read),
        megabytes(peak()),
        profiles as f64 / reading.as_secs_f64(),
        megabytes(on_disk(Path::new(&options.store))?),
    );
    Ok(())
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Returns the most memory that this process has had, as Linux reports it.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Returns the bytes of all files in a folder.
fn on_disk(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() { on_disk(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(bytes)
}
