//! How long it takes to connect where packets get lost.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use super::punching::Home;
use super::world::World;
use crate::keys::KeyPair;
use crate::sim::nat::Router;
use crate::sim::network::Link;

/// Lost packets are repeated after a fraction of a second: messages to the peer by way of a node, probes, and
/// the first packets of the stream.
#[test]
fn a_lost_packet_costs_no_second() {
    // Messages to the peer follow the handshake's time, so that three of four attempts are later by less than
    // where that is unknown.
    for (server, client, later) in [
        (Home::Restricted, Home::Restricted, 200),
        (Home::Cone, Home::Restricted, 200),
        (Home::Open, Home::Restricted, 300),
        (Home::Restricted, Home::Open, 300),
    ] {
        let smooth = first_echo(0, server, client, 0.0);
        let mut times: Vec<_> = (0..RUNS)
            .map(|seed| first_echo(seed, server, client, LOSS))
            .collect();
        times.sort_unstable();
        let [half, most, nearly_all] = [50, 75, 95].map(|share| times[RUNS as usize * share / 100]);
        let told = format!("{server:?}/{client:?}: {smooth:?}; {half:?} {most:?} {nearly_all:?}");
        assert!(half < smooth + Duration::from_millis(100), "{told}");
        assert!(most < smooth + Duration::from_millis(later), "{told}");
        assert!(nearly_all < smooth + Duration::from_millis(1500), "{told}");
    }
}

/// Nor does the very first packet of a program, though only one node can answer it.
#[test]
fn a_lost_packet_costs_no_second_when_a_client_has_just_started() {
    let mut times: Vec<_> = (0..RUNS)
        .map(|seed| {
            let mut world = World::new(2000 + seed, 8, LINK);
            let key = KeyPair::from_seed(&[1; 32]);
            let server = Home::Restricted.build(&mut world, 1);
            world.listen(server, &key);
            world.network.run_for(Duration::from_secs(5));
            world.network.link.loss = LOSS;
            let public = Ipv4Addr::new(10, 9, 2, 1);
            let nat = world.network.add_nat(Router::RESTRICTED, public, None);
            let address = SocketAddrV4::new([192, 168, 2, 2].into(), 5000);
            let client = world.start_behind(Some(nat), address);
            let attempt = world.dial(client, key.public_key());
            let took = world.wait(client, attempt);
            assert_eq!(world.failure(client, attempt), None, "seed {seed}");
            took
        })
        .collect();
    times.sort_unstable();
    // The way in alone takes longer in every fifth run.
    let [most, nearly_all] = [85, 95].map(|share| times[RUNS as usize * share / 100]);
    assert!(most < Duration::from_millis(1000), "{times:?}");
    assert!(nearly_all < Duration::from_millis(1500), "{times:?}");
}

/// A lookup that is quicker than joining knows the bootstrap node alone, and one node shows nothing of a
/// random NAT.
#[test]
fn a_client_that_has_just_started_does_not_judge_its_nat_before_it_knows_the_others() {
    // Worlds in which a lost packet keeps the second node unknown for a while.
    for seed in [24, 33] {
        let mut world = World::new(3000 + seed, 2, LINK);
        let key = KeyPair::from_seed(&[1; 32]);
        let server = Home::Restricted.build(&mut world, 1);
        world.listen(server, &key);
        world.network.run_for(Duration::from_secs(5));
        let public = Ipv4Addr::new(10, 9, 2, 1);
        let nat = world.network.add_nat(Router::RANDOM, public, None);
        let address = SocketAddrV4::new([192, 168, 2, 2].into(), 5000);
        world.network.link.loss = 2.0 * LOSS;
        let client = world.start_behind(Some(nat), address);
        let attempt = world.dial(client, key.public_key());
        world.network.run_for(Duration::from_millis(200));
        world.network.link.loss = 0.0;
        world.wait(client, attempt);
        assert_eq!(world.failure(client, attempt), None, "seed {seed}");
    }
}

/// Connects and waits for the echo of the first bytes.
fn first_echo(seed: u64, server: Home, client: Home, loss: f64) -> Duration {
    let mut world = World::new(1000 + seed, 8, LINK);
    let key = KeyPair::from_seed(&[1; 32]);
    let server = server.build(&mut world, 1);
    world.listen(server, &key);
    let client = client.build(&mut world, 2);
    world.network.run_for(Duration::from_secs(5));
    world.network.link.loss = loss;
    let attempt = world.dial(client, key.public_key());
    let connected = world.wait(client, attempt);
    let near = world.network.host(client).find(attempt);
    let near = near.unwrap_or_else(|| panic!("seed {seed}: {:?}", world.failure(client, attempt)));
    let near = near.stream;
    world.network.with(client, |peer, now| {
        peer.endpoint.streams().write(now, near, b"hello").unwrap()
    });
    let (mut heard, mut echoed) = (Vec::new(), Vec::new());
    let echo = world.network.run_until(Duration::from_secs(60), |network| {
        if let Some(far) = network.host(server).established.first() {
            let far = far.stream;
            let had = heard.len();
            network.with(server, |peer, now| {
                heard.extend(peer.read(now, far));
                if had < 64 && heard.len() == 64 {
                    peer.endpoint.streams().write(now, far, b"hello").unwrap();
                }
            });
        }
        echoed.extend(network.with(client, |peer, now| peer.read(now, near)));
        echoed.len() == 64
    });
    connected + echo
}

/// As fast as between two towns.
const LINK: Link = Link {
    delay: Duration::from_millis(10),
    jitter: Duration::ZERO,
    loss: 0.0,
    duplication: 0.0,
};
/// On every way, so a third of all messages that go by way of a node and come back.
const LOSS: f64 = 0.1;
const RUNS: u64 = 100;
