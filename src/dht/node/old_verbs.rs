//! One verb for each operation, for callers that have not moved to [`Node::start`].

use std::net::SocketAddrV4;
use std::time::Instant;

use super::verbs::Node;
use crate::dht::operations::{Operation, ValueError};
use crate::dht::types::{Commit, Query, QueryId};
use crate::keys::{KeyPair, PublicKey};
use crate::wire::rpc::{LOOKUP, Target};

impl Node {
    /// See [`Operation::Lookup`].
    pub fn lookup(&mut self, now: Instant, target: Target) -> QueryId {
        self.query(now, Query::application(LOOKUP, target))
    }

    /// See [`Operation::Announce`].
    pub fn announce(
        &mut self,
        now: Instant,
        target: Target,
        key_pair: &KeyPair,
        relays: Vec<SocketAddrV4>,
        bump: u64,
    ) -> QueryId {
        let key_pair = key_pair.clone();
        let commit = Commit::Announce {
            key_pair,
            relays,
            bump,
        };
        let query = Query::application(LOOKUP, target);
        self.query(now, Query { commit, ..query })
    }

    /// See [`Operation::Unannounce`].
    pub fn unannounce(&mut self, now: Instant, target: Target, key_pair: &KeyPair) -> QueryId {
        self.service.forget_announcement(&target, key_pair.public_key());
        let key_pair = key_pair.clone();
        let commit = Commit::Unannounce { key_pair };
        let query = Query::application(LOOKUP, target);
        self.query(now, Query { commit, ..query })
    }

    /// See [`Operation::ImmutablePut`].
    ///
    /// # Errors
    ///
    /// [`ValueError::TooLarge`].
    pub fn immutable_put(&mut self, now: Instant, value: Vec<u8>) -> Result<QueryId, ValueError> {
        Ok(self.start(now, Operation::ImmutablePut(value))?.0)
    }

    /// See [`Operation::ImmutableGet`].
    pub fn immutable_get(&mut self, now: Instant, target: Target) -> QueryId {
        self.query(now, Query::application(crate::wire::rpc::IMMUTABLE_GET, target))
    }

    /// See [`Operation::MutablePut`].
    ///
    /// # Errors
    ///
    /// [`ValueError`].
    pub fn mutable_put(
        &mut self,
        now: Instant,
        key_pair: &KeyPair,
        seq: u64,
        value: Vec<u8>,
    ) -> Result<QueryId, ValueError> {
        let key_pair = key_pair.clone();
        let operation = Operation::MutablePut { key_pair, seq, value };
        Ok(self.start(now, operation)?.0)
    }

    /// See [`Operation::MutableGet`].
    ///
    /// # Errors
    ///
    /// [`ValueError::SeqTooLarge`].
    pub fn mutable_get(&mut self, now: Instant, key: &PublicKey, least: u64) -> Result<QueryId, ValueError> {
        let operation = Operation::MutableGet {
            key: *key,
            least,
            latest: true,
        };
        Ok(self.start(now, operation)?.0)
    }
}
