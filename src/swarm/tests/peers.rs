//! Who is dialled, when, and how often.

use std::time::Duration;

use super::script::{Did, Script, dial, dials, key, query_of};
use crate::swarm::core::{ConnectionId, Join, SessionId};
use crate::swarm::info::{Priority, SwarmEvent};
use crate::swarm::settings::Settings;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn so_many_dials_are_under_way_at_once_and_the_next_follows_each_end() {
    let mut script = Script::new();
    let first = dials(&script.finds(1..10));
    assert_eq!(first.len(), 3);
    script.core.dial_opened(first[0].0, script.now);
    assert_eq!(dials(&script.did()).len(), 1);
    script.core.dial_failed(first[1].0, false, script.now);
    assert_eq!(dials(&script.did()).len(), 1);
    assert_eq!(script.core.stats().dialling, 3);
    assert_eq!(script.core.stats().queued, 4);
}

#[test]
fn no_more_peers_of_topics_are_dialled_than_the_bound_on_peers() {
    let mut script = Script::with(Settings { max_peers: 2, ..Settings::default() });
    let first = dials(&script.finds(1..10));
    assert_eq!(first.len(), 2);
    for (id, _) in &first {
        script.core.dial_opened(*id, script.now);
    }
    assert_eq!(dials(&script.did()).len(), 0);
    script.core.closed(first[0].0, script.now);
    assert_eq!(dials(&script.did()).len(), 1, "a place is free");
}

#[test]
fn connections_that_peers_have_dialled_count_for_the_bound_on_peers() {
    let mut script = Script::with(Settings { max_peers: 2, ..Settings::default() });
    for name in [10, 11] {
        let id = script.came(name);
        script.core.proven(id, script.now);
    }
    script.did();
    assert_eq!(dials(&script.finds(1..4)), []);
}

#[test]
fn own_dials_have_a_bound_of_their_own() {
    let mut script = Script::with(Settings { max_client_connections: 1, ..Settings::default() });
    let first = dial(&script.finds(1..4));
    script.core.dial_opened(first, script.now);
    assert_eq!(dials(&script.did()), []);
}

#[test]
fn explicit_peers_go_first_and_beyond_the_bound_and_lower_it() {
    let mut script = Script::with(Settings { max_peers: 2, max_parallel: 1, ..Settings::default() });
    let first = dial(&script.finds(1..4));
    script.core.join_peer(key(60), script.now);
    script.core.join_peer(key(100), script.now);
    assert_eq!(script.did(), [], "one at a time, and not the own key");
    script.core.dial_opened(first, script.now);
    let explicit = dials(&script.did());
    assert_eq!(explicit[0].1, key(60));
    script.core.dial_opened(explicit[0].0, script.now);
    assert_eq!(dials(&script.did()), [], "two connections count twice with an explicit peer");
    script.core.join_peer(key(61), script.now);
    assert_eq!(dials(&script.did()).len(), 1, "explicit peers are dialled all the same");
}

#[test]
fn a_lost_peer_is_dialled_after_a_second_then_five_then_fifteen_and_then_forgotten() {
    let mut script = Script::new();
    let mut id = dial(&script.finds([1]));
    for (seconds, priority) in [(1, Priority::VeryHigh), (5, Priority::High), (15, Priority::Low)] {
        script.core.dial_opened(id, script.now);
        script.core.closed(id, script.now);
        script.did();
        assert_eq!(script.wait(SECOND * seconds * 65 / 100), [], "not before {seconds} s");
        id = dial(&script.wait(SECOND * seconds * 68 / 100));
        assert_eq!(script.peer(1).unwrap().priority, priority);
    }
    script.core.dial_opened(id, script.now);
    script.core.closed(id, script.now);
    script.did();
    assert_eq!(script.peer(1), None);
    assert_eq!(dials(&script.wait(SECOND * 60)), []);
}

#[test]
fn a_peer_that_never_answered_is_dialled_after_five_seconds_then_fifteen_twice() {
    let mut script = Script::new();
    let mut id = dial(&script.finds([1]));
    for seconds in [5, 15, 15] {
        script.core.dial_failed(id, false, script.now);
        script.did();
        assert_eq!(script.wait(SECOND * seconds * 65 / 100), []);
        id = dial(&script.wait(SECOND * seconds * 68 / 100));
    }
    script.core.dial_failed(id, false, script.now);
    assert_eq!(script.peer(1), None);
}

#[test]
fn a_peer_that_was_connected_for_fifteen_seconds_starts_anew() {
    let mut script = Script::new();
    let mut id = dial(&script.finds([1]));
    for _ in 0..10 {
        script.core.dial_opened(id, script.now);
        script.did();
        script.wait(SECOND * 15);
        script.core.closed(id, script.now);
        script.did();
        assert_eq!(script.peer(1).unwrap().attempts, 1);
        id = dial(&script.wait(SECOND * 2));
    }
}

#[test]
fn explicit_peers_are_dialled_every_ten_minutes_however_often_they_fail() {
    let mut script = Script::new();
    script.core.join_peer(key(1), script.now);
    let mut id = dial(&script.did());
    for _ in 0..3 {
        script.core.dial_failed(id, false, script.now);
        id = dial(&script.wait(SECOND * 20));
    }
    for _ in 0..5 {
        script.core.dial_failed(id, false, script.now);
        assert_eq!(script.wait(SECOND * 390), []);
        id = dial(&script.wait(SECOND * 410));
    }
    script.core.leave_peer(key(1), script.now);
    script.core.dial_failed(id, false, script.now);
    script.did();
    assert_eq!(script.wait(SECOND * 3600), []);
    assert_eq!(script.core.stats().peers, 0);
}

#[test]
fn the_side_that_was_dialled_dials_when_the_other_one_has_not_come_back() {
    let mut script = Script::new();
    let lose = |script: &mut Script| {
        let theirs = script.came(1);
        script.core.proven(theirs, script.now);
        script.did();
        script.core.closed(theirs, script.now);
        script.did();
    };
    lose(&mut script);
    assert_eq!(script.wait(SECOND * 60), [], "it was never found under a topic");
    script.core.ban(key(1), false, script.now);
    let theirs = script.came(1);
    script.core.proven(theirs, script.now);
    script.did();
    assert_eq!(dials(&script.finds([1])), []);
    script.core.closed(theirs, script.now);
    script.did();
    assert_eq!(script.wait(SECOND * 9), []);
    lose(&mut script);
    assert_eq!(script.wait(SECOND * 9), [], "it had come back");
    assert_eq!(dials(&script.wait(SECOND * 11)).len(), 1);
}

#[test]
fn a_banned_peer_is_neither_dialled_nor_taken_and_its_connection_stays() {
    let mut script = Script::new();
    let id = dial(&script.finds([1]));
    script.core.dial_opened(id, script.now);
    script.core.ban(key(1), true, script.now);
    assert_eq!(script.did(), [Did::Use(id)]);
    script.core.closed(id, script.now);
    assert_eq!(script.wait(SECOND * 60), []);
    let source = crate::slots::Source::direct([10, 0, 0, 1].into());
    assert_eq!(script.core.came(key(1), source, script.now), None);
    assert_eq!(dials(&script.finds([1])), []);
    assert!(script.peer(1).unwrap().banned);
    script.core.ban(key(1), false, script.now);
    assert_eq!(dials(&script.did()).len(), 1, "a lookup has found it meanwhile");
    assert_eq!(script.core.stats().banned, 1);
    let banned = script.events.iter().filter(|event| matches!(event, SwarmEvent::Banned(_)));
    assert_eq!(banned.count(), 2);
}

#[test]
fn a_ban_gives_up_a_dial_and_what_has_not_proven_its_key() {
    let mut script = Script::new();
    let dialled = dial(&script.finds([1]));
    let claimed = script.came(1);
    script.did();
    script.core.ban(key(1), true, script.now);
    assert_eq!(script.did(), [Did::Drop(dialled), Did::Drop(claimed)]);
    // What was under way arrives all the same.
    script.core.dial_opened(dialled, script.now);
    script.core.proven(claimed, script.now);
    assert_eq!(script.did(), []);
    assert_eq!((script.core.stats().dialling, script.core.stats().connections), (0, 0));
}

#[test]
fn an_explicit_peer_is_dialled_when_its_ban_ends_and_when_it_may_be_reconnected_again() {
    let mut script = Script::new();
    script.core.ban(key(1), true, script.now);
    script.core.join_peer(key(1), script.now);
    assert_eq!(dials(&script.did()), []);
    script.core.ban(key(1), false, script.now);
    let id = dial(&script.did());
    script.core.dial_opened(id, script.now);
    script.core.set_reconnect(key(1), false, script.now);
    script.core.closed(id, script.now);
    assert_eq!(dials(&script.wait(SECOND * 3600)), []);
    script.core.set_reconnect(key(1), true, script.now);
    assert_eq!(dials(&script.did()).len(), 1);
}

#[test]
fn a_peer_that_is_explicit_no_longer_is_dialled_for_its_topic_at_once() {
    let mut script = Script::new();
    let id = dial(&script.finds([1]));
    script.core.join_peer(key(1), script.now);
    script.core.dial_failed(id, false, script.now);
    assert_eq!(dials(&script.did()), [], "it waits for its retry");
    script.core.leave_peer(key(1), script.now);
    assert_eq!(dials(&script.did()).len(), 1);
}

#[test]
fn a_peer_that_is_not_to_be_reconnected_is_not_until_a_lookup_finds_it() {
    let mut script = Script::new();
    let id = dial(&script.finds([1]));
    script.core.dial_opened(id, script.now);
    script.core.set_reconnect(key(1), false, script.now);
    script.core.closed(id, script.now);
    assert_eq!(dials(&script.did()), []);
    assert_eq!(dials(&script.wait(SECOND * 60)), []);
    assert_eq!(dials(&script.finds([1])).len(), 1);
}

#[test]
fn a_lookup_does_not_shorten_the_time_until_a_peer_is_tried_again() {
    let mut script = Script::new();
    let id = dial(&script.finds([1]));
    script.core.dial_failed(id, false, script.now);
    script.did();
    assert_eq!(dials(&script.finds([1])), []);
    assert_eq!(dials(&script.wait(SECOND * 7)).len(), 1);
}

#[test]
fn a_peer_without_a_path_is_dialled_through_the_relay_next() {
    use crate::swarm::core::Action;
    let mut script = Script::with(Settings { relays: true, ..Settings::default() });
    let id = dial(&script.finds([1]));
    script.core.dial_failed(id, true, script.now);
    script.did();
    script.now += SECOND * 7;
    script.core.handle_timeout(script.now);
    let through = std::iter::from_fn(|| script.core.poll_action()).find_map(|action| match action {
        Action::Dial { relayed, .. } => Some(relayed),
        _ => None,
    });
    assert_eq!(through, Some(true));
}

#[test]
fn peers_of_a_topic_that_is_left_are_not_dialled_and_those_of_another_are() {
    let mut script = Script::with(Settings { max_parallel: 1, ..Settings::default() });
    let first = dial(&script.finds([1, 2, 3]));
    script.core.join([2; 32], SessionId(9), Join::client(), script.now);
    let query = query_of(&script.did());
    script.core.found([2; 32], query, key(3), Vec::new(), script.now);
    script.core.leave(super::script::TOPIC, script.now);
    script.core.dial_failed(first, false, script.now);
    let next: Vec<_> = dials(&script.did()).into_iter().map(|(_, key)| key).collect();
    assert!(next.iter().all(|next| *next == key(3)), "{next:?}");
    script.core.query_over([2; 32], query, true, script.now);
    assert!(script.core.peers().iter().all(|peer| peer.public_key == key(3)));
}

#[test]
fn what_was_forgotten_is_not_spoken_of_again() {
    let mut script = Script::new();
    let id = ConnectionId(1_000_000);
    script.core.dial_opened(id, script.now);
    script.core.dial_failed(id, true, script.now);
    script.core.proven(id, script.now);
    script.core.heard(id);
    script.core.closed(id, script.now);
    assert_eq!(script.did(), []);
    assert_eq!(script.core.stats(), Script::new().core.stats());
}
