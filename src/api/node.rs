//! The hold on a running node that everything made by it shares.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{mpsc, oneshot};

use crate::KeyPair;
use crate::net::{Command, Started, Token};

/// Sends commands to the task of a node. The node runs until the last clone is dropped.
#[derive(Clone, Debug)]
pub(super) struct NodeHandle {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    node: Started,
    key_pair: KeyPair,
    next_token: AtomicU64,
}

impl NodeHandle {
    /// `key_pair` is the identity of connections that name none.
    pub(super) fn new(node: Started, key_pair: KeyPair) -> Self {
        Self { inner: Arc::new(Inner { node, key_pair, next_token: AtomicU64::new(0) }) }
    }

    /// Returns the node as it was started.
    pub(super) fn started(&self) -> &Started {
        &self.inner.node
    }

    /// Returns the identity of connections that name none.
    pub(super) fn default_key_pair(&self) -> &KeyPair {
        &self.inner.key_pair
    }

    pub(super) fn commands(&self) -> &mpsc::UnboundedSender<Command> {
        &self.inner.node.commands
    }

    /// Sends a command and waits for its answer; `None` once the node has been closed.
    pub(super) async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.commands().send(command(answer)).ok()?;
        answered.await.ok()
    }

    /// Sends a command that can be given up and waits for its answer; `None` once the node has been closed.
    /// Dropping the future gives the command up.
    pub(super) async fn run<T>(
        &self,
        command: impl FnOnce(Token, oneshot::Sender<T>) -> Command,
    ) -> Option<T> {
        let token = Token(self.inner.next_token.fetch_add(1, Ordering::Relaxed));
        let mut guard = GiveUp { node: self, token: Some(token) };
        let answer = self.ask(|answer| command(token, answer)).await;
        guard.token = None;
        answer
    }
}

/// Gives a command up when it is dropped with the token.
struct GiveUp<'a> {
    node: &'a NodeHandle,
    token: Option<Token>,
}

impl Drop for GiveUp<'_> {
    fn drop(&mut self) {
        if let Some(token) = self.token {
            // Without a driver there is nothing to give up.
            let _ = self.node.commands().send(Command::GiveUp(token));
        }
    }
}
