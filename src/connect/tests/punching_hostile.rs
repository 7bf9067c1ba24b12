//! What strangers try with those who punch.

use std::net::SocketAddrV4;
use std::time::Duration;

use super::world::World;
use crate::connect::noise::{Initiator, Session};
use crate::connect::secure_payload::SecurePayload;
use crate::keys::KeyPair;
use crate::sim::nat::Router;
use crate::sim::network::{Datagram, HostId, Link};
use crate::wire::compact::{Decode, Encode};
use crate::wire::handshake::{
    FIREWALL_CONSISTENT, FIREWALL_RANDOM, HandshakeMessage, HolepunchMessage, HolepunchPayload, Mode,
    NoisePayload, UdxInfo, VERSION,
};
use crate::wire::rpc::{PEER_HANDSHAKE, PEER_HOLEPUNCH, Packet, Request};
use crate::wire::transmit::SocketId;

#[test]
fn a_probe_of_somebody_else_does_not_divert_a_client() {
    let mut world = World::new(1, 8, Link::default());
    let (server, key) = (world.peer(), KeyPair::from_seed(&[1; 32]));
    world.listen(server, &key);
    world.network.run_for(Duration::from_secs(1));
    let client = world.peer();
    let attempt = world.dial(client, key.public_key());
    let socket = SocketAddrV4::new(*world.address(client).ip(), 30_000);
    // From the moment at which its socket is there.
    world.network.run_until(Duration::from_secs(1), |network| {
        network.host(client).endpoint.has_puncher_socket()
    });
    for byte in [vec![0], vec![]] {
        world.network.inject(ATTACKER, socket, byte);
    }
    world.wait(client, attempt);
    let established = world.network.host(client).find(attempt);
    let remote = established.expect("it is not disturbed").remote;
    assert_eq!(remote.ip(), world.address(server).ip());
}

#[test]
fn a_probe_from_another_port_of_the_servers_host_waits_for_a_better_one() {
    let link = Link {
        delay: Duration::from_millis(10),
        ..Link::default()
    };
    let mut world = World::new(8, 8, link);
    let (server, key) = (world.peer(), KeyPair::from_seed(&[1; 32]));
    world.listen(server, &key);
    world.network.run_for(Duration::from_secs(1));
    let client = world.peer();
    let attempt = world.dial(client, key.public_key());
    let socket = SocketAddrV4::new(*world.address(client).ip(), 30_000);
    let neighbour = SocketAddrV4::new(*world.address(server).ip(), 4444);
    world.network.run_until(Duration::from_secs(1), |network| {
        network.host(client).endpoint.has_puncher_socket()
    });
    world.network.inject(neighbour, socket, vec![0]);
    world.wait(client, attempt);
    let established = world.network.host(client).find(attempt).unwrap();
    assert_eq!(established.remote.ip(), neighbour.ip());
    assert_ne!(established.remote, neighbour);
}

#[test]
fn probes_of_strangers_get_no_answer() {
    let mut world = World::new(2, 8, Link::default());
    let (server, key) = (world.peer(), KeyPair::from_seed(&[1; 32]));
    world.listen(server, &key);
    world.network.run_for(Duration::from_secs(1));
    world.network.capture = Some(Vec::new());
    let socket = SocketAddrV4::new(*world.address(server).ip(), 30_000);
    for _ in 0..100 {
        world.network.inject(ATTACKER, socket, vec![0]);
    }
    world.network.run_for(Duration::from_secs(1));
    let sent = world.network.capture.take().unwrap();
    assert!(sent.iter().all(|datagram| datagram.to != ATTACKER));
}

#[test]
fn a_victim_that_a_client_names_gets_a_few_probes_whatever_the_client_says() {
    for firewall in [FIREWALL_CONSISTENT, FIREWALL_RANDOM] {
        let mut attack = Attack::new(World::new(3, 8, Link::default()));
        let victim: SocketAddrV4 = "10.77.7.7:7777".parse().unwrap();
        // Each handshake is another client to the server.
        for number in 0..50 {
            let session = attack.shake_hands(number);
            for round in 0..20 {
                let payload = HolepunchPayload {
                    firewall,
                    round,
                    punching: round > 3,
                    addresses: Some((0..100).map(|port| at_port(victim, 1000 + port)).collect()),
                    remote_address: Some(attack.puncher()),
                    token: Some([1; 32]),
                    remote_token: Some([2; 32]),
                    ..HolepunchPayload::default()
                };
                attack.say(&session, payload, victim);
            }
        }
        let probes = attack.run(Duration::from_secs(9), victim);
        assert!((1..=64).contains(&probes), "{probes} probes");
    }
}

#[test]
fn one_client_draws_probes_to_four_addresses_at_most() {
    let mut attack = Attack::new(World::new(4, 8, Link::default()));
    let session = attack.shake_hands(1);
    let hosts = (0..100).map(|last| SocketAddrV4::new([10, 77, 7, last].into(), 7));
    let payload = HolepunchPayload {
        firewall: FIREWALL_CONSISTENT,
        punching: true,
        addresses: Some(hosts.collect()),
        ..HolepunchPayload::default()
    };
    attack.say(&session, payload, ATTACKER);
    attack.world.network.run_for(Duration::from_secs(60));
    let sent = attack.world.network.capture.take().unwrap();
    let aimed = sent.iter().filter(|sent| sent.to.ip().octets()[1] == 77);
    let mut hosts: Vec<_> = aimed.clone().map(|sent| sent.to).collect();
    // Twice in ten seconds, as nobody has proven to be there.
    assert_eq!(hosts.len(), 8);
    hosts.sort_unstable();
    hosts.dedup();
    assert_eq!(hosts.len(), 4);
}

#[test]
fn on_the_public_network_no_probe_goes_into_a_local_one() {
    let mut attack = Attack::new(World::public(5, 8, Link::default()));
    let session = attack.shake_hands(1);
    let local: SocketAddrV4 = "192.168.1.1:53".parse().unwrap();
    for (peer, punching) in [(PUBLIC, true), (local, false)] {
        let payload = HolepunchPayload {
            firewall: FIREWALL_CONSISTENT,
            punching,
            addresses: Some(vec![local, PUBLIC]),
            remote_address: Some(attack.puncher()),
            ..HolepunchPayload::default()
        };
        attack.say(&session, payload, peer);
    }
    attack.world.network.run_for(Duration::from_secs(30));
    let sent = attack.world.network.capture.take().unwrap();
    let to = |address| {
        sent.iter()
            .filter(|sent| sent.to == address && is_probe(sent))
            .count()
    };
    assert_eq!(to(local), 0);
    assert!(to(PUBLIC) > 0, "it does punch");
}

#[test]
fn many_sockets_are_opened_only_for_a_client_that_has_proven_its_host() {
    let mut world = World::new(6, 8, Link::default());
    let public = [10, 9, 1, 1].into();
    let nat = world.network.add_nat(Router::RANDOM, public, None);
    let server = world.peer_behind(Some(nat), "192.168.1.2:5000".parse().unwrap());
    let mut attack = Attack::on(world, server);
    let open = |attack: &Attack| {
        let peer = attack.world.network.host(attack.server);
        peer.endpoint.extra_sockets()
    };
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
    attack.world.network.run_for(Duration::from_secs(1));
    assert_eq!((before, open(&attack)), (1, 1));
}

#[test]
fn arbitrary_holepunch_messages_get_no_answer_and_change_nothing() {
    let mut attack = Attack::new(World::new(7, 8, Link::default()));
    let session = attack.shake_hands(1);
    let other = Session {
        holepunch_secret: [9; 32].into(),
        ..attack.shake_hands(2)
    };
    attack.world.network.capture = Some(Vec::new());
    // Sealed with another key, and for a handshake that there is not.
    attack.say(&other, HolepunchPayload::default(), ATTACKER);
    attack.number = 77;
    attack.say(&session, HolepunchPayload::default(), ATTACKER);
    attack.world.network.run_for(Duration::from_secs(5));
    let sent = attack.world.network.capture.take().unwrap();
    assert!(sent.iter().all(|datagram| datagram.to != RELAY));
}

/// A hostile client that is its own relay.
struct Attack {
    world: World,
    server: HostId,
    key: KeyPair,
    tid: u16,
    number: u64,
    /// What was sent up to the last handshake.
    sent: Vec<Datagram>,
}

impl Attack {
    fn new(mut world: World) -> Self {
        let server = world.peer();
        Self::on(world, server)
    }

    fn on(mut world: World, server: HostId) -> Self {
        let key = KeyPair::from_seed(&[1; 32]);
        world.listen(server, &key);
        world.network.run_for(Duration::from_secs(1));
        Self {
            world,
            server,
            key,
            tid: 0,
            number: 0,
            sent: Vec::new(),
        }
    }

    /// Returns where the server punches from.
    fn puncher(&self) -> SocketAddrV4 {
        SocketAddrV4::new(*self.world.address(self.server).ip(), 30_000)
    }

    fn shake_hands(&mut self, seed: u8) -> Session {
        let client = KeyPair::from_seed(&[2; 32]);
        let payload = payload();
        let (mut initiator, noise) =
            Initiator::start(&client, self.key.public_key(), [seed; 32], &payload).unwrap();
        let message = HandshakeMessage {
            mode: Mode::FromRelay,
            noise,
            peer_address: Some(RELAY),
            relay_address: None,
        };
        let earlier = self.world.network.capture.replace(Vec::new());
        self.sent.extend(earlier.into_iter().flatten());
        self.send(PEER_HANDSHAKE, message.to_bytes());
        self.world.network.run_for(Duration::from_millis(5));
        let sent = self.world.network.capture.replace(Vec::new()).unwrap();
        let answer = sent.iter().find_map(|datagram| {
            let Ok(Packet::Request(request)) = Packet::from_bytes(&datagram.payload) else {
                return None;
            };
            let message = HandshakeMessage::from_bytes(&request.value?).ok()?;
            (message.mode == Mode::FromServer).then_some(message.noise)
        });
        let (payload, session) = initiator.finish(&answer.expect("an answer")).unwrap();
        self.number = payload.holepunch.expect("the server can be punched to").id;
        session
    }

    /// Says something about the last handshake, as seen at `peer`.
    fn say(&mut self, session: &Session, payload: HolepunchPayload, peer: SocketAddrV4) {
        let secure = SecurePayload::new(&session.holepunch_secret, [3; 32]);
        let message = HolepunchMessage {
            mode: Mode::FromRelay,
            id: self.number,
            payload: secure.seal(&payload, &[4; 24]),
            peer_address: Some(peer),
        };
        self.send(PEER_HOLEPUNCH, message.to_bytes());
        self.world.network.run_for(Duration::from_millis(1));
    }

    fn send(&mut self, command: u64, value: Vec<u8>) {
        let to = self.world.address(self.server);
        self.tid += 1;
        let request = request(to, self.tid, &self.key, command, value);
        // As if it came through the way that the server keeps open to its relays.
        self.world.network.with(self.server, |peer, now| {
            let socket = SocketId::SERVER;
            let datagram = request.to_bytes();
            peer.endpoint.handle_datagram(now, socket, RELAY, &datagram);
        });
    }

    /// Lets time pass, and counts the probes to a host.
    fn run(&mut self, duration: Duration, host: SocketAddrV4) -> usize {
        self.world.network.run_for(duration);
        let mut sent = std::mem::take(&mut self.sent);
        sent.extend(self.world.network.capture.take().unwrap());
        let to_host = |sent: &&Datagram| sent.to.ip() == host.ip() && is_probe(sent);
        sent.iter().filter(to_host).count()
    }
}

const fn is_probe(datagram: &Datagram) -> bool {
    datagram.payload.len() < 2
}

fn payload() -> NoisePayload {
    NoisePayload {
        version: VERSION,
        udx: Some(UdxInfo {
            version: 1,
            reusable_socket: false,
            id: 77,
            seq: 0,
        }),
        secret_stream: Some(1),
        ..NoisePayload::default()
    }
}

const fn at_port(address: SocketAddrV4, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(*address.ip(), port)
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

const ATTACKER: SocketAddrV4 = SocketAddrV4::new(std::net::Ipv4Addr::new(10, 66, 6, 6), 6666);
const RELAY: SocketAddrV4 = SocketAddrV4::new(std::net::Ipv4Addr::new(90, 66, 6, 7), 6667);
const PUBLIC: SocketAddrV4 = SocketAddrV4::new(std::net::Ipv4Addr::new(90, 77, 7, 8), 6668);
