//! Answers that leave a moment later, so that peers of the reference, which are slower, keep the order that
//! they count on.

use std::time::{Duration, Instant};

use super::world::{address, client_address, server};
use crate::dht::node::MAX_HELD;
use crate::dht::serve::MAX_DELAYED;
use crate::dht::{Config, Event, Incoming, Node, NodeId};
use crate::keys::KeyPair;
use crate::wire::compact::{Decode, Encode};
use crate::wire::rpc::{FIND_NODE, PEER_HOLEPUNCH, PING_NAT, Packet, Request};
use crate::wire::transmit::SocketId;

#[test]
fn a_newcomer_hears_whether_its_firewall_is_open_before_its_walk_ends() {
    let now = Instant::now();
    let mut node = node(now);
    ask(&mut node, now, 1, (true, FIND_NODE), None);
    ask(&mut node, now, 2, (true, PING_NAT), None);
    assert_eq!(answered(&mut node), [2]);
    let (at, why) = node.poll_timeout().expect("an answer is put off");
    assert_eq!(why, "put off");
    assert!(at > now && at < now + Duration::from_millis(1));
    node.handle_timeout(at);
    assert_eq!(answered(&mut node), [1]);
    // A node that serves has nothing to wait for.
    ask(&mut node, at, 3, (true, FIND_NODE), Some(NodeId::of(address(9))));
    assert!(answered(&mut node).contains(&3));
}

#[test]
fn a_busy_node_puts_nothing_off() {
    let now = Instant::now();
    let mut node = node(now);
    let most = MAX_HELD as u16;
    for tid in 0..most + 3 {
        ask(&mut node, now, tid, (true, FIND_NODE), None);
    }
    assert_eq!(answered(&mut node), [most, most + 1, most + 2]);
    node.handle_timeout(now + Duration::from_millis(1));
    assert_eq!(answered(&mut node).len(), MAX_HELD);
}

#[test]
fn what_is_to_be_passed_on_later_leaves_at_once_when_too_much_waits() {
    let now = Instant::now();
    let later = now + Duration::from_millis(10);
    let mut node = node(now);
    let mut incoming = None;
    ask(&mut node, now, 1, (false, PEER_HOLEPUNCH), None);
    while let Some(event) = node.poll_event() {
        if let Event::Incoming(one) = event {
            incoming = Some(one);
        }
    }
    let incoming: Incoming = incoming.expect("the layer above decides");
    for _ in 0..MAX_DELAYED {
        node.relay_at(now, later, &incoming, address(7), Vec::new(), None);
    }
    assert!(node.poll_transmit().is_none());
    node.relay_at(now, later, &incoming, address(7), Vec::new(), None);
    assert!(node.poll_transmit().is_some());
    node.handle_timeout(later);
    let sent = std::iter::from_fn(|| node.poll_transmit());
    assert_eq!(sent.count(), MAX_DELAYED);
}

fn node(now: Instant) -> Node {
    let config = Config { private_network: true, ..server() };
    let mut node = Node::new(now, config, [1; 32]);
    node.handle_sockets(now, address(0), client_address(0));
    while node.poll_event().is_some() {}
    node
}

/// Lets a peer ask something, by one of the commands of the RPC layer or not.
fn ask(node: &mut Node, now: Instant, tid: u16, (internal, command): (bool, u64), id: Option<NodeId>) {
    let target = KeyPair::from_seed(&[1; 32]).public_key().target();
    let request = Request {
        tid,
        to: address(0),
        id,
        token: None,
        internal,
        command,
        target: Some(target),
        value: Some(vec![1, 2]),
    };
    node.handle_datagram(now, SocketId::SERVER, address(9), &request.to_bytes());
}

/// Returns the tids of the answers that leave now.
fn answered(node: &mut Node) -> Vec<u16> {
    let sent = std::iter::from_fn(|| node.poll_transmit());
    sent.filter_map(|sent| match Packet::from_bytes(&sent.payload) {
        Ok(Packet::Response(response)) => Some(response.tid),
        _ => None,
    })
    .collect()
}
