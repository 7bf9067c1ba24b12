//! Backups of a server under load are of one point in time; damaged ones are never taken for whole.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use hyperprofile::profile::backup::{Entry, Reader};
use hyperprofile::profile::{Dial, DialError, MemoryVersions, ProfileClient, ProfileDraft};
use hyperprofile::{Connection, Dht, KeyPair, PublicKey, Testnet};
use tokio::task::JoinSet;

use crate::amount;
use crate::harness::{Running, SERVER, run, text};

/// Writing clients; each writes two keys in turn.
const CLIENTS: u8 = 10;

#[derive(Clone)]
struct ThroughDht {
    dht: Dht,
    server: PublicKey,
    identity: KeyPair,
}

impl Dial for ThroughDht {
    type Stream = Connection;

    async fn dial(&mut self) -> Result<Connection, DialError> {
        Ok(self.dht.connect(&self.server).key_pair(&self.identity).await?)
    }
}

type Client = ProfileClient<ThroughDht, MemoryVersions>;

/// A key that is written: what was acknowledged, and what may have been stored.
#[derive(Default)]
struct Progress {
    acknowledged: AtomicU64,
    sent: AtomicU64,
}

/// Twenty keys in pairs. Of each pair the second one is never written before the first one is acknowledged.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_is_of_one_point_in_time() {
    let network = Testnet::new(5).await.unwrap();
    let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let bootstrap = network.bootstrap().remove(0);
    let data = ["--data-dir", text(folder.path())];
    let limits = ["--bootstrap", &bootstrap, "--writes-per-minute", "1000000", "--quiet"];
    let mut server = Running::start(SERVER, &[&data[..], &limits].concat());
    let key: PublicKey = server.line().await.parse().unwrap();
    let dht = network.builder().spawn().await.unwrap();
    let progress: Arc<Vec<Progress>> = Arc::new((0..2 * CLIENTS).map(|_| Progress::default()).collect());
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    for number in 0..CLIENTS {
        let pair = [2 * number, 2 * number + 1];
        let mut clients = Vec::new();
        for seed in pair {
            let dial = ThroughDht { dht: dht.clone(), server: key, identity: identity(seed) };
            let connected = ProfileClient::connect(identity(seed), dial, MemoryVersions::default()).await;
            let mut client = connected.unwrap();
            write(&mut client, &progress[usize::from(seed)]).await;
            clients.push(client);
        }
        let (progress, stop) = (Arc::clone(&progress), Arc::clone(&stop));
        writers.spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                for (client, seed) in clients.iter_mut().zip(pair) {
                    write(client, &progress[usize::from(seed)]).await;
                }
            }
        });
    }
    for number in 0..amount(8, 100) {
        let backup = outside.path().join(format!("{number}.jsonl.gz"));
        let read = |progress: &AtomicU64| progress.load(Ordering::SeqCst);
        let before: Vec<_> = progress.iter().map(|key| read(&key.acknowledged)).collect();
        run(SERVER, &[&data[..], &["backup", text(&backup)]].concat()).await.ended(0);
        let after: Vec<_> = progress.iter().map(|key| read(&key.sent)).collect();
        // What it restores to.
        let target = outside.path().join(format!("{number}"));
        fs::create_dir(&target).unwrap();
        run(SERVER, &["--data-dir", text(&target), "restore", text(&backup)]).await.ended(0);
        let plain = outside.path().join(format!("{number}.jsonl"));
        run(SERVER, &["--data-dir", text(&target), "backup", text(&plain)]).await.ended(0);
        let versions = versions(&fs::read(&plain).unwrap());
        for (at, version) in versions.iter().enumerate() {
            let (least, most) = (before[at], after[at]);
            assert!((least..=most).contains(version), "backup {number}, key {at}: {least} {version} {most}");
        }
        for pair in versions.chunks(2) {
            assert!((pair[1]..=pair[1] + 1).contains(&pair[0]), "backup {number}: {pair:?}");
        }
        fs::remove_dir_all(&target).unwrap();
    }
    stop.store(true, Ordering::SeqCst);
    writers.join_all().await;
    let written: u64 = progress.iter().map(|key| key.acknowledged.load(Ordering::SeqCst)).sum();
    assert!(written > 4 * u64::from(CLIENTS), "there was no load: {written} writes");
}

fn identity(seed: u8) -> KeyPair {
    KeyPair::from_seed(&[seed + 1; 32])
}

async fn write(client: &mut Client, progress: &Progress) {
    let version = progress.sent.fetch_add(1, Ordering::SeqCst) + 1;
    let draft = ProfileDraft { name: format!("version {version}"), ..ProfileDraft::default() };
    let profile = draft.check().unwrap();
    let record = match version {
        1 => client.register(profile).await,
        _ => client.update(|_| Ok(profile.clone())).await,
    };
    assert_eq!(record.unwrap().version(), version);
    progress.acknowledged.store(version, Ordering::SeqCst);
}

/// Returns the versions in a backup, by the number of the key; fails unless it is whole.
fn versions(backup: &[u8]) -> Vec<u64> {
    let mut versions = vec![0; 2 * usize::from(CLIENTS)];
    for step in Reader::new(backup) {
        let Entry::Present(record) = step.unwrap() else { panic!("nothing was deleted") };
        let at = (0..2 * CLIENTS).find(|seed| identity(*seed).public_key() == record.key()).unwrap();
        assert_eq!(record.profile().name(), format!("version {}", record.version()));
        versions[usize::from(at)] = record.version();
    }
    versions
}
