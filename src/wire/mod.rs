//! Bytes to types and back: every message of the protocol. No state, no clock, no I/O.
//!
//! | module | messages |
//! |---|---|
//! | [`compact`] | integers, byte strings, lists, addresses |
//! | [`rpc`] | request and response of the DHT |
//! | [`records`] | what nodes store: peers, announcements, mutable values |
//! | [`handshake`] | what two peers exchange while they connect |
//! | [`address`] | the address of a server, classes of IPv4 addresses |
//! | [`relay`] | the channel to a blind relay |
//! | [`hash`] | the hashes and namespaces of the protocol |
//! | [`packet`] | the header of a stream packet |
//! | [`transmit`] | how a core names a socket and a datagram |

pub mod address;
pub mod compact;
pub mod handshake;
pub mod hash;
pub mod packet;
pub mod records;
pub mod relay;
pub mod rpc;
#[cfg(test)]
mod tests;
pub mod transmit;
#[cfg(test)]
pub(crate) mod vectors;

pub use compact::{Decode, DecodeError, Encode, Reader};
