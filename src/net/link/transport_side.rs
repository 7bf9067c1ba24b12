//! The side of the driver: moves encrypted bytes.

use std::collections::VecDeque;
use std::net::SocketAddrV4;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use super::End;
use super::shared::{Link, Proof, lock, wake};
use crate::connect::{Moved, Path, Report};
use crate::secret_stream::Verdict;
use crate::udx::StreamStats;

/// What the driver takes out of a link.
#[derive(Debug, Default)]
pub(in crate::net) struct Outbound {
    pub(in crate::net) frames: VecDeque<Vec<u8>>,
    pub(in crate::net) finish: bool,
}

impl Link {
    /// Clears the notification. Call it before looking at anything else, so that what comes later notifies
    /// again.
    pub(in crate::net) fn clear_notify(&self) {
        // A swap, not a store: it synchronises with the task that has notified, and sees what that has
        // queued. A store could take effect after the loads that follow it, and the notification would be
        // lost.
        self.notified.swap(false, Ordering::AcqRel);
    }

    pub(in crate::net) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }

    /// Notes how many bytes per second the stream sends.
    pub(in crate::net) fn set_pace(&self, pace: u64) {
        self.pace.store(pace, Ordering::Relaxed);
    }

    /// Takes the frames to send on the stream, in order.
    pub(in crate::net) fn take_outgoing(&self) -> Outbound {
        let mut outgoing = lock(&self.outgoing);
        let outbound = Outbound { frames: outgoing.ring.take(), finish: outgoing.finish };
        let writer = outgoing.writer.take();
        drop(outgoing);
        wake(writer);
        outbound
    }

    /// Takes the datagrams to send.
    pub(in crate::net) fn take_datagrams(&self) -> VecDeque<Vec<u8>> {
        std::mem::take(&mut lock(&self.outgoing).datagrams)
    }

    /// Gives a chunk back whose bytes are in the stream.
    pub(in crate::net) fn recycle_outgoing(&self, chunk: Option<Vec<u8>>) {
        if let Some(chunk) = chunk {
            self.spares.put(chunk);
        }
    }

    /// Notes that the peer has acknowledged the end of the sending direction.
    pub(in crate::net) fn set_finished(&self) {
        let mut outgoing = lock(&self.outgoing);
        outgoing.finished = true;
        let finisher = outgoing.finisher.take();
        drop(outgoing);
        wake(finisher);
    }

    /// Returns how many received bytes the queue takes, `share` at most (any number with `all`), and a chunk
    /// to put them in. With no room, the reader notifies the driver once there is some.
    pub(in crate::net) fn incoming_room(&self, all: bool, share: usize) -> (usize, Vec<u8>) {
        let mut incoming = lock(&self.incoming);
        let room = incoming.ring.room(match () {
            () if all => usize::MAX,
            () if self.is_proven() => INCOMING_LIMIT.min(share),
            () => UNPROVEN_LIMIT.min(share),
        });
        if room == 0 {
            incoming.held_back = true;
            return (0, Vec::new());
        }
        drop(incoming);
        (room, self.spares.take())
    }

    pub(in crate::net) fn push_incoming(&self, chunk: Vec<u8>) {
        let mut incoming = lock(&self.incoming);
        let before = incoming.ring.memory();
        let spare = incoming.ring.push(chunk);
        let after = incoming.ring.memory();
        let reader = incoming.reader.take();
        drop(incoming);
        self.count(before, after);
        if let Some(spare) = spare {
            self.spares.put(spare);
        }
        wake(reader);
        if !self.is_proven() {
            // A task may wait for the first message without reading.
            self.changed.notify_waiters();
        }
    }

    /// Drops what has come, for a user who reads no more. It is decrypted all the same: only that proves the
    /// key, and shows that bytes from another address are the peer's.
    pub(in crate::net) fn discard(&self) {
        let mut cx = Context::from_waker(Waker::noop());
        while let Poll::Ready(Ok(Some(_))) = self.poll_read_message(&mut cx) {}
        let datagrams = std::mem::take(&mut lock(&self.incoming).datagrams);
        self.count(datagrams.iter().map(Vec::capacity).sum(), 0);
    }

    /// Returns whether the sending direction ends after what is queued and the peer has not acknowledged
    /// that.
    pub(in crate::net) fn is_finishing(&self) -> bool {
        let outgoing = lock(&self.outgoing);
        outgoing.finish && !outgoing.finished
    }

    /// Returns how much memory waits to be sent.
    pub(in crate::net) fn unsent(&self) -> usize {
        lock(&self.outgoing).ring.memory()
    }

    pub(in crate::net) fn is_incoming_finished(&self) -> bool {
        lock(&self.incoming).finished
    }

    /// Notes that all that the peer has sent is in the queue.
    pub(in crate::net) fn set_incoming_finished(&self) {
        let mut incoming = lock(&self.incoming);
        incoming.finished = true;
        let reader = incoming.reader.take();
        drop(incoming);
        wake(reader);
        self.changed.notify_waiters();
    }

    pub(in crate::net) fn push_datagram(&self, datagram: Vec<u8>) {
        let mut incoming = lock(&self.incoming);
        if incoming.datagrams.len() < self.datagram_limit && !self.is_discarding() {
            self.count(0, datagram.capacity());
            incoming.datagrams.push_back(datagram);
            drop(incoming);
            self.changed.notify_waiters();
        }
    }

    /// Notes that something has come from the peer on the stream.
    pub(in crate::net) fn set_heard(&self) {
        self.heard.store(true, Ordering::Release);
        self.changed.notify_waiters();
    }

    /// Notes what the stream has measured by its end.
    pub(in crate::net) fn set_last_stats(&self, stats: Box<StreamStats>) {
        // The first ones are of the end; what follows them only frees memory.
        let _ = self.last.set(stats);
    }

    /// Notes that the stream has migrated to another path.
    pub(in crate::net) fn set_moved(&self, moved: Moved) {
        *lock(&self.route) = (moved.path, moved.remote);
        // No task waits for a migration to a relay, and a stream migrates to a direct path once.
        if moved.path != Path::Relayed {
            self.set_report(moved.report);
        }
    }

    /// Replaces the report by a later one, once.
    pub(in crate::net) fn set_report(&self, report: Report) {
        // The first one stays.
        let _ = self.later.set(Box::new(report));
        self.changed.notify_waiters();
    }

    pub(in crate::net) fn set_remote_address(&self, path: Option<Path>, address: SocketAddrV4) {
        let mut route = lock(&self.route);
        *route = (path.unwrap_or(route.0), address);
    }

    /// Tries to decrypt the first message, so that the peer's key is proven without a reader.
    pub(in crate::net) fn try_prove(&self) -> Proof {
        if self.is_proven() {
            return Proof::Proven;
        }
        // A reader is at work: it proves the key itself.
        let Ok(opener) = self.opener.try_lock() else {
            return Proof::Busy;
        };
        self.prove_with(opener, MAX_PROOF)
    }

    /// Judges bytes of unknown origin that would follow what is queued, and then `unread`; `None` while a
    /// reader is at work.
    pub(in crate::net) fn judge(&self, unread: &[&[u8]], unknown: &[&[u8]]) -> Option<Verdict> {
        let opener = self.opener.try_lock().ok()?;
        let incoming = lock(&self.incoming);
        let known = incoming.ring.pieces().chain(unread.iter().copied());
        Some(opener.judge(known, unknown.iter().copied()))
    }

    /// Sets how the connection ended, once, and wakes all tasks that wait.
    pub(in crate::net) fn set_end(&self, end: End) {
        if self.end.set(end).is_err() {
            return;
        }
        let mut outgoing = lock(&self.outgoing);
        let (writer, finisher) = (outgoing.writer.take(), outgoing.finisher.take());
        outgoing.ring.take();
        drop(outgoing);
        let reader = lock(&self.incoming).reader.take();
        wake(writer);
        wake(finisher);
        wake(reader);
        self.changed.notify_waiters();
    }
}

/// Received bytes that may wait for the reader; what is beyond stays in the stream and closes its window.
const INCOMING_LIMIT: usize = 256 * 1024;

/// The same while the peer's key is not proven.
const UNPROVEN_LIMIT: usize = 72 * 1024;

/// The largest first frame that the driver decrypts itself; a larger one is left to the task
/// that reads or waits for the proof.
const MAX_PROOF: usize = 64 * 1024 + 20;
