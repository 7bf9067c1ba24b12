//! The state that both sides share.

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddrV4;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, PoisonError};
use std::task::Waker;

use tokio::sync::{Notify, mpsc};

use super::End;
use crate::connect::{Established, Origin, Path, Report};
use crate::keys::PublicKey;
use crate::net::opener::Opener;
use crate::net::ring::Ring;
use crate::net::spares::Spares;
use crate::net::sync::{AtomicBool, Mutex, MutexGuard};
use crate::secret_stream::{Datagrams, Keys, Pull, PullError, Push};
use crate::udx::{StreamId, StreamStats};

/// The shared part of one connection.
///
/// The driver never holds a lock here while it calls the system, and no lock that the driver waits for is
/// held across cryptography.
pub(crate) struct Link {
    pub(super) stream: StreamId,
    pub(super) wakeups: mpsc::UnboundedSender<StreamId>,
    pub(super) spares: Arc<Spares>,
    is_initiator: bool,
    /// Memory of received bytes that is held here, in the queue and in the opener.
    held: AtomicUsize,
    /// Whether the driver has been notified and has not looked yet.
    pub(super) notified: AtomicBool,
    /// Whether the user is done with the connection, or it has failed on this side.
    pub(super) abandoned: AtomicBool,
    /// Whether the user reads no more: what comes is decrypted and dropped.
    pub(super) discards: AtomicBool,
    pub(super) proven: AtomicBool,
    /// Whether anything has come from the peer on the stream.
    pub(super) heard: AtomicBool,
    pub(super) end: OnceLock<End>,
    pub(super) changed: Notify,
    pub(super) outgoing: Mutex<Outgoing>,
    /// Bytes per second that the stream sends.
    pub(super) pace: AtomicU64,
    pub(super) incoming: Mutex<Incoming>,
    pub(super) sealer: Mutex<Push>,
    pub(super) opener: Mutex<Opener>,
    pub(super) datagrams: Mutex<Datagrams>,
    pub(super) route: Mutex<(Path, SocketAddrV4)>,
    pub(super) own_key: PublicKey,
    pub(super) remote: PublicKey,
    pub(super) handshake_hash: [u8; 64],
    pub(super) datagram_limit: usize,
    pub(super) report: Box<Report>,
    /// The report of the whole, once the stream has migrated or turned out to have no path.
    pub(super) later: OnceLock<Box<Report>>,
    /// What the stream has measured, once it has ended.
    pub(super) last: OnceLock<Box<StreamStats>>,
}

#[derive(Default)]
pub(super) struct Outgoing {
    pub(super) ring: Ring,
    pub(super) datagrams: VecDeque<Vec<u8>>,
    pub(super) finish: bool,
    pub(super) finished: bool,
    pub(super) writer: Option<Waker>,
    pub(super) finisher: Option<Waker>,
}

#[derive(Default)]
pub(super) struct Incoming {
    pub(super) ring: Ring,
    pub(super) datagrams: VecDeque<Vec<u8>>,
    /// The driver left bytes in the stream because the ring was full.
    pub(super) held_back: bool,
    pub(super) finished: bool,
    pub(super) reader: Option<Waker>,
}

impl Link {
    /// Makes the shared part of a new connection and returns it with the header frame, which must be sent
    /// first.
    ///
    /// On the dialling side an empty message follows it, which every peer ignores: it proves the own key to
    /// the server at once, which drops clients that do not prove theirs.
    pub(in crate::net) fn new(
        established: &Established,
        wakeups: mpsc::UnboundedSender<StreamId>,
        spares: Arc<Spares>,
        message_limit: usize,
        datagram_limit: usize,
    ) -> (Arc<Self>, Vec<u8>) {
        let keys: &Keys = &established.session.keys;
        let random = &mut rand::rngs::OsRng;
        let mut push = Push::new(keys, random);
        let mut header = push.header().to_vec();
        if keys.is_initiator() {
            push.seal(&[], &mut header).expect("an empty message fits a frame");
        }
        let link = Self {
            stream: established.stream,
            wakeups,
            spares,
            held: AtomicUsize::new(0),
            notified: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
            is_initiator: keys.is_initiator(),
            discards: AtomicBool::new(false),
            proven: AtomicBool::new(matches!(established.origin, Origin::Attempt(_))),
            heard: AtomicBool::new(matches!(established.origin, Origin::Server(_))),
            end: OnceLock::new(),
            changed: Notify::new(),
            outgoing: Mutex::default(),
            pace: AtomicU64::new(0),
            incoming: Mutex::default(),
            sealer: Mutex::new(push),
            opener: Mutex::new(Opener::new(Pull::new(keys, message_limit))),
            datagrams: Mutex::new(Datagrams::new(keys, random)),
            route: Mutex::new((established.path, established.remote)),
            own_key: established.session.own_key,
            remote: established.session.remote_public_key,
            handshake_hash: *keys.handshake_hash(),
            datagram_limit,
            report: Box::new(established.report.clone()),
            later: OnceLock::new(),
            last: OnceLock::new(),
        };
        (Arc::new(link), header)
    }

    /// Moves the queued bytes to the opener and notifies the driver if it waits for room.
    pub(super) fn feed(&self, opener: &mut Opener, mut incoming: MutexGuard<'_, Incoming>) {
        let before = incoming.ring.memory() + opener.memory();
        let chunks = incoming.ring.take();
        let held_back = std::mem::take(&mut incoming.held_back);
        drop(incoming);
        if held_back {
            self.notify();
        }
        opener.feed(chunks, &self.spares);
        self.count(before, opener.memory());
    }

    /// Counts a part of the connection that held `before` bytes and now holds `after`.
    pub(super) fn count(&self, before: usize, after: usize) {
        if before != after {
            // Wraps around on the way if that is less.
            self.held.fetch_add(after.wrapping_sub(before), Ordering::Relaxed);
            self.spares.count(before, after);
        }
    }

    /// Returns how much memory of received bytes is held.
    pub(in crate::net) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    pub(super) fn fail(&self, error: PullError) -> End {
        let end = match error {
            PullError::TooLong { length, limit } => End::TooLarge { size: length, max: limit },
            _ => End::Corrupt,
        };
        self.set_end(end);
        self.abandon();
        end
    }

    /// Returns the stream that carries the connection.
    pub(crate) const fn stream(&self) -> StreamId {
        self.stream
    }

    pub(crate) fn is_proven(&self) -> bool {
        self.proven.load(Ordering::Acquire)
    }

    /// Returns whether this side has dialled.
    pub(crate) const fn is_initiator(&self) -> bool {
        self.is_initiator
    }

    /// Returns the key that this side has used.
    pub(crate) const fn own_key(&self) -> &PublicKey {
        &self.own_key
    }

    /// Returns what the stream has measured by its end, once it has ended.
    pub(crate) fn last_stats(&self) -> Option<StreamStats> {
        self.last.get().map(|stats| **stats)
    }

    /// Returns the peer's key, proven or not.
    pub(crate) const fn remote(&self) -> &PublicKey {
        &self.remote
    }

    pub(crate) const fn handshake_hash(&self) -> &[u8; 64] {
        &self.handshake_hash
    }

    pub(crate) fn route(&self) -> (Path, SocketAddrV4) {
        *lock(&self.route)
    }

    /// Returns the report of the attempt, or a later one: of the migration to another path, or of its
    /// failure.
    pub(crate) fn report(&self) -> &Report {
        self.later.get().unwrap_or(&self.report)
    }

    pub(crate) fn end(&self) -> Option<End> {
        self.end.get().copied()
    }

    /// Tries to decrypt the first message, of at most so many bytes; it is kept for the reader.
    pub(super) fn prove_with(&self, mut opener: MutexGuard<'_, Opener>, limit: usize) -> Proof {
        loop {
            // Read with the opener locked: what another task has just decrypted is not read yet, and the next
            // message would replace it.
            if self.is_proven() {
                return Proof::Proven;
            }
            let before = opener.memory();
            let opened = opener.open_next();
            self.count(before, opener.memory());
            match opened {
                Ok(true) => {
                    self.prove();
                    return Proof::Proven;
                }
                Ok(false) => {}
                Err(error) => {
                    self.fail(error);
                    return Proof::Failed;
                }
            }
            let incoming = lock(&self.incoming);
            if incoming.ring.is_empty() || opener.pending() + opener.missing() > limit {
                return Proof::Pending;
            }
            self.feed(&mut opener, incoming);
        }
    }

    pub(in crate::net) fn prove(&self) {
        if !self.proven.swap(true, Ordering::AcqRel) {
            self.changed.notify_waiters();
            self.notify();
        }
    }

    /// Ends the sending direction after what is queued, without a task that waits for it.
    pub(crate) fn finish(&self) {
        lock(&self.outgoing).finish = true;
        self.notify();
    }

    /// Reads no more: the driver drops what comes, so that the peer can go on.
    pub(crate) fn stop_reading(&self) {
        self.discards.store(true, Ordering::Release);
        self.notify();
    }

    /// Returns whether the user has ended the sending direction and reads no more.
    pub(in crate::net) fn has_left(&self) -> bool {
        self.is_discarding() && lock(&self.outgoing).finish
    }

    pub(in crate::net) fn is_discarding(&self) -> bool {
        self.discards.load(Ordering::Acquire)
    }

    /// Gives the connection up: the driver destroys the stream.
    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Release);
        self.notify();
    }

    /// Notifies the driver that the connection has something to do.
    pub(in crate::net) fn notify(&self) {
        if !self.notified.swap(true, Ordering::AcqRel) {
            // Without a driver the end has been set, or is about to be.
            let _ = self.wakeups.send(self.stream);
        }
    }
}

/// Without what the peer has sent, and without the hash of the handshake, which opens datagrams.
impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, address) = self.route();
        f.debug_struct("Link")
            .field("stream", &self.stream)
            .field("remote", &self.remote)
            .field("is_proven", &self.is_proven())
            .field("path", &path)
            .field("address", &address)
            .field("end", &self.end())
            .finish_non_exhaustive()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.spares.count(self.held(), 0);
    }
}

/// Whether the peer's key is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::net) enum Proof {
    /// It is.
    Proven,
    /// More bytes are needed.
    Pending,
    /// The reader holds the decrypting end at the moment.
    Busy,
    /// What came does not decrypt.
    Failed,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves these values consistent: each change is a single step.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
