//! Hand-made datagrams thrown at a stream, and what the reference answered: ours must do the same.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use serde_json::Value;

use crate::udx::tests::transfer::pattern;
use crate::udx::{Admission, Closed, Config, Event, StreamId, Streams};
use crate::wire::packet::{HEADER_LEN, PacketHeader};
use crate::wire::transmit::SocketId;
use crate::wire::vectors::{hex, list, load, number, text};

/// What happened, in the order of the recording. Windows are left out: ours count what waits, those of the
/// reference do not.
#[derive(Clone, Debug, PartialEq)]
enum Row {
    Data(Vec<u8>),
    End,
    Message(Vec<u8>),
    Reply(PacketHeader, Vec<u8>),
    Reset,
    /// The datagram was not for the stream.
    PassedOn(Vec<u8>),
}

/// Probes that our answer differs in, and why.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("any-source-address", "a connected stream takes packets from its path only"),
    ("far-ahead-data", "nothing is kept beyond the windows of this side"),
    (
        "larger-than-2048",
        "the datagram is taken as a whole: its bytes are right, and those of the reference are not",
    ),
    ("ack-beyond-sent", "who acknowledges what was not sent is not our peer, so the packet has no effect"),
    ("more-than-50-ranges", "all that fit the smallest packet are told of, and of more than that both ends"),
];

#[test]
fn answers_like_the_reference() {
    let vectors = load("udx.json");
    let mut exceptions = 0;
    for probe in list(&vectors["probes"]) {
        let name = text(&probe["name"]);
        let (ours, expected) = (replay(probe), recorded(probe));
        if EXCEPTIONS.iter().any(|(exception, _)| *exception == name) {
            assert_ne!(ours, expected, "{name} is no exception any more");
            exceptions += 1;
        } else {
            assert_eq!(ours, expected, "{name}");
        }
    }
    assert_eq!(exceptions, EXCEPTIONS.len(), "each exception is a probe");
}

#[test]
fn packets_from_elsewhere_have_no_effect() {
    assert_eq!(data_and_events("any-source-address"), []);
}

#[test]
fn packets_beyond_all_windows_have_no_effect() {
    assert_eq!(data_and_events("far-ahead-data"), []);
}

#[test]
fn long_datagrams_are_not_cut() {
    let expected: Vec<u8> = (0..3000).map(pattern).collect();
    assert_eq!(data_and_events("larger-than-2048")[0], Row::Data(expected));
}

#[test]
fn packets_that_acknowledge_what_was_not_sent_have_no_effect() {
    // The first one is the impossible one, so the second waits for it.
    let rows = data_and_events("ack-beyond-sent");
    let [Row::Reply(header, ranges)] = &rows[..] else {
        panic!("{rows:?}");
    };
    assert_eq!((header.ack, header.ranges(ranges).collect::<Vec<_>>()), (0, vec![(1, 2)]));
}

#[test]
fn a_kept_packet_shrinks_the_window() {
    let mut streams = Probed::new(0x77, 0x99);
    let packet = PacketHeader { kind: 1, data_offset: 0, stream_id: 0x77, window: 1 << 20, seq: 1, ack: 0 };
    let mut datagram = packet.to_bytes().to_vec();
    datagram.extend([7; 1100]);
    streams.inject(&datagram, PEER);
    let mut buffer = Vec::new();
    streams.streams.poll_transmit(streams.now, 1, &mut buffer).unwrap();
    let (header, _) = PacketHeader::split(&buffer).unwrap();
    assert_eq!(header.window, (4 << 20) - 1100);
}

const PEER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 4000);
const STRANGER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 4001);

struct Probed {
    streams: Streams,
    id: StreamId,
    now: Instant,
    rows: Vec<Row>,
}

/// Everything about one probe but the DESTROY at its end.
fn data_and_events(name: &str) -> Vec<Row> {
    let vectors = load("udx.json");
    let probe = list(&vectors["probes"]).iter().find(|probe| text(&probe["name"]) == name);
    let mut rows = replay(probe.expect("a probe"));
    let last = rows.pop();
    assert!(matches!(last, Some(Row::Reply(header, _)) if header.kind == crate::wire::packet::DESTROY));
    rows
}

/// Throws the datagrams of a probe at a stream of ours.
fn replay(probe: &Value) -> Vec<Row> {
    let mut probed = Probed::new(number(&probe["localId"]) as u32, number(&probe["remoteId"]) as u32);
    let start = probed.now;
    let mut writes = match text(&probe["name"]) {
        "invalid-sack-ranges" => vec![(0, "p0"), (5, "p1"), (10, "p2")],
        "window-update-order" => vec![(52, "blocked")],
        _ => vec![],
    };
    writes.reverse();
    for row in list(&probe["timeline"]) {
        let at = number(&row["t"]);
        while let Some((when, bytes)) = writes.pop_if(|(when, _)| *when <= at) {
            probed.run_until(start + Duration::from_millis(when));
            probed.streams.write(probed.now, probed.id, bytes.as_bytes()).unwrap();
            probed.drain();
        }
        // The reference reads its clock once per turn, so its timers may be a millisecond early.
        probed.run_until(start + Duration::from_millis(at));
        if let Some(injected) = row.get("inject") {
            let mut datagram = hex(injected);
            if let Some(length) = row.get("injectLength") {
                datagram.extend((0..number(length) as usize - HEADER_LEN).map(pattern));
            }
            probed.inject(&datagram, PEER);
            probed.drain();
        } else if row["event"] == "sent-from-other-source" {
            probed.inject(&hex(&row["hex"]), STRANGER);
            probed.drain();
        } else if row["event"] == "close" {
            probed.streams.destroy(probed.now, probed.id);
            probed.drain();
        }
    }
    probed.rows
}

impl Probed {
    fn new(local: u32, remote: u32) -> Self {
        let now = Instant::now();
        let mut streams = Streams::new(Config::default(), [1; 32]);
        let id = streams.open_as(local, Admission::Refuse);
        streams.connect(now, id, SocketId::SERVER, PEER, remote);
        Self { streams, id, now, rows: Vec::new() }
    }

    fn inject(&mut self, datagram: &[u8], from: SocketAddrV4) {
        if !self.streams.handle_datagram(self.now, SocketId::SERVER, from, datagram) {
            self.rows.push(Row::PassedOn(datagram.to_vec()));
        }
        self.streams.flush(self.now);
    }

    fn run_until(&mut self, end: Instant) {
        while let Some((at, _)) = self.streams.poll_timeout()
            && at <= end
        {
            self.now = self.now.max(at);
            self.streams.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    fn drain(&mut self) {
        while let Some((id, event)) = self.streams.poll_event() {
            assert_eq!(id, self.id);
            match event {
                Event::Readable => {
                    let mut bytes = Vec::new();
                    self.streams.read(self.now, id, usize::MAX, &mut bytes);
                    self.rows.push(Row::Data(bytes));
                }
                Event::RemoteFinished => self.rows.push(Row::End),
                Event::Message(message) => self.rows.push(Row::Message(message)),
                Event::Closed(Closed::Reset) => self.rows.push(Row::Reset),
                Event::Measured(_) => {}
                other => panic!("{other:?}"),
            }
        }
        let mut buffer = Vec::new();
        while let Some(train) = self.streams.poll_transmit(self.now, 16, &mut buffer) {
            assert_eq!(train.destination, PEER);
            for datagram in buffer.chunks(train.segment_size) {
                self.rows.push(reply(datagram));
            }
            buffer.clear();
        }
    }
}

/// Reads what the reference did.
fn recorded(probe: &Value) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for row in list(&probe["timeline"]) {
        if let Some(bytes) = row.get("reply") {
            rows.push(reply(&hex(bytes)));
            continue;
        }
        let bytes = || HEXLOWER.decode(row["hex"].as_str().unwrap_or_default().as_bytes()).unwrap();
        match row.get("event").map(text) {
            Some("data") => {
                let length = number(&row["length"]) as usize;
                let bytes = if length > 64 { (0..length).map(pattern).collect() } else { bytes() };
                match rows.last_mut() {
                    _ if bytes.is_empty() => {}
                    Some(Row::Data(before)) => before.extend(bytes),
                    _ => rows.push(Row::Data(bytes)),
                }
            }
            Some("end") => rows.push(Row::End),
            Some("message") => rows.push(Row::Message(bytes())),
            Some("error") => rows.push(Row::Reset),
            Some("socket-message") => rows.push(Row::PassedOn(bytes())),
            Some("close" | "sent-from-other-source") | None => {}
            Some(other) => panic!("unknown event {other}"),
        }
    }
    rows
}

fn reply(datagram: &[u8]) -> Row {
    let (header, rest) = PacketHeader::split(datagram).expect("a packet");
    Row::Reply(PacketHeader { window: 0, ..header }, rest.to_vec())
}
