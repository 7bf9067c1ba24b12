//! What an operator types, at a server that runs and at a stopped one.

use std::fs;
use std::path::Path;

use hyperprofile::Testnet;
use serde_json::{Value, json};

use crate::backup::{command, stop};
use crate::harness::{Outcome, Person, SERVER, run, text};
use crate::network::{World, serve};

/// Runs a command with `--json`; returns its lines.
async fn asked(folder: &Path, words: &str) -> Vec<Value> {
    let words: Vec<_> = ["--json"].into_iter().chain(words.split(' ')).collect();
    let outcome = command(folder, &words).await.ended(0);
    outcome.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Runs a command for people.
async fn typed(folder: &Path, words: &str) -> Outcome {
    command(folder, &words.split(' ').collect::<Vec<_>>()).await
}

/// The lines of the audit file: command, subject, outcome.
fn audit(folder: &Path) -> Vec<[String; 3]> {
    let text = fs::read_to_string(folder.join("audit.log")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines
        .map(|line| {
            assert_eq!(line["user"], rustix_user());
            ["command", "subject", "outcome"].map(|name| line[name].as_str().unwrap_or_default().to_owned())
        })
        .collect()
}

fn rustix_user() -> Value {
    use std::os::unix::fs::MetadataExt as _;
    json!(fs::metadata("/proc/self").unwrap().uid())
}

#[tokio::test]
async fn a_ban_holds_at_once_and_after_a_restart_until_it_is_lifted() {
    let world = World::start(&[]).await;
    let folder = world.folder.path().to_owned();
    let (ada, bob) = (Person::new(), Person::new());
    world.client(&ada, "register --name Ada").await.ended(0);
    let key = ada.key().await;

    let banned = typed(&folder, &format!("ban {key} --reason spam")).await.ended(0);
    assert_eq!(banned.stdout, format!("banned {key}; connections ended: 0\n"));
    world.client(&ada, "update --bio x").await.failed(6, "closed");
    world.client(&bob, "register --name Bob").await.ended(0);
    let again = typed(&folder, &format!("ban {key}")).await.ended(0);
    assert_eq!(again.stdout, format!("{key} was banned already\n"));
    let listed = typed(&folder, "banned").await.ended(0).stdout;
    assert!(listed.starts_with(&key) && listed.ends_with("Z spam\n"), "{listed}");

    let world = world.restart(&[], |folder| assert!(folder.join("banned").exists())).await;
    world.client(&ada, "update --bio x").await.failed(6, "closed");
    let lifted = typed(&folder, &format!("unban {key}")).await.ended(0);
    assert_eq!(lifted.stdout, format!("unbanned {key}\n"));
    world.client(&ada, "update --bio x").await.ended(0);
    let again = typed(&folder, &format!("unban {key}")).await.ended(0);
    assert_eq!(again.stdout, format!("{key} was not banned\n"));

    typed(&folder, "ban 127.0.0.0/8").await.ended(0);
    world.client(&bob, "update --bio x").await.failed(6, "closed");
    typed(&folder, "unban 127.0.0.0/8").await.ended(0);
    world.client(&bob, "update --bio x").await.ended(0);

    let expected = [
        ["ban", &key, "done"],
        ["ban", &key, "unchanged"],
        ["unban", &key, "done"],
        ["unban", &key, "unchanged"],
        ["ban", "127.0.0.0/8", "done"],
        ["unban", "127.0.0.0/8", "done"],
    ];
    assert_eq!(audit(&folder), expected);
}

#[tokio::test]
async fn only_allowed_keys_register_and_the_file_is_read_when_it_changes() {
    let mut world = World::start(&["--registration", "allow-list"]).await;
    let folder = world.folder.path().to_owned();
    let (ada, bob) = (Person::new(), Person::new());
    let (ada_key, bob_key) = (ada.key().await, bob.key().await);
    world.client(&ada, "register --name Ada").await.failed(6, "closed");
    let allowed = typed(&folder, &format!("allow {ada_key} --reason invited")).await.ended(0);
    assert_eq!(allowed.stdout, format!("allowed {ada_key}\n"));
    world.client(&ada, "register --name Ada").await.ended(0);
    let listed = asked(&folder, "allowed").await;
    assert_eq!(listed[0]["target"], ada_key);
    assert!(listed[0]["note"].as_str().unwrap().ends_with("Z invited"));
    let already = typed(&folder, &format!("allow {ada_key}")).await.ended(0);
    assert_eq!(already.stdout, format!("{ada_key} was allowed already\n"));
    let gone = typed(&folder, &format!("disallow {ada_key}")).await.ended(0);
    assert_eq!(gone.stdout, format!("{ada_key} is allowed no more\n"));
    let gone = typed(&folder, &format!("disallow {ada_key}")).await.ended(0);
    assert_eq!(gone.stdout, format!("{ada_key} was not allowed\n"));
    world.client(&ada, "update --bio members-stay").await.ended(0);

    // By hand: the server looks at the file by itself.
    fs::write(folder.join("allowed"), format!("# friends\n{bob_key}\n")).unwrap();
    let mut stderr = world.server.child.stderr.take().unwrap();
    read_until(&mut stderr, "list read").await;
    world.client(&bob, "register --name Bob").await.ended(0);
    world.server.child.stderr = Some(stderr);
}

#[tokio::test]
async fn a_damaged_list_is_named_and_the_last_one_stays_in_force() {
    let mut world = World::start(&[]).await;
    let folder = world.folder.path().to_owned();
    let (ada, bob) = (Person::new(), Person::new());
    let key = ada.key().await;
    typed(&folder, &format!("ban {key}")).await.ended(0);
    let banned = folder.join("banned");
    let whole = fs::read_to_string(&banned).unwrap();
    fs::write(&banned, format!("{whole}nonsense\n")).unwrap();
    let named = format!("{}, line 2: ", banned.display());
    let mut stderr = world.server.child.stderr.take().unwrap();
    read_until(&mut stderr, "a list was not read again").await;
    world.client(&ada, "register --name Ada").await.failed(6, "closed");
    world.client(&bob, "register --name Bob").await.ended(0);
    for words in ["reload", "banned", "stats", "unban 9.9.9.9"] {
        let failed = typed(&folder, words).await.ended(10);
        assert!(failed.stderr.contains(&named), "{words}: {failed:?}");
        assert!(failed.stderr.contains("hint: correct the line, or put # in front of it"), "{failed:?}");
    }
    world.server.child.stderr = Some(stderr);
    let World { network, folder: _kept, server, .. } = world;
    stop(server).await;
    // It does not start without its bans.
    let refused = serve(&network, &folder, &[]).end().await.ended(10);
    assert!(refused.stderr.contains(&named) && refused.stdout.is_empty(), "{refused:?}");
    fs::write(&banned, whole).unwrap();
    let mut server = serve(&network, &folder, &[]);
    server.line().await;
    stop(server).await;
}

/// Reads what a program prints until it contains a text.
pub(crate) async fn read_until(stream: &mut (impl tokio::io::AsyncRead + Unpin), wanted: &str) -> String {
    let read = async {
        let mut seen = String::new();
        while !seen.contains(wanted) {
            let mut some = [0; 4096];
            let read = tokio::io::AsyncReadExt::read(stream, &mut some).await.unwrap();
            assert!(read > 0, "it has ended: {seen}");
            seen.push_str(&String::from_utf8_lossy(&some[..read]));
        }
        seen
    };
    tokio::time::timeout(crate::harness::DEADLINE, read).await.expect("the text in time")
}

#[tokio::test]
async fn a_stopped_server_has_lists_and_numbers_and_nothing_that_runs() {
    let World { network, folder, server, .. } = World::start(&[]).await;
    stop(server).await;
    let (folder, key) = (folder.path(), Person::new().key().await);
    for words in ["connections", "reload", &format!("disconnect {key}")] {
        let failed = typed(folder, words).await.ended(3);
        let what = format!("error: no server runs in {}\nhint: start it, or name", folder.display());
        assert!(failed.stderr.starts_with(&what), "{failed:?}");
        let words: Vec<_> = ["--json"].into_iter().chain(words.split(' ')).collect();
        command(folder, &words).await.failed(3, "not_running");
    }
    let banned = typed(folder, &format!("ban {key}")).await.ended(0);
    assert_eq!(banned.stdout, format!("banned {key}; connections ended: 0\n"));
    typed(folder, &format!("allow {key}")).await.ended(0);
    let stats = asked(folder, "stats").await.remove(0);
    let expected = json!({
        "running": false, "store": folder.join("profiles"), "store_kind": "sled", "profiles": 0,
        "banned_keys": 1, "banned_networks": 0, "allowed_keys": 1,
    });
    assert_eq!(stats, expected);
    let mut server = serve(&network, folder, &[]);
    server.line().await;
    let stats = asked(folder, "stats").await.remove(0);
    for (name, value) in [
        ("running", json!(true)),
        ("banned_keys", json!(1)),
        ("registration", json!("open")),
        ("connections", json!(0)),
        ("most_connections", json!(10_000)),
    ] {
        assert_eq!(stats[name], value, "{stats}");
    }
    let shown = typed(folder, "stats").await.ended(0).stdout;
    assert!(shown.starts_with("the server runs\n") && shown.contains("\nallowed keys: 1\n"), "{shown}");
    stop(server).await;
    // What failed because no server ran is noted as that.
    let noted = audit(folder);
    assert_eq!(noted.iter().filter(|line| line[2].starts_with("failed: no server runs")).count(), 4);
}

#[tokio::test]
async fn what_is_no_command_or_no_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let failed = typed(&missing, "banned").await.ended(10);
    assert!(failed.stderr.contains("hint: name the server's folder with --data-dir"), "{failed:?}");
    assert!(!missing.exists());
    for words in [
        "ban",
        "ban nonsense",
        "ban 10.1.2.3/8",
        "allow 10.0.0.0/8",
        "show",
        "show abc",
        "list --limit 0",
        "list --since tomorrow",
        "disconnect 1.2.3.4",
    ] {
        typed(folder.path(), words).await.ended(2);
    }
    let failed = typed(folder.path(), "ban 10.1.2.3/8").await;
    assert!(failed.stderr.contains("10.1.2.3 is inside of the network 10.0.0.0/8"), "{failed:?}");
    let reason = command(folder.path(), &["ban", "10.0.0.0/8", "--reason", "two\nlines"]).await.ended(2);
    assert!(reason.stderr.contains("expected one line of at most 200 visible characters"), "{reason:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn connections_are_listed_and_ended_from_outside() {
    let network = Testnet::new(5).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut server = serve(&network, folder.path(), &[]);
    let key: hyperprofile::PublicKey = server.line().await.parse().unwrap();
    let node = network.builder().spawn().await.unwrap();
    let own = hyperprofile::KeyPair::from_seed(&[3; 32]);
    let connection = node.connect(key).key_pair(&own).await.unwrap();
    let (mut reader, mut writer) = tokio::io::split(connection);
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    writer.write_all(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{}}\n").await.unwrap();
    read_until(&mut reader, "\"id\":1").await;
    let open = asked(folder.path(), "connections").await;
    assert_eq!(open.len(), 1);
    let own = own.public_key().to_z32();
    let expected = (&json!(own), &json!("127.0.0.1"), &json!("direct"), &json!(1));
    assert_eq!((&open[0]["key"], &open[0]["address"], &open[0]["path"], &open[0]["requests"]), expected);
    let shown = typed(folder.path(), "connections").await.ended(0).stdout;
    assert!(shown.starts_with(&format!("{own}  127.0.0.1        direct  ")), "{shown}");
    let ended = typed(folder.path(), &format!("disconnect {own}")).await.ended(0);
    assert_eq!(ended.stdout, "connections ended: 1\n");
    assert_eq!(reader.read(&mut [0; 9]).await.unwrap(), 0, "it ends in order");
    let none = typed(folder.path(), &format!("disconnect {own}")).await.ended(0);
    assert_eq!(none.stdout, "the key has no open connection\n");
    assert_eq!(typed(folder.path(), "connections").await.ended(0).stdout, "");
    stop(server).await;
}

#[tokio::test]
async fn the_configuration_that_is_printed_sets_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first.toml"), folder.path().join("second.toml"));
    fs::write(&first, "registration = \"allow-list\"\nbackup-dir = \"back \\\"ups\"\nverbose = 1\n").unwrap();
    let typed = ["--config", text(&first), "--lookups-per-minute", "7", "--bootstrap", "a:1,b:2", "config"];
    let printed = run(SERVER, &typed).await.ended(0).stdout;
    for line in [
        format!("registration = \"allow-list\"  # {}:1", first.display()),
        format!("backup-dir = \"{}/back \\\"ups\"  # {}:2", folder.path().display(), first.display()),
        format!("verbose = 1  # {}:3", first.display()),
        "bootstrap = [\"a:1\", \"b:2\"]  # argument".into(),
        "lookups-per-minute = 7  # argument".into(),
        "writes-per-minute = 10  # default".into(),
        "json = false  # default".into(),
        "# bind is not set".into(),
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{line}\n{printed}");
    }
    fs::write(&second, &printed).unwrap();
    let again = run(SERVER, &["--config", text(&second), "config"]).await.ended(0).stdout;
    let values = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.split("  #").next().unwrap().to_owned()).collect()
    };
    assert_eq!(values(&again), values(&printed));
    let lines = run(SERVER, &["--json", "--config", text(&second), "config"]).await.ended(0).stdout;
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let verbose = lines.iter().find(|line| line["option"] == "verbose").unwrap();
    assert_eq!((&verbose["values"], &verbose["source"]["kind"]), (&json!(["1"]), &json!("file")));
}

#[tokio::test]
async fn a_reload_applies_what_it_can_and_names_the_rest() {
    let outside = tempfile::tempdir().unwrap();
    let config = outside.path().join("config.toml");
    fs::write(&config, "registration = \"closed\"\n").unwrap();
    let mut world = World::start(&["--config", text(&config)]).await;
    let folder = world.folder.path().to_owned();
    let (ada, bob) = (Person::new(), Person::new());
    world.client(&ada, "register --name Ada").await.failed(6, "closed");
    let unchanged = typed(&folder, "reload").await.ended(0);
    assert_eq!(unchanged.stdout, "read again; no setting has changed\n");

    let backups = outside.path().join("backups");
    fs::write(&config, "registration = \"open\"\nbind = \"127.0.0.1:7\"\nbackup-dir = \"backups\"\n")
        .unwrap();
    let reloaded = typed(&folder, "reload").await.ended(0);
    let expected = "read again; in force: registration, backup-dir\nchanged, but needs a restart: bind\n";
    assert_eq!(reloaded.stdout, expected);
    world.client(&ada, "register --name Ada").await.ended(0);
    let mut stderr = world.server.child.stderr.take().unwrap();
    read_until(&mut stderr, "backup written").await;
    assert_eq!(fs::read_dir(&backups).unwrap().count(), 1);

    // An error leaves everything as it was.
    fs::write(&config, "registration = \"closed\"\nlookup = 7\n").unwrap();
    let failed = typed(&folder, "reload").await.ended(2);
    assert!(failed.stderr.contains(&format!("{}:2: ", config.display())), "{failed:?}");
    world.client(&bob, "register --name Bob").await.ended(0);
    world.server.signal("-HUP").await;
    read_until(&mut stderr, "the configuration was not read again: nothing has changed").await;
    fs::write(&config, "registration = \"closed\"\nlookup = \"closed\"\n").unwrap();
    world.server.signal("-HUP").await;
    let log = read_until(&mut stderr, "configuration read again").await;
    assert!(log.contains("changed=\"registration lookup backup-dir\" restart=\"\""), "{log}");
    world.client(&Person::new(), "register --name Eve").await.failed(6, "closed");
    let noted = audit(&folder);
    let outcomes: Vec<_> = noted.iter().map(|line| line[2].split(':').next().unwrap()).collect();
    assert_eq!(outcomes, ["done", "done", "failed", "failed", "done"]);
    world.server.child.stderr = Some(stderr);
    stop(world.server).await;
}

/// Writes a backup of so many profiles, of the keys made from seeds; returns the keys in their order.
fn backup_of(path: &Path, count: u16) -> Vec<hyperprofile::PublicKey> {
    use hyperprofile::KeyPair;
    use hyperprofile::profile::backup::{Entry, Writer};
    use hyperprofile::profile::entry::{Dated, KeyEntry};
    use hyperprofile::profile::{Profile, Record};
    let mut entries: Vec<_> = (0..count)
        .map(|number| {
            let mut seed = [0; 32];
            seed[..2].copy_from_slice(&number.to_le_bytes());
            let owner = KeyPair::from_seed(&seed);
            let profile = Profile::parse(&format!("{{\"name\":\"Person {number}\"}}")).unwrap();
            let entry = KeyEntry::Present(Record::sign(&owner, 1, profile));
            (*owner.public_key(), Dated { entry, changed: 1_700_000_000 + u64::from(number) })
        })
        .collect();
    entries.sort_by_key(|(key, _)| *key);
    let mut writer = Writer::begin(fs::File::create(path).unwrap(), 1).unwrap();
    for (key, held) in &entries {
        writer.entry(Entry::of(key, held.clone()).unwrap()).unwrap();
    }
    writer.close().unwrap();
    entries.into_iter().map(|(key, _)| key).collect()
}

#[tokio::test]
async fn ten_thousand_profiles_are_listed_page_by_page() {
    let outside = tempfile::tempdir().unwrap();
    let (backup, folder) = (outside.path().join("backup.jsonl"), outside.path().join("data"));
    let keys = backup_of(&backup, 10_000);
    fs::create_dir(&folder).unwrap();
    command(&folder, &["restore", text(&backup)]).await.ended(0);
    let all: Vec<_> = keys.iter().map(|key| json!(key)).collect();
    let key_of = |line: &Value| line["key"].clone();
    let network = Testnet::new(5).await.unwrap();
    for is_running in [false, true] {
        let server = match is_running {
            true => {
                let mut server = serve(&network, &folder, &[]);
                server.line().await;
                Some(server)
            }
            false => None,
        };
        let listed = asked(&folder, "list").await;
        assert_eq!(listed.iter().map(key_of).collect::<Vec<_>>(), all);
        assert_eq!((&listed[0]["state"], &listed[0]["version"]), (&json!("present"), &json!(1)));
        // Few of many: pages with nothing in them.
        let recent = asked(&folder, "list --since 2023-11-15T00:59:51Z").await;
        let mut names: Vec<_> = recent.iter().map(|line| line["name"].as_str().unwrap()).collect();
        names.sort_unstable();
        let expected: Vec<_> = (9991..10_000).map(|number| format!("Person {number}")).collect();
        assert_eq!(names, expected);
        let some = asked(&folder, &format!("list --limit 1200 --after {}", keys[4999])).await;
        assert_eq!(some.iter().map(key_of).collect::<Vec<_>>(), all[5000..6200]);
        let last = typed(&folder, &format!("list --limit 2 --after {}", keys[9997])).await.ended(0);
        assert_eq!(last.stdout.lines().count(), 4, "{last:?}");
        let hint = format!("there may be more: --after {}\n", keys[9999]);
        assert_eq!(last.stderr, hint);
        if let Some(server) = server {
            stop(server).await;
        }
    }
}

#[tokio::test]
async fn a_profile_is_shown_and_deleted_and_its_name_is_shown_as_text() {
    let world = World::start(&[]).await;
    let folder = world.folder.path().to_owned();
    let (ada, bob) = (Person::new(), Person::new());
    world.client(&ada, "register --name Ada --bio counts").await.ended(0);
    let (key, none) = (ada.key().await, bob.key().await);
    for words in [format!("show {none}"), format!("delete --yes {none}")] {
        let failed = typed(&folder, &words).await.ended(8);
        assert_eq!(failed.stderr, format!("error: {none} has no profile here\n"));
    }
    let unasked = typed(&folder, &format!("delete {key}")).await.ended(2);
    assert!(unasked.stderr.contains("deleting needs --yes"), "{unasked:?}");
    let shown = typed(&folder, &format!("show {key}")).await.ended(0).stdout;
    let lines: Vec<_> = shown.lines().collect();
    assert_eq!(lines[..3], ["name:    Ada", "bio:     counts", &format!("key:     {key}")]);
    assert!(lines[4].starts_with("changed: 20") && lines[4].ends_with('Z'), "{shown}");
    let listed = typed(&folder, "list").await.ended(0).stdout;
    assert!(listed.starts_with(&format!("{key}     1  20")) && listed.ends_with("Z\n  Ada\n"), "{listed}");

    let deleted = typed(&folder, &format!("delete --yes {key}")).await.ended(0);
    assert_eq!(deleted.stdout, format!("deleted the profile of {key}\n"));
    world.client(&ada, "show").await.failed(8, "not_registered");
    let listed = typed(&folder, "list").await.ended(0).stdout;
    assert!(listed.ends_with("Z  deleted\n"), "{listed}");
    let shown = typed(&folder, &format!("show {key}")).await.ended(0).stdout;
    assert!(shown.contains("\nstate:   deleted\n"), "{shown}");
    typed(&folder, &format!("delete --yes {key}")).await.ended(8);
    // Its owner may come back, and the operator of a stopped server can do the same.
    world.client(&ada, "register --name Ada").await.ended(0);
    let World { network: _network, folder: _kept, server, .. } = world;
    stop(server).await;
    typed(&folder, &format!("delete --yes {key}")).await.ended(0);
    assert_eq!(asked(&folder, &format!("show {key}")).await[0]["entry"]["state"], "deleted");
    let noted = audit(&folder);
    assert_eq!(noted.iter().filter(|line| line[2] == "done").count(), 2);
    assert_eq!(noted.iter().filter(|line| line[2].starts_with("failed: ")).count(), 2);
}

#[tokio::test]
async fn a_person_is_asked_before_a_profile_is_deleted() {
    use crate::prompts::{Terminal, end};
    let world = World::start(&[]).await;
    let folder = world.folder.path().to_owned();
    let ada = Person::new();
    world.client(&ada, "register --name Ada").await.ended(0);
    let key = ada.key().await;
    for (keys, code, is_left) in [("n\n", 0, true), ("\u{3}", 130, true), ("y\n", 0, false)] {
        let mut terminal = Terminal::open();
        let child = terminal.start(SERVER, &["delete", &key, "--data-dir", text(&folder)]);
        terminal.wait_for("Remove this profile from the server? [y/N]");
        assert!(terminal.shown.contains("name:    Ada"), "{}", terminal.shown);
        terminal.press(keys);
        assert_eq!(end(child).await.code(), Some(code), "{keys:?}: {}", terminal.shown);
        let state = asked(&folder, &format!("show {key}")).await[0]["entry"]["state"].clone();
        assert_eq!(state == "present", is_left, "{keys:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_terminal_is_closed_ends_and_one_that_gets_a_signal_there_reads_again() {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use std::io::Read as _;
    use std::process::Stdio;
    let network = Testnet::new(5).await.unwrap();
    let bootstrap = network.bootstrap().remove(0);
    let folder = tempfile::tempdir().unwrap();
    // A child that had it open as well would keep the terminal.
    let user = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&user).unwrap();
    unlockpt(&user).unwrap();
    let name = ptsname(&user, Vec::new()).unwrap().into_string().unwrap();
    let line = || Stdio::from(fs::OpenOptions::new().read(true).write(true).open(&name).unwrap());
    let mut command = tokio::process::Command::new("setsid");
    command.args(["--ctty", SERVER, "--bootstrap", &bootstrap, "--data-dir", text(folder.path())]);
    let mut server = command.stdin(line()).stdout(line()).stderr(line()).kill_on_drop(true).spawn().unwrap();
    drop(command);
    let mut user = fs::File::from(user);
    let mut read_until = |wanted: &str| {
        let mut shown = String::new();
        while !shown.contains(wanted) {
            let mut some = [0; 4096];
            let length = user.read(&mut some).unwrap();
            shown.push_str(&String::from_utf8_lossy(&some[..length]));
        }
    };
    tokio::task::block_in_place(|| read_until(" INFO listening"));
    let process = server.id().unwrap().to_string();
    let sent = tokio::process::Command::new("kill").args(["-HUP", &process]).status().await;
    assert!(sent.unwrap().success());
    tokio::task::block_in_place(|| read_until("configuration read again"));
    drop(user);
    let ended = tokio::time::timeout(crate::harness::DEADLINE, server.wait()).await;
    assert!(ended.expect("an end in time").unwrap().success());
}
