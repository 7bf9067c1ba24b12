//! Power failures: what was not synced is lost, in part or as a whole, and in any order.
//!
//! The system calls of a writing process are recorded with strace. From them, the files are made as a power
//! failure would leave them: everything that was written before the last sync of a file is there; of what
//! came after, any 512 bytes may be there or not, and a later write may be there without an earlier one.
//! Opened, each of these has every change that was acknowledged before.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use hyperprofile::PublicKey;
use hyperprofile::profile::entry::KeyEntry;
use hyperprofile::profile::{SledStore, Store as _, is_newer};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};

use super::damage::{files, lay_out};
use super::strace;
use super::writer::{Acknowledged, Change, Writer, change};
use crate::amount;

/// What disks write at once.
const SECTOR: usize = 512;

/// What the process did, in order.
#[derive(Debug)]
enum Event {
    Write { file: PathBuf, at: usize, bytes: Vec<u8> },
    SyncBegins { file: PathBuf },
    SyncEnds { file: PathBuf },
    Acknowledged { number: u64 },
}

/// A file as it is on a disk that loses power.
#[derive(Clone, Debug, Default)]
struct File {
    durable: Vec<u8>,
    /// What a sync that has begun will make durable.
    syncing: usize,
    /// What was written since the last sync.
    pending: Vec<(usize, Vec<u8>)>,
}

#[test]
fn no_power_failure_loses_an_acknowledged_change() {
    if strace::is_missing() {
        return;
    }
    let (operations, points) = amount((60, 150), (1000, 10_000));
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let store = folder.path().join("profiles");
    let mut acknowledged = Acknowledged::new();
    let mut writer = Writer::start(&store, 0, &[]);
    writer.write(300, &mut acknowledged);
    writer.end(true);
    let strace = [
        "strace",
        "-f",
        "-y",
        "-xx",
        "-s",
        "5000000",
        "-o",
        trace.to_str().unwrap(),
        "-e",
        "trace=pwrite64,write,lseek,fdatasync,fsync,ftruncate",
    ];
    let mut writer = Writer::start(&store, 300, &strace);
    let base = files(&store);
    writer.write(operations, &mut Acknowledged::new());
    writer.end(false);
    let events = read_trace(&fs::read_to_string(&trace).unwrap(), &store);
    let syncs = events.iter().filter(|event| matches!(event, Event::SyncEnds { .. })).count();
    assert!(syncs as u64 >= 2 * operations, "{syncs} syncs");
    let rotated = (0..300 + operations).filter_map(|number| match change(number) {
        Change::Rotate(rotation, _) => Some((*rotation.from(), *rotation.to())),
        Change::Store(..) => None,
    });
    fail_at_each_sync(&base, &events, acknowledged, &rotated.collect::<Vec<_>>(), points);
}

/// Walks through the events; before and after each sync, the power fails some times.
fn fail_at_each_sync(
    base: &BTreeMap<PathBuf, Vec<u8>>,
    events: &[Event],
    mut acknowledged: Acknowledged,
    rotated: &[(PublicKey, PublicKey)],
    points: usize,
) {
    let sites = events.iter().filter(|event| is_sync(event)).count();
    let mut chance = StdRng::seed_from_u64(23);
    let whole = |(path, bytes): (&PathBuf, &Vec<u8>)| {
        (path.clone(), File { durable: bytes.clone(), ..File::default() })
    };
    let mut disk: BTreeMap<PathBuf, File> = base.iter().map(whole).collect();
    let (mut site, mut tried) = (0, 0);
    for event in events {
        if is_sync(event) {
            // As many as are due by now, so that the points spread over the whole trace.
            site += 1;
            while tried * sites < points * site {
                let state = fail(&disk, &mut chance);
                let point = format!("point {tried}, sync {site} of {sites}");
                assert_all_there(&state, &acknowledged, rotated, &point);
                tried += 1;
            }
        }
        match event {
            Event::Write { file, at, bytes } => {
                disk.entry(file.clone()).or_default().pending.push((*at, bytes.clone()));
            }
            Event::SyncBegins { file } => {
                let file = disk.entry(file.clone()).or_default();
                file.syncing = file.pending.len();
            }
            Event::SyncEnds { file } => {
                let file = disk.entry(file.clone()).or_default();
                for (at, bytes) in file.pending.drain(..file.syncing) {
                    put(&mut file.durable, at, &bytes);
                }
                file.syncing = 0;
            }
            Event::Acknowledged { number } => {
                acknowledged.extend(change(*number).entries());
            }
        }
    }
    assert!(tried >= points);
    println!("{tried} power failures at {sites} places");
}

fn is_sync(event: &Event) -> bool {
    matches!(event, Event::SyncBegins { .. } | Event::SyncEnds { .. })
}

/// Returns the files as a power failure leaves them.
fn fail(disk: &BTreeMap<PathBuf, File>, chance: &mut StdRng) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut left = BTreeMap::new();
    for (path, file) in disk {
        let mut bytes = file.durable.clone();
        let mut pending = file.pending.clone();
        let share = *[0.0, 0.2, 0.5, 0.8, 1.0].choose(chance).unwrap();
        if chance.gen_bool(0.5) {
            pending.shuffle(chance);
        }
        for (at, written) in &pending {
            let mut from = 0;
            while from < written.len() {
                let length = (SECTOR - (at + from) % SECTOR).min(written.len() - from);
                if chance.gen_bool(share) {
                    put(&mut bytes, at + from, &written[from..from + length]);
                }
                from += length;
            }
        }
        left.insert(path.clone(), bytes);
    }
    left
}

fn put(bytes: &mut Vec<u8>, at: usize, written: &[u8]) {
    let end = at + written.len();
    bytes.resize(bytes.len().max(end), 0);
    bytes[at..end].copy_from_slice(written);
}

/// Opens the files and fails unless each key has what was acknowledged, or something newer, and each rotation
/// is there as a whole or not at all.
fn assert_all_there(
    state: &BTreeMap<PathBuf, Vec<u8>>,
    acknowledged: &Acknowledged,
    rotated: &[(PublicKey, PublicKey)],
    point: &str,
) {
    let folder = tempfile::tempdir_in(fast_folder()).unwrap();
    lay_out(folder.path(), state);
    let store = SledStore::open(folder.path()).unwrap_or_else(|error| panic!("{point}: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for (key, entry) in acknowledged {
        let found = runtime.block_on(store.load(key)).unwrap_or_else(|error| panic!("{point}: {error}"));
        let newer = is_newer(&found, entry);
        assert!(newer || found == *entry, "{point}: {found:?} is older than {entry:?}");
    }
    let entries: Acknowledged = runtime
        .block_on(store.page(None, usize::MAX))
        .unwrap()
        .into_iter()
        .map(|(key, held)| (key, held.entry))
        .collect();
    for (from, to) in rotated {
        let is_moved = matches!(entries.get(from), Some(KeyEntry::Moved { .. }));
        assert_eq!(is_moved, entries.contains_key(to), "{point}: half of the rotation to {to}");
    }
}

/// Thousands of stores are opened, each of which syncs: in memory, if that can be.
fn fast_folder() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }
}

/// Reads the events of a store from what strace wrote.
fn read_trace(trace: &str, store: &Path) -> Vec<Event> {
    let mut events = Vec::new();
    // By thread: what it began and has not ended.
    let mut begun = BTreeMap::<&str, String>::new();
    let mut places = BTreeMap::<PathBuf, usize>::new();
    let mut opened = false;
    for line in trace.lines() {
        let (thread, call) = line.split_once(' ').unwrap();
        let call = call.trim_start();
        let call = match call.strip_suffix(" <unfinished ...>") {
            Some(first) => {
                if let (Some(file), true) = (synced(first, store), opened) {
                    events.push(Event::SyncBegins { file });
                }
                begun.insert(thread, first.to_owned());
                continue;
            }
            None => match call.split_once(" resumed>") {
                Some((_, rest)) => begun.remove(thread).unwrap() + rest,
                None => {
                    if let (Some(file), true) = (synced(call, store), opened) {
                        events.push(Event::SyncBegins { file });
                    }
                    call.to_owned()
                }
            },
        };
        let cuts = call.starts_with("ftruncate(") && file_of(&call, store).is_some();
        assert!(!(opened && cuts), "not in the model: {call:.100}");
        if cuts {
            continue;
        }
        if let Some(event) = read_call(&call, store, &mut places) {
            opened |= matches!(event, Event::Acknowledged { number: u64::MAX });
            if opened {
                events.push(event);
            }
        }
    }
    // The first one only says that the store is open.
    events.remove(0);
    events
}

/// Returns the file that a call syncs, if it does.
fn synced(call: &str, store: &Path) -> Option<PathBuf> {
    let is_sync = call.starts_with("fdatasync(") || call.starts_with("fsync(");
    is_sync.then(|| file_of(call, store)).flatten()
}

fn read_call(call: &str, store: &Path, places: &mut BTreeMap<PathBuf, usize>) -> Option<Event> {
    let (name, arguments) = call.split_once('(')?;
    let (arguments, result) = arguments.rsplit_once(" = ")?;
    // strace aligns the results of what it shows in two lines.
    let arguments = arguments.trim_end();
    let result = result.split(' ').next()?;
    // The process ended before the call did: after everything that was acknowledged.
    if result == "?" {
        return None;
    }
    if let Some(file) = synced(call, store) {
        assert_eq!(result, "0");
        return Some(Event::SyncEnds { file });
    }
    let descriptor = arguments.split(['<', ',']).next()?;
    if name == "write" && descriptor == "1" {
        let text = String::from_utf8(unescape(arguments.split('"').nth(1)?)).ok()?;
        // The test harness may have begun a line.
        let last = text.trim_end().rsplit('\n').next()?;
        return match last.ends_with("opened") {
            true => Some(Event::Acknowledged { number: u64::MAX }),
            false => Some(Event::Acknowledged { number: last.rsplit_once("stored ")?.1.parse().ok()? }),
        };
    }
    let file = file_of(call, store)?;
    // Nothing may be passed over: a write that the model lacks looks like one that the disk lost.
    let result: usize = result.parse().unwrap_or_else(|_| panic!("not in the model: {call:.200}"));
    if name == "lseek" {
        places.insert(file, result);
        return None;
    }
    let bytes = unescape(arguments.split('"').nth(1)?);
    assert_eq!(bytes.len(), result, "a short write");
    let at = match name {
        "pwrite64" => arguments.trim_end_matches(')').rsplit(", ").next()?.parse().unwrap(),
        _ => {
            let place = places.entry(file.clone()).or_default();
            *place += result;
            *place - result
        }
    };
    Some(Event::Write { file, at, bytes })
}

/// Returns the file, in the folder of the store, whose descriptor is the first argument.
fn file_of(call: &str, store: &Path) -> Option<PathBuf> {
    let (_, rest) = call.split_once('<')?;
    let (path, _) = rest.split_once('>')?;
    let path = match path.starts_with("\\x") {
        true => String::from_utf8(unescape(path)).ok()?,
        false => path.to_owned(),
    };
    let file = Path::new(&path).strip_prefix(store).ok()?;
    (file.extension().is_none_or(|extension| extension != "new") && file != Path::new(""))
        .then(|| file.to_owned())
}

fn unescape(text: &str) -> Vec<u8> {
    let digits = text.split("\\x").skip(1);
    digits.map(|digits| u8::from_str_radix(digits, 16).unwrap()).collect()
}
