//! Homes behind a provider's NAT.

use serde_json::Value;

use super::homes::{Kind, Lab};
use super::pairs::{Peers, Way, try_all};
use super::relays::{Whose, assert_relayed, relay};
use super::support::reference_installed;

/// A home behind a provider's router, with each kind that makes a difference.
const PAIRS: [(Kind, Kind, Way); 3] = [
    (Kind::Carrier, Kind::Carrier, Way::Direct),
    (Kind::Carrier, Kind::Restricted, Way::Direct),
    (Kind::Random, Kind::Carrier, Way::Direct),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn homes_behind_providers_of_their_own_connect_directly() {
    try_all("two routers in a row", Peers::Ours, PAIRS, 0).await;
    if reference_installed() {
        for peers in [Peers::TheirServer, Peers::TheirClient] {
            try_all(&format!("two routers in a row, {peers:?}"), peers, PAIRS, 0).await;
        }
    }
}

/// Their provider's router lets them reach no public address of its own, and neither knows what the other is
/// called between the two routers. Both homes use the same addresses, and both nodes the same port, so what
/// the server calls its local address is the client's own.
#[tokio::test(flavor = "multi_thread")]
async fn homes_behind_one_provider_meet_at_a_relay_and_nowhere_else() {
    let Some(lab) = Lab::start().await else {
        return;
    };
    let (_relay, relay) = relay(&lab, Whose::Ours).await;
    lab.neighbours();
    let bind = ["--bind", "0.0.0.0:49737"];
    let (_server, key) = lab.server("server", "neighbour", &bind).await;
    let words = ["register", "--name", "Ada"];
    let named = [&bind[..], &["--relay", &relay], &words].concat();
    let (code, output) = lab.client("client", &key, &named).await;
    assert_relayed(code, &output);

    let line = [&bind[..], &words].concat();
    let (code, output) = lab.client_within("30s", "client", &key, &line).await;
    let output: Value = serde_json::from_str(&output).unwrap();
    assert_eq!((code, &output["error"]["kind"]), (4, &"no_path".into()), "{output:#}");
    assert_eq!(output["report"]["punch"]["lost"], "no probe came through", "{output:#}");
}
