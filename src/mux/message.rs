//! What a channel carries.

use bytes::Bytes;

/// A message of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its type: in JavaScript the place among the calls of `addMessage`, from 0.
    pub kind: u64,
    /// What it holds.
    pub content: Bytes,
}
