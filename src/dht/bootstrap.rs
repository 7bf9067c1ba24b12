//! Entering the network, and finding out whether others can reach us.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Instant;

use super::config::Mode;
use super::nat::Sampler;
use super::node::Node;
use super::queries::{Purpose, find_node};
use super::requests::Owner;
use super::store::Store;
use super::types::{Answer, Event, Outgoing, RequestError};
use crate::wire::rpc::{NodeId, PING_NAT};
use crate::wire::transmit::SocketId;

/// How far bootstrapping has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bootstrap {
    Idle,
    /// Walking towards our own id.
    Walking {
        again: bool,
        reached: usize,
    },
    /// Finding out whether the server socket can be reached.
    Checking {
        reached: usize,
    },
    Done,
}

/// The first look at our firewall: one node answers to the server socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quick {
    Unasked,
    Asked,
    Answered,
}

/// A running examination of our firewall: several nodes answer to the server socket.
pub(super) struct NetworkCheck {
    /// Whether the node stays ephemeral whatever comes out.
    firewall_only: bool,
    /// Our host as the examination began.
    host: Ipv4Addr,
    asked: usize,
    outstanding: usize,
    /// Answers that reached the server socket.
    reached: usize,
    /// How the nodes saw the server socket.
    sampler: Sampler,
}

impl Node {
    /// Enters the network from the bootstrap nodes and what the table holds. [`Event::Bootstrapped`] follows;
    /// the call may be repeated then.
    pub fn bootstrap(&mut self, now: Instant) {
        if matches!(
            self.bootstrap,
            Bootstrap::Walking { .. } | Bootstrap::Checking { .. }
        ) {
            return;
        }
        self.quick = Quick::Unasked;
        self.start_bootstrap_walk(now, false, 0);
    }

    /// Takes the first answers of the walk as an occasion for the quick look at our firewall.
    pub(super) fn on_bootstrap_answer(&mut self, now: Instant, answer: &Answer) {
        let wanted = self.config.quick_firewall_check && self.config.mode != Mode::Persistent;
        if self.firewalled && wanted && self.quick == Quick::Unasked {
            self.quick = Quick::Asked;
            self.ping_nat(now, Owner::QuickCheck, answer.from);
        }
    }

    pub(super) fn on_bootstrap_walk_done(&mut self, now: Instant, answered: usize) {
        let Bootstrap::Walking { again, reached } = self.bootstrap else {
            return;
        };
        let reached = reached.max(answered);
        if reached > 0 {
            // Those of them that are still there are in the table now.
            self.config.known.clear();
        }
        let promising = self.quick == Quick::Answered || self.config.mode == Mode::Persistent;
        if !again && promising && !self.persistent {
            self.bootstrap = Bootstrap::Checking { reached };
            self.start_check(now, self.config.mode != Mode::Persistent);
        } else {
            self.finish_bootstrap(now, reached);
        }
    }

    pub(super) fn on_quick_answer(&mut self, now: Instant, result: &Result<Answer, RequestError>) {
        if result
            .as_ref()
            .is_ok_and(|answer| answer.socket == SocketId::SERVER)
        {
            self.quick = Quick::Answered;
            // A walk that was faster than this answer did not know; the check is as good now.
            if self.bootstrap == Bootstrap::Done && self.firewalled {
                self.start_check(now, true);
            }
        }
    }

    /// Examines whether our server socket can be reached at a known address, and draws the consequences.
    pub(super) fn start_check(&mut self, now: Instant, firewall_only: bool) {
        let (Some(address), None) = (self.sampler.address(), &self.check) else {
            return self.conclude_check(now, None);
        };
        let mut check = NetworkCheck {
            firewall_only,
            host: *address.ip(),
            asked: 0,
            outstanding: 0,
            reached: 0,
            sampler: Sampler::default(),
        };
        if !self.firewalled {
            check.sampler = self.sampler.clone();
            return self.conclude_check(now, Some(check));
        }
        let mut nodes = self.recent_nodes(PROBES);
        if nodes.len() < PROBES {
            let others = self.config.bootstrap.iter().copied();
            let others: Vec<_> = others.filter(|node| !nodes.contains(node)).collect();
            nodes.extend(others);
        }
        for node in nodes {
            if self.ping_nat(now, Owner::Probe, node) {
                check.asked += 1;
            }
        }
        check.outstanding = check.asked;
        if check.asked == 0 {
            return self.conclude_check(now, None);
        }
        self.check = Some(check);
    }

    pub(super) fn on_probe_answer(&mut self, now: Instant, result: &Result<Answer, RequestError>) {
        let port = self.sockets.map_or(0, |(server, _)| server.port());
        let Some(check) = &mut self.check else {
            return;
        };
        check.outstanding -= 1;
        if let Ok(answer) = result
            && answer.socket == SocketId::SERVER
        {
            check.reached += 1;
            check.sampler.add(answer.to);
        }
        let enough = if check.asked < PROBES { 1 } else { PROBES_NEEDED };
        let open =
            check.reached >= enough && check.sampler.address() == Some(SocketAddrV4::new(check.host, port));
        if open || check.outstanding == 0 {
            let check = self.check.take().filter(|_| open);
            self.conclude_check(now, check);
        }
    }

    /// Makes `address` the one that our id stands for, tells the id from now on, and serves those who store.
    pub(super) fn turn_persistent(&mut self, now: Instant, address: SocketAddrV4) {
        self.take_id(now, address);
        self.persistent = true;
        if self.bootstrap == Bootstrap::Done {
            self.fill(now);
        }
        self.store.get_or_insert_with(|| Store::new(now));
        self.restore_announcements(now);
        self.emit(Event::Persistent(true));
    }

    /// Goes on after an examination: `None` if it found us out of reach.
    fn conclude_check(&mut self, now: Instant, open: Option<NetworkCheck>) {
        let port = self.sockets.map_or(0, |(server, _)| server.port());
        let mut succeeded = false;
        if let Some(check) = open {
            self.firewalled = false;
            let address = SocketAddrV4::new(check.host, port);
            // Behind a NAT that maps our port to another one, the id would stand for an address that is not
            // ours.
            let still = self.sampler.host() == Some(check.host);
            if still && check.sampler.address() == Some(address) {
                succeeded = true;
                self.sampler = check.sampler;
                if check.firewall_only {
                    self.take_id(now, address);
                } else if !self.persistent {
                    self.turn_persistent(now, address);
                }
            }
            self.note_address();
        }
        if let Bootstrap::Checking { reached } = self.bootstrap {
            if succeeded {
                self.start_bootstrap_walk(now, true, reached);
            } else {
                self.finish_bootstrap(now, reached);
            }
        }
    }

    fn take_id(&mut self, now: Instant, address: SocketAddrV4) {
        let id = NodeId::of(address);
        if id == *self.table.id() {
            return;
        }
        self.table.set_id(id);
        if self.bootstrap == Bootstrap::Done {
            self.refresh(now);
        }
    }

    fn start_bootstrap_walk(&mut self, now: Instant, again: bool, reached: usize) {
        let known = &self.config.known;
        if self.config.bootstrap.is_empty() && known.is_empty() && self.table.len() == 0 {
            return self.finish_bootstrap(now, reached);
        }
        self.bootstrap = Bootstrap::Walking { again, reached };
        let query = find_node(self.table.id().0);
        self.start_query(now, query, Purpose::Bootstrap);
    }

    fn finish_bootstrap(&mut self, now: Instant, reached: usize) {
        self.bootstrap = Bootstrap::Done;
        self.emit(Event::Bootstrapped { reached });
        if self.persistent {
            self.fill(now);
        }
    }

    /// Asks `to` to answer to the port of our server socket; returns whether the request could be made.
    fn ping_nat(&mut self, now: Instant, owner: Owner, to: SocketAddrV4) -> bool {
        let port = self.sockets.map_or(0, |(server, _)| server.port());
        let request = Outgoing {
            value: Some(port.to_le_bytes().to_vec()),
            socket: Some(SocketId::CLIENT),
            ..Outgoing::internal(to, PING_NAT)
        };
        self.issue(now, owner, request, None).is_ok()
    }
}

/// Nodes that are asked to answer to the server socket.
const PROBES: usize = 5;
/// How many of them must reach it.
const PROBES_NEEDED: usize = 3;
