//! What the layer above asks the network for: nodes, servers, announcements and values.

use std::net::SocketAddrV4;
use std::time::Instant;

use super::node::Node;
use super::queries::{bare_peer, find_node};
use super::types::{Answer, Commit, Outgoing, Query, QueryId};
use crate::keys::{KeyPair, PublicKey};
use crate::wire::compact::{Decode, Encode, MAX_VARUINT, Put, varuint_len};
use crate::wire::hash;
use crate::wire::records::{MutablePut, MutableValue, mutable_signable};
use crate::wire::rpc::{self, MAX_CLOSER, MAX_DATAGRAM, Target};

/// Why a value is not put at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Nodes would store it, and nobody could read it back: the answer would be longer than a datagram may
    /// be.
    #[error("a value of {size} bytes is too large, at most {max} bytes can be read back")]
    TooLarge {
        /// Size of the value in bytes.
        size: usize,
        /// What is allowed, in bytes.
        max: usize,
    },
    /// The wire has no form for a sequence number that large.
    #[error("a sequence number is at most {MAX_VARUINT}")]
    SeqTooLarge,
}

impl Node {
    /// Looks for the server with this key. Each node that knows it shows in an
    /// [`Event::QueryAnswer`](super::Event::QueryAnswer) with a value. `seeds` are asked first.
    pub fn find_peer(&mut self, now: Instant, key: &PublicKey, seeds: Vec<SocketAddrV4>) -> QueryId {
        let query = Query {
            seeds,
            retries: Outgoing::RETRIES,
            ..Query::application(rpc::FIND_PEER, key.target())
        };
        self.query(now, query)
    }

    /// Looks for the nodes nearest to `target`.
    pub fn find_node(&mut self, now: Instant, target: Target) -> QueryId {
        self.query(now, find_node(target))
    }

    /// Looks for those who announced themselves to `target`.
    pub fn lookup(&mut self, now: Instant, target: Target) -> QueryId {
        self.query(now, Query::application(rpc::LOOKUP, target))
    }

    /// Announces the key of `key_pair` to `target` at the nodes nearest to it.
    pub fn announce(
        &mut self,
        now: Instant,
        target: Target,
        key_pair: &KeyPair,
        relays: Vec<SocketAddrV4>,
        bump: u64,
    ) -> QueryId {
        let commit = Commit::Announce {
            key_pair: key_pair.clone(),
            relays,
            bump,
        };
        let query = Query::application(rpc::LOOKUP, target);
        self.query(now, Query { commit, ..query })
    }

    /// Takes back the announcements of `key_pair` to `target`, at every node on the way that holds one.
    pub fn unannounce(&mut self, now: Instant, target: Target, key_pair: &KeyPair) -> QueryId {
        self.forget_announcement(&target, &bare_peer(key_pair));
        let commit = Commit::Unannounce {
            key_pair: key_pair.clone(),
        };
        let query = Query::application(rpc::LOOKUP, target);
        self.query(now, Query { commit, ..query })
    }

    /// Stores a value under its hash at the nodes nearest to it.
    ///
    /// # Errors
    ///
    /// [`ValueError::TooLarge`] beyond [`MAX_IMMUTABLE`].
    pub fn immutable_put(&mut self, now: Instant, value: Vec<u8>) -> Result<QueryId, ValueError> {
        check_size(value.len(), MAX_IMMUTABLE)?;
        let target = hash::hash(&[&value]);
        let commit = Commit::Send {
            command: rpc::IMMUTABLE_PUT,
            value: Some(value),
        };
        let query = Query::application(rpc::IMMUTABLE_GET, target);
        Ok(self.query(now, Query { commit, ..query }))
    }

    /// Looks for the value with this hash. Pass each [`Answer`] to [`immutable_value`].
    pub fn immutable_get(&mut self, now: Instant, target: Target) -> QueryId {
        self.query(now, Query::application(rpc::IMMUTABLE_GET, target))
    }

    /// Stores a signed value under its key at the nodes nearest to it. Nodes refuse a sequence number below
    /// the one that they hold, and another value under the same one.
    ///
    /// # Errors
    ///
    /// [`ValueError`]. The most that a value may have is [`max_mutable`].
    pub fn mutable_put(
        &mut self,
        now: Instant,
        key_pair: &KeyPair,
        seq: u64,
        value: Vec<u8>,
    ) -> Result<QueryId, ValueError> {
        if seq > MAX_VARUINT {
            return Err(ValueError::SeqTooLarge);
        }
        check_size(value.len(), max_mutable(seq))?;
        let put = MutablePut {
            public_key: *key_pair.public_key(),
            seq,
            signature: key_pair.sign(&mutable_signable(seq, &value)),
            value,
        };
        let commit = Commit::Send {
            command: rpc::MUTABLE_PUT,
            value: Some(put.to_bytes()),
        };
        let query = mutable_get(put.public_key.target(), 0);
        Ok(self.query(now, Query { commit, ..query }))
    }

    /// Looks for the values of a key from sequence number `least` on. Pass each [`Answer`] to
    /// [`mutable_value`].
    ///
    /// # Errors
    ///
    /// [`ValueError::SeqTooLarge`].
    pub fn mutable_get(&mut self, now: Instant, key: &PublicKey, least: u64) -> Result<QueryId, ValueError> {
        if least > MAX_VARUINT {
            return Err(ValueError::SeqTooLarge);
        }
        Ok(self.query(now, mutable_get(key.target(), least)))
    }
}

/// Returns the value that `answer` holds, if it is the one with this hash.
pub fn immutable_value<'a>(answer: &'a Answer, target: &Target) -> Option<&'a [u8]> {
    let value = answer.value.as_deref()?;
    (hash::hash(&[value]) == *target).then_some(value)
}

/// Returns the value that `answer` holds, if `key` signed it and its sequence number is at least `least`.
pub fn mutable_value(answer: &Answer, key: &PublicKey, least: u64) -> Option<MutableValue> {
    let record = MutableValue::from_bytes(answer.value.as_deref()?).ok()?;
    let signable = mutable_signable(record.seq, &record.value);
    (record.seq >= least && key.verify(&signable, &record.signature)).then_some(record)
}

/// Returns how many bytes a mutable value may have so that the answer that holds it fits a datagram: 1782 up
/// to sequence number 252.
pub const fn max_mutable(seq: u64) -> usize {
    // Beside the value: its length, the sequence number and the signature.
    MAX_IMMUTABLE - varuint_len(seq) - 3 - 64
}

fn mutable_get(target: Target, least: u64) -> Query {
    let mut value = Vec::with_capacity(varuint_len(least));
    value.put_varuint(least);
    Query {
        value: Some(value),
        ..Query::application(rpc::MUTABLE_GET, target)
    }
}

const fn check_size(size: usize, max: usize) -> Result<(), ValueError> {
    if size > max {
        return Err(ValueError::TooLarge { size, max });
    }
    Ok(())
}

/// Bytes of an immutable value, at most, so that the answer that holds it fits a datagram: 1850. The answer
/// also has a header, an id, a token, a full list of closer nodes and the length of the value.
pub const MAX_IMMUTABLE: usize = MAX_DATAGRAM - (10 + 32 + 32 + 1 + MAX_CLOSER * 6 + 3);
