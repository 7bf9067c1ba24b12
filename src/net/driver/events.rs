//! What the endpoint has to tell.

use std::net::SocketAddrV4;
use std::time::Instant;

use tokio::sync::oneshot;
use tracing::debug;

use super::start::Driver;
use crate::connect::{Dial, Established, Event, Origin, RelayDial};
use crate::dht;
use crate::net::command::Token;
use crate::net::link::{Handle, Link};
use crate::net::relays::PATIENCE;
use crate::net::socket::Socket;

impl Driver {
    pub(super) fn handle_event(&mut self, now: Instant, event: Event) {
        match event {
            Event::OpenSocket(id) => {
                let socket = Socket::bind(SocketAddrV4::new(*self.settings.bind.ip(), 0));
                let local = socket.as_ref().ok().map(Socket::local);
                if let Ok(socket) = socket {
                    self.sockets.insert(id, socket);
                    self.ready.add(id);
                }
                self.endpoint.handle_socket(now, id, local);
            }
            Event::CloseSocket(id) => {
                self.sockets.remove(&id);
                self.ready.remove(id);
            }
            Event::Job(job) => {
                // What the endpoint keeps for it expires, as if the client had gone.
                if !self.jobs.push(job) {
                    debug!("a handshake was dropped: too many wait");
                    self.refused += 1;
                }
            }
            Event::DialRelay(dial) => self.dial_relay(now, dial),
            Event::LeaveRelay(stream) => {
                if let Some(token) = self.relays.leave(stream) {
                    self.give_up(now, token);
                }
            }
            Event::Moved(moved) => self.table.handle_moved(*moved),
            Event::Unreachable { stream, report } => {
                self.table
                    .handle_unreachable(now, &mut self.endpoint, stream, *report);
            }
            Event::Unlinked(ids) => {
                for id in ids {
                    self.links.remove(&id);
                }
            }
            Event::Listening(server) => self.servers.announced(server),
            Event::Unlistened(server) => self.servers.withdrawn(server),
            Event::Established(established) => self.establish(now, &established),
            Event::Failed {
                attempt,
                failure,
                report,
            } => {
                if let Some((token, answer)) = self.dials.remove(&attempt) {
                    self.attempts.remove(&token);
                    // Whoever asked may have left.
                    let _ = answer.send(Err((failure, report)));
                }
            }
            Event::Stream(stream, event) => {
                self.table.handle_event(now, &mut self.endpoint, stream, event);
            }
            Event::Dht(dht::Event::Bootstrapped { reached }) => self.bootstrapped(reached),
            Event::Dht(dht::Event::QueryAnswer { query, answer }) => {
                self.queries.answered(&mut self.endpoint, query, &answer);
            }
            Event::Dht(dht::Event::QueryDone { query, result }) => self.queries.done(query, result),
            Event::Dht(dht::Event::Answered { request, result }) => {
                if let Some((asked, answer)) = self.pings.remove(&request) {
                    let pong = result.ok().map(|pong| (pong.to, now - asked));
                    // Whoever asked may have left.
                    let _ = answer.send(pong);
                }
            }
            Event::Dht(_) => {}
        }
    }

    /// Connects to a relay, under the node's own key, and lets a task meet the peer there.
    fn dial_relay(&mut self, now: Instant, dial: RelayDial) {
        let own = &self.settings.key_pair;
        let (answer, connected) = oneshot::channel();
        let attempt = self.endpoint.connect(
            now,
            Dial {
                remote: dial.relay,
                key_pair: own.clone(),
                nodes: Vec::new(),
                only_nodes: false,
                relay_through: None,
                reusable_socket: false,
                timeout: PATIENCE,
            },
        );
        // Users' tokens count up from zero.
        let token = Token(u64::MAX - self.relay_dials);
        self.relay_dials += 1;
        self.dials.insert(attempt, (token, answer));
        self.attempts.insert(token, attempt);
        let outbox = self.outbox.clone();
        self.relays
            .start(token, *own.public_key(), dial, connected, outbox);
    }

    /// Makes a connection of a stream and hands it to whoever waits for it. If nobody does, its handle is
    /// dropped, which destroys it.
    fn establish(&mut self, now: Instant, established: &Established) {
        let node = match self.handles.upgrade() {
            Some(node) if self.closing.is_none() => node,
            _ => {
                self.endpoint.streams().destroy(now, established.stream);
                return;
            }
        };
        let (link, header) = Link::new(
            established,
            self.bell.clone(),
            self.spares.clone(),
            self.settings.message,
            self.settings.datagrams,
        );
        let handle = Handle::new(link.clone(), node);
        self.table
            .open(now, &mut self.endpoint, established.stream, link, header);
        match established.origin {
            Origin::Attempt(attempt) => {
                if let Some((token, answer)) = self.dials.remove(&attempt) {
                    self.attempts.remove(&token);
                    // Whoever asked may have left.
                    let _ = answer.send(Ok(handle));
                }
            }
            Origin::Server(server) => {
                if self.servers.deliver(server, handle).is_err() {
                    debug!("a connection was refused: the backlog is full");
                    self.refused += 1;
                }
            }
        }
    }
}
