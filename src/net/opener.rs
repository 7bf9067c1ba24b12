//! The decrypting end of a connection.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

use crate::secret_stream::{Pull, PullError};

/// Turns the bytes that have arrived into messages.
#[derive(Debug)]
pub(super) struct Opener {
    pull: Pull,
    /// Bytes taken out of the ring and not yet decrypted.
    input: BytesMut,
    /// The rest of a message of which a part has been read.
    rest: Bytes,
}

impl Opener {
    pub(super) fn new(pull: Pull) -> Self {
        Self {
            pull,
            input: BytesMut::new(),
            rest: Bytes::new(),
        }
    }

    /// Returns what is left of the current message.
    pub(super) const fn rest(&mut self) -> &mut Bytes {
        &mut self.rest
    }

    /// Decrypts the next message into [`Self::rest`], and tells whether there was one. It may be empty.
    pub(super) fn open_next(&mut self) -> Result<bool, PullError> {
        let Some(message) = self.pull.pull(&mut self.input)? else {
            if self.input.is_empty() {
                self.input = BytesMut::new();
            }
            return Ok(false);
        };
        self.rest = message.freeze();
        Ok(true)
    }

    /// Takes bytes from the ring.
    pub(super) fn feed(&mut self, chunks: &VecDeque<Vec<u8>>) {
        let total = chunks.iter().map(Vec::len).sum();
        self.input.reserve(total);
        for chunk in chunks {
            self.input.extend_from_slice(chunk);
        }
    }

    /// Returns how many bytes the next message still lacks.
    pub(super) fn missing(&self) -> usize {
        self.pull.missing(&self.input)
    }

    /// Returns how many bytes wait to be decrypted.
    pub(super) fn pending(&self) -> usize {
        self.input.len()
    }

    /// Copies as much of the current message as fits.
    pub(super) fn read_into(&mut self, buffer: &mut tokio::io::ReadBuf<'_>) {
        let length = self.rest.len().min(buffer.remaining());
        buffer.put_slice(&self.rest[..length]);
        self.rest.advance(length);
        if self.rest.is_empty() {
            // Lets go of the input's memory, so that the next message can use it again.
            self.rest = Bytes::new();
        }
    }
}
