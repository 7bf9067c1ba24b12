//! What the programs read from files that others may have touched.

use super::meter::at_most;
use crate::api::key_file;
use crate::cli::routes;

/// Most bytes that reading a file of `length` bytes may allocate.
const fn budget(length: usize) -> usize {
    64 * 1024 + 8 * length
}

/// Reads bytes as the file that the first byte picks.
pub(super) fn read(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    at_most(budget(bytes.len()), || match kind % 2 {
        0 => identity(bytes),
        _ => route(bytes),
    });
}

/// An identity file: what is accepted has been written by this crate, but for comments and spaces.
fn identity(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(pair) = key_file::parse(text) {
        let again = key_file::parse(&key_file::render(&pair)).expect("what is written can be read");
        assert_eq!(again.public_key(), pair.public_key());
    }
}

/// A line of remembered routes.
fn route(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = routes::entry(text);
}
