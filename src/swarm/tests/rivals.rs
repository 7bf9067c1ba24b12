//! Which of two connections with one peer stays.

use std::time::Duration;

use super::script::{Did, Script, dial, dials, key};

/// Greater than the own key: its dials win.
const GREATER: u8 = 200;
/// Smaller: the own dials win.
const SMALLER: u8 = 50;

#[test]
fn of_two_dials_at_once_the_one_of_the_greater_key_stays() {
    let mut script = Script::new();
    let own = dial(&script.finds([SMALLER]));
    let theirs = script.came(SMALLER);
    script.core.proven(theirs, script.now);
    assert_eq!(script.did(), [], "the own dial may still fail");
    script.core.dial_opened(own, script.now);
    assert_eq!(script.did(), [Did::Use(own), Did::Drop(theirs)]);

    let mut script = Script::new();
    let own = dial(&script.finds([GREATER]));
    let theirs = script.came(GREATER);
    assert_eq!(script.did(), [Did::Drop(own)]);
    script.core.proven(theirs, script.now);
    assert_eq!(script.did(), [Did::Use(theirs)]);
}

#[test]
fn a_dial_that_opened_first_gives_way_to_the_one_of_the_greater_key() {
    let mut script = Script::new();
    let own = dial(&script.finds([GREATER]));
    script.core.dial_opened(own, script.now);
    assert_eq!(script.did(), [Did::Use(own)]);
    let theirs = script.came(GREATER);
    script.core.proven(theirs, script.now);
    assert_eq!(script.did(), [Did::Drop(own), Did::Use(theirs)]);
    assert_eq!(script.core.stats().connections, 1);
}

#[test]
fn a_dial_that_opened_stays_against_one_of_the_smaller_key_that_was_under_way() {
    let mut script = Script::new();
    let own = dial(&script.finds([SMALLER]));
    script.core.dial_opened(own, script.now);
    script.did();
    let theirs = script.came(SMALLER);
    script.core.proven(theirs, script.now);
    assert_eq!(script.did(), [Did::Drop(theirs)]);
    assert_eq!(script.core.stats().server_refused, 1);
}

#[test]
fn a_peer_that_dials_although_it_has_the_connection_has_lost_it() {
    let mut script = Script::new();
    let own = dial(&script.finds([SMALLER]));
    script.core.dial_opened(own, script.now);
    script.core.heard(own);
    script.did();
    let theirs = script.came(SMALLER);
    script.core.proven(theirs, script.now);
    // It may be an old dial that was overtaken.
    assert_eq!(script.wait(Duration::from_millis(999)), []);
    assert_eq!(script.wait(Duration::from_millis(1)), [Did::Drop(own), Did::Use(theirs)]);
    // And once more.
    let again = script.came(SMALLER);
    script.core.proven(again, script.now);
    assert_eq!(script.did(), [Did::Drop(theirs), Did::Use(again)]);
    assert_eq!(script.core.stats().connections, 1);
}

#[test]
fn an_old_dial_that_was_overtaken_does_not_displace_the_connection() {
    let mut script = Script::new();
    let own = dial(&script.finds([SMALLER]));
    script.core.dial_opened(own, script.now);
    script.core.heard(own);
    script.did();
    let theirs = script.came(SMALLER);
    script.core.proven(theirs, script.now);
    script.now += Duration::from_millis(500);
    // The peer has given it up.
    script.core.closed(theirs, script.now);
    assert_eq!(script.wait(Duration::from_secs(30)), []);
    assert_eq!(script.core.stats().connections, 1);
}

#[test]
fn a_side_whose_dial_gave_way_to_one_that_ends_at_once_dials_soon() {
    let mut script = Script::new();
    let own = dial(&script.finds([GREATER]));
    script.core.dial_opened(own, script.now);
    let theirs = script.came(GREATER);
    script.core.proven(theirs, script.now);
    script.core.closed(theirs, script.now);
    script.did();
    assert_eq!(dials(&script.wait(Duration::from_secs(2))).len(), 1);
}

#[test]
fn a_dial_of_the_smaller_key_is_used_if_the_own_one_fails() {
    let mut script = Script::new();
    let own = dial(&script.finds([SMALLER]));
    let theirs = script.came(SMALLER);
    script.core.proven(theirs, script.now);
    script.core.dial_failed(own, false, script.now);
    assert_eq!(script.did(), [Did::Use(theirs)]);
    assert_eq!(script.wait(Duration::from_secs(60)), [], "the peer is not dialled again");
}

#[test]
fn a_claim_alone_displaces_no_connection() {
    for name in [SMALLER, GREATER] {
        let mut script = Script::new();
        let own = dial(&script.finds([name]));
        script.core.dial_opened(own, script.now);
        script.core.heard(own);
        script.did();
        let replayed = script.came(name);
        assert_eq!(script.did(), []);
        assert_eq!(script.wait(Duration::from_secs(11)), [Did::Drop(replayed)]);
        assert_eq!(script.core.stats().connections, 1);
    }
}

#[test]
fn a_claim_delays_a_dial_once_and_not_again_until_the_key_is_proven() {
    let mut script = Script::new();
    let first = dial(&script.finds([GREATER]));
    let replayed = script.came(GREATER);
    assert_eq!(script.did(), [Did::Drop(first)]);
    let did = script.wait(Duration::from_secs(12));
    assert_eq!(did[0], Did::Drop(replayed));
    let second = dial(&did);
    let replayed = script.came(GREATER);
    assert_eq!(script.did(), [], "the dial goes on");
    script.core.dial_opened(second, script.now);
    assert_eq!(script.did(), [Did::Use(second)]);
    assert_eq!(script.wait(Duration::from_secs(11)), [Did::Drop(replayed)]);
}

#[test]
fn a_peer_whose_claim_waits_for_its_proof_is_not_dialled() {
    let mut script = Script::new();
    let theirs = script.came(SMALLER);
    assert_eq!(dials(&script.finds([SMALLER])), []);
    script.core.proven(theirs, script.now);
    assert_eq!(script.did(), [Did::Use(theirs)]);
}

#[test]
fn a_claim_that_ends_unproven_leaves_the_peer_to_be_dialled() {
    let mut script = Script::new();
    let first = dial(&script.finds([GREATER]));
    let theirs = script.came(GREATER);
    script.core.closed(theirs, script.now);
    assert_eq!(script.did(), [Did::Drop(first)]);
    assert_eq!(dials(&script.wait(Duration::from_secs(2))).len(), 1);
    assert_eq!(script.peer(GREATER).unwrap().attempts, 0, "a dial that was given up has not failed");
}

#[test]
fn a_key_that_is_only_claimed_is_no_known_peer() {
    let mut script = Script::new();
    let theirs = script.came(SMALLER);
    assert_eq!(script.peer(SMALLER), None);
    assert!(script.core.peers().is_empty());
    script.core.closed(theirs, script.now);
    assert_eq!(script.core.stats().peers, 0);
}

#[test]
fn so_many_claims_of_one_key_wait_and_one_that_proves_it_wins() {
    let mut script = Script::new();
    let claims: Vec<_> = (0..4).map(|_| script.came(SMALLER)).collect();
    assert_eq!(script.did(), []);
    let fifth = script.came(SMALLER);
    assert_eq!(script.did(), [Did::Drop(claims[0])], "the oldest goes");
    script.core.proven(fifth, script.now);
    assert_eq!(script.did(), [Did::Use(fifth)]);
    let dropped = script.wait(Duration::from_secs(11));
    assert_eq!(dropped, claims[1..].iter().map(|claim| Did::Drop(*claim)).collect::<Vec<_>>());
    assert!(script.peer(SMALLER).unwrap().connected);
    assert_eq!(key(SMALLER), script.peer(SMALLER).unwrap().public_key);
}
