//! The client's side: asks, repeats what got lost, verifies what it gets.

mod error;
#[cfg(test)]
mod hostile;
mod operations;
mod session;
#[cfg(test)]
mod tests;
mod versions;

pub use error::{ClientError, Denied, DialError};
pub use operations::{Dial, ProfileClient};
pub use versions::{MemoryVersions, Versions};
