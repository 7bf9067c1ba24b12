//! Swarms on a model network, in virtual time: dials that cross, get lost or take long, connections whose end
//! reaches the two sides at different times, lookups that name a part of the peers, processes that end.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};

use crate::PublicKey;
use crate::slots::Source;
use crate::swarm::core::{Action, ConnectionId, Core, Join, QueryId, SessionId, Step};
use crate::swarm::settings::Settings;

/// What goes wrong, as parts of all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Faults {
    /// Dials that fail.
    pub(super) dials: f64,
    /// Ends of a connection that the other side notices by its time-out alone.
    pub(super) ends: f64,
    /// Dials whose client is silent, as one in JavaScript, so that its keep-alive proves its key.
    pub(super) silent: f64,
}

pub(super) struct World {
    start: Instant,
    now: Instant,
    rng: StdRng,
    faults: Faults,
    peers: Vec<Peer>,
    by_key: BTreeMap<PublicKey, usize>,
    announced: BTreeSet<([u8; 32], PublicKey)>,
    links: Vec<Link>,
    queue: BTreeMap<(Instant, u64), Event>,
    sequence: u64,
    pub(super) dials: usize,
    pub(super) handed_out: usize,
}

struct Peer {
    key: PublicKey,
    /// `None` after the process has ended.
    core: Option<Core>,
    /// Counts the starts of the process.
    life: u32,
    /// The connections that its user has, or that wait for their proof.
    open: BTreeMap<ConnectionId, usize>,
    used: BTreeSet<ConnectionId>,
    tick: Option<Instant>,
}

/// A dial, and the connection that comes of it.
struct Link {
    client: End,
    server: Option<End>,
    ended: bool,
}

#[derive(Clone, Copy)]
struct End {
    peer: usize,
    life: u32,
    id: ConnectionId,
}

enum Event {
    Tick(usize),
    /// A dial reaches the server, or does not.
    Answered(usize),
    /// The first packet of a connection is there.
    Came {
        link: usize,
        server: usize,
    },
    Proven(usize),
    Heard(usize),
    /// A side notices the end.
    Ended(End),
    DialFailed(usize),
    Found {
        peer: usize,
        life: u32,
        topic: [u8; 32],
        query: QueryId,
    },
    QueryOver {
        peer: usize,
        life: u32,
        topic: [u8; 32],
        query: QueryId,
        step: Step,
    },
}

const ROUND_TRIP: Duration = Duration::from_millis(100);
/// The idle time-out of a connection.
const IDLE: Duration = Duration::from_secs(20);

impl World {
    pub(super) fn new(seed: u64, faults: Faults) -> Self {
        let now = Instant::now();
        Self {
            start: now,
            now,
            rng: StdRng::seed_from_u64(seed),
            faults,
            peers: Vec::new(),
            by_key: BTreeMap::new(),
            announced: BTreeSet::new(),
            links: Vec::new(),
            queue: BTreeMap::new(),
            sequence: 0,
            dials: 0,
            handed_out: 0,
        }
    }

    /// Starts a process with a new key.
    pub(super) fn add(&mut self, topic: [u8; 32], join: Join) -> usize {
        let key = PublicKey::from_bytes(self.rng.r#gen());
        let peer = self.peers.len();
        self.by_key.insert(key, peer);
        let (open, used) = (BTreeMap::new(), BTreeSet::new());
        self.peers.push(Peer { key, core: None, life: 0, open, used, tick: None });
        self.restart(peer, topic, join);
        peer
    }

    /// Starts the process of a peer that has ended.
    pub(super) fn restart(&mut self, peer: usize, topic: [u8; 32], join: Join) {
        let settings = Settings { max_peers: 1000, ..Settings::default() };
        let mut core = Core::new(self.peers[peer].key, settings, self.rng.r#gen());
        core.join(topic, SessionId(0), join, self.now);
        self.peers[peer].life += 1;
        self.peers[peer].core = Some(core);
        self.drain(peer);
    }

    /// Ends the process of a peer, whose announcements stay.
    pub(super) fn kill(&mut self, peer: usize) {
        let gone = &mut self.peers[peer];
        gone.core = None;
        gone.tick = None;
        gone.used.clear();
        for link in std::mem::take(&mut gone.open).into_values() {
            self.end(link, Some(peer));
        }
    }

    /// Ends the process of a peer in order.
    pub(super) fn quit(&mut self, peer: usize) {
        let key = self.peers[peer].key;
        self.announced.retain(|(_, announced)| *announced != key);
        self.kill(peer);
    }

    /// Has the user of a peer reset one of its connections, if there is one.
    pub(super) fn reset_one(&mut self, peer: usize) {
        let used: Vec<_> = self.peers[peer].used.iter().copied().collect();
        let Some(id) = used.choose(&mut self.rng).copied() else {
            return;
        };
        self.closed(peer, id);
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(entry) = self.queue.first_entry() {
            let (at, _) = *entry.key();
            if at > until {
                break;
            }
            self.now = at;
            let event = entry.remove();
            self.happens(event);
        }
        self.now = until;
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    pub(super) fn is_alive(&self, peer: usize) -> bool {
        self.peers[peer].core.is_some()
    }

    /// Returns the pairs of peers that do not use exactly one connection, the same on both sides.
    pub(super) fn wrong_pairs(&self, peers: &[usize]) -> Vec<(usize, usize)> {
        let links: BTreeMap<_, _> = peers.iter().map(|peer| (*peer, self.links_of(*peer))).collect();
        let mut wrong = Vec::new();
        for (nth, one) in peers.iter().enumerate() {
            for other in &peers[nth + 1..] {
                let (ours, theirs) = (links[one].get(other), links[other].get(one));
                if ours.is_none_or(|links| links.len() != 1) || ours != theirs {
                    wrong.push((*one, *other));
                }
            }
        }
        wrong
    }

    pub(super) fn known(&self, peer: usize) -> usize {
        self.peers[peer].core.as_ref().map_or(0, |core| core.stats().peers)
    }

    /// Returns the connections that a peer uses, by the other side.
    fn links_of(&self, peer: usize) -> BTreeMap<usize, Vec<usize>> {
        let mut links: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for id in &self.peers[peer].used {
            let link = self.peers[peer].open[id];
            let ends = [Some(self.links[link].client), self.links[link].server];
            let other = ends.into_iter().flatten().find(|end| end.peer != peer);
            if let Some(other) = other {
                links.entry(other.peer).or_default().push(link);
            }
        }
        links
    }

    fn later(&mut self, after: Duration, event: Event) {
        self.sequence += 1;
        self.queue.insert((self.now + after, self.sequence), event);
    }

    /// A time that differs a little each time.
    fn about(&mut self, time: Duration) -> Duration {
        time.mul_f64(self.rng.gen_range(0.5..1.5))
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Tick(peer) => {
                if self.peers[peer].tick == Some(self.now) {
                    self.peers[peer].tick = None;
                    self.with_core(peer, |core, now| core.handle_timeout(now));
                }
            }
            Event::Answered(link) => self.answered(link),
            Event::Came { link, server } => self.came(link, server),
            Event::Proven(link) => {
                if let Some(server) = self.links[link].server {
                    self.at(server, |core, now| core.proven(server.id, now));
                }
            }
            Event::Heard(link) => {
                let client = self.links[link].client;
                if !self.links[link].ended {
                    self.at(client, |core, _| core.heard(client.id));
                }
            }
            Event::Ended(end) => {
                if self.peers[end.peer].life == end.life {
                    self.closed(end.peer, end.id);
                }
            }
            Event::DialFailed(link) => {
                let client = self.links[link].client;
                if !self.links[link].ended {
                    self.links[link].ended = true;
                    self.at(client, |core, now| core.dial_failed(client.id, false, now));
                }
            }
            Event::Found { peer, life, topic, query } => self.found(peer, life, topic, query),
            Event::QueryOver { peer, life, topic, query, step } => {
                let key = self.peers[peer].key;
                if self.peers[peer].life == life {
                    match step {
                        Step::Announce => drop(self.announced.insert((topic, key))),
                        Step::Unannounce => drop(self.announced.remove(&(topic, key))),
                        Step::Lookup => {}
                    }
                    self.with_core(peer, |core, now| core.query_over(topic, query, true, now));
                }
            }
        }
    }

    /// The handshake is over: the client has a path, and its first packet is on its way.
    fn answered(&mut self, link: usize) {
        let Link { client, ended, .. } = self.links[link];
        if self.peers[client.peer].life != client.life || self.peers[client.peer].core.is_none() {
            return;
        }
        let target = self.links[link].server.expect("the model knows it").peer;
        self.links[link].server = None;
        let delay = self.about(ROUND_TRIP) * self.rng.gen_range(1..4) / 2;
        self.later(delay, Event::Came { link, server: target });
        if ended {
            // The dial was given up, and its first packet had left already.
            return;
        }
        self.peers[client.peer].open.insert(client.id, link);
        self.at(client, |core, now| core.dial_opened(client.id, now));
    }

    fn came(&mut self, link: usize, server: usize) {
        let client = self.links[link].client;
        let key = self.peers[client.peer].key;
        let host = u32::try_from(client.peer).expect("few peers");
        let source = Source::direct(Ipv4Addr::from(0x0a00_0000 + host));
        let now = self.now;
        let core = self.peers[server].core.as_mut();
        let Some(id) = core.and_then(|core| core.came(key, source, now)) else {
            self.end(link, Some(server));
            return;
        };
        let life = self.peers[server].life;
        self.links[link].server = Some(End { peer: server, life, id });
        self.peers[server].open.insert(id, link);
        if self.links[link].ended {
            let delay = self.about(ROUND_TRIP / 2);
            self.later(delay, Event::Ended(End { peer: server, life, id }));
        }
        let proof = match self.rng.gen_bool(self.faults.silent) {
            true => Duration::from_secs(5),
            false => Duration::ZERO,
        };
        self.later(proof, Event::Proven(link));
        let delay = self.about(ROUND_TRIP / 2);
        self.later(delay, Event::Heard(link));
        self.drain(server);
    }

    fn found(&mut self, peer: usize, life: u32, topic: [u8; 32], query: QueryId) {
        if self.peers[peer].life != life {
            return;
        }
        let all: Vec<_> = self.announced.iter().filter(|(of, _)| *of == topic).map(|(_, key)| *key).collect();
        // Each of twenty nodes names twenty peers.
        let named: BTreeSet<_> = (0..20)
            .flat_map(|_| all.choose_multiple(&mut self.rng, 20).copied().collect::<Vec<_>>())
            .collect();
        let now = self.now;
        for key in named {
            if let Some(core) = self.peers[peer].core.as_mut() {
                core.found(topic, query, key, Vec::new(), now);
            }
        }
        self.drain(peer);
    }

    /// A side knows that a connection has ended.
    fn closed(&mut self, peer: usize, id: ConnectionId) {
        let Some(link) = self.peers[peer].open.remove(&id) else {
            return;
        };
        self.peers[peer].used.remove(&id);
        self.with_core(peer, |core, now| core.closed(id, now));
        self.end(link, Some(peer));
    }

    /// Ends a connection, which the other side notices later.
    fn end(&mut self, link: usize, by: Option<usize>) {
        if std::mem::replace(&mut self.links[link].ended, true) {
            return;
        }
        let ends = [Some(self.links[link].client), self.links[link].server];
        for end in ends.into_iter().flatten().filter(|end| Some(end.peer) != by) {
            let is_lost = self.rng.gen_bool(self.faults.ends);
            let delay = if is_lost { IDLE } else { self.about(ROUND_TRIP / 2) };
            self.later(delay, Event::Ended(end));
        }
    }

    fn at(&mut self, end: End, what: impl FnOnce(&mut Core, Instant)) {
        if self.peers[end.peer].life == end.life {
            self.with_core(end.peer, what);
        }
    }

    fn with_core(&mut self, peer: usize, what: impl FnOnce(&mut Core, Instant)) {
        let now = self.now;
        if let Some(core) = self.peers[peer].core.as_mut() {
            what(core, now);
            self.drain(peer);
        }
    }

    /// Does what a core has decided.
    fn drain(&mut self, peer: usize) {
        let life = self.peers[peer].life;
        while let Some(action) = self.peers[peer].core.as_mut().and_then(Core::poll_action) {
            match action {
                Action::Dial { id, key, .. } => self.dial(End { peer, life, id }, key),
                Action::Use { id, .. } => {
                    self.handed_out += 1;
                    self.peers[peer].used.insert(id);
                }
                Action::Drop(id) => {
                    self.peers[peer].used.remove(&id);
                    match self.peers[peer].open.remove(&id) {
                        Some(link) => self.end(link, Some(peer)),
                        // A dial that is under way: its handshake leads nowhere.
                        None => self.give_up(End { peer, life, id }),
                    }
                }
                Action::Query { topic, query, step } => {
                    let delay = self.about(ROUND_TRIP * 6);
                    if step == Step::Lookup {
                        self.later(delay / 2, Event::Found { peer, life, topic, query });
                    }
                    self.later(delay, Event::QueryOver { peer, life, topic, query, step });
                }
                _ => {}
            }
        }
        let deadline = self.peers[peer].core.as_ref().and_then(Core::poll_timeout);
        if let Some(at) = deadline.filter(|at| self.peers[peer].tick.is_none_or(|tick| *at < tick)) {
            self.peers[peer].tick = Some(at);
            self.later(at.saturating_duration_since(self.now), Event::Tick(peer));
        }
    }

    fn dial(&mut self, client: End, key: PublicKey) {
        self.dials += 1;
        let server = self.by_key[&key];
        let link = self.links.len();
        // The target, until the connection has an end there.
        let target = End { peer: server, life: 0, id: ConnectionId(0) };
        self.links.push(Link { client, server: Some(target), ended: false });
        let is_there = self.peers[server].core.is_some();
        if !is_there || self.rng.gen_bool(self.faults.dials) {
            let delay = self.about(Duration::from_secs(4));
            self.later(delay, Event::DialFailed(link));
        } else {
            let delay = self.about(ROUND_TRIP * 2);
            self.later(delay, Event::Answered(link));
        }
    }

    fn give_up(&mut self, client: End) {
        let of = |link: &&mut Link| {
            let end = link.client;
            (end.peer, end.life, end.id) == (client.peer, client.life, client.id)
        };
        if let Some(link) = self.links.iter_mut().rev().find(of) {
            link.ended = true;
        }
    }
}
