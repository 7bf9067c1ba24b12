use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::super::content::Profile;
use super::super::entry::tests::record;
use super::super::entry::{Change, Dated, KeyEntry};
use super::super::message::Refusal;
use super::super::record::Record;
use super::super::rotation::tests::rotation;
use super::super::store::{ApplyError, Store as _, StoreError, unix_time};
use super::committer::Disk;
use super::folder::Folder;
use super::known::Known;
use super::shared::Shared;
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
    SledStore::start(Shared::new(entries, slots, Known::default()), file, witness, disk, lock).unwrap()
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
        let held = Dated { entry: entry(n, 1), changed: n.into() };
        store.restore_entry(key, held.clone()).await.unwrap();
        expected.insert(key, held);
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

#[tokio::test]
async fn a_rotation_moves_the_profile_and_can_be_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let store = SledStore::open(folder.path()).unwrap();
    let (from, to) = (*rotation(1, 2).from(), *rotation(1, 2).to());
    let record = |seed: u8, version: u64| {
        let profile = Profile::parse(r#"{"name":"Ada"}"#).unwrap();
        Record::sign(&KeyPair::from_seed(&[seed; 32]), version, profile)
    };
    let refused = |refusal| Err::<KeyEntry, _>(refusal);
    let rotate = async |store: &SledStore, from, to, version| {
        store.rotate(rotation(from, to), record(to, version)).await.map_err(|error| match error {
            ApplyError::Refused(refusal) => refusal,
            ApplyError::Store(error) => panic!("{error}"),
        })
    };
    assert_eq!(rotate(&store, 1, 2, 1).await, refused(Refusal::NotRegistered));
    store.apply(&ada(), register(1, "Ada")).await.unwrap();
    store.apply(&ada(), update(2, "Ada")).await.unwrap();
    let present = KeyEntry::Present(record(2, 5));
    let keys = Slots::read(&folder.path().join("keys")).unwrap();
    assert_eq!(rotate(&store, 1, 2, 5).await, Ok(present.clone()));
    // One slot was overwritten: nothing is left of the old profile.
    let now = Slots::read(&folder.path().join("keys")).unwrap();
    assert_eq!(keys.iter().zip(now.iter()).filter(|(before, now)| before != now).count(), 1);
    drop(store);

    let store = SledStore::open(folder.path()).unwrap();
    let moved = KeyEntry::Moved { rotation: rotation(1, 2), version: 2 };
    assert_eq!(store.load(&from).await.unwrap(), moved);
    assert_eq!(store.load(&to).await.unwrap(), present);
    assert_eq!(rotate(&store, 1, 2, 1).await, Ok(present), "repeated");
    assert_eq!(rotate(&store, 1, 3, 1).await, refused(Refusal::Moved { chain: vec![rotation(1, 2)] }));
    assert_eq!(rotate(&store, 2, 1, 1).await, refused(Refusal::AlreadyRegistered { version: 2 }));
    let again = store.apply(&ada(), update(3, "Ada")).await;
    assert!(matches!(again, Err(ApplyError::Refused(Refusal::Moved { .. }))), "{again:?}");
    assert!(!store.remove(&from).await.unwrap());
    assert_eq!(store.snapshot().await.unwrap().taken().entries, 2);
}

#[tokio::test]
async fn a_rotation_on_a_full_disk_changes_neither_key() {
    let folder = tempfile::tempdir().unwrap();
    let room = Arc::new(AtomicBool::new(true));
    let store = open_on(folder.path(), TestDisk { sync: || Ok(()), room: Arc::clone(&room) });
    store.apply(&ada(), register(1, "Ada")).await.unwrap();
    room.store(false, Ordering::SeqCst);
    let rotation = rotation(1, 2);
    let profile = Profile::parse(r#"{"name":"Ada"}"#).unwrap();
    let record = Record::sign(&KeyPair::from_seed(&[2; 32]), 1, profile);
    let refused = store.rotate(rotation.clone(), record.clone()).await;
    assert!(matches!(refused, Err(ApplyError::Store(StoreError::Full { .. }))), "{refused:?}");
    assert!(store.load(rotation.from()).await.unwrap().record().is_some());
    assert_eq!(store.load(rotation.to()).await.unwrap(), KeyEntry::Unknown);
    room.store(true, Ordering::SeqCst);
    store.rotate(rotation, record).await.unwrap();
}

#[tokio::test]
async fn pages_have_every_durable_entry_in_order_with_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let before = unix_time();
    let store = SledStore::open(folder.path()).unwrap();
    for n in 0..=254 {
        let owner = KeyPair::from_seed(&[n; 32]);
        let profile = Profile::parse(r#"{"name":"a"}"#).unwrap();
        let change = Change::Register { record: Record::sign(&owner, 1, profile), after: None };
        store.apply(&ProvenKey::new(*owner.public_key()), change).await.unwrap();
    }
    let gone = *KeyPair::from_seed(&[7; 32]).public_key();
    assert!(store.remove(&gone).await.unwrap());
    assert!(!store.remove(&gone).await.unwrap());
    assert!(!store.remove(&PublicKey::from_bytes([9; 32])).await.unwrap());
    let restored = PublicKey::from_bytes([255; 32]);
    let old = Dated { entry: KeyEntry::Deleted { version: 3 }, changed: 17 };
    assert!(store.restore_entry(restored, old.clone()).await.unwrap());
    drop(store);

    let store = SledStore::open(folder.path()).unwrap();
    let all = store.page(None, 1000).await.unwrap();
    assert_eq!(all.len(), 256);
    assert!(all.is_sorted_by_key(|(key, _)| *key));
    assert_eq!(all.last(), Some(&(restored, old)));
    for (key, held) in &all[..255] {
        assert!((before..=unix_time()).contains(&held.changed), "{held:?}");
        assert_eq!(held.entry.record().is_none(), *key == gone);
    }
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let page = store.page(after, 100).await.unwrap();
        paged.extend(page.iter().cloned());
        match page.last() {
            Some((key, _)) => after = Some(*key),
            None => break,
        }
    }
    assert_eq!(paged, all);
    // As after a deletion by the owner, the key registers again above the last version.
    let owner = KeyPair::from_seed(&[7; 32]);
    let record = |version| {
        let profile = Profile::parse(r#"{"name":"a"}"#).unwrap();
        Change::Register { record: Record::sign(&owner, version, profile), after: None }
    };
    let proven = ProvenKey::new(gone);
    assert!(store.apply(&proven, record(1)).await.is_err());
    assert!(store.apply(&proven, record(2)).await.is_ok());
}

#[tokio::test]
async fn a_page_does_not_show_what_is_not_durable() {
    let folder = tempfile::tempdir().unwrap();
    let (entered, in_sync) = std::sync::mpsc::channel::<()>();
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let store = Arc::new(open_with(folder.path(), move || {
        let _ = entered.send(());
        gate.recv().map_err(|_| StoreError::Failed)
    }));
    let write = tokio::spawn({
        let store = store.clone();
        async move { store.apply(&ada(), register(1, "Ada")).await.map(|_| ()) }
    });
    tokio::task::spawn_blocking(move || in_sync.recv_timeout(Duration::from_secs(30)))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(store.page(None, 9).await.unwrap(), []);
    release.send(()).unwrap();
    write.await.unwrap().unwrap();
    assert_eq!(store.page(None, 9).await.unwrap().len(), 1);
}

/// A folder that the version before has written: three keys, two of them updated, and one deleted.
#[tokio::test]
async fn a_folder_of_format_2_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let records = folder.path().join("records.2");
    std::fs::create_dir(&records).unwrap();
    std::fs::write(
        folder.path().join("witness"),
        include_bytes!("../../../tests/vectors/profile-store-2/witness"),
    )
    .unwrap();
    std::fs::write(folder.path().join("keys"), include_bytes!("../../../tests/vectors/profile-store-2/keys"))
        .unwrap();
    std::fs::write(records.join("conf"), include_bytes!("../../../tests/vectors/profile-store-2/conf"))
        .unwrap();
    let mut database = include_bytes!("../../../tests/vectors/profile-store-2/db").to_vec();
    // Zeros follow, up to the end of the segment.
    database.resize((2 << 20) - 1, 0);
    std::fs::write(records.join("db"), database).unwrap();
    let key = |n: u8| *KeyPair::from_seed(&[n; 32]).public_key();
    let check = async |store: &SledStore| {
        assert_eq!(store.load(&key(2)).await.unwrap(), KeyEntry::Deleted { version: 2 });
        for n in [1, 3] {
            let entry = store.load(&key(n)).await.unwrap();
            let record = entry.record().expect("a profile");
            assert_eq!(record.profile().name(), format!("key {n}, version 2"));
        }
        let page = store.page(None, 9).await.unwrap();
        assert!(page.len() == 3 && page.iter().all(|(_, held)| held.changed == 0), "{page:?}");
    };
    assert!(SledStore::check(folder.path(), |_, _| {}).unwrap().is_whole());
    for _ in 0..2 {
        check(&SledStore::open(folder.path()).unwrap()).await;
    }
    let witness = std::fs::read(folder.path().join("witness")).unwrap();
    assert_eq!((witness[7], witness[512 + 7]), (3, 3), "older programs refuse the folder");
    let store = SledStore::open(folder.path()).unwrap();
    assert!(store.remove(&key(1)).await.unwrap());
    drop(store);
    let store = SledStore::open(folder.path()).unwrap();
    assert_eq!(store.load(&key(1)).await.unwrap(), KeyEntry::Deleted { version: 2 });
    assert!(store.page(None, 9).await.unwrap().iter().any(|(_, held)| held.changed > 0));
}

/// A log that a power failure has cut short anywhere in what a rotation wrote.
#[tokio::test]
async fn a_rotation_that_a_power_failure_cuts_short_is_there_as_a_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let store = SledStore::open(folder.path()).unwrap();
    let rotation = rotation(1, 2);
    store.apply(&ada(), register(1, "Ada")).await.unwrap();
    let database = records(folder.path()).join("db");
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    let (mut before, witness, keys) = (std::fs::read(&database).unwrap(), read("witness"), read("keys"));
    let profile = Profile::parse(r#"{"name":"Ada"}"#).unwrap();
    let record = Record::sign(&KeyPair::from_seed(&[2; 32]), 1, profile);
    store.rotate(rotation.clone(), record).await.unwrap();
    let after = std::fs::read(&database).unwrap();
    // What the file has grown by is zeros where it was not written.
    before.resize(after.len(), 0);

    let differ = |at: &usize| before[*at] != after[*at];
    let (first, last) = ((0..after.len()).find(differ).unwrap(), (0..after.len()).rfind(differ).unwrap());
    let mut outcomes = [0, 0];
    for cut in (first..last).step_by(16).chain([last + 1]) {
        let torn = tempfile::tempdir().unwrap();
        let copy = torn.path().join(database.parent().unwrap().file_name().unwrap());
        std::fs::create_dir(&copy).unwrap();
        std::fs::copy(database.with_file_name("conf"), copy.join("conf")).unwrap();
        std::fs::write(copy.join("db"), [&after[..cut], &before[cut..]].concat()).unwrap();
        std::fs::write(torn.path().join("witness"), &witness).unwrap();
        std::fs::write(torn.path().join("keys"), &keys).unwrap();
        let store = SledStore::open(torn.path()).unwrap();
        let from = store.load(rotation.from()).await.unwrap();
        let to = store.load(rotation.to()).await.unwrap();
        let is_moved = matches!(from, KeyEntry::Moved { .. });
        assert_eq!(is_moved, to.record().is_some(), "cut at {cut}: {from:?}, {to:?}");
        assert!(is_moved || from.record().is_some(), "cut at {cut}: {from:?}");
        outcomes[usize::from(is_moved)] += 1;
    }
    assert!(outcomes[0] > 10 && outcomes[1] > 0, "{outcomes:?}");
}
