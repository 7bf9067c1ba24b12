//! Our worlds against what the reference put on the wire in the same situation.

use std::collections::BTreeSet;
use std::net::SocketAddrV4;
use std::time::Duration;

use data_encoding::HEXLOWER;
use serde_json::Value;

use super::world::World;
use crate::connect::Firewall;
use crate::connect::secure_payload::SecurePayload;
use crate::keys::KeyPair;
use crate::sim::network::{HostId, Link};
use crate::wire::compact::{Decode, Encode};
use crate::wire::handshake::{HandshakeMessage, HolepunchMessage};
use crate::wire::rpc::{PEER_HANDSHAKE, PEER_HOLEPUNCH, Packet};

const DEFAULT: &str = include_str!("../../../tests/vectors/connect-trace.jsonl");
const OPEN: &str = include_str!("../../../tests/vectors/connect-trace-open.jsonl");
const DIRECT: &str = include_str!("../../../tests/vectors/connect-trace-direct.jsonl");
const PUNCH: &str = include_str!("../../../tests/vectors/connect-trace-punch.jsonl");
const SLOW_PUNCH: &str = include_str!("../../../tests/vectors/connect-trace-slowpunch.jsonl");
const ABORT: &str = include_str!("../../../tests/vectors/connect-trace-abort.jsonl");
const OTHERS: [&str; 5] = [
    PUNCH,
    SLOW_PUNCH,
    ABORT,
    include_str!("../../../tests/vectors/connect-trace-relay.jsonl"),
    include_str!("../../../tests/vectors/connect-trace-upgrade.jsonl"),
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

#[test]
fn both_sides_of_a_punch_say_what_the_reference_says() {
    let mut world = World::new(4, 5, Link::default());
    (world.lan, world.fast_open) = (false, false);
    let (ours, _) = punch(&mut world);
    let theirs = recorded(SLOW_PUNCH);
    assert_eq!(ours.messages, theirs.messages);
    // Who probes first does not matter, and the client stops at the first that comes through.
    assert_eq!(ours.probes, theirs.probes);
    assert_eq!(ours.first_data, theirs.first_data);
}

#[test]
fn a_punch_that_is_open_at_once_goes_as_at_the_reference() {
    let mut world = World::new(5, 5, Link::default());
    world.lan = false;
    let (ours, _) = punch(&mut world);
    let theirs = recorded(PUNCH);
    assert_eq!(ours.messages, theirs.messages);
    assert_eq!(ours.probes, theirs.probes);
    assert_eq!(ours.first_data, theirs.first_data);
}

#[test]
fn over_two_nodes_both_sides_punch_by_what_these_have_seen() {
    // The reference gives up then, as in the trace of its abort: it takes three to judge a NAT.
    let mut world = World::new(6, 2, Link::default());
    (world.lan, world.fast_open) = (false, false);
    let (ours, client) = punch(&mut world);
    let theirs = recorded(SLOW_PUNCH);
    assert_eq!(messages(&ours), messages(&theirs));
    assert_eq!(ours.first_data, theirs.first_data);
    let report = &world.network.host(client).established[0].report;
    assert_eq!(report.own_nat, Some(Firewall::Consistent));
    assert_eq!(report.remote_nat, Some(Firewall::Consistent));
}

/// Returns who sends to whom, without what they say.
fn messages(punch: &Punched) -> Vec<String> {
    let without_words = punch.messages.iter().map(|line| line.split(" {").next());
    without_words
        .map(|hop| hop.unwrap().trim_end().to_owned())
        .collect()
}

/// What two peers have put on the wire to punch.
struct Punched {
    /// Every hop of a holepunch message, with what it says.
    messages: Vec<String>,
    /// Every kind of probe, by sockets and time to live.
    probes: BTreeSet<String>,
    first_data: Option<BTreeSet<String>>,
}

/// Lets two peers that seem to be behind NATs connect.
fn punch(world: &mut World) -> (Punched, HostId) {
    let (server, client) = (world.peer(), world.peer());
    let key = KeyPair::from_seed(&[1; 32]);
    world.listen(server, &key);
    world.network.run_for(Duration::from_secs(1));
    world.network.capture = Some(Vec::new());
    let attempt = world.dial(client, key.public_key());
    world.wait(client, attempt);
    world.network.run_for(Duration::from_millis(500));
    let captured = world.network.capture.take().unwrap();
    let established = world.network.host(client).find(attempt);
    let secure =
        established.map(|established| SecurePayload::new(&established.session.holepunch_secret, [0; 32]));
    let name = |at: SocketAddrV4| {
        for (host, name) in [(client, "client"), (server, "server")] {
            let address = world.address(host);
            if *at.ip() == *address.ip() {
                return match at.port() - address.port().min(at.port()) {
                    0 if at == address => format!("{name}.serverSocket"),
                    1000 => format!("{name}.clientSocket"),
                    _ => format!("{name}.extra"),
                };
            }
        }
        "node.serverSocket".to_owned()
    };
    let sent = captured.iter().map(|sent| {
        let ttl = sent.ttl.map_or(64, u64::from);
        (name(sent.from), name(sent.to), ttl, sent.payload.clone())
    });
    let punched = punched(sent.collect(), |_, payload| {
        let Some(secure) = &secure else {
            return String::new();
        };
        let payload = secure.open(payload).expect("a box of this connection");
        format!(
            "{{error {} firewall {} round {} punching {} addresses {} remote {} token {} remote token {}}}",
            payload.error,
            payload.firewall,
            payload.round,
            payload.punching,
            payload.addresses.map_or(0, |all| all.len()),
            payload.remote_address.is_some(),
            payload.token.is_some(),
            payload.remote_token.is_some()
        )
    });
    (punched, client)
}

/// Reads the same from a recording.
fn recorded(trace: &str) -> Punched {
    let lines: Vec<Value> = trace
        .lines()
        .skip(1)
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let rename = |name: &str| match name.split_once('.') {
        Some((peer, socket)) if socket.starts_with("extra") => format!("{peer}.extra"),
        Some((node, socket)) if node.starts_with("dht") => format!("node.{socket}"),
        _ => name.to_owned(),
    };
    let text = |line: &Value, key: &str| line[key].as_str().unwrap().to_owned();
    let sent = lines.iter().map(|line| {
        (
            rename(&text(line, "from")),
            rename(&text(line, "to")),
            line["ttl"].as_u64().unwrap(),
            HEXLOWER.decode(text(line, "hex").as_bytes()).unwrap(),
        )
    });
    punched(sent.collect(), |index, _| {
        let payload = &lines[index]["value"]["payload"];
        format!(
            "{{error {} firewall {} round {} punching {} addresses {} remote {} token {} remote token {}}}",
            payload["error"],
            payload["firewall"],
            payload["round"],
            payload["punching"],
            payload["addresses"].as_array().map_or(0, Vec::len),
            payload["remoteAddress"].is_object(),
            payload["token"].is_string(),
            payload["remoteToken"].is_string()
        )
    })
}

fn punched(sent: Vec<(String, String, u64, Vec<u8>)>, read: impl Fn(usize, &[u8]) -> String) -> Punched {
    let (mut messages, mut probes) = (Vec::new(), BTreeSet::new());
    let mut asked = BTreeSet::new();
    for (index, (from, to, ttl, bytes)) in sent.iter().enumerate() {
        if bytes.len() < 2 {
            probes.insert(format!("{from} to {to}, ttl {ttl}"));
            continue;
        }
        let value = match Packet::from_bytes(bytes) {
            Ok(Packet::Request(request)) if request.command == PEER_HOLEPUNCH => {
                asked.insert(request.tid);
                request.value
            }
            Ok(Packet::Response(response)) if asked.contains(&response.tid) => response.value,
            _ => None,
        };
        if let Some(value) = value {
            let message = HolepunchMessage::from_bytes(&value).unwrap();
            let words = read(index, &message.payload);
            messages.push(format!("{:?} {from} to {to} {words}", message.mode));
        }
    }
    let named: Vec<Named> = sent
        .into_iter()
        .map(|(from, to, _, bytes)| (from, to, bytes))
        .collect();
    let data = first_data(&named);
    Punched {
        messages,
        probes,
        first_data: data,
    }
}

/// Connects, and holds the hops of the handshake and the first stream packet with data against the
/// reference's.
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
    // We stop as soon as one handshake is through, so we may do less, but nothing else. Only to a neighbour,
    // which the reference pings, we say message 1 again.
    let to_neighbour = |(mode, from, to): &(String, String, String)| {
        let sides = BTreeSet::from([from.as_str(), to.as_str()]);
        let server_sockets = BTreeSet::from(["client.serverSocket", "server.serverSocket"]);
        trace == DEFAULT && sides == server_sockets && (mode == "FromClient" || mode == "Reply")
    };
    let extra = our_hops.difference(&their_hops);
    let extra: Vec<_> = extra.filter(|hop| !to_neighbour(hop)).collect();
    assert!(extra.is_empty(), "{extra:?} are not among {their_hops:?}");
    // The reference's server sends first to an address that a client merely names; ours waits for a packet
    // from there. The way is the same.
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
