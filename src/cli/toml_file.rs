//! Files in TOML that a person writes: read up to a length, only if nobody else can write them, and every
//! error with its line.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::exit::{Exit, Failure};
use super::files;
use super::key_access::quoted;
use crate::api::files::open_linked;

/// The content of a file.
#[derive(Debug)]
pub(super) struct TomlFile {
    pub(super) path: PathBuf,
    text: String,
}

impl TomlFile {
    /// Reads a file; `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`Exit::Usage`] if the system does not let it be read, if it is no regular file of at most
    /// [`MAX_BYTES`], if another user may write it, or if it is not text in UTF-8.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, Failure> {
        let cannot = |error: io::Error| {
            let what = format!("cannot read {}", path.display());
            Failure::from_error(Exit::Usage, anyhow::Error::from(error).context(what))
        };
        let file = match open_linked(path, OpenOptions::new().read(true)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(cannot)?,
        };
        check_writers(&file, path)?;
        let mut bytes = Vec::new();
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(cannot)?;
        if bytes.len() as u64 > MAX_BYTES {
            let what = format!("{} has more than {MAX_BYTES} bytes", path.display());
            return Err(Failure::new(Exit::Usage, what));
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Some(Self { path: path.to_owned(), text: files::unmarked(&text).to_owned() })),
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let text = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
                Err(Self { path: path.to_owned(), text }.wrong(valid, "this is not text in UTF-8"))
            }
        }
    }

    /// Returns what the file holds.
    ///
    /// # Errors
    ///
    /// [`Exit::Usage`] with the line that is not TOML.
    pub(super) fn table(&self) -> Result<DeTable<'_>, Failure> {
        let table = DeTable::parse(&self.text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            self.wrong(at, error.message())
        })?;
        Ok(table.into_inner())
    }

    /// Returns the number of the line in which a byte stands.
    pub(super) fn line(&self, at: usize) -> usize {
        line(&self.text, at)
    }

    /// Returns the failure of what stands at a byte.
    pub(super) fn wrong(&self, at: usize, what: &str) -> Failure {
        self.wrong_line(self.line(at), what)
    }

    /// Returns the failure of what stands in a line.
    pub(super) fn wrong_line(&self, line: usize, what: &str) -> Failure {
        Failure::new(Exit::Usage, format!("{}:{line}: {what}", self.path.display()))
    }
}

/// Returns the number of the line in which a byte stands.
pub(super) fn line(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

/// Fails if a user other than this one and root may have written a file: the network and the server that it
/// names are then the choice of that user. OpenSSH holds its configuration to the same rule.
#[cfg(unix)]
fn check_writers(file: &File, path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = file.metadata().map_err(|error| Failure::from_error(Exit::Usage, error))?;
    let user = rustix::process::geteuid().as_raw();
    if metadata.uid() != user && metadata.uid() != 0 {
        let what = format!("{} belongs to another user", path.display());
        let hint = format!("read it, then make it yours with sudo chown \"$USER\" {}", quoted(path));
        return Err(Failure::new(Exit::Usage, what).hint(hint));
    }
    if metadata.mode() & 0o022 != 0 {
        let what = format!("other users may write {}", path.display());
        let hint = format!("read it, then keep others from it with chmod go-w {}", quoted(path));
        return Err(Failure::new(Exit::Usage, what).hint(hint));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_writers(_: &File, _: &Path) -> Result<(), Failure> {
    Ok(())
}

/// A larger file was not written by a person.
pub(super) const MAX_BYTES: u64 = 64 * 1024;
