//! The greeting: the only answer to a claimed key (`profile.md`, "Identity").

use super::entry::KeyEntry;
use super::follow::follow;
use super::message::{Refusal, hello_line};
use super::store::{Store, StoreError};
use crate::api::ClaimedKey;

/// Returns the greeting for a claimed key: a line with the key's record, or with the statements that have
/// replaced the key, which only the owner of the key can decrypt on this connection.
///
/// Nothing is written, counted, limited or logged for the key.
pub(super) async fn greeting<S: Store>(
    store: &S,
    claimed: ClaimedKey,
    refusal: Option<&Refusal>,
) -> Result<Vec<u8>, StoreError> {
    if refusal.is_some() {
        return Ok(hello_line(None, &[], refusal));
    }
    let key = claimed.to_address_reply();
    let entry = store.load(key).await?;
    let chain = match &entry {
        KeyEntry::Moved { .. } => follow(store, key).await?.chain,
        _ => Vec::new(),
    };
    Ok(hello_line(entry.record(), &chain, None))
}
