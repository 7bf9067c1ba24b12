//! Opening a folder of records.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tracing::debug;

use super::super::entry::{Change, KeyEntry};
use super::super::store::{ApplyError, Store, StoreError};
use super::committer::{self, Job, MAX_BATCH, Shared, engine};
use crate::PublicKey;
use crate::api::ProvenKey;

/// Records in a folder. One process at a time may have it open.
#[derive(Debug)]
pub struct SledStore {
    shared: Arc<Shared>,
    /// `None` only while the store is being dropped.
    jobs: Option<mpsc::Sender<Job>>,
    writer: Option<JoinHandle<()>>,
    /// Released last: until then no other process opens the folder.
    pub(super) lock: File,
}

impl SledStore {
    /// Opens the folder; creates it, for its owner alone, if it does not exist. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// [`StoreError::Locked`] if another process has it open; [`StoreError::Schema`] and
    /// [`StoreError::Blobs`] if this version cannot use its content safely; otherwise the error of the file
    /// system or the engine.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        create_folder(folder)?;
        let lock = lock(&folder.join("lock"))?;
        let database = folder.join("records");
        let blobs = database.join("blobs");
        refuse_blobs(&blobs)?;
        let db = open_database(&database)?;
        check_schema(&db)?;
        let entries = db.open_tree("entries").map_err(engine)?;
        let data_path = database.join("db");
        let data = File::open(&data_path).map_err(|error| io_error("open", &data_path, error))?;
        let sync = {
            let db = db.clone();
            move || {
                db.flush().map_err(engine)?;
                data.sync_data().map_err(|error| io_error("sync", &data_path, error))?;
                refuse_blobs(&blobs)
            }
        };
        sync()?;
        sync_names(folder, &database)?;
        Self::start(entries, lock, sync)
    }

    pub(super) fn start(
        entries: sled::Tree,
        lock: File,
        sync: impl FnMut() -> Result<(), StoreError> + Send + 'static,
    ) -> Result<Self, StoreError> {
        let shared = Arc::new(Shared::new(entries));
        let (jobs, queue) = mpsc::channel(MAX_BATCH);
        let writer = std::thread::Builder::new()
            .name("profile-store".into())
            .spawn({
                let shared = Arc::clone(&shared);
                move || committer::run(&shared, queue, sync)
            })
            .map_err(|error| StoreError::Io {
                what: "start the writing thread".into(),
                cause: Arc::new(error),
            })?;
        Ok(Self { shared, jobs: Some(jobs), writer: Some(writer), lock })
    }

    /// Returns how many keys have a record or had one.
    pub fn count(&self) -> usize {
        self.shared.entries.len()
    }
}

impl Store for SledStore {
    async fn load(&self, key: &PublicKey) -> Result<KeyEntry, StoreError> {
        let (shared, key) = (Arc::clone(&self.shared), *key);
        tokio::task::spawn_blocking(move || shared.load(&key)).await.unwrap_or(Err(StoreError::Failed))
    }

    async fn apply(&self, owner: &ProvenKey, change: Change) -> Result<KeyEntry, ApplyError> {
        let (answer, outcome) = oneshot::channel();
        let job = Job { key: *owner.public_key(), change, answer };
        let jobs = self.jobs.as_ref().ok_or(StoreError::Failed)?;
        jobs.send(job).await.map_err(|_| StoreError::Failed)?;
        outcome.await.unwrap_or_else(|_| Err(StoreError::Failed.into()))
    }
}

impl Drop for SledStore {
    /// Waits until accepted changes are on disk, then lets others open the folder.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            debug!("the writing thread of the store panicked");
        }
        // Closing the file is not enough: a child that this process is just starting holds a copy of it until
        // it runs its own program.
        if let Err(error) = self.lock.unlock() {
            debug!(%error, "cannot unlock the folder of the store");
        }
    }
}

fn create_folder(folder: &Path) -> Result<(), StoreError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|error| io_error("create", folder, error))
}

/// Takes the lock. The system releases it when this process ends, also after a crash.
fn lock(path: &Path) -> Result<File, StoreError> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    let file = options.open(path).map_err(|error| io_error("open", path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked(path.parent().unwrap_or(path).to_owned())),
        Err(TryLockError::Error(error)) => Err(io_error("lock", path, error)),
    }
}

fn open_database(database: &Path) -> Result<sled::Db, StoreError> {
    let config = sled::Config::default()
        .path(database)
        .segment_size(SEGMENT_SIZE)
        .cache_capacity(CACHE_CAPACITY)
        .flush_every_ms(None);
    let give_up_at = Instant::now() + LINGER;
    loop {
        match config.open() {
            // The lock of the folder is held, so this process dropped the store a moment ago and sled has yet
            // to reclaim its memory.
            Err(sled::Error::Io(error))
                if error.to_string().contains("acquire lock") && Instant::now() < give_up_at =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            opened => return opened.map_err(engine),
        }
    }
}

fn check_schema(db: &sled::Db) -> Result<(), StoreError> {
    let expected = SCHEMA.to_le_bytes();
    match db.get(SCHEMA_KEY).map_err(engine)? {
        Some(found) if *found == expected => Ok(()),
        Some(found) => Err(StoreError::Schema {
            found: found
                .first_chunk::<4>()
                .filter(|_| found.len() == 4)
                .map_or_else(|| "unknown".into(), |b| u32::from_le_bytes(*b).to_string()),
            expected: SCHEMA,
        }),
        None => db.insert(SCHEMA_KEY, &expected).map(|_| ()).map_err(engine),
    }
}

fn refuse_blobs(blobs: &Path) -> Result<(), StoreError> {
    match fs::read_dir(blobs) {
        Ok(mut files) => match files.next() {
            None => Ok(()),
            Some(_) => Err(StoreError::Blobs(blobs.to_owned())),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io_error("read", blobs, error)),
    }
}

/// Syncs a folder, so that the names in it are durable, where the system can.
fn sync_names(folder: &Path, database: &Path) -> Result<(), StoreError> {
    let conf = database.join("conf");
    sync_path(&conf)?;
    if cfg!(unix) {
        sync_path(database)?;
        sync_path(folder)?;
        if let Some(parent) = folder.parent().filter(|parent| *parent != Path::new("")) {
            sync_path(parent)?;
        }
    }
    Ok(())
}

fn sync_path(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(|error| io_error("sync", path, error))
}

fn io_error(verb: &str, path: &Path, error: io::Error) -> StoreError {
    StoreError::Io {
        what: format!("cannot {verb} {}", PathBuf::from(path).display()),
        cause: Arc::new(error),
    }
}

/// Longest time for a store that was dropped in this process to release its file.
const LINGER: Duration = Duration::from_secs(5);

const SCHEMA_KEY: &[u8] = b"schema";
/// The format of folder and entries; raised when an older program could misread a newer folder.
const SCHEMA: u32 = 1;

/// 2 MiB. A page over a quarter of it would go to `blobs/`. The largest page has some twenty entries of at
/// most 8.3 KiB.
const SEGMENT_SIZE: usize = 2 << 20;

/// 4 MiB of pages, beside sled's own index of them, which grows with their number whatever is set here.
const CACHE_CAPACITY: u64 = 4 << 20;
