//! How two peers reach each other.

use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;

use super::world::{Home, LOSSY, World, at, key, sender_is_inside};
use crate::connect::{Failure, Limits, Path};
use crate::dht::K;
use crate::wire::rpc::ANNOUNCE;

#[test]
fn a_lookup_that_is_faster_than_joining_counts_as_joining() {
    let mut world = World::new(12, 8);
    let server = world.server(Home::Open);
    let client = world.slow_newcomer();
    let dialled = world.dial(client, server);
    let report = world.connected(dialled).report;
    assert!(!world.host(client).bootstrapped);
    assert!(report.joined.is_some() && report.joined <= report.lookup);
}

#[test]
fn an_open_server_is_connected_to_directly() {
    let mut world = World::new(1, 5);
    let server = world.server(Home::Open);
    let client = world.home(Home::Plain);
    let connected = world.connect(client, server);
    world.both_speak(&connected);
}

#[test]
fn an_open_client_is_connected_to_by_the_server() {
    let mut world = World::new(2, 5);
    let server = world.server(Home::Plain);
    let client = world.home(Home::Open);
    let connected = world.connect(client, server);
    world.both_speak(&connected);
}

#[test]
fn two_firewalled_peers_of_one_host_meet_in_the_local_network() {
    let mut world = World::new(3, 5);
    let server = world.peer_at(at("10.0.2.1:5000"));
    let client = world.peer_at(at("10.0.2.1:6500"));
    world.listen(server);
    let connected = world.connect(client, server).on(Path::Lan);
    assert_eq!(connected.remote, at("10.0.2.1:5000"));
    world.both_speak(&connected);
}

#[test]
fn a_server_on_a_dht_node_is_reached_without_relaying() {
    let mut world = World::new(4, 5);
    let (server, client) = (world.nodes[2], world.home(Home::Plain));
    world.listen(server);
    let connected = world.connect(client, server);
    world.both_speak(&connected);
}

#[test]
fn a_node_that_is_alone_is_reached_by_those_who_bootstrap_from_it() {
    let mut world = World::new(5, 1);
    let (server, client) = (world.nodes[0], world.home(Home::Plain));
    world.listen(server);
    world.connect(client, server);
}

#[test]
fn connecting_takes_five_round_trips_at_most() {
    let round_trip = Duration::from_millis(20);
    let mut world = World::of_towns(6, 8);
    let (server, client) = world.server_and_client(Home::Open, Home::Plain);
    let first = world.dial(client, server);
    let took = world.connected(first).took;
    assert!(took <= round_trip * 5, "{took:?}");
    // The second time the nodes are known.
    let second = world.dial(client, server);
    let took = world.connected(second).took;
    assert!(took <= round_trip * 2, "{took:?}");
}

#[test]
fn peers_connect_through_loss() {
    for seed in 0..20 {
        let mut world = World::over(100 + seed, 20, LOSSY);
        let (server, client) = world.server_and_client(Home::Open, Home::Plain);
        let connected = world.connect(client, server);
        world.both_speak(&connected);
    }
}

#[test]
fn a_key_that_was_never_announced_is_not_found() {
    let mut world = World::new(7, 5);
    let client = world.home(Home::Plain);
    let dialled = world.dial_key(client, &key(5));
    world.failed(dialled, Failure::NotFound);
}

#[test]
fn a_server_that_has_stopped_is_not_found() {
    let mut world = World::new(8, 5);
    let (server, client) = (world.home(Home::Plain), world.home(Home::Plain));
    let id = world.listen(server);
    world.unlisten(server, id);
    world.run_until(10, |world| world.host(server).unlistened.contains(&id));
    let dialled = world.dial(client, server);
    world.failed(dialled, Failure::NotFound);
}

#[test]
fn a_suspended_server_answers_at_no_address_and_its_streams_live_on() {
    let mut world = World::new(8, 5);
    let (server, client) = (world.home(Home::Open), world.home(Home::Plain));
    let id = world.listen(server);
    let connected = world.connect(client, server);
    let suspended = |world: &mut World| {
        let before = world.host(server).suspended.len();
        assert!(world.with(server, |peer, now| peer.endpoint.suspend_server(now, id)));
        world.run_until(10, |world| world.host(server).suspended.len() > before);
    };
    suspended(&mut world);
    // It wakes in another network, which announces servers anew.
    world.with(server, |peer, now| peer.endpoint.handle_network_change(now));
    world.run_secs(10);
    let dialled = world.dial(client, server);
    world.failed(dialled, Failure::NotFound);
    let address = world.address(server);
    let dialled = world.dial_with(client, server, |dial| {
        (dial.nodes, dial.only_nodes) = (vec![address], true);
    });
    world.failed(dialled, Failure::Silent);
    world.both_speak(&connected);

    // Withdrawals under way do not undo what is announced after them.
    assert!(world.with(server, |peer, now| peer.endpoint.resume_server(now, id)));
    world.with(server, |peer, now| peer.endpoint.suspend_server(now, id));
    world.run_ms(1);
    assert!(world.with(server, |peer, now| peer.endpoint.resume_server(now, id)));
    world.run_secs(10);
    world.connect(client, server);
    suspended(&mut world);
    world.unlisten(server, id);
    world.run_until(10, |world| world.host(server).unlistened.contains(&id));
    assert!(!world.with(server, |peer, now| peer.endpoint.resume_server(now, id)));
}

#[test]
fn a_server_that_has_vanished_does_not_answer() {
    let mut world = World::new(9, 5);
    let (server, client) = world.server_and_client(Home::Plain, Home::Plain);
    world.down(server);
    let dialled = world.dial(client, server);
    world.failed(dialled, Failure::NoAnswer);
}

#[test]
fn a_server_that_is_not_at_the_only_address_given_is_not_called_announced() {
    let mut world = World::new(9, 5);
    let (server, client) = world.server_and_client(Home::Plain, Home::Plain);
    let dialled = world.dial_with(client, server, |dial| {
        dial.nodes = vec!["10.0.0.7:49737".parse().unwrap()];
        dial.only_nodes = true;
    });
    let report = world.failed(dialled, Failure::Silent);
    assert_eq!((report.nodes_asked, report.exchanges.len()), (0, 1));
}

#[test]
fn a_client_without_network_is_told_so() {
    let mut world = World::new(10, 3);
    let client = world.home(Home::Plain);
    for node in world.nodes.clone() {
        world.down(node);
    }
    let dialled = world.dial_key(client, &key(5));
    world.failed(dialled, Failure::NoNetwork);
}

#[test]
fn a_client_that_is_not_admitted_hears_nothing() {
    let mut world = World::new(11, 5);
    let (server, client) = (world.home(Home::Plain), world.home(Home::Plain));
    world.listen_with(server, |listen| listen.allow = Some(Arc::new(|_| Box::pin(async { false }))));
    let dialled = world.dial(client, server);
    world.failed(dialled, Failure::NoAnswer);
    assert!(world.host(server).established.is_empty());
}

#[test]
fn an_attempt_beyond_the_limit_fails_at_once() {
    let mut world = World::new(12, 5);
    world.limits = Limits { max_attempts: 1, ..Limits::default() };
    let (server, client) = world.server_and_client(Home::Open, Home::Plain);
    let first = world.dial(client, server);
    let beyond = world.dial(client, server);
    assert_eq!(world.wait(beyond), Duration::ZERO);
    world.failed(beyond, Failure::TooMany);
    world.connected(first);
}

#[test]
fn a_decision_that_panics_refuses() {
    let mut world = World::new(12, 5);
    let (server, client) = (world.home(Home::Plain), world.home(Home::Plain));
    world.listen_with(server, |listen| {
        listen.allow = Some(Arc::new(|_| panic!("a bug of the user's")));
    });
    let dialled = world.dial(client, server);
    world.failed(dialled, Failure::NoAnswer);
}

#[test]
fn a_lost_relay_is_replaced_and_the_server_found_again() {
    let mut world = World::new(13, 12);
    let (server, client) = world.server_and_client(Home::Open, Home::Plain);
    // Whichever node holds the announcement, half of them are gone now; node 0 is where newcomers start.
    for node in world.nodes.clone().into_iter().skip(1).step_by(2) {
        world.down(node);
    }
    world.run_secs(30);
    world.connect(client, server);
}

#[test]
fn a_network_that_was_restarted_knows_its_servers_again_within_ten_seconds() {
    for seed in 0..10 {
        let mut world = World::new(20 + seed, 8);
        let (open, plain) = (world.home(Home::Open), world.home(Home::Plain));
        world.listen(open);
        world.listen_with(plain, |listen| listen.identity = key(2).into());
        // The nodes are asked by turns whether they are there and whether they know the server.
        world.run_secs(10 + seed);
        world.restart_nodes();
        world.run_secs(10);
        for server in [open, plain] {
            let client = world.home(Home::Plain);
            world.connect(client, server);
        }
    }
}

#[test]
fn a_server_that_one_node_of_several_knows_is_not_announced_before_it_has_tried_again() {
    let mut world = World::new(41, 3);
    let server = world.home(Home::Open);
    // The others answer questions and lose announcements, for a while.
    let others = world.nodes[1..].to_vec();
    world.deaf(&others, Some(ANNOUNCE));
    let id = world.start_listening(server);
    world.run_ms(4200);
    assert!(!world.is_listening(server, id));
    world.deaf(&others, None);
    world.run_secs(2);
    assert!(world.is_listening(server, id));
}

#[test]
fn a_node_that_keeps_nothing_does_not_have_a_server_announce_for_ever() {
    let mut world = World::new(40, 3);
    world.server(Home::Open);
    let forgetful = world.nodes[1];
    let asked = |world: &mut World| {
        let stats = world.with(forgetful, |peer, _| peer.endpoint.node().stats());
        stats.application_received[ANNOUNCE as usize]
    };
    let before = asked(&mut world);
    for _ in 0..300 {
        world.with(forgetful, |peer, _| peer.endpoint.node().forget_all());
        world.run_secs(1);
    }
    let again = asked(&mut world) - before;
    assert!((1..=4).contains(&again), "{again}");
}

#[test]
fn a_server_whose_address_has_changed_is_announced_anew() {
    let mut world = World::new(15, 5);
    let (server, client) = world.server_and_client(Home::Open, Home::Plain);
    // What a router does that forgets its mappings: the same socket, seen at another port.
    let ip = *world.address(server).ip();
    world.rebind(server, SocketAddrV4::new(ip, 40_000));
    world.run_secs(10);
    world.connect(client, server);
}

#[test]
fn a_key_that_listens_again_while_it_is_withdrawn_stays_announced() {
    let mut world = World::new(16, 5);
    let (server, client) = (world.home(Home::Open), world.home(Home::Plain));
    let old = world.listen(server);
    world.unlisten(server, old);
    world.listen(server);
    // A handle of the old server that is dropped late asks once more.
    world.unlisten(server, old);
    world.run_secs(5);
    assert_eq!(world.host(server).unlistened, [old]);
    world.connect(client, server);
}

#[test]
fn nodes_that_no_longer_know_the_server_do_not_delay_those_that_do() {
    let mut world = World::new(17, 8);
    let (server, client) = world.server_and_client(Home::Open, Home::Plain);
    let silent = (1..=4).map(|last| SocketAddrV4::new([10, 99, 0, last].into(), 1));
    let dialled = world.dial_with(client, server, |dial| dial.nodes = silent.collect());
    world.connected(dialled).within_ms(1000);
}

#[test]
fn a_lookup_that_named_nodes_lead_astray_is_repeated_without_them() {
    // Large enough for the client to know the server's neighbourhood by itself.
    let mut world = World::new(20, 40);
    let (server, client) = world.server_and_client(Home::Open, Home::Plain);
    let lonely: Vec<_> = (0..K).map(|_| world.lonely_node()).collect();
    let dialled = world.dial_with(client, server, |dial| dial.nodes = lonely);
    world.connected(dialled);
}

#[test]
fn a_client_that_wrongly_takes_itself_to_be_reachable_punches_when_the_server_does_not_come() {
    let mut world = World::new(18, 8);
    let server = world.server(Home::Restricted);
    let client = world.home(Home::Mistaken);
    let connected = world.connect(client, server).within_ms(4000);
    world.both_speak(&connected);
    assert!(connected.report.unreachable.is_some());

    // It remembers for a while.
    let again = world.connect(client, server).within_ms(500);
    assert_eq!(again.report.unreachable, None);
}

#[test]
fn a_client_that_can_be_reached_in_no_way_starts_over_once_and_fails() {
    let mut world = World::new(19, 8);
    let server = world.server(Home::Restricted);
    let client = world.home(Home::Open);
    // The server's packets to the client get lost, and so does all that punching would take.
    world.drops(|datagram| sender_is_inside(datagram) && datagram.to.ip().octets()[..3] == [10, 0, 1]);
    let dialled = world.dial(client, server);
    let report = world.failed(dialled, Failure::NoPath);
    assert!(report.unreachable.is_some() && report.punch_lost.is_some());
}

#[test]
fn an_attempt_that_is_given_up_leaves_nothing_behind() {
    let mut world = World::new(14, 5);
    let client = world.home(Home::Plain);
    let dialled = world.dial_key(client, &key(5));
    world.with(client, |peer, now| peer.endpoint.abort(now, dialled.attempt));
    world.run_secs(5);
    let peer = world.host(client);
    assert!(peer.failed.is_empty() && peer.established.is_empty());
}
