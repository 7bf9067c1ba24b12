//! Clients of all kinds.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::routes::Offer;
use super::server::{CLIENT_TIMEOUT, MAX_CLIENTS, MAX_LISTENERS, MAX_REQUEST, REQUEST_TIMEOUT, Site};
use super::view::View;
use crate::{Dht, Testnet};

/// What listens, for as long as this is there.
struct Listening {
    address: SocketAddr,
    view: Arc<View>,
    _task: AbortOnDropHandle<()>,
}

impl Listening {
    async fn start(offer: Offer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, view) = (listener.local_addr().unwrap(), View::new("a test"));
        let task = AbortOnDropHandle::new(tokio::spawn(Site::new(&view, offer).accept(listener)));
        Self { address, view, _task: task }
    }

    async fn page() -> Self {
        Self::start(Offer::Page { hosts: vec!["node.example".into()] }).await
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes and returns all that comes.
    async fn send(&self, request: &[u8]) -> String {
        let mut stream = self.connect().await;
        // It may have closed before it has taken everything.
        let _ = stream.write_all(request).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    async fn get(&self, path: &str, headers: &str) -> String {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n", self.address).as_bytes()).await
    }

    /// Listens for snapshots; returns the stream behind the head, which holds the first one.
    async fn listen(&self, node: usize) -> BufReader<TcpStream> {
        let mut stream = BufReader::new(self.connect().await);
        let request = format!("GET /events?node={node} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        assert_eq!(line, "HTTP/1.1 200 OK\r\n");
        stream
    }
}

/// Reads until the next snapshot; `None` at the end.
async fn next(stream: &mut BufReader<TcpStream>) -> Option<Value> {
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap() == 0 {
            return None;
        }
        if let Some(data) = line.strip_prefix("data: ") {
            return Some(serde_json::from_str(data).unwrap());
        }
    }
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

#[tokio::test]
async fn each_route_has_its_content_and_the_headers_that_keep_others_out() {
    let listening = Listening::page().await;
    for (path, expected, holds) in [
        ("/", "200", "<!doctype html>"),
        ("/?x", "200", "<!doctype html>"),
        ("/page.css", "200", ":root"),
        ("/page.js", "200", "EventSource"),
        ("/metrics", "200", "hyperdht_uptime_seconds "),
        ("/healthz", "200", "ok"),
        ("/readyz", "503", "no node has started"),
        ("/page", "404", "no such page"),
        ("//", "404", "no such page"),
        ("/%2e%2e/etc/passwd", "404", "no such page"),
    ] {
        let answer = listening.get(path, "").await;
        assert_eq!(status(&answer), expected, "{path}: {answer}");
        assert!(answer.contains(holds), "{path}: {answer}");
        assert!(
            answer.contains("content-security-policy: default-src 'none'; script-src 'self';"),
            "{answer}"
        );
        assert!(answer.contains("\r\nx-content-type-options: nosniff\r\n"), "{answer}");
        assert!(answer.contains("\r\ncache-control: no-store\r\n"), "{answer}");
        assert!(!answer.contains("access-control"), "{answer}");
    }
}

#[tokio::test]
async fn nothing_but_reading_is_answered() {
    let listening = Listening::page().await;
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "FOO"] {
        for path in ["/", "/metrics", "/events", "/x"] {
            let request =
                format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{{}}");
            let answer = listening.send(request.as_bytes()).await;
            assert_eq!(status(&answer), "405", "{answer}");
            assert!(answer.contains("\r\nallow: GET, HEAD\r\n"), "{answer}");
        }
    }
    for path in ["/", "/metrics", "/events"] {
        let answer =
            listening.send(format!("HEAD {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await;
        assert_eq!(status(&answer), "200", "{answer}");
        assert!(answer.ends_with("\r\n\r\n"), "a head alone: {answer}");
    }
}

#[tokio::test]
async fn a_name_that_others_can_point_here_is_not_served() {
    let listening = Listening::page().await;
    for (request, expected) in [
        ("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", "403"),
        ("GET /events HTTP/1.1\r\nHost: evil.example:80\r\n\r\n", "403"),
        ("GET /metrics HTTP/1.1\r\nHost:\r\n\r\n", "403"),
        ("GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", "403"),
        ("GET http://evil.example/metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", "403"),
        ("GET http://localhost/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", "200"),
        ("GET /healthz HTTP/1.1\r\nHost: NODE.example:7\r\n\r\n", "200"),
        ("GET /healthz HTTP/1.1\r\nHost: [::1]:7\r\n\r\n", "200"),
        // No browser.
        ("GET /healthz HTTP/1.0\r\n\r\n", "200"),
    ] {
        let answer = listening.send(request.as_bytes()).await;
        assert_eq!(status(&answer), expected, "{request}: {answer}");
    }
}

#[tokio::test]
async fn a_request_that_another_site_has_caused_gets_the_page_at_most() {
    let listening = Listening::page().await;
    for (site, events, page) in
        [("cross-site", "403", "200"), ("same-site", "403", "200"), ("none", "200", "200")]
    {
        let header = format!("Sec-Fetch-Site: {site}\r\n");
        assert_eq!(status(&listening.get("/metrics", &header).await), events, "{site}");
        assert_eq!(status(&listening.get("/", &header).await), page, "{site}");
    }
    assert_eq!(status(&listening.get("/events", "Sec-Fetch-Site: cross-site\r\n").await), "403");
}

#[tokio::test]
async fn the_numbers_alone_are_served_under_any_name() {
    let listening = Listening::start(Offer::Metrics).await;
    let scraped = listening.send(b"GET /metrics?a=b HTTP/1.1\r\nHost: node.prometheus\r\n\r\n").await;
    assert_eq!(status(&scraped), "200", "{scraped}");
    for path in ["/", "/events", "/healthz", "/page.js"] {
        let answer = listening.get(path, "").await;
        assert_eq!(status(&answer), "404", "{answer}");
        assert!(answer.ends_with("the metrics are at /metrics\n"), "{answer}");
    }
}

#[tokio::test]
async fn what_is_no_request_is_refused_and_the_next_client_is_served() {
    let listening = Listening::page().await;
    let long = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(2 * MAX_REQUEST));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(1000));
    let wide = format!("GET / HTTP/1.1\r\nHost: localhost\r\nA: {}\r\n\r\n", "x".repeat(2 * MAX_REQUEST));
    for request in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHo st: x\r\n\r\n",
        long.as_bytes(),
        many.as_bytes(),
        wide.as_bytes(),
        b"\0\0\0\0\r\n\r\n",
    ] {
        let answer = listening.send(request).await;
        assert!(answer.is_empty() || status(&answer).starts_with('4'), "{answer}");
    }
    // A second request on the connection is not read.
    let two = listening.send(&b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(2)).await;
    assert_eq!(two.matches("HTTP/1.1").count(), 1, "{two}");
    assert_eq!(status(&listening.get("/healthz", "").await), "200");
}

#[tokio::test(start_paused = true)]
async fn clients_that_send_nothing_keep_nobody_out_and_are_closed_in_time() {
    let listening = Listening::start(Offer::Metrics).await;
    let mut silent = Vec::new();
    for _ in 0..3 * MAX_CLIENTS {
        let mut client = listening.connect().await;
        client.write_all(b"GET /met").await.unwrap();
        silent.push(client);
    }
    let started = Instant::now();
    let answer = listening.get("/metrics", "").await;
    assert_eq!(status(&answer), "200", "{answer}");
    assert!(started.elapsed() < REQUEST_TIMEOUT, "{:?}", started.elapsed());
    for client in &mut silent {
        let mut rest = Vec::new();
        // Those that came first were closed to make room.
        let _ = client.read_to_end(&mut rest).await;
    }
    assert!(started.elapsed() <= CLIENT_TIMEOUT, "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn listeners_stay_beyond_the_time_of_other_clients_and_the_first_makes_room() {
    let listening = Listening::page().await;
    let mut first = listening.listen(0).await;
    let started = Instant::now();
    while started.elapsed() < 2 * CLIENT_TIMEOUT {
        let snapshot = next(&mut first).await.expect("it goes on");
        assert_eq!(snapshot["program"], "a test");
        assert_eq!(snapshot["node"], Value::Null);
    }
    // They take no place of other clients.
    let mut others = Vec::new();
    for _ in 1..MAX_LISTENERS {
        others.push(listening.listen(0).await);
    }
    assert!(next(&mut first).await.is_some());
    let mut last = listening.listen(0).await;
    while next(&mut first).await.is_some() {}
    assert!(next(&mut last).await.is_some());
    for other in &mut others {
        assert!(next(other).await.is_some());
    }
    assert_eq!(status(&listening.get("/metrics", "").await), "200");
}

#[tokio::test]
async fn a_snapshot_shows_the_node_that_was_asked_for_and_what_it_knows() {
    let network = Testnet::new(5).await.unwrap();
    let listening = Listening::page().await;
    network.nodes().iter().for_each(|node| listening.view.add_node(node));
    assert!(listening.get("/readyz", "").await.ends_with("ready\n"));
    let server = network.nodes()[1].listen(crate::KeyPair::generate()).await.unwrap();
    let client = network.builder().spawn().await.unwrap();
    let _connection = client.connect(*server.public_key()).await.unwrap();
    let _accepted = server.accept().await.unwrap();

    let mut stream = listening.listen(1).await;
    let snapshot = next(&mut stream).await.unwrap();
    let node = &snapshot["node"];
    assert_eq!(snapshot["nodes"].as_array().unwrap().len(), 5);
    assert_eq!(node["local"], network.nodes()[1].local_addr().to_string());
    assert_eq!(node["table"].as_array().unwrap().len(), 4, "{node}");
    assert_eq!(node["id"].as_str().unwrap().len(), 16);
    assert_eq!(node["seen_as"][0][0], node["local"]);
    assert_eq!(node["servers"][0]["key"], server.public_key().to_z32());
    assert_ne!(node["servers"][0]["announced_at"], serde_json::json!([]));
    let open = &node["connections"][0];
    assert_eq!((&open["dialled"], &open["name"]), (&Value::Bool(false), &Value::Null), "{open}");
    assert!(open["received"].as_u64().unwrap() > 0, "{open}");
    let fills = node["fills"].as_array().unwrap();
    assert!(fills.iter().all(|fill| fill["used"].as_u64() <= fill["bound"].as_u64()), "{fills:?}");

    assert_eq!(next(&mut listening.listen(5).await).await.unwrap()["node"], Value::Null);
    network.nodes()[1].close().await;
    assert_eq!(status(&listening.get("/healthz", "").await), "503");
    assert!(listening.get("/readyz", "").await.ends_with("a node does not answer\n"));
    client.close().await;
    network.close().await;
}

#[tokio::test]
async fn a_node_without_a_network_is_alive_and_not_ready() {
    let listening = Listening::page().await;
    let alone = Dht::builder().bootstrap(["127.0.0.1:1"]).bind("127.0.0.1:0").spawn().await.unwrap();
    listening.view.add_node(&alone);
    assert_eq!(status(&listening.get("/healthz", "").await), "200");
    let answer = listening.get("/readyz", "").await;
    assert!(answer.ends_with("not joined: no node of the network answers\n"), "{answer}");
    alone.close().await;
}
