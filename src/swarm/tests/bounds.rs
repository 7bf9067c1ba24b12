//! What strangers can make a swarm keep.

use std::net::Ipv4Addr;

use super::script::{Did, Script, TOPIC, key, query_of};
use crate::PublicKey;
use crate::slots::Source;
use crate::swarm::core::{Join, SessionId};
use crate::swarm::settings::{MAX_SEEN_KEYS, MAX_TOPIC_PEERS, Settings};

fn stranger(n: u32) -> PublicKey {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    PublicKey::from_bytes(bytes)
}

#[test]
fn so_many_peers_of_a_topic_are_remembered() {
    let mut script = Script::new();
    script.core.join(TOPIC, SessionId(0), Join::client(), script.now);
    let query = query_of(&script.did());
    for n in 1..=10_000 {
        script.core.found(TOPIC, query, stranger(n), Vec::new(), script.now);
    }
    assert_eq!(script.core.stats().peers, MAX_TOPIC_PEERS);
    let did = script.did();
    let (id, _) = super::script::dials(&did)[0];
    script.core.dial_failed(id, false, script.now);
    script.core.leave(TOPIC, script.now);
    script.did();
    assert_eq!(script.core.stats().peers, script.core.stats().dialling);
}

#[test]
fn beyond_so_many_keys_a_topic_notices_no_new_one() {
    let mut script = Script::new();
    script.core.join(TOPIC, SessionId(0), Join::client(), script.now);
    let query = query_of(&script.did());
    for n in 0..MAX_SEEN_KEYS as u32 {
        script.core.found(TOPIC, query, stranger(n), Vec::new(), script.now);
    }
    script.core.query_over(TOPIC, query, true, script.now);
    script.did();
    // The lookups that this makes follow.
    for _ in 0..2 {
        script.core.refresh(TOPIC, script.now);
        let query = query_of(&script.did());
        script.core.query_over(TOPIC, query, true, script.now);
        script.did();
    }
    script.core.refresh(TOPIC, script.now);
    let query = query_of(&script.did());
    script.core.found(TOPIC, query, stranger(1_000_000), Vec::new(), script.now);
    script.core.query_over(TOPIC, query, true, script.now);
    let did = script.wait(std::time::Duration::from_secs(300));
    assert!(!did.iter().any(|did| matches!(did, Did::Query(..))), "{did:?}");
}

#[test]
fn beyond_so_many_clients_the_newest_of_the_busiest_network_goes() {
    let settings = Settings { max_server_connections: 10, ..Settings::default() };
    let mut script = Script::with(settings);
    let came = |script: &mut Script, n: u32, address: [u8; 4]| {
        script.core.came(stranger(n), Source::direct(Ipv4Addr::from(address)), script.now)
    };
    let busy: Vec<_> = (0..10).map(|n| came(&mut script, n, [9, 9, 9, n as u8]).unwrap()).collect();
    script.core.proven(busy[9], script.now);
    script.did();
    assert_eq!(came(&mut script, 20, [9, 9, 9, 99]), None);
    assert!(came(&mut script, 21, [5, 5, 5, 5]).is_some());
    assert_eq!(script.did(), [Did::Drop(busy[9])]);
    assert_eq!(script.core.stats().connections, 0);
    // The claims of keys that are gone leave nothing behind.
    assert_eq!(script.core.stats().peers, 10);
    assert_eq!(script.core.peers(), []);
}

#[test]
fn the_own_key_is_no_peer() {
    let mut script = Script::new();
    let source = Source::direct(Ipv4Addr::LOCALHOST);
    assert_eq!(script.core.came(key(100), source, script.now), None);
    script.core.join_peer(key(100), script.now);
    script.core.ban(key(100), true, script.now);
    script.core.set_reconnect(key(100), false, script.now);
    script.finds([100]);
    assert_eq!(script.core.stats().peers, 0);
}
