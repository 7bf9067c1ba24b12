//! A Kademlia node, sans-IO: routing table, requests, queries, tokens, NAT sampling, commands and the record
//! store.
//!
//! A [`Node`] touches neither socket nor clock. Its driver passes in datagrams and the time, and after
//! **every** call drains [`Node::poll_transmit`] and [`Node::poll_event`] until both are empty, then sets a
//! timer for [`Node::poll_timeout`], at which it calls [`Node::handle_timeout`].
//!
//! | file | what it holds |
//! |---|---|
//! | `node/` | the node: its verbs, and what it does by occasion; the only `impl` blocks of [`Node`] |
//! | `types`, `config`, `policy`, `operations`, `stats` | what passes between a node and the layer above |
//! | `requests`: `pending`, `window` | requests that wait for a response |
//! | `responsiveness`: `unresponsive`, `latency`, `health` | what the fate of requests shows |
//! | `queries`: `walk`, `closest`, `commit`, `sign` | running queries, the walk of each, signatures |
//! | `membership`: `table` | the nodes that this node knows |
//! | `address`: `nat` | the own address, as others see it |
//! | `joining` | how far a node has come in joining the network, and the check of its firewall |
//! | `serve/`: `token`, `store`, `topics`, `ledger`, `kept`, `budget` | what a node does for others |
//! | `upkeep`, `outbox` | the clock of ticks; datagrams and events that wait for the driver |

mod address;
pub(crate) mod budget;
mod closest;
mod commit;
mod config;
mod health;
mod joining;
mod kept;
mod latency;
mod ledger;
mod membership;
mod nat;
mod node;
mod operations;
mod outbox;
mod pending;
mod policy;
mod queries;
mod requests;
mod responsiveness;
mod serve;
pub mod sign;
mod stats;
mod store;
mod table;
#[cfg(test)]
mod tests;
mod token;
mod topics;
mod types;
mod unresponsive;
mod unsigned;
mod upkeep;
mod walk;
mod window;

pub use config::{Config, Mode};
pub use health::Health;
pub use kept::{Kept, ParseKeptError};
pub use node::Node;
pub use operations::{
    Findings, Found, FoundPeer, FoundValue, MAX_IMMUTABLE, Operation, OperationError, Stored, ValueError,
    max_mutable,
};
pub use policy::Policy;
pub use requests::max_request;
pub use stats::{Drops, Fill, Stats};
pub use table::K;
pub use types::{
    Answer, Commit, Event, Incoming, Outgoing, Query, QueryError, QueryId, QueryOutcome, Reply, RequestError,
    RequestId,
};
pub use unsigned::Unsigned;

pub use crate::wire::rpc::{NodeId, Target, Token};
