//! What a client remembers of its profile at one server.

use std::io;

use super::super::entry::{KeyEntry, is_newer};

/// Remembers an identity's profile at one server, beyond the life of the program.
///
/// Two numbers are kept. No two profiles may share a version, whether the server accepted them or not:
/// readers may hold either, so a client signs above every version that was *signed or seen*. What the server
/// has *acknowledged* is durable there: if it knows less later, it has lost something, and the client can
/// bring that back.
pub trait Versions: Send {
    /// Returns the highest version that was signed or seen, 0 if none.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    fn highest(&mut self) -> io::Result<u64>;

    /// Stores a version if it is higher than the stored one. Durable when it returns.
    ///
    /// # Errors
    ///
    /// If the version cannot be stored.
    fn raise(&mut self, version: u64) -> io::Result<()>;

    /// Returns what the server has acknowledged with the highest version.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    fn acknowledged(&mut self) -> io::Result<KeyEntry>;

    /// Stores what the server has acknowledged, unless something newer is stored: see [`is_newer`]. Durable
    /// when it returns.
    ///
    /// # Errors
    ///
    /// If it cannot be stored.
    fn acknowledge(&mut self, entry: &KeyEntry) -> io::Result<()>;
}

/// Keeps everything in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryVersions {
    highest: u64,
    acknowledged: KeyEntry,
}

impl Versions for MemoryVersions {
    fn highest(&mut self) -> io::Result<u64> {
        Ok(self.highest)
    }

    fn raise(&mut self, version: u64) -> io::Result<()> {
        self.highest = self.highest.max(version);
        Ok(())
    }

    fn acknowledged(&mut self) -> io::Result<KeyEntry> {
        Ok(self.acknowledged.clone())
    }

    fn acknowledge(&mut self, entry: &KeyEntry) -> io::Result<()> {
        if is_newer(entry, &self.acknowledged) {
            self.acknowledged = entry.clone();
        }
        Ok(())
    }
}
