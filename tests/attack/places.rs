//! One host takes all connections of a server, with a key for each. Everybody else gets one all the same, and
//! the host's own next client hears why it gets none. `HYPERPROFILE_SERVER` names another build of
//! `profile-server`, to compare; `HYPERPROFILE_FULL` fills the default of 10,000 connections.

use std::time::Duration;

use hyperprofile::{Connection, Dht, KeyPair, PublicKey, Testnet};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::amount;
use crate::harness::{CLIENT, Outcome, Person, Running, SERVER, run, text};

#[tokio::test(flavor = "multi_thread")]
async fn a_host_with_all_connections_gives_way_to_others_and_hears_that_the_server_is_full() {
    let connections: usize = amount(100, 10_000);
    let network = Testnet::new(5).await.unwrap();
    let bootstrap = network.bootstrap().remove(0);
    let folder = tempfile::tempdir().unwrap();
    let limit = connections.to_string();
    let mut arguments = vec!["--data-dir", text(folder.path()), "--bootstrap", &bootstrap];
    // That of the default needs no option.
    arguments.extend(amount(vec!["--connections", &limit], vec![]));
    let program = std::env::var("HYPERPROFILE_SERVER").unwrap_or_else(|_| SERVER.to_owned());
    let mut server = Running::start(&program, &arguments);
    let key = server.line().await;

    let attacker =
        Dht::builder().bootstrap([&bootstrap]).bind(format!("{ATTACKER}:0")).spawn().await.unwrap();
    let mut held = Vec::new();
    while held.len() < connections {
        let batch = (connections - held.len()).min(64);
        held.extend(take(&attacker, key.parse().unwrap(), batch).await);
    }

    let client = async |who: &Person, address: &str, words: &str| -> Outcome {
        who.run(&format!("--server {key} --bootstrap {bootstrap} --bind {address}:0 {words}")).await
    };
    for number in 1..=20 {
        let address = format!("127.7.{number}.1");
        client(&Person::new(), &address, "register --name Ada").await.ended(0);
    }
    let eve = Person::new();
    client(&eve, ATTACKER, "register --name Eve").await.failed(6, "full");
    let (identity, bind) = (eve.path("identity"), format!("{ATTACKER}:0"));
    let plain = ["--identity", text(&identity), "--server", &key, "--bootstrap", &bootstrap, "--bind", &bind];
    let told = run(CLIENT, &[&plain[..], &["register", "--name", "Eve"]].concat()).await.ended(6);
    assert!(told.stderr.contains("\nhint: try again"), "{told:?}");
    // Those that had to go are the last that came, and hear the end in order.
    let newest = held.last_mut().unwrap();
    let mut rest = Vec::new();
    timeout(PATIENCE, newest.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert_eq!(rest, b"");
    let oldest = held.first_mut().unwrap();
    let ping = b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n";
    oldest.get_mut().write_all(ping).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, oldest.read_line(&mut answer)).await.unwrap().unwrap();
    assert!(answer.contains("result"), "the oldest stay: {answer}");
}

/// Opens so many connections, each under a key of its own.
async fn take(dht: &Dht, server: PublicKey, count: usize) -> Vec<BufReader<Connection>> {
    let mut tasks = JoinSet::new();
    for _ in 0..count {
        let dht = dht.clone();
        tasks.spawn(async move {
            let connection = dht.connect(&server).key_pair(&KeyPair::generate()).timeout(PATIENCE).await;
            let mut reader = BufReader::new(connection.ok()?);
            // The greeting shows that the server has the connection.
            reader.read_line(&mut String::new()).await.ok().filter(|read| *read > 0)?;
            Some(reader)
        });
    }
    tasks.join_all().await.into_iter().flatten().collect()
}

const ATTACKER: &str = "127.66.6.6";
const PATIENCE: Duration = Duration::from_secs(30);
