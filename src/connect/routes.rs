//! Nodes through which servers were reached before, so that the next connection need not search.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;

use crate::keys::PublicKey;

/// Nodes remembered per server.
const MAX_NODES: usize = 4;

/// The last good nodes per server, the least recently used server forgotten first.
#[derive(Debug)]
pub(super) struct Routes {
    capacity: usize,
    clock: u64,
    by_key: BTreeMap<PublicKey, (u64, Vec<SocketAddrV4>)>,
    by_age: BTreeMap<u64, PublicKey>,
}

impl Routes {
    pub(super) const fn new(capacity: usize) -> Self {
        Self {
            capacity,
            clock: 0,
            by_key: BTreeMap::new(),
            by_age: BTreeMap::new(),
        }
    }

    pub(super) fn insert(&mut self, key: PublicKey, mut nodes: Vec<SocketAddrV4>) {
        nodes.retain(|node| node.port() != 0);
        nodes.truncate(MAX_NODES);
        self.forget(&key);
        if nodes.is_empty() || self.capacity == 0 {
            return;
        }
        if self.by_key.len() >= self.capacity
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.by_key.remove(&oldest);
        }
        self.clock += 1;
        self.by_age.insert(self.clock, key);
        self.by_key.insert(key, (self.clock, nodes));
    }

    pub(super) fn get(&self, key: &PublicKey) -> Vec<SocketAddrV4> {
        self.by_key
            .get(key)
            .map(|(_, nodes)| nodes.clone())
            .unwrap_or_default()
    }

    /// Forgets a server's nodes: they led nowhere.
    pub(super) fn forget(&mut self, key: &PublicKey) {
        if let Some((age, _)) = self.by_key.remove(key) {
            self.by_age.remove(&age);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_server_makes_room() {
        let mut routes = Routes::new(2);
        for byte in 1..=3 {
            routes.insert(key(byte), vec![node(u16::from(byte))]);
        }
        assert_eq!(routes.get(&key(1)), []);
        assert_eq!(routes.get(&key(3)), [node(3)]);
        assert_eq!(routes.by_age.len(), 2);
    }

    #[test]
    fn a_server_seen_again_is_young_again() {
        let mut routes = Routes::new(2);
        routes.insert(key(1), vec![node(1)]);
        routes.insert(key(2), vec![node(2)]);
        routes.insert(key(1), vec![node(9), node(0)]);
        routes.insert(key(3), vec![node(3)]);
        assert_eq!(routes.get(&key(1)), [node(9)]);
        assert_eq!(routes.get(&key(2)), []);
    }

    fn key(byte: u8) -> PublicKey {
        PublicKey::from_bytes([byte; 32])
    }

    fn node(port: u16) -> SocketAddrV4 {
        SocketAddrV4::new([127, 0, 0, 1].into(), port)
    }
}
