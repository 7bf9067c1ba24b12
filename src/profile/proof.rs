//! A signed profile as a text that proves itself, without a server: `{"hyperprofile":1,"record":{…}}`.

use serde_json::{Value, json};

use super::json::{self, JsonError};
use super::record::{RawRecord, Record, RecordError};

/// Why a text proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The text is not JSON.
    #[error("it is {0}")]
    Json(#[from] JsonError),
    /// The text is JSON, and not what [`to_text`] writes.
    #[error("it is no exported profile")]
    Format,
    /// A later version of this program has written it.
    #[error("a later version of this program has written it (format {0})")]
    Later(u64),
    /// The record in it is not valid.
    #[error("its record is not valid: {0}")]
    Record(#[from] RecordError),
}

/// Writes a record.
pub fn to_text(record: &Record) -> String {
    format!("{:#}\n", json!({"hyperprofile": FORMAT, "record": record}))
}

/// Reads and verifies a record.
///
/// # Errors
///
/// [`ProofError`] if the text is not of a record that its owner has signed.
pub fn from_text(text: &[u8]) -> Result<Record, ProofError> {
    let mut text = json::parse(text)?;
    match text.get("hyperprofile").and_then(Value::as_u64) {
        Some(FORMAT) => {}
        Some(later) if later > FORMAT => return Err(ProofError::Later(later)),
        _ => return Err(ProofError::Format),
    }
    let record = text.get_mut("record").map(Value::take).ok_or(ProofError::Format)?;
    let record: RawRecord = json::object(record).map_err(|_| ProofError::Format)?;
    Ok(record.verify()?)
}

/// The format that is written.
const FORMAT: u64 = 1;
/// Most bytes of a text that is read: the record of the largest profile, each byte of it escaped.
pub const MAX_PROOF_TEXT: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::super::content::{InvalidProfile, Profile, ProfileDraft};
    use super::*;
    use crate::KeyPair;

    fn record() -> Record {
        let profile = Profile::parse(r#"{ "name": "Ada \"L\"" }"#).unwrap();
        Record::sign(&KeyPair::from_seed(&[1; 32]), 3, profile)
    }

    #[test]
    fn a_record_is_read_back_to_the_byte() {
        let read = from_text(to_text(&record()).as_bytes()).unwrap();
        assert_eq!(read, record());
        assert_eq!(read.profile().text(), record().profile().text());
    }

    #[test]
    fn the_longest_text_fits() {
        let fields = (0..7).map(|n| (format!("{n}"), "\\".repeat(500)));
        let draft = ProfileDraft { name: "A".into(), fields: fields.collect(), ..ProfileDraft::default() };
        let record = Record::sign(&KeyPair::from_seed(&[1; 32]), 1, draft.check().unwrap());
        assert!(record.profile().text().len() > 7000);
        assert!(2 * to_text(&record).len() < MAX_PROOF_TEXT);
    }

    #[test]
    fn each_change_of_a_text_is_noticed() {
        let text = to_text(&record());
        let with = |from: &str, to: &str| {
            assert!(text.contains(from), "{from}");
            from_text(text.replace(from, to).as_bytes()).unwrap_err()
        };
        assert_eq!(with("Ada", "Eve"), ProofError::Record(RecordError::Signature));
        assert_eq!(with("\"version\": 3", "\"version\": 4"), ProofError::Record(RecordError::Signature));
        let eve = KeyPair::from_seed(&[6; 32]).public_key().to_hex();
        assert_eq!(with(&record().key().to_hex(), &eve), ProofError::Record(RecordError::Signature));
        assert_eq!(with("\"version\": 3", "\"version\": 0"), ProofError::Format);
        assert_eq!(with("\"hyperprofile\": 1", "\"hyperprofile\": 2"), ProofError::Later(2));
        assert_eq!(with("hyperprofile", "other"), ProofError::Format);
        assert_eq!(with("\"version\": 3", "\"version\": 3, \"more\": 1"), ProofError::Format);
        assert_eq!(with("\\\"name\\\"", "\\\"nome\\\""), {
            let unknown = Profile::parse(r#"{"nome":"x"}"#).unwrap_err();
            assert!(matches!(unknown, InvalidProfile::Json(_) | InvalidProfile::UnknownField));
            ProofError::Record(RecordError::Profile(unknown))
        });
        for text in ["", "[]", "{}", "7", "{\"hyperprofile\":1}", "{\"hyperprofile\":1,\"record\":[]}"] {
            assert!(from_text(text.as_bytes()).is_err(), "{text}");
        }
    }
}
