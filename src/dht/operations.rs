//! What an application asks the network for, and what the responses prove.

use std::net::SocketAddrV4;

use super::types::{Answer, Commit, Query, QueryError, QueryOutcome};
use crate::identity::Identity;
use crate::keys::{KeyPair, PublicKey};
use crate::wire::compact::{Decode, Encode, MAX_VARUINT, Put, varuint_len};
use crate::wire::hash;
use crate::wire::records::{LookupReply, MutablePut, MutableValue, Peer, mutable_signable};
use crate::wire::rpc::{self, ERROR_SEQ_REUSED, ERROR_SEQ_TOO_LOW, MAX_CLOSER, MAX_DATAGRAM, Target};

/// What an application asks the network for.
#[derive(Clone, Debug)]
pub enum Operation {
    /// Finds the server with this key.
    FindPeer(PublicKey),
    /// Finds the peers that are announced under a target.
    Lookup(Target),
    /// Announces the key of `identity` under a target, on the nodes nearest to it.
    Announce {
        /// The target.
        target: Target,
        /// Whose key is announced, and who signs.
        identity: Identity,
        /// Where the announced peer can be reached; nodes keep the first three.
        relays: Vec<SocketAddrV4>,
        /// A time stamp in Unix milliseconds; 0 is none.
        bump: u64,
    },
    /// Takes the announcements of `identity` under a target back, at every node on the way that holds one.
    Unannounce {
        /// The target.
        target: Target,
        /// Whose announcements go, and who signs.
        identity: Identity,
    },
    /// Stores a value under its hash, on the nodes nearest to it. At most [`MAX_IMMUTABLE`] bytes.
    ImmutablePut(Vec<u8>),
    /// Finds the value with this hash.
    ImmutableGet(Target),
    /// Stores a signed value under its key, on the nodes nearest to it. Nodes refuse a sequence number below
    /// the one that they hold, and another value under the same one.
    MutablePut {
        /// The key that signs.
        key_pair: KeyPair,
        /// The sequence number.
        seq: u64,
        /// The value, at most [`max_mutable`] bytes.
        value: Vec<u8>,
    },
    /// Stores a value that was signed before, as [`Self::MutablePut`] does, without the secret key.
    MutableRepublish(MutablePut),
    /// Finds the value that a key signed.
    MutableGet {
        /// The key.
        key: PublicKey,
        /// The lowest sequence number that counts.
        least: u64,
        /// Whether to walk to the end for the highest sequence number, rather than to take the first value.
        latest: bool,
    },
}

/// Why an operation does not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Nodes would store the value, and none could read it back: the response would be longer than a datagram
    /// may be.
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
    /// The key has not signed the value with this sequence number.
    #[error("the key has not signed this value")]
    BadSignature,
}

/// Why an operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OperationError {
    /// No node responded, so this one is most likely not connected to a network.
    #[error("no node of the network answered")]
    NoNetwork,
    /// No node took the announcement or the value.
    #[error("no node stored it")]
    NotStored,
    /// Another value has the same sequence number.
    #[error("another value is stored under the same sequence number")]
    SeqReused,
    /// A value with a higher sequence number is stored, with this one if a node showed it.
    #[error("a value with a higher sequence number is stored")]
    SeqTooLow(Option<u64>),
    /// The operation did not start.
    #[error(transparent)]
    Value(#[from] ValueError),
}

/// What an operation found or stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The peers that nodes named; several nodes may name the same one.
    pub peers: Vec<FoundPeer>,
    /// The value under a hash.
    pub value: Option<Vec<u8>>,
    /// The value that a key signed.
    pub signed: Option<FoundValue>,
    /// What became of an announcement or a value that was put.
    pub stored: Stored,
}

/// A peer that a node named.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FoundPeer {
    /// The node that answered.
    pub from: SocketAddrV4,
    /// Key of the peer that announced itself.
    pub public_key: PublicKey,
    /// Nodes through which the peer claims to be reachable.
    pub relay_addresses: Vec<SocketAddrV4>,
    /// The latest time stamp that any peer announced to the topic with, as this node knows it, in Unix
    /// milliseconds; 0 if there is none. Nothing proves it.
    pub bump: u64,
}

/// A signed value, with what it takes to store it again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FoundValue {
    /// The node that answered with it; `None` if it was made by [`Self::new`].
    pub from: Option<SocketAddrV4>,
    /// The key whose owner signed it.
    pub key: PublicKey,
    /// Version of the value; a higher one replaces a lower.
    pub seq: u64,
    /// The value.
    pub value: Vec<u8>,
    /// The signature of the key's owner over version and value.
    pub signature: [u8; 64],
}

impl FoundValue {
    /// Makes a value of what a program has stored of one, to put it again. The signature is checked then.
    pub const fn new(key: PublicKey, seq: u64, value: Vec<u8>, signature: [u8; 64]) -> Self {
        Self { from: None, key, seq, value, signature }
    }
}

/// What became of an announcement or a value that was put.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored {
    /// What to get it by: the target, which is the hash of a value or of the key that it was signed with.
    pub target: [u8; 32],
    /// Nodes that took it, 20 at most.
    pub nodes: usize,
    /// Nodes that refused it. They may hold a newer value, or lie.
    pub refused: usize,
}

/// Collects what the responses to one operation prove.
#[derive(Debug)]
pub struct Findings {
    kind: Kind,
    found: Found,
    /// Peers that were taken before the end.
    taken: usize,
}

/// How the responses to an operation are read.
#[derive(Debug)]
enum Kind {
    FindPeer,
    Lookup,
    Commit,
    ImmutableGet,
    MutableGet { key: PublicKey, least: u64, latest: bool },
    MutablePut { key: PublicKey, seq: u64, value: Vec<u8> },
}

impl Operation {
    /// Returns the query that carries the operation out, and what collects its responses.
    ///
    /// # Errors
    ///
    /// [`ValueError`] if a value is too long to be read back, a sequence number has no form on the wire, or a
    /// signature does not hold.
    pub fn into_query(self) -> Result<(Query, Findings), ValueError> {
        let (query, kind) = match self {
            Self::FindPeer(key) => (Query::find_peer(&key), Kind::FindPeer),
            Self::Lookup(target) => (Query::application(rpc::LOOKUP, target), Kind::Lookup),
            Self::Announce { target, identity, relays, bump } => {
                let commit = Commit::Announce { identity, relays, bump };
                let query = Query::application(rpc::LOOKUP, target);
                (Query { commit, ..query }, Kind::Commit)
            }
            Self::Unannounce { target, identity } => {
                let commit = Commit::Unannounce { identity };
                let query = Query::application(rpc::LOOKUP, target);
                (Query { commit, ..query }, Kind::Commit)
            }
            Self::ImmutablePut(value) => {
                check_size(value.len(), MAX_IMMUTABLE)?;
                let query = Query::application(rpc::IMMUTABLE_GET, hash::hash(&[&value]));
                let commit = Commit::Send { command: rpc::IMMUTABLE_PUT, value: Some(value) };
                (Query { commit, ..query }, Kind::Commit)
            }
            Self::ImmutableGet(target) => {
                let query = Query::application(rpc::IMMUTABLE_GET, target);
                (query, Kind::ImmutableGet)
            }
            Self::MutablePut { key_pair, seq, value } => {
                check_signed(seq, &value)?;
                let public_key = *key_pair.public_key();
                let signature = key_pair.sign(&mutable_signable(seq, &value));
                mutable_put(MutablePut { public_key, seq, value, signature })
            }
            Self::MutableRepublish(put) => {
                check_signed(put.seq, &put.value)?;
                let signable = mutable_signable(put.seq, &put.value);
                if !put.public_key.verify(&signable, &put.signature) {
                    return Err(ValueError::BadSignature);
                }
                mutable_put(put)
            }
            Self::MutableGet { key, least, latest } => {
                check_seq(least)?;
                let query = mutable_get(key.target(), least);
                (query, Kind::MutableGet { key, least, latest })
            }
        };
        let stored = Stored { target: query.target, ..Stored::default() };
        let found = Found { stored, ..Found::default() };
        Ok((query, Findings { kind, found, taken: 0 }))
    }
}

impl Findings {
    /// Handles the response of one node. What does not decode, or is not what it should be, counts for
    /// nothing. Returns the result if the query need not go on: the caller then cancels it.
    pub fn on_answer(&mut self, answer: &Answer) -> Option<Result<Found, OperationError>> {
        match &self.kind {
            Kind::FindPeer => {
                let peer = Peer::from_bytes(answer.value.as_ref()?).ok()?;
                self.add_peers(answer, vec![peer], 0);
            }
            Kind::Lookup => {
                let reply = LookupReply::from_bytes(answer.value.as_ref()?).ok()?;
                self.add_peers(answer, reply.peers, reply.bump);
            }
            Kind::Commit => {}
            Kind::ImmutableGet => {
                let value = immutable_value(answer, &self.found.stored.target)?;
                self.found.value = Some(value.to_vec());
                return Some(Ok(std::mem::take(&mut self.found)));
            }
            Kind::MutableGet { key, least, latest } => {
                let newest = self.found.signed.as_ref();
                let least = newest.map_or(*least, |newest| newest.seq.saturating_add(1));
                let MutableValue { seq, value, signature } = mutable_value(answer, key, least)?;
                let found = FoundValue::new(*key, seq, value, signature);
                self.found.signed = Some(FoundValue { from: Some(answer.from), ..found });
                return (!latest).then(|| Ok(std::mem::take(&mut self.found)));
            }
            // A value that bars the one to put is proven by its signature, so one node is enough. Error codes
            // alone prove nothing.
            Kind::MutablePut { key, seq, value } => {
                let record = mutable_value(answer, key, *seq)?;
                if record.seq > *seq {
                    return Some(Err(OperationError::SeqTooLow(Some(record.seq))));
                }
                if record.value != *value {
                    return Some(Err(OperationError::SeqReused));
                }
            }
        }
        None
    }

    /// Takes the peers found since the last call; they are not part of the result then.
    pub fn take_peers(&mut self) -> Vec<FoundPeer> {
        self.taken += self.found.peers.len();
        std::mem::take(&mut self.found.peers)
    }

    /// Returns the result of the operation whose query has ended with `result`.
    ///
    /// # Errors
    ///
    /// [`OperationError`] if no node responded, or none stored what was to be stored.
    pub fn finish(mut self, result: Result<QueryOutcome, QueryError>) -> Result<Found, OperationError> {
        let not_committed = |error| match error {
            Some(ERROR_SEQ_REUSED) => OperationError::SeqReused,
            Some(ERROR_SEQ_TOO_LOW) => OperationError::SeqTooLow(None),
            _ => OperationError::NotStored,
        };
        let outcome = result.map_err(|error| match error {
            QueryError::NoNodes => OperationError::NoNetwork,
            QueryError::TooFewNodes => OperationError::NotStored,
            QueryError::NotCommitted { error } => not_committed(error),
        })?;
        self.found.stored.nodes = outcome.committed;
        self.found.stored.refused = outcome.refused.len();
        Ok(self.found)
    }

    fn add_peers(&mut self, answer: &Answer, peers: Vec<Peer>, bump: u64) {
        let room = MAX_RECORDS.saturating_sub(self.taken + self.found.peers.len());
        let peers = peers.into_iter().take(room).map(|peer| FoundPeer {
            from: answer.from,
            public_key: peer.public_key,
            relay_addresses: peer.relay_addresses,
            bump,
        });
        self.found.peers.extend(peers);
    }
}

/// Returns the value that `answer` holds, if it is the one with this hash.
pub(super) fn immutable_value<'a>(answer: &'a Answer, target: &Target) -> Option<&'a [u8]> {
    let value = answer.value.as_deref()?;
    (hash::hash(&[value]) == *target).then_some(value)
}

/// Returns the value that `answer` holds, if `key` signed it and its sequence number is at least `least`.
pub(super) fn mutable_value(answer: &Answer, key: &PublicKey, least: u64) -> Option<MutableValue> {
    let record = MutableValue::from_bytes(answer.value.as_deref()?).ok()?;
    let signable = mutable_signable(record.seq, &record.value);
    (record.seq >= least && key.verify(&signable, &record.signature)).then_some(record)
}

/// Returns how many bytes a mutable value may have so that the response that holds it fits a datagram: 1782
/// up to sequence number 252.
pub const fn max_mutable(seq: u64) -> usize {
    // Beside the value: its length, the sequence number and the signature.
    MAX_IMMUTABLE - varuint_len(seq) - 3 - 64
}

/// Makes the query that stores a signed value.
fn mutable_put(put: MutablePut) -> (Query, Kind) {
    let commit = Commit::Send { command: rpc::MUTABLE_PUT, value: Some(put.to_bytes()) };
    let MutablePut { public_key: key, seq, value, .. } = put;
    let query = Query { commit, ..mutable_get(key.target(), 0) };
    (query, Kind::MutablePut { key, seq, value })
}

/// Makes the query for mutable values from sequence number `least` on.
fn mutable_get(target: Target, least: u64) -> Query {
    let mut value = Vec::with_capacity(varuint_len(least));
    value.put_varuint(least);
    Query { value: Some(value), ..Query::application(rpc::MUTABLE_GET, target) }
}

fn check_signed(seq: u64, value: &[u8]) -> Result<(), ValueError> {
    check_seq(seq)?;
    check_size(value.len(), max_mutable(seq))
}

const fn check_seq(seq: u64) -> Result<(), ValueError> {
    if seq > MAX_VARUINT {
        return Err(ValueError::SeqTooLarge);
    }
    Ok(())
}

const fn check_size(size: usize, max: usize) -> Result<(), ValueError> {
    if size > max {
        return Err(ValueError::TooLarge { size, max });
    }
    Ok(())
}

/// Bytes of an immutable value, at most, so that the response that holds it fits a datagram: 1850. The
/// response also has a header, an id, a token, a full list of closer nodes and the length of the value.
pub const MAX_IMMUTABLE: usize = MAX_DATAGRAM - (10 + 32 + 32 + 1 + MAX_CLOSER * 6 + 3);

/// Peers kept of one operation: strangers name them.
const MAX_RECORDS: usize = 4096;
