//! Memory that a node's busy connections pass on to one another.

use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::sync::{Mutex, MutexGuard};
use crate::buffer::Pool;

/// A [`Pool`] that the tasks of a node's connections share with its driver. Allocated anew for each use,
/// chunks would go back to the system and come again, page by page.
#[derive(Debug)]
pub(super) struct Spares {
    pool: Mutex<Pool<MAX_SPARES>>,
    /// Memory of received bytes that connections hold.
    held: AtomicUsize,
    /// How many written bytes of a connection may wait for the driver, beside its own limit.
    send_share: AtomicUsize,
}

impl Default for Spares {
    fn default() -> Self {
        Self { pool: Mutex::default(), held: AtomicUsize::new(0), send_share: AtomicUsize::new(usize::MAX) }
    }
}

impl Spares {
    /// Returns an empty chunk, a used one if there is any.
    pub(super) fn take(&self) -> Vec<u8> {
        self.lock().lend()
    }

    /// Takes a chunk whose bytes are no longer needed.
    pub(super) fn put(&self, chunk: Vec<u8>) {
        self.lock().reclaim(chunk);
    }

    /// Returns how much memory of received bytes the connections hold.
    pub(super) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Counts a connection that held `before` bytes and now holds `after`.
    pub(super) fn count(&self, before: usize, after: usize) {
        // Wraps around on the way if that is less.
        self.held.fetch_add(after.wrapping_sub(before), Ordering::Relaxed);
    }

    /// Returns how many written bytes of a connection may wait for the driver.
    pub(super) fn send_share(&self) -> usize {
        self.send_share.load(Ordering::Relaxed)
    }

    pub(super) fn set_send_share(&self, bytes: usize) {
        self.send_share.store(bytes, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Pool<MAX_SPARES>> {
        // Nothing that holds it can leave it half done.
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Chunks kept for reuse.
const MAX_SPARES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_a_bounded_number_of_large_chunks() {
        let spares = Spares::default();
        for _ in 0..2 * MAX_SPARES {
            spares.put(Vec::with_capacity(16 << 10));
            spares.put(Vec::with_capacity(10));
            spares.put(Vec::with_capacity(256 << 10));
        }
        for _ in 0..MAX_SPARES {
            assert_eq!(spares.take().capacity(), 16 << 10);
        }
        assert_eq!(spares.take().capacity(), 0);
    }

    #[test]
    fn a_chunk_that_is_used_again_is_empty() {
        let spares = Spares::default();
        spares.put(vec![7; 16 << 10]);
        let chunk = spares.take();
        assert!(chunk.is_empty() && chunk.capacity() == 16 << 10);
    }
}
