//! The receiving direction of a stream.

use std::fmt;

use bytes::{Buf, BytesMut};
use zeroize::Zeroizing;

use super::cipher::Cipher;
use super::cipher::MAC_LEN;
use super::keys::{
    CONTENT_OVERHEAD, HEADER_FRAME_LEN, Keys, LENGTH_LEN, MAX_MESSAGE, STREAM_PREFIX_LEN,
};

/// Why a stream cannot be read any further. Nothing that follows can be trusted, so the connection is to be destroyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PullError {
    /// A frame failed its MAC: it was forged, replayed, reordered, or sealed under other keys.
    #[error("a frame failed its authentication")]
    Forged,
    /// The first frame does not announce the length of a header.
    #[error("the first frame is not a stream header")]
    HeaderLength,
    /// The first frame names another stream than the peer's.
    #[error("the stream header is of another stream")]
    StreamId,
    /// A frame announces more than this side takes.
    #[error("a message of {length} bytes was announced, the limit is {limit}")]
    TooLong {
        /// Length of the announced message in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A frame announces less than the tag and MAC of an empty message.
    #[error("a frame is too short to hold a message")]
    TooShort,
}

/// Opens what the peer sends.
///
/// Holds no bytes itself: the caller appends to a buffer what has arrived, in whatever pieces, and takes messages out of it
/// with [`pull`](Self::pull). Only bytes that have arrived ever occupy memory, whatever length a frame announces.
///
/// Tags other than MESSAGE change keys where they must and have no meaning beyond, as in the reference; FINAL ends nothing.
pub struct Pull {
    prefix: [u8; STREAM_PREFIX_LEN],
    limit: usize,
    state: State,
}

enum State {
    /// The header frame is still to come.
    Header {
        key: Zeroizing<[u8; 32]>,
    },
    Messages(Cipher),
    Failed(PullError),
}

impl Pull {
    /// Starts the peer's direction. Messages longer than `limit` bytes are refused; limits above [`MAX_MESSAGE`] mean that.
    pub fn new(keys: &Keys, limit: usize) -> Self {
        Self {
            prefix: keys.remote_prefix(),
            limit: limit.min(MAX_MESSAGE),
            state: State::Header {
                key: Zeroizing::new(*keys.rx()),
            },
        }
    }

    /// Takes the next message from the front of `input`, decrypted where it lies, or `None` if more bytes are needed.
    ///
    /// An empty message is a keep-alive. The first message, empty or not, proves that the peer holds its secret key and is
    /// there now. The message shares the allocation of `input`, which is used again once the message has been dropped.
    ///
    /// # Errors
    ///
    /// As soon as the bytes at hand show it; from then on every call returns the same error.
    pub fn pull(&mut self, input: &mut BytesMut) -> Result<Option<BytesMut>, PullError> {
        self.try_pull(input).inspect_err(|error| {
            self.state = State::Failed(*error);
        })
    }

    /// Returns how many more bytes than `input` holds are needed to get on, for a caller that sizes its reads: 0 if the next
    /// message is complete or an error is certain.
    pub fn missing(&self, input: &[u8]) -> usize {
        let wanted = match self.state {
            State::Header { .. } => HEADER_FRAME_LEN,
            State::Messages(_) => announced(input).map_or(LENGTH_LEN, |length| LENGTH_LEN + length),
            State::Failed(_) => 0,
        };
        wanted.saturating_sub(input.len())
    }

    fn try_pull(&mut self, input: &mut BytesMut) -> Result<Option<BytesMut>, PullError> {
        if let State::Header { key } = &self.state {
            if !self.check_prefix(input)? {
                return Ok(None);
            }
            let frame = input.split_to(HEADER_FRAME_LEN);
            let header = frame
                .last_chunk()
                .expect("the header frame ends in the header");
            self.state = State::Messages(Cipher::new(key, header));
        }
        let cipher = match &mut self.state {
            State::Messages(cipher) => cipher,
            State::Failed(error) => return Err(*error),
            State::Header { .. } => return Ok(None),
        };

        let Some(content) = announced(input) else {
            return Ok(None);
        };
        let length = content
            .checked_sub(CONTENT_OVERHEAD)
            .ok_or(PullError::TooShort)?;
        if length > self.limit {
            return Err(PullError::TooLong {
                length,
                limit: self.limit,
            });
        }
        if input.len() < LENGTH_LEN + content {
            return Ok(None);
        }
        let mut frame = input.split_to(LENGTH_LEN + content);
        cipher
            .open(&mut frame[LENGTH_LEN..])
            .ok_or(PullError::Forged)?;
        frame.truncate(frame.len() - MAC_LEN);
        frame.advance(LENGTH_LEN + 1);
        Ok(Some(frame))
    }

    /// Compares what is there of the header frame with what must be there; returns whether the frame is complete.
    fn check_prefix(&self, input: &[u8]) -> Result<bool, PullError> {
        let known = input.len().min(STREAM_PREFIX_LEN);
        let length = known.min(LENGTH_LEN);
        if input[..length] != self.prefix[..length] {
            return Err(PullError::HeaderLength);
        }
        if input[..known] != self.prefix[..known] {
            return Err(PullError::StreamId);
        }
        Ok(input.len() >= HEADER_FRAME_LEN)
    }
}

impl fmt::Debug for Pull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pull")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// Reads a frame's length once it is there.
fn announced(input: &[u8]) -> Option<usize> {
    let [low, middle, high] = *input.first_chunk()?;
    Some(usize::from(low) | usize::from(middle) << 8 | usize::from(high) << 16)
}
