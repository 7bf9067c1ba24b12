//! Files that others may have touched: opened without waiting.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

/// Opens a regular file. A link is refused, and so is a pipe or a device: opening one could wait for ever.
///
/// # Errors
///
/// The error of the system; [`io::ErrorKind::InvalidInput`] if it is no regular file.
pub(crate) fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    open_checked(path, options, false)
}

/// Does the same with what a link leads to, if there is one.
pub(crate) fn open_linked(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
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

/// Returns a text without the byte order mark that some editors put in front.
pub(crate) fn unmarked(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn no_file(path: &Path) -> io::Error {
    let what = format!("{} is not a regular file", path.display());
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        open(&at("file"), OpenOptions::new().read(true)).unwrap();
        let linked = open_linked(&at("link"), OpenOptions::new().read(true)).unwrap();
        assert_eq!(io::read_to_string(linked).unwrap(), "content");
        assert!(!at("nowhere").exists());
    }
}
