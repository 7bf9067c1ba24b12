//! What a swarm decides, without I/O: who is dialled, when, and which of two connections stays; when a topic
//! is announced and looked up.
//!
//! A [`Core`] is told what has happened and at what time, and says in [`Action`]s what is to be done. Its
//! only chance is a seed.

mod connections;
mod flush;
mod peers;
mod rivals;
mod state;
mod topic;
mod topics;

pub(super) use rivals::ConnectionId;
pub(super) use state::{Action, Core, FlushId};
pub use topic::Join;
pub(super) use topic::{QueryId, SessionId, Step};
