//! Who may speak for the peer, and from where.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use crate::sim::link::{Direction, Link, Side};
use crate::udx::{Admission, Closed, Config, Event, StreamId, Streams};
use crate::wire::packet::{DATA, DESTROY, HEARTBEAT, MESSAGE, PacketHeader, SACK};
use crate::wire::transmit::SocketId;

#[test]
fn a_refusing_stream_swallows_packets_without_effect() {
    let mut node = Node::new(Admission::Refuse);
    assert!(node.takes(PEER, DATA, 0, b"early"));
    assert_eq!(node.drain(), (vec![], vec![]));
    node.connect(PEER);
    assert_eq!(node.drain(), (vec![], vec![]), "nothing is owed");
}

#[test]
fn a_holding_stream_keeps_early_data_and_acknowledges_when_connected() {
    let mut node = Node::new(Admission::HoldAndAccept);
    assert!(node.takes(PEER, DATA, 0, b"early"));
    assert_eq!(node.drain(), (vec![Event::Readable], vec![]));
    assert_eq!(node.streams.held_path(node.id, |_| true), Some((SocketId::CLIENT, PEER)));
    node.connect(PEER);
    let (_, sent) = node.drain();
    assert_eq!(sent, [(PEER, 0, 1)]);
}

#[test]
fn held_data_that_is_not_the_peers_is_forgotten_when_its_beginning_is_known() {
    let mut node = Node::new(Admission::HoldAndAccept);
    node.takes(STRANGER, DATA, 0, b"forged");
    node.drain();
    node.streams.expect_prefix(node.id, PREFIX.to_vec());
    assert_eq!(node.streams.readable(node.id), 0);
    assert_eq!(node.streams.held_path(node.id, |_| true), None);
    node.takes(PEER, DATA, 0, GENUINE);
    assert_eq!(node.drain().0, [Event::PathValidated, Event::Readable]);
}

#[test]
fn a_path_is_learned_from_the_first_acceptable_packet() {
    let mut node = Node::new(Admission::LearnPath);
    node.takes(STRANGER, MESSAGE, 0, b"too early");
    assert_eq!(node.drain().0, [], "the id of the peer is not known yet");
    node.streams.set_remote_id(node.id, REMOTE);
    node.streams.expect_prefix(node.id, PREFIX.to_vec());
    node.takes(STRANGER, DATA, 0, b"forged");
    assert_eq!(node.drain(), (vec![], vec![]), "it contradicts the peer's beginning");
    node.takes(PEER, DATA, 0, GENUINE);
    let (events, sent) = node.drain();
    assert_eq!(events, [learned(PEER), Event::PathValidated, Event::Readable]);
    assert_eq!(sent, [(PEER, 0, 1)]);
}

#[test]
fn a_provisional_path_gives_way_to_the_one_with_the_proof_and_to_none_after() {
    let mut node = Node::new(Admission::LearnPath);
    node.streams.set_remote_id(node.id, REMOTE);
    node.streams.expect_prefix(node.id, PREFIX.to_vec());
    node.takes(STRANGER, MESSAGE, 0, b"");
    node.takes(STRANGER, DATA, 1, b"poison");
    node.drain();
    assert_eq!(node.streams.path(node.id), Some((SocketId::CLIENT, STRANGER)));
    node.takes(PEER, HEARTBEAT, 0, b"");
    assert_eq!(node.drain(), (vec![], vec![]), "a heartbeat proves nothing");
    node.takes(PEER, DATA, 0, GENUINE);
    let (events, sent) = node.drain();
    assert_eq!(events, [learned(PEER), Event::PathValidated, Event::Readable]);
    assert_eq!(sent, [(PEER, 0, 1)], "what the stranger sent ahead is gone");
    assert_unmoved(&mut node, STRANGER);
}

#[test]
fn a_packet_from_a_foreign_address_changes_nothing_even_with_our_stream_id() {
    let mut node = Node::new(Admission::Refuse);
    node.connect(PEER);
    assert_unmoved(&mut node, STRANGER);
    let mut settled = Node::new(Admission::LearnPath);
    settled.streams.expect_prefix(settled.id, PREFIX.to_vec());
    settled.connect(PEER);
    settled.takes(PEER, DATA, 0, GENUINE);
    settled.drain();
    assert_unmoved(&mut settled, STRANGER);
}

#[test]
fn a_named_candidate_is_heard_without_moving_the_path() {
    let mut node = Node::new(Admission::Only(SocketId::CLIENT, RELAY));
    node.connect(PEER);
    node.takes(RELAY, DATA, 0, b"by relay");
    let (events, sent) = node.drain();
    assert_eq!(events, [Event::Readable]);
    assert_eq!(sent, [(PEER, 0, 1)]);
    assert_unmoved(&mut node, STRANGER);
}

#[test]
fn a_candidate_is_heard_and_told_once_and_moves_nothing_by_itself() {
    let mut node = Node::new(Admission::Refuse);
    node.connect(RELAY);
    node.streams.set_candidates(node.id, vec![*PEER.ip()]);
    assert_unmoved(&mut node, STRANGER);
    node.takes(PEER, DATA, 0, b"directly");
    let offered = Event::PathOffered { socket: SocketId::CLIENT, address: PEER };
    let (events, sent) = node.drain();
    assert_eq!(events, [offered, Event::Readable]);
    assert_eq!(sent, [(RELAY, 0, 1)]);
    node.takes(PEER, MESSAGE, 1, b"again");
    assert_eq!(node.drain().0, [Event::Message(b"again".to_vec())]);
    assert_eq!(node.streams.heard_elsewhere(node.id), None);

    let (now, id) = (node.now, node.id);
    node.streams.change_remote(now, id, SocketId::CLIENT, PEER, REMOTE);
    node.streams.set_candidates(id, Vec::new());
    node.takes(RELAY, DATA, 8, b"late");
    let (events, sent) = node.drain();
    assert_eq!(events, [Event::RemoteChanged]);
    assert_eq!(sent, [(PEER, SACK, 1)]);
    assert_eq!(node.streams.heard_elsewhere(id), Some(now));
}

#[test]
fn candidates_are_bounded() {
    let mut node = Node::new(Admission::Refuse);
    node.connect(RELAY);
    let hosts = (0..100).map(|last| Ipv4Addr::new(198, 51, 100, last));
    node.streams.set_candidates(node.id, hosts.rev().collect());
    assert_unmoved(&mut node, PEER);
    node.takes(SocketAddrV4::new([198, 51, 100, 99].into(), 1), MESSAGE, 0, b"");
    assert_eq!(node.drain().0.len(), 2);
}

#[test]
fn a_probe_of_another_path_leaves_what_is_owed_for_the_path() {
    let mut node = Node::new(Admission::Refuse);
    node.connect(RELAY);
    node.takes(RELAY, DATA, 0, b"by relay");
    node.streams.probe_path(node.id, SocketId::SERVER, PEER, REMOTE);
    let (_, sent) = node.drain();
    assert_eq!(sent, [(PEER, HEARTBEAT, 1), (RELAY, 0, 1)]);
}

#[test]
fn implausible_numbers_have_no_effect() {
    let mut node = Node::new(Admission::Refuse);
    node.connect(PEER);
    for (kind, seq, ack) in
        [(DATA, 0, 5), (DATA, 1 << 20, 0), (DESTROY, 1 << 30, 0), (MESSAGE, 0, u32::MAX - (1 << 20))]
    {
        let header = PacketHeader { kind, data_offset: 0, stream_id: node.id.0, window: 0, seq, ack };
        assert!(node.streams.handle_datagram(node.now, SocketId::CLIENT, PEER, &header.to_bytes()));
        node.streams.flush(node.now);
        assert_eq!(node.drain(), (vec![], vec![]), "{header}");
    }
}

#[test]
fn a_change_of_path_is_complete_when_what_was_sent_before_is_acknowledged() {
    let mut link = Link::new(1, Config::default(), Direction::clean(Duration::from_millis(10)));
    let (now, end) = (link.now, link.end(Side::A));
    end.streams.change_remote(now, end.id, SocketId::SERVER, Side::B.address(), 0);
    link.send();
    assert_eq!(link.end(Side::A).events, [Event::RemoteChanged], "nothing was out");

    let mut link = Link::new(1, Config::default(), Direction::clean(Duration::from_millis(10)));
    let remote = link.end(Side::B).id.0;
    let elsewhere = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9);
    let (now, end) = (link.now, link.end(Side::A));
    end.streams.connect(now, end.id, SocketId::SERVER, elsewhere, remote);
    super::helpers::written(&mut link, Side::A, &[7; 50_000]);
    link.run_for(Duration::from_millis(100));
    let (now, end) = (link.now, link.end(Side::A));
    end.streams.change_remote(now, end.id, SocketId::SERVER, Side::B.address(), remote);
    link.send();
    assert_eq!(link.end(Side::A).events, []);
    link.run_for(Duration::from_secs(5));
    assert_eq!(link.end(Side::A).events, [Event::RemoteChanged]);
    assert_eq!(super::helpers::read(&mut link, Side::B, usize::MAX).len(), 50_000);
}

#[test]
fn packets_on_the_path_before_a_change_are_still_taken() {
    let mut node = Node::new(Admission::Refuse);
    node.connect(RELAY);
    let (now, id) = (node.now, node.id);
    node.streams.change_remote(now, id, SocketId::CLIENT, PEER, REMOTE);
    node.takes(RELAY, DATA, 0, b"still by relay");
    let (events, sent) = node.drain();
    assert_eq!(events, [Event::RemoteChanged, Event::Readable]);
    assert_eq!(sent, [(PEER, 0, 1)]);
}

/// Throws packets of all kinds from `place` that would matter if they were the peer's.
fn assert_unmoved(node: &mut Node, place: SocketAddrV4) {
    let (path, readable) = (node.streams.path(node.id), node.streams.readable(node.id));
    let before = node.streams.poll_timeout();
    for kind in [0, DATA, MESSAGE, HEARTBEAT, DESTROY] {
        for seq in 0..4 {
            assert!(node.takes(place, kind, seq, b"anything"), "it is not for anyone else either");
        }
    }
    assert_eq!(node.drain(), (vec![], vec![]));
    assert_eq!(node.streams.poll_timeout(), before);
    assert_eq!((node.streams.path(node.id), node.streams.readable(node.id)), (path, readable));
    assert!(node.streams.contains(node.id));
}

pub(super) struct Node {
    pub(super) streams: Streams,
    pub(super) id: StreamId,
    pub(super) now: Instant,
}

impl Node {
    pub(super) fn new(admission: Admission) -> Self {
        let mut streams = Streams::new(Config::default(), [3; 32]);
        let id = streams.open(admission);
        Self { streams, id, now: Instant::now() }
    }

    pub(super) fn connect(&mut self, to: SocketAddrV4) {
        self.streams.connect(self.now, self.id, SocketId::CLIENT, to, REMOTE);
    }

    pub(super) fn takes(&mut self, from: SocketAddrV4, kind: u8, seq: u32, payload: &[u8]) -> bool {
        let header =
            PacketHeader { kind, data_offset: 0, stream_id: self.id.0, window: 1 << 20, seq, ack: 0 };
        let mut datagram = header.to_bytes().to_vec();
        datagram.extend_from_slice(payload);
        let taken = self.streams.handle_datagram(self.now, SocketId::CLIENT, from, &datagram);
        self.streams.flush(self.now);
        taken
    }

    /// Returns the events, and where packets went, their kinds and what they acknowledge.
    pub(super) fn drain(&mut self) -> (Vec<Event>, Vec<(SocketAddrV4, u8, u32)>) {
        let (mut events, mut sent, mut buffer) = (Vec::new(), Vec::new(), Vec::new());
        while let Some((_, event)) = self.streams.poll_event() {
            assert_ne!(event, Event::Closed(Closed::Reset));
            events.push(event);
        }
        while let Some(train) = self.streams.poll_transmit(self.now, 1, &mut buffer) {
            let (header, _) = PacketHeader::split(&buffer).unwrap();
            assert_eq!(header.stream_id, REMOTE);
            sent.push((train.destination, header.kind, header.ack));
            buffer.clear();
        }
        (events, sent)
    }
}

const fn learned(address: SocketAddrV4) -> Event {
    Event::PathLearned { socket: SocketId::CLIENT, address }
}

const REMOTE: u32 = 0x99;
const PREFIX: &[u8] = b"this is me";
const GENUINE: &[u8] = b"this is me, and this is more";
pub(super) const PEER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 1), 1);
pub(super) const STRANGER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 1), 1);
const RELAY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 1);
