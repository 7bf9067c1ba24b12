use serde_json::json;

use super::super::message::changed_line;
use super::super::record::Record;
use super::super::service::Admission;
use super::tests::{Pipe, TestService, ada, connect, denied, profile, scripted, service};
use super::*;
use crate::{KeyPair, PublicKey};

fn eve() -> KeyPair {
    KeyPair::from_seed(&[6; 32])
}

async fn watcher(service: &TestService, cuts: &[usize]) -> ProfileClient<Pipe, MemoryVersions> {
    let dial = Pipe::to(service, &eve(), cuts);
    ProfileClient::connect(eve(), dial, MemoryVersions::default()).await.unwrap()
}

/// A greeting of version 2, then what follows it.
fn script(lines: &[String]) -> Vec<String> {
    let hello = json!({"method": "hello", "params": {"protocol": 1, "maxProtocol": 2, "record": null}});
    [&[hello.to_string(), r#"{"jsonrpc":"2.0","id":1,"result":{}}"#.into()], lines].concat()
}

fn watched(key: PublicKey, record: Option<Record>) -> Watched {
    Watched { key, record, chain: Vec::new() }
}

fn line(key: &PublicKey, record: Option<&Record>) -> String {
    String::from_utf8(changed_line(key, record, &[])).unwrap().trim_end().into()
}

#[tokio::test]
async fn what_others_change_is_returned_once() {
    let service = service();
    let mut owner = connect(&service).await;
    let mut client = watcher(&service, &[]).await;
    let key = *ada().public_key();
    let mut watching = client.watch([key]);
    assert_eq!(watching.next().await.unwrap(), watched(key, None));
    let first = owner.register(profile("Ada")).await.unwrap();
    assert_eq!(watching.next().await.unwrap(), watched(key, Some(first)));
    let second = owner.update(|_| Ok(profile("Countess"))).await.unwrap();
    assert_eq!(watching.next().await.unwrap(), watched(key, Some(second)));
    owner.delete().await.unwrap();
    assert_eq!(watching.next().await.unwrap(), watched(key, None));
}

#[tokio::test]
async fn the_new_key_is_watched_in_the_place_of_one_that_was_replaced() {
    let service = service();
    let mut owner = connect(&service).await;
    let mut client = watcher(&service, &[]).await;
    owner.register(profile("Ada")).await.unwrap();
    let (old, new) = (*ada().public_key(), KeyPair::from_seed(&[3; 32]));
    let mut watching = client.watch([old]);
    watching.next().await.unwrap();
    owner.rotate(&new, &mut MemoryVersions::default()).await.unwrap();
    let moved = watching.next().await.unwrap();
    assert_eq!((moved.key, moved.chain.len()), (old, 1));
    assert_eq!(moved.record.unwrap().key(), new.public_key());
    assert_eq!(watching.shown.len(), 1, "nothing is kept of the old key");
    let dial = Pipe::to(&service, &new, &[]);
    let mut owner = ProfileClient::connect(new.clone(), dial, MemoryVersions::default()).await.unwrap();
    let updated = owner.update(|_| Ok(profile("Countess"))).await.unwrap();
    assert_eq!(watching.next().await.unwrap(), watched(*new.public_key(), Some(updated)));
}

#[tokio::test]
async fn who_is_banned_learns_it_from_the_greeting() {
    let service = service();
    let banned_keys = [*ada().public_key()].into();
    service.set_admission(Admission { banned_keys, ..Admission::default() });
    let outcome = ProfileClient::connect(ada(), Pipe::to(&service, &ada(), &[]), MemoryVersions::default());
    assert_eq!(denied(outcome.await.map(|_| ())), Denied::Closed);
}

#[tokio::test]
async fn a_lost_connection_is_made_anew_and_shows_what_has_changed_meanwhile() {
    let service = service();
    let mut owner = connect(&service).await;
    // Lost are: the first notification, then the answer to the second watch, then the second notification.
    let mut client = watcher(&service, &[1, 0, 2]).await;
    let key = *ada().public_key();
    let mut watching = client.watch([key]);
    assert_eq!(watching.next().await.unwrap(), watched(key, None));
    let first = owner.register(profile("Ada")).await.unwrap();
    assert_eq!(watching.next().await.unwrap(), watched(key, Some(first)));
}

#[tokio::test]
async fn a_connection_that_is_lost_again_and_again_is_an_error() {
    let service = service();
    let mut client = watcher(&service, &[1, 1, 1]).await;
    let mut watching = client.watch([*ada().public_key()]);
    assert!(matches!(watching.next().await, Err(ClientError::Lost(_))));
    assert_eq!(watching.next().await.unwrap().record, None);
}

#[tokio::test(start_paused = true)]
async fn a_quiet_watch_stays_connected() {
    let service = service();
    let mut client = watcher(&service, &[]).await;
    let key = *ada().public_key();
    let mut watching = client.watch([key]);
    watching.next().await.unwrap();
    let hour = tokio::time::Duration::from_secs(3600);
    assert!(tokio::time::timeout(hour, watching.next()).await.is_err());
    assert_eq!(service.connections(), 1);
    let record = connect(&service).await.register(profile("Ada")).await.unwrap();
    assert_eq!(watching.next().await.unwrap(), watched(key, Some(record)));
}

#[tokio::test]
async fn a_change_that_arrives_before_an_answer_is_kept() {
    let key = *eve().public_key();
    let record = Record::sign(&eve(), 1, profile("Eve"));
    let answer = r#"{"jsonrpc":"2.0","id":2,"result":{}}"#.to_owned();
    let mut client = scripted(&script(&[line(&key, None), line(&key, Some(&record)), answer])).await.unwrap();
    let mut watching = client.watch([key]);
    assert_eq!(watching.next().await.unwrap(), watched(key, None));
    drop(watching);
    client.ping().await.unwrap();
    let mut watching = client.watch([key]);
    assert_eq!(watching.next().await.unwrap(), watched(key, Some(record)));
}

#[tokio::test]
async fn a_server_cannot_show_what_its_owner_did_not_sign_or_what_nobody_asked_for() {
    let (key, other) = (*eve().public_key(), *ada().public_key());
    let foreign = Record::sign(&ada(), 1, profile("Eve"));
    let forged = line(&key, Some(&foreign));
    let lines = [line(&other, Some(&foreign)), r#"{"method":"profile.changed"}"#.into(), forged];
    let mut client = scripted(&script(&lines)).await.unwrap();
    assert!(matches!(client.watch([key]).next().await, Err(ClientError::Protocol(_))));
    let mut client = scripted(&script(&[r#"{"jsonrpc":"2.0","id":9,"result":{}}"#.into()])).await.unwrap();
    assert!(matches!(client.watch([key]).next().await, Err(ClientError::Protocol(_))));
}

#[tokio::test]
async fn a_server_of_version_1_is_not_asked_to_notify() {
    let hello = json!({"method": "hello", "params": {"protocol": 1, "record": null}}).to_string();
    let mut client = scripted(&[hello]).await.unwrap();
    assert!(matches!(client.watch([*eve().public_key()]).next().await, Err(ClientError::OldServer)));
}

#[tokio::test]
async fn more_keys_than_a_server_watches_are_refused() {
    let service = service();
    let mut client = watcher(&service, &[]).await;
    let keys = (0..=super::super::message::MAX_WATCHED).map(|n| PublicKey::from_bytes([n as u8; 32]));
    let outcome = client.watch(keys).next().await;
    assert!(matches!(denied(outcome), Denied::Unknown { .. }));
}
