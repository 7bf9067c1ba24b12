//! Which way two peers find to each other.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use super::punching::Home;
use super::world::World;
use crate::connect::{Failure, Path};
use crate::dht::K;
use crate::keys::KeyPair;
use crate::sim::nat::Router;
use crate::sim::network::{HostId, Link};
use crate::wire::rpc::ANNOUNCE;
use crate::wire::transmit::SocketId;

#[test]
fn a_lookup_that_is_faster_than_joining_counts_as_joining() {
    let mut world = World::new(12, 8, Link::default());
    let key = KeyPair::from_seed(&[1; 32]);
    let server = world.open_peer();
    world.listen(server, &key);
    let client = world.newcomer();
    let attempt = world.dial(client, key.public_key());
    world.wait(client, attempt);
    let peer = world.network.host(client);
    assert!(!peer.bootstrapped);
    let report = &peer.find(attempt).unwrap().report;
    assert!(report.joined.is_some() && report.joined <= report.lookup);
}

#[test]
fn an_open_server_is_connected_to_directly() {
    let mut world = World::new(1, 5, Link::default());
    let (server, client) = (world.open_peer(), world.peer());
    let key = KeyPair::from_seed(&[1; 32]);
    world.listen(server, &key);
    let (near, far) = world.connect(client, server, key.public_key());
    exchange(&mut world, client, server, near, far);
}

#[test]
fn an_open_client_is_connected_to_by_the_server() {
    let mut world = World::new(2, 5, Link::default());
    let (server, client) = (world.peer(), world.open_peer());
    let key = KeyPair::from_seed(&[1; 32]);
    world.listen(server, &key);
    let (near, far) = world.connect(client, server, key.public_key());
    exchange(&mut world, client, server, near, far);
}

#[test]
fn two_firewalled_peers_of_one_host_meet_in_the_local_network() {
    let mut world = World::new(3, 5, Link::default());
    let server = world.peer_at(at("10.0.2.1:5000"));
    let client = world.peer_at(at("10.0.2.1:6500"));
    let key = KeyPair::from_seed(&[1; 32]);
    world.listen(server, &key);
    let (near, far) = world.connect(client, server, key.public_key());
    let established = &world.network.host(client).established[0];
    assert_eq!(established.path, Path::Lan);
    assert_eq!(established.remote, at("10.0.2.1:5000"));
    exchange(&mut world, client, server, near, far);
}

#[test]
fn a_server_on_a_dht_node_is_reached_without_relaying() {
    let mut world = World::new(4, 5, Link::default());
    let (server, client) = (world.nodes[2], world.peer());
    let key = KeyPair::from_seed(&[1; 32]);
    world.listen(server, &key);
    let (near, far) = world.connect(client, server, key.public_key());
    exchange(&mut world, client, server, near, far);
}

#[test]
fn a_node_that_is_alone_is_reached_by_those_who_bootstrap_from_it() {
    let mut world = World::new(5, 1, Link::default());
    let (server, client) = (world.nodes[0], world.peer());
    let key = KeyPair::from_seed(&[1; 32]);
    world.listen(server, &key);
    world.connect(client, server, key.public_key());
}

#[test]
fn connecting_takes_five_round_trips_at_most() {
    let round_trip = Duration::from_millis(20);
    let link = Link {
        delay: round_trip / 2,
        ..Link::default()
    };
    let mut world = World::new(6, 8, link);
    let (server, client) = (world.open_peer(), world.peer());
    let key = KeyPair::from_seed(&[1; 32]);
    world.listen(server, &key);
    let attempt = world.dial(client, key.public_key());
    let took = world.wait(client, attempt);
    assert_eq!(world.failure(client, attempt), None);
    assert!(took <= round_trip * 5, "{took:?}");
    // The second time the nodes are known.
    let attempt = world.dial(client, key.public_key());
    let took = world.wait(client, attempt);
    assert!(took <= round_trip * 2, "{took:?}");
}

#[test]
fn peers_connect_through_loss() {
    for seed in 0..20 {
        let link = Link {
            delay: Duration::from_millis(10),
            jitter: Duration::from_millis(10),
            loss: 0.05,
            duplication: 0.02,
        };
        let mut world = World::new(100 + seed, 20, link);
        let (server, client) = (world.open_peer(), world.peer());
        let key = KeyPair::from_seed(&[1; 32]);
        world.listen(server, &key);
        let (near, far) = world.connect(client, server, key.public_key());
        exchange(&mut world, client, server, near, far);
    }
}

#[test]
fn a_key_that_nobody_announced_is_not_found() {
    let mut world = World::new(7, 5, Link::default());
    let client = world.peer();
    let attempt = world.dial(client, KeyPair::from_seed(&[5; 32]).public_key());
    world.wait(client, attempt);
    assert_eq!(world.failure(client, attempt), Some(Failure::NotFound));
}

#[test]
fn a_server_that_has_stopped_is_not_found() {
    let mut world = World::new(8, 5, Link::default());
    let (server, client) = (world.peer(), world.peer());
    let key = KeyPair::from_seed(&[1; 32]);
    let id = world.listen(server, &key);
    world
        .network
        .with(server, |peer, now| peer.endpoint.unlisten(now, id));
    world.network.run_until(Duration::from_secs(10), |network| {
        network.host(server).unlistened.contains(&id)
    });
    let attempt = world.dial(client, key.public_key());
    world.wait(client, attempt);
    assert_eq!(world.failure(client, attempt), Some(Failure::NotFound));
}

#[test]
fn a_server_that_has_vanished_does_not_answer() {
    let mut world = World::new(9, 5, Link::default());
    let (server, client) = (world.peer(), world.peer());
    let key = KeyPair::from_seed(&[1; 32]);
    world.listen(server, &key);
    world.network.set_up(server, false);
    let attempt = world.dial(client, key.public_key());
    world.wait(client, attempt);
    assert_eq!(world.failure(client, attempt), Some(Failure::NoAnswer));
}

#[test]
fn a_client_without_network_is_told_so() {
    let mut world = World::new(10, 3, Link::default());
    let client = world.peer();
    for node in world.nodes.clone() {
        world.network.set_up(node, false);
    }
    let attempt = world.dial(client, KeyPair::from_seed(&[5; 32]).public_key());
    world.wait(client, attempt);
    assert_eq!(world.failure(client, attempt), Some(Failure::NoNetwork));
}

#[test]
fn a_client_that_the_firewall_hook_refuses_hears_nothing() {
    let mut world = World::new(11, 5, Link::default());
    let (server, client) = (world.peer(), world.peer());
    let key = KeyPair::from_seed(&[1; 32]);
    world.listen_with(server, &key, Some(Arc::new(|_, _| false)));
    let attempt = world.dial(client, key.public_key());
    world.wait(client, attempt);
    assert_eq!(world.failure(client, attempt), Some(Failure::NoAnswer));
    assert!(world.network.host(server).established.is_empty());
}

#[test]
fn a_firewall_hook_that_panics_refuses() {
    let mut world = World::new(12, 5, Link::default());
    let (server, client) = (world.peer(), world.peer());
    let key = KeyPair::from_seed(&[1; 32]);
    world.listen_with(server, &key, Some(Arc::new(|_, _| panic!("a bug of the user's"))));
    let attempt = world.dial(client, key.public_key());
    world.wait(client, attempt);
    assert_eq!(world.failure(client, attempt), Some(Failure::NoAnswer));
}

#[test]
fn a_lost_relay_is_replaced_and_the_server_found_again() {
    let mut world = World::new(13, 12, Link::default());
    let (server, client) = (world.open_peer(), world.peer());
    let key = KeyPair::from_seed(&[1; 32]);
    world.listen(server, &key);
    // Whatever node holds the announcement, half of them are gone now; node 0 is where newcomers start.
    for node in world.nodes.clone().into_iter().skip(1).step_by(2) {
        world.network.set_up(node, false);
    }
    world.network.run_for(Duration::from_secs(30));
    world.connect(client, server, key.public_key());
}

#[test]
fn a_network_that_was_restarted_knows_its_servers_again_within_ten_seconds() {
    for seed in 0..10 {
        let mut world = World::new(20 + seed, 8, Link::default());
        let (open, home) = (world.open_peer(), world.peer());
        let keys = [1, 2].map(|number| KeyPair::from_seed(&[number; 32]));
        world.listen(open, &keys[0]);
        world.listen(home, &keys[1]);
        // The nodes are asked by turns whether they are there and whether they know the server.
        world.network.run_for(Duration::from_secs(10 + seed));
        world.restart_nodes();
        world.network.run_for(Duration::from_secs(10));
        for (server, key) in [(open, &keys[0]), (home, &keys[1])] {
            let client = world.peer();
            world.connect(client, server, key.public_key());
        }
    }
}

#[test]
fn a_server_that_one_node_of_several_knows_is_not_announced_before_it_has_tried_again() {
    let mut world = World::new(41, 3, Link::default());
    let server = world.open_peer();
    // The others answer questions and lose announcements, for a while.
    for node in world.nodes.clone().into_iter().skip(1) {
        world.network.with(node, |peer, _| peer.deaf_to = Some(ANNOUNCE));
    }
    let key = KeyPair::from_seed(&[1; 32]);
    let id = world.start_listening(server, &key);
    world.network.run_for(Duration::from_millis(4200));
    assert!(!world.network.host(server).listening.contains(&id));
    for node in world.nodes.clone().into_iter().skip(1) {
        world.network.with(node, |peer, _| peer.deaf_to = None);
    }
    world.network.run_for(Duration::from_secs(2));
    assert!(world.network.host(server).listening.contains(&id));
}

#[test]
fn a_node_that_keeps_nothing_does_not_have_a_server_announce_for_ever() {
    let mut world = World::new(40, 3, Link::default());
    let server = world.open_peer();
    let key = KeyPair::from_seed(&[1; 32]);
    world.listen(server, &key);
    let forgetful = world.nodes[1];
    let asked = |world: &World| {
        let stats = world.network.host(forgetful).endpoint.dht_node().stats();
        stats.application_received[ANNOUNCE as usize]
    };
    let before = asked(&world);
    for _ in 0..300 {
        world.network.with(forgetful, |peer, _| {
            peer.endpoint.node().forget_all();
        });
        world.network.run_for(Duration::from_secs(1));
    }
    let again = asked(&world) - before;
    assert!((1..=4).contains(&again), "{again}");
}

#[test]
fn a_server_whose_address_has_changed_is_announced_anew() {
    let mut world = World::new(15, 5, Link::default());
    let (server, client) = (world.open_peer(), world.peer());
    let key = KeyPair::from_seed(&[1; 32]);
    world.listen(server, &key);
    // What a router does that forgets its mappings: the same socket, seen at another port.
    let old = world.address(server);
    let new = SocketAddrV4::new(*old.ip(), 40_000);
    world.network.close(server, SocketId::SERVER);
    world.network.bind(server, SocketId::SERVER, new);
    world.network.run_for(Duration::from_secs(10));
    world.connect(client, server, key.public_key());
}

#[test]
fn a_key_that_listens_again_while_it_is_withdrawn_stays_announced() {
    let mut world = World::new(16, 5, Link::default());
    let (server, client) = (world.open_peer(), world.peer());
    let key = KeyPair::from_seed(&[1; 32]);
    let old = world.listen(server, &key);
    world
        .network
        .with(server, |peer, now| peer.endpoint.unlisten(now, old));
    world.listen(server, &key);
    // A handle of the old server that is dropped late asks once more.
    world
        .network
        .with(server, |peer, now| peer.endpoint.unlisten(now, old));
    world.network.run_for(Duration::from_secs(5));
    assert_eq!(world.network.host(server).unlistened, [old]);
    world.connect(client, server, key.public_key());
}

#[test]
fn nodes_that_no_longer_know_the_server_do_not_delay_those_that_do() {
    let mut world = World::new(17, 8, Link::default());
    let (server, client) = (world.open_peer(), world.peer());
    let key = KeyPair::from_seed(&[1; 32]);
    world.listen(server, &key);
    let silent = (1..=4).map(|last| SocketAddrV4::new([10, 99, 0, last].into(), 1));
    let attempt = world.dial_with(client, key.public_key(), |dial| dial.nodes = silent.collect());
    let took = world.wait(client, attempt);
    assert_eq!(world.failure(client, attempt), None);
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[test]
fn a_lookup_that_named_nodes_lead_astray_is_repeated_without_them() {
    // Large enough for the client to know the server's neighbourhood by itself.
    let mut world = World::new(20, 40, Link::default());
    let (server, client) = (world.open_peer(), world.peer());
    let key = KeyPair::from_seed(&[1; 32]);
    world.listen(server, &key);
    let lonely: Vec<_> = (0..K).map(|_| world.lonely_node()).collect();
    let attempt = world.dial_with(client, key.public_key(), |dial| dial.nodes = lonely);
    world.wait(client, attempt);
    assert_eq!(world.failure(client, attempt), None);
}

#[test]
fn a_client_that_wrongly_takes_itself_to_be_reachable_punches_when_the_server_does_not_come() {
    let mut world = World::new(18, 8, Link::default());
    let key = KeyPair::from_seed(&[1; 32]);
    let server = Home::Restricted.build(&mut world, 1);
    world.listen(server, &key);
    let public = Ipv4Addr::new(10, 9, 2, 1);
    let router = Router {
        keeps_ports: true,
        ..Router::RESTRICTED
    };
    let nat = world.network.add_nat(router, public, None);
    let address = SocketAddrV4::new([192, 168, 2, 2].into(), 5000);
    let client = world.mistaken_peer(nat, address, public);
    let (near, far) = world.connect(client, server, key.public_key());
    exchange(&mut world, client, server, near, far);
    let report = world.network.host(client).established[0].report.clone();
    assert!(report.unreachable.is_some(), "{report:?}");
    assert!(report.total < Duration::from_secs(4), "{report:?}");

    // It remembers for a while.
    world.connect(client, server, key.public_key());
    let report = &world.network.host(client).established[1].report;
    assert_eq!(report.unreachable, None);
    assert!(report.total < Duration::from_millis(500), "{report:?}");
}

#[test]
fn a_client_that_can_be_reached_in_no_way_starts_over_once_and_fails() {
    let mut world = World::new(19, 8, Link::default());
    let key = KeyPair::from_seed(&[1; 32]);
    let server = Home::Restricted.build(&mut world, 1);
    world.listen(server, &key);
    let client = world.open_peer();
    // The server's packets to the client get lost, and so does all that punching would take.
    world.network.lost = Some(|datagram| {
        datagram.from.ip().octets()[0] == 192 && datagram.to.ip().octets()[..3] == [10, 0, 1]
    });
    let attempt = world.dial(client, key.public_key());
    world.wait(client, attempt);
    assert_eq!(world.failure(client, attempt), Some(Failure::NoPath));
    let report = &world.network.host(client).reports[&attempt];
    assert!(report.unreachable.is_some() && report.punch_lost.is_some());
}

#[test]
fn an_attempt_that_is_given_up_leaves_nothing_behind() {
    let mut world = World::new(14, 5, Link::default());
    let client = world.peer();
    let attempt = world.dial(client, KeyPair::from_seed(&[5; 32]).public_key());
    world
        .network
        .with(client, |peer, now| peer.endpoint.abort(now, attempt));
    world.network.run_for(Duration::from_secs(5));
    let peer = world.network.host(client);
    assert!(peer.failed.is_empty() && peer.established.is_empty());
}

/// Sends a few bytes each way. The first 59 are the header frame of the secret stream.
pub(super) fn exchange(
    world: &mut World,
    client: HostId,
    server: HostId,
    near: crate::udx::StreamId,
    far: crate::udx::StreamId,
) {
    for (from, stream, to, other) in [(client, near, server, far), (server, far, client, near)] {
        world.network.with(from, |peer, now| {
            assert_eq!(peer.endpoint.streams().write(now, stream, b"hello").unwrap(), 5);
        });
        let mut received = Vec::new();
        world.network.run_until(Duration::from_secs(30), |network| {
            received.extend(network.with(to, |peer, now| peer.read(now, other)));
            received.len() == 64
        });
        assert_eq!(&received[59..], b"hello");
    }
}

pub(super) fn at(text: &str) -> SocketAddrV4 {
    text.parse().unwrap()
}
