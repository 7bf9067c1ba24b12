//! Homes behind a provider's NAT.

use serde_json::Value;

use super::homes::{Kind, Lab};
use super::pairs::{Peers, Way, tries};
use super::relays::{Whose, assert_relayed, relay};
use super::support::reference_installed;

#[tokio::test(flavor = "multi_thread")]
async fn homes_behind_providers_of_their_own_connect_directly() {
    let Some(lab) = Lab::start().await else {
        return;
    };
    let mut peers = vec![Peers::Ours];
    if reference_installed() {
        peers.extend([Peers::TheirServer, Peers::TheirClient]);
    }
    for peers in peers {
        for pair in [
            (Kind::Carrier, Kind::Carrier),
            (Kind::Carrier, Kind::Restricted),
            (Kind::Random, Kind::Carrier),
        ] {
            let tried = tries(&lab, peers, pair, Way::Direct, 0).await;
            tried.assert();
        }
    }
}

/// Their provider's router lets them reach no public address of its own, and neither knows what the other is called between the two
/// routers. Both homes use the same addresses, and both nodes the same port, so what the server calls its local address is the client's own.
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
    let told: Value = serde_json::from_str(&output).unwrap();
    assert_eq!(
        (code, &told["error"]["kind"]),
        (4, &"no_path".into()),
        "{told:#}"
    );
    assert_eq!(
        told["report"]["punch"]["lost"], "no probe came through",
        "{told:#}"
    );
}
