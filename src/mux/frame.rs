//! The frames of a mux, each a message of the connection or a part of one (mux.md §2).

use bytes::Bytes;

use super::error::Violation;
use crate::wire::compact::{DecodeError, Put, Reader, bytes_len, varuint_len};

/// One frame, outside of any batch. Numbers of channels are those of the sender but in `Reject`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    Open {
        number: u64,
        protocol: String,
        id: Bytes,
        handshake: Bytes,
    },
    Reject {
        number: u64,
    },
    Close {
        number: u64,
    },
    Message {
        number: u64,
        kind: u64,
        content: Bytes,
    },
    /// A control frame of a kind that is not known, which is ignored.
    Unknown,
}

const CONTROL: u64 = 0;
const BATCH: u64 = 0;
const OPEN: u64 = 1;
const REJECT: u64 = 2;
const CLOSE: u64 = 3;

/// The frames of one message of the connection, read one at a time: a batch may hold millions.
#[derive(Debug, Default)]
pub(super) struct Frames {
    message: Bytes,
    /// How many bytes of it have been read.
    at: usize,
    /// The channel of the next frame, inside of a batch.
    batch: Option<u64>,
}

impl Frames {
    pub(super) const fn new(message: Bytes) -> Self {
        Self { message, at: 0, batch: None }
    }

    /// Reads the next frame; `None` after the last one.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, Violation> {
        self.read().map_err(|Fault(violation)| violation)
    }

    fn read(&mut self) -> Result<Option<Frame>, Fault> {
        let message = self.message.clone();
        let mut reader = Reader::new(&message[self.at..]);
        if self.at == 0 {
            if reader.is_empty() {
                return Ok(None);
            }
            let (number, kind) = (reader.varuint()?, reader.varuint()?);
            if (number, kind) != (CONTROL, BATCH) {
                self.at = message.len();
                return self.frame(number, kind, reader).map(Some);
            }
            self.batch = Some(reader.varuint()?);
        }
        let Some(mut number) = self.batch else {
            return Ok(None);
        };
        loop {
            if reader.is_empty() {
                self.batch = None;
                self.at = message.len();
                return Ok(None);
            }
            let body = reader.bytes()?;
            if body.is_empty() {
                number = reader.varuint()?;
                continue;
            }
            self.batch = Some(number);
            self.at = message.len() - reader.rest().len();
            let mut body = Reader::new(body);
            let kind = body.varuint()?;
            if (number, kind) == (CONTROL, BATCH) {
                return Err(Fault(Violation::NestedBatch));
            }
            return self.frame(number, kind, body).map(Some);
        }
    }

    fn frame(&self, number: u64, kind: u64, mut reader: Reader<'_>) -> Result<Frame, Fault> {
        if number != CONTROL {
            return Ok(Frame::Message { number, kind, content: self.slice(reader.rest()) });
        }
        Ok(match kind {
            OPEN => Frame::Open {
                number: reader.varuint()?,
                protocol: reader.text()?.to_owned(),
                id: self.slice(reader.bytes()?),
                handshake: self.slice(reader.rest()),
            },
            REJECT => Frame::Reject { number: reader.varuint()? },
            CLOSE => Frame::Close { number: reader.varuint()? },
            _ => Frame::Unknown,
        })
    }

    /// Shares a part of the message, or copies one that would keep a much larger message in memory.
    fn slice(&self, part: &[u8]) -> Bytes {
        if part.len() < self.message.len() / 2 {
            Bytes::copy_from_slice(part)
        } else {
            self.message.slice_ref(part)
        }
    }
}

/// A violation, as what a decoder's error becomes.
struct Fault(Violation);

impl From<DecodeError> for Fault {
    fn from(error: DecodeError) -> Self {
        Self(match error {
            DecodeError::InvalidText => Violation::InvalidText,
            DecodeError::IntegerTooLarge => Violation::IntegerTooLarge,
            _ => Violation::Truncated,
        })
    }
}

/// Makes the frame that opens a channel.
pub(super) fn open(number: u64, protocol: &str, id: &[u8], handshake: &[u8]) -> Vec<u8> {
    let len = varuint_len(number) + bytes_len(protocol.as_bytes()) + bytes_len(id) + handshake.len();
    let mut out = control(OPEN, len);
    out.put_varuint(number);
    out.put_bytes(protocol.as_bytes());
    out.put_bytes(id);
    out.extend_from_slice(handshake);
    out
}

/// Makes the frame that refuses a channel; the number is that of its receiver.
pub(super) fn reject(number: u64) -> Vec<u8> {
    let mut out = control(REJECT, varuint_len(number));
    out.put_varuint(number);
    out
}

/// Makes the frame that closes a channel.
pub(super) fn close(number: u64) -> Vec<u8> {
    let mut out = control(CLOSE, varuint_len(number));
    out.put_varuint(number);
    out
}

/// Makes the frame of one message.
pub(super) fn message(number: u64, kind: u64, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message_len(number, kind, content.len()));
    out.put_varuint(number);
    out.put_varuint(kind);
    out.extend_from_slice(content);
    out
}

/// Returns the length of the frame of a message.
pub(super) const fn message_len(number: u64, kind: u64, content: usize) -> usize {
    varuint_len(number) + varuint_len(kind) + content
}

fn control(kind: u64, len: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 + len);
    out.put_varuint(CONTROL);
    out.put_varuint(kind);
    out
}

/// Messages of one channel that go as one message of the connection.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// What follows the number of the channel.
    bodies: Vec<u8>,
}

impl Batch {
    pub(super) fn push(&mut self, kind: u64, content: &[u8]) {
        let len = varuint_len(kind) + content.len();
        self.bodies.reserve(varuint_len(len as u64) + len);
        self.bodies.put_varuint(len as u64);
        self.bodies.put_varuint(kind);
        self.bodies.extend_from_slice(content);
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.bodies.is_empty()
    }

    /// Returns the length of the frame.
    pub(super) const fn len(&self, number: u64) -> usize {
        2 + varuint_len(number) + self.bodies.len()
    }

    pub(super) fn frame(&self, number: u64) -> Vec<u8> {
        let mut out = control(BATCH, varuint_len(number) + self.bodies.len());
        out.put_varuint(number);
        out.extend_from_slice(&self.bodies);
        out
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(message: &[u8]) -> Result<Vec<Frame>, Violation> {
        let mut frames = Frames::new(Bytes::copy_from_slice(message));
        let mut found = Vec::new();
        while let Some(frame) = frames.next()? {
            found.push(frame);
        }
        assert_eq!(frames.next(), Ok(None), "the end stays the end");
        Ok(found)
    }

    fn said(number: u64, kind: u64, content: &'static [u8]) -> Frame {
        Frame::Message { number, kind, content: Bytes::from_static(content) }
    }

    #[test]
    fn frames_have_the_bytes_of_the_reference() {
        // Printed by protomux 3.12.1: createChannel({ protocol: 'echo', id: Buffer.from('id') }).open().
        let bytes = b"\x00\x01\x01\x04echo\x02id";
        assert_eq!(open(1, "echo", b"id", b""), bytes);
        let opened = Frame::Open {
            number: 1,
            protocol: "echo".into(),
            id: Bytes::from_static(b"id"),
            handshake: Bytes::new(),
        };
        assert_eq!(all(bytes), Ok(vec![opened]));
        assert_eq!(reject(300), b"\x00\x02\xfd\x2c\x01");
        assert_eq!(close(2), b"\x00\x03\x02");
        assert_eq!(all(b"\x00\x03\x02"), Ok(vec![Frame::Close { number: 2 }]));
        assert_eq!(message(1, 0, b"hi"), b"\x01\x00hi");
        let mut batch = Batch::default();
        batch.push(0, b"a");
        batch.push(1, b"");
        assert_eq!(batch.frame(1), b"\x00\x00\x01\x02\x00a\x01\x01");
        assert_eq!(batch.len(1), 8);
    }

    #[test]
    fn a_batch_changes_between_channels_and_holds_control_frames() {
        let bytes = b"\x00\x00\x01\x02\x00a\x00\x02\x02\x01b\x00\x00\x02\x03\x01";
        let expected = vec![said(1, 0, b"a"), said(2, 1, b"b"), Frame::Close { number: 1 }];
        assert_eq!(all(bytes), Ok(expected));
        assert_eq!(all(b"\x00\x00\x07"), Ok(Vec::new()), "a batch without a message");
    }

    #[test]
    fn what_breaks_the_protocol_is_named() {
        assert_eq!(all(b""), Ok(Vec::new()));
        assert_eq!(all(b"\x01"), Err(Violation::Truncated));
        assert_eq!(all(b"\x00\x00\x01\x09\x00a"), Err(Violation::Truncated));
        assert_eq!(all(b"\x00\x00\x00\x01\x00"), Err(Violation::NestedBatch));
        assert_eq!(all(b"\x00\x01\x01\x01\xff"), Err(Violation::InvalidText));
        assert_eq!(all(b"\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff"), Err(Violation::IntegerTooLarge));
        assert_eq!(all(b"\x00\x09anything"), Ok(vec![Frame::Unknown]));
    }

    #[test]
    fn a_small_part_does_not_keep_a_large_message() {
        let mut batch = Batch::default();
        batch.push(0, b"x");
        batch.push(0, &[0; 1000]);
        let message = Bytes::from(batch.frame(1));
        let mut frames = Frames::new(message.clone());
        let is_part = |content: &Bytes| message.as_ptr_range().contains(&content.as_ptr());
        let mut parts = Vec::new();
        while let Ok(Some(Frame::Message { content, .. })) = frames.next() {
            parts.push(is_part(&content));
        }
        assert_eq!(parts, [false, true]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_frames_or_a_violation(message in proptest::collection::vec(any::<u8>(), 0..200)) {
            // Ends, and does not panic.
            let _ = all(&message);
        }

        #[test]
        fn a_batch_reads_back(
            number in 1..=u64::from(u32::MAX),
            messages in proptest::collection::vec(
                (0..1_u64 << 40, proptest::collection::vec(any::<u8>(), 0..300)),
                1..9,
            ),
        ) {
            let mut batch = Batch::default();
            for (kind, content) in &messages {
                batch.push(*kind, content);
            }
            let expected: Vec<_> = messages
                .into_iter()
                .map(|(kind, content)| Frame::Message { number, kind, content: content.into() })
                .collect();
            prop_assert_eq!(batch.len(number), batch.frame(number).len());
            prop_assert_eq!(all(&batch.frame(number)), Ok(expected));
        }
    }
}
