//! Every pair of homes: who reaches whom.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinSet;

use super::homes::{Ground, Kind, Lab, runs};
use super::support::reference_installed;
use Way::{Direct, Lan, NoPath};

/// How a client's visit ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
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
const LOSSY: [(Kind, Kind); 3] =
    [(Kind::Open, Kind::Restricted), (Kind::Restricted, Kind::Restricted), (Kind::Cone, Kind::Random)];

/// Whose programs run in the two homes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peers {
    Ours,
    TheirServer,
    TheirClient,
}

/// What has come of a pair that was tried several times.
struct Tried {
    pair: (Kind, Kind),
    way: Way,
    /// How long connecting took, each time that it ended as it should.
    times: Vec<Duration>,
    failures: Vec<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn every_pair_ends_as_the_table_says() {
    try_all("our server and our client", Peers::Ours, rows(Peers::Ours), 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn every_pair_that_connects_does_so_with_a_server_of_the_reference() {
    if reference_installed() {
        let peers = Peers::TheirServer;
        try_all("the reference's server", peers, rows(peers), 0).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn every_pair_that_connects_does_so_with_a_client_of_the_reference() {
    if reference_installed() {
        let peers = Peers::TheirClient;
        try_all("the reference's client", peers, rows(peers), 0).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn a_path_that_loses_one_packet_in_twenty_only_takes_longer() {
    let rows = LOSSY.map(|(server, client)| (server, client, Direct));
    try_all("5 % loss in both homes", Peers::Ours, rows, 5).await;
}

/// Tries pairs in several labs at once, for most of the time is spent waiting, and prints a table of them.
pub(crate) async fn try_all(
    title: &str,
    peers: Peers,
    rows: impl IntoIterator<Item = (Kind, Kind, Way)>,
    loss: u32,
) {
    try_all_on(Ground::Spread, title, peers, rows, loss).await;
}

/// Likewise, over another DHT.
pub(crate) async fn try_all_on(
    ground: Ground,
    title: &str,
    peers: Peers,
    rows: impl IntoIterator<Item = (Kind, Kind, Way)>,
    loss: u32,
) {
    let queue: VecDeque<_> = rows.into_iter().enumerate().collect();
    let queue = Arc::new(Mutex::new(queue));
    let mut workers = JoinSet::new();
    for _ in 0..labs() {
        let queue = Arc::clone(&queue);
        workers.spawn(async move {
            let lab = Lab::start_on(ground).await?;
            let mut done = Vec::new();
            loop {
                let next = queue.lock().unwrap().pop_front();
                let Some((index, (server, client, way))) = next else {
                    return Some(done);
                };
                let tried = tries(&lab, peers, (server, client), way, loss).await;
                done.push((index, tried));
            }
        });
    }
    let done = workers.join_all().await.into_iter();
    let Some(done) = done.collect::<Option<Vec<_>>>() else {
        return;
    };
    let mut done: Vec<_> = done.into_iter().flatten().collect();
    done.sort_unstable_by_key(|(index, _)| *index);
    let mut text = format!("{title}: server, client, path, how often, median, 95th percentile, slowest\n");
    for (_, tried) in &done {
        text.push_str(&tried.row());
    }
    eprint!("{text}");
    for (_, tried) in &done {
        tried.assert();
    }
}

/// Lets a client visit a server, as often as asked for. Each visit has a server of its own: the reference's
/// refuses a second punch through a random NAT for a while.
async fn tries(lab: &Lab, peers: Peers, (server, client): (Kind, Kind), way: Way, loss: u32) -> Tried {
    lab.pair(server, client);
    if loss > 0 {
        lab.lose("server", loss);
        lab.lose("client", loss);
    }
    let mut tried = Tried { pair: (server, client), way, times: Vec::new(), failures: Vec::new() };
    for run in 0..runs() {
        let name = format!("{peers:?}-{}-{}-{loss}-{run}", server.name(), client.name());
        let (_server, key) = match peers {
            Peers::TheirServer => {
                let arguments = [lab.bootstrap.as_str()];
                let mut server = lab.script("server", "profile-server.mjs", &arguments);
                let key = server.event("key").await;
                (server, key)
            }
            _ => lab.server("server", &name, &[]).await,
        };
        let words = ["register", "--name", "Ada"];
        let (code, output) = match peers {
            Peers::TheirClient => lab.javascript_client("client", &key, &words).await,
            _ => lab.client_within("30s", "client", &key, &words).await,
        };
        match taken(peers, way, code, &output) {
            Some(taken) => tried.times.push(taken),
            None => tried.failures.push(format!("{name}: {code} {output}")),
        }
    }
    lab.part();
    tried
}

/// Returns how long connecting took, if it ended as it should.
fn taken(peers: Peers, way: Way, code: i32, output: &str) -> Option<Duration> {
    let (expected, path) = match way {
        Direct => (0, "direct"),
        Lan => (0, "lan"),
        NoPath => (4, ""),
    };
    let output: Value = serde_json::from_str(output).ok()?;
    let milliseconds = match peers {
        Peers::TheirClient => output["connected"].as_f64(),
        _ => output["report"]["total"].as_f64(),
    };
    let kind = output["report"]["path"]["kind"].as_str().unwrap_or_default();
    // The reference's client does not report its path, and peers of the reference in one home meet at the
    // public address as well.
    let as_expected = peers != Peers::Ours || kind == path;
    let taken = milliseconds.filter(|_| code == expected && as_expected)?;
    Some(Duration::from_secs_f64(taken / 1e3))
}

/// Returns the pairs that are tried with these peers, and how they end.
pub(crate) fn rows(peers: Peers) -> impl Iterator<Item = (Kind, Kind, Way)> {
    // Inside of a cone's home either side of the reference that takes itself for open goes to, or waits at,
    // the public address, which leads nowhere.
    let lost = [(Kind::Cone, Kind::Same), (Kind::Same, Kind::Cone)];
    let rows = Kind::ALL.into_iter().zip(TABLE);
    let all = rows.flat_map(|(server, row)| {
        let cells = Kind::ALL.into_iter().zip(row);
        cells.map(move |(client, way)| (server, client, way))
    });
    all.filter(move |(server, client, way)| match peers {
        Peers::Ours => true,
        Peers::TheirServer => *way != NoPath,
        Peers::TheirClient => *way != NoPath && !lost.contains(&(*server, *client)),
    })
}

/// Returns how many labs run at once: one for measurements of milliseconds.
fn labs() -> usize {
    let labs = std::env::var("HYPERPROFILE_LABS").ok();
    labs.map_or(2, |labs| labs.parse().unwrap())
}

impl Tried {
    /// Fails if not every visit ended as it should.
    fn assert(&self) {
        assert!(self.failures.is_empty(), "{}", self.failures.join("\n"));
    }

    /// Returns a row of a table: for people; nothing is asserted about times.
    fn row(&self) -> String {
        let mut times = self.times.clone();
        times.sort_unstable();
        // The nearest rank: the 19th of 20.
        let at = |percent: usize| {
            let rank = (times.len() * percent).div_ceil(100).max(1);
            times.get(rank - 1).map_or(0, Duration::as_millis)
        };
        let (server, client) = self.pair;
        format!(
            "  {:<10} {:<10} {:<7} {:>2} of {:<2} {:>6} ms {:>6} ms {:>6} ms\n",
            server.name(),
            client.name(),
            format!("{:?}", self.way),
            times.len(),
            times.len() + self.failures.len(),
            at(50),
            at(95),
            at(100),
        )
    }
}
