//! One host takes all connections of a server, with a key for each. Everybody else gets one all the same, and
//! the host's own next client hears why it gets none. `HYPERPROFILE_SERVER` names another build of
//! `profile-server`, to compare; `HYPERPROFILE_FULL` fills the default of 10,000 connections.

use std::io;
use std::time::Duration;

use hyperprofile::{Connection, Dht, KeyPair, PublicKey, Testnet};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::amount;
use crate::harness::{CLIENT, Person, Running, SERVER, run, text};

#[tokio::test(flavor = "multi_thread")]
async fn a_host_with_all_connections_gives_way_to_others_and_hears_that_the_server_is_full() {
    let connections: usize = amount(100, 10_000);
    let network = Testnet::new(5).await.unwrap();
    let bootstrap = network.bootstrap().remove(0);
    let folder = tempfile::tempdir().unwrap();
    let limit = connections.to_string();
    let mut arguments = vec!["--data-dir", text(folder.path()), "--bootstrap", &bootstrap, "-q"];
    // That of the default needs no option.
    arguments.extend(amount(vec!["--connections", &limit], vec![]));
    let program = std::env::var("HYPERPROFILE_SERVER").unwrap_or_else(|_| SERVER.to_owned());
    let mut server = Running::start(&program, &arguments);
    let key = server.line().await;
    let public_key = key.parse().unwrap();

    let attacker = node(&bootstrap, ATTACKER).await;
    let mut held = JoinSet::new();
    while held.len() < connections {
        let batch = (connections - held.len()).min(64);
        for connection in take(&attacker, public_key, batch).await {
            held.spawn(hold(connection));
        }
    }

    let eve = Person::new();
    let at = |address: &str| format!("--server {key} --bootstrap {bootstrap} --bind {address}:0");
    eve.run(&format!("{} register --name Eve", at(ATTACKER))).await.failed(6, "full");
    let (identity, bind) = (eve.path("identity"), format!("{ATTACKER}:0"));
    let plain = ["--identity", text(&identity), "--server", &key, "--bootstrap", &bootstrap, "--bind", &bind];
    let told = run(CLIENT, &[&plain[..], &["register", "--name", "Eve"]].concat()).await.ended(6);
    assert!(told.stderr.contains("\nhint: try again"), "{told:?}");

    // Each of the others takes over a connection, and the host hears the end of that one in order.
    let mut others = JoinSet::new();
    for number in 1..=20 {
        let node = node(&bootstrap, &format!("127.7.{number}.1")).await;
        let mut taken = take(&node, public_key, 1).await;
        others.spawn(hold(taken.pop().expect("others connect")));
        timeout(PATIENCE, held.join_next()).await.unwrap().unwrap().unwrap().unwrap();
    }
    let ada = Person::new();
    ada.run(&format!("{} register --name Ada", at("127.8.1.1"))).await.ended(0);
    assert_eq!(others.len(), 20);
    assert!(others.try_join_next().is_none(), "the others stay");
}

async fn node(bootstrap: &str, address: &str) -> Dht {
    Dht::builder().bootstrap([bootstrap]).bind(format!("{address}:0")).spawn().await.unwrap()
}

/// Opens so many connections, each under a key of its own.
async fn take(dht: &Dht, server: PublicKey, count: usize) -> Vec<BufReader<Connection>> {
    let mut tasks = JoinSet::new();
    for _ in 0..count {
        let dht = dht.clone();
        tasks.spawn(async move {
            let connection = dht.connect(server).key_pair(KeyPair::generate()).timeout(PATIENCE).await;
            let mut reader = BufReader::new(connection.ok()?);
            // The greeting shows that the server has the connection.
            reader.read_line(&mut String::new()).await.ok().filter(|read| *read > 0)?;
            Some(reader)
        });
    }
    tasks.join_all().await.into_iter().flatten().collect()
}

/// Keeps a connection from being idle until its end.
async fn hold(mut connection: BufReader<Connection>) -> io::Result<()> {
    let mut line = String::new();
    loop {
        match timeout(KEEP_BUSY, connection.read_line(&mut line)).await {
            Ok(Ok(0)) => return Ok(()),
            Ok(Ok(_)) => line.clear(),
            Ok(Err(error)) => return Err(error),
            Err(_) => {
                connection
                    .get_mut()
                    .write_all(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n")
                    .await?
            }
        }
    }
}

const ATTACKER: &str = "127.66.6.6";
const PATIENCE: Duration = Duration::from_secs(30);
const KEEP_BUSY: Duration = Duration::from_secs(20);
