//! The steps of a plan.

use std::net::SocketAddrV4;

/// A remote address, and whether its host is proven to be the peer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::connect) struct Target {
    pub(in crate::connect) address: SocketAddrV4,
    pub(in crate::connect) verified: bool,
}

/// What a [`Plan`](super::plan::Plan) wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Open another socket, which gets the next number.
    Open,
    /// Send a probe from the socket with this number; number 0 is there from the beginning.
    Probe { socket: usize, to: SocketAddrV4, low_ttl: bool },
}

/// Whether there is more to do at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    More,
    Later,
    Never,
}
