//! A connection as a stream and a sink of messages.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use futures_sink::Sink;

use super::{Connection, ReadHalf, StreamError, WriteHalf};

/// The messages of a connection, for code that works with streams and sinks: a [`Connection`] is both, a
/// [`ReadHalf`] a [`Stream`], a [`WriteHalf`] a [`Sink`]. From their `into_messages`.
///
/// The stream yields what [`Connection::read_message`] returns: messages whole, empty ones left out. An error
/// is its last item.
///
/// The sink takes a message at a time. It is ready for the next, and flushed, once the message is queued, as
/// with [`Connection::write_message`]; it is closed once the peer has acknowledged all of them. A message
/// that was given to it and not flushed is lost when it is dropped.
///
/// # Panics
///
/// `start_send` panics if `poll_ready` has not been ready since the last message.
pub struct Messages<T = Connection> {
    inner: T,
    /// A message that the connection has not taken yet.
    waiting: Option<Bytes>,
    /// Whether the stream has yielded its last item.
    ended: bool,
}

impl Connection {
    /// Makes a stream and a sink of messages of the connection.
    pub fn into_messages(self) -> Messages {
        Messages::new(self)
    }
}

impl ReadHalf {
    /// Makes a stream of messages of this half.
    pub fn into_messages(self) -> Messages<Self> {
        Messages::new(self)
    }
}

impl WriteHalf {
    /// Makes a sink of messages of this half.
    pub fn into_messages(self) -> Messages<Self> {
        Messages::new(self)
    }
}

impl<T> Messages<T> {
    const fn new(inner: T) -> Self {
        Self { inner, waiting: None, ended: false }
    }

    /// Returns the connection, or the half of one.
    pub const fn get_ref(&self) -> &T {
        &self.inner
    }

    /// Returns the connection, or the half of one. A message that was not flushed is lost.
    pub fn into_inner(self) -> T {
        self.inner
    }

    fn poll_message(
        &mut self,
        cx: &mut Context<'_>,
        half: fn(&T) -> &ReadHalf,
    ) -> Poll<Option<Result<Bytes, StreamError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let message = ready!(half(&self.inner).poll_read_message(cx)).transpose();
        self.ended = !matches!(message, Some(Ok(_)));
        Poll::Ready(message)
    }

    fn put(&mut self, message: Bytes) {
        assert!(self.waiting.is_none(), "poll_ready comes before start_send");
        self.waiting = Some(message);
    }

    /// Queues the message that waits.
    fn poll_queued(
        &mut self,
        cx: &mut Context<'_>,
        half: fn(&T) -> &WriteHalf,
    ) -> Poll<Result<(), StreamError>> {
        let Some(message) = &self.waiting else {
            return Poll::Ready(Ok(()));
        };
        let queued = ready!(half(&self.inner).poll_write_message(cx, message));
        self.waiting = None;
        Poll::Ready(queued)
    }

    fn poll_end(
        &mut self,
        cx: &mut Context<'_>,
        half: fn(&T) -> &WriteHalf,
    ) -> Poll<Result<(), StreamError>> {
        ready!(self.poll_queued(cx, half))?;
        half(&self.inner).poll_end(cx)
    }
}

impl Stream for Messages<Connection> {
    type Item = Result<Bytes, StreamError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_message(cx, Connection::read_half)
    }
}

impl Stream for Messages<ReadHalf> {
    type Item = Result<Bytes, StreamError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_message(cx, |half| half)
    }
}

impl Sink<Bytes> for Messages<Connection> {
    type Error = StreamError;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        self.poll_flush(cx)
    }

    fn start_send(self: Pin<&mut Self>, message: Bytes) -> Result<(), StreamError> {
        self.get_mut().put(message);
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        self.get_mut().poll_queued(cx, Connection::write_half)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        self.get_mut().poll_end(cx, Connection::write_half)
    }
}

impl Sink<Bytes> for Messages<WriteHalf> {
    type Error = StreamError;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        self.poll_flush(cx)
    }

    fn start_send(self: Pin<&mut Self>, message: Bytes) -> Result<(), StreamError> {
        self.get_mut().put(message);
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        self.get_mut().poll_queued(cx, |half| half)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        self.get_mut().poll_end(cx, |half| half)
    }
}

/// Without the message that waits.
impl<T: fmt::Debug> fmt::Debug for Messages<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Messages").field("inner", &self.inner).finish_non_exhaustive()
    }
}
