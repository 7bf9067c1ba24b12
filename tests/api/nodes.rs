//! A node and its servers: limits, failures, closing.

use std::future::IntoFuture;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyperprofile::api::{BootstrapError, ConnectError, Limits, ListenError, Mode, QueryError, StreamError};
use hyperprofile::{Dht, KeyPair, Testnet};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::{World, pattern, within};

#[tokio::test]
async fn connections_beyond_the_backlog_are_refused() {
    let mut limits = Limits::default();
    limits.backlog = 2;
    let world = World::with(|builder| builder.limits(limits)).await;
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let connecting = world.client.connect(world.key).into_future();
        waiting.push(within(connecting).await.unwrap());
        // The order in which connections wait is that in which the server has them.
        while world.listening.stats().await.connections < waiting.len() {
            tokio::task::yield_now().await;
        }
    }
    // The client may learn of it before its side is ready, or after.
    match within(world.client.connect(world.key).into_future()).await {
        Ok(refused) => assert_eq!(within(refused.closed()).await, Err(StreamError::Reset)),
        Err(error) => assert!(matches!(error, ConnectError::Refused { .. }), "{error}"),
    }
    assert_eq!(world.listening.stats().await.refused, 1);
    for mut client in waiting {
        let mut server = within(world.server.accept()).await.unwrap();
        server.write_all(b"x").await.unwrap();
        assert_eq!(within(client.read_u8()).await.unwrap(), b'x');
    }
}

#[tokio::test]
async fn a_client_that_is_not_allowed_hears_nothing() {
    let testnet = within(Testnet::new(4)).await.unwrap();
    let node = |dht: &Testnet| dht.builder().spawn();
    let (listening, client) = (node(&testnet).await.unwrap(), node(&testnet).await.unwrap());
    let (server_key, friend) = (KeyPair::generate(), KeyPair::generate());
    let friends = *friend.public_key();
    let (asked, mut applicants) = tokio::sync::mpsc::unbounded_channel();
    let listen = listening.listen(&server_key).allow(move |client| {
        let asked = asked.clone();
        async move {
            // As one that asks a database.
            tokio::task::yield_now().await;
            asked.send(client.clone()).unwrap();
            client.claimed_key == friends
        }
    });
    let server = within(listen.into_future()).await.unwrap();
    let stranger = client.connect(server.public_key()).timeout(Duration::from_secs(2)).await;
    assert!(matches!(stranger, Err(ConnectError::NoAnswer { .. } | ConnectError::TimedOut { .. })));
    let (connection, accepted) = tokio::join!(
        client.connect(server.public_key()).key_pair(&friend).into_future(),
        within(server.accept())
    );
    connection.unwrap();
    assert_eq!(accepted.unwrap().claimed_key().to_address_reply(), &friends);
    let refused = within(applicants.recv()).await.unwrap();
    let admitted = within(applicants.recv()).await.unwrap();
    assert!(refused.claimed_key != friends && admitted.claimed_key == friends);
    assert!(admitted.address.ip().is_loopback());
    assert_eq!(admitted.relay_through, None);
}

#[tokio::test]
async fn a_client_names_its_local_addresses_unless_it_is_told_not_to() {
    let testnet = within(Testnet::new(4)).await.unwrap();
    let (asked, mut applicants) = tokio::sync::mpsc::unbounded_channel();
    let listen = testnet.nodes()[2].listen(KeyPair::generate()).allow(move |client| {
        asked.send(client.named_addresses).unwrap();
        async { true }
    });
    let server = within(listen.into_future()).await.unwrap();
    for (node, lan) in [(true, None), (true, Some(false)), (false, None), (false, Some(true))] {
        let builder = testnet.builder().mode(Mode::Ephemeral).quick_firewall(false);
        let client = builder.lan(node).spawn().await.unwrap();
        let connect = client.connect(server.public_key());
        let connect = match lan {
            Some(lan) => connect.lan(lan),
            None => connect,
        };
        let (connection, accepted) = tokio::join!(within(connect.into_future()), within(server.accept()));
        drop((connection.unwrap(), accepted.unwrap()));
        let named = applicants.recv().await.unwrap();
        let expected = if lan.unwrap_or(node) { vec![client.local_addr()] } else { Vec::new() };
        assert_eq!(named, expected, "{node} {lan:?}");
    }
}

/// Neither a decision that never comes nor many of them hold up a server, and a panic refuses.
#[tokio::test]
async fn decisions_are_bounded_in_time_and_number() {
    let mut limits = Limits::default();
    (limits.decisions, limits.decide_for) = (1, Duration::from_millis(500));
    let testnet = within(Testnet::new(4)).await.unwrap();
    let listening = testnet.builder().limits(limits).spawn().await.unwrap();
    let client = testnet.builder().spawn().await.unwrap();
    let [stuck, broken, friend] = [(); 3].map(|()| KeyPair::generate());
    let (never, panics) = (*stuck.public_key(), *broken.public_key());
    let (asked, mut applicants) = tokio::sync::mpsc::unbounded_channel();
    let listen = listening.listen(KeyPair::generate()).allow(move |client| {
        asked.send(client.claimed_key).unwrap();
        async move {
            assert!(client.claimed_key != panics, "on purpose");
            if client.claimed_key == never {
                std::future::pending::<()>().await;
            }
            true
        }
    });
    let server = within(listen.into_future()).await.unwrap();
    let connect = |key: &KeyPair, wait| {
        client.connect(server.public_key()).key_pair(key).timeout(Duration::from_secs(wait)).into_future()
    };
    let mut waits = Box::pin(connect(&stuck, 10));
    tokio::select! {
        _ = &mut waits => panic!("it waits"),
        key = applicants.recv() => assert_eq!(key, Some(never)),
    }
    // The only place is taken.
    assert!(within(connect(&friend, 1)).await.is_err());
    assert!(within(connect(&broken, 2)).await.is_err());
    assert!(within(waits).await.is_err());
    let (connection, accepted) = tokio::join!(connect(&friend, 10), within(server.accept()));
    connection.unwrap();
    assert_eq!(accepted.unwrap().claimed_key().to_address_reply(), friend.public_key());
}

#[tokio::test]
async fn an_unknown_key_is_not_found() {
    let world = World::new().await;
    let unknown = KeyPair::generate();
    let error = within(world.client.connect(unknown.public_key()).into_future()).await.unwrap_err();
    let ConnectError::NotFound { report, .. } = &error else {
        panic!("{error}");
    };
    assert!(report.nodes_answered > 0);
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::NotFound);
    let found = within(world.client.find_peer(unknown.public_key())).await;
    assert_eq!(found.unwrap(), []);
}

#[tokio::test]
async fn without_a_network_every_operation_fails_with_that() {
    // A port without a socket: it was bound a moment ago and is free again.
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let unused = socket.local_addr().unwrap().to_string();
    drop(socket);
    let dht = Dht::builder().bootstrap([unused]).bind("127.0.0.1:0").spawn().await.unwrap();
    let key = KeyPair::generate();
    let (bootstrapped, connected, found) = within(async {
        tokio::join!(
            dht.bootstrapped(),
            dht.connect(key.public_key()).into_future(),
            dht.find_peer(key.public_key()).into_future(),
        )
    })
    .await;
    assert_eq!(bootstrapped, Err(BootstrapError::NoNetwork));
    assert!(matches!(connected, Err(ConnectError::NoNetwork { .. })), "{connected:?}");
    assert_eq!(found, Err(QueryError::NoNetwork));
    let mut stream = dht.lookup([7; 32]).stream();
    assert_eq!(within(stream.next()).await, Some(Err(QueryError::NoNetwork)));
    assert_eq!(within(stream.next()).await, None);
}

#[tokio::test]
async fn a_writer_is_held_back_by_a_reader_that_stops() {
    let world = World::new().await;
    let (mut client, mut server) = world.connect().await;
    let chunk = pattern(64 * 1024);
    let mut written = 0;
    while let Ok(result) = tokio::time::timeout(Duration::from_secs(1), client.write_all(&chunk)).await {
        result.unwrap();
        written += chunk.len();
        assert!(written < 64 << 20, "nothing holds the writer back");
    }
    let reading = tokio::spawn(async move {
        let mut received = vec![0; written];
        server.read_exact(&mut received).await.unwrap();
        (server, received)
    });
    let (_server, received) = within(reading).await.unwrap();
    let expected: Vec<u8> = chunk.iter().copied().cycle().take(written).collect();
    assert!(received == expected);
    // The write that was interrupted may have been taken in part; the connection goes on.
    within(client.write_all(b"x")).await.unwrap();
}

#[tokio::test]
async fn what_was_announced_is_found_and_gone_after_unannounce() {
    let world = World::new().await;
    let (topic, key) = ([7; 32], KeyPair::generate());
    let relays = [world.testnet.nodes()[0].local_addr()];
    let took = within(world.client.announce(topic, &key, &relays).into_future()).await.unwrap();
    assert!(took > 0);
    let found = within(world.listening.lookup(topic)).await.unwrap();
    assert!(!found.is_empty());
    assert!(found.iter().all(|found| found.public_key == *key.public_key()));
    assert_eq!(found[0].relay_addresses, relays);
    within(world.client.unannounce(topic, &key)).await.unwrap();
    assert_eq!(within(world.listening.lookup(topic)).await.unwrap(), []);
}

#[tokio::test]
async fn a_closed_server_is_no_longer_found() {
    let world = World::new().await;
    let found = within(world.client.find_peer(&world.key)).await.unwrap();
    assert!(!found.is_empty());
    let server = Arc::new(world.server);
    let accepting = tokio::spawn({
        let server = Arc::clone(&server);
        async move { server.accept().await.is_none() }
    });
    within(server.close()).await;
    assert!(within(accepting).await.unwrap());
    let found = within(world.client.find_peer(&world.key)).await.unwrap();
    assert_eq!(found, []);
    // The key is free again.
    let again = within(world.listening.listen(&world.key_pair).into_future()).await;
    assert_eq!(again.unwrap().public_key(), &world.key);
}

#[tokio::test]
async fn a_key_can_listen_once_per_node() {
    let world = World::new().await;
    let second = within(world.listening.listen(&world.key_pair).into_future()).await;
    assert_eq!(second.err(), Some(ListenError::KeyInUse));
}

#[tokio::test]
async fn a_node_has_as_many_servers_as_its_limit_allows() {
    let mut limits = Limits::default();
    limits.servers = 1;
    let world = World::with(|builder| builder.limits(limits)).await;
    let refused = within(world.listening.listen(KeyPair::generate()).into_future()).await;
    assert_eq!(refused.err(), Some(ListenError::TooMany));
    within(world.server.close()).await;
    assert!(within(world.listening.listen(KeyPair::generate()).into_future()).await.is_ok());
}

#[tokio::test]
async fn closing_a_node_ends_everything_that_hangs_on_it() {
    let world = World::new().await;
    let (client, server) = world.connect().await;
    within(world.listening.close()).await;
    assert_eq!(within(server.closed()).await, Err(StreamError::Closed));
    assert_eq!(within(client.closed()).await, Err(StreamError::Reset));
    assert!(within(world.server.accept()).await.is_none());
    let refused = world.listening.connect(world.key).await;
    assert!(matches!(refused, Err(ConnectError::Closed)));
    let refused = world.listening.listen(KeyPair::generate()).await;
    assert_eq!(refused.err(), Some(ListenError::Closed));
    assert_eq!(world.listening.find_peer(&world.key).await, Err(QueryError::Closed));
    let mut stream = world.listening.find_peer(&world.key).stream();
    assert_eq!(stream.next().await, Some(Err(QueryError::Closed)));
    assert_eq!(stream.next().await, None);
    within(world.listening.close()).await;
    let found = within(world.client.find_peer(&world.key)).await.unwrap();
    assert_eq!(found, [], "the announcement is withdrawn");
    // The port is free again.
    let address = world.listening.local_addr().to_string();
    let again = Dht::builder().bootstrap([""; 0]).bind(address).exact_port();
    again.spawn().await.unwrap();
}

#[tokio::test]
async fn connections_outlive_the_handles_of_their_node() {
    let world = World::new().await;
    let (mut client, mut server) = world.connect().await;
    drop((world.client, world.listening, world.server));
    client.write_all(b"x").await.unwrap();
    assert_eq!(within(server.read_u8()).await.unwrap(), b'x');
}

#[tokio::test]
async fn giving_an_attempt_up_leaves_the_node_usable() {
    let world = World::new().await;
    let unknown = KeyPair::generate();
    for _ in 0..5 {
        let connecting = world.client.connect(unknown.public_key()).into_future();
        let _ = tokio::time::timeout(Duration::from_millis(1), connecting).await;
    }
    let (_client, _server) = world.connect().await;
}

#[tokio::test]
async fn times_without_an_end_are_taken_for_long_ones() {
    let mut limits = Limits::default();
    limits.unproven_for = Duration::MAX;
    let world = World::with(|builder| builder.limits(limits)).await;
    let (client, server) = within(async {
        tokio::join!(
            world.client.connect(world.key).timeout(Duration::MAX).into_future(),
            world.server.accept()
        )
    })
    .await;
    assert!(client.is_ok());
    within(server.unwrap().proven()).await.unwrap();
}

#[tokio::test]
async fn a_node_that_closes_tells_every_peer() {
    let world = World::new().await;
    let mut served = Vec::new();
    let mut connections = Vec::new();
    for _ in 0..PEERS {
        let (client, server) = world.connect().await;
        connections.push(client);
        served.push(server);
    }
    within(world.client.close()).await;
    for server in served {
        assert_eq!(within(server.closed()).await, Err(StreamError::Reset));
    }
    drop(connections);
}

#[tokio::test]
async fn a_node_finds_back_by_what_it_knew_though_the_bootstrap_node_has_gone() {
    let world = World::new().await;
    within(world.client.bootstrapped()).await.unwrap();
    let known = within(world.client.known_nodes()).await;
    assert!(known.len() >= 3);
    let bootstrap = world.testnet.bootstrap();
    within(world.testnet.nodes()[0].close()).await;
    let node = Dht::builder().bootstrap(bootstrap).bind("127.0.0.1:0").known_nodes(known);
    let node = node.spawn().await.unwrap();
    assert!(within(node.bootstrapped()).await.is_ok());
    let found = within(node.find_peer(&world.key)).await.unwrap();
    assert!(!found.is_empty());
    within(node.close()).await;
    assert_eq!(within(node.known_nodes()).await, []);
}

/// More than a node names in one answer.
const PEERS: usize = 80;

#[tokio::test]
async fn a_server_that_was_suspended_is_reached_when_it_resumes() {
    let world = World::new().await;
    within(world.listening.suspend()).await;
    let attempt = world.client.connect(world.key);
    let refused = within(attempt.timeout(Duration::from_secs(1)).into_future()).await;
    assert!(refused.is_err());
    within(world.listening.resume()).await;
    within(async { while world.client.connect(world.key).await.is_err() {} }).await;
    assert!(within(world.server.accept()).await.is_some());
}
