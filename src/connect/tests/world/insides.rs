//! What no public name of an endpoint shows.

use std::net::SocketAddrV4;

use super::base::World;
use crate::connect::ServerId;
use crate::sim::network::HostId;

impl World {
    /// Returns how many attempts a peer works on, streams that still look for a better path included.
    pub(crate) fn attempts(&self, host: HostId) -> usize {
        self.host(host).endpoint.attempts_under_way()
    }

    /// Returns whether a server may be handed messages by this node.
    pub(crate) fn is_announced_on(&self, host: HostId, server: ServerId, node: SocketAddrV4) -> bool {
        self.host(host).endpoint.is_announced_at(server, node)
    }
}
