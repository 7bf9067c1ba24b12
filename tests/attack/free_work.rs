//! Work that costs the asking side nothing.

use std::time::Duration;

use hyperprofile::{Dht, KeyPair, PublicKey, Testnet};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{NODE, Person, Running, SERVER, text};
use crate::metrics::Metrics;

#[tokio::test]
async fn a_key_cannot_keep_the_server_busy_with_lines_that_are_no_requests() {
    let network = Testnet::new(5).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let bootstrap = network.bootstrap().remove(0);
    let arguments = ["--data-dir", text(folder.path()), "--bootstrap", &bootstrap];
    let mut server = Running::start(SERVER, &arguments);
    let key = server.line().await;
    let public_key: PublicKey = key.parse().unwrap();
    let dht = Dht::builder().bootstrap([&bootstrap]).bind("127.0.0.1:0").spawn().await.unwrap();

    for (number, line) in [(1, "{\"jsonrpc\":\"2.0\",\"method\":\"ping\"}\n"), (2, "{\n"), (3, "\n")] {
        let key_pair = KeyPair::from_seed(&[number; 32]);
        let connection = dht.connect(public_key).key_pair(&key_pair).await.unwrap();
        let (mut reader, mut writer) = tokio::io::split(connection);
        // What the server answers must not hold it back.
        let answers = tokio::spawn(async move {
            let (mut read, mut buffer) = (0, vec![0; 64 * 1024]);
            while let Ok(count) = reader.read(&mut buffer).await
                && count > 0
            {
                read += count;
            }
            read
        });
        let lines = line.repeat(1000);
        let mut sent = 0;
        // Far more than all buffers on the way hold.
        while sent < MOST && writer.write_all(lines.as_bytes()).await.is_ok() {
            sent += lines.len();
        }
        assert!(sent < MOST, "the server took {sent} bytes of {line:?}");
        let read = answers.await.unwrap();
        assert!(read < 100 * 1024, "{read} bytes of answers");
    }
    // Nobody else notices.
    let ada = Person::new();
    let register = format!("--server {key} --bootstrap {bootstrap} register --name Ada");
    ada.run(&register).await.ended(0);
    server.signal("-TERM").await;
    server.end().await.ended(0);
    dht.close().await;
    network.close().await;
}

#[tokio::test]
async fn silent_clients_of_the_metrics_keep_nobody_out() {
    let line = "--new-network --bind 127.0.0.1:0 --json --metrics 127.0.0.1:0";
    let mut node = Running::start(NODE, &line.split(' ').collect::<Vec<_>>());
    let metrics = Metrics::of(&mut node).await;
    node.line().await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        let mut client = TcpStream::connect(&metrics.address).await.unwrap();
        // Those that the node has closed to make room cannot write.
        let _ = client.write_all(b"GET /met").await;
        silent.push(client);
    }
    let answer = metrics.scrape(Duration::from_secs(5)).await;
    assert!(answer.is_some_and(|text| text.contains("hyperdht_records{")));
    node.signal("-TERM").await;
    node.end().await.ended(0);
}

/// Bytes that a client sends at most.
const MOST: usize = 64 << 20;
