//! Records of others, whenever they change.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::super::message::Request;
use super::dial::Dial;
use super::error::ClientError;
use super::operations::ProfileClient;
use super::session::{CallError, Watched};
use super::versions::Versions;
use crate::PublicKey;

/// Watches the records of keys, from [`ProfileClient::watch`].
pub struct Watching<'a, D: Dial, V> {
    client: &'a mut ProfileClient<D, V>,
    keys: BTreeSet<PublicKey>,
    /// What was returned last for each key.
    pub(super) shown: BTreeMap<PublicKey, Watched>,
}

impl<D: Dial, V: Versions> ProfileClient<D, V> {
    /// Watches the records of up to [`MAX_WATCHED`](crate::profile::message::MAX_WATCHED) keys. Nothing is
    /// sent until [`Watching::next`] is awaited.
    pub fn watch(&mut self, keys: impl IntoIterator<Item = PublicKey>) -> Watching<'_, D, V> {
        Watching { client: self, keys: keys.into_iter().collect(), shown: BTreeMap::new() }
    }
}

impl<D: Dial, V: Versions> Watching<'_, D, V> {
    /// Waits for the next record, and returns it with its key: first what each key has, then what it has
    /// whenever that changes. Changes that follow each other faster than they are read show as the last of
    /// them. A key that was replaced is returned once more, with the record of the new one, which is watched
    /// in its place from then on.
    ///
    /// A lost connection is made anew, once per call, and what has changed meanwhile is returned.
    ///
    /// # Errors
    ///
    /// [`ClientError::OldServer`] if the server cannot notify;
    /// [`Denied::Closed`](super::Denied::Closed) if its operator has closed lookups; otherwise any other
    /// [`ClientError`]. A later call tries again.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a record that was not returned is returned later.
    pub async fn next(&mut self) -> Result<Watched, ClientError> {
        let mut ping_at = Instant::now() + PING;
        let mut was_lost = false;
        loop {
            let session = match &mut self.client.session {
                Some(session) if session.watches(&self.keys) => session,
                // The connection is new.
                _ => {
                    let keys = self.keys.iter().copied().collect();
                    self.client.call(Request::Watch { keys }).await?;
                    continue;
                }
            };
            match session.change(ping_at).await {
                Ok(Some(watched)) => {
                    if self.shown.get(&watched.key) == Some(&watched) {
                        continue;
                    }
                    let mut shown = watched.clone();
                    if let Some(last) = watched.chain.last() {
                        // Nothing is kept of the old key, so that a chain of keys takes no memory.
                        self.keys.remove(&watched.key);
                        self.shown.remove(&watched.key);
                        self.keys.insert(*last.to());
                        shown = Watched { key: *last.to(), chain: Vec::new(), ..shown };
                    }
                    self.shown.insert(shown.key, shown);
                    return Ok(watched);
                }
                Ok(None) => {
                    self.client.ping().await?;
                    ping_at = Instant::now() + PING;
                }
                Err(CallError::Lost(_)) if !was_lost => {
                    self.client.session = None;
                    was_lost = true;
                }
                Err(CallError::Lost(error) | CallError::Final(error)) => {
                    self.client.session = None;
                    return Err(error);
                }
            }
        }
    }
}

impl<D: Dial, V> fmt::Debug for Watching<'_, D, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watching").field("keys", &self.keys).finish_non_exhaustive()
    }
}

/// How often a quiet connection is used: a server that has died is noticed 2 s later. (The server ends a
/// connection that has no request for a minute.)
const PING: Duration = Duration::from_secs(5);
