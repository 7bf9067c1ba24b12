//! A process that writes to a store and reports each acknowledged change on standard output.
//!
//! It is this test program, started anew for one of its tests.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use hyperprofile::profile::entry::KeyEntry;
use hyperprofile::profile::{Profile, Record, SledStore};
use hyperprofile::{KeyPair, PublicKey};

use crate::amount;

const FOLDER: &str = "HYPERPROFILE_ATTACK_FOLDER";
const FIRST: &str = "HYPERPROFILE_ATTACK_FIRST";

/// What each key was last acknowledged with.
pub(super) type Acknowledged = BTreeMap<PublicKey, KeyEntry>;

/// A writing process.
pub(super) struct Writer {
    pub(super) child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    next: u64,
}

impl Writer {
    /// Starts a process whose changes begin with a number. `wrap` is put before its command line.
    pub(super) fn start(folder: &Path, first: u64, wrap: &[&str]) -> Self {
        let program = std::env::current_exe().unwrap();
        let mut command = match wrap {
            [] => Command::new(program),
            [wrapper, arguments @ ..] => {
                let mut command = Command::new(wrapper);
                command.args(arguments).arg(program);
                command
            }
        };
        let mut child = command
            .args(["--exact", "--nocapture", "--test-threads=1", "store::writer::writes_when_asked"])
            .env(FOLDER, folder)
            .env(FIRST, first.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut writer = Self { child, input, output: BufReader::new(output), next: first };
        writer.wait_for("opened");
        writer
    }

    /// Has a number of changes made, and notes what they acknowledge.
    pub(super) fn write(&mut self, count: u64, acknowledged: &mut Acknowledged) {
        writeln!(self.input, "{count}").unwrap();
        for _ in 0..count {
            self.wait_for(&format!("stored {}", self.next));
            let (key, entry) = change(self.next);
            acknowledged.insert(key, entry);
            self.next += 1;
        }
    }

    /// Kills the process, or lets it close the store.
    pub(super) fn end(mut self, kill: bool) {
        if kill {
            self.child.kill().unwrap();
        }
        drop(self.input);
        assert_ne!(self.child.wait().unwrap().success(), kill);
    }

    fn wait_for(&mut self, expected: &str) {
        let mut line = String::new();
        loop {
            line.clear();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "ended before {expected:?}");
            // The test harness may have begun a line.
            if line.trim_end().ends_with(expected) {
                return;
            }
        }
    }
}

/// The writing process; passes at once when it is run as a test.
#[test]
fn writes_when_asked() {
    let (Some(folder), Ok(first)) = (std::env::var_os(FOLDER), std::env::var(FIRST)) else {
        return;
    };
    let store = SledStore::open(Path::new(&folder)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut next: u64 = first.parse().unwrap();
    report("\nopened\n");
    for line in std::io::stdin().lines() {
        for _ in 0..line.unwrap().parse::<u64>().unwrap() {
            let (key, entry) = change(next);
            assert!(runtime.block_on(store.restore_entry(key, entry)).unwrap());
            report(&format!("stored {next}\n"));
            next += 1;
        }
    }
}

/// Writes a line with one system call, so that it is reported whole or not at all.
fn report(line: &str) {
    std::io::stdout().write_all(line.as_bytes()).unwrap();
    std::io::stdout().flush().unwrap();
}

/// Returns the change of a number: of 100 keys, or 1,000, each is registered, updated and now and then
/// deleted.
pub(super) fn change(number: u64) -> (PublicKey, KeyEntry) {
    let keys = amount(100, 1000);
    let mut seed = [5; 32];
    seed[..8].copy_from_slice(&(number % keys).to_le_bytes());
    let owner = KeyPair::from_seed(&seed);
    let version = number / keys + 1;
    let entry = match number % 7 {
        0 => KeyEntry::Deleted { version },
        _ => {
            let bio = format!("text of change {number} ").repeat(1 + number as usize % 40);
            let text = format!(r#"{{"name":"change {number}","bio":"{bio}"}}"#);
            KeyEntry::Present(Record::sign(&owner, version, Profile::parse(&text).unwrap()))
        }
    };
    (*owner.public_key(), entry)
}
