//! What the user's handles ask for, and the end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::settings::Snapshot;
use super::start::{Closing, Driver, Held};
use crate::dht::Outgoing;
use crate::net::command::{Command, Token};
use crate::net::socket::Socket;
use crate::wire::rpc::PING;
use crate::wire::transmit::SocketId;

impl Driver {
    pub(super) fn handle_command(&mut self, now: Instant, command: Command) {
        if let Command::Connect { .. } | Command::Listen { .. } | Command::Query { .. } = command {
            if self.closing.is_some() {
                return;
            }
            if !command.knows_nodes()
                && let Some(held) = &mut self.held
            {
                held.push(Held { command, since: now });
                return;
            }
        }
        match command {
            Command::Connect { token, dial, answer } => {
                self.refresh_interfaces(now);
                let attempt = self.endpoint.connect(now, *dial);
                self.dials.insert(attempt, (token, answer));
                self.attempts.insert(token, attempt);
            }
            Command::Listen {
                token,
                listen,
                answer,
            } => {
                self.refresh_interfaces(now);
                let Some(node) = self.handles.upgrade() else {
                    return;
                };
                let key = *listen.key_pair.public_key();
                match self.endpoint.listen(now, *listen) {
                    Ok(server) => {
                        let backlog = self.settings.backlog;
                        self.servers.open(server, key, backlog, node, token, answer);
                        self.plan_watch(now);
                    }
                    Err(error) => {
                        // Whoever asked may have left.
                        let _ = answer.send(Err(error));
                    }
                }
            }
            Command::Unlisten { server, answer } => {
                if self.servers.close(server, answer) {
                    self.endpoint.unlisten(now, server);
                }
            }
            Command::Query { token, query, answer } => {
                self.queries.start(now, &mut self.endpoint, token, query, answer)
            }
            Command::GiveUp(token) => self.give_up(now, token),
            Command::Suspend(answer) => {
                self.endpoint.suspend(now);
                // Whoever asked may have left.
                let _ = answer.send(());
            }
            Command::Resume(answer) => {
                let local = |id| self.sockets.get(&id).map(Socket::local);
                if let (Some(server), Some(client)) = (local(SocketId::SERVER), local(SocketId::CLIENT)) {
                    self.endpoint.handle_sockets(now, server, client);
                    self.endpoint.handle_network_change(now);
                }
                // Whoever asked may have left.
                let _ = answer.send(());
            }
            Command::Link {
                sides,
                bytes,
                lifetime,
                answer,
                ended,
            } => {
                let ids = self.endpoint.link(sides, bytes, now + lifetime);
                let ended = Arc::new(ended);
                for id in ids.into_iter().flatten() {
                    self.links.insert(id, Arc::clone(&ended));
                }
                // Whoever asked may have left.
                let _ = answer.send(ids);
            }
            Command::Ping { node, answer } => {
                let outgoing = Outgoing::internal(node, PING);
                let request = self.endpoint.node().request(now, outgoing);
                self.pings.insert(request, (now, answer));
            }
            Command::Unlink(id) => self.endpoint.unlink(now, id),
            Command::Stats(answer) => {
                // Whoever asked may have left.
                let _ = answer.send(self.snapshot());
            }
            Command::Nodes(answer) => {
                // Whoever asked may have left.
                let _ = answer.send(self.endpoint.node().recent_nodes(usize::MAX));
            }
            Command::Announcements(answer) => {
                // The asker may have left.
                let _ = answer.send(self.endpoint.node().announcements(now));
            }
            Command::Close(answer) => self.close(now, Some(answer)),
        }
    }

    pub(super) fn give_up(&mut self, now: Instant, token: Token) {
        if let Some(held) = &mut self.held {
            held.retain(|held| held.command.token() != Some(token));
        }
        if let Some(attempt) = self.attempts.remove(&token) {
            self.dials.remove(&attempt);
            self.endpoint.abort(now, attempt);
        }
        self.servers.give_up(token);
        self.queries.give_up(&mut self.endpoint, token);
    }

    fn snapshot(&mut self) -> Snapshot {
        let node = self.endpoint.node();
        Snapshot {
            connections: self.table.len(),
            unproven: self.table.unproven(),
            unproven_dropped: self.table.unproven_dropped(),
            refused: self.refused,
            servers: self.servers.len(),
            nodes: node.table_len(),
            persistent: node.is_persistent(),
            firewalled: node.is_firewalled(),
            remote_address: node.remote_address(),
            traffic: self.traffic,
            dht: node.stats(),
        }
    }

    /// Starts to end the node: connections at once, servers once their announcements are withdrawn.
    pub(super) fn close(&mut self, now: Instant, answer: Option<oneshot::Sender<()>>) {
        if self.closing.is_none() {
            self.closing = Some(Closing {
                answers: Vec::new(),
                deadline: now + PATIENCE,
            });
            self.held = None;
            self.table.destroy_all(now, &mut self.endpoint);
            for server in self.servers.ids() {
                self.servers.close(server, None);
                self.endpoint.unlisten(now, server);
            }
        }
        if let Some(closing) = &mut self.closing {
            closing.answers.extend(answer);
        }
    }

    /// Returns whether the node has ended; dropping the answers tells those who wait, after the sockets are
    /// gone.
    ///
    /// Not while something is `unsent`: peers would wait for streams that are over.
    pub(super) fn is_over(&mut self, now: Instant, unsent: bool) -> bool {
        let Some(closing) = &self.closing else {
            return false;
        };
        if (unsent || self.servers.len() > 0) && now < closing.deadline {
            return false;
        }
        self.sockets.clear();
        for answer in self
            .closing
            .take()
            .into_iter()
            .flat_map(|closing| closing.answers)
        {
            // Whoever asked may have left.
            let _ = answer.send(());
        }
        true
    }
}

/// How long closing waits for announcements to be withdrawn.
const PATIENCE: Duration = Duration::from_secs(3);
