//! Byte streams over channels, each with a window of its own.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::core::{ChannelId, data};
use super::error::MuxError;
use super::handle::{Handle, Shared};
use super::listener::Listener;

/// A stream of bytes in each direction, one of many over a connection; from
/// [`Mux::open_stream`](super::Mux::open_stream) or [`StreamListener::accept`].
///
/// A protocol of this crate on a channel: both peers are of this crate. The writer of a stream waits when its
/// reader does not read, after 64 KiB to 8 MiB, and other streams go on: this is what a
/// [`Channel`](super::Channel) cannot do. Bytes can be written at once; the peer may not have accepted the
/// stream yet.
///
/// `shutdown` ends the own direction, and the peer reads to the end. Dropping a stream whose directions have
/// not both ended resets it: the peer gets [`io::ErrorKind::ConnectionReset`].
pub struct ByteStream {
    handle: Arc<Handle>,
    id: ChannelId,
    /// What has come and is being read.
    data: Bytes,
    /// How long it was.
    length: Option<usize>,
}

/// Takes streams that the peer opens; from [`Mux::listen_streams`](super::Mux::listen_streams). Dropping it
/// refuses those that come.
#[derive(Debug)]
pub struct StreamListener {
    listener: Listener,
}

impl ByteStream {
    pub(super) const fn new(handle: Arc<Handle>, id: ChannelId) -> Self {
        Self { handle, id, data: Bytes::new(), length: None }
    }

    /// Returns what to forward it with, before anything has been read.
    pub(super) fn parts(&self) -> (&Shared, ChannelId) {
        (&self.handle.shared, self.id)
    }
}

impl StreamListener {
    pub(super) const fn new(listener: Listener) -> Self {
        Self { listener }
    }

    /// Waits for the peer to open a stream; `None` once the connection has ended. Accept in a loop: see
    /// [`Listener::accept`] for what waits meanwhile.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no stream is lost.
    pub async fn accept(&mut self) -> Option<ByteStream> {
        loop {
            let incoming = self.listener.accept().await?;
            // One that has ended meanwhile, or that there is no room for, concerns nobody else.
            if let Ok(id) = incoming.open(&[], true) {
                return Some(ByteStream::new(incoming.into_handle(), id));
            }
        }
    }
}

impl AsyncRead for ByteStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        while stream.data.is_empty() {
            let next = stream.handle.shared.core().poll_data(stream.id, stream.length.take(), cx.waker());
            let Some(data) = ready!(next).map_err(reset)? else {
                return Poll::Ready(Ok(()));
            };
            stream.length = Some(data.len());
            stream.data = data;
        }
        let length = stream.data.len().min(buf.remaining());
        buf.put_slice(&stream.data.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ByteStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let room = self.handle.shared.core().poll_room(self.id, buf.len(), cx.waker());
        let (number, length) = ready!(room)?;
        let frame = data(number, &buf[..length]);
        self.handle.shared.core().put_data(self.id, length, frame)?;
        Poll::Ready(Ok(length))
    }

    /// Ready at once: what is written is sent without it.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Ends the own direction after what has been written. Ready at once.
    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.handle.shared.core().finish_stream(self.id).map_err(io::Error::from))
    }
}

impl Drop for ByteStream {
    fn drop(&mut self) {
        self.handle.shared.core().close(self.id);
    }
}

impl fmt::Debug for ByteStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteStream").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A stream that has not ended and whose channel is closed has been reset.
fn reset(error: MuxError) -> io::Error {
    match error {
        MuxError::Closed => io::Error::new(io::ErrorKind::ConnectionReset, "the peer reset the stream"),
        error => error.into(),
    }
}
