//! The program `hyperdht`, and the package in `packaging/npm`, with the reference on the other side.
//!
//! Run `npm ci` in `tests/interop` first.

#![cfg(feature = "cli")]
// The lint knows test functions, not the helpers below them; the message of a skipped test is the one thing
// printed.
#![allow(clippy::print_stderr, clippy::unwrap_used)]

// Each program of tests uses a part of it.
#[allow(dead_code)]
mod support;

use std::path::Path;
use std::process::Stdio;

use hyperprofile::{KeyPair, crypto};
use serde_json::{Value, json};
use support::{DEADLINE, Network, Nodes, Process, Reference, interop, reference_installed};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

const TOOL: &str = env!("CARGO_BIN_EXE_hyperdht");

/// A network of theirs; `None` without the reference.
async fn network() -> Option<Network> {
    match reference_installed() {
        true => Some(Network::start(Nodes::Theirs, Reference::Latest).await),
        false => None,
    }
}

fn tool(network: &Network, words: &[&str]) -> Process {
    Process::program(TOOL, &[&["--json", "--bootstrap", &network.bootstrap], words].concat())
}

/// Runs the tool and returns the last object that it prints.
async fn last(network: &Network, words: &[&str]) -> Value {
    let output = tool(network, words).success().await;
    serde_json::from_str(output.lines().last().unwrap()).unwrap()
}

fn peer(network: &Network, words: &[&str]) -> Process {
    Process::script(Reference::Latest, "dht-peer.mjs", &[&[network.bootstrap.as_str()], words].concat())
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    data_encoding::HEXLOWER.encode(bytes.as_ref())
}

#[tokio::test(flavor = "multi_thread")]
async fn values_and_peers_of_theirs_are_found_and_ours_are_found_by_them() {
    let Some(network) = network().await else { return };
    let hash = peer(&network, &["immutable-put", "theirs"]).event("hash").await;
    assert_eq!(last(&network, &["get", &hash]).await["value"], "theirs");
    let put = last(&network, &["put", "ours"]).await;
    let hash = put["hash"].as_str().unwrap();
    assert_eq!(peer(&network, &["immutable-get", hash]).event("value").await, "ours");

    let seed = hex([5; 32]);
    let key = peer(&network, &["mutable-put", &seed, "7", "theirs"]).event("key").await;
    let value = last(&network, &["get", "--mutable", &key]).await;
    assert_eq!((&value["value"], &value["seq"]), (&json!("theirs"), &json!(7)));
    let folder = tempfile::tempdir().unwrap();
    let identity = folder.path().join("identity");
    // The same key here: its next value follows on theirs.
    KeyPair::from_seed(&[5; 32]).save(&identity).unwrap();
    let put = last(&network, &["put", "ours", "--mutable", "--identity", identity.to_str().unwrap()]).await;
    assert_eq!(put["seq"], 8);
    assert_eq!(peer(&network, &["mutable-get", &key]).event("value").await, "8 ours");

    let topic = hex(crypto::hash("a room"));
    let announced = last(&network, &["announce", "a room", "--once"]).await;
    let own: hyperprofile::PublicKey = announced["public_key"].as_str().unwrap().parse().unwrap();
    assert_eq!(peer(&network, &["lookup", &topic]).event("peer").await, own.to_hex());
    peer(&network, &["announce", &hex([9; 32]), &seed]).event("key").await;
    let found = last(&network, &["lookup", &hex([9; 32])]).await;
    assert_eq!(found["public_key"], KeyPair::from_seed(&[5; 32]).public_key().to_z32());
    network.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_theirs_is_pinged_and_piped_to() {
    let Some(network) = network().await else { return };
    let mut server = Process::script(Reference::Latest, "echo-server.mjs", &[&network.bootstrap]);
    let key = server.event("key").await;
    let pong = last(&network, &["ping", &key]).await;
    assert_eq!(pong["path"], "direct");
    let pong = last(&network, &["ping", &network.bootstrap]).await;
    assert!(pong["round_trip"].is_number(), "{pong}");

    let mut piping = pipe(&network, &[&key]);
    piping.stdin.take().unwrap().write_all(b"to the echo").await.unwrap();
    let mut came = String::new();
    let reading = piping.stdout.as_mut().unwrap().read_to_string(&mut came);
    timeout(DEADLINE, reading).await.unwrap().unwrap();
    assert_eq!(came, "to the echo");
    assert!(timeout(DEADLINE, piping.wait()).await.unwrap().unwrap().success());
    network.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_theirs_comes_to_our_pipe() {
    let Some(network) = network().await else { return };
    let mut piping = pipe(&network, &["--listen"]);
    let mut events = BufReader::new(piping.stderr.take().unwrap()).lines();
    let listening = timeout(DEADLINE, events.next_line()).await.unwrap().unwrap().unwrap();
    let listening: Value = serde_json::from_str(&listening).unwrap();
    let key: hyperprofile::PublicKey = listening["public_key"].as_str().unwrap().parse().unwrap();
    piping.stdin.take().unwrap().write_all(b"hello from Rust").await.unwrap();
    let heard = peer(&network, &["say", &key.to_hex(), "hello from JavaScript"]).event("heard").await;
    assert_eq!(heard, "hello from Rust");
    let output = timeout(DEADLINE, piping.wait_with_output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "hello from JavaScript");
    network.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swarm_of_theirs_and_ours_talk() {
    let Some(network) = network().await else { return };
    let topic = hex(crypto::hash("a room"));
    let arguments = [network.bootstrap.as_str(), &topic, "--server", "--client", "--say", "from JavaScript"];
    let mut theirs = Process::script(Reference::Latest, "swarm.mjs", &arguments);
    let their_key = theirs.event("key").await;
    let mut ours = tool(&network, &["swarm", "a room"]);
    let own: Value = serde_json::from_str(&ours.first_line().await).unwrap();
    let own: hyperprofile::PublicKey = own["public_key"].as_str().unwrap().parse().unwrap();
    // It waits until somebody is there.
    ours.child.stdin.as_mut().unwrap().write_all(b"echo\n").await.unwrap();
    assert_eq!(theirs.event("said").await, format!("{} echo", own.to_hex()));
    let their_key: hyperprofile::PublicKey = their_key.parse().unwrap();
    let mut texts = Vec::new();
    while texts.len() < 2 {
        let line: Value = serde_json::from_str(&ours.first_line().await).unwrap();
        assert_eq!(line["public_key"], their_key.to_z32());
        texts.extend(line["text"].as_str().map(str::to_owned));
    }
    assert_eq!(texts, ["from JavaScript", "echoed"]);
    network.close().await;
}

fn pipe(network: &Network, words: &[&str]) -> Child {
    let mut command = Command::new(TOOL);
    command.args(["--json", "--bootstrap", &network.bootstrap, "pipe"]).args(words).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Installs the package beside hyperdht, as npm does, and runs a program that uses it.
#[tokio::test(flavor = "multi_thread")]
async fn a_javascript_project_tests_against_our_nodes() {
    if !reference_installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let modules = folder.path().join("node_modules");
    let package = modules.join("hyperprofile-testnet");
    std::fs::create_dir_all(&package).unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/npm");
    for file in ["package.json", "index.js"] {
        std::fs::copy(source.join(file), package.join(file)).unwrap();
    }
    let hyperdht = std::fs::canonicalize(interop().join("node_modules/hyperdht")).unwrap();
    std::os::unix::fs::symlink(hyperdht, modules.join("hyperdht")).unwrap();
    let script = folder.path().join("npm-testnet.mjs");
    std::fs::copy(interop().join("npm-testnet.mjs"), &script).unwrap();

    let mut command = Command::new("node");
    command.arg(&script).env("DHT_NODE", env!("CARGO_BIN_EXE_dht-node"));
    let output = Process::start("npm-testnet.mjs".into(), command).success().await;
    let lines: Vec<_> = output.lines().collect();
    let [echoed, joined, refused, done] = lines[..] else { panic!("{output}") };
    assert_eq!((echoed, joined, done), ("echoed", "joined", "done"));
    assert!(refused.contains("/nowhere/dht-node") && refused.contains("DHT_NODE"), "{refused}");
}
