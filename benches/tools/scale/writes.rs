//! Durable writes of many clients at once, without the network.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyperprofile::profile::entry::Change;
use hyperprofile::profile::{Record, SledStore, Store};
use hyperprofile::{KeyPair, ProvenKey, Testnet};
use tokio::task::JoinSet;

use crate::options::Options;
use crate::profiles::{owner, record};
use crate::support::{Result, microseconds};

pub(crate) async fn run(options: &Options) -> Result<()> {
    #[cfg(feature = "postgres")]
    if options.is_database() {
        return measure(Arc::new(options.database().await?), options).await;
    }
    measure(Arc::new(SledStore::open(Path::new(&options.store))?), options).await
}

/// Lets every client register its keys and then update them in turn, one change at a time.
async fn measure<S: Store>(store: Arc<S>, options: &Options) -> Result<()> {
    let Options { clients, keys, writes, bytes, .. } = *options;
    let proven = prove(clients * keys).await?;
    let changes = |first: u64, count: usize| {
        let of_client = |client: usize| {
            let change = move |number: usize| {
                let (owner, version) = (client * keys + number % keys, first + (number / keys) as u64);
                (owner, record(owner, version, bytes))
            };
            (0..count).map(change).collect::<Vec<_>>()
        };
        (0..clients).map(of_client).collect::<Vec<_>>()
    };
    let register = |record| Change::Register { record, after: None };
    write(&store, &proven, "registrations", changes(1, keys), register).await;
    let update = |record| Change::Update { record, after: None };
    write(&store, &proven, "updates", changes(2, writes / clients), update).await;
    Ok(())
}

async fn write<S: Store>(
    store: &Arc<S>,
    proven: &Arc<Vec<ProvenKey>>,
    what: &str,
    changes: Vec<Vec<(usize, Record)>>,
    change: impl Fn(Record) -> Change + Copy + Send + 'static,
) {
    let mut tasks = JoinSet::new();
    let began = Instant::now();
    for changes in changes {
        let (store, proven) = (Arc::clone(store), Arc::clone(proven));
        tasks.spawn(async move {
            let mut took = Vec::with_capacity(changes.len());
            for (owner, record) in changes {
                let began = Instant::now();
                store.apply(&proven[owner], change(record)).await.unwrap();
                took.push(began.elapsed());
            }
            took
        });
    }
    let took: Vec<Duration> = tasks.join_all().await.into_iter().flatten().collect();
    let rate = took.len() as f64 / began.elapsed().as_secs_f64();
    println!("{what} {rate:.0} a second, {}", microseconds(took));
}

/// Has the owners prove their keys, which only a connection can do.
async fn prove(owners: usize) -> Result<Arc<Vec<ProvenKey>>> {
    let testnet = Testnet::new(1).await?;
    let (near, far) = (testnet.builder().spawn().await?, testnet.builder().spawn().await?);
    let server = near.listen(KeyPair::generate()).await?;
    let key = *server.public_key();
    let accepting = tokio::spawn(async move {
        let mut proven = Vec::with_capacity(owners);
        while proven.len() < owners {
            let connection = server.accept().await.expect("the server is open");
            proven.push(connection.proven().await.unwrap());
        }
        proven
    });
    for first in (0..owners).step_by(AT_ONCE) {
        let mut connecting = JoinSet::new();
        for number in first..owners.min(first + AT_ONCE) {
            let dht = far.clone();
            connecting.spawn(async move {
                let mut connection = dht.connect(key).key_pair(owner(number)).await.unwrap();
                connection.write_message(b"it is me").await.unwrap();
                // Until the server has read it.
                let _ = connection.read_message().await;
            });
        }
        connecting.join_all().await;
    }
    let mut proven = accepting.await?;
    // In the order of the numbers: they came in any.
    let numbers: std::collections::HashMap<_, _> =
        (0..owners).map(|number| (*owner(number).public_key(), number)).collect();
    proven.sort_by_key(|key| numbers[key.public_key()]);
    testnet.close().await;
    Ok(Arc::new(proven))
}

/// Connections at once.
const AT_ONCE: usize = 32;
