//! The address that a user hands to `connect`, and the classes of IPv4 addresses.
//!
//! | connect address | type | present |
//! |---|---|---|
//! | key | fixed32 | always |
//! | flags | varuint | may be missing together with all that follows |
//! | nodes | array of addr4 | flag 0x01 |

use std::net::{Ipv4Addr, SocketAddrV4};

use super::compact::{Decode, DecodeError, Encode, Put, Reader, array_len, read_if};
use crate::keys::PublicKey;

/// A server's key, and nodes that are likely to forward to it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "unstable-core"), allow(dead_code))]
pub struct ConnectAddress {
    /// The server's key.
    pub key: PublicKey,
    /// Nodes to ask first.
    pub nodes: Vec<SocketAddrV4>,
}

impl ConnectAddress {
    #[cfg_attr(not(feature = "unstable-core"), allow(dead_code))]
    const NODES: u64 = 0x01;
}

impl Encode for ConnectAddress {
    fn encoded_len(&self) -> usize {
        if self.nodes.is_empty() { 33 } else { 33 + array_len(&self.nodes) }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.key.encode(out);
        if self.nodes.is_empty() {
            out.put_varuint(0);
        } else {
            out.put_varuint(Self::NODES);
            out.put_array(&self.nodes);
        }
    }
}

impl Decode for ConnectAddress {
    const MIN_LEN: usize = 32;

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let key = PublicKey::decode(reader)?;
        let flags = if reader.is_empty() { 0 } else { reader.varuint()? };
        Ok(Self { key, nodes: read_if(flags, Self::NODES, || reader.array())?.unwrap_or_default() })
    }
}

/// Returns whether an address belongs to a private network, to this machine or to one link.
pub const fn is_private(ip: Ipv4Addr) -> bool {
    matches!(
        ip.octets(),
        [10 | 127, ..] | [100, 64..=127, ..] | [169, 254, ..] | [172, 16..=31, ..] | [192, 168, ..]
    )
}

/// Returns whether an address belongs to no host at all: documentation, benchmarks, multicast, the future.
pub const fn is_reserved(ip: Ipv4Addr) -> bool {
    matches!(
        ip.octets(),
        [0 | 224..=255, ..] | [192, 0, 0 | 2, _] | [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _]
    )
}

/// Returns whether a datagram can be sent to an address: it has a port, and is neither one of "this" network
/// (0.0.0.0/8), nor multicast, reserved (240.0.0.0/4) or broadcast.
pub const fn is_destination(address: &SocketAddrV4) -> bool {
    address.port() != 0 && !matches!(address.ip().octets(), [0 | 224..=255, ..])
}

/// Returns what the addresses of one network of 256 have in common.
pub const fn network(ip: Ipv4Addr) -> [u8; 3] {
    let [a, b, c, _] = ip.octets();
    [a, b, c]
}

/// Returns whether an address cannot be reached over the public internet.
pub const fn is_bogon(ip: Ipv4Addr) -> bool {
    is_private(ip) || is_reserved(ip)
}

/// How far an address leads: those of a wider scope are reached from a narrower one, and not the other way
/// round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Within this computer.
    Host,
    /// Within a private network.
    Private,
    /// From everywhere.
    Public,
}

impl Scope {
    /// Returns the scope of an address.
    pub const fn of(ip: Ipv4Addr) -> Self {
        if ip.is_loopback() {
            Self::Host
        } else if is_private(ip) {
            Self::Private
        } else {
            Self::Public
        }
    }
}

/// Returns the address of the other side that looks most like one of the own network.
///
/// The first pair that shares three octets wins at once; else the first found with two, else the first with
/// one.
pub fn best_match(own: &[Ipv4Addr], other: &[SocketAddrV4]) -> Option<SocketAddrV4> {
    let mut best = None;
    let mut best_shared = 0;
    for own in own {
        for candidate in other {
            let shared = shared_octets(*own, *candidate.ip());
            if shared >= 3 {
                return Some(*candidate);
            }
            if shared > best_shared {
                best_shared = shared;
                best = Some(*candidate);
            }
        }
    }
    best
}

fn shared_octets(a: Ipv4Addr, b: Ipv4Addr) -> usize {
    a.octets().iter().zip(b.octets()).take_while(|(a, b)| **a == *b).count()
}
