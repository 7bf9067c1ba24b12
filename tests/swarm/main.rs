//! Swarms over loopback: among themselves, and with npm `hyperswarm` on the other side.
//!
//! Run `npm ci` in `tests/interop` first; without it the tests against the reference are skipped.
//! `HYPERPROFILE_RUNS=20` repeats those 20 times.

// The lint knows test functions, not the helpers below them; the message of a skipped test is the one thing
// printed.
#![allow(clippy::print_stderr, clippy::unwrap_used)]

#[path = "../support/mod.rs"]
#[allow(dead_code)]
mod support;

mod interop;
mod joining;
mod keeping;
mod life;

use std::future::Future;
use std::time::Duration;

use hyperprofile::swarm::{PeerInfo, SwarmBuilder, SwarmEvent, SwarmEvents};
use hyperprofile::{Connection, PublicKey, Swarm, Testnet};
use support::DEADLINE;
use tokio::task::JoinHandle;
use tokio::time::timeout;

const TOPIC: [u8; 32] = [7; 32];

/// Times to wait as short as in the tests of the reference.
const QUICK: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(300),
    Duration::from_millis(400),
];

/// Starts a swarm on a node of its own.
async fn swarm(network: &Testnet) -> Swarm {
    swarm_with(network, |builder| builder).await
}

async fn swarm_with(network: &Testnet, configure: impl FnOnce(SwarmBuilder) -> SwarmBuilder) -> Swarm {
    let dht = network.builder().spawn().await.unwrap();
    configure(Swarm::builder(&dht).backoffs(QUICK)).spawn().unwrap()
}

/// Waits for the next connection.
async fn next(swarm: &Swarm) -> (Connection, PeerInfo) {
    within(swarm.next()).await.unwrap()
}

/// Takes all connections of a swarm, and keeps them.
fn keep(swarm: &Swarm) -> JoinHandle<Vec<Connection>> {
    let swarm = swarm.clone();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Some((connection, _)) = swarm.next().await {
            kept.push(connection);
        }
        kept
    })
}

/// Waits for an event that meets a condition.
async fn event(events: &mut SwarmEvents, mut is_it: impl FnMut(&SwarmEvent) -> bool) -> SwarmEvent {
    within(async {
        loop {
            let event = events.next().await.unwrap();
            if is_it(&event) {
                return event;
            }
        }
    })
    .await
}

async fn disconnected(events: &mut SwarmEvents, key: &PublicKey) {
    event(events, |event| matches!(event, SwarmEvent::Disconnected(peer) if peer.public_key == *key)).await;
}

async fn within<F: Future>(work: F) -> F::Output {
    timeout(DEADLINE, work).await.expect("it takes too long")
}
