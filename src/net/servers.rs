//! The driver's side of listening servers: hands connections to their users.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tracing::debug;

use super::backlog::Backlog;
use super::command::{Command, ConnectionHandle, ListenFailure, ServerHandle, Token, reply};
use crate::connect::ServerId;
use crate::keys::PublicKey;
use crate::slots::Source;

/// All servers of a node.
#[derive(Debug)]
pub(super) struct Servers {
    entries: BTreeMap<ServerId, Entry>,
    /// Connections that wait to be accepted, per server.
    backlog: usize,
    /// Connections for which there was no room.
    refused: u64,
}

#[derive(Debug)]
struct Entry {
    /// `None` once the server is closing.
    accept: Option<Arc<Backlog<ConnectionHandle>>>,
    /// The task that waits for the announcement.
    opening: Option<Opening>,
    /// Tasks that wait for it to be announced anew.
    announcing: Vec<oneshot::Sender<()>>,
    /// Tasks that wait for it to be suspended.
    suspending: Vec<oneshot::Sender<()>>,
    /// Tasks that wait for its withdrawal.
    closing: Vec<oneshot::Sender<()>>,
}

#[derive(Debug)]
struct Opening {
    token: Token,
    answer: oneshot::Sender<Result<ServerHandle, ListenFailure>>,
    handle: ServerHandle,
}

impl Drop for Servers {
    fn drop(&mut self) {
        // A panic, or the runtime, ends the driver at any time; no task must wait for a connection then.
        for accept in self.entries.values().filter_map(|entry| entry.accept.as_ref()) {
            accept.close();
        }
    }
}

impl Servers {
    pub(super) fn new(backlog: usize) -> Self {
        Self { entries: BTreeMap::new(), backlog, refused: 0 }
    }

    /// Adds a server that is not yet announced.
    pub(super) fn open(
        &mut self,
        server: ServerId,
        public_key: PublicKey,
        node: mpsc::UnboundedSender<Command>,
        token: Token,
        answer: oneshot::Sender<Result<ServerHandle, ListenFailure>>,
    ) {
        let accept = Arc::new(Backlog::new(self.backlog));
        let handle = ServerHandle { server, public_key, connections: Arc::clone(&accept), node };
        self.entries.insert(
            server,
            Entry {
                accept: Some(accept),
                opening: Some(Opening { token, answer, handle }),
                announcing: Vec::new(),
                suspending: Vec::new(),
                closing: Vec::new(),
            },
        );
    }

    /// Hands an announced server to its user, and wakes the tasks that wait for the announcement.
    pub(super) fn announced(&mut self, server: ServerId) {
        let Some(entry) = self.entries.get_mut(&server) else {
            return;
        };
        if let Some(opening) = entry.opening.take() {
            debug!(server = server.0, "server handed over");
            // If no task waits any more, dropping the handle asks for the end of the server.
            reply(opening.answer, Ok(opening.handle));
        }
        for answer in entry.announcing.drain(..) {
            reply(answer, ());
        }
    }

    /// Keeps the sender until the server is announced, or is not going to be: then it is dropped. So are
    /// those that wait for the server to be suspended.
    pub(super) fn await_announcement(&mut self, server: ServerId, answer: oneshot::Sender<()>) {
        if let Some(entry) = self.entries.get_mut(&server) {
            entry.suspending.clear();
            // Without a network a task may give up and ask again for ever.
            entry.announcing.retain(|waiting| !waiting.is_closed());
            entry.announcing.push(answer);
        }
    }

    /// Keeps the sender until the announcements of the server are withdrawn, or it is announced anew: then it
    /// is dropped. So are those that wait for the announcement.
    pub(super) fn await_suspension(&mut self, server: ServerId, answer: oneshot::Sender<()>) {
        if let Some(entry) = self.entries.get_mut(&server) {
            entry.announcing.clear();
            entry.suspending.retain(|waiting| !waiting.is_closed());
            entry.suspending.push(answer);
        }
    }

    /// Wakes the tasks that wait until a server is suspended.
    pub(super) fn suspended(&mut self, server: ServerId) {
        for answer in self.entries.get_mut(&server).into_iter().flat_map(|entry| entry.suspending.drain(..)) {
            reply(answer, ());
        }
    }

    /// Drops the handle of a server for whose announcement no task waits any more, which closes it.
    pub(super) fn give_up(&mut self, token: Token) {
        for entry in self.entries.values_mut() {
            entry.opening.take_if(|opening| opening.token == token);
        }
    }

    /// Hands out no more connections of a server, and keeps the sender for its end. Returns whether there is
    /// such a server.
    pub(super) fn close(&mut self, server: ServerId, answer: Option<oneshot::Sender<()>>) -> bool {
        let Some(entry) = self.entries.get_mut(&server) else {
            return false;
        };
        if let Some(accept) = entry.accept.take() {
            accept.close();
        }
        entry.opening = None;
        entry.announcing.clear();
        entry.suspending.clear();
        entry.closing.extend(answer);
        true
    }

    /// Removes a server whose announcements are withdrawn, and wakes the tasks that wait for that.
    pub(super) fn withdrawn(&mut self, server: ServerId) {
        if let Some(entry) = self.entries.remove(&server) {
            debug!(server = server.0, "server closed");
            for answer in entry.closing {
                reply(answer, ());
            }
        }
    }

    /// Hands a connection to its server. What the backlog has no room for, or a closed server is sent, is
    /// dropped, which destroys it.
    pub(super) fn deliver(&mut self, server: ServerId, connection: ConnectionHandle) {
        let (stream, (_, address)) = (connection.stream().0, connection.route());
        let source = Source::direct(*address.ip());
        let accept = self.entries.get(&server).and_then(|entry| entry.accept.as_ref());
        let refused = match accept {
            Some(accept) => accept.push(source, connection),
            None => Some(connection),
        };
        debug!(server = server.0, stream, "connection handed over");
        if let Some(refused) = refused {
            let stream = refused.stream().0;
            debug!(server = server.0, stream, "connection refused: the backlog is full");
            self.refused += 1;
        }
    }

    /// Returns how many connections were refused.
    pub(super) const fn refused(&self) -> u64 {
        self.refused
    }

    pub(super) fn ids(&self) -> Vec<ServerId> {
        self.entries.keys().copied().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::KeyPair;

    #[test]
    fn tasks_that_wait_no_longer_leave_nothing_behind() {
        let server = ServerId(1);
        let mut servers = Servers::new(1);
        let (node, _commands) = mpsc::unbounded_channel();
        let (answer, _listening) = oneshot::channel();
        let key = *KeyPair::from_seed(&[1; 32]).public_key();
        servers.open(server, key, node, Token(1), answer);
        let kept = |servers: &Servers| {
            let entry = &servers.entries[&server];
            (entry.announcing.len(), entry.suspending.len())
        };
        let (answer, announced) = oneshot::channel();
        servers.await_announcement(server, answer);
        for _ in 0..10 {
            servers.await_announcement(server, oneshot::channel().0);
        }
        assert_eq!(kept(&servers), (2, 0));
        servers.announced(server);
        assert_eq!(announced.blocking_recv(), Ok(()));
        for _ in 0..10 {
            servers.await_suspension(server, oneshot::channel().0);
        }
        assert_eq!(kept(&servers), (0, 1));
    }
}
