//! `profile-server`: a store, a node and a service.

mod args;
mod run;

pub(super) use run::default_folder;
pub use run::main;
