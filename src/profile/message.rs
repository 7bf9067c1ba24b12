//! What travels in a line: calls from a client, the greeting and the answers of a server.
//!
//! JSON-RPC 2.0 without batches. Line shapes:
//!
//! | line | shape |
//! |---|---|
//! | call | `{"jsonrpc":"2.0","id":1,"method":"profile.get","params":{}}` |
//! | result | `{"jsonrpc":"2.0","id":1,"result":{"record":{…}}}` |
//! | error | `{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"…","data":{"kind":"…"}}}` |
//! | hello | `{"jsonrpc":"2.0","method":"hello","params":{"protocol":1,"record":null,"limits":{…}}}` |

use serde::Serialize;
use serde_json::{Value, json};

use super::content::{InvalidProfile, MAX_PROFILE_BYTES};
use super::json::{Json, JsonError, Members};
use super::lines::MAX_LINE;
use super::record::{RawRecord, Record, RecordError, hex, is_version};
use crate::PublicKey;

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Stores a first record.
    Register {
        /// The record.
        record: RawRecord,
        /// The version that the server holds (0 for none), if the record's is more than one above it.
        after: Option<u64>,
    },
    /// Reads the caller's record.
    Get,
    /// Replaces the caller's record.
    Update {
        /// The record.
        record: RawRecord,
        /// The version that the server holds, if the record's is more than one above it.
        after: Option<u64>,
    },
    /// Removes the caller's record.
    Delete {
        /// The version that the server holds.
        version: u64,
    },
    /// Reads the record of any key.
    Lookup {
        /// Whose.
        key: PublicKey,
    },
    /// Does nothing, but counts as a sign of life.
    Ping,
}

/// A request with the identifier under which its answer is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The caller's choice.
    pub id: Id,
    /// What is asked.
    pub request: Request,
}

/// The identifier of a call: an integer, or a string of at most 64 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Id {
    /// An integer.
    Number(serde_json::Number),
    /// A string.
    Text(String),
}

/// A line that cannot be carried out, and the identifier for the answer that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadCall {
    /// The identifier, as far as it could be read.
    pub id: Option<Id>,
    /// What is wrong.
    pub error: CallError,
}

/// Why a line is not a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The line is not JSON, or nested too deep.
    #[error("the line is {0}")]
    Json(JsonError),
    /// The line is longer than allowed; nothing after it can be read.
    #[error("a line has at most {MAX_LINE} bytes")]
    LongLine,
    /// The line is JSON, but not a call.
    #[error("not a JSON-RPC 2.0 request with an integer or short string as id")]
    NotACall,
    /// There is no such method.
    #[error("no such method")]
    NoSuchMethod,
    /// The parameters are not those of the method.
    #[error("the parameters do not fit the method")]
    Parameters,
}

impl CallError {
    const fn code(self) -> i64 {
        match self {
            Self::Json(JsonError::DuplicateName) | Self::NotACall => -32600,
            Self::Json(_) | Self::LongLine => -32700,
            Self::NoSuchMethod => -32601,
            Self::Parameters => -32602,
        }
    }
}

impl Call {
    /// Reads a line, without its line break. `None` is a notification: nobody expects an answer.
    ///
    /// # Errors
    ///
    /// [`BadCall`] holds what to answer.
    pub fn read(line: &[u8]) -> Result<Option<Self>, BadCall> {
        let bad = |id: Option<Id>, error| Err(BadCall { id, error });
        let json = match Json::parse(line) {
            Ok(json) => json,
            Err(error) => return bad(None, CallError::Json(error)),
        };
        let id = match json.get("id") {
            None => None,
            Some(id) => match Id::from_json(id) {
                None => return bad(None, CallError::NotACall),
                known => known,
            },
        };
        let version = json.get("jsonrpc").and_then(Json::as_str);
        let (Some("2.0"), Some(method)) = (version, json.get("method").and_then(Json::as_str)) else {
            return bad(id, CallError::NotACall);
        };
        let Some(id) = id else { return Ok(None) };
        let none = Members::new();
        let parameters = match json.get("params") {
            None => Some(&none),
            Some(parameters) => parameters.as_object(),
        };
        let request = parameters
            .ok_or(CallError::Parameters)
            .and_then(|parameters| Request::read(method, parameters));
        match request {
            Ok(request) => Ok(Some(Self { id, request })),
            Err(error) => bad(Some(id), error),
        }
    }

    /// Writes the line, its line break included.
    pub fn to_line(&self) -> Vec<u8> {
        let (method, parameters) = self.request.parts();
        line(&json!({"jsonrpc": "2.0", "id": self.id, "method": method, "params": parameters}))
    }
}

impl Id {
    fn from_json(json: &Json) -> Option<Self> {
        match json {
            Json::Number(number) if number.is_i64() || number.is_u64() => Some(Self::Number(number.clone())),
            Json::String(text) if text.len() <= MAX_ID_BYTES => Some(Self::Text(text.clone())),
            _ => None,
        }
    }
}

impl From<u64> for Id {
    fn from(number: u64) -> Self {
        Self::Number(number.into())
    }
}

impl Request {
    fn read(method: &str, parameters: &Members) -> Result<Self, CallError> {
        let only = |names: &[&str]| {
            let known = parameters.keys().all(|name| names.contains(&name.as_str()));
            known.then_some(()).ok_or(CallError::Parameters)
        };
        let record = || {
            parameters
                .get("record")
                .and_then(RawRecord::from_json)
                .ok_or(CallError::Parameters)
        };
        let after = || match parameters.get("after") {
            None => Ok(None),
            Some(json) => match json.as_u64() {
                Some(version) if version == 0 || is_version(version) => Ok(Some(version)),
                _ => Err(CallError::Parameters),
            },
        };
        match method {
            "profile.register" => {
                only(&["record", "after"])?;
                Ok(Self::Register {
                    record: record()?,
                    after: after()?,
                })
            }
            "profile.get" => only(&[]).map(|()| Self::Get),
            "profile.update" => {
                only(&["record", "after"])?;
                Ok(Self::Update {
                    record: record()?,
                    after: after()?,
                })
            }
            "profile.delete" => {
                only(&["version"])?;
                let version = parameters.get("version").and_then(Json::as_u64);
                match version {
                    Some(version) if is_version(version) => Ok(Self::Delete { version }),
                    _ => Err(CallError::Parameters),
                }
            }
            "profile.lookup" => {
                only(&["key"])?;
                let key = parameters.get("key").and_then(hex);
                key.map(|key| Self::Lookup {
                    key: PublicKey::from_bytes(key),
                })
                .ok_or(CallError::Parameters)
            }
            "ping" => only(&[]).map(|()| Self::Ping),
            _ => Err(CallError::NoSuchMethod),
        }
    }

    fn parts(&self) -> (&'static str, Value) {
        let with_record = |record: &RawRecord, after: &Option<u64>| match after {
            None => json!({"record": record}),
            Some(after) => json!({"record": record, "after": after}),
        };
        match self {
            Self::Register { record, after } => ("profile.register", with_record(record, after)),
            Self::Get => ("profile.get", json!({})),
            Self::Update { record, after } => ("profile.update", with_record(record, after)),
            Self::Delete { version } => ("profile.delete", json!({"version": version})),
            Self::Lookup { key } => ("profile.lookup", json!({"key": key.to_hex()})),
            Self::Ping => ("ping", json!({})),
        }
    }
}

/// Why the server does not do what a well-formed call asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The key has a record already.
    #[error("this key is registered already, its profile has version {version}")]
    AlreadyRegistered {
        /// The stored version.
        version: u64,
    },
    /// The record is another key's, or its signature is not the owner's.
    #[error("the record is not signed by the key of this connection")]
    BadSignature,
    /// The operator does not allow it to this key.
    #[error("the operator has closed this to your key")]
    Closed,
    /// The profile breaks a rule.
    #[error("{0}")]
    InvalidProfile(InvalidProfile),
    /// The key has no record.
    #[error("this key is not registered")]
    NotRegistered,
    /// The server's disk failed it.
    #[error("the server could not reach its storage")]
    Storage,
    /// A limit is reached.
    #[error("too many requests, try again in {retry_after} s")]
    TooMany {
        /// Seconds until it is worth trying again.
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
    /// Returns the name that travels.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::AlreadyRegistered { .. } => "already_registered",
            Self::BadSignature => "bad_signature",
            Self::Closed => "closed",
            Self::InvalidProfile(_) => "invalid_profile",
            Self::NotRegistered => "not_registered",
            Self::Storage => "storage",
            Self::TooMany { .. } => "too_many",
            Self::VersionConflict { .. } => "version_conflict",
        }
    }

    const fn code(&self) -> i64 {
        match self {
            Self::Storage => -32603,
            _ => -32000,
        }
    }

    fn data(&self) -> Value {
        let kind = self.kind();
        match self {
            Self::AlreadyRegistered { version } | Self::VersionConflict { version } => {
                json!({"kind": kind, "version": version})
            }
            Self::TooMany { retry_after } => json!({"kind": kind, "retryAfter": retry_after}),
            _ => json!({"kind": kind}),
        }
    }
}

impl From<RecordError> for Refusal {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Profile(error) => Self::InvalidProfile(error),
            RecordError::Signature | RecordError::Version => Self::BadSignature,
        }
    }
}

/// What a server answers to a call that it carries out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Success {
    /// The record that was asked for or is now stored.
    Record(Record),
    /// The record is gone.
    Deleted,
    /// Nothing was to be said.
    Empty,
}

/// Writes the greeting, the first line of every connection.
pub fn hello_line(record: Option<&Record>) -> Vec<u8> {
    line(&json!({
        "jsonrpc": "2.0",
        "method": "hello",
        "params": {
            "protocol": PROTOCOL,
            "record": record,
            "limits": {"profileBytes": MAX_PROFILE_BYTES, "lineBytes": MAX_LINE},
        },
    }))
}

/// Writes the answer to a call.
pub fn answer_line(id: Option<&Id>, outcome: &Result<Success, Refusal>) -> Vec<u8> {
    match outcome {
        Ok(success) => {
            let result = match success {
                Success::Record(record) => json!({"record": record}),
                Success::Deleted => json!({"deleted": true}),
                Success::Empty => json!({}),
            };
            line(&json!({"jsonrpc": "2.0", "id": id, "result": result}))
        }
        Err(refusal) => line(&json!({
            "jsonrpc": "2.0",
            "id": id,
            "error": {"code": refusal.code(), "message": refusal.to_string(), "data": refusal.data()},
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

fn line(message: &Value) -> Vec<u8> {
    let mut line = serde_json::to_vec(message).expect("messages are made of JSON values");
    line.push(b'\n');
    line
}

/// The version of this protocol.
pub const PROTOCOL: u64 = 1;
/// Most bytes of an identifier that is a string.
pub const MAX_ID_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::super::content::Profile;
    use super::*;
    use crate::KeyPair;
    use proptest::prelude::*;

    fn code_of(line: &str) -> i64 {
        Call::read(line.as_bytes()).expect_err(line).error.code()
    }

    #[test]
    fn every_request_reads_back_as_it_was_written() {
        let profile = Profile::parse(r#"{"name":"Ada"}"#).unwrap();
        let record: RawRecord = (&Record::sign(&KeyPair::from_seed(&[1; 32]), 4, profile)).into();
        for request in [
            Request::Register {
                record: record.clone(),
                after: None,
            },
            Request::Register {
                record: record.clone(),
                after: Some(0),
            },
            Request::Get,
            Request::Update {
                record: record.clone(),
                after: None,
            },
            Request::Update {
                record,
                after: Some(3),
            },
            Request::Delete { version: 4 },
            Request::Lookup {
                key: PublicKey::from_bytes([5; 32]),
            },
            Request::Ping,
        ] {
            let call = Call {
                id: 7.into(),
                request,
            };
            assert_eq!(Call::read(&call.to_line()), Ok(Some(call)));
        }
    }

    #[test]
    fn names_each_fault_by_its_code() {
        assert_eq!(code_of("{"), -32700);
        assert_eq!(code_of(""), -32700);
        assert_eq!(code_of(&"[".repeat(9)), -32700);
        assert_eq!(code_of("[]"), -32600);
        assert_eq!(code_of("1"), -32600);
        assert_eq!(code_of(r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#), -32600);
        assert_eq!(
            code_of(r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#),
            -32600
        );
        assert_eq!(code_of(r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#), -32600);
        assert_eq!(code_of(r#"{"id":1,"method":"ping"}"#), -32600);
        assert_eq!(code_of(r#"{"jsonrpc":"2.0","id":1}"#), -32600);
        for id in ["null", "1.5", "{}", "true", "99999999999999999999"] {
            let line = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
            assert_eq!(code_of(&line), -32600, "{line}");
        }
        assert_eq!(
            code_of(r#"{"jsonrpc":"2.0","id":1,"method":"profile.steal"}"#),
            -32601
        );
        for (method, params) in [
            ("ping", "[]"),
            ("ping", "{\"a\":1}"),
            ("profile.get", "{\"key\":\"00\"}"),
            ("profile.delete", "{}"),
            ("profile.delete", "{\"version\":0}"),
            ("profile.delete", "{\"version\":\"1\"}"),
            ("profile.lookup", "{\"key\":\"00\"}"),
            ("profile.register", "{\"record\":{}}"),
            ("profile.update", "{}"),
        ] {
            let line = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
            assert_eq!(code_of(&line), -32602, "{line}");
        }
    }

    #[test]
    fn an_identifier_of_64_bytes_passes_and_of_65_does_not() {
        let line = |n: usize| format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"ping"}}"#, "i".repeat(n));
        assert!(Call::read(line(64).as_bytes()).is_ok());
        assert_eq!(code_of(&line(65)), -32600);
    }

    #[test]
    fn a_call_without_an_identifier_is_a_notification() {
        for method in ["ping", "profile.delete", "whatever"] {
            let line = format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{{}}}}"#);
            assert_eq!(Call::read(line.as_bytes()), Ok(None));
        }
    }

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
        assert!(text(Refusal::NotRegistered).contains(r#""code":-32000"#));
    }

    #[test]
    fn the_greeting_is_that_of_the_protocol() {
        let written = Json::parse(&hello_line(None)).unwrap();
        let expected = r#"{"jsonrpc":"2.0","method":"hello","params":{"protocol":1,"record":null,"limits":{"profileBytes":8192,"lineBytes":65536}}}"#;
        assert_eq!(written, Json::parse(expected.as_bytes()).unwrap());
    }

    proptest! {
        #[test]
        fn arbitrary_lines_never_panic(line: Vec<u8>) {
            let _ = Call::read(&line);
        }
    }
}
