//! The names of the files of an identity, and how they change when it is replaced.

use std::io;
use std::path::{Path, PathBuf};

use super::super::exit::{Exit, Failure};
use super::super::files;
use super::super::key_access::quoted;
use crate::PublicKey;
use crate::profile::{Denied, Rotation};

/// Returns the steps that give the files their new names. The old identity is not moved if it has no name.
fn steps(path: &Path, next: &Path, old: Option<&Path>) -> Vec<(PathBuf, PathBuf)> {
    // What is remembered goes first: it is of the identity under whose name it is found.
    let ends = [".versions", ".profiles", ""];
    let away = old.into_iter().flat_map(|old| ends.map(|end| (with_end(path, end), with_end(old, end))));
    let in_place = ends.map(|end| (with_end(next, end), with_end(path, end)));
    away.chain(in_place).collect()
}

/// Gives the files their new names, those that do not have them yet.
pub(super) fn change_names(path: &Path, next: &Path, old: Option<&Path>) -> Result<(), Failure> {
    for (from, to) in steps(path, next, old) {
        match files::rename_new(&from, &to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let what = format!("{} is in the way", to.display());
                let hint = format!("mv {0} {0}.away, then run the command again", quoted(&to));
                return Err(Failure::new(Exit::Identity, what).hint(hint));
            }
            Err(error) => {
                let what = format!("cannot rename {} to {}", from.display(), to.display());
                let error = anyhow::Error::from(error).context(what);
                return Err(Failure::from_error(Exit::Identity, error).hint("run the command again"));
            }
            Ok(()) => {}
        }
    }
    Ok(())
}

/// Returns the name that a replaced identity gets.
pub(super) fn old_name(path: &Path, key: &PublicKey) -> PathBuf {
    with_end(path, &format!(".old-{}", &key.to_z32()[..8]))
}

/// Returns a path with something added to its name.
pub(super) fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// Fails if an identity is being replaced: its file has gone, and the new one has not its name yet.
pub(super) fn refuse_interrupted(path: &Path) -> Result<(), Failure> {
    if path.exists() || !with_end(path, NEXT).exists() {
        return Ok(());
    }
    let what =
        format!("the identity in {} is being replaced, and the program was interrupted", path.display());
    Err(Failure::new(Exit::Identity, what).hint("go on with: profile-client identity rotate"))
}

/// Returns what is said of an identity that was replaced, to its owner.
pub(super) fn replaced(chain: &[Rotation], path: &Path) -> Failure {
    let failure = Failure::from(Denied::Moved { chain: chain.to_vec() });
    match with_end(path, NEXT).exists() {
        true => failure.hint("go on with: profile-client --server KEY identity rotate"),
        false => failure.hint(
            "use the identity file of the new key, see --identity; if you have not replaced it, another one \
             has your key: begin anew with profile-client identity new --identity FILE",
        ),
    }
}

/// What is added to the name of an identity file for the one that is to replace it.
pub(super) const NEXT: &str = ".next";

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::fs;

    fn contents(folder: &Path) -> BTreeMap<String, String> {
        let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
        entries
            .map(|entry| {
                let name = entry.file_name().into_string().unwrap();
                (name, fs::read_to_string(entry.path()).unwrap())
            })
            .collect()
    }

    #[test]
    fn names_that_a_crash_has_left_anywhere_are_changed_to_the_end() {
        let all = ["identity", "identity.versions", "identity.profiles"];
        let next = ["identity.next", "identity.next.versions", "identity.next.profiles"];
        // With and without files beside the identity.
        for beside in 0..4 {
            let lay_out = |folder: &Path| {
                for (n, (old, new)) in all.into_iter().zip(next).enumerate() {
                    if n == 0 || beside & n != 0 {
                        fs::write(folder.join(old), format!("old {n}")).unwrap();
                        fs::write(folder.join(new), format!("new {n}")).unwrap();
                    }
                }
            };
            let mut expected = None;
            for killed_after in 0..=6 {
                let folder = tempfile::tempdir().unwrap();
                lay_out(folder.path());
                let before = contents(folder.path());
                let path = folder.path().join("identity");
                let (next, old) = (with_end(&path, NEXT), with_end(&path, ".old-12345678"));
                for (from, to) in steps(&path, &next, Some(&old)).into_iter().take(killed_after) {
                    let _ = files::rename_new(&from, &to);
                }
                // The old name is known as long as the old file has not got it.
                assert_eq!(refuse_interrupted(&path).is_err(), (3..6).contains(&killed_after));
                change_names(&path, &next, path.exists().then_some(old.as_path()).filter(|_| next.exists()))
                    .unwrap();
                let after = contents(folder.path());
                assert_eq!(after["identity"], "new 0");
                assert_eq!(after["identity.old-12345678"], "old 0");
                assert_eq!(after.len(), before.len());
                assert_eq!(
                    *expected.get_or_insert_with(|| after.clone()),
                    after,
                    "killed after {killed_after}"
                );
            }
        }
    }

    #[test]
    fn nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("identity");
        let (next, old) = (with_end(&path, NEXT), with_end(&path, ".old-12345678"));
        for (path, content) in [(&path, "old"), (&next, "new"), (&old, "another one")] {
            fs::write(path, content).unwrap();
        }
        let before = contents(folder.path());
        let refused = change_names(&path, &next, Some(&old)).unwrap_err();
        assert!(refused.error.to_string().contains("is in the way"), "{}", refused.error);
        assert_eq!(contents(folder.path()), before);
    }
}
