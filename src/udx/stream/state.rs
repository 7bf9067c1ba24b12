//! The parts of a stream, and its owner's commands.

use std::collections::VecDeque;
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use tracing::debug;

use crate::buffer::Pool;
use crate::udx::acks::Acks;
use crate::udx::claims::Claims;
use crate::udx::control::Control;
use crate::udx::events::{Events, Reported};
use crate::udx::liveness::Liveness;
use crate::udx::memory::Allowance;
use crate::udx::mtu::BASE_PAYLOAD;
use crate::udx::paths::Paths;
use crate::udx::recv::Receiver;
use crate::udx::send::Sender;
use crate::udx::seq::START;
use crate::udx::types::{
    Admission, Closed, Config, Event, Place, StreamId, StreamOptions, StreamStats, Traffic, WriteError,
};
use crate::udx::window::{OwnWindow, PeerWindow};

/// What a stream uses of its table.
pub(in crate::udx) struct StreamContext<'a> {
    pub(in crate::udx) config: &'a Config,
    /// How many written bytes of the stream may wait to be sent.
    pub(in crate::udx) send_buffer: usize,
    pub(in crate::udx) pool: &'a mut Pool,
    pub(in crate::udx) events: &'a mut Events,
}

/// One stream.
#[derive(Debug)]
pub(in crate::udx) struct Stream {
    pub(super) id: StreamId,
    pub(super) paths: Paths,
    pub(super) receiver: Receiver,
    pub(super) own_window: OwnWindow,
    pub(super) acks: Acks,
    pub(super) sender: Sender,
    pub(super) peer_window: PeerWindow,
    pub(super) control: Control,
    /// Unordered messages that wait to be sent.
    pub(super) messages: VecDeque<Vec<u8>>,
    pub(super) liveness: Liveness,
    pub(super) reported: Reported,
    pub(super) claims: Claims,
    /// A heartbeat leaves for where the path was before it followed the peer.
    pub(super) former_due: bool,
    pub(super) traffic: Traffic,
    options: StreamOptions,
    closed: Option<Closed>,
}

impl Stream {
    pub(in crate::udx) fn new(id: StreamId, admission: Admission, config: &Config) -> Self {
        let options = StreamOptions::default();
        let (window, max_window) = (config.receive_window as usize, config.max_receive_window as usize);
        Self {
            id,
            paths: Paths::new(admission),
            receiver: Receiver::new(START, window, max_window),
            own_window: OwnWindow::new(config.receive_window as usize),
            acks: Acks::default(),
            sender: Sender::new(START, BASE_PAYLOAD, config.is_protected),
            peer_window: PeerWindow::new(START, START),
            control: Control::new(config.congestion_control),
            messages: VecDeque::new(),
            liveness: Liveness::new(options.idle_timeout, config.stall_timeout),
            reported: Reported::default(),
            claims: Claims::default(),
            former_due: false,
            traffic: Traffic::default(),
            options,
            closed: None,
        }
    }

    pub(in crate::udx) const fn paths(&self) -> &Paths {
        &self.paths
    }

    pub(in crate::udx) const fn paths_mut(&mut self) -> &mut Paths {
        &mut self.paths
    }

    pub(in crate::udx) const fn closed(&self) -> Option<Closed> {
        self.closed
    }

    pub(in crate::udx) const fn options(&self) -> &StreamOptions {
        &self.options
    }

    /// Returns what the sender measures and believes.
    pub(in crate::udx) fn stats(&self) -> StreamStats {
        let packets = self.sender.packets();
        let beliefs = self.control.beliefs();
        StreamStats {
            rtt: self.control.smoothed_rtt(),
            rtt_variation: self.control.rtt_variation(),
            minimum_rtt: beliefs.minimum_rtt,
            window: self.control.window(),
            in_flight: packets.in_flight_bytes(),
            // Fractions of a byte do not matter, and what is unlimited becomes the largest number.
            bandwidth: beliefs.bandwidth as u64,
            pacing_rate: self.control.pacing_rate() as u64,
            phase: beliefs.phase,
            delivered: packets.delivery().delivered(),
            lost: packets.delivery().lost(),
            payload: packets.mtu().payload(),
            traffic: self.traffic(),
        }
    }

    /// Returns what has gone over the stream.
    pub(in crate::udx) const fn traffic(&self) -> Traffic {
        Traffic { packets_lost: self.sender.packets().delivery().packets_lost(), ..self.traffic }
    }

    /// Sets what the owner chooses, before anything has come.
    pub(in crate::udx) fn set_options(&mut self, options: StreamOptions) {
        self.options = options;
        self.liveness.set_idle_timeout(options.idle_timeout);
        if let Some(window) = options.receive_window {
            self.receiver.fix_window(window as usize);
            self.own_window = OwnWindow::new(window as usize);
        }
    }

    /// Sets what the stream may hold for its reader at the moment.
    pub(in crate::udx) const fn allow(&mut self, allowance: Allowance) {
        self.receiver.allow(allowance);
    }

    /// Sets how much of what it has sent the stream may hold at the moment.
    pub(in crate::udx) fn allow_sent(&mut self, share: usize) {
        self.sender.allow(share);
    }

    /// Returns how much memory that takes.
    pub(in crate::udx) fn sent_memory(&self) -> usize {
        self.sender.memory()
    }

    /// Returns how much memory received bytes take.
    pub(in crate::udx) fn memory(&self) -> usize {
        self.receiver.memory() + self.claims.memory()
    }

    /// Returns how many packets have come in order, and whether others wait for one before them.
    pub(in crate::udx) fn progress(&self) -> (u64, bool) {
        (self.receiver.received(), self.receiver.has_gaps())
    }

    /// Returns how many received bytes wait for the reader.
    pub(in crate::udx) const fn readable(&self) -> usize {
        self.receiver.readable()
    }

    /// Returns whether everything up to the peer's end has come.
    pub(in crate::udx) const fn is_remote_finished(&self) -> bool {
        self.receiver.ended()
    }

    /// Returns whether data waits for nothing but the peer's window.
    pub(super) fn is_window_shut(&self) -> bool {
        self.peer_window.is_shut()
            && self.paths.current().is_some()
            && self.sender.packets().len() == 0
            && self.sender.next_length(1).is_some()
    }

    /// Sets whether the owner can tell packets of the peer's that come from elsewhere, and hears of silence.
    pub(in crate::udx) fn set_claims(&mut self, enabled: bool) {
        self.claims.enable(enabled);
        self.liveness.watch(enabled);
    }

    /// Returns the places from which the next bytes may have come.
    pub(in crate::udx) fn claimants(&mut self) -> Vec<Place> {
        self.claims.places(self.receiver.next())
    }

    /// Returns the bytes that have come from such a place, with those that came over the path and wait for
    /// them.
    pub(in crate::udx) fn claimed(&self, place: Place) -> impl Iterator<Item = &[u8]> {
        let early = |seq| self.receiver.early(seq);
        let next = self.receiver.next();
        (next..).map_while(move |seq| self.claims.payload(place, seq).or_else(|| early(seq)))
    }

    /// Returns the bytes that the reader has not taken yet.
    pub(in crate::udx) fn unread(&self) -> impl Iterator<Item = &[u8]> {
        self.receiver.unread()
    }

    /// Drops what has come from a place: it is not the peer's.
    pub(in crate::udx) fn distrust(&mut self, place: Place) {
        self.claims.refuse(place);
    }

    /// Sets the bytes that the peer must begin with; what has come and contradicts them is forgotten.
    pub(in crate::udx) fn expect_prefix(&mut self, context: &mut StreamContext<'_>, prefix: Vec<u8>) {
        if !self.receiver.expect(prefix.clone()) {
            self.receiver.restart(context.pool);
            self.receiver.expect(prefix);
            self.paths.forget_held();
            self.reported.read();
            self.acks.clear();
        } else if self.is_proven() {
            self.path_validated(context);
        }
    }

    fn is_proven(&self) -> bool {
        self.receiver.is_expecting() && self.receiver.is_proven()
    }

    /// Returns where packets came from before there was a path.
    pub(in crate::udx) fn held_path(&mut self, may_be: impl FnOnce(&SocketAddrV4) -> bool) -> Option<Place> {
        let held = self.paths.held().filter(|(_, address)| self.is_proven() || may_be(address));
        if held.is_none() {
            self.paths.forget_held();
        }
        held
    }

    /// Sets the first numbers of both directions, before anything was sent or received.
    pub(in crate::udx) fn set_sequence(&mut self, own: u32, remote: u32) {
        let (own, remote) = (START + u64::from(own), START + u64::from(remote));
        if self.sender.packets().next() == START && !self.receiver.has_begun() {
            self.sender.packets_mut().start_at(own);
            self.receiver.start_at(remote);
            self.peer_window = PeerWindow::new(remote, own);
        }
    }

    /// Sets the path. What is owed to the peer leaves at once.
    pub(in crate::udx) fn connect(&mut self, now: Instant, context: &mut StreamContext<'_>, place: Place) {
        let (socket, address) = place;
        debug!(socket = socket.0, %address, "connected");
        self.paths.set(place);
        self.limit_payload(context.config, place);
        self.liveness.connected(now);
        if self.receiver.has_begun() || self.acks.is_owed() {
            self.acks.owe();
        }
    }

    /// Sets how large packets may become on the path to `place`.
    pub(super) fn limit_payload(&mut self, config: &Config, place: Place) {
        let most = config.max_payload(place.1);
        self.sender.packets_mut().mtu_mut().set_ceiling(most);
    }

    /// Moves to another path, of which nothing is known.
    pub(in crate::udx) fn change_remote(
        &mut self,
        now: Instant,
        context: &mut StreamContext<'_>,
        place: Place,
    ) {
        let (socket, address) = place;
        debug!(socket = socket.0, %address, "path changed");
        self.connect(now, context, place);
        let packets = self.sender.packets_mut();
        packets.change_path(context.config.max_payload(address));
        self.control.reset(now, packets.in_flight_bytes());
        self.paths.change(packets.next());
        self.report(context);
    }

    /// Sets how long a round trip is thought to take before the first measurement.
    pub(in crate::udx) fn expect_rtt(&mut self, rtt: Duration) {
        self.control.expect_rtt(rtt);
    }

    pub(in crate::udx) fn set_keep_alive(&mut self, now: Instant, interval: Option<Duration>) {
        self.liveness.set_interval(now, interval);
    }

    /// Queues what fits of `bytes` and returns how much.
    pub(in crate::udx) fn write(
        &mut self,
        now: Instant,
        context: &mut StreamContext<'_>,
        bytes: &[u8],
    ) -> Result<usize, WriteError> {
        if self.closed.is_some() || self.sender.end_queued() {
            return Err(WriteError::Closed);
        }
        let taken = self.sender.write(context.pool, bytes, context.send_buffer);
        self.reported.write(taken < bytes.len());
        self.probe_window(now);
        Ok(taken)
    }

    /// Queues a whole chunk, unless there is no room at all.
    pub(in crate::udx) fn write_chunk(
        &mut self,
        now: Instant,
        context: &mut StreamContext<'_>,
        chunk: &mut Vec<u8>,
    ) -> Result<bool, WriteError> {
        if self.closed.is_some() || self.sender.end_queued() {
            return Err(WriteError::Closed);
        }
        let taken = self.sender.write_chunk(context.pool, chunk, context.send_buffer);
        self.reported.write(!taken);
        self.probe_window(now);
        Ok(taken)
    }

    /// Moves received bytes to `out`, and announces the window if that has opened it.
    pub(in crate::udx) fn read(
        &mut self,
        now: Instant,
        context: &mut StreamContext<'_>,
        max: usize,
        out: &mut Vec<u8>,
    ) -> usize {
        self.reported.read();
        let count = self.receiver.read(context.pool, max, out);
        let (rtt, full) = (self.control.minimum_rtt(), self.receiver.full_window());
        if self.own_window.read(now, count, rtt, full) {
            self.receiver.grow();
        }
        let (full, window) = (self.receiver.full_window(), self.receiver.window());
        if self.own_window.has_opened(full, window) && self.closed.is_none() {
            self.acks.owe();
        }
        self.report(context);
        count
    }

    pub(in crate::udx) fn finish(&mut self, now: Instant) {
        if self.closed.is_none() {
            self.sender.queue_end();
            self.probe_window(now);
        }
    }

    pub(in crate::udx) fn send_message(&mut self, message: &[u8]) -> Result<(), WriteError> {
        if self.closed.is_some() {
            return Err(WriteError::Closed);
        }
        if self.paths.current().is_none() {
            return Err(WriteError::NotConnected);
        }
        // A path that carries less may divide it.
        if message.len() > self.sender.packets().mtu().payload().max(BASE_PAYLOAD) {
            return Err(WriteError::TooLarge);
        }
        if self.messages.len() >= MAX_OUTGOING_MESSAGES {
            debug!("unordered message dropped, too many wait to be sent");
            return Err(WriteError::Full);
        }
        self.messages.push_back(message.to_vec());
        Ok(())
    }

    /// Gives back all memory, before the stream is dropped.
    pub(in crate::udx) fn release(&mut self, pool: &mut Pool) {
        self.sender.clear(pool);
        self.receiver.clear(pool);
    }

    /// Reports that a write which was cut short can go on.
    pub(in crate::udx) fn report_room(&mut self, events: &mut Events, send_buffer: usize) {
        if self.sender.has_room(send_buffer) && self.reported.writable() {
            events.push(self.id, Event::Writable);
        }
    }

    /// Reports what has happened, and closes the stream when both directions have ended.
    pub(super) fn report(&mut self, context: &mut StreamContext<'_>) {
        if self.closed.is_some() {
            return;
        }
        let mut push = |event| context.events.push(self.id, event);
        if self.paths.has_changed(self.sender.packets().oldest()) {
            debug!("everything from before the change of path acknowledged");
            push(Event::RemoteChanged);
        }
        if self.receiver.ended() && self.reported.remote_finished() {
            debug!("peer finished");
            push(Event::RemoteFinished);
        }
        if self.sender.end_acknowledged() && self.reported.finished() {
            debug!("finished");
            push(Event::Finished);
        }
        if self.reported.both_finished() && self.receiver.readable() == 0 {
            self.close(context, Closed::Ended);
        }
    }

    pub(super) fn path_validated(&self, context: &mut StreamContext<'_>) {
        debug!("path validated");
        context.events.push(self.id, Event::PathValidated);
    }

    /// Ends the stream. What was not read stays readable.
    pub(super) fn close(&mut self, context: &mut StreamContext<'_>, closed: Closed) {
        if self.closed.is_none() {
            debug!(reason = ?closed, "closed");
            context.events.push(self.id, Event::Measured(Box::new(self.stats())));
            self.closed = Some(closed);
            self.receiver.forget_early();
            self.claims.enable(false);
            self.sender.clear(context.pool);
            self.messages = VecDeque::new();
            context.events.push(self.id, Event::Closed(closed));
        }
    }

    /// Asks at once whether a closed window has opened, if something waits for it.
    pub(super) fn probe_window(&mut self, now: Instant) {
        if self.is_window_shut() {
            self.liveness.window_shut(now, self.control.timeout());
        }
    }

    /// Returns the receive window of an empty stream.
    #[cfg(test)]
    pub(in crate::udx) fn full_window(&self) -> usize {
        self.receiver.full_window()
    }

    /// Returns how many written bytes wait to be sent for the first time.
    pub(in crate::udx) fn unsent_bytes(&self) -> usize {
        self.sender.unsent_bytes()
    }

    /// Returns how many bytes are held for the peer.
    pub(in crate::udx) fn buffered(&self) -> usize {
        self.sender.buffered()
    }
}

/// Messages of one stream that wait to be sent.
pub(in crate::udx) const MAX_OUTGOING_MESSAGES: usize = 64;
