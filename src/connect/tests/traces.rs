//! Our worlds against what the reference put on the wire in the same situation.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::net::SocketAddrV4;

use data_encoding::HEXLOWER;
use serde_json::Value;

use super::world::{Home, World, at};
use crate::connect::secure_payload::SecurePayload;
use crate::connect::{Firewall, Report};
use crate::sim::network::HostId;
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
        for Sent { bytes, .. } in datagrams(trace) {
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
    let mut world = World::new(1, 3);
    let server = world.peer_at(at("10.0.2.1:5000"));
    let client = world.peer_at(at("10.0.2.1:6500"));
    compare(&mut world, client, server, DEFAULT);
}

#[test]
fn an_open_client_and_its_server_do_what_the_reference_does() {
    let mut world = World::new(2, 3);
    let (server, client) = (world.home(Home::Plain), world.home(Home::Open));
    compare(&mut world, client, server, OPEN);
}

#[test]
fn a_server_that_is_a_node_does_what_the_reference_does() {
    let mut world = World::new(3, 3);
    let (server, client) = (world.nodes[1], world.home(Home::Plain));
    compare(&mut world, client, server, DIRECT);
}

#[test]
fn both_sides_of_a_punch_say_what_the_reference_says() {
    let mut world = World::new(4, 5);
    (world.lan, world.fast_open) = (false, false);
    let (ours, _) = punch(&mut world);
    assert_eq!(ours, recorded(SLOW_PUNCH));
}

#[test]
fn a_punch_that_is_open_at_once_goes_as_at_the_reference() {
    let mut world = World::new(5, 5);
    world.lan = false;
    let (ours, _) = punch(&mut world);
    assert_eq!(ours, recorded(PUNCH));
}

#[test]
fn over_two_nodes_both_sides_punch_by_what_these_have_seen() {
    // The reference gives up then, as in the trace of its abort: it takes three to judge a NAT.
    let mut world = World::new(6, 2);
    (world.lan, world.fast_open) = (false, false);
    let (ours, report) = punch(&mut world);
    let theirs = recorded(SLOW_PUNCH);
    assert_eq!(messages(&ours), messages(&theirs));
    assert_eq!(ours.first_data, theirs.first_data);
    assert_eq!(report.own_nat, Some(Firewall::Consistent));
    assert_eq!(report.remote_nat, Some(Firewall::Consistent));
}

/// Returns who sends to whom, without the content.
fn messages(punch: &Punched) -> Vec<&str> {
    let lines = punch.messages.iter();
    lines.map(|line| line.split(" {").next().unwrap()).collect()
}

/// What two peers have put on the wire to punch.
#[derive(Debug, PartialEq, Eq)]
struct Punched {
    /// Every hop of a holepunch message, with its content.
    messages: Vec<String>,
    /// Every kind of probe, by sockets and time to live. Which side probes first does not matter, and the
    /// client stops at the first that comes through.
    probes: BTreeSet<String>,
    first_data: Option<BTreeSet<String>>,
}

/// A datagram between sockets that are named as in the recordings.
struct Sent {
    from: String,
    to: String,
    ttl: u64,
    bytes: Vec<u8>,
}

/// Lets two peers that seem to be behind NATs connect.
fn punch(world: &mut World) -> (Punched, Report) {
    let server = world.server(Home::Plain);
    let client = world.home(Home::Plain);
    world.run_secs(1);
    world.capture();
    let dialled = world.dial(client, server);
    let connected = world.connected(dialled);
    world.run_ms(500);
    let sent = sent(world, client, server);
    let established = world.host(client).find(dialled.attempt);
    let session = &established.expect("it is connected").session;
    let secure = SecurePayload::new(&session.holepunch_secret, [0; 32]);
    let punched = punched(&sent, |_, payload| {
        let payload = secure.open(payload).expect("a box of this connection");
        words([
            &payload.error,
            &payload.firewall,
            &payload.round,
            &payload.punching,
            &payload.addresses.map_or(0, |all| all.len()),
            &payload.remote_address.is_some(),
            &payload.token.is_some(),
            &payload.remote_token.is_some(),
        ])
    });
    (punched, connected.report)
}

/// Reads the same from a recording.
fn recorded(trace: &str) -> Punched {
    punched(&datagrams(trace), |index, _| {
        let payload = &lines(trace)[index]["value"]["payload"];
        words([
            &payload["error"],
            &payload["firewall"],
            &payload["round"],
            &payload["punching"],
            &payload["addresses"].as_array().map_or(0, Vec::len),
            &payload["remoteAddress"].is_object(),
            &payload["token"].is_string(),
            &payload["remoteToken"].is_string(),
        ])
    })
}

/// Writes down the content of a holepunch message.
fn words(values: [&dyn Display; 8]) -> String {
    let [error, firewall, round, punching, addresses, remote, token, remote_token] = values;
    format!(
        "{{error {error} firewall {firewall} round {round} punching {punching} addresses {addresses} \
         remote {remote} token {token} remote token {remote_token}}}"
    )
}

fn punched(sent: &[Sent], read: impl Fn(usize, &[u8]) -> String) -> Punched {
    let (mut messages, mut probes) = (Vec::new(), BTreeSet::new());
    let mut asked = BTreeSet::new();
    for (index, datagram) in sent.iter().enumerate() {
        let Sent { from, to, ttl, bytes } = datagram;
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
    Punched { messages, probes, first_data: first_data(sent) }
}

/// Connects, and holds the hops of the handshake and the first stream packet with data against the
/// reference's.
fn compare(world: &mut World, client: HostId, server: HostId, trace: &str) {
    world.listen(server);
    world.capture();
    world.connect(client, server);
    let ours = sent(world, client, server);
    let theirs = datagrams(trace);
    let (our_hops, their_hops) = (hops(&ours), hops(&theirs));
    assert!(!our_hops.is_empty());
    // We stop as soon as one handshake is through, so we may do less, but nothing else. Only to a neighbour,
    // which the reference pings, we send message 1 again.
    let to_neighbour = |(mode, from, to): &(String, String, String)| {
        let sides = BTreeSet::from([from.as_str(), to.as_str()]);
        let server_sockets = BTreeSet::from(["client.serverSocket", "server.serverSocket"]);
        trace == DEFAULT && sides == server_sockets && (mode == "FromClient" || mode == "Reply")
    };
    let extra = our_hops.difference(&their_hops);
    let extra: Vec<_> = extra.filter(|hop| !to_neighbour(hop)).collect();
    assert!(extra.is_empty(), "{extra:?} are not among {their_hops:?}");
    // The reference's server sends first to an address that a client merely names; ours waits for a packet
    // from there. The path is the same.
    assert_eq!(first_data(&ours), first_data(&theirs));
}

/// Returns every kind of hop that a handshake message took.
fn hops(sent: &[Sent]) -> BTreeSet<(String, String, String)> {
    let mut hops = BTreeSet::new();
    for datagram in sent {
        let value = match Packet::from_bytes(&datagram.bytes) {
            Ok(Packet::Request(request)) if request.command == PEER_HANDSHAKE => request.value,
            Ok(Packet::Response(response)) => response.value,
            _ => None,
        };
        if let Some(value) = value
            && let Ok(message) = HandshakeMessage::from_bytes(&value)
            && message.encoded_len() == value.len()
            && message.noise.len() >= 48
        {
            let mode = format!("{:?}", message.mode);
            hops.insert((mode, datagram.from.clone(), datagram.to.clone()));
        }
    }
    hops
}

/// Returns between which two sockets the first stream packet with data went.
fn first_data(sent: &[Sent]) -> Option<BTreeSet<String>> {
    sent.iter()
        .find(|sent| sent.bytes.len() > 20 && sent.bytes[0] == 0xff && sent.bytes[2] & 1 != 0)
        .map(|sent| BTreeSet::from([sent.from.clone(), sent.to.clone()]))
}

/// Returns what the world has captured.
fn sent(world: &mut World, client: HostId, server: HostId) -> Vec<Sent> {
    let captured = world.captured();
    let name = |address: SocketAddrV4| {
        let sides = [(client, "client"), (server, "server")];
        for (host, name) in sides {
            if address == world.address(host) {
                return format!("{name}.serverSocket");
            }
            if address == world.client_address(host) {
                return format!("{name}.clientSocket");
            }
        }
        let same_host = |(host, _): &(HostId, &str)| world.address(*host).ip() == address.ip();
        match sides.into_iter().find(same_host) {
            Some((_, name)) => format!("{name}.extra"),
            None => "node.serverSocket".to_owned(),
        }
    };
    let sent = captured.into_iter().map(|datagram| Sent {
        from: name(datagram.from),
        to: name(datagram.to),
        ttl: datagram.ttl.map_or(64, u64::from),
        bytes: datagram.payload,
    });
    sent.collect()
}

/// Returns the datagrams of a recording.
fn datagrams(trace: &str) -> Vec<Sent> {
    // In that trace the server is on a DHT node and has its name.
    let server = (trace == DIRECT).then_some("dht2");
    let name = |name: &str| match name.split_once('.') {
        Some((peer, socket)) if socket.starts_with("extra") => format!("{peer}.extra"),
        Some((node, socket)) if Some(node) == server => format!("server.{socket}"),
        Some((node, socket)) if node.starts_with("dht") => format!("node.{socket}"),
        _ => name.to_owned(),
    };
    let sent = lines(trace).into_iter().map(|line| {
        let text = |key: &str| line[key].as_str().unwrap();
        Sent {
            from: name(text("from")),
            to: name(text("to")),
            ttl: line["ttl"].as_u64().unwrap(),
            bytes: HEXLOWER.decode(text("hex").as_bytes()).unwrap(),
        }
    });
    sent.collect()
}

fn lines(trace: &str) -> Vec<Value> {
    let lines = trace.lines().skip(1);
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}
