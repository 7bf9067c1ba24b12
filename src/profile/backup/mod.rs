//! Backups: all entries of a store as lines of text (`docs/backup.md`).
//!
//! Each line can be checked by itself: records carry their owner's signature, other entries a sum. A last
//! line closes the text, so that a cut is noticed.

mod line;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use line::{Closing, Entry, FORMAT, Header, LineError};
pub use read::{Fault, FaultKind, Reader};
pub use write::Writer;
