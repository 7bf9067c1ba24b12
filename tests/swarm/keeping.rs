//! Losing connections and getting them back: the scenarios of `test/swarm.js`, `test/peer-join.js`,
//! `test/firewall.js`, `test/retry-timer.js` and `test/chaos.js` of the reference.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use hyperprofile::swarm::{Join, SwarmEvent};
use hyperprofile::{Connection, PublicKey, Swarm, Testnet};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{TOPIC, disconnected, event, keep, next, swarm, swarm_with, within};

#[tokio::test]
async fn a_connection_that_the_server_resets_comes_back() {
    let network = Testnet::new(3).await.unwrap();
    let (server, client) = (swarm(&network).await, swarm(&network).await);
    within(server.join(TOPIC, Join::server()).flushed()).await;
    client.join(TOPIC, Join::client());
    let (_first, _) = next(&client).await;
    next(&server).await.0.abort();
    let (mut dialled, info) = next(&client).await;
    assert_eq!((info.public_key, info.attempts), (*server.public_key(), 1));
    let (mut accepted, _) = next(&server).await;
    accepted.write_message(b"again").await.unwrap();
    assert_eq!(within(dialled.read_message()).await.unwrap().unwrap(), "again");
}

#[tokio::test]
async fn a_connection_that_the_client_resets_comes_back_and_carries_data() {
    let network = Testnet::new(3).await.unwrap();
    let (server, client) = (swarm(&network).await, swarm(&network).await);
    within(server.join(TOPIC, Join::server()).flushed()).await;
    client.join(TOPIC, Join::client());
    for round in 0..2 {
        let (mut dialled, _) = next(&client).await;
        let (mut accepted, _) = next(&server).await;
        dialled.write_message(b"hello").await.unwrap();
        accepted.write_message(b"world").await.unwrap();
        assert_eq!(within(accepted.read_message()).await.unwrap().unwrap(), "hello", "{round}");
        assert_eq!(within(dialled.read_message()).await.unwrap().unwrap(), "world", "{round}");
        dialled.abort();
    }
}

#[tokio::test]
async fn a_connection_that_ends_at_once_is_made_four_times_and_then_forgotten() {
    let network = Testnet::new(3).await.unwrap();
    let (server, client) = (swarm(&network).await, swarm(&network).await);
    within(server.join(TOPIC, Join::server()).flushed()).await;
    let _kept = keep(&server);
    let mut events = client.events();
    client.join(TOPIC, Join::client());
    for nth in 0..4 {
        let (connection, info) = next(&client).await;
        assert_eq!(info.attempts, nth);
        connection.abort();
        disconnected(&mut events, server.public_key()).await;
    }
    assert_eq!(client.peer(server.public_key()).await, None);
    assert_eq!(client.stats().await.peers, 0);
}

#[tokio::test]
async fn a_banned_peer_is_not_dialled_again_and_not_taken() {
    let network = Testnet::new(3).await.unwrap();
    let (server, client) = (swarm(&network).await, swarm(&network).await);
    within(server.join(TOPIC, Join::server()).flushed()).await;
    let mut events = client.events();
    client.join(TOPIC, Join::client());
    let (connection, info) = next(&client).await;
    client.ban(&info.public_key);
    connection.abort();
    event(&mut events, |event| matches!(event, SwarmEvent::Banned(peer) if peer.banned)).await;
    disconnected(&mut events, server.public_key()).await;
    let stats = client.stats().await;
    assert_eq!((stats.banned, stats.queued, stats.dialling), (1, 0, 0));
    assert!(client.peer(server.public_key()).await.unwrap().banned);

    // The other way around.
    within(client.listen()).await.unwrap();
    let mut failed = server.events();
    server.join_peer(client.public_key());
    event(&mut failed, |event| matches!(event, SwarmEvent::DialFailed(_))).await;
    client.unban(server.public_key());
    let (_connection, _) = next(&server).await;
}

#[tokio::test]
async fn a_peer_that_is_joined_by_its_key_is_connected_without_a_topic() {
    let network = Testnet::new(3).await.unwrap();
    let (one, two) = (swarm(&network).await, swarm(&network).await);
    within(two.listen()).await.unwrap();
    one.join_peer(two.public_key());
    one.join_peer(one.public_key());
    let (first, info) = next(&one).await;
    assert!(info.explicit && info.topics.is_empty());
    let (_accepted, _) = next(&two).await;
    // On a topic as well, and still with one connection.
    within(two.join(TOPIC, Join::server()).flushed()).await;
    one.join(TOPIC, Join::client());
    within(one.flush()).await;
    assert_eq!(one.stats().await.client_attempted, 1);
    assert_eq!(one.peer(two.public_key()).await.unwrap().topics, [TOPIC]);
    first.abort();
    let (_again, _) = next(&one).await;
    assert_eq!(one.peers().await.len(), 1, "the own key is none");
}

#[tokio::test]
async fn a_peer_that_is_left_is_not_dialled_again_and_forgotten() {
    let network = Testnet::new(3).await.unwrap();
    let (one, two) = (swarm(&network).await, swarm(&network).await);
    within(two.listen()).await.unwrap();
    let mut events = one.events();
    one.join_peer(two.public_key());
    let (first, _) = next(&one).await;
    one.leave_peer(two.public_key());
    assert_eq!(one.stats().await.connections, 1);
    // The other side ends it first.
    next(&two).await.0.abort();
    disconnected(&mut events, two.public_key()).await;
    drop(first);
    assert!(one.peers().await.is_empty());
}

#[tokio::test]
async fn the_record_of_a_peer_goes_with_its_connection() {
    let network = Testnet::new(3).await.unwrap();
    let (server, client) = (swarm(&network).await, swarm(&network).await);
    within(server.join(TOPIC, Join::server()).flushed()).await;
    client.join(TOPIC, Join::client());
    let (_dialled, _) = next(&client).await;
    let (_accepted, _) = next(&server).await;
    assert_eq!((server.peers().await.len(), client.peers().await.len()), (1, 1));
    let mut events = server.events();
    within(client.close()).await;
    disconnected(&mut events, client.public_key()).await;
    assert!(server.peers().await.is_empty());
    let stats = server.stats().await;
    assert_eq!((stats.server_opened, stats.server_closed, stats.connections), (1, 1, 0));
}

#[tokio::test]
async fn a_server_that_allows_nobody_is_asked_and_connected_with_nobody() {
    let network = Testnet::new(3).await.unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let refuse = move |_: &PublicKey| {
        count.fetch_add(1, Ordering::Relaxed);
        false
    };
    let server = swarm_with(&network, |builder| builder.allow(refuse)).await;
    let client = swarm(&network).await;
    within(server.join(TOPIC, Join::server()).flushed()).await;
    let mut events = client.events();
    client.join(TOPIC, Join::client());
    event(&mut events, |event| matches!(event, SwarmEvent::DialFailed(_))).await;
    assert!(asked.load(Ordering::Relaxed) > 0);
    let stats = client.stats().await;
    assert!(stats.client_attempted <= 4 && stats.client_opened == 0, "{stats:?}");
}

#[tokio::test]
async fn a_client_dials_only_whom_it_allows() {
    let network = Testnet::new(3).await.unwrap();
    let servers = [swarm(&network).await, swarm(&network).await];
    for server in &servers {
        within(server.join(TOPIC, Join::server()).flushed()).await;
    }
    let allowed = *servers[1].public_key();
    let client = swarm_with(&network, |builder| builder.allow(move |key| *key == allowed)).await;
    client.join_peer(servers[0].public_key());
    client.join(TOPIC, Join::client());
    let (_connection, info) = next(&client).await;
    assert_eq!(info.public_key, allowed);
    within(client.flush()).await;
    assert_eq!(client.stats().await.client_attempted, 1);
}

/// `test/chaos.js`: connections end at random, and all come back.
#[tokio::test(flavor = "multi_thread")]
async fn after_random_resets_every_pair_is_connected_again() {
    const COUNT: usize = 6;
    let network = Testnet::new(3).await.unwrap();
    let mut swarms = Vec::new();
    for _ in 0..COUNT {
        let swarm = swarm(&network).await;
        within(swarm.join(TOPIC, Join::default()).flushed()).await;
        swarms.push(swarm);
    }
    let mut events: Vec<_> = swarms.iter().map(Swarm::events).collect();
    let mut rng = StdRng::seed_from_u64(1);
    let mut resets = 20;
    let mut open = Vec::new();
    while resets > 0 {
        open.push(next_of_any(&swarms).await);
        if rng.gen_bool(0.5) {
            open.swap_remove(rng.gen_range(0..open.len())).abort();
            resets -= 1;
        }
    }
    let _kept: Vec<_> = swarms.iter().map(keep).collect();
    for (swarm, events) in swarms.iter().zip(&mut events) {
        while swarm.stats().await.connections < COUNT - 1 {
            event(events, |_| true).await;
        }
    }
}

/// Waits for the next connection of any of the swarms.
async fn next_of_any(swarms: &[Swarm]) -> Connection {
    let mut waiting: Vec<_> = swarms.iter().map(|swarm| Box::pin(swarm.next())).collect();
    within(poll_fn(move |cx| {
        let ready = waiting.iter_mut().find_map(|next| match next.as_mut().poll(cx) {
            Poll::Ready(next) => next,
            Poll::Pending => None,
        });
        ready.map_or(Poll::Pending, |(connection, _)| Poll::Ready(connection))
    }))
    .await
}
