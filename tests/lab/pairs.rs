//! Every pair of homes: who reaches whom.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::homes::{Kind, Lab, runs};
use super::support::reference_installed;
use Way::{Direct, Lan, NoPath};

/// How a client's visit ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// With the profile stored, by a direct path.
    Direct,
    /// Likewise, by the local network.
    Lan,
    /// With exit code 4: both sides shook hands, and no path carries packets.
    NoPath,
}

/// By the server's home, then by the client's, each in the order of [`Kind::ALL`].
const TABLE: [[Way; 5]; 5] = [
    // open, cone, restricted, random, same
    [Direct, Direct, Direct, Direct, Direct],
    [Direct, Direct, Direct, Direct, Lan],
    [Direct, Direct, Direct, Direct, Lan],
    [Direct, Direct, Direct, NoPath, Lan],
    [Direct, Lan, Lan, Lan, Lan],
];

/// Pairs that are also tried on a path that loses packets.
const LOSSY: [(Kind, Kind); 3] = [
    (Kind::Open, Kind::Restricted),
    (Kind::Restricted, Kind::Restricted),
    (Kind::Cone, Kind::Random),
];

/// Whose programs run in the two homes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peers {
    Ours,
    TheirServer,
    TheirClient,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_pair_ends_as_the_table_says() {
    let Some(lab) = Lab::start().await else {
        return;
    };
    let mut times = Vec::new();
    for (server, client, way) in table() {
        let taken = tries(&lab, Peers::Ours, (server, client), way, 0).await;
        times.push(((server, client), way, taken));
    }
    print("our server and our client", &times);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_pair_that_connects_does_so_with_the_reference() {
    if !reference_installed() {
        return;
    }
    for peers in [Peers::TheirServer, Peers::TheirClient] {
        let Some(lab) = Lab::start().await else {
            return;
        };
        let mut times = Vec::new();
        for (server, client, way) in table() {
            // Inside of a cone's home the reference's client goes to the public address, which leads nowhere.
            let lost = peers == Peers::TheirClient && (server, client) == (Kind::Cone, Kind::Same);
            if way != NoPath && !lost {
                let taken = tries(&lab, peers, (server, client), way, 0).await;
                times.push(((server, client), way, taken));
            }
        }
        print(&format!("{peers:?}"), &times);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_loses_one_packet_in_twenty_only_takes_longer() {
    let Some(lab) = Lab::start().await else {
        return;
    };
    let mut times = Vec::new();
    for pair in LOSSY {
        let taken = tries(&lab, Peers::Ours, pair, Direct, 5).await;
        times.push((pair, Direct, taken));
    }
    print("5 % loss in both homes", &times);
}

/// Lets a client visit a server, as often as asked for, and returns how long connecting took, or the whole program where it does not tell.
async fn tries(
    lab: &Lab,
    peers: Peers,
    (server, client): (Kind, Kind),
    way: Way,
    loss: u32,
) -> Vec<Duration> {
    lab.pair(server, client);
    if loss > 0 {
        lab.lose("server", loss);
        lab.lose("client", loss);
    }
    let mut times = Vec::new();
    for run in 0..runs() {
        let name = format!("{peers:?}-{}-{}-{loss}-{run}", server.name(), client.name());
        let (process, key) = match peers {
            Peers::TheirServer => {
                let arguments = [lab.bootstrap.as_str()];
                let mut server = lab.script("server", "profile-server.mjs", &arguments);
                let key = server.event("key").await;
                (server, key)
            }
            _ => lab.server("server", &name, &[]).await,
        };
        let start = Instant::now();
        let words = ["register", "--name", "Ada"];
        let (code, output) = match peers {
            Peers::TheirClient => lab.javascript_client("client", &key, &words).await,
            _ => lab.client("client", &key, &words).await,
        };
        let mut taken = start.elapsed();
        let (expected, path) = match way {
            Direct => (0, "direct"),
            Lan => (0, "lan"),
            NoPath => (4, ""),
        };
        assert_eq!(code, expected, "{name}: {output}");
        // The reference's client tells nothing but the outcome.
        if peers != Peers::TheirClient {
            let told: Value = serde_json::from_str(&output).unwrap();
            let report = &told["report"];
            let kind = report["path"]["kind"].as_str().unwrap_or_default();
            // Neighbours of the reference meet at the public address as well.
            if peers == Peers::Ours || path.is_empty() {
                assert_eq!(kind, path, "{name}: {told:#}");
            }
            taken = Duration::from_secs_f64(report["total"].as_f64().unwrap() / 1e3);
        }
        times.push(taken);
        drop(process);
    }
    lab.part();
    times
}

fn table() -> impl Iterator<Item = (Kind, Kind, Way)> {
    let rows = Kind::ALL.into_iter().zip(TABLE);
    rows.flat_map(|(server, row)| {
        let cells = Kind::ALL.into_iter().zip(row);
        cells.map(move |(client, way)| (server, client, way))
    })
}

/// Prints a row per pair: for people; nothing is asserted about times.
fn print(title: &str, rows: &[((Kind, Kind), Way, Vec<Duration>)]) {
    let mut text = format!(
        "{title}: server, client, outcome, median and slowest of {}\n",
        runs()
    );
    for ((server, client), way, times) in rows {
        let mut times = times.clone();
        times.sort_unstable();
        let ms = |time: Option<&Duration>| time.map_or(0, Duration::as_millis);
        let (median, slowest) = (ms(times.get(times.len() / 2)), ms(times.last()));
        text.push_str(&format!(
            "  {:<10} {:<10} {way:<7?} {median:>6} ms {slowest:>6} ms\n",
            server.name(),
            client.name(),
        ));
    }
    eprint!("{text}");
}
