//! Carries all profiles from one place to another.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;

use super::super::exit::{Exit, Failure};
use super::super::output::{Output, Spinner};
use super::super::store::{ServerStore, StoreSnapshot};
use super::folder::{cannot, moving};
use super::place::Place;
use crate::PublicKey;
use crate::api::durable::{folder_of, sync_folder};
use crate::profile::backup::{Closing, Entry};
use crate::profile::{Dated, StoreError, is_newer};

/// What was found when both places were compared.
#[derive(Debug, Default)]
struct Comparison {
    counted: Closing,
    /// The entry is the same there.
    same: u64,
    /// There is a newer entry there.
    newer: u64,
    /// Keys whose entry is not there, and has none that is newer; the first ones.
    missing: Vec<PublicKey>,
    all_missing: u64,
}

/// Stores all entries of `from` in `to`, unless what is there is as new or newer, and compares both. Whenever
/// it is interrupted, the next run goes on.
pub(super) async fn run(from: &Place, to: &Place, output: &Output) -> Result<(), Failure> {
    if from.to_string() == to.to_string() {
        return Err(Failure::new(Exit::Usage, format!("both places are {from}")));
    }
    let source = Arc::new(from.open_stopped().await.map_err(|failure| stop_first(failure, from))?);
    let (folder, target) = open_target(to).await?;
    let target = Arc::new(target);
    let moved = async {
        let what = format!("moving profiles from {from} to {to}");
        let stored = copy(&source, &target, &what, output).await?;
        let spinner = output.spinner("comparing both places");
        let comparison = compare(source.snapshot().await?, target.snapshot().await?, &spinner).await?;
        Ok((stored, comparison))
    };
    let (stored, comparison) = moved.await.map_err(|failure: Failure| match failure.hint {
        Some(_) => failure,
        None => failure.hint("run this again: it goes on where it has ended"),
    })?;
    target.close().await;
    source.close().await;
    if comparison.all_missing > 0 {
        return Err(incomplete(&comparison, to));
    }
    if let Some((beside, folder)) = folder {
        fs::rename(&beside, &folder).map_err(|error| cannot("rename", &beside, error))?;
        sync_folder(folder_of(&folder)).map_err(|error| cannot("sync", folder_of(&folder), error))?;
    }
    report(from, to, stored, &comparison, output);
    Ok(())
}

/// Opens the place where the profiles go. A folder that is not there is made under another name, which is
/// returned with its own: a server must not begin with a part of the profiles.
async fn open_target(to: &Place) -> Result<(Option<(PathBuf, PathBuf)>, ServerStore), Failure> {
    let Some(folder) = to.folder() else {
        return Ok((None, to.open().await?));
    };
    // One that is empty is as good as none. All else that is wrong is found when it is opened.
    let _ = fs::remove_dir(folder);
    let beside = moving(folder);
    let (names, place) = match folder.exists() {
        true => (None, to.clone()),
        false => (Some((beside.clone(), folder.to_owned())), to.with_folder(&beside)),
    };
    let opened = place.open_to_fill().await.map_err(|failure| stop_first(failure, to))?;
    Ok((names, opened))
}

/// Says what to do about profiles that a server uses.
fn stop_first(failure: Failure, place: &Place) -> Failure {
    match failure.error.downcast_ref() {
        Some(StoreError::Locked(_)) => {
            failure.hint(format!("stop the server that uses {place}, then run this again"))
        }
        _ => failure,
    }
}

/// Copies the entries; returns how many were stored.
async fn copy(
    source: &Arc<ServerStore>,
    target: &Arc<ServerStore>,
    what: &str,
    output: &Output,
) -> Result<u64, Failure> {
    let spinner = output.spinner(what);
    let (mut seen, mut stored) = (0, 0);
    let mut snapshot = source.snapshot().await?;
    loop {
        let chunk = snapshot.next_chunk().await?;
        if chunk.is_empty() {
            return Ok(stored);
        }
        for (key, held) in &chunk {
            verify(key, held)?;
        }
        seen += chunk.len() as u64;
        stored += target.restore(chunk).await? as u64;
        spinner.show(&format!("{what}: {seen}"));
        output.json(&json!({"event": "progress", "entries": seen}));
    }
}

/// Fails unless the owner has signed an entry.
fn verify(key: &PublicKey, held: &Dated) -> Result<(), Failure> {
    let Some(entry) = Entry::of(key, held.clone()) else { return Ok(()) };
    match Entry::parse(entry.to_line().trim_ascii_end()) {
        Ok(_) => Ok(()),
        Err(error) => {
            let what = format!("the entry of {key} is damaged: {error}");
            Err(Failure::new(Exit::Storage, what).hint(
                "nothing of it was moved; profile-server check lists all damage, and profile-server restore \
                 brings a backup back",
            ))
        }
    }
}

/// Looks for each entry of one snapshot in another one. Both are in the order of their keys.
async fn compare(
    mut source: StoreSnapshot,
    mut target: StoreSnapshot,
    spinner: &Spinner,
) -> Result<Comparison, Failure> {
    let mut comparison = Comparison::default();
    let mut there = Vec::new().into_iter().peekable();
    loop {
        let chunk = source.next_chunk().await?;
        if chunk.is_empty() {
            return Ok(comparison);
        }
        for (key, held) in chunk {
            let found = loop {
                if there.peek().is_none() {
                    there = target.next_chunk().await?.into_iter().peekable();
                }
                match there.peek() {
                    Some((other, _)) if *other < key => drop(there.next()),
                    Some((other, _)) if *other == key => break there.next().map(|(_, held)| held),
                    _ => break None,
                }
            };
            comparison.count(&key, held, found);
        }
        spinner.show(&format!("comparing both places: {}", comparison.same + comparison.newer));
    }
}

impl Comparison {
    fn count(&mut self, key: &PublicKey, held: Dated, found: Option<Dated>) {
        match found {
            Some(found) if found.entry == held.entry => self.same += 1,
            Some(found) if is_newer(&found.entry, &held.entry) => self.newer += 1,
            _ => {
                self.all_missing += 1;
                if self.missing.len() < MAX_NAMED {
                    self.missing.push(*key);
                }
            }
        }
        if let Some(entry) = Entry::of(key, held) {
            self.counted.count(&entry);
        }
    }
}

fn incomplete(comparison: &Comparison, to: &Place) -> Failure {
    let named: Vec<_> = comparison.missing.iter().map(ToString::to_string).collect();
    let more = if comparison.all_missing > named.len() as u64 { ", …" } else { "" };
    let what = format!(
        "{} entries were changed or are not in {to}: {}{more}",
        comparison.all_missing,
        named.join(", ")
    );
    Failure::new(Exit::Storage, what).hint("stop all servers that use one of the places, then run this again")
}

fn report(from: &Place, to: &Place, stored: u64, comparison: &Comparison, output: &Output) {
    let Comparison { counted, same, newer, .. } = comparison;
    let start = format!("profile-server{}", to.options());
    output.line(&format!(
        "{stored} entries stored; {} were there already, or newer ones",
        (same + newer).saturating_sub(stored)
    ));
    output.line(&format!("compared: {counted}; {same} are the same there, {newer} are newer there"));
    output.line(&format!("{from} is as it was; start the server with"));
    output.line(&format!("  {start}"));
    output.json(&json!({
        "event": "moved",
        "from": from.to_string(),
        "to": to.to_string(),
        "stored": stored,
        "profiles": counted.records,
        "deleted": counted.deleted,
        "moved": counted.moved,
        "same": same,
        "newer": newer,
        "start": start,
    }));
}

/// Keys that are named.
const MAX_NAMED: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::entry::KeyEntry;

    #[test]
    fn what_is_missing_after_a_move_is_named_and_counted() {
        let (mut comparison, to) = (Comparison::default(), Place::usual("data".as_ref()));
        let of = |version| Dated::from(KeyEntry::Deleted { version });
        for (number, found) in [(1, Some(of(2))), (2, Some(of(3))), (3, Some(of(1)))] {
            comparison.count(&PublicKey::from_bytes([number; 32]), of(2), found);
        }
        assert_eq!((comparison.same, comparison.newer, comparison.all_missing), (1, 1, 1));
        let named = incomplete(&comparison, &to).error.to_string();
        let third = PublicKey::from_bytes([3; 32]);
        assert_eq!(named, format!("1 entries were changed or are not in data/profiles: {third}"));
        for number in 4..=4 + MAX_NAMED as u8 {
            comparison.count(&PublicKey::from_bytes([number; 32]), of(2), None);
        }
        let named = incomplete(&comparison, &to).error.to_string();
        assert_eq!(comparison.all_missing, MAX_NAMED as u64 + 2);
        assert!(named.ends_with(", …") && named.matches(", ").count() == MAX_NAMED, "{named}");
    }
}
