//! Servers in the client's own network, and others who have their addresses there.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use super::paths::{at, exchange};
use super::world::{Peer, World};
use crate::connect::Path;
use crate::keys::KeyPair;
use crate::sim::nat::Router;
use crate::sim::network::Link;
use crate::wire::compact::Encode;
use crate::wire::handshake::{HolepunchMessage, Mode};
use crate::wire::rpc::{PEER_HOLEPUNCH, Request};
use crate::wire::transmit::SocketId;

#[test]
fn another_node_at_the_servers_private_address_is_not_taken_for_it() {
    for relays in [false, true] {
        let mut world = World::new(21, 3, Link::default());
        let outer = Router {
            hairpin: true,
            keeps_ports: true,
            ..Router::CONE
        };
        let public = Ipv4Addr::new(10, 9, 1, 1);
        let outer = world.network.add_nat(outer, public, None);
        let home = |world: &mut World, number: u8| {
            let router = Router {
                keeps_ports: true,
                ..Router::CONE
            };
            let outside = Ipv4Addr::new(100, 64, 0, number);
            world.network.add_nat(router, outside, Some(outer))
        };
        let (theirs, ours) = (home(&mut world, 1), home(&mut world, 2));
        // In either home somebody has this address; the one in ours can be a persistent node that the server
        // is announced on.
        let address = at("192.168.7.2:5000");
        let other = if relays {
            world.mistaken_peer(ours, address, public)
        } else {
            world.peer_behind(Some(ours), address)
        };
        let server = world.peer_behind(Some(theirs), address);
        let key = KeyPair::from_seed(&[1; 32]);
        world.listen(server, &key);
        let target = key.public_key().target();
        let forwards = world
            .network
            .with(other, |peer, _| peer.endpoint.node().forward(&target).is_some());
        assert_eq!(forwards, relays);
        let client = world.peer_behind(Some(ours), at("192.168.7.3:5000"));
        world.network.capture = Some(Vec::new());
        let (near, far) = world.connect(client, server, key.public_key());
        assert_eq!(world.network.host(client).established[0].path, Path::Direct);
        exchange(&mut world, client, server, near, far);
        let sent = world.network.capture.take().unwrap();
        let asked = sent.iter().any(|datagram| datagram.to == address);
        assert!(asked, "the client has looked there");
    }
}

#[test]
fn a_server_that_answers_pings_at_its_private_address_and_nothing_else_is_taken_for_itself() {
    let mut world = World::new(26, 8, Link::default());
    let nat = world
        .network
        .add_nat(Router::RESTRICTED, Ipv4Addr::new(10, 9, 1, 1), None);
    let server = world.peer_behind(Some(nat), at("192.168.1.2:5000"));
    let key = KeyPair::from_seed(&[1; 32]);
    world.listen(server, &key);
    let client = world.peer_behind(Some(nat), at("192.168.1.3:5000"));
    // As if the answers to handshakes left from a socket that the client has not asked.
    world.network.lost = Some(|datagram| {
        let inside = datagram.to.ip().octets()[0] == 192 && datagram.from.ip().octets()[0] == 192;
        inside && datagram.payload.len() > 100 && datagram.payload[0] != 0xff
    });
    let (near, far) = world.connect(client, server, key.public_key());
    assert_eq!(world.network.host(client).established[0].path, Path::Lan);
    exchange(&mut world, client, server, near, far);
}

#[test]
fn a_server_of_the_public_network_is_reached_at_its_private_address() {
    let mut world = World::public(22, 3, Link::default());
    let nat = world
        .network
        .add_nat(Router::RESTRICTED, Ipv4Addr::new(88, 9, 1, 1), None);
    let server = world.peer_behind(Some(nat), at("192.168.1.2:5000"));
    let client = world.peer_behind(Some(nat), at("192.168.1.3:5000"));
    let key = KeyPair::from_seed(&[1; 32]);
    world.listen(server, &key);
    let (near, far) = world.connect(client, server, key.public_key());
    assert_eq!(world.network.host(client).established[0].path, Path::Lan);
    exchange(&mut world, client, server, near, far);

    // Who knows where it is needs no DHT.
    let attempt = world.dial_with(client, key.public_key(), |dial| {
        dial.nodes = vec![at("192.168.1.2:5000")];
        dial.only_nodes = true;
    });
    world.wait(client, attempt);
    assert_eq!(world.failure(client, attempt), None);
}

#[test]
fn a_punch_between_neighbours_waits_until_they_may_have_met_and_another_does_not() {
    for (server, millis) in [("88.9.0.1:7", 10), ("88.9.0.2:7", 0)] {
        let mut world = World::public(7, 1, Link::default());
        let node = world.nodes[0];
        let client = "88.9.0.1:5".parse().expect("an address");
        let message = HolepunchMessage {
            mode: Mode::FromClient,
            id: 1,
            payload: vec![7; 40],
            peer_address: Some(server.parse().expect("an address")),
        };
        let request = Request {
            tid: 1,
            to: world.address(node),
            id: None,
            token: None,
            internal: false,
            command: PEER_HOLEPUNCH,
            target: Some([3; 32]),
            value: Some(message.to_bytes()),
        };
        let datagram = request.to_bytes();
        let passed_on = |peer: &mut Peer, now: Instant| {
            let endpoint = &mut peer.endpoint;
            endpoint.handle_timeout(now);
            let train = endpoint.poll_transmit(now, 1, &mut Vec::new());
            train.is_some_and(|train| Some(train.destination) == message.peer_address)
        };
        world.network.with(node, |peer, now| {
            let socket = SocketId::SERVER;
            peer.endpoint.handle_datagram(now, socket, client, &datagram);
            let early = now + Duration::from_millis(9);
            assert_eq!(passed_on(peer, early), millis == 0);
            let due = now + Duration::from_millis(10);
            assert_eq!(passed_on(peer, due), millis == 10);
        });
    }
}
