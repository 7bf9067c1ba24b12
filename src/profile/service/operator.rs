//! What an operator changes while the service runs.

use std::net::Ipv4Addr;

use serde_json::json;

use super::testing::{Peer, key_pair, kind, record, service};
use super::*;
use crate::PublicKey;
use crate::profile::limits::Limits;

fn key(seed: u8) -> PublicKey {
    *key_pair(seed).public_key()
}

fn banned(keys: &[u8], networks: &[&str]) -> Admission {
    Admission {
        banned_keys: keys.iter().map(|seed| key(*seed)).collect(),
        banned_networks: networks.iter().map(|text| text.parse().unwrap()).collect(),
        ..Admission::default()
    }
}

/// Fails unless the peer gets the refusal of a ban for its request, and the end.
async fn assert_banned(peer: Peer) {
    let error = &peer.hello["params"]["error"];
    assert_eq!((&error["data"]["kind"], &peer.hello["params"]["record"]), (&json!("closed"), &json!(null)));
    assert_refused(peer).await;
}

/// Fails unless a peer that was let in is refused like that.
async fn assert_refused(mut peer: Peer) {
    let answer = peer.call("profile.get", json!({})).await;
    assert_eq!((kind(&answer), answer["error"]["code"].as_i64()), ("closed".to_owned(), Some(-32000)));
    let message = answer["error"]["message"].as_str().unwrap();
    assert_eq!(message, "the operator has closed this server to your key or your network");
    assert_eq!(peer.read().await, None, "it ends in order");
    assert!(matches!(peer.served.await.unwrap(), Ended::Banned));
}

#[tokio::test]
async fn a_ban_ends_the_connections_of_its_key_and_refuses_new_ones_until_it_is_lifted() {
    let (service, _) = service(ServiceConfig::default());
    let mut ada = Peer::connect(&service, 1).await;
    ada.register(&record(1, 1, "Ada")).await;
    let mut bob = Peer::connect(&service, 2).await;
    bob.call("ping", json!({})).await;

    assert_eq!(service.set_admission(banned(&[1], &[])), 1);
    assert_eq!(ada.read().await, None, "it ends in order");
    assert!(matches!(ada.served.await.unwrap(), Ended::Banned));
    assert_eq!(service.connections(), 1);
    assert_banned(Peer::connect(&service, 1).await).await;
    assert_eq!(bob.call("ping", json!({})).await["result"], json!({}));

    assert_eq!(service.set_admission(Admission::default()), 0);
    let mut ada = Peer::connect(&service, 1).await;
    assert_eq!(ada.call("profile.get", json!({})).await["result"]["record"]["version"], 1);
}

#[tokio::test]
async fn a_banned_network_is_refused_and_others_are_not() {
    let (service, _) = service(ServiceConfig::default());
    let inside = Ipv4Addr::new(203, 0, 113, 9);
    let mut open = Peer::connect_from(&service, 1, inside).await;
    open.call("ping", json!({})).await;
    assert_eq!(service.set_admission(banned(&[], &["203.0.113.0/24"])), 1);
    assert_eq!(open.read().await, None);
    assert_banned(Peer::connect_from(&service, 1, inside).await).await;
    let mut outside = Peer::connect_from(&service, 1, Ipv4Addr::new(203, 0, 114, 9)).await;
    assert_eq!(outside.call("ping", json!({})).await["result"], json!({}));
}

#[tokio::test]
async fn a_peer_that_moves_into_a_banned_network_is_refused_there() {
    let (service, _) = service(ServiceConfig::default());
    service.set_admission(banned(&[], &["203.0.113.0/24"]));
    let (mut peer, place) = Peer::connect_movable(&service, 1, Ipv4Addr::LOCALHOST).await;
    peer.call("ping", json!({})).await;
    *place.lock().unwrap() = Ipv4Addr::new(203, 0, 113, 1);
    assert_refused(peer).await;
}

#[tokio::test]
async fn banned_keys_take_no_place_of_others() {
    let limits = Limits { connections: 1, ..Limits::default() };
    let (service, _) = service(ServiceConfig { limits, ..ServiceConfig::default() });
    service.set_admission(banned(&[2], &[]));
    let mut held = Peer::connect_from(&service, 1, Ipv4Addr::new(9, 9, 9, 9)).await;
    held.call("ping", json!({})).await;
    // From elsewhere, so that another key would displace it.
    assert_banned(Peer::connect_from(&service, 2, Ipv4Addr::new(8, 8, 8, 8)).await).await;
    assert_eq!(held.call("ping", json!({})).await["result"], json!({}));
}

#[tokio::test]
async fn allowed_keys_register_and_others_do_not_but_those_registered_stay() {
    let (service, _) = service(ServiceConfig::default());
    Peer::connect(&service, 3).await.register(&record(3, 1, "Eve")).await;
    let config = ServiceConfig { registration: Access::Allowed, ..ServiceConfig::default() };
    service.configure(config);
    assert_eq!(service.config(), config);
    service.set_admission(Admission { allowed_keys: [key(1)].into(), ..Admission::default() });
    let allowed = Peer::connect(&service, 1).await.register(&record(1, 1, "Ada")).await;
    assert_eq!(allowed["result"]["record"]["version"], 1);
    let mut other = Peer::connect(&service, 2).await;
    assert_eq!(kind(&other.register(&record(2, 1, "Bob")).await), "closed");
    let updated = Peer::connect(&service, 3).await.update(&record(3, 2, "Eve")).await;
    assert_eq!(updated["result"]["record"]["version"], 2);
    // On the connection that is open.
    service.set_admission(Admission { allowed_keys: [key(2)].into(), ..Admission::default() });
    assert_eq!(other.register(&record(2, 1, "Bob")).await["result"]["record"]["version"], 1);
}

#[tokio::test(start_paused = true)]
async fn other_limits_hold_at_once_and_what_was_counted_counts_on() {
    let (service, _) = service(ServiceConfig::default());
    let mut ada = Peer::connect(&service, 1).await;
    ada.register(&record(1, 1, "Ada")).await;
    for version in 2..=5 {
        ada.update(&record(1, version, "Ada")).await;
    }
    let limits = Limits { writes_per_minute: 5, ..Limits::default() };
    service.configure(ServiceConfig { limits, lookup: Access::Closed, ..ServiceConfig::default() });
    assert_eq!(kind(&ada.update(&record(1, 6, "Ada")).await), "too_many");
    let found = ada.call("profile.lookup", json!({"key": key(1).to_hex()})).await;
    assert_eq!(kind(&found), "closed");
    let limits = Limits { writes_per_minute: 6, ..Limits::default() };
    service.configure(ServiceConfig { limits, ..ServiceConfig::default() });
    assert_eq!(ada.update(&record(1, 6, "Ada")).await["result"]["record"]["version"], 6);
    let found = ada.call("profile.lookup", json!({"key": key(1).to_hex()})).await;
    assert_eq!(found["result"]["record"]["version"], 6);
}

#[tokio::test]
async fn open_connections_are_listed_and_those_of_a_key_are_ended() {
    let (service, _) = service(ServiceConfig::default());
    let mut peers = Vec::new();
    for (seed, requests) in [(1, 3), (2, 1), (1, 2)] {
        let mut peer = Peer::connect(&service, seed).await;
        for _ in 0..requests {
            peer.call("ping", json!({})).await;
        }
        peers.push(peer);
    }
    let open = service.open_connections(0, 9);
    let shown: Vec<_> = open.iter().map(|open| (open.key, open.requests)).collect();
    assert_eq!(shown, [(key(1), 3), (key(2), 1), (key(1), 2)]);
    assert_eq!(service.disconnect(&key(1)), 2);
    for mut peer in [peers.remove(2), peers.remove(0)] {
        assert_eq!(peer.read().await, None);
        assert!(matches!(peer.served.await.unwrap(), Ended::Disconnected));
    }
    assert_eq!(service.disconnect(&key(1)), 0);
    let mut again = Peer::connect(&service, 1).await;
    assert_eq!(again.call("ping", json!({})).await["result"], json!({}));
}
