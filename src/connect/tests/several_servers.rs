//! Several servers with one key (`hyperdht-rpc.md` §7.1).

use std::time::Duration;

use super::world::{Home, World};
use crate::connect::{Failure, ServerId};
use crate::sim::network::HostId;
use crate::wire::rpc::ANNOUNCE;

#[test]
fn the_one_that_was_announced_last_is_reached() {
    let mut scene = Scene::new(70);
    assert_eq!(scene.reached(), scene.servers[1].0);
    scene.refresh(0);
    assert_eq!(scene.reached(), scene.servers[0].0);
    scene.refresh(1);
    assert_eq!(scene.reached(), scene.servers[1].0);
}

#[test]
fn an_attempt_that_found_a_dead_one_reaches_what_is_announced_anew_within_nine_seconds() {
    for after in [1, 4, 7, 8] {
        let mut scene = Scene::new(71);
        let dead = scene.servers[1].0;
        scene.world.down(dead);
        let dialled = scene.world.dial(scene.client, dead);
        scene.world.run_secs(after);
        scene.refresh(0);
        let connected = scene.world.connected(dialled);
        assert_eq!(scene.world.far_end(&connected).host, scene.servers[0].0);
        assert!(connected.took < Duration::from_secs(after + 2), "{after} s: {:?}", connected.took);
    }
}

#[test]
fn a_dead_one_stays_announced_until_another_one_is_announced_which_it_is_every_five_minutes() {
    let mut scene = Scene::new(72);
    let dead = scene.servers[1].0;
    scene.world.down(dead);
    let dialled = scene.world.dial(scene.client, dead);
    let report = scene.world.failed(dialled, Failure::NoAnswer);
    assert!(report.total > Duration::from_secs(9) && report.total < Duration::from_secs(12), "{report:?}");
    // Pings find an announcement of the key, and no reason for a new one.
    scene.world.run_secs(200);
    let dialled = scene.world.dial(scene.client, dead);
    scene.world.failed(dialled, Failure::NoAnswer);
    scene.world.run_secs(110);
    assert_eq!(scene.reached(), scene.servers[0].0);
}

#[test]
fn one_that_stops_withdraws_what_the_others_announce_anew_within_seven_seconds() {
    let mut scene = Scene::new(73);
    let (stopped, id) = scene.servers[1];
    scene.refresh(0);
    scene.world.unlisten(stopped, id);
    scene.world.run_until(5, |world| world.host(stopped).unlistened.contains(&id));
    let dialled = scene.world.dial(scene.client, stopped);
    scene.world.failed(dialled, Failure::NotFound);
    scene.world.run_secs(7);
    assert_eq!(scene.reached(), scene.servers[0].0);
}

#[test]
fn where_nodes_lead_to_different_ones_either_is_reached_and_speaks() {
    let homes = [Home::Open, Home::Plain];
    let homes = homes.into_iter().flat_map(|server| homes.map(|client| (server, client)));
    for (seed, (server, client)) in (80..).zip(homes.cycle().take(12)) {
        let mut world = World::of_towns(seed, 3);
        let hosts = [(); 2].map(|()| world.home(server));
        // The second one is not announced on one of the nodes.
        world.listen(hosts[0]);
        let deaf = world.nodes[seed as usize % 3];
        world.deaf(&[deaf], Some(ANNOUNCE));
        world.listen(hosts[1]);
        let client = world.home(client);
        world.run_secs(5);
        for _ in 0..20 {
            let connected = world.connect(client, hosts[0]);
            world.both_speak(&connected);
            world.run_ms(137);
        }
    }
}

#[test]
fn one_whose_own_node_is_asked_is_reached_though_another_one_was_announced_last_and_is_dead() {
    let mut world = World::new(75, 6);
    let (first, second, client) = (world.nodes[2], world.home(Home::Plain), world.home(Home::Plain));
    world.listen(first);
    world.listen(second);
    world.run_secs(1);
    world.down(second);
    let connected = world.connect(client, first);
    assert_eq!(world.far_end(&connected).host, first);
}

#[test]
fn one_on_a_node_that_others_are_announced_on_serves_on_when_they_stop() {
    let mut world = World::new(74, 3);
    // Each node is among the three closest.
    let (first, second, client) = (world.nodes[1], world.home(Home::Plain), world.home(Home::Plain));
    world.listen(first);
    let id = world.listen(second);
    world.unlisten(second, id);
    world.run_secs(10);
    let connected = world.connect(client, first);
    assert_eq!(world.far_end(&connected).host, first);
}

/// Two servers with one key, the second of which was announced last, and a client.
struct Scene {
    world: World,
    servers: [(HostId, ServerId); 2],
    client: HostId,
}

impl Scene {
    fn new(seed: u64) -> Self {
        let mut world = World::new(seed, 6);
        let servers = [(); 2].map(|()| {
            // One whose node is asked in the lookup answers for itself.
            let host = world.home(Home::Plain);
            let id = world.listen(host);
            // Every node has it.
            world.run_secs(1);
            (host, id)
        });
        let client = world.home(Home::Plain);
        Self { world, servers, client }
    }

    /// Has a server announced anew.
    fn refresh(&mut self, number: usize) {
        let (host, id) = self.servers[number];
        assert!(self.world.with(host, |peer, now| peer.endpoint.refresh_server(now, id)));
        self.world.run_secs(1);
    }

    /// Returns which server a client reaches.
    fn reached(&mut self) -> HostId {
        let connected = self.world.connect(self.client, self.servers[0].0);
        self.world.far_end(&connected).host
    }
}
