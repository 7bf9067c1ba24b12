//! Backups of a server under load are of one point in time; damaged ones are never taken for whole.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use hyperprofile::profile::backup::Reader;
use hyperprofile::profile::{MemoryVersions, ProfileClient, ProfileDraft, ThroughDht};
use hyperprofile::{KeyPair, PublicKey, Testnet};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::amount;
use crate::harness::{DEADLINE, Person, Running, SERVER, run, text};
use crate::served::Served;

/// Writing clients; each writes two keys in turn.
const CLIENTS: u8 = 10;

type Client = ProfileClient<ThroughDht, MemoryVersions>;

/// A key that is written: what was acknowledged, and what may have been stored.
#[derive(Default)]
struct Progress {
    acknowledged: AtomicU64,
    sent: AtomicU64,
}

/// Twenty keys in pairs. Of each pair the second one is never written before the first one is acknowledged.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_is_of_one_point_in_time() {
    let network = Testnet::new(5).await.unwrap();
    let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let bootstrap = network.bootstrap().remove(0);
    let data = ["--data-dir", text(folder.path())];
    let limits = ["--bootstrap", &bootstrap, "--writes-per-minute", "1000000", "--quiet"];
    let mut server = Running::start(SERVER, &[&data[..], &limits].concat());
    let key: PublicKey = server.line().await.parse().unwrap();
    let dht = network.builder().spawn().await.unwrap();
    let progress: Arc<Vec<Progress>> = Arc::new((0..2 * CLIENTS).map(|_| Progress::default()).collect());
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    for number in 0..CLIENTS {
        let pair = [2 * number, 2 * number + 1];
        let mut clients = Vec::new();
        for seed in pair {
            let dial = ThroughDht { dht: dht.clone(), server: key, identity: identity(seed) };
            let connected = ProfileClient::connect(identity(seed), dial, MemoryVersions::default()).await;
            let mut client = connected.unwrap();
            write(&mut client, &progress[usize::from(seed)]).await;
            clients.push(client);
        }
        let (progress, stop) = (Arc::clone(&progress), Arc::clone(&stop));
        writers.spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                for (client, seed) in clients.iter_mut().zip(pair) {
                    write(client, &progress[usize::from(seed)]).await;
                }
            }
        });
    }
    for number in 0..amount(8, 100) {
        let backup = outside.path().join(format!("{number}.jsonl.gz"));
        let read = |progress: &AtomicU64| progress.load(Ordering::SeqCst);
        let before: Vec<_> = progress.iter().map(|key| read(&key.acknowledged)).collect();
        run(SERVER, &[&data[..], &["backup", text(&backup)]].concat()).await.ended(0);
        let after: Vec<_> = progress.iter().map(|key| read(&key.sent)).collect();
        // What it restores to.
        let target = outside.path().join(format!("{number}"));
        fs::create_dir(&target).unwrap();
        run(SERVER, &["--data-dir", text(&target), "restore", text(&backup)]).await.ended(0);
        let plain = outside.path().join(format!("{number}.jsonl"));
        run(SERVER, &["--data-dir", text(&target), "backup", text(&plain)]).await.ended(0);
        let versions = versions(&fs::read(&plain).unwrap());
        for (at, version) in versions.iter().enumerate() {
            let (least, most) = (before[at], after[at]);
            assert!((least..=most).contains(version), "backup {number}, key {at}: {least} {version} {most}");
        }
        for pair in versions.chunks(2) {
            assert!((pair[1]..=pair[1] + 1).contains(&pair[0]), "backup {number}: {pair:?}");
        }
        fs::remove_dir_all(&target).unwrap();
    }
    stop.store(true, Ordering::SeqCst);
    writers.join_all().await;
    let written: u64 = progress.iter().map(|key| key.acknowledged.load(Ordering::SeqCst)).sum();
    assert!(written > 4 * u64::from(CLIENTS), "there was no load: {written} writes");
}

/// The folder of backups is on a disk of its own, which fills up.
#[tokio::test]
async fn a_full_disk_of_backups_stops_neither_the_server_nor_loses_what_is_there() {
    let can = Command::new("unshare").args(["-m", "true"]).output().await;
    if !can.is_ok_and(|output| output.status.success()) {
        assert!(std::env::var_os("CI").is_none(), "no mount namespace can be made");
        eprintln!("SKIPPED: no mount namespace can be made");
        return;
    }
    let network = Testnet::new(5).await.unwrap();
    let bootstrap = network.bootstrap().remove(0);
    let (folder, backups) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mount = format!("mount -t tmpfs -o size=1m tmpfs {} && exec \"$@\"", text(backups.path()));
    let server = [SERVER, "--json", "--data-dir", text(folder.path()), "--bootstrap", &bootstrap];
    let schedule = ["--backup-dir", text(backups.path()), "--backup-every", "1s", "--backup-keep", "2"];
    let command = [&["-m", "sh", "-c", &mount, "sh"], &server[..], &schedule].concat();
    let mut server = Running::start("unshare", &command);
    let inside = format!("/proc/{}/root{}", server.child.id().unwrap(), text(backups.path()));
    let listening = event(&mut server, "listening").await;
    let at = format!("--server {} --bootstrap {bootstrap}", listening["public_key"].as_str().unwrap());
    let ada = Person::new();
    ada.run(&format!("{at} register --name Ada")).await.ended(0);
    for _ in 0..3 {
        event(&mut server, "backup").await;
    }

    let filler = format!("{inside}/filler");
    let mut file = fs::File::create(&filler).unwrap();
    let mut log = BufReader::new(server.child.stderr.take().unwrap()).lines();
    loop {
        // Until nothing more fits; a backup that was under way may have made room since.
        let full = std::io::copy(&mut std::io::repeat(0), &mut file).unwrap_err();
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
        let line = timeout(DEADLINE, log.next_line()).await.expect("a line in time").unwrap().unwrap();
        if line.contains("the backup failed") {
            assert!(line.contains("No space left on device"), "{line}");
            break;
        }
    }
    let names = || -> Vec<_> {
        let names =
            fs::read_dir(&inside).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name != "filler").collect()
    };
    let left = names();
    assert!(left.len() == 2 && left.iter().all(|name| name.ends_with(".jsonl.gz")), "{left:?}");
    for name in &left {
        let backup = format!("{inside}/{name}");
        run(SERVER, &["--data-dir", text(folder.path()), "check", &backup]).await.ended(0);
    }
    ada.run(&format!("{at} update --bio later")).await.ended(0);

    drop(file);
    fs::remove_file(&filler).unwrap();
    // It may be one from before.
    while names().iter().all(|name| left.contains(name)) {
        event(&mut server, "backup").await;
    }
    server.signal("-TERM").await;
    assert!(timeout(DEADLINE, server.child.wait()).await.expect("an end in time").unwrap().success());
    drop(log);
}

/// However careless the permissions are.
#[cfg(unix)]
#[tokio::test]
async fn another_user_gets_no_backup_and_gives_no_command() {
    use std::os::unix::fs::PermissionsExt as _;
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "running as another user takes root");
        eprintln!("SKIPPED: running as another user takes root");
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let (program, folder) = (place.path().join("server"), place.path().join("data"));
    fs::copy(SERVER, &program).unwrap();
    let served = Served::start(&folder, &[]).await;
    let permit = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    permit(place.path(), 0o755);
    let data = ["--data-dir", text(&folder)];
    let backup = [&data[..], &["backup", "-"]].concat();
    let commands = [&["stats"][..], &["list"], &["ban", "192.0.2.1"], &["reload"]];
    for (folder_mode, socket_mode) in [(0o700, 0o600), (0o777, 0o600), (0o777, 0o666)] {
        permit(&folder, folder_mode);
        permit(&folder.join("control"), socket_mode);
        let refused = Running::start_as(text(&program), &backup, 65534).end().await.ended(10);
        assert!(refused.stderr.contains("hint: run this as the user of the server"), "{refused:?}");
        assert_eq!(refused.stdout, "");
        for command in commands {
            let words = [&data[..], command].concat();
            let refused = Running::start_as(text(&program), &words, 65534).end().await.ended(10);
            assert!(refused.stderr.contains("hint: run this as the user of the server"), "{refused:?}");
        }
    }
    assert!(!folder.join("banned").exists() && !folder.join("audit.log").exists());
    run(SERVER, &backup).await.ended(0);
    drop(served);
}

/// Waits for an event.
async fn event(server: &mut Running, kind: &str) -> Value {
    loop {
        let event: Value = serde_json::from_str(&server.line().await).unwrap();
        if event["event"] == kind {
            return event;
        }
    }
}

fn identity(seed: u8) -> KeyPair {
    KeyPair::from_seed(&[seed + 1; 32])
}

async fn write(client: &mut Client, progress: &Progress) {
    let version = progress.sent.fetch_add(1, Ordering::SeqCst) + 1;
    let draft = ProfileDraft { name: format!("version {version}"), ..ProfileDraft::default() };
    let profile = draft.check().unwrap();
    let record = match version {
        1 => client.register(profile).await,
        _ => client.update(|_| Ok(profile.clone())).await,
    };
    assert_eq!(record.unwrap().version(), version);
    progress.acknowledged.store(version, Ordering::SeqCst);
}

/// Returns the versions in a backup, by the number of the key; fails unless it is whole.
fn versions(backup: &[u8]) -> Vec<u64> {
    let mut versions = vec![0; 2 * usize::from(CLIENTS)];
    for step in Reader::new(backup) {
        let entry = step.unwrap();
        let record = entry.entry().record().expect("nothing was deleted");
        let at = (0..2 * CLIENTS).find(|seed| identity(*seed).public_key() == record.key()).unwrap();
        assert_eq!(record.profile().name(), format!("version {}", record.version()));
        versions[usize::from(at)] = record.version();
    }
    versions
}
