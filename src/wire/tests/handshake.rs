use serde_json::Value;

use super::super::compact::{Decode, DecodeError, Encode};
use super::super::handshake::{
    self, HandshakeMessage, HolepunchInfo, HolepunchMessage, HolepunchPayload, Mode, NoisePayload, RelayInfo,
    RelayThrough, UdxInfo, VERSION,
};
use super::super::vectors::{addr4, addr6, addrs4, fixed, hex, list, load, number, option};
use crate::keys::PublicKey;

#[test]
fn noise_payloads_match_the_reference() {
    let vectors = load("noise-payload.json");
    for case in list(&vectors["noisePayload"]) {
        golden(&hex(&case["bytes"]), &payload(&case["decoded"]), case);
    }
    for case in list(&load("rpc.json")["messages"]["noisePayload"]) {
        golden(&hex(&case["hex"]), &payload(&case["decoded"]), case);
    }
}

#[test]
fn odd_noise_payloads_decode_as_in_the_reference() {
    for case in list(&load("noise-payload.json")["noisePayloadDecode"]) {
        let decoded = NoisePayload::from_bytes(&hex(&case["bytes"]));
        assert_eq!(decoded.ok(), option(&case["decoded"], payload), "{case}");
    }
}

#[test]
fn a_payload_of_another_version_is_its_version_and_nothing_else() {
    let other = NoisePayload { version: 2, ..NoisePayload::default() };
    assert_eq!(other.to_bytes(), [2]);
    assert_eq!(NoisePayload::from_bytes(&[2, 0xff, 0xff]), Ok(other));
}

#[test]
fn a_stream_id_beyond_32_bits_is_refused() {
    let bytes = [1, 0x08, 0, 0, 1, 0, 0xff, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    assert_eq!(NoisePayload::from_bytes(&bytes), Err(DecodeError::IntegerTooLarge));
}

#[test]
fn handshake_messages_match_the_reference() {
    let vectors = load("noise-payload.json");
    for case in list(&vectors["peerHandshakeValue"]) {
        golden(&hex(&case["bytes"]), &handshake_message(&case["decoded"]), case);
    }
    for case in list(&load("rpc.json")["messages"]["handshake"]) {
        golden(&hex(&case["hex"]), &handshake_message(&case["decoded"]), case);
    }
    for case in list(&vectors["peerHandshakeDecode"]) {
        let decoded = HandshakeMessage::from_bytes(&hex(&case["bytes"]));
        if case["decoded"]["mode"] == 9 {
            // The reference decodes it and then drops it in its router.
            assert_eq!(decoded, Err(DecodeError::UnknownMode));
        } else {
            assert_eq!(decoded.ok(), option(&case["decoded"], handshake_message), "{case}");
        }
    }
}

#[test]
fn holepunch_messages_match_the_reference() {
    for case in list(&load("noise-payload.json")["peerHolepunchValue"]) {
        golden(&hex(&case["bytes"]), &holepunch_message(&case["decoded"]), case);
    }
    for case in list(&load("rpc.json")["messages"]["holepunch"]) {
        golden(&hex(&case["hex"]), &holepunch_message(&case["decoded"]), case);
    }
}

#[test]
fn holepunch_payloads_match_the_reference() {
    for case in list(&load("holepunch-payload.json")["payloads"]) {
        golden(&hex(&case["bytes"]), &holepunch_payload(&case["decoded"]), case);
    }
    for case in list(&load("rpc.json")["messages"]["holepunchPayload"]) {
        golden(&hex(&case["hex"]), &holepunch_payload(&case["decoded"]), case);
    }
}

#[test]
fn numbers_match_the_reference() {
    let vectors = load("rpc.json");
    let firewall = &vectors["firewall"];
    assert_eq!(number(&firewall["UNKNOWN"]), handshake::FIREWALL_UNKNOWN);
    assert_eq!(number(&firewall["OPEN"]), handshake::FIREWALL_OPEN);
    assert_eq!(number(&firewall["CONSISTENT"]), handshake::FIREWALL_CONSISTENT);
    assert_eq!(number(&firewall["RANDOM"]), handshake::FIREWALL_RANDOM);
    let errors = &vectors["errors"]["hyperdht"];
    assert_eq!(number(&errors["NONE"]), handshake::ERROR_NONE);
    assert_eq!(number(&errors["ABORTED"]), handshake::ERROR_ABORTED);
    assert_eq!(number(&errors["VERSION_MISMATCH"]), handshake::ERROR_VERSION_MISMATCH);
    assert_eq!(number(&errors["TRY_LATER"]), handshake::ERROR_TRY_LATER);
}

fn golden<T: Encode + Decode + PartialEq + std::fmt::Debug>(bytes: &[u8], value: &T, case: &Value) {
    assert_eq!(T::from_bytes(bytes).as_ref(), Ok(value), "{case}");
    let decode_only = case["name"].as_str().is_some_and(|name| name.starts_with("decode only"));
    if !decode_only {
        assert_eq!(value.to_bytes(), bytes, "{case}");
    }
}

fn mode(value: &Value) -> Mode {
    match number(value) {
        0 => Mode::FromClient,
        1 => Mode::FromServer,
        2 => Mode::FromRelay,
        3 => Mode::FromSecondRelay,
        4 => Mode::Reply,
        other => panic!("mode {other}"),
    }
}

fn handshake_message(value: &Value) -> HandshakeMessage {
    HandshakeMessage {
        mode: mode(&value["mode"]),
        noise: hex(&value["noise"]),
        peer_address: option(&value["peerAddress"], addr4),
        relay_address: option(&value["relayAddress"], addr4),
    }
}

fn holepunch_message(value: &Value) -> HolepunchMessage {
    HolepunchMessage {
        mode: mode(&value["mode"]),
        id: number(&value["id"]),
        payload: hex(&value["payload"]),
        peer_address: option(&value["peerAddress"], addr4),
    }
}

fn payload(value: &Value) -> NoisePayload {
    let elements = |value: &Value| value.as_array().expect("a list").clone();
    NoisePayload {
        version: option(&value["version"], number).unwrap_or(VERSION),
        error: number(&value["error"]),
        firewall: number(&value["firewall"]),
        holepunch: option(&value["holepunch"], |info| HolepunchInfo {
            id: number(&info["id"]),
            relays: elements(&info["relays"])
                .iter()
                .map(|relay| RelayInfo {
                    relay_address: addr4(&relay["relayAddress"]),
                    peer_address: addr4(&relay["peerAddress"]),
                })
                .collect(),
        }),
        addresses4: addrs4(&value["addresses4"]),
        addresses6: elements(&value["addresses6"]).iter().map(addr6).collect(),
        udx: option(&value["udx"], |udx| UdxInfo {
            version: number(&udx["version"]),
            reusable_socket: udx["reusableSocket"].as_bool().expect("a flag"),
            id: number(&udx["id"]) as u32,
            seq: number(&udx["seq"]),
        }),
        secret_stream: option(&value["secretStream"], |info| number(&info["version"])),
        relay_through: option(&value["relayThrough"], |info| RelayThrough {
            version: number(&info["version"]),
            public_key: PublicKey::from_bytes(fixed(&info["publicKey"])),
            token: fixed(&info["token"]),
        }),
        relay_addresses: option(&value["relayAddresses"], addrs4),
    }
}

fn holepunch_payload(value: &Value) -> HolepunchPayload {
    HolepunchPayload {
        error: number(&value["error"]),
        firewall: number(&value["firewall"]),
        round: number(&value["round"]),
        connected: value["connected"].as_bool().expect("a flag"),
        punching: value["punching"].as_bool().expect("a flag"),
        addresses: option(&value["addresses"], addrs4),
        remote_address: option(&value["remoteAddress"], addr4),
        token: option(&value["token"], fixed),
        remote_token: option(&value["remoteToken"], fixed),
    }
}
