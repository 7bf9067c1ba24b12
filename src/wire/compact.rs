//! The primitive encodings: integers, byte strings, lists and addresses.
//!
//! | name | layout |
//! |---|---|
//! | `u8`, `u16`, `u32` | little-endian |
//! | varuint | 1 byte up to 252; `fd` + u16; `fe` + u32; `ff` + u64, at most 2^53 - 1 |
//! | bytes | varuint length, then that many bytes |
//! | fixed | the bytes themselves |
//! | addr4 | 4 octets in dotted order, port as little-endian u16 |
//! | addr6 | 8 big-endian groups, port as little-endian u16 |
//! | array | varuint count, then the elements |
//!
//! Integers are written in their shortest form and read in any. Bytes after the last known field of a message
//! are a newer peer's extension and are ignored everywhere.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};

use crate::keys::PublicKey;

/// The largest integer that the encoding carries: what a double represents exactly.
pub const MAX_VARUINT: u64 = (1 << 53) - 1;

/// The largest count that a list may claim.
pub const MAX_ARRAY: u64 = 1 << 20;

/// Why bytes are not the message they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The input ends inside a field.
    #[error("the message ends inside a field")]
    Truncated,
    /// An integer is larger than its field can be.
    #[error("an integer is too large for its field")]
    IntegerTooLarge,
    /// A list claims more elements than the protocol allows.
    #[error("a list claims too many elements")]
    ArrayTooLarge,
    /// The number that selects the kind of message is not a known one.
    #[error("unknown kind of message")]
    UnknownKind,
    /// The mode of a handshake or holepunch message is not a known one.
    #[error("unknown mode")]
    UnknownMode,
    /// A text is not UTF-8.
    #[error("a text is not UTF-8")]
    InvalidText,
    /// A batch of frames contains another batch.
    #[error("a batch inside a batch")]
    NestedBatch,
}

/// A value with a wire form.
pub trait Encode {
    /// Returns how many bytes [`encode`](Self::encode) appends.
    fn encoded_len(&self) -> usize;

    /// Appends the wire form to `out`.
    fn encode(&self, out: &mut Vec<u8>);

    /// Returns the wire form.
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_len());
        self.encode(&mut out);
        out
    }
}

/// A value that can be read from its wire form.
pub trait Decode: Sized {
    /// The fewest bytes that a value takes, at least 1. A list reserves no more memory than its input could
    /// fill.
    const MIN_LEN: usize = 1;

    /// Reads a value and leaves the reader behind its last byte.
    ///
    /// # Errors
    ///
    /// Returns what is wrong with the input; the reader's position is then meaningless.
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// Reads a value from the front of `bytes` and ignores what follows it.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode).
    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode(&mut Reader::new(bytes))
    }
}

/// Reads fields from the front of a byte slice.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Reads one byte.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`].
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        self.fixed::<1>().map(|[byte]| byte)
    }

    /// Reads a little-endian 16 bit integer.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`].
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.fixed().map(u16::from_le_bytes)
    }

    /// Reads a little-endian 32 bit integer.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`].
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.fixed().map(u32::from_le_bytes)
    }

    /// Reads an integer of variable length, in its shortest form or a longer one.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`], or [`DecodeError::IntegerTooLarge`] above [`MAX_VARUINT`].
    pub fn varuint(&mut self) -> Result<u64, DecodeError> {
        let value = match self.u8()? {
            0xfd => self.u16()?.into(),
            0xfe => self.u32()?.into(),
            0xff => u64::from_le_bytes(self.fixed()?),
            small => small.into(),
        };
        if value > MAX_VARUINT {
            return Err(DecodeError::IntegerTooLarge);
        }
        Ok(value)
    }

    /// Reads an integer of variable length that must fit 32 bits.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`], or [`DecodeError::IntegerTooLarge`].
    pub fn varuint32(&mut self) -> Result<u32, DecodeError> {
        u32::try_from(self.varuint()?).map_err(|_| DecodeError::IntegerTooLarge)
    }

    /// Reads a byte string with its length in front.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`], or [`DecodeError::IntegerTooLarge`] for an impossible length.
    pub fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = self.varuint()?;
        let len = usize::try_from(len).map_err(|_| DecodeError::Truncated)?;
        self.take(len)
    }

    /// Reads a text with its length in front.
    ///
    /// # Errors
    ///
    /// As [`bytes`](Self::bytes), or [`DecodeError::InvalidText`].
    pub fn text(&mut self) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| DecodeError::InvalidText)
    }

    /// Reads `N` bytes.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`].
    pub fn fixed<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*head)
    }

    /// Reads the next `len` bytes.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`].
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    /// Reads an IPv4 address with its port.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`].
    pub fn addr4(&mut self) -> Result<SocketAddrV4, DecodeError> {
        let octets: [u8; 4] = self.fixed()?;
        Ok(SocketAddrV4::new(Ipv4Addr::from(octets), self.u16()?))
    }

    /// Reads an IPv6 address with its port.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`].
    pub fn addr6(&mut self) -> Result<SocketAddrV6, DecodeError> {
        let octets: [u8; 16] = self.fixed()?;
        Ok(SocketAddrV6::new(Ipv6Addr::from(octets), self.u16()?, 0, 0))
    }

    /// Reads a list with its count in front. A count that the rest of the input cannot hold fails before
    /// memory is reserved.
    ///
    /// # Errors
    ///
    /// [`DecodeError::ArrayTooLarge`] above [`MAX_ARRAY`], [`DecodeError::Truncated`], or the error of an
    /// element.
    pub fn array<T: Decode>(&mut self) -> Result<Vec<T>, DecodeError> {
        let count = self.varuint()?;
        if count > MAX_ARRAY {
            return Err(DecodeError::ArrayTooLarge);
        }
        let count = usize::try_from(count).map_err(|_| DecodeError::ArrayTooLarge)?;
        if count > self.rest.len() / T::MIN_LEN {
            return Err(DecodeError::Truncated);
        }
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            elements.push(T::decode(self)?);
        }
        Ok(elements)
    }

    /// Takes everything that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// Returns how many bytes are left.
    #[cfg(test)]
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Returns whether nothing is left.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

/// Appends fields to a byte vector; the counterpart of [`Reader`].
pub trait Put {
    /// Appends an integer in its shortest form.
    ///
    /// # Panics
    ///
    /// In debug builds, panics above [`MAX_VARUINT`], which no peer would read.
    fn put_varuint(&mut self, value: u64);

    /// Appends a byte string with its length in front.
    fn put_bytes(&mut self, bytes: &[u8]);

    /// Appends a list with its count in front.
    fn put_array<T: Encode>(&mut self, elements: &[T]);
}

impl Put for Vec<u8> {
    fn put_varuint(&mut self, value: u64) {
        debug_assert!(value <= MAX_VARUINT, "no integer of the protocol exceeds 53 bits");
        match value {
            0..=0xfc => self.push(value as u8),
            0xfd..=0xffff => {
                self.push(0xfd);
                self.extend_from_slice(&(value as u16).to_le_bytes());
            }
            0x1_0000..=0xffff_ffff => {
                self.push(0xfe);
                self.extend_from_slice(&(value as u32).to_le_bytes());
            }
            _ => {
                self.push(0xff);
                self.extend_from_slice(&value.to_le_bytes());
            }
        }
    }

    fn put_bytes(&mut self, bytes: &[u8]) {
        self.put_varuint(bytes.len() as u64);
        self.extend_from_slice(bytes);
    }

    fn put_array<T: Encode>(&mut self, elements: &[T]) {
        self.put_varuint(elements.len() as u64);
        for element in elements {
            element.encode(self);
        }
    }
}

/// Returns the length of an integer's shortest form.
pub const fn varuint_len(value: u64) -> usize {
    match value {
        0..=0xfc => 1,
        0xfd..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    }
}

/// Returns the length of a byte string together with its length field.
pub const fn bytes_len(bytes: &[u8]) -> usize {
    varuint_len(bytes.len() as u64) + bytes.len()
}

/// Returns the length of a list together with its count.
pub fn array_len<T: Encode>(elements: &[T]) -> usize {
    let content: usize = elements.iter().map(Encode::encoded_len).sum();
    varuint_len(elements.len() as u64) + content
}

/// Returns the length of an optional field.
pub(crate) fn option_len<T: Encode>(field: Option<&T>) -> usize {
    field.map_or(0, Encode::encoded_len)
}

/// Appends an optional field if it is there.
pub(crate) fn put_option<T: Encode>(out: &mut Vec<u8>, field: Option<&T>) {
    if let Some(field) = field {
        field.encode(out);
    }
}

/// Returns `bit` if the field is there, else 0: one term of a flags field.
pub(crate) fn flag<T>(bit: u64, field: Option<&T>) -> u64 {
    field.map_or(0, |_| bit)
}

/// Reads a field if its bit is set in `flags`.
pub(crate) fn read_if<T>(
    flags: u64,
    bit: u64,
    read: impl FnOnce() -> Result<T, DecodeError>,
) -> Result<Option<T>, DecodeError> {
    (flags & bit != 0).then(read).transpose()
}

impl<const N: usize> Encode for [u8; N] {
    fn encoded_len(&self) -> usize {
        N
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

impl Encode for SocketAddrV4 {
    fn encoded_len(&self) -> usize {
        Self::MIN_LEN
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.ip().octets());
        out.extend_from_slice(&self.port().to_le_bytes());
    }
}

impl Decode for SocketAddrV4 {
    const MIN_LEN: usize = 6;

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.addr4()
    }
}

impl Encode for SocketAddrV6 {
    fn encoded_len(&self) -> usize {
        Self::MIN_LEN
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.ip().octets());
        out.extend_from_slice(&self.port().to_le_bytes());
    }
}

impl Decode for SocketAddrV6 {
    const MIN_LEN: usize = 18;

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.addr6()
    }
}

impl Encode for PublicKey {
    fn encoded_len(&self) -> usize {
        Self::MIN_LEN
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }
}

impl Decode for PublicKey {
    const MIN_LEN: usize = 32;

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.fixed().map(Self::from_bytes)
    }
}
