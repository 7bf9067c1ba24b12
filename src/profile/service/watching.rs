use serde_json::{Value, json};

use super::super::limits::Limits;
use super::super::message::MAX_WATCHED;
use super::super::record::Record;
use super::super::rotation::Rotation;
use super::super::store::Store as _;
use super::testing::{Peer, key_pair, kind, record, service};
use super::{Access, ServiceConfig};

fn hex(seed: u8) -> String {
    key_pair(seed).public_key().to_hex()
}

async fn watch(peer: &mut Peer, seeds: &[u8]) -> Value {
    let keys: Vec<_> = seeds.iter().map(|seed| hex(*seed)).collect();
    peer.call("profile.watch", json!({"keys": keys})).await
}

/// Reads notifications of these keys, in any order.
async fn expect(peer: &mut Peer, changes: &[(u8, Option<&Record>)]) {
    let mut expected: Vec<_> = changes.iter().map(|(seed, record)| changed(*seed, *record)).collect();
    while !expected.is_empty() {
        let line = peer.read().await.expect("a notification");
        let index = expected.iter().position(|change| *change == line);
        expected.remove(index.unwrap_or_else(|| panic!("{line}, and not one of {expected:?}")));
    }
}

fn changed(seed: u8, record: Option<&Record>) -> Value {
    let params = json!({"key": hex(seed), "record": record});
    json!({"jsonrpc": "2.0", "method": "profile.changed", "params": params})
}

#[tokio::test]
async fn a_watch_shows_what_is_there_and_each_change_of_it() {
    let (service, _) = service(ServiceConfig::default());
    let mut ada = Peer::connect(&service, 1).await;
    let mut eve = Peer::connect(&service, 2).await;
    let [first, second, third] = [record(1, 1, "Ada"), record(1, 2, "Countess"), record(1, 3, "Ada")];
    ada.register(&first).await;
    assert_eq!(watch(&mut eve, &[1, 3]).await["result"], json!({}));
    expect(&mut eve, &[(1, Some(&first)), (3, None)]).await;
    ada.update(&second).await;
    expect(&mut eve, &[(1, Some(&second))]).await;
    ada.call("profile.delete", json!({"version": 2})).await;
    expect(&mut eve, &[(1, None)]).await;
    // What is not stored is no change, and neither is what another key stores.
    ada.update(&third).await;
    eve.register(&record(2, 1, "Eve")).await;
    ada.register(&third).await;
    expect(&mut eve, &[(1, Some(&third))]).await;
}

#[tokio::test]
async fn a_key_that_was_replaced_is_shown_with_the_statement() {
    let (service, _) = service(ServiceConfig::default());
    let mut ada = Peer::connect(&service, 1).await;
    let mut eve = Peer::connect(&service, 2).await;
    ada.register(&record(1, 1, "Ada")).await;
    watch(&mut eve, &[1]).await;
    expect(&mut eve, &[(1, Some(&record(1, 1, "Ada")))]).await;
    let rotation = Rotation::sign(&key_pair(1), &key_pair(3));
    let moved = record(3, 1, "Ada");
    ada.call("profile.rotate", json!({"rotation": rotation, "record": moved})).await;
    let mut expected = changed(1, Some(&moved));
    expected["params"]["chain"] = json!([rotation]);
    assert_eq!(eve.read().await.unwrap(), expected);
}

#[tokio::test]
async fn new_keys_take_the_place_of_the_old_ones() {
    let (service, _) = service(ServiceConfig::default());
    let mut ada = Peer::connect(&service, 1).await;
    let mut eve = Peer::connect(&service, 2).await;
    watch(&mut eve, &[1]).await;
    expect(&mut eve, &[(1, None)]).await;
    watch(&mut eve, &[3]).await;
    expect(&mut eve, &[(3, None)]).await;
    ada.register(&record(1, 1, "Ada")).await;
    watch(&mut eve, &[]).await;
    assert_eq!(eve.call("ping", json!({})).await["result"], json!({}));
}

#[tokio::test]
async fn a_watch_that_is_not_read_shows_the_last_change() {
    let config = ServiceConfig {
        limits: Limits { writes_per_minute: 2000, ..Limits::default() },
        ..ServiceConfig::default()
    };
    let (service, _) = service(config);
    let mut ada = Peer::connect(&service, 1).await;
    let mut eve = Peer::connect(&service, 2).await;
    watch(&mut eve, &[1]).await;
    ada.register(&record(1, 1, "Ada")).await;
    let last = 1500;
    for version in 2..=last {
        assert!(ada.update(&record(1, version, &"x".repeat(60))).await.get("result").is_some());
    }
    let mut lines = 0;
    loop {
        lines += 1;
        if eve.read().await.unwrap()["params"]["record"]["version"] == last {
            break;
        }
    }
    // What is in the pipe, and the one that is being written.
    assert!(lines < 900, "{lines} of {last}");
}

#[tokio::test]
async fn a_watch_is_as_many_lookups_as_it_has_keys() {
    let (service, _) = service(ServiceConfig::default());
    let mut eve = Peer::connect(&service, 2).await;
    let many: Vec<_> = (0..=u8::try_from(MAX_WATCHED).unwrap()).collect();
    assert_eq!(watch(&mut eve, &many).await["error"]["code"], -32602);
    for keys in [json!(null), json!("x"), json!([7]), json!(["00"])] {
        assert_eq!(eve.call("profile.watch", json!({"keys": keys})).await["error"]["code"], -32602);
    }
    assert!(watch(&mut eve, &many[1..]).await.get("result").is_some());
    for _ in 1..many.len() {
        eve.read().await.unwrap();
    }
    assert_eq!(kind(&watch(&mut eve, &many[1..]).await), "too_many");
}

#[tokio::test]
async fn what_a_key_has_is_shown_once() {
    let (service, store) = service(ServiceConfig::default());
    let mut eve = Peer::connect(&service, 2).await;
    watch(&mut eve, &[1]).await;
    expect(&mut eve, &[(1, None)]).await;
    for _ in 0..3 {
        store.changes().notify_all();
        assert_eq!(eve.call("ping", json!({})).await["result"], json!({}));
    }
    // Who asks again is shown it again.
    watch(&mut eve, &[1]).await;
    expect(&mut eve, &[(1, None)]).await;
}

#[tokio::test]
async fn where_lookups_are_closed_nothing_is_watched() {
    let (service, _) = service(ServiceConfig { lookup: Access::Closed, ..ServiceConfig::default() });
    let mut eve = Peer::connect(&service, 2).await;
    assert_eq!(kind(&watch(&mut eve, &[1]).await), "closed");
    service.configure(ServiceConfig::default());
    watch(&mut eve, &[1]).await;
    expect(&mut eve, &[(1, None)]).await;
    // Nor is it watched on where they are closed later.
    service.configure(ServiceConfig { lookup: Access::Closed, ..ServiceConfig::default() });
    let mut ada = Peer::connect(&service, 1).await;
    ada.register(&record(1, 1, "Ada")).await;
    assert_eq!(eve.call("ping", json!({})).await["result"], json!({}));
}

#[tokio::test(start_paused = true)]
async fn changes_do_not_keep_a_connection_from_being_idle() {
    let (service, _) = service(ServiceConfig::default());
    let mut eve = Peer::connect(&service, 2).await;
    watch(&mut eve, &[1]).await;
    expect(&mut eve, &[(1, None)]).await;
    tokio::time::sleep(std::time::Duration::from_secs(40)).await;
    let mut ada = Peer::connect(&service, 1).await;
    ada.register(&record(1, 1, "Ada")).await;
    expect(&mut eve, &[(1, Some(&record(1, 1, "Ada")))]).await;
    assert_eq!(eve.read().await, None);
    assert!(matches!(eve.served.await, Ok(super::Ended::Idle)));
}
