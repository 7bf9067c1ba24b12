//! Networks that are broken in one way each: exit code and report of the client name the stage at which it
//! failed.

use serde_json::Value;

use super::homes::{CLIENT, Kind, Lab};
use super::support::reference_installed;

/// How a client ends: its exit code, the kind of the failure, and the stage in its report, empty once it was
/// connected.
type Ending = (i32, &'static str, &'static str);

#[tokio::test(flavor = "multi_thread")]
async fn networks_broken_on_the_way_to_the_dht_end_with_12() {
    let Some(lab) = Lab::start().await else {
        return;
    };
    let nobody = hyperprofile::KeyPair::from_seed(&[9; 32]);
    let key = nobody.public_key().to_z32();
    lab.home("open", "open", 1);
    lab.home("blocked", "blocked", 2);
    let ending = (12, "no_network", "bootstrap");
    // No host has that address; that name does not resolve; no UDP leaves that home.
    ends(&lab, "open", &key, &["--bootstrap", "25.0.99.1:49737"], ending).await;
    ends(&lab, "open", &key, &["--bootstrap", "no-such-name.invalid:49737"], ending).await;
    ends(&lab, "blocked", &key, &["--bootstrap", &lab.bootstrap], ending).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_are_not_there_end_with_3_and_those_that_do_not_want_us_with_6() {
    let Some(lab) = Lab::start().await else {
        return;
    };
    lab.pair(Kind::Restricted, Kind::Open);
    let network = ["--bootstrap", lab.bootstrap.as_str()];
    let nobody = hyperprofile::KeyPair::from_seed(&[9; 32]);
    let key = nobody.public_key().to_z32();
    ends(&lab, "client", &key, &network, (3, "server_not_found", "lookup")).await;

    // It is killed, so its announcement stays.
    let (server, key) = lab.server("server", "killed", &[]).await;
    drop(server);
    ends(&lab, "client", &key, &network, (3, "server_not_found", "handshake")).await;

    let (_server, key) = lab.server("server", "closed", &["--registration", "closed"]).await;
    ends(&lab, "client", &key, &network, (6, "closed", "")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn homes_that_let_nothing_through_end_with_4_or_5() {
    let Some(lab) = Lab::start().await else {
        return;
    };
    let network = ["--bootstrap", lab.bootstrap.as_str()];
    lab.pair(Kind::Random, Kind::Random);
    let (_server, key) = lab.server("server", "random", &[]).await;
    let report = ends(&lab, "client", &key, &network, (4, "no_path", "path")).await;
    assert_eq!(report["punch"]["own_nat"], "random");
    assert_eq!(report["punch"]["server_nat"], "random");
    lab.part();

    // In one home, behind the server's own firewall.
    lab.pair(Kind::Restricted, Kind::Same);
    lab.wall("server");
    let (_server, key) = lab.server("server", "wall", &[]).await;
    ends(&lab, "client", &key, &network, (4, "no_path", "path")).await;
    lab.part();

    lab.pair(Kind::Open, Kind::Restricted);
    let (_server, key) = lab.server("server", "slow", &[]).await;
    lab.lose("client", 99);
    let slow = ["--timeout", "2s", "--bootstrap", lab.bootstrap.as_str()];
    ends(&lab, "client", &key, &slow, (5, "timed_out", "bootstrap")).await;
}

/// One of the reference offers nothing to punch with then.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_the_reference_that_does_not_answer_at_its_claimed_address_ends_with_4() {
    if !reference_installed() {
        return;
    }
    let Some(lab) = Lab::start().await else {
        return;
    };
    lab.pair(Kind::Restricted, Kind::Restricted);
    let mut server = lab.script("server", "echo-server.mjs", &[&lab.bootstrap, "-", "open"]);
    let key = server.event("key").await;
    let network = ["--bootstrap", lab.bootstrap.as_str()];
    let report = ends(&lab, "client", &key, &network, (4, "no_path", "path")).await;
    assert!(report["punch"].is_null(), "{report:#}");
    let unanswered = &report["handshake"]["unanswered"]["address"];
    assert_eq!(*unanswered, report["handshake"]["server_address"]);

    let (code, output) = lab.client("client", &key, &["doctor"]).await;
    let output: Value = serde_json::from_str(&output).unwrap();
    assert_eq!((code, &output["failed"]), (4, &"path".into()), "{output:#}");
    let checks = output["checks"].as_array().unwrap();
    let path = checks.iter().find(|check| check["check"] == "path");
    let unanswered = &path.unwrap()["data"]["handshake"]["unanswered"];
    assert_eq!(unanswered["address"], report["handshake"]["server_address"], "{output:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_of_another_version_end_with_11_in_every_layer() {
    if !reference_installed() {
        return;
    }
    let Some(lab) = Lab::start().await else {
        return;
    };
    lab.pair(Kind::Restricted, Kind::Restricted);
    let network = ["--bootstrap", lab.bootstrap.as_str()];
    for (layer, stage, connected) in [
        ("handshake", "handshake", false),
        ("refusal", "handshake", false),
        // The connection stands; what is spoken over it is another thing.
        ("profile", "path", true),
    ] {
        let arguments = [lab.bootstrap.as_str(), layer];
        let mut server = lab.script("server", "another-version.mjs", &arguments);
        let key = server.event("key").await;
        let ending = (11, "incompatible", stage);
        let report = ends(&lab, "client", &key, &network, ending).await;
        assert_eq!(!report["path"].is_null(), connected, "{layer}: {report:#}");
        if !connected {
            let (code, output) = lab.client("client", &key, &["doctor"]).await;
            let output: Value = serde_json::from_str(&output).unwrap();
            assert_eq!((code, &output["failed"]), (11, &"handshake".into()), "{output:#}");
        }
    }
}

/// Runs the client and returns its report.
async fn ends(lab: &Lab, host: &str, key: &str, words: &[&str], ending: Ending) -> Value {
    let identity = lab.folder.path().join("identity-broken");
    let mut arguments = vec!["--json", "--explain", "--server", key, "--identity"];
    arguments.push(identity.to_str().unwrap());
    arguments.extend(words);
    arguments.extend(["register", "--name", "Ada"]);
    let (code, output) = lab.program(host, CLIENT, &arguments).end().await;
    let output: Value = serde_json::from_str(&output).unwrap();
    let kind = output["error"]["kind"].as_str().unwrap_or_default();
    let stage = output["report"]["stage"].as_str().unwrap_or_default();
    assert_eq!((code, kind, stage), ending, "{output:#}");
    output["report"].clone()
}
