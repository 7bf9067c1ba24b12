//! Networks of one's own: every pair of homes over few nodes, over nodes of one subnet or one host, and over
//! the reference's.

use serde_json::Value;

use super::homes::{Ground, Kind, Lab};
use super::pairs::{Peers, Way, rows, try_all_on};
use super::support::reference_installed;

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn every_pair_over_four_nodes_in_one_subnet() {
    every_pair(Ground::Subnet).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn every_pair_over_five_nodes_in_one_process() {
    every_pair(Ground::OneHost).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn every_pair_over_two_nodes() {
    every_pair(Ground::Two).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn every_pair_over_one_node() {
    every_pair(Ground::One).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn every_pair_over_nodes_of_the_reference_in_one_subnet() {
    every_pair(Ground::Theirs).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn every_pair_over_nodes_of_both_kinds_in_one_subnet() {
    every_pair(Ground::Mixed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn every_pair_in_the_private_network_of_a_carrier() {
    every_pair(Ground::Private).await;
}

/// A second or third node would show that the client's router gives out random ports, and the client be
/// punched to as such.
#[tokio::test(flavor = "multi_thread")]
async fn a_failure_for_want_of_nodes_is_called_so() {
    let Some(lab) = Lab::start_on(Ground::One).await else {
        return;
    };
    lab.pair(Kind::Restricted, Kind::Random);
    let (_server, key) = lab.server("server", "few", &[]).await;
    let words = ["register", "--name", "Ada"];
    let (code, output) = lab.client_within("30s", "client", &key, &words).await;
    let output: Value = serde_json::from_str(&output).unwrap();
    let lost = output["report"]["punch"]["lost"].as_str().unwrap_or_default();
    assert!(code == 4 && lost.contains("too few nodes"), "{output:#}");
}

async fn every_pair(ground: Ground) {
    for peers in [Peers::Ours, Peers::TheirServer, Peers::TheirClient] {
        if peers != Peers::Ours && !reference_installed() {
            return;
        }
        let title = format!("{peers:?} over {}", ground.name());
        let rows = rows(peers).filter_map(|row| expected(ground, peers, row));
        try_all_on(ground, &title, peers, rows, 0).await;
    }
}

/// Returns how a pair ends over some nodes, or nothing where that is luck.
fn expected(ground: Ground, peers: Peers, row: (Kind, Kind, Way)) -> Option<(Kind, Kind, Way)> {
    let (server, client, way) = row;
    if !matches!(ground, Ground::One | Ground::Two) || way == Way::Lan {
        return Some(row);
    }
    let random = [server, client].contains(&Kind::Random);
    match peers {
        // What one node sees of a random NAT looks like any other.
        Peers::Ours => match (ground, server, client) {
            (Ground::One, Kind::Random, Kind::Restricted) | (Ground::One, Kind::Restricted, Kind::Random) => {
                Some((server, client, Way::NoPath))
            }
            _ => Some(row),
        },
        // The reference does not judge a NAT by fewer than three nodes: its servers do not punch then, and
        // its clients only if the server knows better.
        Peers::TheirServer => None,
        Peers::TheirClient => (!random).then_some(row),
    }
}
