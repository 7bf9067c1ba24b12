use std::fmt::Debug;
use std::net::{SocketAddrV4, SocketAddrV6};

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::super::address::ConnectAddress;
use super::super::compact::{Decode, Encode, MAX_VARUINT, Reader};
use super::super::handshake::{
    HandshakeMessage, HolepunchInfo, HolepunchMessage, HolepunchPayload, Mode, NoisePayload, RelayInfo,
    RelayThrough, UdxInfo, VERSION,
};
use super::super::records::{Announce, LookupReply, MutablePut, MutableValue, Peer, PluginRequest};
use super::super::relay::{Frame, RelayMessage};
use super::super::rpc::{NodeId, Packet, Request, Response};
use crate::keys::PublicKey;

/// What the front part of a message may decode to.
#[derive(Clone, Copy, PartialEq)]
enum Prefixes {
    /// Nothing: each field is needed.
    Fail,
    /// Older peers leave the last fields out.
    MayDecode,
}

proptest! {
    #[test]
    fn packets_of_the_dht_hold(value in packet()) {
        holds(&value, Prefixes::Fail);
    }

    #[test]
    fn records_hold(
        peer in peer(),
        reply in (vec(peer(), 0..5), int()).prop_map(|(peers, bump)| LookupReply { peers, bump }),
        announce in announce(),
        (seq, content) in (int(), blob()),
        plugin in plugin(),
    ) {
        holds(&peer, Prefixes::Fail);
        holds(&reply, Prefixes::MayDecode);
        holds(&announce, Prefixes::Fail);
        let signature = [7; 64];
        let public_key = peer.public_key;
        holds(&MutablePut { public_key, seq, value: content.clone(), signature }, Prefixes::Fail);
        holds(&MutableValue { seq, value: content, signature }, Prefixes::Fail);
        holds(&plugin, Prefixes::Fail);
    }

    #[test]
    fn messages_of_a_connection_hold(
        (mode, noise, peer_address, relay_address) in (mode(), blob(), of(addr4()), of(addr4())),
        id in int(),
        payload in noise_payload(),
        punch in holepunch_payload(),
        (key, nodes) in (key(), vec(addr4(), 0..5)),
    ) {
        let payload_bytes = noise.clone();
        holds(&HandshakeMessage { mode, noise, peer_address, relay_address }, Prefixes::Fail);
        let message = HolepunchMessage { mode, id, payload: payload_bytes, peer_address };
        holds(&message, Prefixes::Fail);
        holds(&payload, Prefixes::Fail);
        holds(&punch, Prefixes::Fail);
        holds(&ConnectAddress { key, nodes }, Prefixes::MayDecode);
    }

    #[test]
    fn frames_of_a_relay_hold(
        frame in frame(),
        (token, id, seq) in (any::<[u8; 32]>(), any::<u32>(), int()),
    ) {
        let bytes = frame.to_bytes();
        prop_assert_eq!(bytes.len(), frame.encoded_len());
        prop_assert_eq!(Frame::decode_all(&bytes), Ok(vec![frame]));
        for len in 0..bytes.len() {
            let _ = Frame::decode_all(&bytes[..len]);
        }
        for is_initiator in [false, true] {
            let message = RelayMessage::Pair { is_initiator, token, id, seq };
            let Frame::Message { channel: 3, kind, content } = message.to_frame(3) else {
                panic!("relay messages travel on their channel");
            };
            prop_assert_eq!(RelayMessage::decode(kind, &content), Ok(message));
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..400)) {
        settles::<Packet>(&bytes);
        // What follows a valid first byte is reached this way.
        for first in [0x03, 0x13] {
            settles::<Packet>(&[&[first], &bytes[..]].concat());
        }
        settles::<Peer>(&bytes);
        settles::<LookupReply>(&bytes);
        settles::<Announce>(&bytes);
        settles::<MutablePut>(&bytes);
        settles::<MutableValue>(&bytes);
        settles::<PluginRequest>(&bytes);
        settles::<HandshakeMessage>(&bytes);
        settles::<HolepunchMessage>(&bytes);
        settles::<NoisePayload>(&bytes);
        settles::<NoisePayload>(&[&[1], &bytes[..]].concat());
        settles::<HolepunchPayload>(&bytes);
        settles::<ConnectAddress>(&bytes);
        let _ = Frame::decode_all(&bytes);
        let _ = Frame::decode_all(&[&[0, 0], &bytes[..]].concat());
        for kind in 0..3 {
            let _ = RelayMessage::decode(kind, &bytes);
        }
    }

    #[test]
    fn damaged_messages_never_panic(
        (value, payload, punch) in (packet(), noise_payload(), holepunch_payload()),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let damaged = |mut bytes: Vec<u8>| {
            for (index, byte) in &damage {
                let index = index.index(bytes.len());
                bytes[index] = *byte;
            }
            bytes
        };
        settles::<Packet>(&damaged(value.to_bytes()));
        settles::<NoisePayload>(&damaged(payload.to_bytes()));
        settles::<HolepunchPayload>(&damaged(punch.to_bytes()));
    }
}

/// Checks what must be true of every value of every message.
fn holds<T: Encode + Decode + PartialEq + Debug>(value: &T, prefixes: Prefixes) {
    let bytes = value.to_bytes();
    assert_eq!(bytes.len(), value.encoded_len());
    assert!(bytes.len() >= T::MIN_LEN);
    let mut reader = Reader::new(&bytes);
    assert_eq!(T::decode(&mut reader).as_ref(), Ok(value));
    assert!(reader.is_empty());
    let mut extended = bytes.clone();
    extended.extend_from_slice(&[0xff; 9]);
    assert_eq!(T::from_bytes(&extended).as_ref(), Ok(value));
    for len in 0..bytes.len() {
        let decoded = T::from_bytes(&bytes[..len]);
        assert!(
            decoded.is_err() || prefixes == Prefixes::MayDecode,
            "{len} of {} bytes decode to {decoded:?}",
            bytes.len()
        );
    }
}

/// Checks that input either fails or is a value that reads back from its own encoding.
fn settles<T: Encode + Decode + PartialEq + Debug>(bytes: &[u8]) {
    if let Ok(value) = T::from_bytes(bytes) {
        assert_eq!(T::from_bytes(&value.to_bytes()).as_ref(), Ok(&value));
    }
}

/// Integers of all lengths, the edges between them more often than chance would.
fn int() -> impl Strategy<Value = u64> {
    prop_oneof![
        prop::sample::select(vec![0, 252, 253, 0xffff, 0x1_0000, 0xffff_ffff, 0x1_0000_0000]),
        0..=MAX_VARUINT,
        0..300_u64,
    ]
}

fn blob() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..300)
}

fn key() -> impl Strategy<Value = PublicKey> {
    any::<[u8; 32]>().prop_map(PublicKey::from_bytes)
}

fn addr4() -> impl Strategy<Value = SocketAddrV4> + Clone {
    any::<([u8; 4], u16)>().prop_map(|(ip, port)| SocketAddrV4::new(ip.into(), port))
}

fn addr6() -> impl Strategy<Value = SocketAddrV6> {
    any::<([u8; 16], u16)>().prop_map(|(ip, port)| SocketAddrV6::new(ip.into(), port, 0, 0))
}

fn mode() -> impl Strategy<Value = Mode> {
    prop::sample::select(vec![
        Mode::FromClient,
        Mode::FromServer,
        Mode::FromRelay,
        Mode::FromSecondRelay,
        Mode::Reply,
    ])
}

fn packet() -> impl Strategy<Value = Packet> {
    let id = any::<[u8; 32]>().prop_map(NodeId);
    let head = (any::<u16>(), addr4(), of(id), of(any::<[u8; 32]>()));
    let request = (head.clone(), any::<bool>(), int(), of(any::<[u8; 32]>()), of(blob())).prop_map(
        |((tid, to, id, token), internal, command, target, value)| {
            let request = Request { tid, to, id, token, internal, command, target, value };
            Packet::Request(request)
        },
    );
    let response = (head, vec(addr4(), 0..25), int(), of(blob())).prop_map(
        |((tid, to, id, token), closer, error, value)| {
            Packet::Response(Response { tid, to, id, token, closer, error, value })
        },
    );
    prop_oneof![request, response]
}

fn peer() -> impl Strategy<Value = Peer> {
    (key(), vec(addr4(), 0..5)).prop_map(|(public_key, relay_addresses)| Peer { public_key, relay_addresses })
}

fn announce() -> impl Strategy<Value = Announce> {
    (of(peer()), of(any::<[u8; 32]>()), any::<bool>(), int()).prop_map(|(peer, refresh, signed, bump)| {
        Announce { peer, refresh, signature: signed.then_some([9; 64]), bump }
    })
}

fn plugin() -> impl Strategy<Value = PluginRequest> {
    (".{0,20}", int(), int(), of(blob())).prop_map(|(plugin, version, command, value)| PluginRequest {
        plugin,
        version,
        command,
        value,
    })
}

fn noise_payload() -> impl Strategy<Value = NoisePayload> {
    let relay = (addr4(), addr4())
        .prop_map(|(relay_address, peer_address)| RelayInfo { relay_address, peer_address });
    let holepunch = (int(), vec(relay, 0..4)).prop_map(|(id, relays)| HolepunchInfo { id, relays });
    let udx = (int(), any::<bool>(), any::<u32>(), int())
        .prop_map(|(version, reusable_socket, id, seq)| UdxInfo { version, reusable_socket, id, seq });
    let relay_through = (int(), key(), any::<[u8; 32]>())
        .prop_map(|(version, public_key, token)| RelayThrough { version, public_key, token });
    let lists = (vec(addr4(), 0..4), vec(addr6(), 0..4), of(vec(addr4(), 0..4)));
    (int(), int(), of(holepunch), lists, of(udx), of(int()), of(relay_through)).prop_map(
        |(error, firewall, holepunch, lists, udx, secret_stream, relay_through)| NoisePayload {
            version: VERSION,
            error,
            firewall,
            holepunch,
            addresses4: lists.0,
            addresses6: lists.1,
            udx,
            secret_stream,
            relay_through,
            relay_addresses: lists.2,
        },
    )
}

fn holepunch_payload() -> impl Strategy<Value = HolepunchPayload> {
    let numbers = (int(), int(), int(), any::<bool>(), any::<bool>());
    (numbers, of(vec(addr4(), 0..4)), of(addr4()), of(any::<[u8; 32]>()), of(any::<[u8; 32]>())).prop_map(
        |(numbers, addresses, remote_address, token, remote_token)| {
            let (error, firewall, round, connected, punching) = numbers;
            HolepunchPayload {
                error,
                firewall,
                round,
                connected,
                punching,
                addresses,
                remote_address,
                token,
                remote_token,
            }
        },
    )
}

fn frame() -> impl Strategy<Value = Frame> {
    prop_oneof![
        (int(), ".{0,20}", blob(), blob()).prop_map(|(local_id, protocol, id, handshake)| {
            Frame::Open { local_id, protocol, id, handshake }
        }),
        int().prop_map(|local_id| Frame::Reject { local_id }),
        int().prop_map(|local_id| Frame::Close { local_id }),
        (1..=MAX_VARUINT, int(), blob()).prop_map(|(channel, kind, content)| Frame::Message {
            channel,
            kind,
            content
        }),
    ]
}
