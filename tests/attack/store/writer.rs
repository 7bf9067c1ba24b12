//! A process that writes to a store and reports each acknowledged change on standard output.
//!
//! It is this test program, started anew for one of its tests.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use hyperprofile::profile::entry::KeyEntry;
use hyperprofile::profile::{Profile, Record, Rotation, SledStore, Store as _};
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
            acknowledged.extend(change(self.next).entries());
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
            match change(next) {
                Change::Store(key, entry) => {
                    assert!(runtime.block_on(store.restore_entry(key, entry)).unwrap());
                }
                Change::Rotate(rotation, record) => {
                    runtime.block_on(store.rotate(rotation, record)).unwrap();
                }
            }
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

/// A change of the store.
pub(super) enum Change {
    Store(PublicKey, KeyEntry),
    Rotate(Rotation, Record),
}

impl Change {
    /// Returns what is stored after the change.
    pub(super) fn entries(self) -> Vec<(PublicKey, KeyEntry)> {
        match self {
            Self::Store(key, entry) => vec![(key, entry)],
            Self::Rotate(rotation, record) => {
                let (from, to) = (*rotation.from(), *rotation.to());
                vec![(from, KeyEntry::Moved { rotation, version: 1 }), (to, KeyEntry::Present(record))]
            }
        }
    }
}

/// Returns the change of a number: of 100 keys, or 1,000, each is registered, updated and now and then
/// deleted. Others are registered, and replaced soon after that.
pub(super) fn change(number: u64) -> Change {
    match number % 7 {
        1 => {
            let record = Record::sign(&replaced(number), 1, profile(number));
            return Change::Store(*record.key(), KeyEntry::Present(record));
        }
        3 => {
            let (from, to) = (replaced(number - 2), replaced(number));
            return Change::Rotate(Rotation::sign(&from, &to), Record::sign(&to, 1, profile(number)));
        }
        _ => {}
    }
    let keys = amount(100, 1000);
    let mut seed = [5; 32];
    seed[..8].copy_from_slice(&(number % keys).to_le_bytes());
    let owner = KeyPair::from_seed(&seed);
    let version = number / keys + 1;
    let entry = match number % 7 {
        0 => KeyEntry::Deleted { version },
        _ => KeyEntry::Present(Record::sign(&owner, version, profile(number))),
    };
    Change::Store(*owner.public_key(), entry)
}

fn profile(number: u64) -> Profile {
    let bio = format!("text of change {number} ").repeat(1 + number as usize % 40);
    Profile::parse(&format!(r#"{{"name":"change {number}","bio":"{bio}"}}"#)).unwrap()
}

/// Returns a key that is replaced, or replaces one.
fn replaced(number: u64) -> KeyPair {
    let mut seed = [6; 32];
    seed[..8].copy_from_slice(&number.to_le_bytes());
    KeyPair::from_seed(&seed)
}
