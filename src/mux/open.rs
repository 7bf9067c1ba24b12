//! The builder of a channel.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

use super::channel::Channel;
use super::core::Opening;
use super::error::MuxError;
use super::handle::Handle;

/// Opens a channel once awaited, and waits until the peer has opened its side; from
/// [`Mux::open`](super::Mux::open).
///
/// # Errors
///
/// [`MuxError::Rejected`] if the peer has nothing that speaks the protocol, [`MuxError::TooMany`] if this
/// side has as many channels as it may, another [`MuxError`] if the connection has ended.
///
/// # Cancel safety
///
/// Dropping it, or the future made from it, closes the channel.
#[derive(Debug)]
#[must_use = "nothing happens until this is awaited, or begun"]
pub struct Open {
    handle: Arc<Handle>,
    opening: Opening,
}

impl Open {
    pub(super) const fn new(handle: Arc<Handle>, opening: Opening) -> Self {
        Self { handle, opening }
    }

    /// Sets the handshake: bytes that the peer gets with the opening, in the encoding of the protocol.
    pub fn handshake(mut self, handshake: impl Into<Bytes>) -> Self {
        self.opening.handshake = handshake.into();
        self
    }

    /// Adds another name of the protocol by which the peer may open its side: an older one, as a rule. This
    /// side is opened by the first name.
    pub fn alias(mut self, protocol: &str) -> Self {
        self.opening.aliases.push(protocol.to_owned());
        self
    }

    /// Opens the channel and returns without waiting for the peer: messages can be sent at once. The peer
    /// keeps them until it has opened its side, or drops them with the channel if it rejects that.
    ///
    /// # Errors
    ///
    /// As awaiting it, without [`MuxError::Rejected`].
    pub fn begin(self) -> Result<Channel, MuxError> {
        let id = self.handle.shared.core().open(&self.opening)?;
        Ok(Channel::new(self.handle, id))
    }
}

impl IntoFuture for Open {
    type Output = Result<Channel, MuxError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let mut channel = self.begin()?;
            channel.opened().await?;
            Ok(channel)
        })
    }
}
