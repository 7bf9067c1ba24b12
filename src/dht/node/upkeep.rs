//! What happens every five seconds: pinging nodes, refreshing the table, ageing the records, noticing sleep
//! (dht-rpc.md §10.4, §13.4, §13.5).

use std::time::Instant;

use tracing::debug;

use super::verbs::Node;
use crate::dht::config::Mode;
use crate::dht::queries::QueryPurpose;
use crate::dht::types::{Event, Query};

impl Node {
    pub(super) fn run_upkeep(&mut self, now: Instant) {
        if now < self.upkeep.next() {
            return;
        }
        if self.upkeep.has_slept(now) {
            self.wake_up();
        }
        self.upkeep.begin_tick(now);
        self.responses.tick();
        self.service.sweep(now);
        if !self.is_bootstrapped() {
            return;
        }
        if self.upkeep.pings() {
            self.ping_some(now);
        }
        if self.upkeep.refreshes(self.members.len()) {
            self.refresh(now);
        }
        if !self.is_persistent() && !self.joining.is_checking() {
            self.reconsider_persistence(now);
        }
    }

    /// Handles sleep: everything known is old, and this node may be elsewhere.
    pub(super) fn wake_up(&mut self) {
        debug!("woke up");
        self.upkeep.wake_up();
        self.responses.reset_health();
        if self.config.mode == Mode::Adaptive && self.is_persistent() {
            self.members.set_persistent(false);
            self.outbox.emit(Event::Persistent(false));
        }
    }

    /// Walks towards a part of the network of which few nodes are known, or else towards a random known node,
    /// which keeps the table filled.
    pub(super) fn refresh(&mut self, now: Instant) {
        let target = self.members.refresh_target(&mut self.rng);
        self.start_query(now, Query::find_node(target.0), QueryPurpose::Refresh);
    }

    /// Walks wherever few nodes are known.
    ///
    /// The walk towards the own id meets only nodes near it. Nodes that know no node far away leave others
    /// stuck there, so one that serves fills its table at once. (dht-rpc.md §10.4 "Refresh" leaves it to
    /// chance.)
    pub(super) fn fill(&mut self, now: Instant) {
        for row in self.members.thin_rows() {
            let target = self.members.random_id(row, &mut self.rng);
            self.start_query(now, Query::find_node(target.0), QueryPurpose::Fill);
        }
    }

    /// Pings the nodes not heard of for longest.
    fn ping_some(&mut self, now: Instant) {
        let busy = self.requests.len() > 2;
        let stalest = self.members.stalest(self.upkeep.tick(), busy);
        if stalest.is_empty() {
            return self.refresh(now);
        }
        for id in stalest {
            self.check_ping(now, &id, false);
        }
    }

    /// Checks from time to time whether an ephemeral node may turn persistent.
    fn reconsider_persistence(&mut self, now: Instant) {
        let checks = match self.config.mode {
            Mode::Ephemeral => false,
            // The reference gives up for good if the first attempt fails (dht-rpc.md §13 "Modes", §13.4); a
            // node that was configured to serve should not. Probes cost others something; what the samples
            // show does not.
            Mode::Persistent => !self.is_firewalled() || self.upkeep.retries_check(),
            Mode::Adaptive => self.upkeep.checks_stability(|| self.address.host()),
        };
        if checks {
            self.start_check(now, false);
        }
    }
}
