//! An encrypted connection between two peers.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddrV4;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{ClaimedKey, Path, ProvenKey, Report, StreamError};
use crate::PublicKey;
use crate::net::{End, Handle, MAX_DATAGRAM};

/// An encrypted, ordered and reliable byte stream to a peer, with unordered datagrams beside it.
///
/// Each write is one message on the wire and each message arrives whole; [`AsyncRead`] ignores the borders,
/// [`Self::read_message`] keeps them. Either side can end its direction with `shutdown` and go on reading.
/// Dropping the connection tells the peer that it is over, whatever is under way.
#[derive(Debug)]
pub struct Connection {
    read: ReadHalf,
    write: WriteHalf,
}

/// The reading half of a [`Connection`].
#[derive(Debug)]
pub struct ReadHalf {
    handle: Arc<Handle>,
}

/// The writing half of a [`Connection`].
#[derive(Debug)]
pub struct WriteHalf {
    handle: Arc<Handle>,
}

impl Connection {
    pub(crate) fn new(handle: Handle) -> Self {
        let handle = Arc::new(handle);
        Self {
            read: ReadHalf {
                handle: Arc::clone(&handle),
            },
            write: WriteHalf { handle },
        }
    }

    /// Returns the key that the peer claims on the accepting side; on the dialling side the same as
    /// [`Self::remote_public_key`].
    pub fn claimed_key(&self) -> ClaimedKey {
        ClaimedKey::new(*self.handle().remote())
    }

    /// Waits until the peer has proven that it owns its key, and returns it. At once on the dialling side.
    ///
    /// Nobody has to read meanwhile: what arrives is kept.
    ///
    /// # Errors
    ///
    /// [`StreamError`] if the stream ends before.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn proven(&self) -> Result<ProvenKey, StreamError> {
        Ok(ProvenKey::new(self.handle().proven().await?))
    }

    /// Returns the peer's key if it is proven: always on the dialling side, on the accepting side once a
    /// frame has decrypted.
    pub fn remote_public_key(&self) -> Option<PublicKey> {
        let handle = self.handle();
        handle.is_proven().then(|| *handle.remote())
    }

    /// Returns the hash of the handshake: the same on both sides, different for each connection.
    pub fn handshake_hash(&self) -> [u8; 64] {
        *self.handle().handshake_hash()
    }

    /// Returns how packets travel now. A connection that began at a relay moves to a direct path when one
    /// opens, within a minute if at all.
    pub fn path(&self) -> Path {
        self.handle().route().0
    }

    /// Returns the address that packets go to now.
    pub fn remote_addr(&self) -> SocketAddrV4 {
        self.handle().route().1
    }

    /// Waits until the peer has said something on this connection; at once on the accepting side.
    ///
    /// A server that says to be reachable by anybody gets our first data right there, and only its answer
    /// shows that it is.
    ///
    /// # Errors
    ///
    /// [`StreamError`] if the connection ends before, [`StreamError::Unreachable`] if the server was not
    /// there and no other way to it has opened.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn answered(&self) -> Result<(), StreamError> {
        Ok(self.handle().heard().await?)
    }

    /// Waits until a connection that began at a relay has moved to a direct path, and returns which.
    ///
    /// # Errors
    ///
    /// [`StreamError`] if the connection ends before.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn moved(&self) -> Result<Path, StreamError> {
        Ok(self.handle().moved().await?)
    }

    /// Returns what was tried and seen until the connection had come about, with how long each stage took;
    /// until it had moved to another path, or turned out to have none, if it has.
    pub fn report(&self) -> &Report {
        self.handle().report()
    }

    /// Reads one message, or the rest of one that was read in part. `None` after the peer has ended its
    /// direction.
    ///
    /// Empty messages do not arrive: they serve as keep-alives.
    ///
    /// # Errors
    ///
    /// [`StreamError`] if the connection ended abruptly or the peer sent nonsense.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no message is lost.
    pub async fn read_message(&mut self) -> Result<Option<Bytes>, StreamError> {
        self.read.read_message().await
    }

    /// Sends one message. Returns once the connection has taken all of it; the peer may be a window behind.
    ///
    /// # Errors
    ///
    /// [`StreamError::TooLarge`] above 16,777,198 bytes, otherwise as for writing.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the message is sent whole or not at all.
    pub async fn write_message(&mut self, message: &[u8]) -> Result<(), StreamError> {
        self.write.write_message(message).await
    }

    /// Sends a datagram: encrypted, unordered, possibly lost or doubled, not held back by the stream.
    ///
    /// Whoever observed the handshake can read and forge datagrams, unlike the stream. Dropped silently when
    /// many wait already.
    ///
    /// # Errors
    ///
    /// [`StreamError::TooLarge`] above [`Self::MAX_DATAGRAM`] bytes, or that the connection has ended.
    pub fn send_datagram(&self, datagram: &[u8]) -> Result<(), StreamError> {
        Ok(self.handle().send_datagram(datagram)?)
    }

    /// Waits for a datagram.
    ///
    /// # Errors
    ///
    /// [`StreamError`] once the connection has ended.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no datagram is lost.
    pub async fn recv_datagram(&self) -> Result<Bytes, StreamError> {
        Ok(self.handle().recv_datagram().await?)
    }

    /// Waits until the connection is over in both directions. `Ok` if both sides ended it in order.
    ///
    /// # Errors
    ///
    /// [`StreamError`] if it ended abruptly.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn closed(&self) -> Result<(), StreamError> {
        match self.handle().ended().await {
            End::Orderly => Ok(()),
            end => Err(end.into()),
        }
    }

    /// Splits the connection so that two tasks can read and write. It ends when both halves are dropped.
    pub fn into_split(self) -> (ReadHalf, WriteHalf) {
        (self.read, self.write)
    }

    /// Returns the stream that carries the connection.
    pub(super) fn stream(&self) -> crate::udx::StreamId {
        self.handle().stream()
    }

    fn handle(&self) -> &Handle {
        &self.read.handle
    }

    /// The largest datagram, in bytes.
    pub const MAX_DATAGRAM: usize = MAX_DATAGRAM;
}

impl ReadHalf {
    /// Reads one message, as [`Connection::read_message`].
    ///
    /// # Errors
    ///
    /// As [`Connection::read_message`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no message is lost.
    pub async fn read_message(&mut self) -> Result<Option<Bytes>, StreamError> {
        Ok(poll_fn(|cx| self.handle.poll_read_message(cx)).await?)
    }
}

impl WriteHalf {
    /// Sends one message, as [`Connection::write_message`].
    ///
    /// # Errors
    ///
    /// As [`Connection::write_message`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the message is sent whole or not at all.
    pub async fn write_message(&mut self, message: &[u8]) -> Result<(), StreamError> {
        Ok(poll_fn(|cx| self.handle.poll_write_message(cx, message)).await?)
    }
}

impl AsyncRead for ReadHalf {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.handle.poll_read(cx, buf).map_err(to_io)
    }
}

impl AsyncWrite for WriteHalf {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.handle.poll_write(cx, buf).map_err(to_io)
    }

    /// Ready at once: what is written is with the driver already.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Ready once the peer has acknowledged everything written and the end of it.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.handle.poll_shutdown(cx).map_err(to_io)
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.read).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.write).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.write).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.write).poll_shutdown(cx)
    }
}

fn to_io(end: End) -> io::Error {
    StreamError::from(end).into()
}
