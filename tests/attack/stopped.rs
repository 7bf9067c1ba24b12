//! Processes that are stopped for a while and go on.

use std::path::Path;
use std::time::{Duration, Instant};

use hyperprofile::{PublicKey, Testnet};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::amount;
use crate::harness::{NODE, Running, text};

/// The usual time-out is 20 s; both sides wait for five minutes.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_outlives_a_peer_that_is_stopped() {
    let stopped = Duration::from_secs(amount(25, 120));
    let program = Path::new(NODE).with_file_name("examples").join("peer");
    if !program.exists() {
        assert!(std::env::var_os("CI").is_none(), "the examples are not built");
        eprintln!("SKIPPED: the examples are not built: cargo build --examples");
        return;
    }
    let network = Testnet::new(5).await.unwrap();
    let bootstrap = network.bootstrap().remove(0);
    let mut peer = Running::start(text(&program), &["server", &bootstrap, "patient"]);
    let key = peer.line().await;
    let key: PublicKey = key.strip_prefix("key ").unwrap().parse().unwrap();
    let dht = network.builder().spawn().await.unwrap();
    let usual = dht.connect(key).await.unwrap();
    let mut patient = dht.connect(key).idle_timeout(Duration::from_secs(300)).await.unwrap();
    patient.write_all(b"before").await.unwrap();
    patient.read_exact(&mut [0; 6]).await.unwrap();

    peer.signal("-STOP").await;
    let start = Instant::now();
    patient.write_all(b"during").await.unwrap();
    let ended = usual.closed().await;
    assert!(matches!(ended, Err(hyperprofile::api::StreamError::TimedOut { .. })), "{ended:?}");
    // The length of the stop is what is tried.
    tokio::time::sleep(stopped.saturating_sub(start.elapsed())).await;
    peer.signal("-CONT").await;

    let mut echo = [0; 6];
    tokio::time::timeout(Duration::from_secs(60), patient.read_exact(&mut echo)).await.unwrap().unwrap();
    assert_eq!(&echo, b"during");
    patient.write_all(b"after!").await.unwrap();
    tokio::time::timeout(Duration::from_secs(60), patient.read_exact(&mut echo)).await.unwrap().unwrap();
    assert_eq!(&echo, b"after!");
}
