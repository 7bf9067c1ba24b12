//! `profile-client`: the commands of a person with an identity.

mod args;
mod dial;
mod doctor;
mod edit;
mod explain;
mod identity;
mod loss;
mod prompt;
mod run;
mod show;
mod visit;

pub use run::main;
