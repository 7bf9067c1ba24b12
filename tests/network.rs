//! Networks of nodes of this implementation and of the reference: what is put through one kind is found
//! through the other, whichever kind leaves.
//!
//! Run `npm ci` in `tests/interop` first.

#![cfg(feature = "cli")]
// The lint knows test functions, not the helpers below them; skipping aloud is the one thing printed.
#![allow(clippy::print_stderr, clippy::unwrap_used, dead_code)]

mod support;

use std::future::IntoFuture;
use std::num::NonZeroU32;

use data_encoding::HEXLOWER;
use hyperprofile::api::{Dht, Mode};
use hyperprofile::{KeyPair, PublicKey, Testnet};
use support::{DEADLINE, Process, Reference, reference_installed};
use tokio::time::timeout;

const THEIRS: Reference = Reference::Latest;

#[tokio::test(flavor = "multi_thread")]
async fn what_one_kind_put_the_other_finds_also_after_half_the_nodes_of_a_kind_have_left() {
    if !reference_installed() {
        return;
    }
    for (who, leaves) in [("ours", Leaves::Ours), ("theirs", Leaves::Theirs)] {
        let mut network = Mixed::start(First::Ours).await;
        let records = Records::put(&network).await;
        records.are_found(&network, &format!("before {who} leave")).await;
        network.half_leaves(leaves).await;
        records.are_found(&network, &format!("after {who} left")).await;
        records.are_taken_back(&network).await;
        network.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn either_kind_bootstraps_from_the_other_alone() {
    if !reference_installed() {
        return;
    }
    for first in [First::Ours, First::Theirs] {
        let network = Mixed::start(first).await;
        let records = Records::put(&network).await;
        records.are_found(&network, "bootstrapped by the other").await;
        network.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_reference_signed_lives_on_in_a_network_that_its_owner_never_met() {
    if !reference_installed() {
        return;
    }
    let ours = Testnet::new(5).await.unwrap();
    let at = ours.bootstrap().remove(0);
    let put = ["mutable-put", &hex(&[3; 32]), "5", "kept"];
    let key = PublicKey::from_bytes(unhex(&peer(&at, &put).await.event("key").await));
    let value = soon(ours.nodes()[1].mutable_get(&key).into_future()).await.unwrap().unwrap();

    let mut theirs = Process::script(THEIRS, "testnet.mjs", &["5"]);
    let at = theirs.event("bootstrap").await;
    let guest = Dht::builder().bootstrap([at.as_str()]).bind("127.0.0.1:0").spawn().await.unwrap();
    assert!(soon(guest.mutable_republish(&value)).await.unwrap().nodes > 0);
    let get = ["mutable-get", &key.to_hex()];
    assert_eq!(peer(&at, &get).await.event("value").await, "5 kept");
    guest.close().await;
    ours.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn our_nodes_relay_handshakes_and_holepunches_between_peers_of_the_reference() {
    if !reference_installed() {
        return;
    }
    // All forwarding nodes between the two peers are of this implementation.
    let ours = Testnet::new(10).await.unwrap();
    let bootstrap = ours.bootstrap().remove(0);
    assert_eq!(relayed(&ours).await, (0, 0));
    let mut pair = Process::script(THEIRS, "punch.mjs", &[&bootstrap]);
    let punches: u64 = pair.event("punches").await.parse().unwrap();
    assert_eq!(punches, 1);
    pair.success().await;
    let (handshakes, holepunches) = relayed(&ours).await;
    assert!(handshakes >= 1, "{handshakes} handshakes");
    // Two rounds: what either side knows of its NAT, and when to begin.
    assert!(holepunches >= 2, "{holepunches} holepunch messages");
    ours.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_of_an_application_are_answered_in_both_directions() {
    if !reference_installed() {
        return;
    }
    let ours = Testnet::new(2).await.unwrap();
    let node = &ours.nodes()[1];
    let requests = node.requests();
    let mut theirs = Process::script(THEIRS, "requests.mjs", &[&node.local_addr().to_string()]);
    let at = theirs.event("address").await.parse().unwrap();
    for proven in [false, true] {
        let request = soon(requests.next()).await.unwrap();
        assert_eq!((request.command(), request.value()), (300, Some(&b"hello"[..])));
        assert_eq!(request.is_proven(), proven);
        request.reply(Some(b"world")).unwrap();
        assert_eq!(theirs.event("answer").await, "0 world");
    }
    let response = soon(node.request(at, 300).value(b"hello").into_future()).await.unwrap();
    assert_eq!((response.error, response.value.as_deref()), (None, Some(&b"hello!"[..])));
    let response = soon(node.request(at, 301).into_future()).await.unwrap();
    assert_eq!((response.error, response.value), (NonZeroU32::new(99), None));
    ours.close().await;
}

/// Returns how many handshake and holepunch messages the nodes have passed on.
async fn relayed(nodes: &Testnet) -> (u64, u64) {
    let (mut handshakes, mut holepunches) = (0, 0);
    for node in nodes.nodes() {
        let stats = node.stats().await.dht;
        handshakes += stats.relayed_handshakes;
        holepunches += stats.relayed_holepunches;
    }
    (handshakes, holepunches)
}

/// Who is there first and bootstraps the others.
#[derive(Clone, Copy)]
enum First {
    Ours,
    Theirs,
}

/// Whose nodes leave.
#[derive(Clone, Copy, PartialEq)]
enum Leaves {
    Ours,
    Theirs,
}

/// Ten nodes of each kind.
struct Mixed {
    ours: Vec<Dht>,
    /// Two processes of five nodes each.
    theirs: Vec<Process>,
    /// A node that stays in any case.
    bootstrap: String,
}

impl Mixed {
    async fn start(first: First) -> Self {
        let mut network = Self { ours: Vec::new(), theirs: Vec::new(), bootstrap: String::new() };
        match first {
            First::Ours => {
                network.add_ours(5, None).await;
                network.bootstrap = network.ours[0].local_addr().to_string();
                network.add_theirs(&["5", "--bootstrap", &network.bootstrap.clone()]).await;
            }
            First::Theirs => {
                network.bootstrap = network.add_theirs(&["5"]).await;
            }
        }
        let bootstrap = network.bootstrap.clone();
        network.add_theirs(&["5", "--bootstrap", &bootstrap]).await;
        let missing = 10 - network.ours.len();
        network.add_ours(missing, Some(&bootstrap)).await;
        network
    }

    async fn add_ours(&mut self, count: usize, bootstrap: Option<&str>) {
        let mut bootstrap = bootstrap.map(ToOwned::to_owned);
        for _ in 0..count {
            let node = Dht::builder()
                .bootstrap(bootstrap.clone())
                .bind("127.0.0.1:0")
                .mode(Mode::Persistent)
                .firewalled(false);
            let node = node.spawn().await.unwrap();
            soon(node.bootstrapped()).await.unwrap();
            bootstrap.get_or_insert_with(|| node.local_addr().to_string());
            self.ours.push(node);
        }
    }

    async fn add_theirs(&mut self, arguments: &[&str]) -> String {
        let mut process = Process::script(THEIRS, "testnet.mjs", arguments);
        let first = process.event("bootstrap").await;
        self.theirs.push(process);
        first
    }

    /// Ends half the nodes of a kind, without a farewell: theirs are killed.
    async fn half_leaves(&mut self, who: Leaves) {
        match who {
            Leaves::Ours => {
                for node in self.ours.split_off(5) {
                    node.close().await;
                }
            }
            Leaves::Theirs => drop(self.theirs.pop()),
        }
    }

    /// Joins with a node of this implementation.
    async fn guest(&self) -> Dht {
        let guest =
            Dht::builder().bootstrap([self.bootstrap.as_str()]).bind("127.0.0.1:0").mode(Mode::Ephemeral);
        let guest = guest.spawn().await.unwrap();
        soon(guest.bootstrapped()).await.unwrap();
        guest
    }

    async fn close(self) {
        drop(self.theirs);
        for node in self.ours {
            node.close().await;
        }
    }
}

/// What was put into a network, one of each through either kind.
struct Records {
    immutable: [[u8; 32]; 2],
    mutable: [PublicKey; 2],
    seeds: [[u8; 32]; 2],
}

impl Records {
    const TOPIC: [u8; 32] = [9; 32];

    async fn put(network: &Mixed) -> Self {
        let seeds = [[1; 32], [2; 32]];
        let guest = network.guest().await;
        let ours = KeyPair::from_seed(&seeds[0]);
        let at = network.bootstrap.as_str();
        let stored = soon(guest.immutable_put(b"ours")).await.unwrap();
        assert!(stored.nodes > 5, "{stored:?}");
        for (seq, value) in [(1, "old"), (2, "ours")] {
            let put = guest.mutable_put(&ours, seq, value.as_bytes());
            assert!(soon(put).await.unwrap().nodes > 5);
        }
        let announce = guest.announce(Self::TOPIC, &ours, &[]).into_future();
        assert!(soon(announce).await.unwrap() > 5);
        guest.close().await;

        let seed = hex(&seeds[1]);
        let hash = peer(at, &["immutable-put", "theirs"]).await.event("hash").await;
        peer(at, &["mutable-put", &seed, "1", "old"]).await.event("key").await;
        let put = ["mutable-put", &seed, "2", "theirs"];
        let key = peer(at, &put).await.event("key").await;
        let announce = ["announce", &hex(&Self::TOPIC), &seed];
        peer(at, &announce).await.event("key").await;
        Self {
            immutable: [stored.target, unhex(&hash)],
            mutable: [*ours.public_key(), PublicKey::from_bytes(unhex(&key))],
            seeds,
        }
    }

    /// Asks for everything through either kind.
    async fn are_found(&self, network: &Mixed, when: &str) {
        let guest = network.guest().await;
        let at = network.bootstrap.as_str();
        for (number, name) in ["ours", "theirs"].into_iter().enumerate() {
            let target = self.immutable[number];
            let found = soon(guest.immutable_get(target)).await.unwrap();
            assert_eq!(found.as_deref(), Some(name.as_bytes()), "{when}: immutable");
            let get = ["immutable-get", &hex(&target)];
            let found = peer(at, &get).await.event("value").await;
            assert_eq!(found, name, "{when}: immutable, through theirs");
            let key = self.mutable[number];
            let found = soon(guest.mutable_get(&key).into_future()).await.unwrap();
            let found = found.unwrap();
            let expected = (2, name.as_bytes());
            assert_eq!((found.seq, &*found.value), expected, "{when}: mutable");
            let get = ["mutable-get", &key.to_hex()];
            let found = peer(at, &get).await.event("value").await;
            assert_eq!(found, format!("2 {name}"), "{when}: mutable, through theirs");
        }
        let found = soon(guest.lookup(Self::TOPIC)).await.unwrap();
        let lookup = ["lookup", &hex(&Self::TOPIC)];
        let theirs = peer(at, &lookup).await.success().await;
        for key in &self.mutable {
            let named = found.iter().any(|found| found.public_key == *key);
            assert!(named, "{when}: topic");
            assert!(theirs.contains(&key.to_hex()), "{when}: topic, through theirs");
        }
        // A client of the reference reaches a server of this implementation.
        let server = soon(guest.listen(KeyPair::generate()).into_future()).await.unwrap();
        let key = server.public_key().to_hex();
        let serving = tokio::spawn(async move {
            while let Some(connection) = server.accept().await {
                let (mut read, mut write) = connection.into_split();
                tokio::spawn(async move { tokio::io::copy(&mut read, &mut write).await });
            }
        });
        peer(at, &["echo", &key]).await.event("echoed").await;
        serving.abort();
        // And the other way round.
        let mut server = Process::script(THEIRS, "echo-server.mjs", &[at]);
        let key = PublicKey::from_bytes(unhex(&server.event("key").await));
        let other = network.guest().await;
        soon(other.connect(key).into_future()).await.unwrap();
        other.close().await;
        guest.close().await;
    }

    /// Takes either announcement back through the other kind, which knows the key too.
    async fn are_taken_back(&self, network: &Mixed) {
        let guest = network.guest().await;
        let theirs = KeyPair::from_seed(&self.seeds[1]);
        soon(guest.unannounce(Self::TOPIC, &theirs)).await.unwrap();
        let unannounce = ["unannounce", &hex(&Self::TOPIC), &hex(&self.seeds[0])];
        peer(&network.bootstrap, &unannounce).await.event("key").await;
        assert_eq!(soon(guest.lookup(Self::TOPIC)).await.unwrap(), []);
        guest.close().await;
    }
}

async fn peer(bootstrap: &str, words: &[&str]) -> Process {
    let arguments: Vec<_> = [bootstrap].iter().chain(words).copied().collect();
    Process::script(THEIRS, "dht-peer.mjs", &arguments)
}

async fn soon<T>(work: impl IntoFuture<Output = T>) -> T {
    timeout(DEADLINE, work).await.expect("in time")
}

fn hex(bytes: &[u8; 32]) -> String {
    HEXLOWER.encode(bytes)
}

fn unhex(text: &str) -> [u8; 32] {
    let bytes = HEXLOWER.decode(text.trim().as_bytes()).unwrap();
    bytes.try_into().unwrap()
}
