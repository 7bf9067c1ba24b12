//! The server of a swarm: at most one, from the first topic that is announced on.

use std::future::pending;
use std::sync::Arc;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tracing::warn;

use super::waiters::answer;
use crate::api::{Connection, ListenError, Server};

/// The server, and who waits for it.
#[derive(Debug, Default)]
pub(super) struct Listener {
    state: watch::Sender<Listening>,
    server: Option<Arc<Server>>,
    waiting: Vec<oneshot::Sender<Result<(), ListenError>>>,
    /// The last order to the server. Each waits for the one before it.
    last: Option<JoinHandle<()>>,
}

/// How far listening has come.
#[derive(Clone, Debug, Default)]
pub(super) enum Listening {
    #[default]
    Not,
    Starting,
    Ready(Arc<Server>),
    Failed,
}

/// What a server is to do.
#[derive(Clone, Copy)]
enum Order {
    Suspend,
    Resume,
}

impl Listener {
    /// Returns whether to listen now: nothing listens, nor is about to.
    pub(super) fn begin(&self) -> bool {
        let begins = matches!(*self.state.borrow(), Listening::Not | Listening::Failed);
        if begins {
            self.state.send_replace(Listening::Starting);
        }
        begins
    }

    /// Answers once the swarm listens, or can't.
    pub(super) fn wait(&mut self, waiter: oneshot::Sender<Result<(), ListenError>>) {
        if self.server.is_some() {
            answer(waiter, Ok(()));
        } else {
            self.waiting.push(waiter);
        }
    }

    /// Returns an observer of the state.
    pub(super) fn server(&self) -> watch::Receiver<Listening> {
        self.state.subscribe()
    }

    /// Notes the end of an attempt to listen.
    pub(super) fn started(&mut self, outcome: Result<Server, ListenError>, is_suspended: bool) {
        let result = match outcome {
            Ok(server) => {
                let server = Arc::new(server);
                self.server = Some(Arc::clone(&server));
                self.state.send_replace(Listening::Ready(server));
                if is_suspended {
                    self.order(Order::Suspend, Vec::new());
                }
                Ok(())
            }
            Err(error) => {
                warn!(%error, "swarm does not listen");
                self.state.send_replace(Listening::Failed);
                Err(error)
            }
        };
        for waiter in self.waiting.drain(..) {
            answer(waiter, result);
        }
    }

    /// Waits for the next connection, for ever while nothing listens.
    pub(super) async fn accept(&mut self) -> Connection {
        if let Some(server) = &self.server {
            if let Some(connection) = server.accept().await {
                return connection;
            }
            // The node is closed, which the driver notices by itself.
            self.server = None;
        }
        pending().await
    }

    /// Takes no clients until [`Self::resume`].
    pub(super) fn suspend(&mut self, waiters: Vec<oneshot::Sender<()>>) {
        self.order(Order::Suspend, waiters);
    }

    /// Takes clients again.
    pub(super) fn resume(&mut self, waiters: Vec<oneshot::Sender<()>>) {
        self.order(Order::Resume, waiters);
    }

    /// Stops listening, and waits until nothing is announced.
    pub(super) async fn close(&mut self) {
        if let Some(server) = self.server.take() {
            server.close().await;
        }
    }

    fn order(&mut self, order: Order, waiters: Vec<oneshot::Sender<()>>) {
        let (before, server) = (self.last.take(), self.server.clone());
        self.last = Some(tokio::spawn(async move {
            if let Some(before) = before {
                // It has no result, and does not panic.
                let _ = before.await;
            }
            match (server, order) {
                (Some(server), Order::Suspend) => server.suspend().await,
                (Some(server), Order::Resume) => server.resume().await,
                (None, _) => {}
            }
            for waiter in waiters {
                answer(waiter, ());
            }
        }));
    }
}
