//! Days of coming and going.

use std::time::Duration;

use super::world::{Connected, End, Home, World};
use crate::sim::nat::NatId;
use crate::sim::network::HostId;

/// Clients come and go, vanish, and are vanished from; routers forget their mappings; packets get lost. The
/// server is never out of reach for long, and what all cores, their tables, queues and timers hold is the
/// same after days as after hours.
#[test]
fn days_of_coming_and_going_leave_nothing_behind() {
    let mut scene = Scene::new();
    let mut held = 0;
    let day = |scene: &mut Scene, held: &mut i64| {
        let hours = (0..24).map(|_| {
            *held += allocation_counter::measure(|| scene.hour()).bytes_current;
            *held
        });
        hours.max().expect("a day has hours")
    };
    // On the first day tables fill. What comes and goes is a saw tooth: the highest points are compared.
    let [_, second, third] = [(); 3].map(|()| day(&mut scene, &mut held));
    assert!(third - second < MAX_GROWTH, "{second} bytes at most on the second day, {third} on the third");
    assert!(scene.longest < MAX_GAP, "out of reach for {:?}", scene.longest);
}

struct Scene {
    world: World,
    server: HostId,
    clients: Vec<(HostId, NatId)>,
    server_router: NatId,
    minutes: usize,
    longest: Duration,
}

impl Scene {
    fn new() -> Self {
        let mut world = World::of_towns(72, 6);
        // Routers are numbered in the order of the homes.
        let server = world.server(Home::Restricted);
        let homes = [Home::Restricted, Home::Cone, Home::HostRestricted];
        let clients = (1..).map(NatId).zip(homes).map(|(router, home)| (world.home(home), router)).collect();
        world.loses(0.01);
        Self { world, server, clients, server_router: NatId(0), minutes: 0, longest: Duration::ZERO }
    }

    fn hour(&mut self) {
        for _ in 0..50 {
            self.minute();
        }
        // Whatever waits for somebody gives up.
        self.world.run_secs(600);
        for host in self.hosts() {
            assert_eq!(self.world.attempts(host), 0);
            let peer = self.world.host(host);
            assert_eq!(peer.endpoint.half_open(), 0);
            assert!(peer.sockets.len() <= 1, "sockets are left: {:?}", peer.sockets);
        }
        self.forget();
    }

    fn minute(&mut self) {
        let (client, router) = self.clients[self.minutes % self.clients.len()];
        match self.minutes % 20 {
            0 => self.world.restart_router(self.server_router),
            10 => self.world.restart_router(router),
            _ => {}
        }
        let connected = self.reach(client);
        self.world.both_speak(&connected);
        let ends = [connected.near, self.world.far_end(&connected)];
        match self.minutes % 4 {
            0 => self.world.destroy(ends[0]),
            1 => self.world.destroy(ends[1]),
            2 => ends.iter().for_each(|end| self.finish(*end)),
            _ => self.world.down(client),
        }
        self.world.run_secs(45);
        self.world.up(client);
        // The owner of a stream lets go of it at its end, and of those whose client gave up.
        for host in self.hosts() {
            let peer = self.world.host(host);
            let streams: Vec<_> = peer.established.iter().map(|one| one.stream).collect();
            for stream in streams {
                self.world.destroy(End { host, stream });
            }
        }
        self.world.run_secs(14);
        self.forget();
        self.minutes += 1;
    }

    /// Connects, at the second or third attempt where the first is too early.
    fn reach(&mut self, client: HostId) -> Connected {
        let mut passed = Duration::ZERO;
        loop {
            let timeout = |dial: &mut crate::connect::Dial| dial.timeout = Duration::from_secs(2);
            let dialled = self.world.dial_with(client, self.server, timeout);
            passed += self.world.wait(dialled);
            self.longest = self.longest.max(passed);
            if self.world.failure(dialled).is_none() {
                return self.world.connected(dialled);
            }
            assert!(passed < MAX_GAP, "out of reach for {passed:?}: {}", self.world.report(dialled));
        }
    }

    fn finish(&mut self, end: End) {
        self.world.with(end.host, |peer, now| peer.endpoint.streams().finish(now, end.stream));
    }

    /// Clears what the hosts record for tests.
    fn forget(&mut self) {
        for host in self.hosts() {
            self.world.with(host, |peer, _| {
                peer.established = Vec::new();
                peer.failed.clear();
                peer.reports.clear();
                peer.listening = Vec::new();
                peer.stream_events = Vec::new();
                peer.moved = Vec::new();
                peer.left = Vec::new();
                peer.unreachable = Vec::new();
            });
        }
    }

    fn hosts(&self) -> Vec<HostId> {
        let clients = self.clients.iter().map(|(client, _)| *client);
        clients.chain([self.server]).chain(self.world.nodes.clone()).collect()
    }
}

/// More in a day of 1,200 connections is a leak: one entry of a map that stays for each is at least twice as
/// much.
const MAX_GROWTH: i64 = 32 * 1024;
const MAX_GAP: Duration = Duration::from_secs(10);
