//! What strangers of the public network may make a node keep and send: each bound is filled here.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use super::world::server;
use crate::dht::budget::{
    AMPLIFICATION, Budget, FORWARD_BURST, FORWARD_RATE, MAX_NETWORKS, UNPROVEN_BURST, UNPROVEN_RATE,
};
use crate::dht::membership::{MAX_GREETINGS, MAX_GREETINGS_PER_NETWORK};
use crate::dht::{Answer, Config, Event, K, Node, NodeId, Reply};
use crate::wire::compact::{Decode, Encode, Reader};
use crate::wire::rpc::{self, Packet, Request, Response};
use crate::wire::transmit::{SocketId, Transmit};

#[test]
fn a_victim_gets_three_times_what_was_sent_in_its_name_and_a_small_budget() {
    let start = Instant::now();
    let mut node = crowded(start);
    let victim = at("99.1.2.3", 50);
    let datagram = request(rpc::LOOKUP, Some([7; 32]), None).to_bytes();
    let mut got = 0;
    let rounds = 20_000;
    for _ in 0..rounds {
        node.handle_datagram(start, SocketId::SERVER, victim, &datagram);
        got += sent(&mut node).iter().map(|sent| sent.payload.len()).sum::<usize>();
    }
    let most = AMPLIFICATION * rounds * datagram.len() + UNPROVEN_BURST as usize;
    assert!(got <= most, "{got} bytes, {most} allowed");
    assert!(got > 2 * rounds * datagram.len(), "still of use: {got}");
    assert!(node.stats().trimmed > 10_000);
    // Its neighbours share the budget, others do not.
    for (address, closer) in [("99.1.2.99", 9), ("99.1.3.3", K)] {
        node.handle_datagram(start, SocketId::SERVER, at(address, 1), &datagram);
        assert_eq!(response(&mut node).closer.len(), closer, "{address}");
    }
    // Who shows a token gets all of it.
    let token = node.service().issue_token(start, *victim.ip());
    let proven = request(rpc::LOOKUP, Some([7; 32]), Some(token)).to_bytes();
    node.handle_datagram(start, SocketId::SERVER, victim, &proven);
    assert_eq!(response(&mut node).closer.len(), K);
    // The budget comes back by and by.
    let later = start + Duration::from_secs(UNPROVEN_BURST / UNPROVEN_RATE);
    node.handle_datagram(later, SocketId::SERVER, victim, &datagram);
    assert_eq!(response(&mut node).closer.len(), K);
}

#[test]
fn an_answer_that_cannot_be_cut_is_not_given_once_the_budget_is_spent() {
    let start = Instant::now();
    let mut node = crowded(start);
    let victim = at("99.1.2.3", 50);
    let ping = Request { internal: true, ..request(rpc::PING, None, None) };
    let datagram = ping.to_bytes();
    node.handle_datagram(start, SocketId::SERVER, victim, &datagram);
    let excess = sent(&mut node)[0].payload.len() - AMPLIFICATION * datagram.len();
    let rounds = UNPROVEN_BURST as usize / excess + 100;
    for _ in 0..rounds {
        node.handle_datagram(start, SocketId::SERVER, victim, &datagram);
        sent(&mut node);
    }
    let dropped = node.stats().drops.budget;
    assert!((99..=101).contains(&dropped), "{dropped}");
}

#[test]
fn a_network_makes_us_send_only_so_many_packets_to_others() {
    let start = Instant::now();
    let mut node = crowded(start);
    let source = at("99.1.2.3", 50);
    let handshake =
        Request { value: Some(vec![0; 300]), ..request(rpc::PEER_HANDSHAKE, Some([7; 32]), None) };
    let datagram = handshake.to_bytes();
    let mut pass_on = |now: Instant, from: SocketAddrV4, reply: bool| {
        node.handle_datagram(now, SocketId::SERVER, from, &datagram);
        let Some(Event::Incoming(incoming)) = node.poll_event() else {
            panic!("a handshake is for the layer above");
        };
        if reply {
            let reply = Reply { to: Some(at("77.7.7.7", 7)), value: Some(vec![0; 300]), ..Reply::default() };
            node.reply(now, &incoming, reply);
        } else {
            node.relay(now, &incoming, at("77.7.7.7", 7), vec![0; 300], None);
        }
        sent(&mut node).len()
    };
    let passed: usize = (0..2 * FORWARD_BURST).map(|round| pass_on(start, source, round % 2 == 0)).sum();
    assert_eq!(passed as u64, FORWARD_BURST);
    assert_eq!(pass_on(start, at("99.1.2.200", 1), false), 0, "a neighbour");
    assert_eq!(pass_on(start, at("99.1.3.3", 1), false), 1, "somebody else");
    let later = start + Duration::from_secs(1);
    let passed: usize = (0..2 * FORWARD_BURST).map(|_| pass_on(later, source, false)).sum();
    assert_eq!(passed as u64, FORWARD_RATE);
}

#[test]
fn budgets_are_kept_for_so_many_networks() {
    let now = Instant::now();
    let mut budget = Budget::new(10, 1);
    for number in 0..3 * MAX_NETWORKS as u32 {
        let source = Ipv4Addr::from(0x0b00_0000 + (number << 8));
        assert!(budget.spend(now, source, 10));
        assert!(budget.len() <= MAX_NETWORKS);
        assert!(!budget.spend(now, source, 1));
    }
    assert!(budget.spend(now, Ipv4Addr::LOCALHOST, 1000), "no network");
}

#[test]
fn only_who_answers_our_ping_enters_the_table_of_a_public_node() {
    let now = Instant::now();
    let mut node = public(now);
    let honest = at("50.1.1.1", 1000);
    let find = |from: SocketAddrV4| Request {
        id: Some(NodeId::of(from)),
        internal: true,
        ..request(rpc::FIND_NODE, Some([7; 32]), None)
    };
    // Anybody can write these addresses on a request.
    for number in 0..200 {
        let from = at(&format!("60.1.{number}.1"), 1000);
        node.handle_datagram(now, SocketId::SERVER, from, &find(from).to_bytes());
    }
    let pings = |sent: &[Transmit]| sent.iter().filter_map(asked).collect::<Vec<_>>();
    assert_eq!(pings(&sent(&mut node)).len(), MAX_GREETINGS);
    assert_eq!(node.table_len(), 0);
    let later = now + Duration::from_secs(3);
    node.handle_timeout(now + Duration::from_secs(1));
    node.handle_timeout(later);
    sent(&mut node);
    let datagram = find(honest).to_bytes();
    node.handle_datagram(later, SocketId::SERVER, honest, &datagram);
    let (to, tid) = pings(&sent(&mut node))[0];
    assert_eq!((to, node.table_len()), (honest, 0));
    pong(&mut node, later, honest, tid);
    assert_eq!(node.recent_nodes(9), [honest]);
    // Those of one network leave room for others.
    for port in 1..100 {
        let from = at("70.1.1.1", port);
        node.handle_datagram(later, SocketId::SERVER, from, &find(from).to_bytes());
    }
    assert_eq!(pings(&sent(&mut node)).len(), MAX_GREETINGS_PER_NETWORK);
    // A second request of a node that is known costs no ping.
    node.handle_datagram(later, SocketId::SERVER, honest, &datagram);
    assert_eq!(pings(&sent(&mut node)), []);
}

/// Makes a persistent node of the public network that knows no other.
pub(super) fn public(now: Instant) -> Node {
    let address = at("8.8.4.4", 49737);
    let config = Config { public_address: Some(address), ..server() };
    let mut node = Node::new(now, config, [1; 32]);
    let any = |port| SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port);
    node.handle_sockets(now, any(49737), any(1));
    node.bootstrap(now);
    while node.poll_event().is_some() {}
    node
}

/// Makes one that knows enough to fill any list.
fn crowded(now: Instant) -> Node {
    let mut node = public(now);
    for host in 0..200 {
        meet(&mut node, now, at(&format!("50.1.{host}.1"), 1000));
    }
    sent(&mut node);
    node
}

/// Lets a node of the network answer a request of the node.
pub(super) fn meet(node: &mut Node, now: Instant, other: SocketAddrV4) {
    node.request(now, crate::dht::Outgoing::internal(other, rpc::PING));
    if let Some((to, tid)) = sent(node).iter().find_map(asked) {
        pong(node, now, to, tid);
    }
    while node.poll_event().is_some() {}
}

fn pong(node: &mut Node, now: Instant, from: SocketAddrV4, tid: u16) {
    let pong = Response {
        tid,
        to: at("8.8.4.4", 49737),
        id: Some(NodeId::of(from)),
        token: None,
        closer: Vec::new(),
        error: 0,
        value: None,
    };
    node.handle_datagram(now, SocketId::SERVER, from, &pong.to_bytes());
}

fn request(command: u64, target: Option<[u8; 32]>, token: Option<[u8; 32]>) -> Request {
    Request {
        tid: 1,
        to: at("8.8.4.4", 49737),
        id: None,
        token,
        internal: false,
        command,
        target,
        value: None,
    }
}

pub(super) fn answer(from: SocketAddrV4, closer: Vec<SocketAddrV4>) -> Answer {
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

pub(super) fn at(ip: &str, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(ip.parse().expect("an address"), port)
}

fn sent(node: &mut Node) -> Vec<Transmit> {
    std::iter::from_fn(|| node.poll_transmit()).collect()
}

/// Returns whom a datagram pings, and under which tid.
fn asked(transmit: &Transmit) -> Option<(SocketAddrV4, u16)> {
    match Packet::decode(&mut Reader::new(&transmit.payload)) {
        Ok(Packet::Request(request)) if request.internal && request.command == rpc::PING => {
            Some((transmit.destination, request.tid))
        }
        _ => None,
    }
}

fn response(node: &mut Node) -> Response {
    let sent = sent(node);
    match Packet::decode(&mut Reader::new(&sent[0].payload)) {
        Ok(Packet::Response(response)) => response,
        other => panic!("not a response: {other:?}"),
    }
}
