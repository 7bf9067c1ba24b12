//! Paths of connections with a peer of the reference on either side: over a blind relay, from there to a
//! direct path, and the path of an earlier connection.
//!
//! Run `npm ci` in `tests/interop` first.

#![cfg(feature = "cli")]
// The lint knows test functions, not the helpers below them; the message of a skipped test is the one thing
// printed.
#![allow(clippy::print_stderr, clippy::unwrap_used)]

#[path = "../support/mod.rs"]
#[allow(dead_code)]
mod support;

mod moving;
mod rebinding;
mod reuse;

use std::future::Future;

use hyperprofile::api::{Dht, Mode};
use support::{DEADLINE, Network};
use tokio::time::timeout;

/// Joins with a node of this crate that does not find out that all of loopback is reachable, and offers no
/// local address.
async fn guest(network: &Network) -> Dht {
    let dht = Dht::builder()
        .bootstrap([network.bootstrap.as_str()])
        .bind("127.0.0.1:0")
        .mode(Mode::Ephemeral)
        .quick_firewall(false)
        .lan(false)
        .spawn()
        .await
        .unwrap();
    dht.bootstrapped().await.unwrap();
    dht
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future).await.expect("it takes too long")
}
