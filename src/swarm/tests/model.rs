//! Two hundred swarms in virtual time: after any trouble each pair has one connection, the same on both
//! sides.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::world::{Faults, World};
use crate::swarm::core::Join;

const TOPIC: [u8; 32] = [1; 32];
/// In this time every pair that can be connected has to be.
const SETTLED: Duration = Duration::from_secs(30);
const NO_FAULTS: Faults = Faults { dials: 0.0, ends: 0.0, silent: 0.0 };

#[test]
fn two_hundred_swarms_that_join_at_once_are_fully_meshed_within_thirty_seconds() {
    let mut world = World::new(1, NO_FAULTS);
    let peers: Vec<_> = (0..200).map(|_| world.add(TOPIC, Join::default())).collect();
    world.run(SETTLED);
    assert_eq!(world.wrong_pairs(&peers), []);
    let pairs = 200 * 199 / 2;
    assert!(world.dials < pairs * 12 / 10, "{} dials for {pairs} pairs", world.dials);
    assert!(world.handed_out < pairs * 22 / 10, "{} handed out", world.handed_out);
}

#[test]
fn peers_that_come_one_after_another_find_all_before_them() {
    let mut world = World::new(2, NO_FAULTS);
    let mut peers = Vec::new();
    for _ in 0..100 {
        peers.push(world.add(TOPIC, Join::default()));
        world.run(Duration::from_millis(300));
    }
    world.run(SETTLED);
    assert_eq!(world.wrong_pairs(&peers), []);
}

#[test]
fn lost_dials_and_silent_clients_cost_time_and_no_connection() {
    for seed in 0..5 {
        let mut world = World::new(seed, Faults { dials: 0.05, ends: 0.1, silent: 0.3 });
        let peers: Vec<_> = (0..60).map(|_| world.add(TOPIC, Join::default())).collect();
        world.run(SETTLED);
        assert_eq!(world.wrong_pairs(&peers), [], "seed {seed}");
    }
}

#[test]
fn peers_come_and_go_and_those_that_stay_are_connected() {
    for (seed, count) in [(0, 60), (1, 60), (2, 60), (3, 200)] {
        let mut world = World::new(100 + seed, Faults { dials: 0.02, ends: 0.1, silent: 0.1 });
        let mut rng = StdRng::seed_from_u64(seed);
        let peers: Vec<_> = (0..count).map(|_| world.add(TOPIC, Join::default())).collect();
        world.run(SETTLED);
        for _ in 0..2 * count {
            let peer = rng.gen_range(0..peers.len());
            match rng.gen_range(0..8) {
                0 if world.is_alive(peer) => world.kill(peer),
                1 if world.is_alive(peer) => world.quit(peer),
                0..4 if !world.is_alive(peer) => world.restart(peer, TOPIC, Join::default()),
                _ => world.reset_one(peer),
            }
            world.run(Duration::from_millis(rng.gen_range(10..300)));
        }
        world.run(SETTLED);
        let alive: Vec<_> = peers.into_iter().filter(|peer| world.is_alive(*peer)).collect();
        assert!(alive.len() > count / 3);
        assert_eq!(world.wrong_pairs(&alive), [], "seed {seed} after {:?}", world.elapsed());
    }
}

#[test]
fn clients_and_servers_are_connected_and_clients_among_themselves_are_not() {
    let mut world = World::new(4, NO_FAULTS);
    let servers: Vec<_> = (0..20).map(|_| world.add(TOPIC, Join::server())).collect();
    let clients: Vec<_> = (0..20).map(|_| world.add(TOPIC, Join::client())).collect();
    world.run(SETTLED);
    for server in &servers {
        for client in &clients {
            assert_eq!(world.wrong_pairs(&[*server, *client]), []);
        }
    }
    assert_eq!(world.wrong_pairs(&servers).len(), 190);
    assert_eq!(world.wrong_pairs(&clients).len(), 190);
}

#[test]
fn what_is_gone_is_forgotten() {
    let mut world = World::new(5, NO_FAULTS);
    let peers: Vec<_> = (0..20).map(|_| world.add(TOPIC, Join::default())).collect();
    world.run(SETTLED);
    for peer in &peers[1..] {
        world.kill(*peer);
    }
    world.run(Duration::from_secs(120));
    assert_eq!(world.known(peers[0]), 0);
}
