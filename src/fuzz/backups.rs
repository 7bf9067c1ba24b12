//! Backups of a store.

use arbitrary::{Error, Result, Unstructured};

use super::messages::{key_pair, list};
use super::meter::at_most;
use crate::profile::backup::{Entry, Reader, Writer};
use crate::profile::entry::{Dated, KeyEntry};
use crate::profile::{Profile, Record, Rotation};

/// Bytes as a backup, and a backup that was damaged: what is read is what was written, and each loss is
/// named.
pub(super) fn read(data: &[u8]) {
    at_most(BUDGET + 64 * data.len(), || {
        for entry in Reader::new(data).flatten() {
            assert_eq!(Entry::parse(entry.to_line().trim_ascii_end()).as_ref(), Ok(&entry));
        }
    });
    // Without enough bytes there is no backup to damage.
    let _ = damaged(&mut Unstructured::new(data));
}

fn damaged(u: &mut Unstructured<'_>) -> Result<()> {
    let entries = list(u, 4, entry)?;
    let mut writer = Writer::begin(Vec::new(), u.arbitrary()?).expect("memory");
    for entry in &entries {
        writer.entry(entry.clone()).expect("memory");
    }
    let (whole, _) = writer.close().expect("memory");
    let read: std::result::Result<Vec<_>, _> = Reader::new(whole.as_slice()).collect();
    assert_eq!(read.expect("nothing is damaged"), entries);
    let damaged = super::secrets::damage(u, &whole)?;
    let (read, faults): (Vec<_>, Vec<_>) =
        Reader::new(damaged.as_slice()).partition(std::result::Result::is_ok);
    for entry in read.into_iter().flatten() {
        assert!(entries.contains(&entry), "{entry:?} was never written");
    }
    assert!(!faults.is_empty() || damaged == whole, "a damage was passed over");
    Ok(())
}

fn entry(u: &mut Unstructured<'_>) -> Result<Entry> {
    let (pair, version) = (key_pair(u)?, u.int_in_range(1..=9)?);
    let entry = match u.int_in_range(0..=2)? {
        0 => KeyEntry::Deleted { version },
        1 => {
            let text = *u.choose(&[r#"{"name":"Ada"}"#, r#"{"name":"Ada","bio":"x\ny"}"#])?;
            KeyEntry::Present(Record::sign(&pair, version, Profile::parse(text).expect("a profile")))
        }
        _ => {
            let to = key_pair(u)?;
            if to.public_key() == pair.public_key() {
                return Err(Error::IncorrectFormat);
            }
            KeyEntry::Moved { rotation: Rotation::sign(&pair, &to), version }
        }
    };
    let held = Dated { entry, changed: u.int_in_range(0..=3)? };
    Ok(Entry::of(pair.public_key(), held).expect("it was registered"))
}

/// What the reader takes for a line.
const BUDGET: usize = 128 * 1024;
