//! Whole networks: joining, announcing, finding, with loss and with dead nodes.

use std::time::Duration;

use super::world::{World, address, announce, server};
use crate::dht::{Config, K, Mode, NodeId, Operation};
use crate::keys::KeyPair;
use crate::sim::network::Link;
use crate::wire::compact::Decode;
use crate::wire::records::{LookupReply, Peer};

#[test]
fn a_small_network_forms_and_finds_in_milliseconds() {
    let mut world = World::new(1, 4, Link::default());
    assert!(world.network.passed() < Duration::from_millis(10));
    for (number, id) in world.nodes.clone().into_iter().enumerate() {
        let node = world.node(id);
        assert!(node.is_persistent(), "node {number}");
        assert_eq!(node.id(), NodeId::of(address(number)));
        assert_eq!(node.remote_address(), Some(address(number)));
    }
    let start = world.network.now();
    let client = world.join(Config::default());
    assert!(world.network.now() - start < Duration::from_millis(5));
    let key = KeyPair::from_seed(&[1; 32]);
    let target = key.public_key().target();
    let (_, result, took) = world.run(client, announce(target, &key));
    assert_eq!(result.map(|outcome| outcome.committed), Ok(4));
    assert!(took < Duration::from_millis(5), "{took:?}");
    let other = world.join(Config::default());
    let (answers, result, took) =
        world.query(other, |node, now| node.find_peer(now, key.public_key(), Vec::new()));
    assert!(result.is_ok());
    assert_eq!(answers.iter().filter(|answer| answer.value.is_some()).count(), 4);
    assert!(took < Duration::from_millis(5), "{took:?}");
}

#[test]
fn fifty_nodes_find_everything_in_spite_of_loss() {
    let link = Link {
        delay: Duration::from_millis(20),
        jitter: Duration::from_millis(20),
        loss: 0.05,
        duplication: 0.02,
    };
    let mut world = World::new(2, 50, link);
    for number in 0..20 {
        let key = KeyPair::from_seed(&[number + 1; 32]);
        let target = key.public_key().target();
        let topic = [number; 32];
        let from = world.nodes[usize::from(number)];
        let to = world.nodes[usize::from(49 - number)];
        let (_, result, _) = world.run(from, announce(target, &key));
        assert!(result.is_ok_and(|outcome| outcome.committed >= 15), "announce {number}");
        let (_, result, _) = world.run(
            from,
            Operation::Announce {
                target: topic,
                identity: key.clone().into(),
                relays: vec![address(3)],
                bump: 0,
            },
        );
        assert!(result.is_ok_and(|outcome| outcome.committed >= 15), "announce topic {number}");
        let (answers, _, _) = world.query(to, |node, now| node.find_peer(now, key.public_key(), Vec::new()));
        let found = answers.iter().filter_map(|answer| Peer::from_bytes(answer.value.as_ref()?).ok());
        assert!(found.into_iter().any(|peer| peer.public_key == *key.public_key()), "find {number}");
        let (answers, _, _) = world.run(to, Operation::Lookup(topic));
        let lists = answers.iter().filter_map(|answer| LookupReply::from_bytes(answer.value.as_ref()?).ok());
        assert!(
            lists.into_iter().any(|list| list.peers[0].relay_addresses == [address(3)]),
            "lookup {number}"
        );
    }
}

#[test]
fn so_many_relay_addresses_of_a_record_are_kept() {
    let mut world = World::new(2, 3, Link::default());
    let (key_pair, target) = (KeyPair::from_seed(&[1; 32]), [9; 32]);
    let relays: Vec<_> = (1..=5).map(address).collect();
    let announce = Operation::Announce { target, identity: key_pair.into(), relays: relays.clone(), bump: 0 };
    let (_, result, _) = world.run(world.nodes[1], announce);
    assert!(result.is_ok());
    let (answers, _, _) = world.run(world.nodes[2], Operation::Lookup(target));
    let lists = answers.iter().filter_map(|answer| LookupReply::from_bytes(answer.value.as_ref()?).ok());
    let kept: Vec<_> = lists.flat_map(|list| list.peers).map(|peer| peer.relay_addresses).collect();
    assert!(!kept.is_empty() && kept.iter().all(|kept| *kept == relays[..3]), "{kept:?}");
}

#[test]
fn a_dead_node_delays_nobody_for_long() {
    let mut world = World::new(3, 8, Link::default());
    for dead in [3, 5] {
        let id = world.nodes[dead];
        world.network.set_up(id, false);
    }
    let start = world.network.now();
    let client = world.join(server());
    let took = world.network.now() - start;
    assert!(took < Duration::from_millis(1100), "{took:?}");
    let key = KeyPair::from_seed(&[1; 32]);
    let (_, result, took) =
        world.query(client, |node, now| node.find_peer(now, key.public_key(), Vec::new()));
    assert!(result.is_ok());
    assert!(took < Duration::from_millis(1100), "{took:?}");
    // Twice unanswered it delays no walk any more, although others go on naming it.
    world.network.run_for(Duration::from_secs(1));
    let (_, result, took) =
        world.query(client, |node, now| node.find_peer(now, key.public_key(), Vec::new()));
    assert!(result.is_ok());
    assert!(took < Duration::from_millis(5), "{took:?}");
    // Once it is back it counts again.
    let back = world.nodes[3];
    world.network.set_up(back, true);
    let (_, result, _) = world.query(client, |node, now| node.find_peer(now, key.public_key(), Vec::new()));
    assert!(result.is_ok());
    world.network.run_for(Duration::from_secs(1));
    let (answers, _, took) =
        world.query(client, |node, now| node.find_peer(now, key.public_key(), Vec::new()));
    assert!(answers.iter().any(|answer| answer.from == address(3)));
    assert!(took < Duration::from_millis(5), "{took:?}");
}

#[test]
fn a_dead_node_leaves_the_tables() {
    let mut world = World::new(4, 8, Link::default());
    let dead = world.nodes[5];
    world.network.set_up(dead, false);
    world.network.run_for(Duration::from_secs(600));
    for id in world.nodes.clone() {
        let known = world.node(id).closest_nodes(&[0; 32]);
        assert!(id == dead || !known.contains(&address(5)), "{known:?}");
        assert!(id == dead || known.len() == 6, "{known:?}");
    }
}

#[test]
fn an_adaptive_node_turns_persistent_after_twenty_minutes() {
    let mut world = World::new(5, 6, Link::default());
    let id = world.join(Config::default());
    assert!(!world.node(id).is_persistent());
    assert!(!world.node(id).is_firewalled(), "the quick check found it open");
    world.network.run_for(Duration::from_secs(21 * 60));
    assert!(world.node(id).is_persistent());
    let ephemeral = Config { mode: Mode::Ephemeral, ..Config::default() };
    let id = world.join(ephemeral);
    world.network.run_for(Duration::from_secs(21 * 60));
    assert!(!world.node(id).is_persistent());
}

#[test]
fn walks_through_hundreds_of_nodes_end_at_the_true_closest() {
    let link =
        Link { delay: Duration::from_millis(20), jitter: Duration::from_millis(20), ..Link::default() };
    let mut world = World::new(6, 300, link);
    for number in 0..30_u8 {
        let from = 10 * usize::from(number);
        let target = [number.wrapping_mul(37); 32];
        let id = world.nodes[from];
        let (_, result, took) = world.query(id, |node, now| node.find_node(now, target));
        let outcome = result.expect("a walk with an end");
        let mut nearest: Vec<_> = (0..300).filter(|other| *other != from).map(address).collect();
        nearest.sort_by_key(|node| NodeId::of(*node).distance(&target));
        nearest.truncate(K);
        let found: Vec<_> = outcome.closest.iter().map(|answer| answer.from).collect();
        assert_eq!(found, nearest, "walk {number}");
        assert!(outcome.asked <= 50, "walk {number} asked {}", outcome.asked);
        assert!(took < Duration::from_millis(400), "walk {number} took {took:?}");
    }
}

#[test]
fn a_late_answer_holds_a_lookup_up_less_than_a_second() {
    let link = Link { delay: Duration::from_millis(20), ..Link::default() };
    let mut world = World::new(31, 60, link);
    let client = world.join(Config::default());
    // What is usual here is learnt from answers.
    for target in 0..20 {
        let (_, result, _) = world.run(client, Operation::Lookup([target; 32]));
        assert!(result.is_ok());
    }
    let target = [77; 32];
    // The nearest one has just died, and everybody still names it.
    let nearest = (0..60).min_by_key(|number| NodeId::of(address(*number)).distance(&target));
    let dead = world.nodes[nearest.expect("sixty nodes")];
    world.network.set_up(dead, false);
    let (_, result, took) = world.run(client, Operation::Lookup(target));
    assert!(took < Duration::from_millis(500), "{took:?}");
    let outcome = result.expect("the others answer");
    assert_eq!(outcome.closest.len(), K);
    assert!(outcome.hops >= 1);
    // Who announces waits, because it wants the nearest.
    let mut other = world.join(Config::default());
    let key = KeyPair::from_seed(&[1; 32]);
    let (_, result, took) = world.run(other, announce(target, &key));
    assert!(result.is_ok());
    assert!(took > Duration::from_millis(900), "{took:?}");
    // A node that stays silent is tried three times, then the walk leaves it alone.
    other = world.join(Config::default());
    let before = world.node(other).stats();
    let (_, result, _) = world.run(other, Operation::Lookup(target));
    assert!(result.is_ok());
    world.network.run_for(Duration::from_secs(10));
    let after = world.node(other).stats();
    assert_eq!(after.retries_sent - before.retries_sent, 2);
    assert_eq!(after.timeouts - before.timeouts, 1);
}
