//! What the responses to an operation prove, without a network.

use super::bounds::{answer, at};
use crate::dht::{
    Answer, Commit, Findings, Found, Operation, OperationError, Query, QueryError, QueryOutcome, ValueError,
};
use crate::keys::KeyPair;
use crate::wire::compact::Encode;
use crate::wire::hash;
use crate::wire::records::{LookupReply, MutablePut, MutableValue, Peer, mutable_signable};
use crate::wire::rpc::{ERROR_SEQ_REUSED, ERROR_SEQ_TOO_LOW};

#[test]
fn peers_are_collected_to_the_end_and_what_does_not_decode_counts_for_nothing() {
    let peer = peer(1);
    let mut findings = start(Operation::FindPeer(peer.public_key));
    assert_eq!(findings.on_answer(&holding(1, Some(peer.to_bytes()))), None);
    assert_eq!(findings.on_answer(&holding(2, Some(vec![1, 2, 3]))), None);
    assert_eq!(findings.on_answer(&holding(3, None)), None);
    let found = findings.finish(Ok(QueryOutcome::default())).expect("found");
    let [only] = &found.peers[..] else {
        panic!("one node knows the peer: {found:?}");
    };
    assert_eq!((only.from, only.public_key), (from(1), peer.public_key));
    assert_eq!(only.relay_addresses, peer.relay_addresses);
}

#[test]
fn a_lookup_keeps_so_many_peers() {
    let peers = (0..20).map(peer).collect();
    let reply = LookupReply { peers, bump: 7 }.to_bytes();
    let mut findings = start(Operation::Lookup([9; 32]));
    for _ in 0..300 {
        assert_eq!(findings.on_answer(&holding(1, Some(reply.clone()))), None);
    }
    let found = findings.finish(Ok(QueryOutcome::default())).expect("found");
    assert_eq!(found.peers.len(), 4096);
    assert!(found.peers.iter().all(|peer| peer.bump == 7));

    let (mut findings, mut taken) = (start(Operation::Lookup([9; 32])), 0);
    for _ in 0..300 {
        assert_eq!(findings.on_answer(&holding(1, Some(reply.clone()))), None);
        taken += findings.take_peers().len();
    }
    assert_eq!(taken, 4096, "those that were taken count");
}

#[test]
fn the_first_value_with_the_right_hash_ends_the_query() {
    let target = hash::hash(&[b"right"]);
    let mut findings = start(Operation::ImmutableGet(target));
    assert_eq!(findings.on_answer(&holding(1, Some(b"wrong".to_vec()))), None);
    let found = findings.on_answer(&holding(2, Some(b"right".to_vec())));
    let value = found.expect("the end").expect("a value").value;
    assert_eq!(value.as_deref(), Some(&b"right"[..]));
}

#[test]
fn a_signed_value_is_the_first_or_the_latest_as_the_operation_says() {
    let key = KeyPair::from_seed(&[1; 32]);
    let get = |latest| Operation::MutableGet { key: *key.public_key(), least: 2, latest };
    let stranger = KeyPair::from_seed(&[2; 32]);
    let useless = [signed(&key, 1, b"old"), signed(&stranger, 9, b"forged")];

    let mut first = start(get(false));
    for value in useless.clone() {
        assert_eq!(first.on_answer(&holding(1, Some(value))), None);
    }
    let found = first.on_answer(&holding(2, Some(signed(&key, 2, b"two"))));
    assert_eq!(seq(found.expect("the end").as_ref()), Some(2));

    let mut latest = start(get(true));
    for (number, value) in [2, 4, 3].into_iter().zip([b"two", b"fou", b"thr"]) {
        let answer = holding(1, Some(signed(&key, number, value)));
        assert_eq!(latest.on_answer(&answer), None);
    }
    for value in useless {
        assert_eq!(latest.on_answer(&holding(1, Some(value))), None);
    }
    assert_eq!(seq(latest.finish(Ok(QueryOutcome::default())).as_ref()), Some(4));
}

#[test]
fn a_signed_value_is_put_again_as_its_owner_signed_it_or_not_at_all() {
    let key = KeyPair::from_seed(&[1; 32]);
    let mut get = start(Operation::MutableGet { key: *key.public_key(), least: 0, latest: false });
    let found = get.on_answer(&holding(1, Some(signed(&key, 5, b"five"))));
    let found = found.expect("the end").expect("a value").signed.expect("it");
    let put = MutablePut {
        public_key: *key.public_key(),
        seq: found.seq,
        value: found.value,
        signature: found.signature,
    };
    let own = super::world::mutable_put(&key, 5, b"five".to_vec()).into_query().expect("it fits").0;
    let again = Operation::MutableRepublish(put.clone()).into_query().expect("it is signed").0;
    let sent = |query: Query| match query.commit {
        Commit::Send { command, value } => (query.target, command, value),
        other => panic!("{other:?}"),
    };
    assert_eq!(sent(again), sent(own));
    let stranger = *KeyPair::from_seed(&[2; 32]).public_key();
    let [mut other, mut later, mut longer] = [(); 3].map(|()| put.clone());
    other.public_key = stranger;
    later.seq += 1;
    longer.value.push(b'!');
    for forged in [other, later, longer] {
        let refused = Operation::MutableRepublish(forged).into_query().map(drop);
        assert_eq!(refused, Err(ValueError::BadSignature));
    }
    let huge = MutablePut { value: vec![0; 1783], ..put };
    let refused = Operation::MutableRepublish(huge).into_query().map(drop);
    assert_eq!(refused, Err(ValueError::TooLarge { size: 1783, max: 1782 }));
}

#[test]
fn a_put_ends_where_a_signed_value_bars_it() {
    let key = KeyPair::from_seed(&[1; 32]);
    let put = || start(super::world::mutable_put(&key, 5, b"five".to_vec()));
    let barred = [
        (signed(&key, 4, b"four"), None),
        (signed(&key, 5, b"five"), None),
        (signed(&KeyPair::from_seed(&[2; 32]), 6, b"six"), None),
        (signed(&key, 5, b"other"), Some(OperationError::SeqReused)),
        (signed(&key, 6, b"six"), Some(OperationError::SeqTooLow(Some(6)))),
    ];
    for (value, error) in barred {
        let result = put().on_answer(&holding(1, Some(value)));
        assert_eq!(result, error.map(Err));
    }
}

#[test]
fn the_end_of_a_query_is_the_end_of_its_operation() {
    let key = KeyPair::from_seed(&[1; 32]);
    let put = || start(super::world::mutable_put(&key, 5, b"five".to_vec()));
    let not_committed = |error| Err(QueryError::NotCommitted { error });
    let ends = [
        (Err(QueryError::NoNodes), OperationError::NoNetwork),
        (Err(QueryError::TooFewNodes), OperationError::NotStored),
        (not_committed(None), OperationError::NotStored),
        (not_committed(Some(1)), OperationError::NotStored),
        (not_committed(Some(ERROR_SEQ_REUSED)), OperationError::SeqReused),
        (not_committed(Some(ERROR_SEQ_TOO_LOW)), OperationError::SeqTooLow(None)),
    ];
    for (result, error) in ends {
        assert_eq!(put().finish(result), Err(error));
    }
    let outcome =
        QueryOutcome { committed: 18, refused: vec![ERROR_SEQ_TOO_LOW; 2], ..QueryOutcome::default() };
    let stored = put().finish(Ok(outcome)).expect("stored").stored;
    assert_eq!((stored.target, stored.nodes, stored.refused), (key.public_key().target(), 18, 2));
    let too_large = Operation::ImmutablePut(vec![0; 1851]).into_query();
    let error = OperationError::from(too_large.map(drop).expect_err("too large"));
    let expected = ValueError::TooLarge { size: 1851, max: 1850 };
    assert_eq!(error, OperationError::Value(expected));
}

fn start(operation: Operation) -> Findings {
    operation.into_query().expect("it fits").1
}

fn from(number: u16) -> std::net::SocketAddrV4 {
    at("50.1.1.1", number)
}

/// Makes the answer of a node that holds this value.
fn holding(number: u16, value: Option<Vec<u8>>) -> Answer {
    Answer { value, ..answer(from(number), Vec::new()) }
}

fn peer(number: u8) -> Peer {
    Peer {
        public_key: *KeyPair::from_seed(&[number; 32]).public_key(),
        relay_addresses: vec![at("60.1.1.1", 7)],
    }
}

fn signed(key: &KeyPair, seq: u64, value: &[u8]) -> Vec<u8> {
    let record =
        MutableValue { seq, value: value.to_vec(), signature: key.sign(&mutable_signable(seq, value)) };
    record.to_bytes()
}

fn seq(found: Result<&Found, &OperationError>) -> Option<u64> {
    found.ok()?.signed.as_ref().map(|value| value.seq)
}
