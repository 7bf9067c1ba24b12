//! Writes and opens backups.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::super::exit::Failure;
use super::super::files;
use super::super::store::{ServerStore, StoreSnapshot};
use super::ask;
use super::place::Place;
use super::snapshot::{BackupError, now, write_snapshot};
use crate::profile::backup::{Closing, Reader, Writer};

/// Where the entries of a backup come from.
pub(super) enum Source {
    /// A store of this process, which stays open, and with it locked, as long as it is read.
    Store(StoreSnapshot, Arc<ServerStore>),
    /// A server that runs.
    Server(ask::Backup),
}

impl Source {
    /// Opens the profiles in a place: those of the server that runs there, else the place itself.
    pub(super) async fn open(place: &Place) -> Result<Self, Failure> {
        if place.is_of_data()
            && let Some(answer) = ask::backup(&place.data)?
        {
            return Ok(Self::Server(answer));
        }
        let store = place.open_stopped().await?;
        Ok(Self::Store(store.snapshot().await?, Arc::new(store)))
    }

    /// Writes all entries. Blocks on the disk and on the output.
    pub(super) fn write<W: Write>(self, output: W) -> Result<(W, Closing), BackupError> {
        match self {
            Self::Store(snapshot, _store) => write_snapshot(snapshot, output),
            Self::Server(answer) => {
                let mut writer = Writer::begin(output, now())?;
                for step in Reader::new(answer) {
                    writer.entry(step.map_err(|fault| BackupError::Server(fault.kind))?)?;
                }
                Ok(writer.close()?)
            }
        }
    }
}

/// Writes a backup to a file, compressed if its name ends in `.gz`, or to standard output for `-`. The file
/// gets its name when it is complete and on disk. Blocks.
pub(super) fn write_to(source: Source, path: &Path) -> Result<Closing, BackupError> {
    if path == Path::new("-") {
        // A reader that has gone has not got the backup: that is no success here.
        let written = source.write(BufWriter::new(io::stdout().lock())).and_then(|(mut output, closing)| {
            output.flush()?;
            Ok(closing)
        });
        return written.map_err(|error| match error {
            BackupError::Write(error) => BackupError::Output(error),
            error => error,
        });
    }
    match std::fs::symlink_metadata(path) {
        Ok(named) if !named.is_file() => {
            let what = format!("{} is not a regular file; for a pipe name -", path.display());
            Err(io::Error::new(io::ErrorKind::InvalidInput, what).into())
        }
        _ => write_file(source, path, &aside(path)?),
    }
}

/// Writes a file under another name first.
pub(super) fn write_file(source: Source, path: &Path, aside: &Path) -> Result<Closing, BackupError> {
    let compressed = path.extension().is_some_and(|extension| extension == "gz");
    let mut outcome = None;
    let replaced = files::replace(path, aside, |file| {
        let output = BufWriter::new(file);
        let written = match compressed {
            true => {
                source.write(GzEncoder::new(output, Compression::default())).and_then(|(output, closing)| {
                    output.finish()?.flush()?;
                    Ok(closing)
                })
            }
            false => source.write(output).and_then(|(mut output, closing)| {
                output.flush()?;
                Ok(closing)
            }),
        };
        // The closure fails with an error of the system: the file must not get its name.
        let is_written = written.is_ok();
        outcome = Some(written);
        is_written.then_some(()).ok_or_else(|| io::Error::other("the backup is not complete"))
    });
    match (outcome, replaced) {
        (Some(Err(error)), _) => Err(error),
        (_, Err(error)) => Err(error.into()),
        (Some(Ok(closing)), Ok(())) => Ok(closing),
        (None, Ok(())) => unreachable!("a replaced file was written"),
    }
}

/// Opens a backup for reading, from standard input for `-`; decompresses what is compressed. Blocks.
pub(super) fn open(path: &Path) -> io::Result<Reader<Box<dyn BufRead>>> {
    // A pipe may be named on purpose, so this waits for it.
    let input: Box<dyn Read> = match path == Path::new("-") {
        true => Box::new(io::stdin()),
        false => Box::new(File::open(path)?),
    };
    let mut input = BufReader::with_capacity(1 << 16, input);
    let is_compressed = input.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    // An editor has put a byte order mark in front.
    if input.buffer().starts_with(MARK) {
        input.consume(MARK.len());
    }
    Ok(Reader::new(match is_compressed {
        true => Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(input))),
        false => Box::new(input),
    }))
}

/// A byte order mark in UTF-8.
const MARK: &[u8] = "\u{feff}".as_bytes();

/// Returns the name of a file while it is written.
fn aside(path: &Path) -> io::Result<PathBuf> {
    let own = path.file_name().ok_or_else(|| {
        let what = format!("{} names no file", path.display());
        io::Error::new(io::ErrorKind::InvalidInput, what)
    })?;
    let mut name = std::ffi::OsString::from(".");
    name.push(own);
    name.push(".part");
    Ok(path.with_file_name(name))
}
