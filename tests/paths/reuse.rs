//! Connections that use the path of an earlier one. Both peers assume firewalls in front of them.

use std::future::IntoFuture;

use hyperprofile::api::{Connection, Dht};
use hyperprofile::{KeyPair, PublicKey};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};

use crate::support::{Network, Nodes, Process, Reference, reference_installed};
use crate::{guest, soon};

#[tokio::test(flavor = "multi_thread")]
async fn our_client_comes_back_to_their_server() {
    if !reference_installed() {
        return;
    }
    let network = Network::start(Nodes::Ours, Reference::Latest).await;
    let words = [network.bootstrap.as_str(), "server"];
    let mut server = Process::script(Reference::Latest, "reuse.mjs", &words);
    let key: PublicKey = server.event("key").await.trim().parse().unwrap();

    let dht = guest(&network).await;
    let mut first = connect(&dht, &key).await;
    assert_eq!(first.report().remembered, None);
    let seen = server.event("connection").await;
    let mut second = connect(&dht, &key).await;
    // From the same socket to the same one, and no other node was asked.
    assert_eq!(server.event("connection").await, seen);
    assert_eq!(second.remote_addr(), first.remote_addr());
    let report = second.report();
    assert_eq!(report.remembered, Some(first.remote_addr()));
    assert_eq!((report.exchanges.len(), report.nodes_asked), (1, 0));
    assert_eq!(report.probes_sent, 0);
    for connection in [&mut second, &mut first] {
        connection.write_all(b"hello").await.unwrap();
        let mut back = [0; 5];
        soon(connection.read_exact(&mut back)).await.unwrap();
        assert_eq!(&back, b"hello");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn their_client_comes_back_to_our_server() {
    if !reference_installed() {
        return;
    }
    let network = Network::start(Nodes::Ours, Reference::Latest).await;
    let dht = guest(&network).await;
    let listen = dht.listen(KeyPair::generate()).reusable_socket();
    let server = soon(listen.into_future()).await.unwrap();
    let words = [network.bootstrap.as_str(), "client", &server.public_key().to_hex(), "2"];
    let mut client = Process::script(Reference::Latest, "reuse.mjs", &words);
    let mut places = Vec::new();
    for _ in 0..2 {
        let mut connection = soon(server.accept()).await.unwrap();
        places.push(connection.remote_addr());
        tokio::spawn(async move {
            let (mut reader, mut writer) = tokio::io::split(&mut connection);
            let _ = copy(&mut reader, &mut writer).await;
        });
    }
    assert_eq!(places[0], places[1]);
    let first = client.event("echoed").await;
    let place = first.split_whitespace().next().unwrap();
    assert!(!first.contains(&format!(" {place}")), "{first}");
    assert_eq!(client.event("echoed").await, format!("{place} {place}"));
    client.event("done").await;
}

async fn connect(dht: &Dht, key: &PublicKey) -> Connection {
    let connect = dht.connect(key).reusable_socket();
    soon(connect.into_future()).await.unwrap()
}
