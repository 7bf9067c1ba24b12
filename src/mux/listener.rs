//! Channels that the peer opens first.

use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;

use super::channel::Channel;
use super::core::{ChannelId, ListenerId, OfferId, Opening};
use super::error::MuxError;
use super::handle::Handle;

/// Takes channels of a protocol that the peer opens; from [`Mux::listen`](super::Mux::listen). In JavaScript
/// `pair`.
///
/// Dropping it rejects those that nobody has accepted, and those that come.
#[derive(Debug)]
pub struct Listener {
    handle: Arc<Handle>,
    id: ListenerId,
}

/// A channel that the peer has opened. Dropping it rejects the channel.
#[derive(Debug)]
pub struct Incoming {
    handle: Arc<Handle>,
    offer: OfferId,
    protocol: String,
    id: Bytes,
    handshake: Bytes,
}

impl Listener {
    pub(super) const fn new(handle: Arc<Handle>, id: ListenerId) -> Self {
        Self { handle, id }
    }

    /// Waits for the peer to open a channel; `None` once the connection has ended and all that were opened
    /// before have been returned. Of channels with the same protocol and id the next one comes once the last
    /// one has been accepted or rejected.
    ///
    /// One that the peer has closed meanwhile comes all the same: once accepted, it holds what was sent.
    ///
    /// Nothing is received on any channel while those that nobody has accepted or rejected take more than
    /// 32 KiB, their messages included, at 512 bytes for each in addition.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no channel is lost.
    pub async fn accept(&mut self) -> Option<Incoming> {
        // At once: `Mux::open` may take it at any time, and that is not the end of the connection.
        let accepted = poll_fn(|cx| {
            let mut core = self.handle.shared.core();
            core.poll_accept(self.id, cx.waker()).map(|offer| {
                let offer = offer?;
                let (protocol, id, handshake) = core.offered(offer)?;
                Some((offer, protocol.to_owned(), id.clone(), handshake.clone()))
            })
        });
        let (offer, protocol, id, handshake) = accepted.await?;
        Some(Incoming { handle: Arc::clone(&self.handle), offer, protocol, id, handshake })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.handle.shared.core().unlisten(self.id);
    }
}

impl Incoming {
    /// Returns the name of the protocol.
    pub fn protocol(&self) -> &str {
        &self.protocol
    }

    /// Returns the id of the channel; empty for none.
    pub const fn id(&self) -> &Bytes {
        &self.id
    }

    /// Returns what the peer has sent with the opening; empty for nothing.
    pub const fn handshake(&self) -> &Bytes {
        &self.handshake
    }

    /// Opens this side, with a handshake for the peer.
    ///
    /// # Errors
    ///
    /// [`MuxError::Closed`] if [`Mux::open`](super::Mux::open) has taken the channel, [`MuxError::TooMany`]
    /// if this side has as many channels as it may, another [`MuxError`] if the connection has failed.
    pub fn accept(self, handshake: &[u8]) -> Result<Channel, MuxError> {
        let id = self.open(handshake, false)?;
        Ok(Channel::new(Arc::clone(&self.handle), id))
    }

    /// Refuses the channel; the peer gets [`MuxError::Rejected`].
    pub fn reject(self) {}

    pub(super) fn open(&self, handshake: &[u8], is_stream: bool) -> Result<ChannelId, MuxError> {
        let opening = Opening {
            protocol: self.protocol.clone(),
            id: self.id.clone(),
            handshake: Bytes::copy_from_slice(handshake),
            is_stream,
            ..Opening::default()
        };
        self.handle.shared.core().accept(self.offer, &opening)
    }

    pub(super) fn into_handle(self) -> Arc<Handle> {
        Arc::clone(&self.handle)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // Nothing, once it has been accepted.
        self.handle.shared.core().reject(self.offer);
    }
}
