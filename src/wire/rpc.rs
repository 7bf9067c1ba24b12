//! The two datagrams of the DHT: request and response.
//!
//! | field | type | request | response |
//! |---|---|---|---|
//! | type and version | u8 | `03` | `13` |
//! | flags | u8 | | |
//! | tid | u16 | always | always, copied |
//! | to | addr4 | where this datagram goes | the requester as the responder sees it |
//! | id | fixed32 | 0x01 | 0x01 |
//! | token | fixed32 | 0x02 | 0x02 |
//! | internal | no field | 0x04 | |
//! | closer nodes | array of addr4 | | 0x04, if any |
//! | command | varuint | always | |
//! | error | varuint | | 0x08, if not 0 |
//! | target | fixed32 | 0x08 | |
//! | value | bytes | 0x10 | 0x10 |

use std::fmt;
use std::net::SocketAddrV4;

use super::compact::{
    Decode, DecodeError, Encode, Put, Reader, array_len, bytes_len, flag, option_len, put_option, read_if,
    varuint_len,
};
use super::hash;

/// The longest datagram that peers receive whole; a longer one is cut and then does not decode.
pub const MAX_DATAGRAM: usize = 2048;

/// The most nodes that a responder names.
pub const MAX_CLOSER: usize = 20;

/// Internal command: are you there?
pub const PING: u64 = 0;
/// Internal command: answer to another port of mine. The value is that port, u16.
pub const PING_NAT: u64 = 1;
/// Internal command: which nodes do you know near the target?
pub const FIND_NODE: u64 = 2;
/// Internal command: the node at this address did not answer me. The value is an addr4.
pub const DOWN_HINT: u64 = 3;
/// Internal command: answer after so many milliseconds. The value is a u32.
pub const DELAYED_PING: u64 = 4;

/// Application command: a handshake message for the server behind the target.
pub const PEER_HANDSHAKE: u64 = 0;
/// Application command: a holepunch message for the server behind the target.
pub const PEER_HOLEPUNCH: u64 = 1;
/// Application command: is the server behind the target announced with you?
pub const FIND_PEER: u64 = 2;
/// Application command: who announced this topic?
pub const LOOKUP: u64 = 3;
/// Application command: remember me under this target.
pub const ANNOUNCE: u64 = 4;
/// Application command: forget me under this target.
pub const UNANNOUNCE: u64 = 5;
/// Application command: store a signed record.
pub const MUTABLE_PUT: u64 = 6;
/// Application command: read a signed record.
pub const MUTABLE_GET: u64 = 7;
/// Application command: store a value under its hash.
pub const IMMUTABLE_PUT: u64 = 8;
/// Application command: read a value by its hash.
pub const IMMUTABLE_GET: u64 = 9;
/// Application command: one that a plugin serves.
pub const PLUGIN: u64 = 10;
/// The first application command that the protocol does not use.
pub const FIRST_FREE_COMMAND: u64 = 11;

/// Error of a response: the command is not served here.
pub const ERROR_UNKNOWN_COMMAND: u64 = 1;
/// Error of a response: the token is wrong or too old; a fresh one is in the same response.
pub const ERROR_INVALID_TOKEN: u64 = 2;
/// Error of a response to MUTABLE_PUT: another value is stored under the same sequence number.
pub const ERROR_SEQ_REUSED: u64 = 16;
/// Error of a response to MUTABLE_PUT: a higher sequence number is stored.
pub const ERROR_SEQ_TOO_LOW: u64 = 17;

/// A point in the key space that a request is about.
pub type Target = [u8; 32];

/// A proof, made by the node that gave it out, that its holder receives at its address.
pub type Token = [u8; 32];

/// The id of a node: the hash of its public address, so no node chooses it freely (dht-rpc.md §5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub [u8; 32]);

impl NodeId {
    /// Computes the id of the node whose server socket is seen at `address`.
    pub fn of(address: SocketAddrV4) -> Self {
        Self(hash::hash(&[&address.to_bytes()]))
    }

    /// Returns the 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the XOR distance to a point; arrays compare as the numbers they are.
    pub fn distance(&self, target: &Target) -> [u8; 32] {
        std::array::from_fn(|i| self.0[i] ^ target[i])
    }

    /// Returns how many leading bits are shared with a point, at most 256.
    #[cfg(test)]
    pub(crate) fn common_prefix(&self, target: &Target) -> usize {
        let mut bits = 0;
        for byte in self.distance(target) {
            bits += byte.leading_zeros() as usize;
            if byte != 0 {
                break;
            }
        }
        bits
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({}…)", short(&self.0))
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&short(&self.0))
    }
}

/// A question to a node, or a message that a node passes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Transaction id, echoed in the response.
    pub tid: u16,
    /// The address this datagram is sent to: shows the receiver how it is seen.
    pub to: SocketAddrV4,
    /// The sender's claimed id, valid only if it is the hash of the source address.
    pub id: Option<NodeId>,
    /// A token that the receiver gave out.
    pub token: Option<Token>,
    /// Whether `command` is one of the DHT itself rather than of the application.
    pub internal: bool,
    /// What is asked.
    pub command: u64,
    /// What it is about.
    pub target: Option<Target>,
    /// Content, by command.
    pub value: Option<Vec<u8>>,
}

impl Request {
    const KIND: u8 = 0x03;
    const ID: u64 = 0x01;
    const TOKEN: u64 = 0x02;
    const INTERNAL: u64 = 0x04;
    const TARGET: u64 = 0x08;
    const VALUE: u64 = 0x10;

    /// Reads what follows the first byte.
    fn decode_body(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let flags = reader.varuint()?;
        Ok(Self {
            tid: reader.u16()?,
            to: reader.addr4()?,
            id: read_if(flags, Self::ID, || reader.fixed().map(NodeId))?,
            token: read_if(flags, Self::TOKEN, || reader.fixed())?,
            internal: flags & Self::INTERNAL != 0,
            command: reader.varuint()?,
            target: read_if(flags, Self::TARGET, || reader.fixed())?,
            value: read_if(flags, Self::VALUE, || reader.bytes().map(<[u8]>::to_vec))?,
        })
    }
}

impl Encode for Request {
    fn encoded_len(&self) -> usize {
        10 + self.id.map_or(0, |_| 32)
            + self.token.map_or(0, |_| 32)
            + varuint_len(self.command)
            + self.target.map_or(0, |_| 32)
            + self.value.as_deref().map_or(0, bytes_len)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let flags = flag(Self::ID, self.id.as_ref())
            | flag(Self::TOKEN, self.token.as_ref())
            | if self.internal { Self::INTERNAL } else { 0 }
            | flag(Self::TARGET, self.target.as_ref())
            | flag(Self::VALUE, self.value.as_ref());
        out.push(Self::KIND);
        out.put_varuint(flags);
        out.extend_from_slice(&self.tid.to_le_bytes());
        self.to.encode(out);
        put_option(out, self.id.as_ref().map(NodeId::as_bytes));
        put_option(out, self.token.as_ref());
        out.put_varuint(self.command);
        put_option(out, self.target.as_ref());
        if let Some(value) = &self.value {
            out.put_bytes(value);
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = command_name(self.internal, self.command).unwrap_or("unknown command");
        write!(f, "request {:04x} to {} {name}", self.tid, self.to)?;
        if let Some(target) = &self.target {
            write!(f, " {}", short(target))?;
        }
        if let Some(value) = &self.value {
            write!(f, ", {} bytes", value.len())?;
        }
        Ok(())
    }
}

/// An answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Transaction id of the request.
    pub tid: u16,
    /// The address this datagram is sent to: the requester as the responder sees it.
    pub to: SocketAddrV4,
    /// The responder's claimed id, valid only if it is the hash of the source address.
    pub id: Option<NodeId>,
    /// A fresh token for `to`.
    pub token: Option<Token>,
    /// Nodes near the target of the request.
    pub closer: Vec<SocketAddrV4>,
    /// 0, or why the request was not served.
    pub error: u64,
    /// Content, by command.
    pub value: Option<Vec<u8>>,
}

impl Response {
    const KIND: u8 = 0x13;
    const ID: u64 = 0x01;
    const TOKEN: u64 = 0x02;
    const CLOSER: u64 = 0x04;
    const ERROR: u64 = 0x08;
    const VALUE: u64 = 0x10;

    /// Reads what follows the first byte.
    fn decode_body(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let flags = reader.varuint()?;
        Ok(Self {
            tid: reader.u16()?,
            to: reader.addr4()?,
            id: read_if(flags, Self::ID, || reader.fixed().map(NodeId))?,
            token: read_if(flags, Self::TOKEN, || reader.fixed())?,
            closer: read_if(flags, Self::CLOSER, || reader.array())?.unwrap_or_default(),
            error: read_if(flags, Self::ERROR, || reader.varuint())?.unwrap_or(0),
            value: read_if(flags, Self::VALUE, || reader.bytes().map(<[u8]>::to_vec))?,
        })
    }

    fn closer_field(&self) -> Option<&Vec<SocketAddrV4>> {
        Some(&self.closer).filter(|closer| !closer.is_empty())
    }

    fn error_field(&self) -> Option<&u64> {
        Some(&self.error).filter(|error| **error != 0)
    }
}

impl Encode for Response {
    fn encoded_len(&self) -> usize {
        10 + self.id.map_or(0, |_| 32)
            + option_len(self.token.as_ref())
            + self.closer_field().map_or(0, |closer| array_len(closer))
            + self.error_field().map_or(0, |error| varuint_len(*error))
            + self.value.as_deref().map_or(0, bytes_len)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let flags = flag(Self::ID, self.id.as_ref())
            | flag(Self::TOKEN, self.token.as_ref())
            | flag(Self::CLOSER, self.closer_field())
            | flag(Self::ERROR, self.error_field())
            | flag(Self::VALUE, self.value.as_ref());
        out.push(Self::KIND);
        out.put_varuint(flags);
        out.extend_from_slice(&self.tid.to_le_bytes());
        self.to.encode(out);
        put_option(out, self.id.as_ref().map(NodeId::as_bytes));
        put_option(out, self.token.as_ref());
        if let Some(closer) = self.closer_field() {
            out.put_array(closer);
        }
        if let Some(error) = self.error_field() {
            out.put_varuint(*error);
        }
        if let Some(value) = &self.value {
            out.put_bytes(value);
        }
    }
}

impl fmt::Display for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "response {:04x} to {}", self.tid, self.to)?;
        if let Some(id) = self.id {
            write!(f, " id {id}")?;
        }
        if self.error != 0 {
            write!(f, " error {}", self.error)?;
        }
        write!(f, ", {} closer", self.closer.len())?;
        if let Some(value) = &self.value {
            write!(f, ", {} bytes", value.len())?;
        }
        Ok(())
    }
}

/// A datagram of the DHT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// First byte `03`.
    Request(Request),
    /// First byte `13`.
    Response(Response),
}

impl Encode for Packet {
    fn encoded_len(&self) -> usize {
        match self {
            Self::Request(request) => request.encoded_len(),
            Self::Response(response) => response.encoded_len(),
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Request(request) => request.encode(out),
            Self::Response(response) => response.encode(out),
        }
    }
}

impl Decode for Packet {
    const MIN_LEN: usize = 10;

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            Request::KIND => Request::decode_body(reader).map(Self::Request),
            Response::KIND => Response::decode_body(reader).map(Self::Response),
            _ => Err(DecodeError::UnknownKind),
        }
    }
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(request) => request.fmt(f),
            Self::Response(response) => response.fmt(f),
        }
    }
}

/// Returns the first eight hexadecimal digits of a key or hash.
pub(crate) fn short(bytes: &[u8; 32]) -> String {
    data_encoding::HEXLOWER.encode(&bytes[..4])
}

/// Returns the name of a command.
pub(crate) fn command_name(internal: bool, command: u64) -> Option<&'static str> {
    const INTERNAL: [&str; 5] = ["ping", "ping-nat", "find-node", "down-hint", "delayed-ping"];
    const APPLICATION: [&str; 11] = [
        "peer-handshake",
        "peer-holepunch",
        "find-peer",
        "lookup",
        "announce",
        "unannounce",
        "mutable-put",
        "mutable-get",
        "immutable-put",
        "immutable-get",
        "plugin",
    ];
    let names: &[&'static str] = if internal { &INTERNAL } else { &APPLICATION };
    usize::try_from(command).ok().and_then(|command| names.get(command).copied())
}
