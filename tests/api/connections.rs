//! One connection: bytes, messages, ends, keys.

use std::future::IntoFuture;
use std::io;
use std::time::Duration;

use hyperprofile::api::{Limits, StreamError};
use hyperprofile::{Connection, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::{World, echo, pattern, within};

#[tokio::test]
async fn a_connection_echoes_what_is_sent() {
    let world = World::new().await;
    let (mut client, mut server) = world.connect().await;
    client.write_all(b"ping").await.unwrap();
    let mut bytes = [0; 4];
    within(server.read_exact(&mut bytes)).await.unwrap();
    assert_eq!(&bytes, b"ping");
    server.write_all(b"pong").await.unwrap();
    within(client.read_exact(&mut bytes)).await.unwrap();
    assert_eq!(&bytes, b"pong");
    assert_eq!(client.handshake_hash(), server.handshake_hash());
}

/// Every value of an option leaves a connection that works, and a driver that goes on.
#[tokio::test]
async fn the_smallest_and_the_largest_options_carry_data() {
    let world = World::with(|builder| {
        let mut limits = Limits::default();
        (limits.receive_memory, limits.stalled_for) = (0, Duration::ZERO);
        builder.limits(limits)
    })
    .await;
    for (window, wait) in [(0, Duration::ZERO), (u32::MAX, Duration::MAX)] {
        let connect = world.client.connect(world.key).receive_window(window);
        let connect = connect.keep_alive(Some(wait)).idle_timeout(wait).into_future();
        let (client, server) = within(async { tokio::join!(connect, world.server.accept()) }).await;
        let (mut client, mut server) = (client.unwrap(), server.unwrap());
        let sent = tokio::spawn(async move {
            server.write_all(&pattern(100_000)).await.unwrap();
            server.shutdown().await.unwrap();
            server
        });
        let mut received = Vec::new();
        client.write_all(b"x").await.unwrap();
        within(client.read_to_end(&mut received)).await.unwrap();
        assert_eq!(received, pattern(100_000));
        drop(sent.await.unwrap());
    }
}

/// Nodes that look for datagrams go on to run what else is to be done on their thread.
#[tokio::test]
async fn nodes_of_low_latency_carry_what_others_do() {
    let world = World::with(|builder| builder.low_latency(true)).await;
    let (mut client, mut server) = world.connect().await;
    let echo = tokio::spawn(async move {
        let mut bytes = [0; 100];
        while server.read_exact(&mut bytes).await.is_ok() {
            server.write_all(&bytes).await.unwrap();
        }
    });
    let mut bytes = [0; 100];
    for round in 0..1000_u32 {
        let message = [round as u8; 100];
        client.write_all(&message).await.unwrap();
        within(client.read_exact(&mut bytes)).await.unwrap();
        assert_eq!(bytes, message);
    }
    drop(client);
    within(echo).await.unwrap();
}

#[tokio::test]
async fn works_on_a_runtime_of_several_threads_too() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let work = runtime.spawn(async {
        let world = World::new().await;
        let (mut client, mut server) = world.connect().await;
        let sent = tokio::spawn(async move {
            client.write_all(&pattern(300_000)).await.unwrap();
            client.shutdown().await.unwrap();
            client
        });
        let mut received = Vec::new();
        within(server.read_to_end(&mut received)).await.unwrap();
        assert_eq!(received, pattern(300_000));
        sent.await.unwrap();
    });
    work.await.unwrap();
    runtime.shutdown_background();
}

#[tokio::test]
async fn both_sides_learn_who_the_other_is() {
    let world = World::new().await;
    let identity = KeyPair::generate();
    let (connecting, accepting) = tokio::join!(
        world.client.connect(world.server.public_key()).key_pair(&identity).into_future(),
        world.server.accept(),
    );
    let (mut client, server) = (connecting.unwrap(), accepting.unwrap());
    assert_eq!(client.remote_public_key().as_ref(), Some(world.server.public_key()));
    let proven = within(client.proven()).await.unwrap();
    assert_eq!(proven.public_key(), world.server.public_key());
    assert_eq!(server.claimed_key().to_address_reply(), identity.public_key());
    client.write_all(b"x").await.unwrap();
    // No task reads on the accepting side.
    let proven = within(server.proven()).await.unwrap();
    assert_eq!(proven.public_key(), identity.public_key());
    assert_eq!(server.remote_public_key().as_ref(), Some(identity.public_key()));
}

#[tokio::test]
async fn a_silent_client_proves_its_key_all_the_same_and_stays() {
    let mut limits = Limits::default();
    limits.unproven_for = Duration::from_millis(300);
    let world = World::with(|builder| builder.limits(limits)).await;
    let (client, server) = world.connect().await;
    within(server.proven()).await.unwrap();
    let closed = tokio::time::timeout(Duration::from_millis(600), client.closed()).await;
    assert!(closed.is_err(), "{closed:?}");
    assert_eq!(world.listening.stats().await.unproven, 0);
}

#[tokio::test]
async fn a_mebibyte_goes_each_way_at_once() {
    let world = World::new().await;
    let (client, server) = world.connect().await;
    let exchange = |connection: Connection| async move {
        let (mut read, mut write) = connection.into_split();
        let writing = async move {
            write.write_all(&pattern(1 << 20)).await.unwrap();
            write.shutdown().await.unwrap();
            write
        };
        let reading = async move {
            let mut received = Vec::new();
            read.read_to_end(&mut received).await.unwrap();
            received
        };
        let (_write, received) = tokio::join!(writing, reading);
        assert!(received == pattern(1 << 20));
    };
    within(async { tokio::join!(exchange(client), exchange(server)) }).await;
}

#[tokio::test]
async fn after_shutdown_reading_goes_on() {
    let world = World::new().await;
    let (mut client, mut server) = world.connect().await;
    client.write_all(b"question").await.unwrap();
    within(client.shutdown()).await.unwrap();
    let refused = client.write_all(b"more").await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::BrokenPipe);
    let mut question = String::new();
    within(server.read_to_string(&mut question)).await.unwrap();
    assert_eq!(question, "question");
    server.write_all(b"answer").await.unwrap();
    within(server.shutdown()).await.unwrap();
    let mut answer = String::new();
    within(client.read_to_string(&mut answer)).await.unwrap();
    assert_eq!(answer, "answer");
    assert_eq!(within(client.closed()).await, Ok(()));
    assert_eq!(within(server.closed()).await, Ok(()));
}

#[tokio::test]
async fn a_server_may_speak_first_and_end_at_once() {
    let world = World::new().await;
    let server = tokio::spawn(async move {
        while let Some(mut connection) = world.server.accept().await {
            connection.write_all(b"over").await.unwrap();
            connection.shutdown().await.unwrap();
            assert_eq!(connection.closed().await, Ok(()));
        }
    });
    for _ in 0..10 {
        let connecting = world.client.connect(world.key).into_future();
        let mut client = within(connecting).await.unwrap();
        let mut said = String::new();
        within(client.read_to_string(&mut said)).await.unwrap();
        assert_eq!(said, "over");
        within(client.shutdown()).await.unwrap();
        assert_eq!(within(client.closed()).await, Ok(()));
    }
    within(world.listening.close()).await;
    server.await.unwrap();
}

#[tokio::test]
async fn messages_keep_their_borders() {
    let world = World::new().await;
    let (mut client, mut server) = world.connect().await;
    let large = pattern(300_000);
    for message in [b"one".as_slice(), b"two", &large] {
        within(client.write_message(message)).await.unwrap();
    }
    within(client.shutdown()).await.unwrap();
    assert_eq!(within(server.read_message()).await.unwrap().unwrap(), b"one"[..]);
    let mut part = [0; 2];
    server.read_exact(&mut part).await.unwrap();
    assert_eq!(&part, b"tw");
    assert_eq!(within(server.read_message()).await.unwrap().unwrap(), b"o"[..]);
    assert!(within(server.read_message()).await.unwrap().unwrap() == large);
    assert_eq!(within(server.read_message()).await.unwrap(), None);
}

#[tokio::test]
async fn a_message_above_the_limit_ends_the_connection() {
    let mut limits = Limits::default();
    limits.message = 1000;
    let world = World::with(|builder| builder.limits(limits)).await;
    let (mut client, mut server) = world.connect().await;
    within(client.write_message(&[0; 1001])).await.unwrap();
    let refused = within(server.read_message()).await;
    assert_eq!(refused, Err(StreamError::TooLarge { size: 1001, max: 1000 }));
    assert_eq!(within(client.closed()).await, Err(StreamError::Reset));
}

#[tokio::test]
async fn datagrams_go_beside_the_stream() {
    let world = World::new().await;
    let (client, server) = world.connect().await;
    client.send_datagram(b"ping").unwrap();
    assert_eq!(within(server.recv_datagram()).await.unwrap(), b"ping"[..]);
    let largest = pattern(Connection::MAX_DATAGRAM);
    server.send_datagram(&largest).unwrap();
    assert_eq!(within(client.recv_datagram()).await.unwrap(), largest);
    let refused = client.send_datagram(&pattern(Connection::MAX_DATAGRAM + 1));
    assert!(matches!(refused, Err(StreamError::TooLarge { .. })));
}

#[tokio::test]
async fn several_clients_are_served_at_once() {
    let world = World::new().await;
    let server = echo(world.server);
    let key = world.key;
    let clients: Vec<_> = (0..8_u8)
        .map(|index| {
            let dht = world.client.clone();
            tokio::spawn(async move {
                let identity = KeyPair::generate();
                let mut connection = dht.connect(key).key_pair(&identity).await.unwrap();
                let message = [index; 5000];
                connection.write_all(&message).await.unwrap();
                let mut answer = [0; 5000];
                connection.read_exact(&mut answer).await.unwrap();
                assert_eq!(answer, message);
            })
        })
        .collect();
    for client in clients {
        within(client).await.unwrap();
    }
    server.abort();
}

#[tokio::test]
async fn the_same_key_connects_again_and_again() {
    let world = World::new().await;
    let server = echo(world.server);
    let identity = KeyPair::generate();
    for round in 0..20_u8 {
        let connecting = world.client.connect(world.key).key_pair(&identity);
        let mut connection = within(connecting.into_future()).await.unwrap();
        connection.write_all(&[round]).await.unwrap();
        assert_eq!(within(connection.read_u8()).await.unwrap(), round);
    }
    server.abort();
}
