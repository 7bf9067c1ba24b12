//! Connections that take the path of an earlier one.

use std::net::SocketAddrV4;
use std::time::Duration;

use super::world::{Connected, Home, World, key};
use crate::sim::nat::NatId;
use crate::sim::network::HostId;
use crate::udx;
use crate::wire::transmit::SocketId;

/// There and back between two towns, and the server's first packet.
const ROUND_TRIP_MS: u64 = 21;

#[test]
fn a_client_comes_back_on_the_path_of_its_last_connection() {
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
        let places = scene.places(&first);
        // While the first connection is open, and after it and the second one are over.
        for ended in [false, true] {
            if ended {
                scene.world.run_secs(8);
            }
            let next = scene.connect();
            let report = &next.report;
            let label = format!("{server:?}/{client:?}, {ended}");
            assert_eq!(scene.places(&next), places, "{label}");
            assert_eq!(report.remembered, Some(places[0].1), "{label}");
            assert_eq!(report.exchanges.len(), 1, "{label}");
            assert_eq!((report.nodes_asked, report.probes_sent), (0, 0), "{label}");
            let limit = Duration::from_millis(ROUND_TRIP_MS);
            assert!(report.total <= limit, "{label}: {report}");
            scene.world.both_speak(&next);
            scene.end(&next);
            if !ended {
                scene.end(&first);
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
            assert_eq!(scene.connect().report.remembered, None);
        }
        scene.world.reusable = true;
        let remembered = scene.connect().report.remembered;
        assert_eq!(remembered, None, "none was to be kept");
    }
}

#[test]
fn a_path_that_is_closed_costs_a_moment_and_no_connection() {
    let mut scene = Scene::new(Home::Restricted, Home::Restricted);
    let first = scene.connect();
    scene.end(&first);
    // Neither router remembers anything.
    for nat in [NatId(0), NatId(1)] {
        scene.world.restart_router(nat);
    }
    scene.world.run_secs(10);
    let second = scene.connect().within_ms(600);
    assert!(second.report.remembered.is_some() && second.report.exchanges.len() > 1);
    scene.world.both_speak(&second);
    // From then on the new path counts.
    assert_eq!(scene.connect().report.exchanges.len(), 1);
}

#[test]
fn the_sockets_of_a_path_close_after_a_while() {
    let mut scene = Scene::new(Home::Random, Home::Restricted);
    let mut last = scene.connect();
    assert_eq!(scene.open_sockets(), 2);
    // Each connection keeps the socket for the next one.
    for _ in 0..5 {
        scene.end(&last);
        scene.world.run_secs(15);
        last = scene.connect();
        assert_eq!(last.report.exchanges.len(), 1);
    }
    scene.end(&last);
    scene.world.run_secs(60);
    assert_eq!(scene.open_sockets(), 1);
    let later = scene.connect();
    scene.world.both_speak(&later);
}

#[test]
fn a_path_whose_socket_is_closed_is_not_tried() {
    let mut scene = Scene::new(Home::Restricted, Home::Random);
    let first = scene.connect();
    scene.end(&first);
    scene.world.run_secs(60);
    assert_eq!(scene.connect().report.remembered, None);
}

#[test]
fn a_socket_stays_open_for_a_client_that_comes_back_at_the_last_moment() {
    let ended = || {
        let mut scene = Scene::new(Home::Random, Home::Restricted);
        let first = scene.connect();
        scene.end(&first);
        scene
    };
    let mut scene = ended();
    let server = scene.server;
    let closes = scene.world.run_until(60, |world| world.host(server).sockets.len() == 1);
    let mut scene = ended();
    // The handshake arrives 5 ms before that, the first packet 15 ms after.
    scene.world.run_for(closes - Duration::from_millis(15));
    let second = scene.connect();
    assert_eq!(second.report.exchanges.len(), 1);
    scene.world.both_speak(&second);
}

#[test]
fn a_peer_that_answers_no_more_is_not_looked_for_there() {
    let mut scene = Scene::new(Home::Open, Home::Restricted);
    let near = scene.connect().near;
    scene.world.down(scene.server);
    scene.world.write(near, b"anybody there?");
    let silent = (near.stream, udx::Event::Closed(udx::Closed::TimedOut));
    scene.world.run_until(120, |world| world.host(near.host).stream_events.contains(&silent));
    scene.world.up(scene.server);
    scene.world.run_secs(60);
    assert_eq!(scene.connect().report.remembered, None);
}

#[test]
fn another_network_has_no_paths() {
    let mut scene = Scene::new(Home::Restricted, Home::Restricted);
    scene.connect();
    scene.world.with(scene.client, |peer, now| {
        peer.endpoint.handle_network_change(now);
    });
    assert_eq!(scene.connect().report.remembered, None);
}

#[test]
fn another_node_that_answers_there_is_not_taken_for_the_server() {
    let mut scene = Scene::new(Home::Open, Home::Restricted);
    let first = scene.connect();
    scene.end(&first);
    // The server moves, and a node that can pass messages on to it has its address from now on.
    let old = scene.world.address(scene.server);
    let node = scene.world.nodes[1];
    scene.world.rebind(scene.server, SocketAddrV4::new(*old.ip(), 40_000));
    scene.world.rebind(node, old);
    scene.world.run_secs(30);
    let again = scene.connect();
    assert_eq!(again.report.remembered, Some(old));
    assert_ne!(scene.places(&again)[0].1, old);
    scene.world.both_speak(&again);
}

#[test]
fn a_server_can_call_its_client_back() {
    let mut scene = Scene::new(Home::Restricted, Home::Random);
    let (server, client) = (scene.server, scene.client);
    scene.connect();
    // The client listens as well, under the key that it dialled with.
    scene.world.start_listening_with(client, |listen| listen.identity = key(99).into());
    let dialled = scene.world.dial(server, client);
    let report = scene.world.connected(dialled).report;
    assert_eq!((report.exchanges.len(), report.probes_sent), (1, 0));
}

/// A server that is announced and a client, both at home, who reuse their sockets.
struct Scene {
    world: World,
    server: HostId,
    client: HostId,
}

impl Scene {
    fn new(server: Home, client: Home) -> Self {
        Self::with(server, client, true)
    }

    fn with(server: Home, client: Home, listens: bool) -> Self {
        let mut world = World::of_towns(30, 8);
        world.reusable = listens;
        let server = world.server(server);
        let client = world.home(client);
        Self { world, server, client }
    }

    /// Connects, and waits until both sides know.
    fn connect(&mut self) -> Connected {
        let connected = self.world.connect(self.client, self.server);
        // Only then a server that claims to be reachable is known to be.
        self.world.run_ms(ROUND_TRIP_MS);
        connected
    }

    /// Returns where the stream runs, as the client and as the server sees it.
    fn places(&mut self, connected: &Connected) -> [(SocketId, SocketAddrV4); 2] {
        let far = self.world.far_end(connected);
        [connected.near, far].map(|end| self.world.place(end).expect("the stream has a path"))
    }

    /// Returns how many sockets the server has open beside its main ones.
    fn open_sockets(&self) -> usize {
        self.world.host(self.server).sockets.len()
    }

    fn end(&mut self, connected: &Connected) {
        let far = self.world.far_end(connected);
        for end in [connected.near, far] {
            self.world.destroy(end);
        }
    }
}
