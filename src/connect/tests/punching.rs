//! Peers behind routers of every kind.

use std::fmt::Write as _;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use super::world::{Home, LOSSY, World, at, key, server_key};
use crate::connect::{Failure, Firewall, Lost, Path};
use crate::sim::nat::{NatId, Router};
use crate::sim::network::{Datagram, HostId};
use crate::wire::compact::{Decode, Reader};
use crate::wire::rpc::Packet;

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
            let outcome = outcome(server, client);
            writeln!(table, "{server:?}/{client:?}: {outcome}").unwrap();
        }
    }
    assert_eq!(table.trim(), OUTCOMES.trim(), "\n{table}");
}

#[test]
fn a_server_decides_on_a_punch_by_the_nats_and_addresses_of_both_sides() {
    let decides: [fn() -> bool; 3] = [|| true, || false, || panic!("a bug of the user's")];
    // With the second client a single probe of the server would open the path.
    for (home, nat) in [(Home::Random, Firewall::Random), (Home::Restricted, Firewall::Consistent)] {
        for (case, decides) in decides.into_iter().enumerate() {
            let mut world = World::of_towns(1, 8);
            let (server, client) = (world.home(Home::Restricted), world.home(home));
            let (asked, requests) = mpsc::channel();
            world.listen_with(server, |listen| {
                listen.allow_punch = Some(Arc::new(move |punch| {
                    asked.send(punch).unwrap();
                    let decided = decides();
                    Box::pin(async move { decided })
                }));
            });
            world.run_secs(1);
            let dialled = world.dial(client, server);
            if case == 0 {
                let connected = world.connected(dialled).on(Path::Direct);
                world.both_speak(&connected);
            } else {
                world.failed(dialled, Failure::NoPath);
                assert!(world.host(server).established.is_empty());
            }
            let punch = requests.try_recv().unwrap();
            assert!(requests.try_recv().is_err(), "asked once for a client");
            assert_eq!((punch.own_nat, punch.client_nat), (Firewall::Consistent, nat));
            let without_port = punch.client_addresses.iter().all(|address| address.port() == 0);
            assert_eq!(without_port, nat == Firewall::Random, "{punch:?}");
            assert!(!punch.own_addresses.is_empty() && !punch.client_addresses.is_empty(), "{punch:?}");
            assert_eq!(punch.claimed_key, *key(99).public_key());
        }
    }
}

/// Connects, exchanges a few bytes, and says how that went.
fn outcome(server: Home, client: Home) -> String {
    let mut world = World::of_towns(1, 8);
    let server = world.server(server);
    // The server has found out what it is behind by the time that clients come.
    world.run_secs(1);
    let client = world.home(client);
    let dialled = world.dial(client, server);
    let took = world.wait(dialled).as_millis();
    if let Some(failure) = world.failure(dialled) {
        let lost = world.report(dialled).punch_lost;
        return format!("{failure:?}, {lost:?} after {took} ms");
    }
    let connected = world.connected(dialled);
    world.accepts_within(5, server);
    world.both_speak(&connected);
    let (path, probes) = (connected.path, connected.report.probes_sent);
    match connected.report.strategy {
        Some(strategy) => format!("{path:?} by {strategy:?}"),
        None => format!("{path:?}, {probes} probes, {took} ms"),
    }
}

#[test]
fn a_node_that_listens_finds_out_what_it_is_behind() {
    for (home, before, after) in [
        (Home::Open, Firewall::Open, Firewall::Open),
        (Home::Restricted, Firewall::Unknown, Firewall::Consistent),
        (Home::Random, Firewall::Unknown, Firewall::Random),
    ] {
        let mut world = World::of_towns(4, 8);
        let peer = world.home(home);
        assert_eq!(world.host(peer).endpoint.firewall(), before, "{home:?}");
        world.listen(peer);
        world.run_secs(1);
        assert_eq!(world.host(peer).endpoint.firewall(), after, "{home:?}");
    }
}

#[test]
fn two_peers_of_one_home_meet_inside_it() {
    for hairpin in [false, true] {
        let mut world = World::new(2, 8);
        let nat = world.router(Router { hairpin, ..Router::RESTRICTED });
        let server = world.inside(nat, 2);
        world.listen(server);
        let client = world.inside(nat, 3);
        let connected = world.connect(client, server).on(Path::Lan);
        world.both_speak(&connected);
    }
}

#[test]
fn a_dead_local_address_does_not_end_an_attempt_that_can_punch() {
    let mut world = World::new(3, 8);
    // Both are behind one provider, whose router lets them reach each other, each in a home of its own with
    // the same local addresses.
    let provider = world.router(Router { hairpin: true, ..Router::RESTRICTED });
    let (server, client) = (home_at(&mut world, provider, 8), home_at(&mut world, provider, 9));
    world.listen(server);
    let connected = world.connect(client, server).on(Path::Direct);
    world.both_speak(&connected);
}

#[test]
fn homes_behind_one_provider_are_not_taken_for_one_home() {
    let mut world = World::new(9, 8);
    let provider = world.router(Router::RESTRICTED);
    // The routers of both homes give out the same addresses, and both nodes have the same port.
    let (server, client) = (home_at(&mut world, provider, 7), home_at(&mut world, provider, 7));
    world.listen(server);
    let dialled = world.dial(client, server);
    let took = world.wait(dialled);
    let report = world.failed(dialled, Failure::NoPath);
    assert_eq!(report.punch_lost, Some(Lost::NoProbe));
    assert!(took < Duration::from_secs(15), "{took:?}");
}

/// Adds a home within a provider's network, and a peer in it.
fn home_at(world: &mut World, provider: NatId, number: u8) -> HostId {
    let nat = world.router_within(provider, Router::RESTRICTED);
    world.inside(nat, number)
}

#[test]
fn a_server_whose_router_forgets_it_is_reachable_again_in_ten_seconds() {
    let mut world = World::new(4, 8);
    let (nat, server) = restricted_server(&mut world);
    world.run_secs(30);
    world.restart_router(nat);
    world.run_secs(10);
    let client = world.home(Home::Restricted);
    let connected = world.connect(client, server);
    world.both_speak(&connected);
}

#[test]
fn a_node_that_is_silent_does_not_keep_a_server_from_noticing_that_its_router_has_forgotten_it() {
    let mut world = World::new(13, 8);
    let (nat, server) = restricted_server(&mut world);
    let client = world.home(Home::Restricted);
    let target = server_key().public_key().target();
    let nearest = world.with(server, |peer, _| peer.endpoint.node().closest_nodes(&target)[0]);
    let mut nodes = world.nodes.clone().into_iter();
    let silent = nodes.find(|node| world.address(*node) == nearest);
    world.down(silent.unwrap());
    world.restart_router(nat);
    // One round of pings is due by then, and the silent node is asked for four seconds.
    world.run_ms(3500);
    world.connect(client, server).within_ms(3000);
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
        let mut world = World::new(10, 8);
        let (nat, server) = restricted_server(&mut world);
        let earlier = world.home(Home::Restricted);
        world.connect(earlier, server);
        world.down(server);
        world.run_secs(seconds);
        world.restart_router(nat);
        world.up(server);
        world.run_secs(10);
        let client = world.home(home);
        world.connect(client, server);
    }
}

/// Adds a server in a home, and returns the home's router as well.
fn restricted_server(world: &mut World) -> (NatId, HostId) {
    let nat = world.router(Router::RESTRICTED);
    let server = world.inside(nat, 1);
    world.listen(server);
    (nat, server)
}

#[test]
fn clients_with_random_routers_take_turns_at_a_server() {
    let mut world = World::new(5, 8);
    let server = world.server(Home::Restricted);
    let attempts: Vec<_> = (0..4)
        .map(|_| {
            let client = world.home(Home::Random);
            world.dial(client, server)
        })
        .collect();
    for dialled in attempts {
        world.connected(dialled);
    }
}

#[test]
fn peers_punch_through_loss() {
    for (server, client) in [
        (Home::Restricted, Home::Restricted),
        (Home::Restricted, Home::Random),
        (Home::Random, Home::Restricted),
    ] {
        for seed in 0..20 {
            let mut world = World::over(100 + seed, 12, LOSSY);
            let server = world.server(server);
            let client = world.home(client);
            world.connect(client, server);
        }
    }
}

#[test]
fn a_server_can_be_punched_to_though_a_node_could_not_tell_it_that_it_is_announced_there() {
    // One of the three nodes nearest to the server's key.
    let mute = at(MUTE);
    // While the server still asks, and when it has given up.
    for seconds in [0, 10] {
        for (server, client) in [(Home::Restricted, Home::Random), (Home::Random, Home::Restricted)] {
            let mut world = World::new(12, 8);
            world.drops(confirms_only);
            let server = world.home(server);
            let listening = world.listen(server);
            world.run_secs(seconds);
            assert_eq!(world.is_announced_on(server, listening, mute), seconds == 0);
            let client = world.home(client);
            let dialled = world.dial_with(client, server, |dial| {
                dial.nodes = vec![mute];
                dial.only_nodes = true;
            });
            world.connected(dialled);
        }
    }
}

const MUTE: &str = "10.0.0.7:49737";

/// Returns whether it is a response of the mute node that confirms a request and has no content.
fn confirms_only(datagram: &Datagram) -> bool {
    let packet = Packet::decode(&mut Reader::new(&datagram.payload));
    let Ok(Packet::Response(response)) = packet else {
        return false;
    };
    let has_content = response.value.is_some() || response.token.is_some() || !response.closer.is_empty();
    datagram.from == at(MUTE) && !has_content
}

#[test]
fn a_server_that_was_idle_for_long_is_punched_to_at_once() {
    let mut world = World::new(8, 8);
    let server = world.server(Home::Restricted);
    // Twenty times as long as its router remembers anything.
    world.run_secs(600);
    let client = world.home(Home::Restricted);
    let report = world.connect(client, server).report;
    assert_eq!((report.strategy, report.probes_sent), (None, 1));
}

#[test]
fn punching_through_one_random_router_takes_half_a_second_more_often_than_not() {
    for (server, client) in [(Home::Restricted, Home::Random), (Home::Random, Home::Restricted)] {
        let mut times: Vec<_> = (0..101)
            .map(|seed| {
                let mut world = World::of_towns(200 + seed, 8);
                let server = world.server(server);
                let client = world.home(client);
                world.connect(client, server).took
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
fn sockets_are_closed_when_no_stream_needs_them() {
    let mut world = World::new(6, 8);
    let server = world.home(Home::Random);
    let id = world.listen(server);
    let client = world.home(Home::Restricted);
    let connected = world.connect(client, server);
    let open = |world: &World, host| world.host(host).sockets.len();
    // One that new clients find, one that the stream is on.
    assert_eq!((open(&world, server), open(&world, client)), (2, 1));
    let far = world.far_end(&connected);
    world.destroy(connected.near);
    world.destroy(far);
    world.unlisten(server, id);
    world.run_secs(120);
    assert_eq!((open(&world, server), open(&world, client)), (0, 0));
}

#[test]
fn a_server_that_was_suspended_is_reachable_again_when_resumed() {
    let mut world = World::new(7, 8);
    let server = world.server(Home::Restricted);
    world.with(server, |peer, now| peer.endpoint.suspend(now));
    // Long enough for every mapping to be gone.
    world.run_secs(300);
    let client = world.home(Home::Restricted);
    let dialled = world.dial(client, server);
    world.wait(dialled);
    assert!(world.failure(dialled).is_some());
    let sockets = (world.address(server), world.client_address(server));
    world.with(server, |peer, now| {
        peer.endpoint.handle_sockets(now, sockets.0, sockets.1);
        peer.endpoint.handle_network_change(now);
    });
    world.run_secs(5);
    let connected = world.connect(client, server);
    world.both_speak(&connected);
}

/// The nodes have forgotten the server and its router has dropped every mapping, while no time has passed for
/// the server.
#[test]
fn a_server_whose_host_was_asleep_is_reachable_again_in_ten_seconds() {
    for is_noticed in [false, true] {
        let mut world = World::new(7, 8);
        let server = world.server(Home::Restricted);
        let client = world.home(Home::Restricted);
        world.sleep(server);
        world.run_secs(45 * 60);
        let dialled = world.dial(client, server);
        world.failed(dialled, Failure::NotFound);
        world.end_sleep(server);
        if is_noticed {
            world.with(server, |peer, now| peer.endpoint.handle_wake(now));
        }
        world.run_secs(10);
        let connected = world.connect(client, server);
        world.both_speak(&connected);
    }
}

#[test]
fn the_report_tells_what_each_nat_is_judged_by() {
    for (home, judged) in [(Home::Restricted, Firewall::Consistent), (Home::Random, Firewall::Random)] {
        let mut world = World::new(9, 8);
        let server = world.server(Home::Random);
        world.run_secs(1);
        let client = world.home(home);
        let dialled = world.dial(client, server);
        world.wait(dialled);
        let report = world.report(dialled);
        assert_eq!(report.own_nat, Some(judged));
        let mut seen: Vec<_> = report.own_samples.iter().map(|(_, seen)| *seen).collect();
        assert!(seen.len() >= 3, "{seen:?}");
        assert!(seen.iter().all(|seen| seen.ip().octets() == [10, 9, 2, 1]));
        seen.dedup();
        assert_eq!(seen.len() == 1, home == Home::Restricted, "{seen:?}");
        assert_eq!(report.remote_nat, Some(Firewall::Random));
        assert_eq!(report.remote_addresses, [at("10.9.1.1:0")]);
    }
}
