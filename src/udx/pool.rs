//! Byte queues that idle streams lend to busy ones.

use std::collections::VecDeque;

/// Spare byte queues. A stream takes one when bytes come and gives it back when it has none, so that idle streams hold none.
#[derive(Debug, Default)]
pub(super) struct Pool(Vec<VecDeque<u8>>);

impl Pool {
    /// Makes `queue` ready to be filled.
    pub(super) fn lend(&mut self, queue: &mut VecDeque<u8>) {
        if queue.capacity() == 0
            && let Some(spare) = self.0.pop()
        {
            *queue = spare;
        }
    }

    /// Takes the memory of `queue` if it is empty.
    pub(super) fn reclaim(&mut self, queue: &mut VecDeque<u8>) {
        if queue.is_empty() && queue.capacity() > 0 {
            let spare = std::mem::take(queue);
            if self.0.len() < MAX_SPARES && spare.capacity() <= MAX_SPARE_BYTES {
                self.0.push(spare);
            }
        }
    }
}

const MAX_SPARES: usize = 8;
const MAX_SPARE_BYTES: usize = 2 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_no_more_than_its_bounds() {
        let mut pool = Pool::default();
        for _ in 0..2 * MAX_SPARES {
            pool.reclaim(&mut VecDeque::with_capacity(100));
        }
        pool.reclaim(&mut VecDeque::with_capacity(2 * MAX_SPARE_BYTES));
        assert_eq!(pool.0.len(), MAX_SPARES);
        let mut queue = VecDeque::new();
        pool.lend(&mut queue);
        assert!(queue.capacity() >= 100);
    }
}
