//! The programs in a private network on this computer.

use std::net::UdpSocket;

use hyperprofile::{Dht, KeyPair, Testnet};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::{CLIENT, NODE, Outcome, Person, Running, SERVER, run, text};

/// A network in this process, and a server in one of its own.
pub(crate) struct World {
    pub(crate) network: Testnet,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) server: Running,
    pub(crate) key: String,
}

impl World {
    pub(crate) async fn start(extra: &[&str]) -> Self {
        let network = Testnet::new(5).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut server = serve(&network, folder.path(), extra);
        let key = server.line().await;
        Self { network, folder, server, key }
    }

    pub(crate) fn bootstrap(&self) -> String {
        self.network.bootstrap().remove(0)
    }

    /// Runs the client of a person.
    pub(crate) async fn client(&self, who: &Person, words: &str) -> Outcome {
        let at = format!("--server {} --bootstrap {}", self.key, self.bootstrap());
        who.run(&format!("{at} {words}")).await
    }

    /// Ends the server, changes its folder, and starts it again.
    pub(crate) async fn restart(self, extra: &[&str], change: impl FnOnce(&std::path::Path)) -> Self {
        let Self { network, folder, server, key } = self;
        server.signal("-TERM").await;
        server.end().await.ended(0);
        change(folder.path());
        let mut server = serve(&network, folder.path(), extra);
        assert_eq!(server.line().await, key);
        Self { network, folder, server, key }
    }
}

pub(crate) fn serve(network: &Testnet, folder: &std::path::Path, extra: &[&str]) -> Running {
    let bootstrap = network.bootstrap().remove(0);
    let mut arguments = vec!["--data-dir", text(folder), "--bootstrap", &bootstrap];
    arguments.extend(extra);
    Running::start(SERVER, &arguments)
}

/// Returns a port that is free at the moment.
fn free_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}

#[tokio::test]
async fn a_profile_lives_as_in_the_readme() {
    let world = World::start(&[]).await;
    let (ada, bob) = (Person::new(), Person::new());
    world.client(&ada, "").await.failed(8, "not_registered");
    world.client(&ada, "show").await.failed(8, "not_registered");
    world.client(&ada, "update --bio x").await.failed(8, "not_registered");
    world.client(&ada, "delete --yes").await.failed(8, "not_registered");

    let register = "register --name Ada --field town=London";
    let registered = world.client(&ada, register).await.ended(0).json();
    assert_eq!(registered["version"], 1);
    assert_eq!(registered["public_key"], ada.key().await);
    assert_eq!(registered["profile"]["fields"]["town"], "London");
    assert_eq!(world.client(&ada, "").await.ended(0).json(), registered);
    assert_eq!(world.client(&ada, "show").await.ended(0).json(), registered);
    // Unchanged, it is no failure; changed, it is.
    assert_eq!(world.client(&ada, register).await.ended(0).json(), registered);
    world.client(&ada, "register --name Eve").await.failed(9, "already_registered");

    let updated = world.client(&ada, "update --bio counts --unset town").await;
    let updated = updated.ended(0).json();
    assert_eq!(updated["version"], 2);
    assert_eq!(updated["profile"], serde_json::json!({"name": "Ada", "bio": "counts"}));

    let key = ada.key().await;
    world.client(&bob, "show").await.failed(8, "not_registered");
    let seen = world.client(&bob, &format!("lookup {key}")).await.ended(0).json();
    let mut expected = updated.clone();
    expected["from"] = "server".into();
    assert_eq!(seen, expected);

    let deleted = world.client(&ada, "delete --yes").await.ended(0).json();
    assert_eq!(deleted["deleted"], true);
    world.client(&bob, &format!("lookup {key}")).await.failed(8, "not_registered");
    let again = world.client(&ada, "register --name Ada").await.ended(0).json();
    assert_eq!(again["version"], 3);
}

#[tokio::test]
async fn a_server_ends_in_order_and_comes_back_as_itself() {
    for signal in ["-TERM", "-INT"] {
        let world = World::start(&[]).await;
        let ada = Person::new();
        let registered = world.client(&ada, "register --name Ada").await.ended(0).json();
        world.server.signal(signal).await;
        let ended = world.server.end().await.ended(0);
        assert_eq!(ended.stdout, "", "nothing but the key on standard output");

        let mut server = serve(&world.network, world.folder.path(), &["--json"]);
        let event: serde_json::Value = serde_json::from_str(&server.line().await).unwrap();
        assert_eq!(event["event"], "listening");
        assert_eq!(event["public_key"], world.key);
        assert_eq!(event["public_key_hex"].as_str().unwrap().len(), 64);
        let address = event["connect_address"].as_str().unwrap();
        assert!(address.starts_with(&format!("{}@127.0.0.1:", world.key)), "{address}");
        let bootstrap = world.network.bootstrap().remove(0);
        let line = format!("--server {} --bootstrap {bootstrap} show", world.key);
        assert_eq!(ada.run(&line).await.ended(0).json(), registered);
    }
}

#[tokio::test]
async fn several_clients_come_at_once() {
    let world = World::start(&[]).await;
    let people: Vec<_> = (0..6).map(|_| Person::new()).collect();
    let visits = people.iter().map(|who| world.client(who, "register --name Person"));
    let mut visits: Vec<_> = visits.map(Box::pin).collect();
    for visit in &mut visits {
        visit.as_mut().await.ended(0);
    }
    let (first, second) = tokio::join!(world.client(&people[0], "show"), world.client(&people[1], "show"));
    assert_ne!(first.ended(0).json()["public_key"], second.ended(0).json()["public_key"]);
}

#[tokio::test]
async fn two_servers_on_one_folder_cannot_be() {
    let world = World::start(&[]).await;
    let folder = text(world.folder.path());
    run(SERVER, &["--data-dir", folder]).await.ended(10);
    run(SERVER, &["--json", "--data-dir", folder]).await.failed(10, "storage");
    // Printing the key takes nothing from the running server.
    let key = run(SERVER, &["--data-dir", folder, "key"]).await.ended(0);
    assert_eq!(key.stdout.trim_end(), world.key);
}

#[tokio::test]
async fn what_the_operator_closes_is_refused() {
    let world = World::start(&["--registration", "closed", "--lookup", "closed"]).await;
    let ada = Person::new();
    world.client(&ada, "register --name Ada").await.failed(6, "closed");
    let line = format!("lookup {}", ada.key().await);
    world.client(&ada, &line).await.failed(6, "closed");
}

#[tokio::test]
async fn too_many_writes_are_refused() {
    let world = World::start(&["--writes-per-minute", "1"]).await;
    let ada = Person::new();
    world.client(&ada, "register --name Ada").await.ended(0);
    world.client(&ada, "update --bio x").await.failed(6, "too_many");
}

#[tokio::test]
async fn an_unknown_server_is_not_found() {
    let world = World::start(&[]).await;
    let ada = Person::new();
    let nobody = KeyPair::from_seed(&[9; 32]);
    let line = format!("--server {} --bootstrap {} show", nobody.public_key(), world.bootstrap());
    ada.run(&line).await.failed(3, "server_not_found");
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_times_out() {
    // Takes datagrams and answers none.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let ada = Person::new();
    let nobody = KeyPair::from_seed(&[9; 32]);
    let bootstrap = silent.local_addr().unwrap();
    let line = format!("--server {} --bootstrap {bootstrap} --timeout 50ms show", nobody.public_key());
    ada.run(&line).await.failed(5, "timed_out");
}

#[tokio::test]
async fn no_network_is_no_network() {
    let ada = Person::new();
    let nobody = KeyPair::from_seed(&[9; 32]);
    let bootstrap = format!("127.0.0.1:{}", free_port());
    let line = format!("--server {} --bootstrap {bootstrap} show", nobody.public_key());
    ada.run(&line).await.failed(12, "no_network");
    run(NODE, &["--bootstrap", &bootstrap]).await.ended(12);
}

#[tokio::test]
async fn a_port_held_by_something_else_is_named() {
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let local = format!("--local={port}");
    let outcome = run(SERVER, &[&local, "--data-dir", text(folder.path())]).await.ended(12);
    assert!(outcome.stderr.contains(&port.to_string()), "{outcome:?}");
}

#[tokio::test]
async fn a_private_network_is_started_once_and_then_joined() {
    let local = format!("--local={}", free_port());
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let mut first = Running::start(SERVER, &[&local, "--data-dir", text(folders[0].path())]);
    let first_key = first.line().await;
    let mut second = Running::start(SERVER, &[&local, "--data-dir", text(folders[1].path())]);
    let second_key = second.line().await;
    let ada = Person::new();
    for key in [first_key, second_key] {
        let line = format!("{local} --server {key} register --name Ada");
        ada.run(&line).await.ended(0);
    }
}

#[tokio::test]
async fn an_interrupted_client_reports_the_interruption() {
    let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let ada = Person::new();
    let bootstrap = silent.local_addr().unwrap().to_string();
    let key = KeyPair::from_seed(&[9; 32]).public_key().to_string();
    let identity = ada.path("identity");
    let arguments = ["--identity", text(&identity), "--server", &key, "--bootstrap", &bootstrap, "show"];
    let client = Running::start(CLIENT, &arguments);
    // Its first question shows that it is at work.
    silent.recv(&mut [0; 2048]).await.unwrap();
    client.signal("-INT").await;
    client.end().await.ended(130);
}

#[tokio::test]
async fn a_server_that_speaks_something_else_breaks_the_protocol() {
    let network = Testnet::new(5).await.unwrap();
    let dht: Dht = network.builder().spawn().await.unwrap();
    let key_pair = KeyPair::generate();
    let server = dht.listen(&key_pair).await.unwrap();
    tokio::spawn(async move {
        while let Some(mut connection) = server.accept().await {
            tokio::spawn(async move {
                let _ = connection.write_all(b"SSH-2.0-OpenSSH_9.9\r\n").await;
                let _ = connection.closed().await;
            });
        }
    });
    let ada = Person::new();
    let bootstrap = network.bootstrap().remove(0);
    let line = format!("--server {} --bootstrap {bootstrap} show", key_pair.public_key());
    ada.run(&line).await.failed(11, "protocol");
}

#[tokio::test]
async fn nodes_print_their_addresses_the_first_one_first() {
    let arguments = ["--new-network", "--bind", "127.0.0.1:0", "--nodes", "6"];
    let mut nodes = Running::start(NODE, &arguments);
    let first = nodes.line().await;
    for _ in 1..6 {
        let address: std::net::SocketAddrV4 = nodes.line().await.parse().unwrap();
        assert!(address.ip().is_loopback());
    }
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--bootstrap", &first, "--data-dir", text(folder.path())];
    let key = Running::start(SERVER, &arguments).line().await;
    assert_eq!(key.len(), 52);
    nodes.signal("-INT").await;
    nodes.end().await.ended(0);
}

#[tokio::test]
async fn the_demonstration_succeeds_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let shown = tokio::process::Command::new(CLIENT)
        .arg("demo")
        .env("TMPDIR", folder.path())
        .env("HOME", folder.path())
        .output()
        .await
        .unwrap();
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.status.success(), "{text}");
    for words in
        ["I do not know you yet", "hello, Ada Lovelace", "refused", "no connection", "as she left it"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert_eq!(text.matches('?').count(), 3, "the three questions: {text}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn two_v_show_debug_lines_by_module_and_one_does_not() {
    let quiet = run(CLIENT, &["demo", "-v"]).await.ended(0);
    assert!(!quiet.stderr.contains("DEBUG"), "{quiet:#?}");
    let verbose = run(CLIENT, &["demo", "-vv"]).await.ended(0);
    let expected = "DEBUG hyperprofile::profile::service";
    assert!(verbose.stderr.contains(expected), "{verbose:#?}");
}

#[tokio::test]
async fn a_node_serves_its_numbers() {
    let line = "--new-network --bind 127.0.0.1:0 --nodes 3 --json --metrics 127.0.0.1:0";
    let arguments: Vec<_> = line.split(' ').collect();
    let mut nodes = Running::start(NODE, &arguments);
    let metrics: serde_json::Value = serde_json::from_str(&nodes.line().await).unwrap();
    assert_eq!(metrics["event"], "metrics");
    let address = metrics["url"].as_str().unwrap();
    let address = address.strip_prefix("http://").unwrap();
    let address = address.strip_suffix("/metrics").unwrap().to_owned();
    let get = async |path: &str| {
        let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        response
    };
    for _ in 0..3 {
        let listening: serde_json::Value = serde_json::from_str(&nodes.line().await).unwrap();
        assert_eq!(listening["event"], "listening");
        let node = listening["address"].as_str().unwrap();
        let response = get("/metrics").await;
        assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
        let persistent = format!("hyperdht_persistent{{node=\"{node}\"}} 1\n");
        assert!(response.contains(&persistent), "{response}");
    }
    let response = get("/metrics").await;
    let sum = |name: &str| -> u64 {
        let lines = response.lines().filter(|line| line.starts_with(name));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    };
    assert!(sum("hyperdht_requests_received_total") > 0);
    assert!(sum("process_resident_memory_bytes") > 1 << 20);
    assert!(get("/").await.starts_with("HTTP/1.1 404"));
    nodes.signal("-TERM").await;
    nodes.end().await.ended(0);
}

#[tokio::test]
async fn a_node_finds_back_by_its_data_directory_after_the_bootstrap_node_has_gone() {
    let network = Testnet::new(5).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let bootstrap = network.bootstrap().remove(0);
    let arguments = ["--bootstrap", &bootstrap, "--data-dir", text(folder.path())];
    let mut node = Running::start(NODE, &arguments);
    node.line().await;
    node.signal("-TERM").await;
    node.end().await.ended(0);
    network.nodes()[0].close().await;
    let lost = run(NODE, &["--bootstrap", &bootstrap]).await;
    lost.ended(12);
    let mut node = Running::start(NODE, &arguments);
    node.line().await;
    node.signal("-TERM").await;
    node.end().await.ended(0);
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_used_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let arguments = ["--new-network", "--data-dir", text(file.path()), "--json"];
    run(NODE, &arguments).await.failed(10, "storage");
}
