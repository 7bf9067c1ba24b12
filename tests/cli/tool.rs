//! `hyperdht`: what it prints, and how it ends.

use std::process::Stdio;

use hyperprofile::{ConnectError, Dht, KeyPair, PublicKey, Testnet, crypto};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::process::Command;
use tokio::time::timeout;

use crate::harness::{DEADLINE, Outcome, Running, TOOL, free_port, run, text};

/// A network in this process, and a folder for files.
struct Place {
    network: Testnet,
    bootstrap: String,
    folder: tempfile::TempDir,
}

impl Place {
    async fn new() -> Self {
        let network = Testnet::new(5).await.unwrap();
        let bootstrap = network.bootstrap().remove(0);
        Self { network, bootstrap, folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> String {
        text(&self.folder.path().join(name)).to_owned()
    }

    fn arguments<'a>(&'a self, words: &'a str) -> Vec<&'a str> {
        let words = words.split(' ').filter(|word| !word.is_empty());
        ["--bootstrap", &self.bootstrap, "--json"].into_iter().chain(words).collect()
    }

    /// Runs the tool with `--json`; `words` is split at spaces.
    async fn run(&self, words: &str) -> Outcome {
        run(TOOL, &self.arguments(words)).await
    }

    fn start(&self, words: &str) -> Running {
        Running::start(TOOL, &self.arguments(words))
    }

    /// Returns the key in a file, which is made.
    async fn key(&self, file: &str) -> String {
        let shown = run(TOOL, &["--identity", &self.path(file), "whoami"]).await.ended(0);
        shown.stdout.trim_end().to_owned()
    }
}

async fn event(running: &mut Running) -> Value {
    serde_json::from_str(&running.line().await).unwrap()
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned()
}

#[tokio::test]
async fn nodes_and_servers_are_pinged() {
    let place = Place::new().await;
    let node = &place.network.nodes()[1];
    let pong = place.run(&format!("ping {}", node.local_addr())).await.ended(0).json();
    assert!(pong["round_trip"].as_f64() > Some(0.0), "{pong}");
    assert!(string(&pong["seen_as"]).starts_with("127.0.0.1:"), "{pong}");
    place.run(&format!("ping 127.0.0.1:{}", free_port())).await.failed(3, "server_not_found");

    let server = node.listen(KeyPair::generate()).await.unwrap();
    let key = server.public_key().to_z32();
    let pong = place.run(&format!("ping {key}")).await.ended(0).json();
    assert_eq!((&pong["public_key"], &pong["path"]), (&json!(key), &json!("direct")));
    let words = run(TOOL, &["--bootstrap", &place.bootstrap, "ping", &key]).await.ended(0);
    assert!(words.stdout.starts_with(&format!("{key} answers after ")), "{words:?}");
    let nobody = KeyPair::generate().public_key().to_z32();
    place.run(&format!("ping {nobody}")).await.failed(3, "server_not_found");
    let away = format!("--bootstrap 127.0.0.1:{} --json ping {key}", free_port());
    run(TOOL, &away.split(' ').collect::<Vec<_>>()).await.failed(12, "no_network");
}

#[tokio::test]
async fn values_are_put_and_got() {
    let place = Place::new().await;
    let hash = string(&place.run("put hello").await.ended(0).json()["hash"]);
    assert_eq!(hash, data_encoding::HEXLOWER.encode(&crypto::hash("hello")));
    let value = place.run(&format!("get {hash}")).await.ended(0).json();
    assert_eq!(value, json!({"value": "hello", "value_hex": "68656c6c6f", "seq": null}));
    let raw = run(TOOL, &["--bootstrap", &place.bootstrap, "get", &hash]).await.ended(0);
    assert_eq!(raw.stdout, "hello", "bytes as they are");
    place.run(&format!("get {}", "0".repeat(64))).await.failed(3, "not_found");
    place.run(&format!("put {}", "x".repeat(1851))).await.failed(9, "invalid");

    let identity = place.path("identity");
    let own = format!("--identity {identity} --mutable");
    let first = place.run(&format!("put one {own}")).await.ended(0).json();
    assert_eq!(first["seq"], 0);
    let second = place.run(&format!("put two {own}")).await.ended(0).json();
    assert_eq!(second["seq"], 1);
    let key = string(&first["public_key"]);
    let value = place.run(&format!("get {key} --mutable")).await.ended(0).json();
    assert_eq!(value, json!({"value": "two", "value_hex": "74776f", "seq": 1}));
    place.run(&format!("put old {own} --seq 0")).await.failed(9, "invalid");
    place.run(&format!("get {} --mutable", place.key("another").await)).await.failed(3, "not_found");
}

#[tokio::test]
async fn peers_are_announced_found_and_withdrawn() {
    let place = Place::new().await;
    place.run("lookup room").await.failed(3, "not_found");
    place.run("ping --topic room").await.failed(3, "not_found");
    let mut announcing = place.start("announce room");
    let announced = event(&mut announcing).await;
    let topic = data_encoding::HEXLOWER.encode(&crypto::hash("room"));
    assert_eq!((&announced["event"], &announced["topic"]), (&json!("announced"), &json!(topic)));
    for words in ["lookup room".to_owned(), format!("lookup {topic}")] {
        let found = place.run(&words).await.ended(0).json();
        assert_eq!(found["public_key"], announced["public_key"]);
    }
    // It is announced and does not listen.
    place.run("ping --topic room").await.ended(3);
    announcing.signal("-INT").await;
    let ended = announcing.end().await.ended(0);
    assert!(ended.stdout.contains("withdrawn"), "{ended:?}");
    place.run("lookup room").await.failed(3, "not_found");

    let once = place.run("announce room --once").await.ended(0).json();
    assert_eq!(place.run("lookup room").await.ended(0).json()["public_key"], once["public_key"]);
    let server = place.network.nodes()[1].listen(KeyPair::generate()).await.unwrap();
    let key = server.public_key();
    let found = place.run(&format!("lookup --key {key}")).await.ended(0).json();
    assert_eq!(found["public_key"], key.to_z32());
}

#[tokio::test]
async fn a_pipe_joins_two_standard_inputs_and_outputs_and_lets_only_the_named_in() {
    let place = Place::new().await;
    let friend = place.key("friend").await;
    let listener = |words: &str| pipe(&place, words).spawn().unwrap();
    let mut listening = listener(&format!("--listen --allow {friend}"));
    let mut errors = tokio::io::BufReader::new(listening.stderr.take().unwrap());
    let mut line = String::new();
    tokio::io::AsyncBufReadExt::read_line(&mut errors, &mut line).await.unwrap();
    let key = string(&serde_json::from_str::<Value>(&line).unwrap()["public_key"]);

    let stranger = pipe(&place, &format!("{key} --timeout 20s")).spawn().unwrap();
    let refused = timeout(DEADLINE, stranger.wait_with_output()).await.unwrap().unwrap();
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");

    let friends = format!("{key} --identity {}", place.path("friend"));
    let mut dialling = pipe(&place, &friends).spawn().unwrap();
    for (process, text) in [(&mut listening, "from the listener"), (&mut dialling, "from the friend")] {
        // Dropped, so that standard input ends.
        process.stdin.take().unwrap().write_all(text.as_bytes()).await.unwrap();
    }
    for (process, text) in [(dialling, "from the listener"), (listening, "from the friend")] {
        let output = timeout(DEADLINE, process.wait_with_output()).await.unwrap().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
    }
}

fn pipe(place: &Place, words: &str) -> Command {
    let mut command = Command::new(TOOL);
    command.args(place.arguments("pipe")).args(words.split(' '));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// Starts the end of a tunnel that leads to a port; returns it and its key.
async fn far(place: &Place, to: u16, words: &str) -> (Running, String) {
    let (friend, identity) = (place.key("near").await, place.path("far"));
    let words = format!("tunnel --listen --to 127.0.0.1:{to} --allow {friend} --identity {identity} {words}");
    let mut far = place.start(&words);
    let key = string(&event(&mut far).await["public_key"]);
    (far, key)
}

/// Starts the other end; returns it and its address.
async fn near(place: &Place, key: &str, words: &str) -> (Running, String) {
    let identity = place.path("near");
    let mut near = place.start(&format!("tunnel {key} --at 127.0.0.1:0 --identity {identity} {words}"));
    let opened = event(&mut near).await;
    assert_eq!(
        (&opened["event"], &opened["own_public_key"]),
        (&json!("open"), &json!(place.key("near").await))
    );
    let address = string(&opened["address"]);
    (near, address)
}

/// Sends back what comes to a port.
async fn echo() -> u16 {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1024).unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                tokio::io::copy(&mut read, &mut write).await
            });
        }
    });
    port
}

/// Sends bytes through a tunnel to an echo, and expects them back.
async fn echoes(address: &str, length: usize) {
    let (mut read, mut write) = TcpStream::connect(address).await.unwrap().into_split();
    let writing = tokio::spawn(async move {
        write.write_all(&vec![7; length]).await.unwrap();
        write.shutdown().await.unwrap();
    });
    let mut came = Vec::new();
    timeout(DEADLINE, read.read_to_end(&mut came)).await.unwrap().unwrap();
    writing.await.unwrap();
    assert!(came == vec![7; length], "{} bytes", came.len());
}

#[tokio::test]
async fn a_tunnel_carries_tcp_for_those_who_are_let_in_and_outlives_the_other_end() {
    let place = Place::new().await;
    let port = echo().await;
    let (first, key) = far(&place, port, "").await;
    place.run(&format!("tunnel {key} --at 127.0.0.1:0")).await.failed(3, "server_not_found");
    let (mut near, address) = near(&place, &key, "").await;
    tokio::join!(echoes(&address, 1_000_000), echoes(&address, 500_000), echoes(&address, 0));

    first.signal("-INT").await;
    first.end().await.ended(0);
    assert_eq!(event(&mut near).await["event"], "disconnected");
    let (second, again) = far(&place, port, "").await;
    assert_eq!(again, key);
    // Attempts may fail until the new end is announced.
    while event(&mut near).await["event"] != "connected" {}
    echoes(&address, 1000).await;
    for end in [near, second] {
        end.signal("-INT").await;
        end.end().await.ended(0);
    }
}

/// The system resets connections that have no room to wait.
#[tokio::test]
async fn many_connections_wait_for_a_tunnel_that_is_busy() {
    let place = Place::new().await;
    let (_far, key) = far(&place, echo().await, "").await;
    let (near, address) = near(&place, &key, "").await;
    near.signal("-STOP").await;
    let mut streams = Vec::new();
    for _ in 0..300 {
        streams.push(timeout(DEADLINE, TcpStream::connect(&address)).await.expect("it may wait").unwrap());
    }
    near.signal("-CONT").await;
    for stream in &mut streams {
        stream.write_all(b"hello").await.unwrap();
    }
    for stream in &mut streams {
        let mut came = [0; 5];
        timeout(DEADLINE, stream.read_exact(&mut came)).await.unwrap().unwrap();
        assert_eq!(&came, b"hello");
    }
}

#[tokio::test]
async fn a_tunnel_lets_only_so_many_in_at_once() {
    let place = Place::new().await;
    let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (_far, key) = far(&place, target.local_addr().unwrap().port(), "--connections 1").await;
    let (first, address) = near(&place, &key, "").await;
    let _tcp = TcpStream::connect(&address).await.unwrap();
    let _served = timeout(DEADLINE, target.accept()).await.unwrap().unwrap();

    let (_second, address) = near(&place, &key, "").await;
    let _waiting = TcpStream::connect(&address).await.unwrap();
    // Its turn comes when the first one is gone, and not before.
    let early = timeout(std::time::Duration::from_secs(2), target.accept()).await;
    assert!(early.is_err(), "{early:?}");
    first.signal("-INT").await;
    first.end().await.ended(0);
    timeout(DEADLINE, target.accept()).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_tunnel_carries_udp_of_several_sources() {
    let place = Place::new().await;
    let echo = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = echo.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut buffer = [0; 2000];
        while let Ok((length, source)) = echo.recv_from(&mut buffer).await {
            echo.send_to(&buffer[..length], source).await.unwrap();
        }
    });
    let (_far, key) = far(&place, port, "--udp").await;
    let (_near, address) = near(&place, &key, "--udp").await;
    let mut sources = Vec::new();
    for text in ["one", "another"] {
        let source = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        source.connect(&address).await.unwrap();
        // Too large for a connection: dropped, and nothing else with it.
        source.send(&[0; 5000]).await.unwrap();
        sources.push((source, text));
    }
    for _ in 0..2 {
        for (source, text) in &sources {
            source.send(text.as_bytes()).await.unwrap();
            let mut came = [0; 100];
            let length = timeout(DEADLINE, source.recv(&mut came)).await.unwrap().unwrap();
            assert_eq!(&came[..length], text.as_bytes());
        }
    }
}

/// How long a line is waited for before it is said again.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(1);

/// A swarm, and what it prints; its standard input stays open.
struct Swarm {
    child: tokio::process::Child,
    events: tokio::io::Lines<tokio::io::BufReader<tokio::process::ChildStdout>>,
}

impl Swarm {
    fn start(place: &Place, topic: &str) -> Self {
        let mut command = Command::new(TOOL);
        command.args(place.arguments("swarm")).arg(topic).kill_on_drop(true);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let events = tokio::io::BufReader::new(child.stdout.take().unwrap());
        Self { child, events: tokio::io::AsyncBufReadExt::lines(events) }
    }

    /// Waits for an event of a kind, and returns it.
    async fn event(&mut self, kind: &str) -> Value {
        loop {
            let line = timeout(DEADLINE, self.events.next_line()).await.unwrap().unwrap().unwrap();
            let event: Value = serde_json::from_str(&line).unwrap();
            if event["event"] == kind {
                return event;
            }
        }
    }

    async fn say(&mut self, line: &[u8]) {
        self.child.stdin.as_mut().unwrap().write_all(line).await.unwrap();
    }
}

#[tokio::test]
async fn lines_of_a_swarm_reach_all_its_peers() {
    let place = Place::new().await;
    let mut peers: Vec<_> = (0..3).map(|_| Swarm::start(&place, "a room")).collect();
    let mut keys = Vec::new();
    for peer in &mut peers {
        keys.push(peer.event("joined").await["public_key"].clone());
    }
    let [first, others @ ..] = &mut peers[..] else { unreachable!("there are three") };
    for other in &mut *others {
        // Where both sides have dialled, one connection takes the place of another, and what is said
        // meanwhile is lost.
        let message = loop {
            first.say(b"hello\n").await;
            if let Ok(message) = timeout(PATIENCE, other.event("message")).await {
                break message;
            }
        };
        assert_eq!((&message["public_key"], &message["text"]), (&keys[0], &json!("hello")));
    }
    first.say(b"\xff is not text\nthe end\n").await;
    for other in others {
        let mut texts = Vec::new();
        while texts.last() != Some(&json!("the end")) {
            texts.push(other.event("message").await["text"].clone());
        }
        assert!(texts.contains(&json!("\u{fffd} is not text")), "{texts:?}");
    }
    // The end of standard input is not the end of the talk.
    drop(peers[1].child.stdin.take());
    peers[2].say(b"still there?\n").await;
    assert_eq!(peers[1].event("message").await["text"], "still there?");
    let pid = peers[0].child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().await.unwrap().success());
    assert_eq!(timeout(DEADLINE, peers[0].child.wait()).await.unwrap().unwrap().code(), Some(0));
    assert_eq!(peers[1].event("disconnected").await["public_key"], keys[0]);
}

/// It would fill the memory, or the screen.
#[tokio::test]
async fn a_peer_of_a_swarm_that_sends_too_much_at_once_is_cut_off() {
    let place = Place::new().await;
    let mut swarm = Swarm::start(&place, "a room");
    let key: PublicKey = string(&swarm.event("joined").await["public_key"]).parse().unwrap();
    let node = &place.network.nodes()[1];
    let dial = async {
        loop {
            // It is announced soon after it has printed its key.
            match node.connect(key).await {
                Err(ConnectError::NotFound { .. }) => {}
                connection => break connection.unwrap(),
            }
        }
    };
    let mut connection = timeout(DEADLINE, dial).await.unwrap();
    connection.write_message(&vec![b'x'; 64 << 10]).await.unwrap();
    assert_eq!(string(&swarm.event("message").await["text"]).len(), 64 << 10);
    // It may be reset before all of this is queued.
    let _ = connection.write_message(&vec![b'x'; (64 << 10) + 1]).await;
    let left = swarm.event("disconnected").await;
    assert!(left["message"].is_string(), "{left}");
}

#[tokio::test]
async fn each_failure_has_its_exit_code() {
    let place = Place::new().await;
    for usage in ["ping", "pipe", "tunnel --listen --to localhost:22", "put x --mutable", "lookup", "get zz"]
    {
        place.run(usage).await.ended(2);
    }
    place.run("whoami").await.failed(2, "usage");
    place.run("tunnel --listen --to nowhere.invalid:1 --allow-anyone").await.failed(2, "usage");
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let key = place.key("identity").await;
    let at = taken.local_addr().unwrap();
    place.run(&format!("tunnel {key} --at {at}")).await.failed(2, "usage");
    std::fs::write(place.path("damaged"), "no key").unwrap();
    place.run(&format!("lookup room --identity {}", place.path("damaged"))).await.failed(7, "identity");

    let mut waiting = pipe(&place, "--listen").spawn().unwrap();
    let mut line = String::new();
    let mut errors = tokio::io::BufReader::new(waiting.stderr.take().unwrap());
    tokio::io::AsyncBufReadExt::read_line(&mut errors, &mut line).await.unwrap();
    let pid = waiting.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().await.unwrap().success());
    let ended = timeout(DEADLINE, waiting.wait()).await.unwrap().unwrap();
    assert_eq!(ended.code(), Some(130));
}

/// A server that takes connections and resets them.
#[tokio::test]
async fn a_pipe_that_is_cut_off_is_no_success() {
    let place = Place::new().await;
    let dht = Dht::builder().bootstrap([&place.bootstrap]).bind("127.0.0.1:0").spawn().await.unwrap();
    let server = dht.listen(KeyPair::generate()).await.unwrap();
    let key = server.public_key().to_z32();
    let piping = pipe(&place, &key).spawn().unwrap();
    let mut connection = timeout(DEADLINE, server.accept()).await.unwrap().unwrap();
    connection.write_message(b"half").await.unwrap();
    timeout(DEADLINE, connection.proven()).await.unwrap().unwrap();
    connection.abort();
    let output = timeout(DEADLINE, piping.wait_with_output()).await.unwrap().unwrap();
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    dht.close().await;
}
