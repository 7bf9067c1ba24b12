//! Peers behind routers of every kind.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use super::world::World;
use crate::connect::{Failure, Firewall, Lost, Path};
use crate::keys::KeyPair;
use crate::sim::nat::{NatId, Router};
use crate::sim::network::{Datagram, HostId, Link};
use crate::wire::compact::{Decode, Reader};
use crate::wire::rpc::Packet;

/// What a peer sits behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
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
}

/// Every pair, server by client: how they connect, after how many probes of the client and after how long,
/// where that is not a matter of luck. Reviewed like code.
const OUTCOMES: &str = "
Open/Open: Direct, 0 probes, 60 ms
Open/Plain: Direct, 0 probes, 60 ms
Open/Cone: Direct, 0 probes, 60 ms
Open/HostRestricted: Direct, 0 probes, 60 ms
Open/Restricted: Direct, 0 probes, 60 ms
Open/Random: Direct, 0 probes, 60 ms
Open/Double: Direct, 0 probes, 60 ms
Plain/Open: Direct, 0 probes, 60 ms
Plain/Plain: Direct, 1 probes, 90 ms
Plain/Cone: Direct, 1 probes, 90 ms
Plain/HostRestricted: Direct, 1 probes, 90 ms
Plain/Restricted: Direct, 1 probes, 90 ms
Plain/Random: Direct by ManySockets
Plain/Double: Direct, 1 probes, 90 ms
Cone/Open: Direct, 0 probes, 60 ms
Cone/Plain: Direct, 1 probes, 90 ms
Cone/Cone: Direct, 1 probes, 90 ms
Cone/HostRestricted: Direct, 1 probes, 90 ms
Cone/Restricted: Direct, 1 probes, 90 ms
Cone/Random: Direct by ManySockets
Cone/Double: Direct, 1 probes, 90 ms
HostRestricted/Open: Direct, 0 probes, 60 ms
HostRestricted/Plain: Direct, 1 probes, 90 ms
HostRestricted/Cone: Direct, 1 probes, 90 ms
HostRestricted/HostRestricted: Direct, 1 probes, 90 ms
HostRestricted/Restricted: Direct, 1 probes, 90 ms
HostRestricted/Random: Direct by ManySockets
HostRestricted/Double: Direct, 1 probes, 90 ms
Restricted/Open: Direct, 0 probes, 60 ms
Restricted/Plain: Direct, 1 probes, 90 ms
Restricted/Cone: Direct, 1 probes, 90 ms
Restricted/HostRestricted: Direct, 1 probes, 90 ms
Restricted/Restricted: Direct, 1 probes, 90 ms
Restricted/Random: Direct by ManySockets
Restricted/Double: Direct, 1 probes, 90 ms
Random/Open: Direct, 0 probes, 60 ms
Random/Plain: Direct by RandomPorts
Random/Cone: Direct by RandomPorts
Random/HostRestricted: Direct by RandomPorts
Random/Restricted: Direct by RandomPorts
Random/Random: NoPath, Some(BothRandom) after 100 ms
Random/Double: Direct by RandomPorts
Double/Open: Direct, 0 probes, 60 ms
Double/Plain: Direct, 1 probes, 90 ms
Double/Cone: Direct, 1 probes, 90 ms
Double/HostRestricted: Direct, 1 probes, 90 ms
Double/Restricted: Direct, 1 probes, 90 ms
Double/Random: Direct by ManySockets
Double/Double: Direct, 1 probes, 90 ms
";

#[test]
fn every_pair_of_routers_has_its_outcome() {
    let mut table = String::new();
    for server in Home::ALL {
        for client in Home::ALL {
            let outcome = outcome(1, server, client);
            writeln!(table, "{server:?}/{client:?}: {outcome}").unwrap();
        }
    }
    assert_eq!(table.trim(), OUTCOMES.trim(), "\n{table}");
}

#[test]
fn two_peers_of_one_home_meet_inside_it() {
    for hairpin in [false, true] {
        let mut world = World::new(2, 8, Link::default());
        let nat = world.network.add_nat(
            Router {
                hairpin,
                ..Router::RESTRICTED
            },
            Ipv4Addr::new(10, 9, 1, 1),
            None,
        );
        let (server, key) = (inside(&mut world, nat, 2), KeyPair::from_seed(&[1; 32]));
        world.listen(server, &key);
        let client = inside(&mut world, nat, 3);
        let (near, far) = world.connect(client, server, key.public_key());
        assert_eq!(world.network.host(client).established[0].path, Path::Lan);
        super::paths::exchange(&mut world, client, server, near, far);
    }
}

#[test]
fn a_dead_local_address_does_not_end_an_attempt_that_can_punch() {
    let mut world = World::new(3, 8, Link::default());
    // Both are behind one provider, whose router lets them reach each other, each in a home of its own with
    // the same local addresses.
    let provider = Router {
        hairpin: true,
        ..Router::RESTRICTED
    };
    let outer = world.network.add_nat(provider, Ipv4Addr::new(10, 9, 1, 1), None);
    let home = |world: &mut World, number: u8| {
        let outside = Ipv4Addr::new(100, 64, 0, number);
        let nat = world.network.add_nat(Router::RESTRICTED, outside, Some(outer));
        inside(world, nat, 7 + number)
    };
    let (server, key) = (home(&mut world, 1), KeyPair::from_seed(&[1; 32]));
    world.listen(server, &key);
    let client = home(&mut world, 2);
    let (near, far) = world.connect(client, server, key.public_key());
    assert_eq!(world.network.host(client).established[0].path, Path::Direct);
    super::paths::exchange(&mut world, client, server, near, far);
}

#[test]
fn homes_behind_one_provider_are_not_taken_for_one_home() {
    let mut world = World::new(9, 8, Link::default());
    let outer = world
        .network
        .add_nat(Router::RESTRICTED, Ipv4Addr::new(10, 9, 1, 1), None);
    // The routers of both homes give out the same addresses, and both nodes have the same port.
    let home = |world: &mut World, number: u8| {
        let outside = Ipv4Addr::new(100, 64, 0, number);
        let nat = world.network.add_nat(Router::RESTRICTED, outside, Some(outer));
        inside(world, nat, 7)
    };
    let (server, key) = (home(&mut world, 1), KeyPair::from_seed(&[1; 32]));
    world.listen(server, &key);
    let client = home(&mut world, 2);
    let attempt = world.dial(client, key.public_key());
    let took = world.wait(client, attempt);
    assert_eq!(world.failure(client, attempt), Some(Failure::NoPath));
    let report = &world.network.host(client).reports[&attempt];
    assert_eq!(report.punch_lost, Some(Lost::NoProbe));
    assert!(took < Duration::from_secs(15), "{took:?}");
}

#[test]
fn a_server_whose_router_forgets_it_is_reachable_again_in_ten_seconds() {
    let mut world = World::new(4, 8, Link::default());
    let nat = world
        .network
        .add_nat(Router::RESTRICTED, Ipv4Addr::new(10, 9, 1, 1), None);
    let (server, key) = (inside(&mut world, nat, 1), KeyPair::from_seed(&[1; 32]));
    world.listen(server, &key);
    world.network.run_for(Duration::from_secs(30));
    world.network.restart_nat(nat);
    world.network.run_for(Duration::from_secs(10));
    let client = Home::Restricted.build(&mut world, 2);
    let (near, far) = world.connect(client, server, key.public_key());
    super::paths::exchange(&mut world, client, server, near, far);
}

#[test]
fn a_node_that_is_silent_does_not_keep_a_server_from_noticing_that_its_router_has_forgotten_it() {
    let mut world = World::new(13, 8, Link::default());
    let nat = world
        .network
        .add_nat(Router::RESTRICTED, Ipv4Addr::new(10, 9, 1, 1), None);
    let (server, key) = (inside(&mut world, nat, 1), KeyPair::from_seed(&[1; 32]));
    world.listen(server, &key);
    let client = Home::Restricted.build(&mut world, 2);
    let nearest = world
        .network
        .host(server)
        .endpoint
        .dht_node()
        .closest_nodes(&key.public_key().target())[0];
    let nodes = world.nodes.clone();
    let silent = nodes.into_iter().find(|node| world.address(*node) == nearest);
    world.network.set_up(silent.unwrap(), false);
    world.network.restart_nat(nat);
    // One round of pings is due by then, and the silent node is asked for four seconds.
    world.network.run_for(Duration::from_millis(3500));
    world.connect(client, server, key.public_key());
    let report = &world.network.host(client).established[0].report;
    assert!(report.total < Duration::from_secs(3), "{report:?}");
}

#[test]
fn a_server_is_reachable_ten_seconds_after_its_router_is_back() {
    for (seconds, home) in [
        (60, Home::Restricted),
        (180, Home::Restricted),
        (600, Home::Restricted),
        // Not long before what is known of the router would be looked at anyway.
        (165, Home::Random),
    ] {
        let mut world = World::new(10, 8, Link::default());
        let nat = world
            .network
            .add_nat(Router::RESTRICTED, Ipv4Addr::new(10, 9, 1, 1), None);
        let (server, key) = (inside(&mut world, nat, 1), KeyPair::from_seed(&[1; 32]));
        world.listen(server, &key);
        let earlier = Home::Restricted.build(&mut world, 3);
        world.connect(earlier, server, key.public_key());
        world.network.set_up(server, false);
        world.network.run_for(Duration::from_secs(seconds));
        world.network.restart_nat(nat);
        world.network.set_up(server, true);
        world.network.run_for(Duration::from_secs(10));
        let client = home.build(&mut world, 2);
        let attempt = world.dial(client, key.public_key());
        world.wait(client, attempt);
        let failure = world.failure(client, attempt);
        assert_eq!(failure, None, "{home:?} after {seconds} s");
    }
}

#[test]
fn clients_with_random_routers_take_turns_at_a_server() {
    let mut world = World::new(5, 8, Link::default());
    let (server, key) = (
        Home::Restricted.build(&mut world, 1),
        KeyPair::from_seed(&[1; 32]),
    );
    world.listen(server, &key);
    let attempts: Vec<_> = (2..6)
        .map(|number| {
            let client = Home::Random.build(&mut world, number);
            (client, world.dial(client, key.public_key()))
        })
        .collect();
    for (client, attempt) in attempts {
        world.wait(client, attempt);
        let report = world.network.host(client).reports.get(&attempt);
        assert_eq!(report, None);
    }
}

#[test]
fn peers_punch_through_loss() {
    let link = Link {
        delay: Duration::from_millis(10),
        jitter: Duration::from_millis(10),
        loss: 0.05,
        duplication: 0.02,
    };
    for (server, client) in [
        (Home::Restricted, Home::Restricted),
        (Home::Restricted, Home::Random),
        (Home::Random, Home::Restricted),
    ] {
        for seed in 0..20 {
            let mut world = World::new(100 + seed, 12, link);
            let key = KeyPair::from_seed(&[1; 32]);
            let server = server.build(&mut world, 1);
            world.listen(server, &key);
            let client = client.build(&mut world, 2);
            let attempt = world.dial(client, key.public_key());
            world.wait(client, attempt);
            let peer = world.network.host(client);
            assert_eq!(peer.reports.get(&attempt), None, "seed {seed}");
        }
    }
}

#[test]
fn a_server_can_be_punched_to_though_a_node_could_not_tell_it_that_it_is_announced_there() {
    // While the server still asks, and when it has given up.
    for seconds in [0, 10] {
        for (server, client) in [(Home::Restricted, Home::Random), (Home::Random, Home::Restricted)] {
            let mut world = World::new(12, 8, Link::default());
            world.network.lost = Some(says_done);
            let key = KeyPair::from_seed(&[1; 32]);
            let server = server.build(&mut world, 1);
            let listening = world.listen(server, &key);
            world.network.run_for(Duration::from_secs(seconds));
            let endpoint = &world.network.host(server).endpoint;
            assert_eq!(endpoint.is_announced_at(listening, MUTE), seconds == 0);
            let client = client.build(&mut world, 2);
            let attempt = world.dial_with(client, key.public_key(), |dial| {
                dial.nodes = vec![MUTE];
                dial.only_nodes = true;
            });
            world.wait(client, attempt);
            assert_eq!(world.failure(client, attempt), None, "{seconds} s");
        }
    }
}

/// One of the three nodes nearest to the server's key.
const MUTE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 7), 49737);

/// Returns whether it says nothing but that it has done what it was asked.
fn says_done(datagram: &Datagram) -> bool {
    let packet = Packet::decode(&mut Reader::new(&datagram.payload));
    let Ok(Packet::Response(response)) = packet else {
        return false;
    };
    let says_more = response.value.is_some() || response.token.is_some();
    datagram.from == MUTE && !says_more && response.closer.is_empty()
}

#[test]
fn a_server_that_was_idle_for_long_is_punched_to_at_once() {
    let mut world = World::new(8, 8, Link::default());
    let key = KeyPair::from_seed(&[1; 32]);
    let server = Home::Restricted.build(&mut world, 1);
    world.listen(server, &key);
    // Twenty times as long as its router remembers anything.
    world.network.run_for(Duration::from_secs(600));
    let client = Home::Restricted.build(&mut world, 2);
    world.connect(client, server, key.public_key());
    let report = &world.network.host(client).established[0].report;
    assert_eq!((report.strategy, report.probes_sent), (None, 1));
}

#[test]
fn punching_through_one_random_router_takes_half_a_second_more_often_than_not() {
    for (server, client) in [(Home::Restricted, Home::Random), (Home::Random, Home::Restricted)] {
        let mut times: Vec<_> = (0..101)
            .map(|seed| {
                let link = Link {
                    delay: Duration::from_millis(10),
                    ..Link::default()
                };
                let mut world = World::new(200 + seed, 8, link);
                let key = KeyPair::from_seed(&[1; 32]);
                let server = server.build(&mut world, 1);
                world.listen(server, &key);
                let client = client.build(&mut world, 2);
                let attempt = world.dial(client, key.public_key());
                let took = world.wait(client, attempt);
                assert_eq!(world.failure(client, attempt), None, "seed {seed}");
                took
            })
            .collect();
        times.sort_unstable();
        // Four of five punches end within the first 200 probes, 0.5 s and the handshake; the rest of a second
        // brings none.
        let share = |percent: usize| times[times.len() * percent / 100];
        assert!(share(50) < Duration::from_millis(600), "{times:?}");
        assert!(share(70) < Duration::from_millis(1000), "{times:?}");
    }
}

#[test]
fn sockets_are_closed_when_nobody_needs_them() {
    let mut world = World::new(6, 8, Link::default());
    let (server, key) = (Home::Random.build(&mut world, 1), KeyPair::from_seed(&[1; 32]));
    let id = world.listen(server, &key);
    let client = Home::Restricted.build(&mut world, 2);
    let (near, far) = world.connect(client, server, key.public_key());
    let open = |world: &World, host| world.network.host(host).endpoint.extra_sockets();
    // One that new clients find, one that the stream is on.
    assert_eq!((open(&world, server), open(&world, client)), (2, 1));
    world
        .network
        .with(client, |peer, now| peer.endpoint.streams().destroy(now, near));
    world.network.with(server, |peer, now| {
        peer.endpoint.streams().destroy(now, far);
        peer.endpoint.unlisten(now, id);
    });
    world.network.run_for(Duration::from_secs(120));
    assert_eq!((open(&world, server), open(&world, client)), (0, 0));
}

#[test]
fn a_server_that_was_suspended_is_reachable_again_when_resumed() {
    let mut world = World::new(7, 8, Link::default());
    let nat = world
        .network
        .add_nat(Router::RESTRICTED, Ipv4Addr::new(10, 9, 1, 1), None);
    let (server, key) = (inside(&mut world, nat, 1), KeyPair::from_seed(&[1; 32]));
    world.listen(server, &key);
    world.network.with(server, |peer, now| peer.endpoint.suspend(now));
    // Long enough for all ways in to be gone.
    world.network.run_for(Duration::from_secs(300));
    let client = Home::Restricted.build(&mut world, 2);
    let attempt = world.dial(client, key.public_key());
    world.wait(client, attempt);
    assert!(world.failure(client, attempt).is_some());
    let address = world.address(server);
    let other = SocketAddrV4::new(*address.ip(), address.port() + 1000);
    world.network.with(server, |peer, now| {
        peer.endpoint.handle_sockets(now, address, other);
        peer.endpoint.handle_network_change(now);
    });
    world.network.run_for(Duration::from_secs(5));
    let (near, far) = world.connect(client, server, key.public_key());
    super::paths::exchange(&mut world, client, server, near, far);
}

#[test]
fn the_report_tells_what_each_nat_is_judged_by() {
    for home in [Home::Restricted, Home::Random] {
        let mut world = World::new(9, 8, Link::default());
        let key = KeyPair::from_seed(&[1; 32]);
        let server = Home::Random.build(&mut world, 1);
        world.listen(server, &key);
        world.network.run_for(Duration::from_secs(1));
        let client = home.build(&mut world, 2);
        let attempt = world.dial(client, key.public_key());
        world.wait(client, attempt);
        let peer = world.network.host(client);
        let found = peer.find(attempt).map(|established| &established.report);
        let report = found.unwrap_or_else(|| &peer.reports[&attempt]);
        let expected = match home {
            Home::Random => Firewall::Random,
            _ => Firewall::Consistent,
        };
        assert_eq!(report.own_nat, Some(expected));
        let mut seen: Vec<_> = report.own_samples.iter().map(|(_, seen)| *seen).collect();
        assert!(seen.len() >= 3, "{seen:?}");
        assert!(seen.iter().all(|seen| seen.ip().octets() == [10, 9, 2, 1]));
        seen.dedup();
        assert_eq!(seen.len() == 1, home == Home::Restricted, "{seen:?}");
        assert_eq!(report.remote_nat, Some(Firewall::Random));
        assert_eq!(report.remote_addresses, ["10.9.1.1:0".parse().unwrap()]);
    }
}

/// Connects, exchanges a few bytes, and tells how that went.
fn outcome(seed: u64, server: Home, client: Home) -> String {
    let link = Link {
        delay: Duration::from_millis(10),
        ..Link::default()
    };
    let mut world = World::new(seed, 8, link);
    let key = KeyPair::from_seed(&[1; 32]);
    let server = server.build(&mut world, 1);
    world.listen(server, &key);
    // The server has found out what it is behind by the time that clients come.
    world.network.run_for(Duration::from_secs(1));
    let client = client.build(&mut world, 2);
    let attempt = world.dial(client, key.public_key());
    let took = world.wait(client, attempt).as_millis();
    if let Some(failure) = world.failure(client, attempt) {
        let lost = world.network.host(client).reports[&attempt].punch_lost;
        return format!("{failure:?}, {lost:?} after {took} ms");
    }
    let established = world.network.host(client).find(attempt).unwrap();
    let (path, near) = (established.path, established.stream);
    let (strategy, probes) = (established.report.strategy, established.report.probes_sent);
    world.network.run_until(Duration::from_secs(5), |network| {
        !network.host(server).established.is_empty()
    });
    let far = world.network.host(server).established[0].stream;
    super::paths::exchange(&mut world, client, server, near, far);
    match strategy {
        Some(strategy) => format!("{path:?} by {strategy:?}"),
        None => format!("{path:?}, {probes} probes, {took} ms"),
    }
}

impl Home {
    const ALL: [Self; 7] = [
        Self::Open,
        Self::Plain,
        Self::Cone,
        Self::HostRestricted,
        Self::Restricted,
        Self::Random,
        Self::Double,
    ];

    pub(super) fn build(self, world: &mut World, number: u8) -> HostId {
        let router = match self {
            Self::Open => return world.open_peer(),
            Self::Plain => return world.peer(),
            Self::Cone => Router::CONE,
            Self::HostRestricted => Router::HOST_RESTRICTED,
            Self::Restricted | Self::Double => Router::RESTRICTED,
            Self::Random => Router::RANDOM,
        };
        let public = Ipv4Addr::new(10, 9, number, 1);
        let mut nat = world.network.add_nat(router, public, None);
        if self == Self::Double {
            let inside = Ipv4Addr::new(100, 64, number, 1);
            nat = world.network.add_nat(router, inside, Some(nat));
        }
        inside(world, nat, number)
    }
}

/// Adds a peer inside of a router's network.
pub(super) fn inside(world: &mut World, nat: NatId, last: u8) -> HostId {
    let address = SocketAddrV4::new(Ipv4Addr::new(192, 168, last, 2), 5000);
    world.peer_behind(Some(nat), address)
}
