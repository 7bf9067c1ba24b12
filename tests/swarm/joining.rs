//! Finding each other: the scenarios of `test/swarm.js` and `test/dups.js` of the reference.

use std::collections::{BTreeMap, BTreeSet};

use hyperprofile::Testnet;
use hyperprofile::swarm::{Join, SwarmEvent};

use super::{TOPIC, event, keep, next, swarm, swarm_with, within};

#[tokio::test]
async fn a_client_finds_a_server() {
    let network = Testnet::new(3).await.unwrap();
    let (server, client) = (swarm(&network).await, swarm(&network).await);
    assert!(within(server.join(TOPIC, Join::server()).flushed()).await);
    client.join(TOPIC, Join::client());
    let (mut dialled, info) = next(&client).await;
    assert_eq!(info.public_key, *server.public_key());
    assert_eq!(info.topics, [TOPIC]);
    assert!(info.client && info.connected && dialled.is_initiator());
    let (mut accepted, info) = next(&server).await;
    assert_eq!(info.public_key, *client.public_key());
    assert!(info.topics.is_empty() && !info.client && !accepted.is_initiator());
    assert_eq!(accepted.own_key(), *server.public_key());
    dialled.write_message(b"ping").await.unwrap();
    assert_eq!(within(accepted.read_message()).await.unwrap().unwrap(), "ping");
    accepted.write_message(b"pong").await.unwrap();
    assert_eq!(within(dialled.read_message()).await.unwrap().unwrap(), "pong");
}

#[tokio::test]
async fn two_that_are_both_have_one_connection() {
    let network = Testnet::new(3).await.unwrap();
    let (one, two) = (swarm(&network).await, swarm(&network).await);
    within(one.join(TOPIC, Join::default()).flushed()).await;
    within(two.join(TOPIC, Join::default()).flushed()).await;
    let (first, _) = next(&one).await;
    let (second, _) = next(&two).await;
    assert_eq!(first.handshake_hash(), second.handshake_hash());
    within(one.flush()).await;
    within(two.flush()).await;
    assert_eq!((one.stats().await.connections, two.stats().await.connections), (1, 1));
}

#[tokio::test]
async fn two_that_join_at_the_same_moment_find_each_other() {
    for _ in 0..5 {
        let network = Testnet::new(3).await.unwrap();
        let (one, two) = (swarm(&network).await, swarm(&network).await);
        one.join(TOPIC, Join::default());
        two.join(TOPIC, Join::default());
        // One that opens first may give way: both sides have the one that stays.
        let mut ends: BTreeMap<_, Vec<_>> = BTreeMap::new();
        loop {
            let connection = tokio::select! {
                (connection, _) = next(&one) => connection,
                (connection, _) = next(&two) => connection,
            };
            let hash = connection.handshake_hash();
            let both = ends.entry(hash).or_default();
            both.push(connection);
            if both.len() == 2 {
                break;
            }
        }
    }
}

#[tokio::test]
async fn one_connection_serves_all_topics() {
    let network = Testnet::new(3).await.unwrap();
    let (server, client) = (swarm(&network).await, swarm(&network).await);
    for topic in [[1; 32], [2; 32]] {
        within(server.join(topic, Join::server()).flushed()).await;
    }
    for topic in [[1; 32], [2; 32]] {
        client.join(topic, Join::client());
    }
    within(client.flush()).await;
    let (_connection, _) = next(&client).await;
    assert_eq!(client.stats().await.client_opened, 1);
    assert_eq!(client.peer(server.public_key()).await.unwrap().topics, [[1; 32], [2; 32]]);
    assert_eq!(client.topics().await, [[1; 32], [2; 32]]);
}

#[tokio::test]
async fn two_clients_find_a_server_and_not_each_other() {
    let network = Testnet::new(3).await.unwrap();
    let server = swarm(&network).await;
    within(server.join(TOPIC, Join::server()).flushed()).await;
    let clients = [swarm(&network).await, swarm(&network).await];
    for client in &clients {
        within(client.join(TOPIC, Join::client()).flushed()).await;
    }
    let mut served = BTreeSet::new();
    let mut kept = Vec::new();
    for client in &clients {
        kept.push(next(client).await);
        assert_eq!(kept.last().unwrap().1.public_key, *server.public_key());
        let (connection, info) = next(&server).await;
        served.insert(info.public_key);
        kept.push((connection, info));
    }
    assert_eq!(served, clients.iter().map(|client| *client.public_key()).collect());
    for client in &clients {
        within(client.flush()).await;
        assert_eq!(client.stats().await.connections, 1);
    }
}

#[tokio::test]
async fn who_comes_after_the_server_has_left_does_not_find_it() {
    let network = Testnet::new(3).await.unwrap();
    let (server, early, late) = (swarm(&network).await, swarm(&network).await, swarm(&network).await);
    within(server.join(TOPIC, Join::default()).flushed()).await;
    early.join(TOPIC, Join::client());
    let (_kept, _) = next(&early).await;
    within(server.leave(TOPIC)).await;
    assert!(within(late.join(TOPIC, Join::client()).flushed()).await);
    within(late.flush()).await;
    assert_eq!(late.stats().await.client_attempted, 0);
    assert_eq!(early.stats().await.connections, 1, "connections stay");
}

#[tokio::test]
async fn a_refresh_finds_who_has_come_since() {
    let network = Testnet::new(3).await.unwrap();
    let (first, second, client) = (swarm(&network).await, swarm(&network).await, swarm(&network).await);
    within(first.join(TOPIC, Join::server()).flushed()).await;
    let discovery = client.join(TOPIC, Join::client());
    let (_one, info) = next(&client).await;
    assert_eq!(info.public_key, *first.public_key());
    within(second.join(TOPIC, Join::server()).flushed()).await;
    assert!(within(discovery.refresh()).await);
    let (_two, info) = next(&client).await;
    assert_eq!(info.public_key, *second.public_key());
}

#[tokio::test]
async fn who_joins_anew_as_a_server_is_found() {
    let network = Testnet::new(3).await.unwrap();
    let (one, two) = (swarm(&network).await, swarm(&network).await);
    let discovery = one.join(TOPIC, Join::client());
    discovery.change(Join::default());
    within(discovery.flushed()).await;
    two.join(TOPIC, Join::client());
    within(two.flush()).await;
    let (_connection, info) = next(&two).await;
    assert_eq!(info.public_key, *one.public_key());
}

#[tokio::test]
async fn a_topic_is_left_with_its_last_session() {
    let network = Testnet::new(3).await.unwrap();
    let (one, two) = (swarm(&network).await, swarm(&network).await);
    let client = one.join(TOPIC, Join::client());
    let server = one.join(TOPIC, Join::server());
    within(server.flushed()).await;
    within(client.leave()).await;
    assert_eq!(one.topics().await, [TOPIC]);
    // What is announced still is.
    let joined = two.join(TOPIC, Join::client());
    assert_eq!(next(&two).await.1.public_key, *one.public_key());
    within(server.leave()).await;
    assert!(one.topics().await.is_empty());
    within(joined.leave()).await;
    assert!(two.topics().await.is_empty());
}

#[tokio::test]
async fn a_flush_ends_when_there_are_as_many_connections_as_may_be() {
    let network = Testnet::new(3).await.unwrap();
    let server = swarm(&network).await;
    within(server.join(TOPIC, Join::default()).flushed()).await;
    let _kept = keep(&server);
    for _ in 0..2 {
        let bounded = swarm_with(&network, |builder| builder.max_peers(1)).await;
        within(bounded.join(TOPIC, Join::default()).flushed()).await;
        within(bounded.flush()).await;
        assert!(bounded.stats().await.connections >= 1);
    }
}

/// `test/dups.js`: all announce first, then look each other up at the same moment.
#[tokio::test(flavor = "multi_thread")]
async fn ten_swarms_are_fully_meshed_with_one_connection_for_each_pair() {
    const COUNT: usize = 10;
    let network = Testnet::new(3).await.unwrap();
    let mut swarms = Vec::new();
    for _ in 0..COUNT {
        swarms.push(swarm(&network).await);
    }
    let mut events: Vec<_> = swarms.iter().map(hyperprofile::Swarm::events).collect();
    let _kept: Vec<_> = swarms.iter().map(keep).collect();
    for swarm in &swarms {
        within(swarm.join(TOPIC, Join::server()).flushed()).await;
    }
    for swarm in &swarms {
        swarm.join(TOPIC, Join::default());
    }
    for (swarm, events) in swarms.iter().zip(&mut events) {
        let mut connected = BTreeSet::new();
        event(events, |event| {
            match event {
                SwarmEvent::Connected(peer) => drop(connected.insert(peer.public_key)),
                // A replaced connection is gone before the one in its place is there.
                SwarmEvent::Disconnected(peer) => drop(connected.remove(&peer.public_key)),
                _ => {}
            }
            connected.len() == COUNT - 1
        })
        .await;
        assert!(!connected.contains(swarm.public_key()));
    }
}
