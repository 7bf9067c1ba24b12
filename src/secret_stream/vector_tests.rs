//! The reference's own bytes: `tests/vectors/secretstream.json`.

use serde_json::Value;

use super::cipher::Cipher;
use super::*;
use crate::wire::hash;
use crate::wire::vectors::{fixed, hex, list, load, number, text};

#[test]
fn the_cipher_makes_the_bytes_and_states_of_libsodium() {
    let vectors = vectors();
    let construction = &vectors["construction"];
    for chain in ["plain", "explicitRekeyTag", "counterWrap"] {
        let mut push = Cipher::new(&fixed(&construction["key"]), &fixed(&construction["header"]));
        let mut pull = Cipher::new(&fixed(&construction["key"]), &fixed(&construction["header"]));
        let chain = &construction[chain];
        let start = counter(&chain["initialState"]["counter"]);
        push.set_counter(start);
        pull.set_counter(start);
        assert_eq!(push.state(), state(&chain["initialState"]));

        for message in list(&chain["messages"]) {
            let message_bytes = plaintext(&message["plaintext"]);
            let tag = u8::try_from(number(&message["tag"])).unwrap();
            let mut sealed = Vec::new();
            push.seal(tag, &message_bytes, &mut sealed);
            assert_eq!(sealed.len() as u64, number(&message["length"]));
            match message["ciphertext"].as_str() {
                Some(_) => assert_eq!(sealed, hex(&message["ciphertext"])),
                None => assert_eq!(hash::hash(&[&sealed]), fixed(&message["ciphertextBlake2b256"])),
            }
            let (body, mac) = sealed.split_last_chunk().unwrap();
            let mut opened = vec![0; message_bytes.len()];
            let pieces = body[1..].chunks(1000);
            assert_eq!(pull.open(body[0], pieces, mac, &mut opened), Some(tag));
            assert_eq!(opened, message_bytes);
            assert_eq!(push.state(), state(&message["stateAfter"]));
            assert_eq!(pull.state(), push.state());
        }
    }
}

#[test]
fn ids_and_datagram_keys_are_those_of_the_reference() {
    let derivations = &vectors()["derivations"];
    let hash = fixed(&derivations["handshakeHash"]);
    let initiator = Keys::new(&[1; 32], &[2; 32], &hash, true);
    let responder = Keys::new(&[2; 32], &[1; 32], &hash, false);
    let ids = [
        ("initiatorStreamId", initiator.stream_id()),
        ("initiatorStreamId", responder.remote_stream_id()),
        ("responderStreamId", responder.stream_id()),
        ("responderStreamId", initiator.remote_stream_id()),
        ("datagramKeyInitiatorToResponder", initiator.datagram_tx()),
        ("datagramKeyInitiatorToResponder", responder.datagram_rx()),
        ("datagramKeyResponderToInitiator", responder.datagram_tx()),
        ("datagramKeyResponderToInitiator", initiator.datagram_rx()),
    ];
    for (name, id) in ids {
        assert_eq!(id, fixed(&derivations[name]), "{name}");
    }
    assert_eq!(hash::keyed_hash(&hash, &[&hash::dht_namespace(1)]), fixed(&derivations["holepunchSecret"]));
    assert_eq!(initiator.remote_prefix()[..3], [0x38, 0, 0]);
    assert_eq!(initiator.remote_prefix()[3..], responder.stream_id());
}

#[test]
fn whole_streams_are_those_of_the_reference() {
    for stream in list(&vectors()["streams"]) {
        let mut initiator = Side::new(stream, true);
        let mut responder = Side::new(stream, false);
        for entry in list(&stream["wire"]) {
            let (sender, receiver) = if entry["from"] == "initiator" {
                (&mut initiator, &mut responder)
            } else {
                (&mut responder, &mut initiator)
            };
            if entry["bytes"].is_string() {
                let wire = hex(&entry["bytes"]);
                assert_eq!(sender.next_frame(&wire), wire);
                receiver.receive(&wire);
            } else if entry["datagram"].is_string() {
                let wire = hex(&entry["datagram"]);
                let message = hex(&entry["opens"]);
                let mut sealed = Vec::new();
                sender.datagrams.seal(&message, &mut sealed).unwrap();
                assert_eq!(sealed, wire);
                assert_eq!(receiver.datagrams.open(&wire), Some(message));
            }
        }
        // A reference with a keep-alive of its own drops empty messages; here that is the caller's.
        let filtered = number(&stream["keepAlive"]) > 0;
        for (side, name) in [(initiator, "deliveredToInitiator"), (responder, "deliveredToResponder")] {
            let mut delivered = side.delivered;
            delivered.retain(|message| !(filtered && message.is_empty()));
            let expected = messages(&stream[name]);
            assert_eq!(delivered, expected, "{name}");
        }
    }
}

#[test]
fn malformed_streams_fail_as_in_the_reference() {
    for case in list(&vectors()["errors"]) {
        let name = text(&case["name"]);
        let (wire, piece) = scenario(name);
        let (initiator, _) = pair();
        let mut pull = Pull::new(&initiator, MAX_MESSAGE);
        let mut input = Input::default();
        let mut delivered = Vec::new();
        let mut result = Ok(());
        for piece in wire.chunks(piece) {
            input.push(piece.to_vec());
            result = drain(&mut pull, &mut input, &mut delivered);
            if result.is_err() {
                break;
            }
        }
        let expected = match text(&case["result"]) {
            "no error" => Ok(()),
            "Invalid header received" => Err(PullError::StreamId),
            "Invalid header message received" => Err(PullError::HeaderLength),
            "Invalid message received" => Err(PullError::TooShort),
            "pull failed" => Err(PullError::Forged),
            other => panic!("no such result: {other}"),
        };
        assert_eq!(result, expected, "{name}");
        let mut expected = messages(&case["delivered"]);
        if name == "replayed message" {
            // The reference tears the stream down before its reader sees the message that was replayed. Here
            // what was authentic has been delivered.
            expected.push(b"ok".to_vec());
        }
        assert_eq!(delivered, expected, "{name}");
    }
}

#[test]
fn the_longest_message_is_that_of_the_reference() {
    let limits = &vectors()["limits"];
    assert_eq!(MAX_MESSAGE as u64, number(&limits["largestPlaintext"]));
    let (initiator, _) = pair();
    let mut push = Push::with_header(&initiator, [0; 24]);
    let mut wire = Vec::new();
    push.seal(&vec![0; MAX_MESSAGE], &mut wire).unwrap();
    assert_eq!(wire.len() as u64, number(&limits["bytesWrittenBeforeError"]));
    assert_eq!(wire[..3], [0xff; 3]);
    assert_eq!(push.seal(&vec![0; MAX_MESSAGE + 1], &mut wire), Err(TooLarge { length: MAX_MESSAGE + 1 }));
    assert_eq!(wire.len(), MAX_MESSAGE + MESSAGE_OVERHEAD);
}

/// Builds what a responder sends in one of the reference's error cases, and the size of the pieces it arrives
/// in.
fn scenario(name: &str) -> (Vec<u8>, usize) {
    let (initiator, responder) = pair();
    let mut push = Push::with_header(&responder, [9; 24]);
    let mut wire = push.header().to_vec();
    let mut piece = usize::MAX;
    let mut sealed = |message: &[u8]| {
        let mut frame = Vec::new();
        push.seal(message, &mut frame).unwrap();
        frame
    };
    match name {
        "well formed" => wire.extend(sealed(b"ok")),
        "one byte at a time" => {
            wire.extend(sealed(b"ok"));
            piece = 1;
        }
        "own stream id instead of the peer id" => {
            wire[3..35].copy_from_slice(&initiator.stream_id());
        }
        "header frame of 55 bytes" => {
            wire[0] = 55;
            wire.pop();
        }
        "header frame of 0 bytes followed by data" => wire = vec![0, 0, 0, 1],
        "message frame of 16 bytes" => {
            wire.extend([16, 0, 0]);
            wire.extend([0; 16]);
        }
        "corrupted message" => {
            wire.extend(sealed(b"ok"));
            *wire.last_mut().unwrap() ^= 1;
        }
        "replayed message" => {
            let frame = sealed(b"ok");
            wire.extend_from_slice(&frame);
            wire.extend(frame);
        }
        "second message first" => {
            sealed(b"1");
            wire.extend(sealed(b"2"));
        }
        "tag PUSH, REKEY and FINAL are accepted like MESSAGE" => {
            for (tag, message) in [(1, "p"), (2, "r"), (3, "f"), (0, "after")] {
                push.seal_with_tag(tag, message.as_bytes(), &mut wire).unwrap();
            }
        }
        "empty message without keep-alive is delivered" => wire.extend(sealed(b"")),
        other => panic!("no such case: {other}"),
    }
    (wire, piece)
}

/// One end of a recorded stream.
struct Side {
    push: Push,
    pull: Pull,
    datagrams: Datagrams,
    /// What this side still writes, last one first.
    writes: Vec<Vec<u8>>,
    started: bool,
    input: Input,
    delivered: Vec<Vec<u8>>,
}

impl Side {
    fn new(stream: &Value, is_initiator: bool) -> Self {
        let (me, peer) = if is_initiator { ("initiator", "responder") } else { ("responder", "initiator") };
        let keys = Keys::new(
            &fixed(&stream[format!("{me}Tx")]),
            &fixed(&stream[format!("{peer}Tx")]),
            &fixed(&stream["handshakeHash"]),
            is_initiator,
        );
        let counter = fixed(&stream[format!("{me}DatagramCounterInitial")]);
        let counting = (0..300).map(|i| (i & 0xff) as u8).collect();
        let writes = if is_initiator {
            vec![vec![], counting, vec![], b"hello".to_vec()]
        } else {
            vec![b"world".to_vec()]
        };
        Self {
            push: Push::with_header(&keys, fixed(&stream[format!("{me}Header")])),
            pull: Pull::new(&keys, MAX_MESSAGE),
            datagrams: Datagrams::with_counter(&keys, u64::from_le_bytes(counter)),
            writes,
            started: false,
            input: Input::default(),
            delivered: Vec::new(),
        }
    }

    fn next_frame(&mut self, wire: &[u8]) -> Vec<u8> {
        if !std::mem::replace(&mut self.started, true) {
            return self.push.header().to_vec();
        }
        let message = self.writes.pop().unwrap();
        let mut frame = Vec::with_capacity(wire.len());
        self.push.seal(&message, &mut frame).unwrap();
        frame
    }

    fn receive(&mut self, wire: &[u8]) {
        self.input.push(wire.to_vec());
        drain(&mut self.pull, &mut self.input, &mut self.delivered).unwrap();
        assert!(self.input.is_empty());
    }
}

/// Pulls all there is.
fn drain(pull: &mut Pull, input: &mut Input, delivered: &mut Vec<Vec<u8>>) -> Result<(), PullError> {
    while let Some(message) = pull.pull(input)? {
        delivered.push(message.to_vec());
    }
    Ok(())
}

fn pair() -> (Keys, Keys) {
    let hash = [7; 64];
    (Keys::new(&[1; 32], &[2; 32], &hash, true), Keys::new(&[2; 32], &[1; 32], &hash, false))
}

fn vectors() -> Value {
    load("secretstream.json")
}

/// A list of messages, which may be empty.
fn messages(value: &Value) -> Vec<Vec<u8>> {
    value.as_array().unwrap().iter().map(hex).collect()
}

/// Reads a plaintext; the longest is written out in words.
fn plaintext(value: &Value) -> Vec<u8> {
    match text(value) {
        "65536 bytes of 0x5a" => vec![0x5a; 65536],
        _ => hex(value),
    }
}

fn state(value: &Value) -> ([u8; 32], u32, [u8; 8]) {
    (fixed(&value["k"]), counter(&value["counter"]), fixed(&value["inonce"]))
}

fn counter(value: &Value) -> u32 {
    number(value).try_into().unwrap()
}
