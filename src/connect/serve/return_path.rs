//! Takes message 2 back along the route of message 1 (`connect.md` §4).

use std::net::SocketAddrV4;
use std::time::Instant;

use crate::connect::core::Core;
use crate::dht::{Incoming, Reply};
use crate::wire::compact::Encode;
use crate::wire::handshake::{HandshakeMessage, Mode};

/// The route of one message 1.
#[derive(Clone, Debug)]
pub(super) struct ReturnPath {
    pub(super) incoming: Incoming,
    pub(super) mode: Mode,
    pub(super) peer_address: Option<SocketAddrV4>,
    pub(super) relay_address: Option<SocketAddrV4>,
}

/// Message 2.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) noise: Vec<u8>,
    /// Whether it leaves from the puncher socket, so that the client learns where that is.
    pub(super) from_puncher: bool,
}

impl ReturnPath {
    /// Returns the client's address, as the node sees it that has received message 1 first.
    pub(super) fn client_address(&self) -> SocketAddrV4 {
        self.peer_address.unwrap_or(self.incoming.from)
    }

    /// Returns whether a node has passed message 1 on.
    pub(super) const fn is_forwarded(&self) -> bool {
        self.peer_address.is_some()
    }

    pub(super) fn send(&self, now: Instant, core: &mut Core, answer: &Answer) {
        let socket = core.punch.puncher.socket().filter(|_| answer.from_puncher);
        let message = |mode| HandshakeMessage {
            mode,
            noise: answer.noise.clone(),
            peer_address: self.peer_address,
            relay_address: None,
        };
        let node = &mut core.cx.node;
        match self.mode {
            Mode::FromClient => {
                let reply = Reply { value: Some(message(Mode::Reply).to_bytes()), ..Reply::default() };
                node.reply(now, &self.incoming, reply);
            }
            Mode::FromRelay => {
                let value = message(Mode::FromServer).to_bytes();
                node.relay(now, &self.incoming, self.incoming.from, value, socket);
            }
            Mode::FromSecondRelay => {
                if let Some(first) = self.relay_address {
                    let value = message(Mode::FromServer).to_bytes();
                    node.relay(now, &self.incoming, first, value, socket);
                }
            }
            Mode::FromServer | Mode::Reply => {}
        }
    }
}
