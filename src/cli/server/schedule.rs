//! Writes backups from time to time.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::json;
use tokio::sync::watch;
use tracing::{info, warn};

use super::super::output::Output;
use super::super::store::ServerStore;
use super::args::Arguments;
use super::backup::{Source, write_file};
use super::snapshot::BackupError;
use crate::PublicKey;
use crate::api::durable::create_folder;
use crate::api::key_file::utc;
use crate::profile::backup::Closing;

/// Writes backups until it is dropped, by the schedule that is in force.
pub(super) async fn run(
    mut schedules: watch::Receiver<Option<Schedule>>,
    store: &Arc<ServerStore>,
    output: Output,
) {
    loop {
        let schedule = schedules.borrow_and_update().clone();
        let mut wait = schedule.as_ref().map_or(Duration::MAX, Schedule::until_due);
        loop {
            // A backup that has begun is finished.
            tokio::select! {
                changed = schedules.changed() => match changed {
                    Ok(()) => break,
                    // No other one will come.
                    Err(_) => tokio::time::sleep(wait).await,
                },
                () = tokio::time::sleep(wait) => {}
            }
            match &schedule {
                Some(schedule) => wait = schedule.back_up(store, output).await,
                None => wait = Duration::MAX,
            }
        }
    }
}

/// When backups are written, where, and how many are kept.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    folder: Files,
    every: Duration,
    keep: usize,
}

/// The backups of one server in a folder, which may hold other files as well.
#[derive(Clone, Debug)]
pub(super) struct Files {
    folder: PathBuf,
    /// How their names begin: no other server's do.
    prefix: String,
}

impl Schedule {
    /// Reads the arguments; `None` if no backups are wanted.
    pub(super) fn from_args(arguments: &Arguments, server: &PublicKey) -> Option<Self> {
        Some(Self {
            folder: Files::new(arguments.backup_dir.as_ref()?, server),
            every: arguments.backup_every,
            keep: arguments.backup_keep as usize,
        })
    }

    /// Writes a backup; returns the time until the next one. A failure is logged.
    async fn back_up(&self, store: &Arc<ServerStore>, output: Output) -> Duration {
        match self.write(store).await {
            Ok((path, Closing { records, deleted, moved, .. })) => {
                info!(file = %path.display(), profiles = records, deleted, moved, "backup written");
                let file = path.display().to_string();
                output.json(&json!({
                    "event": "backup", "file": file, "profiles": records, "deleted": deleted, "moved": moved,
                }));
                self.every
            }
            Err(error) => {
                let again = self.every.min(AGAIN);
                let folder = self.folder.folder.display();
                warn!(%error, %folder, again_s = again.as_secs(), "the backup failed");
                again
            }
        }
    }

    /// Returns how long after the newest backup the next one is due.
    fn until_due(&self) -> Duration {
        // Where the folder or the file cannot be read, a backup is due, which reports why it fails.
        let newest = self.folder.newest().ok().flatten();
        let written = newest.and_then(|path| fs::metadata(path).and_then(|file| file.modified()).ok());
        // One from the future counts as written now: the clock was set back.
        let age = written.map(|time| SystemTime::now().duration_since(time).unwrap_or_default());
        age.map_or(Duration::ZERO, |age| self.every.saturating_sub(age))
    }

    async fn write(&self, store: &Arc<ServerStore>) -> Result<(PathBuf, Closing), BackupError> {
        let snapshot = store.snapshot().await?;
        let source = Source::Store(snapshot, Arc::clone(store));
        let Self { folder, keep, .. } = self.clone();
        let written = tokio::task::spawn_blocking(move || {
            create_folder(&folder.folder)?;
            let (path, aside) = folder.next();
            let closing = write_file(source, &path, &aside)?;
            folder.prune(keep)?;
            Ok((path, closing))
        });
        written.await.unwrap_or_else(|error| Err(io::Error::other(error).into()))
    }
}

impl Files {
    pub(super) fn new(folder: &Path, server: &PublicKey) -> Self {
        let prefix = format!("profiles-{}-", &server.to_z32()[..8]);
        Self { folder: folder.to_owned(), prefix }
    }

    /// Returns the newest backup.
    pub(super) fn newest(&self) -> io::Result<Option<PathBuf>> {
        Ok(self.all()?.pop())
    }

    /// Returns the backups, the oldest first.
    fn all(&self) -> io::Result<Vec<PathBuf>> {
        let mut names = Vec::new();
        for file in fs::read_dir(&self.folder)? {
            let name = file?.file_name();
            let time = name.to_str().and_then(|name| name.strip_prefix(&self.prefix)?.strip_suffix(SUFFIX));
            if time.is_some_and(is_time) {
                names.push(self.folder.join(name));
            }
        }
        // The times in the names sort as they follow each other.
        names.sort_unstable();
        Ok(names)
    }

    /// Returns the name of a backup that is written now, and its name until it is complete.
    fn next(&self) -> (PathBuf, PathBuf) {
        let time: String = utc(SystemTime::now()).chars().filter(|c| !"-:".contains(*c)).collect();
        let name = format!("{}{time}{SUFFIX}", self.prefix);
        // The same each time, so that a crash leaves one at most.
        let aside = format!(".{}next", self.prefix);
        (self.folder.join(name), self.folder.join(aside))
    }

    /// Removes the oldest backups.
    fn prune(&self, keep: usize) -> io::Result<()> {
        let all = self.all()?;
        all[..all.len().saturating_sub(keep)].iter().try_for_each(fs::remove_file)
    }
}

/// Returns whether a text is a time as in a name: `20260131T120000Z`.
fn is_time(text: &str) -> bool {
    let shape = text.bytes().map(|byte| if byte.is_ascii_digit() { b'0' } else { byte });
    shape.eq("00000000T000000Z".bytes())
}

const SUFFIX: &str = ".jsonl.gz";
/// Time until a failed backup is tried again.
const AGAIN: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path) -> Files {
        Files::new(folder, &PublicKey::from_bytes([1; 32]))
    }

    #[test]
    fn only_what_the_server_wrote_is_counted_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let own = files(folder.path());
        let other = Files::new(folder.path(), &PublicKey::from_bytes([2; 32]));
        let write = |name: String| fs::write(folder.path().join(name), "x").unwrap();
        for day in 1..=5 {
            write(format!("{}2026010{day}T000000Z.jsonl.gz", own.prefix));
            write(format!("{}2026010{day}T000000Z.jsonl.gz", other.prefix));
        }
        for name in ["mine.gz", "20250101T000000Z.jsonl.gz"] {
            write(name.into());
            write(format!("{}{name}", own.prefix).replace("20250101T", "old"));
        }
        own.prune(2).unwrap();
        let left: Vec<_> = own.all().unwrap();
        assert_eq!(left.len(), 2);
        assert!(left[0].to_str().unwrap().ends_with("20260104T000000Z.jsonl.gz"), "{left:?}");
        assert_eq!(own.newest().unwrap().unwrap(), left[1]);
        assert_eq!(other.all().unwrap().len(), 5);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2 + 5 + 4);
        own.prune(9).unwrap();
        assert_eq!(own.all().unwrap().len(), 2);
    }

    #[test]
    fn a_new_name_is_the_newest() {
        let folder = tempfile::tempdir().unwrap();
        let own = files(folder.path());
        let (path, aside) = own.next();
        fs::write(&path, "x").unwrap();
        fs::write(aside, "x").unwrap();
        assert_eq!(own.all().unwrap(), [path]);
    }

    #[test]
    fn a_backup_is_due_when_the_last_one_is_old_enough() {
        let folder = tempfile::tempdir().unwrap();
        let every = Duration::from_secs(1000);
        let schedule = Schedule { folder: files(folder.path()), every, keep: 1 };
        assert_eq!(schedule.until_due(), Duration::ZERO);
        let (path, _) = schedule.folder.next();
        let file = fs::File::create(&path).unwrap();
        let set = |time| file.set_modified(time).unwrap();
        set(SystemTime::now() - Duration::from_secs(300));
        let wait = schedule.until_due().as_secs();
        assert!((690..=700).contains(&wait), "{wait}");
        set(SystemTime::now() - Duration::from_secs(3000));
        assert_eq!(schedule.until_due(), Duration::ZERO);
        set(SystemTime::now() + Duration::from_secs(1_000_000));
        assert_eq!(schedule.until_due(), every);
    }
}
