//! Sending requests, matching responses to them, and learning nodes from what comes in.

use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use super::inflight::{Expired, Pending};
use super::node::Node;
use super::queries::is_stray;
use super::table::Entry;
use super::types::{Answer, Event, Outgoing, RequestError, RequestId};
use crate::wire::address::{is_bogon, network};
use crate::wire::compact::{Decode, Encode, Reader};
use crate::wire::rpc::{DELAYED_PING, MAX_DATAGRAM, NodeId, PING, Packet, Request, Response};
use crate::wire::transmit::SocketId;

/// What a request of this node is for.
#[derive(Debug)]
pub(super) enum Owner {
    /// The layer above asked for it.
    Caller,
    /// A walk.
    Query(u64),
    /// The commit of a query, or an unannouncement during its walk.
    Commit(u64),
    /// A ping that finds out whether a table entry is alive, because others call it down if `hinted`.
    Check { id: NodeId, hinted: bool },
    /// A ping of the table entry `incumbent`; if it is not alive, the newcomer takes its place.
    RowCheck {
        /// The node that is pinged.
        incumbent: NodeId,
        /// The node that found no room.
        newcomer: SocketAddrV4,
        /// Us as the newcomer sees us, where that counts as a sample.
        sample: Option<SocketAddrV4>,
    },
    /// A ping of a node that sent us a request and could enter the table.
    Greeting,
    /// The first look at our firewall.
    QuickCheck,
    /// A probe of our firewall.
    Probe,
    /// Nobody: a down hint.
    Nobody,
}

impl Node {
    /// Sends a request as soon as the window and the sockets allow; returns its key.
    pub(super) fn issue(
        &mut self,
        now: Instant,
        owner: Owner,
        request: Outgoing,
        id: Option<NodeId>,
    ) -> Result<u64, RequestError> {
        let value = request.value.as_ref().map_or(0, Vec::len);
        if value > MAX_DATAGRAM - MAX_REQUEST_HEAD {
            return Err(RequestError::TooLarge);
        }
        let timeout = TRY_TIMEOUT + asked_delay(&request);
        let key = self
            .inflight
            .add(now, &mut self.rng, owner, request, id, timeout)
            .ok_or(RequestError::Overloaded)?;
        self.stats.requests_sent += 1;
        self.send_or_queue(now, key);
        Ok(key)
    }

    /// Sends a ping.
    pub(super) fn ping(&mut self, now: Instant, owner: Owner, to: SocketAddrV4, id: Option<NodeId>) -> bool {
        self.issue(now, owner, Outgoing::internal(to, PING), id).is_ok()
    }

    /// Sends what has waited for the window or for the sockets, as far as there is room.
    pub(super) fn flush_queue(&mut self, now: Instant) {
        while self.inflight.has_queue() && self.sockets.is_some() && !self.inflight.window.is_full(now) {
            let Some(key) = self.inflight.dequeue() else {
                return;
            };
            self.send(now, key);
        }
    }

    /// Sends again, or gives up, each request whose time is up.
    pub(super) fn expire_requests(&mut self, now: Instant) {
        while let Some(expired) = self.inflight.expire(now) {
            match expired {
                Expired::Late(key) => self.on_late(now, key),
                Expired::Retry { key, .. } if self.is_pointless(key) => {
                    if let Some(pending) = self.inflight.remove(key) {
                        self.give_up(now, pending);
                    }
                }
                Expired::Retry { key, early } => {
                    self.stats.retries_sent += 1;
                    self.send_or_queue(now, key);
                    if !early {
                        self.on_try_failed(now, key);
                    }
                }
                Expired::Failed(pending) => self.give_up(now, *pending),
            }
        }
    }

    /// Ends a request that nobody answered.
    fn give_up(&mut self, now: Instant, pending: Pending<Owner>) {
        self.stats.timeouts += 1;
        self.silence.note_timeout(now, pending.request.to);
        self.upkeep.health.timeouts += 1;
        if let Some(id) = pending.id {
            self.table.remove(&id);
        }
        self.deliver(now, pending, Err(RequestError::TimedOut));
    }

    /// Returns whether a request is not worth another try: its walk is over, and it has had three.
    fn is_pointless(&mut self, key: u64) -> bool {
        let Some(pending) = self.inflight.get_mut(key) else {
            return true;
        };
        match pending.owner {
            Owner::Query(query) if pending.sent >= TRIES_AFTER_THE_END => {
                !self.config.is_reference() && self.is_query_over(query)
            }
            _ => false,
        }
    }

    fn on_late(&mut self, now: Instant, key: u64) {
        let pending = self.inflight.get_mut(key);
        let late = pending.and_then(|pending| match pending.owner {
            Owner::Query(query) => Some((query, pending.request.to)),
            _ => None,
        });
        if let Some((query, node)) = late {
            self.on_query_late(now, query, node);
        }
    }

    /// Fails everything that waits.
    pub(super) fn fail_all(&mut self, error: RequestError) {
        for pending in self.inflight.drain() {
            if matches!(pending.owner, Owner::Caller) {
                let request = RequestId(pending.key);
                self.emit(Event::Answered {
                    request,
                    result: Err(error),
                });
            }
        }
        self.greetings.clear();
        self.upkeep.forget_checks();
        self.end_all_queries();
    }

    /// Takes a response.
    pub(super) fn handle_response(
        &mut self,
        now: Instant,
        socket: SocketId,
        from: SocketAddrV4,
        datagram: &[u8],
    ) {
        // The request is found before anything else is read, so that answers to nothing cost next to nothing.
        let tid = datagram.get(2..4).map(|tid| u16::from_le_bytes([tid[0], tid[1]]));
        let key = tid.and_then(|tid| self.inflight.find(tid, from));
        let Some(key) = key else {
            if tid.is_none_or(|tid| !self.ask_elsewhere(tid, socket, from)) {
                self.stats.drops.unmatched += 1;
            }
            return;
        };
        let Ok(Packet::Response(response)) = Packet::decode(&mut Reader::new(datagram)) else {
            self.stats.drops.malformed += 1;
            return;
        };
        let Some(pending) = self.inflight.remove(key) else {
            return;
        };
        self.stats.responses_received += 1;
        self.upkeep.health.answered();
        if self.silence.note_heard(&from) {
            // Perhaps it was not that node but us who was cut off, so nobody's silence counts any more.
            self.silence.clear();
            self.trust_all();
        }
        let id = valid_id(response.id, from);
        self.learn(now, socket, from, response.to, id);
        let answer = answer(response, socket, from, id, now - pending.sent_at);
        if pending.sent == 1 && matches!(pending.owner, Owner::Query(_)) {
            self.patience.note(answer.rtt);
        }
        self.deliver(now, pending, Ok(answer));
        self.flush_queue(now);
    }

    /// Takes an answer that no request waits for. If a bootstrap node was asked at the same port of another
    /// host, the question goes to where the answer came from; returns whether it did.
    ///
    /// A host with several addresses may send from any of them, as the reference does, and a user may have
    /// named another one. The answer itself is believed no more than any other datagram, since it need only
    /// be guessed. So the same question goes there under a tid of its own, and what comes back is the word of
    /// a node at that address; until then the node that was asked can answer as well. Nobody gets there by
    /// trying tids: after a few answers to nothing, none is followed for some seconds. Nodes that other nodes
    /// name need none of this, for they are known by the address that they send from.
    fn ask_elsewhere(&mut self, tid: u16, socket: SocketId, from: SocketAddrV4) -> bool {
        if !self.upkeep.may_follow_stray() || self.is_unwanted(&from) {
            return false;
        }
        let Some(key) = self.inflight.find_other_host(tid, from) else {
            return false;
        };
        let Some(pending) = self.inflight.get_mut(key) else {
            return false;
        };
        let is_bootstrap = self.config.bootstrap.contains(&pending.request.to);
        if !is_bootstrap || pending.request.socket != Some(socket) {
            return false;
        }
        let Some(tid) = self.inflight.look_elsewhere(&mut self.rng, key, from) else {
            return false;
        };
        let id = self.persistent.then(|| *self.table.id());
        let Some(pending) = self.inflight.get_mut(key) else {
            return false;
        };
        let datagram = Request {
            to: from,
            tid,
            ..request(&pending.request, id)
        };
        self.transmit(socket, from, datagram.to_bytes());
        true
    }

    /// Takes what a request tells about its sender and about us.
    ///
    /// On the public network anybody can write a source address on a request, so a sender that is not known
    /// yet is pinged, and its answer counts. (To the reference the request is enough.)
    pub(super) fn hear(
        &mut self,
        now: Instant,
        socket: SocketId,
        from: SocketAddrV4,
        to: SocketAddrV4,
        id: Option<NodeId>,
    ) {
        match id {
            Some(id) if self.is_wary() && self.table.get_mut(&id).is_none() => {
                self.greet(now, &id, from);
            }
            _ => self.learn(now, socket, from, to, id),
        }
    }

    /// Returns whether a request alone does not let its sender into the table.
    const fn is_wary(&self) -> bool {
        !self.config.private_network && !self.config.is_reference()
    }

    /// Pings a node that could enter the table.
    fn greet(&mut self, now: Instant, id: &NodeId, node: SocketAddrV4) {
        let same = network(*node.ip());
        let greeted = self
            .greetings
            .iter()
            .filter(|other| network(*other.ip()) == same)
            .count();
        if is_bogon(*node.ip())
            || is_stray(&node)
            || self.greetings.len() >= MAX_GREETINGS
            || self.greetings.contains(&node)
            || greeted >= MAX_GREETINGS_PER_NETWORK
            || !self.has_place(id, &node)
        {
            return;
        }
        let request = Outgoing {
            retries: GREETING_RETRIES,
            ..Outgoing::internal(node, PING)
        };
        if self.issue(now, Owner::Greeting, request, None).is_ok() {
            self.greetings.insert(node);
        }
    }

    /// Takes what a packet tells about its sender and about us.
    ///
    /// This is the only door to the routing table.
    pub(super) fn learn(
        &mut self,
        now: Instant,
        socket: SocketId,
        from: SocketAddrV4,
        to: SocketAddrV4,
        id: Option<NodeId>,
    ) {
        // What others see of a socket that we do not send from says nothing about the address that we are
        // known by.
        let sample = (socket == self.request_socket()).then_some(to);
        let Some(id) = id else {
            self.sample_stranger(from, sample);
            return;
        };
        if (self.persistent && id == *self.table.id()) || is_stray(&from) {
            return;
        }
        let tick = self.upkeep.tick();
        self.heard += 1;
        let heard = self.heard;
        if let Some(known) = self.table.get_mut(&id) {
            known.pinged = tick;
            known.heard = heard;
            if let Some(to) = sample
                && (known.sampled == 0 || tick - known.sampled >= OLD_NODE)
            {
                known.sampled = tick;
                self.take_sample(to);
            }
        } else if self.table.is_full_for(&id, &from) {
            self.check_row(now, id, from, sample);
        } else {
            self.admit(id, from, sample);
        }
    }

    /// Puts a node into the table.
    pub(super) fn admit(&mut self, id: NodeId, address: SocketAddrV4, sample: Option<SocketAddrV4>) {
        let tick = self.upkeep.tick();
        let added = self.table.insert(Entry {
            id,
            address,
            added: tick,
            pinged: tick,
            sampled: sample.map_or(0, |_| tick),
            down_hints: 0,
            heard: self.heard,
        });
        if let (true, Some(to)) = (added, sample) {
            self.take_sample(to);
        }
    }

    /// Counts a sample from a node without id; only the first few count, as anybody can be one.
    fn sample_stranger(&mut self, from: SocketAddrV4, sample: Option<SocketAddrV4>) {
        let most = self.config.bootstrap.len().max(1);
        if let Some(to) = sample
            && self.sampled_strangers.len() < most
            && !self.sampled_strangers.contains(&from)
        {
            self.sampled_strangers.push(from);
            self.take_sample(to);
        }
    }

    fn take_sample(&mut self, to: SocketAddrV4) {
        self.sampler.add(to);
        self.note_address();
    }

    fn send_or_queue(&mut self, now: Instant, key: u64) {
        if self.sockets.is_none() || self.inflight.window.is_full(now) {
            self.inflight.enqueue(key);
        } else {
            self.send(now, key);
        }
    }

    fn send(&mut self, now: Instant, key: u64) {
        let default = self.request_socket();
        let persistent_id = self.persistent.then(|| *self.table.id());
        let Some(pending) = self.inflight.get_mut(key) else {
            return;
        };
        let socket = *pending.request.socket.get_or_insert(default);
        if pending.datagram.is_empty() {
            pending.datagram = Request {
                tid: pending.tid,
                ..request(&pending.request, persistent_id)
            }
            .to_bytes();
        }
        let (to, datagram) = (pending.request.to, pending.datagram.clone());
        let query = match pending.owner {
            Owner::Query(query) => Some(query),
            _ => None,
        };
        self.transmit(socket, to, datagram);
        self.inflight.note_sent(now, key);
        if let Some(query) = query {
            self.note_walk_sent(query);
        }
    }

    /// Brings the end of a request to whoever waits for it.
    fn deliver(&mut self, now: Instant, pending: Pending<Owner>, result: Result<Answer, RequestError>) {
        match pending.owner {
            Owner::Caller => self.emit(Event::Answered {
                request: RequestId(pending.key),
                result,
            }),
            Owner::Query(query) => self.on_query_answer(now, query, pending.request.to, result),
            Owner::Commit(query) => self.on_commit_answer(now, query, result),
            Owner::Check { id, hinted } => self.on_check_answer(&id, hinted, &result),
            Owner::RowCheck {
                incumbent,
                newcomer,
                sample,
            } => self.on_row_check_answer(&incumbent, newcomer, sample, &result),
            Owner::Greeting => {
                self.greetings.remove(&pending.request.to);
            }
            Owner::QuickCheck => self.on_quick_answer(now, &result),
            Owner::Probe => self.on_probe_answer(now, &result),
            Owner::Nobody => {}
        }
    }

    fn on_try_failed(&mut self, now: Instant, key: u64) {
        let Some(pending) = self.inflight.get_mut(key) else {
            return;
        };
        let node = pending.request.to;
        let query = match pending.owner {
            Owner::Query(query) => Some(query),
            _ => None,
        };
        self.silence.note_timeout(now, node);
        if let Some(query) = query {
            self.on_query_timeout(now, query, node);
        }
    }
}

/// Returns the id that a packet claims, if it is the one that belongs to the address it came from.
pub(super) fn valid_id(claimed: Option<NodeId>, from: SocketAddrV4) -> Option<NodeId> {
    claimed.filter(|id| *id == NodeId::of(from))
}

/// Makes a request as it is sent, but for the tid. Only the server socket's address is what an id stands for.
fn request(outgoing: &Outgoing, id: Option<NodeId>) -> Request {
    Request {
        tid: 0,
        to: outgoing.to,
        id: id.filter(|_| outgoing.socket == Some(SocketId::SERVER)),
        token: outgoing.token,
        internal: outgoing.internal,
        command: outgoing.command,
        target: outgoing.target,
        value: outgoing.value.clone(),
    }
}

fn answer(
    response: Response,
    socket: SocketId,
    from: SocketAddrV4,
    id: Option<NodeId>,
    rtt: Duration,
) -> Answer {
    Answer {
        from,
        to: response.to,
        socket,
        id,
        token: response.token,
        closer: response.closer,
        error: response.error,
        value: response.value,
        rtt,
    }
}

/// Returns by how much a delayed ping asks its answer to be late.
fn asked_delay(request: &Outgoing) -> Duration {
    let delay = match (
        &request.value,
        request.internal && request.command == DELAYED_PING,
    ) {
        (Some(value), true) => Reader::new(value).u32().unwrap_or(0),
        _ => 0,
    };
    Duration::from_millis(u64::from(delay))
}

/// How long a try may take, as the reference.
const TRY_TIMEOUT: Duration = Duration::from_secs(1);
/// Bytes of a request beside its value, at most: header, id, token, command, target and the length of the
/// value.
const MAX_REQUEST_HEAD: usize = 10 + 32 + 32 + 9 + 32 + 3;
/// Nodes that are pinged at once because they could enter the table.
pub(super) const MAX_GREETINGS: usize = 32;
/// Of these, nodes of one network of 256 addresses: more than start together there, and few enough to leave
/// room for others.
pub(super) const MAX_GREETINGS_PER_NETWORK: usize = 8;
/// How often such a ping is sent again.
const GREETING_RETRIES: u32 = 1;
/// How often a node is tried for a walk that goes on without it.
const TRIES_AFTER_THE_END: u32 = 3;
/// Ticks after which a node is asked again how it sees us: half an hour.
pub(super) const OLD_NODE: u64 = 360;
