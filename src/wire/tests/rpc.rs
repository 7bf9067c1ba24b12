use serde_json::Value;

use super::super::compact::{Decode, DecodeError, Encode};
use super::super::hash;
use super::super::rpc::{self, NodeId, Packet, Request, Response};
use super::super::vectors::{addr4, addrs4, fixed, hex, list, load, number, option, text};
use crate::keys::KeyPair;

#[test]
fn requests_match_the_reference() {
    for case in list(&load("rpc.json")["requests"]) {
        let bytes = hex(&case["hex"]);
        let packet = Packet::from_bytes(&bytes).expect("a request");
        assert_eq!(packet, Packet::Request(request(&bytes, &case["decoded"])), "{case}");
        assert_eq!(packet.to_bytes(), bytes, "{case}");
    }
}

#[test]
fn odd_requests_are_accepted_and_refused_as_the_reference_does() {
    for case in list(&load("rpc.json")["oddRequests"]) {
        let name = text(&case["name"]);
        if name.starts_with("source port") {
            // Where a datagram comes from is not in it: the node judges that.
            continue;
        }
        let bytes = hex(&case["hex"]);
        let packet = Packet::from_bytes(&bytes).ok();
        let expected = option(&case["decoded"], |decoded| request(&bytes, decoded));
        assert_eq!(packet, expected.map(Packet::Request), "{name}");
    }
}

#[test]
fn responses_match_the_reference() {
    for case in list(&load("rpc.json")["responses"]) {
        let bytes = hex(&case["hex"]);
        let packet = Packet::from_bytes(&bytes).expect("a response");
        let expected = response(&case["decoded"]);
        assert_eq!(packet, Packet::Response(expected), "{case}");
        assert_eq!(packet.to_bytes(), bytes, "{case}");
    }
}

#[test]
fn other_first_bytes_are_not_of_the_dht() {
    for first in (0..=255).filter(|first| ![0x03, 0x13].contains(first)) {
        let mut bytes = [0; 64];
        bytes[0] = first;
        assert_eq!(Packet::from_bytes(&bytes), Err(DecodeError::UnknownKind));
    }
}

#[test]
fn node_ids_match_the_reference() {
    for case in list(&load("rpc.json")["nodeId"]) {
        assert_eq!(NodeId::of(addr4(case)).0, fixed(&case["id"]));
    }
}

#[test]
fn distance_and_common_prefix_agree() {
    let id = NodeId([0; 32]);
    let mut other = [0; 32];
    assert_eq!(id.common_prefix(&other), 256);
    other[31] = 1;
    assert_eq!(id.common_prefix(&other), 255);
    other[2] = 0x10;
    assert_eq!(id.common_prefix(&other), 19);
    assert_eq!(id.distance(&other), other);
    other[0] = 0x80;
    assert_eq!(id.common_prefix(&other), 0);
}

#[test]
fn numbers_match_the_reference() {
    let vectors = load("rpc.json");
    let internal = &vectors["commands"]["internal"];
    for (name, value) in [
        ("PING", rpc::PING),
        ("PING_NAT", rpc::PING_NAT),
        ("FIND_NODE", rpc::FIND_NODE),
        ("DOWN_HINT", rpc::DOWN_HINT),
        ("DELAYED_PING", rpc::DELAYED_PING),
    ] {
        assert_eq!(number(&internal[name]), value, "{name}");
    }
    let commands = &vectors["commands"]["hyperdht"];
    for (name, value) in [
        ("PEER_HANDSHAKE", rpc::PEER_HANDSHAKE),
        ("PEER_HOLEPUNCH", rpc::PEER_HOLEPUNCH),
        ("FIND_PEER", rpc::FIND_PEER),
        ("LOOKUP", rpc::LOOKUP),
        ("ANNOUNCE", rpc::ANNOUNCE),
        ("UNANNOUNCE", rpc::UNANNOUNCE),
        ("MUTABLE_PUT", rpc::MUTABLE_PUT),
        ("MUTABLE_GET", rpc::MUTABLE_GET),
        ("IMMUTABLE_PUT", rpc::IMMUTABLE_PUT),
        ("IMMUTABLE_GET", rpc::IMMUTABLE_GET),
        ("PLUGIN", rpc::PLUGIN),
    ] {
        assert_eq!(number(&commands[name]), value, "{name}");
    }
    let errors = &vectors["errors"];
    for (value, expected) in [
        (rpc::ERROR_UNKNOWN_COMMAND, &errors["rpc"]["UNKNOWN_COMMAND"]),
        (rpc::ERROR_INVALID_TOKEN, &errors["rpc"]["INVALID_TOKEN"]),
        (rpc::ERROR_SEQ_REUSED, &errors["hyperdht"]["SEQ_REUSED"]),
        (rpc::ERROR_SEQ_TOO_LOW, &errors["hyperdht"]["SEQ_TOO_LOW"]),
    ] {
        assert_eq!(number(expected), value);
    }
}

#[test]
fn hashes_namespaces_and_keys_match_the_reference() {
    let vectors = load("rpc.json");
    for case in list(&vectors["blake2b256"]) {
        let input = hex(&case["input"]);
        let digest = option(&case["key"], hex)
            .map_or_else(|| hash::hash(&[&input]), |key| hash::keyed_hash(&key, &[&input]));
        assert_eq!(digest, fixed(&case["digest"]));
    }
    let namespaces = vectors["namespaces"]["values"].as_object().expect("namespaces");
    assert_eq!(namespaces.len(), 6);
    for case in namespaces.values() {
        let command = number(&case["byte"]) as u8;
        assert_eq!(hash::dht_namespace(command), fixed(&case["namespace"]));
    }
    for case in list(&vectors["keyPairs"]) {
        let pair = KeyPair::from_seed(&fixed(&case["seed"]));
        assert_eq!(*pair.public_key().as_bytes(), fixed(&case["publicKey"]));
        assert_eq!(pair.public_key().target(), fixed(&case["peerTarget"]));
    }
    let token = &vectors["token"];
    for case in list(&token["tokens"]) {
        let made = hash::keyed_hash(&hex(&token["secret1"]), &[text(&case["host"]).as_bytes()]);
        assert_eq!(made, fixed(&case["withSecret1"]));
    }
}

/// Reads a decoded request. The reference reports an id only if it belongs to the source, so the raw one is
/// used.
fn request(bytes: &[u8], decoded: &Value) -> Request {
    let claimed = (bytes[1] < 0xfd && bytes[1] & 1 != 0).then(|| bytes[10..42].try_into().expect("an id"));
    if let Some(verified) = option(&decoded["from"]["id"], fixed) {
        assert_eq!(claimed, Some(verified));
        assert_eq!(NodeId::of(addr4(&decoded["from"])).0, verified);
    }
    Request {
        tid: number(&decoded["tid"]) as u16,
        to: addr4(&decoded["to"]),
        id: claimed.map(NodeId),
        token: option(&decoded["token"], fixed),
        internal: decoded["internal"].as_bool().expect("a flag"),
        command: number(&decoded["command"]),
        target: option(&decoded["target"], fixed),
        value: option(&decoded["value"], hex),
    }
}

fn response(decoded: &Value) -> Response {
    Response {
        tid: number(&decoded["tid"]) as u16,
        to: addr4(&decoded["to"]),
        id: option(&decoded["from"]["id"], fixed).map(NodeId),
        token: option(&decoded["token"], fixed),
        closer: option(&decoded["closerNodes"], addrs4).unwrap_or_default(),
        error: number(&decoded["error"]),
        value: option(&decoded["value"], hex),
    }
}
