//! Connections that take the way of an earlier one.

use std::net::SocketAddrV4;
use std::time::Duration;

use super::punching::Home;
use super::world::{Peer, World};
use crate::connect::Report;
use crate::keys::KeyPair;
use crate::sim::nat::NatId;
use crate::sim::network::{HostId, Link};
use crate::udx::{self, StreamId};
use crate::wire::transmit::SocketId;

const DELAY: Duration = Duration::from_millis(10);
/// There and back, and the server's first packet.
const ROUND_TRIP: Duration = Duration::from_millis(21);

#[test]
fn a_client_comes_back_the_way_of_its_last_connection() {
    for (server, client) in [
        (Home::Open, Home::Restricted),
        (Home::Restricted, Home::Restricted),
        (Home::Restricted, Home::Random),
        (Home::Random, Home::Restricted),
        (Home::Random, Home::Open),
        (Home::Double, Home::Cone),
    ] {
        let mut scene = Scene::new(server, client);
        let first = scene.connect();
        let ways = scene.ways(first);
        // While the first connection is open, and after it and the second one are over.
        for ended in [false, true] {
            if ended {
                scene.world.network.run_for(Duration::from_secs(8));
            }
            let next = scene.connect();
            let report = scene.report(next.0);
            let label = format!("{server:?}/{client:?}, {ended}");
            assert_eq!(scene.ways(next), ways, "{label}");
            assert_eq!(report.remembered, Some(ways[0].1), "{label}");
            assert_eq!(report.exchanges.len(), 1, "{label}");
            assert_eq!((report.nodes_asked, report.probes_sent), (0, 0), "{label}");
            assert!(report.total <= ROUND_TRIP, "{label}: {report:?}");
            scene.exchange(next);
            scene.end(next);
            if !ended {
                scene.end(first);
            }
        }
    }
}

#[test]
fn both_sides_have_to_agree() {
    for (listens, dials) in [(true, false), (false, true)] {
        let mut scene = Scene::with(Home::Restricted, Home::Restricted, listens);
        scene.world.reusable = dials;
        for _ in 0..2 {
            let ends = scene.connect();
            assert_eq!(scene.report(ends.0).remembered, None);
        }
        scene.world.reusable = true;
        let ends = scene.connect();
        assert_eq!(scene.report(ends.0).remembered, None, "none was to be kept");
    }
}

#[test]
fn a_way_that_is_closed_costs_a_moment_and_no_connection() {
    let mut scene = Scene::new(Home::Restricted, Home::Restricted);
    let first = scene.connect();
    scene.end(first);
    // Neither router remembers anything.
    for nat in [NatId(0), NatId(1)] {
        scene.world.network.restart_nat(nat);
    }
    scene.world.network.run_for(Duration::from_secs(10));
    let second = scene.connect();
    let report = scene.report(second.0);
    assert!(report.remembered.is_some() && report.exchanges.len() > 1);
    assert!(report.total < Duration::from_millis(600), "{report:?}");
    scene.exchange(second);
    // From then on the new way counts.
    let third = scene.connect();
    assert_eq!(scene.report(third.0).exchanges.len(), 1);
}

#[test]
fn the_sockets_of_a_way_close_after_a_while() {
    let mut scene = Scene::new(Home::Random, Home::Restricted);
    let first = scene.connect();
    let open = |scene: &Scene| scene.world.network.host(scene.server).endpoint.extra_sockets();
    assert_eq!(open(&scene), 2);
    // Each connection keeps the socket for the next one.
    let mut last = first;
    for _ in 0..5 {
        scene.end(last);
        scene.world.network.run_for(Duration::from_secs(15));
        last = scene.connect();
        assert_eq!(scene.report(last.0).exchanges.len(), 1);
    }
    scene.end(last);
    scene.world.network.run_for(Duration::from_secs(60));
    assert_eq!(open(&scene), 1);
    let later = scene.connect();
    scene.exchange(later);
}

#[test]
fn a_way_whose_socket_is_closed_is_not_tried() {
    let mut scene = Scene::new(Home::Restricted, Home::Random);
    let first = scene.connect();
    scene.end(first);
    scene.world.network.run_for(Duration::from_secs(60));
    let later = scene.connect();
    assert_eq!(scene.report(later.0).remembered, None);
}

#[test]
fn a_socket_stays_open_for_a_client_that_comes_back_at_the_last_moment() {
    let ended = || {
        let mut scene = Scene::new(Home::Random, Home::Restricted);
        let first = scene.connect();
        scene.end(first);
        scene
    };
    let mut scene = ended();
    let server = scene.server;
    let closes = scene.world.network.run_until(Duration::from_secs(60), |network| {
        network.host(server).endpoint.extra_sockets() == 1
    });
    let mut scene = ended();
    // The handshake arrives 5 ms before that, the first packet 15 ms after.
    scene.world.network.run_for(closes - DELAY * 3 / 2);
    let second = scene.connect();
    assert_eq!(scene.report(second.0).exchanges.len(), 1);
    scene.exchange(second);
}

#[test]
fn a_peer_that_answers_no_more_is_not_looked_for_there() {
    let mut scene = Scene::new(Home::Open, Home::Restricted);
    let (near, _) = scene.connect();
    scene.world.network.set_up(scene.server, false);
    let client = scene.client;
    scene.world.network.with(client, |peer, now| {
        let written = peer.endpoint.streams().write(now, near, b"anybody there?");
        assert_eq!(written, Ok(14));
    });
    let silent = (near, udx::Event::Closed(udx::Closed::TimedOut));
    scene
        .world
        .network
        .run_until(Duration::from_secs(120), |network| {
            network.host(client).stream_events.contains(&silent)
        });
    scene.world.network.set_up(scene.server, true);
    scene.world.network.run_for(Duration::from_secs(60));
    let again = scene.connect();
    assert_eq!(scene.report(again.0).remembered, None);
}

#[test]
fn another_network_has_no_ways() {
    let mut scene = Scene::new(Home::Restricted, Home::Restricted);
    scene.connect();
    scene.world.network.with(scene.client, |peer, now| {
        peer.endpoint.handle_network_change(now);
    });
    let again = scene.connect();
    assert_eq!(scene.report(again.0).remembered, None);
}

#[test]
fn whoever_else_answers_there_is_not_taken_for_the_server() {
    let mut scene = Scene::new(Home::Open, Home::Restricted);
    let first = scene.connect();
    scene.end(first);
    // The server moves, and a node that can pass messages on to it has its address from now on.
    let old = scene.world.address(scene.server);
    let relay = scene.world.nodes[1];
    let network = &mut scene.world.network;
    network.close(scene.server, SocketId::SERVER);
    network.bind(
        scene.server,
        SocketId::SERVER,
        SocketAddrV4::new(*old.ip(), 40_000),
    );
    network.close(relay, SocketId::SERVER);
    network.bind(relay, SocketId::SERVER, old);
    network.run_for(Duration::from_secs(30));
    let again = scene.connect();
    assert_eq!(scene.report(again.0).remembered, Some(old));
    assert_ne!(scene.ways(again)[0].1, old);
    scene.exchange(again);
}

#[test]
fn a_server_can_call_its_client_back() {
    let mut scene = Scene::new(Home::Restricted, Home::Random);
    scene.connect();
    // The client listens as well, under the key that it dialled with.
    let key = KeyPair::from_seed(&[99; 32]);
    scene.world.start_listening(scene.client, &key);
    let attempt = scene.world.dial(scene.server, key.public_key());
    scene.world.wait(scene.server, attempt);
    let established = scene.world.network.host(scene.server).find(attempt);
    let report = &established.expect("the attempt succeeds").report;
    assert_eq!((report.exchanges.len(), report.probes_sent), (1, 0));
}

/// A server that is announced and a client, both at home, who reuse their sockets.
struct Scene {
    world: World,
    server: HostId,
    client: HostId,
    key: KeyPair,
}

impl Scene {
    fn new(server: Home, client: Home) -> Self {
        Self::with(server, client, true)
    }

    fn with(server: Home, client: Home, listens: bool) -> Self {
        let link = Link {
            delay: DELAY,
            ..Link::default()
        };
        let mut world = World::new(30, 8, link);
        world.reusable = listens;
        let key = KeyPair::from_seed(&[1; 32]);
        let server = server.build(&mut world, 1);
        world.listen(server, &key);
        let client = client.build(&mut world, 2);
        Self {
            world,
            server,
            client,
            key,
        }
    }

    /// Connects, and waits until both sides know.
    fn connect(&mut self) -> (StreamId, StreamId) {
        let key = *self.key.public_key();
        let ends = self.world.connect(self.client, self.server, &key);
        // Only then a server that says to be reachable is known to be.
        self.world.network.run_for(ROUND_TRIP);
        ends
    }

    /// Returns where the stream runs, as the client and as the server sees it.
    fn ways(&mut self, (near, far): (StreamId, StreamId)) -> [(SocketId, SocketAddrV4); 2] {
        [(self.client, near), (self.server, far)].map(|(host, stream)| {
            let path = |peer: &mut Peer| peer.endpoint.streams().path(stream);
            self.world.network.with(host, |peer, _| path(peer)).unwrap()
        })
    }

    fn report(&self, near: StreamId) -> Report {
        let established = &self.world.network.host(self.client).established;
        let found = established.iter().find(|one| one.stream == near);
        found.expect("the stream is known").report.clone()
    }

    fn exchange(&mut self, (near, far): (StreamId, StreamId)) {
        super::paths::exchange(&mut self.world, self.client, self.server, near, far);
    }

    fn end(&mut self, (near, far): (StreamId, StreamId)) {
        for (host, stream) in [(self.client, near), (self.server, far)] {
            let network = &mut self.world.network;
            network.with(host, |peer, now| peer.endpoint.streams().destroy(now, stream));
        }
    }
}
