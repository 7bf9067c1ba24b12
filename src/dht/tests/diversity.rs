//! One network of 256 addresses among others: it counts for little where there are enough others, and in full
//! where there are not.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Instant;

use super::bounds::{answer, at, meet, public};
use crate::dht::table::{Table, TableEntry};
use crate::dht::walk::{MAX_NAMERS, Rank, Walk};
use crate::dht::{K, Node, NodeId};
use crate::wire::compact::{Decode, Encode, Reader};
use crate::wire::rpc::{self, Packet, Request};
use crate::wire::transmit::SocketId;

#[test]
fn a_row_has_more_than_two_nodes_of_a_network_only_while_there_are_too_few_others() {
    let now = Instant::now();
    let mut node = public(now);
    let own = node.id();
    let in_first_row = |node: &Node, network: &str| {
        let known = node.recent_nodes(1000).into_iter();
        let in_row = known.filter(|known| own.common_prefix(NodeId::of(*known).as_bytes()) == 0);
        in_row.filter(|known| known.to_string().starts_with(network)).count()
    };
    // A company of one subnet, or an attacker with two addresses.
    for port in 1..200 {
        meet(&mut node, now, at("50.1.1.1", port));
        meet(&mut node, now, at("50.1.1.2", port));
    }
    assert_eq!(in_first_row(&node, "50.1.1."), K);
    for host in 0..8 {
        meet(&mut node, now, at(&format!("50.2.{host}.1"), 1));
    }
    let others = in_first_row(&node, "50.2.");
    assert!(others > 0, "all others have found a place");
    assert_eq!(in_first_row(&node, "50.1.1."), K - others);
    for host in 8..120 {
        meet(&mut node, now, at(&format!("50.2.{host}.1"), 1));
    }
    assert_eq!(in_first_row(&node, "50.2."), K - PER_NETWORK);
    assert_eq!(in_first_row(&node, "50.1.1."), PER_NETWORK);
    // What it has elsewhere is named and asked last.
    for target in 0..20 {
        let closest = node.closest_nodes(&[target * 13; 32]);
        let crowd = closest.iter().filter(|one| one.ip().octets()[1] == 1);
        assert_eq!((closest.len(), crowd.count() <= PER_NETWORK), (K, true));
    }
    let recent = node.recent_nodes(1000);
    let others = recent.iter().filter(|one| one.ip().octets()[1] == 2);
    let first = &recent[..others.count() + PER_NETWORK];
    let crowd = first.iter().filter(|one| one.ip().octets()[1] == 1);
    assert_eq!(crowd.count(), PER_NETWORK);
}

#[test]
fn a_response_names_two_nodes_of_a_network_at_most() {
    let now = Instant::now();
    let mut node = public(now);
    let others: Vec<_> = (0..6).map(|host| at(&format!("50.2.{host}.1"), 1)).collect();
    for other in &others {
        meet(&mut node, now, *other);
    }
    for number in 0..1000_u16 {
        meet(&mut node, now, at(&format!("50.1.1.{}", number % 250), 1 + number));
    }
    for target in 0..50 {
        let named = named_by(&mut node, now, [target * 5; 32]);
        let of_crowd = named.iter().filter(|one| one.ip().octets()[1] == 1).count();
        assert_eq!((of_crowd, named.len()), (PER_NETWORK, others.len() + PER_NETWORK));
        assert!(others.iter().all(|other| named.contains(other)));
    }
}

#[test]
fn a_node_names_all_it_knows_while_that_is_its_own_subnet_alone() {
    let now = Instant::now();
    let mut node = public(now);
    for host in 10..60 {
        meet(&mut node, now, at(&format!("8.8.4.{host}"), 1));
    }
    assert_eq!(named_by(&mut node, now, [7; 32]).len(), K);
    meet(&mut node, now, at("50.1.1.1", 1));
    assert_eq!(named_by(&mut node, now, [7; 32]).len(), PER_NETWORK + 1);
}

#[test]
fn a_network_that_is_full_of_one_subnet_replaces_its_dead_by_its_own() {
    let mut table = Table::new(NodeId([0; 32]), PER_NETWORK);
    let insert = |table: &mut Table, number: u8, ip: &str, added: u64| {
        let mut id = [number; 32];
        id[0] |= 0x80;
        table.insert(TableEntry {
            id: NodeId(id),
            address: at(ip, 1),
            added,
            pinged: added,
            sampled: 0,
            down_hints: 0,
            heard: added,
        })
    };
    for number in 0..20 {
        let ip = match number {
            0 => "60.1.1.1".into(),
            _ => format!("50.1.1.{number}"),
        };
        assert!(insert(&mut table, number, &ip, number.into()));
    }
    assert!(!insert(&mut table, 30, "50.1.1.30", 30));
    let newcomer = NodeId([0xff; 32]);
    // The one that came first is another network's, so it is safe from this one's.
    let weakest = |newcomer_ip| table.weakest(&newcomer, &at(newcomer_ip, 1), 99);
    let address = |ip| weakest(ip).map(|entry| *entry.address.ip());
    assert_eq!(address("50.1.1.30"), Some(Ipv4Addr::new(50, 1, 1, 1)));
    assert_eq!(address("70.1.1.1"), Some(Ipv4Addr::new(60, 1, 1, 1)));
    // Another network need not wait for anybody's death.
    assert!(table.is_full_for(&newcomer, &at("50.1.1.30", 1)));
    assert!(!table.is_full_for(&newcomer, &at("70.1.1.1", 1)));
    assert!(insert(&mut table, 31, "70.1.1.1", 31));
    assert_eq!(table.len(), K);
    assert!(table.recent().contains(&at("60.1.1.1", 1)));
    assert!(!table.recent().contains(&at("50.1.1.19", 1)), "the last to come");
}

#[test]
fn a_walk_in_one_subnet_asks_everybody_and_another_only_its_share() {
    let subnet: Vec<_> = (1..=200).map(|host| at(&format!("80.1.1.{host}"), 1)).collect();
    for others in [0, 5, 60] {
        let elsewhere = (0..others).map(|host| at(&format!("81.1.{host}.1"), 1));
        let all: Vec<_> = elsewhere.chain(subnet.iter().copied()).collect();
        let mut walk = Walk::new([0; 32], 1, PER_NETWORK);
        walk.add(all[0], Rank::ByDistance);
        let mut asked = Vec::new();
        loop {
            let round: Vec<_> = std::iter::from_fn(|| walk.next(10)).collect();
            if round.is_empty() {
                break;
            }
            assert!(!walk.is_over(false), "{others}: {} are asked", round.len());
            for node in round {
                let named = all.chunks(K).cycle().nth(asked.len()).map(<[_]>::to_vec);
                walk.on_answer(&answer(node, named.unwrap_or_default()), |_| false);
                asked.push(node);
            }
        }
        assert!(walk.is_over(false));
        let closest = walk.take_closest();
        assert_eq!(closest.len(), K);
        let of_subnet = |node: &&SocketAddrV4| subnet.contains(node);
        let found = closest.iter().map(|answer| &answer.from);
        match others {
            0 => assert_eq!(asked.len(), K),
            5 => assert_eq!(found.filter(of_subnet).count(), K - 5),
            _ => assert_eq!(asked.iter().filter(of_subnet).count(), PER_NETWORK),
        }
    }
}

#[test]
fn a_silent_node_does_not_keep_a_walk_from_the_others_of_its_subnet() {
    let mut walk = Walk::new([0; 32], 1, PER_NETWORK);
    for host in 1..=5 {
        walk.add(at("80.1.1.1", host), Rank::ByDistance);
    }
    let first: Vec<_> = std::iter::from_fn(|| walk.next(10)).collect();
    assert_eq!(first.len(), PER_NETWORK);
    walk.on_answer(&answer(first[0], Vec::new()), |_| false);
    assert_eq!(walk.next(10), None, "the other one may name somebody else");
    walk.on_late(first[1]);
    let more: Vec<_> = std::iter::from_fn(|| walk.next(10)).collect();
    assert_eq!(more.len(), 3);
    for node in more {
        walk.on_answer(&answer(node, Vec::new()), |_| false);
    }
    walk.on_answer(&answer(first[1], Vec::new()), |_| false);
    assert!(walk.is_over(false));
    assert_eq!(walk.take_closest().len(), 5);
}

#[test]
fn a_few_addresses_cannot_surround_a_target() {
    let target = [0; 32];
    let mut walk = Walk::new(target, 1, PER_NETWORK);
    // All ports of two addresses, nearest to the target, and some honest nodes.
    let mut hostile: Vec<_> =
        (1..4000).flat_map(|port| [at("66.6.6.6", port), at("77.7.7.7", port)]).collect();
    hostile.sort_by_key(|node| NodeId::of(*node).distance(&target));
    hostile.truncate(40);
    let honest: Vec<_> = (1..60).map(|host| at(&format!("80.1.{host}.1"), 1)).collect();
    walk.add(honest[0], Rank::First);
    let mut asked = Vec::new();
    while let Some(node) = walk.next(10) {
        asked.push(node);
        let closer = if hostile.contains(&node) {
            hostile[..20].to_vec()
        } else {
            let named = hostile.iter().take(10).chain(&honest[1..]);
            named.copied().collect::<Vec<_>>()
        };
        for closer in closer.chunks(20) {
            walk.on_answer(&answer(node, closer.to_vec()), |_| false);
        }
    }
    let asked_hostile = asked.iter().filter(|node| hostile.contains(node)).count();
    assert_eq!(asked_hostile, 2 * PER_NETWORK);
    assert!(walk.is_over(false));
    let closest = walk.take_closest();
    assert_eq!(closest.len(), K);
    let found = closest.iter().filter(|answer| honest.contains(&answer.from));
    assert_eq!(found.count(), K - 2 * PER_NETWORK);
}

#[test]
fn a_node_of_a_network_that_does_not_answer_leaves_its_place_to_another() {
    let mut walk = Walk::new([0; 32], 1, PER_NETWORK);
    for port in 1..10 {
        walk.add(at("80.1.1.1", port), Rank::ByDistance);
    }
    let first: Vec<_> = std::iter::from_fn(|| walk.next(10)).collect();
    assert_eq!(first.len(), PER_NETWORK);
    walk.add(at("80.1.1.9", 1000), Rank::ByDistance);
    assert_eq!(walk.next(10), None);
    walk.on_failure(first[0]);
    let next = walk.next(10);
    assert!(next.is_some_and(|node| !first.contains(&node)));
    assert_eq!(walk.next(10), None, "one place, one node");
}

#[test]
fn of_those_that_named_a_silent_node_so_many_hear_of_it() {
    let target = [0; 32];
    let mut walk = Walk::new(target, 1, usize::MAX);
    let ports = (1..200).map(|port| at("80.2.2.2", port));
    let silent = ports.min_by_key(|node| NodeId::of(*node).distance(&target)).expect("one is nearest");
    for host in 1..=K {
        walk.add(at(&format!("80.1.{host}.1"), 1), Rank::ByDistance);
    }
    for node in std::iter::from_fn(|| walk.next(K)).collect::<Vec<_>>() {
        walk.on_answer(&answer(node, vec![silent]), |_| false);
    }
    assert_eq!(walk.next(1), Some(silent));
    assert_eq!(walk.on_failure(silent).len(), MAX_NAMERS);
}

/// Returns the nodes that a response to a stranger names.
fn named_by(node: &mut Node, now: Instant, target: [u8; 32]) -> Vec<SocketAddrV4> {
    let (stranger, to) = (at("99.1.1.1", 1), at("8.8.4.4", 49737));
    // With a token the budget of the stranger's network does not count.
    let token = node.service().issue_token(now, *stranger.ip());
    let find = Request {
        tid: 1,
        to,
        id: Some(NodeId::of(stranger)),
        token: Some(token),
        internal: true,
        command: rpc::FIND_NODE,
        target: Some(target),
        value: None,
    };
    while node.poll_transmit().is_some() {}
    node.handle_datagram(now, SocketId::SERVER, stranger, &find.to_bytes());
    let responses = std::iter::from_fn(|| node.poll_transmit()).filter_map(|sent| {
        match Packet::decode(&mut Reader::new(&sent.payload)) {
            Ok(Packet::Response(response)) => Some(response.closer),
            _ => None,
        }
    });
    responses.last().expect("a response")
}

/// The share of one /24 network.
const PER_NETWORK: usize = 2;
