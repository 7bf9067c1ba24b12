//! Kills the server repeatedly while a client writes: every acknowledged write is found afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hyperprofile::profile::{MemoryVersions, ProfileClient, ProfileDraft, ThroughDht};
use hyperprofile::{KeyPair, Testnet};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::harness::{Running, SERVER, text};

const KILLS: usize = 50;

#[tokio::test]
async fn fifty_kills_of_the_server_lose_no_acknowledged_write() {
    let network = Testnet::new(5).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let bootstrap = network.bootstrap().remove(0);
    let arguments = [
        "--data-dir",
        text(folder.path()),
        "--bootstrap",
        &bootstrap,
        "--quiet",
        "--writes-per-minute",
        "1000000",
    ];
    let identity = KeyPair::from_seed(&[1; 32]);
    let acknowledged = Arc::new(AtomicU64::new(0));
    let mut closing = JoinSet::new();
    for kill in 0..=KILLS {
        let mut server = Running::start(SERVER, &arguments);
        let dial = ThroughDht {
            dht: network.builder().spawn().await.unwrap(),
            server: server.line().await.parse().unwrap(),
            identity: identity.clone(),
        };
        let versions = MemoryVersions::default();
        let mut client = ProfileClient::connect(identity.clone(), dial.clone(), versions).await.unwrap();
        let stored = client.record().map_or(0, |record| record.version());
        let promised = acknowledged.load(Ordering::SeqCst);
        assert!(stored >= promised, "kill {kill}: version {stored} is there, {promised} was acknowledged");

        // After this many acknowledged writes, the kill comes in the middle of the next.
        let (enough, reached) = (stored + 1 + kill as u64 % 5, Arc::new(Notify::new()));
        let writing = tokio::spawn({
            let (acknowledged, reached) = (acknowledged.clone(), reached.clone());
            async move {
                loop {
                    let version = write(&mut client).await;
                    acknowledged.store(version, Ordering::SeqCst);
                    if version >= enough {
                        reached.notify_one();
                    }
                }
            }
        });
        reached.notified().await;
        server.child.kill().await.unwrap();
        writing.abort();
        // Over when this returns: nothing is acknowledged after the count is read.
        assert!(writing.await.unwrap_err().is_cancelled());
        // It waits for the answer of the server that is dead.
        closing.spawn(async move { dial.dht.close().await });
    }
    closing.join_all().await;
    assert!(acknowledged.load(Ordering::SeqCst) >= KILLS as u64);
}

async fn write(client: &mut ProfileClient<ThroughDht, MemoryVersions>) -> u64 {
    let named = |version: u64| {
        let name = format!("version {version}");
        ProfileDraft { name, ..ProfileDraft::default() }.check()
    };
    let record = match client.record().map(|record| record.version()) {
        None => client.register(named(1).unwrap()).await,
        Some(stored) => client.update(|_| named(stored + 1)).await,
    };
    record.unwrap().version()
}
