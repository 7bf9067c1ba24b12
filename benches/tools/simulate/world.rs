//! A network and what happens in it.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use hyperprofile::dht::{Config, Mode, Node, Operation, Policy, Query, Stats};
use hyperprofile::sim::attacker::Attacker;
use hyperprofile::sim::nat::Router;
use hyperprofile::sim::network::{HostId, Link, Network};
use hyperprofile::sim::reference;
use hyperprofile::wire::address::is_bogon;
use hyperprofile::wire::rpc::LOOKUP;
use hyperprofile::wire::transmit::SocketId;
use hyperprofile::{KeyPair, PublicKey};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use crate::earth;
use crate::machine::{Done, Guest, Lookup, Machine};
use crate::report::{Report, resident_memory};

/// Whose algorithm the nodes run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Ours,
    Reference,
}

/// What a run is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) nodes: usize,
    pub(crate) minutes: f64,
    /// Lookups per second, all together.
    pub(crate) lookups: f64,
    pub(crate) seed: u64,
    pub(crate) loss: f64,
    /// The share of nodes replaced per hour.
    pub(crate) churn: f64,
    /// Guests behind NATs per node.
    pub(crate) clients: f64,
    /// Addresses of the attacker.
    pub(crate) attacker: usize,
    /// Whether each lookup comes from a guest that has only just come and knows no node but the bootstrap
    /// nodes.
    pub(crate) cold: bool,
    pub(crate) algorithm: Algorithm,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            nodes: 1000,
            minutes: 60.0,
            lookups: 2.0,
            seed: 1,
            loss: 0.01,
            churn: 0.5,
            clients: 0.1,
            attacker: 0,
            cold: false,
            algorithm: Algorithm::Ours,
        }
    }
}

/// A network in virtual time.
pub(crate) struct World {
    settings: Settings,
    rng: StdRng,
    network: Network<Machine>,
    /// All that are given out, those of hosts that have left as well.
    addresses: HashSet<Ipv4Addr>,
    bootstrap: Vec<SocketAddrV4>,
    /// The nodes that serve and can be replaced.
    nodes: Vec<HostId>,
    clients: Vec<HostId>,
    /// Guests that came for one lookup, and when.
    visitors: VecDeque<(Instant, HostId)>,
    keys: Vec<KeyPair>,
    /// Keys in the order in which they are announced again, and who announced them.
    announced: Vec<bool>,
    done: Vec<Done>,
    /// Counters of nodes that have left.
    left: Stats,
    memory_before: Option<u64>,
}

impl World {
    pub(crate) fn new(settings: Settings) -> Self {
        let memory_before = resident_memory();
        let link = Link {
            delay: Duration::ZERO,
            jitter: Duration::from_millis(4),
            loss: settings.loss,
            duplication: 0.0,
        };
        let mut rng = StdRng::seed_from_u64(settings.seed);
        let mut network = Network::new(settings.seed, link);
        network.distance = Some(earth::distance);
        let keys =
            (0..KEYS.min(settings.nodes)).map(|_| KeyPair::from_seed(&rng.r#gen())).collect::<Vec<_>>();
        let announced = vec![false; keys.len()];
        let mut world = Self {
            settings,
            rng,
            network,
            addresses: HashSet::new(),
            bootstrap: Vec::new(),
            nodes: Vec::new(),
            clients: Vec::new(),
            visitors: VecDeque::new(),
            keys,
            announced,
            done: Vec::new(),
            left: Stats::default(),
            memory_before,
        };
        for _ in 0..BOOTSTRAP_NODES {
            let (_, address) = world.add_node();
            world.bootstrap.push(address);
        }
        world
    }

    /// Runs the network and returns the report.
    pub(crate) fn run(mut self) -> Report {
        let all = Duration::from_secs_f64(self.settings.minutes * 60.0);
        let start = self.network.now();
        let joining = all / 6;
        let clients = (self.settings.nodes as f64 * self.settings.clients).ceil() as usize;
        let newcomers = self.settings.nodes.saturating_sub(BOOTSTRAP_NODES) + clients;
        for number in 0..newcomers {
            if number * clients / newcomers < (number + 1) * clients / newcomers {
                self.add_client();
            } else {
                let (id, _) = self.add_node();
                self.nodes.push(id);
            }
            self.pass_until(start + joining.mul_f64((number + 1) as f64 / newcomers as f64));
        }
        if self.settings.attacker > 0 {
            self.add_attacker();
        }
        self.live(start + joining, start + all);
        // What is under way comes to its end.
        self.network.run_for(Duration::from_secs(15));
        self.collect();
        self.report(all)
    }

    /// Runs the ordinary life of the network: announcing, looking up, leaving and coming.
    fn live(&mut self, from: Instant, to: Instant) {
        let replaced_per_second = self.settings.churn * self.settings.nodes as f64 / 3600.0;
        let announces_per_second = self.keys.len() as f64 / ANNOUNCE_PERIOD.as_secs_f64();
        // All keys once, before the first lookup.
        let settled = from + (to - from) / 10;
        for number in 0..self.keys.len() {
            self.announce(number);
            let share = (number + 1) as f64 / self.keys.len() as f64;
            self.pass_until(from + (settled - from).mul_f64(share));
        }
        let mut due = VecDeque::new();
        let length = (to - settled).as_secs_f64();
        let mut plan = |rate: f64, what: Due| {
            let count = (rate * length) as usize;
            due.extend(
                (0..count).map(|number| (settled + Duration::from_secs_f64(number as f64 / rate), what)),
            );
        };
        plan(replaced_per_second, Due::Replace);
        plan(announces_per_second, Due::Announce);
        plan(self.settings.lookups, Due::Lookup);
        due.make_contiguous().sort_by_key(|(at, _)| *at);
        let mut next_key = 0;
        for (at, what) in due {
            self.pass_until(at);
            match what {
                Due::Replace => self.replace(),
                Due::Announce => {
                    self.announce(next_key);
                    next_key = (next_key + 1) % self.keys.len();
                }
                Due::Lookup => self.look_up(),
            }
        }
        self.pass_until(to);
    }

    fn pass_until(&mut self, at: Instant) {
        while self.network.step(at) {}
    }

    /// Adds a public node that knows its own address.
    fn add_node(&mut self) -> (HostId, SocketAddrV4) {
        let server = SocketAddrV4::new(self.free_address(), 49737);
        let client = SocketAddrV4::new(*server.ip(), 40000);
        let config = Config {
            mode: Mode::Persistent,
            firewalled: false,
            public_address: Some(server),
            ..self.config()
        };
        let machine = self.machine(config, server, client);
        let sockets = [(SocketId::SERVER, server), (SocketId::CLIENT, client)];
        (self.network.add(machine, &sockets), server)
    }

    /// Adds a guest behind a router of its own, of one kind or another.
    fn add_client(&mut self) {
        let kinds = [Router::HOST_RESTRICTED, Router::RESTRICTED, Router::RANDOM];
        let kind = *kinds.choose(&mut self.rng).unwrap();
        let public = self.free_address();
        let nat = self.network.add_nat(kind, public, None);
        let inside = Ipv4Addr::new(192, 168, 1, 10);
        let (server, client) = (SocketAddrV4::new(inside, 49737), SocketAddrV4::new(inside, 40000));
        let config = self.config();
        let machine = self.machine(config, server, client);
        let sockets = [(SocketId::SERVER, server), (SocketId::CLIENT, client)];
        let id = self.network.add_behind(Some(nat), machine, &sockets);
        self.clients.push(id);
    }

    fn config(&self) -> Config {
        Config {
            bootstrap: self.bootstrap.clone(),
            policy: match self.settings.algorithm {
                Algorithm::Ours => Policy::default(),
                Algorithm::Reference => reference::policy(),
            },
            ..Config::default()
        }
    }

    fn machine(&mut self, config: Config, server: SocketAddrV4, client: SocketAddrV4) -> Machine {
        let now = self.network.now();
        let mut node = Node::new(now, config, self.rng.r#gen());
        node.handle_sockets(now, server, client);
        node.bootstrap(now);
        Machine::Node(Box::new(Guest::new(node, now)))
    }

    /// Adds the attacker, and makes known those of its names that are nearest to the keys, by asking nodes
    /// for something.
    fn add_attacker(&mut self) {
        let addresses = (0..self.settings.attacker).map(|_| self.free_address());
        let attacker = Attacker::new(addresses.collect());
        let mut names = BTreeSet::new();
        for key in &self.keys {
            names.extend(attacker.nearest(&topic(&key.public_key().target()), NAMES));
        }
        let sockets = attacker.sockets();
        self.network.add(Machine::Attacker(Box::new(attacker)), &sockets);
        let nodes = self.nodes.clone();
        for (id, own) in names {
            for _ in 0..INTRODUCTIONS {
                let victim = *nodes.choose(&mut self.rng).unwrap();
                let Machine::Node(guest) = self.network.host(victim) else {
                    continue;
                };
                if let Some(to) = guest.node.remote_address() {
                    self.network.inject(own, to, Attacker::introduction(id, to));
                }
            }
            let now = self.network.now();
            self.pass_until(now + Duration::from_millis(10));
        }
    }

    /// Draws an address that no host has, in a network of its own with high probability.
    fn free_address(&mut self) -> Ipv4Addr {
        loop {
            let address = Ipv4Addr::from(self.rng.r#gen::<u32>());
            // Of a hundred thousand random ones, two are often the same.
            if !is_bogon(address) && self.addresses.insert(address) {
                return address;
            }
        }
    }

    /// Replaces a node, which leaves without a farewell.
    fn replace(&mut self) {
        let position = self.rng.gen_range(0..self.nodes.len());
        self.leave(self.nodes[position]);
        let (new, _) = self.add_node();
        self.nodes[position] = new;
    }

    fn leave(&mut self, host: HostId) {
        self.collect_from(host);
        self.network.with(host, |machine, _| {
            *machine = Machine::Gone;
        });
        self.network.retire(host);
    }

    fn announce(&mut self, number: usize) {
        let Some(id) = self.somebody() else {
            return;
        };
        let key_pair = self.keys[number].clone();
        let target = key_pair.public_key().target();
        self.network.with(id, |machine, now| {
            if let Machine::Node(guest) = machine {
                // Under a topic, where it is announced at the twenty nearest nodes; a server is at three.
                let operation = Operation::Announce {
                    target: topic(&target),
                    identity: key_pair.into(),
                    relays: Vec::new(),
                    bump: 0,
                };
                guest.node.start(now, operation).expect("an announcement always fits");
            }
        });
        self.announced[number] = true;
    }

    fn look_up(&mut self) {
        let number = self.rng.gen_range(0..self.keys.len());
        let key: PublicKey = *self.keys[number].public_key();
        let asker = if self.settings.cold { Some(self.visitor()) } else { self.somebody() };
        let Some(id) = asker.filter(|_| self.announced[number]) else {
            return;
        };
        self.network.with(id, |machine, now| {
            if let Machine::Node(guest) = machine {
                let query = Query::application(LOOKUP, topic(&key.target()));
                let query = guest.node.query(now, query);
                let lookup = Lookup { key, started: now, found: None };
                guest.lookups.insert(query, lookup);
            }
        });
    }

    /// Adds a guest that knows the bootstrap nodes only, and sees off those that have been here for long
    /// enough.
    fn visitor(&mut self) -> HostId {
        let now = self.network.now();
        while let Some((came, old)) = self.visitors.front().copied()
            && now - came >= VISIT
        {
            self.visitors.pop_front();
            self.leave(old);
        }
        let server = SocketAddrV4::new(self.free_address(), 49737);
        let client = SocketAddrV4::new(*server.ip(), 40000);
        let config = self.config();
        let machine = self.machine(config, server, client);
        let sockets = [(SocketId::SERVER, server), (SocketId::CLIENT, client)];
        let id = self.network.add(machine, &sockets);
        self.visitors.push_back((now, id));
        id
    }

    /// Picks a node or a client that has joined.
    fn somebody(&mut self) -> Option<HostId> {
        for _ in 0..100 {
            let number = self.rng.gen_range(0..self.nodes.len() + self.clients.len());
            let id = match number.checked_sub(self.nodes.len()) {
                None => self.nodes[number],
                Some(number) => self.clients[number],
            };
            if matches!(self.network.host(id), Machine::Node(guest) if guest.bootstrapped) {
                return Some(id);
            }
        }
        None
    }

    fn collect(&mut self) {
        let visitors: Vec<_> = self.visitors.iter().map(|visitor| visitor.1).collect();
        for id in [self.nodes.clone(), self.clients.clone(), visitors].concat() {
            self.collect_from(id);
        }
    }

    fn collect_from(&mut self, id: HostId) {
        let done = self.network.with(id, |machine, _| match machine {
            Machine::Node(guest) => Some((std::mem::take(&mut guest.done), guest.node.stats())),
            _ => None,
        });
        if let Some((done, stats)) = done {
            self.done.extend(done);
            self.left.walk_datagrams += stats.walk_datagrams;
            self.left.requests_received += stats.requests_received;
            self.left.requests_sent += stats.requests_sent;
            self.left.retries_sent += stats.retries_sent;
        }
    }

    fn report(self, all: Duration) -> Report {
        let mut loads = Vec::new();
        let mut tables = Vec::new();
        for id in &self.nodes {
            if let Machine::Node(guest) = self.network.host(*id) {
                loads.push(guest.node.stats().requests_received);
                tables.push(guest.node.table_len() as u64);
            }
        }
        let memory = resident_memory().zip(self.memory_before);
        let hosts = self.nodes.len() + self.clients.len();
        Report::new(
            self.settings,
            &self.done,
            &mut loads,
            self.network.sent() as f64 / hosts as f64 / all.as_secs_f64(),
            memory.map(|(after, before)| after.saturating_sub(before) / hosts as u64),
        )
    }
}

#[derive(Clone, Copy)]
enum Due {
    Announce,
    Lookup,
    Replace,
}

/// Returns the topic that a key is announced under.
fn topic(target: &[u8; 32]) -> [u8; 32] {
    let mut topic = *target;
    topic[31] ^= 1;
    topic
}

/// Nodes that stay and that all others bootstrap from.
const BOOTSTRAP_NODES: usize = 3;
/// Keys that are announced and looked for.
const KEYS: usize = 200;
/// How often each key is announced again (hyperdht-rpc.md §6.1: a hundred rounds of three seconds).
const ANNOUNCE_PERIOD: Duration = Duration::from_secs(300);
/// Names of the attacker next to each key that it makes known, and to how many nodes each.
const NAMES: usize = 40;
const INTRODUCTIONS: usize = 20;
/// How long a guest stays that came for one lookup.
const VISIT: Duration = Duration::from_secs(60);
