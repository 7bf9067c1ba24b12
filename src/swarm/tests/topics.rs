//! When a topic is announced, looked up and withdrawn; suspending, closing, flushing.

use std::time::Duration;

use super::script::{Did, Script, TOPIC, dial, dials, key, query_of, steps};
use crate::swarm::core::{FlushId, Join, SessionId, Step};

const SECOND: Duration = Duration::from_secs(1);
const FIRST: SessionId = SessionId(1);
const SECOND_SESSION: SessionId = SessionId(2);

/// Ends the queries of a refresh, in which nothing is found; returns their steps.
fn finish(script: &mut Script, mut did: Vec<Did>) -> Vec<Step> {
    let mut done = Vec::new();
    while let Some(step) = steps(&did).first() {
        done.push(*step);
        script.core.query_over(TOPIC, query_of(&did), true, script.now);
        did = script.did();
    }
    done
}

#[test]
fn who_joins_as_both_looks_up_before_and_after_the_announcement() {
    let mut script = Script::new();
    script.core.join(TOPIC, FIRST, Join::default(), script.now);
    let did = script.did();
    assert_eq!(finish(&mut script, did), [Step::Lookup, Step::Announce, Step::Lookup]);
    assert!(script.core.is_refreshed(&TOPIC));
    // Others may have joined at the same time.
    let did = script.wait(SECOND * 5);
    assert_eq!(finish(&mut script, did), [Step::Lookup]);
    assert_eq!(script.wait(SECOND * 590), []);
    let did = script.wait(SECOND * 126);
    assert_eq!(finish(&mut script, did), [Step::Announce, Step::Lookup]);
}

#[test]
fn a_server_announces_and_a_client_looks_up() {
    for (join, step) in [(Join::server(), Step::Announce), (Join::client(), Step::Lookup)] {
        let mut script = Script::new();
        script.core.join(TOPIC, FIRST, join, script.now);
        let did = script.did();
        assert_eq!(finish(&mut script, did), [step]);
        let did = script.wait(SECOND * 720);
        assert_eq!(finish(&mut script, did), [step]);
    }
}

#[test]
fn what_a_server_finds_is_not_dialled() {
    let mut script = Script::new();
    script.core.join(TOPIC, FIRST, Join::server(), script.now);
    let query = query_of(&script.did());
    script.core.found(TOPIC, query, key(1), Vec::new(), script.now);
    assert_eq!(script.did(), []);
}

#[test]
fn lookups_follow_each_other_while_they_find_new_peers() {
    let mut script = Script::new();
    script.core.join(TOPIC, FIRST, Join::client(), script.now);
    let query = query_of(&script.did());
    script.core.found(TOPIC, query, key(1), Vec::new(), script.now);
    script.core.query_over(TOPIC, query, true, script.now);
    script.did();
    let mut before = script.now;
    for (nth, name) in [(1u32, 2), (2, 3), (3, 4)] {
        while steps(&script.wait(SECOND / 10)) != [Step::Lookup] {}
        let waited = script.now - before;
        let least = SECOND * 2u32.pow(nth);
        assert!((least..=least * 2 + SECOND).contains(&waited), "{nth}: {waited:?}");
        before = script.now;
        let query = running(&script);
        script.core.found(TOPIC, query, key(name), Vec::new(), script.now);
        script.core.query_over(TOPIC, query, true, script.now);
        script.did();
    }
    while steps(&script.wait(SECOND / 10)) != [Step::Lookup] {}
    let query = running(&script);
    script.core.found(TOPIC, query, key(1), Vec::new(), script.now);
    script.core.query_over(TOPIC, query, true, script.now);
    script.did();
    assert_eq!(steps(&script.wait(SECOND * 400)), [], "it has found nobody new");
}

fn running(script: &Script) -> crate::swarm::core::QueryId {
    script.core.running(&TOPIC).expect("a query runs")
}

#[test]
fn a_refresh_that_fails_is_repeated_within_a_minute() {
    let mut script = Script::new();
    script.core.join(TOPIC, FIRST, Join::client(), script.now);
    let query = query_of(&script.did());
    script.core.query_over(TOPIC, query, false, script.now);
    assert_eq!(script.did(), [Did::Refreshed(false)]);
    assert!(script.core.is_refreshed(&TOPIC) && !script.core.has_refreshed(&TOPIC));
    assert_eq!(script.wait(SECOND * 29), []);
    assert_eq!(steps(&script.wait(SECOND * 32)), [Step::Lookup]);
}

#[test]
fn leaving_withdraws_what_was_announced_and_ends_what_runs() {
    let mut script = Script::new();
    script.core.join(TOPIC, FIRST, Join::server(), script.now);
    let did = script.did();
    finish(&mut script, did);
    script.core.leave(TOPIC, script.now);
    let did = script.did();
    assert_eq!(steps(&did), [Step::Unannounce]);
    assert!(script.core.joined().is_empty());
    script.core.query_over(TOPIC, query_of(&did), true, script.now);
    assert!(script.did().contains(&Did::Left));
    assert!(!script.core.has_topic(&TOPIC));

    script.core.join(TOPIC, FIRST, Join::client(), script.now);
    let query = query_of(&script.did());
    script.core.leave(TOPIC, script.now);
    assert_eq!(script.did(), [Did::Cancel(query), Did::Left, Did::Refreshed(false)]);
    assert!(!script.core.has_topic(&TOPIC));
}

#[test]
fn who_joins_again_waits_for_the_withdrawal() {
    let mut script = Script::new();
    script.core.join(TOPIC, FIRST, Join::server(), script.now);
    let did = script.did();
    finish(&mut script, did);
    script.core.leave(TOPIC, script.now);
    let withdrawing = query_of(&script.did());
    script.core.join(TOPIC, SECOND_SESSION, Join::server(), script.now);
    assert_eq!(steps(&script.did()), []);
    script.core.query_over(TOPIC, withdrawing, true, script.now);
    let did = script.did();
    assert!(did.contains(&Did::Left));
    assert_eq!(finish(&mut script, did), [Step::Announce]);
    assert_eq!(script.core.joined(), [TOPIC]);
}

#[test]
fn a_topic_is_what_all_of_its_sessions_want() {
    let mut script = Script::new();
    script.core.join(TOPIC, FIRST, Join::client(), script.now);
    let lookup = query_of(&script.did());
    script.core.join(TOPIC, SECOND_SESSION, Join::server(), script.now);
    let did = script.did();
    assert_eq!(did[0], Did::Cancel(lookup));
    assert_eq!(finish(&mut script, did), [Step::Lookup, Step::Announce, Step::Lookup]);
    script.core.leave_session(TOPIC, FIRST, script.now);
    let did = script.did();
    assert_eq!(finish(&mut script, did), [Step::Announce]);
    script.core.join(TOPIC, SECOND_SESSION, Join::client(), script.now);
    let did = script.did();
    assert_eq!(finish(&mut script, did), [Step::Unannounce, Step::Lookup]);
    script.core.leave_session(TOPIC, SECOND_SESSION, script.now);
    script.did();
    assert!(!script.core.has_topic(&TOPIC));
    script.core.leave_session(TOPIC, FIRST, script.now);
    assert_eq!(script.did(), []);
}

#[test]
fn no_more_peers_of_a_topic_are_taken_up_than_its_limit_beside_those_connected() {
    let mut script = Script::new();
    let one = script.came(1);
    script.core.proven(one, script.now);
    script.core.join(TOPIC, FIRST, Join::client().limit(2), script.now);
    let query = query_of(&script.did());
    // Several nodes name the same ones.
    for name in [1, 2, 2, 3, 1, 4, 3, 4] {
        script.core.found(TOPIC, query, key(name), Vec::new(), script.now);
    }
    assert_eq!(dials(&script.did()).len(), 2);
    script.core.query_over(TOPIC, query, true, script.now);
    script.did();
    script.core.refresh(TOPIC, script.now);
    let query = query_of(&script.did());
    for name in [5, 6] {
        script.core.found(TOPIC, query, key(name), Vec::new(), script.now);
    }
    script.did();
    assert!(script.peer(5).is_some() && script.peer(6).is_none(), "one is connected");
}

#[test]
fn suspending_ends_all_and_resuming_begins_anew() {
    let mut script = Script::new();
    script.core.join(TOPIC, FIRST, Join::default(), script.now);
    let did = script.did();
    finish(&mut script, did);
    script.core.join_peer(key(1), script.now);
    let one = dial(&script.did());
    script.core.dial_opened(one, script.now);
    let two = script.came(2);
    script.did();
    script.core.suspend();
    let did = script.did();
    assert_eq!(did[..2], [Did::Drop(one), Did::Drop(two)]);
    assert!(!script.core.has_refreshed(&TOPIC));
    assert_eq!(steps(&did), [Step::Unannounce]);
    assert!(!did.contains(&Did::Quiet));
    assert_eq!(script.core.stats().connections, 0);
    script.core.query_over(TOPIC, query_of(&did), true, script.now);
    assert!(script.did().contains(&Did::Quiet));
    // Nothing happens meanwhile, and nobody is taken.
    assert_eq!(script.core.poll_timeout(), None);
    let source = crate::slots::Source::direct([10, 0, 0, 3].into());
    assert_eq!(script.core.came(key(3), source, script.now), None);
    script.events.clear();
    script.core.join([2; 32], FIRST, Join::client(), script.now);
    assert_eq!(script.did(), [Did::Refreshed(false)]);
    assert_eq!(script.events, []);
    assert!(!script.core.has_refreshed(&[2; 32]));

    script.core.resume(script.now);
    let did = script.did();
    assert_eq!(steps(&did), [Step::Lookup, Step::Lookup]);
    assert_eq!(dials(&did).len(), 1, "the explicit peer");
}

#[test]
fn a_refresh_that_a_suspension_ends_has_not_succeeded() {
    let mut script = Script::new();
    script.core.join(TOPIC, FIRST, Join::client(), script.now);
    let lookup = query_of(&script.did());
    script.core.suspend();
    assert_eq!(script.did(), [Did::Cancel(lookup), Did::Refreshed(false), Did::Quiet]);

    let mut script = Script::new();
    script.core.join(TOPIC, FIRST, Join::server(), script.now);
    script.did();
    script.core.suspend();
    let did = script.did();
    assert_eq!(steps(&did), [Step::Unannounce]);
    script.core.query_over(TOPIC, query_of(&did), true, script.now);
    assert_eq!(script.did(), [Did::Left, Did::Refreshed(false), Did::Quiet]);
}

#[test]
fn a_session_that_has_left_changes_nothing() {
    let mut script = Script::new();
    script.core.join(TOPIC, FIRST, Join::client(), script.now);
    script.core.join(TOPIC, SECOND_SESSION, Join::client(), script.now);
    script.core.leave_session(TOPIC, FIRST, script.now);
    script.did();
    script.core.change(TOPIC, FIRST, Join::server(), script.now);
    assert_eq!(script.did(), []);
    script.core.leave(TOPIC, script.now);
    script.core.change(TOPIC, SECOND_SESSION, Join::client(), script.now);
    script.did();
    assert!(script.core.joined().is_empty() && !script.core.has_topic(&TOPIC));
}

#[test]
fn a_topic_that_is_left_while_suspended_is_gone_after_it() {
    let mut script = Script::new();
    script.core.join(TOPIC, FIRST, Join::server(), script.now);
    let did = script.did();
    finish(&mut script, did);
    script.core.suspend();
    let withdrawing = query_of(&script.did());
    script.core.leave(TOPIC, script.now);
    script.core.query_over(TOPIC, withdrawing, true, script.now);
    assert!(script.did().contains(&Did::Left));
    script.core.resume(script.now);
    assert_eq!(script.did(), []);
}

#[test]
fn closing_withdraws_and_nothing_follows() {
    let mut script = Script::new();
    script.core.join(TOPIC, FIRST, Join::default(), script.now);
    let did = script.did();
    finish(&mut script, did);
    script.core.close();
    let did = script.did();
    assert_eq!(steps(&did), [Step::Unannounce]);
    script.core.query_over(TOPIC, query_of(&did), true, script.now);
    assert!(script.did().contains(&Did::Quiet));
    script.core.resume(script.now);
    script.core.join(TOPIC, FIRST, Join::default(), script.now);
    script.core.join_peer(key(1), script.now);
    assert_eq!(script.did(), []);

    let mut idle = Script::new();
    idle.core.close();
    assert_eq!(idle.did(), [Did::Quiet]);
}

#[test]
fn a_flush_waits_for_the_refresh_and_for_one_try_of_each_peer() {
    let mut script = Script::new();
    script.core.join(TOPIC, FIRST, Join::client(), script.now);
    let query = query_of(&script.did());
    script.core.flush(FlushId(1));
    for name in 1..6 {
        script.core.found(TOPIC, query, key(name), Vec::new(), script.now);
    }
    let mut under_way = dials(&script.did());
    script.core.query_over(TOPIC, query, true, script.now);
    let mut tried = 0;
    while let Some((id, _)) = under_way.pop() {
        let did = script.did();
        assert!(!did.contains(&Did::Flushed), "after {tried}");
        under_way.extend(dials(&did));
        if tried % 2 == 0 {
            script.core.dial_opened(id, script.now);
        } else {
            script.core.dial_failed(id, false, script.now);
        }
        tried += 1;
        let did = script.did();
        under_way.extend(dials(&did));
        assert_eq!(did.contains(&Did::Flushed), tried == 5, "after {tried}");
    }
    script.core.flush(FlushId(2));
    assert_eq!(script.did(), [Did::Flushed], "what waits for its retry does not count");
}

#[test]
fn a_flush_ends_when_there_are_as_many_connections_as_may_be() {
    use crate::swarm::settings::Settings;
    let mut script = Script::with(Settings { max_peers: 1, ..Settings::default() });
    let id = dial(&script.finds([1, 2, 3]));
    script.core.flush(FlushId(1));
    assert_eq!(script.did(), []);
    script.core.dial_opened(id, script.now);
    assert!(script.did().contains(&Did::Flushed));
}
