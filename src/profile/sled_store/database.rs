//! The sled database of one generation.

use std::convert::Infallible;
use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::super::store::StoreError;
use super::committer::Disk;
use super::files::io_error;
use super::shared::engine;

/// A database that is open.
#[derive(Debug)]
pub(super) struct Database {
    db: sled::Db,
    pub(super) entries: sled::Tree,
    data: File,
    path: PathBuf,
    flushes: mpsc::Sender<Flush>,
}

/// A database that is being flushed, and what closes when it is.
type Flush = (sled::Db, mpsc::Receiver<Infallible>);

impl Database {
    /// Opens a database, which sled may change by that, or makes one.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        refuse_blobs(path)?;
        let config = sled::Config::default()
            .path(path)
            .segment_size(SEGMENT_SIZE)
            .cache_capacity(CACHE_CAPACITY)
            .flush_every_ms(None);
        let db = config.open().map_err(engine)?;
        let entries = db.open_tree("entries").map_err(engine)?;
        let data_path = path.join("db");
        let data = File::open(&data_path).map_err(|error| io_error("open", &data_path, error))?;
        let (flushes, begun) = mpsc::channel();
        thread::Builder::new()
            .name("profile-flush".into())
            .spawn(move || look_after(&begun))
            .map_err(|error| io_error("start a thread to flush", path, error))?;
        Ok(Self { db, entries, data, path: path.to_owned(), flushes })
    }

    /// Hands everything that was written to the system.
    ///
    /// When one of its own threads fails to write, sled notes the error and may leave the thread that waits
    /// for the write asleep. A second flush finds the error and wakes the first one.
    fn flush(&self) -> Result<(), StoreError> {
        let (flushed, waiting) = mpsc::channel();
        // The thread that looks after it ends with this alone.
        let _ = self.flushes.send((self.db.clone(), waiting));
        let outcome = self.db.flush().map(drop).map_err(engine);
        drop(flushed);
        outcome
    }

    /// Returns a value that is kept beside the entries.
    pub(super) fn note(&self, name: &str) -> Result<Option<sled::IVec>, StoreError> {
        self.db.get(name).map_err(engine)
    }
}

impl Disk for Database {
    fn sync(&mut self) -> Result<(), StoreError> {
        self.flush()?;
        self.data.sync_data().map_err(|error| io_error("sync", &self.path.join("db"), error))?;
        refuse_blobs(&self.path)
    }

    fn check_room(&mut self, bytes: usize) -> Result<(), StoreError> {
        let size = self.data.metadata().map_err(|error| io_error("read", &self.path, error))?.len();
        check_room(&self.path, size + GROWTH * bytes as u64)
    }
}

/// Flushes databases again whose flush takes too long, until the last one is dropped.
fn look_after(flushes: &mpsc::Receiver<Flush>) {
    let helpers = Arc::new(());
    for (db, waiting) in flushes {
        while waiting.recv_timeout(IMPATIENCE) == Err(RecvTimeoutError::Timeout) {
            // A disk that stands still holds them all up.
            if Arc::strong_count(&helpers) > HELPERS {
                continue;
            }
            let (db, helper) = (db.clone(), Arc::clone(&helpers));
            let again = thread::Builder::new().name("profile-flush".into());
            // Its error is the first one's. Without a thread for it, it is tried again.
            let _ = again.spawn(move || {
                db.flush().map(drop).unwrap_or_default();
                drop(helper);
            });
        }
    }
}

/// Runs something that reads files that may be damaged. A panic inside of sled, which damage can cause, is an
/// error.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    let outcome = catch_unwind(AssertUnwindSafe(work));
    outcome.unwrap_or_else(|_| Err(StoreError::Engine("it cannot make sense of its files".into())))
}

/// Returns what is wrong with a database that has no data: sled would begin an empty one in its place.
pub(super) fn missing_data(database: &Path) -> Result<Option<String>, StoreError> {
    let data = database.join("db");
    match fs::metadata(&data) {
        Ok(found) if found.len() > 0 => Ok(None),
        Ok(_) => Ok(Some(format!("{} is empty", data.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Ok(Some(format!("{} is missing", data.display())))
        }
        Err(error) => Err(io_error("read", &data, error)),
    }
}

/// Returns whether a file of a database is one that sled cannot make anew from the others.
pub(super) fn is_log(name: &str) -> bool {
    name == "db"
}

/// Fails unless the disk has room for so many bytes and a reserve.
pub(super) fn check_room(path: &Path, bytes: u64) -> Result<(), StoreError> {
    let needed = RESERVE + bytes;
    match available(path).map_err(|error| io_error("examine the disk of", path, error))? {
        Some(available) if available < needed => Err(StoreError::Full { available, needed }),
        _ => Ok(()),
    }
}

/// Returns how many bytes are free, where the system says so.
#[cfg(unix)]
fn available(path: &Path) -> io::Result<Option<u64>> {
    let disk = rustix::fs::statvfs(path)?;
    Ok(Some(disk.f_bavail.saturating_mul(disk.f_frsize)))
}

#[cfg(not(unix))]
fn available(_path: &Path) -> io::Result<Option<u64>> {
    Ok(None)
}

fn refuse_blobs(database: &Path) -> Result<(), StoreError> {
    let blobs = database.join("blobs");
    match fs::read_dir(&blobs) {
        Ok(mut files) => match files.next() {
            None => Ok(()),
            Some(_) => Err(StoreError::Blobs(blobs)),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io_error("read", &blobs, error)),
    }
}

/// 2 MiB. A page over a quarter of it would go to `blobs/`. The largest page has some twenty entries of at
/// most 8.4 KiB.
const SEGMENT_SIZE: usize = 2 << 20;

/// Time after which a flush is looked after.
const IMPATIENCE: Duration = Duration::from_millis(200);
/// Threads that look after one at a time.
const HELPERS: usize = 4;

/// 4 MiB of pages, beside sled's own index of them, which grows with their number whatever is set here.
const CACHE_CAPACITY: u64 = 4 << 20;

/// What is kept free: four segments, which sled fills before it uses one again.
const RESERVE: u64 = 4 * SEGMENT_SIZE as u64;

/// How often an entry is written, at most, on average: with its own change, and with its page.
const GROWTH: u64 = 4;
