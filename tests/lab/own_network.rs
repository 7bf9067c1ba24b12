//! A network of one's own as a person starts it: what `dht-node` prints, who can join, and hosts with several
//! addresses.

use serde_json::Value;

use super::homes::{CLIENT, Ground, Lab};
use super::support::{Process, reference_installed};

/// The section of the README, line by line, on the hosts that it names.
#[tokio::test(flavor = "multi_thread")]
async fn the_network_of_the_readme_runs_from_other_hosts() {
    let Some(lab) = Lab::start_on(Ground::Readme).await else {
        return;
    };
    let readme = include_str!("../../README.md");
    let section = readme.split("\n## Run your own network").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let lines: Vec<&str> = section.lines().filter_map(|l| l.strip_prefix("    ")).collect();
    let mut commands = lines.iter().filter_map(|line| line.strip_prefix("$ "));

    let mut first = lab.shell("d1", commands.next().unwrap());
    // All that it prints is in the README.
    let printed = lines[1..].iter().take_while(|line| !line.starts_with("$ "));
    let mut printed: Vec<&str> = printed.copied().collect();
    printed.sort_unstable();
    assert_eq!(first.sorted_lines(printed.len()).await, printed);
    let mut second = lab.shell("d2", commands.next().unwrap());
    assert_eq!(second.first_line().await, "192.0.2.2:49737");
    let mut server = lab.shell("d3", commands.next().unwrap());
    let key = server.first_line().await;
    let client = commands.next().unwrap().replace("KEY", &key);
    let register = format!("{client} register --name Ada");
    let output = lab.shell("d4", &register).success().await;
    assert!(output.contains("Ada") && output.contains("version: 1"), "{output}");
    assert_eq!(commands.next(), None, "every line of the section has run");

    assert_eq!(nodes_seen(&lab, "192.0.2.1:49737").await, 6);
}

/// Every form of the first command shows its nodes to another host, or names the argument to change.
#[tokio::test(flavor = "multi_thread")]
async fn every_form_of_the_first_command_shows_its_nodes_to_other_hosts() {
    for (arguments, address) in [
        ("--nodes 5", "192.0.2.1:49737"),
        ("--nodes 5 --bind 0.0.0.0:4000", "192.0.2.1:4000"),
        ("--nodes 5 --bind 192.0.2.1", "192.0.2.1:49737"),
        ("--nodes 5 --public 192.0.2.1", "192.0.2.1:49737"),
        ("--nodes 5 --bind 192.0.2.1:4001 --public 192.0.2.1", "192.0.2.1:4001"),
        ("--nodes 5 --public 192.0.2.9", "192.0.2.9:49737"),
    ] {
        let Some(lab) = Lab::start_on(Ground::Readme).await else {
            return;
        };
        lab.also("d1", "192.0.2.9");
        let line = format!("dht-node --new-network {arguments}");
        let mut node = lab.shell("d1", &line);
        assert_eq!(node.first_line().await, address, "{arguments}");
        for _ in 1..5 {
            node.first_line().await;
        }
        assert_eq!(nodes_seen(&lab, address).await, 5, "{arguments}");
        let (_server, key) = server_on(&lab, "d2", address).await;
        let client = format!("profile-client --bootstrap {address} --server {key} register --name A");
        lab.shell("d3", &client).success().await;
    }
    let Some(lab) = Lab::start_on(Ground::Readme).await else {
        return;
    };
    for (arguments, code) in [
        ("--public 127.0.0.1", 2),
        ("--public 0.0.0.0", 2),
        ("--public 255.255.255.255", 2),
        // Nothing comes back from there: the nodes do not even reach each other.
        ("--nodes 2 --public 192.0.2.77", 12),
    ] {
        let line = format!("dht-node --new-network {arguments}");
        let (ended, _) = lab.shell("d1", &line).end().await;
        assert_eq!(ended, code, "{arguments}");
    }
}

/// A host with two addresses, asked at the one that its routes do not prefer.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_with_two_addresses_answers_from_the_one_that_was_asked() {
    let Some(lab) = Lab::start_on(Ground::Readme).await else {
        return;
    };
    lab.also("d1", "192.0.2.9");
    lab.also("d2", "192.0.2.8");
    let mut node = lab.shell("d1", "dht-node --new-network");
    node.first_line().await;
    // Through the other address of the node, and to the other address of the server.
    let bootstrap = "192.0.2.9:49737";
    let (_server, key) = server_on(&lab, "d2", bootstrap).await;
    let client = format!("profile-client --server {key}");
    let through = format!("{client} --bootstrap {bootstrap} register --name A");
    lab.shell("d3", &through).success().await;
    for address in ["192.0.2.2", "192.0.2.8"] {
        let straight = format!("{client} --server-addr {address}:4000 show");
        lab.shell("d3", &straight).success().await;
    }
    // And on the host itself.
    let local = format!("{client} --server-addr 127.0.0.2:4000 register --name B");
    lab.shell("d2", &local).success().await;
}

/// The nodes are known by an address that others reach, and programs beside them may still join through
/// loopback.
#[tokio::test(flavor = "multi_thread")]
async fn programs_on_the_host_of_the_nodes_meet_through_loopback() {
    let Some(lab) = Lab::start_on(Ground::Readme).await else {
        return;
    };
    let mut nodes = lab.shell("d1", "dht-node --new-network --nodes 3");
    nodes.first_line().await;
    let (_server, key) = server_on(&lab, "d1", "127.0.0.1:49737").await;
    let client = format!("profile-client --server {key} --local register --name A");
    lab.shell("d1", &client).success().await;
}

/// The reference answers from whatever address the system chooses.
#[tokio::test(flavor = "multi_thread")]
async fn a_bootstrap_node_of_the_reference_on_a_host_with_two_addresses_is_of_use() {
    if !reference_installed() {
        return;
    }
    let Some(lab) = Lab::start_on(Ground::Readme).await else {
        return;
    };
    lab.also("d1", "192.0.2.9");
    let arguments = ["1", "49737", "--host", "192.0.2.1", "--bind", "0.0.0.0"];
    let mut first = lab.script("d1", "testnet.mjs", &arguments);
    first.event("bootstrap").await;
    let bootstrap = "192.0.2.9:49737";
    let (_server, key) = server_on(&lab, "d2", bootstrap).await;
    let client = format!("profile-client --server {key} --bootstrap {bootstrap}");
    lab.shell("d3", &format!("{client} register --name A")).success().await;
}

/// Starts a profile server on port 4000 of a host that joins through an address.
async fn server_on(lab: &Lab, host: &str, bootstrap: &str) -> (Process, String) {
    let bind = match bootstrap.starts_with("127.") {
        true => "127.0.0.1",
        false => "0.0.0.0",
    };
    let line = format!("profile-server --quiet --bootstrap {bootstrap} --bind {bind}:4000");
    let mut server = lab.shell(host, &line);
    let key = server.first_line().await;
    (server, key)
}

/// Returns how many nodes a host sees that joins through an address.
async fn nodes_seen(lab: &Lab, bootstrap: &str) -> u64 {
    let words = ["doctor", "--json", "--bootstrap", bootstrap];
    let (_, output) = lab.program("d4", CLIENT, &words).end().await;
    let output: Value = serde_json::from_str(&output).unwrap();
    let checks = output["checks"].as_array().unwrap().iter();
    let nodes = checks.filter_map(|check| check["data"]["nodes"].as_u64()).max();
    nodes.unwrap_or_default()
}
