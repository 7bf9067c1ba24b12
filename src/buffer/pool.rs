//! Chunks of memory that idle streams lend to busy ones.

/// At most `SPARES` chunks. A stream takes one when bytes come and gives it back when they are gone, so that
/// idle streams hold none.
#[derive(Debug, Default)]
pub(crate) struct Pool<const SPARES: usize = MAX_SPARES>(Vec<Vec<u8>>);

impl<const SPARES: usize> Pool<SPARES> {
    /// Returns an empty chunk, a used one if there is any.
    pub(crate) fn lend(&mut self) -> Vec<u8> {
        self.0.pop().unwrap_or_default()
    }

    /// Takes a chunk whose bytes are gone.
    pub(crate) fn reclaim(&mut self, mut chunk: Vec<u8>) {
        let size = chunk.capacity();
        if self.0.len() < SPARES && (MIN_SPARE_BYTES..=MAX_SPARE_BYTES).contains(&size) {
            chunk.clear();
            self.0.push(chunk);
        }
    }
}

/// Chunks that a pool keeps.
pub(crate) const MAX_SPARES: usize = 32;
/// Smaller chunks are cheaper to allocate than to keep.
const MIN_SPARE_BYTES: usize = 16 << 10;
const MAX_SPARE_BYTES: usize = 128 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_no_more_than_its_bounds() {
        let mut pool = <Pool>::default();
        for _ in 0..2 * MAX_SPARES {
            pool.reclaim(vec![1; MIN_SPARE_BYTES]);
        }
        pool.reclaim(Vec::with_capacity(2 * MAX_SPARE_BYTES));
        assert_eq!(pool.0.len(), MAX_SPARES);
        let chunk = pool.lend();
        assert!(chunk.is_empty() && chunk.capacity() == MIN_SPARE_BYTES);
        let mut pool = <Pool>::default();
        pool.reclaim(vec![1; 100]);
        assert_eq!(pool.0.len(), 0);
    }
}
