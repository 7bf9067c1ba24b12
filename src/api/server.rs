//! A listening server.

use std::future::{Future, IntoFuture};
use std::net::SocketAddrV4;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::{Connection, Dht, ListenError};
use crate::connect::{self, FirewallHook};
use crate::net::{Command, Listening};
use crate::{KeyPair, PublicKey};

/// Listens once awaited: when it returns, the server is announced and reachable.
#[must_use = "nothing happens until this is awaited"]
pub struct Listen {
    dht: Dht,
    key_pair: KeyPair,
    firewall: Option<FirewallHook>,
    relay_through: Option<PublicKey>,
    reusable_socket: bool,
}

impl std::fmt::Debug for Listen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listen")
            .field("key_pair", &self.key_pair)
            .finish_non_exhaustive()
    }
}

impl Listen {
    pub(crate) fn new(dht: Dht, key_pair: KeyPair) -> Self {
        Self {
            dht,
            key_pair,
            firewall: None,
            relay_through: None,
            reusable_socket: false,
        }
    }

    /// Decides who may connect, by the key that a peer claims and the address it seems to have; `false`
    /// refuses without a word.
    ///
    /// The key is not proven at that point: use it to refuse, never to count or to store.
    pub fn firewall<F>(mut self, allows: F) -> Self
    where
        F: Fn(&PublicKey, SocketAddrV4) -> bool + Send + Sync + 'static,
    {
        self.firewall = Some(Arc::new(allows));
        self
    }

    /// Names a blind relay through which clients may reach the server until a direct path is found; it can't
    /// read what travels.
    pub fn relay_through(mut self, relay: &PublicKey) -> Self {
        self.relay_through = Some(*relay);
        self
    }

    /// Lets a client that sets the same ([`Connect::reusable_socket`](super::Connect::reusable_socket)) come
    /// back the way of its last connection, without lookup and punch.
    pub fn reusable_socket(mut self) -> Self {
        self.reusable_socket = true;
        self
    }

    async fn run(self) -> Result<Server, ListenError> {
        let listen = Box::new(connect::Listen {
            key_pair: self.key_pair,
            firewall: self.firewall,
            relay_through: self.relay_through,
            reusable_socket: self.reusable_socket,
        });
        let outcome = self
            .dht
            .ask(|token, answer| Command::Listen {
                token,
                listen,
                answer,
            })
            .await;
        match outcome {
            Some(Ok(listening)) => Ok(Server { listening }),
            Some(Err(connect::ListenError::KeyInUse)) => Err(ListenError::KeyInUse),
            Some(Err(connect::ListenError::TooMany)) => Err(ListenError::TooMany),
            None => Err(ListenError::Closed),
        }
    }
}

impl IntoFuture for Listen {
    type Output = Result<Server, ListenError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// A server that others connect to by its public key. Dropping it stops listening; its connections live on.
#[derive(Debug)]
pub struct Server {
    listening: Listening,
}

impl Server {
    /// Returns the key that others connect to.
    pub fn public_key(&self) -> &PublicKey {
        &self.listening.public_key
    }

    /// Waits for the next connection. `None` once the server or its node has been closed, and only then.
    ///
    /// The peer's key is [claimed](Connection::claimed_key), not proven, when this returns.
    /// Connections that nobody accepts wait in a bounded backlog; when it is full, further ones are refused.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: no connection is lost. Several tasks may accept at once.
    pub async fn accept(&self) -> Option<Connection> {
        let handle = self.listening.connections.lock().await.recv().await?;
        Some(Connection::new(handle))
    }

    /// Stops listening and waits until the announcements are withdrawn. Connections live on.
    ///
    /// # Cancel safety
    ///
    /// Closing goes on when the future is dropped.
    pub async fn close(&self) {
        let (answer, closed) = oneshot::channel();
        // A closed node drops the sender of the answer.
        let _ = self.listening.node.send(Command::Unlisten {
            server: self.listening.server,
            answer: Some(answer),
        });
        let _ = closed.await;
    }
}
