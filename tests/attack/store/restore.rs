//! A restore that is killed at any step is run again, and nothing is lost by that.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use hyperprofile::profile::entry::KeyEntry;
use hyperprofile::profile::{Profile, Record, SledStore};
use hyperprofile::{KeyPair, PublicKey};

use super::damage::{files, lay_out};
use super::strace;
use crate::amount;
use crate::harness::{Outcome, Running, SERVER, run, text};

/// The files of a folder of data, by their paths.
type Files = BTreeMap<PathBuf, Vec<u8>>;

#[tokio::test]
async fn a_restore_that_is_killed_at_any_step_loses_nothing() {
    if strace::is_missing() {
        return;
    }
    let outside = tempfile::tempdir().unwrap();
    let backup = outside.path().join("backup.jsonl");
    // Of four keys, three are in the backup; the damaged profiles have all, and one of them newer.
    let before = [(0, 1), (1, 1), (2, 1)];
    let after = [(0, 2), (1, 1), (2, 1), (3, 1)];
    let data = outside.path().join("data");
    store(&data, &before).await;
    run(SERVER, &["--data-dir", text(&data), "backup", text(&backup)]).await.ended(0);
    store(&data, &after).await;
    let mut damaged = files(&data);
    damaged.remove(Path::new("profiles/witness")).unwrap();

    let calls =
        amount(&["/^rename", "fsync"][..], &["/^rename", "/^mkdir", "/^unlink", "fsync", "fdatasync"]);
    let mut killed = 0;
    for (base, expected) in [(damaged, &after[..]), (Files::new(), &before)] {
        for call in calls {
            for when in 1.. {
                let what = format!("{call} {when}, {} files", base.len());
                let data = tempfile::tempdir().unwrap();
                lay_out(data.path(), &base);
                let kill = format!("{call}:signal=SIGKILL:when={when}");
                let code = restore(data.path(), &backup, Some(&kill)).await.code;
                assert!([0, -1].contains(&code), "{what}: {code}");
                killed += u32::from(code == -1);
                // What a server would serve now.
                let served = run(SERVER, &["--data-dir", text(data.path()), "backup", "-"]).await;
                match served.code {
                    0 => assert_eq!(held(&served), expected_of(expected), "{what}"),
                    _ => {
                        let refused = served.ended(10).stderr;
                        // Nothing was there, and nothing has been made.
                        let nothing = base.is_empty() && refused.contains("there are no profiles in");
                        assert!(
                            nothing || refused.contains("profile-server restore FILE"),
                            "{what}: {refused}"
                        );
                    }
                }
                restore(data.path(), &backup, None).await.ended(0);
                let served = run(SERVER, &["--data-dir", text(data.path()), "backup", "-"]).await.ended(0);
                assert_eq!(held(&served), expected_of(expected), "{what}, run again");
                let left = fs::read_dir(data.path()).unwrap().map(|file| file.unwrap().file_name());
                let left: Vec<_> = left.filter(|name| name.to_string_lossy().contains(".resto")).collect();
                assert!(left.is_empty(), "{what}: {left:?}");
                if code == 0 {
                    break;
                }
            }
        }
    }
    assert!(killed > 10, "{killed}");
}

/// Restores a backup, killed at a system call if one is named.
async fn restore(data: &Path, backup: &Path, kill: Option<&str>) -> Outcome {
    let restore = [SERVER, "--data-dir", text(data), "restore", text(backup)];
    match kill {
        None => run(restore[0], &restore[1..]).await,
        Some(kill) => {
            let inject = format!("inject={kill}");
            let trace = format!("trace={}", kill.split(':').next().unwrap());
            let strace = ["-D", "-f", "-o", "/dev/null", "-e", &trace, "-e", &inject];
            Running::start("strace", &[&strace[..], &restore].concat()).end().await
        }
    }
}

/// Stores versions of keys.
async fn store(data: &Path, versions: &[(u8, u64)]) {
    let store = SledStore::open(&data.join("profiles")).unwrap();
    for (seed, version) in versions {
        let profile = Profile::parse(r#"{"name":"Somebody"}"#).unwrap();
        let record = Record::sign(&KeyPair::from_seed(&[*seed; 32]), *version, profile);
        store.restore_entry(*record.key(), KeyEntry::Present(record)).await.unwrap();
    }
}

fn expected_of(versions: &[(u8, u64)]) -> BTreeMap<PublicKey, u64> {
    let key = |seed: u8| *KeyPair::from_seed(&[seed; 32]).public_key();
    versions.iter().map(|(seed, version)| (key(*seed), *version)).collect()
}

/// Returns the versions in a backup.
fn held(backup: &Outcome) -> BTreeMap<PublicKey, u64> {
    let reader = hyperprofile::profile::backup::Reader::new(backup.stdout.as_bytes());
    reader.map(|entry| entry.map(|entry| (*entry.key(), entry.entry().version())).unwrap()).collect()
}
