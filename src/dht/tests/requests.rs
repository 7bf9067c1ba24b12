//! Requests of a node: retries, matching, the window, and answers that are not what they should be.

use std::future::ready;
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::world::{World, address, server};
use crate::dht::membership::MAX_HINT_CHECKS;
use crate::dht::requests::MAX_PENDING;
use crate::dht::sign::Announcement;
use crate::dht::{Config, Event, Node, NodeId, Operation, Outgoing, Query, QueryError, RequestError};
use crate::identity::{Identity, Signer, Signing};
use crate::keys::{KeyPair, PublicKey};
use crate::sim::network::Link;
use crate::wire::compact::{Decode, Encode, Reader};
use crate::wire::records::AnnounceKind;
use crate::wire::rpc::{self, MAX_DATAGRAM, Packet, Request, Response};
use crate::wire::transmit::{SocketId, Transmit};

#[test]
fn a_request_is_sent_four_times_byte_for_byte_and_then_fails() {
    let start = Instant::now();
    let mut node = alone(start);
    let request = node.request(start, Outgoing::internal(address(9), rpc::PING));
    let first = sent(&mut node);
    assert_eq!(first.len(), 1);
    for second in 1..=3 {
        let (at, why) = node.poll_timeout().expect("a retry is due");
        assert_eq!((at, why), (start + Duration::from_secs(second), "request"));
        node.handle_timeout(at);
        assert_eq!(sent(&mut node), first);
    }
    node.handle_timeout(start + Duration::from_secs(4));
    assert!(sent(&mut node).is_empty());
    let failed = Event::Answered { request, result: Err(RequestError::TimedOut) };
    assert_eq!(node.poll_event(), Some(failed));
}

#[test]
fn a_request_in_a_hurry_is_repeated_sooner_at_first() {
    let start = Instant::now();
    let mut node = alone(start);
    let request = Outgoing {
        retries: Outgoing::RETRIES_IN_HURRY,
        hurry: Some(Outgoing::HURRY),
        ..Outgoing::internal(address(9), rpc::PING)
    };
    node.request(start, request);
    let first = sent(&mut node);
    for millis in [300, 900, 1900, 2900] {
        let (at, _) = node.poll_timeout().expect("a retry is due");
        assert_eq!(at, start + Duration::from_millis(millis));
        node.handle_timeout(at);
        assert_eq!(sent(&mut node), first);
    }
    node.handle_timeout(start + Duration::from_millis(3899));
    assert_eq!(node.poll_event(), None);
    node.handle_timeout(start + Duration::from_millis(3900));
    assert!(sent(&mut node).is_empty() && node.poll_event().is_some());
}

#[test]
fn a_walk_asks_again_soon_only_if_it_hangs_on_one_node() {
    for (nodes, millis) in [(1, 300), (2, 1000)] {
        let start = Instant::now();
        let mut node = alone(start);
        let named = (0..nodes).map(|number| address(20 + number)).collect();
        node.find_peer(start, &crate::keys::PublicKey::from_bytes([1; 32]), named);
        let first = sent(&mut node);
        assert_eq!(first.len(), nodes);
        let mut at = start;
        while sent(&mut node).is_empty() {
            at = node.poll_timeout().expect("a retry is due").0;
            node.handle_timeout(at);
        }
        assert_eq!(at, start + Duration::from_millis(millis));
    }
}

#[test]
fn a_slow_link_carries_one_packet_more_for_the_hurry_of_the_first_walk() {
    for (delay, repeated) in [(140, 0), (200, 1), (290, 1)] {
        let link = Link { delay: Duration::from_millis(delay), ..Link::default() };
        let mut world = World::new(7, 30, link);
        let id = world.join(Config::default());
        assert_eq!(world.node(id).stats().retries_sent, repeated, "{delay} ms");
        let (_, found, _) = world.query(id, |node, now| node.find_node(now, [7; 32]));
        assert!(found.is_ok());
        assert_eq!(world.node(id).stats().retries_sent, repeated, "{delay} ms");
    }
}

#[test]
fn a_response_from_another_address_is_ignored_although_the_tid_is_right() {
    let now = Instant::now();
    let mut node = alone(now);
    let request = node.request(now, Outgoing::internal(address(9), rpc::PING));
    let tid = decoded(&sent(&mut node)[0]).tid;
    let pong = pong(tid).to_bytes();
    let same_host = SocketAddrV4::new(*address(9).ip(), 1);
    for spoofer in [address(8), same_host] {
        node.handle_datagram(now, SocketId::SERVER, spoofer, &pong);
        assert_eq!(node.poll_event(), None);
    }
    // The socket does not matter: answers to PING_NAT arrive on another one than the request left from.
    node.handle_datagram(now, SocketId::CLIENT, address(9), &pong);
    let event = node.poll_event();
    assert!(matches!(event, Some(Event::Answered { request: of, result: Ok(_) }) if of == request));
    node.handle_datagram(now, SocketId::CLIENT, address(9), &pong);
    assert_eq!(node.poll_event(), None, "an answer counts once");
}

#[test]
fn a_malformed_answer_to_our_own_query_is_survived() {
    let now = Instant::now();
    let mut node = alone(now);
    let query = node.find_peer(now, &crate::keys::PublicKey::from_bytes([1; 32]), vec![address(9)]);
    let tid = decoded(&sent(&mut node)[0]).tid;
    let full = Response {
        id: Some(NodeId::of(address(9))),
        token: Some([1; 32]),
        closer: vec![address(1), SocketAddrV4::new(*address(2).ip(), 0)],
        error: 0,
        value: Some(vec![1; 10]),
        ..pong(tid)
    }
    .to_bytes();
    for length in 0..full.len() {
        node.handle_datagram(now, SocketId::SERVER, address(9), &full[..length]);
        assert_eq!(node.poll_event(), None, "{length} of {} bytes", full.len());
    }
    // A list of a million nodes that are not there.
    let mut endless = full[..74].to_vec();
    endless[1] = 0x07;
    endless.extend([0xfe, 0, 0, 0x10, 0]);
    node.handle_datagram(now, SocketId::SERVER, address(9), &endless);
    assert_eq!(node.poll_event(), None);
    node.handle_datagram(now, SocketId::SERVER, address(9), &full);
    let event = node.poll_event();
    assert!(matches!(event, Some(Event::QueryAnswer { query: of, .. }) if of == query), "{event:?}");
    let next = sent(&mut node);
    assert_eq!(next.len(), 1, "the node with port 0 is not asked");
    assert_eq!(next[0].destination, address(1));
}

#[test]
fn an_id_that_is_not_the_senders_is_void_but_the_answer_counts() {
    let now = Instant::now();
    let mut node = alone(now);
    node.request(now, Outgoing::internal(address(9), rpc::PING));
    let tid = decoded(&sent(&mut node)[0]).tid;
    let lying = Response { id: Some(NodeId::of(address(8))), ..pong(tid) };
    node.handle_datagram(now, SocketId::SERVER, address(9), &lying.to_bytes());
    let Some(Event::Answered { result: Ok(answer), .. }) = node.poll_event() else {
        panic!("the request is answered");
    };
    assert_eq!(answer.id, None);
    assert_eq!(node.table_len(), 0);
}

#[test]
fn at_most_eighty_requests_leave_at_once_and_the_rest_follow() {
    let mut world = World::new(11, 1, Link::default());
    let id = world.nodes[0];
    let before = world.network.sent();
    world.network.with(id, |machine, now| {
        for _ in 0..200 {
            let request = Outgoing { retries: 0, ..Outgoing::internal(address(99), rpc::PING) };
            machine.node.request(now, request);
        }
    });
    assert_eq!(world.network.sent() - before, 80);
    let done = |machine: &super::world::Machine| {
        let failed =
            |event: &&Event| matches!(event, Event::Answered { result: Err(RequestError::TimedOut), .. });
        machine.events.iter().filter(failed).count()
    };
    world.network.run_until(Duration::from_secs(10), |network| done(network.host(id)) == 200);
    assert_eq!(world.network.sent() - before, 200);
}

#[test]
fn answers_open_the_window_at_once() {
    let mut world = World::new(12, 2, Link::default());
    let (id, other) = (world.nodes[0], address(1));
    let requests: Vec<_> = world.network.with(id, |machine, now| {
        let ping = |_| machine.node.request(now, Outgoing::internal(other, rpc::PING));
        (0..1000).map(ping).collect()
    });
    let last = requests[999];
    let took =
        world.network.run_until(Duration::from_secs(1), |network| network.host(id).answered(last).is_some());
    assert!(took < Duration::from_millis(5), "{took:?}");
}

#[test]
fn no_more_requests_wait_than_the_bound() {
    let now = Instant::now();
    let mut node = alone(now);
    for _ in 0..MAX_PENDING {
        node.request(now, Outgoing::internal(address(9), rpc::PING));
    }
    assert_eq!(node.poll_event(), None);
    let request = node.request(now, Outgoing::internal(address(9), rpc::PING));
    let refused = Event::Answered { request, result: Err(RequestError::Overloaded) };
    assert_eq!(node.poll_event(), Some(refused));
    // Queries must come to an end even then.
    let query = node.query(now, Query::application(rpc::LOOKUP, [1; 32]));
    let failed = Event::QueryDone { query, result: Err(QueryError::NoNodes) };
    assert_eq!(node.poll_event(), Some(failed));
}

#[test]
fn refuses_a_request_that_others_could_not_receive() {
    let now = Instant::now();
    let mut node = alone(now);
    let request = Outgoing {
        value: Some(vec![0; MAX_DATAGRAM]),
        ..Outgoing::application(address(9), rpc::IMMUTABLE_PUT, [0; 32])
    };
    let request = node.request(now, request);
    let refused = Event::Answered { request, result: Err(RequestError::TooLarge) };
    assert_eq!(node.poll_event(), Some(refused));
}

#[test]
fn a_cancelled_request_is_heard_of_no_more() {
    let now = Instant::now();
    let mut node = alone(now);
    let request = node.request(now, Outgoing::internal(address(9), rpc::PING));
    node.cancel(now, request);
    let tid = decoded(&sent(&mut node)[0]).tid;
    node.handle_datagram(now, SocketId::SERVER, address(9), &pong(tid).to_bytes());
    for second in 1..10 {
        node.handle_timeout(now + Duration::from_secs(second));
    }
    assert_eq!(node.poll_event(), None);
}

#[test]
fn requests_made_before_the_sockets_are_bound_leave_then() {
    let now = Instant::now();
    let mut node = Node::new(now, server(), [1; 32]);
    node.request(now, Outgoing::internal(address(9), rpc::PING));
    assert!(sent(&mut node).is_empty());
    assert_eq!(node.poll_timeout(), None);
    node.handle_sockets(now, address(0), super::world::client_address(0));
    assert_eq!(sent(&mut node).len(), 1);
}

#[test]
fn suspending_ends_everything_and_resuming_asks_again() {
    let mut world = World::new(13, 4, Link::default());
    let id = world.nodes[2];
    let (request, query) = world.network.with(id, |machine, now| {
        let request = machine.node.request(now, Outgoing::internal(address(99), rpc::PING));
        let lookup = Query::application(rpc::LOOKUP, [1; 32]);
        let query = machine.node.query(now, lookup);
        machine.node.suspend();
        (request, query)
    });
    let machine = world.network.host(id);
    assert_eq!(machine.answered(request), Some(&Err(RequestError::TimedOut)));
    assert_eq!(machine.done(query), Some(&Err(QueryError::NoNodes)));
    assert_eq!(machine.node.poll_timeout(), None);
    let sent = world.network.sent();
    world.network.run_for(Duration::from_secs(3));
    world.network.with(id, |machine, now| {
        machine.node.handle_sockets(now, address(2), super::world::client_address(2));
    });
    let (_, result, _) = world.run(id, Operation::Lookup([1; 32]));
    assert!(result.is_ok());
    assert!(world.network.sent() > sent);
}

#[test]
fn checks_that_a_suspension_cut_short_leave_room_for_others() {
    let mut world = World::new(9, 12, Link::default());
    let id = world.nodes[0];
    let others: Vec<_> = (1..12).map(address).collect();
    let hinted = |node: &mut Node, now, dead: SocketAddrV4| {
        node.on_down_hint(now, &NodeId::of(dead));
        sent(node).len()
    };
    world.network.run_for(Duration::from_secs(6));
    world.network.with(id, |machine, now| {
        let node = &mut machine.node;
        let asked: usize = others.iter().map(|dead| hinted(node, now, *dead)).sum();
        assert_eq!(asked, MAX_HINT_CHECKS as usize);
        node.suspend();
        node.handle_sockets(now, address(0), super::world::client_address(0));
        sent(node);
        assert_eq!(hinted(node, now, others[0]), 1);
    });
}

/// Makes a node that knows no other.
fn alone(now: Instant) -> Node {
    let config = Config { private_network: true, ..server() };
    let mut node = Node::new(now, config, [1; 32]);
    node.handle_sockets(now, address(0), super::world::client_address(0));
    while node.poll_event().is_some() {}
    node
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

fn pong(tid: u16) -> Response {
    Response { tid, to: address(0), id: None, token: None, closer: Vec::new(), error: 0, value: None }
}

#[test]
fn a_request_waits_for_the_signature_of_a_signer() {
    struct Agent(KeyPair);

    impl Signer for Agent {
        fn public_key(&self) -> PublicKey {
            *self.0.public_key()
        }

        fn sign(&self, message: [u8; 64]) -> Signing<[u8; 64]> {
            Box::pin(ready(Ok(self.0.sign(&message))))
        }

        fn exchange(&self, _: [u8; 32]) -> Signing<[u8; 32]> {
            Box::pin(ready(Err("nothing here shakes hands".into())))
        }
    }

    let (now, to, id, token) = (Instant::now(), address(9), NodeId([7; 32]), [8; 32]);
    let mut node = alone(now);
    let key_pair = KeyPair::from_seed(&[1; 32]);
    let here = Identity::from(&key_pair);
    let elsewhere = Identity::from(Arc::new(Agent(key_pair.clone())));
    let request = |identity| {
        let announcement = Announcement { identity, target: [2; 32], relays: &[], bump: 0 };
        announcement.request(AnnounceKind::Announce, to, &id, token)
    };
    let request_id = node.request(now, request(&elsewhere));
    assert!(node.poll_transmit().is_none());
    let Some(Event::Sign { request: asked, unsigned }) = node.poll_event() else {
        panic!("the signature is asked for");
    };
    assert_eq!(asked, request_id);
    assert_eq!(node.poll_timeout().filter(|(at, _)| *at <= now), None);
    let signature = key_pair.sign(&unsigned.message);
    node.signed(now, asked, Some(signature));
    let sent = node.poll_transmit().expect("the request leaves");
    // A second answer has no effect.
    node.signed(now, asked, Some([0; 64]));
    assert!(node.poll_transmit().is_none());
    let mut datagram = Reader::new(&sent.payload);
    let Ok(Packet::Request(sent)) = Packet::decode(&mut datagram) else {
        panic!("it is a request");
    };
    assert_eq!(sent.value, request(&here).value, "as if it had been signed here");

    let refused = node.request(now, request(&elsewhere));
    node.poll_event();
    node.signed(now, refused, None);
    let failed = Event::Answered { request: refused, result: Err(RequestError::Unsigned) };
    assert_eq!(node.poll_event(), Some(failed));
}
