//! The files of who is banned and who is allowed: one key or network a line, and what follows `#` is for
//! people.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::super::super::exit::{Exit, Failure};
use super::super::super::files;
use super::super::folder::cannot;
use super::request::{Reason, Target};
use crate::api::key_file::utc;
use crate::profile::Admission;

/// One of the two lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// Keys and networks.
    Banned,
    /// Keys alone.
    Allowed,
}

/// The two files of a server.
#[derive(Clone, Debug)]
pub(in super::super) struct Lists {
    banned: PathBuf,
    allowed: PathBuf,
    /// Whether the file of the allowed keys is named by the operator: then it has to be there.
    is_named: bool,
}

/// A line of a list that names someone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) target: Target,
    /// What follows `#`; may be empty.
    pub(super) note: String,
}

/// What a file looks like from outside: one that was changed differs in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamp(Option<(SystemTime, u64, u64)>);

impl Lists {
    /// Names the files of a folder of data. `allowed` stands in for the one of the allowed keys.
    pub(in super::super) fn of(data: &Path, allowed: Option<&Path>) -> Self {
        Self {
            banned: data.join("banned"),
            allowed: allowed.map_or_else(|| data.join("allowed"), Path::to_owned),
            is_named: allowed.is_some(),
        }
    }

    pub(super) fn path(&self, which: Which) -> &Path {
        match which {
            Which::Banned => &self.banned,
            Which::Allowed => &self.allowed,
        }
    }

    /// Reads both lists.
    pub(in super::super) fn read(&self) -> Result<Admission, Failure> {
        let mut admission = Admission::default();
        for which in [Which::Banned, Which::Allowed] {
            self.read_into(which, &mut admission)?;
        }
        Ok(admission)
    }

    /// Replaces what comes from one of the lists; leaves everything as it is if the list cannot be read.
    pub(super) fn read_into(&self, which: Which, admission: &mut Admission) -> Result<(), Failure> {
        let (mut keys, mut networks) = (BTreeSet::new(), BTreeSet::new());
        for line in self.lines(which)? {
            match line.target {
                Target::Key(key) => keys.insert(key),
                Target::Network(network) => networks.insert(network),
            };
        }
        match which {
            Which::Banned => (admission.banned_keys, admission.banned_networks) = (keys, networks),
            Which::Allowed => admission.allowed_keys = keys,
        }
        Ok(())
    }

    /// Returns the lines of a list that name someone. A file that is not there has none.
    pub(super) fn lines(&self, which: Which) -> Result<Vec<Line>, Failure> {
        parse(&self.text(which)?, which, self.path(which))
    }

    /// Adds a line, unless one names the same; returns whether it did.
    pub(super) fn add(&self, which: Which, target: Target, reason: Option<&Reason>) -> Result<bool, Failure> {
        let mut text = self.text(which)?;
        if parse(&text, which, self.path(which))?.iter().any(|line| line.target == target) {
            return Ok(false);
        }
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        let time = utc(SystemTime::now());
        let reason = reason.map(|reason| format!(" {reason}")).unwrap_or_default();
        text.push_str(&format!("{target} # {time}{reason}\n"));
        self.replace(which, &text)?;
        Ok(true)
    }

    /// Removes the lines that name someone, and leaves the others as they are; returns whether there were
    /// any.
    pub(super) fn remove(&self, which: Which, target: Target) -> Result<bool, Failure> {
        let text = self.text(which)?;
        parse(&text, which, self.path(which))?;
        let names_it =
            |line: &&str| matches!(parse_line(line, which), Ok(Some(line)) if line.target == target);
        let kept: String = text.split_inclusive('\n').filter(|line| !names_it(line)).collect();
        if kept.len() == text.len() {
            return Ok(false);
        }
        self.replace(which, &kept)?;
        Ok(true)
    }

    /// Returns what a file looks like now.
    pub(super) fn stamp(&self, which: Which) -> Stamp {
        // A file that is not there, or cannot be asked, looks like none; reading it reports why.
        let file = fs::metadata(self.path(which)).ok();
        Stamp(file.map(|file| (file.modified().unwrap_or(SystemTime::UNIX_EPOCH), file.len(), number(&file))))
    }

    fn text(&self, which: Which) -> Result<String, Failure> {
        let path = self.path(which);
        let bytes = match files::open_linked(path, fs::OpenOptions::new().read(true)) {
            Ok(file) => files::read_all(file, path, MAX_LIST_BYTES),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.must_exist(which) => {
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        };
        let bytes = bytes.map_err(|error| cannot("read", path, error))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let number = 1 + before.iter().filter(|byte| **byte == b'\n').count();
            damaged(path, number, "this is not text in UTF-8")
        })?;
        Ok(files::unmarked(&text).to_owned())
    }

    fn must_exist(&self, which: Which) -> bool {
        which == Which::Allowed && self.is_named
    }

    fn replace(&self, which: Which, text: &str) -> Result<(), Failure> {
        let path = self.path(which);
        if text.len() as u64 > MAX_LIST_BYTES {
            let what = format!("{} would have more than {MAX_LIST_BYTES} bytes", path.display());
            return Err(Failure::new(Exit::Storage, what).hint("ban networks instead of single keys"));
        }
        // Where a link leads to the file, the link stays.
        let file = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let mut aside = file.clone().into_os_string();
        aside.push(".next");
        files::replace(&file, aside.as_ref(), |file| file.write_all(text.as_bytes()))
            .map_err(|error| cannot("write", path, error))
    }
}

fn parse(text: &str, which: Which, path: &Path) -> Result<Vec<Line>, Failure> {
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        match parse_line(line, which) {
            Ok(line) => lines.extend(line),
            Err(what) => return Err(damaged(path, number + 1, &what)),
        }
    }
    Ok(lines)
}

fn parse_line(line: &str, which: Which) -> Result<Option<Line>, String> {
    let (target, note) = line.split_once('#').unwrap_or((line, ""));
    let target = match (target.trim(), which) {
        ("", _) => return Ok(None),
        (target, Which::Banned) => target.parse()?,
        (target, Which::Allowed) => Target::Key(target.parse().map_err(|error| format!("{error}"))?),
    };
    Ok(Some(Line { target, note: note.trim().to_owned() }))
}

fn damaged(path: &Path, line: usize, what: &str) -> Failure {
    Failure::new(Exit::Storage, format!("{}, line {line}: {what}", path.display()))
        .hint("correct the line, or put # in front of it")
}

#[cfg(unix)]
fn number(file: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(file)
}

#[cfg(not(unix))]
const fn number(_file: &fs::Metadata) -> u64 {
    0
}

/// Most bytes of a list: about 200,000 keys.
const MAX_LIST_BYTES: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PublicKey;

    fn key(n: u8) -> Target {
        Target::Key(PublicKey::from_bytes([n; 32]))
    }

    fn lists() -> (tempfile::TempDir, Lists) {
        let folder = tempfile::tempdir().unwrap();
        let lists = Lists::of(folder.path(), None);
        (folder, lists)
    }

    #[test]
    fn lines_are_added_once_and_removed_and_others_stay_as_they_are() {
        let (_folder, lists) = lists();
        assert!(lists.lines(Which::Banned).unwrap().is_empty());
        fs::write(lists.path(Which::Banned), "\u{feff}# by hand\n\n  203.0.113.0/24   # a flood").unwrap();
        let network: Target = "203.0.113.0/24".parse().unwrap();
        assert!(!lists.add(Which::Banned, network, None).unwrap());
        assert!(lists.add(Which::Banned, key(1), Some(&"spam".parse().unwrap())).unwrap());
        assert!(!lists.add(Which::Banned, key(1), None).unwrap());
        let text = fs::read_to_string(lists.path(Which::Banned)).unwrap();
        assert!(text.starts_with("# by hand\n\n  203.0.113.0/24   # a flood\n"), "{text}");
        assert!(text.ends_with("Z spam\n"), "{text}");
        let read = lists.read().unwrap();
        assert_eq!((read.banned_keys.len(), read.banned_networks.len(), read.allowed_keys.len()), (1, 1, 0));
        assert!(lists.remove(Which::Banned, network).unwrap());
        assert!(!lists.remove(Which::Banned, network).unwrap());
        let text = fs::read_to_string(lists.path(Which::Banned)).unwrap();
        assert!(text.starts_with("# by hand\n\n") && text.lines().count() == 3, "{text}");
    }

    #[test]
    fn a_damaged_line_is_named_and_changes_nothing() {
        let (_folder, lists) = lists();
        let mut held = Admission::default();
        lists.add(Which::Banned, key(1), None).unwrap();
        lists.read_into(Which::Banned, &mut held).unwrap();
        let before = held.clone();
        for (which, text, line, what) in [
            (Which::Banned, &b"# fine\nnonsense\n"[..], 2, "expected a public key"),
            (Which::Banned, b"203.0.113.7/24\n", 1, "203.0.113.0/24"),
            (Which::Banned, b"\n\n\xff\n", 3, "UTF-8"),
            (Which::Allowed, b"203.0.113.0/24\n", 1, "a public key has 52 characters"),
        ] {
            fs::write(lists.path(which), text).unwrap();
            for failure in [
                lists.read_into(which, &mut held).unwrap_err(),
                lists.add(which, key(2), None).unwrap_err(),
                lists.remove(which, key(1)).unwrap_err(),
                lists.read().unwrap_err(),
            ] {
                let named = format!("{}, line {line}: ", lists.path(which).display());
                let message = failure.error.to_string();
                assert!(message.starts_with(&named) && message.contains(what), "{message}");
            }
            assert_eq!(held, before);
            assert_eq!(fs::read(lists.path(which)).unwrap(), text);
            fs::remove_file(lists.path(which)).unwrap();
        }
    }

    #[test]
    fn a_list_has_a_bound_and_no_pipe_is_waited_for() {
        let (folder, lists) = lists();
        let full = "#".repeat(MAX_LIST_BYTES as usize);
        fs::write(lists.path(Which::Banned), &full).unwrap();
        assert!(lists.read().is_ok());
        let failure = lists.add(Which::Banned, key(1), None).unwrap_err();
        assert!(failure.error.to_string().contains("would have more than"), "{failure:?}");
        fs::write(lists.path(Which::Banned), full + "#").unwrap();
        assert!(lists.read().unwrap_err().error.to_string().contains("cannot read"));
        fs::remove_file(lists.path(Which::Banned)).unwrap();
        fs::create_dir(lists.path(Which::Banned)).unwrap();
        assert!(lists.read().unwrap_err().error.to_string().contains("is not a regular file"));
        let named = Lists::of(folder.path(), Some(&folder.path().join("missing")));
        assert!(named.lines(Which::Allowed).is_err(), "one that is named has to be there");
    }

    #[cfg(unix)]
    #[test]
    fn a_list_that_a_link_leads_to_is_changed_in_its_place() {
        let (folder, lists) = lists();
        let real = folder.path().join("real");
        fs::write(&real, "# kept\n").unwrap();
        std::os::unix::fs::symlink(&real, lists.path(Which::Allowed)).unwrap();
        let before = lists.stamp(Which::Allowed);
        assert!(lists.add(Which::Allowed, key(1), None).unwrap());
        assert!(fs::read_to_string(&real).unwrap().starts_with("# kept\n"));
        assert!(fs::symlink_metadata(lists.path(Which::Allowed)).unwrap().is_symlink());
        assert_ne!(lists.stamp(Which::Allowed), before);
    }
}
