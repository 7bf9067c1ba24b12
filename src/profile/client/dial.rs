//! Connects to a server, through the DHT.

use std::future::Future;

use tokio::io::{AsyncRead, AsyncWrite};

use super::error::DialError;
use crate::{Connection, Dht, KeyPair, PublicKey};

/// Makes connections to one server under one identity.
pub trait Dial: Send {
    /// The connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send;

    /// Connects.
    ///
    /// # Errors
    ///
    /// Any error of the network; returned as [`ClientError::Dial`](super::ClientError::Dial).
    fn dial(&mut self) -> impl Future<Output = Result<Self::Stream, DialError>> + Send;
}

/// Connects to a server by its public key, with the settings of [`Dht::connect`].
#[derive(Clone, Debug)]
pub struct ThroughDht {
    /// The node that connects.
    pub dht: Dht,
    /// The server's public key.
    pub server: PublicKey,
    /// The client's identity.
    pub identity: KeyPair,
}

impl Dial for ThroughDht {
    type Stream = Connection;

    async fn dial(&mut self) -> Result<Connection, DialError> {
        Ok(self.dht.connect(self.server).key_pair(&self.identity).await?)
    }
}
