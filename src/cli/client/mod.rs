//! `profile-client`: the commands of a person with an identity.

mod args;
mod dial;
mod doctor;
mod edit;
mod editor;
mod explain;
mod form;
mod identity;
mod loss;
mod names;
mod others;
pub(super) mod prompt;
mod proof;
mod protected;
mod publish;
mod qr;
mod rotate;
mod run;
mod secret;
mod servers;
pub(super) mod show;
mod visit;

pub use run::main;
