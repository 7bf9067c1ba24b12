//! The side of the connection's user: encrypts and decrypts, on the task that reads or writes.

use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::ReadBuf;

use super::End;
use super::shared::{Link, Proof, lock};
use crate::connect::Path;
use crate::keys::PublicKey;
use crate::net::opener::Opener;
use crate::secret_stream::{MAX_MESSAGE, PullError};

impl Link {
    /// Encrypts as much of `data` as one message takes and queues it; pending while the ring is full.
    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, End>> {
        let length = data.len().min(cut(self.pace.load(Ordering::Relaxed)));
        self.poll_write_message(cx, &data[..length]).map_ok(|()| length)
    }

    /// Encrypts one message and queues it; pending while the ring is full.
    pub(crate) fn poll_write_message(&self, cx: &mut Context<'_>, message: &[u8]) -> Poll<Result<(), End>> {
        if message.len() > MAX_MESSAGE {
            return Poll::Ready(Err(End::TooLarge { size: message.len(), max: MAX_MESSAGE }));
        }
        // Held until the frame is queued, so that frames leave in the order in which they were sealed.
        let mut sealer = lock(&self.sealer);
        {
            let mut outgoing = lock(&self.outgoing);
            if outgoing.finish {
                return Poll::Ready(Err(End::Local));
            }
            if let Some(end) = self.end() {
                return Poll::Ready(Err(end.for_writer()));
            }
            if outgoing.ring.room(OUTGOING_LIMIT.min(self.spares.send_share())) == 0 {
                outgoing.writer = Some(cx.waker().clone());
                return Poll::Pending;
            }
        }
        let mut frame = self.spares.take();
        sealer.seal(message, &mut frame).expect("the length has been checked");
        let spare = lock(&self.outgoing).ring.push(frame);
        drop(sealer);
        self.notify();
        if let Some(spare) = spare {
            self.spares.put(spare);
        }
        Poll::Ready(Ok(()))
    }

    /// Queues an encrypted empty message, unless others wait to be sent or the connection has ended.
    pub(in crate::net) fn keep_alive(&self) {
        // A writer that is at work queues a message itself.
        let Ok(mut sealer) = self.sealer.try_lock() else {
            return;
        };
        {
            let outgoing = lock(&self.outgoing);
            if outgoing.finish || !outgoing.ring.is_empty() || self.end().is_some() {
                return;
            }
        }
        let mut frame = Vec::new();
        if sealer.seal(&[], &mut frame).is_ok() {
            lock(&self.outgoing).ring.push(frame);
        }
        drop(sealer);
        self.notify();
    }

    /// Ends the sending direction after what is queued; ready once the peer has acknowledged that.
    pub(crate) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        let mut outgoing = lock(&self.outgoing);
        if outgoing.finished {
            return Poll::Ready(Ok(()));
        }
        if let Some(end) = self.end() {
            return Poll::Ready(match end {
                End::Orderly | End::Left => Ok(()),
                end => Err(end),
            });
        }
        outgoing.finisher = Some(cx.waker().clone());
        let first = !std::mem::replace(&mut outgoing.finish, true);
        drop(outgoing);
        if first {
            self.notify();
        }
        Poll::Pending
    }

    /// Reads bytes, message borders ignored; nothing is read once the peer has ended its direction.
    pub(crate) fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<(), End>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let mut opener = lock(&self.opener);
        let read = self.poll_opened(cx, &mut opener, |opener| {
            let is_read = opener.read_into(buffer)?;
            Ok(is_read.then_some(()))
        });
        read.map_ok(|_| ())
    }

    /// Reads one message or the rest of one.
    pub(crate) fn poll_read_message(&self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, End>> {
        self.poll_opened(cx, &mut lock(&self.opener), Opener::take)
    }

    /// Feeds the opener until `take` returns something; `None` at the end of the peer's direction.
    fn poll_opened<T>(
        &self,
        cx: &mut Context<'_>,
        opener: &mut Opener,
        mut take: impl FnMut(&mut Opener) -> Result<Option<T>, PullError>,
    ) -> Poll<Result<Option<T>, End>> {
        loop {
            let before = opener.memory();
            let taken = take(opener);
            self.count(before, opener.memory());
            if opener.has_opened() && !self.is_proven() {
                self.prove();
            }
            match taken {
                Ok(Some(taken)) => return Poll::Ready(Ok(Some(taken))),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Err(self.fail(error))),
            }
            let mut incoming = lock(&self.incoming);
            if incoming.ring.is_empty() {
                if incoming.finished {
                    self.changed.notify_waiters();
                    return Poll::Ready(Ok(None));
                }
                if let Some(end) = self.end() {
                    return Poll::Ready(match end {
                        End::Orderly | End::Left => Ok(None),
                        end => Err(end),
                    });
                }
                incoming.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
            self.feed(opener, incoming);
        }
    }

    /// Seals a datagram and queues it; it is dropped if many wait.
    pub(crate) fn send_datagram(&self, datagram: &[u8]) -> Result<(), End> {
        if datagram.len() > MAX_DATAGRAM {
            return Err(End::TooLarge { size: datagram.len(), max: MAX_DATAGRAM });
        }
        if let Some(end) = self.end() {
            return Err(end.for_writer());
        }
        let mut sealed = Vec::new();
        lock(&self.datagrams).seal(datagram, &mut sealed).map_err(|_| End::Local)?;
        let mut outgoing = lock(&self.outgoing);
        if outgoing.datagrams.len() < MAX_OUTGOING_DATAGRAMS {
            outgoing.datagrams.push_back(sealed);
            drop(outgoing);
            self.notify();
        }
        Ok(())
    }

    /// Waits for a datagram that opens.
    pub(crate) async fn recv_datagram(&self) -> Result<Bytes, End> {
        self.wait_for(|| {
            loop {
                let Some(sealed) = lock(&self.incoming).datagrams.pop_front() else {
                    return self.end().map(|end| Err(end.for_writer()));
                };
                self.count(sealed.capacity(), 0);
                if let Some(datagram) = lock(&self.datagrams).open(&sealed) {
                    return Some(Ok(datagram.into()));
                }
            }
        })
        .await
    }

    /// Waits until the peer's key is proven, and takes what has arrived for that: at most the largest message
    /// that is allowed.
    pub(crate) async fn proven(&self) -> Result<PublicKey, End> {
        self.wait_for(|| {
            if self.is_proven() {
                return Some(Ok(self.remote));
            }
            // Read before the bytes: what comes later notifies this task.
            let finished = lock(&self.incoming).finished;
            let end = self.end();
            match self.prove_with(lock(&self.opener), usize::MAX) {
                Proof::Proven => Some(Ok(self.remote)),
                Proof::Pending | Proof::Busy if end.is_none() && !finished => None,
                _ => Some(Err(match self.end() {
                    None | Some(End::Orderly | End::Left) => End::Unproven,
                    Some(end) => end,
                })),
            }
        })
        .await
    }

    /// Waits until the stream has left the relay that it began at.
    pub(crate) async fn moved(&self) -> Result<Path, End> {
        self.wait_for(|| {
            let moved = self.later.get().filter(|report| report.path.is_some());
            let moved = moved.map(|_| Ok(self.route().0));
            moved.or_else(|| self.end().map(|end| Err(end.for_writer())))
        })
        .await
    }

    /// Waits until anything has come from the peer on the stream.
    pub(crate) async fn heard(&self) -> Result<(), End> {
        self.wait_for(|| {
            let heard = self.heard.load(Ordering::Acquire).then_some(Ok(()));
            heard.or_else(|| self.end().map(|end| Err(end.for_writer())))
        })
        .await
    }

    /// Waits for the end.
    pub(crate) async fn ended(&self) -> End {
        self.wait_for(|| self.end()).await
    }

    async fn wait_for<T>(&self, condition: impl Fn() -> Option<T>) -> T {
        loop {
            let notified = self.changed.notified();
            tokio::pin!(notified);
            // From here on no change is missed.
            notified.as_mut().enable();
            if let Some(value) = condition() {
                return value;
            }
            notified.await;
        }
    }
}

/// The largest datagram: what the smallest packet size that the stream uses leaves.
pub(crate) const MAX_DATAGRAM: usize = 1128;

/// Returns how many bytes of a long write become one message, on a stream that sends so many per second: the
/// peer reads none of it before all has arrived.
fn cut(pace: u64) -> usize {
    let bytes = pace.saturating_mul(MESSAGE_TIME.as_millis() as u64) / 1000;
    usize::try_from(bytes).unwrap_or(usize::MAX).clamp(LEAST_CUT, MOST_CUT)
}

/// How long such a message takes on its path, and how long it is at least and at most: framing costs nothing,
/// and decrypting starts early.
const MESSAGE_TIME: Duration = Duration::from_millis(5);
const LEAST_CUT: usize = 4 * 1024;
const MOST_CUT: usize = 64 * 1024;

/// Encrypted bytes that may wait for the driver.
const OUTGOING_LIMIT: usize = 256 * 1024;

/// Datagrams that may wait for the driver; further ones are dropped.
const MAX_OUTGOING_DATAGRAMS: usize = 64;
