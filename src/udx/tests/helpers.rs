//! Short words for what the scenarios do all the time.

use crate::sim::link::{Link, Side};

/// Writes all of `bytes`.
pub(super) fn written(link: &mut Link, side: Side, bytes: &[u8]) {
    let (now, end) = (link.now, link.end(side));
    assert_eq!(end.streams.write(now, end.id, bytes), Ok(bytes.len()));
}

/// Reads at most `max` bytes.
pub(super) fn read(link: &mut Link, side: Side, max: usize) -> Vec<u8> {
    let (now, end) = (link.now, link.end(side));
    let mut out = Vec::new();
    end.streams.read(now, end.id, max, &mut out);
    out
}
