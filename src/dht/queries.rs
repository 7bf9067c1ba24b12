//! Running walks: whom they start from, what their answers set off, and the commit at the end.

use std::net::SocketAddrV4;
use std::time::Instant;

use super::node::Node;
use super::query::{DownHint, Rank, Walk};
use super::requests::Owner;
use super::sign;
use super::table::K;
use super::types::{Answer, Commit, Event, Outgoing, Query, QueryError, QueryId, QueryOutcome, RequestError};
use crate::keys::KeyPair;
use crate::wire::address::is_bogon;
use crate::wire::compact::{Decode, Encode};
use crate::wire::records::{AnnounceKind, LookupReply, Peer};
use crate::wire::rpc::{self, NodeId, Target};

/// A query of this node.
pub(super) struct Running {
    query: Query,
    purpose: Purpose,
    phase: Phase,
    walk: Walk,
    concurrency: usize,
    /// Whether the nodes of the table were already added.
    table_used: bool,
    /// What the walk found, once it is over.
    outcome: QueryOutcome,
    /// Commits that wait for an answer.
    outstanding: usize,
    /// Datagrams of the walk, those sent again included.
    sent: usize,
}

/// Who wants a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Caller,
    Bootstrap,
    Refresh,
    /// Getting to know a few nodes in a part of the network where we know hardly any.
    Fill,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Walking,
    Committing,
    /// Reported; what is still on the way only serves the table and the down hints.
    Over,
}

impl Node {
    /// Starts a query. Its [`Event::QueryAnswer`]s and [`Event::QueryDone`] follow.
    pub fn query(&mut self, now: Instant, query: Query) -> QueryId {
        QueryId(self.start_query(now, query, Purpose::Caller))
    }

    /// Forgets a query; no event follows.
    pub fn cancel_query(&mut self, query: QueryId) {
        self.queries.remove(&query.0);
    }

    pub(super) fn start_query(&mut self, now: Instant, mut query: Query, purpose: Purpose) -> u64 {
        let key = self.next_query;
        self.next_query += 1;
        self.upkeep.postpone_refresh();
        // The layer above wants to know what is there; the others only who is.
        let patience = if purpose == Purpose::Caller { 2 } else { 1 };
        let reference = self.config.is_reference();
        let mut walk = Walk::new(query.target, patience, self.config.per_network());
        walk.follow(self.config.algorithm);
        if purpose == Purpose::Fill {
            walk.limit(FILL);
        }
        let mut started = 0;
        for node in std::mem::take(&mut query.seeds) {
            // Whom the caller names is asked, be it on a private network.
            if node.port() != 0 && !self.is_self(&node) {
                walk.add(node, Rank::First);
                started += 1;
            }
        }
        let table_used = started < K;
        if table_used {
            let known = self.closest(&query.target);
            for node in known.into_iter().take(K - started) {
                walk.add(node, Rank::ByDistance);
                started += 1;
            }
        }
        if started < K || (!reference && self.table.lacks(&query.target)) {
            for node in &self.config.bootstrap {
                if !self.is_self(node) {
                    walk.add(*node, Rank::First);
                }
            }
        }
        if purpose == Purpose::Bootstrap {
            // Dead ones do not hold anything up: they are not waited for.
            for node in self.config.known.iter().take(MAX_KNOWN) {
                walk.add(*node, Rank::ByDistance);
            }
        }
        let running = Running {
            query,
            purpose,
            phase: Phase::Walking,
            walk,
            concurrency: match purpose {
                Purpose::Bootstrap if reference => BACKGROUND,
                Purpose::Caller | Purpose::Bootstrap => CONCURRENCY,
                Purpose::Refresh | Purpose::Fill => BACKGROUND,
            },
            table_used,
            outcome: QueryOutcome::default(),
            outstanding: 0,
            sent: 0,
        };
        self.queries.insert(key, running);
        self.step_query(now, key);
        key
    }

    /// Takes the end of a request of a walk.
    pub(super) fn on_query_answer(
        &mut self,
        now: Instant,
        key: u64,
        node: SocketAddrV4,
        result: Result<Answer, RequestError>,
    ) {
        let Some(mut running) = self.queries.remove(&key) else {
            return;
        };
        let from = result.as_ref().map_or(node, |answer| answer.from);
        // What answers from another address may be a node that the walk knows by that.
        let counts = running.phase == Phase::Walking && (from == node || running.walk.on_moved(node, from));
        let hints = match &result {
            Ok(answer) if counts => running.walk.on_answer(answer, |node| self.is_unwanted(node)),
            Ok(_) => {
                running.walk.forget(node);
                Vec::new()
            }
            Err(_) => running.walk.on_failure(node),
        };
        self.send_hints(now, hints);
        if let (Ok(answer), Phase::Walking) = (result, running.phase) {
            self.on_walk_answer(now, key, &mut running, answer);
        }
        if running.phase == Phase::Over && running.walk.is_drained() {
            return;
        }
        self.queries.insert(key, running);
        self.step_query(now, key);
    }

    /// Notes that a try of a walk's request failed, which may be all that the walk still waited for.
    pub(super) fn on_query_timeout(&mut self, now: Instant, key: u64, node: SocketAddrV4) {
        if let Some(running) = self.queries.get_mut(&key) {
            running.walk.on_timeout(node);
            self.step_query(now, key);
        }
    }

    /// Notes that an answer takes longer than most, and asks another node meanwhile.
    pub(super) fn on_query_late(&mut self, now: Instant, key: u64, node: SocketAddrV4) {
        if let Some(running) = self.queries.get_mut(&key) {
            running.walk.on_late(node);
            self.step_query(now, key);
        }
    }

    /// Counts a datagram of a walk.
    pub(super) fn note_walk_sent(&mut self, key: u64) {
        if let Some(running) = self.queries.get_mut(&key) {
            running.sent += 1;
            self.stats.walk_datagrams += u64::from(running.purpose == Purpose::Caller);
        }
    }

    /// Returns whether a query has been reported.
    pub(super) fn is_query_over(&self, key: u64) -> bool {
        let running = self.queries.get(&key);
        running.is_none_or(|running| running.phase == Phase::Over)
    }

    /// Takes the end of a commit.
    pub(super) fn on_commit_answer(&mut self, now: Instant, key: u64, result: Result<Answer, RequestError>) {
        let Some(running) = self.queries.get_mut(&key) else {
            return;
        };
        running.outstanding -= 1;
        match result {
            Ok(Answer { error: 0, .. }) => running.outcome.committed += 1,
            Ok(Answer { error, .. }) => running.outcome.refused.push(error),
            Err(_) => {}
        }
        if running.phase == Phase::Committing && running.outstanding == 0 {
            self.finish_query(now, key);
        }
    }

    /// Lets every walk wait again for nodes that were silent.
    pub(super) fn trust_all(&mut self) {
        for running in self.queries.values_mut() {
            running.walk.trust();
        }
    }

    /// Ends every query without a result.
    pub(super) fn end_all_queries(&mut self) {
        for (key, running) in std::mem::take(&mut self.queries) {
            if running.purpose == Purpose::Caller && running.phase != Phase::Over {
                self.emit(Event::QueryDone {
                    query: QueryId(key),
                    result: Err(QueryError::NoNodes),
                });
            }
        }
    }

    /// Returns whether a node that others name is none that we would ask: ourselves, or none that can be
    /// reached.
    pub(super) fn is_unwanted(&self, node: &SocketAddrV4) -> bool {
        let public = !self.config.private_network;
        node.port() == 0 || self.is_self(node) || (public && (is_bogon(*node.ip()) || is_stray(node)))
    }

    fn is_self(&self, node: &SocketAddrV4) -> bool {
        Some(*node) == self.remote_address() || (self.persistent && NodeId::of(*node) == *self.table.id())
    }

    /// Asks as many nodes as may be asked at once, and ends the walk if there is nothing left to wait for.
    fn step_query(&mut self, now: Instant, key: u64) {
        loop {
            let Some(running) = self.queries.get_mut(&key) else {
                return;
            };
            if running.phase != Phase::Walking {
                return;
            }
            let Some(node) = running.walk.next(running.concurrency) else {
                break;
            };
            if !self.config.is_reference() {
                running.walk.doubt(node, self.silence.tries(now, &node));
            }
            let query = &running.query;
            // Nothing else gets a walk going whose only node has not heard it. Where there are several, or
            // the walk is under way, a lost packet holds little up, and slow nodes are not to be asked twice.
            let hurry = !self.config.is_reference() && running.walk.hangs_on_one();
            let request = Outgoing {
                to: node,
                internal: query.internal,
                command: query.command,
                target: Some(query.target),
                value: query.value.clone(),
                token: None,
                socket: None,
                retries: query.retries + u32::from(hurry),
                hurry: hurry.then_some(Outgoing::HURRY),
            };
            let id = NodeId::of(node);
            match self.issue(now, Owner::Query(key), request, Some(id)) {
                Ok(_) if hurry || self.config.is_reference() => {}
                Ok(request) => self.inflight.expect_within(request, self.patience.limit()),
                Err(_) => {
                    if let Some(running) = self.queries.get_mut(&key) {
                        running.walk.on_failure(node);
                    }
                }
            }
        }
        if self
            .queries
            .get(&key)
            .is_some_and(|running| running.walk.is_over(running.is_hurried()))
        {
            self.end_walk(now, key);
        }
    }

    fn on_walk_answer(&mut self, now: Instant, key: u64, running: &mut Running, answer: Answer) {
        match running.purpose {
            Purpose::Bootstrap => {
                self.on_bootstrap_answer(now, &answer);
                self.widen_walks(now);
            }
            Purpose::Refresh => {
                let idle = self.inflight.len() < BACKGROUND_IDLE;
                running.concurrency = if idle { CONCURRENCY } else { BACKGROUND };
            }
            Purpose::Caller if answer.error == 0 => {
                if let Commit::Unannounce { key_pair } = &running.query.commit
                    && let Some(request) = unannouncement(key_pair, &running.query.target, &answer)
                    && self.issue(now, Owner::Commit(key), request, None).is_ok()
                {
                    running.outstanding += 1;
                }
                self.emit(Event::QueryAnswer {
                    query: QueryId(key),
                    answer,
                });
            }
            Purpose::Caller | Purpose::Fill => {}
        }
    }

    /// Shows walks that still hang on one node others that have answered meanwhile.
    fn widen_walks(&mut self, now: Instant) {
        let stuck = self
            .queries
            .iter()
            .filter(|(_, running)| running.purpose == Purpose::Caller && running.walk.hangs_on_one());
        for key in stuck.map(|(key, _)| *key).collect::<Vec<_>>() {
            let Some(running) = self.queries.get(&key) else {
                continue;
            };
            let known = self.closest(&running.query.target);
            if let Some(running) = self.queries.get_mut(&key) {
                for node in known {
                    running.walk.add(node, Rank::ByDistance);
                }
                self.step_query(now, key);
            }
        }
    }

    fn end_walk(&mut self, now: Instant, key: u64) {
        let Some(running) = self.queries.get_mut(&key) else {
            return;
        };
        if !running.table_used && running.walk.successes() < FEW_SUCCESSES {
            running.table_used = true;
            let target = running.query.target;
            for node in self.closest(&target) {
                let Some(running) = self.queries.get_mut(&key) else {
                    return;
                };
                running.walk.add(node, Rank::ByDistance);
            }
            return self.step_query(now, key);
        }
        running.phase = Phase::Committing;
        running.outcome.sent = running.sent;
        running.outcome.hops = running.walk.hops();
        running.outcome.asked = running.walk.asked();
        running.outcome.answered = running.walk.answered();
        running.outcome.closest = running.walk.take_closest();
        let closest = running.outcome.closest.iter();
        let query = &running.query;
        let commits: Vec<_> = closest.filter_map(|answer| commit(query, answer)).collect();
        let mut outstanding = 0;
        for request in commits {
            outstanding += usize::from(self.issue(now, Owner::Commit(key), request, None).is_ok());
        }
        if let Some(running) = self.queries.get_mut(&key) {
            running.outstanding += outstanding;
            if running.outstanding == 0 {
                self.finish_query(now, key);
            }
        }
    }

    /// Reports a query whose walk and commits are over.
    fn finish_query(&mut self, now: Instant, key: u64) {
        let Some(running) = self.queries.get_mut(&key) else {
            return;
        };
        running.phase = Phase::Over;
        let outcome = std::mem::take(&mut running.outcome);
        let commits = matches!(
            running.query.commit,
            Commit::Announce { .. } | Commit::Send { .. }
        );
        let purpose = running.purpose;
        if running.walk.is_drained() {
            self.queries.remove(&key);
        }
        match purpose {
            Purpose::Refresh | Purpose::Fill => {}
            Purpose::Bootstrap => self.on_bootstrap_walk_done(now, outcome.answered),
            Purpose::Caller => {
                let result = match outcome {
                    QueryOutcome { answered: 0, .. } => Err(QueryError::NoNodes),
                    outcome if commits && outcome.closest.is_empty() => Err(QueryError::TooFewNodes),
                    QueryOutcome {
                        committed: 0,
                        refused,
                        ..
                    } if commits => Err(QueryError::NotCommitted {
                        error: most_frequent(&refused),
                    }),
                    outcome => Ok(outcome),
                };
                self.emit(Event::QueryDone {
                    query: QueryId(key),
                    result,
                });
            }
        }
    }

    /// Tells nodes that one that they named does not answer, as far as this tick allows.
    fn send_hints(&mut self, now: Instant, hints: Vec<DownHint>) {
        for hint in hints {
            if !self.upkeep.may_hint() {
                return;
            }
            let request = Outgoing {
                value: Some(hint.dead.to_bytes()),
                ..Outgoing::internal(hint.namer, rpc::DOWN_HINT)
            };
            // A hint that finds no room is no loss.
            let _ = self.issue(now, Owner::Nobody, request, None);
        }
    }
}

impl Running {
    /// Returns whether the walk need not wait for late answers: whoever commits wants the very closest.
    const fn is_hurried(&self) -> bool {
        matches!(self.query.commit, Commit::Nothing) && matches!(self.purpose, Purpose::Caller)
    }
}

/// Makes the query of bootstrap and refresh.
pub(super) const fn find_node(target: Target) -> Query {
    let mut query = Query::application(rpc::FIND_NODE, target);
    query.internal = true;
    query
}

/// Returns the request that commits a query to the node of `answer`, if that node can take it.
fn commit(query: &Query, answer: &Answer) -> Option<Outgoing> {
    let token = answer.token?;
    let (command, value) = match &query.commit {
        Commit::Nothing | Commit::Unannounce { .. } => return None,
        Commit::Announce {
            key_pair,
            relays,
            bump,
        } => {
            let peer = Peer {
                relay_addresses: relays.clone(),
                ..bare_peer(key_pair)
            };
            let kind = AnnounceKind::Announce;
            let id = answer.id?;
            let mut announce = sign::announcement(key_pair, &query.target, &id, &token, &peer, kind);
            announce.bump = *bump;
            (rpc::ANNOUNCE, Some(announce.to_bytes()))
        }
        Commit::Send { command, value } => (*command, value.clone()),
    };
    Some(Outgoing {
        value,
        token: Some(token),
        internal: query.internal,
        ..Outgoing::application(answer.from, command, query.target)
    })
}

/// Returns the request that takes an announcement back at the node of `answer`, if that node may hold one.
fn unannouncement(key_pair: &KeyPair, target: &Target, answer: &Answer) -> Option<Outgoing> {
    let (token, id) = (answer.token?, answer.id?);
    let reply = LookupReply::from_bytes(answer.value.as_ref()?).ok()?;
    // A full list may be a sample that we were left out of.
    let listed = |peer: &Peer| peer.public_key == *key_pair.public_key();
    if reply.peers.len() < K && !reply.peers.iter().any(listed) {
        return None;
    }
    let kind = AnnounceKind::Unannounce;
    let announce = sign::announcement(key_pair, target, &id, &token, &bare_peer(key_pair), kind);
    Some(Outgoing {
        value: Some(announce.to_bytes()),
        token: Some(token),
        ..Outgoing::application(answer.from, rpc::UNANNOUNCE, *target)
    })
}

pub(super) fn bare_peer(key_pair: &KeyPair) -> Peer {
    Peer {
        public_key: *key_pair.public_key(),
        relay_addresses: Vec::new(),
    }
}

/// Returns the error code that most nodes gave, if any gave one. No single node decides.
fn most_frequent(codes: &[u64]) -> Option<u64> {
    let count = |code| codes.iter().filter(|other| *other == code).count();
    codes.iter().max_by_key(|code| count(*code)).copied()
}

/// Returns whether a node is one of those on the public network that answer and yet belong to another one;
/// the reference avoids the same.
pub(super) fn is_stray(node: &SocketAddrV4) -> bool {
    matches!(
        (node.ip().octets(), node.port()),
        ([134, 209, 28, 98] | [167, 99, 142, 185], 49738)
            | ([35, 233, 47, 252], 9400)
            | ([150, 136, 142, 116], _)
    )
}

/// Requests of a walk at once, as the reference.
const CONCURRENCY: usize = 10;
/// Requests of a refresh at once while other requests are on the way.
const BACKGROUND: usize = 2;
/// Nodes of an earlier run that are asked.
const MAX_KNOWN: usize = 200;
/// Nodes asked to fill a row: one or two to learn of others, and those.
const FILL: usize = 8;
/// Requests on the way below which a refresh takes its full share.
const BACKGROUND_IDLE: usize = 3;
/// A walk that started from twenty given nodes and has fewer successes is tried again from the table.
const FEW_SUCCESSES: usize = 5;
