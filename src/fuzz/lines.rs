//! Lines and sessions of the profile service.

use std::net::Ipv4Addr;
use std::sync::Arc;

use arbitrary::{Result, Unstructured};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

use super::messages::{list, option};
use super::meter::at_most;
use crate::KeyPair;
use crate::api::{ClaimedKey, ProvenKey};
use crate::profile::message::{Call, Id, Request};
use crate::profile::record::{RawRecord, Record};
use crate::profile::{Ended, MemoryStore, PeerAddress, Profile, Rotation, Service, ServiceConfig, json};

/// Reads bytes as a line: a call, a profile, JSON.
pub(super) fn read(data: &[u8]) {
    at_most(LINE_BUDGET + 64 * data.len(), || {
        if let Ok(Some(call)) = Call::read(data) {
            let line = call.to_line();
            assert_eq!(Call::read(&line), Ok(Some(call)));
        }
        if let Ok(value) = json::parse(data) {
            let again = serde_json::to_vec(&value).expect("JSON can be written");
            assert!(has_fraction(&value) || json::parse(&again).as_ref() == Ok(&value));
        }
        if let Ok(text) = std::str::from_utf8(data)
            && let Ok(profile) = Profile::parse(text)
        {
            assert_eq!(profile.text(), text);
            assert_eq!(Profile::parse(profile.text()).as_ref(), Ok(&profile));
            let again = profile.clone().into_draft().check().expect("the parts of a profile are one");
            assert_eq!(again.parts(), profile.parts());
        }
    });
}

/// Returns whether a number is none of those that the protocol has: the JSON library rounds fractions.
fn has_fraction(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Number(number) => number.is_f64(),
        serde_json::Value::Array(list) => list.iter().any(has_fraction),
        serde_json::Value::Object(members) => members.values().any(has_fraction),
        _ => false,
    }
}

/// Plays lines to a service in pieces of any length. Whatever they are, each call gets one answer, in order,
/// and nothing is stored but what the peer has signed.
pub(super) fn session(data: &[u8]) {
    let Ok(script) = script(&mut Unstructured::new(data)) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime").block_on(play(script));
}

struct Script {
    bytes: Vec<u8>,
    pieces: Vec<usize>,
}

fn script(u: &mut Unstructured<'_>) -> Result<Script> {
    let mut bytes = Vec::new();
    for _ in 0..u.int_in_range(0..=12)? {
        let mut line = line(u)?;
        if u.ratio(1, 5)? {
            line = super::secrets::damage(u, &line)?;
        }
        bytes.extend_from_slice(&line);
    }
    let pieces = list(u, 20, |u| u.int_in_range(1..=3000usize))?;
    Ok(Script { bytes, pieces })
}

fn line(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let request = match u.int_in_range(0..=7u8)? {
        0 => Request::Register { record: record(u)?, after: option(u, |u| u.int_in_range(0..=5))? },
        1 => Request::Update { record: record(u)?, after: option(u, |u| u.int_in_range(0..=5))? },
        2 => Request::Delete { version: u.int_in_range(1..=5)? },
        3 => Request::Get,
        4 => Request::Lookup { key: *pair(u.int_in_range(0..=2)?).public_key(), follow: u.arbitrary()? },
        5 => Request::Ping,
        6 => {
            let (from, to) = (pair(u.int_in_range(0..=2)?), pair(u.int_in_range(3..=4)?));
            Request::Rotate { rotation: Rotation::sign(&from, &to).raw().clone(), record: record(u)? }
        }
        _ => {
            let length = u.int_in_range(0..=200usize)?.min(u.len());
            return Ok([u.bytes(length)?, b"\n"].concat());
        }
    };
    let id = if u.arbitrary()? { u64::from(u.arbitrary::<u16>()?).into() } else { Id::Text("text".into()) };
    Ok(Call { id, request }.to_line())
}

/// Makes a record: the caller's or another key's, sometimes with a wrong signature.
fn record(u: &mut Unstructured<'_>) -> Result<RawRecord> {
    let text =
        *u.choose(&[r#"{"name":"Ada"}"#, r#"{"name":"Ada","bio":"x\ny"}"#, r#"{"name":"Bo","links":[]}"#])?;
    let owner = pair(u.int_in_range(0..=2)?);
    let profile = Profile::parse(text).or_else(|_| Profile::parse(r#"{"name":"Ada"}"#));
    let record = Record::sign(&owner, u.int_in_range(1..=5)?, profile.expect("a profile"));
    let mut raw = RawRecord::from(&record);
    if u.ratio(1, 8)? {
        raw.signature[usize::from(u.int_in_range(0..=63u8)?)] ^= 1;
    }
    Ok(raw)
}

fn pair(number: u8) -> KeyPair {
    KeyPair::from_seed(&[number; 32])
}

async fn play(script: Script) {
    let store = Arc::new(MemoryStore::default());
    let service = Service::new(store, ServiceConfig::default());
    let (mut near, mut far) = duplex(1 << 20);
    let me = *pair(0).public_key();
    let expected = answers(&script.bytes);
    let served = async {
        let address = PeerAddress { ip: Ipv4Addr::LOCALHOST, is_relay: false };
        service.greet(&mut far, ClaimedKey::new(me), address).await.expect("room for a greeting");
        service.serve_proven(far, ProvenKey::new(me), |_| address).await
    };
    let played = async {
        let mut rest = script.bytes.as_slice();
        let mut pieces = script.pieces.iter().cycle();
        while !rest.is_empty() {
            let piece = pieces.next().copied().unwrap_or(usize::MAX).min(rest.len());
            // The service may have hung up on a line that is too long.
            if near.write_all(&rest[..piece]).await.is_err() {
                break;
            }
            rest = &rest[piece..];
            tokio::task::yield_now().await;
        }
        // It may have hung up.
        let _ = near.shutdown().await;
        let mut answered = Vec::new();
        near.read_to_end(&mut answered).await.expect("a pipe");
        answered
    };
    let (ended, answered) = tokio::join!(served, played);
    let mut lines = answered.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let hello = json::parse(lines.next().expect("a greeting")).expect("JSON");
    assert_eq!(hello["method"], "hello");
    let ids: Vec<_> = lines.map(|line| json::parse(line).expect("JSON")["id"].take()).collect();
    let whole = matches!(ended, Ended::ByPeer);
    let expected = if whole { &expected } else { &expected[..ids.len().min(expected.len())] };
    assert_eq!(ids, expected, "{ended}");
}

/// Returns the ids of the answers that lines must get, in order.
fn answers(bytes: &[u8]) -> Vec<serde_json::Value> {
    let complete = bytes.iter().rposition(|byte| *byte == b'\n').map_or(&[][..], |end| &bytes[..end]);
    if complete.is_empty() && !bytes.starts_with(b"\n") {
        return Vec::new();
    }
    let lines = complete.split(|byte| *byte == b'\n');
    let ids = lines.filter_map(|line| match Call::read(line) {
        Ok(Some(call)) => Some(serde_json::to_value(&call.id).expect("an id")),
        Ok(None) => None,
        Err(bad) => Some(serde_json::to_value(&bad.id).expect("an id")),
    });
    ids.collect()
}

/// What reading a short line may allocate.
const LINE_BUDGET: usize = 64 * 1024;
