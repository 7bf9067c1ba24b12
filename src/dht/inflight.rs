//! Requests of this node that wait for a response: tids, deadlines, and the queue before the window.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use rand::Rng;
use rand::rngs::StdRng;

use super::types::Outgoing;
use super::window::Window;
use crate::wire::rpc::NodeId;

/// A request that waits.
pub(super) struct Pending<O> {
    /// Its place in the order of requests.
    pub(super) key: u64,
    /// What the response is for.
    pub(super) owner: O,
    pub(super) request: Outgoing,
    /// The id that the node is known by; it leaves the table if it does not respond.
    pub(super) id: Option<NodeId>,
    pub(super) tid: u16,
    /// The datagram, once it was sent for the first time. A retry repeats it byte for byte (dht-rpc.md §9).
    pub(super) datagram: Vec<u8>,
    /// How often it was sent.
    pub(super) sent: u32,
    pub(super) sent_at: Instant,
    /// Another address at which the node may be, and the tid of the request that was sent there.
    elsewhere: Option<(u16, SocketAddrV4)>,
    /// How long a try may take.
    timeout: Duration,
    /// After how long the response to the first try is late.
    late: Option<Duration>,
    deadline: Option<Instant>,
}

impl<O> Pending<O> {
    /// Returns how long the latest try may take.
    fn try_timeout(&self) -> Duration {
        match self.request.hurry {
            Some(first) if self.sent <= self.request.retries => {
                let doubled = first * (1 << self.sent.saturating_sub(1).min(8));
                doubled.min(self.timeout)
            }
            _ => self.timeout,
        }
    }
}

/// All requests that wait, in the order in which they were made.
pub(super) struct Inflight<O> {
    pending: BTreeMap<u64, Pending<O>>,
    /// The address that may respond under a tid, and the request.
    by_tid: HashMap<u16, (SocketAddrV4, u64)>,
    deadlines: BTreeSet<(Instant, u64)>,
    /// Requests that wait for the window or for the sockets, in order.
    queue: VecDeque<u64>,
    window: Window,
    next: u64,
}

/// What became of a request whose deadline has passed.
pub(super) enum Expired<O> {
    /// The response to the first try is late.
    Late(u64),
    /// It is sent again; `early` if only because it is in a hurry.
    Retry { key: u64, early: bool },
    /// No try got a response.
    Failed(Box<Pending<O>>),
}

impl<O> Inflight<O> {
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

    /// Adds a request, or returns `None` if too many are waiting. The caller queues or sends it.
    pub(super) fn add(
        &mut self,
        now: Instant,
        rng: &mut StdRng,
        owner: O,
        request: Outgoing,
        id: Option<NodeId>,
        timeout: Duration,
    ) -> Option<u64> {
        if self.pending.len() >= MAX_PENDING {
            return None;
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
            timeout,
            late: None,
            deadline: None,
        };
        self.pending.insert(key, pending);
        Some(key)
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

    /// Makes [`Expired::Late`] of the first try if it has no response within `late`.
    pub(super) fn expect_within(&mut self, key: u64, late: Duration) {
        if let Some(pending) = self.pending.get_mut(&key) {
            pending.late = Some(late).filter(|late| *late < pending.timeout);
            if pending.deadline.is_some() {
                self.set_deadline(key);
            }
        }
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

    pub(super) fn get(&self, key: u64) -> Option<&Pending<O>> {
        self.pending.get(&key)
    }

    pub(super) fn get_mut(&mut self, key: u64) -> Option<&mut Pending<O>> {
        self.pending.get_mut(&key)
    }

    /// Notes that a request was sent now, which arms its timer.
    pub(super) fn note_sent(&mut self, now: Instant, key: u64) {
        let Some(pending) = self.pending.get_mut(&key) else {
            return;
        };
        pending.sent += 1;
        pending.sent_at = now;
        self.set_deadline(key);
        self.window.sent(now);
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

    /// Returns the request under this tid if it went to the same port of another host.
    pub(super) fn find_other_host(&self, tid: u16, from: SocketAddrV4) -> Option<u64> {
        let (to, key) = self.by_tid.get(&tid)?;
        (to.ip() != from.ip() && to.port() == from.port()).then_some(*key)
    }

    /// Accepts a response from `address` as well; returns the tid of the request to send there. One request
    /// has one such address, and is sent there as often as a response to the first one comes from there.
    pub(super) fn look_elsewhere(
        &mut self,
        rng: &mut StdRng,
        key: u64,
        address: SocketAddrV4,
    ) -> Option<u16> {
        match self.pending.get(&key)?.elsewhere {
            Some((tid, known)) => (known == address).then_some(tid),
            None => {
                let tid = self.take_tid(rng, address, key);
                self.pending.get_mut(&key)?.elsewhere = Some((tid, address));
                Some(tid)
            }
        }
    }

    pub(super) fn remove(&mut self, key: u64) -> Option<Pending<O>> {
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
    pub(super) fn expire(&mut self, now: Instant) -> Option<Expired<O>> {
        let (deadline, key) = *self.deadlines.first()?;
        if deadline > now {
            return None;
        }
        self.deadlines.remove(&(deadline, key));
        let pending = self
            .pending
            .get_mut(&key)
            .expect("a deadline goes together with its request");
        pending.deadline = None;
        if pending.late.take().is_some() {
            self.set_deadline(key);
            return Some(Expired::Late(key));
        }
        if pending.sent <= pending.request.retries {
            let early = pending.try_timeout() < pending.timeout;
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

    /// Removes all requests, oldest first.
    pub(super) fn drain(&mut self) -> Vec<Pending<O>> {
        self.by_tid.clear();
        self.deadlines.clear();
        self.queue.clear();
        std::mem::take(&mut self.pending).into_values().collect()
    }
}

/// Requests of this node that may wait at once, for a response or for the window.
pub(super) const MAX_PENDING: usize = 16384;
