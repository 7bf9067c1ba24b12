//! Whether bytes continue a stream, found out before they are taken for the peer's.

use super::cipher::{Cipher, MAC_LEN};
use super::keys::{CONTENT_OVERHEAD, STREAM_PREFIX_LEN};

/// What bytes of unknown origin are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The first frame that ends in them is the peer's.
    Authentic,
    /// The first frame that ends in them is not.
    Forged,
    /// No frame ends in them yet, or too many precede them.
    Unknown,
}

/// Where a direction goes on.
pub(super) enum Start<'k> {
    /// With its header frame, which begins so, under this key.
    Header { prefix: &'k [u8; STREAM_PREFIX_LEN], key: &'k [u8; 32] },
    /// With its next message.
    Message(Cipher),
}

/// Judges what follows the first `known` bytes of `pieces`; messages have at most `limit` bytes.
pub(super) fn judge<'a>(
    start: Start<'_>,
    pieces: impl Iterator<Item = &'a [u8]> + Clone,
    known: usize,
    limit: usize,
) -> Verdict {
    let mut bytes = Bytes { pieces, current: &[], taken: 0 };
    let cipher = match start {
        Start::Header { prefix, key } => {
            if bytes.copy().is_some_and(|begins: [u8; STREAM_PREFIX_LEN]| begins != *prefix) {
                return Verdict::Forged;
            }
            bytes.copy().map(|header| Cipher::new(key, &header))
        }
        Start::Message(cipher) => Some(cipher),
    };
    let Some(mut cipher) = cipher else {
        return Verdict::Unknown;
    };
    for _ in 0..MAX_FRAMES {
        match bytes.judge_frame(&mut cipher, known, limit) {
            Some(Frame::Known) => {}
            Some(Frame::Authentic) => return Verdict::Authentic,
            Some(Frame::Forged) => return Verdict::Forged,
            None => break,
        }
    }
    Verdict::Unknown
}

/// A whole frame.
enum Frame {
    /// It ends in bytes that are known to be the peer's.
    Known,
    Authentic,
    Forged,
}

/// Bytes in pieces, taken once from the front.
#[derive(Clone)]
struct Bytes<'a, I> {
    pieces: I,
    current: &'a [u8],
    taken: usize,
}

impl<'a, I: Iterator<Item = &'a [u8]> + Clone> Bytes<'a, I> {
    /// Takes a frame, if all of it is there.
    fn judge_frame(&mut self, cipher: &mut Cipher, known: usize, limit: usize) -> Option<Frame> {
        let [low, middle, high] = self.copy()?;
        let content = usize::from(low) | usize::from(middle) << 8 | usize::from(high) << 16;
        let is_known = self.taken + content <= known;
        let length = content.checked_sub(CONTENT_OVERHEAD).filter(|length| *length <= limit);
        let Some(length) = length else {
            // Of known bytes their reader thinks the same.
            return (self.taken > known).then_some(Frame::Forged);
        };
        let [tag] = self.copy()?;
        let message = self.clone();
        let mac = self.skip(length).then(|| self.copy::<MAC_LEN>())??;
        if is_known {
            cipher.pass(tag, &mac);
            return Some(Frame::Known);
        }
        let is_authentic = cipher.is_authentic(tag, message.take(length), length, &mac);
        Some(if is_authentic { Frame::Authentic } else { Frame::Forged })
    }

    /// Takes at most `count` bytes that lie together; `None` at the end.
    fn next(&mut self, count: usize) -> Option<&'a [u8]> {
        while self.current.is_empty() {
            self.current = self.pieces.next()?;
        }
        let (now, later) = self.current.split_at(self.current.len().min(count));
        self.current = later;
        self.taken += now.len();
        Some(now)
    }

    /// Takes the next `count` bytes, piece by piece.
    fn take(mut self, mut count: usize) -> impl Iterator<Item = &'a [u8]> {
        std::iter::from_fn(move || {
            let piece = (count > 0).then(|| self.next(count)).flatten()?;
            count -= piece.len();
            Some(piece)
        })
    }

    fn copy<const N: usize>(&mut self) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        let mut done = 0;
        while done < N {
            let piece = self.next(N - done)?;
            bytes[done..done + piece.len()].copy_from_slice(piece);
            done += piece.len();
        }
        Some(bytes)
    }

    fn skip(&mut self, mut count: usize) -> bool {
        while count > 0 {
            let Some(piece) = self.next(count) else {
                return false;
            };
            count -= piece.len();
        }
        true
    }
}

/// Frames that are looked at: each that is passed over costs a few blocks of key stream.
const MAX_FRAMES: usize = 1024;
