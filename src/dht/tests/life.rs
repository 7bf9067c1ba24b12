//! The life of a node: behind a firewall, asleep, announcing and taking back, losing its neighbours.

use std::time::{Duration, Instant};

use super::world::{Machine, World, address, announce, client_address, server, unannounce};
use crate::dht::{Config, Event, Health, Mode, Node, NodeId, Operation, Outgoing, Query};
use crate::keys::KeyPair;
use crate::sim::network::{Link, Network};
use crate::wire::compact::{Decode, Encode, Reader};
use crate::wire::records::LookupReply;
use crate::wire::rpc::{self, Packet, Response};
use crate::wire::transmit::SocketId;

#[test]
fn a_node_whose_server_socket_is_out_of_reach_stays_firewalled() {
    let mut world = World::new(31, 6, Link::default());
    let id = world.start(Config::default());
    world.network.close(id, SocketId::SERVER);
    world.network.run_for(Duration::from_secs(30 * 60));
    let node = world.node(id);
    assert!(node.is_firewalled() && !node.is_persistent());
    assert_eq!(node.remote_address(), None);
    assert_eq!(node.sampled_address(), Some(client_address(6)));
    assert_eq!(node.request_socket(), SocketId::CLIENT);
    assert_eq!(node.table_len(), 6);
}

#[test]
fn a_persistent_node_that_is_out_of_reach_says_nothing_of_an_id() {
    let mut world = World::new(32, 6, Link::default());
    let config = Config { mode: Mode::Persistent, public_address: None, ..Config::default() };
    let id = world.start(config);
    world.network.close(id, SocketId::SERVER);
    world.network.run_for(Duration::from_secs(30));
    assert!(!world.node(id).is_persistent());
    // It is opened later, say because a port was forwarded; a node configured to serve tries again.
    world.network.bind(id, SocketId::SERVER, address(6));
    world.network.run_for(Duration::from_secs(120));
    assert!(world.node(id).is_persistent());
    assert_eq!(world.node(id).id(), NodeId::of(address(6)));
}

#[test]
fn the_first_node_of_a_network_is_bootstrapped_at_once() {
    let world = World::new(33, 1, Link::default());
    let machine = world.network.host(world.nodes[0]);
    assert_eq!(machine.bootstrapped(), Some(0));
    assert_eq!(world.network.passed(), Duration::ZERO);
    assert!(machine.node.is_persistent());
}

#[test]
fn a_network_out_of_reach_is_told_after_six_tries_and_can_be_tried_again() {
    let mut world = World::new(34, 1, Link::default());
    let first = world.nodes[0];
    world.network.set_up(first, false);
    let id = world.join(Config::default());
    assert_eq!(world.network.host(id).bootstrapped(), Some(0));
    assert!(world.network.passed() < Duration::from_millis(6100));
    world.network.set_up(first, true);
    world.network.with(id, |machine, now| {
        machine.events.clear();
        machine.node.bootstrap(now);
    });
    let done = |network: &mut Network<Machine>| network.host(id).bootstrapped().is_some();
    world.network.run_until(Duration::from_secs(1), done);
    assert_eq!(world.network.host(id).bootstrapped(), Some(1));
}

#[test]
fn what_was_announced_can_be_taken_back() {
    let mut world = World::new(35, 12, Link::default());
    let (id, other) = (world.nodes[3], world.nodes[9]);
    let (key, stays) = (KeyPair::from_seed(&[1; 32]), KeyPair::from_seed(&[2; 32]));
    let topic = [5; 32];
    for key in [&key, &stays] {
        let (_, result, _) = world.run(id, announce(topic, key));
        assert_eq!(result.map(|outcome| outcome.committed), Ok(11));
    }
    let (_, result, _) = world.run(id, unannounce(topic, &key));
    assert_eq!(result.map(|outcome| outcome.committed), Ok(11));
    let (answers, _, _) = world.run(other, Operation::Lookup(topic));
    let lists: Vec<_> =
        answers.iter().filter_map(|answer| LookupReply::from_bytes(answer.value.as_ref()?).ok()).collect();
    assert_eq!(lists.len(), 10, "all but the asking node itself and the announcing one");
    for list in lists {
        let keys: Vec<_> = list.peers.iter().map(|peer| peer.public_key).collect();
        assert_eq!(keys, [*stays.public_key()]);
    }
}

#[test]
fn announcements_are_forgotten_after_a_while() {
    let mut world = World::new(36, 4, Link::default());
    let key = KeyPair::from_seed(&[1; 32]);
    let target = key.public_key().target();
    let from = world.nodes[0];
    let (_, result, _) = world.run(from, announce(target, &key));
    assert!(result.is_ok());
    let holder = world.nodes[2];
    let held = |world: &mut World| world.network.with(holder, |machine, _| machine.node.forward(&target));
    assert_eq!(held(&mut world), Some(address(0)));
    world.network.run_for(Duration::from_secs(13 * 60));
    // This look made it young again, and another sweep or two end it.
    assert_eq!(held(&mut world), Some(address(0)));
    world.network.run_for(Duration::from_secs(27 * 60));
    assert_eq!(held(&mut world), None);
}

#[test]
fn an_own_server_is_found_and_never_forgotten() {
    let mut world = World::new(37, 4, Link::default());
    let (id, other) = (world.nodes[1], world.nodes[3]);
    world.network.with(id, |machine, _| machine.node.set_server([8; 32], Some(vec![1; 33])));
    world.network.run_for(Duration::from_secs(60 * 60));
    let request = |world: &mut World| {
        let request = Outgoing::application(address(1), rpc::FIND_PEER, [8; 32]);
        let request = world.network.with(other, |machine, now| machine.node.request(now, request));
        world.network.run_for(Duration::from_millis(10));
        let answer = world.network.host(other).answered(request).cloned();
        answer.expect("answered").expect("an answer").value
    };
    assert_eq!(request(&mut world), Some(vec![1; 33]));
    world.network.with(id, |machine, _| machine.node.set_server([8; 32], None));
    assert_eq!(request(&mut world), None);
}

#[test]
fn an_adaptive_node_is_ephemeral_again_after_sleep() {
    let mut world = World::new(38, 6, Link::default());
    let id = world.join(Config::default());
    world.network.run_for(Duration::from_secs(21 * 60));
    assert!(world.node(id).is_persistent());
    // The clock stands still, and it is the driver that notices.
    world.network.sleep(id);
    world.network.run_for(Duration::from_secs(45 * 60));
    world.network.end_sleep(id);
    world.network.run_for(Duration::from_secs(10));
    assert!(world.node(id).is_persistent());
    world.network.with(id, |machine, now| machine.node.handle_wake(now));
    assert!(!world.node(id).is_persistent());
    assert!(world.network.host(id).events.contains(&Event::Persistent(false)));
}

#[test]
fn an_adaptive_node_is_ephemeral_again_after_its_process_was_stopped() {
    let mut world = World::new(38, 6, Link::default());
    let id = world.join(Config::default());
    world.network.run_for(Duration::from_secs(21 * 60));
    assert!(world.node(id).is_persistent());
    // It handles nothing meanwhile, so it sees a gap between two ticks.
    let later = world.network.now() + Duration::from_secs(60);
    world.network.with(id, |machine, _| machine.node.handle_timeout(later));
    assert!(!world.node(id).is_persistent());
    assert!(world.network.host(id).events.contains(&Event::Persistent(false)));
}

#[test]
fn who_named_a_dead_node_is_told() {
    let still_known = |down_hints_per_tick| {
        let mut world = World::new(39, 8, Link::default());
        let dead = world.nodes[5];
        world.network.set_up(dead, false);
        let config = Config { down_hints_per_tick, ..Config::default() };
        world.join(config);
        // Six tries of the walk, four of the nodes that get the hint; their own pings take longer.
        world.network.run_for(Duration::from_secs(11));
        let knows = |number: &usize| {
            let node = world.node(world.nodes[*number]);
            node.closest_nodes(&[0; 32]).contains(&address(5))
        };
        [0, 1, 2, 3, 4, 6, 7].iter().filter(|number| knows(number)).count()
    };
    assert!(still_known(0) > 3);
    assert_eq!(still_known(50), 0);
}

#[test]
fn a_node_without_answers_knows_that_it_is_offline() {
    let mut world = World::new(40, 8, Link::default());
    let id = world.nodes[4];
    world.network.run_for(Duration::from_secs(60));
    assert_eq!(world.node(id).health(), Health::Online);
    world.network.set_up(id, false);
    for _ in 0..4 {
        world.network.with(id, |machine, now| {
            let lookup = Query::application(rpc::LOOKUP, [1; 32]);
            machine.node.query(now, lookup)
        });
        world.network.run_for(Duration::from_secs(5));
    }
    assert_eq!(world.node(id).health(), Health::Offline);
}

#[test]
fn an_idle_node_notices_that_its_network_is_gone_and_that_it_is_back() {
    let mut world = World::new(40, 16, Link::default());
    let id = world.nodes[4];
    world.network.run_for(Duration::from_secs(60));
    for (up, health) in [(false, Health::Offline), (true, Health::Online)] {
        world.network.set_up(id, up);
        world.network.run_for(Duration::from_secs(90));
        assert_eq!(world.node(id).health(), health);
    }
}

#[test]
fn answers_from_elsewhere_do_not_enter_a_walk() {
    let mut world = World::new(41, 6, Link::default());
    let id = world.nodes[2];
    let query = world.network.with(id, |machine, now| {
        machine.node.find_peer(now, KeyPair::from_seed(&[1; 32]).public_key(), Vec::new())
    });
    // An attacker answers with every transaction id there is, but from an address that was not asked.
    for tid in 0..=u16::MAX {
        let lie = Response {
            tid,
            to: address(2),
            id: Some(NodeId::of(address(99))),
            token: None,
            closer: Vec::new(),
            error: 0,
            value: Some(vec![6; 33]),
        };
        world.network.inject(address(99), address(2), lie.to_bytes());
    }
    let done = |network: &mut Network<Machine>| network.host(id).done(query).is_some();
    world.network.run_until(Duration::from_secs(10), done);
    world.network.run_for(Duration::from_secs(1));
    let machine = world.network.host(id);
    assert_eq!(machine.answers(query).count(), 5);
    assert!(machine.answers(query).all(|answer| answer.value.is_none()));
    assert!(!machine.node.closest_nodes(&[0; 32]).contains(&address(99)));
}

#[test]
fn ids_are_told_only_from_the_server_socket() {
    let mut world = World::new(42, 2, Link::default());
    let id = world.nodes[1];
    for (socket, told) in [(SocketId::SERVER, true), (SocketId::CLIENT, false)] {
        let payload = world.network.with(id, |machine, now| {
            let ping = Outgoing { socket: Some(socket), ..Outgoing::internal(address(0), rpc::PING) };
            machine.node.request(now, ping);
            machine.node.poll_transmit().expect("a ping").payload
        });
        let Ok(Packet::Request(request)) = Packet::decode(&mut Reader::new(&payload)) else {
            panic!("not a request");
        };
        assert_eq!(request.id.is_some(), told);
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = || {
        let link = Link { loss: 0.1, jitter: Duration::from_millis(30), ..Link::default() };
        let mut world = World::new(43, 15, link);
        world.network.run_for(Duration::from_secs(300));
        let tables: Vec<_> = world.nodes.iter().map(|id| world.node(*id).recent_nodes(20)).collect();
        (world.network.sent(), world.network.passed(), tables)
    };
    assert_eq!(run(), run());
}

#[test]
fn a_first_node_that_does_not_know_its_address_learns_it_from_the_first_visitor() {
    let mut world = World::new(44, 0, Link::default());
    let config = Config { mode: Mode::Persistent, firewalled: false, ..Config::default() };
    let id = world.start_at(config, "0.0.0.0:3000".parse().expect("an address"));
    assert!(!world.node(id).is_persistent());
    world.join(server());
    world.network.run_for(Duration::from_secs(6));
    assert!(world.node(id).is_persistent());
    assert_eq!(world.node(id).remote_address(), Some(address(0)));
}

#[test]
fn whoever_is_bound_where_nothing_translates_knows_its_address() {
    let now = Instant::now();
    let persistent = |local: &str, told: Option<&str>, private_network| {
        let config = Config {
            public_address: told.map(|told| told.parse().expect("an address")),
            private_network,
            ..server()
        };
        let mut node = Node::new(now, config, [1; 32]);
        node.handle_sockets(now, local.parse().expect("an address"), client_address(0));
        node.is_persistent().then(|| node.remote_address()).flatten().map(|address| address.to_string())
    };
    let known = |address: &str| Some(address.to_owned());
    assert_eq!(persistent("127.0.0.1:5", None, true), known("127.0.0.1:5"));
    assert_eq!(persistent("192.168.1.2:5", None, true), known("192.168.1.2:5"));
    assert_eq!(persistent("192.168.1.2:5", None, false), None);
    assert_eq!(persistent("0.0.0.0:5", None, true), None);
    assert_eq!(persistent("0.0.0.0:5", Some("9.9.9.9:0"), false), known("9.9.9.9:5"));
}

#[test]
fn nodes_that_do_not_know_their_address_learn_it_while_they_bootstrap() {
    let mut world = World::new(45, 1, Link::default());
    for number in 1..6 {
        let id = world.start_at(server(), "0.0.0.0:3000".parse().expect("an address"));
        let done = |network: &mut Network<Machine>| network.host(id).bootstrapped().is_some();
        let took = world.network.run_until(Duration::from_secs(1), done);
        assert!(took < Duration::from_millis(5), "{took:?}");
        assert_eq!(world.node(id).id(), NodeId::of(address(number)));
        assert!(world.node(id).is_persistent());
    }
}

#[test]
fn a_node_that_was_cut_off_itself_finds_everybody_when_it_is_back() {
    let mut world = World::new(46, 10, Link::default());
    let id = world.nodes[4];
    world.network.set_up(id, false);
    for number in 0..2 {
        world.network.with(id, |machine, now| {
            let lookup = Query::application(rpc::LOOKUP, [number; 32]);
            machine.node.query(now, lookup);
        });
        world.network.run_for(Duration::from_millis(2500));
    }
    world.network.set_up(id, true);
    let (answers, result, _) = world.run(id, Operation::Lookup([9; 32]));
    assert!(result.is_ok());
    assert_eq!(answers.len(), 9);
}

#[test]
fn nodes_of_an_earlier_run_lead_into_a_network_whose_bootstrap_nodes_have_gone() {
    let mut world = World::new(21, 30, Link::default());
    let first = world.nodes[0];
    world.network.set_up(first, false);
    let second = world.nodes[1];
    let known = world.node(second).recent_nodes(1000);
    assert!(known.len() > 15);
    // Most of what was known has gone meanwhile.
    for node in (2..20).map(|number| world.nodes[number]).collect::<Vec<_>>() {
        world.network.set_up(node, false);
    }
    let config = Config { known, ..server() };
    let start = world.network.now();
    let late = world.join(config);
    let took = world.network.now() - start;
    assert!(took < Duration::from_secs(4), "{took:?}");
    assert!(world.network.host(late).bootstrapped() >= Some(8));
    assert!(world.node(late).table_len() >= 8);
    let lost = world.join(server());
    assert_eq!(world.network.host(lost).bootstrapped(), Some(0));
}
