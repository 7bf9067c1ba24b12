//! Channels and calls against npm `protomux` and `@hyperswarm/rpc`, with either side as the server.
//!
//! Run `npm ci` in `tests/interop` first. `HYPERPROFILE_RUNS=20` repeats every test 20 times.

#![cfg(feature = "cli")]
// The lint knows test functions, not the helpers below them; the message of a skipped test is the one thing
// printed.
#![allow(clippy::print_stderr, clippy::unwrap_used)]

#[path = "channels/mux.rs"]
mod mux;
#[path = "channels/rpc.rs"]
mod rpc;
#[path = "channels/tunnel.rs"]
mod tunnel;
// Each program of tests uses a part of it.
#[allow(dead_code)]
mod support;

use std::future::IntoFuture;

use hyperprofile::api::{Connection, Server};
use hyperprofile::{Dht, KeyPair, PublicKey};
use support::{DEADLINE, Network, Nodes, Reference, reference_installed};
use tokio::time::timeout;

/// Runs a test `HYPERPROFILE_RUNS` times with a node of this crate, or skips it with a message.
async fn with_guest(test: impl AsyncFn(&Network, &Dht)) {
    if !reference_installed() {
        return;
    }
    let runs = std::env::var("HYPERPROFILE_RUNS").map_or(1, |runs| runs.parse().unwrap());
    for _ in 0..runs {
        let network = soon(Network::start(Nodes::Ours, Reference::Latest)).await;
        let dht = network.guest().await;
        test(&network, &dht).await;
        dht.close().await;
        network.close().await;
    }
}

async fn listen(dht: &Dht) -> Server {
    soon(dht.listen(KeyPair::generate()).into_future()).await.unwrap()
}

async fn connect(dht: &Dht, key: &str) -> Connection {
    let key: PublicKey = key.parse().unwrap();
    soon(dht.connect(key).into_future()).await.unwrap()
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future).await.expect("within the deadline")
}
