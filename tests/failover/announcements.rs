//! Two servers with one key, over nodes of either kind (`hyperdht-rpc.md` §7.1).

use std::future::IntoFuture as _;
use std::sync::Arc;

use hyperprofile::api::ConnectError;
use hyperprofile::{Dht, KeyPair, PublicKey};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::mortal::Mortal;
use crate::support::{DEADLINE, Network, Nodes, Process, Reference, reference_installed};

#[tokio::test(flavor = "multi_thread")]
async fn over_nodes_of_this_crate_the_last_announcement_wins_and_a_stop_withdraws_all() {
    two_servers(Nodes::Ours).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_nodes_of_the_reference_the_last_announcement_wins_and_a_stop_withdraws_all() {
    two_servers(Nodes::Theirs).await;
}

async fn two_servers(nodes: Nodes) {
    if !reference_installed() {
        return;
    }
    let network = Network::start(nodes, Reference::Latest).await;
    let key_pair = KeyPair::generate();
    let first = greeting(&network, &key_pair, b"1").await;
    let second = greeting(&network, &key_pair, b"2").await;
    let (client, key) = (network.guest().await, first.key());
    // Who is announced last is reached, by clients of either kind.
    becomes("2", || reached(&client, &key)).await;
    first.server.refresh().await;
    becomes("1", || reached(&client, &key)).await;
    becomes("1", || reached_from_javascript(&network, &key)).await;
    second.server.refresh().await;
    becomes("2", || reached(&client, &key)).await;
    becomes("2", || reached_from_javascript(&network, &key)).await;

    // Who stops in order takes the other one's announcement along, and that one notices it by itself.
    second.server.close().await;
    let found = timeout(DEADLINE, async {
        loop {
            match client.connect(key).await {
                Ok(mut connection) => return connection.read_u8().await.unwrap(),
                Err(ConnectError::NotFound { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    });
    assert_eq!(found.await.unwrap(), b'1');

    // Who dies stays announced: the other one is reached once it announces itself, also by those who are
    // dialling already.
    let third = greeting(&network, &key_pair, b"3").await;
    becomes("3", || reached(&client, &key)).await;
    third.die();
    let stranger = network.guest().await;
    let (ours, theirs, ()) = tokio::join!(
        reached(&stranger, &key),
        reached_from_javascript(&network, &key),
        first.server.refresh(),
    );
    assert_eq!((&*ours, &*theirs), ("1", "1"));
    stranger.close().await;
    client.close().await;
    network.close().await;
}

/// Starts a server that sends one byte over each connection.
async fn greeting(network: &Network, key_pair: &KeyPair, byte: &'static [u8; 1]) -> Mortal {
    let mortal = Mortal::listen(network, key_pair).await;
    let server = Arc::clone(&mortal.server);
    mortal.spawn(async move {
        while let Some(mut connection) = server.accept().await {
            tokio::spawn(async move {
                // The client leaves as it likes.
                let _ = connection.write_all(byte).await;
                let _ = connection.shutdown().await;
                let _ = connection.read_to_end(&mut Vec::new()).await;
            });
        }
    });
    mortal
}

/// Asks again until the answer is this one: a server counts as announced before its last node has it.
async fn becomes<F: Future<Output = String>>(expected: &str, ask: impl Fn() -> F) {
    let work = async { while ask().await != expected {} };
    timeout(DEADLINE, work).await.unwrap_or_else(|_| panic!("{expected} is not reached"));
}

/// Returns what the server sends that a client reaches.
async fn reached(client: &Dht, key: &PublicKey) -> String {
    let connection = timeout(DEADLINE, client.connect(*key).into_future()).await.unwrap();
    let byte = timeout(DEADLINE, connection.unwrap().read_u8()).await.unwrap();
    char::from(byte.unwrap()).to_string()
}

async fn reached_from_javascript(network: &Network, key: &PublicKey) -> String {
    let words = [network.bootstrap.as_str(), "say", &key.to_hex(), "hello"];
    Process::script(Reference::Latest, "dht-peer.mjs", &words).event("heard").await
}
