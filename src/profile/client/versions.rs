//! The memory that keeps a client from signing two profiles as one version.

use std::io;

/// Remembers the highest version that an identity has signed or seen at one server, beyond the life of the
/// program.
///
/// A server that was restored from a backup asks for versions that were used before. Two records of one
/// version would make it a matter of luck which of them others believe, so a client signs above what it
/// remembers.
pub trait Versions: Send {
    /// Returns the highest version remembered, 0 if none.
    ///
    /// # Errors
    ///
    /// If the memory cannot be read.
    fn highest(&mut self) -> io::Result<u64>;

    /// Remembers a version, if it is higher than what is remembered. Durable when it returns.
    ///
    /// # Errors
    ///
    /// If the memory cannot be written.
    fn raise(&mut self, version: u64) -> io::Result<()>;
}

/// Remembers as long as it lives.
#[derive(Clone, Debug, Default)]
pub struct MemoryVersions(u64);

impl Versions for MemoryVersions {
    fn highest(&mut self) -> io::Result<u64> {
        Ok(self.0)
    }

    fn raise(&mut self, version: u64) -> io::Result<()> {
        self.0 = self.0.max(version);
        Ok(())
    }
}
