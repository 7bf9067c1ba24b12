//! The file that says who has changed what: a line of JSON for each act, in the order of the acts.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::json;

use super::super::super::exit::{Exit, Failure};
use super::super::super::files;
use super::super::folder::cannot;
use super::request::Request;
use crate::api::durable::sync_folder;
use crate::api::key_file::utc;

/// The right to change something in a folder of data; others wait until it is dropped.
#[derive(Debug)]
pub(super) struct Audit {
    data: PathBuf,
    file: File,
    /// Locked as long as this lives.
    _lock: File,
}

impl Audit {
    /// Waits for other acts, and opens the file: what could not be noted is not done.
    pub(super) fn begin(data: &Path) -> Result<Self, Failure> {
        let at = |name: &str| data.join(name);
        let lock = open(&at(LOCK)).map_err(|error| cannot("open", &at(LOCK), error))?;
        files::lock(&lock, &at(LOCK)).map_err(|error| cannot("lock", &at(LOCK), error))?;
        let file = open_log(data).map_err(|error| cannot("open", &at(NAME), error))?;
        Ok(Self { data: data.to_owned(), file, _lock: lock })
    }

    /// Notes an act with its outcome, durably.
    ///
    /// # Errors
    ///
    /// If it could not be written; the act is done nevertheless.
    pub(super) fn note(mut self, user: Option<u32>, act: &Request, outcome: &str) -> Result<(), Failure> {
        let (subject, reason) = act.subject();
        let command = act.name();
        let subject_text = subject.as_deref().unwrap_or_default();
        tracing::info!(target: TARGET, user, command, subject = subject_text, outcome, "administrative act");
        let time = utc(SystemTime::now());
        let line = json!({
            "time": time, "user": user, "command": command, "subject": subject, "reason": reason,
            "outcome": outcome,
        });
        let written = writeln!(self.file, "{line}").and_then(|()| self.file.sync_data());
        written.map_err(|error| {
            let path = self.data.join(NAME);
            let what = format!("{command} is done ({outcome}), but was not noted in {}", path.display());
            Failure::from_error(Exit::Storage, anyhow::Error::from(error).context(what))
                .hint("make room on the disk")
        })
    }
}

/// Opens the file for a further line; one that is too long is put aside first.
fn open_log(data: &Path) -> io::Result<File> {
    let path = data.join(NAME);
    let is_new = !path.exists();
    let mut file = open(&path)?;
    if is_new {
        sync_folder(data)?;
    }
    if file.metadata()?.len() > MAX_AUDIT_BYTES {
        fs::rename(&path, data.join(OLDER))?;
        file = open(&path)?;
        sync_folder(data)?;
    }
    // What a crash has cut off stays a line of its own.
    let mut last = [b'\n'];
    if file.seek(SeekFrom::End(0))? > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    if last != *b"\n" {
        file.write_all(b"\n")?;
    }
    Ok(file)
}

fn open(path: &Path) -> io::Result<File> {
    files::open(path, OpenOptions::new().read(true).append(true).create(true))
}

const NAME: &str = "audit.log";
/// What was put aside; the one before it is gone.
const OLDER: &str = "audit.log.1";
/// The file whose lock orders the acts.
const LOCK: &str = "audit.lock";
/// The target of the log lines.
const TARGET: &str = "hyperprofile::audit";
/// Most bytes of the file, and one line more; as many are put aside.
const MAX_AUDIT_BYTES: u64 = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn note(data: &Path, outcome: &str) {
        Audit::begin(data).unwrap().note(Some(7), &Request::Reload, outcome).unwrap();
    }

    fn lines(path: &Path) -> Vec<Value> {
        let text = fs::read_to_string(path).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap_or(Value::Null)).collect()
    }

    #[test]
    fn each_act_has_a_line_and_what_was_cut_off_spoils_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        note(folder.path(), "done");
        let read = &lines(&path)[0];
        let expected = (&json!(7), &json!("reload"), &json!("done"), &Value::Null);
        assert_eq!((&read["user"], &read["command"], &read["outcome"], &read["subject"]), expected);
        fs::write(&path, "{\"time\":").unwrap();
        note(folder.path(), "failed: because");
        let read = lines(&path);
        assert_eq!((read.len(), &read[1]["outcome"]), (2, &json!("failed: because")));
        #[cfg(unix)]
        for name in [NAME, LOCK] {
            use std::os::unix::fs::PermissionsExt as _;
            let file = fs::metadata(folder.path().join(name)).unwrap();
            assert_eq!(file.permissions().mode() & 0o777 & !0o600, 0, "{name}");
        }
    }

    #[test]
    fn a_long_file_is_put_aside_and_only_one_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (path, older) = (folder.path().join(NAME), folder.path().join(OLDER));
        fs::write(&older, "oldest\n").unwrap();
        fs::write(&path, "x".repeat(MAX_AUDIT_BYTES as usize)).unwrap();
        note(folder.path(), "first");
        assert_eq!(fs::read(&older).unwrap(), b"oldest\n", "it is long enough only now");
        note(folder.path(), "second");
        assert_eq!(lines(&older).last().unwrap()["outcome"], "first");
        assert_eq!(lines(&path).len(), 1);
    }

    #[test]
    fn acts_wait_for_each_other_and_none_is_done_that_cannot_be_noted() {
        let folder = tempfile::tempdir().unwrap();
        let first = Audit::begin(folder.path()).unwrap();
        let data = folder.path().to_owned();
        let second = std::thread::spawn(move || note(&data, "second"));
        first.note(None, &Request::Reload, "first").unwrap();
        second.join().unwrap();
        let read = lines(&folder.path().join(NAME));
        assert_eq!((&read[0]["outcome"], &read[1]["outcome"]), (&json!("first"), &json!("second")));
        let failure = Audit::begin(&folder.path().join("missing")).unwrap_err();
        assert_eq!(failure.exit, Exit::Storage);
    }
}
