//! Many clients at once against a model of what each of them stored.

use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

use super::super::entry::KeyEntry;
use super::super::limits::Limits;
use super::super::store::Store as _;
use super::super::stores::{Place, over_all_stores};
use super::testing::{Peer, key_pair, kind, record};
use super::{Service, ServiceConfig};

const CLIENTS: u8 = 50;

/// A client, and what the server has to hold for it.
struct Client {
    seed: u8,
    chance: StdRng,
    entry: KeyEntry,
}

impl Client {
    /// Makes a random request and compares the answer with the model.
    async fn step(&mut self, peer: &mut Peer) {
        let (version, name) = (self.entry.version(), format!("{} {}", self.seed, self.chance.r#gen::<u32>()));
        let next = record(self.seed, version + 1, &name);
        let registered = self.entry.record().is_some();
        match self.chance.gen_range(0..7) {
            0 => {
                let answer = peer.register(&next).await;
                if registered {
                    assert_eq!(kind(&answer), "already_registered");
                } else {
                    self.stored(&answer, KeyEntry::Present(next));
                }
            }
            1 | 2 => {
                let answer = peer.update(&next).await;
                if registered {
                    self.stored(&answer, KeyEntry::Present(next));
                } else {
                    assert_eq!(kind(&answer), "not_registered");
                }
            }
            3 => {
                let answer = peer.call("profile.delete", json!({"version": version.max(1)})).await;
                if version == 0 {
                    assert_eq!(kind(&answer), "not_registered");
                } else {
                    assert_eq!(answer["result"], json!({"deleted": true}));
                    self.entry = KeyEntry::Deleted { version };
                }
            }
            4 => self.compare(&peer.call("profile.get", json!({})).await),
            5 => {
                // A record of another one, with its own good signature, for each version that it can have.
                let other = (self.seed + self.chance.gen_range(1..CLIENTS)) % CLIENTS;
                let foreign = record(other, self.chance.gen_range(1..9), "foreign");
                let method = ["profile.register", "profile.update"][self.chance.gen_range(0..2)];
                let answer = peer.call(method, json!({"record": foreign, "after": version})).await;
                assert_eq!(kind(&answer), "bad_signature");
            }
            _ => {
                let other = self.chance.gen_range(0..CLIENTS);
                let key = key_pair(other).public_key().to_hex();
                let answer = peer.call("profile.lookup", json!({"key": key})).await;
                let found = &answer["result"]["record"];
                if found.is_null() {
                    assert_eq!(kind(&answer), "not_registered");
                } else {
                    assert_eq!(found["key"], key);
                    let text = found["profile"].as_str().unwrap();
                    assert!(text.starts_with(&format!(r#"{{"name":"{other} "#)), "{text} of {other}");
                }
            }
        }
    }

    fn stored(&mut self, answer: &Value, entry: KeyEntry) {
        self.entry = entry;
        self.compare(answer);
    }

    fn compare(&self, answer: &Value) {
        match self.entry.record() {
            Some(record) => assert_eq!(answer["result"]["record"], serde_json::to_value(record).unwrap()),
            None => assert_eq!(kind(answer), "not_registered"),
        }
    }
}

over_all_stores! { fifty_clients_at_once_get_what_a_model_says }

async fn fifty_clients_at_once_get_what_a_model_says<P: Place>() {
    let Some(place) = P::empty() else { return };
    let whole = std::env::var_os("HYPERPROFILE_FULL").is_some();
    let steps = if whole { 2000 } else { 40 };
    let store = Arc::new(place.open().await);
    let limits = Limits {
        writes_per_minute: u32::MAX,
        registrations_per_hour: u32::MAX,
        lookups_per_minute: u32::MAX,
        refusals_per_minute: u32::MAX,
        ..Limits::default()
    };
    let service = Service::new(Arc::clone(&store), ServiceConfig { limits, ..ServiceConfig::default() });
    let mut clients = tokio::task::JoinSet::new();
    for seed in 0..CLIENTS {
        let service = service.clone();
        clients.spawn(async move {
            let chance = StdRng::seed_from_u64(seed.into());
            let mut client = Client { seed, chance, entry: KeyEntry::Unknown };
            let mut peer = Peer::connect(&service, seed).await;
            for _ in 0..steps {
                if client.chance.gen_ratio(1, 50) {
                    peer = Peer::connect(&service, seed).await;
                    let greeted = &peer.hello["params"]["record"];
                    let record = client.entry.record();
                    assert_eq!(*greeted, serde_json::to_value(record).unwrap());
                }
                client.step(&mut peer).await;
            }
            client
        });
    }
    let clients = clients.join_all().await;
    service.close().await;
    drop((service, store));
    let store = place.open().await;
    for client in clients {
        let key = *key_pair(client.seed).public_key();
        assert_eq!(store.load(&key).await.unwrap(), client.entry, "client {}", client.seed);
    }
}
