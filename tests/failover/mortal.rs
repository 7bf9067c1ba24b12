//! Servers that can die as a killed process does.

use std::sync::Arc;

use hyperprofile::api::{Dht, Mode, Server};
use hyperprofile::{KeyPair, PublicKey};
use tokio::runtime::{Builder, Runtime};

use crate::support::Network;

/// A server on threads of its own.
pub(crate) struct Mortal {
    /// Until it is dropped.
    runtime: Option<Runtime>,
    /// Keeps the node running.
    _dht: Dht,
    pub(crate) server: Arc<Server>,
}

impl Mortal {
    /// Joins a network and listens with a key.
    pub(crate) async fn listen(network: &Network, key_pair: &KeyPair) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (bootstrap, key_pair) = (network.bootstrap.clone(), key_pair.clone());
        let listening = runtime.spawn(async move {
            let dht = Dht::builder().bootstrap([bootstrap]).bind("127.0.0.1:0");
            let dht = dht.mode(Mode::Ephemeral).spawn().await.unwrap();
            let server = dht.listen(&key_pair).reusable_socket().await.unwrap();
            (dht, server)
        });
        let (dht, server) = listening.await.unwrap();
        Self { runtime: Some(runtime), _dht: dht, server: Arc::new(server) }
    }

    /// Runs a task on the server's threads.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.as_ref().unwrap().spawn(task);
    }

    pub(crate) fn key(&self) -> PublicKey {
        *self.server.public_key()
    }

    /// Ends the server's tasks where they are, without a farewell: its sockets are closed.
    pub(crate) fn die(self) {
        drop(self);
    }
}

impl Drop for Mortal {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
