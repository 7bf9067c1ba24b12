//! A raw peer on a pipe in memory, for tests.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex};
use tokio::task::JoinHandle;

use super::super::content::Profile;
use super::super::lines::{LineError, Lines};
use super::super::peers::PeerAddress;
use super::super::record::Record;
use super::super::store::{MemoryStore, Store};
use super::{Ended, Service, ServiceConfig};
use crate::KeyPair;
use crate::api::{ClaimedKey, ProvenKey};

pub(super) type TestService = Service<Arc<MemoryStore>>;

/// A service over a store that the test can look into.
pub(super) fn service(config: ServiceConfig) -> (TestService, Arc<MemoryStore>) {
    let store = Arc::new(MemoryStore::default());
    (Service::new(Arc::clone(&store), config), store)
}

pub(super) fn key_pair(seed: u8) -> KeyPair {
    KeyPair::from_seed(&[seed; 32])
}

pub(super) fn record(seed: u8, version: u64, name: &str) -> Record {
    let profile = Profile::parse(&format!(r#"{{"name":"{name}"}}"#)).unwrap();
    Record::sign(&key_pair(seed), version, profile)
}

/// The client's end of a connection to a service.
pub(super) struct Peer {
    pub(super) stream: DuplexStream,
    lines: Lines,
    pub(super) served: JoinHandle<Ended>,
    /// The greeting.
    pub(super) hello: Value,
}

impl Peer {
    /// Connects as the key made from a seed, proven, and reads the greeting.
    pub(super) async fn connect<S: Store>(service: &Service<S>, seed: u8) -> Self {
        Self::connect_from(service, seed, Ipv4Addr::LOCALHOST).await
    }

    pub(super) async fn connect_from<S: Store>(service: &Service<S>, seed: u8, source: Ipv4Addr) -> Self {
        Self::connect_movable(service, seed, source).await.0
    }

    /// Connects, and returns as well where the packets of the peer come from.
    pub(super) async fn connect_movable<S: Store>(
        service: &Service<S>,
        seed: u8,
        source: Ipv4Addr,
    ) -> (Self, Arc<Mutex<Ipv4Addr>>) {
        let (near, mut far) = duplex(1 << 18);
        let key = *key_pair(seed).public_key();
        let service = service.clone();
        let moved = Arc::new(Mutex::new(source));
        let place = Arc::clone(&moved);
        let served = tokio::spawn(async move {
            match service.greet(&mut far, ClaimedKey::new(key), PeerAddress::direct(source)).await {
                Ok(()) => {
                    let address = |_: &_| PeerAddress::direct(*place.lock().unwrap());
                    service.serve_proven(far, ProvenKey::new(key), address).await
                }
                Err(ended) => ended,
            }
        });
        let mut peer = Self { stream: near, lines: Lines::default(), served, hello: Value::Null };
        peer.hello = peer.read().await.expect("a greeting");
        (peer, moved)
    }

    pub(super) async fn send(&mut self, line: &str) {
        self.stream.write_all(line.as_bytes()).await.unwrap();
        self.stream.write_all(b"\n").await.unwrap();
    }

    /// Reads a line; `None` at the end of the stream.
    pub(super) async fn read(&mut self) -> Option<Value> {
        let hour = std::time::Duration::from_secs(3600);
        match self.lines.next(&mut self.stream, None, hour).await {
            Ok(line) => Some(serde_json::from_slice(&line).unwrap()),
            Err(LineError::Ended) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// Calls a method and returns the whole answer.
    pub(super) async fn call(&mut self, method: &str, params: Value) -> Value {
        let call = json!({"jsonrpc": "2.0", "id": method, "method": method, "params": params});
        self.send(&call.to_string()).await;
        let answer = self.read().await.expect("an answer");
        assert_eq!(answer["id"], method);
        answer
    }

    pub(super) async fn register(&mut self, record: &Record) -> Value {
        self.call("profile.register", json!({"record": record})).await
    }

    pub(super) async fn update(&mut self, record: &Record) -> Value {
        self.call("profile.update", json!({"record": record})).await
    }
}

/// Returns `data.kind` of an error, or what else the answer is.
pub(super) fn kind(answer: &Value) -> String {
    match &answer["error"]["data"]["kind"] {
        Value::String(kind) => kind.clone(),
        _ => answer.to_string(),
    }
}
