//! What the store of a node keeps when strangers fill it.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Instant;

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::bounds::at;
use crate::dht::store::{MAX_BYTES, MAX_BYTES_PER_SOURCE, MIN_COST, Refresh, SourceFull, Store};
use crate::keys::PublicKey;

#[test]
fn a_flood_of_sixty_networks_displaces_itself() {
    let now = Instant::now();
    let mut store = Store::new(now);
    let mut rng = StdRng::seed_from_u64(1);
    let honest = at("50.1.1.1", 1);
    store.set_immutable(*honest.ip(), numbered(0), vec![1; 1000]).expect("has room");
    store.set_mutable(*honest.ip(), numbered(0), vec![2; 1000]).expect("has room");
    let server = PublicKey::from_bytes([1; 32]);
    announce(&mut store, honest, server.target(), server).expect("has room");
    announce(&mut store, honest, numbered(7), server).expect("has room");
    let mut number = 1;
    for flood in 0..2 {
        for round in 0..1024 {
            for network in 0..60 {
                let source = Ipv4Addr::new(60, flood, network, (round % 256) as u8);
                number += 1;
                // What is beyond the budget of a network is refused.
                let _ = store.set_immutable(source, numbered(number), vec![0; 1000]);
                assert!(store.used() <= MAX_BYTES && store.len() <= MAX_BYTES / MIN_COST);
            }
        }
        assert!(store.used() > MAX_BYTES * 9 / 10, "the flood fills the store: {}", store.used());
        assert!(store.immutable(&numbered(0)).is_some());
        assert!(store.mutable(&numbered(0)).is_some());
        assert_eq!(store.server(&server.target()).map(|(relay, _)| relay), Some(honest));
        assert_eq!(store.sample(&numbered(7), 20, &mut rng).len(), 1);
        // A sweep gives nobody a new share.
        store.sweep_values(now);
        store.sweep_announcements(now);
    }
}

#[test]
fn a_network_has_one_budget_for_all_kinds_of_records_and_a_sweep_does_not_renew_it() {
    let now = Instant::now();
    let mut store = Store::new(now);
    let source = at("8.8.8.8", 1);
    let most = MAX_BYTES_PER_SOURCE / MIN_COST;
    for number in 0..most {
        let key = PublicKey::from_bytes(numbered(number));
        match number % 4 {
            0 => store.set_immutable(*source.ip(), numbered(number), vec![0; 33]),
            1 => store.set_mutable(*source.ip(), numbered(number), vec![0; 33]),
            2 => announce(&mut store, source, numbered(number), key),
            _ => announce(&mut store, source, key.target(), key),
        }
        .expect("within the budget");
    }
    let admits = |store: &mut Store, ip: &str, number: usize| {
        let ip = ip.parse().expect("an address");
        store.set_immutable(ip, numbered(number), vec![0; 33]).is_ok()
    };
    for (ip, admitted) in [("8.8.8.8", false), ("8.8.8.9", false), ("8.8.9.8", true), ("127.0.0.1", true)] {
        assert_eq!(admits(&mut store, ip, most + usize::from(ip != "8.8.8.8")), admitted, "{ip}");
    }
    assert!(admits(&mut store, "8.8.8.8", 0), "replacing takes no more room");
    store.sweep_values(now);
    store.sweep_announcements(now);
    let key = PublicKey::from_bytes([9; 32]);
    assert!(!admits(&mut store, "8.8.8.8", most));
    assert_eq!(announce(&mut store, source, [9; 32], key), Err(SourceFull));
    store.sweep_values(now);
    assert!(admits(&mut store, "8.8.8.8", most), "its values are gone");
    assert_eq!(announce(&mut store, source, [9; 32], key), Ok(()));
}

#[test]
fn the_store_never_holds_more_than_its_limit_wherever_the_records_come_from() {
    let limit = 100 * MIN_COST;
    let mut store = Store::with_limits(Instant::now(), limit, MAX_BYTES_PER_SOURCE);
    for number in 0..1000 {
        let from = at("127.0.0.1", 1);
        let key = PublicKey::from_bytes(numbered(number));
        let stored = match number % 4 {
            0 => store.set_immutable(*from.ip(), numbered(number), vec![0; 2000]),
            1 => store.set_mutable(*from.ip(), numbered(number), vec![0; number]),
            2 => announce(&mut store, from, numbered(number % 7), key),
            _ => announce(&mut store, from, key.target(), key),
        };
        assert_eq!(stored, Ok(()));
        assert!(store.used() <= limit && store.len() <= 100);
    }
    assert!(store.server(&PublicKey::from_bytes(numbered(999)).target()).is_some(), "the latest stay");
    assert!(store.immutable(&numbered(996)).is_some());
    assert!(store.immutable(&numbered(0)).is_none());
}

fn announce(
    store: &mut Store,
    from: SocketAddrV4,
    target: [u8; 32],
    public_key: PublicKey,
) -> Result<(), SourceFull> {
    let entry = Refresh { target, public_key, record: vec![0; 33] };
    store.announce(from, entry, None, store.generation())
}

/// Returns a target with this number.
fn numbered(number: usize) -> [u8; 32] {
    let mut target = [0xa5; 32];
    target[..8].copy_from_slice(&number.to_le_bytes());
    target
}
