//! The file that holds an identity. Blocks on the disk.
//!
//! ```text
//! # what this is, when it was made, the public key
//! HYPERPROFILE-SECRET-1 <z-base-32 of the seed (32 bytes) and the first 4 bytes of BLAKE2b-256(seed)>
//! ```
//!
//! The file is complete and on disk before it gets its name, it never replaces another file, and it is never
//! written again. Until then it has no name at all where the system can do that; where it cannot, what a
//! killed program leaves is removed by the next one.

mod access;
mod create;
mod file;
#[cfg(test)]
mod tests;
mod text;

pub use access::KeyFileError;
#[cfg(feature = "cli")]
pub(crate) use create::rename_new;
pub use file::{KeyFile, LoadedKey};
#[cfg(all(feature = "cli", any(test, fuzzing)))]
pub(crate) use text::parse;
#[cfg(feature = "cli")]
pub(crate) use text::render;
#[cfg(feature = "cli")]
pub(crate) use text::{PROTECTED, utc};
