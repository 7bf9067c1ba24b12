//! The only code with sockets, clocks and system randomness (I/O).
//!
//! One task per node, the [`driver`], owns the sockets and the [`Endpoint`](crate::connect::Endpoint). It
//! waits for a datagram, a deadline, a command, bytes of a connection or an event of a task beside it, hands
//! that to the endpoint with one reading of the clock, and then drains it. The task of a connection encrypts
//! and decrypts; between it and the driver lies a [`link`] with a queue of bytes for each direction.
//!
//! A datagram reaches its reader so: [`driver`] (a turn) → `driver/io` → `pool` and [`socket`] (one batch) →
//! [`Endpoint::handle_datagram`](crate::connect::Endpoint::handle_datagram) → `udx`; an event of the stream →
//! [`connections`] → [`link`], transport side; the reader is woken → [`link`], user side → [`opener`].

mod backlog;
mod bootstrap;
mod command;
mod connections;
mod driver;
mod fault;
mod interfaces;
mod jobs;
mod link;
mod node_state;
mod offload;
mod opener;
mod origins;
mod overload;
mod overview;
mod panics;
mod pool;
mod queries;
mod relays;
mod requests;
mod ring;
mod servers;
mod settings;
mod sleep;
mod socket;
mod spares;
mod stats;
mod sync;
mod task_event;

pub(crate) use bootstrap::Entry;
pub(crate) use command::{Command, ConnectionHandle, OperationOutcome, Order, ServerHandle, Token};
pub use connections::OpenStream;
pub(crate) use driver::{Started, has_runtime, start};
pub(crate) use link::{End, MAX_DATAGRAM};
pub use node_state::{Joined, NodeState};
pub use overview::{Listening, Overview};
pub(crate) use panics::watched;
pub(crate) use requests::{IncomingRequests, OpenRequest, incoming_requests};
pub(crate) use settings::Settings;
pub use stats::Stats;
