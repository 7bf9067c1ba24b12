//! Strangers that fill the store of a node.

use std::net::SocketAddrV4;
use std::time::Duration;

use hyperprofile::wire::compact::{Decode as _, Encode as _, Reader};
use hyperprofile::wire::hash;
use hyperprofile::wire::rpc::{IMMUTABLE_GET, IMMUTABLE_PUT, Packet, Request, Response, Token};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::amount;
use crate::harness::{NODE, Running};
use crate::metrics::Metrics;

#[tokio::test]
async fn a_flood_of_sixty_networks_displaces_itself_and_no_value_of_another_one() {
    let line = "--new-network --bind 127.0.0.1:0 --json --metrics 127.0.0.1:0";
    let mut node = Running::start(NODE, &line.split(' ').collect::<Vec<_>>());
    let metrics = Metrics::of(&mut node).await;
    let listening: serde_json::Value = serde_json::from_str(&node.line().await).unwrap();
    let address: SocketAddrV4 = listening["address"].as_str().unwrap().parse().unwrap();

    let Some(honest) = Source::at("127.2.0.1:0", address).await else {
        eprintln!("SKIPPED: this system has one loopback address only");
        return;
    };
    let value = vec![7; 1000];
    let token = honest.token().await;
    honest.put(&value, token).await;
    assert_eq!(honest.get(&value).await, Some(value.clone()));

    let mut flood = Vec::new();
    for network in 0..60 {
        flood.push(Source::at(&format!("127.1.{network}.1:0"), address).await.unwrap());
    }
    let rounds = amount(600, 2400);
    let mut tokens = Vec::new();
    for round in 0..rounds {
        if round % 50 == 0 {
            tokens.clear();
            for source in &flood {
                tokens.push(source.token().await);
            }
        }
        for (network, (source, token)) in (0_u64..).zip(flood.iter().zip(&tokens)) {
            let mut value = vec![0; 1800];
            value[..8].copy_from_slice(&(round * 60 + network).to_le_bytes());
            source.send(&put(address, &value, *token)).await;
        }
        for source in &flood {
            // One that got lost is one less.
            let _ = source.receive().await;
        }
    }
    assert_eq!(honest.get(&value).await, Some(value), "the flood displaced the value of another network");
    let (records, memory) = (metrics.sum("hyperdht_records{").await, metrics.memory().await);
    assert!((1000..=65_536).contains(&records), "{records} records");
    assert!(memory <= 128 << 20, "{memory} bytes");
    node.signal("-TERM").await;
    node.end().await.ended(0);
}

/// A host that uses a node.
struct Source {
    socket: UdpSocket,
    node: SocketAddrV4,
}

impl Source {
    /// Returns `None` if this computer does not have the address.
    async fn at(address: &str, node: SocketAddrV4) -> Option<Self> {
        let socket = UdpSocket::bind(address).await.ok()?;
        Some(Self { socket, node })
    }

    async fn send(&self, request: &Request) {
        self.socket.send_to(&request.to_bytes(), self.node).await.unwrap();
    }

    async fn receive(&self) -> Option<Response> {
        let mut buffer = [0; 2048];
        let received = timeout(Duration::from_secs(1), self.socket.recv_from(&mut buffer)).await;
        let (length, _) = received.ok()?.unwrap();
        match Packet::decode(&mut Reader::new(&buffer[..length])) {
            Ok(Packet::Response(response)) => Some(response),
            other => panic!("not a response: {other:?}"),
        }
    }

    /// Asks until there is an answer.
    async fn ask(&self, request: &Request) -> Response {
        for _ in 0..30 {
            self.send(request).await;
            if let Some(response) = self.receive().await {
                return response;
            }
        }
        panic!("the node is silent");
    }

    async fn token(&self) -> Token {
        self.ask(&get(self.node, [1; 32])).await.token.expect("a token")
    }

    async fn put(&self, value: &[u8], token: Token) {
        assert_eq!(self.ask(&put(self.node, value, token)).await.error, 0);
    }

    async fn get(&self, value: &[u8]) -> Option<Vec<u8>> {
        self.ask(&get(self.node, hash::hash(&[value]))).await.value
    }
}

fn get(node: SocketAddrV4, target: [u8; 32]) -> Request {
    Request {
        tid: 1,
        to: node,
        id: None,
        token: None,
        internal: false,
        command: IMMUTABLE_GET,
        target: Some(target),
        value: None,
    }
}

fn put(node: SocketAddrV4, value: &[u8], token: Token) -> Request {
    let target = hash::hash(&[value]);
    let (command, value) = (IMMUTABLE_PUT, Some(value.to_vec()));
    Request { token: Some(token), command, value, ..get(node, target) }
}
