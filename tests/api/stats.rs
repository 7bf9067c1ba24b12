//! What connections report of themselves.

use std::future::IntoFuture;

use hyperprofile::KeyPair;
use hyperprofile::api::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::{World, pattern, within};

const LENGTH: usize = 1 << 20;

#[tokio::test]
async fn a_connection_reports_what_it_measures_and_what_has_gone_over_it() {
    let world = World::new().await;
    let before = world.client.stats().await.streams;
    let (mut client, server) = world.connect().await;
    let fresh = within(client.stats()).await;
    assert!(fresh.traffic.bytes_sent < 10_000, "{fresh:?}");
    assert!(fresh.packet_payload >= 1000 && fresh.congestion_window > 0, "{fresh:?}");
    assert_eq!(fresh.congestion_phase, "startup");

    // Both halves can be asked, while the other one is at work.
    let (mut read, write) = server.into_split();
    let received = tokio::spawn(async move {
        let mut bytes = vec![0; LENGTH];
        read.read_exact(&mut bytes).await.unwrap();
        read
    });
    client.write_all(&pattern(LENGTH)).await.unwrap();
    let read = within(received).await.unwrap();
    let stats = within(client.stats()).await;
    assert_eq!(stats.path, client.path());
    assert_ne!(stats.path, Path::Relayed);
    assert!(stats.traffic.bytes_sent > LENGTH as u64, "{stats:?}");
    assert!(stats.traffic.packets_sent > LENGTH as u64 / 2048, "{stats:?}");
    assert!(stats.round_trip >= stats.round_trip_minimum && stats.round_trip_minimum.is_some(), "{stats:?}");
    assert!(stats.round_trip_variation.is_some() && stats.bandwidth.is_some(), "{stats:?}");
    assert!(stats.packet_payload >= fresh.packet_payload, "{stats:?}");
    for half in [within(read.stats()).await, within(write.stats()).await] {
        assert!(half.traffic.bytes_received > LENGTH as u64, "{half:?}");
    }
    let all = world.client.stats().await.streams;
    assert!(all.bytes_sent - before.bytes_sent >= stats.traffic.bytes_sent, "{all:?}");
}

#[tokio::test]
async fn the_last_values_stay_after_the_end() {
    let world = World::new().await;
    // In order, by the peer's reset, and by the end of the own node.
    for end in 0..3 {
        let (mut client, mut server) = world.connect().await;
        client.write_all(&pattern(LENGTH)).await.unwrap();
        within(server.read_exact(&mut vec![0; LENGTH])).await.unwrap();
        match end {
            0 => {
                let (ended, _) = within(async { tokio::join!(client.shutdown(), server.shutdown()) }).await;
                ended.unwrap();
            }
            1 => server.abort(),
            _ => within(world.client.close()).await,
        }
        assert_eq!(within(client.closed()).await.is_ok(), end == 0);
        let stats = within(client.stats()).await;
        assert!(stats.traffic.bytes_sent > LENGTH as u64, "{end}: {stats:?}");
        assert!(stats.round_trip.is_some(), "{end}: {stats:?}");
        assert_eq!(within(client.stats()).await, stats);
        if end < 2 {
            let all = world.client.stats().await.streams;
            assert!(all.bytes_sent >= (end + 1) * LENGTH as u64, "{all:?}");
        }
    }
}

#[tokio::test]
async fn each_side_knows_its_own_key_and_who_has_dialled() {
    let world = World::new().await;
    let identity = KeyPair::generate();
    let connect = world.client.connect(world.key).key_pair(&identity).into_future();
    let (client, server) = within(async { tokio::join!(connect, world.server.accept()) }).await;
    let (client, server) = (client.unwrap(), server.unwrap());
    assert_eq!((client.own_key(), client.is_initiator()), (*identity.public_key(), true));
    assert_eq!((server.own_key(), server.is_initiator()), (world.key, false));
}
