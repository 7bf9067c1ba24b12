//! What peers sit behind.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::base::{Machine, World};
use crate::dht;
use crate::sim::nat::{NatId, Router};
use crate::sim::network::HostId;

/// What a peer sits behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    /// Publicly reachable, and knows it.
    Open,
    /// Publicly reachable, and does not know it.
    Plain,
    Cone,
    HostRestricted,
    Restricted,
    Random,
    /// A restricted router behind the restricted one of a provider.
    Double,
    /// A restricted router that keeps ports.
    KeepsPorts,
    /// The same, and the peer takes itself to be reachable at its address.
    Mistaken,
}

const KEEPS_PORTS: Router = Router { keeps_ports: true, ..Router::RESTRICTED };

impl Home {
    /// Those of the table of outcomes.
    pub(crate) const ALL: [Self; 7] = [
        Self::Open,
        Self::Plain,
        Self::Cone,
        Self::HostRestricted,
        Self::Restricted,
        Self::Random,
        Self::Double,
    ];
}

impl World {
    /// Adds a peer in a home of its own. Behind a router it is `192.168.n.2:5000` and its router `10.9.n.1`,
    /// in the n-th home of the world.
    pub(crate) fn home(&mut self, home: Home) -> HostId {
        let router = match home {
            Home::Open => {
                self.homes += 1;
                return self.open_peer();
            }
            Home::Plain => {
                self.homes += 1;
                let address = self.next_address(1);
                return self.peer_at(address);
            }
            Home::Cone => Router::CONE,
            Home::HostRestricted => Router::HOST_RESTRICTED,
            Home::Restricted | Home::Double => Router::RESTRICTED,
            Home::Random => Router::RANDOM,
            Home::KeepsPorts | Home::Mistaken => KEEPS_PORTS,
        };
        let mut nat = self.router(router);
        let number = self.homes;
        match home {
            Home::Double => nat = self.router_within(nat, router),
            Home::Mistaken => return self.mistaken_peer(nat, number),
            _ => {}
        }
        self.inside(nat, number)
    }

    /// Adds a peer that is publicly reachable, and knows it, but has no home.
    pub(crate) fn open_peer(&mut self) -> HostId {
        let address = self.next_address(1);
        self.add(Machine::new(None, address, reachable_at(address)))
    }

    /// Adds a peer behind a router that has just started, and does not wait until it has
    /// joined.
    pub(crate) fn newcomer(&mut self, router: Router) -> HostId {
        let nat = self.router(router);
        let address = local(self.homes);
        self.start(Machine::new(Some(nat), address, firewalled()))
    }

    /// Adds a peer that has not joined the network yet, and will take long for it: one of the nodes that it
    /// knows is dead.
    pub(crate) fn slow_newcomer(&mut self) -> HostId {
        let mut machine = Machine::new(None, self.next_address(1), firewalled());
        let dead = SocketAddrV4::new(Ipv4Addr::new(self.first, 0, 2, 1), 49737);
        machine.config.bootstrap = vec![dead, self.node_address(0)];
        self.start(machine)
    }

    /// Adds a peer that believes to be behind a firewall and is not.
    pub(crate) fn peer_at(&mut self, address: SocketAddrV4) -> HostId {
        self.add(Machine::new(None, address, firewalled()))
    }

    /// Adds the peer `192.168.number.2:5000` behind a router.
    pub(crate) fn inside(&mut self, nat: NatId, number: u8) -> HostId {
        self.inside_at(nat, local(number))
    }

    pub(crate) fn inside_at(&mut self, nat: NatId, address: SocketAddrV4) -> HostId {
        self.add(Machine::new(Some(nat), address, firewalled()))
    }

    /// Adds the peer `192.168.number.2:5000` that takes itself to be reachable at the outermost router of the
    /// last home, which it is not.
    pub(crate) fn mistaken_peer(&mut self, nat: NatId, number: u8) -> HostId {
        let address = local(number);
        let public = SocketAddrV4::new(Ipv4Addr::new(self.first, 9, self.homes, 1), address.port());
        self.add(Machine::new(Some(nat), address, reachable_at(public)))
    }

    /// Adds a DHT node that knows no other.
    pub(crate) fn lonely_node(&mut self) -> SocketAddrV4 {
        let address = self.next_address(2);
        let mut machine = Machine::new(None, address, reachable_at(address));
        machine.first = true;
        self.add(machine);
        address
    }

    /// Adds the router of the next home, which is `10.9.n.1` outside.
    pub(crate) fn router(&mut self, router: Router) -> NatId {
        self.homes += 1;
        let public = Ipv4Addr::new(self.first, 9, self.homes, 1);
        self.network.add_nat(router, public, None)
    }

    /// Adds a router within a provider's network.
    pub(crate) fn router_within(&mut self, provider: NatId, router: Router) -> NatId {
        self.routers_inside += 1;
        let outside = Ipv4Addr::new(100, 64, 0, self.routers_inside);
        self.network.add_nat(router, outside, Some(provider))
    }

    fn next_address(&mut self, network: u8) -> SocketAddrV4 {
        self.peers += 1;
        SocketAddrV4::new(Ipv4Addr::new(self.first, 0, network, self.peers), 49737)
    }
}

const fn local(number: u8) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(192, 168, number, 2), 5000)
}

/// The settings of a peer that believes to be behind a firewall.
pub(crate) fn firewalled() -> dht::Config {
    dht::Config { mode: dht::Mode::Ephemeral, quick_firewall_check: false, ..dht::Config::default() }
}

/// The settings of a peer that believes to be reachable at a public address.
pub(crate) fn reachable_at(public: SocketAddrV4) -> dht::Config {
    dht::Config { public_address: Some(public), ..persistent() }
}

/// The settings of a DHT node that does not know its address.
pub(super) fn persistent() -> dht::Config {
    dht::Config { mode: dht::Mode::Persistent, firewalled: false, ..dht::Config::default() }
}
