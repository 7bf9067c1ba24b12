//! What this node does for others: tokens, records, values and forwarding, each within bounds.
//!
//! Requests that are not as they should be get no response (hyperdht-rpc.md §1.1, §1.2), but for the two
//! errors of mutable values.

mod announcements;
mod delayed;
mod service;
mod values;

#[cfg(test)]
pub(super) use announcements::MAX_RESTORED;
pub(super) use delayed::{Delayed, Later};
#[cfg(test)]
pub(super) use delayed::{MAX_DELAYED, MAX_DELAYED_PER_SOURCE};
pub(super) use service::Service;
