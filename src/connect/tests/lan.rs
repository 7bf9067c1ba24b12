//! Servers in the client's own network, and others who have their addresses there.

use std::time::{Duration, Instant};

use super::world::{Peer, World, at, is_stream_packet, request, sender_is_inside, server_key};
use crate::connect::Path;
use crate::sim::nat::Router;
use crate::wire::compact::Encode;
use crate::wire::handshake::{HolepunchMessage, Mode};
use crate::wire::rpc::PEER_HOLEPUNCH;
use crate::wire::transmit::SocketId;

#[test]
fn another_node_at_the_servers_private_address_is_not_taken_for_it() {
    for forwards in [false, true] {
        let mut world = World::new(21, 3);
        let cone = Router { keeps_ports: true, ..Router::CONE };
        let provider = world.router(Router { hairpin: true, ..cone });
        let theirs = world.router_within(provider, cone);
        let ours = world.router_within(provider, cone);
        // In either home a peer has this address; the one in ours can be a persistent node that the server
        // is announced on.
        let address = at("192.168.7.2:5000");
        let other = if forwards { world.mistaken_peer(ours, 7) } else { world.inside_at(ours, address) };
        let server = world.inside_at(theirs, address);
        world.listen(server);
        let target = server_key().public_key().target();
        let known = world.with(other, |peer, _| peer.endpoint.node().forward(&target));
        assert_eq!(known.is_some(), forwards);
        let client = world.inside_at(ours, at("192.168.7.3:5000"));
        world.capture();
        let connected = world.connect(client, server).on(Path::Direct);
        world.both_speak(&connected);
        let asked = world.captured().iter().any(|datagram| datagram.to == address);
        assert!(asked, "the client has looked there");
    }
}

#[test]
fn a_server_that_answers_pings_at_its_private_address_and_nothing_else_is_taken_for_itself() {
    let mut world = World::new(26, 8);
    let nat = world.router(Router::RESTRICTED);
    let server = world.inside_at(nat, at("192.168.1.2:5000"));
    world.listen(server);
    let client = world.inside_at(nat, at("192.168.1.3:5000"));
    // As if the answers to handshakes left from a socket that the client has not asked.
    world.drops(|datagram| {
        let to_inside = datagram.to.ip().octets()[0] == 192;
        let is_long = datagram.payload.len() > 100 && !is_stream_packet(datagram);
        sender_is_inside(datagram) && to_inside && is_long
    });
    let connected = world.connect(client, server).on(Path::Lan);
    world.both_speak(&connected);
}

#[test]
fn a_server_of_the_public_network_is_reached_at_its_private_address() {
    let mut world = World::public(22, 3);
    let nat = world.router(Router::RESTRICTED);
    let server = world.inside_at(nat, at("192.168.1.2:5000"));
    let client = world.inside_at(nat, at("192.168.1.3:5000"));
    world.listen(server);
    let connected = world.connect(client, server).on(Path::Lan);
    world.both_speak(&connected);

    // Who knows where it is needs no DHT.
    let dialled = world.dial_with(client, server, |dial| {
        dial.nodes = vec![at("192.168.1.2:5000")];
        dial.only_nodes = true;
    });
    world.connected(dialled);
}

#[test]
fn a_server_or_client_that_keeps_its_local_addresses_to_itself_is_not_met_there() {
    for (server_tells, client_tells) in [(true, true), (false, true), (true, false)] {
        let mut world = World::public(22, 3);
        let nat = world.router(Router { hairpin: true, ..Router::RESTRICTED });
        let server = world.inside_at(nat, at("192.168.1.2:5000"));
        let client = world.inside_at(nat, at("192.168.1.3:5000"));
        world.listen_with(server, |listen| listen.lan = Some(server_tells));
        let dialled = world.dial_with(client, server, |dial| dial.lan = Some(client_tells));
        let met = server_tells && client_tells;
        let expected = if met { Path::Lan } else { Path::Direct };
        world.connected(dialled).on(expected);
    }
}

#[test]
fn a_punch_between_neighbours_waits_until_they_may_have_met_and_another_does_not() {
    for (server, millis) in [("88.9.0.1:7", 10), ("88.9.0.2:7", 0)] {
        let mut world = World::public(7, 1);
        let node = world.nodes[0];
        let client = at("88.9.0.1:5");
        let server = at(server);
        let message = HolepunchMessage {
            mode: Mode::FromClient,
            id: 1,
            payload: vec![7; 40],
            peer_address: Some(server),
        };
        let to = world.address(node);
        let datagram = request(to, 1, &server_key(), PEER_HOLEPUNCH, message.to_bytes());
        let passes_on = |peer: &mut Peer, now: Instant| {
            let endpoint = &mut peer.endpoint;
            endpoint.handle_timeout(now);
            let train = endpoint.poll_transmit(now, 1, &mut Vec::new());
            train.is_some_and(|train| train.destination == server)
        };
        world.with(node, |peer, now| {
            let socket = SocketId::SERVER;
            peer.endpoint.handle_datagram(now, socket, client, &datagram);
            let early = now + Duration::from_millis(9);
            assert_eq!(passes_on(peer, early), millis == 0);
            let due = now + Duration::from_millis(10);
            assert_eq!(passes_on(peer, due), millis == 10);
        });
    }
}
