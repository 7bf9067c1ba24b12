//! Topics: joining, leaving, refreshing, and the peers that lookups find.

use std::net::SocketAddrV4;
use std::time::Instant;

use super::state::{Action, Core, Phase};
use super::topic::{Join, QueryId, SessionId, Step, Topic};
use crate::PublicKey;
use crate::swarm::info::SwarmEvent;

impl Core {
    /// Joins a topic.
    pub(in crate::swarm) fn join(&mut self, topic: [u8; 32], session: SessionId, join: Join, now: Instant) {
        if self.phase == Phase::Closed {
            return;
        }
        let entry = self.topics.entry(topic).or_default();
        // A session more does not disturb a refresh under way.
        if entry.want(session, join) || entry.is_refreshed() {
            self.restart(topic, now);
        }
    }

    /// Changes how a session has joined a topic, unless it has left.
    pub(in crate::swarm) fn change(&mut self, topic: [u8; 32], session: SessionId, join: Join, now: Instant) {
        if self.topics.get(&topic).is_some_and(|entry| entry.has(session)) {
            self.join(topic, session, join, now);
        }
    }

    /// Ends a session. With the last one of a topic, the topic is left.
    pub(in crate::swarm) fn leave_session(&mut self, topic: [u8; 32], session: SessionId, now: Instant) {
        let entry = self.topics.get_mut(&topic);
        if entry.is_some_and(|entry| entry.has(session) && entry.leave(session)) {
            self.restart(topic, now);
        }
    }

    /// Leaves a topic. [`Action::Left`] follows.
    pub(in crate::swarm) fn leave(&mut self, topic: [u8; 32], now: Instant) {
        if let Some(entry) = self.topics.get_mut(&topic) {
            entry.leave_all();
            self.restart(topic, now);
        }
    }

    /// Returns whether a topic is joined, or being left.
    #[cfg(test)]
    pub(in crate::swarm) fn has_topic(&self, topic: &[u8; 32]) -> bool {
        self.topics.contains_key(topic)
    }

    /// Returns whether the last refresh of a topic that is joined has succeeded. None does while the swarm is
    /// suspended.
    pub(in crate::swarm) fn has_refreshed(&self, topic: &[u8; 32]) -> bool {
        let entry = self.topics.get(topic).filter(|entry| !entry.is_left());
        self.phase == Phase::Running && entry.is_some_and(Topic::has_succeeded)
    }

    /// Returns whether no refresh of a topic is under way.
    pub(in crate::swarm) fn is_refreshed(&self, topic: &[u8; 32]) -> bool {
        self.topics.get(topic).is_none_or(Topic::is_refreshed)
    }

    /// Returns the query of a topic that runs.
    #[cfg(test)]
    pub(in crate::swarm) fn running(&self, topic: &[u8; 32]) -> Option<QueryId> {
        self.topics.get(topic).and_then(Topic::running)
    }

    /// Returns whether the announcement of a topic is being taken back.
    pub(in crate::swarm) fn is_withdrawing(&self, topic: &[u8; 32]) -> bool {
        self.topics.get(topic).is_some_and(Topic::is_withdrawing)
    }

    /// Returns the topics that are joined.
    pub(in crate::swarm) fn joined(&self) -> Vec<[u8; 32]> {
        self.topics.iter().filter(|(_, topic)| !topic.is_left()).map(|(topic, _)| *topic).collect()
    }

    /// Refreshes a topic, unless that is under way.
    pub(in crate::swarm) fn refresh(&mut self, topic: [u8; 32], now: Instant) {
        if self.topics.get(&topic).is_some_and(Topic::is_refreshed) {
            self.restart(topic, now);
        }
    }

    /// Refreshes all topics, as after a change of the network.
    pub(in crate::swarm) fn refresh_all(&mut self, now: Instant) {
        for topic in self.topics.keys().copied().collect::<Vec<_>>() {
            self.restart(topic, now);
        }
    }

    /// A lookup names a peer.
    pub(in crate::swarm) fn found(
        &mut self,
        topic: [u8; 32],
        query: QueryId,
        key: PublicKey,
        relay_addresses: Vec<SocketAddrV4>,
        now: Instant,
    ) {
        if self.phase != Phase::Running || key == self.own {
            return;
        }
        let Some(entry) = self.topics.get_mut(&topic) else {
            return;
        };
        let peer = self.peers.get(&key);
        let is_connected = peer.is_some_and(|peer| peer.rivals.used().is_some());
        let is_new = peer.is_none_or(|peer| !peer.topics.contains(&topic));
        if !entry.takes(query, key, is_new, is_connected) {
            return;
        }
        entry.members += usize::from(is_new);
        let peer = self.peers.upsert(key);
        peer.topics.insert(topic);
        peer.relay_addresses = relay_addresses;
        // A retry keeps its time: lookups that follow each other must not make one of it at each.
        if peer.rivals.may_dial() && (!peer.waits() || peer.explicit) {
            peer.found_again();
            self.peers.enqueue(key, &mut self.rng);
            self.settle(key);
            self.dial_more(now);
        }
    }

    /// A query is over.
    pub(in crate::swarm) fn query_over(
        &mut self,
        topic: [u8; 32],
        query: QueryId,
        succeeded: bool,
        now: Instant,
    ) {
        let Some(entry) = self.topics.get_mut(&topic) else {
            return;
        };
        let Some(step) = entry.over(query, succeeded) else {
            return;
        };
        if step == Step::Unannounce {
            self.push(Action::Left(topic));
        }
        self.step(topic);
        self.rest(topic, now);
        self.settle_down();
    }

    /// Does what is due for a topic.
    pub(super) fn topic_timeout(&mut self, topic: [u8; 32], now: Instant) {
        let given_up = self.topics.get_mut(&topic).and_then(|entry| entry.handle_timeout(now));
        self.cancel(given_up);
        self.step(topic);
    }

    /// Plans a refresh anew, and begins it.
    fn restart(&mut self, topic: [u8; 32], now: Instant) {
        if self.phase == Phase::Running {
            let given_up = self.topics.get_mut(&topic).and_then(Topic::refresh);
            self.cancel(given_up);
            self.step(topic);
        }
        self.rest(topic, now);
    }

    /// Begins the next query of a topic, if it is its time.
    pub(super) fn step(&mut self, topic: [u8; 32]) {
        let query = QueryId(self.id());
        let peers = &self.peers;
        let connected = || {
            let of_topic = peers.iter().filter(|(_, peer)| peer.topics.contains(&topic));
            of_topic.filter(|(_, peer)| peer.rivals.used().is_some()).count()
        };
        let step = self.topics.get_mut(&topic).and_then(|entry| entry.start(query, connected));
        if let Some(step) = step {
            self.push(Action::Query { topic, query, step });
        }
    }

    /// Ends a refresh whose queries are over, and forgets a topic that is left.
    fn rest(&mut self, topic: [u8; 32], now: Instant) {
        let Some(entry) = self.topics.get_mut(&topic).filter(|entry| entry.is_refreshed()) else {
            return;
        };
        entry.rest(now, &mut self.rng);
        let is_left = entry.is_left();
        let succeeded = self.has_refreshed(&topic);
        if is_left {
            self.topics.remove(&topic);
            self.forget_topic(topic);
            self.push(Action::Left(topic));
        }
        self.push(Action::Refreshed { topic, succeeded });
        if self.phase == Phase::Running && !is_left {
            self.push(Action::Event(SwarmEvent::Refreshed(topic)));
        }
        self.flush_refreshed(&topic);
    }

    /// Forgets which peers were found under a topic, and those that nothing else needs.
    fn forget_topic(&mut self, topic: [u8; 32]) {
        for key in self.peers.keys() {
            let Some(peer) = self.peers.get_mut(&key).filter(|peer| peer.topics.contains(&topic)) else {
                continue;
            };
            peer.topics.remove(&topic);
            if peer.topics.is_empty() && !peer.explicit {
                self.peers.forget_plans(&key);
            }
            self.settle(key);
        }
    }

    pub(super) fn cancel(&mut self, query: Option<QueryId>) {
        if let Some(query) = query {
            self.push(Action::Cancel(query));
        }
    }
}
