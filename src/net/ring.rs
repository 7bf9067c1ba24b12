//! A queue of chunks of bytes that counts them.

use std::collections::VecDeque;

/// Chunks on their way between a connection's task and the driver.
///
/// It holds no memory while it is empty, but for a few chunks kept for reuse while it is busy.
#[derive(Debug, Default)]
pub(super) struct Ring {
    chunks: VecDeque<Vec<u8>>,
    bytes: usize,
    spare: Vec<Vec<u8>>,
}

impl Ring {
    /// Appends a chunk.
    pub(super) fn push(&mut self, chunk: Vec<u8>) {
        self.bytes += chunk.len();
        self.chunks.push_back(chunk);
    }

    /// Takes all chunks out.
    pub(super) fn take(&mut self) -> VecDeque<Vec<u8>> {
        self.bytes = 0;
        std::mem::take(&mut self.chunks)
    }

    /// Returns an empty chunk to fill, a used one if there is any.
    pub(super) fn chunk(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// Takes back a chunk whose bytes are no longer needed.
    pub(super) fn recycle(&mut self, mut chunk: Vec<u8>) {
        if self.spare.len() < MAX_SPARE && (MIN_SPARE..=MAX_SPARE_SIZE).contains(&chunk.capacity())
        {
            chunk.clear();
            self.spare.push(chunk);
        }
    }

    /// Gives the memory kept for reuse back, if nothing is queued.
    pub(super) fn rest(&mut self) {
        if self.chunks.is_empty() {
            self.chunks = VecDeque::new();
            self.spare = Vec::new();
        }
    }

    /// Returns how many bytes may be added below a limit.
    pub(super) const fn room(&self, limit: usize) -> usize {
        limit.saturating_sub(self.bytes)
    }

    /// Returns whether nothing is queued.
    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }
}

/// Chunks kept for reuse; enough for one that is filled, one that is emptied and two under way.
const MAX_SPARE: usize = 4;

/// Smaller chunks are cheaper to allocate than to keep.
const MIN_SPARE: usize = 16 * 1024;

/// Larger chunks are rare.
const MAX_SPARE_SIZE: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_the_bytes_that_it_holds() {
        let mut ring = Ring::default();
        assert_eq!(ring.room(10), 10);
        ring.push(vec![1; 4]);
        ring.push(vec![2; 8]);
        assert_eq!(ring.room(10), 0);
        assert_eq!(ring.room(20), 8);
        let taken: Vec<u8> = ring.take().into_iter().flatten().collect();
        assert_eq!(taken, [[1; 4].as_slice(), &[2; 8]].concat());
        assert_eq!(ring.room(10), 10);
    }

    #[test]
    fn keeps_a_bounded_number_of_large_chunks_and_none_at_rest() {
        let mut ring = Ring::default();
        for _ in 0..10 {
            ring.recycle(Vec::with_capacity(64 * 1024));
            ring.recycle(Vec::with_capacity(10));
        }
        assert_eq!(ring.spare.len(), MAX_SPARE);
        assert!(ring.spare.iter().all(|chunk| chunk.capacity() >= MIN_SPARE));
        ring.push(vec![0]);
        ring.rest();
        assert_eq!(ring.spare.len(), MAX_SPARE);
        ring.take();
        ring.rest();
        assert_eq!(ring.spare.capacity() + ring.chunks.capacity(), 0);
    }

    #[test]
    fn a_recycled_chunk_is_empty() {
        let mut ring = Ring::default();
        ring.recycle(vec![7; MIN_SPARE]);
        assert!(ring.chunk().is_empty());
    }
}
