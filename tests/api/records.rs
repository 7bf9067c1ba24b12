//! Values and announcements that nodes keep for others.

use std::collections::HashSet;
use std::future::{IntoFuture, poll_fn};
use std::net::UdpSocket;
use std::pin::Pin;
use std::task::Poll;

use futures_core::Stream;
use hyperprofile::api::{PutError, QueryError};
use hyperprofile::{Dht, KeyPair, MutableValue};

use crate::world::{World, within};

#[tokio::test]
async fn a_value_is_found_under_its_hash() {
    let world = World::new().await;
    let stored = within(world.client.immutable_put(b"hello")).await.unwrap();
    assert!(stored.nodes > 0 && stored.refused == 0, "{stored:?}");
    let value = within(world.listening.immutable_get(stored.target)).await;
    assert_eq!(value, Ok(Some(b"hello".to_vec())));
    let nothing = within(world.listening.immutable_get([1; 32])).await;
    assert_eq!(nothing, Ok(None));
    let empty = within(world.client.immutable_put(b"")).await.unwrap();
    let value = within(world.listening.immutable_get(empty.target)).await;
    assert_eq!(value, Ok(Some(Vec::new())));
}

#[tokio::test]
async fn a_signed_value_moves_on_with_its_sequence_number() {
    let world = World::new().await;
    let (key_pair, other) = (KeyPair::generate(), KeyPair::generate());
    let get = |least| {
        let get = world.listening.mutable_get(key_pair.public_key());
        within(get.least_seq(least).into_future())
    };
    assert_eq!(get(0).await, Ok(None));
    for (seq, value) in [(1, b"one".as_slice()), (2, b"two")] {
        let stored = within(world.client.mutable_put(&key_pair, seq, value)).await;
        assert_eq!(stored.map(|stored| stored.refused), Ok(0));
        let found = get(0).await.unwrap().unwrap();
        assert_eq!((found.seq, found.value.as_slice()), (seq, value));
    }
    let first = world.listening.mutable_get(key_pair.public_key());
    let first = within(first.latest(false).into_future()).await;
    assert_eq!(first.unwrap().map(|found| found.seq), Some(2));
    assert!(get(2).await.unwrap().is_some());
    assert_eq!(get(3).await, Ok(None));
    assert_eq!(get(u64::MAX).await, Ok(None));
    let put = async |seq, value| within(world.client.mutable_put(&key_pair, seq, value)).await;
    assert_eq!(put(1, b"one".as_slice()).await, Err(PutError::SeqTooLow { stored: Some(2) }));
    assert_eq!(put(2, b"2").await, Err(PutError::SeqReused));
    assert!(put(2, b"two").await.is_ok());
    let nothing = world.listening.mutable_get(other.public_key());
    assert_eq!(within(nothing.into_future()).await, Ok(None));
}

#[tokio::test]
async fn a_signed_value_lives_on_in_another_network_without_its_owner() {
    let (home, elsewhere) = (World::new().await, World::new().await);
    let (key_pair, other) = (KeyPair::generate(), KeyPair::generate());
    let key = key_pair.public_key();
    within(home.client.mutable_put(&key_pair, 3, b"three")).await.unwrap();
    let value = within(home.listening.mutable_get(key).into_future()).await.unwrap().unwrap();
    assert_eq!(within(elsewhere.listening.mutable_get(key).into_future()).await, Ok(None));

    let republish = async |value| within(elsewhere.client.mutable_republish(value)).await;
    let mut forged = value.clone();
    forged.key = *other.public_key();
    assert_eq!(republish(&forged).await, Err(PutError::BadSignature));
    let mut forged = value.clone();
    forged.value.push(b'!');
    assert_eq!(republish(&forged).await, Err(PutError::BadSignature));
    // As from the disk.
    let kept = MutableValue::new(*key, 3, b"three".to_vec(), value.signature);
    assert!((value.key, kept.from) == (*key, None) && value.from.is_some());
    let stored = republish(&kept).await.unwrap();
    assert!(stored.nodes > 0 && stored.refused == 0, "{stored:?}");
    let found = within(elsewhere.listening.mutable_get(key).into_future()).await.unwrap().unwrap();
    assert_eq!((found.seq, found.value, found.signature), (3, b"three".to_vec(), value.signature));

    within(elsewhere.client.mutable_put(&key_pair, 4, b"four")).await.unwrap();
    assert_eq!(republish(&value).await, Err(PutError::SeqTooLow { stored: Some(4) }));
}

#[tokio::test]
async fn what_could_not_be_read_back_is_refused_with_the_limit() {
    let world = World::new().await;
    let key_pair = KeyPair::generate();
    let (size, max) = (1851, 1850);
    let refused = within(world.client.immutable_put(&vec![0; size])).await;
    assert_eq!(refused, Err(PutError::TooLarge { size, max }));
    assert!(refused.unwrap_err().to_string().contains("1850"));
    let (size, max) = (1783, 1782);
    let refused = within(world.client.mutable_put(&key_pair, 1, &vec![0; size])).await;
    assert_eq!(refused, Err(PutError::TooLarge { size, max }));
    let refused = within(world.client.mutable_put(&key_pair, 1 << 53, b"")).await;
    assert_eq!(refused, Err(PutError::SeqTooLarge));
    world.client.close().await;
    let closed = world.client.immutable_put(b"x").await;
    assert_eq!(closed, Err(PutError::Query(QueryError::Closed)));
}

#[tokio::test]
async fn a_lookup_tells_the_latest_time_stamp_of_a_topic() {
    let world = World::new().await;
    let topic = [9; 32];
    for bump in [5, 7, 6] {
        let announce = world.client.announce(topic, KeyPair::generate(), &[]);
        let took = within(announce.bump(bump).into_future()).await;
        assert!(took.is_ok_and(|nodes| nodes > 0));
    }
    let found = within(world.listening.lookup(topic)).await.unwrap();
    assert!(!found.is_empty() && found.iter().all(|found| found.bump == 7));
    let ahead = world.client.announce(topic, KeyPair::generate(), &[]);
    within(ahead.bump(u64::MAX).into_future()).await.unwrap();
    let found = within(world.listening.lookup(topic)).await.unwrap();
    assert!(found.iter().all(|found| found.bump == 7), "too far in the future");
}

#[tokio::test]
async fn a_lookup_yields_what_it_returns_as_a_stream() {
    let world = World::new().await;
    let topic = [8; 32];
    let announced: Vec<_> = (0..3).map(|_| KeyPair::generate()).collect();
    for key in &announced {
        assert!(within(world.client.announce(topic, key, &[]).into_future()).await.unwrap() > 0);
    }
    let mut stream = world.listening.lookup(topic).stream();
    let mut streamed = HashSet::new();
    while let Some(found) = within(stream.next()).await {
        streamed.insert(found.unwrap().public_key);
    }
    assert_eq!(within(stream.next()).await, None);
    let returned = within(world.listening.lookup(topic)).await.unwrap();
    let returned: HashSet<_> = returned.into_iter().map(|found| found.public_key).collect();
    assert_eq!(streamed, returned);
    assert_eq!(streamed, announced.iter().map(|key| *key.public_key()).collect());

    let mut servers = world.client.find_peer(&world.key).stream();
    let first = within(servers.next()).await.unwrap().unwrap();
    assert_eq!(first.public_key, world.key);
}

#[tokio::test]
async fn a_stream_that_is_dropped_ends_its_query() {
    // Takes requests and answers none.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let bootstrap = silent.local_addr().unwrap().to_string();
    let dht = Dht::builder().bootstrap([bootstrap]).bind("127.0.0.1:0").spawn().await.unwrap();
    let mut streams: Vec<_> = (0..256).map(|_| dht.lookup([7; 32]).stream()).collect();
    let mut beyond = dht.lookup([7; 32]).stream();
    assert_eq!(within(beyond.next()).await, Some(Err(QueryError::TooMany)));
    streams.pop();
    let mut again = dht.lookup([7; 32]).stream();
    // The node has come to it by then.
    within(dht.stats()).await;
    let pending = poll_fn(|cx| Poll::Ready(Pin::new(&mut again).poll_next(cx).is_pending()));
    assert!(pending.await);
}
