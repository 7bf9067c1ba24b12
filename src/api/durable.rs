//! Folders, whose names survive a power failure where the file system can do that.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Once;

use tracing::warn;

/// Syncs the names in a folder, where the file system can do that; warns once in a process where it cannot.
///
/// Linux answers `EINVAL` for a file system that has no sync of folders, as some network file systems, and
/// FUSE file systems also answer `ENOTSUP`. Their files are synced all the same.
///
/// # Errors
///
/// Any other error of the system.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(folder)?.sync_all() {
        Err(error) if is_unsupported(&error) => {
            static WARNED: Once = Once::new();
            let folder = folder.display();
            WARNED.call_once(|| {
                warn!(%folder, %error, "this file system cannot sync folders: \
                      a power failure can lose files that were just made");
            });
            Ok(())
        }
        outcome => outcome,
    }
}

/// Creates a folder, and those that it lies in, for its owner alone, and syncs their names. A folder that
/// exists stays as it is.
///
/// # Errors
///
/// The error of the system.
pub(crate) fn create_folder(folder: &Path) -> io::Result<()> {
    let missing = folder.ancestors().take_while(|folder| *folder != Path::new("") && !folder.is_dir());
    let missing: Vec<_> = missing.collect();
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    missing.into_iter().try_for_each(|folder| sync_folder(folder_of(folder)))
}

/// Returns the folder in which a path names something.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

#[cfg(unix)]
fn is_unsupported(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let unsupported = [Errno::INVAL, Errno::NOTSUP, Errno::OPNOTSUPP];
    Errno::from_io_error(error).is_some_and(|errno| unsupported.contains(&errno))
}

#[cfg(not(unix))]
fn is_unsupported(_: &io::Error) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn only_a_file_system_that_cannot_sync_folders_is_excused() {
        for (errno, excused) in [
            (rustix::io::Errno::INVAL, true),
            (rustix::io::Errno::NOTSUP, true),
            (rustix::io::Errno::IO, false),
        ] {
            assert_eq!(is_unsupported(&errno.into()), excused, "{errno}");
        }
        assert!(!is_unsupported(&io::Error::other("no error of the system")));
    }

    #[test]
    fn folders_are_made_for_their_owner_alone() {
        let outside = tempfile::tempdir().unwrap();
        let folder = outside.path().join("a/b");
        for _ in 0..2 {
            create_folder(&folder).unwrap();
        }
        #[cfg(unix)]
        for made in [&folder, folder_of(&folder)] {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(made).unwrap().permissions().mode() & 0o777, 0o700);
        }
        fs::write(outside.path().join("file"), "").unwrap();
        assert!(create_folder(&outside.path().join("file/c")).is_err());
        assert_eq!(folder_of(Path::new("name")), Path::new("."));
    }
}
