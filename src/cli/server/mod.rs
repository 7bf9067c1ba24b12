//! `profile-server`: a store, a node and a service.

mod admin;
mod args;
#[cfg(unix)]
mod ask;
#[cfg(not(unix))]
#[path = "no_ask.rs"]
mod ask;
mod backup;
mod check;
#[cfg(unix)]
mod control;
#[cfg(not(unix))]
#[path = "no_control.rs"]
mod control;
mod folder;
mod move_store;
mod place;
mod restore;
mod run;
mod schedule;
mod snapshot;

pub(super) use place::STORE_VARIABLE;
pub(super) use run::default_folder;
pub use run::main;
