//! The two messages of a channel of calls (rpc.md).
//!
//! | type | message | content |
//! |---|---|---|
//! | 0 | request | id varuint (0: nobody waits for an answer), method text, value (the rest) |
//! | 1 | response | flags varuint, id varuint, then a value (the rest) or an error |
//!
//! Flags: bit 0 an error, bit 1 its code, bit 2 its cause, bit 3 the context of the cause. An error is
//! message text, code text (bit 1), and of the cause message text, code text and context text (bit 3).

use bytes::Bytes;

use super::error::{Cause, RemoteError};
use crate::wire::compact::{DecodeError, Put, Reader, bytes_len, varuint_len};

pub(super) const REQUEST: u64 = 0;
pub(super) const RESPONSE: u64 = 1;

const ERROR: u64 = 1;
const CODE: u64 = 2;
const CAUSE: u64 = 4;
const CONTEXT: u64 = 8;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// 0 if nobody waits for an answer.
    pub(super) id: u64,
    pub(super) method: String,
    /// As the side that sent it has encoded it.
    pub(super) value: Bytes,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) id: u64,
    pub(super) result: Result<Bytes, RemoteError>,
}

impl Request {
    pub(super) fn decode(content: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(content);
        Ok(Self {
            id: reader.varuint()?,
            method: reader.text()?.to_owned(),
            value: content.slice_ref(reader.rest()),
        })
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let method = self.method.as_bytes();
        let mut out = Vec::with_capacity(varuint_len(self.id) + bytes_len(method) + self.value.len());
        out.put_varuint(self.id);
        out.put_bytes(method);
        out.extend_from_slice(&self.value);
        out
    }
}

impl Response {
    pub(super) fn decode(content: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(content);
        let (flags, id) = (reader.varuint()?, reader.varuint()?);
        if flags & ERROR == 0 {
            return Ok(Self { id, result: Ok(content.slice_ref(reader.rest())) });
        }
        let mut text = || reader.text().map(str::to_owned);
        let message = text()?;
        let code = if flags & CODE != 0 { text()? } else { String::new() };
        let cause = if flags & CAUSE != 0 {
            let (message, code) = (text()?, text()?);
            let context = if flags & CONTEXT != 0 { text()? } else { String::new() };
            Some(Cause { message, code, context })
        } else {
            None
        };
        Ok(Self { id, result: Err(RemoteError { code, message, cause }) })
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let error = match &self.result {
            Ok(value) => {
                let mut out = Vec::with_capacity(1 + varuint_len(self.id) + value.len());
                out.put_varuint(0);
                out.put_varuint(self.id);
                out.extend_from_slice(value);
                return out;
            }
            Err(error) => error,
        };
        let mut flags = ERROR;
        let mut texts = vec![&error.message];
        if !error.code.is_empty() {
            flags |= CODE;
            texts.push(&error.code);
        }
        if let Some(cause) = &error.cause {
            flags |= CAUSE;
            texts.extend([&cause.message, &cause.code]);
            if !cause.context.is_empty() {
                flags |= CONTEXT;
                texts.push(&cause.context);
            }
        }
        let mut out = Vec::new();
        out.put_varuint(flags);
        out.put_varuint(self.id);
        texts.into_iter().for_each(|text| out.put_bytes(text.as_bytes()));
        out
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn messages_have_the_bytes_of_the_reference() {
        let request = Request { id: 1, method: "echo".into(), value: Bytes::from_static(b"\x02hi") };
        assert_eq!(request.encode(), b"\x01\x04echo\x02hi");
        let response = Response { id: 1, result: Ok(Bytes::from_static(b"\x02hi")) };
        assert_eq!(response.encode(), b"\x00\x01\x02hi");
        let error = |cause| RemoteError { code: "C".into(), message: "m".into(), cause };
        let plain = Response { id: 300, result: Err(error(None)) };
        assert_eq!(plain.encode(), b"\x03\xfd\x2c\x01\x01m\x01C");
        let cause = Cause { message: "why".into(), code: String::new(), context: "where".into() };
        let caused = Response { id: 2, result: Err(error(Some(cause))) };
        assert_eq!(caused.encode(), b"\x0f\x02\x01m\x01C\x03why\x00\x05where");
    }

    fn text() -> impl Strategy<Value = String> {
        "[a-zé ]{0,9}"
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_fail(content in proptest::collection::vec(any::<u8>(), 0..100)) {
            let content = Bytes::from(content);
            let _ = (Request::decode(&content), Response::decode(&content));
        }

        #[test]
        fn messages_read_back(
            id in 0..1_u64 << 53,
            method in text(),
            value in proptest::collection::vec(any::<u8>(), 0..50),
            code in text(),
            cause in proptest::option::of((text(), text(), text())),
            is_error in any::<bool>(),
        ) {
            let value = Bytes::from(value);
            let request = Request { id, method: method.clone(), value: value.clone() };
            prop_assert_eq!(Request::decode(&request.encode().into()), Ok(request));
            let cause = cause.map(|(message, code, context)| Cause { message, code, context });
            let error = RemoteError { code, message: method, cause };
            let response = Response { id, result: if is_error { Err(error) } else { Ok(value) } };
            prop_assert_eq!(Response::decode(&response.encode().into()), Ok(response));
        }
    }
}
