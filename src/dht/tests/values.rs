//! Putting and getting values through whole networks.

use std::time::Duration;

use super::world::{World, address, mutable_get, mutable_put};
use crate::dht::operations::{immutable_value, mutable_value};
use crate::dht::{Answer, Config, K, MAX_IMMUTABLE, Operation, QueryError, ValueError, max_mutable};
use crate::keys::KeyPair;
use crate::sim::network::Link;
use crate::wire::compact::MAX_VARUINT;
use crate::wire::hash;
use crate::wire::rpc::{ERROR_SEQ_REUSED, ERROR_SEQ_TOO_LOW, MAX_DATAGRAM};

#[test]
fn the_largest_values_come_back_from_nodes_with_full_lists_and_larger_ones_are_refused() {
    let mut world = World::new(1, 25, Link::default());
    let client = world.join(Config::default());
    let value = vec![7; MAX_IMMUTABLE];
    let target = hash::hash(&[&value]);
    assert_eq!((MAX_IMMUTABLE, max_mutable(252)), (1850, 1782));
    world.network.capture = Some(Vec::new());
    let (_, result, _) = world.run(client, Operation::ImmutablePut(value.clone()));
    assert_eq!(result.map(|outcome| outcome.committed), Ok(K));
    let (answers, _, _) = world.run(client, Operation::ImmutableGet(target));
    let full =
        |answer: &&Answer| answer.closer.len() == K && immutable_value(answer, &target) == Some(&value);
    assert!(answers.iter().filter(full).count() >= 15);

    let key = KeyPair::from_seed(&[1; 32]);
    for (seq, name) in [(252, "one byte"), (253, "three"), (MAX_VARUINT, "nine")] {
        let value = vec![8; max_mutable(seq)];
        let (_, result, _) = world.run(client, mutable_put(&key, seq, value.clone()));
        assert_eq!(result.map(|outcome| outcome.committed), Ok(K), "{name}");
        let (answers, _, _) = world.run(client, mutable_get(key.public_key(), seq));
        let full = |answer: &&Answer| {
            let record = mutable_value(answer, key.public_key(), seq);
            answer.closer.len() == K && record.is_some_and(|record| record.value == value)
        };
        assert!(answers.iter().filter(full).count() >= 15, "{name}");
    }
    let longest = world.network.capture.iter().flatten();
    let longest = longest.map(|datagram| datagram.payload.len()).max();
    assert_eq!(longest, Some(MAX_DATAGRAM));

    world.network.with(client, |machine, now| {
        let too_large = |size, max| Err(ValueError::TooLarge { size, max });
        let mut start = |operation| machine.node.start(now, operation).map(drop);
        let put = start(Operation::ImmutablePut(vec![7; 1851]));
        assert_eq!(put, too_large(1851, 1850));
        let put = start(mutable_put(&key, 0, vec![7; 1783]));
        assert_eq!(put, too_large(1783, 1782));
        let put = start(mutable_put(&key, 1 << 53, Vec::new()));
        assert_eq!(put, Err(ValueError::SeqTooLarge));
        let get = start(mutable_get(key.public_key(), 1 << 53));
        assert_eq!(get, Err(ValueError::SeqTooLarge));
    });
}

#[test]
fn a_refused_sequence_number_is_told() {
    let mut world = World::new(2, 8, Link::default());
    let client = world.join(Config::default());
    let key = KeyPair::from_seed(&[1; 32]);
    let mut put = |seq, value: &[u8]| world.run(client, mutable_put(&key, seq, value.to_vec())).1;
    let stored = put(5, b"five").expect("the first");
    assert_eq!((stored.committed, stored.refused.len()), (8, 0));
    assert!(put(5, b"five").is_ok(), "the same again renews it");
    let refused = |error| Err(QueryError::NotCommitted { error: Some(error) });
    assert_eq!(put(5, b"other"), refused(ERROR_SEQ_REUSED));
    assert_eq!(put(4, b"four"), refused(ERROR_SEQ_TOO_LOW));
    assert!(put(6, b"six").is_ok());
}

#[test]
fn a_value_that_is_asked_for_outlives_one_that_is_not() {
    let mut world = World::new(3, 1, Link::default());
    let client = world.join(Config::default());
    let (wanted, unwanted) = (b"wanted".to_vec(), b"unwanted".to_vec());
    for value in [&wanted, &unwanted] {
        let put = world.run(client, Operation::ImmutablePut(value.clone()));
        assert!(put.1.is_ok());
    }
    let mut held = |value: &[u8]| {
        let target = hash::hash(&[value]);
        let (answers, _, _) = world.run(client, Operation::ImmutableGet(target));
        let found = answers.iter().any(|answer| immutable_value(answer, &target).is_some());
        world.network.run_for(Duration::from_secs(31 * 3600));
        found
    };
    for _ in 0..3 {
        assert!(held(&wanted));
    }
    assert!(!held(&unwanted));
}

#[test]
fn answers_that_are_not_what_was_asked_for_count_for_nothing() {
    let key = KeyPair::from_seed(&[1; 32]);
    let mut world = World::new(4, 1, Link::default());
    let client = world.join(Config::default());
    let put = world.run(client, mutable_put(&key, 3, b"three".to_vec()));
    assert!(put.1.is_ok());
    let (answers, _, _) = world.run(client, mutable_get(key.public_key(), 0));
    let answer = answers.first().expect("one node answers");
    assert_eq!(answer.from, address(0));
    let other = KeyPair::from_seed(&[2; 32]);
    assert!(mutable_value(answer, key.public_key(), 3).is_some());
    assert!(mutable_value(answer, key.public_key(), 4).is_none());
    assert!(mutable_value(answer, other.public_key(), 0).is_none());
    let value = answer.value.clone().expect("a record");
    for position in 0..value.len() {
        let mut forged = answer.clone();
        let mut bytes = value.clone();
        bytes[position] ^= 1;
        forged.value = Some(bytes);
        assert!(mutable_value(&forged, key.public_key(), 0).is_none(), "byte {position}");
    }
    assert!(immutable_value(answer, &key.public_key().target()).is_none());
}
