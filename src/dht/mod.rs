//! A Kademlia node, sans-IO: routing table, requests, queries, tokens, NAT sampling, commands and the record
//! store.
//!
//! A [`Node`] touches neither socket nor clock. Whoever drives it hands in datagrams and the time, and after
//! **every** call drains [`Node::poll_transmit`] and [`Node::poll_event`] until both are empty, then asks
//! [`Node::poll_timeout`] when to call [`Node::handle_timeout`].
//!
//! | file | what it holds |
//! |---|---|
//! | `node` | the node and its verbs |
//! | `requests` | sending requests, matching responses, learning nodes from both |
//! | `serve`, `commands` | answering requests, one file per family of commands |
//! | `asking` | what the layer above can ask the network for |
//! | `queries` | running walks: asking, committing, ending |
//! | `bootstrap` | entering the network, and finding out whether we can be reached |
//! | `upkeep` | what happens every five seconds |
//! | `health` | whether the network answers at all |
//! | `inflight`, `query`, `table`, `nat`, `silence`, `token`, `store`, `budget`, `patience` | the parts, none of which knows of the node |
//! | `sign`, `kept` | signatures of announcements, and announcements that outlive the node |

mod asking;
mod bootstrap;
mod budget;
mod commands;
mod config;
mod health;
mod inflight;
mod kept;
mod nat;
mod node;
mod patience;
mod queries;
mod query;
mod requests;
mod serve;
pub mod sign;
mod silence;
mod store;
mod table;
#[cfg(test)]
mod tests;
mod token;
mod types;
mod upkeep;

pub use asking::{MAX_IMMUTABLE, ValueError, immutable_value, max_mutable, mutable_value};
pub use config::{Algorithm, Config, Mode};
pub use health::Health;
pub use kept::{Kept, ParseKeptError};
pub use node::Node;
pub use table::K;
pub use types::{
    Answer, Commit, Drops, Event, Incoming, Outgoing, Query, QueryError, QueryId, QueryOutcome, Reply,
    RequestError, RequestId, Stats,
};

pub use crate::wire::rpc::{NodeId, Target, Token};
