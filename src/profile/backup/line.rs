//! The lines of a backup. Pure.

use data_encoding::HEXLOWER;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::super::entry::KeyEntry;
use super::super::json::{self, JsonError};
use super::super::record::{RawRecord, Record, RecordError, hex_key, version};
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

/// What a store holds for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A record, its signature verified.
    Present(Record),
    /// The key of a deleted record, and its version.
    Deleted {
        /// The key.
        key: PublicKey,
        /// The version that was deleted.
        version: u64,
    },
}

/// The last line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Closing {
    /// How many lines hold a record.
    pub records: u64,
    /// How many lines hold the key of a deleted record.
    pub deleted: u64,
    /// The sum of all lines before, as hexadecimal digits.
    pub sum: String,
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
    /// The sum of a deleted record's line does not fit.
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
    sum: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    end: Closing,
}

impl Entry {
    /// Makes an entry of a store; `None` for a key that was never registered.
    pub fn of(key: &PublicKey, entry: &KeyEntry) -> Option<Self> {
        match entry {
            KeyEntry::Unknown => None,
            KeyEntry::Present(record) => Some(Self::Present(record.clone())),
            KeyEntry::Deleted { version } => Some(Self::Deleted { key: *key, version: *version }),
        }
    }

    /// Returns the key.
    pub fn key(&self) -> &PublicKey {
        match self {
            Self::Present(record) => record.key(),
            Self::Deleted { key, .. } => key,
        }
    }

    /// Returns the version.
    pub fn version(&self) -> u64 {
        match self {
            Self::Present(record) => record.version(),
            Self::Deleted { version, .. } => *version,
        }
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

    /// Returns what a store holds for the key.
    pub fn into_key_entry(self) -> KeyEntry {
        match self {
            Self::Present(record) => KeyEntry::Present(record),
            Self::Deleted { version, .. } => KeyEntry::Deleted { version },
        }
    }
}

impl Line {
    /// Returns the line with its line feed.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let json = match self {
            Self::Header(header) => serde_json::to_vec(header),
            Self::Entry(Entry::Present(record)) => serde_json::to_vec(&RawRecord::from(record)),
            Self::Entry(Entry::Deleted { key, version }) => {
                let sum = tombstone_sum(key, *version);
                serde_json::to_vec(&Tombstone { key: *key, version: *version, deleted: true, sum })
            }
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
        if members.contains_key("signature") {
            return Ok(Self::Entry(Entry::Present(object::<RawRecord>(members)?.verify()?)));
        }
        if members.contains_key("deleted") {
            let Tombstone { key, version, deleted, sum } = object(members)?;
            return match deleted && sum == tombstone_sum(&key, version) {
                true => Ok(Self::Entry(Entry::Deleted { key, version })),
                false => Err(LineError::Sum),
            };
        }
        match members.contains_key("end") {
            true => object(members).map(|End { end }| Self::Closing(end)),
            false => object(members).map(Self::Header),
        }
    }
}

fn object<T: DeserializeOwned>(members: Map<String, Value>) -> Result<T, LineError> {
    serde_json::from_value(Value::Object(members)).map_err(|_| LineError::Members)
}

/// Returns a sum that makes damage noticed. It proves nothing: there is no signature of a deletion.
fn tombstone_sum(key: &PublicKey, version: u64) -> String {
    let sum = hash::hash(&[b"hyperprofile/backup/deleted", key.as_bytes(), &version.to_le_bytes()]);
    HEXLOWER.encode(&sum[..8])
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

/// The format that this program writes and reads.
pub const FORMAT: u32 = 1;
