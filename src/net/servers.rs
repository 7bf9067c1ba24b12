//! The driver's side of listening servers.

use std::collections::BTreeMap;

use tokio::sync::{mpsc, oneshot};

use super::command::{Command, ListenFailure, Token};
use super::link::Handle;
use crate::connect::ServerId;
use crate::keys::PublicKey;

/// A listening server as its user holds it. Dropping it stops listening.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) server: ServerId,
    pub(crate) public_key: PublicKey,
    pub(crate) connections: tokio::sync::Mutex<mpsc::Receiver<Handle>>,
    pub(crate) node: mpsc::UnboundedSender<Command>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        // Without a driver there is no server either.
        let _ = self.node.send(Command::Unlisten {
            server: self.server,
            answer: None,
        });
    }
}

/// All servers of a node.
#[derive(Debug, Default)]
pub(super) struct Servers {
    entries: BTreeMap<ServerId, Entry>,
}

#[derive(Debug)]
struct Entry {
    accept: Option<mpsc::Sender<Handle>>,
    /// Who waits for the announcement.
    opening: Option<Opening>,
    /// Who waits for its withdrawal.
    closing: Vec<oneshot::Sender<()>>,
}

#[derive(Debug)]
struct Opening {
    token: Token,
    answer: oneshot::Sender<Result<Listening, ListenFailure>>,
    listening: Listening,
}

impl Servers {
    /// Adds a server that is not yet announced.
    pub(super) fn open(
        &mut self,
        server: ServerId,
        public_key: PublicKey,
        backlog: usize,
        node: mpsc::UnboundedSender<Command>,
        token: Token,
        answer: oneshot::Sender<Result<Listening, ListenFailure>>,
    ) {
        let (accept, connections) = mpsc::channel(backlog.max(1));
        let listening = Listening {
            server,
            public_key,
            connections: tokio::sync::Mutex::new(connections),
            node,
        };
        self.entries.insert(
            server,
            Entry {
                accept: Some(accept),
                opening: Some(Opening {
                    token,
                    answer,
                    listening,
                }),
                closing: Vec::new(),
            },
        );
    }

    /// The server is announced: its user gets it.
    pub(super) fn announced(&mut self, server: ServerId) {
        if let Some(opening) = self
            .entries
            .get_mut(&server)
            .and_then(|entry| entry.opening.take())
        {
            // If nobody waits any more, dropping it asks for the end of the server.
            let _ = opening.answer.send(Ok(opening.listening));
        }
    }

    /// Nobody waits for the announcement any more.
    pub(super) fn give_up(&mut self, token: Token) {
        for entry in self.entries.values_mut() {
            if entry
                .opening
                .as_ref()
                .is_some_and(|opening| opening.token == token)
            {
                entry.opening = None;
            }
        }
    }

    /// Stops handing out connections, and remembers who waits for the end. Returns whether there is such a
    /// server.
    pub(super) fn close(&mut self, server: ServerId, answer: Option<oneshot::Sender<()>>) -> bool {
        let Some(entry) = self.entries.get_mut(&server) else {
            return false;
        };
        entry.accept = None;
        entry.opening = None;
        entry.closing.extend(answer);
        true
    }

    /// The announcements are withdrawn.
    pub(super) fn withdrawn(&mut self, server: ServerId) {
        for answer in self
            .entries
            .remove(&server)
            .into_iter()
            .flat_map(|entry| entry.closing)
        {
            // Whoever asked may have left.
            let _ = answer.send(());
        }
    }

    /// Hands a connection to its server, or gives it back if the backlog is full or the server closed.
    pub(super) fn deliver(&self, server: ServerId, connection: Handle) -> Result<(), Handle> {
        match self.entries.get(&server).and_then(|entry| entry.accept.as_ref()) {
            Some(accept) => accept.try_send(connection).map_err(|error| match error {
                mpsc::error::TrySendError::Full(connection)
                | mpsc::error::TrySendError::Closed(connection) => connection,
            }),
            None => Err(connection),
        }
    }

    pub(super) fn ids(&self) -> Vec<ServerId> {
        self.entries.keys().copied().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}
