//! What strangers may try: filling what grows, lying, and sending nonsense.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::world::{World, address, client_address, server};
use crate::dht::membership::MAX_HINT_CHECKS;
use crate::dht::serve::MAX_DELAYED;
use crate::dht::token::Tokens;
use crate::dht::unresponsive::{MAX_UNRESPONSIVE, Unresponsive};
use crate::dht::walk::{MAX_SEEN, Rank, Walk};
use crate::dht::{Config, Event, K, Node, NodeId, Outgoing, Policy};
use crate::keys::KeyPair;
use crate::sim::network::Link;
use crate::wire::compact::{Decode, Encode, Reader};
use crate::wire::records::{Announce, AnnounceKind, Peer, announce_signable};
use crate::wire::rpc::{self, Packet, Request, Response};
use crate::wire::transmit::SocketId;

#[test]
fn refuses_a_token_from_two_rotations_ago() {
    let start = Instant::now();
    let mut tokens = Tokens::new(start, &mut StdRng::seed_from_u64(1));
    let host = Ipv4Addr::new(1, 2, 3, 4);
    let rotation = Duration::from_millis(7500);
    let token = tokens.issue(start, host);
    assert!(tokens.accepts(start, host, &token));
    assert!(!tokens.accepts(start, Ipv4Addr::new(1, 2, 3, 5), &token));
    assert!(tokens.accepts(start + rotation, host, &token));
    assert!(!tokens.accepts(start + rotation * 2, host, &token));
    assert!(!tokens.accepts(start + rotation * 1000, host, &token));
    let mut idle = Tokens::new(start, &mut StdRng::seed_from_u64(1));
    let token = idle.issue(start, host);
    assert!(!idle.accepts(start + rotation * 2, host, &token), "also if nothing happened meanwhile");
}

#[test]
fn announcements_need_a_token_a_signature_and_the_right_node() {
    let now = Instant::now();
    let mut node = persistent(now);
    let key_pair = KeyPair::from_seed(&[3; 32]);
    let target = key_pair.public_key().target();
    let token = node.service().issue_token(now, *address(9).ip());
    let peer = Peer { public_key: *key_pair.public_key(), relay_addresses: Vec::new() };
    let id = node.id();
    let announce = |kind, node_id: NodeId, key_pair: &KeyPair| {
        let signable = announce_signable(kind, &target, &node_id, &token, &peer, None);
        let announce = Announce {
            peer: Some(peer.clone()),
            refresh: None,
            signature: Some(key_pair.sign(&signable)),
            bump: 0,
        };
        announce.to_bytes()
    };
    let request = |token, value| Request {
        tid: 1,
        to: address(0),
        id: None,
        token,
        internal: false,
        command: rpc::ANNOUNCE,
        target: Some(target),
        value: Some(value),
    };
    let right = announce(AnnounceKind::Announce, id, &key_pair);
    let refused = [
        (None, right.clone()),
        (Some(token), announce(AnnounceKind::Unannounce, id, &key_pair)),
        (Some(token), announce(AnnounceKind::Announce, NodeId([0; 32]), &key_pair)),
        (Some(token), announce(AnnounceKind::Announce, id, &KeyPair::from_seed(&[4; 32]))),
        (Some(token), right[..90].to_vec()),
    ];
    for (token, value) in refused {
        node.handle_datagram(now, SocketId::SERVER, address(9), &request(token, value).to_bytes());
        assert_eq!(node.poll_transmit(), None);
        assert_eq!(node.forward(&target), None);
    }
    // From another host the token is not worth anything, and the response shows that.
    let stolen = request(Some(token), right.clone()).to_bytes();
    node.handle_datagram(now, SocketId::SERVER, address(8), &stolen);
    assert_eq!(reply(&mut node).error, rpc::ERROR_INVALID_TOKEN);
    assert_eq!(node.forward(&target), None);
    node.handle_datagram(now, SocketId::SERVER, address(9), &request(Some(token), right).to_bytes());
    assert_eq!(reply(&mut node).error, 0);
    assert_eq!(node.forward(&target), Some(address(9)));
}

#[test]
fn a_row_takes_no_more_than_its_twenty_nodes_and_a_live_one_keeps_its_place() {
    let mut world = World::new(21, 60, Link::default());
    world.network.run_for(Duration::from_secs(300));
    let id = world.nodes[0];
    let node = world.node(id);
    let own = node.id();
    let mut rows = [0; 256];
    for number in 1..60 {
        let other = NodeId::of(address(number));
        if node.closest_nodes(&other.0).contains(&address(number)) {
            rows[own.common_prefix(&other.0)] += 1;
        }
    }
    assert!(rows.iter().all(|row| *row <= K), "{rows:?}");
    assert_eq!(rows[0], K, "{rows:?}");
}

#[test]
fn a_walk_looks_at_no_more_nodes_than_the_bound() {
    let mut walk = Walk::new([0; 32], 1, usize::MAX);
    walk.add(address(0), Rank::First);
    let mut named = 1;
    let mut asked = 0;
    while let Some(node) = walk.next(10) {
        asked += 1;
        let closer = (0..20).map(|more| address(named + more)).collect();
        named += 20;
        // Answers without id never make anything closer, so only the bound ends this.
        walk.on_answer(&answer(node, closer), |_| false);
    }
    assert_eq!(asked, MAX_SEEN);
    assert!(walk.is_over(false));
}

#[test]
fn only_so_many_silent_addresses_are_remembered() {
    let now = Instant::now();
    let mut unresponsive = Unresponsive::new(Policy::default().unresponsive_for);
    for number in 0..2 * MAX_UNRESPONSIVE {
        unresponsive.note_timeout(now, address(number));
    }
    let known = |now| {
        let tries = |number: &usize| unresponsive.tries(now, &address(*number)) > 0;
        (0..2 * MAX_UNRESPONSIVE).filter(tries).count()
    };
    assert_eq!(known(now), MAX_UNRESPONSIVE);
    let later = now + Duration::from_secs(60);
    assert_eq!(known(later), 0);
    unresponsive.note_timeout(later, address(2 * MAX_UNRESPONSIVE));
    assert_eq!(unresponsive.tries(later, &address(2 * MAX_UNRESPONSIVE)), 1, "the old ones make room");
}

#[test]
fn delayed_pings_are_answered_in_time_and_only_so_many_wait() {
    let now = Instant::now();
    let mut node = persistent(now);
    let mut ping = Request {
        tid: 0,
        to: address(0),
        id: None,
        token: None,
        internal: true,
        command: rpc::DELAYED_PING,
        target: None,
        value: Some(2000_u32.to_le_bytes().to_vec()),
    };
    for tid in 0..2 * MAX_DELAYED {
        ping.tid = u16::try_from(tid).expect("few pings");
        node.handle_datagram(now, SocketId::SERVER, address(9), &ping.to_bytes());
    }
    assert_eq!(node.poll_transmit(), None);
    let (at, why) = node.poll_timeout().expect("answers are due");
    assert_eq!((at, why), (now + Duration::from_secs(2), "put off"));
    node.handle_timeout(at);
    let answers = std::iter::from_fn(|| node.poll_transmit()).count();
    assert_eq!(answers, MAX_DELAYED);
}

#[test]
fn down_hints_make_us_ask_only_so_many_and_only_the_silent_leave() {
    let mut world = World::new(22, 40, Link::default());
    let (id, dead) = (world.nodes[0], 7);
    world.network.run_for(Duration::from_secs(10));
    let dead_id = world.nodes[dead];
    world.network.set_up(dead_id, false);
    let before = world.network.sent();
    world.network.with(id, |machine, now| {
        for number in 1..40 {
            let hint = Request {
                tid: 1,
                to: address(0),
                id: None,
                token: None,
                internal: true,
                command: rpc::DOWN_HINT,
                target: None,
                value: Some(address(number).to_bytes()),
            };
            machine.node.handle_datagram(now, SocketId::SERVER, address(99), &hint.to_bytes());
        }
    });
    let checks = world.network.sent() - before - 39;
    assert_eq!(checks, u64::from(MAX_HINT_CHECKS));
    let known = world.node(id).table_len();
    world.network.run_for(Duration::from_secs(4));
    let gone = !world.node(id).closest_nodes(&NodeId::of(address(dead)).0).contains(&address(dead));
    assert_eq!(world.node(id).table_len(), known - usize::from(gone), "who answers stays");
}

#[test]
fn datagrams_that_are_too_long_are_dropped_unread() {
    let now = Instant::now();
    let mut node = persistent(now);
    let mut ping = Request {
        tid: 1,
        to: address(0),
        id: None,
        token: None,
        internal: true,
        command: rpc::PING,
        target: None,
        value: Some(Vec::new()),
    };
    let rest = rpc::MAX_DATAGRAM - ping.to_bytes().len();
    // The length of the value takes two bytes more.
    for (length, answers) in [(rest - 2, 1), (rest - 1, 0)] {
        ping.value = Some(vec![0; length]);
        node.handle_datagram(now, SocketId::SERVER, address(9), &ping.to_bytes());
        let sent = std::iter::from_fn(|| node.poll_transmit()).count();
        assert_eq!(sent, answers, "{length}");
    }
}

#[test]
fn events_of_strangers_do_not_pile_up() {
    let now = Instant::now();
    let mut node = persistent(now);
    let request = Request {
        tid: 1,
        to: address(0),
        id: None,
        token: None,
        internal: false,
        command: rpc::PEER_HANDSHAKE,
        target: Some([1; 32]),
        value: Some(vec![0; 1000]),
    };
    let datagram = request.to_bytes();
    for _ in 0..10_000 {
        node.handle_datagram(now, SocketId::SERVER, address(9), &datagram);
    }
    assert_eq!(std::iter::from_fn(|| node.poll_event()).count(), 4096);
    let ping = Request { internal: true, command: rpc::PING, ..request };
    for _ in 0..10_000 {
        node.handle_datagram(now, SocketId::SERVER, address(9), &ping.to_bytes());
    }
    assert_eq!(std::iter::from_fn(|| node.poll_transmit()).count(), 4096);
}

#[test]
fn a_public_node_does_not_ask_private_addresses_that_others_name() {
    let now = Instant::now();
    let public: SocketAddrV4 = "8.8.4.4:49737".parse().expect("an address");
    let config = Config { public_address: Some(public), ..server() };
    let mut node = Node::new(now, config, [1; 32]);
    node.handle_sockets(now, "0.0.0.0:49737".parse().expect("an address"), client_address(0));
    let other: SocketAddrV4 = "9.9.9.9:49737".parse().expect("an address");
    let seeded =
        crate::dht::Query { seeds: vec![other], ..crate::dht::Query::application(rpc::LOOKUP, [0; 32]) };
    node.query(now, seeded);
    let sent = node.poll_transmit().expect("the seed is asked");
    let Ok(Packet::Request(request)) = Packet::decode(&mut Reader::new(&sent.payload)) else {
        panic!("not a request");
    };
    let named = [
        "10.0.0.1:1",
        "127.0.0.1:2",
        "224.0.0.1:3",
        "150.136.142.116:9",
        "8.8.4.4:49737",
        "7.7.7.7:0",
        "7.7.7.7:7",
    ];
    let response = Response {
        tid: request.tid,
        to: public,
        id: None,
        token: None,
        closer: named.iter().map(|node| node.parse().expect("an address")).collect(),
        error: 0,
        value: None,
    };
    node.handle_datagram(now, SocketId::SERVER, other, &response.to_bytes());
    let asked: Vec<_> =
        std::iter::from_fn(|| node.poll_transmit()).map(|sent| sent.destination.to_string()).collect();
    assert_eq!(asked, ["7.7.7.7:7"]);
}

proptest! {
    #[test]
    fn arbitrary_datagrams_never_panic(
        datagrams in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..50),
        kind in prop::sample::select(vec![0x03_u8, 0x13]),
    ) {
        let now = Instant::now();
        let mut node = persistent(now);
        node.bootstrap(now);
        node.find_node(now, [0; 32]);
        node.request(now, Outgoing::internal(address(9), rpc::PING));
        for (number, mut datagram) in datagrams.into_iter().enumerate() {
            if let Some(first) = datagram.first_mut() {
                *first = kind;
            }
            let at = now + Duration::from_millis(700) * u32::try_from(number).expect("few");
            node.handle_datagram(at, SocketId::SERVER, address(9), &datagram);
            node.handle_timeout(at);
        }
    }

    #[test]
    fn damaged_requests_never_panic(
        command in 0_u64..12,
        internal in any::<bool>(),
        target in proptest::option::of(any::<[u8; 32]>()),
        value in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200)),
        with_token in any::<bool>(),
    ) {
        let now = Instant::now();
        let mut node = persistent(now);
        let token = with_token.then(|| node.service().issue_token(now, *address(9).ip()));
        let id = Some(NodeId::of(address(9)));
        let to = address(0);
        let request = Request { tid: 1, to, id, token, internal, command, target, value };
        let datagram = request.to_bytes();
        node.handle_datagram(now, SocketId::SERVER, address(9), &datagram);
        if let Some(Event::Incoming(incoming)) = node.poll_event() {
            prop_assert!(!internal && command < 2);
            prop_assert_eq!(incoming.value, request.value);
        }
    }
}

/// Makes a persistent node that knows no other.
fn persistent(now: Instant) -> Node {
    let config = Config { private_network: true, ..server() };
    let mut node = Node::new(now, config, [1; 32]);
    node.handle_sockets(now, address(0), client_address(0));
    while node.poll_event().is_some() {}
    node
}

fn reply(node: &mut Node) -> Response {
    let sent = node.poll_transmit().expect("a reply");
    match Packet::decode(&mut Reader::new(&sent.payload)) {
        Ok(Packet::Response(response)) => response,
        other => panic!("not a response: {other:?}"),
    }
}

fn answer(from: SocketAddrV4, closer: Vec<SocketAddrV4>) -> crate::dht::Answer {
    crate::dht::Answer {
        from,
        to: from,
        socket: SocketId::SERVER,
        id: None,
        token: None,
        closer,
        error: 0,
        value: None,
        rtt: Duration::ZERO,
    }
}
