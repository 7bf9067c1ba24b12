//! How a connection ends.

use std::net::SocketAddrV4;

use crate::connect::Path;

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Both sides finished.
    Orderly,
    /// The peer destroyed it.
    Reset,
    /// The peer has vanished.
    TimedOut {
        /// How packets travelled.
        path: Path,
        /// Where to.
        address: SocketAddrV4,
    },
    /// The relay that packets travelled through has ended our connection to it.
    RelayGone,
    /// Nothing has come back from where the server says to be reachable, and no other way has opened.
    Unreachable {
        /// Where it says to be.
        address: SocketAddrV4,
    },
    /// What the peer sent does not decrypt.
    Corrupt,
    /// The peer announced a message above our limit.
    TooLarge {
        /// Length of the message in bytes.
        size: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// The peer did not prove its key in time.
    Unproven,
    /// This side ended it.
    Local,
}

impl End {
    /// How the end looks to somebody who wants to send.
    pub(super) const fn for_writer(self) -> Self {
        match self {
            Self::Orderly => Self::Local,
            end => end,
        }
    }
}
