//! What strangers try.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};

use super::world::{Forged, Home, World, at, is_rpc, key, noise_payload, request, server_key};
use crate::connect::Limits;
use crate::sim::network::{Datagram, HostId};
use crate::wire::compact::{Decode, Encode};
use crate::wire::handshake::{FIREWALL_OPEN, FIREWALL_UNKNOWN, HandshakeMessage, Mode, NoisePayload};
use crate::wire::rpc::{PEER_HANDSHAKE, PEER_HOLEPUNCH, Packet, Response};

#[test]
fn a_repeated_first_message_is_one_handshake() {
    let (mut world, server) = world_with_server(1);
    let message = first_message(7, FIREWALL_UNKNOWN).direct();
    for tid in 0..5 {
        send(&mut world, server, tid, &message);
        world.run_ms(5);
    }
    assert_eq!(world.host(server).endpoint.half_open(), 1);
}

#[test]
fn so_many_copies_of_a_first_message_are_answered_once_it_is_computed() {
    let (mut world, server) = world_with_server(1);
    world.with(server, |peer, _| peer.jobs = Some(0));
    let message = first_message(7, FIREWALL_UNKNOWN).direct();
    for tid in 0..20 {
        send(&mut world, server, tid, &message);
        world.run_ms(5);
    }
    world.capture();
    world.with(server, |peer, _| peer.jobs = None);
    let captured = world.captured_in(1);
    let answers = captured.iter().filter(|datagram| datagram.to == ATTACKER && is_rpc(datagram));
    assert_eq!(answers.count(), 8);
}

#[test]
fn a_recorded_first_message_played_back_opens_nothing() {
    let (mut world, server) = world_with_server(2);
    let message = first_message(7, FIREWALL_UNKNOWN).direct();
    for tid in 0..2 {
        send(&mut world, server, tid, &message);
        world.run_secs(60);
    }
    // Only the owner of the key can read the answer, which has the id that stream packets need.
    opened_nothing(&world, server);
}

#[test]
fn a_victim_that_a_client_or_relay_names_gets_little() {
    let victim = at("10.77.7.7:7777");
    // The sender of a direct message is forged, a forwarding node names any address.
    for (firewall, forwarded) in [(FIREWALL_UNKNOWN, true), (FIREWALL_OPEN, true), (FIREWALL_OPEN, false)] {
        let (mut world, server) = world_with_server(8);
        let forged = first_message(7, firewall);
        let (message, from) =
            if forwarded { (forged.forwarded(victim), ATTACKER) } else { (forged.direct(), victim) };
        let spent = message.to_bytes().len();
        world.capture();
        send_from(&mut world, from, server, 1, PEER_HANDSHAKE, message.to_bytes());
        let captured = world.captured_in(60);
        let to_victim = captured.iter().filter(|datagram| datagram.to == victim);
        let received: usize = to_victim.map(|datagram| datagram.payload.len()).sum();
        assert!(received <= 3 * spent, "{received} for {spent}");
        assert!(world.host(server).established.is_empty());
    }
}

#[test]
fn an_open_client_may_answer_on_the_socket_that_the_server_used_before() {
    let mut world = World::new(10, 5);
    let server = world.server(Home::Open);
    let payload = NoisePayload { secret_stream: None, ..noise_payload(FIREWALL_OPEN) };
    let forged = Forged::new(&key(2), &server_key(), 7_u8, &payload);
    world.capture();
    send(&mut world, server, 1, &forged.forwarded(ATTACKER));
    world.run_ms(10);
    let (payload, session) = forged.finish(&world.captured());
    let mut packet = vec![255, 1, 1, 0];
    for word in [payload.udx.unwrap().id, 1 << 20, 0, 0] {
        packet.extend_from_slice(&word.to_le_bytes());
    }
    packet.extend_from_slice(&[56, 0, 0]);
    packet.extend_from_slice(&session.keys.stream_id());
    packet.extend_from_slice(&[0; 24]);
    let other = world.client_address(server);
    world.inject(ATTACKER, other, packet);
    world.run_ms(10);
    assert_eq!(world.host(server).established.len(), 1);
}

#[test]
fn on_the_public_network_no_peer_is_sent_into_a_local_one() {
    let mut world = World::new(9, 5);
    world.private = false;
    let server = world.peer_at(at("88.1.1.1:5000"));
    world.start_listening(server);
    let payload = noise_payload(FIREWALL_OPEN);
    let forged = Forged::new(&server_key(), &server_key(), 7_u8, &payload);
    world.capture();
    send(&mut world, server, 1, &forged.forwarded(at("192.168.1.1:53")));
    let captured = world.captured_in(1);
    let is_local = |address: SocketAddrV4| address.ip().octets().starts_with(&[192, 168]);
    assert!(captured.iter().all(|datagram| !is_local(datagram.to)));
    assert_eq!(world.host(server).endpoint.half_open(), 0);
}

#[test]
fn half_open_handshakes_are_bounded() {
    let mut world = World::new(3, 5);
    world.limits = Limits { max_half_open: 16, ..Limits::default() };
    let server = world.server(Home::Plain);
    for number in 0..40u8 {
        // Three of four come from one network.
        let network = if number % 4 == 0 { number } else { 200 };
        let client = SocketAddrV4::new(Ipv4Addr::new(9, network, 0, 1), 1000);
        let message = first_message(number, FIREWALL_UNKNOWN).forwarded(client);
        send(&mut world, server, number.into(), &message);
        world.run_ms(1);
        let half_open = world.host(server).endpoint.half_open();
        assert!(half_open <= 16, "{half_open} half open after {number}");
    }
    assert_eq!(world.host(server).endpoint.half_open(), 16);
    // The flood pushed itself out: a client of another network is still served.
    world.run_secs(30);
    assert_eq!(world.host(server).endpoint.half_open(), 0);
}

#[test]
fn a_first_message_for_another_key_is_not_answered() {
    let (mut world, server) = world_with_server(4);
    let payload = noise_payload(FIREWALL_UNKNOWN);
    let forged = Forged::new(&key(2), &key(3), 7_u8, &payload);
    send(&mut world, server, 1, &forged.direct());
    world.run_secs(1);
    opened_nothing(&world, server);
}

#[test]
fn a_client_that_names_another_address_as_its_own_is_ignored() {
    let (mut world, server) = world_with_server(5);
    let aimed = HandshakeMessage {
        peer_address: Some(at("10.9.9.9:9")),
        ..first_message(7, FIREWALL_UNKNOWN).direct()
    };
    send(&mut world, server, 1, &aimed);
    world.run_secs(1);
    assert!(world.host(server).established.is_empty());
}

#[test]
fn arbitrary_messages_for_a_server_change_nothing() {
    let mut world = World::new(6, 4);
    let server = world.nodes[1];
    world.listen(server);
    let mut rng = StdRng::seed_from_u64(6);
    let valid = first_message(7, FIREWALL_UNKNOWN).direct().to_bytes();
    for round in 0..2000u16 {
        let value = if round % 2 == 0 {
            let mut value = vec![0; rng.gen_range(0..200)];
            rng.fill_bytes(&mut value);
            value
        } else {
            // Past flags and mode, so that it is the Noise message that is damaged.
            let mut value = valid.clone();
            let at = rng.gen_range(3..value.len());
            value[at] ^= 1 << rng.gen_range(0..8);
            value
        };
        let command = if round % 3 == 0 { PEER_HOLEPUNCH } else { PEER_HANDSHAKE };
        send_from(&mut world, ATTACKER, server, round, command, value);
        world.run_for(Duration::from_micros(200));
    }
    assert!(world.host(server).established.is_empty());
    let client = world.home(Home::Plain);
    world.connect(client, server);
}

#[test]
fn a_dialler_survives_nodes_that_answer_with_nonsense() {
    let mut world = World::new(7, 6);
    let (server, client) = world.server_and_client(Home::Open, Home::Plain);
    // The dialler's own record names a node that knows nothing of the server, beside one unused address.
    let dialled = world.dial_with(client, server, |dial| {
        dial.nodes = vec![at("10.0.0.1:49737"), at("10.250.0.1:1"), at("10.0.0.2:0")];
    });
    world.connected(dialled);
}

#[test]
fn so_many_answers_wait_while_one_is_read() {
    let mut world = World::new(11, 5);
    let (server, client) = world.server_and_client(Home::Open, Home::Open);
    // Message 1 is written, and no answer is read.
    world.with(client, |peer, _| peer.jobs = Some(1));
    let hostile: Vec<_> = (1..=20).map(|host| at(&format!("10.66.6.{host}:49737"))).collect();
    let dialled = world.dial_with(client, server, |dial| {
        dial.nodes = hostile.clone();
        dial.only_nodes = true;
    });
    for _ in 0..100 {
        world.capture();
        world.run_ms(5);
        for asked in world.captured().into_iter().filter(|datagram| hostile.contains(&datagram.to)) {
            world.inject(asked.to, asked.from, nonsense(&asked));
        }
    }
    world.wait(dialled);
    let report = world.report(dialled);
    assert_eq!(report.exchanges.len(), hostile.len());
    let answered = report.exchanges.iter().filter(|exchange| exchange.answered.is_some());
    assert_eq!(answered.count(), 1 + 8, "one is being read");
}

/// Returns what looks like the answer to a handshake message until it is read.
fn nonsense(asked: &Datagram) -> Vec<u8> {
    let Ok(Packet::Request(request)) = Packet::from_bytes(&asked.payload) else { panic!("not a request") };
    let noise = vec![7; 200];
    let message = HandshakeMessage { mode: Mode::Reply, noise, peer_address: None, relay_address: None };
    let response = Response {
        tid: request.tid,
        to: asked.from,
        id: None,
        token: None,
        closer: Vec::new(),
        error: 0,
        value: Some(message.to_bytes()),
    };
    response.to_bytes()
}

/// Makes a world whose second node listens.
fn world_with_server(seed: u64) -> (World, HostId) {
    let mut world = World::new(seed, 5);
    let server = world.nodes[1];
    world.listen(server);
    (world, server)
}

#[track_caller]
fn opened_nothing(world: &World, server: HostId) {
    let peer = world.host(server);
    assert!(peer.established.is_empty());
    assert_eq!(peer.endpoint.half_open(), 0);
}

fn first_message(seed: u8, firewall: u64) -> Forged {
    Forged::new(&key(2), &server_key(), seed, &noise_payload(firewall))
}

/// Sends a handshake message to a server.
fn send(world: &mut World, server: HostId, tid: u16, message: &HandshakeMessage) {
    send_from(world, ATTACKER, server, tid, PEER_HANDSHAKE, message.to_bytes());
}

fn send_from(world: &mut World, from: SocketAddrV4, server: HostId, tid: u16, command: u64, value: Vec<u8>) {
    let to = world.address(server);
    let datagram = request(to, tid, &server_key(), command, value);
    world.inject(from, to, datagram);
}

const ATTACKER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 66, 6, 6), 6666);
