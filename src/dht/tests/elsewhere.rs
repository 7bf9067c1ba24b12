//! Nodes on hosts with several addresses, which answer from another one than was asked.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Instant;

use super::world::server;
use crate::dht::{Config, Event, Node, NodeId, QueryError};
use crate::keys::PublicKey;
use crate::wire::compact::{Decode, Encode, Reader};
use crate::wire::rpc::{Packet, Request, Response};
use crate::wire::transmit::Transmit;

#[test]
fn a_bootstrap_node_that_answers_from_another_address_is_asked_there_and_counts() {
    let (mut node, now) = guest();
    node.find_peer(now, &PublicKey::from_bytes([1; 32]), Vec::new());
    let first = sent(&mut node);
    assert_eq!(first.len(), 1);
    assert_eq!(first[0].destination, NAMED);
    // The answer itself proves nothing: it need only be guessed.
    answer(&mut node, now, &first[0], OTHER, vec![at(9)]);
    assert_eq!(node.table_len(), 0);
    let again = sent(&mut node);
    assert_eq!(again.len(), 1);
    assert_eq!((again[0].destination, decoded(&again[0]).to), (OTHER, OTHER));
    assert_ne!(decoded(&again[0]).tid, decoded(&first[0]).tid);
    // The same answer once more leads there again, as a lost question is asked again, and under the same tid.
    answer(&mut node, now, &first[0], OTHER, Vec::new());
    assert_eq!(sent(&mut node), again);
    answer(&mut node, now, &again[0], OTHER, vec![at(9)]);
    assert_eq!(node.recent_nodes(9), [OTHER]);
    let next = sent(&mut node);
    assert_eq!(next.len(), 1, "the walk goes on");
    assert_eq!(next[0].destination, at(9));
    answer(&mut node, now, &next[0], at(9), Vec::new());
    let done = std::iter::from_fn(|| node.poll_event()).find_map(|event| match event {
        Event::QueryDone { result, .. } => Some(result),
        _ => None,
    });
    let outcome = done.expect("everybody has answered").expect("two nodes");
    assert_eq!((outcome.asked, outcome.answered), (2, 2));
    assert_eq!(outcome.closest.len(), 2);
}

#[test]
fn a_node_that_the_walk_knows_by_its_other_address_counts_once() {
    let (mut node, now) = guest();
    let seeds = vec![OTHER];
    node.find_peer(now, &PublicKey::from_bytes([1; 32]), seeds);
    let first = sent(&mut node);
    let to = |at| first.iter().find(|one| one.destination == at);
    let (named, other) = (to(NAMED).expect("asked"), to(OTHER).expect("asked"));
    answer(&mut node, now, named, OTHER, Vec::new());
    let again = sent(&mut node);
    answer(&mut node, now, &again[0], OTHER, Vec::new());
    answer(&mut node, now, other, OTHER, Vec::new());
    let done = std::iter::from_fn(|| node.poll_event()).find_map(|event| match event {
        Event::QueryDone { result, .. } => Some(result),
        _ => None,
    });
    let outcome = done.expect("everybody has answered").expect("a node");
    assert_eq!(outcome.closest.len(), 1);
}

#[test]
fn a_bootstrap_node_may_still_answer_where_it_was_asked() {
    let (mut node, now) = guest();
    node.find_peer(now, &PublicKey::from_bytes([1; 32]), Vec::new());
    let first = sent(&mut node);
    answer(&mut node, now, &first[0], OTHER, Vec::new());
    let again = sent(&mut node);
    answer(&mut node, now, &first[0], NAMED, Vec::new());
    assert_eq!(node.recent_nodes(9), [NAMED]);
    answer(&mut node, now, &again[0], OTHER, Vec::new());
    assert_eq!(node.recent_nodes(9), [NAMED], "nobody waits any more");
}

#[test]
fn nobody_else_is_followed_and_nobody_gets_there_by_trying() {
    let (mut node, now) = guest();
    node.find_peer(now, &PublicKey::from_bytes([1; 32]), Vec::new());
    let first = sent(&mut node);
    // Another port is another node.
    let port = SocketAddrV4::new(*OTHER.ip(), 7);
    answer(&mut node, now, &first[0], port, Vec::new());
    assert_eq!(sent(&mut node), []);
    answer(&mut node, now, &first[0], NAMED, vec![at(9)]);
    let next = sent(&mut node);
    assert_eq!(next[0].destination, at(9));
    // A node that another one has named is known by the address that it sends from.
    answer(&mut node, now, &next[0], OTHER, Vec::new());
    assert_eq!(sent(&mut node), []);

    let (mut node, now) = guest();
    node.find_peer(now, &PublicKey::from_bytes([1; 32]), Vec::new());
    let first = sent(&mut node);
    let tid = decoded(&first[0]).tid;
    for wrong in (1..20).map(|step| tid.wrapping_add(step)) {
        let guess = response(wrong, OTHER, Vec::new());
        node.handle_datagram(now, first[0].socket, OTHER, &guess);
    }
    answer(&mut node, now, &first[0], OTHER, Vec::new());
    assert_eq!(sent(&mut node), []);
    assert!(!matches!(node.poll_event(), Some(Event::QueryDone { result: Err(QueryError::NoNodes), .. })));
}

#[test]
fn unrelated_responses_do_not_keep_one_from_being_followed() {
    let (mut node, now) = guest();
    node.find_peer(now, &PublicKey::from_bytes([1; 32]), Vec::new());
    let first = sent(&mut node);
    for host in 0..200 {
        // Another port, as of a node that answers too late, or the address that was asked.
        for from in [at(host), NAMED] {
            node.handle_datagram(now, first[0].socket, from, &response(7, from, Vec::new()));
        }
    }
    answer(&mut node, now, &first[0], OTHER, vec![at(9)]);
    let again = sent(&mut node);
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].destination, OTHER);
}

const NAMED: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(50, 9, 0, 2), 49737);
const OTHER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(50, 9, 0, 1), 49737);

/// Makes a node that knows one bootstrap node.
fn guest() -> (Node, Instant) {
    let now = Instant::now();
    let config = Config { bootstrap: vec![NAMED], ..server() };
    let mut node = Node::new(now, config, [1; 32]);
    let any = |port| SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port);
    node.handle_sockets(now, any(49737), any(1));
    while node.poll_event().is_some() {}
    (node, now)
}

fn at(host: u8) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(60, host, 0, 1), 1000)
}

fn sent(node: &mut Node) -> Vec<Transmit> {
    std::iter::from_fn(|| node.poll_transmit()).collect()
}

fn decoded(transmit: &Transmit) -> Request {
    match Packet::decode(&mut Reader::new(&transmit.payload)) {
        Ok(Packet::Request(request)) => request,
        other => panic!("not a request: {other:?}"),
    }
}

/// Answers a question from some address.
fn answer(node: &mut Node, now: Instant, question: &Transmit, from: SocketAddrV4, closer: Vec<SocketAddrV4>) {
    let datagram = response(decoded(question).tid, from, closer);
    node.handle_datagram(now, question.socket, from, &datagram);
}

fn response(tid: u16, from: SocketAddrV4, closer: Vec<SocketAddrV4>) -> Vec<u8> {
    let response = Response {
        tid,
        to: SocketAddrV4::new(Ipv4Addr::new(50, 1, 1, 1), 5000),
        id: Some(NodeId::of(from)),
        token: Some([7; 32]),
        closer,
        error: 0,
        value: None,
    };
    response.to_bytes()
}
