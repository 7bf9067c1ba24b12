//! A queue of bytes in chunks, which change hands whole where they can.

use std::collections::VecDeque;

use super::pool::Pool;

/// Bytes in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    chunks: VecDeque<Vec<u8>>,
    /// Bytes of the first chunk that are gone.
    gone: usize,
    length: usize,
    /// Where [`Self::copy`] was last: a chunk, and how many bytes lie before it.
    cursor: (usize, usize),
    /// Chunks whose bytes are gone, until the pool takes them.
    empty: Vec<Vec<u8>>,
}

impl Chunks {
    pub(super) const fn len(&self) -> usize {
        self.length
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Copies `bytes` to the end.
    pub(super) fn extend(&mut self, pool: &mut Pool, mut bytes: &[u8]) {
        self.length += bytes.len();
        while !bytes.is_empty() {
            let room = self
                .chunks
                .back()
                .map_or(0, |chunk| CHUNK.saturating_sub(chunk.len()));
            if room == 0 {
                let mut chunk = pool.lend();
                if !self.chunks.is_empty() {
                    // More is likely to come than this one packet.
                    chunk.reserve_exact(CHUNK);
                }
                self.chunks.push_back(chunk);
                continue;
            }
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            if let Some(chunk) = self.chunks.back_mut() {
                chunk.extend_from_slice(now);
            }
            bytes = later;
        }
    }

    /// Takes `chunk` to the end as it is, if it is long enough to be worth that, and leaves an empty one in
    /// its place.
    pub(super) fn push(&mut self, pool: &mut Pool, chunk: &mut Vec<u8>) {
        if chunk.len() < MIN_PUSH {
            self.extend(pool, chunk);
            chunk.clear();
        } else {
            self.length += chunk.len();
            self.chunks.push_back(std::mem::replace(chunk, pool.lend()));
        }
    }

    /// Removes `count` bytes from the front, of which there must be so many.
    pub(super) fn remove(&mut self, count: usize) {
        self.length -= count;
        self.gone += count;
        while let Some(first) = self.chunks.front()
            && self.gone >= first.len()
        {
            self.gone -= first.len();
            let (at, before) = self.cursor;
            self.cursor = match at {
                0 => (0, 0),
                at => (at - 1, before - first.len()),
            };
            self.empty.extend(self.chunks.pop_front());
        }
    }

    /// Moves at most `max` bytes to the end of `out`, whole chunks where `out` is empty, and returns how
    /// many.
    pub(super) fn read(&mut self, pool: &mut Pool, max: usize, out: &mut Vec<u8>) -> usize {
        let mut moved = 0;
        while let Some(first) = self.chunks.front_mut()
            && moved < max
        {
            if out.is_empty() && self.gone == 0 && first.len() <= max {
                std::mem::swap(out, first);
                moved = out.len();
                self.length -= moved;
                self.cursor = (0, 0);
                self.empty.extend(self.chunks.pop_front());
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

    /// Appends `length` bytes, of which the first is the one after `at` others, to `out`. They must be there.
    ///
    /// Cheap if called with ever larger positions.
    pub(super) fn copy(&mut self, at: usize, length: usize, out: &mut Vec<u8>) {
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

    /// Compares what is there of the first bytes with `expected`.
    pub(super) fn agrees(&self, expected: &[u8]) -> bool {
        let here = self.chunks.iter().flatten().skip(self.gone);
        here.zip(expected).all(|(have, want)| have == want)
    }

    /// Gives the chunks whose bytes are gone back to the pool.
    pub(super) fn reclaim(&mut self, pool: &mut Pool) {
        for chunk in self.empty.drain(..) {
            pool.reclaim(chunk);
        }
        if self.chunks.is_empty() && self.chunks.capacity() > 0 {
            *self = Self::default();
        }
    }

    /// Removes everything.
    pub(super) fn clear(&mut self, pool: &mut Pool) {
        self.remove(self.length);
        self.reclaim(pool);
    }

    /// Returns how many bytes of memory are held.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        let chunks = self.chunks.iter().chain(&self.empty);
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
        fn chunks_hold_what_a_plain_queue_holds(ops in proptest::collection::vec(op(), 0..60)) {
            let (mut pool, mut chunks, mut model) = (Pool::default(), Chunks::default(), VecDeque::new());
            let mut count = 0_usize;
            let mut bytes = |length: usize| -> Vec<u8> {
                count += 1;
                (0..length).map(|index| (index * 31 + index / 256 + count) as u8).collect()
            };
            for op in ops {
                match op {
                    Op::Extend(length) => {
                        let bytes = bytes(length);
                        chunks.extend(&mut pool, &bytes);
                        model.extend(bytes);
                    }
                    Op::Push(length) => {
                        let mut bytes = bytes(length);
                        model.extend(&bytes);
                        chunks.push(&mut pool, &mut bytes);
                        prop_assert!(bytes.is_empty());
                    }
                    Op::Remove(count) => {
                        let count = count.min(model.len());
                        model.drain(..count);
                        chunks.remove(count);
                    }
                    Op::Read(max) => {
                        let mut out = Vec::new();
                        let count = chunks.read(&mut pool, max, &mut out);
                        prop_assert_eq!(count, max.min(model.len()));
                        prop_assert!(out.into_iter().eq(model.drain(..count)));
                    }
                    Op::Copy(at, length) => {
                        let at = at.min(model.len());
                        let length = length.min(model.len() - at);
                        let mut out = Vec::new();
                        chunks.copy(at, length, &mut out);
                        prop_assert!(out.iter().eq(model.range(at..at + length)));
                    }
                }
                prop_assert_eq!(chunks.len(), model.len());
            }
            chunks.clear(&mut pool);
            prop_assert_eq!((chunks.len(), chunks.capacity()), (0, 0));
        }
    }

    #[test]
    fn a_whole_chunk_is_handed_on_without_a_copy() {
        let (mut pool, mut chunks) = (Pool::default(), Chunks::default());
        let mut chunk = vec![7; 64 << 10];
        let place = chunk.as_ptr();
        chunks.push(&mut pool, &mut chunk);
        let mut out = Vec::new();
        assert_eq!(chunks.read(&mut pool, 128 << 10, &mut out), 64 << 10);
        assert_eq!(out.as_ptr(), place);
    }
}
