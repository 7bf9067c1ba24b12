//! What tests look at from outside.

use std::net::SocketAddrV4;

use super::verbs::Endpoint;
use crate::connect::ids::ServerId;

impl Endpoint {
    pub(in crate::connect) fn attempts_under_way(&self) -> usize {
        self.attempts.len()
    }

    pub(in crate::connect) fn handshakes_remembered(&self) -> usize {
        self.core.intake.remembered()
    }

    pub(in crate::connect) fn is_announced_at(&self, server: ServerId, node: SocketAddrV4) -> bool {
        self.servers[&server].is_announced_at(node)
    }
}
