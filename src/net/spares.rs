//! Memory that a node's busy connections pass on to one another.

use std::sync::{Mutex, PoisonError};

/// Chunks of which the bytes are gone, kept for the next who needs one: allocated anew for each, they would go back to the
/// system and come again, page by page. Connections themselves keep none.
#[derive(Debug, Default)]
pub(super) struct Spares(Mutex<Vec<Vec<u8>>>);

impl Spares {
    /// Returns an empty chunk, a used one if there is any.
    pub(super) fn take(&self) -> Vec<u8> {
        self.lock().pop().unwrap_or_default()
    }

    /// Takes a chunk whose bytes are no longer needed.
    pub(super) fn put(&self, mut chunk: Vec<u8>) {
        if !(MIN_SPARE..=MAX_SPARE).contains(&chunk.capacity()) {
            return;
        }
        chunk.clear();
        let mut spares = self.lock();
        if spares.len() < MAX_SPARES {
            spares.push(chunk);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        // Nothing that holds it can leave it half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Chunks kept for reuse.
const MAX_SPARES: usize = 16;

/// Smaller chunks are cheaper to allocate than to keep.
const MIN_SPARE: usize = 16 * 1024;

/// Larger chunks are rare.
const MAX_SPARE: usize = 128 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_a_bounded_number_of_large_chunks() {
        let spares = Spares::default();
        for _ in 0..2 * MAX_SPARES {
            spares.put(Vec::with_capacity(MIN_SPARE));
            spares.put(Vec::with_capacity(10));
            spares.put(Vec::with_capacity(2 * MAX_SPARE));
        }
        assert_eq!(spares.lock().len(), MAX_SPARES);
        assert!(
            spares
                .lock()
                .iter()
                .all(|chunk| chunk.capacity() == MIN_SPARE)
        );
    }

    #[test]
    fn a_chunk_that_is_used_again_is_empty() {
        let spares = Spares::default();
        spares.put(vec![7; MIN_SPARE]);
        let chunk = spares.take();
        assert!(chunk.is_empty() && chunk.capacity() == MIN_SPARE);
    }
}
