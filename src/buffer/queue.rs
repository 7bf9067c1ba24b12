//! A queue of bytes in chunks, which change hands whole where they can.

use std::collections::VecDeque;
use std::fmt;

use super::pool::Pool;

/// Bytes in the order in which they came, in the chunks in which they came: what is read across their borders
/// is never joined. Keeps up to `KEPT` chunks for reuse until they are taken out.
#[derive(Default)]
pub struct ByteQueue<const KEPT: usize> {
    chunks: VecDeque<Vec<u8>>,
    /// Bytes of the first chunk that are gone.
    gone: usize,
    length: usize,
    /// Where [`Self::copy`] was last: a chunk, and how many bytes lie before it.
    cursor: (usize, usize),
    /// Chunks whose bytes are gone.
    spent: Vec<Vec<u8>>,
    /// What all chunks take.
    memory: usize,
}

/// Without the bytes.
impl<const KEPT: usize> fmt::Debug for ByteQueue<KEPT> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteQueue").field("length", &self.length).finish_non_exhaustive()
    }
}

impl<const KEPT: usize> ByteQueue<KEPT> {
    /// Returns how many bytes wait.
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Returns whether none wait.
    #[cfg_attr(not(feature = "unstable-core"), allow(dead_code))]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Returns how many bytes of memory are held.
    pub const fn memory(&self) -> usize {
        self.memory
    }

    /// Appends a chunk as it is.
    pub fn push(&mut self, chunk: Vec<u8>) {
        self.length += chunk.len();
        self.memory += chunk.capacity();
        self.chunks.push_back(chunk);
    }

    /// Takes out the chunks whose bytes are gone, to use their memory again.
    pub fn spent(&mut self) -> impl Iterator<Item = Vec<u8>> {
        let spent = std::mem::take(&mut self.spent);
        self.memory -= spent.iter().map(Vec::capacity).sum::<usize>();
        spent.into_iter()
    }

    /// Copies `bytes` to the end.
    pub(crate) fn extend(&mut self, pool: &mut Pool, mut bytes: &[u8]) {
        self.length += bytes.len();
        while !bytes.is_empty() {
            let room = self.chunks.back().map_or(0, |chunk| CHUNK.saturating_sub(chunk.len()));
            if room == 0 {
                let mut chunk = pool.lend();
                if !self.chunks.is_empty() {
                    // More is likely to come than this one packet.
                    chunk.reserve_exact(CHUNK);
                }
                self.memory += chunk.capacity();
                self.chunks.push_back(chunk);
                continue;
            }
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            if let Some(chunk) = self.chunks.back_mut() {
                let before = chunk.capacity();
                chunk.extend_from_slice(now);
                self.memory += chunk.capacity() - before;
            }
            bytes = later;
        }
    }

    /// Appends `chunk`, as it is if it is long enough to be worth that, and leaves an empty one in its place.
    pub(crate) fn push_or_copy(&mut self, pool: &mut Pool, chunk: &mut Vec<u8>) {
        if chunk.len() < MIN_PUSH {
            self.extend(pool, chunk);
            chunk.clear();
        } else {
            self.push(std::mem::replace(chunk, pool.lend()));
        }
    }

    /// Returns the `count` bytes behind the first `skip`, as far as they are there, chunk by chunk.
    pub(crate) fn pieces(&self, skip: usize, count: usize) -> impl Iterator<Item = &[u8]> + Clone {
        let (mut skip, mut count) = (skip + self.gone, count);
        let wanted = self.chunks.iter().map_while(move |chunk| {
            let start = skip.min(chunk.len());
            let end = chunk.len().min(start + count);
            skip -= start;
            count -= end - start;
            // Those behind are not even looked at: there may be many.
            (end > start || count > 0).then(|| &chunk[start..end])
        });
        wanted.filter(|piece| !piece.is_empty())
    }

    /// Copies the `N` bytes behind the first `skip`; `None` if not all of them are there.
    pub(crate) fn peek<const N: usize>(&self, skip: usize) -> Option<[u8; N]> {
        if self.length < skip + N {
            return None;
        }
        let mut bytes = [0; N];
        let mut rest = bytes.as_mut_slice();
        for piece in self.pieces(skip, N) {
            let (now, later) = rest.split_at_mut(piece.len());
            now.copy_from_slice(piece);
            rest = later;
        }
        Some(bytes)
    }

    /// Returns whether what is there of the first bytes is what `expected` begins with.
    pub(crate) fn agrees(&self, expected: &[u8]) -> bool {
        let here = self.pieces(0, expected.len()).flatten();
        here.zip(expected).all(|(have, want)| have == want)
    }

    /// Appends `length` bytes, of which the first is the one after `at` others, to `out`. They must be there.
    ///
    /// Cheap if called with ever larger positions.
    pub(crate) fn copy(&mut self, at: usize, length: usize, out: &mut Vec<u8>) {
        let (mut at, mut length) = (at + self.gone, length);
        let (mut index, mut before) = self.cursor;
        if before > at {
            (index, before) = (0, 0);
        }
        while length > 0 {
            let chunk = &self.chunks[index];
            if at < before + chunk.len() {
                let rest = &chunk[at - before..];
                let part = rest.len().min(length);
                out.extend_from_slice(&rest[..part]);
                at += part;
                length -= part;
            }
            self.cursor = (index, before);
            before += chunk.len();
            index += 1;
        }
    }

    /// Removes `count` bytes from the front, of which there must be so many.
    pub(crate) fn remove(&mut self, count: usize) {
        self.length -= count;
        self.gone += count;
        while let Some(first) = self.chunks.front()
            && self.gone >= first.len()
        {
            self.gone -= first.len();
            self.pop();
        }
        if self.chunks.is_empty() && self.chunks.capacity() > 0 {
            self.chunks = VecDeque::new();
        }
    }

    /// Moves at most `max` bytes to the end of `out`, whole chunks where `out` is empty, and returns how
    /// many.
    pub(crate) fn read(&mut self, pool: &mut Pool, max: usize, out: &mut Vec<u8>) -> usize {
        let mut moved = 0;
        while let Some(first) = self.chunks.front_mut()
            && moved < max
        {
            if out.is_empty() && self.gone == 0 && first.len() <= max {
                self.memory -= first.capacity();
                std::mem::swap(out, first);
                self.memory += first.capacity();
                moved = out.len();
                self.length -= moved;
                self.cursor = (0, 0);
                self.pop();
                continue;
            }
            let rest = &first[self.gone..];
            let part = rest.len().min(max - moved);
            out.extend_from_slice(&rest[..part]);
            self.remove(part);
            moved += part;
        }
        self.reclaim(pool);
        moved
    }

    /// Removes the first chunk, whose bytes are gone.
    fn pop(&mut self) {
        if let Some(first) = self.chunks.pop_front() {
            let (at, before) = self.cursor;
            self.cursor = (at.saturating_sub(1), before.saturating_sub(first.len()));
            if self.spent.len() < KEPT {
                self.spent.push(first);
            } else {
                self.memory -= first.capacity();
            }
        }
    }

    /// Gives the chunks whose bytes are gone back to the pool.
    pub(crate) fn reclaim(&mut self, pool: &mut Pool) {
        for chunk in self.spent.drain(..) {
            self.memory -= chunk.capacity();
            pool.reclaim(chunk);
        }
        if self.chunks.is_empty() {
            *self = Self::default();
        }
    }

    /// Removes everything.
    pub(crate) fn clear(&mut self, pool: &mut Pool) {
        self.remove(self.length);
        self.reclaim(pool);
    }

    /// Returns how many bytes of memory are held, counted chunk by chunk.
    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        let chunks = self.chunks.iter().chain(&self.spent);
        chunks.map(Vec::capacity).sum()
    }
}

/// Bytes that are copied into one chunk: as many as a frame that carries 64 KiB has, so that one chunk's
/// memory serves for both.
const CHUNK: usize = (64 << 10) + 20;
/// Shorter chunks are copied to those before: many short ones would take more memory than they hold bytes.
const MIN_PUSH: usize = 8 << 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Queue = ByteQueue<8>;

    #[derive(Clone, Debug)]
    enum Op {
        Extend(usize),
        Push(usize),
        Remove(usize),
        Read(usize),
        Copy(usize, usize),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            (0usize..150_000).prop_map(Op::Extend),
            (0usize..80_000).prop_map(Op::Push),
            (0usize..100_000).prop_map(Op::Remove),
            (0usize..100_000).prop_map(Op::Read),
            (0usize..200_000, 0usize..3_000).prop_map(|(at, length)| Op::Copy(at, length)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn a_queue_holds_what_a_plain_queue_holds(ops in proptest::collection::vec(op(), 0..60)) {
            let (mut pool, mut queue, mut model) = (Pool::default(), Queue::default(), VecDeque::new());
            let mut count = 0_usize;
            let mut bytes = |length: usize| -> Vec<u8> {
                count += 1;
                (0..length).map(|index| (index * 31 + index / 256 + count) as u8).collect()
            };
            for op in ops {
                match op {
                    Op::Extend(length) => {
                        let bytes = bytes(length);
                        queue.extend(&mut pool, &bytes);
                        model.extend(bytes);
                    }
                    Op::Push(length) => {
                        let mut bytes = bytes(length);
                        model.extend(&bytes);
                        queue.push_or_copy(&mut pool, &mut bytes);
                        prop_assert!(bytes.is_empty());
                    }
                    Op::Remove(count) => {
                        let count = count.min(model.len());
                        model.drain(..count);
                        queue.remove(count);
                    }
                    Op::Read(max) => {
                        let mut out = Vec::new();
                        let count = queue.read(&mut pool, max, &mut out);
                        prop_assert_eq!(count, max.min(model.len()));
                        prop_assert!(out.into_iter().eq(model.drain(..count)));
                    }
                    Op::Copy(at, length) => {
                        let at = at.min(model.len());
                        let length = length.min(model.len() - at);
                        let mut out = Vec::new();
                        queue.copy(at, length, &mut out);
                        prop_assert!(out.iter().eq(model.range(at..at + length)));
                    }
                }
                prop_assert_eq!(queue.len(), model.len());
                prop_assert_eq!(queue.memory(), queue.capacity());
            }
            queue.clear(&mut pool);
            prop_assert_eq!((queue.len(), queue.memory(), queue.capacity()), (0, 0, 0));
        }
    }

    #[test]
    fn a_whole_chunk_is_handed_on_without_a_copy() {
        let (mut pool, mut queue) = (Pool::default(), Queue::default());
        let mut chunk = vec![7; 64 << 10];
        let place = chunk.as_ptr();
        queue.push_or_copy(&mut pool, &mut chunk);
        let mut out = Vec::new();
        assert_eq!(queue.read(&mut pool, 128 << 10, &mut out), 64 << 10);
        assert_eq!(out.as_ptr(), place);
    }

    #[test]
    fn bytes_are_found_across_the_borders_of_pieces() {
        let mut queue = Queue::default();
        for piece in [&b"ab"[..], b"", b"c", b"defg"] {
            queue.push(piece.to_vec());
        }
        assert_eq!(queue.len(), 7);
        let pieces = |queue: &Queue, skip, count| -> Vec<Vec<u8>> {
            queue.pieces(skip, count).map(<[u8]>::to_vec).collect()
        };
        assert_eq!(pieces(&queue, 1, 3), [&b"b"[..], b"c", b"d"]);
        assert_eq!(pieces(&queue, 5, 9), [b"fg"]);
        assert_eq!(queue.peek(1), Some(*b"bcde"));
        assert_eq!(queue.peek::<3>(5), None);

        queue.remove(4);
        assert_eq!(pieces(&queue, 0, 2), [b"ef"]);
        assert_eq!(queue.peek(0), Some(*b"efg"));
        assert_eq!(queue.spent().count(), 3);
        queue.remove(3);
        assert!(queue.is_empty());
        assert_eq!(queue.spent().count(), 1);
    }
}
