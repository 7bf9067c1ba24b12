use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::Connections;
use crate::connect::noise::Session;
use crate::connect::{Config, Endpoint, Established, Origin, Path, Report, ServerId};
use crate::keys::KeyPair;
use crate::net::link::{End, Link};
use crate::net::settings::Settings;
use crate::secret_stream::Keys;
use crate::udx::{Admission, Event, StreamId};
use crate::wire::packet::{DATA, PacketHeader};
use crate::wire::transmit::SocketId;

#[test]
fn the_oldest_unproven_stream_goes_when_there_are_too_many() {
    let now = Instant::now();
    let mut world = World::new(now, 3);
    let links: Vec<_> = (0..4_u64).map(|index| world.accept(now + Duration::from_millis(index))).collect();
    assert_eq!(links[0].end(), Some(End::Unproven));
    assert!(links[1..].iter().all(|link| link.end().is_none()));
    assert_eq!((world.connections.len(), world.connections.unproven()), (3, 3));
    assert_eq!(world.connections.unproven_dropped(), 1);
}

#[test]
fn one_source_with_all_unproven_streams_loses_them_and_no_other_does() {
    let now = Instant::now();
    let mut world = World::new(now, 3);
    let honest = world.accept_from(now, "198.51.100.1:1");
    let links: Vec<_> = (0..9).map(|_| world.accept_from(now, "203.0.113.1:1")).collect();
    assert_eq!(honest.end(), None);
    assert_eq!(links.iter().filter(|link| link.end().is_none()).count(), 2);
    assert_eq!(world.connections.unproven(), 3);
}

#[test]
fn a_stream_that_stays_unproven_is_dropped_when_its_time_is_over() {
    let now = Instant::now();
    let mut world = World::new(now, 3);
    let link = world.accept(now);
    let deadline = world.connections.poll_timeout().expect("it has a deadline");
    assert_eq!(deadline, now + Duration::from_secs(15));
    let early = deadline - Duration::from_millis(1);
    world.connections.handle_timeout(early, &mut world.endpoint);
    assert_eq!(link.end(), None);
    world.connections.handle_timeout(deadline, &mut world.endpoint);
    assert_eq!(link.end(), Some(End::Unproven));
    assert_eq!((world.connections.len(), world.connections.poll_timeout()), (0, None));
}

#[test]
fn a_peer_that_acknowledges_may_stay_unproven_and_counts_as_that() {
    let now = Instant::now();
    let mut world = World::new(now, 2);
    let silent = world.accept(now);
    let place = "127.0.0.1:1".parse().expect("valid");
    world.endpoint.streams().connect(now, silent.stream(), SocketId::SERVER, place, 1);
    let mut sent = Vec::new();
    while world.endpoint.poll_transmit(now, 1, &mut sent).is_some() {}
    let stream_id = silent.stream().0;
    let header = PacketHeader { kind: 0, data_offset: 0, stream_id, window: 1 << 20, seq: 0, ack: 1 };
    world.endpoint.handle_datagram(now, SocketId::SERVER, place, &header.to_bytes());
    world.endpoint.flush(now);
    let late = now + Duration::from_secs(16);
    world.connections.handle_timeout(late, &mut world.endpoint);
    assert_eq!((silent.end(), world.connections.poll_timeout()), (None, None));
    assert_eq!(world.connections.unproven(), 1);
    // It is the oldest of its source where there is no more room.
    world.accept(late);
    world.accept(late);
    assert_eq!(silent.end(), Some(End::Unproven));
    assert_eq!(world.connections.unproven(), 2);
}

#[test]
fn a_connection_whose_gap_does_not_close_ends_when_the_memory_runs_out() {
    let now = Instant::now();
    let mut world = World::new(now, 3);
    let [stuck, other] = [(); 2].map(|()| world.accept(now));
    let place = "127.0.0.1:1".parse().expect("valid");
    for link in [&stuck, &other] {
        world.endpoint.streams().connect(now, link.stream(), SocketId::SERVER, place, 1);
    }
    for seq in 1..100 {
        let stream_id = stuck.stream().0;
        let header = PacketHeader { kind: DATA, data_offset: 0, stream_id, window: 1, seq, ack: 0 };
        let datagram = [&header.to_bytes()[..], &[7; 1400]].concat();
        world.endpoint.handle_datagram(now, SocketId::SERVER, place, &datagram);
    }
    assert!(world.endpoint.streams().memory() > 100_000);
    for second in 0..8 {
        // A lost packet may still come.
        assert!(second > 4 || stuck.end().is_none(), "after {second} s");
        let now = now + Duration::from_secs(second);
        world.connections.measure(now, world.endpoint.streams());
        world.connections.handle_timeout(now, &mut world.endpoint);
    }
    assert_eq!((stuck.end(), other.end()), (Some(End::Overloaded), None));
    assert_eq!(world.endpoint.streams().memory(), 0);
}

#[test]
fn a_path_that_is_learned_anew_is_noted() {
    let now = Instant::now();
    let mut world = World::new(now, 3);
    let link = world.accept(now);
    let address = "127.0.0.2:7".parse().expect("valid");
    let learned = Event::PathLearned { socket: SocketId::SERVER, address };
    world.connections.handle_event(now, &mut world.endpoint, link.stream(), learned);
    assert_eq!(link.route(), (Path::Direct, address));
}

#[test]
fn a_proof_that_the_driver_has_not_heard_of_counts_all_the_same() {
    let now = Instant::now();
    let mut world = World::new(now, 1);
    let (late, crowded) = (world.accept(now), now + Duration::from_secs(15));
    late.prove();
    world.connections.handle_timeout(crowded, &mut world.endpoint);
    assert_eq!((late.end(), world.connections.poll_timeout()), (None, None));
    let oldest = world.accept(now);
    oldest.prove();
    world.accept(now);
    assert_eq!(oldest.end(), None);
    assert_eq!((world.connections.len(), world.connections.unproven()), (3, 1));
    assert_eq!(world.connections.unproven_dropped(), 0);
}

#[test]
fn a_relay_that_is_gone_ends_what_still_needs_it() {
    let now = Instant::now();
    let mut world = World::new(now, 3);
    let (relayed, direct) = (world.accept(now), world.accept(now));
    let place = "127.0.0.1:1".parse().expect("valid");
    relayed.set_remote_address(Some(Path::Relayed), place);
    for link in [&relayed, &direct] {
        let stream = link.stream();
        world.connections.handle_relay_gone(now, &mut world.endpoint, stream);
    }
    assert_eq!(relayed.end(), Some(End::RelayGone));
    assert_eq!(direct.end(), None);
}

#[test]
fn a_server_that_is_not_where_it_claims_to_be_ends_the_connection_with_a_report() {
    let now = Instant::now();
    let mut world = World::new(now, 3);
    let link = world.accept(now);
    let address = link.route().1;
    let report = Report { unanswered: Some((address, Duration::from_secs(1))), ..Report::default() };
    world.connections.handle_unreachable(now, &mut world.endpoint, link.stream(), report);
    assert_eq!(link.end(), Some(End::Unreachable { address }));
    assert!(link.report().unanswered.is_some());
}

#[test]
fn every_link_has_an_end_when_the_connections_go() {
    let now = Instant::now();
    let mut world = World::new(now, 3);
    let link = world.accept(now);
    drop(world);
    assert_eq!(link.end(), Some(End::Local));
}

struct World {
    connections: Connections,
    endpoint: Endpoint,
    _wakeups: mpsc::UnboundedReceiver<StreamId>,
}

impl World {
    fn new(now: Instant, max_unproven: usize) -> Self {
        let (wake, wakeups) = mpsc::unbounded_channel();
        let settings = Settings {
            unproven: max_unproven,
            unproven_for: Duration::from_secs(15),
            message: 1000,
            datagrams: 10,
            receive_memory: 256 << 10,
            ..Settings::for_tests()
        };
        Self {
            connections: Connections::new(&settings, wake),
            endpoint: Endpoint::new(now, Config::default(), [1; 32]),
            _wakeups: wakeups,
        }
    }

    /// Accepts a stream on which nothing ever comes.
    fn accept(&mut self, now: Instant) -> Arc<Link> {
        self.accept_from(now, "127.0.0.1:1")
    }

    fn accept_from(&mut self, now: Instant, remote: &str) -> Arc<Link> {
        let stream = self.endpoint.streams().open(Admission::Refuse);
        let established = Established {
            origin: Origin::Server(ServerId(1)),
            stream,
            session: Session {
                keys: Keys::new(&[1; 32], &[2; 32], &[3; 64], false),
                holepunch_secret: [0; 32].into(),
                own_key: *KeyPair::from_seed(&[6; 32]).public_key(),
                remote_public_key: *KeyPair::from_seed(&[4; 32]).public_key(),
            },
            path: Path::Direct,
            remote: remote.parse().expect("valid"),
            report: Report::default(),
        };
        self.connections.open(now, &mut self.endpoint, &established)
    }
}
