//! A queue of chunks of bytes that counts them.

use std::collections::VecDeque;
use std::fmt;

/// Chunks on their way between a connection's task and the driver. It holds no memory while it is empty.
///
/// It changes hands whole and is never read, so it has none of the positions of a
/// [`ByteQueue`](crate::buffer::ByteQueue): 48 bytes instead of 96, twice per connection and under a lock.
#[derive(Default)]
pub(super) struct Ring {
    chunks: VecDeque<Vec<u8>>,
    bytes: usize,
    /// What the chunks take.
    memory: usize,
}

/// Without the bytes.
impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl Ring {
    /// Appends a chunk. A short one goes to the end of the last, if that has room, and is given back.
    pub(super) fn push(&mut self, chunk: Vec<u8>) -> Option<Vec<u8>> {
        self.bytes += chunk.len();
        if chunk.len() <= SHORT
            && let Some(last) = self.chunks.back_mut()
            && last.capacity() - last.len() >= chunk.len()
        {
            last.extend_from_slice(&chunk);
            return Some(chunk);
        }
        self.memory += chunk.capacity();
        self.chunks.push_back(chunk);
        None
    }

    /// Takes all chunks out.
    pub(super) fn take(&mut self) -> VecDeque<Vec<u8>> {
        (self.bytes, self.memory) = (0, 0);
        std::mem::take(&mut self.chunks)
    }

    /// Returns the bytes, chunk by chunk.
    pub(super) fn pieces(&self) -> impl Iterator<Item = &[u8]> + Clone {
        self.chunks.iter().map(Vec::as_slice)
    }

    /// Returns how many bytes may be added below a limit.
    pub(super) const fn room(&self, limit: usize) -> usize {
        limit.saturating_sub(self.bytes)
    }

    /// Returns how many bytes of memory are held.
    pub(super) const fn memory(&self) -> usize {
        self.memory
    }

    /// Returns whether nothing is queued.
    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }
}

/// Up to this many bytes, a copy is cheaper than a chunk more.
const SHORT: usize = 4 * 1024;

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
        assert!(ring.is_empty());
    }

    #[test]
    fn short_chunks_share_the_room_of_the_last() {
        let mut ring = Ring::default();
        let mut first = Vec::with_capacity(100);
        first.extend([1; 90]);
        assert_eq!(ring.push(first), None);
        assert_eq!(ring.push(vec![2; 10]), Some(vec![2; 10]));
        assert_eq!(ring.push(vec![3]), None);
        assert_eq!(ring.push(vec![4; SHORT + 1]), None);
        let lengths: Vec<usize> = ring.take().iter().map(Vec::len).collect();
        assert_eq!(lengths, [100, 1, SHORT + 1]);
    }
}
