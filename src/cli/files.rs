//! The files that programs keep: opened without waiting, and replaced in one step.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::builder::{PathBufValueParser, TypedValueParser};

use crate::profile::durable::{folder_of, sync_folder};

/// Reads the name of a file or a folder from an argument. `-`, which names standard input or output
/// elsewhere, is refused.
pub(super) fn argument() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| match path.as_os_str() == "-" {
        true => Err("standard input and output cannot be used here; write ./- for a file of that name"),
        false => Ok(path),
    })
}

/// Opens a regular file. A link is refused, and so is a pipe or a device: opening one could wait for ever.
///
/// # Errors
///
/// The error of the system; [`io::ErrorKind::InvalidInput`] if it is no regular file.
pub(super) fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    open_checked(path, options, false)
}

/// Does the same with what a link leads to, if there is one.
pub(super) fn open_linked(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    open_checked(path, options, true)
}

fn open_checked(path: &Path, options: &mut OpenOptions, through_links: bool) -> io::Result<File> {
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt as _;
        let links = if through_links { OFlags::empty() } else { OFlags::NOFOLLOW };
        options.custom_flags((OFlags::NONBLOCK | links).bits() as i32).mode(0o600);
    }
    let opened = options.open(path).and_then(|file| Ok((file.metadata()?.is_file(), file)));
    match opened {
        Ok((true, file)) => Ok(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(error),
        // The system has a different error for each kind of thing that is no file.
        outcome => match if through_links { fs::metadata(path) } else { fs::symlink_metadata(path) } {
            Ok(named) if !named.is_file() => Err(no_file(path)),
            _ => Err(outcome.err().unwrap_or_else(|| no_file(path))),
        },
    }
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
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let what = format!("{} has more than {most} bytes", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    Ok(Some(bytes))
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

/// Returns a text without the byte order mark that some editors put in front.
pub(super) fn unmarked(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn no_file(path: &Path) -> io::Error {
    let what = format!("{} is not a regular file", path.display());
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

/// Longest time for another program to let go of a file. It holds it for one write.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[cfg(unix)]
    #[test]
    fn nothing_but_a_regular_file_is_opened() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "content").unwrap();
        mknodat(CWD, at("fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        std::os::unix::fs::symlink(at("file"), at("link")).unwrap();
        std::os::unix::fs::symlink("nowhere", at("dangling")).unwrap();
        fs::create_dir(at("folder")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        for name in ["fifo", "link", "dangling", "folder", "socket"] {
            for write in [false, true] {
                let mut options = OpenOptions::new();
                options.read(true).append(write).create(write);
                let error = open(&at(name), &mut options).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{name}: {error}");
            }
        }
        assert_eq!(read(&at("file"), 7).unwrap().unwrap(), b"content");
        assert_eq!(read(&at("file"), 6).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(read(&at("nothing"), 6).unwrap().is_none());
        assert!(!at("nowhere").exists());
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
