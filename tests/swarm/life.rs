//! Suspending, resuming, closing and dropping a swarm.

use hyperprofile::api::StreamError;
use hyperprofile::swarm::{Join, SwarmEvent};
use hyperprofile::{KeyPair, ListenError, Swarm, Testnet};

use super::{TOPIC, disconnected, event, next, swarm, swarm_with, within};

/// `test/suspend.js`.
#[tokio::test]
async fn a_swarm_that_is_suspended_is_gone_until_it_is_resumed() {
    let network = Testnet::new(3).await.unwrap();
    let (one, two) = (swarm(&network).await, swarm(&network).await);
    within(one.join(TOPIC, Join::server()).flushed()).await;
    two.join(TOPIC, Join::client());
    let (mut dialled, _) = next(&two).await;
    let (accepted, _) = next(&one).await;
    within(one.suspend()).await;
    assert!(within(accepted.closed()).await.is_err());
    assert_eq!(within(dialled.read_message()).await, Err(StreamError::Reset));
    let late = swarm(&network).await;
    within(late.join(TOPIC, Join::client()).flushed()).await;
    within(late.flush()).await;
    assert_eq!(late.stats().await.client_attempted, 0, "nothing is announced");
    assert_eq!(one.topics().await, [TOPIC]);

    let mut events = one.events();
    within(one.resume()).await;
    event(&mut events, |event| *event == SwarmEvent::Refreshed(TOPIC)).await;
    late.join(TOPIC, Join::client());
    assert_eq!(next(&late).await.1.public_key, *one.public_key());
}

#[tokio::test]
async fn a_suspension_is_over_when_the_swarm_is_resumed() {
    let network = Testnet::new(3).await.unwrap();
    let swarm = swarm(&network).await;
    let discovery = swarm.join(TOPIC, Join::server());
    within(discovery.flushed()).await;
    // The announcement is being withdrawn when the swarm is resumed.
    within(async { tokio::join!(swarm.suspend(), swarm.resume()) }).await;
    assert!(within(discovery.flushed()).await);
    within(swarm.suspend()).await;
    assert!(!within(discovery.flushed()).await, "nothing is announced");
}

#[tokio::test]
async fn a_swarm_that_is_closed_ends_its_connections_and_all_calls() {
    let network = Testnet::new(3).await.unwrap();
    let (one, two) = (swarm(&network).await, swarm(&network).await);
    let discovery = one.join(TOPIC, Join::server());
    within(discovery.flushed()).await;
    two.join(TOPIC, Join::client());
    let (mut dialled, _) = next(&two).await;
    let mut events = one.events();
    within(one.close()).await;
    assert_eq!(within(dialled.read_message()).await, Err(StreamError::Reset));
    while within(events.next()).await.is_some() {}
    assert!(within(one.events().next()).await.is_none());
    // It was never taken.
    assert!(within(one.next()).await.is_none());
    assert_eq!(within(one.listen()).await, Err(ListenError::Closed));
    assert!(!within(discovery.refresh()).await && !within(discovery.flushed()).await);
    assert!(one.topics().await.is_empty() && one.peers().await.is_empty());
    within(async {
        one.flush().await;
        one.leave(TOPIC).await;
        one.suspend().await;
        one.resume().await;
        one.close().await;
        discovery.leave().await;
    })
    .await;
    one.join(TOPIC, Join::default());
    // Nothing is announced any more, and the node goes on.
    assert!(within(two.dht().lookup(TOPIC).into_future()).await.unwrap().is_empty());
    assert!(one.dht().state().is_online());
}

#[tokio::test]
async fn connections_outlive_a_swarm_that_is_dropped() {
    let network = Testnet::new(3).await.unwrap();
    let (one, two) = (swarm(&network).await, swarm(&network).await);
    within(one.join(TOPIC, Join::server()).flushed()).await;
    two.join(TOPIC, Join::client());
    let (mut dialled, _) = next(&two).await;
    let (mut accepted, _) = next(&one).await;
    drop((one, two));
    dialled.write_message(b"still here").await.unwrap();
    assert_eq!(within(accepted.read_message()).await.unwrap().unwrap(), "still here");
}

#[tokio::test]
async fn a_swarm_ends_with_its_node() {
    let network = Testnet::new(3).await.unwrap();
    let swarm = swarm(&network).await;
    within(swarm.join(TOPIC, Join::default()).flushed()).await;
    within(swarm.dht().close()).await;
    assert!(within(swarm.next()).await.is_none());
}

#[tokio::test]
async fn what_came_before_the_end_is_read_after_it() {
    let network = Testnet::new(3).await.unwrap();
    let (one, two) = (swarm(&network).await, swarm(&network).await);
    within(one.join(TOPIC, Join::server()).flushed()).await;
    let mut events = one.events();
    two.join(TOPIC, Join::client());
    let (mut dialled, _) = next(&two).await;
    two.set_reconnect(one.public_key(), false);
    dialled.write_message(b"a last word").await.unwrap();
    drop(dialled);
    event(&mut events, |event| matches!(event, SwarmEvent::Connected(_))).await;
    let (mut accepted, _) = next(&one).await;
    assert_eq!(within(accepted.read_message()).await.unwrap().unwrap(), "a last word");
    assert_eq!(within(accepted.read_message()).await.unwrap(), None);
    drop(accepted);
    disconnected(&mut events, two.public_key()).await;
}

#[tokio::test]
async fn a_key_that_the_node_listens_with_already_is_an_error() {
    let network = Testnet::new(3).await.unwrap();
    let key_pair = KeyPair::generate();
    let dht = network.builder().spawn().await.unwrap();
    let server = dht.listen(&key_pair).await.unwrap();
    let swarm = Swarm::builder(&dht).key_pair(&key_pair).spawn().unwrap();
    assert_eq!(within(swarm.listen()).await, Err(ListenError::KeyInUse));
    assert!(!within(swarm.join(TOPIC, Join::server()).flushed()).await);
    within(server.close()).await;
    within(swarm.listen()).await.unwrap();
}

#[tokio::test]
async fn peers_that_need_a_relay_meet_at_it() {
    let network = Testnet::new(3).await.unwrap();
    let relay = network.nodes()[1].relay(&KeyPair::generate()).await.unwrap();
    let key = *relay.public_key();
    let server = swarm_with(&network, |builder| builder.relay_through(&key)).await;
    within(server.join(TOPIC, Join::server()).flushed()).await;
    let client = swarm(&network).await;
    client.join(TOPIC, Join::client());
    let (mut dialled, _) = next(&client).await;
    dialled.write_message(b"hello").await.unwrap();
    let (mut accepted, _) = next(&server).await;
    assert_eq!(within(accepted.read_message()).await.unwrap().unwrap(), "hello");
}

#[test]
fn without_a_runtime_there_is_no_swarm() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let dht = runtime.block_on(async {
        let network = Testnet::new(1).await.unwrap();
        network.builder().spawn().await.unwrap()
    });
    let error = Swarm::builder(&dht).spawn().unwrap_err();
    assert!(matches!(error, hyperprofile::SpawnError::NoRuntime), "{error}");
}

#[tokio::test]
async fn an_observer_that_is_slow_misses_the_oldest_events() {
    let network = Testnet::new(1).await.unwrap();
    let swarm = swarm(&network).await;
    let mut events = swarm.events();
    let peer = *KeyPair::generate().public_key();
    for _ in 0..300 {
        swarm.ban(&peer);
        swarm.unban(&peer);
    }
    swarm.ban(&peer);
    // Answered after all of them.
    assert!(within(swarm.peer(&peer)).await.unwrap().banned);
    within(swarm.close()).await;
    let mut banned = Vec::new();
    while let Some(SwarmEvent::Banned(peer)) = within(events.next()).await {
        banned.push(peer.banned);
    }
    assert_eq!(banned.len(), 256);
    assert_eq!(banned.last(), Some(&true));
}
