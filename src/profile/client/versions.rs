//! The highest version that a client has signed: no two profiles may share a version.

use std::io;

/// Remembers the highest version that an identity has signed or seen at one server, beyond the life of the
/// program.
///
/// A server that was restored from a backup asks for versions that were used before. Of two signed records of
/// one version readers may hold either, so a client signs above what it remembers.
pub trait Versions: Send {
    /// Returns the highest version stored, 0 if none.
    ///
    /// # Errors
    ///
    /// If the version cannot be read.
    fn highest(&mut self) -> io::Result<u64>;

    /// Stores a version if it is higher than the stored one. Durable when it returns.
    ///
    /// # Errors
    ///
    /// If the version cannot be stored.
    fn raise(&mut self, version: u64) -> io::Result<()>;
}

/// Keeps the version in memory.
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
