//! Calls of a client, and how a server reads them.

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};

use super::super::json::{self, JsonError};
use super::super::lines::MAX_LINE;
use super::super::record::{RawRecord, hex_key, is_version, version};
use super::super::rotation::RawRotation;
use crate::PublicKey;

/// A request of a client: its method and parameters.
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
        /// The owner of the record.
        key: PublicKey,
        /// Whether the record of the key that has replaced it is as good.
        follow: bool,
    },
    /// Moves the record of a key to the one that replaces it.
    Rotate {
        /// The statement of both keys.
        rotation: RawRotation,
        /// The record of the new key.
        record: RawRecord,
    },
    /// Asks for the records of these keys now, and for each one again whenever it changes. Replaces the keys
    /// that were watched before.
    Watch {
        /// The owners of the records, at most [`MAX_WATCHED`].
        keys: Vec<PublicKey>,
    },
    /// Does nothing; keeps the connection from being idle.
    Ping,
}

/// A request with the identifier under which its answer is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Chosen by the caller.
    pub id: Id,
    /// The request.
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

/// A line that is not a valid call, and the identifier for the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadCall {
    /// The identifier, as far as it could be read.
    pub id: Option<Id>,
    /// What is wrong.
    pub error: CallError,
}

/// Why a line is not a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
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
    pub(super) const fn code(self) -> i64 {
        match self {
            Self::Json(JsonError::DuplicateName) | Self::NotACall => -32600,
            Self::Json(_) | Self::LongLine => -32700,
            Self::NoSuchMethod => -32601,
            Self::Parameters => -32602,
        }
    }
}

impl Call {
    /// Reads a line, without its line break. `None` is a notification, which has no answer.
    ///
    /// # Errors
    ///
    /// [`BadCall`] for the error answer.
    pub fn read(line: &[u8]) -> Result<Option<Self>, BadCall> {
        let bad = |id: Option<Id>, error| Err(BadCall { id, error });
        let mut json = match json::parse(line) {
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
        let parameters = json.get_mut("params").map(Value::take);
        let text = |name| json.get(name).and_then(Value::as_str);
        let (Some("2.0"), Some(method)) = (text("jsonrpc"), text("method")) else {
            return bad(id, CallError::NotACall);
        };
        let Some(id) = id else { return Ok(None) };
        let request = match parameters {
            None => Request::read(method, Map::new()),
            Some(Value::Object(parameters)) => Request::read(method, parameters),
            Some(_) => Err(CallError::Parameters),
        };
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
    fn from_json(json: &Value) -> Option<Self> {
        match json {
            Value::Number(number) if number.is_i64() || number.is_u64() => Some(Self::Number(number.clone())),
            Value::String(text) if text.len() <= MAX_ID_BYTES => Some(Self::Text(text.clone())),
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
    fn read(method: &str, parameters: Map<String, Value>) -> Result<Self, CallError> {
        match method {
            "profile.register" => {
                typed(parameters).map(|RecordParams { record, after }| Self::Register { record, after })
            }
            "profile.get" => typed(parameters).map(|NoParams {}| Self::Get),
            "profile.update" => {
                typed(parameters).map(|RecordParams { record, after }| Self::Update { record, after })
            }
            "profile.delete" => typed(parameters).map(|DeleteParams { version }| Self::Delete { version }),
            "profile.lookup" => {
                typed(parameters).map(|LookupParams { key, follow }| Self::Lookup { key, follow })
            }
            "profile.rotate" => {
                typed(parameters).map(|RotateParams { rotation, record }| Self::Rotate { rotation, record })
            }
            "profile.watch" => typed(parameters).map(|WatchParams { keys }| Self::Watch { keys }),
            "ping" => typed(parameters).map(|NoParams {}| Self::Ping),
            _ => Err(CallError::NoSuchMethod),
        }
    }

    /// Returns the version of the protocol that has this request.
    pub const fn protocol(&self) -> u64 {
        match self {
            Self::Register { .. }
            | Self::Get
            | Self::Update { .. }
            | Self::Delete { .. }
            | Self::Lookup { follow: false, .. }
            | Self::Ping => PROTOCOL,
            Self::Lookup { follow: true, .. } | Self::Rotate { .. } | Self::Watch { .. } => 2,
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
            Self::Lookup { key, follow: false } => ("profile.lookup", json!({"key": key.to_hex()})),
            Self::Lookup { key, follow: true } => {
                ("profile.lookup", json!({"key": key.to_hex(), "follow": true}))
            }
            Self::Rotate { rotation, record } => {
                ("profile.rotate", json!({"rotation": rotation, "record": record}))
            }
            Self::Watch { keys } => {
                let keys: Vec<_> = keys.iter().map(PublicKey::to_hex).collect();
                ("profile.watch", json!({"keys": keys}))
            }
            Self::Ping => ("ping", json!({})),
        }
    }
}

/// The parameters of `profile.register` and `profile.update`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordParams {
    #[serde(deserialize_with = "json::object")]
    record: RawRecord,
    #[serde(default, deserialize_with = "after")]
    after: Option<u64>,
}

/// The parameters of `profile.delete`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeleteParams {
    #[serde(deserialize_with = "version")]
    version: u64,
}

/// The parameters of `profile.lookup`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LookupParams {
    #[serde(with = "hex_key")]
    key: PublicKey,
    #[serde(default)]
    follow: bool,
}

/// The parameters of `profile.rotate`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RotateParams {
    #[serde(deserialize_with = "json::object")]
    rotation: RawRotation,
    #[serde(deserialize_with = "json::object")]
    record: RawRecord,
}

/// The parameters of `profile.watch`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WatchParams {
    #[serde(deserialize_with = "watched")]
    keys: Vec<PublicKey>,
}

/// The parameters of a method that has none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoParams {}

fn typed<T: DeserializeOwned>(parameters: Map<String, Value>) -> Result<T, CallError> {
    T::deserialize(parameters).map_err(|_| CallError::Parameters)
}

/// Reads a version, or 0 for none; null is neither.
fn after<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let version = u64::deserialize(deserializer)?;
    if version == 0 || is_version(version) {
        Ok(Some(version))
    } else {
        Err(D::Error::custom("not a version, nor 0"))
    }
}

fn watched<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<PublicKey>, D::Error> {
    #[derive(Deserialize)]
    struct Key(#[serde(with = "hex_key")] PublicKey);
    let keys = Vec::<Key>::deserialize(deserializer)?;
    if keys.len() > MAX_WATCHED {
        return Err(D::Error::invalid_length(keys.len(), &"fewer keys"));
    }
    Ok(keys.into_iter().map(|Key(key)| key).collect())
}

pub(super) fn line(message: &Value) -> Vec<u8> {
    let mut line = serde_json::to_vec(message).expect("messages are made of JSON values");
    line.push(b'\n');
    line
}

/// The oldest version of the protocol that is served.
pub const PROTOCOL: u64 = 1;
/// The newest version of the protocol that is served.
pub(super) const NEWEST_PROTOCOL: u64 = 2;
/// Most keys that a connection watches.
pub const MAX_WATCHED: usize = 32;
/// Most bytes of an identifier that is a string.
pub const MAX_ID_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::super::super::content::Profile;
    use super::super::super::record::Record;
    use super::super::super::rotation::tests::rotation;
    use super::*;
    use crate::KeyPair;
    use proptest::prelude::*;

    #[test]
    fn every_request_reads_back_as_it_was_written() {
        let profile = Profile::parse(r#"{"name":"Ada"}"#).unwrap();
        let record: RawRecord = (&Record::sign(&KeyPair::from_seed(&[1; 32]), 4, profile)).into();
        for request in [
            Request::Register { record: record.clone(), after: None },
            Request::Register { record: record.clone(), after: Some(0) },
            Request::Get,
            Request::Update { record: record.clone(), after: None },
            Request::Update { record: record.clone(), after: Some(3) },
            Request::Delete { version: 4 },
            Request::Lookup { key: PublicKey::from_bytes([5; 32]), follow: false },
            Request::Lookup { key: PublicKey::from_bytes([5; 32]), follow: true },
            Request::Rotate { rotation: rotation(1, 2).raw().clone(), record },
            Request::Watch { keys: vec![] },
            Request::Watch { keys: vec![PublicKey::from_bytes([5; 32]), PublicKey::from_bytes([6; 32])] },
            Request::Ping,
        ] {
            let call = Call { id: 7.into(), request };
            assert_eq!(Call::read(&call.to_line()), Ok(Some(call)));
        }
    }

    proptest! {
        #[test]
        fn arbitrary_lines_never_panic(line: Vec<u8>) {
            let _ = Call::read(&line);
        }
    }
}
