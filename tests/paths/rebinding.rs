//! Peers of the reference whose packets come from another port in the middle of a connection. Their own side
//! does not follow ours: see `udx.md` §21.1.

use std::future::IntoFuture;
use std::time::Duration;

use hyperprofile::api::Connection;
use hyperprofile::{KeyPair, PublicKey};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};

use crate::support::{Network, Nodes, Process, Reference, reference_installed};
use crate::{guest, soon};

const BYTES: usize = 4 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn their_client_is_followed_in_the_middle_of_a_transfer() {
    if !reference_installed() {
        return;
    }
    let network = Network::start(Nodes::Ours, Reference::Latest).await;
    let dht = guest(&network).await;
    let key_pair = KeyPair::generate();
    let server = soon(dht.listen(&key_pair).into_future()).await.unwrap();
    let (key, at, bytes) = (key_pair.public_key().to_hex(), (BYTES / 2).to_string(), BYTES.to_string());
    let words = [network.bootstrap.as_str(), "client", &key, &at, &bytes];
    let mut client = Process::script(Reference::Latest, "rebinding.mjs", &words);
    let mut connection = soon(server.accept()).await.unwrap();
    let beginning = connection.remote_addr();
    {
        let (mut reader, mut writer) = tokio::io::split(&mut connection);
        soon(copy(&mut reader, &mut writer)).await.unwrap();
    }
    let port = client.event("port").await;
    assert_eq!(client.event("echoed").await, bytes);
    assert_ne!(connection.remote_addr(), beginning);
    assert_eq!(connection.remote_addr().port().to_string(), port);
    soon(connection.shutdown()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn their_server_is_followed_in_the_middle_of_a_transfer() {
    if !reference_installed() {
        return;
    }
    let network = Network::start(Nodes::Ours, Reference::Latest).await;
    let (mut server, mut connection) = connect(&network, BYTES / 2, "0").await;
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
    assert_eq!(connection.remote_addr().port().to_string(), server.event("port").await);
    soon(connection.shutdown()).await.unwrap();
    assert_eq!(server.event("close").await, BYTES.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn their_server_is_followed_by_its_keep_alive() {
    if !reference_installed() {
        return;
    }
    let network = Network::start(Nodes::Ours, Reference::Latest).await;
    let (mut server, mut connection) = connect(&network, 4, "500").await;
    connection.write_all(b"move").await.unwrap();
    let mut back = [0; 4];
    soon(connection.read_exact(&mut back)).await.unwrap();
    let port = server.event("port").await;
    let followed = async {
        while connection.remote_addr().port().to_string() != port {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon(followed).await;
    connection.write_all(b"here").await.unwrap();
    soon(connection.read_exact(&mut back)).await.unwrap();
    assert_eq!(&back, b"here");
}

/// Starts a server of the reference that sends from another port so long after so many bytes have come.
async fn connect(network: &Network, at: usize, pause: &str) -> (Process, Connection) {
    let words = [network.bootstrap.as_str(), "server", &at.to_string(), pause];
    let mut server = Process::script(Reference::Latest, "rebinding.mjs", &words);
    let key: PublicKey = server.event("key").await.trim().parse().unwrap();
    let connection = soon(guest(network).await.connect(key).into_future()).await.unwrap();
    (server, connection)
}
