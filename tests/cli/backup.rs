//! Backups by hand and by the clock, and the way back from damaged profiles.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::harness::{Outcome, Person, SERVER, run, text};
use crate::network::{World, serve};

/// Runs a command of the server on a folder.
pub(crate) async fn command(folder: &Path, words: &[&str]) -> Outcome {
    let arguments = [words, &["--data-dir", text(folder)]].concat();
    run(SERVER, &arguments).await
}

/// Ends the server of a world.
pub(crate) async fn stop(server: crate::harness::Running) {
    server.signal("-TERM").await;
    server.end().await.ended(0);
}

/// Zeroes the middle of the largest file of the profiles: the database's log.
fn damage(folder: &Path) {
    let mut files = Vec::new();
    list(&folder.join("profiles"), &mut files);
    let (_, path) = files.into_iter().max().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[used / 3..used].fill(0);
    fs::write(path, bytes).unwrap();
}

fn list(folder: &Path, files: &mut Vec<(u64, std::path::PathBuf)>) {
    for file in fs::read_dir(folder).unwrap() {
        let file = file.unwrap();
        match file.file_type().unwrap().is_dir() {
            true => list(&file.path(), files),
            false if file.file_name() != "keys" => files.push((file.metadata().unwrap().len(), file.path())),
            false => {}
        }
    }
}

#[tokio::test]
async fn the_way_back_from_damaged_profiles_is_the_one_that_the_messages_name() {
    let world = World::start(&[]).await;
    let people: Vec<_> = (0..4).map(|_| Person::new()).collect();
    for (number, who) in people.iter().take(3).enumerate() {
        world.client(who, &format!("register --name Person{number}")).await.ended(0);
    }
    let outside = tempfile::tempdir().unwrap();
    let backup = outside.path().join("backup.jsonl.gz");
    let folder = world.folder.path().to_owned();
    // The server runs.
    let written = command(&folder, &["backup", text(&backup)]).await.ended(0);
    assert!(written.stderr.contains("wrote 3 profiles"), "{written:?}");
    world.client(&people[0], "update --bio later").await.ended(0);
    world.client(&people[3], "register --name Person3").await.ended(0);
    let World { network, folder: _kept, server, key } = world;
    stop(server).await;
    damage(&folder);

    let refused = command(&folder, &[]).await.ended(10);
    for command in ["profile-server check", "profile-server restore"] {
        assert!(refused.stderr.contains(command), "{refused:#?}");
    }
    let checked = command(&folder, &["--json", "check", text(&backup)]).await.ended(10);
    let report: Value = serde_json::from_str(checked.stdout.lines().next().unwrap()).unwrap();
    assert_eq!((&report["is_whole"], &report["keys"]), (&false.into(), &4.into()), "{report}");
    assert_eq!(report["backup"]["entries"], 3);
    let restored = command(&folder, &["restore", text(&backup)]).await.ended(0);
    assert!(restored.stderr.contains("the damaged profiles are kept in"), "{restored:#?}");
    let kept = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    assert!(kept.into_iter().any(|name| name.starts_with("profiles.") && name != "profiles.restoring"));

    let mut server = serve(&network, &folder, &[]);
    assert_eq!(server.line().await, key);
    let bootstrap = network.bootstrap().remove(0);
    let at = format!("--server {key} --bootstrap {bootstrap}");
    for (number, who) in people.iter().enumerate().skip(1).take(2) {
        let shown = who.run(&format!("{at} show")).await.ended(0).json();
        assert_eq!(shown["profile"]["name"], format!("Person{number}"));
    }
    // What is in no backup, its owner has; if the damage spared it, it is there already.
    for who in [&people[0], &people[3]] {
        let back = who.run(&format!("{at} register --again")).await.ended(0).json();
        assert_eq!(who.run(&format!("{at} show")).await.ended(0).json(), back);
    }
    let shown = people[0].run(&format!("{at} show")).await.ended(0).json();
    assert_eq!(shown["profile"]["bio"], "later");
}

#[tokio::test]
async fn a_backup_restores_elsewhere_and_takes_nothing_newer_away() {
    let world = World::start(&[]).await;
    let (ada, bob, eve) = (Person::new(), Person::new(), Person::new());
    for who in [&ada, &bob, &eve] {
        world.client(who, "register --name Somebody").await.ended(0);
    }
    world.client(&eve, "delete --yes").await.ended(0);
    let outside = tempfile::tempdir().unwrap();
    let backup = outside.path().join("backup.jsonl");
    let folder = world.folder.path().to_owned();
    command(&folder, &["backup", text(&backup)]).await.ended(0);
    world.client(&ada, "update --bio newer").await.ended(0);
    world.client(&bob, "delete --yes").await.ended(0);
    // The lock of a running server is respected, and the message says what to do.
    let refused = command(&folder, &["restore", text(&backup)]).await.ended(10);
    assert!(refused.stderr.contains("hint: stop the server first"), "{refused:?}");
    let World { network: _network, folder: _kept, server, .. } = world;
    stop(server).await;

    let restored = command(&folder, &["restore", text(&backup)]).await.ended(0);
    assert!(restored.stdout.contains("0 restored, 1 already there, 2 older"), "{restored:?}");
    // A stopped server's profiles are read as they are.
    let both = outside.path().join("both.jsonl");
    command(&folder, &["backup", text(&both)]).await.ended(0);
    let lines = fs::read_to_string(&both).unwrap();
    assert!(lines.contains("newer") && lines.matches("\"deleted\":true").count() == 2, "{lines}");

    let elsewhere = tempfile::tempdir().unwrap();
    let target = elsewhere.path().join("data");
    fs::create_dir(&target).unwrap();
    let restored = command(&target, &["restore", text(&backup)]).await.ended(0);
    assert!(restored.stdout.contains("3 restored"), "{restored:?}");
    let restored = command(&target, &["restore", text(&both)]).await.ended(0);
    assert!(restored.stdout.contains("2 restored, 1 already there, 0 older"), "{restored:?}");
    let again = outside.path().join("again.jsonl");
    command(&target, &["backup", text(&again)]).await.ended(0);
    let entries = |path: &Path| {
        let text = fs::read_to_string(path).unwrap();
        let mut lines: Vec<_> =
            text.lines().filter(|line| line.starts_with("{\"key")).map(String::from).collect();
        lines.sort();
        lines
    };
    assert_eq!(entries(&again), entries(&both));
    command(&target, &["check", text(&again)]).await.ended(0);
}

#[tokio::test]
async fn a_damaged_backup_gives_what_it_has_and_names_the_rest() {
    let world = World::start(&[]).await;
    for _ in 0..3 {
        world.client(&Person::new(), "register --name Somebody").await.ended(0);
    }
    let outside = tempfile::tempdir().unwrap();
    let backup = outside.path().join("backup.jsonl");
    command(world.folder.path(), &["backup", text(&backup)]).await.ended(0);
    let whole = fs::read_to_string(&backup).unwrap();
    let forged = whole.replacen("Somebody", "Somebodz", 1);
    let cut = &whole[..whole.len() - 9];
    for (content, restored, named) in [
        (forged.as_str(), "2 restored", "line 2: the signature is not the owner's"),
        (cut, "3 restored", "line 5: the backup is cut off here"),
    ] {
        let target = tempfile::tempdir().unwrap();
        fs::write(&backup, content).unwrap();
        let outcome = command(target.path(), &["restore", text(&backup)]).await.ended(10);
        assert!(outcome.stdout.contains(restored), "{outcome:?}");
        assert!(outcome.stderr.contains(named), "{outcome:?}");
        command(target.path(), &["check", text(&backup)]).await.ended(10);
    }
    // What is no backup at all changes nothing.
    let target = tempfile::tempdir().unwrap();
    fs::write(&backup, "nonsense\n").unwrap();
    command(target.path(), &["restore", text(&backup)]).await.ended(10);
    assert_eq!(fs::read_dir(target.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn an_interrupted_restore_keeps_the_server_from_beginning_anew() {
    let folder = tempfile::tempdir().unwrap();
    for left in ["profiles.restoring", "profiles.restored"] {
        let left = folder.path().join(left);
        fs::create_dir(&left).unwrap();
        for words in [&[][..], &["backup", "-"], &["check"]] {
            let refused = command(folder.path(), words).await.ended(10);
            let hint = "hint: run it again: profile-server restore FILE";
            assert!(refused.stderr.contains(hint), "{words:?}: {refused:?}");
        }
        assert!(!folder.path().join("profiles").exists());
        fs::remove_dir(left).unwrap();
    }
}

#[tokio::test]
async fn a_restore_that_fails_leaves_nothing_that_looks_like_an_interrupted_one() {
    let folder = tempfile::tempdir().unwrap();
    let nonsense = folder.path().join("nonsense");
    std::fs::write(&nonsense, "no backup\n").unwrap();
    for backup in [nonsense.as_path(), &folder.path().join("missing")] {
        command(folder.path(), &["restore", text(backup)]).await.ended(10);
        let left = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(left.collect::<Vec<_>>(), ["nonsense"]);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn two_restores_at_once_cannot_be() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("backup"), "").unwrap();
    let held = std::fs::File::open(folder.path()).unwrap();
    held.lock().unwrap();
    let refused = command(folder.path(), &["restore", text(&folder.path().join("backup"))]).await.ended(10);
    assert!(refused.stderr.contains("another restore is under way"), "{refused:#?}");
}

#[tokio::test]
async fn the_server_writes_backups_by_itself_and_survives_one_that_fails() {
    let outside = tempfile::tempdir().unwrap();
    let backups = outside.path().join("deep/backups");
    let every = ["--json", "--backup-dir", text(&backups), "--backup-every", "1s", "--backup-keep", "2"];
    let World { network, folder, server, .. } = World::start(&[]).await;
    stop(server).await;
    let mut server = serve(&network, folder.path(), &every);
    let mut written = Vec::new();
    while written.len() < 4 {
        let event: Value = serde_json::from_str(&server.line().await).unwrap();
        if event["event"] == "backup" {
            written.push(event["file"].as_str().unwrap().to_owned());
        }
    }
    let mut left: Vec<_> = fs::read_dir(&backups).unwrap().map(|file| file.unwrap().path()).collect();
    left.retain(|path| path.extension().is_some_and(|extension| extension == "gz"));
    assert!((2..=3).contains(&left.len()), "{left:?}");
    command(folder.path(), &["check", "--backup-dir", text(&backups)]).await.ended(0);
    // The folder turns into a file: backups fail, the server goes on, and backups go on when they can.
    fs::rename(&backups, outside.path().join("elsewhere")).unwrap();
    fs::write(&backups, "a file").unwrap();
    tokio::time::timeout(std::time::Duration::from_secs(60), async {
        let mut stderr = server.child.stderr.take().unwrap();
        let mut log = String::new();
        while !log.contains("the backup failed") {
            let mut some = [0; 4096];
            let read = tokio::io::AsyncReadExt::read(&mut stderr, &mut some).await.unwrap();
            log.push_str(&String::from_utf8_lossy(&some[..read]));
        }
        server.child.stderr = Some(stderr);
    })
    .await
    .unwrap();
    fs::remove_file(&backups).unwrap();
    let mut event: Value;
    loop {
        event = serde_json::from_str(&server.line().await).unwrap();
        if event["event"] == "backup" && Path::new(event["file"].as_str().unwrap()).exists() {
            break;
        }
    }
    stop(server).await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_backup_that_is_not_written_is_no_success() {
    let world = World::start(&[]).await;
    world.client(&Person::new(), "register --name Somebody").await.ended(0);
    let folder = world.folder.path();
    for target in ["/dev/full", "/dev/null", "/", "/nowhere/x"] {
        command(folder, &["backup", target]).await.ended(10);
    }
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    // Nobody reads from it.
    let (_, unread) = std::io::pipe().unwrap();
    for output in [Stdio::from(full), Stdio::from(unread)] {
        let mut lost = tokio::process::Command::new(SERVER);
        lost.args(["backup", "-", "--data-dir", text(folder)]).stdout(output);
        assert_eq!(lost.status().await.unwrap().code(), Some(1));
    }
    let piped = command(folder, &["backup", "-"]).await.ended(0);
    assert!(piped.stdout.starts_with("{\"hyperprofile-backup\":2,"), "{piped:?}");
    assert!(piped.stdout.ends_with("}}\n"), "{piped:?}");
    use std::os::unix::fs::PermissionsExt as _;
    let socket = fs::metadata(folder.join("control")).unwrap();
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
}
