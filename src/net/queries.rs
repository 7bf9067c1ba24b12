//! Queries of the user's own.

use std::collections::BTreeMap;
use std::time::Instant;

use tokio::sync::oneshot;

use super::command::{Found, Query, QueryFailure, Token};
use crate::connect::Endpoint;
use crate::dht::{Answer, QueryError, QueryId, QueryOutcome};
use crate::wire::compact::Decode;
use crate::wire::records::{LookupReply, Peer};

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

#[derive(Clone, Copy, Debug)]
enum Kind {
    FindPeer,
    Lookup,
    Commit,
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
        if self.entries.len() >= MAX_QUERIES {
            // Whoever asked may have left.
            let _ = answer.send(Err(QueryFailure::TooMany));
            return;
        }
        let node = endpoint.node();
        let (id, kind) = match *query {
            Query::FindPeer(key) => (node.find_peer(now, &key, Vec::new()), Kind::FindPeer),
            Query::Lookup(target) => (node.lookup(now, target), Kind::Lookup),
            Query::Announce {
                target,
                key_pair,
                relays,
            } => (
                node.announce(now, target, &key_pair, relays, 0),
                Kind::Commit,
            ),
            Query::Unannounce { target, key_pair } => {
                (node.unannounce(now, target, &key_pair), Kind::Commit)
            }
        };
        let found = Found::default();
        self.entries.insert(
            id,
            Entry {
                token,
                answer,
                kind,
                found,
            },
        );
    }

    /// Takes what one node answered. What does not decode counts for nothing.
    pub(super) fn answered(&mut self, query: QueryId, answer: &Answer) {
        let Some(entry) = self.entries.get_mut(&query) else {
            return;
        };
        let Some(value) = &answer.value else {
            return;
        };
        let peers = match entry.kind {
            Kind::FindPeer => Peer::from_bytes(value).map(|peer| vec![peer]),
            Kind::Lookup => LookupReply::from_bytes(value).map(|reply| reply.peers),
            Kind::Commit => return,
        };
        let room = MAX_RECORDS.saturating_sub(entry.found.records.len());
        let records = peers.unwrap_or_default().into_iter().take(room);
        entry
            .found
            .records
            .extend(records.map(|peer| (answer.from, peer)));
    }

    pub(super) fn done(&mut self, query: QueryId, result: Result<QueryOutcome, QueryError>) {
        let Some(mut entry) = self.entries.remove(&query) else {
            return;
        };
        let result = match result {
            Ok(outcome) => {
                entry.found.committed = outcome.committed;
                Ok(entry.found)
            }
            Err(QueryError::NoNodes) => Err(QueryFailure::NoNetwork),
            Err(QueryError::TooFewNodes | QueryError::NotCommitted) => Err(QueryFailure::NotStored),
        };
        // Whoever asked may have left.
        let _ = entry.answer.send(result);
    }

    /// Ends the query that nobody waits for any more.
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

/// Queries of the user's own at the same time.
const MAX_QUERIES: usize = 256;

/// Records kept of one query: strangers answer it.
const MAX_RECORDS: usize = 4096;
