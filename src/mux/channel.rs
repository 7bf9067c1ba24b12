//! A channel.

use std::future::poll_fn;
use std::sync::{Arc, Weak};

use bytes::Bytes;

use super::core::ChannelId;
use super::error::MuxError;
use super::frame;
use super::handle::{Handle, Shared};
use super::message::Message;

/// A channel of a [`Mux`](super::Mux): messages of a protocol, in order, in both directions.
///
/// From [`Mux::open`](super::Mux::open) or [`Incoming::accept`](super::Incoming::accept). A message has a
/// type, which is a number, and a content. Messages of one channel keep their order; channels take turns to
/// send.
///
/// Dropping the channel closes it: what was sent before still arrives, what comes is dropped.
#[derive(Debug)]
pub struct Channel {
    handle: Arc<Handle>,
    id: ChannelId,
}

/// Sends on a [`Channel`], from any task; from [`Channel::sender`]. It keeps neither the channel nor the
/// connection open.
#[derive(Clone, Debug)]
pub struct Sender {
    shared: Weak<Shared>,
    id: ChannelId,
}

/// Messages that go as one message of the connection, from [`Channel::batch`]: what is sent between `cork`
/// and `uncork` in JavaScript.
///
/// A peer in JavaScript hands a batch to its functions at once. It sends nothing before those that return a
/// promise are done, so a batch must not hold a message whose answer has to wait for another answer.
#[derive(Debug)]
#[must_use = "nothing is sent before `send` is awaited"]
pub struct Batch {
    sender: Sender,
    messages: frame::Batch,
}

impl Channel {
    pub(super) const fn new(handle: Arc<Handle>, id: ChannelId) -> Self {
        Self { handle, id }
    }

    /// Waits until the peer has opened its side, and returns the handshake that it has sent with that; empty
    /// if there is none. Messages can be sent before.
    ///
    /// # Errors
    ///
    /// [`MuxError::Rejected`] if the peer has nothing that speaks the protocol, another [`MuxError`] if the
    /// channel or the connection has ended.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn opened(&mut self) -> Result<Bytes, MuxError> {
        poll_fn(|cx| self.handle.shared.core().poll_opened(self.id, cx.waker())).await
    }

    /// Sends a message. Returns once it is in line; at most 64 KiB of a channel are, and a message more.
    ///
    /// # Errors
    ///
    /// [`MuxError::TooLarge`] above [`Connection::MAX_MESSAGE`](crate::Connection::MAX_MESSAGE) less some
    /// bytes, another [`MuxError`] if the channel or the connection has ended.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the message is sent whole or not at all.
    pub async fn send(&self, kind: u64, content: &[u8]) -> Result<(), MuxError> {
        send(&self.handle.shared, self.id, kind, content).await
    }

    /// Receives a message; `None` once the peer has closed the channel, or ended the connection in order, and
    /// all that came before has been received.
    ///
    /// Nothing is received on any channel while the messages that wait in all channels of the connection take
    /// more than 1 MiB: read each channel, or drop it.
    ///
    /// # Errors
    ///
    /// [`MuxError`] if the peer has rejected the channel, or the connection has failed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no message is lost.
    pub async fn recv(&mut self) -> Result<Option<Message>, MuxError> {
        poll_fn(|cx| self.handle.shared.core().poll_recv(self.id, cx.waker())).await
    }

    /// Returns what sends on this channel from another task.
    pub fn sender(&self) -> Sender {
        Sender { shared: Arc::downgrade(&self.handle.shared), id: self.id }
    }

    /// Begins a batch.
    pub fn batch(&self) -> Batch {
        self.sender().batch()
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.handle.shared.core().close(self.id);
    }
}

impl Sender {
    /// Sends a message, as [`Channel::send`].
    ///
    /// # Errors
    ///
    /// As [`Channel::send`], and [`MuxError::Closed`] once the channel has been dropped.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the message is sent whole or not at all.
    pub async fn send(&self, kind: u64, content: &[u8]) -> Result<(), MuxError> {
        send(&*self.shared()?, self.id, kind, content).await
    }

    /// Begins a batch.
    pub fn batch(&self) -> Batch {
        Batch { sender: self.clone(), messages: frame::Batch::default() }
    }

    fn shared(&self) -> Result<Arc<Shared>, MuxError> {
        self.shared.upgrade().ok_or(MuxError::Closed)
    }
}

impl Batch {
    /// Adds a message.
    pub fn push(&mut self, kind: u64, content: &[u8]) {
        self.messages.push(kind, content);
    }

    /// Sends the messages; nothing if there are none.
    ///
    /// # Errors
    ///
    /// As [`Channel::send`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: all of them are sent, or none.
    pub async fn send(self) -> Result<(), MuxError> {
        if self.messages.is_empty() {
            return Ok(());
        }
        let (shared, id) = (self.sender.shared()?, self.sender.id);
        poll_fn(|cx| shared.core().poll_send_batch(id, &self.messages, cx.waker())).await
    }
}

async fn send(shared: &Shared, id: ChannelId, kind: u64, content: &[u8]) -> Result<(), MuxError> {
    poll_fn(|cx| shared.core().poll_send(id, kind, content, cx.waker())).await
}
