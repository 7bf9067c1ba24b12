//! Two servers on one database.

use std::net::Ipv4Addr;

use serde_json::json;

use super::super::PostgresStore;
use super::super::postgres_store::tests::{connect, shared};
use super::super::store::Store as _;
use super::testing::{Peer, key_pair, kind, record};
use super::{Service, ServiceConfig};

async fn two() -> Option<[Service<PostgresStore>; 2]> {
    let cluster = shared()?;
    let url = cluster.url(&cluster.database());
    let one = Service::new(connect(&url).await.unwrap(), ServiceConfig::default());
    Some([one, Service::new(connect(&url).await.unwrap(), ServiceConfig::default())])
}

#[tokio::test]
async fn the_limits_of_a_key_and_of_a_network_hold_over_both() {
    let Some(services) = two().await else { return };
    let (one, two) = (Ipv4Addr::new(1, 2, 3, 4), Ipv4Addr::new(1, 2, 3, 5));
    let mut peers = [Peer::connect(&services[0], 1).await, Peer::connect(&services[1], 1).await];
    peers[0].register(&record(1, 1, "Ada")).await;
    for version in 2..11 {
        let answer = peers[version % 2].update(&record(1, version as u64, "Ada")).await;
        assert!(answer.get("result").is_some(), "{answer}");
    }
    for peer in &mut peers {
        let refused = peer.update(&record(1, 11, "Ada")).await;
        assert_eq!(kind(&refused), "too_many");
        let seconds = refused["error"]["data"]["retryAfter"].as_u64().unwrap();
        assert!((1..=60).contains(&seconds), "{refused}");
    }
    for seed in 10..30 {
        let mut peer = Peer::connect_from(&services[usize::from(seed % 2)], seed, one).await;
        assert!(peer.register(&record(seed, 1, "a")).await.get("result").is_some());
    }
    for service in &services {
        let mut peer = Peer::connect_from(service, 30, two).await;
        assert_eq!(kind(&peer.register(&record(30, 1, "a")).await), "too_many");
    }
}

#[tokio::test]
async fn a_watch_shows_what_is_stored_through_the_other_and_nothing_twice() {
    let Some(services) = two().await else { return };
    let mut ada = Peer::connect(&services[0], 1).await;
    let mut eve = Peer::connect(&services[1], 2).await;
    let key = *key_pair(1).public_key();
    eve.call("profile.watch", json!({"keys": [key.to_hex()]})).await;
    assert_eq!(eve.read().await.unwrap()["params"]["record"], json!(null));
    for version in 1..4 {
        let stored = record(1, version, "Ada");
        let answer = if version == 1 { ada.register(&stored).await } else { ada.update(&stored).await };
        assert!(answer.get("result").is_some(), "{answer}");
        // As after an interruption.
        services[1].store().changes().notify_all();
        assert_eq!(eve.read().await.unwrap()["params"]["record"], json!(stored));
    }
}
