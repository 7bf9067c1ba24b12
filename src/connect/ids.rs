//! What the parts of a connection are named by.

use std::net::SocketAddrV4;

use crate::wire::transmit::SocketId;

/// An attempt to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId(pub u64);

/// A listening server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(pub u64);

/// A handshake that a server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct EntryId {
    pub(super) server: ServerId,
    /// The holepunch id of the handshake.
    pub(super) number: u64,
}

/// A socket of the own node and a remote address: where packets travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) socket: SocketId,
    pub(super) address: SocketAddrV4,
}

impl Place {
    pub(super) const fn new(socket: SocketId, address: SocketAddrV4) -> Self {
        Self { socket, address }
    }
}

/// How the packets of a stream travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Path {
    /// To the peer's public address.
    Direct,
    /// To an address of the peer in the same local network.
    Lan,
    /// Through a blind relay.
    Relayed,
}
