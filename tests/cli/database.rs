//! Profiles in a database: one server, several, and none while it is away.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use hyperprofile::Testnet;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::{CLIENT, Outcome, Person, Running, SERVER, run, text};
use crate::network::serve;
use crate::operator::read_until;
use crate::postgres::{Cluster, PASSWORD};
use crate::store::{entries, write_backup};

/// A folder with a file that names a database.
struct Place {
    folder: TempDir,
    file: PathBuf,
}

impl Place {
    fn of(url: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("url");
        fs::write(&file, format!("{url}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        Self { folder, file }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a command of the server's program with this store; `words` is split at spaces.
    async fn typed(&self, words: &str) -> Outcome {
        let data = self.at("data");
        let of_all = ["--store", text(&self.file), "--data-dir", text(&data)];
        let outcome = run(SERVER, &[&words.split(' ').collect::<Vec<_>>()[..], &of_all].concat()).await;
        shows_nothing(&format!("{outcome:?}"));
        outcome
    }

    /// Starts a server with a folder of data of its own, and returns its key.
    async fn serve(&self, network: &Testnet, data: &Path, extra: &[&str]) -> (Running, String) {
        let mut server = serve(network, data, &[&["--store", text(&self.file)], extra].concat());
        let key = server.line().await;
        (server, key)
    }
}

fn shows_nothing(shown: &str) {
    for password in [PASSWORD, &PASSWORD.replace(' ', "%20")] {
        assert!(!shown.contains(password), "{shown}");
    }
}

/// Sends a request over HTTP and returns the answer.
async fn get(url: &str, path: &str) -> String {
    let address = url.strip_prefix("http://").unwrap().trim_end_matches('/');
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    shows_nothing(&answer);
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_has_its_profiles_in_a_database_and_the_password_is_nowhere() {
    let Some(cluster) = Cluster::start() else { return };
    let place = Place::of(&cluster.url(&cluster.database()));
    let network = Testnet::new(5).await.unwrap();
    let bootstrap = network.bootstrap().remove(0);
    let data = place.at("data");
    let arguments = ["--data-dir", text(&data), "--store", text(&place.file), "--bootstrap", &bootstrap];
    let backups = place.at("backups");
    let extra = ["-vvv", "--json", "--web", "127.0.0.1:0", "--backup-dir", text(&backups)];
    let mut server = Running::start(SERVER, &[&arguments[..], &extra].concat());
    let mut event = async || serde_json::from_str::<Value>(&server.line().await).unwrap();
    let mut events = std::collections::BTreeMap::new();
    while events.len() < 3 {
        let event = event().await;
        events.insert(event["event"].as_str().unwrap().to_owned(), event);
    }
    assert_eq!(events["backup"]["profiles"], 0, "it writes backups by itself");
    let url = events["web"]["url"].as_str().unwrap();
    let key = events["listening"]["public_key"].as_str().unwrap();
    let ada = Person::new();
    let at = format!("--server {key} --bootstrap {bootstrap}");
    ada.run(&format!("{at} register --name Ada")).await.ended(0);
    assert!(get(url, "/readyz").await.ends_with("ready\n"));
    assert!(get(url, "/metrics").await.contains("\nhyperprofile_store_info{kind=\"postgres\"} 1\n"));
    assert!(place.typed("list").await.ended(0).stdout.contains("Ada"));
    place.typed(&format!("show {}", ada.key().await)).await.ended(0);
    let stats = place.typed("--json stats").await.ended(0).json();
    assert_eq!((&stats["running"], &stats["profiles"]), (&json!(true), &json!(1)), "{stats}");
    assert_eq!((&stats["store_kind"], &stats["other_servers"]), (&json!("postgres"), &json!(0)), "{stats}");
    let shown = format!("postgres@127.0.0.1:{}/test0", cluster.port);
    assert_eq!(stats["store"], shown);
    let backup = place.at("backup");
    place.typed(&format!("backup {}", text(&backup))).await.ended(0);
    let checked = place.typed(&format!("check {}", text(&backup))).await.ended(0).stdout;
    assert!(checked.contains(&format!("database  {shown}\n")), "{checked}");
    assert!(checked.contains("every profile can be read, and has the signature of its owner"), "{checked}");
    place.typed("config").await.ended(0);
    // A newer one stays, and the server has what was restored at once.
    ada.run(&format!("{at} update --bio newer")).await.ended(0);
    let bob = write_backup(&place.at("others"), 0..1);
    for (file, expected) in [("backup", "0 restored, 0 already there, 1 older"), ("others", "1 restored, 0")]
    {
        let restored = place.typed(&format!("restore {}", text(&place.at(file)))).await.ended(0);
        assert!(restored.stdout.contains(expected), "{restored:?}");
    }
    let seen = Person::new().run(&format!("{at} lookup {}", bob[0])).await.ended(0).json();
    assert_eq!(seen["profile"]["name"], "Person 0");
    place.typed(&format!("delete --yes {}", bob[0])).await.ended(0);
    Person::new().run(&format!("{at} lookup {}", bob[0])).await.failed(8, "not_registered");
    // What is damaged is noticed.
    cluster.sql("test0", "UPDATE profiles SET proof = proof || 'x' WHERE state = 1");
    let checked = place.typed("check").await.ended(10);
    assert!(checked.stderr.contains("is damaged"), "{checked:?}");
    server.signal("-TERM").await;
    shows_nothing(&format!("{:?}", server.end().await.ended(0)));
    network.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_of_one_key_serve_the_same_profiles_and_notice_when_one_goes() {
    let Some(cluster) = Cluster::start() else { return };
    let place = Place::of(&cluster.url(&cluster.database()));
    let network = Testnet::new(5).await.unwrap();
    let folders = ["one", "two", "three"].map(|name| place.at(name));
    let (mut one, key) = place.serve(&network, &folders[0], &[]).await;
    for other in &folders[1..] {
        fs::create_dir(other).unwrap();
        fs::copy(folders[0].join("identity"), other.join("identity")).unwrap();
    }
    let (two, second) = place.serve(&network, &folders[1], &[]).await;
    let (three, third) = place.serve(&network, &folders[2], &[]).await;
    assert_eq!([&second, &third], [&key; 2]);
    let at = format!("--server {key} --bootstrap {}", network.bootstrap()[0]);
    let ada = Person::new();
    let registered = ada.run(&format!("{at} register --name Ada")).await.ended(0).json();
    let mut stderr = one.child.stderr.take().unwrap();
    let place_shown = format!("profiles are in postgres@127.0.0.1:{}/test0\n", cluster.port);
    read_until(&mut stderr, &place_shown).await;
    let stats = ["--json", "stats", "--data-dir", text(&folders[0]), "--store", text(&place.file)];
    while run(SERVER, &stats).await.ended(0).json()["other_servers"] != 2 {}
    // The end in order, and the end that nobody hears of.
    two.signal("-TERM").await;
    two.end().await.ended(0);
    read_until(&mut stderr, "another server of this key has gone: announcing again").await;
    assert_eq!(ada.run(&format!("{at} show")).await.ended(0).json(), registered);
    three.signal("-KILL").await;
    three.end().await.ended(-1);
    read_until(&mut stderr, "another server of this key has gone: announcing again").await;
    assert_eq!(ada.run(&format!("{at} show")).await.ended(0).json(), registered);
    one.child.stderr = Some(stderr);
    one.signal("-TERM").await;
    one.end().await.ended(0);
    // A second server has no place in the folder of one that runs.
    let (one, _) = place.serve(&network, &folders[0], &[]).await;
    let second = serve(&network, &folders[0], &["--store", text(&place.file)]).end().await.ended(10);
    assert!(second.stderr.contains("is locked: another server is using it"), "{second:?}");
    assert!(second.stderr.contains("a copy of the identity"), "{second:?}");
    one.signal("-TERM").await;
    one.end().await.ended(0);
    network.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_and_watches_hold_over_two_servers() {
    let Some(cluster) = Cluster::start() else { return };
    let place = Place::of(&cluster.url(&cluster.database()));
    let network = Testnet::new(5).await.unwrap();
    let bootstrap = network.bootstrap().remove(0);
    let mut servers = Vec::new();
    for folder in ["one", "two"].map(|name| place.at(name)) {
        fs::create_dir(&folder).unwrap();
        if !servers.is_empty() {
            fs::copy(place.at("one/identity"), folder.join("identity")).unwrap();
        }
        let (server, line) = place.serve(&network, &folder, &["--json", "--writes-per-minute", "3"]).await;
        let listening: Value = serde_json::from_str(&line).unwrap();
        servers.push((server, listening["connect_address"].as_str().unwrap().to_owned()));
    }
    let (ada, eve) = (Person::new(), Person::new());
    let write = async |server: usize, words: &str| {
        ada.run(&format!("--server {} --bootstrap {bootstrap} {words}", servers[server].1)).await
    };
    let (key, identity) = (ada.key().await, eve.path("identity"));
    let words =
        ["--json", "--identity", text(&identity), "--server", &servers[1].1, "--bootstrap", &bootstrap];
    let mut watch = Running::start(CLIENT, &[&words[..], &["watch", &key]].concat());
    let mut seen = async || serde_json::from_str::<Value>(&watch.line().await).unwrap()["version"].clone();
    assert_eq!(seen().await, Value::Null);
    // Through one server, seen at the other one.
    write(0, "register --name Ada").await.ended(0);
    assert_eq!(seen().await, 1);
    write(0, "update --bio first").await.ended(0);
    assert_eq!(seen().await, 2);
    write(1, "update --bio second").await.ended(0);
    assert_eq!(seen().await, 3);
    for server in [1, 0] {
        write(server, "update --bio third").await.failed(6, "too_many");
    }
    for (server, _) in servers {
        server.signal("-TERM").await;
        server.end().await.ended(0);
    }
    network.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_waits_for_its_database_and_stays_up_without_it() {
    let Some(cluster) = Cluster::start() else { return };
    let place = Place::of(&cluster.url(&cluster.database()));
    let network = Testnet::new(5).await.unwrap();
    let bootstrap = network.bootstrap().remove(0);
    cluster.stop();
    // A command does not wait.
    let refused = place.typed("list").await.ended(10);
    assert!(refused.stderr.contains("cannot reach the database at postgres@127.0.0.1:"), "{refused:?}");
    let data = place.at("data");
    let arguments = ["--data-dir", text(&data), "--store", text(&place.file), "--bootstrap", &bootstrap];
    let mut server = Running::start(SERVER, &[&arguments[..], &["--json", "--web", "127.0.0.1:0"]].concat());
    let mut stderr = server.child.stderr.take().unwrap();
    let mut event = async || serde_json::from_str::<Value>(&server.line().await).unwrap();
    assert_eq!(event().await["event"], "no_database");
    // It ends in order as well.
    let other = place.at("other");
    let mut waiting =
        Running::start(SERVER, &[&arguments[2..], &["--json", "--data-dir", text(&other)]].concat());
    assert!(waiting.line().await.contains("no_database"));
    waiting.signal("-TERM").await;
    waiting.end().await.ended(0);
    cluster.run();
    let mut next = event().await;
    while next["event"] == "no_database" {
        next = event().await;
    }
    let url = next["url"].as_str().unwrap().to_owned();
    let listening = event().await;
    let at = format!("--server {} --bootstrap {bootstrap}", listening["public_key"].as_str().unwrap());
    let ada = Person::new();
    ada.run(&format!("{at} register --name Ada")).await.ended(0);
    cluster.kill();
    ada.run(&format!("{at} update --bio lost")).await.failed(10, "storage");
    ada.run(&format!("{at} update --bio lost")).await.failed(10, "storage");
    assert!(get(&url, "/readyz").await.ends_with("the store does not answer\n"));
    assert!(get(&url, "/healthz").await.ends_with("ok\n"));
    cluster.run();
    ada.run(&format!("{at} update --bio back")).await.ended(0);
    assert!(get(&url, "/readyz").await.ends_with("ready\n"));
    server.signal("-TERM").await;
    let mut log = String::new();
    stderr.read_to_string(&mut log).await.unwrap();
    server.end().await.ended(0);
    // At the start, each attempt is reported.
    let log = log.split_once("listening").unwrap().1;
    assert_eq!(log.matches("WARN").count() + log.matches("ERROR").count(), 1, "{log}");
    shows_nothing(log);
    network.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_the_configuration_ends_the_server_with_advice() {
    let Some(cluster) = Cluster::start() else { return };
    let database = cluster.database();
    let good = cluster.url(&database);
    let other_password = good.replace("do%20", "did%20");
    cluster.sql(&database, "CREATE ROLE guest LOGIN PASSWORD 'guest'");
    let guest = format!("postgres://guest:guest@127.0.0.1:{}/{database}", cluster.port);
    for (url, what, hint) in [
        (cluster.url("nothing"), "database \"nothing\" does not exist", "create the database"),
        (other_password, "password authentication failed", "pg_hba.conf"),
        (format!("{good}?sslmode=require"), "TLS", "sslrootcert=FILE"),
        (guest, "permission denied", "docs/operations.md"),
        (format!("{good}?sslmode=perhaps"), "cannot be used", "%40 for @"),
    ] {
        let place = Place::of(&url);
        let refused = place.typed("--local").await;
        assert!([2, 10].contains(&refused.code), "{refused:?}");
        assert!(refused.stderr.contains(what) && refused.stderr.contains(hint), "{refused:?}");
        shows_nothing(&refused.stderr.replace("did%20", "do%20").replace("did not", "do not"));
    }
    let place = Place::of(&good);
    place.typed("list").await.ended(0);
    cluster.sql(&database, "UPDATE profile_schema SET version = version + 1");
    let refused = place.typed("--local").await.ended(10);
    assert!(refused.stderr.contains("hint: update this program"), "{refused:?}");
    let refused = place.typed("restore").await.ended(2);
    assert!(refused.stderr.contains("no backup is named"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_profiles_move_there_and_back_and_a_killed_move_goes_on() {
    let Some(cluster) = Cluster::start() else { return };
    let place = Place::of(&cluster.url(&cluster.database()));
    write_backup(&place.at("backup"), 0..10_000);
    let [from, back] = ["from", "back"].map(|name| place.at(name));
    run(SERVER, &["restore", text(&place.at("backup")), "--store", text(&from)]).await.ended(0);
    let before = entries(&from).await;
    assert_eq!(before.len(), 10_000);
    // The database goes in the middle.
    let mut moving = Running::start(SERVER, &["--json", "move-store", text(&from), text(&place.file)]);
    moving.line().await;
    cluster.kill();
    let ended = moving.end().await.ended(10);
    assert!(ended.stdout.contains("\"kind\":\"storage\""), "{ended:?}");
    cluster.run();
    for (from, to) in [(&from, &place.file), (&place.file, &back)] {
        let arguments = ["--json", "move-store", text(from), text(to)];
        for events in [1, 7, 30] {
            let mut moving = Running::start(SERVER, &arguments);
            for _ in 0..events {
                let event: Value = serde_json::from_str(&moving.line().await).unwrap();
                assert_eq!(event["event"], "progress", "{event}");
            }
            moving.signal("-KILL").await;
            moving.end().await.ended(-1);
        }
        let moved = run(SERVER, &arguments).await.ended(0);
        shows_nothing(&format!("{moved:?}"));
        let end: Value = serde_json::from_str(moved.stdout.lines().last().unwrap()).unwrap();
        assert_eq!((&end["same"], &end["newer"]), (&json!(10_000), &json!(0)), "{end}");
        assert!(end["stored"].as_u64().unwrap() < 10_000, "what was there is not stored again: {end}");
        assert_eq!(entries(to).await, before);
    }
    // Nothing newer is replaced.
    cluster.sql("test0", "UPDATE profiles SET version = version + 1 WHERE state = 2");
    let again = run(SERVER, &["--json", "move-store", text(&from), text(&place.file)]).await.ended(0);
    let end: Value = serde_json::from_str(again.stdout.lines().last().unwrap()).unwrap();
    assert_eq!((&end["stored"], &end["newer"]), (&json!(0), &json!(1000)), "{end}");
    // Into another database.
    let other = Place::of(&cluster.url(&cluster.database()));
    run(SERVER, &["move-store", text(&place.file), text(&other.file)]).await.ended(0);
    assert_eq!(entries(&other.file).await, entries(&place.file).await);
    let same = run(SERVER, &["move-store", text(&other.file), text(&other.file)]).await.ended(2);
    assert!(same.stderr.contains("both places are"), "{same:?}");
}
