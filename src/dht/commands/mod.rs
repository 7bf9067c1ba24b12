//! Serving the commands, one file per family.
//!
//! Whatever is not as it should be is dropped without an answer, as at the reference; only the two errors of
//! mutable values are told.

mod announce;
mod find_peer;
mod immutable;
pub(super) mod internal;
mod lookup;
mod mutable;
