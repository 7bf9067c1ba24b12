//! A server: where it is found, announced anew, suspended.

use std::future::IntoFuture;

use hyperprofile::api::{ConnectError, ListenError, Mode};
use hyperprofile::{ConnectAddress, Connection, Dht, KeyPair, Server, Testnet};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::{World, within};

#[tokio::test]
async fn each_relay_address_leads_to_the_server_without_a_lookup() {
    let world = World::new().await;
    let relays = within(world.server.relay_addresses()).await;
    assert!(relays.len() >= 2, "{relays:?}");
    let nodes: Vec<_> = world.testnet.nodes().iter().map(Dht::local_addr).collect();
    // A node of no network: what is named is all that it can ask.
    let alone = Dht::builder().bootstrap([""; 0]).bind("127.0.0.1:0").spawn().await.unwrap();
    for relay in relays {
        assert!(nodes.contains(&relay) || relay == world.listening.local_addr(), "{relay}");
        let address = ConnectAddress::new(world.key, [relay]).unwrap();
        speak(&alone, &address, &world.server).await;
    }
    let address = within(world.server.connect_address()).await;
    let text: ConnectAddress = address.to_string().parse().unwrap();
    assert_eq!(text, address);
    speak(&alone, &text, &world.server).await;
}

#[tokio::test]
async fn a_server_reports_where_nodes_see_it_and_whether_they_reach_it() {
    let testnet = within(Testnet::new(4)).await.unwrap();
    let open = &testnet.nodes()[2];
    let server = within(open.listen(KeyPair::generate()).into_future()).await.unwrap();
    let address = within(server.address()).await.unwrap();
    assert_eq!((address.address, address.is_reachable), (open.local_addr(), true));
    assert_eq!(within(server.relay_addresses()).await[0], open.local_addr());

    let closed = testnet.builder().mode(Mode::Ephemeral).quick_firewall(false).spawn().await.unwrap();
    let server = within(closed.listen(KeyPair::generate()).into_future()).await.unwrap();
    let address = within(server.address()).await.unwrap();
    assert_eq!((address.address, address.is_reachable), (closed.local_addr(), false));
    assert!(!within(server.relay_addresses()).await.contains(&closed.local_addr()));
}

#[tokio::test]
async fn a_server_that_is_refreshed_is_announced_where_it_was_lost() {
    let world = World::new().await;
    within(world.client.unannounce(world.key.target(), &world.key_pair)).await.unwrap();
    within(world.server.refresh()).await;
    assert_ne!(within(world.client.find_peer(&world.key)).await.unwrap(), []);
    world.connect().await;
}

#[tokio::test]
async fn a_suspended_server_takes_no_new_client_until_it_resumes() {
    let world = World::new().await;
    let (mut client, mut server) = world.connect().await;
    let before = within(world.server.connect_address()).await;
    within(world.server.suspend()).await;
    within(world.server.suspend()).await;
    // A suspended server is not announced by asking for it.
    within(world.server.refresh()).await;
    assert_eq!(within(world.server.relay_addresses()).await, []);
    for address in [ConnectAddress::from(world.key), before.clone()] {
        let refused = within(world.client.connect(address).into_future()).await;
        assert!(matches!(refused, Err(ConnectError::NotFound { .. })), "{refused:?}");
    }
    both_speak(&mut client, &mut server).await;
    let again = within(world.listening.listen(&world.key_pair).into_future()).await;
    assert_eq!(again.err(), Some(ListenError::KeyInUse));

    within(world.server.resume()).await;
    within(world.server.resume()).await;
    let (mut client, mut server) = world.connect().await;
    both_speak(&mut client, &mut server).await;
    // The last command counts, whatever the ones before have come to.
    within(async { tokio::join!(world.server.suspend(), world.server.resume()) }).await;
    world.connect().await;
    within(async { tokio::join!(world.server.resume(), world.server.refresh(), world.server.suspend()) })
        .await;
    let refused = within(world.client.connect(world.key).into_future()).await;
    assert!(matches!(refused, Err(ConnectError::NotFound { .. })), "{refused:?}");
    within(world.server.close()).await;
    within(world.server.resume()).await;
    assert!(within(world.listening.listen(&world.key_pair).into_future()).await.is_ok());
}

#[tokio::test]
async fn a_closed_server_is_found_nowhere_and_keeps_nobody_waiting() {
    let world = World::new().await;
    within(world.server.close()).await;
    for _ in 0..2 {
        assert_eq!(within(world.server.relay_addresses()).await, []);
        assert_eq!(within(world.server.address()).await, None);
        assert_eq!(within(world.server.connect_address()).await, world.key.into());
        within(world.server.refresh()).await;
        within(world.server.suspend()).await;
        within(world.server.resume()).await;
        within(world.listening.close()).await;
    }
}

/// Connects and sends a byte each way.
async fn speak(client: &Dht, address: &ConnectAddress, server: &Server) {
    let connect = client.connect(address).only_addresses().into_future();
    let (ours, theirs) = within(async { tokio::join!(connect, server.accept()) }).await;
    both_speak(&mut ours.unwrap(), &mut theirs.unwrap()).await;
}

async fn both_speak(one: &mut Connection, other: &mut Connection) {
    within(async {
        one.write_all(b"x").await.unwrap();
        assert_eq!(other.read_u8().await.unwrap(), b'x');
        other.write_all(b"y").await.unwrap();
        assert_eq!(one.read_u8().await.unwrap(), b'y');
    })
    .await;
}
