use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::super::content::Profile;
use super::super::entry::tests::record;
use super::super::entry::{Change, KeyEntry};
use super::super::message::Refusal;
use super::super::record::Record;
use super::super::store::{ApplyError, Store as _, StoreError};
use super::*;
use crate::api::ProvenKey;
use crate::{KeyPair, PublicKey};

fn ada() -> ProvenKey {
    ProvenKey::new(*record(1, "Ada").key())
}

fn register(version: u64, name: &str) -> Change {
    Change::Register { record: record(version, name), after: None }
}

fn update(version: u64, name: &str) -> Change {
    Change::Update { record: record(version, name), after: None }
}

/// Opens a store that syncs by calling `sync`.
fn open_with(
    folder: &std::path::Path,
    sync: impl FnMut() -> Result<(), StoreError> + Send + 'static,
) -> SledStore {
    let db = sled::Config::default().path(folder).flush_every_ms(None).open().unwrap();
    let lock = std::fs::File::create(folder.join("lock")).unwrap();
    SledStore::start(db.open_tree("entries").unwrap(), lock, sync).unwrap()
}

#[tokio::test]
async fn entries_are_found_after_the_store_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let key = *ada().public_key();
    let store = SledStore::open(folder.path()).unwrap();
    assert_eq!(store.load(&key).await.unwrap(), KeyEntry::Unknown);
    store.apply(&ada(), register(1, "Ada")).await.unwrap();
    store.apply(&ada(), update(2, "Ada L.")).await.unwrap();
    drop(store);

    let store = SledStore::open(folder.path()).unwrap();
    assert_eq!(store.load(&key).await.unwrap(), KeyEntry::Present(record(2, "Ada L.")));
    store.apply(&ada(), Change::Delete { version: 2 }).await.unwrap();
    drop(store);

    let store = SledStore::open(folder.path()).unwrap();
    assert_eq!(store.load(&key).await.unwrap(), KeyEntry::Deleted { version: 2 });
    let replayed = store.apply(&ada(), register(1, "Ada")).await;
    assert!(matches!(replayed, Err(ApplyError::Refused(Refusal::VersionConflict { version: 2 }))));
}

#[tokio::test]
async fn a_second_opener_gets_an_error_that_names_the_lock() {
    let folder = tempfile::tempdir().unwrap();
    let _first = SledStore::open(folder.path()).unwrap();
    let second = SledStore::open(folder.path());
    assert!(matches!(&second, Err(StoreError::Locked(path)) if path == folder.path()), "{second:?}");
}

#[tokio::test]
async fn a_copy_of_the_lock_in_a_starting_child_does_not_keep_the_folder_locked() {
    let folder = tempfile::tempdir().unwrap();
    let store = SledStore::open(folder.path()).unwrap();
    // What a child has between fork and exec.
    let _copy = store.lock.try_clone().unwrap();
    drop(store);
    drop(SledStore::open(folder.path()).unwrap());
}

#[tokio::test]
async fn a_folder_with_blobs_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(SledStore::open(folder.path()).unwrap());
    std::fs::write(folder.path().join("records/blobs/1"), b"x").unwrap();
    assert!(matches!(SledStore::open(folder.path()), Err(StoreError::Blobs(_))));
}

#[tokio::test]
async fn another_schema_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(SledStore::open(folder.path()).unwrap());
    let db =
        sled::Config::default().path(folder.path().join("records")).segment_size(2 << 20).open().unwrap();
    db.insert("schema", &2u32.to_le_bytes()).unwrap();
    db.flush().unwrap();
    drop(db);
    let opened = SledStore::open(folder.path());
    assert!(matches!(&opened, Err(StoreError::Schema { found, expected: 1 }) if found == "2"), "{opened:?}");
}

#[tokio::test]
async fn the_largest_profiles_leave_no_blobs() {
    let folder = tempfile::tempdir().unwrap();
    let store = SledStore::open(folder.path()).unwrap();
    let text = format!(r#"{{"name":"a"{}}}"#, " ".repeat(8192 - 12));
    for seed in 0..100u8 {
        let owner = KeyPair::from_seed(&[seed; 32]);
        let proven = ProvenKey::new(*owner.public_key());
        for version in 1..=3 {
            let record = Record::sign(&owner, version, Profile::parse(&text).unwrap());
            let change = match version {
                1 => Change::Register { record, after: None },
                _ => Change::Update { record, after: None },
            };
            store.apply(&proven, change).await.unwrap();
        }
    }
    let blobs = std::fs::read_dir(folder.path().join("records/blobs")).unwrap();
    assert_eq!(blobs.count(), 0);
    assert_eq!(store.count(), 100);
}

#[tokio::test]
async fn concurrent_commits_share_a_sync() {
    let folder = tempfile::tempdir().unwrap();
    let syncs = std::sync::Arc::new(AtomicUsize::new(0));
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let store = open_with(folder.path(), {
        let syncs = syncs.clone();
        move || {
            syncs.fetch_add(1, Ordering::SeqCst);
            gate.recv().map_err(|_| StoreError::Failed)
        }
    });
    let owners: Vec<_> = (0..50u8).map(|n| KeyPair::from_seed(&[n; 32])).collect();
    let writes = owners.iter().map(|owner| {
        let profile = Profile::parse(r#"{"name":"a"}"#).unwrap();
        let change = Change::Register { record: Record::sign(owner, 1, profile), after: None };
        let proven = ProvenKey::new(*owner.public_key());
        let store = &store;
        async move { store.apply(&proven, change).await.map(|_| ()) }
    });
    let mut writes: Vec<_> = writes.map(Box::pin).collect();
    // The first goes to the disk alone; the others queue up behind it.
    for write in &mut writes {
        let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(write.as_mut().poll(cx)));
        assert!(polled.await.is_pending());
    }
    for _ in 0..50 {
        let _ = release.send(());
    }
    for write in writes {
        write.await.unwrap();
    }
    let syncs = syncs.load(Ordering::SeqCst);
    assert!((1..=3).contains(&syncs), "{syncs} syncs for 50 commits");
}

#[tokio::test]
async fn no_reader_sees_a_write_that_is_not_durable() {
    let folder = tempfile::tempdir().unwrap();
    let (entered, in_sync) = std::sync::mpsc::channel::<()>();
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let store = std::sync::Arc::new(open_with(folder.path(), move || {
        let _ = entered.send(());
        gate.recv().map_err(|_| StoreError::Failed)
    }));
    let key = *ada().public_key();
    let write = tokio::spawn({
        let store = store.clone();
        async move { store.apply(&ada(), register(1, "Ada")).await.map(|_| ()) }
    });
    tokio::task::spawn_blocking(move || in_sync.recv_timeout(Duration::from_secs(30)))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(store.load(&key).await.unwrap(), KeyEntry::Unknown);
    release.send(()).unwrap();
    write.await.unwrap().unwrap();
    assert!(store.load(&key).await.unwrap().record().is_some());
}

#[tokio::test]
async fn a_failed_sync_fails_the_write_and_everything_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_with(folder.path(), || Err(StoreError::Engine("disk full".into())));
    let written = store.apply(&ada(), register(1, "Ada")).await;
    assert!(matches!(written, Err(ApplyError::Store(StoreError::Engine(_)))));
    let repeated = store.apply(&ada(), register(1, "Ada")).await;
    assert!(matches!(repeated, Err(ApplyError::Store(StoreError::Failed))));
    let read = store.load(&PublicKey::from_bytes([0; 32])).await;
    assert!(matches!(read, Err(StoreError::Failed)));
}
