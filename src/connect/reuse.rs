//! Ways of earlier connections, for peers that both reuse their sockets (`reusableSocket` of the reference).
//!
//! Where a connection ran, both routers let packets through for a while after its end. A client that connects
//! again shakes hands with the server right there: no lookup, no relaying, no punch.

use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use super::client::Attempt;
use super::handshakes::Kind;
use super::shared::Core;
use crate::keys::PublicKey;
use crate::udx::StreamId;
use crate::wire::transmit::SocketId;

/// The way that the last connection to a peer took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    pub(super) socket: SocketId,
    pub(super) address: SocketAddrV4,
    stream: StreamId,
}

impl Core {
    /// Remembers the path of a stream as the way to its peer.
    pub(super) fn remember_way(&mut self, peer: PublicKey, stream: StreamId) {
        if let Some((socket, address)) = self.streams.path(stream) {
            let way = Way {
                socket,
                address,
                stream,
            };
            self.ways.insert(peer, way);
        }
    }

    /// Returns the way to a peer if its socket is still open.
    pub(super) fn way(&self, peer: &PublicKey) -> Option<Way> {
        let way = self.ways.get(peer).copied();
        way.filter(|way| self.sockets.is_open(way.socket))
    }

    /// Forgets a way on which the peer did not answer any more.
    pub(super) fn forget_way_of(&mut self, stream: StreamId) {
        self.ways.retain(|way| way.stream != stream);
    }
}

impl Attempt {
    /// Tries the way of an earlier connection, alone for a moment. Returns whether everything else is to
    /// wait.
    pub(super) fn tries_way(&mut self, now: Instant, core: &mut Core, noise: &[u8]) -> bool {
        if let Some(way) = self.way.take() {
            self.report.remembered = Some(way.address);
            let (node, socket) = (way.address, Some(way.socket));
            self.shake(now, core, noise, node, socket, Kind::Remembered);
            self.head_start = Some(now + HEAD_START);
        }
        let Some(until) = self.head_start else {
            return false;
        };
        if now < until && self.is_shaking() {
            return true;
        }
        self.head_start = None;
        self.look_up(now, core);
        false
    }
}

/// How long nothing else is tried: the first repetition of a lost message is answered by then, and nobody
/// notices the wait. (The reference tries for 4 s.)
const HEAD_START: Duration = Duration::from_millis(400);
