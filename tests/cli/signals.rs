//! Signals that arrive at an awkward moment.

use std::net::{SocketAddr, SocketAddrV4};

use hyperprofile::dht::NodeId;
use hyperprofile::wire::rpc::{FIND_NODE, PING, Packet, Response};
use hyperprofile::wire::{Decode as _, Encode as _};
use tokio::net::UdpSocket;

use crate::harness::{NODE, Person, Running, text};

#[tokio::test]
async fn a_node_that_is_asked_to_end_while_it_announces_ends() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let bootstrap = socket.local_addr().unwrap().to_string();
    let mute = tokio::spawn(answer_the_network_only(socket));
    let keys = Person::new();
    let key = keys.path("relay");
    let arguments = ["--bootstrap", &bootstrap, "--relay", "--relay-key", text(&key)];
    let mut node = Running::start(NODE, &arguments);
    // From here on it looks for nodes to announce its relay at, and finds none: that takes seconds, and no
    // other step waits as long.
    let address: SocketAddrV4 = node.line().await.parse().unwrap();
    assert!(address.ip().is_loopback());
    node.signal("-TERM").await;
    node.end().await.ended(0);
    mute.abort();
}

/// Runs a node that lets others join, and answers nothing else.
async fn answer_the_network_only(socket: UdpSocket) {
    let SocketAddr::V4(own) = socket.local_addr().unwrap() else {
        panic!("not an IPv4 address");
    };
    let mut buffer = [0; 2048];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
        let (Ok(Packet::Request(request)), SocketAddr::V4(to)) =
            (Packet::from_bytes(&buffer[..length]), from)
        else {
            continue;
        };
        if !request.internal || ![PING, FIND_NODE].contains(&request.command) {
            continue;
        }
        let response = Response {
            tid: request.tid,
            to,
            id: Some(NodeId::of(own)),
            token: None,
            closer: Vec::new(),
            error: 0,
            value: None,
        };
        socket.send_to(&response.to_bytes(), to).await.unwrap();
    }
}
