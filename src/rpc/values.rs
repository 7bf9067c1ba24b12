//! How values are encoded.

use bytes::Bytes;

use crate::wire::compact::{Put, Reader, bytes_len};

/// How the values of requests and responses are encoded; both sides must use the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Values {
    /// With their length in front: what JavaScript does unless `valueEncoding` is given, and with the
    /// encodings `buffer`, `string` and `json`. An empty value is `null` in JavaScript.
    #[default]
    Bytes,
    /// As they are, in an encoding of the application's own: what JavaScript does with any other
    /// `valueEncoding`, `raw` among them.
    Raw,
}

impl Values {
    pub(super) fn encode(self, value: &Bytes) -> Bytes {
        match self {
            Self::Raw => value.clone(),
            Self::Bytes => {
                let mut out = Vec::with_capacity(bytes_len(value));
                out.put_bytes(value);
                out.into()
            }
        }
    }

    /// Returns the value, unless it is not encoded like that.
    pub(super) fn decode(self, encoded: &Bytes) -> Option<Bytes> {
        match self {
            Self::Raw => Some(encoded.clone()),
            Self::Bytes => {
                let value = Reader::new(encoded).bytes().ok()?;
                Some(encoded.slice_ref(value))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_length_in_front_or_nothing() {
        let value = Bytes::from_static(b"hi");
        assert_eq!(Values::Bytes.encode(&value), &b"\x02hi"[..]);
        assert_eq!(Values::Bytes.decode(&Bytes::from_static(b"\x02hi, and more")), Some(value.clone()));
        assert_eq!(Values::Bytes.decode(&Bytes::from_static(b"\x00")), Some(Bytes::new()));
        assert_eq!(Values::Bytes.decode(&value), None);
        assert_eq!(Values::Bytes.decode(&Bytes::new()), None);
        assert_eq!(Values::Raw.encode(&value), value);
        assert_eq!(Values::Raw.decode(&value), Some(value));
    }
}
