//! Connections that begin at a blind relay and migrate to a direct path. The peer of the reference holds its
//! probes back, so that the relay is there first.

use std::future::IntoFuture;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use hyperprofile::api::{Connection, Dht, Mode, Path, Relay, RelayStats};
use hyperprofile::{KeyPair, PublicKey};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};

use crate::support::{Network, Nodes, Process, Reference, reference_installed};
use crate::{guest, soon};

const BYTES: usize = 4 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn our_client_and_their_server_leave_the_relay() {
    if !reference_installed() {
        return;
    }
    let network = Network::start(Nodes::Ours, Reference::Latest).await;
    let (_node, relay) = relay(&network).await;
    let relay_key = relay.public_key().to_hex();
    let words = [network.bootstrap.as_str(), "server", &relay_key];
    let mut server = Process::script(Reference::Latest, "moving.mjs", &words);
    let key: PublicKey = server.event("key").await.trim().parse().unwrap();

    let dht = guest(&network).await;
    let mut connection = soon(dht.connect(key).into_future()).await.unwrap();
    assert_eq!(connection.path(), Path::Relayed);
    let beginning = connection.remote_addr();
    let content = vec![7; BYTES];
    let mut back = vec![0; BYTES];
    {
        let (mut reader, mut writer) = tokio::io::split(&mut connection);
        let both = async { tokio::join!(writer.write_all(&content), reader.read_exact(&mut back)) };
        let (written, read) = soon(both).await;
        written.unwrap();
        read.unwrap();
    }
    assert!(back == content, "other bytes came back");
    assert_moved(&connection, beginning).await;
    assert_unused(&relay).await;

    // The direct path carries everything by itself.
    connection.write_all(b"on our own").await.unwrap();
    let mut back = [0; 10];
    soon(connection.read_exact(&mut back)).await.unwrap();
    assert_eq!(&back, b"on our own");
    soon(connection.shutdown()).await.unwrap();
    let close = server.event("close").await;
    assert_eq!(close, format!("{} moved left", BYTES + 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn their_client_and_our_server_leave_the_relay() {
    if !reference_installed() {
        return;
    }
    let network = Network::start(Nodes::Ours, Reference::Latest).await;
    let (_node, relay) = relay(&network).await;
    let dht = guest(&network).await;
    let key_pair = KeyPair::generate();
    let server = soon(dht.listen(&key_pair).into_future()).await.unwrap();
    let words = [
        network.bootstrap.as_str(),
        "client",
        &key_pair.public_key().to_hex(),
        &relay.public_key().to_hex(),
        &BYTES.to_string(),
    ];
    let mut client = Process::script(Reference::Latest, "moving.mjs", &words);
    let mut connection = soon(server.accept()).await.unwrap();
    assert_eq!(connection.path(), Path::Relayed);
    let beginning = connection.remote_addr();
    {
        let (mut reader, mut writer) = tokio::io::split(&mut connection);
        soon(copy(&mut reader, &mut writer)).await.unwrap();
    }
    assert_moved(&connection, beginning).await;
    soon(connection.shutdown()).await.unwrap();
    let echoed = client.event("echoed").await;
    assert_eq!(echoed, format!("{BYTES} moved left"));
    assert_unused(&relay).await;
}

/// Waits until a connection has left the relay, and checks what it reports of that.
async fn assert_moved(connection: &Connection, beginning: SocketAddrV4) {
    let path = soon(connection.moved()).await.unwrap();
    assert_ne!(path, Path::Relayed);
    assert_eq!(connection.path(), path);
    assert_ne!(connection.remote_addr(), beginning);
    let report = connection.report();
    assert_eq!(report.path, Some((path, connection.remote_addr())));
}

/// Waits until a relay has nothing to do.
async fn assert_unused(relay: &Relay) {
    let unused = async {
        while relay.stats() != RelayStats::default() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon(unused).await;
}

/// Starts a relay that is publicly reachable, as far as loopback is public.
async fn relay(network: &Network) -> (Dht, Relay) {
    let dht = Dht::builder()
        .bootstrap([network.bootstrap.as_str()])
        .bind("127.0.0.1:0")
        .mode(Mode::Persistent)
        .firewalled(false)
        .public_ip(Ipv4Addr::LOCALHOST)
        .spawn()
        .await
        .unwrap();
    dht.bootstrapped().await.unwrap();
    let relay = dht.relay(&KeyPair::generate());
    let relay = soon(relay.into_future()).await.unwrap();
    (dht, relay)
}
