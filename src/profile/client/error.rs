//! Errors of a client.

use std::io;

use serde_json::Value;

use super::super::content::{InvalidProfile, escaped};
use super::super::json;
use super::super::rotation::{RawRotation, Rotation, verify_chain};

/// Why no connection could be made: the error of the dialler.
pub type DialError = Box<dyn std::error::Error + Send + Sync>;

/// Why a request of a client failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The server refused the request.
    #[error("{0}")]
    Denied(Denied),
    /// No connection could be made.
    #[error("{0}")]
    Dial(DialError),
    /// The greeting is of another version of the profile protocol.
    #[error("the server speaks another version of the profile protocol")]
    Incompatible,
    /// The profile breaks a rule.
    #[error(transparent)]
    InvalidProfile(#[from] InvalidProfile),
    /// The request needs a newer version of the protocol than the server speaks. It was not sent.
    #[error("the server is too old for this request: its operator has to install a newer version")]
    OldServer,
    /// The connection failed, and so did every repetition.
    #[error("the connection to the server was lost: {0}")]
    Lost(io::Error),
    /// The server does not follow the protocol.
    #[error("the server does not follow the profile protocol: {0}")]
    Protocol(&'static str),
    /// The server did not answer in time.
    #[error("the server did not answer in time")]
    TimedOut,
    /// There is no profile to bring back.
    #[error("there is no profile to bring back: the server has acknowledged none here, or its deletion")]
    NothingAcknowledged,
    /// What is remembered of the profile could not be read or stored.
    #[error("cannot remember the version of the profile: {0}")]
    Versions(io::Error),
    /// All versions are used up.
    #[error("the last possible version of this profile is signed already")]
    NoVersionLeft,
}

/// A server's refusal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// The key has another profile already.
    #[error(
        "this identity is registered already, with another profile (version {version}); use update to change \
         it"
    )]
    AlreadyRegistered {
        /// The stored version.
        version: u64,
    },
    /// The server did not accept the signature.
    #[error("the server does not accept the signature of this identity")]
    BadSignature,
    /// The operator has closed the method to this key.
    #[error("the operator of the server has closed this to your key")]
    Closed,
    /// All connections of the server are taken.
    #[error("all connections of the server are taken")]
    Full,
    /// The disk of the server is full. Nothing was changed, and reading goes on.
    #[error("the disk of the server is full, so it stores no changes now")]
    DiskFull,
    /// The server did not accept the profile.
    #[error("the server refuses the profile: {reason}")]
    InvalidProfile {
        /// The message of the server, escaped.
        reason: String,
    },
    /// The owner of the key goes on under another one.
    #[error("this key has been replaced by another one, {}", last(chain))]
    Moved {
        /// The statements that lead to the new key, verified; at least one.
        chain: Vec<Rotation>,
    },
    /// The key has been replaced so often that the server does not follow.
    #[error("this key has been replaced, and the new one again, too often for the server to follow")]
    MovedTooOften,
    /// The key has no profile.
    #[error("this key is not registered at the server")]
    NotRegistered,
    /// The store of the server failed.
    #[error("the server could not reach its storage")]
    Storage,
    /// A limit is reached.
    #[error("too many requests, the server asks to wait {retry_after} s")]
    TooMany {
        /// Seconds until the server allows another request.
        retry_after: u64,
    },
    /// A refusal of a kind that this client does not know.
    #[error("the server refused (code {code}): {reason}")]
    Unknown {
        /// The JSON-RPC code.
        code: String,
        /// The message of the server, escaped.
        reason: String,
    },
    /// The version does not follow the server's.
    #[error("the version does not follow the last one known to the server, {version}")]
    VersionConflict {
        /// The last version known to the server, 0 if none.
        version: u64,
    },
}

impl Denied {
    /// Reads the `error` member of an answer.
    pub(super) fn from_json(error: &Value) -> Option<Self> {
        let Some(Value::Number(code)) = error.get("code") else {
            return None;
        };
        let data = error.get("data");
        let number = |name| data.and_then(|data| data.get(name)).and_then(Value::as_u64);
        let reason = error.get("message").and_then(Value::as_str);
        let reason = escaped(reason.unwrap_or_default()).chars().take(MAX_REASON).collect();
        let kind = data.and_then(|data| data.get("kind")).and_then(Value::as_str);
        Some(match kind.unwrap_or_default() {
            "already_registered" => Self::AlreadyRegistered { version: number("version")? },
            "bad_signature" => Self::BadSignature,
            "closed" => Self::Closed,
            "full" => Self::Full,
            "invalid_profile" => Self::InvalidProfile { reason },
            "moved" => Self::Moved { chain: moved(data?)? },
            "moved_too_often" => Self::MovedTooOften,
            "not_registered" => Self::NotRegistered,
            "storage" if data.and_then(|data| data.get("full")) == Some(&Value::Bool(true)) => Self::DiskFull,
            "storage" => Self::Storage,
            "too_many" => Self::TooMany { retry_after: number("retryAfter")? },
            "version_conflict" => Self::VersionConflict { version: number("version")? },
            _ => Self::Unknown { code: code.to_string(), reason },
        })
    }
}

/// Returns the key that statements lead to, as users type it.
fn last(chain: &[Rotation]) -> String {
    chain.last().map(|rotation| rotation.to().to_z32()).unwrap_or_default()
}

/// Reads the statements of a key that was replaced; `None` if they are not valid.
fn moved(data: &Value) -> Option<Vec<Rotation>> {
    let raw = raw_chain(data.get("chain")?)?;
    let from = raw.first()?.from;
    verify_chain(&from, raw).ok()
}

/// Reads a list of statements.
pub(super) fn raw_chain(list: &Value) -> Option<Vec<RawRotation>> {
    list.as_array()?.iter().map(|raw| json::object(raw).ok()).collect()
}

impl From<Denied> for ClientError {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}

/// Most characters of the server's message that are kept.
const MAX_REASON: usize = 300;
