//! The queries of this node: each a walk, and the commit at its end.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::time::Instant;

use tracing::{Span, debug, debug_span};

use super::commit;
use super::policy::Policy;
use super::table::K;
use super::types::{Answer, Commit, Outgoing, Query, QueryError, QueryOutcome, RequestError};
use super::walk::{DownHint, Rank, Walk};
use crate::wire::rpc::{NodeId, Target};

/// The queries under way, by key.
#[derive(Default)]
pub(super) struct Queries {
    running: BTreeMap<u64, RunningQuery>,
    next: u64,
}

/// A query of this node.
pub(super) struct RunningQuery {
    key: u64,
    query: Query,
    purpose: QueryPurpose,
    phase: Phase,
    walk: Walk,
    concurrency: usize,
    /// Whether the nodes of the table were already added.
    table_used: bool,
    /// What the walk found, once it is over.
    outcome: QueryOutcome,
    /// Commits that wait for a response.
    outstanding: usize,
    /// Datagrams of the walk, those sent again included.
    sent: usize,
    started: Instant,
}

/// What a query is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QueryPurpose {
    /// The layer above.
    Caller,
    Bootstrap,
    Refresh,
    /// Finding a few nodes for a row of the table that has hardly any.
    Fill,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Walking,
    Committing,
    /// Reported; what is still in flight only serves the table and the down hints.
    Over,
}

/// What follows from the end of a query.
pub(super) enum Ended {
    /// Nothing.
    Refreshed,
    /// The walk of a bootstrap is over: so many nodes responded.
    Bootstrapped(usize),
    /// The layer above gets this.
    Reported(Result<QueryOutcome, QueryError>),
}

impl Queries {
    /// Returns the key of the next query.
    pub(super) const fn next_key(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    pub(super) fn insert(&mut self, running: RunningQuery) {
        self.running.insert(running.key, running);
    }

    pub(super) fn get(&self, key: u64) -> Option<&RunningQuery> {
        self.running.get(&key)
    }

    pub(super) fn get_mut(&mut self, key: u64) -> Option<&mut RunningQuery> {
        self.running.get_mut(&key)
    }

    pub(super) fn remove(&mut self, key: u64) -> Option<RunningQuery> {
        self.running.remove(&key)
    }

    /// Returns whether a query has been reported.
    pub(super) fn is_over(&self, key: u64) -> bool {
        let running = self.running.get(&key);
        running.is_none_or(|running| running.phase == Phase::Over)
    }

    /// Makes every walk wait again for nodes that were unresponsive.
    pub(super) fn trust_all(&mut self) {
        for running in self.running.values_mut() {
            running.walk.trust();
        }
    }

    /// Returns the queries of the layer above that hang on one node.
    pub(super) fn stuck(&self) -> Vec<u64> {
        let stuck = self
            .running
            .iter()
            .filter(|(_, running)| running.purpose == QueryPurpose::Caller && running.walk.hangs_on_one());
        stuck.map(|(key, _)| *key).collect()
    }

    /// Removes all queries; returns the keys of those that the layer above waits for.
    pub(super) fn end_all(&mut self) -> Vec<u64> {
        let awaited =
            |running: &RunningQuery| running.purpose == QueryPurpose::Caller && running.phase != Phase::Over;
        let running = std::mem::take(&mut self.running).into_values();
        running.filter(awaited).map(|running| running.key).collect()
    }
}

impl RunningQuery {
    /// Makes a query that has no node to request yet. `per_network` is the share of a network in its walk.
    pub(super) fn new(
        now: Instant,
        key: u64,
        query: Query,
        purpose: QueryPurpose,
        policy: &Policy,
        per_network: usize,
    ) -> Self {
        // A caller wants to know what is stored; the others only which nodes there are.
        let max_timeouts = if purpose == QueryPurpose::Caller { 2 } else { 1 };
        let mut walk = Walk::new(query.target, max_timeouts, per_network);
        walk.set_newest_first(policy.newest_first);
        if purpose == QueryPurpose::Fill {
            walk.limit(FILL);
        }
        Self {
            key,
            query,
            purpose,
            phase: Phase::Walking,
            walk,
            concurrency: match purpose {
                QueryPurpose::Caller => CONCURRENCY,
                QueryPurpose::Bootstrap => policy.bootstrap_concurrency,
                QueryPurpose::Refresh | QueryPurpose::Fill => BACKGROUND,
            },
            table_used: false,
            outcome: QueryOutcome::default(),
            outstanding: 0,
            sent: 0,
            started: now,
        }
    }

    /// Returns the span of what this query logs.
    fn span(&self) -> Span {
        let target = NodeId(self.query.target);
        debug_span!("query", query = self.key, kind = ?self.purpose, target = %target)
    }

    /// Starts the walk from `seeds`, which the caller named, and as many of `known` as make up twenty nodes;
    /// returns whether they are fewer.
    pub(super) fn start_from(
        &mut self,
        seeds: Vec<SocketAddrV4>,
        known: impl FnOnce() -> Vec<SocketAddrV4>,
    ) -> bool {
        let mut started = seeds.len();
        for node in seeds {
            self.walk.add(node, Rank::First);
        }
        self.table_used = started < K;
        if self.table_used {
            for node in known().into_iter().take(K - started) {
                self.walk.add(node, Rank::ByDistance);
                started += 1;
            }
        }
        let _span = self.span().entered();
        debug!("query started");
        started < K
    }

    /// Adds nodes to request.
    pub(super) fn add(&mut self, nodes: impl IntoIterator<Item = SocketAddrV4>, rank: Rank) {
        for node in nodes {
            self.walk.add(node, rank);
        }
    }

    pub(super) const fn target(&self) -> &Target {
        &self.query.target
    }

    pub(super) const fn purpose(&self) -> QueryPurpose {
        self.purpose
    }

    pub(super) const fn is_walking(&self) -> bool {
        matches!(self.phase, Phase::Walking)
    }

    /// Returns whether nothing of the query is awaited any more.
    pub(super) fn is_forgotten(&self) -> bool {
        self.phase == Phase::Over && self.walk.is_drained()
    }

    /// Sets how many requests of a refresh are in flight at once, by whether the node has little else to do.
    pub(super) const fn set_idle(&mut self, idle: bool) {
        self.concurrency = if idle { CONCURRENCY } else { BACKGROUND };
    }

    /// Returns the next node to request, if there is one and the walk may go on.
    pub(super) fn next(&mut self) -> Option<SocketAddrV4> {
        let walking = self.phase == Phase::Walking;
        walking.then(|| self.walk.next(self.concurrency)).flatten()
    }

    /// Makes the request to a node of the walk that has left `doubts` tries without response lately.
    pub(super) fn request(&mut self, node: SocketAddrV4, doubts: u32, policy: &Policy) -> Outgoing {
        self.walk.doubt(node, doubts);
        // Nothing else gets a walk going whose only node has not heard it. Where there are several, or the
        // walk is under way, a lost packet holds little up, and slow nodes are not requested twice.
        let hurry = policy.first_retry.filter(|_| self.walk.hangs_on_one());
        let query = &self.query;
        Outgoing {
            to: node,
            internal: query.internal,
            command: query.command,
            target: Some(query.target),
            value: query.value.clone(),
            unsigned: None,
            token: None,
            socket: None,
            retries: query.retries + u32::from(hurry.is_some()),
            hurry,
        }
    }

    /// Handles the end of a request of the walk to `node`; returns the down hints that follow. `skip` picks
    /// the nodes that are never requested.
    pub(super) fn on_result(
        &mut self,
        node: SocketAddrV4,
        result: &Result<Answer, RequestError>,
        skip: impl Fn(&SocketAddrV4) -> bool,
    ) -> Vec<DownHint> {
        let from = result.as_ref().map_or(node, |answer| answer.from);
        // A response from another address may be that of a node which the walk knows by that address.
        let counts = self.is_walking() && (from == node || self.walk.on_moved(node, from));
        match result {
            Ok(answer) if counts => self.walk.on_answer(answer, skip),
            Ok(_) => {
                self.walk.forget(node);
                Vec::new()
            }
            Err(_) => self.walk.on_failure(node),
        }
    }

    /// Notes that a request could not be made.
    pub(super) fn on_refused(&mut self, node: SocketAddrV4) {
        self.walk.on_failure(node);
    }

    /// Notes that a try of a request of the walk timed out, which may be all that the walk still waited for.
    pub(super) fn on_timeout(&mut self, node: SocketAddrV4) {
        self.walk.on_timeout(node);
    }

    /// Notes that a response takes longer than most: another node is requested meanwhile.
    pub(super) fn on_late(&mut self, node: SocketAddrV4) {
        self.walk.on_late(node);
    }

    /// Counts a datagram of the walk.
    pub(super) const fn note_sent(&mut self) {
        self.sent += 1;
    }

    /// Returns whether nothing that may still come is worth waiting for.
    pub(super) fn is_walk_over(&self) -> bool {
        // What commits wants the very closest nodes.
        let hurried = matches!(self.query.commit, Commit::Nothing) && self.purpose == QueryPurpose::Caller;
        self.phase == Phase::Walking && self.walk.is_over(hurried)
    }

    /// Returns whether a walk that is over starts again, from the nodes of the table. It does if it started
    /// from given nodes alone and few responded.
    pub(super) const fn starts_over(&mut self) -> bool {
        let starts_over = !self.table_used && self.walk.successes() < FEW_SUCCESSES;
        self.table_used |= starts_over;
        starts_over
    }

    /// Ends the walk; returns the requests that commit to the closest nodes.
    pub(super) fn end_walk(&mut self) -> Vec<Outgoing> {
        self.phase = Phase::Committing;
        self.outcome.sent = self.sent;
        self.outcome.hops = self.walk.hops();
        self.outcome.asked = self.walk.asked();
        self.outcome.answered = self.walk.answered();
        self.outcome.closest = self.walk.take_closest();
        let closest = self.outcome.closest.iter();
        closest.filter_map(|answer| commit::request(&self.query, answer)).collect()
    }

    /// Returns the request that takes an announcement back at the node of `answer`, if the query does that
    /// and the node may hold one.
    pub(super) fn unannouncement(&self, answer: &Answer) -> Option<Outgoing> {
        commit::unannouncement(&self.query, answer)
    }

    /// Waits for so many commits more.
    pub(super) const fn await_commits(&mut self, count: usize) {
        self.outstanding += count;
    }

    /// Handles the end of a commit.
    pub(super) fn on_commit(&mut self, result: Result<Answer, RequestError>) {
        self.outstanding -= 1;
        match result {
            Ok(Answer { error: 0, .. }) => self.outcome.committed += 1,
            Ok(Answer { error, .. }) => self.outcome.refused.push(error),
            Err(_) => {}
        }
    }

    /// Returns whether the walk and the commits are over, and not reported yet.
    pub(super) const fn is_done(&self) -> bool {
        matches!(self.phase, Phase::Committing) && self.outstanding == 0
    }

    /// Ends the query; returns what follows.
    pub(super) fn end(&mut self, now: Instant) -> Ended {
        self.phase = Phase::Over;
        let outcome = std::mem::take(&mut self.outcome);
        let _span = self.span().entered();
        debug!(
            asked = outcome.asked,
            answered = outcome.answered,
            closest = outcome.closest.len(),
            after_ms = now.saturating_duration_since(self.started).as_millis() as u64,
            "query ended"
        );
        match self.purpose {
            QueryPurpose::Refresh | QueryPurpose::Fill => Ended::Refreshed,
            QueryPurpose::Bootstrap => Ended::Bootstrapped(outcome.answered),
            QueryPurpose::Caller => Ended::Reported(self.judge(outcome)),
        }
    }

    fn judge(&self, outcome: QueryOutcome) -> Result<QueryOutcome, QueryError> {
        let commits = matches!(self.query.commit, Commit::Announce { .. } | Commit::Send { .. });
        match outcome {
            QueryOutcome { answered: 0, .. } => Err(QueryError::NoNodes),
            outcome if commits && outcome.closest.is_empty() => Err(QueryError::TooFewNodes),
            QueryOutcome { committed: 0, refused, .. } if commits => {
                Err(QueryError::NotCommitted { error: most_frequent(&refused) })
            }
            outcome => Ok(outcome),
        }
    }
}

/// Returns the error code that most nodes gave, if any gave one. No single node decides.
fn most_frequent(codes: &[u64]) -> Option<u64> {
    let count = |code| codes.iter().filter(|other| *other == code).count();
    codes.iter().max_by_key(|code| count(*code)).copied()
}

/// Requests of a walk at once (dht-rpc.md §12.3, §15 "query concurrency"; Kademlia §2.3 calls it α).
const CONCURRENCY: usize = 10;
/// Requests of a background walk at once, and of a refresh while other requests are in flight (dht-rpc.md
/// §12.5, §15).
const BACKGROUND: usize = 2;
/// Nodes requested to fill a row: one or two to hear of others, and those.
const FILL: usize = 8;
/// A walk that started from twenty given nodes and has fewer successes starts again from the table.
const FEW_SUCCESSES: usize = 5;
