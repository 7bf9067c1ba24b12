//! What a client remembers, and what that is good for when a server has lost it. Files that are no files.

use std::fs;
use std::path::Path;

use crate::harness::{CLIENT, NODE, Outcome, Person, Running, run, text};
use crate::network::World;

/// Runs the client as a person reads it, with notes and hints.
async fn visit(world: &World, who: &Person, words: &str) -> Outcome {
    let (identity, bootstrap) = (who.path("identity"), world.bootstrap());
    let mut arguments =
        vec!["--identity", text(&identity), "--server", &world.key, "--bootstrap", &bootstrap];
    arguments.extend(words.split(' ').filter(|word| !word.is_empty()));
    run(CLIENT, &arguments).await
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        let target = to.join(file.file_name());
        match file.file_type().unwrap().is_dir() {
            true => copy(&file.path(), &target),
            false => drop(fs::copy(file.path(), target).unwrap()),
        }
    }
}

#[tokio::test]
async fn a_profile_that_the_server_lost_comes_back_by_the_command_in_the_hint() {
    let world = World::start(&[]).await;
    let ada = Person::new();
    world.client(&ada, "register --name Ada").await.ended(0);
    world.client(&ada, "update --bio counts").await.ended(0);
    let world = world.restart(&[], |folder| fs::remove_dir_all(folder.join("profiles")).unwrap()).await;
    for words in ["", "show", "update --bio x"] {
        let lost = visit(&world, &ada, words).await.ended(8);
        assert!(lost.stderr.contains("acknowledged version 2 of your profile"), "{lost:#?}");
    }
    world.client(&ada, "show").await.failed(8, "not_registered");
    let lost = visit(&world, &ada, "").await;
    let command = lost.stderr.split("bring it back with: profile-client").nth(1).unwrap();
    let command = format!("{CLIENT}{}", command.split(" (").next().unwrap());
    let back = tokio::process::Command::new("sh").args(["-c", &command]).output().await.unwrap();
    assert!(back.status.success(), "{command}: {back:?}");
    let shown = world.client(&ada, "show").await.ended(0).json();
    assert_eq!(shown["version"], 3);
    assert_eq!(shown["profile"], serde_json::json!({"name": "Ada", "bio": "counts"}));
    // Once more changes nothing, and after a deletion there is nothing to bring back.
    assert_eq!(world.client(&ada, "register --again").await.ended(0).json(), shown);
    world.client(&ada, "delete --yes").await.ended(0);
    world.client(&ada, "register --again").await.failed(8, "not_registered");
    let kept = fs::read_to_string(ada.path("identity.profiles")).unwrap();
    assert!(!kept.contains("Ada"), "{kept}");
}

#[tokio::test]
async fn a_server_that_has_fallen_back_is_noticed_and_mended() {
    let world = World::start(&[]).await;
    let ada = Person::new();
    world.client(&ada, "register --name Ada").await.ended(0);
    let old = tempfile::tempdir().unwrap();
    let world = world.restart(&[], |folder| copy(&folder.join("profiles"), old.path())).await;
    world.client(&ada, "update --bio counts").await.ended(0);
    let world = world
        .restart(&[], |folder| {
            fs::remove_dir_all(folder.join("profiles")).unwrap();
            copy(old.path(), &folder.join("profiles"));
        })
        .await;
    let seen = visit(&world, &ada, "show").await.ended(0);
    let careful = "the server has version 1 of your profile, though it has acknowledged version 2";
    assert!(seen.stderr.contains(careful), "{seen:#?}");
    // An update would bury the version that only this client has.
    world.client(&ada, "update --bio x").await.failed(9, "invalid");
    let back = world.client(&ada, "register --again").await.ended(0).json();
    assert_eq!(back["version"], 3);
    assert_eq!(back["profile"]["bio"], "counts");
    let seen = visit(&world, &ada, "show").await.ended(0);
    assert!(!seen.stderr.contains("careful"), "{seen:#?}");
}

#[tokio::test]
async fn refused_updates_are_no_loss_of_the_server() {
    let world = World::start(&["--writes-per-minute", "1"]).await;
    let ada = Person::new();
    world.client(&ada, "register --name Ada").await.ended(0);
    for _ in 0..2 {
        world.client(&ada, "update --bio x").await.failed(6, "too_many");
    }
    let seen = visit(&world, &ada, "show").await.ended(0);
    assert!(!seen.stderr.contains("careful"), "{seen:#?}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_is_a_pipe_or_a_link_is_refused_at_once() {
    let world = World::start(&[]).await;
    let ada = Person::new();
    world.client(&ada, "register --name Ada").await.ended(0);
    for name in ["identity.versions", "identity.profiles"] {
        let (path, kept) = (ada.path(name), ada.path("kept"));
        fs::rename(&path, &kept).unwrap();
        make_pipe(&path);
        let refused = visit(&world, &ada, "update --bio x").await.ended(10);
        assert!(refused.stderr.contains("is not a regular file"), "{refused:#?}");
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&kept, &path).unwrap();
        visit(&world, &ada, "update --bio x").await.ended(10);
        fs::rename(&kept, &path).unwrap();
    }
    world.client(&ada, "update --bio x").await.ended(0);

    let folder = tempfile::tempdir().unwrap();
    make_pipe(&folder.path().join("nodes"));
    let arguments = ["--bootstrap", &world.bootstrap(), "--data-dir", text(folder.path())];
    run(NODE, &arguments).await.ended(10);
}

#[cfg(unix)]
#[tokio::test]
async fn a_profile_from_a_pipe_is_waited_for_until_the_user_has_enough() {
    let ada = Person::new();
    let (identity, pipe) = (ada.path("identity"), ada.path("pipe"));
    make_pipe(&pipe);
    let key = "y".repeat(52);
    let arguments = ["--identity", text(&identity), "--server", &key, "register", "--from-file", text(&pipe)];
    let client = Running::start(CLIENT, &arguments);
    // Opens when the client has opened its end.
    let opened = tokio::task::spawn_blocking(move || fs::OpenOptions::new().write(true).open(pipe));
    let _writer = opened.await.unwrap().unwrap();
    client.signal("-INT").await;
    client.end().await.ended(130);
}

#[cfg(unix)]
fn make_pipe(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.unwrap().success());
}
