//! What the parts of a mux share, and the two tasks that read from its connection and write to it.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use tokio::task::yield_now;
use tokio_util::sync::CancellationToken;

use super::core::Core;
use super::error::MuxError;
use crate::api::{Connection, StreamError};

/// The state machine and the connection. The tasks hold it, so that what waits is sent after all else is
/// gone.
#[derive(Debug)]
pub(super) struct Shared {
    core: Mutex<Core>,
    pub(super) connection: Connection,
    /// The reading task has ended, as it does when the mux does.
    pub(super) ended: CancellationToken,
}

/// Keeps the mux: with the last one it ends.
#[derive(Debug)]
pub(super) struct Handle {
    pub(super) shared: Arc<Shared>,
}

impl Shared {
    pub(super) fn core(&self) -> MutexGuard<'_, Core> {
        // Nothing in the state machine is left half done by a panic of a caller's waker.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handle {
    pub(super) fn spawn(connection: Connection) -> Arc<Self> {
        let shared = Arc::new(Shared { core: Mutex::default(), connection, ended: CancellationToken::new() });
        tokio::spawn(read(Arc::clone(&shared)));
        tokio::spawn(write(Arc::clone(&shared)));
        Arc::new(Self { shared })
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.shared.connection.write_half().reset();
        }
        self.shared.core().abandon();
    }
}

/// Reads while there is room for what comes.
async fn read(shared: Arc<Shared>) {
    let half = shared.connection.read_half();
    // Also when the runtime ends.
    let _ended = shared.ended.clone().drop_guard();
    while poll_fn(|cx| shared.core().poll_read(cx.waker())).await {
        let received = poll_fn(|cx| {
            if shared.core().poll_stopped(cx.waker()).is_ready() {
                return Poll::Ready(None);
            }
            half.poll_read_message(cx).map(Some)
        });
        match received.await {
            Some(Ok(Some(message))) => shared.core().receive(message),
            Some(Ok(None)) => shared.core().finish(),
            // The application has reset the connection itself.
            Some(Err(StreamError::Closed)) => shared.core().fail(MuxError::Closed),
            Some(Err(error)) => shared.core().fail(MuxError::Connection(error)),
            None => break,
        }
    }
    let ended = shared.core().ended();
    if let Some(MuxError::Protocol(_)) = ended {
        shared.connection.write_half().reset();
    }
    half.stop();
}

/// Writes what is in line, one frame or batch as one message. Ends the own direction after the peer has ended
/// its.
async fn write(shared: Arc<Shared>) {
    let half = shared.connection.write_half();
    loop {
        if shared.core().is_idle() {
            poll_fn(|cx| shared.core().poll_sendable(cx.waker())).await;
            // Tasks that are about to send as well get their turn before: then few packets carry it all.
            yield_now().await;
        }
        let Some(frame) = poll_fn(|cx| shared.core().poll_transmit(cx.waker())).await else {
            break;
        };
        if let Err(error) = poll_fn(|cx| half.poll_write_message(cx, &frame)).await {
            let reason = match error {
                StreamError::Closed => MuxError::Closed,
                error => MuxError::Connection(error),
            };
            shared.core().fail(reason);
            return;
        }
    }
    if shared.core().ended().is_some() {
        // The channels know the end already; `Connection::closed` returns how the connection ends.
        let _ = poll_fn(|cx| half.poll_end(cx)).await;
    }
}
