//! Takes profiles over from a backup, and from damaged profiles.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::super::exit::{Exit, Failure};
use super::super::key_access::quoted;
use super::super::output::Output;
use super::super::store::ServerStore;
use super::backup;
use super::folder::{cannot, restored, restoring};
use super::place::Place;
use crate::PublicKey;
use crate::api::durable::{folder_of, sync_folder};
use crate::profile::backup::{Entry, Fault};
use crate::profile::entry::Dated;
use crate::profile::{SledStore, Store as _, StoreError};

/// What became of the entries of one source.
#[derive(Debug, Default)]
struct Taken {
    restored: u64,
    /// The store had the same.
    known: u64,
    /// The store had something newer.
    older: u64,
    /// What is wrong with lines, the first ones.
    faults: Vec<String>,
    refused: u64,
}

/// Takes over the entries of a backup, `-` for standard input. A database takes them while servers use it.
pub(super) async fn run(
    place: &Place,
    file: Option<PathBuf>,
    only_backup: bool,
    output: &Output,
) -> Result<(), Failure> {
    if let Some(folder) = place.folder() {
        return into_folder(folder, place, file, only_backup, output).await;
    }
    let Some(file) = file else {
        let what = "nothing to do: a database has no damaged files, and no backup is named";
        return Err(Failure::new(Exit::Usage, what));
    };
    let store = Arc::new(place.open_stopped().await?);
    let taken = take_backup(&store, file, output).await;
    store.close().await;
    taken?.map_or(Ok(()), Err)
}

/// Takes them over into a folder.
///
/// A store that is whole gets them as it is. In place of damaged profiles, or of none, a new store is made
/// beside, and takes their place when it has everything: until then a server finds what was there. A restore
/// that was interrupted before that begins anew, one that was interrupted after it is ended first.
async fn into_folder(
    folder: &Path,
    place: &Place,
    file: Option<PathBuf>,
    only_backup: bool,
    output: &Output,
) -> Result<(), Failure> {
    let ended = end_interrupted(folder, output)?;
    let damaged = match fs::symlink_metadata(folder) {
        Ok(_) => match open(folder, output) {
            Ok(store) => {
                let Some(file) = file else {
                    let what = "nothing to do: the profiles are whole, and no backup is named";
                    return if ended { Ok(()) } else { Err(Failure::new(Exit::Usage, what)) };
                };
                let taken = take_backup(&Arc::new(store.into()), file, output).await?;
                return taken.map_or(Ok(()), Err);
            }
            Err(error @ StoreError::Lost { .. }) => {
                output.note(&error.to_string());
                true
            }
            Err(error @ StoreError::Locked(_)) => {
                return Err(Failure::from(error).hint("stop the server first, then restore"));
            }
            Err(error) => return Err(error.into()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound && file.is_some() => false,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(place.is_empty()),
        Err(error) => return Err(cannot("open", folder, error)),
    };
    let _lock = lock(folder_of(folder))?;
    // Left by a restore that was interrupted.
    let beside = restoring(folder);
    for left in [&beside, &restored(folder)] {
        match fs::remove_dir_all(left) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(cannot("remove", left, error));
            }
            _ => {}
        }
    }
    let store = Arc::new(ServerStore::from(SledStore::open(&beside)?));
    let filled = async {
        if damaged && !only_backup {
            take_readable(&store, folder, output).await?;
        }
        match file {
            Some(file) => take_backup(&store, file, output).await,
            None => Ok(None),
        }
    };
    let refused = match filled.await {
        Ok(refused) => refused,
        Err(failure) => {
            store.close().await;
            // Else a server would take it for an interrupted restore. The first failure is the one to report.
            let _ = fs::remove_dir_all(&beside);
            return Err(failure);
        }
    };
    let is_empty = store.page(None, 1).await?.is_empty();
    store.close().await;
    if is_empty {
        fs::remove_dir_all(&beside).map_err(|error| cannot("remove", &beside, error))?;
        let mut nothing = Failure::new(Exit::Storage, "nothing was restored, and nothing was changed");
        if damaged {
            let quoted = quoted(folder);
            nothing = nothing.hint(format!(
                "name a backup; without one, mv {quoted} {quoted}.lost lets the server begin anew"
            ));
        }
        return Err(refused.unwrap_or(nothing));
    }
    put_in_place(folder, damaged, output)?;
    refused.map_or(Ok(()), Err)
}

fn open(folder: &Path, output: &Output) -> Result<SledStore, StoreError> {
    let _spinner = output.spinner("verifying the profiles");
    SledStore::open(folder)
}

/// Keeps a second restore out until the file is dropped.
fn lock(data: &Path) -> Result<Option<File>, Failure> {
    // Where folders cannot be opened, as on Windows, there is no such lock.
    let Ok(folder) = File::open(data) else {
        return Ok(None);
    };
    match folder.try_lock() {
        Ok(()) => Ok(Some(folder)),
        Err(TryLockError::WouldBlock) => {
            let what = format!("another restore is under way in {}", data.display());
            Err(Failure::new(Exit::Storage, what).hint("wait until it has ended"))
        }
        Err(TryLockError::Error(error)) => Err(cannot("lock", data, error)),
    }
}

/// Gives the restored profiles their name. What was there gets another one.
fn put_in_place(folder: &Path, damaged: bool, output: &Output) -> Result<(), Failure> {
    // From here on, what can be read of the damaged profiles is in the new ones.
    rename(&restoring(folder), &restored(folder))?;
    if damaged {
        let aside = SledStore::set_aside(folder)?;
        output.note(&format!("the damaged profiles are kept in {}", aside.display()));
        output.json(&json!({"event": "set_aside", "folder": aside.display().to_string()}));
    }
    match end_interrupted(folder, output)? {
        true => Ok(()),
        false => {
            let data = folder_of(folder).display();
            let what = format!("something else has taken the place of the profiles in {data}");
            let restored = quoted(&restored(folder));
            Err(Failure::new(Exit::Storage, what).hint(format!("what was restored is in {restored}")))
        }
    }
}

/// Gives profiles their name that were restored as a whole, if nothing has it. Returns whether it did.
fn end_interrupted(folder: &Path, output: &Output) -> Result<bool, Failure> {
    let restored = restored(folder);
    if folder.exists() || !restored.exists() {
        return Ok(false);
    }
    rename(&restored, folder)?;
    output.note("the restored profiles are in place: start the server");
    Ok(true)
}

/// Renames a folder, durably. Both names are in the same one.
fn rename(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::rename(from, to).map_err(|error| cannot("rename", from, error))?;
    sync_folder(folder_of(to)).map_err(|error| cannot("sync", folder_of(to), error))
}

/// Takes over what can be read of damaged profiles, and is signed.
async fn take_readable(store: &Arc<ServerStore>, folder: &Path, output: &Output) -> Result<(), Failure> {
    let folder = folder.to_owned();
    let taken = take(store, move |entries| {
        let mut line = 0;
        let checked = SledStore::check(&folder, |key, held| {
            let Some(entry) = Entry::of(&key, held) else { return };
            line += 1;
            // What was decrypted was verified before it was stored; here it is about to be trusted anew.
            let entry = Entry::parse(entry.to_line().trim_ascii_end());
            // Fails only if the other side has failed, which reports why.
            let _ = entries.blocking_send(entry.map_err(|error| Fault { line, kind: error.into() }));
        });
        checked.map(|_| ()).map_err(Failure::from)
    });
    let spinner = output.spinner("reading the damaged profiles");
    let taken = taken.await?;
    drop(spinner);
    report(&taken, "the damaged profiles", output);
    Ok(())
}

/// Takes over a backup. Returns a failure if it is not whole: what can be read was taken over all the same.
async fn take_backup(
    store: &Arc<ServerStore>,
    file: PathBuf,
    output: &Output,
) -> Result<Option<Failure>, Failure> {
    let name = file.display().to_string();
    let taken = take(store, move |entries| {
        let reader = backup::open(&file).map_err(|error| cannot("read", &file, error))?;
        for step in reader {
            // Fails only if the other side has failed, which reports why.
            if entries.blocking_send(step).is_err() {
                break;
            }
        }
        Ok(())
    });
    let spinner = output.spinner(&format!("reading {name}"));
    let taken = taken.await?;
    drop(spinner);
    report(&taken, &name, output);
    if taken.refused == 0 {
        return Ok(None);
    }
    let more = match taken.refused as usize > taken.faults.len() {
        true => "; …",
        false => "",
    };
    let what = format!("{name} is damaged: {}{more}", taken.faults.join("; "));
    let failure = Failure::new(Exit::Storage, what);
    Ok(Some(failure.hint("what can be read was taken over; restore another backup as well, if there is one")))
}

/// Stores the entries that `read` sends from a thread of its own.
async fn take<R>(store: &Arc<ServerStore>, read: R) -> Result<Taken, Failure>
where
    R: FnOnce(mpsc::Sender<Result<Entry, Fault>>) -> Result<(), Failure> + Send + 'static,
{
    let (entries, mut queue) = mpsc::channel(MAX_AT_ONCE);
    let reading = tokio::task::spawn_blocking(move || read(entries));
    let mut taken = Taken::default();
    let mut steps = Vec::new();
    while queue.recv_many(&mut steps, MAX_AT_ONCE).await > 0 {
        let mut entries = Vec::new();
        for step in steps.drain(..) {
            match step {
                Ok(entry) => entries.push((*entry.key(), entry.into_held())),
                Err(fault) => taken.refuse(&fault),
            }
        }
        taken.store(store, entries).await?;
    }
    reading.await.map_err(|error| Failure::from_error(Exit::Internal, error))??;
    Ok(taken)
}

impl Taken {
    /// Stores entries, and counts what became of them.
    async fn store(
        &mut self,
        store: &Arc<ServerStore>,
        entries: Vec<(PublicKey, Dated)>,
    ) -> Result<(), Failure> {
        let all = entries.len();
        let restored = store.restore(entries.clone()).await?;
        self.restored += restored as u64;
        if restored == all {
            return Ok(());
        }
        let mut loads = JoinSet::new();
        for (key, held) in entries {
            let store = Arc::clone(store);
            loads.spawn(async move { Ok::<_, StoreError>(store.load(&key).await? == held.entry) });
        }
        let mut same = 0;
        while let Some(loaded) = loads.join_next().await {
            same += usize::from(loaded.map_err(|error| Failure::from_error(Exit::Internal, error))??);
        }
        // Clients may have changed what was restored since.
        self.known += same.saturating_sub(restored) as u64;
        self.older += all.saturating_sub(same.max(restored)) as u64;
        Ok(())
    }

    fn refuse(&mut self, fault: &Fault) {
        self.refused += 1;
        if self.faults.len() < MAX_NAMED {
            self.faults.push(fault.to_string());
        }
    }
}

fn report(taken: &Taken, source: &str, output: &Output) {
    let Taken { restored, known, older, refused, faults } = taken;
    output.line(&format!(
        "from {source}: {restored} restored, {known} already there, {older} older than what is there, \
         {refused} refused"
    ));
    let faults: Vec<_> = faults.iter().map(|fault| Value::from(fault.as_str())).collect();
    output.json(&json!({
        "event": "restored",
        "from": source,
        "restored": restored,
        "already_there": known,
        "older": older,
        "refused": refused,
        "faults": faults,
    }));
}

/// Entries that are read ahead, and that wait for the disk at a time.
const MAX_AT_ONCE: usize = 256;
/// Damaged lines that are named.
const MAX_NAMED: usize = 20;
