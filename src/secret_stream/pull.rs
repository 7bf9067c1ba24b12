//! The receiving direction of a stream.

use std::fmt;

use bytes::BytesMut;
use zeroize::Zeroizing;

use super::cipher::Cipher;
use super::foresight::{Start, Verdict, judge};
use super::keys::{CONTENT_OVERHEAD, HEADER_FRAME_LEN, Keys, LENGTH_LEN, MAX_MESSAGE, STREAM_PREFIX_LEN};
use crate::buffer::ByteQueue;

/// Received bytes of a stream that are not decrypted yet. It keeps half a megabyte of chunks for reuse, more
/// than one batch of packets frees.
pub type Input = ByteQueue<8>;

/// Why a stream cannot be read any further. Nothing that follows can be trusted, so the connection is to be
/// destroyed.
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
/// Holds no bytes itself: the caller keeps what has arrived in an [`Input`], and takes messages out of it
/// with [`pull`](Self::pull) or [`pull_into`](Self::pull_into). Only bytes that have arrived ever occupy
/// memory, whatever length a frame announces.
///
/// Tags other than MESSAGE change keys where they must and have no meaning beyond, as in the reference
/// (`secret-stream.md` §4); FINAL ends nothing.
pub struct Pull {
    prefix: [u8; STREAM_PREFIX_LEN],
    limit: usize,
    state: PullState,
}

/// What there is to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pulled {
    /// A message of so many bytes has been decrypted.
    Message(usize),
    /// The next message is complete and needs room for so many bytes. Nothing has changed.
    NeedsRoom(usize),
    /// More bytes are needed.
    Incomplete,
}

/// How far the stream has come.
enum PullState {
    /// The header frame is still to come.
    Header {
        key: Zeroizing<[u8; 32]>,
    },
    Messages(Cipher),
    Failed(PullError),
}

impl Pull {
    /// Starts the peer's direction. Messages longer than `limit` bytes are refused; limits above
    /// [`MAX_MESSAGE`] mean that.
    pub fn new(keys: &Keys, limit: usize) -> Self {
        Self {
            prefix: keys.remote_prefix(),
            limit: limit.min(MAX_MESSAGE),
            state: PullState::Header { key: Zeroizing::new(*keys.rx()) },
        }
    }

    /// Takes the next message from the front of `input`, or `None` if more bytes are needed.
    ///
    /// An empty message is a keep-alive. The first message, empty or not, proves that the peer holds its
    /// secret key and is there now.
    ///
    /// # Errors
    ///
    /// As soon as the bytes at hand show it; from then on every call returns the same error.
    pub fn pull(&mut self, input: &mut Input) -> Result<Option<BytesMut>, PullError> {
        let mut message = BytesMut::new();
        loop {
            match self.pull_into(input, &mut message)? {
                Pulled::Message(_) => return Ok(Some(message)),
                Pulled::NeedsRoom(length) => message = BytesMut::zeroed(length),
                Pulled::Incomplete => return Ok(None),
            }
        }
    }

    /// Decrypts the next message from the front of `input` to the front of `out`, if it fits.
    ///
    /// # Errors
    ///
    /// As [`pull`](Self::pull); nothing has been written to `out` then.
    pub fn pull_into(&mut self, input: &mut Input, out: &mut [u8]) -> Result<Pulled, PullError> {
        self.try_pull(input, out).inspect_err(|error| {
            self.state = PullState::Failed(*error);
        })
    }

    /// Returns how many more bytes than `input` holds are needed to get on, for a caller that sizes its
    /// reads: 0 if the next message is complete or an error is certain.
    pub fn missing(&self, input: &Input) -> usize {
        let wanted = match self.state {
            PullState::Header { .. } => HEADER_FRAME_LEN,
            PullState::Messages(_) => announced(input).map_or(LENGTH_LEN, |length| LENGTH_LEN + length),
            PullState::Failed(_) => 0,
        };
        wanted.saturating_sub(input.len())
    }

    /// Judges bytes of unknown origin that would follow `input` and then `known`, which came from the peer.
    /// Takes nothing, so nothing that is forged does harm.
    pub fn judge<'a>(
        &self,
        input: &'a Input,
        known: impl Iterator<Item = &'a [u8]> + Clone,
        unknown: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> Verdict {
        let start = match &self.state {
            PullState::Header { key } => Start::Header { prefix: &self.prefix, key },
            PullState::Messages(cipher) => Start::Message(cipher.clone()),
            PullState::Failed(_) => return Verdict::Unknown,
        };
        let before = input.len() + known.clone().map(<[u8]>::len).sum::<usize>();
        let pieces = input.pieces(0, input.len()).chain(known).chain(unknown);
        judge(start, pieces, before, self.limit)
    }

    fn try_pull(&mut self, input: &mut Input, out: &mut [u8]) -> Result<Pulled, PullError> {
        if let PullState::Header { key } = &self.state {
            self.check_prefix(input)?;
            let Some(header) = input.peek(STREAM_PREFIX_LEN) else {
                return Ok(Pulled::Incomplete);
            };
            let cipher = Cipher::new(key, &header);
            input.remove(HEADER_FRAME_LEN);
            self.state = PullState::Messages(cipher);
        }
        let cipher = match &mut self.state {
            PullState::Messages(cipher) => cipher,
            PullState::Failed(error) => return Err(*error),
            PullState::Header { .. } => return Ok(Pulled::Incomplete),
        };

        let Some(content) = announced(input) else {
            return Ok(Pulled::Incomplete);
        };
        let length = content.checked_sub(CONTENT_OVERHEAD).ok_or(PullError::TooShort)?;
        if length > self.limit {
            return Err(PullError::TooLong { length, limit: self.limit });
        }
        let message_at = LENGTH_LEN + 1;
        let Some(mac) = input.peek(message_at + length) else {
            return Ok(Pulled::Incomplete);
        };
        let Some(message) = out.get_mut(..length) else {
            return Ok(Pulled::NeedsRoom(length));
        };
        let [tag] = input.peek(LENGTH_LEN).expect("the tag precedes the MAC");
        cipher.open(tag, input.pieces(message_at, length), &mac, message).ok_or(PullError::Forged)?;
        input.remove(LENGTH_LEN + content);
        Ok(Pulled::Message(length))
    }

    /// Compares what is there of the header frame with what must be there.
    fn check_prefix(&self, input: &Input) -> Result<(), PullError> {
        let agrees = |length: usize| {
            let arrived = input.pieces(0, length).flatten();
            arrived.zip(&self.prefix).all(|(have, want)| have == want)
        };
        if !agrees(LENGTH_LEN) {
            return Err(PullError::HeaderLength);
        }
        if !agrees(STREAM_PREFIX_LEN) {
            return Err(PullError::StreamId);
        }
        Ok(())
    }
}

impl fmt::Debug for Pull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pull").field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// Reads a frame's length once it is there.
fn announced(input: &Input) -> Option<usize> {
    let [low, middle, high] = input.peek(0)?;
    Some(usize::from(low) | usize::from(middle) << 8 | usize::from(high) << 16)
}
