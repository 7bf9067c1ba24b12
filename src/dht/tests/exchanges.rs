//! Datagram in, datagrams out, as recorded from the reference.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::dht::token::Tokens;
use crate::dht::{Config, Event, Mode, Node, NodeId, Reply};
use crate::wire::compact::{Decode, Reader};
use crate::wire::rpc::{PING, Packet};
use crate::wire::transmit::SocketId;
use crate::wire::vectors::{addr4, addrs4, fixed, hex, list, load, text};

#[test]
fn answers_as_the_reference_does() {
    let vectors = &load("rpc.json")["exchanges"];
    for group in list(&vectors["groups"]) {
        let now = Instant::now();
        let mut node = prepared(now, &vectors["node"], group["persistent"] == true);
        for step in list(&group["steps"]) {
            let name = format!("{}: {}", text(&group["name"]), text(&step["name"]));
            let socket = socket(&step["socket"]);
            node.handle_datagram(now, socket, addr4(&step["from"]), &hex(&step["in"]));
            let expected = step["out"].as_array().expect("a list");
            if let Some(Event::Incoming(incoming)) = node.poll_event() {
                for out in expected {
                    answer_for_the_layer_above(&mut node, now, &incoming, out);
                }
            }
            // Some answers are put off for a moment.
            node.handle_timeout(now + Duration::from_millis(1));
            let mut sent = Vec::new();
            while let Some(transmit) = node.poll_transmit() {
                sent.push((transmit.socket, transmit.destination, comparable(&transmit.payload)));
            }
            let expect = |out: &Value| {
                (self::socket(&out["socket"]), addr4(&out["to"]), comparable(&hex(&out["hex"])))
            };
            let expected: Vec<_> = expected.iter().map(expect).collect();
            assert_eq!(sent, expected, "{name}");
        }
    }
}

/// Makes the node of the recordings.
fn prepared(now: Instant, vectors: &Value, persistent: bool) -> Node {
    let address = addr4(vectors);
    let config = Config {
        mode: if persistent { Mode::Persistent } else { Mode::Ephemeral },
        firewalled: false,
        public_address: Some(address),
        private_network: true,
        ..Config::default()
    };
    let mut node = Node::new(now, config, [7; 32]);
    let client = "10.0.0.2:60001".parse().expect("an address");
    node.handle_sockets(now, address, client);
    let secrets = [fixed(&vectors["tokenSecret0"]), fixed(&vectors["tokenSecret1"])];
    *node.service().tokens() = Tokens::with_secrets(now, secrets);
    for other in addrs4(&vectors["tableNodes"]) {
        node.learn(now, SocketId::SERVER, other, address, Some(NodeId::of(other)));
    }
    while node.poll_event().is_some() {}
    node
}

/// Does what the layer above decides for handshakes and holepunches, so that the bytes of replies and relays
/// are compared too.
fn answer_for_the_layer_above(node: &mut Node, now: Instant, incoming: &crate::dht::Incoming, out: &Value) {
    match Packet::decode(&mut Reader::new(&hex(&out["hex"]))).expect("a recorded packet") {
        Packet::Request(request) => {
            let value = request.value.expect("a relayed value");
            node.relay(now, incoming, request.to, value, None);
        }
        Packet::Response(response) => {
            let reply = Reply {
                value: response.value,
                closer: !response.closer.is_empty(),
                to: Some(response.to),
                ..Reply::default()
            };
            node.reply(now, incoming, reply);
        }
    }
}

/// Reads a packet and levels what may differ: the order of closer nodes, and the transaction ids of our own
/// requests.
fn comparable(datagram: &[u8]) -> Packet {
    match Packet::decode(&mut Reader::new(datagram)).expect("a packet") {
        Packet::Request(mut request) => {
            if request.internal && request.command == PING {
                request.tid = 0;
            }
            Packet::Request(request)
        }
        Packet::Response(mut response) => {
            response.closer.sort_unstable();
            Packet::Response(response)
        }
    }
}

fn socket(name: &Value) -> SocketId {
    match text(name) {
        "server" => SocketId::SERVER,
        _ => SocketId::CLIENT,
    }
}
