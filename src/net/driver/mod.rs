//! The task that owns the sockets and the endpoint of a node.

mod closing;
mod commands;
mod events;
mod io;
mod joining;
mod ready;
mod spin;
mod state;
mod timer;
mod turn;
mod waiters;

pub(crate) use state::{Started, has_runtime, start};
