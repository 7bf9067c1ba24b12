//! Blind relays: a third peer passes stream packets on between two that have no path, and can read none of
//! them (`connect.md` §11).
//!
//! [`RelayClient`] holds the messages of a peer to a relay, [`RelayService`] the answers of the relay, both
//! without connections: messages go in and come out. `forwards` is the part of a relay that touches packets,
//! `exit` the part of a peer that leaves one.

mod client;
mod exit;
mod forwards;
mod service;

pub use client::{RelayClient, RelayError};
pub(super) use exit::Exits;
pub(super) use forwards::{Forwarded, Forwards};
pub use service::{RelayAction, RelayLimits, RelayService, SessionId};
