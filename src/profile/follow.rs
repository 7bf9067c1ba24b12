//! Follows the statements of keys that were replaced.

use super::entry::KeyEntry;
use super::rotation::{MAX_CHAIN, Rotation};
use super::store::{Store, StoreError};
use crate::PublicKey;

/// Where the profile of a key has gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Followed {
    /// The statements from the key on; none if it was not replaced.
    pub(super) chain: Vec<Rotation>,
    /// What the last key has. A further statement if there are more than [`MAX_CHAIN`].
    pub(super) entry: KeyEntry,
}

/// Follows the statements from a key, at most [`MAX_CHAIN`] of them.
pub(super) async fn follow<S: Store>(store: &S, key: &PublicKey) -> Result<Followed, StoreError> {
    let mut chain = Vec::new();
    let mut entry = store.load(key).await?;
    while let KeyEntry::Moved { rotation, .. } = &entry
        && chain.len() < MAX_CHAIN
    {
        let to = *rotation.to();
        chain.push(rotation.clone());
        entry = store.load(&to).await?;
    }
    Ok(Followed { chain, entry })
}
