//! JSON read strictly: no member name twice, a bounded depth, nothing after the value.
//!
//! Parsers differ in which of two members of one name they keep. Under a signature over the text that
//! difference would let one record mean two things, so such a text is refused as a whole.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

/// A JSON value whose objects have each name once.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, integer or not.
    Number(serde_json::Number),
    /// A string of Unicode scalar values.
    String(String),
    /// An array.
    Array(Vec<Self>),
    /// An object, its members ordered by name.
    Object(Members),
}

/// The members of an object.
pub type Members = BTreeMap<String, Json>;

/// Why a text is not the JSON that this protocol takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// The text is not JSON, or holds half of a surrogate pair.
    #[error("not JSON (line {line}, column {column})")]
    Syntax {
        /// Line of the fault, from 1.
        line: usize,
        /// Column of the fault, from 1.
        column: usize,
    },
    /// Arrays and objects are nested deeper than [`MAX_DEPTH`].
    #[error("nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// An object has two members of one name.
    #[error("an object has two members of one name")]
    DuplicateName,
}

impl Json {
    /// Reads one value that fills the whole text.
    ///
    /// # Errors
    ///
    /// [`JsonError`] says what is wrong; it never quotes the text.
    pub fn parse(text: &[u8]) -> Result<Self, JsonError> {
        let fault = Cell::new(None);
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        let seed = Strict {
            levels_left: MAX_DEPTH,
            fault: &fault,
        };
        seed.deserialize(&mut deserializer)
            .and_then(|value| deserializer.end().map(|()| value))
            .map_err(|error| {
                fault.get().unwrap_or_else(|| JsonError::Syntax {
                    line: error.line(),
                    column: error.column(),
                })
            })
    }

    /// Returns the text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// Returns an integer that is not negative, written without fraction or exponent.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Number(number) => number.as_u64(),
            _ => None,
        }
    }

    /// Returns the members of an object.
    pub const fn as_object(&self) -> Option<&Members> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    /// Returns the member of that name, if this is an object that has it.
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.as_object().and_then(|members| members.get(name))
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(value) => value.serialize(serializer),
            Self::String(value) => serializer.serialize_str(value),
            Self::Array(values) => {
                let mut array = serializer.serialize_seq(Some(values.len()))?;
                for value in values {
                    array.serialize_element(value)?;
                }
                array.end()
            }
            Self::Object(members) => {
                let mut object = serializer.serialize_map(Some(members.len()))?;
                for (name, value) in members {
                    object.serialize_entry(name, value)?;
                }
                object.end()
            }
        }
    }
}

/// Reads one value with so many levels left below it.
#[derive(Clone, Copy)]
struct Strict<'a> {
    levels_left: usize,
    fault: &'a Cell<Option<JsonError>>,
}

impl Strict<'_> {
    fn one_level_down<E: serde::de::Error>(self) -> Result<Self, E> {
        match self.levels_left.checked_sub(1) {
            Some(levels_left) => Ok(Self { levels_left, ..self }),
            None => Err(self.refuse(JsonError::TooDeep)),
        }
    }

    fn refuse<E: serde::de::Error>(self, fault: JsonError) -> E {
        self.fault.set(Some(fault));
        E::custom(fault)
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Json, E> {
        serde_json::Number::from_f64(value)
            .map(Json::Number)
            .ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Json, A::Error> {
        let inner = self.one_level_down()?;
        let mut values = Vec::new();
        while let Some(value) = array.next_element_seed(inner)? {
            values.push(value);
        }
        Ok(Json::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Json, A::Error> {
        let inner = self.one_level_down()?;
        let mut members = Members::new();
        while let Some(name) = object.next_key::<String>()? {
            if members.contains_key(&name) {
                return Err(self.refuse(JsonError::DuplicateName));
            }
            let value = object.next_value_seed(inner)?;
            members.insert(name, value);
        }
        Ok(Json::Object(members))
    }
}

impl From<JsonError> for serde_json::Error {
    fn from(error: JsonError) -> Self {
        Self::custom(error)
    }
}

/// How deep arrays and objects may be nested, the outermost counting as one.
pub const MAX_DEPTH: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_a_name_given_twice_at_any_depth() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"b":{"c":[{"d":1,"d":2}]}}"#,
            "{\"a\":1,\"\\u0061\":2}",
        ] {
            assert_eq!(
                Json::parse(text.as_bytes()),
                Err(JsonError::DuplicateName),
                "{text}"
            );
        }
    }

    #[test]
    fn takes_eight_levels_and_refuses_nine() {
        let nested = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(Json::parse(nested(8).as_bytes()).is_ok());
        assert_eq!(Json::parse(nested(9).as_bytes()), Err(JsonError::TooDeep));
        let objects = format!("{}1{}", "{\"a\":".repeat(9), "}".repeat(9));
        assert_eq!(Json::parse(objects.as_bytes()), Err(JsonError::TooDeep));
        // Far too deep: refused at the ninth level, not by running out of stack.
        assert_eq!(
            Json::parse("[".repeat(60_000).as_bytes()),
            Err(JsonError::TooDeep)
        );
    }

    #[test]
    fn refuses_what_is_not_json() {
        for text in [
            &b"{} {}"[..],
            b"",
            b"{\"a\":}",
            b"'a'",
            b"\"\\ud800\"",
            b"\"\\udc00\\ud800\"",
            b"\"\xed\xa0\x80\"",
            b"\xff",
            b"\"a\nb\"",
            b"01",
            b"1e999",
            b"NaN",
        ] {
            assert!(
                matches!(Json::parse(text), Err(JsonError::Syntax { .. })),
                "{text:?}"
            );
        }
    }

    #[test]
    fn only_plain_integers_are_integers() {
        let integer = |text: &str| Json::parse(text.as_bytes()).unwrap().as_u64();
        assert_eq!(integer("9007199254740991"), Some(9_007_199_254_740_991));
        for text in ["1.0", "1e3", "-1", "-0", "99999999999999999999", "\"1\""] {
            assert_eq!(integer(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = Json::parse(&bytes);
        }

        #[test]
        fn what_is_written_reads_back(text: String, number: i64, flag: bool) {
            let value = Json::Array(vec![
                Json::String(text.clone()),
                Json::Number(number.into()),
                Json::Bool(flag),
                Json::Object([(text, Json::Null)].into()),
            ]);
            let written = serde_json::to_vec(&value).unwrap();
            prop_assert_eq!(Json::parse(&written), Ok(value));
        }
    }
}
