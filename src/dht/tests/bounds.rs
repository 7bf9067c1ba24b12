//! What strangers of the public network may make a node keep and send: each bound is filled here.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::world::server;
use crate::dht::budget::{
    AMPLIFICATION, Budget, FORWARD_BURST, FORWARD_RATE, Forwarding, MAX_ANSWERS, MAX_LEVELS, MAX_OWED,
    STRANGER_BURST, STRANGER_RATE, SWEEP_LEVELS,
};
use crate::dht::membership::{MAX_GREETINGS, MAX_GREETINGS_PER_NETWORK};
use crate::dht::serve::MAX_DELAYED_PER_SOURCE;
use crate::dht::sign::Announcement;
use crate::dht::{Answer, Config, Event, Incoming, K, Node, NodeId, Reply};
use crate::keys::KeyPair;
use crate::wire::compact::{Decode, Encode, Reader};
use crate::wire::records::AnnounceKind;
use crate::wire::rpc::{self, Packet, Request, Response};
use crate::wire::transmit::{SocketId, Transmit};

#[test]
fn a_victim_gets_a_bounded_rate_whatever_is_sent_in_its_name() {
    let start = Instant::now();
    let mut node = crowded(start);
    let victim = at("99.1.2.3", 50);
    let datagram = request(rpc::LOOKUP, Some([7; 32]), None).to_bytes();
    let mut in_all = 0;
    for second in 0..10 {
        let mut got = 0;
        for part in 0..1000 {
            let now = start + Duration::from_millis(1000 * second + part);
            for _ in 0..5 {
                node.handle_datagram(now, SocketId::SERVER, victim, &datagram);
                got += sent(&mut node).iter().map(|sent| sent.payload.len() as u64).sum::<u64>();
            }
        }
        assert!(got <= 64 * 1024, "{got} bytes in a second");
        in_all += got;
    }
    assert!(in_all > 9 * STRANGER_RATE, "still of use: {in_all}");
    assert!(node.stats().trimmed > 1000);
    // Its neighbours share the budget, others do not.
    let now = start + Duration::from_secs(10);
    node.handle_datagram(now, SocketId::SERVER, at("99.1.2.99", 1), &datagram);
    assert!(sent(&mut node).iter().all(|sent| sent.payload.len() <= AMPLIFICATION * datagram.len()));
    node.handle_datagram(now, SocketId::SERVER, at("99.1.3.3", 1), &datagram);
    assert_eq!(response(&mut node).closer.len(), K);
    // Who shows a token gets all of it.
    let token = node.service().issue_token(now, *victim.ip());
    let proven = request(rpc::LOOKUP, Some([7; 32]), Some(token)).to_bytes();
    for _ in 0..1000 {
        node.handle_datagram(now, SocketId::SERVER, victim, &proven);
        assert_eq!(response(&mut node).closer.len(), K);
    }
    // The budget comes back by and by.
    node.handle_datagram(now + Duration::from_secs(1), SocketId::SERVER, victim, &datagram);
    assert_eq!(response(&mut node).closer.len(), K);
}

#[test]
fn an_answer_that_cannot_be_cut_is_not_given_once_half_of_the_budget_is_spent() {
    let start = Instant::now();
    let mut node = crowded(start);
    let victim = at("99.1.2.3", 50);
    let ping = Request { internal: true, ..request(rpc::PING, None, None) };
    let datagram = ping.to_bytes();
    node.handle_datagram(start, SocketId::SERVER, victim, &datagram);
    let length = sent(&mut node)[0].payload.len();
    assert!(length > AMPLIFICATION * datagram.len());
    let rounds = STRANGER_BURST as usize / 2 / length + 100;
    for _ in 0..rounds {
        node.handle_datagram(start, SocketId::SERVER, victim, &datagram);
        sent(&mut node);
    }
    let dropped = node.stats().drops.budget;
    assert!((98..=102).contains(&dropped), "{dropped}");
}

#[test]
fn a_network_makes_us_send_only_so_many_packets_to_others() {
    let start = Instant::now();
    let mut node = crowded(start);
    let source = at("99.1.2.3", 50);
    let mut round = 0;
    let mut pass_on = |now: Instant, from: SocketAddrV4| {
        round += 1;
        // Each goes elsewhere, so that only the source is bounded.
        let to = SocketAddrV4::new(Ipv4Addr::from(0x4d00_0000 + (round << 8)), 7);
        pass_on(&mut node, now, from, to, round % 2 == 0)
    };
    let passed: usize = (0..2 * FORWARD_BURST).map(|_| pass_on(start, source)).sum();
    assert_eq!(passed as u64, FORWARD_BURST);
    assert_eq!(pass_on(start, at("99.1.2.200", 1)), 0, "a neighbour");
    assert_eq!(pass_on(start, at("99.1.3.3", 1)), 1, "somebody else");
    let passed: usize = (1..=1000)
        .map(|part| start + Duration::from_millis(10 * part))
        .flat_map(|now| [now; 5])
        .map(|now| pass_on(now, source))
        .sum();
    assert_eq!(passed as u64, 10 * FORWARD_RATE);
}

#[test]
fn a_busy_server_answers_all_that_is_passed_on_to_it_and_no_more() {
    let start = Instant::now();
    let mut node = crowded(start);
    let server = announced(&mut node, start, at("88.1.1.1", 9));
    let client = |number: u32| SocketAddrV4::new(Ipv4Addr::from(0x6300_0000 + (number << 8)), 50);
    let mut answered = 0;
    for number in 0..400 {
        // Twenty handshakes of each of many networks, all at once.
        let to_server: usize =
            (0..20).map(|_| pass_on(&mut node, start, client(number), server, false)).sum();
        assert_eq!(to_server, 20, "{number}");
        answered += (0..20).map(|_| pass_on(&mut node, start, server, client(number), true)).sum::<usize>();
    }
    assert_eq!(answered, 8000);
    // To others it sends what anybody may.
    let victim = |number: u32| SocketAddrV4::new(Ipv4Addr::from(0x4d00_0000 + (number << 8)), 7);
    let more: usize = (0..2 * FORWARD_BURST as u32)
        .map(|number| pass_on(&mut node, start, server, victim(number), true))
        .sum();
    assert_eq!(more as u64, FORWARD_BURST);
}

#[test]
fn a_third_party_gets_a_bounded_rate_from_however_many_sources() {
    let start = Instant::now();
    let mut node = crowded(start);
    let victim = at("77.7.7.7", 7);
    for second in 0..5 {
        let mut got = 0;
        for part in 0..2000_u32 {
            let now = start + Duration::from_millis(1000 * second + u64::from(part / 2));
            let from = SocketAddrV4::new(Ipv4Addr::from(0x6300_0000 + (part << 8)), 50);
            node.handle_datagram(now, SocketId::SERVER, from, &handshake());
            let incoming = incoming(&mut node);
            node.relay(now, &incoming, victim, vec![0; 300], None);
            got += sent(&mut node).iter().map(|sent| sent.payload.len()).sum::<usize>();
        }
        assert!((32 * 1024..=64 * 1024).contains(&got), "{got} bytes in a second");
    }
}

#[test]
fn networks_that_may_answer_are_bounded_and_so_is_what_they_may() {
    let now = Instant::now();
    let mut rng = StdRng::seed_from_u64(1);
    let mut forwarding = Forwarding::new(now, &mut rng);
    for number in 0..2 * MAX_OWED as u32 {
        forwarding.note_passed(now, Ipv4Addr::from(0x0b00_0000 + (number << 8)));
        assert!(forwarding.owed() <= MAX_OWED);
    }
    let later = now + Duration::from_secs(30);
    let server = Ipv4Addr::new(8, 8, 8, 8);
    for _ in 0..2 * MAX_ANSWERS {
        forwarding.note_passed(later, server);
    }
    assert_eq!(forwarding.owed(), 1, "those whose time is over make room");
    let taken = (0..4 * MAX_ANSWERS).filter(|_| forwarding.take(later, server)).count();
    assert_eq!(taken as u64, u64::from(MAX_ANSWERS) + FORWARD_BURST);
}

#[test]
fn no_number_of_networks_gives_one_a_fresh_budget() {
    let now = Instant::now();
    let mut budget = Budget::new(now, &mut StdRng::seed_from_u64(1), 10, 1);
    let spent = Ipv4Addr::new(8, 8, 8, 8);
    assert!(budget.spend(now, spent, 10));
    let mut admitted = 0;
    for number in 0..3 * MAX_LEVELS as u32 {
        let source = Ipv4Addr::from(0x0b00_0000 + (number << 8));
        admitted += usize::from(budget.spend(now, source, 10));
        assert!(!budget.spend(now, source, 1));
    }
    assert!((MAX_LEVELS / 2..=MAX_LEVELS).contains(&admitted), "{admitted}");
    assert!(!budget.spend(now, spent, 1));
    assert!(budget.spend(now + Duration::from_secs(3), spent, 3));
    assert!(!budget.spend(now + Duration::from_secs(3), spent, 1));
    assert!(budget.spend(now, Ipv4Addr::LOCALHOST, 1000), "no network");
}

#[test]
fn a_budget_forgets_the_networks_that_may_spend_all_of_it_again() {
    let now = Instant::now();
    let mut budget = Budget::new(now, &mut StdRng::seed_from_u64(1), 10, 1);
    let network = |number: u32| Ipv4Addr::from(0x0b00_0000 + (number << 8));
    for number in 0..10_000 {
        assert!(budget.spend(now + Duration::from_secs(number.into()), network(number), 2));
        assert!(budget.kept() <= SWEEP_LEVELS, "{}", budget.kept());
    }
    let end = now + Duration::from_secs(9_999);
    assert!(budget.spend(end, network(9_999), 8));
    assert!(!budget.spend(end, network(9_999), 1), "one that has spent is kept");
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

#[test]
fn a_few_networks_cannot_keep_others_from_being_greeted() {
    let now = Instant::now();
    let mut node = public(now);
    let find = |node: &mut Node, from: SocketAddrV4| {
        let id = Some(NodeId::of(from));
        let find = Request { id, internal: true, ..request(rpc::FIND_NODE, Some([7; 32]), None) };
        node.handle_datagram(now, SocketId::SERVER, from, &find.to_bytes());
        sent(node).iter().filter_map(asked).collect::<Vec<_>>()
    };
    for port in 1..100 {
        for network in 0..4 {
            find(&mut node, at(&format!("60.1.{network}.1"), port));
        }
    }
    let honest = at("50.1.1.1", 1000);
    let pings = find(&mut node, honest);
    assert_eq!(pings.iter().map(|ping| ping.0).collect::<Vec<_>>(), [honest]);
    // No more are under way than before, and the four come no further.
    let mut begun = 0;
    for network in 4..200 {
        begun += find(&mut node, at(&format!("60.1.{network}.1"), 1)).len();
    }
    assert!(begun < MAX_GREETINGS, "{begun}");
    pong(&mut node, now, honest, pings[0].1);
    assert_eq!(node.recent_nodes(9), [honest]);
}

#[test]
fn a_network_has_only_so_many_pings_put_off() {
    let now = Instant::now();
    let mut node = public(now);
    let ping = |node: &mut Node, from: SocketAddrV4| {
        let value = Some(9000_u32.to_le_bytes().to_vec());
        let ping = Request { internal: true, value, ..request(rpc::DELAYED_PING, None, None) };
        node.handle_datagram(now, SocketId::SERVER, from, &ping.to_bytes());
        node.stats().drops.full
    };
    for number in 0..MAX_DELAYED_PER_SOURCE as u16 {
        assert_eq!(ping(&mut node, at("99.1.2.3", 1 + number)), 0);
    }
    assert_eq!(ping(&mut node, at("99.1.2.4", 1)), 1, "a neighbour");
    assert_eq!(ping(&mut node, at("99.1.3.3", 1)), 1, "somebody else");
    node.handle_timeout(now + Duration::from_secs(9));
    assert_eq!(ping(&mut node, at("99.1.2.3", 1)), 1, "there is room again");
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

/// Lets the node pass a handshake from `from` on to `to`, as a request or as an answer; returns how many
/// packets leave.
fn pass_on(node: &mut Node, now: Instant, from: SocketAddrV4, to: SocketAddrV4, reply: bool) -> usize {
    node.handle_datagram(now, SocketId::SERVER, from, &handshake());
    let incoming = incoming(node);
    if reply {
        node.reply(now, &incoming, Reply { to: Some(to), value: Some(vec![0; 300]), ..Reply::default() });
    } else {
        node.relay(now, &incoming, to, vec![0; 300], None);
    }
    sent(node).len()
}

fn handshake() -> Vec<u8> {
    let target = Some(KeyPair::from_seed(&[5; 32]).public_key().target());
    Request { value: Some(vec![0; 300]), ..request(rpc::PEER_HANDSHAKE, target, None) }.to_bytes()
}

pub(super) fn incoming(node: &mut Node) -> Incoming {
    let Some(Event::Incoming(incoming)) = node.poll_event() else {
        panic!("it is for the layer above");
    };
    incoming
}

/// Lets the server of the handshakes announce itself from an address; returns that.
fn announced(node: &mut Node, now: Instant, server: SocketAddrV4) -> SocketAddrV4 {
    let key_pair = KeyPair::from_seed(&[5; 32]);
    let target = key_pair.public_key().target();
    let token = node.service().issue_token(now, *server.ip());
    let id = node.id();
    let announcement = Announcement { identity: &key_pair.into(), target, relays: &[], bump: 0 };
    let value = Some(announcement.sign(AnnounceKind::Announce, &id, &token).to_bytes());
    let request = Request { value, ..request(rpc::ANNOUNCE, Some(target), Some(token)) };
    node.handle_datagram(now, SocketId::SERVER, server, &request.to_bytes());
    sent(node);
    assert_eq!(node.forward(&target), Some(server));
    server
}

pub(super) fn request(command: u64, target: Option<[u8; 32]>, token: Option<[u8; 32]>) -> Request {
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

pub(super) fn sent(node: &mut Node) -> Vec<Transmit> {
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

pub(super) fn response(node: &mut Node) -> Response {
    let sent = sent(node);
    match Packet::decode(&mut Reader::new(&sent[0].payload)) {
        Ok(Packet::Response(response)) => response,
        other => panic!("not a response: {other:?}"),
    }
}
