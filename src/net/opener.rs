//! The decrypting side of a connection.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};
use tokio::io::ReadBuf;

use super::spares::Spares;
use crate::secret_stream::{Input, Pull, PullError, Pulled, Verdict};

/// Decrypts received bytes into messages.
pub(super) struct Opener {
    pull: Pull,
    /// Received bytes that are not yet decrypted.
    input: Input,
    /// The rest of a message of which a part has been read.
    rest: Bytes,
    /// What the message takes that `rest` is a part of.
    rest_memory: usize,
    /// Whether a message has ever been decrypted.
    has_opened: bool,
}

impl Opener {
    pub(super) fn new(pull: Pull) -> Self {
        Self { pull, input: Input::default(), rest: Bytes::new(), rest_memory: 0, has_opened: false }
    }

    /// Returns whether a message has ever been decrypted, which proves the peer's key.
    pub(super) const fn has_opened(&self) -> bool {
        self.has_opened
    }

    /// Decrypts the next message and keeps it for the reader; returns whether there was one. It may be empty.
    ///
    /// What is kept already must have been read.
    pub(super) fn open_next(&mut self) -> Result<bool, PullError> {
        let Some(message) = self.pull.pull(&mut self.input)? else {
            return Ok(false);
        };
        self.has_opened = true;
        self.rest = message.freeze();
        self.rest_memory = self.rest.len();
        Ok(true)
    }

    /// Takes the rest of the current message or the next one that is not empty; `None` if more bytes are
    /// needed.
    pub(super) fn take(&mut self) -> Result<Option<Bytes>, PullError> {
        while self.rest.is_empty() {
            if !self.open_next()? {
                return Ok(None);
            }
        }
        self.rest_memory = 0;
        Ok(Some(std::mem::take(&mut self.rest)))
    }

    /// Fills `buffer` as far as there are messages, decrypting to where they are needed; returns whether
    /// anything was read. An error behind that is returned by the next call.
    pub(super) fn read_into(&mut self, buffer: &mut ReadBuf<'_>) -> Result<bool, PullError> {
        let before = buffer.remaining();
        while buffer.remaining() > 0 {
            match self.read_one(buffer, buffer.remaining() == before) {
                Ok(true) => {}
                Ok(false) => break,
                Err(_) if buffer.remaining() < before => break,
                Err(error) => return Err(error),
            }
        }
        Ok(buffer.remaining() < before)
    }

    /// Reads from one message; `false` if that is not possible, or not needed at the moment.
    fn read_one(&mut self, buffer: &mut ReadBuf<'_>, is_needed: bool) -> Result<bool, PullError> {
        if !self.rest.is_empty() {
            let length = self.rest.len().min(buffer.remaining());
            buffer.put_slice(&self.rest[..length]);
            self.rest.advance(length);
            if self.rest.is_empty() {
                // Lets go of its memory.
                self.rest = Bytes::new();
                self.rest_memory = 0;
            }
            return Ok(true);
        }
        match self.pull.pull_into(&mut self.input, &mut [])? {
            Pulled::Message(_) => self.has_opened = true,
            Pulled::NeedsRoom(length) if length <= buffer.remaining() => {
                let room = buffer.initialize_unfilled_to(length);
                self.pull.pull_into(&mut self.input, room)?;
                self.has_opened = true;
                buffer.advance(length);
            }
            Pulled::NeedsRoom(_) if is_needed => {
                self.open_next()?;
            }
            Pulled::NeedsRoom(_) | Pulled::Incomplete => return Ok(false),
        }
        Ok(true)
    }

    /// Takes bytes to decrypt, and gives back the chunks whose bytes are decrypted.
    pub(super) fn feed(&mut self, chunks: VecDeque<Vec<u8>>, spares: &Spares) {
        for chunk in self.input.spent() {
            spares.put(chunk);
        }
        for chunk in chunks {
            self.input.push(chunk);
        }
    }

    /// Judges bytes of unknown origin that would follow those that wait to be decrypted, and then `known`.
    pub(super) fn judge<'a>(
        &'a self,
        known: impl Iterator<Item = &'a [u8]> + Clone,
        unknown: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> Verdict {
        self.pull.judge(&self.input, known, unknown)
    }

    /// Returns how many bytes of memory are held.
    pub(super) const fn memory(&self) -> usize {
        self.input.memory() + self.rest_memory
    }

    /// Returns how many bytes the next message still lacks.
    pub(super) fn missing(&self) -> usize {
        self.pull.missing(&self.input)
    }

    /// Returns how many bytes wait to be decrypted.
    pub(super) const fn pending(&self) -> usize {
        self.input.len()
    }
}
