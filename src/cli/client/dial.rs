//! Connections to the server through the DHT.

use std::time::Duration;

use super::args::ServerAddress;
use crate::profile::{Dial, DialError};
use crate::{Connection, Dht, KeyPair};

/// Dials one server under one identity.
#[derive(Debug)]
pub(super) struct DhtDial {
    pub(super) dht: Dht,
    pub(super) server: ServerAddress,
    pub(super) identity: KeyPair,
    pub(super) timeout: Duration,
}

impl Dial for DhtDial {
    type Stream = Connection;

    async fn dial(&mut self) -> Result<Connection, DialError> {
        let connect = self
            .dht
            .connect(&self.server.key)
            .key_pair(&self.identity)
            .addresses(self.server.nodes.iter().copied())
            .timeout(self.timeout);
        Ok(connect.await?)
    }
}
