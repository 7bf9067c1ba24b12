//! Files that are accepted, and files that are not.

use std::fs;
use std::path::{Path, PathBuf};

use super::create::{write_aside, write_new};
use super::file::MAX_FILE;
use super::text::MARK;
use super::{KeyFile, KeyFileError};
use crate::KeyPair;

fn strict(path: &Path) -> KeyFile {
    KeyFile::new(path)
}

#[cfg(unix)]
fn mounted(path: &Path) -> KeyFile {
    KeyFile::new(path).mounted(true)
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// Makes an identity in a folder of its own.
fn made() -> (tempfile::TempDir, PathBuf) {
    let folder = folder();
    let path = folder.path().join("identity");
    strict(&path).load_or_create().unwrap();
    (folder, path)
}

#[test]
fn an_identity_is_made_once_and_read_ever_after() {
    let folder = folder();
    let path = folder.path().join("deep/er/identity");
    let first = strict(&path).load_or_create().unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let second = strict(&path).load_or_create().unwrap();
    assert!(first.created && !second.created);
    assert_eq!(first.key_pair.public_key(), second.key_pair.public_key());
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    assert!(text.contains(&format!("# public key: {}\n", first.key_pair.public_key())));
    let files = fs::read_dir(path.parent().unwrap()).unwrap();
    assert_eq!(files.count(), 1, "no temporary file is left");
}

#[test]
fn two_first_runs_at_once_end_with_one_identity() {
    let folder = folder();
    let path = folder.path().join("identity");
    let runs: Vec<_> = (0..8)
        .map(|_| {
            let path = path.clone();
            std::thread::spawn(move || strict(&path).load_or_create().unwrap())
        })
        .collect();
    let loaded: Vec<_> = runs.into_iter().map(|run| run.join().unwrap()).collect();
    let key = loaded[0].key_pair.public_key();
    assert!(loaded.iter().all(|one| one.key_pair.public_key() == key));
    assert_eq!(loaded.iter().filter(|one| one.created).count(), 1);
}

#[cfg(unix)]
#[test]
fn refuses_what_others_can_read_and_what_is_no_plain_file() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let (folder, path) = made();
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let link = folder.path().join("link");
    symlink(&path, &link).unwrap();
    assert!(matches!(strict(&link).load(), Err(KeyFileError::Link(_))));
    assert!(matches!(strict(folder.path()).load(), Err(KeyFileError::NotAFile(_))));
    for mode in [0o640, 0o440, 0o604, 0o660, 0o602] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let refused = strict(&path).load().unwrap_err();
        assert!(matches!(refused, KeyFileError::Readable { mode: found, .. } if found == mode));
    }
}

#[cfg(unix)]
#[test]
fn a_mounted_file_is_a_link_or_readable_by_its_group_and_nothing_more() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    // As Kubernetes mounts a secret.
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("..2026")).unwrap();
    let file = at("..2026/identity");
    let made = strict(&file).load_or_create().unwrap();
    symlink("..2026", at("..data")).unwrap();
    symlink("..data/identity", at("identity")).unwrap();
    let path = at("identity");
    assert!(matches!(strict(&path).load(), Err(KeyFileError::Link(_))));
    for mode in [0o440, 0o640, 0o400] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let loaded = mounted(&path).load_or_create().unwrap();
        assert!(!loaded.created);
        assert_eq!(loaded.key_pair.public_key(), made.key_pair.public_key());
    }
    for mode in [0o444, 0o460, 0o404, 0o402, 0o450] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let refused = mounted(&path).load().unwrap_err();
        assert!(matches!(refused, KeyFileError::Readable { .. }), "{mode:o}");
    }
    fs::set_permissions(&file, fs::Permissions::from_mode(0o440)).unwrap();
    fs::hard_link(&file, at("other")).unwrap();
    assert!(matches!(mounted(&path).load(), Err(KeyFileError::Linked { .. })));
    fs::remove_file(&path).unwrap();
    symlink("/dev/zero", &path).unwrap();
    assert!(matches!(mounted(&path).load(), Err(KeyFileError::NotAFile(_))));
    fs::remove_file(&path).unwrap();
    symlink("nowhere", &path).unwrap();
    // A new identity is not made where a link leads.
    assert!(matches!(mounted(&path).load_or_create(), Err(KeyFileError::Io { .. })));
    assert!(!at("nowhere").exists());
}

#[cfg(unix)]
#[test]
fn refuses_a_file_with_another_name_and_one_with_more_behind_its_end() {
    let (folder, path) = made();
    let other = folder.path().join("other");
    fs::hard_link(&path, &other).unwrap();
    let refused = strict(&path).load_or_create().unwrap_err();
    assert!(matches!(refused, KeyFileError::Linked { links: 2, .. }), "{refused}");
    fs::remove_file(&other).unwrap();
    strict(&path).load_or_create().unwrap();

    let mut text = fs::read_to_string(&path).unwrap();
    text.push_str(&"#\n".repeat(MAX_FILE / 2));
    text.push_str("HYPERPROFILE-SECRET-1 another\n");
    fs::write(&path, text).unwrap();
    assert!(matches!(strict(&path).load(), Err(KeyFileError::Damaged { .. })));
}

#[test]
fn what_a_killed_program_has_left_is_removed() {
    let folder = folder();
    let path = folder.path().join("identity");
    let leftover = folder.path().join(".identity-7.tmp");
    let others = [".identity-x.tmp", ".identity-7.tmp.old", "identity-7.tmp"];
    // Such a file may have the identity's content under another name.
    write_new(&leftover, &KeyPair::from_seed(&[1; 32])).unwrap();
    fs::hard_link(&leftover, &path).unwrap();
    for other in others {
        fs::write(folder.path().join(other), "").unwrap();
    }
    assert!(!strict(&path).load_or_create().unwrap().created);
    assert!(!leftover.exists());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1 + others.len());
}

#[test]
fn a_file_is_made_without_unnamed_files_too() {
    let folder = folder();
    let path = folder.path().join("identity");
    let key_pair = KeyPair::from_seed(&[1; 32]);
    assert!(write_aside(folder.path(), &path, &key_pair).unwrap());
    assert!(!write_aside(folder.path(), &path, &KeyPair::from_seed(&[2; 32])).unwrap());
    assert_eq!(strict(&path).load().unwrap().unwrap().public_key(), key_pair.public_key());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn debug_shows_no_secret() {
    let folder = folder();
    let path = folder.path().join("identity");
    let loaded = strict(&path).load_or_create().unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let secret = text.lines().last().unwrap().strip_prefix(MARK).unwrap();
    assert!(!format!("{loaded:?}").contains(secret));
}

#[test]
fn a_saved_key_pair_is_loaded_and_never_overwritten() {
    let folder = folder();
    let path = folder.path().join("new/identity");
    assert!(matches!(KeyPair::load(&path), Err(KeyFileError::Missing(missing)) if missing == path));
    assert!(!path.exists());
    let own = KeyPair::from_seed(&[1; 32]);
    own.save(&path).unwrap();
    assert_eq!(KeyPair::load(&path).unwrap(), own);
    assert_eq!(KeyPair::load_or_create(&path).unwrap(), own);
    let refused = KeyPair::generate().save(&path).unwrap_err();
    assert!(matches!(refused, KeyFileError::Exists(_)), "{refused}");
    assert_eq!(KeyPair::load(&path).unwrap(), own);
    fs::write(&path, "HYPERPROFILE-SECRET-1 y\n").unwrap();
    assert!(matches!(KeyPair::load_or_create(&path), Err(KeyFileError::Damaged { .. })));
    assert_eq!(fs::read_to_string(&path).unwrap(), "HYPERPROFILE-SECRET-1 y\n");
}
