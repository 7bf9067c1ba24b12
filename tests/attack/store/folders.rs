//! File systems that cannot sync folders, and those that fail to.

use std::path::Path;

use hyperprofile::Testnet;

use super::strace;
use crate::harness::{CLIENT, Outcome, Running, SERVER, text};

const WARNING: &str = "this file system cannot sync folders";

/// Returns a command line under which the sync of some folders has an error, and that of files has none. The
/// program is the child, and strace its own.
fn failing(folders: &[&Path], error: &str) -> Vec<String> {
    let inject = format!("inject=fsync:error={error}");
    let mut command: Vec<_> = ["strace", "-D", "-f", "-o", "/dev/null", "-e", "trace=fsync", "-e", &inject]
        .map(String::from)
        .into_iter()
        .collect();
    for folder in folders {
        command.extend(["-P".into(), text(folder).to_owned()]);
    }
    command
}

fn start(wrap: &[String], words: &[&str]) -> Running {
    let wrap: Vec<_> = wrap.iter().map(String::as_str).collect();
    // Without core dumps strace cannot read which file a descriptor is of, unless it is run by root.
    let command = [&wrap[..], words, &["--allow-core-dumps"]].concat();
    Running::start(command[0], &command[1..])
}

fn warnings(outcome: &Outcome) -> usize {
    outcome.stderr.matches(WARNING).count()
}

#[tokio::test]
async fn a_server_works_where_folders_cannot_be_synced() {
    if strace::is_missing() {
        return;
    }
    let network = Testnet::new(5).await.unwrap();
    let bootstrap = network.bootstrap().remove(0);
    for error in ["EINVAL", "EOPNOTSUPP"] {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let store = data.join("profiles");
        let records = [1, 2, 3].map(|generation| store.join(format!("records.{generation}")));
        let folders = [&[folder.path(), &data, &store][..], &records.each_ref().map(|path| path as &Path)];
        let wrap = failing(&folders.concat(), error);
        // Made, then opened.
        for run in 0..2 {
            let words = [SERVER, "--data-dir", text(&data), "--bootstrap", &bootstrap];
            let mut server = start(&wrap, &words);
            server.line().await;
            crate::harness::run(SERVER, &["--data-dir", text(&data), "backup", "-"]).await.ended(0);
            server.signal("-TERM").await;
            let ended = server.end().await.ended(0);
            assert_eq!(warnings(&ended), 1, "{error}, run {run}: {ended:?}");
        }
    }
}

#[tokio::test]
async fn a_client_works_where_folders_cannot_be_synced() {
    if strace::is_missing() {
        return;
    }
    let served = tempfile::tempdir().unwrap();
    let served = crate::served::Served::start(served.path(), &[]).await;
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("deep");
    let identity = deep.join("identity");
    let wrap = failing(&[folder.path(), &deep], "EINVAL");
    // The first makes the identity, the second keeps the profile beside it.
    for command in ["whoami", "register --name Ada", "update --bio x"] {
        let line = format!("{CLIENT} --identity {} {} {command}", text(&identity), served.at);
        let ended = start(&wrap, &line.split(' ').collect::<Vec<_>>()).end().await.ended(0);
        assert_eq!(warnings(&ended), 1, "{command}: {ended:?}");
    }
}

#[tokio::test]
async fn a_folder_whose_sync_fails_is_an_error() {
    if strace::is_missing() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("profiles");
    let server = [SERVER, "--data-dir", text(folder.path()), "backup", "-"];
    std::fs::create_dir(&store).unwrap();
    let ended = start(&failing(&[&store], "EIO"), &server).end().await.ended(10);
    assert!(ended.stderr.contains("cannot sync") && warnings(&ended) == 0, "{ended:?}");

    let identity = folder.path().join("identity");
    let client = [CLIENT, "--identity", text(&identity), "whoami"];
    let ended = start(&failing(&[folder.path()], "EIO"), &client).end().await.ended(7);
    assert!(ended.stderr.contains("cannot sync the folder of") && warnings(&ended) == 0, "{ended:?}");
}
