//! Where the profiles are: another folder, or a database, and moves from one to another.

use std::fs;
use std::path::Path;

use hyperprofile::profile::backup::{Entry, Writer};
use hyperprofile::profile::entry::{Dated, KeyEntry};
use hyperprofile::profile::{Profile, Record, Rotation, SledStore};
use hyperprofile::{KeyPair, PublicKey};
use serde_json::{Value, json};

use crate::backup::stop;
use crate::harness::{Outcome, Person, Running, SERVER, run, text};
use crate::network::World;

const VARIABLE: &str = "PROFILE_SERVER_STORE";
/// A password, and what is left of it where it is written as in a URL.
const SECRET: &str = "hunter2%20of%20all";

/// Runs the server's program with words that are split at spaces.
async fn typed(words: &str) -> Outcome {
    run(SERVER, &words.split(' ').collect::<Vec<_>>()).await
}

async fn with_variable(value: &str, words: &str) -> Outcome {
    Running::start_in(SERVER, &words.split(' ').collect::<Vec<_>>(), &[(VARIABLE, value)]).end().await
}

fn shows_nothing(outcome: &Outcome) {
    let shown = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(!shown.contains("hunter2") && !shown.contains("of all"), "{shown}");
}

/// Makes an entry of one of the kinds, by number.
fn entry(number: u32) -> Entry {
    let owner = |number: u32| {
        let mut seed = [0; 32];
        seed[..4].copy_from_slice(&number.to_le_bytes());
        KeyPair::from_seed(&seed)
    };
    let (owner, new) = (owner(number), owner(u32::MAX - number));
    let entry = match number % 10 {
        9 => KeyEntry::Deleted { version: 7 },
        8 => KeyEntry::Moved { rotation: Rotation::sign(&owner, &new), version: 3 },
        version => {
            let profile = Profile::parse(&format!("{{\"name\":\"Person {number}\"}}")).unwrap();
            KeyEntry::Present(Record::sign(&owner, u64::from(version) + 1, profile))
        }
    };
    let held = Dated { entry, changed: 1_700_000_000 + u64::from(number) };
    Entry::of(owner.public_key(), held).unwrap()
}

/// Writes a backup of entries, and returns their keys.
pub(crate) fn write_backup(path: &Path, numbers: std::ops::Range<u32>) -> Vec<PublicKey> {
    let mut writer = Writer::begin(fs::File::create(path).unwrap(), 1).unwrap();
    let entries: Vec<_> = numbers.map(entry).collect();
    let keys = entries.iter().map(|entry| *entry.key()).collect();
    entries.into_iter().for_each(|entry| writer.entry(entry).unwrap());
    writer.close().unwrap();
    keys
}

/// Returns the lines of the entries in a place.
pub(crate) async fn entries(place: &Path) -> Vec<String> {
    let backup = run(SERVER, &["backup", "-", "--store", text(place)]).await.ended(0).stdout;
    let mut lines: Vec<_> = backup.lines().map(String::from).collect();
    // The first line and the last one differ in their times, and in nothing else.
    lines.remove(0);
    lines.pop();
    lines
}

#[tokio::test]
async fn profiles_may_be_in_another_folder() {
    let outside = tempfile::tempdir().unwrap();
    let store = outside.path().join("elsewhere/store");
    let named = ["--store", text(&store)];
    let world = World::start(&named).await;
    world.client(&Person::new(), "register --name Ada").await.ended(0);
    let data = world.folder.path().to_owned();
    assert!(store.join("witness").exists() && !data.join("profiles").exists());
    let of = |words: &str| {
        let words: Vec<_> = words.split(' ').map(String::from).collect();
        let (data, store) = (text(&data).to_owned(), text(&store).to_owned());
        async move {
            let words: Vec<_> = words.iter().map(String::as_str).collect();
            run(SERVER, &[&words[..], &["--data-dir", &data, "--store", &store]].concat()).await
        }
    };
    assert!(of("list").await.ended(0).stdout.contains("Ada"));
    assert_eq!(of("--json stats").await.ended(0).json()["running"], true);
    // Another store is not what the running server has.
    let other = format!("list --data-dir {} --store {}", text(&data), text(&outside.path().join("none")));
    let none = typed(&other).await.ended(10);
    assert!(none.stderr.contains("there are no profiles in ") && none.stderr.contains("--store"), "{none:?}");
    // Nor does a second server take over the socket of the first one.
    let second = format!("--data-dir {} --store {} --local", text(&data), text(&outside.path().join("two")));
    let second = typed(&second).await.ended(10);
    assert!(second.stderr.contains("is locked: another server is using it"), "{second:?}");
    let backup = outside.path().join("backup.jsonl");
    of(&format!("backup {}", text(&backup))).await.ended(0);
    stop(world.server).await;
    assert!(of("list").await.ended(0).stdout.contains("Ada"));
    of(&format!("check {}", text(&backup))).await.ended(0);
    let restored = of(&format!("restore {}", text(&backup))).await.ended(0);
    assert!(restored.stdout.contains("0 restored, 1 already there"), "{restored:?}");
    // With a slash at its end, and as the environment has it.
    let listed = with_variable(&format!("{}/", text(&store)), "list").await.ended(0);
    assert!(listed.stdout.contains("Ada"), "{listed:?}");
}

#[tokio::test]
async fn a_password_is_neither_taken_from_an_argument_nor_shown() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("postgres://ada:{SECRET}@127.0.0.1:1/db");
    for words in ["list", "backup -", "check", "stats", "config --json", "restore -"] {
        let refused = typed(&format!("{words} --data-dir {} --store {url}", text(folder.path()))).await;
        shows_nothing(&refused);
        let code = if words.starts_with("config") { 0 } else { 2 };
        let refused = refused.ended(code);
        if code == 2 {
            assert!(
                refused.stderr.contains("postgres://ada@127.0.0.1:1/db is named with a password"),
                "{refused:?}"
            );
            assert!(refused.stderr.contains(VARIABLE) && refused.stderr.contains("file"), "{refused:?}");
        }
    }
    let moved = typed(&format!("move-store {} {url}", text(folder.path()))).await.ended(2);
    shows_nothing(&moved);
    let file = folder.path().join("config.toml");
    fs::write(&file, format!("store = \"{url}\"\n")).unwrap();
    let refused = typed(&format!("list --config {}", text(&file))).await.ended(2);
    shows_nothing(&refused);
    // Where it comes from is shown.
    let shown = typed(&format!("config --config {}", text(&file))).await.ended(0);
    shows_nothing(&shown);
    assert!(shown.stdout.contains("store = \"postgres://ada@127.0.0.1:1/db\"  # "), "{shown:?}");
    let hosts = format!("postgres://ada:{SECRET}@one,two:7/db?sslmode=disable");
    let shown = with_variable(&hosts, "config").await.ended(0);
    shows_nothing(&shown);
    let expected =
        format!("store = \"postgres://ada@one,two:7/db?sslmode=disable\"  # environment: {VARIABLE}");
    assert!(shown.stdout.contains(&expected), "{shown:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_names_a_database_and_one_with_a_password_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("url");
    let mode = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    let list = format!("list --store {}", text(&file));
    fs::write(&file, "hello\n").unwrap();
    mode(0o644);
    let refused = typed(&list).await.ended(2);
    assert!(refused.stderr.contains("is no URL of a database"), "{refused:?}");
    // Without a password, everyone may read it.
    fs::write(&file, "postgres://ada@127.0.0.1:1/db?sslmode=nonsense\nmore\n").unwrap();
    let refused = typed(&list).await;
    assert!(!refused.stderr.contains("can be read by other users"), "{refused:?}");
    fs::write(&file, format!("postgres://ada:{SECRET}@127.0.0.1:1/db?sslmode=nonsense\n")).unwrap();
    let refused = typed(&list).await.ended(2);
    shows_nothing(&refused);
    let expected = format!("error: the password in {} can be read by other users (mode 0644)", text(&file));
    assert!(refused.stderr.contains(&expected), "{refused:?}");
    assert!(refused.stderr.contains("chmod 600"), "{refused:?}");
    // As an orchestrator mounts it.
    mode(0o640);
    typed(&list).await.ended(2).stderr.find("--no-strict-modes").unwrap();
    for accepted in [0o600, 0o640] {
        mode(accepted);
        let refused = typed(&format!("{list} --no-strict-modes")).await.ended(2);
        shows_nothing(&refused);
        assert!(!refused.stderr.contains("can be read by other users"), "{refused:?}");
    }
    let refused = typed("list --store mysql://ada@h/db").await.ended(2);
    assert!(refused.stderr.contains("mysql://ada@h/db is no place for profiles"), "{refused:?}");
    for number in ["0", "1001"] {
        typed(&format!("--store-connections {number} list")).await.ended(2);
    }
}

#[cfg(not(feature = "postgres"))]
#[tokio::test]
async fn a_build_without_databases_names_the_one_that_has_them() {
    for words in ["list", "move-store postgres://h/db folder"] {
        let refused = typed(&format!("{words} --store postgres://ada@h/db")).await.ended(2);
        assert!(refused.stderr.contains("is built without databases"), "{refused:?}");
        assert!(refused.stderr.contains("cargo install hyperprofile --features postgres"), "{refused:?}");
    }
}

#[tokio::test]
async fn profiles_move_from_folder_to_folder_and_the_first_one_stays() {
    let outside = tempfile::tempdir().unwrap();
    let at = |name: &str| outside.path().join(name);
    write_backup(&at("backup"), 0..300);
    run(SERVER, &["restore", text(&at("backup")), "--store", text(&at("from"))]).await.ended(0);
    let before = entries(&at("from")).await;
    let moved = typed(&format!("move-store {} {}", text(&at("from")), text(&at("to")))).await.ended(0);
    let lines: Vec<_> = moved.stdout.lines().collect();
    assert_eq!(lines[0], "300 entries stored; 0 were there already, or newer ones");
    assert_eq!(
        lines[1],
        "compared: 240 profiles and 30 deleted ones, and 30 replaced keys; 300 are the same there, 0 are \
         newer there"
    );
    assert!(lines.last().unwrap().ends_with(&format!("--store '{}'", text(&at("to")))), "{moved:?}");
    assert_eq!(entries(&at("to")).await, before);
    assert_eq!(entries(&at("from")).await, before);
    assert!(!at("to.moving").exists());
    // Again, with something newer in the new place, and something that only that one has.
    let store = SledStore::open(&at("to")).unwrap();
    let (held, other) = (entry(1), entry(1000));
    let newer = KeyEntry::Deleted { version: 99 };
    assert!(store.restore_entry(*held.key(), newer).await.unwrap());
    assert!(store.restore_entry(*other.key(), other.into_held()).await.unwrap());
    // A server uses the place.
    let refused = typed(&format!("move-store {} {}", text(&at("from")), text(&at("to")))).await.ended(10);
    assert!(refused.stderr.contains("stop the server that uses"), "{refused:?}");
    let refused = typed(&format!("move-store {} {}", text(&at("to")), text(&at("new")))).await.ended(10);
    assert!(refused.stderr.contains("stop the server that uses"), "{refused:?}");
    drop(store);
    let again = format!("--json move-store {} {}", text(&at("from")), text(&at("to")));
    let again = typed(&again).await.ended(0).stdout;
    let end: Value = serde_json::from_str(again.lines().last().unwrap()).unwrap();
    assert_eq!((&end["stored"], &end["same"], &end["newer"]), (&json!(0), &json!(299), &json!(1)), "{end}");
    for (from, to, code, what) in [
        ("from", "from", 2, "both places are"),
        ("nothing", "to", 10, "there are no profiles in"),
        ("from", "backup", 2, "is no URL of a database"),
    ] {
        let refused = typed(&format!("move-store {} {}", text(&at(from)), text(&at(to)))).await.ended(code);
        assert!(refused.stderr.contains(what), "{refused:?}");
    }
}

#[tokio::test]
async fn a_killed_move_goes_on_and_no_server_begins_with_a_part() {
    let outside = tempfile::tempdir().unwrap();
    let at = |name: &str| outside.path().join(name);
    write_backup(&at("backup"), 0..2000);
    run(SERVER, &["restore", text(&at("backup")), "--store", text(&at("from"))]).await.ended(0);
    let before = entries(&at("from")).await;
    let (from, to) = (at("from"), at("to"));
    let arguments = ["--json", "move-store", text(&from), text(&to)];
    for events in [1, 3, 7] {
        let mut moving = Running::start(SERVER, &arguments);
        for _ in 0..events {
            let event: Value = serde_json::from_str(&moving.line().await).unwrap();
            assert_eq!(event["event"], "progress", "{event}");
        }
        moving.signal("-KILL").await;
        moving.end().await.ended(-1);
        let refused = typed(&format!("--store {} --local", text(&to))).await.ended(10);
        assert!(refused.stderr.contains("moving profiles here was interrupted"), "{refused:?}");
    }
    run(SERVER, &arguments).await.ended(0);
    assert_eq!(entries(&to).await, before);
    assert_eq!(entries(&from).await, before);
}
