//! Sending requests, and matching responses to them.

use std::net::SocketAddrV4;
use std::time::Instant;

use tracing::{debug, trace};

use super::verbs::Node;
use crate::dht::pending::{Pending, RequestOwner};
use crate::dht::requests::Expired;
use crate::dht::types::{Answer, Event, Outgoing, QueryError, QueryId, RequestError, RequestId};
use crate::wire::compact::{Decode, Reader};
use crate::wire::rpc::{NodeId, PING, Packet};
use crate::wire::transmit::SocketId;

impl Node {
    /// Sends a request as soon as the window and the sockets allow; returns its key. `id` is the one that the
    /// table knows the node by.
    pub(super) fn issue(
        &mut self,
        now: Instant,
        owner: RequestOwner,
        request: Outgoing,
        id: Option<NodeId>,
    ) -> Result<u64, RequestError> {
        let unsigned = request.unsigned.clone();
        let key = self.requests.add(now, &mut self.rng, owner, request, id)?;
        match unsigned {
            Some(unsigned) => self.outbox.emit(Event::Sign { request: RequestId(key), unsigned }),
            None => self.begin(now, key),
        }
        Ok(key)
    }

    /// Sends a request that has waited for its signature, or fails it if there is none.
    pub fn signed(&mut self, now: Instant, request: RequestId, signature: Option<[u8; 64]>) {
        match signature {
            Some(signature) => {
                if self.requests.sign(request.0, signature) {
                    self.begin(now, request.0);
                }
            }
            None => {
                if let Some(pending) = self.requests.remove(request.0) {
                    self.deliver(now, pending, Err(RequestError::Unsigned));
                }
            }
        }
    }

    fn begin(&mut self, now: Instant, key: u64) {
        self.stats.requests_sent += 1;
        self.send_or_queue(now, key);
    }

    /// Sends a ping; returns whether the request could be made.
    pub(super) fn ping(
        &mut self,
        now: Instant,
        owner: RequestOwner,
        to: SocketAddrV4,
        id: Option<NodeId>,
    ) -> bool {
        self.issue(now, owner, Outgoing::internal(to, PING), id).is_ok()
    }

    /// Sends what has waited for the window or for the sockets, as far as there is room.
    pub(super) fn flush_queue(&mut self, now: Instant) {
        while self.address.is_bound()
            && let Some(key) = self.requests.dequeue(now)
        {
            self.send(now, key);
        }
    }

    /// Sends again, or fails, each request whose deadline has passed.
    pub(super) fn expire_requests(&mut self, now: Instant) {
        while let Some(expired) = self.requests.expire(now) {
            match expired {
                Expired::Late(key) => {
                    if let Some((query, node)) = self.walk_of(key) {
                        self.on_query_late(now, query, node);
                    }
                }
                Expired::Retry { key, .. } if self.is_pointless(key) => {
                    if let Some(pending) = self.requests.remove(key) {
                        self.fail(now, pending);
                    }
                }
                Expired::Retry { key, early } => {
                    debug!(
                        request = key,
                        owner = ?self.requests.get(key).map(|pending| &pending.owner),
                        "request retried"
                    );
                    self.stats.retries_sent += 1;
                    self.send_or_queue(now, key);
                    if !early {
                        self.on_try_failed(now, key);
                    }
                }
                Expired::Failed(pending) => self.fail(now, *pending),
            }
        }
    }

    /// Fails all requests and queries.
    pub(super) fn fail_all(&mut self, error: RequestError) {
        for pending in self.requests.drain() {
            if matches!(pending.owner, RequestOwner::Caller) {
                let request = RequestId(pending.key);
                self.outbox.emit(Event::Answered { request, result: Err(error) });
            }
        }
        self.members.forget_checks();
        for key in self.queries.end_all() {
            self.outbox.emit(Event::QueryDone { query: QueryId(key), result: Err(QueryError::NoNodes) });
        }
    }

    /// Handles a response.
    pub(super) fn handle_response(
        &mut self,
        now: Instant,
        socket: SocketId,
        from: SocketAddrV4,
        datagram: &[u8],
    ) {
        // The request is found before anything else is read, so that unmatched responses cost next to
        // nothing.
        let tid = datagram.get(2..4).map(|tid| u16::from_le_bytes([tid[0], tid[1]]));
        let Some(key) = tid.and_then(|tid| self.requests.find(tid, from)) else {
            if tid.is_none_or(|tid| !self.ask_elsewhere(tid, socket, from)) {
                trace!(%from, tid, "unmatched response dropped");
                self.stats.drops.unmatched += 1;
            }
            return;
        };
        let Ok(Packet::Response(response)) = Packet::decode(&mut Reader::new(datagram)) else {
            self.stats.drops.malformed += 1;
            return;
        };
        let Some(pending) = self.requests.remove(key) else {
            return;
        };
        trace!(%from, command = pending.request.command, tid, "response received");
        self.stats.responses_received += 1;
        let rtt = now - pending.sent_at;
        let is_first_try = pending.sent == 1 && pending.walk().is_some();
        if self.responses.note_response(&from, is_first_try.then_some(rtt)) {
            self.queries.trust_all();
        }
        let id = response.id.filter(|id| *id == NodeId::of(from));
        self.learn(now, socket, from, response.to, id);
        let answer = Answer {
            from,
            to: response.to,
            socket,
            id,
            token: response.token,
            closer: response.closer,
            error: response.error,
            value: response.value,
            rtt,
        };
        self.deliver(now, pending, Ok(answer));
        self.flush_queue(now);
    }

    /// Handles a response that no request matches. If a bootstrap node was sent a request at the same port of
    /// another host, sends the request to where the response came from; returns whether it did.
    ///
    /// A host with several addresses may send from any of them (dht-rpc.md §2: the kernel chooses the source
    /// of a socket bound to 0.0.0.0), and a user may have named another one. The response itself counts no
    /// more than any other datagram, since it need only be guessed (dht-rpc.md §9 "Matching a response"). So
    /// the same request goes there under a tid of its own, and what comes back is the response of a node at
    /// that address; until then the node that was named can respond as well. Trying tids leads nowhere: after
    /// a few unmatched responses, none is followed for some seconds. Nodes that other nodes name need none of
    /// this, for they are known by the address that they send from.
    fn ask_elsewhere(&mut self, tid: u16, socket: SocketId, from: SocketAddrV4) -> bool {
        // What could not be such a response takes nothing of what a tick looks at.
        let nodes = &self.config.bootstrap;
        if !self.requests.has_other_host(from, nodes) || self.is_unwanted(&from) {
            return false;
        }
        if !self.upkeep.may_follow_stray() {
            return false;
        }
        let response = (tid, socket, from);
        let (nodes, id) = (&self.config.bootstrap, self.members.shown_id());
        let datagram = self.requests.repeat_elsewhere(&mut self.rng, response, nodes, id);
        let Some(datagram) = datagram else {
            return false;
        };
        debug!(%from, tid, "unmatched response followed");
        self.transmit(socket, from, datagram);
        true
    }

    /// Returns whether a request is not worth another try: its walk is over, and it has had some.
    fn is_pointless(&self, key: u64) -> bool {
        self.requests.get(key).is_some_and(|pending| {
            let was_tried = pending.sent >= self.config.policy.tries_after_end;
            was_tried && pending.walk().is_some_and(|query| self.queries.is_over(query))
        })
    }

    /// Returns the walk that a request belongs to, and the node that it went to.
    fn walk_of(&self, key: u64) -> Option<(u64, SocketAddrV4)> {
        let pending = self.requests.get(key)?;
        Some((pending.walk()?, pending.request.to))
    }

    fn send_or_queue(&mut self, now: Instant, key: u64) {
        if !self.address.is_bound() || self.requests.is_window_full(now) {
            self.requests.enqueue(key);
        } else {
            self.send(now, key);
        }
    }

    fn send(&mut self, now: Instant, key: u64) {
        let (default, id) = (self.request_socket(), self.members.shown_id());
        let Some((socket, to, datagram)) = self.requests.depart(now, key, default, id) else {
            return;
        };
        self.transmit(socket, to, datagram);
        if let Some((query, _)) = self.walk_of(key) {
            self.on_query_sent(query);
        }
    }

    fn on_try_failed(&mut self, now: Instant, key: u64) {
        let Some(pending) = self.requests.get(key) else {
            return;
        };
        let (node, query) = (pending.request.to, pending.walk());
        self.responses.note_timeout(now, node);
        if let Some(query) = query {
            self.on_query_timeout(now, query, node);
        }
    }

    /// Fails a request that no try got a response to.
    fn fail(&mut self, now: Instant, pending: Pending) {
        let node = pending.request.to;
        let command = pending.request.command;
        debug!(request = pending.key, owner = ?pending.owner, to = %node, command, "request failed");
        self.stats.timeouts += 1;
        self.responses.note_failure(now, node);
        if let Some(id) = pending.id {
            self.members.drop_node(&id, "unresponsive");
        }
        self.deliver(now, pending, Err(RequestError::TimedOut));
    }

    /// Hands the end of a request to its owner.
    fn deliver(&mut self, now: Instant, pending: Pending, result: Result<Answer, RequestError>) {
        match pending.owner {
            RequestOwner::Caller => {
                self.outbox.emit(Event::Answered { request: RequestId(pending.key), result })
            }
            RequestOwner::Query(query) => self.on_query_result(now, query, pending.request.to, result),
            RequestOwner::Commit(query) => self.on_commit_result(now, query, result),
            RequestOwner::Check { id, hinted } => self.on_check_result(&id, hinted, &result),
            RequestOwner::RowCheck { incumbent, newcomer, sample } => {
                self.on_row_check_result(&incumbent, newcomer, sample, &result)
            }
            RequestOwner::Greeting => self.members.end_greeting(&pending.request.to),
            RequestOwner::QuickCheck => self.on_quick_check_result(now, &result),
            RequestOwner::Probe => self.on_probe_result(now, &result),
            RequestOwner::None => {}
        }
    }
}
