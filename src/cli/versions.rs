//! Files beside an identity: the highest version signed or seen at each server, and the last profile that
//! each server has acknowledged.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::files;
use crate::PublicKey;
use crate::profile::backup::Entry;
use crate::profile::entry::KeyEntry;
use crate::profile::record::is_version;
use crate::profile::{Versions, is_newer};

/// What one identity remembers of one server, in two files.
///
/// Versions are lines `<server's key> <version>`. They are only appended, so that a crash damages no older
/// line; concurrent programs take turns by a lock on the file. Profiles are lines `<server's key> <line of a
/// backup>`, one for each server; the file is replaced as a whole, under the same lock.
#[derive(Debug)]
pub struct VersionsFile {
    versions: PathBuf,
    profiles: PathBuf,
    owner: PublicKey,
    server: PublicKey,
    highest: Option<u64>,
    acknowledged: Option<KeyEntry>,
}

impl VersionsFile {
    /// Remembers what concerns `owner` beside its identity file, under that name with `.versions` and
    /// `.profiles` added.
    pub fn beside(identity: &Path, owner: PublicKey, server: PublicKey) -> Self {
        let named = |extension: &str| {
            let mut path = identity.as_os_str().to_owned();
            path.push(extension);
            PathBuf::from(path)
        };
        let (versions, profiles) = (named(".versions"), named(".profiles"));
        Self { versions, profiles, owner, server, highest: None, acknowledged: None }
    }

    /// Returns the file with the profiles.
    pub fn profiles(&self) -> &Path {
        &self.profiles
    }

    /// Opens the file of the versions for writing, for this program alone.
    fn locked(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        let file = files::open(&self.versions, &mut options)?;
        files::lock(&file, &self.versions)?;
        Ok(file)
    }

    fn read_version(&self, file: &File) -> io::Result<u64> {
        let mut bytes = Vec::new();
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
        // The newest versions are at the end.
        if bytes.len() as u64 > MAX_BYTES {
            let what = format!("{} has more than {MAX_BYTES} bytes", self.versions.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        let key = self.server.to_z32();
        let text = String::from_utf8_lossy(&bytes);
        let versions = files::unmarked(&text).lines().filter_map(|line| {
            let (server, version) = line.split_once(' ')?;
            // A line that a crash has cut off counts for nothing.
            let version = version.parse().ok()?;
            (server == key && is_version(version)).then_some(version)
        });
        // The first version is 1.
        Ok(versions.max().unwrap_or(0))
    }

    /// Raises the version in the file, which is locked; returns the one that is in it then.
    fn raise_in(&self, mut file: &File, version: u64) -> io::Result<u64> {
        let stored = self.read_version(file)?;
        if stored < version {
            // The line break comes first, in case the last line was cut off by a crash.
            file.write_all(format!("\n{} {version}\n", self.server).as_bytes())?;
            file.sync_all()?;
        }
        Ok(stored.max(version))
    }

    /// Returns the lines of other servers, and what this server has acknowledged. A line that does not verify
    /// proves nothing.
    fn read_profiles(&self) -> io::Result<(Vec<u8>, KeyEntry)> {
        let bytes = files::read(&self.profiles, MAX_BYTES)?.unwrap_or_default();
        let (mut others, mut newest) = (Vec::new(), KeyEntry::Unknown);
        let own = format!("{} ", self.server);
        let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let Some(line) = line.strip_prefix(own.as_bytes()) else {
                others.extend_from_slice(line);
                others.push(b'\n');
                continue;
            };
            let entry = Entry::parse(line).ok().filter(|entry| *entry.key() == self.owner);
            let entry = entry.map(Entry::into_held).unwrap_or_default().entry;
            if is_newer(&entry, &newest) {
                newest = entry;
            }
        }
        Ok((others, newest))
    }
}

impl Versions for VersionsFile {
    fn highest(&mut self) -> io::Result<u64> {
        if let Some(highest) = self.highest {
            return Ok(highest);
        }
        let highest = match files::open(&self.versions, OpenOptions::new().read(true)) {
            Ok(file) => self.read_version(&file)?,
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
        self.highest = Some(self.raise_in(&self.locked()?, version)?);
        Ok(())
    }

    fn acknowledged(&mut self) -> io::Result<KeyEntry> {
        if let Some(acknowledged) = &self.acknowledged {
            return Ok(acknowledged.clone());
        }
        let (_, acknowledged) = self.read_profiles()?;
        self.acknowledged = Some(acknowledged.clone());
        Ok(acknowledged)
    }

    fn acknowledge(&mut self, entry: &KeyEntry) -> io::Result<()> {
        let Some(line) = Entry::of(&self.owner, entry.clone()) else {
            return Ok(());
        };
        if !is_newer(entry, &self.acknowledged()?) {
            return Ok(());
        }
        let file = self.locked()?;
        let (others, stored) = self.read_profiles()?;
        if !is_newer(entry, &stored) {
            // Another program has seen more.
            self.acknowledged = Some(stored);
            return Ok(());
        }
        let mut aside = self.profiles.as_os_str().to_owned();
        aside.push(".next");
        files::replace(&self.profiles, Path::new(&aside), |file| {
            file.write_all(&others)?;
            file.write_all(format!("{} ", self.server).as_bytes())?;
            file.write_all(&line.to_line())
        })?;
        self.acknowledged = Some(entry.clone());
        // Also for a program that knows nothing of the other file.
        self.highest = Some(self.raise_in(&file, entry.version())?);
        Ok(())
    }
}

/// Most bytes that are read: the profiles of two thousand servers.
const MAX_BYTES: u64 = 32 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KeyPair;
    use crate::profile::{ProfileDraft, Record};
    use std::fs;

    fn owner() -> KeyPair {
        KeyPair::from_seed(&[7; 32])
    }

    fn beside(identity: &Path, server: PublicKey) -> VersionsFile {
        VersionsFile::beside(identity, *owner().public_key(), server)
    }

    fn record(version: u64, name: &str) -> KeyEntry {
        let draft = ProfileDraft { name: name.into(), ..ProfileDraft::default() };
        KeyEntry::Present(Record::sign(&owner(), version, draft.check().unwrap()))
    }

    fn key(n: u8) -> PublicKey {
        PublicKey::from_bytes([n; 32])
    }

    #[test]
    fn remembers_the_highest_version_for_each_server() {
        let folder = tempfile::tempdir().unwrap();
        let identity = folder.path().join("identity");
        let mut one = beside(&identity, key(1));
        assert_eq!(one.highest().unwrap(), 0);
        for version in [3, 2, 5, 4] {
            one.raise(version).unwrap();
        }
        beside(&identity, key(2)).raise(9).unwrap();
        let highest = |n| beside(&identity, key(n)).highest().unwrap();
        assert_eq!((highest(1), highest(2), highest(3)), (5, 9, 0));
    }

    #[test]
    fn a_file_that_is_not_read_to_its_end_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let identity = folder.path().join("identity");
        let path = folder.path().join("identity.versions");
        fs::File::create(&path).unwrap().set_len(MAX_BYTES - 60).unwrap();
        beside(&identity, key(1)).raise(7).unwrap();
        beside(&identity, key(1)).raise(8).unwrap();
        assert!(fs::metadata(&path).unwrap().len() > MAX_BYTES);
        let refused = beside(&identity, key(1)).highest().unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_mark_of_an_editor_is_no_part_of_the_first_line() {
        let folder = tempfile::tempdir().unwrap();
        let identity = folder.path().join("identity");
        beside(&identity, key(1)).acknowledge(&record(5, "Ada")).unwrap();
        for (name, skipped) in [("identity.versions", "\n"), ("identity.profiles", "")] {
            let path = folder.path().join(name);
            let text = fs::read_to_string(&path).unwrap();
            fs::write(&path, format!("\u{feff}{}", text.strip_prefix(skipped).unwrap())).unwrap();
        }
        let mut edited = beside(&identity, key(1));
        assert_eq!(edited.highest().unwrap(), 5);
        assert_eq!(edited.acknowledged().unwrap(), record(5, "Ada"));
    }

    #[test]
    fn a_line_that_was_cut_off_harms_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let identity = folder.path().join("identity");
        beside(&identity, key(1)).raise(7).unwrap();
        let path = folder.path().join("identity.versions");
        let mut text = fs::read(&path).unwrap();
        text.extend_from_slice(b"yyyy\xff");
        fs::write(&path, text).unwrap();
        beside(&identity, key(1)).raise(8).unwrap();
        let highest = beside(&identity, key(1)).highest();
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
                    let mut file = beside(&identity, key(n % 2));
                    for version in 1..20 {
                        file.raise(version * 4 + u64::from(n)).unwrap();
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        let highest = |n| beside(&identity, key(n)).highest().unwrap();
        assert_eq!((highest(0), highest(1)), (78, 79));
    }

    #[test]
    fn remembers_what_each_server_acknowledged_last() {
        let folder = tempfile::tempdir().unwrap();
        let identity = folder.path().join("identity");
        let mut one = beside(&identity, key(1));
        assert_eq!(one.acknowledged().unwrap(), KeyEntry::Unknown);
        one.acknowledge(&KeyEntry::Unknown).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        // Two programs at once: the second one has read the file before the first one writes it.
        let mut slow = beside(&identity, key(1));
        assert_eq!(slow.acknowledged().unwrap(), KeyEntry::Unknown);
        one.acknowledge(&record(3, "three")).unwrap();
        slow.acknowledge(&record(2, "two")).unwrap();
        one.acknowledge(&record(1, "one")).unwrap();
        beside(&identity, key(2)).acknowledge(&record(9, "nine")).unwrap();
        let kept = |n| beside(&identity, key(n)).acknowledged().unwrap();
        assert_eq!((kept(1), kept(2), kept(3)), (record(3, "three"), record(9, "nine"), KeyEntry::Unknown));
        assert_eq!(slow.acknowledged().unwrap(), record(3, "three"));
        assert_eq!(beside(&identity, key(1)).highest().unwrap(), 3);
        // A deletion is newer than what it deletes, and leaves nothing of it.
        one.acknowledge(&KeyEntry::Deleted { version: 3 }).unwrap();
        one.acknowledge(&record(3, "three")).unwrap();
        assert_eq!(kept(1), KeyEntry::Deleted { version: 3 });
        let text = fs::read_to_string(folder.path().join("identity.profiles")).unwrap();
        assert!(text.contains("nine") && !text.contains("three"), "{text}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_profile_that_does_not_verify_is_none_and_harms_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let identity = folder.path().join("identity");
        beside(&identity, key(1)).acknowledge(&record(3, "three")).unwrap();
        beside(&identity, key(2)).acknowledge(&record(4, "four")).unwrap();
        let path = folder.path().join("identity.profiles");
        let forged = fs::read_to_string(&path).unwrap().replace("three", "thref");
        fs::write(&path, [forged.as_bytes(), b"nonsense \xff\n"].concat()).unwrap();
        assert_eq!(beside(&identity, key(1)).acknowledged().unwrap(), KeyEntry::Unknown);
        beside(&identity, key(1)).acknowledge(&record(5, "five")).unwrap();
        assert_eq!(beside(&identity, key(1)).acknowledged().unwrap(), record(5, "five"));
        assert_eq!(beside(&identity, key(2)).acknowledged().unwrap(), record(4, "four"));
        // Another identity's is not this one's.
        let other = *KeyPair::from_seed(&[8; 32]).public_key();
        let mut others = VersionsFile::beside(&identity, other, key(2));
        assert_eq!(others.acknowledged().unwrap(), KeyEntry::Unknown);
    }

    #[test]
    fn a_file_from_before_profiles_were_remembered_still_counts() {
        let folder = tempfile::tempdir().unwrap();
        let identity = folder.path().join("identity");
        fs::write(folder.path().join("identity.versions"), format!("\n{} 5\n", key(1))).unwrap();
        let mut file = beside(&identity, key(1));
        assert_eq!(file.highest().unwrap(), 5);
        // Whether the server has acknowledged version 5 is unknown, so nothing is claimed.
        assert_eq!(file.acknowledged().unwrap(), KeyEntry::Unknown);
    }
}
