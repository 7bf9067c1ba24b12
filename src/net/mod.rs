//! The only code with sockets, clocks and system randomness (I/O).
//!
//! One task per node, the [`driver`], owns the sockets and the [`Endpoint`](crate::connect::Endpoint). It
//! waits for a datagram, a deadline, a command, bytes of a connection or the outcome of a job, hands that to
//! the endpoint with one reading of the clock, and then drains it. A connection's own task encrypts and
//! decrypts; between it and the driver lies a [`link`] with one ring of bytes for each direction.

mod bootstrap;
mod command;
mod driver;
mod interfaces;
mod jobs;
mod link;
mod opener;
mod origins;
mod pool;
mod queries;
mod relays;
mod ring;
mod servers;
mod socket;
mod spares;
mod streams;

pub(crate) use bootstrap::{BootstrapState, Entry};
pub(crate) use command::{Command, Found, FoundValue, Query, QueryFailure, Token};
pub(crate) use driver::{Settings, Snapshot, Started, start};
pub(crate) use link::{End, Handle, MAX_DATAGRAM};
pub(crate) use servers::Listening;
