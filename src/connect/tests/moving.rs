//! Streams that begin at a relay and go on without it.

use std::time::Duration;

use super::relaying::Scene;
use crate::connect::{Origin, Path};
use crate::sim::nat::Router;
use crate::sim::network::HostId;
use crate::udx::StreamId;
use crate::wire::packet::{HEARTBEAT, PacketHeader};
use crate::wire::transmit::SocketId;

#[test]
fn a_relayed_stream_moves_to_the_direct_path_and_loses_nothing() {
    for (server_names, loss) in [(false, 0.0), (true, 0.0), (false, 0.05), (true, 0.05)] {
        let mut scene = Scene::behind(Router::RESTRICTED, server_names, !server_names);
        scene.world.network.link.loss = loss;
        scene.world.network.lost = Some(|datagram| datagram.payload.len() == 1);
        let mut ends = scene.meet();
        // In the middle of a transfer both ways.
        for end in &mut ends {
            end.write(&mut scene, 150_000);
        }
        scene.world.network.run_for(Duration::from_millis(20));
        scene.world.network.lost = None;
        let relay = scene.relay;
        scene.run_until(&mut ends, |scene, ends| {
            ends.iter().all(|end| end.has_left(scene) && end.has_all())
        });
        for end in &ends {
            let peer = scene.world.network.host(end.host);
            assert_eq!(peer.moved.len(), 1);
            let moved = &peer.moved[0];
            assert!(matches!(moved.path, Path::Direct | Path::Lan));
            assert_eq!(moved.report.path, Some((moved.path, moved.remote)));
            assert_eq!(moved.remote.ip().octets(), [10, 9, end.other, 1]);
        }

        // From here on the relay does not matter any more.
        scene.world.network.set_up(relay, false);
        for end in &mut ends {
            end.write(&mut scene, 10_000);
        }
        scene.run_until(&mut ends, |_, ends| ends.iter().all(End::has_all));
        let open =
            |scene: &Scene, end: &End| scene.world.network.host(end.host).endpoint.attempts_under_way();
        assert_eq!(open(&scene, &ends[0]), 0, "nothing is looked for any more");
    }
}

#[test]
fn a_relayed_stream_stays_where_it_is_when_no_direct_path_opens() {
    let mut scene = Scene::behind(Router::RESTRICTED, false, true);
    scene.world.network.lost = Some(|datagram| datagram.payload.len() == 1);
    let mut ends = scene.meet();
    let may_leave = |scene: &Scene, end: &End| {
        let peer = scene.world.network.host(end.host);
        peer.endpoint.may_leave_relay(end.stream)
    };
    assert!(ends.iter().all(|end| may_leave(&scene, end)));
    scene.world.network.run_for(Duration::from_secs(120));
    assert!(!ends.iter().any(|end| may_leave(&scene, end)));
    for end in &mut ends {
        end.write(&mut scene, 10_000);
    }
    scene.run_until(&mut ends, |_, ends| ends.iter().all(End::has_all));
    for end in &ends {
        let peer = scene.world.network.host(end.host);
        assert!(peer.moved.is_empty() && peer.left.is_empty());
        assert!(peer.failed.is_empty() && peer.endpoint.attempts_under_way() == 0);
    }
}

#[test]
fn a_path_that_carries_probes_and_no_packets_is_not_taken() {
    let mut scene = Scene::behind(Router::RESTRICTED, false, true);
    scene.world.network.lost = Some(|datagram| datagram.payload.len() == 1);
    let mut ends = scene.meet();
    let network = &mut scene.world.network;
    network.capture = Some(Vec::new());
    // Stream packets between the two homes get lost.
    network.lost = Some(|datagram| {
        let (from, to) = (datagram.from.ip().octets(), datagram.to.ip().octets());
        datagram.payload.first() == Some(&0xff) && from[0] == 192 && to[..2] == [10, 9]
    });
    network.run_for(Duration::from_secs(120));
    network.lost = None;
    let sent = network.capture.take().unwrap();
    let asked = sent.iter().filter(|datagram| {
        let header = PacketHeader::split(&datagram.payload);
        let asks = header.is_some_and(|(header, _)| header.has(HEARTBEAT));
        asks && datagram.to.ip().octets() == [10, 9, 1, 1]
    });
    assert_eq!(asked.count(), 7);
    for end in &mut ends {
        end.write(&mut scene, 10_000);
    }
    scene.run_until(&mut ends, |_, ends| ends.iter().all(End::has_all));
    for end in &ends {
        assert!(scene.world.network.host(end.host).moved.is_empty());
    }
}

#[test]
fn a_relay_that_the_direct_path_forestalls_is_left_at_once() {
    let mut scene = Scene::behind(Router::RESTRICTED, false, true);
    let attempt = scene.dial();
    let (client, server) = (scene.client, scene.server);
    scene.world.wait(client, attempt);
    let network = &mut scene.world.network;
    network.run_until(LIMIT, |network| !network.host(server).established.is_empty());
    for host in [client, server] {
        let peer = network.host(host);
        assert_ne!(peer.established[0].path, Path::Relayed);
        assert_eq!(peer.relay_dials.len(), 1);
        assert_eq!(peer.left, [peer.established[0].stream]);
        assert!(peer.moved.is_empty());
    }
}

#[test]
fn a_stranger_who_knows_the_stream_does_not_move_it() {
    let mut scene = Scene::behind(Router::RESTRICTED, false, true);
    scene.world.network.lost = Some(|datagram| datagram.payload.len() == 1);
    let ends = scene.meet();
    // The client asks nowhere, and has named one host, where it is.
    for (host, stream, from, moves) in [
        (ends[0].host, ends[0].stream, "10.9.1.1:7", false),
        (ends[1].host, ends[1].stream, "10.9.3.1:7", false),
        (ends[1].host, ends[1].stream, "10.9.2.1:7", true),
    ] {
        let peer = scene.world.network.host(host);
        let (seq, ack) = (1, 1);
        assert_eq!(peer.moved.len(), 0);
        let header = PacketHeader {
            kind: HEARTBEAT,
            data_offset: 0,
            stream_id: stream.0,
            window: 1 << 20,
            seq,
            ack,
        };
        scene.world.network.with(host, |peer, now| {
            let from = from.parse().unwrap();
            let packet = header.to_bytes();
            peer.endpoint
                .handle_datagram(now, SocketId::CLIENT, from, &packet);
            peer.endpoint.flush(now);
        });
        let moved = !scene.world.network.host(host).moved.is_empty();
        assert_eq!(moved, moves, "{from}");
    }
}

#[test]
fn a_stream_that_ends_while_a_path_is_looked_for_takes_the_search_with_it() {
    let mut scene = Scene::behind(Router::RESTRICTED, false, true);
    scene.world.network.lost = Some(|datagram| datagram.payload.len() == 1);
    let ends = scene.meet();
    for end in &ends {
        let stream = end.stream;
        scene
            .world
            .network
            .with(end.host, |peer, now| peer.endpoint.streams().destroy(now, stream));
    }
    scene.world.network.run_for(Duration::from_secs(5));
    let client = scene.world.network.host(ends[0].host);
    assert!(client.endpoint.attempts_under_way() == 0 && client.failed.is_empty());
}

/// One end of the stream: what it has written and what has come.
struct End {
    host: HostId,
    stream: StreamId,
    /// The number of the other one's home.
    other: u8,
    expected: Vec<u8>,
    read: Vec<u8>,
}

impl End {
    /// Writes bytes that follow from their place, to be expected by this end from the other one, which does
    /// the same.
    fn write(&mut self, scene: &mut Scene, count: usize) {
        let start = self.expected.len() as u32;
        let bytes: Vec<u8> = (start..start + count as u32)
            .map(|place| (place.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        self.expected.extend_from_slice(&bytes);
        let stream = self.stream;
        let written = scene.world.network.with(self.host, |peer, now| {
            peer.endpoint.streams().write(now, stream, &bytes)
        });
        assert_eq!(written, Ok(count));
    }

    fn has_left(&self, scene: &Scene) -> bool {
        scene.world.network.host(self.host).left.contains(&self.stream)
    }

    /// Returns whether everything that the other end wrote has come, which is what this one wrote, after the
    /// header frame.
    fn has_all(&self) -> bool {
        let read = self.read.get(59..).unwrap_or_default();
        assert!(self.expected.starts_with(read), "bytes lost or doubled");
        read.len() == self.expected.len()
    }
}

impl Scene {
    /// Connects the two over the relay; returns the client's end first.
    fn meet(&mut self) -> [End; 2] {
        let attempt = self.dial();
        let (client, server) = (self.client, self.server);
        self.world.network.run_until(LIMIT, |network| {
            [client, server]
                .iter()
                .all(|host| !network.host(*host).relay_dials.is_empty())
        });
        self.pair();
        self.world.wait(client, attempt);
        let near = self.world.network.host(client).find(attempt).unwrap();
        assert_eq!(near.path, Path::Relayed);
        let near = near.stream;
        let mut far = None;
        self.world.network.run_until(LIMIT, |network| {
            let mut established = network.host(server).established.iter();
            far = established
                .find(|one| matches!(one.origin, Origin::Server(_)))
                .map(|one| (one.path, one.stream));
            far.is_some()
        });
        let (path, far) = far.unwrap();
        assert_eq!(path, Path::Relayed);
        [(client, near, 1), (server, far, 2)].map(|(host, stream, other)| End {
            host,
            stream,
            other,
            expected: Vec::new(),
            read: Vec::new(),
        })
    }

    /// Lets time pass, and both ends read, until `done`.
    fn run_until(&mut self, ends: &mut [End; 2], done: impl Fn(&Self, &[End; 2]) -> bool) {
        let until = self.world.network.now() + LIMIT;
        while !done(self, ends) {
            assert!(self.world.network.step(until), "not done within {LIMIT:?}");
            for end in ends.iter_mut() {
                let stream = end.stream;
                let read = self
                    .world
                    .network
                    .with(end.host, |peer, now| peer.read(now, stream));
                end.read.extend(read);
            }
        }
    }
}

const LIMIT: Duration = Duration::from_secs(60);
