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
mod proof;
mod protected;
mod publish;
mod qr;
mod rotate;
mod run;
mod secret;
mod servers;
mod visit;

pub use run::main;
