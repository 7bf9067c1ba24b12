//! The payload of holepunch messages, and the numbers for firewalls and errors.
//!
//! | holepunch payload | type | flag |
//! |---|---|---|
//! | flags (0x01 connected, 0x02 punching), error, firewall, round | varuint each | |
//! | addresses | array of addr4 | 0x04 |
//! | remote address | addr4 | 0x08 |
//! | token | fixed32 | 0x10 |
//! | remote token | fixed32 | 0x20 |

use std::fmt;
use std::net::SocketAddrV4;

use crate::wire::compact::{
    Decode, DecodeError, Encode, Put, Reader, array_len, flag, option_len, put_option, read_if, varuint_len,
};

/// Firewall kind: not known yet.
pub const FIREWALL_UNKNOWN: u64 = 0;
/// Firewall kind: reachable at its public address by anyone.
pub const FIREWALL_OPEN: u64 = 1;
/// Firewall kind: the same mapped port towards all destinations.
pub const FIREWALL_CONSISTENT: u64 = 2;
/// Firewall kind: another mapped port towards each destination.
pub const FIREWALL_RANDOM: u64 = 3;

/// Payload error: none.
pub const ERROR_NONE: u64 = 0;
/// Payload error: the sender gave up.
pub const ERROR_ABORTED: u64 = 1;
/// Payload error: the sender does not speak the receiver's version.
pub const ERROR_VERSION_MISMATCH: u64 = 2;
/// Payload error: the sender punches too much already.
pub const ERROR_TRY_LATER: u64 = 3;

/// What two peers exchange, encrypted, while they punch.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct HolepunchPayload {
    /// [`ERROR_NONE`], or why the sender gives up.
    pub error: u64,
    /// The sender's firewall kind.
    pub firewall: u64,
    /// Counts the client's messages; at most [`MAX_ROUND`](Self::MAX_ROUND).
    pub round: u64,
    /// Whether the sender has a path already.
    pub connected: bool,
    /// Whether the sender is sending probes.
    pub punching: bool,
    /// Where the sender expects probes. Port 0 stands for an unknown one.
    pub addresses: Option<Vec<SocketAddrV4>>,
    /// Where the sender has sent a probe already.
    pub remote_address: Option<SocketAddrV4>,
    /// To be returned by the receiver, to prove that it owns its host.
    pub token: Option<[u8; 32]>,
    /// The receiver's token, returned.
    pub remote_token: Option<[u8; 32]>,
}

/// Without the tokens: who has one seems to own the receiver's host.
impl fmt::Debug for HolepunchPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HolepunchPayload")
            .field("error", &self.error)
            .field("firewall", &self.firewall)
            .field("round", &self.round)
            .field("connected", &self.connected)
            .field("punching", &self.punching)
            .field("addresses", &self.addresses)
            .field("remote_address", &self.remote_address)
            .field("has_token", &self.token.is_some())
            .field("has_remote_token", &self.remote_token.is_some())
            .finish()
    }
}

impl HolepunchPayload {
    /// The largest round that hyperdht can encode (connect.md §8.3 row "round", pitfall 18).
    pub const MAX_ROUND: u64 = 252;

    const CONNECTED: u64 = 0x01;
    const PUNCHING: u64 = 0x02;
    const ADDRESSES: u64 = 0x04;
    const REMOTE_ADDRESS: u64 = 0x08;
    const TOKEN: u64 = 0x10;
    const REMOTE_TOKEN: u64 = 0x20;
}

impl Encode for HolepunchPayload {
    fn encoded_len(&self) -> usize {
        1 + varuint_len(self.error)
            + varuint_len(self.firewall)
            + varuint_len(self.round)
            + self.addresses.as_ref().map_or(0, |list| array_len(list))
            + option_len(self.remote_address.as_ref())
            + option_len(self.token.as_ref())
            + option_len(self.remote_token.as_ref())
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let flags = if self.connected { Self::CONNECTED } else { 0 }
            | if self.punching { Self::PUNCHING } else { 0 }
            | flag(Self::ADDRESSES, self.addresses.as_ref())
            | flag(Self::REMOTE_ADDRESS, self.remote_address.as_ref())
            | flag(Self::TOKEN, self.token.as_ref())
            | flag(Self::REMOTE_TOKEN, self.remote_token.as_ref());
        out.put_varuint(flags);
        out.put_varuint(self.error);
        out.put_varuint(self.firewall);
        out.put_varuint(self.round);
        if let Some(addresses) = &self.addresses {
            out.put_array(addresses);
        }
        put_option(out, self.remote_address.as_ref());
        put_option(out, self.token.as_ref());
        put_option(out, self.remote_token.as_ref());
    }
}

impl Decode for HolepunchPayload {
    const MIN_LEN: usize = 4;

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let flags = reader.varuint()?;
        Ok(Self {
            error: reader.varuint()?,
            firewall: reader.varuint()?,
            round: reader.varuint()?,
            connected: flags & Self::CONNECTED != 0,
            punching: flags & Self::PUNCHING != 0,
            addresses: read_if(flags, Self::ADDRESSES, || reader.array())?,
            remote_address: read_if(flags, Self::REMOTE_ADDRESS, || reader.addr4())?,
            token: read_if(flags, Self::TOKEN, || reader.fixed())?,
            remote_token: read_if(flags, Self::REMOTE_TOKEN, || reader.fixed())?,
        })
    }
}
