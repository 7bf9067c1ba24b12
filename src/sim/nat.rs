//! Routers with address translation, of every kind that matters to peers behind them.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use rand::Rng;
use rand::rngs::StdRng;

/// A router of a [`Network`](super::network::Network), by the order in which they were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NatId(pub usize);

/// Which port a socket inside gets outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapping {
    /// The same towards every destination: endpoint-independent mapping (RFC 4787 §4.1).
    Consistent,
    /// Another one towards each destination, drawn at random: address and port-dependent mapping.
    Random,
}

/// Which sources may send to a mapped port: the three kinds of filtering of RFC 4787 §5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    Anybody,
    /// Hosts that were sent to.
    Host,
    /// Addresses that were sent to.
    Address,
}

/// How a router behaves.
#[derive(Clone, Copy, Debug)]
pub struct Router {
    pub mapping: Mapping,
    pub filter: Filter,
    /// Whether hosts inside reach each other by the outside address (RFC 4787 §6).
    pub hairpin: bool,
    /// Whether a socket keeps its port where that is free.
    pub keeps_ports: bool,
    /// How long a silent mapping lives.
    pub lifetime: Duration,
}

impl Router {
    pub const CONE: Self = Self::new(Mapping::Consistent, Filter::Anybody);
    pub const HOST_RESTRICTED: Self = Self::new(Mapping::Consistent, Filter::Host);
    pub const RESTRICTED: Self = Self::new(Mapping::Consistent, Filter::Address);
    pub const RANDOM: Self = Self::new(Mapping::Random, Filter::Address);

    const fn new(mapping: Mapping, filter: Filter) -> Self {
        Self { mapping, filter, hairpin: false, keeps_ports: false, lifetime: Duration::from_secs(30) }
    }
}

/// A router at work.
#[derive(Debug)]
pub(super) struct Nat {
    pub(super) router: Router,
    pub(super) public: Ipv4Addr,
    /// The router that this one is behind.
    pub(super) outside: Option<NatId>,
    /// By inside address, and destination where that matters.
    ports: BTreeMap<(SocketAddrV4, Option<SocketAddrV4>), u16>,
    mappings: BTreeMap<u16, Mapped>,
}

#[derive(Debug)]
struct Mapped {
    inside: SocketAddrV4,
    key: (SocketAddrV4, Option<SocketAddrV4>),
    used: Instant,
    /// The destinations, and when each was last sent to.
    peers: BTreeMap<SocketAddrV4, Instant>,
}

impl Nat {
    pub(super) const fn new(router: Router, public: Ipv4Addr, outside: Option<NatId>) -> Self {
        Self { router, public, outside, ports: BTreeMap::new(), mappings: BTreeMap::new() }
    }

    /// Translates the source of a datagram that leaves.
    pub(super) fn leave(
        &mut self,
        now: Instant,
        inside: SocketAddrV4,
        to: SocketAddrV4,
        rng: &mut StdRng,
    ) -> SocketAddrV4 {
        let key = (inside, (self.router.mapping == Mapping::Random).then_some(to));
        let known = self.ports.get(&key).copied();
        let port = known.filter(|port| self.is_alive(now, *port)).unwrap_or_else(|| {
            let port = self.draw(now, inside.port(), rng);
            self.ports.insert(key, port);
            let mapped = Mapped { inside, key, used: now, peers: BTreeMap::new() };
            self.mappings.insert(port, mapped);
            port
        });
        if let Some(mapped) = self.mappings.get_mut(&port) {
            mapped.used = now;
            mapped.peers.insert(to, now);
        }
        SocketAddrV4::new(self.public, port)
    }

    /// Translates the destination of a datagram that wants in, if it may.
    pub(super) fn enter(&mut self, now: Instant, from: SocketAddrV4, port: u16) -> Option<SocketAddrV4> {
        if !self.is_alive(now, port) {
            return None;
        }
        let lifetime = self.router.lifetime;
        let filter = self.router.filter;
        let mapped = self.mappings.get_mut(&port)?;
        let mut peers = mapped.peers.iter().filter(|(_, at)| now < **at + lifetime);
        let allowed = match filter {
            Filter::Anybody => true,
            Filter::Host => peers.any(|(peer, _)| peer.ip() == from.ip()),
            Filter::Address => peers.any(|(peer, _)| *peer == from),
        };
        if !allowed {
            return None;
        }
        mapped.used = now;
        if let Some(at) = mapped.peers.get_mut(&from) {
            *at = now;
        }
        Some(mapped.inside)
    }

    /// Forgets all mappings, as a router that was switched off and on.
    pub(super) fn restart(&mut self) {
        self.ports.clear();
        self.mappings.clear();
    }

    fn is_alive(&self, now: Instant, port: u16) -> bool {
        let mapped = self.mappings.get(&port);
        mapped.is_some_and(|mapped| now < mapped.used + self.router.lifetime)
    }

    fn draw(&mut self, now: Instant, wanted: u16, rng: &mut StdRng) -> u16 {
        let keeps = self.router.keeps_ports && !self.is_alive(now, wanted);
        let mut port = if keeps { wanted } else { rng.gen_range(1024..=u16::MAX) };
        while self.is_alive(now, port) {
            port = rng.gen_range(1024..=u16::MAX);
        }
        if let Some(old) = self.mappings.remove(&port) {
            self.ports.remove(&old.key);
        }
        port
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn filters_let_in_whom_they_should() {
        let (now, mut rng) = (Instant::now(), StdRng::seed_from_u64(1));
        let (inside, peer) = (at("10.0.0.2:5"), at("8.8.8.8:8"));
        for (router, sibling, stranger) in [
            (Router::CONE, true, true),
            (Router::HOST_RESTRICTED, true, false),
            (Router::RESTRICTED, false, false),
            (Router::RANDOM, false, false),
        ] {
            let mut nat = Nat::new(router, [9, 9, 9, 9].into(), None);
            let port = nat.leave(now, inside, peer, &mut rng).port();
            let mut enters = |from: &str| nat.enter(now, at(from), port).is_some();
            assert!(enters("8.8.8.8:8"));
            assert_eq!(enters("8.8.8.8:9"), sibling, "{router:?}");
            assert_eq!(enters("7.7.7.7:8"), stranger, "{router:?}");
        }
    }

    #[test]
    fn ports_differ_by_destination_only_where_they_should() {
        let (now, mut rng) = (Instant::now(), StdRng::seed_from_u64(1));
        let mut ports = |router| {
            let mut nat = Nat::new(router, [9, 9, 9, 9].into(), None);
            [1, 2, 1].map(|last| {
                let to = SocketAddrV4::new([8, 8, 8, last].into(), 8);
                nat.leave(now, at("10.0.0.2:5"), to, &mut rng).port()
            })
        };
        let consistent = ports(Router::RESTRICTED);
        assert!(consistent.iter().all(|port| *port == consistent[0]));
        let random = ports(Router::RANDOM);
        assert!(random[0] == random[2] && random[0] != random[1]);
        let kept = ports(Router { keeps_ports: true, ..Router::RESTRICTED });
        assert_eq!(kept, [5; 3]);
    }

    #[test]
    fn a_silent_mapping_is_forgotten() {
        let (now, mut rng) = (Instant::now(), StdRng::seed_from_u64(1));
        let mut nat = Nat::new(Router::CONE, [9, 9, 9, 9].into(), None);
        let (inside, peer) = (at("10.0.0.2:5"), at("8.8.8.8:8"));
        let port = nat.leave(now, inside, peer, &mut rng).port();
        let late = now + Router::CONE.lifetime;
        assert_eq!(nat.enter(late, peer, port), None);
        assert_ne!(nat.leave(late, inside, peer, &mut rng).port(), port);
    }

    fn at(text: &str) -> SocketAddrV4 {
        text.parse().unwrap()
    }
}
