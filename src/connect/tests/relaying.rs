//! Peers without a path between them, and a relay that both reach.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::paths::exchange;
use super::punching::inside;
use super::world::{Peer, World};
use crate::connect::{AttemptId, Failure, Listen, Origin, Path};
use crate::keys::KeyPair;
use crate::sim::nat::Router;
use crate::sim::network::{HostId, Link, Network};
use crate::udx::StreamId;

#[test]
fn peers_behind_random_nats_meet_at_the_relay_that_either_names() {
    for server_names in [false, true] {
        let mut scene = Scene::new(server_names, !server_names);
        let attempt = scene.dial();
        scene.pair();
        scene.world.wait(scene.client, attempt);
        let (client, server) = (scene.client, scene.server);
        let established = scene.world.network.host(client).find(attempt).unwrap();
        assert_eq!(established.path, Path::Relayed);
        assert!(established.report.relay_paired.is_some());
        assert!(established.report.total < Duration::from_secs(2));
        let near = established.stream;
        let accepted = |network: &Network<Peer>| {
            let mut established = network.host(server).established.iter();
            let one = established.find(|one| matches!(one.origin, Origin::Server(_)))?;
            Some((one.path, one.stream))
        };
        let network = &mut scene.world.network;
        network.run_until(LIMIT, |network| accepted(network).is_some());
        let (path, far) = accepted(network).unwrap();
        assert_eq!(path, Path::Relayed);
        exchange(&mut scene.world, client, server, near, far);
        for (host, stream) in [(client, near), (server, far)] {
            let endpoint = &scene.world.network.host(host).endpoint;
            assert!(!endpoint.may_leave_relay(stream));
        }

        // The end of the stream is the end of the link.
        scene.world.network.with(client, |peer, now| {
            peer.endpoint.streams().destroy(now, near);
        });
        let relay = scene.relay;
        scene
            .world
            .network
            .run_until(LIMIT, |network| network.host(relay).unlinked.len() == 1);
    }
}

#[test]
fn a_server_that_is_not_reachable_where_it_says_to_be_is_met_at_the_relay() {
    for server_names in [false, true] {
        let router = Router {
            keeps_ports: true,
            ..Router::RESTRICTED
        };
        let mut scene = Scene::with_server(server_names, !server_names, router, |world| {
            let public = Ipv4Addr::new(10, 9, 1, 1);
            let nat = world.network.add_nat(router, public, None);
            let address = "192.168.1.2:5000".parse().unwrap();
            world.mistaken_peer(nat, address, public)
        });
        // Nothing but messages of the DHT comes through between the homes.
        scene.world.network.lost = Some(|datagram| {
            let (from, to) = (datagram.from.ip().octets(), datagram.to.ip().octets());
            let rpc = datagram.payload.len() > 1 && datagram.payload[0] != 0xff;
            !rpc && from[0] == 192 && to[..2] == [10, 9]
        });
        let attempt = scene.dial();
        let (client, server) = (scene.client, scene.server);
        scene
            .world
            .network
            .run_until(LIMIT, |network| !network.host(client).relay_dials.is_empty());
        scene.pair();
        let near = scene.world.network.host(client).find(attempt).unwrap().stream;
        scene
            .world
            .network
            .run_until(LIMIT, |network| !network.host(client).moved.is_empty());
        let moved = &scene.world.network.host(client).moved[0];
        assert_eq!(moved.path, Path::Relayed);
        assert!(moved.report.unanswered.is_some());
        assert!(moved.report.total < Duration::from_secs(3));
        scene.world.network.run_until(LIMIT, |network| {
            let established = &network.host(server).established;
            established.iter().any(|one| one.path == Path::Relayed)
        });
        let accepted = &scene.world.network.host(server).established;
        let far = accepted.iter().find(|one| one.path == Path::Relayed);
        let far = far.unwrap().stream;
        exchange(&mut scene.world, client, server, near, far);
        // Nothing better is found, and nobody looks for ever.
        scene.world.network.run_for(Duration::from_secs(120));
        let peer = scene.world.network.host(client);
        assert!(peer.moved.len() == 1 && peer.endpoint.attempts_under_way() == 0);
    }
}

#[test]
fn the_servers_relay_goes_first_and_both_agree_on_the_token() {
    let mut scene = Scene::new(true, true);
    scene.dial();
    let (client, server) = (scene.client, scene.server);
    scene
        .world
        .network
        .run_until(LIMIT, |network| !network.host(client).relay_dials.is_empty());
    let ours = scene.world.network.host(client).relay_dials[0].clone();
    let theirs = scene.world.network.host(server).relay_dials[0].clone();
    assert_eq!(ours.token, theirs.token);
    assert_eq!((ours.is_initiator, theirs.is_initiator), (false, true));
    let mut scene = Scene::new(false, true);
    scene.dial();
    let (client, server) = (scene.client, scene.server);
    scene
        .world
        .network
        .run_until(LIMIT, |network| !network.host(client).relay_dials.is_empty());
    let ours = scene.world.network.host(client).relay_dials[0].clone();
    let theirs = scene.world.network.host(server).relay_dials[0].clone();
    assert_eq!(ours.token, theirs.token);
    assert_eq!((ours.is_initiator, theirs.is_initiator), (true, false));
}

#[test]
fn a_relay_that_never_answers_ends_with_no_path() {
    let mut scene = Scene::new(false, true);
    let attempt = scene.dial();
    let client = scene.client;
    scene
        .world
        .network
        .run_until(LIMIT, |network| !network.host(client).relay_dials.is_empty());
    let stream = scene.world.network.host(client).relay_dials[0].stream;
    scene.world.network.run_for(Duration::from_secs(3));
    assert_eq!(
        scene.world.failure(client, attempt),
        None,
        "the relay may come yet"
    );
    scene.world.network.with(client, |peer, now| {
        peer.endpoint.handle_relay(now, stream, None);
    });
    assert_eq!(scene.world.failure(client, attempt), Some(Failure::NoPath));
}

#[test]
fn a_relay_that_brings_somebody_else_gains_nothing() {
    let mut scene = Scene::new(false, true);
    let attempt = scene.dial();
    // In the place of the server comes the relay's accomplice, whose stream knows the ids but not the keys.
    let accomplice = scene.world.open_peer();
    let other = KeyPair::from_seed(&[66; 32]);
    let (_, foreign) = scene.at_relay(accomplice, &other);
    let stream = scene.world.network.with(accomplice, |peer, _| {
        peer.endpoint.streams().open(crate::udx::Admission::LearnPath)
    });
    let ids = scene.link_client_with(foreign, stream);
    scene.world.wait(scene.client, attempt);
    let near = scene.world.network.host(scene.client).find(attempt).unwrap();
    let near = near.stream;
    let relay = scene.world.address(scene.relay);
    scene.world.network.with(accomplice, |peer, now| {
        let streams = peer.endpoint.streams();
        streams.connect(
            now,
            stream,
            crate::wire::transmit::SocketId::SERVER,
            relay,
            ids[1],
        );
        let mut lie = vec![56, 0, 0];
        lie.extend_from_slice(&[7; 56]);
        lie.extend_from_slice(b"I am the server");
        streams.write(now, stream, &lie).unwrap();
    });
    scene.world.network.run_for(Duration::from_secs(5));
    let client = scene.client;
    let read = scene.world.network.with(client, |peer, now| peer.read(now, near));
    assert_eq!(
        read, b"",
        "what does not begin as the server's stream is not taken"
    );
    let heard = scene
        .world
        .network
        .with(accomplice, |peer, now| peer.read(now, stream));
    assert!(!heard.is_empty(), "while the packets did travel");
}

/// Two peers in homes of their own, and a relay.
pub(super) struct Scene {
    pub(super) world: World,
    pub(super) relay: HostId,
    pub(super) server: HostId,
    pub(super) client: HostId,
    client_names: bool,
    key: KeyPair,
}

impl Scene {
    fn new(server_names: bool, client_names: bool) -> Self {
        Self::behind(Router::RANDOM, server_names, client_names)
    }

    /// Puts both peers behind routers of one kind.
    pub(super) fn behind(router: Router, server_names: bool, client_names: bool) -> Self {
        Self::with_server(server_names, client_names, router, |world| {
            let public = Ipv4Addr::new(10, 9, 1, 1);
            let nat = world.network.add_nat(router, public, None);
            inside(world, nat, 1)
        })
    }

    /// Puts the client behind a router.
    fn with_server(
        server_names: bool,
        client_names: bool,
        router: Router,
        server: impl FnOnce(&mut World) -> HostId,
    ) -> Self {
        let link = Link {
            delay: Duration::from_millis(10),
            ..Link::default()
        };
        let mut world = World::new(5, 8, link);
        let relay = world.open_peer();
        world.listen(relay, &relay_key());
        let server = server(&mut world);
        let public = Ipv4Addr::new(10, 9, 2, 1);
        let nat = world.network.add_nat(router, public, None);
        let client = inside(&mut world, nat, 2);
        let key = KeyPair::from_seed(&[1; 32]);
        let listen = Listen {
            key_pair: key.clone(),
            firewall: None,
            relay_through: server_names.then(|| *relay_key().public_key()),
            reusable_socket: false,
        };
        let id = world
            .network
            .with(server, |peer, now| peer.endpoint.listen(now, listen))
            .unwrap();
        world
            .network
            .run_until(LIMIT, |network| network.host(server).listening.contains(&id));
        Self {
            world,
            relay,
            server,
            client,
            client_names,
            key,
        }
    }

    pub(super) fn dial(&mut self) -> AttemptId {
        let relay = self.client_names.then(|| *relay_key().public_key());
        let key = *self.key.public_key();
        self.world
            .dial_with(self.client, &key, |dial| dial.relay_through = relay)
    }

    /// Does what the driver does for both: connects them to the relay and tells what it has answered.
    pub(super) fn pair(&mut self) {
        let server = self.server;
        let (near, far) = self.at_relay(server, &KeyPair::from_seed(&[41; 32]));
        let stream = self.world.network.host(server).relay_dials[0].stream;
        let ids = self.link_client_with(far, stream);
        self.world.network.with(server, |peer, now| {
            peer.endpoint.handle_relay(now, stream, Some((near, ids[1])));
        });
    }

    /// Links the client with the stream of somebody whose connection to the relay is `far`; tells the client.
    fn link_client_with(&mut self, far: StreamId, stream: StreamId) -> [u32; 2] {
        let client = self.client;
        let (near, own) = self.at_relay(client, &KeyPair::from_seed(&[42; 32]));
        let wished = self.world.network.host(client).relay_dials[0].stream;
        let ids = self.world.network.with(self.relay, |peer, now| {
            let until = now + Duration::from_secs(3600);
            let sides = [(own, wished.0), (far, stream.0)];
            peer.endpoint.link(sides, 1 << 20, until).unwrap()
        });
        self.world.network.with(client, |peer, now| {
            peer.endpoint.handle_relay(now, wished, Some((near, ids[0])));
        });
        ids
    }

    /// Connects somebody to the relay; returns both ends of the stream, the relay's last.
    fn at_relay(&mut self, host: HostId, key_pair: &KeyPair) -> (StreamId, StreamId) {
        let key = relay_key();
        let accepted = self.world.network.host(self.relay).established.len();
        let attempt = self.world.dial_as(host, key.public_key(), key_pair);
        self.world.wait(host, attempt);
        let relay = self.relay;
        self.world
            .network
            .run_until(LIMIT, |network| network.host(relay).established.len() > accepted);
        let near = self.world.network.host(host).find(attempt).unwrap().stream;
        (near, self.world.network.host(relay).established[accepted].stream)
    }
}

fn relay_key() -> KeyPair {
    KeyPair::from_seed(&[77; 32])
}

const LIMIT: Duration = Duration::from_secs(30);
