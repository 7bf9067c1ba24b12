//! All streams of a node.

use std::collections::{HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tracing::span::EnteredSpan;
use tracing::{debug, debug_span, trace};

use super::events::Events;
use super::memory::{Memory, Unsent};
use super::schedule::{Schedule, Scheduled};
use super::stream::{Stream, StreamContext};
use super::tombstones::Tombstones;
use super::types::{
    Admission, BarePacket, Closed, Config, Event, Place, StreamId, StreamOptions, Traffic, WriteError,
};
use crate::buffer::Pool;
use crate::wire::packet::{HEADER_LEN, PacketHeader};
use crate::wire::transmit::{SocketId, Train};

/// The streams of a node: one table for all its sockets.
///
/// There are four kinds of methods, as in each core of this crate:
///
/// * getters answer questions and change nothing,
/// * commands are what the owner of a stream wants, each with the id that [`open`](Self::open) returned,
/// * `handle_*`, with [`flush`](Self::flush), take what happens: datagrams and the passing of time,
/// * `poll_*` return what follows: datagrams to send, events, and when to call again.
///
/// **After every call, drain**: [`poll_transmit`](Self::poll_transmit) and [`poll_event`](Self::poll_event)
/// until they return `None`, then ask [`poll_timeout`](Self::poll_timeout). A batch of received datagrams
/// counts as one call if [`flush`](Self::flush) ends it.
#[derive(Debug)]
pub struct Streams {
    config: Config,
    rng: StdRng,
    // Its order must not leak, so it is walked for sums only.
    slots: HashMap<u32, Box<Slot>>,
    schedule: Schedule,
    tombstones: Tombstones,
    /// Packets that leave outside of any stream's order: last ones, and those for other paths.
    farewells: VecDeque<BarePacket>,
    /// Closed streams with unread bytes, oldest first.
    unread: VecDeque<u32>,
    events: Events,
    pool: Pool,
    memory: Memory,
    unsent: Unsent,
    /// What has gone over streams that are gone.
    past: Traffic,
    /// What was sent and is not acknowledged.
    sent: Memory,
}

#[derive(Debug)]
struct Slot {
    stream: Stream,
    scheduled: Scheduled,
    /// The stream's parts of what is counted for all streams.
    unsent: usize,
    sent: usize,
}

impl Streams {
    /// Makes an empty table. Stream ids follow from the seed.
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        Self {
            memory: Memory::new(config.receive_memory),
            sent: Memory::new(config.send_memory),
            config,
            rng: StdRng::from_seed(seed),
            slots: HashMap::new(),
            schedule: Schedule::default(),
            tombstones: Tombstones::default(),
            farewells: VecDeque::new(),
            unread: VecDeque::new(),
            events: Events::default(),
            pool: Pool::default(),
            unsent: Unsent::default(),
            past: Traffic::default(),
        }
    }

    /// Returns whether the stream is open.
    pub fn contains(&self, id: StreamId) -> bool {
        self.stream(id).is_some_and(|stream| stream.closed().is_none())
    }

    /// Returns where packets go.
    pub fn path(&self, id: StreamId) -> Option<(SocketId, SocketAddrV4)> {
        self.stream(id)?.paths().current()
    }

    /// Returns where packets came from before there was a path. Forgets it if they do not prove to be the
    /// peer's and `may_be` finds that they can't be.
    pub fn held_path(&mut self, id: StreamId, may_be: impl FnOnce(&SocketAddrV4) -> bool) -> Option<Place> {
        self.with(None, id, |stream, _| stream.held_path(may_be))?
    }

    /// Returns when a packet last came from where the path was before it changed.
    pub fn heard_elsewhere(&self, id: StreamId) -> Option<Instant> {
        self.stream(id)?.paths().alternate_heard()
    }

    /// Returns how many received bytes wait for the reader.
    pub fn readable(&self, id: StreamId) -> usize {
        self.stream(id).map_or(0, Stream::readable)
    }

    /// Returns whether the peer has ended its direction, for an owner that was not there when
    /// [`Event::RemoteFinished`] was reported.
    pub fn is_remote_finished(&self, id: StreamId) -> bool {
        self.stream(id).is_some_and(Stream::is_remote_finished)
    }

    /// Returns what the owner has chosen for the stream.
    pub fn options(&self, id: StreamId) -> Option<&StreamOptions> {
        self.stream(id).map(Stream::options)
    }

    /// Returns what has gone over all streams, those that are gone included.
    pub fn traffic(&self) -> Traffic {
        let mut all = self.past;
        self.slots.values().for_each(|slot| all.add(&slot.stream.traffic()));
        all
    }

    /// Returns how much memory received bytes take, those that the owner holds included.
    pub const fn memory(&self) -> usize {
        self.memory.held()
    }

    /// Returns how much memory what was sent takes, as long as it is not acknowledged.
    #[cfg(test)]
    pub(super) const fn sent_memory(&self) -> usize {
        self.sent.held()
    }

    /// Returns how much the owner may hold of one stream: nearly nothing when the memory is full.
    pub fn share(&self) -> usize {
        self.memory.allowance().share
    }

    /// Returns how many written bytes of one stream may wait: fewer while many streams have some.
    pub fn send_share(&self) -> usize {
        self.unsent.share(self.config.send_buffer)
    }

    /// Returns whether there is memory for so many more received bytes.
    pub fn has_room(&self, bytes: usize) -> bool {
        bytes <= self.memory.allowance().free_ahead
    }

    /// Sets how many bytes the owner holds that it has read from all streams and not used yet. They count as
    /// what waits here does.
    pub const fn set_held_elsewhere(&mut self, bytes: usize) {
        self.memory.set_elsewhere(bytes);
    }

    /// Opens a stream with a random id. It receives from now on what `admission` allows.
    pub fn open(&mut self, admission: Admission) -> StreamId {
        loop {
            let id = self.rng.r#gen();
            if !self.slots.contains_key(&id) && !self.tombstones.contains(id) {
                return self.open_as(id, admission);
            }
        }
    }

    /// Opens a stream with a given id, in place of the one that has it.
    pub fn open_as(&mut self, id: u32, admission: Admission) -> StreamId {
        self.remove(id);
        let _span = span(id);
        debug!("opened");
        let stream = Stream::new(StreamId(id), admission, &self.config);
        let scheduled = Scheduled::default();
        self.slots.insert(id, Box::new(Slot { stream, scheduled, unsent: 0, sent: 0 }));
        StreamId(id)
    }

    /// Sets what the owner chooses for a stream, before anything has come on it.
    pub fn set_options(&mut self, id: StreamId, options: StreamOptions) {
        self.with(None, id, |stream, _| stream.set_options(options));
    }

    /// Changes what is done with packets that do not come over the connected path.
    pub fn set_admission(&mut self, id: StreamId, admission: Admission) {
        self.with(None, id, |stream, _| stream.paths_mut().set_admission(admission));
    }

    /// Sets the first bytes that the peer must send.
    ///
    /// Until they have come the path is provisional: a first packet that contradicts them is dropped without
    /// an answer, and where they come from is the path if it is to be learned. Afterwards packets from
    /// elsewhere have no effect. Without this call a path counts as validated once it is known.
    pub fn expect_prefix(&mut self, id: StreamId, prefix: Vec<u8>) {
        self.with(None, id, |stream, context| stream.expect_prefix(context, prefix));
    }

    /// Sets the id that the peer gave the stream, before there is a path.
    pub fn set_remote_id(&mut self, id: StreamId, remote_id: u32) {
        self.with(None, id, |stream, _| stream.paths_mut().set_remote_id(remote_id));
    }

    /// Sets the first sequence numbers of both directions, which both sides must agree on, before anything
    /// was sent or received. Without this call both are zero, as in all of HyperDHT (`udx.md` §4).
    #[cfg_attr(not(feature = "unstable-core"), allow(dead_code))]
    pub fn set_sequence(&mut self, id: StreamId, own: u32, remote: u32) {
        self.with(None, id, |stream, _| stream.set_sequence(own, remote));
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
        self.with(Some(now), id, |stream, context| {
            stream.paths_mut().set_remote_id(remote_id);
            stream.connect(now, context, (socket, address));
        });
    }

    /// Moves the stream to another path; [`Event::RemoteChanged`] follows when everything sent before is
    /// acknowledged.
    ///
    /// Packets are still taken from the path before. The peer learns nothing from this: a message makes it
    /// notice (`udx.md` §7).
    pub fn change_remote(
        &mut self,
        now: Instant,
        id: StreamId,
        socket: SocketId,
        address: SocketAddrV4,
        remote_id: u32,
    ) {
        self.with(Some(now), id, |stream, context| {
            stream.paths_mut().set_remote_id(remote_id);
            stream.change_remote(now, context, (socket, address));
        });
    }

    /// Sets how long a round trip is thought to take at most, so that the first packets are repeated sooner
    /// than after a second. Of no effect after the first measurement.
    pub fn expect_rtt(&mut self, id: StreamId, rtt: Duration) {
        self.with(None, id, |stream, _| stream.expect_rtt(rtt));
    }

    /// Sets the hosts that the peer may be at besides: what comes from there is taken, without moving the
    /// path, and reported as [`Event::PathOffered`]. The last call counts.
    pub fn set_candidates(&mut self, id: StreamId, mut hosts: Vec<Ipv4Addr>) {
        hosts.truncate(MAX_CANDIDATES);
        self.with(None, id, |stream, _| stream.paths_mut().set_candidates(hosts));
    }

    /// Sends a packet over another path than the stream's, which a peer that gets it answers there if it
    /// moves: a heartbeat. `remote_id` is what the peer takes it under.
    pub fn probe_path(&mut self, id: StreamId, socket: SocketId, address: SocketAddrV4, remote_id: u32) {
        if let Some(stream) = self.stream(id)
            && stream.closed().is_none()
        {
            let packet = stream.path_probe(remote_id);
            self.push_farewell(Some(((socket, address), packet)));
        }
    }

    /// Limits what is sent before a packet has come over the path: until then at most `bytes` bytes of
    /// datagrams leave, headers, repetitions and everything else counted. What does not fit waits. Without
    /// this call nothing is limited.
    pub fn set_credit(&mut self, id: StreamId, bytes: usize) {
        self.with(None, id, |stream, _| stream.paths_mut().set_credit(bytes));
    }

    /// Sets after what time without own data a heartbeat asks the peer for a sign of life; `None` is never.
    pub fn set_keep_alive(&mut self, now: Instant, id: StreamId, interval: Option<Duration>) {
        self.with(Some(now), id, |stream, _| stream.set_keep_alive(now, interval));
    }

    /// Takes what fits of `bytes` and returns how much; [`Event::Writable`] follows if that was not all.
    ///
    /// # Errors
    ///
    /// [`WriteError::Closed`] if the stream was finished, is closed, or never was.
    pub fn write(&mut self, now: Instant, id: StreamId, bytes: &[u8]) -> Result<usize, WriteError> {
        self.with(Some(now), id, |stream, context| stream.write(now, context, bytes))
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
        self.with(Some(now), id, |stream, context| stream.write_chunk(now, context, chunk))
            .unwrap_or(Err(WriteError::Closed))
    }

    /// Moves at most `max` received bytes to `out` and returns how many, without a copy where `out` is empty
    /// and a whole chunk fits. What is taken opens the window again.
    pub fn read(&mut self, now: Instant, id: StreamId, max: usize, out: &mut Vec<u8>) -> usize {
        self.with(Some(now), id, |stream, context| stream.read(now, context, max, out)).unwrap_or(0)
    }

    /// Ends the own direction after everything written; [`Event::Finished`] follows when the peer has it all.
    pub fn finish(&mut self, now: Instant, id: StreamId) {
        self.with(Some(now), id, |stream, _| stream.finish(now));
    }

    /// Sends an unordered message: once, at once, unacknowledged. It may be empty.
    ///
    /// # Errors
    ///
    /// [`WriteError::NotConnected`] before there is a path, [`WriteError::TooLarge`] if it does not fit a
    /// packet, [`WriteError::Full`] if too many wait, [`WriteError::Closed`] after the end.
    pub fn send_message(&mut self, now: Instant, id: StreamId, message: &[u8]) -> Result<(), WriteError> {
        self.with(Some(now), id, |stream, _| stream.send_message(message)).unwrap_or(Err(WriteError::Closed))
    }

    /// Drops the stream at once and sends the peer a DESTROY; no event follows. Also frees what a closed
    /// stream has left unread.
    pub fn destroy(&mut self, now: Instant, id: StreamId) {
        let Some(slot) = self.slots.get_mut(&id.0) else {
            return;
        };
        let _span = span(id.0);
        let stream = &mut slot.stream;
        if stream.closed().is_none() {
            debug!(reason = "destroyed", "closed");
        }
        if stream.closed().is_none()
            && let Some(packet) = stream.last_packet(true)
        {
            let affords = stream.paths().affords(HEADER_LEN);
            self.tombstones.add(now, id.0, stream.paths().known(), packet);
            self.push_farewell(affords.then_some(packet));
        }
        self.remove(id.0);
        self.events.forget(id);
    }

    /// Handles a datagram. Returns false if it is for no stream of this node.
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
        let Some(slot) = self.slots.get_mut(&id).filter(|slot| slot.stream.closed().is_none()) else {
            return match self.tombstones.handle_packet(now, place, &header) {
                Some(answer) => {
                    self.push_farewell(answer);
                    true
                }
                None => false,
            };
        };
        let _span = span(id);
        let mut context = StreamContext {
            config: &self.config,
            send_buffer: self.unsent.share(self.config.send_buffer),
            pool: &mut self.pool,
            events: &mut self.events,
        };
        let before = slot.stream.memory();
        slot.stream.allow(self.memory.allowance());
        slot.stream.handle_packet(now, &mut context, place, &header, rest);
        self.memory.count(before, slot.stream.memory());
        if slot.stream.closed().is_some() {
            self.file(now, id);
        } else {
            self.schedule.mark_received(now, id, &mut slot.scheduled);
        }
        true
    }

    /// Ends a batch of received datagrams: learns from what they acknowledged, lets acknowledgements leave.
    pub fn flush(&mut self, now: Instant) {
        let mut received = self.schedule.take_received();
        for id in received.drain(..) {
            if let Some(slot) = self.slots.get_mut(&id) {
                slot.scheduled.flushed();
            }
            self.with(Some(now), StreamId(id), |stream, context| stream.flush(now, context));
        }
        self.schedule.restore(received);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.schedule.flush_deadline().is_some_and(|at| at <= now) {
            self.flush(now);
        }
        // Each at most once, so that a stream whose next deadline is due as well can't hold up the others.
        let mut due = Vec::new();
        while let Some(id) = self.schedule.pop_due(now) {
            if let Some(slot) = self.slots.get_mut(&id) {
                slot.scheduled.woken();
            }
            due.push(id);
        }
        for id in due {
            self.with(Some(now), StreamId(id), |stream, context| stream.handle_timeout(now, context));
        }
    }

    /// Returns when to call [`handle_timeout`](Self::handle_timeout) next and why, or `None` while nothing is
    /// pending.
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        let flush = self.schedule.flush_deadline().map(|at| (at, "acknowledgement"));
        let stream = self.schedule.first_deadline().map(|(at, id)| {
            let deadline = self.stream(StreamId(id)).and_then(Stream::deadline);
            (at, deadline.map_or("stream", |(_, timer)| timer.reason()))
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
            trace!(to = %destination, bytes = HEADER_LEN, "packet sent outside of a stream");
            buffer.extend_from_slice(&packet);
            let (ttl, may_fragment, segment_size) = (None, false, HEADER_LEN);
            return Some(Train { socket, destination, ttl, may_fragment, segment_size });
        }
        while let Some(id) = self.schedule.pop_queued() {
            let Some(slot) = self.slots.get_mut(&id) else {
                continue;
            };
            let _span = span(id);
            slot.scheduled.dequeued();
            slot.stream.allow(self.memory.allowance());
            slot.stream.allow_sent(self.sent.allowance().share);
            let train = slot.stream.poll_transmit(now, max_segments, buffer);
            self.file(now, id);
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

    /// Lets `act` work on a stream and files what follows. Without a time nothing can follow.
    pub(super) fn with<R>(
        &mut self,
        now: Option<Instant>,
        id: StreamId,
        act: impl FnOnce(&mut Stream, &mut StreamContext<'_>) -> R,
    ) -> Option<R> {
        let slot = self.slots.get_mut(&id.0)?;
        let _span = span(id.0);
        let mut context = StreamContext {
            config: &self.config,
            send_buffer: self.unsent.share(self.config.send_buffer),
            pool: &mut self.pool,
            events: &mut self.events,
        };
        let before = slot.stream.memory();
        slot.stream.allow(self.memory.allowance());
        let result = act(&mut slot.stream, &mut context);
        self.memory.count(before, slot.stream.memory());
        if let Some(now) = now {
            self.file(now, id.0);
        }
        Some(result)
    }

    /// Files a stream under its next deadline and among those with something to send, or buries it.
    fn file(&mut self, now: Instant, id: u32) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        let unsent = slot.stream.unsent_bytes();
        self.unsent.count(std::mem::replace(&mut slot.unsent, unsent), unsent);
        let sent = slot.stream.sent_memory();
        self.sent.count(std::mem::replace(&mut slot.sent, sent), sent);
        slot.stream.allow_sent(self.sent.allowance().share);
        let Slot { stream, scheduled, .. } = &mut **slot;
        if stream.closed().is_some() {
            return self.bury(now, id);
        }
        // Also after sending: a writer that only acknowledgements wake has nothing ready while none come.
        stream.report_room(&mut self.events, self.unsent.share(self.config.send_buffer));
        stream.arm(now);
        let deadline = stream.deadline().map(|(at, _)| at);
        self.schedule.set_deadline(id, scheduled, deadline);
        if !scheduled.is_queued() && stream.has_output(now) {
            self.schedule.enqueue(id, scheduled);
        }
    }

    /// Takes a closed stream out of the tables, except for what is unread.
    fn bury(&mut self, now: Instant, id: u32) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        let Slot { stream, scheduled, .. } = &mut **slot;
        self.schedule.set_deadline(id, scheduled, None);
        let unread = stream.readable();
        // A peer that this side has given up is reset: it may hear what it could not answer.
        let is_reset = match stream.closed() {
            Some(Closed::TimedOut | Closed::Stalled | Closed::Narrow) => Some(true),
            Some(Closed::Ended) => Some(false),
            Some(Closed::Reset | Closed::Left) | None => None,
        };
        if let Some(is_reset) = is_reset
            && !self.tombstones.contains(id)
            && let Some(packet) = stream.last_packet(is_reset)
        {
            let owed = if is_reset { stream.paths().affords(HEADER_LEN) } else { stream.owes_last_packet() };
            self.tombstones.add(now, id, stream.paths().known(), packet);
            self.push_farewell(owed.then_some(packet));
        }
        if unread == 0 {
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
        if let Some(mut slot) = self.slots.remove(&id) {
            if slot.stream.closed().is_some() {
                self.unread.retain(|other| *other != id);
            }
            self.schedule.set_deadline(id, &mut slot.scheduled, None);
            self.memory.count(slot.stream.memory(), 0);
            self.unsent.count(slot.unsent, 0);
            self.past.add(&slot.stream.traffic());
            self.sent.count(slot.sent, 0);
            slot.stream.release(&mut self.pool);
        }
    }

    fn push_farewell(&mut self, packet: Option<BarePacket>) {
        if let Some(packet) = packet
            && self.farewells.len() < MAX_FAREWELLS
        {
            self.farewells.push_back(packet);
        }
    }

    /// Returns a stream, open or closed.
    pub(super) fn stream(&self, id: StreamId) -> Option<&Stream> {
        self.slots.get(&id.0).map(|slot| &slot.stream)
    }
}

/// Enters the span of a stream, in which all that is logged about it lies.
fn span(id: u32) -> EnteredSpan {
    debug_span!("stream", stream = %StreamId(id)).entered()
}

/// Hosts that are candidates for one stream's path.
pub(super) const MAX_CANDIDATES: usize = 16;
/// Last packets that wait to be sent; more are dropped, for the peer will ask again.
pub(super) const MAX_FAREWELLS: usize = 1024;
/// Closed streams whose unread bytes are kept.
pub(super) const MAX_UNREAD: usize = 256;
