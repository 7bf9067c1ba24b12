//! A service at two nodes with one key, one of which dies.

use std::sync::Arc;

use hyperprofile::profile::client::Watching;
use hyperprofile::profile::{
    MemoryStore, MemoryVersions, Profile, ProfileClient, ProfileDraft, Service, ServiceConfig, ThroughDht,
};
use hyperprofile::{Dht, KeyPair};
use tokio::time::timeout;

use crate::mortal::Mortal;
use crate::support::{DEADLINE, Network, Nodes, Process, Reference, reference_installed};

type Client = ProfileClient<ThroughDht, MemoryVersions>;

#[tokio::test(flavor = "multi_thread")]
async fn clients_go_on_at_another_server_when_theirs_has_died() {
    if !reference_installed() {
        return;
    }
    let network = Network::start(Nodes::Ours, Reference::Latest).await;
    let (key_pair, store) = (KeyPair::generate(), Arc::new(MemoryStore::default()));
    let survivor = serve(&network, &key_pair, &store).await;
    let dht = network.guest().await;
    let (ada, eve) = (KeyPair::generate(), KeyPair::generate());
    // Each connection is to the server that was announced last.
    let dies = serve(&network, &key_pair, &store).await;
    let (mut owner, mut other) = (connect(&dht, &key_pair, &ada).await, connect(&dht, &key_pair, &eve).await);
    owner.register(profile("1")).await.unwrap();
    let mut watching = other.watch([*ada.public_key()]);
    assert_eq!(name(&mut watching).await, "1");
    let words = ["watch", &ada.public_key().to_hex(), "2"];
    let mut javascript = script(&network, &key_pair, &words);
    assert!(javascript.first_line().await.contains(r#""name":"1""#));

    // Between two requests, then before the connection: a fresh client finds the announcement of the dead.
    dies.die();
    let (updated, changed, shown, ()) = tokio::join!(
        timeout(DEADLINE, owner.update(|_| Ok(profile("2")))),
        name(&mut watching),
        javascript.first_line(),
        survivor.server.refresh()
    );
    assert_eq!((updated.unwrap().unwrap().version(), &*changed), (2, "2"));
    assert!(shown.contains(r#""name":"2""#), "{shown}");
    javascript.success().await;
    serve(&network, &key_pair, &store).await.die();
    let bob = KeyPair::generate();
    let stranger = network.guest().await;
    let words = ["lookup", &ada.public_key().to_hex()];
    let (mut stranger, shown, ()) = tokio::join!(
        connect(&stranger, &key_pair, &bob),
        script(&network, &key_pair, &words).success(),
        survivor.server.refresh()
    );
    let found = timeout(DEADLINE, stranger.lookup(*ada.public_key())).await.unwrap();
    assert_eq!(found.unwrap().record.profile().name(), "2");
    assert!(shown.contains(r#""name":"2""#), "{shown}");
    network.close().await;
}

/// Serves what is stored at a new node.
async fn serve(network: &Network, key_pair: &KeyPair, store: &Arc<MemoryStore>) -> Mortal {
    let mortal = Mortal::listen(network, key_pair).await;
    let service = Service::new(Arc::clone(store), ServiceConfig::default());
    let server = Arc::clone(&mortal.server);
    mortal.spawn(async move { service.run(&server).await });
    mortal
}

async fn connect(dht: &Dht, server: &KeyPair, identity: &KeyPair) -> Client {
    let dial = ThroughDht { dht: dht.clone(), server: *server.public_key(), identity: identity.clone() };
    let connecting = ProfileClient::connect(identity.clone(), dial, MemoryVersions::default());
    timeout(DEADLINE, connecting).await.unwrap().unwrap()
}

fn script(network: &Network, server: &KeyPair, words: &[&str]) -> Process {
    let key = server.public_key().to_hex();
    let arguments = [&["--server", &key, "--bootstrap", &network.bootstrap], words].concat();
    Process::script(Reference::Latest, "profile-client.mjs", &arguments)
}

fn profile(name: &str) -> Profile {
    ProfileDraft { name: name.into(), ..ProfileDraft::default() }.check().unwrap()
}

/// Waits for a change, and returns the new name.
async fn name(watching: &mut Watching<'_, ThroughDht, MemoryVersions>) -> String {
    let watched = timeout(DEADLINE, watching.next()).await.unwrap().unwrap();
    watched.record.unwrap().profile().name().to_owned()
}
