//! What strangers try.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};

use super::world::World;
use crate::connect::Limits;
use crate::connect::noise::Initiator;
use crate::keys::{KeyPair, PublicKey};
use crate::sim::network::Link;
use crate::wire::compact::{Decode, Encode};
use crate::wire::handshake::{
    FIREWALL_OPEN, FIREWALL_UNKNOWN, HandshakeMessage, Mode, NoisePayload, UdxInfo, VERSION,
};
use crate::wire::rpc::{PEER_HANDSHAKE, PEER_HOLEPUNCH, Packet, Request};

#[test]
fn a_repeated_first_message_is_one_handshake() {
    let mut world = World::new(1, 5, Link::default());
    let (server, key) = (world.nodes[1], KeyPair::from_seed(&[1; 32]));
    world.listen(server, &key);
    let noise = first_message(&KeyPair::from_seed(&[2; 32]), key.public_key(), 7);
    for tid in 0..5 {
        inject(&mut world, tid, &key, direct(noise.clone()));
        world.network.run_for(Duration::from_millis(5));
    }
    assert_eq!(world.network.host(server).endpoint.half_open(), 1);
}

#[test]
fn a_recorded_first_message_played_back_opens_nothing() {
    let mut world = World::new(2, 5, Link::default());
    let (server, key) = (world.nodes[1], KeyPair::from_seed(&[1; 32]));
    world.listen(server, &key);
    let victim = KeyPair::from_seed(&[2; 32]);
    let noise = first_message(&victim, key.public_key(), 7);
    for tid in 0..2 {
        inject(&mut world, tid, &key, direct(noise.clone()));
        world.network.run_for(Duration::from_secs(60));
    }
    // Only the owner of the key can read the answer, which has the id that stream packets need.
    let peer = world.network.host(server);
    assert!(peer.established.is_empty());
    assert_eq!(peer.endpoint.half_open(), 0);
}

#[test]
fn a_victim_that_a_client_or_relay_names_gets_little() {
    for (firewall, mode) in [
        (FIREWALL_UNKNOWN, Mode::FromRelay),
        (FIREWALL_OPEN, Mode::FromRelay),
        (FIREWALL_OPEN, Mode::FromClient),
    ] {
        let mut world = World::new(8, 5, Link::default());
        let (server, key) = (world.nodes[1], KeyPair::from_seed(&[1; 32]));
        world.listen(server, &key);
        let attacker = KeyPair::from_seed(&[2; 32]);
        let noise = first_message_with(&attacker, key.public_key(), 7, firewall);
        // The sender of a direct message is forged, a relay names whom it likes.
        let victim = SocketAddrV4::new(Ipv4Addr::new(10, 77, 7, 7), 7777);
        let relayed = mode == Mode::FromRelay;
        let message = HandshakeMessage {
            mode,
            peer_address: relayed.then_some(victim),
            ..direct(noise)
        };
        let spent = message.to_bytes().len();
        let to = world.address(server);
        let request = request(to, 1, &key, PEER_HANDSHAKE, message.to_bytes());
        let from = if relayed { ATTACKER } else { victim };
        world.network.capture = Some(Vec::new());
        world.network.inject(from, to, request.to_bytes());
        world.network.run_for(Duration::from_secs(60));
        let captured = world.network.capture.take().unwrap();
        let received: usize = captured
            .iter()
            .filter(|datagram| datagram.to == victim)
            .map(|datagram| datagram.payload.len())
            .sum();
        assert!(received <= 3 * spent, "{received} for {spent}");
        assert!(world.network.host(server).established.is_empty());
    }
}

#[test]
fn an_open_client_may_answer_on_the_socket_that_the_server_used_before() {
    let mut world = World::new(10, 5, Link::default());
    let (server, key) = (world.open_peer(), KeyPair::from_seed(&[1; 32]));
    world.listen(server, &key);
    let payload = NoisePayload {
        version: VERSION,
        firewall: FIREWALL_OPEN,
        udx: Some(UdxInfo {
            version: 1,
            reusable_socket: false,
            id: 77,
            seq: 0,
        }),
        ..NoisePayload::default()
    };
    let client = KeyPair::from_seed(&[2; 32]);
    let (mut initiator, noise) = Initiator::start(&client, key.public_key(), [7; 32], &payload).unwrap();
    let message = HandshakeMessage {
        mode: Mode::FromRelay,
        peer_address: Some(ATTACKER),
        ..direct(noise)
    };
    world.network.capture = Some(Vec::new());
    inject_at(&mut world, server, 1, &key, message);
    world.network.run_for(Duration::from_millis(10));
    let answer = world.network.capture.take().unwrap();
    let answer = answer.iter().find_map(|datagram| {
        let Ok(Packet::Request(request)) = Packet::from_bytes(&datagram.payload) else {
            return None;
        };
        let message = HandshakeMessage::from_bytes(&request.value?).ok()?;
        (message.mode == Mode::FromServer).then_some(message)
    });
    let (payload, session) = initiator.finish(&answer.unwrap().noise).unwrap();
    let mut packet = vec![255, 1, 1, 0];
    for word in [payload.udx.unwrap().id, 1 << 20, 0, 0] {
        packet.extend_from_slice(&word.to_le_bytes());
    }
    packet.extend_from_slice(&[56, 0, 0]);
    packet.extend_from_slice(&session.keys.stream_id());
    packet.extend_from_slice(&[0; 24]);
    let other = world.address(server);
    let other = SocketAddrV4::new(*other.ip(), other.port() + 1000);
    world.network.inject(ATTACKER, other, packet);
    world.network.run_for(Duration::from_millis(10));
    assert_eq!(world.network.host(server).established.len(), 1);
}

#[test]
fn on_the_public_network_nobody_is_sent_into_a_local_one() {
    let mut world = World::new(9, 5, Link::default());
    world.private = false;
    let (server, key) = (
        world.peer_at("88.1.1.1:5000".parse().unwrap()),
        KeyPair::from_seed(&[1; 32]),
    );
    world.start_listening(server, &key);
    let noise = first_message_with(&key, key.public_key(), 7, FIREWALL_OPEN);
    let aimed = HandshakeMessage {
        mode: Mode::FromRelay,
        peer_address: Some("192.168.1.1:53".parse().unwrap()),
        ..direct(noise)
    };
    world.network.capture = Some(Vec::new());
    inject_at(&mut world, server, 1, &key, aimed);
    world.network.run_for(Duration::from_secs(1));
    let captured = world.network.capture.take().unwrap();
    assert!(
        captured
            .iter()
            .all(|datagram| !datagram.to.ip().octets().starts_with(&[192, 168]))
    );
    assert_eq!(world.network.host(server).endpoint.half_open(), 0);
}

#[test]
fn half_open_handshakes_are_bounded() {
    let mut world = World::new(3, 5, Link::default());
    world.limits = Limits {
        max_half_open_anywhere: 16,
        ..Limits::default()
    };
    let (server, key) = (world.peer(), KeyPair::from_seed(&[1; 32]));
    world.listen(server, &key);
    let relayed = |noise, peer: u8| HandshakeMessage {
        mode: Mode::FromRelay,
        noise,
        peer_address: Some(SocketAddrV4::new(Ipv4Addr::new(9, peer, 0, 1), 1000)),
        relay_address: None,
    };
    for number in 0..40u8 {
        let noise = first_message(&KeyPair::from_seed(&[2; 32]), key.public_key(), number);
        // Three of four come from one network.
        let network = if number % 4 == 0 { number } else { 200 };
        inject_at(&mut world, server, number.into(), &key, relayed(noise, network));
        world.network.run_for(Duration::from_millis(1));
        let half_open = world.network.host(server).endpoint.half_open();
        assert!(half_open <= 16, "{half_open} half open after {number}");
    }
    assert_eq!(world.network.host(server).endpoint.half_open(), 16);
    // The flood pushed itself out: a client of another network is still served.
    world.network.run_for(Duration::from_secs(30));
    assert_eq!(world.network.host(server).endpoint.half_open(), 0);
}

#[test]
fn a_first_message_for_another_key_is_not_answered() {
    let mut world = World::new(4, 5, Link::default());
    let (server, key) = (world.nodes[1], KeyPair::from_seed(&[1; 32]));
    world.listen(server, &key);
    let other = KeyPair::from_seed(&[3; 32]);
    let noise = first_message(&KeyPair::from_seed(&[2; 32]), other.public_key(), 7);
    inject(&mut world, 1, &key, direct(noise));
    world.network.run_for(Duration::from_secs(1));
    assert!(world.network.host(server).established.is_empty());
    assert_eq!(world.network.host(server).endpoint.half_open(), 0);
}

#[test]
fn a_client_that_names_another_address_as_its_own_is_ignored() {
    let mut world = World::new(5, 5, Link::default());
    let (server, key) = (world.nodes[1], KeyPair::from_seed(&[1; 32]));
    world.listen(server, &key);
    let noise = first_message(&KeyPair::from_seed(&[2; 32]), key.public_key(), 7);
    let aimed = HandshakeMessage {
        peer_address: Some("10.9.9.9:9".parse().unwrap()),
        ..direct(noise)
    };
    inject(&mut world, 1, &key, aimed);
    world.network.run_for(Duration::from_secs(1));
    assert!(world.network.host(server).established.is_empty());
}

#[test]
fn arbitrary_messages_for_a_server_change_nothing() {
    let mut world = World::new(6, 4, Link::default());
    let (server, key) = (world.nodes[1], KeyPair::from_seed(&[1; 32]));
    world.listen(server, &key);
    let mut rng = StdRng::seed_from_u64(6);
    let valid = direct(first_message(&KeyPair::from_seed(&[2; 32]), key.public_key(), 7)).to_bytes();
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
        let command = if round % 3 == 0 {
            PEER_HOLEPUNCH
        } else {
            PEER_HANDSHAKE
        };
        inject_value(&mut world, server, round, &key, command, value);
        world.network.run_for(Duration::from_micros(200));
    }
    assert!(world.network.host(server).established.is_empty());
    let client = world.peer();
    world.connect(client, server, key.public_key());
}

#[test]
fn a_dialler_survives_nodes_that_answer_with_nonsense() {
    let mut world = World::new(7, 6, Link::default());
    let (server, client) = (world.open_peer(), world.peer());
    let key = KeyPair::from_seed(&[1; 32]);
    world.listen(server, &key);
    // The dialler's own record says that a node which knows nothing is a way to the server, beside one
    // address that is nobody's.
    let attempt = world.dial_with(client, key.public_key(), |dial| {
        dial.nodes = vec![
            "10.0.0.1:49737".parse().unwrap(),
            "10.250.0.1:1".parse().unwrap(),
            "10.0.0.2:0".parse().unwrap(),
        ]
    });
    world.wait(client, attempt);
    assert_eq!(world.failure(client, attempt), None);
}

fn first_message(key_pair: &KeyPair, remote: &PublicKey, seed: u8) -> Vec<u8> {
    first_message_with(key_pair, remote, seed, FIREWALL_UNKNOWN)
}

fn first_message_with(key_pair: &KeyPair, remote: &PublicKey, seed: u8, firewall: u64) -> Vec<u8> {
    let payload = NoisePayload {
        version: VERSION,
        firewall,
        udx: Some(UdxInfo {
            version: 1,
            reusable_socket: false,
            id: 77,
            seq: 0,
        }),
        secret_stream: Some(1),
        ..NoisePayload::default()
    };
    Initiator::start(key_pair, remote, [seed; 32], &payload)
        .unwrap()
        .1
}

const fn direct(noise: Vec<u8>) -> HandshakeMessage {
    HandshakeMessage {
        mode: Mode::FromClient,
        noise,
        peer_address: None,
        relay_address: None,
    }
}

/// Sends a handshake message to the server on node 1.
fn inject(world: &mut World, tid: u16, key: &KeyPair, message: HandshakeMessage) {
    let server = world.nodes[1];
    inject_at(world, server, tid, key, message);
}

fn inject_at(
    world: &mut World,
    server: crate::sim::network::HostId,
    tid: u16,
    key: &KeyPair,
    message: HandshakeMessage,
) {
    inject_value(world, server, tid, key, PEER_HANDSHAKE, message.to_bytes());
}

fn inject_value(
    world: &mut World,
    server: crate::sim::network::HostId,
    tid: u16,
    key: &KeyPair,
    command: u64,
    value: Vec<u8>,
) {
    let to = world.address(server);
    let request = request(to, tid, key, command, value);
    world.network.inject(ATTACKER, to, request.to_bytes());
}

fn request(to: SocketAddrV4, tid: u16, key: &KeyPair, command: u64, value: Vec<u8>) -> Request {
    Request {
        tid,
        to,
        id: None,
        token: None,
        internal: false,
        command,
        target: Some(key.public_key().target()),
        value: Some(value),
    }
}

const ATTACKER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 66, 6, 6), 6666);
