//! Our worlds against what the reference put on the wire in the same situation.

use std::collections::BTreeSet;
use std::net::SocketAddrV4;

use data_encoding::HEXLOWER;
use serde_json::Value;

use super::world::World;
use crate::keys::KeyPair;
use crate::sim::network::{HostId, Link};
use crate::wire::compact::{Decode, Encode};
use crate::wire::handshake::{HandshakeMessage, HolepunchMessage};
use crate::wire::rpc::{PEER_HANDSHAKE, PEER_HOLEPUNCH, Packet};

const DEFAULT: &str = include_str!("../../../tests/vectors/connect-trace.jsonl");
const OPEN: &str = include_str!("../../../tests/vectors/connect-trace-open.jsonl");
const DIRECT: &str = include_str!("../../../tests/vectors/connect-trace-direct.jsonl");
const OTHERS: [&str; 5] = [
    include_str!("../../../tests/vectors/connect-trace-punch.jsonl"),
    include_str!("../../../tests/vectors/connect-trace-slowpunch.jsonl"),
    include_str!("../../../tests/vectors/connect-trace-relay.jsonl"),
    include_str!("../../../tests/vectors/connect-trace-upgrade.jsonl"),
    include_str!("../../../tests/vectors/connect-trace-abort.jsonl"),
];

#[test]
fn every_rpc_datagram_of_the_reference_reads_and_writes_back() {
    let mut count = 0;
    for trace in [DEFAULT, OPEN, DIRECT].into_iter().chain(OTHERS) {
        for (_, _, bytes) in datagrams(trace) {
            if !matches!(bytes.first(), Some(0x03 | 0x13)) {
                continue;
            }
            let packet = Packet::from_bytes(&bytes).unwrap();
            assert_eq!(packet.to_bytes(), bytes);
            count += 1;
            let Packet::Request(request) = packet else {
                continue;
            };
            let value = request.value.as_deref().unwrap_or_default();
            match (request.internal, request.command) {
                (false, PEER_HANDSHAKE) => {
                    let message = HandshakeMessage::from_bytes(value).unwrap();
                    assert_eq!(message.to_bytes(), value);
                }
                (false, PEER_HOLEPUNCH) => {
                    let message = HolepunchMessage::from_bytes(value).unwrap();
                    assert_eq!(message.to_bytes(), value);
                }
                _ => {}
            }
        }
    }
    assert!(count > 150, "{count} datagrams");
}

#[test]
fn two_peers_of_one_host_do_what_the_reference_does() {
    let mut world = World::new(1, 3, Link::default());
    let server = world.peer_at("10.0.2.1:5000".parse().unwrap());
    let client = world.peer_at("10.0.2.1:6500".parse().unwrap());
    compare(&mut world, client, server, DEFAULT);
}

#[test]
fn an_open_client_and_its_server_do_what_the_reference_does() {
    let mut world = World::new(2, 3, Link::default());
    let (server, client) = (world.peer(), world.open_peer());
    compare(&mut world, client, server, OPEN);
}

#[test]
fn a_server_that_is_a_node_does_what_the_reference_does() {
    let mut world = World::new(3, 3, Link::default());
    let (server, client) = (world.nodes[1], world.peer());
    compare(&mut world, client, server, DIRECT);
}

/// Connects, and holds the hops of the handshake and the first stream packet with data against the reference's.
fn compare(world: &mut World, client: HostId, server: HostId, trace: &str) {
    let key = KeyPair::from_seed(&[1; 32]);
    world.listen(server, &key);
    world.network.capture = Some(Vec::new());
    world.connect(client, server, key.public_key());
    let captured = world.network.capture.take().unwrap();
    let name = |at: SocketAddrV4| {
        for (host, name) in [(client, "client"), (server, "server")] {
            let server_socket = world.address(host);
            if at == server_socket {
                return format!("{name}.serverSocket");
            }
            if *at.ip() == *server_socket.ip() && at.port() == server_socket.port() + 1000 {
                return format!("{name}.clientSocket");
            }
        }
        "node.serverSocket".to_owned()
    };
    let ours: Vec<_> = captured
        .into_iter()
        .map(|datagram| (name(datagram.from), name(datagram.to), datagram.payload))
        .collect();
    // In the trace a server on a DHT node is called by that node's name.
    let is_node = trace == DIRECT;
    let theirs: Vec<_> = datagrams(trace)
        .into_iter()
        .map(|(from, to, bytes)| {
            let rename = |name: String| match name.split_once('.') {
                Some(("dht2", socket)) if is_node => format!("server.{socket}"),
                Some((node, socket)) if node.starts_with("dht") => format!("node.{socket}"),
                _ => name,
            };
            (rename(from), rename(to), bytes)
        })
        .collect();

    let (our_hops, their_hops) = (hops(&ours), hops(&theirs));
    assert!(!our_hops.is_empty());
    // We stop as soon as one handshake is through, so we may do less, but nothing else.
    let extra: Vec<_> = our_hops.difference(&their_hops).collect();
    assert!(extra.is_empty(), "{extra:?} are not among {their_hops:?}");
    // The reference's server sends first to an address that a client merely names; ours waits for a packet from there. The way is the same.
    assert_eq!(first_data(&ours), first_data(&theirs));
}

type Named = (String, String, Vec<u8>);

/// Returns every kind of hop that a handshake message took.
fn hops(datagrams: &[Named]) -> BTreeSet<(String, String, String)> {
    let mut hops = BTreeSet::new();
    for (from, to, bytes) in datagrams {
        let value = match Packet::from_bytes(bytes) {
            Ok(Packet::Request(request)) if request.command == PEER_HANDSHAKE => request.value,
            Ok(Packet::Response(response)) => response.value,
            _ => None,
        };

        if let Some(value) = value
            && let Ok(message) = HandshakeMessage::from_bytes(&value)
            && message.encoded_len() == value.len()
            && message.noise.len() >= 48
        {
            hops.insert((format!("{:?}", message.mode), from.clone(), to.clone()));
        }
    }
    hops
}

/// Returns between which two sockets the first stream packet with data went.
fn first_data(datagrams: &[Named]) -> Option<BTreeSet<String>> {
    datagrams
        .iter()
        .find(|(_, _, bytes)| bytes.len() > 20 && bytes[0] == 0xff && bytes[2] & 1 != 0)
        .map(|(from, to, _)| BTreeSet::from([from.clone(), to.clone()]))
}

/// Returns sender, receiver and bytes of each datagram of a trace.
fn datagrams(trace: &str) -> Vec<Named> {
    trace
        .lines()
        .skip(1)
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            let text = |key: &str| line[key].as_str().unwrap().to_owned();
            let bytes = HEXLOWER.decode(text("hex").as_bytes()).unwrap();
            (text("from"), text("to"), bytes)
        })
        .collect()
}
