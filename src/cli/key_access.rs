//! Which identity files are accepted, and what to do about one that is not.

use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

/// Which identity files are accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Modes {
    /// A file of the user's own that nobody else can read, under no other name.
    #[default]
    Strict,
    /// Also what an orchestrator mounts: a link to a file, a file that its group can read, a file of root.
    Mounted,
}

/// The argument that chooses it, the same in all programs. The name is from `StrictModes` of OpenSSH.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(super) struct ModesArgs {
    /// Accept an identity file that an orchestrator mounts: one of root, one that its group can read, a link
    /// to such a file
    #[arg(long, global = true)]
    no_strict_modes: bool,
}

impl ModesArgs {
    pub(super) const fn modes(self) -> Modes {
        match self.no_strict_modes {
            true => Modes::Mounted,
            false => Modes::Strict,
        }
    }
}

/// Why an identity file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The content is not that of an identity file, or was changed.
    #[error("the identity file {} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        what: &'static str,
    },
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
    /// Returns the command that repairs the file, or another way out.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Readable { path, mode } => Some(match mode & NOT_MOUNTED {
                0 => format!("chmod 600 {}{OR_MOUNTED}", quoted(path)),
                _ => format!("chmod 600 {}", quoted(path)),
            }),
            Self::Link(path) => Some(format!("name the file that ls -l {} shows{OR_MOUNTED}", quoted(path))),
            Self::Linked { path, .. } => Some(format!(
                "find the other name with find / -xdev -samefile {0} and remove it, or make a file of its \
                 own with cp -p {0} {0}.new && mv {0}.new {0}",
                quoted(path)
            )),
            Self::Owner { path, is_root } => {
                let mounted = if *is_root { OR_MOUNTED } else { "" };
                Some(format!("sudo chown \"$USER\" {}{mounted}", quoted(path)))
            }
            Self::NotAFile(path) => Some(format!(
                "ls -ld {0}; move it away with mv {0} {0}.old, or name another file, see --help",
                quoted(path)
            )),
            Self::Damaged { path, .. } => Some(format!(
                "is this the right file? if so, restore it from a backup; only if there is none, give the \
                 identity up with mv {0} {0}.damaged",
                quoted(path)
            )),
            Self::Io { .. } => None,
        }
    }
}

const fn owner(is_root: bool) -> &'static str {
    if is_root { "root" } else { "another user" }
}

#[cfg(unix)]
pub(super) fn check_access(path: &Path, opened: &Metadata, modes: Modes) -> Result<(), KeyFileError> {
    use std::os::unix::fs::MetadataExt as _;
    let is_root = opened.uid() == 0;
    let is_mounted = modes == Modes::Mounted;
    if rustix::process::geteuid().as_raw() != opened.uid() && !(is_mounted && is_root) {
        return Err(KeyFileError::Owner { path: path.to_owned(), is_root });
    }
    let mode = opened.mode() & 0o7777;
    if mode & if is_mounted { NOT_MOUNTED } else { 0o077 } != 0 {
        return Err(KeyFileError::Readable { path: path.to_owned(), mode });
    }
    if opened.nlink() > 1 {
        return Err(KeyFileError::Linked { path: path.to_owned(), links: opened.nlink() });
    }
    Ok(())
}

#[cfg(not(unix))]
pub(super) fn check_access(_: &Path, _: &Metadata, _: Modes) -> Result<(), KeyFileError> {
    Ok(())
}

/// Shows a path as a shell reads it.
pub(super) fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

/// Permissions that a mounted file does not give: anything to all users, more than reading to its group.
const NOT_MOUNTED: u32 = 0o037;
/// What else to do about a file that an orchestrator mounts.
pub(super) const OR_MOUNTED: &str = ", or accept what an orchestrator mounts with --no-strict-modes";
