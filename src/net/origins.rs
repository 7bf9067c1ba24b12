//! At which address of this host others have reached a socket that is bound to all of them.
//!
//! The system chooses the source address of a datagram by its routes. On a host with several addresses that
//! need not be the one that a peer knows the node by, and peers drop answers from elsewhere: a request is
//! matched by the address that was asked.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4};

/// The address of this host that each peer sends to, for the peers heard of last. Under port 0 it is the one
/// that any peer of that host sent to last, for answers that go to another port than was asked from, as those
/// to PING_NAT.
///
/// Two generations: when the young one is full, it becomes the old one, and what was in that is forgotten. A
/// peer that is forgotten is answered from the address that the system chooses.
#[derive(Debug, Default)]
pub(super) struct Origins {
    young: HashMap<SocketAddrV4, Ipv4Addr>,
    old: HashMap<SocketAddrV4, Ipv4Addr>,
    /// What was noted last: datagrams come in runs.
    last: Option<(SocketAddrV4, Ipv4Addr)>,
    /// The address for peers that have not sent anything.
    preferred: Option<Ipv4Addr>,
}

impl Origins {
    /// Names the address that this node is known by: what it sends unasked is to come from there.
    pub(super) const fn prefer(&mut self, own: Ipv4Addr) {
        self.preferred = Some(own);
    }

    /// Notes that a datagram of `peer` has arrived at `own`.
    pub(super) fn note(&mut self, peer: SocketAddrV4, own: Ipv4Addr) {
        if self.last == Some((peer, own)) {
            return;
        }
        self.last = Some((peer, own));
        // With an address to prefer, what the system chooses is no longer what is sent from.
        if self.preferred.is_none() && is_usual(*peer.ip(), own) && self.of(&peer).is_none() {
            return;
        }
        for place in [peer, any_port(&peer)] {
            if self.young.len() >= GENERATION && !self.young.contains_key(&place) {
                self.old = std::mem::take(&mut self.young);
            }
            self.young.insert(place, own);
        }
    }

    /// Returns the address that datagrams to `peer` are to leave from, unless the system knows by itself.
    pub(super) fn of(&self, peer: &SocketAddrV4) -> Option<Ipv4Addr> {
        let known = |peer: &SocketAddrV4| {
            let own = self.young.get(peer).or_else(|| self.old.get(peer));
            own.copied()
        };
        let own = known(peer).or_else(|| known(&any_port(peer)));
        own.or(self.preferred)
    }

    /// Leaves the choice for `peer` to the system until it is heard of again.
    pub(super) fn forget(&mut self, peer: &SocketAddrV4) {
        for place in [peer, &any_port(peer)] {
            self.young.remove(place);
            self.old.remove(place);
        }
        self.last = None;
    }
}

/// Returns what stands for all peers of a host.
const fn any_port(peer: &SocketAddrV4) -> SocketAddrV4 {
    SocketAddrV4::new(*peer.ip(), 0)
}

/// Returns whether the system chooses this address anyway: for peers on this host the one that they have, on
/// loopback 127.0.0.1.
fn is_usual(peer: Ipv4Addr, own: Ipv4Addr) -> bool {
    own == peer || (peer.is_loopback() && own == Ipv4Addr::LOCALHOST)
}

/// Entries in one generation. An attacker who forges more sources than that moves the answers to others on a
/// host with several addresses to the system's choice, until they send again.
const GENERATION: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_that_was_asked_last_is_the_one_to_answer_from() {
        let mut origins = Origins::default();
        let peer = peer(1);
        assert_eq!(origins.of(&peer), None);
        origins.note(peer, OWN);
        origins.note(peer, OWN);
        assert_eq!(origins.of(&peer), Some(OWN));
        origins.note(peer, Ipv4Addr::new(10, 9, 0, 1));
        assert_eq!(origins.of(&peer), Some(Ipv4Addr::new(10, 9, 0, 1)));
        origins.forget(&peer);
        assert_eq!(origins.of(&peer), None);
        origins.note(peer, OWN);
        assert_eq!(origins.of(&peer), Some(OWN), "it is heard of again");
    }

    #[test]
    fn what_the_system_chooses_anyway_is_not_kept() {
        let mut origins = Origins::default();
        let local = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 5);
        origins.note(local, Ipv4Addr::LOCALHOST);
        origins.note(SocketAddrV4::new(OWN, 5), OWN);
        assert!(origins.young.is_empty());
        origins.note(local, Ipv4Addr::new(127, 0, 0, 2));
        assert_eq!(origins.of(&local), Some(Ipv4Addr::new(127, 0, 0, 2)));
        origins.note(local, Ipv4Addr::LOCALHOST);
        assert_eq!(origins.of(&local), Some(Ipv4Addr::LOCALHOST));
    }

    #[test]
    fn an_answer_to_another_port_leaves_from_where_the_question_arrived() {
        let mut origins = Origins::default();
        let (client, server) = (peer(1), SocketAddrV4::new(*peer(1).ip(), 7));
        origins.note(client, OWN);
        assert_eq!(origins.of(&server), Some(OWN));
        // A peer of the same host that has sent something itself is answered by that.
        let other = Ipv4Addr::new(10, 9, 0, 1);
        origins.note(server, other);
        assert_eq!((origins.of(&client), origins.of(&server)), (Some(OWN), Some(other)));
    }

    #[test]
    fn what_is_sent_unasked_comes_from_the_address_that_the_node_is_known_by() {
        let mut origins = Origins::default();
        origins.prefer(OWN);
        assert_eq!(origins.of(&peer(1)), Some(OWN));
        let local = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 5);
        origins.note(local, Ipv4Addr::LOCALHOST);
        assert_eq!(origins.of(&local), Some(Ipv4Addr::LOCALHOST));
        origins.forget(&local);
        assert_eq!(origins.of(&local), Some(OWN));
    }

    #[test]
    fn peers_are_bounded_and_the_latest_stay() {
        let mut origins = Origins::default();
        for number in 0..3 * GENERATION as u32 {
            origins.note(peer(number), OWN);
            assert!(origins.young.len() <= GENERATION && origins.old.len() <= GENERATION);
        }
        let last = 3 * GENERATION as u32 - 1;
        assert_eq!(origins.of(&peer(last)), Some(OWN));
        assert_eq!(origins.of(&peer(last - GENERATION as u32 / 2)), Some(OWN));
        assert_eq!(origins.of(&peer(0)), None);
    }

    const OWN: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);

    fn peer(number: u32) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::from(0x1900_0000 + number), 49737)
    }
}
