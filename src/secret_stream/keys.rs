//! The result of a handshake: the keys of both directions and the ids of both streams (`secret-stream.md` §1
//! and §2).

use std::fmt;
use std::sync::{Arc, LazyLock};

use zeroize::Zeroize;

use super::cipher::MAC_LEN;
use crate::wire::hash;

/// Length of the first frame of each direction.
pub const HEADER_FRAME_LEN: usize = STREAM_PREFIX_LEN + HEADER_LEN;

/// Length of what the first frame begins with and its receiver knows in advance.
pub const STREAM_PREFIX_LEN: usize = LENGTH_LEN + 32;

/// By how much a frame is longer than its message: length, tag and MAC.
pub const MESSAGE_OVERHEAD: usize = LENGTH_LEN + CONTENT_OVERHEAD;

/// Length of the longest message: what the three bytes of a frame's length leave room for.
pub const MAX_MESSAGE: usize = (1 << 24) - 1 - CONTENT_OVERHEAD;

/// Length of a frame's length.
pub(super) const LENGTH_LEN: usize = 3;

/// Length of a cipher's random header.
pub(super) const HEADER_LEN: usize = 24;

/// The part of [`MESSAGE_OVERHEAD`] that a frame's length counts: tag and MAC.
pub(super) const CONTENT_OVERHEAD: usize = 1 + MAC_LEN;

static NS_INITIATOR: LazyLock<[u8; 32]> = LazyLock::new(|| namespace(0));
static NS_RESPONDER: LazyLock<[u8; 32]> = LazyLock::new(|| namespace(1));
static NS_SEND: LazyLock<[u8; 32]> = LazyLock::new(|| namespace(2));

/// The secrets of one connection, never printed. Clones share one copy of them, which is wiped from memory
/// with the last one.
#[derive(Clone)]
pub struct Keys {
    secrets: Arc<Secrets>,
    is_initiator: bool,
}

struct Secrets {
    tx: [u8; 32],
    rx: [u8; 32],
    handshake_hash: [u8; 64],
}

impl Keys {
    /// Takes the result of a handshake: the keys of the sending and of the receiving direction, the handshake
    /// hash, and whether this side has dialled.
    pub fn new(tx: &[u8; 32], rx: &[u8; 32], handshake_hash: &[u8; 64], is_initiator: bool) -> Self {
        // Filled where they stay: a value that moves leaves copies behind.
        let mut secrets = Arc::new(Secrets { tx: [0; 32], rx: [0; 32], handshake_hash: [0; 64] });
        let place = Arc::get_mut(&mut secrets).expect("nobody else has the new value");
        place.tx.copy_from_slice(tx);
        place.rx.copy_from_slice(rx);
        place.handshake_hash.copy_from_slice(handshake_hash);
        Self { secrets, is_initiator }
    }

    /// Returns the id that the own stream begins with.
    pub fn stream_id(&self) -> [u8; 32] {
        self.derive(&[role(self.is_initiator)])
    }

    /// Returns the id that the peer's stream must begin with.
    pub fn remote_stream_id(&self) -> [u8; 32] {
        self.derive(&[role(!self.is_initiator)])
    }

    /// Returns the first bytes that the peer must send: the length of the header frame and its stream id.
    ///
    /// They follow from the handshake hash, so they distinguish the peer's packets from a stranger's.
    pub fn remote_prefix(&self) -> [u8; STREAM_PREFIX_LEN] {
        prefix(&self.remote_stream_id())
    }

    /// Returns the hash over the whole handshake: equal on both sides, different in each session.
    pub fn handshake_hash(&self) -> &[u8; 64] {
        &self.secrets.handshake_hash
    }

    /// Returns whether this side has dialled.
    pub const fn is_initiator(&self) -> bool {
        self.is_initiator
    }

    /// Returns the keys of the sending and of the receiving direction.
    #[cfg(test)]
    pub(crate) fn directions(&self) -> ([u8; 32], [u8; 32]) {
        (self.secrets.tx, self.secrets.rx)
    }

    pub(super) fn tx(&self) -> &[u8; 32] {
        &self.secrets.tx
    }

    pub(super) fn rx(&self) -> &[u8; 32] {
        &self.secrets.rx
    }

    pub(super) fn prefix(&self) -> [u8; STREAM_PREFIX_LEN] {
        prefix(&self.stream_id())
    }

    /// Returns the key of the datagrams that are sent.
    pub(super) fn datagram_tx(&self) -> [u8; 32] {
        self.derive(&[role(self.is_initiator), &*NS_SEND])
    }

    /// Returns the key of the datagrams that are received.
    pub(super) fn datagram_rx(&self) -> [u8; 32] {
        self.derive(&[role(!self.is_initiator), &*NS_SEND])
    }

    fn derive(&self, parts: &[&[u8]]) -> [u8; 32] {
        hash::keyed_hash(&self.secrets.handshake_hash, parts)
    }
}

impl Drop for Secrets {
    fn drop(&mut self) {
        self.tx.zeroize();
        self.rx.zeroize();
        // Ids and datagram keys follow from it.
        self.handshake_hash.zeroize();
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("is_initiator", &self.is_initiator).finish_non_exhaustive()
    }
}

/// Returns a frame's length field.
pub(super) fn length_field(content: usize) -> [u8; LENGTH_LEN] {
    let [low, middle, high, ..] = content.to_le_bytes();
    [low, middle, high]
}

fn role(is_initiator: bool) -> &'static [u8] {
    if is_initiator { &*NS_INITIATOR } else { &*NS_RESPONDER }
}

fn prefix(id: &[u8; 32]) -> [u8; STREAM_PREFIX_LEN] {
    let mut prefix = [0; STREAM_PREFIX_LEN];
    prefix[..LENGTH_LEN].copy_from_slice(&length_field(id.len() + HEADER_LEN));
    prefix[LENGTH_LEN..].copy_from_slice(id);
    prefix
}

fn namespace(index: u8) -> [u8; 32] {
    hash::namespace("hyperswarm/secret-stream", index)
}
