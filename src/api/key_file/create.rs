//! Makes the file of a key pair, whole and for its owner alone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use rand::RngCore as _;

use super::super::durable::{create_folder, folder_of, sync_folder};
use super::access::{KeyFileError, io_error};
use super::text::render;
use crate::KeyPair;

/// Creates the file; returns `false` if another process was faster.
pub(super) fn create(path: &Path, key_pair: &KeyPair) -> Result<bool, KeyFileError> {
    let folder = folder_of(path);
    create_folder(folder).map_err(io_error("create the folder of", path))?;
    let created = match write_unnamed(folder, path, key_pair) {
        Some(outcome) => outcome,
        None => write_aside(folder, path, key_pair),
    };
    let created = created.map_err(io_error("create", path))?;
    sync_folder(folder).map_err(io_error("sync the folder of", path))?;
    Ok(created)
}

/// Writes a file without a name, then gives it one; `None` where the system cannot do that. A program that is
/// killed before leaves nothing.
#[cfg(target_os = "linux")]
fn write_unnamed(folder: &Path, path: &Path, key_pair: &KeyPair) -> Option<io::Result<bool>> {
    use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat};
    use std::os::fd::AsRawFd as _;
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    // Where it fails for another reason, the other way fails too, and reports it.
    let mut file = File::from(rustix::fs::open(folder, flags, Mode::RUSR | Mode::WUSR).ok()?);
    if let Err(error) = write(&mut file, key_pair) {
        return Some(Err(error));
    }
    let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
    // Unlike a rename, a link never replaces a file.
    match linkat(CWD, unnamed, CWD, path, AtFlags::SYMLINK_FOLLOW) {
        Ok(()) => Some(Ok(true)),
        Err(rustix::io::Errno::EXIST) => Some(Ok(false)),
        // As above.
        Err(_) => None,
    }
}

#[cfg(not(target_os = "linux"))]
fn write_unnamed(_: &Path, _: &Path, _: &KeyPair) -> Option<io::Result<bool>> {
    None
}

/// Writes a file under another name, then gives it its own.
pub(super) fn write_aside(folder: &Path, path: &Path, key_pair: &KeyPair) -> io::Result<bool> {
    let mut random = [0; 8];
    rand::rngs::OsRng.fill_bytes(&mut random);
    let temporary = folder.join(format!("{LEFTOVER_START}{}{LEFTOVER_END}", u64::from_le_bytes(random)));
    let written = write_new(&temporary, key_pair).and_then(|()| rename_new(&temporary, path));
    // Where it was renamed, it is gone already; what else is left is removed by the next start.
    let _ = fs::remove_file(&temporary);
    let written = match written {
        // A file system that cannot: the name comes before the content.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => write_new(path, key_pair),
        written => written,
    };
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Renames a file, unless the new name is taken. Where the system cannot do that, the old name stays.
pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        Ok(renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
    }
    #[cfg(not(any(target_os = "linux", target_os = "macos")))]
    fs::hard_link(from, to)
}

/// Removes files of [`write_aside`] that a killed program has left, as well as it goes: they hold secrets
/// that nobody uses.
pub(super) fn remove_leftovers(folder: &Path) {
    // Without the folder there is nothing to remove, and what cannot be read or removed is not in the way.
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| {
            let number = name.strip_prefix(LEFTOVER_START)?.strip_suffix(LEFTOVER_END)?;
            number.parse::<u64>().ok()
        });
        if number.is_some() && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            // As above.
            let _ = fs::remove_file(entry.path());
        }
    }
}

pub(super) fn write_new(path: &Path, key_pair: &KeyPair) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let written = write(&mut file, key_pair);
    if written.is_err() {
        // Half a secret is of no use, and its name is taken. The first error is the one to report.
        let _ = fs::remove_file(path);
    }
    written
}

fn write(file: &mut File, key_pair: &KeyPair) -> io::Result<()> {
    file.write_all(render(key_pair).as_bytes())?;
    file.sync_all()
}

/// Name of a file that is still to get its own, around a number.
const LEFTOVER_START: &str = ".identity-";
const LEFTOVER_END: &str = ".tmp";
