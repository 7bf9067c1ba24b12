//! Bounds of what remote hosts make an endpoint hold.

use std::time::Duration;

/// Bounds of one endpoint, each with a default that suits a server on the public network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Handshakes from public addresses that a server is answering or has answered, whose client's first
    /// packet has not come. Beyond it the oldest of the busiest source goes.
    pub max_half_open: usize,
    /// The same wherever they come from, each server by itself: private addresses and loopback have only this
    /// bound.
    pub max_half_open_anywhere: usize,
    /// Handshakes over whose answers are kept for repetition, each server by itself.
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
            max_half_open: 256,
            max_half_open_anywhere: 4096,
            max_remembered: 16_384,
            max_attempts: 4096,
            max_servers: 1024,
            max_routes: 512,
            random_punches: 1,
            random_punch_interval: Duration::from_secs(20),
        }
    }
}
