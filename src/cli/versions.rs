//! A file beside an identity with the highest version signed or seen at each server.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::PublicKey;
use crate::profile::Versions;
use crate::profile::record::is_version;

/// The versions of one identity at one server. Lines `<server's key> <version>` are only appended, so that a
/// crash damages no older line; concurrent programs take turns by a lock on the file.
#[derive(Debug)]
pub struct VersionsFile {
    path: PathBuf,
    server: PublicKey,
    highest: Option<u64>,
}

impl VersionsFile {
    /// Remembers beside an identity file, under its name with `.versions` added.
    pub fn beside(identity: &Path, server: PublicKey) -> Self {
        let mut path = identity.as_os_str().to_owned();
        path.push(".versions");
        Self { path: path.into(), server, highest: None }
    }

    fn read(&self, mut file: &File) -> io::Result<u64> {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let key = self.server.to_z32();
        let text = String::from_utf8_lossy(&bytes);
        let versions = text.lines().filter_map(|line| {
            let (server, version) = line.split_once(' ')?;
            let version = version.parse().ok()?;
            (server == key && is_version(version)).then_some(version)
        });
        Ok(versions.max().unwrap_or(0))
    }
}

impl Versions for VersionsFile {
    fn highest(&mut self) -> io::Result<u64> {
        if let Some(highest) = self.highest {
            return Ok(highest);
        }
        let highest = match File::open(&self.path) {
            Ok(file) => self.read(&file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        self.highest = Some(highest);
        Ok(highest)
    }

    fn raise(&mut self, version: u64) -> io::Result<()> {
        if version <= self.highest()? {
            return Ok(());
        }
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&self.path)?;
        file.lock()?;
        let stored = self.read(&file)?;
        if stored < version {
            // The line break comes first, in case the last line was cut off by a crash.
            file.write_all(format!("\n{} {version}\n", self.server).as_bytes())?;
            file.sync_all()?;
        }
        self.highest = Some(stored.max(version));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn key(n: u8) -> PublicKey {
        PublicKey::from_bytes([n; 32])
    }

    #[test]
    fn remembers_the_highest_version_for_each_server() {
        let folder = tempfile::tempdir().unwrap();
        let identity = folder.path().join("identity");
        let mut one = VersionsFile::beside(&identity, key(1));
        assert_eq!(one.highest().unwrap(), 0);
        for version in [3, 2, 5, 4] {
            one.raise(version).unwrap();
        }
        VersionsFile::beside(&identity, key(2)).raise(9).unwrap();
        let highest = |n| VersionsFile::beside(&identity, key(n)).highest().unwrap();
        assert_eq!((highest(1), highest(2), highest(3)), (5, 9, 0));
    }

    #[test]
    fn a_line_that_was_cut_off_harms_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let identity = folder.path().join("identity");
        VersionsFile::beside(&identity, key(1)).raise(7).unwrap();
        let path = folder.path().join("identity.versions");
        let mut text = fs::read(&path).unwrap();
        text.extend_from_slice(b"yyyy\xff");
        fs::write(&path, text).unwrap();
        VersionsFile::beside(&identity, key(1)).raise(8).unwrap();
        let highest = VersionsFile::beside(&identity, key(1)).highest();
        assert_eq!(highest.unwrap(), 8);
    }

    #[test]
    fn two_programs_at_once_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let identity = folder.path().join("identity");
        let writers: Vec<_> = (0..4u8)
            .map(|n| {
                let identity = identity.clone();
                std::thread::spawn(move || {
                    let mut file = VersionsFile::beside(&identity, key(n % 2));
                    for version in 1..20 {
                        file.raise(version * 4 + u64::from(n)).unwrap();
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        let highest = |n| VersionsFile::beside(&identity, key(n)).highest().unwrap();
        assert_eq!((highest(0), highest(1)), (78, 79));
    }
}
