//! What strangers try with those who punch.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::world::{Dialled, Forged, Home, World, at, is_probe, key, noise_payload, request, server_key};
use crate::connect::noise::Session;
use crate::connect::secure_payload::SecurePayload;
use crate::sim::network::{Datagram, HostId};
use crate::wire::compact::Encode;
use crate::wire::handshake::{
    FIREWALL_CONSISTENT, FIREWALL_RANDOM, FIREWALL_UNKNOWN, HolepunchMessage, HolepunchPayload, Mode,
};
use crate::wire::rpc::{PEER_HANDSHAKE, PEER_HOLEPUNCH};
use crate::wire::transmit::SocketId;

#[test]
fn a_probe_of_a_stranger_does_not_divert_a_client() {
    let mut world = World::new(1, 8);
    let (server, dialled) = punch(&mut world);
    let socket = world.puncher_address(dialled.client);
    for byte in [vec![0], vec![]] {
        world.inject(ATTACKER, socket, byte);
    }
    let remote = world.connected(dialled).remote;
    assert_eq!(remote.ip(), world.address(server).ip());
}

#[test]
fn a_probe_from_another_port_of_the_servers_host_waits_for_a_better_one() {
    let mut world = World::of_towns(8, 8);
    let (server, dialled) = punch(&mut world);
    let socket = world.puncher_address(dialled.client);
    let neighbour = at_port(world.address(server), 4444);
    world.inject(neighbour, socket, vec![0]);
    let remote = world.connected(dialled).remote;
    assert_eq!(remote.ip(), neighbour.ip());
    assert_ne!(remote, neighbour);
}

/// Dials a server that must be punched to, until the moment at which the client's socket for it is there.
fn punch(world: &mut World) -> (HostId, Dialled) {
    let server = world.server(Home::Plain);
    world.run_secs(1);
    let client = world.home(Home::Plain);
    let dialled = world.dial(client, server);
    world.run_until(1, |world| !world.host(client).sockets.is_empty());
    (server, dialled)
}

#[test]
fn probes_of_strangers_get_no_answer() {
    let mut world = World::new(2, 8);
    let server = world.server(Home::Plain);
    world.run_secs(1);
    world.capture();
    let socket = world.puncher_address(server);
    for _ in 0..100 {
        world.inject(ATTACKER, socket, vec![0]);
    }
    let sent = world.captured_in(1);
    assert!(sent.iter().all(|datagram| datagram.to != ATTACKER));
}

#[test]
fn a_victim_that_a_client_names_gets_a_few_probes_whatever_the_client_says() {
    for firewall in [FIREWALL_CONSISTENT, FIREWALL_RANDOM] {
        let mut attack = Attack::on(World::new(3, 8), Home::Plain);
        let victim = at("10.77.7.7:7777");
        // Each handshake is another client to the server.
        for number in 0..50 {
            let session = attack.shake_hands(number);
            for round in 0..20 {
                let payload = HolepunchPayload {
                    firewall,
                    round,
                    punching: round > 3,
                    addresses: Some((0..100).map(|port| at_port(victim, 1000 + port)).collect()),
                    remote_address: Some(attack.world.puncher_address(attack.server)),
                    token: Some([1; 32]),
                    remote_token: Some([2; 32]),
                    ..HolepunchPayload::default()
                };
                attack.say(&session, payload, victim);
            }
        }
        let probes = attack.probes_to(victim, 9);
        assert!((1..=64).contains(&probes), "{probes} probes");
    }
}

#[test]
fn one_client_draws_probes_to_four_addresses_at_most() {
    let mut attack = Attack::on(World::new(4, 8), Home::Plain);
    let session = attack.shake_hands(1);
    let hosts = (0..100).map(|last| SocketAddrV4::new([10, 77, 7, last].into(), 7));
    let payload = HolepunchPayload {
        firewall: FIREWALL_CONSISTENT,
        punching: true,
        addresses: Some(hosts.collect()),
        ..HolepunchPayload::default()
    };
    attack.say(&session, payload, ATTACKER);
    let sent = attack.world.captured_in(60);
    let aimed = sent.iter().filter(|sent| sent.to.ip().octets()[1] == 77);
    let mut hosts: Vec<_> = aimed.clone().map(|sent| sent.to).collect();
    // Twice in ten seconds, as no host has proven to be there.
    assert_eq!(hosts.len(), 8);
    hosts.sort_unstable();
    hosts.dedup();
    assert_eq!(hosts.len(), 4);
}

#[test]
fn on_the_public_network_no_probe_goes_into_a_local_one() {
    let mut attack = Attack::on(World::public(5, 8), Home::Plain);
    let session = attack.shake_hands(1);
    let local = at("192.168.1.1:53");
    for (peer, punching) in [(PUBLIC, true), (local, false)] {
        let payload = HolepunchPayload {
            firewall: FIREWALL_CONSISTENT,
            punching,
            addresses: Some(vec![local, PUBLIC]),
            remote_address: Some(attack.world.puncher_address(attack.server)),
            ..HolepunchPayload::default()
        };
        attack.say(&session, payload, peer);
    }
    let sent = attack.world.captured_in(30);
    let to = |address| sent.iter().filter(|sent| sent.to == address && is_probe(sent)).count();
    assert_eq!(to(local), 0);
    assert!(to(PUBLIC) > 0, "it does punch");
}

#[test]
fn many_sockets_are_opened_only_for_a_client_that_has_proven_its_host() {
    let mut attack = Attack::on(World::new(6, 8), Home::Random);
    let open = |attack: &Attack| attack.world.host(attack.server).sockets.len();
    let before = open(&attack);
    let session = attack.shake_hands(1);
    let payload = HolepunchPayload {
        firewall: FIREWALL_CONSISTENT,
        punching: true,
        addresses: Some(vec![ATTACKER]),
        token: Some([1; 32]),
        remote_token: Some([2; 32]),
        ..HolepunchPayload::default()
    };
    attack.say(&session, payload, ATTACKER);
    attack.world.run_secs(1);
    assert_eq!((before, open(&attack)), (1, 1));
}

#[test]
fn arbitrary_holepunch_messages_get_no_answer_and_change_nothing() {
    let mut attack = Attack::on(World::new(7, 8), Home::Plain);
    let session = attack.shake_hands(1);
    let other = Session { holepunch_secret: [9; 32].into(), ..attack.shake_hands(2) };
    attack.world.capture();
    // Sealed with another key, and for a handshake that there is not.
    attack.say(&other, HolepunchPayload::default(), ATTACKER);
    attack.number = 77;
    attack.say(&session, HolepunchPayload::default(), ATTACKER);
    let sent = attack.world.captured_in(5);
    assert!(sent.iter().all(|datagram| datagram.to != RELAY));
}

/// A hostile client that is its own forwarding node.
struct Attack {
    world: World,
    server: HostId,
    tid: u16,
    number: u64,
    /// What was sent up to the last handshake.
    sent: Vec<Datagram>,
}

impl Attack {
    fn on(mut world: World, home: Home) -> Self {
        let server = world.server(home);
        world.run_secs(1);
        world.capture();
        Self { world, server, tid: 0, number: 0, sent: Vec::new() }
    }

    fn shake_hands(&mut self, seed: u8) -> Session {
        let payload = noise_payload(FIREWALL_UNKNOWN);
        let forged = Forged::new(&key(2), &server_key(), seed, &payload);
        self.keep_sent();
        self.send(PEER_HANDSHAKE, forged.forwarded(RELAY).to_bytes());
        self.world.run_ms(5);
        let answer = self.world.captured();
        self.world.capture();
        let (payload, session) = forged.finish(&answer);
        self.number = payload.holepunch.expect("the server can be punched to").id;
        session
    }

    fn keep_sent(&mut self) {
        let earlier = self.world.captured();
        self.sent.extend(earlier);
        self.world.capture();
    }

    /// Sends a holepunch message for the last handshake, as if from `peer`.
    fn say(&mut self, session: &Session, payload: HolepunchPayload, peer: SocketAddrV4) {
        let secure = SecurePayload::new(&session.holepunch_secret, [3; 32]);
        let message = HolepunchMessage {
            mode: Mode::FromRelay,
            id: self.number,
            payload: secure.seal(&payload, &[4; 24]),
            peer_address: Some(peer),
        };
        self.send(PEER_HOLEPUNCH, message.to_bytes());
        self.world.run_ms(1);
    }

    fn send(&mut self, command: u64, value: Vec<u8>) {
        let to = self.world.address(self.server);
        self.tid += 1;
        let datagram = request(to, self.tid, &server_key(), command, value);
        // As if it came through the mapping that the server keeps open towards its nodes.
        self.world.with(self.server, |peer, now| {
            let socket = SocketId::SERVER;
            peer.endpoint.handle_datagram(now, socket, RELAY, &datagram);
        });
    }

    /// Lets time pass, and counts the probes to a host since the start.
    fn probes_to(&mut self, host: SocketAddrV4, secs: u64) -> usize {
        self.world.run_secs(secs);
        self.keep_sent();
        let to_host = |sent: &&Datagram| sent.to.ip() == host.ip() && is_probe(sent);
        self.sent.iter().filter(to_host).count()
    }
}

const fn at_port(address: SocketAddrV4, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(*address.ip(), port)
}

const ATTACKER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 66, 6, 6), 6666);
const RELAY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(90, 66, 6, 7), 6667);
const PUBLIC: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(90, 77, 7, 8), 6668);
