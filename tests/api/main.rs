//! The promises of the public interface, kept over loopback as a user would call it.

#![allow(clippy::unwrap_used)]

mod connections;
mod life;
mod messages;
mod nodes;
mod records;
mod requests;
mod servers;
mod signers;
mod states;
mod stats;
mod world;
