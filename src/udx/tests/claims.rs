//! What comes from elsewhere, before and after its owner has found whose it is.

use std::net::SocketAddrV4;
use std::time::Duration;

use super::paths::{Node, PEER, STRANGER};
use crate::udx::claims::{MAX_CLAIMED, MAX_CLAIMS};
use crate::udx::{Admission, Event};
use crate::wire::packet::{DATA, DESTROY, END, HEADER_LEN, HEARTBEAT, MAX_PAYLOAD, MESSAGE, SACK};
use crate::wire::transmit::SocketId;

#[test]
fn packets_from_elsewhere_wait_until_they_are_known_to_be_the_peers() {
    let mut node = watching();
    node.takes(PEER, DATA, 0, b"here");
    node.takes(ELSEWHERE, DATA, 2, b"!");
    node.takes(ELSEWHERE, DATA, 1, b"there");
    node.takes(ELSEWHERE, DATA, 1, b"other");
    let (events, sent) = node.drain();
    assert_eq!(events, [Event::Readable, Event::PathClaimed], "asked for once");
    // The gap is reported to where the packets came from, so that it is closed.
    assert_eq!(sent, [(ELSEWHERE, SACK, 1), (PEER, 0, 1)]);
    assert_eq!(node.streams.claimants(node.id), [(SocketId::CLIENT, ELSEWHERE)]);
    let [unread, claimed] = node.streams.claimed(node.id, SocketId::CLIENT, ELSEWHERE);
    assert_eq!((unread.concat(), claimed.concat()), (b"here".to_vec(), b"there!".to_vec()));
    assert_eq!(node.streams.readable(node.id), 4);

    node.streams.trust(node.now, node.id, SocketId::CLIENT, ELSEWHERE);
    let (events, sent) = node.drain();
    assert_eq!(events, [followed(ELSEWHERE)]);
    assert_eq!(sent, [(ELSEWHERE, 0, 3)]);
    assert_eq!(node.streams.readable(node.id), 10);
    node.takes(PEER, DATA, 3, b"on its way before");
    assert_eq!(node.streams.readable(node.id), 27);
}

#[test]
fn what_waits_for_a_gap_on_the_path_counts_with_what_closes_it_elsewhere() {
    let mut node = watching();
    node.takes(PEER, DATA, 1, b"b");
    node.takes(ELSEWHERE, DATA, 0, b"a");
    node.takes(ELSEWHERE, DATA, 2, b"c");
    let [_, claimed] = node.streams.claimed(node.id, SocketId::CLIENT, ELSEWHERE);
    assert_eq!(claimed.concat(), b"abc");
    node.streams.trust(node.now, node.id, SocketId::CLIENT, ELSEWHERE);
    assert_eq!(node.streams.readable(node.id), 3);
}

#[test]
fn what_is_not_the_peers_is_dropped_and_moves_nothing() {
    let mut node = watching();
    node.takes(STRANGER, DATA, 0, b"forged");
    let held = node.streams.memory();
    node.streams.distrust(node.id, SocketId::CLIENT, STRANGER);
    node.takes(STRANGER, DATA, 0, b"again");
    assert!(node.streams.memory() < held);
    assert_eq!(node.streams.claimants(node.id), []);
    node.streams.trust(node.now, node.id, SocketId::SERVER, STRANGER);
    assert_eq!(node.drain(), (vec![Event::PathClaimed], vec![]));
    for kind in [0, MESSAGE, HEARTBEAT, DESTROY, SACK] {
        node.takes(ELSEWHERE, kind, 0, b"anything");
    }
    assert_eq!(node.drain(), (vec![], vec![]), "what proves nothing is not even kept");
    assert_eq!(node.streams.path(node.id), Some((SocketId::CLIENT, PEER)));
}

#[test]
fn packets_from_elsewhere_are_bounded_and_rarely_answered() {
    let mut node = watching();
    let before = node.streams.memory();
    let mut answers = 0;
    for count in 0..4000_u32 {
        node.now += Duration::from_millis(1);
        let from = SocketAddrV4::new(*STRANGER.ip(), 1 + count as u16 % 20);
        node.takes(from, DATA, 1 + count / 20, &[7; MAX_PAYLOAD]);
        answers += node.drain().1.len();
    }
    node.now += Duration::from_millis(50);
    node.streams.handle_timeout(node.now);
    node.drain();
    let places: Vec<_> = (1..=20).filter(|port| answers_to(&mut node, *port)).collect();
    assert_eq!(places.len(), MAX_CLAIMS);
    let held = node.streams.memory() - before;
    assert!((MAX_CLAIMED / 2..=2 * MAX_CLAIMED).contains(&held), "{held} bytes");
    assert!(answers <= 4000 / 20, "{answers} answers");
    node.now += Duration::from_secs(60);
    node.streams.handle_timeout(node.now);
    assert_eq!(node.streams.memory(), before, "a place from which nothing comes is forgotten");
}

#[test]
fn an_answer_is_at_most_three_times_as_long_as_what_came() {
    let mut node = watching();
    let (mut received, mut sent) = (0, 0);
    for seq in 0..60 {
        node.now += Duration::from_millis(20);
        node.takes(ELSEWHERE, DATA, 1 + 2 * seq, b"x");
        received += HEADER_LEN + 1;
        let mut buffer = Vec::new();
        while node.streams.poll_transmit(node.now, 1, &mut buffer).is_some() {}
        sent += buffer.len();
        assert!(sent <= 3 * received, "{sent} bytes for {received}");
    }
    assert!(sent > received);
}

#[test]
fn another_host_gets_three_times_what_came_from_it_until_it_answers() {
    for (place, all) in [(ELSEWHERE, true), (STRANGER, false)] {
        let mut node = watching();
        assert_eq!(node.streams.write(node.now, node.id, &[7; 20_000]), Ok(20_000));
        node.drain();
        node.takes(place, DATA, 0, b"the peer's");
        node.streams.trust(node.now, node.id, SocketId::CLIENT, place);
        let bytes = sent_to(&mut node, place);
        let limit = 3 * (HEADER_LEN + 10);
        assert_eq!(bytes > 10_000, all, "{bytes} bytes to {place}");
        assert!(all || (bytes > 0 && bytes <= limit), "{bytes} bytes to {place}");
        // Only a host that gets the heartbeat answers it.
        node.takes(place, 0, 1, b"");
        assert!(all || sent_to(&mut node, place) > 10_000);
    }
}

#[test]
fn the_path_goes_back_to_where_the_peer_is_heard_again() {
    let mut node = watching();
    node.takes(ELSEWHERE, DATA, 0, b"there");
    node.streams.trust(node.now, node.id, SocketId::CLIENT, ELSEWHERE);
    node.takes(PEER, 0, 0, b"");
    node.drain();
    assert_eq!(node.streams.path(node.id), Some((SocketId::CLIENT, ELSEWHERE)));
    node.takes(PEER, DATA, 1, b"newer");
    assert_eq!(node.drain().0, [followed(PEER)]);

    // Where the path is silent, the place before is asked, and its answer is enough.
    let mut node = watching();
    node.takes(ELSEWHERE, DATA, 0, b"there");
    node.streams.trust(node.now, node.id, SocketId::CLIENT, ELSEWHERE);
    assert_eq!(node.streams.write(node.now, node.id, b"lost"), Ok(4));
    node.drain();
    node.now += Duration::from_secs(2);
    node.streams.handle_timeout(node.now);
    let (events, sent) = node.drain();
    assert_eq!(events, [Event::Silent]);
    assert!(sent.contains(&(PEER, HEARTBEAT, 1)), "{sent:?}");
    node.takes(PEER, 0, 1, b"");
    assert_eq!(node.streams.path(node.id), Some((SocketId::CLIENT, PEER)));
}

#[test]
fn a_pause_after_many_packets_is_reported_once_and_an_end_is_none() {
    for (count, kind, silent) in [(100, DATA, true), (8, DATA, false), (100, DATA | END, false)] {
        let mut node = watching();
        for seq in 0..count {
            node.takes(PEER, if seq == count - 1 { kind } else { DATA }, seq, b"x");
            node.now += Duration::from_millis(1);
        }
        node.drain();
        let mut silences = 0;
        for _ in 0..100 {
            node.now += Duration::from_millis(10);
            node.streams.handle_timeout(node.now);
            silences += node.drain().0.iter().filter(|event| **event == Event::Silent).count();
        }
        assert_eq!(silences, usize::from(silent), "{count} packets, the last one {kind:#x}");
    }
}

/// Returns a stream with a path, whose owner looks at what comes from elsewhere.
fn watching() -> Node {
    let mut node = Node::new(Admission::Refuse);
    node.connect(PEER);
    node.streams.set_claims(node.id, true);
    node
}

/// Returns whether packets from a port are kept.
fn answers_to(node: &mut Node, port: u16) -> bool {
    node.now += Duration::from_millis(50);
    let from = SocketAddrV4::new(*STRANGER.ip(), port);
    node.takes(from, DATA, 1, b"");
    node.drain().1.iter().any(|(to, ..)| *to == from)
}

/// Returns how many bytes leave for a place.
fn sent_to(node: &mut Node, place: SocketAddrV4) -> usize {
    let (mut buffer, mut bytes) = (Vec::new(), 0);
    for _ in 0..100 {
        node.now += Duration::from_millis(1);
        while let Some(train) = node.streams.poll_transmit(node.now, 1, &mut buffer) {
            bytes += if train.destination == place { buffer.len() } else { 0 };
            buffer.clear();
        }
        while node.streams.poll_event().is_some() {}
        if node.streams.poll_timeout().is_some_and(|(at, _)| at <= node.now) {
            node.streams.handle_timeout(node.now);
        }
    }
    bytes
}

const fn followed(address: SocketAddrV4) -> Event {
    Event::PathLearned { socket: SocketId::CLIENT, address }
}

/// The peer behind another port of its router.
const ELSEWHERE: SocketAddrV4 = SocketAddrV4::new(*PEER.ip(), 7);
