//! Handles the events of the endpoint.

use std::time::Instant;

use super::state::Driver;
use crate::connect::{Established, Event, Origin, RelayDial};
use crate::dht;
use crate::net::command::ConnectionHandle;

impl Driver {
    pub(super) fn handle_event(&mut self, now: Instant, event: Event) {
        match event {
            Event::OpenSocket(id) => {
                let local = self.io.open(id);
                self.endpoint.handle_socket(now, id, local);
            }
            Event::CloseSocket(id) => self.io.close(id),
            Event::DialRelay(dial) => self.dial_relay(now, dial),
            Event::LeaveRelay(stream) => {
                if let Some(token) = self.relays.leave(stream) {
                    self.give_up(now, token);
                }
            }
            Event::Moved(moved) => self.connections.handle_moved(self.endpoint.streams(), *moved),
            Event::Unreachable { stream, report } => {
                self.connections.handle_unreachable(now, &mut self.endpoint, stream, *report);
            }
            Event::Unlinked(ids) => self.waiters.finish_link(ids),
            Event::Listening(server) => self.servers.announced(server),
            Event::Suspended(server) => self.servers.suspended(server),
            Event::Unlistened(server) => self.servers.withdrawn(server),
            Event::Established(established) => self.establish(now, &established),
            Event::Failed { attempt, failure, report } => {
                self.waiters.finish_dial(attempt, Err((failure, report)))
            }
            Event::Stream(stream, event) => {
                self.connections.handle_event(now, &mut self.endpoint, stream, event);
            }
            Event::Dht(event) => self.handle_dht_event(now, event),
        }
    }

    fn handle_dht_event(&mut self, now: Instant, event: dht::Event) {
        match event {
            dht::Event::Bootstrapped { reached } => self.joining.handle_bootstrapped(reached),
            dht::Event::QueryAnswer { query, answer } => {
                self.queries.handle_answer(&mut self.endpoint, query, &answer);
            }
            dht::Event::QueryDone { query, result } => self.queries.handle_done(query, result),
            dht::Event::Incoming(incoming) => self.requests.deliver(now, &mut self.endpoint, incoming),
            dht::Event::Answered { request, result } => self.waiters.finish_request(request, result),
            _ => {}
        }
    }

    /// Connects to a relay, under the node's own key, and lets a task meet the peer there.
    fn dial_relay(&mut self, now: Instant, dial: RelayDial) {
        let (token, dial, connected) = self.relays.start(dial);
        let attempt = self.endpoint.connect(now, dial);
        self.waiters.add_dial(attempt, token, connected);
    }

    /// Makes a connection of a stream and hands it to the task that waits for it. If none does, its handle is
    /// dropped, which destroys it.
    fn establish(&mut self, now: Instant, established: &Established) {
        let Some(node) = self.handles.upgrade().filter(|_| !self.closing.has_started()) else {
            self.endpoint.streams().destroy(now, established.stream);
            return;
        };
        let link = self.connections.open(now, &mut self.endpoint, established);
        let handle = ConnectionHandle::new(link, node);
        match established.origin {
            Origin::Attempt(attempt) => self.waiters.finish_dial(attempt, Ok(handle)),
            Origin::Server(server) => self.servers.deliver(server, handle),
        }
    }
}
