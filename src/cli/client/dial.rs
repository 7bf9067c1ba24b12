//! Connections to the server, through the DHT or at a given address.

use std::net::SocketAddrV4;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::super::routes::RoutesFile;
use crate::api::{ConnectError, Report, StreamError};
use crate::profile::{Dial, DialError};
use crate::{ConnectAddress, Connection, Dht, KeyPair, PublicKey};

/// Dials one server under one identity.
#[derive(Debug)]
pub(super) struct DhtDial {
    pub(super) dht: Dht,
    pub(super) server: ConnectAddress,
    /// The server's address, if the DHT is not asked.
    pub(super) at: Option<SocketAddrV4>,
    pub(super) relay: Option<PublicKey>,
    pub(super) identity: KeyPair,
    pub(super) timeout: Duration,
    pub(super) routes: Option<RoutesFile>,
    pub(super) last: LastReport,
}

/// The report of the last attempt to connect.
#[derive(Clone, Debug, Default)]
pub(super) struct LastReport(Arc<Mutex<Option<Report>>>);

impl LastReport {
    pub(super) fn take(&self) -> Option<Report> {
        // The value is replaced as a whole, so a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set(&self, report: Option<&Report>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = report.cloned();
    }
}

impl Dial for DhtDial {
    type Stream = Connection;

    async fn dial(&mut self) -> Result<Connection, DialError> {
        let connection = self.connect().await?;
        // A server that has died since the handshake is waited for beside another attempt, which may reach
        // one that takes over its key. It counts once it is answered: the same server may be as silent again.
        let other = async {
            sleep(SILENCE).await;
            let other = self.connect().await?;
            other.answered().await?;
            Ok::<_, DialError>(other)
        };
        // The server sends first, so this takes no longer than what follows. Other errors come to the reader.
        let answered = tokio::select! {
            answered = timeout(WAIT_FOR_ANSWER, connection.answered()) => answered,
            Ok(other) = other => {
                self.last.set(Some(other.report()));
                return Ok(other);
            }
        };
        self.last.set(Some(connection.report()));
        if let Ok(Err(error @ StreamError::Unreachable { .. })) = answered {
            return Err(error.into());
        }
        self.remember(&connection.report().routes);
        Ok(connection)
    }
}

impl DhtDial {
    async fn connect(&self) -> Result<Connection, DialError> {
        let connect = match self.at {
            Some(address) => self.dht.connect(self.server.public_key()).addresses([address]).only_addresses(),
            None => {
                // Without a folder for the file nothing is remembered.
                let remembered = self.routes.iter().flat_map(|file| file.get(self.server.public_key()));
                self.dht.connect(&self.server).addresses(remembered)
            }
        };
        let connect = connect.key_pair(&self.identity).reusable_socket().timeout(self.timeout);
        let connect = match &self.relay {
            Some(relay) => connect.relay_through(relay),
            None => connect,
        };
        connect.await.map_err(|error| {
            self.last.set(error.report());
            // The remembered nodes did not help; a network that is down does not show that they never will.
            if let ConnectError::NotFound { .. } | ConnectError::NoAnswer { .. } = error {
                self.remember(&[]);
            }
            error.into()
        })
    }

    fn remember(&self, nodes: &[SocketAddrV4]) {
        if let (Some(file), None) = (&self.routes, self.at) {
            file.set(self.server.public_key(), nodes);
        }
    }
}

/// After this time without an answer over a new connection, another one is dialled beside it.
const SILENCE: Duration = Duration::from_secs(2);
/// Longer than it takes to find that a server does not answer at the address that it claims.
const WAIT_FOR_ANSWER: Duration = Duration::from_secs(8);
