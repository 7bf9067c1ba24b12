//! Servers that say to be reachable by anybody, rightly or not.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use super::paths::{at, exchange};
use super::punching::Home;
use super::world::World;
use crate::connect::Lost;
use crate::keys::KeyPair;
use crate::sim::nat::Router;
use crate::sim::network::{HostId, Link};
use crate::wire::packet::{MESSAGE, PacketHeader};

#[test]
fn a_server_that_wrongly_takes_itself_to_be_reachable_is_punched_to() {
    for seed in 0..10 {
        for (home, patience) in [
            (Home::Open, Duration::from_secs(1)),
            (Home::Restricted, Duration::from_secs(3)),
            (Home::Random, Duration::from_secs(30)),
        ] {
            let mut world = World::new(300 + seed, 8, Link::default());
            let (server, key) = mistaken_server(&mut world, Router::RESTRICTED);
            let client = home.build(&mut world, 2);
            let attempt = world.dial(client, key.public_key());
            world
                .network
                .run_until(patience, |network| !network.host(server).established.is_empty());
            let near = world.network.host(client).find(attempt).unwrap().stream;
            let far = world.network.host(server).established[0].stream;
            exchange(&mut world, client, server, near, far);
            let peer = world.network.host(client);
            assert!(peer.endpoint.attempts_under_way() == 0);
            // An open client is what the server itself goes to.
            if home != Home::Open {
                let moved = &peer.moved[0];
                assert_eq!(moved.report.path, Some((moved.path, moved.remote)));
                let named = moved.report.unanswered.map(|(address, _)| address);
                assert_eq!(named, Some(at("10.9.1.1:5000")), "{home:?}, seed {seed}");
            }
        }
    }
}

#[test]
fn packets_of_a_server_from_elsewhere_do_not_divert_a_client_on_its_way_to_it() {
    let mut world = World::new(25, 8, Link::default());
    let (server, client) = (world.open_peer(), world.open_peer());
    let key = KeyPair::from_seed(&[1; 32]);
    world.listen(server, &key);
    // The first of its packets to an open client, which would tell the way.
    world.network.lost = Some(|datagram| datagram.payload.first() == Some(&0xff));
    let attempt = world.dial(client, key.public_key());
    world.network.run_until(Duration::from_secs(5), |network| {
        network.host(client).find(attempt).is_some()
    });
    world.network.lost = None;
    let near = world.network.host(client).find(attempt).unwrap().stream;
    // What a server sends that an open client waits for, from its other socket.
    let (to, address) = (world.address(client), world.address(server));
    let other = SocketAddrV4::new(*address.ip(), address.port() + 1000);
    let opener = PacketHeader {
        kind: MESSAGE,
        data_offset: 0,
        stream_id: near.0,
        window: 1 << 20,
        seq: 0,
        ack: 0,
    };
    world.network.inject(other, to, opener.to_bytes().to_vec());
    world.network.run_until(Duration::from_secs(5), |network| {
        !network.host(server).established.is_empty()
    });
    let far = world.network.host(server).established[0].stream;
    exchange(&mut world, client, server, near, far);
    let path = |peer: &mut super::world::Peer| peer.endpoint.streams().path(near);
    let path = world.network.with(client, |peer, _| path(peer));
    assert_eq!(path.map(|(_, address)| address), Some(address));
    assert!(world.network.host(client).moved.is_empty());
}

#[test]
fn a_server_that_is_not_reachable_where_it_says_to_be_nor_otherwise_is_named() {
    let mut world = World::new(23, 8, Link::default());
    let (server, key) = mistaken_server(&mut world, Router::RESTRICTED);
    let client = Home::Restricted.build(&mut world, 2);
    world.network.lost = Some(|datagram| {
        let rpc = datagram.payload.len() > 1 && datagram.payload[0] != 0xff;
        !rpc && datagram.to.ip().octets()[..2] == [10, 9]
    });
    let attempt = world.dial(client, key.public_key());
    world.wait(client, attempt);
    let near = world.network.host(client).find(attempt).unwrap().stream;
    world.network.run_until(Duration::from_secs(15), |network| {
        !network.host(client).unreachable.is_empty()
    });
    let peer = world.network.host(client);
    let (stream, report) = &peer.unreachable[0];
    assert_eq!(*stream, near);
    let named = report.unanswered.map(|(address, _)| address);
    assert_eq!(named, Some(at("10.9.1.1:5000")));
    assert_eq!((report.punch_lost, report.path), (Some(Lost::NoProbe), None));
    assert!(peer.moved.is_empty() && peer.endpoint.attempts_under_way() == 0);
    assert!(world.network.host(server).established.is_empty());
}

#[test]
fn a_server_that_is_slow_to_answer_where_it_says_to_be_is_waited_for() {
    let mut world = World::new(24, 8, Link::default());
    let (server, client) = (world.open_peer(), world.peer());
    let key = KeyPair::from_seed(&[1; 32]);
    world.listen(server, &key);
    // A firewall that opens late, and lets no probe through.
    world.network.lost = Some(|datagram| {
        datagram.to.ip().octets()[..3] == [10, 0, 1]
            && (datagram.payload.len() == 1 || datagram.payload.first() == Some(&0xff))
    });
    let attempt = world.dial(client, key.public_key());
    world.network.run_for(Duration::from_secs(5));
    world.network.lost = None;
    let near = world.network.host(client).find(attempt).unwrap().stream;
    world.network.run_until(Duration::from_secs(30), |network| {
        !network.host(server).established.is_empty()
    });
    let far = world.network.host(server).established[0].stream;
    exchange(&mut world, client, server, near, far);
    let peer = world.network.host(client);
    assert!(peer.unreachable.is_empty());
    assert!(peer.endpoint.attempts_under_way() == 0);
}

/// Starts a server behind a router that it does not know of.
fn mistaken_server(world: &mut World, router: Router) -> (HostId, KeyPair) {
    let router = Router {
        keeps_ports: true,
        ..router
    };
    let public = Ipv4Addr::new(10, 9, 1, 1);
    let nat = world.network.add_nat(router, public, None);
    let server = world.mistaken_peer(nat, at("192.168.1.2:5000"), public);
    let key = KeyPair::from_seed(&[1; 32]);
    world.listen(server, &key);
    (server, key)
}
