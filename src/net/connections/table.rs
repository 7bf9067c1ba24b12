//! The connections of a node: moves bytes between their links and their streams.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tracing::debug;

use super::lingering::Lingering;
use crate::connect::{Endpoint, Established, Moved, Origin, Path, Report};
use crate::net::link::{End, Link, Proof};
use crate::net::overload::{Holding, Overload, Progress};
use crate::net::settings::Settings;
use crate::net::spares::Spares;
use crate::secret_stream::Verdict;
use crate::slots::{Slots, Source};
use crate::udx::{Closed, Event, StreamId, Streams};

/// The connections of a node.
#[derive(Debug)]
pub(in crate::net) struct Connections {
    pub(super) entries: HashMap<StreamId, Connection>,
    /// Accepted streams on which nothing has decrypted and the peer has acknowledged nothing that is known
    /// of, by the time at which that ends.
    unproven: BTreeSet<(Instant, StreamId)>,
    /// All on which nothing has decrypted, by source: the relay's, where packets come through one.
    unproven_slots: Slots<StreamId>,
    pub(super) max_unproven: usize,
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
    lingering: Lingering,
    /// Whether nothing is waited for but what was written.
    is_closing: bool,
    /// Those that [`Self::go_on_closing`] has not looked at yet.
    closing: Vec<StreamId>,
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) link: Arc<Link>,
    pub(super) opened: Instant,
    /// When the peer must have proven its key, or shown that it is there.
    deadline: Option<Instant>,
    /// Frames taken from the link that the stream had no room for.
    frames: VecDeque<Vec<u8>>,
    /// Bytes of the first of them that the stream has.
    offset: usize,
    /// Bytes have come from elsewhere that may be the peer's.
    is_claimed: bool,
    finishing: bool,
    /// Whether anything but the header frame was sent.
    has_written: bool,
    remote_finished: bool,
    /// The interval of the keep-alive, until a peer that answers no heartbeats is sent messages instead.
    keep_alive: Option<Duration>,
    /// Bytes moved on to the reader, and how many were when both halves had been dropped.
    moved: u64,
    moved_before_drop: Option<u64>,
    progress: Progress,
}

impl Connections {
    pub(in crate::net) fn new(settings: &Settings, wakeups: mpsc::UnboundedSender<StreamId>) -> Self {
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
            lingering: Lingering::new(settings.linger_for, settings.linger_memory),
            is_closing: false,
            closing: Vec::new(),
        }
    }

    /// Adds a connection, sends its header frame and returns its link.
    pub(in crate::net) fn open(
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
            if self.unproven_slots.len() >= self.max_unproven
                && let Some(oldest) = self.unproven_slots.oldest_of_the_busiest()
            {
                self.drop_unproven(now, endpoint, oldest);
            }
            self.unproven.insert((deadline, stream));
            self.unproven_slots.insert(stream, Source::direct(*established.remote.ip()));
        }
        endpoint.streams().set_claims(stream, established.path != Path::Relayed);
        self.entries.insert(
            stream,
            Connection {
                is_claimed: false,
                link: link.clone(),
                opened: now,
                deadline,
                frames: VecDeque::from([header]),
                offset: 0,
                finishing: false,
                has_written: false,
                // The peer may have sent all it has before the stream was ready.
                remote_finished: endpoint.streams().is_remote_finished(stream),
                keep_alive,
                moved: 0,
                moved_before_drop: None,
                progress: Progress::default(),
            },
        );
        // So may bytes have come.
        self.service(now, endpoint, stream);
        link
    }

    /// Does what the connection's task, or its stream, has made possible.
    pub(in crate::net) fn service(&mut self, now: Instant, endpoint: &mut Endpoint, stream: StreamId) {
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
        if entry.is_claimed {
            entry.examine(now, endpoint.streams(), stream);
        }
        if entry.has_sent_too_much() {
            self.destroy(now, endpoint, stream, End::Local);
            return;
        }
        if entry.link.has_left() && !self.lingering.contains(stream) {
            let unsent = entry.link.unsent() + entry.frames.iter().map(Vec::len).sum::<usize>();
            let bytes = unsent + endpoint.streams().buffered(stream);
            let source = Source::direct(*entry.link.route().1.ip());
            self.lingering.add(now, stream, source, bytes);
        }
        if self.unproven_slots.contains(&stream) {
            match entry.link.try_prove() {
                Proof::Proven => {
                    let deadline = entry.deadline.take();
                    self.forget_unproven(deadline, stream);
                }
                Proof::Busy => entry.link.notify(),
                Proof::Pending | Proof::Failed => {}
            }
        }
    }

    pub(in crate::net) fn handle_event(
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
            Event::Finished => {
                entry.link.set_finished();
                if self.is_closing && endpoint.streams().contains(stream) {
                    self.destroy(now, endpoint, stream, End::Local);
                }
            }
            Event::RemoteChanged => {
                if let Some((_, address)) = endpoint.streams().path(stream) {
                    entry.link.set_remote_address(None, address);
                }
            }
            Event::PathLearned { address, .. } => entry.link.set_remote_address(None, address),
            Event::PathValidated => entry.link.set_heard(),
            Event::PathClaimed => {
                entry.is_claimed = true;
                self.service(now, endpoint, stream);
            }
            // The first frame that decrypts shows the peer where this side is now.
            Event::Silent => entry.link.keep_alive(),
            Event::HeartbeatUnanswered => entry.keep_alive(),
            Event::Measured(stats) => entry.link.set_last_stats(stats),
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
                        // Of a stream that is gone already the defaults are shown.
                        let options = endpoint.streams().options(stream).copied().unwrap_or_default();
                        let (path, address) = entry.link.route();
                        End::TimedOut { after: options.idle_timeout, path, address }
                    }
                    Closed::Left | Closed::Reset if entry.is_left(reason == Closed::Left) => End::Left,
                    Closed::Stalled => End::Stalled,
                    Closed::Narrow => End::Narrow,
                    _ => End::Reset,
                };
                // Frees what the stream still holds.
                self.destroy(now, endpoint, stream, end);
            }
            _ => {}
        }
    }

    /// Notes that a stream has migrated to another path.
    pub(in crate::net) fn handle_moved(&mut self, streams: &mut Streams, moved: Moved) {
        if let Some(entry) = self.entries.get(&moved.stream) {
            let Moved { stream, path, remote, .. } = &moved;
            debug!(%stream, ?path, address = %remote, "connection migrated");
            // What a relay passes on has the relay's address, wherever the peer is.
            streams.set_claims(*stream, *path != Path::Relayed);
            entry.link.set_moved(moved);
        }
    }

    /// Ends a connection on which nothing has come back from the address that the server claims.
    pub(in crate::net) fn handle_unreachable(
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
    pub(in crate::net) fn handle_relay_gone(
        &mut self,
        now: Instant,
        endpoint: &mut Endpoint,
        stream: StreamId,
    ) {
        let entry = self.entries.get_mut(&stream);
        if let Some(entry) = entry.filter(|entry| entry.link.route().0 == Path::Relayed) {
            // What has arrived before is still delivered.
            entry.receive(now, endpoint.streams(), stream, true);
            self.destroy(now, endpoint, stream, End::RelayGone);
        }
    }

    /// Destroys streams whose peers have neither proven their keys in time nor shown that they are there, and
    /// those that linger for too long.
    pub(in crate::net) fn handle_timeout(&mut self, now: Instant, endpoint: &mut Endpoint) {
        while let Some((deadline, stream)) = self.unproven.first().copied()
            && deadline <= now
        {
            // A client of the reference that waits for the server to speak acknowledges and proves nothing.
            let is_there = endpoint.streams().stats(stream).is_some_and(|stats| stats.delivered > 0);
            match self.entries.get_mut(&stream).filter(|_| is_there) {
                Some(entry) => {
                    entry.deadline = None;
                    self.unproven.remove(&(deadline, stream));
                }
                None => self.drop_unproven(now, endpoint, stream),
            }
        }
        while let Some(stream) = self.lingering.victim(now) {
            self.destroy(now, endpoint, stream, End::Local);
        }
        if self.overload.is_due(now) {
            self.relieve(now, endpoint);
        }
    }

    pub(in crate::net) fn poll_timeout(&self) -> Option<Instant> {
        let unproven = self.unproven.first().map(|(deadline, _)| *deadline);
        let others = [self.overload.poll_timeout(), self.lingering.poll_timeout()];
        unproven.into_iter().chain(others.into_iter().flatten()).min()
    }

    /// Passes what readers hold on to the streams, which count it, and what writers may have waiting to them.
    /// Called once in a turn.
    pub(in crate::net) fn measure(&mut self, now: Instant, streams: &mut Streams) {
        streams.set_held_elsewhere(self.spares.held());
        self.spares.set_send_share(streams.send_share());
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

    /// Starts to end all connections: those at once whose sending direction has not been ended, or has been
    /// ended and is acknowledged, the others once that is so. [`Self::go_on_closing`] does it.
    pub(in crate::net) fn close(&mut self) {
        self.is_closing = true;
        self.closing = self.streams();
    }

    /// Ends so many connections as may say farewell at once; returns whether there are more.
    pub(in crate::net) fn go_on_closing(&mut self, now: Instant, endpoint: &mut Endpoint) -> bool {
        let rest = self.closing.len().saturating_sub(BATCH);
        for stream in self.closing.split_off(rest) {
            // What was queued last.
            self.service(now, endpoint, stream);
            if self.entries.get(&stream).is_some_and(|entry| !entry.link.is_finishing()) {
                self.destroy(now, endpoint, stream, End::Local);
            }
        }
        !self.closing.is_empty()
    }

    /// Ends the sending direction of all connections of which nothing waits to be handed to the stream.
    pub(in crate::net) fn finish_all(&mut self, now: Instant, endpoint: &mut Endpoint) {
        for stream in self.streams() {
            self.service(now, endpoint, stream);
            let entry = self.entries.get(&stream);
            if entry.is_some_and(|entry| entry.frames.is_empty() && entry.link.unsent() == 0) {
                endpoint.streams().finish(now, stream);
            }
        }
    }

    /// Ends so many connections as may say farewell at once, whatever waits; returns whether there were any.
    pub(in crate::net) fn destroy_some(&mut self, now: Instant, endpoint: &mut Endpoint) -> bool {
        let streams: Vec<_> = self.entries.keys().copied().take(BATCH).collect();
        for stream in &streams {
            self.destroy(now, endpoint, *stream, End::Local);
        }
        !streams.is_empty()
    }

    fn streams(&self) -> Vec<StreamId> {
        self.entries.keys().copied().collect()
    }

    pub(in crate::net) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(in crate::net) fn unproven(&self) -> usize {
        self.unproven_slots.len()
    }

    pub(in crate::net) const fn unproven_dropped(&self) -> u64 {
        self.unproven_dropped
    }

    fn drop_unproven(&mut self, now: Instant, endpoint: &mut Endpoint, stream: StreamId) {
        if let Some(entry) = self.entries.get_mut(&stream)
            && entry.link.is_proven()
        {
            // The reader has decrypted something and its notification has not been handled yet.
            let deadline = entry.deadline.take();
            self.forget_unproven(deadline, stream);
            return;
        }
        self.unproven_dropped += 1;
        self.destroy(now, endpoint, stream, End::Unproven);
    }

    fn forget_unproven(&mut self, deadline: Option<Instant>, stream: StreamId) {
        if let Some(deadline) = deadline {
            self.unproven.remove(&(deadline, stream));
        }
        self.unproven_slots.remove(&stream);
    }

    fn destroy(&mut self, now: Instant, endpoint: &mut Endpoint, stream: StreamId, end: End) {
        let stats = endpoint.streams().stats(stream);
        endpoint.streams().destroy(now, stream);
        self.lingering.remove(stream);
        if let Some(entry) = self.entries.remove(&stream) {
            if let Some(stats) = stats {
                entry.link.set_last_stats(Box::new(stats));
            }
            self.forget_unproven(entry.deadline, stream);
            debug!(stream = %stream, reason = ?end, "connection closed");
            entry.link.set_end(end);
        }
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        // A panic, or the runtime, ends the driver at any time; no task must wait for it then.
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
            self.has_written = true;
            self.link.set_pace(streams.stats(stream).map_or(0, |stats| stats.pacing_rate));
        }
    }

    /// Returns whether the peer goes on to send what nobody reads.
    fn has_sent_too_much(&mut self) -> bool {
        let moved = self.moved;
        self.link.has_left() && moved - *self.moved_before_drop.get_or_insert(moved) > MAX_DISCARDED
    }

    /// Returns whether nothing was lost when the peer destroyed the stream: it had ended its direction, and
    /// acknowledged all that the stream had taken, if that was anything.
    fn is_left(&self, is_acknowledged: bool) -> bool {
        let is_written = !self.frames.is_empty() || self.link.unsent() > 0;
        self.link.is_incoming_finished() && !is_written && (is_acknowledged || !self.has_written)
    }

    /// Moves received bytes from the stream to the link as far as there is room, or all of them.
    fn receive(&mut self, now: Instant, streams: &mut Streams, stream: StreamId, all: bool) {
        if self.link.is_discarding() {
            self.link.discard();
        }
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
            if self.link.is_discarding() {
                self.link.discard();
            }
        }
        if std::mem::take(&mut self.remote_finished) {
            self.link.set_incoming_finished();
        }
    }

    /// Finds out whether bytes that have come from elsewhere are the peer's, and lets the stream follow it
    /// there.
    fn examine(&mut self, now: Instant, streams: &mut Streams, stream: StreamId) {
        self.is_claimed = false;
        for (socket, address) in streams.claimants(stream) {
            let [unread, unknown] = streams.claimed(stream, socket, address);
            match self.link.judge(&unread, &unknown) {
                Some(Verdict::Authentic) => return streams.trust(now, stream, socket, address),
                Some(Verdict::Forged) => streams.distrust(stream, socket, address),
                // More has to come from there.
                Some(Verdict::Unknown) => {}
                None => {
                    self.is_claimed = true;
                    self.link.notify();
                }
            }
        }
    }

    /// Starts to send an encrypted empty message now and then, once, for a peer that does not answer
    /// heartbeats.
    fn keep_alive(&mut self) {
        let Some(interval) = self.keep_alive.take() else {
            return;
        };
        let link = Arc::downgrade(&self.link);
        // Were it to end early, the peer would time out.
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

/// Connections that end at once: half as many as may have a last packet that waits.
const BATCH: usize = 512;
/// What a peer may still send to a connection that was dropped, in bytes: with less it would not notice the
/// end in time.
const MAX_DISCARDED: u64 = 1 << 20;
