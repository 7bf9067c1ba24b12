//! Which way two peers find to each other.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use super::punching::Home;
use super::world::World;
use crate::connect::{Dial, Failure, Lost, Path};
use crate::dht::K;
use crate::keys::KeyPair;
use crate::sim::nat::Router;
use crate::sim::network::{HostId, Link};
use crate::wire::packet::{MESSAGE, PacketHeader};
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
fn another_node_at_the_servers_private_address_is_not_taken_for_it() {
    for relays in [false, true] {
        let mut world = World::new(21, 3, Link::default());
        let outer = Router {
            hairpin: true,
            keeps_ports: true,
            ..Router::CONE
        };
        let public = Ipv4Addr::new(10, 9, 1, 1);
        let outer = world.network.add_nat(outer, public, None);
        let home = |world: &mut World, number: u8| {
            let router = Router {
                keeps_ports: true,
                ..Router::CONE
            };
            let outside = Ipv4Addr::new(100, 64, 0, number);
            world.network.add_nat(router, outside, Some(outer))
        };
        let (theirs, ours) = (home(&mut world, 1), home(&mut world, 2));
        // In either home somebody has this address; the one in ours can be a persistent node that the server is announced on.
        let address = at("192.168.7.2:5000");
        let other = if relays {
            world.mistaken_peer(ours, address, public)
        } else {
            world.peer_behind(Some(ours), address)
        };
        let server = world.peer_behind(Some(theirs), address);
        let key = KeyPair::from_seed(&[1; 32]);
        world.listen(server, &key);
        let target = key.public_key().target();
        let forwards = world.network.with(other, |peer, _| {
            peer.endpoint.core.node.forward(&target).is_some()
        });
        assert_eq!(forwards, relays);
        let client = world.peer_behind(Some(ours), at("192.168.7.3:5000"));
        world.network.capture = Some(Vec::new());
        let (near, far) = world.connect(client, server, key.public_key());
        assert_eq!(world.network.host(client).established[0].path, Path::Direct);
        exchange(&mut world, client, server, near, far);
        let sent = world.network.capture.take().unwrap();
        let asked = sent.iter().any(|datagram| datagram.to == address);
        assert!(asked, "the client has looked there");
    }
}

#[test]
fn a_server_that_answers_pings_at_its_private_address_and_nothing_else_is_taken_for_itself() {
    let mut world = World::new(26, 8, Link::default());
    let nat = world
        .network
        .add_nat(Router::RESTRICTED, Ipv4Addr::new(10, 9, 1, 1), None);
    let server = world.peer_behind(Some(nat), at("192.168.1.2:5000"));
    let key = KeyPair::from_seed(&[1; 32]);
    world.listen(server, &key);
    let client = world.peer_behind(Some(nat), at("192.168.1.3:5000"));
    // As if the answers to handshakes left from a socket that the client has not asked.
    world.network.lost = Some(|datagram| {
        let inside = datagram.to.ip().octets()[0] == 192 && datagram.from.ip().octets()[0] == 192;
        inside && datagram.payload.len() > 100 && datagram.payload[0] != 0xff
    });
    let (near, far) = world.connect(client, server, key.public_key());
    assert_eq!(world.network.host(client).established[0].path, Path::Lan);
    exchange(&mut world, client, server, near, far);
}

#[test]
fn a_server_of_the_public_network_is_reached_at_its_private_address() {
    let mut world = World::public(22, 3, Link::default());
    let nat = world
        .network
        .add_nat(Router::RESTRICTED, Ipv4Addr::new(88, 9, 1, 1), None);
    let server = world.peer_behind(Some(nat), at("192.168.1.2:5000"));
    let client = world.peer_behind(Some(nat), at("192.168.1.3:5000"));
    let key = KeyPair::from_seed(&[1; 32]);
    world.listen(server, &key);
    let (near, far) = world.connect(client, server, key.public_key());
    assert_eq!(world.network.host(client).established[0].path, Path::Lan);
    exchange(&mut world, client, server, near, far);

    // Who knows where it is needs no DHT.
    let dial = Dial {
        remote: *key.public_key(),
        key_pair: KeyPair::from_seed(&[2; 32]),
        nodes: vec![at("192.168.1.2:5000")],
        only_nodes: true,
        relay_through: None,
        reusable_socket: false,
        timeout: Duration::from_secs(30),
    };
    let attempt = world
        .network
        .with(client, |peer, now| peer.endpoint.connect(now, dial));
    world.wait(client, attempt);
    assert_eq!(world.failure(client, attempt), None);
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
    world.listen_with(
        server,
        &key,
        Some(Arc::new(|_, _| panic!("a bug of the user's"))),
    );
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
    let dial = Dial {
        remote: *key.public_key(),
        key_pair: KeyPair::from_seed(&[2; 32]),
        nodes: silent.collect(),
        only_nodes: false,
        relay_through: None,
        reusable_socket: false,
        timeout: Duration::from_secs(30),
    };
    let attempt = world
        .network
        .with(client, |peer, now| peer.endpoint.connect(now, dial));
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
    let dial = Dial {
        remote: *key.public_key(),
        key_pair: KeyPair::from_seed(&[2; 32]),
        nodes: lonely,
        only_nodes: false,
        relay_through: None,
        reusable_socket: false,
        timeout: Duration::from_secs(30),
    };
    let attempt = world
        .network
        .with(client, |peer, now| peer.endpoint.connect(now, dial));
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
fn a_server_that_wrongly_takes_itself_to_be_reachable_is_punched_to() {
    for seed in 0..10 {
        for (home, patience) in [
            (Home::Open, Duration::from_secs(1)),
            (Home::Restricted, Duration::from_secs(3)),
            (Home::Random, Duration::from_secs(30)),
        ] {
            let mut world = World::new(300 + seed, 8, Link::default());
            let (server, key) = mistaken_server(&mut world, Router::RESTRICTED);
            let client = home.build(&mut world, 2);
            let attempt = world.dial(client, key.public_key());
            world.network.run_until(patience, |network| {
                !network.host(server).established.is_empty()
            });
            let near = world.network.host(client).find(attempt).unwrap().stream;
            let far = world.network.host(server).established[0].stream;
            exchange(&mut world, client, server, near, far);
            let peer = world.network.host(client);
            assert!(peer.endpoint.attempts.is_empty());
            // An open client is what the server itself goes to.
            if home != Home::Open {
                let moved = &peer.moved[0];
                assert_eq!(moved.report.path, Some((moved.path, moved.remote)));
                let named = moved.report.unanswered.map(|(address, _)| address);
                assert_eq!(named, Some(at("10.9.1.1:5000")), "{home:?}, seed {seed}");
            }
        }
    }
}

#[test]
fn packets_of_a_server_from_elsewhere_do_not_divert_a_client_on_its_way_to_it() {
    let mut world = World::new(25, 8, Link::default());
    let (server, client) = (world.open_peer(), world.open_peer());
    let key = KeyPair::from_seed(&[1; 32]);
    world.listen(server, &key);
    // The first of its packets to an open client, which would tell the way.
    world.network.lost = Some(|datagram| datagram.payload.first() == Some(&0xff));
    let attempt = world.dial(client, key.public_key());
    world.network.run_until(Duration::from_secs(5), |network| {
        network.host(client).find(attempt).is_some()
    });
    world.network.lost = None;
    let near = world.network.host(client).find(attempt).unwrap().stream;
    // What a server sends that an open client waits for, from its other socket.
    let (to, address) = (world.address(client), world.address(server));
    let other = SocketAddrV4::new(*address.ip(), address.port() + 1000);
    let opener = PacketHeader {
        kind: MESSAGE,
        data_offset: 0,
        stream_id: near.0,
        window: 1 << 20,
        seq: 0,
        ack: 0,
    };
    world.network.inject(other, to, opener.to_bytes().to_vec());
    world.network.run_until(Duration::from_secs(5), |network| {
        !network.host(server).established.is_empty()
    });
    let far = world.network.host(server).established[0].stream;
    exchange(&mut world, client, server, near, far);
    let path = |peer: &mut super::world::Peer| peer.endpoint.streams().path(near);
    let path = world.network.with(client, |peer, _| path(peer));
    assert_eq!(path.map(|(_, address)| address), Some(address));
    assert!(world.network.host(client).moved.is_empty());
}

#[test]
fn a_server_that_is_not_reachable_where_it_says_to_be_nor_otherwise_is_named() {
    let mut world = World::new(23, 8, Link::default());
    let (server, key) = mistaken_server(&mut world, Router::RESTRICTED);
    let client = Home::Restricted.build(&mut world, 2);
    world.network.lost = Some(|datagram| {
        let rpc = datagram.payload.len() > 1 && datagram.payload[0] != 0xff;
        !rpc && datagram.to.ip().octets()[..2] == [10, 9]
    });
    let attempt = world.dial(client, key.public_key());
    world.wait(client, attempt);
    let near = world.network.host(client).find(attempt).unwrap().stream;
    world.network.run_until(Duration::from_secs(15), |network| {
        !network.host(client).unreachable.is_empty()
    });
    let peer = world.network.host(client);
    let (stream, report) = &peer.unreachable[0];
    assert_eq!(*stream, near);
    let named = report.unanswered.map(|(address, _)| address);
    assert_eq!(named, Some(at("10.9.1.1:5000")));
    assert_eq!(
        (report.punch_lost, report.path),
        (Some(Lost::NoProbe), None)
    );
    assert!(peer.moved.is_empty() && peer.endpoint.attempts.is_empty());
    assert!(world.network.host(server).established.is_empty());
}

#[test]
fn a_server_that_is_slow_to_answer_where_it_says_to_be_is_waited_for() {
    let mut world = World::new(24, 8, Link::default());
    let (server, client) = (world.open_peer(), world.peer());
    let key = KeyPair::from_seed(&[1; 32]);
    world.listen(server, &key);
    // A firewall that opens late, and lets no probe through.
    world.network.lost = Some(|datagram| {
        datagram.to.ip().octets()[..3] == [10, 0, 1]
            && (datagram.payload.len() == 1 || datagram.payload.first() == Some(&0xff))
    });
    let attempt = world.dial(client, key.public_key());
    world.network.run_for(Duration::from_secs(5));
    world.network.lost = None;
    let near = world.network.host(client).find(attempt).unwrap().stream;
    world.network.run_until(Duration::from_secs(30), |network| {
        !network.host(server).established.is_empty()
    });
    let far = world.network.host(server).established[0].stream;
    exchange(&mut world, client, server, near, far);
    let peer = world.network.host(client);
    assert!(peer.unreachable.is_empty());
    assert!(peer.endpoint.attempts.is_empty());
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

/// Starts a server behind a router that it does not know of.
fn mistaken_server(world: &mut World, router: Router) -> (HostId, KeyPair) {
    let router = Router {
        keeps_ports: true,
        ..router
    };
    let public = Ipv4Addr::new(10, 9, 1, 1);
    let nat = world.network.add_nat(router, public, None);
    let server = world.mistaken_peer(nat, at("192.168.1.2:5000"), public);
    let key = KeyPair::from_seed(&[1; 32]);
    world.listen(server, &key);
    (server, key)
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
            assert_eq!(
                peer.endpoint
                    .streams()
                    .write(now, stream, b"hello")
                    .unwrap(),
                5
            );
        });
        let mut received = Vec::new();
        world.network.run_until(Duration::from_secs(30), |network| {
            received.extend(network.with(to, |peer, now| peer.read(now, other)));
            received.len() == 64
        });
        assert_eq!(&received[59..], b"hello");
    }
}

fn at(text: &str) -> SocketAddrV4 {
    text.parse().unwrap()
}
