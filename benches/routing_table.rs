//! A node with a full routing table: finding the closest nodes, and answering one that asks.

use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use hyperprofile::dht::{Config, Node};
use hyperprofile::wire::rpc::{FIND_NODE, NodeId, Packet, Request, Response};
use hyperprofile::wire::transmit::SocketId;
use hyperprofile::wire::{Decode, Encode};

/// Nodes in the network.
const NODES: u32 = 20_000;

fn routing_table(criterion: &mut Criterion) {
    let mut now = Instant::now();
    let config = Config { bootstrap: vec![address(0)], ..Config::default() };
    let mut node = Node::new(now, config, [1; 32]);
    node.handle_sockets(now, address(NODES), address(NODES + 1));
    node.bootstrap(now);
    for walk in 0..64 {
        node.find_node(now, target(walk));
        now += Duration::from_millis(10);
        answer_all(&mut node, now);
    }
    let mut group = criterion.benchmark_group("routing table");
    let mut count = 0;
    group.bench_function("closest nodes", |bencher| {
        bencher.iter(|| {
            count += 1;
            let closest = node.closest_nodes(&target(count));
            assert_eq!(closest.len(), 20, "the table is full enough");
            closest
        });
    });
    group.bench_function("answer to a request", |bencher| {
        bencher.iter(|| {
            count += 1;
            let request = Request {
                tid: count as u16,
                to: address(NODES),
                id: None,
                token: None,
                internal: true,
                command: FIND_NODE,
                target: Some(target(count)),
                value: None,
            };
            node.handle_datagram(now, SocketId::SERVER, address(count % NODES), &request.to_bytes());
            black_box(node.poll_transmit()).expect("every request is answered")
        });
    });
    group.finish();
}

/// Answers everything that the node asks, as a network would in which everybody knows twenty others.
fn answer_all(node: &mut Node, now: Instant) {
    let mut count = 0;
    while let Some(transmit) = node.poll_transmit() {
        while node.poll_event().is_some() {}
        let Ok(Packet::Request(request)) = Packet::from_bytes(&transmit.payload) else {
            continue;
        };
        count += 20;
        let response = Response {
            tid: request.tid,
            to: address(NODES),
            id: Some(NodeId::of(transmit.destination)),
            token: None,
            closer: (0..20).map(|n| address((count + n) * 7919 % NODES)).collect(),
            error: 0,
            value: None,
        };
        node.handle_datagram(now, transmit.socket, transmit.destination, &response.to_bytes());
    }
}

fn target(n: u32) -> [u8; 32] {
    NodeId::of(address(n.wrapping_mul(0x9e37_79b1))).0
}

/// Public addresses, as no others are kept.
fn address(n: u32) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::from(0x2000_0000 | (n & 0x0fff_ffff)), 49_737)
}

criterion_group!(benches, routing_table);
criterion_main!(benches);
