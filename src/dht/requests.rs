//! The requests of this node, and what their fate shows about other nodes and the network.

use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;

use super::health::{Health, Monitor};
use super::inflight::{Expired, Inflight, Pending};
use super::latency::Latency;
use super::policy::Policy;
use super::types::{Outgoing, RequestError};
use super::unresponsive::Unresponsive;
use crate::wire::compact::{Encode, Reader};
use crate::wire::rpc::{DELAYED_PING, MAX_DATAGRAM, NodeId, Request};
use crate::wire::transmit::SocketId;

/// What a request of this node is for.
#[derive(Debug)]
pub(super) enum RequestOwner {
    /// The layer above.
    Caller,
    /// A walk, by the key of its query.
    Query(u64),
    /// The commit of a query, or an unannouncement during its walk.
    Commit(u64),
    /// A ping that checks whether a table entry is alive, because of a down hint if `hinted`.
    Check { id: NodeId, hinted: bool },
    /// A ping of the table entry `incumbent`; if it is not alive, the newcomer takes its place.
    RowCheck {
        incumbent: NodeId,
        /// The node that found no room.
        newcomer: SocketAddrV4,
        /// This node as the newcomer sees it, where that counts as a sample.
        sample: Option<SocketAddrV4>,
    },
    /// A ping of a node that sent a request and could enter the table.
    Greeting,
    /// The first firewall check.
    QuickCheck,
    /// A probe of a network check.
    Probe,
    /// None: a down hint, whose response does not matter.
    None,
}

/// The requests of a node that wait for a response.
pub(super) struct Requests {
    inflight: Inflight<RequestOwner>,
    unresponsive: Unresponsive,
    /// How long responses to walks take.
    latency: Latency,
    notices_late: bool,
    health: Monitor,
}

/// A datagram that a request sends.
pub(super) struct Departure {
    pub(super) socket: SocketId,
    pub(super) to: SocketAddrV4,
    pub(super) datagram: Vec<u8>,
    /// The walk that the request belongs to.
    pub(super) query: Option<u64>,
}

/// A request that got its response.
pub(super) struct Answered {
    pub(super) pending: Pending<RequestOwner>,
    pub(super) rtt: Duration,
    /// Whether the node had left earlier requests without response.
    pub(super) was_unresponsive: bool,
}

impl Requests {
    pub(super) fn new(now: Instant, policy: &Policy) -> Self {
        Self {
            inflight: Inflight::new(now),
            unresponsive: Unresponsive::new(policy.unresponsive_for),
            latency: Latency::default(),
            notices_late: policy.notices_late,
            health: Monitor::default(),
        }
    }

    /// Adds a request; returns its key. The caller sends it.
    pub(super) fn add(
        &mut self,
        now: Instant,
        rng: &mut StdRng,
        owner: RequestOwner,
        request: Outgoing,
        id: Option<NodeId>,
    ) -> Result<u64, RequestError> {
        let value = request.value.as_ref().map_or(0, Vec::len);
        if value > MAX_DATAGRAM - MAX_REQUEST_HEAD {
            return Err(RequestError::TooLarge);
        }
        let timeout = TRY_TIMEOUT + requested_delay(&request);
        self.inflight
            .add(now, rng, owner, request, id, timeout)
            .ok_or(RequestError::Overloaded)
    }

    /// Returns a key for a request that failed at once.
    pub(super) const fn skip(&mut self) -> u64 {
        self.inflight.skip()
    }

    /// Returns how many requests wait.
    pub(super) fn len(&self) -> usize {
        self.inflight.len()
    }

    /// Returns whether the next request must wait for the window.
    pub(super) fn is_window_full(&mut self, now: Instant) -> bool {
        self.inflight.is_window_full(now)
    }

    pub(super) fn enqueue(&mut self, key: u64) {
        self.inflight.enqueue(key);
    }

    /// Returns the next queued request that the window lets through.
    pub(super) fn dequeue(&mut self, now: Instant) -> Option<u64> {
        self.inflight.dequeue(now)
    }

    /// Returns the datagram of a request that is sent now, which arms its timer. A request that names no
    /// socket leaves from `default`; `id` is the one that this node tells.
    pub(super) fn depart(
        &mut self,
        now: Instant,
        key: u64,
        default: SocketId,
        id: Option<NodeId>,
    ) -> Option<Departure> {
        let pending = self.inflight.get_mut(key)?;
        let socket = *pending.request.socket.get_or_insert(default);
        if pending.datagram.is_empty() {
            pending.datagram = encode(&pending.request, pending.request.to, pending.tid, id);
        }
        let departure = Departure {
            socket,
            to: pending.request.to,
            datagram: pending.datagram.clone(),
            query: pending.query(),
        };
        tracing::trace!(
            to = %departure.to,
            command = pending.request.command,
            tid = pending.tid,
            "request sent"
        );
        self.inflight.note_sent(now, key);
        Some(departure)
    }

    /// Reports the first try of a request as late if its response takes longer than most.
    pub(super) fn expect_soon(&mut self, key: u64) {
        if self.notices_late {
            self.inflight.expect_within(key, self.latency.limit());
        }
    }

    /// Returns one request whose deadline has passed, if there is any.
    pub(super) fn expire(&mut self, now: Instant) -> Option<Expired<RequestOwner>> {
        self.inflight.expire(now)
    }

    /// Returns the walk that a request belongs to, and the node that it went to.
    pub(super) fn walk_of(&self, key: u64) -> Option<(u64, SocketAddrV4)> {
        let pending = self.inflight.get(key)?;
        Some((pending.query()?, pending.request.to))
    }

    /// Returns how often a request was sent.
    pub(super) fn tries(&self, key: u64) -> u32 {
        self.inflight.get(key).map_or(0, |pending| pending.sent)
    }

    /// Counts a try that timed out and is followed by another one.
    pub(super) fn note_timeout(&mut self, now: Instant, key: u64) {
        if let Some(pending) = self.inflight.get(key) {
            self.unresponsive.note_timeout(now, pending.request.to);
        }
    }

    /// Counts a request that no try got a response to.
    pub(super) fn note_failure(&mut self, now: Instant, node: SocketAddrV4) {
        self.unresponsive.note_timeout(now, node);
        self.health.timed_out();
    }

    /// Returns how many tries in a row `node` has left without response.
    pub(super) fn unanswered_tries(&self, now: Instant, node: &SocketAddrV4) -> u32 {
        self.unresponsive.tries(now, node)
    }

    /// Notes a request of `node`.
    pub(super) fn note_heard(&mut self, node: &SocketAddrV4) {
        self.unresponsive.note_heard(node);
    }

    /// Returns the request that a datagram under `tid` responds to.
    pub(super) fn find(&self, tid: u16, from: SocketAddrV4) -> Option<u64> {
        self.inflight.find(tid, from)
    }

    /// Takes out a request that got its response from `from`.
    pub(super) fn answered(&mut self, now: Instant, key: u64, from: SocketAddrV4) -> Option<Answered> {
        let pending = self.inflight.remove(key)?;
        let rtt = now - pending.sent_at;
        self.health.answered();
        let was_unresponsive = self.unresponsive.note_heard(&from);
        if was_unresponsive {
            // Perhaps this node was cut off and not the other one, so nothing counts any more.
            self.unresponsive.clear();
        }
        if pending.sent == 1 && pending.query().is_some() {
            self.latency.note(rtt);
        }
        Some(Answered {
            pending,
            rtt,
            was_unresponsive,
        })
    }

    /// Makes the datagram that repeats a request to one of `nodes` at `from`, the same port of another host,
    /// from which a response under `tid` came to `socket`.
    pub(super) fn repeat_elsewhere(
        &mut self,
        rng: &mut StdRng,
        (tid, socket, from): (u16, SocketId, SocketAddrV4),
        nodes: &[SocketAddrV4],
        id: Option<NodeId>,
    ) -> Option<Vec<u8>> {
        let key = self.inflight.find_other_host(tid, from)?;
        let request = &self.inflight.get(key)?.request;
        if !nodes.contains(&request.to) || request.socket != Some(socket) {
            return None;
        }
        let tid = self.inflight.look_elsewhere(rng, key, from)?;
        let request = &self.inflight.get(key)?.request;
        Some(encode(request, from, tid, id))
    }

    /// Removes a request.
    pub(super) fn remove(&mut self, key: u64) -> Option<Pending<RequestOwner>> {
        self.inflight.remove(key)
    }

    /// Removes a request of the layer above; returns whether there was one.
    pub(super) fn cancel(&mut self, key: u64) -> bool {
        let pending = self.inflight.get(key);
        let is_own = pending.is_some_and(|pending| matches!(pending.owner, RequestOwner::Caller));
        is_own && self.inflight.remove(key).is_some()
    }

    /// Removes all requests, oldest first.
    pub(super) fn drain(&mut self) -> Vec<Pending<RequestOwner>> {
        self.inflight.drain()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.inflight.next_deadline()
    }

    /// Returns when the window opens for requests that are queued.
    pub(super) fn next_opening(&self) -> Option<Instant> {
        self.inflight.next_opening()
    }

    pub(super) const fn health(&self) -> Health {
        self.health.health()
    }

    /// Judges the health of the network at the end of a tick.
    pub(super) fn tick(&mut self) {
        self.health.tick();
    }

    /// Forgets how requests have fared, as after sleep.
    pub(super) fn reset_health(&mut self) {
        self.health.reset();
    }
}

impl Pending<RequestOwner> {
    /// Returns the walk that the request belongs to.
    fn query(&self) -> Option<u64> {
        match self.owner {
            RequestOwner::Query(query) => Some(query),
            _ => None,
        }
    }
}

/// Encodes a request. Only the address of the server socket is what an id stands for.
fn encode(outgoing: &Outgoing, to: SocketAddrV4, tid: u16, id: Option<NodeId>) -> Vec<u8> {
    let request = Request {
        tid,
        to,
        id: id.filter(|_| outgoing.socket == Some(SocketId::SERVER)),
        token: outgoing.token,
        internal: outgoing.internal,
        command: outgoing.command,
        target: outgoing.target,
        value: outgoing.value.clone(),
    };
    request.to_bytes()
}

/// Returns the delay that a delayed ping requests for its response.
fn requested_delay(request: &Outgoing) -> Duration {
    let is_delayed_ping = request.internal && request.command == DELAYED_PING;
    let value = request.value.as_ref().filter(|_| is_delayed_ping);
    let delay = value.map_or(0, |value| Reader::new(value).u32().unwrap_or(0));
    Duration::from_millis(u64::from(delay))
}

/// How long a try may take (dht-rpc.md §9, §15 "try timeout").
const TRY_TIMEOUT: Duration = Duration::from_secs(1);
/// Bytes of a request beside its value, at most: header, id, token, command, target and the length of the
/// value.
const MAX_REQUEST_HEAD: usize = 10 + 32 + 32 + 9 + 32 + 3;
