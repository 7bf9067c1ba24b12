//! JSON read strictly: no member name twice, a bounded depth, nothing after the value.
//!
//! Parsers differ in which of two members of one name they keep. Under a signature over the text, one record
//! would mean two things, so such a text is refused.

use std::cell::Cell;
use std::fmt;

use serde::de::{
    Deserialize as _, DeserializeOwned, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess,
    Visitor,
};
use serde_json::{Map, Value};

/// Why a text is not the JSON that this protocol takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
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
    #[error("ambiguous: an object has two members of one name")]
    DuplicateName,
}

/// Reads one value that fills the whole text.
///
/// # Errors
///
/// [`JsonError`] describes the fault; it never quotes the text.
pub fn parse(text: &[u8]) -> Result<Value, JsonError> {
    let fault = Cell::new(None);
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let seed = Strict { levels_left: MAX_DEPTH, fault: &fault };
    seed.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value)).map_err(
        |error| {
            fault.get().unwrap_or_else(|| JsonError::Syntax { line: error.line(), column: error.column() })
        },
    )
}

/// Reads a type from an object; code that serde derives takes an array of the members' values as well.
pub(super) fn object<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let members = Map::<String, Value>::deserialize(deserializer)?;
    T::deserialize(members).map_err(D::Error::custom)
}

/// Reads a value that may hold `levels_left` levels of arrays and objects.
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
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Value, A::Error> {
        let inner = self.one_level_down()?;
        let mut values = Vec::new();
        while let Some(value) = array.next_element_seed(inner)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let inner = self.one_level_down()?;
        let mut members = Map::new();
        while let Some(name) = object.next_key::<String>()? {
            if members.contains_key(&name) {
                return Err(self.refuse(JsonError::DuplicateName));
            }
            let value = object.next_value_seed(inner)?;
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

/// Most levels of nested arrays and objects, the outermost included.
pub const MAX_DEPTH: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_a_name_given_twice_at_any_depth() {
        for text in [r#"{"a":1,"a":1}"#, r#"{"a":1,"b":{"c":[{"d":1,"d":2}]}}"#, "{\"a\":1,\"\\u0061\":2}"] {
            assert_eq!(parse(text.as_bytes()), Err(JsonError::DuplicateName), "{text}");
        }
    }

    #[test]
    fn takes_eight_levels_and_refuses_nine() {
        let nested = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse(nested(8).as_bytes()).is_ok());
        assert_eq!(parse(nested(9).as_bytes()), Err(JsonError::TooDeep));
        let objects = format!("{}1{}", "{\"a\":".repeat(9), "}".repeat(9));
        assert_eq!(parse(objects.as_bytes()), Err(JsonError::TooDeep));
        // Far too deep: refused at the ninth level, not by running out of stack.
        assert_eq!(parse("[".repeat(60_000).as_bytes()), Err(JsonError::TooDeep));
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
            assert!(matches!(parse(text), Err(JsonError::Syntax { .. })), "{text:?}");
        }
    }

    #[test]
    fn only_plain_integers_are_integers() {
        let integer = |text: &str| parse(text.as_bytes()).unwrap().as_u64();
        assert_eq!(integer("9007199254740991"), Some(9_007_199_254_740_991));
        for text in ["1.0", "1e3", "-1", "-0", "99999999999999999999", "\"1\""] {
            assert_eq!(integer(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }
    }
}
