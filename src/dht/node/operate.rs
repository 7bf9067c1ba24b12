//! What applications ask the network for.

use std::net::SocketAddrV4;
use std::time::Instant;

use super::verbs::Node;
use crate::dht::operations::{Findings, Operation, ValueError};
use crate::dht::types::{Query, QueryId};
use crate::keys::PublicKey;
use crate::wire::rpc::Target;

impl Node {
    /// Starts an operation. Pass each [`Event::QueryAnswer`](crate::dht::Event::QueryAnswer) of its query to
    /// [`Findings::on_answer`], and its [`Event::QueryDone`](crate::dht::Event::QueryDone) to
    /// [`Findings::finish`].
    ///
    /// # Errors
    ///
    /// [`ValueError`] if a value is too long to be read back, a sequence number has no form on the wire, or a
    /// signature does not hold.
    pub fn start(&mut self, now: Instant, operation: Operation) -> Result<(QueryId, Findings), ValueError> {
        if let Operation::Unannounce { target, identity } = &operation {
            self.service.forget_announcement(target, identity.public_key());
        }
        let (query, findings) = operation.into_query()?;
        Ok((self.query(now, query), findings))
    }

    /// Finds the server with this key. Each node that knows it shows in an
    /// [`Event::QueryAnswer`](crate::dht::Event::QueryAnswer) with a value. `seeds` are requested first.
    pub fn find_peer(&mut self, now: Instant, key: &PublicKey, seeds: Vec<SocketAddrV4>) -> QueryId {
        let query = Query { seeds, ..Query::find_peer(key) };
        self.query(now, query)
    }

    /// Finds the nodes nearest to `target`.
    #[cfg_attr(not(feature = "unstable-core"), allow(dead_code))]
    pub fn find_node(&mut self, now: Instant, target: Target) -> QueryId {
        self.query(now, Query::find_node(target))
    }
}
