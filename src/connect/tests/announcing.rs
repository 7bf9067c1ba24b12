//! What becomes of a server's announcements when it or its node is told to do something else.

use super::world::{Home, World};
use crate::connect::{Failure, ServerId};
use crate::sim::network::HostId;

#[test]
fn a_server_of_a_suspended_node_is_suspended_and_closed_at_once() {
    let mut world = World::new(50, 5);
    let server = world.home(Home::Open);
    let id = world.listen(server);
    world.with(server, |peer, now| peer.endpoint.suspend(now));
    assert!(world.with(server, |peer, now| peer.endpoint.suspend_server(now, id)));
    world.run_ms(1);
    assert_eq!(world.host(server).suspended, [id]);
    // And what the node was about to withdraw when it was suspended.
    wake(&mut world, server);
    assert!(world.with(server, |peer, now| peer.endpoint.resume_server(now, id)));
    listens_again(&mut world, server, id);
    world.with(server, |peer, now| {
        peer.endpoint.suspend_server(now, id);
        peer.endpoint.suspend(now);
        peer.endpoint.unlisten(now, id);
    });
    world.run_ms(1);
    assert_eq!(world.host(server).unlistened, [id]);
}

#[test]
fn a_node_that_reaches_no_other_does_not_count_a_server_as_announced() {
    let mut world = World::new(51, 5);
    let server = world.home(Home::Open);
    let id = world.listen(server);
    let announced = |world: &World| world.host(server).listening.len();
    let before = announced(&world);
    world.run_secs(1);
    // Without a network every node of the table is dropped in time.
    world.down(server);
    assert!(world.with(server, |peer, now| peer.endpoint.refresh_server(now, id)));
    world.run_secs(60);
    assert_eq!(announced(&world), before);
    world.up(server);
    listens_again(&mut world, server, id);

    // The search is under way when the node is suspended.
    let before = announced(&world);
    world.with(server, |peer, now| {
        assert!(peer.endpoint.refresh_server(now, id));
        peer.endpoint.suspend(now);
    });
    world.run_secs(10);
    assert_eq!(announced(&world), before);
    wake(&mut world, server);
    listens_again(&mut world, server, id);
}

#[test]
fn a_server_that_is_refreshed_all_the_time_is_announced() {
    let mut world = World::of_towns(52, 8);
    let server = world.home(Home::Open);
    let id = world.start_listening(server);
    for _ in 0..400 {
        world.with(server, |peer, now| peer.endpoint.refresh_server(now, id));
        world.run_ms(5);
        if world.is_listening(server, id) {
            let state = world.with(server, |peer, _| peer.endpoint.server_state(id));
            // Itself, and at least two others.
            assert!(state.relay_addresses.len() > 2, "{state:?}");
        }
    }
    // Each of them is answered.
    assert!(world.host(server).listening.len() > 10);
}

#[test]
fn what_was_announced_before_the_network_changed_is_withdrawn() {
    let mut world = World::of_towns(53, 8);
    let (server, client) = (world.home(Home::Open), world.home(Home::Plain));
    let id = world.start_listening(server);
    let nodes: Vec<_> = world.nodes.iter().map(|node| world.address(*node)).collect();
    let known = |world: &World| {
        let has = |node: &&_| world.is_announced_on(server, id, **node);
        nodes.iter().filter(has).count()
    };
    world.run_until(5, |world| known(world) > 0);
    // The announcements are on their way: the nodes take them, and the server does not hear of it.
    let sent = known(&world);
    world.with(server, |peer, now| peer.endpoint.handle_network_change(now));
    assert_eq!(known(&world), sent);
    world.run_ms(10);
    world.unlisten(server, id);
    world.run_until(10, |world| world.host(server).unlistened.contains(&id));
    let key = super::world::key(1);
    let dialled = world.dial_key(client, &key);
    world.failed(dialled, Failure::NotFound);
}

#[test]
fn a_node_whose_servers_are_all_suspended_keeps_no_socket_to_punch_with() {
    let mut world = World::new(54, 8);
    let server = world.home(Home::Random);
    let id = world.listen(server);
    world.run_secs(1);
    assert_eq!(world.host(server).sockets.len(), 1);
    world.with(server, |peer, now| peer.endpoint.suspend_server(now, id));
    world.run_secs(120);
    assert_eq!(world.host(server).sockets.len(), 0);
    world.with(server, |peer, now| peer.endpoint.resume_server(now, id));
    world.run_secs(10);
    assert_eq!(world.host(server).sockets.len(), 1);
}

/// Ends the suspension of a node.
fn wake(world: &mut World, host: HostId) {
    let (server, client) = (world.address(host), world.client_address(host));
    world.with(host, |peer, now| {
        peer.endpoint.handle_sockets(now, server, client);
        peer.endpoint.handle_wake(now);
    });
}

/// Waits until a server is announced once more, and on all nodes that it is going to be.
fn listens_again(world: &mut World, host: HostId, server: ServerId) {
    let announced = |world: &World| world.host(host).listening.iter().filter(|id| **id == server).count();
    let before = announced(world);
    world.run_until(30, |world| announced(world) > before);
    world.run_secs(1);
}
