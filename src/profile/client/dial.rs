//! Connects to a server through the DHT.

use super::error::DialError;
use super::operations::Dial;
use crate::{Connection, Dht, KeyPair, PublicKey};

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
