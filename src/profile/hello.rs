//! The greeting: the one thing that is done for a key that was only claimed.

use super::message::hello_line;
use super::store::{Store, StoreError};
use crate::api::ClaimedKey;

/// Returns the greeting for whoever claims the key: its record, which only the key's owner can decrypt on
/// this connection.
///
/// Nothing is written, counted, limited or logged for the key.
pub(super) async fn greeting<S: Store>(store: &S, claimed: ClaimedKey) -> Result<Vec<u8>, StoreError> {
    let entry = store.load(claimed.to_address_reply()).await?;
    Ok(hello_line(entry.record()))
}
