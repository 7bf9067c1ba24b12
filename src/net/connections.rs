//! The connections of a node: moves bytes between their links and their streams.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tracing::debug;

use super::link::{End, Link, Proof};
use super::overload::{Holding, Overload, Progress};
use super::settings::Settings;
use super::spares::Spares;
use crate::connect::{Endpoint, Established, Moved, Origin, Path, Report};
use crate::slots::{Slots, Source};
use crate::udx::{Closed, Event, StreamId, Streams};

/// The connections of a node.
#[derive(Debug)]
pub(super) struct Connections {
    entries: HashMap<StreamId, Connection>,
    /// Accepted streams on which nothing has decrypted, by the time at which that ends.
    unproven: BTreeSet<(Instant, StreamId)>,
    /// The same, by source: the relay's, where packets come through one.
    unproven_slots: Slots<StreamId>,
    max_unproven: usize,
    unproven_for: Duration,
    unproven_dropped: u64,
    /// The largest message that is received, in bytes.
    message_limit: usize,
    /// Received datagrams that wait, per connection.
    datagram_limit: usize,
    /// Where links name the streams that the driver must look at.
    wakeups: mpsc::UnboundedSender<StreamId>,
    /// Memory that the connections share.
    spares: Arc<Spares>,
    overload: Overload,
}

#[derive(Debug)]
struct Connection {
    link: Arc<Link>,
    /// When the peer must have proven its key.
    deadline: Option<Instant>,
    /// Frames taken from the link that the stream had no room for.
    frames: VecDeque<Vec<u8>>,
    /// Bytes of the first of them that the stream has.
    offset: usize,
    finishing: bool,
    remote_finished: bool,
    /// The interval of the keep-alive, until a peer that answers no heartbeats is sent messages instead.
    keep_alive: Option<Duration>,
    /// Bytes moved on to the reader.
    moved: u64,
    progress: Progress,
}

impl Connections {
    pub(super) fn new(settings: &Settings, wakeups: mpsc::UnboundedSender<StreamId>) -> Self {
        Self {
            entries: HashMap::new(),
            unproven: BTreeSet::new(),
            unproven_slots: Slots::default(),
            max_unproven: settings.unproven.max(1),
            unproven_for: settings.unproven_for,
            unproven_dropped: 0,
            message_limit: settings.message,
            datagram_limit: settings.datagrams,
            wakeups,
            spares: Arc::default(),
            overload: Overload::new(settings.receive_memory),
        }
    }

    /// Adds a connection, sends its header frame and returns its link.
    pub(super) fn open(
        &mut self,
        now: Instant,
        endpoint: &mut Endpoint,
        established: &Established,
    ) -> Arc<Link> {
        let stream = established.stream;
        match established.origin {
            Origin::Attempt(attempt) => {
                let path = established.path;
                debug!(stream = %stream, attempt = attempt.0, ?path, "connection opened");
            }
            Origin::Server(server) => {
                let path = established.path;
                debug!(stream = %stream, server = server.0, ?path, "connection accepted");
            }
        }
        let (link, header) = Link::new(
            established,
            self.wakeups.clone(),
            self.spares.clone(),
            self.message_limit,
            self.datagram_limit,
        );
        let keep_alive = endpoint.streams().options(stream).and_then(|options| options.keep_alive);
        endpoint.streams().set_keep_alive(now, stream, keep_alive);
        let deadline = (!link.is_proven()).then(|| now + self.unproven_for);
        if let Some(deadline) = deadline {
            if self.unproven.len() >= self.max_unproven
                && let Some(oldest) = self.unproven_slots.oldest_of_the_busiest()
            {
                self.drop_unproven(now, endpoint, oldest);
            }
            self.unproven.insert((deadline, stream));
            self.unproven_slots.insert(stream, Source::direct(*established.remote.ip()));
        }
        self.entries.insert(
            stream,
            Connection {
                link: link.clone(),
                deadline,
                frames: VecDeque::from([header]),
                offset: 0,
                finishing: false,
                // The peer may have sent all it has before the stream was ready.
                remote_finished: endpoint.streams().is_remote_finished(stream),
                keep_alive,
                moved: 0,
                progress: Progress::default(),
            },
        );
        // So may bytes have come.
        self.service(now, endpoint, stream);
        link
    }

    /// Does what the connection's task, or its stream, has made possible.
    pub(super) fn service(&mut self, now: Instant, endpoint: &mut Endpoint, stream: StreamId) {
        let Some(entry) = self.entries.get_mut(&stream) else {
            return;
        };
        entry.link.clear_notify();
        if entry.link.is_abandoned() {
            self.destroy(now, endpoint, stream, End::Local);
            return;
        }
        entry.send(now, endpoint.streams(), stream);
        entry.receive(now, endpoint.streams(), stream, false);
        if let Some(deadline) = entry.deadline {
            match entry.link.try_prove() {
                Proof::Proven => {
                    entry.deadline = None;
                    self.forget_unproven(deadline, stream);
                }
                Proof::Busy => entry.link.notify(),
                Proof::Pending | Proof::Failed => {}
            }
        }
    }

    pub(super) fn handle_event(
        &mut self,
        now: Instant,
        endpoint: &mut Endpoint,
        stream: StreamId,
        event: Event,
    ) {
        let Some(entry) = self.entries.get_mut(&stream) else {
            return;
        };
        match event {
            Event::Readable | Event::Writable => self.service(now, endpoint, stream),
            Event::RemoteFinished => {
                entry.remote_finished = true;
                self.service(now, endpoint, stream);
            }
            // Datagrams may be lost, here as well.
            Event::Message(datagram) if !endpoint.streams().has_room(datagram.len()) => {}
            Event::Message(datagram) => entry.link.push_datagram(datagram),
            Event::Finished => entry.link.set_finished(),
            Event::RemoteChanged => {
                if let Some((_, address)) = endpoint.streams().path(stream) {
                    entry.link.set_remote_address(None, address);
                }
            }
            Event::PathLearned { address, .. } => entry.link.set_remote_address(None, address),
            Event::PathValidated => entry.link.set_heard(),
            Event::HeartbeatUnanswered => entry.keep_alive(),
            Event::Closed(reason) => {
                // What has arrived before the end is still delivered; the receive window bounds it.
                entry.receive(now, endpoint.streams(), stream, true);
                // Where it proves the key, the user learns of that before the end.
                entry.link.try_prove();
                let end = match reason {
                    Closed::Ended => {
                        entry.link.set_incoming_finished();
                        entry.link.set_finished();
                        End::Orderly
                    }
                    Closed::TimedOut => {
                        let options = endpoint.streams().options(stream).copied().unwrap_or_default();
                        let (path, address) = entry.link.route();
                        End::TimedOut { after: options.idle_timeout, path, address }
                    }
                    Closed::Stalled => End::Stalled,
                    _ => End::Reset,
                };
                // Frees what the stream still holds.
                self.destroy(now, endpoint, stream, end);
            }
            _ => {}
        }
    }

    /// Notes that a stream has migrated to another path.
    pub(super) fn handle_moved(&mut self, moved: Moved) {
        if let Some(entry) = self.entries.get(&moved.stream) {
            let Moved { stream, path, remote, .. } = &moved;
            debug!(%stream, ?path, address = %remote, "connection migrated");
            entry.link.set_moved(moved);
        }
    }

    /// Ends a connection on which nothing has come back from the address that the server
    /// claims.
    pub(super) fn handle_unreachable(
        &mut self,
        now: Instant,
        endpoint: &mut Endpoint,
        stream: StreamId,
        report: Report,
    ) {
        if let Some(entry) = self.entries.get(&stream) {
            entry.link.set_report(report);
            let (_, address) = entry.link.route();
            self.destroy(now, endpoint, stream, End::Unreachable { address });
        }
    }

    /// Ends a connection whose relay carries nothing any more, unless it has left the relay.
    pub(super) fn handle_relay_gone(&mut self, now: Instant, endpoint: &mut Endpoint, stream: StreamId) {
        let entry = self.entries.get_mut(&stream);
        if let Some(entry) = entry.filter(|entry| entry.link.route().0 == Path::Relayed) {
            // What has arrived before is still delivered.
            entry.receive(now, endpoint.streams(), stream, true);
            self.destroy(now, endpoint, stream, End::RelayGone);
        }
    }

    /// Destroys streams whose peers have not proven their keys in time.
    pub(super) fn handle_timeout(&mut self, now: Instant, endpoint: &mut Endpoint) {
        while let Some((deadline, stream)) = self.unproven.first().copied()
            && deadline <= now
        {
            self.drop_unproven(now, endpoint, stream);
        }
        if self.overload.is_due(now) {
            self.relieve(now, endpoint);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let unproven = self.unproven.first().map(|(deadline, _)| *deadline);
        unproven.into_iter().chain(self.overload.poll_timeout()).min()
    }

    /// Tells the streams what their readers hold; once in a turn.
    pub(super) fn measure(&mut self, now: Instant, streams: &mut Streams) {
        streams.set_held_elsewhere(self.spares.held());
        self.overload.note(now, streams.memory());
    }

    /// Ends the connections that hold most of the memory and get no further.
    fn relieve(&mut self, now: Instant, endpoint: &mut Endpoint) {
        let streams = endpoint.streams();
        let holdings = self.entries.iter_mut().filter_map(|(stream, entry)| {
            let held = streams.held(*stream)?;
            let memory = held.memory + entry.link.held();
            Some(Holding {
                stream: *stream,
                memory,
                is_stuck: entry.progress.is_stuck(now, (held.received, entry.moved), memory),
                has_gaps: held.has_gaps,
            })
        });
        let holdings = holdings.collect();
        for stream in self.overload.victims(streams.memory(), holdings) {
            self.destroy(now, endpoint, stream, End::Overloaded);
        }
    }

    /// Ends all connections.
    pub(super) fn destroy_all(&mut self, now: Instant, endpoint: &mut Endpoint) {
        for stream in self.entries.keys().copied().collect::<Vec<_>>() {
            self.destroy(now, endpoint, stream, End::Local);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn unproven(&self) -> usize {
        self.unproven.len()
    }

    pub(super) const fn unproven_dropped(&self) -> u64 {
        self.unproven_dropped
    }

    fn drop_unproven(&mut self, now: Instant, endpoint: &mut Endpoint, stream: StreamId) {
        if let Some(entry) = self.entries.get_mut(&stream)
            && entry.link.is_proven()
        {
            // The reader has decrypted something and its notification has not been handled yet.
            if let Some(deadline) = entry.deadline.take() {
                self.forget_unproven(deadline, stream);
            }
            return;
        }
        self.unproven_dropped += 1;
        self.destroy(now, endpoint, stream, End::Unproven);
    }

    fn forget_unproven(&mut self, deadline: Instant, stream: StreamId) {
        self.unproven.remove(&(deadline, stream));
        self.unproven_slots.remove(&stream);
    }

    fn destroy(&mut self, now: Instant, endpoint: &mut Endpoint, stream: StreamId, end: End) {
        endpoint.streams().destroy(now, stream);
        if let Some(entry) = self.entries.remove(&stream) {
            if let Some(deadline) = entry.deadline {
                self.forget_unproven(deadline, stream);
            }
            debug!(stream = %stream, reason = ?end, "connection closed");
            entry.link.set_end(end);
        }
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        // The runtime may end the driver at any time; no task must wait for it then.
        for entry in self.entries.values() {
            entry.link.set_end(End::Local);
        }
    }
}

impl Connection {
    /// Moves frames from the link to the stream as far as there is room.
    fn send(&mut self, now: Instant, streams: &mut Streams, stream: StreamId) {
        let mut datagrams = self.link.take_datagrams();
        loop {
            while let Some(frame) = self.frames.front_mut() {
                let taken = if frame.len() <= MAX_CHUNK {
                    streams.write_chunk(now, stream, frame)
                } else {
                    let taken = streams.write(now, stream, &frame[self.offset..]);
                    taken.map(|taken| {
                        self.offset += taken;
                        self.offset == frame.len()
                    })
                };
                let Ok(whole) = taken else {
                    // The stream is ending; an event follows.
                    self.frames.clear();
                    self.offset = 0;
                    break;
                };
                if !whole {
                    break;
                }
                self.offset = 0;
                self.link.recycle_outgoing(self.frames.pop_front());
            }
            for datagram in datagrams.drain(..) {
                // Datagrams may be lost, here as well.
                let _ = streams.send_message(now, stream, &datagram);
            }
            if !self.frames.is_empty() || self.finishing {
                return;
            }
            let outbound = self.link.take_outgoing();
            if outbound.frames.is_empty() {
                if outbound.finish {
                    self.finishing = true;
                    streams.finish(now, stream);
                }
                return;
            }
            self.frames = outbound.frames;
        }
    }

    /// Moves received bytes from the stream to the link as far as there is room, or all of them.
    fn receive(&mut self, now: Instant, streams: &mut Streams, stream: StreamId, all: bool) {
        loop {
            let readable = streams.readable(stream);
            if readable == 0 {
                break;
            }
            let (room, mut chunk) = self.link.incoming_room(all, streams.share());
            if room == 0 {
                return;
            }
            let moved = streams.read(now, stream, room.min(readable).min(MAX_CHUNK), &mut chunk);
            if moved == 0 {
                break;
            }
            self.moved += moved as u64;
            self.link.push_incoming(chunk);
        }
        if std::mem::take(&mut self.remote_finished) {
            self.link.set_incoming_finished();
        }
    }

    /// Starts to send an encrypted empty message now and then, once, for a peer that does not answer
    /// heartbeats.
    fn keep_alive(&mut self) {
        let Some(interval) = self.keep_alive.take() else {
            return;
        };
        let link = Arc::downgrade(&self.link);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(interval).await;
                match link.upgrade() {
                    Some(link) if link.end().is_none() => link.keep_alive(),
                    _ => return,
                }
            }
        });
    }
}

/// Bytes that are moved to the link at once, and the longest frame that is moved to the stream in one piece.
const MAX_CHUNK: usize = 128 * 1024;

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use crate::connect::noise::Session;
    use crate::connect::{Config, Established, Origin, ServerId};
    use crate::keys::KeyPair;
    use crate::secret_stream::Keys;
    use crate::udx::Admission;
    use crate::wire::packet::{DATA, PacketHeader};
    use crate::wire::transmit::SocketId;

    #[test]
    fn the_oldest_unproven_stream_goes_when_there_are_too_many() {
        let now = Instant::now();
        let mut world = World::new(now, 3);
        let links: Vec<_> =
            (0..4_u64).map(|index| world.accept(now + Duration::from_millis(index))).collect();
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
        assert_eq!(world.connections.unproven_slots.len(), 3);
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
                    remote_public_key: *KeyPair::from_seed(&[4; 32]).public_key(),
                },
                path: Path::Direct,
                remote: remote.parse().expect("valid"),
                report: Report::default(),
            };
            self.connections.open(now, &mut self.endpoint, &established)
        }
    }
}
