//! The files that programs keep: read up to a length, and replaced in one step.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::builder::{PathBufValueParser, TypedValueParser};

use crate::api::durable::{folder_of, sync_folder};
pub(super) use crate::api::files::{open, open_linked, unmarked};
use crate::api::key_file;

/// Reads the name of a file or a folder from an argument. `-`, which names standard input or output
/// elsewhere, is refused.
pub(super) fn argument() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| match path.as_os_str() == "-" {
        true => Err("standard input and output cannot be used here; write ./- for a file of that name"),
        false => Ok(path),
    })
}

/// Reads a regular file that has at most `most` bytes; `None` if there is no file.
///
/// # Errors
///
/// As [`open`]; [`io::ErrorKind::InvalidData`] if the file is larger.
pub(super) fn read(path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match open(path, OpenOptions::new().read(true)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    read_all(file, path, most).map(Some)
}

/// Reads an open file that has at most `most` bytes.
///
/// # Errors
///
/// The error of the system; [`io::ErrorKind::InvalidData`] if the file is larger.
pub(super) fn read_all(file: File, path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let what = format!("{} has more than {most} bytes", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    Ok(bytes)
}

/// Replaces a file, which its owner alone can read, in one step: a reader finds the old content or the new,
/// and so does a start after a power failure. `aside` is in the same folder; what is there is removed.
///
/// # Errors
///
/// The error of the system, or of `write`. The old content is left then.
pub(super) fn replace(
    path: &Path,
    aside: &Path,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    remove(aside)?;
    let written = create_new(aside).and_then(|mut file| {
        write(&mut file)?;
        file.sync_all()?;
        fs::rename(aside, path)
    });
    if written.is_err() {
        // The first error is the one to report.
        let _ = remove(aside);
    }
    written?;
    sync_folder(folder_of(path))
}

/// Renames a file, durably, unless the new name is taken.
///
/// # Errors
///
/// [`io::ErrorKind::AlreadyExists`] if it is; otherwise the error of the system.
pub(super) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    key_file::rename_new(from, to)?;
    // Some systems leave the old name.
    remove(from)?;
    sync_folder(folder_of(to))
}

/// Creates a file that its owner alone can read. Never opens what is there.
pub(super) fn create_new(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Removes a file, if there is one.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Appends to a file while others that do so wait; a program that holds it for long is not waited for.
pub(super) fn lock(file: &File, path: &Path) -> io::Result<()> {
    let give_up_at = Instant::now() + LOCK_TIMEOUT;
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < give_up_at => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(TryLockError::WouldBlock) => {
                let what = format!("another program holds {}", path.display());
                return Err(io::Error::new(io::ErrorKind::TimedOut, what));
            }
            outcome => return outcome.map_err(io::Error::from),
        }
    }
}

/// Longest time for another program to let go of a file. It holds it for one write.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn a_file_is_read_up_to_a_length() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "content").unwrap();
        assert_eq!(read(&path, 7).unwrap().unwrap(), b"content");
        assert_eq!(read(&path, 6).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(read(&folder.path().join("nothing"), 6).unwrap().is_none());
    }

    #[test]
    fn a_file_is_replaced_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let (path, aside) = (folder.path().join("file"), folder.path().join("file.next"));
        fs::write(&aside, "left by a crash").unwrap();
        replace(&path, &aside, |file| file.write_all(b"one")).unwrap();
        let failed = replace(&path, &aside, |file| {
            file.write_all(b"tw")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_held_file_is_not_waited_for_without_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let (one, two) = (create_new(&path).unwrap(), File::open(&path).unwrap());
        lock(&one, &path).unwrap();
        assert_eq!(lock(&two, &path).unwrap_err().kind(), io::ErrorKind::TimedOut);
        one.unlock().unwrap();
        lock(&two, &path).unwrap();
    }
}
