use serde_json::Value;

use super::super::compact::{Decode, Encode};
use super::super::handshake::{HandshakeMessage, HolepunchMessage};
use super::super::records::Announce;
use super::super::rpc::{self, Packet};
use super::super::vectors::hex;

const RECORDINGS: [&str; 9] = [
    "rpc-trace",
    "connect-trace",
    "connect-trace-abort",
    "connect-trace-direct",
    "connect-trace-open",
    "connect-trace-punch",
    "connect-trace-relay",
    "connect-trace-slowpunch",
    "connect-trace-upgrade",
];

#[test]
fn every_recorded_datagram_reads_and_writes_back() {
    for name in RECORDINGS {
        let mut packets = 0;
        for datagram in datagrams(name) {
            // The others are probes and packets of streams.
            if !matches!(datagram.first(), Some(0x03 | 0x13)) || datagram.len() == 1 {
                continue;
            }
            let packet = Packet::from_bytes(&datagram).expect("a packet of the DHT");
            assert_eq!(packet.to_bytes(), datagram, "{name}: {packet}");
            reads_back(&packet);
            packets += 1;
        }
        assert!(packets >= 10, "{name}: {packets}");
    }
}

/// Checks the value of a packet whose kind says what it is.
fn reads_back(packet: &Packet) {
    let Packet::Request(request) = packet else {
        return;
    };
    let (false, Some(value)) = (request.internal, &request.value) else {
        return;
    };
    let again = match request.command {
        rpc::PEER_HANDSHAKE => HandshakeMessage::from_bytes(value).map(|it| it.to_bytes()),
        rpc::PEER_HOLEPUNCH => HolepunchMessage::from_bytes(value).map(|it| it.to_bytes()),
        rpc::ANNOUNCE | rpc::UNANNOUNCE => Announce::from_bytes(value).map(|it| it.to_bytes()),
        _ => return,
    };
    assert_eq!(again.as_ref(), Ok(value), "{packet}");
}

fn datagrams(name: &str) -> Vec<Vec<u8>> {
    let path = format!("{}/tests/vectors/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("a recording");
    text.lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"))
        .filter(|line| line["hex"].is_string())
        .map(|line| hex(&line["hex"]))
        .collect()
}
