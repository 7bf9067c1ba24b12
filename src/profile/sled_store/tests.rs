use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::super::content::Profile;
use super::super::entry::tests::record;
use super::super::entry::{Change, KeyEntry};
use super::super::message::Refusal;
use super::super::record::Record;
use super::super::store::{ApplyError, Store as _, StoreError};
use super::committer::Disk;
use super::folder::Folder;
use super::slots::Slots;
use super::witness::{Found, Witness, WitnessFile};
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

/// A disk whose sync and free space the test decides.
struct TestDisk<S> {
    sync: S,
    room: Arc<AtomicBool>,
}

impl<S: FnMut() -> Result<(), StoreError> + Send + 'static> Disk for TestDisk<S> {
    fn sync(&mut self) -> Result<(), StoreError> {
        (self.sync)()
    }

    fn check_room(&mut self, _bytes: usize) -> Result<(), StoreError> {
        match self.room.load(Ordering::SeqCst) {
            true => Ok(()),
            false => Err(StoreError::Full { available: 0, needed: 1 }),
        }
    }
}

/// Opens a store that syncs by calling `sync`.
fn open_with(folder: &Path, sync: impl FnMut() -> Result<(), StoreError> + Send + 'static) -> SledStore {
    open_on(folder, TestDisk { sync, room: Arc::new(AtomicBool::new(true)) })
}

fn open_on(folder: &Path, disk: impl Disk) -> SledStore {
    let db = sled::Config::default().path(folder.join("db")).flush_every_ms(None).open().unwrap();
    let entries = db.open_tree("entries").unwrap();
    let lock = std::fs::File::create(folder.join("lock")).unwrap();
    let slots = Slots::create(&folder.join("keys")).unwrap();
    let witness = Witness::default();
    let file = WitnessFile::create(&folder.join("witness"), &witness).unwrap();
    SledStore::start(entries, slots, file, witness, disk, lock).unwrap()
}

/// Returns the folder of the database that the witness names.
fn records(folder: &Path) -> PathBuf {
    let folder = Folder::new(folder);
    let Found::Whole(_, witness) = WitnessFile::read(&folder.witness()).unwrap() else {
        panic!("there is a witness");
    };
    folder.records(witness.generation)
}

#[tokio::test]
async fn who_watches_a_key_is_told_once_its_change_is_durable() {
    let folder = tempfile::tempdir().unwrap();
    let is_synced = Arc::new(AtomicBool::new(false));
    let (release, held) = std::sync::mpsc::channel::<()>();
    let flag = Arc::clone(&is_synced);
    let store = open_with(folder.path(), move || {
        held.recv().unwrap();
        flag.store(true, Ordering::SeqCst);
        Ok(())
    });
    let mut watch = store.changes().watch();
    watch.set([*ada().public_key()]);
    watch.next().await;
    let (change, key) = (register(1, "Ada"), ada());
    let (stored, ()) = tokio::join!(store.apply(&key, change), async {
        tokio::select! {
            biased;
            _ = watch.next() => panic!("told before the sync"),
            () = tokio::task::yield_now() => release.send(()).unwrap(),
        }
        watch.next().await;
        assert!(is_synced.load(Ordering::SeqCst));
        assert_eq!(store.load(ada().public_key()).await.unwrap().version(), 1);
    });
    stored.unwrap();
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
    // What the first one does in the folder is not looked at.
    #[cfg(unix)]
    std::os::unix::fs::symlink("nowhere", folder.path().join("link")).unwrap();
    let refused =
        [SledStore::open(folder.path()).map(drop), SledStore::check(folder.path(), |_, _| {}).map(drop)];
    for refused in refused {
        assert!(matches!(refused, Err(StoreError::Locked(_))), "{refused:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_folder_with_a_pipe_or_a_link_in_it_is_refused_at_once() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let folder = tempfile::tempdir().unwrap();
    drop(SledStore::open(folder.path()).unwrap());
    for name in ["lock", "witness", "keys"] {
        let (path, kept) = (folder.path().join(name), folder.path().join("kept"));
        std::fs::rename(&path, &kept).unwrap();
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert!(matches!(SledStore::open(folder.path()), Err(StoreError::Io { .. })), "{name}");
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&kept, &path).unwrap();
        assert!(matches!(SledStore::check(folder.path(), |_, _| {}), Err(StoreError::Io { .. })), "{name}");
        std::fs::rename(&kept, &path).unwrap();
    }
    SledStore::open(folder.path()).unwrap();
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
async fn a_stray_blob_does_not_come_along() {
    let folder = tempfile::tempdir().unwrap();
    drop(SledStore::open(folder.path()).unwrap());
    std::fs::write(records(folder.path()).join("blobs/1"), b"x").unwrap();
    // Blobs are not copied, so nothing reads them: the entries are all there without.
    drop(SledStore::open(folder.path()).unwrap());
    assert_eq!(std::fs::read_dir(records(folder.path()).join("blobs")).unwrap().count(), 0);
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
    let blobs = std::fs::read_dir(records(folder.path()).join("blobs")).unwrap();
    assert_eq!(blobs.count(), 0);
    assert_eq!(store.count(), 100);
}

#[tokio::test]
async fn concurrent_commits_share_a_sync() {
    let folder = tempfile::tempdir().unwrap();
    let syncs = Arc::new(AtomicUsize::new(0));
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
    let store = Arc::new(open_with(folder.path(), move || {
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
    let store = open_with(folder.path(), || Err(StoreError::Engine("disk broken".into())));
    let written = store.apply(&ada(), register(1, "Ada")).await;
    assert!(matches!(written, Err(ApplyError::Store(StoreError::Engine(_)))));
    assert!(matches!(store.failed().await, StoreError::Engine(cause) if cause == "disk broken"));
    let repeated = store.apply(&ada(), register(1, "Ada")).await;
    assert!(matches!(repeated, Err(ApplyError::Store(StoreError::Failed))));
    let read = store.load(&PublicKey::from_bytes([0; 32])).await;
    assert!(matches!(read, Err(StoreError::Failed)));
    assert!(matches!(store.snapshot().await, Err(StoreError::Failed)));
}

#[tokio::test]
async fn a_store_whose_writer_panics_has_failed() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_with(folder.path(), || panic!("a fault of the program"));
    let written = store.apply(&ada(), register(1, "Ada")).await;
    assert!(matches!(written, Err(ApplyError::Store(StoreError::Failed))), "{written:?}");
    let failed = tokio::time::timeout(Duration::from_secs(30), store.failed()).await.expect("noticed");
    assert!(matches!(failed, StoreError::Engine(cause) if cause.contains("panicked")));
    assert!(matches!(store.load(ada().public_key()).await, Err(StoreError::Failed)));
}

#[tokio::test]
async fn a_full_disk_refuses_writes_until_there_is_room_and_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let room = Arc::new(AtomicBool::new(true));
    let store = open_on(folder.path(), TestDisk { sync: || Ok(()), room: Arc::clone(&room) });
    store.apply(&ada(), register(1, "Ada")).await.unwrap();
    room.store(false, Ordering::SeqCst);
    let refused = store.apply(&ada(), update(2, "Ada L.")).await;
    assert!(matches!(refused, Err(ApplyError::Store(StoreError::Full { .. }))), "{refused:?}");
    let key = *ada().public_key();
    assert_eq!(store.load(&key).await.unwrap(), KeyEntry::Present(record(1, "Ada")));
    // Nothing has to be written for these.
    store.apply(&ada(), register(1, "Ada")).await.unwrap();
    let stale = store.apply(&ada(), update(7, "Ada L.")).await;
    assert!(matches!(stale, Err(ApplyError::Refused(Refusal::VersionConflict { version: 1 }))));
    room.store(true, Ordering::SeqCst);
    store.apply(&ada(), update(2, "Ada L.")).await.unwrap();
}

#[tokio::test]
async fn an_entry_of_a_backup_replaces_an_older_one_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = SledStore::open(folder.path()).unwrap();
    let key = *ada().public_key();
    let present = |version| KeyEntry::Present(record(version, "Ada"));
    let deleted = |version| KeyEntry::Deleted { version };
    for (entry, stored) in [
        (present(3), true),
        (present(3), false),
        (present(2), false),
        (KeyEntry::Unknown, false),
        (deleted(3), true),
        (present(3), false),
        (deleted(2), false),
        (present(4), true),
    ] {
        assert_eq!(store.restore_entry(key, entry.clone()).await.unwrap(), stored, "{entry:?}");
    }
    drop(store);
    let store = SledStore::open(folder.path()).unwrap();
    assert_eq!(store.load(&key).await.unwrap(), present(4));
}

#[tokio::test]
async fn a_snapshot_does_not_show_what_is_written_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = SledStore::open(folder.path()).unwrap();
    let owner = |n: u16| {
        let mut seed = [9; 32];
        seed[..2].copy_from_slice(&n.to_le_bytes());
        KeyPair::from_seed(&seed)
    };
    let entry = |n: u16, version: u64| {
        let profile = Profile::parse(&format!(r#"{{"name":"{n} {version}"}}"#)).unwrap();
        KeyEntry::Present(Record::sign(&owner(n), version, profile))
    };
    let mut expected = std::collections::BTreeMap::new();
    for n in 0..300 {
        let key = *owner(n).public_key();
        store.restore_entry(key, entry(n, 1)).await.unwrap();
        expected.insert(key, entry(n, 1));
    }
    let mut snapshot = store.snapshot().await.unwrap();
    assert_eq!(snapshot.taken().entries, 300);
    let mut read = snapshot.next_chunk().unwrap();
    for n in 0..600 {
        let key = *owner(n).public_key();
        if n % 3 == 0 && n < 300 {
            store.apply(&ProvenKey::new(key), Change::Delete { version: 1 }).await.unwrap();
        } else {
            store.restore_entry(key, entry(n, 2)).await.unwrap();
        }
    }
    loop {
        let chunk = snapshot.next_chunk().unwrap();
        if chunk.is_empty() {
            break;
        }
        read.extend(chunk);
    }
    assert!(read.is_sorted_by_key(|(key, _)| *key));
    assert_eq!(read, Vec::from_iter(expected));
}
