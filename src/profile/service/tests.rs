use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant;

use super::super::lines::MAX_LINE;
use super::testing::{Peer, key_pair, kind, record, service};
use super::*;
use crate::profile::limits::Limits;

fn closed(registration: Access, lookup: Access) -> ServiceConfig {
    ServiceConfig { registration, lookup, ..ServiceConfig::default() }
}

#[tokio::test]
async fn a_known_client_is_greeted_with_its_profile() {
    let (service, _) = service(ServiceConfig::default());
    let mut first = Peer::connect(&service, 1).await;
    assert_eq!(
        first.hello,
        json!({"jsonrpc": "2.0", "method": "hello", "params": {
            "protocol": 1, "maxProtocol": 2, "record": null,
            "limits": {"profileBytes": 8192, "lineBytes": 65536},
        }})
    );
    let stored = record(1, 1, "Ada");
    let answer = first.register(&stored).await;
    assert_eq!(answer["result"]["record"], serde_json::to_value(&stored).unwrap());

    let second = Peer::connect(&service, 1).await;
    assert_eq!(second.hello["params"]["record"], serde_json::to_value(&stored).unwrap());
    let stranger = Peer::connect(&service, 2).await;
    assert_eq!(stranger.hello["params"]["record"], Value::Null);
}

#[tokio::test]
async fn the_life_of_a_profile() {
    let (service, _) = service(ServiceConfig::default());
    let mut ada = Peer::connect(&service, 1).await;
    assert_eq!(kind(&ada.call("profile.get", json!({})).await), "not_registered");
    assert_eq!(kind(&ada.update(&record(1, 1, "Ada")).await), "not_registered");
    ada.register(&record(1, 1, "Ada")).await;
    let again = ada.register(&record(1, 1, "Ada")).await;
    assert_eq!(again["result"]["record"]["version"], 1);
    let other = ada.register(&record(1, 1, "Bob")).await;
    assert_eq!(other["error"]["data"], json!({"kind": "already_registered", "version": 1}));
    assert_eq!(ada.update(&record(1, 2, "Ada L")).await["result"]["record"]["version"], 2);
    let gap = ada.update(&record(1, 9, "Ada M")).await;
    assert_eq!(gap["error"]["data"], json!({"kind": "version_conflict", "version": 2}));
    let above = json!({"record": record(1, 9, "Ada M"), "after": 2});
    assert_eq!(ada.call("profile.update", above).await["result"]["record"]["version"], 9);
    let got = ada.call("profile.get", json!({})).await;
    assert_eq!(got["result"]["record"]["profile"], json!(r#"{"name":"Ada M"}"#));

    let stale = ada.call("profile.delete", json!({"version": 2})).await;
    assert_eq!(stale["error"]["data"], json!({"kind": "version_conflict", "version": 9}));
    for _ in 0..2 {
        let deleted = ada.call("profile.delete", json!({"version": 9})).await;
        assert_eq!(deleted["result"], json!({"deleted": true}));
    }
    assert_eq!(kind(&ada.call("profile.get", json!({})).await), "not_registered");
    let replayed = ada.register(&record(1, 1, "Ada")).await;
    assert_eq!(replayed["error"]["data"], json!({"kind": "version_conflict", "version": 9}));
    assert_eq!(ada.register(&record(1, 10, "Ada")).await["result"]["record"]["version"], 10);
}

#[tokio::test]
async fn anyone_looks_up_a_key_they_know() {
    let (service, _) = service(ServiceConfig::default());
    Peer::connect(&service, 1).await.register(&record(1, 1, "Ada")).await;
    let mut reader = Peer::connect(&service, 2).await;
    let key = |seed| json!({"key": key_pair(seed).public_key().to_hex()});
    let found = reader.call("profile.lookup", key(1)).await;
    assert_eq!(found["result"]["record"]["key"], key_pair(1).public_key().to_hex());
    let absent = reader.call("profile.lookup", key(3)).await;
    assert_eq!(kind(&absent), "not_registered");
}

#[tokio::test]
async fn what_the_operator_closed_stays_closed() {
    let (service, _) = service(closed(Access::Closed, Access::Closed));
    let mut ada = Peer::connect(&service, 1).await;
    assert_eq!(kind(&ada.register(&record(1, 1, "Ada")).await), "closed");
    let key = json!({"key": key_pair(1).public_key().to_hex()});
    assert_eq!(kind(&ada.call("profile.lookup", key).await), "closed");
}

#[tokio::test]
async fn closed_registration_leaves_members_as_they_are() {
    let (open, store) = service(ServiceConfig::default());
    Peer::connect(&open, 1).await.register(&record(1, 1, "Ada")).await;
    let service = Service::new(store, closed(Access::Closed, Access::Open));
    let mut ada = Peer::connect(&service, 1).await;
    assert_eq!(ada.register(&record(1, 1, "Ada")).await["result"]["record"]["version"], 1);
    assert_eq!(ada.update(&record(1, 2, "Ada L")).await["result"]["record"]["version"], 2);
}

#[tokio::test]
async fn faulty_lines_are_answered_and_the_connection_goes_on() {
    let (service, _) = service(ServiceConfig::default());
    let mut ada = Peer::connect(&service, 1).await;
    for (line, code) in [
        ("{", -32700),
        ("", -32700),
        ("[]", -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"nope"}"#, -32601),
        (r#"{"jsonrpc":"2.0","id":1,"method":"profile.get","params":{"key":1}}"#, -32602),
    ] {
        ada.send(line).await;
        assert_eq!(ada.read().await.unwrap()["error"]["code"], code, "{line}");
    }
    ada.send(r#"{"jsonrpc":"2.0","method":"profile.delete","params":{"version":1}}"#).await;
    assert_eq!(ada.call("ping", json!({})).await["result"], json!({}));
}

#[tokio::test]
async fn an_overlong_line_is_answered_and_ends_the_connection() {
    let (service, _) = service(ServiceConfig::default());
    let mut ada = Peer::connect(&service, 1).await;
    ada.stream.write_all(&vec![b' '; MAX_LINE]).await.unwrap();
    assert_eq!(ada.read().await.unwrap()["error"]["code"], -32700);
    assert_eq!(ada.read().await, None);
    assert!(matches!(ada.served.await.unwrap(), Ended::LongLine));
}

#[tokio::test]
async fn requests_sent_at_once_are_answered_in_order() {
    let (service, _) = service(ServiceConfig::default());
    let mut ada = Peer::connect(&service, 1).await;
    for id in 0..200 {
        ada.send(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping","params":{{}}}}"#)).await;
    }
    for id in 0..200 {
        assert_eq!(ada.read().await.unwrap()["id"], id);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_is_not_read_and_then_dropped() {
    let (service, _) = service(ServiceConfig::default());
    let mut ada = Peer::connect(&service, 1).await;
    let ping = br#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{}}
"#;
    // Far more than the pipe holds in both directions: writing must come to a stop.
    let flood = async {
        for _ in 0..100_000 {
            if ada.stream.write_all(ping).await.is_err() {
                return;
            }
        }
        panic!("the service took everything");
    };
    let started = Instant::now();
    flood.await;
    assert!(started.elapsed() >= Duration::from_secs(60));
    assert!(matches!(ada.served.await.unwrap(), Ended::Unread));
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_dropped_after_a_minute_and_notifications_are_silence() {
    let (service, _) = service(ServiceConfig::default());
    let mut ada = Peer::connect(&service, 1).await;
    let started = Instant::now();
    tokio::time::sleep(Duration::from_secs(50)).await;
    ada.call("ping", json!({})).await;
    tokio::time::sleep(Duration::from_secs(50)).await;
    ada.send(r#"{"jsonrpc":"2.0","method":"ping"}"#).await;
    assert_eq!(ada.read().await, None);
    assert_eq!(started.elapsed().as_secs(), 110);
    assert!(matches!(ada.served.await.unwrap(), Ended::Idle));
    assert_eq!(service.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_unfinished_line_is_given_ten_seconds() {
    let (service, _) = service(ServiceConfig::default());
    let mut ada = Peer::connect(&service, 1).await;
    let started = Instant::now();
    ada.stream.write_all(b"{\"json").await.unwrap();
    assert_eq!(ada.read().await, None);
    assert_eq!(started.elapsed().as_secs(), 10);
    assert!(matches!(ada.served.await.unwrap(), Ended::Slow));
}

#[tokio::test]
async fn the_fifth_connection_of_a_key_closes_its_first() {
    let (service, _) = service(ServiceConfig::default());
    let mut peers = Vec::new();
    for _ in 0..5 {
        let mut peer = Peer::connect(&service, 1).await;
        if peers.len() < 4 {
            peer.call("ping", json!({})).await;
        }
        peers.push(peer);
    }
    let mut oldest = peers.remove(0);
    assert_eq!(oldest.read().await, None);
    assert!(matches!(oldest.served.await.unwrap(), Ended::Replaced));
    for peer in &mut peers {
        assert_eq!(peer.call("ping", json!({})).await["result"], json!({}));
    }
    assert_eq!(service.connections(), 4);
}

#[tokio::test]
async fn a_connection_above_the_limit_is_ended() {
    let limits = Limits { connections: 2, ..Limits::default() };
    let (service, _) = service(ServiceConfig { limits, ..ServiceConfig::default() });
    let mut held = Vec::new();
    for seed in 0..2 {
        let mut peer = Peer::connect(&service, seed).await;
        peer.call("ping", json!({})).await;
        held.push(peer);
    }
    let mut third = Peer::connect(&service, 3).await;
    let answer = third.call("profile.get", json!({})).await;
    assert_eq!((kind(&answer), answer["error"]["code"].as_i64()), ("full".to_owned(), Some(-32000)));
    assert_eq!(third.read().await, None, "it ends in order");
    assert!(matches!(third.served.await.unwrap(), Ended::Full));
    for peer in &mut held {
        assert_eq!(peer.call("ping", json!({})).await["result"], json!({}));
    }
}

#[tokio::test]
async fn a_newcomer_takes_over_the_newest_connection_of_the_busiest_network() {
    let limits = Limits { connections: 3, ..Limits::default() };
    let (service, _) = service(ServiceConfig { limits, ..ServiceConfig::default() });
    let mut held = Vec::new();
    for seed in 0..3 {
        let mut peer = Peer::connect_from(&service, seed, Ipv4Addr::new(9, 9, 9, seed)).await;
        peer.call("ping", json!({})).await;
        held.push(peer);
    }
    let mut newcomer = Peer::connect_from(&service, 7, Ipv4Addr::new(8, 8, 8, 8)).await;
    assert_eq!(newcomer.call("ping", json!({})).await["result"], json!({}));
    let mut newest = held.pop().unwrap();
    assert_eq!(newest.read().await, None, "it ends in order");
    assert!(matches!(newest.served.await.unwrap(), Ended::Displaced));
    for peer in &mut held {
        assert_eq!(peer.call("ping", json!({})).await["result"], json!({}));
    }
    assert_eq!(service.connections(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_refused_peer_that_asks_for_nothing_is_told_after_two_seconds() {
    let limits = Limits { connections: 1, ..Limits::default() };
    let (service, _) = service(ServiceConfig { limits, ..ServiceConfig::default() });
    let mut held = Peer::connect(&service, 1).await;
    held.call("ping", json!({})).await;
    let started = Instant::now();
    let mut silent = Peer::connect(&service, 2).await;
    assert_eq!(kind(&silent.read().await.unwrap()), "full");
    assert_eq!(silent.read().await, None);
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn writes_lookups_and_refusals_have_their_share_of_a_minute() {
    let (service, _) = service(ServiceConfig::default());
    let mut ada = Peer::connect(&service, 1).await;
    ada.register(&record(1, 1, "Ada")).await;
    for version in 2..=10 {
        assert!(ada.update(&record(1, version, "Ada")).await["result"].is_object());
    }
    let eleventh = ada.update(&record(1, 11, "Ada")).await;
    assert_eq!(eleventh["error"]["data"], json!({"kind": "too_many", "retryAfter": 60}));
    // Repeating what is stored is no write.
    assert!(ada.update(&record(1, 10, "Ada")).await["result"].is_object());

    let key = json!({"key": key_pair(1).public_key().to_hex()});
    for _ in 0..60 {
        assert!(ada.call("profile.lookup", key.clone()).await["result"].is_object());
    }
    assert_eq!(kind(&ada.call("profile.lookup", key.clone()).await), "too_many");

    // Two were refused so far.
    for _ in 0..58 {
        assert_eq!(kind(&ada.call("profile.delete", json!({"version": 1})).await), "version_conflict");
    }
    assert_eq!(kind(&ada.call("profile.get", json!({})).await), "too_many");
    assert_eq!(ada.read().await, None);
    assert!(matches!(ada.served.await.unwrap(), Ended::Refused));
    // The count is the key's, whatever its connection.
    let mut again = Peer::connect(&service, 1).await;
    again.send("{").await;
    assert_eq!(kind(&again.read().await.unwrap()), "too_many");
    assert_eq!(again.read().await, None);

    let mut other = Peer::connect(&service, 2).await;
    assert!(other.call("profile.lookup", key).await["result"].is_object());
    tokio::time::sleep(Duration::from_secs(60)).await;
    let mut later = Peer::connect(&service, 1).await;
    assert!(later.update(&record(1, 11, "Ada")).await["result"].is_object());
}

#[tokio::test(start_paused = true)]
async fn a_key_that_sends_lines_which_are_no_requests_loses_its_connection() {
    let limits = Limits::default();
    for line in [r#"{"jsonrpc":"2.0","method":"ping"}"#, "{", ""] {
        let (service, _) = service(ServiceConfig::default());
        let mut ada = Peer::connect(&service, 1).await;
        let mut sent = 0;
        let mut answers = 0;
        while sent <= limits.refusals_per_minute {
            ada.send(line).await;
            sent += 1;
        }
        while let Some(answer) = ada.read().await {
            assert!(answer["error"].is_object());
            answers += 1;
        }
        assert!(matches!(ada.served.await.unwrap(), Ended::Refused), "{line}");
        assert!(answers <= sent);
        let mut bob = Peer::connect(&service, 2).await;
        assert_eq!(bob.call("ping", json!({})).await["result"], json!({}), "another key is served");
    }
}

#[tokio::test]
async fn registrations_are_limited_by_public_network() {
    let (service, _) = service(ServiceConfig::default());
    for seed in 0..21 {
        let source = Ipv4Addr::new(203, 0, 113, seed);
        let mut peer = Peer::connect_from(&service, seed, source).await;
        let answer = peer.register(&record(seed, 1, "a")).await;
        if seed < 20 {
            assert!(answer["result"].is_object(), "{answer}");
        } else {
            assert_eq!(kind(&answer), "too_many");
        }
    }
}

#[tokio::test]
async fn closing_ends_connections_in_order() {
    let (service, _) = service(ServiceConfig::default());
    let mut ada = Peer::connect(&service, 1).await;
    ada.call("ping", json!({})).await;
    service.close().await;
    assert_eq!(ada.read().await, None);
    assert!(matches!(ada.served.await.unwrap(), Ended::Closing));
}
