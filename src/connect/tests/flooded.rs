//! A server that gets more first messages than it can compute.

use std::net::{Ipv4Addr, SocketAddrV4};

use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};

use super::world::{Forged, Home, World, at, key, listen_as, noise_payload, request, server_key};
use crate::connect::Limits;
use crate::keys::KeyPair;
use crate::sim::network::HostId;
use crate::wire::compact::{Decode, Encode};
use crate::wire::handshake::{FIREWALL_UNKNOWN, HandshakeMessage, Mode};
use crate::wire::rpc::{PEER_HANDSHAKE, Packet, Response};

#[test]
fn one_source_keeps_nobody_else_from_connecting() {
    let mut flooded = Flooded::new(1);
    assert_eq!(flooded.connects(20, |_, _| (ATTACKER, None)), 20);
    assert!(flooded.dropped() > 1000, "there was too much to compute: {}", flooded.dropped());
}

#[test]
fn ten_thousand_sources_in_two_hundred_networks_leave_a_turn_to_others() {
    let mut flooded = Flooded::new(2);
    let spoofed = |number: u32, _: &mut StdRng| {
        let [_, _, host, network] = (number * 7919 % 10_000).to_be_bytes();
        (SocketAddrV4::new(Ipv4Addr::new(9, 9, network % 200, host), 1000), None)
    };
    assert!(flooded.connects(20, spoofed) >= 16);
    assert!(flooded.dropped() > 1000, "there was too much to compute: {}", flooded.dropped());
}

#[test]
fn a_node_that_invents_clients_spends_its_own_share() {
    let mut flooded = Flooded::new(3);
    let invented = |_: u32, rng: &mut StdRng| {
        let client = SocketAddrV4::new(Ipv4Addr::from(rng.next_u32()), 1000);
        (ATTACKER, Some(client))
    };
    assert_eq!(flooded.connects(20, invented), 20);
    assert!(flooded.dropped() > 1000, "there was too much to compute: {}", flooded.dropped());
}

#[test]
fn what_waits_for_its_computation_is_bounded_and_costs_nothing_once_forgotten() {
    let mut flooded = Flooded::new(4);
    flooded.allow(0);
    for number in 0..5000 {
        flooded.send(number, (ATTACKER, None));
        if number % 50 == 0 {
            flooded.world.run_ms(1);
        }
    }
    flooded.world.run_ms(10);
    let before = flooded.dropped();
    assert!(before >= 5000 - 1024, "{before}");
    // More than can be left.
    flooded.allow(3000);
    flooded.world.run_ms(10);
    let left = flooded.world.host(flooded.server).jobs;
    assert_eq!(left.map(|left| 3000 - left as u64), Some(5000 - before), "the rest was computed, no more");
}

#[test]
fn answers_kept_for_repetition_are_bounded_over_all_servers() {
    let mut world = World::new(5, 5);
    world.limits = Limits { max_remembered: 16, ..Limits::default() };
    let server = world.server(Home::Plain);
    let other = listen_as(key(3));
    world.with(server, |peer, now| peer.endpoint.listen(now, other)).unwrap();
    let mut flooded = Flooded { world, server, key: server_key(), rng: StdRng::seed_from_u64(5) };
    for number in 0..100 {
        flooded.key = if number % 2 == 0 { server_key() } else { key(3) };
        flooded.send(number, (ATTACKER, None));
        flooded.world.run_ms(5);
    }
    assert_eq!(flooded.world.host(server).endpoint.handshakes_remembered(), 16);
}

#[test]
fn what_a_busy_server_answers_through_one_node_is_passed_on_to_all_clients() {
    let mut world = World::public(6, 6);
    let server = world.peer_at(at("77.1.1.1:5000"));
    world.listen(server);
    let target = server_key().public_key().target();
    let mut nodes = world.nodes.clone().into_iter();
    let knows = |node: &HostId| world.with(*node, |peer, _| peer.endpoint.node().forward(&target).is_some());
    let node = nodes.find(knows).expect("the server is announced");
    let node = world.address(node);
    world.capture();
    // All at once, each client from a network of its own, and ten times what a network may send.
    let clients: Vec<_> = (0..500_u32)
        .map(|number| SocketAddrV4::new(Ipv4Addr::from(0x6300_0001 + (number << 8)), 1000))
        .collect();
    for (number, client) in (0..).zip(&clients) {
        let message = Forged::new(&key(2), &server_key(), number, &noise_payload(FIREWALL_UNKNOWN)).direct();
        let datagram = request(node, number, &server_key(), PEER_HANDSHAKE, message.to_bytes());
        world.inject(*client, node, datagram);
    }
    let captured = world.captured_in(2);
    let answers = captured.iter().filter(|datagram| datagram.from == node).filter(|datagram| {
        let packet = Packet::from_bytes(&datagram.payload);
        clients.contains(&datagram.to)
            && matches!(packet, Ok(Packet::Response(Response { value: Some(_), .. })))
    });
    assert_eq!(answers.count(), clients.len());
}

/// A server that computes [`COMPUTED`] handshakes a millisecond and is sent [`SENT`].
struct Flooded {
    world: World,
    server: HostId,
    /// The key that the flood is for.
    key: KeyPair,
    rng: StdRng,
}

impl Flooded {
    fn new(seed: u64) -> Self {
        let mut world = World::new(seed, 5);
        let server = world.server(Home::Plain);
        Self { world, server, key: server_key(), rng: StdRng::seed_from_u64(seed) }
    }

    /// Lets so many clients connect, one after the other, five seconds each; returns how many did. `source`
    /// returns the sender of each message of the flood, and the client that it names.
    fn connects(
        &mut self,
        clients: usize,
        mut source: impl FnMut(u32, &mut StdRng) -> (SocketAddrV4, Option<SocketAddrV4>),
    ) -> usize {
        let homes: Vec<_> = (0..clients).map(|_| self.world.home(Home::Plain)).collect();
        let mut number = 0;
        let mut flood = |flooded: &mut Self| {
            for _ in 0..SENT {
                number += 1;
                let source = source(number, &mut flooded.rng);
                flooded.send(number, source);
            }
            flooded.allow(COMPUTED);
            flooded.world.run_ms(1);
        };
        // The queue is full when the first one comes.
        for _ in 0..100 {
            flood(self);
        }
        let mut connected = 0;
        for client in homes {
            let dialled = self.world.dial(client, self.server);
            for _ in 0..5000 {
                if self.world.host(client).has_ended(dialled.attempt) {
                    break;
                }
                flood(self);
            }
            connected += usize::from(self.world.host(client).find(dialled.attempt).is_some());
        }
        connected
    }

    /// Sends a first message of the greatest cost that nobody has to compute in advance: it looks valid until
    /// a Diffie-Hellman shows that it is not.
    fn send(&mut self, number: u32, (from, client): (SocketAddrV4, Option<SocketAddrV4>)) {
        let mut noise = vec![0; 150];
        self.rng.fill_bytes(&mut noise);
        let mode = if client.is_some() { Mode::FromRelay } else { Mode::FromClient };
        let message = HandshakeMessage { mode, noise, peer_address: client, relay_address: None };
        let to = self.world.address(self.server);
        let datagram = request(to, number as u16, &self.key, PEER_HANDSHAKE, message.to_bytes());
        self.world.inject(from, to, datagram);
    }

    fn allow(&mut self, jobs: usize) {
        self.world.with(self.server, |peer, _| peer.jobs = Some(jobs));
    }

    fn dropped(&self) -> u64 {
        self.world.host(self.server).endpoint.handshakes_dropped()
    }
}

const SENT: u32 = 20;
const COMPUTED: usize = 3;

const ATTACKER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 66, 6, 6), 6666);
