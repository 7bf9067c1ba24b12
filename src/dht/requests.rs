//! The requests of this node that wait for a response: tids, deadlines, and the queue before the window.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use rand::Rng;
use rand::rngs::StdRng;
use tracing::trace;

use super::pending::{Pending, RequestOwner};
use super::types::{Outgoing, RequestError};
use super::window::Window;
use crate::wire::rpc::{MAX_DATAGRAM, NodeId};
use crate::wire::transmit::SocketId;

/// All requests that wait, in the order in which they were made.
pub(super) struct Requests {
    pending: BTreeMap<u64, Pending>,
    /// The address that may respond under a tid, and the request.
    by_tid: HashMap<u16, (SocketAddrV4, u64)>,
    deadlines: BTreeSet<(Instant, u64)>,
    /// Requests that wait for the window or for the sockets, in order.
    queue: VecDeque<u64>,
    window: Window,
    next: u64,
}

/// What became of a request whose deadline has passed.
pub(super) enum Expired {
    /// The response to the first try is late.
    Late(u64),
    /// It is sent again; `early` if only because it is in a hurry.
    Retry { key: u64, early: bool },
    /// No try got a response.
    Failed(Box<Pending>),
}

impl Requests {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            pending: BTreeMap::new(),
            by_tid: HashMap::new(),
            deadlines: BTreeSet::new(),
            queue: VecDeque::new(),
            window: Window::new(now),
            next: 0,
        }
    }

    /// Returns a key for a request that never waits, because it failed at once.
    pub(super) const fn skip(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// Adds a request; returns its key. The caller queues or sends it. `id` is the one that the table knows
    /// the node by.
    pub(super) fn add(
        &mut self,
        now: Instant,
        rng: &mut StdRng,
        owner: RequestOwner,
        request: Outgoing,
        id: Option<NodeId>,
    ) -> Result<u64, RequestError> {
        let value = request.value.as_ref().map_or(0, Vec::len);
        if value > max_request() {
            return Err(RequestError::TooLarge);
        }
        if self.pending.len() >= MAX_PENDING {
            return Err(RequestError::Overloaded);
        }
        let key = self.skip();
        let tid = self.take_tid(rng, request.to, key);
        let pending = Pending {
            key,
            owner,
            request,
            id,
            tid,
            datagram: Vec::new(),
            sent: 0,
            sent_at: now,
            elsewhere: None,
            late: None,
            deadline: None,
        };
        self.pending.insert(key, pending);
        Ok(key)
    }

    /// Draws a tid for a request, at random, so that only those who see the request can forge a response
    /// (RFC 5452 §9). With fewer requests than tids one is always free.
    fn take_tid(&mut self, rng: &mut StdRng, to: SocketAddrV4, key: u64) -> u16 {
        loop {
            let tid = rng.r#gen();
            if let Entry::Vacant(free) = self.by_tid.entry(tid) {
                free.insert((to, key));
                return tid;
            }
        }
    }

    /// Expires the first try of a request as [`Expired::Late`] if it has no response within `late`.
    pub(super) fn expect_within(&mut self, key: u64, late: Option<Duration>) {
        if let Some(pending) = self.pending.get_mut(&key) {
            pending.late = late.filter(|late| *late < pending.timeout());
            if pending.deadline.is_some() {
                self.set_deadline(key);
            }
        }
    }

    /// Completes a request by a signature; returns whether it still waits for that.
    pub(super) fn sign(&mut self, key: u64, signature: [u8; 64]) -> bool {
        let Some(pending) = self.pending.get_mut(&key) else {
            return false;
        };
        let Some(unsigned) = pending.request.unsigned.take() else {
            return false;
        };
        pending.request.value = Some(unsigned.signed(signature));
        true
    }

    pub(super) fn enqueue(&mut self, key: u64) {
        self.queue.push_back(key);
    }

    /// Returns whether the next request must wait for the window.
    pub(super) fn is_window_full(&mut self, now: Instant) -> bool {
        self.window.is_full(now)
    }

    /// Returns the next queued request that still waits, if the window is open.
    pub(super) fn dequeue(&mut self, now: Instant) -> Option<u64> {
        while !self.queue.is_empty() && !self.window.is_full(now) {
            let key = self.queue.pop_front()?;
            if self.pending.contains_key(&key) {
                return Some(key);
            }
        }
        None
    }

    pub(super) fn get(&self, key: u64) -> Option<&Pending> {
        self.pending.get(&key)
    }

    /// Returns the datagram of a request that is sent now from `socket` unless it names another one, which
    /// arms its timer. `id` is the one that this node shows.
    pub(super) fn depart(
        &mut self,
        now: Instant,
        key: u64,
        socket: SocketId,
        id: Option<NodeId>,
    ) -> Option<(SocketId, SocketAddrV4, Vec<u8>)> {
        let pending = self.pending.get_mut(&key)?;
        let to = pending.request.to;
        let socket = *pending.request.socket.get_or_insert(socket);
        if pending.datagram.is_empty() {
            pending.datagram = pending.encode(to, pending.tid, id);
        }
        trace!(%to, command = pending.request.command, tid = pending.tid, "request sent");
        let datagram = pending.datagram.clone();
        pending.sent += 1;
        pending.sent_at = now;
        self.set_deadline(key);
        self.window.sent(now);
        Some((socket, to, datagram))
    }

    fn set_deadline(&mut self, key: u64) {
        let Some(pending) = self.pending.get_mut(&key) else {
            return;
        };
        let deadline = pending.sent_at + pending.late.unwrap_or_else(|| pending.try_timeout());
        if let Some(old) = pending.deadline.replace(deadline) {
            self.deadlines.remove(&(old, key));
        }
        self.deadlines.insert((deadline, key));
    }

    /// Returns which request a response belongs to.
    pub(super) fn find(&self, tid: u16, from: SocketAddrV4) -> Option<u64> {
        let (to, key) = self.by_tid.get(&tid)?;
        (*to == from).then_some(*key)
    }

    /// Returns whether one of the oldest requests waits for one of `nodes` at the same port of another host.
    pub(super) fn has_other_host(&self, from: SocketAddrV4, nodes: &[SocketAddrV4]) -> bool {
        let is_other_host = |to: &SocketAddrV4| to.port() == from.port() && to.ip() != from.ip();
        nodes.iter().any(is_other_host) && {
            let oldest = self.pending.values().take(MAX_COMPARED);
            oldest.map(|pending| &pending.request.to).any(|to| is_other_host(to) && nodes.contains(to))
        }
    }

    /// Makes the datagram that repeats a request to one of `nodes` at `from`, the same port of another host,
    /// from which a response under `tid` came to `socket`; a response from there is accepted as well. One
    /// request has one such address, and is repeated as often as a response to the first one comes from it.
    pub(super) fn repeat_elsewhere(
        &mut self,
        rng: &mut StdRng,
        (tid, socket, from): (u16, SocketId, SocketAddrV4),
        nodes: &[SocketAddrV4],
        id: Option<NodeId>,
    ) -> Option<Vec<u8>> {
        let (to, key) = *self.by_tid.get(&tid)?;
        let pending = self.pending.get(&key)?;
        let is_other_host = to.ip() != from.ip() && to.port() == from.port();
        let request = &pending.request;
        if !is_other_host || !nodes.contains(&request.to) || request.socket != Some(socket) {
            return None;
        }
        let tid = match pending.elsewhere {
            Some((tid, known)) => (known == from).then_some(tid)?,
            None => self.take_tid(rng, from, key),
        };
        let pending = self.pending.get_mut(&key)?;
        pending.elsewhere = Some((tid, from));
        Some(pending.encode(from, tid, id))
    }

    pub(super) fn remove(&mut self, key: u64) -> Option<Pending> {
        let pending = self.pending.remove(&key)?;
        self.by_tid.remove(&pending.tid);
        if let Some((tid, _)) = pending.elsewhere {
            self.by_tid.remove(&tid);
        }
        if let Some(deadline) = pending.deadline {
            self.deadlines.remove(&(deadline, key));
        }
        if pending.sent > 0 {
            self.window.answered();
        }
        Some(pending)
    }

    /// Returns one request whose deadline has passed, if there is any.
    pub(super) fn expire(&mut self, now: Instant) -> Option<Expired> {
        let (deadline, key) = *self.deadlines.first()?;
        if deadline > now {
            return None;
        }
        self.deadlines.remove(&(deadline, key));
        let pending = self.pending.get_mut(&key).expect("a deadline goes together with its request");
        pending.deadline = None;
        if pending.late.take().is_some() {
            self.set_deadline(key);
            return Some(Expired::Late(key));
        }
        if pending.sent <= pending.request.retries {
            let early = pending.try_timeout() < pending.timeout();
            return Some(Expired::Retry { key, early });
        }
        self.remove(key).map(Box::new).map(Expired::Failed)
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|first| first.0)
    }

    /// Returns when the window opens for what is queued.
    pub(super) fn next_opening(&self) -> Option<Instant> {
        (!self.queue.is_empty()).then(|| self.window.opens())
    }

    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }

    /// Removes a request of the layer above; returns whether there was one.
    pub(super) fn cancel(&mut self, key: u64) -> bool {
        let pending = self.pending.get(&key);
        let is_own = pending.is_some_and(|pending| matches!(pending.owner, RequestOwner::Caller));
        is_own && self.remove(key).is_some()
    }

    /// Removes all requests, oldest first.
    pub(super) fn drain(&mut self) -> Vec<Pending> {
        self.by_tid.clear();
        self.deadlines.clear();
        self.queue.clear();
        std::mem::take(&mut self.pending).into_values().collect()
    }
}

/// Requests of this node that may wait at once, for a response or for the window.
pub(super) const MAX_PENDING: usize = 16384;
/// Requests that an unmatched response is compared with. Those to the nodes that a bootstrap begins with are
/// among the first.
const MAX_COMPARED: usize = 64;
/// Returns how many bytes the value of a request may have: 1930.
pub const fn max_request() -> usize {
    MAX_DATAGRAM - MAX_REQUEST_HEAD
}

/// Bytes of a request beside its value, at most: header, id, token, command, target and the length of the
/// value.
const MAX_REQUEST_HEAD: usize = 10 + 32 + 32 + 9 + 32 + 3;
