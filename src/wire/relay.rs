//! Frames of the channel to a blind relay. Each is one message of the secret stream.
//!
//! A frame is channel varuint, type varuint, content. Channel 0 is for control:
//!
//! | control type | content |
//! |---|---|
//! | 0 batch | channel varuint, then repeated: length varuint, {type varuint, content}; 0: another channel |
//! | 1 open | local id varuint, protocol text, id bytes, handshake (the rest) |
//! | 2 reject | local id varuint of the rejected opener |
//! | 3 close | local id varuint of the sender |
//!
//! Types of the channel `blind-relay`, whose id is the key of the client that connected to the relay:
//!
//! | type | message | content |
//! |---|---|---|
//! | 0 | pair | flags u8 (bit 0: initiator), token fixed32, id varuint, seq varuint |
//! | 1 | unpair | flags u8, token fixed32 |

use std::fmt;

use super::compact::{DecodeError, Encode, Put, Reader, bytes_len, varuint_len};
use super::rpc::Token;
use crate::keys::PublicKey;

/// The protocol name of the channel.
pub const PROTOCOL: &str = "blind-relay";

/// The most frames that one batch may hold; protomux sends two or three (connect.md §11.2 control type 0).
pub const MAX_BATCH: usize = 256;

/// One frame, outside of any batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Asks for a channel; it exists when both sides have asked for the same protocol and id.
    Open {
        /// The sender's number of the channel, from 1.
        local_id: u64,
        /// Name of the protocol spoken on it.
        protocol: String,
        /// Distinguishes channels of the same protocol; empty for none.
        id: Vec<u8>,
        /// Content of the protocol's own.
        handshake: Vec<u8>,
    },
    /// Refuses the channel that the receiver asked for.
    Reject {
        /// The receiver's number of the channel.
        local_id: u64,
    },
    /// Ends a channel; it is not answered.
    Close {
        /// The sender's number of the channel.
        local_id: u64,
    },
    /// A message on a channel.
    Message {
        /// The sender's number of the channel, never 0.
        channel: u64,
        /// Number of the message in its protocol.
        kind: u64,
        /// Content, by kind.
        content: Vec<u8>,
    },
}

impl Frame {
    const CONTROL: u64 = 0;
    const BATCH: u64 = 0;
    const OPEN: u64 = 1;
    const REJECT: u64 = 2;
    const CLOSE: u64 = 3;

    /// Makes the frame that opens the channel of `client` at a relay.
    pub fn open(local_id: u64, client: &PublicKey) -> Self {
        Self::Open {
            local_id,
            protocol: PROTOCOL.to_owned(),
            id: client.as_bytes().to_vec(),
            handshake: Vec::new(),
        }
    }

    /// Reads one message of the secret stream: no frame if it is empty, several if it is a batch.
    ///
    /// # Errors
    ///
    /// Returns what is wrong with the input; more than [`MAX_BATCH`] frames are
    /// [`DecodeError::ArrayTooLarge`]. The connection is useless then.
    pub fn decode_all(message: &[u8]) -> Result<Vec<Self>, DecodeError> {
        if message.is_empty() {
            return Ok(Vec::new());
        }
        let mut reader = Reader::new(message);
        let channel = reader.varuint()?;
        let kind = reader.varuint()?;
        if (channel, kind) != (Self::CONTROL, Self::BATCH) {
            return Ok(vec![Self::decode_body(channel, kind, &mut reader)?]);
        }
        let mut frames = Vec::new();
        let mut channel = reader.varuint()?;
        while !reader.is_empty() {
            let body = reader.bytes()?;
            if body.is_empty() {
                channel = reader.varuint()?;
                continue;
            }
            if frames.len() == MAX_BATCH {
                return Err(DecodeError::ArrayTooLarge);
            }
            let mut body = Reader::new(body);
            let kind = body.varuint()?;
            frames.push(Self::decode_body(channel, kind, &mut body)?);
        }
        Ok(frames)
    }

    fn decode_body(channel: u64, kind: u64, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if channel != Self::CONTROL {
            return Ok(Self::Message { channel, kind, content: reader.rest().to_vec() });
        }
        Ok(match kind {
            Self::BATCH => return Err(DecodeError::NestedBatch),
            Self::OPEN => Self::Open {
                local_id: reader.varuint()?,
                protocol: reader.text()?.to_owned(),
                id: reader.bytes()?.to_vec(),
                handshake: reader.rest().to_vec(),
            },
            Self::REJECT => Self::Reject { local_id: reader.varuint()? },
            Self::CLOSE => Self::Close { local_id: reader.varuint()? },
            _ => return Err(DecodeError::UnknownKind),
        })
    }
}

impl Encode for Frame {
    fn encoded_len(&self) -> usize {
        match self {
            Self::Open { local_id, protocol, id, handshake } => {
                2 + varuint_len(*local_id) + bytes_len(protocol.as_bytes()) + bytes_len(id) + handshake.len()
            }
            Self::Reject { local_id } | Self::Close { local_id } => 2 + varuint_len(*local_id),
            Self::Message { channel, kind, content } => {
                varuint_len(*channel) + varuint_len(*kind) + content.len()
            }
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let mut head = |channel, kind| {
            out.put_varuint(channel);
            out.put_varuint(kind);
        };
        match self {
            Self::Open { local_id, protocol, id, handshake } => {
                head(Self::CONTROL, Self::OPEN);
                out.put_varuint(*local_id);
                out.put_bytes(protocol.as_bytes());
                out.put_bytes(id);
                out.extend_from_slice(handshake);
            }
            Self::Reject { local_id } => {
                head(Self::CONTROL, Self::REJECT);
                out.put_varuint(*local_id);
            }
            Self::Close { local_id } => {
                head(Self::CONTROL, Self::CLOSE);
                out.put_varuint(*local_id);
            }
            Self::Message { channel, kind, content } => {
                head(*channel, *kind);
                out.extend_from_slice(content);
            }
        }
    }
}

/// A message on the channel `blind-relay`.
#[derive(Clone, PartialEq, Eq)]
pub enum RelayMessage {
    /// To the relay: bring me together with the other holder of the token. From it: done.
    Pair {
        /// Which of the two the sent message speaks of; the relay answers with the receiver's own.
        is_initiator: bool,
        /// What both sides show.
        token: Token,
        /// The sender's stream id.
        id: u32,
        /// Always 0.
        seq: u64,
    },
    /// Undoes a pairing.
    Unpair {
        /// What both sides show.
        token: Token,
    },
}

/// Without the token: who has it takes the place of one side at the relay.
impl fmt::Debug for RelayMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pair { is_initiator, id, seq, .. } => f
                .debug_struct("Pair")
                .field("is_initiator", is_initiator)
                .field("id", id)
                .field("seq", seq)
                .finish_non_exhaustive(),
            Self::Unpair { .. } => f.debug_struct("Unpair").finish_non_exhaustive(),
        }
    }
}

impl RelayMessage {
    const PAIR: u64 = 0;
    const UNPAIR: u64 = 1;
    const INITIATOR: u8 = 0x01;

    /// Reads the message of a [`Frame::Message`].
    ///
    /// # Errors
    ///
    /// [`DecodeError::UnknownKind`] for a kind of neither message, else what is wrong with the input.
    pub fn decode(kind: u64, content: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(content);
        match kind {
            Self::PAIR => Ok(Self::Pair {
                is_initiator: reader.u8()? & Self::INITIATOR != 0,
                token: reader.fixed()?,
                id: reader.varuint32()?,
                seq: reader.varuint()?,
            }),
            Self::UNPAIR => {
                let _flags = reader.u8()?;
                Ok(Self::Unpair { token: reader.fixed()? })
            }
            _ => Err(DecodeError::UnknownKind),
        }
    }

    /// Returns the frame that carries the message on a channel.
    pub fn to_frame(&self, channel: u64) -> Frame {
        let mut content = Vec::with_capacity(48);
        let kind = match self {
            Self::Pair { is_initiator, token, id, seq } => {
                content.push(if *is_initiator { Self::INITIATOR } else { 0 });
                content.extend_from_slice(token);
                content.put_varuint((*id).into());
                content.put_varuint(*seq);
                Self::PAIR
            }
            Self::Unpair { token } => {
                content.push(0);
                content.extend_from_slice(token);
                Self::UNPAIR
            }
        };
        Frame::Message { channel, kind, content }
    }
}
