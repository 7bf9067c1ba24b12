//! Bounds of what remote hosts make an endpoint hold.

use std::time::Duration;

/// Bounds of one endpoint, each with a default that suits a server on the public network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// First messages of remote clients that wait for their computation, of all servers: about what two cores
    /// do within the time for which a client waits for its answer. Beyond it the oldest of the busiest source
    /// is forgotten.
    pub max_waiting: usize,
    /// Handshakes of all servers that are computed or answered, whose client's first packet has not come.
    /// Beyond it the oldest of the busiest source goes.
    pub max_half_open: usize,
    /// Handshakes of all servers that are over, whose answers are kept for repetition. Beyond it the oldest
    /// of the busiest source goes.
    pub max_remembered: usize,
    /// Attempts to connect under way at once; further ones wait in the caller.
    pub max_attempts: usize,
    /// Servers of one node.
    pub max_servers: usize,
    /// Servers whose last good nodes are remembered (`connect.md` §12.2).
    pub max_routes: usize,
    /// Punches through a random NAT under way at once, on either side: each takes hundreds of a router's
    /// ports.
    pub random_punches: usize,
    /// The least time from the end of a failed one to the next (`connect.md` §9.5); an eighth of it after
    /// one that succeeded.
    pub random_punch_interval: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_waiting: 1024,
            max_half_open: 4096,
            max_remembered: 16_384,
            max_attempts: 4096,
            max_servers: 1024,
            max_routes: 512,
            random_punches: 1,
            random_punch_interval: Duration::from_secs(20),
        }
    }
}
