//! How long it takes to connect where packets get lost.

use std::time::Duration;

use super::world::{Home, World};
use crate::sim::nat::Router;

/// Lost packets are repeated after a fraction of a second: messages to the peer by way of a node, probes, and
/// the first packets of the stream.
#[test]
fn a_lost_packet_costs_no_second() {
    // Messages to the peer follow the handshake's time, so that three of four attempts are later by less than
    // where that is unknown.
    for (server, client, later) in [
        (Home::Restricted, Home::Restricted, 200),
        (Home::Cone, Home::Restricted, 200),
        (Home::Open, Home::Restricted, 300),
        (Home::Restricted, Home::Open, 300),
    ] {
        let smooth = first_echo(0, server, client, 0.0);
        let times = sorted(|seed| first_echo(seed, server, client, LOSS));
        let [half, most, nearly_all] = [50, 75, 95].map(|share| times[share]);
        let summary = format!("{server:?}/{client:?}: {smooth:?}; {half:?} {most:?} {nearly_all:?}");
        assert!(half < smooth + Duration::from_millis(100), "{summary}");
        assert!(most < smooth + Duration::from_millis(later), "{summary}");
        assert!(nearly_all < smooth + Duration::from_millis(1500), "{summary}");
    }
}

/// Nor does the very first packet of a program, though only one node can answer it.
#[test]
fn a_lost_packet_costs_no_second_when_a_client_has_just_started() {
    let times = sorted(|seed| {
        let mut world = World::of_towns(2000 + seed, 8);
        let server = world.server(Home::Restricted);
        world.run_secs(5);
        world.loses(LOSS);
        let client = world.newcomer(Router::RESTRICTED);
        world.connect(client, server).took
    });
    // Joining alone takes longer in every fifth run.
    let [most, nearly_all] = [85, 95].map(|share| times[share]);
    assert!(most < Duration::from_millis(1000), "{times:?}");
    assert!(nearly_all < Duration::from_millis(1500), "{times:?}");
}

/// A lookup that is quicker than joining knows the bootstrap node alone, and one node shows nothing of a
/// random NAT.
#[test]
fn a_client_that_has_just_started_does_not_judge_its_nat_before_it_knows_the_others() {
    // Worlds in which a lost packet keeps the second node unknown for a while.
    for seed in [24, 33] {
        let mut world = World::of_towns(3000 + seed, 2);
        let server = world.server(Home::Restricted);
        world.run_secs(5);
        world.loses(2.0 * LOSS);
        let client = world.newcomer(Router::RANDOM);
        let dialled = world.dial(client, server);
        world.run_ms(200);
        world.loses(0.0);
        world.connected(dialled);
    }
}

/// Connects and waits for the echo of the first bytes.
fn first_echo(seed: u64, server: Home, client: Home, loss: f64) -> Duration {
    let mut world = World::of_towns(1000 + seed, 8);
    let server = world.server(server);
    let client = world.home(client);
    world.run_secs(5);
    world.loses(loss);
    let dialled = world.dial(client, server);
    let connected = world.connected(dialled);
    world.write(connected.near, b"hello");
    let (mut heard, mut echoed) = (0, 0);
    let echo = world.run_until(60, |world| {
        if let Some(far) = world.other_end(&connected) {
            let had = heard;
            heard += world.read(far).len();
            if had < WHOLE && heard == WHOLE {
                world.write(far, b"hello");
            }
        }
        echoed += world.read(connected.near).len();
        echoed == WHOLE
    });
    connected.took + echo
}

/// Returns the times of all runs, the least first.
fn sorted(run: impl Fn(u64) -> Duration) -> Vec<Duration> {
    let mut times: Vec<_> = (0..100).map(run).collect();
    times.sort_unstable();
    times
}

/// The header frame of the secret stream, and a word.
const WHOLE: usize = 59 + b"hello".len();
/// In each direction, so a third of all messages that go by way of a node and come back.
const LOSS: f64 = 0.1;
