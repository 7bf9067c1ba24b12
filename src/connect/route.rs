//! The way back to a client.

use std::net::SocketAddrV4;
use std::time::Instant;

use super::shared::Core;
use crate::dht::{Incoming, Reply};
use crate::wire::compact::Encode;
use crate::wire::handshake::{HandshakeMessage, Mode};

/// The way that an answer goes back.
#[derive(Clone, Debug)]
pub(super) struct Route {
    pub(super) incoming: Incoming,
    pub(super) mode: Mode,
    pub(super) peer_address: Option<SocketAddrV4>,
    pub(super) relay_address: Option<SocketAddrV4>,
}

impl Route {
    pub(super) fn client_address(&self) -> SocketAddrV4 {
        self.peer_address.unwrap_or(self.incoming.from)
    }

    /// Sends message 2 back the way that message 1 came.
    pub(super) fn answer(&self, now: Instant, core: &mut Core, noise: Vec<u8>, from_puncher: bool) {
        let socket = core.puncher.socket().filter(|_| from_puncher);
        let message = |mode| HandshakeMessage {
            mode,
            noise,
            peer_address: self.peer_address,
            relay_address: None,
        };
        match self.mode {
            Mode::FromClient => {
                let reply = Reply {
                    value: Some(message(Mode::Reply).to_bytes()),
                    ..Reply::default()
                };
                core.node.reply(now, &self.incoming, reply);
            }
            Mode::FromRelay => {
                let value = message(Mode::FromServer).to_bytes();
                core.node
                    .relay(now, &self.incoming, self.incoming.from, value, socket);
            }
            Mode::FromSecondRelay => {
                if let Some(first) = self.relay_address {
                    let value = message(Mode::FromServer).to_bytes();
                    core.node.relay(now, &self.incoming, first, value, socket);
                }
            }
            Mode::FromServer | Mode::Reply => {}
        }
    }
}
