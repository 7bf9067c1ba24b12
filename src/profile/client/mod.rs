//! The client's side: sends requests, repeats them when the connection is lost, verifies every record.

mod dial;
mod error;
#[cfg(test)]
mod failing_over;
#[cfg(test)]
mod hostile;
mod moving;
mod operations;
mod reaching;
#[cfg(test)]
mod remembering;
mod session;
#[cfg(test)]
mod tests;
mod versions;
mod watch;
#[cfg(test)]
mod watching;

pub use dial::{Dial, ThroughDht};
pub use error::{ClientError, Denied, DialError};
pub use moving::Found;
pub use operations::ProfileClient;
pub use session::Watched;
pub use versions::{MemoryVersions, Versions};
pub use watch::Watching;
