//! What is remembered of peers, so that the next connection need not search (`connect.md` §12.2, §12.3).

use std::net::SocketAddrV4;

use lru::LruCache;

use super::context::Context;
use super::ids::Place;
use super::punch::Sockets;
use crate::keys::PublicKey;
use crate::udx::StreamId;

/// Nodes that led to servers, and places where connections ran. The least recently connected peer is
/// forgotten first.
#[derive(Debug)]
pub(super) struct Remembered {
    max_peers: usize,
    routes: LruCache<PublicKey, Vec<SocketAddrV4>>,
    /// Where the last connection to a peer ran, and its stream, if both sides reuse their sockets.
    places: LruCache<PublicKey, (Place, StreamId)>,
}

impl Remembered {
    pub(super) fn new(max_peers: usize) -> Self {
        // A cache with a bound allocates for all of it at once.
        Self { max_peers, routes: LruCache::unbounded(), places: LruCache::unbounded() }
    }

    /// Returns nodes through which a server was reached before.
    pub(super) fn routes(&self, server: &PublicKey) -> &[SocketAddrV4] {
        self.routes.peek(server).map_or(&[], Vec::as_slice)
    }

    /// Remembers through which nodes a server is reached.
    pub(super) fn set_routes(&mut self, server: PublicKey, mut nodes: Vec<SocketAddrV4>) {
        nodes.retain(|node| node.port() != 0);
        nodes.truncate(MAX_NODES);
        if nodes.is_empty() {
            self.routes.pop(&server);
        } else {
            put(&mut self.routes, self.max_peers, server, nodes);
        }
    }

    /// Returns where the last connection to a peer ran, if its socket is still open.
    pub(super) fn place(&self, peer: &PublicKey, sockets: &Sockets) -> Option<Place> {
        let (place, _) = self.places.peek(peer)?;
        sockets.is_open(place.socket).then_some(*place)
    }

    /// Remembers the path of a stream as the place to reach its peer at.
    pub(super) fn set_place(&mut self, cx: &Context, peer: PublicKey, stream: StreamId) {
        if let Some(place) = cx.path_of(stream) {
            put(&mut self.places, self.max_peers, peer, (place, stream));
        }
    }

    /// Forgets the place where a peer does not answer any more.
    pub(super) fn forget_place_of(&mut self, stream: StreamId) {
        let stale = self.places.iter().find(|(_, (_, own))| *own == stream);
        if let Some(peer) = stale.map(|(peer, _)| *peer) {
            self.places.pop(&peer);
        }
    }

    /// Forgets all places: the host is in another network than before.
    pub(super) fn forget_places(&mut self) {
        self.places.clear();
    }

    /// Forgets a peer that could not be reached.
    pub(super) fn forget(&mut self, peer: &PublicKey) {
        self.routes.pop(peer);
        self.places.pop(peer);
    }
}

fn put<V>(cache: &mut LruCache<PublicKey, V>, max: usize, peer: PublicKey, value: V) {
    cache.put(peer, value);
    if cache.len() > max {
        cache.pop_lru();
    }
}

/// Nodes remembered per server.
const MAX_NODES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_connected_to_least_recently_makes_room() {
        let mut remembered = Remembered::new(2);
        for byte in [1, 2, 1, 3] {
            remembered.set_routes(key(byte), vec![node(u16::from(byte))]);
        }
        assert_eq!(remembered.routes(&key(1)), [node(1)]);
        assert_eq!(remembered.routes(&key(2)), []);
        assert_eq!(remembered.routes(&key(3)), [node(3)]);
    }

    #[test]
    fn a_limit_of_none_remembers_nothing() {
        let mut remembered = Remembered::new(0);
        remembered.set_routes(key(1), vec![node(1)]);
        assert_eq!(remembered.routes(&key(1)), []);
    }

    #[test]
    fn few_nodes_are_kept_and_none_without_a_port() {
        let mut remembered = Remembered::new(2);
        remembered.set_routes(key(1), (0..9).map(node).collect());
        assert_eq!(remembered.routes(&key(1)), [1, 2, 3, 4].map(node));
        remembered.set_routes(key(1), vec![node(0)]);
        assert_eq!(remembered.routes(&key(1)), []);
    }

    fn key(byte: u8) -> PublicKey {
        PublicKey::from_bytes([byte; 32])
    }

    fn node(port: u16) -> SocketAddrV4 {
        SocketAddrV4::new([25, 0, 0, 1].into(), port)
    }
}
