//! The payload of the Noise messages.
//!
//! | noise payload | type | flag |
//! |---|---|---|
//! | version, flags, error, firewall | varuint each | |
//! | holepunch | id varuint, array of (relay address addr4, peer address addr4) | 0x01 |
//! | addresses4 | array of addr4, if not empty | 0x02 |
//! | addresses6 | array of addr6, if not empty | 0x04 |
//! | udx | version, features (bit 0: reusable socket), id, seq: varuint each | 0x08 |
//! | secret stream | version varuint | 0x10 |
//! | relay through | version varuint, flags varuint, public key fixed32, token fixed32 | 0x20 |
//! | relay addresses | array of addr4 | 0x40 |

use std::fmt;
use std::net::{SocketAddrV4, SocketAddrV6};

use crate::keys::PublicKey;
use crate::wire::compact::{
    Decode, DecodeError, Encode, Put, Reader, array_len, flag, option_len, put_option, read_if, varuint_len,
};

/// The version of the noise payload, of the stream and of the encryption that peers speak today.
pub const VERSION: u64 = 1;

/// A node where a server is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayInfo {
    /// The node.
    pub relay_address: SocketAddrV4,
    /// The server, as that node sees it.
    pub peer_address: SocketAddrV4,
}

impl Encode for RelayInfo {
    fn encoded_len(&self) -> usize {
        Self::MIN_LEN
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.relay_address.encode(out);
        self.peer_address.encode(out);
    }
}

impl Decode for RelayInfo {
    const MIN_LEN: usize = 12;

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { relay_address: reader.addr4()?, peer_address: reader.addr4()? })
    }
}

/// How to reach a server that is behind a firewall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HolepunchInfo {
    /// The server's number for this handshake.
    pub id: u64,
    /// Where the server is announced.
    pub relays: Vec<RelayInfo>,
}

impl Encode for HolepunchInfo {
    fn encoded_len(&self) -> usize {
        varuint_len(self.id) + array_len(&self.relays)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.put_varuint(self.id);
        out.put_array(&self.relays);
    }
}

impl Decode for HolepunchInfo {
    const MIN_LEN: usize = 2;

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { id: reader.varuint()?, relays: reader.array()? })
    }
}

/// The stream that a peer opened for this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdxInfo {
    /// Always [`VERSION`].
    pub version: u64,
    /// Whether the sender may use the same socket for a later connection.
    pub reusable_socket: bool,
    /// The sender's own stream id: packets to the sender carry it.
    pub id: u32,
    /// Always 0.
    pub seq: u64,
}

impl UdxInfo {
    const REUSABLE_SOCKET: u64 = 0x01;
}

impl Encode for UdxInfo {
    fn encoded_len(&self) -> usize {
        varuint_len(self.version) + 1 + varuint_len(self.id.into()) + varuint_len(self.seq)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.put_varuint(self.version);
        out.put_varuint(if self.reusable_socket { Self::REUSABLE_SOCKET } else { 0 });
        out.put_varuint(self.id.into());
        out.put_varuint(self.seq);
    }
}

impl Decode for UdxInfo {
    const MIN_LEN: usize = 4;

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            version: reader.varuint()?,
            reusable_socket: reader.varuint()? & Self::REUSABLE_SOCKET != 0,
            id: reader.varuint32()?,
            seq: reader.varuint()?,
        })
    }
}

/// A third peer that both sides should meet at.
#[derive(Clone, PartialEq, Eq)]
pub struct RelayThrough {
    /// Always [`VERSION`].
    pub version: u64,
    /// The third peer's key.
    pub public_key: PublicKey,
    /// What both sides show there, to be brought together.
    pub token: [u8; 32],
}

/// Without the token: who has it takes the place of one side at the relay.
impl fmt::Debug for RelayThrough {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelayThrough").field("public_key", &self.public_key).finish_non_exhaustive()
    }
}

impl Encode for RelayThrough {
    fn encoded_len(&self) -> usize {
        varuint_len(self.version) + 1 + 64
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.put_varuint(self.version);
        // Flags: none is defined.
        out.put_varuint(0);
        self.public_key.encode(out);
        self.token.encode(out);
    }
}

impl Decode for RelayThrough {
    const MIN_LEN: usize = 66;

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let version = reader.varuint()?;
        let _flags = reader.varuint()?;
        Ok(Self { version, public_key: PublicKey::decode(reader)?, token: reader.fixed()? })
    }
}

/// What travels inside the two Noise messages.
///
/// The default is what a payload of another version decodes to, but for its `version`: nothing of it is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoisePayload {
    /// [`VERSION`]; of any other version only this field is read or written.
    pub version: u64,
    /// [`ERROR_NONE`](super::ERROR_NONE), or why the sender does not connect.
    pub error: u64,
    /// [`FIREWALL_OPEN`](super::FIREWALL_OPEN) or [`FIREWALL_UNKNOWN`](super::FIREWALL_UNKNOWN).
    pub firewall: u64,
    /// How to reach the sender; servers only.
    pub holepunch: Option<HolepunchInfo>,
    /// The sender's public and local addresses.
    pub addresses4: Vec<SocketAddrV4>,
    /// Unused by known peers.
    pub addresses6: Vec<SocketAddrV6>,
    /// The sender's stream.
    pub udx: Option<UdxInfo>,
    /// Version of the encryption that the sender speaks.
    pub secret_stream: Option<u64>,
    /// A third peer to meet at.
    pub relay_through: Option<RelayThrough>,
    /// Nodes to ask first next time; servers only.
    pub relay_addresses: Option<Vec<SocketAddrV4>>,
}

impl NoisePayload {
    const HOLEPUNCH: u64 = 0x01;
    const ADDRESSES4: u64 = 0x02;
    const ADDRESSES6: u64 = 0x04;
    const UDX: u64 = 0x08;
    const SECRET_STREAM: u64 = 0x10;
    const RELAY_THROUGH: u64 = 0x20;
    const RELAY_ADDRESSES: u64 = 0x40;

    fn addresses4_field(&self) -> Option<&Vec<SocketAddrV4>> {
        Some(&self.addresses4).filter(|addresses| !addresses.is_empty())
    }

    fn addresses6_field(&self) -> Option<&Vec<SocketAddrV6>> {
        Some(&self.addresses6).filter(|addresses| !addresses.is_empty())
    }
}

impl Encode for NoisePayload {
    fn encoded_len(&self) -> usize {
        if self.version != VERSION {
            return varuint_len(self.version);
        }
        2 + varuint_len(self.error)
            + varuint_len(self.firewall)
            + option_len(self.holepunch.as_ref())
            + self.addresses4_field().map_or(0, |list| array_len(list))
            + self.addresses6_field().map_or(0, |list| array_len(list))
            + option_len(self.udx.as_ref())
            + self.secret_stream.map_or(0, varuint_len)
            + option_len(self.relay_through.as_ref())
            + self.relay_addresses.as_ref().map_or(0, |list| array_len(list))
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.put_varuint(self.version);
        if self.version != VERSION {
            return;
        }
        let flags = flag(Self::HOLEPUNCH, self.holepunch.as_ref())
            | flag(Self::ADDRESSES4, self.addresses4_field())
            | flag(Self::ADDRESSES6, self.addresses6_field())
            | flag(Self::UDX, self.udx.as_ref())
            | flag(Self::SECRET_STREAM, self.secret_stream.as_ref())
            | flag(Self::RELAY_THROUGH, self.relay_through.as_ref())
            | flag(Self::RELAY_ADDRESSES, self.relay_addresses.as_ref());
        out.put_varuint(flags);
        out.put_varuint(self.error);
        out.put_varuint(self.firewall);
        put_option(out, self.holepunch.as_ref());
        if let Some(addresses) = self.addresses4_field() {
            out.put_array(addresses);
        }
        if let Some(addresses) = self.addresses6_field() {
            out.put_array(addresses);
        }
        put_option(out, self.udx.as_ref());
        if let Some(version) = self.secret_stream {
            out.put_varuint(version);
        }
        put_option(out, self.relay_through.as_ref());
        if let Some(addresses) = &self.relay_addresses {
            out.put_array(addresses);
        }
    }
}

impl Decode for NoisePayload {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let version = reader.varuint()?;
        if version != VERSION {
            return Ok(Self { version, ..Self::default() });
        }
        let flags = reader.varuint()?;
        Ok(Self {
            version,
            error: reader.varuint()?,
            firewall: reader.varuint()?,
            holepunch: read_if(flags, Self::HOLEPUNCH, || HolepunchInfo::decode(reader))?,
            addresses4: read_if(flags, Self::ADDRESSES4, || reader.array())?.unwrap_or_default(),
            addresses6: read_if(flags, Self::ADDRESSES6, || reader.array())?.unwrap_or_default(),
            udx: read_if(flags, Self::UDX, || UdxInfo::decode(reader))?,
            secret_stream: read_if(flags, Self::SECRET_STREAM, || reader.varuint())?,
            relay_through: read_if(flags, Self::RELAY_THROUGH, || RelayThrough::decode(reader))?,
            relay_addresses: read_if(flags, Self::RELAY_ADDRESSES, || reader.array())?,
        })
    }
}
