//! Peers without a path between them meet at a blind relay.

use std::time::Duration;

use serde_json::Value;

use super::homes::{Kind, Lab, NODE};
use super::support::{Process, reference_installed};

/// Whose program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    Ours,
    Theirs,
}

use Whose::{Ours, Theirs};

#[tokio::test(flavor = "multi_thread")]
async fn random_homes_meet_at_the_relay_that_either_side_names() {
    let Some(lab) = Lab::start().await else {
        return;
    };
    let (_relay, relay) = relay(&lab, Ours).await;
    lab.pair(Kind::Random, Kind::Random);
    let words = ["register", "--name", "Ada"];
    let (_server, key) = lab.server("server", "plain", &[]).await;
    let named = ["--relay", &relay];
    let (code, output) = lab.client("client", &key, &[&named[..], &words].concat()).await;
    assert_relayed(code, &output);

    let (_server, key) = lab.server("server", "named", &named).await;
    let (code, output) = lab.client("client", &key, &words).await;
    assert_relayed(code, &output);
}

#[tokio::test(flavor = "multi_thread")]
async fn relays_and_peers_of_the_reference_work_with_ours_in_every_role() {
    if !reference_installed() {
        return;
    }
    let Some(lab) = Lab::start().await else {
        return;
    };
    let (_relays, relays) = {
        let (ours, our_key) = relay(&lab, Ours).await;
        let (theirs, their_key) = relay(&lab, Theirs).await;
        ([ours, theirs], [(Ours, our_key), (Theirs, their_key)])
    };
    lab.pair(Kind::Random, Kind::Random);
    let words = ["register", "--name", "Ada"];
    for (owner, relay) in &relays {
        let named = ["--relay", relay];
        for (server, client) in [(Ours, Ours), (Ours, Theirs), (Theirs, Ours), (Theirs, Theirs)] {
            for server_names in [true, false] {
                let name = format!(
                    "relay {owner:?}, server {server:?}, client {client:?}, by the server {server_names}"
                );
                let (_server, key) = match server {
                    Ours if server_names => lab.server("server", &name, &named).await,
                    Ours => lab.server("server", &name, &[]).await,
                    Theirs => {
                        let mut arguments = vec![lab.bootstrap.as_str(), "-"];
                        let hex = hex(relay);
                        if server_names {
                            arguments.push(&hex);
                        }
                        let mut server = lab.script("server", "profile-server.mjs", &arguments);
                        let key = server.event("key").await;
                        (server, key)
                    }
                };
                let line = match server_names {
                    true => words.to_vec(),
                    false => [&named[..], &words].concat(),
                };
                let (code, output) = match client {
                    Ours => lab.client("client", &key, &line).await,
                    Theirs => lab.javascript_client("client", &key, &line).await,
                };
                assert_eq!(code, 0, "{name}: {output}");
                if client == Ours {
                    assert_relayed(code, &output);
                }
            }
        }
    }
}

/// The memory of the relay's process, searched after the deed, holds nothing of what went through it.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_never_sees_what_it_carries() {
    let Some(lab) = Lab::start().await else {
        return;
    };
    let (relay_process, relay) = relay(&lab, Ours).await;
    lab.pair(Kind::Random, Kind::Random);
    let (server, key) = lab.server("server", "secret", &[]).await;
    let secret = ["a-word-that-", "nobody-else-says"].concat();
    let words = ["--relay", &relay, "register", "--name", "Ada", "--bio", &secret];
    let (code, output) = lab.client("client", &key, &words).await;
    assert_relayed(code, &output);
    assert!(holds(server.child.id().unwrap(), secret.as_bytes()), "the server has read it");
    assert!(!holds(relay_process.child.id().unwrap(), secret.as_bytes()));
    // What the relay does know is found.
    let own: hyperprofile::PublicKey = relay.parse().unwrap();
    assert!(holds(relay_process.child.id().unwrap(), own.as_bytes()));
}

/// Starts a relay on a public host and returns its key in z-base-32.
pub(crate) async fn relay(lab: &Lab, whose: Whose) -> (Process, String) {
    match whose {
        Ours => {
            let file = lab.folder.path().join("relay");
            let arguments = [
                "--bind",
                "25.0.2.1:5000",
                "--public",
                "25.0.2.1",
                "--bootstrap",
                &lab.bootstrap,
                "--relay",
                "--relay-key",
                file.to_str().unwrap(),
            ];
            let mut node = lab.program("d2", NODE, &arguments);
            let key = node.event("relay").await;
            (node, key)
        }
        Theirs => {
            let mut script = lab.script("d3", "relay.mjs", &[&lab.bootstrap]);
            let hex = script.event("key").await;
            let key: hyperprofile::PublicKey = hex.parse().unwrap();
            (script, key.to_z32())
        }
    }
}

pub(crate) fn assert_relayed(code: i32, output: &str) {
    assert_eq!(code, 0, "{output}");
    let output: Value = serde_json::from_str(output).unwrap();
    let report = &output["report"];
    assert_eq!(report["path"]["kind"], "relayed", "{report:#}");
    let total = Duration::from_secs_f64(report["total"].as_f64().unwrap() / 1e3);
    eprintln!("relayed after {} ms", total.as_millis());
}

fn hex(key: &str) -> String {
    key.parse::<hyperprofile::PublicKey>().unwrap().to_hex()
}

/// Searches the writable memory of a process.
fn holds(pid: u32, needle: &[u8]) -> bool {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mut memory = std::fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    maps.lines().any(|line| {
        let (range, rest) = line.split_once(' ').unwrap();
        if !rest.starts_with("rw") {
            return false;
        }
        let (from, to) = range.split_once('-').unwrap();
        let [from, to] = [from, to].map(|end| u64::from_str_radix(end, 16).unwrap());
        let mut bytes = vec![0; (to - from) as usize];
        memory.seek(SeekFrom::Start(from)).unwrap();
        // Some ranges of the kernel's can't be read.
        memory.read_exact(&mut bytes).is_ok() && bytes.windows(needle.len()).any(|part| part == needle)
    })
}
