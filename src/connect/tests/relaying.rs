//! Peers without a path between them, and a relay that both reach.

use std::time::Duration;

use super::world::{Connected, Dialled, End, Home, World, between_homes, is_rpc, key};
use crate::connect::{Failure, Path, RelayDial};
use crate::sim::network::HostId;
use crate::udx::{Admission, StreamId};
use crate::wire::transmit::SocketId;

#[test]
fn peers_behind_random_nats_meet_at_the_relay_that_either_names() {
    for server_names in [false, true] {
        let mut scene = Scene::new(Home::Random, Home::Random, server_names, !server_names);
        let dialled = scene.dial();
        scene.pair();
        let connected = scene.world.connected(dialled).on(Path::Relayed);
        assert!(connected.report.relay_paired.is_some());
        assert!(connected.report.total < Duration::from_secs(2));
        let far = scene.far_end(&connected);
        scene.world.both_speak(&connected);
        for end in [connected.near, far] {
            assert!(!scene.may_leave_relay(end));
        }

        // The end of the stream is the end of the link.
        scene.world.destroy(connected.near);
        let relay = scene.relay;
        scene.world.run_until(30, |world| world.host(relay).unlinked.len() == 1);
    }
}

#[test]
fn a_server_that_is_not_reachable_where_it_claims_to_be_is_met_at_the_relay() {
    for server_names in [false, true] {
        let mut scene = Scene::new(Home::Mistaken, Home::KeepsPorts, server_names, !server_names);
        // Nothing but messages of the DHT comes through between the homes.
        scene.world.drops(|datagram| !is_rpc(datagram) && between_homes(datagram));
        let dialled = scene.dial();
        let client = scene.client;
        scene.relay_dials();
        scene.pair();
        let connected = scene.world.connected(dialled);
        scene.world.run_until(30, |world| !world.host(client).moved.is_empty());
        let moved = &scene.world.host(client).moved[0];
        assert_eq!(moved.path, Path::Relayed);
        assert!(moved.report.unanswered.is_some());
        assert!(moved.report.total < Duration::from_secs(3));
        scene.far_end(&connected);
        scene.world.both_speak(&connected);
        // Nothing better is found, and no search lasts for ever.
        scene.world.run_secs(120);
        assert_eq!(scene.world.host(client).moved.len(), 1);
        assert_eq!(scene.world.attempts(client), 0);
    }
}

#[test]
fn the_servers_relay_goes_first_and_both_agree_on_the_token() {
    for server_names in [true, false] {
        let mut scene = Scene::new(Home::Random, Home::Random, server_names, true);
        scene.dial();
        let [ours, theirs] = scene.relay_dials();
        assert_eq!(ours.token, theirs.token);
        let initiators = (ours.is_initiator, theirs.is_initiator);
        assert_eq!(initiators, (!server_names, server_names));
    }
}

#[test]
fn a_relay_that_never_answers_ends_with_no_path() {
    let mut scene = Scene::new(Home::Random, Home::Random, false, true);
    let dialled = scene.dial();
    let [ours, _] = scene.relay_dials();
    scene.world.run_secs(3);
    let failure = scene.world.failure(dialled);
    assert_eq!(failure, None, "the relay may come yet");
    scene.world.with(scene.client, |peer, now| {
        peer.endpoint.handle_relay(now, ours.stream, None);
    });
    assert_eq!(scene.world.failure(dialled), Some(Failure::NoPath));
}

#[test]
fn a_relay_that_brings_a_stranger_gains_nothing() {
    let mut scene = Scene::new(Home::Random, Home::Random, false, true);
    let dialled = scene.dial();
    // In the place of the server comes the relay's accomplice, whose stream knows the ids but not the keys.
    let host = scene.world.open_peer();
    let (_, foreign) = scene.at_relay(host, 66);
    let stream = scene.world.with(host, |peer, _| peer.endpoint.streams().open(Admission::LearnPath));
    let accomplice = End { host, stream };
    let ids = scene.link_client_with(foreign, stream);
    let near = scene.world.connected(dialled).near;
    let relay = scene.world.address(scene.relay);
    scene.world.with(host, |peer, now| {
        let streams = peer.endpoint.streams();
        streams.connect(now, stream, SocketId::SERVER, relay, ids[1]);
        let mut lie = vec![56, 0, 0];
        lie.extend_from_slice(&[7; 56]);
        lie.extend_from_slice(b"I am the server");
        streams.write(now, stream, &lie).unwrap();
    });
    scene.world.run_secs(5);
    let read = scene.world.read(near);
    assert_eq!(read, b"", "what does not begin as the server's stream is not taken");
    let heard = scene.world.read(accomplice);
    assert!(!heard.is_empty(), "while the packets did travel");
}

/// Two peers in homes of their own, and a relay.
pub(super) struct Scene {
    pub(super) world: World,
    pub(super) relay: HostId,
    pub(super) server: HostId,
    pub(super) client: HostId,
    client_names: bool,
}

impl Scene {
    pub(super) fn new(server: Home, client: Home, server_names: bool, client_names: bool) -> Self {
        let mut world = World::of_towns(5, 8);
        let relay = world.open_peer();
        world.listen_with(relay, |listen| listen.identity = key(RELAY).into());
        let server = world.home(server);
        let client = world.home(client);
        world.listen_with(server, |listen| {
            listen.relay_through = server_names.then(|| *key(RELAY).public_key());
        });
        Self { world, relay, server, client, client_names }
    }

    pub(super) fn dial(&mut self) -> Dialled {
        let relay = self.client_names.then(|| *key(RELAY).public_key());
        self.world.dial_with(self.client, self.server, |dial| dial.relay_through = relay)
    }

    /// Waits until both sides want to go to a relay; the client's wish comes first.
    pub(super) fn relay_dials(&mut self) -> [RelayDial; 2] {
        let both = [self.client, self.server];
        self.world.run_until(30, |world| both.iter().all(|host| !world.host(*host).relay_dials.is_empty()));
        both.map(|host| self.world.host(host).relay_dials[0].clone())
    }

    /// Waits until the server has the stream, which must be relayed, and returns its end.
    pub(super) fn far_end(&mut self, connected: &Connected) -> End {
        let far = self.world.far_end(connected);
        let mut established = self.world.host(self.server).established.iter();
        let found = established.find(|one| one.stream == far.stream);
        assert_eq!(found.map(|one| one.path), Some(Path::Relayed));
        far
    }

    pub(super) fn may_leave_relay(&self, end: End) -> bool {
        let peer = self.world.host(end.host);
        peer.endpoint.may_leave_relay(end.stream)
    }

    /// Does what the driver does for both: connects them to the relay and passes on its answer.
    pub(super) fn pair(&mut self) {
        let server = self.server;
        let (near, far) = self.at_relay(server, 41);
        let stream = self.world.host(server).relay_dials[0].stream;
        let ids = self.link_client_with(far, stream);
        self.world.with(server, |peer, now| {
            peer.endpoint.handle_relay(now, stream, Some((near, ids[1])));
        });
    }

    /// Links the client with `stream`, whose owner is connected to the relay by `far`, and informs it.
    fn link_client_with(&mut self, far: StreamId, stream: StreamId) -> [u32; 2] {
        let client = self.client;
        let (near, own) = self.at_relay(client, 42);
        let wished = self.world.host(client).relay_dials[0].stream;
        let ids = self.world.with(self.relay, |peer, now| {
            let until = now + Duration::from_secs(3600);
            let sides = [(own, wished.0), (far, stream.0)];
            peer.endpoint.link(sides, 1 << 20, until).unwrap()
        });
        self.world.with(client, |peer, now| {
            peer.endpoint.handle_relay(now, wished, Some((near, ids[0])));
        });
        ids
    }

    /// Connects a host to the relay under this key; returns both ends of the stream, the relay's last.
    fn at_relay(&mut self, host: HostId, number: u8) -> (StreamId, StreamId) {
        let dialled = self.world.dial_with(host, self.relay, |dial| dial.identity = key(number).into());
        let connected = self.world.connected(dialled);
        let far = self.world.far_end(&connected);
        assert_eq!(far.host, self.relay);
        (connected.near.stream, far.stream)
    }
}

/// The number of the relay's key.
const RELAY: u8 = 77;
