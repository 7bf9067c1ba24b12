//! The socket that all punches of a node begin from, and what is in front of it.
//!
//! The reference opens and examines a socket for every connection. One that is kept open is examined already
//! when a peer comes, and strangers can't make us open any number of them.

use std::collections::BTreeSet;
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use super::sockets::Purpose;
use crate::connect::nat::{Firewall, Nat, WANTED_SAMPLES};
use crate::connect::shared::{Core, Owner};
use crate::dht::{Answer, Outgoing, RequestError, RequestId};
use crate::wire::rpc::PING;
use crate::wire::transmit::SocketId;

#[derive(Debug, Default)]
pub(in crate::connect) struct Puncher {
    socket: Option<SocketId>,
    is_open: bool,
    nat: Nat,
    /// Nodes that were asked how they see us, and the questions that are open.
    asked: BTreeSet<SocketAddrV4>,
    waiting: BTreeSet<RequestId>,
    /// Nobody is left to ask.
    exhausted: bool,
    /// Something has changed for those who wait.
    news: bool,
    wanted: Option<Instant>,
    next: Option<Instant>,
    /// When the system last had no socket for us.
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

    /// Returns whether too few nodes are there to judge our NAT.
    pub(in crate::connect) const fn lacks_nodes(&self) -> bool {
        self.exhausted && self.nat.is_scarce()
    }

    /// Makes the best of what is known if nobody is left to ask.
    fn guess(&mut self) {
        if self.exhausted {
            self.nat.guess();
        }
    }

    /// Returns whether more about our NAT is not to be expected soon.
    pub(in crate::connect) fn is_settled(&self) -> bool {
        self.is_closed() || (self.is_open && (self.nat.is_settled() || self.exhausted))
    }

    /// Returns, once, that something has changed.
    pub(in crate::connect) const fn take_news(&mut self) -> bool {
        std::mem::replace(&mut self.news, false)
    }

    /// Returns when [`Core::keep_puncher`] has something to do.
    pub(in crate::connect) const fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }
}

impl Core {
    /// Opens the socket and examines its NAT, unless that has been done; keeps it for a while.
    pub(in crate::connect) fn want_puncher(&mut self, now: Instant) {
        self.puncher.wanted = Some(now);
        let refused = self.puncher.refused;
        if self.puncher.is_closed() && refused.is_none_or(|at| at + TRY_AGAIN <= now) {
            self.puncher.socket = self.sockets.open(&mut self.events, Purpose::Shared);
            self.puncher.is_open = false;
        }
        // Whoever waits for a socket learns that there is none.
        self.puncher.news |= self.puncher.is_closed();
    }

    /// Tells whether the socket could be opened.
    pub(in crate::connect) fn handle_puncher_socket(&mut self, now: Instant, opened: bool) {
        self.puncher.news = true;
        if opened {
            self.puncher.is_open = true;
            self.puncher.next = Some(now + KEEP_ALIVE);
            self.examine(now);
        } else if let Some(socket) = self.puncher.socket.take() {
            self.sockets.forget(socket);
            self.puncher.refused = Some(now);
        }
    }

    /// Forgets what is known of our NAT and asks again.
    pub(in crate::connect) fn examine(&mut self, now: Instant) {
        if !self.puncher.is_open {
            return;
        }
        for request in std::mem::take(&mut self.puncher.waiting) {
            self.cancel_request(now, request);
        }
        self.puncher.nat = Nat::default();
        self.puncher.asked.clear();
        self.puncher.exhausted = false;
        self.ask_nodes(now);
    }

    /// Asks those whom we have got to know by joining the network, if too few have told until then.
    pub(in crate::connect) fn handle_joined(&mut self, now: Instant) {
        if self.puncher.is_open && !self.puncher.nat.is_settled() {
            self.ask_nodes(now);
        }
    }

    /// Takes how a node sees the socket that this is about.
    pub(in crate::connect) fn add_sample(
        &mut self,
        socket: SocketId,
        seen_as: SocketAddrV4,
        from: SocketAddrV4,
    ) {
        if self.puncher.socket() == Some(socket) && seen_as.port() != 0 {
            // Whoever gets to punch has been told of no address where we are open, and one that we find out
            // meanwhile is not this socket's: the reference does not punch to peers that call themselves
            // open.
            self.puncher.nat.add(seen_as, from, true);
            self.puncher.guess();
            self.puncher.news = true;
        }
    }

    pub(in crate::connect) fn handle_sample(
        &mut self,
        now: Instant,
        request: RequestId,
        result: Result<Answer, RequestError>,
    ) {
        if !self.puncher.waiting.remove(&request) {
            return;
        }
        if let Ok(answer) = result {
            let before = self.puncher.nat.sample_of(answer.from);
            if before.is_some_and(|before| before != answer.to) {
                // The router has given us another port, so nothing of before holds.
                self.examine(now);
            }
            self.add_sample(answer.socket, answer.to, answer.from);
        }
        self.puncher.news = true;
        let asking = self.puncher.nat.samples().len() + self.puncher.waiting.len();
        if asking < WANTED_SAMPLES && !self.puncher.exhausted {
            self.ask_nodes(now);
        }
    }

    /// Keeps the NAT's mapping alive and notices when it changes, or lets go of a socket that nobody needs.
    pub(in crate::connect) fn keep_puncher(&mut self, now: Instant, in_use: bool) {
        if self.puncher.next.is_none_or(|at| now < at) {
            return;
        }
        self.puncher.next = Some(now + KEEP_ALIVE);
        if in_use {
            self.puncher.wanted = Some(now);
        } else if self.puncher.wanted.is_none_or(|at| at + UNUSED <= now) {
            self.close_puncher(now);
            return;
        }
        if !self.puncher.is_open {
            return;
        }
        if self.puncher.nat.firewall() == Firewall::Unknown {
            if self.puncher.waiting.is_empty() {
                self.examine(now);
            }
            return;
        }
        if self.puncher.nat.is_scarce() && self.puncher.waiting.is_empty() {
            // What was guessed can be judged once there are more nodes.
            self.ask_nodes(now);
        }
        // One that has told before, if it is still there: only its word shows a change.
        let nodes = self.node.recent_nodes(usize::MAX);
        let known = |node: &&SocketAddrV4| self.puncher.nat.sample_of(**node).is_some();
        if let Some(node) = nodes.iter().find(known).or_else(|| nodes.first()).copied() {
            self.ask(now, node);
        }
    }

    /// Lets go of the socket: it closes once no stream uses it.
    pub(in crate::connect) fn close_puncher(&mut self, now: Instant) {
        for request in std::mem::take(&mut self.puncher.waiting) {
            self.cancel_request(now, request);
        }
        if let Some(socket) = self.puncher.socket.take() {
            self.sockets.release(&mut self.events, socket);
        }
        self.puncher = Puncher {
            news: true,
            ..Puncher::default()
        };
    }

    /// Asks as many nodes as samples are missing: those that we know to be there, though not the very last
    /// ones, which everybody would ask.
    fn ask_nodes(&mut self, now: Instant) {
        let nodes = self.node.recent_nodes(usize::MAX);
        let skip = if nodes.len() >= 8 { 5 } else { 0 };
        let missing =
            WANTED_SAMPLES.saturating_sub(self.puncher.nat.samples().len() + self.puncher.waiting.len());
        let fresh = |node: &&SocketAddrV4| !self.puncher.asked.contains(*node);
        let chosen = nodes.iter().skip(skip).chain(nodes.iter().take(skip));
        let chosen: Vec<_> = chosen.filter(fresh).take(missing).copied().collect();
        for node in chosen {
            self.ask(now, node);
        }
        if self.puncher.waiting.is_empty() {
            // Until we have joined, nodes that we do not know yet are on their way.
            self.puncher.exhausted = self.node.is_bootstrapped();
            self.puncher.guess();
            self.puncher.news = true;
            // The table may fill while somebody needs us.
            let soon = now + ASK_AGAIN;
            self.puncher.next = self.puncher.next.map(|at| at.min(soon));
        }
    }

    fn ask(&mut self, now: Instant, node: SocketAddrV4) {
        self.puncher.asked.insert(node);
        let outgoing = Outgoing {
            socket: self.puncher.socket(),
            retries: 1,
            hurry: Some(Outgoing::HURRY),
            ..Outgoing::internal(node, PING)
        };
        let request = self.request(now, Owner::Puncher, outgoing);
        self.puncher.waiting.insert(request);
    }
}

/// Between two signs of life to the NAT: many forget a mapping that was silent for 30 s.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// When nodes are asked again after too few have answered.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// When the system is asked again for a socket that it did not have.
const TRY_AGAIN: Duration = Duration::from_secs(5);
/// How long the socket is kept for nobody.
const UNUSED: Duration = Duration::from_secs(60);
