//! A network of hosts in virtual time: links with delay and loss, and nothing that reads a clock.
//!
//! Everything follows from the seed, so a failing run can be repeated.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::nat::{Nat, NatId, Router};
use crate::wire::transmit::{SocketId, Transmit};

/// A sans-IO machine behind some sockets.
pub trait Host {
    /// Handles a datagram.
    fn handle_datagram(&mut self, now: Instant, socket: SocketId, from: SocketAddrV4, datagram: &[u8]);
    /// Handles what is due.
    fn handle_timeout(&mut self, now: Instant);
    /// Returns the next datagram to send.
    fn poll_transmit(&mut self, now: Instant) -> Option<Transmit>;
    /// Returns when to call [`Host::handle_timeout`] next.
    fn poll_timeout(&self) -> Option<Instant>;
    /// Returns the next socket to open or close.
    fn poll_socket(&mut self) -> Option<SocketOrder> {
        None
    }
    /// Reports the address of a socket that the host requested.
    fn handle_socket(&mut self, _now: Instant, _socket: SocketId, _local: Option<SocketAddrV4>) {}
}

/// A request of a host to open or close one of its sockets.
#[derive(Clone, Copy, Debug)]
pub enum SocketOrder {
    Open(SocketId),
    Close(SocketId),
}

/// How datagrams travel.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// The least time that a datagram takes.
    pub delay: Duration,
    /// By how much it may be later, which also puts datagrams out of order.
    pub jitter: Duration,
    /// How likely it is lost, from 0 to 1.
    pub loss: f64,
    /// How likely it arrives twice, from 0 to 1.
    pub duplication: f64,
}

impl Default for Link {
    /// Loopback: fast and without loss.
    fn default() -> Self {
        Self { delay: Duration::from_micros(50), jitter: Duration::ZERO, loss: 0.0, duplication: 0.0 }
    }
}

/// A host of a [`Network`], by the order in which hosts were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub usize);

/// Hosts and the datagrams between them.
pub struct Network<H> {
    /// How datagrams travel from now on.
    pub link: Link,
    /// How long a datagram takes from one address to another, beside what the link says.
    pub distance: Option<fn(Ipv4Addr, Ipv4Addr) -> Duration>,
    /// Which datagrams are lost besides, as they are when they leave their host.
    pub lost: Option<fn(&Datagram) -> bool>,
    /// Every datagram that is sent, lost ones included, from when this is set.
    pub capture: Option<Vec<Datagram>>,
    started: Instant,
    now: Instant,
    rng: StdRng,
    hosts: Vec<Slot<H>>,
    addresses: HashMap<(Realm, SocketAddrV4), (HostId, SocketId)>,
    nats: Vec<Nat>,
    nat_addresses: HashMap<(Realm, Ipv4Addr), NatId>,
    travelling: BTreeMap<(Instant, u64), Travelling>,
    wakes: BTreeSet<(Instant, HostId)>,
    sent: u64,
    /// Keeps datagrams that arrive at the same time in the order in which they left.
    order: u64,
}

/// A network in which addresses are unique: one behind a router, or the public one.
type Realm = Option<NatId>;

struct Slot<H> {
    host: H,
    realm: Realm,
    next_port: u16,
    sockets: BTreeMap<SocketId, SocketAddrV4>,
    wake: Option<Instant>,
    /// How often in a row the host wanted to be woken at the very time it was.
    stuck: u32,
    /// A host that is down neither sends nor receives.
    up: bool,
    /// How much time has passed for others only, while the host was asleep.
    slept: Duration,
    asleep_since: Option<Instant>,
}

/// A datagram on its way.
#[derive(Clone, Debug)]
pub struct Datagram {
    pub from: SocketAddrV4,
    pub to: SocketAddrV4,
    pub ttl: Option<u8>,
    pub payload: Vec<u8>,
}

/// A datagram and the realm that it travels through.
struct Travelling {
    realm: Realm,
    datagram: Datagram,
}

impl<H: Host> Network<H> {
    pub fn new(seed: u64, link: Link) -> Self {
        let now = Instant::now();
        Self {
            link,
            distance: None,
            lost: None,
            capture: None,
            started: now,
            now,
            rng: StdRng::seed_from_u64(seed),
            hosts: Vec::new(),
            addresses: HashMap::new(),
            nats: Vec::new(),
            nat_addresses: HashMap::new(),
            travelling: BTreeMap::new(),
            wakes: BTreeSet::new(),
            sent: 0,
            order: 0,
        }
    }

    pub const fn now(&self) -> Instant {
        self.now
    }

    /// Returns how much time has passed in this world.
    pub fn passed(&self) -> Duration {
        self.now - self.started
    }

    /// Returns how many datagrams were sent so far, lost ones included.
    pub const fn sent(&self) -> u64 {
        self.sent
    }

    /// Draws a seed for a host.
    pub fn seed(&mut self) -> [u8; 32] {
        self.rng.r#gen()
    }

    /// Adds a host behind these sockets.
    pub fn add(&mut self, host: H, sockets: &[(SocketId, SocketAddrV4)]) -> HostId {
        self.add_behind(None, host, sockets)
    }

    /// Adds a host behind these sockets and a router.
    pub fn add_behind(
        &mut self,
        realm: Option<NatId>,
        host: H,
        sockets: &[(SocketId, SocketAddrV4)],
    ) -> HostId {
        let id = HostId(self.hosts.len());
        self.hosts.push(Slot {
            host,
            realm,
            next_port: 30_000,
            sockets: BTreeMap::new(),
            wake: None,
            stuck: 0,
            up: true,
            slept: Duration::ZERO,
            asleep_since: None,
        });
        for (socket, address) in sockets {
            self.bind(id, *socket, *address);
        }
        self.drain(id);
        id
    }

    /// Opens a socket of a host.
    pub fn bind(&mut self, id: HostId, socket: SocketId, address: SocketAddrV4) {
        let realm = self.hosts[id.0].realm;
        let taken = self.addresses.insert((realm, address), (id, socket));
        assert!(taken.is_none(), "{address} is in use");
        self.hosts[id.0].sockets.insert(socket, address);
    }

    /// Closes a socket of a host.
    pub fn close(&mut self, id: HostId, socket: SocketId) {
        let slot = &mut self.hosts[id.0];
        if let Some(address) = slot.sockets.remove(&socket) {
            self.addresses.remove(&(slot.realm, address));
        }
    }

    /// Adds a router with this outside address, behind another one or none.
    pub fn add_nat(&mut self, router: Router, public: Ipv4Addr, outside: Option<NatId>) -> NatId {
        let id = NatId(self.nats.len());
        let taken = self.nat_addresses.insert((outside, public), id);
        assert!(taken.is_none(), "{public} is in use");
        self.nats.push(Nat::new(router, public, outside));
        id
    }

    /// Drops the mappings of a router, as a restart does.
    pub fn restart_nat(&mut self, id: NatId) {
        self.nats[id.0].restart();
    }

    /// Cuts a host off, or connects it again.
    pub fn set_up(&mut self, id: HostId, up: bool) {
        self.hosts[id.0].up = up;
    }

    /// Puts a host to sleep: it is cut off, and its clock stands still.
    pub fn sleep(&mut self, id: HostId) {
        let slot = &mut self.hosts[id.0];
        slot.up = false;
        slot.asleep_since = Some(self.now);
        if let Some(wake) = slot.wake.take() {
            self.wakes.remove(&(wake, id));
        }
    }

    /// Ends the sleep of a host. Nothing in it has changed.
    pub fn end_sleep(&mut self, id: HostId) {
        let slot = &mut self.hosts[id.0];
        let since = slot.asleep_since.take().expect("the host is asleep");
        slot.slept += self.now - since;
        slot.up = true;
        self.drain(id);
    }

    /// Returns the time on the clock of a host.
    fn clock(&self, id: HostId) -> Instant {
        self.now - self.hosts[id.0].slept
    }

    /// Removes a host from the network for good and frees its addresses.
    pub fn retire(&mut self, id: HostId) {
        let sockets: Vec<_> = self.hosts[id.0].sockets.keys().copied().collect();
        for socket in sockets {
            self.close(id, socket);
        }
        let slot = &mut self.hosts[id.0];
        slot.up = false;
        if let Some(wake) = slot.wake.take() {
            self.wakes.remove(&(wake, id));
        }
    }

    /// Looks at a host. To change it, use [`Network::with`].
    pub fn host(&self, id: HostId) -> &H {
        &self.hosts[id.0].host
    }

    /// Changes a host and sends what it then wants to send.
    pub fn with<T>(&mut self, id: HostId, change: impl FnOnce(&mut H, Instant) -> T) -> T {
        let now = self.clock(id);
        let result = change(&mut self.hosts[id.0].host, now);
        self.drain(id);
        result
    }

    /// Sends a datagram with the source address `from`, whether a host has it or not.
    pub fn inject(&mut self, from: SocketAddrV4, to: SocketAddrV4, payload: Vec<u8>) {
        let datagram = Datagram { from, to, ttl: None, payload };
        self.send(None, datagram);
    }

    /// Handles the next event, unless that is after `until`; returns whether there was one.
    pub fn step(&mut self, until: Instant) -> bool {
        let arrival = self.travelling.first_key_value().map(|first| first.0.0);
        let wake = self.wakes.first().map(|first| first.0);
        let Some(next) = arrival.into_iter().chain(wake).min().filter(|next| *next <= until) else {
            self.now = self.now.max(until);
            return false;
        };
        self.now = self.now.max(next);
        if arrival.is_some_and(|arrival| arrival <= next)
            && let Some((_, datagram)) = self.travelling.pop_first()
        {
            self.deliver(datagram);
        } else if let Some((_, id)) = self.wakes.first().copied() {
            let now = self.clock(id);
            self.hosts[id.0].host.handle_timeout(now);
            self.drain(id);
            let slot = &mut self.hosts[id.0];
            let again = slot.wake.is_some_and(|wake| wake <= self.now);
            slot.stuck = if again { slot.stuck + 1 } else { 0 };
            assert!(slot.stuck < MAX_STUCK, "host {} wakes again and again without effect", id.0);
        }
        true
    }

    /// Runs for this time.
    pub fn run_for(&mut self, duration: Duration) {
        let until = self.now + duration;
        while self.step(until) {}
    }

    /// Runs until `done`, and returns how long that took.
    ///
    /// # Panics
    ///
    /// Panics if that is not within `limit`.
    pub fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&mut Self) -> bool) -> Duration {
        let start = self.now;
        let until = start + limit;
        while !done(self) {
            assert!(self.step(until), "not done within {limit:?}");
        }
        self.now - start
    }

    fn deliver(&mut self, travelling: Travelling) {
        let Travelling { mut realm, mut datagram } = travelling;
        // The internet is longer than such a datagram lives.
        if datagram.ttl.is_some() && realm.is_none() {
            return;
        }
        while let Some(nat) = self.nat_addresses.get(&(realm, *datagram.to.ip())).copied() {
            let (from, port) = (datagram.from, datagram.to.port());
            let Some(inside) = self.nats[nat.0].enter(self.now, from, port) else {
                return;
            };
            datagram.to = inside;
            realm = Some(nat);
        }
        let Some((id, socket)) = self.addresses.get(&(realm, datagram.to)).copied() else {
            return;
        };
        let now = self.clock(id);
        let slot = &mut self.hosts[id.0];
        if slot.up {
            slot.host.handle_datagram(now, socket, datagram.from, &datagram.payload);
            self.drain(id);
        }
    }

    /// Sends what a host wants to send, and notes when it wants to be woken.
    fn drain(&mut self, id: HostId) {
        let now = self.clock(id);
        loop {
            while let Some(transmit) = self.hosts[id.0].host.poll_transmit(now) {
                let slot = &self.hosts[id.0];
                if let (true, Some(from)) = (slot.up, slot.sockets.get(&transmit.socket)) {
                    let datagram = Datagram {
                        from: *from,
                        to: transmit.destination,
                        ttl: transmit.ttl,
                        payload: transmit.payload,
                    };
                    self.send(slot.realm, datagram);
                }
            }
            match self.hosts[id.0].host.poll_socket() {
                Some(SocketOrder::Open(socket)) => self.open(id, socket),
                Some(SocketOrder::Close(socket)) => self.close(id, socket),
                None => break,
            }
        }
        let slot = &mut self.hosts[id.0];
        let wake = slot.host.poll_timeout().map(|wake| wake + slot.slept);
        if wake != slot.wake {
            if let Some(old) = std::mem::replace(&mut slot.wake, wake) {
                self.wakes.remove(&(old, id));
            }
            self.wakes.extend(wake.map(|wake| (wake, id)));
        }
    }

    /// Opens a socket that a host wants, on its next free port.
    fn open(&mut self, id: HostId, socket: SocketId) {
        let slot = &mut self.hosts[id.0];
        let first = slot.sockets.values().next();
        let ip = *first.expect("a host has its main sockets").ip();
        let (realm, mut address) = (slot.realm, SocketAddrV4::new(ip, slot.next_port));
        // Another host may have the same address: several nodes on one computer.
        while self.addresses.contains_key(&(realm, address)) {
            address.set_port(address.port() + 1);
        }
        slot.next_port = address.port() + 1;
        self.bind(id, socket, address);
        let now = self.clock(id);
        let host = &mut self.hosts[id.0].host;
        host.handle_socket(now, socket, Some(address));
    }

    /// Sends a datagram out of the realms in which its destination is not.
    fn send(&mut self, realm: Realm, datagram: Datagram) {
        self.sent += 1;
        if let Some(capture) = &mut self.capture {
            capture.push(datagram.clone());
        }
        let chance = |rng: &mut StdRng, probability: f64| probability > 0.0 && rng.gen_bool(probability);
        if chance(&mut self.rng, self.link.loss) || self.lost.is_some_and(|lost| lost(&datagram)) {
            return;
        }
        if chance(&mut self.rng, self.link.duplication) {
            let again = Datagram { payload: datagram.payload.clone(), ..datagram };
            self.travel(realm, again);
        }
        self.travel(realm, datagram);
    }

    fn travel(&mut self, mut realm: Realm, mut datagram: Datagram) {
        let to = datagram.to;
        while let Some(nat) = realm
            && !self.addresses.contains_key(&(realm, to))
            && !self.nat_addresses.contains_key(&(realm, *to.ip()))
        {
            let nat = &mut self.nats[nat.0];
            datagram.from = nat.leave(self.now, datagram.from, to, &mut self.rng);
            realm = nat.outside;
            if nat.public == *to.ip() && !nat.router.hairpin {
                return;
            }
        }
        let late = if self.link.jitter.is_zero() {
            Duration::ZERO
        } else {
            self.rng.gen_range(Duration::ZERO..self.link.jitter)
        };
        self.order += 1;
        let far =
            self.distance.map_or(Duration::ZERO, |distance| distance(*datagram.from.ip(), *datagram.to.ip()));
        let key = (self.now + self.link.delay + far + late, self.order);
        self.travelling.insert(key, Travelling { realm, datagram });
    }
}

/// Wakes in a row after which a host is taken to be stuck.
const MAX_STUCK: u32 = 100;
