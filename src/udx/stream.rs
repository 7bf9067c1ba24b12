//! One stream: what it knows, and what its owner may do with it.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use super::congestion::Bbr;
use super::credit::Credit;
use super::events::Events;
use super::liveness::Liveness;
use super::loss::Loss;
use super::mtu::{BASE_PAYLOAD, Mtu};
use super::pacing::Pacer;
use super::pool::Pool;
use super::recv::Receiver;
use super::rtt::Rtt;
use super::send::{Batch, Sender};
use super::seq::START;
use super::types::{Admission, Closed, Config, Event, StreamId, WriteError};
use crate::wire::transmit::SocketId;

/// A socket of ours and an address of the peer's.
pub(super) type Place = (SocketId, SocketAddrV4);

/// What all streams share.
pub(super) struct Shared<'a> {
    pub(super) config: &'a Config,
    pub(super) pool: &'a mut Pool,
    pub(super) events: &'a mut Events,
}

/// One stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) id: StreamId,
    pub(super) admission: Admission,
    pub(super) remote_id: Option<u32>,
    pub(super) path: Option<Place>,
    /// Where packets are taken from besides: the path before a change, or where the peer proved itself from.
    pub(super) alternate: Option<Place>,
    /// When a packet last came from there.
    pub(super) alternate_heard: Option<Instant>,
    /// Hosts from which packets are taken as well, and the place of the last one that was told.
    pub(super) candidates: Vec<Ipv4Addr>,
    pub(super) offered: Option<Place>,
    /// Where packets came from before there was a path.
    pub(super) held: Option<Place>,
    /// The path is provisional until the expected first bytes have come.
    pub(super) expecting: bool,
    pub(super) receiver: Receiver,
    /// The first number of the peer.
    pub(super) first: u64,
    pub(super) sender: Sender,
    pub(super) rtt: Rtt,
    pub(super) loss: Loss,
    pub(super) congestion: Bbr,
    pub(super) pacer: Pacer,
    pub(super) mtu: Mtu,
    pub(super) liveness: Liveness,
    /// What may be sent before the path has spoken.
    pub(super) credit: Credit,
    /// What was acknowledged since the last flush.
    pub(super) batch: Batch,
    /// The window of the peer, and the numbers of the packet that told it.
    pub(super) peer_window: u32,
    pub(super) window_seq: u64,
    pub(super) window_ack: u64,
    /// The window that the peer heard of last.
    pub(super) advertised: usize,
    /// What the reader has taken, and since when.
    taken: usize,
    taken_since: Option<Instant>,
    pub(super) ack_owed: bool,
    /// An acknowledgement leaves with the next poll.
    pub(super) ack_due: bool,
    /// Packets received since the last acknowledgement, and when one that waits for data to carry it leaves
    /// at the latest.
    pub(super) unacknowledged: u32,
    pub(super) ack_at: Option<Instant>,
    pub(super) messages: VecDeque<Vec<u8>>,
    /// The tail is to be probed with the next poll, whatever the windows say.
    pub(super) probe_due: bool,
    pub(super) pacing_due: Option<Instant>,
    /// Everything below is acknowledged when a change of path is complete.
    pub(super) changing: Option<u64>,
    pub(super) write_blocked: bool,
    pub(super) readable_told: bool,
    pub(super) finished_told: bool,
    pub(super) remote_finished_told: bool,
    pub(super) closed: Option<Closed>,
    /// The deadline under which the stream is filed, and whether it is in the queue of those with something
    /// to send.
    pub(super) filed: Option<Instant>,
    pub(super) queued: bool,
    pub(super) dirty: bool,
}

impl Stream {
    pub(super) fn new(id: StreamId, admission: Admission, config: &Config) -> Self {
        Self {
            id,
            admission,
            remote_id: None,
            path: None,
            alternate: None,
            alternate_heard: None,
            candidates: Vec::new(),
            offered: None,
            held: None,
            expecting: false,
            receiver: Receiver::new(START, config.receive_window as usize),
            first: START,
            sender: Sender::new(START),
            rtt: Rtt::default(),
            loss: Loss::default(),
            congestion: Bbr::new(0),
            pacer: Pacer::new(),
            mtu: Mtu::new(BASE_PAYLOAD),
            liveness: Liveness::default(),
            credit: Credit::default(),
            batch: Batch::default(),
            peer_window: INITIAL_PEER_WINDOW,
            window_seq: START,
            window_ack: START,
            advertised: config.receive_window as usize,
            taken: 0,
            taken_since: None,
            ack_owed: false,
            ack_due: false,
            unacknowledged: 0,
            ack_at: None,
            messages: VecDeque::new(),
            probe_due: false,
            pacing_due: None,
            changing: None,
            write_blocked: false,
            readable_told: false,
            finished_told: false,
            remote_finished_told: false,
            closed: None,
            filed: None,
            queued: false,
            dirty: false,
        }
    }

    /// Sets the bytes that the peer must begin with; what has come and contradicts them is forgotten.
    pub(super) fn expect_prefix(&mut self, shared: &mut Shared<'_>, prefix: Vec<u8>) {
        self.expecting = !prefix.is_empty();
        if !self.receiver.expect(prefix.clone()) {
            self.receiver.clear(shared.pool);
            self.receiver = Receiver::new(self.first, shared.config.receive_window as usize);
            self.receiver.expect(prefix);
            self.held = None;
            self.readable_told = false;
            self.ack_owed = false;
            self.ack_due = false;
        } else if self.expecting && self.receiver.is_proven() {
            shared.events.push(self.id, Event::PathValidated);
        }
    }

    /// Sets the first numbers of both directions, before anything was sent or received.
    pub(super) fn set_sequence(&mut self, config: &Config, own: u32, remote: u32) {
        let (own, remote) = (START + u64::from(own), START + u64::from(remote));
        if self.sender.next() == START && !self.receiver.has_begun(START) {
            self.sender = Sender::new(own);
            self.receiver = Receiver::new(remote, config.receive_window as usize);
            self.window_seq = remote;
            self.window_ack = own;
            self.first = remote;
        }
    }

    /// Tells whether the path is the peer's for sure.
    pub(super) const fn is_settled(&self) -> bool {
        if self.expecting {
            self.receiver.is_proven()
        } else {
            self.path.is_some()
        }
    }

    /// Sets the path. What is owed to the peer leaves at once.
    pub(super) fn connect(&mut self, now: Instant, shared: &mut Shared<'_>, place: Place) {
        if let Some(old) = self.path
            && old != place
        {
            self.alternate = Some(old);
        }
        self.set_path(shared.config, place);
        if self.held == Some(place) {
            self.credit.lift();
        }
        self.liveness.connected(now);
        if self.receiver.has_begun(self.first) || self.ack_owed {
            self.ack_owed = true;
            self.ack_due = true;
        }
    }

    /// Sets the path, and with it how large packets may become.
    pub(super) fn set_path(&mut self, config: &Config, place: Place) {
        self.path = Some(place);
        self.mtu.set_ceiling(config.max_payload(place.1));
    }

    /// Moves to another path, of which nothing is known.
    pub(super) fn change_remote(&mut self, now: Instant, shared: &mut Shared<'_>, place: Place) {
        self.connect(now, shared, place);
        self.sender.abandon_probes();
        self.mtu = Mtu::new(shared.config.max_payload(place.1));
        self.rtt = Rtt::expecting(self.rtt.smoothed());
        self.loss.reset(now);
        self.congestion = Bbr::new(self.sender.in_flight_bytes());
        self.pacer = Pacer::new();
        self.pacing_due = None;
        self.changing = Some(self.sender.next());
        self.report(shared);
    }

    pub(super) fn write(
        &mut self,
        now: Instant,
        shared: &mut Shared<'_>,
        bytes: &[u8],
    ) -> Result<usize, WriteError> {
        if self.closed.is_some() || self.sender.end_queued() {
            return Err(WriteError::Closed);
        }
        let taken = self.sender.write(shared.pool, bytes, shared.config.send_buffer);
        self.write_blocked = taken < bytes.len();
        self.probe_window(now);
        Ok(taken)
    }

    pub(super) fn write_chunk(
        &mut self,
        now: Instant,
        shared: &mut Shared<'_>,
        chunk: &mut Vec<u8>,
    ) -> Result<bool, WriteError> {
        if self.closed.is_some() || self.sender.end_queued() {
            return Err(WriteError::Closed);
        }
        let taken = self
            .sender
            .write_chunk(shared.pool, chunk, shared.config.send_buffer);
        self.write_blocked = !taken;
        self.probe_window(now);
        Ok(taken)
    }

    pub(super) fn read(
        &mut self,
        now: Instant,
        shared: &mut Shared<'_>,
        max: usize,
        out: &mut Vec<u8>,
    ) -> usize {
        self.readable_told = false;
        let count = self.receiver.read(shared.pool, max, out);
        self.tune_window(now, shared.config, count);
        // Only a window that was nearly shut can hold the peer up, and only one that has opened a good part
        // is worth a packet.
        let (full, window) = (self.receiver.full_window(), self.receiver.window());
        if self.advertised <= full / 2 && window >= self.advertised + full / 4 && self.closed.is_none() {
            self.ack_owed = true;
            self.ack_due = true;
        }
        self.report(shared);
        count
    }

    /// Widens the window if the reader takes more than half of it in a round trip: then it is the window that
    /// holds the peer up.
    fn tune_window(&mut self, now: Instant, config: &Config, count: usize) {
        let since = *self.taken_since.get_or_insert(now);
        self.taken += count;
        let Some(rtt) = self.rtt.minimum() else {
            return;
        };
        let elapsed = now.saturating_duration_since(since);
        if elapsed < rtt {
            return;
        }
        let trips = elapsed.as_secs_f64() / rtt.as_secs_f64();
        if self.taken as f64 > trips * self.receiver.full_window() as f64 / 2.0 {
            self.receiver.grow(config.max_receive_window as usize);
        }
        self.taken = 0;
        self.taken_since = Some(now);
    }

    pub(super) fn finish(&mut self, now: Instant) {
        if self.closed.is_none() {
            self.sender.queue_end();
            self.probe_window(now);
        }
    }

    pub(super) fn send_message(&mut self, message: &[u8]) -> Result<(), WriteError> {
        if self.closed.is_some() {
            return Err(WriteError::Closed);
        }
        if self.path.is_none() {
            return Err(WriteError::NotConnected);
        }
        if message.len() > self.mtu.payload() {
            return Err(WriteError::TooLarge);
        }
        if self.messages.len() >= MAX_OUTGOING_MESSAGES {
            return Err(WriteError::Full);
        }
        self.messages.push_back(message.to_vec());
        Ok(())
    }

    pub(super) fn set_keep_alive(&mut self, now: Instant, interval: Option<Duration>) {
        self.liveness.set_interval(now, interval);
    }

    /// Ends a batch of received datagrams: learns from what it acknowledged, and lets the acknowledgement for
    /// it leave.
    pub(super) fn flush(&mut self, now: Instant, shared: &mut Shared<'_>) {
        if self.ack_owed && !self.ack_due {
            if self.may_hold_back(shared.config) {
                let latest = now + shared.config.ack_delay;
                self.ack_at.get_or_insert(latest);
            } else {
                self.ack_due = true;
            }
        }
        if self.batch.bytes > 0 || self.batch.advanced {
            let batch = std::mem::take(&mut self.batch);
            if let Some(measured) = &batch.measured {
                self.rtt
                    .update(now, now.saturating_duration_since(measured.sent_at));
            }
            self.mtu.start();
            let lost = self
                .loss
                .update(now, &batch, &mut self.sender, &self.rtt, &mut self.mtu);
            self.learn(now, &batch, lost);
            // What waits for the pace of before does not have to.
            let rate = self.congestion.pacing_rate();
            self.pacing_due = self.pacing_due.map(|at| at.min(self.pacer.ready_at(now, rate)));
            self.sender.reclaim(shared.pool);
            self.probe_window(now);
        }
        self.report(shared);
    }

    /// Tells whether the acknowledgement may wait for data. Not for a peer that has just begun: it measures
    /// the path by the answers.
    fn may_hold_back(&self, config: &Config) -> bool {
        !config.ack_delay.is_zero()
            && self.unacknowledged < 2
            && self.receiver.next() >= self.first + PROMPTLY_ANSWERED
    }

    /// Tells the congestion controller.
    pub(super) fn learn(&mut self, now: Instant, batch: &Batch, lost: u64) {
        let in_flight = self.sender.in_flight_bytes();
        if self.loss.leave_recovery(&self.sender) {
            self.congestion.leave_recovery();
        }
        if lost > 0 && self.loss.enter_recovery(&self.sender) {
            self.congestion.enter_recovery(in_flight, batch.bytes);
        }
        let minimum = self.rtt.minimum();
        let sample = batch
            .latest
            .as_ref()
            .and_then(|latest| self.sender.sample(now, latest, minimum));
        self.congestion.update(
            now,
            &super::congestion::Outcome {
                acked: batch.bytes,
                lost,
                in_flight,
                delivered: self.sender.delivery.delivered(),
                sample,
                rtt: batch
                    .measured
                    .as_ref()
                    .map(|measured| now.saturating_duration_since(measured.sent_at)),
            },
        );
    }

    /// Reports what has come to pass, and closes the stream when both directions have ended.
    pub(super) fn report(&mut self, shared: &mut Shared<'_>) {
        if self.closed.is_some() {
            return;
        }
        let mut tell = |event| shared.events.push(self.id, event);
        if self.changing.is_some_and(|seq| self.sender.oldest() >= seq) {
            self.changing = None;
            tell(Event::RemoteChanged);
        }
        if self.write_blocked
            && self.sender.unsent_bytes() <= shared.config.send_buffer / 2
            && self.sender.has_room()
        {
            self.write_blocked = false;
            tell(Event::Writable);
        }
        if self.receiver.ended() && !self.remote_finished_told {
            self.remote_finished_told = true;
            tell(Event::RemoteFinished);
        }
        if self.sender.end_acknowledged() && !self.finished_told {
            self.finished_told = true;
            tell(Event::Finished);
        }
        if self.finished_told && self.remote_finished_told && self.receiver.readable() == 0 {
            self.close(shared, Closed::Ended);
        }
    }

    /// Ends the stream. What was not read stays readable.
    pub(super) fn close(&mut self, shared: &mut Shared<'_>, closed: Closed) {
        if self.closed.is_none() {
            self.closed = Some(closed);
            self.receiver.forget_kept();
            self.sender.clear(shared.pool);
            self.messages = VecDeque::new();
            shared.events.push(self.id, Event::Closed(closed));
        }
    }

    /// Asks at once whether a closed window has opened, if something waits for it.
    fn probe_window(&mut self, now: Instant) {
        if self.is_window_shut() {
            self.liveness.window_shut(now, self.rtt.timeout());
        }
    }

    /// Tells whether data waits for nothing but the peer's window.
    pub(super) fn is_window_shut(&self) -> bool {
        self.peer_window == 0
            && self.path.is_some()
            && self.sender.outstanding() == 0
            && self.sender.next_length(1).is_some()
    }
}

/// What a peer is taken to accept before its first packet: the window that the reference always advertises.
const INITIAL_PEER_WINDOW: u32 = 4 << 20;
/// Packets at the beginning that are acknowledged without delay.
const PROMPTLY_ANSWERED: u64 = 16;
/// Messages of one stream that wait to be sent.
pub(super) const MAX_OUTGOING_MESSAGES: usize = 64;
