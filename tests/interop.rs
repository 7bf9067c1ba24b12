//! The library and the programs against the reference implementation, over a DHT of its nodes, of this
//! crate's and of both.
//!
//! Run `npm ci` in `tests/interop` first. `HYPERPROFILE_RUNS=20` repeats every test 20 times.

#![cfg(feature = "cli")]
// The lint knows test functions, not the helpers below them; the message of a skipped test is the one thing
// printed.
#![allow(clippy::print_stderr, clippy::unwrap_used)]

// Each program of tests uses a part of it.
#[allow(dead_code)]
mod support;

use std::future::IntoFuture;
use std::time::Duration;

use hyperprofile::api::{Connection, Dht, Limits, Server};
use hyperprofile::{KeyPair, PublicKey};
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use serde_json::{Value, json};
use support::{DEADLINE, Network, Nodes, Process, Reference, reference_installed};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::sync::mpsc;
use tokio::time::timeout;

const SIXTEEN_MIB: usize = 16 << 20;

/// Makes the tests of one network with one version of the reference.
macro_rules! matrix {
    ($($module:ident: $nodes:expr, $version:expr;)*) => {$(
        mod $module {
            use super::*;

            #[tokio::test(flavor = "multi_thread")]
            async fn their_client_talks_to_our_echo_server() {
                with_network($nodes, $version, async |network| {
                    their_client(network, $version).await;
                }).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn our_client_talks_to_their_echo_server() {
                with_network($nodes, $version, async |network| {
                    their_server(network, $version).await;
                }).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn a_client_in_javascript_uses_profile_server() {
                with_network($nodes, $version, async |network| {
                    javascript_profile_client(network, $version).await;
                }).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn profile_client_uses_a_server_in_javascript() {
                with_network($nodes, $version, async |network| {
                    javascript_profile_server(network, $version).await;
                }).await;
            }
        }
    )*};
}

matrix! {
    over_their_dht: Nodes::Theirs, Reference::Latest;
    over_our_dht: Nodes::Ours, Reference::Latest;
    over_a_mixed_dht: Nodes::Mixed, Reference::Latest;
    over_their_dht_of_6_32: Nodes::Theirs, Reference::V6_32;
    over_our_dht_with_6_32: Nodes::Ours, Reference::V6_32;
    over_a_mixed_dht_with_6_32: Nodes::Mixed, Reference::V6_32;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scripts_agree_with_each_other() {
    with_network(Nodes::Theirs, Reference::Latest, async |network| {
        let arguments = [network.bootstrap.as_str()];
        let mut server = Process::script(Reference::V6_32, "profile-server.mjs", &arguments);
        let key = server.event("key").await;
        a_profile_lives(network, &Person::javascript(Reference::Latest), &key).await;
        let mut server = Process::script(Reference::Latest, "echo-server.mjs", &arguments);
        let key = server.event("key").await;
        echo_client(Reference::V6_32, network, &key, "bytes", 1 << 20).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_connections_opened_at_once_are_all_alive() {
    with_network(Nodes::Theirs, Reference::Latest, async |network| {
        let echo = Echo::start(network).await;
        let output = echo_client(Reference::Latest, network, &echo.key(), "parallel", 500).await;
        assert!(output.contains("still-alive 500"), "{output}");
        echo.dht.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_written_before_a_drop_is_lost() {
    const SIZE: usize = 300_000;
    with_network(Nodes::Theirs, Reference::Latest, async |network| {
        let dht = network.guest().await;
        let server = soon(dht.listen(KeyPair::generate()).into_future()).await.unwrap();
        let key = server.public_key().to_hex();
        let content = pseudo_random(SIZE);
        let serve = async {
            let (mut read, mut write) = server.accept().await.unwrap().into_split();
            copy(&mut read, &mut write).await.unwrap();
            drop((read, write));
            let mut connection = server.accept().await.unwrap();
            connection.write_all(&content).await.unwrap();
        };
        let clients = async {
            let output = echo_client(Reference::Latest, network, &key, "half-close", SIZE).await;
            assert!(output.contains(&format!("echoed {SIZE} ")), "{output}");
            let output = echo_client(Reference::Latest, network, &key, "listen", SIZE).await;
            assert!(output.contains(&format!("read {SIZE}")), "{output}");
        };
        soon(async { tokio::join!(serve, clients) }).await;
        dht.close().await;
    })
    .await;
}

/// The client's own network knows nothing of the server.
#[tokio::test(flavor = "multi_thread")]
async fn their_client_reaches_our_server_through_its_relay_addresses() {
    with_network(Nodes::Theirs, Reference::Latest, async |network| {
        let dht = network.guest().await;
        let server = soon(dht.listen(KeyPair::generate()).into_future()).await.unwrap();
        let key = server.public_key().to_hex();
        let nodes: Vec<_> = soon(server.relay_addresses()).await.iter().map(ToString::to_string).collect();
        let (sender, _results) = mpsc::unbounded_channel();
        tokio::spawn(serve(server, sender));
        let elsewhere = soon(Network::start(Nodes::Ours, Reference::Latest)).await;
        let arguments = [elsewhere.bootstrap.as_str(), &key, "bytes", "100000", &nodes.join(",")];
        let output = Process::script(Reference::Latest, "echo-client.mjs", &arguments).success().await;
        assert!(output.contains("echoed 100000 "), "{output}");
        elsewhere.close().await;
        dht.close().await;
    })
    .await;
}

/// A client of the reference that does not speak first proves nothing, and is not cut off for that.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_client_is_spoken_to_before_it_has_proven_its_key() {
    let wait = std::time::Duration::from_secs(1);
    with_network(Nodes::Theirs, Reference::Latest, async |network| {
        let mut limits = Limits::default();
        limits.unproven_for = wait;
        let builder = Dht::builder().bootstrap([network.bootstrap.as_str()]).bind("127.0.0.1:0");
        let dht = builder.limits(limits).spawn().await.unwrap();
        let server = soon(dht.listen(KeyPair::generate()).into_future()).await.unwrap();
        let key = server.public_key().to_hex();
        let serve = async {
            let mut connection = server.accept().await.unwrap();
            let early = timeout(wait * 3, connection.proven()).await;
            assert!(early.is_err(), "it waits: {early:?}");
            assert_eq!(dht.stats().await.unproven, 1);
            connection.write_all(b"x").await.unwrap();
            connection.proven().await.unwrap();
            assert_eq!(dht.stats().await.unproven, 0);
            finish(connection).await;
        };
        let client = echo_client(Reference::Latest, network, &key, "silent", 7);
        soon(async { tokio::join!(serve, client) }).await;
        dht.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_reconnects_again_and_again() {
    with_network(Nodes::Theirs, Reference::Latest, async |network| {
        let echo = Echo::start(network).await;
        echo_client(Reference::Latest, network, &echo.key(), "reconnect", 25).await;
        echo.dht.close().await;

        let mut server = their_echo_server(Reference::Latest, network);
        let key = hex_key(&server.event("key").await);
        let dht = network.guest().await;
        let key_pair = KeyPair::generate();
        for round in 0..25 {
            let connect = dht.connect(key).key_pair(&key_pair);
            let mut connection = soon(connect.into_future()).await.unwrap();
            echo_one(&mut connection, round).await;
            finish(connection).await;
        }
        dht.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_byte_waits_for_no_retransmission() {
    // A first packet that is not understood is sent again after a second. The median of many runs shows such
    // a wait from a busy machine.
    with_network(Nodes::Theirs, Reference::Latest, async |network| {
        let echo = Echo::start(network).await;
        let output = echo_client(Reference::Latest, network, &echo.key(), "first-byte", 21).await;
        let theirs = output
            .lines()
            .filter_map(|line| line.strip_prefix("first-byte "))
            .map(|millis| millis.parse().unwrap());
        assert!(median(theirs) < 500.0, "their client, our server: {output}");
        echo.dht.close().await;

        let mut server = their_echo_server(Reference::Latest, network);
        let key = hex_key(&server.event("key").await);
        let dht = network.guest().await;
        let mut ours = Vec::new();
        for round in 0..21 {
            let mut connection = soon(dht.connect(key).into_future()).await.unwrap();
            let opened = std::time::Instant::now();
            echo_one(&mut connection, round).await;
            ours.push(opened.elapsed().as_secs_f64() * 1000.0);
            finish(connection).await;
        }
        assert!(median(ours.iter().copied()) < 500.0, "our client, their server: {ours:?}");
        dht.close().await;
    })
    .await;
}

/// Runs a test `HYPERPROFILE_RUNS` times, each on a network of its own, or skips it with a message.
async fn with_network(nodes: Nodes, version: Reference, test: impl AsyncFn(&Network)) {
    if !reference_installed() {
        return;
    }
    let runs = std::env::var("HYPERPROFILE_RUNS").map_or(1, |runs| runs.parse().unwrap());
    for run in 1..=runs {
        let network = soon(Network::start(nodes, version)).await;
        test(&network).await;
        soon(network.close()).await;
        if runs > 1 {
            eprintln!("{run} of {runs} runs, {nodes:?} with {version:?}");
        }
    }
}

async fn their_client(network: &Network, version: Reference) {
    let mut echo = Echo::start(network).await;
    let key = echo.key();
    let output = echo_client(version, network, &key, "bytes", SIXTEEN_MIB).await;
    assert!(output.contains(&format!("echoed {SIXTEEN_MIB} ")), "{output}");
    assert_eq!(echo.closed().await, Ok(SIXTEEN_MIB as u64));
    echo_client(version, network, &key, "half-close", SIXTEEN_MIB).await;
    assert_eq!(echo.closed().await, Ok(SIXTEEN_MIB as u64));
    echo_client(version, network, &key, "half-close", 0).await;
    assert_eq!(echo.closed().await, Ok(0));
    echo_client(version, network, &key, "abrupt", 1 << 20).await;
    // One was destroyed during the transfer, the other one ended in order; either may be noticed first.
    let mut results = [echo.closed().await, echo.closed().await];
    results.sort_unstable();
    assert_eq!(results[0], Ok(1));
    assert!(results[1].is_err(), "{results:?}");
    echo.dht.close().await;
}

async fn their_server(network: &Network, version: Reference) {
    let mut server = their_echo_server(version, network);
    let key = hex_key(&server.event("key").await);
    let dht = network.guest().await;

    let content = pseudo_random(SIXTEEN_MIB);
    exchange(&dht, &key, &content, false).await;
    let close = server.event("close").await;
    assert!(close.trim_end().ends_with(&format!(" {SIXTEEN_MIB}")), "{close}");
    exchange(&dht, &key, &content, true).await;
    server.event("close").await;
    exchange(&dht, &key, &[], true).await;
    server.event("close").await;

    let connection = soon(dht.connect(key).into_future()).await.unwrap();
    let (mut reader, mut writer) = connection.into_split();
    writer.write_all(&content[..1 << 20]).await.unwrap();
    soon(reader.read_exact(&mut vec![0; 1 << 19])).await.unwrap();
    drop((reader, writer));
    server.event("close").await;
    exchange(&dht, &key, &[1], false).await;
    dht.close().await;
}

/// Sends everything, reads everything back and ends, our side early or late.
async fn exchange(dht: &Dht, key: &PublicKey, content: &[u8], end_early: bool) {
    let connection = soon(dht.connect(key).into_future()).await.unwrap();
    let (mut reader, mut writer) = connection.into_split();
    let write = async {
        writer.write_all(content).await.unwrap();
        if end_early {
            writer.shutdown().await.unwrap();
        }
        writer
    };
    let read = async {
        let mut back = vec![0; content.len()];
        reader.read_exact(&mut back).await.unwrap();
        back
    };
    let (mut writer, back) = soon(async { tokio::join!(write, read) }).await;
    assert!(back == content, "other bytes came back");
    if !end_early {
        writer.shutdown().await.unwrap();
    }
    let mut rest = Vec::new();
    soon(reader.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.is_empty());
    let stats = soon(reader.stats()).await;
    let traffic = stats.traffic;
    assert!(traffic.bytes_sent > content.len() as u64 && traffic.bytes_received > content.len() as u64);
    assert!(traffic.packets_sent > 0 && traffic.packets_received > 0, "{traffic:?}");
    // Without content the first answer may end the stream, and measures nothing any more.
    if !content.is_empty() {
        let (smoothed, shortest) = (stats.round_trip.unwrap(), stats.round_trip_minimum.unwrap());
        assert!(shortest > Duration::ZERO && smoothed < DEADLINE, "{stats:?}");
    }
}

async fn javascript_profile_client(network: &Network, version: Reference) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("server");
    let mut server = Process::program(
        env!("CARGO_BIN_EXE_profile-server"),
        &["--data-dir", data.to_str().unwrap(), "--bootstrap", &network.bootstrap],
    );
    let key = server.first_line().await;
    let ada = Person::javascript(version);
    a_profile_lives(network, &ada, &key).await;
    a_profile_is_published_and_watched(network, &ada, &key).await;
}

/// Someone with the program and someone with the script publish, and watch each other.
async fn a_profile_is_published_and_watched(network: &Network, ada: &Person, server: &str) {
    let (bob, at) = (Person::program(), (network, server));
    let bio = "counts ".repeat(140);
    let fields: Vec<_> = (0..4).map(|n| format!("{n}={}", "x".repeat(900))).collect();
    let long: Vec<&str> =
        ["--bio", &bio].into_iter().chain(fields.iter().flat_map(|field| ["--field", field])).collect();
    bob.runs(at, &["register", "--name", "Bob"]).await;
    let update = [&["update"], &long[..]].concat();
    // Each as a value of its own, then in parts.
    for change in [&["update", "--name", "B"][..], &update] {
        for (one, other, published) in [(ada, &bob, ["lookup", "--dht"]), (&bob, ada, ["published", ""])] {
            let record = one.runs(at, change).await;
            one.runs(at, &["publish"]).await;
            let key = one.public_key(&record);
            let words: Vec<_> =
                published.into_iter().filter(|word| !word.is_empty()).chain([&*key]).collect();
            let found = other.runs(at, &words).await;
            assert_eq!(
                (&found["public_key"], &found["profile"]),
                (&record["public_key"], &record["profile"])
            );
        }
    }
    let key = bob.public_key(&bob.runs(at, &["show"]).await);
    let mut watch = ada.start(at, &["watch", &key, "2"]);
    let first: Value = serde_json::from_str(&watch.first_line().await).unwrap();
    assert_eq!(first["profile"]["bio"], bio);
    let changed = bob.runs(at, &["update", "--unset", "bio"]).await;
    let (status, output) = watch.end().await;
    let last = output.lines().last().and_then(|line| serde_json::from_str(line).ok());
    assert!(status == 0 && last == Some(changed), "{output:.2000}");
}

async fn javascript_profile_server(network: &Network, version: Reference) {
    let arguments = [network.bootstrap.as_str()];
    let mut server = Process::script(version, "profile-server.mjs", &arguments);
    let key = server.event("key").await;
    a_profile_lives(network, &Person::program(), &key).await;
}

/// Registers, reads, updates, looks up and deletes, as two people.
async fn a_profile_lives(network: &Network, ada: &Person, server: &str) {
    let eve = ada.another();
    let at = (network, server);
    ada.fails(at, &["show"], "not_registered").await;
    let registered = ada.runs(at, &["register", "--name", "Ada", "--field", "town=London"]).await;
    assert_eq!(registered["version"], 1);
    assert_eq!(registered["profile"], json!({"name": "Ada", "fields": {"town": "London"}}));
    assert_eq!(ada.runs(at, &["show"]).await, registered);
    assert_eq!(ada.runs(at, &[]).await, registered);

    let updated = ada.runs(at, &["update", "--bio", "counts"]).await;
    assert_eq!(updated["version"], 2);
    let profile = json!({"name": "Ada", "bio": "counts", "fields": {"town": "London"}});
    assert_eq!(updated["profile"], profile);
    ada.fails(at, &["register", "--name", "Eve"], "already_registered").await;
    ada.fails(at, &["update", "--name", "A\u{202e}"], "invalid_profile").await;

    eve.fails(at, &["show"], "not_registered").await;
    let key = ada.public_key(&updated);
    let seen = eve.runs(at, &["lookup", &key]).await;
    assert_eq!((&seen["public_key"], &seen["profile"]), (&updated["public_key"], &updated["profile"]));
    assert_eq!(ada.runs(at, &["show"]).await, updated);

    ada.runs(at, ada.deletes).await;
    ada.fails(at, &["show"], "not_registered").await;
    eve.fails(at, &["lookup", &key], "not_registered").await;
    let back = ada.runs(at, &["register", "--name", "Ada"]).await;
    assert_eq!(back["version"], 3);
}

/// Someone with an identity file and a program to use it with.
struct Person {
    folder: tempfile::TempDir,
    javascript: Option<Reference>,
    deletes: &'static [&'static str],
}

impl Person {
    fn javascript(version: Reference) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), javascript: Some(version), deletes: &["delete"] }
    }

    fn program() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), javascript: None, deletes: &["delete", "--yes"] }
    }

    /// Someone else with the same program.
    fn another(&self) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), ..*self }
    }

    async fn runs(&self, at: (&Network, &str), command: &[&str]) -> Value {
        let (status, output) = self.run(at, command).await;
        assert_eq!(status, 0, "{command:?}: {output}");
        output
    }

    async fn fails(&self, at: (&Network, &str), command: &[&str], kind: &str) {
        let (status, output) = self.run(at, command).await;
        assert_ne!(status, 0, "{command:?}: {output}");
        assert_eq!(output["error"]["kind"], kind, "{command:?}: {output}");
    }

    async fn run(&self, at: (&Network, &str), command: &[&str]) -> (i32, Value) {
        let (status, output) = self.start(at, command).end().await;
        let json = serde_json::from_str(&output).unwrap_or_else(|_| panic!("{command:?}: {output:?}"));
        (status, json)
    }

    fn start(&self, (network, server): (&Network, &str), command: &[&str]) -> Process {
        let identity = self.folder.path().join("identity");
        let mut arguments = vec!["--server", server, "--bootstrap", &network.bootstrap];
        arguments.extend(["--identity", identity.to_str().unwrap()]);
        match self.javascript {
            Some(version) => {
                arguments.extend(command);
                Process::script(version, "profile-client.mjs", &arguments)
            }
            None => {
                arguments.extend(["--json", "--no-input"]);
                arguments.extend(command);
                Process::program(env!("CARGO_BIN_EXE_profile-client"), &arguments)
            }
        }
    }

    fn public_key(&self, output: &Value) -> String {
        output["public_key"].as_str().unwrap().to_owned()
    }
}

/// A server of this crate that echoes and reports how each connection ended.
struct Echo {
    dht: Dht,
    public_key: PublicKey,
    results: mpsc::UnboundedReceiver<Result<u64, String>>,
}

impl Echo {
    async fn start(network: &Network) -> Self {
        let dht = network.guest().await;
        let key_pair = KeyPair::generate();
        let server = soon(dht.listen(&key_pair).into_future()).await.unwrap();
        let (sender, results) = mpsc::unbounded_channel();
        tokio::spawn(serve(server, sender));
        Self { dht, public_key: *key_pair.public_key(), results }
    }

    fn key(&self) -> String {
        self.public_key.to_hex()
    }

    /// Waits for the end of a connection: the bytes echoed, or why it failed.
    async fn closed(&mut self) -> Result<u64, String> {
        soon(self.results.recv()).await.expect("the server runs")
    }
}

async fn serve(server: Server, results: mpsc::UnboundedSender<Result<u64, String>>) {
    while let Some(connection) = server.accept().await {
        let results = results.clone();
        tokio::spawn(async move {
            let (mut reader, mut writer) = connection.into_split();
            let result = async {
                let bytes = copy(&mut reader, &mut writer).await?;
                writer.shutdown().await?;
                Ok::<_, std::io::Error>(bytes)
            };
            // The receiver is gone when a test is over.
            let _ = results.send(result.await.map_err(|error| error.to_string()));
        });
    }
}

async fn echo_client(version: Reference, network: &Network, key: &str, mode: &str, n: usize) -> String {
    let n = n.to_string();
    let arguments = [network.bootstrap.as_str(), key, mode, &n];
    Process::script(version, "echo-client.mjs", &arguments).success().await
}

fn their_echo_server(version: Reference, network: &Network) -> Process {
    Process::script(version, "echo-server.mjs", &[&network.bootstrap])
}

async fn echo_one(connection: &mut Connection, byte: u8) {
    connection.write_all(&[byte]).await.unwrap();
    assert_eq!(soon(connection.read_u8()).await.unwrap(), byte);
}

/// Ends our side and waits for the peer's end.
async fn finish(mut connection: Connection) {
    connection.shutdown().await.unwrap();
    let mut rest = Vec::new();
    soon(connection.read_to_end(&mut rest)).await.unwrap();
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future).await.expect("within the deadline")
}

fn hex_key(text: &str) -> PublicKey {
    text.parse().unwrap()
}

fn pseudo_random(length: usize) -> Vec<u8> {
    let mut content = vec![0; length];
    StdRng::seed_from_u64(7).fill_bytes(&mut content);
    content
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
