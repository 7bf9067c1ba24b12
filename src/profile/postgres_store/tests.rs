use std::sync::{Arc, Mutex, OnceLock};

use super::super::content::Profile;
use super::super::entry::{Change, Dated, KeyEntry};
use super::super::limits::Use;
use super::super::message::Refusal;
use super::super::record::Record;
use super::super::store::{ApplyError, Store, StoreError};
use super::super::stores::{compare, owner, play, proven, register, update};
use super::cluster::{Cluster, PASSWORD};
use super::{PostgresStore, PostgresUrl};
use crate::KeyPair;
use crate::api::ProvenKey;

/// Returns the cluster that the tests share, each with a database of its own; none, with a message, without
/// PostgreSQL.
pub(in super::super) fn shared() -> Option<&'static Cluster> {
    static SHARED: OnceLock<Option<Cluster>> = OnceLock::new();
    SHARED.get_or_init(Cluster::start).as_ref()
}

pub(in super::super) async fn connect(url: &str) -> Result<PostgresStore, StoreError> {
    PostgresStore::connect(&url.parse().unwrap(), 4).await
}

#[tokio::test]
async fn two_stores_on_one_database_do_what_one_does() {
    let Some(cluster) = shared() else { return };
    let url = cluster.url(&cluster.database());
    let stores = [connect(&url).await.unwrap(), connect(&url).await.unwrap()];
    let steps = if std::env::var_os("HYPERPROFILE_FULL").is_some() { 20_000 } else { 400 };
    let model = play(&stores, steps).await;
    for store in &stores {
        compare(store, &model).await;
        assert_eq!(store.count().await.unwrap(), model.len() as u64);
    }
}

#[tokio::test]
async fn of_changes_of_one_version_through_two_stores_one_alone_is_made() {
    let Some(cluster) = shared() else { return };
    let url = cluster.url(&cluster.database());
    let stores = [Arc::new(connect(&url).await.unwrap()), Arc::new(connect(&url).await.unwrap())];
    stores[0].apply(&proven(1), register(1, 1, "first")).await.unwrap();
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..8 {
        let store = Arc::clone(&stores[number % 2]);
        writers.spawn(async move {
            for _ in 0..10 {
                loop {
                    let version = store.load(proven(1).public_key()).await.unwrap().version();
                    let change = update(1, version + 1, &format!("writer {number}"));
                    match store.apply(&proven(1), change).await {
                        Ok(_) => break,
                        Err(ApplyError::Refused(Refusal::VersionConflict { .. })) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        });
    }
    writers.join_all().await;
    assert_eq!(stores[0].load(proven(1).public_key()).await.unwrap().version(), 81);
}

#[tokio::test]
async fn a_change_through_one_store_is_shown_to_those_who_watch_at_another() {
    let Some(cluster) = shared() else { return };
    let database = cluster.database();
    let url = cluster.url(&database);
    let (one, two) = (connect(&url).await.unwrap(), connect(&url).await.unwrap());
    let mut watch = two.changes().watch();
    watch.set([*owner(1).public_key()]);
    for version in 1..5 {
        let change = if version == 1 { register(1, 1, "Ada") } else { update(1, version, "Ada") };
        one.apply(&proven(1), change).await.unwrap();
        while two.load(&watch.next().await).await.unwrap().version() < version {}
    }
    // The session that listens is ended, and with it what came meanwhile.
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    assert_eq!(cluster.sql(&database, end), "2");
    one.apply(&proven(1), update(1, 5, "Ada")).await.unwrap();
    while two.load(&watch.next().await).await.unwrap().version() < 5 {}
}

#[tokio::test]
async fn a_snapshot_does_not_show_what_is_written_after_it() {
    let Some(cluster) = shared() else { return };
    let store = connect(&cluster.url(&cluster.database())).await.unwrap();
    let mut entries = Vec::new();
    for number in 0..300_u16 {
        let mut seed = [9; 32];
        seed[..2].copy_from_slice(&number.to_le_bytes());
        let owner = KeyPair::from_seed(&seed);
        let record = Record::sign(&owner, 1, Profile::parse(r#"{"name":"a"}"#).unwrap());
        let held = Dated { entry: KeyEntry::Present(record), changed: number.into() };
        entries.push((*owner.public_key(), held));
    }
    assert_eq!(store.restore_entries(entries.clone()).await.unwrap(), 300);
    assert_eq!(store.restore_entries(entries.clone()).await.unwrap(), 0);
    let mut snapshot = store.snapshot().await.unwrap();
    let mut read = snapshot.next_chunk().await.unwrap();
    for (key, _) in &entries[..100] {
        store.apply(&ProvenKey::new(*key), Change::Delete { version: 1 }).await.unwrap();
    }
    store.apply(&proven(1), register(1, 1, "late")).await.unwrap();
    loop {
        let chunk = snapshot.next_chunk().await.unwrap();
        if chunk.is_empty() {
            break;
        }
        read.extend(chunk);
    }
    entries.sort_by_key(|(key, _)| *key);
    assert_eq!(read, entries);
    assert_eq!(store.count().await.unwrap(), 301);
    assert_eq!(store.stats().profiles, 201);
}

#[tokio::test]
async fn stores_that_come_at_once_make_the_tables_once_and_newer_tables_are_refused() {
    let Some(cluster) = shared() else { return };
    let database = cluster.database();
    let url: PostgresUrl = cluster.url(&database).parse().unwrap();
    let mut stores = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let url = url.clone();
        stores.spawn(async move { PostgresStore::connect(&url, 1).await.map(drop) });
    }
    for connected in stores.join_all().await {
        connected.unwrap();
    }
    assert_eq!(cluster.sql(&database, "SELECT id, version FROM profile_schema"), "1|1");
    cluster.sql(&database, "UPDATE profile_schema SET version = 2");
    let refused = PostgresStore::connect(&url, 1).await;
    assert!(
        matches!(&refused, Err(StoreError::Schema { found, expected: 1 }) if found == "2"),
        "{refused:?}"
    );
}

/// PostgreSQL makes the type of a table's rows with the table. A process that creates the same table meets
/// either; the type alone is met here each time.
#[tokio::test(flavor = "multi_thread")]
async fn the_type_of_a_table_that_another_process_makes_is_waited_for() {
    let Some(cluster) = shared() else { return };
    let database = cluster.database();
    cluster.sql(&database, "CREATE TYPE profile_schema AS ENUM ()");
    let url: PostgresUrl = cluster.url(&database).parse().unwrap();
    let connected = tokio::spawn(async move { PostgresStore::connect(&url, 1).await.map(drop) });
    let creating = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND query LIKE 'CREATE TABLE%'";
    while cluster.sql(&database, creating) == "0" && !connected.is_finished() {}
    cluster.sql(&database, "DROP TYPE profile_schema");
    connected.await.unwrap().unwrap();
}

#[tokio::test]
async fn no_message_and_no_log_shows_the_password() {
    let Some(cluster) = shared() else { return };
    let database = cluster.database();
    let log = Arc::new(Mutex::new(Vec::new()));
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer({
        let log = Arc::clone(&log);
        move || Log(Arc::clone(&log))
    });
    let _default = tracing::subscriber::set_default(subscriber.finish());
    // With one subscriber alone, what another test has logged first, without one, would not be logged here.
    let _other = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());
    tracing::callsite::rebuild_interest_cache();
    let wrong = cluster.url(&database).replace("do%20not", "do%20never");
    let mut shown = String::new();
    for url in [wrong, cluster.url("missing"), cluster.url(&database)] {
        let connected = connect(&url).await;
        shown += &format!("{} {connected:?}", url.parse::<PostgresUrl>().unwrap());
        if let Err(error) = connected {
            shown += &error.to_string();
        }
    }
    shown += &String::from_utf8(log.lock().unwrap().clone()).unwrap();
    assert!(shown.contains("password authentication failed") && shown.contains("no session"), "{shown}");
    for secret in [PASSWORD, "do never show this", "do%20not", "do%20never"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

/// What is logged.
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_certificate_of_ones_own_is_accepted_where_it_is_named_alone() {
    let Some(cluster) = shared() else { return };
    let database = cluster.database();
    let script = r#"
        openssl req -x509 -newkey rsa:2048 -nodes -keyout root.key -out root.pem -subj /CN=root -days 2
        openssl req -newkey rsa:2048 -nodes -keyout own.key -out own.csr -subj /CN=database
        printf 'subjectAltName = IP:127.0.0.1\nbasicConstraints = CA:FALSE\n' > own.ext
        openssl x509 -req -in own.csr -CA root.pem -CAkey root.key -CAcreateserial -extfile own.ext \
            -out own.pem -days 2"#;
    super::cluster::output(cluster.shell(script));
    let folder = cluster.folder.display().to_string();
    cluster.configure(&format!(
        "ssl = on\nssl_cert_file = '{folder}/own.pem'\nssl_key_file = '{folder}/own.key'\n"
    ));
    cluster.sql("postgres", "SELECT pg_reload_conf()");
    while cluster.sql("postgres", "SHOW ssl") != "on" {}
    let url = cluster.url(&database);
    let own = format!("{url}?sslrootcert={folder}/root.pem");
    connect(&own).await.unwrap();
    let encrypted = "SELECT bool_or(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
        WHERE application_name = 'hyperprofile' AND datname = current_database()";
    let store = connect(&own).await.unwrap();
    assert_eq!(cluster.sql(&database, encrypted), "t");
    drop(store);
    // By the system's certificates it is signed by nobody; and it is for no other name.
    for refused in [format!("{url}?sslmode=require"), own.replace("127.0.0.1", "localhost")] {
        let refused = connect(&refused).await;
        assert!(matches!(&refused, Err(StoreError::Unavailable(why)) if why.contains("TLS")), "{refused:?}");
    }
}

#[tokio::test]
async fn a_limit_holds_over_two_stores_and_a_new_window_is_empty() {
    let Some(cluster) = shared() else { return };
    let database = cluster.database();
    let url = cluster.url(&database);
    let stores = [connect(&url).await.unwrap(), connect(&url).await.unwrap()];
    let of = |id: &str, share| Use {
        id: id.as_bytes().to_vec(),
        share,
        length: std::time::Duration::from_secs(3600),
    };
    for number in 0..10 {
        let uses = [of("key", 10), of("network", 20)];
        assert_eq!(stores[number % 2].take(&uses).await.unwrap(), Some(Ok(())));
    }
    for store in &stores {
        let Some(Err(seconds)) = store.take(&[of("key", 10)]).await.unwrap() else { panic!("it is full") };
        assert!((1..=3600).contains(&seconds), "{seconds}");
        let both = store.take(&[of("network", 20), of("key", 10)]).await.unwrap();
        assert!(matches!(both, Some(Err(_))), "{both:?}");
        assert_eq!(store.take(&[of("other", 10)]).await.unwrap(), Some(Ok(())));
        // What was counted counts for other limits too.
        assert_eq!(store.take(&[of("key", 20)]).await.unwrap(), Some(Ok(())));
    }
    cluster.sql(&database, "UPDATE profile_windows SET ends = now()");
    assert_eq!(stores[0].take(&[of("key", 1)]).await.unwrap(), Some(Ok(())));
    assert!(matches!(stores[1].take(&[of("key", 1)]).await.unwrap(), Some(Err(_))));
}

#[tokio::test]
async fn every_session_waits_for_its_commits_whatever_the_url_says() {
    let Some(cluster) = shared() else { return };
    let url = cluster.url(&cluster.database());
    for (option, expected) in [("off", "on"), ("remote_apply", "remote_apply")] {
        let store = connect(&format!("{url}?options=-csynchronous_commit%3D{option}")).await.unwrap();
        let mut session = store.shared().session().await.unwrap();
        let shown = session.query("SHOW synchronous_commit", &[]).await.unwrap();
        assert_eq!(shown[0].get::<_, &str>(0), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_closed_has_notified_others_and_is_of_no_use() {
    let Some(cluster) = shared() else { return };
    let database = cluster.database();
    let url = cluster.url(&database);
    let (one, two) = (connect(&url).await.unwrap(), connect(&url).await.unwrap());
    let mut watch = two.changes().watch();
    watch.set([*owner(1).public_key()]);
    one.apply(&proven(1), register(1, 1, "Ada")).await.unwrap();
    one.close().await;
    while two.load(&watch.next().await).await.unwrap().version() < 1 {}
    assert!(matches!(one.load(owner(1).public_key()).await, Err(StoreError::Unavailable(_))));
    two.close().await;
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'hyperprofile'
        AND datname = current_database()";
    while cluster.sql(&database, sessions) != "0" {}
}
