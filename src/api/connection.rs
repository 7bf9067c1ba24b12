//! An encrypted connection between two peers.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddrV4;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{ClaimedKey, ConnectionStats, Path, ProvenKey, Report, StreamError};
use crate::PublicKey;
use crate::net::{ConnectionHandle, End, MAX_DATAGRAM};
use crate::secret_stream::MAX_MESSAGE;

/// An encrypted, ordered and reliable byte stream to a peer, with unordered datagrams beside it.
///
/// Each write is one message on the wire and each message arrives whole; [`AsyncRead`] ignores the borders,
/// [`Self::read_message`] keeps them. Writes of more than 4 KiB are cut, into messages of at most 64 KiB that
/// take 5 ms on the path; [`Self::write_message`] never cuts.
///
/// Either side can end its direction with `shutdown` and go on reading. Dropping the connection ends it in
/// order: what was written still arrives, what comes is dropped. [`Self::abort`] and a panic reset it. [The
/// life of a connection](crate::api#the-life-of-a-connection) has the details.
///
/// Writing and reading are cancel safe. A write is ready once the bytes are queued, 256 KiB at most.
#[derive(Debug)]
pub struct Connection {
    read: ReadHalf,
    write: WriteHalf,
}

/// The reading half of a [`Connection`]. After it is dropped, what comes is dropped as well.
#[derive(Debug)]
pub struct ReadHalf {
    handle: Arc<ConnectionHandle>,
}

/// The writing half of a [`Connection`]. Dropping it ends this direction after what was written.
#[derive(Debug)]
pub struct WriteHalf {
    handle: Arc<ConnectionHandle>,
}

impl Drop for ReadHalf {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.handle.abandon();
        } else {
            self.handle.stop_reading();
        }
    }
}

impl Drop for WriteHalf {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.handle.abandon();
        } else {
            self.handle.finish();
        }
    }
}

impl Connection {
    pub(crate) fn new(handle: ConnectionHandle) -> Self {
        let handle = Arc::new(handle);
        Self { read: ReadHalf { handle: Arc::clone(&handle) }, write: WriteHalf { handle } }
    }

    /// Returns the key that the peer claims. On the dialling side it is proven, see
    /// [`Self::remote_public_key`].
    pub fn claimed_key(&self) -> ClaimedKey {
        ClaimedKey::new(*self.handle().remote())
    }

    /// Waits until the peer has proven that it owns its key, and returns the key. Ready at once on the
    /// dialling side.
    ///
    /// No task needs to read meanwhile: what arrives is kept. A client of this crate proves its key at once.
    /// One in JavaScript proves it by the first message that it sends, its keep-alive after 5 s included:
    /// nothing that it sends before is made with its key. One that waits for the server to speak and has its
    /// keep-alive off proves nothing until then. Where the protocol makes the server speak first, write
    /// before this is ready: only the owner of the key can read it.
    ///
    /// # Errors
    ///
    /// [`StreamError`] if the connection ends before.
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

    /// Returns the own key: that of the server on the accepting side, on the dialling side that of
    /// [`Connect::key_pair`](super::Connect::key_pair).
    pub fn own_key(&self) -> PublicKey {
        *self.handle().own_key()
    }

    /// Returns whether this side has dialled.
    pub fn is_initiator(&self) -> bool {
        self.handle().is_initiator()
    }

    /// Returns the hash of the handshake: the same on both sides, different for each connection.
    pub fn handshake_hash(&self) -> [u8; 64] {
        *self.handle().handshake_hash()
    }

    /// Returns the path that packets take now. A connection that began at a relay migrates to a direct path
    /// when one opens, within a minute if at all.
    pub fn path(&self) -> Path {
        self.handle().route().0
    }

    /// Returns the address that packets go to now.
    pub fn remote_addr(&self) -> SocketAddrV4 {
        self.handle().route().1
    }

    /// Waits until anything has come from the peer on this connection. Ready at once on the accepting side.
    ///
    /// The first data goes straight to a server that claims to be reachable without a holepunch, and only its
    /// answer validates the path.
    ///
    /// # Errors
    ///
    /// [`StreamError`] if the connection ends before, [`StreamError::Unreachable`] if the server did not
    /// answer there and no other path has opened.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn answered(&self) -> Result<(), StreamError> {
        Ok(self.handle().heard().await?)
    }

    /// Waits until a connection that began at a relay has migrated to a direct path, and returns that.
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

    /// Returns the report of the attempt: what was tried, what was seen and how long each stage took. It goes
    /// on until a migration from a relay to a direct path, or until the path has failed.
    pub fn report(&self) -> &Report {
        self.handle().report()
    }

    /// Returns what the connection measures at the moment: round trip, rate, losses, what has gone over it.
    /// After its end these are the last values, all zero or `None` if the node has ended by a bug (see
    /// [`Dht::closed`](super::Dht::closed)).
    ///
    /// The driver of the node answers, as soon as it has done what it is at: cheap, but not for each packet.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn stats(&self) -> ConnectionStats {
        ConnectionStats::of(self.handle()).await
    }

    /// Reads one message, or the rest of one that was read in part. `None` after the peer has ended its
    /// direction. A message has at most [`Limits::message`](super::Limits::message) bytes.
    ///
    /// Empty messages are skipped: they serve as keep-alives.
    ///
    /// # Errors
    ///
    /// [`StreamError`] if the connection ended abruptly, or the peer sent what does not decrypt or is too
    /// large.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no message is lost.
    pub async fn read_message(&mut self) -> Result<Option<Bytes>, StreamError> {
        self.read.read_message().await
    }

    /// Sends one message of at most [`Self::MAX_MESSAGE`] bytes. Returns once it is queued; up to 256 KiB
    /// wait.
    ///
    /// # Errors
    ///
    /// [`StreamError::TooLarge`] above that size, another [`StreamError`] if the connection has ended.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the message is sent whole or not at all.
    pub async fn write_message(&mut self, message: &[u8]) -> Result<(), StreamError> {
        self.write.write_message(message).await
    }

    /// Sends a datagram of at most [`Self::MAX_DATAGRAM`] bytes: encrypted, unordered, possibly lost or
    /// duplicated, not held back by the stream.
    ///
    /// An observer of the handshake can read and forge datagrams, unlike the stream
    /// (`secret-stream.md` §7). The datagram is dropped silently if 64 wait already.
    ///
    /// # Errors
    ///
    /// [`StreamError::TooLarge`] above [`Self::MAX_DATAGRAM`] bytes, another [`StreamError`] if the
    /// connection has ended.
    pub fn send_datagram(&self, datagram: &[u8]) -> Result<(), StreamError> {
        Ok(self.handle().send_datagram(datagram)?)
    }

    /// Waits for a datagram. At most [`Limits::datagrams`](super::Limits::datagrams) wait to be received.
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

    /// Waits until the connection is over in both directions. `Ok` if both sides ended it in order, or the
    /// peer is gone and nothing was lost.
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
            End::Orderly | End::Left => Ok(()),
            end => Err(end.into()),
        }
    }

    /// Resets the connection: what the peer has not acknowledged may be lost, and the peer gets
    /// [`StreamError::Reset`].
    pub fn abort(self) {
        self.handle().abandon();
    }

    /// Splits the connection so that two tasks can read and write.
    pub fn into_split(self) -> (ReadHalf, WriteHalf) {
        (self.read, self.write)
    }

    /// Returns a hold on the connection that stays when the user drops this one.
    #[cfg(feature = "swarm")]
    pub(crate) fn watch(&self) -> super::connection_watch::ConnectionWatch {
        super::connection_watch::ConnectionWatch::new(Arc::clone(&self.read.handle))
    }

    /// Returns the stream that carries the connection.
    pub(super) fn stream(&self) -> crate::udx::StreamId {
        self.handle().stream()
    }

    pub(crate) const fn read_half(&self) -> &ReadHalf {
        &self.read
    }

    pub(crate) const fn write_half(&self) -> &WriteHalf {
        &self.write
    }

    fn handle(&self) -> &ConnectionHandle {
        &self.read.handle
    }

    /// The largest datagram, in bytes.
    pub const MAX_DATAGRAM: usize = MAX_DATAGRAM;

    /// The largest message, in bytes.
    pub const MAX_MESSAGE: usize = MAX_MESSAGE;
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
        poll_fn(|cx| self.poll_read_message(cx)).await
    }

    pub(crate) fn poll_read_message(&self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, StreamError>> {
        self.handle.poll_read_message(cx).map_err(StreamError::from)
    }

    /// What comes from now on is dropped, as after a drop.
    #[cfg(feature = "mux")]
    pub(crate) fn stop(&self) {
        self.handle.stop_reading();
    }

    /// Returns what the connection measures, as [`Connection::stats`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn stats(&self) -> ConnectionStats {
        ConnectionStats::of(&self.handle).await
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
        poll_fn(|cx| self.poll_write_message(cx, message)).await
    }

    pub(crate) fn poll_write_message(
        &self,
        cx: &mut Context<'_>,
        message: &[u8],
    ) -> Poll<Result<(), StreamError>> {
        self.handle.poll_write_message(cx, message).map_err(StreamError::from)
    }

    /// Ends this direction; ready once the peer has acknowledged everything written and the end of it.
    pub(crate) fn poll_end(&self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        self.handle.poll_shutdown(cx).map_err(StreamError::from)
    }

    /// Resets the connection, as [`Self::abort`].
    #[cfg(feature = "mux")]
    pub(crate) fn reset(&self) {
        self.handle.abandon();
    }

    /// Returns what the connection measures, as [`Connection::stats`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn stats(&self) -> ConnectionStats {
        ConnectionStats::of(&self.handle).await
    }

    /// Resets the connection, as [`Connection::abort`]; the other half sees its end.
    pub fn abort(self) {
        self.handle.abandon();
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
        self.poll_end(cx).map_err(io::Error::from)
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

#[cfg(test)]
mod tests {
    use std::future::IntoFuture;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use crate::api::Testnet;
    use crate::{Dht, KeyPair};

    #[tokio::test]
    async fn nothing_that_is_printed_shows_content_or_secrets() {
        let network = Testnet::new(3).await.unwrap();
        let server = network.nodes()[1].listen(KeyPair::generate()).await.unwrap();
        let connect = || network.nodes()[2].connect(server.public_key()).into_future();
        let (client, accepted) = tokio::join!(connect(), server.accept());
        let (mut client, mut accepted) = (client.unwrap(), accepted.unwrap());
        client.write_all(b"a password=hunter2 and more").await.unwrap();
        // The rest of the message waits, decrypted.
        accepted.read_exact(&mut [0; 2]).await.unwrap();
        client.write_all(b"password=hunter3").await.unwrap();
        accepted.proven().await.unwrap();
        let hash = accepted.handshake_hash();
        let mut printed = format!("{client:?} {accepted:?} {client:#?} {accepted:#?}");
        let _waits = connect().await.unwrap();
        printed += &format!("{server:?} {:?} {:?}", network, network.nodes()[1]);
        let (read, write) = accepted.into_split();
        printed += &format!("{read:?} {write:?}");
        let seed = [0xab; 32];
        printed += &format!("{:?}", Dht::builder().seed(seed));
        // As text, as a list of numbers, in hexadecimal.
        for secret in [&b"hunter"[..], &hash[..8], &seed[..8]] {
            let list = format!("{secret:?}");
            let hex = data_encoding::HEXLOWER.encode(secret);
            let text = String::from_utf8_lossy(secret).into_owned();
            for form in [list.trim_matches(['[', ']']), &hex, &text] {
                assert!(!printed.contains(form), "{form} in {printed}");
            }
        }
        assert!(printed.contains("is_proven"), "{printed}");
    }
}
