//! Servers that claim to be reachable by any host, rightly or not.

use super::world::{Home, World, at, is_probe, is_rpc, is_stream_packet, to_home};
use crate::connect::Lost;
use crate::wire::packet::{MESSAGE, PacketHeader};

#[test]
fn a_server_that_wrongly_takes_itself_to_be_reachable_is_punched_to() {
    for seed in 0..10 {
        for (home, secs) in [(Home::Open, 1), (Home::Restricted, 3), (Home::Random, 30)] {
            let mut world = World::new(300 + seed, 8);
            let server = world.server(Home::Mistaken);
            let client = world.home(home);
            let dialled = world.dial(client, server);
            world.accepts_within(secs, server);
            let connected = world.connected(dialled);
            world.both_speak(&connected);
            assert_eq!(world.attempts(client), 0);
            // An open client is what the server itself goes to.
            if home != Home::Open {
                let moved = &world.host(client).moved[0];
                assert_eq!(moved.report.path, Some((moved.path, moved.remote)));
                let named = moved.report.unanswered.map(|(address, _)| address);
                assert_eq!(named, Some(at("10.9.1.1:5000")), "{home:?}, seed {seed}");
            }
        }
    }
}

#[test]
fn packets_of_a_server_from_elsewhere_do_not_divert_a_client_on_its_way_to_it() {
    let mut world = World::new(25, 8);
    let (server, client) = world.server_and_client(Home::Open, Home::Open);
    // The first of its packets to an open client, by which the client would learn the path.
    world.drops(is_stream_packet);
    let dialled = world.dial(client, server);
    world.run_until(5, |world| world.host(client).has_ended(dialled.attempt));
    world.drops_nothing();
    let connected = world.connected(dialled);
    // What a server sends that an open client waits for, from its other socket.
    let opener = PacketHeader {
        kind: MESSAGE,
        data_offset: 0,
        stream_id: connected.near.stream.0,
        window: 1 << 20,
        seq: 0,
        ack: 0,
    };
    let (other, to) = (world.client_address(server), world.address(client));
    world.inject(other, to, opener.to_bytes().to_vec());
    world.accepts_within(5, server);
    world.both_speak(&connected);
    let place = world.place(connected.near);
    assert_eq!(place.map(|(_, address)| address), Some(world.address(server)));
    assert!(world.host(client).moved.is_empty());
}

#[test]
fn a_server_that_is_not_reachable_where_it_claims_to_be_nor_otherwise_is_named() {
    let mut world = World::new(23, 8);
    let server = world.server(Home::Mistaken);
    let client = world.home(Home::Restricted);
    world.drops(|datagram| !is_rpc(datagram) && to_home(datagram));
    let dialled = world.dial(client, server);
    let near = world.connected(dialled).near;
    world.run_until(15, |world| !world.host(client).unreachable.is_empty());
    let (stream, report) = &world.host(client).unreachable[0];
    assert_eq!(*stream, near.stream);
    let named = report.unanswered.map(|(address, _)| address);
    assert_eq!(named, Some(at("10.9.1.1:5000")));
    assert_eq!((report.punch_lost, report.path), (Some(Lost::NoProbe), None));
    assert!(world.host(client).moved.is_empty());
    assert_eq!(world.attempts(client), 0);
    assert!(world.host(server).established.is_empty());
}

#[test]
fn a_server_that_is_slow_to_answer_where_it_claims_to_be_is_waited_for() {
    let mut world = World::new(24, 8);
    let (server, client) = world.server_and_client(Home::Open, Home::Plain);
    // A firewall that opens late, and lets no probe through.
    world.drops(|datagram| {
        datagram.to.ip().octets()[..3] == [10, 0, 1] && (is_probe(datagram) || is_stream_packet(datagram))
    });
    let dialled = world.dial(client, server);
    world.run_secs(5);
    world.drops_nothing();
    let connected = world.connected(dialled);
    world.accepts_within(30, server);
    world.both_speak(&connected);
    assert!(world.host(client).unreachable.is_empty());
    assert_eq!(world.attempts(client), 0);
}
