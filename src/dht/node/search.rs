//! Running queries: where they start from, what responses cause, and the commit at the end (dht-rpc.md §12).

use std::net::SocketAddrV4;
use std::time::Instant;

use super::verbs::Node;
use crate::dht::membership::is_stray;
use crate::dht::pending::RequestOwner;
use crate::dht::queries::{Ended, QueryPurpose, RunningQuery};
use crate::dht::types::{Answer, Event, Outgoing, Query, QueryId, RequestError};
use crate::dht::walk::{DownHint, Rank};
use crate::wire::address::is_bogon;
use crate::wire::compact::Encode;
use crate::wire::rpc::{self, NodeId};

impl Node {
    /// Starts a query. Its [`Event::QueryAnswer`]s and [`Event::QueryDone`] follow.
    pub fn query(&mut self, now: Instant, query: Query) -> QueryId {
        QueryId(self.start_query(now, query, QueryPurpose::Caller))
    }

    /// Forgets a query; no event follows.
    pub fn cancel_query(&mut self, query: QueryId) {
        self.queries.remove(query.0);
    }

    pub(super) fn start_query(&mut self, now: Instant, mut query: Query, purpose: QueryPurpose) -> u64 {
        self.upkeep.postpone_refresh();
        let target = query.target;
        // A node that the caller names is requested even on a private network.
        let mut seeds = std::mem::take(&mut query.seeds);
        seeds.retain(|node| node.port() != 0 && !self.is_self(node));
        let (key, policy) = (self.queries.next_key(), &self.config.policy);
        let mut running = RunningQuery::new(now, key, query, purpose, policy, self.config.per_network());
        let is_short = running.start_from(seeds, || self.members.closest(&target));
        if is_short || self.members.lacks(&target) {
            let bootstrap = self.config.bootstrap.iter().copied();
            running.add(bootstrap.filter(|node| !self.is_self(node)), Rank::First);
        }
        if purpose == QueryPurpose::Bootstrap {
            // Dead ones hold nothing up: the walk does not wait for them.
            let known = self.config.known.iter().copied().take(MAX_KNOWN);
            running.add(known, Rank::ByDistance);
        }
        self.queries.insert(running);
        self.step_query(now, key);
        key
    }

    /// Handles the end of a request of a walk.
    pub(super) fn on_query_result(
        &mut self,
        now: Instant,
        key: u64,
        node: SocketAddrV4,
        result: Result<Answer, RequestError>,
    ) {
        let Some(mut running) = self.queries.remove(key) else {
            return;
        };
        let hints = running.on_result(node, &result, |node| self.is_unwanted(node));
        self.send_hints(now, hints);
        if let (Ok(answer), true) = (result, running.is_walking()) {
            self.on_walk_answer(now, key, &mut running, answer);
        }
        if running.is_forgotten() {
            return;
        }
        self.queries.insert(running);
        self.step_query(now, key);
    }

    /// Handles a time-out of a try of a walk, where another try follows.
    pub(super) fn on_query_timeout(&mut self, now: Instant, key: u64, node: SocketAddrV4) {
        if let Some(running) = self.queries.get_mut(key) {
            running.on_timeout(node);
            self.step_query(now, key);
        }
    }

    /// Handles that a response takes longer than most.
    pub(super) fn on_query_late(&mut self, now: Instant, key: u64, node: SocketAddrV4) {
        if let Some(running) = self.queries.get_mut(key) {
            running.on_late(node);
            self.step_query(now, key);
        }
    }

    /// Counts a datagram of a walk.
    pub(super) fn on_query_sent(&mut self, key: u64) {
        if let Some(running) = self.queries.get_mut(key) {
            running.note_sent();
            self.stats.walk_datagrams += u64::from(running.purpose() == QueryPurpose::Caller);
        }
    }

    /// Handles the end of a commit.
    pub(super) fn on_commit_result(&mut self, now: Instant, key: u64, result: Result<Answer, RequestError>) {
        if let Some(running) = self.queries.get_mut(key) {
            running.on_commit(result);
            if running.is_done() {
                self.finish_query(now, key);
            }
        }
    }

    /// Returns whether a node that others name is never requested: it is this one, or cannot be reached.
    pub(super) fn is_unwanted(&self, node: &SocketAddrV4) -> bool {
        let public = !self.config.private_network;
        node.port() == 0 || self.is_self(node) || (public && (is_bogon(*node.ip()) || is_stray(node)))
    }

    fn is_self(&self, node: &SocketAddrV4) -> bool {
        Some(*node) == self.remote_address() || (self.is_persistent() && NodeId::of(*node) == self.id())
    }

    /// Requests as many nodes as may be requested at once, and ends the walk if nothing is left to wait for.
    fn step_query(&mut self, now: Instant, key: u64) {
        while let Some(running) = self.queries.get_mut(key)
            && let Some(node) = running.next()
        {
            let doubts = self.responses.unanswered_tries(now, &node);
            let request = running.request(node, doubts, &self.config.policy);
            // A request in a hurry is sent again before it is late.
            let late = self.responses.late_after().filter(|_| request.hurry.is_none());
            let id = NodeId::of(node);
            match self.issue(now, RequestOwner::Query(key), request, Some(id)) {
                Ok(request) => self.requests.expect_within(request, late),
                Err(_) => {
                    if let Some(running) = self.queries.get_mut(key) {
                        running.on_refused(node);
                    }
                }
            }
        }
        if self.queries.get(key).is_some_and(RunningQuery::is_walk_over) {
            self.end_walk(now, key);
        }
    }

    fn on_walk_answer(&mut self, now: Instant, key: u64, running: &mut RunningQuery, answer: Answer) {
        match running.purpose() {
            QueryPurpose::Bootstrap => {
                self.on_bootstrap_answer(now, &answer);
                self.widen_walks(now);
            }
            QueryPurpose::Refresh => running.set_idle(self.requests.len() < BACKGROUND_IDLE),
            QueryPurpose::Caller if answer.error == 0 => {
                if let Some(request) = running.unannouncement(&answer)
                    && self.issue(now, RequestOwner::Commit(key), request, None).is_ok()
                {
                    running.await_commits(1);
                }
                self.outbox.emit(Event::QueryAnswer { query: QueryId(key), answer });
            }
            QueryPurpose::Caller | QueryPurpose::Fill => {}
        }
    }

    /// Adds nodes that have responded meanwhile to walks that still hang on one node.
    fn widen_walks(&mut self, now: Instant) {
        for key in self.queries.stuck() {
            self.add_members(key);
            self.step_query(now, key);
        }
    }

    /// Adds the nodes of the table that are nearest to the target of a query.
    fn add_members(&mut self, key: u64) {
        if let Some(running) = self.queries.get_mut(key) {
            let known = self.members.closest(running.target());
            running.add(known, Rank::ByDistance);
        }
    }

    fn end_walk(&mut self, now: Instant, key: u64) {
        let Some(running) = self.queries.get_mut(key) else {
            return;
        };
        if running.starts_over() {
            self.add_members(key);
            return self.step_query(now, key);
        }
        let commits = running.end_walk();
        let mut outstanding = 0;
        for request in commits {
            outstanding += usize::from(self.issue(now, RequestOwner::Commit(key), request, None).is_ok());
        }
        if let Some(running) = self.queries.get_mut(key) {
            running.await_commits(outstanding);
            if running.is_done() {
                self.finish_query(now, key);
            }
        }
    }

    /// Reports a query whose walk and commits are over.
    fn finish_query(&mut self, now: Instant, key: u64) {
        let Some(running) = self.queries.get_mut(key) else {
            return;
        };
        let ended = running.end(now);
        if running.is_forgotten() {
            self.queries.remove(key);
        }
        match ended {
            Ended::Refreshed => {}
            Ended::Bootstrapped(answered) => self.on_bootstrap_walk_over(now, answered),
            Ended::Reported(result) => self.outbox.emit(Event::QueryDone { query: QueryId(key), result }),
        }
    }

    /// Sends down hints, as far as this tick allows (dht-rpc.md §12.4).
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
            let _ = self.issue(now, RequestOwner::None, request, None);
        }
    }
}

/// Nodes of an earlier run that a bootstrap requests.
pub(in crate::dht) const MAX_KNOWN: usize = 200;
/// Requests in flight below which a refresh takes its full share.
const BACKGROUND_IDLE: usize = 3;
