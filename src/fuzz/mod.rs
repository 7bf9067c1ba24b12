//! What strangers may send, made from bytes: the bodies of the fuzz targets.
//!
//! Each target takes bytes and panics if what must hold does not. `fuzz/` runs them under libFuzzer;
//! `cargo test --lib fuzz::` replays `fuzz/corpus` and mutates it.
//!
//! | module | targets |
//! |---|---|
//! | `messages` | values of every message of `wire`, made from bytes |
//! | `decoders` | every decoder: input fails, or is a value that reads back from its encoding |
//! | `secrets` | what is encrypted: frames, datagrams, handshakes |
//! | `files`, `backups` | what programs read from files |
//! | `lines` | lines and sessions of the profile service |
//! | `streams` | two tables of streams, joined by a link that an adversary runs |
//! | `mux::hostile`, beside the channels | a peer that breaks the protocol of channels |
//! | `node`, `endpoint` | a DHT node and a whole peer among hostile ones |

#[cfg(feature = "profile")]
mod backups;
mod decoders;
mod endpoint;
#[cfg(feature = "cli")]
mod files;
#[cfg(feature = "profile")]
mod lines;
mod messages;
mod meter;
mod node;
#[cfg(test)]
mod replay;
mod secrets;
mod streams;
mod talk;
mod targets;

pub use targets::{TARGETS, run};
