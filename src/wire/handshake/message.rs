//! The messages that travel through relays.
//!
//! | handshake message | type | flag |
//! |---|---|---|
//! | flags, mode | varuint each | |
//! | noise | bytes | |
//! | peer address | addr4 | 0x01 |
//! | relay address | addr4 | 0x02 |
//!
//! | holepunch message | type | flag |
//! |---|---|---|
//! | flags, mode, id | varuint each | |
//! | payload | bytes: an encrypted [`HolepunchPayload`](super::HolepunchPayload) | |
//! | peer address | addr4 | 0x01 |

use std::fmt;
use std::net::SocketAddrV4;

use crate::wire::compact::{
    Decode, DecodeError, Encode, Put, Reader, bytes_len, flag, option_len, put_option, read_if, varuint_len,
};

/// Which leg of its way a handshake or holepunch message is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// From the client to the node it asked.
    FromClient = 0,
    /// From the server to the node that passed the message on.
    FromServer = 1,
    /// From the node that the client asked.
    FromRelay = 2,
    /// From a second node in between.
    FromSecondRelay = 3,
    /// Back to the client, as a response.
    Reply = 4,
}

impl Mode {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.varuint()? {
            0 => Self::FromClient,
            1 => Self::FromServer,
            2 => Self::FromRelay,
            3 => Self::FromSecondRelay,
            4 => Self::Reply,
            _ => return Err(DecodeError::UnknownMode),
        })
    }
}

/// The value of PEER_HANDSHAKE, in requests and replies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandshakeMessage {
    /// The leg it is on.
    pub mode: Mode,
    /// A Noise message.
    pub noise: Vec<u8>,
    /// The other end, as the forwarding node sees it.
    pub peer_address: Option<SocketAddrV4>,
    /// The node that forwards it or did so first.
    pub relay_address: Option<SocketAddrV4>,
}

impl HandshakeMessage {
    const PEER_ADDRESS: u64 = 0x01;
    const RELAY_ADDRESS: u64 = 0x02;
}

impl Encode for HandshakeMessage {
    fn encoded_len(&self) -> usize {
        2 + bytes_len(&self.noise)
            + option_len(self.peer_address.as_ref())
            + option_len(self.relay_address.as_ref())
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let flags = flag(Self::PEER_ADDRESS, self.peer_address.as_ref())
            | flag(Self::RELAY_ADDRESS, self.relay_address.as_ref());
        out.put_varuint(flags);
        out.put_varuint(self.mode as u64);
        out.put_bytes(&self.noise);
        put_option(out, self.peer_address.as_ref());
        put_option(out, self.relay_address.as_ref());
    }
}

impl Decode for HandshakeMessage {
    const MIN_LEN: usize = 3;

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let flags = reader.varuint()?;
        Ok(Self {
            mode: Mode::read(reader)?,
            noise: reader.bytes()?.to_vec(),
            peer_address: read_if(flags, Self::PEER_ADDRESS, || reader.addr4())?,
            relay_address: read_if(flags, Self::RELAY_ADDRESS, || reader.addr4())?,
        })
    }
}

impl fmt::Display for HandshakeMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "handshake {:?}, {} bytes", self.mode, self.noise.len())
    }
}

/// The value of PEER_HOLEPUNCH, in requests and replies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HolepunchMessage {
    /// The leg it is on.
    pub mode: Mode,
    /// The handshake it belongs to, as the server numbered it; 0 from the server.
    pub id: u64,
    /// An encrypted [`HolepunchPayload`](super::HolepunchPayload).
    pub payload: Vec<u8>,
    /// The other end, as the forwarding node sees it.
    pub peer_address: Option<SocketAddrV4>,
}

impl HolepunchMessage {
    const PEER_ADDRESS: u64 = 0x01;
}

impl Encode for HolepunchMessage {
    fn encoded_len(&self) -> usize {
        2 + varuint_len(self.id) + bytes_len(&self.payload) + option_len(self.peer_address.as_ref())
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.put_varuint(flag(Self::PEER_ADDRESS, self.peer_address.as_ref()));
        out.put_varuint(self.mode as u64);
        out.put_varuint(self.id);
        out.put_bytes(&self.payload);
        put_option(out, self.peer_address.as_ref());
    }
}

impl Decode for HolepunchMessage {
    const MIN_LEN: usize = 4;

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let flags = reader.varuint()?;
        Ok(Self {
            mode: Mode::read(reader)?,
            id: reader.varuint()?,
            payload: reader.bytes()?.to_vec(),
            peer_address: read_if(flags, Self::PEER_ADDRESS, || reader.addr4())?,
        })
    }
}

impl fmt::Display for HolepunchMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "holepunch {} {:?}, {} bytes", self.id, self.mode, self.payload.len())
    }
}
