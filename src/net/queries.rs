//! The operations of users under way, and how answers to them are collected.

use std::collections::BTreeMap;
use std::time::Instant;

use tokio::sync::oneshot;

use super::command::{Found, FoundPeer, FoundValue, Query, QueryFailure, Token, reply};
use crate::connect::Endpoint;
use crate::dht::{
    self, Answer, QueryError, QueryId, QueryOutcome, ValueError, immutable_value, mutable_value,
};
use crate::keys::PublicKey;
use crate::wire::compact::Decode;
use crate::wire::records::{LookupReply, Peer};
use crate::wire::rpc::{ERROR_SEQ_REUSED, ERROR_SEQ_TOO_LOW};

/// The queries under way.
#[derive(Debug, Default)]
pub(super) struct Queries {
    entries: BTreeMap<QueryId, Entry>,
}

#[derive(Debug)]
struct Entry {
    token: Token,
    answer: oneshot::Sender<Result<Found, QueryFailure>>,
    kind: Kind,
    found: Found,
}

#[derive(Debug)]
enum Kind {
    FindPeer,
    Lookup,
    Commit,
    ImmutableGet([u8; 32]),
    MutableGet {
        key: PublicKey,
        least: u64,
        latest: bool,
    },
    MutablePut {
        key: PublicKey,
        seq: u64,
        value: Vec<u8>,
    },
}

impl Queries {
    pub(super) fn start(
        &mut self,
        now: Instant,
        endpoint: &mut Endpoint,
        token: Token,
        query: Box<Query>,
        answer: oneshot::Sender<Result<Found, QueryFailure>>,
    ) {
        let started = if self.entries.len() >= MAX_QUERIES {
            Err(QueryFailure::TooMany)
        } else {
            start(now, endpoint.node(), *query).map_err(QueryFailure::Value)
        };
        match started {
            Ok((id, kind)) => {
                let entry = Entry {
                    token,
                    answer,
                    kind,
                    found: Found::default(),
                };
                self.entries.insert(id, entry);
            }
            Err(failure) => {
                reply(answer, Err(failure));
            }
        }
    }

    /// Takes what one node answered. What does not decode, or is not what it should be, counts for nothing.
    pub(super) fn handle_answer(&mut self, endpoint: &mut Endpoint, query: QueryId, answer: &Answer) {
        let Some(entry) = self.entries.get_mut(&query) else {
            return;
        };
        if let Some(result) = entry.take(answer)
            && let Some(entry) = self.entries.remove(&query)
        {
            endpoint.node().cancel_query(query);
            let result = result.map(|()| entry.found);
            reply(entry.answer, result);
        }
    }

    pub(super) fn handle_done(&mut self, query: QueryId, result: Result<QueryOutcome, QueryError>) {
        let Some(mut entry) = self.entries.remove(&query) else {
            return;
        };
        let result = match result {
            Ok(outcome) => {
                entry.found.committed = outcome.committed;
                entry.found.refused = outcome.refused.len();
                Ok(entry.found)
            }
            Err(QueryError::NoNodes) => Err(QueryFailure::NoNetwork),
            Err(QueryError::NotCommitted {
                error: Some(ERROR_SEQ_REUSED),
            }) => Err(QueryFailure::SeqReused),
            Err(QueryError::NotCommitted {
                error: Some(ERROR_SEQ_TOO_LOW),
            }) => Err(QueryFailure::SeqTooLow(None)),
            Err(QueryError::TooFewNodes | QueryError::NotCommitted { .. }) => Err(QueryFailure::NotStored),
        };
        reply(entry.answer, result);
    }

    /// Ends the query with this token, for whose answer no task waits any more.
    pub(super) fn give_up(&mut self, endpoint: &mut Endpoint, token: Token) {
        let id = self
            .entries
            .iter()
            .find_map(|(id, entry)| (entry.token == token).then_some(*id));
        if let Some(id) = id {
            self.entries.remove(&id);
            endpoint.node().cancel_query(id);
        }
    }
}

impl Entry {
    /// Takes what one node answered; returns the result if the query need not go on.
    fn take(&mut self, answer: &Answer) -> Option<Result<(), QueryFailure>> {
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
            Kind::ImmutableGet(target) => {
                let value = immutable_value(answer, target)?;
                self.found.value = Some(FoundValue {
                    from: answer.from,
                    seq: 0,
                    value: value.to_vec(),
                });
                return Some(Ok(()));
            }
            Kind::MutableGet { key, least, latest } => {
                let newest = self.found.value.as_ref();
                let least = newest.map_or(*least, |newest| newest.seq.saturating_add(1));
                let record = mutable_value(answer, key, least)?;
                self.found.value = Some(FoundValue {
                    from: answer.from,
                    seq: record.seq,
                    value: record.value,
                });
                return (!latest).then_some(Ok(()));
            }
            // A value that bars the one to put is proven by its signature, so one node is enough. Error codes
            // alone prove nothing.
            Kind::MutablePut { key, seq, value } => {
                let record = mutable_value(answer, key, *seq)?;
                if record.seq > *seq {
                    return Some(Err(QueryFailure::SeqTooLow(Some(record.seq))));
                }
                if record.value != *value {
                    return Some(Err(QueryFailure::SeqReused));
                }
            }
        }
        None
    }

    fn add_peers(&mut self, answer: &Answer, peers: Vec<Peer>, bump: u64) {
        let room = MAX_RECORDS.saturating_sub(self.found.peers.len());
        let peers = peers.into_iter().take(room);
        let from = answer.from;
        self.found
            .peers
            .extend(peers.map(|peer| FoundPeer { from, peer, bump }));
    }
}

fn start(now: Instant, node: &mut dht::Node, query: Query) -> Result<(QueryId, Kind), ValueError> {
    Ok(match query {
        Query::FindPeer(key) => (node.find_peer(now, &key, Vec::new()), Kind::FindPeer),
        Query::Lookup(target) => (node.lookup(now, target), Kind::Lookup),
        Query::Announce {
            target,
            key_pair,
            relays,
            bump,
        } => (node.announce(now, target, &key_pair, relays, bump), Kind::Commit),
        Query::Unannounce { target, key_pair } => (node.unannounce(now, target, &key_pair), Kind::Commit),
        Query::ImmutablePut(value) => (node.immutable_put(now, value)?, Kind::Commit),
        Query::ImmutableGet(target) => (node.immutable_get(now, target), Kind::ImmutableGet(target)),
        Query::MutablePut { key_pair, seq, value } => {
            let id = node.mutable_put(now, &key_pair, seq, value.clone())?;
            let key = *key_pair.public_key();
            (id, Kind::MutablePut { key, seq, value })
        }
        Query::MutableGet { key, least, latest } => {
            let id = node.mutable_get(now, &key, least)?;
            (id, Kind::MutableGet { key, least, latest })
        }
    })
}

/// Queries of the user's own at the same time.
const MAX_QUERIES: usize = 256;

/// Records kept of one query: strangers answer it.
const MAX_RECORDS: usize = 4096;
