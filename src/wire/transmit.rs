//! How a core names a socket and a datagram that it wants sent.

use std::net::SocketAddrV4;

/// A UDP socket of a node, as the cores name it; the driver owns the real one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u32);

impl SocketId {
    /// The socket whose public address makes the node id; requests leave from it when the node is not
    /// firewalled.
    pub const SERVER: Self = Self(0);
    /// The socket that requests leave from while the node is firewalled.
    pub const CLIENT: Self = Self(1);
}

/// One datagram to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The socket it leaves from.
    pub socket: SocketId,
    /// Where it goes.
    pub destination: SocketAddrV4,
    /// The IP time to live for this datagram alone; `None` is the socket's own.
    pub ttl: Option<u8>,
    /// Whether routers may divide the datagram where a link is too small for it. One that measures the path
    /// must not be divided.
    pub may_fragment: bool,
    /// The datagram.
    pub payload: Vec<u8>,
}

/// Where a train of datagrams goes. The bytes are in the buffer that was passed to the poll.
///
/// The buffer holds datagrams of `segment_size` bytes each, the last one possibly shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Train {
    /// The socket the datagrams leave from.
    pub socket: SocketId,
    /// Where they go.
    pub destination: SocketAddrV4,
    /// The IP time to live for these datagrams alone; `None` is the socket's own.
    pub ttl: Option<u8>,
    /// Whether routers may divide these datagrams, as in [`Transmit`].
    pub may_fragment: bool,
    /// Length of each datagram but the last.
    pub segment_size: usize,
}

impl Train {
    /// Returns the train of one datagram.
    pub const fn of(transmit: &Transmit) -> Self {
        Self {
            socket: transmit.socket,
            destination: transmit.destination,
            ttl: transmit.ttl,
            may_fragment: transmit.may_fragment,
            segment_size: transmit.payload.len(),
        }
    }
}
