//! Listening, dialling, and what must be seen of it.

use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use super::base::{World, key, server_key};
use super::homes::Home;
use crate::connect::{AttemptId, Dial, Established, Failure, Listen, Origin, Path, Report, ServerId};
use crate::keys::{KeyPair, PublicKey};
use crate::sim::network::HostId;
use crate::udx::{StreamId, StreamOptions};
use crate::wire::transmit::SocketId;

/// An attempt, and who made it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dialled {
    pub(crate) client: HostId,
    pub(crate) attempt: AttemptId,
    since: Instant,
}

/// One end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) host: HostId,
    pub(crate) stream: StreamId,
}

/// A stream as the side that dialled was given it.
#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) near: End,
    pub(crate) remote: SocketAddrV4,
    pub(crate) report: Report,
    pub(crate) path: Path,
    /// From the start of the attempt to the event.
    pub(crate) took: Duration,
    handshake: [u8; 64],
}

impl World {
    /// Adds a peer that listens.
    pub(crate) fn server(&mut self, home: Home) -> HostId {
        let server = self.home(home);
        self.listen(server);
        server
    }

    /// Adds two peers, the first of which listens then.
    pub(crate) fn server_and_client(&mut self, server: Home, client: Home) -> (HostId, HostId) {
        let (server, client) = (self.home(server), self.home(client));
        self.listen(server);
        (server, client)
    }

    /// Starts a server and waits until it is announced.
    pub(crate) fn listen(&mut self, host: HostId) -> ServerId {
        self.listen_with(host, |_| {})
    }

    pub(crate) fn listen_with(&mut self, host: HostId, change: impl FnOnce(&mut Listen)) -> ServerId {
        let id = self.start_listening_with(host, change);
        self.run_until(60, |world| world.is_listening(host, id));
        id
    }

    /// Starts a server, whether or not it can be announced.
    pub(crate) fn start_listening(&mut self, host: HostId) -> ServerId {
        self.start_listening_with(host, |_| {})
    }

    pub(crate) fn start_listening_with(
        &mut self,
        host: HostId,
        change: impl FnOnce(&mut Listen),
    ) -> ServerId {
        let mut listen = listen_as(server_key());
        listen.reusable_socket = self.reusable;
        change(&mut listen);
        self.keys.insert(host, *listen.identity.public_key());
        self.with(host, |peer, now| peer.endpoint.listen(now, listen)).unwrap()
    }

    pub(crate) fn is_listening(&self, host: HostId, server: ServerId) -> bool {
        self.host(host).listening.contains(&server)
    }

    pub(crate) fn unlisten(&mut self, host: HostId, server: ServerId) {
        self.with(host, |peer, now| peer.endpoint.unlisten(now, server));
    }

    pub(crate) fn dial(&mut self, client: HostId, server: HostId) -> Dialled {
        self.dial_with(client, server, |_| {})
    }

    /// Dials with a wish of the test's own.
    pub(crate) fn dial_with(
        &mut self,
        client: HostId,
        server: HostId,
        change: impl FnOnce(&mut Dial),
    ) -> Dialled {
        let remote = self.keys[&server];
        self.dial_key_with(client, remote, change)
    }

    pub(crate) fn dial_key(&mut self, client: HostId, remote: &KeyPair) -> Dialled {
        self.dial_key_with(client, *remote.public_key(), |_| {})
    }

    fn dial_key_with(
        &mut self,
        client: HostId,
        remote: PublicKey,
        change: impl FnOnce(&mut Dial),
    ) -> Dialled {
        let mut dial = dial_to(remote);
        dial.reusable_socket = self.reusable;
        change(&mut dial);
        let since = self.network.now();
        let attempt = self.with(client, |peer, now| peer.endpoint.connect(now, dial));
        Dialled { client, attempt, since }
    }

    /// Waits until an attempt has ended, and returns how long that took from its start.
    #[track_caller]
    pub(crate) fn wait(&mut self, dialled: Dialled) -> Duration {
        self.run_until(60, |world| world.host(dialled.client).has_ended(dialled.attempt));
        self.network.now() - dialled.since
    }

    /// Returns the failure of an attempt, if it has failed by now.
    pub(crate) fn failure(&self, dialled: Dialled) -> Option<Failure> {
        self.host(dialled.client).failed.get(&dialled.attempt).copied()
    }

    /// Returns the report of an attempt that has ended.
    pub(crate) fn report(&self, dialled: Dialled) -> &Report {
        let peer = self.host(dialled.client);
        peer.find(dialled.attempt).map_or_else(|| &peer.reports[&dialled.attempt], |found| &found.report)
    }

    /// Waits for the end of an attempt, which must succeed.
    #[track_caller]
    pub(crate) fn connected(&mut self, dialled: Dialled) -> Connected {
        let took = self.wait(dialled);
        let failure = self.failure(dialled);
        assert_eq!(failure, None, "{}", self.report(dialled));
        let peer = self.host(dialled.client);
        let found = peer.find(dialled.attempt).expect("it has not failed");
        Connected {
            near: End { host: dialled.client, stream: found.stream },
            remote: found.remote,
            report: found.report.clone(),
            path: found.path,
            took,
            handshake: *found.session.keys.handshake_hash(),
        }
    }

    /// Waits for the end of an attempt, which must fail with this.
    #[track_caller]
    pub(crate) fn failed(&mut self, dialled: Dialled, failure: Failure) -> Report {
        self.wait(dialled);
        assert_eq!(self.failure(dialled), Some(failure));
        self.report(dialled).clone()
    }

    /// Connects, and waits until both sides have the stream.
    #[track_caller]
    pub(crate) fn connect(&mut self, client: HostId, server: HostId) -> Connected {
        let dialled = self.dial(client, server);
        let connected = self.connected(dialled);
        self.far_end(&connected);
        connected
    }

    /// Waits until the side that was dialled has the stream, and returns its end.
    #[track_caller]
    pub(crate) fn far_end(&mut self, connected: &Connected) -> End {
        let mut found = None;
        self.run_until(30, |world| {
            found = world.other_end(connected);
            found.is_some()
        });
        found.expect("it was found")
    }

    /// Returns the end of the side that was dialled, if it has one yet.
    pub(crate) fn other_end(&self, connected: &Connected) -> Option<End> {
        self.addresses.keys().find_map(|host| {
            let has_it = |one: &&Established| {
                matches!(one.origin, Origin::Server(_))
                    && one.session.keys.handshake_hash() == &connected.handshake
            };
            let found = self.host(*host).established.iter().find(has_it)?;
            Some(End { host: *host, stream: found.stream })
        })
    }

    /// Waits, for so many seconds at most, until a server has been given a stream.
    #[track_caller]
    pub(crate) fn accepts_within(&mut self, secs: u64, server: HostId) {
        self.run_until(secs, |world| !world.host(server).established.is_empty());
    }

    /// Exchanges the first few bytes each way.
    #[track_caller]
    pub(crate) fn both_speak(&mut self, connected: &Connected) {
        let near = connected.near;
        let far = self.far_end(connected);
        for (from, to) in [(near, far), (far, near)] {
            self.write(from, b"hello");
            let mut heard = Vec::new();
            self.run_until(30, |world| {
                heard.extend(world.read(to));
                heard.len() == 64
            });
            // Before it comes the header frame of the secret stream.
            assert_eq!(&heard[59..], b"hello");
        }
    }

    #[track_caller]
    pub(crate) fn write(&mut self, end: End, bytes: &[u8]) {
        let written = self.with(end.host, |peer, now| peer.endpoint.streams().write(now, end.stream, bytes));
        assert_eq!(written, Ok(bytes.len()));
    }

    /// Reads everything that has come to an end.
    pub(crate) fn read(&mut self, end: End) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.with(end.host, |peer, now| {
            let streams = peer.endpoint.streams();
            streams.read(now, end.stream, usize::MAX, &mut bytes)
        });
        bytes
    }

    pub(crate) fn destroy(&mut self, end: End) {
        self.with(end.host, |peer, now| {
            peer.endpoint.streams().destroy(now, end.stream);
        });
    }

    /// Returns the socket that an end sends from, and where to.
    pub(crate) fn place(&mut self, end: End) -> Option<(SocketId, SocketAddrV4)> {
        self.with(end.host, |peer, _| peer.endpoint.streams().path(end.stream))
    }
}

impl Connected {
    #[track_caller]
    pub(crate) fn on(self, expected: Path) -> Self {
        assert_eq!(self.path, expected, "{}", self.report);
        self
    }

    /// The attempt has taken less.
    #[track_caller]
    pub(crate) fn within_ms(self, ms: u64) -> Self {
        let limit = Duration::from_millis(ms);
        assert!(self.took < limit, "{:?}, {}", self.took, self.report);
        assert!(self.report.total < limit, "{}", self.report);
        self
    }
}

pub(crate) fn listen_as(key_pair: KeyPair) -> Listen {
    Listen {
        identity: key_pair.into(),
        allow: None,
        allow_punch: None,
        relay_through: None,
        reusable_socket: false,
        lan: None,
        stream_options: StreamOptions::default(),
    }
}

pub(crate) fn dial_to(remote: PublicKey) -> Dial {
    Dial::new(remote, key(99))
}
