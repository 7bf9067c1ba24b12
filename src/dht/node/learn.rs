//! What packets show about their senders and about the own address (dht-rpc.md §10.2 to §10.4, §11).

use std::net::SocketAddrV4;
use std::time::Instant;

use super::verbs::Node;
use crate::dht::membership::{Learned, is_stray};
use crate::dht::pending::RequestOwner;
use crate::dht::types::{Answer, Outgoing, RequestError};
use crate::wire::rpc::{NodeId, PING};
use crate::wire::transmit::SocketId;

impl Node {
    /// Learns from a request.
    ///
    /// On the public network anyone can write a source address on a request, so an unknown sender is pinged,
    /// and its response counts. (To dht-rpc.md §10.2, the request is enough.)
    pub(super) fn hear(
        &mut self,
        now: Instant,
        socket: SocketId,
        from: SocketAddrV4,
        to: SocketAddrV4,
        id: Option<NodeId>,
    ) {
        let verifies = self.config.policy.verifies_senders && !self.config.private_network;
        match id {
            Some(id) if verifies && !self.members.contains(&id) => self.greet(now, &id, from),
            _ => self.learn(now, socket, from, to, id),
        }
    }

    /// Pings a node that could enter the table.
    fn greet(&mut self, now: Instant, id: &NodeId, node: SocketAddrV4) {
        let (tick, can_check) = (self.upkeep.tick(), self.is_bootstrapped());
        if !self.members.may_greet(tick, id, &node, can_check) {
            return;
        }
        let request = Outgoing { retries: GREETING_RETRIES, ..Outgoing::internal(node, PING) };
        if let Ok(key) = self.issue(now, RequestOwner::Greeting, request, None)
            && let Some(ended) = self.members.begin_greeting(node, key)
        {
            // Its network has more pings under way than others.
            let _ = self.requests.remove(ended);
        }
    }

    /// Learns from a packet of a node that receives at its address: its id and the sample of the own address.
    ///
    /// This is the only way into the table.
    pub(in crate::dht) fn learn(
        &mut self,
        now: Instant,
        socket: SocketId,
        from: SocketAddrV4,
        to: SocketAddrV4,
        id: Option<NodeId>,
    ) {
        // How others see the socket that requests do not leave from shows nothing about the address that this
        // node is known by.
        let sample = (socket == self.request_socket()).then_some(to);
        let Some(id) = id else {
            // Any host can be a node without id, so only the first few count.
            let max = self.config.bootstrap.len().max(1);
            if let Some(to) = sample
                && self.address.sample_of_stranger(from, to, max)
            {
                self.note_address();
            }
            return;
        };
        if self.members.is_own(&id) || is_stray(&from) {
            return;
        }
        let tick = self.upkeep.tick();
        match self.members.learn(tick, &id, &from, sample.is_some()) {
            Learned::Known { samples: false } => {}
            Learned::Known { samples: true } => self.take_sample(sample),
            Learned::Full => self.check_row(now, id, from, sample),
            Learned::New => self.admit(id, from, sample),
        }
    }

    fn admit(&mut self, id: NodeId, address: SocketAddrV4, sample: Option<SocketAddrV4>) {
        let tick = self.upkeep.tick();
        if self.members.admit(tick, id, address, sample.is_some()) {
            self.take_sample(sample);
        }
    }

    fn take_sample(&mut self, sample: Option<SocketAddrV4>) {
        if let Some(to) = sample {
            self.address.sample(to);
            self.note_address();
        }
    }

    /// Makes room for a newcomer if the weakest node of its row does not respond.
    fn check_row(&mut self, now: Instant, id: NodeId, newcomer: SocketAddrV4, sample: Option<SocketAddrV4>) {
        let tick = self.upkeep.tick();
        if !self.is_bootstrapped() {
            return;
        }
        let Some((incumbent, address)) = self.members.replaceable(tick, &id, &newcomer) else {
            return;
        };
        self.members.mark_pinged(tick, &incumbent);
        let owner = RequestOwner::RowCheck { incumbent, newcomer, sample };
        if self.ping(now, owner, address, None) {
            self.members.begin_row_check();
        }
    }

    pub(super) fn on_row_check_result(
        &mut self,
        incumbent: &NodeId,
        newcomer: SocketAddrV4,
        sample: Option<SocketAddrV4>,
        result: &Result<Answer, RequestError>,
    ) {
        if self.members.end_row_check(incumbent, is_alive(result, incumbent)) {
            self.admit(NodeId::of(newcomer), newcomer, sample);
        }
    }

    /// Handles a down hint: checks the node.
    pub(in crate::dht) fn on_down_hint(&mut self, now: Instant, id: &NodeId) {
        if self.members.begin_hint_check(self.upkeep.tick(), id) {
            self.check_ping(now, id, true);
        }
    }

    /// Pings a node of the table, which leaves it unless it responds under the same id.
    pub(super) fn check_ping(&mut self, now: Instant, id: &NodeId, hinted: bool) {
        let Some(address) = self.members.mark_pinged(self.upkeep.tick(), id) else {
            return;
        };
        let owner = RequestOwner::Check { id: *id, hinted };
        let pinged = self.ping(now, owner, address, Some(*id));
        if !pinged && hinted {
            self.members.end_hint_check();
        }
    }

    pub(super) fn on_check_result(
        &mut self,
        id: &NodeId,
        hinted: bool,
        result: &Result<Answer, RequestError>,
    ) {
        if hinted {
            self.members.end_hint_check();
        }
        if !is_alive(result, id) {
            self.members.drop_node(id, "check failed");
        }
    }
}

fn is_alive(result: &Result<Answer, RequestError>, id: &NodeId) -> bool {
    result.as_ref().is_ok_and(|answer| answer.id.as_ref() == Some(id))
}

/// How often a ping of an unknown sender is sent again.
const GREETING_RETRIES: u32 = 1;
