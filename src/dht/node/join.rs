//! Joining the network, and checking whether others can reach this node (dht-rpc.md §13).

use std::net::SocketAddrV4;
use std::time::Instant;

use tracing::debug;

use super::verbs::Node;
use crate::dht::config::Mode;
use crate::dht::joining::{NetworkCheck, PROBES, Stage};
use crate::dht::pending::RequestOwner;
use crate::dht::queries::QueryPurpose;
use crate::dht::types::{Answer, Event, Outgoing, Query, RequestError};
use crate::wire::rpc::{NodeId, PING_NAT};
use crate::wire::transmit::SocketId;

impl Node {
    /// Joins the network from the bootstrap nodes and what the table holds. [`Event::Bootstrapped`] follows;
    /// the call may be repeated then.
    pub fn bootstrap(&mut self, now: Instant) {
        if self.joining.begin() {
            self.start_bootstrap_walk(now, false, 0);
        }
    }

    /// Handles a response of the walk: the first one causes the first firewall check.
    pub(super) fn on_bootstrap_answer(&mut self, now: Instant, answer: &Answer) {
        let wanted = self.config.quick_firewall_check && self.config.mode != Mode::Persistent;
        if self.is_firewalled() && wanted && self.joining.begin_quick_check() {
            self.ping_nat(now, RequestOwner::QuickCheck, answer.from);
        }
    }

    pub(super) fn on_bootstrap_walk_over(&mut self, now: Instant, answered: usize) {
        let Stage::Walking { again, reached } = self.joining.stage() else {
            return;
        };
        let reached = reached.max(answered);
        if reached > 0 {
            // Those of them that are still there are in the table now.
            self.config.known.clear();
        }
        let promising = self.joining.seems_open() || self.config.mode == Mode::Persistent;
        if !again && promising && !self.is_persistent() {
            self.joining.set_stage(Stage::Checking { reached });
            self.start_check(now, self.config.mode != Mode::Persistent);
        } else {
            self.finish_bootstrap(now, reached);
        }
    }

    pub(super) fn on_quick_check_result(&mut self, now: Instant, result: &Result<Answer, RequestError>) {
        // A walk that was over before this response did not know; the check is as good now.
        if self.joining.end_quick_check(result) && self.is_bootstrapped() && self.is_firewalled() {
            self.start_check(now, true);
        }
    }

    /// Checks whether the server socket can be reached at a known address, and acts on the result.
    pub(super) fn start_check(&mut self, now: Instant, firewall_only: bool) {
        let sampler = self.address.sampler();
        let (Some(address), false) = (sampler.address(), self.joining.is_checking()) else {
            return self.conclude_check(now, None);
        };
        let mut check = NetworkCheck::new(firewall_only, *address.ip());
        if !self.is_firewalled() {
            let check = check.with_samples(sampler.clone());
            return self.conclude_check(now, Some(check));
        }
        let mut nodes = self.recent_nodes(PROBES);
        if nodes.len() < PROBES {
            let others = self.config.bootstrap.iter().copied();
            let others: Vec<_> = others.filter(|node| !nodes.contains(node)).collect();
            nodes.extend(others);
        }
        for node in nodes {
            if self.ping_nat(now, RequestOwner::Probe, node) {
                check.note_probe();
            }
        }
        if check.has_probes() {
            self.joining.begin_check(check);
        } else {
            self.conclude_check(now, None);
        }
    }

    pub(super) fn on_probe_result(&mut self, now: Instant, result: &Result<Answer, RequestError>) {
        if let Some(check) = self.joining.on_probe(self.address.server_port(), result) {
            self.conclude_check(now, check);
        }
    }

    /// Builds the table around the id of `address`, shows the id from now on, and stores for others.
    pub(super) fn turn_persistent(&mut self, now: Instant, address: SocketAddrV4) {
        self.take_id(now, address);
        self.members.set_persistent(true);
        if self.is_bootstrapped() {
            self.fill(now);
        }
        self.service.enable(now);
        let announcements = std::mem::take(&mut self.config.announcements);
        self.service.restore(now, announcements);
        self.service.restore_some(now, self.members.id());
        self.outbox.emit(Event::Persistent(true));
    }

    /// Goes on after a network check: `None` if the server socket is out of reach.
    fn conclude_check(&mut self, now: Instant, open: Option<NetworkCheck>) {
        let mut succeeded = false;
        if let Some(check) = open {
            self.address.open_firewall();
            let firewall_only = check.is_firewall_only();
            let proven = check.proven(self.address.host(), self.address.server_port());
            if let Some((address, sampler)) = proven {
                succeeded = true;
                self.address.set_sampler(sampler);
                if firewall_only {
                    self.take_id(now, address);
                } else if !self.is_persistent() {
                    self.turn_persistent(now, address);
                }
            }
            self.note_address();
        }
        if let Stage::Checking { reached } = self.joining.stage() {
            if succeeded {
                self.start_bootstrap_walk(now, true, reached);
            } else {
                self.finish_bootstrap(now, reached);
            }
        }
    }

    fn take_id(&mut self, now: Instant, address: SocketAddrV4) {
        if self.members.set_id(NodeId::of(address)) && self.is_bootstrapped() {
            self.refresh(now);
        }
    }

    fn start_bootstrap_walk(&mut self, now: Instant, again: bool, reached: usize) {
        let knows_none = self.config.bootstrap.is_empty() && self.config.known.is_empty();
        if knows_none && self.table_len() == 0 {
            return self.finish_bootstrap(now, reached);
        }
        self.joining.set_stage(Stage::Walking { again, reached });
        let query = Query::find_node(self.id().0);
        self.start_query(now, query, QueryPurpose::Bootstrap);
    }

    fn finish_bootstrap(&mut self, now: Instant, reached: usize) {
        debug!(answered = reached, "joined");
        self.joining.set_stage(Stage::Done);
        self.outbox.emit(Event::Bootstrapped { reached });
        if self.is_persistent() {
            self.fill(now);
        }
    }

    /// Requests a response to the port of the server socket; returns whether the request could be made.
    fn ping_nat(&mut self, now: Instant, owner: RequestOwner, to: SocketAddrV4) -> bool {
        let port = self.address.server_port();
        let request = Outgoing {
            value: Some(port.to_le_bytes().to_vec()),
            socket: Some(SocketId::CLIENT),
            ..Outgoing::internal(to, PING_NAT)
        };
        self.issue(now, owner, request, None).is_ok()
    }
}
