//! A connection that carries many channels.

use std::sync::Arc;

use bytes::Bytes;

use super::core::Opening;
use super::error::MuxError;
use super::handle::Handle;
use super::listener::Listener;
use super::open::Open;
use super::stream::{ByteStream, StreamListener};
use crate::api::Connection;

/// Carries many channels over one connection, as npm `protomux` does.
///
/// A clone is another handle of the same mux. Nothing is read from the connection before the first channel,
/// listener or stream is awaited for something that the peer sends, or [`Self::closed`] is: what is opened,
/// or listened for, before that does not miss what the peer opens first, however early that comes. After it,
/// a channel that the peer opens and nothing here has opened or listens for is rejected.
///
/// Once the mux, its channels, listeners and streams have all been dropped, what was sent still arrives, and
/// the connection ends as one that is [dropped](crate::api#the-life-of-a-connection).
#[derive(Clone, Debug)]
pub struct Mux {
    handle: Arc<Handle>,
}

impl Mux {
    /// Takes a connection, whose messages are all of the mux from now on.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime.
    pub fn new(connection: Connection) -> Self {
        Self { handle: Handle::spawn(connection) }
    }

    /// Returns the connection, for what it knows of its peer, its path and its state. Its datagrams are free
    /// for the application.
    pub fn connection(&self) -> &Connection {
        &self.handle.shared.connection
    }

    /// Begins to open a channel; `id` distinguishes channels of one protocol, and is empty for none.
    ///
    /// The channel exists once the peer has opened one with the same protocol and id. Several may have the
    /// same: the first of one side belongs to the first of the other. (In JavaScript only with `unique:
    /// false`.)
    pub fn open(&self, protocol: &str, id: &[u8]) -> Open {
        let id = Bytes::copy_from_slice(id);
        let opening = Opening { protocol: protocol.to_owned(), id, ..Opening::default() };
        Open::new(Arc::clone(&self.handle), opening)
    }

    /// Takes channels of a protocol that the peer opens first, whatever their id, but those that
    /// [`Self::listen_for`] takes.
    ///
    /// # Errors
    ///
    /// [`MuxError::Listening`] if there is such a listener, another [`MuxError`] if the connection has ended.
    pub fn listen(&self, protocol: &str) -> Result<Listener, MuxError> {
        self.listener(protocol, None)
    }

    /// Takes channels of a protocol with one id that the peer opens first.
    ///
    /// # Errors
    ///
    /// As [`Self::listen`].
    pub fn listen_for(&self, protocol: &str, id: &[u8]) -> Result<Listener, MuxError> {
        self.listener(protocol, Some(Bytes::copy_from_slice(id)))
    }

    /// Opens a byte stream to a peer of this crate, which takes it by [`Self::listen_streams`] with the same
    /// name. It can be written to at once. If the peer has nothing of this name, reading fails with
    /// [`ConnectionRefused`](std::io::ErrorKind::ConnectionRefused).
    ///
    /// # Errors
    ///
    /// [`MuxError::TooMany`] if this side has as many channels as it may, another [`MuxError`] if the
    /// connection has ended.
    pub fn open_stream(&self, name: &str) -> Result<ByteStream, MuxError> {
        let id = Bytes::copy_from_slice(name.as_bytes());
        let opening = Opening { protocol: STREAM.to_owned(), id, is_stream: true, ..Opening::default() };
        let id = self.handle.shared.core().open(&opening)?;
        Ok(ByteStream::new(Arc::clone(&self.handle), id))
    }

    /// Takes byte streams of a name that the peer opens.
    ///
    /// # Errors
    ///
    /// As [`Self::listen`].
    pub fn listen_streams(&self, name: &str) -> Result<StreamListener, MuxError> {
        self.listen_for(STREAM, name.as_bytes()).map(StreamListener::new)
    }

    /// Waits until the connection has ended in order, by the peer or by [`Self::abort`] here.
    ///
    /// # Errors
    ///
    /// [`MuxError`] if the connection has failed, or was reset because the peer broke the protocol.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn closed(&self) -> Result<(), MuxError> {
        let shared = &self.handle.shared;
        shared.core().start();
        shared.ended.cancelled().await;
        let reason = shared.core().ended();
        match reason {
            Some(MuxError::Closed) | None => Ok(()),
            Some(reason) => Err(reason),
        }
    }

    /// Resets the connection and ends all channels, as [`Connection::abort`].
    pub fn abort(&self) {
        self.connection().write_half().reset();
        self.handle.shared.core().fail(MuxError::Closed);
    }

    fn listener(&self, protocol: &str, id: Option<Bytes>) -> Result<Listener, MuxError> {
        let id = self.handle.shared.core().listen((protocol.to_owned(), id))?;
        Ok(Listener::new(Arc::clone(&self.handle), id))
    }
}

/// The protocol of channels that carry byte streams.
const STREAM: &str = "hyperprofile/stream";
