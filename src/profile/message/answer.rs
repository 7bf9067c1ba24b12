//! The greeting and the answers of a server.

use serde_json::{Value, json};

use super::super::content::{InvalidProfile, MAX_PROFILE_BYTES};
use super::super::lines::MAX_LINE;
use super::super::record::{Record, RecordError};
use super::super::rotation::{MAX_CHAIN, Rotation};
use super::call::{BadCall, Id, NEWEST_PROTOCOL, PROTOCOL, line};
use crate::PublicKey;

/// Why the server refuses a well-formed call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The key has a record already.
    #[error("this key is registered already, its profile has version {version}")]
    AlreadyRegistered {
        /// The stored version.
        version: u64,
    },
    /// The operator has banned the key, or the network of the connection.
    #[error("the operator has closed this server to your key or your network")]
    Banned,
    /// The record is another key's, or its signature is not the owner's.
    #[error("the record is not signed by the key of this connection")]
    BadSignature,
    /// The statement that replaces a key is not valid, or not the caller's.
    #[error("the statement is not signed by both keys, or neither is the key of this connection")]
    BadStatement,
    /// The operator has closed the method to this key.
    #[error("the operator has closed this to your key")]
    Closed,
    /// All connections are taken, and no source is busier than the peer's.
    #[error("all connections of the server are taken, try again later")]
    Full,
    /// The disk of the server is full.
    #[error("the disk of the server is full, so it stores no changes now")]
    DiskFull,
    /// The profile breaks a rule.
    #[error("{0}")]
    InvalidProfile(InvalidProfile),
    /// The owner of the key goes on under another one.
    #[error("this key has been replaced by another one, {}", latest(chain))]
    Moved {
        /// The statements that lead to the new key, at least one.
        chain: Vec<Rotation>,
    },
    /// The key has been replaced so often that the server does not follow.
    #[error("this key has been replaced, and the new one again, more than {MAX_CHAIN} times")]
    MovedTooOften,
    /// The key has no record.
    #[error("this key is not registered")]
    NotRegistered,
    /// The store of the server failed.
    #[error("the server could not reach its storage")]
    Storage,
    /// A limit is reached.
    #[error("too many requests, try again in {retry_after} s")]
    TooMany {
        /// Seconds until the limit allows another request.
        retry_after: u64,
    },
    /// The version does not follow the one that the server knows.
    #[error("the version does not follow the last one known here, {version}")]
    VersionConflict {
        /// The last version that the server knows, 0 if none.
        version: u64,
    },
}

impl Refusal {
    /// Returns `data.kind` of the error.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::AlreadyRegistered { .. } => "already_registered",
            Self::BadSignature | Self::BadStatement => "bad_signature",
            Self::Banned | Self::Closed => "closed",
            Self::Full => "full",
            Self::InvalidProfile(_) => "invalid_profile",
            Self::Moved { .. } => "moved",
            Self::MovedTooOften => "moved_too_often",
            Self::NotRegistered => "not_registered",
            Self::DiskFull | Self::Storage => "storage",
            Self::TooMany { .. } => "too_many",
            Self::VersionConflict { .. } => "version_conflict",
        }
    }

    const fn code(&self) -> i64 {
        match self {
            Self::DiskFull | Self::Storage => -32603,
            _ => -32000,
        }
    }

    fn to_json(&self) -> Value {
        json!({"code": self.code(), "message": self.to_string(), "data": self.data()})
    }

    fn data(&self) -> Value {
        let kind = self.kind();
        match self {
            Self::AlreadyRegistered { version } | Self::VersionConflict { version } => {
                json!({"kind": kind, "version": version})
            }
            Self::TooMany { retry_after } => json!({"kind": kind, "retryAfter": retry_after}),
            Self::Moved { chain } => json!({
                "kind": kind,
                "to": chain.last().map(|rotation| rotation.to().to_hex()),
                "chain": chain,
            }),
            Self::DiskFull => json!({"kind": kind, "full": true}),
            _ => json!({"kind": kind}),
        }
    }
}

/// Returns the key that a chain leads to, as users type it.
fn latest(chain: &[Rotation]) -> String {
    chain.last().map(|rotation| rotation.to().to_z32()).unwrap_or_default()
}

impl From<RecordError> for Refusal {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Profile(error) => Self::InvalidProfile(error),
            RecordError::Signature | RecordError::Version => Self::BadSignature,
        }
    }
}

/// The result of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Success {
    /// The record that was read or is now stored.
    Record(Record),
    /// The record that a key leads to, by these statements.
    Followed {
        /// The record.
        record: Record,
        /// The statements, in order; none if it is the record of the key itself.
        chain: Vec<Rotation>,
    },
    /// The record is gone.
    Deleted,
    /// The record has moved to the new key.
    Moved,
    /// The empty object.
    Empty,
}

/// Writes the greeting, the first line of every connection.
///
/// `chain` are the statements that have replaced the key, if it was replaced. `refusal` is what each request
/// will be answered with, if that is certain.
pub fn hello_line(record: Option<&Record>, chain: &[Rotation], refusal: Option<&Refusal>) -> Vec<u8> {
    let mut parameters = json!({
        "protocol": PROTOCOL,
        "maxProtocol": NEWEST_PROTOCOL,
        "record": record,
        "limits": {"profileBytes": MAX_PROFILE_BYTES, "lineBytes": MAX_LINE},
    });
    if !chain.is_empty() {
        parameters["chain"] = json!(chain);
    }
    if let Some(refusal) = refusal {
        parameters["error"] = refusal.to_json();
    }
    line(&json!({"jsonrpc": "2.0", "method": "hello", "params": parameters}))
}

/// Writes the notification of what a watched key has now, or the one that `chain` leads to.
pub fn changed_line(key: &PublicKey, record: Option<&Record>, chain: &[Rotation]) -> Vec<u8> {
    let mut parameters = json!({"key": key.to_hex(), "record": record});
    if !chain.is_empty() {
        parameters["chain"] = json!(chain);
    }
    line(&json!({"jsonrpc": "2.0", "method": "profile.changed", "params": parameters}))
}

/// Writes the answer to a call.
pub fn answer_line(id: Option<&Id>, outcome: &Result<Success, Refusal>) -> Vec<u8> {
    match outcome {
        Ok(success) => {
            let result = match success {
                Success::Record(record) => json!({"record": record}),
                Success::Followed { record, chain } => json!({"record": record, "chain": chain}),
                Success::Deleted => json!({"deleted": true}),
                Success::Moved => json!({"moved": true}),
                Success::Empty => json!({}),
            };
            line(&json!({"jsonrpc": "2.0", "id": id, "result": result}))
        }
        Err(refusal) => line(&json!({
            "jsonrpc": "2.0",
            "id": id,
            "error": refusal.to_json(),
        })),
    }
}

/// Writes the answer to a line that is not a call.
pub fn bad_call_line(bad: &BadCall) -> Vec<u8> {
    line(&json!({
        "jsonrpc": "2.0",
        "id": bad.id,
        "error": {"code": bad.error.code(), "message": bad.error.to_string()},
    }))
}

#[cfg(test)]
mod tests {
    use super::super::super::json;
    use super::*;

    #[test]
    fn errors_carry_what_a_client_acts_on() {
        let text = |refusal| String::from_utf8(answer_line(Some(&1.into()), &Err(refusal))).unwrap();
        assert!(
            text(Refusal::VersionConflict { version: 9 })
                .contains(r#""data":{"kind":"version_conflict","version":9}"#)
        );
        assert!(
            text(Refusal::TooMany { retry_after: 9 })
                .contains(r#""data":{"kind":"too_many","retryAfter":9}"#)
        );
        assert!(text(Refusal::DiskFull).contains(r#""code":-32603,"data":{"full":true,"kind":"storage"}"#));
        assert!(text(Refusal::NotRegistered).contains(r#""code":-32000"#));
    }

    #[test]
    fn the_greeting_is_that_of_the_protocol() {
        let written = json::parse(&hello_line(None, &[], None)).unwrap();
        let expected = r#"{"jsonrpc":"2.0","method":"hello","params":{"protocol":1,"maxProtocol":2,
            "record":null,"limits":{"profileBytes":8192,"lineBytes":65536}}}"#;
        assert_eq!(written, json::parse(expected.as_bytes()).unwrap());
    }
}
