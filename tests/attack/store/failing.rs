//! Disks that fail, or fill up, under the server.

use std::process::Stdio;
use std::time::Duration;

use hyperprofile::Testnet;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::timeout;

use super::strace;
use crate::harness::{Outcome, Person, Running, SERVER, text};

/// The system calls that fail, how, and from the how-many-th of each thread after the server serves. A change
/// makes two `fdatasync`, of the database and of the witness, in one thread; sled makes the other calls in a
/// thread of several, so that only the first of each is sure to come.
const POINTS: [(&str, &str, u32); 9] = [
    ("fdatasync", "EIO", 1),
    ("fdatasync", "EIO", 2),
    ("fdatasync", "EIO", 4),
    ("fdatasync", "ENOSPC", 1),
    ("fdatasync", "ENOSPC", 3),
    ("sync_file_range", "EIO", 1),
    ("sync_file_range", "ENOSPC", 1),
    ("pwrite64", "EIO", 1),
    ("pwrite64", "ENOSPC", 1),
];

struct World {
    network: Testnet,
    folder: tempfile::TempDir,
    key: String,
}

impl World {
    async fn new() -> Self {
        let network = Testnet::new(5).await.unwrap();
        Self { network, folder: tempfile::tempdir().unwrap(), key: String::new() }
    }

    /// Starts the server, by a command that ends in its command line.
    async fn serve(&mut self, wrap: &[&str]) -> Running {
        let bootstrap = self.network.bootstrap().remove(0);
        let folder = self.folder.path();
        let server = [SERVER, "--data-dir", text(folder), "--bootstrap", &bootstrap, "--quiet"];
        let command = [wrap, &server, &["--writes-per-minute", "1000000"]].concat();
        let mut server = Running::start(command[0], &command[1..]);
        self.key = server.line().await;
        server
    }

    async fn client(&self, who: &Person, words: &str) -> Outcome {
        let bootstrap = self.network.bootstrap().remove(0);
        who.run(&format!("--server {} --bootstrap {bootstrap} {words}", self.key)).await
    }
}

#[tokio::test]
async fn a_failed_write_or_sync_ends_the_server_and_loses_nothing() {
    if strace::is_missing() {
        return;
    }
    let mut world = World::new().await;
    let ada = Person::new();
    let server = world.serve(&[]).await;
    world.client(&ada, "register --name Ada").await.ended(0);
    server.signal("-TERM").await;
    server.end().await.ended(0);
    let mut written = 0;
    for (call, error, when) in POINTS {
        let point = format!("{call}:error={error}:when={when}+");
        let server = world.serve(&[]).await;
        let tracer = inject(&server, &point).await;
        let mut acknowledged = None;
        let refused = loop {
            written += 1;
            let outcome = world.client(&ada, &format!("update --bio change-{written}")).await;
            if outcome.code != 0 {
                break outcome;
            }
            acknowledged = Some(outcome.json());
            assert!(written < 100, "{point}: nothing fails");
        };
        assert_eq!(refused.code, 10, "{point}: {refused:?}");
        let ended = timeout(Duration::from_secs(1), server.end()).await;
        let ended = ended.unwrap_or_else(|_| panic!("{point}: the server goes on"));
        assert_eq!(ended.code, 10, "{point}: {ended:?}");
        assert!(ended.stderr.contains("error: "), "{point}: {ended:?}");
        drop(tracer);

        let server = world.serve(&[]).await;
        let found = world.client(&ada, "show").await.ended(0).json();
        if let Some(acknowledged) = acknowledged {
            assert!(found["version"].as_u64() >= acknowledged["version"].as_u64(), "{point}: {found}");
        }
        world.client(&ada, &format!("update --bio after-{written}")).await.ended(0);
        server.signal("-TERM").await;
        server.end().await.ended(0);
    }
}

#[tokio::test]
async fn a_full_disk_refuses_changes_until_there_is_room() {
    let can = Command::new("unshare").args(["-m", "true"]).output().await;
    if !can.is_ok_and(|output| output.status.success()) {
        assert!(std::env::var_os("CI").is_none(), "no mount namespace can be made");
        eprintln!("SKIPPED: no mount namespace can be made");
        return;
    }
    let mut world = World::new().await;
    let mount = format!("mount -t tmpfs -o size=24m tmpfs {} && exec \"$@\"", text(world.folder.path()));
    let server = world.serve(&["unshare", "-m", "sh", "-c", &mount, "sh"]).await;
    let (ada, bob) = (Person::new(), Person::new());
    let registered = world.client(&ada, "register --name Ada").await.ended(0).json();

    let inside = async |command: &str| {
        let pid = server.child.id().unwrap().to_string();
        let at = text(world.folder.path());
        let command = format!("cd {at} && {command}");
        let ran = Command::new("nsenter").args(["-t", &pid, "-m", "sh", "-c", &command]).status().await;
        ran.unwrap()
    };
    // Until nothing more fits.
    assert!(!inside("head -c 24M /dev/zero > filler 2>/dev/null").await.success());
    world.client(&ada, "update --bio x").await.failed(10, "disk_full");
    world.client(&bob, "register --name Bob").await.failed(10, "disk_full");
    world.client(&ada, "delete --yes").await.failed(10, "disk_full");
    assert_eq!(world.client(&ada, "show").await.ended(0).json(), registered);
    world.client(&bob, &format!("lookup {}", ada.key().await)).await.ended(0);

    assert!(inside("rm filler").await.success());
    world.client(&bob, "register --name Bob").await.ended(0);
    world.client(&ada, "delete --yes").await.ended(0);
    server.signal("-TERM").await;
    server.end().await.ended(0);
}

/// Lets system calls of a running server fail.
///
/// The tracer ends, and nothing fails any more, when nobody reads what it reports.
async fn inject(server: &Running, point: &str) -> (Child, Lines<BufReader<ChildStderr>>) {
    let pid = server.child.id().unwrap().to_string();
    let inject = format!("inject={point}");
    let mut tracer = Command::new("strace")
        .args(["-f", "-o", "/dev/null", "-p", &pid, "-e", &inject])
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(tracer.stderr.take().unwrap()).lines();
    let attached = lines.next_line().await.unwrap().expect("strace attaches");
    assert!(attached.contains("attached"), "{attached}");
    (tracer, lines)
}
