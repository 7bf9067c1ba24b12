//! What becomes of a server's announcements when it or its node is told to do something else.

use super::world::{Home, World};

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
