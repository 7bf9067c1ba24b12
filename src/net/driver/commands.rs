//! Handles the commands of users.

use std::time::Instant;

use tokio::sync::oneshot;
use tracing::debug;

use super::state::Driver;
use crate::connect::{Listen, ServerId};
use crate::dht::RequestError;
use crate::net::command::{Command, ListenFailure, Order, ServerHandle, Token, reply};
use crate::net::panics;
use crate::net::queries::Waiter;

impl Driver {
    pub(super) fn handle_command(&mut self, now: Instant, command: Command) {
        // Dropping the sender of its answer reports that the node has ended.
        if command.token().is_some() && self.closing.has_started() {
            return;
        }
        let Some(command) = self.joining.hold(now, command) else {
            return;
        };
        match command {
            Command::Connect { token, dial, answer } => {
                self.interfaces.refresh(now);
                let attempt = self.endpoint.connect(now, *dial);
                self.waiters.add_dial(attempt, token, answer);
            }
            Command::Listen { token, listen, answer } => self.listen(now, token, *listen, answer),
            Command::Unlisten { server, answer } => {
                if self.servers.close(server, answer) {
                    self.endpoint.unlisten(now, server);
                }
            }
            Command::Order { server, order, answer } => self.order(now, server, order, answer),
            Command::ServerState { server, answer } => reply(answer, self.endpoint.server_state(server)),
            Command::Operation { token, operation, peers, answer } => {
                let waiter = Waiter { token, peers, answer };
                self.queries.start(now, &mut self.endpoint, *operation, waiter)
            }
            Command::Link { sides, bytes, lifetime, answer, ended } => {
                let ids = self.endpoint.link(sides, bytes, now + lifetime);
                if let Some(ids) = ids {
                    self.waiters.add_link(ids, ended);
                }
                reply(answer, ids);
            }
            Command::Unlink(id) => self.endpoint.unlink(now, id),
            Command::Request { token, outgoing, answer } => {
                let node = self.endpoint.node();
                if node.is_suspended() {
                    // As those are that were under way.
                    return reply(answer, Err(RequestError::TimedOut));
                }
                let request = node.request(now, *outgoing);
                self.waiters.add_request(request, token, answer);
            }
            Command::ServeRequests(waiting) => self.requests.serve(&mut self.endpoint, waiting),
            Command::Reply { request, reply } => {
                let node = self.endpoint.node();
                if !node.is_suspended() {
                    node.reply(now, &request.incoming, reply);
                }
            }
            Command::GiveUp(token) => self.give_up(now, token),
            Command::Suspend(answer) => {
                debug!("node suspended");
                self.endpoint.suspend(now);
                self.publish();
                reply(answer, ());
            }
            Command::Resume(answer) => {
                self.resume(now);
                reply(answer, ());
            }
            Command::Stats(answer) => reply(answer, self.stats()),
            Command::StreamStats { stream, answer } => {
                if let Some(stats) = self.endpoint.streams().stats(stream) {
                    reply(answer, stats);
                }
            }
            Command::Overview { connections, answer } => reply(answer, self.overview(now, connections)),
            Command::Nodes(answer) => {
                reply(answer, self.endpoint.node().recent_nodes(usize::MAX));
            }
            Command::Announcements(answer) => reply(answer, self.endpoint.node().announcements(now)),
            Command::Close(answer) => {
                self.close(now);
                self.closing.add(answer);
            }
            Command::Panicked => panics::pass_on(),
        }
    }

    fn resume(&mut self, now: Instant) {
        debug!("node resumed");
        if let Some((server, client)) = self.io.main_addresses() {
            self.endpoint.handle_sockets(now, server, client);
            self.endpoint.handle_wake(now);
            // It may have been suspended while it joined.
            if self.joining.knows_nodes() && !self.endpoint.node().is_bootstrapped() {
                self.endpoint.bootstrap(now);
            }
        }
        self.publish();
    }

    fn order(&mut self, now: Instant, server: ServerId, order: Order, answer: oneshot::Sender<()>) {
        let follows = match order {
            Order::Refresh => self.endpoint.refresh_server(now, server),
            Order::Suspend => self.endpoint.suspend_server(now, server),
            Order::Resume => self.endpoint.resume_server(now, server),
        };
        match (follows, order) {
            (false, _) => reply(answer, ()),
            (true, Order::Suspend) => self.servers.await_suspension(server, answer),
            (true, Order::Refresh | Order::Resume) => self.servers.await_announcement(server, answer),
        }
    }

    fn listen(
        &mut self,
        now: Instant,
        token: Token,
        listen: Listen,
        answer: oneshot::Sender<Result<ServerHandle, ListenFailure>>,
    ) {
        self.interfaces.refresh(now);
        let Some(node) = self.handles.upgrade() else {
            return;
        };
        let key = *listen.identity.public_key();
        match self.endpoint.listen(now, listen) {
            Ok(server) => {
                self.servers.open(server, key, node, token, answer);
            }
            Err(error) => reply(answer, Err(error)),
        }
    }
}
