//! Backups that are whole, cut, damaged and hostile.

use proptest::prelude::*;

use super::super::content::Profile;
use super::super::entry::{Dated, KeyEntry};
use super::super::lines::MAX_LINE;
use super::super::record::Record;
use super::super::rotation::tests::rotation;
use super::{Entry, Fault, FaultKind, Reader, Writer};
use crate::KeyPair;

fn held(seed: u8, entry: KeyEntry, changed: u64) -> Entry {
    Entry::of(KeyPair::from_seed(&[seed; 32]).public_key(), Dated { entry, changed }).unwrap()
}

fn present(seed: u8, version: u64, text: &str, changed: u64) -> Entry {
    let profile = Profile::parse(text).unwrap();
    let record = Record::sign(&KeyPair::from_seed(&[seed; 32]), version, profile);
    held(seed, KeyEntry::Present(record), changed)
}

fn deleted(seed: u8, version: u64, changed: u64) -> Entry {
    held(seed, KeyEntry::Deleted { version }, changed)
}

fn moved(seed: u8, to: u8, version: u64, changed: u64) -> Entry {
    held(seed, KeyEntry::Moved { rotation: rotation(seed, to), version }, changed)
}

fn some() -> Vec<Entry> {
    vec![
        present(1, 1, r#"{"name":"Ada \"A\" \\","bio":"two\nlines é"}"#, 1_796_000_001),
        deleted(2, 7, 1_796_000_002),
        present(3, 900, r#"{"name":"Grace"}"#, 0),
        moved(4, 5, 3, 1_796_000_003),
        deleted(6, 2, 0),
        moved(7, 8, 3, 0),
    ]
}

fn written(entries: &[Entry]) -> Vec<u8> {
    let mut writer = Writer::begin(Vec::new(), 1_796_000_000).unwrap();
    for entry in entries {
        writer.entry(entry.clone()).unwrap();
    }
    writer.close().unwrap().0
}

fn read(bytes: &[u8]) -> (Vec<Entry>, Vec<Fault>) {
    let (mut entries, mut faults) = (Vec::new(), Vec::new());
    for step in Reader::new(bytes) {
        match step {
            Ok(entry) => entries.push(entry),
            Err(fault) => faults.push(fault),
        }
    }
    (entries, faults)
}

/// Returns the lines that faults name.
fn lines(faults: &[Fault]) -> Vec<u64> {
    faults.iter().map(|fault| fault.line).collect()
}

#[test]
fn what_was_written_is_read() {
    let bytes = written(&some());
    let (entries, faults) = read(&bytes);
    assert_eq!(entries, some());
    assert!(faults.is_empty(), "{faults:?}");
    let mut reader = Reader::new(&bytes[..]);
    assert_eq!(reader.by_ref().count(), 6);
    assert_eq!(reader.header().unwrap().created, 1_796_000_000);
    let closing = reader.closing().unwrap();
    assert_eq!((closing.records, closing.deleted, closing.moved), (2, 2, 2));
    assert!(read(&written(&[])).1.is_empty());
}

/// The sums were computed by another program, from `docs/backup.md`.
#[test]
fn the_format_is_the_documented_one() {
    let bytes = written(&[some()[1].clone(), some()[4].clone()]);
    let text = String::from_utf8(bytes).unwrap();
    assert_eq!(
        text,
        concat!(
            "{\"hyperprofile-backup\":2,\"created\":1796000000}\n",
            "{\"key\":\"8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394\",",
            "\"version\":7,\"deleted\":true,\"changed\":1796000002,\"sum\":\"1c2357f63ae6392f\"}\n",
            "{\"key\":\"8a875fff1eb38451577acd5afee405456568dd7c89e090863a0557bc7af49f17\",",
            "\"version\":2,\"deleted\":true,\"sum\":\"4f00edaf721b3b84\"}\n",
            "{\"end\":{\"records\":0,\"deleted\":2,",
            "\"sum\":\"21e0691334426ed7976fb671b23b57bb22603d6288fcabeb620b6f492e48b234\"}}\n",
        )
    );
}

/// Written by the version before, but for its sums, which another program computed.
#[test]
fn a_backup_of_format_1_is_read() {
    let text = concat!(
        "{\"hyperprofile-backup\":1,\"created\":1796000000}\n",
        "{\"key\":\"8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394\",\"version\":7,",
        "\"deleted\":true,\"sum\":\"9bfb8137e91e2368\"}\n",
        "{\"end\":{\"records\":0,\"deleted\":1,",
        "\"sum\":\"0426a62a2c21864146811ccb0ce4277230f4c78ca0e1d5636a169d7251fec350\"}}\n",
    );
    let (entries, faults) = read(text.as_bytes());
    assert_eq!(entries, [deleted(2, 7, 0)]);
    assert!(faults.is_empty(), "{faults:?}");
}

#[test]
fn a_backup_cut_at_any_length_is_noticed() {
    let bytes = written(&some());
    for length in 0..bytes.len() {
        let (entries, faults) = read(&bytes[..length]);
        let whole_lines = bytes[..length].iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(lines(&faults), [whole_lines as u64 + 1], "{length}");
        assert!(matches!(faults[0].kind, FaultKind::Cut), "{length}: {faults:?}");
        assert_eq!(entries, some()[..whole_lines.saturating_sub(1)], "{length}");
    }
}

#[test]
fn every_flipped_bit_is_noticed_and_named() {
    let entries_written = some();
    let bytes = written(&entries_written);
    for (at, bit) in (0..bytes.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << bit;
        let (entries, faults) = read(&damaged);
        assert!(!faults.is_empty(), "byte {at}, bit {bit}");
        // Nothing is read that was not written.
        let is_written = entries.iter().all(|entry| entries_written.contains(entry));
        assert!(is_written, "byte {at}, bit {bit}: {entries:?}");
    }
}

#[test]
fn a_damaged_line_costs_no_other_line() {
    let bytes = written(&some());
    for line in 0..8 {
        let mut lines: Vec<_> = bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        lines[line][4] = 0xff;
        let (entries, faults) = read(&lines.concat());
        let others: Vec<_> = some()
            .into_iter()
            .enumerate()
            .filter_map(|(number, entry)| (number + 1 != line).then_some(entry))
            .collect();
        assert_eq!(entries, others, "line {line}");
        assert_eq!(faults[0].line, line as u64 + 1);
    }
}

#[test]
fn lines_that_are_missing_moved_or_doubled_are_noticed() {
    let bytes = written(&some());
    let lines: Vec<_> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let all = 0..lines.len();
    let mut orders = vec![all.clone().skip(1).collect::<Vec<_>>()];
    for at in 0..lines.len() - 1 {
        let (mut without, mut twice, mut turned) = (
            all.clone().collect::<Vec<_>>(),
            all.clone().collect::<Vec<_>>(),
            all.clone().collect::<Vec<_>>(),
        );
        without.remove(at);
        twice.insert(at, at);
        turned.swap(at, at + 1);
        orders.extend([without, twice, turned]);
    }
    for order in orders {
        let changed: Vec<u8> = order.iter().flat_map(|line| lines[*line]).copied().collect();
        assert!(!read(&changed).1.is_empty(), "{order:?}");
    }
    let after = [&bytes[..], b"\n"].concat();
    assert!(matches!(read(&after).1[..], [Fault { line: 9, kind: FaultKind::Trailing }]));
}

#[test]
fn a_record_that_its_owner_did_not_sign_is_refused() {
    let text = String::from_utf8(written(&some())).unwrap();
    let forged = text.replace("Grace", "Grade").replace(r#""version":7"#, r#""version":8"#);
    let (entries, faults) = read(forged.as_bytes());
    assert_eq!(entries, [&some()[..1], &some()[3..]].concat());
    assert_eq!(lines(&faults), [3, 4, 8]);
}

#[test]
fn another_format_is_refused_as_a_whole() {
    let text = String::from_utf8(written(&some())).unwrap();
    let newer = text.replacen("backup\":2", "backup\":3", 1);
    let (entries, faults) = read(newer.as_bytes());
    assert_eq!(entries, []);
    assert!(matches!(faults[..], [Fault { line: 1, kind: FaultKind::Format(3) }]), "{faults:?}");
}

#[test]
fn a_line_of_any_length_takes_no_more_memory_than_a_line() {
    let long = [vec![b'x'; 50 * MAX_LINE], b"\n".to_vec(), written(&some())].concat();
    let mut reader = Reader::new(std::io::BufReader::new(&long[..]));
    let first = reader.next().unwrap().unwrap_err();
    assert!(matches!(first, Fault { line: 1, kind: FaultKind::Long }), "{first:?}");
    assert!(reader.buffer.capacity() <= 2 * MAX_LINE);
    assert_eq!(reader.filter_map(Result::ok).count(), 6);
}

#[test]
fn the_largest_profile_fits_into_a_line() {
    // Two bytes in a line for each in the text.
    let text = format!("{{\"name\":\"a\"{}}}", "\n".repeat(8192 - 12));
    let entries = [present(1, 1, &text, u64::MAX)];
    assert_eq!(read(&written(&entries)).0, entries);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic_and_are_no_backup(bytes: Vec<u8>) {
        let (entries, faults) = read(&bytes);
        prop_assert!(entries.is_empty() && !faults.is_empty());
    }

    #[test]
    fn arbitrary_changes_of_a_backup_are_noticed(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3), 1..6)
    ) {
        let whole = written(&some());
        let mut bytes = whole.clone();
        for (at, byte, kind) in changes {
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        let (entries, faults) = read(&bytes);
        prop_assert_eq!(bytes != whole, !faults.is_empty());
        prop_assert!(entries.iter().all(|entry| some().contains(entry)));
    }

    #[test]
    fn any_entries_round_trip(
        entries in proptest::collection::vec(
            (1..9u8, 1..1_000_000u64, "[ -~é\u{1f600}]{1,60}", 0..3, any::<u64>()),
            0..9,
        )
    ) {
        let entries: Vec<_> = entries
            .into_iter()
            .map(|(seed, version, name, kind, changed)| match kind {
                0 => deleted(seed, version, changed),
                1 => moved(seed, seed + 1, version, changed),
                _ => {
                    let name = serde_json::to_string(&format!("n{name}")).unwrap();
                    present(seed, version, &format!("{{\"name\":{name}}}"), changed)
                }
            })
            .collect();
        let (read, faults) = read(&written(&entries));
        prop_assert_eq!(read, entries);
        prop_assert!(faults.is_empty());
    }
}
