//! Which files are accepted, and why others are not.

use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

/// Why an identity file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// The content is not that of an identity file, or was changed.
    #[error("the identity file {} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        what: &'static str,
    },
    /// There is a file where a new one was to be made.
    #[error("there is a file already at {}", .0.display())]
    Exists(PathBuf),
    /// The file system failed.
    #[error("cannot {verb} the identity file {}", path.display())]
    Io {
        /// The operation that failed.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The file has other names beside this one.
    #[error("the identity file {} has {links} names (hard links): others may reach it", path.display())]
    Linked {
        /// The file.
        path: PathBuf,
        /// How many names it has.
        links: u64,
    },
    /// The path names a symbolic link.
    #[error("the identity file {} is a symbolic link", .0.display())]
    Link(PathBuf),
    /// There is no file.
    #[error("there is no identity file at {}", .0.display())]
    Missing(PathBuf),
    /// The path names a folder or a device.
    #[error("the identity file {} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// The file belongs to another user.
    #[error("the identity file {} belongs to {}", path.display(), owner(*is_root))]
    Owner {
        /// The file.
        path: PathBuf,
        /// Whether that user is root.
        is_root: bool,
    },
    /// A passphrase protects the file.
    #[error("the identity file {} is protected by a passphrase", .0.display())]
    Protected(PathBuf),
    /// Other users can read the file, or write to it.
    #[error("the identity file {} can be used by other users (mode {mode:04o})", path.display())]
    Readable {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
}

impl KeyFileError {
    /// Returns whether the file may be one that an orchestrator mounts, which
    /// [`KeyFile::mounted`](super::KeyFile::mounted) accepts.
    pub const fn may_be_mounted(&self) -> bool {
        match self {
            Self::Readable { mode, .. } => *mode & NOT_MOUNTED == 0,
            Self::Owner { is_root, .. } => *is_root,
            Self::Link(_) => true,
            _ => false,
        }
    }
}

const fn owner(is_root: bool) -> &'static str {
    if is_root { "root" } else { "another user" }
}

#[cfg(unix)]
pub(super) fn check_access(path: &Path, opened: &Metadata, mounted: bool) -> Result<(), KeyFileError> {
    use std::os::unix::fs::MetadataExt as _;
    let is_root = opened.uid() == 0;
    if rustix::process::geteuid().as_raw() != opened.uid() && !(mounted && is_root) {
        return Err(KeyFileError::Owner { path: path.to_owned(), is_root });
    }
    let mode = opened.mode() & 0o7777;
    if mode & if mounted { NOT_MOUNTED } else { 0o077 } != 0 {
        return Err(KeyFileError::Readable { path: path.to_owned(), mode });
    }
    if opened.nlink() > 1 {
        return Err(KeyFileError::Linked { path: path.to_owned(), links: opened.nlink() });
    }
    Ok(())
}

#[cfg(not(unix))]
pub(super) fn check_access(_: &Path, _: &Metadata, _: bool) -> Result<(), KeyFileError> {
    Ok(())
}

pub(super) fn io_error(verb: &'static str, path: &Path) -> impl Fn(io::Error) -> KeyFileError {
    let path = path.to_owned();
    move |source| KeyFileError::Io { verb, path: path.clone(), source }
}

/// Permissions that a mounted file does not give: anything to all users, more than reading to its group.
const NOT_MOUNTED: u32 = 0o037;
