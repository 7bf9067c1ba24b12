//! All streams of a node.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::events::Events;
use super::pool::Pool;
use super::stream::{Place, Shared, Stream};
use super::tombstones::Tombstones;
use super::types::{Admission, Closed, Config, Event, StreamId, WriteError};
use crate::wire::packet::{HEADER_LEN, PacketHeader};
use crate::wire::transmit::{SocketId, Train};

/// The streams of a node: one table for all its sockets.
///
/// **After every call, drain**: [`poll_transmit`](Self::poll_transmit) and [`poll_event`](Self::poll_event)
/// until they return `None`, then ask [`poll_timeout`](Self::poll_timeout). A batch of received datagrams
/// counts as one call if [`flush`](Self::flush) ends it.
#[derive(Debug)]
pub struct Streams {
    config: Config,
    rng: StdRng,
    // Looked up only, never walked: its order must not leak.
    streams: HashMap<u32, Box<Stream>>,
    tombstones: Tombstones,
    deadlines: BTreeSet<(Instant, u32)>,
    /// Those that may have something to send, each once.
    queue: VecDeque<u32>,
    /// Those that have received since the last flush, each once.
    dirty: Vec<u32>,
    dirty_since: Option<Instant>,
    /// Last words of closed streams, and packets that leave by another path than their stream's.
    farewells: VecDeque<(Place, [u8; HEADER_LEN])>,
    /// Closed streams with unread bytes, oldest first.
    unread: VecDeque<u32>,
    events: Events,
    pool: Pool,
}

impl Streams {
    /// Makes an empty table. Stream ids follow from the seed.
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        Self {
            config,
            rng: StdRng::from_seed(seed),
            streams: HashMap::new(),
            tombstones: Tombstones::default(),
            deadlines: BTreeSet::new(),
            queue: VecDeque::new(),
            dirty: Vec::new(),
            dirty_since: None,
            farewells: VecDeque::new(),
            unread: VecDeque::new(),
            events: Events::default(),
            pool: Pool::default(),
        }
    }

    /// Opens a stream with a random id. It receives from now on what `admission` allows.
    pub fn open(&mut self, admission: Admission) -> StreamId {
        loop {
            let id = self.rng.r#gen();
            if !self.streams.contains_key(&id) && !self.tombstones.contains(id) {
                return self.open_as(id, admission);
            }
        }
    }

    /// Opens a stream with a given id, in place of the one that has it.
    pub fn open_as(&mut self, id: u32, admission: Admission) -> StreamId {
        self.remove(id);
        let stream = Stream::new(StreamId(id), admission, &self.config);
        self.streams.insert(id, Box::new(stream));
        StreamId(id)
    }

    /// Changes what is done with packets that do not come over the connected path.
    pub fn set_admission(&mut self, id: StreamId, admission: Admission) {
        if let Some(stream) = self.streams.get_mut(&id.0) {
            stream.admission = admission;
        }
    }

    /// Sets the first bytes that the peer must send.
    ///
    /// Until they have come the path is provisional: a first packet that contradicts them is dropped without
    /// an answer, and where they come from is the path if it is to be learned. Afterwards packets from
    /// elsewhere have no effect. Without this call a path counts as settled once it is known.
    pub fn expect_prefix(&mut self, id: StreamId, prefix: Vec<u8>) {
        self.with(None, id, |stream, shared| stream.expect_prefix(shared, prefix));
    }

    /// Sets the id that the peer gave the stream, before there is a path.
    pub fn set_remote_id(&mut self, id: StreamId, remote_id: u32) {
        if let Some(stream) = self.streams.get_mut(&id.0) {
            stream.remote_id = Some(remote_id);
        }
    }

    /// Sets the first sequence numbers of both directions, which both sides must agree on, before anything
    /// was sent or received. Without this call both are zero, as in all of HyperDHT.
    pub fn set_sequence(&mut self, id: StreamId, own: u32, remote: u32) {
        if let Some(stream) = self.streams.get_mut(&id.0) {
            stream.set_sequence(&self.config, own, remote);
        }
    }

    /// Sets the path. Nothing is sent for that, except an acknowledgement that is owed.
    pub fn connect(
        &mut self,
        now: Instant,
        id: StreamId,
        socket: SocketId,
        address: SocketAddrV4,
        remote_id: u32,
    ) {
        self.with(Some(now), id, |stream, shared| {
            stream.remote_id = Some(remote_id);
            stream.connect(now, shared, (socket, address));
        });
    }

    /// Moves the stream to another path; [`Event::RemoteChanged`] follows when everything sent before is
    /// acknowledged.
    ///
    /// Packets are still taken from the path before. The peer learns nothing from this: a message makes it
    /// notice.
    pub fn change_remote(
        &mut self,
        now: Instant,
        id: StreamId,
        socket: SocketId,
        address: SocketAddrV4,
        remote_id: u32,
    ) {
        self.with(Some(now), id, |stream, shared| {
            stream.remote_id = Some(remote_id);
            stream.change_remote(now, shared, (socket, address));
        });
    }

    /// Tells how long a round trip is thought to take at most, so that the first packets are repeated sooner
    /// than after a second. Of no effect after the first measurement.
    pub fn expect_rtt(&mut self, id: StreamId, rtt: Duration) {
        self.with(None, id, |stream, _| stream.rtt.expect(rtt));
    }

    /// Names hosts that the peer may be at besides: what comes from there is taken, without moving the path,
    /// and told as [`Event::PathOffered`]. The last call counts.
    pub fn set_candidates(&mut self, id: StreamId, mut hosts: Vec<Ipv4Addr>) {
        if let Some(stream) = self.streams.get_mut(&id.0) {
            hosts.truncate(MAX_CANDIDATES);
            stream.candidates = hosts;
        }
    }

    /// Sends a packet over another path than the stream's, which a peer that gets it answers there if it
    /// moves: a heartbeat. `remote_id` is what the peer takes it under.
    pub fn probe_path(&mut self, id: StreamId, socket: SocketId, address: SocketAddrV4, remote_id: u32) {
        let stream = self.streams.get_mut(&id.0);
        let stream = stream.filter(|stream| stream.closed.is_none());
        let packet = stream.and_then(|stream| stream.path_probe(remote_id));
        self.say_farewell(packet.map(|packet| ((socket, address), packet)));
    }

    /// Returns when a packet last came from where the path was before it changed.
    pub fn heard_elsewhere(&self, id: StreamId) -> Option<Instant> {
        self.streams.get(&id.0)?.alternate_heard
    }

    /// Limits what is sent before the path has spoken: until a packet has been taken from where packets go,
    /// at most `bytes` bytes of datagrams leave, headers, repetitions and everything else counted. What does
    /// not fit waits. Without this call, and once the path has spoken, nothing is limited.
    pub fn set_credit(&mut self, id: StreamId, bytes: usize) {
        if let Some(stream) = self.streams.get_mut(&id.0) {
            stream.credit.set(bytes);
        }
    }

    /// Returns where packets go.
    pub fn path(&self, id: StreamId) -> Option<(SocketId, SocketAddrV4)> {
        self.streams.get(&id.0)?.path
    }

    /// Returns where packets came from before there was a path.
    pub fn held_path(&self, id: StreamId) -> Option<(SocketId, SocketAddrV4)> {
        self.streams.get(&id.0)?.held
    }

    /// Tells whether the stream is open.
    pub fn contains(&self, id: StreamId) -> bool {
        self.streams
            .get(&id.0)
            .is_some_and(|stream| stream.closed.is_none())
    }

    /// Takes a datagram. Returns false if it is for no stream of this node.
    ///
    /// Acknowledgements and what follows from those received wait for [`flush`](Self::flush), which the
    /// caller owes within 2 ms.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        socket: SocketId,
        from: SocketAddrV4,
        datagram: &[u8],
    ) -> bool {
        let Some((header, rest)) = PacketHeader::split(datagram) else {
            return false;
        };
        let id = header.stream_id;
        let place = (socket, from);
        let Some(stream) = self.streams.get_mut(&id).filter(|stream| stream.closed.is_none()) else {
            return match self.tombstones.handle_packet(now, place, &header) {
                Some(answer) => {
                    self.say_farewell(answer);
                    true
                }
                None => false,
            };
        };
        let mut shared = Shared {
            config: &self.config,
            pool: &mut self.pool,
            events: &mut self.events,
        };
        stream.handle_packet(now, &mut shared, place, &header, rest);
        if stream.closed.is_some() {
            self.settle(now, id);
        } else if !stream.dirty {
            stream.dirty = true;
            self.dirty.push(id);
            self.dirty_since.get_or_insert(now);
        }
        true
    }

    /// Ends a batch of received datagrams: learns from what they acknowledged, lets acknowledgements leave.
    pub fn flush(&mut self, now: Instant) {
        self.dirty_since = None;
        let mut dirty = std::mem::take(&mut self.dirty);
        for id in dirty.drain(..) {
            self.with(Some(now), StreamId(id), |stream, shared| {
                stream.dirty = false;
                stream.flush(now, shared);
            });
        }
        self.dirty = dirty;
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.dirty_since.is_some_and(|since| since + MAX_HELD_BACK <= now) {
            self.flush(now);
        }
        // Each at most once, so that a stream whose next deadline is due as well can't hold up the others.
        let mut due = Vec::new();
        while let Some((at, id)) = self.deadlines.first().copied()
            && at <= now
        {
            self.deadlines.pop_first();
            if let Some(stream) = self.streams.get_mut(&id) {
                stream.filed = None;
            }
            due.push(id);
        }
        for id in due {
            self.with(Some(now), StreamId(id), |stream, shared| {
                stream.handle_timeout(now, shared)
            });
        }
    }

    /// Returns when to call [`handle_timeout`](Self::handle_timeout) next and why, or `None` while nothing is
    /// pending.
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        let flush = self
            .dirty_since
            .map(|since| (since + MAX_HELD_BACK, "acknowledgement"));
        let stream = self.deadlines.first().map(|(at, id)| {
            let due = self.streams.get(id).and_then(|stream| stream.due());
            (*at, due.map_or("stream", |(_, reason)| reason))
        });
        flush.into_iter().chain(stream).min_by_key(|(at, _)| *at)
    }

    /// Appends the datagrams of the next train to `buffer`: at most `max_segments`, of equal size but the
    /// last, which may be shorter. `None` while there is nothing to send; what waits for its pace follows at
    /// [`poll_timeout`](Self::poll_timeout).
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        max_segments: usize,
        buffer: &mut Vec<u8>,
    ) -> Option<Train> {
        if let Some(((socket, destination), packet)) = self.farewells.pop_front() {
            buffer.extend_from_slice(&packet);
            return Some(Train {
                socket,
                destination,
                ttl: None,
                segment_size: HEADER_LEN,
            });
        }
        while let Some(id) = self.queue.pop_front() {
            let Some(stream) = self.streams.get_mut(&id) else {
                continue;
            };
            stream.queued = false;
            let train = stream.poll_transmit(now, max_segments, buffer);
            self.settle(now, id);
            if train.is_some() {
                return train;
            }
        }
        None
    }

    /// Returns what has happened.
    pub fn poll_event(&mut self) -> Option<(StreamId, Event)> {
        self.events.pop()
    }

    /// Takes what fits of `bytes` and returns how much; [`Event::Writable`] follows if that was not all.
    ///
    /// # Errors
    ///
    /// [`WriteError::Closed`] if the stream was finished, is closed, or never was.
    pub fn write(&mut self, now: Instant, id: StreamId, bytes: &[u8]) -> Result<usize, WriteError> {
        self.with(Some(now), id, |stream, shared| stream.write(now, shared, bytes))
            .unwrap_or(Err(WriteError::Closed))
    }

    /// Takes a chunk as it is, without a copy if it is a long one, and leaves an empty one in its place.
    /// Returns false, with the chunk untouched, if there is no room for any of it; [`Event::Writable`]
    /// follows then.
    ///
    /// The chunk may exceed the room, so what waits here is bounded only as far as chunks are.
    ///
    /// # Errors
    ///
    /// [`WriteError::Closed`] if the stream was finished, is closed, or never was.
    pub fn write_chunk(
        &mut self,
        now: Instant,
        id: StreamId,
        chunk: &mut Vec<u8>,
    ) -> Result<bool, WriteError> {
        self.with(Some(now), id, |stream, shared| {
            stream.write_chunk(now, shared, chunk)
        })
        .unwrap_or(Err(WriteError::Closed))
    }

    /// Moves at most `max` received bytes to `out` and returns how many, without a copy where `out` is empty
    /// and a whole chunk fits. What is taken opens the window again.
    pub fn read(&mut self, now: Instant, id: StreamId, max: usize, out: &mut Vec<u8>) -> usize {
        self.with(Some(now), id, |stream, shared| stream.read(now, shared, max, out))
            .unwrap_or(0)
    }

    /// Returns how many received bytes wait for the reader.
    pub fn readable(&self, id: StreamId) -> usize {
        self.streams
            .get(&id.0)
            .map_or(0, |stream| stream.receiver.readable())
    }

    /// Tells whether the peer has ended its direction, for an owner that was not there when
    /// [`Event::RemoteFinished`] was told.
    pub fn is_remote_finished(&self, id: StreamId) -> bool {
        self.streams
            .get(&id.0)
            .is_some_and(|stream| stream.receiver.ended())
    }

    /// Ends our direction after everything written; [`Event::Finished`] follows when the peer has it all.
    pub fn finish(&mut self, now: Instant, id: StreamId) {
        self.with(Some(now), id, |stream, _| stream.finish(now));
    }

    /// Drops the stream at once and tells the peer; no event follows. Also frees what a closed stream has
    /// left unread.
    pub fn destroy(&mut self, now: Instant, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id.0) else {
            return;
        };
        if stream.closed.is_none()
            && let Some(packet) = stream.last_packet(true)
        {
            let places = [stream.path, stream.alternate];
            let affords = stream.credit.affords(HEADER_LEN);
            self.tombstones.add(now, id.0, places, packet);
            self.say_farewell(affords.then_some(packet));
        }
        self.remove(id.0);
        self.events.forget(id);
    }

    /// Sends an unordered message: once, at once, unacknowledged. It may be empty.
    ///
    /// # Errors
    ///
    /// [`WriteError::NotConnected`] before there is a path, [`WriteError::TooLarge`] if it does not fit a
    /// packet, [`WriteError::Full`] if too many wait, [`WriteError::Closed`] after the end.
    pub fn send_message(&mut self, now: Instant, id: StreamId, message: &[u8]) -> Result<(), WriteError> {
        self.with(Some(now), id, |stream, _| stream.send_message(message))
            .unwrap_or(Err(WriteError::Closed))
    }

    /// Sets after what time without data of ours a heartbeat asks the peer for a sign of life; `None` is
    /// never.
    pub fn set_keep_alive(&mut self, now: Instant, id: StreamId, interval: Option<Duration>) {
        self.with(Some(now), id, |stream, _| stream.set_keep_alive(now, interval));
    }

    /// Lets `act` work on a stream and files what follows. Without a time nothing can follow.
    fn with<R>(
        &mut self,
        now: Option<Instant>,
        id: StreamId,
        act: impl FnOnce(&mut Stream, &mut Shared<'_>) -> R,
    ) -> Option<R> {
        let stream = self.streams.get_mut(&id.0)?;
        let mut shared = Shared {
            config: &self.config,
            pool: &mut self.pool,
            events: &mut self.events,
        };
        let result = act(stream, &mut shared);
        if let Some(now) = now {
            self.settle(now, id.0);
        }
        Some(result)
    }

    /// Files a stream under its next deadline and among those with something to send, or buries it.
    fn settle(&mut self, now: Instant, id: u32) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        if stream.closed.is_some() {
            return self.bury(now, id);
        }
        stream.arm(now);
        let due = stream.due().map(|(at, _)| at);
        if due != stream.filed {
            if let Some(at) = stream.filed {
                self.deadlines.remove(&(at, id));
            }
            if let Some(at) = due {
                self.deadlines.insert((at, id));
            }
            stream.filed = due;
        }
        if !stream.queued && stream.has_output(now) {
            stream.queued = true;
            self.queue.push_back(id);
        }
    }

    /// Takes a closed stream out of the tables, except for what is unread.
    fn bury(&mut self, now: Instant, id: u32) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        if let Some(at) = stream.filed.take() {
            self.deadlines.remove(&(at, id));
        }
        if stream.closed == Some(Closed::Ended)
            && !self.tombstones.contains(id)
            && let Some(packet) = stream.last_packet(false)
        {
            let owed = stream.ack_owed && stream.credit.affords(HEADER_LEN);
            self.tombstones
                .add(now, id, [stream.path, stream.alternate], packet);
            self.say_farewell(owed.then_some(packet));
        }
        let Some(stream) = self.streams.get(&id) else {
            return;
        };
        if stream.receiver.readable() == 0 {
            self.remove(id);
        } else if !self.unread.contains(&id) {
            self.unread.push_back(id);
            if self.unread.len() > MAX_UNREAD
                && let Some(oldest) = self.unread.pop_front()
            {
                self.remove(oldest);
            }
        }
    }

    fn remove(&mut self, id: u32) {
        if let Some(mut stream) = self.streams.remove(&id) {
            if stream.closed.is_some() {
                self.unread.retain(|other| *other != id);
            }
            if let Some(at) = stream.filed {
                self.deadlines.remove(&(at, id));
            }
            stream.sender.clear(&mut self.pool);
            stream.receiver.clear(&mut self.pool);
        }
    }

    fn say_farewell(&mut self, packet: Option<(Place, [u8; HEADER_LEN])>) {
        if let Some(packet) = packet
            && self.farewells.len() < MAX_FAREWELLS
        {
            self.farewells.push_back(packet);
        }
    }

    /// Returns a stream, for tests that look inside.
    #[cfg(test)]
    pub(super) fn stream(&self, id: StreamId) -> Option<&Stream> {
        self.streams.get(&id.0).map(|stream| &**stream)
    }
}

/// As long as the reference expects an acknowledgement to be held back at most.
const MAX_HELD_BACK: Duration = Duration::from_millis(2);
/// Hosts that are candidates for one stream's path.
pub(super) const MAX_CANDIDATES: usize = 16;
/// Last words that wait to be sent; more are dropped, for the peer will ask again.
pub(super) const MAX_FAREWELLS: usize = 1024;
/// Closed streams whose unread bytes are kept.
pub(super) const MAX_UNREAD: usize = 256;
