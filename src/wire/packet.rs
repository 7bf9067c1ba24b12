//! The packets of a stream: one header, then a payload or ranges.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 1 | magic, `ff` |
//! | 1 | 1 | version, `01` |
//! | 2 | 1 | kind, a set of bits |
//! | 3 | 1 | data offset: bytes between the header and the payload |
//! | 4 | 4 | stream id that the receiver gave the stream |
//! | 8 | 4 | receive window in bytes |
//! | 12 | 4 | sequence number |
//! | 16 | 4 | next sequence number expected from the peer |
//!
//! All integers are little-endian. Sequence numbers count packets, not bytes.

use std::fmt;

/// The packet carries bytes of the stream and takes a sequence number.
pub const DATA: u8 = 0x01;
/// The stream of the sender ends with this packet, which takes a sequence number.
pub const END: u8 = 0x02;
/// Ranges of received packets follow in place of a payload.
pub const SACK: u8 = 0x04;
/// The payload is one unordered message.
pub const MESSAGE: u8 = 0x08;
/// The sender has dropped the stream.
pub const DESTROY: u8 = 0x10;
/// Asks for an acknowledgement.
pub const HEARTBEAT: u8 = 0x20;

/// Length of the header.
pub const HEADER_LEN: usize = 20;
/// The most bytes after the header: libudx cuts datagrams at 2048 bytes and acknowledges them as whole
/// (udx.md §2 "Sizes", pitfall P1).
pub const MAX_PAYLOAD: usize = 2028;
/// The most ranges that one packet carries: what fits the smallest that every path carries. libudx sends 50
/// and takes any number (udx.md §2 "SACK ranges", §19).
pub const MAX_SACK_RANGES: usize = 140;

/// The length of a range of numbers in an acknowledgement.
pub const RANGE_LEN: usize = 8;

const MAGIC: u8 = 255;
const VERSION: u8 = 1;

/// The header of a stream packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketHeader {
    /// A set of the bits [`DATA`] to [`HEARTBEAT`]; zero is a plain acknowledgement. Other bits mean nothing.
    pub kind: u8,
    /// How many bytes after the header come before the payload.
    pub data_offset: u8,
    /// The id that the receiver gave the stream.
    pub stream_id: u32,
    /// How many bytes the sender is ready to take.
    pub window: u32,
    /// The number of this packet, or the next one to be used if the kind takes none.
    pub seq: u32,
    /// The next number expected from the receiver of this packet.
    pub ack: u32,
}

impl PacketHeader {
    /// Returns the wire form.
    pub fn to_bytes(self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[0] = MAGIC;
        bytes[1] = VERSION;
        bytes[2] = self.kind;
        bytes[3] = self.data_offset;
        bytes[4..8].copy_from_slice(&self.stream_id.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.window.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.seq.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.ack.to_le_bytes());
        bytes
    }

    /// Splits a datagram into its header and what follows, or returns `None` if it is no stream packet.
    pub fn split(datagram: &[u8]) -> Option<(Self, &[u8])> {
        let (header, rest) = datagram.split_first_chunk::<HEADER_LEN>()?;
        if header[0] != MAGIC || header[1] != VERSION {
            return None;
        }
        let word =
            |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let decoded = Self {
            kind: header[2],
            data_offset: header[3],
            stream_id: word(4),
            window: word(8),
            seq: word(12),
            ack: word(16),
        };
        Some((decoded, rest))
    }

    /// Returns whether any of `bits` is set.
    pub fn has(&self, bits: u8) -> bool {
        self.kind & bits != 0
    }

    /// Returns the payload among the bytes after the header, or `None` if the data offset points beyond them.
    pub fn payload<'a>(&self, rest: &'a [u8]) -> Option<&'a [u8]> {
        rest.get(usize::from(self.data_offset)..)
    }

    /// Returns the ranges of a [`SACK`] packet among the bytes after the header; none for other kinds.
    ///
    /// The ranges span the data offset if it is not zero and inside the datagram, else everything.
    pub fn ranges<'a>(&self, rest: &'a [u8]) -> SackRanges<'a> {
        let offset = usize::from(self.data_offset);
        let bytes = match self.has(SACK) {
            false => &[],
            true if offset > 0 && offset < rest.len() => &rest[..offset],
            true => rest,
        };
        SackRanges(bytes)
    }
}

impl fmt::Display for PacketHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [(u8, &str); 6] = [
            (DATA, "DATA "),
            (END, "END "),
            (SACK, "SACK "),
            (MESSAGE, "MESSAGE "),
            (DESTROY, "DESTROY "),
            (HEARTBEAT, "HEARTBEAT "),
        ];
        for (bit, name) in NAMES {
            if self.has(bit) {
                f.write_str(name)?;
            }
        }
        write!(f, "to {:08x} seq {} ack {} window {}", self.stream_id, self.seq, self.ack, self.window)
    }
}

/// The ranges `[start, end)` of a [`SACK`] packet, as the peer wrote them: nothing about them is checked.
#[derive(Clone, Debug)]
pub struct SackRanges<'a>(&'a [u8]);

impl Iterator for SackRanges<'_> {
    type Item = (u32, u32);

    fn next(&mut self) -> Option<Self::Item> {
        let (pair, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        let word = |at: usize| u32::from_le_bytes([pair[at], pair[at + 1], pair[at + 2], pair[at + 3]]);
        Some((word(0), word(4)))
    }
}

/// Appends one range of a [`SACK`] packet.
pub fn encode_range(start: u32, end: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&start.to_le_bytes());
    out.extend_from_slice(&end.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn headers_are_those_of_the_reference() {
        let mut checked = 0;
        visit(&vectors(), &mut |hex, decoded| {
            let bytes = HEXLOWER.decode(hex.as_bytes()).unwrap();
            let Some((header, rest)) = PacketHeader::split(&bytes) else {
                assert_eq!(decoded["udx"], false, "{hex}");
                return;
            };
            let expected = PacketHeader {
                kind: decoded["type"].as_u64().unwrap() as u8,
                data_offset: decoded["dataOffset"].as_u64().unwrap() as u8,
                stream_id: decoded["streamId"].as_u64().unwrap() as u32,
                window: decoded["recvWindow"].as_u64().unwrap() as u32,
                seq: decoded["seq"].as_u64().unwrap() as u32,
                ack: decoded["ack"].as_u64().unwrap() as u32,
            };
            assert_eq!(header, expected);
            assert_eq!(header.to_bytes(), bytes[..HEADER_LEN]);
            if let Some(ranges) = decoded["sack"].as_array() {
                let expected: Vec<(u32, u32)> = ranges
                    .iter()
                    .map(|r| (r[0].as_u64().unwrap() as u32, r[1].as_u64().unwrap() as u32))
                    .collect();
                assert_eq!(header.ranges(rest).collect::<Vec<_>>(), expected);
            }
            checked += 1;
        });
        assert!(checked > 300, "only {checked} packets in the vectors");
    }

    #[test]
    fn every_prefix_of_a_header_is_no_packet() {
        let header = PacketHeader { kind: DATA, data_offset: 0, stream_id: 7, window: 1, seq: 2, ack: 3 };
        let bytes = header.to_bytes();
        for length in 0..HEADER_LEN {
            assert_eq!(PacketHeader::split(&bytes[..length]), None);
        }
        assert_eq!(PacketHeader::split(&bytes), Some((header, &[][..])));
    }

    #[test]
    fn a_remainder_under_eight_bytes_is_no_range() {
        let header = PacketHeader { kind: SACK, data_offset: 0, stream_id: 0, window: 0, seq: 0, ack: 0 };
        let mut rest = Vec::new();
        encode_range(1, 2, &mut rest);
        rest.extend_from_slice(&[9; 7]);
        assert_eq!(header.ranges(&rest).collect::<Vec<_>>(), [(1, 2)]);
    }

    proptest! {
        #[test]
        fn any_header_survives_the_round_trip(
            kind: u8, data_offset: u8, stream_id: u32, window: u32, seq: u32, ack: u32, rest: Vec<u8>,
        ) {
            let header = PacketHeader { kind, data_offset, stream_id, window, seq, ack };
            let mut datagram = header.to_bytes().to_vec();
            datagram.extend_from_slice(&rest);
            prop_assert_eq!(PacketHeader::split(&datagram), Some((header, &rest[..])));
        }

        #[test]
        fn arbitrary_bytes_never_panic(mut bytes: Vec<u8>, good_start: bool) {
            if good_start && bytes.len() >= 2 {
                bytes[0] = MAGIC;
                bytes[1] = VERSION;
            }
            if let Some((header, rest)) = PacketHeader::split(&bytes) {
                prop_assert!(header.ranges(rest).count() <= rest.len() / 8);
                let _ = (header.payload(rest), header.to_string());
            }
        }
    }

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../../tests/vectors/udx.json")).unwrap()
    }

    /// Calls `check` with each datagram and what the recorder decoded from it.
    fn visit(value: &Value, check: &mut impl FnMut(&str, &Value)) {
        match value {
            Value::Array(rows) => rows.iter().for_each(|row| visit(row, check)),
            Value::Object(fields) => {
                let hex = ["hex", "headerHex", "inject", "reply"]
                    .iter()
                    .find_map(|name| fields.get(*name)?.as_str());
                if let (Some(hex), Some(decoded)) = (hex, fields.get("decoded")) {
                    check(hex, decoded);
                }
                fields.values().for_each(|field| visit(field, check));
            }
            _ => {}
        }
    }
}
