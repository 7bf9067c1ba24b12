//! Where secrets are: in memory, in dumps of it, and in files of programs that were killed.
#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use ed25519_dalek::hazmat::ExpandedSecretKey;
use hyperprofile::{KeyFile, KeyPair};
use tokio::process::Command;

use crate::amount;
use crate::harness::{CLIENT, NODE, Person, Running, SERVER, run, text};
use crate::served::{Served, free_port};

/// How often each secret of an identity is in the memory of a process.
#[derive(Debug, PartialEq)]
struct Found {
    seed: usize,
    scalar: usize,
    prefix: usize,
}

/// Searches the memory of a process for the secrets of an identity file; `None` without the right to read it.
fn search(pid: u32, identity: &Path) -> Option<Found> {
    let key_pair = KeyPair::load(identity).unwrap();
    let expanded = ExpandedSecretKey::from(key_pair.seed());
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    let memory = File::open(format!("/proc/{pid}/mem")).ok()?;
    let mut found = Found { seed: 0, scalar: 0, prefix: 0 };
    for line in maps.lines().filter(|line| !line.ends_with("[vvar]") && !line.ends_with("[vsyscall]")) {
        let (range, rest) = line.split_once(' ').unwrap();
        if !rest.starts_with('r') {
            continue;
        }
        let (start, end) = range.split_once('-').unwrap();
        let [start, end] = [start, end].map(|at| u64::from_str_radix(at, 16).unwrap());
        let mut content = vec![0; usize::try_from(end - start).unwrap()];
        // Some mappings cannot be read, as those of devices.
        if memory.read_exact_at(&mut content, start).is_err() {
            continue;
        }
        let count = |secret: &[u8]| content.windows(32).filter(|window| *window == secret).count();
        // Most of memory is zero.
        if content.iter().any(|byte| *byte != 0) {
            found.seed += count(key_pair.seed());
            found.scalar += count(expanded.scalar.as_bytes());
            found.prefix += count(&expanded.hash_prefix);
        }
    }
    Some(found)
}

fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        assert!(std::env::var_os("CI").is_none(), "these tests take root");
        eprintln!(
            "SKIPPED: reading the memory of another process, or starting one as another user, takes root"
        );
    }
    root
}

#[tokio::test]
async fn a_server_holds_its_seed_once() {
    if !is_root() {
        return;
    }
    let person = Person::new();
    let served = Served::start(&person.path("server"), &[]).await;
    let pid = served.server.child.id().unwrap();
    let identity = person.path("server/identity");
    let idle = search(pid, &identity).expect("root may read memory");
    assert_eq!(idle, Found { seed: 1, scalar: 1, prefix: 1 });

    let visitor = Person::new();
    visitor.run(&format!("{} register --name Ada", served.at)).await.ended(0);
    for _ in 0..amount(5, 100) {
        visitor.run(&format!("{} show", served.at)).await.ended(0);
    }
    let busy = search(pid, &identity).expect("root may read memory");
    assert_eq!((busy.seed, busy.prefix), (1, 1), "{busy:?}");
    assert!(busy.scalar <= 2, "{busy:?}");
}

#[tokio::test]
async fn the_memory_of_the_programs_is_hidden_unless_the_user_wants_it_otherwise() {
    use std::os::unix::fs::PermissionsExt as _;
    if !is_root() {
        return;
    }
    // Programs and files where another user than root can reach them.
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let [server, node] = [(SERVER, "server"), (NODE, "node")].map(|(program, name)| {
        let copy = place.path().join(name);
        fs::copy(program, &copy).unwrap();
        copy
    });
    let folder = place.path().join("data");
    // Of a process that is not dumpable the system gives these files to root.
    let owner = |running: &Running| {
        use std::os::unix::fs::MetadataExt as _;
        let pid = running.child.id().unwrap();
        fs::metadata(format!("/proc/{pid}/mem")).unwrap().uid()
    };
    let nobody = 65534;
    for (flag, expected) in [("", 0), ("--allow-core-dumps", nobody)] {
        fs::create_dir(&folder).unwrap();
        std::os::unix::fs::chown(&folder, Some(nobody), Some(nobody)).unwrap();
        let (local, data) = (format!("--local={}", free_port()), text(&folder).to_owned());
        let node_bind = ["--new-network", "--bind", "127.0.0.1"];
        for (program, words) in [(&server, [local.as_str(), "--data-dir", &data]), (&node, node_bind)] {
            let mut arguments: Vec<_> = words.to_vec();
            arguments.extend(Some(flag).filter(|flag| !flag.is_empty()));
            let mut running = Running::start_as(text(program), &arguments, nobody);
            running.line().await;
            assert_eq!(owner(&running), expected, "{program:?} {flag}");
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}

/// As Kubernetes mounts a secret: read-only links to a file of root that a group can read.
#[tokio::test]
async fn an_identity_that_an_orchestrator_mounts_is_accepted_with_a_flag() {
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
    if !is_root() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    let set = |name: &str, mode| fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
    let nobody = 65534;
    let [client, server, node] = [CLIENT, SERVER, NODE].map(|program| {
        let copy = at(Path::new(program).file_name().unwrap().to_str().unwrap());
        fs::copy(program, &copy).unwrap();
        copy
    });
    fs::create_dir_all(at("secret/..2026")).unwrap();
    let made = run(CLIENT, &["--identity", text(&at("secret/..2026/identity")), "whoami"]).await.ended(0);
    let key = made.stdout.trim();
    chown(at("secret/..2026/identity"), None, Some(nobody)).unwrap();
    set("secret/..2026/identity", 0o440);
    symlink("..2026", at("secret/..data")).unwrap();
    symlink("..data/identity", at("secret/identity")).unwrap();
    fs::create_dir(at("data")).unwrap();
    symlink("../secret/identity", at("data/identity")).unwrap();
    for (folder, mode) in [("secret", 0o555), ("secret/..2026", 0o555), ("data", 0o755), ("", 0o755)] {
        set(folder, mode);
    }
    let (identity, data) = (at("secret/identity"), at("data"));
    let relay = ["--new-network", "--bind", "127.0.0.1", "--relay", "--relay-key", text(&identity)];
    for (program, words) in [
        (&client, vec!["--identity", text(&identity), "whoami"]),
        (&server, vec!["--data-dir", text(&data), "key"]),
        (&node, relay.to_vec()),
    ] {
        let refused = Running::start_as(text(program), &words, nobody).end().await.ended(7);
        assert!(refused.stderr.contains("is a symbolic link"), "{refused:?}");
        assert!(refused.stderr.contains("--no-strict-modes"), "{refused:?}");
        let accepting = [&words[..], &["--no-strict-modes"]].concat();
        let mut running = Running::start_as(text(program), &accepting, nobody);
        let mut line = running.line().await;
        if program == &node {
            // The address comes first.
            line = running.line().await.trim_start_matches("relay ").to_owned();
        }
        assert_eq!(line, key);
    }
    set("secret/..2026/identity", 0o444);
    let words = ["--identity", text(&identity), "--no-strict-modes", "whoami"];
    let refused = Running::start_as(text(&client), &words, nobody).end().await.ended(7);
    assert!(refused.stderr.contains("can be used by other users (mode 0444)"), "{refused:?}");
}

#[tokio::test]
async fn a_first_run_that_is_killed_leaves_no_secret_behind() {
    let person = Person::new();
    let mut made = 0;
    for number in 0..amount(60, 600) {
        let folder = person.path(&format!("run-{number}"));
        let identity = folder.join("identity");
        let mut child = Command::new(CLIENT)
            .args(["--identity", text(&identity), "whoami"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // At any moment of a run, which takes some milliseconds.
        tokio::time::sleep(Duration::from_micros(number * 100 % 6000)).await;
        child.kill().await.unwrap();
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        let names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        assert!(names.iter().all(|name| name == "identity"), "{names:?}");
        if identity.exists() {
            made += 1;
            KeyFile::new(&identity).load().expect("a file with a name is complete");
        }
    }
    eprintln!("{made} runs came to make their identity");
}

#[tokio::test]
async fn a_key_that_does_not_fit_on_the_disk_is_reported_with_its_cause() {
    if !is_root() {
        return;
    }
    let person = Person::new();
    let disk = person.path("disk");
    fs::create_dir(&disk).unwrap();
    let disk = text(&disk);
    // The mount is seen by this command alone.
    let script = format!(
        "mount -t tmpfs -o size=4k none {disk} && head -c 4096 /dev/zero > {disk}/full && \
         exec {CLIENT} --identity {disk}/identity whoami"
    );
    let output = Command::new("unshare").args(["-m", "sh", "-c", &script]).output().await.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(7), "{errors}");
    assert!(errors.contains("cannot create the identity file"), "{errors}");
    assert!(errors.contains("No space left on device"), "{errors}");
}
