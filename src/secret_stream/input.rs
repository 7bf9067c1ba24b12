//! What has arrived of a stream and waits to be decrypted.

use std::collections::VecDeque;

/// Bytes in the pieces in which they came: a frame is read across their borders, so nobody has to join them.
#[derive(Debug, Default)]
pub struct Input {
    pieces: VecDeque<Vec<u8>>,
    /// Bytes of the first piece that are gone.
    gone: usize,
    length: usize,
    /// Pieces whose bytes are gone.
    spent: Vec<Vec<u8>>,
}

impl Input {
    /// Appends a piece.
    pub fn push(&mut self, piece: Vec<u8>) {
        self.length += piece.len();
        self.pieces.push_back(piece);
    }

    /// Returns how many bytes wait.
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Returns whether none wait.
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Hands out the pieces whose bytes are gone, for whoever has another use for their memory.
    pub fn spent(&mut self) -> impl Iterator<Item = Vec<u8>> {
        std::mem::take(&mut self.spent).into_iter()
    }

    /// Returns the `count` bytes behind the first `skip`, as far as they are there, piece by piece.
    pub(super) fn pieces(&self, skip: usize, count: usize) -> impl Iterator<Item = &[u8]> + Clone {
        let (mut skip, mut count) = (skip + self.gone, count);
        let wanted = self.pieces.iter().map_while(move |piece| {
            let start = skip.min(piece.len());
            let end = piece.len().min(start + count);
            skip -= start;
            count -= end - start;
            // Those behind are not even looked at: there may be many.
            (end > start || count > 0).then(|| &piece[start..end])
        });
        wanted.filter(|piece| !piece.is_empty())
    }

    /// Copies the `N` bytes behind the first `skip`; `None` if not all of them are there.
    pub(super) fn peek<const N: usize>(&self, skip: usize) -> Option<[u8; N]> {
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

    /// Removes bytes from the front, of which there must be so many.
    pub(super) fn remove(&mut self, count: usize) {
        self.length -= count;
        self.gone += count;
        while let Some(first) = self.pieces.front()
            && self.gone >= first.len()
        {
            self.gone -= first.len();
            let spent = self.pieces.pop_front();
            if self.spent.len() < MAX_SPENT {
                self.spent.extend(spent);
            }
        }
        if self.pieces.is_empty() && self.pieces.capacity() > 0 {
            self.pieces = VecDeque::new();
        }
    }
}

/// Spent pieces kept for whoever asks.
const MAX_SPENT: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_found_across_the_borders_of_pieces() {
        let mut input = Input::default();
        for piece in [&b"ab"[..], b"", b"c", b"defg"] {
            input.push(piece.to_vec());
        }
        assert_eq!(input.len(), 7);
        let pieces = |input: &Input, skip, count| -> Vec<Vec<u8>> {
            input.pieces(skip, count).map(<[u8]>::to_vec).collect()
        };
        assert_eq!(pieces(&input, 1, 3), [&b"b"[..], b"c", b"d"]);
        assert_eq!(pieces(&input, 5, 9), [b"fg"]);
        assert_eq!(input.peek(1), Some(*b"bcde"));
        assert_eq!(input.peek::<3>(5), None);

        input.remove(4);
        assert_eq!(pieces(&input, 0, 2), [b"ef"]);
        assert_eq!(input.peek(0), Some(*b"efg"));
        assert_eq!(input.spent().count(), 3);
        input.remove(3);
        assert!(input.is_empty());
        assert_eq!(input.spent().count(), 1);
    }
}
