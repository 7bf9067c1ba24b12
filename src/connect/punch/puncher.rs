//! The socket that all punches of a node begin from, and what is in front of it.
//!
//! The reference opens and examines a socket for every connection. One that is kept open is examined already
//! when a peer comes, and remote hosts can't make the node open any number of them (`connect.md` §9.1).

use std::collections::BTreeSet;
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use tracing::debug;

use super::sockets::{Purpose, Sockets};
use crate::connect::context::{Asker, Context};
use crate::connect::nat::{Firewall, Nat, WANTED_SAMPLES};
use crate::dht::{Answer, Outgoing, RequestError, RequestId};
use crate::wire::rpc::PING;
use crate::wire::transmit::SocketId;

#[derive(Debug, Default)]
pub(in crate::connect) struct Puncher {
    socket: Option<SocketId>,
    is_open: bool,
    nat: Nat,
    /// Nodes that were asked how they see the socket, and the requests under way.
    asked: BTreeSet<SocketAddrV4>,
    waiting: BTreeSet<RequestId>,
    /// Whether no node is left to ask.
    exhausted: bool,
    /// Whether something has changed for the punches that wait.
    changed: bool,
    wanted: Option<Instant>,
    next: Option<Instant>,
    /// When the system last refused a socket.
    refused: Option<Instant>,
}

impl Puncher {
    /// Returns the socket once it is open.
    pub(in crate::connect) fn socket(&self) -> Option<SocketId> {
        self.socket.filter(|_| self.is_open)
    }

    /// Returns whether there is no socket and none on its way.
    pub(in crate::connect) const fn is_closed(&self) -> bool {
        self.socket.is_none()
    }

    pub(in crate::connect) const fn firewall(&self) -> Firewall {
        self.nat.firewall()
    }

    pub(in crate::connect) fn samples(&self) -> &[(SocketAddrV4, SocketAddrV4)] {
        self.nat.samples()
    }

    pub(in crate::connect) fn addresses(&self) -> Option<&[SocketAddrV4]> {
        self.nat.addresses()
    }

    /// Returns whether there are too few nodes to judge the NAT by.
    pub(in crate::connect) const fn lacks_nodes(&self) -> bool {
        self.exhausted && self.nat.is_scarce()
    }

    /// Guesses the NAT if no node is left to ask.
    fn guess(&mut self) {
        if self.exhausted {
            self.nat.guess();
        }
    }

    /// Returns whether the NAT is known as well as it will soon be.
    pub(in crate::connect) fn is_judged(&self) -> bool {
        self.is_closed() || (self.is_open && (self.nat.is_complete() || self.exhausted))
    }

    /// Returns, once, that something has changed.
    pub(in crate::connect) const fn take_change(&mut self) -> bool {
        std::mem::replace(&mut self.changed, false)
    }

    /// Returns when [`Self::handle_timeout`] has something to do.
    pub(in crate::connect) const fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }

    /// Opens the socket and examines its NAT, unless that has been done; keeps it for a while.
    pub(super) fn want(&mut self, now: Instant, cx: &mut Context, sockets: &mut Sockets) {
        self.wanted = Some(now);
        if self.is_closed() && self.refused.is_none_or(|at| at + TRY_AGAIN <= now) {
            self.socket = sockets.open(cx, Purpose::Shared);
            self.is_open = false;
        }
        // Punches that wait for a socket have to learn that there is none.
        self.changed |= self.is_closed();
    }

    /// Handles the outcome of opening the socket.
    pub(super) fn handle_socket(
        &mut self,
        now: Instant,
        cx: &mut Context,
        sockets: &mut Sockets,
        opened: bool,
    ) {
        self.changed = true;
        if opened {
            self.is_open = true;
            self.next = Some(now + KEEP_ALIVE);
            self.examine(now, cx);
        } else if let Some(socket) = self.socket.take() {
            sockets.forget(socket);
            self.refused = Some(now);
        }
    }

    /// Forgets what is known of the NAT and asks again.
    pub(in crate::connect) fn examine(&mut self, now: Instant, cx: &mut Context) {
        if !self.is_open {
            return;
        }
        for request in std::mem::take(&mut self.waiting) {
            cx.cancel_request(now, request);
        }
        self.nat = Nat::default();
        self.asked.clear();
        self.exhausted = false;
        self.ask_nodes(now, cx);
    }

    /// Asks the nodes that are known since the network was joined, if too few have answered before.
    pub(in crate::connect) fn handle_joined(&mut self, now: Instant, cx: &mut Context) {
        if self.is_open && !self.nat.is_complete() {
            self.ask_nodes(now, cx);
        }
    }

    /// Counts how a node sees this socket.
    pub(in crate::connect) fn add_sample(
        &mut self,
        socket: SocketId,
        seen_as: SocketAddrV4,
        from: SocketAddrV4,
    ) {
        if self.socket() == Some(socket) && seen_as.port() != 0 {
            // A peer that punches was given no public address, and one that is found out meanwhile is not
            // this socket's: the reference does not punch to peers that claim to be open (`connect.md` §5.3).
            let before = self.nat.firewall();
            self.nat.add(seen_as, from, true);
            self.guess();
            self.changed = true;
            if self.nat.firewall() != before {
                debug!(nat = %self.nat.firewall(), samples = self.nat.samples().len(), "NAT classified");
            }
        }
    }

    pub(in crate::connect) fn handle_answer(
        &mut self,
        now: Instant,
        cx: &mut Context,
        request: RequestId,
        result: Result<Answer, RequestError>,
    ) {
        if !self.waiting.remove(&request) {
            return;
        }
        if let Ok(answer) = result {
            let before = self.nat.sample_of(answer.from);
            if before.is_some_and(|before| before != answer.to) {
                // The router has given the socket another port, so that earlier samples are void.
                self.examine(now, cx);
            }
            self.add_sample(answer.socket, answer.to, answer.from);
        }
        self.changed = true;
        let asking = self.nat.samples().len() + self.waiting.len();
        if asking < WANTED_SAMPLES && !self.exhausted {
            self.ask_nodes(now, cx);
        }
    }

    /// Keeps the NAT's mapping alive and notices when it changes, or closes a socket that is not needed.
    pub(super) fn handle_timeout(
        &mut self,
        now: Instant,
        cx: &mut Context,
        sockets: &mut Sockets,
        in_use: bool,
    ) {
        if self.next.is_none_or(|at| now < at) {
            return;
        }
        self.next = Some(now + KEEP_ALIVE);
        if in_use {
            self.wanted = Some(now);
        } else if self.wanted.is_none_or(|at| at + UNUSED <= now) {
            self.close(now, cx, sockets);
            return;
        }
        if !self.is_open {
            return;
        }
        if self.nat.firewall() == Firewall::Unknown {
            if self.waiting.is_empty() {
                self.examine(now, cx);
            }
            return;
        }
        if self.nat.is_scarce() && self.waiting.is_empty() {
            // What was guessed can be judged once there are more nodes.
            self.ask_nodes(now, cx);
        }
        // Only a node that has answered before can show a change.
        let nodes = cx.node.recent_nodes(usize::MAX);
        let known = |node: &&SocketAddrV4| self.nat.sample_of(**node).is_some();
        if let Some(node) = nodes.iter().find(known).or_else(|| nodes.first()).copied() {
            self.ask(now, cx, node);
        }
    }

    /// Gives the socket up: it closes once no stream uses it.
    pub(super) fn close(&mut self, now: Instant, cx: &mut Context, sockets: &mut Sockets) {
        for request in std::mem::take(&mut self.waiting) {
            cx.cancel_request(now, request);
        }
        if let Some(socket) = self.socket.take() {
            sockets.release(cx, socket);
        }
        *self = Self { changed: true, ..Self::default() };
    }

    /// Asks as many nodes as samples are missing: known ones, though not the very last ones, which every peer
    /// would ask (`connect.md` §7).
    fn ask_nodes(&mut self, now: Instant, cx: &mut Context) {
        let nodes = cx.node.recent_nodes(usize::MAX);
        let skip = if nodes.len() >= 8 { 5 } else { 0 };
        let missing = WANTED_SAMPLES.saturating_sub(self.nat.samples().len() + self.waiting.len());
        let fresh = |node: &&SocketAddrV4| !self.asked.contains(*node);
        let chosen = nodes.iter().skip(skip).chain(nodes.iter().take(skip));
        let chosen: Vec<_> = chosen.filter(fresh).take(missing).copied().collect();
        for node in chosen {
            self.ask(now, cx, node);
        }
        if self.waiting.is_empty() {
            // Until the network is joined, further nodes become known.
            self.exhausted = cx.node.is_bootstrapped();
            self.guess();
            self.changed = true;
            // The table may fill while a punch waits.
            let soon = now + ASK_AGAIN;
            self.next = self.next.map(|at| at.min(soon));
        }
    }

    fn ask(&mut self, now: Instant, cx: &mut Context, node: SocketAddrV4) {
        self.asked.insert(node);
        let outgoing = Outgoing {
            socket: self.socket(),
            retries: 1,
            hurry: Some(Outgoing::HURRY),
            ..Outgoing::internal(node, PING)
        };
        let request = cx.request(now, Asker::Puncher, outgoing);
        self.waiting.insert(request);
    }
}

/// Between two signs of life to the NAT: many forget a mapping that was silent for 30 s.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// When nodes are asked again after too few have answered.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// When the system is asked again for a socket that it did not have.
const TRY_AGAIN: Duration = Duration::from_secs(5);
/// How long the socket is kept unused.
const UNUSED: Duration = Duration::from_secs(60);
