use super::super::compact::{DecodeError, Encode, Put};
use super::super::relay::{Frame, MAX_BATCH, PROTOCOL, RelayMessage};
use super::super::vectors::{fixed, hex, list, load, number};
use crate::keys::PublicKey;

#[test]
fn relay_messages_match_the_reference() {
    let vectors = load("blind-relay.json");
    for case in list(&vectors["pairMessage"]) {
        let message = RelayMessage::Pair {
            is_initiator: case["isInitiator"].as_bool().expect("a flag"),
            token: fixed(&case["token"]),
            id: number(&case["id"]) as u32,
            seq: number(&case["seq"]),
        };
        assert_message(&message, 0, &hex(&case["bytes"]));
    }
    for case in list(&vectors["unpairMessage"]) {
        let message = RelayMessage::Unpair { token: fixed(&case["token"]) };
        assert_message(&message, 1, &hex(&case["bytes"]));
    }
}

#[test]
fn a_whole_session_reads_and_writes_as_in_the_reference() {
    let session = &load("blind-relay.json")["session"];
    let frames: Vec<Vec<u8>> = list(&session["frames"])
        .iter()
        .filter(|frame| frame["bytes"].is_string())
        .map(|frame| hex(&frame["bytes"]))
        .collect();
    for bytes in &frames {
        let [frame] = only(Frame::decode_all(bytes));
        assert_eq!(frame.to_bytes(), *bytes);
        assert_eq!(frame.encoded_len(), bytes.len());
    }
    let key = PublicKey::from_bytes(fixed(&session["keyA"]));
    assert_eq!(Frame::open(1, &key).to_bytes(), frames[0]);
    let [Frame::Open { protocol, .. }] = only(Frame::decode_all(&frames[1])) else {
        panic!("the second frame opens a channel");
    };
    assert_eq!(protocol, PROTOCOL);
    let [Frame::Message { channel: 1, kind, content }] = only(Frame::decode_all(&frames[7])) else {
        panic!("the eighth frame is a message");
    };
    let Ok(RelayMessage::Pair { id, is_initiator: true, .. }) = RelayMessage::decode(kind, &content) else {
        panic!("the eighth frame answers the initiator");
    };
    assert_eq!(u64::from(id), number(&session["deliveredRemoteIds"]["A"]));
}

#[test]
fn control_frames_and_batches_match_the_reference() {
    let vectors = load("blind-relay.json");
    let frames: Vec<_> = list(&vectors["protomuxFrames"]["frames"])
        .iter()
        .map(|frame| Frame::decode_all(&hex(&frame["bytes"])).expect("frames"))
        .collect();
    let open = |local_id, protocol: &str, id: &[u8]| Frame::Open {
        local_id,
        protocol: protocol.to_owned(),
        id: id.to_vec(),
        handshake: Vec::new(),
    };
    let message = |text: &str| Frame::Message {
        channel: 1,
        kind: 0,
        content: [&[text.len() as u8], text.as_bytes()].concat(),
    };
    assert_eq!(frames[0], [open(1, "later", &[])]);
    assert_eq!(frames[1], [message("sent before the answer")]);
    assert_eq!(frames[3], [open(2, "unknown", &[1, 2])]);
    assert_eq!(frames[4], [Frame::Reject { local_id: 2 }]);
    assert_eq!(frames[5], [message("batched 1"), message("batched 2")]);
    assert_eq!(frames[6], [Frame::Close { local_id: 1 }]);
}

#[test]
fn a_batch_changes_channels_after_an_empty_element() {
    let frame = |channel, content: &[u8]| Frame::Message { channel, kind: 7, content: content.to_vec() };
    let bytes = [0, 0, 1, 2, 7, 0xaa, 0, 2, 1, 7, 0, 0, 2, 3, 1];
    assert_eq!(
        Frame::decode_all(&bytes),
        Ok(vec![frame(1, &[0xaa]), frame(2, &[]), Frame::Close { local_id: 1 }])
    );
}

#[test]
fn an_empty_message_holds_no_frame() {
    assert_eq!(Frame::decode_all(&[]), Ok(Vec::new()));
}

#[test]
fn refuses_a_batch_inside_a_batch() {
    let bytes = [0, 0, 0, 3, 0, 0, 1];
    assert_eq!(Frame::decode_all(&bytes), Err(DecodeError::NestedBatch));
}

#[test]
fn refuses_a_batch_of_too_many_frames() {
    let mut bytes = vec![0, 0, 1];
    for _ in 0..MAX_BATCH {
        bytes.extend_from_slice(&[1, 0]);
    }
    assert_eq!(Frame::decode_all(&bytes).map(|frames| frames.len()), Ok(MAX_BATCH));
    bytes.extend_from_slice(&[1, 0]);
    assert_eq!(Frame::decode_all(&bytes), Err(DecodeError::ArrayTooLarge));
}

#[test]
fn refuses_unknown_control_frames_and_relay_messages() {
    assert_eq!(Frame::decode_all(&[0, 4]), Err(DecodeError::UnknownKind));
    assert_eq!(RelayMessage::decode(2, &[0; 64]), Err(DecodeError::UnknownKind));
}

#[test]
fn prefixes_of_frames_fail_where_a_field_is_missing() {
    let key = PublicKey::from_bytes([1; 32]);
    let frame = Frame::open(300, &key);
    let bytes = frame.to_bytes();
    for len in 1..bytes.len() {
        assert_eq!(Frame::decode_all(&bytes[..len]), Err(DecodeError::Truncated), "{len}");
    }
    let mut content = vec![1];
    content.extend_from_slice(&[2; 32]);
    content.put_varuint(70_000);
    content.put_varuint(0);
    for len in 0..content.len() {
        assert_eq!(RelayMessage::decode(0, &content[..len]), Err(DecodeError::Truncated));
    }
    for len in 0..33 {
        assert_eq!(RelayMessage::decode(1, &content[..len]), Err(DecodeError::Truncated));
    }
}

fn assert_message(message: &RelayMessage, kind: u64, content: &[u8]) {
    assert_eq!(RelayMessage::decode(kind, content).as_ref(), Ok(message));
    let frame = Frame::Message { channel: 1, kind, content: content.to_vec() };
    assert_eq!(message.to_frame(1), frame);
}

fn only(frames: Result<Vec<Frame>, DecodeError>) -> [Frame; 1] {
    frames.expect("a frame").try_into().expect("one frame")
}
