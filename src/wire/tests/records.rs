use serde_json::Value;

use super::super::compact::{Decode, Encode, Put};
use super::super::hash;
use super::super::records::{
    Announce, AnnounceKind, LookupReply, MutablePut, MutableValue, Peer, PluginRequest, announce_signable,
    mutable_signable,
};
use super::super::rpc::NodeId;
use super::super::vectors::{addrs4, fixed, hex, list, load, number, option, text};
use crate::keys::{KeyPair, PublicKey};

#[test]
fn peers_match_the_reference() {
    each("peer", peer);
}

#[test]
fn announcements_match_the_reference() {
    each("announce", announce);
}

#[test]
fn mutable_records_match_the_reference() {
    each("mutablePutRequest", |value| MutablePut {
        public_key: key(&value["publicKey"]),
        seq: number(&value["seq"]),
        value: hex(&value["value"]),
        signature: fixed(&value["signature"]),
    });
    each("mutableGetResponse", |value| MutableValue {
        seq: number(&value["seq"]),
        value: hex(&value["value"]),
        signature: fixed(&value["signature"]),
    });
}

#[test]
fn plugin_requests_match_the_reference() {
    each("pluginRequest", |value| PluginRequest {
        plugin: text(&value["plugin"]).to_owned(),
        version: number(&value["version"]),
        command: number(&value["command"]),
        value: option(&value["value"], hex),
    });
}

#[test]
fn lookup_replies_match_the_reference_old_and_new() {
    for case in list(&load("rpc.json")["messages"]["lookupRawReply"]) {
        let bytes = hex(&case["hex"]);
        let reply = LookupReply {
            peers: case["decoded"]["peers"].as_array().expect("peers").iter().map(peer).collect(),
            bump: number(&case["decoded"]["bump"]),
        };
        assert_eq!(LookupReply::from_bytes(&bytes).as_ref(), Ok(&reply), "{case}");
        if !text(&case["name"]).starts_with("decode only") {
            assert_eq!(reply.to_bytes(), bytes, "{case}");
        }
    }
}

#[test]
fn announcements_are_signed_as_the_reference_signs_them() {
    for case in list(&load("rpc.json")["announceSignatures"]) {
        let kind = match text(&case["kind"]) {
            "announce" => AnnounceKind::Announce,
            "unannounce" => AnnounceKind::Unannounce,
            other => panic!("{other}"),
        };
        let pair = KeyPair::from_seed(&fixed(&case["seed"]));
        let peer = peer(&case["peer"]);
        let refresh = option(&case["refresh"], fixed);
        let signable = announce_signable(
            kind,
            &fixed(&case["target"]),
            &NodeId(fixed(&case["nodeId"])),
            &fixed(&case["token"]),
            &peer,
            refresh.as_ref(),
        );
        assert_eq!(signable, fixed(&case["signable"]), "{case}");
        let announce = Announce {
            peer: Some(peer),
            refresh,
            signature: Some(pair.sign(&signable)),
            bump: option(&case["bump"], number).unwrap_or(0),
        };
        assert_eq!(announce.to_bytes(), hex(&case["requestValue"]), "{case}");
        assert!(pair.public_key().verify(&signable, &fixed(&case["signature"])));
    }
}

#[test]
fn mutable_values_are_signed_as_the_reference_signs_them() {
    for case in list(&load("rpc.json")["mutable"]) {
        let pair = KeyPair::from_seed(&fixed(&case["seed"]));
        let seq = number(&case["seq"]);
        let value = hex(&case["value"]);
        let signable = mutable_signable(seq, &value);
        assert_eq!(signable, fixed(&case["signable"]), "{case}");
        let put = MutablePut {
            public_key: *pair.public_key(),
            seq,
            value: value.clone(),
            signature: pair.sign(&signable),
        };
        assert_eq!(put.to_bytes(), hex(&case["putRequestValue"]), "{case}");
        let stored = MutableValue { seq, value, signature: put.signature };
        assert_eq!(stored.to_bytes(), hex(&case["getResponseValue"]), "{case}");
        let mut oldest = Vec::new();
        oldest.put_varuint(0);
        assert_eq!(oldest, hex(&case["getRequestValue"]));
    }
}

#[test]
fn immutable_values_lie_under_their_hash() {
    for case in list(&load("rpc.json")["immutable"]) {
        assert_eq!(hash::hash(&[&hex(&case["value"])]), fixed(&case["target"]));
    }
}

#[test]
fn refresh_chains_are_hashes_of_hashes() {
    let chain = &load("rpc.json")["refreshChain"];
    let mut link: [u8; 32] = fixed(&chain["tail"]);
    for block in list(&chain["blocks"]).iter().rev() {
        link = hash::hash(&[&link]);
        assert_eq!(link, fixed(block));
    }
}

/// Holds encoding and decoding of one kind of message against its vectors.
fn each<T: Encode + Decode + PartialEq + std::fmt::Debug>(name: &str, read: impl Fn(&Value) -> T) {
    for case in list(&load("rpc.json")["messages"][name]) {
        let bytes = hex(&case["hex"]);
        assert_eq!(read(&case["fields"]).to_bytes(), bytes, "{case}");
        assert_eq!(T::from_bytes(&bytes).as_ref(), Ok(&read(&case["decoded"])), "{case}");
    }
}

fn key(value: &Value) -> PublicKey {
    PublicKey::from_bytes(fixed(value))
}

fn peer(value: &Value) -> Peer {
    Peer { public_key: key(&value["publicKey"]), relay_addresses: addrs4(&value["relayAddresses"]) }
}

fn announce(value: &Value) -> Announce {
    Announce {
        peer: option(&value["peer"], peer),
        refresh: option(&value["refresh"], fixed),
        signature: option(&value["signature"], fixed),
        bump: number(&value["bump"]),
    }
}
