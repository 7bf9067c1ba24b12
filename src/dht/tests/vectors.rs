//! The parts against what the reference does.

use std::collections::{HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::dht::nat::{Sampled, Sampler};
use crate::dht::sign::{Announcement, verified};
use crate::dht::store::{Refresh, Store};
use crate::dht::table::{K, Table, TableEntry, nearer};
use crate::dht::token::Tokens;
use crate::dht::types::Answer;
use crate::dht::walk::{Rank, Walk};
use crate::keys::{KeyPair, PublicKey};
use crate::wire::compact::Encode;
use crate::wire::records::AnnounceKind;
use crate::wire::rpc::NodeId;
use crate::wire::transmit::SocketId;
use crate::wire::vectors::{addr4, addrs4, fixed, hex, list, load, number, option, text};

#[test]
fn tokens_are_those_of_the_reference() {
    let vectors = &load("rpc.json")["token"];
    let secrets = [fixed(&vectors["secret0"]), fixed(&vectors["secret1"])];
    let now = Instant::now();
    let mut tokens = Tokens::with_secrets(now, secrets);
    for case in list(&vectors["tokens"]) {
        let host: Ipv4Addr = text(&case["host"]).parse().expect("an address");
        assert_eq!(tokens.issue(now, host), fixed(&case["withSecret1"]));
        assert!(tokens.accepts(now, host, &fixed(&case["withSecret0"])));
    }
    let after = &vectors["afterTenDrains"];
    let later = now + Duration::from_millis(7500);
    let mut expected = Tokens::with_secrets(later, [fixed(&after["secret0"]), fixed(&after["secret1"])]);
    let host = Ipv4Addr::LOCALHOST;
    assert_eq!(tokens.issue(later, host), expected.issue(later, host));
}

#[test]
fn the_sampler_agrees_with_the_reference_at_every_step() {
    for case in list(&load("rpc.json")["natSampler"]) {
        let mut sampler = Sampler::default();
        for (number_of, step) in list(&case["steps"]).iter().enumerate() {
            let (host, port) = (text(&step["sample"][0]), number(&step["sample"][1]));
            let ip: Ipv4Addr = host.parse().expect("an address");
            sampler.add(SocketAddrV4::new(ip, port.try_into().expect("a port")));
            let host = option(&step["host"], |host| text(host).parse().expect("an address"));
            let expected = match (host, option(&step["port"], number).unwrap_or(0)) {
                (None, _) => Sampled::Unknown,
                (Some(host), 0) => Sampled::Host(host),
                (Some(host), port) => {
                    Sampled::Address(SocketAddrV4::new(host, port.try_into().expect("a port")))
                }
            };
            assert_eq!(sampler.sampled(), expected, "{}, step {number_of}", case["name"]);
        }
    }
}

#[test]
fn the_table_takes_the_nodes_that_the_reference_takes_and_finds_the_nearest() {
    let vectors = &load("rpc.json")["routingTable"];
    let mut table = Table::new(NodeId(fixed(&vectors["id"])), usize::MAX);
    let mut known = Vec::new();
    for node in list(&vectors["nodes"]) {
        let address = addr4(node);
        assert_eq!(NodeId::of(address).0, fixed(&node["id"]));
        let added = table.insert(entry(address));
        assert_eq!(Some(added), node["added"].as_bool(), "{address}");
        known.extend(added.then_some(address));
    }
    for case in list(&vectors["closest"]) {
        let target = fixed(&case["target"]);
        assert_eq!(table.closest(&target), nearest(&known, &target));
        assert_eq!(table.closest_by_row(&target), addrs4(&case["result"]));
    }
}

#[test]
fn walks_find_the_true_closest_with_no_more_requests_than_the_reference() {
    for case in list(&load("rpc.json")["querySimulations"]) {
        let addresses: Vec<_> = (0..number(&case["nodes"])).map(simulated).collect();
        let mut tables: HashMap<_, _> = HashMap::new();
        for address in &addresses {
            let mut table = Table::new(NodeId::of(*address), usize::MAX);
            for other in &addresses {
                table.insert(entry(*other));
            }
            tables.insert(*address, table);
        }
        let target = fixed(&case["target"]);
        let mut walk = Walk::new(target, 1, usize::MAX);
        let named = |list: &str| -> Vec<SocketAddrV4> {
            let all = case[list].as_array().expect("a list");
            all.iter().map(|node| text(node).parse().expect("an address")).collect()
        };
        if let Some(start) = option(&case["startNodes"], addrs4) {
            for node in start {
                walk.add(node, Rank::First);
            }
        } else if case["tableKept"] == true {
            for node in nearest(&named("bootstrapOrder"), &target) {
                walk.add(node, Rank::ByDistance);
            }
        } else {
            walk.add(addr4(&case["bootstrap"]), Rank::First);
        }
        let mut asked = VecDeque::new();
        while !walk.is_over(false) {
            while let Some(node) = walk.next(10) {
                asked.push_back(node);
            }
            let node = asked.pop_front().expect("a walk that is not over waits for somebody");
            let closer = tables[&node].closest(&target);
            walk.on_answer(&answer(node, closer), |_| false);
        }
        let (successes, theirs) = (walk.successes(), number(&case["successes"]));
        assert!(successes as u64 <= theirs, "{}: {successes} to {theirs}", case["name"]);
        let closest: Vec<_> = walk.take_closest().iter().map(|answer| answer.from).collect();
        assert_eq!(closest, named("trueClosest"), "{}", case["name"]);
    }
}

#[test]
fn the_walk_that_follows_the_reference_asks_in_its_order() {
    for case in &list(&load("rpc.json")["querySimulations"])[..2] {
        let addresses: Vec<_> = (0..number(&case["nodes"])).map(simulated).collect();
        let table_of = |id: NodeId, nodes: &[SocketAddrV4]| {
            let mut table = Table::new(id, usize::MAX);
            for node in nodes {
                table.insert(entry(*node));
            }
            table
        };
        let named = |list: &str| -> Vec<SocketAddrV4> {
            let all = case[list].as_array().expect("a list");
            all.iter().map(|node| text(node).parse().expect("an address")).collect()
        };
        let target = fixed(&case["target"]);
        let mut walk = Walk::new(target, 1, usize::MAX);
        walk.set_newest_first(true);
        if case["tableKept"] == true {
            let id = NodeId(fixed(&case["clientTableId"]));
            let table = table_of(id, &named("bootstrapOrder"));
            for node in table.closest_by_row(&target) {
                walk.add(node, Rank::ByDistance);
            }
        } else {
            walk.add(addr4(&case["bootstrap"]), Rank::First);
        }
        let mut order = Vec::new();
        let mut asked = VecDeque::new();
        while !walk.is_over(false) {
            while let Some(node) = walk.next(10) {
                order.push(node);
                asked.push_back(node);
            }
            let Some(node) = asked.pop_front() else {
                break;
            };
            let closer = table_of(NodeId::of(node), &addresses).closest_by_row(&target);
            walk.on_answer(&answer(node, closer), |_| false);
        }
        assert_eq!(order, named("order"), "{}", case["name"]);
    }
}

#[test]
fn announcements_are_signed_as_by_the_reference() {
    for case in list(&load("rpc.json")["announceSignatures"]) {
        let key_pair = KeyPair::from_seed(&fixed(&case["seed"]));
        let (target, token) = (fixed(&case["target"]), fixed(&case["token"]));
        let node = NodeId(fixed(&case["nodeId"]));
        let kind = match text(&case["kind"]) {
            "announce" => AnnounceKind::Announce,
            _ => AnnounceKind::Unannounce,
        };
        let announcement = Announcement {
            identity: &(&key_pair).into(),
            target,
            relays: &addrs4(&case["peer"]["relayAddresses"]),
            bump: number(&case["bump"]),
        };
        let mut made = announcement.sign(kind, &node, &token);
        if case["refresh"].is_null() {
            assert_eq!(made.to_bytes(), hex(&case["requestValue"]), "{}", case["name"]);
        } else {
            // A node never makes these, but must verify them.
            made.refresh = Some(fixed(&case["refresh"]));
            made.signature = Some(fixed(&case["signature"]));
        }
        assert!(verified(&made, &target, &node, &token, kind).is_some());
        assert!(verified(&made, &target, &node, &[0; 32], kind).is_none());
    }
}

#[test]
fn the_stores_age_as_at_the_reference() {
    let vectors = &load("rpc.json")["caches"];
    let now = Instant::now();
    let (topic, key, from) = ([1; 32], PublicKey::from_bytes([2; 32]), simulated(1));
    let mut rng = StdRng::seed_from_u64(1);
    let mut store = Store::new(now);
    let announce = |store: &mut Store, record: &str| {
        let entry = Refresh { target: topic, public_key: key, record: record.as_bytes().to_vec() };
        store.announce(from, entry, None, store.generation()).expect("has room");
    };
    let mut records = |store: &Store| -> Vec<String> {
        let records = store.sample(&topic, K, &mut rng);
        let texts = records.into_iter().map(|record| String::from_utf8_lossy(record).into_owned());
        texts.collect()
    };
    let expected = |name: &str| -> Vec<String> {
        let list = vectors["recordCache"][name].as_array().expect("a list");
        list.iter().map(|record| text(record).to_owned()).collect()
    };
    announce(&mut store, "v1");
    announce(&mut store, "v2");
    assert_eq!(records(&store), expected("notReplaced"));
    store.sweep_announcements(now);
    assert_eq!(records(&store), expected("afterOneGc"));
    announce(&mut store, "v3");
    assert_eq!(records(&store), expected("replacedFromStale"));
    store.sweep_announcements(now);
    store.sweep_announcements(now);
    assert_eq!(records(&store), expected("afterTwoMoreGcs"));

    let set = |store: &mut Store| store.set_mutable(*from.ip(), topic, vec![1]).expect("has room");
    set(&mut store);
    store.sweep_values(now);
    assert!(store.mutable(&topic).is_some());
    store.sweep_values(now);
    assert!(store.mutable(&topic).is_some(), "a read makes it young again");
    store.sweep_values(now);
    store.sweep_values(now);
    assert!(store.mutable(&topic).is_none());
    set(&mut store);
    store.sweep_values(now);
    store.sweep_values(now);
    assert!(store.mutable(&topic).is_none());
    assert_eq!((store.len(), store.used()), (0, 0));
}

/// Returns the address of a node of the simulations.
fn simulated(number: u64) -> SocketAddrV4 {
    let [.., high, low] = number.to_be_bytes();
    let port = 5000 + u16::try_from(number).expect("few nodes");
    SocketAddrV4::new(Ipv4Addr::new(10, 60, high, low), port)
}

fn entry(address: SocketAddrV4) -> TableEntry {
    TableEntry { id: NodeId::of(address), address, added: 1, pinged: 1, sampled: 0, down_hints: 0, heard: 0 }
}

fn answer(from: SocketAddrV4, closer: Vec<SocketAddrV4>) -> Answer {
    Answer {
        from,
        to: from,
        socket: SocketId::SERVER,
        id: Some(NodeId::of(from)),
        token: None,
        closer,
        error: 0,
        value: None,
        rtt: Duration::ZERO,
    }
}

/// Sorts all of them: slow and obviously right.
fn nearest(all: &[SocketAddrV4], target: &[u8; 32]) -> Vec<SocketAddrV4> {
    let mut all = all.to_vec();
    all.sort_by(|a, b| nearer(target, &NodeId::of(*a).0, &NodeId::of(*b).0));
    all.truncate(K);
    all
}
