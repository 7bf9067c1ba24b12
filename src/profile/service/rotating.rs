//! Moves profiles to new keys, and finds those that were moved.

use tracing::info;

use super::super::entry::{Decision, KeyEntry, decide_rotation};
use super::super::follow::{Followed, follow};
use super::super::message::{Refusal, Success};
use super::super::record::RawRecord;
use super::super::rotation::RawRotation;
use super::super::store::{ApplyError, Store};
use super::answer::{Answerer, Caller, storage};
use crate::PublicKey;

impl<S: Store> Answerer<S> {
    /// Returns the record of a key, or of the one that has replaced it, and the statements from one to the
    /// other.
    pub(super) async fn find(&self, key: &PublicKey) -> Result<Success, Refusal> {
        let Followed { chain, entry } = self.follow(key).await?;
        match entry {
            KeyEntry::Present(record) => Ok(Success::Followed { record, chain }),
            KeyEntry::Moved { .. } => Err(Refusal::MovedTooOften),
            KeyEntry::Unknown | KeyEntry::Deleted { .. } => Err(Refusal::NotRegistered),
        }
    }

    /// Adds to the refusal of a key that was replaced how it goes on from there.
    pub(super) async fn complete(&self, refusal: Refusal) -> Refusal {
        let Refusal::Moved { chain } = &refusal else { return refusal };
        let Some(first) = chain.first() else { return refusal };
        match self.follow(first.from()).await {
            Ok(Followed { chain, .. }) => Refusal::Moved { chain },
            Err(failed) => failed,
        }
    }

    /// Moves the profile of a key to another one. The caller is either of them.
    pub(super) async fn rotate(
        &self,
        caller: &Caller,
        rotation: RawRotation,
        record: &RawRecord,
    ) -> Result<Success, Refusal> {
        let rotation = rotation.verify().map_err(|_| Refusal::BadStatement)?;
        let (from, to) = (rotation.from(), rotation.to());
        if ![from, to].contains(&caller.key.public_key()) || record.key != *to {
            return Err(Refusal::BadStatement);
        }
        // A key that is banned can't go on under another name, nor another one under its name.
        self.admit_key(from, caller.address)?;
        self.admit_key(to, caller.address)?;
        let record = record.verify()?;
        // Decided twice, as every change is.
        match decide_rotation(&self.load(from).await?, &self.load(to).await?, &rotation, &record) {
            Decision::Refuse(refusal) => return Err(refusal),
            // It may not be durable yet.
            Decision::Repeated => {}
            Decision::Write(_) => self.count_write(caller).await?,
        }
        match self.store.rotate(rotation.clone(), record).await {
            Ok(_) => {}
            Err(ApplyError::Refused(refusal)) => return Err(refusal),
            Err(ApplyError::Store(error)) => return Err(storage(&error)),
        }
        info!(from = %rotation.from().short(), to = %rotation.to().short(), "key replaced");
        Ok(Success::Moved)
    }

    async fn follow(&self, key: &PublicKey) -> Result<Followed, Refusal> {
        follow(&self.store, key).await.map_err(|error| storage(&error))
    }
}
