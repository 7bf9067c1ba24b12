//! The lines of a backup. Pure.

use std::fmt;

use data_encoding::HEXLOWER;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::super::entry::{Dated, KeyEntry};
use super::super::json::{self, JsonError};
use super::super::record::{RawRecord, RecordError, hex_key, version};
use super::super::rotation::{RawRotation, RotationError};
use crate::PublicKey;
use crate::wire::hash;

/// The first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The format, [`FORMAT`].
    #[serde(rename = "hyperprofile-backup")]
    pub format: u32,
    /// When the backup was begun, in seconds of Unix time.
    pub created: u64,
}

/// What a store holds for a key that was registered at some time. The signatures in it are verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    key: PublicKey,
    held: Dated,
}

/// The last line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Closing {
    /// How many lines hold a record.
    pub records: u64,
    /// How many lines hold the key of a deleted record.
    pub deleted: u64,
    /// How many lines hold a key that was replaced.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub moved: u64,
    /// The sum of all lines before, as hexadecimal digits.
    pub sum: String,
}

/// What the lines hold, in words.
impl fmt::Display for Closing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} profiles and {} deleted ones", self.records, self.deleted)?;
        match self.moved {
            0 => Ok(()),
            moved => write!(f, ", and {moved} replaced keys"),
        }
    }
}

impl Closing {
    /// Counts the line of an entry.
    pub fn count(&mut self, entry: &Entry) {
        match entry.entry() {
            KeyEntry::Unknown => {}
            KeyEntry::Present(_) => self.records += 1,
            KeyEntry::Deleted { .. } => self.deleted += 1,
            KeyEntry::Moved { .. } => self.moved += 1,
        }
    }
}

/// A line of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Header(Header),
    Entry(Entry),
    Closing(Closing),
}

/// Why a line is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// The line is not an object as JSON.
    #[error("it is not an object: {0}")]
    Json(#[from] JsonError),
    /// The line has other members than those of a backup.
    #[error("it is no line of a backup")]
    Members,
    /// The record is not valid.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The statement that replaces a key is not valid.
    #[error(transparent)]
    Rotation(#[from] RotationError),
    /// The sum of what no signature covers does not fit.
    #[error("its sum does not fit")]
    Sum,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tombstone {
    #[serde(with = "hex_key")]
    key: PublicKey,
    #[serde(deserialize_with = "version")]
    version: u64,
    deleted: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Move {
    moved: RawRotation,
    #[serde(deserialize_with = "version")]
    version: u64,
}

/// The members of an entry, and what no signature covers.
#[derive(Serialize)]
struct Summed<'a, T> {
    #[serde(flatten)]
    members: &'a T,
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sum: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    end: Closing,
}

impl Entry {
    /// Makes an entry of a store; `None` for a key that was never registered.
    pub fn of(key: &PublicKey, held: impl Into<Dated>) -> Option<Self> {
        let held = held.into();
        (held.entry != KeyEntry::Unknown).then_some(Self { key: *key, held })
    }

    /// Returns the key.
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Returns what is held for the key.
    pub const fn entry(&self) -> &KeyEntry {
        &self.held.entry
    }

    /// Returns the entry's line in a backup, with its line feed.
    pub fn to_line(&self) -> Vec<u8> {
        Line::Entry(self.clone()).to_bytes()
    }

    /// Reads a line of a backup without its line feed, and verifies it.
    ///
    /// # Errors
    ///
    /// [`LineError`] if the line is damaged, or holds no entry.
    pub fn parse(line: &[u8]) -> Result<Self, LineError> {
        match Line::parse(line)? {
            Line::Entry(entry) => Ok(entry),
            Line::Header(_) | Line::Closing(_) => Err(LineError::Members),
        }
    }

    /// Returns what a store holds for the key, and since when.
    pub fn into_held(self) -> Dated {
        self.held
    }

    fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        match &self.held.entry {
            KeyEntry::Present(record) => self.with_sum(record),
            KeyEntry::Deleted { version } => {
                self.with_sum(&Tombstone { key: self.key, version: *version, deleted: true })
            }
            KeyEntry::Moved { rotation, version } => {
                self.with_sum(&Move { moved: rotation.raw().clone(), version: *version })
            }
            KeyEntry::Unknown => unreachable!("there is no such entry"),
        }
    }

    fn with_sum(&self, members: &impl Serialize) -> serde_json::Result<Vec<u8>> {
        let changed = Some(self.held.changed).filter(|changed| *changed > 0);
        serde_json::to_vec(&Summed { members, changed, sum: self.sum() })
    }

    /// Reads an entry from the members of a line; `None` if they are those of another line.
    fn from_json(mut members: Map<String, Value>) -> Result<Option<Self>, LineError> {
        let is_one = ["signature", "deleted", "moved"].iter().any(|name| members.contains_key(*name));
        if !is_one {
            return Ok(None);
        }
        let changed = match members.remove("changed") {
            Some(changed) => changed.as_u64().filter(|changed| *changed > 0).ok_or(LineError::Members)?,
            None => 0,
        };
        let sum = members.remove("sum");
        let (key, entry) = if members.contains_key("signature") {
            let record = object::<RawRecord>(members)?.verify()?;
            (*record.key(), KeyEntry::Present(record))
        } else if members.contains_key("moved") {
            let Move { moved, version } = object(members)?;
            let rotation = moved.verify()?;
            (*rotation.from(), KeyEntry::Moved { rotation, version })
        } else {
            let Tombstone { key, version, deleted: true } = object(members)? else {
                return Err(LineError::Members);
            };
            (key, KeyEntry::Deleted { version })
        };
        let entry = Self { key, held: Dated { entry, changed } };
        match sum == entry.sum().map(Value::from) {
            true => Ok(Some(entry)),
            false => Err(LineError::Sum),
        }
    }

    /// Returns a sum that makes damage noticed, of what no signature covers; `None` if that is nothing. It
    /// proves nothing.
    fn sum(&self) -> Option<String> {
        let Dated { entry, changed } = &self.held;
        let name: &[u8] = match entry {
            KeyEntry::Present(_) if *changed == 0 => return None,
            KeyEntry::Present(_) | KeyEntry::Unknown => b"hyperprofile/backup/changed",
            KeyEntry::Deleted { .. } => b"hyperprofile/backup/deleted",
            KeyEntry::Moved { .. } => b"hyperprofile/backup/moved",
        };
        let (version, changed) = (entry.version().to_le_bytes(), changed.to_le_bytes());
        // Without a time, lines are those of format 1.
        let changed = if self.held.changed == 0 { &[][..] } else { &changed };
        let sum = hash::hash(&[name, self.key.as_bytes(), &version, changed]);
        Some(HEXLOWER.encode(&sum[..8]))
    }
}

impl Line {
    /// Returns the line with its line feed.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let json = match self {
            Self::Header(header) => serde_json::to_vec(header),
            Self::Entry(entry) => entry.to_json(),
            Self::Closing(closing) => serde_json::to_vec(&End { end: closing.clone() }),
        };
        let mut bytes = json.expect("structures of numbers and strings are JSON");
        bytes.push(b'\n');
        bytes
    }

    /// Reads a line without its line feed, and verifies what it holds.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, LineError> {
        let Value::Object(members) = json::parse(bytes)? else {
            return Err(LineError::Members);
        };
        match members.contains_key("end") {
            true => object(members).map(|End { end }| Self::Closing(end)),
            false if members.contains_key("created") => object(members).map(Self::Header),
            false => Entry::from_json(members)?.map(Self::Entry).ok_or(LineError::Members),
        }
    }
}

fn object<T: DeserializeOwned>(members: Map<String, Value>) -> Result<T, LineError> {
    serde_json::from_value(Value::Object(members)).map_err(|_| LineError::Members)
}

// As serde calls it.
#[allow(clippy::trivially_copy_pass_by_ref)]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The sum of lines: of none it is zero, and with each line the hash of the sum before and the line, its line
/// feed included.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum([u8; 32]);

impl Sum {
    pub(super) fn add(&mut self, line: &[u8]) {
        self.0 = hash::hash(&[&self.0, line]);
    }

    pub(super) fn to_hex(self) -> String {
        HEXLOWER.encode(&self.0)
    }
}

/// The format that this program writes. It reads those before as well.
pub const FORMAT: u32 = 2;
/// The first format. It has no times and no keys that were replaced.
pub(super) const OLDEST: u32 = 1;
