//! How a client finds its server, and what it reports about that.

use std::net::UdpSocket;

use hyperprofile::{KeyPair, Testnet};

use crate::harness::{CLIENT, Outcome, Person, Running, SERVER, run, text};

#[tokio::test]
async fn the_way_to_the_server_is_explained() {
    let world = World::start(&[]).await;
    let ada = Person::new();
    let line =
        format!("--explain --server {} --bootstrap {} register --name Ada", world.key, world.bootstrap);
    let report = ada.run(&line).await.ended(0).json()["report"].clone();
    assert_eq!(report["path"]["kind"], "direct", "{report:#}");
    assert_eq!(report["stage"], "path");
    assert!(report["lookup"]["records_found"].as_u64().unwrap() > 0);
    let through = report["handshake"]["through"].as_array().unwrap();
    assert!(through.iter().any(|node| node["answered"].is_number()));
    let connection = &report["connection"];
    assert!(connection["round_trip"].as_f64() > Some(0.0), "{connection}");
    assert!(connection["bytes_sent"].as_u64() > Some(100), "{connection}");
    assert!(connection["packets_received"].as_u64() > Some(1), "{connection}");
    assert!(connection["packet_payload"].as_u64() >= Some(1000), "{connection}");

    let identity = ada.path("identity");
    let arguments = ["--identity", text(&identity), "--explain", "--server", &world.key];
    let output = run(CLIENT, &[&arguments[..], &["--bootstrap", &world.bootstrap]].concat()).await;
    let output = output.ended(0);
    let steps = ["lookup: ", "handshake through 127.0.0.1:", "connected: directly to 127.0.0.1:"];
    for words in steps.into_iter().chain([" -  round trip ", " packets sent, 0 of them lost, "]) {
        assert!(output.stderr.contains(words), "{words}: {output:?}");
    }
    assert!(!output.stdout.contains("handshake"), "standard output is for the profile");
}

#[tokio::test]
async fn a_failure_is_explained_by_the_stage_that_it_came_to() {
    let network = Testnet::new(5).await.unwrap();
    let bootstrap = network.bootstrap().remove(0);
    let (ada, nobody) = (Person::new(), KeyPair::from_seed(&[9; 32]));
    let key = nobody.public_key();
    let line = format!("--explain --server {key} --bootstrap {bootstrap} show");
    let outcome = ada.run(&line).await.ended(3).json();
    assert_eq!(outcome["report"]["stage"], "lookup");
    assert_eq!(outcome["report"]["path"], serde_json::Value::Null);

    let line = format!("--explain --server {key} --bootstrap 127.0.0.1:{} show", free_port());
    let outcome = ada.run(&line).await.ended(12).json();
    assert_eq!(outcome["report"]["stage"], "bootstrap");
}

#[tokio::test]
async fn a_server_at_a_known_address_needs_no_dht() {
    let address = format!("127.0.0.1:{}", free_port());
    let world = World::start(&["--bind", &address]).await;
    world.network.close().await;
    let ada = Person::new();
    let line = format!("--server {} --server-addr {address} register --name Ada", world.key);
    ada.run(&line).await.ended(0);

    // The program at that address has to prove the key.
    let other = KeyPair::from_seed(&[9; 32]);
    let line = format!("--server {} --server-addr {address} show", other.public_key());
    ada.run(&line).await.failed(4, "no_path");
    // Where nobody is at all, nothing is said of the DHT, which was not asked.
    let nowhere = format!("127.0.0.1:{}", free_port());
    let outcome = ada.run(&format!("--server {} --server-addr {nowhere} show", world.key)).await.ended(4);
    let message = outcome.json()["error"]["message"].to_string();
    assert!(message.contains(&nowhere) && !message.contains("announced"), "{message}");
    // Nor does the doctor ask it.
    let doctor = |at: String| format!("--server {} --server-addr {at} doctor", world.key);
    let names = |outcome: &Outcome| -> Vec<String> {
        let checks = outcome.json()["checks"].clone();
        checks.as_array().unwrap().iter().map(|check| check["check"].as_str().unwrap().into()).collect()
    };
    let healthy = ada.run(&doctor(address.clone())).await.ended(0);
    assert_eq!(names(&healthy), ["lan", "handshake", "path"], "{healthy:?}");
    let silent = ada.run(&doctor(nowhere.clone())).await.ended(4);
    assert_eq!(names(&silent), ["lan", "handshake"], "{silent:?}");
    assert!(silent.stdout.contains("compare the address"), "{silent:?}");
    let line = format!("--server {} --server-addr {address} --local show", world.key);
    ada.run(&line).await.ended(2);
}

#[tokio::test]
async fn a_server_that_was_reached_is_found_again_without_its_bootstrap_nodes() {
    let world = World::start(&[]).await;
    let (ada, eve) = (Person::new(), Person::new());
    let line = format!("--server {} --bootstrap {}", world.key, world.bootstrap);
    ada.run(&format!("{line} register --name Ada")).await.ended(0);

    world.network.nodes()[0].close().await;
    ada.run(&format!("{line} show")).await.ended(0);
    eve.run(&format!("{line} show")).await.failed(12, "no_network");

    // A damaged file counts as empty.
    std::fs::write(ada.path("cache/profile-client/routes"), "nonsense").unwrap();
    ada.run(&format!("{line} show")).await.failed(12, "no_network");
}

#[tokio::test]
async fn a_server_is_reached_through_the_nodes_that_stand_beside_its_key() {
    let world = World::start(&[]).await;
    let nodes: Vec<_> = world.network.nodes()[1..].iter().map(|node| node.local_addr()).collect();
    let key = world.key.parse::<hyperprofile::PublicKey>().unwrap();
    let address = hyperprofile::ConnectAddress::new(key, nodes).unwrap();
    world.network.nodes()[0].close().await;
    let (ada, eve) = (Person::new(), Person::new());
    let line =
        |server: &str| format!("--server {server} --bootstrap {} register --name Ada", world.bootstrap);
    eve.run(&line(&world.key)).await.failed(12, "no_network");
    ada.run(&line(&address.to_string())).await.ended(0);
    // What is remembered of a server is remembered under its key.
    ada.run(&format!("--server {} --bootstrap {} show", world.key, world.bootstrap)).await.ended(0);

    let wrong = ada.run(&line(&format!("{}@127.0.0.1:0", world.key))).await.ended(2);
    assert!(wrong.stderr.contains("no node has the address 127.0.0.1:0"), "{wrong:?}");
}

#[tokio::test]
async fn remembered_nodes_that_are_gone_do_no_harm() {
    let world = World::start(&[]).await;
    let ada = Person::new();
    let file = ada.path("cache/profile-client/routes");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let line = format!("--server {} --bootstrap {}", world.key, world.bootstrap);
    ada.run(&format!("{line} register --name Ada")).await.ended(0);
    let memory = std::fs::read_to_string(&file).unwrap();
    let (network, _) = memory.split_once(&world.key).unwrap();
    let gone = format!("{network}{} 127.0.0.1:{}\n", world.key, free_port());
    std::fs::write(&file, &gone).unwrap();
    ada.run(&format!("{line} show")).await.ended(0);
    let now = std::fs::read_to_string(&file).unwrap();
    assert!(now.starts_with(network) && now != gone, "{now}");
}

#[tokio::test]
async fn the_doctor_finds_nothing_wrong_in_a_healthy_network() {
    let world = World::start(&[]).await;
    let ada = Person::new();
    let line = format!("--bootstrap {} --server {} doctor", world.bootstrap, world.key);
    let output = ada.run(&line).await.ended(0).json();
    let checks = output["checks"].as_array().unwrap();
    let names: Vec<_> = checks.iter().map(|check| check["check"].as_str().unwrap()).collect();
    let expected = ["udp", "bootstrap", "address", "nat", "lan", "reachable", "lookup", "handshake", "path"];
    assert_eq!(names, expected, "{output:#}");
    assert!(checks.iter().all(|check| check["ok"] == true), "{output:#}");
    assert!(checks[3]["data"]["samples"].as_array().unwrap().len() >= 3);
    let output = run(CLIENT, &["--bootstrap", &world.bootstrap, "doctor"]).await.ended(0);
    assert_eq!(output.stdout.matches("ok   ").count(), 6, "{output:?}");
}

#[tokio::test]
async fn the_doctor_ends_with_the_code_of_the_first_thing_that_is_wrong() {
    let network = Testnet::new(5).await.unwrap();
    let (ada, nobody) = (Person::new(), KeyPair::from_seed(&[9; 32]));
    let line = format!("--bootstrap 127.0.0.1:{} doctor", free_port());
    let output = ada.run(&line).await.ended(12).json();
    assert_eq!(output["failed"], "udp");
    assert!(output["checks"][0]["advice"].is_string());

    let bootstrap = network.bootstrap().remove(0);
    let line = format!("--bootstrap {bootstrap} --server {} doctor", nobody.public_key());
    let output = ada.run(&line).await.ended(3).json();
    assert_eq!(output["failed"], "lookup");
}

/// A network in this process, and a server in one of its own.
struct World {
    network: Testnet,
    bootstrap: String,
    key: String,
    _server: Running,
    _folder: tempfile::TempDir,
}

impl World {
    async fn start(extra: &[&str]) -> Self {
        let network = Testnet::new(5).await.unwrap();
        let bootstrap = network.bootstrap().remove(0);
        let folder = tempfile::tempdir().unwrap();
        let mut arguments = vec!["--data-dir", text(folder.path()), "--bootstrap", &bootstrap];
        arguments.extend(extra);
        let mut server = Running::start(SERVER, &arguments);
        let key = server.line().await;
        Self { network, bootstrap, key, _server: server, _folder: folder }
    }
}

/// Returns a port that is free at the moment.
fn free_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}

/// Connecting is not all that can take long.
#[tokio::test]
async fn the_timeout_bounds_a_visit_to_a_server_that_accepts_and_sends_nothing() {
    let network = Testnet::new(5).await.unwrap();
    let node = network.builder().spawn().await.unwrap();
    let server = node.listen(KeyPair::generate()).await.unwrap();
    let (key, bootstrap) = (server.public_key().to_z32(), network.bootstrap().remove(0));
    tokio::spawn(async move {
        let mut silent = Vec::new();
        while let Some(connection) = server.accept().await {
            silent.push(connection);
        }
    });
    let line = format!("--server {key} --bootstrap {bootstrap} --timeout 2s show");
    let outcome = Person::new().run(&line).await.ended(5);
    let message = outcome.json()["error"]["message"].to_string();
    assert!(message.contains("has not answered within 2s"), "{message}");
}
