//! What the owner of a stream can see of it.

use super::stream::Stream;
use super::streams::Streams;
use super::types::{StreamId, StreamStats};

/// What a stream holds for its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Bytes of memory.
    pub memory: usize,
    /// Packets that have come in order, ever.
    pub received: u64,
    /// Whether others wait for one before them.
    pub has_gaps: bool,
}

impl Streams {
    /// Returns what the sender of the stream measures and believes.
    pub fn stats(&self, id: StreamId) -> Option<StreamStats> {
        self.stream(id).map(Stream::stats)
    }

    /// Returns what the stream holds for its reader.
    pub fn held(&self, id: StreamId) -> Option<Held> {
        let stream = self.stream(id)?;
        let (received, has_gaps) = stream.progress();
        Some(Held { memory: stream.memory(), received, has_gaps })
    }

    /// Returns how many written bytes the peer has not acknowledged, or are unsent.
    pub fn buffered(&self, id: StreamId) -> usize {
        self.stream(id).map_or(0, Stream::buffered)
    }
}
