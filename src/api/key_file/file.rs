//! Reads the file of a key pair, or makes one.

use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::super::durable::folder_of;
use super::super::files;
use super::access::{KeyFileError, check_access, io_error};
use super::create::{create, remove_leftovers};
use super::text::{is_protected, parse};
use crate::KeyPair;

/// Reads, makes and keeps key pairs in files. All calls block on the disk.
impl KeyPair {
    /// Reads the key pair in a file, or makes one if there is no file.
    ///
    /// The file is for its owner alone (mode 0600 on Unix), and so are the folders that are made for it. Of
    /// processes that make it at once the first one's key pair counts, for all of them. The format is that of
    /// the programs of this crate; [`KeyFile`] reports whether the key pair is new.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("identity");
    /// use hyperprofile::KeyPair;
    ///
    /// let first = KeyPair::load_or_create(&path)?;
    /// assert_eq!(KeyPair::load_or_create(&path)?, first);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`KeyFileError`] if the file can't be used. It is left as it is.
    pub fn load_or_create(path: impl AsRef<Path>) -> Result<Self, KeyFileError> {
        Ok(KeyFile::new(path.as_ref()).load_or_create()?.key_pair)
    }

    /// Reads the key pair in a file.
    ///
    /// # Errors
    ///
    /// [`KeyFileError`] if there is no file or it can't be used.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, KeyFileError> {
        let path = path.as_ref();
        KeyFile::new(path).load()?.ok_or_else(|| KeyFileError::Missing(path.to_owned()))
    }

    /// Keeps this key pair in a new file, for its owner alone.
    ///
    /// # Errors
    ///
    /// [`KeyFileError::Exists`] if there is a file already: a secret is never overwritten. Another
    /// [`KeyFileError`] if the file can't be made.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), KeyFileError> {
        KeyFile::new(path.as_ref()).save(self)
    }
}

/// A file that holds a key pair, and which files are accepted as one.
///
/// A file is accepted that belongs to the user of the process, that nobody else can read or write, and that
/// has one name: no link, no device. Other systems than Unix check the kind of the file only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFile {
    path: PathBuf,
    mounted: bool,
}

/// A key pair and whether it was made just now.
#[derive(Debug)]
#[non_exhaustive]
pub struct LoadedKey {
    /// The key pair.
    pub key_pair: KeyPair,
    /// Whether there was no file before.
    pub created: bool,
}

impl KeyFile {
    /// Names a file. Nothing is opened yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), mounted: false }
    }

    /// Accepts also what an orchestrator mounts: a link to a file, a file that its group can read, a file of
    /// root. Default `false`.
    pub fn mounted(mut self, accept: bool) -> Self {
        self.mounted = accept;
        self
    }

    /// Returns the name of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the key pair, or makes one if there is no file, as [`KeyPair::load_or_create`].
    ///
    /// # Errors
    ///
    /// [`KeyFileError`] if the file can't be used. It is left as it is.
    pub fn load_or_create(&self) -> Result<LoadedKey, KeyFileError> {
        let path = &self.path;
        remove_leftovers(folder_of(path));
        if let Some(key_pair) = self.load()? {
            return Ok(LoadedKey { key_pair, created: false });
        }
        let created = create(path, &KeyPair::generate())?;
        // Of concurrent processes the first one's identity counts. It is used once its name is on disk.
        let key_pair = self.load()?.ok_or_else(|| io_error("find", path)(io::ErrorKind::NotFound.into()))?;
        Ok(LoadedKey { key_pair, created })
    }

    /// Keeps a key pair in a new file, as [`KeyPair::save`].
    ///
    /// # Errors
    ///
    /// [`KeyFileError::Exists`] if there is a file already; another [`KeyFileError`] if it can't be made.
    pub fn save(&self, key_pair: &KeyPair) -> Result<(), KeyFileError> {
        match create(&self.path, key_pair)? {
            true => Ok(()),
            false => Err(KeyFileError::Exists(self.path.clone())),
        }
    }

    /// Reads the key pair; `None` if there is no file.
    ///
    /// # Errors
    ///
    /// [`KeyFileError`] if the file can't be used.
    pub fn load(&self) -> Result<Option<KeyPair>, KeyFileError> {
        let Some(text) = self.read_text()? else { return Ok(None) };
        if is_protected(&text) {
            return Err(KeyFileError::Protected(self.path.clone()));
        }
        parse(&text).map(Some).map_err(|what| KeyFileError::Damaged { path: self.path.clone(), what })
    }

    /// Reads what is in the file; `None` if there is no file.
    pub(crate) fn read_text(&self) -> Result<Option<Zeroizing<String>>, KeyFileError> {
        let Self { path, mounted } = self;
        let named = if *mounted { fs::metadata(path) } else { fs::symlink_metadata(path) };
        let named = match named {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error("read", path)(error)),
        };
        if named.is_symlink() {
            return Err(KeyFileError::Link(path.clone()));
        }
        if !named.is_file() {
            return Err(KeyFileError::NotAFile(path.clone()));
        }
        let mut options = OpenOptions::new();
        options.read(true);
        let opened = if *mounted { files::open_linked } else { files::open }(path, &mut options);
        let mut file = opened.map_err(io_error("read", path))?;
        let opened = file.metadata().map_err(io_error("read", path))?;
        check_access(path, &opened, *mounted)?;
        let damaged = |what| KeyFileError::Damaged { path: path.clone(), what };
        if opened.len() > MAX_FILE as u64 {
            return Err(damaged("it is longer than any identity file"));
        }
        // With room to spare, so that the text is never moved and leaves no copy behind.
        let mut text = Zeroizing::new(String::with_capacity(2 * MAX_FILE));
        let read = Read::by_ref(&mut file).take(MAX_FILE as u64 + 1).read_to_string(&mut text);
        match read {
            Ok(length) if length > MAX_FILE => Err(damaged("it is longer than any identity file")),
            Ok(_) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(damaged("it is not text")),
            Err(error) => Err(io_error("read", path)(error)),
        }
    }
}

/// Most bytes of a file; an intact one has some 300.
pub(super) const MAX_FILE: usize = 4096;
