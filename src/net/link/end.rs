//! How a connection ends.

use std::net::SocketAddrV4;
use std::time::Duration;

use crate::connect::Path;

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Both sides finished.
    Orderly,
    /// The peer ended its direction, took all that was written, and left.
    Left,
    /// The peer destroyed it.
    Reset,
    /// The peer has vanished.
    TimedOut {
        /// How long nothing has come.
        after: Duration,
        /// How packets travelled.
        path: Path,
        /// Where they went.
        address: SocketAddrV4,
    },
    /// The peer answers, but takes no data.
    Stalled,
    /// The peer answers, but large packets do not reach it.
    Narrow,
    /// It held much of the memory for received data when that ran out.
    Overloaded,
    /// The relay that packets travelled through has ended the connection to it.
    RelayGone,
    /// The server claims to be reachable at this address, but nothing has come back from there, and no other
    /// path has opened.
    Unreachable {
        /// The address that it claims.
        address: SocketAddrV4,
    },
    /// What the peer sent does not decrypt.
    Corrupt,
    /// The peer announced a message above the limit.
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
    /// Returns how the end looks to a task that sends.
    pub(super) const fn for_writer(self) -> Self {
        match self {
            Self::Orderly => Self::Local,
            Self::Left => Self::Reset,
            end => end,
        }
    }
}
