//! Streams that begin at a relay and go on without it.

use super::relaying::Scene;
use super::world::{End, Home, World, at, is_probe, is_stream_packet, sender_is_inside, to_home};
use crate::connect::Path;
use crate::udx::Event;
use crate::wire::packet::{HEARTBEAT, PacketHeader};
use crate::wire::transmit::SocketId;

#[test]
fn a_relayed_stream_moves_to_the_direct_path_and_loses_nothing() {
    for (server_names, loss) in [(false, 0.0), (true, 0.0), (false, 0.05), (true, 0.05)] {
        let mut scene = scene(server_names);
        scene.world.loses(loss);
        scene.world.drops(is_probe);
        let mut sides = scene.meet();
        // In the middle of a transfer both ways.
        for side in &mut sides {
            side.write(&mut scene, 150_000);
        }
        scene.world.run_ms(20);
        scene.world.drops_nothing();
        scene.run_until(&mut sides, |world, sides| {
            let has_left = |end: End| world.host(end.host).left.contains(&end.stream);
            sides.iter().all(|side| has_left(side.end) && side.has_all())
        });
        for side in &sides {
            let peer = scene.world.host(side.end.host);
            assert_eq!(peer.moved.len(), 1);
            let moved = &peer.moved[0];
            assert!(matches!(moved.path, Path::Direct | Path::Lan));
            assert_eq!(moved.report.path, Some((moved.path, moved.remote)));
            assert_eq!(moved.remote.ip().octets(), [10, 9, side.other, 1]);
        }

        // From here on the relay does not matter any more.
        scene.world.down(scene.relay);
        scene.all_comes(&mut sides);
        let open = scene.world.attempts(scene.client);
        assert_eq!(open, 0, "nothing is looked for any more");
    }
}

#[test]
fn the_end_of_a_relayed_stream_is_reported_though_a_path_is_still_looked_for() {
    let mut scene = scene(false);
    scene.world.drops(is_probe);
    let mut sides = scene.meet();
    sides[1].write(&mut scene, 100);
    let [client, server] = [sides[0].end, sides[1].end];
    assert!(scene.may_leave_relay(client));
    scene.world.destroy(server);
    scene.world.run_until(5, |world| {
        let events = &world.host(client.host).stream_events;
        events.iter().any(|(stream, event)| *stream == client.stream && matches!(event, Event::Closed(_)))
    });
    assert_eq!(scene.world.attempts(client.host), 0);
}

#[test]
fn a_relayed_stream_stays_where_it_is_when_no_direct_path_opens() {
    let mut scene = scene(false);
    scene.world.drops(is_probe);
    let mut sides = scene.meet();
    assert!(sides.iter().all(|side| scene.may_leave_relay(side.end)));
    scene.world.run_secs(120);
    assert!(!sides.iter().any(|side| scene.may_leave_relay(side.end)));
    scene.all_comes(&mut sides);
    for side in &sides {
        let peer = scene.world.host(side.end.host);
        assert!(peer.moved.is_empty() && peer.left.is_empty());
        assert!(peer.failed.is_empty());
        assert_eq!(scene.world.attempts(side.end.host), 0);
    }
}

#[test]
fn a_path_that_carries_probes_and_no_packets_is_not_taken() {
    let mut scene = scene(false);
    scene.world.drops(is_probe);
    let mut sides = scene.meet();
    scene.world.capture();
    // Stream packets between the two homes get lost.
    scene
        .world
        .drops(|datagram| is_stream_packet(datagram) && sender_is_inside(datagram) && to_home(datagram));
    scene.world.run_secs(120);
    scene.world.drops_nothing();
    let sent = scene.world.captured();
    let asked = sent.iter().filter(|datagram| {
        let header = PacketHeader::split(&datagram.payload);
        let asks = header.is_some_and(|(header, _)| header.has(HEARTBEAT));
        asks && datagram.to.ip().octets() == [10, 9, 1, 1]
    });
    assert_eq!(asked.count(), 7);
    scene.all_comes(&mut sides);
    for side in &sides {
        assert!(scene.world.host(side.end.host).moved.is_empty());
    }
}

#[test]
fn a_relay_that_the_direct_path_forestalls_is_left_at_once() {
    let mut scene = scene(false);
    let dialled = scene.dial();
    let connected = scene.world.connected(dialled);
    let far = scene.world.far_end(&connected);
    for end in [connected.near, far] {
        let peer = scene.world.host(end.host);
        assert_eq!(peer.established[0].stream, end.stream);
        assert_ne!(peer.established[0].path, Path::Relayed);
        assert_eq!(peer.relay_dials.len(), 1);
        assert_eq!(peer.left, [end.stream]);
        assert!(peer.moved.is_empty());
    }
}

#[test]
fn a_stranger_who_knows_the_stream_does_not_move_it() {
    let mut scene = scene(false);
    scene.world.drops(is_probe);
    let [client, server] = scene.meet().map(|side| side.end);
    // The client asks nowhere, and has named one host, where it is.
    for (end, from, moves) in
        [(client, "10.9.1.1:7", false), (server, "10.9.3.1:7", false), (server, "10.9.2.1:7", true)]
    {
        assert_eq!(scene.world.host(end.host).moved.len(), 0);
        let header = PacketHeader {
            kind: HEARTBEAT,
            data_offset: 0,
            stream_id: end.stream.0,
            window: 1 << 20,
            seq: 1,
            ack: 1,
        };
        scene.world.with(end.host, |peer, now| {
            let packet = header.to_bytes();
            peer.endpoint.handle_datagram(now, SocketId::CLIENT, at(from), &packet);
            peer.endpoint.flush(now);
        });
        let moved = !scene.world.host(end.host).moved.is_empty();
        assert_eq!(moved, moves, "{from}");
    }
}

#[test]
fn a_stream_that_ends_while_a_path_is_looked_for_takes_the_search_with_it() {
    let mut scene = scene(false);
    scene.world.drops(is_probe);
    for side in scene.meet() {
        scene.world.destroy(side.end);
    }
    scene.world.run_secs(5);
    assert_eq!(scene.world.attempts(scene.client), 0);
    assert!(scene.world.host(scene.client).failed.is_empty());
}

/// Two peers that can punch, and one of them names a relay.
fn scene(server_names: bool) -> Scene {
    Scene::new(Home::Restricted, Home::Restricted, server_names, !server_names)
}

/// One end of the stream: what it has written and what has come.
struct Side {
    end: End,
    /// The number of the other one's home.
    other: u8,
    expected: Vec<u8>,
    read: Vec<u8>,
}

impl Side {
    /// Writes bytes that follow from their place, to be expected by this end from the other one, which does
    /// the same.
    fn write(&mut self, scene: &mut Scene, count: usize) {
        let start = self.expected.len() as u32;
        let bytes: Vec<u8> = (start..start + count as u32)
            .map(|place| (place.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        self.expected.extend_from_slice(&bytes);
        scene.world.write(self.end, &bytes);
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
    /// Connects the two over the relay; returns the client's side first.
    fn meet(&mut self) -> [Side; 2] {
        let dialled = self.dial();
        self.relay_dials();
        self.pair();
        let connected = self.world.connected(dialled).on(Path::Relayed);
        let far = self.far_end(&connected);
        [(connected.near, 1), (far, 2)].map(|(end, other)| Side {
            end,
            other,
            expected: Vec::new(),
            read: Vec::new(),
        })
    }

    /// Lets both sides write, and waits until all of it has come.
    fn all_comes(&mut self, sides: &mut [Side; 2]) {
        for side in sides.iter_mut() {
            side.write(self, 10_000);
        }
        self.run_until(sides, |_, sides| sides.iter().all(Side::has_all));
    }

    /// Lets time pass, and both sides read, until `done`.
    fn run_until(&mut self, sides: &mut [Side; 2], done: impl Fn(&World, &[Side; 2]) -> bool) {
        self.world.run_until(60, |world| {
            for side in sides.iter_mut() {
                side.read.extend(world.read(side.end));
            }
            done(world, sides)
        });
    }
}
