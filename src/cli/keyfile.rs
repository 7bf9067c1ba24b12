//! The file that holds an identity.
//!
//! ```text
//! # what this is, when it was made, the public key
//! HYPERPROFILE-SECRET-1 <z-base-32 of the seed (32 bytes) and the first 4 bytes of BLAKE2b-256(seed)>
//! ```
//!
//! The file is complete and on disk before it gets its name, it never replaces another file, and it is never
//! written again. Until then it has no name at all where the system can do that; where it cannot, what a
//! killed program leaves is removed by the next one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rand::RngCore as _;
use zeroize::Zeroizing;

use super::files;
use super::key_access::check_access;
pub use super::key_access::{KeyFileError, Modes};
pub(super) use super::key_access::{ModesArgs, quoted};
use crate::KeyPair;
use crate::keys::z_base_32;
use crate::profile::durable::{create_folder, folder_of, sync_folder};
use crate::wire::hash;

/// An identity and whether it was made just now.
#[derive(Debug)]
pub struct Loaded {
    /// The identity.
    pub key_pair: KeyPair,
    /// Whether there was none before.
    pub created: bool,
}

/// Reads the identity in a file, or makes one if there is no file. Blocks on the disk.
///
/// # Errors
///
/// [`KeyFileError`] if the file cannot be used; it is left as it is.
pub fn load_or_create(path: &Path, modes: Modes) -> Result<Loaded, KeyFileError> {
    remove_leftovers(folder_of(path));
    if let Some(key_pair) = load(path, modes)? {
        return Ok(Loaded { key_pair, created: false });
    }
    let key_pair = KeyPair::generate();
    let created = create(path, &key_pair)?;
    // Of concurrent processes the first one's identity counts. It is used once its name is on disk.
    let key_pair =
        load(path, modes)?.ok_or_else(|| io_error("find", path)(io::ErrorKind::NotFound.into()))?;
    Ok(Loaded { key_pair, created })
}

/// Reads the identity in a file; `None` if there is no file. Blocks on the disk.
///
/// # Errors
///
/// [`KeyFileError`] if the file cannot be used.
pub fn load(path: &Path, modes: Modes) -> Result<Option<KeyPair>, KeyFileError> {
    let named = match modes {
        Modes::Strict => fs::symlink_metadata(path),
        Modes::Mounted => fs::metadata(path),
    };
    let named = match named {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error("read", path)(error)),
    };
    if named.is_symlink() {
        return Err(KeyFileError::Link(path.to_owned()));
    }
    if !named.is_file() {
        return Err(KeyFileError::NotAFile(path.to_owned()));
    }
    let opened = match modes {
        Modes::Strict => files::open(path, OpenOptions::new().read(true)),
        Modes::Mounted => files::open_linked(path, OpenOptions::new().read(true)),
    };
    let mut file = opened.map_err(io_error("read", path))?;
    let opened = file.metadata().map_err(io_error("read", path))?;
    check_access(path, &opened, modes)?;
    let damaged = |what| KeyFileError::Damaged { path: path.to_owned(), what };
    if opened.len() > MAX_FILE as u64 {
        return Err(damaged("it is longer than any identity file"));
    }
    // With room to spare, so that the text is never moved and leaves no copy behind.
    let mut text = Zeroizing::new(String::with_capacity(2 * MAX_FILE));
    let read = Read::by_ref(&mut file).take(MAX_FILE as u64 + 1).read_to_string(&mut text);
    match read {
        Ok(length) if length > MAX_FILE => Err(damaged("it is longer than any identity file")),
        Ok(_) => parse(&text).map(Some).map_err(damaged),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(damaged("it is not text")),
        Err(error) => Err(io_error("read", path)(error)),
    }
}

/// Creates the file; returns `false` if another process was faster.
fn create(path: &Path, key_pair: &KeyPair) -> Result<bool, KeyFileError> {
    let folder = folder_of(path);
    create_folder(folder).map_err(io_error("create the folder of", path))?;
    let created = match write_unnamed(folder, path, key_pair) {
        Some(outcome) => outcome,
        None => write_aside(folder, path, key_pair),
    };
    let created = created.map_err(io_error("create", path))?;
    sync_folder(folder).map_err(io_error("sync the folder of", path))?;
    Ok(created)
}

/// Writes a file without a name, then gives it one; `None` where the system cannot do that. A program that is
/// killed before leaves nothing.
#[cfg(target_os = "linux")]
fn write_unnamed(folder: &Path, path: &Path, key_pair: &KeyPair) -> Option<io::Result<bool>> {
    use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat};
    use std::os::fd::AsRawFd as _;
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    // Where it fails for another reason, the other way fails too, and reports it.
    let mut file = File::from(rustix::fs::open(folder, flags, Mode::RUSR | Mode::WUSR).ok()?);
    if let Err(error) = write(&mut file, key_pair) {
        return Some(Err(error));
    }
    let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
    // Unlike a rename, a link never replaces a file.
    match linkat(CWD, unnamed, CWD, path, AtFlags::SYMLINK_FOLLOW) {
        Ok(()) => Some(Ok(true)),
        Err(rustix::io::Errno::EXIST) => Some(Ok(false)),
        // As above.
        Err(_) => None,
    }
}

#[cfg(not(target_os = "linux"))]
fn write_unnamed(_: &Path, _: &Path, _: &KeyPair) -> Option<io::Result<bool>> {
    None
}

/// Writes a file under another name, then gives it its own.
fn write_aside(folder: &Path, path: &Path, key_pair: &KeyPair) -> io::Result<bool> {
    let mut random = [0; 8];
    rand::rngs::OsRng.fill_bytes(&mut random);
    let temporary = folder.join(format!("{LEFTOVER_START}{}{LEFTOVER_END}", u64::from_le_bytes(random)));
    let written = write_new(&temporary, key_pair).and_then(|()| rename_new(&temporary, path));
    // Where it was renamed, it is gone already; what else is left is removed by the next start.
    let _ = fs::remove_file(&temporary);
    let written = match written {
        // A file system that cannot: the name comes before the content.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => write_new(path, key_pair),
        written => written,
    };
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Renames a file, unless the new name is taken.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        Ok(renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
    }
    #[cfg(not(any(target_os = "linux", target_os = "macos")))]
    fs::hard_link(from, to)
}

/// Removes files of [`write_aside`] that a killed program has left, as well as it goes: they hold secrets
/// that nobody uses.
fn remove_leftovers(folder: &Path) {
    // Without the folder there is nothing to remove, and what cannot be read or removed is not in the way.
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| {
            let number = name.strip_prefix(LEFTOVER_START)?.strip_suffix(LEFTOVER_END)?;
            number.parse::<u64>().ok()
        });
        if number.is_some() && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            // As above.
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn write_new(path: &Path, key_pair: &KeyPair) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let written = write(&mut file, key_pair);
    if written.is_err() {
        // Half a secret is of no use, and its name is taken. The first error is the one to report.
        let _ = fs::remove_file(path);
    }
    written
}

fn write(file: &mut File, key_pair: &KeyPair) -> io::Result<()> {
    file.write_all(render(key_pair).as_bytes())?;
    file.sync_all()
}

pub(crate) fn render(key_pair: &KeyPair) -> Zeroizing<String> {
    let seed = key_pair.seed();
    let mut bytes = Zeroizing::new([0; SECRET_LEN]);
    bytes[..32].copy_from_slice(seed);
    bytes[32..].copy_from_slice(&checksum(seed));
    let secret = Zeroizing::new(z_base_32().encode(&*bytes));
    Zeroizing::new(format!(
        "# The secret key of an identity. A program that has this file acts as that identity:\n\
         # show it to nobody, keep a copy in a safe place.\n\
         # created: {}\n\
         # public key: {}\n\
         {MARK}{}\n",
        utc(SystemTime::now()),
        key_pair.public_key(),
        *secret
    ))
}

pub(crate) fn parse(text: &str) -> Result<KeyPair, &'static str> {
    let lines = files::unmarked(text).lines();
    let mut lines = lines.filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let secret = lines
        .next()
        .and_then(|line| line.trim_end().strip_prefix(MARK))
        .ok_or("it has no line that begins with HYPERPROFILE-SECRET-1")?;
    if lines.next().is_some() {
        return Err("it has more than one line beside comments");
    }
    let bytes = z_base_32().decode(secret.as_bytes()).map(Zeroizing::new);
    let bytes = bytes.map_err(|_| "the secret is not z-base-32")?;
    let (seed, sum) = bytes
        .split_first_chunk::<32>()
        .filter(|(_, sum)| sum.len() == SECRET_LEN - 32)
        .ok_or("the secret has the wrong length")?;
    if *sum != checksum(seed) {
        return Err("the checksum of the secret is wrong");
    }
    Ok(KeyPair::from_seed(seed))
}

fn checksum(seed: &[u8; 32]) -> [u8; 4] {
    let [a, b, c, d, ..] = hash::hash(&[seed]);
    [a, b, c, d]
}

fn io_error(verb: &'static str, path: &Path) -> impl Fn(io::Error) -> KeyFileError {
    let path = path.to_owned();
    move |source| KeyFileError::Io { verb, path: path.clone(), source }
}

/// Shows an instant as `2026-01-31T12:00:00Z`.
pub(super) fn utc(time: SystemTime) -> String {
    // A clock before 1970 is not set.
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days are counted from 1 March of year 0, so that a leap day is the last of its year, in eras of 400
    // years.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

/// Name of a file that is still to get its own, around a number.
const LEFTOVER_START: &str = ".identity-";
const LEFTOVER_END: &str = ".tmp";
const MARK: &str = "HYPERPROFILE-SECRET-1 ";
/// Seed and checksum.
const SECRET_LEN: usize = 36;
/// Most bytes of a file; an intact one has some 300.
const MAX_FILE: usize = 4096;

#[cfg(test)]
mod tests {
    use super::super::key_access::OR_MOUNTED;
    use super::*;
    use std::path::PathBuf;
    use std::time::Duration;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    /// Makes an identity in a folder of its own.
    fn made() -> (tempfile::TempDir, PathBuf) {
        let folder = folder();
        let path = folder.path().join("identity");
        load_or_create(&path, Modes::Strict).unwrap();
        (folder, path)
    }

    #[test]
    fn an_identity_is_made_once_and_read_ever_after() {
        let folder = folder();
        let path = folder.path().join("deep/er/identity");
        let first = load_or_create(&path, Modes::Strict).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let second = load_or_create(&path, Modes::Strict).unwrap();
        assert!(first.created && !second.created);
        assert_eq!(first.key_pair.public_key(), second.key_pair.public_key());
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        assert!(text.contains(&format!("# public key: {}\n", first.key_pair.public_key())));
        let files = fs::read_dir(path.parent().unwrap()).unwrap();
        assert_eq!(files.count(), 1, "no temporary file is left");
    }

    #[test]
    fn the_format_is_fixed() {
        // The seed 01 … 01 and the first four bytes of its BLAKE2b-256.
        let key_pair = KeyPair::from_seed(&[1; 32]);
        let text = render(&key_pair);
        let line = text.lines().last().unwrap();
        let secret = line.strip_prefix("HYPERPROFILE-SECRET-1 ").unwrap();
        assert_eq!(secret.len(), 58);
        assert!(secret.starts_with("yryonyebyryonyebyryonyebyryonyebyryonyebyryonyebyry"));
        assert_eq!(parse(&text).unwrap().public_key(), key_pair.public_key());
    }

    #[test]
    fn two_first_runs_at_once_end_with_one_identity() {
        let folder = folder();
        let path = folder.path().join("identity");
        let runs: Vec<_> = (0..8)
            .map(|_| {
                let path = path.clone();
                std::thread::spawn(move || load_or_create(&path, Modes::Strict).unwrap())
            })
            .collect();
        let loaded: Vec<_> = runs.into_iter().map(|run| run.join().unwrap()).collect();
        let key = loaded[0].key_pair.public_key();
        assert!(loaded.iter().all(|one| one.key_pair.public_key() == key));
        assert_eq!(loaded.iter().filter(|one| one.created).count(), 1);
    }

    #[test]
    fn every_damage_is_noticed() {
        let good = render(&KeyPair::from_seed(&[1; 32])).to_string();
        let secret = good.lines().last().unwrap().to_owned();
        for (bad, what) in [
            (String::new(), "empty"),
            ("# only a comment\n".into(), "no secret"),
            (secret[..secret.len() - 1].into(), "cut"),
            (format!("{secret}y"), "longer"),
            (format!("{secret}\n{secret}"), "twice"),
            (secret.replace("SECRET-1", "SECRET-2"), "another format"),
            (secret.replacen("yryo", "yrye", 1), "a changed letter"),
            (secret.to_uppercase(), "upper case"),
            (format!("x{secret}"), "something before"),
        ] {
            assert!(parse(&bad).is_err(), "{what}");
        }
        assert!(parse(&secret).is_ok());
        let edited = format!("\u{feff}{}", good.replace('\n', "\r\n"));
        assert!(parse(&edited).is_ok(), "as an editor of another system saves it");
        let last = secret.len() - 1;
        let spare = if secret.ends_with('y') { "b" } else { "ybndrfg8" };
        for letter in spare.chars() {
            let changed = format!("{}{letter}", &secret[..last]);
            assert!(changed == secret || parse(&changed).is_err(), "{letter}");
        }
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
        assert!(matches!(load(&link, Modes::Strict), Err(KeyFileError::Link(_))));
        assert!(matches!(load(folder.path(), Modes::Strict), Err(KeyFileError::NotAFile(_))));
        for mode in [0o640, 0o440, 0o604, 0o660, 0o602] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let refused = load(&path, Modes::Strict).unwrap_err();
            assert!(matches!(refused, KeyFileError::Readable { .. }));
            let mend = refused.hint().unwrap();
            let mounted = if mode & 0o037 == 0 { OR_MOUNTED } else { "" };
            assert_eq!(mend, format!("chmod 600 '{}'{mounted}", path.display()));
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
        let made = load_or_create(&file, Modes::Strict).unwrap();
        symlink("..2026", at("..data")).unwrap();
        symlink("..data/identity", at("identity")).unwrap();
        let path = at("identity");
        assert!(matches!(load(&path, Modes::Strict), Err(KeyFileError::Link(_))));
        for mode in [0o440, 0o640, 0o400] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            let loaded = load_or_create(&path, Modes::Mounted).unwrap();
            assert!(!loaded.created);
            assert_eq!(loaded.key_pair.public_key(), made.key_pair.public_key());
        }
        for mode in [0o444, 0o460, 0o404, 0o402, 0o450] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            let refused = load(&path, Modes::Mounted).unwrap_err();
            assert!(matches!(refused, KeyFileError::Readable { .. }), "{mode:o}");
            assert!(!refused.hint().unwrap().contains("--no-strict-modes"), "{mode:o}");
        }
        fs::set_permissions(&file, fs::Permissions::from_mode(0o440)).unwrap();
        fs::hard_link(&file, at("other")).unwrap();
        assert!(matches!(load(&path, Modes::Mounted), Err(KeyFileError::Linked { .. })));
        fs::remove_file(&path).unwrap();
        symlink("/dev/zero", &path).unwrap();
        assert!(matches!(load(&path, Modes::Mounted), Err(KeyFileError::NotAFile(_))));
        fs::remove_file(&path).unwrap();
        symlink("nowhere", &path).unwrap();
        // A new identity is not made where a link leads.
        assert!(matches!(load_or_create(&path, Modes::Mounted), Err(KeyFileError::Io { .. })));
        assert!(!at("nowhere").exists());
    }

    #[cfg(unix)]
    #[test]
    fn refuses_a_file_with_another_name_and_one_with_more_behind_its_end() {
        let (folder, path) = made();
        let other = folder.path().join("other");
        fs::hard_link(&path, &other).unwrap();
        let refused = load_or_create(&path, Modes::Strict).unwrap_err();
        assert!(matches!(refused, KeyFileError::Linked { links: 2, .. }), "{refused}");
        fs::remove_file(&other).unwrap();
        load_or_create(&path, Modes::Strict).unwrap();

        let mut text = fs::read_to_string(&path).unwrap();
        text.push_str(&"#\n".repeat(MAX_FILE / 2));
        text.push_str("HYPERPROFILE-SECRET-1 another\n");
        fs::write(&path, text).unwrap();
        assert!(matches!(load(&path, Modes::Strict), Err(KeyFileError::Damaged { .. })));
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
        assert!(!load_or_create(&path, Modes::Strict).unwrap().created);
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
        assert_eq!(load(&path, Modes::Strict).unwrap().unwrap().public_key(), key_pair.public_key());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn debug_shows_no_secret() {
        let folder = folder();
        let path = folder.path().join("identity");
        let loaded = load_or_create(&path, Modes::Strict).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let secret = text.lines().last().unwrap().strip_prefix(MARK).unwrap();
        assert!(!format!("{loaded:?}").contains(secret));
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_799, "2000-02-29T23:59:59Z"),
            (1_735_689_600, "2025-01-01T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(utc(UNIX_EPOCH + Duration::from_secs(seconds)), expected);
        }
    }
}
