//! Replaces the identity of a client by another one, and finds profiles whose owners did.

use serde_json::Value;

use super::super::entry::KeyEntry;
use super::super::message::Request;
use super::super::record::Record;
use super::super::rotation::Rotation;
use super::dial::Dial;
use super::error::{ClientError, Denied};
use super::operations::{ProfileClient, record_in, sign};
use super::session::verified_chain;
use super::versions::Versions;
use crate::{KeyPair, PublicKey};

/// A profile that was looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// The record of the key that was asked for, or of the one that has replaced it.
    pub record: Record,
    /// The statements that lead from one to the other, verified; none if the key was not replaced.
    pub chain: Vec<Rotation>,
}

impl<D: Dial, V: Versions> ProfileClient<D, V> {
    /// Reads the record of any key. If its owner has replaced the key, that of the new one, with the
    /// statements that prove it.
    ///
    /// # Errors
    ///
    /// [`Denied::NotRegistered`] if there is none; otherwise any other [`ClientError`].
    ///
    /// # Cancel safety
    ///
    /// The connection is made anew if the future is dropped.
    pub async fn lookup(&mut self, key: PublicKey) -> Result<Found, ClientError> {
        let result = self.call(Request::Lookup { key, follow: true }).await?;
        let chain = result.get("chain").map(|chain| verified_chain(chain, &key)).transpose()?;
        let chain = chain.unwrap_or_default();
        let owner = chain.last().map_or(&key, Rotation::to);
        Ok(Found { record: record_in(&result, owner)?, chain })
    }

    /// Replaces the identity at the server: the profile moves to another key pair, and this one can do
    /// nothing any more. Succeeds if that was done already.
    ///
    /// `versions` is what is remembered of the server for the new key pair. Keep the new key pair safely
    /// before.
    ///
    /// # Errors
    ///
    /// [`Denied::Moved`] if another key pair has replaced this one; [`Denied::NotRegistered`] if there is no
    /// profile; [`Denied::AlreadyRegistered`] if the new key pair has, or had, a profile of its own;
    /// otherwise any other [`ClientError`].
    ///
    /// # Cancel safety
    ///
    /// The profile may or may not be moved when the future is dropped; repeating the call is safe.
    pub async fn rotate(&mut self, to: &KeyPair, versions: &mut impl Versions) -> Result<(), ClientError> {
        if let Some(first) = self.moved.first() {
            return match first.to() == to.public_key() {
                true => Ok(()),
                false => Err(Denied::Moved { chain: self.moved.clone() }.into()),
            };
        }
        let Some(stored) = self.record().cloned() else {
            return Err(Denied::NotRegistered.into());
        };
        let rotation = Rotation::sign(self.identity(), to);
        let record = sign(to, versions, 0, stored.profile().clone())?;
        let request = Request::Rotate { rotation: rotation.raw().clone(), record: (&record).into() };
        let result = self.call(request).await?;
        if result.get("moved") != Some(&Value::Bool(true)) {
            return Err(ClientError::Protocol("a rotation is answered otherwise"));
        }
        self.moved = vec![rotation];
        // The profile has moved in any case. Without this the client notices less, should the server lose it.
        versions.acknowledge(&KeyEntry::Present(record)).map_err(ClientError::Versions)
    }
}
