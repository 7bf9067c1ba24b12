//! The sending direction of a stream.

use std::fmt;

use rand::{CryptoRng, RngCore};

use super::cipher::{Cipher, TAG_MESSAGE};
use super::keys::{
    CONTENT_OVERHEAD, HEADER_FRAME_LEN, HEADER_LEN, Keys, MAX_MESSAGE, MESSAGE_OVERHEAD, STREAM_PREFIX_LEN,
    length_field,
};

/// Why a message was not sealed: it is longer than [`MAX_MESSAGE`], and messages are not split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message of {length} bytes is too large, the most is {MAX_MESSAGE}")]
pub struct TooLarge {
    /// Length of the message in bytes.
    pub length: usize,
}

/// Seals what is sent.
///
/// [`header`](Self::header) goes first, unasked and without waiting for the peer's; frames of messages may
/// follow it at once.
pub struct Push {
    cipher: Cipher,
    header_frame: [u8; HEADER_FRAME_LEN],
}

impl Push {
    /// Starts the own direction with a header from `rng`.
    ///
    /// The header must never repeat under the same keys, so one session has one `Push`.
    pub fn new(keys: &Keys, rng: &mut (impl RngCore + CryptoRng)) -> Self {
        let mut header = [0; HEADER_LEN];
        rng.fill_bytes(&mut header);
        Self::with_header(keys, header)
    }

    /// Starts the own direction with a given header: 24 bytes that were never used with these keys.
    pub fn with_header(keys: &Keys, header: [u8; HEADER_LEN]) -> Self {
        let mut header_frame = [0; HEADER_FRAME_LEN];
        header_frame[..STREAM_PREFIX_LEN].copy_from_slice(&keys.prefix());
        header_frame[STREAM_PREFIX_LEN..].copy_from_slice(&header);
        Self { cipher: Cipher::new(keys.tx(), &header), header_frame }
    }

    /// Appends the frame of one message to `out`, [`MESSAGE_OVERHEAD`] bytes longer than the message.
    ///
    /// An empty message is a keep-alive, which most receivers drop (`secret-stream.md` §5).
    ///
    /// # Errors
    ///
    /// [`TooLarge`] if the message does not fit into one frame; nothing is appended then and the stream stays
    /// usable.
    pub fn seal(&mut self, message: &[u8], out: &mut Vec<u8>) -> Result<(), TooLarge> {
        self.seal_with_tag(TAG_MESSAGE, message, out)
    }

    pub(super) fn seal_with_tag(
        &mut self,
        tag: u8,
        message: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), TooLarge> {
        let length = message.len();
        if length > MAX_MESSAGE {
            return Err(TooLarge { length });
        }
        out.reserve(length + MESSAGE_OVERHEAD);
        out.extend_from_slice(&length_field(length + CONTENT_OVERHEAD));
        self.cipher.seal(tag, message, out);
        Ok(())
    }

    /// Returns the frame that must precede all others.
    pub const fn header(&self) -> &[u8; HEADER_FRAME_LEN] {
        &self.header_frame
    }
}

impl fmt::Debug for Push {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Push").finish_non_exhaustive()
    }
}
