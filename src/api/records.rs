//! The records that nodes of the DHT store for others: announcements and values.

use std::future::{Future, IntoFuture};
use std::net::SocketAddrV4;
use std::pin::Pin;

use tracing::warn;

use super::{Dht, MutableValue, PutError, QueryError, Stored};
use crate::dht::{self, Operation, OperationError};
use crate::net::{Command, OperationOutcome};
use crate::wire::records::{MutablePut, mutable_signable};
use crate::{Identity, PublicKey};

/// Announces a key under a topic once awaited, from [`Dht::announce`]; returns how many nodes store it, 20 at
/// most.
///
/// # Errors
///
/// [`QueryError`] if no node answered or stored the record, or this node has been closed.
///
/// # Cancel safety
///
/// Dropping it, or the future made from it, ends the query; some nodes may store the record then.
#[derive(Debug)]
#[must_use = "nothing happens until this is awaited"]
pub struct Announce {
    dht: Dht,
    operation: Operation,
}

/// Gets a signed value once awaited, from [`Dht::mutable_get`]; returns `None` if no node has one.
///
/// # Errors
///
/// [`QueryError`] if no node answered or this node has been closed.
///
/// # Cancel safety
///
/// Cancel safe: dropping it, or the future made from it, ends the query.
#[derive(Debug)]
#[must_use = "nothing happens until this is awaited"]
pub struct MutableGet {
    dht: Dht,
    key: PublicKey,
    least: u64,
    latest: bool,
}

impl Dht {
    /// Returns a builder that announces a key under a topic on the nodes closest to it once awaited. The
    /// record lasts about 20 minutes.
    ///
    /// The node does not announce again: do so every ten minutes. Peers find a server by its key also if
    /// there are no `relay_addresses`; those of [`Server::relay_addresses`](super::Server::relay_addresses)
    /// save them a query.
    ///
    /// Nodes keep the first three `relay_addresses`. A node that already has the record keeps the old
    /// addresses for some 13 minutes; to have new ones take effect at once, [`Self::unannounce`] first.
    pub fn announce(
        &self,
        topic: [u8; 32],
        identity: impl Into<Identity>,
        relay_addresses: &[SocketAddrV4],
    ) -> Announce {
        Announce {
            dht: self.clone(),
            operation: Operation::Announce {
                target: topic,
                identity: identity.into(),
                relays: relay_addresses.iter().copied().take(MAX_RELAYS).collect(),
                bump: 0,
            },
        }
    }

    /// Withdraws the announcement of a key under a topic.
    ///
    /// # Errors
    ///
    /// [`QueryError`] if no node answered or the node has been closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the query; some nodes may still have the record.
    pub async fn unannounce(&self, topic: [u8; 32], identity: impl Into<Identity>) -> Result<(), QueryError> {
        self.run(Operation::Unannounce { target: topic, identity: identity.into() }).await?;
        Ok(())
    }

    /// Stores a value under its hash on the nodes closest to that. It lasts at least 32 hours, and
    /// longer while it is requested. A value that was got is put again in the same way.
    ///
    /// # Errors
    ///
    /// [`PutError::TooLarge`] beyond 1850 bytes, [`PutError::Query`] if no node answered or took the value,
    /// or the node has been closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the query; some nodes may have the value.
    pub async fn immutable_put(&self, value: &[u8]) -> Result<Stored, PutError> {
        Ok(self.run(Operation::ImmutablePut(value.to_vec())).await?.stored)
    }

    /// Gets the value with this hash from the first node that answers with it. `None` if no node has it.
    ///
    /// # Errors
    ///
    /// [`QueryError`] if no node answered or the node has been closed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future ends the query.
    pub async fn immutable_get(&self, target: [u8; 32]) -> Result<Option<Vec<u8>>, QueryError> {
        let found = self.run(Operation::ImmutableGet(target)).await?;
        Ok(found.value)
    }

    /// Stores a value under a key, signed with it, on the nodes closest to the key's hash. It lasts at
    /// least 32 hours, and longer while it is requested.
    ///
    /// A value with a higher sequence number replaces one with a lower. The same value with the same number
    /// may be put again, by each owner of the key.
    ///
    /// # Errors
    ///
    /// [`PutError::TooLarge`] beyond 1782 bytes (a few less with a sequence number above 252),
    /// [`PutError::SeqTooLow`] and [`PutError::SeqReused`] if a node shows a signed value that bars this one,
    /// or none takes this one for that reason, [`PutError::Signer`] if a [`Signer`](crate::Signer) has
    /// failed, and [`PutError::Query`] if no node answered or took the value, or the node has been closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the query; some nodes may have the value.
    pub async fn mutable_put(
        &self,
        identity: impl Into<Identity>,
        seq: u64,
        value: &[u8],
    ) -> Result<Stored, PutError> {
        let (identity, value) = (identity.into(), value.to_vec());
        let operation = match identity.secret() {
            Ok(key_pair) => Operation::MutablePut { key_pair: key_pair.clone(), seq, value },
            Err(signer) => {
                let signature = signer.sign(mutable_signable(seq, &value)).await;
                let signature = signature.map_err(|error| {
                    warn!(%error, "the signer has failed");
                    PutError::Signer
                })?;
                let public_key = *identity.public_key();
                Operation::MutableRepublish(MutablePut { public_key, seq, value, signature })
            }
        };
        Ok(self.run(operation).await?.stored)
    }

    /// Stores a signed value again that was got from the DHT, on the nodes that are closest to the key's hash
    /// now, without the secret key. Put again once a day, a value outlives the absence of its owner. Only the
    /// owner can replace it. [`MutableValue::new`] makes a value of what an earlier run has stored.
    ///
    /// # Errors
    ///
    /// [`PutError::BadSignature`] if its key has not signed the value, otherwise as [`Self::mutable_put`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the query; some nodes may have the value.
    pub async fn mutable_republish(&self, value: &MutableValue) -> Result<Stored, PutError> {
        let MutableValue { key: public_key, seq, value, signature, .. } = value.clone();
        let put = MutablePut { public_key, seq, value, signature };
        Ok(self.run(Operation::MutableRepublish(put)).await?.stored)
    }

    /// Returns a builder that gets the value that a key signed once awaited.
    pub fn mutable_get(&self, key: &PublicKey) -> MutableGet {
        MutableGet { dht: self.clone(), key: *key, least: 0, latest: true }
    }

    /// Runs an operation in the driver and waits for what it finds.
    pub(super) async fn run(&self, operation: Operation) -> Result<dht::Found, Failure> {
        let (operation, peers) = (Box::new(operation), None);
        let command = |token, answer| Command::Operation { token, operation, peers, answer };
        Failure::unless_done(self.node().run(command).await)
    }
}

impl Announce {
    /// Adds a time stamp in Unix milliseconds, by which lookups notice that a topic has changed. Nodes ignore
    /// one below the latest that they know or more than a minute ahead of their clocks.
    pub fn bump(mut self, unix_milliseconds: u64) -> Self {
        if let Operation::Announce { bump, .. } = &mut self.operation {
            // The wire has no larger number, and no node would take one.
            *bump = unix_milliseconds.min((1 << 53) - 1);
        }
        self
    }
}

impl IntoFuture for Announce {
    type Output = Result<usize, QueryError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.dht.run(self.operation).await?.stored.nodes) })
    }
}

impl MutableGet {
    /// Ignores values with a lower sequence number. The default is 0.
    pub const fn least_seq(mut self, seq: u64) -> Self {
        self.least = seq;
        self
    }

    /// Sets whether to query to the end for the highest sequence number, or to take the first value that the
    /// key signed. The default is `true`.
    pub const fn latest(mut self, latest: bool) -> Self {
        self.latest = latest;
        self
    }
}

impl IntoFuture for MutableGet {
    type Output = Result<Option<MutableValue>, QueryError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { dht, key, least, latest } = self;
        Box::pin(async move {
            if least >= 1 << 53 {
                // No value can have such a number.
                return Ok(None);
            }
            Ok(dht.run(Operation::MutableGet { key, least, latest }).await?.signed)
        })
    }
}

/// Why an operation found or stored nothing.
pub(super) enum Failure {
    /// The node has been closed.
    Closed,
    /// Too many operations are under way.
    TooMany,
    Operation(OperationError),
}

impl Failure {
    /// Returns what an operation found or stored; `None` comes of a node that has been closed.
    pub(super) fn unless_done(outcome: Option<OperationOutcome>) -> Result<dht::Found, Self> {
        let result = outcome.ok_or(Self::Closed)?.ok_or(Self::TooMany)?;
        result.map_err(Self::Operation)
    }
}

impl From<Failure> for QueryError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Closed => Self::Closed,
            Failure::TooMany => Self::TooMany,
            Failure::Operation(OperationError::NoNetwork) => Self::NoNetwork,
            // The others come of putting a value only.
            Failure::Operation(_) => Self::NotStored,
        }
    }
}

impl From<Failure> for PutError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Operation(OperationError::Value(error)) => Self::of(error),
            Failure::Operation(OperationError::SeqReused) => Self::SeqReused,
            Failure::Operation(OperationError::SeqTooLow(stored)) => Self::SeqTooLow { stored },
            failure => Self::Query(failure.into()),
        }
    }
}

/// Relay addresses that nodes keep of an announcement.
const MAX_RELAYS: usize = 3;
