//! What the owner of a stream does for it to follow a peer whose address has changed.

use std::net::SocketAddrV4;
use std::time::Instant;

use super::streams::Streams;
use super::types::StreamId;
use crate::wire::transmit::SocketId;

impl Streams {
    /// Sets whether packets from elsewhere are kept once the path is validated, for an owner that can tell
    /// whether what they carry is the peer's: [`Event::PathClaimed`](super::Event::PathClaimed) asks for
    /// that, and [`Event::Silent`](super::Event::Silent) for bytes by which the peer can tell.
    pub fn set_claims(&mut self, id: StreamId, enabled: bool) {
        self.with(None, id, |stream, _| stream.set_claims(enabled));
    }

    /// Returns the places from which the bytes have come that would follow those received, see
    /// [`Streams::claimed`].
    pub fn claimants(&mut self, id: StreamId) -> Vec<(SocketId, SocketAddrV4)> {
        self.with(None, id, |stream, _| stream.claimants()).unwrap_or_default()
    }

    /// Returns the received bytes that were not read, and those that have come from elsewhere and would
    /// follow them.
    pub fn claimed(&self, id: StreamId, socket: SocketId, address: SocketAddrV4) -> [Vec<&[u8]>; 2] {
        let claimed = self.stream(id).map(|stream| {
            let claimed = stream.claimed((socket, address));
            [stream.unread().collect(), claimed.collect()]
        });
        claimed.unwrap_or_default()
    }

    /// Moves the stream to where bytes have come from that only the peer can have made. They count as
    /// received; [`Event::PathLearned`](super::Event::PathLearned) follows. Packets are still taken from the
    /// path before.
    ///
    /// Another host than before gets at most three times what came from it until it answers.
    pub fn trust(&mut self, now: Instant, id: StreamId, socket: SocketId, address: SocketAddrV4) {
        self.with(Some(now), id, |stream, context| stream.trust(now, context, (socket, address)));
    }

    /// Drops what has come from a place that is not the peer's.
    pub fn distrust(&mut self, id: StreamId, socket: SocketId, address: SocketAddrV4) {
        self.with(None, id, |stream, _| stream.distrust((socket, address)));
    }
}
