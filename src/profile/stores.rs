//! The kinds of stores, for suites that run over all of them, and what each of them has to do.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::content::Profile;
use super::entry::{Change, Dated, Decision, KeyEntry, decide_rotation};
use super::message::Refusal;
use super::record::Record;
use super::rotation::Rotation;
use super::sled_store::SledStore;
use super::store::{ApplyError, MemoryStore, Store};
use crate::api::ProvenKey;
use crate::{KeyPair, PublicKey};

/// Where a store of some kind has its entries.
pub(super) trait Place: Sized {
    /// Whether making one takes no time.
    const IS_FAST: bool;
    type Store: Store;

    /// Makes an empty one; none, with a message, if the kind is not installed.
    fn empty() -> Option<Self>;

    /// Opens a store of what is there. The one before is closed.
    async fn open(&self) -> Self::Store;

    /// Stores entries of a backup; returns how many were stored.
    async fn restore(store: &Self::Store, entries: Vec<(PublicKey, Dated)>) -> usize;
}

pub(super) struct InMemory(Arc<MemoryStore>);

impl Place for InMemory {
    const IS_FAST: bool = true;
    type Store = Arc<MemoryStore>;

    fn empty() -> Option<Self> {
        Some(Self(Arc::default()))
    }

    async fn open(&self) -> Arc<MemoryStore> {
        Arc::clone(&self.0)
    }

    async fn restore(store: &Arc<MemoryStore>, entries: Vec<(PublicKey, Dated)>) -> usize {
        entries.into_iter().filter(|(key, held)| store.restore(*key, held.clone())).count()
    }
}

pub(super) struct OnDisk(tempfile::TempDir);

impl Place for OnDisk {
    const IS_FAST: bool = false;
    type Store = SledStore;

    fn empty() -> Option<Self> {
        Some(Self(tempfile::tempdir().unwrap()))
    }

    async fn open(&self) -> SledStore {
        SledStore::open(self.0.path()).unwrap()
    }

    async fn restore(store: &SledStore, entries: Vec<(PublicKey, Dated)>) -> usize {
        let mut stored = 0;
        for (key, held) in entries {
            stored += usize::from(store.restore_entry(key, held).await.unwrap());
        }
        stored
    }
}

#[cfg(feature = "postgres")]
pub(super) struct InPostgres {
    url: String,
}

#[cfg(feature = "postgres")]
impl Place for InPostgres {
    const IS_FAST: bool = false;
    type Store = super::PostgresStore;

    fn empty() -> Option<Self> {
        use std::sync::OnceLock;
        static DATABASE: OnceLock<String> = OnceLock::new();
        let cluster = super::postgres_store::tests::shared()?;
        let database = DATABASE.get_or_init(|| cluster.database());
        // Made in less time than a database.
        let schema = format!("place{}", rand::thread_rng().r#gen::<u64>());
        cluster.sql(database, &format!("CREATE SCHEMA {schema}"));
        Some(Self { url: format!("{}?options=-csearch_path%3D{schema}", cluster.url(database)) })
    }

    async fn open(&self) -> super::PostgresStore {
        super::PostgresStore::connect(&self.url.parse().unwrap(), 4).await.unwrap()
    }

    async fn restore(store: &super::PostgresStore, entries: Vec<(PublicKey, Dated)>) -> usize {
        store.restore_entries(entries).await.unwrap()
    }
}

/// Makes tests of functions that take a [`Place`].
macro_rules! over_all_stores {
    ($($suite:ident)*) => {
        $(
            mod $suite {
                use crate::profile::stores;

                #[tokio::test]
                async fn in_memory() {
                    super::$suite::<stores::InMemory>().await;
                }

                #[tokio::test]
                async fn on_disk() {
                    super::$suite::<stores::OnDisk>().await;
                }

                #[cfg(feature = "postgres")]
                #[tokio::test]
                async fn in_postgres() {
                    super::$suite::<stores::InPostgres>().await;
                }
            }
        )*
    };
}
pub(super) use over_all_stores;

over_all_stores! {
    random_changes_leave_what_a_model_has
    an_entry_of_a_backup_replaces_an_older_one_alone
    who_watches_is_notified_of_each_change
}

pub(super) fn owner(seed: u8) -> KeyPair {
    KeyPair::from_seed(&[seed; 32])
}

pub(super) fn proven(seed: u8) -> ProvenKey {
    ProvenKey::new(*owner(seed).public_key())
}

pub(super) fn record(seed: u8, version: u64, name: &str) -> Record {
    let profile = Profile::parse(&format!(r#"{{"name":"{name}"}}"#)).unwrap();
    Record::sign(&owner(seed), version, profile)
}

pub(super) fn register(seed: u8, version: u64, name: &str) -> Change {
    Change::Register { record: record(seed, version, name), after: None }
}

pub(super) fn update(seed: u8, version: u64, name: &str) -> Change {
    Change::Update { record: record(seed, version, name), after: None }
}

pub(super) type Model = BTreeMap<PublicKey, KeyEntry>;

/// Makes random changes, each through one of several stores of the same entries, and compares every outcome
/// with the model that it returns.
pub(super) async fn play<S: Store>(stores: &[S], steps: usize) -> Model {
    let mut chance = StdRng::seed_from_u64(17);
    let mut model = Model::new();
    for _ in 0..steps {
        let (seed, version) = (chance.gen_range(1..6), chance.gen_range(1..6));
        let (name, after) = (["a", "b"][chance.gen_range(0..2)], chance.gen_range(0..6));
        let after = chance.r#gen::<bool>().then_some(after);
        let key = *owner(seed).public_key();
        let held = model.get(&key).cloned().unwrap_or_default();
        let store = &stores[chance.gen_range(0..stores.len())];
        let record = record(seed, version, name);
        let change = match chance.gen_range(0..40) {
            0 => {
                let removed = held.removed();
                assert_eq!(store.remove(&key).await.unwrap(), removed.is_some());
                model.extend(removed.map(|removed| (key, removed)));
                continue;
            }
            1 => {
                rotate(store, &mut model, (seed, seed % 6 + 1), &record).await;
                continue;
            }
            2..16 => Change::Register { record, after },
            16..32 => Change::Update { record, after },
            _ => Change::Delete { version },
        };
        let expected = match held.decide(&change) {
            Decision::Refuse(refusal) => Err(refusal),
            Decision::Repeated => Ok(held),
            Decision::Write(next) => {
                model.insert(key, next.clone());
                Ok(next)
            }
        };
        assert_eq!(outcome(store.apply(&proven(seed), change.clone()).await), expected, "{change:?}");
        assert_eq!(&store.load(&key).await.unwrap(), model.get(&key).unwrap_or(&KeyEntry::Unknown));
    }
    model
}

/// Moves a profile, to a record that is another key's now and then.
async fn rotate<S: Store>(store: &S, model: &mut Model, (from, to): (u8, u8), other: &Record) {
    let rotation = Rotation::sign(&owner(from), &owner(to));
    let taken = if other.version() == 1 { other.clone() } else { record(to, other.version(), "moved") };
    let held = |key: &PublicKey| model.get(key).cloned().unwrap_or_default();
    let to = held(rotation.to());
    let expected = match decide_rotation(&held(rotation.from()), &to, &rotation, &taken) {
        Decision::Refuse(refusal) => Err(refusal),
        Decision::Repeated => Ok(to),
        Decision::Write((moved, next)) => {
            model.extend([(*rotation.from(), moved), (*rotation.to(), next.clone())]);
            Ok(next)
        }
    };
    assert_eq!(outcome(store.rotate(rotation, taken).await), expected);
}

fn outcome(applied: Result<KeyEntry, ApplyError>) -> Result<KeyEntry, Refusal> {
    match applied {
        Ok(entry) => Ok(entry),
        Err(ApplyError::Refused(refusal)) => Err(refusal),
        Err(error) => panic!("{error}"),
    }
}

/// Compares the pages of a store with a model.
pub(super) async fn compare<S: Store>(store: &S, model: &Model) {
    let (mut found, mut after) = (Model::new(), None);
    loop {
        let page = store.page(after, 2).await.unwrap();
        after = page.last().map(|(key, _)| *key);
        assert!(
            page.is_sorted_by_key(|(key, _)| *key) && page.iter().all(|(key, _)| !found.contains_key(key))
        );
        assert!(page.iter().all(|(_, held)| held.changed > 0));
        let is_last = page.len() < 2;
        found.extend(page.into_iter().map(|(key, held)| (key, held.entry)));
        if is_last {
            break;
        }
    }
    assert_eq!(&found, model);
}

async fn random_changes_leave_what_a_model_has<P: Place>() {
    let Some(place) = P::empty() else { return };
    let store = place.open().await;
    let steps = if std::env::var_os("HYPERPROFILE_FULL").is_some() { 20_000 } else { 400 };
    let model = play(&[store], steps).await;
    let kinds: Vec<_> = model.values().map(std::mem::discriminant).collect();
    assert!(kinds.iter().any(|kind| *kind != kinds[0]), "{model:?}");
    compare(&place.open().await, &model).await;
}

async fn an_entry_of_a_backup_replaces_an_older_one_alone<P: Place>() {
    let Some(place) = P::empty() else { return };
    let store = place.open().await;
    let key = *owner(1).public_key();
    let present = |version| KeyEntry::Present(record(1, version, "Ada"));
    let deleted = |version| KeyEntry::Deleted { version };
    let moved = |to| KeyEntry::Moved { rotation: Rotation::sign(&owner(1), &owner(to)), version: 1 };
    for (entry, stored) in [
        (present(3), true),
        (present(3), false),
        (present(2), false),
        (KeyEntry::Unknown, false),
        (deleted(3), true),
        (present(3), false),
        (deleted(2), false),
        (present(4), true),
        (moved(2), true),
        (moved(3), false),
        (deleted(9), false),
        (present(9), false),
    ] {
        let restored = P::restore(&store, vec![(key, entry.clone().into())]).await;
        assert_eq!(restored, usize::from(stored), "{entry:?}");
    }
    // Of several of one key the newest stays, wherever it stands.
    let other = *owner(5).public_key();
    let several = [4, 7, 2].map(|version| Dated { entry: deleted(version), changed: version });
    P::restore(&store, several.into_iter().map(|held| (other, held)).collect()).await;
    drop(store);
    let store = place.open().await;
    assert_eq!(store.load(&key).await.unwrap(), moved(2));
    let page = store.page(None, 9).await.unwrap();
    assert!(page.contains(&(other, Dated { entry: deleted(7), changed: 7 })), "{page:?}");
}

async fn who_watches_is_notified_of_each_change<P: Place>() {
    let Some(place) = P::empty() else { return };
    let store = place.open().await;
    let (one, two) = (*owner(1).public_key(), *owner(2).public_key());
    let mut watch = store.changes().watch();
    watch.set([one, two]);
    let mut seen = BTreeMap::new();
    for step in 0..4 {
        match step {
            0 => drop(store.apply(&proven(1), register(1, 1, "Ada")).await.unwrap()),
            1 => drop(store.apply(&proven(1), update(1, 2, "Ada")).await.unwrap()),
            2 => {
                let rotation = Rotation::sign(&owner(1), &owner(2));
                store.rotate(rotation, record(2, 1, "Ada")).await.unwrap();
            }
            _ => assert!(store.remove(&two).await.unwrap()),
        }
        let expected = [(one, store.load(&one).await.unwrap()), (two, store.load(&two).await.unwrap())];
        // What has not changed may be shown as well.
        while seen != BTreeMap::from(expected.clone()) {
            let key = watch.next().await;
            seen.insert(key, store.load(&key).await.unwrap());
        }
    }
}
