//! Blind relays: a third peer passes stream packets on between two that have no path, and can read none of
//! them.
//!
//! [`RelayClient`] is what a peer says to a relay, [`RelayService`] what a relay makes of that, both without
//! connections: messages go in and come out. `forwards` is the part of a relay that touches packets.

mod client;
mod forwards;
mod service;

pub use client::{RelayClient, RelayError};
pub(super) use forwards::{Forwarded, Forwards};
pub use service::{RelayAction, RelayLimits, RelayService, SessionId};
