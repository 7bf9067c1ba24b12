//! One client tries to pass for another: nothing is written, counted or logged under the other key.

use std::net::Ipv4Addr;

use serde_json::{Value, json};
use tokio::io::duplex;

use super::super::entry::KeyEntry;
use super::super::peers::PeerAddress;
use super::super::record::Record;
use super::super::store::Store as _;
use super::testing::{Peer, TestService, key_pair, kind, record, service};
use super::*;
use crate::api::{ClaimedKey, ProvenKey};

const VICTIM: u8 = 1;
const IMPOSTOR: u8 = 2;

/// A service at which the victim has version 3 of its profile, and a connection of the impostor.
async fn victim_and_impostor() -> (TestService, Peer) {
    let (service, store) = service(ServiceConfig::default());
    let owner = ProvenKey::new(*key_pair(VICTIM).public_key());
    let change =
        super::super::entry::Change::Register { record: record(VICTIM, 3, "Victim"), after: Some(0) };
    store.apply(&owner, change).await.unwrap();
    let impostor = Peer::connect(&service, IMPOSTOR).await;
    (service, impostor)
}

async fn assert_unharmed(service: &TestService) {
    let store = &service_store(service);
    let victim = store.load(key_pair(VICTIM).public_key()).await.unwrap();
    assert_eq!(victim, KeyEntry::Present(record(VICTIM, 3, "Victim")));
    let impostor = store.load(key_pair(IMPOSTOR).public_key()).await.unwrap();
    assert_eq!(impostor, KeyEntry::Unknown);
    // Nothing was counted for the victim: all ten writes of a minute are still there.
    let mut peer = Peer::connect(service, VICTIM).await;
    for version in 4..14 {
        let answer = peer.update(&record(VICTIM, version, "Victim")).await;
        assert!(answer["result"].is_object(), "{answer}");
    }
}

fn service_store(service: &TestService) -> std::sync::Arc<super::super::store::MemoryStore> {
    service.store().clone()
}

#[tokio::test]
async fn the_greeting_shows_an_impostor_nothing_of_others() {
    let (service, impostor) = victim_and_impostor().await;
    assert_eq!(impostor.hello["params"]["record"], Value::Null);
    assert_unharmed(&service).await;
}

#[tokio::test]
async fn a_record_of_another_key_is_refused_though_its_signature_is_good() {
    let (service, mut impostor) = victim_and_impostor().await;
    for version in [1, 3, 4] {
        let theirs = record(VICTIM, version, "Victim");
        assert_eq!(kind(&impostor.register(&theirs).await), "bad_signature");
        assert_eq!(kind(&impostor.update(&theirs).await), "bad_signature");
        let above = json!({"record": theirs, "after": 3});
        assert_eq!(kind(&impostor.call("profile.update", above).await), "bad_signature");
    }
    assert_unharmed(&service).await;
}

#[tokio::test]
async fn a_record_that_another_key_signed_is_refused() {
    let (service, mut impostor) = victim_and_impostor().await;
    let swap = |record: &Record, owner: u8| {
        let mut json = serde_json::to_value(record).unwrap();
        json["key"] = key_pair(owner).public_key().to_hex().into();
        json
    };
    // Signed by the impostor, naming the victim; and the other way round.
    for forged in [
        swap(&record(IMPOSTOR, 4, "x"), VICTIM),
        swap(&record(VICTIM, 1, "x"), IMPOSTOR),
        swap(&record(VICTIM, 3, "Victim"), IMPOSTOR),
    ] {
        for method in ["profile.register", "profile.update"] {
            let answer = impostor.call(method, json!({"record": forged})).await;
            assert_eq!(kind(&answer), "bad_signature");
        }
    }
    assert_unharmed(&service).await;
}

#[tokio::test]
async fn no_parameter_names_another_key() {
    let (service, mut impostor) = victim_and_impostor().await;
    let key = key_pair(VICTIM).public_key().to_hex();
    for (method, params) in [
        ("profile.get", json!({"key": key})),
        ("profile.delete", json!({"key": key, "version": 3})),
        ("ping", json!({"key": key})),
    ] {
        let answer = impostor.call(method, params).await;
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
    }
    let deleted = impostor.call("profile.delete", json!({"version": 3})).await;
    assert_eq!(kind(&deleted), "not_registered");
    let got = impostor.call("profile.get", json!({})).await;
    assert_eq!(kind(&got), "not_registered");
    assert_unharmed(&service).await;
}

#[tokio::test]
async fn an_old_record_played_back_by_its_own_key_changes_nothing() {
    let (service, _) = victim_and_impostor().await;
    let mut victim = Peer::connect(&service, VICTIM).await;
    for version in 1..=2 {
        let old = record(VICTIM, version, "Old");
        assert_eq!(kind(&victim.register(&old).await), "already_registered");
        assert_eq!(kind(&victim.update(&old).await), "version_conflict");
    }
    assert_unharmed(&service).await;
}

#[tokio::test]
async fn a_claimed_key_is_greeted_and_takes_no_place() {
    let (service, _) = victim_and_impostor().await;
    let mut peers = Vec::new();
    for _ in 0..4 {
        let mut peer = Peer::connect(&service, VICTIM).await;
        peer.call("ping", json!({})).await;
        peers.push(peer);
    }
    // Replayed handshakes, however many: they push no connection out and are not counted.
    for _ in 0..50 {
        let (_near, mut far) = duplex(1 << 16);
        let claimed = ClaimedKey::new(*key_pair(VICTIM).public_key());
        let address = PeerAddress::direct(Ipv4Addr::LOCALHOST);
        service.greet(&mut far, claimed, address).await.unwrap();
    }
    assert_eq!(service.connections(), 4);
    for peer in &mut peers {
        assert_eq!(peer.call("ping", json!({})).await["result"], json!({}));
    }
}
