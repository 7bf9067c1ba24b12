//! What tests look at from outside.

use std::net::SocketAddrV4;

use super::verbs::Endpoint;
use crate::connect::ids::ServerId;
use crate::dht;

impl Endpoint {
    pub(in crate::connect) fn attempts_under_way(&self) -> usize {
        self.attempts.len()
    }

    pub(in crate::connect) fn dht_node(&self) -> &dht::Node {
        &self.core.cx.node
    }

    pub(in crate::connect) fn has_puncher_socket(&self) -> bool {
        self.core.punch.puncher.socket().is_some()
    }

    /// Returns how many sockets there are beside the two main ones.
    pub(in crate::connect) fn extra_sockets(&self) -> usize {
        self.core.punch.sockets.len()
    }

    pub(in crate::connect) fn is_announced_at(&self, server: ServerId, node: SocketAddrV4) -> bool {
        self.servers[&server].is_announced_at(node)
    }
}
