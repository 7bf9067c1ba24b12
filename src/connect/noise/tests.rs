//! The reference's handshakes byte for byte, and hostile messages.

use std::future::ready;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use curve25519_dalek::scalar::Scalar;
use proptest::prelude::*;
use serde_json::Value;

use super::dh::{Shared, check, exchange};
use super::{Initiator, NoiseError, Responder, Secret, Session};
use crate::identity::{Signer, Signing};
use crate::keys::{KeyPair, PublicKey};
use crate::wire::compact::{Decode, DecodeError, Encode};
use crate::wire::handshake::NoisePayload;
use crate::wire::hash;
use crate::wire::vectors::{fixed, hex, list, load, number, text};

/// A signer that has a key pair.
struct Agent(KeyPair);

impl Signer for Agent {
    fn public_key(&self) -> PublicKey {
        *self.0.public_key()
    }

    fn sign(&self, _: [u8; 64]) -> Signing<[u8; 64]> {
        panic!("a handshake signs nothing");
    }

    fn exchange(&self, point: [u8; 32]) -> Signing<[u8; 32]> {
        let shared = exchange(self.0.dh_scalar(), &check(&point).expect("the point was checked before"));
        Box::pin(ready(shared.ok_or_else(|| "the point is the identity".into())))
    }
}

/// A key pair that is kept by an agent.
fn elsewhere(key_pair: &KeyPair) -> Secret {
    Secret::from(Arc::new(Agent(key_pair.clone())))
}

/// Does what waits for signers, and returns how often one was asked.
fn with_answers<T>(
    secret: &mut Secret,
    mut attempt: impl FnMut(&Secret) -> Result<T, NoiseError>,
) -> (T, usize) {
    for asked in 0.. {
        match attempt(secret) {
            Ok(done) => return (done, asked),
            Err(NoiseError::Wants(point)) => answer(secret, point),
            Err(error) => panic!("{error}"),
        }
    }
    unreachable!("the loop has no end");
}

fn answer(secret: &mut Secret, point: [u8; 32]) {
    let signer = secret.identity().secret().expect_err("the key is elsewhere").clone();
    let mut cx = Context::from_waker(Waker::noop());
    match signer.exchange(point).as_mut().poll(&mut cx) {
        Poll::Ready(Ok(shared)) => secret.add(point, shared),
        _ => panic!("the agent answers at once"),
    }
}

#[test]
fn handshakes_with_keys_that_are_kept_elsewhere_are_those_of_the_reference_too() {
    for case in list(&load("noise-ik.json")["cases"]) {
        let name = text(&case["name"]);
        let (mut client, mut server) =
            (elsewhere(&key_pair(&case["client"])), elsewhere(&key_pair(&case["server"])));
        let remote = *server.identity().public_key();
        let seed = || fixed(&case["clientEphemeral"]["seed"]);
        let message1 = payload(&case["message1"]);
        let ((mut initiator, noise1), asked) =
            with_answers(&mut client, |secret| Initiator::start(secret.clone(), &remote, seed(), &message1));
        assert_eq!((noise1, asked), (hex(&case["message1"]["bytes"]), 1), "{name}");
        let noise1 = hex(&case["message1"]["bytes"]);
        let ((responder, _), asked) =
            with_answers(&mut server, |secret| Responder::read(secret.clone(), &noise1));
        assert_eq!(asked, 2);
        let (noise2, at_server) =
            responder.write(fixed(&case["serverEphemeral"]["seed"]), &payload(&case["message2"])).unwrap();
        assert_eq!(noise2, hex(&case["message2"]["bytes"]), "{name}");
        let Err(NoiseError::Wants(point)) = initiator.finish(&noise2) else {
            panic!("the ephemeral key of the server is multiplied");
        };
        answer(initiator.secret_mut(), point);
        // A forged answer in between spoils nothing.
        let mut forged = noise2.clone();
        forged[40] ^= 1;
        assert_eq!(initiator.finish(&forged).err(), Some(NoiseError::Authentication));
        let (_, at_client) = initiator.finish(&noise2).unwrap();
        assert_eq!(*at_client.keys.handshake_hash(), fixed(&case["final"]["handshakeHash"]), "{name}");
        assert_eq!(directions(&at_client).0, directions(&at_server).1);
    }
}

#[test]
fn a_signer_is_not_asked_for_points_that_are_none() {
    let mut server = elsewhere(&KeyPair::from_seed(&[1; 32]));
    let mut message = vec![0; 96];
    message[0] = 1;
    let (client, payload) = (KeyPair::from_seed(&[2; 32]), NoisePayload::default());
    assert_eq!(Responder::read(server.clone(), &message).err(), Some(NoiseError::Point));
    let (_, right) = Initiator::start(&client, server.identity().public_key(), [3; 32], &payload).unwrap();
    let Err(NoiseError::Wants(point)) = Responder::read(server.clone(), &right) else {
        panic!("the ephemeral key of the client is multiplied");
    };
    // A wrong answer fails the handshake and nothing else.
    server.add(point, [7; 32]);
    assert_eq!(Responder::read(server, &right).err(), Some(NoiseError::Authentication));
}

#[test]
fn handshakes_are_those_of_the_reference() {
    for case in list(&load("noise-ik.json")["cases"]) {
        let name = text(&case["name"]);
        assert_eq!(text(&case["protocolName"]).len(), 35);
        assert_eq!(hash::dht_namespace(0), fixed(&case["prologue"]));
        let client = key_pair(&case["client"]);
        let server = key_pair(&case["server"]);

        let (mut initiator, noise1) = Initiator::start(
            &client,
            server.public_key(),
            fixed(&case["clientEphemeral"]["seed"]),
            &payload(&case["message1"]),
        )
        .unwrap();
        assert_eq!(noise1, hex(&case["message1"]["bytes"]), "{name}");

        let (responder, received) = Responder::read(&server, &noise1).unwrap();
        assert_eq!(received.to_bytes(), hex(&case["message1"]["payload"]));
        assert_eq!(responder.remote_public_key(), client.public_key());
        let (noise2, at_server) =
            responder.write(fixed(&case["serverEphemeral"]["seed"]), &payload(&case["message2"])).unwrap();
        assert_eq!(noise2, hex(&case["message2"]["bytes"]), "{name}");

        let (received, at_client) = initiator.finish(&noise2).unwrap();
        assert_eq!(received.to_bytes(), hex(&case["message2"]["payload"]));

        let end = &case["final"];
        for session in [&at_client, &at_server] {
            assert_eq!(*session.keys.handshake_hash(), fixed(&end["handshakeHash"]), "{name}");
            assert_eq!(*session.holepunch_secret, fixed(&end["holepunchSecret"]));
        }
        let clients = fixed(&end["clientTx_serverRx"]);
        let servers = fixed(&end["clientRx_serverTx"]);
        assert_eq!(directions(&at_client), (clients, servers));
        assert_eq!(directions(&at_server), (servers, clients));
        let initiator_id = fixed(&end["initiatorStreamId"]);
        assert_eq!(at_client.keys.stream_id(), initiator_id);
        assert_eq!(at_server.keys.remote_stream_id(), initiator_id);
        assert_eq!(at_server.keys.stream_id(), fixed(&end["responderStreamId"]));
        assert_eq!(at_client.remote_public_key, *server.public_key());
        assert_eq!(at_server.remote_public_key, *client.public_key());
    }
}

#[test]
fn every_exchange_of_a_handshake_is_that_of_the_reference() {
    for case in list(&load("noise-ik.json")["cases"]) {
        let pair = |name: &str| key_pair(&case[name]);
        let [client, server] = [pair("client"), pair("server")];
        let [client_e, server_e] = [pair("clientEphemeral"), pair("serverEphemeral")];
        let es = shared(&client_e, &server);
        assert_eq!(es, shared(&server, &client_e));
        let ss = shared(&client, &server);
        let ee = shared(&server_e, &client_e);
        let se = shared(&server_e, &client);
        let of = |message: &str| -> Vec<[u8; 32]> {
            let steps = list(&case[message]["steps"]);
            let exchanges = steps.iter().filter(|step| step["dh"].is_string());
            exchanges.map(|step| fixed(&step["dh"])).collect()
        };
        assert_eq!(of("message1"), [es, ss]);
        assert_eq!(of("message2"), [ee, se]);
    }
}

#[test]
fn refused_messages_are_those_that_the_reference_refuses() {
    let case = Case::new();
    for error in list(&load("noise-ik.json")["errors"]) {
        let mut noise1 = case.noise1.clone();
        let mut noise2 = case.noise2.clone();
        match text(&error["name"]) {
            "message 1, first byte of e flipped" => {
                // Not every y is one of a point, nor every point one of the subgroup; this one is neither.
                noise1[0] ^= 1;
                assert_eq!(case.read(&noise1), Err(NoiseError::Point));
            }
            "message 1, encrypted static flipped" => {
                noise1[40] ^= 1;
                assert_eq!(case.read(&noise1), Err(NoiseError::Authentication));
            }
            "message 1, payload flipped" => {
                noise1[80] ^= 1;
                assert_eq!(case.read(&noise1), Err(NoiseError::Authentication));
            }
            "message 1, truncated to 95 bytes" => {
                assert_eq!(case.read(&noise1[..95]), Err(NoiseError::Length));
            }
            "message 1, e = all zero" => {
                noise1[..32].fill(0);
                assert_eq!(case.read(&noise1), Err(NoiseError::Point));
            }
            "message 1 to the wrong server" => {
                let other = KeyPair::from_seed(&[9; 32]);
                assert_eq!(Responder::read(&other, &noise1).unwrap_err(), NoiseError::Authentication);
            }
            "message 2 corrupted" => {
                *noise2.last_mut().unwrap() ^= 1;
                assert_eq!(case.initiator().finish(&noise2).unwrap_err(), NoiseError::Authentication);
            }
            "the correct message 2 right after a corrupted one, same state" => {
                // The one difference on purpose: the reference is spoiled by the corrupted one.
                let mut initiator = case.initiator();
                *noise2.last_mut().unwrap() ^= 1;
                assert!(initiator.finish(&noise2).is_err());
                assert!(initiator.finish(&case.noise2).is_ok());
            }
            other => panic!("no such case: {other}"),
        }
    }
}

#[test]
fn shared_points_are_those_of_the_reference() {
    let vectors = load("dh.json");
    let pairs: Vec<_> = list(&vectors["keyPairs"]).iter().map(key_pair).collect();
    for (pair, vector) in pairs.iter().zip(list(&vectors["keyPairs"])) {
        let clamped = Scalar::from_bytes_mod_order(fixed(&vector["scalar"]));
        assert_eq!(*pair.dh_scalar(), clamped);
        assert_eq!(pair.public_key().target(), fixed(&vector["target"]));
    }
    for exchange in list(&vectors["dh"]) {
        let side = |name: &str| &pairs[number(&exchange[name]) as usize];
        let expected = fixed(&exchange["shared"]);
        assert_eq!(shared(side("a"), side("b")), expected);
        assert_eq!(shared(side("b"), side("a")), expected);
    }
    for vector in list(&vectors["explicitScalar"]) {
        let point = check(&fixed(&vector["remotePublicKey"])).unwrap();
        let scalar = explicit(fixed(&vector["scalar"]));
        assert_eq!(exchange(&scalar, &point), Some(fixed(&vector["shared"])));
    }
    let edge = &vectors["explicitScalarEdge"];
    let point = check(pairs[1].public_key().as_bytes()).unwrap();
    let scalar = explicit(fixed(&edge["topBitSet"]["scalar"]));
    assert_eq!(exchange(&scalar, &point), Some(fixed(&edge["topBitSet"]["shared"])));
    // Zero, and the order of the group, which is zero once reduced.
    assert_eq!(exchange(&Scalar::ZERO, &point), None);
}

#[test]
fn refuses_the_points_that_the_reference_refuses() {
    let vectors = load("dh.json");
    let cases = list(&vectors["rejectedPoints"]["cases"]);
    assert_eq!(cases.len(), 16);
    let client = KeyPair::from_seed(&[1; 32]);
    let case = Case::new();
    for refused in cases {
        let name = text(&refused["name"]);
        let point: [u8; 32] = fixed(&refused["point"]);
        assert_eq!(text(&refused["result"]), "rejected");
        assert!(check(&point).is_none(), "{name}");

        let server = PublicKey::from_bytes(point);
        let started = Initiator::start(&client, &server, [3; 32], &NoisePayload::default());
        assert_eq!(started.unwrap_err(), NoiseError::Point, "{name}");
        let mut noise1 = case.noise1.clone();
        noise1[..32].copy_from_slice(&point);
        assert_eq!(case.read(&noise1), Err(NoiseError::Point), "{name}");
        let mut noise2 = case.noise2.clone();
        noise2[..32].copy_from_slice(&point);
        let mut initiator = case.initiator();
        assert_eq!(initiator.finish(&noise2).unwrap_err(), NoiseError::Point);
    }
}

#[test]
fn refuses_every_encoding_of_y_that_is_not_reduced() {
    for low in 0xed..=0xff {
        for sign in [0x7f, 0xff] {
            let mut point = [0xff; 32];
            point[0] = low;
            point[31] = sign;
            assert!(check(&point).is_none());
        }
    }
}

#[test]
fn a_forged_answer_spoils_nothing() {
    let case = Case::new();
    let mut initiator = case.initiator();
    for at in 0..case.noise2.len() {
        let mut forged = case.noise2.clone();
        forged[at] ^= 0x10;
        assert!(initiator.finish(&forged).is_err(), "byte {at}");
        assert!(initiator.finish(&case.noise2[..at]).is_err());
    }
    let (_, session) = initiator.finish(&case.noise2).unwrap();
    assert_eq!(session.keys.handshake_hash(), case.session.keys.handshake_hash());
    assert_eq!(initiator.finish(&case.noise2).unwrap_err(), NoiseError::Finished);
}

#[test]
fn no_prefix_of_a_message_is_accepted() {
    let case = Case::new();
    for length in 0..case.noise1.len() {
        assert!(case.read(&case.noise1[..length]).is_err(), "{length}");
    }
    assert_eq!(case.read(&[0; 70_000]), Err(NoiseError::Length));
}

#[test]
fn an_authentic_message_without_a_payload_is_refused() {
    let client = KeyPair::from_seed(&[1; 32]);
    let server = KeyPair::from_seed(&[2; 32]);
    let noise1 = super::handshake::message_1(&client, server.public_key(), [3; 32], &[]);
    assert_eq!(noise1.len(), 96);
    assert_eq!(Responder::read(&server, &noise1).unwrap_err(), NoiseError::Payload(DecodeError::Truncated));
}

#[test]
fn refuses_to_write_what_noise_cannot_carry() {
    let client = KeyPair::from_seed(&[1; 32]);
    let server = KeyPair::from_seed(&[2; 32]);
    let payload = NoisePayload {
        version: 1,
        addresses4: vec![std::net::SocketAddrV4::new([1, 2, 3, 4].into(), 5); 11_000],
        ..NoisePayload::default()
    };
    let started = Initiator::start(&client, server.public_key(), [3; 32], &payload);
    assert_eq!(started.unwrap_err(), NoiseError::Length);
}

#[test]
fn a_seed_makes_one_ephemeral_key_only() {
    use snow::types::Random;
    let mut shared = Shared::default();
    let mut seed = [0; 32];
    assert!(shared.try_fill_bytes(&mut seed).is_err());
    shared.set_seed([7; 32]);
    assert!(shared.try_fill_bytes(&mut seed).is_ok());
    assert_eq!(seed, [7; 32]);
    assert!(shared.try_fill_bytes(&mut seed).is_err());
}

#[test]
fn debug_shows_no_secret() {
    let case = Case::new();
    let responder = Responder::read(&case.server, &case.noise1).unwrap().0;
    let shown = format!("{:?} {:?} {responder:?}", case.session, case.initiator());
    let secret = &case.session.holepunch_secret;
    assert!(!shown.contains(&format!("{}, {}", secret[0], secret[1])), "{shown}");
    assert!(!shown.contains('['), "{shown}");
}

#[test]
fn handshakes_are_free_to_move_between_threads() {
    fn movable<T: Send + Sync + 'static>() {}
    movable::<Initiator>();
    movable::<Responder>();
    movable::<Session>();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_changed_message_is_never_accepted(
        changes in prop::collection::vec((any::<prop::sample::Index>(), 1_u8..), 1..4),
    ) {
        let case = Case::new();
        let damage = |message: &[u8]| {
            let mut damaged = message.to_vec();
            for (at, change) in &changes {
                damaged[at.index(message.len())] ^= change;
            }
            damaged
        };
        let noise1 = damage(&case.noise1);
        if noise1 != case.noise1 {
            prop_assert!(case.read(&noise1).is_err());
        }
        let noise2 = damage(&case.noise2);
        if noise2 != case.noise2 {
            prop_assert!(case.initiator().finish(&noise2).is_err());
        }
    }

    #[test]
    fn arbitrary_bytes_are_never_accepted(message in prop::collection::vec(any::<u8>(), 0..300)) {
        let case = Case::new();
        prop_assert!(case.read(&message).is_err());
        prop_assert!(case.initiator().finish(&message).is_err());
    }

    #[test]
    fn exchanges_agree_for_any_keys(a in any::<[u8; 32]>(), b in any::<[u8; 32]>()) {
        let (a, b) = (KeyPair::from_seed(&a), KeyPair::from_seed(&b));
        prop_assert_eq!(shared(&a, &b), shared(&b, &a));
    }

    #[test]
    fn the_check_of_points_agrees_with_the_slow_one(bytes in any::<[u8; 32]>()) {
        let slow = curve25519_dalek::edwards::CompressedEdwardsY(bytes)
            .decompress()
            .filter(|point| point.compress().0 == bytes)
            .filter(|point| !point.is_small_order() && point.is_torsion_free());
        prop_assert_eq!(check(&bytes), slow);
        // Random bytes are in the subgroup once in sixteen times at best; eight times a point always is.
        if let Some(point) = curve25519_dalek::edwards::CompressedEdwardsY(bytes).decompress() {
            prop_assert!(check(&point.mul_by_cofactor().compress().0).is_some());
        }
    }
}

/// One finished handshake, to be tampered with.
struct Case {
    client: KeyPair,
    server: KeyPair,
    noise1: Vec<u8>,
    noise2: Vec<u8>,
    session: Session,
}

impl Case {
    fn new() -> Self {
        let client = KeyPair::from_seed(&[0x11; 32]);
        let server = KeyPair::from_seed(&[0x22; 32]);
        let payload = NoisePayload { version: 1, ..NoisePayload::default() };
        let noise1 = start(&client, &server).1;
        let (responder, _) = Responder::read(&server, &noise1).unwrap();
        let (noise2, session) = responder.write([0x44; 32], &payload).unwrap();
        Self { client, server, noise1, noise2, session }
    }

    fn initiator(&self) -> Initiator {
        start(&self.client, &self.server).0
    }

    fn read(&self, noise1: &[u8]) -> Result<NoisePayload, NoiseError> {
        Responder::read(&self.server, noise1).map(|(_, payload)| payload)
    }
}

fn start(client: &KeyPair, server: &KeyPair) -> (Initiator, Vec<u8>) {
    let payload = NoisePayload { version: 1, ..NoisePayload::default() };
    Initiator::start(client, server.public_key(), [0x33; 32], &payload).unwrap()
}

/// The two keys of a session's directions: ours, theirs.
fn directions(session: &Session) -> ([u8; 32], [u8; 32]) {
    session.keys.directions()
}

fn shared(ours: &KeyPair, theirs: &KeyPair) -> [u8; 32] {
    let point = check(theirs.public_key().as_bytes()).unwrap();
    exchange(ours.dh_scalar(), &point).unwrap()
}

/// A scalar that is used as it is, but for its top bit.
fn explicit(mut bytes: [u8; 32]) -> Scalar {
    bytes[31] &= 0x7f;
    Scalar::from_bytes_mod_order(bytes)
}

fn key_pair(value: &Value) -> KeyPair {
    let pair = KeyPair::from_seed(&fixed(&value["seed"]));
    assert_eq!(*pair.public_key().as_bytes(), fixed(&value["publicKey"]));
    pair
}

fn payload(message: &Value) -> NoisePayload {
    NoisePayload::from_bytes(&hex(&message["payload"])).unwrap()
}
