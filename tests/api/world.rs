//! A small network, and what the tests do with it again and again.

use std::future::IntoFuture;
use std::time::Duration;

use hyperprofile::{Connection, Dht, KeyPair, Server, Testnet};

/// A test network with a node that listens and one that connects.
pub(crate) struct World {
    pub(crate) testnet: Testnet,
    pub(crate) listening: Dht,
    pub(crate) client: Dht,
    pub(crate) server: Server,
    pub(crate) key_pair: KeyPair,
    pub(crate) key: hyperprofile::PublicKey,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|builder| builder).await
    }

    pub(crate) async fn with(
        configure: impl FnOnce(hyperprofile::api::DhtBuilder) -> hyperprofile::api::DhtBuilder,
    ) -> Self {
        within(async {
            let testnet = Testnet::new(4).await.unwrap();
            let listening = configure(testnet.builder()).spawn().await.unwrap();
            let client = testnet.builder().spawn().await.unwrap();
            let key_pair = KeyPair::generate();
            let server = listening.listen(&key_pair).await.unwrap();
            Self { testnet, listening, client, server, key: *key_pair.public_key(), key_pair }
        })
        .await
    }

    /// Connects the client to the server and returns both ends.
    pub(crate) async fn connect(&self) -> (Connection, Connection) {
        within(async {
            let (client, server) =
                tokio::join!(self.client.connect(self.key).into_future(), self.server.accept());
            (client.unwrap(), server.unwrap())
        })
        .await
    }
}

/// Sends everything back on each connection until it ends.
pub(crate) fn echo(server: Server) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        while let Some(connection) = server.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = connection.into_split();
                // The other side ends it as it likes.
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    })
}

pub(crate) async fn within<T>(work: impl IntoFuture<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), work).await.expect("it takes far less than this")
}

pub(crate) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index * 31 + index / 253) as u8).collect()
}
