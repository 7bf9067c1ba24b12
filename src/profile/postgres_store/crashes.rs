//! What is acknowledged stays, whatever happens to the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::super::entry::{Change, KeyEntry};
use super::super::message::Refusal;
use super::super::store::{ApplyError, Store, StoreError};
use super::super::stores::{proven, register, update};
use super::PostgresStore;
use super::cluster::Cluster;
use super::tests::{connect, shared};

/// Writers, each of its own key, that go on after each failure.
struct Writers {
    tasks: JoinSet<(u8, u64)>,
    acknowledged: watch::Receiver<u64>,
    stop: Arc<AtomicBool>,
}

impl Writers {
    fn start(store: &Arc<PostgresStore>) -> Self {
        let (count, acknowledged) = watch::channel(0);
        let (count, stop) = (Arc::new(count), Arc::new(AtomicBool::new(false)));
        let mut tasks = JoinSet::new();
        for seed in 1..9 {
            let (store, count, stop) = (Arc::clone(store), Arc::clone(&count), Arc::clone(&stop));
            tasks.spawn(async move {
                let mut version = 0;
                while !stop.load(Ordering::SeqCst) {
                    let name = format!("{seed} {version}");
                    let change = match version {
                        0 => register(seed, 1, &name),
                        _ => update(seed, version + 1, &name),
                    };
                    match store.apply(&proven(seed), change).await {
                        Ok(entry) => {
                            version += 1;
                            assert_eq!(entry.version(), version);
                            count.send_modify(|count| *count += 1);
                        }
                        // Whether it was made is unknown: the same change is made again.
                        Err(ApplyError::Store(StoreError::Unavailable(_))) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                (seed, version)
            });
        }
        Self { tasks, acknowledged, stop }
    }

    /// Waits for some more acknowledged changes.
    async fn more(&mut self) {
        let target = *self.acknowledged.borrow() + 50;
        self.acknowledged.wait_for(|count| *count >= target).await.unwrap();
    }

    /// Compares what is there with what was acknowledged.
    async fn check(self, store: &PostgresStore) {
        self.stop.store(true, Ordering::SeqCst);
        for (seed, version) in self.tasks.join_all().await {
            let entry = store.load(proven(seed).public_key()).await.unwrap();
            // The last change that failed may have been made.
            assert!((version..=version + 1).contains(&entry.version()), "{entry:?}, {version} of {seed}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_database_loses_nothing_and_the_store_comes_back_by_itself() {
    let Some(cluster) = Cluster::start() else { return };
    let database = cluster.database();
    let store = Arc::new(connect(&cluster.url(&database)).await.unwrap());
    let mut writers = Writers::start(&store);
    for round in 0..3 {
        writers.more().await;
        cluster.kill();
        if round == 0 {
            let lost = store.load(proven(1).public_key()).await;
            assert!(matches!(lost, Err(StoreError::Unavailable(_))), "{lost:?}");
        }
        cluster.run();
    }
    writers.more().await;
    writers.check(&store).await;
    cluster.stop();
    cluster.configure("fsync = off\n");
    cluster.run();
    let refused = connect(&cluster.url(&database)).await;
    assert!(matches!(refused, Err(StoreError::NotDurable)), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_are_ended_are_replaced() {
    let Some(cluster) = shared() else { return };
    let database = cluster.database();
    let store = Arc::new(connect(&cluster.url(&database)).await.unwrap());
    let mut writers = Writers::start(&store);
    for _ in 0..5 {
        writers.more().await;
        let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()";
        assert_ne!(cluster.sql(&database, end), "0");
    }
    writers.more().await;
    writers.check(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_is_not_on_the_standby_is_not_acknowledged() {
    let Some(cluster) = Cluster::start() else { return };
    let database = cluster.database();
    let store = Arc::new(connect(&cluster.url(&database)).await.unwrap());
    store.apply(&proven(1), register(1, 1, "Ada")).await.unwrap();
    cluster.configure("synchronous_standby_names = 'nobody'\n");
    cluster.sql("postgres", "SELECT pg_reload_conf()");
    while cluster.sql("postgres", "SHOW synchronous_standby_names") != "nobody" {}
    let waits = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.apply(&proven(1), update(1, 2, "Ada")).await }
    });
    let waiting = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    while cluster.sql("postgres", waiting) == "0" {}
    // The change is there now, but on no standby. It is tried again, and waits for the standby again.
    let unknown = waits.await.unwrap();
    assert!(matches!(unknown, Err(ApplyError::Store(StoreError::Unavailable(_)))), "{unknown:?}");
    assert_eq!(store.load(proven(1).public_key()).await.unwrap().version(), 2);
    let repeated = store.apply(&proven(1), update(1, 2, "Ada")).await;
    assert!(matches!(repeated, Err(ApplyError::Store(StoreError::Unavailable(_)))), "{repeated:?}");
    cluster.configure("synchronous_standby_names = ''\n");
    cluster.sql("postgres", "SELECT pg_reload_conf()");
    let repeated = store.apply(&proven(1), update(1, 2, "Ada")).await.unwrap();
    assert_eq!(repeated.version(), 2);
    let refused = store.apply(&proven(1), Change::Delete { version: 1 }).await;
    assert!(matches!(refused, Err(ApplyError::Refused(Refusal::VersionConflict { version: 2 }))));
    assert!(matches!(store.load(proven(1).public_key()).await.unwrap(), KeyEntry::Present(_)));
}
