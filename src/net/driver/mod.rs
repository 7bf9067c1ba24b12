//! The task that owns the sockets and the endpoint of a node.

mod commands;
mod events;
mod join;
mod ready;
mod settings;
mod start;
mod turn;

pub(crate) use settings::{Settings, Snapshot, Started};
pub(super) use start::News;
pub(crate) use start::start;
